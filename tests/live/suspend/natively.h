/* SPDX-License-Identifier: Apache-2.0 */
/* What the driver says of each command, in their order, to the same program without the shim: a
 * process of its own that writes its answers to a file, and begins again behind the one that ended
 * it. */
#ifndef SHADOWCL_TESTS_LIVE_SUSPEND_NATIVELY_H
#define SHADOWCL_TESTS_LIVE_SUSPEND_NATIVELY_H

#include "live.h"

enum natively_mode {
    TELL,    /* the program without the shim */
    AT_ONCE, /* only what was refused natively: the rest would be carried out */
    HELD
};

/* Some drivers take what the shim refuses as the specification has it: what reaches outside, so
 * that they write where they must not, and handles of the wrong kind or of another context. Else it
 * is as the driver says. */
#define AS_DRIVER CL_SUCCESS
#define OUTSIDE CL_INVALID_VALUE
#define AROUND 1 /* the same, by numbers that have no sum */

/* Asks for all answers. */
void natively_ask(void);
/* In that process, instead: writes them to the file, from the one of that number on. */
void natively_tell(const char *path, const char *known);
/* From the first command on. */
void natively_begin(enum natively_mode mode);
enum natively_mode natively_mode(void);
/* True: the next one is not to be tried now. */
bool natively_pass_over(cl_int specified);
/* The next one's answer: tells it, or compares it with what was told. */
void natively_compare(const char *on, const char *what, const char *how, cl_int specified,
                      cl_int answer);
/* So many differed. */
int natively_wrong(void);

#endif
