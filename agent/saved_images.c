/* SPDX-License-Identifier: Apache-2.0 */
/* What CRIU's own images say: it has seen all processes standing still, when /proc was read some of
 * them ran. An image of CRIU's is two magic numbers, then messages, each with its size in front. */
#include "agent/saved.h"
#include "agent/saved_lists.h"

#include "criu_files.pb-c.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define COMMON_MAGIC UINT32_C(0x54564319)
#define FILES_MAGIC UINT32_C(0x56303138)
#define REMAP_MAGIC UINT32_C(0x59133954)
#define PROCESSES_MAGIC UINT32_C(0x50273030)
enum { MAX_MESSAGE = 1 << 20 };

static bool read_word(FILE *file, uint32_t *out)
{
    unsigned char bytes[4];
    if (fread(bytes, 1, sizeof bytes, file) != sizeof bytes)
        return false;
    *out = bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
    return true;
}

/* Calls `visit` for each message of the image; nothing is there of what CRIU had nothing to say. */
static void each_message(const struct saved *saved, const char *name, uint32_t magic,
                         void (*visit)(const uint8_t *bytes, size_t size, void *data), void *data)
{
    uint32_t common, kind, size;
    int fd = openat(saved->fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
    if (!file)
        return;
    bool is_image = read_word(file, &common) && read_word(file, &kind) && common == COMMON_MAGIC &&
                    kind == magic;
    uint8_t *bytes = is_image ? malloc(MAX_MESSAGE) : NULL;
    while (bytes && read_word(file, &size) && size <= MAX_MESSAGE &&
           fread(bytes, 1, size, file) == size)
        visit(bytes, size, data);
    free(bytes);
    fclose(file);
}

/* --- Processes --- */

struct processes {
    const json_t *before; /* borrowed */
    json_t *now;          /* owned */
    bool resumes;
};

static void take_process(const uint8_t *bytes, size_t size, void *data)
{
    struct processes *processes = data;
    Shadowcl__CriuFiles__Process *message =
        shadowcl__criu_files__process__unpack(NULL, size, bytes);
    if (!message)
        return;
    json_t *process = saved_find_process(processes->before, (pid_t)message->pid);
    if (process)
        json_array_append(processes->now, process);
    else
        saved_add_process(processes->now, (pid_t)message->pid, processes->resumes);
    shadowcl__criu_files__process__free_unpacked(message, NULL);
}

/* Where the first is not the one that was asked for, its numbers are those of another namespace. */
static void take_processes(struct saved *saved, bool resumes)
{
    struct processes processes = {.before = json_object_get(saved->json, "processes"),
                                  .now = json_array(),
                                  .resumes = resumes};
    each_message(saved, "pstree.img", PROCESSES_MAGIC, take_process, &processes);
    if (json_array_size(processes.now) &&
        json_array_get(processes.now, 0) == json_array_get(processes.before, 0))
        json_object_set(saved->json, "processes", processes.now);
    json_decref(processes.now);
}

/* --- Files --- */

struct files {
    json_t *open, *mapped; /* borrowed */
    uint32_t *remaps;      /* owned: of files that are removed, whatever has their names now */
    size_t num_remaps;
};

static void take_remap(const uint8_t *bytes, size_t size, void *data)
{
    struct files *files = data;
    Shadowcl__CriuFiles__Remap *message = shadowcl__criu_files__remap__unpack(NULL, size, bytes);
    uint32_t *longer =
        message ? realloc(files->remaps, (files->num_remaps + 1) * sizeof *longer) : NULL;
    if (longer) {
        files->remaps = longer;
        longer[files->num_remaps++] = message->id;
    }
    if (message)
        shadowcl__criu_files__remap__free_unpacked(message, NULL);
}

static bool is_removed(const struct files *files, uint32_t id)
{
    for (size_t i = 0; i < files->num_remaps; i++)
        if (files->remaps[i] == id)
            return true;
    return false;
}

/* One that nobody had open or mapped before the dump. Of a log that is only appended to CRIU does
 * not tell the size, nor ask for it. */
static void add_late(const struct files *files, const Shadowcl__CriuFiles__Regular *regular,
                     const char *path, bool is_written)
{
    struct stat status;
    if (lstat(path, &status) < 0 || !S_ISREG(status.st_mode))
        return;
    if (!is_written && regular->n_build_id)
        saved_add_mapped(files->mapped, path);
    else
        saved_add_file(files->open, path,
                       regular->has_size ? (json_int_t)regular->size : (json_int_t)status.st_size,
                       is_written);
}

static void take_regular(const struct files *files, const Shadowcl__CriuFiles__Regular *regular)
{
    char path[PATH_MAX];
    bool is_written = (regular->flags & O_ACCMODE) != O_RDONLY;
    if (!regular->name || regular->external || is_removed(files, regular->id) ||
        (regular->has_mode && !S_ISREG(regular->mode)))
        return;
    /* CRIU's names have no slash in front. */
    int length = snprintf(path, sizeof path, "/%s", regular->name + strspn(regular->name, "/"));
    if (length >= PATH_MAX)
        return;
    json_t *file = saved_find_path(files->open, path);
    if (!file && !saved_find_path(files->mapped, path))
        add_late(files, regular, path, is_written);
    if (file && is_written)
        json_object_set_new(file, "written", json_true());
    struct stat status;
    if (file && regular->has_size)
        json_object_set_new(file, "size", json_integer((json_int_t)regular->size));
    else if (file && is_written && lstat(path, &status) == 0 && S_ISREG(status.st_mode))
        /* A log that is only appended to. */
        json_object_set_new(file, "size", json_integer((json_int_t)status.st_size));
}

static void take_file(const uint8_t *bytes, size_t size, void *data)
{
    Shadowcl__CriuFiles__File *message = shadowcl__criu_files__file__unpack(NULL, size, bytes);
    if (message && message->regular)
        take_regular(data, message->regular);
    if (message)
        shadowcl__criu_files__file__free_unpacked(message, NULL);
}

void saved_take_images(struct saved *saved, bool resumes)
{
    struct files files = {.open = json_object_get(saved->json, "files"),
                          .mapped = json_object_get(saved->json, "mapped")};
    take_processes(saved, resumes);
    if (saved->is_apart)
        return;
    each_message(saved, "remap-fpath.img", REMAP_MAGIC, take_remap, &files);
    each_message(saved, "files.img", FILES_MAGIC, take_file, &files);
    free(files.remaps);
}
