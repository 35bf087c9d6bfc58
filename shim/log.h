/* SPDX-License-Identifier: Apache-2.0 */
/* The log: SHADOWCL_LOG=error|warn|info|debug[:file]. Off by default, never on the program's own
 * output unless asked for. */
#ifndef SHADOWCL_SHIM_LOG_H
#define SHADOWCL_SHIM_LOG_H

#include <stdbool.h>

enum log_level { LOG_OFF, LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

extern enum log_level log_level;

void log_init(void);
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Closes a log file of ours, so that CRIU finds none; the next line opens it again. */
void log_pause(void);
/* While so, a log file is open only as long as a line is written. */
void log_brief(bool on);
void log_forked(void);

#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_at(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)
#define log_at(level, ...)                                                                         \
    do {                                                                                           \
        if (__builtin_expect(log_level >= (level), 0))                                             \
            log_write((level), __VA_ARGS__);                                                       \
    } while (0)

#endif
