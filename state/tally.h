/* SPDX-License-Identifier: Apache-2.0 */
/* How much of the contents a suspend or a resume has still to copy: for whoever asks meanwhile how
 * far it is. Any thread may ask; only the one whose suspend or resume it is begins and ends it. */
#ifndef SHADOWCL_STATE_TALLY_H
#define SHADOWCL_STATE_TALLY_H

#include <stdbool.h>
#include <stdint.h>

/* So many bytes are to be copied from here on; also where it has begun before. */
void tally_begin(uint64_t bytes);
/* … into a file: what that has is counted there (state/stream.h), and not here. */
void tally_to_file(void);
/* What is copied from here on has been before. */
void tally_hold(void);
void tally_end(void);
/* So much has been copied. Nothing where nobody counts. */
void tally_done(uint64_t bytes);
bool tally_is_on(void);
bool tally_is_to_file(void);
/* Never more than there was at the beginning, nor less than 0. */
uint64_t tally_left(void);

#endif
