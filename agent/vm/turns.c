/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting, on one event loop: see turns.h. */
#include "agent/vm/turns.h"

#include "agent/text.h"

#include <signal.h>

enum { TICK_MS = 50 };

/* Seconds. A terminal that is closed sends SIGHUP, and so does the shell in it: what comes so soon
 * is no second wish. */
static const double same_wish = 1;

static const int signals[TURNS_SIGNALS] = {SIGINT, SIGTERM, SIGHUP};

static void on_tick(uv_timer_t *timer)
{
    struct turns *turns = timer->data;
    if (turns->on_tick)
        turns->on_tick(turns->data);
}

static bool is_repeated(const struct turns *turns, int signal)
{
    return turns->stops > 0 &&
           (text_clock() - turns->last_stop < same_wish || (signal == SIGHUP && turns->is_hung_up));
}

static void on_signal(uv_signal_t *handle, int signal)
{
    struct turns *turns = handle->data;
    if (is_repeated(turns, signal))
        return;
    turns->is_hung_up |= signal == SIGHUP;
    turns->last_stop = text_clock();
    turns->stops++;
    if (turns->on_stop)
        turns->on_stop(turns->data);
}

int turns_init(struct turns *turns, struct error *err)
{
    *turns = (struct turns){.patience = 1};
    signal(SIGPIPE, SIG_IGN);
    int status = uv_loop_init(&turns->loop);
    if (status < 0)
        return error_set(err, -status, "no event loop can be made");
    uv_timer_init(&turns->loop, &turns->tick);
    turns->tick.data = turns;
    uv_timer_start(&turns->tick, on_tick, TICK_MS, TICK_MS);
    for (int i = 0; i < TURNS_SIGNALS; i++) {
        uv_signal_init(&turns->loop, &turns->signals[i]);
        turns->signals[i].data = turns;
        uv_signal_start(&turns->signals[i], on_signal, signals[i]);
    }
    return 0;
}

void turns_finish(struct turns *turns)
{
    sigset_t late;
    /* All is said by now: one more interruption does not take the exit code away. */
    sigemptyset(&late);
    for (int i = 0; i < TURNS_SIGNALS; i++)
        sigaddset(&late, signals[i]);
    pthread_sigmask(SIG_BLOCK, &late, NULL);
    uv_close((uv_handle_t *)&turns->tick, NULL);
    for (int i = 0; i < TURNS_SIGNALS; i++)
        uv_close((uv_handle_t *)&turns->signals[i], NULL);
    uv_run(&turns->loop, UV_RUN_DEFAULT);
    uv_loop_close(&turns->loop);
}

bool turns_are_over(const struct turns *turns)
{
    return turns->stops >= turns->patience;
}

enum turns_end turns_wait(struct turns *turns, bool (*is_done)(void *data), void *data,
                          double until)
{
    while (!is_done(data)) {
        if (turns_are_over(turns))
            return TURNS_STOPPED;
        if (text_clock() >= until)
            return TURNS_TIMED_OUT;
        uv_run(&turns->loop, UV_RUN_ONCE);
    }
    return TURNS_DONE;
}

int turns_explain(enum turns_end end, double seconds, const char *what, struct error *err)
{
    if (end == TURNS_STOPPED)
        return error_set(err, 0, "interrupted, before %s", what);
    return error_set(err, 0, "%s did not come within %.3g s", what, seconds);
}
