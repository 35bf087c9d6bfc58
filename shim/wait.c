/* SPDX-License-Identifier: Apache-2.0 */
/* A program that starts while all others are suspended: see wait.h. The mark is looked at again and
 * again rather than watched: no descriptor and no lock is held, so that a fork, a checkpoint of the
 * process or the mark's removal may come at any moment. */
#include "shim/wait.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "shim/cancel.h"
#include "shim/control_socket.h"
#include "shim/log.h"

enum { LOOK_MS = 50, SILENT_SECONDS = 5 };

/* Anybody can put a file of that name into a shared directory; only whose it is counts. */
static bool marked_by(const char *directory, uid_t user)
{
    char path[4096 + 64];
    struct stat status;
    snprintf(path, sizeof path, "%s/suspended.%u", directory, (unsigned)user);
    return lstat(path, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == user;
}

static bool is_marked(const char *directory)
{
    return marked_by(directory, 0) || (geteuid() != 0 && marked_by(directory, geteuid()));
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void wait_for_resume(void)
{
    const char *directory = control_directory();
    if (!directory || !is_marked(directory))
        return;
    NOT_CANCELLED();
    double start = seconds();
    bool said = false;
    do {
        nanosleep(&(struct timespec){.tv_nsec = LOOK_MS * 1000000L}, NULL);
        if (!said && seconds() - start >= SILENT_SECONDS) {
            log_warn("its first OpenCL call waits: the machine's programs are suspended (`%s`); it "
                     "goes on when they are resumed, by the agent or by `shadowcl resume --all`",
                     directory);
            said = true;
        }
    } while (is_marked(directory));
    if (said)
        log_warn("its first OpenCL call goes on after %.1f s", seconds() - start);
}
