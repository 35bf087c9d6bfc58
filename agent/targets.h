/* SPDX-License-Identifier: Apache-2.0 */
/* The processes that a verb was asked to work on, found or not. */
#ifndef SHADOWCL_AGENT_TARGETS_H
#define SHADOWCL_AGENT_TARGETS_H

#include "agent/options.h"
#include "agent/report.h"

struct targets {
    struct peers peers;
    struct report *list; /* owned */
    size_t count;
};

/* One report for each process named, or with --all for each that listens. One that can't be had
 * is in the list, failed, with the reason. Fails itself only when nothing can be looked for. */
int targets_find(struct targets *targets, const struct options *options, struct error *err);
void targets_finish(struct targets *targets);
bool targets_failed(const struct targets *targets);
/* The first process that has left its socket in this runtime directory, by what it was told of that
 * when it was started, so that CRIU can copy it; 0: none. */
pid_t targets_find_away(void);
/* With --all: asks for the states and keeps those that are not `done` yet; one that does not say
 * has failed. Fails itself if none is left. */
int targets_keep_undone(struct targets *targets, const char *done, struct error *err);
/* Notes on stderr each process that uses OpenCL without us, and so keeps the device. */
void targets_note_uncovered(const struct targets *targets);
/* Calls `visit` for each process that has OpenCL but is not in `peers`. */
void targets_each_uncovered(const struct peers *peers,
                            void (*visit)(pid_t pid, bool has_shim, const char *library,
                                          void *data),
                            void *data);

#endif
