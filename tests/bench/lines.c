/* SPDX-License-Identifier: Apache-2.0 */
/* Which cache lines of the shim's memory do calls touch? Two threads, one after the other, make the
 * same calls on objects of their own. Meanwhile the shim's data and the band of its handles can't
 * be accessed: each access faults, is written down, carried out as a single step, and made to fault
 * again. For each call it prints
 *   name TAB calls TAB touched TAB written TAB shared TAB always-shared
 * The last four count lines; shared are those that one thread writes and the other reads or writes.
 * What the driver and libc keep is not looked at; where the program is not under the shim there is
 * nothing to look at, and the exit code is 77.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "calls.h"

enum { THREADS = 2, CALLS = 128, LINE = 64, PAGE = 4096 };
enum { MOST = 1 << 14, MOST_RANGES = 16, MOST_OPEN = 4 };

#define TRAP_FLAG 0x100
#define ERROR_WRITE 2

static struct range {
    uintptr_t start, end;
    uintptr_t base; /* where its library was loaded; the band: its beginning */
} ranges[MOST_RANGES];
static size_t num_ranges;
static bool verbose;

/* By a hash of the address. */
static struct line {
    uintptr_t address; /* over LINE; 0: free */
    unsigned reads[THREADS], writes[THREADS];
} lines[MOST];
static size_t num_lines;
static int thread; /* whose calls are being followed */
static pid_t followed;

/* What the instruction at hand has access to. */
static _Thread_local void *open_pages[MOST_OPEN];
static _Thread_local int num_open;

static void protect_all(int how)
{
    for (size_t i = 0; i < num_ranges; i++)
        mprotect((void *)ranges[i].start, ranges[i].end - ranges[i].start, how);
}

static struct line *line_of(uintptr_t address)
{
    size_t at = address / LINE * 0x9e3779b97f4a7c15 % MOST;
    while (lines[at].address && lines[at].address != address / LINE)
        at = (at + 1) % MOST;
    if (!lines[at].address && ++num_lines == MOST)
        abort();
    lines[at].address = address / LINE;
    return &lines[at];
}

/* Other threads (callbacks, control) do what they do without being counted. */
static void on_fault(int signal, siginfo_t *info, void *data)
{
    ucontext_t *context = data;
    uintptr_t address = (uintptr_t)info->si_addr;
    bool ours = false;
    for (size_t i = 0; i < num_ranges; i++)
        ours = ours || (address >= ranges[i].start && address < ranges[i].end);
    if (!ours || num_open == MOST_OPEN) {
        sigaction(SIGSEGV, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
        return;
    }
    if (gettid() == followed) {
        struct line *line = line_of(address);
        bool is_write = context->uc_mcontext.gregs[REG_ERR] & ERROR_WRITE;
        (is_write ? line->writes : line->reads)[thread]++;
    }
    open_pages[num_open++] = (void *)(address & ~(uintptr_t)(PAGE - 1));
    mprotect(open_pages[num_open - 1], PAGE, PROT_READ | PROT_WRITE);
    context->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
}

static void on_step(int signal, siginfo_t *info, void *data)
{
    ucontext_t *context = data;
    context->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
    while (num_open) {
        num_open--;
        if (followed)
            mprotect(open_pages[num_open], PAGE, PROT_NONE);
    }
}

/* The writable parts of the shim's library with what follows them (.bss), and the band. */
static void find_ranges(uintptr_t handle)
{
    char text[512];
    uintptr_t base = 0, library_end = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps && fgets(text, sizeof text, maps) && num_ranges < MOST_RANGES) {
        uintptr_t start, end;
        char rights[5], path[400] = "";
        if (sscanf(text, "%lx-%lx %4s %*s %*s %*s %399s", &start, &end, rights, path) < 3)
            continue;
        bool library = strstr(path, "/shadowcl/libOpenCL.so.1") || (!*path && start == library_end);
        if (library && !base)
            base = start;
        library_end = library ? end : 0;
        bool band = handle >= start && handle < end && strcmp(path, "[heap]") != 0;
        if (rights[1] == 'w' && (library || band))
            ranges[num_ranges++] = (struct range){start, end, library ? base : start};
    }
    if (maps)
        fclose(maps);
}

static void follow(const struct benchmark *it, int who)
{
    it->run(CALLS); /* what the first calls do apart from the others is done */
    thread = who;
    followed = gettid();
    protect_all(PROT_NONE);
    it->run(CALLS);
    followed = 0;
    protect_all(PROT_READ | PROT_WRITE);
}

/* One thread writes it, and the other writes or reads it. */
static bool is_shared(const struct line *line)
{
    bool shared = false;
    for (int who = 0; who < THREADS; who++)
        shared = shared || (line->writes[who] && (line->writes[!who] || line->reads[!who]));
    return shared;
}

/* … and both in every other call at least. A slot that changes hands now and then is not on the way
 * of each call. */
static bool is_on_the_way(const struct line *line)
{
    for (int who = 0; who < THREADS; who++)
        if (line->reads[who] + line->writes[who] < CALLS / 2)
            return false;
    return true;
}

static void show(const struct line *line)
{
    uintptr_t address = line->address * LINE, base = 0;
    for (size_t i = 0; i < num_ranges && !base; i++)
        base = address >= ranges[i].start && address < ranges[i].end ? ranges[i].base : 0;
    fprintf(stderr, "  %#lx: reads %u %u, writes %u %u\n", address - base, line->reads[0],
            line->reads[1], line->writes[0], line->writes[1]);
}

static void report(const struct benchmark *it)
{
    unsigned written = 0, shared = 0, on_the_way = 0;
    for (size_t i = 0; i < MOST; i++) {
        const struct line *line = &lines[i];
        written += line->writes[0] || line->writes[1];
        if (!is_shared(line))
            continue;
        shared++;
        on_the_way += is_on_the_way(line);
        if (verbose)
            show(line);
    }
    printf("%s\t%d\t%zu\t%u\t%u\t%u\n", it->name, THREADS * CALLS, num_lines, written, shared,
           on_the_way);
    fflush(stdout);
    memset(lines, 0, sizeof lines);
    num_lines = 0;
}

static pthread_barrier_t turn;

static void *run_thread(void *data)
{
    int who = data != NULL;
    calls_set_up_thread();
    pthread_barrier_wait(&turn);
    for (size_t i = 0; i < num_benchmarks; i++) {
        for (int next = 0; next < THREADS; next++) {
            if (next == who)
                follow(&benchmarks[i], who);
            pthread_barrier_wait(&turn);
        }
        if (who == 0)
            report(&benchmarks[i]);
        pthread_barrier_wait(&turn);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    verbose = argc > 1 && strcmp(argv[1], "--verbose") == 0;
    pthread_t threads[THREADS];
    calls_set_up();
    calls_set_up_thread();
    find_ranges((uintptr_t)calls_a_handle());
    if (num_ranges < 2) {
        fprintf(stderr, "lines: the shim is not here\n");
        return 77;
    }
    sigaction(SIGSEGV, &(struct sigaction){.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO}, NULL);
    sigaction(SIGTRAP, &(struct sigaction){.sa_sigaction = on_step, .sa_flags = SA_SIGINFO}, NULL);
    pthread_barrier_init(&turn, NULL, THREADS);
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, run_thread, i ? &threads : NULL) != 0)
            return 1;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    return 0;
}
