/* SPDX-License-Identifier: Apache-2.0 */
/* Loading and unloading drivers: see loader.h. A driver is known by its library's path and the
 * place of the platform in it, so that a reload finds the same again. */
#include "shim/loader.h"

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/cancel.h"
#include "shim/checkpoint.h"
#include "shim/driver_table.h"
#include "shim/gate.h"
#include "shim/handlers.h"
#include "shim/icd.h"
#include "shim/linking.h"
#include "shim/log.h"
#include "shim/phase.h"
#include "shim/redirect.h"
#include "shim/residue.h"
#include "shim/silence.h"
#include "shim/skipped.h"
#include "shim/start.h"
#include "shim/wait.h"
#include "shim/watch.h"

#define MOST_PLATFORMS 64
#define MOST_DOUBLED 10

struct library {
    char *path;             /* owned */
    void *handle;           /* NULL while not loaded */
    void *fresh;            /* the next instance, loaded; NULL: none */
    void *spare;            /* and the one after that: loader_spare */
    bool tried;             /* it has been started before, for a resume that failed */
    Lmid_t space;           /* the link-map namespace of `handle` */
    atomic_bool had_device; /* this instance has had a device node open */
    bool stale; /* the last instance stays mapped and has had a device: not to be used again */
    bool hung;  /* a call into the last instance never came back: not to be touched again */
    unsigned abandoned;        /* instances, so many */
    _Atomic unsigned left;     /* threads that are in a call into this instance yet */
    _Atomic unsigned instance; /* its number */
    void *pin; /* keeps `space` from becoming somebody else's; NULL: it is not kept */
    void (*_Atomic ready_thread)(void); /* of the C library in `space`: see loader_ready_thread */
    char why[600];                      /* the last reload failed with this; empty: it did not */
};

static struct library *libraries; /* owned array, filled once */
static size_t num_libraries;
static struct platform *platforms[MOST_PLATFORMS];
static cl_uint num_platforms;
static size_t default_platform;                          /* its index; too large: there is none */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* around the first start */
static atomic_bool started;
static _Thread_local bool starting; /* this thread is inside a driver's start */

typedef cl_int get_platform_ids(cl_uint, cl_platform_id *, cl_uint *);
typedef void *get_function(const char *);

static get_platform_ids *find_entry(void *handle)
{
    __extension__ get_function *function =
        (get_function *)dlsym(handle, "clGetExtensionFunctionAddress");
    __extension__ get_platform_ids *entry =
        function ? (get_platform_ids *)function("clIcdGetPlatformIDsKHR") : NULL;
    /* A driver that names its own function by an ordinary symbol (oclgrind) names ours, since we
     * were loaded first. */
    if (!entry || entry == clIcdGetPlatformIDsKHR)
        __extension__ entry = (get_platform_ids *)dlsym(handle, "clIcdGetPlatformIDsKHR");
    return entry == clIcdGetPlatformIDsKHR ? NULL : entry;
}

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

void loader_ready_thread(void)
{
    if (!atomic_load_explicit(&started, memory_order_acquire))
        return;
    for (size_t i = 0; i < num_libraries; i++) {
        void (*ready)(void) = atomic_load(&libraries[i].ready_thread);
        if (ready)
            ready();
    }
}

static void *open_instance(struct library *library)
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
    return handle;
}

/* Is the library known not to unload: marked so, or built in C++ (libstdc++'s unique symbols)? */
static bool will_stay(const struct library *library)
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

static void close_instance(struct library *library)
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
        library->space == LM_ID_BASE && will_stay(library)
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

static int start_driver(struct library *library, cl_platform_id *ids, cl_uint *count,
                        struct error *err)
{
    IN_DRIVER(library, NULL, false);
    get_platform_ids *entry = find_entry(library->handle);
    if (!entry) {
        error_set(err, 0, "it is no OpenCL driver (no clIcdGetPlatformIDsKHR)");
        return error_todo(err, "name the library that the driver's own .icd file names");
    }
    cl_int status = entry(MOST_PLATFORMS, ids, count);
    if (status == CL_SUCCESS && *count > 0) {
        if (*count > MOST_PLATFORMS)
            *count = MOST_PLATFORMS;
        return 0;
    }
    error_set(err, 0, "it offers no platform (%d)", status);
    return error_todo(err, "see whether its device is there and may be used, and whether it starts "
                           "without shadowcl (`clinfo -l`)");
}

