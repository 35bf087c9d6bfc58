/* SPDX-License-Identifier: Apache-2.0 */
/* Contents that go up while the program runs: see lazy.h.
 *
 * Two kinds of threads bring them up: the program's own, each what its command needs, by a queue
 * that is theirs (context->lifter), and one of ours the rest, by the context's copier. An object is
 * one thread's while it is MEM_RISING; whoever else needs it waits. Ours has it for a part of so
 * many bytes at a time, of a large one: nobody waits for the whole who does not need it. */
#include "shim/lazy.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "shim/config.h"
#include "shim/gate.h"
#include "shim/log.h"
#include "shim/thread.h"
#include "state/copier.h"
#include "state/staging.h"

#define AGAIN_S 1                       /* after what has failed */
#define BATCH_OBJECTS 64                /* on the way at once … */
#define BATCH_BYTES (UINT64_C(8) << 20) /* … and so much, or a part of one object */

/* An object whose turn has not come. It is not held until then: its release would wait. */
struct waiting {
    struct mem *mem;
    uint32_t generation;
    size_t size;
};

/* What our thread has on its way at once; each is held. */
struct batch {
    struct mem *mems[BATCH_OBJECTS];
    struct rise *rises[BATCH_OBJECTS]; /* owned */
    size_t count;
    uint64_t bytes;
    bool is_part; /* there is more of it */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER; /* something below, or an object's `owed` */
static bool running;                                    /* guarded by lock: our thread is there */
static bool stopping;                                   /* guarded by lock: it shall end */
static _Atomic bool at_work;                            /* our thread is inside the gate */
static _Atomic bool forking;                            /* and shall not go there */
static _Atomic bool orphaned; /* a forked child: our thread is the parent's */

/* How far it is, out of those that are begun: the caller's. NULL: it is at its beginning. With the
 * lock. */
static struct rise *take_begun(const struct mem *mem)
{
    struct rise **at = &mem->context->rises;
    while (*at && (*at)->mem != mem)
        at = &(*at)->next;
    struct rise *rise = *at;
    if (rise)
        *at = rise->next;
    return rise;
}

static struct rise *take_rise(const struct mem *mem)
{
    struct rise *rise = take_begun(mem);
    if (!rise && (rise = calloc(1, sizeof *rise)))
        rise->mem = mem;
    return rise;
}

/* What is nobody's, with the lock. */
static struct rise *take_owed(struct mem *mem)
{
    struct rise *rise = atomic_load(&mem->owed) == MEM_OWED ? take_rise(mem) : NULL;
    if (rise)
        atomic_store(&mem->owed, MEM_RISING);
    return rise;
}

/* Takes the object in hand, once nobody else has it. NULL: it is up, or there is no memory. */
static struct rise *take(struct mem *mem)
{
    pthread_mutex_lock(&lock);
    while (atomic_load(&mem->owed) == MEM_RISING)
        pthread_cond_wait(&moved, &lock);
    struct rise *rise = take_owed(mem);
    pthread_mutex_unlock(&lock);
    return rise;
}

/* Out of the hand again: up, or as far as it is. */
static void settle(struct mem *mem, struct rise *rise)
{
    bool is_up = rise->up == mem->size;
    pthread_mutex_lock(&lock);
    if (is_up)
        mem_not_owed(mem);
    else
        atomic_store(&mem->owed, MEM_OWED);
    if (!is_up && (rise->up || rise->event)) {
        rise->next = mem->context->rises;
        mem->context->rises = rise;
        rise = NULL;
    }
    pthread_cond_broadcast(&moved);
    pthread_mutex_unlock(&lock);
    free(rise);
}

static cl_int say_failed(const struct error *err)
{
    log_warn("contents are still to be brought up: %s", err->reason);
    return err->code ? err->code : CL_OUT_OF_RESOURCES;
}

/* A part of it, unless one is on its way yet; the queue is to be flushed. */
static int send(struct mem *mem, cl_command_queue queue, struct rise *rise, size_t most,
                struct error *err)
{
    size_t left = mem->size - rise->up;
    size_t size = mem->image || left < most ? left : most;
    if (rise->event)
        return 0;
    if (mem_upload(mem, queue, rise->up, size, &rise->event, err) != 0)
        return -1;
    rise->to = rise->up + size;
    return 0;
}

/* Waits for the part. */
static int land(const struct mem *mem, struct rise *rise, bool patient, struct error *err)
{
    int result = copier_await(mem->object.driver, rise, patient, err);
    if (result == 0)
        rise->up = rise->to;
    else if (!rise->event) /* it has failed */
        rise->to = rise->up;
    return result;
}

/* All that is left of one object's contents by the lifter, to their end; what the driver says. */
static cl_int lift(struct mem *mem, struct rise *rise)
{
    struct error err = {0};
    cl_command_queue queue = mem->context->lifter;
    while (rise->up < mem->size) {
        if (send(mem, queue, rise, SIZE_MAX, &err) != 0)
            return say_failed(&err);
        mem->object.driver->clFlush(queue);
        if (land(mem, rise, true, &err) != 0)
            return say_failed(&err);
    }
    return CL_SUCCESS;
}

cl_int lazy_bring_up(struct mem *mem)
{
    if (atomic_exchange(&orphaned, false))
        lazy_start();
    struct rise *rise = take(mem);
    if (!rise)
        return atomic_load(&mem->owed) == MEM_UP ? CL_SUCCESS : CL_OUT_OF_HOST_MEMORY;
    object_hold(mem);
    cl_int status = lift(mem, rise);
    settle(mem, rise);
    object_drop(mem);
    return status;
}

cl_int lazy_need_all(void)
{
    size_t count;
    struct object **mems = roster_hold(&mem_roster, &count);
    cl_int err = mems ? CL_SUCCESS : CL_OUT_OF_HOST_MEMORY;
    for (size_t i = 0; i < count && err == CL_SUCCESS; i++)
        err = lazy_need((struct mem *)mems[i]);
    roster_drop(mems, mems ? count : 0);
    return err;
}

static bool is_stopping(void)
{
    pthread_mutex_lock(&lock);
    bool answer = stopping;
    pthread_mutex_unlock(&lock);
    return answer;
}

/* Our thread's way through the gate: it waits neither for a closed one nor for a fork, but stands
 * back. False: it shall end. */
static bool go_to_work(void)
{
    while (!is_stopping()) {
        atomic_store(&at_work, true);
        if (!atomic_load(&forking) && gate_try_enter("the upload of contents"))
            return true;
        atomic_store(&at_work, false);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return false;
}

static void leave_work(void)
{
    gate_leave();
    atomic_store(&at_work, false);
}

/* Oldest first. NULL: without memory, or none. */
static struct waiting *list_waiting(size_t *count)
{
    size_t held;
    struct object **mems = roster_hold(&mem_roster, &held);
    struct waiting *list = malloc((held + 1) * sizeof *list);
    *count = 0;
    for (size_t i = held; mems && list && i-- > 0;) {
        struct mem *mem = (struct mem *)mems[i];
        if (atomic_load(&mem->owed) != MEM_UP)
            list[(*count)++] = (struct waiting){mem, mem->object.generation, mem->size};
    }
    roster_drop(mems, mems ? held : 0);
    return list;
}

/* A large one is alone: those that are small don't wait for it. */
static bool fits(const struct batch *batch, const struct waiting *waiting)
{
    return !batch->count ||
           (batch->count < BATCH_OBJECTS && batch->bytes + waiting->size <= BATCH_BYTES);
}

/* Takes what is nobody's; what a command has in hand is left to it. */
static void add_to_batch(struct batch *batch, const struct waiting *waiting)
{
    struct mem *mem = waiting->mem;
    if (!object_hold_alive(&mem->object, waiting->generation))
        return;
    pthread_mutex_lock(&lock);
    struct rise *rise = take_owed(mem);
    pthread_mutex_unlock(&lock);
    if (!rise) {
        object_drop(mem);
        return;
    }
    batch->rises[batch->count] = rise;
    batch->mems[batch->count++] = mem;
    batch->bytes += mem->size;
}

/* -1: some of them have not been. */
static int send_batch(struct batch *batch, struct error *err)
{
    size_t sent = 0;
    int result = 0;
    for (; result == 0 && sent < batch->count; sent++) {
        struct mem *mem = batch->mems[sent];
        result = context_copier(mem->context, err);
        if (result == 0)
            result = send(mem, mem->context->copier, batch->rises[sent], MEM_PART, err);
    }
    for (size_t i = 0; i < sent; i++) {
        const struct mem *mem = batch->mems[i];
        bool is_last = i + 1 == sent || batch->mems[i + 1]->context != mem->context;
        if (is_last && mem->context->copier)
            mem->object.driver->clFlush(mem->context->copier);
    }
    return result;
}

/* Each is up, or not, by itself. After one whose end is not seen, the others are not waited for. */
static bool bring_up_batch(struct batch *batch)
{
    struct error err = {0};
    bool ok = send_batch(batch, &err) == 0, late = false;
    for (size_t i = 0; i < batch->count; i++) {
        struct mem *mem = batch->mems[i];
        struct rise *rise = batch->rises[i];
        if (land(mem, rise, !late && !rise->was_late, &err) != 0)
            ok = false;
        late |= rise->was_late;
        batch->is_part = ok && rise->up < mem->size;
        settle(mem, rise);
        object_drop(mem);
    }
    if (!ok)
        say_failed(&err);
    return ok;
}

/* To their end, or until it shall end or the driver has failed. */
static void bring_up_all(const struct waiting *list, size_t count)
{
    bool ok = true;
    for (size_t i = 0; i < count && ok;) {
        struct batch batch = {0};
        if (!go_to_work())
            return;
        while (i < count && fits(&batch, &list[i]))
            add_to_batch(&batch, &list[i++]);
        ok = bring_up_batch(&batch);
        i -= batch.is_part; /* it is the last */
        leave_work();
    }
}

/* What commands have in hand is theirs to finish; what has failed is tried again after a while. */
static void wait_for_commands(void)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += AGAIN_S;
    int late = 0;
    pthread_mutex_lock(&lock);
    while (atomic_load(&lazy_owed) && !stopping && !late)
        late = pthread_cond_timedwait(&moved, &lock, &until);
    pthread_mutex_unlock(&lock);
}

/* All is up: no command needs a queue of ours any more. Those of a context that has no memory
 * objects left go with it. */
static void clear_away(void)
{
    size_t count;
    if (!go_to_work())
        return;
    struct object **mems = roster_hold(&mem_roster, &count);
    for (size_t i = 0; mems && i < count; i++)
        context_drop_copier(((struct mem *)mems[i])->context);
    roster_drop(mems, mems ? count : 0);
    mem_forget_contents();
    staging_drop();
    leave_work();
}

/* Not where it was to stop, and is to go on after all. */
static bool is_at_end(bool done)
{
    pthread_mutex_lock(&lock);
    bool end = done || stopping;
    if (end) {
        running = false;
        pthread_cond_broadcast(&moved);
    }
    pthread_mutex_unlock(&lock);
    return end;
}

static void *run(void *unused)
{
    int64_t start = now_ns();
    size_t count = 0;
    bool done;
    do {
        while (atomic_load(&lazy_owed) && !is_stopping()) {
            struct waiting *list = list_waiting(&count);
            if (list)
                bring_up_all(list, count);
            free(list);
            wait_for_commands();
        }
        done = !atomic_load(&lazy_owed);
        if (done)
            clear_away();
    } while (!is_at_end(done));
    log_info("contents: %s, %.1f ms", done ? "all brought up" : "not all brought up",
             (double)(now_ns() - start) / 1e6);
    return NULL;
}

void lazy_start(void)
{
    if (config.lazy == LAZY_NEEDED)
        return;
    pthread_mutex_lock(&lock);
    stopping = false;
    if (!running)
        running = thread_start(run, NULL);
    if (!running)
        log_warn("contents are brought up only as commands need them: no thread for the rest");
    pthread_mutex_unlock(&lock);
}

void lazy_stop(void)
{
    pthread_mutex_lock(&lock);
    stopping = true;
    atomic_store(&orphaned, false);
    pthread_cond_broadcast(&moved);
    while (running)
        pthread_cond_wait(&moved, &lock);
    pthread_mutex_unlock(&lock);
}

int lazy_stop_by(double seconds, struct error *err)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    double whole = floor(seconds);
    until.tv_sec += (time_t)whole;
    until.tv_nsec += (long)((seconds - whole) * 1e9);
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    int late = 0;
    pthread_mutex_lock(&lock);
    stopping = true;
    atomic_store(&orphaned, false);
    pthread_cond_broadcast(&moved);
    while (running && !late)
        late = pthread_cond_timedwait(&moved, &lock, &until);
    bool stopped = !running;
    stopping = stopped;
    pthread_mutex_unlock(&lock);
    if (stopped)
        return 0;
    error_object(err, "contents that go up behind the program");
    error_set(err, 0, "the driver has not come to an end with a part of them at the deadline");
    return error_todo(err, "allow more time with --deadline, or try again later; see whether the "
                           "device still works");
}

