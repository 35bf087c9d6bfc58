/* SPDX-License-Identifier: Apache-2.0 */
/* The directory that a copy lies in: see saved.h. */
#include "agent/saved.h"

#include "agent/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char name[] = "shadowcl.json", new_name[] = ".shadowcl.json.new";

static bool is_log(const char *file)
{
    return !strcmp(file, "dump.log") || !strcmp(file, "criu.out") || !strcmp(file, "stats-dump");
}

static bool ends_in(const char *file, const char *end)
{
    size_t length = strlen(file), size = strlen(end);
    return length >= size && !strcmp(file + length - size, end);
}

static int join(char out[PATH_MAX], const char *dir, const char *file)
{
    return snprintf(out, PATH_MAX, "%s/%s", dir, file) < PATH_MAX ? 0 : -1;
}

/* Calls `visit` for each file; its first answer that is not 0 ends that. */
static int each_file(const char *dir, int (*visit)(int dir, const char *file, void *data),
                     void *data)
{
    int result = 0;
    DIR *folder = opendir(dir);
    for (struct dirent *entry; folder && result == 0 && (entry = readdir(folder));)
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            result = visit(dirfd(folder), entry->d_name, data);
    if (folder)
        closedir(folder);
    return result;
}

static int is_other(int dir, const char *file, void *unused)
{
    return !is_log(file);
}

static int check_empty(const char *dir, struct error *err)
{
    struct stat status;
    if (lstat(dir, &status) < 0)
        return error_set(err, errno, "look at it");
    if (!S_ISDIR(status.st_mode)) {
        error_set(err, 0, "it is there already and no directory");
        return error_todo(err, "choose another name");
    }
    if (status.st_uid != geteuid())
        return error_set(err, 0, "it belongs to somebody else");
    if (!each_file(dir, is_other, NULL))
        return 0;
    error_set(err, 0, "it is not empty");
    return error_todo(err, "name a directory that is empty or not there yet");
}

int saved_create(struct saved *saved, const char *dir, struct error *err)
{
    *saved = (struct saved){0};
    error_object(err, "directory `%.100s`", dir);
    if (mkdir(dir, 0700) < 0 && errno != EEXIST) {
        error_set(err, errno, "make it");
        return error_todo(err, "choose a place that you may write to");
    }
    if (check_empty(dir, err) < 0)
        return -1;
    if (chmod(dir, 0700) < 0 || !realpath(dir, saved->dir))
        return error_set(err, errno, "make it private");
    return 0;
}

static int remove_image(int dir, const char *file, void *unused)
{
    if (ends_in(file, ".img") || ends_in(file, ".mapped"))
        unlinkat(dir, file, 0);
    return 0;
}

void saved_abandon(const struct saved *saved)
{
    each_file(saved->dir, remove_image, NULL);
}

static int add_size(int dir, const char *file, void *data)
{
    struct stat status;
    if (fstatat(dir, file, &status, AT_SYMLINK_NOFOLLOW) == 0)
        *(uint64_t *)data += (uint64_t)status.st_size;
    return 0;
}

uint64_t saved_bytes(const struct saved *saved)
{
    uint64_t bytes = 0;
    each_file(saved->dir, add_size, &bytes);
    return bytes;
}

