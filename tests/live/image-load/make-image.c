/* SPDX-License-Identifier: Apache-2.0 */
/* make-image FILE [WORD...]: an image with an object of every kind, as if it had been saved on the
 * first device of the first platform. Words:
 *   shared      pointers are mapped as on a device that shares the host's memory
 *   plain       without sub-devices, SVM and command buffers
 *   elsewhere   saved on a device that nobody has
 *   large       a buffer of 2^50 bytes
 *   format      an image of a format that no device has
 *   wide        a kernel that ran in work-groups of a million
 *   double      a program with double precision
 *   wrong       a program that does not compile
 *   taken       SVM where every process has the kernel
 *   refused     an object that can't be carried
 *   short       contents that are shorter than their buffer */
#include <CL/cl.h>
#include <CL/cl_ext.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file.pb-c.h"
#include "object.pb-c.h"
#include "serialize/image_writer.h"

enum serial {
    PLATFORM = 1,
    DEVICE,
    PART,
    CONTEXT,
    PART_CONTEXT, /* pocl 3.1 has no images on a sub-device */
    QUEUE,
    PART_QUEUE,
    BUFFER,
    PART_BUFFER,
    SUB_BUFFER,
    IMAGE_2D,
    IMAGE_3D,
    IMAGE_LAYERS,
    VIEW,
    LARGE,
    SAMPLER,
    SOURCE,
    BUILT,
    LIBRARY,
    COMPILED,
    LINK,
    LINKED,
    PROGRAM,
    LINKED_PROGRAM,
    KERNEL,
    LINKED_KERNEL,
    COMMANDS,
    EVENT,
    SVM,
};

/* Kernels' tables of contents: three chunks and a bit, no multiple of anything. */
#define BUFFER_SIZE ((3 << 20) + 4100)

static const char built_source[] =
    "kernel void scale(global uint *to, uint by, local uint *scratch, global uint *shared)\n"
    "{ to[get_global_id(0)] *= by; }\n"
    "kernel void look(read_only image2d_t from, sampler_t how, global uint *to) {}\n";
static const char double_source[] =
    "#pragma OPENCL EXTENSION cl_khr_fp64 : enable\n"
    "kernel void scale(global double *to, uint by, local uint *scratch, global uint *shared)\n"
    "{ to[get_global_id(0)] *= sqrt(to[1]); }\n";
static const char wrong_source[] = "kernel void scale(what is this) {}\n";
static const char library_source[] = "kernel void apart(global uint *to) { to[0] = 1; }\n";

static struct image_writer *writer;
static struct error err;
static int num_words;
static char **words;

static bool is(const char *word)
{
    for (int i = 0; i < num_words; i++)
        if (strcmp(words[i], word) == 0)
            return true;
    return false;
}

static void check(int result)
{
    if (result == 0)
        return;
    fprintf(stderr, "make-image: %s: %s\n", err.object, err.reason);
    exit(EXIT_FAILURE);
}

static void put(uint64_t serial, Shadowcl__Image__Object *object)
{
    object->serial = serial;
    object->references = 1;
    if (serial == BUFFER && is("refused"))
        object->refusal = "it is of no use";
    check(image_writer_object(writer, serial, &object->base, &err));
}

#define OBJECT(NAME, field, message)                                                               \
    (&(Shadowcl__Image__Object){.base =                                                            \
                                    PROTOBUF_C_MESSAGE_INIT(&shadowcl__image__object__descriptor), \
                                .refusal = (char *)protobuf_c_empty_string,                        \
                                .kind_case = SHADOWCL__IMAGE__OBJECT__KIND_##NAME,                 \
                                .field = (message)})

#define LIST(array, name) .n_##name = sizeof(array) / sizeof *(array), .name = (array)

static ProtobufCBinaryData bytes(const void *from, size_t size)
{
    return (ProtobufCBinaryData){size, (uint8_t *)from};
}

static ProtobufCBinaryData text(const char *string)
{
    return bytes(string, strlen(string));
}

/* Platform, device, versions, as the shim tells devices apart. */
static void read_identity(char *identity, size_t size)
{
    cl_platform_id platform;
    cl_device_id device;
    char part[4][256] = {"nothing", "no device", "0", "0"};
    bool ok = clGetPlatformIDs(1, &platform, NULL) == CL_SUCCESS &&
              clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL) == CL_SUCCESS;
    if (ok) {
        clGetPlatformInfo(platform, CL_PLATFORM_NAME, sizeof part[0], part[0], NULL);
        clGetDeviceInfo(device, CL_DEVICE_NAME, sizeof part[1], part[1], NULL);
        clGetDeviceInfo(device, CL_DEVICE_VERSION, sizeof part[2], part[2], NULL);
        clGetDeviceInfo(device, CL_DRIVER_VERSION, sizeof part[3], part[3], NULL);
    }
    snprintf(identity, size, "%s\n%s\n%s\n%s", part[0], part[1], part[2],
             is("elsewhere") ? "of another world" : part[3]);
}

