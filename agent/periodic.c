/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of a long job at intervals: see periodic.h. Each is made by `shadowcl checkpoint`, and one
 * that is not whole, because everything was killed in the middle of it, is none. */
#include "agent/periodic.h"

#include "agent/apart.h"
#include "agent/folder.h"
#include "agent/text.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DEFAULT_KEEP = 3, MAX_KEEP = 1000 };
static const double longest = 30 * 86400.0;
static const char mark[] = "shadowcl.json", log_name[] = "checkpoint.log", making[] = ".making";

extern char **environ;

static double parse_time(const char *text, struct argp_state *state)
{
    static const struct {
        const char *name;
        double seconds;
    } units[] = {{"", 1}, {"s", 1}, {"m", 60}, {"h", 3600}};
    char *end;
    double time = strtod(text, &end);
    for (size_t i = 0; end != text && i < sizeof units / sizeof *units; i++)
        if (!strcmp(end, units[i].name) && isfinite(time) && time > 0 &&
            time * units[i].seconds <= longest)
            return time * units[i].seconds;
    argp_error(state, "--checkpoint-every: `%s` is not a time such as 90, 90s, 10m or 1h", text);
    return 0;
}

static unsigned parse_keep(const char *text, struct argp_state *state)
{
    char *end;
    unsigned long number = strtoul(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || *end || number < 1 || number > MAX_KEEP)
        argp_error(state, "--keep: `%s` is not a number from 1 to %d", text, (int)MAX_KEEP);
    return (unsigned)number;
}

