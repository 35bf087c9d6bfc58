/* SPDX-License-Identifier: Apache-2.0 */
/* The timeline as a picture: phases, programs, device and machine, one row each. */
#include "agent/vm/timeline.h"

#include <stdio.h>
#include <string.h>

static const char *colour(const char *state)
{
    static const struct {
        const char *state, *colour;
    } colours[] = {{"running", "#5a9e6f"},  {"meanwhile", "#a5c98b"}, {"suspending", "#e0b04c"},
                   {"resuming", "#e0b04c"}, {"suspended", "#c8553d"}, {"source", "#4a7fb0"},
                   {"copying", "#8fb3d6"},  {"stopped", "#c8553d"},   {"destination", "#7a5ba6"},
                   {"leaving", "#e0b04c"},  {"coming", "#e0b04c"},    {"nowhere", "#d9d9d9"}};
    for (size_t i = 0; i < sizeof colours / sizeof *colours; i++)
        if (!strcmp(colours[i].state, state))
            return colours[i].colour;
    return "#bbbbbb";
}

enum { SVG_LEFT = 90, SVG_WIDTH = 800, SVG_TOP = 48, SVG_ROW = 44 };

static void draw_phases(FILE *out, const struct timeline *timeline, double scale)
{
    int bottom = SVG_TOP + (TIMELINE_ROWS + 1) * SVG_ROW;
    for (size_t i = 0; i < timeline->num_phases; i++) {
        const struct timeline_phase *phase = &timeline->phases[i];
        double x = SVG_LEFT + phase->start * scale, width = (phase->end - phase->start) * scale;
        fprintf(out,
                "<rect x='%.1f' y='%d' width='%.1f' height='26' fill='%s' stroke='#fff'>"
                "<title>%s: %.3f s</title></rect>\n",
                x, SVG_TOP, width < 1 ? 1 : width, phase->ok ? "#999" : "#c8553d", phase->name,
                phase->end - phase->start);
        fprintf(out, "<path d='M%.1f %d V%d' stroke='#ccc' stroke-dasharray='2 3'/>\n", x,
                SVG_TOP + 26, bottom);
        if (width > 7.0 * (double)strlen(phase->name))
            fprintf(out, "<text x='%.1f' y='%d' fill='#fff'>%s</text>\n", x + 4, SVG_TOP + 17,
                    phase->name);
    }
}

static void draw_marks(FILE *out, const struct timeline *timeline, double scale)
{
    for (size_t i = 0; i < timeline->num_marks; i++) {
        const struct timeline_mark *mark = &timeline->marks[i];
        double x = SVG_LEFT + mark->at * scale, time = timeline_mark_end(timeline, i) - mark->at;
        int y = SVG_TOP + ((int)mark->row + 1) * SVG_ROW;
        fprintf(out,
                "<rect x='%.1f' y='%d' width='%.1f' height='26' fill='%s'>"
                "<title>%s: %.3f s</title></rect>\n",
                x, y, time * scale < 1 ? 1 : time * scale, colour(mark->state), mark->state, time);
        if (time * scale > 7.0 * (double)strlen(mark->state))
            fprintf(out, "<text x='%.1f' y='%d'>%s</text>\n", x + 4, y + 17, mark->state);
    }
}

/* Marks of 1, 2 or 5 times a power of ten, at most twelve. */
static void draw_axis(FILE *out, double end, double scale)
{
    int y = SVG_TOP + (TIMELINE_ROWS + 1) * SVG_ROW;
    double step = 0.001;
    for (int i = 0; step * 12 < end; i++)
        step *= i % 3 == 1 ? 2.5 : 2;
    for (int i = 0; i * step <= end; i++)
        fprintf(out, "<text x='%.1f' y='%d' text-anchor='middle' fill='#555'>%g s</text>\n",
                SVG_LEFT + i * step * scale, y + 12, i * step);
}

int timeline_svg(const struct timeline *timeline, const char *title, const char *path)
{
    static const char *const rows[] = {"phases", "programs", "device", "machine"};
    double end = timeline->end > 0 ? timeline->end : 1, scale = SVG_WIDTH / end;
    int height = SVG_TOP + (TIMELINE_ROWS + 1) * SVG_ROW + 28;
    FILE *out = fopen(path, "we");
    if (!out)
        return -1;
    fprintf(out,
            "<svg xmlns='http://www.w3.org/2000/svg' width='%d' height='%d' "
            "font-family='sans-serif' font-size='12'>\n"
            "<rect width='100%%' height='100%%' fill='#fff'/>\n"
            "<text x='10' y='26' font-size='15'>%s, %.3f s</text>\n",
            SVG_LEFT + SVG_WIDTH + 30, height, title, timeline->end);
    for (int i = 0; i < TIMELINE_ROWS + 1; i++)
        fprintf(out, "<text x='10' y='%d'>%s</text>\n", SVG_TOP + i * SVG_ROW + 17, rows[i]);
    draw_phases(out, timeline, scale);
    draw_marks(out, timeline, scale);
    draw_axis(out, end, scale);
    fputs("</svg>\n", out);
    return fclose(out) == 0 ? 0 : -1;
}
