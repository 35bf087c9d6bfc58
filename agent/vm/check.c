/* SPDX-License-Identifier: Apache-2.0 */
/* Before anything is touched: who is there, and what would prevent the move. */
#include "agent/vm/move.h"

#include "agent/text.h"

#include <stdio.h>
#include <string.h>

enum { PROTOCOL = 1 };

int side_connect(struct side *side, struct error *err)
{
    double timeout = move_timeout(side->move);
    if (qmp_connect(&side->qmp, timeout, err) < 0)
        return -1;
    return guest_connect(&side->guest, timeout, err);
}

int move_connect(struct move *move, struct error *err)
{
    double timeout = move_timeout(move);
    if (side_connect(&move->source, err) < 0 || side_connect(&move->destination, err) < 0)
        return -1;
    return guest_call(&move->source.guest, "ping", NULL, NULL, timeout, err);
}

/* Where a check's failure goes: the next of the problems. */
static struct error *problem(struct move *move)
{
    static struct error spare;
    size_t most = sizeof move->problems / sizeof *move->problems;
    return move->num_problems < most ? &move->problems[move->num_problems] : &spare;
}

static void count(struct move *move, int result)
{
    if (result < 0 && move->num_problems < sizeof move->problems / sizeof *move->problems)
        move->num_problems++;
}

static int check_run_state(struct side *side, const char *wanted, const char *todo,
                           struct error *err)
{
    char state[32];
    if (side_run_state(side, state, err) < 0)
        return -1;
    if (!strcmp(state, wanted))
        return 0;
    error_object(err, "%s", side->name);
    error_todo(err, "%s", todo);
    return error_set(err, 0, "its state is `%s`, not `%s`", state, wanted);
}

/* The devices that have an id, for a message. */
static void name_devices(struct side *side, char *out, size_t size)
{
    struct error unsaid;
    json_t *list = NULL;
    size_t i, used = 0;
    json_t *item;
    *out = 0;
    qmp_call(&side->qmp, "qom-list", json_pack("{s:s}", "path", "/machine/peripheral"), &list,
             move_timeout(side->move), &unsaid);
    json_array_foreach(list, i, item)
    {
        const char *name = json_string_value(json_object_get(item, "name"));
        const char *type = json_string_value(json_object_get(item, "type"));
        if (name && type && !strncmp(type, "child<", 6) && used < size)
            used += (size_t)snprintf(out + used, size - used, "%s%s", used ? ", " : "", name);
    }
    json_decref(list);
}

int side_set_device(struct side *side, const char *text, struct error *err)
{
    if (device_parse(text, &side->device, err) < 0)
        return -1;
    /* All goes by the id, whatever the text says. */
    json_object_set_new(side->device, "id", json_string(side->move->options.device));
    return 0;
}

int side_find_device(struct side *side, const char *text, struct error *err)
{
    char names[200];
    const char *id = side->move->options.device;
    double timeout = move_timeout(side->move);
    int is_there = device_is_there(&side->qmp, id, timeout, err);
    if (is_there < 0)
        return -1;
    side->plug = is_there ? PLUG_IN : PLUG_OUT;
    if (!is_there) {
        name_devices(side, names, sizeof names);
        error_object(err, "device `%.60s`", id);
        error_todo(err, "name one of those that it has: %s", *names ? names : "none has an id");
        return error_set(err, 0, "the %s has no device with this id", side->name);
    }
    if (device_locate(&side->qmp, id, &side->place, timeout, err) < 0)
        return -1;
    if (text)
        return side_set_device(side, text, err);
    return device_deduce(&side->qmp, id, &side->device, timeout, err);
}

static int check_protocol(struct side *side, struct error *err)
{
    json_t *answer = NULL;
    double timeout = move_timeout(side->move);
    if (guest_call(&side->guest, "capabilities", NULL, &answer, timeout, err) < 0)
        return -1;
    json_t *protocol = json_object_get(answer, "protocol");
    int major = (int)json_integer_value(json_object_get(protocol, "major"));
    side->move->has_hooks = json_array_size(json_object_get(answer, "hooks")) > 0;
    json_decref(answer);
    if (major == PROTOCOL)
        return 0;
    error_object(err, "%s", side->guest.name);
    error_todo(err, "use the shadowcl of the same version on both sides");
    return error_set(err, 0, "its agent speaks version %d of the protocol, not %d", major,
                     PROTOCOL);
}

