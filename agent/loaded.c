/* SPDX-License-Identifier: Apache-2.0 */
/* An image file, open to be read, with its objects. */
#include "agent/loaded.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int loaded_name(const struct loaded *loaded, struct error *err)
{
    static const char start[] = "image file";
    size_t length = strlen(start);
    char rest[sizeof err->object] = "";
    if (!strncmp(err->object, start, length))
        memcpy(rest, err->object + length, strlen(err->object + length) + 1);
    else if (err->object[0])
        snprintf(rest, sizeof rest, ", %.100s", err->object);
    return error_object(err, "file `%.90s`%.35s", loaded->path, rest);
}

static int refuse(const struct loaded *loaded, int errnum, const char *reason, const char *todo,
                  struct error *err)
{
    error_object(err, "file `%.100s`", loaded->path);
    error_set(err, errnum, "%s", reason);
    return error_todo(err, "%s", todo);
}

static int open_file(struct loaded *loaded, struct error *err)
{
    struct stat status;
    loaded->fd = open(loaded->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (loaded->fd < 0 && errno == ELOOP)
        return refuse(loaded, 0, "it is a symbolic link, which is not followed",
                      "name the file that it leads to", err);
    if (loaded->fd < 0)
        return refuse(loaded, errno, "it can't be opened", "name an image file that you may read",
                      err);
    if (fstat(loaded->fd, &status) < 0 || !S_ISREG(status.st_mode))
        return refuse(loaded, 0, S_ISDIR(status.st_mode) ? "it is a directory" : "it is no file",
                      "name an image file; what comes by a pipe has to be kept in one first", err);
    return 0;
}

int loaded_open(struct loaded *loaded, const char *path, struct error *err)
{
    *loaded = (struct loaded){.path = path, .fd = -1};
    int result = open_file(loaded, err);
    if (result == 0 && image_reader_open(&loaded->reader, loaded->fd, err) < 0) {
        loaded->reader = NULL;
        result = loaded_name(loaded, err);
    }
    if (result < 0)
        loaded_close(loaded);
    return result;
}

static int by_serial(const void *a, const void *b, void *data)
{
    image_object *const *objects = data;
    uint64_t one = objects[*(const size_t *)a]->serial, other = objects[*(const size_t *)b]->serial;
    return (one > other) - (one < other);
}

int loaded_read_objects(struct loaded *loaded, struct error *err)
{
    size_t count = image_reader_num_objects(loaded->reader);
    loaded->objects = calloc(count + 1, sizeof(image_object *));
    loaded->by_serial = calloc(count + 1, sizeof *loaded->by_serial);
    if (!loaded->objects || !loaded->by_serial)
        return refuse(loaded, ENOMEM, "its objects", "free some memory", err);
    for (size_t i = 0; i < count; i++) {
        if (image_reader_object(loaded->reader, i, &loaded->objects[i], err) < 0) {
            loaded->objects[i] = NULL;
            return loaded_name(loaded, err);
        }
        loaded->by_serial[i] = i;
        loaded->count = i + 1;
    }
    qsort_r(loaded->by_serial, count, sizeof *loaded->by_serial, by_serial, loaded->objects);
    return 0;
}

const image_object *loaded_find(const struct loaded *loaded, uint64_t serial)
{
    size_t low = 0, high = loaded->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (loaded->objects[loaded->by_serial[middle]]->serial < serial)
            low = middle + 1;
        else
            high = middle;
    }
    const image_object *found =
        low < loaded->count ? loaded->objects[loaded->by_serial[low]] : NULL;
    return found && found->serial == serial ? found : NULL;
}

void loaded_close(struct loaded *loaded)
{
    for (size_t i = 0; i < loaded->count; i++)
        shadowcl__image__object__free_unpacked(loaded->objects[i], NULL);
    free(loaded->objects);
    free(loaded->by_serial);
    if (loaded->reader)
        image_reader_close(loaded->reader);
    if (loaded->fd >= 0)
        close(loaded->fd);
    *loaded = (struct loaded){.path = loaded->path, .fd = -1};
}

const char *loaded_kind(const image_object *object)
{
    const ProtobufCMessageDescriptor *type = object->base.descriptor;
    const ProtobufCFieldDescriptor *field =
        object->kind_case ? protobuf_c_message_descriptor_get_field(type, object->kind_case) : NULL;
    return field ? field->name : "unknown";
}
