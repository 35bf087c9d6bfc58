/* SPDX-License-Identifier: Apache-2.0 */
/* A part of a suspend or resume, on a thread of its own: a driver's call that never comes back
 * stops that thread only. Who waits for it looks for signs of life; without any for so long as a
 * driver may take for a call (SHADOWCL_CALL_PATIENCE), its end is no longer waited for. An instance
 * of the driver that is given up has the thread frozen in it (shim/freeze.h). One that the program
 * goes on using must have its locks back when the call ends after all, as must the dynamic loader:
 * the thread is left there, and goes no further than to the end of that call (CALL). */
#ifndef SHADOWCL_SHIM_PHASE_H
#define SHADOWCL_SHIM_PHASE_H

#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "shim/export.h"

struct gate_thread;
struct library;
struct object;

/* With the dynamic loader's lock held, in code of the library's. */
enum phase_linking {
    LINKING_NOT,
    LINKING_IN,  /* its constructors, in dlopen */
    LINKING_OUT, /* its destructors, in dlclose */
};

/* Where the thread is: in calls of a driver, or in our own code (no library). */
struct phase_place {
    struct library *library;
    /* The calls are made for it; NULL: the driver is being started. */
    const struct object *object;
    bool slow;      /* programs are built */
    uint64_t bytes; /* that one call may copy */
    enum phase_linking linking;
};

/* What a thread that was left gives back to the driver when it has come out of its call after all:
 * part of memory that goes with it, and that nobody else has any more. */
struct leftover {
    struct leftover *next;
    void (*give_back)(struct leftover *leftover);
};

struct phase {
    int (*act)(void *data);
    void *data;
    bool leaves; /* the driver is used further on: left, not frozen */
    int result;  /* of act; with `ended` */
    pid_t tid;
    sigset_t let_in; /* for the driver's threads, which inherit the mask, and to be frozen */
    struct gate_thread *gate; /* the thread's */
    _Atomic uint32_t beats;   /* signs of life */
    _Atomic uint32_t silent;  /* frozen only where there was none since these */
    struct library *_Atomic library;
    const struct object *_Atomic object;
    atomic_bool slow;
    _Atomic uint64_t bytes;
    _Atomic int linking;    /* enum phase_linking */
    _Atomic uint32_t own;   /* > 0: holds locks of ours, so many deep: not to be frozen */
    _Atomic uint32_t frost; /* enum frost, of shim/freeze.c */
    _Atomic uint32_t ended;
    /* How often it has gone into a call by CALL, and come out of it: odd while it is in one. With
     * PHASE_LEFT it never comes out of that one. */
    _Atomic uint64_t calls;
    jmp_buf way_out;            /* of the thread that was left */
    struct leftover *leftovers; /* the thread's; with `settled` also what others add */
    _Atomic uint32_t settled;   /* what was its own to change is nobody's: it may end */
};

#define PHASE_LEFT (UINT64_C(1) << 63)

/* The thread's; NULL for all others. */
extern OURS _Thread_local struct phase *phase_self __attribute__((tls_model("initial-exec")));

/* Runs `act` on a thread of its own (on this one, where there can't be one, and where any patience
 * is endless) and returns what it does. When a driver's call does not come back, and there is
 * another instance to go on with: -1, and *hung says where (library NULL: it did). `data`, and all
 * that it leads to, is the caller's again in any case. */
int phase_run(int (*act)(void *data), void *data, struct phase_place *hung);

/* The same for a driver that is used further on. When a call that was made by CALL does not come
 * back: -1, *hung says where, and *left is the thread. It touches nothing of ours from now on but
 * its leftovers, which it gives back when it comes out of the call, and phase_settle has been
 * called for it. What it is copying may be written to for as long as the driver likes. */
int phase_run_or_leave(int (*act)(void *data), void *data, struct phase_place *hung,
                       struct phase **left);
