/* SPDX-License-Identifier: Apache-2.0 */
/* The thread of a phase, and waiting for it: see phase.h. */
#include "shim/phase.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "shim/config.h"
#include "shim/freeze.h"
#include "shim/gate.h"
#include "shim/handlers.h"
#include "shim/library.h"
#include "shim/linking.h"
#include "shim/log.h"
#include "shim/residue_take.h"
#include "shim/spare_signal.h"
#include "shim/thread.h"

enum { BUILD_FACTOR = 10 };       /* a build takes its time */
#define LOOK_NS INT64_C(20000000) /* between looks for signs of life */

_Thread_local struct phase *phase_self __attribute__((tls_model("initial-exec")));

static struct phase_place place_of(struct phase *phase)
{
    return (struct phase_place){atomic_load(&phase->library), atomic_load(&phase->object),
                                atomic_load(&phase->slow), atomic_load(&phase->bytes),
                                (enum phase_linking)atomic_load(&phase->linking)};
}

struct phase_place phase_enter(struct phase_place place)
{
    struct phase *self = phase_self;
    struct phase_place before = {0};
    if (!self)
        return before;
    before = place_of(self);
    /* First: who was silent in the place before is not frozen in this one. */
    phase_beat();
    atomic_store(&self->object, place.object);
    atomic_store(&self->slow, place.slow);
    atomic_store(&self->bytes, place.bytes);
    atomic_store(&self->linking, place.linking);
    atomic_store(&self->library, place.library);
    return before;
}

void phase_leave(const struct phase_place *before)
{
    phase_enter(*before);
}

unsigned long phase_patience(const struct phase_place *place)
{
    unsigned long patience = config.call_patience * (place->slow ? BUILD_FACTOR : 1);
    return library_more_patience(place->library, patience + place->bytes / COPY_SLOWEST);
}

void phase_keeps(struct leftover *leftover)
{
    struct phase *self = phase_self;
    if (!self)
        return;
    leftover->next = self->leftovers;
    self->leftovers = leftover;
}

void phase_gave(struct leftover *leftover)
{
    if (!phase_self)
        return;
    struct leftover **p = &phase_self->leftovers;
    while (*p && *p != leftover)
        p = &(*p)->next;
    if (*p)
        *p = leftover->next;
}

static void sleep_until(_Atomic uint32_t *word)
{
    while (!atomic_load(word))
        syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
}

