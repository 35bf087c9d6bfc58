/* SPDX-License-Identifier: Apache-2.0 */
/* shadowcl-rebuild check|verify FILE DEVICE [--strict]: see rebuild.h. DEVICE may be empty: devices
 * just like those that the image was made on. Exit status 0 also where something is missing or not
 * the same; 1: it could not be done; 2: wrong usage. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "serialize/rebuild/rebuild.h"
#include "shim/gate.h"
#include "shim/loader.h"
#include "shim/objects.h"
#include "shim/placement.h"
#include "shim/start.h"
#include "state/stream.h"
#include "state/svm.h"

struct wish {
    bool verify;
    const char *file, *device;
    bool strict;
};

static int load_objects(struct rebuild *it, struct error *err)
{
    it->load = load_create();
    if (!it->load)
        return error_set(err, 0, "no memory");
    for (size_t i = 0; i < image_reader_num_objects(it->reader); i++) {
        Shadowcl__Image__Object *message;
        if (image_reader_object(it->reader, i, &message, err) != 0)
            return -1;
        int result = load_object(it->load, message, image_reader_offset(it->reader, i), err);
        shadowcl__image__object__free_unpacked(message, NULL);
        if (result != 0)
            return -1;
    }
    it->objects = load_list(it->load, &it->count);
    return it->objects ? contents_check(it, err) : error_set(err, 0, "no memory");
}

/* The drivers of this machine, and the objects of the file. */
static int load(struct rebuild *it, int fd, struct error *err)
{
    int64_t start = now_ns();
    start_alone = true;
    if (!start_shim())
        return error_set(err, 0, "no address space for the objects");
    loader_start();
    if (image_reader_open(&it->reader, fd, err) != 0 || load_objects(it, err) != 0)
        return -1;
    it->load_ms = ms_since(start);
    return 0;
}

/* All that stands in the way. */
static int survey(struct rebuild *it, const struct wish *wish, struct error *err)
{
    if (objects_carriable(it->objects, it->count, &it->missing, err) != 0)
        return -1;
    return placement_survey(wish->device, wish->strict, it->objects, it->count, &it->missing,
                            &it->report, err);
}

static int rebuild(struct rebuild *it, struct error *err)
{
    int64_t start = now_ns();
    if (load_make_memory(it->load, &it->notes, err) != 0 || contents_fill(it, err) != 0)
        return -1;
    int result = 0;
    for (size_t i = 0; i < it->count; i++) {
        struct device *device = (struct device *)it->objects[i];
        if (it->objects[i]->was == KIND_DEVICE && !device->parent)
            device_settle(device);
    }
    for (size_t i = 0; i < it->count && result == 0; i++)
        result = objects_rebuild(it->objects[i], err);
    if (result == 0)
        result = svm_check_rebuilt(err);
    if (result == 0)
        result = contents_upload(it, err);
    it->rebuild_ms = ms_since(start);
    return result;
}

static int read_back(struct rebuild *it, struct error *err)
{
    int64_t start = now_ns();
    int result = contents_read_back(it, err);
    it->read_back_ms = ms_since(start);
    it->read_back = result == 0;
    return result;
}

static int run(struct rebuild *it, int fd, const struct wish *wish, struct error *err)
{
    if (load(it, fd, err) != 0 || survey(it, wish, err) != 0)
        return -1;
    if (!wish->verify || it->missing.count)
        return 0;
    return rebuild(it, err) != 0 || read_back(it, err) != 0 ? -1 : 0;
}

static void release(struct rebuild *it)
{
    stream_drop();
    objects_drop_copiers(it->objects, it->count);
    for (size_t i = it->count; i-- > 0;)
        objects_release(it->objects[i]);
}

static void finish(struct rebuild *it)
{
    free(it->objects);
    free(it->same);
    load_destroy(it->load);
    image_reader_close(it->reader);
    report_finish(&it->report);
    findings_finish(&it->notes);
    findings_finish(&it->missing);
}

static bool read_arguments(int argc, char **argv, struct wish *wish)
{
    if (argc < 4 || argc > 5 || (argc == 5 && strcmp(argv[4], "--strict") != 0))
        return false;
    *wish = (struct wish){strcmp(argv[1], "verify") == 0, argv[2], argv[3], argc == 5};
    return wish->verify || strcmp(argv[1], "check") == 0;
}

/* Drivers that print to standard output print beside the answer. */
static FILE *take_output(void)
{
    int fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    FILE *output = fd < 0 ? NULL : fdopen(fd, "w");
    return output && dup2(STDERR_FILENO, STDOUT_FILENO) == STDOUT_FILENO ? output : NULL;
}

int main(int argc, char **argv)
{
    struct rebuild it = {0};
    struct error err = {0};
    struct wish wish;
    if (!read_arguments(argc, argv, &wish)) {
        fputs("usage: shadowcl-rebuild check|verify FILE DEVICE [--strict]\n", stderr);
        return 2;
    }
    FILE *output = take_output();
    int fd = open(wish.file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    int result = fd < 0 ? error_set(&err, errno, "open `%s`", wish.file) : 0;
    if (result == 0)
        result = run(&it, fd, &wish, &err);
    release(&it);
    if (!output || answer_print(&it, result == 0 ? NULL : &err, output) != 0) {
        fputs("shadowcl-rebuild: the answer could not be written\n", stderr);
        result = -1;
    }
    finish(&it);
    return result == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
