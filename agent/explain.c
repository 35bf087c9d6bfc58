/* SPDX-License-Identifier: Apache-2.0 */
/* What stands against a copy, and what must be there for it: see explain.h. */
#include "agent/explain.h"

#include "agent/answer.h"
#include "agent/criu.h"
#include "agent/group.h"
#include "agent/nodes.h"
#include "agent/obstacles.h"
#include "agent/saved.h"
#include "agent/verbs.h"

#include <stdio.h>
#include <string.h>

static void take_obstacle(json_t *list, const struct error *err)
{
    json_array_append_new(list, answer_failure(err));
}

static void take_foreign(const struct error *err, void *data)
{
    take_obstacle(data, err);
}

static void add_silent(json_t *list, const struct report *report)
{
    struct error err = {0};
    error_object(&err, "process %d", (int)report->pid);
    error_set(&err, 0, "it is %s", report->state);
    error_todo(&err, "see whether it is stopped, or hangs");
    take_obstacle(list, &err);
}

/* A process that listens, or should, and can't be asked. */
static void add_failed(json_t *list, const struct targets *targets)
{
    for (size_t i = 0; i < targets->count; i++) {
        const struct report *report = &targets->list[i];
        if (report->failed)
            take_obstacle(list, &report->error);
        else if (!strcmp(report->state, "not answering"))
            add_silent(list, report);
    }
}

static void add_found(json_t *list, const struct group *group, int what)
{
    struct obstacles obstacles;
    obstacles_find_settled(&obstacles, &group->tree, what, &group->targets);
    for (size_t i = 0; i < obstacles.count; i++) {
        struct error err = {0};
        obstacles_name(&obstacles, i, &err);
        take_obstacle(list, &err);
    }
    obstacles_finish(&obstacles);
}

static json_t *find_obstacles(const struct explain_wish *wish, struct criu *criu,
                              const struct group *group)
{
    json_t *list = json_array();
    struct error err = {0};
    if (criu_find(criu, &err) < 0)
        take_obstacle(list, &err);
    add_failed(list, &group->targets);
    if (group_check_children(group, wish->tree, &err) < 0)
        take_obstacle(list, &err);
    nodes_each_foreign(&group->targets, take_foreign, list);
    add_found(list, group, obstacles_wanted(criu) | OBSTACLES_DEVICES);
    return list;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static void print_obstacles(pid_t pid, const json_t *list, const struct criu *criu)
{
    if (!json_array_size(list)) {
        printf("%d can be copied by CRIU %s: nothing stands against it.\n", (int)pid,
               criu->version);
        return;
    }
    printf("%d can't be copied:\n", (int)pid);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        printf("  %s: %s\n    to do: %s\n", text_of(one, "object"), text_of(one, "reason"),
               text_of(one, "todo"));
    }
}

static void print_nodes(const json_t *nodes)
{
    if (json_array_size(nodes))
        puts("Its driver has these open or mapped. Whether it lets go of them shows at the suspend "
             "only:");
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        const json_t *one = json_array_get(nodes, i);
        printf("  process %d: %s\n", (int)json_integer_value(json_object_get(one, "pid")),
               text_of(one, "what"));
    }
}

static void print_files(const json_t *files, const char *key, const char *title)
{
    puts(title);
    for (size_t i = 0; i < json_array_size(files); i++) {
        const json_t *file = json_array_get(files, i), *value = json_object_get(file, key);
        printf("  %s", json_string_value(json_object_get(file, "path")));
        if (json_is_string(value))
            printf(" (build-id %s)", json_string_value(value));
        else if (json_is_true(value))
            printf(" (written to, %lld bytes now)",
                   (long long)json_integer_value(json_object_get(file, "size")));
        putchar('\n');
    }
}

static void print_pipes(const json_t *pipes)
{
    bool is_first = true;
    for (size_t i = 0; i < json_array_size(pipes); i++) {
        struct error err = {0};
        if (!saved_explain_pipe(json_array_get(pipes, i), &err))
            continue;
        if (is_first)
            puts("These do not stand against it, and are not as they were where it is restored:");
        is_first = false;
        printf("  %s: %s\n    to do: %s\n", err.object, err.reason, err.todo);
    }
}

static void print_text(pid_t pid, const json_t *json, const struct criu *criu)
{
    print_obstacles(pid, json_object_get(json, "obstacles"), criu);
    print_nodes(json_object_get(json, "nodes"));
    print_pipes(json_object_get(json, "pipes"));
    print_files(json_object_get(json, "mapped"), "build_id",
                "These must be the same where it is restored, or be put into the directory by "
                "--with-files (drivers that it has let go by then may still be mapped):");
    print_files(json_object_get(json, "files"), "written",
                "These are open, and must be there as they are:");
}

static int describe(const struct explain_wish *wish, const struct group *group, struct error *err)
{
    struct saved saved = {.fd = -1};
    struct criu criu = {.more = wish->more};
    json_t *obstacles = find_obstacles(wish, &criu, group);
    int code = json_array_size(obstacles) ? EXIT_REFUSED : EXIT_DONE;
    if (saved_describe(&saved, &group->tree, group->resumes, &criu, err) < 0) {
        json_decref(obstacles);
        return -1;
    }
    json_object_set_new(saved.json, "obstacles", obstacles);
    json_object_set_new(saved.json, "nodes", nodes_of_drivers(&group->targets));
    if (wish->json) {
        json_dumpf(saved.json, stdout, JSON_INDENT(2));
        putchar('\n');
    } else {
        print_text(wish->pid, saved.json, &criu);
    }
    saved_finish(&saved);
    return code;
}

int explain(const struct explain_wish *wish, struct error *err)
{
    struct group group = {0};
    int code = group_look(&group, wish->pid, err);
    if (code == 0)
        code = describe(wish, &group, err);
    group_finish(&group);
    return code;
}
