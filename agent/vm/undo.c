/* SPDX-License-Identifier: Apache-2.0 */
/* After a failure, a timeout or an interruption: the programs go on where that is possible. It
 * goes by what is known of both machines. As long as the destination was not told to run, the
 * guest is the source's; from then on it is the destination's, and the way back is to finish. */
#include "agent/vm/move.h"

#include "agent/text.h"

#include <stdio.h>
#include <string.h>

/* Seconds: for what answers at once if at all, and for a QEMU that has not ended its migration, as
 * which it refuses device_add. */
static const double short_time = 5, plug_every = 0.25;

static void note_error(struct move *move, const char *what, const struct error *err)
{
    move_note(move, "%s: %s: %s", what, err->object, err->reason);
}

static double short_timeout(const struct move *move)
{
    double timeout = move_timeout(move);
    return timeout < short_time ? timeout : short_time;
}

/* 0 when the machine's monitor answers, after a loss too. */
static int reach(struct side *side)
{
    struct error err = {0};
    if (!side->qmp.address || (side->qmp.lines && !side->qmp.is_lost))
        return 0;
    if (qmp_connect(&side->qmp, short_timeout(side->move), &err) == 0)
        return 0;
    note_error(side->move, "not reached", &err);
    return -1;
}

static bool never(void *data)
{
    return false;
}

/* "cancelled", "failed", "completed" or "none": where the migration can't go on any more. */
static bool has_ended(struct move *move, struct error *err)
{
    json_t *state = NULL;
    if (qmp_call(&move->source.qmp, "query-migrate", NULL, &state, move_timeout(move), err) < 0)
        return false;
    const char *status = json_string_value(json_object_get(state, "status"));
    bool is_over = !status || !strcmp(status, "none") || !strcmp(status, "cancelled") ||
                   !strcmp(status, "failed") || !strcmp(status, "completed");
    move->has_completed = status && !strcmp(status, "completed");
    json_decref(state);
    return is_over;
}

static void cancel_migration(struct move *move)
{
    struct error err = {0};
    double timeout = move_timeout(move), until = text_clock() + timeout;
    if (!move->is_migrating)
        return;
    if (qmp_call(&move->source.qmp, "migrate_cancel", NULL, NULL, timeout, &err) < 0)
        note_error(move, "the migration was not cancelled", &err);
    error_set(&err, 0, "it goes on");
    while (!has_ended(move, &err)) {
        if (text_clock() > until ||
            turns_wait(&move->turns, never, NULL, text_clock() + 0.05) == TURNS_STOPPED) {
            note_error(move, "the migration's end was not seen", &err);
            return;
        }
    }
    move->is_migrating = false;
}

static bool has_ended_itself(void *data)
{
    const struct side *side = data;
    return side->qmp.is_lost;
}

/* Its monitor is the last that a QEMU which ends closes: it has let go of the disks then. */
static int quit(struct side *side, struct error *err)
{
    struct move *move = side->move;
    double timeout = move_timeout(move);
    bool is_asked = qmp_call(&side->qmp, "quit", NULL, NULL, timeout, err) == 0;
    if (!is_asked)
        return side->qmp.is_lost ? 0 : -1;
    enum turns_end end = turns_wait(&move->turns, has_ended_itself, side, text_clock() + timeout);
    return end == TURNS_DONE ? 0 : turns_explain(end, timeout, "its end", err);
}

/* A destination that has all of the guest must not wake up beside the source; and it holds the
 * disks. */
static void end_destination(struct move *move)
{
    struct error err = {0};
    struct side *side = &move->destination;
    if (!move->has_completed || !side->was_stopped)
        return;
    bool is_reached = reach(side) == 0;
    if (is_reached && quit(side, &err) == 0)
        return;
    if (is_reached)
        note_error(move, "the destination was not ended", &err);
    move_note(move, "if the destination's QEMU still lives, it has a copy of the guest, stopped: "
                    "end it, and never let it run beside the source");
}

/* -1 when it was refused, or not answered. A state that has no `cont` changes by itself. */
static int ask_to_run(struct side *side, const char *state, struct error *err)
{
    bool is_paused =
        !strcmp(state, "paused") || !strcmp(state, "postmigrate") || !strcmp(state, "prelaunch");
    double timeout = move_timeout(side->move);
    if (is_paused && qmp_call(&side->qmp, "cont", NULL, NULL, timeout, err) < 0)
        return -1;
    error_set(err, 0, "its state is `%s`", state);
    return 0;
}

/* -1 when it does not run in the end. `cont` is refused as long as another QEMU has the disks. */
static int make_run(struct side *side)
{
    struct error err = {0};
    struct move *move = side->move;
    char state[32] = "";
    double until = text_clock() + move_timeout(move);
    if (!side->qmp.address)
        return 0;
    while (side_run_state(side, state, &err) == 0 && strcmp(state, "running")) {
        if (ask_to_run(side, state, &err) < 0 && !*side->qmp.error_class) {
            side->is_mute = true;
            break;
        }
        if (text_clock() > until ||
            turns_wait(&move->turns, never, NULL, text_clock() + 0.05) == TURNS_STOPPED)
            break;
    }
    if (!strcmp(state, "running")) {
        side_mark(side, ROW_VM);
        return 0;
    }
    side->is_mute |= !*state && !*side->qmp.error_class;
    side->is_stopped = !side->is_mute && !side->qmp.is_lost;
    note_error(move,
               side->is_mute ? "whether the guest runs is not known" : "the guest does not run",
               &err);
    return -1;
}

