/* SPDX-License-Identifier: Apache-2.0 */
/* One program on one other device, of a trial: it is built there, its kernels are made, and all is
 * given back but the binary. */
#ifndef SHADOWCL_SHIM_TRIAL_ATTEMPT_H
#define SHADOWCL_SHIM_TRIAL_ATTEMPT_H

#include "shim/trial.h"
#include "state/program.h"

/* A device where programs are built. */
struct site {
    struct device *to;
    char *identity; /* owned */
    /* Each thread has its own: oclgrind can't build two programs of one at once. */
    cl_context contexts[TRIAL_THREADS];
    atomic_bool closed; /* one could not be made */
};

enum outcome { OUTCOME_NONE, OUTCOME_THERE, OUTCOME_BUILT, OUTCOME_FAILED };

/* One program to be built on one device. */
struct attempt {
    struct recipe *recipe; /* a reference */
    size_t site;
    /* It may go meanwhile. The build is there as long as it. */
    struct program *program;
    uint32_t generation;
    const struct build *build;
    cl_uint index; /* of the device in it */
    uint64_t serial;
    /* Owned, each and all: names of kernels that the program has made; it may let them go. */
    char **kernels;
    size_t num_kernels;
    _Atomic int outcome; /* enum outcome */
    struct error *error; /* owned; of one that failed; NULL: no memory for it */
};

/* Inside the gate, or with the gate closed. */
enum outcome attempt_build(struct trial *trial, struct attempt *attempt, unsigned thread);
int trial_no_memory(struct error *err);

#endif
