/* SPDX-License-Identifier: Apache-2.0 */
/* `shadowcl vm-migrate`: a virtual machine with a passed-through device moves, and its OpenCL
 * programs with it. */
#include "agent/verbs.h"
#include "agent/vm/move.h"

static struct move move; /* large, and there is one */

/* Whoever only asks wants to know all of it: what the machines have against the move does not keep
 * the programs from being asked. */
static int look(struct move *move, struct error *err)
{
    return move_check(move, err) == 0 || move->programs != PROGRAMS_UNKNOWN ? 0 : -1;
}

static int ask_programs(struct move *move, struct error *err)
{
    size_t before = move->num_problems;
    int result = step_prepare(move, err);
    if (result < 0 && move->num_problems == before)
        move_problem(move, err);
    if (move->num_problems)
        *err = move->problems[0];
    return move->num_problems ? -1 : result;
}

static const struct phase checks[] = {
    {"connect", move_connect}, {"check", look}, {"prepare", ask_programs}, {0}};

static const struct phase straight[] = {
    {"connect", move_connect}, {"check", move_check},           {"prepare", step_prepare},
    {"suspend", step_suspend}, {"unplug", step_unplug},         {"migrate", step_migrate},
    {"start", step_start},     {"find agent", step_find_agent}, {"plug", step_plug},
    {"resume", step_resume},   {"verify", step_verify},         {0}};

static const struct phase with_meanwhile[] = {
    {"connect", move_connect},         {"check", move_check},
    {"prepare", step_prepare},         {"suspend", step_suspend},
    {"unplug", step_unplug},           {"meanwhile", step_meanwhile},
    {"migrate", step_migrate},         {"start", step_start},
    {"find agent", step_find_agent},   {"plug", step_plug},
    {"suspend 2", step_suspend_again}, {"resume", step_resume},
    {"verify", step_verify},           {0}};

int verb_vm_migrate(int argc, char **argv)
{
    move_init(&move, VM_MIGRATE, argc, argv);
    int code = move.options.dry_run     ? move_run(&move, checks)
               : move.options.meanwhile ? move_run(&move, with_meanwhile)
                                        : move_run(&move, straight);
    move_finish(&move);
    return code;
}
