/* SPDX-License-Identifier: Apache-2.0 */
/* Where processes listen: $SHADOWCL_RUNTIME_DIR, else /run/shadowcl, else
 * $XDG_RUNTIME_DIR/shadowcl. A directory that others could play tricks in is refused. */
#include "agent/runtime_dir.h"

#include "agent/folder.h"
#include "agent/process.h"
#include "agent/report.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char shared_dir[] = "/run/shadowcl";

int runtime_dir_check(const struct stat *status, bool any_owner, struct error *err)
{
    char user[64];
    if (status->st_uid != 0 && status->st_uid != geteuid() && !any_owner) {
        process_user(status->st_uid, user, sizeof user);
        error_set(err, 0, "refused: it belongs to %s, who could put other sockets into it", user);
        return error_todo(err, "run as %s, or choose another directory with SHADOWCL_RUNTIME_DIR",
                          user);
    }
    if ((status->st_mode & S_IWOTH) && !(status->st_mode & S_ISVTX)) {
        error_set(err, 0, "refused: everybody may replace files in it (mode %04o)",
                  (unsigned)status->st_mode & 07777);
        return error_todo(err, "make it private (chmod 0700) or sticky (chmod 1777)");
    }
    return 0;
}

/* Returns a descriptor, or -1; errno is ENOENT if there is no such directory. */
static int open_checked(const char *path, bool any_owner, struct error *err)
{
    char clean[PATH_MAX];
    struct stat status;
    folder_name(clean, path);
    int fd = open(clean, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int open_errno = errno;
    if (fd < 0 && lstat(clean, &status) == 0 && S_ISLNK(status.st_mode)) {
        error_set(err, 0, "refused: it is a symbolic link");
        error_todo(err, "name the directory that the link leads to, or put a directory there");
    } else if (fd < 0) {
        error_set(err, open_errno, "can't be opened");
        if (open_errno == ENOENT)
            error_todo(err, "make it (mkdir -m 0700 %s) or correct SHADOWCL_RUNTIME_DIR", clean);
        else
            error_todo(err, "make it a directory that you may read, or correct "
                            "SHADOWCL_RUNTIME_DIR");
    } else if (fstat(fd, &status) < 0 || runtime_dir_check(&status, any_owner, err) < 0) {
        close(fd);
        fd = -1;
        open_errno = EPERM;
    }
    if (fd < 0)
        error_object(err, "runtime directory `%s`", clean);
    errno = open_errno;
    return fd;
}

static bool is_open_already(const struct runtime_dirs *dirs, int fd)
{
    struct stat one, other;
    if (fstat(fd, &one) < 0)
        return false;
    for (size_t i = 0; i < dirs->count; i++)
        if (fstat(dirs->list[i].fd, &other) == 0 && one.st_dev == other.st_dev &&
            one.st_ino == other.st_ino)
            return true;
    return false;
}

static int add(struct runtime_dirs *dirs, const char *path, bool any_owner, struct error *err)
{
    int fd = open_checked(path, any_owner, err);
    if (fd < 0)
        return -1;
    if (is_open_already(dirs, fd)) {
        close(fd);
        return 0;
    }
    struct runtime_dir *list = realloc(dirs->list, (dirs->count + 1) * sizeof *list);
    char *copy = strdup(path);
    if (list)
        dirs->list = list;
    if (!list || !copy) {
        free(copy);
        close(fd);
        errno = ENOMEM;
        return error_set(err, ENOMEM, "can't be remembered");
    }
    dirs->list[dirs->count++] = (struct runtime_dir){.path = copy, .fd = fd};
    return 0;
}

/* One of the usual places: not being there is nothing to speak of. */
static void try_add(struct runtime_dirs *dirs, const char *path, bool any_owner)
{
    struct error err = {0};
    if (add(dirs, path, any_owner, &err) < 0 && errno != ENOENT)
        report_note(&err);
}

/* As root: every user's. The owner is right when /run/user/N belongs to N. */
static void add_users(struct runtime_dirs *dirs)
{
    glob_t found;
    if (glob("/run/user/*/shadowcl", GLOB_NOSORT, NULL, &found))
        return;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct stat status;
        unsigned uid = (unsigned)strtoul(found.gl_pathv[i] + strlen("/run/user/"), NULL, 10);
        bool own = lstat(found.gl_pathv[i], &status) == 0 && status.st_uid == uid;
        try_add(dirs, found.gl_pathv[i], own);
    }
    globfree(&found);
}

