/* SPDX-License-Identifier: Apache-2.0 */
/* Whether memory can be written: see writable.h. The kernel is asked to add nothing to a word, in
 * one step, so that what another thread stores there is not lost: where a store would fault, it
 * answers with an error. */
#include "state/writable.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STRIDE ((size_t)1 << 20)

static bool word_is_writable(uintptr_t at)
{
    static uint32_t nobody; /* sleeps here */
    const int add_nothing = FUTEX_OP(FUTEX_OP_ADD, 0, FUTEX_OP_CMP_LT, 0);
    uint32_t *word = (uint32_t *)(at & ~(uintptr_t)3);
    return syscall(SYS_futex, &nobody, FUTEX_WAKE_OP | FUTEX_PRIVATE_FLAG, 0, NULL, word,
                   add_nothing) >= 0 ||
           errno != EFAULT;
}

bool writable(const void *memory, size_t size)
{
    uintptr_t begin = (uintptr_t)memory;
    for (size_t at = 0; at < size; at += STRIDE)
        if (!word_is_writable(begin + at))
            return false;
    return size == 0 || word_is_writable(begin + size - 1);
}
