/* SPDX-License-Identifier: Apache-2.0 */
/* Would a suspend be refused? See survey.h. */
#include "shim/survey.h"

#include <stdlib.h>

#include "shim/ahead.h"
#include "shim/gate.h"
#include "shim/leave.h"
#include "shim/loader.h"
#include "shim/objects.h"
#include "shim/reap.h"
#include "state/mem.h"
#include "state/staging.h"
#include "state/svm.h"

static int look_at_objects(struct findings *findings, struct error *err)
{
    size_t count = 0;
    struct object **objects = object_list(true, &count);
    if (!objects)
        return error_set(err, 0, "no memory for the list of objects");
    int result = objects_carriable(objects, count, findings, err);
    if (result == 0 && svm_carriable(err) != 0)
        result = findings_take(findings, err);
    free(objects);
    return result;
}

static int look_closed(int64_t deadline, struct findings *findings, struct error *err)
{
    if (gate_close(deadline, err) != 0) {
        reap_late();
        return -1;
    }
    gate_lend();
    int result = look_at_objects(findings, err);
    gate_unlend();
    gate_open();
    reap_late();
    return result;
}

/* For contents that are kept in memory, as they are unless an image is asked for. */
static int look_at_memory(struct error *err)
{
    uint64_t missing = mem_missing_bytes();
    size_t room = staging_room();
    return missing > room ? staging_check(missing - room, err) : 0;
}

int survey_suspend(int64_t deadline, struct findings *findings, struct error *err)
{
    if (leave_refuse(err) != 0 && findings_take(findings, err) != 0)
        return -1;
    if (loader_check_nodes(err) != 0 && findings_take(findings, err) != 0)
        return -1;
    /* An instance that a resume will need is had now, and kept for it. */
    if (loader_prepare(err) != 0 && findings_take(findings, err) != 0)
        return -1;
    if (look_at_memory(err) != 0 && findings_take(findings, err) != 0)
        return -1;
    /* A build inside the gate would have the program stand still until it has ended. */
    if (ahead_begin(err) != 0)
        return -1;
    int result = look_closed(deadline, findings, err);
    ahead_end();
    return result;
}
