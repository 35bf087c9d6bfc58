/* SPDX-License-Identifier: Apache-2.0 */
/* The arguments of vm-migrate, vm-suspend and vm-resume: see options.h. */
#include "agent/vm/options.h"

#include <argp.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum kind { KIND_TEXT, KIND_FLAG, KIND_NUMBER, KIND_BYTES };
enum { ALL = VM_MIGRATE | VM_SUSPEND | VM_RESUME };

static const struct vm_option {
    const char *name, *argument;
    size_t offset;
    enum kind kind;
    int verbs, needed; /* masks of enum vm_verb */
    const char *help;
} table[] = {
#define AT(field) offsetof(struct vm_options, field)
    {"source", "QMP", AT(source), KIND_TEXT, VM_MIGRATE, VM_MIGRATE,
     "The source's QMP monitor: the path of a Unix socket, or HOST:PORT"},
    {"destination", "QMP", AT(destination), KIND_TEXT, VM_MIGRATE, VM_MIGRATE,
     "The destination's QMP monitor; it was started with -incoming"},
    {"qmp", "QMP", AT(source), KIND_TEXT, VM_SUSPEND | VM_RESUME, 0,
     "The machine's QMP monitor: the path of a Unix socket, or HOST:PORT. Without it only the "
     "programs are dealt with, and the device is plugged and unplugged by other means (libvirt)"},
    {"agent", "SOCKET", AT(agent), KIND_TEXT, ALL, ALL,
     "The agent's port on the host's side: a Unix socket, or HOST:PORT"},
    {"destination-agent", "SOCKET", AT(destination_agent), KIND_TEXT, VM_MIGRATE, VM_MIGRATE,
     "The same at the destination"},
    {"device", "ID", AT(device), KIND_TEXT, ALL, VM_MIGRATE,
     "QEMU's id of the passed-through device"},
    {"address", "ADDRESS", AT(address), KIND_TEXT, VM_SUSPEND | VM_RESUME, 0,
     "Without --qmp: the device's PCI address in the guest, like 0000:00:05.0"},
    {"uri", "URI", AT(uri), KIND_TEXT, VM_MIGRATE, VM_MIGRATE,
     "Where the source sends the machine to: tcp:HOST:PORT, unix:PATH or exec:COMMAND"},
    {"incoming", "URI", AT(incoming), KIND_TEXT, VM_MIGRATE, 0,
     "Where a destination started with `-incoming defer` listens; by default as --uri"},
    {"source-device", "OPTIONS", AT(source_device), KIND_TEXT, VM_MIGRATE | VM_SUSPEND, 0,
     "How the device is plugged in again at the source, driver=...,...; by default QEMU is asked"},
    {"destination-device", "OPTIONS", AT(destination_device), KIND_TEXT, VM_MIGRATE, 0,
     "How the device is plugged in at the destination; by default as at the source"},
    {"device-options", "OPTIONS", AT(source_device), KIND_TEXT, VM_RESUME, 0,
     "How the device is plugged in: driver=...,...; not needed when it is there"},
    {"meanwhile", "DEVICE", AT(meanwhile), KIND_TEXT, VM_MIGRATE, 0,
     "An OpenCL device in the guest on which the programs go on while the machine moves"},
    {"resume-device", "DEVICE", AT(resume_device), KIND_TEXT, VM_MIGRATE | VM_RESUME, 0,
     "The OpenCL device on which the programs go on; by default the one they had"},
    {"resume-map", "JSON", AT(resume_map), KIND_TEXT, VM_RESUME, 0,
     "The same for single processes: {\"PID\": \"DEVICE\"}"},
    {"deadline", "SEC", AT(deadline), KIND_NUMBER, VM_MIGRATE | VM_SUSPEND, 0,
     "How long work on the device may take to end, 10 by default"},
    {"force", NULL, AT(force), KIND_FLAG, VM_MIGRATE | VM_SUSPEND, 0,
     "Go on when not all programs can be suspended; what they hold is lost"},
    {"bandwidth", "BYTES", AT(bandwidth), KIND_BYTES, VM_MIGRATE, 0,
     "Most bytes a second (K, M, G allowed); by default as many as the link takes"},
    {"downtime-limit", "MS", AT(downtime_limit), KIND_NUMBER, VM_MIGRATE, 0,
     "QEMU's limit for the machine's own stop, in milliseconds"},
    {"multifd", "N", AT(multifd), KIND_NUMBER, VM_MIGRATE, 0, "Move over N connections at once"},
    {"timeout", "SEC", AT(timeout), KIND_NUMBER, ALL, 0,
     "Most seconds for a single step, 30 by default; resuming has 600, suspending the deadline and "
     "1200"},
    {"unplug-timeout", "SEC", AT(unplug_timeout), KIND_NUMBER, VM_MIGRATE | VM_SUSPEND, 0,
     "Most seconds for the guest to let the device go, 30 by default"},
    {"migrate-timeout", "SEC", AT(migrate_timeout), KIND_NUMBER, VM_MIGRATE, 0,
     "Most seconds for the machine's memory to travel; no limit by default"},
    {"linger", "SEC", AT(linger), KIND_NUMBER, VM_MIGRATE | VM_SUSPEND, 0,
     "How long to listen for a guest that lets the device go too late, 60 by default"},
    {"dry-run", NULL, AT(dry_run), KIND_FLAG, VM_MIGRATE, 0,
     "Say what would be done and what would prevent it, and change nothing"},
    {"json", NULL, AT(json), KIND_FLAG, ALL, 0, "Answer with a JSON object, also when refused"},
    {"timeline", "FILE", AT(timeline), KIND_TEXT, ALL, 0, "Draw what happened when, as SVG"},
    {"config", "FILE", AT(config), KIND_TEXT, ALL, 0,
     "A JSON object with these options, without the dashes; the command line goes first"},
#undef AT
};
enum { OPTIONS = sizeof table / sizeof *table, FIRST_KEY = 1000 };

