/* SPDX-License-Identifier: Apache-2.0 */
/* `shadowcl vm-migrate`: a virtual machine with a passed-through device moves, and its OpenCL
 * programs with it. */
#include "agent/verbs.h"
#include "agent/vm/move.h"

static struct move move; /* large, and there is one */

static const struct phase checks[] = {
    {"connect", move_connect}, {"check", move_check}, {"prepare", step_prepare}, {0}};

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
