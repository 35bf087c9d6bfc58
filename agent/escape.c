/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that use OpenCL past us: see escape.h. */
#include "agent/escape.h"

#include "agent/apart.h"
#include "agent/process.h"
#include "agent/report.h"
#include "agent/tree.h"

#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The last look is after 127 s: who drops LD_PRELOAD does it at the start. */
enum { FIRST_MS = 250, LAST_MS = 64000, MOST_NOTES = 16 };
/* The kernel's number for the machine's own namespace of processes. */
static const ino_t machine_namespace = 0xEFFFFFFC;

/* Those that were named. */
struct named {
    size_t count;
    pid_t pids[MOST_NOTES];
};

static bool is_named(const struct named *named, pid_t pid)
{
    for (size_t i = 0; i < named->count; i++)
        if (named->pids[i] == pid)
            return true;
    return false;
}

static void look_at(pid_t pid, struct named *named)
{
    char library[64] = "", command[64];
    struct error err = {0};
    int found = process_opencl(pid, library, sizeof library);
    if (!(found & PROCESS_OPENCL) || (found & PROCESS_SHIM))
        return;
    named->pids[named->count++] = pid;
    process_command(pid, command, sizeof command);
    error_object(&err, "process %d %s", (int)pid, command);
    error_set(&err, 0,
              "uses OpenCL (%s) not under shadowcl: what started it has dropped LD_PRELOAD",
              library);
    error_todo(&err, "put `shadowcl run` behind that launcher, right before the program");
    report_note(&err);
}

static void look(pid_t root, struct named *named)
{
    struct tree tree;
    struct error ignored = {0};
    if (tree_find(&tree, root, &ignored) == 0)
        for (size_t i = 0; i < tree.count && named->count < MOST_NOTES; i++)
            if (!is_named(named, tree.pids[i]))
                look_at(tree.pids[i], named);
    tree_finish(&tree);
}

static _Noreturn void watch(pid_t root, int pidfd)
{
    struct named named = {0};
    struct pollfd end = {.fd = pidfd, .events = POLLIN};
    for (int wait = FIRST_MS; wait <= LAST_MS && poll(&end, 1, wait) == 0; wait *= 2)
        look(root, &named);
    _exit(0);
}

/* Is there somebody who takes care of our orphan? */
static bool has_init(void)
{
    struct stat status;
    int is_reaper = 0;
    return stat("/proc/self/ns/pid", &status) == 0 && status.st_ino == machine_namespace &&
           prctl(PR_GET_CHILD_SUBREAPER, &is_reaper) == 0 && !is_reaper;
}

void escape_watch(pid_t pid, char **command)
{
    struct stat status;
    if (!has_init() || fstat(2, &status) < 0 || !(isatty(2) || S_ISREG(status.st_mode)))
        return;
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0U), kept = pidfd;
    if (pidfd < 0)
        return;
    if (apart_fork(&kept, 1, true) == 0) {
        for (; *command; command++) /* who looks for the program by its words finds one */
            memset(*command, 0, strlen(*command));
        watch(pid, kept);
    }
    close(pidfd);
}
