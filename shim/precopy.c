/* SPDX-License-Identifier: Apache-2.0 */
/* Rounds of copies while the program runs: see precopy.h.
 *
 * Why no write is missed: a command's writes are noted after the driver has got it, inside of the
 * gate. A round first takes the notes away, then waits until all that the driver had got by then
 * has ended, then copies. A command that came later is noted after that: its buffer is copied
 * again, in the next round or, at last, with the gate closed, when every note is there. */
#include "shim/precopy.h"

#include <poll.h>
#include <stdlib.h>
#include <time.h>

#include "shim/checkpoint.h"
#include "shim/config.h"
#include "shim/drain.h"
#include "shim/gate.h"
#include "shim/lazy.h"
#include "shim/leave.h"
#include "shim/loader.h"
#include "shim/log.h"
#include "shim/owner.h"
#include "shim/store.h"
#include "state/copier.h"
#include "state/mem.h"
#include "state/program.h"
#include "state/staging.h"
#include "state/straggler.h"
#include "state/tally.h"

#define PATIENCE_NS (30 * INT64_C(1000000000)) /* for what runs, in each round */
#define SLICE_NS INT64_C(50000000) /* slept, or copied, at a time where the rate is limited */
#define MOST_COPIES 64             /* on the way at once */
#define LEAST_PART 65536           /* bytes */

/* An object that is to be copied. It is not held until it comes to that: its release would wait. */
struct wanted {
    struct mem *mem;
    uint32_t generation;
    size_t size;
};

struct round {
    const struct precopy_wish *wish;
    struct wanted *list; /* the hand's */
    size_t count, done;
    uint64_t bytes;
    double ms; /* that copying took, waits for the program's commands and the rate left out */
};

/* What is held while it is looked at: the thread may be left in a call of the driver's. */
struct hand {
    struct leftover leftover;
    struct context **contexts; /* that have a copier; owned */
    size_t num_contexts;
    struct object **held; /* of a roster; owned */
    size_t num_held;
    struct mem *mem;              /* NULL: none */
    struct wanted *list;          /* of the round; owned */
    const struct driver *watched; /* in a call in which it may open its device; NULL: in none */
    double rate;                  /* bytes a second; 0: any */
    int64_t due;                  /* when more may be copied, CLOCK_MONOTONIC */
    double slept;                 /* until then, ms in all */
};

static struct hand *hand; /* owned; NULL: there have been no copies */

static struct object **hold_all(struct roster *roster, size_t *count)
{
    hand->held = roster_hold(roster, count);
    hand->num_held = hand->held ? *count : 0;
    return hand->held;
}

static void drop_all(struct hand *from)
{
    struct object **held = from->held;
    from->held = NULL;
    roster_drop(held, from->num_held);
}

static bool hold_mem(const struct wanted *wanted)
{
    bool alive = object_hold_alive(&wanted->mem->object, wanted->generation);
    hand->mem = alive ? wanted->mem : NULL;
    return alive;
}

static void drop_mem(struct hand *from)
{
    struct mem *mem = from->mem;
    from->mem = NULL;
    object_drop(mem);
}

static void give_back(struct leftover *leftover)
{
    struct hand *old = (struct hand *)leftover;
    drop_all(old);
    drop_mem(old);
    for (size_t i = 0; i < old->num_contexts; i++)
        object_drop(old->contexts[i]);
    free(old->contexts);
    free(old->list);
    free(old);
}

/* The thread is in a call of the driver's, and nothing of this is anybody's any more. */
static void leave(void *unused, struct leftover **leftovers)
{
    if (hand) {
        hand->leftover = (struct leftover){*leftovers, give_back};
        *leftovers = &hand->leftover;
        if (hand->watched)
            loader_watched(hand->watched, true);
        for (size_t i = 0; i < hand->num_contexts; i++) {
            hand->contexts[i]->copying = false;
            context_leave_copier(hand->contexts[i], leftovers);
        }
    }
    hand = NULL;
    stream_leave(leftovers);
    straggler_put_back();
    staging_abandon();
    mem_leave_contents();
}

