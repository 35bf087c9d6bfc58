/* SPDX-License-Identifier: Apache-2.0 */
/* How a device that a machine is without is plugged in again, kept on the host: vm-resume need not
 * be told what vm-suspend knew. By monitor and device. The guest is not asked: who names devices of
 * the host's there could have any of them. */
#ifndef SHADOWCL_AGENT_VM_REMEMBER_H
#define SHADOWCL_AGENT_VM_REMEMBER_H

#include <jansson.h>

#include "shim/error.h"

/* Options of device_add, an object; the caller's. NULL where nothing is remembered. */
json_t *remember_find(const char *monitor, const char *device);
int remember_keep(const char *monitor, const char *device, const json_t *options,
                  struct error *err);
void remember_drop(const char *monitor, const char *device);

#endif
