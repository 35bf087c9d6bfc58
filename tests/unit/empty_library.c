/* SPDX-License-Identifier: Apache-2.0 */
/* For test_gpu_library.c: its name alone counts. */
extern const int empty_library;
const int empty_library = 1;
