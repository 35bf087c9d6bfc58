/* SPDX-License-Identifier: Apache-2.0 */
/* The address band, its slots, and the counting of references and holds. See object.h. */
#include "state/object.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "shim/gate.h"
#include "shim/phase.h"

/* What only a slot points to is no leak: LeakSanitizer is told of the band, which it can't see, and
 * a released slot keeps no pointer that would hide one. */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#define SHOW_TO_LEAK_CHECK(start, size) __lsan_register_root_region(start, size)
#define HIDE_FROM_LEAK_CHECK(object)                                                               \
    memset((char *)(object) + sizeof *(object), 0, OBJECT_SLOT - sizeof *(object))
#else
#define SHOW_TO_LEAK_CHECK(start, size) ((void)0)
#define HIDE_FROM_LEAK_CHECK(object) ((void)0)
#endif

#define BAND_LARGEST ((size_t)16 << 30)
#define BAND_SMALLEST ((size_t)1 << 20)
#define COMMIT ((size_t)1 << 20) /* made accessible at a time, bytes */
#define SHARDS 8
#define REST 64 /* a slot rests until so many others of its shard were released after it */
#define BUNDLE 64

uintptr_t object_band;
_Atomic uintptr_t object_band_used;

static size_t band_size;
static const void *dispatch;
static pthread_mutex_t growth = PTHREAD_MUTEX_INITIALIZER;
static _Atomic size_t next_slot;                      /* slots that were never used begin here */
static _Alignas(64) _Atomic uint64_t next_serial = 1; /* on a line of its own */
static struct object *_Atomic dying;                  /* waiting for the gate, last dropped first */

/* Released slots, oldest first. */
static struct shard {
    _Alignas(64) atomic_flag busy;
    size_t count;
    struct object *first, *last;
    uint64_t serial, serials_end; /* a bundle of numbers for events */
} shards[SHARDS];

const char *kind_name(enum kind kind)
{
    static const char *const names[] = {[KIND_FREE] = "free slot",
                                        [KIND_DYING] = "released object",
#define X(kind, name, plural) [KIND_##kind] = name,
                                        KINDS(X)
#undef X
    };
    return names[kind];
}

size_t object_init(const void *table)
{
    struct rlimit limit;
    size_t size = BAND_LARGEST;
    /* A limited address space (`ulimit -v`, batch systems) is mostly the application's. */
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        while (size > BAND_SMALLEST && size > limit.rlim_cur / 16)
            size /= 2;
    dispatch = table;
    for (; size >= BAND_SMALLEST; size /= 2) {
        void *band =
            mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (band != MAP_FAILED) {
            object_band = (uintptr_t)band;
            band_size = size;
            return size / OBJECT_SLOT;
        }
    }
    return 0;
}

/* Makes the band accessible up to and with slot. */
static bool commit(size_t slot)
{
    size_t end = (slot + 1) * OBJECT_SLOT;
    if (end <= atomic_load(&object_band_used))
        return true;
    if (end > band_size)
        return false;
    pthread_mutex_lock(&growth);
    size_t used = atomic_load(&object_band_used);
    bool done = true;
    while (done && used < end) {
        done = mprotect((void *)(object_band + used), COMMIT, PROT_READ | PROT_WRITE) == 0;
        if (done)
            SHOW_TO_LEAK_CHECK((void *)(object_band + used), COMMIT);
        if (done)
            atomic_store(&object_band_used, used += COMMIT);
    }
    pthread_mutex_unlock(&growth);
    return done;
}

static bool shard_lock(struct shard *shard)
{
    return !atomic_flag_test_and_set_explicit(&shard->busy, memory_order_acquire);
}

static void shard_unlock(struct shard *shard)
{
    atomic_flag_clear_explicit(&shard->busy, memory_order_release);
}

/* Spreads the threads over the shards. */
static unsigned shard_of_thread(void)
{
    return (unsigned)((uintptr_t)&gate_self >> 12) % SHARDS;
}

/* With the shard's lock. The order of events matters to nobody, and a counter that every thread
 * writes at each enqueue would. */
static uint64_t event_serial(struct shard *shard)
{
    if (shard->serial == shard->serials_end) {
        shard->serial = atomic_fetch_add_explicit(&next_serial, BUNDLE, memory_order_relaxed);
        shard->serials_end = shard->serial + BUNDLE;
    }
    return shard->serial++;
}

