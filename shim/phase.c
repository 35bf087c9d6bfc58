/* SPDX-License-Identifier: Apache-2.0 */
/* The thread of a phase, and waiting for it: see phase.h. */
#include "shim/phase.h"

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
#include "shim/log.h"
#include "shim/residue_take.h"

enum { BUILD_FACTOR = 10 };       /* a build takes its time */
#define LOOK_NS INT64_C(20000000) /* between looks for signs of life */

_Thread_local struct phase *phase_self __attribute__((tls_model("initial-exec")));

struct phase_place phase_enter(struct phase_place place)
{
    struct phase *self = phase_self;
    struct phase_place before = {0};
    if (!self)
        return before;
    before = (struct phase_place){atomic_load(&self->library), atomic_load(&self->object),
                                  atomic_load(&self->slow)};
    atomic_store(&self->object, place.object);
    atomic_store(&self->slow, place.slow);
    atomic_store(&self->library, place.library);
    phase_beat();
    return before;
}

void phase_leave(const struct phase_place *before)
{
    phase_enter(*before);
}

unsigned long phase_patience(const struct phase_place *place)
{
    return config.call_patience * (place->slow ? BUILD_FACTOR : 1);
}

static void *run(void *data)
{
    struct phase *phase = data;
    sigset_t before;
    /* For the driver's threads, which inherit the mask, and to be frozen. */
    node_let_signals_in(&before);
    pthread_sigmask(SIG_BLOCK, NULL, &phase->mask);
    phase->tid = (pid_t)syscall(SYS_gettid);
    phase->gate = &gate_self;
    /* The driver may call us from inside: this thread passes the closed gate. */
    gate_lend();
    phase_self = phase;
    phase->result = phase->act(phase->data);
    phase_self = NULL;
    gate_unlend();
    atomic_store(&phase->ended, 1);
    syscall(SYS_futex, &phase->ended, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    return NULL;
}

/* As thread_start, but to be joined. */
static bool start(struct phase *phase, pthread_t *thread)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(thread, NULL, run, phase) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

/* How long it has shown no sign of life. What this thread slept through, because the process or the
 * machine was stopped, counts as one look. */
struct silence {
    uint32_t beats;
    int64_t ns;
};

static void look(struct phase *phase, struct silence *silence)
{
    const struct timespec pause = {.tv_nsec = LOOK_NS};
    int64_t start = now_ns();
    syscall(SYS_futex, &phase->ended, FUTEX_WAIT_PRIVATE, 0, &pause, NULL, 0);
    int64_t slept = now_ns() - start;
    uint32_t beats = atomic_load(&phase->beats);
    silence->ns = beats == silence->beats ? silence->ns + (slept < LOOK_NS ? slept : LOOK_NS) : 0;
    silence->beats = beats;
}

static struct phase_place place_of(struct phase *phase)
{
    return (struct phase_place){atomic_load(&phase->library), atomic_load(&phase->object),
                                atomic_load(&phase->slow)};
}

/* False: it was frozen, at *place. */
static bool wait_for(struct phase *phase, struct phase_place *place)
{
    struct silence silence = {0};
    while (!atomic_load(&phase->ended)) {
        look(phase, &silence);
        *place = place_of(phase);
        if (!place->library || silence.ns < (int64_t)phase_patience(place) * 1000000000)
            continue;
        if (freeze(phase))
            return false;
        silence.ns = 0; /* to be tried again */
    }
    return true;
}

static int run_here(int (*act)(void *data), void *data)
{
    sigset_t before;
    log_warn("no thread to watch the driver's calls from");
    node_let_signals_in(&before);
    int result = act(data);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}

int phase_run(int (*act)(void *data), void *data, struct phase_place *hung)
{
    *hung = (struct phase_place){0};
    struct handlers handlers = handlers_keep();
    struct phase *phase = calloc(1, sizeof *phase);
    pthread_t thread;
    if (phase)
        *phase = (struct phase){.act = act, .data = data};
    if (!phase || !start(phase, &thread)) {
        free(phase);
        return run_here(act, data);
    }
    struct phase_place place;
    if (wait_for(phase, &place)) {
        int result = phase->result;
        pthread_join(thread, NULL);
        free(phase);
        return result;
    }
    /* The thread has its stack and the struct for ever. */
    pthread_detach(thread);
    gate_forget(phase->gate);
    handlers_restore(&handlers);
    *hung = place;
    return -1;
}
