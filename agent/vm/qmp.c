/* SPDX-License-Identifier: Apache-2.0 */
/* QEMU's monitor (QMP): see qmp.h. */
#include "agent/vm/qmp.h"

#include "agent/text.h"
#include "agent/vm/address.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void qmp_init(struct qmp *qmp, struct turns *turns, const char *name, const char *address)
{
    *qmp = (struct qmp){.turns = turns, .name = name, .address = address, .dialled = -1};
}

static void on_message(void *data, json_t *message)
{
    struct qmp *qmp = data;
    const char *event = json_string_value(json_object_get(message, "event"));
    json_t *id = json_object_get(message, "id");
    if (json_object_get(message, "QMP")) {
        qmp->is_greeted = true;
    } else if (event) {
        if (qmp->on_event)
            qmp->on_event(qmp->data, qmp, event, json_object_get(message, "data"));
    } else if (json_is_integer(id) && json_integer_value(id) == qmp->id && !qmp->answer) {
        qmp->answer = json_incref(message);
    }
    /* Whatever else comes is the late answer to a command that was given up. */
}

static void on_bad_line(void *data, const struct error *err)
{
    /* A monitor that other programs write to, too: our answers are known by their id. */
}

static void on_end(void *data, const struct error *err)
{
    struct qmp *qmp = data;
    qmp->is_lost = true;
    error_object(&qmp->lost, "%s", qmp->name);
    error_set(&qmp->lost, 0, "its monitor `%s` was closed%s%s", qmp->address,
              *err->reason ? ": " : "", err->reason);
    lines_close(qmp->lines);
    qmp->lines = NULL;
}

static const struct lines_handler handler = {on_message, on_bad_line, on_end};

void qmp_close(struct qmp *qmp)
{
    lines_close(qmp->lines);
    qmp->lines = NULL;
    if (qmp->dialled >= 0)
        close(qmp->dialled);
    qmp->dialled = -1;
    json_decref(qmp->answer);
    qmp->answer = NULL;
}

/* Dialled and neither refused nor connected yet; again where a queue was full. */
static bool is_dialled(void *data)
{
    struct qmp *qmp = data;
    if (qmp->dialled < 0)
        qmp->dialled = address_dial(qmp->address, &qmp->lost);
    if (qmp->dialled < 0)
        return errno != EAGAIN;
    int connected = address_is_connected(qmp->dialled);
    if (connected < 0) {
        error_set(&qmp->lost, errno, "can't connect to `%s`", qmp->address);
        close(qmp->dialled);
        qmp->dialled = -1;
    }
    return connected != 0;
}

static bool is_greeted(void *data)
{
    const struct qmp *qmp = data;
    return qmp->is_greeted || qmp->is_lost;
}

static bool is_answered(void *data)
{
    const struct qmp *qmp = data;
    return qmp->answer || qmp->is_lost;
}

static int open_channel(struct qmp *qmp, double until, double timeout, struct error *err)
{
    enum turns_end end = turns_wait(qmp->turns, is_dialled, qmp, until);
    if (end == TURNS_DONE && qmp->dialled >= 0) {
        int fd = qmp->dialled;
        qmp->dialled = -1;
        return lines_open(&qmp->lines, &qmp->turns->loop, fd, &handler, qmp, err);
    }
    error_todo(err, "is it the QMP socket of the %s's QEMU, and does that run?", qmp->name);
    if (end == TURNS_DONE)
        return error_set(err, 0, "%s", qmp->lost.reason);
    return turns_explain(end, timeout, "a connection to its monitor", err);
}

static int connect_once(struct qmp *qmp, double timeout, struct error *err)
{
    double until = text_clock() + timeout;
    qmp_close(qmp);
    qmp->is_lost = qmp->is_greeted = false;
    error_object(err, "%s", qmp->name);
    if (open_channel(qmp, until, timeout, err) < 0)
        return -1;
    enum turns_end end = turns_wait(qmp->turns, is_greeted, qmp, until);
    if (end != TURNS_DONE) {
        qmp_close(qmp);
        turns_explain(end, timeout, "the monitor's greeting", err);
        return error_todo(err,
                          "`%s` must be a QMP monitor (-qmp) that no other program is "
                          "connected to",
                          qmp->address);
    }
    return qmp_call(qmp, "qmp_capabilities", NULL, NULL, timeout, err);
}

int qmp_connect(struct qmp *qmp, double timeout, struct error *err)
{
    bool was_lost = qmp->is_lost;
    if (connect_once(qmp, timeout, err) == 0)
        return 0;
    if (was_lost && !qmp->is_lost) {
        qmp_close(qmp);
        qmp->is_lost = true;
        qmp->lost = *err;
    }
    return -1;
}

static int take_answer(struct qmp *qmp, const char *command, json_t **out, struct error *err)
{
    json_t *answer = qmp->answer;
    json_t *error = json_object_get(answer, "error");
    json_t *result = json_object_get(answer, "return");
    qmp->answer = NULL;
    if (result) {
        if (out)
            *out = json_incref(result);
        json_decref(answer);
        return 0;
    }
    char text[256];
    const char *class = json_string_value(json_object_get(error, "class"));
    const char *desc = json_string_value(json_object_get(error, "desc"));
    snprintf(qmp->error_class, sizeof qmp->error_class, "%s", class ? class : "GenericError");
    text_clean(text, sizeof text, desc ? desc : "an answer without a reason");
    json_decref(answer);
    return error_set(err, 0, "QEMU refused `%s`: %s", command, text);
}

int qmp_call(struct qmp *qmp, const char *command, json_t *arguments, json_t **out, double timeout,
             struct error *err)
{
    char what[96];
    json_t *message = json_pack("{s:s, s:I}", "execute", command, "id", ++qmp->id);
    if (arguments)
        json_object_set_new(message, "arguments", arguments);
    json_decref(qmp->answer);
    qmp->answer = NULL;
    qmp->error_class[0] = 0;
    error_object(err, "%s", qmp->name);
    error_todo(err, "see what its QEMU says");
    snprintf(what, sizeof what, "the answer to `%s`", command);
    bool is_over = turns_are_over(qmp->turns);
    qmp->is_sent = qmp->lines && !is_over;
    if (qmp->is_sent)
        lines_send(qmp->lines, message);
    json_decref(message);
    if (!qmp->lines)
        return error_set(err, 0, "%s", *qmp->lost.reason ? qmp->lost.reason : "not connected");
    if (is_over)
        return turns_explain(TURNS_STOPPED, timeout, what, err);
    enum turns_end end = turns_wait(qmp->turns, is_answered, qmp, text_clock() + timeout);
    if (end != TURNS_DONE)
        return turns_explain(end, timeout, what, err);
    if (!qmp->answer)
        return error_set(err, 0, "%s", qmp->lost.reason);
    return take_answer(qmp, command, out, err);
}
