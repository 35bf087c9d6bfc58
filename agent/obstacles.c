/* SPDX-License-Identifier: Apache-2.0 */
/* What stands against a copy by CRIU: see obstacles.h. */
#include "agent/obstacles.h"

#include "agent/nodes.h"
#include "agent/process.h"
#include "agent/sockets.h"
#include "agent/text.h"

#include <ctype.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_SAID = 8, SETTLE_TRIES = 200, SETTLE_US = 10000 };

/* What the search knows. */
struct search {
    struct obstacles *obstacles;
    int what;
    const struct targets *at_work; /* borrowed, or NULL */
    struct unix_link *links;       /* owned */
    size_t num_links;
    struct tcp_link *connections; /* owned; of the process that is looked at */
    size_t num_connections;
    uint64_t *inodes; /* owned: the tree's sockets */
    size_t num_inodes;
};

__attribute__((format(printf, 3, 4))) static void add(struct search *search, pid_t pid,
                                                      const char *format, ...)
{
    char text[PATH_MAX + 256], command[64], *sentence;
    va_list args;
    process_command(pid, command, sizeof command);
    int length = snprintf(text, sizeof text, "process %d %s: ", (int)pid, command);
    va_start(args, format);
    vsnprintf(text + length, sizeof text - (size_t)length, format, args);
    va_end(args);
    struct obstacles *obstacles = search->obstacles;
    char **list = realloc(obstacles->list, (obstacles->count + 1) * sizeof *list);
    if (list)
        obstacles->list = list;
    sentence = malloc(strlen(text) + 1);
    if (!list || !sentence) {
        free(sentence);
        return;
    }
    text_clean(sentence, strlen(text) + 1, text);
    list[obstacles->count++] = sentence;
}

/* CRIU knows these, and terminals. */
static bool is_plain_device(const char *path)
{
    static const char *const plain[] = {"/dev/null",    "/dev/zero", "/dev/full", "/dev/random",
                                        "/dev/urandom", "/dev/tty",  "/dev/ptmx", "/dev/console"};
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (!strcmp(path, plain[i]))
            return true;
    return !strncmp(path, "/dev/pts/", 9) || !strncmp(path, "/dev/tty", 8) ||
           !strncmp(path, "/dev/shm/", 9);
}

static bool has_inode(const struct search *search, uint64_t inode)
{
    for (size_t i = 0; i < search->num_inodes; i++)
        if (search->inodes[i] == inode)
            return true;
    return false;
}

static void check_socket(struct search *search, pid_t pid, const char *number, uint64_t inode)
{
    for (size_t i = 0; i < search->num_links; i++)
        if (search->links[i].inode == inode && !has_inode(search, search->links[i].peer))
            add(search, pid,
                "descriptor %s is a Unix socket that is connected to a process outside of those "
                "that are copied",
                number);
    for (size_t i = 0; i < search->num_connections; i++)
        if (search->connections[i].inode == inode)
            add(search, pid, "descriptor %s is a TCP connection to port %u", number,
                search->connections[i].remote_port);
}

static bool is_device(pid_t pid, const char *number)
{
    char path[64 + NAME_MAX];
    struct stat status;
    snprintf(path, sizeof path, "/proc/%d/fd/%s", (int)pid, number);
    return stat(path, &status) == 0 && (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode));
}

static bool may_go(const struct search *search, pid_t pid, const char *number, const char *path)
{
    return search->at_work && nodes_may_go(search->at_work, pid, number, path);
}

/* The inode in "socket:[123]"; 0 for anything else. */
static uint64_t socket_inode(const char *target)
{
    uint64_t inode = 0;
    return sscanf(target, "socket:[%" SCNu64, &inode) == 1 ? inode : 0;
}

static void check_descriptor(pid_t pid, const char *number, const char *target, void *data)
{
    struct search *search = data;
    uint64_t inode = socket_inode(target);
    if (inode)
        check_socket(search, pid, number, inode);
    else if (!strcmp(target, "anon_inode:[io_uring]"))
        add(search, pid, "descriptor %s is an io_uring, which CRIU can't copy", number);
    else if ((search->what & OBSTACLES_DEVICES) && target[0] == '/' && !is_plain_device(target) &&
             is_device(pid, number) && !may_go(search, pid, number, target))
        add(search, pid, "descriptor %s is the device %s", number, target);
}

