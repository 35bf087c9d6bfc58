/* SPDX-License-Identifier: Apache-2.0 */
/* A Unix socket for hosts and tests: see listener.h. */
#include "agent/daemon/listener.h"

#include "agent/daemon/agent.h"
#include "agent/daemon/logbook.h"
#include "agent/daemon/reply.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 16, PAUSE_MS = 200 };

struct listener {
    struct agent *agent;
    const char *path;
    int fd;
    uv_poll_t poll;
    uv_timer_t pause; /* while descriptors are short */
    int closing;      /* handles that are still closing */
};

static void on_ready(uv_poll_t *poll, int status, int events);

static void on_client_end(void *data, const struct error *err)
{
    if (err->reason[0])
        logbook_error("socket", err);
}

/* Said without a conversation: whoever is refused gets no more than this line. */
static void refuse(int fd, const char *class, const struct error *err)
{
    json_t *reply = reply_error(class, err, NULL);
    char *text = json_dumps(reply, JSON_COMPACT);
    if (text && send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
        send(fd, "\n", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    free(text);
    json_decref(reply);
    logbook_error("socket", err);
    close(fd);
}

static void take_peer(struct listener *listener, int fd)
{
    struct ucred peer = {0};
    socklen_t size = sizeof peer;
    struct error err = {0};
    struct channel *channel;
    char name[96];
    error_object(&err, "connection");
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 ||
        (peer.uid != 0 && peer.uid != geteuid())) {
        error_set(&err, 0, "user %u may not speak to this agent", (unsigned)peer.uid);
        error_todo(&err, "connect as root or as the agent's own user");
        refuse(fd, "Denied", &err);
        return;
    }
    if (listener->agent->channels.count >= CHANNELS_MOST) {
        error_set(&err, 0, "there are %d connections already", (int)CHANNELS_MOST);
        error_todo(&err, "close others first");
        refuse(fd, REPLY_BUSY, &err);
        return;
    }
    snprintf(name, sizeof name, "socket, process %d", (int)peer.pid);
    if (channel_open(listener->agent, fd, name, on_client_end, NULL, &channel, &err) < 0)
        logbook_error("socket", &err);
}

static void on_pause_end(uv_timer_t *timer)
{
    struct listener *listener = timer->data;
    uv_poll_start(&listener->poll, UV_READABLE, on_ready);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct listener *listener = poll->data;
    int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
        take_peer(listener, fd);
    } else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
        /* Descriptors or memory are used up: not in a busy loop. */
        uv_poll_stop(poll);
        uv_timer_start(&listener->pause, on_pause_end, PAUSE_MS, 0);
    }
}

static bool somebody_listens(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool listens =
        fd >= 0 &&
        (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 || errno == EAGAIN);
    if (fd >= 0)
        close(fd);
    return listens;
}

static int remove_stale(const struct sockaddr_un *address, struct error *err)
{
    struct stat status;
    if (lstat(address->sun_path, &status) < 0)
        return 0;
    error_todo(err, "name another with --socket, or end what uses it");
    if (!S_ISSOCK(status.st_mode))
        return error_set(err, 0, "it is there and no socket");
    if (somebody_listens(address))
        return error_set(err, 0, "another program listens on it");
    return unlink(address->sun_path) < 0 ? error_set(err, errno, "can't be replaced") : 0;
}

/* The mode is set before the name is there: never a moment of a wider one. */
static int bind_socket(const char *path, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    error_object(err, "socket `%s`", path);
    if (snprintf(address.sun_path, sizeof address.sun_path, "%s", path) >=
        (int)sizeof address.sun_path) {
        error_todo(err, "choose a shorter one with --socket");
        return error_set(err, 0, "its path is longer than %zu bytes", sizeof address.sun_path - 1);
    }
    if (remove_stale(&address, err) < 0)
        return -1;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && fchmod(fd, 0600) == 0 &&
        bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    error_set(err, errno, "can't be made");
    error_todo(err, "make its directory, writable for this user, or name another with --socket");
    if (fd >= 0)
        close(fd);
    return -1;
}

int listener_open(struct listener **out, struct agent *agent, const char *path, struct error *err)
{
    struct listener *listener = calloc(1, sizeof *listener);
    if (!listener)
        return error_set(err, ENOMEM, "can't listen on `%s`", path);
    listener->agent = agent;
    listener->path = path;
    listener->fd = bind_socket(path, err);
    if (listener->fd < 0) {
        free(listener);
        return -1;
    }
    uv_poll_init(agent->loop, &listener->poll, listener->fd);
    uv_timer_init(agent->loop, &listener->pause);
    listener->poll.data = listener->pause.data = listener;
    uv_poll_start(&listener->poll, UV_READABLE, on_ready);
    *out = listener;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct listener *listener = handle->data;
    if (--listener->closing > 0)
        return;
    close(listener->fd);
    free(listener);
}

void listener_close(struct listener *listener)
{
    if (!listener)
        return;
    unlink(listener->path);
    listener->closing = 2;
    uv_close((uv_handle_t *)&listener->poll, on_closed);
    uv_close((uv_handle_t *)&listener->pause, on_closed);
}
