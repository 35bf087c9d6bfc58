/* SPDX-License-Identifier: Apache-2.0 */
/* Giving up a driver that hangs: see watch.h. */
#include "shim/watch.h"

#include "shim/library.h"
#include "shim/linking.h"
#include "shim/loader.h"
#include "shim/objects.h"
#include "shim/phase.h"
#include "shim/residue.h"

static void abandon(const struct phase_place *place)
{
    loader_abandon(place->library);
    /* The thread is frozen between the two looks. While a driver is started, what is new is of that
     * one alone; where objects are made again it may be any driver's. */
    if (residue_leave_all() && place->object)
        loader_note_device(NULL);
    platform_reset();
}

void watch_describe(const struct phase_place *place, struct error *err)
{
    *err = (struct error){0};
    if (place->object)
        object_describe(place->object, err->object, sizeof err->object);
    else
        error_object(err, "driver `%s`", library_path(place->library));
    const char *path = library_path(place->library);
    unsigned long patience = phase_patience(place);
    if (place->linking == LINKING_NOT)
        error_set(err, 0, "the driver `%s` has not come back from a call in %lu s", path, patience);
    else
        error_set(err, 0, "the driver `%s` %s in %lu s", path, linking_describe(place->linking),
                  patience);
}

static bool is_among(const struct phase_place *places, unsigned count, const struct library *one)
{
    for (unsigned i = 0; i < count; i++)
        if (places[i].library == one)
            return true;
    return false;
}

int watch_give_up(const struct phase_place *places, unsigned count, struct error *err)
{
    /* Before it is abandoned, which makes it more patient. */
    watch_describe(&places[0], err);
    for (unsigned i = 0; i < count; i++)
        if (!is_among(places, i, places[i].library))
            abandon(&places[i]);
    if (linking_is_stuck())
        return error_todo(err, "no driver can be loaded until they have come back: then try again; "
                               "see whether the device still works");
    return error_todo(err, "try again: the next instance of the driver is a fresh one; see whether "
                           "the device still works");
}

int watched(int (*act)(void *data), void *data, bool *hung, struct error *err)
{
    struct phase_place place;
    int result = phase_run(act, data, &place);
    *hung = place.library != NULL;
    return *hung ? watch_give_up(&place, 1, err) : result;
}
