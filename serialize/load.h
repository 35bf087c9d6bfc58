/* SPDX-License-Identifier: Apache-2.0 */
/* From the messages of an image to shadow objects, in a process that has none of the program. What
 * comes of it is as a suspended process has it: nothing real behind it, the devices on no driver.
 * Nothing in a message is believed: a reference names an object that came before, of the right
 * kind, and sizes and counts fit. */
#ifndef SHADOWCL_SERIALIZE_LOAD_H
#define SHADOWCL_SERIALIZE_LOAD_H

#include <stdint.h>

#include "object.pb-c.h"
#include "shim/error.h"
#include "shim/findings.h"
#include "state/object.h"

struct load;

/* object_init was called. NULL without memory. */
struct load *load_create(void);
/* Drops all that was loaded; what is real was given back before (objects_release). NULL is fine. */
void load_destroy(struct load *load);
/* Makes the object of one record, which begins at `offset` of the file. On an error, which names
 * both, nothing was made. */
int load_object(struct load *load, const Shadowcl__Image__Object *message, uint64_t offset,
                struct error *err);
/* All objects, in the order in which they are rebuilt; the caller frees the array. NULL without
 * memory. */
struct object **load_list(const struct load *load, size_t *count);
size_t load_svm_count(const struct load *load);

/* Whose bytes an image has. */
struct load_owner {
    struct mem *mem; /* or else an allocation, whose memory is at `svm` (NULL: could not be had) */
    unsigned char *svm;
    struct context *context;
    uint64_t size;
};

/* False where no object with that serial has contents of its own. */
bool load_find_owner(const struct load *load, uint64_t serial, struct load_owner *owner);

/* Before the objects are rebuilt: memory for buffers that lie in the host's, and SVM allocations at
 * their addresses. Where one can't be had there, that goes to `notes`, and the kernels have nothing
 * of it. */
int load_make_memory(struct load *load, struct findings *notes, struct error *err);

#endif
