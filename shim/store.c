/* SPDX-License-Identifier: Apache-2.0 */
/* Writing an image file, and reading contents back from it: see store.h. */
#include "shim/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "serialize/image_reader.h"
#include "serialize/save.h"
#include "shim/checkpoint.h"
#include "shim/control_report.h"
#include "shim/gate.h"
#include "shim/own_file.h"
#include "shim/owner.h"
#include "shim/phase.h"
#include "state/staging.h"
#include "state/tally.h"

static struct own_file file = {.fd = -1}; /* being written */
static struct save saving;
static int64_t begun; /* CLOCK_MONOTONIC, ns */
static int asker;     /* of struct store_wish */

/* What the suspended process has its contents from. */
static struct own_file kept = {.fd = -1};
static struct image_reader *reader; /* owned; of that */
static bool of_parent;              /* it was so in the process that this one was forked from */

/* What comes next must not go into a file of the program's. */
static int check_file(struct error *err)
{
    if (own_file_is(&file))
        return 0;
    error_object(err, "image file");
    error_set(err, 0, "the program has closed it");
    return error_todo(err, "try again");
}

static int sink_begin(struct stream_sink *sink, uint64_t serial, uint64_t size, struct error *err)
{
    if (check_file(err) != 0)
        return -1;
    return image_writer_begin(saving.writer, serial, size, err);
}

static int sink_put(struct stream_sink *sink, const void *bytes, size_t size, struct error *err)
{
    return check_file(err) == 0 ? image_writer_chunk(saving.writer, bytes, size, err) : -1;
}

static int sink_end(struct stream_sink *sink, struct error *err)
{
    return image_writer_end(saving.writer, err);
}

static struct stream_sink sink = {sink_begin, sink_put, sink_end};

struct stream_sink *store_sink(void)
{
    return saving.writer ? &sink : NULL;
}

static int sink_set_aside(struct stream_sink *sink, struct error *err)
{
    return image_writer_set_aside(saving.writer, err);
}

static const struct mem *copying; /* beforehand, at the moment */

static bool asker_is_gone(void *unused)
{
    return precopy_asker_gone(&(struct precopy_wish){.asker = asker});
}

/* Nobody wants the image any more, or the object has been released and is the device's only until
 * we let go of it. */
static bool is_for_nobody(void)
{
    return !atomic_load(&copying->object.refs) || asker_is_gone(NULL) || owner_is_ending();
}

/* A fork comes between two chunks, with nothing in the driver's hands. */
static void let_forks_by(void)
{
    if (!owner_is_awaited())
        return;
    stream_settle();
    owner_let_forks_by();
}

static bool is_over(const void *unused)
{
    let_forks_by();
    return is_for_nobody();
}

static int sink_put_draft(struct stream_sink *sink, const void *bytes, size_t size,
                          struct error *err)
{
    precopy_pace(size, is_over, NULL);
    if (is_over(NULL))
        return error_set(err, 0, "nobody wants it any more");
    return sink_put(sink, bytes, size, err);
}

static struct stream_sink drafts = {sink_begin, sink_put_draft, sink_set_aside};

/* The object is only there until we return. */
static int put_aside(struct mem *mem, struct error *err)
{
    return stream_down(mem, &drafts, err) == 0 ? stream_finish(err) : -1;
}

int store_beforehand(struct mem *mem, struct error *err)
{
    struct error why = {0};
    copying = mem;
    if (put_aside(mem, &why) == 0) {
        mem_precopied(mem);
        return 0;
    }
    image_writer_abandon(saving.writer);
    stream_give_up();
    mem->stored = false;
    if (is_for_nobody())
        return 1;
    *err = why;
    return -1;
}

int store_check(struct error *err)
{
    return saving.writer ? image_writer_check(saving.writer, err) : 0;
}

static int sink_compare(struct stream_sink *sink, struct error *err)
{
    if (image_writer_is_as_before(saving.writer))
        return image_writer_end(saving.writer, err);
    error_set(err, 0, "it was taken for unwritten, but it has changed");
    return error_todo(err, "this is a fault of shadowcl: suspend without --prepare, and please "
                           "report it");
}

