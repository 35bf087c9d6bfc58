/* SPDX-License-Identifier: Apache-2.0 */
/* The command `shadowcl`: finds the verb and hands over to its file. */
#include "agent/verbs.h"

#include <argp.h>
#include <stdio.h>
#include <string.h>

static const struct verb {
    const char *name;
    const char *arguments;
    const char *summary; /* NULL: not for people, and so not listed */
    int (*run)(int argc, char **argv);
} verbs[] = {
    {"run", "[--] CMD ARG...", "run a program under shadowcl", verb_run},
    {"ps", "", "list the processes under shadowcl, and those that escaped it", verb_ps},
    {"suspend", "PID... | --all", "let go of the device; all processes or none", verb_suspend},
    {"resume", "PID... | --all", "go on, on the same or another device", verb_resume},
    {"prepare", "PID... | --all", "build for another device, ahead of a move there", verb_prepare},
    {"move", "PID --device SPEC", "suspend and resume on another device in one step", verb_move},
    {"save", "PID FILE", "write an image of a program, which goes on", verb_save},
    {"check", "PID|FILE", "could it be suspended, or go on on another device?", verb_check},
    {"inspect", "FILE", "print what is in an image", verb_inspect},
    {"diff", "A B", "tell in what two images differ", verb_diff},
    {"verify", "FILE", "check an image, also on a device", verb_verify},
    {"checkpoint", "PID DIR", "copy a program to a directory, with CRIU", verb_checkpoint},
    {"restore", "DIR", "make it again from there, on the same or another device", verb_restore},
    {"criu-hook", "", NULL, verb_criu_hook}, /* CRIU's plugin and action script call it */
    {"vm-migrate", "OPTION...", "move a virtual machine with its device's programs",
     verb_vm_migrate},
    {"vm-suspend", "OPTION...", "unplug a virtual machine's device under its programs",
     verb_vm_suspend},
    {"vm-resume", "OPTION...", "plug it in again and let them go on", verb_vm_resume},
};
enum { NUM_VERBS = sizeof verbs / sizeof *verbs };

const char *argp_program_version = "shadowcl " SHADOWCL_VERSION;

static void print_help(FILE *out)
{
    fputs("Usage: shadowcl VERB [OPTION...] [ARGUMENT...]\n"
          "Suspend, move and resume OpenCL programs that know nothing of it.\n\n"
          "Verbs:\n",
          out);
    for (int i = 0; i < NUM_VERBS; i++)
        if (verbs[i].summary)
            fprintf(out, "  %-10s %-18s %s\n", verbs[i].name, verbs[i].arguments, verbs[i].summary);
    fputs("\nOptions:\n"
          "  -?, --help     print this, or after a verb what the verb takes\n"
          "  -V, --version  print the version\n\n"
          "Answers go to standard output (with --json as an array), messages to standard error.\n"
          "Exit codes: 0 done; 1 refused or failed, the message says why, what to do and in which\n"
          "state the program now is; 2 wrong usage. Each verb has a page: man shadowcl-VERB.\n",
          out);
}

static int usage_error(const char *what, const char *word)
{
    fprintf(stderr, "shadowcl: %s%s%s%s\n", what, word ? " `" : "", word ? word : "",
            word ? "`" : "");
    fputs("  verbs: ", stderr);
    for (int i = 0; i < NUM_VERBS; i++)
        if (verbs[i].summary)
            fprintf(stderr, "%s%s", i ? ", " : "", verbs[i].name);
    fputs("\n  to do: see `shadowcl --help`\n", stderr);
    return EXIT_USAGE;
}

static int run_verb(const struct verb *verb, int argc, char **argv)
{
    char name[32];
    snprintf(name, sizeof name, "shadowcl %s", verb->name);
    argv[0] = name; /* argp says it in its messages */
    return verb->run(argc, argv);
}

int main(int argc, char **argv)
{
    argp_err_exit_status = EXIT_USAGE;
    if (argc < 2)
        return usage_error("a verb is missing", NULL);
    const char *word = argv[1];
    if (!strcmp(word, "--help") || !strcmp(word, "-?") || !strcmp(word, "-h") ||
        !strcmp(word, "help")) {
        print_help(stdout);
        return EXIT_DONE;
    }
    if (!strcmp(word, "--version") || !strcmp(word, "-V")) {
        puts(argp_program_version);
        return EXIT_DONE;
    }
    for (int i = 0; i < NUM_VERBS; i++)
        if (!strcmp(word, verbs[i].name))
            return run_verb(&verbs[i], argc - 1, argv + 1);
    return usage_error(word[0] == '-' ? "unknown option" : "unknown verb", word);
}
