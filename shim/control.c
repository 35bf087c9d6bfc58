/* SPDX-License-Identifier: Apache-2.0 */
/* The control thread: see control.h. It only accepts; each request has a short-lived thread of its
 * own, so that a status can be had during a suspend, and nobody waits for a silent peer. All our
 * threads have every signal blocked. */
#include "shim/control.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/cancel.h"
#include "shim/checkpoint.h"
#include "shim/control_answer.h"
#include "shim/control_socket.h"
#include "shim/log.h"
#include "shim/thread.h"
#include "shim/trim.h"
#include "shim/wake.h"

#define PATIENCE_MS 2000
#define ANEW_MS 1000
#define LARGEST_REQUEST 65536

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t left = PTHREAD_COND_INITIALIZER;
static bool running;    /* guarded by lock */
static bool away;       /* guarded by lock: without a socket, waiting to be woken */
static unsigned served; /* guarded by lock: connections that are open */
static int listener = -1;
static ino_t listener_inode;

/* What a request's thread owns. */
struct job {
    int connection;
    struct job *next;
};

static struct job *jobs; /* guarded by lock */

static bool transfer(int fd, void *data, size_t size, bool write_it)
{
    char *at = data;
    while (size) {
        struct pollfd wait = {.fd = fd, .events = write_it ? POLLOUT : POLLIN};
        if (poll(&wait, 1, PATIENCE_MS) <= 0)
            return false;
        ssize_t done = write_it ? send(fd, at, size, MSG_NOSIGNAL) : recv(fd, at, size, 0);
        if (done < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (done <= 0)
            return false;
        at += done;
        size -= (size_t)done;
    }
    return true;
}

static uint32_t read_little_endian(const unsigned char *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/* The descriptor that came with a message, -1: none. More than one is nothing that we ask for. */
static int take_descriptor(struct msghdr *message)
{
    int fd = -1;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t at = CMSG_LEN(0); at + sizeof fd <= part->cmsg_len; at += sizeof fd) {
            if (fd >= 0)
                close(fd);
            memcpy(&fd, (char *)part + at, sizeof fd);
        }
    }
    return fd < 0 && (message->msg_flags & MSG_CTRUNC) ? CONTROL_NO_ROOM : fd;
}

/* The first bytes of a request, and the file that may come with them. */
static bool read_head(int connection, unsigned char head[4], int *attached)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(4 * sizeof(int))];
    } control;
    struct iovec piece = {head, 4};
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    struct pollfd wait = {.fd = connection, .events = POLLIN};
    if (poll(&wait, 1, PATIENCE_MS) <= 0)
        return false;
    ssize_t got = recvmsg(connection, &message, MSG_CMSG_CLOEXEC);
    if (got < 0)
        return false;
    *attached = take_descriptor(&message);
    return got > 0 && transfer(connection, head + got, 4 - (size_t)got, false);
}

/* NULL when the peer sends nothing that could be a request. */
static Shadowcl__Control__Request *read_request(int connection, int *attached)
{
    unsigned char head[4];
    if (!read_head(connection, head, attached))
        return NULL;
    uint32_t size = read_little_endian(head);
    if (size > LARGEST_REQUEST) {
        log_warn("control: a request of %u bytes is refused", size);
        return NULL;
    }
    unsigned char *bytes = malloc(size + 1);
    Shadowcl__Control__Request *request = NULL;
    if (bytes && transfer(connection, bytes, size, false))
        request = shadowcl__control__request__unpack(NULL, size, bytes);
    free(bytes);
    return request;
}

static void send_answer(int connection, const Shadowcl__Control__Response *answer)
{
    size_t size = shadowcl__control__response__get_packed_size(answer);
    unsigned char *bytes = malloc(size + 4);
    if (!bytes)
        return;
    for (unsigned i = 0; i < 4; i++)
        bytes[i] = (unsigned char)(size >> 8 * i);
    shadowcl__control__response__pack(answer, bytes + 4);
    if (!transfer(connection, bytes, size + 4, true))
        log_warn("control: the peer did not take the answer");
    free(bytes);
}

static void begin_job(struct job *job)
{
    pthread_mutex_lock(&lock);
    job->next = jobs;
    jobs = job;
    served++;
    pthread_mutex_unlock(&lock);
}

static void end_job(struct job *job)
{
    pthread_mutex_lock(&lock);
    close(job->connection);
    for (struct job **at = &jobs; *at; at = &(*at)->next)
        if (*at == job) {
            *at = job->next;
            break;
        }
    served--;
    pthread_cond_broadcast(&left);
    pthread_mutex_unlock(&lock);
    free(job);
}

/* One connection, from request to answer. */
static void *serve(void *data)
{
    struct job *job = data;
    int attached = -1;
    Shadowcl__Control__Request *request = read_request(job->connection, &attached);
    Shadowcl__Control__Response *answer =
        request ? control_answer(request, job->connection, attached) : NULL;
    if (answer)
        send_answer(job->connection, answer);
    control_answer_free(answer);
    bool suspended = request && request->verb_case == SHADOWCL__CONTROL__REQUEST__VERB_SUSPEND &&
                     !request->suspend->leave && checkpoint_state() == STATE_SUSPENDED;
    if (request)
        shadowcl__control__request__free_unpacked(request, NULL);
    if (attached >= 0)
        close(attached);
    end_job(job);
    if (suspended)
        trim_memory(); /* nobody waits for that */
    return NULL;
}

