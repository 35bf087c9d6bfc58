/* SPDX-License-Identifier: Apache-2.0 */
/* The passed-through device, as QEMU has it: the options it is plugged with, its PCI address. */
#ifndef SHADOWCL_AGENT_VM_DEVICE_H
#define SHADOWCL_AGENT_VM_DEVICE_H

#include "agent/vm/qmp.h"

struct pci_place {
    char address[16]; /* as the guest sees it, "0000:00:05.0"; "" when it is no PCI device */
    char vendor[8], device[8]; /* four hexadecimal digits */
};

/* Options of device_add, as text `driver=NAME,option=value,…` (`,,` is a comma in a value) or as a
 * JSON object. *out is an object of strings, or whatever the JSON holds. */
int device_parse(const char *text, json_t **out, struct error *err);
/* The text that device_parse reads; the caller's, NULL without memory. */
char *device_text(const json_t *options);

/* True when the machine has a device with this id; -1 when it can't be asked. */
int device_is_there(struct qmp *qmp, const char *id, double timeout, struct error *err);
/* The options that the device was made with: those that are not the defaults of its kind. */
int device_deduce(struct qmp *qmp, const char *id, json_t **out, double timeout, struct error *err);
/* `place` is empty for what is no PCI device. */
int device_locate(struct qmp *qmp, const char *id, struct pci_place *place, double timeout,
                  struct error *err);
/* Plugs it. Text becomes numbers and truth values where the kind of device has such options:
 * QEMU since 9.2 takes nothing else. `long_timeout` is for device_add itself: a device of the
 * host's has all of the guest's memory pinned first, and QEMU answers nothing meanwhile. *is_sent:
 * QEMU was asked to, whatever came of it. */
int device_plug(struct qmp *qmp, const json_t *options, double timeout, double long_timeout,
                bool *is_sent, struct error *err);
/* Whether the machine knows the kind of device, and has the objects, the bus and the free slot that
 * the options name. What only the host knows of a device of its own shows when it is plugged in. */
int device_check(struct qmp *qmp, const json_t *options, double timeout, struct error *err);

#endif
