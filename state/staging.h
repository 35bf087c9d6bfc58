/* SPDX-License-Identifier: Apache-2.0 */
/* Where captured contents lie while the program is suspended: memory set aside and touched before
 * the gate closes, since first-touch faults cost more than the copy itself. */
#ifndef SHADOWCL_STATE_STAGING_H
#define SHADOWCL_STATE_STAGING_H

#include <stdbool.h>
#include <stddef.h>

#include "shim/error.h"

/* Sets aside that many bytes, touched, which takes long: `give_up` is asked every now and then.
 * Fails when MemAvailable or the cgroup's limit do not leave room for them: refused before anything
 * is torn down. */
int staging_reserve(size_t bytes, bool (*give_up)(void), struct error *err);
/* Would it fail now? Sets nothing aside. */
int staging_check(size_t bytes, struct error *err);
/* Takes room for one object's contents, aligned to 64; grows when what was set aside is used up.
 * NULL without memory. It stays until staging_drop. */
void *staging_take(size_t bytes);
/* The same, from what was reserved only: NULL when that is used up. */
void *staging_take_reserved(size_t bytes);
/* What so many bytes take of it. */
size_t staging_rounded(size_t bytes);
/* While some of it is used on and on, what is not must not gather: staging_mark says of each
 * object's contents that they are there yet, then staging_trim gives back the pieces in which none
 * are. */
void staging_mark(const void *contents);
void staging_trim(void);
/* Bytes that were reserved and not taken yet. */
size_t staging_room(void);
/* Bytes taken. */
size_t staging_used(void);
void staging_drop(void);
/* The driver may still be copying: what is taken now stays mapped for good, if without its memory
 * once it is dropped. Any thread. */
void staging_abandon(void);

#endif
