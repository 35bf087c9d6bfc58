/* SPDX-License-Identifier: Apache-2.0 */
/* Objects from an image's messages: each is as the image has it, and memory lies where it lay. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "load_sample.h"
#include "state/command_buffer.h"
#include "state/event.h"
#include "state/kernel.h"
#include "state/mem.h"
#include "state/sampler.h"
#include "state/svm.h"

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
    given.objects[SAMPLER].references = 0;
    given.objects[BUFFER].references = 7;
    if (load_sample_load(load, &err) != COUNT)
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
    assert_int_equal(load_sample_live(), 0);
}

/* Texts of drivers are read as such, whatever an image has in their place. */
static void test_a_text_without_an_end_has_one(void **state)
{
    struct error err = {0};
    struct load *load = load_create();
    size_t count;
    assert_int_equal(load_sample_load(load, &err), COUNT);
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
    given.context.shared = true;
    assert_int_equal(load_sample_load(load, &err), COUNT);
    assert_int_equal(load_make_memory(load, &notes, &err), 0);
    assert_int_equal(notes.count, 0);
    assert_true(load_find_owner(load, SERIAL(SVM), &owner));
    assert_ptr_equal(owner.svm, given.svm.pointer);
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
    given.svm.pointer = (uintptr_t)ours + 1;
    memcpy(given.value, &given.svm.pointer, sizeof given.value);
    struct load *load = load_create();
    assert_int_equal(load_sample_load(load, &err), COUNT);
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
    given.binary.known = SERIAL(COMPILED);
    given.build.recipe = SERIAL(LOADED);
    struct load *load = load_create();
    assert_int_equal(load_sample_load(load, &err), COUNT);
    struct object **list = load_list(load, &count);
    struct program *p = at(list, count, KIND_PROGRAM, PROGRAM);
    const struct origin *loaded_from = p->build->devices[0].recipe->origin;
    assert_int_equal(loaded_from->kind, ORIGIN_BINARY);
    assert_string_equal(origin_known(loaded_from, 0)->options, "-DN=1");
    free(list);
    load_destroy(load);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_an_object_of_every_kind_is_loaded, load_sample_setup),
        cmocka_unit_test_setup(test_a_text_without_an_end_has_one, load_sample_setup),
        cmocka_unit_test_setup(test_memory_is_made_where_it_was, load_sample_setup),
        cmocka_unit_test_setup(test_memory_that_is_taken_is_said, load_sample_setup),
        cmocka_unit_test_setup(test_a_binary_is_known_by_its_recipe, load_sample_setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
