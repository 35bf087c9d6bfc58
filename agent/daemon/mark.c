/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's state, as it stands in the runtime directories: see mark.h. */
#include "agent/daemon/mark.h"

#include "agent/daemon/logbook.h"
#include "agent/marks.h"
#include "agent/runtime_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_BYTES = 16 * 1024 };

static const char *const names[] = {"running", "suspending", "suspended", "resuming"};

const char *agent_state_name(enum agent_state state)
{
    return names[state];
}

static enum agent_state state_of(const char *name)
{
    for (int i = STATE_SUSPENDING; name && i <= STATE_RESUMING; i++)
        if (!strcmp(name, names[i]))
            return (enum agent_state)i;
    return STATE_RUNNING;
}

/* Where it says nothing that we understand, programs are held for no reason: it goes. */
static void take(struct mark *mark, const json_t *content)
{
    const char *state = json_string_value(json_object_get(content, "state"));
    const char *boot = json_string_value(json_object_get(content, "boot"));
    const char *devices = json_string_value(json_object_get(content, "devices"));
    if (!boot || strcmp(boot, mark->boot))
        return;
    mark->state = state_of(state);
    mark->hooks = json_is_true(json_object_get(content, "hooks"));
    snprintf(mark->devices, sizeof mark->devices, "%s", devices ? devices : "");
}

int mark_start(struct mark *mark, const char *boot, struct error *err)
{
    char name[64];
    *mark = (struct mark){.state = STATE_RUNNING};
    snprintf(mark->boot, sizeof mark->boot, "%s", boot);
    if (runtime_dir_prepare(getenv("SHADOWCL_RUNTIME_DIR"), mark->home, err) < 0)
        return -1;
    int fd = open(mark->home, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_set(err, errno, "the runtime directory `%s` can't be opened", mark->home);
    marks_name(name, sizeof name);
    json_t *content = marks_read(fd, name, MOST_BYTES);
    take(mark, content);
    json_decref(content);
    close(fd);
    if (mark->state == STATE_RUNNING)
        marks_remove_own();
    return 0;
}

static int write_everywhere(const struct mark *mark, const json_t *content, struct error *err)
{
    struct runtime_dirs dirs;
    char name[64];
    int result = runtime_dirs_open(&dirs, err);
    bool is_home_written = false;
    marks_name(name, sizeof name);
    for (size_t i = 0; result == 0 && i < dirs.count; i++) {
        struct error why = {0};
        bool is_home = strcmp(dirs.list[i].path, mark->home) == 0;
        bool is_written = marks_write(dirs.list[i].fd, name, content, &why) == 0;
        is_home_written |= is_home && is_written;
        if (!is_written && is_home) {
            *err = why;
            result = -1;
        } else if (!is_written) {
            logbook_error("mark", &why);
        }
    }
    runtime_dirs_close(&dirs);
    if (result == 0 && !is_home_written) {
        error_object(err, "runtime directory `%s`", mark->home);
        error_todo(err, "make it again, or start the agent again");
        result = error_set(err, 0, "it is not there any more");
    }
    return result;
}

int mark_write(const struct mark *mark, enum agent_state state, struct error *err)
{
    json_t *content = json_pack("{s:s, s:s, s:b, s:s}", "state", names[state], "boot", mark->boot,
                                "hooks", (int)mark->hooks, "devices", mark->devices);
    int result = content ? write_everywhere(mark, content, err)
                         : error_set(err, ENOMEM, "the state can't be written");
    json_decref(content);
    return result;
}

static void remove_mark(struct mark *mark)
{
    marks_remove_own();
    bool stands = mark_stands(mark);
    if (stands && !mark->is_stuck)
        logbook_write(
            "the mark in `%s` can't be removed: programs that start will wait; trying again",
            mark->home);
    mark->is_stuck = stands;
}

void mark_retry(struct mark *mark)
{
    if (mark->is_stuck && mark->state == STATE_RUNNING)
        remove_mark(mark);
}

int mark_set(struct mark *mark, enum agent_state state, struct error *err)
{
    struct error why = {0};
    if (state == STATE_RUNNING) {
        remove_mark(mark);
    } else if (mark_write(mark, state, &why) < 0) {
        if (state != STATE_RESUMING) {
            *err = why;
            return -1;
        }
        logbook_error("mark", &why);
    }
    mark->state = state;
    return 0;
}

void mark_note_hooks(struct mark *mark)
{
    struct error err = {0};
    mark->hooks = true;
    if (mark_write(mark, mark->state, &err) < 0)
        logbook_error("mark", &err);
}

bool mark_stands(const struct mark *mark)
{
    char path[PATH_MAX + 64], name[64];
    struct stat status;
    marks_name(name, sizeof name);
    snprintf(path, sizeof path, "%s/%s", mark->home, name);
    /* What somebody else has put there holds nobody: see shim/wait.c. */
    return lstat(path, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == geteuid();
}
