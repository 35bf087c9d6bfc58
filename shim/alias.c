/* SPDX-License-Identifier: Apache-2.0 */
/* The library `libOpenCL.so`: nothing but its name and a dependency on our libOpenCL.so.1. Programs
 * that ask for `libOpenCL.so` first (hashcat, OpenCV) find it by that name once it is preloaded,
 * and the functions through its dependency. */

extern const char shadowcl_alias __attribute__((visibility("hidden")));
const char shadowcl_alias = 1;
