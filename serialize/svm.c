/* SPDX-License-Identifier: Apache-2.0 */
/* SVM allocations as messages, but for their bytes. See save.h. */
#include "serialize/save.h"

void save_svm(const struct svm *svm, Shadowcl__Image__Svm *to)
{
    to->context = save_serial(svm->context);
    to->pointer = (uintptr_t)svm->pointer;
    to->size = svm->size;
    to->flags = svm->flags;
    to->alignment = svm->alignment;
}
