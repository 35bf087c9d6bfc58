/* SPDX-License-Identifier: Apache-2.0 */
/* Directories that are named by users: see folder.h. */
#include "agent/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
