/* SPDX-License-Identifier: Apache-2.0 */
/* `status`: everything there is to see, nothing changed. */
#include "agent/daemon/agent.h"
#include "agent/daemon/command.h"
#include "agent/daemon/crowd.h"
#include "agent/daemon/reply.h"
#include "agent/daemon/users.h"
#include "agent/process.h"

#include <glob.h>
#include <stdio.h>
#include <string.h>

static void add_uncovered(pid_t pid, bool has_shim, const char *library, void *data)
{
    char command[64];
    process_command(pid, command, sizeof command);
    json_array_append_new(data,
                          json_pack("{s:i, s:o, s:o}", "pid", (int)pid, "command",
                                    answer_string(command), "library", answer_string(library)));
}

static json_t *describe_device(const struct pci_device *device, const struct users *users)
{
    json_t *list = json_array();
    for (size_t i = 0; i < users->count; i++)
        if (pci_owns(device, users->list[i].path))
            json_array_append_new(list, user_describe(&users->list[i]));
    if (!pci_is_compute(device) && json_array_size(list) == 0) {
        json_decref(list);
        return NULL;
    }
    json_t *value = pci_describe(device);
    json_object_set_new(value, "users", list);
    return value;
}

static json_t *describe_devices(const struct pci *pci, const struct users *users)
{
    json_t *array = json_array();
    for (size_t i = 0; i < pci->count; i++) {
        json_t *device = describe_device(&pci->list[i], users);
        if (device)
            json_array_append_new(array, device);
    }
    return array;
}

static bool holds(const struct users *users, json_int_t pid, const struct pci_device *device)
{
    for (size_t i = 0; i < users->count; i++)
        if (users->list[i].pid == pid && pci_owns(device, users->list[i].path))
            return true;
    return false;
}

/* Where a device is on the bus is not known to the processes. It is where the only one is that the
 * process holds; which of several it is can't be told. */
static void add_address(json_t *process, const struct pci *pci, const struct users *users)
{
    const struct pci_device *held = NULL;
    size_t count = 0;
    json_int_t pid = json_integer_value(json_object_get(process, "pid"));
    json_t *devices = json_object_get(process, "devices");
    for (size_t i = 0; i < pci->count; i++)
        if (holds(users, pid, &pci->list[i])) {
            held = &pci->list[i];
            count++;
        }
    if (count == 1 && json_array_size(devices) == 1)
        json_object_set_new(json_array_get(devices, 0), "pci", answer_string(held->address));
}

/* The drivers that are installed: each file names a library in its first line. */
static json_t *describe_drivers(void)
{
    json_t *array = json_array();
    glob_t found;
    if (glob("/etc/OpenCL/vendors/*.icd", 0, NULL, &found))
        return array;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        char library[512] = "";
        FILE *file = fopen(found.gl_pathv[i], "re");
        if (file) {
            if (!fgets(library, sizeof library, file))
                library[0] = 0;
            fclose(file);
        }
        library[strcspn(library, "\n")] = 0;
        json_array_append_new(array,
                              json_pack("{s:o, s:o}", "file", answer_string(found.gl_pathv[i]),
                                        "library", answer_string(library)));
    }
    globfree(&found);
    return array;
}

void status_run(struct job *job)
{
    struct crowd crowd;
    struct pci pci;
    struct users users;
    struct error err = {0};
    if (crowd_find(&crowd, &err) < 0) {
        crowd_finish(&crowd);
        job->reply = reply_error(REPLY_INTERNAL, &err, NULL);
        return;
    }
    json_t *uncovered = json_array();
    targets_each_uncovered(&crowd.targets.peers, add_uncovered, uncovered);
    job->processes = crowd_states(&crowd);
    pci_list(&pci);
    users_find(&users, &pci, NULL, 0);
    json_t *processes = crowd_processes(&crowd);
    for (size_t i = 0; i < json_array_size(processes); i++)
        add_address(json_array_get(processes, i), &pci, &users);
    job->reply =
        reply_return(json_pack("{s:o, s:I, s:o, s:o, s:o}", "processes", processes, "bytes",
                               crowd_bytes(&crowd), "uncovered", uncovered, "devices",
                               describe_devices(&pci, &users), "drivers", describe_drivers()));
    users_finish(&users);
    pci_finish(&pci);
    crowd_finish(&crowd);
}
