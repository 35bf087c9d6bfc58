/* SPDX-License-Identifier: Apache-2.0 */
/* Writes an image with an object of every kind, whose contents tests can compute themselves:
 *     make_image FILE [WORD...]
 * flip=SERIAL,OFFSET: a byte of its contents is another; without=SERIAL: it is left out;
 * options=TEXT: the program was built with these; size=BYTES: of buffer 6; odd: control characters
 * in names, and references that lead nowhere, to themselves and a long way. */
#include "serialize/image_writer.h"

#include "file.pb-c.h"
#include "object.pb-c.h"

#include <CL/cl.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define APART ((uint64_t)1 << 62) /* numbers of what is no object of OpenCL */
enum { MAX_WORDS = 16, LONG_WAY = 5000 };

static struct {
    uint64_t serial, offset;
} flips[MAX_WORDS];
static uint64_t without[MAX_WORDS], buffer_size = (3 << 20) + 100;
static int num_flips, num_without;
static const char *options = "-DSIZE=64";
static bool odd;
static struct image_writer *writer;
static struct error err;

static void check(int result)
{
    if (result == 0)
        return;
    fprintf(stderr, "make_image: %s: %s\n", err.object, err.reason);
    exit(1);
}

static bool is_left_out(uint64_t serial)
{
    for (int i = 0; i < num_without; i++)
        if (without[i] == serial)
            return true;
    return false;
}

/* Its second MiB is zero. */
static uint8_t byte_at(uint64_t serial, uint64_t offset)
{
    uint8_t byte = offset >> 20 == 1 ? 0 : (uint8_t)(offset * 31 + (offset >> 8) + serial);
    for (int i = 0; i < num_flips; i++)
        if (flips[i].serial == serial && flips[i].offset == offset)
            byte ^= 0xff;
    return byte;
}

static void put_contents(uint64_t serial, uint64_t size)
{
    static uint8_t chunk[IMAGE_CHUNK];
    if (is_left_out(serial))
        return;
    check(image_writer_begin(writer, serial, size, &err));
    for (uint64_t at = 0; at < size; at += IMAGE_CHUNK) {
        size_t length = size - at < IMAGE_CHUNK ? (size_t)(size - at) : IMAGE_CHUNK;
        for (size_t i = 0; i < length; i++)
            chunk[i] = byte_at(serial, at + i);
        check(image_writer_chunk(writer, chunk, length, &err));
    }
    check(image_writer_end(writer, &err));
}

static void put(uint64_t serial, Shadowcl__Image__Object__KindCase kind, void *message)
{
    Shadowcl__Image__Object object = SHADOWCL__IMAGE__OBJECT__INIT;
    object.serial = serial;
    object.references = serial == 6 ? 2 : 1;
    object.kind_case = kind;
    object.platform = message; /* whichever it is */
    if (!is_left_out(serial))
        check(image_writer_object(writer, serial, &object.base, &err));
}
#define PUT(serial, kind, message) put(serial, SHADOWCL__IMAGE__OBJECT__KIND_##kind, message)

static void put_about(void)
{
    Shadowcl__Image__About about = SHADOWCL__IMAGE__ABOUT__INIT;
    about.version = "0.1.0";
    about.pid = 119;
    about.command = odd ? "\x1b[31mred\xff" : "sample-heat --size 256";
    about.host = "a-host";
    about.time = 1700000000500000000;
    about.bytes = buffer_size + 8192 + 4096;
    check(image_writer_about(writer, &about.base, &err));
}

static void put_devices(void)
{
    Shadowcl__Image__Platform platform = SHADOWCL__IMAGE__PLATFORM__INIT;
    Shadowcl__Image__Device device = SHADOWCL__IMAGE__DEVICE__INIT;
    Shadowcl__Image__Partition partition = SHADOWCL__IMAGE__PARTITION__INIT;
    Shadowcl__Image__Info info = SHADOWCL__IMAGE__INFO__INIT, *infos[] = {&info};
    uint8_t units[] = {8, 0, 0, 0};
    platform.name = odd ? "line\nbreak" : "Fake Platform";
    info.param = CL_DEVICE_MAX_COMPUTE_UNITS;
    info.bytes = (ProtobufCBinaryData){.len = sizeof units, .data = units};
    device.platform = 1;
    device.name = "fake-gpu";
    device.type = CL_DEVICE_TYPE_GPU;
    device.n_info = 1, device.info = infos;
    PUT(1, PLATFORM, &platform);
    PUT(2, DEVICE, &device);
    device.parent = 2;
    device.partition = &partition;
    partition.num_parts = 2;
    PUT(3, DEVICE, &device);
}

