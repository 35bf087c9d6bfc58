/* SPDX-License-Identifier: Apache-2.0 */
/* Where a virtual machine's channels are: see address.h. */
#include "agent/vm/address.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { PATIENCE_MS = 300 };

static int start_connect(int fd, const struct sockaddr *address, socklen_t size)
{
    if (fd < 0 || connect(fd, address, size) == 0 || errno == EINPROGRESS)
        return fd;
    int errnum = errno;
    close(fd);
    errno = errnum;
    return -1;
}

static int dial_unix(const char *path, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return error_set(err, 0, "`%s` is longer than a socket's path may be", path);
    }
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    fd = start_connect(fd, (struct sockaddr *)&address, sizeof address);
    if (fd < 0)
        error_set(err, errno, "can't connect to `%s`", path);
    return fd;
}

/* Where a name has several addresses, one that does not answer at once is passed over: `localhost`
 * is often ::1 first, and a monitor at 127.0.0.1. */
static int dial_one(const struct addrinfo *one, bool has_more)
{
    int fd = socket(one->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    fd = start_connect(fd, one->ai_addr, one->ai_addrlen);
    if (fd < 0 || !has_more)
        return fd;
    poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, PATIENCE_MS);
    if (address_is_connected(fd) == 1)
        return fd;
    close(fd);
    return -1;
}

static int dial_tcp(const char *text, struct error *err)
{
    char host[256];
    const char *colon = strrchr(text, ':');
    size_t length = (size_t)(colon - text);
    bool is_bracketed = length >= 2 && text[0] == '[' && text[length - 1] == ']';
    snprintf(host, sizeof host, "%.*s", (int)(length - (is_bracketed ? 2 : 0)),
             text + is_bracketed);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    int status = getaddrinfo(host, colon + 1, &hints, &found);
    if (status != 0) {
        errno = EADDRNOTAVAIL;
        return error_set(err, 0, "`%s` is no address: %s", text, gai_strerror(status));
    }
    int fd = -1;
    for (struct addrinfo *one = found; one && fd < 0; one = one->ai_next)
        fd = dial_one(one, one->ai_next != NULL);
    int errnum = errno;
    freeaddrinfo(found);
    if (fd < 0)
        error_set(err, errnum, "can't connect to `%s`", text);
    errno = errnum;
    return fd;
}

static const char *skip(const char *text, const char *prefix)
{
    size_t length = strlen(prefix);
    return strncmp(text, prefix, length) ? text : text + length;
}

int address_dial(const char *address, struct error *err)
{
    const char *path = skip(address, "unix:"), *place = skip(address, "tcp:");
    bool is_path = path != address || strchr(place, '/') || !strchr(place, ':');
    return is_path ? dial_unix(path, err) : dial_tcp(place, err);
}

int address_is_connected(int fd)
{
    struct pollfd poller = {.fd = fd, .events = POLLOUT};
    int errnum = 0;
    socklen_t size = sizeof errnum;
    if (poll(&poller, 1, 0) <= 0)
        return 0;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &errnum, &size) == 0 && errnum == 0)
        return 1;
    errno = errnum;
    return -1;
}
