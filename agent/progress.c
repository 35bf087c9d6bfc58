/* SPDX-License-Identifier: Apache-2.0 */
/* One line on a terminal, rewritten while processes take their time. */
#include "agent/progress.h"

#include "agent/process.h"
#include "agent/text.h"

#include <stdio.h>
#include <unistd.h>

/* Seconds: nobody needs a line before the first, nor more often than the second. */
static const double first_after = 1, then_every = 0.5, status_timeout = 0.3;

void progress_start(struct progress *progress, const char *doing)
{
    double now = text_clock();
    *progress = (struct progress){.doing = doing,
                                  .start = now,
                                  .next = now + first_after,
                                  .is_terminal = isatty(STDERR_FILENO)};
}

static void (*observer)(const char *doing, const struct exchange *list, size_t count, void *data);
static void *observer_data;

void progress_observe(void (*look)(const char *doing, const struct exchange *list, size_t count,
                                   void *data),
                      void *data)
{
    observer = look;
    observer_data = data;
}

control_response *progress_ask(const struct peer *peer)
{
    control_request request = SHADOWCL__CONTROL__REQUEST__INIT;
    Shadowcl__Control__Status status = SHADOWCL__CONTROL__STATUS__INIT;
    struct exchange exchange = {.peer = peer};
    request.version = 1;
    request.verb_case = SHADOWCL__CONTROL__REQUEST__VERB_STATUS;
    request.status = &status;
    exchange_run(&exchange, 1, &request, status_timeout, NULL);
    control_response *response = exchange.response;
    exchange.response = NULL;
    exchange_finish(&exchange, 1);
    return response;
}

static void state_of(const struct peer *peer, char *out, size_t size)
{
    control_response *response = progress_ask(peer);
    snprintf(out, size, "%s", response ? control_state_name(response->state) : "not answering");
    if (response)
        shadowcl__control__response__free_unpacked(response, NULL);
}

void progress_tick(struct progress *progress, const struct exchange *list, size_t count)
{
    double now = text_clock();
    if (observer)
        observer(progress->doing, list, count, observer_data);
    if (observer || !progress->is_terminal || now < progress->next)
        return;
    progress->next = now + then_every;
    const struct exchange *waiting = NULL;
    size_t pending = 0;
    for (size_t i = 0; i < count; i++) {
        if (list[i].end != EXCHANGE_PENDING)
            continue;
        pending++;
        waiting = waiting ? waiting : &list[i];
    }
    if (!waiting)
        return;
    char state[32], command[32];
    state_of(waiting->peer, state, sizeof state);
    process_command(waiting->peer->pid, command, sizeof command);
    fprintf(stderr, "\r\033[K%s %d %s: %s, %.1f s", progress->doing, (int)waiting->peer->pid,
            command, state, now - progress->start);
    if (count > 1)
        fprintf(stderr, " (%zu of %zu done)", count - pending, count);
    fflush(stderr);
    progress->is_shown = true;
}

void progress_tell(struct progress *progress, const char *what, double fraction)
{
    char clean[64];
    double now = text_clock();
    if (!progress->is_terminal || now < progress->next)
        return;
    progress->next = now + then_every;
    fprintf(stderr, "\r\033[K%s %s: ", progress->doing, text_clean(clean, sizeof clean, what));
    if (fraction >= 0)
        fprintf(stderr, "%.0f %%, ", fraction * 100);
    fprintf(stderr, "%.1f s", now - progress->start);
    fflush(stderr);
    progress->is_shown = true;
}

void progress_end(struct progress *progress)
{
    if (progress->is_shown)
        fputs("\r\033[K", stderr);
}
