/* SPDX-License-Identifier: Apache-2.0 */
/* A move in progress: both machines, and what is known of where everything is. The steps bring
 * that forward; undoing goes by what is known, not by which step failed. */
#ifndef SHADOWCL_AGENT_VM_MOVE_H
#define SHADOWCL_AGENT_VM_MOVE_H

#include "agent/vm/contents.h"
#include "agent/vm/device.h"
#include "agent/vm/guest.h"
#include "agent/vm/options.h"
#include "agent/vm/timeline.h"

enum plug_state {
    PLUG_UNKNOWN,
    PLUG_IN,
    PLUG_LEAVING, /* device_del was sent: it can't be withdrawn, and the guest takes its time */
    PLUG_OUT,
};

enum programs_state { PROGRAMS_UNKNOWN, PROGRAMS_RUNNING, PROGRAMS_SUSPENDED };

struct move;

/* One of the two machines. */
struct side {
    struct move *move;
    const char *name; /* "source" */
    struct qmp qmp;
    struct guest guest;
    json_t *device; /* owned; the options that the device is plugged with here */
    struct pci_place place;
    enum plug_state plug;
    double leave_until; /* how long the guest may take to let the device go */
    bool is_plugging;   /* device_add was sent: before it has ended nothing else is answered */
    bool is_refused;    /* the guest said that it does not let the device go */
    bool has_news;      /* of the migration */
    bool is_mute;       /* its monitor is there, and gave no answer when it mattered */
    bool was_stopped;   /* told to come up paused: it does not run before we say so */
    bool is_stopped;    /* it has the guest, and was not brought to run */
};

struct move {
    struct vm_options options;
    struct turns turns;
    struct timeline timeline;
    struct contents contents;
    struct side source, destination;
    /* The machine that has the guest: only that one may run. Between the two there is no moment in
     * which both may: the destination runs when it is told to, and from then on the guest is its.
     */
    struct side *holder;
    enum programs_state programs;
    bool on_meanwhile;  /* those that run are, or may be, on the device of --meanwhile */
    bool is_migrating;  /* `migrate` was sent, and did not end yet */
    bool has_completed; /* the source has sent all */
    bool is_touched;    /* something was asked that is to be undone */
    bool is_foreign;    /* the agent that answers is none of this guest's */
    bool is_undoing;
    bool is_lost;   /* the machine that has the guest does not answer any more */
    json_t *map;    /* owned; pid: the devices it had */
    json_t *limits; /* owned; the migration parameters that the source had before, or NULL */
    bool had_driver, had_nodes; /* the device, in the guest's kernel at the start */
    bool has_hooks;             /* the agent: they may be who brings a driver */
    double settle_until;        /* until then a device that has come may not be ready yet */
    int num_tries;              /* to resume again, because of that */
    struct error refusal;       /* of a resume, for good; without a reason there was none */
    char boot[64];
    char suspend_id[40];       /* of a suspend that did not go well, as the agent knows it; or "" */
    double downtime_ms;        /* of the machine, as QEMU has it; below 0 where it did not say */
    struct error problems[64]; /* that stand against the move */
    size_t num_problems;
    char notes[12][512];
    size_t num_notes;
};

/* Adds what stands against the move; false where there is no more room for it. */
bool move_problem(struct move *move, const struct error *err);
double move_timeout(const struct move *move); /* seconds for a step */
double move_long_timeout(const struct move *move);
/* Keeps what a vm-resume would have to know that goes on from here; nothing where the device is
 * plugged in. */
int move_remember(struct move *move, struct error *err);
/* The device is plugged in here, or the machine runs here. */
void side_mark(struct side *side, enum timeline_row row);
/* On stderr, and in the answer as long as there is room. */
void move_note(struct move *move, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* check.c */
int move_connect(struct move *move, struct error *err);
/* Fails with the first of the problems; all are in move->problems. */
int move_check(struct move *move, struct error *err);
int side_connect(struct side *side, struct error *err);
int side_check_guest(struct side *side, struct error *err);
/* The device with this address in an answer to `status`; borrowed, NULL where there is none. */
const json_t *status_device(const json_t *status, const char *address);
int side_set_device(struct side *side, const char *text, struct error *err);
int side_find_device(struct side *side, const char *text, struct error *err);

/* prepare.c */
int step_prepare(struct move *move, struct error *err);

/* steps.c */
int step_suspend(struct move *move, struct error *err);
int step_unplug(struct move *move, struct error *err);
int step_plug(struct move *move, struct error *err);
int step_find_agent(struct move *move, struct error *err);
/* Whether the agent that has greeted is another guest's; sets move->is_foreign. */
bool move_is_foreign(struct move *move);
/* Away from the device of --meanwhile. */
int step_suspend_again(struct move *move, struct error *err);
int step_verify(struct move *move, struct error *err);
/* Asks until the agent is at rest, and sets move->programs. */
int step_learn(struct move *move, struct error *err);
void move_mark_programs(struct move *move, const char *state);
const char *move_running_word(const struct move *move);
/* The device's address in the guest, as a list; empty where it has none; the caller's. */
json_t *side_addresses(const struct side *side);

/* resume.c */
/* Until the guest has the device, and its kernel's driver has it if that is to be expected. */
int move_wait_in_guest(struct move *move, struct error *err);
/* A device has come just now: for so long a resume that fails is tried again. */
void move_settle(struct move *move, double seconds);
int step_resume(struct move *move, struct error *err);
int step_meanwhile(struct move *move, struct error *err); /* on the device of --meanwhile */

/* transfer.c */
/* QEMU's settings for it, at both sides: nothing is touched by them yet. */
int move_set_up_migration(struct move *move, struct error *err);
/* As the source had them before. */
void move_restore_settings(struct move *move);
int step_migrate(struct move *move, struct error *err);
int step_start(struct move *move, struct error *err);
/* The machine's run state, "running" or "paused"; "" when it can't be asked. */
int side_run_state(struct side *side, char out[32], struct error *err);

/* undo.c: brings the programs back to where it is possible; what could not be done is noted. */
void move_undo(struct move *move);

/* report.c: says how it ended, as text or JSON; returns the exit code. `err` is NULL when all
 * went well. */
int move_report(struct move *move, const struct error *err);

/* run.c */
struct phase {
    const char *name;
    int (*run)(struct move *move, struct error *err);
};

void move_init(struct move *move, enum vm_verb verb, int argc, char **argv);
/* Runs the phases up to one without a name; when one fails, undoes. Returns the exit code. */
int move_run(struct move *move, const struct phase *phases);
int move_phase(struct move *move, const struct phase *phase, struct error *err);
void move_say_undoing(void);
void move_finish(struct move *move);

#endif
