/* SPDX-License-Identifier: Apache-2.0 */
/* Wrong regions, pitches, patterns and flags of commands on images, of fills and of maps: what a
 * driver says of such a command natively it says under the shim too, at the call, also of one that
 * hangs on an unset user event. What is right is what this driver says to another process, the same
 * program without the shim. */
#include "natively.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WIDTH 24
#define HEIGHT 6
#define LAYERS 3
#define PIXEL 4
#define SIZE 4096 /* of the buffers; more than any image has */

static const cl_image_format format = {CL_RGBA, CL_UNSIGNED_INT8};
static const cl_image_format odd_format = {CL_R, CL_UNSIGNED_INT32};

/* What a command is tried on. */
static struct subject {
    const char *name;
    cl_mem_object_type type;
    size_t region[3]; /* all of it */
    cl_mem image, second, below;
    unsigned char bytes[SIZE]; /* of the image, as they are read */
} subjects[] = {
    {.name = "1D", .type = CL_MEM_OBJECT_IMAGE1D, .region = {WIDTH, 1, 1}},
    {.name = "1D array", .type = CL_MEM_OBJECT_IMAGE1D_ARRAY, .region = {WIDTH, LAYERS, 1}},
    {.name = "1D buffer", .type = CL_MEM_OBJECT_IMAGE1D_BUFFER, .region = {WIDTH, 1, 1}},
    {.name = "2D", .type = CL_MEM_OBJECT_IMAGE2D, .region = {WIDTH, HEIGHT, 1}},
    {.name = "2D array", .type = CL_MEM_OBJECT_IMAGE2D_ARRAY, .region = {WIDTH, HEIGHT, LAYERS}},
    {.name = "3D", .type = CL_MEM_OBJECT_IMAGE3D, .region = {WIDTH, HEIGHT, LAYERS}},
};
static cl_mem buffer, other, unreadable, unwritable, untouchable;
static cl_mem odd_image, unreadable_image, unwritable_image, foreign_image, foreign_buffer;
static cl_context elsewhere;
static unsigned char bytes[2 * SIZE];
static cl_event gate; /* unset */

static const size_t zero[3];

struct place {
    size_t origin[3], region[3], row, slice;
};

/* How the command is enqueued. */
struct how {
    cl_uint num_waits;
    const cl_event *waits;
    cl_event *event;
};
#define HOW how->num_waits, how->waits, how->event

/* --- One command each --- */

static cl_int read_image(const struct subject *on, const struct place *at, const struct how *how)
{
    return clEnqueueReadImage(live.queue, on->image, CL_FALSE, at->origin, at->region, at->row,
                              at->slice, bytes + SIZE, HOW);
}

static cl_int write_image(const struct subject *on, const struct place *at, const struct how *how)
{
    return clEnqueueWriteImage(live.queue, on->image, CL_FALSE, at->origin, at->region, at->row,
                               at->slice, bytes, HOW);
}

static cl_int fill_image(const struct subject *on, const struct place *at, const struct how *how)
{
    static const cl_uint any[4] = {1, 2, 3, 4};
    return clEnqueueFillImage(live.queue, on->image, any, at->origin, at->region, HOW);
}

static cl_int copy_from(const struct subject *on, const struct place *at, const struct how *how)
{
    return clEnqueueCopyImage(live.queue, on->image, on->second, at->origin, zero, at->region, HOW);
}

static cl_int copy_to(const struct subject *on, const struct place *at, const struct how *how)
{
    return clEnqueueCopyImage(live.queue, on->second, on->image, zero, at->origin, at->region, HOW);
}

static cl_int copy_out(const struct subject *on, const struct place *at, const struct how *how)
{
    return clEnqueueCopyImageToBuffer(live.queue, on->image, other, at->origin, at->region, 0, HOW);
}

static cl_int copy_in(const struct subject *on, const struct place *at, const struct how *how)
{
    return clEnqueueCopyBufferToImage(live.queue, other, on->image, 0, at->origin, at->region, HOW);
}

static cl_int map_flags_at(cl_mem image, cl_map_flags flags, const struct place *at,
                           const struct how *how)
{
    size_t row, slice;
    cl_int err;
    void *pointer = clEnqueueMapImage(live.queue, image, CL_FALSE, flags, at->origin, at->region,
                                      &row, &slice, HOW, &err);
    assert_int_equal(pointer != NULL, err == CL_SUCCESS);
    return err;
}

