/* SPDX-License-Identifier: Apache-2.0 */
/* An image file that this process writes: all objects and contents, for whoever reads it later, and
 * for a suspend that keeps the contents there instead of in memory. One at a time, by who alone may
 * change the state (shim/checkpoint.c). */
#ifndef SHADOWCL_SHIM_STORE_H
#define SHADOWCL_SHIM_STORE_H

#include "serialize/image_writer.h"
#include "state/stream.h"

struct report;

struct store_wish {
    int fd; /* -1: no image is wanted. Stays the caller's: what is kept is a duplicate. */
    enum image_compression compression;
    int asker; /* the connection of who wants it; -1: nobody who could go away */
};

/* Before the gate closes: begins the file, sets memory aside. Does nothing where none is wanted. */
int store_begin(const struct store_wish *wish, struct error *err);
/* Takes contents; NULL: no image is being written. */
struct stream_sink *store_sink(void);
/* While the program runs: an object's contents go into the file, and again if it is written to
 * meanwhile. 1: not all of it, since it has been released or who asked has gone. What is being
 * copied has ended in any case. */
int store_beforehand(struct mem *mem, struct error *err);
/* Can the file still take something? */
int store_check(struct error *err);
/* With the gate closed: is that what was put there beforehand? For an object that is taken to be
 * unwritten since. */
int store_compare(struct mem *mem, struct error *err);
/* All that is not in the file yet: contents in the host's memory, the objects, the index. The gate
 * is closed or the process suspended, and copies have ended. Fills in report->image. */
int store_finish(struct object *const *objects, size_t count, struct report *report,
                 struct error *err);
/* Keeps the file that was just finished, all of it on the disk: what is in it need not lie in
 * memory. */
int store_keep(struct error *err);
/* After that, and the release: staging memory lets go what is in the file. */
void store_let_go(struct object *const *objects, size_t count);
/* Refuses where it is kept, and whoever asked for it has gone. */
int store_check_asker(struct error *err);
/* Nothing is written any more; what is kept stays. */
void store_end(void);
/* Nor kept. */
void store_drop(void);
void store_forked(void);

#endif
