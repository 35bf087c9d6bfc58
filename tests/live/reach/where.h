/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the file that a function lies in: how these programs tell who answered them. */
#ifndef REACH_WHERE_H
#define REACH_WHERE_H

#include <dlfcn.h>
#include <stdio.h>

static inline int print_library(const char *what, const void *function)
{
    Dl_info info;
    if (!function || !dladdr(function, &info) || !info.dli_fname) {
        fprintf(stderr, "%s: not found\n", what);
        return 1;
    }
    printf("%s %s\n", what, info.dli_fname);
    return 0;
}

#endif
