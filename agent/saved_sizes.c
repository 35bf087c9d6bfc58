/* SPDX-License-Identifier: Apache-2.0 */
/* The sizes of open files, out of CRIU's own list: /proc was read while the program could still
 * write. An image of CRIU's is two magic numbers, then messages, each with its size in front. */
#include "agent/saved.h"

#include "criu_files.pb-c.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMON_MAGIC UINT32_C(0x54564319)
#define FILES_MAGIC UINT32_C(0x56303138)
enum { MAX_MESSAGE = 1 << 20 };

typedef Shadowcl__CriuFiles__File criu_file;

static bool read_word(FILE *file, uint32_t *out)
{
    unsigned char bytes[4];
    if (fread(bytes, 1, sizeof bytes, file) != sizeof bytes)
        return false;
    *out = bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
    return true;
}

/* NULL at the end, and for what is none. */
static criu_file *read_file(FILE *file)
{
    uint32_t size;
    criu_file *entry = NULL;
    if (!read_word(file, &size) || size > MAX_MESSAGE)
        return NULL;
    uint8_t *bytes = malloc(size + 1);
    if (bytes && fread(bytes, 1, size, file) == size)
        entry = shadowcl__criu_files__file__unpack(NULL, size, bytes);
    free(bytes);
    return entry;
}

/* CRIU's names have no slash in front. */
static void take_size(json_t *files, const Shadowcl__CriuFiles__Regular *regular)
{
    if (!regular->name || !regular->has_size)
        return;
    const char *name = regular->name + strspn(regular->name, "/");
    for (size_t i = 0; i < json_array_size(files); i++) {
        json_t *file = json_array_get(files, i);
        const char *path = json_string_value(json_object_get(file, "path"));
        if (path && path[0] == '/' && !strcmp(path + 1, name))
            json_object_set_new(file, "size", json_integer((json_int_t)regular->size));
    }
}

void saved_take_sizes(struct saved *saved)
{
    uint32_t common, kind;
    int fd = openat(saved->fd, "files.img", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
    if (!file)
        return;
    if (read_word(file, &common) && read_word(file, &kind) && common == COMMON_MAGIC &&
        kind == FILES_MAGIC)
        for (criu_file *entry; (entry = read_file(file));) {
            if (entry->regular)
                take_size(json_object_get(saved->json, "files"), entry->regular);
            shadowcl__criu_files__file__free_unpacked(entry, NULL);
        }
    fclose(file);
}
