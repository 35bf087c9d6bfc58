/* SPDX-License-Identifier: Apache-2.0 */
/* `shadowcl vm-suspend` and `shadowcl vm-resume`: the two halves of a move, for a machine that is
 * saved, moved by other means, or whose host needs the device for a while. */
#include "agent/verbs.h"
#include "agent/vm/move.h"
#include "agent/vm/remember.h"

#include <stdio.h>
#include <stdlib.h>

static struct move move; /* large, and there is one */

static int connect_one(struct move *one, struct error *err)
{
    struct side *side = &one->source;
    bool has_monitor = side->qmp.address != NULL;
    if (has_monitor ? side_connect(side, err) < 0
                    : guest_connect(&side->guest, move_timeout(one), err) < 0)
        return -1;
    return guest_call(&one->source.guest, "ping", NULL, NULL, move_timeout(one), err);
}

static int check_suspend(struct move *one, struct error *err)
{
    side_mark(&one->source, ROW_VM);
    side_mark(&one->source, ROW_DEVICE);
    if (side_find_device(&one->source, one->options.source_device, err) < 0)
        return -1;
    return side_check_guest(&one->source, err);
}

/* As it was plugged in before it was unplugged, if that was done from here. */
static int recall_device(struct side *side)
{
    const char *id = side->move->options.device;
    side->device = remember_find(side->qmp.address, id);
    if (!side->device)
        return -1;
    json_object_set_new(side->device, "id", json_string(id));
    char *text = device_text(side->device);
    move_note(side->move, "`%.60s` is plugged in as it was: %.400s", id, text ? text : "?");
    free(text);
    return 0;
}

static int check_resume(struct move *one, struct error *err)
{
    struct side *side = &one->source;
    const char *text = one->options.source_device;
    double timeout = move_timeout(one);
    int is_there = device_is_there(&side->qmp, one->options.device, timeout, err);
    if (is_there < 0)
        return -1;
    side->plug = is_there ? PLUG_IN : PLUG_OUT;
    side_mark(side, ROW_VM);
    error_object(err, "device `%.60s`", one->options.device);
    error_todo(err, "say with --device-options how it is plugged in; vm-suspend has told it");
    if (!is_there && !text && recall_device(side) < 0)
        return error_set(err, 0,
                         "the machine has no device with this id, and no vm-suspend here has taken "
                         "one from it");
    if (text && side_set_device(side, text, err) < 0)
        return -1;
    if (!is_there && device_check(&side->qmp, side->device, timeout, err) < 0)
        return -1;
    return side_check_guest(side, err);
}

/* Programs that run, and are to go on elsewhere: on the device that has come, where a move with
 * --meanwhile has ended halfway. */
static int leave_other_device(struct move *one, struct error *err)
{
    const struct vm_options *options = &one->options;
    json_error_t why;
    if (options->resume_map) {
        json_decref(one->map);
        one->map = json_loads(options->resume_map, JSON_REJECT_DUPLICATES, &why);
        error_object(err, "--resume-map");
        error_todo(err, "write it as {\"PID\": \"DEVICE\"}");
        if (!json_is_object(one->map))
            return error_set(err, 0, "it is not a JSON object");
    }
    if (one->programs == PROGRAMS_SUSPENDED || !(options->resume_device || options->resume_map))
        return 0;
    return step_suspend_again(one, err);
}

static int check_guest(struct move *one, struct error *err)
{
    const char *address = one->options.address;
    struct side *side = &one->source;
    snprintf(side->place.address, sizeof side->place.address, "%s", address ? address : "");
    return side_check_guest(side, err);
}

/* The device was plugged in by somebody else, a moment ago. */
static int wait_for_device(struct move *one, struct error *err)
{
    const char *address = one->options.address;
    double timeout = move_timeout(one);
    move_settle(one, timeout);
    if (!address)
        return 0;
    json_t *arguments = json_pack("{s:s, s:f}", "address", address, "timeout", timeout);
    int result = guest_call(&one->source.guest, "device-wait", arguments, NULL, timeout + 5, err);
    move_settle(one, timeout);
    return result;
}

static const struct phase suspend_phases[] = {{"connect", connect_one},  {"check", check_suspend},
                                              {"prepare", step_prepare}, {"suspend", step_suspend},
                                              {"unplug", step_unplug},   {0}};

static const struct phase resume_phases[] = {{"connect", connect_one},
                                             {"check", check_resume},
                                             {"plug", step_plug},
                                             {"leave", leave_other_device},
                                             {"resume", step_resume},
                                             {"verify", step_verify},
                                             {0}};

/* Without a monitor. */
static const struct phase suspend_programs[] = {{"connect", connect_one},
                                                {"check", check_guest},
                                                {"prepare", step_prepare},
                                                {"suspend", step_suspend},
                                                {0}};

static const struct phase resume_programs[] = {{"connect", connect_one},
                                               {"wait", wait_for_device},
                                               {"check", check_guest},
                                               {"leave", leave_other_device},
                                               {"resume", step_resume},
                                               {"verify", step_verify},
                                               {0}};

int verb_vm_suspend(int argc, char **argv)
{
    move_init(&move, VM_SUSPEND, argc, argv);
    int code = move_run(&move, move.options.source ? suspend_phases : suspend_programs);
    move_finish(&move);
    return code;
}

int verb_vm_resume(int argc, char **argv)
{
    move_init(&move, VM_RESUME, argc, argv);
    int code = move_run(&move, move.options.source ? resume_phases : resume_programs);
    move_finish(&move);
    return code;
}
