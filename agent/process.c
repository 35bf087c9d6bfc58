/* SPDX-License-Identifier: Apache-2.0 */
/* What /proc tells of a process: whether it lives, whose it is, and which OpenCL it has loaded. */
#include "agent/process.h"
#include "agent/text.h"

#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A loader or a driver: its file's name starts so. */
static const char *const opencl_names[] = {
    "libOpenCL.so", "libpocl",     "libnvidia-opencl", "libRusticlOpenCL", "libMesaOpenCL",
    "libamdocl",    "liboclgrind", "libigdrcl",        "libintelocl",
};

static FILE *open_proc(pid_t pid, const char *file)
{
    char path[64 + NAME_MAX];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
    return fopen(path, "re");
}

bool process_lives(pid_t pid)
{
    FILE *file = open_proc(pid, "stat");
    if (!file)
        return false;
    char line[512] = "";
    if (!fgets(line, sizeof line, file))
        line[0] = 0;
    fclose(file);
    const char *state = strrchr(line, ')'); /* the name before it may hold anything */
    return state && state[1] == ' ' && state[2] != 'Z' && state[2] != 'X';
}

int process_owner(pid_t pid, uid_t *out)
{
    char path[32];
    struct stat status;
    snprintf(path, sizeof path, "/proc/%d", (int)pid);
    if (stat(path, &status) < 0)
        return -1;
    *out = status.st_uid;
    return 0;
}

int process_root(pid_t pid, uid_t *out)
{
    unsigned inside, outside = 0;
    bool found = false;
    FILE *file = open_proc(pid, "uid_map");
    while (file && !found && fscanf(file, "%u %u %*u", &inside, &outside) == 2)
        found = inside == 0;
    if (file)
        fclose(file);
    *out = outside;
    return found && outside != (uid_t)-1 ? 0 : -1;
}

/* Of one of its namespaces, where that is not ours. */
static uint64_t own_namespace(pid_t pid, const char *name)
{
    char path[64];
    struct stat ours, its;
    snprintf(path, sizeof path, "/proc/self/ns/%s", name);
    if (stat(path, &ours) < 0)
        return 0;
    snprintf(path, sizeof path, "/proc/%d/ns/%s", (int)pid, name);
    return stat(path, &its) < 0 || its.st_ino == ours.st_ino ? 0 : its.st_ino;
}

bool process_has_own_users(pid_t pid)
{
    return own_namespace(pid, "user") != 0;
}

uint64_t process_pid_namespace(pid_t pid)
{
    return own_namespace(pid, "pid");
}

pid_t process_inner_pid(pid_t pid)
{
    char line[256];
    pid_t inner = 0;
    FILE *file = open_proc(pid, "status");
    while (file && !inner && fgets(line, sizeof line, file))
        if (!strncmp(line, "NSpid:", strlen("NSpid:")))
            inner = (pid_t)strtol(strrchr(line, '\t') + 1, NULL, 10);
    if (file)
        fclose(file);
    return inner;
}

void process_command(pid_t pid, char *out, size_t size)
{
    char line[64] = "";
    FILE *file = open_proc(pid, "comm");
    if (file) {
        if (!fgets(line, sizeof line, file))
            line[0] = 0;
        fclose(file);
    }
    line[strcspn(line, "\n")] = 0;
    text_clean(out, size, line);
}

/* Our library lies in a folder of its own: .../shadowcl/libOpenCL.so.1, .../shadowcl/alias/... */
static bool is_shim(const char *path, const char *name)
{
    if (strncmp(name, "libOpenCL.so", strlen("libOpenCL.so")))
        return false;
    size_t folder = (size_t)(name - path);
    const char *const ends[] = {"/shadowcl/", "/shadowcl/alias/"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        size_t length = strlen(ends[i]);
        if (folder >= length && !memcmp(name - length, ends[i], length))
            return true;
    }
    return false;
}

static bool is_opencl(const char *name)
{
    for (size_t i = 0; i < sizeof opencl_names / sizeof *opencl_names; i++)
        if (!strncmp(name, opencl_names[i], strlen(opencl_names[i])) && strstr(name, ".so"))
            return true;
    return false;
}

