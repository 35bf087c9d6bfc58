/* SPDX-License-Identifier: Apache-2.0 */
/* Builds while the program runs: see ahead.h. */
#include "shim/ahead.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "shim/gate.h"
#include "shim/leave.h"
#include "shim/owner.h"
#include "shim/thread.h"
#include "state/program_ahead.h"

#define END_PATIENCE 86400.0 /* s: for builds in progress, at the program's end */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool busy;               /* guarded by lock */
static bool ended;              /* guarded by lock: the program is just ending */
static atomic_bool stopping;    /* it shall end; set with the lock held */
static _Atomic unsigned inside; /* threads of ours that are, or are about to be, inside the gate */
static _Atomic unsigned forks;  /* that are in progress: nobody shall go there */

static void rest(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

/* Who closes the gate has stopped us before, so that this does not take long; only a fork may. A
 * plain gate_enter may be struck by a storm, which would wait for us. */
static void go_inside(void)
{
    for (;; rest()) {
        atomic_fetch_add(&inside, 1);
        if (!atomic_load(&forks) && gate_try_enter("a build for another device"))
            return;
        atomic_fetch_sub(&inside, 1);
    }
}

static void come_out(void)
{
    gate_leave();
    atomic_fetch_sub(&inside, 1);
}

void ahead_before_exit(void)
{
    struct error ignored;
    pthread_mutex_lock(&lock);
    ended = true;
    pthread_mutex_unlock(&lock);
    /* Inside the gate this thread may have one of the driver's locks, which a build waits for; one
     * of ours, in which a driver ends the program, may be what is waited for. */
    if (!gate_inside() && !gate_lent())
        ahead_stop(END_PATIENCE, &ignored);
}

int ahead_begin(struct error *err)
{
    pthread_mutex_lock(&lock);
    bool first = !busy && !ended;
    if (first) {
        busy = true;
        atomic_store(&stopping, false);
    }
    pthread_mutex_unlock(&lock);
    if (!first) {
        error_set(err, 0,
                  "its programs are being built for another device already, or it is just "
                  "ending");
        return error_todo(err, "wait for that");
    }
    return 0;
}

void ahead_end(void)
{
    pthread_mutex_lock(&lock);
    busy = false;
    pthread_mutex_unlock(&lock);
}

/* A thread's part. */
struct part {
    struct trial *trial;
    unsigned number;
    pthread_t thread;
    bool left;        /* it was, in a driver's call */
    struct error err; /* then */
};

/* The program's end waits for the owner first, whom a move has lent only. */
static bool shall_stop(void)
{
    return atomic_load(&stopping) || owner_is_ending();
}

/* It is not let through a closed gate: it is as good as one of the program's. */
static int work_inside(void *data)
{
    const struct part *part = data;
    bool more = true;
    gate_unlend();
    while (more && !shall_stop()) {
        go_inside();
        more = trial_step(part->trial, part->number);
        come_out();
    }
    gate_lend();
    return 0;
}

/* Nobody waits for the thread any more, neither who closes the gate nor who forks. */
static void leave(void *data, struct leftover **leftovers)
{
    struct part *part = data;
    trial_explain_left(part->trial, part->number, &part->err);
    trial_leave(part->trial, part->number, leftovers);
    atomic_store(&stopping, true);
    atomic_fetch_sub(&inside, 1);
}

/* Watches another thread that does it. */
static void *work(void *data)
{
    struct part *part = data;
    const struct leave_job job = {.act = work_inside, .data = part, .clean = leave, .apart = true};
    leave_run(&job, &part->left, &part->err);
    return NULL;
}

/* This thread is one of them. */
static int work_together(struct trial *trial, struct error *err)
{
    struct part parts[TRIAL_THREADS];
    unsigned wanted = thread_count(trial->count, TRIAL_THREADS), started = 1;
    for (; started < wanted; started++) {
        parts[started] = (struct part){.trial = trial, .number = started};
        if (!thread_create(&parts[started].thread, work, &parts[started]))
            break;
    }
    parts[0] = (struct part){.trial = trial};
    work(&parts[0]);
    int result = 0;
    while (started-- > 0) {
        if (started)
            pthread_join(parts[started].thread, NULL);
        if (parts[started].left) {
            *err = parts[started].err;
            result = -1;
        }
    }
    return result;
}

static int close_inside(void *trial)
{
    gate_unlend();
    go_inside();
    trial_close(trial);
    come_out();
    gate_lend();
    return 0;
}

static void leave_closing(void *trial, struct leftover **leftovers)
{
    trial_leave(trial, 0, leftovers);
    atomic_fetch_sub(&inside, 1);
}

int ahead_run(struct trial *trial, struct error *err)
{
    const struct leave_job closing = {
        .act = close_inside, .data = trial, .clean = leave_closing, .apart = true};
    bool left;
    /* Once more: after what compilers have left to be done at the end since the last time (LLVM
     * destroys what each of its parts had when it was first used), so that it runs before that. Not
     * where nothing is built: who asks every second would have the list of them grow for ever. */
    if (trial->count > 0)
        atexit(ahead_before_exit);
    int result = work_together(trial, err);
    struct error unsaid = {0};
    if (leave_run(&closing, &left, result ? &unsaid : err) != 0)
        result = -1;
    if (result != 0)
        return -1;
    if (!shall_stop() || atomic_load(&trial->next) >= trial->count)
        return 0;
    error_set(err, 0, "a suspend, or the program's end, came before all programs were built");
    return error_todo(err, "ask again while it runs; what was built is kept");
}

int ahead_run_all(struct trial *trial, struct report *report, struct error *err)
{
    struct findings findings = {0};
    int64_t start = now_ns();
    int result = ahead_run(trial, err);
    struct error unsaid = {0};
    if (trial_tell(trial, &findings, &report->ahead.programs, &unsaid) != 0 && result == 0) {
        *err = unsaid;
        result = -1;
    }
    for (size_t i = 0; i < findings.count; i++) {
        if (result == 0)
            *err = findings.list[i];
        else
            report_warn(report, "%s: %s", findings.list[i].object, findings.list[i].reason);
        result = -1;
    }
    findings_finish(&findings);
    report->ahead.build = ms_since(start);
    return result;
}

int ahead_stop(double patience, struct error *err)
{
    int64_t end = now_ns() + (int64_t)(patience * 1e9);
    for (;; rest()) {
        pthread_mutex_lock(&lock);
        bool done = !busy;
        if (!done)
            atomic_store(&stopping, true);
        pthread_mutex_unlock(&lock);
        if (done)
            return 0;
        if (now_ns() < end)
            continue;
        error_set(err, 0, "a program is still being built for another device");
        return error_todo(err, "wait for that, or give it more time with --deadline");
    }
}

void ahead_before_fork(void)
{
    atomic_fetch_add(&forks, 1);
    /* A driver's compiler may fork on one of our own threads. */
    while (atomic_load(&inside) && !gate_inside())
        rest();
}

void ahead_after_fork(void)
{
    atomic_fetch_sub(&forks, 1);
}

void ahead_forked(void)
{
    pthread_mutex_init(&lock, NULL);
    busy = ended = false;
    inside = forks = 0;
    program_ahead_forked();
}
