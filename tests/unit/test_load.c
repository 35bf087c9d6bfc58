/* SPDX-License-Identifier: Apache-2.0 */
/* Objects from an image's messages: a small image with an object of every kind is loaded, then the
 * same with one thing wrong, each time another. Nothing may stay of one that is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "serialize/load.h"
#include "state/command_buffer.h"
#include "state/event.h"
#include "state/kernel.h"
#include "state/mem.h"
#include "state/sampler.h"
#include "state/svm.h"

/* The objects of the image, in its order; serials are 1 + place. */
enum place {
    PLATFORM,
    DEVICE,
    PART,
    OTHER_PART,
    CONTEXT,
    OTHER_CONTEXT,
    QUEUE,
    BUFFER,
    SUB_BUFFER,
    IMAGE,
    FOREIGN_BUFFER, /* of the other context */
    SAMPLER,
    SOURCE,
    HEADER,
    COMPILED,
    LINK,
    LINKED,
    BINARY,
    LOADED,
    PROGRAM,
    KERNEL,
    COMMAND_BUFFER,
    USER_EVENT,
    EVENT,
    SVM,
    COUNT
};

#define SERIAL(place) ((uint64_t)(place) + 1)

static Shadowcl__Image__Object objects[COUNT], *message[COUNT];
static Shadowcl__Image__Platform platform;
static Shadowcl__Image__Device device, part, other_part;
static Shadowcl__Image__Partition partition, other_partition;
static Shadowcl__Image__Context context, other_context;
static Shadowcl__Image__Queue queue;
static Shadowcl__Image__Mem buffer, sub_buffer, image, foreign_buffer;
static Shadowcl__Image__Image image_part;
static Shadowcl__Image__Sampler sampler;
static Shadowcl__Image__Origin source, header_origin, link, binary;
static Shadowcl__Image__Recipe compiled, linked, loaded;
static Shadowcl__Image__Header header;
static Shadowcl__Image__Constant constant;
static Shadowcl__Image__Program program;
static Shadowcl__Image__BuildDevice build;
static Shadowcl__Image__KernelFacts facts;
static Shadowcl__Image__Kernel kernel;
static Shadowcl__Image__KernelArg args[5], launch_args[5];
static Shadowcl__Image__KernelExec exec_info;
static Shadowcl__Image__CommandBuffer command_buffer;
static Shadowcl__Image__Recorded copy, launch;
static Shadowcl__Image__Event user_event, event;
static Shadowcl__Image__Svm svm;
static Shadowcl__Image__Info info;
static Shadowcl__Image__Properties properties;

static Shadowcl__Image__Info *infos[] = {&info};
static Shadowcl__Image__Header *headers[] = {&header};
static Shadowcl__Image__Constant *constants[] = {&constant};
static Shadowcl__Image__BuildDevice *builds[] = {&build};
static Shadowcl__Image__KernelFacts *all_facts[] = {&facts};
static Shadowcl__Image__KernelArg *arg_list[] = {&args[0], &args[1], &args[2], &args[3], &args[4]};
static Shadowcl__Image__KernelArg *launch_list[] = {
    &launch_args[0], &launch_args[1], &launch_args[2], &launch_args[3], &launch_args[4]};
static Shadowcl__Image__KernelExec *execs[] = {&exec_info};
static Shadowcl__Image__Recorded *commands[] = {&copy, &launch};
static int64_t partition_words[8];
static uint64_t context_devices[4], property_words[4], program_devices[2], inputs[4], sizes[9],
    times[5];
static uint32_t waits[2];
static ProtobufCBinaryData binaries[2];
static uint8_t value[8];

#define BYTES(text) ((ProtobufCBinaryData){sizeof(text) - 1, (uint8_t *)(text)})

