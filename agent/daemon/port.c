/* SPDX-License-Identifier: Apache-2.0 */
/* A character device with the host at its other end: see port.h. */
#include "agent/daemon/port.h"

#include "agent/daemon/agent.h"
#include "agent/daemon/logbook.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

enum { RETRY_MS = 500 };

struct port {
    struct agent *agent;
    const char *path;
    int fd; /* kept open: QEMU tells its user each time a port is opened or closed */
    bool is_terminal;
    struct channel *channel; /* NULL while nobody is there */
    uv_timer_t retry;
    char said[384]; /* the reason that was logged last */
};

static void try_again_later(struct port *port);

static void close_node(struct port *port)
{
    if (port->fd >= 0)
        close(port->fd);
    port->fd = -1;
}

static void say(struct port *port, const struct error *err)
{
    if (!strcmp(port->said, err->reason))
        return;
    memcpy(port->said, err->reason, sizeof port->said);
    logbook_error("port", err);
}

/* Bytes as they are: no echo, no lines, no control characters. */
static void make_raw(int fd)
{
    struct termios mode;
    if (tcgetattr(fd, &mode) < 0)
        return;
    cfmakeraw(&mode);
    mode.c_cflag |= CLOCAL; /* no carrier is no end */
    tcsetattr(fd, TCSANOW, &mode);
}

static int open_node(struct port *port, struct error *err)
{
    struct stat status;
    error_object(err, "port `%s`", port->path);
    port->fd = open(port->path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (port->fd < 0) {
        error_todo(err, "it is tried again twice a second; name another with --port");
        return error_set(err, errno, "can't be opened");
    }
    if (fstat(port->fd, &status) < 0 || !S_ISCHR(status.st_mode)) {
        close_node(port);
        error_todo(err, "name a character device with --port, or a socket with --socket");
        return error_set(err, 0, "it is no character device");
    }
    port->is_terminal = isatty(port->fd);
    if (port->is_terminal)
        make_raw(port->fd);
    return 0;
}

/* Is what we have open still what has the name? A device that was taken out and put in again is
 * another one. */
static bool is_current(const struct port *port)
{
    struct stat mine, named;
    return fstat(port->fd, &mine) == 0 && stat(port->path, &named) == 0 &&
           mine.st_ino == named.st_ino && mine.st_dev == named.st_dev &&
           mine.st_rdev == named.st_rdev;
}

/* A terminal that was hung up stays so for whoever has it open; other devices just have nobody at
 * the other end for now. */
static void on_end(void *data, const struct error *err)
{
    struct port *port = data;
    port->channel = NULL;
    if (err->reason[0])
        say(port, err);
    else
        port->said[0] = 0;
    if (err->reason[0] || port->is_terminal)
        close_node(port);
    try_again_later(port);
}

static int start_talking(struct port *port, struct error *err)
{
    if (port->fd >= 0 && !is_current(port))
        close_node(port);
    if (port->fd < 0 && open_node(port, err) < 0)
        return -1;
    int fd = fcntl(port->fd, F_DUPFD_CLOEXEC, 3);
    if (fd < 0)
        return error_set(err, errno, "can't be used");
    return channel_open(port->agent, fd, port->path, on_end, port, &port->channel, err);
}

static void try_now(uv_timer_t *timer)
{
    struct port *port = timer->data;
    struct error err = {0};
    if (start_talking(port, &err) < 0) {
        say(port, &err);
        try_again_later(port);
    }
}

static void try_again_later(struct port *port)
{
    uv_timer_start(&port->retry, try_now, RETRY_MS, 0);
}

struct port *port_create(struct agent *agent, const char *path)
{
    struct port *port = calloc(1, sizeof *port);
    if (!port)
        return NULL;
    port->agent = agent;
    port->path = path;
    port->fd = -1;
    uv_timer_init(agent->loop, &port->retry);
    port->retry.data = port;
    try_now(&port->retry);
    return port;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void port_destroy(struct port *port)
{
    if (!port)
        return;
    if (port->channel)
        channel_close(port->channel);
    close_node(port);
    uv_close((uv_handle_t *)&port->retry, on_closed);
}
