/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of an image file, up to the device and back. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "serialize/image_hash.h"
#include "serialize/rebuild/rebuild.h"
#include "state/copier.h"
#include "state/stream.h"

/* What goes by are the file's chunks. */
_Static_assert(STREAM_CHUNK == IMAGE_CHUNK, "one size"); // NOLINT(misc-redundant-expression)

static int check_one(const struct rebuild *it, const struct image_contents *contents,
                     struct error *err)
{
    struct load_owner owner;
    const char *why = NULL;
    if (!load_find_owner(it->load, contents->serial, &owner))
        why = "the image has contents of it, and it is none that has any";
    else if (owner.size != contents->size)
        why = "its size is not that of its contents";
    if (!why)
        return 0;
    error_object(err, "object %" PRIu64, contents->serial);
    error_set(err, 0, "%s (%" PRIu64 " bytes)", why, contents->size);
    return error_todo(err, "take another image: this one is not as shadowcl writes them");
}

int contents_check(struct rebuild *it, struct error *err)
{
    size_t count;
    const struct image_contents *all = image_reader_all_contents(it->reader, &count);
    it->same = calloc(count + 1, sizeof *it->same);
    if (!it->same)
        return error_set(err, 0, "no memory for the list of contents");
    for (size_t i = 0; i < count; i++) {
        if (check_one(it, &all[i], err) != 0)
            return -1;
        it->bytes += all[i].size;
    }
    return 0;
}

/* Where the bytes lie in this process: a buffer over the host's memory, or an allocation. */
static unsigned char *host_of(const struct load_owner *owner)
{
    return owner->mem ? (unsigned char *)owner->mem->host : owner->svm;
}

static int fill_one(struct rebuild *it, const struct image_contents *contents, unsigned char *to,
                    struct error *err)
{
    for (size_t i = 0; i < contents->num_chunks; i++)
        if (image_reader_chunk(it->reader, contents, i, to + i * IMAGE_CHUNK, err) != 0)
            return -1;
    return 0;
}

int contents_fill(struct rebuild *it, struct error *err)
{
    size_t count;
    const struct image_contents *all = image_reader_all_contents(it->reader, &count);
    for (size_t i = 0; i < count; i++) {
        struct load_owner owner;
        load_find_owner(it->load, all[i].serial, &owner);
        if (host_of(&owner) && fill_one(it, &all[i], host_of(&owner), err) != 0)
            return -1;
    }
    return 0;
}

/* The file, as the streams want it. */
struct file_source {
    struct stream_source source;
    struct image_reader *reader;
};

static int get(struct stream_source *source, const struct mem *mem, size_t chunk, void *to,
               struct error *err)
{
    struct image_reader *reader = ((struct file_source *)source)->reader;
    return image_reader_chunk(reader, image_reader_contents(reader, mem->object.serial), chunk, to,
                              err);
}

int contents_upload(struct rebuild *it, struct error *err)
{
    size_t count;
    const struct image_contents *all = image_reader_all_contents(it->reader, &count);
    struct file_source source = {{get}, it->reader};
    for (size_t i = 0; i < count; i++) {
        struct load_owner owner;
        load_find_owner(it->load, all[i].serial, &owner);
        if (!owner.mem || owner.mem->host)
            continue;
        if (context_copier(owner.context, err) != 0 ||
            stream_up(owner.mem, &source.source, owner.context->copier, err) != 0)
            return -1;
    }
    return stream_finish(err);
}

/* What comes back, chunk by chunk. */
struct comparison {
    struct stream_sink sink;
    struct rebuild *it;
    const struct image_contents *contents; /* of the object that is coming */
    uint64_t *hashes;                      /* owned: two for each of its chunks */
    size_t chunk;
};

static int begin(struct stream_sink *sink, uint64_t serial, uint64_t size, struct error *err)
{
    struct comparison *comparison = (struct comparison *)sink;
    comparison->contents = image_reader_contents(comparison->it->reader, serial);
    comparison->chunk = 0;
    comparison->hashes =
        calloc(comparison->contents->num_chunks + 1, 2 * sizeof *comparison->hashes);
    return comparison->hashes ? 0 : error_set(err, 0, "no memory for the hashes");
}

static int put(struct stream_sink *sink, const void *bytes, size_t size, struct error *err)
{
    struct comparison *comparison = (struct comparison *)sink;
    image_hash(bytes, size, &comparison->hashes[2 * comparison->chunk++]);
    return 0;
}

static int end(struct stream_sink *sink, struct error *err)
{
    struct comparison *comparison = (struct comparison *)sink;
    const struct image_contents *contents = comparison->contents;
    size_t count;
    uint64_t digest[2];
    image_digest(comparison->hashes, comparison->chunk, digest);
    comparison->it->same[contents - image_reader_all_contents(comparison->it->reader, &count)] =
        digest[0] == contents->digest[0] && digest[1] == contents->digest[1];
    free(comparison->hashes);
    comparison->hashes = NULL;
    return 0;
}

static int svm_down(const struct load_owner *owner, uint64_t serial, struct stream_sink *sink,
                    struct error *err)
{
    const struct driver *driver = owner->context->object.driver;
    char *chunk = malloc(IMAGE_CHUNK);
    int result = chunk ? context_copier(owner->context, err) : error_set(err, 0, "no memory");
    if (result == 0)
        result = sink->begin(sink, serial, owner->size, err);
    for (uint64_t at = 0; at < owner->size && result == 0; at += IMAGE_CHUNK) {
        size_t size = owner->size - at < IMAGE_CHUNK ? owner->size - at : IMAGE_CHUNK;
        cl_int status = driver->clEnqueueSVMMemcpy(owner->context->copier, CL_TRUE, chunk,
                                                   owner->svm + at, size, 0, NULL, NULL);
        result = status == CL_SUCCESS ? sink->put(sink, chunk, size, err)
                                      : error_set(err, 0, "clEnqueueSVMMemcpy failed (%d)", status);
    }
    free(chunk);
    return result == 0 ? sink->end(sink, err) : -1;
}

/* What could not be had at its address is not read back either: a note says so. */
static int read_all(struct rebuild *it, struct stream_sink *sink, struct error *err)
{
    size_t count;
    const struct image_contents *all = image_reader_all_contents(it->reader, &count);
    for (size_t i = 0; i < count; i++) {
        struct load_owner owner;
        load_find_owner(it->load, all[i].serial, &owner);
        int result = 0;
        if (owner.mem)
            result = stream_down(owner.mem, sink, err);
        else if (owner.svm)
            result = stream_finish(err) != 0 ? -1 : svm_down(&owner, all[i].serial, sink, err);
        if (result != 0)
            return -1;
    }
    return stream_finish(err);
}

int contents_read_back(struct rebuild *it, struct error *err)
{
    struct comparison comparison = {.sink = {begin, put, end}, .it = it};
    int result = stream_prepare(err) == 0 ? read_all(it, &comparison.sink, err) : -1;
    free(comparison.hashes);
    return result;
}
