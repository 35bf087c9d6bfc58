/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to the driver about platforms and devices, and how their answers are made fit for the
 * application: without extensions that we don't carry, without the driver's handles. */
#ifndef SHADOWCL_STATE_QUERY_H
#define SHADOWCL_STATE_QUERY_H

#include "state/device.h"

/* An answer of the driver. */
struct reply {
    void *bytes; /* owned */
    size_t size;
};

/* The caller is inside the gate, or has closed it, with the driver loaded; frees reply->bytes. The
 * bytes are followed by a NUL, so that a string is one whatever the driver did. A platform or
 * device that is not there any more (its driver did not come back at the last resume, or without
 * it) is an error. */
cl_int query_platform(const struct driver *driver, cl_platform_info param, struct reply *reply);
cl_int query_device(const struct driver *driver, cl_device_id device, cl_device_info param,
                    struct reply *reply);
/* A text, owned by the caller; "" where the driver has no answer. NULL without memory. */
char *query_device_text(const struct driver *driver, cl_device_id device, cl_device_info param);
/* A cl_uint, cl_bool, cl_ulong or bit-field; `otherwise` where the driver has no answer. */
uint64_t query_device_number(const struct driver *driver, cl_device_id device, cl_device_info param,
                             uint64_t otherwise);
/* The number in an answer of 1, 4 or 8 bytes; 0 for another size. */
uint64_t reply_number(const void *bytes, size_t size);

/* Takes the extensions out that we don't carry: of a text with spaces between the names, of an
 * array of cl_name_version. `driver`: who says so; NULL: unknown. */
void reply_filter_names(struct reply *reply, const struct driver *driver);
void reply_filter_versions(struct reply *reply, const struct driver *driver);
/* Puts our handles in the place of the platform's and its root devices' real ones. */
void reply_translate(struct reply *reply, const struct platform *platform,
                     const struct driver *driver);

#endif