error_t periodic_parse(struct periodic *periodic, int key, char *text, struct argp_state *state)
{
    switch (key) {
    case OPTION_EVERY:
        periodic->every = parse_time(text, state);
        return 0;
    case OPTION_PERIODIC_DIR:
        periodic->dir = text;
        return 0;
    case OPTION_KEEP:
        periodic->keep = parse_keep(text, state);
        return 0;
    case ARGP_KEY_END:
        if (!periodic->every != !periodic->dir)
            argp_error(state, "--checkpoint-every and --checkpoint-dir go together");
        if (!periodic->keep)
            periodic->keep = DEFAULT_KEEP;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* The directory is the user's: only what has a name as we give it may be a copy of ours. */
static bool is_name(const char *text, size_t length)
{
    char name[32];
    int made = snprintf(name, sizeof name, "%06lu", strtoul(text, NULL, 10));
    return length < 10 && made > 0 && (size_t)made == length && !strncmp(name, text, length);
}

static int is_copy(const struct dirent *entry)
{
    return is_name(entry->d_name, strlen(entry->d_name));
}

/* Stands beside a copy from before it is begun until it is whole. */
static int is_making(const struct dirent *entry)
{
    const char *end = strrchr(entry->d_name, '.');
    return end && !strcmp(end, making) && is_name(entry->d_name, (size_t)(end - entry->d_name));
}

static int by_number(const struct dirent **one, const struct dirent **other)
{
    unsigned long a = strtoul((*one)->d_name, NULL, 10), b = strtoul((*other)->d_name, NULL, 10);
    return a < b ? -1 : a > b;
}

/* The copies, oldest first; the list and what is in it are the caller's. */
static int list_copies(int dir, struct dirent ***list)
{
    int count = scandirat(dir, ".", list, is_copy, by_number);
    return count < 0 ? 0 : count;
}

static void free_list(struct dirent **list, int count)
{
    for (int i = 0; i < count; i++)
        free(list[i]);
    if (count)
        free(list);
}

static bool is_whole(int dir, const char *name)
{
    char path[NAME_MAX + sizeof mark + 1];
    snprintf(path, sizeof path, "%s/%s", name, mark);
    return faccessat(dir, path, F_OK, 0) == 0;
}

/* The mark goes first: what is left of it after a kill is no copy any more. */
static void remove_copy(int dir, const char *name)
{
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return;
    unlinkat(fd, mark, 0);
    DIR *folder = fdopendir(fd);
    for (struct dirent *entry; folder && (entry = readdir(folder));)
        unlinkat(fd, entry->d_name, 0);
    if (folder)
        closedir(folder);
    else
        close(fd);
    unlinkat(dir, name, AT_REMOVEDIR);
}

/* Of those that were begun and are not whole, and that nobody is at any more. */
static void remove_broken(int dir)
{
    struct dirent **list;
    int count = scandirat(dir, ".", &list, is_making, by_number);
    for (int i = 0; i < count; i++) {
        char name[NAME_MAX + 1];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(list[i]->d_name, "."), list[i]->d_name);
        int fd = openat(dir, list[i]->d_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0) {
            if (!is_whole(dir, name))
                remove_copy(dir, name);
            unlinkat(dir, list[i]->d_name, 0);
        }
        if (fd >= 0)
            close(fd);
    }
    free_list(list, count < 0 ? 0 : count);
}

/* Leaves the newest whole ones, and all that is not ours. */
static void prune(int dir, unsigned keep)
{
    struct dirent **list;
    remove_broken(dir);
    int count = list_copies(dir, &list);
    unsigned whole = 0;
    for (int i = count; i-- > 0;)
        if (is_whole(dir, list[i]->d_name) && whole++ >= keep)
            remove_copy(dir, list[i]->d_name);
    free_list(list, count);
}

/* The note that one of this number is being made; locked as long as we or who makes it have it
 * open. -1: no note, no copy. */
static int note_making(int dir, unsigned long number)
{
    char name[NAME_MAX + 1];
    snprintf(name, sizeof name, "%06lu%s", number, making);
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    if (fd >= 0)
        flock(fd, LOCK_EX);
    return fd;
}

static unsigned long next_number(int dir)
{
    struct dirent **list;
    int count = list_copies(dir, &list);
    unsigned long next = count ? strtoul(list[count - 1]->d_name, NULL, 10) + 1 : 1;
    free_list(list, count);
    return next;
}

/* For its owner only, also where it was there before; -1 where it can't be had. */
static int open_log(int dir)
{
    int fd = openat(dir, log_name, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd >= 0 && fchmod(fd, 0600) == 0)
        return fd;
    int reason = errno;
    if (fd >= 0)
        close(fd);
    errno = reason;
    return -1;
}

/* What it says goes to the log beside the copies, never to the program's own output. */
static void copy(int dir, const char *path, unsigned long count, pid_t pid)
{
    char number[16], target[PATH_MAX], self[PATH_MAX];
    char *const arguments[] = {"shadowcl", "checkpoint", "--leave-running", "--tree", number,
                               target,     NULL};
    posix_spawn_file_actions_t files;
    pid_t child;
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length < 0 || snprintf(target, sizeof target, "%s/%06lu", path, count) >= PATH_MAX)
        return;
    int log = open_log(dir);
    self[length] = 0;
    snprintf(number, sizeof number, "%d", (int)pid);
    posix_spawn_file_actions_init(&files);
    for (int fd = 1; log >= 0 && fd < 3; fd++)
        posix_spawn_file_actions_adddup2(&files, log, fd);
    int failed = posix_spawn(&child, self, &files, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&files);
    if (log >= 0)
        close(log);
    while (!failed && waitpid(child, NULL, 0) < 0 && errno == EINTR)
        continue;
}

/* Has nothing of the program's but its pidfd and the directory. */
static _Noreturn void watch(const struct periodic *periodic, const char *path, int dir, int pidfd,
                            pid_t pid)
{
    double next = text_clock() + periodic->every;
    remove_broken(dir); /* what a kill has left: the first copy may get a number of theirs */
    for (;;) {
        struct pollfd end = {.fd = pidfd, .events = POLLIN};
        double left = next - text_clock();
        int wait = left <= 0 ? 0 : left > 3600 ? 3600000 : (int)(left * 1000) + 1;
        if (poll(&end, 1, wait) > 0)
            _exit(0);
        if (text_clock() < next)
            continue;
        unsigned long number = next_number(dir);
        int note = note_making(dir, number);
        if (note >= 0) {
            copy(dir, path, number, pid);
            close(note);
        }
        prune(dir, periodic->keep);
        next = text_clock() + periodic->every;
    }
}

