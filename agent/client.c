/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to processes and their answers: one of each per connection, many connections at once.
 * Nothing that a process sends is trusted. */
#include "agent/client.h"

#include "agent/progress.h"
#include "agent/text.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_MESSAGE = 16 * 1024 * 1024, TICK_MS = 100, RECONNECT_MS = 10, CLOSE_SECONDS = 3 };

static volatile sig_atomic_t interrupted;

static void note_signal(int signal)
{
    interrupted = signal;
}

void exchange_catch_signals(void)
{
    struct sigaction action = {.sa_handler = note_signal}; /* no SA_RESTART: poll returns */
    struct sigaction before;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler != SIG_IGN) /* not by nohup */
        sigaction(SIGHUP, &action, NULL);
}

bool exchange_was_interrupted(void)
{
    return interrupted;
}

void exchange_forget_interruption(void)
{
    interrupted = 0;
}

const char *control_state_name(control_state state)
{
    static const char *const names[] = {"running", "draining", "capturing", "suspended",
                                        "rebuilding"};
    unsigned index = (unsigned)state;
    return index < sizeof names / sizeof *names ? names[index] : "unknown";
}

static void end(struct exchange *exchange, enum exchange_end how)
{
    if (exchange->fd >= 0)
        close(exchange->fd);
    exchange->fd = -1;
    exchange->end = how;
}

static void break_off(struct exchange *exchange, int errnum, const char *reason)
{
    error_object(&exchange->error, "process %d", (int)exchange->peer->pid);
    error_set(&exchange->error, errnum, "%s", reason);
    error_todo(&exchange->error, "see `shadowcl ps` and the program's own messages");
    end(exchange, EXCHANGE_BROKEN);
}

/* Connects, and makes sure that it is still the process we looked for. */
static void connect_to(struct exchange *exchange)
{
    struct ucred creds = {0};
    socklen_t size = sizeof creds;
    exchange->fd = peer_connect(exchange->peer);
    if (exchange->fd < 0) {
        exchange->is_deserted = errno == ECONNREFUSED;
        if (errno != EAGAIN)
            break_off(exchange, errno, "no connection");
        return;
    }
    if (getsockopt(exchange->fd, SOL_SOCKET, SO_PEERCRED, &creds, &size) < 0 ||
        creds.pid != exchange->peer->pid || creds.uid != exchange->peer->uid)
        break_off(exchange, 0, "another process took over its socket");
}

/* The beginning of a message, and with its first byte the descriptor. */
static ssize_t send_first(const struct exchange *exchange, const uint8_t *message, size_t size)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec part = {.iov_base = (void *)message, .iov_len = size};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    if (exchange->descriptor) {
        control.head = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.head), exchange->descriptor, sizeof(int));
        header.msg_control = &control;
        header.msg_controllen = sizeof control;
    }
    return sendmsg(exchange->fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void send_some(struct exchange *exchange, const uint8_t *message, size_t size)
{
    ssize_t count = exchange->sent ? send(exchange->fd, message + exchange->sent,
                                          size - exchange->sent, MSG_NOSIGNAL | MSG_DONTWAIT)
                                   : send_first(exchange, message, size);
    if (count >= 0)
        exchange->sent += (size_t)count;
    else if (errno == EPIPE || errno == ECONNRESET)
        exchange->sent = size; /* it may have answered before it closed: read that */
    else if (errno != EAGAIN && errno != EINTR)
        break_off(exchange, errno, "the request could not be sent");
}

/* Too few bytes: says where the answer stopped. */
static void closed_early(struct exchange *exchange, int errnum)
{
    break_off(exchange, errnum, "");
    if (exchange->header_read < sizeof exchange->header)
        error_set(&exchange->error, errnum, "it closed the connection before it answered");
    else
        error_set(&exchange->error, errnum,
                  "it closed the connection in the middle of its answer (%zu of %zu bytes)",
                  exchange->body_read, exchange->body_size);
}

static void unpack(struct exchange *exchange)
{
    control_response *response =
        shadowcl__control__response__unpack(NULL, exchange->body_size, exchange->body);
    if (!response) {
        break_off(exchange, 0, "its answer is not one that shadowcl understands");
    } else if (response->version == 0) {
        shadowcl__control__response__free_unpacked(response, NULL);
        break_off(exchange, 0, "its answer has no version: it does not speak shadowcl's protocol");
    } else {
        exchange->response = response;
        exchange->until = text_clock() + CLOSE_SECONDS;
        if (!exchange->until_closed)
            end(exchange, EXCHANGE_ANSWERED);
    }
}

/* A child may have been forked with the connection open. */
static void wait_no_longer(struct exchange *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (list[i].end == EXCHANGE_PENDING && list[i].response && text_clock() >= list[i].until)
            end(&list[i], EXCHANGE_ANSWERED);
}

/* After the answer. */
static void wait_for_close(struct exchange *exchange)
{
    char unused[64];
    ssize_t count = recv(exchange->fd, unused, sizeof unused, MSG_DONTWAIT);
    if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR))
        end(exchange, EXCHANGE_ANSWERED);
}

