/* SPDX-License-Identifier: Apache-2.0 */
/* Starting, once per process: see start.h. And what a fork leaves in the child. */
#include "shim/start.h"
#include "shim/ending.h"

#include <pthread.h>
#include <stdlib.h>

#include "shim/ahead.h"
#include "shim/callback.h"
#include "shim/cancel.h"
#include "shim/checkpoint.h"
#include "shim/config.h"
#include "shim/control.h"
#include "shim/control_socket.h"
#include "shim/dispatch.h"
#include "shim/first_thread.h"
#include "shim/follow.h"
#include "shim/gate.h"
#include "shim/hold.h"
#include "shim/lazy.h"
#include "shim/leave.h"
#include "shim/loader.h"
#include "shim/log.h"
#include "shim/owner.h"
#include "shim/placement.h"
#include "shim/precopy.h"
#include "shim/residue.h"
#include "shim/store.h"
#include "shim/storm.h"
#include "shim/thread.h"
#include "shim/unheard.h"
#include "state/command_buffer.h"
#include "state/device.h"
#include "state/program.h"
#include "state/roster.h"
#include "state/svm.h"

bool start_icd_mode;
bool start_alone;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool started;

static void before_fork(void)
{
    owner_before_fork();
    unheard_before_fork();
    follow_before_fork();
    lazy_before_fork();
    ahead_before_fork();
    roster_before_fork();
}

static void after_fork_here(void)
{
    roster_after_fork();
    ahead_after_fork();
    lazy_after_fork();
    unheard_after_fork();
    owner_after_fork();
}

/* Only the forking thread is left: no control thread, no callback thread, nobody inside the gate.
 * The control thread of the child starts at its next OpenCL call that asks for platforms. */
static void after_fork(void)
{
    roster_after_fork();
    checkpoint_forked();
    follow_forked();
    object_forked();
    log_forked();
    loader_forked();
    gate_forked();
    hold_forked();
    command_buffer_forked();
    lazy_forked();
    unheard_forked();
    endings_forked();
    ahead_forked();
    callback_forked();
    storm_forked();
    precopy_forked();
    store_forked();
    residue_forked();
    thread_forked();
    leave_forked();
    placement_forked();
    platform_reset();
    svm_forked();
    recipe_forked();
    program_turn_forked();
    control_forked();
}

static void start(void)
{
    log_init();
    config_read();
    size_t slots = object_init(&dispatch_table);
    if (!slots) {
        log_error("no address space for the handles: raise the limit (ulimit -v)");
        return;
    }
    gate_init(first_thread_note);
    storm_init();
    pthread_atfork(before_fork, after_fork_here, after_fork);
    at_quick_exit(control_unlink); /* it runs no destructors */
    started = true;
    if (!start_alone)
        control_start();
    log_debug("started: room for %zu objects, %s", slots,
              gate_state & GATE_FENCED ? "fences (membarrier is not allowed)" : "membarrier");
}

bool start_shim(void)
{
    NOT_CANCELLED();
    pthread_once(&once, start);
    if (started && !start_alone)
        control_start(); /* again in a forked child */
    return started;
}
