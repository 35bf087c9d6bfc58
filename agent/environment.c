/* SPDX-License-Identifier: Apache-2.0 */
/* What puts a program under shadowcl: our library's place, and the variables that lead to it. */
#include "agent/environment.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char library[] = "libOpenCL.so.1";
/* For programs that open `libOpenCL.so`: an empty library of that name, which needs ours. */
static const char alias[] = "alias/libOpenCL.so";
/* Room for the thread-local storage of a library that is loaded late. */
static const char tunable[] = "glibc.rtld.optional_static_tls";
static const char tunable_value[] = "4096";

enum { MAX_FILE = PATH_MAX + 32 };

static bool is_there(const char *folder, const char *file)
{
    char path[MAX_FILE];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    return access(path, R_OK) == 0;
}

/* The loader splits lists at these, and expands `$`. */
static int check_name(const char *folder, struct error *err)
{
    if (!strpbrk(folder, " :;$\t\n"))
        return 0;
    error_object(err, "library `%s/%s`", folder, library);
    error_set(err, 0, "LD_PRELOAD can't hold a path with a space, colon, semicolon or dollar");
    return error_todo(err, "build or install shadowcl in a folder without these");
}

static bool try_folder(const char *start, const char *libdir, char folder[PATH_MAX])
{
    char path[MAX_FILE + 64], real[PATH_MAX];
    if (libdir[0] == '/')
        snprintf(path, sizeof path, "%s/shadowcl", libdir);
    else
        snprintf(path, sizeof path, "%s/../%s/shadowcl", start, libdir);
    const char *clean = realpath(path, real) ? real : path;
    snprintf(folder, PATH_MAX, "%.*s", PATH_MAX - 1, clean);
    return is_there(folder, library) && is_there(folder, alias);
}

int environment_find_library(char folder[PATH_MAX], struct error *err)
{
    char start[PATH_MAX], other[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", start, sizeof start - 1);
    start[length < 0 ? 0 : length] = 0;
    char *slash = strrchr(start, '/');
    if (!slash)
        return error_set(err, errno, "can't find the command's own place by /proc/self/exe");
    *slash = 0;
    bool found = try_folder(start, "lib", folder);
    if (!found) {
        memcpy(other, folder, sizeof other);
        found = try_folder(start, SHADOWCL_LIBDIR, folder);
    }
    if (found)
        return check_name(folder, err);
    error_object(err, "library `%s`", library);
    error_set(err, 0, "it (with `%s`) is neither in %.128s nor in %.128s", alias, other, folder);
    return error_todo(err, "install shadowcl anew, or build the target `all`");
}

/* Is `item` in the list already, as in a run within a run? */
static bool holds(const char *list, const char *item, const char *separators)
{
    size_t size = strlen(item);
    while (*list) {
        size_t length = strcspn(list, separators);
        if (length == size && !memcmp(list, item, size))
            return true;
        list += length + (list[length] != 0);
    }
    return false;
}

/* A sanitizer's own library has to stay the first; the length of what begins the list with it. */
static size_t sanitizer_length(const char *list)
{
    size_t length = strcspn(list, " :");
    const char *name = memrchr(list, '/', length);
    name = name ? name + 1 : list;
    bool is_sanitizer = !strncmp(name, "libasan.so", 10) || !strncmp(name, "libtsan.so", 10) ||
                        !strncmp(name, "libubsan.so", 11) || !strncmp(name, "libclang_rt.", 12);
    return !is_sanitizer ? 0 : length + (list[length] != 0);
}

static int prepend(const char *name, const char *item, const char *separators, struct error *err)
{
    const char *old = getenv(name);
    if (!old)
        return setenv(name, item, 1) < 0 ? error_set(err, ENOMEM, "can't set %s", name) : 0;
    if (holds(old, item, separators))
        return 0;
    size_t first = sanitizer_length(old);
    bool needs_colon = first && old[first - 1] != ':' && old[first - 1] != ' ';
    size_t size = strlen(item) + strlen(old) + 3;
    char *value = malloc(size);
    int result = -1;
    if (value) {
        snprintf(value, size, "%.*s%s%s%s%s", (int)first, old, needs_colon ? ":" : "", item,
                 old[first] ? ":" : "", old + first);
        result = setenv(name, value, 1);
    }
    free(value);
    return result < 0 ? error_set(err, ENOMEM, "can't set %s", name) : 0;
}

static int set_tunable(struct error *err)
{
    const char *old = getenv("GLIBC_TUNABLES");
    char item[64];
    if (old && strstr(old, tunable))
        return 0;
    snprintf(item, sizeof item, "%s=%s", tunable, tunable_value);
    return prepend("GLIBC_TUNABLES", item, ":", err);
}

int environment_set(const char *folder, struct error *err)
{
    char path[MAX_FILE];
    snprintf(path, sizeof path, "%s/%s", folder, alias);
    if (prepend("LD_PRELOAD", path, " :", err) < 0)
        return -1;
    snprintf(path, sizeof path, "%s/%s", folder, library);
    if (prepend("LD_PRELOAD", path, " :", err) < 0 ||
        prepend("LD_LIBRARY_PATH", folder, ":;", err) < 0)
        return -1;
    return set_tunable(err);
}
