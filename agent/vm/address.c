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
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    fd = start_connect(fd, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    if (fd < 0)
        error_set(err, errno, "can't connect to `%s`", text);
    return fd;
}

int address_dial(const char *address, struct error *err)
{
    if (!strncmp(address, "unix:", 5))
        return dial_unix(address + 5, err);
    if (!strncmp(address, "tcp:", 4) && strchr(address + 4, ':'))
        return dial_tcp(address + 4, err);
    if (strchr(address, '/') || !strchr(address, ':'))
        return dial_unix(address, err);
    return dial_tcp(address, err);
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
