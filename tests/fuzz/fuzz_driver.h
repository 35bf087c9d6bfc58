/* SPDX-License-Identifier: Apache-2.0 */
/* A driver that makes everything that it is asked for, and only counts it. What would crash a real
 * one, a handle that is none, ends the fuzzer. */
#ifndef SHADOWCL_TESTS_FUZZ_FUZZ_DRIVER_H
#define SHADOWCL_TESTS_FUZZ_FUZZ_DRIVER_H

#include "state/driver.h"

extern const struct driver fuzz_driver;

cl_device_id fuzz_device(void);
/* Objects that were made and not released. */
long fuzz_driver_objects(void);

#endif
