/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of this process, one at a time: see checkpoint.h. What a suspend and a resume
 * consist of is in steps.c. */
#include "shim/checkpoint.h"

#include "shim/ahead.h"
#include "shim/cancel.h"
#include "shim/gate.h"
#include "shim/lazy.h"
#include "shim/log.h"
#include "shim/owner.h"
#include "shim/placement.h"
#include "shim/steps.h"
#include "shim/storm.h"
#include "shim/survey.h"
#include "shim/unheard.h"

static int refuse_second(struct error *err)
{
    error_set(err, 0, "another suspend or resume of it is in progress, or it is just ending");
    return error_todo(err, "wait for that");
}

void checkpoint_forked(void)
{
    /* A fork inside the gate (a signal handler's) did not wait; a suspend in progress, or a
     * comparison with another device, can't have come further than that it waited for this very
     * thread. Nor did that of a driver's on a thread of ours, whose child becomes a compiler. */
    if (!owner_forked())
        steps_forked();
}

void checkpoint_end_begins(void)
{
    NOT_CANCELLED();
    owner_end_begins();
    ahead_before_exit();
}

void checkpoint_before_exit(void)
{
    owner_before_exit();
    storm_end();
    /* Inside the gate this thread may have a lock that bringing contents up takes. */
    if (!gate_inside() && !gate_lent())
        lazy_stop();
    unheard_stop();
    ahead_before_exit();
}

int checkpoint_suspend(double deadline, const struct precopy_wish *wish,
                       const struct store_wish *image, struct report *report, struct error *err)
{
    if (!owner_take())
        return refuse_second(err);
    int result = steps_suspend(deadline, wish, image, report, err);
    owner_give_back();
    log_info("suspend: %s", result == 0 ? "suspended" : err->reason);
    return result;
}

int checkpoint_save(double deadline, const struct precopy_wish *wish,
                    const struct store_wish *image, struct report *report, struct error *err)
{
    if (!owner_take())
        return refuse_second(err);
    int result = steps_save(deadline, wish, image, report, err);
    owner_give_back();
    log_info("save: %s", result == 0 ? "done" : err->reason);
    return result;
}

int checkpoint_resume(const struct resume_wish *wish, struct report *report, struct error *err)
{
    bool taken = owner_take_to_resume();
    if (!taken && !owner_take_from_end())
        return refuse_second(err);
    int result = steps_resume(wish, report, err);
    if (taken)
        owner_give_back();
    else
        owner_return_to_end(result != 0);
    log_info("resume: %s", result == 0 ? "running" : err->reason);
    return result;
}

/* While the program runs: a fork waits for the builds that are going on only, and the program's end
 * too. */
static int build_for(const struct resume_wish *wish, int64_t deadline, struct report *report,
                     struct error *err)
{
    int result =
        placement_check(deadline, wish->device, wish->strict, true, owner_lend, NULL, report, err);
    owner_take_back();
    return result;
}

/* To the new place, or else back to the old one. */
static int move(double deadline, const struct precopy_wish *beforehand,
                const struct resume_wish *wish, struct report *report, struct error *err)
{
    static const struct resume_wish back = {.device = ""};
    int64_t end = now_ns() + (int64_t)(deadline * 1e9);
    if (checkpoint_state() == STATE_RUNNING &&
        (ahead_stop(deadline, err) != 0 || build_for(wish, end, report, err) != 0))
        return -1;
    if (steps_suspend(deadline, beforehand, NULL, report, err) != 0)
        return -1;
    if (steps_resume(wish, report, err) == 0)
        return 0;
    struct report ignored = {0};
    struct error why = {0};
    if (steps_resume(&back, &ignored, &why) != 0)
        error_todo(err, "going back failed too (%s: %s): the program is suspended; try a resume",
                   why.object, why.reason);
    report_finish(&ignored);
    return -1;
}

int checkpoint_move(double deadline, const struct precopy_wish *beforehand,
                    const struct resume_wish *wish, struct report *report, struct error *err)
{
    if (!owner_take())
        return refuse_second(err);
    int result = move(deadline, beforehand, wish, report, err);
    owner_give_back();
    log_info("move: %s", result == 0 ? "done" : err->reason);
    return result;
}

static int check(double deadline, const struct check_wish *wish, struct findings *findings,
                 struct report *report, struct error *err)
{
    int64_t end = now_ns() + (int64_t)(deadline * 1e9);
    bool runs = checkpoint_state() == STATE_RUNNING;
    if (runs && !wish->suspend) /* builds are left for last: a fork need not wait for all of them */
        return placement_check(end, wish->device, wish->strict, false, owner_give_back, findings,
                               report, err);
    int result = 0;
    if (runs)
        result = survey_suspend(end, findings, err);
    else if (checkpoint_state() != STATE_SUSPENDED)
        result = steps_refuse("running or suspended", "wait until it is", err);
    else if (!wish->suspend)
        result = steps_check_suspended(wish->device, wish->strict, findings, report, err);
    owner_give_back();
    return result;
}

int checkpoint_check(double deadline, const struct check_wish *wish, struct findings *findings,
                     struct report *report, struct error *err)
{
    if (!owner_take())
        return refuse_second(err);
    int result = check(deadline, wish, findings, report, err);
    log_info("check: %s", result == 0 ? "answered" : err->reason);
    return result;
}

/* Closes the gate for the comparison; the rest is done while anything may happen. */
static int note_builds(double deadline, const char *device, struct trial *trial,
                       struct report *report, struct error *err)
{
    if (checkpoint_state() != STATE_RUNNING)
        return steps_refuse("running", "prepare it while it runs", err);
    int64_t start = now_ns();
    int64_t end = start + (int64_t)(deadline * 1e9);
    int result = placement_compare(end, device, false, trial, NULL, report, err);
    report->ahead.compare = ms_since(start);
    return result;
}

int checkpoint_prepare(double deadline, const char *device, struct report *report,
                       struct error *err)
{
    struct trial trial = {.running = true, .keep = true, .all = true};
    if (!owner_take())
        return refuse_second(err);
    int result = ahead_begin(err);
    bool begun = result == 0;
    if (begun)
        result = note_builds(deadline, device, &trial, report, err);
    owner_give_back();
    if (result == 0)
        result = ahead_run_all(&trial, report, err);
    if (begun)
        ahead_end();
    trial_finish(&trial);
    log_info("prepare: %s", result == 0 ? "done" : err->reason);
    return result;
}
