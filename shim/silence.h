/* SPDX-License-Identifier: Apache-2.0 */
/* A driver that is never called again, though there are objects of it: what gives them back goes to
 * functions that do nothing. */
#ifndef SHADOWCL_SHIM_SILENCE_H
#define SHADOWCL_SHIM_SILENCE_H

#include "state/driver.h"

/* All that a release calls is answered here from now on; all else is gone from the table, as is the
 * platform. */
void silence(struct driver *driver);

#endif
