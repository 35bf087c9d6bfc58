/* SPDX-License-Identifier: Apache-2.0 */
/* See load_sample.h. */
#include "load_sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "state/object.h"
#include "state/svm.h"

#define GIB ((size_t)1 << 30)

struct load_sample given;

static Shadowcl__Image__Info *infos[] = {&given.info};
static Shadowcl__Image__Header *headers[] = {&given.header};
static Shadowcl__Image__Constant *constants[] = {&given.constant};
static Shadowcl__Image__BuildDevice *builds[] = {&given.build};
static Shadowcl__Image__KernelFacts *all_facts[] = {&given.facts};
static Shadowcl__Image__KernelArg *arg_list[] = {&given.args[0], &given.args[1], &given.args[2],
                                                 &given.args[3], &given.args[4]};
static Shadowcl__Image__KernelArg *launch_list[] = {&given.launch_args[0], &given.launch_args[1],
                                                    &given.launch_args[2], &given.launch_args[3],
                                                    &given.launch_args[4]};
static Shadowcl__Image__KernelExec *execs[] = {&given.exec_info};
static Shadowcl__Image__Recorded *commands[] = {&given.copy, &given.launch};

#define BYTES(text) ((ProtobufCBinaryData){sizeof(text) - 1, (uint8_t *)(text)})

/* Puts a message of a kind at its place. */
#define PUT(place, name, NAME, field, of)                                                          \
    do {                                                                                           \
        given.objects[place] = (Shadowcl__Image__Object)SHADOWCL__IMAGE__OBJECT__INIT;             \
        given.objects[place].serial = SERIAL(place);                                               \
        given.objects[place].references = 1;                                                       \
        given.objects[place].kind_case = SHADOWCL__IMAGE__OBJECT__KIND_##NAME;                     \
        given.objects[place].field = &given.name;                                                  \
        given.message[place] = &given.objects[place];                                              \
        shadowcl__image__##of##__init(&given.name);                                                \
    } while (0)

static void put_all(void)
{
    PUT(PLATFORM, platform, PLATFORM, platform, platform);
    PUT(DEVICE, device, DEVICE, device, device);
    PUT(PART, part, DEVICE, device, device);
    PUT(OTHER_PART, other_part, DEVICE, device, device);
    PUT(CONTEXT, context, CONTEXT, context, context);
    PUT(OTHER_CONTEXT, other_context, CONTEXT, context, context);
    PUT(QUEUE, queue, QUEUE, queue, queue);
    PUT(BUFFER, buffer, MEM, mem, mem);
    PUT(SUB_BUFFER, sub_buffer, MEM, mem, mem);
    PUT(IMAGE, image, MEM, mem, mem);
    PUT(FOREIGN_BUFFER, foreign_buffer, MEM, mem, mem);
    PUT(SAMPLER, sampler, SAMPLER, sampler, sampler);
    PUT(SOURCE, source, ORIGIN, origin, origin);
    PUT(HEADER, header_origin, ORIGIN, origin, origin);
    PUT(COMPILED, compiled, RECIPE, recipe, recipe);
    PUT(LINK, link, ORIGIN, origin, origin);
    PUT(LINKED, linked, RECIPE, recipe, recipe);
    PUT(BINARY, binary, ORIGIN, origin, origin);
    PUT(LOADED, loaded, RECIPE, recipe, recipe);
    PUT(PROGRAM, program, PROGRAM, program, program);
    PUT(KERNEL, kernel, KERNEL, kernel, kernel);
    PUT(COMMAND_BUFFER, command_buffer, COMMAND_BUFFER, command_buffer, command_buffer);
    PUT(USER_EVENT, user_event, EVENT, event, event);
    PUT(EVENT, event, EVENT, event, event);
    PUT(SVM, svm, SVM, svm, svm);
}

/* Where nothing lies, and this processor, or a sanitizer, lets a program have memory: far from
 * where the next mapping comes to lie. */
