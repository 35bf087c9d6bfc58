/* SPDX-License-Identifier: Apache-2.0 */
/* The settings from the environment, read once; ignored in setuid processes. */
#ifndef SHADOWCL_SHIM_CONFIG_H
#define SHADOWCL_SHIM_CONFIG_H

#include <stdbool.h>

enum mapping_mode {
    MAPPING_AUTO,   /* by what the device is */
    MAPPING_SHARED, /* buffers lie in memory of ours, which the driver uses */
    MAPPING_COPY,   /* each map has a region of its own, read at map and written at unmap */
};

enum lazy_mode {
    LAZY_ASKED,  /* as the request says */
    LAZY_ALWAYS, /* 1: no resume waits for contents */
    LAZY_NEEDED, /* `needed`: and nothing goes up that no command needs; for tests */
};

/* Whose device nodes are of which it can't be told. */
enum node_owner {
    OWNER_UNKNOWN, /* by what can be seen; else a suspend is refused */
    OWNER_DRIVER,
    OWNER_PROGRAM,
};

struct config {
    enum mapping_mode mapping; /* SHADOWCL_MAPPING */
    unsigned long storm; /* SHADOWCL_STORM=N[,SEED]: a cycle every N calls on average; 0: none */
    unsigned long storm_seed;
    const char *storm_image;  /* SHADOWCL_STORM_IMAGE=DIR: with contents in a file there; or NULL */
    enum lazy_mode lazy;      /* SHADOWCL_LAZY */
    const char *device_nodes; /* SHADOWCL_DEVICE_NODES: more patterns of them, or NULL */
    enum node_owner node_owner;  /* SHADOWCL_NODE_OWNER=driver|program */
    bool prepare;                /* SHADOWCL_PREPARE=1: every suspend copies beforehand */
    bool check_writes;           /* SHADOWCL_CHECK_WRITES=1: and looks whether a write was missed */
    unsigned long copy_patience; /* SHADOWCL_COPY_PATIENCE: s that a driver has for one copy */
    unsigned long call_patience; /* SHADOWCL_CALL_PATIENCE: s that it has for one call; 0: no end */
};

/* Bytes per second of the slowest device: how much longer what copies may take. */
#define COPY_SLOWEST 33554432

extern struct config config;

void config_read(void);
/* A setting's text, or NULL; always NULL in setuid processes. */
const char *config_text(const char *name);

#endif
