/* SPDX-License-Identifier: Apache-2.0 */
/* Going through the open device nodes: see residue.h. */
#ifndef SHADOWCL_SHIM_RESIDUE_VISIT_H
#define SHADOWCL_SHIM_RESIDUE_VISIT_H

#include "shim/residue.h"

/* What the node has is borrowed. */
typedef int residue_visitor(void *data, const struct node *node, struct error *err);

/* Calls `visit` for each descriptor of a device node; allocates nothing (opendir would). */
int residue_visit(residue_visitor *visit, void *data, struct error *err);

#endif
