/* SPDX-License-Identifier: Apache-2.0 */
/* A small image with an object of every kind, as messages: what tests of loading change one thing
 * of. */
#ifndef SHADOWCL_TESTS_UNIT_LOAD_SAMPLE_H
#define SHADOWCL_TESTS_UNIT_LOAD_SAMPLE_H

#include <stddef.h>
#include <stdint.h>

#include "serialize/load.h"

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

/* The messages, and what they point to. */
struct load_sample {
    Shadowcl__Image__Object objects[COUNT], *message[COUNT];
    Shadowcl__Image__Platform platform;
    Shadowcl__Image__Device device, part, other_part;
    Shadowcl__Image__Partition partition, other_partition;
    Shadowcl__Image__Context context, other_context;
    Shadowcl__Image__Queue queue;
    Shadowcl__Image__Mem buffer, sub_buffer, image, foreign_buffer;
    Shadowcl__Image__Image image_part;
    Shadowcl__Image__Sampler sampler;
    Shadowcl__Image__Origin source, header_origin, link, binary;
    Shadowcl__Image__Recipe compiled, linked, loaded;
    Shadowcl__Image__Header header;
    Shadowcl__Image__Constant constant;
    Shadowcl__Image__Program program;
    Shadowcl__Image__BuildDevice build;
    Shadowcl__Image__KernelFacts facts;
    Shadowcl__Image__Kernel kernel;
    Shadowcl__Image__KernelArg args[5], launch_args[5];
    Shadowcl__Image__KernelExec exec_info;
    Shadowcl__Image__CommandBuffer command_buffer;
    Shadowcl__Image__Recorded copy, launch;
    Shadowcl__Image__Event user_event, event;
    Shadowcl__Image__Svm svm;
    Shadowcl__Image__Info info;
    Shadowcl__Image__Properties properties;
    int64_t partition_words[8];
    uint64_t context_devices[4], property_words[4], program_devices[2], inputs[4], sizes[9],
        times[5];
    uint32_t waits[2];
    ProtobufCBinaryData binaries[2];
    uint8_t value[8];
};
extern struct load_sample given;

/* As it should be again. */
void load_sample_describe(void);
/* The same, before each test. */
int load_sample_setup(void **state);
/* The place of the object that was refused; COUNT: none. */
enum place load_sample_load(struct load *load, struct error *err);
/* Objects and allocations that there are. */
size_t load_sample_live(void);

#endif
