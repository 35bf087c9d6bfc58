/* SPDX-License-Identifier: Apache-2.0 */
/* What changes without a command: see watch.h. */
#include "agent/daemon/watch.h"

#include "agent/daemon/agent.h"
#include "agent/daemon/crowd.h"
#include "agent/daemon/logbook.h"
#include "agent/process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A program makes its socket before it listens on it. */
enum { SOON_MS = 100, OFTEN_MS = 1000, RESCAN_TURNS = 10 };

struct look {
    uv_work_t work;
    struct agent *agent;
    json_t *processes; /* owned */
};

static struct agent *agent_of(struct watch *watch)
{
    return watch->soon.data;
}

static void tell(struct watch *watch, const json_t *process)
{
    if (watch->has_looked)
        agent_send_event(agent_of(watch), "process", json_copy((json_t *)process));
}

static void tell_gone(struct watch *watch, json_t *process)
{
    json_object_set_new(process, "state", json_string("gone"));
    tell(watch, process);
}

/* One that only falls silent is suspended as before. */
static void note_state(struct watch *watch, const char *key, const char *state)
{
    if (!strcmp(state, "suspended"))
        json_object_set_new(watch->suspended, key, json_integer(1));
    else if (strcmp(state, "not answering") != 0 && strcmp(state, "unknown") != 0)
        json_object_del(watch->suspended, key);
}

void watch_take(struct watch *watch, const json_t *processes)
{
    char key[16];
    for (size_t i = 0; i < json_array_size(processes); i++) {
        json_t *process = json_array_get(processes, i);
        snprintf(key, sizeof key, "%d", (int)json_integer_value(json_object_get(process, "pid")));
        const char *state = json_string_value(json_object_get(process, "state"));
        note_state(watch, key, state);
        if (json_equal(json_object_get(watch->known, key), process))
            continue;
        tell(watch, process);
        if (strcmp(state, "gone"))
            json_object_set_new(watch->known, key, json_copy(process));
        else
            json_object_del(watch->known, key);
    }
    watch->has_looked |= processes != NULL;
}

static bool is_freed_by_hand(const struct agent *agent)
{
    return agent->mark.state == STATE_SUSPENDED && !agent->jobs.alone && !mark_stands(&agent->mark);
}

static bool all_run(const json_t *processes)
{
    bool all = processes != NULL;
    for (size_t i = 0; i < json_array_size(processes); i++) {
        const json_t *process = json_array_get(processes, i);
        const char *state = json_string_value(json_object_get(process, "state"));
        all = all && strcmp(state, "suspended") != 0 && strcmp(state, "rebuilding") != 0;
    }
    return all;
}

/* Whoever may has removed the mark: `shadowcl resume --all`. Those that are suspended still are so,
 * and what the hooks did to the device has yet to be undone by a `resume`. */
static void take_freedom(struct agent *agent, const json_t *processes)
{
    struct error err = {0};
    if (!is_freed_by_hand(agent) || !all_run(processes))
        return;
    logbook_write("the mark was removed: everybody has been freed without the agent%s",
                  agent->mark.hooks ? "; a `resume` runs the hooks of `return`" : "");
    if (agent_set_state(agent, STATE_RUNNING, &err) < 0)
        logbook_error("state", &err);
}

static void look_on_thread(uv_work_t *work)
{
    struct look *look = work->data;
    struct crowd crowd;
    struct error err = {0};
    if (crowd_find(&crowd, &err) == 0)
        look->processes = crowd_states(&crowd);
    crowd_finish(&crowd);
}

static void on_soon(uv_timer_t *timer);

static void after_look(uv_work_t *work, int status)
{
    struct look *look = work->data;
    struct agent *agent = look->agent;
    struct watch *watch = &agent->watch;
    watch->is_looking = false;
    /* A command at work tells of the processes itself; what we saw may be older. */
    if (!agent->jobs.alone)
        watch_take(watch, look->processes);
    take_freedom(agent, look->processes);
    json_decref(look->processes);
    free(look);
    if (watch->looks_again)
        uv_timer_start(&watch->soon, on_soon, SOON_MS, 0);
    watch->looks_again = false;
}

static void on_soon(uv_timer_t *timer)
{
    struct agent *agent = timer->data;
    struct watch *watch = &agent->watch;
    if (watch->is_looking || agent->jobs.alone) {
        watch->looks_again = true;
        return;
    }
    struct look *look = calloc(1, sizeof *look);
    if (!look)
        return;
    look->work.data = look;
    look->agent = agent;
    watch->is_looking = true;
    uv_queue_work(agent->loop, &look->work, look_on_thread, after_look);
}

static void on_change(uv_fs_event_t *folder, const char *name, int events, int status)
{
    struct agent *agent = folder->data;
    size_t length = name ? strlen(name) : 0;
    if (is_freed_by_hand(agent) || !name || (length > 5 && !strcmp(name + length - 5, ".sock")))
        uv_timer_start(&agent->watch.soon, on_soon, SOON_MS, 0);
}

static void forget_dead(struct watch *watch)
{
    void *next;
    const char *key;
    json_t *process;
    json_object_foreach_safe(watch->known, next, key, process)
    {
        if (process_lives((pid_t)strtol(key, NULL, 10)))
            continue;
        tell_gone(watch, process);
        json_object_del(watch->suspended, key);
        json_object_del(watch->known, key);
    }
}

/* Directories of other users come and go, and inotify does not tell of all file systems. */
static void on_often(uv_timer_t *timer)
{
    static unsigned turns;
    struct agent *agent = timer->data;
    forget_dead(&agent->watch);
    mark_retry(&agent->mark);
    if (agent->watch.looks_again || is_freed_by_hand(agent) ||
        (++turns % RESCAN_TURNS == 0 && agent->channels.count)) {
        agent->watch.looks_again = false;
        on_soon(&agent->watch.soon);
    }
}

int watch_start(struct agent *agent)
{
    struct watch *watch = &agent->watch;
    watch->known = json_object();
    watch->suspended = json_object();
    uv_fs_event_init(agent->loop, &watch->folder);
    uv_timer_init(agent->loop, &watch->soon);
    uv_timer_init(agent->loop, &watch->often);
    watch->folder.data = watch->soon.data = watch->often.data = agent;
    int status = uv_fs_event_start(&watch->folder, on_change, agent->mark.home, 0);
    if (status < 0)
        logbook_write("`%s` can't be watched (%s): looked at every %d s", agent->mark.home,
                      uv_strerror(status), RESCAN_TURNS * OFTEN_MS / 1000);
    uv_timer_start(&watch->often, on_often, OFTEN_MS, OFTEN_MS);
    uv_timer_start(&watch->soon, on_soon, 0, 0); /* once the loop runs: a start can still fail */
    return watch->known && watch->suspended ? 0 : -1;
}

void watch_stop(struct agent *agent)
{
    struct watch *watch = &agent->watch;
    uv_close((uv_handle_t *)&watch->folder, NULL);
    uv_close((uv_handle_t *)&watch->soon, NULL);
    uv_close((uv_handle_t *)&watch->often, NULL);
    json_decref(watch->known);
    json_decref(watch->suspended);
    watch->known = watch->suspended = NULL;
}
