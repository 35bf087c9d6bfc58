/* SPDX-License-Identifier: Apache-2.0 */
/* Objects from an image's messages, as load.h takes them: records one after the other, each after
 * its length (16 bits, little-endian), without the file's checksums. What could be loaded is then
 * looked at as a check and a rebuild do, over a driver that says yes to everything. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_driver.h"
#include "serialize/load.h"
#include "shim/gate.h"
#include "shim/objects.h"
#include "state/kernel.h"
#include "state/mem.h"
#include "state/svm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void differs(const char *what, void *data)
{
    if (strlen(what) > 4096)
        abort();
}

/* The questions of shim/compatible.c and placement.c that need nothing else. */
static void look(struct object *object)
{
    struct error err = {0};
    char name[128];
    object_describe(object, name, sizeof name);
    if (objects_carriable(&object, 1, NULL, &err) != 0 && (!err.object[0] || !err.reason[0]))
        abort();
    if (object->was == KIND_DEVICE)
        device_compare((struct device *)object, &fuzz_driver, fuzz_device(), differs, NULL);
    if (object->was == KIND_PROGRAM)
        program_movable((struct program *)object, &err);
}

/* All root devices live on one: driver and handle are the same. */
static void settle(struct device *device)
{
    if (device->parent)
        return;
    device->object.real = fuzz_device();
    device->object.driver = &fuzz_driver;
}

static void rebuild(struct object **objects, size_t count)
{
    struct error err = {0};
    for (size_t i = 0; i < count; i++)
        if (objects[i]->was == KIND_DEVICE)
            settle((struct device *)objects[i]);
    int result = objects_carriable(objects, count, NULL, &err);
    for (size_t i = 0; i < count && result == 0; i++)
        result = objects_rebuild(objects[i], &err);
    if (result != 0 && (!err.object[0] || !err.reason[0]))
        abort();
    for (size_t i = count; i-- > 0;)
        objects_release(objects[i]);
}

static void check_all_is_gone(void)
{
    size_t counts[KIND_COUNT];
    object_count(counts);
    for (int kind = KIND_DYING; kind < KIND_COUNT; kind++)
        if (counts[kind])
            abort();
    if (svm_count() || fuzz_driver_objects())
        abort();
}

static void load_records(struct load *load, const uint8_t *data, size_t size)
{
    for (size_t at = 0; at + 2 <= size;) {
        size_t length = data[at] | (size_t)data[at + 1] << 8;
        at += 2;
        if (length > size - at)
            length = size - at;
        Shadowcl__Image__Object *message = shadowcl__image__object__unpack(NULL, length, data + at);
        struct error err = {0};
        if (message && load_object(load, message, at, &err) != 0 &&
            (!err.object[0] || !err.reason[0] || !err.todo[0]))
            abort();
        if (message)
            shadowcl__image__object__free_unpacked(message, NULL);
        at += length;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    if (!ready && object_init(NULL) == 0)
        abort();
    ready = true;
    size_t count;
    struct load *load = load_create();
    if (!load)
        return 0;
    load_records(load, data, size);
    struct object **objects = load_list(load, &count);
    for (size_t i = 0; i < count; i++)
        look(objects[i]);
    rebuild(objects, count);
    free(objects);
    load_destroy(load);
    check_all_is_gone();
    return 0;
}
