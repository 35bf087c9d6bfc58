/* SPDX-License-Identifier: Apache-2.0 */
/* Mapped files that travel in the directory of a copy, for a place that lacks them. They are put
 * back where nothing is, and never over anything. */
#include "agent/build_id.h"
#include "agent/saved.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

/* `to` gets the contents of `from`; what can't be finished does not stay. */
static int copy_file(const char *from, int to, const char *name, struct error *err)
{
    struct stat status;
    int source = open(from, O_RDONLY | O_NOFOLLOW | O_CLOEXEC), result = -1;
    if (source >= 0 && fstat(source, &status) == 0)
        result = copy_bytes(source, to, status.st_size);
    if (result < 0) {
        error_set(err, errno, "copy it to `%.200s`", name);
        unlink(name);
    }
    if (source >= 0)
        close(source);
    return result;
}

static int keep(const struct saved *saved, json_t *file, size_t number, struct error *err)
{
    const char *path = json_string_value(json_object_get(file, "path"));
    char name[32], to[PATH_MAX];
    struct stat status;
    error_object(err, "file `%.100s`", path);
    snprintf(name, sizeof name, "%zu.mapped", number);
    if (join(to, saved->dir, name) < 0 || stat(path, &status) < 0)
        return error_set(err, errno, "the program has it mapped, but it can't be read any more");
    int fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set(err, errno, "make `%.200s`", to);
    int result = fchmod(fd, 0600) == 0 ? copy_file(path, fd, to, err)
                                       : error_set(err, errno, "make `%.200s` private", to);
    close(fd);
    if (result < 0)
        return -1;
    if (!is_same(file, to)) {
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

/* Those of its folders that are missing; they belong to whoever the file belonged to. */
static int make_folders(const char *path, uid_t uid, gid_t gid)
{
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%s", path);
    for (char *slash = strchr(folder + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        int made = mkdir(folder, 0755);
        if ((made < 0 && errno != EEXIST) || (made == 0 && lchown(folder, uid, gid) < 0))
            return -1;
        *slash = '/';
    }
    return 0;
}

/* Its name is given to it when it is whole, and only where that name is nobody's. */
static int put(const json_t *file, const char *kept, struct error *err)
{
    const char *path = json_string_value(json_object_get(file, "path"));
    const json_t *was = json_object_get(file, "kept");
    uid_t uid = (uid_t)json_integer_value(json_object_get(was, "uid"));
    gid_t gid = (gid_t)json_integer_value(json_object_get(was, "gid"));
    mode_t mode = (mode_t)json_integer_value(json_object_get(was, "mode")) & 0777;
    char name[PATH_MAX];
    if (snprintf(name, sizeof name, "%s.XXXXXX", path) >= PATH_MAX)
        return error_set(err, ENAMETOOLONG, "put it back");
    if (make_folders(path, uid, gid) < 0)
        return error_set(err, errno, "make its folder");
    int fd = mkostemp(name, O_CLOEXEC);
    if (fd < 0)
        return error_set(err, errno, "put it back");
    int result = copy_file(kept, fd, name, err);
    if (result == 0 && (fchown(fd, uid, gid) < 0 || fchmod(fd, mode) < 0 || link(name, path) < 0))
        result = error_set(err, errno, "put it back");
    unlink(name);
    close(fd);
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
