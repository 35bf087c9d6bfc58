/* SPDX-License-Identifier: Apache-2.0 */
/* Choosing where the program's devices live: see placement.h. */
#include "shim/placement.h"

#include <stdlib.h>
#include <string.h>

#include "shim/ahead.h"
#include "shim/beside.h"
#include "shim/compatible.h"
#include "shim/compatible_image.h"
#include "shim/config.h"
#include "shim/gate.h"
#include "shim/handlers.h"
#include "shim/leave.h"
#include "shim/library.h"
#include "shim/loader.h"
#include "shim/objects.h"
#include "shim/phase.h"
#include "shim/reap.h"
#include "shim/residue_take.h"
#include "shim/trial.h"
#include "shim/used.h"
#include "state/context.h"

/* All platforms' devices have to be known for a SPEC to name one. */
static void enumerate_all(void)
{
    KEEP_HANDLERS();
    cl_uint count;
    struct platform **platforms = loader_platforms(&count);
    for (cl_uint i = 0; i < count; i++)
        if (platforms[i]->object.real)
            loader_enumerate(platforms[i]);
}

/* The first of those whose devices are not known; NULL: there is none. */
static const struct platform *find_unknown(void)
{
    cl_uint count;
    struct platform **platforms = loader_platforms(&count);
    for (cl_uint i = 0; i < count; i++)
        if (platforms[i]->object.real && !atomic_load(&platforms[i]->enumerated))
            return platforms[i];
    return NULL;
}

static atomic_bool asking; /* a driver is being asked for its devices */

/* Inside the gate: a driver that does not answer holds up no more than if the program had asked. */
static void ask_all(void)
{
    sigset_t before;
    node_let_signals_in(&before);
    if (gate_try_enter("clGetDeviceIDs")) {
        enumerate_all();
        gate_leave();
    }
    atomic_store(&asking, false);
}

/* For the first time: while the program runs. */
static int enumerate_beforehand(struct error *err)
{
    const struct platform *platform = find_unknown();
    if (!platform || (!atomic_exchange(&asking, true) && beside_run(ask_all)))
        return 0;
    if (!(platform = find_unknown()))
        return 0;
    const char *path = library_path(platform->object.driver->library);
    error_object(err, "driver `%s`", path);
    error_set(err, 0, "the driver `%s` has not come back with its list of devices in %lu s", path,
              config.call_patience);
    return error_todo(err, "the program runs on: once the call has come back, try again; see "
                           "whether the device still works");
}

void placement_forked(void)
{
    atomic_store(&asking, false);
}

static const struct device *target_of(const struct used *used, const struct device *device)
{
    while (device->parent)
        device = device->parent;
    for (size_t i = 0; i < used->count; i++)
        if (used->devices[i] == device)
            return used->targets[i];
    return device_place(device);
}

/* §4.4: a context's devices are of one platform. A driver may crash on another's. */
static int check_context(const struct used *used, const struct context *context, struct error *err)
{
    const struct device *first = target_of(used, context->devices[0]);
    for (cl_uint j = 1; j < context->num_devices; j++) {
        const struct device *other = target_of(used, context->devices[j]);
        if (other->platform == first->platform)
            continue;
        object_describe(&context->object, err->object, sizeof err->object);
        error_set(err, 0, "its devices can't be on two platforms, as `%s` and `%s` are",
                  first->name, other->name);
        error_todo(err, "name devices of one platform");
        return error_final(err);
    }
    return 0;
}

static int check_contexts(const struct used *used, struct object *const *objects, size_t count,
                          struct findings *findings, struct error *err)
{
    for (size_t i = 0; i < count; i++)
        if (objects[i]->was == KIND_CONTEXT &&
            check_context(used, (const struct context *)objects[i], err) != 0 &&
            findings_take(findings, err) != 0)
            return -1;
    return 0;
}

static void place_all(const struct used *used, struct object *const *objects, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (objects[i]->was == KIND_DEVICE)
            ((struct device *)objects[i])->before =
                atomic_load(&((struct device *)objects[i])->place);
    for (size_t i = 0; i < used->count; i++)
        atomic_store(&used->devices[i]->place,
                     used->targets[i] == used->devices[i] ? NULL : used->targets[i]);
}

