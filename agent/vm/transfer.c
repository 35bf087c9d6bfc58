/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's own move: QEMU's migration, and the moment at which the destination runs. */
#include "agent/vm/move.h"

#include "agent/text.h"

#include <float.h>
#include <stdio.h>
#include <string.h>

enum { CANCELLING = 2 };

/* The programs stand still meanwhile: QEMU's own default of 128 MiB/s would only prolong that. */
static const double most_bandwidth = 1e12;
static const double poll_every = 0.25, start_poll = 0.01, reach_time = 1; /* seconds */

static int set_capability(struct side *side, const char *name, bool is_on, struct error *err)
{
    json_t *list = json_pack("[{s:s, s:b}]", "capability", name, "state", (int)is_on);
    return qmp_call(&side->qmp, "migrate-set-capabilities",
                    json_pack("{s:o}", "capabilities", list), NULL, move_timeout(side->move), err);
}

/* One that a QEMU need not know. */
static int may_set_capability(struct side *side, const char *name, bool is_on, struct error *err)
{
    if (set_capability(side, name, is_on, err) == 0)
        return 0;
    return *side->qmp.error_class ? 0 : -1;
}

/* Those that are not wanted are said too: a source keeps what an earlier try has set. */
static int set_capabilities(struct side *side, struct error *err)
{
    if (set_capability(side, "events", true, err) < 0)
        return -1;
    return side->move->options.multifd > 0 ? set_capability(side, "multifd", true, err)
                                           : may_set_capability(side, "multifd", false, err);
}

static int set_parameters(struct side *side, bool is_source, struct error *err)
{
    const struct vm_options *options = &side->move->options;
    double bandwidth = options->bandwidth > 0 ? options->bandwidth : most_bandwidth;
    json_t *arguments = json_object();
    if (options->multifd > 0)
        json_object_set_new(arguments, "multifd-channels",
                            json_integer((json_int_t)options->multifd));
    if (is_source)
        json_object_set_new(arguments, "max-bandwidth", json_integer((json_int_t)bandwidth));
    if (is_source && options->downtime_limit > 0)
        json_object_set_new(arguments, "downtime-limit",
                            json_integer((json_int_t)options->downtime_limit));
    if (json_object_size(arguments) == 0) {
        json_decref(arguments);
        return 0;
    }
    return qmp_call(&side->qmp, "migrate-set-parameters", arguments, NULL, move_timeout(side->move),
                    err);
}

/* A destination that is told to run takes the disks then, and not when the guest has come: the way
 * back needs nothing of it. QEMUs before 3.0 don't know that; the way back waits for their end. */
static int leave_disks(struct side *side, struct error *err)
{
    return may_set_capability(side, "late-block-activate", true, err);
}

/* A destination that was started with an address listens already. */
static int start_listening(struct move *move, struct error *err)
{
    struct qmp *qmp = &move->destination.qmp;
    const char *uri = move->options.incoming ? move->options.incoming : move->options.uri;
    if (qmp_call(qmp, "migrate-incoming", json_pack("{s:s}", "uri", uri), NULL, move_timeout(move),
                 err) == 0)
        return 0;
    return *qmp->error_class && strstr(err->reason, "already been started") ? 0 : -1;
}

/* The destination comes up paused: so there is no moment in which it runs, and we do not know. */
static int hold_destination(struct move *move, struct error *err)
{
    struct side *side = &move->destination;
    if (qmp_call(&side->qmp, "stop", NULL, NULL, move_timeout(move), err) < 0)
        return -1;
    side->was_stopped = true;
    return 0;
}

static int fail_migration(struct move *move, const json_t *state, struct error *err)
{
    char text[256];
    const char *status = json_string_value(json_object_get(state, "status"));
    const char *desc = json_string_value(json_object_get(state, "error-desc"));
    move->is_migrating = false;
    error_object(err, "migration");
    error_todo(err, "see what both QEMUs say; a destination that got part of a machine has ended, "
                    "and must be started anew");
    text_clean(text, sizeof text, desc ? desc : "its QEMU does not say why");
    return error_set(err, 0, "%s: %s", strcmp(status, "failed") ? "it was cancelled" : "it failed",
                     text);
}

