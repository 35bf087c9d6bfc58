/* SPDX-License-Identifier: Apache-2.0 */
/* The processes of a tree that are under shadowcl: see group.h. */
#include "agent/group.h"

#include "agent/ask.h"
#include "agent/away.h"
#include "agent/process.h"
#include "agent/text.h"
#include "agent/together.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Seconds beyond the deadline for capture and release; for a resume, whose drivers may build; and
 * until a process that was woken listens. */
static const double capture_time = 120, resume_time = 600, wake_time = 10;
enum { LOOK_US = 10000 };

/* A child of a fork has its parent's drivers mapped and uses none of them until it says so. */
static bool is_to_speak_to(const struct peers *peers, pid_t pid)
{
    char library[64];
    int found = process_opencl(pid, library, sizeof library);
    return peers_have(peers, pid) || ((found & PROCESS_OPENCL) && !(found & PROCESS_SHIM));
}

/* Those of the tree that listen, or should, into `pids`. To speak to one that is away is to wake
 * it.
 */
static size_t choose(const struct group *group, const struct peers *peers, pid_t *pids)
{
    size_t count = 0;
    bool any_away = false;
    for (size_t i = 0; i < group->tree.count; i++) {
        bool is_away = away_is(group->tree.pids[i]);
        any_away |= is_away;
        if (!is_away && is_to_speak_to(peers, group->tree.pids[i]))
            pids[count++] = group->tree.pids[i];
    }
    if (!count && !any_away)
        pids[count++] = group->tree.pids[0]; /* it is told why not */
    return count;
}

/* All that are found are in `targets`. */
static int look(struct group *group, struct error *err)
{
    struct options options = {0};
    struct peers peers;
    targets_finish(&group->targets);
    group->targets = (struct targets){0};
    if (peers_scan(&peers, group->tree.pids, group->tree.count, err) < 0)
        return -1;
    options.pids = calloc(group->tree.count + 1, sizeof *options.pids);
    if (options.pids)
        options.num_pids = choose(group, &peers, options.pids);
    peers_finish(&peers);
    int result = options.pids ? 0 : error_set(err, ENOMEM, "can't remember the processes");
    if (options.num_pids) /* none: all of them are away */
        result = targets_find(&group->targets, &options, err);
    options_finish(&options);
    return result;
}

static int refuse_failed(const struct group *group, struct error *err)
{
    const struct report *failed = together_first_failed(group->targets.list, group->targets.count);
    if (!failed)
        return 0;
    *err = failed->error;
    return -1;
}

static int read_tree(struct group *group, pid_t root, bool whole, struct error *err)
{
    *group = (struct group){0};
    if (tree_find(&group->tree, root, err) < 0)
        return -1;
    if (!whole)
        group->tree.count = 1;
    group->resumes = calloc(group->tree.count, sizeof *group->resumes);
    return group->resumes ? 0 : error_set(err, ENOMEM, "can't remember the processes");
}

int group_find_alone(struct group *group, pid_t root, bool whole, struct error *err)
{
    if (read_tree(group, root, whole, err) < 0)
        return -1;
    /* Some may still wait for a command that died. */
    return group_wake(group, err) < 0 ? -1 : refuse_failed(group, err);
}

int group_find(struct group *group, pid_t root, struct error *err)
{
    return group_find_alone(group, root, true, err);
}

static void note_resumes(struct group *group)
{
    for (size_t i = 0; i < group->tree.count; i++)
        for (size_t j = 0; j < group->targets.count; j++)
            if (group->targets.list[j].pid == group->tree.pids[i])
                group->resumes[i] = strcmp(group->targets.list[j].state, "suspended") != 0;
}

int group_look(struct group *group, pid_t root, struct error *err)
{
    if (read_tree(group, root, true, err) < 0 || look(group, err) < 0)
        return -1;
    ask_nodes(group->targets.list, group->targets.count);
    note_resumes(group);
    return 0;
}

int group_check_children(const struct group *group, bool whole, struct error *err)
{
    size_t children = group->tree.count - 1;
    if (whole || !children)
        return 0;
    error_object(err, "process %d", (int)group->tree.pids[0]);
    error_set(err, 0, "it has %zu child process%s, the first is %d", children,
              children == 1 ? "" : "es", (int)group->tree.pids[1]);
    return error_todo(err, "take them along with --tree");
}

static bool resumes(const struct group *group, pid_t pid)
{
    for (size_t i = 0; i < group->tree.count; i++)
        if (group->tree.pids[i] == pid)
            return group->resumes[i];
    return false;
}