/* What the machine says of the device, where no event is to be waited for. */
static void look_at_device(struct side *side)
{
    struct error err = {0};
    struct move *move = side->move;
    if (!side->qmp.address)
        return;
    int is_there = device_is_there(&side->qmp, move->options.device, move_timeout(move), &err);
    if (is_there > 0 && side->plug == PLUG_UNKNOWN) /* it has come just now */
        move_settle(move, move_timeout(move));
    if (is_there == 0)
        side->plug = PLUG_OUT;
    else if (is_there > 0 && side->plug != PLUG_LEAVING)
        side->plug = PLUG_IN;
}

static int learn(struct move *move)
{
    struct error err = {0};
    if (move->programs != PROGRAMS_UNKNOWN || step_learn(move, &err) == 0)
        return 0;
    note_error(move, "the programs' state is not known", &err);
    return -1;
}

/* A suspend that was asked for and not answered is withdrawn: it would else be done later. One that
 * somebody else has asked for is not ours to withdraw. */
static void withdraw(struct move *move)
{
    struct error unsaid;
    struct guest *guest = &move->holder->guest;
    if (move->programs != PROGRAMS_UNKNOWN || !*move->suspend_id)
        return;
    json_t *arguments = json_pack("{s:s}", "id", move->suspend_id);
    guest_call(guest, "cancel", arguments, NULL, move_timeout(move), &unsaid);
}

/* What was refused for good is not asked for again. */
static int resume_unless_refused(struct move *move, struct error *err)
{
    if (!*move->refusal.reason && step_resume(move, err) == 0)
        return 0;
    if (*move->refusal.reason)
        *err = move->refusal;
    if (!move->options.resume_device)
        return -1;
    note_error(move, "not on the device of --resume-device, so on the one they had", err);
    move->options.resume_device = NULL;
    move->refusal = (struct error){0};
    return step_resume(move, err);
}

static void resume_here(struct move *move)
{
    struct error err = {0};
    if (learn(move) < 0)
        return;
    /* Part of them may run on the device of --meanwhile: all are suspended, then all resumed. */
    if (move->on_meanwhile && step_suspend_again(move, &err) < 0) {
        note_error(move, "the programs stay on the device of --meanwhile", &err);
        move->programs = PROGRAMS_UNKNOWN;
        learn(move);
        return;
    }
    if (move->programs != PROGRAMS_SUSPENDED || resume_unless_refused(move, &err) == 0)
        return;
    note_error(move, "the programs were not resumed", &err);
    learn(move);
}

/* The device can't be had: the programs go on without it where there is another. */
static void resume_without(struct move *move)
{
    struct error err = {0};
    if (learn(move) < 0 || move->programs == PROGRAMS_RUNNING || !move->options.meanwhile)
        return;
    if (step_meanwhile(move, &err) < 0) {
        note_error(move, "the programs were not resumed", &err);
        learn(move);
    }
}

static bool has_left(void *data)
{
    const struct side *side = data;
    return side->plug == PLUG_OUT || side->is_refused || side->qmp.is_lost;
}

/* What QEMU or the agent refuses now may go well in a moment. */
static int plug_in_time(struct move *move, struct error *err)
{
    struct side *side = move->holder;
    double until = text_clock() + short_timeout(move);
    while (step_plug(move, err) < 0) {
        bool is_refused = *side->qmp.error_class || *side->guest.error_class;
        if (!is_refused || text_clock() > until ||
            turns_wait(&move->turns, never, NULL, text_clock() + plug_every) == TURNS_STOPPED)
            return -1;
    }
    return 0;
}

static void plug_again(struct move *move)
{
    struct error err = {0};
    if (plug_in_time(move, &err) == 0) {
        resume_here(move);
        return;
    }
    bool is_in = move->holder->plug == PLUG_IN;
    note_error(
        move, is_in ? "the guest was not seen to have the device" : "the device was not plugged in",
        &err);
    if (learn(move) < 0)
        return;
    /* Programs that stand still anyway find out best whether the device is there. */
    if (is_in && move->programs == PROGRAMS_SUSPENDED)
        resume_here(move);
    resume_without(move);
}

/* Until the device has left, also through a loss of the monitor. */
static void listen_for_leaving(struct side *side, double until)
{
    struct move *move = side->move;
    while (turns_wait(&move->turns, has_left, side, until) == TURNS_DONE && side->qmp.is_lost) {
        if (reach(side) < 0) {
            move_note(move, "so it was not seen whether the guest lets the device go");
            return;
        }
        look_at_device(side);
    }
}