static struct stream_sink comparing = {sink_begin, sink_put, sink_compare};

int store_compare(struct mem *mem, struct error *err)
{
    if (stream_finish(err) == 0 && stream_down(mem, &comparing, err) == 0 &&
        stream_finish(err) == 0)
        return 0;
    if (err->object[0]) /* the file */
        return -1;
    return error_object(err, "%s %llu", mem->image ? "image" : "buffer",
                        (unsigned long long)mem->object.serial);
}

/* The first line of a small file, "" where it can't be had. */
static void read_line(const char *path, char *text, size_t size)
{
    FILE *from = fopen(path, "re");
    if (!from || !fgets(text, (int)size, from))
        text[0] = 0;
    if (from)
        fclose(from);
    text[strcspn(text, "\n")] = 0;
}

/* Somebody may have written another image over it, and whose that is says more than that a checksum
 * is wrong. */
static void name_other(struct error *err)
{
    struct image_reader *other;
    struct error unused = {0};
    char boot[64];
    if (image_reader_open(&other, kept.fd, &unused) != 0)
        return;
    const Shadowcl__Image__About *about = image_reader_about(other);
    read_line("/proc/sys/kernel/random/boot_id", boot, sizeof boot);
    if (memcmp(image_reader_header(other)->id, image_reader_header(reader)->id,
               sizeof image_reader_header(other)->id) != 0) {
        error_set(err, 0, "another image has been written over it: of process %u `%.100s`%s",
                  about->pid, about->command,
                  strcmp(about->boot, boot) != 0 ? ", of another machine or boot" : "");
        error_todo(err, "put this process's own image back into the file, then resume again");
    }
    image_reader_close(other);
}

static int source_get(struct stream_source *source, const struct mem *mem, size_t chunk, void *to,
                      struct error *err)
{
    NOT_FROZEN(); /* a slow file is no driver that hangs */
    if (reader && !own_file_is(&kept)) {
        error_set(err, 0, "the program has closed the image file, where its contents are");
        return error_todo(err, "they can't be had again: start the program anew");
    }
    const struct image_contents *contents =
        reader ? image_reader_contents(reader, mem->object.serial) : NULL;
    if (!contents || contents->size != mem->size) {
        if (of_parent) {
            error_set(err, 0,
                      "its contents are in the image file of the process that this one was forked "
                      "from");
            return error_todo(err, "resume that process: this one can't have them");
        }
        error_set(err, 0, "its contents are not in the image file any more");
        return error_todo(err, "put the file back as it was, then resume again");
    }
    int result = image_reader_chunk(reader, contents, chunk, to, err);
    if (result != 0)
        name_other(err);
    return result;
}

static struct stream_source source = {source_get};

static int write_about(struct error *err)
{
    Shadowcl__Image__About about = SHADOWCL__IMAGE__ABOUT__INIT;
    char host[256], boot[64], *command = control_command();
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    read_line("/proc/sys/kernel/hostname", host, sizeof host);
    read_line("/proc/sys/kernel/random/boot_id", boot, sizeof boot);
    about.version = (char *)SHADOWCL_VERSION;
    about.pid = (uint32_t)getpid();
    about.uid = (uint32_t)getuid();
    about.command = save_text(command);
    about.host = host;
    about.boot = boot;
    about.time = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
    about.bytes = mem_total_bytes();
    int result = image_writer_about(saving.writer, &about.base, err);
    free(command);
    return result;
}

int store_begin(const struct store_wish *wish, struct error *err)
{
    if (!wish || wish->fd < 0)
        return 0;
    begun = now_ns();
    saving = (struct save){.next_serial = SAVE_FIRST_SERIAL};
    file = own_file(fcntl(wish->fd, F_DUPFD_CLOEXEC, 3));
    if (file.fd < 0) {
        error_object(err, "image file");
        return error_set(err, errno, "its descriptor can't be kept");
    }
    int result = stream_prepare(err);
    if (result == 0)
        result = image_writer_create(&saving.writer, file.fd, wish->compression, err);
    if (result == 0) {
        tally_to_file();
        asker = wish->asker;
        image_writer_wait_until(saving.writer, asker_is_gone, NULL, 0);
        result = write_about(err);
    }
    if (result != 0)
        store_end();
    return result;
}

