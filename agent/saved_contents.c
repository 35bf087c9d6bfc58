/* SPDX-License-Identifier: Apache-2.0 */
/* What a copy says of its processes, and what must be there where they are restored: files that are
 * open, with the size that those open for writing have, and files that are mapped. */
#include "agent/build_id.h"
#include "agent/folder.h"
#include "agent/place.h"
#include "agent/process.h"
#include "agent/saved.h"
#include "agent/saved_lists.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static void add_file(pid_t pid, const char *number, const char *target, void *data)
{
    struct stat status;
    if (target[0] == '/' && stat(target, &status) == 0 && S_ISREG(status.st_mode))
        saved_add_file(data, target, (json_int_t)status.st_size,
                       (process_open_flags(pid, number) & O_ACCMODE) != O_RDONLY);
}

static void add_mappings(json_t *mapped, pid_t pid)
{
    char path[64], access[8], *line = NULL;
    size_t room = 0;
    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(path, "re");
    while (maps && getline(&line, &room, maps) > 0) {
        char *start = strchr(line, '/');
        if (!start || sscanf(line, "%*s %4s", access) != 1)
            continue;
        start[strcspn(start, "\n")] = 0;
        json_t *file = saved_add_mapped(mapped, start);
        if (file && access[1] == 'w' && access[3] == 's')
            json_object_set_new(file, "written", json_true());
    }
    free(line);
    if (maps)
        fclose(maps);
}

int saved_describe(struct saved *saved, const struct tree *tree, const bool *resumes,
                   const struct criu *criu, struct error *err)
{
    json_decref(saved->json);
    json_t *processes = json_array(), *files = json_array(), *mapped = json_array();
    for (size_t i = 0; i < tree->count; i++) {
        saved_add_process(processes, tree->pids[i], resumes[i]);
        /* Of one that sees other files than we do, what is called so here says nothing: CRIU alone
         * looks. */
        if (place_is_apart(tree->pids[i])) {
            saved->is_apart = true;
            continue;
        }
        process_each_descriptor(tree->pids[i], add_file, files);
        add_mappings(mapped, tree->pids[i]);
    }
    saved->json =
        json_pack("{s:i, s:s, s:s, s:o, s:o, s:o, s:o}", "version", (int)SAVED_VERSION, "shadowcl",
                  SHADOWCL_VERSION, "criu", criu->version, "processes", processes, "pipes",
                  saved_list_pipes(tree), "files", files, "mapped", mapped);
    return saved->json ? 0 : error_set(err, ENOMEM, "can't describe the processes");
}

/* CRIU wants the size that it was. */
static int check_file(const json_t *file, bool may_cut, struct error *err)
{
    const char *path = json_string_value(json_object_get(file, "path"));
    json_int_t size = json_integer_value(json_object_get(file, "size"));
    struct stat status;
    if (!path || path[0] != '/')
        return 0;
    error_object(err, "file `%.100s`", path);
    if (lstat(path, &status) < 0) {
        error_set(err, errno, "it was open in the program");
        return error_todo(err, "put it back as it was when the copy was made: %lld bytes",
                          (long long)size);
    }
    if (!json_is_true(json_object_get(file, "written")) || status.st_size == size)
        return 0;
    if (status.st_size > size && may_cut && S_ISREG(status.st_mode))
        return 0;
    error_set(err, 0, "the program writes to it, and it has %lld bytes where it had %lld",
              (long long)status.st_size, (long long)size);
    return error_todo(err, status.st_size > size
                               ? "cut it to that size, or have that done by --truncate"
                               : "put it back as it was");
}

static int cut(int fd, json_int_t size, struct error *err)
{
    struct stat status;
    if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))
        return error_set(err, 0, "it is no file any more: it is not cut");
    if (status.st_size <= size)
        return 0;
    /* A suspended process keeps the image that it has its contents in locked. */
    if (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) {
        error_set(err, 0, "somebody has it locked: it is not cut");
        return error_todo(err, "end who uses it; an image may be that of a suspended process");
    }
    return ftruncate(fd, size) == 0 ? 0 : error_set(err, errno, "cut it");
}

static int cut_file(const json_t *file, struct error *err)
{
    const char *path = json_string_value(json_object_get(file, "path"));
    json_int_t size = json_integer_value(json_object_get(file, "size"));
    struct stat status;
    if (!path || path[0] != '/' || !json_is_true(json_object_get(file, "written")) ||
        lstat(path, &status) < 0 || status.st_size <= size)
        return 0;
    error_object(err, "file `%.100s`", path);
    int folder = folder_open_parent(path, NULL, err);
    if (folder < 0)
        return -1;
    int fd = openat(folder, strrchr(path, '/') + 1,
                    O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    int result = fd < 0 ? error_set(err, errno, "cut it") : cut(fd, size, err);
    if (fd >= 0)
        close(fd);
    close(folder);
    return result;
}

static int check_mapped(const struct saved *saved, const json_t *file, struct error *err)
{
    const char *path = json_string_value(json_object_get(file, "path"));
    const char *wanted = json_string_value(json_object_get(file, "build_id"));
    char id[BUILD_ID_TEXT];
    if (!path)
        return 0;
    error_object(err, "file `%.100s`", path);
    error_todo(err, "put the same file there as when the copy was made (the same package)");
    if (access(path, R_OK) < 0 && errno == ENOENT && saved_has_kept(saved, file))
        return saved_check_kept(saved, file, err);
    if (access(path, R_OK) < 0)
        return error_set(err, errno, "it was mapped by the program");
    if (wanted && (!build_id_read(path, id) || strcmp(id, wanted)))
        return error_set(err, 0, "it is another than the program had mapped: build-id %s, not %s",
                         build_id_read(path, id) ? id : "none", wanted);
    return 0;
}

int saved_check(const struct saved *saved, bool may_cut, struct error *err)
{
    const json_t *mapped = json_object_get(saved->json, "mapped");
    const json_t *files = json_object_get(saved->json, "files");
    int result = 0;
    for (size_t i = 0; result == 0 && i < json_array_size(mapped); i++)
        result = check_mapped(saved, json_array_get(mapped, i), err);
    for (size_t i = 0; result == 0 && i < json_array_size(files); i++)
        result = check_file(json_array_get(files, i), may_cut, err);
    return result;
}

int saved_make_ready(const struct saved *saved, struct error *err)
{
    const json_t *files = json_object_get(saved->json, "files");
    int result = saved_put_files(saved, err);
    for (size_t i = 0; result == 0 && i < json_array_size(files); i++)
        result = cut_file(json_array_get(files, i), err);
    return result;
}
