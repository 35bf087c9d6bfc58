/* SPDX-License-Identifier: Apache-2.0 */
/* The drivers that `run` is told of: see drivers.h. */
#include "agent/drivers.h"

#include "agent/program.h"
#include "agent/report.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_WHY = 384, PATIENCE = 60 /* s */ };

static bool is_icd(const char *name)
{
    const char *end = strrchr(name, '.');
    return end && end != name && !strcmp(end, ".icd");
}

/* As whoever loads it for good finds it (shim/loader.c). */
static bool has_entry(void *handle)
{
    static const char name[] = "clIcdGetPlatformIDsKHR";
    void *(*function)(const char *) = NULL;
    *(void **)&function = dlsym(handle, "clGetExtensionFunctionAddress");
    return (function && function(name)) || dlsym(handle, name);
}

/* Why it is none; empty: it is one. */
static _Noreturn void load(const char *library, int out)
{
    char why[MAX_WHY] = "";
    int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd <= 2; fd++)
        dup2(nowhere, fd);
    void *handle = dlopen(library, RTLD_LAZY | RTLD_LOCAL);
    if (!handle)
        snprintf(why, sizeof why, "it can't be loaded: %s", dlerror());
    else if (!has_entry(handle))
        snprintf(why, sizeof why, "it is no OpenCL driver (no clIcdGetPlatformIDsKHR)");
    _exit(write(out, why, sizeof why) < 0);
}

/* In a process of its own: what a driver does when it is loaded stays there, be it its end. */
static int check_library(const char *library, struct error *err)
{
    char why[MAX_WHY];
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return 0; /* it is found out when the program starts */
    pid_t pid = fork();
    if (pid == 0)
        load(library, ends[1]);
    close(ends[1]);
    struct pollfd said = {.fd = ends[0], .events = POLLIN};
    bool hangs = pid > 0 && poll(&said, 1, PATIENCE * 1000) == 0;
    if (hangs)
        kill(pid, SIGKILL);
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    ssize_t length = pid > 0 ? read(ends[0], why, sizeof why) : 0;
    close(ends[0]);
    if (pid < 0)
        return 0;
    if (hangs)
        return error_set(err, 0, "whoever loads it has not come back in %d s", PATIENCE);
    if (length != sizeof why)
        return error_set(err, 0, "whoever loads it is ended by it");
    return why[0] ? error_set(err, 0, "%.*s", MAX_WHY - 1, why) : 0;
}

static int check_icd(const char *path, struct error *err)
{
    char line[PATH_MAX] = "";
    struct error why = {0};
    FILE *file = fopen(path, "re");
    if (!file)
        return error_set(err, errno, "it can't be read");
    if (!fgets(line, sizeof line, file))
        line[0] = 0;
    fclose(file);
    char *name = line + strspn(line, " \t");
    name[strcspn(name, "\r\n")] = 0;
    for (size_t end = strlen(name); end && strchr(" \t", name[end - 1]);)
        name[--end] = 0;
    if (!*name)
        return error_set(err, 0, "its first line is not the name of a library");
    if (strchr(name, '$') || check_library(name, &why) == 0)
        return 0;
    return error_set(err, 0, "of the library that it names: %s", why.reason);
}

static void note(struct error *why, const char *path)
{
    error_object(why, "driver `%s`", path);
    error_todo(why, "take the file away, or install the library that it names");
    report_note(why);
}

/* One will do. The program loads the others all the same, so they are looked at, too. */
static int check_folder(const char *path, struct error *err)
{
    bool found = false;
    char first[NAME_MAX + 1] = "", file[PATH_MAX + NAME_MAX + 2];
    struct error failed = {0};
    DIR *folder = opendir(path);
    if (!folder)
        return error_set(err, errno, "can't be read");
    for (struct dirent *entry; (entry = readdir(folder));) {
        struct error why = {0};
        snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        if (!is_icd(entry->d_name))
            continue;
        if (check_icd(file, &why) == 0) {
            found = true;
        } else if (first[0]) {
            note(&why, file);
        } else {
            snprintf(first, sizeof first, "%s", entry->d_name);
            failed = why;
        }
    }
    closedir(folder);
    if (!first[0])
        return found ? 0 : error_set(err, 0, "no .icd file is in this folder");
    if (!found)
        return error_set(err, 0, "no driver comes of this folder: `%s`: %s", first, failed.reason);
    snprintf(file, sizeof file, "%s/%s", path, first);
    note(&failed, file);
    return 0;
}

static int check_one(const char *path, struct error *err)
{
    struct stat status;
    bool is_path = strchr(path, '/') != NULL;
    if (strchr(path, '$')) /* the loader knows $ORIGIN */
        return 0;
    int there = stat(path, &status);
    if (there < 0 && (is_path || is_icd(path)))
        return error_set(err, errno, "it can't be used");
    if (there == 0 && S_ISDIR(status.st_mode))
        return check_folder(path, err);
    if (is_icd(path))
        return check_icd(path, err);
    if (is_path && !program_is_elf(path))
        return error_set(err, 0, "it is neither a library nor an .icd file");
    return check_library(path, err);
}

int drivers_check(const char *list, struct error *err)
{
    bool any = false, failed = false;
    for (; list && *list; list += strspn(list, ":")) {
        char path[PATH_MAX];
        struct error why = {0};
        size_t length = strcspn(list, ":");
        snprintf(path, sizeof path, "%.*s", (int)length, list);
        list += length;
        if (check_one(path, &why) == 0) {
            any = true;
            continue;
        }
        error_object(&why, "driver `%s`", path);
        error_todo(&why, "name folders of .icd files, or drivers' libraries, separated by colons "
                         "(--drivers, SHADOWCL_DRIVERS); with --force the program is started all "
                         "the same");
        if (failed)
            report_note(&why);
        else
            *err = why;
        failed = true;
    }
    if (failed && any)
        report_note(err);
    return failed && !any ? -1 : 0;
}