static cl_int map_image(const struct subject *on, const struct place *at, const struct how *how)
{
    return map_flags_at(on->image, CL_MAP_READ, at, how);
}

typedef cl_int try(const struct subject *on, const struct place *at, const struct how *how);

static const struct {
    const char *name;
    try *try;
    bool has_pitches;
} commands[] = {
    {"read", read_image, true},      {"write", write_image, true}, {"fill", fill_image, false},
    {"copy from", copy_from, false}, {"copy to", copy_to, false},  {"copy out", copy_out, false},
    {"copy in", copy_in, false},     {"map", map_image, false},
};

static struct how how_now(cl_event *event)
{
    *event = NULL;
    return natively_mode() != AT_ONCE ? (struct how){1, &gate, event} : (struct how){0, NULL, NULL};
}

static void try_one(const struct subject *on, size_t command, const struct place *at,
                    const char *what, cl_int specified)
{
    cl_event event;
    struct how how = how_now(&event);
    if (natively_pass_over(specified))
        return;
    natively_compare(on->name, commands[command].name, what, specified,
                     commands[command].try(on, at, &how));
    if (event)
        ok(clReleaseEvent(event));
}

/* A map has to give a pointer to something; pocl can't fill an image over a buffer. */
static cl_int of_nothing(const struct subject *on, size_t command)
{
    bool no_fill = commands[command].try == fill_image && on->below;
    return no_fill || commands[command].try == map_image ? CL_INVALID_VALUE : AS_DRIVER;
}

/* In one dimension something is wrong. */
static void try_dimension(const struct subject *on, size_t command, int i)
{
    char what[64];
    const struct {
        const char *name;
        size_t origin, region;
        cl_int specified;
    } places[] = {
        {"nothing", 0, 0, of_nothing(on, command)},    {"too much", 0, on->region[i] + 1, OUTSIDE},
        {"behind the end", on->region[i], 1, OUTSIDE}, {"over the end", 1, on->region[i], OUTSIDE},
        {"around the end", SIZE_MAX, 2, AROUND},       {"far too much", 1, SIZE_MAX, AROUND},
        {"all", 0, on->region[i], AS_DRIVER},
    };
    for (size_t j = 0; j < sizeof places / sizeof *places; j++) {
        struct place at = {{0}, {1, 1, 1}, 0, 0};
        at.origin[i] = places[j].origin;
        at.region[i] = places[j].region;
        snprintf(what, sizeof what, "%s in %d", places[j].name, i);
        try_one(on, command, &at, what, places[j].specified);
    }
}

static void try_pitches(const struct subject *on, size_t command)
{
    const size_t row = on->region[0] * PIXEL, slice = row * on->region[1];
    const struct {
        const char *name;
        size_t row, slice;
    } pitches[] = {
        {"short row", row - PIXEL, 0},    {"row of a byte", 1, 0},
        {"odd row", row + 1, 0},          {"row", row, 0},
        {"long row", row + PIXEL, 0},     {"slice", row, slice},
        {"slice alone", 0, slice},        {"short slice", row, slice - 1},
        {"slice of a byte", 0, 1},        {"slice of long rows", row + PIXEL, slice},
        {"long slice", row, slice + row}, {"odd slice", row, slice + 1},
        {"row as slice", 0, row},
    };
    for (size_t i = 0; i < sizeof pitches / sizeof *pitches; i++) {
        struct place at = {.row = pitches[i].row, .slice = pitches[i].slice};
        memcpy(at.region, on->region, sizeof at.region);
        try_one(on, command, &at, pitches[i].name, AS_DRIVER);
    }
}

static void try_subject(const struct subject *on)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        for (int j = 0; j < 3; j++)
            try_dimension(on, i, j);
        if (commands[i].has_pitches)
            try_pitches(on, i);
    }
}

/* --- Commands that are wrong in another way --- */

#define IMAGE (subjects[3].image)
#define SOLID (subjects[5].image)
static const size_t one[3] = {1, 1, 1}, two[3] = {2, 2, 1}, near[3] = {1, 1, 0},
                    apart[3] = {3, 3, 0};
static const cl_uint color[4] = {1, 2, 3, 4};

