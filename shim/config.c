/* SPDX-License-Identifier: Apache-2.0 */
/* Settings from the environment: see config.h. */
#include "shim/config.h"

#include <stdlib.h>
#include <string.h>

#include "shim/log.h"

enum { COPY_PATIENCE = 30, CALL_PATIENCE = 60, MOST_PATIENCE = 1000000 }; /* s */

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

static void read_lazy(const char *text)
{
    if (!text || strcmp(text, "0") == 0)
        config.lazy = LAZY_ASKED;
    else if (strcmp(text, "1") == 0)
        config.lazy = LAZY_ALWAYS;
    else if (strcmp(text, "needed") == 0)
        config.lazy = LAZY_NEEDED;
    else
        log_warn("SHADOWCL_LAZY=%s is not 0, 1 or needed: taken as 0", text);
}

static void read_node_owner(const char *text)
{
    if (!text)
        config.node_owner = OWNER_UNKNOWN;
    else if (strcmp(text, "driver") == 0)
        config.node_owner = OWNER_DRIVER;
    else if (strcmp(text, "program") == 0)
        config.node_owner = OWNER_PROGRAM;
    else
        log_warn("SHADOWCL_NODE_OWNER=%s is not driver or program: not taken", text);
}

/* The program may change its environment later, or be changing it while another thread looks. */
static const char *keep(const char *text)
{
    return text ? strdup(text) : NULL;
}

static unsigned long read_patience(const char *name, unsigned long usual, unsigned long least)
{
    const char *text = config_text(name);
    if (!text)
        return usual;
    char *end;
    unsigned long patience = strtoul(text, &end, 10);
    if (end != text && !*end && patience >= least && patience <= MOST_PATIENCE)
        return patience;
    log_warn("%s=%s is no number of seconds: taken as %lu", name, text, usual);
    return usual;
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
    config.storm_image = keep(config_text("SHADOWCL_STORM_IMAGE"));
    config.device_nodes = keep(config_text("SHADOWCL_DEVICE_NODES"));
    read_node_owner(config_text("SHADOWCL_NODE_OWNER"));
    read_lazy(config_text("SHADOWCL_LAZY"));
    config.copy_patience = read_patience("SHADOWCL_COPY_PATIENCE", COPY_PATIENCE, 1);
    config.call_patience = read_patience("SHADOWCL_CALL_PATIENCE", CALL_PATIENCE, 0);
    config.prepare = is_on("SHADOWCL_PREPARE");
    config.check_writes = is_on("SHADOWCL_CHECK_WRITES");
}
