/* SPDX-License-Identifier: Apache-2.0 */
/* Rounds of copies while the program runs: see precopy.h.
 *
 * Why no write is missed: a command's writes are noted after the driver has got it, inside of the
 * gate. A round first takes the notes away, then waits until all that the driver had got by then
 * has ended, then copies. A command that came later is noted after that: its buffer is copied
 * again, in the next round or, at last, with the gate closed, when every note is there. */
#include "shim/precopy.h"

#include <time.h>

#include "shim/checkpoint.h"
#include "shim/config.h"
#include "shim/drain.h"
#include "shim/gate.h"
#include "shim/log.h"
#include "state/mem.h"

#define PATIENCE_NS (30 * INT64_C(1000000000)) /* for what runs, in each round */
#define LOOK_NS (INT64_C(200000000))           /* how often it is seen whether somebody waits */
#define PIECES 32                              /* of a second, for a limited rate */

struct round {
    uint64_t bytes;
    double ms;
};

static double ms_since(int64_t start)
{
    return (double)(now_ns() - start) / 1e6;
}

/* Waits until so many bytes may have been copied since `start`. */
static void keep_rate(const struct precopy_wish *wish, uint64_t bytes, int64_t start)
{
    if (wish->rate <= 0)
        return;
    double due = (double)bytes / wish->rate * 1e9 - (double)(now_ns() - start);
    if (due > 1e9 / PIECES)
        nanosleep(
            &(struct timespec){.tv_sec = (time_t)(due / 1e9), .tv_nsec = (long)due % 1000000000},
            NULL);
}

/* Those that have to be copied go to the front; their notes are taken away. */
static size_t take_notes(struct object **mems, size_t count)
{
    size_t wanted = 0;
    for (size_t i = 0; i < count; i++) {
        struct object *object = mems[i];
        if (!mem_precopy_takes((struct mem *)object))
            continue;
        mems[i] = mems[wanted];
        mems[wanted++] = object;
    }
    return wanted;
}

/* All that the driver has by now has ended. */
static int wait_for_queues(struct error *err)
{
    size_t count;
    int64_t end = now_ns() + PATIENCE_NS;
    struct object **queues = roster_hold(&queue_roster, &count);
    int result = queues ? drain_queues(queues, count, now_ns() + LOOK_NS, err)
                        : error_set(err, 0, "no memory for the list of queues");
    while (result != 0 && queues && now_ns() < end && !checkpoint_is_awaited())
        result = drain_queues(queues, count, now_ns() + LOOK_NS, err);
    roster_drop(queues, count);
    return result;
}

static int copy_all(const struct precopy_wish *wish, struct object **mems, size_t count,
                    struct round *round, struct error *err)
{
    int64_t start = now_ns();
    for (size_t i = 0; i < count; i++) {
        struct mem *mem = (struct mem *)mems[i];
        if (checkpoint_is_awaited())
            return error_set(err, 0, "the program forks or ends: what is left is copied later");
        if (mem_precopy(mem, err) != 0 || (wish->rate > 0 && mem_precopy_finish(mem, err) != 0))
            return -1;
        round->bytes += mem->size;
        keep_rate(wish, round->bytes, start);
    }
    for (size_t i = 0; i < count; i++)
        if (mem_precopy_finish((struct mem *)mems[i], err) != 0)
            return -1;
    return 0;
}

static int copy_round(const struct precopy_wish *wish, struct round *round, struct error *err)
{
    size_t count;
    int64_t start = now_ns();
    *round = (struct round){0};
    struct object **mems = roster_hold(&mem_roster, &count);
    if (!mems)
        return error_set(err, 0, "no memory for the list of buffers");
    size_t wanted = take_notes(mems, count);
    int result = wanted ? wait_for_queues(err) : 0;
    if (result == 0)
        result = copy_all(wish, mems, wanted, round, err);
    /* What was to be copied and may not have been is nobody's copy. */
    for (size_t i = 0; result != 0 && i < wanted; i++)
        mem_precopy_forget((struct mem *)mems[i]);
    roster_drop(mems, count);
    round->ms = ms_since(start);
    return result;
}

static uint64_t bytes_left(void)
{
    size_t count;
    uint64_t bytes = 0;
    struct object **mems = roster_hold(&mem_roster, &count);
    for (size_t i = 0; mems && i < count; i++)
        bytes += mem_precopy_left((struct mem *)mems[i]);
    roster_drop(mems, count);
    return bytes;
}

/* As virtual machines do it: on while it pays. */
static bool is_enough(const struct precopy_wish *wish, const struct round *last, uint64_t left)
{
    double target = wish->target > 0 ? wish->target : PRECOPY_TARGET;
    if (left == 0 || last->bytes == 0)
        return true;
    double expected = last->ms * (double)left / (double)last->bytes;
    return expected <= target || left > last->bytes - last->bytes / 8;
}

static void copy_rounds(const struct precopy_wish *wish, struct precopy_result *result)
{
    unsigned most = wish->max_rounds ? wish->max_rounds : PRECOPY_ROUNDS;
    struct error err = {0};
    struct round round;
    do {
        if (copy_round(wish, &round, &err) != 0) {
            log_warn("precopy: %s: %s", err.object, err.reason);
            return;
        }
        result->bytes += round.bytes;
        result->rounds++;
    } while (result->rounds < most && !is_enough(wish, &round, bytes_left()));
}

void precopy(const struct precopy_wish *wish, struct precopy_result *result)
{
    int64_t start = now_ns();
    if (!wish->wanted && !config.prepare)
        return;
    /* Lent: no storm strikes this thread, and what it calls is no call of the program's. */
    gate_lend();
    gate_enter("precopy");
    copy_rounds(wish, result);
    gate_leave();
    gate_unlend();
    result->ms = ms_since(start);
    log_info("precopy: %u rounds, %llu bytes, %.1f ms", result->rounds,
             (unsigned long long)result->bytes, result->ms);
}

void precopy_forget(void)
{
    size_t count;
    gate_lend();
    gate_enter("precopy");
    struct object **mems = roster_hold(&mem_roster, &count);
    for (size_t i = 0; mems && i < count; i++) {
        mem_precopy_forget((struct mem *)mems[i]);
        context_drop_copier(((struct mem *)mems[i])->context);
    }
    roster_drop(mems, count);
    gate_leave();
    gate_unlend();
}
