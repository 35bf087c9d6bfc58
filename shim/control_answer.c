/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to actions: see control_answer.h. */
#include "shim/control_answer.h"

#include <fcntl.h>
#include <math.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "shim/checkpoint.h"
#include "shim/control.h"
#include "shim/control_report.h"
#include "shim/owner.h"
#include "shim/trim.h"

#define LONGEST_DEADLINE 86400.0 /* s */

typedef Shadowcl__Control__Response response;

/* Suspended only to be copied; one whose user had suspended it before stays so. Part of the copy.
 */
static atomic_bool is_to_go_on;

bool control_goes_on(void)
{
    return atomic_load(&is_to_go_on);
}

/* Where nothing better is known. */
static void add_usual_todo(struct error *err)
{
    if (checkpoint_state() == STATE_SUSPENDED)
        error_todo(err, "resume it again, on another device (--device) if this one does not come "
                        "back");
    else
        error_todo(err, "see whether the device and its driver work, then try again");
}

/* The last thing of a request: nobody else can be answered after it. */
static void leave(response *answer)
{
    struct error err = {0};
    trim_memory();
    answer->left = control_leave(&err) == 0;
    if (!answer->left)
        answer->error = control_failure(&err);
}

static int check_deadline(double deadline, struct error *err)
{
    if (isfinite(deadline) && deadline > 0 && deadline <= LONGEST_DEADLINE)
        return 0;
    error_set(err, 0, "a deadline of %g seconds is not between 0 and %g", deadline,
              LONGEST_DEADLINE);
    return error_todo(err, "give --deadline a number of seconds");
}

/* How the contents are to be copied beforehand; nonsense is taken as not said. */
static struct precopy_wish wish_of(const Shadowcl__Control__Request *request, int asker)
{
    const Shadowcl__Control__Prepare *prepare = NULL;
    if (request->verb_case == SHADOWCL__CONTROL__REQUEST__VERB_SUSPEND)
        prepare = request->suspend->prepare;
    else if (request->verb_case == SHADOWCL__CONTROL__REQUEST__VERB_MOVE)
        prepare = request->move->prepare;
    else if (request->verb_case == SHADOWCL__CONTROL__REQUEST__VERB_SAVE)
        prepare = request->save->prepare;
    if (!prepare)
        return (struct precopy_wish){.asker = asker};
    return (struct precopy_wish){
        .wanted = true,
        .asker = asker,
        .max_rounds = prepare->max_rounds,
        .target = isfinite(prepare->target) && prepare->target > 0 ? prepare->target : 0,
        .rate = isfinite(prepare->rate) && prepare->rate > 0 ? prepare->rate : 0};
}

/* The file that contents are to go to. A suspend reads it back: nothing but a file will do. */
static int image_of(const Shadowcl__Control__Image *image, int attached, bool kept,
                    struct store_wish *wish, struct error *err)
{
    struct stat file;
    *wish = (struct store_wish){.fd = -1, .asker = -1};
    if (!image)
        return 0;
    error_object(err, "image file");
    if (attached == CONTROL_NO_ROOM) {
        error_set(err, 0, "the program has no descriptor left for it");
        return error_todo(err, "raise its limit (`prlimit --nofile`), or have it close some");
    }
    if (attached < 0 || fstat(attached, &file) != 0)
        error_set(err, 0, "no descriptor of it came with the request");
    else if (kept && (!S_ISREG(file.st_mode) || (fcntl(attached, F_GETFL) & O_ACCMODE) != O_RDWR))
        error_set(err, 0, "it is no file that can be read back");
    else {
        *wish = (struct store_wish){attached, IMAGE_COMPRESS_AUTO, -1};
        if (image->compression == SHADOWCL__CONTROL__IMAGE__COMPRESSION__OFF)
            wish->compression = IMAGE_COMPRESS_OFF;
        if (image->compression == SHADOWCL__CONTROL__IMAGE__COMPRESSION__ZSTD)
            wish->compression = IMAGE_COMPRESS_ZSTD;
        *err = (struct error){0};
        return 0;
    }
    return error_todo(err, "use the command of the same release as the process's library");
}

static int carry_out_suspend(const Shadowcl__Control__Suspend *suspend, int attached,
                             const struct precopy_wish *wish, struct report *report,
                             struct error *err)
{
    struct store_wish image;
    if (check_deadline(suspend->deadline, err) != 0)
        return -1;
    if (suspend->leave && checkpoint_state() == STATE_SUSPENDED)
        return 0;
    if (image_of(suspend->image, attached, true, &image, err) != 0)
        return -1;
    image.asker = wish->asker;
    int result = checkpoint_suspend(suspend->deadline, wish, &image, report, err);
    if (result == 0)
        atomic_store(&is_to_go_on, suspend->leave);
    return result;
}