/* "PLATFORM:INDEX,PLATFORM:INDEX", as `resume` takes it. */
static json_t *devices_of(const json_t *process)
{
    char text[1024] = "";
    size_t used = 0, i;
    json_t *device;
    json_array_foreach(json_object_get(process, "devices"), i, device)
    {
        const char *platform = json_string_value(json_object_get(device, "platform"));
        json_int_t index = json_integer_value(json_object_get(device, "index"));
        if (platform && used < sizeof text)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%s:%" JSON_INTEGER_FORMAT,
                                     used ? "," : "", platform, index);
    }
    return used < sizeof text ? json_string(text) : NULL;
}

static void remember_devices(struct move *move, const json_t *status)
{
    size_t i;
    json_t *process;
    char pid[24];
    json_decref(move->map);
    move->map = json_object();
    json_array_foreach(json_object_get(status, "processes"), i, process)
    {
        json_t *pid_of = json_object_get(process, "pid");
        snprintf(pid, sizeof pid, "%" JSON_INTEGER_FORMAT, json_integer_value(pid_of));
        json_object_set_new(move->map, pid, devices_of(process));
    }
}

const json_t *status_device(const json_t *status, const char *address)
{
    size_t i;
    json_t *device;
    json_array_foreach(json_object_get(status, "devices"), i, device)
    {
        const char *text = json_string_value(json_object_get(device, "address"));
        if (text && !strcmp(text, address))
            return device;
    }
    return NULL;
}

/* What the guest's kernel has for the device. */
static void look_at_driver(struct side *side, const json_t *status)
{
    struct move *move = side->move;
    const json_t *device = status_device(status, side->place.address);
    if (*side->place.address && !device)
        move_note(move, "the guest does not count %s among its OpenCL devices",
                  side->place.address);
    move->had_driver = json_is_string(json_object_get(device, "driver"));
    move->had_nodes = json_array_size(json_object_get(device, "nodes")) > 0;
}

int side_check_guest(struct side *side, struct error *err)
{
    struct move *move = side->move;
    json_t *status = NULL;
    if (check_protocol(side, err) < 0 ||
        guest_call(&side->guest, "status", NULL, &status, move_timeout(move), err) < 0)
        return -1;
    char text[33];
    const char *state = json_string_value(json_object_get(status, "state"));
    bool is_resting = state && (!strcmp(state, "running") || !strcmp(state, "suspended"));
    int result = 0;
    if (!is_resting) {
        error_object(err, "%s", side->guest.name);
        error_todo(err, "wait until what is at work there has ended");
        result = error_set(err, 0, "its programs are `%s`",
                           text_clean(text, sizeof text, state ? state : "unknown"));
    } else {
        bool is_running = !strcmp(state, "running");
        move->programs = is_running ? PROGRAMS_RUNNING : PROGRAMS_SUSPENDED;
        timeline_mark(&move->timeline, ROW_PROGRAMS, is_running ? "running" : "suspended");
        remember_devices(move, status);
        contents_expect(&move->contents, status);
        snprintf(move->boot, sizeof move->boot, "%s", side->guest.boot);
    }
    look_at_driver(side, status);
    json_decref(status);
    return result;
}

/* The option that names something of the host, NULL where there is none. */
static const char *host_option(const json_t *device, const char **value)
{
    static const char *const names[] = {"host", "sysfsdev", "iommufd", "fd", "hostdevice"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        *value = json_string_value(json_object_get(device, names[i]));
        if (*value)
            return names[i];
    }
    return NULL;
}

