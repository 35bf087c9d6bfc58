/* SPDX-License-Identifier: Apache-2.0 */
/* A process that listens as one under shadowcl does, and answers as it is told:
 *     fake_peer SOCKET [VERB=BEHAVIOUR]... [map=FILE]...
 * VERB is status, suspend, resume, move, save or check; see `behaviours`. Prints "ready" when it
 * listens, then a line for each request. It ends with its standard input. */
#include "control.pb-c.h"

#include <fcntl.h>
#include <libgen.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

typedef Shadowcl__Control__Request control_request;
typedef Shadowcl__Control__Response control_response;

/* ok; refuse; never: the same, for good; close: no answer; half: part of one; garbage; oversized:
 * claims 1 GiB; empty: zero bytes; silent: nothing until the end; die: ends; exec: becomes another
 * program; die-half; slow: after a second; lost: does it, but does not say; odd: control
 * characters, bad UTF-8, NaN; warn: with warnings and residue; nowhere: of a check, that there is
 * no such device; many: with so many warnings that they fill megabytes. Where there is a file for
 * an image: old: knows nothing of it; lie: tells another size; full: no room. */
enum { MANY = 40000 };
enum { MAX_VERBS = 9 };
static const char *behaviour[MAX_VERBS] = {"ok", "ok", "ok", "ok", "ok", "ok", "ok", "ok", "ok"};
static const char *const verb_names[MAX_VERBS] = {"",     "",     "status", "suspend", "resume",
                                                  "move", "save", "check",  "prepare"};
static _Atomic int state;      /* Shadowcl__Control__State */
static _Atomic int image = -1; /* while suspended: the file with the contents */
static const char image_bytes[] = "what a process writes into the file that it is given";

static Shadowcl__Control__Device device = {
    .base = PROTOBUF_C_MESSAGE_INIT(&shadowcl__control__device__descriptor),
    .platform = (char *)"Fake Platform",
    .name = (char *)"fake-gpu",
    .index = 0};
static Shadowcl__Control__Device odd_device = {
    .base = PROTOBUF_C_MESSAGE_INIT(&shadowcl__control__device__descriptor),
    .platform = (char *)"\x1b[31mred\xff",
    .name = (char *)"line\nbreak\xc3",
    .index = 7};
static Shadowcl__Control__Count buffers = {
    .base = PROTOBUF_C_MESSAGE_INIT(&shadowcl__control__count__descriptor),
    .kind = (char *)"buffer",
    .count = 40};
static Shadowcl__Control__Count queues = {
    .base = PROTOBUF_C_MESSAGE_INIT(&shadowcl__control__count__descriptor),
    .kind = (char *)"queue",
    .count = 2};

static Shadowcl__Control__Failure fp64 = {
    .base = PROTOBUF_C_MESSAGE_INIT(&shadowcl__control__failure__descriptor),
    .object = (char *)"kernel `solve`",
    .reason = (char *)"the device has no fp64",
    .todo = (char *)"name another device"};
static Shadowcl__Control__Failure room = {
    .base = PROTOBUF_C_MESSAGE_INIT(&shadowcl__control__failure__descriptor),
    .object = (char *)"buffer 12",
    .reason = (char *)"its 12.4 MiB are more than the 8.0 MiB there",
    .todo = (char *)""};

static bool write_all(int fd, const void *bytes, size_t size)
{
    return send(fd, bytes, size, MSG_NOSIGNAL) == (ssize_t)size;
}

/* A file comes with the first byte. */
static bool read_header(int fd, uint8_t header[4], int *file)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {.iov_base = header, .iov_len = 4};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    *file = -1;
    if (recvmsg(fd, &message, MSG_WAITALL | MSG_CMSG_CLOEXEC) != 4)
        return false;
    struct cmsghdr *found = CMSG_FIRSTHDR(&message);
    if (found && found->cmsg_type == SCM_RIGHTS)
        memcpy(file, CMSG_DATA(found), sizeof *file);
    return true;
}

