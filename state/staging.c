/* SPDX-License-Identifier: Apache-2.0 */
/* Memory for captured contents: see staging.h. Only the thread that suspends or resumes calls, but
 * for staging_abandon. */
#include "state/staging.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>

#include "state/available.h"

#define ALIGN ((size_t)64)
#define PAGE ((size_t)4096)
#define PIECE_SMALLEST ((size_t)1 << 20)
#define TOUCHED_AT_ONCE ((size_t)32 << 20)

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

struct piece {
    struct piece *next;
    size_t size, used; /* both with this header */
    size_t taken;      /* as `taken`, of this one */
    bool marked;
};

static struct piece *pieces;  /* the current one first */
static _Atomic size_t taken;  /* also read by whoever asks how far a capture is */
static atomic_bool abandoned; /* the pieces belong to copies that were not seen to end */

/* Under some hypervisors the kernel's own touch is not enough: the first access from here faults
 * again, at each page. (A kernel before 5.14 leaves all to that.) False: it is given up. */
static bool touch(char *memory, size_t size, bool (*give_up)(void))
{
    for (size_t at = 0; at < size; at += TOUCHED_AT_ONCE) {
        size_t part = size - at < TOUCHED_AT_ONCE ? size - at : TOUCHED_AT_ONCE;
        if (give_up && give_up())
            return false;
        madvise(memory + at, part, MADV_POPULATE_WRITE);
        /* (The very first page has been written to, and has the header.) */
        for (size_t page = at ? at : PAGE; page < at + part; page += PAGE)
            ((volatile char *)memory)[page] = 0;
    }
    return true;
}

static struct piece *add_piece(size_t bytes)
{
    size_t size = bytes + sizeof(struct piece) + ALIGN;
    if (size < PIECE_SMALLEST)
        size = PIECE_SMALLEST;
    struct piece *piece =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (piece == MAP_FAILED)
        return NULL;
    piece->next = pieces;
    piece->size = size;
    piece->taken = 0;
    piece->marked = false;
    piece->used = (sizeof *piece + ALIGN - 1) / ALIGN * ALIGN;
    pieces = piece;
    return piece;
}

struct available {
    uint64_t bytes;
    bool in_group; /* the cgroup's limit is the nearer one */
};

static struct available look(void)
{
    uint64_t all = available_memory(""), group = available_in_cgroup("");
    return (struct available){group < all ? group : all, group <= all};
}

static int refuse(size_t bytes, const struct available *available, struct error *err)
{
    error_object(err, "staging memory");
    error_set(err, 0,
              "%zu bytes of device contents have to be kept, and %llu bytes of memory "
              "are available%s",
              bytes, (unsigned long long)available->bytes,
              available->in_group ? " under the cgroup's limit" : "");
    return error_todo(err, "free memory or raise the limit, then try again");
}

int staging_check(size_t bytes, struct error *err)
{
    struct available available = look();
    return bytes > available.bytes ? refuse(bytes, &available, err) : 0;
}

int staging_reserve(size_t bytes, bool (*give_up)(void), struct error *err)
{
    if (bytes == 0)
        return 0;
    struct available available = look();
    struct piece *piece = bytes > available.bytes ? NULL : add_piece(bytes);
    if (!piece)
        return refuse(bytes, &available, err);
    if (touch((char *)piece, piece->size, give_up))
        return 0;
    return error_set(err, 0, "its memory is not set aside to the end");
}

size_t staging_rounded(size_t bytes)
{
    return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

void *staging_take_reserved(size_t bytes)
{
    size_t room = staging_rounded(bytes);
    struct piece *piece = pieces;
    while (piece && piece->size - piece->used < room)
        piece = piece->next;
    if (!piece)
        return NULL;
    void *memory = (char *)piece + piece->used;
    piece->used += room;
    piece->taken += bytes;
    taken += bytes;
    return memory;
}

void *staging_take(size_t bytes)
{
    void *memory = staging_take_reserved(bytes);
    if (memory || !add_piece(staging_rounded(bytes)))
        return memory;
    return staging_take_reserved(bytes);
}

void staging_mark(const void *contents)
{
    for (struct piece *piece = pieces; piece; piece = piece->next)
        if ((const char *)contents >= (char *)piece &&
            (const char *)contents < (char *)piece + piece->size)
            piece->marked = true;
}

void staging_trim(void)
{
    for (struct piece **link = &pieces; *link;) {
        struct piece *piece = *link;
        if (piece->marked || abandoned) {
            piece->marked = false;
            link = &piece->next;
            continue;
        }
        *link = piece->next;
        taken -= piece->taken;
        munmap(piece, piece->size);
    }
}

size_t staging_room(void)
{
    size_t room = 0;
    for (struct piece *piece = pieces; piece; piece = piece->next)
        room += piece->size - piece->used;
    return room;
}

size_t staging_used(void)
{
    return taken;
}

void staging_abandon(void)
{
    abandoned = true;
}

void staging_drop(void)
{
    /* A copy that comes late must not write into other memory, or nowhere: pages that nobody has
     * are as good as any. */
    bool keep_mapped = abandoned;
    abandoned = false;
    while (pieces) {
        struct piece *next = pieces->next;
        if (keep_mapped)
            madvise(pieces, pieces->size, MADV_DONTNEED);
        else
            munmap(pieces, pieces->size);
        pieces = next;
    }
    taken = 0;
}
