/* SPDX-License-Identifier: Apache-2.0 */
/* A process and all that it started: see tree.h. */
#include "agent/tree.h"

#include "agent/process.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

static int add(struct tree *tree, pid_t pid, struct error *err)
{
    pid_t *pids = realloc(tree->pids, (tree->count + 1) * sizeof *pids);
    if (!pids)
        return error_set(err, ENOMEM, "can't remember the processes");
    tree->pids = pids;
    tree->pids[tree->count++] = pid;
    return 0;
}

static int add_children_of(struct tree *tree, pid_t pid, const char *thread, struct error *err)
{
    char path[64 + NAME_MAX];
    int child, result = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%s/children", (int)pid, thread);
    FILE *file = fopen(path, "re");
    while (file && result == 0 && fscanf(file, "%d", &child) == 1)
        result = add(tree, child, err);
    if (file)
        fclose(file);
    return result;
}

static int add_children(struct tree *tree, pid_t pid, struct error *err)
{
    char path[64];
    int result = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *threads = opendir(path);
    for (struct dirent *entry; threads && result == 0 && (entry = readdir(threads));)
        if (isdigit((unsigned char)entry->d_name[0]))
            result = add_children_of(tree, pid, entry->d_name, err);
    if (threads)
        closedir(threads);
    return result;
}

int tree_find(struct tree *tree, pid_t root, struct error *err)
{
    *tree = (struct tree){0};
    if (!process_lives(root)) {
        error_object(err, "process %d", (int)root);
        error_set(err, 0, "there is no such process");
        return error_todo(err, "see `shadowcl ps` for those that are there");
    }
    int result = add(tree, root, err);
    for (size_t i = 0; result == 0 && i < tree->count; i++)
        result = add_children(tree, tree->pids[i], err);
    return result;
}

void tree_finish(struct tree *tree)
{
    free(tree->pids);
    *tree = (struct tree){0};
}

bool tree_has(const struct tree *tree, pid_t pid)
{
    for (size_t i = 0; i < tree->count; i++)
        if (tree->pids[i] == pid)
            return true;
    return false;
}
