/* SPDX-License-Identifier: Apache-2.0 */
/* Suspended processes without a socket: see away.h. */
#include "agent/away.h"

#include "agent/place.h"
#include "agent/process.h"
#include "agent/runtime_dir.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* The name of the thread that waits ends with the pipe's number. */
static const char thread_name[] = "shadowcl-";

/* The pipe's number, if this is the thread; else -1. */
static int number_of(pid_t pid, const char *thread)
{
    char path[64 + NAME_MAX], name[32] = "";
    snprintf(path, sizeof path, "/proc/%d/task/%s/comm", (int)pid, thread);
    FILE *file = fopen(path, "re");
    if (!file)
        return -1;
    bool read = fgets(name, sizeof name, file);
    fclose(file);
    const char *digits = name + sizeof thread_name - 1;
    if (!read || strncmp(name, thread_name, sizeof thread_name - 1) || !isdigit(digits[0]))
        return -1;
    return (int)strtol(digits, NULL, 10);
}

/* Of the thread that waits; -1 where none does. */
static int find_number(pid_t pid)
{
    char path[64];
    int number = -1;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *threads = opendir(path);
    for (struct dirent *entry; threads && number < 0 && (entry = readdir(threads));)
        if (isdigit((unsigned char)entry->d_name[0]))
            number = number_of(pid, entry->d_name);
    if (threads)
        closedir(threads);
    return number;
}

/* Has the process this pipe open at that number, to write to it? Both come from one look at one
 * file; Linux before 5.14 does not tell the inode. */
static bool writes_to(pid_t pid, int number, ino_t pipe)
{
    char path[64], line[128];
    unsigned flags = O_RDONLY;
    unsigned long long inode = pipe;
    snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", (int)pid, number);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file)) {
        sscanf(line, "flags: %o", &flags);
        sscanf(line, "ino: %llu", &inode);
    }
    if (file)
        fclose(file);
    return (flags & O_ACCMODE) == O_WRONLY && inode == pipe;
}

/* Is it a pipe without a name? */
static bool is_pipe(int fd, ino_t *inode)
{
    struct stat status;
    struct statfs where;
    *inode = 0;
    if (fstat(fd, &status) < 0 || fstatfs(fd, &where) < 0)
        return false;
    *inode = status.st_ino;
    return S_ISFIFO(status.st_mode) && where.f_type == PIPEFS_MAGIC;
}

/* Its writing end as the caller's own descriptor; -1 where no such thread or pipe is. Its number is
 * what the process says, which may put another file there at any moment: what is looked at and what
 * is opened to be written to is the one that we hold. */
static int open_pipe(pid_t pid)
{
    char path[64];
    ino_t inode;
    int number = find_number(pid), fd = -1;
    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, number);
    int held = number < 0 ? -1 : open(path, O_PATH | O_CLOEXEC);
    int reason = number < 0 ? ENOENT : errno;
    if (held >= 0) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", held);
        reason = ENOENT;
        if (is_pipe(held, &inode) && writes_to(pid, number, inode)) {
            fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
            reason = errno;
        }
        close(held);
    }
    errno = reason;
    return fd;
}

bool away_is(pid_t pid)
{
    int fd = open_pipe(pid);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* Told no directory, it goes by its environment, as when it started: that may be its user's own, in
 * which nobody else could listen. But it may be a copy on a machine where that is not its own. */
static bool stays_in_place(pid_t pid)
{
    struct error ignored = {0};
    struct stat status;
    const char *set = getenv("SHADOWCL_RUNTIME_DIR");
    char path[PATH_MAX];
    int fd = set && *set ? -1 : place_open(pid, path, &ignored);
    if (fd < 0)
        return false;
    bool stays = fstat(fd, &status) == 0 && process_may_write(pid, &status);
    close(fd);
    return stays;
}

/* Where it is to listen. "": in its usual directory, where that is none that we have a name for. */
static int choose(pid_t pid, char directory[PATH_MAX], struct error *err)
{
    char found[PATH_MAX];
    directory[0] = 0;
    if (place_is_apart(pid) || stays_in_place(pid))
        return 0;
    if (runtime_dir_prepare(getenv("SHADOWCL_RUNTIME_DIR"), found, err) < 0)
        return -1;
    error_object(err, "process %d", (int)pid);
    return realpath(found, directory)
               ? 0
               : error_set(err, errno, "the runtime directory `%.200s`", found);
}

static int call(pid_t pid, const char *order, const char *directory, struct error *err)
{
    char message[2 * PATH_MAX];
    error_object(err, "process %d", (int)pid);
    int size = snprintf(message, sizeof message, "%s\n%s\n", order, directory);
    if (size > PIPE_BUF || strchr(directory, '\n'))
        return error_set(err, 0, "the runtime directory or the device has too long a name");
    int fd = open_pipe(pid);
    if (fd < 0 && errno == ENOENT) {
        error_set(err, 0, "it does not wait to be woken");
        return error_todo(err, "see `shadowcl ps`");
    }
    ssize_t written = fd < 0 ? -1 : write(fd, message, (size_t)size);
    int reason = errno;
    if (fd >= 0)
        close(fd);
    if (written == size)
        return 0;
    error_set(err, reason, "it can't be woken");
    return error_todo(err, "run this as its user or as root");
}

int away_wake(pid_t pid, struct error *err)
{
    char directory[PATH_MAX];
    return choose(pid, directory, err) < 0 ? -1 : call(pid, "listen", directory, err);
}

int away_resume(pid_t pid, const char *device, struct error *err)
{
    char order[PIPE_BUF], directory[PATH_MAX];
    snprintf(order, sizeof order, "resume %s", device);
    if (choose(pid, directory, err) < 0)
        return -1;
    return call(pid, order, directory, err);
}
