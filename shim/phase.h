/* SPDX-License-Identifier: Apache-2.0 */
/* A part of a suspend or resume, on a thread of its own: a driver's call that never comes back
 * stops that thread only. Who waits for it looks for signs of life; without any for so long as a
 * driver may take for a call (SHADOWCL_CALL_PATIENCE), the thread is frozen (shim/freeze.h) and its
 * end is no longer waited for. */
#ifndef SHADOWCL_SHIM_PHASE_H
#define SHADOWCL_SHIM_PHASE_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "shim/export.h"

struct gate_thread;
struct library;
struct object;

/* Where the thread is: in calls of a driver, or in our own code (no library). */
struct phase_place {
    struct library *library;
    /* The calls are made for it; NULL: the driver is being started. */
    const struct object *object;
    bool slow;      /* programs are built */
    uint64_t bytes; /* that one call may copy */
};

struct phase {
    int (*act)(void *data);
    void *data;
    int result; /* of act; with `ended` */
    pid_t tid;
    sigset_t let_in; /* for the driver's threads, which inherit the mask, and to be frozen */
    struct gate_thread *gate; /* the thread's */
    _Atomic uint32_t beats;   /* signs of life */
    _Atomic uint32_t silent;  /* frozen only where there was none since these */
    struct library *_Atomic library;
    const struct object *_Atomic object;
    atomic_bool slow;
    _Atomic uint64_t bytes;
    _Atomic uint32_t own;   /* > 0: holds locks of ours, so many deep: not to be frozen */
    _Atomic uint32_t frost; /* enum frost, of shim/freeze.c */
    _Atomic uint32_t ended;
};

/* The thread's; NULL for all others. */
extern OURS _Thread_local struct phase *phase_self __attribute__((tls_model("initial-exec")));

/* Runs `act` on a thread of its own (on this one, where there can't be one, and where any patience
 * is endless) and returns what it does. When a driver's call does not come back, and there is
 * another instance to go on with: -1, and *hung says where (library NULL: it did). `data`, and all
 * that it leads to, is the caller's again in any case. */
int phase_run(int (*act)(void *data), void *data, struct phase_place *hung);

/* How long a driver may take for a call there, s. */
unsigned long phase_patience(const struct phase_place *place);

static inline void phase_beat(void)
{
    if (phase_self)
        atomic_fetch_add_explicit(&phase_self->beats, 1, memory_order_relaxed);
}

struct phase_place phase_enter(struct phase_place place); /* returns the place before */
void phase_leave(const struct phase_place *before);

/* Until the scope's end, calls of this library are made: the thread may be frozen in them. */
#define IN_DRIVER(library, object, slow)                                                           \
    IN_DRIVER_AT(((struct phase_place){library, object, slow, 0}))

/* The same, with calls that may copy so many bytes each before they return. */
#define IN_DRIVER_COPYING(library, object, bytes)                                                  \
    IN_DRIVER_AT(((struct phase_place){library, object, false, bytes}))

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

/* Until the scope's end, the thread holds a lock of ours, or waits for something that is not the
 * driver's: it must not be frozen. */
#define NOT_FROZEN()                                                                               \
    __attribute__((cleanup(phase_let_go), unused)) const bool not_frozen = phase_hold()

#endif