/* Loads the library and asks for its platforms. *count is 0 where there are none. */
static int open_library(struct library *library, cl_platform_id *ids, cl_uint *count,
                        struct error *err)
{
    KEEP_HANDLERS();
    *count = 0;
    error_object(err, "driver `%s`", library->path);
    bool watching = residue_enter(true);
    library->handle = open_instance(library);
    int result = library->handle ? start_driver(library, ids, count, err) : -1;
    library->had_device = residue_leave(watching);
    if (!library->handle) {
        const char *why = dlerror();
        error_set(err, 0, "it can't be loaded: %s", why ? why : "no reason given");
        return error_todo(err, "see whether the file is there, is a library for this machine, and "
                               "has all that it needs (`ldd`)");
    }
    if (result == 0)
        return 0;
    close_instance(library);
    *count = 0;
    return -1;
}

static struct driver *driver_of(struct platform *platform)
{
    /* The loader made it, and alone may change it. */
    return (struct driver *)platform->object.driver;
}

static void add_platform(struct library *library, unsigned place, cl_platform_id id)
{
    struct error err = {0};
    struct driver *driver = calloc(1, sizeof *driver);
    if (!driver || num_platforms == MOST_PLATFORMS) {
        free(driver);
        return;
    }
    driver_fill(driver, id);
    error_object(&err, "driver `%s`", library->path);
    if (driver_check(driver, &err) != 0) {
        skipped_add(&err);
        free(driver);
        return;
    }
    driver->library = library;
    driver->place = place;
    struct platform *platform = platform_create(driver);
    if (!platform) {
        free(driver);
        return;
    }
    platform->object.real = id;
    platforms[num_platforms++] = platform;
}

/* The order in which the machine's own loader would show them. */
static void sort_platforms(void)
{
    struct icd_platform order[MOST_PLATFORMS] = {0};
    for (cl_uint i = 0; i < num_platforms; i++)
        order[i] = (struct icd_platform){.id = platforms[i]->object.real,
                                         .driver = platforms[i],
                                         .calls = driver_calls(platforms[i]->object.real)};
    icd_sort_platforms(order, num_platforms);
    for (cl_uint i = 0; i < num_platforms; i++) {
        platforms[i] = order[i].driver;
        platforms[i]->index = i;
    }
}

static void skip_unread(const char *warning)
{
    struct error err = {0};
    error_set(&err, 0, "%s", warning);
    error_todo(&err, "see what is there, and what names it");
    skipped_add(&err);
}

static void load_all(void)
{
    struct icd_list list;
    struct error err = {0};
    if (icd_find(&list, start_icd_mode, &err) != 0) {
        log_error("no drivers: %s", err.reason);
        return;
    }
    for (size_t i = 0; i < list.num_warnings; i++)
        skip_unread(list.warnings[i]);
    libraries = calloc(list.count + 1, sizeof *libraries);
    for (size_t i = 0; libraries && i < list.count; i++) {
        struct library *library = &libraries[num_libraries];
        cl_platform_id ids[MOST_PLATFORMS];
        cl_uint count;
        library->path = strdup(list.paths[i]);
        if (!library->path)
            break;
        num_libraries++;
        err = (struct error){0};
        if (open_library(library, ids, &count, &err) != 0)
            skipped_add(&err);
        for (cl_uint j = 0; j < count; j++)
            add_platform(library, j, ids[j]);
    }
    icd_finish(&list);
    sort_platforms();
    default_platform = icd_default_platform(num_platforms);
    log_info("%zu drivers, %u platforms", num_libraries, num_platforms);
}

