/* SPDX-License-Identifier: Apache-2.0 */
/* Loading and unloading drivers: see loader.h. A driver is known by its library's path and the
 * place of the platform in it, so that a reload finds the same again. */
#include "shim/loader.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/cancel.h"
#include "shim/checkpoint.h"
#include "shim/driver_table.h"
#include "shim/gate.h"
#include "shim/handlers.h"
#include "shim/icd.h"
#include "shim/library.h"
#include "shim/linking.h"
#include "shim/log.h"
#include "shim/phase.h"
#include "shim/residue.h"
#include "shim/silence.h"
#include "shim/skipped.h"
#include "shim/start.h"
#include "shim/wait.h"

#define MOST_PLATFORMS 64

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
static int start_library(struct library *library, cl_platform_id *ids, cl_uint *count,
                         struct error *err)
{
    KEEP_HANDLERS();
    *count = 0;
    error_object(err, "driver `%s`", library->path);
    bool watching = residue_enter(true);
    library_open(library);
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
    library_close(library);
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
        if (start_library(library, ids, &count, &err) != 0)
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
        library_close(&libraries[i]);
}

void loader_abandon(struct library *library)
{
    for (cl_uint i = 0; i < num_platforms; i++)
        if (driver_of(platforms[i])->library == library)
            silence(driver_of(platforms[i]));
    library_abandon(library);
}

size_t loader_count(void)
{
    return num_libraries;
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
        if (!atomic_load(&library->left) && !(library->had_device && library_will_stay(library)))
            continue;
        library->fresh = library_next(library, err);
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
        library->spare = library_next(library, err);
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
    int result = start_library(library, ids, &count, err);
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
