/* SPDX-License-Identifier: Apache-2.0 */
/* Copies contents to staging memory while the program runs, so that less is left to be copied once
 * the gate is closed: all of it first, then what was written since, until what is left is small or
 * a round no longer helps. What a command may write is known of every enqueue (mem_wrote). */
#ifndef SHADOWCL_SHIM_PRECOPY_H
#define SHADOWCL_SHIM_PRECOPY_H

#include <stdbool.h>
#include <stdint.h>

struct precopy_wish {
    bool wanted;
    unsigned max_rounds; /* 0: PRECOPY_ROUNDS */
    double target;       /* ms that copying what is left may take; 0: PRECOPY_TARGET */
    double rate;         /* bytes a second at most; 0: as fast as it goes */
};

#define PRECOPY_ROUNDS 8
#define PRECOPY_TARGET 20.0

struct precopy_result {
    unsigned rounds;
    uint64_t bytes; /* copied in all rounds */
    double ms;
};

/* Staging memory has been reserved. What goes wrong here only leaves more for later. */
void precopy(const struct precopy_wish *wish, struct precopy_result *result);
/* The suspend does not take place: staging memory is about to be dropped. */
void precopy_forget(void);

#endif
