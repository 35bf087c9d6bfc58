/* SPDX-License-Identifier: Apache-2.0 */
/* QEMU's monitor (QMP): one command at a time, events at any time. */
#ifndef SHADOWCL_AGENT_VM_QMP_H
#define SHADOWCL_AGENT_VM_QMP_H

#include "agent/lines.h"
#include "agent/vm/turns.h"

struct qmp {
    struct turns *turns;
    const char *name;    /* "source": for messages */
    const char *address; /* borrowed */
    void (*on_event)(void *data, struct qmp *qmp, const char *event, const json_t *details);
    void *data;
    struct lines *lines; /* NULL when not connected */
    bool is_greeted;
    bool is_lost;         /* was connected, and is no more: also when it was not reached again */
    struct error lost;    /* why */
    json_int_t id;        /* of the latest command */
    bool is_sent;         /* the latest command was given away: it may have been done */
    json_t *answer;       /* owned */
    char error_class[32]; /* of the latest error; "" when it was none of QEMU's */
    int dialled;
};

void qmp_init(struct qmp *qmp, struct turns *turns, const char *name, const char *address);
/* Connects, reads the greeting and leaves the negotiation mode. May be called again after a loss.
 */
int qmp_connect(struct qmp *qmp, double timeout, struct error *err);
void qmp_close(struct qmp *qmp);
/* `arguments` is taken and may be NULL; *out is the caller's, `out` may be NULL. An error of QEMU
 * has its `desc` as the reason. A command whose answer did not come may have been done. */
int qmp_call(struct qmp *qmp, const char *command, json_t *arguments, json_t **out, double timeout,
             struct error *err);

#endif
