/* SPDX-License-Identifier: Apache-2.0 */
/* The steps that are the same at the source, at the destination and on the way back: they work on
 * the machine that has the guest. */
#include "agent/vm/move.h"

#include "agent/text.h"

#include <stdio.h>
#include <string.h>

void move_mark_programs(struct move *move, const char *state)
{
    timeline_mark(&move->timeline, ROW_PROGRAMS, state);
}

const char *move_running_word(const struct move *move)
{
    return move->on_meanwhile ? "meanwhile" : "running";
}

json_t *side_addresses(const struct side *side)
{
    json_t *list = json_array();
    if (*side->place.address)
        json_array_append_new(list, json_string(side->place.address));
    return list;
}

/* They ran on until the agent had looked around and contents had been copied beforehand. By the
 * command's start and not by its end: an answer that was lost comes a second time, later. */
static void mark_stop(struct move *move, const json_t *answer)
{
    const json_t *ms = json_object_get(answer, "ms");
    double ran = json_number_value(json_object_get(ms, "total")) -
                 json_number_value(json_object_get(ms, "still"));
    if (json_is_number(json_object_get(ms, "still")) && ran > 0)
        timeline_mark_later(&move->timeline, ROW_PROGRAMS, ran / 1e3);
}

/* What the agent refuses before it begins. One that was told twice may be busy with the first. */
static bool is_refused(const struct guest *guest)
{
    return !strcmp(guest->error_class, "Refused") || !strcmp(guest->error_class, "BadArgument") ||
           (!strcmp(guest->error_class, "Busy") && guest->num_sent == 1);
}

/* As it was before the suspend that was refused; unless another command is at work. */
static void forget_suspend(struct move *move, bool was_touched, enum programs_state before)
{
    bool is_busy = !strcmp(move->holder->guest.error_class, "Busy");
    move->is_touched = was_touched;
    move->programs = is_busy ? PROGRAMS_UNKNOWN : before;
    *move->suspend_id = 0;
    if (!is_busy)
        move_mark_programs(move, move_running_word(move));
}

static int suspend(struct move *move, json_t *arguments, struct error *err)
{
    struct guest *guest = &move->holder->guest;
    bool was_touched = move->is_touched;
    enum programs_state before = move->programs;
    /* The contents are copied while the programs run, for as long as another such time. */
    double timeout = move->options.deadline + 2 * move_long_timeout(move);
    json_object_set_new(arguments, "prepare", json_true());
    json_object_set_new(arguments, "deadline", json_real(move->options.deadline));
    json_object_set_new(arguments, "policy", json_string(move->options.force ? "force" : "abort"));
    move_mark_programs(move, "suspending");
    move->is_touched = true;
    move->programs = PROGRAMS_UNKNOWN;
    json_t *answer = NULL;
    int result = guest_call(guest, "suspend", arguments, &answer, timeout, err);
    snprintf(move->suspend_id, sizeof move->suspend_id, "%s", result < 0 ? guest->id : "");
    if (result < 0 && is_refused(guest))
        forget_suspend(move, was_touched, before);
    if (result < 0)
        return -1;
    move->programs = PROGRAMS_SUSPENDED;
    move->on_meanwhile = false;
    mark_stop(move, answer);
    contents_expect(&move->contents, answer);
    json_decref(answer);
    move_mark_programs(move, "suspended");
    return 0;
}

int step_suspend(struct move *move, struct error *err)
{
    json_t *arguments = json_object();
    if (*move->holder->place.address)
        json_object_set_new(arguments, "devices", side_addresses(move->holder));
    return suspend(move, arguments, err);
}

int step_suspend_again(struct move *move, struct error *err)
{
    /* The hooks of release have run. Nothing is to be unplugged; what others hold elsewhere does
     * not matter, and a device that has left is held by nobody. */
    json_t *arguments = json_pack("{s:b}", "hooks", 0);
    const struct side *side = move->holder;
    bool may_be_there = side->plug == PLUG_IN || side->plug == PLUG_UNKNOWN;
    json_object_set_new(arguments, "devices",
                        may_be_there && *side->place.address ? side_addresses(side) : json_array());
    return suspend(move, arguments, err);
}

