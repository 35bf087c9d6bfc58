/* SPDX-License-Identifier: Apache-2.0 */
/* Suspend and resume: the table of contents. See steps.h. */
#include "shim/steps.h"

#include <stdlib.h>

#include "shim/before.h"
#include "shim/config.h"
#include "shim/drain.h"
#include "shim/ending.h"
#include "shim/follow.h"
#include "shim/gate.h"
#include "shim/lazy.h"
#include "shim/leave.h"
#include "shim/loader.h"
#include "shim/log.h"
#include "shim/objects.h"
#include "shim/owner.h"
#include "shim/phase.h"
#include "shim/placement.h"
#include "shim/reap.h"
#include "shim/rebuild.h"
#include "shim/release.h"
#include "shim/watch.h"
#include "state/mem.h"
#include "state/staging.h"
#include "state/svm.h"
#include "state/tally.h"

static _Atomic int state;

enum checkpoint_state checkpoint_state(void)
{
    return (enum checkpoint_state)atomic_load(&state);
}

static const char *state_name(void)
{
    static const char *const names[] = {"running", "draining", "capturing", "suspended",
                                        "rebuilding"};
    return names[checkpoint_state()];
}

static int capture_one(struct object *object, int64_t deadline, struct report *report,
                       struct error *err)
{
    struct mem *mem = (struct mem *)object;
    if (object->was != KIND_MEM)
        return objects_capture(object, deadline, err);
    report->copied_bytes += mem_capture_bytes(mem);
    if (store_sink() && mem_is_stored(mem))
        return config.check_writes ? store_compare(mem, err) : 0;
    if (!store_sink() || !mem_streams(mem))
        return objects_capture(object, deadline, err);
    IN_DRIVER_COPYING(object->driver->library, object, mem->size);
    int result = stream_down(mem, store_sink(), err);
    mem->stored = true;
    return result;
}

/* §5.13: there are none to be kept, for commands whose events the program has yet. */
static void warn_of_times(struct object *object, struct report *report)
{
    struct device *device = (struct device *)object;
    if (object->was != KIND_DEVICE || !device->no_times)
        return;
    device->no_times = false;
    report_warn(report, "device `%s`: its driver has no times for commands that have ended",
                device->name);
}

static uint64_t bytes_to_capture(struct object *const *objects, size_t count)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += objects[i]->was == KIND_MEM ? mem_uncaptured_bytes((struct mem *)objects[i]) : 0;
    return bytes;
}

