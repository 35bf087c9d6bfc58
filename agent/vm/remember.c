/* SPDX-License-Identifier: Apache-2.0 */
/* How a device that a machine is without is plugged in again: see remember.h. One small file for
 * each in a directory of the user's own. */
#include "agent/vm/remember.h"

#include "agent/folder.h"
#include "agent/marks.h"
#include "serialize/image_hash.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_BYTES = 64 << 10, NAME_SIZE = 48 };

/* SHADOWCL_STATE_DIR; for root /var/lib/shadowcl, for others where XDG has it. -1: nowhere. */
static int directory_name(char out[PATH_MAX])
{
    const char *own = getenv("SHADOWCL_STATE_DIR");
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    if (own && *own)
        snprintf(out, PATH_MAX, "%s", own);
    else if (geteuid() == 0)
        snprintf(out, PATH_MAX, "/var/lib/shadowcl");
    else if (state && *state == '/')
        snprintf(out, PATH_MAX, "%s/shadowcl", state);
    else if (home && *home == '/')
        snprintf(out, PATH_MAX, "%s/.local/state/shadowcl", home);
    else
        return -1;
    return 0;
}

/* With those above it; that one can't be made shows when it is opened. */
static void make_directories(const char *path)
{
    char part[PATH_MAX];
    for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
        mkdir(part, 0755);
    }
    mkdir(path, 0700);
}

/* A descriptor; -1 also where others could write to it. */
static int open_directory(bool make, struct error *err)
{
    char path[PATH_MAX];
    error_object(err, "what vm-resume is to remember");
    if (directory_name(path) < 0)
        return error_set(err, 0, "there is no directory for it");
    if (make)
        make_directories(path);
    error_object(err, "directory `%.100s`", path);
    int dir = folder_open(path, err);
    if (dir < 0 || folder_check_own(dir, path, err) == 0)
        return dir;
    close(dir);
    return -1;
}

/* The same socket may be named in several ways. */
static char *whole_address(const char *monitor)
{
    const char *path = strncmp(monitor, "unix:", 5) ? monitor : monitor + 5;
    char *whole = realpath(path, NULL);
    return whole ? whole : strdup(path);
}

/* An address and an id can be too long for a name. What is in the file decides. */
static void file_name(char out[NAME_SIZE], const char *address, const char *device)
{
    snprintf(out, NAME_SIZE, "device.%016" PRIx64 "%016" PRIx64,
             image_checksum(address, strlen(address)), image_checksum(device, strlen(device)));
}

static bool is_text(const json_t *object, const char *name, const char *text)
{
    const char *value = json_string_value(json_object_get(object, name));
    return value && !strcmp(value, text);
}

json_t *remember_find(const char *monitor, const char *device)
{
    struct error unsaid = {0};
    char name[NAME_SIZE];
    json_t *options = NULL;
    char *address = whole_address(monitor);
    int dir = address ? open_directory(false, &unsaid) : -1;
    if (dir >= 0) {
        file_name(name, address, device);
        json_t *content = marks_read(dir, name, MOST_BYTES);
        json_t *found = json_object_get(content, "options");
        if (is_text(content, "monitor", address) && is_text(content, "device", device) &&
            json_is_string(json_object_get(found, "driver")))
            options = json_incref(found);
        json_decref(content);
        close(dir);
    }
    free(address);
    return options;
}

int remember_keep(const char *monitor, const char *device, const json_t *options, struct error *err)
{
    char name[NAME_SIZE];
    char *address = whole_address(monitor);
    if (!address)
        return error_set(err, ENOMEM, "it is not remembered");
    int result = -1, dir = open_directory(true, err);
    if (dir >= 0) {
        file_name(name, address, device);
        json_t *content = json_pack("{s:s, s:s, s:O}", "monitor", address, "device", device,
                                    "options", (json_t *)options);
        result = content ? marks_write_to_disk(dir, name, content, err)
                         : error_set(err, ENOMEM, "make it");
        if (result < 0)
            error_object(err, "file `%s`", name);
        json_decref(content);
        close(dir);
    }
    free(address);
    return result;
}

void remember_drop(const char *monitor, const char *device)
{
    struct error unsaid = {0};
    char name[NAME_SIZE];
    char *address = whole_address(monitor);
    int dir = address ? open_directory(false, &unsaid) : -1;
    if (dir >= 0) {
        file_name(name, address, device);
        unlinkat(dir, name, 0);
        close(dir);
    }
    free(address);
}
