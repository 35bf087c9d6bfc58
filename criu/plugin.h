/* SPDX-License-Identifier: Apache-2.0 */
/* What CRIU asks of a plugin, from version 4.0 on: the layout of the descriptor, and the numbers of
 * the hooks that we use. Declared here, because a plugin that is built against the header of a
 * newer CRIU claims more hooks than an older one knows, which refuses it. */
#ifndef SHADOWCL_CRIU_PLUGIN_H
#define SHADOWCL_CRIU_PLUGIN_H

enum {
    HOOK_RESUME_DEVICES_LATE = 9,
    HOOK_PAUSE_DEVICES = 10,
    NUM_HOOKS = 12, /* in 4.0; later versions have more, and take fewer */
};

enum stage { STAGE_DUMP, STAGE_PRE_DUMP, STAGE_RESTORE };

struct plugin_description {
    const char *name;
    int (*init)(int stage);
    void (*exit)(int stage, int result);
    unsigned version, max_hooks;
    void *hooks[NUM_HOOKS];
};

#define PLUGIN_VERSION 0x000200 /* 0.2.0 */

/* CRIU looks this symbol up. */
extern struct plugin_description CR_PLUGIN_DESC;

/* CRIU's own, where it has them. The first makes a restore without the plugin fail. */
int add_inventory_plugin(const char *name) __attribute__((weak));
int check_and_remove_inventory_plugin(const char *name, unsigned long size) __attribute__((weak));
/* Either keeps it from freezing a cgroup, also where it is asked to: the first in 4.0, the second
 * from 4.1 on. */
void dont_use_freeze_cgroup(void) __attribute__((weak));
void set_compel_interrupt_only_mode(void) __attribute__((weak));
void print_on_level(unsigned level, const char *format, ...)
    __attribute__((weak, format(printf, 2, 3)));

#endif
