/* SPDX-License-Identifier: Apache-2.0 */
/* `dlopen` for the program: whoever asks for an OpenCL loader by any path gets this library; every
 * other call goes on to the next dlopen as if it had been called directly (shim/dlopen.S). */
#ifndef SHADOWCL_SHIM_REDIRECT_H
#define SHADOWCL_SHIM_REDIRECT_H

typedef void *redirect_dlopen(const char *file, int flags);

/* The dlopen after ours, for loading drivers: one may really be named libOpenCL.so.1. The caller
 * that glibc sees is this library. NULL and dlerror() as usual. */
void *redirect_real_dlopen(const char *file, int flags);

/* For shim/dlopen.S only. The name to open instead of `file`: our own path, or `file` itself. */
const char *redirect_name(const char *file) __attribute__((visibility("hidden")));
/* The dlopen to jump to; never NULL. */
redirect_dlopen *redirect_next(void) __attribute__((visibility("hidden")));

#endif
