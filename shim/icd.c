/* SPDX-License-Identifier: Apache-2.0 */
/* Finds driver libraries through .icd files and the environment, and orders platforms. A place is
 * one setting's worth of libraries; whether it names us tells for which loader it is meant. */
#include "shim/icd.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/redirect.h"

#define DEFAULT_VENDORS "/etc/OpenCL/vendors"

/* What reading one place found. */
struct place {
    struct icd_list *out;
    size_t first; /* where this place's libraries start in out->paths */
    bool self;    /* it names us */
    bool failed;  /* no memory */
};

static bool append(char ***items, size_t *count, char *item)
{
    char **grown = item ? realloc(*items, (*count + 1) * sizeof(**items)) : NULL;
    if (!grown) {
        free(item);
        return false;
    }
    grown[(*count)++] = item;
    *items = grown;
    return true;
}

static void warn(struct place *place, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void warn(struct place *place, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = NULL;
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    if (!append(&place->out->warnings, &place->out->num_warnings, text))
        place->failed = true;
}

static bool same_file(const char *a, const char *b)
{
    struct stat first, second;
    return stat(a, &first) == 0 && stat(b, &second) == 0 && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino;
}

static bool ends_with(const char *text, const char *suffix)
{
    size_t length = strlen(text), tail = strlen(suffix);
    return length > tail && strcmp(text + length - tail, suffix) == 0;
}

/* The build tree's library and an installed one are both ours, whichever of them runs. */
static bool lies_where_ours_do(const char *path)
{
    char real[PATH_MAX];
    if (!realpath(path, real))
        return false;
    char *slash = strrchr(real, '/');
    if (!slash || strncmp(slash, "/libOpenCL.so", strlen("/libOpenCL.so")) != 0)
        return false;
    *slash = '\0';
    return ends_with(real, "/shadowcl") || ends_with(real, "/shadowcl/alias");
}

/* RTLD_NOLOAD searches as dlopen does and answers with a library only if that very file is loaded
 * already, which we are: nothing is loaded and nothing is guessed about search paths. */
static bool is_loaded_as_self(const char *library, const struct link_map *self)
{
    void *handle = redirect_real_dlopen(library, RTLD_LAZY | RTLD_NOLOAD);
    if (!handle)
        return false;
    struct link_map *map = NULL;
    bool same = dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0 && map == self;
    dlclose(handle);
    return same;
}

bool icd_is_self(const char *library)
{
    static const char here;
    Dl_info self;
    struct link_map *map = NULL;
    if (!dladdr1(&here, &self, (void **)&map, RTLD_DL_LINKMAP) || !map || !self.dli_fname)
        return false;
    if (is_loaded_as_self(library, map))
        return true;
    if (!strchr(library, '/'))
        return false;
    return same_file(library, self.dli_fname) || lies_where_ours_do(library);
}

static bool is_listed(const struct icd_list *list, const char *library)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->paths[i], library) == 0)
            return true;
        if (strchr(library, '/') && strchr(list->paths[i], '/') &&
            same_file(list->paths[i], library))
            return true;
    }
    return false;
}

/* `source` is where it is named: a file or a variable. */
static void add_library(struct place *place, const char *library, const char *source)
{
    if (icd_is_self(library)) {
        place->self = true;
        return;
    }
    if (is_listed(place->out, library))
        return;
    /* dlopen expands `$ORIGIN` and `$LIB` in paths; those are for it to judge. */
    if (strchr(library, '/') && !strchr(library, '$') && access(library, R_OK) != 0) {
        warn(place, "%s: driver `%s`: %s", source, library, strerror(errno));
        return;
    }
    if (!append(&place->out->paths, &place->out->count, strdup(library)))
        place->failed = true;
}