static void put_devices(void)
{
    char identity[1200];
    cl_ulong global_size = UINT64_MAX; /* what the program was told, and nobody has */
    int64_t properties[] = {CL_DEVICE_PARTITION_EQUALLY, 1, 0};
    Shadowcl__Image__Info info = SHADOWCL__IMAGE__INFO__INIT, *infos[] = {&info};
    info.param = CL_DEVICE_GLOBAL_MEM_SIZE;
    info.bytes = bytes(&global_size, sizeof global_size);
    read_identity(identity, sizeof identity);
    Shadowcl__Image__Platform platform = SHADOWCL__IMAGE__PLATFORM__INIT;
    platform.name = "the image's platform";
    put(PLATFORM, OBJECT(PLATFORM, platform, &platform));
    Shadowcl__Image__Device device = SHADOWCL__IMAGE__DEVICE__INIT;
    device.platform = PLATFORM;
    device.type = CL_DEVICE_TYPE_GPU;
    device.name = "the image's device";
    device.identity = identity;
    device.n_info = 1;
    device.info = infos;
    put(DEVICE, OBJECT(DEVICE, device, &device));
    if (is("plain"))
        return;
    Shadowcl__Image__Partition partition = SHADOWCL__IMAGE__PARTITION__INIT;
    partition.number = 1;
    partition.num_parts = 2;
    partition.n_properties = 3;
    partition.properties = properties;
    device.parent = DEVICE;
    device.index = 1;
    device.partition = &partition;
    put(PART, OBJECT(DEVICE, device, &device));
}

static void put_context(uint64_t serial, uint64_t queue_serial, uint64_t device)
{
    uint64_t of_platform[] = {CL_CONTEXT_PLATFORM, PLATFORM}, none[] = {CL_QUEUE_PROPERTIES, 0};
    Shadowcl__Image__Properties properties = SHADOWCL__IMAGE__PROPERTIES__INIT;
    Shadowcl__Image__Context context = SHADOWCL__IMAGE__CONTEXT__INIT;
    properties.n_words = 2;
    properties.words = of_platform;
    context.properties = &properties;
    context.n_devices = 1;
    context.devices = &device;
    context.shared = is("shared");
    put(serial, OBJECT(CONTEXT, context, &context));
    Shadowcl__Image__Queue queue = SHADOWCL__IMAGE__QUEUE__INIT;
    properties.words = none;
    queue.properties = &properties;
    queue.context = serial;
    queue.device = device;
    put(queue_serial, OBJECT(QUEUE, queue, &queue));
}

static void put_image(uint64_t serial, uint32_t type, uint64_t width, uint64_t height,
                      uint64_t depth, uint64_t layers)
{
    Shadowcl__Image__Image image = SHADOWCL__IMAGE__IMAGE__INIT;
    Shadowcl__Image__Mem mem = SHADOWCL__IMAGE__MEM__INIT;
    mem.context = CONTEXT;
    mem.type = type;
    mem.flags = CL_MEM_READ_WRITE;
    mem.parent = serial == VIEW ? BUFFER : 0;
    mem.image = &image;
    mem.size = width * 16 * (height ? height : 1) * (depth ? depth : 1) * (layers ? layers : 1);
    image.channel_order = is("format") && serial == IMAGE_2D ? CL_sBGRA : CL_RGBA;
    image.channel_type = CL_FLOAT;
    image.width = width;
    image.height = height;
    image.depth = depth;
    image.array_size = layers;
    put(serial, OBJECT(MEM, mem, &mem));
}

static void put_mems(void)
{
    Shadowcl__Image__Mem mem = SHADOWCL__IMAGE__MEM__INIT;
    mem.context = CONTEXT;
    mem.type = CL_MEM_OBJECT_BUFFER;
    mem.flags = CL_MEM_READ_WRITE | CL_MEM_HOST_NO_ACCESS;
    mem.size = BUFFER_SIZE;
    put(BUFFER, OBJECT(MEM, mem, &mem));
    mem.context = PART_CONTEXT;
    if (!is("plain"))
        put(PART_BUFFER, OBJECT(MEM, mem, &mem));
    mem.context = CONTEXT;
    mem.parent = BUFFER;
    mem.origin = 1 << 20;
    mem.size = 1 << 20;
    put(SUB_BUFFER, OBJECT(MEM, mem, &mem));
    put_image(IMAGE_2D, CL_MEM_OBJECT_IMAGE2D, 333, 777, 0, 0);
    put_image(IMAGE_3D, CL_MEM_OBJECT_IMAGE3D, 61, 41, 31, 0);
    put_image(IMAGE_LAYERS, CL_MEM_OBJECT_IMAGE1D_ARRAY, 77, 0, 0, 9);
    put_image(VIEW, CL_MEM_OBJECT_IMAGE1D_BUFFER, 1000, 0, 0, 0);
    mem.parent = mem.origin = 0;
    mem.size = UINT64_C(1) << 50;
    if (is("large"))
        put(LARGE, OBJECT(MEM, mem, &mem));
    Shadowcl__Image__Sampler sampler = SHADOWCL__IMAGE__SAMPLER__INIT;
    sampler.context = CONTEXT;
    sampler.addressing = CL_ADDRESS_CLAMP_TO_EDGE;
    sampler.filter = CL_FILTER_NEAREST;
    put(SAMPLER, OBJECT(SAMPLER, sampler, &sampler));
}

