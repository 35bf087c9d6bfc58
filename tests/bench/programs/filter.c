/* SPDX-License-Identifier: Apache-2.0 */
/* A blur over an image, from one image object to another and back. */
#include <stdlib.h>
#include <string.h>

#include "program.h"

enum { SIZE = 128, BYTES = SIZE * SIZE * 4 };

static const char source[] =
    "constant sampler_t near = CLK_NORMALIZED_COORDS_FALSE | CLK_ADDRESS_CLAMP_TO_EDGE |\n"
    "                          CLK_FILTER_NEAREST;\n"
    "kernel void blur(read_only image2d_t from, write_only image2d_t to)\n"
    "{\n"
    "    int2 at = (int2)(get_global_id(0), get_global_id(1));\n"
    "    float4 sum = 0;\n"
    "    for (int y = -1; y <= 1; y++)\n"
    "        for (int x = -1; x <= 1; x++)\n"
    "            sum += read_imagef(from, near, at + (int2)(x, y));\n"
    "    write_imagef(to, at, sum / 9.0f);\n"
    "}\n";

static cl_kernel blur;
static cl_mem images[2];
static unsigned char pixels[BYTES];

static void set_up(void)
{
    const cl_image_format format = {CL_RGBA, CL_UNORM_INT8};
    const cl_image_desc desc = {
        .image_type = CL_MEM_OBJECT_IMAGE2D, .image_width = SIZE, .image_height = SIZE};
    float *values = numbers(BYTES);
    for (size_t i = 0; i < BYTES; i++)
        pixels[i] = (unsigned char)(values[i] * 255.0f);
    free(values);
    blur = kernel_make("blur");
    for (int i = 0; i < 2; i++) {
        cl_int status;
        images[i] = clCreateImage(context, CL_MEM_READ_WRITE, &format, &desc, NULL, &status);
        check(status, "clCreateImage");
    }
}

static void run(long passes)
{
    const size_t global[2] = {SIZE, SIZE}, origin[3] = {0}, region[3] = {SIZE, SIZE, 1};
    CHECK(clEnqueueWriteImage(queue, images[0], CL_TRUE, origin, region, 0, 0, pixels, 0, NULL,
                              NULL));
    for (long i = 0; i < passes; i++) {
        set_mem(blur, 0, images[i % 2]);
        set_mem(blur, 1, images[1 - i % 2]);
        launch(blur, 2, global, NULL);
    }
}

static uint64_t digest(void)
{
    const size_t origin[3] = {0}, region[3] = {SIZE, SIZE, 1};
    unsigned char *result = malloc(BYTES);
    CHECK(
        clEnqueueReadImage(queue, images[0], CL_TRUE, origin, region, 0, 0, result, 0, NULL, NULL));
    uint64_t digest = digest_bytes(result, BYTES);
    free(result);
    return digest;
}

const struct program filter = {"image filter", source, set_up, run, digest, 60, 2};
