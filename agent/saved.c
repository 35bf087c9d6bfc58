/* SPDX-License-Identifier: Apache-2.0 */
/* The directory that a copy lies in: see saved.h. */
#include "agent/saved.h"

#include "agent/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char new_name[] = ".shadowcl.json.new";

static bool is_log(const char *file)
{
    return !strcmp(file, "dump.log") || !strcmp(file, "criu.out") || !strcmp(file, "stats-dump");
}

static int is_other(int dir, const char *file, void *unused)
{
    return !is_log(file);
}

/* CRIU would write to a log that is there, whatever it is and whoever may read it. */
static int remove_log(int dir, const char *file, void *data)
{
    return unlinkat(dir, file, 0) == 0 ? 0 : error_set(data, errno, "remove `%s`", file);
}

static int check_empty(int dir, struct error *err)
{
    if (!folder_each(dir, is_other, NULL))
        return 0;
    error_set(err, 0, "it is not empty");
    return error_todo(err, "name a directory that is empty or not there yet");
}

static int take_place(int dir, const char *path, struct error *err)
{
    if (folder_check_own(dir, path, err) < 0 || check_empty(dir, err) < 0 ||
        folder_each(dir, remove_log, err) < 0)
        return -1;
    return fchmod(dir, 0700) == 0 ? 0 : error_set(err, errno, "make it private");
}

int saved_create(struct saved *saved, const char *dir, struct error *err)
{
    char path[PATH_MAX];
    *saved = (struct saved){.fd = -1};
    folder_name(path, dir);
    error_object(err, "directory `%.100s`", path);
    saved->is_new = mkdir(path, 0700) == 0;
    if (!saved->is_new && errno != EEXIST) {
        error_set(err, errno, "make it");
        return error_todo(err, "choose a place that you may write to");
    }
    saved->fd = folder_open(path, err);
    if (saved->fd < 0 || take_place(saved->fd, path, err) < 0)
        return -1;
    return realpath(path, saved->dir) ? 0 : error_set(err, errno, "find its whole name");
}

static int remove_image(int dir, const char *file, void *unused)
{
    if (saved_is_image(file))
        unlinkat(dir, file, 0);
    return 0;
}

void saved_abandon(const struct saved *saved)
{
    unlinkat(saved->fd, SAVED_NAME, 0);
    unlinkat(saved->fd, new_name, 0);
    folder_each(saved->fd, remove_image, NULL);
    if (saved->is_new)
        rmdir(saved->dir);
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
    folder_each(saved->fd, add_size, &bytes);
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

/* A stream of a file in the directory, or NULL. */
static FILE *open_new(const struct saved *saved)
{
    unlinkat(saved->fd, new_name, 0);
    int fd =
        openat(saved->fd, new_name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    FILE *file = fd >= 0 && fchmod(fd, 0600) == 0 ? fdopen(fd, "w") : NULL;
    if (!file && fd >= 0)
        close(fd);
    return file;
}

static int write_new(const struct saved *saved, struct error *err)
{
    FILE *file = open_new(saved);
    if (!file)
        return error_set(err, errno, "make `%s`", new_name);
    bool written = json_dumpf(saved->json, file, JSON_INDENT(2)) == 0 && fputc('\n', file) >= 0 &&
                   fflush(file) == 0 && fsync(fileno(file)) == 0;
    int reason = errno;
    if (fclose(file) == 0 && written)
        return 0;
    return error_set(err, reason, "write `%s`", new_name);
}

static int sync_folder(const struct saved *saved, const char *path, struct error *err)
{
    return folder_sync(saved->fd, path) == 0 ? 0 : error_set(err, errno, "bring it to the disk");
}

/* All names come before the mark that it is whole. */
int saved_commit(struct saved *saved, struct error *err)
{
    error_object(err, "directory `%.100s`", saved->dir);
    if (saved_list_images(saved, err) < 0 || folder_each(saved->fd, sync_file, err) < 0 ||
        write_new(saved, err) < 0 || sync_folder(saved, ".", err) < 0)
        return -1;
    /* Where the parent can't be read it can't be told to. */
    if (folder_sync(saved->fd, "..") < 0 && errno != EACCES)
        return error_set(err, errno, "bring it to the disk");
    if (renameat(saved->fd, new_name, saved->fd, SAVED_NAME) < 0)
        return error_set(err, errno, "write `%s`", SAVED_NAME);
    return sync_folder(saved, ".", err);
}

void saved_finish(struct saved *saved)
{
    json_decref(saved->json);
    if (saved->fd >= 0)
        close(saved->fd);
    *saved = (struct saved){.fd = -1};
}
