/* SPDX-License-Identifier: Apache-2.0 */
/* Marks what applications may see; all else is hidden. */
#ifndef SHADOWCL_SHIM_EXPORT_H
#define SHADOWCL_SHIM_EXPORT_H

#define EXPORT __attribute__((visibility("default")))
/* Before data that another file defines, where every call reads it: the compiler can't know that it
 * is ours, and would look up its address first. */
#define OURS __attribute__((visibility("hidden")))

#endif
