/* SPDX-License-Identifier: Apache-2.0 */
/* The agent in a guest, seen from the host: see guest.h. */
#include "agent/vm/guest.h"

#include "agent/text.h"
#include "agent/vm/address.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* Seconds. */
static const double dial_every = 0.2, first_wait = 0.25, most_wait = 2;

void guest_init(struct guest *guest, struct turns *turns, const char *name, const char *address,
                const struct qmp *host)
{
    *guest = (struct guest){
        .turns = turns, .name = name, .address = address, .host = host, .dialled = -1};
}

static void take_greeting(struct guest *guest, const json_t *greeting)
{
    const char *boot = json_string_value(json_object_get(greeting, "boot"));
    snprintf(guest->boot, sizeof guest->boot, "%s", boot ? boot : "");
    guest->num_greetings++;
}

static bool host_is_lost(const struct guest *guest)
{
    return guest->host && guest->host->is_lost;
}

static const char *error_class_of(const json_t *answer)
{
    const json_t *error = json_object_get(answer, "error");
    const char *class = json_string_value(json_object_get(error, "class"));
    return class ? class : "";
}

/* The agent may be at work with this very command, of which it heard before, or bring back what an
 * agent before it has left: both end. */
static bool is_worth_waiting(const struct guest *guest, const json_t *answer)
{
    return !strcmp(error_class_of(answer), "Busy") &&
           (guest->num_sent > 1 || guest->num_greetings > 1);
}

static void take_message(struct guest *guest, json_t *message)
{
    if (!is_worth_waiting(guest, message)) {
        guest->answer = json_incref(message);
        return;
    }
    json_decref(guest->busy);
    guest->busy = json_incref(message);
}

static void on_message(void *data, json_t *message)
{
    struct guest *guest = data;
    const char *event = json_string_value(json_object_get(message, "event"));
    const char *id = json_string_value(json_object_get(message, "id"));
    json_t *greeting = json_object_get(message, "shadowcl");
    if (greeting) {
        take_greeting(guest, greeting);
        guest->next_send = 0; /* an agent that has just come has not heard of the command */
    } else if (event) {
        if (guest->on_event)
            guest->on_event(guest->data, event, json_object_get(message, "data"));
    } else if (id && !strcmp(id, guest->id) && !guest->answer) {
        take_message(guest, message);
    }
}

static void on_bad_line(void *data, const struct error *err)
{
    struct guest *guest = data;
    /* What was garbled may have been our answer: the command is sent again when its time has come.
     */
    error_set(&guest->lost, 0, "a line of the agent's was not taken: %s", err->reason);
}

static void on_end(void *data, const struct error *err)
{
    struct guest *guest = data;
    error_set(&guest->lost, 0, "`%s` was closed%s%s", guest->address, *err->reason ? ": " : "",
              err->reason);
    lines_close(guest->lines);
    guest->lines = NULL;
}

static const struct lines_handler handler = {on_message, on_bad_line, on_end};

void guest_close(struct guest *guest)
{
    lines_close(guest->lines);
    guest->lines = NULL;
    if (guest->dialled >= 0)
        close(guest->dialled);
    guest->dialled = -1;
    json_decref(guest->message);
    json_decref(guest->answer);
    json_decref(guest->busy);
    guest->message = guest->answer = guest->busy = NULL;
}

/* One step towards a connection. */
static void dial(struct guest *guest)
{
    double now = text_clock();
    if (guest->dialled < 0 && now < guest->next_dial)
        return;
    guest->next_dial = now + dial_every;
    if (guest->dialled < 0)
        guest->dialled = address_dial(guest->address, &guest->lost);
    guest->is_refused = guest->dialled < 0 && errno != EAGAIN;
    int connected = guest->dialled < 0 ? 0 : address_is_connected(guest->dialled);
    if (connected < 0) {
        error_set(&guest->lost, errno, "can't connect to `%s`", guest->address);
        close(guest->dialled);
        guest->dialled = -1;
        guest->is_refused = true;
    }
    if (connected <= 0)
        return;
    int fd = guest->dialled;
    guest->dialled = -1;
    if (write(fd, "\n", 1) < 0) /* ends what an earlier conversation left half written */
        error_set(&guest->lost, errno, "can't write to `%s`", guest->address);
    lines_open(&guest->lines, &guest->turns->loop, fd, &handler, guest, &guest->lost);
    guest->next_send = 0;
}

static bool is_connected(void *data)
{
    struct guest *guest = data;
    if (!guest->lines)
        dial(guest);
    return guest->lines || guest->is_refused || host_is_lost(guest);
}

