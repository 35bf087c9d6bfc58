/* SPDX-License-Identifier: Apache-2.0 */
/* Where the program's devices live: on the devices that they were made for, or after a move on
 * others. Says whether another device will do, before anything is let go. */
#ifndef SHADOWCL_SHIM_PLACEMENT_H
#define SHADOWCL_SHIM_PLACEMENT_H

#include "shim/checkpoint.h"
#include "shim/findings.h"
#include "shim/trial.h"

/* Suspended: places the devices as the SPECs say (empty: where they were last), checks that each
 * can do what the program's objects use (strict: all that it was told). Nothing changes on an
 * error. */
int placement_choose(const char *specs, bool strict, struct object *const *objects, size_t count,
                     struct report *report, struct error *err);
/* Puts the devices back to where they were before the last placement_choose. */
void placement_undo(struct object *const *objects, size_t count);
/* Running: the same question, asked of the live drivers; nothing changes. Closes the gate for the
 * comparison (by the deadline, CLOCK_MONOTONIC, ns), and notes in the trial what there is to be
 * built there. */
int placement_compare(int64_t deadline, const char *specs, bool strict, struct trial *trial,
                      struct findings *findings, struct report *report, struct error *err);
/* The same, and then tries with an open gate to build the programs there; `keep`: for a move that
 * follows; `compared` (may be NULL) is called in any case, once the gate is open again for good and
 * only builds are left, as after ahead_begin. With `findings` (may be NULL) all that stands in the
 * way is put there, and only what can't be asked is an error. Else only a refusal leaves warnings
 * in the report: placement_choose gives them again. */
int placement_check(int64_t deadline, const char *specs, bool strict, bool keep,
                    void (*compared)(void), struct findings *findings, struct report *report,
                    struct error *err);

/* Of an image, whose devices are nobody's here: places them as the SPECs say (empty: on devices of
 * the same identity), and puts all that stands in the way into `findings`. Fails where a device
 * can't be placed. The caller is alone with the drivers. */
int placement_survey(const char *specs, bool strict, struct object *const *objects, size_t count,
                     struct findings *findings, struct report *report, struct error *err);

void placement_forked(void);

#endif
