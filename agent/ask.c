/* SPDX-License-Identifier: Apache-2.0 */
/* The requests, put to many processes at once. */
#include "agent/ask.h"

#include "agent/away.h"
#include "agent/process.h"
#include "agent/progress.h"
#include "agent/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PROTOCOL_VERSION = 1, SINCE_CHECK_OF_SUSPEND = 2, DYING_TRIES = 30, LOOK_US = 10000 };

static bool is_asked(const struct report *report)
{
    return report->peer && !report->failed;
}

/* The exchanges of those that are asked, in their order; NULL when there is no room. */
static struct exchange *start(struct report *list, size_t count, const int *descriptor,
                              size_t *asked)
{
    struct exchange *exchanges = calloc(count + 1, sizeof *exchanges);
    *asked = 0;
    for (size_t i = 0; exchanges && i < count; i++)
        if (is_asked(&list[i]))
            exchanges[(*asked)++] =
                (struct exchange){.peer = list[i].peer, .descriptor = descriptor};
    for (size_t i = 0; !exchanges && i < count; i++)
        if (is_asked(&list[i]))
            error_set(report_fail(&list[i]), ENOMEM, "it was not asked");
    return exchanges;
}

/* A process that dies closes its sockets a moment before it is dead. */
static bool is_ending(const struct report *report, enum exchange_end end)
{
    int tries = end == EXCHANGE_BROKEN ? DYING_TRIES : 0;
    for (; tries > 0 && process_lives(report->pid); tries--)
        usleep(LOOK_US);
    return !process_lives(report->pid);
}

static void ask_state(struct report *list, size_t count, bool nodes)
{
    control_request request = SHADOWCL__CONTROL__REQUEST__INIT;
    Shadowcl__Control__Status status = SHADOWCL__CONTROL__STATUS__INIT;
    status.nodes = nodes;
    size_t asked, at = 0;
    struct exchange *exchanges = start(list, count, NULL, &asked);
    if (!exchanges)
        return;
    request.version = PROTOCOL_VERSION;
    request.verb_case = SHADOWCL__CONTROL__REQUEST__VERB_STATUS;
    request.status = &status;
    exchange_run(exchanges, asked, &request, STATUS_TIMEOUT, NULL);
    for (size_t i = 0; i < count; i++) {
        if (!is_asked(&list[i]))
            continue;
        enum exchange_end end = exchanges[at].end;
        /* It has become another program, then, or is just ending; or CRIU copies it. */
        bool is_gone = exchanges[at].is_deserted && !away_is(list[i].pid);
        report_take(&list[i], &exchanges[at++]);
        if (end == EXCHANGE_ANSWERED)
            continue;
        list[i].failed = false;
        report_set_state(&list[i], is_gone || is_ending(&list[i], end) ? "gone"
                                   : end == EXCHANGE_BROKEN            ? "unknown"
                                                                       : "not answering");
    }
    exchange_finish(exchanges, asked);
    free(exchanges);
}

void ask_status(struct report *list, size_t count)
{
    ask_state(list, count, false);
}

void ask_nodes(struct report *list, size_t count)
{
    ask_state(list, count, true);
}

/* The answer was lost: what state did that leave the process in? */
static void settle(struct report *report)
{
    struct report now = *report;
    now.failed = false;
    now.response = NULL;
    ask_status(&now, 1);
    report_set_state(report, now.state);
    report_finish(&now);
    if (strcmp(report->state, "gone"))
        return;
    error_set(&report->error, 0, "it ended%s before it answered",
              process_lives(report->pid) ? ", or became another program," : "");
    error_todo(&report->error, "see its own messages and exit code; nothing is left to do for "
                               "shadowcl");
}

/* `descriptor`: NULL, or what travels with it. */
static void ask_with(struct report *list, size_t count, control_request *request,
                     const int *descriptor, double timeout, const char *doing)
{
    size_t asked, at = 0;
    struct progress progress;
    struct exchange *exchanges = start(list, count, descriptor, &asked);
    if (!exchanges)
        return;
    if (!request->version)
        request->version = PROTOCOL_VERSION;
    progress_start(&progress, doing);
    exchange_run(exchanges, asked, request, timeout, &progress);
    progress_end(&progress);
    for (size_t i = 0; i < count; i++)
        if (is_asked(&list[i])) {
            report_take(&list[i], &exchanges[at++]);
            if (!list[i].response)
                settle(&list[i]);
        }
    exchange_finish(exchanges, asked);
    free(exchanges);
}

static void ask(struct report *list, size_t count, control_request *request, double timeout,
                const char *doing)
{
    ask_with(list, count, request, NULL, timeout, doing);
}

/* The message's part, or NULL. */
static Shadowcl__Control__Prepare *fill_prepare(Shadowcl__Control__Prepare *to,
                                                const struct ask_prepare *prepare)
{
    if (!prepare || !prepare->wanted)
        return NULL;
    shadowcl__control__prepare__init(to);
    to->max_rounds = prepare->max_rounds;
    to->target = prepare->target;
    to->rate = prepare->rate;
    return to;
}

/* One that is just ending has nothing to be carried, once it has ended. */
static void wait_for_end(struct report *report, double until)
{
    if (!report->failed || !report->response || !report->response->ending)
        return;
    while (process_lives(report->pid) && text_clock() < until)
        usleep(LOOK_US);
    if (process_lives(report->pid))
        return;
    report_set_state(report, "gone");
    error_set(&report->error, 0, "it ended before it could be suspended");
    error_todo(&report->error, "nothing is left to do for shadowcl");
}