int group_take_newcomers(struct group *group, struct error *err)
{
    struct tree now;
    if (tree_find(&now, group->tree.pids[0], err) < 0)
        return -1;
    bool *resumes_now = calloc(now.count, sizeof *resumes_now);
    size_t count = 0;
    for (size_t i = 0; resumes_now && i < now.count; i++) {
        bool is_new = !tree_has(&group->tree, now.pids[i]);
        /* A child of a suspended process is suspended as that is. */
        resumes_now[i] = is_new ? group->resumes[0] : resumes(group, now.pids[i]);
        count += is_new;
    }
    if (!resumes_now) {
        tree_finish(&now);
        return error_set(err, ENOMEM, "can't remember the processes");
    }
    tree_finish(&group->tree);
    free(group->resumes);
    group->tree = now;
    group->resumes = resumes_now;
    return (int)count;
}

/* One whose library is older has suspended and not left. */
static void check_left(struct report *report)
{
    if (report->failed || (report->response && report->response->left))
        return;
    error_set(report_fail(report), 0, "its library does not know how to let CRIU copy it");
    error_todo(&report->error, "start the program anew with `shadowcl run` of this release");
}

/* Those whose answer was not waited for may be at it still, and leave when they have suspended. */
static void wait_for_open(struct group *group, double seconds)
{
    struct targets *targets = &group->targets;
    double until = text_clock() + seconds;
    for (size_t open = 1; open && text_clock() < until;) {
        open = 0;
        together_settle(targets->list, targets->count, LOOK_US / 1e6);
        for (size_t i = 0; i < targets->count; i++)
            open += together_is_open(&targets->list[i]) && !away_is(targets->list[i].pid);
    }
}

int group_leave(struct group *group, double deadline, struct error *err)
{
    struct targets *targets = &group->targets;
    struct error why = {0};
    ask_status(targets->list, targets->count);
    note_resumes(group);
    ask_leave(targets->list, targets->count, deadline, deadline + capture_time);
    for (size_t i = 0; i < targets->count; i++)
        check_left(&targets->list[i]);
    if (refuse_failed(group, err) == 0)
        return 0;
    wait_for_open(group, deadline + capture_time);
    if (group_return(group, "", false, &why) < 0)
        error_todo(err, "resuming the others failed too (%s: %s); try `shadowcl resume`",
                   why.object, why.reason);
    return -1;
}

/* Those that wait; *one is one of them. */
static size_t count_away(const struct group *group, pid_t *one)
{
    size_t count = 0;
    for (size_t i = 0; i < group->tree.count; i++)
        if (away_is(group->tree.pids[i])) {
            *one = group->tree.pids[i];
            count++;
        }
    return count;
}

int group_wake(struct group *group, struct error *err)
{
    pid_t one = 0;
    for (size_t i = 0; i < group->tree.count; i++)
        if (away_is(group->tree.pids[i]) && away_wake(group->tree.pids[i], err) < 0)
            return -1;
    double until = text_clock() + wake_time;
    while (count_away(group, &one) && text_clock() < until)
        usleep(LOOK_US);
    if (count_away(group, &one)) {
        error_object(err, "process %d", (int)one);
        error_set(err, 0, "it was woken and does not listen");
        return error_todo(err, "see SHADOWCL_RUNTIME_DIR, and SHADOWCL_LOG=error for its reason");
    }
    return look(group, err);
}

int group_return(struct group *group, const char *device, bool strict, struct error *err)
{
    struct targets *targets = &group->targets;
    exchange_forget_interruption();
    if (group_wake(group, err) < 0)
        return -1;
    ask_status(targets->list, targets->count);
    struct report *list = calloc(targets->count + 1, sizeof *list);
    if (!list)
        return error_set(err, ENOMEM, "can't remember the processes");
    size_t count = 0, at = 0;
    for (size_t i = 0; i < targets->count; i++)
        if (resumes(group, targets->list[i].pid) && !strcmp(targets->list[i].state, "suspended"))
            list[count++] = targets->list[i];
    ask_resume(list, count, &(struct ask_resume){.device = device, .strict = strict}, resume_time);
    for (size_t i = 0; i < targets->count && at < count; i++)
        if (targets->list[i].pid == list[at].pid)
            targets->list[i] = list[at++];
    free(list);
    return refuse_failed(group, err);
}

const char *group_state(const struct group *group)
{
    for (size_t i = 0; i < group->targets.count; i++)
        if (!strcmp(group->targets.list[i].state, "suspended"))
            return "suspended";
    return "running";
}

void group_finish(struct group *group)
{
    targets_finish(&group->targets);
    tree_finish(&group->tree);
    free(group->resumes);
    *group = (struct group){0};
}