static cl_int fill(cl_mem mem, size_t pattern, size_t offset, size_t size, const struct how *how)
{
    return clEnqueueFillBuffer(live.queue, mem, bytes, pattern, offset, size, HOW);
}

static cl_int map(cl_mem mem, cl_map_flags flags, size_t offset, size_t size, const struct how *how)
{
    cl_int err;
    void *pointer = clEnqueueMapBuffer(live.queue, mem, CL_FALSE, flags, offset, size, HOW, &err);
    assert_int_equal(pointer != NULL, err == CL_SUCCESS);
    return err;
}

static cl_int map_pixel(cl_mem image, cl_map_flags flags, const struct how *how)
{
    const struct place at = {.region = {1, 1, 1}};
    return map_flags_at(image, flags, &at, how);
}

static cl_int map_without_pitch(cl_mem image, bool row, const struct how *how)
{
    size_t pitch;
    cl_int err;
    clEnqueueMapImage(live.queue, image, CL_FALSE, CL_MAP_READ, zero, one, row ? NULL : &pitch,
                      row ? &pitch : NULL, HOW, &err);
    return err;
}

static cl_int read_pixel(cl_mem image, const size_t *origin, const size_t *region, void *to,
                         const struct how *how)
{
    return clEnqueueReadImage(live.queue, image, CL_FALSE, origin, region, 0, 0, to, HOW);
}

static cl_int write_pixel(cl_mem image, const size_t *origin, const size_t *region,
                          const void *from, const struct how *how)
{
    return clEnqueueWriteImage(live.queue, image, CL_FALSE, origin, region, 0, 0, from, HOW);
}

static cl_int copy(cl_mem from, cl_mem to, const size_t *at, const size_t *region,
                   const struct how *how)
{
    return clEnqueueCopyImage(live.queue, from, to, zero, at, region, HOW);
}

static cl_int out(cl_mem image, cl_mem mem, size_t offset, const struct how *how)
{
    return clEnqueueCopyImageToBuffer(live.queue, image, mem, zero, two, offset, HOW);
}

static cl_int in(cl_mem mem, cl_mem image, size_t offset, const struct how *how)
{
    return clEnqueueCopyBufferToImage(live.queue, mem, image, offset, zero, two, HOW);
}