static void ask_to_suspend(struct report *list, size_t count, double deadline,
                           const struct ask_prepare *prepare, bool leave, double timeout)
{
    Shadowcl__Control__Prepare beforehand;
    control_request request = SHADOWCL__CONTROL__REQUEST__INIT;
    Shadowcl__Control__Suspend suspend = SHADOWCL__CONTROL__SUSPEND__INIT;
    suspend.deadline = deadline;
    suspend.prepare = fill_prepare(&beforehand, prepare);
    suspend.leave = leave;
    request.verb_case = SHADOWCL__CONTROL__REQUEST__VERB_SUSPEND;
    request.suspend = &suspend;
    ask(list, count, &request, timeout, "suspending");
    double until = text_clock() + deadline;
    for (size_t i = 0; i < count; i++)
        wait_for_end(&list[i], until);
}

void ask_suspend(struct report *list, size_t count, double deadline,
                 const struct ask_prepare *prepare, double timeout)
{
    ask_to_suspend(list, count, deadline, prepare, false, timeout);
}

void ask_leave(struct report *list, size_t count, double deadline, double timeout)
{
    ask_to_suspend(list, count, deadline, NULL, true, timeout);
}

void ask_resume(struct report *list, size_t count, const struct ask_resume *how, double timeout)
{
    control_request request = SHADOWCL__CONTROL__REQUEST__INIT;
    Shadowcl__Control__Resume resume = SHADOWCL__CONTROL__RESUME__INIT;
    resume.device = (char *)how->device;
    resume.strict = how->strict;
    resume.lazy = how->lazy;
    request.verb_case = SHADOWCL__CONTROL__REQUEST__VERB_RESUME;
    request.resume = &resume;
    ask(list, count, &request, timeout, "resuming");
}

void ask_move(struct report *list, size_t count, double deadline, const struct ask_prepare *prepare,
              const struct ask_resume *how, double timeout)
{
    Shadowcl__Control__Prepare beforehand;
    control_request request = SHADOWCL__CONTROL__REQUEST__INIT;
    Shadowcl__Control__Move move = SHADOWCL__CONTROL__MOVE__INIT;
    move.deadline = deadline;
    move.prepare = fill_prepare(&beforehand, prepare);
    move.device = (char *)how->device;
    move.strict = how->strict;
    move.lazy = how->lazy;
    request.verb_case = SHADOWCL__CONTROL__REQUEST__VERB_MOVE;
    request.move = &move;
    ask(list, count, &request, timeout, "moving");
}

void ask_suspend_to(struct report *report, double deadline, const struct ask_prepare *prepare,
                    const struct ask_image *image, double timeout)
{
    Shadowcl__Control__Prepare beforehand;
    Shadowcl__Control__Image where = SHADOWCL__CONTROL__IMAGE__INIT;
    control_request request = SHADOWCL__CONTROL__REQUEST__INIT;
    Shadowcl__Control__Suspend suspend = SHADOWCL__CONTROL__SUSPEND__INIT;
    where.compression = image->compression;
    suspend.deadline = deadline;
    suspend.prepare = fill_prepare(&beforehand, prepare);
    suspend.image = &where;
    request.verb_case = SHADOWCL__CONTROL__REQUEST__VERB_SUSPEND;
    request.suspend = &suspend;
    ask_with(report, 1, &request, &image->fd, timeout, "suspending");
    wait_for_end(report, text_clock() + deadline);
}

void ask_save(struct report *report, double deadline, const struct ask_prepare *prepare,
              const struct ask_image *image, double timeout)
{
    Shadowcl__Control__Prepare beforehand;
    Shadowcl__Control__Image where = SHADOWCL__CONTROL__IMAGE__INIT;
    control_request request = SHADOWCL__CONTROL__REQUEST__INIT;
    Shadowcl__Control__Save save = SHADOWCL__CONTROL__SAVE__INIT;
    where.compression = image->compression;
    save.deadline = deadline;
    save.prepare = fill_prepare(&beforehand, prepare);
    save.image = &where;
    request.verb_case = SHADOWCL__CONTROL__REQUEST__VERB_SAVE;
    request.save = &save;
    ask_with(report, 1, &request, &image->fd, timeout, "saving");
}

void ask_check(struct report *list, size_t count, double deadline, const struct ask_check *what,
               double timeout)
{
    control_request request = SHADOWCL__CONTROL__REQUEST__INIT;
    Shadowcl__Control__Check check = SHADOWCL__CONTROL__CHECK__INIT;
    check.deadline = deadline;
    check.device = (char *)(what->device ? what->device : "");
    check.strict = what->strict;
    check.suspend = !what->device;
    if (check.suspend) /* one that knows of devices only would say that nothing is missing */
        request.version = SINCE_CHECK_OF_SUSPEND;
    request.verb_case = SHADOWCL__CONTROL__REQUEST__VERB_CHECK;
    request.check = &check;
    ask(list, count, &request, timeout, "checking");
}

void ask_build(struct report *list, size_t count, double deadline, const char *device,
               double timeout)
{
    control_request request = SHADOWCL__CONTROL__REQUEST__INIT;
    Shadowcl__Control__Build build = SHADOWCL__CONTROL__BUILD__INIT;
    build.deadline = deadline;
    build.device = (char *)device;
    request.verb_case = SHADOWCL__CONTROL__REQUEST__VERB_BUILD;
    request.build = &build;
    ask(list, count, &request, timeout, "preparing");
}
