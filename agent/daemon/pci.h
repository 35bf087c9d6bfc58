/* SPDX-License-Identifier: Apache-2.0 */
/* The PCI devices of the guest, as sysfs has them ($SHADOWCL_SYSFS, for tests, instead of /sys;
 * /dev and /proc are then beside it). */
#ifndef SHADOWCL_DAEMON_PCI_H
#define SHADOWCL_DAEMON_PCI_H

#include "shim/error.h"

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { PCI_MOST_NUMBERS = 32 };

struct pci_device {
    char address[32], vendor[8], device[8], class[12];
    char driver[64];                 /* the kernel's, or "" */
    char folder[PATH_MAX];           /* where the device's links lead */
    json_t *nodes;                   /* owned; paths under /dev */
    dev_t numbers[PCI_MOST_NUMBERS]; /* of the first nodes, in their order; 0 where not known */
};

struct pci {
    struct pci_device *list; /* owned; by address */
    size_t count;
};

/* Empty where there is no bus, or no memory. */
void pci_list(struct pci *pci);
void pci_finish(struct pci *pci);
/* Display controllers and accelerators: what an OpenCL driver may use. */
bool pci_is_compute(const struct pci_device *device);
/* Is it a node of this device: one of `nodes`, or one of its resources? */
bool pci_owns(const struct pci_device *device, const char *path);
/* The node that has this number, whatever it is called elsewhere; or NULL. */
const char *pci_find_number(const struct pci *pci, dev_t number);
/* Does one of its nodes, or the device, have this address? `list` is separated by blanks. */
bool pci_is_in(const struct pci_device *device, const char *list);
/* -1 and which of the addresses in `list` is none of a device here. */
int pci_check(const struct pci *pci, const char *list, struct error *err);
/* {"address", "vendor", "device", "class", "driver", "nodes"}; the caller's. */
json_t *pci_describe(const struct pci_device *device);

#endif
