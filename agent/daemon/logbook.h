/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's messages: written to stderr or a file, and the latest kept for `log`. Any thread. */
#ifndef SHADOWCL_DAEMON_LOGBOOK_H
#define SHADOWCL_DAEMON_LOGBOOK_H

#include "shim/error.h"

#include <jansson.h>
#include <stddef.h>

enum { LOGBOOK_LINES = 1000 };

/* `path` or NULL for stderr. */
int logbook_open(const char *path, struct error *err);
void logbook_write(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* "what: object: reason (todo)" */
void logbook_error(const char *what, const struct error *err);
/* What looking for processes comes across: said once until something else is said. */
void logbook_note(const struct error *err);
/* At most the `count` latest, oldest first; the caller's. */
json_t *logbook_latest(size_t count);

#endif
