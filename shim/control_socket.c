/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket: see control_socket.h. */
#include "shim/control_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "shim/config.h"

static char name[64]; /* of the socket, in `directory` */
static char directory[4096];
static bool is_trusted; /* the directory */
static pid_t owner;     /* the process that made it */

/* Opens a directory that nobody else can have prepared for us; -1 with err set. */
static int open_directory(const char *path, struct error *err)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    error_object(err, "runtime directory `%s`", path);
    if (fd < 0)
        return error_set(err, errno, "open it");
    if (fstat(fd, &status) != 0)
        error_set(err, errno, "look at it");
    else if (status.st_uid != 0 && status.st_uid != geteuid())
        error_set(err, 0, "it belongs to uid %u, not to this user or root", status.st_uid);
    else if ((status.st_mode & S_IWOTH) && !(status.st_mode & S_ISVTX))
        error_set(err, 0, "everybody may write to it and it has no sticky bit");
    else
        return fd;
    close(fd);
    return -1;
}

static int open_or_make(const char *path, mode_t mode, struct error *err)
{
    if (mkdir(path, mode) == 0 && (mode & S_ISVTX) && chmod(path, mode) != 0)
        return error_set(err, errno, "make `%s` usable for all users", path);
    return open_directory(path, err);
}

static int open_runtime_directory(struct error *err)
{
    const char *given = config_text("SHADOWCL_RUNTIME_DIR");
    const char *xdg = config_text("XDG_RUNTIME_DIR");
    if (given && *given) {
        snprintf(directory, sizeof directory, "%s", given);
        return open_or_make(directory, 0700, err);
    }
    snprintf(directory, sizeof directory, "/run/shadowcl");
    if (geteuid() == 0)
        return open_or_make(directory, 01777, err);
    if (access(directory, F_OK) == 0)
        return open_directory(directory, err);
    if (!xdg || !*xdg)
        return error_set(err, 0, "there is no /run/shadowcl, and XDG_RUNTIME_DIR is not set");
    snprintf(directory, sizeof directory, "%s/shadowcl", xdg);
    return open_or_make(directory, 0700, err);
}

/* A path that fits a socket address, however long the directory's own is. */
static void short_address(struct sockaddr_un *address, int directory_fd)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/%s", directory_fd,
             name);
}

static int listen_in(int directory_fd, struct error *err)
{
    uint64_t random = 0;
    struct sockaddr_un address;
    if (getrandom(&random, sizeof random, 0) != sizeof random)
        return error_set(err, errno, "get a random number");
    snprintf(name, sizeof name, "%d-%016llx.sock", getpid(), (unsigned long long)random);
    short_address(&address, directory_fd);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_set(err, errno, "make a socket");
    /* Before the bind, so that there is never a moment of a wider mode; the umask is not touched.
     */
    if (fchmod(fd, 0600) != 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(fd, SOMAXCONN) != 0) {
        error_set(err, errno, "listen on `%s`", name);
        close(fd);
        return -1;
    }
    owner = getpid();
    return fd;
}

static int open_preferred(const char *preferred)
{
    struct error ignored = {0};
    if (!preferred || !*preferred)
        return -1;
    snprintf(directory, sizeof directory, "%s", preferred);
    return open_directory(directory, &ignored);
}

int control_listen(const char *preferred, struct error *err)
{
    int directory_fd = open_preferred(preferred);
    if (directory_fd < 0)
        directory_fd = open_runtime_directory(err);
    is_trusted = directory_fd >= 0;
    if (directory_fd < 0)
        return -1;
    int fd = listen_in(directory_fd, err);
    close(directory_fd);
    return fd;
}

const char *control_directory(void)
{
    return is_trusted ? directory : NULL;
}

void control_unlink(void)
{
    char path[sizeof directory + sizeof name + 1];
    if (owner != getpid())
        return;
    snprintf(path, sizeof path, "%s/%s", directory, name);
    unlink(path);
    owner = 0;
}

int control_peer_allowed(int connection)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
        return 0;
    return peer.uid == 0 || peer.uid == geteuid();
}
