/* SPDX-License-Identifier: Apache-2.0 */
/* Marks what applications may see; all else is hidden. */
#ifndef SHADOWCL_SHIM_EXPORT_H
#define SHADOWCL_SHIM_EXPORT_H

#define EXPORT __attribute__((visibility("default")))

#endif
