/* SPDX-License-Identifier: Apache-2.0 */
/* The processes that a verb was asked to work on, found or not. */
#include "agent/targets.h"

#include "agent/ask.h"
#include "agent/away.h"
#include "agent/process.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WAKE_TRIES = 200 };

static const char *where_looked(void)
{
    const char *set = getenv("SHADOWCL_RUNTIME_DIR");
    return set && *set ? set : "/run/shadowcl and $XDG_RUNTIME_DIR/shadowcl";
}

/* Alive, and ours to look at. */
static void explain_uncovered(struct report *report, struct error *err)
{
    char library[64] = "";
    int found = process_opencl(report->pid, library, sizeof library);
    if (found & PROCESS_SHIM) {
        error_set(err, 0,
                  "it has shadowcl's library, but no socket in %s, nor where its environment says",
                  where_looked());
        error_todo(err, "it listens from its first OpenCL call on; if it made one, see "
                        "SHADOWCL_LOG=error for its reason");
    } else if (found & PROCESS_OPENCL) {
        error_set(err, 0, "it is not under shadowcl: it has loaded %s without shadowcl's library",
                  library);
        error_todo(err, "start it with `shadowcl run`; a launcher in between may have dropped "
                        "LD_PRELOAD");
    } else {
        error_set(err, 0,
                  "it is not under shadowcl: it has no OpenCL library loaded, and no "
                  "socket in %s",
                  where_looked());
        error_todo(err, "start it with `shadowcl run`; see `shadowcl ps` for those that are");
    }
}

static void explain_absent(struct report *report)
{
    char user[64];
    struct error *err = report_fail(report);
    bool lives = process_lives(report->pid) && process_owner(report->pid, &report->uid) == 0;
    report_set_state(report, lives ? "unknown" : "gone");
    if (!lives) {
        error_set(err, 0, "there is no such process");
        error_todo(err, "see `shadowcl ps` for those that are there");
        return;
    }
    process_command(report->pid, report->command, sizeof report->command);
    if (geteuid() != 0 && report->uid != geteuid()) {
        process_user(report->uid, user, sizeof user);
        error_set(err, 0, "it belongs to %s, not to you", user);
        error_todo(err, "run shadowcl as %s or as root", user);
        return;
    }
    explain_uncovered(report, err);
}

static struct report *add(struct targets *targets, pid_t pid)
{
    struct report *report = &targets->list[targets->count++];
    report->pid = pid;
    report_set_state(report, "unknown");
    return report;
}

static void add_peer(struct targets *targets, const struct peer *peer)
{
    struct report *report = add(targets, peer->pid);
    report->peer = peer;
    report->uid = peer->uid;
    process_command(peer->pid, report->command, sizeof report->command);
}

static void add_named(struct targets *targets, pid_t pid)
{
    size_t before = targets->count;
    for (size_t i = 0; i < targets->peers.count; i++)
        if (targets->peers.list[i].pid == pid)
            add_peer(targets, &targets->peers.list[i]);
    if (targets->count == before)
        explain_absent(add(targets, pid));
}

/* One that has left its socket, for CRIU, and is named by somebody, has been left behind, or was
 * made again by CRIU alone. Not being woken in time, it is told to have no socket. */
static void wake(const struct options *options)
{
    struct error ignored = {0};
    for (size_t i = 0; i < options->num_pids; i++) {
        if (!away_is(options->pids[i]) || away_wake(options->pids[i], &ignored) < 0)
            continue;
        kill(options->pids[i], SIGCONT); /* CRIU leaves it stopped */
        for (int tries = 0; tries < WAKE_TRIES && away_is(options->pids[i]); tries++)
            usleep(10000);
    }
}

int targets_find(struct targets *targets, const struct options *options, struct error *err)
{
    *targets = (struct targets){0};
    wake(options);
    if (peers_scan(&targets->peers, options->pids, options->num_pids, err) < 0)
        return -1;
    size_t most = targets->peers.count + options->num_pids;
    targets->list = calloc(most + 1, sizeof *targets->list);
    if (!targets->list)
        return error_set(err, ENOMEM, "can't remember the processes");
    for (size_t i = 0; i < options->num_pids; i++)
        add_named(targets, options->pids[i]);
    for (size_t i = 0; !options->num_pids && i < targets->peers.count; i++)
        add_peer(targets, &targets->peers.list[i]);
    return 0;
}