static uint64_t free_address(void)
{
    static char *found;
    if (!found) {
        found = mmap(NULL, GIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        assert_ptr_not_equal(found, MAP_FAILED);
        munmap(found, GIB);
    }
    return (uintptr_t)found + GIB / 2;
}

static void describe_devices(void)
{
    shadowcl__image__info__init(&given.info);
    given.info.param = 0x102b; /* CL_DEVICE_NAME, without the NUL that it should have */
    given.info.bytes = BYTES("gpu");
    given.platform.name = "a platform";
    given.device.platform = given.part.platform = given.other_part.platform = SERIAL(PLATFORM);
    given.device.name = "gpu";
    given.device.identity = "a platform\ngpu\n1\n2";
    given.device.info = infos;
    given.device.n_info = 1;
    given.part.parent = given.other_part.parent = SERIAL(DEVICE);
    given.part.partition = &given.partition;
    given.other_part.partition = &given.other_partition;
    given.other_part.index = 1;
    shadowcl__image__partition__init(&given.partition);
    given.partition_words[0] = CL_DEVICE_PARTITION_EQUALLY;
    given.partition_words[1] = 1;
    given.partition_words[2] = 0;
    given.partition.number = 1;
    given.partition.num_parts = 2;
    given.partition.properties = given.partition_words;
    given.partition.n_properties = 3;
    given.other_partition = given.partition;
}

static void describe_contexts(void)
{
    given.context_devices[0] = SERIAL(DEVICE);
    given.context_devices[1] = SERIAL(PART);
    given.context.devices = given.other_context.devices = given.context_devices;
    given.context.n_devices = 2;
    given.other_context.n_devices = 1;
    shadowcl__image__properties__init(&given.properties);
    given.property_words[0] = CL_CONTEXT_PLATFORM;
    given.property_words[1] = SERIAL(PLATFORM);
    given.properties.words = given.property_words;
    given.properties.n_words = 2;
    given.context.properties = &given.properties;
    given.context.from_type = true;
    given.queue.context = given.sampler.context = SERIAL(CONTEXT);
    given.queue.device = SERIAL(PART);
    given.queue.flags = CL_QUEUE_PROFILING_ENABLE;
    given.sampler.addressing = CL_ADDRESS_REPEAT;
    given.sampler.filter = CL_FILTER_LINEAR;
    given.user_event.context = given.event.context = SERIAL(CONTEXT);
    given.event.queue = SERIAL(QUEUE);
    given.event.place = SHADOWCL__IMAGE__EVENT__PLACE__ENDED;
    given.event.times = given.times;
    given.event.n_times = 5;
    given.times[4] = 17;
    given.svm.context = SERIAL(CONTEXT);
    given.svm.pointer = free_address() + 0x123;
    given.svm.size = 5000;
}

static void describe_mems(void)
{
    given.buffer.context = given.sub_buffer.context = given.image.context = SERIAL(CONTEXT);
    given.foreign_buffer.context = SERIAL(OTHER_CONTEXT);
    given.buffer.type = given.sub_buffer.type = given.foreign_buffer.type = CL_MEM_OBJECT_BUFFER;
    given.buffer.flags = given.foreign_buffer.flags = CL_MEM_READ_WRITE;
    given.buffer.size = given.foreign_buffer.size = 4096;
    given.sub_buffer.parent = SERIAL(BUFFER);
    given.sub_buffer.origin = 1024;
    given.sub_buffer.size = 3072;
    shadowcl__image__image__init(&given.image_part);
    given.image.image = &given.image_part;
    given.image.type = CL_MEM_OBJECT_IMAGE2D;
    given.image.size = 7 * 5 * 4;
    given.image_part.channel_order = CL_RGBA;
    given.image_part.channel_type = CL_UNORM_INT8;
    given.image_part.width = 7;
    given.image_part.height = 5;
}

static void describe_recipes(void)
{
    given.source.text = BYTES("kernel void k() {}");
    given.header_origin.text = BYTES("/* nothing */");
    shadowcl__image__header__init(&given.header);
    given.header.name = "nothing.h";
    given.header.origin = SERIAL(HEADER);
    shadowcl__image__constant__init(&given.constant);
    given.constant.id = 3;
    given.constant.value = BYTES("\1\2\3\4");
    given.compiled.origin = SERIAL(SOURCE);
    given.compiled.step = SHADOWCL__IMAGE__RECIPE__STEP__COMPILE;
    given.compiled.options = "-DN=1";
    given.compiled.has_options = true;
    given.compiled.headers = headers;
    given.compiled.n_headers = 1;
    given.compiled.constants = constants;
    given.compiled.n_constants = 1;
    given.link.kind = SHADOWCL__IMAGE__ORIGIN__KIND__LINK;
    given.linked.origin = SERIAL(LINK);
    given.linked.step = SHADOWCL__IMAGE__RECIPE__STEP__LINK;
    given.inputs[0] = given.inputs[1] = SERIAL(COMPILED);
    given.linked.inputs = given.inputs;
    given.linked.n_inputs = 2;
    given.binary.kind = SHADOWCL__IMAGE__ORIGIN__KIND__BINARY;
    given.binaries[0] = given.binaries[1] = BYTES("\177ELF");
    given.binary.binaries = given.binaries;
    given.binary.n_binaries = 1;
    given.loaded.origin = SERIAL(BINARY);
}

static void describe_program(void)
{
    given.program.context = SERIAL(CONTEXT);
    given.program.origin = SERIAL(LINK);
    given.program_devices[0] = SERIAL(PART);
    given.program.devices = given.program_devices;
    given.program.n_devices = 1;
    shadowcl__image__build_device__init(&given.build);
    given.build.recipe = SERIAL(LINKED);
    given.build.binary = BYTES("code");
    given.program.builds = builds;
    given.program.n_builds = 1;
    given.program.fetched = true;
    shadowcl__image__kernel_facts__init(&given.facts);
    given.facts.name = "k";
    given.facts.info = infos;
    given.facts.n_info = 1;
    given.program.kernels = all_facts;
    given.program.n_kernels = 1;
    given.program.constants = constants;
    given.program.n_constants = 1;
}

static void describe_args(Shadowcl__Image__KernelArg *to)
{
    for (int i = 0; i < 5; i++)
        shadowcl__image__kernel_arg__init(&to[i]);
    to[0].kind = SHADOWCL__IMAGE__KERNEL_ARG__KIND__OBJECT;
    to[0].object = SERIAL(SUB_BUFFER);
    to[1].kind = SHADOWCL__IMAGE__KERNEL_ARG__KIND__BYTES;
    to[1].size = 3;
    to[1].value = BYTES("abc");
    to[2].kind = SHADOWCL__IMAGE__KERNEL_ARG__KIND__SIZE;
    to[2].size = 512;
    to[3].kind = SHADOWCL__IMAGE__KERNEL_ARG__KIND__SVM;
    memcpy(given.value, &given.svm.pointer, sizeof given.value);
    to[3].size = sizeof given.value;
    to[3].value = (ProtobufCBinaryData){sizeof given.value, given.value};
    to[4].kind = SHADOWCL__IMAGE__KERNEL_ARG__KIND__OBJECT; /* which is gone */
}

static void describe_kernel(void)
{
    describe_args(given.args);
    describe_args(given.launch_args);
    given.launch_args[4] = given.launch_args[0];
    given.kernel.program = SERIAL(PROGRAM);
    given.kernel.name = "k";
    given.kernel.args = arg_list;
    given.kernel.n_args = 5;
    shadowcl__image__kernel_exec__init(&given.exec_info);
    given.exec_info.param = CL_KERNEL_EXEC_INFO_SVM_PTRS;
    given.exec_info.value = (ProtobufCBinaryData){sizeof given.value, given.value};
    given.kernel.execs = execs;
    given.kernel.n_execs = 1;
    shadowcl__image__recorded__init(&given.copy);
    given.copy.kind = SHADOWCL__IMAGE__RECORDED__KIND__COPY;
    given.copy.source = SERIAL(BUFFER);
    given.copy.target = SERIAL(SUB_BUFFER);
    given.copy.size = 16;
    shadowcl__image__recorded__init(&given.launch);
    given.launch.kind = SHADOWCL__IMAGE__RECORDED__KIND__KERNEL;
    given.launch.kernel = SERIAL(KERNEL);
    given.launch.args = launch_list;
    given.launch.n_args = 5;
    given.launch.dims = 1;
    given.launch.has_global = true;
    given.sizes[3] = 64;
    given.launch.sizes = given.sizes;
    given.launch.n_sizes = 9;
    given.waits[0] = 1;
    given.launch.waits = given.waits;
    given.launch.n_waits = 1;
    given.command_buffer.queue = SERIAL(QUEUE);
    given.command_buffer.commands = commands;
    given.command_buffer.n_commands = 2;
    given.command_buffer.finalized = true;
}

void load_sample_describe(void)
{
    put_all();
    describe_devices();
    describe_contexts();
    describe_mems();
    describe_recipes();
    describe_program();
    describe_kernel();
}

enum place load_sample_load(struct load *load, struct error *err)
{
    enum place place = PLATFORM;
    while (place < COUNT && load_object(load, given.message[place], 1000 + place, err) == 0)
        place++;
    return place;
}

size_t load_sample_live(void)
{
    size_t counts[KIND_COUNT], live = svm_count();
    object_count(counts);
    for (int kind = KIND_DYING; kind < KIND_COUNT; kind++)
        live += counts[kind];
    return live;
}

int load_sample_setup(void **state)
{
    static bool ready;
    if (!ready)
        assert_true(object_init(NULL) > 0);
    ready = true;
    load_sample_describe();
    return 0;
}
