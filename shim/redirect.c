/* SPDX-License-Identifier: Apache-2.0 */
/* Decides which name a dlopen really opens, and finds the dlopen after ours. Called at any moment,
 * also before constructors have run: no lock, no allocation, no state but one pointer. */
#include "shim/redirect.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static bool names_loader(const char *file)
{
    static const char loader[] = "libOpenCL.so";
    const char *slash = strrchr(file, '/');
    const char *name = slash ? slash + 1 : file;
    const size_t length = sizeof(loader) - 1;
    return strncmp(name, loader, length) == 0 && (name[length] == '\0' || name[length] == '.');
}

const char *redirect_name(const char *file)
{
    static const char here;
    Dl_info self;
    if (!file || !names_loader(file) || !dladdr(&here, &self) || !self.dli_fname)
        return file;
    /* The name under which we were loaded: glibc compares it with those of the loaded libraries
     * before it looks for a file, so a relative or replaced one still gives ourselves. */
    return self.dli_fname;
}

static void *no_dlopen(const char *file, int flags)
{
    return NULL;
}

redirect_dlopen *redirect_next(void)
{
    static _Atomic(redirect_dlopen *) next;
    redirect_dlopen *found = atomic_load_explicit(&next, memory_order_relaxed);
    if (found)
        return found;
    /* RTLD_NEXT, not glibc's by name: a sanitizer's dlopen may stand between. */
    *(void **)&found = dlsym(RTLD_NEXT, "dlopen");
    if (!found)
        return no_dlopen;
    atomic_store_explicit(&next, found, memory_order_relaxed);
    return found;
}

void *redirect_real_dlopen(const char *file, int flags)
{
    return redirect_next()(file, flags);
}
