/* SPDX-License-Identifier: Apache-2.0 */
/* The report of a suspend or resume: see report.h. */
#include "shim/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/log.h"
#include "shim/phase.h"

void report_warn(struct report *report, const char *format, ...)
{
    NOT_FROZEN();
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    log_warn("%s", text);
    char **warnings = realloc(report->warnings, (report->num_warnings + 1) * sizeof *warnings);
    if (!warnings)
        return;
    report->warnings = warnings;
    report->warnings[report->num_warnings] = strdup(text);
    report->num_warnings += report->warnings[report->num_warnings] != NULL;
}

void report_finish(struct report *report)
{
    residue_finish(&report->residue);
    for (size_t i = 0; i < report->num_warnings; i++)
        free(report->warnings[i]);
    free(report->warnings);
    *report = (struct report){0};
}