static void put_context(void)
{
    uint64_t device = 2, words[] = {CL_CONTEXT_PLATFORM, 1};
    Shadowcl__Image__Properties properties = SHADOWCL__IMAGE__PROPERTIES__INIT;
    Shadowcl__Image__Context context = SHADOWCL__IMAGE__CONTEXT__INIT;
    Shadowcl__Image__Queue queue = SHADOWCL__IMAGE__QUEUE__INIT;
    Shadowcl__Image__Sampler sampler = SHADOWCL__IMAGE__SAMPLER__INIT;
    properties.n_words = 2, properties.words = words;
    context.n_devices = 1, context.devices = &device;
    context.shared = true;
    context.properties = &properties;
    PUT(4, CONTEXT, &context);
    queue.context = 4, queue.device = 2;
    queue.flags = CL_QUEUE_PROFILING_ENABLE | CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE;
    PUT(5, QUEUE, &queue);
    sampler.context = 4;
    sampler.addressing = CL_ADDRESS_REPEAT, sampler.filter = CL_FILTER_LINEAR;
    PUT(9, SAMPLER, &sampler);
}

static void put_mems(void)
{
    Shadowcl__Image__Mem mem = SHADOWCL__IMAGE__MEM__INIT, part = mem, picture = mem;
    Shadowcl__Image__Mapping mapping = SHADOWCL__IMAGE__MAPPING__INIT, *mappings[] = {&mapping};
    Shadowcl__Image__Image image = SHADOWCL__IMAGE__IMAGE__INIT;
    Shadowcl__Image__Svm svm = SHADOWCL__IMAGE__SVM__INIT;
    mem.context = part.context = picture.context = svm.context = 4;
    mem.type = part.type = CL_MEM_OBJECT_BUFFER;
    mem.flags = CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR;
    mem.size = buffer_size;
    mem.n_mappings = 1, mem.mappings = mappings;
    mapping.flags = CL_MAP_READ | CL_MAP_WRITE;
    PUT(6, MEM, &mem);
    part.parent = 6;
    part.flags = CL_MEM_READ_ONLY;
    part.size = 8192, part.origin = 4096;
    PUT(7, MEM, &part);
    picture.type = CL_MEM_OBJECT_IMAGE2D;
    picture.flags = CL_MEM_WRITE_ONLY;
    picture.size = 8192;
    picture.image = &image;
    image.channel_order = CL_RGBA, image.channel_type = CL_UNORM_INT8;
    image.width = 64, image.height = 32;
    PUT(8, MEM, &picture);
    svm.pointer = 0x7f0000001000;
    svm.size = 4096;
    svm.flags = CL_MEM_READ_WRITE | CL_MEM_SVM_FINE_GRAIN_BUFFER;
    PUT(APART + 2, SVM, &svm);
}

static void put_kernel(void)
{
    uint8_t four[] = {0x10, 0, 0, 0x3f}, pointer[] = {0, 16, 0, 0, 0, 0x7f, 0, 0};
    Shadowcl__Image__Kernel kernel = SHADOWCL__IMAGE__KERNEL__INIT;
    Shadowcl__Image__KernelArg args[5], *list[5];
    for (int i = 0; i < 5; i++) {
        shadowcl__image__kernel_arg__init(&args[i]);
        list[i] = &args[i];
    }
    args[0].kind = SHADOWCL__IMAGE__KERNEL_ARG__KIND__OBJECT, args[0].object = 6;
    args[1].kind = SHADOWCL__IMAGE__KERNEL_ARG__KIND__BYTES, args[1].size = 4;
    args[1].value = (ProtobufCBinaryData){.len = 4, .data = four};
    args[2].kind = SHADOWCL__IMAGE__KERNEL_ARG__KIND__SIZE, args[2].size = 1024;
    args[3].kind = SHADOWCL__IMAGE__KERNEL_ARG__KIND__SVM, args[3].size = 8;
    args[3].value = (ProtobufCBinaryData){.len = 8, .data = pointer};
    kernel.program = 10;
    kernel.name = "solve";
    kernel.n_args = 5, kernel.args = list;
    PUT(11, KERNEL, &kernel);
}