/* Puts a message of a kind at its place. */
#define PUT(place, name, NAME, field, of)                                                          \
    do {                                                                                           \
        objects[place] = (Shadowcl__Image__Object)SHADOWCL__IMAGE__OBJECT__INIT;                   \
        objects[place].serial = SERIAL(place);                                                     \
        objects[place].references = 1;                                                             \
        objects[place].kind_case = SHADOWCL__IMAGE__OBJECT__KIND_##NAME;                           \
        objects[place].field = &(name);                                                            \
        message[place] = &objects[place];                                                          \
        shadowcl__image__##of##__init(&(name));                                                    \
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

static void describe_devices(void)
{
    shadowcl__image__info__init(&info);
    info.param = 0x102b; /* CL_DEVICE_NAME, without the NUL that it should have */
    info.bytes = BYTES("gpu");
    platform.name = "a platform";
    device.platform = part.platform = other_part.platform = SERIAL(PLATFORM);
    device.name = "gpu";
    device.identity = "a platform\ngpu\n1\n2";
    device.info = infos;
    device.n_info = 1;
    part.parent = other_part.parent = SERIAL(DEVICE);
    part.partition = &partition;
    other_part.partition = &other_partition;
    other_part.index = 1;
    shadowcl__image__partition__init(&partition);
    partition_words[0] = CL_DEVICE_PARTITION_EQUALLY;
    partition_words[1] = 1;
    partition_words[2] = 0;
    partition.number = 1;
    partition.num_parts = 2;
    partition.properties = partition_words;
    partition.n_properties = 3;
    other_partition = partition;
}

static void describe_contexts(void)
{
    context_devices[0] = SERIAL(DEVICE);
    context_devices[1] = SERIAL(PART);
    context.devices = other_context.devices = context_devices;
    context.n_devices = 2;
    other_context.n_devices = 1;
    shadowcl__image__properties__init(&properties);
    property_words[0] = CL_CONTEXT_PLATFORM;
    property_words[1] = SERIAL(PLATFORM);
    properties.words = property_words;
    properties.n_words = 2;
    context.properties = &properties;
    context.from_type = true;
    queue.context = sampler.context = SERIAL(CONTEXT);
    queue.device = SERIAL(PART);
    queue.flags = CL_QUEUE_PROFILING_ENABLE;
    sampler.addressing = CL_ADDRESS_REPEAT;
    sampler.filter = CL_FILTER_LINEAR;
    user_event.context = event.context = SERIAL(CONTEXT);
    event.queue = SERIAL(QUEUE);
    event.place = SHADOWCL__IMAGE__EVENT__PLACE__ENDED;
    event.times = times;
    event.n_times = 5;
    times[4] = 17;
    svm.context = SERIAL(CONTEXT);
    svm.pointer = 0x7e9000000123; /* where the thread sanitizer lets a program have memory */
    svm.size = 5000;
}

static void describe_mems(void)
{
    buffer.context = sub_buffer.context = image.context = SERIAL(CONTEXT);
    foreign_buffer.context = SERIAL(OTHER_CONTEXT);
    buffer.type = sub_buffer.type = foreign_buffer.type = CL_MEM_OBJECT_BUFFER;
    buffer.flags = foreign_buffer.flags = CL_MEM_READ_WRITE;
    buffer.size = foreign_buffer.size = 4096;
    sub_buffer.parent = SERIAL(BUFFER);
    sub_buffer.origin = 1024;
    sub_buffer.size = 3072;
    shadowcl__image__image__init(&image_part);
    image.image = &image_part;
    image.type = CL_MEM_OBJECT_IMAGE2D;
    image.size = 7 * 5 * 4;
    image_part.channel_order = CL_RGBA;
    image_part.channel_type = CL_UNORM_INT8;
    image_part.width = 7;
    image_part.height = 5;
}

static void describe_recipes(void)
{
    source.text = BYTES("kernel void k() {}");
    header_origin.text = BYTES("/* nothing */");
    shadowcl__image__header__init(&header);
    header.name = "nothing.h";
    header.origin = SERIAL(HEADER);
    shadowcl__image__constant__init(&constant);
    constant.id = 3;
    constant.value = BYTES("\1\2\3\4");
    compiled.origin = SERIAL(SOURCE);
    compiled.step = SHADOWCL__IMAGE__RECIPE__STEP__COMPILE;
    compiled.options = "-DN=1";
    compiled.has_options = true;
    compiled.headers = headers;
    compiled.n_headers = 1;
    compiled.constants = constants;
    compiled.n_constants = 1;
    link.kind = SHADOWCL__IMAGE__ORIGIN__KIND__LINK;
    linked.origin = SERIAL(LINK);
    linked.step = SHADOWCL__IMAGE__RECIPE__STEP__LINK;
    inputs[0] = inputs[1] = SERIAL(COMPILED);
    linked.inputs = inputs;
    linked.n_inputs = 2;
    binary.kind = SHADOWCL__IMAGE__ORIGIN__KIND__BINARY;
    binaries[0] = binaries[1] = BYTES("\177ELF");
    binary.binaries = binaries;
    binary.n_binaries = 1;
    loaded.origin = SERIAL(BINARY);
}

static void describe_program(void)
{
    program.context = SERIAL(CONTEXT);
    program.origin = SERIAL(LINK);
    program_devices[0] = SERIAL(PART);
    program.devices = program_devices;
    program.n_devices = 1;
    shadowcl__image__build_device__init(&build);
    build.recipe = SERIAL(LINKED);
    build.binary = BYTES("code");
    program.builds = builds;
    program.n_builds = 1;
    program.fetched = true;
    shadowcl__image__kernel_facts__init(&facts);
    facts.name = "k";
    facts.info = infos;
    facts.n_info = 1;
    program.kernels = all_facts;
    program.n_kernels = 1;
    program.constants = constants;
    program.n_constants = 1;
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
    memcpy(value, &svm.pointer, sizeof value);
    to[3].size = sizeof value;
    to[3].value = (ProtobufCBinaryData){sizeof value, value};
    to[4].kind = SHADOWCL__IMAGE__KERNEL_ARG__KIND__OBJECT; /* which is gone */
}

static void describe_kernel(void)
{
    describe_args(args);
    describe_args(launch_args);
    launch_args[4] = launch_args[0];
    kernel.program = SERIAL(PROGRAM);
    kernel.name = "k";
    kernel.args = arg_list;
    kernel.n_args = 5;
    shadowcl__image__kernel_exec__init(&exec_info);
    exec_info.param = CL_KERNEL_EXEC_INFO_SVM_PTRS;
    exec_info.value = (ProtobufCBinaryData){sizeof value, value};
    kernel.execs = execs;
    kernel.n_execs = 1;
    shadowcl__image__recorded__init(&copy);
    copy.kind = SHADOWCL__IMAGE__RECORDED__KIND__COPY;
    copy.source = SERIAL(BUFFER);
    copy.target = SERIAL(SUB_BUFFER);
    copy.size = 16;
    shadowcl__image__recorded__init(&launch);
    launch.kind = SHADOWCL__IMAGE__RECORDED__KIND__KERNEL;
    launch.kernel = SERIAL(KERNEL);
    launch.args = launch_list;
    launch.n_args = 5;
    launch.dims = 1;
    launch.has_global = true;
    sizes[3] = 64;
    launch.sizes = sizes;
    launch.n_sizes = 9;
    waits[0] = 1;
    launch.waits = waits;
    launch.n_waits = 1;
    command_buffer.queue = SERIAL(QUEUE);
    command_buffer.commands = commands;
    command_buffer.n_commands = 2;
    command_buffer.finalized = true;
}

static void describe(void)
{
    put_all();
    describe_devices();
    describe_contexts();
    describe_mems();
    describe_recipes();
    describe_program();
    describe_kernel();
}

/* The place of the object that was refused; COUNT: none. */
static enum place load_all(struct load *load, struct error *err)
{
    enum place place = PLATFORM;
    while (place < COUNT && load_object(load, message[place], 1000 + place, err) == 0)
        place++;
    return place;
}

static size_t count_live(void)
{
    size_t counts[KIND_COUNT], live = svm_count();
    object_count(counts);
    for (int kind = KIND_DYING; kind < KIND_COUNT; kind++)
        live += counts[kind];
    return live;
}

static int setup(void **state)
{
    static bool ready;
    if (!ready)
        assert_true(object_init(NULL) > 0);
    ready = true;
    describe();
    return 0;
}

/* The image is refused at that place, with that reason, and nothing stays of it. */
static void refused(enum place place, const char *reason)
{
    struct error err = {0};
    char offset[64];
    struct load *load = load_create();
    enum place found = load_all(load, &err);
    load_destroy(load);
    assert_int_equal(found, place);
    if (!strstr(err.reason, reason))
        fail_msg("`%s` is not in `%s`", reason, err.reason);
    snprintf(offset, sizeof offset, "at offset %d)", 1000 + place);
    assert_non_null(strstr(err.reason, offset));
    snprintf(offset, sizeof offset, " %d", (int)SERIAL(place));
    assert_non_null(strstr(err.object, offset));
    assert_true(err.todo[0]);
    assert_int_equal(count_live(), 0);
}

static void *at(struct object **list, size_t count, enum kind kind, enum place place)
{
    for (size_t i = 0; i < count; i++)
        if (list[i]->was == kind && list[i]->serial == SERIAL(place))
            return list[i];
    fail_msg("object %d is not there", (int)place);
    return NULL;
}

static void test_an_object_of_every_kind_is_loaded(void **state)
{
    struct error err = {0};
    struct load *load = load_create();
    size_t count;
    objects[SAMPLER].references = 0;
    objects[BUFFER].references = 7;
    if (load_all(load, &err) != COUNT)
        fail_msg("%s: %s", err.object, err.reason);
    struct object **list = load_list(load, &count);
    for (size_t i = 0; i < count; i++)
        assert_true(!list[i]->real && (i == 0 || list[i - 1]->was <= list[i]->was));
    struct context *c = at(list, count, KIND_CONTEXT, CONTEXT);
    assert_ptr_equal(c->properties[1], at(list, count, KIND_PLATFORM, PLATFORM));
    assert_true(c->from_type && c->num_devices == 2);
    struct device *d = at(list, count, KIND_DEVICE, OTHER_PART);
    assert_ptr_equal(d->partition->parts[0], at(list, count, KIND_DEVICE, PART));
    struct mem *m = at(list, count, KIND_MEM, SUB_BUFFER);
    assert_ptr_equal(m->parent, at(list, count, KIND_MEM, BUFFER));
    assert_int_equal(m->parent->object.refs, 7);
    assert_int_equal(m->origin, 1024);
    assert_int_equal(((struct sampler *)at(list, count, KIND_SAMPLER, SAMPLER))->filter,
                     CL_FILTER_LINEAR);
    struct program *p = at(list, count, KIND_PROGRAM, PROGRAM);
    assert_int_equal(p->build->devices[0].recipe->num_inputs, 2);
    assert_string_equal(p->build->devices[0].recipe->inputs[1]->options, "-DN=1");
    assert_memory_equal(p->build->devices[0].binary.bytes, "code", 4);
    struct kernel *k = at(list, count, KIND_KERNEL, KERNEL);
    assert_ptr_equal(k->args[0].object, m);
    assert_memory_equal(k->args[1].inside, "abc", 3);
    assert_int_equal(k->args[2].size, 512);
    assert_int_equal(k->args[4].kind, ARG_UNSET);
    struct command_buffer *b = at(list, count, KIND_COMMAND_BUFFER, COMMAND_BUFFER);
    assert_ptr_equal(b->commands[1]->args->args[0].object, m);
    assert_int_equal(b->commands[1]->sizes[1][0], 64);
    assert_int_equal(((struct event *)at(list, count, KIND_EVENT, EVENT))->times[4], 17);
    assert_int_equal(svm_count(), 1);
    free(list);
    load_destroy(load);
    assert_int_equal(count_live(), 0);
}

/* Texts of drivers are read as such, whatever an image has in their place. */
static void test_a_text_without_an_end_has_one(void **state)
{
    struct error err = {0};
    struct load *load = load_create();
    size_t count;
    assert_int_equal(load_all(load, &err), COUNT);
    struct object **list = load_list(load, &count);
    struct device *d = at(list, count, KIND_DEVICE, DEVICE);
    const struct info_entry *entry = info_cache_find(&d->info, 0x102b);
    assert_int_equal(entry->size, 3);
    assert_string_equal((const char *)entry->bytes, "gpu");
    free(list);
    load_destroy(load);
}

static void test_memory_is_made_where_it_was(void **state)
{
    struct error err = {0};
    struct findings notes = {0};
    struct load_owner owner;
    struct load *load = load_create();
    context.shared = true;
    assert_int_equal(load_all(load, &err), COUNT);
    assert_int_equal(load_make_memory(load, &notes, &err), 0);
    assert_int_equal(notes.count, 0);
    assert_true(load_find_owner(load, SERIAL(SVM), &owner));
    assert_ptr_equal(owner.svm, svm.pointer);
    memset(owner.svm, 1, owner.size);
    assert_true(load_find_owner(load, SERIAL(BUFFER), &owner) && owner.mem->host);
    memset(owner.mem->host, 1, owner.size);
    assert_false(load_find_owner(load, SERIAL(SUB_BUFFER), &owner));
    assert_false(load_find_owner(load, SERIAL(QUEUE), &owner));
    assert_true(load_find_owner(load, SERIAL(IMAGE), &owner) && !owner.mem->host);
    load_destroy(load);
}

/* Where this process has something itself, the kernels have nothing. */
static void test_memory_that_is_taken_is_said(void **state)
{
    struct error err = {0};
    struct findings notes = {0};
    struct load_owner owner;
    size_t count;
    static char ours[8192];
    svm.pointer = (uintptr_t)ours + 1;
    describe_kernel();
    struct load *load = load_create();
    assert_int_equal(load_all(load, &err), COUNT);
    assert_int_equal(load_make_memory(load, &notes, &err), 0);
    assert_int_equal(notes.count, 4); /* it, an argument, the exec info, the command buffer */
    assert_true(load_find_owner(load, SERIAL(SVM), &owner) && !owner.svm);
    struct object **list = load_list(load, &count);
    struct kernel *k = at(list, count, KIND_KERNEL, KERNEL);
    assert_int_equal(k->args[3].kind, ARG_UNSET);
    assert_null(k->execs);
    free(list);
    findings_finish(&notes);
    load_destroy(load);
}

static void test_a_binary_is_known_by_its_recipe(void **state)
{
    struct error err = {0};
    size_t count;
    binary.known = SERIAL(COMPILED);
    build.recipe = SERIAL(LOADED);
    struct load *load = load_create();
    assert_int_equal(load_all(load, &err), COUNT);
    struct object **list = load_list(load, &count);
    struct program *p = at(list, count, KIND_PROGRAM, PROGRAM);
    const struct origin *loaded_from = p->build->devices[0].recipe->origin;
    assert_int_equal(loaded_from->kind, ORIGIN_BINARY);
    assert_string_equal(origin_known(loaded_from, 0)->options, "-DN=1");
    free(list);
    load_destroy(load);
}

static void test_serials_are_unlike(void **state)
{
    objects[QUEUE].serial = 0;
    struct error err = {0};
    struct load *load = load_create();
    assert_int_equal(load_all(load, &err), QUEUE);
    assert_non_null(strstr(err.reason, "it has no serial"));
    objects[QUEUE].serial = SERIAL(DEVICE);
    assert_int_equal(load_object(load, message[QUEUE], 5, &err), -1);
    assert_non_null(strstr(err.reason, "another object has its serial"));
    load_destroy(load);
    describe();
    objects[QUEUE].kind_case = SHADOWCL__IMAGE__OBJECT__KIND__NOT_SET;
    refused(QUEUE, "it is of no kind that this version knows");
}

/* What is made again before its parent would have none. */
static void test_a_child_is_younger_than_its_parent(void **state)
{
    struct error err = {0};
    struct load *load = load_create();
    objects[BUFFER].serial = 500;
    sub_buffer.parent = 500;
    assert_int_equal(load_all(load, &err), SUB_BUFFER);
    assert_non_null(strstr(err.reason, "its parent 500 is younger than itself"));
    load_destroy(load);
}

static void test_nothing_refers_to_itself(void **state)
{
    sub_buffer.parent = SERIAL(SUB_BUFFER);
    refused(SUB_BUFFER, "its parent 9 did not come before it");
    describe();
    inputs[1] = SERIAL(LINKED);
    refused(LINKED, "its input 17 did not come before it");
    describe();
    part.parent = SERIAL(PART);
    refused(PART, "its parent 3 did not come before it");
}

/* Each recipe twice in the next: to follow 40 of them would take for ever. */
static void test_recipes_end(void **state)
{
    struct error err = {0};
    struct load *load = load_create();
    for (enum place place = PLATFORM; place <= LINK; place++)
        assert_int_equal(load_object(load, message[place], 0, &err), 0);
    uint64_t last = SERIAL(COMPILED);
    int depth = 0;
    for (; depth < 40; depth++) {
        inputs[0] = inputs[1] = last;
        objects[LINKED].serial = last = 1000 + (uint64_t)depth;
        if (load_object(load, message[LINKED], 0, &err) != 0)
            break;
    }
    assert_int_equal(depth, 11);
    assert_non_null(strstr(err.reason, "more than 4096 steps"));
    load_destroy(load);
}

#define CASE(name, change, place, reason)                                                          \
    static void test_##name(void **state)                                                          \
    {                                                                                              \
        change;                                                                                    \
        refused(place, reason);                                                                    \
    }                                                                                              \
    _Static_assert(1, "")

/* X(name, what is wrong, which object is refused, why) */
#define CASES(X)                                                                                   \
    X(device_without_platform, device.platform = 0, DEVICE, "it names no platform")                \
    X(device_of_a_device, part.platform = 2, PART, "its platform 2 is a device")                   \
    X(part_without_partition, part.partition = NULL, PART, "it has a parent and is no part")       \
    X(root_with_partition, device.partition = &partition, DEVICE,                                  \
      "it has no parent and is a part")                                                            \
    X(part_beyond_the_last, part.index = 2, PART, "it is part 2 of 2")                             \
    X(part_twice, other_part.index = 0, OTHER_PART, "there is another part 0")                     \
    X(part_of_another_number, other_part.index = 9, OTHER_PART,                                    \
      "there is another part 9, or none")                                                          \
    X(partition_of_millions, partition.num_parts = 70000, PART, "into 70000 parts is no good")     \
    X(partition_with_two_ends, partition.n_properties = 8, PART, "is no good")                     \
    X(partition_without_end, partition_words[0] = 0x4052;                                          \
      partition.ext = true, PART, "is no good")                                                    \
    X(partition_of_two_minds, other_partition.num_parts = 3, OTHER_PART, "is not as another part") \
    X(context_without_devices, context.n_devices = 0, CONTEXT, "it has 0 devices")                 \
    X(context_with_one_twice, context_devices[1] = 2, CONTEXT, "it has device 2 twice")            \
    X(context_with_odd_words, properties.n_words = 1, CONTEXT, "which are no pairs")               \
    X(context_with_an_end, property_words[0] = 0, CONTEXT, "end before their end")                 \
    X(context_of_no_platform, property_words[1] = 2, CONTEXT, "its platform 2 is a device")        \
    X(queue_of_another_device, queue.device = SERIAL(OTHER_PART), QUEUE, "is not one of its")      \
    X(queue_of_a_future_context, queue.context = SERIAL(SAMPLER), QUEUE, "did not come before it") \
    X(buffer_of_a_device, buffer.context = 2, BUFFER, "its context 2 is a device")                 \
    X(buffer_without_bytes, buffer.size = 0, BUFFER, "it has no bytes")                            \
    X(buffer_of_a_strange_type, buffer.type = 0x10f9, BUFFER, "its type 0x10f9 is none")           \
    X(buffer_with_origin, buffer.origin = 4, BUFFER, "it has an origin and no parent")             \
    X(sub_buffer_over_the_end, sub_buffer.size++, SUB_BUFFER, "3073 bytes at 1024 are not within") \
    X(sub_buffer_beyond, sub_buffer.origin = -1024ull, SUB_BUFFER, "are not within the 4096")      \
    X(sub_buffer_of_a_queue, sub_buffer.parent = SERIAL(QUEUE), SUB_BUFFER, "parent 7 is a queue") \
    X(sub_buffer_of_foreigner, foreign_buffer.parent = SERIAL(BUFFER), FOREIGN_BUFFER,             \
      "of another context")                                                                        \
    X(sub_buffer_of_a_part, foreign_buffer = sub_buffer;                                           \
      foreign_buffer.parent = SERIAL(SUB_BUFFER), FOREIGN_BUFFER, "can't have sub-buffers")        \
    X(image_of_another_size, image.size--, IMAGE, "its 139 bytes are not those of 7 x 5 x 1")      \
    X(image_without_end, image_part.width = image_part.height = 1ull << 40, IMAGE,                 \
      "are not those")                                                                             \
    X(image_without_width, image_part.width = 0; image.size = 0, IMAGE, "are not those")           \
    X(image_of_a_strange_type, image.type = 0x10ff, IMAGE, "is none of an image")                  \
    X(image_larger_than_its_parent, image.parent = SERIAL(BUFFER);                                 \
      image_part.row_pitch = 1024, IMAGE, "it needs 4124 bytes, and its parent has 4096")          \
    X(image_of_endless_rows, image.parent = SERIAL(BUFFER);                                        \
      image_part.row_pitch = UINT64_MAX, IMAGE, "and its parent has 4096")                         \
    X(image_of_no_buffer, image.type = 0x10f6, IMAGE, "its 140 bytes are not those of 7 x 1")      \
    X(sampler_of_strange_mode, sampler.addressing = 7, SAMPLER, "addressing mode 0x7")             \
    X(sampler_of_strange_filter, sampler.filter = 7, SAMPLER, "filter mode 0x7")                   \
    X(origin_of_strange_kind, source.kind = 9, SOURCE, "its kind 9 is none")                       \
    X(source_with_binaries, source.binaries = binaries;                                            \
      source.n_binaries = 1, SOURCE, "it has 1 binaries")                                          \
    X(binary_without_binaries, binary.n_binaries = 0, BINARY, "it has 0 binaries")                 \
    X(source_of_known_recipe, header_origin.known = SERIAL(SOURCE), HEADER,                        \
      "recipe 13 is a origin")                                                                     \
    X(binary_of_unknown_recipe, binary.known = 99, BINARY, "recipe 99 did not come before it")     \
    X(recipe_without_origin, compiled.origin = SERIAL(BUFFER), COMPILED, "origin 8 is a mem")      \
    X(recipe_of_strange_step, compiled.step = 4, COMPILED, "its step 4 is none")                   \
    X(recipe_that_links_a_source, compiled.step = 3, COMPILED, "it is a link, and its origin")     \
    X(recipe_with_header_of_none, header.origin = 99, COMPILED, "its header 99 did not come")      \
    X(recipe_with_an_origin_as_input, inputs[1] = SERIAL(LINK), LINKED, "input 16 is a origin")    \
    X(program_with_too_few_builds, program.n_builds = 0, PROGRAM, "0 builds for 1 devices")        \
    X(program_of_another_device, program_devices[0] = SERIAL(OTHER_PART), PROGRAM,                 \
      "its context does not have device 4")                                                        \
    X(program_of_a_recipe, program.origin = SERIAL(LINKED), PROGRAM, "origin 17 is a recipe")      \
    X(program_without_recipe, build.recipe = 0, PROGRAM, "it names no recipe")                     \
    X(program_with_more_binaries, binary.n_binaries = 2;                                           \
      build.recipe = SERIAL(LOADED), PROGRAM, "2 binaries, for 1 devices")                         \
    X(kernel_of_a_context, kernel.program = SERIAL(CONTEXT), KERNEL, "program 5 is a context")     \
    X(kernel_without_name, kernel.name = "", KERNEL, "it has no name")                             \
    X(argument_of_a_device, args[0].object = 2, KERNEL,                                            \
      "argument 0: it names object 2, which can")                                                  \
    X(argument_of_the_future, args[0].object = SERIAL(EVENT), KERNEL, "did not come before it")    \
    X(argument_of_another_size, args[1].size = 4, KERNEL, "argument 1: it has 3 bytes, and its")   \
    X(argument_with_half_a_pointer, args[3].value.len = 4, KERNEL, "its pointer has 4 bytes")      \
    X(argument_of_strange_kind, args[2].kind = 9, KERNEL, "argument 2: its kind 9 is none")        \
    X(command_of_strange_kind, copy.kind = 9, COMMAND_BUFFER, "command 1: its kind 9 is none")     \
    X(command_that_waits_for_itself, waits[0] = 2, COMMAND_BUFFER, "command 2: it waits for sync") \
    X(command_that_waits_for_none, waits[0] = 0, COMMAND_BUFFER, "waits for sync point 0")         \
    X(command_without_source, copy.source = 0, COMMAND_BUFFER, "it names no source")               \
    X(command_of_an_image, copy.target = SERIAL(IMAGE), COMMAND_BUFFER, "target 10 is no buffer")  \
    X(command_of_another_context, copy.target = SERIAL(FOREIGN_BUFFER), COMMAND_BUFFER,            \
      "of another context")                                                                        \
    X(command_with_few_sizes, launch.n_sizes = 8, COMMAND_BUFFER, "it has 8 sizes, not 9")         \
    X(command_with_a_long_pattern, copy.pattern = long_pattern, COMMAND_BUFFER,                    \
      "its pattern has 129 bytes")                                                                 \
    X(launch_without_dimensions, launch.dims = 0, COMMAND_BUFFER, "it has 0 dimensions")           \
    X(launch_with_few_arguments, launch.n_args = 4, COMMAND_BUFFER, "it has 4 arguments, and its") \
    X(launch_with_wrong_argument, launch_args[4].object = 2, COMMAND_BUFFER, "which can't be an")  \
    X(launch_without_an_argument, launch_args[4].object = 0, COMMAND_BUFFER, "4 is not set")       \
    X(launch_of_a_program, launch.kernel = SERIAL(PROGRAM), COMMAND_BUFFER, "is a program")        \
    X(copy_with_kernel, copy.kernel = SERIAL(KERNEL), COMMAND_BUFFER,                              \
      "it has a kernel, and is no")                                                                \
    X(user_event_of_a_queue, user_event.queue = SERIAL(QUEUE), USER_EVENT, "a user event, and of") \
    X(event_that_is_issued, event.place = 2, EVENT, "its place 2 is none that we know")            \
    X(event_that_has_not_ended, event.status = 1, EVENT, "it has ended with status 1")             \
    X(event_with_few_times, event.n_times = 4, EVENT, "it has 4 times, not 5")                     \
    X(event_of_another_context, event.context = SERIAL(OTHER_CONTEXT), EVENT,                      \
      "of another context")                                                                        \
    X(svm_nowhere, svm.pointer = 0, SVM, "are no memory")                                          \
    X(svm_around_the_end, svm.size = UINT64_MAX - 5, SVM, "are no memory")

static uint8_t waste[129];
static const ProtobufCBinaryData long_pattern = {sizeof waste, waste};
#define X(name, change, place, reason) CASE(name, change, place, reason);
CASES(X)
#undef X

static void test_allocations_lie_apart(void **state)
{
    struct error err = {0};
    struct load *load = load_create();
    assert_int_equal(load_all(load, &err), COUNT);
    objects[SVM].serial = 900;
    for (uint64_t from = svm.pointer - 1; from <= svm.pointer + 4999; from += 2500) {
        Shadowcl__Image__Svm other = svm;
        objects[SVM].svm = &other;
        other.pointer = from;
        assert_int_equal(load_object(load, message[SVM], 0, &err), -1);
        assert_non_null(strstr(err.reason, "another allocation lies where it does"));
    }
    load_destroy(load);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_an_object_of_every_kind_is_loaded, setup),
        cmocka_unit_test_setup(test_a_text_without_an_end_has_one, setup),
        cmocka_unit_test_setup(test_memory_is_made_where_it_was, setup),
        cmocka_unit_test_setup(test_memory_that_is_taken_is_said, setup),
        cmocka_unit_test_setup(test_a_binary_is_known_by_its_recipe, setup),
        cmocka_unit_test_setup(test_serials_are_unlike, setup),
        cmocka_unit_test_setup(test_a_child_is_younger_than_its_parent, setup),
        cmocka_unit_test_setup(test_nothing_refers_to_itself, setup),
        cmocka_unit_test_setup(test_recipes_end, setup),
        cmocka_unit_test_setup(test_allocations_lie_apart, setup),
#define X(name, change, place, reason) cmocka_unit_test_setup(test_##name, setup),
        CASES(X)
#undef X
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