bool precopy_asker_gone(const struct precopy_wish *wish)
{
    struct pollfd asker = {.fd = wish->asker};
    return wish->asker >= 0 && poll(&asker, 1, 0) > 0 && (asker.revents & (POLLHUP | POLLERR));
}

/* Asked where nothing is on its way: a fork that waits comes here. */
static bool is_no_use(const void *wish)
{
    owner_let_forks_by();
    return owner_is_ending() || precopy_asker_gone(wish);
}

/* What was not copied while it waited for other things is not made up for. */
void precopy_pace(uint64_t bytes, bool (*is_over)(const void *), const void *data)
{
    int64_t start = now_ns(), now = start;
    if (!hand || !(hand->rate > 0))
        return;
    for (; now < hand->due && !is_over(data); now = now_ns()) {
        int64_t left = hand->due - now;
        phase_beat();
        nanosleep(&(struct timespec){.tv_nsec = left < SLICE_NS ? left : SLICE_NS}, NULL);
    }
    hand->slept += (double)(now - start) / 1e6;
    hand->due = (now > hand->due ? now : hand->due) + (int64_t)((double)bytes / hand->rate * 1e9);
}

/* Bytes of a buffer that are copied at once. */
static size_t most_at_once(void)
{
    double most = hand->rate * (double)SLICE_NS / 1e9;
    if (!(hand->rate > 0) || most > (double)MEM_PART)
        return MEM_PART;
    return most < LEAST_PART ? LEAST_PART : (size_t)most;
}

/* Makes the context's copier, and keeps the context until the copier is given back. */
static int lend_copier(struct context *context, struct error *err)
{
    if (context->copying)
        return 0;
    struct context **more =
        realloc(hand->contexts, (hand->num_contexts + 1) * sizeof(struct context *));
    if (!more)
        return error_set(err, 0, "no memory for the list of contexts");
    hand->contexts = more;
    /* The driver may open the device for it: that is not somebody else's doing. */
    bool watching = loader_watch();
    /* First: who is left in the call leaves it with the context. */
    context->copying = true;
    hand->contexts[hand->num_contexts++] = object_hold(context);
    hand->watched = watching ? context->object.driver : NULL;
    int result = context_copier(context, err);
    hand->watched = NULL;
    loader_watched(context->object.driver, watching);
    return result;
}

/* The objects of which something is to be copied; their notes are taken away. Their contexts are
 * known from then on: what runs there of queues that are gone has to be waited for, too. */
static int take_notes(struct round *round, struct error *err)
{
    size_t count;
    int result = 0;
    struct object **mems = hold_all(&mem_roster, &count);
    round->list = hand->list = malloc((count + 1) * sizeof *round->list);
    if (!mems || !round->list)
        result = error_set(err, 0, "no memory for the list of buffers");
    for (size_t i = 0; mems && round->list && result == 0 && i < count; i++) {
        struct mem *mem = (struct mem *)mems[i];
        if (!atomic_load(&mem->object.refs) || !mem_precopy_takes(mem))
            continue;
        round->list[round->count++] = (struct wanted){mem, mem->object.generation, mem->size};
        result = lend_copier(mem->context, err);
    }
    drop_all(hand);
    return result;
}

/* Or about to be: nobody holds it, and nobody can any more. */
static void look_for_dying(void *queue, void *found)
{
    struct object *object = queue;
    enum kind kind = (enum kind)atomic_load(&object->kind);
    if (kind == KIND_DYING || (kind == KIND_QUEUE && !atomic_load(&object->holds)))
        *(bool *)found = true;
}

/* A queue that is just being released is nobody's to hold. It stays on the list until what still
 * runs of it has been counted (state/straggler.h). */
static int wait_for_dying_queues(const struct precopy_wish *wish, struct error *err)
{
    int64_t end = now_ns() + PATIENCE_NS;
    for (bool found = true; found;) {
        found = false;
        roster_each(&queue_roster, look_for_dying, &found);
        if (found && (now_ns() > end || is_no_use(wish)))
            return error_set(err, 0, "a queue is still being released");
        if (found)
            nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    }
    return 0;
}

