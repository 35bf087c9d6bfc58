/* SPDX-License-Identifier: Apache-2.0 */
/* What was found, in a list: see findings.h. */
#include "shim/findings.h"

#include <stdlib.h>

int findings_take(struct findings *findings, struct error *err)
{
    if (!findings)
        return -1;
    struct error *list = realloc(findings->list, (findings->count + 1) * sizeof *list);
    if (!list)
        return -1;
    findings->list = list;
    list[findings->count++] = *err;
    *err = (struct error){0};
    return 0;
}

void findings_finish(struct findings *findings)
{
    free(findings->list);
    *findings = (struct findings){0};
}
