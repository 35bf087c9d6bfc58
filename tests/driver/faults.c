/* SPDX-License-Identifier: Apache-2.0 */
/* Faults on demand, told by a file that tests change while the process runs; README.md has its
 * lines. Counts go on in a library that is loaded anew, by way of a second file. */
#include "tests/driver/driver.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAX_RULES 64
#define MAX_TEXT 8192
#define HANG_SECONDS 60

enum action {
    FAIL,
    HANG,
    SPIN,
    EXIT,
    SLOW,
    STALL,
    UNFLUSHED,
    LOG,
    UNPLUG,
    LINGER,
    LATE,
    VERSION,
    NOTICE,
    SPOIL,
    AGAIN,
    HANDLER,
    FLIP
};

struct rule {
    enum action action;
    char name[256]; /* of the call, "*" for all; of the log; the node; a notice's or version's text
                     */
    long count;     /* calls until it acts; 0: it has */
    long value;     /* the error; microseconds; milliseconds to linger; the byte to flip */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* All guarded by lock. */
static char *path; /* NULL: no faults */
static struct rule rules[MAX_RULES];
static unsigned num_rules;
static char text[MAX_TEXT];
static struct stat known;

static bool parse_rule(struct rule *rule, const char *line)
{
    *rule = (struct rule){.action = FAIL};
    if (sscanf(line, "fail %255s %ld %ld", rule->name, &rule->count, &rule->value) == 3)
        return true;
    rule->action = HANG;
    if (sscanf(line, "hang %255s %ld", rule->name, &rule->count) == 2)
        return true;
    rule->action = SPIN;
    if (sscanf(line, "spin %255s %ld", rule->name, &rule->count) == 2)
        return true;
    rule->action = SLOW;
    if (sscanf(line, "slow %255s %ld", rule->name, &rule->value) == 2)
        return true;
    rule->action = LOG;
    if (sscanf(line, "log %255s", rule->name) == 1)
        return true;
    rule->action = UNPLUG;
    if (sscanf(line, "unplug %ld %255s", &rule->count, rule->name) == 2)
        return true;
    rule->action = LINGER;
    if (sscanf(line, "linger %ld", &rule->value) == 1)
        return true;
    rule->action = LATE;
    if (sscanf(line, "late %ld", &rule->value) == 1)
        return true;
    rule->action = VERSION;
    if (sscanf(line, "version %255[^\n]", rule->name) == 1)
        return true;
    rule->action = SPOIL;
    if (sscanf(line, "spoil %255s %ld %ld", rule->name, &rule->count, &rule->value) == 3)
        return true;
    rule->action = AGAIN;
    if (sscanf(line, "again %255s %ld", rule->name, &rule->count) == 2)
        return true;
    rule->action = EXIT;
    if (sscanf(line, "exit %255s %ld", rule->name, &rule->count) == 2)
        return true;
    rule->action = HANDLER;
    if (sscanf(line, "handler %255s %ld", rule->name, &rule->count) == 2)
        return true;
    rule->action = FLIP;
    if (sscanf(line, "flip %255s %ld %ld", rule->name, &rule->count, &rule->value) == 3)
        return rule->value >= 0;
    rule->action = NOTICE;
    if (sscanf(line, "notice %ld %255[^\n]", &rule->count, rule->name) == 2)
        return true;
    rule->action = UNFLUSHED;
    if (sscanf(line, "unflushed %ld", &rule->value) == 1)
        return rule->value == 1;
    rule->action = STALL;
    return sscanf(line, "stall %ld", &rule->value) == 1 && rule->value > 0;
}

static void parse(void)
{
    char copy[MAX_TEXT], *rest;
    strcpy(copy, text);
    num_rules = 0;
    for (char *line = strtok_r(copy, "\n", &rest); line && num_rules < MAX_RULES;
         line = strtok_r(NULL, "\n", &rest))
        if (*line != '#' && parse_rule(&rules[num_rules], line))
            num_rules++;
        else if (*line != '#')
            fprintf(stderr, "shadowcl test driver: what is `%s`?\n", line);
}

static void state_path(char *to)
{
    snprintf(to, PATH_MAX, "%s.state", path);
}

/* The state belongs to this process and this version of the control file. */
static void state_header(char *to, size_t size)
{
    snprintf(to, size, "%d %lu %ld %ld", getpid(), (unsigned long)known.st_ino,
             (long)known.st_mtim.tv_sec, known.st_mtim.tv_nsec);
}

static void save_counts(void)
{
    char name[PATH_MAX], header[128];
    state_path(name);
    FILE *file = fopen(name, "we");
    if (!file)
        return;
    state_header(header, sizeof header);
    fprintf(file, "%s\n", header);
    for (unsigned i = 0; i < num_rules; i++)
        fprintf(file, "%ld\n", rules[i].count);
    fclose(file);
}

static void load_counts(void)
{
    char name[PATH_MAX], header[128], line[128] = "";
    state_path(name);
    FILE *file = fopen(name, "re");
    if (!file)
        return;
    state_header(header, sizeof header);
    if (fgets(line, sizeof line, file))
        line[strcspn(line, "\n")] = 0;
    for (unsigned i = 0; !strcmp(line, header) && i < num_rules; i++) {
        long count;
        if (fscanf(file, "%ld", &count) == 1)
            rules[i].count = count;
    }
    fclose(file);
}

static bool unchanged(const struct stat *now)
{
    struct timespec clock;
    if (now->st_ino != known.st_ino || now->st_size != known.st_size ||
        now->st_mtim.tv_sec != known.st_mtim.tv_sec ||
        now->st_mtim.tv_nsec != known.st_mtim.tv_nsec)
        return false;
    /* Two writes within one tick of the clock look the same: look inside while it is new. */
    clock_gettime(CLOCK_REALTIME, &clock);
    return (clock.tv_sec - now->st_mtim.tv_sec) * 1000 +
               (clock.tv_nsec - now->st_mtim.tv_nsec) / 1000000 >
           50;
}

/* With the lock held: brings the rules up to date. */
static void refresh(void)
{
    struct stat now = {0};
    char fresh[MAX_TEXT] = "";
    bool there = stat(path, &now) == 0;
    if (there && unchanged(&now))
        return;
    int fd = there ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t size = fd >= 0 ? read(fd, fresh, sizeof fresh - 1) : 0;
    fresh[size > 0 ? size : 0] = 0;
    if (fd >= 0)
        close(fd);
    bool same = now.st_ino == known.st_ino && now.st_mtim.tv_sec == known.st_mtim.tv_sec &&
                now.st_mtim.tv_nsec == known.st_mtim.tv_nsec && !strcmp(fresh, text);
    if (same)
        return;
    known = now;
    strcpy(text, fresh);
    parse();
    load_counts();
}

/* Somebody may have been in the middle of it, who is not in the child. To wait for that one before
 * the fork would be wrong: whoever forks may wait for a thread that waits for us. */
static void forked(void)
{
    if (pthread_mutex_trylock(&lock) == 0) {
        pthread_mutex_unlock(&lock);
        return;
    }
    pthread_mutex_init(&lock, NULL);
    known = (struct stat){0};
    text[0] = 0;
    num_rules = 0;
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, forked);
}

