/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that runs the application's callbacks: see callback.h. */
#include "shim/callback.h"

#include <pthread.h>
#include <stddef.h>

#include "shim/phase.h"
#include "shim/thread.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t posted = PTHREAD_COND_INITIALIZER;
static struct post *first, **last = &first; /* guarded by lock */
static bool running;                        /* guarded by lock */

static void *run(void *unused)
{
    for (;;) {
        pthread_mutex_lock(&lock);
        while (!first)
            pthread_cond_wait(&posted, &lock);
        struct post *post = first;
        first = post->next;
        if (!first)
            last = &first;
        pthread_mutex_unlock(&lock);
        post->run(post);
    }
    return NULL;
}

bool callback_prepare(void)
{
    pthread_mutex_lock(&lock);
    if (!running)
        running = thread_start(run, NULL);
    bool answer = running;
    pthread_mutex_unlock(&lock);
    return answer;
}

void callback_post(struct post *post)
{
    NOT_FROZEN(); /* a driver may be telling something in the midst of its call */
    post->next = NULL;
    pthread_mutex_lock(&lock);
    *last = post;
    last = &post->next;
    pthread_mutex_unlock(&lock);
    pthread_cond_signal(&posted);
}

void callback_forked(void)
{
    pthread_mutex_init(&lock, NULL);
    pthread_cond_init(&posted, NULL);
    running = false;
    first = NULL;
    last = &first;
}