static void show_ram(struct move *move, const json_t *state)
{
    const json_t *ram = json_object_get(state, "ram");
    double total = json_number_value(json_object_get(ram, "total"));
    double left = json_number_value(json_object_get(ram, "remaining"));
    timeline_progress(&move->timeline, total - left, total);
}

/* 1 when it has completed, 0 when it goes on, CANCELLING when somebody has put an end to it. */
static int look_at_migration(struct move *move, struct error *err)
{
    json_t *state = NULL;
    int result = 0;
    move->source.has_news = false;
    if (qmp_call(&move->source.qmp, "query-migrate", NULL, &state, move_timeout(move), err) < 0)
        return -1;
    const char *status = json_string_value(json_object_get(state, "status"));
    const json_t *downtime = json_object_get(state, "downtime");
    show_ram(move, state);
    if (status && !strcmp(status, "completed")) {
        move->has_completed = true;
        move->is_migrating = false;
        move->downtime_ms = downtime ? json_number_value(downtime) : -1;
        result = 1;
    } else if (status && (!strcmp(status, "failed") || !strcmp(status, "cancelled"))) {
        result = fail_migration(move, state, err);
    } else if (status && !strcmp(status, "cancelling")) {
        result = CANCELLING;
    }
    json_decref(state);
    return result;
}

static bool never(void *data)
{
    return false;
}

static bool has_news(void *data)
{
    const struct move *move = data;
    return move->source.has_news || move->destination.qmp.is_lost || move->source.qmp.is_lost;
}

/* The source may end as soon as it has sent all: the destination then knows, once it has taken that
 * in. One that got a part only ends, if it hears of the source's end. */
static int ask_destination(struct move *move, double until, struct error *err)
{
    double most = text_clock() + move_long_timeout(move);
    char state[32] = "inmigrate";
    struct error unsaid, lost = move->source.qmp.lost;
    if (!move->source.qmp.is_lost)
        return -1;
    error_set(err, 0, "%s", lost.reason);
    if (qmp_connect(&move->source.qmp, reach_time, &unsaid) == 0)
        return -1;
    while (!strcmp(state, "inmigrate")) {
        if (text_clock() > until || text_clock() > most ||
            turns_wait(&move->turns, never, NULL, text_clock() + start_poll) == TURNS_STOPPED ||
            side_run_state(&move->destination, state, &unsaid) < 0)
            return -1;
    }
    move->has_completed = true;
    move->is_migrating = false;
    return 1;
}

static int follow_migration(struct move *move, struct error *err)
{
    double limit = move->options.migrate_timeout > 0 ? move->options.migrate_timeout : 1e9;
    double until = text_clock() + limit;
    for (;;) {
        bool is_alone = move->destination.qmp.is_lost;
        int result = look_at_migration(move, err);
        if (result < 0 && move->is_migrating)
            result = ask_destination(move, until, err);
        if (result < 0 || result == 1)
            return result < 0 ? -1 : 0;
        error_object(err, "migration");
        error_todo(err, "give it more time (--migrate-timeout) or bandwidth (--bandwidth)");
        /* A destination whose source is cancelled ends too: that is not the reason. */
        if (is_alone && result != CANCELLING) {
            *err = move->destination.qmp.lost;
            return error_todo(err, "see why its QEMU has ended, and start it anew");
        }
        if (text_clock() > until)
            return turns_explain(TURNS_TIMED_OUT, limit, "its end", err);
        enum turns_end end =
            turns_wait(&move->turns, result == CANCELLING ? never : has_news, move,
                       text_clock() + (result == CANCELLING ? start_poll : poll_every));
        if (end == TURNS_STOPPED)
            return turns_explain(end, 0, "the end of the migration", err);
    }
}

/* What the source had been set to before. */
static int keep_limits(struct move *move, struct error *err)
{
    struct qmp *qmp = &move->source.qmp;
    json_t *all = NULL;
    static const char *const names[] = {"max-bandwidth", "downtime-limit", "multifd-channels"};
    if (qmp_call(qmp, "query-migrate-parameters", NULL, &all, move_timeout(move), err) < 0)
        return *qmp->error_class ? 0 : -1;
    move->limits = json_object();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (json_is_integer(json_object_get(all, names[i])))
            json_object_set(move->limits, names[i], json_object_get(all, names[i]));
    json_decref(all);
    return 0;
}