/* A device that is named by something of the source's host is another one elsewhere. */
static int check_is_portable(const struct side *from, struct error *err)
{
    const char *value;
    const char *name = host_option(from->device, &value);
    if (!name)
        return 0;
    error_object(err, "device `%.60s`", from->move->options.device);
    error_todo(err, "say with --destination-device how it is plugged in at the destination");
    return error_set(err, 0,
                     "at the source it is `%s=%.100s`, which says nothing of the destination's "
                     "host",
                     name, value);
}

static int find_destination_device(struct move *move, struct error *err)
{
    const struct side *source = &move->source;
    const char *text = move->options.destination_device;
    if (text)
        return side_set_device(&move->destination, text, err);
    if (!source->device)
        return error_set(err, 0, "what would do there is not known");
    if (check_is_portable(source, err) < 0)
        return -1;
    move->destination.device = json_copy(source->device);
    return 0;
}

/* No command of QEMU's tries a device without plugging it in. */
static void say_what_is_not_known(struct move *move)
{
    const char *value;
    const char *name = host_option(move->destination.device, &value);
    if (name && move->options.dry_run)
        move_note(move,
                  "not known before it is plugged in: whether the destination's host has "
                  "`%s=%.100s`, and lets QEMU have it (bound to vfio-pci, in use by nobody else)",
                  name, value);
}

static int check_destination_device(struct move *move, struct error *err)
{
    struct side *side = &move->destination;
    const char *id = move->options.device;
    double timeout = move_timeout(move);
    error_object(err, "device `%.60s`", id);
    if (find_destination_device(move, err) < 0)
        return -1;
    int is_there = device_is_there(&side->qmp, id, timeout, err);
    if (is_there > 0) {
        error_object(err, "device `%.60s`", id);
        error_todo(err, "start it without the device: that is plugged in once the guest is there");
        return error_set(err, 0, "the destination has a device with this id already");
    }
    side->plug = PLUG_OUT;
    if (is_there < 0 || device_check(&side->qmp, side->device, timeout, err) < 0) {
        error_todo(err, "say with --destination-device how it is plugged in at the destination");
        return -1;
    }
    say_what_is_not_known(move);
    return 0;
}

/* A machine whose programs are suspended may have lost its device before: vm-suspend took it, or a
 * move that failed could not bring it back. */
static int find_source_device(struct move *move, struct error *err)
{
    const struct vm_options *options = &move->options;
    struct error unsaid;
    if (side_find_device(&move->source, options->source_device, err) == 0)
        return 0;
    if (move->source.plug != PLUG_OUT || !options->destination_device ||
        step_learn(move, &unsaid) < 0 || move->programs != PROGRAMS_SUSPENDED)
        return -1;
    timeline_mark(&move->timeline, ROW_DEVICE, "nowhere");
    return options->source_device ? side_set_device(&move->source, options->source_device, err) : 0;
}

/* A guest that has not come yet does not speak. */
static int check_is_silent(const struct guest *guest, struct error *err)
{
    if (!*guest->boot)
        return 0;
    error_object(err, "%s", guest->name);
    error_todo(err, "give the port of the destination's own guest");
    return error_set(err, 0, "an agent speaks on `%s` before the guest has come", guest->address);
}

int move_check(struct move *move, struct error *err)
{
    struct side *source = &move->source, *destination = &move->destination;
    timeline_mark(&move->timeline, ROW_VM, "source");
    timeline_mark(&move->timeline, ROW_DEVICE, "source");
    count(move, check_run_state(source, "running", "start the source's guest", problem(move)));
    count(move,
          check_run_state(destination, "inmigrate",
                          "start the destination anew, with `-incoming defer`", problem(move)));
    count(move, find_source_device(move, problem(move)));
    count(move, check_destination_device(move, problem(move)));
    count(move, side_check_guest(source, problem(move)));
    count(move, check_is_silent(&destination->guest, problem(move)));
    /* A setting that a QEMU does not take is refused here, before anything is unplugged. */
    if (!move->num_problems && !move->options.dry_run)
        count(move, move_set_up_migration(move, problem(move)));
    if (move->num_problems)
        *err = move->problems[0];
    return move->num_problems ? -1 : 0;
}
