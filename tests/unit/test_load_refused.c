/* SPDX-License-Identifier: Apache-2.0 */
/* An image with one thing wrong, each time another, is refused: by the object that it is in, with
 * the reason, and nothing stays of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "load_sample.h"

/* The image is refused at that place, with that reason, and nothing stays of it. */
static void refused(enum place place, const char *reason)
{
    struct error err = {0};
    char offset[64];
    struct load *load = load_create();
    enum place found = load_sample_load(load, &err);
    load_destroy(load);
    assert_int_equal(found, place);
    if (!strstr(err.reason, reason))
        fail_msg("`%s` is not in `%s`", reason, err.reason);
    snprintf(offset, sizeof offset, "at offset %d)", 1000 + place);
    assert_non_null(strstr(err.reason, offset));
    snprintf(offset, sizeof offset, " %d", (int)SERIAL(place));
    assert_non_null(strstr(err.object, offset));
    assert_true(err.todo[0]);
    assert_int_equal(load_sample_live(), 0);
}

static void test_serials_are_unlike(void **state)
{
    given.objects[QUEUE].serial = 0;
    struct error err = {0};
    struct load *load = load_create();
    assert_int_equal(load_sample_load(load, &err), QUEUE);
    assert_non_null(strstr(err.reason, "it has no serial"));
    given.objects[QUEUE].serial = SERIAL(DEVICE);
    assert_int_equal(load_object(load, given.message[QUEUE], 5, &err), -1);
    assert_non_null(strstr(err.reason, "another object has its serial"));
    load_destroy(load);
    load_sample_describe();
    given.objects[QUEUE].kind_case = SHADOWCL__IMAGE__OBJECT__KIND__NOT_SET;
    refused(QUEUE, "it is of no kind that this version knows");
}

/* What is made again before its parent would have none. */
static void test_a_child_is_younger_than_its_parent(void **state)
{
    struct error err = {0};
    struct load *load = load_create();
    given.objects[BUFFER].serial = 500;
    given.sub_buffer.parent = 500;
    assert_int_equal(load_sample_load(load, &err), SUB_BUFFER);
    assert_non_null(strstr(err.reason, "its parent 500 is younger than itself"));
    load_destroy(load);
}

static void test_nothing_refers_to_itself(void **state)
{
    given.sub_buffer.parent = SERIAL(SUB_BUFFER);
    refused(SUB_BUFFER, "its parent 9 did not come before it");
    load_sample_describe();
    given.inputs[1] = SERIAL(LINKED);
    refused(LINKED, "its input 17 did not come before it");
    load_sample_describe();
    given.part.parent = SERIAL(PART);
    refused(PART, "its parent 3 did not come before it");
}