static void put_program(void)
{
    static char source[] = "kernel void solve(global int *out)\n{\n\tout[0] = 1;\n}\n";
    uint64_t device = 2;
    Shadowcl__Image__Origin origin = SHADOWCL__IMAGE__ORIGIN__INIT;
    Shadowcl__Image__Recipe recipe = SHADOWCL__IMAGE__RECIPE__INIT;
    Shadowcl__Image__Program program = SHADOWCL__IMAGE__PROGRAM__INIT;
    Shadowcl__Image__BuildDevice build = SHADOWCL__IMAGE__BUILD_DEVICE__INIT, *builds[] = {&build};
    origin.text = (ProtobufCBinaryData){.len = sizeof source - 1, .data = (uint8_t *)source};
    PUT(APART, ORIGIN, &origin);
    recipe.origin = APART;
    recipe.step = SHADOWCL__IMAGE__RECIPE__STEP__BUILD;
    recipe.options = (char *)options;
    PUT(APART + 1, RECIPE, &recipe);
    program.context = 4;
    program.origin = APART;
    program.n_devices = 1, program.devices = &device;
    program.n_builds = 1, program.builds = builds;
    build.recipe = APART + 1;
    PUT(10, PROGRAM, &program);
    put_kernel();
}

static void put_events(void)
{
    Shadowcl__Image__Event event = SHADOWCL__IMAGE__EVENT__INIT;
    Shadowcl__Image__CommandBuffer commands = SHADOWCL__IMAGE__COMMAND_BUFFER__INIT;
    Shadowcl__Image__Recorded command = SHADOWCL__IMAGE__RECORDED__INIT, *list[] = {&command};
    event.context = 4, event.queue = 5;
    event.type = CL_COMMAND_NDRANGE_KERNEL;
    event.place = SHADOWCL__IMAGE__EVENT__PLACE__ENDED;
    event.status = -5;
    PUT(12, EVENT, &event);
    event.queue = 0;
    event.type = CL_COMMAND_USER;
    event.place = SHADOWCL__IMAGE__EVENT__PLACE__UNSET;
    PUT(13, EVENT, &event);
    commands.queue = 5;
    commands.n_commands = 1, commands.commands = list;
    command.kind = SHADOWCL__IMAGE__RECORDED__KIND__FILL;
    PUT(14, COMMAND_BUFFER, &commands);
}

/* A buffer that is in itself, two in each other, one in nothing, and many in one another. */
static void put_odd(void)
{
    static const uint64_t pairs[][2] = {{20, 20}, {21, 22}, {22, 21}, {23, 999999}};
    Shadowcl__Image__Mem mem = SHADOWCL__IMAGE__MEM__INIT;
    mem.context = 4;
    mem.type = CL_MEM_OBJECT_BUFFER;
    for (int i = 0; i < 4; i++) {
        mem.parent = pairs[i][1];
        PUT(pairs[i][0], MEM, &mem);
    }
    for (uint64_t i = 0; i < LONG_WAY; i++) {
        mem.parent = i ? 1000 + i - 1 : 6;
        PUT(1000 + i, MEM, &mem);
    }
}

static void parse(const char *word)
{
    unsigned long long serial, offset;
    if (!strcmp(word, "odd"))
        odd = true;
    else if (!strncmp(word, "options=", 8))
        options = word + 8;
    else if (sscanf(word, "flip=%llu,%llu", &serial, &offset) == 2 && num_flips < MAX_WORDS)
        flips[num_flips].serial = serial, flips[num_flips++].offset = offset;
    else if (sscanf(word, "without=%llu", &serial) == 1 && num_without < MAX_WORDS)
        without[num_without++] = serial;
    else if (sscanf(word, "size=%llu", &offset) == 1)
        buffer_size = offset;
    else
        exit(2);
}

int main(int argc, char **argv)
{
    for (int i = 2; i < argc; i++)
        parse(argv[i]);
    int fd = argc < 2 ? -1 : open(argv[1], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return 2;
    check(image_writer_create(&writer, fd, IMAGE_COMPRESS_OFF, &err));
    put_about();
    put_devices();
    put_context();
    put_mems();
    put_program();
    put_events();
    if (odd)
        put_odd();
    put_contents(6, buffer_size);
    put_contents(8, 8192);
    put_contents(APART + 2, 4096);
    check(image_writer_finish(writer, NULL, &err));
    image_writer_destroy(writer);
    return close(fd) < 0;
}
