/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of an image file, up to the device and back. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "serialize/image_hash.h"
#include "serialize/rebuild/pixels.h"
#include "serialize/rebuild/rebuild.h"

static int check_one(const struct rebuild *it, const struct image_contents *contents,
                     struct error *err)
{
    struct load_owner owner;
    error_object(err, "object %" PRIu64, contents->serial);
    error_todo(err, "take another image: this one is not as shadowcl writes them");
    if (!load_find_owner(it->load, contents->serial, &owner))
        return error_set(err, 0, "the image has contents of it, and it is none that has any");
    if (owner.size != contents->size)
        return error_set(err, 0, "it has %" PRIu64 " bytes, and contents of %" PRIu64, owner.size,
                         contents->size);
    *err = (struct error){0};
    return 0;
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

static int upload_one(struct rebuild *it, const struct image_contents *contents, struct mem *mem,
                      void *chunk, struct error *err)
{
    struct stream stream;
    int result = stream_open(&stream, mem, err);
    for (size_t i = 0; i < contents->num_chunks && result == 0; i++) {
        result = image_reader_chunk(it->reader, contents, i, chunk, err);
        if (result == 0)
            result = stream_write(&stream, chunk, image_chunk_size(contents, i), err);
    }
    stream_close(&stream);
    return result;
}

int contents_upload(struct rebuild *it, struct error *err)
{
    size_t count;
    const struct image_contents *all = image_reader_all_contents(it->reader, &count);
    void *chunk = malloc(IMAGE_CHUNK);
    int result = chunk ? 0 : error_set(err, 0, "no memory for a chunk");
    for (size_t i = 0; i < count && result == 0; i++) {
        struct load_owner owner;
        load_find_owner(it->load, all[i].serial, &owner);
        if (owner.mem && !owner.mem->host)
            result = upload_one(it, &all[i], owner.mem, chunk, err);
    }
    free(chunk);
    return result;
}

static int read_svm(const struct load_owner *owner, size_t at, void *to, size_t size,
                    struct error *err)
{
    const struct driver *driver = owner->context->object.driver;
    if (context_copier(owner->context, err) != 0)
        return -1;
    cl_int status = driver->clEnqueueSVMMemcpy(owner->context->copier, CL_TRUE, to, owner->svm + at,
                                               size, 0, NULL, NULL);
    return status == CL_SUCCESS ? 0 : error_set(err, 0, "clEnqueueSVMMemcpy failed (%d)", status);
}

static int hash_chunks(const struct image_contents *contents, const struct load_owner *owner,
                       void *chunk, uint64_t *hashes, struct error *err)
{
    struct stream stream = {0};
    int result = owner->mem ? stream_open(&stream, owner->mem, err) : 0;
    for (size_t i = 0; i < contents->num_chunks && result == 0; i++) {
        size_t size = image_chunk_size(contents, i);
        result = owner->mem ? stream_read(&stream, chunk, size, err)
                            : read_svm(owner, i * IMAGE_CHUNK, chunk, size, err);
        image_hash(chunk, size, &hashes[2 * i]);
    }
    stream_close(&stream);
    return result;
}

static int compare_one(const struct image_contents *contents, const struct load_owner *owner,
                       void *chunk, bool *same, struct error *err)
{
    uint64_t digest[2];
    uint64_t *hashes = calloc(contents->num_chunks + 1, 2 * sizeof *hashes);
    if (!hashes)
        return error_set(err, 0, "no memory for the hashes");
    int result = hash_chunks(contents, owner, chunk, hashes, err);
    image_digest(hashes, contents->num_chunks, digest);
    *same = result == 0 && digest[0] == contents->digest[0] && digest[1] == contents->digest[1];
    free(hashes);
    return result;
}

/* What could not be had at its address is not read back either: a note says so. */
int contents_read_back(struct rebuild *it, struct error *err)
{
    size_t count;
    const struct image_contents *all = image_reader_all_contents(it->reader, &count);
    void *chunk = calloc(1, IMAGE_CHUNK);
    int result = chunk ? 0 : error_set(err, 0, "no memory for a chunk");
    for (size_t i = 0; i < count && result == 0; i++) {
        struct load_owner owner;
        load_find_owner(it->load, all[i].serial, &owner);
        if (owner.mem || owner.svm)
            result = compare_one(&all[i], &owner, chunk, &it->same[i], err);
    }
    free(chunk);
    return result;
}
