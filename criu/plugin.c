/* SPDX-License-Identifier: Apache-2.0 */
/* CRIU's plugin: with it, plain `criu dump` and `criu restore`, and what stands on them, let the
 * programs of a tree go of their devices before, and give them one afterwards. The work is done by
 * `shadowcl criu-hook`; here it is called at the right moments.
 * In PAUSE_DEVICES the process still runs: it suspends and leaves its socket. At the end of the
 * dump whoever is still there is told to go on: a process that is left running, or whose dump
 * failed. It hears it when CRIU lets it run; one that CRIU ends never does. The message is not part
 * of the copy. In RESUME_DEVICES_LATE the copy is told to go on, likewise. */
#include "criu/plugin.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LEVEL_ERROR = 1, LEVEL_INFO = 3 };
enum { EXIT_DONE = 0, EXIT_NOT_OURS = 3 }; /* of `shadowcl criu-hook` */

extern char **environ;

static const char name[] = "shadowcl_criu";
static bool disabled, in_inventory;
static char command[PATH_MAX] = "shadowcl"; /* in PATH, unless it is found near the plugin */
static pid_t *paused;                       /* owned */
static size_t num_paused;

#define say(level, ...)                                                                            \
    do {                                                                                           \
        if (print_on_level)                                                                        \
            print_on_level((level), __VA_ARGS__);                                                  \
    } while (0)

static bool try_command(const char *folder, const char *way)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s/shadowcl", folder, way) >= PATH_MAX ||
        access(path, X_OK) < 0)
        return false;
    snprintf(command, sizeof command, "%s", path);
    return true;
}

/* We are LIB/shadowcl/criu/shadowcl_criu.so; LIB is lib, or lib/x86_64-linux-gnu. */
static void find_command(void)
{
    Dl_info info;
    char folder[PATH_MAX];
    const char *set = getenv("SHADOWCL_COMMAND");
    if (set && *set) {
        snprintf(command, sizeof command, "%s", set);
        return;
    }
    if (!dladdr((void *)&CR_PLUGIN_DESC, &info) || !realpath(info.dli_fname, folder))
        return;
    *strrchr(folder, '/') = 0;
    if (!try_command(folder, "../../../bin"))
        try_command(folder, "../../../../bin");
}

/* What the command says goes to CRIU's log; `pass` is the reading end. */
static void pass_on(int pass, bool failed)
{
    char text[1024];
    ssize_t size = read(pass, text, sizeof text - 1);
    for (char *line = text, *end; size > 0 && line < text + size; line = end + 1) {
        text[size] = 0;
        end = line + strcspn(line, "\n");
        *end = 0;
        if (failed)
            say(LEVEL_ERROR, "Error (shadowcl): %s\n", line);
        else
            say(LEVEL_INFO, "%s\n", line);
    }
}

static int spawn_and_wait(char *const *arguments, int output)
{
    posix_spawn_file_actions_t files;
    pid_t child;
    int status = -1;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, output, 1);
    posix_spawn_file_actions_adddup2(&files, output, 2);
    int failed = posix_spawnp(&child, command, &files, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&files);
    close(output);
    if (failed) {
        say(LEVEL_ERROR, "Error (shadowcl): `%s` does not start: %s\n", command, strerror(failed));
        return -1;
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Runs `shadowcl criu-hook WHAT PID`; its exit code, or -1. CRIU must not take our child for one of
 * its own, and its alarm (--timeout) is for processes that can't be stopped, not for a device that
 * is at work: the command has a deadline of its own. */
static int run_hook(const char *what, pid_t pid)
{
    char number[16], *device = getenv("SHADOWCL_DEVICE"), *deadline = getenv("SHADOWCL_DEADLINE");
    char *arguments[9] = {"shadowcl", "criu-hook", (char *)what, number};
    size_t count = 4;
    int ends[2];
    sigset_t child, before;
    snprintf(number, sizeof number, "%d", (int)pid);
    if (device && *device && !strcmp(what, "resume")) {
        arguments[count++] = "--device";
        arguments[count++] = device;
    }
    if (deadline && *deadline && !strcmp(what, "pause")) {
        arguments[count++] = "--deadline";
        arguments[count++] = deadline;
    }
    if (pipe(ends) < 0)
        return -1;
    unsigned left = alarm(0);
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, &before);
    int code = spawn_and_wait(arguments, ends[1]);
    sigprocmask(SIG_SETMASK, &before, NULL);
    alarm(left);
    pass_on(ends[0], code != EXIT_DONE);
    close(ends[0]);
    return code;
}

static int remember(pid_t pid)
{
    pid_t *longer = realloc(paused, (num_paused + 1) * sizeof *longer);
    if (!longer)
        return -1;
    paused = longer;
    paused[num_paused++] = pid;
    return 0;
}

static int pause_devices(int pid)
{
    if (disabled)
        return -ENOTSUP;
    int code = run_hook("pause", pid);
    if (code == EXIT_NOT_OURS)
        return -ENOTSUP; /* another plugin may know it */
    if (code != EXIT_DONE)
        return -1;
    say(LEVEL_INFO, "shadowcl: process %d has let go of its device\n", pid);
    if (remember(pid) < 0)
        return -1;
    if (!in_inventory && add_inventory_plugin && add_inventory_plugin(name) != 0)
        return -1;
    in_inventory = true;
    return -ENOTSUP; /* other plugins have their turn too */
}

static int resume_devices_late(int pid)
{
    if (disabled)
        return -ENOTSUP;
    int code = run_hook("resume", pid);
    if (code == EXIT_NOT_OURS)
        return -ENOTSUP;
    return code == EXIT_DONE ? -ENOTSUP : -1;
}

/* With --freeze-cgroup, which container engines give it, CRIU stops all of the cgroup before the
 * first child has its turn in PAUSE_DEVICES: it could not suspend any more. */
static void keep_running(void)
{
    if (set_compel_interrupt_only_mode)
        set_compel_interrupt_only_mode();
    else if (dont_use_freeze_cgroup)
        dont_use_freeze_cgroup();
}

/* `shadowcl checkpoint` and `restore` do all this themselves. */
static int init(int stage)
{
    const char *set = getenv("SHADOWCL_CRIU_PLUGIN");
    disabled = stage == STAGE_PRE_DUMP || (set && !strcmp(set, "off"));
    if (disabled)
        return 0;
    find_command();
    if (stage == STAGE_DUMP)
        keep_running();
    if (stage == STAGE_RESTORE && check_and_remove_inventory_plugin)
        disabled = !check_and_remove_inventory_plugin(name, strlen(name));
    return 0;
}

static void finish(int stage, int result)
{
    for (size_t i = 0; stage == STAGE_DUMP && i < num_paused; i++)
        run_hook("resume", paused[i]);
    free(paused);
    paused = NULL;
    num_paused = 0;
}

/* A function goes into a table of pointers to data: POSIX allows that, ISO C is silent. */
#define HOOK(function) (__extension__(void *)(function))

struct plugin_description CR_PLUGIN_DESC = {
    .name = name,
    .init = init,
    .exit = finish,
    .version = PLUGIN_VERSION,
    .max_hooks = NUM_HOOKS,
    .hooks = {[HOOK_RESUME_DEVICES_LATE] = HOOK(resume_devices_late),
              [HOOK_PAUSE_DEVICES] = HOOK(pause_devices)},
};
