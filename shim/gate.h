/* SPDX-License-Identifier: Apache-2.0 */
/* The gate that every call to the driver passes. An RCU-like read side: one store to a thread-local
 * word and one load of a word that all share but nobody writes while it is open. The closing side
 * pays, with membarrier(2). Where that is not allowed the read side has a fence instead.
 * ThreadSanitizer knows neither, and need not: what it checks, that one side's accesses come before
 * the other's, goes by `depth` (released by gate_leave, acquired by gate_close) and `gate_state`
 * (released by gate_open, acquired by gate_enter). The barrier only keeps a store before a load. */
#ifndef SHADOWCL_SHIM_GATE_H
#define SHADOWCL_SHIM_GATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "shim/error.h"
#include "shim/export.h"

enum gate_state {
    GATE_CLOSED = 1, /* who comes waits */
    GATE_FENCED = 2, /* no membarrier: the read side needs a fence */
    GATE_STORMY = 4, /* a call may ask for a suspend and resume first (shim/storm.c) */
};

struct gate_thread {
    _Atomic uint32_t depth; /* > 0: inside, so many calls deep */
    bool registered;        /* on the list, and ready for the drivers (loader_ready_thread) */
    bool listed;
    /* > 0: runs the application's code inside the driver, so many times: passes a closed gate. */
    _Atomic uint32_t lent;
    _Atomic uint64_t lending; /* which of all lendings that is */
    pid_t tid;
    /* In a call of the driver's that is waited for no more; it touches nothing of ours after it. */
    atomic_bool left;
    const char *_Atomic call; /* the outermost call it is in; for messages */
    struct gate_thread *next;
};

extern OURS _Thread_local struct gate_thread gate_self __attribute__((tls_model("initial-exec")));
extern OURS _Atomic uint32_t gate_state;

/* Another thread takes it away with the gate closed only: who sees the gate open first, and looks
 * at this then, has seen that. (gcc takes an instruction more for an atomic load.) */
static inline bool gate_is_registered(const struct gate_thread *self)
{
#ifdef __SANITIZE_THREAD__
    return __atomic_load_n(&self->registered, __ATOMIC_RELAXED);
#else
    return self->registered;
#endif
}

/* The slow ways of gate_enter: registers the thread, waits while the gate is closed. */
void gate_enter_slowly(void);

/* In: returns once the gate is open for this thread; may be nested (a nested one never waits). */
static inline void gate_enter(const char *call)
{
    struct gate_thread *self = &gate_self;
    uint32_t depth = atomic_load_explicit(&self->depth, memory_order_relaxed);
    atomic_store_explicit(&self->depth, depth + 1, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    if (depth == 0)
        atomic_store_explicit(&self->call, call, memory_order_relaxed);
    if (__builtin_expect(atomic_load_explicit(&gate_state, memory_order_acquire) != 0, 0) ||
        __builtin_expect(!gate_is_registered(self), 0))
        gate_enter_slowly();
}

static inline void gate_leave(void)
{
    struct gate_thread *self = &gate_self;
    uint32_t depth = atomic_load_explicit(&self->depth, memory_order_relaxed);
    atomic_store_explicit(&self->depth, depth - 1, memory_order_release);
}

/* In without waiting: false when the gate is closed for this thread. */
bool gate_try_enter(const char *call);
/* Is this thread inside? */
bool gate_inside(void);

/* Leaves the gate at scope's end: `GATE(clFlush);` opens every wrapper that may call the driver. */
static inline void gate_scope_leave(const int *unused)
{
    gate_leave();
}
#define GATE(call)                                                                                 \
    __attribute__((cleanup(gate_scope_leave), unused)) const int gate_scope = 0;                   \
    gate_enter(#call)

/* Closes the gate and waits until nobody is inside, at most until the deadline (CLOCK_MONOTONIC,
 * ns). On a miss the gate is open again and err names the thread and its call. The caller is a
 * thread that is not inside. `lent` threads don't count: the drain waits for them. Who is inside
 * for long may wait for what nobody can flush now: all queues are flushed then. */
int gate_close(int64_t deadline, struct error *err);
/* The last part of that alone, after the drain: a driver may run a native kernel on the very thread
 * that is inside a call, which was lent then, and is inside still. The gate stays closed. */
int gate_wait_empty(int64_t deadline, struct error *err);
void gate_open(void);

/* Runs the application's code on a driver's thread (native kernels, SVM free functions): its calls
 * pass the gate even while that is closed. */
void gate_lend(void);
void gate_unlend(void);
bool gate_lent(void);
/* Has such code made a call since gate_forget_passed, with the gate closed? */
void gate_forget_passed(void);
bool gate_has_passed(void);
/* For a thread that is inside with the gate closed, since it ran such code on the way, and has
 * given the driver another command since. */
void gate_note_late(void);
/* Another thread that runs the application's code inside the driver now, and began to with that
 * lending or an earlier one; 0: none. */
pid_t gate_lent_thread(uint64_t up_to);
/* The latest. */
uint64_t gate_lendings(void);
#define ANY_LENDING UINT64_MAX

/* With the gate closed: every thread becomes ready for the drivers again, when it comes next. */
void gate_renew_threads(void);
/* The thread, which does the work of who has closed the gate, is lent by that. */
void gate_stand_in(void);
/* A thread of ours that is in a call of the driver's is waited for no more, … */
void gate_leave_behind(struct gate_thread *thread);
/* … and says that it has come out of it, as of all that it was in. */
void gate_come_back(void);
/* Takes a thread off the list that will never come back from where it is. */
void gate_forget(struct gate_thread *thread);

/* Before anybody comes. What it is given, or NULL, the program's first thread runs once, when it
 * comes to the gate for the first time. */
void gate_init(void (*first_thread_comes)(void));
/* After fork, in the child: only this thread is left. The gate stays as it was: no suspend or
 * resume was in progress (owner_before_fork), so it is closed only when the process is
 * suspended. */
void gate_forked(void);

/* CLOCK_MONOTONIC in nanoseconds. */
int64_t now_ns(void);
double ms_since(int64_t start); /* of now_ns */

#endif