static void note_inode(pid_t pid, const char *number, const char *target, void *data)
{
    struct search *search = data;
    uint64_t inode = socket_inode(target);
    uint64_t *longer =
        inode ? realloc(search->inodes, (search->num_inodes + 1) * sizeof *longer) : NULL;
    if (!longer)
        return;
    search->inodes = longer;
    longer[search->num_inodes++] = inode;
}

static void check_mappings(struct search *search, pid_t pid)
{
    char path[64], *line = NULL, last[PATH_MAX] = "";
    size_t room = 0;
    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    FILE *file = fopen(path, "re");
    while (file && getline(&line, &room, file) > 0) {
        char *mapped = strstr(line, " /dev/");
        if (!mapped)
            continue;
        mapped++;
        mapped[strcspn(mapped, "\n")] = 0;
        if (is_plain_device(mapped) || !strncmp(mapped, "/dev/zero", 9) || !strcmp(mapped, last) ||
            may_go(search, pid, NULL, mapped))
            continue;
        snprintf(last, sizeof last, "%s", mapped);
        add(search, pid, "the device %s is mapped", mapped);
    }
    free(line);
    if (file)
        fclose(file);
}

/* Only of our own network namespace does the kernel tell the peers of Unix sockets. */
static bool shares_network(pid_t pid)
{
    char path[64];
    struct stat own, other;
    snprintf(path, sizeof path, "/proc/%d/ns/net", (int)pid);
    return stat("/proc/self/ns/net", &own) == 0 && stat(path, &other) == 0 &&
           own.st_ino == other.st_ino;
}

void obstacles_find(struct obstacles *obstacles, const struct tree *tree, int what,
                    const struct targets *at_work)
{
    struct search search = {.obstacles = obstacles, .what = what, .at_work = at_work};
    *obstacles = (struct obstacles){0};
    if ((what & OBSTACLES_UNIX) && shares_network(tree->pids[0]))
        search.num_links = sockets_list_unix(&search.links);
    for (size_t i = 0; i < tree->count; i++)
        process_each_descriptor(tree->pids[i], note_inode, &search);
    for (size_t i = 0; i < tree->count; i++) {
        if (what & OBSTACLES_TCP)
            search.num_connections = sockets_list_tcp(tree->pids[i], &search.connections);
        process_each_descriptor(tree->pids[i], check_descriptor, &search);
        if (what & OBSTACLES_DEVICES)
            check_mappings(&search, tree->pids[i]);
        free(search.connections);
        search.connections = NULL;
        search.num_connections = 0;
    }
    free(search.links);
    free(search.inodes);
}

void obstacles_finish(struct obstacles *obstacles)
{
    for (size_t i = 0; i < obstacles->count; i++)
        free(obstacles->list[i]);
    free(obstacles->list);
    *obstacles = (struct obstacles){0};
}

int obstacles_wanted(const struct criu *criu)
{
    int what = OBSTACLES_UNIX | OBSTACLES_TCP;
    if (criu_has_option(criu, "--ext-unix-sk"))
        what &= ~OBSTACLES_UNIX;
    if (criu_has_option(criu, "--tcp-established") || criu_has_option(criu, "--tcp-close"))
        what &= ~OBSTACLES_TCP;
    return what;
}

void obstacles_find_settled(struct obstacles *obstacles, const struct tree *tree, int what,
                            const struct targets *at_work)
{
    obstacles_find(obstacles, tree, what, at_work);
    for (int i = 0; i < SETTLE_TRIES && obstacles->count; i++) {
        usleep(SETTLE_US);
        obstacles_finish(obstacles);
        obstacles_find(obstacles, tree, what, at_work);
    }
}

int obstacles_name(const struct obstacles *obstacles, size_t index, struct error *err)
{
    error_object(err, "%s", "what can't be copied");
    error_set(err, 0, "%s", obstacles->list[index]);
    return error_todo(err, "only the program can close it; for sockets, CRIU has options that may "
                           "be given behind `--` (--tcp-established, --tcp-close, --ext-unix-sk)");
}

int obstacles_refuse(const struct obstacles *obstacles, struct error *err)
{
    if (!obstacles->count)
        return 0;
    for (size_t i = 1; i < obstacles->count && i < MAX_SAID; i++)
        fprintf(stderr, "shadowcl checkpoint: also %s\n", obstacles->list[i]);
    obstacles_name(obstacles, 0, err);
    return error_set(err, 0, "%s%s", obstacles->list[0], obstacles->count > 1 ? " (and more)" : "");
}