/* All that the driver has by now has ended. */
static int wait_for_queues(const struct precopy_wish *wish, struct error *err)
{
    size_t count;
    struct object **queues = hold_all(&queue_roster, &count);
    struct patience patience = {now_ns() + PATIENCE_NS, is_no_use, wish};
    int result = queues ? drain_queues(queues, count, &patience, err)
                        : error_set(err, 0, "no memory for the list of queues");
    if (result == 0)
        result = wait_for_dying_queues(wish, err);
    for (size_t i = 0; i < hand->num_contexts && result == 0; i++)
        result = drain_queues(&(struct object *){&hand->contexts[i]->object}, 1, &patience, err);
    drop_all(hand);
    return result;
}

/* Waits for the copies on their way; also when nobody waits for the suspend any more, since they
 * write to staging memory. */
static int finish_copies(struct error *err)
{
    int result = 0;
    for (size_t i = 0; i < hand->num_contexts; i++)
        if (context_finish_copies(hand->contexts[i], err) != 0)
            result = -1;
    return result;
}

/* One that was released is the device's only until it is let go of here. */
static bool is_over(const void *wish)
{
    return is_no_use(wish) || !atomic_load(&hand->mem->object.refs);
}

/* Only the last part is on its way then. */
static int copy_to_memory(const struct round *round, struct mem *mem, struct error *err)
{
    size_t at = 0;
    for (;;) {
        size_t left = mem->size - at, most = mem->image ? left : most_at_once();
        precopy_pace(left < most ? left : most, is_over, round->wish);
        int result = mem_precopy(mem, &at, most, err);
        if (result != 0 || at == mem->size)
            return result;
        if (finish_copies(err) != 0)
            return -1;
        if (is_over(round->wish))
            return 1;
    }
}

/* To the file where there is one: then it has ended. */
static int copy_somewhere(const struct round *round, struct mem *mem, struct error *err)
{
    return store_sink() ? store_beforehand(mem, err) : copy_to_memory(round, mem, err);
}

/* 0, also where it can't be copied now. */
static int copy_one(struct round *round, const struct wanted *wanted, struct error *err)
{
    struct mem *mem = wanted->mem;
    if (!hold_mem(wanted))
        return 0;
    IN_DRIVER_COPYING(mem->object.driver->library, &mem->object, mem->size);
    int result = 0;
    if (atomic_load(&mem->object.refs)) {
        result = copy_somewhere(round, mem, err);
        if (result == 0)
            round->bytes += mem->size;
    }
    drop_mem(hand);
    return result < 0 ? -1 : 0;
}

/* A piece of the list, to its end; what was not copied is not taken for copied. */
static int copy_piece(struct round *round, size_t end, struct error *err)
{
    int64_t start = now_ns();
    double slept = hand->slept;
    size_t begin = round->done;
    int result = 0;
    while (result == 0 && round->done < end)
        result = copy_one(round, &round->list[round->done++], err);
    if (finish_copies(err) != 0)
        result = -1;
    for (size_t i = begin; result != 0 && i < round->done; i++)
        if (object_hold_alive(&round->list[i].mem->object, round->list[i].generation)) {
            mem_precopy_undo(round->list[i].mem);
            object_drop(round->list[i].mem);
        }
    round->ms += ms_since(start) - (hand->slept - slept);
    return result;
}

/* Where the next piece of the list ends. A fork waits for it, but what goes into a file has ended
 * with each object. */
static size_t end_of_piece(const struct round *round)
{
    size_t most = hand->rate > 0 || store_sink() ? 1 : MOST_COPIES;
    size_t end = round->done, bytes = 0;
    while (end < round->count && end - round->done < most && bytes < MEM_PART)
        bytes += round->list[end++].size;
    return end;
}

static int copy_round(struct round *round, struct error *err)
{
    int result = take_notes(round, err);
    if (result == 0 && round->count)
        result = wait_for_queues(round->wish, err);
    while (result == 0 && round->done < round->count && !is_no_use(round->wish))
        result = copy_piece(round, end_of_piece(round), err);
    free(hand->list);
    hand->list = NULL;
    return result;
}

static void add_left(void *object, void *data)
{
    *(uint64_t *)data += mem_precopy_left(object);
}

