/* SPDX-License-Identifier: Apache-2.0 */
/* A program that opens OpenCL at run time. opener [unhooked|noload|twice|null] NAME says which
 * library answered; opener through LIBRARY NAME and opener namespace LIBRARY NAME let a library do
 * the opening, the second in a namespace of its own. */
#include "where.h"

#include <string.h>

typedef void *open_call(const char *, int);

static int complain(void)
{
    const char *reason = dlerror();
    fprintf(stderr, "%s\n", reason ? reason : "not loaded");
    return 1;
}

static int open_and_print(open_call *open, const char *name, int flags)
{
    void *handle = open(name, flags);
    if (!handle)
        return complain();
    int failed = print_library("loader", dlsym(handle, "clGetPlatformIDs"));
    dlclose(handle);
    return failed;
}

/* glibc's own dlopen, as a program gets it whose calls do not pass through our hook. */
static open_call *unhooked(void)
{
    open_call *open;
    void *libc = dlopen("libc.so.6", RTLD_LAZY);
    *(void **)&open = libc ? dlsym(libc, "dlopen") : NULL;
    return open;
}

/* Each open is closed once; the second pair must find the library as alive as the first. */
static int open_twice(const char *name)
{
    void *first = dlopen(name, RTLD_NOW), *second = dlopen(name, RTLD_LAZY | RTLD_GLOBAL);
    if (!first || first != second)
        return complain();
    if (dlclose(first) != 0 || dlclose(second) != 0)
        return complain();
    return open_and_print(dlopen, name, RTLD_NOW);
}

static int open_in_library(void *library, const char *name)
{
    open_call *open;
    if (!library)
        return complain();
    *(void **)&open = dlsym(library, "outer_open");
    void *handle = open ? open(name, RTLD_NOW) : NULL;
    Lmid_t outer, inner;
    if (!handle)
        return complain();
    if (dlinfo(library, RTLD_DI_LMID, &outer) || dlinfo(handle, RTLD_DI_LMID, &inner))
        return complain();
    printf("namespace %s\n", outer == inner ? "same" : "other");
    return print_library("inner", dlsym(handle, "inner"));
}

int main(int argc, char **argv)
{
    const char *how = argv[1], *name = argv[argc - 1];
    if (argc == 2)
        return open_and_print(dlopen, name, RTLD_NOW);
    if (argc == 3 && strcmp(how, "unhooked") == 0)
        return open_and_print(unhooked(), name, RTLD_NOW);
    if (argc == 3 && strcmp(how, "noload") == 0)
        return open_and_print(dlopen, name, RTLD_NOW | RTLD_NOLOAD);
    if (argc == 3 && strcmp(how, "twice") == 0)
        return open_twice(name);
    if (argc == 3 && strcmp(how, "null") == 0)
        return open_and_print(dlopen, NULL, RTLD_NOW);
    if (argc == 4 && strcmp(how, "through") == 0)
        return open_in_library(dlopen(argv[2], RTLD_NOW), name);
    if (argc == 4 && strcmp(how, "namespace") == 0)
        return open_in_library(dlmopen(LM_ID_NEWLM, argv[2], RTLD_NOW), name);
    fprintf(stderr, "usage: opener [unhooked|noload|twice|null] NAME\n");
    return 2;
}
