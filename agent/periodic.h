/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of a long job at intervals, by a process that is no relative of it: each in a directory of
 * its own, named by a number, of which the newest whole ones are kept. */
#ifndef SHADOWCL_AGENT_PERIODIC_H
#define SHADOWCL_AGENT_PERIODIC_H

#include "shim/error.h"

#include <argp.h>
#include <sys/types.h>

struct periodic {
    double every;    /* seconds; 0: none */
    const char *dir; /* NULL: none */
    unsigned keep;
};

enum { OPTION_EVERY = 512, OPTION_PERIODIC_DIR, OPTION_KEEP };

/* clang-format off */
#define OPTIONS_PERIODIC \
    {"checkpoint-every", OPTION_EVERY, "TIME", 0, \
     "Copy the program that often, with all that it starts, and let it run on: 90, 90s, 10m, 1h", 0}, \
    {"checkpoint-dir", OPTION_PERIODIC_DIR, "DIR", 0, "Where to; `shadowcl restore DIR` takes the newest", 0}, \
    {"keep", OPTION_KEEP, "N", 0, "How many of the copies are kept, 3 by default", 0}
/* clang-format on */

/* For a verb's parser: ARGP_ERR_UNKNOWN for keys that are others'. At ARGP_KEY_END it looks whether
 * they fit together. */
error_t periodic_parse(struct periodic *periodic, int key, char *text, struct argp_state *state);
/* Can copies be put there? Makes the directory where there is none. */
int periodic_check(const struct periodic *periodic, struct error *err);
/* Starts the process that watches `pid`, where that was asked for; it ends with it. */
int periodic_start(const struct periodic *periodic, pid_t pid, struct error *err);

#endif