/* What is on its way yet writes to memory that its driver keeps for it. */
void lazy_forget(struct mem *mem)
{
    pthread_mutex_lock(&lock);
    struct rise *rise = take_begun(mem);
    mem_not_owed(mem);
    pthread_cond_broadcast(&moved);
    pthread_mutex_unlock(&lock);
    if (rise && rise->event)
        CALL_RELEASE(mem->object.driver, clReleaseEvent, rise->event);
    free(rise);
}

void lazy_before_fork(void)
{
    atomic_store(&forking, true);
    /* A signal handler may have interrupted a thread that our own waits for. */
    while (atomic_load(&at_work) && !gate_inside())
        nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
}

void lazy_after_fork(void)
{
    atomic_store(&forking, false);
}

/* What the parent's threads had in hand was not brought up here. */
static void give_up(void *object, void *data)
{
    struct mem *mem = object;
    if (atomic_load(&mem->owed) == MEM_UP)
        return;
    atomic_store(&mem->owed, MEM_OWED);
    for (struct rise *rise = mem->context->rises; rise; rise = rise->next)
        if (rise->mem == mem) {
            rise->event = NULL; /* the parent's */
            rise->to = rise->up;
            rise->was_late = false;
        }
    ++*(uint32_t *)data;
}

void lazy_forked(void)
{
    pthread_mutex_init(&lock, NULL);
    pthread_cond_init(&moved, NULL);
    uint32_t owed = 0;
    roster_each(&mem_roster, give_up, &owed);
    atomic_store(&lazy_owed, owed);
    running = stopping = false;
    at_work = forking = false;
    orphaned = owed > 0;
}