static void put_recipe(uint64_t origin, uint64_t recipe, const char *source,
                       Shadowcl__Image__Recipe__Step step, uint64_t *inputs)
{
    Shadowcl__Image__Origin from = SHADOWCL__IMAGE__ORIGIN__INIT;
    Shadowcl__Image__Recipe how = SHADOWCL__IMAGE__RECIPE__INIT;
    from.kind =
        inputs ? SHADOWCL__IMAGE__ORIGIN__KIND__LINK : SHADOWCL__IMAGE__ORIGIN__KIND__SOURCE;
    from.text = text(source);
    put(origin, OBJECT(ORIGIN, origin, &from));
    how.origin = origin;
    how.step = step;
    how.n_inputs = inputs ? 1 : 0;
    how.inputs = inputs;
    put(recipe, OBJECT(RECIPE, recipe, &how));
}

static void put_program(uint64_t serial, uint64_t origin, uint64_t recipe)
{
    uint64_t device = DEVICE;
    cl_build_status status = CL_BUILD_SUCCESS;
    Shadowcl__Image__Info info = SHADOWCL__IMAGE__INFO__INIT, *infos[] = {&info};
    Shadowcl__Image__BuildDevice build = SHADOWCL__IMAGE__BUILD_DEVICE__INIT, *builds[] = {&build};
    Shadowcl__Image__Program program = SHADOWCL__IMAGE__PROGRAM__INIT;
    info.param = CL_PROGRAM_BUILD_STATUS;
    info.bytes = bytes(&status, sizeof status);
    build.recipe = recipe;
    build.n_info = 1;
    build.info = infos;
    program.context = CONTEXT;
    program.n_devices = 1;
    program.devices = &device;
    program.origin = origin;
    program.n_builds = 1;
    program.builds = builds;
    put(serial, OBJECT(PROGRAM, program, &program));
}

static void put_programs(void)
{
    uint64_t inputs[] = {COMPILED};
    put_recipe(SOURCE, BUILT,
               is("double")  ? double_source
               : is("wrong") ? wrong_source
                             : built_source,
               SHADOWCL__IMAGE__RECIPE__STEP__BUILD, NULL);
    put_recipe(LIBRARY, COMPILED, library_source, SHADOWCL__IMAGE__RECIPE__STEP__COMPILE, NULL);
    put_recipe(LINK, LINKED, "", SHADOWCL__IMAGE__RECIPE__STEP__LINK, inputs);
    put_program(PROGRAM, SOURCE, BUILT);
    put_program(LINKED_PROGRAM, LINK, LINKED);
}

static uint64_t svm_pointer(void)
{
    return is("taken") ? UINT64_C(0xffffffffff600000) : UINT64_C(0x300000000100);
}

static void put_commands(Shadowcl__Image__KernelArg **args)
{
    uint64_t sizes[9] = {[3] = 64};
    uint32_t waits[] = {1};
    Shadowcl__Image__Recorded copy = SHADOWCL__IMAGE__RECORDED__INIT;
    Shadowcl__Image__Recorded launch = SHADOWCL__IMAGE__RECORDED__INIT;
    Shadowcl__Image__Recorded *commands[] = {&copy, &launch};
    Shadowcl__Image__CommandBuffer buffer = SHADOWCL__IMAGE__COMMAND_BUFFER__INIT;
    copy.kind = SHADOWCL__IMAGE__RECORDED__KIND__COPY;
    copy.source = copy.target = BUFFER;
    copy.other_offset = 4096;
    copy.size = 64;
    launch.kind = SHADOWCL__IMAGE__RECORDED__KIND__KERNEL;
    launch.kernel = KERNEL;
    launch.n_args = 4;
    launch.args = args;
    launch.dims = 1;
    launch.has_global = true;
    launch.n_sizes = 9;
    launch.sizes = sizes;
    launch.n_waits = 1;
    launch.waits = waits;
    buffer.queue = QUEUE;
    buffer.n_commands = 2;
    buffer.commands = commands;
    buffer.finalized = true;
    put(COMMANDS, OBJECT(COMMAND_BUFFER, command_buffer, &buffer));
}

