/* SPDX-License-Identifier: Apache-2.0 */
/* Where a process listens: see place.h. */
#include "agent/place.h"

#include "agent/process.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static bool is_same(const char *path, const char *other)
{
    struct stat one, two;
    return stat(path, &one) < 0 || stat(other, &two) < 0 ||
           (one.st_dev == two.st_dev && one.st_ino == two.st_ino);
}

bool place_is_apart(pid_t pid)
{
    char root[64], mounts[64];
    snprintf(root, sizeof root, "/proc/%d/root", (int)pid);
    snprintf(mounts, sizeof mounts, "/proc/%d/ns/mnt", (int)pid);
    return !is_same(root, "/") || !is_same(mounts, "/proc/self/ns/mnt");
}

/* As it is called there; is it a directory, seen from here? */
static bool try(pid_t pid, const char *there, char path[PATH_MAX])
{
    struct stat status;
    int length = place_is_apart(pid) ? snprintf(path, PATH_MAX, "/proc/%d/root%s", (int)pid, there)
                                     : snprintf(path, PATH_MAX, "%s", there);
    return length < PATH_MAX && there[0] == '/' && stat(path, &status) == 0 &&
           S_ISDIR(status.st_mode);
}

/* In the order in which the library chooses (shim/control_socket.c). */
int place_find(pid_t pid, char path[PATH_MAX])
{
    char there[PATH_MAX], user[PATH_MAX - 16];
    if (process_variable(pid, "SHADOWCL_RUNTIME_DIR", there, sizeof there) < 0)
        return -1;
    if (there[0])
        return try(pid, there, path) ? 0 : -1;
    if (try(pid, "/run/shadowcl", path))
        return 0;
    if (process_variable(pid, "XDG_RUNTIME_DIR", user, sizeof user) < 1)
        return -1;
    snprintf(there, sizeof there, "%s/shadowcl", user);
    return try(pid, there, path) ? 0 : -1;
}
