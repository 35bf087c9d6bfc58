/* SPDX-License-Identifier: Apache-2.0 */
/* How a move ended, for people and for scripts. */
#include "agent/vm/move.h"

#include "agent/answer.h"
#include "agent/verbs.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *verb_name(const struct move *move)
{
    return move->options.verb == VM_MIGRATE   ? "vm-migrate"
           : move->options.verb == VM_SUSPEND ? "vm-suspend"
                                              : "vm-resume";
}

static const char *guest_word(const struct move *move)
{
    return move->is_lost ? "unknown" : move->holder->name;
}

static const char *device_word(const struct move *move)
{
    if (move->is_lost)
        return "unknown";
    switch (move->holder->plug) {
    case PLUG_IN:
        return "plugged";
    case PLUG_LEAVING:
        return "leaving";
    case PLUG_OUT:
        return "nowhere";
    default:
        return "unknown";
    }
}

static const char *programs_word(const struct move *move)
{
    if (move->programs == PROGRAMS_SUSPENDED)
        return "suspended";
    if (move->programs == PROGRAMS_UNKNOWN)
        return "unknown";
    return move->on_meanwhile ? "meanwhile" : "running";
}

/* For a shell; what stands in it may come from a guest. */
static void print_quoted(FILE *out, const char *before, const char *text)
{
    fprintf(out, " %s '", before);
    for (; *text; text++)
        fprintf(out, *text == '\'' ? "'\\''" : "%c", *text);
    fputc('\'', out);
}

