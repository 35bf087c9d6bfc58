/* SPDX-License-Identifier: Apache-2.0 */
/* A copy's directory, opened to make the program again: the one that is named, or the newest in it.
 */
#include "agent/folder.h"
#include "agent/report.h"
#include "agent/saved.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* When it was made whole; false where it is not. */
static bool is_whole(int dir, struct timespec *made)
{
    struct stat status;
    if (fstatat(dir, SAVED_NAME, &status, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(status.st_mode))
        return false;
    *made = status.st_mtim;
    return true;
}

/* A whole copy; fd is -1 where there is none. */
struct copy {
    int fd; /* owned */
    char name[NAME_MAX + 1];
    struct timespec made;
};

/* Copies at intervals are named by numbers, which say more than times do: those a file loses when
 * it is copied or unpacked. */
struct newest {
    struct copy numbered, other;
};

static bool is_number(const char *text)
{
    size_t length = strspn(text, "0123456789");
    return length && length < 19 && !text[length];
}

static bool is_later(const struct copy *one, const struct copy *other)
{
    if (one->made.tv_sec != other->made.tv_sec)
        return one->made.tv_sec > other->made.tv_sec;
    return one->made.tv_nsec > other->made.tv_nsec;
}

/* Both have numbers, or neither has. */
static bool is_newer(const struct copy *one, const struct copy *other)
{
    unsigned long long a = 0, b = 0;
    if (is_number(one->name)) {
        a = strtoull(one->name, NULL, 10);
        b = strtoull(other->name, NULL, 10);
    }
    return a == b ? is_later(one, other) : a > b;
}

static json_t *load(int dir, struct error *err)
{
    json_error_t why = {.text = "it can't be opened"};
    int fd = openat(dir, SAVED_NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    json_t *json = fd < 0 ? NULL : json_loadfd(fd, 0, &why);
    if (fd >= 0)
        close(fd);
    if (json)
        return json;
    error_set(err, 0, "`%s` can't be read: %s (line %d)", SAVED_NAME, why.text, why.line);
    error_todo(err, "it was damaged: take another copy");
    return NULL;
}

/* One that is not as it was made is said to be so, and counts for nothing. */
static bool is_undamaged(const struct copy *copy)
{
    struct error err = {0};
    error_object(&err, "copy `%.100s`", copy->name);
    json_t *json = load(copy->fd, &err);
    bool answer = json && saved_check_images(copy->fd, json, &err) == 0;
    json_decref(json);
    if (!answer) {
        error_todo(&err, "another is looked for");
        report_note(&err);
    }
    return answer;
}

static int take_newer(int dir, const char *file, void *data)
{
    struct newest *newest = data;
    struct copy copy = {.fd = openat(dir, file, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
    struct copy *best = is_number(file) ? &newest->numbered : &newest->other;
    snprintf(copy.name, sizeof copy.name, "%s", file);
    bool is_taken = file[0] != '.' && copy.fd >= 0 && is_whole(copy.fd, &copy.made) &&
                    (best->fd < 0 || is_newer(&copy, best)) && is_undamaged(&copy);
    int unused = is_taken ? best->fd : copy.fd;
    if (is_taken)
        *best = copy;
    if (unused >= 0)
        close(unused);
    return 0;
}

/* Into `*dir`, in whose place comes the newest copy in it, and its name behind `path`. */
static int take_newest(int *dir, char path[PATH_MAX], struct error *err)
{
    struct newest newest = {{.fd = -1}, {.fd = -1}};
    folder_each(*dir, take_newer, &newest);
    bool by_time = newest.numbered.fd < 0 ||
                   (newest.other.fd >= 0 && is_later(&newest.other, &newest.numbered));
    struct copy *best = by_time ? &newest.other : &newest.numbered;
    int unused = by_time ? newest.numbered.fd : newest.other.fd;
    size_t length = strlen(path);
    if (unused >= 0)
        close(unused);
    if (best->fd < 0) {
        error_set(err, 0, "it holds no whole copy: there is no `%s` in it", SAVED_NAME);
        return error_todo(err, "name a directory that `shadowcl checkpoint` has written; one by "
                               "`criu dump` goes to `criu restore`");
    }
    close(*dir);
    *dir = best->fd;
    if (length + 1 + strlen(best->name) >= PATH_MAX)
        return error_set(err, ENAMETOOLONG, "read it");
    snprintf(path + length, PATH_MAX - length, "/%s", best->name);
    return 0;
}

/* A copy is the memory of processes: who can write to it says what is run by whoever restores it.
 */
static int check_owner(int dir, const char *path, struct error *err)
{
    struct stat status;
    error_object(err, "directory `%.100s`", path);
    if (fstat(dir, &status) < 0)
        return error_set(err, errno, "look at it");
    if (status.st_uid != 0 && status.st_uid != geteuid()) {
        error_set(err, 0, "it belongs to user %d, who could have anything run as you",
                  (int)status.st_uid);
        return error_todo(err, "if you trust what is in it, make it yours: `chown -R %d %.100s`",
                          (int)geteuid(), path);
    }
    if (!(status.st_mode & (S_IWGRP | S_IWOTH)))
        return 0;
    error_set(err, 0, "others may write to it (mode %o), and could have anything run as you",
              (unsigned)status.st_mode & 07777);
    return error_todo(err, "if you trust what is in it: `chmod -R go-w %.100s`", path);
}

/* Of a directory of copies too: who can write to it says which of them is taken. */
static int find_whole(struct saved *saved, const char *dir, struct error *err)
{
    char path[PATH_MAX];
    struct timespec made;
    folder_name(path, dir);
    saved->fd = folder_open(path, err);
    if (saved->fd < 0 || check_owner(saved->fd, path, err) < 0)
        return -1;
    if (!is_whole(saved->fd, &made) &&
        (take_newest(&saved->fd, path, err) < 0 || check_owner(saved->fd, path, err) < 0))
        return -1;
    return realpath(path, saved->dir) ? 0 : error_set(err, errno, "find its whole name");
}

int saved_open(struct saved *saved, const char *dir, struct error *err)
{
    *saved = (struct saved){.fd = -1};
    error_object(err, "directory `%.100s`", dir);
    if (find_whole(saved, dir, err) < 0 || !(saved->json = load(saved->fd, err)))
        return -1;
    json_int_t version = json_integer_value(json_object_get(saved->json, "version"));
    if (version == SAVED_VERSION)
        return saved_check_images(saved->fd, saved->json, err);
    error_set(err, 0, "`%s` has version %lld, this command knows %d", SAVED_NAME,
              (long long)version, (int)SAVED_VERSION);
    return error_todo(err, "use the shadowcl that made it, or a newer one");
}
