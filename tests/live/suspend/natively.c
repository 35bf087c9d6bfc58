/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of the same program without the shim: see natively.h. */
#include "natively.h"

#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST 4096 /* answers */
#define ODD 12345 /* natively it has crashed by then */

static enum natively_mode mode;
static int told[MOST]; /* natively, in this order */
static size_t num_told, next;
static FILE *teller;
static int wrong;

static void tell_answer(cl_int answer)
{
    fprintf(teller, "%d\n", answer);
    fflush(teller);
}

static bool is_right(cl_int specified, cl_int answer, cl_int natively)
{
    if (natively == ODD)
        return specified == AS_DRIVER || answer != CL_SUCCESS;
    if (specified == AROUND)
        specified = OUTSIDE;
    return (answer == natively && (!live_shadowed() || specified == AS_DRIVER || answer)) ||
           (live_shadowed() && specified != AS_DRIVER && answer == specified);
}

void natively_compare(const char *on, const char *what, const char *how, cl_int specified,
                      cl_int answer)
{
    if (mode == TELL) {
        next++;
        tell_answer(answer);
        return;
    }
    cl_int wanted = told[next++];
    if (is_right(specified, answer, wanted))
        return;
    print_error("%s %s, %s, %s: %d, natively %d\n", on, what, how,
                mode == HELD ? "held" : "at once", answer, wanted);
    wrong++;
}

bool natively_pass_over(cl_int specified)
{
    bool known = mode == TELL && next < num_told;
    /* At once the driver would carry it out, or crash. */
    bool taken = mode == AT_ONCE && (told[next] == CL_SUCCESS || told[next] == ODD);
    bool crashes = mode == TELL && specified == AROUND && !live.pocl; /* rusticl, slowly */
    if (crashes && !known)
        tell_answer(ODD);
    next += known || taken || crashes;
    return known || taken || crashes;
}

/* The same program, without the shim, writes its answers to the file. */
static bool ask_natively(const char *file)
{
    char known[32];
    char *arguments[] = {"natively", (char *)file, known, NULL};
    extern char **environ;
    size_t kept = 0;
    char *environment[512];
    pid_t child;
    int status;
    for (size_t i = 0; environ[i] && kept < 511; i++)
        if (strncmp(environ[i], "LD_", 3) != 0)
            environment[kept++] = environ[i];
    environment[kept] = NULL;
    snprintf(known, sizeof known, "%zu", num_told);
    assert_int_equal(posix_spawn(&child, "/proc/self/exe", NULL, NULL, arguments, environment), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status == 0;
}

void natively_ask(void)
{
    char name[] = "/tmp/live-natively-XXXXXX";
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    close(fd);
    for (bool done = false; !done;) {
        done = ask_natively(name);
        FILE *file = fopen(name, "r");
        assert_non_null(file);
        while (num_told < MOST && fscanf(file, "%d", &told[num_told]) == 1)
            num_told++;
        fclose(file);
        assert_true(num_told < MOST);
        if (!done)
            told[num_told++] = ODD;
    }
    unlink(name);
    print_message("%zu answers\n", num_told);
}

void natively_tell(const char *path, const char *known)
{
    num_told = (size_t)atol(known);
    teller = fopen(path, "w");
    assert_non_null(teller);
}

void natively_begin(enum natively_mode new)
{
    mode = new;
    next = 0;
}

enum natively_mode natively_mode(void)
{
    return mode;
}

int natively_wrong(void)
{
    return wrong;
}
