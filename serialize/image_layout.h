/* SPDX-License-Identifier: Apache-2.0 */
/* How an image file lies on the disk: a header, then records one after the other without a gap, the
 * last of which tells where the index is. All numbers are little-endian, all checksums XXH3.
 * docs/image-format.md tells it to those who have no C compiler at hand. */
#ifndef SHADOWCL_SERIALIZE_IMAGE_LAYOUT_H
#define SHADOWCL_SERIALIZE_IMAGE_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#define IMAGE_MAGIC "SHADOWCL"
#define IMAGE_MAJOR 1 /* a reader refuses what is newer */
#define IMAGE_MINOR 0 /* more records and fields than a reader knows are passed over */

#define IMAGE_PAGE ((size_t)4096)
/* Contents are cut into chunks of so many bytes; the last one of an object may be shorter. */
#define IMAGE_CHUNK ((size_t)1 << 20)
/* The most that a message may have: a program's binaries are in one. */
#define IMAGE_MESSAGE ((uint64_t)1 << 30)

struct image_header {
    char magic[8];
    uint16_t major, minor;
    uint32_t size;  /* of this header: what is newer may be longer */
    uint8_t id[16]; /* random: tells images apart */
    uint32_t chunk; /* IMAGE_CHUNK */
    uint32_t reserved[5];
    uint64_t checksum; /* of all before it; always the last eight bytes */
};

enum image_record_type {
    IMAGE_ABOUT = 1,    /* Shadowcl__Image__About: what was saved, and where; the first one */
    IMAGE_OBJECT = 2,   /* Shadowcl__Image__Object */
    IMAGE_DATA = 3,     /* struct image_data, page map, stored bytes */
    IMAGE_CONTENTS = 4, /* Shadowcl__Image__Contents: which data make up an object's contents */
    IMAGE_INDEX = 5,    /* Shadowcl__Image__Index */
    IMAGE_END = 6,      /* struct image_end; the last one */
};

#define IMAGE_RECORD_MARK 0x44524352u /* "RCRD" */

struct image_record {
    uint32_t mark;
    uint16_t type; /* enum image_record_type */
    uint16_t flags;
    uint64_t length;   /* of the payload that follows, bytes */
    uint64_t checksum; /* of the payload; of IMAGE_DATA without the stored bytes */
    uint64_t own; /* checksum of all before it in this struct, of where the record begins (eight
                   * bytes) and of the header's id: one in the place of another is found */
};

enum image_codec { IMAGE_RAW = 0, IMAGE_ZSTD = 1 };

/* One chunk: of its pages only those that have a byte other than zero are stored, one behind the
 * other, and these may be compressed. */
struct image_data {
    uint32_t size; /* of the chunk, bytes */
    uint8_t codec; /* enum image_codec */
    uint8_t paged; /* a page map follows: a bit for each page, set for those that are stored */
    uint16_t reserved;
    uint64_t stored;  /* checksum of the stored bytes if compressed; of others the hash tells: 0 */
    uint64_t hash[2]; /* XXH3, 128 bits (low, high), of the chunk's bytes */
};

struct image_end {
    uint64_t index;   /* where the index record begins */
    uint64_t records; /* how many there are, this one left out */
    uint8_t id[16];   /* the header's */
};

#endif
