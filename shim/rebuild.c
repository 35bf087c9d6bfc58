/* SPDX-License-Identifier: Apache-2.0 */
/* Bringing everything back: see rebuild.h. */
#include "shim/rebuild.h"

#include <stdlib.h>

#include "shim/builds.h"
#include "shim/gate.h"
#include "shim/handlers.h"
#include "shim/lazy.h"
#include "shim/linking.h"
#include "shim/loader.h"
#include "shim/objects.h"
#include "shim/placement.h"
#include "shim/release.h"
#include "shim/residue.h"
#include "shim/watch.h"
#include "state/mem.h"
#include "state/staging.h"
#include "state/stream.h"
#include "state/svm.h"
#include "state/tally.h"

struct rebuild {
    const struct rebuild_wish *wish;
    struct object *const *objects;
    size_t count;
    struct report *report;
    struct error *err;
    bool placed; /* the devices have new places */
    bool *made;  /* owned; of each object, whether it has been built beside others; NULL: none */
    struct builds_hung hung;
};

/* Contents begin to go up. */
static int send_up(const struct rebuild *r)
{
    for (size_t i = 0; i < r->count; i++)
        if (objects_upload(r->objects[i], r->err) != 0)
            return -1;
    objects_flush_copies(r->objects, r->count);
    return 0;
}

/* Contents are up, or left for later. */
static int bring_up(const struct rebuild *r)
{
    int result = 0;
    for (size_t i = 0; i < r->count && r->wish->lazy && result == 0; i++)
        result = objects_owe(r->objects[i], r->err);
    r->report->owed_bytes = mem_owed_bytes();
    if (result == 0)
        result = stream_finish(r->err);
    return result == 0 ? objects_finish_copies(r->objects, r->count, r->err) : -1;
}

/* Of all objects; what lies in the host's memory is there once they are made. */
static uint64_t sum_contents(const struct rebuild *r)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < r->count; i++) {
        const struct mem *mem = (const struct mem *)r->objects[i];
        bytes += r->objects[i]->was == KIND_MEM && mem_has_contents(mem) ? mem->size : 0;
    }
    return bytes;
}

/* Those that come of a program take the longest, and no contents. */
static int make_again(const struct rebuild *r, bool of_programs)
{
    for (size_t i = 0; i < r->count; i++)
        if (objects_need_program(r->objects[i]) == of_programs && !(r->made && r->made[i]) &&
            objects_rebuild(r->objects[i], r->err) != 0)
            return -1;
    return 0;
}

/* Contents go up while programs are built. */
static int make_all_again(struct rebuild *r)
{
    mem_owe_nothing();
    if (make_again(r, false) != 0 || svm_check_rebuilt(r->err) != 0)
        return -1;
    tally_begin(sum_contents(r));
    if ((!r->wish->lazy && send_up(r) != 0) ||
        builds_make(r->objects, r->count, &r->made, &r->hung, r->err) != 0 ||
        make_again(r, true) != 0)
        return -1;
    return bring_up(r);
}

/* §5.13: times are told all the same, none of them earlier than one told before. */
static void warn_of_clocks(const struct rebuild *r)
{
    for (size_t i = 0; i < r->count; i++) {
        struct device *device = (struct device *)r->objects[i];
        if (r->objects[i]->was != KIND_DEVICE || !device->no_clock)
            continue;
        device->no_clock = false;
        report_warn(r->report,
                    "device `%s`: its driver's clock can't be looked at: times of commands from "
                    "here on may not be in their order",
                    device->name);
    }
}

/* Makes every object again where its device is placed, parents first; the drivers are loaded. */
static int make_all(struct rebuild *r)
{
    int64_t start = now_ns();
    KEEP_HANDLERS();
    bool watching = residue_enter(true);
    loader_place();
    int result = make_all_again(r);
    if (result == 0 && !atomic_load(&lazy_owed))
        objects_drop_copiers(r->objects, r->count);
    if (residue_leave(watching))
        loader_note_device(NULL);
    warn_of_clocks(r);
    r->report->rebuild = ms_since(start);
    return result;
}

static int bring_back(void *data)
{
    struct rebuild *r = data;
    const struct rebuild_wish *wish = r->wish;
    int64_t start = now_ns();
    loader_reload();
    r->report->load = ms_since(start);
    if (wish->device &&
        placement_choose(wish->device, wish->strict, r->objects, r->count, r->report, r->err) != 0)
        return -1;
    r->placed = wish->device;
    return make_all(r);
}

int rebuild_all(const struct rebuild_wish *wish, struct object *const *objects, size_t count,
                struct report *report, struct error *err)
{
    struct rebuild r = {wish, objects, count, report, err, false, NULL, {0}};
    bool hung;
    if (linking_refuse(err) != 0)
        return -1;
    int result = watched(bring_back, &r, &hung, err);
    free(r.made);
    if (result == 0)
        return 0;
    if (r.hung.count) {
        watch_give_up(r.hung.places, r.hung.count, err);
        hung = true;
    }
    /* A copy that is on its way yet must not meet other memory, or none. */
    if (hung)
        stream_abandon();
    if (release_all(objects, count, report) || hung)
        staging_abandon();
    release_again(report);
    if (r.placed)
        placement_undo(objects, count);
    return result;
}
