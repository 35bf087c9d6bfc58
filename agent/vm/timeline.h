/* SPDX-License-Identifier: Apache-2.0 */
/* What happened when: the phases, and who was where meanwhile. Times are seconds from the start. */
#ifndef SHADOWCL_AGENT_VM_TIMELINE_H
#define SHADOWCL_AGENT_VM_TIMELINE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { TIMELINE_PHASES = 32, TIMELINE_MARKS = 96 };

enum timeline_row { ROW_PROGRAMS, ROW_DEVICE, ROW_VM, TIMELINE_ROWS };

struct timeline_phase {
    const char *name; /* static */
    double start, end;
    bool ok;
    double fraction; /* 0 to 1; below 0 where it is not known */
};

/* From `at` on, the row is in this state. */
struct timeline_mark {
    enum timeline_row row;
    const char *state; /* static: "running", "suspended", "moving", ... */
    double at;
};

struct timeline {
    double origin;
    struct timeline_phase phases[TIMELINE_PHASES];
    size_t num_phases;
    struct timeline_mark marks[TIMELINE_MARKS];
    size_t num_marks;
    double end;
    bool is_quiet, is_terminal, is_shown;
    double next_show;
};

void timeline_init(struct timeline *timeline, bool is_quiet);
void timeline_begin(struct timeline *timeline, const char *phase);
void timeline_end(struct timeline *timeline, bool ok);
/* How far the phase at work is. */
void timeline_progress(struct timeline *timeline, double done, double of);
/* Nothing when the row is in that state already. */
void timeline_mark(struct timeline *timeline, enum timeline_row row, const char *state);
/* The row's last state began so many seconds later than was thought. */
void timeline_mark_later(struct timeline *timeline, enum timeline_row row, double by);
/* Redraws the phase at work on a terminal, a few times a second. */
void timeline_show(struct timeline *timeline);
void timeline_clear(struct timeline *timeline);
void timeline_finish(struct timeline *timeline);
/* Seconds that the row spent in a state. */
double timeline_time_in(const struct timeline *timeline, enum timeline_row row, const char *state);
/* Where the state that begins with mark `index` ends. */
double timeline_mark_end(const struct timeline *timeline, size_t index);

void timeline_print(const struct timeline *timeline);
json_t *timeline_json(const struct timeline *timeline);
/* 0, or -1 and errno. */
int timeline_svg(const struct timeline *timeline, const char *title, const char *path);

#endif
