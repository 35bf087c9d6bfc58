/* SPDX-License-Identifier: Apache-2.0 */
/* The lists in `shadowcl.json`: see saved_lists.h. */
#include "agent/saved_lists.h"

#include "agent/build_id.h"
#include "agent/process.h"

#include <string.h>
#include <sys/stat.h>

/* JSON takes UTF-8 only; a name that is none is left out, and CRIU will say what is missing. */
static json_t *text(const char *string)
{
    json_t *value = json_string(string);
    return value ? value : json_string("?");
}

json_t *saved_find_process(const json_t *processes, pid_t pid)
{
    for (size_t i = 0; i < json_array_size(processes); i++) {
        json_t *process = json_array_get(processes, i);
        if (json_integer_value(json_object_get(process, "pid")) == pid)
            return process;
    }
    return NULL;
}

json_t *saved_find_path(const json_t *files, const char *path)
{
    for (size_t i = 0; i < json_array_size(files); i++) {
        json_t *file = json_array_get(files, i);
        const char *other = json_string_value(json_object_get(file, "path"));
        if (other && !strcmp(other, path))
            return file;
    }
    return NULL;
}

void saved_add_process(json_t *processes, pid_t pid, bool resumes)
{
    char command[64];
    process_command(pid, command, sizeof command);
    json_array_append_new(processes, json_pack("{s:i, s:i, s:o, s:b}", "pid", (int)pid, "inside",
                                               (int)process_inner_pid(pid), "command",
                                               text(command), "resumes", (int)resumes));
}

void saved_add_file(json_t *files, const char *path, json_int_t size, bool is_written)
{
    json_t *file = saved_find_path(files, path);
    if (!file)
        json_array_append_new(files, json_pack("{s:o, s:I, s:b}", "path", text(path), "size", size,
                                               "written", (int)is_written));
    else if (is_written)
        json_object_set_new(file, "written", json_true());
}

json_t *saved_add_mapped(json_t *mapped, const char *path)
{
    char id[BUILD_ID_TEXT];
    struct stat status;
    json_t *file = saved_find_path(mapped, path);
    if (file || stat(path, &status) < 0 || !S_ISREG(status.st_mode))
        return file;
    bool has_id = build_id_read(path, id);
    file = json_pack("{s:o, s:o, s:I}", "path", text(path), "build_id",
                     has_id ? json_string(id) : json_null(), "size", (json_int_t)status.st_size);
    json_array_append_new(mapped, file);
    return file;
}
