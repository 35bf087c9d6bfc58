/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting, on one event loop: the host side does one thing after the other, and while it waits for
 * one of them everything else that happens is seen too. SIGINT, SIGTERM and SIGHUP end a wait;
 * those that come together count once. */
#ifndef SHADOWCL_AGENT_VM_TURNS_H
#define SHADOWCL_AGENT_VM_TURNS_H

#include "shim/error.h"

#include <stdbool.h>
#include <uv.h>

enum { TURNS_SIGNALS = 3 };

struct turns {
    uv_loop_t loop;
    uv_timer_t tick;
    uv_signal_t signals[TURNS_SIGNALS];
    int stops;    /* times that somebody wanted an end */
    int patience; /* a wait ends when there were so many */
    double last_stop;
    bool is_hung_up; /* a terminal is closed once */
    void (*on_tick)(void *data);
    void (*on_stop)(void *data);
    void *data;
};

enum turns_end { TURNS_DONE, TURNS_TIMED_OUT, TURNS_STOPPED };

int turns_init(struct turns *turns, struct error *err);
/* Closes what is still open on the loop: channels are closed by their owners before. */
void turns_finish(struct turns *turns);
/* Until `is_done`, asked at every turn; `until` is a time of text_clock. */
enum turns_end turns_wait(struct turns *turns, bool (*is_done)(void *data), void *data,
                          double until);
/* No wait is begun any more: what would need one is not to be begun either. */
bool turns_are_over(const struct turns *turns);
/* The reason for an end that is not TURNS_DONE: "no answer within 10 s", "interrupted". -1. */
int turns_explain(enum turns_end end, double seconds, const char *what, struct error *err);

#endif
