/* SPDX-License-Identifier: Apache-2.0 */
/* Memory under buffers: see block.h. Who finds the list of kept blocks in use goes to the allocator
 * instead: nobody waits, and a fork in the middle of a change costs the child the list, not more.
 */
#include "state/block.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#define ALIGN 128   /* bytes; at least CL_DEVICE_MEM_BASE_ADDR_ALIGN */
#define PAGE 4096   /* bytes */
#define LARGE 65536 /* bytes; begins at a page */
#define STEP 16     /* bytes; blocks of one class differ by less */
#define CLASSES (PAGE / STEP + 1)
/* An address sanitizer finds out who uses what was freed, unless it is kept. */
#ifdef __SANITIZE_ADDRESS__
#define KEPT_MOST ((size_t)0)
#else
#define KEPT_MOST ((size_t)256 << 10) /* bytes */
#endif

struct block {
    struct block *next;
};

static _Alignas(64) atomic_flag busy = ATOMIC_FLAG_INIT;
static struct block *kept[CLASSES]; /* guarded by busy, as is the next: by size / STEP */
static size_t kept_bytes;

static bool try_lock(void)
{
    return !atomic_flag_test_and_set_explicit(&busy, memory_order_acquire);
}

static void unlock(void)
{
    atomic_flag_clear_explicit(&busy, memory_order_release);
}

static struct block *take_kept(size_t class)
{
    if (!try_lock())
        return NULL;
    struct block *block = kept[class];
    if (block) {
        kept[class] = block->next;
        kept_bytes -= class * STEP;
    }
    unlock();
    return block;
}

static bool keep(struct block *block, size_t class)
{
    if (!try_lock())
        return false;
    bool room = kept_bytes + class * STEP <= KEPT_MOST;
    if (room) {
        block->next = kept[class];
        kept[class] = block;
        kept_bytes += class * STEP;
    }
    unlock();
    return room;
}

void *block_alloc(size_t size)
{
    size = size ? size : 1;
    size_t class = size / STEP + (size % STEP != 0);
    void *block = class < CLASSES ? take_kept(class) : NULL;
    if (block)
        return block;
    /* The whole class: when it is freed it must do for the others of its class. */
    size = class < CLASSES ? class * STEP : size;
    if (posix_memalign(&block, size < LARGE ? ALIGN : PAGE, size) != 0)
        return NULL;
    return block;
}

void block_free(void *block)
{
    size_t class = malloc_usable_size(block) / STEP;
    if (class > 0 && class < CLASSES && keep(block, class))
        return;
    free(block);
}