void faults_start(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
    const char *told = getenv("SHADOWCL_TEST_FAULTS");
    pthread_mutex_lock(&lock);
    if (!path && told && *told)
        path = strdup(told);
    pthread_mutex_unlock(&lock);
}

void faults_stop(void)
{
    pthread_mutex_lock(&lock);
    free(path);
    path = NULL;
    pthread_mutex_unlock(&lock);
}

/* The device is pulled out: the node goes, under another name for whoever puts it back. */
static void unplug(const char *node)
{
    char away[300];
    snprintf(away, sizeof away, "%s-away", node);
    rename(node, away);
}

static bool matches(const struct rule *rule, const char *name)
{
    return !strcmp(rule->name, "*") || !strcmp(rule->name, name);
}

static void append(const char *file, const char *name)
{
    int fd = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0) {
        dprintf(fd, "%s\n", name);
        close(fd);
    }
}

static _Thread_local cl_int spoiled; /* the call that this thread is in; CL_SUCCESS: it is not */

cl_int faults_spoiled(void)
{
    cl_int err = spoiled;
    spoiled = CL_SUCCESS;
    return err;
}

static _Atomic unsigned slow_calls; /* that take longer just now */

/* As a compiler's destructors, which take down what a build still uses. */
static void die_in_slow_call(void)
{
    if (slow_calls)
        abort();
}

/* What the rules say of a call, beside its error. */
struct doom {
    long microseconds;
    bool again;
    long flip;                /* byte; -1: none */
    struct rule hang, notice; /* without a name: none */
};

