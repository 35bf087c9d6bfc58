/* SPDX-License-Identifier: Apache-2.0 */
/* Where the program's first thread returns from `main`, nobody calls the `exit` of shim/exit.c.
 * What is of that thread alone goes before all exit handlers then; and then only, not when it ends
 * by pthread_exit. */
#ifndef SHADOWCL_SHIM_FIRST_THREAD_H
#define SHADOWCL_SHIM_FIRST_THREAD_H

/* For the program's first thread: more than once changes nothing. */
void first_thread_note(void);

#endif
