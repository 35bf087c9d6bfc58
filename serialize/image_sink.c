/* SPDX-License-Identifier: Apache-2.0 */
/* Where an image goes: see image_sink.h. */
#include "serialize/image_sink.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "serialize/image_error.h"

/* What the cost of a byte is taken from. */
#define TIMED_BYTES (64 << 20)
#define SLICE_MS 100 /* between two looks whether anybody still wants the image */

int image_sink_init(struct image_sink *sink, int fd, struct error *err)
{
    struct stat status;
    *sink = (struct image_sink){
        .fd = fd, .stall = IMAGE_SINK_STALL, .buffer = malloc(IMAGE_SINK_BUFFER)};
    sink->has_reader = fstat(fd, &status) == 0 && !S_ISREG(status.st_mode);
    return sink->buffer ? 0 : image_fail(err, 0, ENOMEM, "a buffer");
}

void image_sink_finish(struct image_sink *sink)
{
    free(sink->buffer);
}

uint64_t image_sink_offset(const struct image_sink *sink)
{
    return sink->sent + sink->filled;
}

double image_sink_cost(const struct image_sink *sink)
{
    return sink->timed > 0 ? sink->time / sink->timed : 0;
}

/* A write to a pipe without a reader, or beyond the limit, signals the thread, and the program that
 * it is in would end of that. Held back here, the signal is taken from the thread afterwards; one
 * that was there before stays. */
struct held {
    sigset_t mask;
    sigset_t pending;
};

static const int write_signals[] = {SIGPIPE, SIGXFSZ};
#define COUNT_SIGNALS (sizeof write_signals / sizeof *write_signals)

static void hold_signals(struct held *held)
{
    sigset_t signals;
    sigemptyset(&signals);
    for (size_t i = 0; i < COUNT_SIGNALS; i++)
        sigaddset(&signals, write_signals[i]);
    pthread_sigmask(SIG_BLOCK, &signals, &held->mask);
    sigpending(&held->pending);
}

static void let_go_signals(const struct held *held)
{
    int before = errno;
    for (size_t i = 0; i < COUNT_SIGNALS; i++) {
        sigset_t one;
        sigemptyset(&one);
        sigaddset(&one, write_signals[i]);
        if (!sigismember(&held->pending, write_signals[i]))
            sigtimedwait(&one, NULL, &(struct timespec){0});
    }
    pthread_sigmask(SIG_SETMASK, &held->mask, NULL);
    errno = before;
}

static void skip(struct iovec **pieces, int *count, size_t size)
{
    while (*count && size >= (*pieces)->iov_len) {
        size -= (*pieces)->iov_len;
        (*pieces)++;
        (*count)--;
    }
    if (*count) {
        (*pieces)->iov_base = (uint8_t *)(*pieces)->iov_base + size;
        (*pieces)->iov_len -= size;
    }
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* Until the reader has room for a little. */
static int wait_for_reader(const struct image_sink *sink)
{
    double end = now() + sink->stall;
    struct pollfd wait = {.fd = sink->fd, .events = POLLOUT};
    for (;;) {
        int ready = poll(&wait, 1, SLICE_MS);
        if (ready > 0 || (ready < 0 && errno != EINTR))
            return ready > 0 ? 0 : -1;
        errno = sink->is_over && sink->is_over(sink->data) ? ECANCELED : ETIMEDOUT;
        if (errno == ECANCELED || now() > end)
            return -1;
    }
}

/* What a pipe takes without waiting once there is room at all. */
static ssize_t write_little(const struct image_sink *sink, const struct iovec *piece)
{
    return write(sink->fd, piece->iov_base, piece->iov_len < PIPE_BUF ? piece->iov_len : PIPE_BUF);
}

static int write_all(struct image_sink *sink, struct iovec *pieces, int count)
{
    skip(&pieces, &count, 0);
    while (count) {
        if (sink->has_reader && wait_for_reader(sink) != 0)
            return -1;
        ssize_t got =
            sink->has_reader ? write_little(sink, pieces) : writev(sink->fd, pieces, count);
        if (got < 0 && (errno == EINTR || (errno == EAGAIN && sink->has_reader)))
            continue;
        if (got < 0)
            return -1;
        sink->sent += (uint64_t)got;
        skip(&pieces, &count, (size_t)got);
    }
    return 0;
}

static int failed(const struct image_sink *sink, int errnum, struct error *err)
{
    if (errnum == ECANCELED)
        return image_fail(err, sink->sent, 0, "who asked for it has gone away");
    if (errnum != ETIMEDOUT || !sink->has_reader)
        return image_fail(err, sink->sent, errnum, "write");
    image_fail(err, sink->sent, 0, "its reader has taken nothing for %g s", sink->stall);
    return error_todo(err, "find out why the other end has stopped reading");
}

static void note_time(struct image_sink *sink, double time, uint64_t bytes)
{
    sink->time += time;
    sink->timed += (double)bytes;
    if (sink->timed < TIMED_BYTES)
        return;
    sink->time /= 2;
    sink->timed /= 2;
}

static int send_all(struct image_sink *sink, struct iovec *pieces, int count, struct error *err)
{
    struct held held;
    uint64_t before = sink->sent;
    double begin = now();
    hold_signals(&held);
    int ret = write_all(sink, pieces, count);
    int errnum = errno;
    if (ret < 0)
        let_go_signals(&held);
    else
        pthread_sigmask(SIG_SETMASK, &held.mask, NULL);
    sink->filled = 0;
    if (ret < 0)
        return failed(sink, errnum, err);
    note_time(sink, now() - begin, sink->sent - before);
    return 0;
}

int image_sink_flush(struct image_sink *sink, struct error *err)
{
    struct iovec all = {sink->buffer, sink->filled};
    return sink->filled ? send_all(sink, &all, 1, err) : 0;
}

int image_sink_write(struct image_sink *sink, const struct iovec *pieces, int count,
                     struct error *err)
{
    size_t size = 0;
    assert(count <= IMAGE_SINK_PIECES);
    for (int i = 0; i < count; i++)
        size += pieces[i].iov_len;
    if (size <= IMAGE_SINK_BUFFER - sink->filled) {
        for (int i = 0; i < count; i++) {
            memcpy(sink->buffer + sink->filled, pieces[i].iov_base, pieces[i].iov_len);
            sink->filled += pieces[i].iov_len;
        }
        return 0;
    }
    struct iovec all[IMAGE_SINK_PIECES + 1] = {{sink->buffer, sink->filled}};
    memcpy(all + 1, pieces, (size_t)count * sizeof *pieces);
    return send_all(sink, all, count + 1, err);
}

int image_sink_overwrite(struct image_sink *sink, uint64_t place, struct iovec *pieces, int count,
                         struct error *err)
{
    if (image_sink_flush(sink, err) < 0)
        return -1;
    skip(&pieces, &count, 0);
    while (count) {
        ssize_t got = pwritev(sink->fd, pieces, count, (off_t)place);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return image_fail(err, place, errno, "write");
        place += (uint64_t)got;
        skip(&pieces, &count, (size_t)got);
    }
    return 0;
}

int image_sink_put(struct image_sink *sink, const void *bytes, size_t size, struct error *err)
{
    struct iovec piece = {(void *)bytes, size};
    return image_sink_write(sink, &piece, 1, err);
}