static control_request *read_request(int fd, int *file)
{
    uint8_t header[4], body[8192];
    if (!read_header(fd, header, file))
        return NULL;
    size_t size = header[0] | (size_t)header[1] << 8 | (size_t)header[2] << 16;
    if (header[3] || size > sizeof body || recv(fd, body, size, MSG_WAITALL) != (ssize_t)size)
        return NULL;
    return shadowcl__control__request__unpack(NULL, size, body);
}

static void send_response(int fd, const control_response *response, bool half)
{
    size_t size = shadowcl__control__response__get_packed_size(response);
    uint8_t *frame = malloc(size + 4);
    if (!frame)
        abort();
    for (int i = 0; i < 4; i++)
        frame[i] = (uint8_t)(size >> (8 * i));
    shadowcl__control__response__pack(response, frame + 4);
    write_all(fd, frame, half ? 4 + size / 2 : 4 + size);
    free(frame);
}

/* The wrong answers; true if that was it. */
static bool misbehave(int fd, const char *how)
{
    static const uint8_t garbage[] = {5, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff};
    static const uint8_t oversized[] = {0, 0, 0, 0x40};
    static const uint8_t empty[4];
    if (!strcmp(how, "garbage"))
        write_all(fd, garbage, sizeof garbage);
    else if (!strcmp(how, "oversized"))
        write_all(fd, oversized, sizeof oversized);
    else if (!strcmp(how, "empty"))
        write_all(fd, empty, sizeof empty);
    else if (!strcmp(how, "silent"))
        pause();
    else if (!strcmp(how, "exec"))
        execlp("sleep", "sleep", "600", (char *)NULL);
    else if (!strcmp(how, "die"))
        _exit(0);
    else if (strcmp(how, "close"))
        return false;
    return true;
}

/* What the verb does to the state, and what it may say against it. */
static void change(const control_request *request, const char *how, control_response *response,
                   Shadowcl__Control__Failure *failure)
{
    int needed = request->verb_case == SHADOWCL__CONTROL__REQUEST__VERB_RESUME
                     ? SHADOWCL__CONTROL__STATE__SUSPENDED
                     : SHADOWCL__CONTROL__STATE__RUNNING;
    if (!strcmp(how, "slow")) {
        state = SHADOWCL__CONTROL__STATE__DRAINING;
        usleep(2500000);
        state = needed;
    }
    if (!strcmp(how, "nowhere") && request->verb_case == SHADOWCL__CONTROL__REQUEST__VERB_CHECK &&
        !request->check->suspend) {
        failure->object = (char *)"device `far`";
        failure->reason = (char *)"no such device";
        failure->todo = (char *)"name another";
        response->error = failure;
    } else if (!strcmp(how, "refuse") || !strcmp(how, "never")) {
        *failure = (Shadowcl__Control__Failure){.base = failure->base,
                                                .object = (char *)"kernel `solve`",
                                                .reason = (char *)"did not end before the deadline",
                                                .todo = (char *)"give it longer with --deadline"};
        failure->final = !strcmp(how, "never");
        response->error = failure;
    } else if (!strcmp(how, "full")) {
        failure->object = (char *)"image";
        failure->reason = (char *)"at offset 4096: No space left on device";
        failure->todo = (char *)"make room";
        response->error = failure;
    } else if (request->verb_case == SHADOWCL__CONTROL__REQUEST__VERB_SAVE ||
               request->verb_case == SHADOWCL__CONTROL__REQUEST__VERB_CHECK) {
        return; /* in any state */
    } else if (state != needed) {
        failure->object = (char *)"process";
        failure->reason = needed ? (char *)"it is not suspended" : (char *)"it is not running";
        failure->todo = (char *)"nothing";
        response->error = failure;
    } else if (request->verb_case == SHADOWCL__CONTROL__REQUEST__VERB_SUSPEND) {
        state = SHADOWCL__CONTROL__STATE__SUSPENDED;
    } else {
        state = SHADOWCL__CONTROL__STATE__RUNNING;
    }
}

static void keep_image(int file)
{
    int before = image;
    image = file;
    if (before >= 0)
        close(before);
}