static bool has_left(void *data)
{
    const struct side *side = data;
    return side->plug == PLUG_OUT || side->is_refused || side->qmp.is_lost;
}

static int explain_leaving(struct side *side, enum turns_end end, struct error *err)
{
    double timeout = side->move->options.unplug_timeout;
    error_object(err, "device `%.60s`", side->move->options.device);
    error_todo(err, "see the guest's kernel log; does it take part in hot-plugging, and does no "
                    "driver hold the device?");
    if (side->qmp.is_lost)
        return error_set(err, 0, "%s", side->qmp.lost.reason);
    if (!side->is_refused)
        return turns_explain(end, timeout, "the guest's consent to unplug (DEVICE_DELETED)", err);
    side->plug = PLUG_IN;
    return error_set(err, 0, "the guest does not let it go (DEVICE_UNPLUG_GUEST_ERROR)");
}

/* The event may have come while the monitor's connection was lost. */
static void look_again(struct side *side)
{
    struct error unsaid;
    double timeout = move_timeout(side->move);
    if (device_is_there(&side->qmp, side->move->options.device, timeout, &unsaid) == 0)
        side->plug = PLUG_OUT;
}

/* -1 when the device stays; 0 when it leaves, or has left. */
static int judge_refusal(struct side *side, const struct error *err)
{
    struct error unsaid;
    const struct move *move = side->move;
    /* One that was asked before, and by others too: that can't be withdrawn either. */
    if (strstr(err->reason, "in the process of unplug"))
        return 0;
    int is_there = device_is_there(&side->qmp, move->options.device, move_timeout(move), &unsaid);
    if (is_there == 0)
        side->plug = PLUG_OUT;
    if (is_there > 0)
        side->plug = PLUG_IN;
    return is_there == 0 ? 0 : -1;
}

static int ask_to_leave(struct side *side, struct error *err)
{
    const struct move *move = side->move;
    json_t *arguments = json_pack("{s:s}", "id", move->options.device);
    if (qmp_call(&side->qmp, "device_del", arguments, NULL, move_timeout(move), err) == 0)
        return 0;
    if (*side->qmp.error_class)
        return judge_refusal(side, err);
    if (!side->qmp.is_sent)
        side->plug = PLUG_IN;
    return -1;
}

int step_unplug(struct move *move, struct error *err)
{
    struct side *side = move->holder;
    if (side->plug == PLUG_OUT)
        return 0;
    side->is_refused = false;
    side->plug = PLUG_LEAVING;
    side->leave_until = text_clock() + move->options.unplug_timeout;
    move->is_touched = true;
    /* This command may be killed from here on, and the device is gone all the same. That it is not
     * remembered matters where it stays away: then it is said, at the end. */
    struct error unsaid = {0};
    move_remember(move, &unsaid);
    timeline_mark(&move->timeline, ROW_DEVICE, "leaving");
    if (ask_to_leave(side, err) < 0)
        return -1;
    enum turns_end end = turns_wait(&move->turns, has_left, side, side->leave_until);
    if (end == TURNS_TIMED_OUT)
        look_again(side);
    if (side->plug != PLUG_OUT)
        return explain_leaving(side, end, err);
    timeline_mark(&move->timeline, ROW_DEVICE, "nowhere");
    return 0;
}

static int plug(struct side *side, struct error *err)
{
    struct move *move = side->move;
    double timeout = move_timeout(move), long_timeout = move_long_timeout(move);
    timeline_mark(&move->timeline, ROW_DEVICE, "coming");
    move->is_touched = true;
    side->plug = PLUG_UNKNOWN;
    bool is_sent;
    if (device_plug(&side->qmp, side->device, timeout, long_timeout, &is_sent, err) < 0) {
        side->is_plugging = is_sent && !*side->qmp.error_class;
        if (!side->is_plugging)
            side->plug = PLUG_OUT;
        return -1;
    }
    int is_there = device_is_there(&side->qmp, move->options.device, timeout, err);
    if (is_there > 0)
        side->plug = PLUG_IN;
    if (is_there != 0)
        return is_there < 0 ? -1 : 0;
    side->plug = PLUG_OUT;
    error_object(err, "device `%.60s`", move->options.device);
    error_todo(err, "see what the %s's QEMU says", side->name);
    return error_set(err, 0, "QEMU has taken device_add, and has no such device");
}

