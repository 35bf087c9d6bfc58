/* SPDX-License-Identifier: Apache-2.0 */
/* Settings from the environment: see config.h. */
#include "shim/config.h"

#include <stdlib.h>
#include <string.h>

#include "shim/log.h"

struct config config;

const char *config_text(const char *name)
{
    return secure_getenv(name);
}

static void read_mapping(const char *text)
{
    if (!text || strcmp(text, "auto") == 0)
        config.mapping = MAPPING_AUTO;
    else if (strcmp(text, "shared") == 0)
        config.mapping = MAPPING_SHARED;
    else if (strcmp(text, "copy") == 0)
        config.mapping = MAPPING_COPY;
    else
        log_warn("SHADOWCL_MAPPING=%s is not auto, shared or copy: taken as auto", text);
}

static void read_storm(const char *text)
{
    if (!text)
        return;
    char *end;
    config.storm = strtoul(text, &end, 10);
    config.storm_seed = *end == ',' ? strtoul(end + 1, &end, 10) : 1;
    if (end == text || *end) {
        log_warn("SHADOWCL_STORM=%s is not N or N,SEED: there will be no storm", text);
        config.storm = 0;
    }
}

static bool is_on(const char *name)
{
    const char *text = config_text(name);
    return text && strcmp(text, "1") == 0;
}

void config_read(void)
{
    read_mapping(config_text("SHADOWCL_MAPPING"));
    read_storm(config_text("SHADOWCL_STORM"));
    const char *directory = config_text("SHADOWCL_STORM_IMAGE");
    config.storm_image = directory ? strdup(directory) : NULL;
    config.prepare = is_on("SHADOWCL_PREPARE");
    config.check_writes = is_on("SHADOWCL_CHECK_WRITES");
}
