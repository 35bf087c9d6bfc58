/* SPDX-License-Identifier: Apache-2.0 */
/* The gate's slow side: registration of threads, waiting, closing. See gate.h. */
#include "shim/gate.h"

#include <errno.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "shim/control.h"
#include "shim/follow.h"
#include "shim/loader.h"
#include "shim/log.h"
#include "shim/owner.h"
#include "shim/storm.h"
#include "shim/thread.h"
#include "state/queue.h"

#define FLUSH_NS INT64_C(20000000)

_Thread_local struct gate_thread gate_self __attribute__((tls_model("initial-exec")));
_Atomic uint32_t gate_state;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct gate_thread *threads; /* guarded by lock */
static pthread_key_t key;           /* its destructor takes a thread off the list */
static bool have_key;
static struct gate_thread *_Atomic closer; /* who has closed it last, or stands in for that */
static _Atomic bool passed;
static _Atomic uint64_t lendings;
static void (*on_first_thread)(void); /* read by that thread alone; NULL: it has come already */

int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

double ms_since(int64_t start)
{
    return (double)(now_ns() - start) / 1e6;
}

static bool barrier_all_threads(void)
{
    /* Registered each time: a CRIU restore forgets it, a fork may, and it costs nothing. */
    return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0 &&
           syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0;
}

void gate_forget(struct gate_thread *thread)
{
    pthread_mutex_lock(&lock);
    for (struct gate_thread **p = &threads; *p; p = &(*p)->next)
        if (*p == thread) {
            *p = thread->next;
            break;
        }
    pthread_mutex_unlock(&lock);
}

static void unregister_thread(void *data)
{
    struct gate_thread *self = data;
    gate_forget(self);
    /* It may have ended inside a call, and other destructors may have calls to make. */
    self->registered = self->listed = false;
    self->lent = 0;
    atomic_store(&self->depth, 0);
}

static void register_thread(struct gate_thread *self)
{
    self->tid = (pid_t)syscall(SYS_gettid);
    pthread_mutex_lock(&lock);
    if (!self->listed) {
        self->next = threads;
        threads = self;
    }
    self->registered = self->listed = true;
    pthread_mutex_unlock(&lock);
    loader_ready_thread();
    if (have_key)
        pthread_setspecific(key, self);
    if (self->tid == getpid() && on_first_thread) {
        on_first_thread();
        on_first_thread = NULL;
    }
}

static void wait_until_open(void)
{
    uint32_t state;
    /* In a child that was forked while suspended: somebody must be there to ask for its resume. */
    control_start();
    follow_at_gate();
    owner_waits_at_gate(true);
    while ((state = atomic_load(&gate_state)) & GATE_CLOSED)
        syscall(SYS_futex, &gate_state, FUTEX_WAIT_PRIVATE, state, NULL, NULL, 0);
    owner_waits_at_gate(false);
}

/* Is a thread that has just stored its depth turned away? */
static bool turned_away(const struct gate_thread *self)
{
    if (atomic_load(&gate_state) & GATE_FENCED)
        atomic_thread_fence(memory_order_seq_cst);
    return (atomic_load(&gate_state) & GATE_CLOSED) && !self->lent &&
           atomic_load_explicit(&self->depth, memory_order_relaxed) == 1;
}

/* Comes in through the closed gate, for code of the application's inside the driver? */
static void note_passing(const struct gate_thread *self)
{
    uint32_t own = atomic_load(&closer) == self;
    if ((atomic_load(&gate_state) & GATE_CLOSED) && self->lent > own)
        atomic_store(&passed, true);
}

void gate_forget_passed(void)
{
    atomic_store(&passed, false);
}

bool gate_has_passed(void)
{
    return atomic_load(&passed);
}

void gate_note_late(void)
{
    if (atomic_load(&gate_state) & GATE_CLOSED)
        atomic_store(&passed, true);
}