/* device_del can't be withdrawn. The programs run again; a guest that lets the device go only now
 * takes it from them. */
static void linger(struct move *move)
{
    struct error err = {0};
    struct side *side = move->holder;
    double linger = move->options.linger;
    move_note(move,
              "device_del can't be withdrawn: listening %.3g s more for a guest that obeys it "
              "late",
              linger);
    timeline_begin(&move->timeline, "linger");
    listen_for_leaving(side, text_clock() + linger);
    timeline_end(&move->timeline, true);
    if (side->plug == PLUG_LEAVING && side->is_refused)
        side->plug = PLUG_IN;
    if (side->plug != PLUG_OUT)
        return;
    move_note(move, "the guest has let the device go, late: it is plugged in again");
    if (move->programs == PROGRAMS_RUNNING && step_suspend_again(move, &err) < 0) {
        note_error(move, "the programs were not suspended before", &err);
        move->programs = PROGRAMS_UNKNOWN;
    }
    plug_again(move);
}

/* Programs on a device that leaves lose what is there: while it may be about to go, they wait. */
static void wait_for_leaving(struct side *side)
{
    if (side->plug != PLUG_LEAVING)
        return;
    listen_for_leaving(side, side->leave_until);
    if (side->is_refused)
        side->plug = PLUG_IN;
}

static void bring_back(struct move *move)
{
    struct side *side = move->holder;
    if (move->is_foreign) {
        move_note(move, "nothing more is asked of an agent that is another guest's");
        move->programs = PROGRAMS_UNKNOWN;
        return;
    }
    withdraw(move);
    wait_for_leaving(side);
    if (side->qmp.is_lost)
        return;
    look_at_device(side);
    if (side->plug != PLUG_LEAVING && side->device) {
        plug_again(move);
        return;
    }
    bool is_leaving = side->plug == PLUG_LEAVING;
    resume_here(move);
    if (is_leaving)
        linger(move);
}

static void choose_holder(struct move *move)
{
    struct side *destination = &move->destination;
    if (move->holder == destination || reach(&move->source) == 0)
        return;
    /* The source is gone, and the destination has all of the guest. */
    if (move->has_completed && destination->was_stopped && reach(destination) == 0)
        move->holder = destination;
}

/* The monitor is lost, or does not answer, and the guest may run on: where the device is plugged in
 * its programs can go on. The agent alone is asked then: that it answers says where the guest is.
 * -1 when it does not. */
static int do_without_monitor(struct move *move)
{
    struct error unsaid;
    struct side *side = move->holder;
    bool may_leave = side == &move->source && (move->is_migrating || move->has_completed);
    if (may_leave || move->is_foreign)
        return -1;
    side->guest.host = NULL;
    if (guest_call(&side->guest, "ping", NULL, NULL, short_timeout(move), &unsaid) < 0)
        return -1;
    if (move_is_foreign(move))
        return -1;
    move_note(move, "the %s's monitor does not answer, its guest's agent does", side->name);
    withdraw(move);
    bool may_have_it = side->plug == PLUG_IN || side->plug == PLUG_UNKNOWN;
    if (may_have_it && !move->on_meanwhile) {
        move_settle(move, short_timeout(move)); /* it may have been plugged in just now */
        resume_here(move);
    } else if (may_have_it || side->plug == PLUG_OUT) {
        resume_without(move);
    } else {
        learn(move);
    }
    return 0;
}

/* Where the guest is, where it can be: both QEMUs, then the programs. -1 when its monitor was of no
 * use. */
static int undo_by_monitor(struct move *move)
{
    struct side *side = move->holder;
    if (reach(side) < 0)
        return -1;
    if (side == &move->source) {
        cancel_migration(move);
        end_destination(move);
    }
    int result = make_run(side);
    if (result == 0)
        bring_back(move);
    return side->qmp.is_lost ? -1 : result;
}

/* The last thing: nobody is to wait for it. */
static void restore_settings(struct move *move)
{
    const struct side *side = &move->source;
    if (move->holder == side && side->qmp.lines && !side->is_mute)
        move_restore_settings(move);
}

void move_undo(struct move *move)
{
    move->is_undoing = true;
    move->turns.patience = 2;
    if (!move->is_touched) {
        move->is_lost = move->holder->qmp.is_lost;
        restore_settings(move);
        return;
    }
    if (move->turns.stops)
        move_say_undoing();
    timeline_begin(&move->timeline, "undo");
    contents_forget(&move->contents);
    choose_holder(move);
    bool is_done = undo_by_monitor(move) == 0 || do_without_monitor(move) == 0;
    const struct side *holder = move->holder;
    move->is_lost = !is_done && (holder->qmp.is_lost || !holder->qmp.lines || holder->is_mute);
    if (move->is_lost)
        move->programs = PROGRAMS_UNKNOWN;
    if (turns_are_over(&move->turns))
        move_note(move, "interrupted again: what was not done by then is left as it is");
    restore_settings(move);
    timeline_end(&move->timeline, move->programs == PROGRAMS_RUNNING);
}
