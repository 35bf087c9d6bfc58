/* SPDX-License-Identifier: Apache-2.0 */
/* A ring of chunks on their way: see stream.h. */
#include "state/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "shim/gate.h"
#include "shim/phase.h"
#include "state/copier.h"
#include "state/image.h"
#include "state/staging.h"
#include "state/tally.h"

#define SLOTS 8
#define SETTLE_NS INT64_C(1000000000)

/* A chunk on its way, or nothing (no driver). */
struct slot {
    const struct driver *driver;
    cl_event event; /* owned; NULL: the bytes are there already */
    struct mem *mem;
    size_t size;
    bool first, last;         /* of its object */
    struct stream_sink *sink; /* that gets it; NULL: none, it goes to the device … */
    char *to;                 /* … or here */
};

/* Whatever a driver may be writing to. */
struct ring {
    struct leftover leftover;
    struct slot slots[SLOTS];
    char *memory;                /* owned: a chunk for each slot */
    const struct driver *driver; /* of `piece`; NULL: there is none */
    cl_event piece;              /* of a copy of an image's rows */
};

static struct ring *ring; /* owned; NULL: nothing is on its way */
static unsigned next;
static bool stuck; /* a copy may be on its way yet: nobody waits for the others */
static _Atomic uint64_t done;
static uint64_t unended; /* of that: of an object that has not ended yet */

uint64_t stream_done(void)
{
    return done;
}

