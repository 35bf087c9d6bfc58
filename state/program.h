/* SPDX-License-Identifier: Apache-2.0 */
/* Programs. What the application may ask of one is taken from the driver right after each build
 * step and answered from here: it does not change when the program is made again from its binary.
 */
#ifndef SHADOWCL_STATE_PROGRAM_H
#define SHADOWCL_STATE_PROGRAM_H

#include "state/context.h"
#include "state/recipe.h"
#include "state/roster.h"

/* What one device has of a program since a build step. */
struct build_device {
    struct recipe *recipe;  /* a reference */
    struct info_cache info; /* CL_PROGRAM_BUILD_* and CL_PROGRAM_BINARY_TYPE */
    struct blob binary;     /* owned; once `fetched` */
    struct blob here;       /* owned; of a foreign build: from the device it is on now */
    /* Owned, all: made for a device of that identity, before a move there (program_ahead.h). */
    struct blob ahead;
    char *ahead_for;
    char *ahead_kernels;
};

/* What is known of one kernel of a built program. A program made from a binary may not tell it. */
struct kernel_facts {
    char *name;             /* owned */
    struct info_cache info; /* keys as in struct kernel's */
};

/* The state of a program since its last build step. Those before stay until the program goes:
 * others may be reading them. */
struct build {
    struct build *older;
    struct info_cache info;       /* CL_PROGRAM_NUM_KERNELS and the like; absent: no executable */
    struct kernel_facts *kernels; /* owned; taken at capture */
    cl_uint num_kernels;
    cl_uint num_devices;
    _Atomic unsigned fetched; /* 2: the binaries below are there; 1: being put in */
    bool foreign; /* of a device that the program has left; what the queries answer still */
    bool here;    /* of a foreign build: its devices' binaries of that name are there */
    /* Resumed on another device than it was captured on: it will be foreign once it is captured
     * there. Until then the resume may fail, and the program go back. */
    bool left;
    struct build_device devices[]; /* as the program's */
};

typedef void(CL_CALLBACK *program_notify)(cl_program program, void *data);

struct program_callback {
    struct program_callback *next; /* the newest first */
    program_notify function;
    void *data;
};

/* Specialisation constants, the newest first. */
struct program_constant {
    struct program_constant *next;
    struct constant constant;
};

struct program {
    struct object object;
    struct context *context; /* held */
    struct device **devices; /* held: CL_PROGRAM_DEVICES. Behind the struct where its slot has room,
                              * else owned */
    cl_uint num_devices;
    bool stand_in; /* the real program was made from a binary, though there is a source */
    /* The other way round: loaded from a binary that this device can't take, the real program was
     * made, and built, from what the binary is known to come from. */
    bool from_known;
    bool tells_il; /* CL_PROGRAM_IL may be asked, by the version of the driver it was made on */
    /* The real one that stood in, where a build has made the program genuine: other threads may be
     * in the driver with it. Given back with the next. */
    cl_program retired;
    struct origin *origin;       /* a reference */
    struct build *_Atomic build; /* the newest; never NULL once published */
    _Atomic unsigned kernels;  /* attached to it (§5.8.2: a program with kernels is not rebuilt) */
    _Atomic unsigned building; /* a build step is in progress: see program_is_building */
    struct program_callback *_Atomic callbacks; /* clSetProgramReleaseCallback */
    struct program_constant *_Atomic constants;
    struct member member; /* of program_roster */
};

extern struct roster program_roster;

static inline struct program *program_check(cl_program handle)
{
    return object_check(handle, KIND_PROGRAM);
}

static inline cl_program program_real(const struct program *program)
{
    return program->object.real;
}

/* A new shadow, not yet published: holds context and devices (count 0: all of the context's), takes
 * over the reference to origin, also when it fails. NULL without memory. */
struct program *program_create(struct context *context, struct origin *origin, cl_uint num_devices,
                               struct device *const *devices);
