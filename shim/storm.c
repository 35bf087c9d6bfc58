/* SPDX-License-Identifier: Apache-2.0 */
/* Suspends and resumes at random calls: see storm.h. The caller only asks; a thread of ours runs
 * the cycle, as it would for a request from outside. */
#include "shim/storm.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shim/cancel.h"
#include "shim/checkpoint.h"
#include "shim/config.h"
#include "shim/gate.h"
#include "shim/log.h"
#include "shim/owner.h"
#include "shim/thread.h"

#define DEADLINE 60.0 /* s */
enum { END_LOOK_US = 1000, RESUMES = 5, RESUME_PAUSE_US = 200000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool running; /* guarded by lock, as the next three */
static bool wanted;
static uint64_t cycles, refused;      /* that have ended */
static _Atomic uint64_t threads_seen; /* gives each thread a sequence of its own */
static _Thread_local uint64_t sequence;

/* xorshift64*: good enough to spread the cycles, and the same for the same seed. */
static uint64_t next_random(void)
{
    if (!sequence)
        sequence = (config.storm_seed + 1) * UINT64_C(0x9e3779b97f4a7c15) +
                   atomic_fetch_add(&threads_seen, 1) * UINT64_C(0xbf58476d1ce4e5b9) + 1;
    sequence ^= sequence >> 12;
    sequence ^= sequence << 25;
    sequence ^= sequence >> 27;
    return sequence * UINT64_C(2685821657736338717);
}

bool storm_strikes(void)
{
    return config.storm && (next_random() >> 32) % config.storm == 0;
}

/* A file without a name, where one is wanted for the contents. */
static struct store_wish image_wish(void)
{
    struct store_wish wish = {.fd = -1, .asker = -1};
    if (config.storm_image)
        wish.fd = open(config.storm_image, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (config.storm_image && wish.fd < 0)
        log_error("storm: no file in `%s`: %s", config.storm_image, strerror(errno));
    return wish;
}

/* Nobody will come to resume it, and its threads would wait at the gate for ever. */
static _Noreturn void give_up(const struct error *err)
{
    static const char said[] = "storm: the program stays suspended, and is ended";
    log_error("%s: %s: %s", said, err->object, err->reason);
    dprintf(STDERR_FILENO, "shadowcl: %s: %s: %s\n", said, err->object, err->reason);
    abort();
}

/* Whether that was done at once. */
static bool bring_back(struct report *report, struct error *err)
{
    const struct resume_wish back = {.device = ""};
    int failed = 0;
    while (checkpoint_state() == STATE_SUSPENDED && checkpoint_resume(&back, report, err) != 0) {
        report_finish(report);
        /* The program has begun to end in between: it is resumed if it comes to need it. */
        if (owner_is_ending()) {
            usleep(END_LOOK_US);
            continue;
        }
        log_error("storm: no resume: %s: %s", err->object, err->reason);
        if (++failed == RESUMES)
            give_up(err);
        usleep(RESUME_PAUSE_US);
    }
    return failed == 0;
}

static bool cycle(void)
{
    struct report report = {0};
    struct error err = {0};
    const struct precopy_wish none = {.asker = -1};
    struct store_wish image = image_wish();
    bool was_running = checkpoint_state() == STATE_RUNNING;
    bool done = checkpoint_suspend(DEADLINE, &none, &image, &report, &err) == 0;
    if (image.fd >= 0)
        close(image.fd);
    if (!done && owner_is_ending())
        return true; /* the program was faster: nothing was refused to it */
    if (!done)
        log_warn("storm: no suspend: %s: %s", err.object, err.reason);
    report_finish(&report);
    /* It may be suspended all the same: by us, if the way back has failed too. */
    if (done || was_running)
        done = bring_back(&report, &err) && done;
    report_finish(&report);
    return done;
}

static void *run(void *unused)
{
    pthread_mutex_lock(&lock);
    for (;;) {
        while (!wanted)
            pthread_cond_wait(&changed, &lock);
        wanted = false;
        pthread_mutex_unlock(&lock);
        bool done = cycle();
        pthread_mutex_lock(&lock);
        cycles++;
        refused += !done;
        pthread_cond_broadcast(&changed);
    }
    return NULL;
}

void storm_cycle(void)
{
    NOT_CANCELLED();
    pthread_mutex_lock(&lock);
    if (!running)
        running = thread_start(run, NULL);
    uint64_t before = cycles;
    wanted = running;
    pthread_cond_broadcast(&changed);
    while (running && cycles == before)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

void storm_init(void)
{
    if (config.storm)
        atomic_fetch_or(&gate_state, GATE_STORMY);
}

void storm_end(void)
{
    atomic_fetch_and(&gate_state, ~(uint32_t)GATE_STORMY);
}

void storm_forked(void)
{
    pthread_mutex_init(&lock, NULL);
    pthread_cond_init(&changed, NULL);
    running = wanted = false;
}

__attribute__((destructor)) static void say_how_often(void)
{
    if (!config.storm)
        return;
    pthread_mutex_lock(&lock);
    uint64_t all = cycles, not_done = refused;
    pthread_mutex_unlock(&lock);
    log_info("storm: %llu cycles, %llu refused", (unsigned long long)all,
             (unsigned long long)not_done);
}
