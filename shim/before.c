/* SPDX-License-Identifier: Apache-2.0 */
/* Before the gate closes: see before.h. */
#include "shim/before.h"

#include "shim/ahead.h"
#include "shim/loader.h"
#include "shim/owner.h"
#include "state/mem.h"
#include "state/staging.h"

/* To touch much memory takes long. */
static bool is_no_use(void)
{
    owner_let_forks_by();
    return owner_is_ending();
}

/* Contents that go by in chunks need no memory. */
static int reserve_what_is_missing(struct error *err)
{
    if (store_sink())
        return store_check(err);
    uint64_t missing = mem_missing_bytes();
    size_t room = staging_room();
    return missing > room ? staging_reserve(missing - room, is_no_use, err) : 0;
}

/* What can be refused without stopping anybody. */
static int look_around(bool let_go, const struct store_wish *image, struct error *err)
{
    if ((let_go && loader_check_nodes(err) != 0) || loader_prepare(err) != 0 ||
        store_begin(image, err) != 0)
        return -1;
    return reserve_what_is_missing(err);
}

/* Copies beforehand, if that is wanted, and looks again at what may have changed meanwhile. */
static int copy_beforehand(bool let_go, const struct precopy_wish *wish, struct report *report,
                           struct error *err)
{
    if (precopy(wish, report, err) != 0)
        return -1;
    if (!report->precopy.rounds)
        return 0;
    if ((let_go && loader_check_nodes(err) != 0) || loader_prepare(err) != 0)
        return -1;
    return reserve_what_is_missing(err);
}

/* Who did not wait has told somebody that we run: a suspend now would be found by nobody. */
static int check_asker(const struct precopy_wish *wish, struct error *err)
{
    if (!precopy_asker_gone(wish))
        return 0;
    error_set(err, 0, "who asked for the suspend has gone away");
    return error_todo(err, "ask again");
}

static int look_and_copy(double deadline, bool let_go, const struct precopy_wish *wish,
                         const struct store_wish *image, struct report *report, struct error *err)
{
    if (ahead_stop(deadline, err) != 0 || look_around(let_go, image, err) != 0 ||
        copy_beforehand(let_go, wish, report, err) != 0)
        return -1;
    return check_asker(wish, err);
}

int before_closing(double deadline, bool let_go, const struct precopy_wish *wish,
                   const struct store_wish *image, struct report *report, struct error *err)
{
    int result = look_and_copy(deadline, let_go, wish, image, report, err);
    if (!owner_is_ending())
        return result;
    /* It waits, and would have to until all is copied. */
    *err = (struct error){0};
    error_set(err, 0, "the program is just ending");
    return error_todo(err, "wait for that");
}