/* -1 with errno 0: what it is has been warned about. */
static ssize_t read_head(struct place *place, const char *path, char *text, size_t size)
{
    /* A FIFO or a device among the .icd files must not hang the program. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return -1;
    struct stat status;
    ssize_t length = -1;
    if (fstat(fd, &status) == 0 && !S_ISREG(status.st_mode)) {
        warn(place, "%s: not a regular file", path);
        errno = 0;
    } else {
        length = read(fd, text, size - 1);
    }
    int error = errno;
    close(fd);
    errno = error;
    if (length >= 0)
        text[length] = '\0';
    return length;
}

/* The first line without blanks around it, or NULL. */
static char *first_line(char *text, size_t length)
{
    if (memchr(text, '\0', length))
        return NULL;
    text[strcspn(text, "\n")] = '\0';
    text += strspn(text, " \t\r");
    size_t end = strlen(text);
    while (end > 0 && strchr(" \t\r", text[end - 1]))
        text[--end] = '\0';
    for (size_t i = 0; i < end; i++)
        if ((unsigned char)text[i] < ' ')
            return NULL;
    return end > 0 && end < PATH_MAX ? text : NULL;
}

static void add_icd_file(struct place *place, const char *path)
{
    char text[PATH_MAX + 64];
    ssize_t length = read_head(place, path, text, sizeof(text));
    if (length < 0) {
        if (errno)
            warn(place, "%s: %s", path, strerror(errno));
        return;
    }
    char *library = first_line(text, (size_t)length);
    if (library)
        add_library(place, library, path);
    else
        warn(place, "%s: its first line is not the name of a library", path);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void add_directory(struct place *place, const char *path, bool sorted)
{
    DIR *directory = opendir(path);
    if (!directory) {
        warn(place, "%s: %s", path, strerror(errno));
        return;
    }
    char **files = NULL;
    size_t count = 0;
    for (struct dirent *entry; (entry = readdir(directory)) && !place->failed;) {
        char *file = NULL;
        if (ends_with(entry->d_name, ".icd") &&
            (asprintf(&file, "%s/%s", path, entry->d_name) < 0 || !append(&files, &count, file)))
            place->failed = true;
    }
    closedir(directory);
    if (count == 0)
        warn(place, "%s: no .icd file in this directory", path);
    else if (sorted)
        qsort(files, count, sizeof(*files), by_name);
    for (size_t i = 0; i < count; i++) {
        add_icd_file(place, files[i]);
        free(files[i]);
    }
    free(files);
}

static bool is_directory(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* A directory, an .icd file or a library. */
static void add_any(struct place *place, const char *name, const char *source)
{
    if (is_directory(name))
        add_directory(place, name, true);
    else if (ends_with(name, ".icd"))
        add_icd_file(place, name);
    else
        add_library(place, name, source);
}

static void add_each(struct place *place, const char *names, const char *source,
                     void (*add)(struct place *, const char *, const char *))
{
    char *copy = strdup(names), *rest = copy;
    if (!copy)
        place->failed = true;
    for (char *name; rest && (name = strsep(&rest, ":"));)
        if (*name)
            add(place, name, source);
    free(copy);
}

static void add_vendors(struct place *place, const char *vendors, const char *directory)
{
    if (is_directory(vendors)) {
        add_directory(place, vendors, false);
        return;
    }
    if (!ends_with(vendors, ".icd")) {
        add_library(place, vendors, "OCL_ICD_VENDORS");
        return;
    }
    char *file = NULL;
    if (!strchr(vendors, '/')) {
        if (asprintf(&file, "%s/%s", directory, vendors) < 0) {
            place->failed = true;
            return;
        }
        if (access(file, F_OK) != 0) {
            free(file);
            file = NULL;
        }
    }
    add_icd_file(place, file ? file : vendors);
    free(file);
}

/* A setting that is there and not empty. */
static const char *setting(const char *name)
{
    const char *text = secure_getenv(name);
    return text && *text ? text : NULL;
}

static struct place open_place(struct icd_list *out)
{
    return (struct place){.out = out, .first = out->count};
}

/* A place that is meant for the loader above us gives back what it added. */
static bool keep_place(struct place *place, bool icd_mode)
{
    struct icd_list *out = place->out;
    if (!place->self || (!icd_mode && out->count > place->first))
        return true;
    while (out->count > place->first)
        free(out->paths[--out->count]);
    return false;
}

/* -1 without memory, 1 when the place is passed by, else 0. */
static int close_place(struct place *place, bool icd_mode)
{
    if (place->failed)
        return -1;
    return keep_place(place, icd_mode) ? 0 : 1;
}

static int find_by_setting(struct icd_list *out)
{
    struct place place = open_place(out);
    add_each(&place, setting("SHADOWCL_DRIVERS"), "SHADOWCL_DRIVERS", add_any);
    if (place.self && out->count == 0)
        warn(&place, "SHADOWCL_DRIVERS: names shadowcl itself, and no driver");
    return place.failed ? -1 : 0;
}

static int find_filenames(struct icd_list *out, bool icd_mode)
{
    struct place place = open_place(out);
    const char *names = setting("OCL_ICD_FILENAMES");
    if (names)
        add_each(&place, names, "OCL_ICD_FILENAMES", add_library);
    return close_place(&place, icd_mode) < 0 ? -1 : 0;
}

static int find_vendors(struct icd_list *out, bool icd_mode)
{
    const char *vendors = setting("OCL_ICD_VENDORS");
    const char *directory = setting("OPENCL_VENDOR_PATH");
    struct place place = open_place(out);
    int passed = 1;
    if (vendors) {
        add_vendors(&place, vendors, directory ? directory : DEFAULT_VENDORS);
        passed = close_place(&place, icd_mode);
    }
    if (passed == 1 && directory) {
        place = open_place(out);
        add_directory(&place, directory, false);
        passed = close_place(&place, icd_mode);
    }
    if (passed != 1)
        return passed;
    place = open_place(out);
    add_directory(&place, DEFAULT_VENDORS, false);
    return place.failed ? -1 : 0;
}

int icd_find(struct icd_list *out, bool icd_mode, struct error *err)
{
    memset(out, 0, sizeof(*out));
    int failed = setting("SHADOWCL_DRIVERS")
                     ? find_by_setting(out)
                     : find_filenames(out, icd_mode) || find_vendors(out, icd_mode);
    if (!failed)
        return 0;
    icd_finish(out);
    return error_set(err, ENOMEM, "list the drivers");
}

void icd_finish(struct icd_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->paths[i]);
    for (size_t i = 0; i < list->num_warnings; i++)
        free(list->warnings[i]);
    free(list->paths);
    free(list->warnings);
    memset(list, 0, sizeof(*list));
}

static cl_uint count_devices(const struct icd_platform *platform, cl_device_type type)
{
    cl_uint count = 0;
    cl_int err = platform->calls->clGetDeviceIDs(platform->id, type, 0, NULL, &count);
    return err == CL_SUCCESS ? count : 0;
}

static bool comes_before(const struct icd_platform *a, const struct icd_platform *b)
{
    if (a->gpus != b->gpus)
        return a->gpus > b->gpus;
    if (a->cpus != b->cpus)
        return a->cpus > b->cpus;
    return a->devices > b->devices;
}

void icd_sort_platforms(struct icd_platform *platforms, size_t count)
{
    const char *sort = setting("OCL_ICD_PLATFORM_SORT");
    if (count < 2 || (sort && strcmp(sort, "none") == 0))
        return;
    for (size_t i = 0; i < count; i++) {
        platforms[i].gpus = count_devices(&platforms[i], CL_DEVICE_TYPE_GPU);
        platforms[i].cpus = count_devices(&platforms[i], CL_DEVICE_TYPE_CPU);
        platforms[i].devices = count_devices(&platforms[i], CL_DEVICE_TYPE_ALL);
    }
    /* By insertion: equal platforms keep their order, which qsort does not promise. */
    for (size_t i = 1; i < count; i++) {
        struct icd_platform moved = platforms[i];
        size_t place = i;
        for (; place > 0 && comes_before(&moved, &platforms[place - 1]); place--)
            platforms[place] = platforms[place - 1];
        platforms[place] = moved;
    }
}

size_t icd_default_platform(size_t count)
{
    const char *text = secure_getenv("OCL_ICD_DEFAULT_PLATFORM");
    if (!text)
        return 0;
    char *end;
    errno = 0;
    long index = strtol(text, &end, 10);
    bool valid = end != text && !*end && errno == 0 && index >= 0 && (size_t)index < count;
    return valid ? (size_t)index : count;
}

bool icd_assume_extension(void)
{
    return setting("OCL_ICD_ASSUME_ICD_EXTENSION") != NULL;
}
