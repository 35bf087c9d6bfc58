/* SPDX-License-Identifier: Apache-2.0 */
/* Objects to messages, by kind. Each function fills in a message that borrows what the object has;
 * what must be put together lies in scratch memory, whose `failed` tells at the end whether there
 * was enough. While the gate is closed, or the process suspended: nothing changes meanwhile. */
#ifndef SHADOWCL_SERIALIZE_SAVE_H
#define SHADOWCL_SERIALIZE_SAVE_H

#include "object.pb-c.h"
#include "serialize/image_writer.h"
#include "serialize/scratch.h"
#include "state/command_buffer.h"
#include "state/event.h"
#include "state/kernel.h"
#include "state/sampler.h"
#include "state/stream.h"
#include "state/svm.h"

/* What has no serial of an object has one from here on. */
#define SAVE_FIRST_SERIAL (UINT64_C(1) << 62)

struct save {
    struct image_writer *writer;
    struct scratch scratch;
    void *known; /* owned: a tree (tsearch) of the origins and recipes that are written */
    uint64_t next_serial;
};

/* Writes all objects of the list (those that are dying are passed over), each after what it refers
 * to, and the SVM allocations; of those that are the shim's own memory the sink gets the bytes. */
int save_objects(struct save *save, struct object *const *objects, size_t count,
                 struct stream_sink *sink, struct error *err);
void save_finish(struct save *save);

/* The serial of an object that may be NULL. */
static inline uint64_t save_serial(const void *object)
{
    return object ? ((const struct object *)object)->serial : 0;
}

/* --- What several kinds have (serialize/common.c) --- */

Shadowcl__Image__Info **save_info(struct scratch *scratch, const struct info_cache *info,
                                  size_t *count);
/* `num_words` with the 0 at the end; NULL for words NULL. */
Shadowcl__Image__Properties *save_properties(struct scratch *scratch, const void *words,
                                             size_t num_words);
/* Three numbers, or more. */
uint64_t *save_numbers(struct scratch *scratch, const size_t *numbers, size_t count);
/* Bytes that may be NULL; borrowed. */
ProtobufCBinaryData save_bytes(const void *bytes, size_t size);
/* Never NULL. */
char *save_text(const char *text);

/* --- By kind; `scratch` may run out: that is found at the end. --- */

void save_platform(struct scratch *scratch, const struct platform *platform,
                   Shadowcl__Image__Platform *to);
void save_device(struct scratch *scratch, const struct device *device, Shadowcl__Image__Device *to);
void save_context(struct scratch *scratch, const struct context *context,
                  Shadowcl__Image__Context *to);
void save_queue(struct scratch *scratch, const struct queue *queue, Shadowcl__Image__Queue *to);
void save_mem(struct scratch *scratch, const struct mem *mem, Shadowcl__Image__Mem *to);
void save_sampler(struct scratch *scratch, const struct sampler *sampler,
                  Shadowcl__Image__Sampler *to);
void save_kernel(struct scratch *scratch, const struct kernel *kernel, Shadowcl__Image__Kernel *to);
void save_command_buffer(struct scratch *scratch, const struct command_buffer *buffer,
                         Shadowcl__Image__CommandBuffer *to);
void save_event(struct scratch *scratch, struct event *event, Shadowcl__Image__Event *to);
void save_svm(const struct svm *svm, Shadowcl__Image__Svm *to);
/* Writes the origins and recipes of the program that are not written yet. */
int save_recipes(struct save *save, const struct program *program, struct error *err);
void save_program(struct save *save, const struct program *program, Shadowcl__Image__Program *to);
/* Of a kernel, or as they were when a command was recorded. */
Shadowcl__Image__KernelArg **save_args(struct scratch *scratch, const struct kernel_arg *args,
                                       size_t count);

#endif
