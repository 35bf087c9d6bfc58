/* SPDX-License-Identifier: Apache-2.0 */
/* The programs get a device again. One that was plugged in a moment ago is not ready at once: the
 * guest's kernel lists it before its driver has it, and the driver has it before its nodes are
 * there. */
#include "agent/vm/move.h"

#include "agent/text.h"

#include <string.h>

/* Seconds. */
static const double look_every = 0.25;
static const double first_pause = 0.25;
/* Beyond the first; each pause is four times the one before, and the last as long as there is
 * time. */
static const int most_tries = 6;

static bool never(void *data)
{
    return false;
}

void move_settle(struct move *move, double seconds)
{
    move->settle_until = text_clock() + seconds;
}

static bool is_ready(const struct move *move, const json_t *status)
{
    const json_t *device = status_device(status, move->holder->place.address);
    return json_is_string(json_object_get(device, "driver")) &&
           (!move->had_nodes || json_array_size(json_object_get(device, "nodes")) > 0);
}

/* Where the device had a driver before, one of the same vendor gets one now, if no hook has to
 * bring it first. That it does not come is for the resume to say. */
static void wait_for_driver(struct move *move)
{
    struct side *side = move->holder;
    struct error unsaid;
    double timeout = move_timeout(move), until = text_clock() + timeout;
    if (move->has_hooks || !move->had_driver ||
        strcmp(side->place.vendor, move->source.place.vendor) != 0)
        return;
    while (text_clock() < until) {
        json_t *status = NULL;
        if (guest_call(&side->guest, "status", NULL, &status, timeout, &unsaid) < 0)
            return;
        bool is_done = is_ready(move, status);
        json_decref(status);
        if (is_done ||
            turns_wait(&move->turns, never, NULL, text_clock() + look_every) == TURNS_STOPPED)
            return;
    }
    move_note(move, "within %.3g s the guest's kernel has no driver for %s, or no device node",
              timeout, side->place.address);
}

int move_wait_in_guest(struct move *move, struct error *err)
{
    struct side *side = move->holder;
    double timeout = move_timeout(move);
    if (device_locate(&side->qmp, move->options.device, &side->place, timeout, err) < 0)
        return -1;
    if (!*side->place.address)
        return 0;
    json_t *arguments =
        json_pack("{s:s, s:s, s:s, s:f}", "address", side->place.address, "vendor",
                  side->place.vendor, "device", side->place.device, "timeout", timeout);
    if (guest_call(&side->guest, "device-wait", arguments, NULL, timeout + 5, err) < 0)
        return -1;
    wait_for_driver(move);
    return 0;
}

static int resume(struct move *move, json_t *arguments, struct error *err)
{
    move_mark_programs(move, "resuming");
    move->is_touched = true;
    move->programs = PROGRAMS_UNKNOWN;
    struct guest *guest = &move->holder->guest;
    if (guest_call(guest, "resume", arguments, NULL, move_long_timeout(move), err) < 0)
        return -1;
    move->programs = PROGRAMS_RUNNING;
    move_mark_programs(move, move_running_word(move));
    return 0;
}

int step_meanwhile(struct move *move, struct error *err)
{
    json_t *arguments = json_pack("{s:s, s:b}", "device", move->options.meanwhile, "hooks", 0);
    move->on_meanwhile = true;
    return resume(move, arguments, err);
}

static json_t *resume_arguments(const struct move *move)
{
    json_t *arguments = json_object();
    if (move->options.resume_device)
        json_object_set_new(arguments, "device", json_string(move->options.resume_device));
    else if (move->map && (move->options.meanwhile || move->options.resume_map))
        /* The device that they had last is that of --meanwhile. */
        json_object_set(arguments, "map", move->map);
    if (*move->holder->place.address) /* where it is now */
        json_object_set_new(arguments, "devices", side_addresses(move->holder));
    return arguments;
}

/* When a resume that failed is to be tried again; 0: not at all. */
static double next_try(const struct move *move)
{
    const struct guest *guest = &move->holder->guest;
    double now = text_clock();
    double next = now + first_pause * (1 << move->num_tries * 2);
    if (strcmp(guest->error_class, "Failed") != 0 || guest->is_final ||
        move->num_tries == most_tries || now >= move->settle_until)
        return 0;
    bool is_last = move->num_tries == most_tries - 1 || next > move->settle_until;
    return is_last ? move->settle_until : next;
}

/* A program that says that its device lacks something, or that no device is meant, says so for
 * good. What else fails may be a device that is not ready: until it must be that is tried again.
 * But few times in all: each try can cost a program one instance of its driver, of which there are
 * 15, and the way back needs some too. */
int step_resume(struct move *move, struct error *err)
{
    while (resume(move, resume_arguments(move), err) < 0) {
        double next = next_try(move);
        if (move->holder->guest.is_final)
            move->refusal = *err;
        if (!next || turns_wait(&move->turns, never, NULL, next) == TURNS_STOPPED)
            return -1;
        move->num_tries++;
    }
    return 0;
}
