/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that use OpenCL past us: see escape.h. */
#include "agent/escape.h"

#include "agent/process.h"
#include "agent/report.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* The last look is after 127 s: who drops LD_PRELOAD does it at the start. */
enum { FIRST_MS = 250, LAST_MS = 64000, MOST_NOTES = 16, MOST_FOREBEARS = 64 };
/* The kernel's number for the machine's own namespace of processes. */
static const ino_t machine_namespace = 0xEFFFFFFC;

static pid_t parent_of(pid_t pid)
{
    char path[64], text[512] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    size_t size = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file)
        fclose(file);
    text[size] = 0;
    const char *end = strrchr(text, ')'); /* of its name, which may hold anything */
    int parent = 0;
    return end && sscanf(end, ") %*c %d", &parent) == 1 ? parent : 0;
}

static bool comes_from(pid_t pid, pid_t forebear)
{
    for (int i = 0; pid > 1 && pid != forebear && i < MOST_FOREBEARS; i++)
        pid = parent_of(pid);
    return pid == forebear;
}

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
    DIR *proc = opendir("/proc");
    for (struct dirent *entry; proc && named->count < MOST_NOTES && (entry = readdir(proc));) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (isdigit((unsigned char)entry->d_name[0]) && !is_named(named, pid) &&
            comes_from(pid, root))
            look_at(pid, named);
    }
    if (proc)
        closedir(proc);
}

static _Noreturn void watch(pid_t root, int pidfd)
{
    struct named named = {0};
    struct pollfd end = {.fd = pidfd, .events = POLLIN};
    for (int wait = FIRST_MS; wait <= LAST_MS && poll(&end, 1, wait) == 0; wait *= 2)
        look(root, &named);
    _exit(0);
}

/* Twice removed, so that it is none of the program's children, in a session of its own, and with
 * nothing open that the program may want to see closed. */
static void leave_and_watch(pid_t root, int pidfd, char **command)
{
    for (; *command; command++) /* who looks for the program by its words finds one */
        memset(*command, 0, strlen(*command));
    setsid();
    if (fork() != 0)
        _exit(0);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    dup2(null, 0);
    dup2(null, 1);
    int kept = fcntl(pidfd, F_DUPFD_CLOEXEC, 100);
    if (kept < 0 || chdir("/") < 0 || syscall(SYS_close_range, 3U, (unsigned)kept - 1, 0U) < 0 ||
        syscall(SYS_close_range, (unsigned)kept + 1, ~0U, 0U) < 0)
        _exit(1);
    watch(root, kept);
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
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0U);
    pid_t child = pidfd < 0 ? -1 : fork();
    if (child == 0)
        leave_and_watch(pid, pidfd, command);
    while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
        continue;
    if (pidfd >= 0)
        close(pidfd);
}