int process_opencl(pid_t pid, char *library, size_t size)
{
    FILE *file = open_proc(pid, "maps");
    if (!file)
        return 0;
    int found = 0;
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, file) > 0) {
        const char *path = strchr(line, '/');
        if (!path)
            continue;
        line[strcspn(line, "\n")] = 0;
        const char *name = strrchr(path, '/') + 1;
        if (is_shim(path, name)) {
            found |= PROCESS_SHIM;
        } else if (is_opencl(name)) {
            if (!(found & PROCESS_OPENCL))
                text_clean(library, size, name);
            found |= PROCESS_OPENCL;
        }
    }
    free(line);
    fclose(file);
    return found;
}

int process_variable(pid_t pid, const char *name, char *value, size_t size)
{
    size_t length = strlen(name), room = 0;
    char *text = NULL;
    bool found = false;
    FILE *file = open_proc(pid, "environ");
    while (file && !found && getdelim(&text, &room, 0, file) > 0)
        found = !strncmp(text, name, length) && text[length] == '=';
    bool is_known = file && !ferror(file) && (!found || strlen(text + length + 1) < size);
    snprintf(value, size, "%s", found && is_known ? text + length + 1 : "");
    free(text);
    if (file)
        fclose(file);
    return is_known ? found : -1;
}

/* What a process is when it opens files. */
struct credentials {
    uid_t user;
    gid_t group;
    bool in_group; /* of the file's */
    bool above;    /* permissions don't count: CAP_DAC_OVERRIDE */
};

static bool names_group(const char *list, gid_t group)
{
    char *end;
    for (;; list = end) {
        unsigned long one = strtoul(list, &end, 10);
        if (end == list)
            return false;
        if (one == group)
            return true;
    }
}

/* The last of the four numbers is that for files (proc(5)). */
static bool read_credentials(pid_t pid, gid_t group, struct credentials *its)
{
    enum { DAC_OVERRIDE = 1 };
    unsigned long long capabilities = 0;
    unsigned found = 0;
    char *line = NULL;
    size_t room = 0;
    FILE *file = open_proc(pid, "status");
    *its = (struct credentials){0};
    while (file && getline(&line, &room, file) > 0) {
        found += sscanf(line, "Uid: %*u %*u %*u %u", &its->user) == 1;
        found += sscanf(line, "Gid: %*u %*u %*u %u", &its->group) == 1;
        found += sscanf(line, "CapEff: %llx", &capabilities) == 1;
        if (!strncmp(line, "Groups:", strlen("Groups:")))
            its->in_group = names_group(line + strlen("Groups:"), group);
    }
    free(line);
    if (file)
        fclose(file);
    its->in_group = its->in_group || its->group == group;
    its->above = capabilities >> DAC_OVERRIDE & 1;
    return found == 3;
}

bool process_may_write(pid_t pid, const struct stat *folder)
{
    struct credentials its;
    mode_t wanted = S_IWOTH | S_IXOTH;
    if (!read_credentials(pid, folder->st_gid, &its) || its.above)
        return true;
    if (its.user == folder->st_uid)
        wanted = S_IWUSR | S_IXUSR;
    else if (its.in_group)
        wanted = S_IWGRP | S_IXGRP;
    return (folder->st_mode & wanted) == wanted;
}

const char *process_user(uid_t uid, char *out, size_t size)
{
    char room[16384];
    struct passwd entry, *user = NULL;
    getpwuid_r(uid, &entry, room, sizeof room, &user);
    if (user)
        text_clean(out, size, user->pw_name);
    else
        snprintf(out, size, "%u", (unsigned)uid);
    return out;
}

void process_each_descriptor(pid_t pid,
                             void (*visit)(pid_t pid, const char *number, const char *target,
                                           void *data),
                             void *data)
{
    char path[64 + NAME_MAX], target[PATH_MAX];
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        snprintf(path, sizeof path, "/proc/%d/fd/%s", (int)pid, entry->d_name);
        ssize_t length = readlink(path, target, sizeof target - 1);
        target[length < 0 ? 0 : length] = 0;
        visit(pid, entry->d_name, target, data);
    }
    if (folder)
        closedir(folder);
}

int process_open_flags(pid_t pid, const char *number)
{
    char file[32 + NAME_MAX], line[128];
    unsigned flags = 0;
    snprintf(file, sizeof file, "fdinfo/%s", number);
    FILE *info = open_proc(pid, file);
    while (info && fgets(line, sizeof line, info))
        sscanf(line, "flags: %o", &flags);
    if (info)
        fclose(info);
    return (int)flags;
}