/* The command that goes on from here. */
static void print_resume(FILE *out, const struct move *move)
{
    const struct side *side = move->holder;
    char *text = side->device ? device_text(side->device) : NULL;
    fputs("shadowcl vm-resume", out);
    if (move->is_foreign)
        fputs(" --agent PORT", out);
    else
        print_quoted(out, "--agent", side->guest.address);
    if (side->qmp.address) {
        print_quoted(out, "--qmp", side->qmp.address);
        print_quoted(out, "--device", move->options.device);
    }
    if (move->options.address)
        print_quoted(out, "--address", move->options.address);
    if (text && side->plug != PLUG_IN)
        print_quoted(out, "--device-options", text);
    char *map = move->on_meanwhile ? json_dumps(move->map, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
    if (map)
        print_quoted(out, "--resume-map", map);
    else if (move->options.resume_device)
        print_quoted(out, "--resume-device", move->options.resume_device);
    fputs("\n", out);
    free(text);
    free(map);
}

/* Nobody can be asked any more. A source that has sent all still holds the guest, as it was then;
 * that it must not run beside the destination is for a person to judge. */
static void print_loss_of_destination(const struct move *move)
{
    fprintf(
        stderr,
        "  to do: if the destination's QEMU lives, go on there: `shadowcl vm-resume`. If it has "
        "ended, and its guest has not run for long enough to write to its disks, the source "
        "holds the guest as it was before: `cont` on `%s`, then `shadowcl vm-resume` there\n",
        move->source.qmp.address);
}

/* As it was known last. */
static void print_loss_of_source(const struct move *move)
{
    static const char *const devices[] = {[PLUG_UNKNOWN] = "was not looked for",
                                          [PLUG_IN] = "was plugged in",
                                          [PLUG_LEAVING] = "was asked to leave",
                                          [PLUG_OUT] = "was not plugged in"};
    if (move->options.device)
        fprintf(stderr, "  now: the device `%s` %s; %s%s\n", move->options.device,
                devices[move->holder->plug],
                move->is_migrating ? "the migration may still end well, and the destination must "
                                     "not run beside the source; "
                                   : "",
                move->is_touched ? "the programs may be suspended, and could not be asked"
                                 : "the programs were not touched");
    if (!move->is_touched)
        return;
    fputs("  to do: if its QEMU lives, the programs go on with `shadowcl resume --all`, as root in "
          "the guest, or when its monitor can be reached again: ",
          stderr);
    print_resume(stderr, move);
}

static void print_loss(const struct move *move)
{
    const char *name = move->holder->name;
    if (move->options.verb == VM_MIGRATE)
        fprintf(stderr, "  now: the guest was at the %s, whose monitor does not answer any more\n",
                name);
    else
        fprintf(stderr, "  now: the %s's monitor does not answer any more\n", name);
    if (move->holder == &move->destination)
        print_loss_of_destination(move);
    else
        print_loss_of_source(move);
}

struct phrase {
    const char *word, *text;
};

static const char *phrase(const struct phrase *list, const char *word)
{
    while (list->word && strcmp(list->word, word))
        list++;
    return list->text;
}

static void print_state(const struct move *move)
{
    static const struct phrase devices[] = {{"plugged", "is plugged in there"},
                                            {"leaving", "is asked to leave, and may still do so"},
                                            {"nowhere", "is not plugged in"},
                                            {NULL, "could not be looked for"}},
                               programs[] = {{"running", "run"},
                                             {"meanwhile", "run on the device of --meanwhile"},
                                             {"suspended", "are suspended, with all their state"},
                                             {NULL, "could not be asked"}};
    if (move->is_lost) {
        print_loss(move);
        return;
    }
    fputs("  now: ", stderr);
    if (move->options.verb == VM_MIGRATE)
        fprintf(stderr, "the guest is at the %s; ", move->holder->name);
    if (move->options.device)
        fprintf(stderr, "the device `%s` %s; ", move->options.device,
                phrase(devices, device_word(move)));
    fprintf(stderr, "the programs %s\n", phrase(programs, programs_word(move)));
}

/* The source holds the machine as it was; what has kept it from running may end. */
static void print_cont(const struct move *move)
{
    fprintf(stderr,
            "  to do: the guest stands still at the %s: once no other QEMU has its disks, type to "
            "its monitor `%s`: {\"execute\": \"qmp_capabilities\"} {\"execute\": \"cont\"}\n",
            move->holder->name, move->holder->qmp.address);
}

static void print_failure(const struct move *move, const struct error *err)
{
    fprintf(stderr, "shadowcl %s: %s: %s\n", verb_name(move), err->object, err->reason);
    for (size_t i = 1; i < move->num_problems; i++)
        fprintf(stderr, "  also: %s: %s\n", move->problems[i].object, move->problems[i].reason);
    print_state(move);
    if (*err->todo)
        fprintf(stderr, "  to do: %s\n", err->todo);
    if (move->holder->is_stopped && !move->is_lost)
        print_cont(move);
    bool is_unknown = move->programs == PROGRAMS_UNKNOWN && move->is_touched && !move->is_lost;
    if (is_unknown && move->is_foreign)
        fprintf(stderr,
                "  to do: with the machine's own port for PORT, that of the guest which "
                "`%s` belongs to: ",
                move->holder->qmp.address);
    else if (is_unknown)
        fputs("  to do: if the programs do not run, once the agent answers: ", stderr);
    else if (move->programs == PROGRAMS_SUSPENDED || move->on_meanwhile)
        fputs("  to do: when the device can be had: ", stderr);
    else
        return;
    print_resume(stderr, move);
    if (is_unknown)
        fputs("  or, as root in the guest: shadowcl resume --all\n", stderr);
}

static json_t *error_json(const struct error *err)
{
    return err ? json_pack("{s:o, s:o, s:o}", "object", answer_string(err->object), "reason",
                           answer_string(err->reason), "todo", answer_string(err->todo))
               : json_null();
}

static void plan(json_t *lines, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void plan(json_t *lines, const char *format, ...)
{
    char line[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    json_array_append_new(lines, answer_string(line));
}

static void plan_source(const struct move *move, json_t *lines)
{
    const struct side *side = &move->source;
    char *text = device_text(side->device);
    if (side->plug == PLUG_IN) {
        plan(lines, "suspend the programs, at most %g s for what runs on the device",
             move->options.deadline);
        plan(lines, "unplug %s (%s) at the source; on a failure it comes back as %s",
             move->options.device, *side->place.address ? side->place.address : "no PCI device",
             text ? text : "?");
    } else {
        plan(lines, "leave the programs suspended, as they are; %s is not plugged in at the source",
             move->options.device);
    }
    free(text);
}

/* What --dry-run has found that would be done; the caller's. */
static json_t *plan_lines(const struct move *move)
{
    const struct vm_options *options = &move->options;
    char *there = device_text(move->destination.device);
    json_t *lines = json_array();
    plan_source(move, lines);
    if (options->meanwhile)
        plan(lines, "let the programs go on with %s", options->meanwhile);
    plan(lines, "migrate to %s, start the guest there", options->uri);
    plan(lines, "plug in %s", there ? there : "?");
    plan(lines, "resume the programs%s%s", options->resume_device ? " on " : "",
         options->resume_device ? options->resume_device : "");
    free(there);
    return lines;
}

static void print_plan(const struct move *move)
{
    size_t i;
    json_t *line, *lines = plan_lines(move);
    puts("nothing stands against it; these would be done:");
    json_array_foreach(lines, i, line) printf("  %s\n", json_string_value(line));
    json_decref(lines);
}

static json_t *result_json(const struct move *move, const struct error *err)
{
    const struct timeline *timeline = &move->timeline;
    double moving = timeline_time_in(timeline, ROW_PROGRAMS, "suspending") +
                    timeline_time_in(timeline, ROW_PROGRAMS, "suspended") +
                    timeline_time_in(timeline, ROW_PROGRAMS, "resuming");
    json_t *result = timeline_json(timeline);
    json_t *notes = json_array(), *problems = json_array();
    for (size_t i = 0; i < move->num_notes; i++)
        json_array_append_new(notes, answer_string(move->notes[i]));
    for (size_t i = 0; i < move->num_problems; i++)
        json_array_append_new(problems, error_json(&move->problems[i]));
    json_object_set_new(result, "ok", json_boolean(!err));
    json_object_set_new(result, "state",
                        json_pack("{s:s, s:s, s:s}", "guest", guest_word(move), "device",
                                  device_word(move), "programs", programs_word(move)));
    json_object_set_new(
        result, "downtime_ms",
        json_pack("{s:f, s:o, s:f}", "programs", moving * 1000, "vm_by_qemu",
                  move->downtime_ms < 0 ? json_null() : json_real(move->downtime_ms), "vm",
                  timeline_time_in(timeline, ROW_VM, "stopped") * 1000));
    json_object_set_new(result, "device_options",
                        move->holder->device ? json_incref(move->holder->device) : json_null());
    if (move->options.dry_run)
        json_object_set_new(result, "plan", err ? json_null() : plan_lines(move));
    json_object_set_new(result, "problems", problems);
    json_object_set_new(result, "notes", notes);
    json_object_set_new(result, "error", error_json(err));
    return result;
}

static int print_json(const struct move *move, const struct error *err)
{
    json_t *result = result_json(move, err);
    int status = json_dumpf(result, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
    json_decref(result);
    putchar('\n');
    return fflush(stdout) == 0 && status == 0 ? 0 : -1;
}

static void print_success(const struct move *move)
{
    const struct timeline *timeline = &move->timeline;
    timeline_print(timeline);
    if (move->options.dry_run)
        print_plan(move);
    else if (move->options.verb == VM_MIGRATE) {
        double copying = timeline_time_in(timeline, ROW_PROGRAMS, "suspending") +
                         timeline_time_in(timeline, ROW_PROGRAMS, "suspended") +
                         timeline_time_in(timeline, ROW_PROGRAMS, "resuming");
        printf("moved in %.3f s; the programs stood still for %.3f s of it, the machine for %.3f "
               "s\n",
               timeline->end, copying, timeline_time_in(timeline, ROW_VM, "stopped"));
    }
    if (move->options.verb == VM_SUSPEND) {
        fputs("the programs go on with: ", stdout);
        print_resume(stdout, move);
    }
    fflush(stdout);
}

int move_report(struct move *move, const struct error *err)
{
    int code = err ? EXIT_REFUSED : EXIT_DONE;
    const char *picture = move->options.timeline;
    if (picture && timeline_svg(&move->timeline, verb_name(move), picture) < 0) {
        fprintf(stderr, "shadowcl: the timeline can't be written to `%s`: %s\n", picture,
                strerror(errno));
        code = EXIT_REFUSED;
    }
    if (err)
        print_failure(move, err);
    if (move->options.json)
        code = print_json(move, err) < 0 ? EXIT_REFUSED : code;
    else if (!err)
        print_success(move);
    else if (move->is_touched)
        timeline_print(&move->timeline);
    return code;
}
