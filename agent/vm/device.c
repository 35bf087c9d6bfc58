/* SPDX-License-Identifier: Apache-2.0 */
/* The passed-through device, as QEMU has it: see device.h. */
#include "agent/vm/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static int get(struct qmp *qmp, const char *id, const char *property, json_t **out, double timeout,
               struct error *err)
{
    char path[256];
    snprintf(path, sizeof path, "/machine/peripheral/%s", id);
    json_t *arguments = json_pack("{s:s, s:s}", "path", path, "property", property);
    return qmp_call(qmp, "qom-get", arguments, out, timeout, err);
}

static int has_object(struct qmp *qmp, const char *folder, const char *name, double timeout,
                      struct error *err)
{
    json_t *list = NULL;
    size_t i;
    json_t *item;
    int found = 0;
    if (qmp_call(qmp, "qom-list", json_pack("{s:s}", "path", folder), &list, timeout, err) < 0)
        return -1;
    json_array_foreach(list, i, item)
    {
        const char *text = json_string_value(json_object_get(item, "name"));
        found |= text && !strcmp(text, name);
    }
    json_decref(list);
    return found;
}

int device_is_there(struct qmp *qmp, const char *id, double timeout, struct error *err)
{
    return has_object(qmp, "/machine/peripheral", id, timeout, err);
}

/* Options that QEMU itself fills in once the device is there; they say nothing of what was asked
 * for, and would be wrong for another device of the kind. */
static bool is_derived(const char *name)
{
    return !strcmp(name, "romsize") || !strncmp(name, "x-pci-", 6) || !strncmp(name, "legacy-", 7);
}

/* What stands in device_add for a property's value; NULL where there is nothing to say. */
static json_t *option_of(const json_t *property, json_t *value)
{
    const char *name = json_string_value(json_object_get(property, "name"));
    const char *type = json_string_value(json_object_get(property, "type"));
    const json_t *usual = json_object_get(property, "default-value");
    const char *text = json_string_value(value);
    char slot[8];
    if (is_derived(name) || json_equal(value, usual))
        return NULL;
    if (!strcmp(name, "addr") && json_is_integer(value)) {
        unsigned place = (unsigned)json_integer_value(value);
        snprintf(slot, sizeof slot, "%02x.%x", place / 8 & 0x1f, place % 8);
        return json_string(slot);
    }
    if (!usual && strcmp(type, "str") && strncmp(type, "link<", 5))
        return NULL;
    if (text)
        return *text ? json_string(strncmp(type, "link<", 5) ? text : last_part(text)) : NULL;
    return json_is_boolean(value) || json_is_integer(value) ? json_incref(value) : NULL;
}

static json_t *kind_of(struct qmp *qmp, const char *driver, double timeout, struct error *err)
{
    json_t *properties = NULL;
    json_t *arguments = json_pack("{s:s}", "typename", driver);
    if (qmp_call(qmp, "device-list-properties", arguments, &properties, timeout, err) == 0)
        return properties;
    if (*qmp->error_class)
        error_set(err, 0, "its QEMU has no device of the kind `%s`", driver);
    return NULL;
}

static int deduce_bus(struct qmp *qmp, const char *id, json_t *options, double timeout,
                      struct error *err)
{
    json_t *bus = NULL;
    if (get(qmp, id, "parent_bus", &bus, timeout, err) < 0)
        return -1;
    const char *path = json_string_value(bus);
    if (path && *path)
        json_object_set_new(options, "bus", json_string(last_part(path)));
    json_decref(bus);
    return 0;
}

static int deduce_options(struct qmp *qmp, const char *id, const json_t *properties,
                          json_t *options, double timeout, struct error *err)
{
    size_t i;
    json_t *property;
    json_array_foreach((json_t *)properties, i, property)
    {
        json_t *value = NULL;
        const char *name = json_string_value(json_object_get(property, "name"));
        if (!name || !json_is_string(json_object_get(property, "type")))
            continue;
        if (get(qmp, id, name, &value, timeout, err) < 0) {
            /* One that can be set and not read: its default will do. */
            if (*qmp->error_class && strcmp(name, "addr") &&
                json_object_get(property, "default-value"))
                continue;
            return -1;
        }
        json_t *option = option_of(property, value);
        if (option)
            json_object_set_new(options, name, option);
        json_decref(value);
    }
    /* Where the device is named by its address on the host, its path says the same again. */
    if (json_object_get(options, "host"))
        json_object_del(options, "sysfsdev");
    return 0;
}

int device_deduce(struct qmp *qmp, const char *id, json_t **out, double timeout, struct error *err)
{
    json_t *type = NULL;
    if (get(qmp, id, "type", &type, timeout, err) < 0)
        return -1;
    json_t *options = json_pack("{s:O, s:s}", "driver", type, "id", id);
    json_t *properties = kind_of(qmp, json_string_value(type), timeout, err);
    json_decref(type);
    if (properties && deduce_bus(qmp, id, options, timeout, err) == 0 &&
        deduce_options(qmp, id, properties, options, timeout, err) == 0) {
        json_decref(properties);
        *out = options;
        return 0;
    }
    json_decref(properties);
    json_decref(options);
    return -1;
}

static const json_t *find_pci(const json_t *devices, const char *id)
{
    size_t i;
    json_t *device;
    json_array_foreach((json_t *)devices, i, device)
    {
        const char *name = json_string_value(json_object_get(device, "qdev_id"));
        if (name && !strcmp(name, id))
            return device;
        const json_t *bridge = json_object_get(device, "pci_bridge");
        const json_t *behind = find_pci(json_object_get(bridge, "devices"), id);
        if (behind)
            return behind;
    }
    return NULL;
}

