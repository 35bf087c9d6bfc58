/* SPDX-License-Identifier: Apache-2.0 */
/* The devices that are placed, and what SPECs mean for them: see used.h. */
#include "shim/used.h"

#include <stdlib.h>
#include <string.h>

#include "shim/loader.h"

static bool is_root(const struct object *object)
{
    return object->was == KIND_DEVICE && !((const struct device *)object)->partition;
}

static bool is_used(const struct object *object)
{
    return is_root(object) && atomic_load(&object->holds) > 1;
}

/* Between two jobs: what the next one will want is what the last one had, as far as can be told. */
static void find_idle(struct used *used, struct object *const *objects, size_t count)
{
    enum device_known most = DEVICE_UNKNOWN;
    used->idle = true;
    for (size_t i = 0; i < count; i++) {
        enum device_known known =
            is_root(objects[i]) ? atomic_load(&((struct device *)objects[i])->known) : most;
        most = known > most ? known : most;
    }
    for (size_t i = 0; i < count && most; i++)
        if (is_root(objects[i]) && atomic_load(&((struct device *)objects[i])->known) == most)
            used->devices[used->count++] = (struct device *)objects[i];
}

int used_find(struct used *used, bool idle, struct object *const *objects, size_t count,
              struct error *err)
{
    used->devices = calloc(count + 1, sizeof *used->devices);
    used->targets = calloc(count + 1, sizeof *used->targets);
    if (!used->devices || !used->targets)
        return error_set(err, 0, "no memory for the list of devices");
    for (size_t i = 0; i < count; i++)
        if (is_used(objects[i]))
            used->devices[used->count++] = (struct device *)objects[i];
    if (idle && !used->count)
        find_idle(used, objects, count);
    return 0;
}

void used_finish(struct used *used)
{
    free(used->devices);
    free(used->targets);
}

static void stay(struct used *used)
{
    for (size_t i = 0; i < used->count; i++)
        used->targets[i] = device_place(used->devices[i]);
}

/* As many as there is room for become targets; *count: how many SPECs there are. */
static int read_specs(struct used *used, const char *specs, size_t *count, struct error *err)
{
    char *copy = strdup(specs), *rest = copy, *spec;
    int result = copy ? 0 : error_set(err, 0, "no memory for `%s`", specs);
    *count = 0;
    while (result == 0 && (spec = strsep(&rest, ","))) {
        struct device *target = device_find(spec, err);
        if (!target)
            result = -1;
        else if (*count < used->count)
            used->targets[*count] = target;
        ++*count;
    }
    free(copy);
    return result;
}

/* There is nothing that could not stay. */
static void aim_idle(struct used *used, const char *specs, size_t count, struct report *report)
{
    if (count == 1)
        for (size_t i = 1; i < used->count; i++)
            used->targets[i] = used->targets[0];
    if (count == 1 || count == used->count)
        return;
    for (size_t i = 0; i < used->count; i++)
        report_warn(report,
                    "device `%s` stays where it was: nothing is on it, and `%s` names %zu devices "
                    "for %zu",
                    used->devices[i]->name, specs, count, used->count);
    used->count = 0;
}

int used_aim(struct used *used, const char *specs, struct report *report, struct error *err)
{
    size_t count;
    stay(used);
    if (!specs || !*specs)
        return 0;
    if (read_specs(used, specs, &count, err) != 0)
        return -1;
    if (used->idle)
        aim_idle(used, specs, count, report);
    /* One that has had no device yet goes on wherever it is told to. */
    if (used->idle || !used->count || count == used->count)
        return 0;
    error_set(err, 0, "`%s` names %zu device%s, and the program uses %zu", specs, count,
              count == 1 ? "" : "s", used->count);
    error_todo(err, "name one device for each that it uses, separated by commas");
    return error_final(err);
}

/* One that lived elsewhere and was then used there itself shares its place with that one. */
static bool are_together(const struct used *used, size_t i, size_t j)
{
    return used->targets[i] == device_place(used->devices[i]) &&
           used->targets[j] == device_place(used->devices[j]);
}

static int check_apart(const struct used *used, size_t i, struct error *err)
{
    for (size_t j = 0; j < i; j++)
        if (used->targets[j] == used->targets[i] && !are_together(used, i, j)) {
            error_object(err, "device `%s`", used->targets[i]->name);
            error_set(err, 0, "two of the program's devices can't become the same one");
            error_todo(err, "name different devices");
            return error_final(err);
        }
    return 0;
}

static int check_there(const struct used *used, size_t i, struct error *err)
{
    const struct device *target = used->targets[i];
    /* (One that lives elsewhere has a real handle, and none of its own once it is gone.) */
    if (target->own || (target->object.real && target == device_place(used->devices[i])))
        return 0;
    const char *why = loader_why(target->platform);
    error_object(err, "device `%s`", target->name);
    error_set(err, 0, "%s", why ? why : "its driver does not find it any more");
    return error_todo(err, "bring the device back, or resume on another one with --device "
                           "(see `shadowcl ps` and clinfo)");
}

int used_check(const struct used *used, struct error *err)
{
    for (size_t i = 0; i < used->count; i++)
        if ((!used->idle && check_apart(used, i, err) != 0) || check_there(used, i, err) != 0)
            return -1;
    return 0;
}
