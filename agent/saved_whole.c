/* SPDX-License-Identifier: Apache-2.0 */
/* Is all there that was copied? `shadowcl.json` has the size of each image beside it: what is cut
 * short, by a full disk or a transfer that ended early, is found before anything is made of it. */
#include "agent/saved.h"

#include "agent/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static bool ends_in(const char *file, const char *end)
{
    size_t length = strlen(file), size = strlen(end);
    return length >= size && !strcmp(file + length - size, end);
}

bool saved_is_image(const char *file)
{
    return ends_in(file, ".img") || ends_in(file, ".mapped");
}

static int list_one(int dir, const char *file, void *images)
{
    struct stat status;
    if (!saved_is_image(file) || fstatat(dir, file, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    return json_object_set_new(images, file, json_integer((json_int_t)status.st_size));
}

int saved_list_images(struct saved *saved, struct error *err)
{
    json_t *images = json_object();
    int result = folder_each(saved->fd, list_one, images);
    if (json_object_set_new(saved->json, "images", images) < 0 || result)
        return error_set(err, ENOMEM, "list the images");
    return 0;
}

static int check_image(int dir, const char *file, json_int_t size, struct error *err)
{
    struct stat status;
    if (strchr(file, '/') || fstatat(dir, file, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return error_set(err, 0, "its image `%.100s` is not there", file);
    if (!S_ISREG(status.st_mode))
        return error_set(err, 0, "its image `%.100s` is no file", file);
    if (status.st_size != size)
        return error_set(err, 0, "its image `%.100s` has %lld bytes, and had %lld", file,
                         (long long)status.st_size, (long long)size);
    return 0;
}

/* (Earlier versions have no list.) */
int saved_check_images(int dir, const json_t *json, struct error *err)
{
    const char *file;
    json_t *size;
    json_object_foreach(json_object_get(json, "images"), file, size)
    {
        if (check_image(dir, file, json_integer_value(size), err) < 0)
            return error_todo(err, "it was damaged: take another copy");
    }
    return 0;
}