struct parsing {
    struct vm_options *options;
    bool is_set[OPTIONS];
};

static void *field(struct vm_options *options, const struct vm_option *option)
{
    return (char *)options + option->offset;
}

/* A day; and what is still a whole number for QEMU. */
static double most(const struct vm_option *option)
{
    return !strcmp(option->argument, "SEC") ? 86400 : 1e15;
}

static bool is_allowed(const struct vm_option *option, double value)
{
    return isfinite(value) && value > 0 && value <= most(option);
}

static double parse_number(const struct vm_option *option, const char *text,
                           struct argp_state *state)
{
    static const char units[] = "KMGT";
    char *end;
    double value = strtod(text, &end);
    const char *unit = option->kind == KIND_BYTES && *end ? strchr(units, *end) : NULL;
    for (; unit && unit >= units; unit--)
        value *= 1024;
    end += option->kind == KIND_BYTES && *end && strchr(units, *end);
    if (!*text || *end || !is_allowed(option, value))
        argp_error(state, "--%s: `%s` is not a number above 0, and at most %.15g", option->name,
                   text, most(option));
    return value;
}

static void set(struct parsing *parsing, const struct vm_option *option, const char *text,
                struct argp_state *state)
{
    void *to = field(parsing->options, option);
    parsing->is_set[option - table] = true;
    if (option->kind == KIND_FLAG)
        *(bool *)to = true;
    else if (option->kind != KIND_TEXT)
        *(double *)to = parse_number(option, text, state);
    else if (*text)
        *(const char **)to = text;
    else
        argp_error(state, "--%s: the value is empty", option->name);
}

static const struct vm_option *find(const struct parsing *parsing, const char *name)
{
    for (int i = 0; i < OPTIONS; i++)
        if (!strcmp(table[i].name, name) && (table[i].verbs & parsing->options->verb))
            return &table[i];
    return NULL;
}

static void set_from_file(struct parsing *parsing, const struct vm_option *option, json_t *value,
                          struct argp_state *state)
{
    void *to = field(parsing->options, option);
    bool is_number = option->kind == KIND_NUMBER || option->kind == KIND_BYTES;
    if (parsing->is_set[option - table])
        return;
    if (option->kind == KIND_FLAG && json_is_boolean(value))
        *(bool *)to = json_is_true(value);
    else if (is_number && json_is_number(value) && is_allowed(option, json_number_value(value)))
        *(double *)to = json_number_value(value);
    else if (is_number && json_is_number(value))
        argp_error(state, "%s: `%s` is not a number above 0, and at most %.15g",
                   parsing->options->config, option->name, most(option));
    else if (option->kind != KIND_FLAG && json_is_string(value))
        set(parsing, option, json_string_value(value), state);
    else
        argp_error(state, "%s: `%s` has a value of another kind", parsing->options->config,
                   option->name);
}

