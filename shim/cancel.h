/* SPDX-License-Identifier: Apache-2.0 */
/* pthread_cancel: no call of OpenCL is a cancellation point, but what drivers and we do in one is
 * (a wait, a file). A thread that ended there would leave locks taken for ever, ours or the
 * driver's. It ends at its next cancellation point after the call instead. */
#ifndef SHADOWCL_SHIM_CANCEL_H
#define SHADOWCL_SHIM_CANCEL_H

#include <pthread.h>

static inline int cancel_off(void)
{
    int before = PTHREAD_CANCEL_ENABLE;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    return before;
}

static inline void cancel_restore(const int *before)
{
    pthread_setcancelstate(*before, NULL);
}

/* Until the scope's end; stands before GATE, so that the gate is left first. */
#define NOT_CANCELLED()                                                                            \
    __attribute__((cleanup(cancel_restore), unused)) const int cancel_before = cancel_off()

#endif
