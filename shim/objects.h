/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of a suspend and a resume for one object of any kind. In errors the object is named. */
#ifndef SHADOWCL_SHIM_OBJECTS_H
#define SHADOWCL_SHIM_OBJECTS_H

#include <stdint.h>

#include "shim/findings.h"
#include "state/object.h"

/* "buffer 12", "kernel `solve`": how users see it. */
void object_describe(const struct object *object, char *text, size_t size);

/* All of them. What can't be carried goes to `findings`; NULL: the first is an error. */
int objects_carriable(struct object *const *objects, size_t count, struct findings *findings,
                      struct error *err);
int objects_capture(struct object *object, int64_t deadline, struct error *err);
void objects_release(struct object *object);
/* Is it a program, or does it come of one? Nothing else needs what is. */
bool objects_need_program(const struct object *object);
int objects_rebuild(struct object *object, struct error *err);
int objects_upload(struct object *object, struct error *err);
/* The same, where it can't be left for later (shim/lazy.c). */
int objects_owe(struct object *object, struct error *err);

/* Lets the copies that upload has enqueued begin. */
void objects_flush_copies(struct object *const *objects, size_t count);
/* Waits for the copies that capture or upload has enqueued. */
int objects_finish_copies(struct object *const *objects, size_t count, struct error *err);
/* Gives the contexts' copier queues back. */
void objects_drop_copiers(struct object *const *objects, size_t count);

#endif