/* Keys that another verb knows are passed over: one file serves all three. */
static bool is_known(const char *name)
{
    for (int i = 0; i < OPTIONS; i++)
        if (!strcmp(table[i].name, name))
            return true;
    return false;
}

static void read_config(struct parsing *parsing, struct argp_state *state)
{
    json_error_t why;
    const char *name;
    json_t *value;
    struct vm_options *options = parsing->options;
    options->file = json_load_file(options->config, JSON_REJECT_DUPLICATES, &why);
    if (!json_is_object(options->file))
        argp_error(state, "%s: %s (line %d)", options->config,
                   options->file ? "not a JSON object" : why.text, options->file ? 1 : why.line);
    json_object_foreach(options->file, name, value)
    {
        const struct vm_option *option = find(parsing, name);
        if (!is_known(name) || !strcmp(name, "config"))
            argp_error(state, "%s: `%s` is no option", options->config, name);
        if (option)
            set_from_file(parsing, option, value, state);
    }
}

static void check(struct parsing *parsing, struct argp_state *state)
{
    if (parsing->options->config)
        read_config(parsing, state);
    for (int i = 0; i < OPTIONS; i++)
        if ((table[i].needed & parsing->options->verb) &&
            !*(const char **)field(parsing->options, &table[i]))
            argp_error(state, "--%s is missing: %s", table[i].name, table[i].help);
    if (parsing->options->source && !parsing->options->device)
        argp_error(state, "--device is missing: which one?");
    if (parsing->options->source && parsing->options->address)
        argp_error(state, "--address is for when there is no --qmp");
}

static error_t parse_one(int key, char *text, struct argp_state *state)
{
    struct parsing *parsing = state->input;
    if (key >= FIRST_KEY && key < FIRST_KEY + OPTIONS)
        set(parsing, &table[key - FIRST_KEY], text, state);
    else if (key == ARGP_KEY_ARG)
        argp_error(state, "`%s` is too much: everything is said by options", text);
    else if (key == ARGP_KEY_END)
        check(parsing, state);
    else
        return ARGP_ERR_UNKNOWN;
    return 0;
}

static const char *documentation(enum vm_verb verb)
{
    if (verb == VM_MIGRATE)
        return "Move a virtual machine that has a device passed through to another QEMU: its "
               "OpenCL programs let the device go, the machine moves, and they go on with the "
               "device there."
               "\v"
               "Exit codes: 0 done; 1 refused or failed, the message says why, what to do and "
               "where everything now is; 2 wrong usage.";
    if (verb == VM_SUSPEND)
        return "Let a virtual machine's OpenCL programs let go of its passed-through device, and "
               "unplug that: the machine can then be saved, or moved by other means.";
    return "Plug a passed-through device in again, and let the OpenCL programs go on.";
}

void vm_options_parse(struct vm_options *options, enum vm_verb verb, int argc, char **argv)
{
    struct argp_option list[OPTIONS + 1] = {0};
    struct parsing parsing = {.options = options};
    struct argp argp = {list, parse_one, NULL, documentation(verb), NULL, NULL, NULL};
    size_t count = 0;
    *options = (struct vm_options){
        .verb = verb, .deadline = 10, .timeout = 0, .unplug_timeout = 30, .linger = 60};
    for (int i = 0; i < OPTIONS; i++)
        if (table[i].verbs & verb)
            list[count++] = (struct argp_option){.name = table[i].name,
                                                 .key = FIRST_KEY + i,
                                                 .arg = table[i].argument,
                                                 .doc = table[i].help};
    argp_parse(&argp, argc, argv, 0, NULL, &parsing);
}

void vm_options_finish(struct vm_options *options)
{
    json_decref(options->file);
}
