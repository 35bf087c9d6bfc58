/* SPDX-License-Identifier: Apache-2.0 */
/* Whose turn it is: two threads may build one program for different devices (OpenCL 3.0 §5.8.2),
 * but each step adds to what the one before has left. */
#include <pthread.h>

#include "state/program.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards every program's `building` */
static pthread_cond_t ended = PTHREAD_COND_INITIALIZER;
/* Another in a forked child: steps of threads that are not there are no steps. */
static _Atomic unsigned process = 1;

#define FETCHING (1u << 31)

bool program_is_building(struct program *program)
{
    return atomic_load(&program->building) == atomic_load(&process);
}

static bool is_taken(struct program *program)
{
    return (atomic_load(&program->building) & ~FETCHING) == atomic_load(&process);
}

static void begin(struct program *program, unsigned what)
{
    pthread_mutex_lock(&lock);
    while (is_taken(program))
        pthread_cond_wait(&ended, &lock);
    atomic_store(&program->building, atomic_load(&process) | what);
    pthread_mutex_unlock(&lock);
}

void program_begin_step(struct program *program)
{
    begin(program, 0);
}

void program_begin_fetch(struct program *program)
{
    begin(program, FETCHING);
}

bool program_try_fetch(struct program *program)
{
    pthread_mutex_lock(&lock);
    bool free = !is_taken(program);
    if (free)
        atomic_store(&program->building, atomic_load(&process) | FETCHING);
    pthread_mutex_unlock(&lock);
    return free;
}

void program_end_step(struct program *program)
{
    pthread_mutex_lock(&lock);
    atomic_store(&program->building, 0);
    pthread_cond_broadcast(&ended);
    pthread_mutex_unlock(&lock);
}

void program_turn_forked(void)
{
    pthread_mutex_init(&lock, NULL);
    pthread_cond_init(&ended, NULL);
    atomic_fetch_add(&process, 1);
}