static int carry_out_resume(const struct resume_wish *wish, struct report *report,
                            struct error *err)
{
    int result = checkpoint_resume(wish, report, err);
    if (result == 0)
        atomic_store(&is_to_go_on, false);
    return result;
}

static int carry_out_save(const Shadowcl__Control__Save *save, int attached,
                          const struct precopy_wish *wish, struct report *report, struct error *err)
{
    static const Shadowcl__Control__Image as_usual = SHADOWCL__CONTROL__IMAGE__INIT;
    struct store_wish image;
    if (check_deadline(save->deadline, err) != 0 ||
        image_of(save->image ? save->image : &as_usual, attached, false, &image, err) != 0)
        return -1;
    image.asker = wish->asker;
    return checkpoint_save(save->deadline, wish, &image, report, err);
}

/* What the verb does; on status, nothing. */
static int carry_out_check(const Shadowcl__Control__Check *check, struct findings *findings,
                           struct report *report, struct error *err)
{
    if (check_deadline(check->deadline, err) != 0)
        return -1;
    struct check_wish wish = {check->device, check->strict, check->suspend};
    return checkpoint_check(check->deadline, &wish, findings, report, err);
}

static int carry_out(const Shadowcl__Control__Request *request, int asker, int attached,
                     struct findings *findings, struct report *report, struct error *err)
{
    if (request->version > CONTROL_PROTOCOL) {
        error_set(err, 0, "the request has protocol version %u, this process knows %d",
                  request->version, CONTROL_PROTOCOL);
        return error_todo(err, "use the command of the same release as the process's library");
    }
    struct precopy_wish wish = wish_of(request, asker);
    switch (request->verb_case) {
    case SHADOWCL__CONTROL__REQUEST__VERB_STATUS:
        return 0;
    case SHADOWCL__CONTROL__REQUEST__VERB_SUSPEND:
        return carry_out_suspend(request->suspend, attached, &wish, report, err);
    case SHADOWCL__CONTROL__REQUEST__VERB_SAVE:
        return carry_out_save(request->save, attached, &wish, report, err);
    case SHADOWCL__CONTROL__REQUEST__VERB_CHECK:
        return carry_out_check(request->check, findings, report, err);
    case SHADOWCL__CONTROL__REQUEST__VERB_BUILD:
        if (check_deadline(request->build->deadline, err) != 0)
            return -1;
        return checkpoint_prepare(request->build->deadline, request->build->device, report, err);
    case SHADOWCL__CONTROL__REQUEST__VERB_RESUME:
        return carry_out_resume(&(struct resume_wish){request->resume->device,
                                                      request->resume->strict,
                                                      request->resume->lazy},
                                report, err);
    case SHADOWCL__CONTROL__REQUEST__VERB_MOVE:
        if (check_deadline(request->move->deadline, err) != 0)
            return -1;
        return checkpoint_move(request->move->deadline, &wish,
                               &(struct resume_wish){request->move->device, request->move->strict,
                                                     request->move->lazy},
                               report, err);
    default:
        error_set(err, 0, "the request has no verb that this process knows");
        return error_todo(err, "use the command of the same release as the process's library");
    }
}

Shadowcl__Control__Response *control_answer(const Shadowcl__Control__Request *request, int asker,
                                            int attached)
{
    response *answer = control_report_create();
    struct report report = {0};
    struct findings findings = {0};
    struct error err = {0};
    if (!answer)
        return NULL;
    int result = carry_out(request, asker, attached, &findings, &report, &err);
    control_report_fill(answer, request, &report, &findings);
    answer->ending = result != 0 && owner_is_ending();
    findings_finish(&findings);
    if (result != 0 && !err.todo[0])
        add_usual_todo(&err);
    if (result != 0)
        answer->error = control_failure(&err);
    report_finish(&report);
    if (result == 0 && request->verb_case == SHADOWCL__CONTROL__REQUEST__VERB_SUSPEND &&
        request->suspend->leave)
        leave(answer);
    return answer;
}

void control_answer_free(Shadowcl__Control__Response *answer)
{
    if (answer)
        shadowcl__control__response__free_unpacked(answer, NULL);
}
