/* SPDX-License-Identifier: Apache-2.0 */
/* What changes without a command: programs that come and go, and a mark that somebody removes. */
#ifndef SHADOWCL_DAEMON_WATCH_H
#define SHADOWCL_DAEMON_WATCH_H

#include <jansson.h>
#include <stdbool.h>
#include <uv.h>

struct watch {
    uv_fs_event_t folder; /* the runtime directory */
    uv_timer_t soon;      /* after the folder has changed */
    uv_timer_t often;     /* do those that we know live? */
    json_t *known;        /* owned; pid as text: {"pid", "command", "state"} */
    json_t *suspended; /* owned; pid as text of those that were seen so, and not otherwise since */
    bool has_looked, is_looking, looks_again;
};

struct agent;

int watch_start(struct agent *agent);
void watch_stop(struct agent *agent);
/* What a job saw of each process, or NULL: events for what is new to us. */
void watch_take(struct watch *watch, const json_t *processes);

#endif