static void put_kernels(void)
{
    static const uint32_t by = 3;
    static uint64_t pointer;
    Shadowcl__Image__KernelArg args[4], *list[] = {&args[0], &args[1], &args[2], &args[3]};
    Shadowcl__Image__Kernel kernel = SHADOWCL__IMAGE__KERNEL__INIT;
    for (int i = 0; i < 4; i++)
        shadowcl__image__kernel_arg__init(&args[i]);
    pointer = svm_pointer();
    args[0].kind = SHADOWCL__IMAGE__KERNEL_ARG__KIND__OBJECT;
    args[0].object = SUB_BUFFER;
    args[1].kind = SHADOWCL__IMAGE__KERNEL_ARG__KIND__BYTES;
    args[1].size = sizeof by;
    args[1].value = bytes(&by, sizeof by);
    args[2].kind = SHADOWCL__IMAGE__KERNEL_ARG__KIND__SIZE;
    args[2].size = 256;
    args[3].kind = is("plain") ? SHADOWCL__IMAGE__KERNEL_ARG__KIND__UNSET
                               : SHADOWCL__IMAGE__KERNEL_ARG__KIND__SVM;
    args[3].size = sizeof pointer;
    args[3].value = bytes(&pointer, sizeof pointer);
    kernel.program = PROGRAM;
    kernel.name = "scale";
    kernel.n_args = 4;
    kernel.args = list;
    kernel.largest_group = is("wide") ? 1000000 : 64;
    put(KERNEL, OBJECT(KERNEL, kernel, &kernel));
    kernel.program = LINKED_PROGRAM;
    kernel.name = "apart";
    kernel.n_args = 1;
    kernel.largest_group = 0;
    put(LINKED_KERNEL, OBJECT(KERNEL, kernel, &kernel));
    if (!is("plain"))
        put_commands(list);
}

static void put_others(void)
{
    Shadowcl__Image__Event event = SHADOWCL__IMAGE__EVENT__INIT;
    event.context = CONTEXT;
    event.type = CL_COMMAND_USER;
    put(EVENT, OBJECT(EVENT, event, &event));
    Shadowcl__Image__Svm svm = SHADOWCL__IMAGE__SVM__INIT;
    svm.context = CONTEXT;
    svm.pointer = svm_pointer();
    svm.size = 100000;
    if (!is("plain"))
        put(SVM, OBJECT(SVM, svm, &svm));
}

/* Bytes that no two objects have alike, with zeros among them. */
static void put_contents(uint64_t serial, uint64_t size)
{
    uint8_t *chunk = malloc(IMAGE_CHUNK);
    if (serial == BUFFER && is("short"))
        size -= 5;
    check(!chunk ? -1 : image_writer_begin(writer, serial, size, &err));
    for (uint64_t at = 0; at < size; at += IMAGE_CHUNK) {
        size_t part = size - at < IMAGE_CHUNK ? size - at : IMAGE_CHUNK;
        for (size_t i = 0; i < part; i++) {
            uint64_t mixed = (serial << 40 | (at + i)) * UINT64_C(0x9e3779b97f4a7c15);
            mixed = (mixed ^ mixed >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
            chunk[i] = serial == BUFFER && at == IMAGE_CHUNK ? 0 : (uint8_t)(mixed >> 56);
        }
        check(image_writer_chunk(writer, chunk, part, &err));
    }
    check(image_writer_end(writer, &err));
    free(chunk);
}

int main(int argc, char **argv)
{
    words = argv + 2;
    num_words = argc - 2;
    int fd = argc < 2 ? -1 : open(argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        fputs("usage: make-image FILE [WORD...]\n", stderr);
        return 2;
    }
    Shadowcl__Image__About about = SHADOWCL__IMAGE__ABOUT__INIT;
    about.version = "0.1.0";
    about.command = "make-image";
    check(image_writer_create(&writer, fd, IMAGE_COMPRESS_AUTO, &err));
    check(image_writer_about(writer, &about.base, &err));
    put_devices();
    put_context(CONTEXT, QUEUE, DEVICE);
    if (!is("plain"))
        put_context(PART_CONTEXT, PART_QUEUE, PART);
    put_mems();
    put_programs();
    put_kernels();
    put_others();
    put_contents(BUFFER, BUFFER_SIZE);
    if (!is("plain"))
        put_contents(PART_BUFFER, BUFFER_SIZE);
    put_contents(IMAGE_2D, 333 * 777 * 16);
    put_contents(IMAGE_3D, 61 * 41 * 31 * 16);
    put_contents(IMAGE_LAYERS, 77 * 9 * 16);
    if (!is("plain"))
        put_contents(SVM, 100000);
    check(image_writer_finish(writer, NULL, &err));
    image_writer_destroy(writer);
    return close(fd) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
