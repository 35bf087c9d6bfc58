/* SPDX-License-Identifier: Apache-2.0 */
/* The arguments that verbs share. What is wrong ends the command with exit code 2 and says so. */
#include "agent/options.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double default_deadline = 10, max_seconds = 86400;
enum { MAX_SPEC = 4096, MAX_ROUNDS = 1000 };

pid_t options_parse_pid(const char *text, struct argp_state *state)
{
    char *end;
    errno = 0;
    long pid = strtol(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || *end || errno || pid < 1 || pid > INT_MAX)
        argp_error(state, "`%s` is not a process id; `shadowcl ps` lists them", text);
    return (pid_t)pid;
}

static void add_pid(struct options *options, const char *text, struct argp_state *state)
{
    pid_t pid = options_parse_pid(text, state);
    for (size_t i = 0; i < options->num_pids; i++)
        if (options->pids[i] == pid)
            return;
    pid_t *pids = realloc(options->pids, (options->num_pids + 1) * sizeof *pids);
    if (!pids) {
        argp_failure(state, 1, ENOMEM, "can't remember the processes");
        return;
    }
    options->pids = pids;
    options->pids[options->num_pids++] = pid;
}

/* A plain number above 0; *end is behind it. */
static bool is_number(const char *text, char **end, double *number)
{
    *number = strtod(text, end);
    size_t plain = strspn(text, "0123456789.");
    return plain && *end == text + plain && isfinite(*number) && *number > 0;
}

double options_parse_seconds(const char *name, const char *text, struct argp_state *state)
{
    char *end;
    double seconds;
    if (!is_number(text, &end, &seconds) || *end || seconds > max_seconds)
        argp_error(state, "--%s: `%s` is not a number of seconds above 0 and up to %.0f", name,
                   text, max_seconds);
    return seconds;
}

static double parse_milliseconds(const char *name, const char *text, struct argp_state *state)
{
    char *end;
    double ms;
    if (!is_number(text, &end, &ms) || *end || ms > max_seconds * 1000)
        argp_error(state, "--%s: `%s` is not a number of milliseconds above 0 and up to %.0f", name,
                   text, max_seconds * 1000);
    return ms;
}

static unsigned parse_rounds(const char *name, const char *text, struct argp_state *state)
{
    char *end;
    double rounds;
    if (!is_number(text, &end, &rounds) || *end || rounds > MAX_ROUNDS || strchr(text, '.'))
        argp_error(state, "--%s: `%s` is not a number of rounds from 1 to %d", name, text,
                   MAX_ROUNDS);
    return (unsigned)rounds;
}

static double parse_rate(const char *name, const char *text, struct argp_state *state)
{
    static const char units[] = "KMGT";
    char *end;
    double bytes;
    bool ok = is_number(text, &end, &bytes);
    const char *unit = ok && *end ? strchr(units, *end) : NULL;
    if (!ok || (*end && (!unit || end[1])))
        argp_error(state, "--%s: `%s` is not a number of bytes a second, like 500M", name, text);
    for (const char *u = units; unit && u <= unit; u++)
        bytes *= 1024;
    return bytes;
}

/* One device: PLATFORM:INDEX, or a name, a part of one or a number. */
static bool is_device(const char *text, size_t length)
{
    while (length && *text == ' ')
        text++, length--;
    while (length && text[length - 1] == ' ')
        length--;
    return length && text[0] != ':' && text[length - 1] != ':';
}

static const char *parse_device(const char *text, struct argp_state *state)
{
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i++)
        if (iscntrl((unsigned char)text[i]))
            argp_error(state, "--device: control characters in a device's name");
    if (length > MAX_SPEC)
        argp_error(state, "--device: longer than %d bytes", MAX_SPEC);
    for (const char *part = text;;) {
        size_t size = strcspn(part, ",");
        if (!is_device(part, size))
            argp_error(state,
                       "--device: `%s` is not PLATFORM:INDEX, a name, part of a name or a "
                       "number, nor a list of these with commas",
                       text);
        if (!part[size])
            return text;
        part += size + 1;
    }
}

/* Each of them wants the copies. */
static void parse_prepare(struct ask_prepare *prepare, int key, const char *text,
                          struct argp_state *state)
{
    prepare->wanted = true;
    if (key == OPTION_ROUNDS)
        prepare->max_rounds = parse_rounds("max-rounds", text, state);
    else if (key == OPTION_TARGET)
        prepare->target = parse_milliseconds("target-downtime", text, state);
    else if (key == OPTION_RATE)
        prepare->rate = parse_rate("max-rate", text, state);
}

