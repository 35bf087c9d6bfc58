/* SPDX-License-Identifier: Apache-2.0 */
/* An ordinary OpenCL program with a bit of everything, in three files: making it all
 * (victim_make.c), working with it (victim.c), and what it was told (victim_told.c). What the
 * device should hold is computed on the host too. */
#ifndef SHADOWCL_TESTS_LIVE_FAILURE_VICTIM_H
#define SHADOWCL_TESTS_LIVE_FAILURE_VICTIM_H

#include <CL/cl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COUNT 4096 /* ints in each buffer */
#define HALF (COUNT / 2)
#define SIDE 32 /* pixels of the image */

/* What the program uses besides. */
struct wishes {
    bool images, doubles, out_of_order, asks;
    bool hints;        /* the second queue has a priority */
    bool listed;       /* the second queue is made with a list of properties */
    bool one_chain;    /* on one queue: rusticl 22.3 keeps no order between queues */
    size_t group;      /* work-items in a work-group; 0: as the driver likes */
    size_t ballast;    /* bytes of one more buffer; 0: none */
    const char *spare; /* made from this file's binary; saved there when it does not exist */
    const char *later; /* loaded as another program at the word `load` */
    bool reload;       /* what is linked is loaded from its binary */
    bool links; /* `twice` is compiled apart: pocl reads its own library anew for each link */
};

/* A step's event, as it was told right after it ended. */
struct ended {
    cl_event event;
    cl_command_type type;
    cl_ulong times[4];
};

struct victim {
    struct wishes wishes;
    cl_device_id device;
    cl_context context;
    cl_command_queue first;
    cl_command_queue second, third; /* in these, commands wait for the gun */
    /* The sub-buffer is the second half of data. `host` is made over host_memory. */
    cl_mem data, half, host, mapped, chain, seen, image, ballast;
    cl_sampler sampler;
    cl_program program, object, linked;
    cl_int tells_il; /* what asking the program for its IL gave when it was made */
    cl_kernel add, scale, look, twice;
    int *pointer; /* to what is mapped of `mapped`: its second half */
    struct ended ended;
    /* Made at the word `spare`, and released at `drop`; the event, of a command in that queue, is
     * kept. */
    cl_mem spare;
    cl_command_queue spare_queue;
    cl_event spare_event;
    /* Waited for by a kernel on the third queue, and so by a read on the second. */
    cl_event gun, shot;
    int *late; /* what that read gives */
    /* What they should hold. */
    int *told_data, *told_host, *told_mapped, *told_chain;
    int *host_memory;
    unsigned char *told_image;
};

/* Ends the program when `code` is an error. */
void need(cl_int code, const char *what);
void victim_make(struct victim *v);
/* What a device is asked can be told again: it then counts for those who move the program. */
void victim_ask(struct victim *v);
bool victim_is_told_the_same(struct victim *v);
/* Asks for what the device said that it has, and gets it (`is_there`), or for each the error that
 * the specification names. False: not so; *what, and what came of it. */
bool victim_reach(struct victim *v, bool is_there, const char **what, cl_int *code);
/* A program from that file's binary, NULL where there is none. */
cl_program victim_load(struct victim *v, const char *path);

#endif