static bool is_answered(void *data)
{
    struct guest *guest = data;
    double now = text_clock();
    if (!guest->lines)
        dial(guest);
    if (guest->lines && now >= guest->next_send && !guest->answer) {
        guest->next_send = now + guest->wait;
        guest->wait = guest->wait * 2 < most_wait ? guest->wait * 2 : most_wait;
        guest->num_sent++;
        lines_send(guest->lines, guest->message);
    }
    return guest->answer || host_is_lost(guest);
}

static int no_answer(const struct guest *guest, enum turns_end end, double timeout,
                     const char *what, struct error *err)
{
    error_todo(err, "does shadowcl-agent run in the guest, on the port that `%s` leads to?",
               guest->address);
    if (end == TURNS_DONE) /* the virtual machine has gone */
        return error_set(err, 0, "%s", guest->host->lost.reason);
    turns_explain(end, timeout, what, err);
    if (guest->lines || end == TURNS_STOPPED)
        return -1;
    size_t used = strlen(err->reason);
    snprintf(err->reason + used, sizeof err->reason - used, " (%.200s)", guest->lost.reason);
    return -1;
}

int guest_connect(struct guest *guest, double timeout, struct error *err)
{
    guest->next_dial = 0;
    enum turns_end end = turns_wait(guest->turns, is_connected, guest, text_clock() + timeout);
    if (guest->lines)
        return 0;
    error_object(err, "%s", guest->name);
    if (guest->is_refused)
        error_set(err, 0, "%s", guest->lost.reason);
    else
        no_answer(guest, end, timeout, "a connection to its port", err);
    return error_todo(err, "is `%s` the socket of the port that the agent speaks through?",
                      guest->address);
}

static void make_id(char id[40])
{
    uint8_t bytes[16];
    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
        memcpy(bytes, &(double){text_clock()}, sizeof(double));
    for (int i = 0; i < 16; i++)
        snprintf(id + 2 * i, 3, "%02x", bytes[i]);
}

/* What the agent says, safe for a terminal. */
static void copy_text(char *out, size_t size, const json_t *error, const char *member)
{
    const char *text = json_string_value(json_object_get(error, member));
    if (text)
        text_clean(out, size, text);
}

static int take_answer(struct guest *guest, json_t **out, struct error *err)
{
    json_t *answer = guest->answer;
    json_t *error = json_object_get(answer, "error");
    json_t *result = json_object_get(answer, "return");
    const char *class = error_class_of(answer);
    guest->answer = NULL;
    if (result) {
        if (out)
            *out = json_incref(result);
        json_decref(answer);
        return 0;
    }
    snprintf(guest->error_class, sizeof guest->error_class, "%s", *class ? class : "Internal");
    error_set(err, 0, "the agent's answer says neither `return` nor why not");
    error_todo(err, "see the agent's messages in the guest");
    guest->is_final = json_is_true(json_object_get(error, "final"));
    copy_text(err->reason, sizeof err->reason, error, "desc");
    copy_text(err->object, sizeof err->object, error, "object");
    copy_text(err->reason, sizeof err->reason, error, "reason");
    copy_text(err->todo, sizeof err->todo, error, "todo");
    json_decref(answer);
    return -1;
}

int guest_call(struct guest *guest, const char *command, json_t *arguments, json_t **out,
               double timeout, struct error *err)
{
    char what[64];
    make_id(guest->id);
    json_decref(guest->message);
    json_decref(guest->answer);
    json_decref(guest->busy);
    guest->answer = guest->busy = NULL;
    guest->num_sent = 0;
    guest->error_class[0] = 0;
    guest->is_final = false;
    guest->next_dial = guest->next_send = 0;
    guest->wait = first_wait;
    guest->message = json_pack("{s:s, s:s}", "execute", command, "id", guest->id);
    if (arguments)
        json_object_set_new(guest->message, "arguments", arguments);
    error_object(err, "%s", guest->name);
    snprintf(what, sizeof what, "the agent's answer to `%s`", command);
    if (turns_are_over(guest->turns))
        return no_answer(guest, TURNS_STOPPED, timeout, what, err);
    enum turns_end end = turns_wait(guest->turns, is_answered, guest, text_clock() + timeout);
    if (!guest->answer && end == TURNS_TIMED_OUT && guest->lines) {
        guest->answer = guest->busy;
        guest->busy = NULL;
    }
    if (guest->answer)
        return take_answer(guest, out, err);
    return no_answer(guest, end, timeout, what, err);
}
