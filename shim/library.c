/* SPDX-License-Identifier: Apache-2.0 */
/* Instances of a driver's library: see library.h. */
#include "shim/library.h"

#include <link.h>
#include <stdio.h>
#include <string.h>

#include "shim/gate.h"
#include "shim/handlers.h"
#include "shim/linking.h"
#include "shim/loader.h"
#include "shim/phase.h"
#include "shim/redirect.h"
#include "shim/residue.h"
#include "shim/watch.h"

#define MOST_DOUBLED 10

static void *open_fresh(struct library *library)
{
    KEEP_HANDLERS();
    return LINKING(library, LINKING_IN,
                   dlmopen(LM_ID_NEWLM, library->path, RTLD_LAZY | RTLD_LOCAL));
}

/* Where the last one was. Of other namespaces only one that has stayed can be used, or one that we
 * keep. */
static void *open_again(struct library *library)
{
    if (library->space == LM_ID_BASE)
        return LINKING(library, LINKING_IN,
                       redirect_real_dlopen(library->path, RTLD_LAZY | RTLD_LOCAL));
    return LINKING(library, LINKING_IN,
                   dlmopen(library->space, library->path,
                           RTLD_LAZY | (library->pin ? RTLD_LOCAL : RTLD_NOLOAD)));
}

/* After one that hangs all others are in a namespace that there is no other way back to: a driver
 * that unloads would need a new one each time. */
