/* SPDX-License-Identifier: Apache-2.0 */
/* Answers on stdout, for scripts (--json: always one array, the same fields also for refusals) and
 * for people. */
#ifndef SHADOWCL_AGENT_ANSWER_H
#define SHADOWCL_AGENT_ANSWER_H

#include "agent/report.h"

#include <jansson.h>

enum answer_kind {
    ANSWER_PS,
    ANSWER_SUSPEND,
    ANSWER_RESUME,
    ANSWER_MOVE,
    ANSWER_SAVE,
    ANSWER_PREPARE,
};

/* -1 and a message when stdout takes no more. */
int answer_json(enum answer_kind kind, const struct report *list, size_t count);
/* What was done; refusals are said on stderr. */
void answer_text(enum answer_kind kind, const struct report *list, size_t count);
/* The ending of each verb: both of the above, warnings, failures; returns the exit code. */
int answer(enum answer_kind kind, bool json, const struct report *list, size_t count);
/* `run` and failures that are no process's: an array with one element, or an empty one. */
void answer_json_error(const char *command, const struct error *err);
void answer_json_empty(void);

/* Takes `array`; -1 and a message when stdout takes no more. */
int answer_print(json_t *array);

/* The parts of it; the caller's. */
json_t *answer_element(enum answer_kind kind, const struct report *report);
json_t *answer_devices(const control_response *response);
json_t *answer_warnings(const control_response *response);
/* null where there is none. */
json_t *answer_image(const struct report *report);
json_t *answer_failure(const struct error *err);
/* Also of bytes that are no UTF-8. */
json_t *answer_string(const char *text);

#endif