/* Storm strikes outermost calls only, and not on a thread that runs inside the driver. */
static bool struck_by_storm(const struct gate_thread *self)
{
    return (atomic_load(&gate_state) & GATE_STORMY) && !self->lent &&
           atomic_load_explicit(&self->depth, memory_order_relaxed) == 1 && storm_strikes();
}

/* Waits outside of the gate, and comes back to it. */
static void stand_back(struct gate_thread *self, void (*wait)(void))
{
    int saved = errno;
    atomic_store_explicit(&self->depth, 0, memory_order_release);
    wait();
    atomic_store_explicit(&self->depth, 1, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    errno = saved;
}

static void make_ready(struct gate_thread *self)
{
    if (gate_is_registered(self))
        return;
    /* Not yet on the list, so the closing side could not have seen the depth: stand back. */
    uint32_t depth = atomic_load_explicit(&self->depth, memory_order_relaxed);
    atomic_store(&self->depth, 0);
    register_thread(self);
    atomic_store(&self->depth, depth);
}

void gate_enter_slowly(void)
{
    struct gate_thread *self = &gate_self;
    make_ready(self);
    if (struck_by_storm(self))
        stand_back(self, storm_cycle);
    make_ready(self);
    while (turned_away(self))
        stand_back(self, wait_until_open);
    /* Drivers may have come while it waited; none do while it is inside. */
    if (!gate_is_registered(self))
        register_thread(self);
    note_passing(self);
}

void gate_renew_threads(void)
{
    pthread_mutex_lock(&lock);
    for (struct gate_thread *t = threads; t; t = t->next)
        __atomic_store_n(&t->registered, false, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&lock);
}

static bool try_enter_slowly(struct gate_thread *self, uint32_t depth, const char *call)
{
    if (depth == 0)
        make_ready(self);
    if (turned_away(self)) {
        gate_leave();
        return false;
    }
    if (!gate_is_registered(self))
        register_thread(self);
    note_passing(self);
    if (depth == 0)
        self->call = call;
    return true;
}

bool gate_try_enter(const char *call)
{
    struct gate_thread *self = &gate_self;
    uint32_t depth = atomic_load_explicit(&self->depth, memory_order_relaxed);
    atomic_store_explicit(&self->depth, depth + 1, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    if (__builtin_expect(atomic_load_explicit(&gate_state, memory_order_acquire) != 0, 0) ||
        __builtin_expect(!gate_is_registered(self), 0))
        return try_enter_slowly(self, depth, call);
    if (depth == 0)
        self->call = call;
    return true;
}

bool gate_inside(void)
{
    return atomic_load_explicit(&gate_self.depth, memory_order_relaxed) > 0;
}

bool gate_lent(void)
{
    return atomic_load_explicit(&gate_self.lent, memory_order_relaxed) > 0;
}

/* The first thread that is inside, or NULL. Called with the lock held. */
static struct gate_thread *find_inside(void)
{
    for (struct gate_thread *t = threads; t; t = t->next)
        if (t != &gate_self && !t->lent && !t->left &&
            atomic_load_explicit(&t->depth, memory_order_acquire) > 0)
            return t;
    return NULL;
}

static int still_inside(pid_t tid, const char *call, struct error *err)
{
    error_object(err, "thread %d", tid);
    error_set(err, 0, "it is still inside `%s` at the deadline", call);
    return error_todo(err, "allow more time with --deadline, or try again later");
}

/* A driver may flush only once somebody else's wait has ended: nobody waits for that here, but
 * beyond the deadline. */
static atomic_bool flushing;
static _Atomic pid_t flusher;

static void *flush_all(void *unused)
{
    atomic_store(&flusher, (pid_t)syscall(SYS_gettid));
    gate_lend();
    gate_enter("the flush of queues");
    queue_flush_all();
    gate_leave();
    gate_unlend();
    atomic_store(&flushing, false);
    return NULL;
}

static void flush_beside(void)
{
    if (!atomic_exchange(&flushing, true) && !thread_start(flush_all, NULL))
        atomic_store(&flushing, false);
}

/* `flush`: who is inside may be waiting for a command that the driver need not begin before its
 * queue is flushed, and the thread that would do that waits at the gate (§5.15). */
static int wait_empty(int64_t deadline, bool flush, struct error *err)
{
    int64_t next_flush = now_ns() + FLUSH_NS;
    for (long pause = 1000;; pause = pause < 500000 ? pause * 2 : pause) {
        char call[64] = "";
        pthread_mutex_lock(&lock);
        struct gate_thread *inside = find_inside();
        pid_t tid = inside ? inside->tid : atomic_load(&flusher);
        snprintf(call, sizeof call, "%s", inside && inside->call ? inside->call : "clFlush");
        pthread_mutex_unlock(&lock);
        if (!inside && !atomic_load(&flushing))
            return 0;
        if (now_ns() > deadline)
            return still_inside(tid, call, err);
        if (flush && now_ns() > next_flush) {
            flush_beside();
            next_flush = now_ns() + FLUSH_NS;
        }
        nanosleep(&(struct timespec){.tv_nsec = pause}, NULL);
    }
}

int gate_close(int64_t deadline, struct error *err)
{
    atomic_store(&closer, &gate_self);
    atomic_fetch_or(&gate_state, GATE_CLOSED);
    if (!(atomic_load(&gate_state) & GATE_FENCED) && !barrier_all_threads()) {
        /* Became forbidden while we ran (a restore under a stricter sandbox): the stores that are
         * on their way now arrive within microseconds; from here on the read side has fences. */
        atomic_fetch_or(&gate_state, GATE_FENCED);
        log_info("membarrier is not allowed any more: fences from here on");
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    int result = wait_empty(deadline, true, err);
    if (result != 0)
        gate_open();
    return result;
}

int gate_wait_empty(int64_t deadline, struct error *err)
{
    return wait_empty(deadline, false, err);
}

void gate_open(void)
{
    atomic_fetch_and(&gate_state, ~(uint32_t)GATE_CLOSED);
    syscall(SYS_futex, &gate_state, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

void gate_lend(void)
{
    struct gate_thread *self = &gate_self;
    if (!self->registered)
        register_thread(self);
    if (atomic_load(&self->lent) == 0)
        atomic_store(&self->lending, atomic_fetch_add(&lendings, 1) + 1);
    atomic_fetch_add(&self->lent, 1);
}

void gate_unlend(void)
{
    atomic_fetch_sub(&gate_self.lent, 1);
}

void gate_stand_in(void)
{
    atomic_store(&closer, &gate_self);
}

void gate_leave_behind(struct gate_thread *thread)
{
    atomic_store(&thread->left, true);
}

void gate_come_back(void)
{
    struct gate_thread *self = &gate_self;
    atomic_store(&self->depth, 0);
    atomic_store(&self->lent, 0);
    atomic_store(&self->left, false);
}

uint64_t gate_lendings(void)
{
    return atomic_load(&lendings);
}

pid_t gate_lent_thread(uint64_t up_to)
{
    pid_t tid = 0;
    pthread_mutex_lock(&lock);
    for (struct gate_thread *t = threads; t && !tid; t = t->next)
        if (t != &gate_self && t->lent && !t->left && atomic_load(&t->lending) <= up_to)
            tid = t->tid;
    pthread_mutex_unlock(&lock);
    return tid;
}

void gate_init(void (*first_thread_comes)(void))
{
    on_first_thread = first_thread_comes;
    have_key = pthread_key_create(&key, unregister_thread) == 0;
    if (!barrier_all_threads())
        atomic_fetch_or(&gate_state, GATE_FENCED);
}

void gate_forked(void)
{
    pthread_mutex_init(&lock, NULL);
    threads = NULL;
    on_first_thread = NULL; /* that of a child is any thread: it may end long before the child */
    atomic_store(&flushing, false);
    gate_self.registered = gate_self.listed = false;
    atomic_store(&gate_self.depth, 0);
}