void loader_start(void)
{
    /* Also when the drivers are loaded: a forked child has no control thread yet. */
    if (starting || !start_shim() || atomic_load_explicit(&started, memory_order_acquire))
        return;
    if (!start_alone)
        wait_for_resume();
    /* Inside the gate: a suspend waits until the drivers have started, or they start after it. */
    NOT_CANCELLED();
    GATE(clGetPlatformIDs);
    pthread_mutex_lock(&lock);
    if (!atomic_load(&started)) {
        starting = true;
        load_all();
        starting = false;
        /* After the drivers' own: so it runs before their destructors. */
        atexit(checkpoint_before_exit);
        atomic_store_explicit(&started, true, memory_order_release);
    }
    pthread_mutex_unlock(&lock);
}

static void forget_platform(void *object, void *unused)
{
    struct platform *platform = object;
    free(driver_of(platform));
    platform_destroy(platform);
    atomic_store(&platform->object.kind, KIND_FREE);
    object_discard(platform);
}

/* The parent was in its first start, on another thread: half a list is no list. */
static void forget_half(void)
{
    object_each(KIND_PLATFORM, forget_platform, NULL);
    num_platforms = 0;
    while (num_libraries > 0)
        free(libraries[--num_libraries].path);
    free(libraries);
    libraries = NULL;
}

void loader_forked(void)
{
    pthread_mutex_init(&lock, NULL);
    linking_forked();
    if (!atomic_load(&started) && !starting)
        forget_half();
    /* A driver's threads are the parent's only: the child of a suspended process, which can be
     * resumed on its own (unless its contents are in a file), takes an instance of its own. */
    for (size_t i = 0; i < num_libraries; i++)
        if (!libraries[i].handle)
            libraries[i].stale = true;
}

struct platform **loader_platforms(cl_uint *count)
{
    *count = atomic_load_explicit(&started, memory_order_acquire) ? num_platforms : 0;
    return platforms;
}

struct platform *loader_default_platform(void)
{
    cl_uint count = 0;
    struct platform **all = loader_platforms(&count);
    return default_platform < count ? all[default_platform] : NULL;
}

static void forget_real_handles(struct platform *platform)
{
    platform->object.real = NULL;
    for (cl_uint i = 0; i < platform->num_devices; i++) {
        platform->devices[i]->own = NULL;
        platform->devices[i]->object.real = NULL;
    }
    driver_empty(driver_of(platform));
}

void loader_unload(void)
{
    for (cl_uint i = 0; i < num_platforms; i++)
        forget_real_handles(platforms[i]);
    for (size_t i = 0; i < num_libraries; i++)
        close_instance(&libraries[i]);
}

void loader_abandon(struct library *library)
{
    for (cl_uint i = 0; i < num_platforms; i++)
        if (driver_of(platforms[i])->library == library)
            silence(driver_of(platforms[i]));
    library->handle = NULL;
    atomic_fetch_add(&library->instance, 1);
    atomic_store(&library->left, 0);
    library->abandoned++;
    library->hung = true;
    library->tried = false;
    library->had_device = false;
}

unsigned loader_leave(struct library *library)
{
    atomic_fetch_add(&library->left, 1);
    return atomic_load(&library->instance);
}

bool loader_come_back(struct library *library, unsigned instance)
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

/* An instance that is not used yet; NULL, and err, where there can be none. */
static void *have_next(struct library *library, struct error *err)
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

bool loader_fresh(struct library *library)
{
    struct error ignored = {0};
    if (!library->fresh)
        library->fresh = have_next(library, &ignored);
    return library->fresh != NULL;
}

unsigned long loader_more_patience(const struct library *library, unsigned long patience)
{
    return patience << (library->abandoned < MOST_DOUBLED ? library->abandoned : MOST_DOUBLED);
}

size_t loader_count(void)
{
    return num_libraries;
}

const char *loader_path(const struct library *library)
{
    return library->path;
}

bool loader_watch(void)
{
    return residue_enter(false);
}

void loader_watched(const struct driver *driver, bool watching)
{
    if (residue_leave(watching))
        loader_note_device(driver);
}

