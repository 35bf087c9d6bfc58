/* SPDX-License-Identifier: Apache-2.0 */
/* The processes that listen in the runtime directories. Who they are is what the kernel says of
 * the socket's other end, never what the socket is called. */
#include "agent/peers.h"

#include "agent/place.h"
#include "agent/process.h"
#include "agent/report.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* A socket that is bound but does not listen yet looks stale: give it this long. */
enum { STALE_SECONDS = 5, FULL_QUEUE_TRIES = 20, MOST_SAID = 8 };

/* This thread alone: other users' programs may be worked on at the same time. */
static int become(uid_t user)
{
    return (int)syscall(SYS_setresuid, -1, user, -1);
}

/* In a user namespace in which we have no number a process would take us for nobody: as its own
 * user we are known there. */
static int connect_as(int fd, const struct sockaddr_un *address, uid_t user)
{
    bool is_other = user != PEER_AS_WE_ARE;
    if (is_other && become(user) < 0)
        return -1;
    int result = connect(fd, (const struct sockaddr *)address, sizeof *address);
    int reason = errno;
    /* To go on as that user would be worse than to end. */
    if (is_other && become(0) < 0)
        abort();
    errno = reason;
    return result;
}

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
    if (fd >= 0 && connect_as(fd, &address, peer->as) < 0) {
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

/* Root as the socket's owner, whom its process knows also where it does not know us. */
static int connect_first(struct peer *peer, const struct stat *status)
{
    int fd = -1;
    if (geteuid() == 0 && status->st_uid != 0) {
        peer->as = status->st_uid;
        fd = peer_connect(peer);
        if (fd >= 0 || (errno != EACCES && errno != EPERM && errno != EINVAL))
            return fd;
    }
    peer->as = PEER_AS_WE_ARE;
    return peer_connect(peer);
}

/* Finds out who listens; -1 if that is nobody to speak to, 1 if its queue is full. */
static int identify(struct peer *peer, const struct stat *status)
{
    int fd = connect_first(peer, status);
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
    if (!process_has_own_users(peer->pid))
        peer->as = PEER_AS_WE_ARE;
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

static bool is_socket(const char *name)
{
    size_t length = strlen(name);
    return length >= 5 && !strcmp(name + length - 5, ".sock");
}

static DIR *open_list(const struct runtime_dir *dir, struct error *err)
{
    int fd = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    if (!stream) {
        error_object(err, "runtime directory `%s`", dir->path);
        error_todo(err, "make it readable for you");
        error_set(err, errno, "can't be read");
    }
    return stream;
}

static int scan_dir(struct scan *scan, const struct runtime_dir *dir, struct error *err)
{
    DIR *stream = open_list(dir, err);
    if (!stream)
        return -1;
    int result = 0;
    size_t foreign = 0;
    for (struct dirent *entry; result == 0 && (entry = readdir(stream));) {
        struct stat status;
        struct peer peer = {.dir = dir};
        if (!is_socket(entry->d_name))
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

bool peers_have(const struct peers *peers, pid_t pid)
{
    for (size_t i = 0; i < peers->count; i++)
        if (peers->list[i].pid == pid)
            return true;
    return false;
}

static struct runtime_dir *add_place(struct peers *peers, const char *path, int fd)
{
    struct runtime_dir **places = realloc(peers->places, (peers->num_places + 1) * sizeof *places);
    struct runtime_dir *place = malloc(sizeof *place);
    char *copy = strdup(path);
    if (places)
        peers->places = places;
    if (!places || !place || !copy) {
        free(place);
        free(copy);
        close(fd);
        return NULL;
    }
    *place = (struct runtime_dir){.path = copy, .fd = fd};
    places[peers->num_places++] = place;
    return place;
}

static void finish_place(struct runtime_dir *place)
{
    close(place->fd);
    free(place->path);
    free(place);
}

/* Nothing was found there. */
static void drop_last_place(struct peers *peers)
{
    finish_place(peers->places[--peers->num_places]);
}

/* A socket of `pid`, by its name; whose it is is asked nevertheless. One whose queue is full is
 * waited for, while `*patience` lasts, which is for all processes together. */
static int try_one(struct peers *peers, const struct runtime_dir *place, pid_t pid,
                   const char *name, int *patience, struct error *err)
{
    struct stat status;
    struct peer peer = {.dir = place};
    snprintf(peer.name, sizeof peer.name, "%s", name);
    if (check_file(&peer, &status) != 0)
        return 0;
    int who = identify(&peer, &status);
    for (; who > 0 && *patience > 0; (*patience)--) {
        usleep(10000);
        who = identify(&peer, &status);
    }
    if (who > 0)
        refuse(&peer, EAGAIN, "no connection", "see whether its process is stopped or hangs");
    return who == 0 && peer.pid == pid ? add(peers, &peer, err) : 0;
}

/* Where the environment of this process says, which others may have filled: nobody else is spoken
 * to. */
static int look_for(struct peers *peers, pid_t pid, int *patience, struct error *err)
{
    char path[PATH_MAX], start[32];
    struct error why = {0};
    int fd = place_open(pid, path, &why);
    if (fd < 0) {
        if (errno != ENOENT)
            report_note(&why);
        return 0;
    }
    struct runtime_dir *place = add_place(peers, path, fd);
    if (!place)
        return error_set(err, ENOMEM, "can't remember the processes");
    int length = snprintf(start, sizeof start, "%d-", (int)process_inner_pid(pid));
    DIR *stream = open_list(place, &why);
    int result = 0;
    for (struct dirent *entry; stream && result == 0 && (entry = readdir(stream));)
        if (is_socket(entry->d_name) && !strncmp(entry->d_name, start, (size_t)length))
            result = try_one(peers, place, pid, entry->d_name, patience, err);
    if (stream)
        closedir(stream);
    if (!peers->count || peers->list[peers->count - 1].dir != place)
        drop_last_place(peers);
    return result;
}

static bool is_ours(pid_t pid)
{
    char library[64];
    return process_opencl(pid, library, sizeof library) & PROCESS_SHIM;
}

static int look_in_containers(struct peers *peers, int *patience, struct error *err)
{
    int result = 0;
    DIR *proc = opendir("/proc");
    for (struct dirent *entry; proc && result == 0 && (entry = readdir(proc));) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (isdigit((unsigned char)entry->d_name[0]) && !peers_have(peers, pid) &&
            place_is_contained(pid) && is_ours(pid))
            result = look_for(peers, pid, patience, err);
    }
    if (proc)
        closedir(proc);
    return result;
}

static int look_elsewhere(struct peers *peers, const pid_t *pids, size_t num_pids,
                          struct error *err)
{
    const char *set = getenv("SHADOWCL_RUNTIME_DIR");
    int result = 0, patience = FULL_QUEUE_TRIES;
    for (size_t i = 0; result == 0 && i < num_pids; i++)
        if (!peers_have(peers, pids[i]) && is_ours(pids[i]))
            result = look_for(peers, pids[i], &patience, err);
    return num_pids || (set && *set) ? result : look_in_containers(peers, &patience, err);
}

int peers_scan(struct peers *peers, const pid_t *pids, size_t num_pids, struct error *err)
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
    if (result == 0)
        result = look_elsewhere(peers, pids, num_pids, err);
    if (peers->count)
        qsort(peers->list, peers->count, sizeof *peers->list, by_pid);
    return result;
}

void peers_finish(struct peers *peers)
{
    runtime_dirs_close(&peers->dirs);
    for (size_t i = 0; i < peers->num_places; i++)
        finish_place(peers->places[i]);
    free(peers->places);
    free(peers->list);
    *peers = (struct peers){0};
}
