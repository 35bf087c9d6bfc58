/* SPDX-License-Identifier: Apache-2.0 */
/* Contents that go by in chunks, from the device to somebody who takes them, or from somebody who
 * has them to the device, without a whole copy in memory: several chunks are on their way at once.
 * Only one thread at a time. */
#ifndef SHADOWCL_STATE_STREAM_H
#define SHADOWCL_STATE_STREAM_H

#include "shim/phase.h"
#include "state/mem.h"

#define STREAM_CHUNK ((size_t)1 << 20) /* bytes; the last one of an object may be shorter */

/* Takes contents, one object after the other: 0, or -1 with the error. */
struct stream_sink {
    int (*begin)(struct stream_sink *sink, uint64_t serial, uint64_t size, struct error *err);
    int (*put)(struct stream_sink *sink, const void *bytes, size_t size, struct error *err);
    int (*end)(struct stream_sink *sink, struct error *err);
};

/* Has contents. */
struct stream_source {
    int (*get)(struct stream_source *source, const struct mem *mem, size_t chunk, void *to,
               struct error *err);
};

/* Sets the chunks' memory aside and touches it. */
int stream_prepare(struct error *err);
/* Reads an object's contents from the device. The sink gets them in the order of these calls, the
 * last ones by stream_finish. */
int stream_down(struct mem *mem, struct stream_sink *sink, struct error *err);
/* Contents in memory that somebody may be writing to: each chunk is copied first. All that was on
 * its way before is finished. */
int stream_memory(uint64_t serial, const void *bytes, size_t size, struct stream_sink *sink,
                  struct error *err);
/* Writes an object's contents to the device by that queue: done when that has ended. */
int stream_up(struct mem *mem, struct stream_source *source, cl_command_queue queue,
              struct error *err);
/* Reads a buffer's contents to memory that the driver is not to have: done by stream_finish. */
int stream_down_to(struct mem *mem, void *to, struct error *err);
/* Waits for all that is on its way; whoever is to have it has it. */
int stream_finish(struct error *err);
/* Waits, a second at most, until the driver has done what is on its way; nothing is taken out. */
void stream_settle(void);
/* Waits for it, whatever comes of it; no sink gets it. */
void stream_give_up(void);
/* The same, and frees the memory. Before the driver goes. */
void stream_drop(void);
/* A driver hangs and may be writing to what is on its way: stream_drop waits for nothing, and keeps
 * the memory. */
void stream_abandon(void);
/* In a forked child. */
void stream_forked(void);
/* A thread has been left in a call of the driver's that may have to do with it (shim/phase.h): what
 * is on its way is nobody's, but a leftover. */
void stream_leave(struct leftover **leftovers);
/* Bytes that sinks have been given since stream_prepare: also for other threads. */
uint64_t stream_done(void);

#endif