/* Writes it, as far as it does; what a suspend has written stays open until the resume. */
static void write_image(const control_request *request, int file, const char *how,
                        control_response *response, Shadowcl__Control__ImageSummary *summary)
{
    bool suspends = request->verb_case == SHADOWCL__CONTROL__REQUEST__VERB_SUSPEND;
    size_t half = sizeof image_bytes / 2;
    if (request->verb_case == SHADOWCL__CONTROL__REQUEST__VERB_RESUME)
        keep_image(-1);
    if (file < 0 || !strcmp(how, "old"))
        return;
    if (write(file, image_bytes, half) != (ssize_t)half || response->error)
        return;
    if (write(file, image_bytes + half, sizeof image_bytes - half) < 0)
        return;
    summary->contents = 13002342, summary->zero = 4096, summary->equal = 8192, summary->ms = 1.5;
    summary->file = sizeof image_bytes + !strcmp(how, "lie");
    response->image = summary;
    if (suspends)
        keep_image(dup(file));
}

static void answer(int fd, int file, const control_request *request, const char *how)
{
    control_response response = SHADOWCL__CONTROL__RESPONSE__INIT;
    Shadowcl__Control__Failure failure = SHADOWCL__CONTROL__FAILURE__INIT;
    Shadowcl__Control__SuspendTimes suspend = SHADOWCL__CONTROL__SUSPEND_TIMES__INIT;
    Shadowcl__Control__ResumeTimes resume = SHADOWCL__CONTROL__RESUME_TIMES__INIT;
    Shadowcl__Control__ImageSummary summary = SHADOWCL__CONTROL__IMAGE_SUMMARY__INIT;
    Shadowcl__Control__Builds builds = SHADOWCL__CONTROL__BUILDS__INIT;
    Shadowcl__Control__Failure *missing[] = {&fp64, &room};
    Shadowcl__Control__Device *devices[] = {strcmp(how, "odd") ? &device : &odd_device};
    Shadowcl__Control__Count *objects[] = {&buffers, &queues};
    char *warnings[] = {(char *)"device has no fp16, the program was told it has"};
    char *residue[] = {(char *)"fd 7 -> /dev/dri/card0"};
    if (request->verb_case != SHADOWCL__CONTROL__REQUEST__VERB_STATUS)
        change(request, how, &response, &failure);
    write_image(request, file, how, &response, &summary);
    if (request->verb_case == SHADOWCL__CONTROL__REQUEST__VERB_CHECK && !strcmp(how, "missing"))
        response.n_missing = 2, response.missing = missing;
    if (!strcmp(how, "lost") || misbehave(fd, how))
        return;
    suspend.drain = 3.125, suspend.capture = 20, suspend.release = 8.1, suspend.total = 31.225;
    resume.load = 20.5, resume.rebuild = 35.1, resume.total = 55.6;
    if (!strcmp(how, "odd"))
        suspend.total = resume.total = 0.0 / 0.0;
    response.version = 1;
    response.state = (Shadowcl__Control__State)state;
    response.command =
        !strcmp(how, "odd") ? (char *)"\x1b[2Jcmd\xff" : (char *)"/usr/bin/hashcat -m 0 hashes";
    response.n_devices = 1, response.devices = devices;
    response.n_objects = 2, response.objects = objects;
    response.device_bytes = 13002342, response.captured_bytes = 13002342;
    if (request->verb_case == SHADOWCL__CONTROL__REQUEST__VERB_RESUME && request->resume->lazy)
        response.owed_bytes = 13002342;
    builds.built = 3, builds.there = 1, builds.compare = 1.5, builds.build = 40.25;
    if (request->verb_case == SHADOWCL__CONTROL__REQUEST__VERB_BUILD)
        response.builds = &builds;
    response.suspend_times = &suspend, response.resume_times = &resume;
    if (!strcmp(how, "warn")) {
        response.n_warnings = 1, response.warnings = warnings;
        response.n_residue = 1, response.residue = residue;
    }
    char **many = calloc(MANY, sizeof *many);
    for (size_t i = 0; many && i < MANY; i++)
        many[i] = warnings[0];
    if (many && !strcmp(how, "many"))
        response.n_warnings = MANY, response.warnings = many;
    send_response(fd, &response, !strcmp(how, "half") || !strcmp(how, "die-half"));
    free(many);
    if (!strcmp(how, "die-half"))
        _exit(0);
}

