/* SPDX-License-Identifier: Apache-2.0 */
/* The pipes of a tree that lead out of it. One that has both ends in the tree is copied by CRIU,
 * with what is in it; of the others it copies the one end. */
#include "agent/process.h"
#include "agent/saved.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct end {
    pid_t pid;
    int fd, access_mode;
    uint64_t inode;
};

struct ends {
    struct end *list; /* owned */
    size_t count;
};

static void take_end(pid_t pid, const char *number, const char *target, void *data)
{
    struct ends *ends = data;
    struct end end = {.pid = pid, .fd = (int)strtol(number, NULL, 10)};
    if (sscanf(target, "pipe:[%" SCNu64, &end.inode) != 1)
        return;
    struct end *longer = realloc(ends->list, (ends->count + 1) * sizeof *longer);
    if (!longer)
        return;
    end.access_mode = process_open_flags(pid, number) & O_ACCMODE;
    ends->list = longer;
    ends->list[ends->count++] = end;
}

static bool has_end(const struct ends *ends, uint64_t inode, int access_mode)
{
    for (size_t i = 0; i < ends->count; i++)
        if (ends->list[i].inode == inode &&
            (ends->list[i].access_mode == access_mode || ends->list[i].access_mode == O_RDWR))
            return true;
    return false;
}

static bool leads_out(const struct ends *ends, uint64_t inode)
{
    return !has_end(ends, inode, O_RDONLY) || !has_end(ends, inode, O_WRONLY);
}

/* Where several descriptors lead to one pipe, the lowest number stands for all. */
static bool is_lowest(const struct ends *ends, size_t index)
{
    const struct end *one = &ends->list[index];
    for (size_t i = 0; i < ends->count; i++) {
        const struct end *other = &ends->list[i];
        if (other->inode == one->inode &&
            (other->fd < one->fd || (other->fd == one->fd && i < index)))
            return false;
    }
    return true;
}

json_t *saved_list_pipes(const struct tree *tree)
{
    struct ends ends = {0};
    json_t *pipes = json_array();
    for (size_t i = 0; i < tree->count; i++)
        process_each_descriptor(tree->pids[i], take_end, &ends);
    for (size_t i = 0; i < ends.count; i++)
        if (leads_out(&ends, ends.list[i].inode) && is_lowest(&ends, i))
            json_array_append_new(pipes, json_pack("{s:i, s:i, s:I}", "pid", (int)ends.list[i].pid,
                                                   "fd", ends.list[i].fd, "inode",
                                                   (json_int_t)ends.list[i].inode));
    free(ends.list);
    return pipes;
}

/* Standard input and outputs become those of `shadowcl restore`. */
bool saved_explain_pipe(const json_t *pipe, struct error *err)
{
    int pid = (int)json_integer_value(json_object_get(pipe, "pid"));
    int fd = (int)json_integer_value(json_object_get(pipe, "fd"));
    long long inode = json_integer_value(json_object_get(pipe, "inode"));
    if (fd <= 2)
        return false;
    error_object(err, "process %d", pid);
    error_set(err, 0,
              "descriptor %d is a pipe to a process outside of those that are copied: the copy "
              "finds nobody at its other end",
              fd);
    error_todo(err,
               "where one is to be there, open it as %d and restore with `-- --inherit-fd "
               "'fd[%d]:pipe:[%lld]'`",
               fd, fd, inode);
    return true;
}
