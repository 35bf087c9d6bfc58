/* SPDX-License-Identifier: Apache-2.0 */
/* What happened when: see timeline.h. */
#include "agent/vm/timeline.h"

#include "agent/text.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BAR = 24 };

static const double show_every = 0.2;
static const char *const row_names[TIMELINE_ROWS] = {"programs", "device", "vm"};

void timeline_init(struct timeline *timeline, bool is_quiet)
{
    *timeline = (struct timeline){.origin = text_clock(),
                                  .is_quiet = is_quiet,
                                  .is_terminal = !is_quiet && isatty(STDERR_FILENO)};
}

static double now(const struct timeline *timeline)
{
    return text_clock() - timeline->origin;
}

static struct timeline_phase *current(struct timeline *timeline)
{
    if (!timeline->num_phases)
        return NULL;
    struct timeline_phase *phase = &timeline->phases[timeline->num_phases - 1];
    return phase->end < 0 ? phase : NULL;
}

void timeline_begin(struct timeline *timeline, const char *name)
{
    if (timeline->num_phases == TIMELINE_PHASES)
        return;
    timeline->phases[timeline->num_phases++] =
        (struct timeline_phase){.name = name, .start = now(timeline), .end = -1, .fraction = -1};
    timeline->next_show = 0;
    timeline_show(timeline);
}

void timeline_clear(struct timeline *timeline)
{
    if (timeline->is_shown)
        fputs("\r\033[K", stderr);
    timeline->is_shown = false;
}

void timeline_end(struct timeline *timeline, bool ok)
{
    struct timeline_phase *phase = current(timeline);
    if (!phase)
        return;
    phase->end = now(timeline);
    phase->ok = ok;
    timeline_clear(timeline);
    if (!timeline->is_quiet)
        fprintf(stderr, "%-12s %-6s %9.3f s\n", phase->name, ok ? "done" : "failed",
                phase->end - phase->start);
}

void timeline_progress(struct timeline *timeline, double done, double of)
{
    struct timeline_phase *phase = current(timeline);
    if (phase && of > 0)
        phase->fraction = done < of ? done / of : 1;
}

void timeline_show(struct timeline *timeline)
{
    const struct timeline_phase *phase = current(timeline);
    double time = now(timeline);
    char bar[BAR + 1] = "";
    if (!phase || !timeline->is_terminal || time < timeline->next_show)
        return;
    timeline->next_show = time + show_every;
    int full = (int)(phase->fraction * BAR);
    for (int i = 0; i < BAR && phase->fraction >= 0; i++)
        bar[i] = i < full ? '#' : '.';
    fprintf(stderr, "\r\033[K%-12s %*.3f s  %s", phase->name, 16, time - phase->start, bar);
    fflush(stderr);
    timeline->is_shown = true;
}

void timeline_mark(struct timeline *timeline, enum timeline_row row, const char *state)
{
    const char *before = NULL;
    for (size_t i = 0; i < timeline->num_marks; i++)
        if (timeline->marks[i].row == row)
            before = timeline->marks[i].state;
    if (timeline->num_marks < TIMELINE_MARKS && (!before || strcmp(before, state)))
        timeline->marks[timeline->num_marks++] =
            (struct timeline_mark){.row = row, .state = state, .at = now(timeline)};
}

void timeline_mark_later(struct timeline *timeline, enum timeline_row row, double by)
{
    size_t i = timeline->num_marks;
    while (i > 0 && timeline->marks[i - 1].row != row)
        i--;
    if (i == 0)
        return;
    struct timeline_mark *last = &timeline->marks[i - 1];
    double latest = now(timeline);
    last->at = last->at + by < latest ? last->at + by : latest;
}

void timeline_finish(struct timeline *timeline)
{
    timeline->end = now(timeline);
}

double timeline_mark_end(const struct timeline *timeline, size_t index)
{
    for (size_t i = index + 1; i < timeline->num_marks; i++)
        if (timeline->marks[i].row == timeline->marks[index].row)
            return timeline->marks[i].at;
    return timeline->end;
}

double timeline_time_in(const struct timeline *timeline, enum timeline_row row, const char *state)
{
    double sum = 0;
    for (size_t i = 0; i < timeline->num_marks; i++)
        if (timeline->marks[i].row == row && !strcmp(timeline->marks[i].state, state))
            sum += timeline_mark_end(timeline, i) - timeline->marks[i].at;
    return sum;
}

static void print_row(const struct timeline *timeline, enum timeline_row row)
{
    bool is_first = true;
    for (size_t i = 0; i < timeline->num_marks; i++) {
        const struct timeline_mark *mark = &timeline->marks[i];
        if (mark->row != row)
            continue;
        if (is_first)
            printf("%-12s ", row_names[row]);
        else
            fputs(", ", stdout);
        printf("%s %.3f s", mark->state, timeline_mark_end(timeline, i) - mark->at);
        is_first = false;
    }
    if (!is_first)
        putchar('\n');
}

void timeline_print(const struct timeline *timeline)
{
    enum { WIDTH = 40 };
    double most = timeline->end > 0 ? timeline->end : 1;
    printf("%-12s %10s %10s\n", "phase", "begins", "takes");
    for (size_t i = 0; i < timeline->num_phases; i++) {
        const struct timeline_phase *phase = &timeline->phases[i];
        char bar[WIDTH + 1];
        memset(bar, ' ', WIDTH);
        bar[WIDTH] = 0;
        int first = (int)(phase->start / most * (WIDTH - 1));
        int last = (int)(phase->end / most * (WIDTH - 1));
        for (int at = first; at <= last && at >= 0 && at < WIDTH; at++)
            bar[at] = phase->ok ? '=' : 'x';
        printf("%-12s %8.3f s %8.3f s |%s|\n", phase->name, phase->start, phase->end - phase->start,
               bar);
    }
    for (int row = 0; row < TIMELINE_ROWS; row++)
        print_row(timeline, (enum timeline_row)row);
}

json_t *timeline_json(const struct timeline *timeline)
{
    json_t *phases = json_array();
    json_t *states = json_array();
    for (size_t i = 0; i < timeline->num_phases; i++) {
        const struct timeline_phase *phase = &timeline->phases[i];
        json_array_append_new(phases,
                              json_pack("{s:s, s:f, s:f, s:b}", "name", phase->name, "start_ms",
                                        phase->start * 1000, "ms",
                                        (phase->end - phase->start) * 1000, "ok", phase->ok));
    }
    for (size_t i = 0; i < timeline->num_marks; i++) {
        const struct timeline_mark *mark = &timeline->marks[i];
        json_array_append_new(states,
                              json_pack("{s:s, s:s, s:f, s:f}", "of", row_names[mark->row], "state",
                                        mark->state, "start_ms", mark->at * 1000, "ms",
                                        (timeline_mark_end(timeline, i) - mark->at) * 1000));
    }
    return json_pack("{s:o, s:o}", "phases", phases, "states", states);
}
