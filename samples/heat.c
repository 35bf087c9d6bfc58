/* SPDX-License-Identifier: Apache-2.0 */
/* Heat that spreads over an insulated square plate, step by step. No heat gets lost on the way, and
 * nowhere does it get hotter than the hottest place was: that is what the result is checked by. */
#include "common.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char source[] =
    "kernel void spread(global const float *now, global float *next)\n"
    "{\n"
    "    int x = get_global_id(0), y = get_global_id(1);\n"
    "    int width = get_global_size(0), height = get_global_size(1);\n"
    "    float here = now[y * width + x];\n"
    "    float left = now[y * width + max(x - 1, 0)];\n"
    "    float right = now[y * width + min(x + 1, width - 1)];\n"
    "    float above = now[max(y - 1, 0) * width + x];\n"
    "    float below = now[min(y + 1, height - 1) * width + x];\n"
    "    next[y * width + x] = here + 0.2f * (left + right + above + below - 4.0f * here);\n"
    "}\n";

struct heat_options {
    struct options common;
    unsigned steps;
    unsigned seconds;   /* 0: as many steps as asked for */
    const char *slowly; /* a file, or NULL */
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct heat_options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->common;
        return 0;
    case 'n':
        options->steps = option_number(state, arg, 1);
        return 0;
    case 't':
        options->seconds = option_number(state, arg, 1);
        return 0;
    case 'w':
        options->slowly = arg;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option option_list[] = {
    {"steps", 'n', "N", 0, "Steps of a round (default 5000)", 0},
    {"seconds", 't', "S", 0, "Go on for S seconds: the result then depends on the speed", 0},
    {"slowly", 'w', "FILE", 0,
     "Take rests, from a fifth of the way on, as long as there is FILE: to be watched", 0},
    {0},
};

/* A hot disc, a cold corner, and a ripple. */
static void fill(float *field, unsigned size)
{
    for (unsigned y = 0; y < size; y++)
        for (unsigned x = 0; x < size; x++) {
            float dx = (float)x - 0.4f * (float)size, dy = (float)y - 0.6f * (float)size;
            float disc = dx * dx + dy * dy < 0.03f * (float)size * (float)size ? 100.0f : 20.0f;
            field[y * size + x] = disc + (float)((x * 7 + y * 13) % 32) / 8.0f;
        }
}

struct summary {
    double total;
    float low, high;
};

static struct summary summarize(const float *field, size_t count)
{
    struct summary s = {.low = FLT_MAX, .high = -FLT_MAX};
    for (size_t i = 0; i < count; i++) {
        s.total += field[i];
        s.low = fminf(s.low, field[i]);
        s.high = fmaxf(s.high, field[i]);
    }
    return s;
}

/* Rounding moves the total a little: at most in proportion to the steps. */
static void check_field(const struct summary *before, const struct summary *after, unsigned steps)
{
    double slack = 1e-5 + 1e-7 * steps;
    if (!(fabs(after->total - before->total) <= slack * before->total))
        fail("the plate held %.6g of heat, now %.6g", before->total, after->total);
    if (!(after->low >= before->low * (1 - slack) && after->high <= before->high * (1 + slack)))
        fail("the plate was between %g and %g degrees, now between %g and %g", before->low,
             before->high, after->low, after->high);
}

static void rest(const struct heat_options *options, unsigned step, unsigned total)
{
    if (options->slowly && step >= total / 5 && access(options->slowly, F_OK) == 0)
        usleep(30000);
}

/* Returns the number of steps taken. */
static unsigned iterate(const struct setup *setup, cl_kernel kernel, cl_mem fields[2],
                        const struct heat_options *options)
{
    size_t global[2] = {options->common.size, options->common.size};
    unsigned total = options->seconds ? 0 : options->steps * options->common.repeat;
    double end = seconds_now() + options->seconds;
    unsigned step = 0;
    while (options->seconds ? seconds_now() < end : step < total) {
        set_arg(kernel, 0, sizeof(cl_mem), &fields[step % 2]);
        set_arg(kernel, 1, sizeof(cl_mem), &fields[(step + 1) % 2]);
        check(clEnqueueNDRangeKernel(setup->queue, kernel, 2, NULL, global, NULL, 0, NULL, NULL),
              "clEnqueueNDRangeKernel");
        step++;
        if (step % 20 == 0 || step == total) {
            check(clFinish(setup->queue), "clFinish");
            progress("step", step, total);
            rest(options, step, total);
        }
    }
    return step;
}

static unsigned solve(const struct setup *setup, float *field, const struct heat_options *options)
{
    size_t size = sizeof *field * options->common.size * options->common.size;
    cl_mem fields[2] = {
        buffer_create(setup, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, size, field),
        buffer_create(setup, CL_MEM_READ_WRITE, size, NULL),
    };
    cl_program program = program_build(setup, source);
    cl_kernel kernel = kernel_create(program, "spread");

    unsigned steps = iterate(setup, kernel, fields, options);
    check(clEnqueueReadBuffer(setup->queue, fields[steps % 2], CL_TRUE, 0, size, field, 0, NULL,
                              NULL),
          "clEnqueueReadBuffer");

    check(clReleaseKernel(kernel), "clReleaseKernel");
    check(clReleaseProgram(program), "clReleaseProgram");
    check(clReleaseMemObject(fields[0]), "clReleaseMemObject");
    check(clReleaseMemObject(fields[1]), "clReleaseMemObject");
    return steps;
}

int main(int argc, char **argv)
{
    const struct argp_child children[] = {{&options_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {
        .options = option_list,
        .parser = parse_option,
        .doc = "Spreads heat over a plate of --size by --size cells on an OpenCL device.",
        .children = children,
    };
    struct heat_options options = {.common = {.repeat = 1, .size = 256}, .steps = 5000};
    struct setup setup;
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    if ((uint64_t)options.steps * options.common.repeat > INT32_MAX)
        fail("%u times %u steps is more than %d", options.common.repeat, options.steps, INT32_MAX);
    setup_init(&setup, &options.common);

    size_t count = (size_t)options.common.size * options.common.size;
    float *field = allocate(count * sizeof *field);
    fill(field, options.common.size);
    struct summary before = summarize(field, count);
    unsigned steps = solve(&setup, field, &options);
    struct summary after = summarize(field, count);
    check_field(&before, &after, steps);
    fprintf(stderr, "%u steps: between %g and %g degrees\n", steps, after.low, after.high);
    report(&options.common, field, count * sizeof *field);

    free(field);
    setup_finish(&setup);
    return 0;
}
