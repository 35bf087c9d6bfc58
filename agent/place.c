/* SPDX-License-Identifier: Apache-2.0 */
/* Where a process listens: see place.h. */
#include "agent/place.h"

#include "agent/process.h"
#include "agent/runtime_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { AS_DIRECTORY = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

/* `unknown`: what is taken for true where one of them can't be looked at. */
static bool is_same(pid_t pid, const char *file, const char *other, bool unknown)
{
    char path[64];
    struct stat one, two;
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
    if (stat(path, &one) < 0 || stat(other, &two) < 0)
        return unknown;
    return one.st_dev == two.st_dev && one.st_ino == two.st_ino;
}

bool place_is_apart(pid_t pid)
{
    return !is_same(pid, "root", "/", true) || !is_same(pid, "ns/mnt", "/proc/self/ns/mnt", true);
}

bool place_is_contained(pid_t pid)
{
    bool is_outside = is_same(pid, "root", "/proc/1/root", false) &&
                      is_same(pid, "ns/mnt", "/proc/1/ns/mnt", false);
    return place_is_apart(pid) && !is_outside;
}

/* As it is called there, from its root: no link there leads out of it. (Before Linux 5.6 one on the
 * way does; who listens there is asked for anyway.) */
static int open_beneath(pid_t pid, const char *there, char path[PATH_MAX])
{
    const struct open_how how = {.flags = (uint64_t)AS_DIRECTORY, .resolve = RESOLVE_IN_ROOT};
    int length = snprintf(path, PATH_MAX, "/proc/%d/root", (int)pid);
    int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return -1;
    int fd = (int)syscall(SYS_openat2, root, there, &how, sizeof how);
    int reason = errno;
    close(root);
    bool fits =
        snprintf(path + length, (size_t)(PATH_MAX - length), "%s", there) < PATH_MAX - length;
    if (fd < 0 && reason == ENOSYS && fits)
        return open(path, AS_DIRECTORY);
    errno = reason;
    return fd;
}

static int open_one(pid_t pid, const char *there, char path[PATH_MAX])
{
    if (there[0] != '/') {
        errno = ENOENT;
        return -1;
    }
    if (place_is_apart(pid))
        return open_beneath(pid, there, path);
    snprintf(path, PATH_MAX, "%s", there);
    return open(path, AS_DIRECTORY);
}

/* In the order in which the library chooses (shim/control_socket.c). */
static int open_any(pid_t pid, char path[PATH_MAX])
{
    char there[PATH_MAX], user[PATH_MAX - 16];
    int fd = -1;
    errno = ENOENT;
    if (process_variable(pid, "SHADOWCL_RUNTIME_DIR", there, sizeof there) < 0)
        return -1;
    if (there[0])
        return open_one(pid, there, path);
    fd = open_one(pid, "/run/shadowcl", path);
    if (fd >= 0 || process_variable(pid, "XDG_RUNTIME_DIR", user, sizeof user) < 1)
        return fd;
    snprintf(there, sizeof there, "%s/shadowcl", user);
    return open_one(pid, there, path);
}

/* Whose the directory may be, beside root's and ours. */
static bool may_own(pid_t pid, uid_t owner)
{
    uid_t user, root;
    bool is_its = process_owner(pid, &user) == 0 && user == owner;
    bool is_root = process_root(pid, &root) == 0 && root == owner;
    return geteuid() == 0 ? is_its || is_root : is_its && is_root;
}

int place_open(pid_t pid, char path[PATH_MAX], struct error *err)
{
    struct stat status;
    int fd = open_any(pid, path);
    if (fd < 0) {
        errno = ENOENT;
        return -1;
    }
    if (fstat(fd, &status) == 0 &&
        runtime_dir_check(&status, may_own(pid, status.st_uid), err) == 0)
        return fd;
    close(fd);
    error_object(err, "runtime directory `%s` of process %d", path, (int)pid);
    errno = EPERM;
    return -1;
}
