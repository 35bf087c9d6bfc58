/* SPDX-License-Identifier: Apache-2.0 */
/* Separate compilation: a header, a library made of one source, a program that uses it; linked at
 * the start, and once more half way, from the same compiled objects. */
#include "common.h"

#include <stdlib.h>

static const char header[] = "#ifndef SCRAMBLE_H\n"
                             "#define SCRAMBLE_H\n"
                             "#define ROUNDS 8\n"
                             "uint scramble(uint x);\n"
                             "#endif\n";

static const char library_source[] = "#include \"scramble.h\"\n"
                                     "uint scramble(uint x)\n"
                                     "{\n"
                                     "    for (int i = 0; i < ROUNDS; i++) {\n"
                                     "        x ^= x << 13;\n"
                                     "        x ^= x >> 17;\n"
                                     "        x ^= x << 5;\n"
                                     "    }\n"
                                     "    return x;\n"
                                     "}\n";

static const char main_source[] = "#include \"scramble.h\"\n"
                                  "kernel void run(global uint *numbers, uint key)\n"
                                  "{\n"
                                  "    size_t i = get_global_id(0);\n"
                                  "    numbers[i] = scramble(numbers[i]) + key * OFFSET;\n"
                                  "}\n";

#define OFFSET 3u
#define OFFSET_OPTION "-DOFFSET=3u"

/* What the device does, on the host. */
static cl_uint scramble(cl_uint x)
{
    for (int i = 0; i < 8; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
    }
    return x;
}

static cl_uint first(unsigned i)
{
    return (i + 1) * 2654435761u;
}

struct parts {
    cl_program object;  /* the main program, compiled */
    cl_program library; /* linked as a library */
};

static cl_program source_create(const struct setup *setup, const char *text)
{
    cl_int err;
    cl_program program = clCreateProgramWithSource(setup->context, 1, &text, NULL, &err);
    check(err, "clCreateProgramWithSource");
    return program;
}

static cl_program compile(const struct setup *setup, const char *text, const char *build_options)
{
    const char *name = "scramble.h";
    cl_program include = source_create(setup, header);
    cl_program program = source_create(setup, text);
    cl_int err =
        clCompileProgram(program, 1, &setup->device, build_options, 1, &include, &name, NULL, NULL);
    check_build(err, "clCompileProgram", program, setup->device);
    check(clReleaseProgram(include), "clReleaseProgram");
    return program;
}

static cl_program link_programs(const struct setup *setup, const char *link_options,
                                cl_uint num_programs, const cl_program *programs)
{
    cl_int err;
    cl_program linked = clLinkProgram(setup->context, 1, &setup->device, link_options, num_programs,
                                      programs, NULL, NULL, &err);
    check_build(err, "clLinkProgram", linked, setup->device);
    return linked;
}

static void parts_init(struct parts *parts, const struct setup *setup)
{
    cl_program object = compile(setup, library_source, NULL);
    parts->library = link_programs(setup, "-create-library", 1, &object);
    check(clReleaseProgram(object), "clReleaseProgram");
    parts->object = compile(setup, main_source, OFFSET_OPTION);
}

static void parts_finish(struct parts *parts)
{
    check(clReleaseProgram(parts->object), "clReleaseProgram");
    check(clReleaseProgram(parts->library), "clReleaseProgram");
}

/* Links the parts and runs the rounds from `begin` to before `end`. */
static void run(const struct setup *setup, const struct parts *parts, cl_mem numbers,
                const struct options *options, unsigned begin, unsigned end)
{
    size_t global = options->size;
    cl_program program =
        link_programs(setup, NULL, 2, (cl_program[]){parts->object, parts->library});
    cl_kernel kernel = kernel_create(program, "run");
    set_arg(kernel, 0, sizeof numbers, &numbers);
    for (unsigned round = begin; round < end; round++) {
        set_arg(kernel, 1, sizeof(cl_uint), &(cl_uint){round});
        check(clEnqueueNDRangeKernel(setup->queue, kernel, 1, NULL, &global, NULL, 0, NULL, NULL),
              "clEnqueueNDRangeKernel");
        check(clFinish(setup->queue), "clFinish");
        progress("round", round + 1, options->repeat);
    }
    check(clReleaseKernel(kernel), "clReleaseKernel");
    check(clReleaseProgram(program), "clReleaseProgram");
}

static void check_numbers(const cl_uint *numbers, const struct options *options)
{
    for (unsigned i = 0; i < options->size; i++) {
        cl_uint expected = first(i);
        for (unsigned round = 0; round < options->repeat; round++)
            expected = scramble(expected) + round * OFFSET;
        if (numbers[i] != expected)
            fail("number %u is %u, not %u", i, numbers[i], expected);
    }
}

int main(int argc, char **argv)
{
    struct options options = {.repeat = 100, .size = 1 << 16};
    struct setup setup;
    struct parts parts;
    options_parse(&options, "Compiles, links and runs a program made of parts.", argc, argv);
    setup_init(&setup, &options);
    parts_init(&parts, &setup);

    size_t size = options.size * sizeof(cl_uint);
    cl_uint *numbers = allocate(size);
    for (unsigned i = 0; i < options.size; i++)
        numbers[i] = first(i);
    cl_mem buffer = buffer_create(&setup, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, size, numbers);
    run(&setup, &parts, buffer, &options, 0, options.repeat / 2);
    run(&setup, &parts, buffer, &options, options.repeat / 2, options.repeat);
    check(clEnqueueReadBuffer(setup.queue, buffer, CL_TRUE, 0, size, numbers, 0, NULL, NULL),
          "clEnqueueReadBuffer");
    check_numbers(numbers, &options);
    report(&options, numbers, size);

    check(clReleaseMemObject(buffer), "clReleaseMemObject");
    free(numbers);
    parts_finish(&parts);
    setup_finish(&setup);
    return 0;
}