/* Has another device come where it was? By what it says of itself: its driver takes the one for the
 * other where none has come or gone. */
static bool is_another(const struct device *device, const struct device *target)
{
    char *identity = target->own ? device_identify(target->own_driver, target->own) : NULL;
    bool differs = identity && strcmp(identity, device_captured_on(device)) != 0;
    free(identity);
    return differs;
}

static int compare_changed(const struct used *used, bool strict, struct object *const *objects,
                           size_t count, struct report *report, struct error *err)
{
    for (size_t i = 0; i < used->count; i++) {
        struct device *from = used->devices[i], *to = used->targets[i];
        IN_DRIVER(to->platform->object.driver->library, &from->object, false);
        if ((to != device_place(from) || is_another(from, to)) &&
            compatible(from, to, to->own, false, strict, objects, count, report, NULL, err) != 0)
            return -1;
    }
    return 0;
}

/* Nothing is on them: one that would lack something stays, and nothing is refused for it. */
static void compare_idle(const struct used *used, bool running, bool strict, struct report *report)
{
    for (size_t i = 0; i < used->count; i++) {
        struct device *from = used->devices[i], *to = used->targets[i];
        struct error why = {0};
        IN_DRIVER(to->platform->object.driver->library, &from->object, false);
        if (to == device_place(from) ||
            compatible(from, to, to->own, running, strict, NULL, 0, report, NULL, &why) == 0)
            continue;
        report_warn(report, "device `%s` stays where it was: %s", from->name, why.reason);
        used->targets[i] = device_place(from);
    }
}

/* Where the SPECs say, if it is there. */
static int aim(struct used *used, const char *specs, struct object *const *objects, size_t count,
               struct report *report, struct error *err)
{
    enumerate_all();
    int result = used_find(used, specs && *specs, objects, count, err);
    if (result == 0)
        result = used_aim(used, specs, report, err);
    return result == 0 ? used_check(used, err) : -1;
}

int placement_choose(const char *specs, bool strict, struct object *const *objects, size_t count,
                     struct report *report, struct error *err)
{
    struct used used = {0};
    int result = aim(&used, specs, objects, count, report, err);
    if (result == 0)
        result = check_contexts(&used, objects, count, NULL, err);
    if (result == 0 && used.idle)
        compare_idle(&used, false, strict, report);
    else if (result == 0)
        result = compare_changed(&used, strict, objects, count, report, err);
    if (result == 0)
        place_all(&used, objects, count);
    used_finish(&used);
    return result;
}

void placement_undo(struct object *const *objects, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (objects[i]->was == KIND_DEVICE)
            atomic_store(&((struct device *)objects[i])->place,
                         ((struct device *)objects[i])->before);
}

/* What of the used devices' new places stands in the way; what is to be built there is noted. With
 * `all` also where a device stays where it is. */
static int compare_all(const struct used *used, bool all, bool strict,
                       struct object *const *objects, size_t count, struct trial *trial,
                       struct findings *findings, struct report *report, struct error *err)
{
    int result = check_contexts(used, objects, count, findings, err);
    for (size_t i = 0; i < used->count && result == 0; i++) {
        struct device *from = used->devices[i], *to = used->targets[i];
        if (!all && to == device_place(from))
            continue;
        IN_DRIVER(to->platform->object.driver->library, &from->object, false);
        result = compatible(from, to, to->own, trial->running, strict, objects, count, report,
                            findings, err);
        if (result == 0)
            result = trial_note(trial, from, to, objects, count, err);
    }
    return result;
}

/* What is asked. */
struct comparison {
    const char *specs;
    bool strict;
    struct trial *trial;
    struct findings *findings;
    struct report *report;
    struct error *err;
};