static void pin_space(struct library *library)
{
    if (library->pin)
        dlclose(library->pin);
    library->pin = dlmopen(library->space, "libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
    library->hung = false;
}

/* A namespace has a C library of its own, in which isspace and the like crash on a thread that it
 * has not started. */
static void find_ready_thread(struct library *library)
{
    void *c_library = library->space == LM_ID_BASE
                          ? NULL
                          : dlmopen(library->space, "libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
    void (*ready)(void) = NULL;
    if (c_library) {
        *(void **)&ready = dlsym(c_library, "__ctype_init");
        dlclose(c_library);
    }
    atomic_store(&library->ready_thread, ready);
    if (!ready)
        return;
    loader_ready_thread();
    gate_renew_threads();
}

void library_open(struct library *library)
{
    void *handle = library->fresh;
    bool base = library->space == LM_ID_BASE;
    library->fresh = NULL;
    if (!handle && !library->stale && !library->hung)
        handle = open_again(library);
    if (!handle && (library->stale || library->hung || !base))
        handle = open_fresh(library);
    if (handle && dlinfo(handle, RTLD_DI_LMID, &library->space) != 0)
        library->space = LM_ID_BASE;
    if (handle && library->hung)
        pin_space(library);
    if (handle)
        find_ready_thread(library);
    library->handle = handle;
}

bool library_will_stay(const struct library *library)
{
    struct link_map *map = NULL;
    const ElfW(Dyn) * entry;
    const char *strings = NULL;
    if (dlinfo(library->handle, RTLD_DI_LINKMAP, &map) != 0 || !map)
        return true;
    for (entry = map->l_ld; entry->d_tag != DT_NULL; entry++)
        if (entry->d_tag == DT_STRTAB)
            strings = (const char *)entry->d_un.d_ptr;
    for (entry = map->l_ld; entry->d_tag != DT_NULL; entry++)
        if ((entry->d_tag == DT_FLAGS_1 && (entry->d_un.d_val & DF_1_NODELETE)) ||
            (entry->d_tag == DT_NEEDED && strings &&
             strstr(strings + entry->d_un.d_val, "libstdc++")))
            return true;
    return false;
}

/* Not closed: somebody is in it, or in the dynamic loader. */
static void close_eyes(struct library *library)
{
    residue_give_up();
    library->handle = NULL;
    library->hung = true;
    library->tried = false;
    library->had_device = false;
    atomic_store(&library->left, 0);
}

void library_close(struct library *library)
{
    if (!library->handle)
        return;
    atomic_fetch_add(&library->instance, 1);
    if (atomic_load(&library->left) || linking_is_stuck()) {
        close_eyes(library);
        return;
    }
    /* A fresh instance that has not had a device (the resume failed before) is used for one more
     * try: there are only so many. Not for ever, since it may have looked for devices already and
     * never look again. */
    library->tried = library->space != LM_ID_BASE && !library->had_device && !library->tried;
    if (library->tried) {
        library->fresh = library->handle;
        library->handle = NULL;
        return;
    }
    /* One that goes but leaves LLVM with another driver would register its options with that again
     * when it comes back, and LLVM ends the process for it: it is made to stay. */
    void *pinned =
        library->space == LM_ID_BASE && library_will_stay(library)
            ? redirect_real_dlopen(library->path, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE)
            : NULL;
    if (pinned)
        dlclose(pinned);
    /* Threads that come meanwhile must not call into what goes. */
    void (*ready)(void) = atomic_exchange(&library->ready_thread, NULL);
    LINKING(library, LINKING_OUT, dlclose(library->handle));
    library->handle = NULL;
    void *still = library->space == LM_ID_BASE
                      ? redirect_real_dlopen(library->path, RTLD_LAZY | RTLD_NOLOAD)
                      : dlmopen(library->space, library->path, RTLD_LAZY | RTLD_NOLOAD);
    if (still)
        dlclose(still);
    if (still || library->pin)
        atomic_store(&library->ready_thread, ready);
    /* The first instance stays as it is: also when a later one has unloaded. */
    if (library->space == LM_ID_BASE)
        library->stale = library->had_device && still;
    library->had_device = false;
}

void library_abandon(struct library *library)
{
    library->handle = NULL;
    atomic_fetch_add(&library->instance, 1);
    atomic_store(&library->left, 0);
    library->abandoned++;
    library->hung = true;
    library->tried = false;
    library->had_device = false;
}

unsigned library_leave(struct library *library)
{
    atomic_fetch_add(&library->left, 1);
    return atomic_load(&library->instance);
}

bool library_come_back(struct library *library, unsigned instance)
{
    if (atomic_load(&library->instance) != instance)
        return false;
    atomic_fetch_sub(&library->left, 1);
    return true;
}

static int refuse_exhausted(const struct library *library, const char *why, struct error *err)
{
    error_object(err, "driver `%s`", library->path);
    error_set(err, 0,
              "it stays in memory once loaded, and no further instance of it can be "
              "had: %s",
              why);
    return error_todo(err, "start the program anew, with `shadowcl run` (it makes room for more "
                           "instances) if it was not");
}

struct opening {
    struct library *library;
    void *handle;
    char why[300];
};

static int open_next(void *data)
{
    struct opening *opening = data;
    opening->handle = open_fresh(opening->library);
    const char *why = opening->handle ? NULL : dlerror();
    snprintf(opening->why, sizeof opening->why, "%s", why ? why : "no reason given");
    return 0;
}

void *library_next(struct library *library, struct error *err)
{
    struct opening opening = {.library = library};
    struct phase_place hung;
    if (linking_refuse(err) != 0)
        return NULL;
    phase_run(open_next, &opening, &hung);
    if (hung.library) {
        residue_give_up();
        watch_describe(&hung, err);
        error_todo(err, "try again once they have come back; see whether the device still works");
    } else if (!opening.handle) {
        refuse_exhausted(library, opening.why, err);
    }
    return opening.handle;
}

bool library_fresh(struct library *library)
{
    struct error ignored = {0};
    if (!library->fresh)
        library->fresh = library_next(library, &ignored);
    return library->fresh != NULL;
}

unsigned long library_more_patience(const struct library *library, unsigned long patience)
{
    return patience << (library->abandoned < MOST_DOUBLED ? library->abandoned : MOST_DOUBLED);
}

const char *library_path(const struct library *library)
{
    return library->path;
}