static struct object *take_rested(enum kind kind)
{
    unsigned start = shard_of_thread();
    for (unsigned i = 0; i < SHARDS; i++) {
        struct shard *shard = &shards[(start + i) % SHARDS];
        if (!shard_lock(shard))
            continue;
        struct object *object = shard->count > REST ? shard->first : NULL;
        if (object) {
            shard->first = object->next;
            shard->count--;
            object->serial = kind == KIND_EVENT ? event_serial(shard) : 0;
        }
        shard_unlock(shard);
        if (object)
            return object;
    }
    return NULL;
}

static void put_to_rest(struct object *object)
{
    object->next = NULL;
    for (unsigned i = shard_of_thread();; i++) {
        struct shard *shard = &shards[i % SHARDS];
        if (!shard_lock(shard))
            continue;
        if (shard->count++)
            shard->last->next = object;
        else
            shard->first = object;
        shard->last = object;
        shard_unlock(shard);
        return;
    }
}

/* Apart: who finds a rested one need not save its registers. */
__attribute__((noinline)) static struct object *take_new(void)
{
    size_t slot = atomic_load(&next_slot);
    do {
        if (!commit(slot))
            return NULL;
    } while (!atomic_compare_exchange_weak(&next_slot, &slot, slot + 1));
    return (struct object *)(object_band + slot * OBJECT_SLOT);
}

struct object *object_take(enum kind kind, const struct driver *driver)
{
    struct object *object = take_rested(kind);
    if (!object)
        object = take_new();
    if (!object)
        return NULL;
    /* The first word stays readable, and the kind KIND_FREE, for whoever looks with a stale handle.
     */
    object->dispatch = dispatch;
    object->generation = (object->generation + 1) & 0xffffff;
    object->was = kind;
    if (!object->serial)
        object->serial = atomic_fetch_add_explicit(&next_serial, 1, memory_order_relaxed);
    object->real = NULL;
    object->driver = driver;
    object->refusal = NULL;
    object->next = NULL;
    atomic_store_explicit(&object->refs, 1, memory_order_relaxed);
    atomic_store_explicit(&object->holds, 1, memory_order_relaxed);
    return object;
}

void object_discard(void *handle)
{
    if (handle)
        put_to_rest(handle);
}

/* The first reference again, with its hold; of two threads that come with one, one drops it. */
static bool revive(struct object *object)
{
    if (!object_hold_alive(object, object->generation))
        return false;
    if (atomic_fetch_add_explicit(&object->refs, 1, memory_order_relaxed) != 0)
        object_drop(object);
    return true;
}

