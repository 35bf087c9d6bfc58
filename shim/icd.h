/* SPDX-License-Identifier: Apache-2.0 */
/* Which drivers there are and in which order their platforms are shown: the rules of cl_khr_icd, as
 * ocl-icd and the Khronos loader read them. Nothing is loaded here.
 *
 * Where drivers are looked for, first that applies:
 *   SHADOWCL_DRIVERS    directories, .icd files and libraries, separated by colons; a directory's
 *                       .icd files are taken by name
 *   OCL_ICD_FILENAMES   libraries, separated by colons; they come before all others
 *   OCL_ICD_VENDORS     a directory; an .icd file (a bare name is looked for in the vendors'
 *                       directory first); else a library
 *   OPENCL_VENDOR_PATH  the vendors' directory, /etc/OpenCL/vendors when not set
 * An .icd file's first line is what dlopen gets: a path, or a name to search. The files of a
 * directory come as readdir gives them, because the machine's loader does not sort them either and
 * programs take platform 0. The environment is ignored in setuid processes. */
#ifndef SHADOWCL_SHIM_ICD_H
#define SHADOWCL_SHIM_ICD_H

#include "shim/error.h"

#include <CL/cl_icd.h>
#include <stdbool.h>
#include <stddef.h>

struct icd_list {
    size_t count;
    char **paths; /* owned; as dlopen takes them, each library once */
    size_t num_warnings;
    char **warnings; /* owned; what was skipped, where it was named, and why */
};

/* Fills `out`, which needs no icd_finish after a failure. A bad driver file is a warning and hides
 * no other; fails only without memory. Our own library is never in the list. `icd_mode`: another
 * loader loaded us. Then a place that names us serves that loader and is passed by; outside of that
 * mode only a place that names nothing else is. What comes next is the next place in the order. */
int icd_find(struct icd_list *out, bool icd_mode, struct error *err);
void icd_finish(struct icd_list *list);

/* Whether dlopen of this name would give the library that holds this code, or another one of us. */
bool icd_is_self(const char *library);

struct icd_platform {
    cl_platform_id id;
    void *driver; /* the caller's */
    const cl_icd_dispatch *calls;
    cl_uint gpus, cpus, devices; /* filled in by icd_sort_platforms, unless nothing is sorted */
};

/* Most GPUs first, then most CPUs, then most devices; else as they were. OCL_ICD_PLATFORM_SORT=none
 * leaves them alone. */
void icd_sort_platforms(struct icd_platform *platforms, size_t count);

/* The platform that stands in for a NULL platform, by OCL_ICD_DEFAULT_PLATFORM: 0 when that is not
 * set, `count` when it names none. It changes no order. */
size_t icd_default_platform(size_t count);

/* OCL_ICD_ASSUME_ICD_EXTENSION, set and not empty: platforms are taken without cl_khr_icd among
 * their extensions. */
bool icd_assume_extension(void);

#endif
