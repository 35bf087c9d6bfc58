/* SPDX-License-Identifier: Apache-2.0 */
/* CRIU, found, checked and called: see criu.h. What it says goes to a log, of a dump in the
 * directory of the copy; of that, the first complaint is said here. */
#include "agent/criu.h"

#include "agent/breakpoints.h"
#include "agent/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define OURS_AT_HOME "/.local/share/shadowcl/criu/bin/criu"

enum { MAX_OPTIONS = 64, OLDEST_MAJOR = 3, OLDEST_MINOR = 17 };

extern char **environ;

static const int ignored[] = {SIGINT, SIGQUIT, SIGHUP, SIGTERM};
#define COUNT_IGNORED (sizeof ignored / sizeof *ignored)

/* What a terminal sends to all of its foreground would end a dump in the middle of a process, with
 * code of CRIU's in it. Ignored, and not blocked: CRIU may be a shell's script, and shells unblock.
 */
static void ignore_signals(struct sigaction before[COUNT_IGNORED])
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    for (size_t i = 0; i < COUNT_IGNORED; i++)
        sigaction(ignored[i], &ignore, &before[i]);
}

static void restore_signals(const struct sigaction before[COUNT_IGNORED])
{
    for (size_t i = 0; i < COUNT_IGNORED; i++)
        sigaction(ignored[i], &before[i], NULL);
}

