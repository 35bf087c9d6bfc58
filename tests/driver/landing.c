/* SPDX-License-Identifier: Apache-2.0 */
/* Callbacks that may come after their driver has been unloaded: see landing.h. */
#include "tests/driver/landing.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#define EXPORT __attribute__((visibility("default")))

struct landing {
    const void *owner;        /* NULL: gone, and the function with it */
    void (*function)(void *); /* in the driver */
    void *data;
    struct landing *next, **link; /* in the list */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t returned = PTHREAD_COND_INITIALIZER;
/* Both guarded by lock. */
static struct landing *landings;
static unsigned running;

EXPORT struct landing *landing_make(const void *owner, void (*function)(void *), void *data)
{
    struct landing *landing = malloc(sizeof *landing);
    if (!landing)
        return NULL;
    pthread_mutex_lock(&lock);
    *landing = (struct landing){owner, function, data, landings, &landings};
    if (landings)
        landings->link = &landing->next;
    landings = landing;
    pthread_mutex_unlock(&lock);
    return landing;
}

/* With the lock held. */
static void take_off(struct landing *landing)
{
    *landing->link = landing->next;
    if (landing->next)
        landing->next->link = landing->link;
}

EXPORT void landing_cancel(struct landing *landing)
{
    if (!landing)
        return;
    pthread_mutex_lock(&lock);
    take_off(landing);
    pthread_mutex_unlock(&lock);
    free(landing);
}

static void land(struct landing *landing)
{
    pthread_mutex_lock(&lock);
    take_off(landing);
    bool wanted = landing->owner != NULL;
    running += wanted;
    pthread_mutex_unlock(&lock);
    if (wanted)
        landing->function(landing->data);
    free(landing);
    if (!wanted)
        return;
    pthread_mutex_lock(&lock);
    running--;
    pthread_cond_broadcast(&returned);
    pthread_mutex_unlock(&lock);
}

EXPORT void CL_CALLBACK landing_context(cl_context context, void *landing)
{
    land(landing);
}

EXPORT void CL_CALLBACK landing_mem(cl_mem mem, void *landing)
{
    land(landing);
}

EXPORT void landing_close(const void *owner)
{
    pthread_mutex_lock(&lock);
    for (struct landing *landing = landings; landing; landing = landing->next)
        if (landing->owner == owner)
            landing->owner = NULL;
    while (running)
        pthread_cond_wait(&returned, &lock);
    pthread_mutex_unlock(&lock);
}