static void say(_Atomic uint32_t *word)
{
    atomic_store(word, 1);
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* It was left, and the call has ended after all: an ordinary thread. */
static void clear_away(struct phase *phase)
{
    sleep_until(&phase->settled);
    phase_self = NULL;
    gate_come_back();
    gate_enter("what a driver did not come back from");
    for (struct leftover *leftover = phase->leftovers, *next; leftover; leftover = next) {
        next = leftover->next;
        leftover->give_back(leftover);
    }
    gate_leave();
}

/* What its frames have is lost, which LeakSanitizer would say. */
_Noreturn void phase_come_out(struct phase *self)
{
    clear_away(self);
#ifdef __SANITIZE_ADDRESS__
    for (;;)
        pause();
#endif
    longjmp(self->way_out, 1);
}

static void *run(void *data)
{
    struct phase *phase = data;
    pthread_sigmask(SIG_UNBLOCK, &phase->let_in, NULL);
    phase->tid = (pid_t)syscall(SYS_gettid);
    phase->gate = &gate_self;
    /* The driver may call us from inside: this thread passes the closed gate. */
    gate_lend();
    phase_self = phase;
    if (setjmp(phase->way_out) != 0) {
        free(data);
        return NULL;
    }
    phase->result = phase->act(phase->data);
    phase_self = NULL;
    gate_unlend();
    say(&phase->ended);
    return NULL;
}

static bool start(struct phase *phase, pthread_t *thread)
{
    /* While this may be the first thread, and blocks none of them yet. */
    spare_signals(&phase->let_in);
    return thread_create(thread, run, phase);
}

/* How long it has shown no sign of life. What this thread slept through, because the process or the
 * machine was stopped, counts as one look. */
struct quiet {
    uint32_t beats;
    uint64_t calls;
    int64_t ns;
};

/* Not frozen: others need what it may have. */
static bool is_to_be_left(struct phase *phase)
{
    return phase->leaves || atomic_load(&phase->linking) != LINKING_NOT;
}

/* What it does with locks of ours, or waits for elsewhere, is not the driver's silence. */
static void look(struct phase *phase, struct quiet *quiet)
{
    const struct timespec pause = {.tv_nsec = LOOK_NS};
    int64_t start = now_ns();
    syscall(SYS_futex, &phase->ended, FUTEX_WAIT_PRIVATE, 0, &pause, NULL, 0);
    int64_t slept = now_ns() - start;
    uint32_t beats = atomic_load(&phase->beats);
    uint64_t calls = atomic_load(&phase->calls);
    bool silent = beats == quiet->beats && !atomic_load(&phase->own);
    if (is_to_be_left(phase))
        silent = silent && (calls & 1) && calls == quiet->calls;
    quiet->ns = silent ? quiet->ns + (slept < LOOK_NS ? slept : LOOK_NS) : 0;
    quiet->beats = beats;
    quiet->calls = calls;
}

/* Frozen for good, at *place. Without another instance to go on with it is let go again, since
 * nothing would be won. */
static bool give_up_alone(struct phase *phase, uint32_t beats, struct phase_place *place)
{
    /* No further instance can be had then, and what the thread has can't be tried. */
    if (linking_is_stuck())
        return false;
    atomic_store(&phase->silent, beats);
    if (!freeze(phase))
        return false;
    *place = place_of(phase);
    if (library_fresh(place->library))
        return true;
    log_warn("a driver has not come back from a call in %lu s, and there can be no further "
             "instance of it: it is waited for",
             phase_patience(place));
    thaw(phase);
    return false;
}

static bool give_up(struct phase *phase, uint32_t beats, struct phase_place *place)
{
    /* One thread after the other: two may choose one signal, and the first takes its handler away.
     */
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    bool given_up = give_up_alone(phase, beats, place);
    pthread_mutex_unlock(&lock);
    return given_up;
}

/* Unless it has just come back, or gone in. */
static bool leave_there(struct phase *phase, uint64_t calls, struct phase_place *place)
{
    if (!(calls & 1) || !atomic_compare_exchange_strong(&phase->calls, &calls, calls | PHASE_LEFT))
        return false;
    *place = place_of(phase);
    gate_leave_behind(phase->gate);
    return true;
}

/* False: it was frozen or left, at *place. */
static bool wait_for(struct phase *phase, struct phase_place *place)
{
    struct quiet quiet = {0};
    while (!atomic_load(&phase->ended)) {
        look(phase, &quiet);
        *place = place_of(phase);
        if (!place->library || quiet.ns < (int64_t)phase_patience(place) * 1000000000)
            continue;
        if (is_to_be_left(phase) ? leave_there(phase, quiet.calls, place)
                                 : give_up(phase, quiet.beats, place))
            return false;
        quiet.ns = 0; /* to be tried again */
    }
    return true;
}

int phase_run_here(int (*act)(void *data), void *data)
{
    sigset_t before;
    node_let_signals_in(&before);
    gate_lend();
    int result = act(data);
    gate_unlend();
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}

/* One that is frozen has its stack and the struct for ever. */
static void forget(struct phase *phase, const struct handlers *handlers)
{
    handlers_restore(handlers);
    if (atomic_load(&phase->calls) & PHASE_LEFT)
        phase_settle(phase, NULL);
    else
        gate_forget(phase->gate);
}

/* *phase: one that was given up; NULL: none was. */
static int run_watched(const struct phase *like, struct phase_place *hung, struct phase **given_up)
{
    *hung = (struct phase_place){0};
    *given_up = NULL;
    if (config.call_patience == 0)
        return phase_run_here(like->act, like->data);
    struct phase *phase = calloc(1, sizeof *phase);
    pthread_t thread;
    if (phase)
        *phase = (struct phase){.act = like->act, .data = like->data, .leaves = like->leaves};
    if (!phase || !start(phase, &thread)) {
        free(phase);
        log_warn("no thread to watch the driver's calls from");
        return phase_run_here(like->act, like->data);
    }
    struct phase_place place;
    if (wait_for(phase, &place)) {
        int result = phase->result;
        /* (What a driver does in destructors of the thread's own data is not watched.) */
        pthread_join(thread, NULL);
        free(phase);
        return result;
    }
    pthread_detach(thread);
    *hung = place;
    *given_up = phase;
    return -1;
}

int phase_run(int (*act)(void *data), void *data, struct phase_place *hung)
{
    const struct phase like = {.act = act, .data = data};
    struct phase *given_up;
    struct handlers handlers = handlers_keep();
    int result = run_watched(&like, hung, &given_up);
    if (given_up)
        forget(given_up, &handlers);
    return result;
}

int phase_run_or_leave(int (*act)(void *data), void *data, struct phase_place *hung,
                       struct phase **left)
{
    const struct phase like = {.act = act, .data = data, .leaves = true};
    struct handlers handlers = handlers_keep();
    int result = run_watched(&like, hung, left);
    /* Those of the driver's compiler. */
    if (*left)
        handlers_restore(&handlers);
    return result;
}

void phase_settle(struct phase *left, struct leftover *more)
{
    struct leftover **last = &left->leftovers;
    while (*last)
        last = &(*last)->next;
    *last = more;
    say(&left->settled);
}
