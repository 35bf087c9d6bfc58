/* SPDX-License-Identifier: Apache-2.0 */
/* The cases, and other processes: see work.h. */
#include "work.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

int moment_main(int argc, char **argv, const struct moment *moments, unsigned count)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (unsigned i = 0; argc < 2 && i < count; i++)
        puts(moments[i].name);
    for (unsigned i = 0; argc >= 2 && i < count; i++)
        if (strcmp(argv[1], moments[i].name) == 0)
            return moments[i].run();
    return argc < 2 ? 0 : 98;
}

void fail(const char *what, long got, long expected)
{
    fprintf(stderr, "%s is %ld, expected %ld\n", what, got, expected);
    _exit(99);
}

bool shadowed(void)
{
    return getenv("MOMENTS_SHADOWED") != NULL;
}

bool commanded(void)
{
    return getenv("LIVE_COMMAND") != NULL;
}

/* The command itself has no use for our library. */
static char **without_preload(void)
{
    size_t count = 0, kept = 0;
    while (environ[count])
        count++;
    char **copy = calloc(count + 1, sizeof *copy);
    for (size_t i = 0; copy && i < count; i++)
        if (strncmp(environ[i], "LD_PRELOAD=", 11) != 0)
            copy[kept++] = environ[i];
    return copy;
}

pid_t outside_start(const char *verb, pid_t pid)
{
    if (!commanded())
        return 0;
    char number[32], *arguments[] = {getenv("LIVE_COMMAND"), (char *)verb, number, NULL};
    if (!arguments[0])
        return 0;
    char **environment = without_preload();
    pid_t child;
    posix_spawn_file_actions_t actions;
    snprintf(number, sizeof number, "%d", (int)pid);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    expect(posix_spawn(&child, arguments[0], &actions, NULL, arguments, environment), 0);
    posix_spawn_file_actions_destroy(&actions);
    free(environment);
    return child;
}

int child_code(pid_t child)
{
    int status;
    while (waitpid(child, &status, 0) != child)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

int outside(const char *verb, pid_t pid)
{
    pid_t child = outside_start(verb, pid);
    return child ? child_code(child) : 0;
}

void outside_retry(const char *verb, pid_t pid)
{
    for (int i = 0; i < 200; i++) {
        if (outside(verb, pid) == 0)
            return;
        sleep_ms(100);
    }
    fail(verb, 1, 0);
}

void sleep_ms(int ms)
{
    struct timespec left = {ms / 1000, ms % 1000 * 1000000L};
    while (nanosleep(&left, &left) != 0)
        ;
}