static int compare_objects(const struct comparison *c, struct object *const *objects, size_t count)
{
    struct used used = {0};
    int result = aim(&used, c->specs, objects, count, c->report, c->err);
    if (result == 0 && used.idle)
        compare_idle(&used, c->trial->running, c->strict, c->report);
    else if (result == 0)
        result = compare_all(&used, false, c->strict, objects, count, c->trial, c->findings,
                             c->report, c->err);
    used_finish(&used);
    return result;
}

/* The gate is closed, and the drivers are loaded. */
static int check_closed(void *data)
{
    const struct comparison *c = data;
    size_t count = 0;
    struct object **objects = object_list(false, &count);
    if (!objects)
        return error_set(c->err, 0, "no memory for the list of objects");
    int result = compare_objects(c, objects, count);
    free(objects);
    return result;
}

int placement_compare(int64_t deadline, const char *specs, bool strict, struct trial *trial,
                      struct findings *findings, struct report *report, struct error *err)
{
    struct comparison comparison = {specs, strict, trial, findings, report, err};
    const struct leave_job job = {
        .act = check_closed, .data = &comparison, .clean = image_target_leave};
    bool left;
    int64_t start = now_ns();
    if (leave_refuse(err) != 0 || enumerate_beforehand(err) != 0)
        return -1;
    if (gate_close(deadline + now_ns() - start, err) != 0) {
        reap_late();
        return -1;
    }
    int result = leave_run(&job, &left, err);
    gate_open();
    reap_late();
    return result;
}

int placement_check(int64_t deadline, const char *specs, bool strict, bool keep,
                    void (*compared)(void), struct findings *findings, struct report *report,
                    struct error *err)
{
    struct trial trial = {.running = true, .keep = keep, .all = findings};
    struct trial_result ignored;
    struct report told = {0};
    int result = ahead_begin(err);
    bool begun = result == 0;
    if (begun)
        result = placement_compare(deadline, specs, strict, &trial, findings, &told, err);
    if (compared)
        compared();
    if (result == 0)
        result = ahead_run(&trial, err);
    if (result == 0)
        result = trial_tell(&trial, findings, &ignored, err);
    if (begun)
        ahead_end();
    trial_finish(&trial);
    for (size_t i = 0; i < told.num_warnings && (result != 0 || findings); i++)
        report_warn(report, "%s", told.warnings[i]);
    report_finish(&told);
    return result;
}

/* The device here that is what the image's was when it was captured. The first of several: they are
 * alike. */
static struct device *find_alike(const struct device *device, const struct used *used)
{
    cl_uint count;
    struct platform **platforms = loader_platforms(&count);
    for (cl_uint i = 0; i < count; i++)
        for (cl_uint j = 0; j < platforms[i]->num_devices; j++) {
            struct device *here = platforms[i]->devices[j];
            bool taken = false;
            for (size_t k = 0; k < used->count; k++)
                taken = taken || used->targets[k] == here;
            if (!taken && strcmp(here->identity, device_captured_on(device)) == 0)
                return here;
        }
    return NULL;
}

static int find_all_alike(struct used *used, struct error *err)
{
    for (size_t i = 0; i < used->count; i++) {
        const struct device *device = used->devices[i];
        used->targets[i] = find_alike(device, used);
        if (used->targets[i])
            continue;
        error_object(err, "device `%s`", device->name);
        error_set(err, 0,
                  "there is no device here that is just like the one the image was made "
                  "on");
        return error_todo(err, "name one with --device (see clinfo)");
    }
    return 0;
}

int placement_survey(const char *specs, bool strict, struct object *const *objects, size_t count,
                     struct findings *findings, struct report *report, struct error *err)
{
    struct used used = {0};
    struct trial trial = {.all = findings};
    enumerate_all();
    int result = used_find(&used, false, objects, count, err);
    if (result == 0)
        result = specs && *specs ? used_aim(&used, specs, report, err) : find_all_alike(&used, err);
    if (result == 0)
        result = used_check(&used, err);
    if (result == 0)
        result = compare_all(&used, true, strict, objects, count, &trial, findings, report, err);
    if (result == 0)
        result = trial_run(&trial, findings, err);
    trial_finish(&trial);
    if (result == 0)
        place_all(&used, objects, count);
    used_finish(&used);
    return result;
}
