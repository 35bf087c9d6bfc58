/* SPDX-License-Identifier: Apache-2.0 */
/* The reader's inside, for image_reader.c and image_verify.c. */
#ifndef SHADOWCL_SERIALIZE_IMAGE_READER_FILE_H
#define SHADOWCL_SERIALIZE_IMAGE_READER_FILE_H

#include "serialize/image_file.h"
#include "serialize/image_reader.h"

struct image_reader {
    struct image_file file;
    struct image_header header;
    struct image_end end;
    Shadowcl__Image__About *about;   /* owned */
    Shadowcl__Image__Index *index;   /* owned */
    uint64_t *serials;               /* owned: of objects, sorted */
    struct image_contents *contents; /* owned */
    size_t num_contents;
    struct image_buffers buffers; /* for image_reader_chunk */
};

/* Where the last record begins. */
uint64_t image_reader_end(const struct image_reader *reader);

#endif
