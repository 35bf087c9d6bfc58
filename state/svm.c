/* SPDX-License-Identifier: Apache-2.0 */
/* The live SVM allocations, ordered by address: see svm.h. */
#include "state/svm.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "shim/phase.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct svm *list; /* owned, ordered by pointer; this and the two below guarded by lock, or
                            the closed gate */
static size_t count, room;

/* The place of the first allocation that does not begin below pointer. With lock. */
static size_t place_of(const void *pointer)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if ((uintptr_t)list[middle].pointer < (uintptr_t)pointer)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool add(const struct svm *svm)
{
    bool done = true;
    pthread_mutex_lock(&lock);
    if (count == room) {
        size_t wanted = room ? room * 2 : 16;
        struct svm *larger = realloc(list, wanted * sizeof *list);
        done = larger != NULL;
        if (larger) {
            list = larger;
            room = wanted;
        }
    }
    if (done) {
        size_t place = place_of(svm->pointer);
        memmove(&list[place + 1], &list[place], (count++ - place) * sizeof *list);
        list[place] = *svm;
    }
    pthread_mutex_unlock(&lock);
    return done;
}

static bool take(const struct context *context, const void *pointer, struct svm *taken)
{
    pthread_mutex_lock(&lock);
    size_t place = place_of(pointer);
    bool found = place < count && list[place].pointer == pointer && list[place].context == context;
    if (found) {
        *taken = list[place];
        memmove(&list[place], &list[place + 1], (--count - place) * sizeof *list);
    }
    pthread_mutex_unlock(&lock);
    return found;
}

bool svm_contains(const void *pointer)
{
    pthread_mutex_lock(&lock);
    size_t place = place_of(pointer);
    bool found = place < count && list[place].pointer == pointer;
    if (!found && place) {
        const struct svm *before = &list[place - 1];
        found = (uintptr_t)pointer - (uintptr_t)before->pointer < before->size;
    }
    pthread_mutex_unlock(&lock);
    return found;
}

/* Memory as the driver's would be aligned: at least as the largest type. */
static void *own_memory(size_t size, size_t alignment)
{
    void *memory = NULL;
    size_t least = size >= 65536 ? 4096 : 128;
    if (posix_memalign(&memory, alignment > least ? alignment : least, size) != 0)
        return NULL;
    return memory;
}

void *svm_alloc(struct context *context, cl_svm_mem_flags flags, size_t size, cl_uint alignment)
{
    const struct driver *driver = context->object.driver;
    if (!driver->clSVMAlloc || !driver->clSVMFree)
        return NULL;
    /* The driver says what may be had, also when the memory will be ours. */
    struct svm svm = {NULL,      driver->clSVMAlloc(context_real(context), flags, size, alignment),
                      size,      flags,
                      alignment, false};
    if (!svm.pointer)
        return NULL;
    if (svm_foreign(context)) {
        driver->clSVMFree(context_real(context), svm.pointer);
        svm.pointer = own_memory(size, alignment);
        svm.own = true;
        if (!svm.pointer)
            return NULL;
    }
    svm.context = object_hold(context);
    if (add(&svm))
        return svm.pointer;
    if (svm.own)
        free(svm.pointer);
    else
        driver->clSVMFree(context_real(context), svm.pointer);
    object_drop(context);
    return NULL;
}

void svm_free(struct context *context, void *pointer)
{
    struct svm svm;
    if (!pointer || !take(context, pointer, &svm))
        return;
    if (svm.own)
        free(svm.pointer);
    else
        context->object.driver->clSVMFree(context_real(context), svm.pointer);
    object_drop(context);
}

bool svm_adopt(const struct svm *svm)
{
    pthread_mutex_lock(&lock);
    size_t place = place_of(svm->pointer);
    uintptr_t begin = (uintptr_t)svm->pointer;
    bool overlaps = (place < count && (uintptr_t)list[place].pointer - begin < svm->size) ||
                    (place && begin - (uintptr_t)list[place - 1].pointer < list[place - 1].size);
    pthread_mutex_unlock(&lock);
    if (overlaps || !add(svm))
        return false;
    object_hold(svm->context);
    return true;
}

void svm_disown(struct context *context, const void *pointer)
{
    struct svm svm;
    if (take(context, pointer, &svm))
        object_drop(context);
}

int svm_carriable(struct error *err)
{
    int result = 0;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < count && result == 0; i++) {
        const struct svm *svm = &list[i];
        if (svm->own)
            continue;
        error_object(err, "SVM allocation %p of %zu bytes, context %llu", svm->pointer, svm->size,
                     (unsigned long long)svm->context->object.serial);
        error_set(err, 0, "its driver can't give the same address again");
        result = error_todo(err, "let the program free it (clSVMFree) before the suspend");
    }
    pthread_mutex_unlock(&lock);
    return result;
}

int svm_compatible(const struct device *from, const struct driver *driver, cl_device_id other,
                   size_t *next, struct error *err)
{
    int result = 0;
    if (svm_may_be_asked(driver, other))
        return 0;
    pthread_mutex_lock(&lock);
    while (*next < count && result == 0) {
        const struct svm *svm = &list[(*next)++];
        if (!context_has_device(svm->context, from))
            continue;
        error_object(err, "SVM allocation %p of %zu bytes", svm->pointer, svm->size);
        error_set(err, 0, "the device does not take memory that is not its driver's");
        result = error_todo(err, "resume on a device of the same kind as before");
    }
    pthread_mutex_unlock(&lock);
    return result;
}

static bool takes_foreign(struct context *context)
{
    IN_DRIVER(context->object.driver->library, &context->object, false);
    return svm_foreign(context);
}

int svm_check_rebuilt(struct error *err)
{
    int result = 0;
    svm_forget_findings();
    /* The list stays as it is without the lock, too, since the gate is closed; and who asks the
     * driver must have none. */
    for (size_t i = 0; i < count && result == 0; i++) {
        const struct svm *svm = &list[i];
        /* The list is long and the contexts are few: ask once for neighbours. */
        if ((i && list[i - 1].context == svm->context) || takes_foreign(svm->context))
            continue;
        error_object(err, "SVM allocation %p of %zu bytes", svm->pointer, svm->size);
        error_set(err, 0, "the device does not take memory that is not its driver's");
        result = error_todo(err, "resume on a device of the same kind as before");
    }
    return result;
}

size_t svm_count(void)
{
    pthread_mutex_lock(&lock);
    size_t live = count;
    pthread_mutex_unlock(&lock);
    return live;
}

struct svm *svm_list(size_t *live)
{
    pthread_mutex_lock(&lock);
    struct svm *copy = malloc((count + 1) * sizeof *copy);
    *live = copy ? count : 0;
    if (*live)
        memcpy(copy, list, count * sizeof *copy);
    pthread_mutex_unlock(&lock);
    return copy;
}

void svm_forked(void)
{
    pthread_mutex_init(&lock, NULL);
}
