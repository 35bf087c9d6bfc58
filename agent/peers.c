/* SPDX-License-Identifier: Apache-2.0 */
/* The processes that listen in the runtime directories. Who they are is what the kernel says of
 * the socket's other end, never what the socket is called. */
#include "agent/peers.h"

#include "agent/process.h"
#include "agent/report.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* A socket that is bound but does not listen yet looks stale: give it this long. */
enum { STALE_SECONDS = 5, FULL_QUEUE_TRIES = 20, MOST_SAID = 8 };

int peer_connect(const struct peer *peer)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    /* By the directory's descriptor: fits however long the path is, and stays where we looked. */
    int length = snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s",
                          peer->dir->fd, peer->name);
    if (length < 0 || (size_t)length >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        int reason = errno;
        close(fd);
        errno = reason;
        return -1;
    }
    return fd;
}

static int refuse(const struct peer *peer, int errnum, const char *reason, const char *todo)
{
    struct error err = {0};
    error_object(&err, "socket `%s/%s`", peer->dir->path, peer->name);
    error_set(&err, errnum, "%s", reason);
    error_todo(&err, "%s", todo);
    report_note(&err);
    return -1;
}

/* Nobody listens. It is ours to remove unless it may just be about to. */
static int remove_stale(const struct peer *peer, const struct stat *status)
{
    if (status->st_uid == geteuid() && time(NULL) - status->st_mtime >= STALE_SECONDS)
        unlinkat(peer->dir->fd, peer->name, 0);
    return -1;
}

/* Finds out who listens; -1 if that is nobody to speak to, 1 if its queue is full. */
static int identify(struct peer *peer, const struct stat *status)
{
    int fd = peer_connect(peer);
    if (fd < 0 && errno == EAGAIN)
        return 1;
    if (fd < 0 && errno == ECONNREFUSED)
        return remove_stale(peer, status);
    if (fd < 0 && errno == ENOENT)
        return -1;
    if (fd < 0)
        return refuse(peer, errno, "no connection", "see whether its process is stopped or hangs");
    struct ucred creds = {0};
    socklen_t size = sizeof creds;
    int result = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &creds, &size);
    int reason = errno;
    close(fd);
    if (result < 0)
        return refuse(peer, reason, "the kernel does not say who listens", "remove the socket");
    if (creds.uid != status->st_uid && creds.uid != 0)
        return refuse(peer, 0, "refused: another user listens than the one it belongs to",
                      "find out who put it there, and remove it");
    if (creds.pid <= 0)
        return refuse(peer, 0, "its process is outside of this container, it has no pid here",
                      "use shadowcl where the process was started");
    peer->pid = creds.pid;
    peer->uid = creds.uid;
    return 0;
}

/* 0: look who listens; 1: another user's; -1: nothing to connect to. */
static int check_file(const struct peer *peer, struct stat *status)
{
    if (fstatat(peer->dir->fd, peer->name, status, AT_SYMLINK_NOFOLLOW) < 0)
        return -1;
    if (S_ISLNK(status->st_mode))
        return refuse(peer, 0, "refused: it is a symbolic link",
                      "find out who put it there, and remove it");
    if (!S_ISSOCK(status->st_mode))
        return refuse(peer, 0, "refused: it is no socket",
                      "find out who put it there, and remove it");
    return geteuid() != 0 && status->st_uid != geteuid();
}

static int by_pid(const void *a, const void *b)
{
    const struct peer *one = a, *other = b;
    return (one->pid > other->pid) - (one->pid < other->pid);
}

static int add(struct peers *peers, const struct peer *peer, struct error *err)
{
    struct peer *list = realloc(peers->list, (peers->count + 1) * sizeof *list);
    if (!list)
        return error_set(err, ENOMEM, "can't remember the processes");
    peers->list = list;
    peers->list[peers->count++] = *peer;
    return 0;
}

/* One whose queue is full. */
struct busy {
    struct peer peer;
    struct stat status;
};

