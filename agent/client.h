/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to processes and their answers: one of each per connection, many connections at once.
 * Nothing that a process sends is trusted. */
#ifndef SHADOWCL_AGENT_CLIENT_H
#define SHADOWCL_AGENT_CLIENT_H

#include "agent/peers.h"
#include "control.pb-c.h"

#include <stdint.h>

typedef Shadowcl__Control__Request control_request;
typedef Shadowcl__Control__Response control_response;
typedef Shadowcl__Control__State control_state;

enum exchange_end {
    EXCHANGE_PENDING,
    EXCHANGE_ANSWERED,
    EXCHANGE_BROKEN, /* closed early, or no answer of ours */
    EXCHANGE_TIMED_OUT,
    EXCHANGE_INTERRUPTED, /* by a signal; the process goes on with what it was asked */
};

struct exchange {
    const struct peer *peer;
    const int *descriptor; /* borrowed; it travels with the first byte; NULL: none does */
    enum exchange_end end;
    control_response *response; /* owned; when answered */
    struct error error;         /* when not */
    bool until_closed;          /* it ends when the process has closed the connection … */
    double until;               /* … or at this time, once it has answered */
    bool is_deserted;           /* its socket is there, and nobody listens any more */
    int fd;
    size_t sent;
    uint8_t header[4];
    size_t header_read;
    uint8_t *body; /* owned */
    size_t body_size, body_read;
};

struct progress;

/* Sends `request` to every peer and waits, at most `timeout` seconds, until each exchange has
 * ended. `progress` may be NULL. */
void exchange_run(struct exchange *list, size_t count, const control_request *request,
                  double timeout, struct progress *progress);
void exchange_finish(struct exchange *list, size_t count);
/* From now on SIGINT, SIGTERM and SIGHUP end the wait, not the command. */
void exchange_catch_signals(void);
bool exchange_was_interrupted(void);
/* On the way back: what was begun is brought to its end. */
void exchange_forget_interruption(void);

/* "running", ... ; "unknown" for what a newer process may say. */
const char *control_state_name(control_state state);

enum { STATUS_TIMEOUT = 2 };

#endif