static void log_prepare(const Shadowcl__Control__Prepare *prepare)
{
    if (prepare)
        printf(", prepare %u %g %g", prepare->max_rounds, prepare->target, prepare->rate);
}

static void log_image(const Shadowcl__Control__Image *where)
{
    if (where)
        printf(", image %d", (int)where->compression);
}

static void log_request(const control_request *request)
{
    flockfile(stdout); /* requests are served side by side */
    if (request->verb_case == SHADOWCL__CONTROL__REQUEST__VERB_SUSPEND) {
        printf("suspend %g", request->suspend->deadline);
        log_prepare(request->suspend->prepare);
        log_image(request->suspend->image);
    } else if (request->verb_case == SHADOWCL__CONTROL__REQUEST__VERB_RESUME) {
        printf("resume %s %d%s", request->resume->device, request->resume->strict,
               request->resume->lazy ? ", lazy" : "");
    } else if (request->verb_case == SHADOWCL__CONTROL__REQUEST__VERB_MOVE) {
        printf("move %g %s %d", request->move->deadline, request->move->device,
               request->move->strict);
        log_prepare(request->move->prepare);
    } else if (request->verb_case == SHADOWCL__CONTROL__REQUEST__VERB_SAVE) {
        printf("save %g", request->save->deadline);
        log_prepare(request->save->prepare);
        log_image(request->save->image);
    } else if (request->verb_case == SHADOWCL__CONTROL__REQUEST__VERB_CHECK) {
        printf("check %s %d%s", request->check->device, request->check->strict,
               request->check->suspend ? ", suspend" : "");
    } else if (request->verb_case == SHADOWCL__CONTROL__REQUEST__VERB_BUILD) {
        printf("build %g %s", request->build->deadline, request->build->device);
    } else {
        printf("status");
    }
    putchar('\n');
    fflush(stdout);
    funlockfile(stdout);
}

static void *serve(void *data)
{
    int fd = (int)(intptr_t)data, file;
    control_request *request = read_request(fd, &file);
    if (request && (int)request->verb_case < MAX_VERBS) {
        log_request(request);
        answer(fd, file, request, behaviour[request->verb_case]);
    }
    if (request)
        shadowcl__control__request__free_unpacked(request, NULL);
    if (file >= 0)
        close(file);
    close(fd);
    return NULL;
}

static int listen_at(const char *path)
{
    /* Bound in its folder: the path may be longer than an address. */
    char folder[8192], name[8192];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(folder, sizeof folder, "%s", path);
    snprintf(name, sizeof name, "%s", path);
    if (chdir(dirname(folder)) < 0)
        return -1;
    snprintf(address.sun_path, sizeof address.sun_path, "%.100s", basename(name));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    umask(0177);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 64) < 0)
        return -1;
    return fd;
}

/* Keeps a mapping of it, and no descriptor. */
static void map_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED) {
        perror(path);
        exit(1);
    }
    close(fd);
}

static void parse(char *text)
{
    char *value = strchr(text, '=');
    if (!value)
        return;
    *value++ = 0;
    for (int i = 2; i < MAX_VERBS; i++)
        if (!strcmp(text, verb_names[i]))
            behaviour[i] = value;
    if (!strcmp(text, "state"))
        state = atoi(value);
    if (!strcmp(text, "map"))
        map_file(value);
}

static void *end_with_input(void *data)
{
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
    _exit(0);
}

int main(int argc, char **argv)
{
    pthread_t thread;
    if (argc < 2)
        return 2;
    for (int i = 2; i < argc; i++)
        parse(argv[i]);
    int listener = listen_at(argv[1]);
    if (listener < 0) {
        perror(argv[1]);
        return 1;
    }
    pthread_create(&thread, NULL, end_with_input, NULL);
    printf("ready\n");
    fflush(stdout);
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0;)
        if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd) == 0)
            pthread_detach(thread);
    return 1;
}
