/* SPDX-License-Identifier: Apache-2.0 */
/* The latest answers that carried an id, also through a restart: a command that comes twice,
 * because the host lost the answer, is answered as before and does nothing. */
#ifndef SHADOWCL_DAEMON_JOURNAL_H
#define SHADOWCL_DAEMON_JOURNAL_H

#include <jansson.h>

enum { JOURNAL_ANSWERS = 64 };

struct journal {
    const char *directory; /* borrowed */
    json_t *entries;       /* owned; [key, request, reply], oldest first */
};

/* Reads what an agent before has left in the runtime directory; what is not to be believed or
 * understood is forgotten. */
void journal_open(struct journal *journal, const char *directory);
void journal_close(struct journal *journal);
void journal_add(struct journal *journal, const char *key, const char *request, json_t *reply);
/* The reply, borrowed, or NULL. `request` gets what was asked then. */
json_t *journal_find(const struct journal *journal, const char *key, const char **request);

#endif