struct scan {
    struct peers *peers;
    struct busy *busy; /* owned */
    size_t num_busy;
};

static int add_busy(struct scan *scan, const struct peer *peer, const struct stat *status,
                    struct error *err)
{
    struct busy *list = realloc(scan->busy, (scan->num_busy + 1) * sizeof *list);
    if (!list)
        return error_set(err, ENOMEM, "can't remember the processes");
    scan->busy = list;
    scan->busy[scan->num_busy++] = (struct busy){*peer, *status};
    return 0;
}

static int take(struct scan *scan, struct peer *peer, const struct stat *status, struct error *err)
{
    int who = identify(peer, status);
    if (who > 0)
        return add_busy(scan, peer, status, err);
    return who == 0 ? add(scan->peers, peer, err) : 0;
}

/* All of them get the same time together: however many there are, nobody waits longer for that. */
static int wait_for_busy(struct scan *scan, struct error *err)
{
    int result = 0;
    for (int i = 0; scan->num_busy && result == 0 && i < FULL_QUEUE_TRIES; i++) {
        struct scan next = {.peers = scan->peers};
        usleep(10000);
        for (size_t j = 0; result == 0 && j < scan->num_busy; j++)
            result = take(&next, &scan->busy[j].peer, &scan->busy[j].status, err);
        free(scan->busy);
        *scan = next;
    }
    return result;
}

static void note_busy(const struct scan *scan)
{
    size_t said = scan->num_busy < MOST_SAID ? scan->num_busy : MOST_SAID;
    struct error err = {0};
    for (size_t i = 0; i < said; i++)
        refuse(&scan->busy[i].peer, EAGAIN, "no connection",
               "see whether its process is stopped or hangs");
    if (said == scan->num_busy)
        return;
    error_set(&err, 0, "the same of %zu more sockets", scan->num_busy - said);
    report_note(&err);
}

static void note_foreign(const struct runtime_dir *dir, size_t count)
{
    struct error err = {0};
    error_object(&err, "runtime directory `%s`", dir->path);
    error_set(&err, 0, "left alone %zu socket%s of other users", count, count == 1 ? "" : "s");
    error_todo(&err, "run as root to see their processes too");
    report_note(&err);
}

static int scan_dir(struct scan *scan, const struct runtime_dir *dir, struct error *err)
{
    int fd = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    if (!stream) {
        error_object(err, "runtime directory `%s`", dir->path);
        error_todo(err, "make it readable for you");
        return error_set(err, errno, "can't be read");
    }
    int result = 0;
    size_t foreign = 0;
    for (struct dirent *entry; result == 0 && (entry = readdir(stream));) {
        struct stat status;
        struct peer peer = {.dir = dir};
        size_t length = strlen(entry->d_name);
        if (length < 5 || strcmp(entry->d_name + length - 5, ".sock"))
            continue;
        snprintf(peer.name, sizeof peer.name, "%s", entry->d_name);
        int file = check_file(&peer, &status);
        foreign += file == 1;
        if (file == 0)
            result = take(scan, &peer, &status, err);
    }
    closedir(stream);
    if (foreign)
        note_foreign(dir, foreign);
    return result;
}

int peers_scan(struct peers *peers, struct error *err)
{
    *peers = (struct peers){0};
    if (runtime_dirs_open(&peers->dirs, err) < 0)
        return -1;
    struct scan scan = {.peers = peers};
    int result = 0;
    for (size_t i = 0; result == 0 && i < peers->dirs.count; i++)
        result = scan_dir(&scan, &peers->dirs.list[i], err);
    if (result == 0)
        result = wait_for_busy(&scan, err);
    note_busy(&scan);
    free(scan.busy);
    if (peers->count)
        qsort(peers->list, peers->count, sizeof *peers->list, by_pid);
    return result;
}

void peers_finish(struct peers *peers)
{
    runtime_dirs_close(&peers->dirs);
    free(peers->list);
    *peers = (struct peers){0};
}
