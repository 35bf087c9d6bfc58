/* SPDX-License-Identifier: Apache-2.0 */
/* The drivers that `run` is told of: see drivers.h. */
#include "agent/drivers.h"

#include "agent/program.h"
#include "agent/report.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static bool is_icd(const char *name)
{
    const char *end = strrchr(name, '.');
    return end && end != name && !strcmp(end, ".icd");
}

static int check_folder(const char *path, struct error *err)
{
    bool found = false;
    DIR *folder = opendir(path);
    if (!folder)
        return error_set(err, errno, "can't be read");
    for (struct dirent *entry; !found && (entry = readdir(folder));)
        found = is_icd(entry->d_name);
    closedir(folder);
    return found ? 0 : error_set(err, 0, "no .icd file is in this folder");
}

static int check_one(const char *path, struct error *err)
{
    struct stat status;
    if (!strchr(path, '/') || strchr(path, '$')) /* the loader searches, and knows $ORIGIN */
        return 0;
    if (stat(path, &status) < 0)
        return error_set(err, errno, "it can't be used");
    if (S_ISDIR(status.st_mode))
        return check_folder(path, err);
    if (!is_icd(path) && !program_is_elf(path))
        return error_set(err, 0, "it is neither a library nor an .icd file");
    return 0;
}

int drivers_check(const char *list, struct error *err)
{
    bool any = false, failed = false;
    for (; list && *list; list += strspn(list, ":")) {
        char path[PATH_MAX];
        struct error why = {0};
        size_t length = strcspn(list, ":");
        snprintf(path, sizeof path, "%.*s", (int)length, list);
        list += length;
        if (check_one(path, &why) == 0) {
            any = true;
            continue;
        }
        error_object(&why, "driver `%s`", path);
        error_todo(&why, "name folders of .icd files, or drivers' libraries, separated by colons "
                         "(--drivers, SHADOWCL_DRIVERS); with --force the program is started all "
                         "the same");
        if (failed)
            report_note(&why);
        else
            *err = why;
        failed = true;
    }
    if (failed && any)
        report_note(err);
    return failed && !any ? -1 : 0;
}
