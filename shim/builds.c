/* SPDX-License-Identifier: Apache-2.0 */
/* Builds of a resume on several threads: see builds.h. */
#include "shim/builds.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "shim/gate.h"
#include "shim/log.h"
#include "shim/objects.h"
#include "shim/thread.h"
#include "state/program.h"

/* What the threads share. */
struct work {
    struct object *const *objects;
    size_t *list; /* owned; of the objects: what is to be built */
    size_t count;
    _Atomic size_t next;
    atomic_bool stop; /* one has failed, or hangs */
};

/* A thread's part. */
struct hand {
    struct work *work;
    pthread_t thread; /* waits for the one that builds */
    int result;
    size_t failed; /* the object */
    struct error err;
    struct phase_place hung;
};

static int build_some(void *data)
{
    struct hand *hand = data;
    struct work *work = hand->work;
    while (!atomic_load(&work->stop)) {
        size_t i = atomic_fetch_add(&work->next, 1);
        if (i >= work->count)
            return 0;
        hand->failed = work->list[i];
        if (objects_rebuild(work->objects[hand->failed], &hand->err) == 0)
            continue;
        atomic_store(&work->stop, true);
        return -1;
    }
    return 0;
}

/* Once one hangs the others end with the build that they are at, or hang as well: they may wait for
 * the first one's locks. */
static void *watch(void *data)
{
    struct hand *hand = data;
    gate_lend();
    hand->result = phase_run(build_some, hand, &hand->hung);
    gate_unlend();
    if (hand->result != 0)
        atomic_store(&hand->work->stop, true);
    return NULL;
}

/* §A.2: its calls may be made by several threads at once. oclgrind 21.10 crashes when two build
 * programs of one context. */
static bool builds_at_once(const struct object *object)
{
    const struct device *device = ((const struct program *)object)->context->devices[0];
    while (device->parent)
        device = device->parent;
    const char *name = device_place(device)->platform->name;
    return !name || strcmp(name, "Oclgrind") != 0;
}

static bool list_programs(struct object *const *objects, size_t count, struct work *work)
{
    work->list = malloc((count + 1) * sizeof *work->list);
    for (size_t i = 0; i < count && work->list; i++)
        if (objects[i]->was == KIND_PROGRAM && builds_at_once(objects[i]) &&
            program_must_be_built((struct program *)objects[i]))
            work->list[work->count++] = i;
    return work->list;
}

/* What the first program has to say that failed; a driver that hangs comes before that. */
static int judge(const struct hand *hands, unsigned count, struct builds_hung *hung,
                 struct error *err)
{
    const struct hand *first = NULL;
    for (unsigned i = 0; i < count; i++) {
        const struct hand *hand = &hands[i];
        if (hand->hung.library)
            hung->places[hung->count++] = hand->hung;
        else if (hand->result != 0 && (!first || hand->failed < first->failed))
            first = hand;
    }
    if (first)
        *err = first->err;
    return first || hung->count ? -1 : 0;
}

/* This thread only waits, in no driver. */
static int make_together(struct work *work, unsigned wanted, struct builds_hung *hung,
                         struct error *err)
{
    struct hand hands[BUILDS_THREADS];
    unsigned started = 0;
    for (; started < wanted; started++) {
        hands[started] = (struct hand){.work = work};
        if (!thread_create(&hands[started].thread, watch, &hands[started]))
            break;
    }
    if (!started) {
        started = 1;
        hands[0].result = build_some(&hands[0]);
    } else {
        for (unsigned i = 0; i < started; i++)
            pthread_join(hands[i].thread, NULL);
    }
    return judge(hands, started, hung, err);
}

int builds_make(struct object *const *objects, size_t count, bool **made, struct builds_hung *hung,
                struct error *err)
{
    struct work work = {.objects = objects};
    int64_t start = now_ns();
    int result = 0;
    *made = NULL;
    unsigned wanted =
        list_programs(objects, count, &work) ? thread_count(work.count, BUILDS_THREADS) : 0;
    if (wanted > 1 && (*made = calloc(count, sizeof **made))) {
        for (size_t i = 0; i < work.count; i++)
            (*made)[work.list[i]] = true;
        result = make_together(&work, wanted, hung, err);
        log_info("builds: %zu programs, %u at once, %.1f ms", work.count, wanted, ms_since(start));
    }
    free(work.list);
    return result;
}
