/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's messages: see logbook.h. */
#include "agent/daemon/logbook.h"

#include "agent/answer.h"
#include "agent/text.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE_SIZE = 512, NOTES = 16 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* All guarded by lock. */
static int out = STDERR_FILENO;
static char lines[LOGBOOK_LINES][LINE_SIZE];
static size_t written;
static char notes[NOTES][LINE_SIZE]; /* said already */
static size_t noted;

int logbook_open(const char *path, struct error *err)
{
    if (!path)
        return 0;
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        error_object(err, "log `%s`", path);
        error_todo(err, "choose another file with --log");
        return error_set(err, errno, "can't be opened");
    }
    pthread_mutex_lock(&lock);
    out = fd;
    pthread_mutex_unlock(&lock);
    return 0;
}

static void write_text(const char *text)
{
    char stamp[64], line[LINE_SIZE];
    struct timespec now;
    struct tm local;
    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &local);
    strftime(stamp, sizeof stamp, "%F %T", &local);
    int length = snprintf(line, sizeof line - 1, "%s.%03ld %s", stamp, now.tv_nsec / 1000000, text);
    if (length > LINE_SIZE - 2)
        length = LINE_SIZE - 2;
    pthread_mutex_lock(&lock);
    memcpy(lines[written++ % LOGBOOK_LINES], line, (size_t)length + 1);
    line[length++] = '\n';
    /* A log that takes nothing is no reason to stop. */
    ssize_t ignored = write(out, line, (size_t)length);
    (void)ignored;
    pthread_mutex_unlock(&lock);
}

void logbook_write(const char *format, ...)
{
    char text[LINE_SIZE], clean[LINE_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    write_text(text_clean(clean, sizeof clean, text));
}

void logbook_error(const char *what, const struct error *err)
{
    logbook_write("%s: %s%s%s%s%s%s", what, err->object, err->object[0] ? ": " : "", err->reason,
                  err->todo[0] ? " (" : "", err->todo, err->todo[0] ? ")" : "");
}

/* True the first time. */
static bool remember_note(const char *text)
{
    bool is_new = true;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < NOTES; i++)
        is_new &= strcmp(notes[i], text) != 0;
    if (is_new)
        snprintf(notes[noted++ % NOTES], LINE_SIZE, "%s", text);
    pthread_mutex_unlock(&lock);
    return is_new;
}

void logbook_note(const struct error *err)
{
    char text[LINE_SIZE];
    snprintf(text, sizeof text, "%s: %.250s", err->object, err->reason);
    if (remember_note(text))
        logbook_error("note", err);
}

json_t *logbook_latest(size_t count)
{
    json_t *array = json_array();
    pthread_mutex_lock(&lock);
    size_t kept = written < LOGBOOK_LINES ? written : LOGBOOK_LINES;
    for (size_t i = count < kept ? count : kept; i > 0; i--)
        json_array_append_new(array, answer_string(lines[(written - i) % LOGBOOK_LINES]));
    pthread_mutex_unlock(&lock);
    return array;
}