static unsigned number(const json_t *object, const char *member)
{
    return (unsigned)json_integer_value(json_object_get(object, member));
}

int device_locate(struct qmp *qmp, const char *id, struct pci_place *place, double timeout,
                  struct error *err)
{
    json_t *buses = NULL;
    size_t i;
    json_t *bus;
    const json_t *device = NULL;
    *place = (struct pci_place){0};
    if (qmp_call(qmp, "query-pci", NULL, &buses, timeout, err) < 0)
        return -1;
    json_array_foreach(buses, i, bus)
    {
        if (!device)
            device = find_pci(json_object_get(bus, "devices"), id);
    }
    if (device) {
        const json_t *kind = json_object_get(device, "id");
        snprintf(place->address, sizeof place->address, "0000:%02x:%02x.%x",
                 number(device, "bus") & 0xff, number(device, "slot") & 0x1f,
                 number(device, "function") & 7);
        snprintf(place->vendor, sizeof place->vendor, "%04x", number(kind, "vendor") & 0xffff);
        snprintf(place->device, sizeof place->device, "%04x", number(kind, "device") & 0xffff);
    }
    json_decref(buses);
    return 0;
}

/* The value as the kind of device wants it; NULL where it is fine as it is. */
static json_t *typed(const char *type, const char *text)
{
    char *end;
    if (!strcmp(type, "bool"))
        return json_boolean(!strcmp(text, "on") || !strcmp(text, "true") || !strcmp(text, "yes"));
    if (strncmp(type, "int", 3) && strncmp(type, "uint", 4) && strcmp(type, "size"))
        return NULL;
    long long value = strtoll(text, &end, 0);
    return *text && !*end ? json_integer(value) : NULL;
}

int device_plug(struct qmp *qmp, const json_t *options, double timeout, double long_timeout,
                bool *is_sent, struct error *err)
{
    size_t i;
    json_t *property;
    *is_sent = false;
    const char *driver = json_string_value(json_object_get(options, "driver"));
    json_t *properties = kind_of(qmp, driver, timeout, err);
    if (!properties)
        return -1;
    json_t *arguments = json_copy((json_t *)options);
    json_array_foreach(properties, i, property)
    {
        const char *name = json_string_value(json_object_get(property, "name"));
        const char *type = json_string_value(json_object_get(property, "type"));
        const char *text = name ? json_string_value(json_object_get(options, name)) : NULL;
        /* A slot is text, whatever it looks like: `06` is slot 6, and the number 6 is slot 0. */
        json_t *value = text && type && strcmp(name, "addr") ? typed(type, text) : NULL;
        if (value)
            json_object_set_new(arguments, name, value);
    }
    json_decref(properties);
    int result = qmp_call(qmp, "device_add", arguments, NULL, long_timeout, err);
    *is_sent = qmp->is_sent;
    return result;
}

static bool is_root_bus(const char *bus)
{
    return !bus || !strcmp(bus, "pci.0") || !strcmp(bus, "pcie.0");
}

/* Whether something sits in the root bus's slot that the options name. Slots of other buses can't
 * be told before a guest has numbered them. */
static int check_slot(struct qmp *qmp, const json_t *options, double timeout, struct error *err)
{
    const char *text = json_string_value(json_object_get(options, "addr"));
    json_t *buses = NULL;
    size_t i;
    json_t *device;
    if (!text || !is_root_bus(json_string_value(json_object_get(options, "bus"))))
        return 0;
    unsigned slot = (unsigned)strtoul(text, NULL, 16);
    if (qmp_call(qmp, "query-pci", NULL, &buses, timeout, err) < 0)
        return -1;
    int result = 0;
    json_array_foreach(json_object_get(json_array_get(buses, 0), "devices"), i, device)
    {
        if (number(device, "bus") == 0 && number(device, "slot") == slot)
            result = error_set(err, 0, "another device sits in slot %02x of its bus", slot);
    }
    json_decref(buses);
    return result;
}

/* A bus that a port or a bridge with an id makes is called like that. */
static int check_bus(struct qmp *qmp, const json_t *options, double timeout, struct error *err)
{
    const char *bus = json_string_value(json_object_get(options, "bus"));
    if (!bus || strpbrk(bus, "./"))
        return 0;
    int is_there = device_is_there(qmp, bus, timeout, err);
    if (is_there != 0)
        return is_there < 0 ? -1 : 0;
    return error_set(err, 0, "its QEMU has no port or bridge `%s` for the device's `bus`", bus);
}

static int check_place(struct qmp *qmp, const json_t *options, double timeout, struct error *err)
{
    if (check_bus(qmp, options, timeout, err) < 0)
        return -1;
    return check_slot(qmp, options, timeout, err);
}

int device_check(struct qmp *qmp, const json_t *options, double timeout, struct error *err)
{
    size_t i;
    json_t *property;
    int result = 0;
    const char *driver = json_string_value(json_object_get(options, "driver"));
    json_t *properties = kind_of(qmp, driver, timeout, err);
    if (!properties)
        return -1;
    json_array_foreach(properties, i, property)
    {
        const char *name = json_string_value(json_object_get(property, "name"));
        const char *type = json_string_value(json_object_get(property, "type"));
        const char *object = name ? json_string_value(json_object_get(options, name)) : NULL;
        if (result < 0 || !object || !type || strncmp(type, "link<", 5))
            continue;
        int found = has_object(qmp, "/objects", object, timeout, err);
        result = found > 0 ? 0 : -1;
        if (found == 0)
            error_set(err, 0, "its QEMU has no object `%s`, which the device's `%s` names", object,
                      name);
    }
    json_decref(properties);
    return result < 0 ? -1 : check_place(qmp, options, timeout, err);
}