/* Runs it to its end, with both outputs to `log`; its exit code, or -1. */
static int run(char *const *arguments, const char *log)
{
    bool is_dump = arguments[1] && !strcmp(arguments[1], "dump");
    posix_spawn_file_actions_t files;
    struct sigaction before[COUNT_IGNORED];
    pid_t pid;
    int status = -1;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 1, log, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW,
                                     0600);
    posix_spawn_file_actions_adddup2(&files, 1, 2);
    mode_t mask = umask(077); /* memory is in what it writes */
    if (is_dump)
        ignore_signals(before);
    int failed = posix_spawn(&pid, arguments[0], &files, NULL, arguments, environ);
    if (is_dump)
        restore_signals(before);
    umask(mask);
    posix_spawn_file_actions_destroy(&files);
    if (failed) {
        errno = failed;
        return -1;
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/* "(00.134073)   1007: Error (criu/sk-unix.c:1651): unix: ..." is "unix: ...". */
static bool take_complaint(char *line, char *out, size_t size)
{
    char *start = strstr(line, "Error (");
    char *end = start ? strstr(start, "): ") : NULL;
    /* It says the one wherever it may not raise its own limits, and goes on; the other of a child,
     * which tells why itself. */
    if (!end || !strncmp(end + 3, "rlimit:", 7) || !strncmp(end + 3, "exited, status=", 15))
        return false;
    end[3 + strcspn(end + 3, "\n")] = 0;
    snprintf(out, size, "%s", end + 3);
    return true;
}

/* The first line that says what is wrong; false when none does. */
static bool find_complaint(const char *path, char *out, size_t size)
{
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
    char *line = NULL;
    size_t room = 0;
    bool found = false;
    while (file && !found && getline(&line, &room, file) > 0)
        found = take_complaint(line, out, size);
    free(line);
    if (file)
        fclose(file);
    return found;
}

static bool is_program(const char *path)
{
    return access(path, X_OK) == 0;
}

/* `out` is untouched where there is none. */
static bool find_in_path(char out[PATH_MAX])
{
    char folders[PATH_MAX], found[PATH_MAX], *rest = folders;
    const char *path = getenv("PATH");
    snprintf(folders, sizeof folders, "%s:/usr/local/sbin:/usr/sbin:/sbin", path ? path : "");
    for (char *folder; (folder = strsep(&rest, ":"));) {
        int length = snprintf(found, sizeof found, "%s/criu", folder);
        if (*folder != '/' || length >= PATH_MAX || !is_program(found))
            continue;
        memcpy(out, found, (size_t)length + 1);
        return true;
    }
    return false;
}

/* Who else may write to it could have anything done with root's rights. */
static bool is_of(const char *path, uid_t user)
{
    struct stat status;
    return stat(path, &status) == 0 && (status.st_uid == 0 || status.st_uid == user) &&
           !(status.st_mode & (S_IWGRP | S_IWOTH));
}

/* Under sudo, home is root's; the one who called it has run get-criu.sh in his own. `out` is
 * untouched where there is none. */
static bool find_of_caller(char out[PATH_MAX])
{
    const char *name = getenv("SUDO_USER");
    struct passwd entry, *user = NULL;
    char room[16384], found[PATH_MAX];
    if (geteuid() == 0 && name && *name)
        getpwnam_r(name, &entry, room, sizeof room, &user);
    if (!user || snprintf(found, sizeof found, "%s" OURS_AT_HOME, user->pw_dir) >= PATH_MAX ||
        !is_program(found) || !is_of(found, user->pw_uid))
        return false;
    snprintf(out, PATH_MAX, "%s", found);
    return true;
}

static int find(char out[PATH_MAX], struct error *err)
{
    const char *set = getenv("SHADOWCL_CRIU"), *data = getenv("XDG_DATA_HOME");
    const char *home = getenv("HOME");
    error_object(err, "CRIU");
    if (set && *set) {
        snprintf(out, PATH_MAX, "%s", set);
        if (is_program(out))
            return 0;
        error_set(err, errno, "`%s`, which SHADOWCL_CRIU names, can't be run", set);
        return error_todo(err, "correct or unset SHADOWCL_CRIU");
    }
    if (data && *data)
        snprintf(out, PATH_MAX, "%s/shadowcl/criu/bin/criu", data);
    else
        snprintf(out, PATH_MAX, "%s" OURS_AT_HOME, home ? home : "");
    if (is_program(out) || find_of_caller(out) || find_in_path(out))
        return 0;
    error_set(err, 0, "it is not installed: neither in %.200s nor in PATH", out);
    return error_todo(err, "run scripts/get-criu.sh, or install the package `criu`");
}

/* To be filled in by mkostemp or mkdtemp. */
static void name_temporary(char path[PATH_MAX])
{
    const char *folder = getenv("TMPDIR");
    snprintf(path, PATH_MAX, "%s/shadowcl-criu-XXXXXX", folder && *folder ? folder : "/tmp");
}

/* A file of ours for what a short run says; it has no name afterwards. */
static int make_log(char path[PATH_MAX], struct error *err)
{
    name_temporary(path);
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return error_set(err, errno, "make `%s`", path);
    close(fd);
    return 0;
}

static int read_version(struct criu *criu, const char *log, struct error *err)
{
    char *const arguments[] = {criu->path, "--version", NULL};
    int major = 0, minor = 0;
    int code = run(arguments, log);
    FILE *file = fopen(log, "re");
    if (!file || fscanf(file, "Version: %31s", criu->version) != 1)
        criu->version[0] = 0;
    if (file)
        fclose(file);
    if (code != 0 || sscanf(criu->version, "%d.%d", &major, &minor) < 2) {
        error_set(err, 0, "`%s --version` failed", criu->path);
        return error_todo(err, "see what it says, or run scripts/get-criu.sh --force");
    }
    if (major > OLDEST_MAJOR || (major == OLDEST_MAJOR && minor >= OLDEST_MINOR))
        return 0;
    error_set(err, 0, "`%s` is version %s; %d.%d is the oldest that is of use", criu->path,
              criu->version, OLDEST_MAJOR, OLDEST_MINOR);
    return error_todo(err, "run scripts/get-criu.sh, or install a newer one");
}

/* `criu check` tries what it needs of the kernel. */
static int check_kernel(struct criu *criu, const char *log, struct error *err)
{
    char *const arguments[] = {criu->path, "check", NULL};
    char complaint[256] = "it does not say why";
    if (run(arguments, log) == 0)
        return 0;
    find_complaint(log, complaint, sizeof complaint);
    error_set(err, 0, "`%.150s` (version %s) does not work on this kernel: %s", criu->path,
              criu->version, complaint);
    return error_todo(err, "run scripts/get-criu.sh, or name a newer one in SHADOWCL_CRIU; "
                           "`criu check` says the rest");
}

int criu_find(struct criu *criu, struct error *err)
{
    char log[PATH_MAX];
    if (find(criu->path, err) < 0)
        return -1;
    if (geteuid() != 0) {
        error_set(err, 0, "copying and making processes takes root's rights");
        return error_todo(err, "run this as root: sudo shadowcl ...");
    }
    if (make_log(log, err) < 0)
        return -1;
    int result = read_version(criu, log, err);
    if (result == 0)
        result = check_kernel(criu, log, err);
    unlink(log);
    return result;
}

bool criu_has_option(const struct criu *criu, const char *option)
{
    for (char *const *more = criu->more; more && *more; more++)
        if (!strcmp(*more, option))
            return true;
    return false;
}

static size_t append(char **arguments, size_t count, char *const *more)
{
    for (; more && *more && count + 1 < MAX_OPTIONS; more++)
        arguments[count++] = *more;
    arguments[count] = NULL;
    return count;
}

/* Ours does what the plugin would. And where there are no hardware breakpoints, it is to stop at
 * every system call instead, which it does when asked for its fault number 130. */
static int run_ours(char *const *arguments, const char *output)
{
    bool no_breakpoints = !getenv("CRIU_FAULT") && !breakpoints_work();
    setenv("SHADOWCL_CRIU_PLUGIN", "off", 1);
    if (no_breakpoints)
        setenv("CRIU_FAULT", "130", 1);
    int code = run(arguments, output);
    int reason = errno;
    unsetenv("SHADOWCL_CRIU_PLUGIN");
    if (no_breakpoints)
        unsetenv("CRIU_FAULT");
    errno = reason;
    return code;
}

static int run_in(const char *dir, const char *log, char *const *arguments, struct error *err)
{
    char output[PATH_MAX], path[PATH_MAX], complaint[256] = "it does not say why";
    snprintf(output, sizeof output, "%s/criu.out", dir);
    snprintf(path, sizeof path, "%s/%s", dir, log);
    unlink(output); /* of an earlier time: it may have another mode */
    unlink(path);
    int code = run_ours(arguments, output);
    if (code == 0) {
        unlink(output);
        return 0;
    }
    if (code < 0)
        return error_set(err, errno, "start `%s`", arguments[0]);
    if (!find_complaint(path, complaint, sizeof complaint))
        find_complaint(output, complaint, sizeof complaint);
    error_object(err, "CRIU");
    error_set(err, 0, "%s", complaint);
    return error_todo(err, "see %s for all that it says", path);
}

int criu_dump(const struct criu *criu, pid_t root, const char *dir, bool leave_running,
              struct error *err)
{
    char pid[16], *arguments[MAX_OPTIONS + 1];
    char *const own[] = {(char *)criu->path,
                         "dump",
                         "--tree",
                         pid,
                         "--images-dir",
                         (char *)dir,
                         "--log-file",
                         "dump.log",
                         "-v2",
                         "--shell-job",
                         "--file-locks",
                         leave_running ? "--leave-running" : "--leave-stopped",
                         NULL};
    snprintf(pid, sizeof pid, "%d", (int)root);
    append(arguments, append(arguments, 0, own), criu->more);
    return run_in(dir, "dump.log", arguments, err);
}

static int read_pid(const char *path, pid_t *pid, struct error *err)
{
    int number = 0;
    FILE *file = fopen(path, "re");
    bool read = file && fscanf(file, "%d", &number) == 1;
    if (file)
        fclose(file);
    *pid = number;
    return read ? 0 : error_set(err, 0, "CRIU does not say what process it made");
}

/* CRIU's log, and the file that says what it made. Not beside the copy: that may be one that can't
 * be written to, and be restored by two at a time. */
static int make_folder(char out[PATH_MAX], struct error *err)
{
    char path[PATH_MAX];
    name_temporary(path);
    if (!mkdtemp(path) || !realpath(path, out))
        return error_set(err, errno, "make `%s`", path);
    return 0;
}

static int remove_one(int dir, const char *file, void *unused)
{
    unlinkat(dir, file, 0);
    return 0;
}

static void remove_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0) {
        folder_each(fd, remove_one, NULL);
        close(fd);
    }
    rmdir(path);
}

int criu_restore(const struct criu *criu, const char *dir, char *const *inherit, pid_t *root,
                 struct error *err)
{
    char folder[PATH_MAX], pidfile[PATH_MAX], *arguments[MAX_OPTIONS + 1];
    char *const own[] = {(char *)criu->path,
                         "restore",
                         "--images-dir",
                         (char *)dir,
                         "--work-dir",
                         folder,
                         "--log-file",
                         "restore.log",
                         "-v2",
                         "--shell-job",
                         "--file-locks",
                         "--restore-detached",
                         "--restore-sibling",
                         "--pidfile",
                         pidfile,
                         NULL};
    if (make_folder(folder, err) < 0)
        return -1;
    if (snprintf(pidfile, sizeof pidfile, "%s/pid", folder) >= PATH_MAX) {
        remove_folder(folder);
        return error_set(err, ENAMETOOLONG, "name a file in `%.100s`", folder);
    }
    size_t count = append(arguments, 0, own);
    append(arguments, append(arguments, count, inherit), criu->more);
    if (run_in(folder, "restore.log", arguments, err) < 0)
        return -1; /* its log stays */
    int result = read_pid(pidfile, root, err);
    remove_folder(folder);
    return result;
}
