/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent finds to stand against the suspend, while the programs run. Before a move that is
 * what it sees from outside: the suspend finds the rest, and undoes itself. With --dry-run each
 * program is asked, too. */
#include "agent/vm/move.h"

#include "agent/text.h"

enum { MOST_FORCED = 4 };

static void take_refusal(const json_t *refusal, struct error *err)
{
    const char *object = json_string_value(json_object_get(refusal, "object"));
    const char *reason = json_string_value(json_object_get(refusal, "reason"));
    const char *todo = json_string_value(json_object_get(refusal, "todo"));
    text_clean(err->object, sizeof err->object, object ? object : "a program");
    text_clean(err->todo, sizeof err->todo, todo ? todo : "see `shadowcl ps` in the guest");
    text_clean(err->reason, sizeof err->reason, reason ? reason : "it can't be suspended");
}

/* Those of a list in the answer; returns how many there are. */
static size_t keep_problems(struct move *move, const json_t *answer, const char *list)
{
    size_t i, left_out = 0;
    json_t *refusal;
    const json_t *refusals = json_object_get(answer, list);
    json_array_foreach((json_t *)refusals, i, refusal)
    {
        struct error err = {0};
        take_refusal(refusal, &err);
        left_out += !move_problem(move, &err);
    }
    if (left_out)
        move_note(move, "%zu more of the agent's reasons are left out", left_out);
    return json_array_size(refusals);
}

/* With --force they prevent nothing, and are said before it is done; not so many that what is to be
 * said later has no room. */
static void note_refusals(struct move *move, const json_t *answer)
{
    size_t i;
    json_t *refusal;
    const json_t *refusals = json_object_get(answer, "refusals");
    json_array_foreach((json_t *)refusals, i, refusal)
    {
        struct error err = {0};
        if (i == MOST_FORCED)
            break;
        take_refusal(refusal, &err);
        move_note(move, "in spite of it, by --force: %s: %s", err.object, err.reason);
    }
    if (i < json_array_size(refusals))
        move_note(move, "in spite of %zu more, by --force: a dry run without it names them",
                  json_array_size(refusals) - i);
}

/* The agent's answer; the caller's. `device` may be NULL. */
static int ask(struct move *move, const char *device, json_t **answer, struct error *err)
{
    struct side *side = move->holder;
    json_t *arguments = json_object();
    if (*side->place.address)
        json_object_set_new(arguments, "devices", side_addresses(side));
    if (move->options.dry_run) {
        json_object_set_new(arguments, "check", json_true());
        json_object_set_new(arguments, "deadline", json_real(move->options.deadline));
    }
    if (device)
        json_object_set_new(arguments, "device", json_string(device));
    double timeout = move_long_timeout(move) + (move->options.dry_run ? move->options.deadline : 0);
    return guest_call(&side->guest, "prepare", arguments, answer, timeout, err);
}

/* The first of those that were found since. */
static int fail(const struct move *move, size_t before, struct error *err)
{
    *err = move->problems[before < move->num_problems ? before : 0];
    return -1;
}

/* The device that the programs are to end on may not be in the guest yet: what it lacks is known if
 * it is. */
static int check_resume_device(struct move *move, struct error *err)
{
    char reason[sizeof err->reason];
    json_t *answer = NULL;
    size_t before = move->num_problems;
    const char *device = move->options.resume_device;
    if (!device)
        return 0;
    if (ask(move, device, &answer, err) < 0)
        return -1;
    size_t count = keep_problems(move, answer, "missing");
    const json_t *unknown = json_array_get(json_object_get(answer, "unknown"), 0);
    const char *why = json_string_value(json_object_get(unknown, "reason"));
    if (unknown)
        move_note(move,
                  "not known before the device is there: whether the programs can go on with "
                  "`%s` (%s)",
                  device, text_clean(reason, sizeof reason, why ? why : "no reason given"));
    json_decref(answer);
    return count ? fail(move, before, err) : 0;
}

int step_prepare(struct move *move, struct error *err)
{
    json_t *answer = NULL;
    size_t before = move->num_problems, count = 0;
    const char *meanwhile = move->options.dry_run ? move->options.meanwhile : NULL;
    if (ask(move, meanwhile, &answer, err) < 0)
        return -1;
    if (!move->options.force)
        count = keep_problems(move, answer, "refusals");
    else
        note_refusals(move, answer);
    if (meanwhile)
        count += keep_problems(move, answer, "missing") + keep_problems(move, answer, "unknown");
    json_decref(answer);
    if (move->options.dry_run && check_resume_device(move, err) < 0 && !count)
        return -1;
    return count ? fail(move, before, err) : 0;
}
