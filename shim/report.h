/* SPDX-License-Identifier: Apache-2.0 */
/* What a suspend, resume or move has to tell whoever asked for it. */
#ifndef SHADOWCL_SHIM_REPORT_H
#define SHADOWCL_SHIM_REPORT_H

#include <stddef.h>
#include <stdint.h>

#include "shim/precopy.h"
#include "shim/residue.h"
#include "shim/store.h"
#include "shim/trial.h"
#include "state/object.h"

/* What a suspend or resume did. Times are milliseconds. */
struct report {
    double drain, capture, release, suspend;
    double load, rebuild, resume;
    uint64_t captured_bytes;
    uint64_t copied_bytes; /* of those: with the gate closed */
    uint64_t owed_bytes;   /* that go up after the gate has opened */
    struct precopy_result precopy;
    struct {
        struct image_summary summary;
        double ms;
    } image; /* that was written, if any */
    struct {
        double compare, build; /* the first with the gate closed */
        struct trial_result programs;
    } ahead; /* builds for another device */
    size_t counts[KIND_COUNT];
    struct residue residue;
    size_t num_warnings;
    char **warnings; /* owned */
};

void report_warn(struct report *report, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void report_finish(struct report *report);

#endif
