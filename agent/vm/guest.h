/* SPDX-License-Identifier: Apache-2.0 */
/* The agent in a guest, seen from the host (docs/protocol.md): one command at a time. The channel
 * is a virtio-serial port as a rule, which loses what is said while a virtual machine stops: a
 * command without an answer is sent again with the same id, and a lost connection is made again.
 * An agent that is busy with what it has heard before, or with what an agent before it has left,
 * is asked again too. */
#ifndef SHADOWCL_AGENT_VM_GUEST_H
#define SHADOWCL_AGENT_VM_GUEST_H

#include "agent/vm/qmp.h"

struct guest {
    struct turns *turns;
    const char *name;    /* "guest at the source": for messages */
    const char *address; /* borrowed */
    /* The virtual machine it is in: without it there is no answer. NULL: its monitor is not gone
     * by. */
    const struct qmp *host;
    void (*on_event)(void *data, const char *event, const json_t *details);
    void *data;
    struct lines *lines; /* NULL when not connected */
    int dialled;
    double next_dial, next_send;
    double wait;     /* until the command is sent again */
    bool is_refused; /* the latest try to connect */
    char id[40];
    json_t *message;      /* owned; sent and not answered */
    json_t *answer;       /* owned */
    json_t *busy;         /* owned; an answer that is not taken for the last one */
    int num_sent;         /* times that the message was */
    int num_greetings;    /* more than one: the agent was started anew, or the port opened */
    char boot[64];        /* of the latest greeting; "" where none came */
    char error_class[32]; /* of the latest error; "" when it was none of the agent's */
    bool is_final;        /* the latest error: it would come again, whenever it is tried */
    struct error lost;    /* the latest reason of a loss */
};

void guest_init(struct guest *guest, struct turns *turns, const char *name, const char *address,
                const struct qmp *host);
/* Connects; whether an agent answers is another matter. */
int guest_connect(struct guest *guest, double timeout, struct error *err);
void guest_close(struct guest *guest);
/* `arguments` is taken and may be NULL; *out is the caller's, `out` may be NULL. The error is what
 * the agent said, or that no answer came: it may still come to be done then (guest->id names it).
 */
int guest_call(struct guest *guest, const char *command, json_t *arguments, json_t **out,
               double timeout, struct error *err);

#endif
