/* SPDX-License-Identifier: Apache-2.0 */
/* Building the program's programs on another device: to see whether that can be done, and to have
 * their binaries when it moves there. The device where they are stays untouched. */
#ifndef SHADOWCL_SHIM_TRIAL_H
#define SHADOWCL_SHIM_TRIAL_H

#include "shim/findings.h"
#include "shim/phase.h"
#include "state/device.h"

#define TRIAL_THREADS 4 /* at most; the program wants the processors too */

struct trial {
    bool running; /* the program runs: it is to be left from where it is now */
    bool keep;    /* what comes of it is kept with the programs (state/program_ahead.h) */
    bool all;     /* also after one that can't be built */
    size_t count;
    struct attempt *attempts; /* owned */
    size_t num_sites;
    struct site *sites; /* owned */
    _Atomic size_t next;
    atomic_bool failed;
    struct visit *visits[TRIAL_THREADS]; /* owned: what each thread is at */
    atomic_bool left; /* some thread is in a call of the driver's yet, with parts of this */
};

/* How many programs were built, and of how many the binaries were there already. */
struct trial_result {
    size_t built, there;
};

/* With the gate closed: notes what there is to build when `from` moves to `to`. */
int trial_note(struct trial *trial, const struct device *from, struct device *to,
               struct object *const *objects, size_t count, struct error *err);
/* Builds the next program; false: there is none left. Each thread has a number of its own. The gate
 * is the caller's thing. */
bool trial_step(struct trial *trial, unsigned thread);
void trial_close(struct trial *trial);
/* Of a thread that was left in a call (shim/phase.h): what it has there is a leftover, and all that
 * it may be looking at stays for ever. */
void trial_leave(struct trial *trial, unsigned thread, struct leftover **leftovers);
/* What it was at, in the error that names the driver. */
void trial_explain_left(const struct trial *trial, unsigned thread, struct error *err);
/* err names the first that can't be built; with `findings` (may be NULL) all of them are put there,
 * and the result is 0. */
int trial_tell(const struct trial *trial, struct findings *findings, struct trial_result *result,
               struct error *err);
/* All of it, on this thread. */
int trial_run(struct trial *trial, struct findings *findings, struct error *err);
void trial_finish(struct trial *trial);

#endif