/* Each recipe twice in the next: to follow 40 of them would take for ever. */
static void test_recipes_end(void **state)
{
    struct error err = {0};
    struct load *load = load_create();
    for (enum place place = PLATFORM; place <= LINK; place++)
        assert_int_equal(load_object(load, given.message[place], 0, &err), 0);
    uint64_t last = SERIAL(COMPILED);
    int depth = 0;
    for (; depth < 40; depth++) {
        given.inputs[0] = given.inputs[1] = last;
        given.objects[LINKED].serial = last = 1000 + (uint64_t)depth;
        if (load_object(load, given.message[LINKED], 0, &err) != 0)
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
    X(device_without_platform, given.device.platform = 0, DEVICE, "it names no platform")          \
    X(device_of_a_device, given.part.platform = 2, PART, "its platform 2 is a device")             \
    X(part_without_partition, given.part.partition = NULL, PART, "it has a parent and is no part") \
    X(root_with_partition, given.device.partition = &given.partition, DEVICE,                      \
      "it has no parent and is a part")                                                            \
    X(part_beyond_the_last, given.part.index = 2, PART, "it is part 2 of 2")                       \
    X(part_twice, given.other_part.index = 0, OTHER_PART, "there is another part 0")               \
    X(part_of_another_number, given.other_part.index = 9, OTHER_PART,                              \
      "there is another part 9, or none")                                                          \
    X(partition_of_millions, given.partition.num_parts = 70000, PART,                              \
      "into 70000 parts is no good")                                                               \
    X(partition_with_two_ends, given.partition.n_properties = 8, PART, "is no good")               \
    X(partition_without_end, given.partition_words[0] = 0x4052;                                    \
      given.partition.ext = true, PART, "is no good")                                              \
    X(partition_of_two_minds, given.other_partition.num_parts = 3, OTHER_PART,                     \
      "is not as another part")                                                                    \
    X(context_without_devices, given.context.n_devices = 0, CONTEXT, "it has 0 devices")           \
    X(context_with_one_twice, given.context_devices[1] = 2, CONTEXT, "it has device 2 twice")      \
    X(context_with_odd_words, given.properties.n_words = 1, CONTEXT, "which are no pairs")         \
    X(context_with_an_end, given.property_words[0] = 0, CONTEXT, "end before their end")           \
    X(context_of_no_platform, given.property_words[1] = 2, CONTEXT, "its platform 2 is a device")  \
    X(queue_of_another_device, given.queue.device = SERIAL(OTHER_PART), QUEUE,                     \
      "is not one of its")                                                                         \
    X(queue_of_a_future_context, given.queue.context = SERIAL(SAMPLER), QUEUE,                     \
      "did not come before it")                                                                    \
    X(buffer_of_a_device, given.buffer.context = 2, BUFFER, "its context 2 is a device")           \
    X(buffer_without_bytes, given.buffer.size = 0, BUFFER, "it has no bytes")                      \
    X(buffer_of_a_strange_type, given.buffer.type = 0x10f9, BUFFER, "its type 0x10f9 is none")     \
    X(buffer_with_origin, given.buffer.origin = 4, BUFFER, "it has an origin and no parent")       \
    X(sub_buffer_over_the_end, given.sub_buffer.size++, SUB_BUFFER,                                \
      "3073 bytes at 1024 are not within")                                                         \
    X(sub_buffer_beyond, given.sub_buffer.origin = -1024ull, SUB_BUFFER,                           \
      "are not within the 4096")                                                                   \
    X(sub_buffer_of_a_queue, given.sub_buffer.parent = SERIAL(QUEUE), SUB_BUFFER,                  \
      "parent 7 is a queue")                                                                       \
    X(sub_buffer_of_foreigner, given.foreign_buffer.parent = SERIAL(BUFFER), FOREIGN_BUFFER,       \
      "of another context")                                                                        \
    X(sub_buffer_of_a_part, given.foreign_buffer = given.sub_buffer;                               \
      given.foreign_buffer.parent = SERIAL(SUB_BUFFER), FOREIGN_BUFFER, "can't have sub-buffers")  \
    X(image_of_another_size, given.image.size--, IMAGE,                                            \
      "its 139 bytes are not those of 7 x 5 x 1")                                                  \
    X(image_without_end, given.image_part.width = given.image_part.height = 1ull << 40, IMAGE,     \
      "are not those")                                                                             \
    X(image_without_width, given.image_part.width = 0;                                             \
      given.image.size = 0, IMAGE, "are not those")                                                \
    X(image_of_a_strange_type, given.image.type = 0x10ff, IMAGE, "is none of an image")            \
    X(image_larger_than_its_parent, given.image.parent = SERIAL(BUFFER);                           \
      given.image_part.row_pitch = 1024, IMAGE, "it needs 4124 bytes, and its parent has 4096")    \
    X(image_of_endless_rows, given.image.parent = SERIAL(BUFFER);                                  \
      given.image_part.row_pitch = UINT64_MAX, IMAGE, "and its parent has 4096")                   \
    X(image_of_no_buffer, given.image.type = 0x10f6, IMAGE,                                        \
      "its 140 bytes are not those of 7 x 1")                                                      \
    X(sampler_of_strange_mode, given.sampler.addressing = 7, SAMPLER, "addressing mode 0x7")       \
    X(sampler_of_strange_filter, given.sampler.filter = 7, SAMPLER, "filter mode 0x7")             \
    X(origin_of_strange_kind, given.source.kind = 9, SOURCE, "its kind 9 is none")                 \
    X(source_with_binaries, given.source.binaries = given.binaries;                                \
      given.source.n_binaries = 1, SOURCE, "it has 1 binaries")                                    \
    X(binary_without_binaries, given.binary.n_binaries = 0, BINARY, "it has 0 binaries")           \
    X(source_of_known_recipe, given.header_origin.known = SERIAL(SOURCE), HEADER,                  \
      "recipe 13 is a origin")                                                                     \
    X(binary_of_unknown_recipe, given.binary.known = 99, BINARY,                                   \
      "recipe 99 did not come before it")                                                          \
    X(recipe_without_origin, given.compiled.origin = SERIAL(BUFFER), COMPILED,                     \
      "origin 8 is a mem")                                                                         \
    X(recipe_of_strange_step, given.compiled.step = 4, COMPILED, "its step 4 is none")             \
    X(recipe_that_links_a_source, given.compiled.step = 3, COMPILED,                               \
      "it is a link, and its origin")                                                              \
    X(recipe_with_header_of_none, given.header.origin = 99, COMPILED,                              \
      "its header 99 did not come")                                                                \
    X(recipe_with_an_origin_as_input, given.inputs[1] = SERIAL(LINK), LINKED,                      \
      "input 16 is a origin")                                                                      \
    X(program_with_too_few_builds, given.program.n_builds = 0, PROGRAM, "0 builds for 1 devices")  \
    X(program_of_another_device, given.program_devices[0] = SERIAL(OTHER_PART), PROGRAM,           \
      "its context does not have device 4")                                                        \
    X(program_of_a_recipe, given.program.origin = SERIAL(LINKED), PROGRAM,                         \
      "origin 17 is a recipe")                                                                     \
    X(program_without_recipe, given.build.recipe = 0, PROGRAM, "it names no recipe")               \
    X(program_with_more_binaries, given.binary.n_binaries = 2;                                     \
      given.build.recipe = SERIAL(LOADED), PROGRAM, "2 binaries, for 1 devices")                   \
    X(kernel_of_a_context, given.kernel.program = SERIAL(CONTEXT), KERNEL,                         \
      "program 5 is a context")                                                                    \
    X(kernel_without_name, given.kernel.name = "", KERNEL, "it has no name")                       \
    X(argument_of_a_device, given.args[0].object = 2, KERNEL,                                      \
      "argument 0: it names object 2, which can")                                                  \
    X(argument_of_the_future, given.args[0].object = SERIAL(EVENT), KERNEL,                        \
      "did not come before it")                                                                    \
    X(argument_of_another_size, given.args[1].size = 4, KERNEL,                                    \
      "argument 1: it has 3 bytes, and its")                                                       \
    X(argument_with_half_a_pointer, given.args[3].value.len = 4, KERNEL,                           \
      "its pointer has 4 bytes")                                                                   \
    X(argument_of_strange_kind, given.args[2].kind = 9, KERNEL, "argument 2: its kind 9 is none")  \
    X(command_of_strange_kind, given.copy.kind = 9, COMMAND_BUFFER,                                \
      "command 1: its kind 9 is none")                                                             \
    X(command_that_waits_for_itself, given.waits[0] = 2, COMMAND_BUFFER,                           \
      "command 2: it waits for sync")                                                              \
    X(command_that_waits_for_none, given.waits[0] = 0, COMMAND_BUFFER, "waits for sync point 0")   \
    X(command_without_source, given.copy.source = 0, COMMAND_BUFFER, "it names no source")         \
    X(command_of_an_image, given.copy.target = SERIAL(IMAGE), COMMAND_BUFFER,                      \
      "target 10 is no buffer")                                                                    \
    X(command_of_another_context, given.copy.target = SERIAL(FOREIGN_BUFFER), COMMAND_BUFFER,      \
      "of another context")                                                                        \
    X(command_with_few_sizes, given.launch.n_sizes = 8, COMMAND_BUFFER, "it has 8 sizes, not 9")   \
    X(command_with_a_long_pattern, given.copy.pattern = long_pattern, COMMAND_BUFFER,              \
      "its pattern has 129 bytes")                                                                 \
    X(launch_without_dimensions, given.launch.dims = 0, COMMAND_BUFFER, "it has 0 dimensions")     \
    X(launch_with_few_arguments, given.launch.n_args = 4, COMMAND_BUFFER,                          \
      "it has 4 arguments, and its")                                                               \
    X(launch_with_wrong_argument, given.launch_args[4].object = 2, COMMAND_BUFFER,                 \
      "which can't be an")                                                                         \
    X(launch_without_an_argument, given.launch_args[4].object = 0, COMMAND_BUFFER, "4 is not set") \
    X(launch_of_a_program, given.launch.kernel = SERIAL(PROGRAM), COMMAND_BUFFER, "is a program")  \
    X(copy_with_kernel, given.copy.kernel = SERIAL(KERNEL), COMMAND_BUFFER,                        \
      "it has a kernel, and is no")                                                                \
    X(user_event_of_a_queue, given.user_event.queue = SERIAL(QUEUE), USER_EVENT,                   \
      "a user event, and of")                                                                      \
    X(event_that_is_issued, given.event.place = 2, EVENT, "its place 2 is none that we know")      \
    X(event_that_has_not_ended, given.event.status = 1, EVENT, "it has ended with status 1")       \
    X(event_with_few_times, given.event.n_times = 4, EVENT, "it has 4 times, not 5")               \
    X(event_of_another_context, given.event.context = SERIAL(OTHER_CONTEXT), EVENT,                \
      "of another context")                                                                        \
    X(svm_nowhere, given.svm.pointer = 0, SVM, "are no memory")                                    \
    X(svm_around_the_end, given.svm.size = UINT64_MAX - 5, SVM, "are no memory")

static uint8_t waste[129];
static const ProtobufCBinaryData long_pattern = {sizeof waste, waste};
#define X(name, change, place, reason) CASE(name, change, place, reason);
CASES(X)
#undef X

static void test_allocations_lie_apart(void **state)
{
    struct error err = {0};
    struct load *load = load_create();
    assert_int_equal(load_sample_load(load, &err), COUNT);
    given.objects[SVM].serial = 900;
    for (uint64_t from = given.svm.pointer - 1; from <= given.svm.pointer + 4999; from += 2500) {
        Shadowcl__Image__Svm other = given.svm;
        given.objects[SVM].svm = &other;
        other.pointer = from;
        assert_int_equal(load_object(load, given.message[SVM], 0, &err), -1);
        assert_non_null(strstr(err.reason, "another allocation lies where it does"));
    }
    load_destroy(load);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_serials_are_unlike, load_sample_setup),
        cmocka_unit_test_setup(test_a_child_is_younger_than_its_parent, load_sample_setup),
        cmocka_unit_test_setup(test_nothing_refers_to_itself, load_sample_setup),
        cmocka_unit_test_setup(test_recipes_end, load_sample_setup),
        cmocka_unit_test_setup(test_allocations_lie_apart, load_sample_setup),
#define X(name, change, place, reason) cmocka_unit_test_setup(test_##name, load_sample_setup),
        CASES(X)
#undef X
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
