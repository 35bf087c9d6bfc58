/* SPDX-License-Identifier: Apache-2.0 */
/* Contents that go up while the program runs: see lazy.h.
 *
 * Two kinds of threads bring them up: the program's own, each what its command needs, by a queue
 * that is theirs (context->lifter), and one of ours the rest, by the context's copier. An object is
 * one thread's while it is MEM_RISING; whoever else needs it waits. */
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
#define BATCH_BYTES (UINT64_C(8) << 20) /* … and so much, or one object */

/* An object whose turn has not come. It is not held until then: its release would wait. */
struct waiting {
    struct mem *mem;
    uint32_t generation;
};

/* What our thread has on its way at once; each is held. */
struct batch {
    struct mem *mems[BATCH_OBJECTS];
    size_t count;
    uint64_t bytes;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER; /* something below, or an object's `owed` */
static bool running;                                    /* guarded by lock: our thread is there */
static bool stopping;                                   /* guarded by lock: it shall end */
static _Atomic bool at_work;                            /* our thread is inside the gate */
static _Atomic bool forking;                            /* and shall not go there */
static _Atomic bool orphaned; /* a forked child: our thread is the parent's */

/* Takes the object in hand, once nobody else has it; false: it is up. */
static bool take(struct mem *mem)
{
    pthread_mutex_lock(&lock);
    while (atomic_load(&mem->owed) == MEM_RISING)
        pthread_cond_wait(&moved, &lock);
    bool mine = atomic_load(&mem->owed) == MEM_OWED;
    if (mine)
        atomic_store(&mem->owed, MEM_RISING);
    pthread_mutex_unlock(&lock);
    return mine;
}

static void settle(struct mem *mem, bool is_up)
{
    pthread_mutex_lock(&lock);
    if (is_up)
        mem_not_owed(mem);
    else
        atomic_store(&mem->owed, MEM_OWED);
    pthread_cond_broadcast(&moved);
    pthread_mutex_unlock(&lock);
}

static cl_int say_failed(const struct error *err)
{
    log_warn("contents are still to be brought up: %s", err->reason);
    return err->code ? err->code : CL_OUT_OF_RESOURCES;
}

/* One object's contents by the lifter, to their end; what the driver says. */
static cl_int lift(struct mem *mem)
{
    struct error err = {0};
    const struct driver *driver = mem->object.driver;
    cl_command_queue queue = mem->context->lifter;
    cl_event event = NULL;
    bool late = false;
    if (mem_upload(mem, queue, &event, &err) != 0)
        return say_failed(&err);
    driver->clFlush(queue);
    return copier_wait(driver, &event, 1, mem->size, &late, &err) == 0 ? CL_SUCCESS
                                                                       : say_failed(&err);
}

cl_int lazy_bring_up(struct mem *mem)
{
    if (atomic_exchange(&orphaned, false))
        lazy_start();
    if (!take(mem))
        return CL_SUCCESS;
    object_hold(mem);
    cl_int status = lift(mem);
    settle(mem, status == CL_SUCCESS);
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
            list[(*count)++] = (struct waiting){mem, mem->object.generation};
    }
    roster_drop(mems, mems ? held : 0);
    return list;
}

/* Takes what is nobody's; what a command has in hand is left to it. */
static void add_to_batch(struct batch *batch, const struct waiting *waiting)
{
    struct mem *mem = waiting->mem;
    if (!object_hold_alive(&mem->object, waiting->generation))
        return;
    pthread_mutex_lock(&lock);
    bool mine = atomic_load(&mem->owed) == MEM_OWED;
    if (mine)
        atomic_store(&mem->owed, MEM_RISING);
    pthread_mutex_unlock(&lock);
    if (!mine) {
        object_drop(mem);
        return;
    }
    batch->mems[batch->count++] = mem;
    batch->bytes += mem->size;
}

/* Each copier of the batch's objects is emptied; some context's may have failed. */
static bool bring_up_batch(const struct batch *batch)
{
    struct error err = {0};
    size_t sent = 0;
    int result = 0;
    while (result == 0 && sent < batch->count) {
        struct mem *mem = batch->mems[sent++];
        result = context_copier(mem->context, &err);
        if (result == 0)
            result =
                mem_upload(mem, mem->context->copier, context_copy(mem->context, mem->size), &err);
    }
    for (size_t i = 0; i < sent; i++)
        if (context_finish_copies(batch->mems[i]->context, &err) != 0)
            result = -1;
    bool ok = result == 0;
    if (!ok)
        say_failed(&err);
    for (size_t i = 0; i < batch->count; i++) {
        settle(batch->mems[i], ok);
        object_drop(batch->mems[i]);
    }
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
        while (i < count && batch.count < BATCH_OBJECTS && batch.bytes < BATCH_BYTES)
            add_to_batch(&batch, &list[i++]);
        ok = bring_up_batch(&batch);
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

void lazy_forget(struct mem *mem)
{
    settle(mem, true);
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
