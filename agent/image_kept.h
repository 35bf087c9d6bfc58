/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of an image's file once its process has answered. */
#ifndef SHADOWCL_AGENT_IMAGE_KEPT_H
#define SHADOWCL_AGENT_IMAGE_KEPT_H

#include "agent/new_file.h"
#include "agent/report.h"

/* After ask_save or ask_suspend_to: keeps the file where all went well; else the report says why
 * not, and a process that was `suspended_for_it` has been resumed. */
void image_kept(struct report *report, struct new_file *file, bool suspended_for_it);
/* There is no file, and so the process was not asked; the report says so, with its state. */
void image_not_asked(struct report *report, const struct error *err);

#endif
