/* SPDX-License-Identifier: Apache-2.0 */
/* What became of one process: the element of an answer. */
#ifndef SHADOWCL_AGENT_REPORT_H
#define SHADOWCL_AGENT_REPORT_H

#include "agent/client.h"

#include <stdbool.h>

struct report {
    pid_t pid;
    uid_t uid;
    const struct peer *peer;    /* borrowed; NULL where nobody listens */
    char command[64];           /* its name: the program, without folder and arguments */
    char state[24];             /* as in `--json` */
    control_response *response; /* owned; NULL without an answer */
    const char *file;           /* borrowed; of an image that was made; NULL: none was */
    bool failed;
    struct error error; /* if failed */
};

void report_finish(struct report *report);
/* Marks as failed and returns where to say why; the object is the process until said otherwise. */
struct error *report_fail(struct report *report);
/* The `index`-th of what a check has found; the object is the process's own. */
struct error report_finding(const struct report *report, size_t index);
void report_set_state(struct report *report, const char *state);
/* Moves the exchange's outcome here: state, command, the process's own refusal. */
void report_take(struct report *report, struct exchange *exchange);

/* To stderr. `verb` is what was to be done: "suspend". */
void report_say_failure(const struct report *report, const char *verb);
void report_say_warnings(const struct report *report);
void report_note(const struct error *err);
void report_error(const char *verb, const struct error *err);
/* From now on notes go there instead; called on any thread that looks for processes. */
void report_notes_to(void (*take)(const struct error *err));

#endif