/* For a wrapper that failed after program_create; the real program must be NULL. */
void program_discard(struct program *program);
/* For a program whose binaries the driver does not take: makes the real one, built, by the recipe
 * that they are known to come from (recipe.h). CL_INVALID_BINARY where none is known. */
cl_int program_make_known(struct program *program);
/* Which of the program's devices, or -1. */
int program_device_index(const struct program *program, const struct device *device);

/* --- Build steps (state/program_build.c) --- */

/* A recipe of the program for a step, with its constants as they are now. NULL without memory. */
struct recipe *program_recipe(struct program *program, enum step step, const char *options);
/* A build to be: those devices (count 0: all) get the recipe, the others keep theirs. NULL without
 * memory. Nothing changes before program_built. */
struct build *program_prepare(struct program *program, struct recipe *recipe, cl_uint num_devices,
                              struct device *const *devices);
void build_destroy(struct build *build);
/* Makes the build the program's, with what the driver answers now. */
void program_built(struct program *program, struct build *build);
/* Before a build step for those devices (count 0: all): the real program that the step is for. Of a
 * program that stands in for the one made from source that is another, which the caller makes the
 * program's once the step has begun, or releases; the other devices have there what they had. */
cl_int program_genuine(struct program *program, cl_uint num_devices, struct device *const *devices,
                       cl_program *genuine);
void program_take_genuine(struct program *program, cl_program genuine);
/* What the driver says of a constant for a program that stands in, by way of a genuine one. */
cl_int program_try_constant(struct program *program, cl_uint id, size_t size, const void *value);
/* Was there no build step for the device, of a program that needs one? (pocl has one status for all
 * devices of a program.) */
bool build_is_untried(const struct build_device *device);
/* Has the device's last build step succeeded (or was there none, for a loaded binary)? */
bool build_succeeded(const struct build_device *device);
/* OpenCL 3.0 §5.8.6, -cl-uniform-work-group-size: must global sizes be multiples of the local ones,
 * also on a device that can do otherwise? `unknown` where the options don't tell. */
bool build_is_uniform(const struct build_device *device, bool unknown);
/* Did the last build step fail for all devices? It is not repeated at a rebuild, so the driver must
 * not be asked for kernels then: to it the program was never built. */
bool program_failed(struct program *program);
/* What is known of a kernel from before the program was made again, or NULL. */
struct kernel_facts *program_kernel_facts(struct program *program, const char *name);

/* --- Binaries (state/program_fetch.c) --- */

/* Gets the binaries from the driver, once for each build step. CL_SUCCESS also where there are none
 * for a device (its size is 0 then). */
cl_int program_fetch(struct program *program);
/* For a foreign build: gets those of the devices that it is on now, unless it has them. */
cl_int program_fetch_here(struct program *program);
/* Those are of a device that the program has left. */
void build_forget_here(struct build *build);

/* --- One step after the other (state/program_turn.c) --- */

/* Waits until no other thread is at a step of the program. */
void program_begin_step(struct program *program);
/* The same for who takes binaries while the program runs: they must not be another step's. */
void program_begin_fetch(struct program *program);
/* The same without waiting; false: another thread is at a step. */
bool program_try_fetch(struct program *program);
void program_end_step(struct program *program); /* of any of them */
bool program_is_building(struct program *program);
/* In a forked child. */
void program_turn_forked(void);

/* --- Suspend and resume (state/program_rebuild.c) --- */

/* May it be carried (no program-scope variables)? */
int program_carriable(struct program *program, struct error *err);
/* May it go to a device that is not the same (its source or IL is known)? */
int program_movable(struct program *program, struct error *err);
/* Takes binaries and facts while the driver is there, once for each build step. */
int program_capture(struct program *program, struct error *err);
/* Binaries beforehand, inside the gate: it can take long. Not of one that another thread is
 * building, or asks for them. */
void program_capture_early(struct program *program);
void program_release(struct program *program);
/* Once its devices are there again: is there no binary for them, of a program that was built? */
bool program_must_be_built(const struct program *program);
int program_rebuild(struct program *program, struct error *err);

#endif
