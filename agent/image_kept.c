/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of an image's file once its process has answered. */
#include "agent/image_kept.h"

#include "agent/ask.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

/* Seconds: some drivers take minutes to build programs. */
static const double resume_time = 600;

/* The file is said to be whole: at least its size is as said. */
static int check_size(const struct report *report, const struct new_file *file, struct error *err)
{
    struct stat status;
    uint64_t said = report->response->image->file;
    if (file->is_stream || (fstat(file->fd, &status) == 0 && (uint64_t)status.st_size == said))
        return 0;
    error_object(err, "file `%.100s`", file->path);
    error_set(err, 0, "its size is not the %" PRIu64 " bytes that the process says", said);
    return error_todo(err, "see whether something else writes to it, and try again");
}

static int keep(const struct report *report, struct new_file *file, struct error *err)
{
    if (!report->response->image) {
        error_set(err, 0, "it has shadowcl's library of a version that knows no images");
        return error_todo(err, "start it anew with this version's");
    }
    return check_size(report, file, err) < 0 ? -1 : new_file_keep(file, err);
}

/* Whoever is suspended into a file that is not kept shall not stay so. */
static void undo(struct report *report, struct error *why)
{
    struct report now = *report;
    now.response = NULL;
    exchange_forget_interruption();
    if (!strcmp(report->state, "suspended"))
        ask_resume(&now, 1, &(struct ask_resume){.device = ""}, resume_time);
    report_set_state(report, now.state);
    report_finish(report);
    if (now.failed) {
        char reason[sizeof why->reason];
        memcpy(reason, why->reason, sizeof reason);
        error_set(why, 0, "%.150s; and resuming the process failed: %.200s", reason,
                  now.error.reason);
        error_todo(why, "%.180s; then `shadowcl resume %d`", now.error.todo, (int)report->pid);
    }
    report_finish(&now);
}

static void explain_lost(struct report *report)
{
    if (!strcmp(report->state, "gone"))
        return;
    error_todo(&report->error, "see how it ends with `shadowcl ps`; the file is gone%s",
               !strcmp(report->state, "suspended")
                   ? ", but for the process: it has its contents there and can be resumed"
               : strcmp(report->state, "running") != 0
                   ? ", but for the process, which is still at it and gives up by itself"
                   : "");
}

void image_kept(struct report *report, struct new_file *file, bool suspended_for_it)
{
    struct error err = {0};
    if (report->failed && !report->response)
        explain_lost(report);
    if (report->failed)
        return;
    error_object(&err, "process %d", (int)report->pid);
    if (keep(report, file, &err) == 0) {
        report->file = file->path;
        return;
    }
    if (suspended_for_it)
        undo(report, &err);
    else
        report_finish(report);
    *report_fail(report) = err;
}

void image_not_asked(struct report *report, const struct error *err)
{
    ask_status(report, 1);
    report_finish(report);
    *report_fail(report) = *err;
}