void move_restore_settings(struct move *move)
{
    struct error unsaid;
    struct side *side = &move->source;
    if (json_object_size(move->limits) == 0)
        return;
    qmp_call(&side->qmp, "migrate-set-parameters", json_incref(move->limits), NULL,
             move_timeout(move), &unsaid);
    if (move->options.multifd > 0)
        set_capability(side, "multifd", false, &unsaid);
}

int move_set_up_migration(struct move *move, struct error *err)
{
    struct side *source = &move->source, *destination = &move->destination;
    if (keep_limits(move, err) < 0)
        return -1;
    if (set_capabilities(destination, err) < 0 || set_capabilities(source, err) < 0 ||
        leave_disks(destination, err) < 0)
        return -1;
    return set_parameters(destination, false, err) < 0 ? -1 : set_parameters(source, true, err);
}

int step_migrate(struct move *move, struct error *err)
{
    struct side *source = &move->source;
    if (hold_destination(move, err) < 0 || start_listening(move, err) < 0)
        return -1;
    move->is_migrating = true;
    timeline_mark(&move->timeline, ROW_VM, "copying");
    json_t *arguments = json_pack("{s:s}", "uri", move->options.uri);
    if (qmp_call(&source->qmp, "migrate", arguments, NULL, move_timeout(move), err) < 0) {
        if (*source->qmp.error_class)
            move->is_migrating = false;
        return -1;
    }
    if (follow_migration(move, err) < 0)
        return -1;
    timeline_mark(&move->timeline, ROW_VM, "stopped");
    return 0;
}

int side_run_state(struct side *side, char out[32], struct error *err)
{
    json_t *answer = NULL;
    const struct move *move = side->move;
    double timeout = side->is_plugging ? move_long_timeout(move) : move_timeout(move);
    *out = 0;
    if (qmp_call(&side->qmp, "query-status", NULL, &answer, timeout, err) < 0)
        return -1;
    side->is_plugging = false;
    const char *state = json_string_value(json_object_get(answer, "status"));
    text_clean(out, 32, state ? state : "unknown");
    json_decref(answer);
    return 0;
}

/* All is sent; the destination may still be taking it in. */
static int wait_for_guest(struct move *move, char state[32], struct error *err)
{
    double until = text_clock() + move_timeout(move);
    for (;;) {
        if (side_run_state(&move->destination, state, err) < 0)
            return -1;
        if (strcmp(state, "inmigrate"))
            return 0;
        double now = text_clock();
        enum turns_end end =
            now > until ? TURNS_TIMED_OUT : turns_wait(&move->turns, never, NULL, now + start_poll);
        if (now > until || end == TURNS_STOPPED)
            return turns_explain(end, move_timeout(move), "the guest at the destination", err);
    }
}

/* QEMU says that it has completed a moment before it knows its downtime. */
static void ask_downtime(struct move *move)
{
    json_t *state = NULL;
    struct error unsaid;
    if (move->downtime_ms > 0 || move->source.qmp.is_lost ||
        qmp_call(&move->source.qmp, "query-migrate", NULL, &state, move_timeout(move), &unsaid) < 0)
        return;
    const json_t *downtime = json_object_get(state, "downtime");
    if (downtime)
        move->downtime_ms = json_number_value(downtime);
    json_decref(state);
}

int step_start(struct move *move, struct error *err)
{
    struct side *side = &move->destination;
    char state[32];
    if (wait_for_guest(move, state, err) < 0)
        return -1;
    /* From here on the source must not run any more, whatever becomes of the answer. */
    move->holder = side;
    if (strcmp(state, "running") &&
        qmp_call(&side->qmp, "cont", NULL, NULL, move_timeout(move), err) < 0) {
        struct error unsaid;
        bool is_refused = *side->qmp.error_class != 0;
        if (is_refused && side_run_state(side, state, &unsaid) == 0 && strcmp(state, "running"))
            move->holder = &move->source;
        return -1;
    }
    if (side_run_state(side, state, err) < 0)
        return -1;
    if (!strcmp(state, "running")) {
        timeline_mark(&move->timeline, ROW_VM, "destination");
        ask_downtime(move);
        return 0;
    }
    error_object(err, "%s", side->name);
    error_todo(err, "see what its QEMU says");
    return error_set(err, 0, "the guest has come and its state is `%s`", state);
}