#define SINGLES                                                                                    \
    X(AS_DRIVER, fill(buffer, 4, 8, 16, how))                                                      \
    X(CL_INVALID_VALUE, fill(buffer, 3, 0, 12, how))                                               \
    X(AS_DRIVER, fill(buffer, 0, 0, 12, how))                                                      \
    X(AS_DRIVER, fill(buffer, 128, 128, 128, how))                                                 \
    X(CL_INVALID_VALUE, fill(buffer, 256, 0, 256, how))                                            \
    X(AS_DRIVER, fill(buffer, 4, 2, 8, how))                                                       \
    X(AS_DRIVER, fill(buffer, 16, 8, 16, how))                                                     \
    X(AS_DRIVER, fill(buffer, 4, 0, 6, how))                                                       \
    X(AS_DRIVER, fill(buffer, 4, 0, 2, how))                                                       \
    X(OUTSIDE, fill(buffer, 4, SIZE, 4, how))                                                      \
    X(OUTSIDE, fill(buffer, 4, SIZE - 4, 8, how))                                                  \
    X(OUTSIDE, fill(buffer, 4, 0, SIZE + 4, how))                                                  \
    X(AROUND, fill(buffer, 4, SIZE_MAX - 3, 8, how))                                               \
    X(AROUND, fill(buffer, 4, 8, SIZE_MAX - 3, how))                                               \
    X(CL_INVALID_CONTEXT, fill(foreign_buffer, 4, 8, 16, how))                                     \
    X(CL_INVALID_MEM_OBJECT, fill(IMAGE, 4, 0, 4, how))                                            \
    X(AS_DRIVER, clEnqueueFillBuffer(live.queue, buffer, NULL, 4, 0, 4, HOW))                      \
    X(AS_DRIVER, map(buffer, CL_MAP_READ, 0, SIZE, how))                                           \
    X(AS_DRIVER, map(buffer, 0, 0, 16, how))                                                       \
    X(OUTSIDE, map(buffer, CL_MAP_READ, 0, 0, how))                                                \
    X(OUTSIDE, map(buffer, CL_MAP_READ, SIZE, 1, how))                                             \
    X(OUTSIDE, map(buffer, CL_MAP_READ, SIZE - 1, 2, how))                                         \
    X(AROUND, map(buffer, CL_MAP_READ, SIZE_MAX, 2, how))                                          \
    X(AROUND, map(buffer, CL_MAP_READ, 1, SIZE_MAX, how))                                          \
    X(AS_DRIVER, map(buffer, CL_MAP_READ | CL_MAP_WRITE_INVALIDATE_REGION, 0, 16, how))            \
    X(AS_DRIVER, map(buffer, CL_MAP_WRITE | CL_MAP_WRITE_INVALIDATE_REGION, 0, 16, how))           \
    X(AS_DRIVER, map(buffer, 1 << 7, 0, 16, how))                                                  \
    X(AS_DRIVER, map(buffer, CL_MAP_READ | 1 << 7, 0, 16, how))                                    \
    X(AS_DRIVER, map(unreadable, CL_MAP_READ, 0, 16, how))                                         \
    X(AS_DRIVER, map(unreadable, CL_MAP_WRITE, 0, 16, how))                                        \
    X(AS_DRIVER, map(unwritable, CL_MAP_READ, 0, 16, how))                                         \
    X(AS_DRIVER, map(unwritable, CL_MAP_WRITE, 0, 16, how))                                        \
    X(CL_INVALID_OPERATION, map(unwritable, CL_MAP_WRITE_INVALIDATE_REGION, 0, 16, how))           \
    X(AS_DRIVER, map(untouchable, CL_MAP_READ, 0, 16, how))                                        \
    X(AS_DRIVER, map(untouchable, CL_MAP_WRITE, 0, 16, how))                                       \
    X(CL_INVALID_CONTEXT, map(foreign_buffer, CL_MAP_READ, 0, 16, how))                            \
    X(CL_INVALID_MEM_OBJECT, map(IMAGE, CL_MAP_READ, 0, 16, how))                                  \
    X(AS_DRIVER, map_pixel(IMAGE, CL_MAP_READ | CL_MAP_WRITE_INVALIDATE_REGION, how))              \
    X(AS_DRIVER, map_pixel(IMAGE, CL_MAP_WRITE | CL_MAP_WRITE_INVALIDATE_REGION, how))             \
    X(AS_DRIVER, map_pixel(IMAGE, 1 << 7, how))                                                    \
    X(AS_DRIVER, map_pixel(unreadable_image, CL_MAP_READ, how))                                    \
    X(AS_DRIVER, map_pixel(unreadable_image, CL_MAP_WRITE, how))                                   \
    X(AS_DRIVER, map_pixel(unwritable_image, CL_MAP_WRITE, how))                                   \
    X(CL_INVALID_CONTEXT, map_pixel(foreign_image, CL_MAP_READ, how))                              \
    X(CL_INVALID_MEM_OBJECT, map_pixel(buffer, CL_MAP_READ, how))                                  \
    X(AS_DRIVER, map_without_pitch(IMAGE, true, how))                                              \
    X(CL_INVALID_VALUE, map_without_pitch(SOLID, false, how))                                      \
    X(CL_INVALID_CONTEXT, read_pixel(foreign_image, zero, one, bytes, how))                        \
    X(AS_DRIVER, read_pixel(unreadable_image, zero, one, bytes, how))                              \
    X(CL_INVALID_MEM_OBJECT, read_pixel(buffer, zero, one, bytes, how))                            \
    X(AS_DRIVER, read_pixel(IMAGE, NULL, one, bytes, how))                                         \
    X(AS_DRIVER, read_pixel(IMAGE, zero, NULL, bytes, how))                                        \
    X(AS_DRIVER, read_pixel(IMAGE, zero, one, NULL, how))                                          \
    X(CL_INVALID_CONTEXT, write_pixel(foreign_image, zero, one, bytes, how))                       \
    X(AS_DRIVER, write_pixel(unwritable_image, zero, one, bytes, how))                             \
    X(CL_INVALID_MEM_OBJECT, write_pixel(buffer, zero, one, bytes, how))                           \
    X(AS_DRIVER, write_pixel(IMAGE, NULL, one, bytes, how))                                        \
    X(AS_DRIVER, write_pixel(IMAGE, zero, NULL, bytes, how))                                       \
    X(AS_DRIVER, write_pixel(IMAGE, zero, one, NULL, how))                                         \
    X(CL_INVALID_CONTEXT, clEnqueueFillImage(live.queue, foreign_image, color, zero, one, HOW))    \
    X(CL_INVALID_MEM_OBJECT, clEnqueueFillImage(live.queue, buffer, color, zero, one, HOW))        \
    X(AS_DRIVER, clEnqueueFillImage(live.queue, IMAGE, NULL, zero, one, HOW))                      \
    X(AS_DRIVER, clEnqueueFillImage(live.queue, IMAGE, color, NULL, one, HOW))                     \
    X(AS_DRIVER, clEnqueueFillImage(live.queue, IMAGE, color, zero, NULL, HOW))                    \
    X(AS_DRIVER, copy(IMAGE, odd_image, zero, one, how))                                           \
    X(AS_DRIVER, copy(IMAGE, SOLID, zero, one, how))                                               \
    X(CL_INVALID_CONTEXT, copy(IMAGE, foreign_image, zero, one, how))                              \
    X(CL_INVALID_CONTEXT, copy(foreign_image, IMAGE, zero, one, how))                              \
    X(CL_INVALID_MEM_OBJECT, copy(IMAGE, buffer, zero, one, how))                                  \
    X(CL_MEM_COPY_OVERLAP, copy(IMAGE, IMAGE, zero, one, how))                                     \
    X(CL_MEM_COPY_OVERLAP, copy(IMAGE, IMAGE, near, two, how))                                     \
    X(AS_DRIVER, copy(IMAGE, IMAGE, apart, two, how))                                              \
    X(AS_DRIVER, copy(IMAGE, IMAGE, NULL, one, how))                                               \
    X(AS_DRIVER, copy(IMAGE, IMAGE, two, NULL, how))                                               \
    X(AS_DRIVER, out(IMAGE, buffer, 0, how))                                                       \
    X(AS_DRIVER, out(IMAGE, buffer, 1, how))                                                       \
    X(AS_DRIVER, out(IMAGE, buffer, SIZE - 16, how))                                               \
    X(OUTSIDE, out(IMAGE, buffer, SIZE - 15, how))                                                 \
    X(OUTSIDE, out(IMAGE, buffer, SIZE, how))                                                      \
    X(AROUND, out(IMAGE, buffer, SIZE_MAX - 7, how))                                               \
    X(CL_INVALID_CONTEXT, out(foreign_image, buffer, 0, how))                                      \
    X(CL_INVALID_CONTEXT, out(IMAGE, foreign_buffer, 0, how))                                      \
    X(CL_INVALID_MEM_OBJECT, out(IMAGE, IMAGE, 0, how))                                            \
    X(CL_INVALID_MEM_OBJECT, out(buffer, buffer, 0, how))                                          \
    X(AS_DRIVER, in(buffer, IMAGE, 1, how))                                                        \
    X(AS_DRIVER, in(buffer, IMAGE, SIZE - 16, how))                                                \
    X(OUTSIDE, in(buffer, IMAGE, SIZE - 15, how))                                                  \
    X(OUTSIDE, in(buffer, IMAGE, SIZE, how))                                                       \
    X(AROUND, in(buffer, IMAGE, SIZE_MAX - 7, how))                                                \
    X(CL_INVALID_CONTEXT, in(buffer, foreign_image, 0, how))                                       \
    X(CL_INVALID_CONTEXT, in(foreign_buffer, IMAGE, 0, how))                                       \
    X(CL_INVALID_MEM_OBJECT, in(buffer, buffer, 0, how))

