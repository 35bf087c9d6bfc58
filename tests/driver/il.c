/* SPDX-License-Identifier: Apache-2.0 */
/* The intermediate language of a device with the cap `extras`: OpenCL C as it stands, in which the
 * specialisation constant N is the macro SPEC_N. */
#include "tests/driver/driver.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct constant {
    struct constant *next;
    cl_program program; /* that may have been released since */
    cl_uint id;
    cl_ulong value;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct constant *constants; /* owned, the newest first; guarded by lock */

/* Those of a program that had this handle before. */
static void forget(cl_program program)
{
    pthread_mutex_lock(&lock);
    for (struct constant **at = &constants; *at;) {
        struct constant *one = *at;
        if (one->program == program) {
            *at = one->next;
            free(one);
        } else {
            at = &one->next;
        }
    }
    pthread_mutex_unlock(&lock);
}

__attribute__((destructor)) static void forget_all(void)
{
    while (constants)
        forget(constants->program);
}

cl_program CL_API_CALL clCreateProgramWithIL(cl_context context, const void *il, size_t length,
                                             cl_int *errcode_ret)
{
    const char *text = il;
    cl_int err = call_begin(CALL_clCreateProgramWithIL, devices_of(context));
    if (err != CL_SUCCESS)
        return failed(errcode_ret, err);
    if (!extras_of(context))
        return adopt(pocl->clCreateProgramWithIL(context, il, length, errcode_ret));
    cl_program program =
        adopt(pocl->clCreateProgramWithSource(context, 1, &text, &length, errcode_ret));
    if (program)
        forget(program);
    return program;
}

static bool is_ours(cl_program program)
{
    cl_context context = NULL;
    return pocl->clGetProgramInfo(program, CL_PROGRAM_CONTEXT, sizeof context, &context, NULL) ==
               CL_SUCCESS &&
           extras_of(context);
}

cl_int CL_API_CALL clSetProgramSpecializationConstant(cl_program program, cl_uint id, size_t size,
                                                      const void *value)
{
    cl_int err = call_begin(CALL_clSetProgramSpecializationConstant, devices_of(program));
    if (err != CL_SUCCESS)
        return err;
    if (!is_ours(program))
        return pocl->clSetProgramSpecializationConstant(program, id, size, value);
    struct constant *constant = calloc(1, sizeof *constant);
    if (!constant || size > sizeof constant->value) {
        free(constant);
        return constant ? CL_INVALID_VALUE : CL_OUT_OF_HOST_MEMORY;
    }
    constant->program = program;
    constant->id = id;
    memcpy(&constant->value, value, size);
    pthread_mutex_lock(&lock);
    constant->next = constants;
    constants = constant;
    pthread_mutex_unlock(&lock);
    return CL_SUCCESS;
}

static bool is_overridden(const struct constant *constant)
{
    for (const struct constant *one = constants; one != constant; one = one->next)
        if (one->program == constant->program && one->id == constant->id)
            return true;
    return false;
}

static bool has_constants(cl_program program)
{
    pthread_mutex_lock(&lock);
    const struct constant *one = constants;
    while (one && one->program != program)
        one = one->next;
    pthread_mutex_unlock(&lock);
    return one != NULL;
}

char *il_options(cl_program program, const char *options)
{
    char *all = NULL;
    size_t size;
    FILE *out = has_constants(program) ? open_memstream(&all, &size) : NULL;
    if (!out)
        return NULL;
    fputs(options ? options : "", out);
    pthread_mutex_lock(&lock);
    for (const struct constant *one = constants; one; one = one->next)
        if (one->program == program && !is_overridden(one))
            fprintf(out, " -DSPEC_%u=%llu", one->id, (unsigned long long)one->value);
    pthread_mutex_unlock(&lock);
    fclose(out);
    return all;
}
