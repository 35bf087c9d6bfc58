/* SPDX-License-Identifier: Apache-2.0 */
/* Suspend, resume and move of this process, as a list of steps: close the gate, drain, capture,
 * release; load, rebuild, open the gate. A step that fails is undone: the program runs on as if
 * nothing had happened, or stays suspended with its state held. */
#ifndef SHADOWCL_SHIM_CHECKPOINT_H
#define SHADOWCL_SHIM_CHECKPOINT_H

#include <stdbool.h>

#include "shim/error.h"
#include "shim/findings.h"
#include "shim/precopy.h"
#include "shim/report.h"
#include "shim/store.h"

enum checkpoint_state {
    STATE_RUNNING,
    STATE_DRAINING,
    STATE_CAPTURING,
    STATE_SUSPENDED,
    STATE_REBUILDING,
};

enum checkpoint_state checkpoint_state(void);

void checkpoint_forked(void); /* in the child, instead of owner_forked */
/* Before all exit handlers, and in ours, which runs before the drivers' destructors. */
void checkpoint_end_begins(void);
void checkpoint_before_exit(void);

struct resume_wish {
    /* PLATFORM:INDEX for each device in use, separated by commas; empty: where they were. */
    const char *device;
    bool strict; /* the device must have all that the program was told */
    bool lazy;   /* don't wait for contents: see shim/lazy.h */
};

struct check_wish {
    const char *device; /* as for a resume */
    bool strict;
    bool suspend; /* that is asked, and no device */
};

/* One at a time; a second caller is refused. The caller is a thread of ours that is not inside the
 * gate. `deadline` in seconds, from the closing of the gate to the end of the drain. With an image
 * (NULL: none) contents go there instead of to memory. */
int checkpoint_suspend(double deadline, const struct precopy_wish *wish,
                       const struct store_wish *image, struct report *report, struct error *err);
/* Writes an image of a program that runs, and goes on after, or is suspended, and stays so. */
int checkpoint_save(double deadline, const struct precopy_wish *wish,
                    const struct store_wish *image, struct report *report, struct error *err);
/* Would it find all it needs on these devices, or would a suspend be refused? What stands against
 * it goes to `findings`; nothing changes. */
int checkpoint_check(double deadline, const struct check_wish *wish, struct findings *findings,
                     struct report *report, struct error *err);
/* Builds its programs for these devices while it runs: a move there then makes them from binaries.
 * A suspend may come meanwhile: what was built by then is kept. */
int checkpoint_prepare(double deadline, const char *device, struct report *report,
                       struct error *err);
int checkpoint_resume(const struct resume_wish *wish, struct report *report, struct error *err);
int checkpoint_move(double deadline, const struct precopy_wish *beforehand,
                    const struct resume_wish *wish, struct report *report, struct error *err);

#endif
