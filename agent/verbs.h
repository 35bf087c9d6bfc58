/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs of the command. Each takes its own argument vector (argv[0] is "shadowcl VERB") and
 * returns the exit code. */
#ifndef SHADOWCL_AGENT_VERBS_H
#define SHADOWCL_AGENT_VERBS_H

enum {
    EXIT_DONE = 0,
    EXIT_REFUSED = 1, /* refused or failed: stderr says in which state the program now is */
    EXIT_USAGE = 2,
    EXIT_NOT_EXECUTABLE = 126, /* of `run`, as shells do */
    EXIT_NOT_FOUND = 127,
};

int verb_run(int argc, char **argv);
int verb_ps(int argc, char **argv);
int verb_suspend(int argc, char **argv);
int verb_prepare(int argc, char **argv);
int verb_resume(int argc, char **argv);
int verb_move(int argc, char **argv);
int verb_save(int argc, char **argv);
int verb_check(int argc, char **argv);
int verb_inspect(int argc, char **argv);
int verb_diff(int argc, char **argv);
int verb_verify(int argc, char **argv);
int verb_checkpoint(int argc, char **argv);
int verb_restore(int argc, char **argv);
int verb_criu_hook(int argc, char **argv);
int verb_vm_migrate(int argc, char **argv);
int verb_vm_suspend(int argc, char **argv);
int verb_vm_resume(int argc, char **argv);

#endif
