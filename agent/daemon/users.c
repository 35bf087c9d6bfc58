/* SPDX-License-Identifier: Apache-2.0 */
/* Who has a device's nodes open or mapped: see users.h. */
#include "agent/daemon/users.h"

#include "agent/answer.h"
#include "agent/process.h"
#include "shim/node_names.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* The kernel gives a page of such a file at a time, and looks its place up again for each piece. */
enum { MOST_USERS = 4096, MOST_PER_PROCESS = 64, PIECE = 4096 };

static const char *own_patterns(void)
{
    const char *set = getenv("SHADOWCL_DEVICE_NODES");
    return set && *set ? set : NULL;
}

static bool is_node(const struct pci *pci, const char *path)
{
    if (node_name_matches(path, own_patterns()))
        return true;
    for (size_t i = 0; i < pci->count; i++)
        if (pci_owns(&pci->list[i], path))
            return true;
    return false;
}

static bool is_known(const struct users *users, pid_t pid, const char *what)
{
    for (size_t i = users->count; i-- > 0 && users->list[i].pid == pid;)
        if (!strcmp(users->list[i].what, what))
            return true;
    return false;
}

static void add(struct users *users, pid_t pid, const char *path, const char *what)
{
    if (users->count >= MOST_USERS || is_known(users, pid, what))
        return;
    struct user *list = realloc(users->list, (users->count + 1) * sizeof *list);
    if (!list)
        return;
    users->list = list;
    struct user *user = &list[users->count++];
    *user = (struct user){.pid = pid};
    snprintf(user->path, sizeof user->path, "%s", path);
    snprintf(user->what, sizeof user->what, "%s", what);
}

/* The device's node behind a descriptor, where it is not called so: a node of one's own, or another
 * root. What a server that is away would have to be asked for is left alone. */
static const char *find_alias(const struct pci *pci, int folder, const char *name)
{
    struct statx status;
    if (statx(folder, name, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_TYPE, &status) < 0 ||
        !S_ISCHR(status.stx_mode))
        return NULL;
    return pci_find_number(pci, makedev(status.stx_rdev_major, status.stx_rdev_minor));
}

static void find_descriptors(struct users *users, const struct pci *pci, pid_t pid)
{
    char folder[64], target[512], what[600];
    snprintf(folder, sizeof folder, "/proc/%d/fd", (int)pid);
    DIR *stream = opendir(folder);
    size_t before = users->count;
    for (struct dirent *entry; stream && (entry = readdir(stream));) {
        ssize_t length = readlinkat(dirfd(stream), entry->d_name, target, sizeof target - 1);
        if (length <= 0 || target[0] != '/' || users->count - before >= MOST_PER_PROCESS)
            continue;
        target[length] = 0;
        const char *node =
            is_node(pci, target) ? target : find_alias(pci, dirfd(stream), entry->d_name);
        if (!node)
            continue;
        snprintf(what, sizeof what, "fd %.20s -> %s", entry->d_name, target);
        add(users, pid, node, what);
    }
    if (stream)
        closedir(stream);
}

static void find_mappings(struct users *users, const struct pci *pci, pid_t pid)
{
    char name[64], what[600], piece[PIECE];
    snprintf(name, sizeof name, "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(name, "re");
    if (maps)
        setvbuf(maps, piece, _IOFBF, sizeof piece);
    char *line = NULL, last[512] = "";
    size_t room = 0, before = users->count;
    while (maps && getline(&line, &room, maps) > 0 && users->count - before < MOST_PER_PROCESS) {
        char *path = strchr(line, '/');
        if (!path)
            continue;
        path[strcspn(path, "\n")] = 0;
        /* A library has many mappings in a row. */
        if (!strncmp(path, last, sizeof last - 1))
            continue;
        snprintf(last, sizeof last, "%s", path);
        if (!is_node(pci, path))
            continue;
        snprintf(what, sizeof what, "mapping of %.560s", path);
        add(users, pid, path, what);
    }
    free(line);
    if (maps)
        fclose(maps);
}

static void name_process(struct users *users, size_t from, pid_t pid)
{
    char command[64], library[64];
    if (from == users->count)
        return;
    process_command(pid, command, sizeof command);
    bool has_shim = process_opencl(pid, library, sizeof library) & PROCESS_SHIM;
    for (size_t i = from; i < users->count; i++) {
        memcpy(users->list[i].command, command, sizeof command);
        users->list[i].has_shim = has_shim;
    }
}

/* A thread of the kernel's own, which is many a process on a small machine, or one that has ended:
 * neither has a program, a descriptor or a mapping. */
static bool has_nothing(pid_t pid)
{
    char name[64], target[8];
    snprintf(name, sizeof name, "/proc/%d/exe", (int)pid);
    return readlink(name, target, sizeof target) < 0 && errno == ENOENT;
}

static bool is_in(pid_t pid, const pid_t *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (list[i] == pid)
            return true;
    return false;
}

void users_find(struct users *users, const struct pci *pci, const pid_t *proved, size_t num_proved)
{
    *users = (struct users){0};
    pid_t own = getpid();
    DIR *proc = opendir("/proc");
    for (struct dirent *entry; proc && (entry = readdir(proc));) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (!isdigit((unsigned char)entry->d_name[0]) || pid == own || has_nothing(pid))
            continue;
        size_t from = users->count;
        find_descriptors(users, pci, pid);
        if (own_patterns() || !is_in(pid, proved, num_proved))
            find_mappings(users, pci, pid);
        name_process(users, from, pid);
    }
    if (proc)
        closedir(proc);
}

void users_finish(struct users *users)
{
    free(users->list);
    *users = (struct users){0};
}

static bool is_of(const struct user *user, const struct pci *pci, const char *devices)
{
    for (size_t i = 0; i < pci->count; i++)
        if (pci_is_in(&pci->list[i], devices) && pci_owns(&pci->list[i], user->path))
            return true;
    return false;
}

/* What the administrator has named counts whatever the device: the bus knows nothing of it. */
static bool is_named(const struct user *user)
{
    return own_patterns() && !node_name_matches(user->path, NULL) &&
           node_name_matches(user->path, own_patterns());
}

void users_keep(struct users *users, const struct pci *pci, const char *devices)
{
    size_t kept = 0;
    for (size_t i = 0; devices[0] && i < users->count; i++)
        if (is_of(&users->list[i], pci, devices) || is_named(&users->list[i]))
            users->list[kept++] = users->list[i];
    if (devices[0])
        users->count = kept;
}

json_t *user_describe(const struct user *user)
{
    return json_pack("{s:i, s:o, s:b, s:o}", "pid", (int)user->pid, "command",
                     answer_string(user->command), "shim", (int)user->has_shim, "what",
                     answer_string(user->what));
}

json_t *users_describe(const struct users *users)
{
    json_t *array = json_array();
    for (size_t i = 0; i < users->count; i++)
        json_array_append_new(array, user_describe(&users->list[i]));
    return array;
}
