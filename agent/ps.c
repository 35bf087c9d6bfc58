/* SPDX-License-Identifier: Apache-2.0 */
/* `shadowcl ps`: the processes under shadowcl; and those that use OpenCL without it, since a lost
 * LD_PRELOAD is otherwise silent. */
#include "agent/answer.h"
#include "agent/ask.h"
#include "agent/options.h"
#include "agent/process.h"
#include "agent/targets.h"
#include "agent/text.h"
#include "agent/verbs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    NUM_COLUMNS = 8,
    MAX_CELL = 160,
    MAX_COMMAND = 41,
    INSIDE = 7 /* the last column, where somebody is in a container */
};

static const struct argp_option ps_options[] = {OPTIONS_JSON, {0}};

static const struct argp ps_argp = {
    ps_options,
    options_parse_one,
    NULL,
    "List the processes under shadowcl: pid, user, command, state, devices, number of OpenCL "
    "objects and the memory they take on the device; of those in containers also the pid that they "
    "have there.\v"
    "Processes that use OpenCL without shadowcl are listed too, as `not under shadowcl` "
    "(\"uncovered\" with --json), and those that have its library but no socket here as "
    "`unreachable`. A process that does not answer within 2 seconds is `not answering`.\n\n"
    "Exit codes: 0 done, 1 the runtime directory can't be used, 2 wrong usage.",
    NULL,
    NULL,
    NULL};

struct row {
    char cell[NUM_COLUMNS][MAX_CELL];
};

struct extras {
    struct report *list; /* owned */
    size_t count;
    size_t num_uncovered, num_unreachable;
    bool out_of_memory;
};

static void add_uncovered(pid_t pid, bool has_shim, const char *library, void *data)
{
    struct extras *extras = data;
    struct report *list = realloc(extras->list, (extras->count + 1) * sizeof *list);
    if (!list) {
        extras->out_of_memory = true;
        return;
    }
    extras->list = list;
    struct report *report = &list[extras->count++];
    *report = (struct report){.pid = pid};
    process_owner(pid, &report->uid);
    process_command(pid, report->command, sizeof report->command);
    report_set_state(report, has_shim ? "unreachable" : "uncovered");
    extras->num_unreachable += has_shim;
    extras->num_uncovered += !has_shim;
}

static void list_devices(char out[MAX_CELL], const control_response *response)
{
    size_t used = 0;
    out[0] = 0;
    for (size_t i = 0; i < response->n_devices && used < MAX_CELL; i++) {
        char platform[MAX_CELL];
        text_clean(platform, sizeof platform, response->devices[i]->platform);
        int length = snprintf(out + used, MAX_CELL - used, "%s%s:%" PRIu32, i ? ", " : "", platform,
                              response->devices[i]->index);
        used += (size_t)length;
    }
}

/* "/usr/bin/hashcat -m 0" is "hashcat -m 0". */
static const char *without_folder(const char *command)
{
    const char *slash = memrchr(command, '/', strcspn(command, " "));
    return slash ? slash + 1 : command;
}

/* One that is too long ends in dots. */
static void put_command(char *cell, const char *command)
{
    bool is_long = strlen(command) >= MAX_COMMAND;
    text_clean(cell, is_long ? MAX_COMMAND - 3 : MAX_COMMAND, command);
    if (is_long)
        strcat(cell, "...");
}

/* "3 in pid:[4026532198]": as it is called in its own pid namespace, and by `lsns`. */
static void put_inside(char cell[MAX_CELL], pid_t pid)
{
    uint64_t number = process_pid_namespace(pid);
    if (number)
        snprintf(cell, MAX_CELL, "%d in pid:[%" PRIu64 "]", (int)process_inner_pid(pid), number);
}

static void fill(struct row *row, const struct report *report)
{
    const control_response *response = report->response;
    bool uncovered = !strcmp(report->state, "uncovered");
    snprintf(row->cell[0], MAX_CELL, "%d", (int)report->pid);
    process_user(report->uid, row->cell[1], MAX_CELL);
    if (response && response->command[0])
        put_command(row->cell[2], without_folder(response->command));
    else
        snprintf(row->cell[2], MAX_COMMAND, "%s", report->command);
    snprintf(row->cell[3], MAX_CELL, "%s", uncovered ? "not under shadowcl" : report->state);
    for (int i = 4; i < NUM_COLUMNS; i++)
        snprintf(row->cell[i], MAX_CELL, "-");
    put_inside(row->cell[INSIDE], report->pid);
    if (!response)
        return;
    uint64_t objects = 0;
    for (size_t i = 0; i < response->n_objects; i++)
        objects += response->objects[i]->count;
    if (response->n_devices)
        list_devices(row->cell[4], response);
    snprintf(row->cell[5], MAX_CELL, "%" PRIu64, objects);
    text_bytes(row->cell[6], MAX_CELL, response->device_bytes);
}

