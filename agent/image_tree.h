/* SPDX-License-Identifier: Apache-2.0 */
/* An image's objects as a tree that a person can read: platforms with devices, contexts with what
 * is in them. */
#ifndef SHADOWCL_AGENT_IMAGE_TREE_H
#define SHADOWCL_AGENT_IMAGE_TREE_H

#include "agent/loaded.h"

/* To standard output; loaded_read_objects has been called. */
int image_tree_print(const struct loaded *loaded, struct error *err);

#endif
