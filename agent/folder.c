/* SPDX-License-Identifier: Apache-2.0 */
/* Directories that are named by users: see folder.h. */
#include "agent/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_LINKS = 8 };

void folder_name(char out[PATH_MAX], const char *path)
{
    snprintf(out, PATH_MAX, "%s", path);
    for (size_t length = strlen(out); length > 1 && out[length - 1] == '/'; length--)
        out[length - 1] = 0;
}

static int refuse(const char *path, int reason, struct error *err)
{
    struct stat status;
    bool is_there = lstat(path, &status) == 0;
    if (is_there && S_ISLNK(status.st_mode)) {
        error_set(err, 0, "it is a symbolic link, which is not followed");
        return error_todo(err, "name the directory that it leads to");
    }
    if (is_there && !S_ISDIR(status.st_mode)) {
        error_set(err, 0, "it is no directory");
        return error_todo(err, "choose another name");
    }
    return error_set(err, reason, "open it");
}

int folder_open(const char *path, struct error *err)
{
    char name[PATH_MAX];
    folder_name(name, path);
    int dir = open(name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return dir >= 0 ? dir : refuse(name, errno, err);
}

int folder_check_own(int dir, const char *path, struct error *err)
{
    struct stat status;
    if (fstat(dir, &status) < 0)
        return error_set(err, errno, "look at it");
    if (status.st_uid != geteuid()) {
        error_set(err, 0, "it belongs to user %u, who could put anything into it",
                  (unsigned)status.st_uid);
        return error_todo(err, "name a directory of your own, or one that is not there yet");
    }
    if (!(status.st_mode & (S_IWGRP | S_IWOTH)))
        return 0;
    error_set(err, 0, "others can write to it (mode %o), and could put anything into it",
              (unsigned)status.st_mode & 07777);
    return error_todo(err,
                      "see what is in it, then `chmod go-w %.100s`; or name one that is not there "
                      "yet",
                      path);
}

int folder_each(int dir, int (*visit)(int dir, const char *file, void *data), void *data)
{
    int result = 0, fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    if (!folder && fd >= 0)
        close(fd);
    for (struct dirent *entry; folder && result == 0 && (entry = readdir(folder));)
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            result = visit(dir, entry->d_name, data);
    if (folder)
        closedir(folder);
    return result;
}

/* One of root's, where nobody else could have put it. */
static bool is_trusted_link(int dir, const char *name)
{
    struct stat link, folder;
    return fstatat(dir, name, &link, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(link.st_mode) &&
           link.st_uid == 0 && fstat(dir, &folder) == 0 && folder.st_uid == 0 &&
           !(folder.st_mode & (S_IWGRP | S_IWOTH));
}

static int enter(int dir, const char *name, int most_links);

/* Where the link leads, name by name: on its way there may be links of others. */
static int follow(int dir, const char *name, int most_links)
{
    char target[PATH_MAX], *rest;
    ssize_t length = readlinkat(dir, name, target, sizeof target);
    if (length < 0 || length == (ssize_t)sizeof target || most_links == 0) {
        errno = ELOOP;
        return -1;
    }
    target[length] = 0;
    int at = openat(dir, *target == '/' ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (char *part = strtok_r(target, "/", &rest); at >= 0 && part;
         part = strtok_r(NULL, "/", &rest)) {
        int next = enter(at, part, most_links - 1), reason = errno;
        close(at);
        errno = reason;
        at = next;
    }
    return at;
}

static int enter(int dir, const char *name, int most_links)
{
    int fd = openat(dir, name, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && (errno == ENOTDIR || errno == ELOOP) && is_trusted_link(dir, name))
        fd = follow(dir, name, most_links);
    return fd;
}

/* With its owner's rights, and so as his, wherever he may: he may put something else there at once,
 * which is not to be given to him. Where he may not, by the caller. */
static void make_folder(int dir, const char *name, const struct folder_owner *owner)
{
    setfsgid(owner->gid);
    setfsuid(owner->uid);
    int made = mkdirat(dir, name, 0755), reason = errno;
    setfsuid(geteuid());
    setfsgid(getegid());
    struct stat folder;
    bool only_ours = fstat(dir, &folder) == 0 && folder.st_uid == geteuid() &&
                     !(folder.st_mode & (S_IWGRP | S_IWOTH));
    if (made < 0 && reason == EACCES && only_ours && mkdirat(dir, name, 0755) == 0)
        fchownat(dir, name, owner->uid, owner->gid, AT_SYMLINK_NOFOLLOW);
}

/* Goes on from `dir`, which it closes. */
static int go_to(int dir, const char *name, const struct folder_owner *make)
{
    int next = enter(dir, name, MOST_LINKS);
    if (next < 0 && errno == ENOENT && make) {
        make_folder(dir, name, make);
        next = enter(dir, name, MOST_LINKS);
    }
    int reason = errno;
    close(dir);
    errno = reason;
    return next;
}

static int refuse_way(const char *way, struct error *err)
{
    if (errno != ENOTDIR && errno != ELOOP)
        return error_set(err, errno, "its folder `%.200s`", way);
    error_set(err, 0, "`%.200s` is a link that is not followed, or no folder", way);
    return error_todo(err, "a link on its way must be root's, in a folder that only root can "
                           "write to");
}

int folder_open_parent(const char *path, const struct folder_owner *make, struct error *err)
{
    char way[PATH_MAX];
    if (path[0] != '/' || strstr(path, "/../") || strlen(path) >= sizeof way)
        return error_set(err, EINVAL, "its name");
    snprintf(way, sizeof way, "%s", path);
    int dir = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (char *name = way + 1, *end; dir >= 0 && (end = strchr(name, '/')); name = end + 1) {
        *end = 0;
        if (*name && (dir = go_to(dir, name, make)) < 0)
            return refuse_way(way, err);
        *end = '/';
    }
    return dir >= 0 ? dir : refuse_way(way, err);
}

int folder_sync(int dir, const char *path)
{
    int fd = openat(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced = fd >= 0 && (fsync(fd) == 0 || errno == EINVAL || errno == EROFS);
    int reason = errno;
    if (fd >= 0)
        close(fd);
    errno = reason;
    return synced ? 0 : -1;
}