/* One that was there before is left as it is; each copy in it is for its owner only. */
static int check_private(int dir, bool is_new, const char *path, struct error *err)
{
    if (is_new && fchmod(dir, 0700) < 0)
        return error_set(err, errno, "make it private");
    return folder_check_own(dir, path, err);
}

static int check_log(int dir, struct error *err)
{
    int log = open_log(dir);
    if (log < 0) {
        error_set(err, errno, "write to `%s` in it", log_name);
        return error_todo(err, "no link is followed: remove what has that name");
    }
    close(log);
    return 0;
}

static int open_directory(const struct periodic *periodic, char path[PATH_MAX], struct error *err)
{
    char name[PATH_MAX];
    folder_name(name, periodic->dir);
    error_object(err, "directory `%.100s`", name);
    bool is_new = mkdir(name, 0700) == 0;
    if (!is_new && errno != EEXIST)
        return error_set(err, errno, "make it");
    int dir = folder_open(name, err);
    if (dir < 0)
        return -1;
    int result = check_private(dir, is_new, name, err);
    if (result == 0 && is_new && folder_sync(dir, "..") < 0)
        result = error_set(err, errno, "bring its name to the disk");
    if (result == 0)
        result = check_log(dir, err);
    if (result == 0 && !realpath(name, path))
        result = error_set(err, errno, "find its whole name");
    if (result == 0)
        return dir;
    close(dir);
    return -1;
}

int periodic_check(const struct periodic *periodic, struct error *err)
{
    char path[PATH_MAX];
    int dir = periodic->every ? open_directory(periodic, path, err) : -1;
    if (dir >= 0)
        close(dir);
    return periodic->every && dir < 0 ? -1 : 0;
}

static int open_all(const struct periodic *periodic, pid_t pid, char path[PATH_MAX], int *pidfd,
                    struct error *err)
{
    int dir = open_directory(periodic, path, err);
    if (dir < 0)
        return -1;
    *pidfd = (int)syscall(SYS_pidfd_open, pid, 0U);
    if (*pidfd >= 0)
        return dir;
    close(dir);
    return error_set(err, errno, "watch process %d", (int)pid);
}

/* Who makes the copies is in another folder than we, and finds by these what we have found. */
static void make_absolute(const char *here)
{
    static const char *const names[] = {"SHADOWCL_CRIU", "SHADOWCL_RUNTIME_DIR", "TMPDIR"};
    char path[2 * PATH_MAX];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);
        if (!value || !*value || *value == '/')
            continue;
        snprintf(path, sizeof path, "%s/%s", here, value);
        setenv(names[i], path, 1);
    }
}

int periodic_start(const struct periodic *periodic, pid_t pid, struct error *err)
{
    char path[PATH_MAX], here[PATH_MAX];
    int pidfd = -1;
    if (!periodic->every)
        return 0;
    int dir = open_all(periodic, pid, path, &pidfd, err);
    if (dir < 0)
        return -1;
    int kept[2] = {dir, pidfd};
    if (!getcwd(here, sizeof here))
        here[0] = 0;
    int result = apart_fork(kept, 2, false), reason = errno;
    if (result == 0) {
        make_absolute(here);
        umask(077); /* what is made beside the copies is for nobody else */
        watch(periodic, path, kept[0], kept[1], pid);
    }
    close(dir);
    close(pidfd);
    return result < 0 ? error_set(err, reason, "start the process that makes the copies") : 0;
}
