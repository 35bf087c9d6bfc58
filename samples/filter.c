/* SPDX-License-Identifier: Apache-2.0 */
/* An image filter: the edges of a moving picture, smoothed first (Gauss, then Sobel), leave trails
 * that fade. The picture of each round comes from the host; the trails stay on the device. Whole
 * numbers, so that every device gives the same bytes. The result is a PGM picture. */
#include "common.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char source[] =
    "uint gray(read_only image2d_t image, sampler_t at, int x, int y)\n"
    "{\n"
    "    return read_imageui(image, at, (int2)(x, y)).x;\n"
    "}\n"
    "\n"
    "kernel void smooth(read_only image2d_t from, write_only image2d_t to, sampler_t at)\n"
    "{\n"
    "    const uint weights[5] = {1, 4, 6, 4, 1};\n"
    "    int x = get_global_id(0), y = get_global_id(1);\n"
    "    uint sum = 128;\n"
    "    for (int j = 0; j < 5; j++)\n"
    "        for (int i = 0; i < 5; i++)\n"
    "            sum += weights[i] * weights[j] * gray(from, at, x + i - 2, y + j - 2);\n"
    "    write_imageui(to, (int2)(x, y), (uint4)(sum / 256, 0, 0, 255));\n"
    "}\n"
    "\n"
    "kernel void trail(read_only image2d_t from, read_only image2d_t old,\n"
    "                  write_only image2d_t new, sampler_t at)\n"
    "{\n"
    "    int x = get_global_id(0), y = get_global_id(1);\n"
    "    int across = 0, down = 0;\n"
    "    for (int i = -1; i <= 1; i++) {\n"
    "        int weight = i == 0 ? 2 : 1;\n"
    "        across += weight * ((int)gray(from, at, x + 1, y + i) -\n"
    "                            (int)gray(from, at, x - 1, y + i));\n"
    "        down += weight * ((int)gray(from, at, x + i, y + 1) -\n"
    "                          (int)gray(from, at, x + i, y - 1));\n"
    "    }\n"
    "    uint edge = min(abs(across) + abs(down), 255u);\n"
    "    uint faded = gray(old, at, x, y) * 31 / 32;\n"
    "    write_imageui(new, (int2)(x, y), (uint4)(max(edge, faded), 0, 0, 255));\n"
    "}\n";

struct filter {
    cl_program program;
    cl_kernel smooth, trail;
    cl_sampler sampler;
    cl_mem picture, smoothed, trails[2];
};

static cl_mem image_create(const struct setup *setup, unsigned size)
{
    /* Every device with images has this format. */
    const cl_image_format format = {CL_RGBA, CL_UNSIGNED_INT8};
    const cl_image_desc desc = {
        .image_type = CL_MEM_OBJECT_IMAGE2D, .image_width = size, .image_height = size};
    cl_int err;
    cl_mem image = clCreateImage(setup->context, CL_MEM_READ_WRITE, &format, &desc, NULL, &err);
    check(err, "clCreateImage");
    return image;
}

static void filter_init(struct filter *f, const struct setup *setup, unsigned size)
{
    cl_int err;
    f->program = program_build(setup, source);
    f->smooth = kernel_create(f->program, "smooth");
    f->trail = kernel_create(f->program, "trail");
    f->sampler = clCreateSampler(setup->context, CL_FALSE, CL_ADDRESS_CLAMP_TO_EDGE,
                                 CL_FILTER_NEAREST, &err);
    check(err, "clCreateSampler");
    f->picture = image_create(setup, size);
    f->smoothed = image_create(setup, size);
    f->trails[0] = image_create(setup, size);
    f->trails[1] = image_create(setup, size);

    set_arg(f->smooth, 0, sizeof(cl_mem), &f->picture);
    set_arg(f->smooth, 1, sizeof(cl_mem), &f->smoothed);
    set_arg(f->smooth, 2, sizeof(cl_sampler), &f->sampler);
    set_arg(f->trail, 0, sizeof(cl_mem), &f->smoothed);
    set_arg(f->trail, 3, sizeof(cl_sampler), &f->sampler);
}

