/* SPDX-License-Identifier: Apache-2.0 */
/* The log: see log.h. A line is one write(2), so that lines of several threads don't mix. */
#include "shim/log.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "shim/cancel.h"
#include "shim/config.h"
#include "shim/own_file.h"
#include "shim/phase.h"

enum log_level log_level;

static const char *const names[] = {"off", "error", "warn", "info", "debug"};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *path;                        /* owned; NULL: stderr */
static long offset;                       /* seconds, of the local time at the start to UTC */
static struct own_file file = {.fd = -1}; /* guarded by lock */
static bool brief;                        /* guarded by lock */

static void find_offset(void)
{
    time_t now = time(NULL);
    struct tm local;
    if (localtime_r(&now, &local))
        offset = local.tm_gmtoff;
}

void log_init(void)
{
    const char *text = config_text("SHADOWCL_LOG");
    if (!text)
        return;
    find_offset();
    size_t length = strcspn(text, ":");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i]) == length && strncmp(text, names[i], length) == 0)
            log_level = (enum log_level)i;
    if (text[length] == ':' && text[length + 1])
        path = strdup(text + length + 1);
    if (log_level == LOG_OFF && strncmp(text, "off", length) != 0) {
        log_level = LOG_WARN;
        log_warn("SHADOWCL_LOG=%s does not begin with error, warn, info or debug", text);
    }
}

static int open_log(void)
{
    if (!path)
        return STDERR_FILENO;
    if (!own_file_is(&file))
        file = own_file(open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
    return file.fd;
}

static void close_log(void)
{
    own_file_close(&file);
}

/* Without localtime_r: in a child the lock of the time zone stays with the thread that had it at
 * the fork. */
static size_t begin_line(char *line, size_t size, enum log_level level)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    long second = (now.tv_sec + offset) % 86400;
    return (size_t)snprintf(line, size, "shadowcl %02ld:%02ld:%02ld.%03ld [%d] %s: ", second / 3600,
                            second / 60 % 60, second % 60, now.tv_nsec / 1000000, getpid(),
                            names[level]);
}

void log_write(enum log_level level, const char *format, ...)
{
    char line[1024];
    size_t length = begin_line(line, sizeof line, level);
    va_list args;
    va_start(args, format);
    int text = vsnprintf(line + length, sizeof line - length - 1, format, args);
    va_end(args);
    if (text > 0)
        length += (size_t)text;
    if (length > sizeof line - 2)
        length = sizeof line - 2;
    line[length++] = '\n';
    NOT_CANCELLED();
    NOT_FROZEN();
    pthread_mutex_lock(&lock);
    int to = open_log();
    if (to >= 0 && write(to, line, length) < 0)
        log_level = LOG_OFF; /* a full disk must not slow the program down line by line */
    if (brief)
        close_log();
    pthread_mutex_unlock(&lock);
}

void log_pause(void)
{
    pthread_mutex_lock(&lock);
    close_log();
    pthread_mutex_unlock(&lock);
}

void log_brief(bool on)
{
    pthread_mutex_lock(&lock);
    brief = on;
    if (brief)
        close_log();
    pthread_mutex_unlock(&lock);
}

void log_forked(void)
{
    pthread_mutex_init(&lock, NULL);
}
