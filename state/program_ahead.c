/* SPDX-License-Identifier: Apache-2.0 */
/* Binaries made ahead of a move: see program_ahead.h. */
#include "state/program_ahead.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Guards `ahead` and `ahead_for` while the program runs. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void forget(struct build_device *device)
{
    free(device->ahead.bytes);
    free(device->ahead_for);
    free(device->ahead_kernels);
    device->ahead = (struct blob){0};
    device->ahead_for = device->ahead_kernels = NULL;
}

void program_keep_ahead(struct program *program, const struct build *build, cl_uint i,
                        const char *identity, struct blob binary, char *kernels)
{
    char *copy = strdup(identity);
    pthread_mutex_lock(&lock);
    struct build *now = atomic_load(&program->build);
    if (now == build && copy) {
        forget(&now->devices[i]);
        now->devices[i].ahead = binary;
        now->devices[i].ahead_for = copy;
        now->devices[i].ahead_kernels = kernels;
        binary.bytes = NULL;
        copy = kernels = NULL;
    }
    pthread_mutex_unlock(&lock);
    free(binary.bytes);
    free(copy);
    free(kernels);
}

const struct blob *build_ahead(const struct build *build, cl_uint i, const char *identity)
{
    const struct build_device *device = &build->devices[i];
    return device->ahead_for && !strcmp(device->ahead_for, identity) ? &device->ahead : NULL;
}

bool build_ahead_has(const struct build *build, cl_uint i, const char *kernel)
{
    size_t length = strlen(kernel);
    const char *name = build->devices[i].ahead_kernels;
    for (const char *end; name; name = *end ? end + 1 : NULL) {
        end = strchrnul(name, ';');
        if ((size_t)(end - name) == length && memcmp(name, kernel, length) == 0)
            return true;
    }
    return false;
}

void build_forget_ahead(struct build *build)
{
    pthread_mutex_lock(&lock);
    for (cl_uint i = 0; i < build->num_devices; i++)
        forget(&build->devices[i]);
    pthread_mutex_unlock(&lock);
}

void program_ahead_forked(void)
{
    pthread_mutex_init(&lock, NULL);
}