/* Where a memory object's bytes lie in the host's memory; NULL: with the parent, or in the file. */
static const void *memory_of(const struct mem *mem)
{
    if (mem->parent || mem->stored || mem->type == CL_MEM_OBJECT_PIPE)
        return NULL;
    return mem->contents ? mem->contents : mem->host;
}

/* The process is suspended to another file: its contents go from there to here. */
static int copy_stored(const struct mem *mem, struct error *err)
{
    static char chunk[STREAM_CHUNK];
    int result = sink_begin(&sink, mem->object.serial, mem->size, err);
    for (size_t at = 0; at < mem->size && result == 0; at += STREAM_CHUNK) {
        size_t size = mem->size - at < STREAM_CHUNK ? mem->size - at : STREAM_CHUNK;
        result = source_get(&source, mem, at / STREAM_CHUNK, chunk, err);
        if (result == 0)
            result = sink_put(&sink, chunk, size, err);
    }
    return result == 0 ? sink_end(&sink, err) : -1;
}

static int write_contents(struct object *const *objects, size_t count, struct error *err)
{
    int result = stream_finish(err);
    for (size_t i = 0; i < count && result == 0; i++) {
        const struct mem *mem = (const struct mem *)objects[i];
        if (objects[i]->was != KIND_MEM)
            continue;
        const void *bytes = memory_of(mem);
        if (bytes)
            result = stream_memory(mem->object.serial, bytes, mem->size, &sink, err);
        else if (mem->stored && reader)
            result = copy_stored(mem, err);
        else if (mem->stored)
            result = image_writer_settle(saving.writer, mem->object.serial, err);
    }
    return result;
}

int store_finish(struct object *const *objects, size_t count, struct report *report,
                 struct error *err)
{
    if (!saving.writer)
        return 0;
    int result = write_contents(objects, count, err);
    if (result == 0)
        result = save_objects(&saving, objects, count, &sink, err);
    if (result == 0)
        result = image_writer_finish(saving.writer, &report->image.summary, err);
    image_writer_destroy(saving.writer);
    save_finish(&saving);
    saving.writer = NULL;
    report->image.ms = (double)(now_ns() - begun) / 1e6;
    return result;
}

int store_keep(struct error *err)
{
    struct error why = {0};
    if (file.fd < 0)
        return 0;
    if (check_file(err) != 0)
        return -1;
    if (fsync(file.fd) != 0) {
        error_object(err, "image file");
        error_set(err, errno, "it can't be written to the disk");
        return error_todo(err, "make room, or name another file, then try again");
    }
    if (image_reader_open(&reader, file.fd, &why) != 0) {
        *err = why;
        return -1;
    }
    kept = file;
    file = OWN_FILE_NONE;
    mem_source = &source;
    return 0;
}

void store_let_go(struct object *const *objects, size_t count)
{
    if (kept.fd < 0)
        return;
    bool all = true;
    for (size_t i = 0; i < count; i++)
        if (objects[i]->was == KIND_MEM)
            all = mem_store((struct mem *)objects[i]) && all;
    if (all)
        staging_drop();
}

int store_check_asker(struct error *err)
{
    if (kept.fd < 0 || !asker_is_gone(NULL))
        return 0;
    error_set(err, 0, "who asked for the image has gone away");
    return error_todo(err, "ask again");
}

void store_end(void)
{
    image_writer_destroy(saving.writer);
    save_finish(&saving);
    saving.writer = NULL;
    stream_drop();
    own_file_close(&file);
}

void store_drop(void)
{
    store_end();
    image_reader_close(reader);
    reader = NULL;
    mem_unstore();
    own_file_close(&kept);
}

/* The child of a process whose contents are in a file can't be resumed on its own (one whose
 * contents are in memory can): what it has of the files is only in the way. */
void store_forked(void)
{
    of_parent = of_parent || reader;
    own_file_close(&file);
    own_file_close(&kept);
    /* Left to themselves: the memory may be in any state. */
    saving = (struct save){0};
    reader = NULL;
    stream_forked();
    tally_end();
}