bool object_retain(void *handle)
{
    struct object *object = handle;
    uint32_t refs = atomic_load_explicit(&object->refs, memory_order_relaxed);
    do {
        if (refs == 0)
            return revive(object);
    } while (!atomic_compare_exchange_weak_explicit(&object->refs, &refs, refs + 1,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

bool object_release(void *handle)
{
    struct object *object = handle;
    uint32_t refs = atomic_load_explicit(&object->refs, memory_order_relaxed);
    do {
        if (refs == 0)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&object->refs, &refs, refs - 1,
                                                    memory_order_release, memory_order_relaxed));
    if (refs == 1)
        object_drop(object);
    return true;
}

bool object_hold_alive(struct object *object, uint32_t generation)
{
    if (!object_alive(object, generation))
        return false;
    uint32_t holds = atomic_load_explicit(&object->holds, memory_order_relaxed);
    do {
        if (holds == 0)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&object->holds, &holds, holds + 1,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

static inline __attribute__((always_inline)) void destroy(struct object *object)
{
    static void (*const destroys[KIND_COUNT])(void *) = {
        [KIND_PLATFORM] = platform_destroy,
        [KIND_DEVICE] = device_destroy,
        [KIND_CONTEXT] = context_destroy,
        [KIND_QUEUE] = queue_destroy,
        [KIND_MEM] = mem_destroy,
        [KIND_SAMPLER] = sampler_destroy,
        [KIND_PROGRAM] = program_destroy,
        [KIND_KERNEL] = kernel_destroy,
        [KIND_COMMAND_BUFFER] = command_buffer_destroy,
        [KIND_EVENT] = event_destroy,
    };
    destroys[object->was](object);
    HIDE_FROM_LEAK_CHECK(object);
    atomic_store_explicit(&object->kind, KIND_FREE, memory_order_release);
    put_to_rest(object);
}

/* The same where the thread could be left in it, which would have done it by halves. */
static void destroy_whole(struct object *object)
{
    NOT_LEFT();
    destroy(object);
}

/* The thread passes the closed gate, but the program stands still: a driver that does not come back
 * must not keep it so. */
static bool is_to_wait(void)
{
    return __builtin_expect(phase_self != NULL, 0) && phase_self->leaves &&
           (atomic_load(&gate_state) & GATE_CLOSED);
}

static void put_dying(struct object *object)
{
    object->next = atomic_load(&dying);
    while (!atomic_compare_exchange_weak(&dying, &object->next, object))
        ;
}

void object_end(struct object *object)
{
    atomic_store_explicit(&object->kind, KIND_DYING, memory_order_release);
    if (!is_to_wait() && gate_try_enter("the release of an object")) {
        if (__builtin_expect(phase_self != NULL, 0))
            destroy_whole(object);
        else
            destroy(object);
        gate_leave();
        return;
    }
    /* The gate is closed: whoever opens it destroys what has gathered. */
    put_dying(object);
    /* Unless it has just opened. The exchange and the look at the gate are in one order with those
     * of whoever opens it: one of the two sees what the other did. */
    object_reap_late();
}

void object_reap(void)
{
    struct object *object;
    while ((object = atomic_exchange(&dying, NULL)))
        while (object) {
            struct object *next = object->next;
            destroy(object);
            object = next;
        }
}

bool object_take_dying(struct object *wanted)
{
    struct object *object = atomic_exchange(&dying, NULL);
    bool found = false;
    while (object) {
        struct object *next = object->next;
        if (object == wanted)
            found = true;
        else
            put_dying(object);
        object = next;
    }
    return found;
}

bool object_any_dying(void)
{
    return atomic_load(&dying) != NULL;
}

void object_reap_late(void)
{
    if (!atomic_load(&dying) || is_to_wait() || !gate_try_enter("the release of objects"))
        return;
    object_reap();
    gate_leave();
}

static int by_kind_and_serial(const void *a, const void *b)
{
    const struct object *x = *(struct object *const *)a, *y = *(struct object *const *)b;
    if (x->was != y->was)
        return x->was < y->was ? -1 : 1;
    return x->serial < y->serial ? -1 : x->serial > y->serial;
}

static struct object *slot_at(size_t slot)
{
    return (struct object *)(object_band + slot * OBJECT_SLOT);
}

/* How many slots can hold an object: those handed out, which all are accessible. */
static size_t slots_used(void)
{
    return atomic_load(&next_slot);
}

struct object **object_list(bool dying, size_t *count)
{
    uint32_t lowest = dying ? KIND_DYING : KIND_DYING + 1;
    size_t used = slots_used(), n = 0;
    struct object **list = malloc((used + 1) * sizeof *list);
    if (!list)
        return NULL;
    for (size_t i = 0; i < used; i++)
        if (atomic_load_explicit(&slot_at(i)->kind, memory_order_acquire) >= lowest)
            list[n++] = slot_at(i);
    qsort(list, n, sizeof *list, by_kind_and_serial);
    *count = n;
    return list;
}

void object_each(enum kind was, void (*visit)(void *object, void *data), void *data)
{
    for (size_t i = 0, used = slots_used(); i < used; i++)
        if (atomic_load_explicit(&slot_at(i)->kind, memory_order_acquire) >= KIND_DYING &&
            slot_at(i)->was == was)
            visit(slot_at(i), data);
}

void object_count(size_t *counts)
{
    memset(counts, 0, KIND_COUNT * sizeof *counts);
    for (size_t i = 0, used = slots_used(); i < used; i++)
        counts[atomic_load_explicit(&slot_at(i)->kind, memory_order_acquire)]++;
}

void object_forked(void)
{
    pthread_mutex_init(&growth, NULL);
    for (unsigned i = 0; i < SHARDS; i++)
        atomic_flag_clear(&shards[i].busy);
}