/* With the lock held. */
static cl_int decide(const char *name, struct doom *doom)
{
    cl_int err = CL_SUCCESS;
    bool counted = false;
    for (unsigned i = 0; i < num_rules; i++) {
        struct rule *rule = &rules[i];
        if (rule->action == LOG)
            append(rule->name, name);
        if (rule->action == SLOW && matches(rule, name))
            doom->microseconds += rule->value;
        if (rule->action == UNPLUG && rule->count > 0 && --rule->count == 0)
            unplug(rule->name);
        if (rule->action == NOTICE && rule->count > 0 && --rule->count == 0)
            doom->notice = *rule;
        if (rule->action == HANDLER && matches(rule, name) && rule->count > 0 && --rule->count == 0)
            atexit(die_in_slow_call);
        if (rule->action == SPOIL && matches(rule, name) && rule->count > 0 && --rule->count == 0)
            spoiled = (cl_int)rule->value;
        if (rule->action == AGAIN && matches(rule, name) && rule->count > 0 && --rule->count == 0)
            doom->again = true;
        if (rule->action == FLIP && matches(rule, name) && rule->count > 0 && --rule->count == 0)
            doom->flip = rule->value;
        counted |= rule->action == UNPLUG || rule->action >= NOTICE;
        if (rule->action > EXIT || rule->count == 0 || !matches(rule, name))
            continue;
        counted = true;
        if (--rule->count > 0)
            continue;
        if (rule->action == FAIL)
            err = (cl_int)rule->value;
        else
            doom->hang = *rule;
    }
    if (counted)
        save_counts();
    return err;
}

static void sleep_microseconds(long microseconds)
{
    struct timespec pause = {microseconds / 1000000, microseconds % 1000000 * 1000};
    while (nanosleep(&pause, &pause) < 0)
        ;
}

/* Is there a hang for this call in the file? */
static bool told_to_hang(const char *name)
{
    bool found = false;
    pthread_mutex_lock(&lock);
    refresh();
    for (unsigned i = 0; i < num_rules; i++)
        found |= rules[i].action == HANG && !strcmp(rules[i].name, name);
    pthread_mutex_unlock(&lock);
    return found;
}

/* Busy all the time, and mostly in the allocator, with its lock. */
static void spin(void)
{
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    do {
        void *volatile memory = malloc(20000);
        free(memory);
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (now.tv_sec - start.tv_sec < HANG_SECONDS);
}

static void hang_while_told(const char *name)
{
    for (int i = 0; i < HANG_SECONDS * 200 && told_to_hang(name); i++)
        sleep_microseconds(5000);
}

static void hang(const struct rule *rule)
{
    if (rule->action == EXIT)
        exit(EXIT_FAILURE);
    if (rule->action == SPIN)
        spin();
    hang_while_told(rule->name);
}

cl_int faults_apply(const char *name)
{
    struct doom doom = {.flip = -1, .hang.name = ""};
    if (!path)
        return CL_SUCCESS;
    pthread_mutex_lock(&lock);
    refresh();
    cl_int err = decide(name, &doom);
    pthread_mutex_unlock(&lock);
    if (*doom.hang.name)
        hang(&doom.hang);
    slow_calls++;
    if (doom.microseconds)
        sleep_microseconds(doom.microseconds);
    slow_calls--;
    if (doom.again)
        node_open_again(&devices[0]);
    if (doom.flip >= 0)
        mems_flip((size_t)doom.flip);
    if (*doom.notice.name)
        contexts_notify(doom.notice.name);
    return err;
}

void faults_stand(const char *name)
{
    bool found = false;
    if (!path)
        return;
    pthread_mutex_lock(&lock);
    refresh();
    for (unsigned i = 0; i < num_rules; i++) {
        struct rule *rule = &rules[i];
        if (rule->action != HANG || strcmp(rule->name, name) != 0 || rule->count == 0)
            continue;
        found |= --rule->count == 0;
        save_counts();
    }
    pthread_mutex_unlock(&lock);
    if (found)
        hang_while_told(name);
}

__attribute__((constructor)) static void stand_at_once(void)
{
    faults_start();
    faults_stand("constructor");
}

/* Is there such a line in the file? *last: what it says, the last of them. */
static bool told(enum action action, struct rule *last)
{
    bool found = false;
    if (!path)
        return false;
    pthread_mutex_lock(&lock);
    refresh();
    for (unsigned i = 0; i < num_rules; i++)
        if (rules[i].action == action) {
            *last = rules[i];
            found = true;
        }
    pthread_mutex_unlock(&lock);
    return found;
}

long faults_linger(void)
{
    struct rule rule;
    return told(LINGER, &rule) ? rule.value : 0;
}

long faults_late(void)
{
    struct rule rule;
    return told(LATE, &rule) ? rule.value : 0;
}

bool faults_version(char *to, size_t size)
{
    struct rule rule;
    if (!told(VERSION, &rule))
        return false;
    snprintf(to, size, "%s", rule.name);
    return true;
}

bool faults_unflushed(void)
{
    struct rule ignored;
    return told(UNFLUSHED, &ignored);
}

bool faults_stalled(enum held_back what)
{
    struct rule most;
    return told(STALL, &most) && most.value >= (long)what;
}
