/* SPDX-License-Identifier: Apache-2.0 */
/* How the pixels of an image lie in host memory. All regions are three numbers as the enqueue calls
 * take them: of a 1D array the second, of a 2D array the third counts layers (OpenCL 3.0 §5.3.3).
 * Inside, a row pitch is always the step from one [1] to the next, and a slice pitch from one [2]
 * to the next; only image_pitches() knows what the calls mean by theirs. */
#ifndef SHADOWCL_STATE_IMAGE_H
#define SHADOWCL_STATE_IMAGE_H

#include "state/mem.h"

/* §5.3.1.1: bytes of a pixel; 0 for a format that we don't know. */
size_t image_element_size(const cl_image_format *format);

/* Remembers format and descriptor in what follows from them: element, extent, and the pitches of
 * host memory that goes with the descriptor. */
void image_layout(struct image *image, const cl_image_format *format, const cl_image_desc *desc);
/* Both again. Of the descriptor's pitches only those that mean something for its type are as they
 * were given, and it names our parent. */
cl_image_format image_format(const struct image *image);
cl_image_desc image_desc(const struct mem *mem);
/* As the driver says, of a format that we don't know or whose pixels it pads; what follows from it
 * is set too. */
void image_pad(struct image *image, size_t element);
void image_set_element(struct mem *mem, size_t element);
/* What the driver has said of the first real image. false without memory. */
struct image_told image_told(const struct mem *mem);
bool image_set_told(struct mem *mem, const struct image_told *told);
/* Bytes of the whole image without gaps. */
size_t image_tight_size(const struct image *image);

bool image_reaches_outside(const struct mem *mem, const size_t origin[3], const size_t region[3]);
/* Is that region within the image, and not empty? CL_INVALID_VALUE if not. */
cl_int image_check_region(const struct mem *mem, const size_t origin[3], const size_t region[3]);
/* Has it contain nothing, in the last of the image's dimensions. */
void image_empty_region(const struct mem *mem, size_t region[3]);
/* Are these pitches (0: none given) good for a read or write of that region? */
cl_int image_check_pitches(const struct mem *mem, const size_t region[3], size_t row_pitch,
                           size_t slice_pitch);

/* For a map of mapping->origin and ->region: sets its pitches, and `pointer` when the map lies in
 * the application's memory (CL_MEM_USE_HOST_PTR). slice_pitch * region[2] bytes hold the region. */
void image_place_mapping(const struct mem *mem, struct mapping *mapping);
/* A mapping's pitches as clEnqueueMapImage tells them to the application, and as the driver's reads
 * and writes take them. */
void image_pitches(const struct mem *mem, const struct mapping *mapping, size_t *row_pitch,
                   size_t *slice_pitch);
/* Bytes of host memory from a mapping's first pixel to behind its last. */
size_t image_span(const struct mem *mem, const struct mapping *mapping);

#endif
