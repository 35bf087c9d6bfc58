/* SPDX-License-Identifier: Apache-2.0 */
/* Small files of the agent's in runtime directories: see marks.h. */
#include "agent/marks.h"

#include "agent/runtime_dir.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static const char prefix[] = "suspended.";

void marks_name(char *out, size_t size)
{
    snprintf(out, size, "%s%u", prefix, (unsigned)geteuid());
}

static int write_all(int fd, const char *text, size_t size)
{
    while (size) {
        ssize_t count = write(fd, text, size);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -1;
        text += count;
        size -= (size_t)count;
    }
    return 0;
}

/* A name that nobody can have prepared. */
static int make_name(char *name, size_t size)
{
    uint64_t random = 0;
    if (getrandom(&random, sizeof random, 0) != sizeof random)
        return -1;
    snprintf(name, size, ".new-%016llx", (unsigned long long)random);
    return 0;
}

static int make_temporary(int directory, char *name, size_t size)
{
    if (make_name(name, size) < 0)
        return -1;
    return openat(directory, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0600);
}

/* In a directory that all users share, somebody may have put a folder there, which no file can
 * replace: it goes out of the way. */
static int rename_over(int directory, const char *temporary, const char *name)
{
    char aside[64];
    if (renameat(directory, temporary, directory, name) == 0)
        return 0;
    if (errno != EISDIR)
        return -1;
    if (unlinkat(directory, name, AT_REMOVEDIR) < 0 &&
        (make_name(aside, sizeof aside) < 0 || renameat(directory, name, directory, aside) < 0))
        return -1;
    return renameat(directory, temporary, directory, name);
}

/* Some filesystems can't for folders; what is in memory needs no disk. */
static int sync_one(int fd)
{
    return fsync(fd) < 0 && errno != EINVAL && errno != EROFS ? -1 : 0;
}

static int write_file(int directory, const char *name, const json_t *content, bool sync,
                      struct error *err)
{
    char temporary[64];
    char *text = json_dumps(content, JSON_COMPACT | JSON_ENCODE_ANY);
    int fd = text ? make_temporary(directory, temporary, sizeof temporary) : -1;
    int result = -1;
    error_object(err, "file `%s` in the runtime directory", name);
    if (fd < 0) {
        error_set(err, text ? errno : ENOMEM, "can't be made");
    } else {
        result = write_all(fd, text, strlen(text));
        if (result == 0 && sync)
            result = sync_one(fd);
        if (result == 0)
            result = rename_over(directory, temporary, name);
        if (result < 0) {
            error_set(err, errno, "can't be written");
            unlinkat(directory, temporary, 0);
        } else if (sync && sync_one(directory) < 0) {
            result = error_set(err, errno, "can't be brought to the disk");
        }
        close(fd);
    }
    if (result < 0)
        error_todo(err, "make the directory writable for this user, with room in it");
    free(text);
    return result;
}

int marks_write(int directory, const char *name, const json_t *content, struct error *err)
{
    return write_file(directory, name, content, false, err);
}

int marks_write_to_disk(int directory, const char *name, const json_t *content, struct error *err)
{
    return write_file(directory, name, content, true, err);
}

static bool is_believed(int fd, size_t most)
{
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == geteuid() &&
           !(status.st_mode & (S_IWGRP | S_IWOTH)) && (uint64_t)status.st_size <= most;
}

json_t *marks_read(int directory, const char *name, size_t most)
{
    json_t *content = NULL;
    /* Not blocking: it may be somebody's pipe. */
    int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    char *text = fd >= 0 && is_believed(fd, most) ? malloc(most + 1) : NULL;
    size_t size = 0;
    ssize_t count = 1;
    while (text && count > 0 && size < most) {
        count = read(fd, text + size, most - size);
        size += count > 0 ? (size_t)count : 0;
    }
    if (text && count >= 0)
        content = json_loadb(text, size, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    free(text);
    if (fd >= 0)
        close(fd);
    return content;
}

static bool is_to_remove(int directory, const char *name, bool all)
{
    struct stat status;
    const char *number = name + strlen(prefix);
    if (strncmp(name, prefix, strlen(prefix)) || !isdigit((unsigned char)*number))
        return false;
    return fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           (all || status.st_uid == geteuid());
}

static void remove_marks(bool all)
{
    struct runtime_dirs dirs;
    struct error ignored = {0};
    if (runtime_dirs_open(&dirs, &ignored) < 0)
        return;
    for (size_t i = 0; i < dirs.count; i++) {
        int fd = openat(dirs.list[i].fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *stream = fd < 0 ? NULL : fdopendir(fd);
        for (struct dirent *entry; stream && (entry = readdir(stream));)
            if (is_to_remove(fd, entry->d_name, all))
                unlinkat(fd, entry->d_name, 0);
        if (stream)
            closedir(stream);
    }
    runtime_dirs_close(&dirs);
}

void marks_remove_own(void)
{
    remove_marks(false);
}

void marks_remove_all(void)
{
    remove_marks(geteuid() == 0);
}
