/* SPDX-License-Identifier: Apache-2.0 */
/* Copies contents to staging memory, or into the image file, while the program runs, so that less
 * is left to be copied once the gate is closed: all of it first, then what was written since, until
 * what is left is small or a round no longer helps. What a command may write is known of every
 * enqueue (mem_wrote). */
#ifndef SHADOWCL_SHIM_PRECOPY_H
#define SHADOWCL_SHIM_PRECOPY_H

#include <stdbool.h>
#include <stdint.h>

struct precopy_wish {
    bool wanted;
    unsigned max_rounds; /* 0: PRECOPY_ROUNDS */
    double target;       /* ms that copying what is left may take; 0: PRECOPY_TARGET */
    double rate;         /* bytes a second at most, evenly; 0: as fast as it goes */
    int asker;           /* the connection of who wants it; -1: nobody who could go away */
};

#define PRECOPY_ROUNDS 8
#define PRECOPY_TARGET 20.0

struct report;

struct precopy_result {
    unsigned rounds;
    uint64_t bytes; /* copied in all rounds */
    double ms;
};

struct error;

/* Staging memory has been reserved. Forks come in between (shim/owner.h), and the program's end
 * ends it, both within some megabytes. What goes wrong here only leaves more for later, and is a
 * warning in the report. But for a driver's call that never comes back, which is an error. */
int precopy(const struct precopy_wish *wish, struct report *report, struct error *err);
/* Waits until so many bytes more may be copied, where the rate is limited, or `is_over`. Nothing is
 * on its way but what a fork may come in between of. */
void precopy_pace(uint64_t bytes, bool (*is_over)(const void *), const void *data);
/* Did who asked go away meanwhile? */
bool precopy_asker_gone(const struct precopy_wish *wish);
/* The gate is closed, or will not be: the copiers are the suspend's now, or given back. */
void precopy_end(bool give_back);
/* In a forked child: the copies are the parent's. */
void precopy_forked(void);

#endif
