/* SPDX-License-Identifier: Apache-2.0 */
/* Children of a suspended process: see follow.h. */
#include "shim/follow.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "shim/checkpoint.h"
#include "shim/log.h"
#include "shim/thread.h"

/* How often it looks whether others have resumed it; and how long it leaves that to whoever has
 * resumed its parent, who may know of both. */
#define LOOK_MS 1000
#define TRIES 3
#define DEVICE_ROOM 4000

struct word {
    _Atomic uint32_t suspended;
    char device[DEVICE_ROOM]; /* written while `suspended` */
};

static struct word *_Atomic own;     /* for our children; NULL: none was forked while suspended */
static struct word *_Atomic parents; /* NULL: we follow nobody */
static _Atomic bool has_run;         /* since the fork: whatever comes then is our own affair */

void follow_tell_suspended(void)
{
    struct word *word = atomic_load(&own);
    if (word)
        atomic_store(&word->suspended, 1);
}

static void let_go(struct word *word)
{
    if (word)
        munmap(word, sizeof *word);
}

void follow_tell_running(const char *device)
{
    struct word *word = atomic_load(&own);
    atomic_store(&has_run, true);
    let_go(atomic_exchange(&parents, NULL));
    if (!word)
        return;
    if (device && *device)
        snprintf(word->device, sizeof word->device, "%s", device);
    atomic_store(&word->suspended, 0);
    syscall(SYS_futex, &word->suspended, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

static void wait_for(struct word *word)
{
    const struct timespec look = {.tv_sec = LOOK_MS / 1000};
    syscall(SYS_futex, &word->suspended, FUTEX_WAIT, 1, &look, NULL, 0);
}

static bool resume(const struct word *word)
{
    char device[DEVICE_ROOM];
    struct report report = {0};
    struct error err = {0};
    const struct resume_wish wish = {.device = device};
    snprintf(device, sizeof device, "%s", word->device);
    bool resumed = checkpoint_resume(&wish, &report, &err) == 0;
    if (!resumed)
        log_warn("its parent runs again, and it stays suspended: %s: %s", err.object, err.reason);
    report_finish(&report);
    return resumed;
}

static void *follow(void *data)
{
    struct word *word = data;
    bool may_be_asked = false;
    for (int tries = 0; tries < TRIES && !atomic_load(&has_run);) {
        if (atomic_load(&word->suspended)) {
            wait_for(word);
            may_be_asked = true;
        } else if (may_be_asked) {
            poll(NULL, 0, LOOK_MS);
            may_be_asked = false;
        } else if (!resume(word)) {
            may_be_asked = true;
            tries++;
        }
    }
    let_go(word);
    return NULL;
}

void follow_at_gate(void)
{
    struct word *word = atomic_exchange(&parents, NULL);
    if (word && !thread_start(follow, word))
        atomic_store(&parents, word);
}

void follow_before_fork(void)
{
    if (checkpoint_state() != STATE_SUSPENDED || atomic_load(&own))
        return;
    struct word *word, *none = NULL;
    word = mmap(NULL, sizeof *word, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (word == MAP_FAILED)
        return;
    atomic_store(&word->suspended, 1);
    if (!atomic_compare_exchange_strong(&own, &none, word))
        let_go(word);
    else if (checkpoint_state() != STATE_SUSPENDED)
        follow_tell_running(NULL); /* a fork by who is not the owner */
}

/* Where we still follow somebody, our children follow us. */
void follow_forked(void)
{
    struct word *word = atomic_exchange(&own, NULL);
    if (checkpoint_state() != STATE_SUSPENDED)
        word = NULL;
    atomic_store(&parents, word);
    atomic_store(&has_run, false);
}