static struct ring *make_ring(void)
{
    struct ring *made = calloc(1, sizeof *made);
    if (!made)
        return NULL;
    made->memory = mmap(NULL, SLOTS * STREAM_CHUNK, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (made->memory != MAP_FAILED)
        return made;
    free(made);
    return NULL;
}

static int have_memory(struct error *err)
{
    if (!ring)
        ring = make_ring();
    if (ring)
        return 0;
    error_set(err, 0, "no memory for %zu bytes of contents on their way", SLOTS * STREAM_CHUNK);
    return error_todo(err, "free memory or raise the limit, then try again");
}

int stream_prepare(struct error *err)
{
    done = unended = 0;
    return have_memory(err);
}

static char *bytes_of(const struct slot *slot)
{
    return ring->memory + (size_t)(slot - ring->slots) * STREAM_CHUNK;
}

static int name_mem(const struct mem *mem, struct error *err)
{
    return error_object(err, "%s %llu", mem->image ? "image" : "buffer",
                        (unsigned long long)mem->object.serial);
}

/* Where the contents come from may have said where in them the fault lies. */
static int name_contents(const struct mem *mem, struct error *err)
{
    char place[sizeof err->object];
    snprintf(place, sizeof place, "%s", err->object);
    name_mem(mem, err);
    size_t length = strlen(err->object);
    if (place[0])
        snprintf(err->object + length, sizeof err->object - length, " (%.90s)", place);
    return -1;
}

/* The driver does not touch the chunk any more. */
static int wait_for(struct slot *slot, struct error *err)
{
    if (!slot->event)
        return 0;
    IN_DRIVER(slot->driver->library, &slot->mem->object, false);
    if (stuck) {
        cl_event event = slot->event;
        slot->event = NULL;
        CALL_RELEASE(slot->driver, clReleaseEvent, event);
        return -1;
    }
    if (copier_wait(slot->driver, &slot->event, 1, slot->size, &stuck, err) == 0)
        return 0;
    return name_mem(slot->mem, err);
}

static int give(const struct slot *slot, struct stream_sink *sink, struct error *err)
{
    const struct mem *mem = slot->mem;
    if (slot->first && sink->begin(sink, mem->object.serial, mem->size, err) != 0)
        return -1;
    if (sink->put(sink, bytes_of(slot), slot->size, err) != 0)
        return -1;
    done += slot->size;
    unended = slot->last ? 0 : unended + slot->size;
    return slot->last ? sink->end(sink, err) : 0;
}

/* Ends what is on its way in a slot. */
static int retire(struct slot *slot, struct error *err)
{
    if (!slot->driver)
        return 0;
    int result = wait_for(slot, err);
    if (result == 0 && slot->sink)
        result = give(slot, slot->sink, err);
    if (result == 0 && slot->to)
        memcpy(slot->to, bytes_of(slot), slot->size);
    if (result == 0)
        tally_done(slot->size);
    slot->driver = NULL;
    return result;
}

/* The next slot, empty. NULL: what was in it has failed. */
static struct slot *take_slot(struct mem *mem, struct stream_sink *sink, struct error *err)
{
    struct slot *slot = &ring->slots[next];
    if (retire(slot, err) != 0)
        return NULL;
    next = (next + 1) % SLOTS;
    *slot = (struct slot){.mem = mem, .sink = sink};
    phase_beat();
    return slot;
}

static int failed(const struct mem *mem, const char *call, cl_int status, struct error *err)
{
    error_set(err, 0, "%s failed (%d)", call, status);
    return name_mem(mem, err);
}

static int read_chunk(struct slot *slot, size_t at, struct error *err)
{
    struct mem *mem = slot->mem;
    const struct driver *driver = mem->object.driver;
    slot->driver = driver;
    cl_int status =
        CALL(driver->clEnqueueReadBuffer(mem->context->copier, mem_real(mem), CL_FALSE, at,
                                         slot->size, bytes_of(slot), 0, NULL, &slot->event));
    if (status == CL_SUCCESS)
        status = CALL(driver->clFlush(mem->context->copier));
    return status == CL_SUCCESS ? 0 : failed(mem, "clEnqueueReadBuffer", status, err);
}

static int write_chunk(struct slot *slot, size_t at, cl_command_queue queue, struct error *err)
{
    struct mem *mem = slot->mem;
    const struct driver *driver = mem->object.driver;
    cl_int status = driver->clEnqueueWriteBuffer(queue, mem_real(mem), CL_FALSE, at, slot->size,
                                                 bytes_of(slot), 0, NULL, &slot->event);
    if (status == CL_SUCCESS)
        status = driver->clFlush(queue);
    slot->driver = driver;
    return status == CL_SUCCESS ? 0 : failed(mem, "clEnqueueWriteBuffer", status, err);
}

static size_t left(const struct mem *mem, size_t at)
{
    return mem->size - at < STREAM_CHUNK ? mem->size - at : STREAM_CHUNK;
}

/* To the sink, or with none to memory. */
static int buffer_down(struct mem *mem, struct stream_sink *sink, char *to, struct error *err)
{
    for (size_t at = 0; at < mem->size; at += STREAM_CHUNK) {
        struct slot *slot = take_slot(mem, sink, err);
        if (!slot)
            return -1;
        slot->size = left(mem, at);
        slot->first = at == 0;
        slot->last = at + slot->size == mem->size;
        slot->to = to ? to + at : NULL;
        if (read_chunk(slot, at, err) != 0)
            return -1;
    }
    return 0;
}

/* Rows of an image do not end where chunks do: pieces of whole rows go through memory of their own.
 */
struct piece {
    char *bytes;          /* owned */
    const size_t *extent; /* the image's */
    size_t row, rows;
    size_t origin[3], region[3];
};

static bool piece_begin(const struct mem *mem, struct piece *piece)
{
    const struct image *image = mem->image;
    size_t row = image->extent[0] * image->element;
    size_t rows = row < STREAM_CHUNK ? STREAM_CHUNK / row : 1;
    *piece = (struct piece){.extent = image->extent, .row = row};
    piece->rows = rows < image->extent[1] ? rows : image->extent[1];
    piece->bytes = malloc(piece->row * piece->rows);
    piece->region[0] = image->extent[0];
    piece->region[2] = 1;
    return piece->bytes != NULL;
}

/* The piece's rows from the place where the last one ended; bytes, 0: there is nothing more. */
static size_t piece_next(struct piece *piece)
{
    const size_t *extent = piece->extent;
    piece->origin[1] += piece->region[1];
    if (piece->origin[1] == extent[1]) {
        piece->origin[1] = 0;
        piece->origin[2]++;
    }
    if (piece->origin[2] == extent[2])
        return 0;
    size_t rows = extent[1] - piece->origin[1];
    piece->region[1] = rows < piece->rows ? rows : piece->rows;
    return piece->region[1] * piece->row;
}

/* To the piece's bytes or from there. Those of a copy that may come late are given up. */
static int copy_piece(const struct mem *mem, struct piece *piece, size_t size, bool down,
                      struct error *err)
{
    const struct driver *driver = mem->object.driver;
    cl_command_queue queue = mem->context->copier;
    ring->driver = driver;
    cl_int status = down ? CALL(driver->clEnqueueReadImage(queue, mem_real(mem), CL_FALSE,
                                                           piece->origin, piece->region, 0, 0,
                                                           piece->bytes, 0, NULL, &ring->piece))
                         : driver->clEnqueueWriteImage(queue, mem_real(mem), CL_FALSE,
                                                       piece->origin, piece->region, 0, 0,
                                                       piece->bytes, 0, NULL, &ring->piece);
    if (status != CL_SUCCESS)
        return failed(mem, down ? "clEnqueueReadImage" : "clEnqueueWriteImage", status, err);
    CALL(driver->clFlush(queue));
    if (copier_wait(driver, &ring->piece, 1, size, &stuck, err) == 0)
        return 0;
    if (stuck)
        piece->bytes = NULL;
    return name_mem(mem, err);
}

/* Fills slots with the image's bytes, `from` piece by piece. */
static int put_piece(struct mem *mem, const char *from, size_t size, size_t *at,
                     struct slot **current, struct stream_sink *sink, struct error *err)
{
    while (size) {
        size_t begun = *at % STREAM_CHUNK;
        if (begun == 0) {
            *current = take_slot(mem, sink, err);
            if (!*current)
                return -1;
            (*current)->first = *at == 0;
            (*current)->size = left(mem, *at);
            (*current)->last = *at + (*current)->size == mem->size;
        }
        size_t part = (*current)->size - begun < size ? (*current)->size - begun : size;
        memcpy(bytes_of(*current) + begun, from, part);
        from += part;
        size -= part;
        *at += part;
        if (begun + part == (*current)->size)
            (*current)->driver = mem->object.driver; /* full, and with nothing to wait for */
    }
    return 0;
}

static int image_down(struct mem *mem, struct stream_sink *sink, struct error *err)
{
    struct piece piece;
    struct slot *current = NULL;
    size_t at = 0, size;
    int result = 0;
    if (!piece_begin(mem, &piece))
        return error_set(err, 0, "no memory to copy an image");
    while (result == 0 && (size = piece_next(&piece)) != 0) {
        result = copy_piece(mem, &piece, size, true, err);
        if (result == 0)
            result = put_piece(mem, piece.bytes, size, &at, &current, sink, err);
    }
    free(piece.bytes);
    return result;
}

int stream_down(struct mem *mem, struct stream_sink *sink, struct error *err)
{
    if (have_memory(err) != 0 || context_copier(mem->context, err) != 0)
        return -1;
    if (mem->stored && done >= mem->size)
        done -= mem->size; /* it was counted before */
    return mem->image ? image_down(mem, sink, err) : buffer_down(mem, sink, NULL, err);
}

int stream_down_to(struct mem *mem, void *to, struct error *err)
{
    if (have_memory(err) != 0 || context_copier(mem->context, err) != 0)
        return -1;
    return buffer_down(mem, NULL, to, err);
}

int stream_finish(struct error *err)
{
    for (unsigned i = 0; ring && i < SLOTS; i++)
        if (retire(&ring->slots[(next + i) % SLOTS], err) != 0)
            return -1;
    return 0;
}

int stream_memory(uint64_t serial, const void *bytes, size_t size, struct stream_sink *sink,
                  struct error *err)
{
    if (have_memory(err) != 0 || stream_finish(err) != 0 ||
        sink->begin(sink, serial, size, err) != 0)
        return -1;
    for (size_t at = 0; at < size; at += STREAM_CHUNK) {
        size_t part = size - at < STREAM_CHUNK ? size - at : STREAM_CHUNK;
        memcpy(ring->memory, (const char *)bytes + at, part);
        if (sink->put(sink, ring->memory, part, err) != 0)
            return -1;
        done += part;
    }
    return sink->end(sink, err);
}

static int buffer_up(struct mem *mem, struct stream_source *source, cl_command_queue queue,
                     struct error *err)
{
    for (size_t at = 0; at < mem->size; at += STREAM_CHUNK) {
        struct slot *slot = take_slot(mem, NULL, err);
        if (!slot)
            return -1;
        slot->size = left(mem, at);
        if (source->get(source, mem, at / STREAM_CHUNK, bytes_of(slot), err) != 0)
            return name_contents(mem, err);
        if (write_chunk(slot, at, queue, err) != 0)
            return -1;
    }
    return 0;
}

/* The next bytes of the image, out of chunks; one slot has the chunk that is being used up. */
static int get_piece(struct mem *mem, char *to, size_t size, size_t *at, struct slot *slot,
                     struct stream_source *source, struct error *err)
{
    while (size) {
        size_t begun = *at % STREAM_CHUNK, whole = left(mem, *at - begun);
        if (begun == 0 && source->get(source, mem, *at / STREAM_CHUNK, bytes_of(slot), err) != 0)
            return name_contents(mem, err);
        size_t part = whole - begun < size ? whole - begun : size;
        memcpy(to, bytes_of(slot) + begun, part);
        to += part;
        size -= part;
        *at += part;
    }
    return 0;
}

static int image_up(struct mem *mem, struct stream_source *source, cl_command_queue queue,
                    struct error *err)
{
    struct piece piece;
    size_t at = 0, size;
    int result = 0;
    struct slot *slot = take_slot(mem, NULL, err);
    if (!slot)
        return -1;
    if (!piece_begin(mem, &piece))
        return error_set(err, 0, "no memory to copy an image");
    while (result == 0 && (size = piece_next(&piece)) != 0) {
        phase_beat();
        result = get_piece(mem, piece.bytes, size, &at, slot, source, err);
        if (result == 0)
            result = copy_piece(mem, &piece, size, false, err);
        tally_done(result == 0 ? size : 0);
    }
    free(piece.bytes);
    return result;
}

int stream_up(struct mem *mem, struct stream_source *source, cl_command_queue queue,
              struct error *err)
{
    if (stream_prepare(err) != 0)
        return -1;
    return mem->image ? image_up(mem, source, queue, err) : buffer_up(mem, source, queue, err);
}

/* Also where the driver does not say. */
static bool has_ended(const struct slot *slot)
{
    cl_int status = CL_COMPLETE;
    if (!slot->driver || !slot->event)
        return true;
    cl_int code = CALL(slot->driver->clGetEventInfo(slot->event, CL_EVENT_COMMAND_EXECUTION_STATUS,
                                                    sizeof status, &status, NULL));
    return code != CL_SUCCESS || status <= CL_COMPLETE;
}

void stream_settle(void)
{
    int64_t end = now_ns() + SETTLE_NS;
    for (unsigned i = 0; ring && i < SLOTS; i++)
        while (!has_ended(&ring->slots[i]) && now_ns() < end)
            nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
}

/* A copy that comes late must not write into other memory, or nowhere: pages that nobody has are as
 * good as any. */
static void keep_mapped(struct ring *old)
{
    madvise(old->memory, SLOTS * STREAM_CHUNK, MADV_DONTNEED);
    free(old);
}

void stream_give_up(void)
{
    struct error ignored = {0};
    for (unsigned i = 0; ring && i < SLOTS; i++) {
        struct slot *slot = &ring->slots[i];
        if (slot->driver)
            wait_for(slot, &ignored);
        slot->driver = NULL;
    }
    done -= unended;
    unended = 0;
    if (stuck && ring) {
        keep_mapped(ring);
        ring = NULL;
    }
    stuck = false;
}

void stream_drop(void)
{
    stream_give_up();
    if (!ring)
        return;
    munmap(ring->memory, SLOTS * STREAM_CHUNK);
    free(ring);
    ring = NULL;
}

void stream_abandon(void)
{
    stuck = ring != NULL;
}

static void give_back_event(const struct driver *driver, cl_event event)
{
    if (driver && event)
        RELEASE(driver, clReleaseEvent, event);
}

static void give_back(struct leftover *leftover)
{
    struct ring *old = (struct ring *)leftover;
    for (unsigned i = 0; i < SLOTS; i++)
        give_back_event(old->slots[i].driver, old->slots[i].event);
    give_back_event(old->driver, old->piece);
    keep_mapped(old);
}

void stream_leave(struct leftover **leftovers)
{
    stuck = false;
    done = unended = 0;
    if (!ring)
        return;
    ring->leftover = (struct leftover){*leftovers, give_back};
    *leftovers = &ring->leftover;
    ring = NULL;
}

/* What was on its way was the parent's. */
void stream_forked(void)
{
    ring = NULL;
    next = 0;
    stuck = false;
    done = unended = 0;
}
