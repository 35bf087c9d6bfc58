/* SPDX-License-Identifier: Apache-2.0 */
/* Whose device nodes are: see nodes.h. */
#include "agent/nodes.h"

#include "agent/answer.h"
#include "agent/process.h"
#include "shim/node_names.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef Shadowcl__Control__Node control_node;
typedef Shadowcl__Control__Nodes control_nodes;

/* Of one that has let go, nothing that it has left goes at the next suspend. */
static bool is_at_work(const struct report *report)
{
    return strcmp(report->state, "suspended") != 0;
}

/* NULL: its library does not know of them, or it did not answer. */
static const control_nodes *told_by(const struct report *report)
{
    return report->response ? report->response->nodes : NULL;
}

static bool is_that(const control_node *node, const char *number, const char *path)
{
    return number ? node->descriptor == atoi(number)
                  : node->descriptor < 0 && !strcmp(node->path, path);
}

static const struct report *find_report(const struct targets *targets, pid_t pid)
{
    for (size_t i = 0; i < targets->count; i++)
        if (targets->list[i].pid == pid)
            return &targets->list[i];
    return NULL;
}

bool nodes_may_go(const struct targets *targets, pid_t pid, const char *number, const char *path)
{
    const struct report *report = find_report(targets, pid);
    if (!report || !is_at_work(report))
        return false;
    const control_nodes *told = told_by(report);
    for (size_t i = 0; told && i < told->n_list; i++)
        if (is_that(told->list[i], number, path))
            return true;
    return node_name_matches(path, NULL);
}

void nodes_each_foreign(const struct targets *targets,
                        void (*visit)(const struct error *why, void *data), void *data)
{
    for (size_t i = 0; i < targets->count; i++) {
        const struct report *report = &targets->list[i];
        const control_nodes *told = is_at_work(report) ? told_by(report) : NULL;
        for (size_t j = 0; told && j < told->n_list; j++) {
            const Shadowcl__Control__Failure *foreign = told->list[j]->foreign;
            struct error why = {0};
            if (!foreign)
                continue;
            error_object(&why, "process %d: %s", (int)report->pid, foreign->object);
            error_set(&why, 0, "%s", foreign->reason);
            error_todo(&why, "%s", foreign->todo);
            visit(&why, data);
        }
    }
}

static void add(json_t *list, pid_t pid, const char *number, const char *path)
{
    char what[PATH_MAX + 32];
    if (number)
        snprintf(what, sizeof what, "fd %s -> %s", number, path);
    else
        snprintf(what, sizeof what, "mapping of %s", path);
    json_array_append_new(list,
                          json_pack("{s:i, s:o}", "pid", (int)pid, "what", answer_string(what)));
}

/* A node may be mapped many times. */
static bool is_repeated(const control_nodes *told, size_t index)
{
    const control_node *node = told->list[index];
    for (size_t i = 0; node->descriptor < 0 && i < index; i++)
        if (is_that(told->list[i], NULL, node->path))
            return true;
    return false;
}

static void add_told(json_t *list, pid_t pid, const control_nodes *told)
{
    for (size_t i = 0; i < told->n_list; i++) {
        char number[16];
        const control_node *node = told->list[i];
        snprintf(number, sizeof number, "%d", (int)node->descriptor);
        if (!node->foreign && !is_repeated(told, i))
            add(list, pid, node->descriptor < 0 ? NULL : number, node->path);
    }
}

static void add_by_name(pid_t pid, const char *number, const char *target, void *data)
{
    if (node_name_matches(target, NULL))
        add(data, pid, number, target);
}

json_t *nodes_of_drivers(const struct targets *targets)
{
    json_t *list = json_array();
    for (size_t i = 0; i < targets->count; i++) {
        const struct report *report = &targets->list[i];
        if (!is_at_work(report))
            continue;
        if (told_by(report))
            add_told(list, report->pid, told_by(report));
        else
            process_each_descriptor(report->pid, add_by_name, list);
    }
    return list;
}
