/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of the program's own that it may have made read-only: a table in the executable, a file
 * that is mapped. A driver's thread that stores there would end the process. */
#ifndef SHADOWCL_STATE_WRITABLE_H
#define SHADOWCL_STATE_WRITABLE_H

#include <stdbool.h>
#include <stddef.h>

/* May all of it be written? Its first and last byte and one in each MiB are looked at. */
bool writable(const void *memory, size_t size);

#endif
