/* SPDX-License-Identifier: Apache-2.0 */
/* Letting the drivers go: see release.h. */
#include "shim/release.h"

#include "shim/linking.h"
#include "shim/loader.h"
#include "shim/objects.h"
#include "shim/residue_take.h"
#include "shim/watch.h"
#include "state/stream.h"

struct release {
    struct object *const *objects;
    size_t count;
};

static int let_go(void *data)
{
    const struct release *release = data;
    stream_drop();
    for (size_t i = release->count; i-- > 0;)
        objects_release(release->objects[i]);
    loader_unload();
    return 0;
}

bool release_all(struct object *const *objects, size_t count, struct report *report)
{
    struct release release = {objects, count};
    bool hung, any = false;
    /* What has been given back is not given back again; of a driver that hangs, nothing is. */
    for (size_t i = 0; i <= loader_count(); i++) {
        struct error err = {0};
        watched(let_go, &release, &hung, &err);
        if (!hung)
            break;
        any = true;
        stream_abandon();
        report_warn(
            report, "%s: %s, when it was to let go: it was abandoned%s", err.object, err.reason,
            linking_is_stuck() ? "; the program can't be resumed until they have come back" : "");
    }
    return any;
}

int release_prove(struct report *report, struct error *err)
{
    if (residue_find(&report->residue, err) != 0 || residue_settle(&report->residue, err) != 0)
        return -1;
    if (report->residue.count && residue_take(&report->residue, report)) {
        residue_finish(&report->residue);
        if (residue_find(&report->residue, err) != 0)
            return -1;
    }
    residue_let_go(&report->residue);
    if (report->residue.count == 0)
        return 0;
    residue_describe(&report->residue.nodes[0], err->object, sizeof err->object);
    error_set(err, 0, "%zu device node%s still held after the driver was unloaded",
              report->residue.count, report->residue.count == 1 ? " is" : "s are");
    return error_todo(err, "the driver, or another library in the program, does not let go of the "
                           "device: it can't be unplugged");
}

void release_again(struct report *report)
{
    struct error err = {0};
    if (release_prove(report, &err) != 0)
        report_warn(report, "%s: %s", err.object, err.reason);
}