void loader_note_device(const struct driver *driver)
{
    for (size_t i = 0; i < num_libraries; i++)
        if (driver ? driver->library == &libraries[i] : libraries[i].handle != NULL)
            libraries[i].had_device = true;
}

int loader_check_nodes(struct error *err)
{
    bool unseen;
    if (residue_foreign(&unseen, err) != 0)
        return -1;
    if (unseen)
        loader_note_device(NULL);
    return 0;
}

int loader_prepare(struct error *err)
{
    /* The gate is open: they may be on their way, and come without a device to begin with. */
    if (!atomic_load_explicit(&started, memory_order_acquire))
        return 0;
    if (linking_refuse(err) != 0)
        return -1;
    for (size_t i = 0; i < num_libraries; i++) {
        struct library *library = &libraries[i];
        if (!library->handle || library->fresh)
            continue;
        if (!atomic_load(&library->left) && !(library->had_device && will_stay(library)))
            continue;
        library->fresh = have_next(library, err);
        if (!library->fresh)
            return -1;
    }
    return 0;
}

int loader_spare(struct error *err)
{
    if (linking_refuse(err) != 0)
        return -1;
    for (size_t i = 0; i < num_libraries; i++) {
        struct library *library = &libraries[i];
        if (library->handle || !library->fresh || library->spare)
            continue;
        library->spare = have_next(library, err);
        if (!library->spare)
            return -1;
    }
    return 0;
}

void loader_spared(void)
{
    for (size_t i = 0; i < num_libraries; i++)
        if (!libraries[i].fresh) {
            libraries[i].fresh = libraries[i].spare;
            libraries[i].spare = NULL;
        }
}

/* The platform again, and the driver's devices. One that is gone has no real handle. */
static int find_again(struct platform *platform, cl_platform_id id, struct error *err)
{
    struct driver *driver = driver_of(platform);
    IN_DRIVER(driver->library, NULL, false);
    bool watching = residue_enter(true);
    driver_fill(driver, id);
    int result = driver_check(driver, err);
    if (result == 0) {
        platform->object.real = id;
        if (atomic_load(&platform->enumerated))
            platform_find_own(platform, driver);
    } else {
        driver_empty(driver);
    }
    loader_watched(driver, watching);
    return result;
}

void loader_enumerate(struct platform *platform)
{
    if (atomic_load(&platform->enumerated))
        return;
    NOT_LEFT();
    IN_DRIVER(driver_of(platform)->library, NULL, false);
    bool watching = residue_enter(true);
    platform_enumerate(platform);
    loader_watched(driver_of(platform), watching);
}

static int reload_library(struct library *library, struct error *err)
{
    cl_platform_id ids[MOST_PLATFORMS];
    cl_uint count;
    int result = open_library(library, ids, &count, err);
    for (cl_uint i = 0; i < num_platforms; i++) {
        struct driver *driver = driver_of(platforms[i]);
        if (driver->library == library && driver->place < count &&
            find_again(platforms[i], ids[driver->place], err) != 0)
            result = -1;
    }
    return result;
}

static bool has_platforms(const struct library *library)
{
    for (cl_uint i = 0; i < num_platforms; i++)
        if (driver_of(platforms[i])->library == library)
            return true;
    return false;
}

void loader_reload(void)
{
    for (size_t i = 0; i < num_libraries; i++) {
        struct library *library = &libraries[i];
        struct error err = {0};
        library->why[0] = 0;
        if (!has_platforms(library) || reload_library(library, &err) == 0)
            continue;
        snprintf(library->why, sizeof library->why, "%s: %s", err.object, err.reason);
        log_warn("%s", library->why);
    }
}

void loader_place(void)
{
    for (cl_uint i = 0; i < num_platforms; i++)
        for (cl_uint j = 0; j < platforms[i]->num_devices; j++)
            device_settle(platforms[i]->devices[j]);
}

const char *loader_why(const struct platform *platform)
{
    const struct library *library = platform->object.driver->library;
    return library->why[0] ? library->why : NULL;
}
