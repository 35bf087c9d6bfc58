/* SPDX-License-Identifier: Apache-2.0 */
/* The arguments that verbs share. What is wrong ends the command with exit code 2 and says so. */
#ifndef SHADOWCL_AGENT_OPTIONS_H
#define SHADOWCL_AGENT_OPTIONS_H

#include "agent/ask.h"

#include <argp.h>
#include <stdbool.h>
#include <sys/types.h>

enum { OPTIONS_MAX_FILES = 2 };

struct options {
    bool all, json;
    bool one_pid;       /* set by the verb: exactly one process */
    bool needs_device;  /* set by the verb */
    bool takes_no_pids; /* set by the verb */
    double deadline;    /* seconds */
    double timeout;     /* seconds; 0 where not given */
    struct ask_resume resume;
    struct ask_prepare prepare;
    Shadowcl__Control__Image__Compression compression;
    bool has_compression;
    const char *image; /* of --image; NULL where not given */
    pid_t *pids;       /* owned; each once */
    size_t num_pids;
    unsigned takes_files; /* set by the verb: so many, behind the process id where there is one */
    const char *files[OPTIONS_MAX_FILES];
    unsigned num_files;
};

enum {
    OPTION_ALL = 'a',
    OPTION_JSON = 'j',
    OPTION_DEADLINE = 't',
    OPTION_DEVICE = 'd',
    OPTION_STRICT = 's',
    OPTION_LAZY = 'l',
    OPTION_TIMEOUT = 'w',
    OPTION_PREPARE = 'p',
    OPTION_ROUNDS = 'n',
    OPTION_TARGET = 'g',
    OPTION_RATE = 'r',
    OPTION_IMAGE = 'i',
    OPTION_COMPRESS = 'z',
};

/* clang-format off */
#define OPTIONS_ALL {"all", OPTION_ALL, 0, 0, "Every process under shadowcl", 0}
#define OPTIONS_JSON {"json", OPTION_JSON, 0, 0, "Answer with a JSON array, also when refused", 0}
#define OPTIONS_DEADLINE \
    {"deadline", OPTION_DEADLINE, "SEC", 0, \
     "Seconds (fractions allowed) that work on the device may take to end, 10 by default; " \
     "past it the program goes on as if nothing had happened", 0}
#define OPTIONS_COMPRESS \
    {"compress", OPTION_COMPRESS, "HOW", 0, \
     "`off', `zstd', or `auto' (the default): off where the file is faster than the compressor", 0}
#define OPTIONS_STRICT \
    {"strict", OPTION_STRICT, 0, 0, \
     "The device must have all that the program was told of the old one, not only what its " \
     "objects use", 0}
#define OPTIONS_LAZY \
    {"lazy", OPTION_LAZY, 0, 0, \
     "Let the program run as soon as its objects stand: their contents go up in the order in which " \
     "it needs them", 0}
#define OPTIONS_PREPARE \
    {"prepare", OPTION_PREPARE, 0, 0, \
     "Copy contents while the program still runs, in rounds, so that it stands still for no longer " \
     "than it takes to copy what it wrote last", 0}, \
    {"max-rounds", OPTION_ROUNDS, "N", 0, "With --prepare: rounds at most, 8 by default", 0}, \
    {"target-downtime", OPTION_TARGET, "MS", 0, \
     "With --prepare: enough is copied once the rest takes so many milliseconds, 20 by default", 0}, \
    {"max-rate", OPTION_RATE, "BYTES", 0, \
     "With --prepare: copy so many bytes a second at most (K, M and G are understood)", 0}
/* clang-format on */

/* Seconds to wait longer for an answer with --prepare, and where a file is written. */
enum { OPTIONS_PREPARE_TIME = 600, OPTIONS_IMAGE_TIME = 3600 };

/* A number of seconds above 0, for `--NAME`. */
double options_parse_seconds(const char *name, const char *text, struct argp_state *state);
pid_t options_parse_pid(const char *text, struct argp_state *state);
error_t options_parse_one(int key, char *text, struct argp_state *state);
/* For a verb with a parser of its own: json, deadline, device and strict; ARGP_ERR_UNKNOWN for all
 * else. */
error_t options_take(struct options *options, int key, const char *text, struct argp_state *state);
void options_set_defaults(struct options *options);
/* Takes what stands behind `--` off the arguments, and returns it, ended by NULL; or NULL. */
char **options_split(int *argc, char **argv);
/* Fills in the defaults first; `argp` has options_parse_one as its parser. */
void options_parse(struct options *options, const struct argp *argp, int argc, char **argv);
void options_finish(struct options *options);

#endif