int runtime_dirs_open(struct runtime_dirs *dirs, struct error *err)
{
    *dirs = (struct runtime_dirs){0};
    const char *set = getenv("SHADOWCL_RUNTIME_DIR");
    if (set && *set)
        return add(dirs, set, false, err);
    try_add(dirs, shared_dir, false);
    const char *xdg = getenv("XDG_RUNTIME_DIR");
    char path[PATH_MAX];
    if (xdg && *xdg && snprintf(path, sizeof path, "%s/shadowcl", xdg) < PATH_MAX)
        try_add(dirs, path, false);
    if (geteuid() == 0)
        add_users(dirs);
    return 0;
}

void runtime_dirs_close(struct runtime_dirs *dirs)
{
    for (size_t i = 0; i < dirs->count; i++) {
        close(dirs->list[i].fd);
        free(dirs->list[i].path);
    }
    free(dirs->list);
    *dirs = (struct runtime_dirs){0};
}

/* Permissions, a read-only or full file system: a file tells. */
static int check_writable(int fd, struct error *err)
{
    char name[32];
    snprintf(name, sizeof name, ".probe-%d", (int)getpid());
    int probe = openat(fd, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (probe < 0) {
        int reason = errno;
        error_todo(err, reason == ENOSPC || reason == EDQUOT
                            ? "make room, or choose another with --runtime-dir"
                            : "make it writable for you, or choose another with --runtime-dir");
        return error_set(err, reason, "no socket can be made in it");
    }
    unlinkat(fd, name, 0);
    close(probe);
    return 0;
}

/* The directory that the shim will choose; made if it is ours to make. */
static int choose(char path[PATH_MAX], struct error *err)
{
    struct stat status;
    const char *xdg = getenv("XDG_RUNTIME_DIR");
    snprintf(path, PATH_MAX, "%s", shared_dir);
    if (lstat(shared_dir, &status) == 0)
        return 0;
    if (geteuid() == 0) {
        if ((mkdir(path, 01777) == 0 && chmod(path, 01777) == 0) || errno == EEXIST)
            return 0;
    } else if (xdg && *xdg) {
        snprintf(path, PATH_MAX, "%s/shadowcl", xdg);
        if (mkdir(path, 0700) == 0 || errno == EEXIST)
            return 0;
    } else {
        error_object(err, "runtime directory");
        error_set(err, 0, "there is no %s and XDG_RUNTIME_DIR is not set", shared_dir);
        return error_todo(err,
                          "choose a directory with --runtime-dir, or as root: "
                          "mkdir -m 1777 %s",
                          shared_dir);
    }
    int reason = errno;
    error_object(err, "runtime directory `%s`", path);
    error_todo(err, "correct XDG_RUNTIME_DIR, or choose a directory with --runtime-dir");
    return error_set(err, reason, "can't be made");
}

int runtime_dir_prepare(const char *set, char path[PATH_MAX], struct error *err)
{
    if (set && *set)
        snprintf(path, PATH_MAX, "%s", set);
    else if (choose(path, err) < 0)
        return -1;
    int fd = open_checked(path, false, err);
    if (fd < 0)
        return -1;
    int result = check_writable(fd, err);
    if (result < 0)
        error_object(err, "runtime directory `%s`", path);
    close(fd);
    return result;
}
