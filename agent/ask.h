/* SPDX-License-Identifier: Apache-2.0 */
/* The requests, put to many processes at once. Each is put to the reports that have a peer
 * and have not failed, and leaves in them how it went. */
#ifndef SHADOWCL_AGENT_ASK_H
#define SHADOWCL_AGENT_ASK_H

#include "agent/report.h"

/* How contents are copied while the program runs, before its gate closes. */
struct ask_prepare {
    bool wanted;
    unsigned max_rounds; /* for each of these, 0: as the process thinks best */
    double target;       /* milliseconds that copying what is left may take */
    double rate;         /* bytes a second at most */
};

/* The file that an image is to be written to, open for it. */
struct ask_image {
    int fd;
    Shadowcl__Control__Image__Compression compression;
};

/* Who does not answer in time has the state "not answering" and has not failed. */
void ask_status(struct report *list, size_t count);
/* The same, and whose the device nodes are that each has open: the answer's `nodes`. */
void ask_nodes(struct report *list, size_t count);
/* Seconds; a process whose answer is lost is asked for its state. */
void ask_suspend(struct report *list, size_t count, double deadline,
                 const struct ask_prepare *prepare, double timeout);
/* As above, of one process, with its contents in a file. */
void ask_suspend_to(struct report *report, double deadline, const struct ask_prepare *prepare,
                    const struct ask_image *image, double timeout);
/* As above, also those that are suspended already; each then closes its socket and waits for
 * away_wake. */
void ask_leave(struct report *list, size_t count, double deadline, double timeout);
/* How a program goes on. */
struct ask_resume {
    const char *device; /* "": where it was */
    bool strict, lazy;
};

void ask_resume(struct report *list, size_t count, const struct ask_resume *how, double timeout);
void ask_move(struct report *list, size_t count, double deadline, const struct ask_prepare *prepare,
              const struct ask_resume *how, double timeout);
/* An image of one process, which goes on. */
void ask_save(struct report *report, double deadline, const struct ask_prepare *prepare,
              const struct ask_image *image, double timeout);
/* Builds their programs for another device, ahead of a move. */
void ask_build(struct report *list, size_t count, double deadline, const char *device,
               double timeout);
/* Would another device do? The answer's `missing` says. */
struct ask_check {
    const char *device; /* NULL: the question is whether a suspend would be refused */
    bool strict;
};

void ask_check(struct report *list, size_t count, double deadline, const struct ask_check *what,
               double timeout);

#endif
