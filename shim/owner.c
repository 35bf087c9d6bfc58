/* SPDX-License-Identifier: Apache-2.0 */
/* Who may suspend or resume now: see owner.h. */
#include "shim/owner.h"

#include <stdatomic.h>
#include <time.h>

#include "shim/cancel.h"
#include "shim/gate.h"

enum owner {
    OWNER_NOBODY,
    OWNER_REQUEST, /* a suspend, resume or move is in progress */
    OWNER_LENT,    /* one is, and lets forks by */
    OWNER_FORK,
    OWNER_END, /* the program is just ending */
};

static _Atomic int owner;
static _Atomic int waiting;    /* threads that fork, or end the program, and want to be the owner */
static _Atomic int ends;       /* of those: that end the program */
static _Atomic unsigned turns; /* of those threads, that have come to an end of their wait */
static _Atomic bool end_begun; /* before all exit handlers; the last of them makes it OWNER_END */
static _Atomic bool end_waits; /* the thread that ends the program waits at the gate */
static _Atomic bool end_is_helped; /* by a resume that it waits for */

static int before_fork; /* enum owner: whom it is given back to; the forking thread's */

static _Thread_local bool forking; /* this thread is the owner, for its fork */
static _Thread_local bool ending;  /* this thread ends the program */

static void pause_a_little(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
}

/* The program's end stays the owner: who forks then has nothing to wait for, but for a resume. */
static bool is_for_good(int before)
{
    return before == OWNER_END && (ending || !atomic_load(&end_is_helped));
}

/* A drain waits for who is inside the gate, and for a native kernel, also while that forks; and the
 * request is on this very thread, where a driver forks or ends the program in a call of ours. */
static bool is_awaited_by_a_request(void)
{
    return gate_inside() || gate_lent();
}

/* True: we are the owner. *before: who was it until now. */
static bool try_to_take(enum owner us, int *before)
{
    *before = OWNER_NOBODY;
    if (atomic_compare_exchange_strong(&owner, before, us))
        return true;
    return us == OWNER_FORK && *before == OWNER_LENT &&
           atomic_compare_exchange_strong(&owner, before, us);
}

/* Becomes the owner, except after one who may be waiting for this thread, or who never goes. */
static bool wait_and_take(enum owner us)
{
    NOT_CANCELLED();
    bool taken = true;
    int before;
    atomic_fetch_add(&waiting, 1);
    atomic_fetch_add(&ends, us == OWNER_END);
    while (taken && !try_to_take(us, &before)) {
        taken = !is_awaited_by_a_request() && !is_for_good(before);
        if (taken)
            pause_a_little();
    }
    if (taken && us == OWNER_FORK)
        before_fork = before;
    atomic_fetch_add(&turns, 1);
    atomic_fetch_sub(&ends, us == OWNER_END);
    atomic_fetch_sub(&waiting, 1);
    return taken;
}

/* A thread that waits looks now and then only: it would never get its turn between requests that
 * follow each other closely. So one goes first. */
static bool take_for_request(bool at_the_end_too)
{
    unsigned before = atomic_load(&turns);
    for (;;) {
        int now = atomic_load(&owner);
        if (now == OWNER_REQUEST || now == OWNER_LENT || now == OWNER_END)
            return false;
        bool our_turn = atomic_load(&waiting) == 0 || atomic_load(&turns) != before;
        if (now == OWNER_NOBODY && our_turn &&
            atomic_compare_exchange_strong(&owner, &now, OWNER_REQUEST))
            break;
        pause_a_little();
    }
    /* Either we see that it has begun, or it sees that we are the owner. */
    if (at_the_end_too || !atomic_load(&end_begun))
        return true;
    owner_give_back();
    return false;
}

bool owner_take(void)
{
    return take_for_request(false);
}

bool owner_take_to_resume(void)
{
    return take_for_request(true);
}

void owner_give_back(void)
{
    atomic_store(&owner, OWNER_NOBODY);
}

void owner_lend(void)
{
    atomic_store(&owner, OWNER_LENT);
}

void owner_take_back(void)
{
    for (int lent = OWNER_LENT; !atomic_compare_exchange_strong(&owner, &lent, OWNER_REQUEST);
         lent = OWNER_LENT)
        pause_a_little();
}

/* Those that come after these have their turn at another time. */
void owner_let_forks_by(void)
{
    unsigned before = atomic_load(&turns);
    int forks = atomic_load(&waiting) - atomic_load(&ends);
    if (forks <= 0)
        return;
    owner_lend();
    while (atomic_load(&turns) - before < (unsigned)forks &&
           atomic_load(&waiting) > atomic_load(&ends))
        pause_a_little();
    owner_take_back();
}

bool owner_take_from_end(void)
{
    bool waits = true;
    bool taken = atomic_compare_exchange_strong(&end_waits, &waits, false);
    if (taken)
        atomic_store(&end_is_helped, true);
    return taken;
}

void owner_return_to_end(bool waits)
{
    atomic_store(&end_is_helped, false);
    if (waits)
        atomic_store(&end_waits, true);
}

bool owner_is_awaited(void)
{
    return atomic_load(&waiting) > 0;
}

bool owner_is_ending(void)
{
    return atomic_load(&end_begun) || atomic_load(&owner) == OWNER_END || atomic_load(&ends) > 0;
}

void owner_before_fork(void)
{
    forking = wait_and_take(OWNER_FORK);
}

void owner_after_fork(void)
{
    if (forking)
        atomic_store(&owner, before_fork);
    forking = false;
}

bool owner_forked(void)
{
    bool waited = forking;
    forking = ending = false;
    atomic_store(&waiting, 0);
    atomic_store(&ends, 0);
    atomic_store(&end_begun, false);
    atomic_store(&end_waits, false);
    atomic_store(&end_is_helped, false);
    owner_give_back();
    return waited;
}

void owner_end_begins(void)
{
    atomic_store(&end_begun, true);
    for (int now = atomic_load(&owner); now == OWNER_REQUEST || now == OWNER_LENT;
         now = atomic_load(&owner)) {
        if (is_awaited_by_a_request())
            return;
        pause_a_little();
    }
}

void owner_before_exit(void)
{
    ending = wait_and_take(OWNER_END) || ending;
}

void owner_waits_at_gate(bool waits)
{
    if (ending)
        atomic_store(&end_waits, waits);
}