void targets_finish(struct targets *targets)
{
    for (size_t i = 0; i < targets->count; i++)
        report_finish(&targets->list[i]);
    free(targets->list);
    peers_finish(&targets->peers);
}

bool targets_failed(const struct targets *targets)
{
    for (size_t i = 0; i < targets->count; i++)
        if (targets->list[i].failed)
            return true;
    return false;
}

static void explain_silent(struct report *report)
{
    struct error *err = report_fail(report);
    error_set(err, 0, "it does not say its state (asked for %d s)", (int)STATUS_TIMEOUT);
    error_todo(err, "see whether it is stopped or hangs, or name the other processes instead of "
                    "--all");
}

int targets_keep_undone(struct targets *targets, const char *done, struct error *err)
{
    if (targets->count == 0) {
        error_set(err, 0, "no process is under shadowcl (looked in %s)", where_looked());
        return error_todo(err, "start programs with `shadowcl run`; see `shadowcl ps` for those "
                               "that escaped it");
    }
    ask_status(targets->list, targets->count);
    size_t kept = 0;
    for (size_t i = 0; i < targets->count; i++) {
        struct report *report = &targets->list[i];
        bool gone = !strcmp(report->state, "gone");
        if (!gone && !report->response)
            explain_silent(report);
        if (gone || !strcmp(report->state, done))
            report_finish(report);
        else
            targets->list[kept++] = *report;
    }
    targets->count = kept;
    if (kept)
        return 0;
    error_set(err, 0, "every process under shadowcl is %s already", done);
    return error_todo(err, "nothing; see `shadowcl ps`");
}

/* Does its environment name the same runtime directory as ours, or none as ours? */
static bool is_of_here(pid_t pid)
{
    const char *ours = getenv("SHADOWCL_RUNTIME_DIR");
    char theirs[PATH_MAX];
    return process_variable(pid, "SHADOWCL_RUNTIME_DIR", theirs, sizeof theirs) >= 0 &&
           !strcmp(theirs, ours ? ours : "");
}

pid_t targets_find_away(void)
{
    pid_t found = 0;
    DIR *proc = opendir("/proc");
    for (struct dirent *entry; proc && !found && (entry = readdir(proc));) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (pid > 0 && away_is(pid) && is_of_here(pid))
            found = pid;
    }
    if (proc)
        closedir(proc);
    return found;
}

void targets_each_uncovered(const struct peers *peers,
                            void (*visit)(pid_t pid, bool has_shim, const char *library,
                                          void *data),
                            void *data)
{
    DIR *proc = opendir("/proc");
    for (struct dirent *entry; proc && (entry = readdir(proc));) {
        char library[64] = "";
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (!isdigit((unsigned char)entry->d_name[0]) || peers_have(peers, pid))
            continue;
        int found = process_opencl(pid, library, sizeof library);
        if (found & PROCESS_OPENCL)
            visit(pid, found & PROCESS_SHIM, library, data);
    }
    if (proc)
        closedir(proc);
}

static void note_one(pid_t pid, bool has_shim, const char *library, void *data)
{
    struct error err = {0};
    char command[64];
    process_command(pid, command, sizeof command);
    error_object(&err, "process %d %s", (int)pid, command);
    error_set(&err, 0, "uses OpenCL (%s) %s: it keeps the device", library,
              has_shim ? "with shadowcl's library, but has no socket here" : "not under shadowcl");
    error_todo(&err, has_shim ? "see SHADOWCL_RUNTIME_DIR, and SHADOWCL_LOG=warn for its reason"
                              : "start it with `shadowcl run`");
    report_note(&err);
}

void targets_note_uncovered(const struct targets *targets)
{
    targets_each_uncovered(&targets->peers, note_one, NULL);
}
