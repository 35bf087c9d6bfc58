/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded by tests: memory that runs out, and a disk that fails, for our library alone. Counts
 * the allocations, reads and writes that are made from inside of libOpenCL.so.1 and makes the one
 * fail that was asked for. Test and program share one page: the file that SHADOWCL_TEST_MEMORY
 * names. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#define MOST_CALLS 4000

/* As tests/live/failure/memory.py has it. */
struct page {
    _Atomic uint64_t armed; /* calls are counted */
    _Atomic uint64_t place; /* of those that return there, */
    _Atomic uint64_t left;  /* … this one fails, the first is 1 */
    _Atomic uint64_t count; /* of all */
    struct {
        char name[16];
        uint64_t place; /* the address it returns to, from the library's start */
    } calls[MOST_CALLS];
};

static struct page *page;
static uintptr_t base, end; /* of the library */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static int find_library(struct dl_phdr_info *info, size_t size, void *unused)
{
    const char *name = strrchr(info->dlpi_name, '/');
    if (!name || strcmp(name, "/libOpenCL.so.1") != 0)
        return 0;
    base = info->dlpi_addr;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type == PT_LOAD && base + part->p_vaddr + part->p_memsz > end)
            end = base + part->p_vaddr + part->p_memsz;
    }
    return 1;
}

__attribute__((constructor)) static void start(void)
{
    const char *path = getenv("SHADOWCL_TEST_MEMORY");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *shared = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (shared == MAP_FAILED)
        return;
    dl_iterate_phdr(find_library, NULL);
    page = shared;
}

/* Does this call, which returns to that address, fail? */
static bool fails(const char *name, const void *address)
{
    uintptr_t place = (uintptr_t)address;
    if (!page || place < base || place >= end || !atomic_load(&page->armed))
        return false;
    uint64_t number = atomic_fetch_add(&page->count, 1) + 1;
    if (number <= MOST_CALLS) {
        strncpy(page->calls[number - 1].name, name, sizeof page->calls->name - 1);
        page->calls[number - 1].place = place - base;
    }
    return place - base == atomic_load(&page->place) && atomic_fetch_sub(&page->left, 1) == 1;
}

#define FAILS(name) fails(name, __builtin_return_address(0))
#define NEXT(type, name) __extension__ type *next = (type *)dlsym(RTLD_NEXT, name)

static void *no_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

void *malloc(size_t size)
{
    return FAILS("malloc") ? no_memory() : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return FAILS("calloc") ? no_memory() : __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
    return FAILS("realloc") ? no_memory() : __libc_realloc(memory, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size)
{
    void *new = FAILS("posix_memalign") ? NULL : __libc_memalign(alignment, size);
    if (!new)
        return ENOMEM;
    *memory = new;
    return 0;
}

char *strndup(const char *text, size_t most)
{
    size_t length = strnlen(text, most);
    char *copy = FAILS("strndup") ? no_memory() : __libc_malloc(length + 1);
    if (!copy)
        return NULL;
    copy[length] = 0;
    return memcpy(copy, text, length);
}

char *strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = FAILS("strdup") ? no_memory() : __libc_malloc(size);
    return copy ? memcpy(copy, text, size) : NULL;
}

int vasprintf(char **text, const char *format, va_list args)
{
    typedef int function(char **, const char *, va_list);
    NEXT(function, "vasprintf");
    if (!FAILS("vasprintf"))
        return next(text, format, args);
    errno = ENOMEM;
    return -1;
}

int asprintf(char **text, const char *format, ...)
{
    typedef int function(char **, const char *, va_list);
    NEXT(function, "vasprintf");
    if (FAILS("asprintf")) {
        errno = ENOMEM;
        return -1;
    }
    va_list args;
    va_start(args, format);
    int length = next(text, format, args);
    va_end(args);
    return length;
}

FILE *fopen(const char *path, const char *mode)
{
    typedef FILE *function(const char *, const char *);
    NEXT(function, "fopen");
    return FAILS("fopen") ? no_memory() : next(path, mode);
}

DIR *opendir(const char *path)
{
    typedef DIR *function(const char *);
    NEXT(function, "opendir");
    return FAILS("opendir") ? no_memory() : next(path);
}

char *realpath(const char *path, char *to)
{
    typedef char *function(const char *, char *);
    NEXT(function, "realpath");
    return FAILS("realpath") ? no_memory() : next(path, to);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *data)
{
    typedef int function(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    NEXT(function, "pthread_create");
    return FAILS("pthread_create") ? EAGAIN : next(thread, attr, run, data);
}

void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    typedef void *function(void *, size_t, int, int, int, off_t);
    NEXT(function, "mmap");
    if (!FAILS("mmap"))
        return next(at, size, protection, flags, fd, offset);
    errno = ENOMEM;
    return MAP_FAILED;
}

int mprotect(void *at, size_t size, int protection)
{
    typedef int function(void *, size_t, int);
    NEXT(function, "mprotect");
    if (!FAILS("mprotect"))
        return next(at, size, protection);
    errno = ENOMEM;
    return -1;
}

static ssize_t bad_disk(int error)
{
    errno = error;
    return -1;
}

int fsync(int fd)
{
    typedef int function(int);
    NEXT(function, "fsync");
    return FAILS("fsync") ? (int)bad_disk(EIO) : next(fd);
}

ssize_t pread(int fd, void *to, size_t size, off_t offset)
{
    typedef ssize_t function(int, void *, size_t, off_t);
    NEXT(function, "pread");
    return FAILS("pread") ? bad_disk(EIO) : next(fd, to, size, offset);
}

ssize_t writev(int fd, const struct iovec *pieces, int count)
{
    typedef ssize_t function(int, const struct iovec *, int);
    NEXT(function, "writev");
    return FAILS("writev") ? bad_disk(ENOSPC) : next(fd, pieces, count);
}