static void accept_peer(int connection)
{
    struct job *job = NULL;
    if (!control_peer_allowed(connection))
        log_warn("control: a peer of another user is refused");
    else
        job = malloc(sizeof *job);
    if (!job) {
        close(connection);
        return;
    }
    job->connection = connection;
    begin_job(job);
    if (!thread_start(serve, job))
        end_job(job);
}

static bool is_away(void)
{
    pthread_mutex_lock(&lock);
    bool answer = away;
    pthread_mutex_unlock(&lock);
    return answer;
}

/* A program may close what it does not know; the number is somebody else's then. */
static bool is_ours(int fd)
{
    struct stat status;
    return fd >= 0 && fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode) &&
           status.st_ino == listener_inode;
}

static void set_listener(int fd)
{
    struct stat status;
    listener = fd;
    listener_inode = fd >= 0 && fstat(fd, &status) == 0 ? status.st_ino : 0;
}

static void close_listener(void)
{
    control_unlink();
    if (is_ours(listener))
        close(listener);
    set_listener(-1);
    pthread_cond_broadcast(&left);
}

/* Another one, in place of one that the program has closed. */
static void listen_anew(void)
{
    struct error err = {0};
    pthread_mutex_lock(&lock);
    if (!away) {
        log_warn("the program has closed the socket at which this process is spoken to");
        control_unlink();
        set_listener(control_listen(NULL, &err));
        if (listener < 0)
            log_error("it can't be spoken to: %s: %s", err.object, err.reason);
    }
    bool listens = listener >= 0 || away;
    pthread_mutex_unlock(&lock);
    if (!listens)
        poll(NULL, 0, ANEW_MS);
}

/* What a message at the pipe asks for, where nobody waits for an answer. */
static void *resume_unasked(void *data)
{
    struct wake_call *call = data;
    struct report report = {0};
    struct error err = {0};
    struct resume_wish wish = {.device = call->device};
    if (checkpoint_resume(&wish, &report, &err) != 0)
        log_error("it stays suspended: %s: %s", err.object, err.reason);
    report_finish(&report);
    free(call);
    return NULL;
}

/* Without a socket, until there is one again. The lock is not held while waiting. */
static void stay_away(void)
{
    for (;;) {
        struct error err = {0};
        struct wake_call *call = malloc(sizeof *call);
        if (!call) {
            poll(NULL, 0, 100);
            continue;
        }
        wake_wait(call);
        int fd = control_listen(call->directory, &err);
        if (fd < 0)
            log_error("it can't be spoken to: %s: %s", err.object, err.reason);
        bool resumes = call->resume && control_goes_on() && thread_start(resume_unasked, call);
        if (!resumes)
            free(call);
        if (fd < 0) {
            poll(NULL, 0, 100);
            continue;
        }
        pthread_mutex_lock(&lock);
        set_listener(fd);
        away = false;
        wake_finish();
        log_brief(false);
        pthread_mutex_unlock(&lock);
        prctl(PR_SET_NAME, WAKE_THREAD, 0, 0, 0);
        return;
    }
}

static void *run(void *unused)
{
    prctl(PR_SET_NAME, WAKE_THREAD, 0, 0, 0);
    for (;;) {
        if (!is_away() && !is_ours(listener))
            listen_anew();
        struct pollfd wait = {.fd = listener, .events = POLLIN};
        /* (Without one, only to look again.) */
        if (poll(&wait, 1, listener < 0 ? 0 : -1) < 0 && errno != EINTR)
            return NULL;
        if (is_away()) {
            pthread_mutex_lock(&lock);
            wake_stand_by();
            close_listener();
            pthread_mutex_unlock(&lock);
            stay_away();
            continue;
        }
        if (!is_ours(listener))
            continue;
        int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (connection >= 0)
            accept_peer(connection);
        else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            poll(NULL, 0, 100); /* the program has used everything up: not in a busy loop */
    }
}

void control_start(void)
{
    struct error err = {0};
    NOT_CANCELLED();
    pthread_mutex_lock(&lock);
    if (!running) {
        running = true; /* also when it fails: it is said once */
        set_listener(control_listen(NULL, &err));
        if (listener < 0)
            log_error("this process can't be suspended: %s: %s", err.object, err.reason);
        else if (!thread_start(run, NULL))
            log_error("this process can't be suspended: its control thread does not start");
    }
    pthread_mutex_unlock(&lock);
}

/* CRIU would copy a connection that nobody has the other end of, and not know how to make it again.
 * One is that by which it is asked for; its peer waits until it is closed. */
static void wait_for_others(void)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_MS / 1000;
    while (served > 1 && pthread_cond_timedwait(&left, &lock, &until) == 0)
        continue;
}

int control_leave(struct error *err)
{
    pthread_mutex_lock(&lock);
    int result = is_ours(listener) ? wake_prepare(err)
                                   : error_set(err, 0, "the program has closed its socket");
    if (result == 0) {
        log_brief(true);
        away = true;
        shutdown(listener, SHUT_RDWR); /* its thread wakes up */
        while (listener >= 0)
            pthread_cond_wait(&left, &lock);
        wait_for_others();
    }
    pthread_mutex_unlock(&lock);
    return result;
}

/* The listening socket is the parent's: a child answers on one of its own. Its connections are,
 * too: their peers wait until nobody has them open. */
void control_forked(void)
{
    pthread_mutex_init(&lock, NULL);
    served = 0;
    for (struct job *job = jobs; job; job = job->next)
        close(job->connection);
    jobs = NULL;
    pthread_cond_init(&left, NULL);
    wake_forked();
    log_brief(false);
    away = false;
    if (is_ours(listener))
        close(listener);
    set_listener(-1);
    running = false;
}

__attribute__((destructor)) static void leave(void)
{
    control_unlink();
}
