/* SPDX-License-Identifier: Apache-2.0 */
/* An image's objects on a device, without its program: by `shadowcl-rebuild`, a process of its own,
 * so that a driver that crashes or hangs takes nobody along. */
#ifndef SHADOWCL_AGENT_REBUILD_H
#define SHADOWCL_AGENT_REBUILD_H

#include "shim/error.h"

#include <jansson.h>
#include <stdbool.h>

/* `what`: "check", which makes nothing, or "verify", which makes all and reads it back. At most
 * `timeout` seconds. {devices, warnings, missing, objects, bytes, contents: [{serial, size, same}],
 * ms: {load, rebuild, read_back}}, with at least the first three in their form; the caller's. NULL
 * where it could not be told. */
json_t *rebuild_run(const char *what, const char *path, const char *device, bool strict,
                    double timeout, struct error *err);
/* On standard error, each of its warnings and each thing that is missing. `subject` is what would
 * miss it: "119 sample-heat". */
void rebuild_say(const char *verb, const char *subject, const json_t *outcome);
/* On standard output: " on pocl:0 (name), ...". */
void rebuild_print_devices(const json_t *outcome);

#endif