static void start_body(struct exchange *exchange)
{
    const uint8_t *bytes = exchange->header;
    exchange->body_size =
        (size_t)bytes[0] | (size_t)bytes[1] << 8 | (size_t)bytes[2] << 16 | (size_t)bytes[3] << 24;
    if (exchange->body_size > MAX_MESSAGE) {
        size_t size = exchange->body_size;
        break_off(exchange, 0, "");
        error_set(&exchange->error, 0, "its answer claims %zu bytes, more than the %d allowed",
                  size, (int)MAX_MESSAGE);
        return;
    }
    exchange->body = malloc(exchange->body_size + 1);
    if (!exchange->body)
        break_off(exchange, ENOMEM, "no room for its answer");
}

static void receive_some(struct exchange *exchange)
{
    bool in_header = exchange->header_read < sizeof exchange->header;
    uint8_t *to =
        in_header ? exchange->header + exchange->header_read : exchange->body + exchange->body_read;
    size_t room = in_header ? sizeof exchange->header - exchange->header_read
                            : exchange->body_size - exchange->body_read;
    ssize_t count = recv(exchange->fd, to, room, MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (count <= 0) {
        closed_early(exchange, count < 0 ? errno : 0);
        return;
    }
    if (in_header && (exchange->header_read += (size_t)count) == sizeof exchange->header)
        start_body(exchange);
    else if (!in_header)
        exchange->body_read += (size_t)count;
    if (exchange->body && exchange->body_read == exchange->body_size)
        unpack(exchange);
}

static size_t prepare_poll(struct exchange *list, size_t count, struct pollfd *polls,
                           size_t message_size, int *wait_ms)
{
    size_t pending = 0;
    for (size_t i = 0; i < count; i++) {
        if (list[i].end == EXCHANGE_PENDING && list[i].fd < 0)
            connect_to(&list[i]);
        if (list[i].end == EXCHANGE_PENDING && list[i].fd < 0)
            *wait_ms = RECONNECT_MS;
        bool sending = list[i].sent < message_size;
        polls[i] = (struct pollfd){.fd = list[i].fd, .events = sending ? POLLOUT : POLLIN};
        pending += list[i].end == EXCHANGE_PENDING;
    }
    return pending;
}

/* One round over all connections; the number that have not ended. */
static size_t step(struct exchange *list, size_t count, struct pollfd *polls,
                   const uint8_t *message, size_t size)
{
    int wait_ms = TICK_MS;
    size_t pending = prepare_poll(list, count, polls, size, &wait_ms);
    if (!pending || poll(polls, count, wait_ms) <= 0)
        return pending;
    for (size_t i = 0; i < count; i++) {
        if (list[i].end != EXCHANGE_PENDING || list[i].fd < 0 || !polls[i].revents)
            continue;
        if (list[i].response)
            wait_for_close(&list[i]);
        else if (list[i].sent < size)
            send_some(&list[i], message, size);
        else
            receive_some(&list[i]);
    }
    return pending;
}

static void give_up(struct exchange *list, size_t count, double timeout)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i].end != EXCHANGE_PENDING)
            continue;
        if (list[i].response) {
            end(&list[i], EXCHANGE_ANSWERED);
            continue;
        }
        error_object(&list[i].error, "process %d", (int)list[i].peer->pid);
        if (interrupted) {
            error_set(&list[i].error, 0,
                      "interrupted before its answer; it may go on with the "
                      "request all the same");
            error_todo(&list[i].error, "see how it ends with `shadowcl ps`");
        } else {
            error_set(&list[i].error, 0, "no answer within %g s; it may still be at work", timeout);
            error_todo(&list[i].error, "see its state with `shadowcl ps`; wait longer with "
                                       "--timeout");
        }
        end(&list[i], interrupted ? EXCHANGE_INTERRUPTED : EXCHANGE_TIMED_OUT);
    }
}

/* The message with its length in front; NULL without memory. */
static uint8_t *pack(const control_request *request, size_t *size)
{
    size_t length = shadowcl__control__request__get_packed_size(request);
    uint8_t *message = malloc(length + 4);
    if (!message)
        return NULL;
    for (int i = 0; i < 4; i++)
        message[i] = (uint8_t)(length >> (8 * i));
    shadowcl__control__request__pack(request, message + 4);
    *size = length + 4;
    return message;
}

void exchange_run(struct exchange *list, size_t count, const control_request *request,
                  double timeout, struct progress *progress)
{
    size_t size = 0;
    uint8_t *message = pack(request, &size);
    struct pollfd *polls = calloc(count + 1, sizeof *polls);
    double until = text_clock() + timeout;
    for (size_t i = 0; i < count; i++) {
        list[i].fd = -1;
        list[i].until_closed = request->verb_case == SHADOWCL__CONTROL__REQUEST__VERB_SUSPEND &&
                               request->suspend->leave;
        if (!message || !polls)
            break_off(&list[i], ENOMEM, "the request could not be made");
    }
    while (message && polls && step(list, count, polls, message, size) > 0) {
        wait_no_longer(list, count);
        if (text_clock() >= until || (interrupted && progress))
            break;
        if (progress)
            progress_tick(progress, list, count);
    }
    give_up(list, count, timeout);
    free(message);
    free(polls);
}

void exchange_finish(struct exchange *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i].response)
            shadowcl__control__response__free_unpacked(list[i].response, NULL);
        free(list[i].body);
    }
}