static Shadowcl__Control__Image__Compression parse_compression(const char *text,
                                                               struct argp_state *state)
{
    if (!strcmp(text, "off"))
        return SHADOWCL__CONTROL__IMAGE__COMPRESSION__OFF;
    if (!strcmp(text, "zstd"))
        return SHADOWCL__CONTROL__IMAGE__COMPRESSION__ZSTD;
    if (strcmp(text, "auto") != 0)
        argp_error(state, "--compress: `%s` is none of auto, off and zstd", text);
    return SHADOWCL__CONTROL__IMAGE__COMPRESSION__AUTO;
}

static const char *parse_image(const char *text, struct argp_state *state)
{
    if (!*text)
        argp_error(state, "--image: the file's name is empty");
    if (!strcmp(text, "-"))
        argp_error(state, "--image: contents have to be read back from there: name a file");
    return text;
}

static void add_word(struct options *options, char *text, struct argp_state *state)
{
    bool is_file = options->takes_files && (options->takes_no_pids || options->num_pids);
    if (!is_file && options->takes_no_pids)
        argp_error(state, "`%s` is too much: there is nothing to name", text);
    else if (!is_file)
        add_pid(options, text, state);
    else if (options->num_files < options->takes_files)
        options->files[options->num_files++] = text;
    else
        argp_error(state, "`%s` is too much", text);
}

static void check_image(const struct options *options, struct argp_state *state)
{
    if (options->image && (options->all || options->num_pids != 1))
        argp_error(state, "--image is for one process id: each process needs a file of its own");
    if (options->has_compression && !options->image && !options->takes_files)
        argp_error(state, "--compress is for --image");
}

static void check(const struct options *options, struct argp_state *state)
{
    check_image(options, state);
    if (options->num_files < options->takes_files && (options->takes_no_pids || options->num_pids))
        argp_error(state, options->takes_files - options->num_files > 1 ? "files are missing"
                                                                        : "a file is missing");
    if (options->takes_no_pids)
        return;
    if (options->all && options->num_pids)
        argp_error(state, "either --all or process ids, not both");
    if (!options->all && !options->num_pids)
        argp_error(state, options->one_pid ? "a process id is missing"
                                           : "a process id or --all is missing");
    if (options->one_pid && options->num_pids > 1)
        argp_error(state, "one process id at a time");
    if (options->needs_device && !*options->resume.device)
        argp_error(state, "--device is missing: where to?");
}

error_t options_take(struct options *options, int key, const char *text, struct argp_state *state)
{
    switch (key) {
    case OPTION_JSON:
        options->json = true;
        return 0;
    case OPTION_STRICT:
        options->resume.strict = true;
        return 0;
    case OPTION_LAZY:
        options->resume.lazy = true;
        return 0;
    case OPTION_DEADLINE:
        options->deadline = options_parse_seconds("deadline", text, state);
        return 0;
    case OPTION_DEVICE:
        options->resume.device = parse_device(text, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

error_t options_parse_one(int key, char *text, struct argp_state *state)
{
    struct options *options = state->input;
    switch (key) {
    case OPTION_ALL:
        options->all = true;
        return 0;
    case OPTION_TIMEOUT:
        options->timeout = options_parse_seconds("timeout", text, state);
        return 0;
    case OPTION_PREPARE:
    case OPTION_ROUNDS:
    case OPTION_TARGET:
    case OPTION_RATE:
        parse_prepare(&options->prepare, key, text, state);
        return 0;
    case OPTION_IMAGE:
        options->image = parse_image(text, state);
        return 0;
    case OPTION_COMPRESS:
        options->compression = parse_compression(text, state);
        options->has_compression = true;
        return 0;
    case ARGP_KEY_ARG:
        add_word(options, text, state);
        return 0;
    case ARGP_KEY_END:
        check(options, state);
        return 0;
    default:
        return options_take(options, key, text, state);
    }
}

void options_set_defaults(struct options *options)
{
    options->deadline = default_deadline;
    options->resume.device = "";
}

void options_parse(struct options *options, const struct argp *argp, int argc, char **argv)
{
    options_set_defaults(options);
    argp_parse(argp, argc, argv, 0, NULL, options);
}

char **options_split(int *argc, char **argv)
{
    for (int i = 1; i < *argc; i++)
        if (!strcmp(argv[i], "--")) {
            *argc = i;
            return argv + i + 1;
        }
    return NULL;
}

void options_finish(struct options *options)
{
    free(options->pids);
}
