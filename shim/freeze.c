/* SPDX-License-Identifier: Apache-2.0 */
/* Freezing a thread: see freeze.h. A signal that the program does not use is sent to it, and its
 * handler never returns. What the thread may hold is tried out by another one: where that gets
 * stuck, the frozen one is let go for a moment, and caught again elsewhere. */
#include "shim/freeze.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <linux/futex.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "shim/gate.h"
#include "shim/log.h"
#include "shim/spare_signal.h"
#include "shim/thread.h"

enum frost {
    FROST_NONE,
    FROST_WANTED,
    FROST_REFUSED, /* it is in our own code, or has come back since */
    FROST_FROZEN,
};

#define TRIES 50
#define SIGNAL_NS INT64_C(1000000000) /* until it is in the handler */
#define TRIAL_NS INT64_C(500000000)   /* for what takes some microseconds */
#define BETWEEN_NS 1000000

static void sleep_on(_Atomic uint32_t *word, uint32_t value, const struct timespec *timeout)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, timeout, NULL, 0);
}

static void wake(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static bool is_silent(struct phase *phase)
{
    return atomic_load(&phase->beats) == atomic_load(&phase->silent);
}

/* Runs on the thread that is meant, with all signals blocked, in the midst of anything. */
static void stay_here(int number)
{
    int saved = errno;
    struct phase *self = phase_self;
    uint32_t wanted = FROST_WANTED;
    if (self && atomic_load(&self->library) && !atomic_load(&self->own) && is_silent(self)) {
        if (atomic_compare_exchange_strong(&self->frost, &wanted, FROST_FROZEN)) {
            wake(&self->frost);
            while (atomic_load(&self->frost) == FROST_FROZEN)
                sleep_on(&self->frost, FROST_FROZEN, NULL);
        }
    } else if (self && atomic_compare_exchange_strong(&self->frost, &wanted, FROST_REFUSED)) {
        wake(&self->frost);
    }
    errno = saved;
}

/* True: it is in the handler. */
static bool strike(struct phase *phase, int number)
{
    int64_t end = now_ns() + SIGNAL_NS;
    atomic_store(&phase->frost, FROST_WANTED);
    syscall(SYS_tgkill, getpid(), phase->tid, number);
    while (atomic_load(&phase->frost) == FROST_WANTED && now_ns() < end)
        sleep_on(&phase->frost, FROST_WANTED, &(struct timespec){.tv_nsec = 10000000});
    /* A signal that comes later than this has no effect. */
    uint32_t wanted = FROST_WANTED;
    atomic_compare_exchange_strong(&phase->frost, &wanted, FROST_NONE);
    return wanted == FROST_FROZEN;
}

void thaw(struct phase *phase)
{
    atomic_store(&phase->frost, FROST_NONE);
    wake(&phase->frost);
}

/* A thread that needs what all need. It is there before another one is frozen: to make a thread
 * takes locks, too. */
struct trial {
    pthread_t thread;
    _Atomic uint32_t go, done;
};

static void *do_nothing(void *unused)
{
    return NULL;
}

static int see_library(struct dl_phdr_info *info, size_t size, void *unused)
{
    return 1;
}

/* Each of the allocator's arenas, the list of open files, the time zone, the list of libraries, the
 * loader's own lock, the stacks of threads. */
static void *try_locks(void *data)
{
    struct trial *trial = data;
    while (!atomic_load(&trial->go))
        sleep_on(&trial->go, 0, NULL);
    FILE *nothing = fopen("/dev/null", "we");
    if (nothing) {
        malloc_info(0, nothing);
        fclose(nothing);
    }
    time_t now = time(NULL);
    struct tm local;
    localtime_r(&now, &local);
    dl_iterate_phdr(see_library, NULL);
    void *self = dlopen(NULL, RTLD_LAZY | RTLD_NOLOAD);
    if (self)
        dlclose(self);
    pthread_t thread;
    if (pthread_create(&thread, NULL, do_nothing, NULL) == 0)
        pthread_join(thread, NULL);
    atomic_store(&trial->done, 1);
    wake(&trial->done);
    return NULL;
}

static bool trial_begin(struct trial *trial)
{
    *trial = (struct trial){0};
    return thread_create(&trial->thread, try_locks, trial);
}

/* True: everything can be had. Else it is waiting for something. */
static bool trial_run(struct trial *trial)
{
    int64_t end = now_ns() + TRIAL_NS;
    atomic_store(&trial->go, 1);
    wake(&trial->go);
    while (!atomic_load(&trial->done) && now_ns() < end)
        sleep_on(&trial->done, 0, &(struct timespec){.tv_nsec = 10000000});
    return atomic_load(&trial->done);
}

static void trial_end(struct trial *trial)
{
    atomic_store(&trial->go, 1);
    wake(&trial->go);
    pthread_join(trial->thread, NULL);
}

/* Once. *again: it may be had elsewhere. */
static bool catch_it(struct phase *phase, int number, bool *again)
{
    struct trial trial;
    *again = false;
    if (!trial_begin(&trial))
        return false;
    bool caught = strike(phase, number);
    if (caught && !trial_run(&trial)) {
        thaw(phase);
        caught = false;
        *again = true;
    }
    trial_end(&trial);
    return caught;
}

bool freeze(struct phase *phase)
{
    struct sigaction before, action = {.sa_handler = stay_here, .sa_flags = SA_RESTART};
    bool caught = false, again = true;
    sigfillset(&action.sa_mask);
    int number = spare_signal_of(phase->tid, &before);
    if (!number || sigaction(number, &action, NULL) != 0) {
        log_warn("no free signal to stop a thread with that a driver does not come back to");
        return false;
    }
    for (int i = 0; i < TRIES && !caught && again && is_silent(phase); i++) {
        if (i)
            nanosleep(&(struct timespec){.tv_nsec = BETWEEN_NS}, NULL);
        caught = catch_it(phase, number, &again);
    }
    spare_signal_put_back(number, stay_here, &before);
    if (!caught && is_silent(phase))
        log_warn("thread %d, which a driver does not come back to, can't be stopped there: it is "
                 "waited for",
                 phase->tid);
    return caught;
}
