/* SPDX-License-Identifier: Apache-2.0 */
/* Binaries, from the driver into a build. */
#include <sched.h>
#include <stdlib.h>

#include "shim/phase.h"
#include "state/program.h"

/* The driver may list the devices in another order than we do, and fewer of them. */
static bool fetch_order(struct program *program, cl_uint *order)
{
    cl_uint count = program->num_devices;
    cl_device_id *reals = calloc(count, sizeof *reals);
    cl_int err =
        reals ? CALL(program->object.driver->clGetProgramInfo(
                    program_real(program), CL_PROGRAM_DEVICES, count * sizeof *reals, reals, NULL))
              : CL_OUT_OF_HOST_MEMORY;
    for (cl_uint i = 0; i < count && err == CL_SUCCESS; i++) {
        /* (pocl lists the device that a sub-device is of.) */
        order[i] = reals[i] ? i : count;
        for (cl_uint j = 0; j < count && reals[i]; j++)
            if (reals[i] == device_real(program->devices[j]))
                order[i] = j;
    }
    free(reals);
    return err == CL_SUCCESS;
}

/* pocl lists all devices, and has binaries of those that the last step named. */
static void order_by_step(const struct build *build, cl_uint *order)
{
    const struct recipe *newest = build->devices[0].recipe;
    cl_uint count = 0;
    for (cl_uint i = 1; i < build->num_devices; i++)
        if (build->devices[i].recipe->number > newest->number)
            newest = build->devices[i].recipe;
    for (cl_uint i = 0; i < build->num_devices; i++)
        if (build->devices[i].recipe == newest)
            order[count++] = i;
    while (count < build->num_devices)
        order[count++] = build->num_devices;
}

/* The arrays have room for all devices, and are in the driver's order. */
static cl_int fetch_binaries(struct program *program, cl_uint *order, size_t *sizes,
                             unsigned char **bytes)
{
    const struct driver *driver = program->object.driver;
    cl_uint count = program->num_devices;
    size_t size = 0;
    cl_int err = CALL(driver->clGetProgramInfo(program_real(program), CL_PROGRAM_BINARY_SIZES,
                                               count * sizeof *sizes, sizes, &size));
    if (size / sizeof *sizes < count && order[size / sizeof *sizes] < count)
        order_by_step(atomic_load(&program->build), order);
    bool any = false; /* rusticl dies when asked for binaries that are not there */
    for (cl_uint i = 0; i < count && err == CL_SUCCESS; i++) {
        any = any || sizes[i];
        if (sizes[i] && !(bytes[i] = malloc(sizes[i])))
            err = CL_OUT_OF_HOST_MEMORY;
    }
    if (err == CL_SUCCESS && any)
        err = CALL(driver->clGetProgramInfo(program_real(program), CL_PROGRAM_BINARIES,
                                            count * sizeof *bytes, bytes, NULL));
    return err;
}

/* Puts them into the build; the first of two threads wins, the other waits a few instructions. */
static void put_binaries(struct build *build, const cl_uint *order, const size_t *sizes,
                         unsigned char **bytes)
{
    unsigned none = 0;
    if (!atomic_compare_exchange_strong(&build->fetched, &none, 1)) {
        while (atomic_load(&build->fetched) != 2)
            sched_yield();
        return;
    }
    for (cl_uint i = 0; i < build->num_devices; i++) {
        if (order[i] == build->num_devices)
            continue;
        build->devices[order[i]].binary = (struct blob){sizes[i], bytes[i]};
        bytes[i] = NULL;
    }
    atomic_store(&build->fetched, 2);
}

/* The same for a foreign build, at capture, when nobody else is there. */
static void put_here(struct build *build, const cl_uint *order, const size_t *sizes,
                     unsigned char **bytes)
{
    for (cl_uint i = 0; i < build->num_devices; i++) {
        if (order[i] == build->num_devices)
            continue;
        build->devices[order[i]].here = (struct blob){sizes[i], bytes[i]};
        bytes[i] = NULL;
    }
    build->here = true;
}

static cl_int fetch(struct program *program,
                    void (*put)(struct build *, const cl_uint *, const size_t *, unsigned char **))
{
    struct build *build = atomic_load(&program->build);
    cl_uint count = program->num_devices;
    cl_uint *order = calloc(count, sizeof *order);
    size_t *sizes = calloc(count, sizeof *sizes);
    unsigned char **bytes = calloc(count, sizeof *bytes);
    cl_int err = CL_OUT_OF_HOST_MEMORY;
    if (order && sizes && bytes && fetch_order(program, order))
        err = fetch_binaries(program, order, sizes, bytes);
    if (err == CL_SUCCESS)
        put(build, order, sizes, bytes);
    for (cl_uint i = 0; i < count && bytes; i++)
        free(bytes[i]);
    free(bytes);
    free(sizes);
    free(order);
    return err;
}

cl_int program_fetch(struct program *program)
{
    struct build *build = atomic_load(&program->build);
    return atomic_load(&build->fetched) == 2 ? CL_SUCCESS : fetch(program, put_binaries);
}

cl_int program_fetch_here(struct program *program)
{
    struct build *build = atomic_load(&program->build);
    return build->here || !build->foreign ? CL_SUCCESS : fetch(program, put_here);
}

void build_forget_here(struct build *build)
{
    for (cl_uint i = 0; i < build->num_devices; i++) {
        free(build->devices[i].here.bytes);
        build->devices[i].here = (struct blob){0};
    }
    build->here = false;
}