static void try_singles(void)
{
    cl_event event;
    struct how now, *how = &now;
#define X(specified, call)                                                                         \
    now = how_now(&event);                                                                         \
    if (!natively_pass_over(specified))                                                            \
        natively_compare("", "", #call, specified, call);                                          \
    if (event)                                                                                     \
        ok(clReleaseEvent(event));
    SINGLES
#undef X
}

static void make_subject(struct subject *on)
{
    cl_int err;
    cl_image_desc desc = {.image_type = on->type,
                          .image_width = on->region[0],
                          .image_height = on->region[1],
                          .image_depth = on->region[2],
                          .image_array_size =
                              on->type == CL_MEM_OBJECT_IMAGE1D_ARRAY ? LAYERS : on->region[2]};
    if (on->type == CL_MEM_OBJECT_IMAGE1D_BUFFER)
        desc.buffer = on->below = live_buffer(SIZE, NULL);
    on->image = clCreateImage(live.context, 0, &format, &desc, NULL, &err);
    made(on->image);
    if (on->below)
        desc.buffer = other;
    on->second = clCreateImage(live.context, 0, &format, &desc, NULL, &err);
    made(on->second);
    ok(clEnqueueWriteImage(live.queue, on->image, CL_TRUE, zero, on->region, 0, 0, bytes, 0, NULL,
                           NULL));
    ok(clEnqueueReadImage(live.queue, on->image, CL_TRUE, zero, on->region, 0, 0, on->bytes, 0,
                          NULL, NULL));
}

/* None of all that was carried out. */
static void check_subject(const struct subject *on)
{
    unsigned char found[SIZE] = {0};
    const size_t size = on->region[0] * on->region[1] * on->region[2] * PIXEL;
    ok(clEnqueueReadImage(live.queue, on->image, CL_TRUE, zero, on->region, 0, 0, found, 0, NULL,
                          NULL));
    assert_memory_equal(found, on->bytes, size);
}

static void try_all(enum natively_mode mode)
{
    natively_begin(mode);
    for (size_t i = 0; i < sizeof subjects / sizeof *subjects; i++) {
        try_subject(&subjects[i]);
        if (mode == HELD)
            live_cycle();
    }
    try_singles();
}

static cl_mem make_square(cl_context context, cl_mem_flags flags, const cl_image_format *of)
{
    const cl_image_desc desc = {
        .image_type = CL_MEM_OBJECT_IMAGE2D, .image_width = 6, .image_height = 6};
    cl_int err;
    cl_mem image = clCreateImage(context, flags, of, &desc, NULL, &err);
    made(image);
    return image;
}

static cl_mem make_flagged(cl_context context, cl_mem_flags flags)
{
    cl_int err;
    cl_mem mem = clCreateBuffer(context, flags, SIZE, NULL, &err);
    made(mem);
    return mem;
}

static void make_others(void)
{
    cl_int err;
    elsewhere = clCreateContext(NULL, 1, &live.device, NULL, NULL, &err);
    made(elsewhere);
    foreign_buffer = make_flagged(elsewhere, 0);
    foreign_image = make_square(elsewhere, 0, &format);
    unreadable = make_flagged(live.context, CL_MEM_HOST_WRITE_ONLY);
    unwritable = make_flagged(live.context, CL_MEM_HOST_READ_ONLY);
    untouchable = make_flagged(live.context, CL_MEM_HOST_NO_ACCESS);
    odd_image = make_square(live.context, 0, &odd_format);
    unreadable_image = make_square(live.context, CL_MEM_HOST_WRITE_ONLY, &format);
    unwritable_image = make_square(live.context, CL_MEM_HOST_READ_ONLY, &format);
}

static void make_all(void)
{
    live_pattern(bytes, sizeof bytes, 4);
    buffer = live_buffer(SIZE, bytes);
    other = live_buffer(SIZE, bytes);
    gate = live_user_event();
    for (size_t i = 0; i < sizeof subjects / sizeof *subjects; i++)
        make_subject(&subjects[i]);
    make_others();
}

static void test_all(void **state)
{
    natively_ask();
    make_all();
    try_all(AT_ONCE);
    ok(clFinish(live.queue));
    if (live_shadowed()) /* natively that is what was told */
        try_all(HELD);
    ok(clSetUserEventStatus(gate, -1)); /* none of them is carried out */
    ok(clFinish(live.queue));
    live_expect(buffer, 0, bytes, SIZE);
    live_expect(other, 0, bytes, SIZE);
    for (size_t i = 0; i < sizeof subjects / sizeof *subjects; i++)
        check_subject(&subjects[i]);
    assert_int_equal(natively_wrong(), 0);
}

static int tell_all(const char *path, const char *known)
{
    natively_tell(path, known);
    void *state = NULL;
    live_setup(&state);
    make_all();
    try_all(TELL);
    _exit(0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all),
    };
    if (argc > 2)
        return tell_all(argv[1], argv[2]);
    return cmocka_run_group_tests(tests, live_setup, live_teardown);
}
