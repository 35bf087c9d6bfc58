/* SPDX-License-Identifier: Apache-2.0 */
/* The program that `run` is to start: where it is, and whether a preloaded library reaches it. */
#include "agent/program.h"

#include "agent/process.h"
#include "agent/verbs.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#if defined(__x86_64__)
enum { OUR_MACHINE = EM_X86_64 };
#else
enum { OUR_MACHINE = EM_AARCH64 };
#endif
enum { MAX_INTERPRETERS = 4, MAX_HEADERS = 4096 };

static bool is_executable(const char *path, bool *exists)
{
    struct stat status;
    if (stat(path, &status) < 0)
        return false;
    *exists = true;
    return S_ISREG(status.st_mode) && access(path, X_OK) == 0;
}

/* In the folders of PATH; *exists if something of that name is there. */
static bool search(const char *command, char path[PATH_MAX], bool *exists)
{
    const char *folders = getenv("PATH");
    if (!folders || !*folders)
        folders = "/usr/bin:/bin";
    for (;;) {
        size_t length = strcspn(folders, ":");
        int size = snprintf(path, PATH_MAX, "%.*s%s%s", (int)length, folders, length ? "/" : "./",
                            command);
        if (size < PATH_MAX && is_executable(path, exists))
            return true;
        if (!folders[length])
            return false;
        folders += length + 1;
    }
}

int program_find(const char *command, char path[PATH_MAX], int *code, struct error *err)
{
    bool exists = false, found;
    if (strchr(command, '/')) {
        snprintf(path, PATH_MAX, "%s", command);
        found = is_executable(path, &exists);
    } else {
        found = *command && search(command, path, &exists);
    }
    if (found)
        return 0;
    *code = exists ? EXIT_NOT_EXECUTABLE : EXIT_NOT_FOUND;
    error_object(err, "command `%s`", command);
    if (exists) {
        error_set(err, 0, "is not an executable file");
        return error_todo(err, "make it executable (chmod +x), or start it by its interpreter");
    }
    error_set(err, 0, strchr(command, '/') ? "there is no such file" : "not found in PATH");
    return error_todo(err, "correct the name, install the program, or give its path");
}

/* The loader ignores LD_PRELOAD where a program gains rights that its user has not. */
static int check_rights(int fd, const char *path, struct error *err)
{
    struct stat status;
    char user[64];
    if (fstat(fd, &status) < 0)
        return 0;
    const char *how = NULL;
    if ((status.st_mode & S_ISUID) && status.st_uid != getuid())
        how = "setuid";
    else if ((status.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) &&
             status.st_gid != getgid())
        how = "setgid";
    else if (getuid() != 0 && fgetxattr(fd, "security.capability", NULL, 0) > 0)
        how = "given file capabilities";
    if (!how)
        return 0;
    process_user(status.st_uid, user, sizeof user);
    error_object(err, "program `%s`", path);
    error_set(err, 0, "it is %s (owner %s): the system's loader preloads nothing into it", how,
              user);
    return error_todo(err,
                      "run it as %s itself, or start the real program inside of it by "
                      "`shadowcl run`",
                      user);
}

static int refuse(struct error *err, const char *path, const char *reason, const char *todo)
{
    error_object(err, "program `%s`", path);
    error_set(err, 0, "%s", reason);
    return error_todo(err, "%s", todo);
}

/* The path in PT_INTERP; empty where there is none. */
static void read_loader(int fd, const Elf64_Ehdr *elf, char *out, size_t size)
{
    out[0] = 0;
    for (int i = 0; i < elf->e_phnum && i < MAX_HEADERS; i++) {
        Elf64_Phdr header;
        off_t at = (off_t)(elf->e_phoff + (uint64_t)i * elf->e_phentsize);
        if (pread(fd, &header, sizeof header, at) != (ssize_t)sizeof header)
            return;
        if (header.p_type != PT_INTERP)
            continue;
        ssize_t length = pread(fd, out, header.p_filesz < size ? header.p_filesz : size - 1,
                               (off_t)header.p_offset);
        out[length < 0 ? 0 : length] = 0;
        return;
    }
}

static int check_elf(int fd, const char *path, struct error *err)
{
    Elf64_Ehdr elf;
    char loader[PATH_MAX];
    if (pread(fd, &elf, sizeof elf, 0) != (ssize_t)sizeof elf ||
        elf.e_ident[EI_CLASS] != ELFCLASS64 || elf.e_machine != OUR_MACHINE)
        return refuse(err, path, "it is for another architecture than shadowcl's library",
                      "use a program built for this machine, 64 bit");
    read_loader(fd, &elf, loader, sizeof loader);
    if (!loader[0])
        return refuse(err, path, "it is linked statically: nothing can be preloaded into it",
                      "use a build of it that is linked dynamically");
    if (!strstr(loader, "ld-linux"))
        return refuse(err, path, "it does not use glibc's loader, which shadowcl's library needs",
                      "use a build of it for glibc");
    return 0;
}

/* The next word of a `#!` line; NULL at its end. */
static char *word(char **line)
{
    *line += strspn(*line, " \t");
    if (!**line)
        return NULL;
    char *start = *line;
    *line += strcspn(*line, " \t");
    if (**line)
        *(*line)++ = 0;
    return start;
}

/* `#!/usr/bin/env python3` starts python3. */
static int read_interpreter(char *line, char path[PATH_MAX])
{
    struct error ignored;
    int code;
    line[strcspn(line, "\n")] = 0;
    line += 2;
    char *name = word(&line);
    if (!name)
        return -1;
    const char *base = strrchr(name, '/');
    char *next = base && !strcmp(base, "/env") ? word(&line) : NULL;
    while (next && (next[0] == '-' || strchr(next, '=')))
        next = word(&line);
    return program_find(next ? next : name, path, &code, &ignored);
}

bool program_is_elf(const char *path)
{
    char start[SELFMAG] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, start, sizeof start);
    if (fd >= 0)
        close(fd);
    return size == SELFMAG && !memcmp(start, ELFMAG, SELFMAG);
}

int program_check(const char *path, struct error *err)
{
    char current[PATH_MAX];
    snprintf(current, sizeof current, "%s", path);
    for (int i = 0; i <= MAX_INTERPRETERS; i++) {
        char start[256] = "";
        int fd = open(current, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return 0; /* executable, but not readable: exec will tell */
        ssize_t size = pread(fd, start, sizeof start - 1, 0);
        bool is_script = size > 2 && !strncmp(start, "#!", 2);
        int result = 0;
        if (!is_script)
            result = check_rights(fd, current, err);
        if (result == 0 && size >= SELFMAG && !memcmp(start, ELFMAG, SELFMAG))
            result = check_elf(fd, current, err);
        close(fd);
        if (result < 0 || !is_script || read_interpreter(start, current) < 0)
            return result;
    }
    return 0;
}
