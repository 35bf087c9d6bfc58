/* SPDX-License-Identifier: Apache-2.0 */
/* How a program came to be: where it came from (its origin), and the last step that was taken with
 * it (compile, build or link). Both are shared and never change, so that a linked program still
 * knows what its inputs were when these have been built otherwise since, or released. */
#ifndef SHADOWCL_STATE_RECIPE_H
#define SHADOWCL_STATE_RECIPE_H

#include <CL/cl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum origin_kind {
    ORIGIN_SOURCE,
    ORIGIN_IL,
    ORIGIN_BINARY,
    ORIGIN_BUILT_IN,
    ORIGIN_LINK, /* of other programs: the recipe's inputs */
};

struct recipe;

struct blob {
    size_t size;
    unsigned char *bytes; /* owned; NULL: none */
};

struct origin {
    _Atomic unsigned refs;
    enum origin_kind kind;
    struct blob *binaries;         /* owned: one for each device of the program, as it was given */
    struct recipe *_Atomic *known; /* owned, references: what each came from, see origin_known */
    cl_uint num_binaries;
    size_t size; /* of the text: source, IL or names of built-in kernels */
    char text[]; /* a NUL follows */
};

enum step { STEP_NONE, STEP_COMPILE, STEP_BUILD, STEP_LINK };

/* What a compile step found under a header's name. */
struct header {
    char *name;            /* owned */
    struct origin *origin; /* a reference */
};

/* A specialisation constant, set before the step. */
struct constant {
    cl_uint id;
    size_t size;
    unsigned char *value; /* owned */
};

struct recipe {
    _Atomic unsigned refs;
    enum step step;
    struct origin *origin;      /* a reference */
    char *options;              /* owned; NULL where the application gave NULL */
    struct header *headers;     /* owned */
    struct recipe **inputs;     /* owned, references */
    struct constant *constants; /* owned, oldest first */
    cl_uint num_headers, num_inputs, num_constants;
    /* An input was made differently for different devices: one link can't be repeated from it. */
    bool mixed;
    uint64_t number; /* in the order of the steps */
};

/* All of these return NULL without memory; references are the caller's. */
struct origin *origin_create(enum origin_kind kind, const void *text, size_t size);
/* clCreateProgramWithSource's strings, put together. */
struct origin *origin_from_strings(cl_uint count, const char **strings, const size_t *lengths);
struct origin *origin_from_binaries(cl_uint count, const size_t *sizes,
                                    const unsigned char **binaries);
struct origin *origin_ref(struct origin *origin);
void origin_unref(struct origin *origin);

struct recipe *recipe_create(struct origin *origin, enum step step, const char *options);
/* It is its step's turn now; before anybody else knows it. */
void recipe_number(struct recipe *recipe);
/* Makes room for that many; false without memory. Each is then set by the caller. */
bool recipe_set_headers(struct recipe *recipe, cl_uint count);
bool recipe_set_inputs(struct recipe *recipe, cl_uint count);
struct recipe *recipe_ref(struct recipe *recipe);
void recipe_unref(struct recipe *recipe);

/* What a binary came from may be made from binaries in turn: so many times at most. */
#define RECIPE_DEEPEST 8
/* Can the recipe be followed on a device of another kind (no binary is needed)? */
bool recipe_portable(const struct recipe *recipe);
/* Is it a link that can't be repeated, or made from one? */
bool recipe_mixed(const struct recipe *recipe);

/* Where binaries came from that the application was given: it may load them again, and move on to a
 * device that can't use them. Those that were asked for longest ago are forgotten in the end. */
void recipe_remember(const struct blob *binary, struct recipe *recipe);
/* What the i-th binary of the origin came from, NULL: not known. It lives as long as the origin. */
struct recipe *origin_known(const struct origin *origin, cl_uint i);
/* What all its binaries came from. NULL: that is not known, or not the same for all devices. */
struct recipe *origin_known_all(const struct origin *origin);
/* Says it of one that nobody else has yet; takes a reference. */
void origin_set_known(struct origin *origin, cl_uint i, struct recipe *recipe);
/* How many bytes of recipes are remembered; returns what it was. For tests. */
size_t recipe_set_budget(size_t bytes);
/* In a forked child. */
void recipe_forked(void);

#endif
