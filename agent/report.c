/* SPDX-License-Identifier: Apache-2.0 */
/* What became of one process: the element of an answer. */
#include "agent/report.h"

#include "agent/text.h"

#include <stdio.h>
#include <string.h>

enum { MAX_TEXT = 512 };

void report_finish(struct report *report)
{
    if (report->response)
        shadowcl__control__response__free_unpacked(report->response, NULL);
    report->response = NULL;
}

struct error *report_fail(struct report *report)
{
    report->failed = true;
    report->error = (struct error){0};
    error_object(&report->error, "process %d", (int)report->pid);
    return &report->error;
}

struct error report_finding(const struct report *report, size_t index)
{
    struct error err = {0};
    const Shadowcl__Control__Failure *finding = report->response->missing[index];
    error_object(&err, "%s", finding->object);
    error_set(&err, 0, "%s", finding->reason);
    error_todo(&err, "%s", finding->todo);
    return err;
}

void report_set_state(struct report *report, const char *state)
{
    snprintf(report->state, sizeof report->state, "%s", state);
}

/* `/usr/bin/hashcat -m 0 hashes` is hashcat. */
static void take_name(struct report *report, const char *command)
{
    char first[PATH_MAX];
    snprintf(first, sizeof first, "%.*s", (int)strcspn(command, " "), command);
    const char *slash = strrchr(first, '/');
    const char *name = slash ? slash + 1 : first;
    if (*name)
        text_clean(report->command, sizeof report->command, name);
}

void report_take(struct report *report, struct exchange *exchange)
{
    report_finish(report);
    if (!exchange->response) {
        report->failed = true;
        report->error = exchange->error;
        return;
    }
    report->response = exchange->response;
    exchange->response = NULL;
    report_set_state(report, control_state_name(report->response->state));
    take_name(report, report->response->command);
    const Shadowcl__Control__Failure *failure = report->response->error;
    if (failure) {
        struct error *err = report_fail(report);
        if (failure->object[0])
            error_object(err, "%s", failure->object);
        error_set(err, 0, "%s", failure->reason);
        error_todo(err, "%s", failure->todo);
        err->is_final = failure->final;
    }
}

static void print_clean(const char *before, const char *text, const char *after)
{
    char clean[MAX_TEXT];
    fprintf(stderr, "%s%s%s", before, text_clean(clean, sizeof clean, text), after);
}

/* "shadowcl suspend: 4711 hashcat: kernel `solve`: ...", then state and what to do. */
void report_say_failure(const struct report *report, const char *verb)
{
    char process[32];
    fprintf(stderr, "shadowcl %s: %d%s%s: ", verb, (int)report->pid, report->command[0] ? " " : "",
            report->command);
    snprintf(process, sizeof process, "process %d", (int)report->pid);
    if (strcmp(process, report->error.object))
        print_clean("", report->error.object, ": ");
    print_clean("", report->error.reason, "\n");
    fprintf(stderr, "  state: %s\n", report->state);
    if (report->error.todo[0])
        print_clean("  to do: ", report->error.todo, "\n");
}

void report_say_warnings(const struct report *report)
{
    if (!report->response)
        return;
    char start[96];
    snprintf(start, sizeof start, "shadowcl: %d %s: ", (int)report->pid, report->command);
    for (size_t i = 0; i < report->response->n_warnings; i++) {
        fputs(start, stderr);
        print_clean("warning: ", report->response->warnings[i], "\n");
    }
    for (size_t i = 0; i < report->response->n_residue; i++) {
        fputs(start, stderr);
        print_clean("still holds the device: ", report->response->residue[i], "\n");
    }
}

static void say(const char *start, const struct error *err)
{
    fputs(start, stderr);
    if (err->object[0])
        print_clean("", err->object, ": ");
    print_clean("", err->reason, "\n");
    if (err->todo[0])
        print_clean("  to do: ", err->todo, "\n");
}

static void (*take_note)(const struct error *err);

void report_notes_to(void (*take)(const struct error *err))
{
    take_note = take;
}

void report_note(const struct error *err)
{
    if (take_note)
        take_note(err);
    else
        say("shadowcl: note: ", err);
}

void report_error(const char *verb, const struct error *err)
{
    char start[32];
    snprintf(start, sizeof start, "shadowcl %s: ", verb);
    say(start, err);
}