static int sync_file(int dir, const char *file, void *data)
{
    int fd = openat(dir, file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    int result = fd < 0 ? 0 : fsync(fd);
    if (fd >= 0)
        close(fd);
    if (result < 0)
        return error_set(data, errno, "write `%s` to the disk", file);
    return 0;
}

static int write_new(const struct saved *saved, const char *path, struct error *err)
{
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    if (!file) {
        error_set(err, errno, "make `%s`", path);
        if (fd >= 0)
            close(fd);
        return -1;
    }
    bool written = json_dumpf(saved->json, file, JSON_INDENT(2)) == 0 && fputc('\n', file) >= 0 &&
                   fflush(file) == 0 && fsync(fd) == 0;
    int reason = errno;
    if (fclose(file) == 0 && written)
        return 0;
    return error_set(err, reason, "write `%s`", path);
}

int saved_commit(const struct saved *saved, struct error *err)
{
    char from[PATH_MAX], to[PATH_MAX];
    error_object(err, "directory `%.100s`", saved->dir);
    if (join(from, saved->dir, new_name) < 0 || join(to, saved->dir, name) < 0)
        return error_set(err, ENAMETOOLONG, "write `%s`", name);
    if (each_file(saved->dir, sync_file, err) < 0 || write_new(saved, from, err) < 0)
        return -1;
    if (rename(from, to) < 0)
        return error_set(err, errno, "write `%s`", name);
    int fd = open(saved->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    return 0;
}

static bool is_whole(const char *dir)
{
    char path[PATH_MAX];
    return join(path, dir, name) == 0 && access(path, R_OK) == 0;
}

struct newest {
    const char *dir;
    char path[PATH_MAX];
    struct timespec made;
};

static int take_newer(int dir, const char *file, void *data)
{
    struct newest *newest = data;
    char path[PATH_MAX], inner[PATH_MAX];
    struct stat status;
    if (file[0] == '.' || join(path, newest->dir, file) < 0 || join(inner, path, name) < 0 ||
        lstat(inner, &status) < 0 || !S_ISREG(status.st_mode))
        return 0;
    struct timespec made = status.st_mtim;
    if (newest->path[0] &&
        (made.tv_sec < newest->made.tv_sec ||
         (made.tv_sec == newest->made.tv_sec && made.tv_nsec < newest->made.tv_nsec)))
        return 0;
    newest->made = made;
    snprintf(newest->path, sizeof newest->path, "%s", path);
    return 0;
}

static int find_whole(const char *dir, char out[PATH_MAX], struct error *err)
{
    struct newest newest = {.dir = dir};
    if (access(dir, R_OK | X_OK) < 0)
        return error_set(err, errno, "read it");
    if (!is_whole(dir))
        each_file(dir, take_newer, &newest);
    if (is_whole(dir) || newest.path[0])
        return realpath(newest.path[0] ? newest.path : dir, out) ? 0
                                                                 : error_set(err, errno, "read it");
    error_set(err, 0, "it holds no whole copy: there is no `%s` in it", name);
    return error_todo(err, "name a directory that `shadowcl checkpoint` has written; one by `criu "
                           "dump` goes to `criu restore`");
}

/* A copy is the memory of processes: who can write to it says what is run by whoever restores it.
 */
static int check_owner(const char *dir, struct error *err)
{
    struct stat status;
    if (lstat(dir, &status) < 0)
        return error_set(err, errno, "look at it");
    if (status.st_uid != 0 && status.st_uid != geteuid()) {
        error_set(err, 0, "it belongs to user %d, who could have anything run as you",
                  (int)status.st_uid);
        return error_todo(err, "if you trust what is in it, make it yours: `chown -R %d %.100s`",
                          (int)geteuid(), dir);
    }
    if (!(status.st_mode & (S_IWGRP | S_IWOTH)))
        return 0;
    error_set(err, 0, "others may write to it (mode %o), and could have anything run as you",
              (unsigned)status.st_mode & 07777);
    return error_todo(err, "if you trust what is in it: `chmod -R go-w %.100s`", dir);
}

int saved_open(struct saved *saved, const char *dir, struct error *err)
{
    char path[PATH_MAX];
    json_error_t why;
    *saved = (struct saved){0};
    error_object(err, "directory `%.100s`", dir);
    if (find_whole(dir, saved->dir, err) < 0 || check_owner(saved->dir, err) < 0)
        return -1;
    if (join(path, saved->dir, name) < 0)
        return error_set(err, ENAMETOOLONG, "read `%s`", name);
    saved->json = json_load_file(path, 0, &why);
    if (!saved->json) {
        error_set(err, 0, "`%s` can't be read: %s (line %d)", name, why.text, why.line);
        return error_todo(err, "it was damaged: take another copy");
    }
    json_int_t version = json_integer_value(json_object_get(saved->json, "version"));
    if (version == SAVED_VERSION)
        return 0;
    error_set(err, 0, "`%s` has version %lld, this command knows %d", name, (long long)version,
              (int)SAVED_VERSION);
    return error_todo(err, "use the shadowcl that made it, or a newer one");
}

void saved_finish(struct saved *saved)
{
    json_decref(saved->json);
    saved->json = NULL;
}
