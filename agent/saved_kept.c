/* SPDX-License-Identifier: Apache-2.0 */
/* Mapped files that travel in the directory of a copy, for a place that lacks them. They are put
 * back where nothing is, and never over anything. */
#include "agent/build_id.h"
#include "agent/folder.h"
#include "agent/saved.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

static int join(char out[PATH_MAX], const char *dir, const char *file)
{
    return snprintf(out, PATH_MAX, "%s/%s", dir, file) < PATH_MAX ? 0 : -1;
}

static int copy_bytes(int from, int to, off_t size)
{
    while (size > 0) {
        ssize_t copied = sendfile(to, from, NULL, (size_t)size);
        if (copied < 0 && errno == EINTR)
            continue;
        if (copied == 0)
            errno = EIO; /* it is shorter than it was */
        if (copied <= 0)
            return -1;
        size -= copied;
    }
    return 0;
}

/* Is it what was mapped? */
static bool is_same(const json_t *file, const char *path)
{
    const char *wanted = json_string_value(json_object_get(file, "build_id"));
    json_int_t size = json_integer_value(json_object_get(file, "size"));
    char id[BUILD_ID_TEXT];
    struct stat status;
    return lstat(path, &status) == 0 && S_ISREG(status.st_mode) && status.st_size == size &&
           (!wanted || (build_id_read(path, id) && !strcmp(id, wanted)));
}

/* A file, and what it is; -1 for anything else, which may be there in its place by now. */
static int open_file(const char *path, struct stat *status)
{
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || (fstat(fd, status) == 0 && S_ISREG(status->st_mode)))
        return fd;
    close(fd);
    errno = ESTALE;
    return -1;
}

static int keep_as(const struct saved *saved, const char *path, const char *name,
                   struct stat *status, struct error *err)
{
    int from = open_file(path, status);
    if (from < 0)
        return error_set(err, errno, "the program has it mapped, but it can't be read any more");
    int to = openat(saved->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    int result = to < 0 || fchmod(to, 0600) < 0 || copy_bytes(from, to, status->st_size) < 0
                     ? error_set(err, errno, "copy it to `%.200s/%s`", saved->dir, name)
                     : 0;
    if (result < 0 && to >= 0)
        unlinkat(saved->fd, name, 0);
    if (to >= 0)
        close(to);
    close(from);
    return result;
}

static int keep(const struct saved *saved, json_t *file, size_t number, struct error *err)
{
    const char *path = json_string_value(json_object_get(file, "path"));
    char name[32], to[PATH_MAX];
    struct stat status;
    error_object(err, "file `%.100s`", path);
    snprintf(name, sizeof name, "%zu.mapped", number);
    if (keep_as(saved, path, name, &status, err) < 0)
        return -1;
    if (join(to, saved->dir, name) < 0 || !is_same(file, to)) {
        error_set(err, 0, "it was replaced while the program was copied");
        return error_todo(err, "try again, or without --with-files");
    }
    return json_object_set_new(file, "kept",
                               json_pack("{s:s, s:i, s:i, s:i}", "name", name, "mode",
                                         (int)(status.st_mode & 0777), "uid", (int)status.st_uid,
                                         "gid", (int)status.st_gid));
}

/* What the program writes by its mapping is data of its own, and other than when it was copied. */
int saved_keep_files(struct saved *saved, struct error *err)
{
    json_t *mapped = json_object_get(saved->json, "mapped");
    for (size_t i = 0; i < json_array_size(mapped); i++) {
        json_t *file = json_array_get(mapped, i);
        const char *path = json_string_value(json_object_get(file, "path"));
        if (path && path[0] == '/' && !json_is_true(json_object_get(file, "written")) &&
            keep(saved, file, i, err) < 0)
            return -1;
    }
    return 0;
}

/* -1 where it has none, or the directory can't be trusted to hold it. */
static int kept_path(const struct saved *saved, const json_t *file, char out[PATH_MAX])
{
    const char *name = json_string_value(json_object_get(json_object_get(file, "kept"), "name"));
    return name && !strchr(name, '/') ? join(out, saved->dir, name) : -1;
}

bool saved_has_kept(const struct saved *saved, const json_t *file)
{
    char path[PATH_MAX];
    return kept_path(saved, file, path) == 0;
}

int saved_check_kept(const struct saved *saved, const json_t *file, struct error *err)
{
    char path[PATH_MAX];
    if (kept_path(saved, file, path) == 0 && is_same(file, path))
        return 0;
    error_set(err, 0, "it is not there, and its copy `%.150s` is damaged", path);
    return error_todo(err, "put the same file there as when the copy was made (the same package)");
}

static int fill(int to, const char *kept, const struct folder_owner *owner, mode_t mode)
{
    struct stat status;
    int from = open_file(kept, &status);
    bool filled = from >= 0 && copy_bytes(from, to, status.st_size) == 0 &&
                  fchown(to, owner->uid, owner->gid) == 0 && fchmod(to, mode) == 0;
    int reason = errno;
    if (from >= 0)
        close(from);
    errno = reason;
    return filled ? 0 : -1;
}

/* Its name is given to it when it is whole, and only where that name is nobody's. Others may do
 * what they like with names in the folder: what gets the name is what was filled. */
static int put_into(int folder, const char *name, const char *kept,
                    const struct folder_owner *owner, mode_t mode)
{
    char temporary[NAME_MAX + 1], filled[32];
    uint64_t random = 0;
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) < 0)
        random = (uint64_t)getpid();
    snprintf(temporary, sizeof temporary, ".%.200s.%016" PRIx64, name, random);
    int fd = openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -1;
    snprintf(filled, sizeof filled, "/proc/self/fd/%d", fd);
    int result = fill(fd, kept, owner, mode);
    if (result == 0)
        result = linkat(AT_FDCWD, filled, folder, name, AT_SYMLINK_FOLLOW);
    int reason = errno;
    unlinkat(folder, temporary, 0);
    close(fd);
    errno = reason;
    return result;
}

static int put(const json_t *file, const char *kept, struct error *err)
{
    const char *path = json_string_value(json_object_get(file, "path"));
    const json_t *was = json_object_get(file, "kept");
    struct folder_owner owner = {(uid_t)json_integer_value(json_object_get(was, "uid")),
                                 (gid_t)json_integer_value(json_object_get(was, "gid"))};
    mode_t mode = (mode_t)json_integer_value(json_object_get(was, "mode")) & 0777;
    int folder = folder_open_parent(path, &owner, err);
    if (folder < 0)
        return -1;
    int result = put_into(folder, strrchr(path, '/') + 1, kept, &owner, mode);
    if (result < 0)
        error_set(err, errno, "put it back");
    close(folder);
    return result;
}

int saved_put_files(const struct saved *saved, struct error *err)
{
    const json_t *mapped = json_object_get(saved->json, "mapped");
    for (size_t i = 0; i < json_array_size(mapped); i++) {
        const json_t *file = json_array_get(mapped, i);
        const char *path = json_string_value(json_object_get(file, "path"));
        char kept[PATH_MAX];
        struct stat status;
        if (!path || path[0] != '/' || kept_path(saved, file, kept) < 0 ||
            lstat(path, &status) == 0)
            continue;
        error_object(err, "file `%.100s`", path);
        if (put(file, kept, err) < 0)
            return -1;
    }
    return 0;
}