/* As virtual machines do it: on while it pays. */
static bool is_enough(const struct round *last)
{
    uint64_t left = 0;
    roster_each(&mem_roster, add_left, &left);
    double target = last->wish->target > 0 ? last->wish->target : PRECOPY_TARGET;
    if (left == 0 || last->bytes == 0 || is_no_use(last->wish))
        return true;
    double expected = last->ms * (double)left / (double)last->bytes;
    return expected <= target || left > last->bytes - last->bytes / 8;
}

static void copy_rounds(const struct precopy_wish *wish, struct report *report)
{
    unsigned most = wish->max_rounds ? wish->max_rounds : PRECOPY_ROUNDS;
    struct error err = {0};
    for (bool enough = false; !enough && report->precopy.rounds < most;) {
        struct round round = {.wish = wish};
        int result = copy_round(&round, &err);
        report->precopy.bytes += round.bytes;
        report->precopy.rounds++;
        tally_hold();
        if (result != 0 && !is_no_use(wish))
            report_warn(report, "not all could be copied beforehand: %s%s%s", err.object,
                        err.object[0] ? ": " : "", err.reason);
        enough = result != 0 || is_enough(&round);
    }
}

/* Binaries, for which a driver may compile. */
static void fetch_binaries(const struct precopy_wish *wish)
{
    size_t count;
    struct object **programs = hold_all(&program_roster, &count);
    for (size_t i = 0; programs && i < count && !is_no_use(wish); i++) {
        struct program *program = (struct program *)programs[i];
        IN_DRIVER(program->object.driver->library, programs[i], true);
        program_capture_early(program);
    }
    drop_all(hand);
}

struct beforehand {
    const struct precopy_wish *wish;
    struct report *report;
};

/* The thread is lent: no storm strikes it, and what it calls is no call of the program's. */
static int copy_inside(void *data)
{
    const struct beforehand *beforehand = data;
    gate_enter("precopy");
    fetch_binaries(beforehand->wish);
    copy_rounds(beforehand->wish, beforehand->report);
    gate_leave();
    return 0;
}

int precopy(const struct precopy_wish *wish, struct report *report, struct error *err)
{
    int64_t start = now_ns();
    struct beforehand beforehand = {wish, report};
    const struct leave_job job = {.act = copy_inside, .data = &beforehand, .clean = leave};
    bool left;
    if (!wish->wanted && !config.prepare)
        return 0;
    hand = calloc(1, sizeof *hand);
    if (!hand)
        return error_set(err, 0, "no memory for copies beforehand");
    hand->rate = wish->rate;
    int result = leave_run(&job, &left, err);
    report->precopy.ms = ms_since(start);
    log_info("precopy: %u rounds, %llu bytes, %.1f ms", report->precopy.rounds,
             (unsigned long long)report->precopy.bytes, report->precopy.ms);
    return result;
}

/* Copiers that are given back: */
static int drop_copiers(void *unused)
{
    gate_enter("precopy");
    for (size_t i = 0; i < hand->num_contexts; i++)
        context_drop_copier(hand->contexts[i]);
    gate_leave();
    return 0;
}

static int drop_contexts(void *unused)
{
    gate_enter("precopy");
    while (hand->num_contexts) {
        struct context *context = hand->contexts[--hand->num_contexts];
        context->copying = false;
        object_drop(context);
    }
    gate_leave();
    return 0;
}

void precopy_end(bool give_back_copiers)
{
    const struct leave_job drop = {.act = drop_copiers, .clean = leave};
    const struct leave_job end = {.act = drop_contexts, .clean = leave};
    struct error ignored = {0};
    bool left;
    if (hand && give_back_copiers && !atomic_load(&lazy_owed))
        leave_run(&drop, &left, &ignored);
    if (hand)
        leave_run(&end, &left, &ignored);
    if (!hand)
        return;
    free(hand->contexts);
    free(hand);
    hand = NULL;
}

void precopy_forked(void)
{
    for (size_t i = 0; hand && i < hand->num_contexts; i++)
        hand->contexts[i]->copying = false;
    hand = NULL;
}