static void filter_finish(struct filter *f)
{
    cl_mem images[] = {f->picture, f->smoothed, f->trails[0], f->trails[1]};
    for (unsigned i = 0; i < 4; i++)
        check(clReleaseMemObject(images[i]), "clReleaseMemObject");
    check(clReleaseSampler(f->sampler), "clReleaseSampler");
    check(clReleaseKernel(f->smooth), "clReleaseKernel");
    check(clReleaseKernel(f->trail), "clReleaseKernel");
    check(clReleaseProgram(f->program), "clReleaseProgram");
}

/* A disc that walks over a chequered floor. */
static void draw(unsigned char *pixels, unsigned size, unsigned round)
{
    assert(size > 0);
    int center_x = (int)((size / 4 + round * 5) % size), center_y = (int)((round * 3) % size);
    int radius = (int)size / 8;
    for (int y = 0; y < (int)size; y++)
        for (int x = 0; x < (int)size; x++) {
            int dx = x - center_x, dy = y - center_y;
            unsigned char *pixel = pixels + 4 * ((size_t)y * size + (size_t)x);
            unsigned char floor = (x / 32 + y / 32) % 2 ? 60 : 50;
            pixel[0] = dx * dx + dy * dy < radius * radius ? 240 : floor;
            pixel[3] = 255;
        }
}

static void run(const struct setup *setup, struct filter *f, size_t global[2], unsigned round)
{
    set_arg(f->trail, 1, sizeof(cl_mem), &f->trails[round % 2]);
    set_arg(f->trail, 2, sizeof(cl_mem), &f->trails[(round + 1) % 2]);
    check(clEnqueueNDRangeKernel(setup->queue, f->smooth, 2, NULL, global, NULL, 0, NULL, NULL),
          "clEnqueueNDRangeKernel");
    check(clEnqueueNDRangeKernel(setup->queue, f->trail, 2, NULL, global, NULL, 0, NULL, NULL),
          "clEnqueueNDRangeKernel");
}

/* The trails are in `pixels` afterwards, four bytes each. */
static void film(const struct setup *setup, unsigned char *pixels, const struct options *options)
{
    const size_t origin[3] = {0};
    size_t region[3] = {options->size, options->size, 1};
    struct filter f;
    filter_init(&f, setup, options->size);
    check(clEnqueueWriteImage(setup->queue, f.trails[0], CL_TRUE, origin, region, 0, 0, pixels, 0,
                              NULL, NULL),
          "clEnqueueWriteImage");
    for (unsigned round = 0; round < options->repeat; round++) {
        draw(pixels, options->size, round);
        check(clEnqueueWriteImage(setup->queue, f.picture, CL_TRUE, origin, region, 0, 0, pixels, 0,
                                  NULL, NULL),
              "clEnqueueWriteImage");
        run(setup, &f, region, round);
        progress("round", round + 1, options->repeat);
    }
    check(clEnqueueReadImage(setup->queue, f.trails[options->repeat % 2], CL_TRUE, origin, region,
                             0, 0, pixels, 0, NULL, NULL),
          "clEnqueueReadImage");
    filter_finish(&f);
}

/* Makes a PGM of the pixels' first bytes; *size is its length. The caller's. */
static unsigned char *encode(const unsigned char *pixels, unsigned width, size_t *size)
{
    char header[64];
    size_t count = (size_t)width * width;
    int length = snprintf(header, sizeof header, "P5\n%u %u\n255\n", width, width);
    unsigned char *picture = allocate((size_t)length + count);
    memcpy(picture, header, (size_t)length);
    for (size_t i = 0; i < count; i++)
        picture[(size_t)length + i] = pixels[4 * i];
    *size = (size_t)length + count;
    return picture;
}

int main(int argc, char **argv)
{
    struct options options = {.repeat = 100, .size = 512};
    struct setup setup;
    options_parse(&options, "Filters pictures of --size by --size points on an OpenCL device.",
                  argc, argv);
    setup_init(&setup, &options);

    size_t size, bytes = 4 * (size_t)options.size * options.size;
    unsigned char *pixels = allocate(bytes);
    memset(pixels, 0, bytes);
    film(&setup, pixels, &options);
    unsigned char *picture = encode(pixels, options.size, &size);
    report(&options, picture, size);

    free(picture);
    free(pixels);
    setup_finish(&setup);
    return 0;
}