int step_plug(struct move *move, struct error *err)
{
    struct side *side = move->holder;
    bool is_new = side->plug != PLUG_IN;
    if (is_new && plug(side, err) < 0)
        return -1;
    int result = move_wait_in_guest(move, err);
    /* One that vm-resume finds plugged in may have come a moment ago. */
    if (is_new || (move->options.verb == VM_RESUME && move->settle_until == 0))
        move_settle(move, move_timeout(move));
    if (result < 0)
        return -1;
    side_mark(side, ROW_DEVICE);
    return 0;
}

static bool never(void *data)
{
    return false;
}

static const char *state_of(const json_t *status)
{
    const char *state = json_string_value(json_object_get(status, "state"));
    return state ? state : "";
}

int step_learn(struct move *move, struct error *err)
{
    double until = text_clock() + move_long_timeout(move);
    move->programs = PROGRAMS_UNKNOWN;
    while (move->programs == PROGRAMS_UNKNOWN) {
        json_t *status = NULL;
        struct guest *guest = &move->holder->guest;
        if (guest_call(guest, "status", NULL, &status, move_timeout(move), err) < 0)
            return -1;
        if (!strcmp(state_of(status), "running"))
            move->programs = PROGRAMS_RUNNING;
        else if (!strcmp(state_of(status), "suspended"))
            move->programs = PROGRAMS_SUSPENDED;
        json_decref(status);
        if (move->programs != PROGRAMS_UNKNOWN)
            break;
        if (text_clock() > until ||
            turns_wait(&move->turns, never, NULL, text_clock() + 0.1) == TURNS_STOPPED)
            return error_set(err, 0, "the agent is still at work");
    }
    bool is_running = move->programs == PROGRAMS_RUNNING;
    move_mark_programs(move, is_running ? move_running_word(move) : "suspended");
    return 0;
}

bool move_is_foreign(struct move *move)
{
    const char *boot = move->holder->guest.boot;
    move->is_foreign = *move->boot && *boot && strcmp(move->boot, boot);
    return move->is_foreign;
}

/* By its boot, where both agents told theirs. A `ping` and no more: the programs stand still. */
int step_find_agent(struct move *move, struct error *err)
{
    struct guest *guest = &move->holder->guest;
    if (guest_call(guest, "ping", NULL, NULL, move_timeout(move), err) < 0)
        return -1;
    if (!move_is_foreign(move))
        return 0;
    error_object(err, "%s", guest->name);
    error_todo(err, "is `%s` the port of the machine that `%s` belongs to?", guest->address,
               move->holder->qmp.address);
    return error_set(err, 0, "it is another guest, or was started anew");
}

static bool is_running(const json_t *process)
{
    const char *state = json_string_value(json_object_get(process, "state"));
    return !state || (strcmp(state, "suspended") && strcmp(state, "rebuilding"));
}

int step_verify(struct move *move, struct error *err)
{
    char text[33];
    json_t *status = NULL;
    size_t i;
    json_t *process;
    int result = 0;
    struct guest *guest = &move->holder->guest;
    if (guest_call(guest, "status", NULL, &status, move_timeout(move), err) < 0)
        return -1;
    error_object(err, "%s", guest->name);
    error_todo(err, "see `shadowcl ps` in the guest");
    if (strcmp(state_of(status), "running"))
        result = error_set(err, 0, "the agent says that its programs are `%s`",
                           text_clean(text, sizeof text, state_of(status)));
    json_array_foreach(json_object_get(status, "processes"), i, process)
    {
        if (!is_running(process))
            result = error_set(err, 0, "process %d does not run",
                               (int)json_integer_value(json_object_get(process, "pid")));
    }
    json_decref(status);
    return result;
}
