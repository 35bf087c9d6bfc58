/* SPDX-License-Identifier: Apache-2.0 */
/* The arguments of vm-migrate, vm-suspend and vm-resume: one table, for the command line and for
 * the file of --config. What is wrong ends the command with exit code 2 and says so. */
#ifndef SHADOWCL_AGENT_VM_OPTIONS_H
#define SHADOWCL_AGENT_VM_OPTIONS_H

#include <jansson.h>
#include <stdbool.h>

enum vm_verb { VM_MIGRATE = 1, VM_SUSPEND = 2, VM_RESUME = 4 };

struct vm_options {
    enum vm_verb verb;
    const char *source, *destination, *agent, *destination_agent, *device, *uri, *incoming;
    const char *source_device, *destination_device, *meanwhile, *resume_device, *resume_map,
        *address;
    const char *config, *timeline;
    double deadline, timeout, unplug_timeout, migrate_timeout, linger; /* seconds */
    double bandwidth;                                                  /* bytes a second */
    double downtime_limit;                                             /* milliseconds */
    double multifd;
    bool json, dry_run, force;
    json_t *file; /* owned: what --config holds */
};

void vm_options_parse(struct vm_options *options, enum vm_verb verb, int argc, char **argv);
void vm_options_finish(struct vm_options *options);

#endif
