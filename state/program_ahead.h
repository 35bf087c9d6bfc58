/* SPDX-License-Identifier: Apache-2.0 */
/* Binaries that were made for another device than the program's, before it moves there. They belong
 * to one build: a later build step of the application has none of them. */
#ifndef SHADOWCL_STATE_PROGRAM_AHEAD_H
#define SHADOWCL_STATE_PROGRAM_AHEAD_H

#include "state/program.h"

/* Keeps one for the build's i-th device on a device of that identity, in place of what was kept
 * before, unless the program has been built again meanwhile. Takes over the bytes, and the names of
 * the kernels that it has there, with semicolons between them (NULL: not known). The program is
 * held. */
void program_keep_ahead(struct program *program, const struct build *build, cl_uint i,
                        const char *identity, struct blob binary, char *kernels);
/* What is kept for a device of that identity, or NULL. With the gate closed; it lives until the
 * gate opens. */
const struct blob *build_ahead(const struct build *build, cl_uint i, const char *identity);
/* Has that one this kernel? */
bool build_ahead_has(const struct build *build, cl_uint i, const char *kernel);
/* Nobody will use them: the program has been built again. */
void build_forget_ahead(struct build *build);
/* In a forked child. */
void program_ahead_forked(void);

#endif