/* `more` are leftovers, too, the last ones. Its memory is its own from now on. */
void phase_settle(struct phase *left, struct leftover *more);

/* Runs it on this thread, with its calls let through the gate, and waits for whatever it does. */
int phase_run_here(int (*act)(void *data), void *data);

/* How long a driver may take for a call there, s. */
unsigned long phase_patience(const struct phase_place *place);

static inline void phase_beat(void)
{
    if (phase_self)
        atomic_fetch_add_explicit(&phase_self->beats, 1, memory_order_relaxed);
}

/* In a phase, what it has of a driver is given back if it is left; until phase_gave. */
void phase_keeps(struct leftover *leftover);
void phase_gave(struct leftover *leftover);

/* Of a thread that was left. */
_Noreturn void phase_come_out(struct phase *self);

/* 0: no thread that may be left, or in a call already, from which the driver has called us. */
static inline uint64_t phase_call(void)
{
    struct phase *self = phase_self;
    if (!self || (atomic_load_explicit(&self->calls, memory_order_relaxed) & 1))
        return 0;
    return atomic_fetch_add(&self->calls, 1) + 1;
}

static inline void phase_called(uint64_t number)
{
    if (number && !atomic_compare_exchange_strong(&phase_self->calls, &number, number + 1))
        phase_come_out(phase_self);
}

/* A call of a driver's, in which the thread may be left: then nothing after it is carried out. What
 * the driver is to write to lies on this thread's stack, or in what goes with the thread. */
#define CALL(call)                                                                                 \
    ({                                                                                             \
        const uint64_t number_of_call = phase_call();                                              \
        __auto_type result_of_call = (call);                                                       \
        phase_called(number_of_call);                                                              \
        result_of_call;                                                                            \
    })

/* As RELEASE of state/driver.h. What is given back is nobody's before. */
#define CALL_RELEASE(driver, call, real)                                                           \
    do {                                                                                           \
        const uint64_t number_of_call = phase_call();                                              \
        RELEASE(driver, call, real);                                                               \
        phase_called(number_of_call);                                                              \
    } while (0)

struct phase_place phase_enter(struct phase_place place); /* returns the place before */
void phase_leave(const struct phase_place *before);

/* Until the scope's end, calls of this library are made: the thread may be frozen in them. */
#define IN_DRIVER(library, object, slow)                                                           \
    IN_DRIVER_AT(((struct phase_place){library, object, slow, 0, LINKING_NOT}))

/* The same, with calls that may copy so many bytes each before they return. */
#define IN_DRIVER_COPYING(library, object, bytes)                                                  \
    IN_DRIVER_AT(((struct phase_place){library, object, false, bytes, LINKING_NOT}))

#define IN_DRIVER_AT(place)                                                                        \
    __attribute__((cleanup(phase_leave), unused)) const struct phase_place place_before =          \
        phase_enter(place)

static inline bool phase_hold(void)
{
    if (phase_self)
        atomic_fetch_add_explicit(&phase_self->own, 1, memory_order_relaxed);
    return phase_self;
}

static inline void phase_let_go(const bool *held)
{
    struct phase *self = phase_self;
    if (!*held || !self)
        return;
    /* What took its time here was not the driver. */
    atomic_fetch_add_explicit(&self->beats, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&self->own, 1, memory_order_release);
}

static inline bool phase_hold_left(void)
{
    return phase_self && phase_self->leaves && phase_hold();
}

/* Until the scope's end, it must not be left either: it would have done things by halves. */
#define NOT_LEFT()                                                                                 \
    __attribute__((cleanup(phase_let_go), unused)) const bool not_left = phase_hold_left()

/* Until the scope's end, the thread holds a lock of ours, or waits for something that is not the
 * driver's: it must not be frozen. */
#define NOT_FROZEN()                                                                               \
    __attribute__((cleanup(phase_let_go), unused)) const bool not_frozen = phase_hold()

#endif
