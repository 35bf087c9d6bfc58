/* SPDX-License-Identifier: Apache-2.0 */
/* From the arguments to the exit code: phases, one after the other, and what happens besides. */
#include "agent/vm/move.h"

#include "agent/text.h"
#include "agent/vm/remember.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Seconds. */
static const double step_time = 30, long_time = 600;

double move_timeout(const struct move *move)
{
    return move->options.timeout > 0 ? move->options.timeout : step_time;
}

double move_long_timeout(const struct move *move)
{
    return move->options.timeout > 0 ? move->options.timeout : long_time;
}

bool move_problem(struct move *move, const struct error *err)
{
    bool has_room = move->num_problems < sizeof move->problems / sizeof *move->problems;
    if (has_room)
        move->problems[move->num_problems++] = *err;
    return has_room;
}

void side_mark(struct side *side, enum timeline_row row)
{
    struct move *move = side->move;
    const char *alone = row == ROW_VM ? "running" : "plugged";
    timeline_mark(&move->timeline, row, move->options.verb == VM_MIGRATE ? side->name : alone);
}

void move_note(struct move *move, const char *format, ...)
{
    va_list args;
    char note[sizeof *move->notes];
    va_start(args, format);
    vsnprintf(note, sizeof note, format, args);
    va_end(args);
    if (move->num_notes < sizeof move->notes / sizeof *move->notes)
        snprintf(move->notes[move->num_notes++], sizeof *move->notes, "%s", note);
    timeline_clear(&move->timeline);
    fprintf(stderr, "shadowcl: note: %s\n", note);
}

static void on_device_event(struct side *side, const char *event, const char *id)
{
    const char *device = side->move->options.device;
    if (!id || !device || strcmp(id, device))
        return;
    if (!strcmp(event, "DEVICE_DELETED")) {
        side->plug = PLUG_OUT;
        timeline_mark(&side->move->timeline, ROW_DEVICE, "nowhere");
    } else if (!strcmp(event, "DEVICE_UNPLUG_GUEST_ERROR")) {
        side->is_refused = true;
    }
}

static void on_qmp_event(void *data, struct qmp *qmp, const char *event, const json_t *details)
{
    struct side *side = data;
    struct move *move = side->move;
    on_device_event(side, event, json_string_value(json_object_get(details, "device")));
    if (!strcmp(event, "MIGRATION"))
        side->has_news = true;
    if (!strcmp(event, "STOP") && move->is_migrating)
        timeline_mark(&move->timeline, ROW_VM, "stopped");
    if (!strcmp(event, "RESUME"))
        side_mark(side, ROW_VM);
}

static void on_guest_event(void *data, const char *event, const json_t *details)
{
    struct side *side = data;
    struct move *move = side->move;
    double done, of;
    if (strcmp(event, "progress") != 0)
        return;
    contents_take(&move->contents, details);
    contents_sum(&move->contents, &done, &of);
    timeline_progress(&move->timeline, done, of);
}

static void on_tick(void *data)
{
    struct move *move = data;
    timeline_show(&move->timeline);
}

void move_say_undoing(void)
{
    fputs("shadowcl: bringing the programs back; once more leaves that undone\n", stderr);
}

static void on_stop(void *data)
{
    struct move *move = data;
    timeline_clear(&move->timeline);
    if (move->is_undoing && move->turns.stops < move->turns.patience)
        move_say_undoing();
}

static void init_side(struct side *side, struct move *move, const char *name, const char *where,
                      const char *monitor, const char *agent)
{
    *side = (struct side){.move = move, .name = name};
    qmp_init(&side->qmp, &move->turns, name, monitor);
    side->qmp.on_event = on_qmp_event;
    side->qmp.data = side;
    guest_init(&side->guest, &move->turns, where, agent, &side->qmp);
    side->guest.on_event = on_guest_event;
    side->guest.data = side;
}

void move_init(struct move *move, enum vm_verb verb, int argc, char **argv)
{
    struct error err = {0};
    *move = (struct move){.downtime_ms = -1};
    vm_options_parse(&move->options, verb, argc, argv);
    timeline_init(&move->timeline, move->options.json);
    if (turns_init(&move->turns, &err) < 0) {
        fprintf(stderr, "shadowcl: %s\n", err.reason);
        exit(EXIT_FAILURE);
    }
    move->turns.on_tick = on_tick;
    move->turns.on_stop = on_stop;
    move->turns.data = move;
    bool is_pair = verb == VM_MIGRATE;
    init_side(&move->source, move, is_pair ? "source" : "virtual machine",
              is_pair ? "guest at the source" : "guest", move->options.source, move->options.agent);
    init_side(&move->destination, move, "destination", "guest at the destination",
              move->options.destination, move->options.destination_agent);
    move->holder = &move->source;
}

static void finish_side(struct side *side)
{
    guest_close(&side->guest);
    qmp_close(&side->qmp);
    json_decref(side->device);
}

void move_finish(struct move *move)
{
    finish_side(&move->source);
    finish_side(&move->destination);
    turns_finish(&move->turns);
    contents_finish(&move->contents);
    json_decref(move->map);
    json_decref(move->limits);
    vm_options_finish(&move->options);
}

int move_phase(struct move *move, const struct phase *phase, struct error *err)
{
    timeline_begin(&move->timeline, phase->name);
    contents_forget(&move->contents);
    int result = phase->run(move, err);
    timeline_end(&move->timeline, result == 0);
    return result;
}

int move_remember(struct move *move, struct error *err)
{
    const struct side *side = move->holder;
    const char *monitor = side->qmp.address, *device = move->options.device;
    if (!monitor || !move->is_touched)
        return 0;
    if (side == &move->destination) /* what the source was without is of no use any more */
        remember_drop(move->source.qmp.address, device);
    if (side->plug == PLUG_IN)
        remember_drop(monitor, device);
    else if (side->device)
        return remember_keep(monitor, device, side->device, err);
    return 0;
}

/* What is known in the end. */
static void remember(struct move *move)
{
    struct error err = {0};
    if (move_remember(move, &err) < 0)
        move_note(move, "vm-resume has to be told how the device is plugged in: %s: %s", err.object,
                  err.reason);
}

int move_run(struct move *move, const struct phase *phases)
{
    struct error err = {0};
    const struct phase *phase = phases;
    while (phase->name && move_phase(move, phase, &err) == 0)
        phase++;
    if (phase->name)
        move_undo(move);
    remember(move);
    timeline_finish(&move->timeline);
    return move_report(move, phase->name ? &err : NULL);
}