/* With the gate closed and nothing running: reads all that the driver knows. */
static int capture(struct object *const *objects, size_t count, int64_t deadline,
                   struct report *report, struct error *err)
{
    int64_t start = now_ns();
    if (!store_sink())
        tally_begin(bytes_to_capture(objects, count));
    atomic_store(&state, STATE_CAPTURING);
    for (size_t i = 0; i < count; i++) {
        report->counts[objects[i]->was]++;
        if (capture_one(objects[i], deadline, report, err) != 0)
            return -1;
    }
    for (size_t i = 0; i < count; i++)
        warn_of_times(objects[i], report);
    if (objects_finish_copies(objects, count, err) != 0 || stream_finish(err) != 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        if (objects[i]->was == KIND_MEM)
            mem_land((struct mem *)objects[i]);
    if (store_finish(objects, count, report, err) != 0)
        return -1;
    report->captured_bytes = mem_contents_bytes();
    report->capture = ms_since(start);
    return 0;
}

/* Contents in staging have been copied or were not needed, but for what is still owed. */
static void drop_contents(void)
{
    if (atomic_load(&lazy_owed)) {
        lazy_start();
        return;
    }
    mem_forget_contents();
    staging_drop();
}

/* The program runs on. No driver is called before the gate is open: it might not come back. */
static void run_on(void)
{
    drop_contents();
    store_drop();
    atomic_store(&state, STATE_RUNNING);
    gate_open();
    reap_late();
}

/* Nothing is on the device yet. */
static void begin_rebuild(void)
{
    tally_begin(mem_total_bytes());
    atomic_store(&state, STATE_REBUILDING);
}

/* The driver was let go and should not have been: back to running, or at least to a state from
 * which a resume can be tried. */
static int undo_release(struct object *const *objects, size_t count, struct error *err)
{
    struct report ignored = {0};
    struct error why = {0};
    static const struct rebuild_wish back = {0};
    begin_rebuild();
    if (rebuild_all(&back, objects, count, &ignored, &why) == 0) {
        run_on();
    } else {
        atomic_store(&state, STATE_SUSPENDED);
        log_error("the program stays suspended: %s: %s", why.object, why.reason);
        error_todo(err,
                   "going back failed too (%s: %s): the program is suspended; try a resume, "
                   "on another device if need be",
                   why.object, why.reason);
    }
    report_finish(&ignored);
    return -1;
}

/* What there is, in *objects; the caller frees it. */
static int list_all(struct object ***objects, size_t *count, struct error *err)
{
    *count = 0;
    /* Also those that have been dropped since the gate is closed, or are just being: they have
     * something of the driver's, too, which it gets back with all the rest. */
    *objects = object_list(true, count);
    if (*objects)
        return 0;
    error_set(err, 0, "no memory for the list of objects");
    return -1;
}

/* The same, and whether all of it can be carried. */
static int list_carriable(struct object ***objects, size_t *count, struct error *err)
{
    if (list_all(objects, count, err) != 0 || objects_carriable(*objects, *count, NULL, err) != 0)
        return -1;
    return svm_carriable(err);
}

static int drain_once(int64_t deadline, struct object ***objects, size_t *count, struct error *err)
{
    struct patience patience = {.deadline = deadline};
    if (drain_queues(*objects, *count, &patience, err) != 0 || drain_native(&patience, err) != 0 ||
        /* Who is inside may just be giving the driver another unmap. */
        gate_wait_empty(deadline, err) != 0 || endings_settle(&patience, err) != 0)
        return -1;
    /* A command that has ended may have been the last that kept a device. */
    free(*objects);
    return list_all(objects, count, err) == 0 ? gate_wait_empty(deadline, err) : -1;
}

static int refuse_relay(struct error *err)
{
    error_object(err, "a native kernel");
    error_set(err, 0, "its native kernels keep on enqueuing commands");
    return error_todo(err, "allow more time with --deadline, or try again later");
}

/* Where native kernels were waited for so often, and have always enqueued more, that is what is
 * said at the deadline, and not what happens to run then. */
enum { RELAY = 2 };

/* Until nothing runs: native kernels may make objects meanwhile, release some, and enqueue
 * commands, other native kernels among them. As list_carriable, also on an error. */
static int drain(int64_t deadline, struct object ***objects, size_t *count, struct error *err)
{
    for (unsigned relays = 0;; relays += gate_has_passed()) {
        gate_forget_passed();
        int result = list_carriable(objects, count, err);
        if (result != 0)
            return result;
        result = drain_once(deadline, objects, count, err);
        bool is_late = now_ns() > deadline;
        if (is_late && (result == 0 ? gate_has_passed() : relays >= RELAY))
            return refuse_relay(err);
        if (result != 0 || (!gate_has_passed() && !gate_lent_thread(ANY_LENDING)))
            return result;
        free(*objects);
    }
}

/* What is to be captured, and what was. */
struct capturing {
    int64_t deadline;
    bool keep;               /* an image is written to be read back */
    bool let_go;             /* the driver's objects are to be released next */
    struct object **objects; /* owned */
    size_t count;
    struct report *report;
    struct error *err;
};

static int capture_drained(struct capturing *c)
{
    int64_t start = now_ns();
    int result = drain(c->deadline, &c->objects, &c->count, c->err);
    c->report->drain += ms_since(start);
    if (result == 0)
        result = capture(c->objects, c->count, c->deadline, c->report, c->err);
    if (result == 0 && c->keep)
        result = store_keep(c->err);
    return result == 0 ? store_check_asker(c->err) : result;
}

/* The device is used further on: nothing is on its way, and no queue of ours is there. */
static void end_copies(const struct capturing *c)
{
    struct error ignored = {0};
    size_t count = c->objects ? c->count : 0;
    stream_drop();
    objects_finish_copies(c->objects, count, &ignored);
    if (!atomic_load(&lazy_owed))
        objects_drop_copiers(c->objects, count);
}

static int capture_all(void *data)
{
    struct capturing *c = data;
    gate_stand_in();
    int result = capture_drained(c);
    if (result != 0 || !c->let_go)
        end_copies(c);
    return result;
}

/* Drains, and captures all there is: c->objects, for the caller to free. On an error the program
 * runs on. */
static int capture_closed(struct capturing *c)
{
    const struct leave_job job = {.act = capture_all, .data = c, .clean = leave_copies};
    bool left;
    int result = leave_run(&job, &left, c->err);
    gate_stand_in();
    if (result == 0)
        return 0;
    run_on();
    free(c->objects);
    return -1;
}

static int suspend_closed(int64_t deadline, struct report *report, struct error *err)
{
    struct capturing c = {
        .deadline = deadline, .keep = true, .let_go = true, .report = report, .err = err};
    if (capture_closed(&c) != 0)
        return -1;
    int64_t start = now_ns();
    release_all(c.objects, c.count, report);
    int result = release_prove(report, err);
    report->release = ms_since(start);
    if (result == 0)
        store_let_go(c.objects, c.count);
    if (result == 0)
        atomic_store(&state, STATE_SUSPENDED);
    else
        undo_release(c.objects, c.count, err);
    free(c.objects);
    return result;
}

static int save_closed(int64_t deadline, struct report *report, struct error *err)
{
    struct capturing c = {.deadline = deadline, .report = report, .err = err};
    if (capture_closed(&c) != 0)
        return -1;
    run_on();
    free(c.objects);
    return 0;
}

/* The gate could not be closed: as if nothing had been asked. */
static int never_mind(void)
{
    precopy_end(true);
    drop_contents();
    store_drop();
    return -1;
}

/* Closes the gate, and does what can be done then. */
static int close_and_act(double deadline, const struct precopy_wish *wish,
                         const struct store_wish *image,
                         int (*act)(int64_t deadline, struct report *report, struct error *err),
                         struct report *report, struct error *err)
{
    int64_t start = now_ns();
    if (leave_refuse(err) != 0 || lazy_stop_by(deadline, err) != 0)
        return -1;
    tally_begin(mem_total_bytes()); /* without what a lazy resume had still to send up */
    mem_trim_contents();
    if (before_closing(deadline, act != save_closed, wish, image, report, err) != 0)
        return never_mind();
    int64_t closing = now_ns();
    int64_t end = closing + (int64_t)(deadline * 1e9);
    atomic_store(&state, STATE_DRAINING);
    if (gate_close(end, err) != 0) {
        atomic_store(&state, STATE_RUNNING);
        reap_late();
        return never_mind();
    }
    precopy_end(false);
    report->drain = ms_since(closing);
    int result = act(end, report, err);
    report->suspend = ms_since(start);
    return result;
}

static int with_closed_gate(double deadline, const struct precopy_wish *wish,
                            const struct store_wish *image,
                            int (*act)(int64_t deadline, struct report *report, struct error *err),
                            struct report *report, struct error *err)
{
    int result = close_and_act(deadline, wish, image, act, report, err);
    tally_end();
    return result;
}

int steps_refuse(const char *wanted, const char *todo, struct error *err)
{
    error_set(err, 0, "it is %s, not %s", state_name(), wanted);
    return error_todo(err, "%s", todo);
}

int steps_suspend(double deadline, const struct precopy_wish *wish, const struct store_wish *image,
                  struct report *report, struct error *err)
{
    if (checkpoint_state() != STATE_RUNNING)
        return steps_refuse("running", "resume it first", err);
    follow_tell_suspended();
    int result = with_closed_gate(deadline, wish, image, suspend_closed, report, err);
    if (result == 0)
        log_pause();
    else if (checkpoint_state() == STATE_RUNNING)
        follow_tell_running(NULL);
    return result;
}

/* Of a suspended process, which has all that goes into the image. */
static int save_suspended(const struct store_wish *image, struct report *report, struct error *err)
{
    size_t count = 0;
    int64_t start = now_ns();
    if (store_begin(image, err) != 0)
        return -1;
    object_reap();
    struct object **objects = object_list(false, &count);
    int result = objects ? store_finish(objects, count, report, err)
                         : error_set(err, 0, "no memory for the list of objects");
    for (size_t i = 0; objects && i < count; i++)
        report->counts[objects[i]->was]++;
    free(objects);
    store_end();
    report->suspend = ms_since(start);
    return result;
}

int steps_save(double deadline, const struct precopy_wish *wish, const struct store_wish *image,
               struct report *report, struct error *err)
{
    if (checkpoint_state() == STATE_SUSPENDED)
        return save_suspended(image, report, err);
    if (checkpoint_state() != STATE_RUNNING)
        return steps_refuse("running or suspended", "wait until it is", err);
    return with_closed_gate(deadline, wish, image, save_closed, report, err);
}

/* What check_suspended looks at. */
struct survey {
    const char *device;
    bool strict;
    struct object **objects;
    size_t count;
    struct findings *findings;
    struct report *report;
    struct error *err;
};

static int survey(void *data)
{
    const struct survey *s = data;
    loader_reload();
    int result = placement_survey(s->device, s->strict, s->objects, s->count, s->findings,
                                  s->report, s->err);
    if (result == 0)
        placement_undo(s->objects, s->count);
    return result;
}

int steps_check_suspended(const char *device, bool strict, struct findings *findings,
                          struct report *report, struct error *err)
{
    struct survey s = {
        .device = device, .strict = strict, .findings = findings, .report = report, .err = err};
    object_reap();
    s.objects = object_list(false, &s.count);
    if (!s.objects)
        return error_set(err, 0, "no memory for the list of objects");
    int result = loader_spare(err);
    if (result == 0) {
        bool hung;
        gate_lend();
        result = watched(survey, &s, &hung, err);
        release_all(NULL, 0, report);
        loader_spared();
        release_again(report);
        gate_unlend();
    }
    free(s.objects);
    return result;
}

static int resume_closed(const struct resume_wish *wish, struct report *report, struct error *err)
{
    /* Who ends the program has no time for the rest. */
    bool lazy = (wish->lazy || config.lazy) && !owner_is_ending();
    const struct rebuild_wish back = {wish->device ? wish->device : "", wish->strict, lazy};
    size_t count = 0;
    object_reap();
    struct object **objects = object_list(false, &count);
    if (!objects)
        return error_set(err, 0, "no memory for the list of objects");
    int result = rebuild_all(&back, objects, count, report, err);
    if (result == 0)
        run_on();
    free(objects);
    return result;
}

int steps_resume(const struct resume_wish *wish, struct report *report, struct error *err)
{
    int64_t start = now_ns();
    if (checkpoint_state() != STATE_SUSPENDED)
        return steps_refuse("suspended", "suspend it first", err);
    begin_rebuild();
    gate_lend();
    int result = resume_closed(wish, report, err);
    gate_unlend();
    if (result != 0)
        atomic_store(&state, STATE_SUSPENDED);
    else
        follow_tell_running(wish->device);
    tally_end();
    report->resume = ms_since(start);
    return result;
}

void steps_forked(void)
{
    if (checkpoint_state() == STATE_SUSPENDED)
        return;
    atomic_store(&state, STATE_RUNNING);
    gate_open();
}
