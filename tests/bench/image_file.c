/* SPDX-License-Identifier: Apache-2.0 */
/* An image file is saved, verified and loaded, each beside `cp` of the same bytes, one after the
 * other in so many rounds. Prints the seconds of each as JSON. The contents are in memory that has
 * been touched (a file in SOURCES, which is what cp reads), and so is what is loaded into. What
 * goes to TARGETS is new each time; with `sync` it is on the disk when the time is over, and is not
 * in memory when it is read. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/image_sample.h"

extern char **environ;

struct bench {
    char source[4096], copy[4096], image[4096];
    struct sample sample;
    uint8_t *loaded;
    enum image_compression compression;
    bool sync;
    struct image_summary summary;
    long peak; /* KiB that saving took */
};

static void fail(const char *what)
{
    fprintf(stderr, "image_file: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void check(int ret, const struct error *err)
{
    if (ret == 0)
        return;
    fprintf(stderr, "image_file: %s: %s\n", err->object, err->reason);
    exit(1);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void *map(int fd, size_t size, int flags)
{
    void *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, flags | MAP_POPULATE, fd, 0);
    if (bytes == MAP_FAILED)
        fail("mmap");
    return bytes;
}

static void prepare(struct bench *bench, size_t size, enum sample_fill fill)
{
    int fd = open(bench->source, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
        fail(bench->source);
    bench->sample = (struct sample){2, size, map(fd, size, MAP_SHARED)};
    sample_fill(bench->sample.bytes, size, fill, 1);
    close(fd);
    bench->loaded = map(-1, size, MAP_PRIVATE | MAP_ANONYMOUS);
    memset(bench->loaded, 1, size);
}

static void settle(const struct bench *bench, int fd)
{
    if (bench->sync && fdatasync(fd) < 0)
        fail("fdatasync");
}

static double copy(const struct bench *bench)
{
    pid_t pid;
    int status;
    char *arguments[] = {"cp", (char *)bench->source, (char *)bench->copy, NULL};
    unlink(bench->copy);
    double begin = now();
    if (posix_spawnp(&pid, "cp", NULL, NULL, arguments, environ) ||
        waitpid(pid, &status, 0) != pid || status)
        fail("cp");
    int fd = open(bench->copy, O_RDONLY | O_CLOEXEC);
    settle(bench, fd);
    double end = now();
    close(fd);
    unlink(bench->copy);
    return end - begin;
}

static long peak(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

static double save(struct bench *bench)
{
    struct error err = {0};
    long before = peak();
    unlink(bench->image);
    double begin = now();
    int fd = open(bench->image, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    check(sample_write(fd, bench->compression, &bench->sample, 1, &bench->summary, &err), &err);
    settle(bench, fd);
    double end = now();
    if (bench->sync)
        posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
    if (peak() - before > bench->peak)
        bench->peak = peak() - before;
    return end - begin;
}

static double verify(const struct bench *bench)
{
    struct error err = {0};
    struct image_reader *reader;
    double begin = now();
    int fd = open(bench->image, O_RDONLY | O_CLOEXEC);
    check(image_reader_open(&reader, fd, &err), &err);
    check(image_reader_verify(reader, NULL, NULL, &err), &err);
    image_reader_close(reader);
    double end = now();
    if (bench->sync)
        posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
    return end - begin;
}

static double load(struct bench *bench)
{
    struct error err = {0};
    struct image_reader *reader;
    double begin = now();
    int fd = open(bench->image, O_RDONLY | O_CLOEXEC);
    check(image_reader_open(&reader, fd, &err), &err);
    const struct image_contents *contents = image_reader_contents(reader, bench->sample.serial);
    for (size_t i = 0; i < contents->num_chunks; i++)
        check(image_reader_chunk(reader, contents, i, bench->loaded + i * IMAGE_CHUNK, &err), &err);
    image_reader_close(reader);
    double end = now();
    close(fd);
    if (memcmp(bench->loaded, bench->sample.bytes, bench->sample.size)) {
        fprintf(stderr, "image_file: what was loaded is not what was saved\n");
        exit(1);
    }
    return end - begin;
}

static void print_list(const char *name, const double *values, int count)
{
    printf("\"%s\": [", name);
    for (int i = 0; i < count; i++)
        printf("%s%.6f", i ? ", " : "", values[i]);
    printf("], ");
}

/* Of the processor, by this process or its children: what counts on a machine that has other work.
 */
static double cpu(int who)
{
    struct rusage usage;
    getrusage(who, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void measure(struct bench *bench, int rounds)
{
    double times[4][64], cpus[2][64];
    for (int i = 0; i < rounds; i++) {
        double before = cpu(RUSAGE_CHILDREN);
        times[0][i] = copy(bench);
        cpus[0][i] = cpu(RUSAGE_CHILDREN) - before;
        before = cpu(RUSAGE_SELF);
        times[1][i] = save(bench);
        cpus[1][i] = cpu(RUSAGE_SELF) - before;
        times[2][i] = verify(bench);
        times[3][i] = load(bench);
    }
    putchar('{');
    print_list("cp", times[0], rounds);
    print_list("save", times[1], rounds);
    print_list("verify", times[2], rounds);
    print_list("load", times[3], rounds);
    print_list("cp_cpu", cpus[0], rounds);
    print_list("save_cpu", cpus[1], rounds);
    printf("\"file_bytes\": %llu, \"zero_bytes\": %llu, \"peak_kib\": %ld}\n",
           (unsigned long long)bench->summary.file_bytes,
           (unsigned long long)bench->summary.zero_bytes, bench->peak);
}

static int find(const char *name, const char *const *names)
{
    for (int i = 0; names[i]; i++)
        if (!strcmp(name, names[i]))
            return i;
    fprintf(stderr, "image_file: `%s` is not known\n", name);
    exit(2);
}

int main(int argc, char **argv)
{
    static const char *const compressions[] = {"auto", "off", "zstd", NULL};
    static const char *const fills[] = {"zero", "random", "half", "text", NULL};
    struct bench bench = {0};
    if (argc != 8) {
        fprintf(stderr, "usage: image_file SOURCES TARGETS MIB zero|random|half|text auto|off|zstd "
                        "ROUNDS sync|nosync\n");
        return 2;
    }
    snprintf(bench.source, sizeof bench.source, "%s/source", argv[1]);
    snprintf(bench.copy, sizeof bench.copy, "%s/copy", argv[2]);
    snprintf(bench.image, sizeof bench.image, "%s/image", argv[2]);
    size_t size = strtoull(argv[3], NULL, 10) << 20;
    int rounds = atoi(argv[6]);
    bench.compression = (enum image_compression)find(argv[5], compressions);
    bench.sync = !strcmp(argv[7], "sync");
    if (!size || rounds < 1 || rounds > 64)
        return 2;
    prepare(&bench, size, (enum sample_fill)find(argv[4], fills));
    measure(&bench, rounds);
    unlink(bench.source);
    unlink(bench.image);
    return 0;
}