static void print_table(const struct row *rows, size_t count)
{
    int width[NUM_COLUMNS] = {0}, columns = INSIDE;
    for (size_t i = 1; i < count; i++)
        if (strcmp(rows[i].cell[INSIDE], "-") != 0)
            columns = NUM_COLUMNS;
    for (size_t i = 0; i < count; i++)
        for (int j = 0; j < columns; j++)
            if ((int)strlen(rows[i].cell[j]) > width[j])
                width[j] = (int)strlen(rows[i].cell[j]);
    for (size_t i = 0; i < count; i++) {
        for (int j = 0; j < columns; j++) {
            bool is_number = j == 0 || j == 5 || j == 6;
            printf("%s%*s", j ? "  " : "",
                   is_number     ? width[j]
                   : j == INSIDE ? 0
                                 : -width[j],
                   rows[i].cell[j]);
        }
        putchar('\n');
    }
}

static int print_rows(const struct report *list, size_t count)
{
    static const struct row head = {
        {"PID", "USER", "COMMAND", "STATE", "DEVICES", "OBJECTS", "BYTES", "PID INSIDE"}};
    struct row *rows = calloc(count + 1, sizeof *rows);
    if (!rows)
        return EXIT_REFUSED;
    rows[0] = head;
    for (size_t i = 0; i < count; i++)
        fill(&rows[i + 1], &list[i]);
    print_table(rows, count + 1);
    free(rows);
    return fflush(stdout) ? EXIT_REFUSED : EXIT_DONE;
}

static void say_warnings(const struct targets *targets)
{
    for (size_t i = 0; i < targets->count; i++)
        report_say_warnings(&targets->list[i]);
}

static void say_hints(const struct extras *extras, size_t covered)
{
    if (!covered && !extras->count)
        fputs("shadowcl ps: no process is under shadowcl, none uses OpenCL\n"
              "  to do: start programs with `shadowcl run`\n",
              stderr);
    if (extras->num_uncovered)
        fprintf(stderr,
                "shadowcl ps: %zu process%s use%s OpenCL, but not through shadowcl, and can't be "
                "suspended\n  to do: start with `shadowcl run`; a launcher in between may have "
                "dropped LD_PRELOAD\n",
                extras->num_uncovered, extras->num_uncovered == 1 ? "" : "es",
                extras->num_uncovered == 1 ? "s" : "");
    if (extras->num_unreachable)
        fprintf(
            stderr,
            "shadowcl ps: %zu process%s with shadowcl's library ha%s no socket here\n"
            "  to do: name them by their pids, or set SHADOWCL_RUNTIME_DIR as when they started; "
            "SHADOWCL_LOG=warn tells why a socket could not be made\n",
            extras->num_unreachable, extras->num_unreachable == 1 ? "" : "es",
            extras->num_unreachable == 1 ? "s" : "ve");
}

/* Processes that ended between being found and being asked are no longer worth a line. */
static size_t drop_gone(struct report *list, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (!strcmp(list[i].state, "gone"))
            report_finish(&list[i]);
        else
            list[kept++] = list[i];
    }
    return kept;
}

/* One list of both kinds in `extras`; the targets' part of it is borrowed. */
static int append(struct extras *extras, const struct targets *targets)
{
    size_t count = extras->count + targets->count;
    struct report *list = calloc(count + 1, sizeof *list);
    if (!list)
        return -1;
    if (targets->count)
        memcpy(list, targets->list, targets->count * sizeof *list);
    if (extras->count)
        memcpy(list + targets->count, extras->list, extras->count * sizeof *list);
    free(extras->list);
    extras->list = list;
    extras->count = count;
    return 0;
}

int verb_ps(int argc, char **argv)
{
    struct options options = {.takes_no_pids = true};
    struct targets targets;
    struct extras extras = {0};
    struct error err = {0};
    options_parse(&options, &ps_argp, argc, argv);
    int code = EXIT_REFUSED;
    if (targets_find(&targets, &options, &err) < 0) {
        report_error("ps", &err);
        if (options.json)
            answer_json_empty();
    } else {
        ask_status(targets.list, targets.count);
        targets.count = drop_gone(targets.list, targets.count);
        targets_each_uncovered(&targets.peers, add_uncovered, &extras);
        say_warnings(&targets);
        say_hints(&extras, targets.count);
        if (extras.out_of_memory || append(&extras, &targets) < 0)
            report_error("ps", (error_set(&err, ENOMEM, "can't list the processes"), &err));
        else if (options.json)
            code = answer_json(ANSWER_PS, extras.list, extras.count) < 0;
        else
            code = print_rows(extras.list, extras.count);
    }
    free(extras.list);
    targets_finish(&targets);
    return code;
}
