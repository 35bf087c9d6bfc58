/* SPDX-License-Identifier: Apache-2.0 */
/* Whose the device nodes are that are open or mapped: see residue.h. Nothing tells who opened a
 * descriptor. What is known is when it came, who ran then, of which device it is, and whether
 * anything in the program but the drivers is made to use such devices. */
#include <pthread.h>
#include <string.h>

#include "shim/alone.h"
#include "shim/config.h"
#include "shim/gate.h"
#include "shim/gpu_library.h"
#include "shim/phase.h"
#include "shim/residue.h"
#include "shim/residue_known.h"
#include "shim/residue_take.h"

#define MOST_WATCHED 64
#define LOOK_SHARE 64 /* of the time since the last look, at most this part is spent on looks */

/* All guarded by lock, as is what residue_known.h has. Mappings go by a descriptor of their file.
 */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned watched;
static int64_t next_look;  /* of a call that need not be watched; now_ns */
static int64_t began;      /* the look in front of the call */
static unsigned inside;    /* threads between residue_enter and residue_leave */
static unsigned entered;   /* since it was none */
static uint32_t libraries; /* there were when the first of them came */
static uint32_t own;       /* that the drivers loaded: see gpu_library.h */
static bool gave_up;       /* threads of an instance that was abandoned may go on */
static bool unsure;        /* there was no look at what was open before */
static bool clean = true;  /* no driver is there that could have opened anything */

/* Is there a library in the program that uses such devices, and that the drivers did not load? */
static bool others_use_devices(void)
{
    return gpu_libraries() & ~own;
}

/* With the lock. *added: how much was new. */
static bool look(enum origin origin, size_t *added)
{
    bool looked = known_look(origin, added);
    if (*added && others_use_devices())
        known_suspect(*added);
    return looked;
}

/* Outside of a watched call. */
static bool look_meanwhile(void)
{
    size_t ignored;
    return look(clean ? ORIGIN_BEFORE : ORIGIN_MEANTIME, &ignored);
}

/* The first calls, and later as many as cost nothing to speak of. */
static bool is_worth_watching(bool always)
{
    return always || watched < MOST_WATCHED || now_ns() >= next_look;
}

bool residue_enter(bool always)
{
    NOT_FROZEN();
    pthread_mutex_lock(&lock);
    bool watching = is_worth_watching(always);
    /* With another thread in such a call, what is new may be that one's. */
    if (watching && inside++ == 0) {
        began = now_ns();
        unsure = !look_meanwhile();
        clean = false;
        entered = 0;
        libraries = gpu_libraries();
        alone_begin();
        began = now_ns() - began;
    }
    entered += watching;
    watched += watching && !always && watched < MOST_WATCHED;
    pthread_mutex_unlock(&lock);
    return watching;
}

/* Whether anything was new. With the lock. */
static bool leave(bool may_be_alone)
{
    size_t added;
    int64_t start = now_ns();
    /* Where it is not known what was open before, nothing must be taken for the driver's. */
    bool looked = look(unsure ? ORIGIN_MEANTIME : ORIGIN_BESIDE, &added);
    if (may_be_alone && inside == 1 && entered == 1 && alone_end()) {
        own |= gpu_libraries() & ~libraries;
        known_alone(added);
    }
    int64_t end = now_ns();
    next_look = end + (end - start + began) * LOOK_SHARE;
    return added > 0 || !looked;
}

bool residue_leave(bool watching)
{
    if (!watching)
        return false;
    NOT_FROZEN();
    pthread_mutex_lock(&lock);
    bool added = leave(true);
    inside--;
    pthread_mutex_unlock(&lock);
    return added;
}

bool residue_leave_all(void)
{
    NOT_FROZEN();
    pthread_mutex_lock(&lock);
    gave_up = true;
    bool added = inside > 0 && leave(false);
    inside = 0;
    pthread_mutex_unlock(&lock);
    return added;
}

void residue_give_up(void)
{
    pthread_mutex_lock(&lock);
    gave_up = true;
    pthread_mutex_unlock(&lock);
}

void residue_forked(void)
{
    pthread_mutex_init(&lock, NULL);
    inside = 0;
}

enum verdict {
    VERDICT_OURS,   /* a driver's, which can be taken from one that keeps it */
    VERDICT_LIKELY, /* the same, where that driver keeps others of that device as well */
    VERDICT_THEIRS,
    VERDICT_UNCLEAR,
};

static enum verdict judge(const struct known *known, const char *path)
{
    if (known->origin == ORIGIN_BEFORE)
        return VERDICT_THEIRS;
    if (known->origin == ORIGIN_CALL || config.node_owner == OWNER_DRIVER)
        return VERDICT_OURS;
    if (config.node_owner == OWNER_PROGRAM)
        return VERDICT_THEIRS;
    if (known->origin == ORIGIN_BESIDE)
        return known->suspect ? VERDICT_UNCLEAR : VERDICT_OURS;
    if (!known_sort(path))
        return VERDICT_THEIRS;
    return known->outlived || known->suspect ? VERDICT_UNCLEAR : VERDICT_LIKELY;
}

/* As the last look knows it. A mapping goes with the descriptors of its file. */
static enum verdict judge_node(const struct node *node)
{
    const struct known *known = known_find(node);
    if (known)
        return judge(known, node->path);
    return known_sort(node->path) || config.node_owner == OWNER_DRIVER ? VERDICT_LIKELY
                                                                       : VERDICT_THEIRS;
}

/* Whether it is the driver's own after all, the user may know, but for what was there before. */
static void refuse_theirs(const struct node *node, struct error *err)
{
    const struct known *known = known_find(node);
    bool before = known && known->origin == ORIGIN_BEFORE;
    error_set(err, 0,
              "no OpenCL driver opened it: GL, Vulkan, CUDA, VA-API or the program itself holds "
              "the device");
    error_todo(err,
               "only the program can close it: end that use of the device, then suspend again%s",
               before ? ""
                      : "; a program in which there is none can be started with "
                        "SHADOWCL_NODE_OWNER=driver");
}

static void refuse_unclear(struct error *err)
{
    char library[64];
    gpu_library_name(gpu_libraries() & ~own, library, sizeof library);
    if (*library)
        error_set(err, 0,
                  "it was opened while OpenCL was in use, by the OpenCL driver or by `%s`: which "
                  "of them can't be told",
                  library);
    else
        error_set(err, 0,
                  "it was still held when the OpenCL driver had let go: GL, Vulkan, CUDA, VA-API "
                  "or the program itself may hold the device");
    error_todo(err, "end that other use of the device, then suspend again; a program in which "
                    "there is none can be started with SHADOWCL_NODE_OWNER=driver");
}

static void refuse(const struct node *node, enum verdict verdict, struct error *err)
{
    residue_describe(node, err->object, sizeof err->object);
    if (verdict == VERDICT_THEIRS)
        refuse_theirs(node, err);
    else
        refuse_unclear(err);
}

/* What is open, as it is now. With the lock. */
static void look_again(void)
{
    /* In a call that is being watched, what is new may be the driver's. */
    if (!inside)
        look_meanwhile();
}

int residue_foreign(bool *unseen, struct error *err)
{
    struct residue open;
    *unseen = false;
    if (residue_find(&open, err) != 0)
        return -1;
    const struct node *found = NULL;
    enum verdict verdict = VERDICT_OURS;
    pthread_mutex_lock(&lock);
    look_again();
    for (size_t i = 0; i < open.count && !found; i++) {
        verdict = judge_node(&open.nodes[i]);
        if (verdict >= VERDICT_THEIRS)
            found = &open.nodes[i];
        *unseen |= !known_sort(open.nodes[i].path);
    }
    if (found)
        refuse(found, verdict, err);
    pthread_mutex_unlock(&lock);
    residue_finish(&open);
    return found ? -1 : 0;
}

int residue_tell(residue_taker *take, void *data, struct error *err)
{
    struct residue open;
    if (residue_find(&open, err) != 0)
        return -1;
    pthread_mutex_lock(&lock);
    look_again();
    for (size_t i = 0; i < open.count; i++) {
        struct error why = {0};
        enum verdict verdict = judge_node(&open.nodes[i]);
        if (verdict >= VERDICT_THEIRS)
            refuse(&open.nodes[i], verdict, &why);
        take(data, &open.nodes[i], verdict >= VERDICT_THEIRS ? &why : NULL);
    }
    pthread_mutex_unlock(&lock);
    residue_finish(&open);
    return 0;
}

/* Has a driver kept a node of that device that is its own beyond doubt? */
static bool is_kept(const struct identity *of, const struct residue *residue)
{
    for (size_t i = 0; i < residue->count; i++) {
        const struct node *node = &residue->nodes[i];
        const struct known *known = known_find(node);
        if (known && identity_same(&known->of, of) && judge(known, node->path) == VERDICT_OURS)
            return true;
    }
    return false;
}

static bool is_drivers(const struct node *node, const struct residue *residue)
{
    const struct known *known = known_find(node);
    if (!known)
        return false;
    enum verdict verdict = judge(known, node->path);
    return verdict == VERDICT_OURS ||
           (verdict == VERDICT_LIKELY && known_device(&known->of) && is_kept(&known->of, residue));
}

/* Between a look at the one and a look at the other the name may have changed; and a file system
 * may have other numbers for a mapping than for a descriptor. */
static bool is_same_file(const struct node *a, const struct node *b)
{
    return identity_same(&a->file, &b->file) || strcmp(a->path, b->path) == 0;
}

/* A mapping is the driver's when it alone has the node open. */
static bool is_drivers_mapping(const struct node *node, const struct residue *residue)
{
    bool any = false;
    for (size_t i = 0; i < residue->count; i++) {
        const struct node *other = &residue->nodes[i];
        if (other->fd < 0 || !is_same_file(other, node))
            continue;
        if (!is_drivers(other, residue))
            return false;
        any = true;
    }
    return any;
}

size_t residue_take(const struct residue *residue, struct report *report)
{
    size_t taken = 0;
    pthread_mutex_lock(&lock);
    look_meanwhile();
    for (size_t i = 0; i < residue->count; i++) {
        const struct node *node = &residue->nodes[i];
        if (node->fd >= 0 ? is_drivers(node, residue) : is_drivers_mapping(node, residue))
            taken += node_take(node, gave_up, report);
    }
    pthread_mutex_unlock(&lock);
    return taken;
}

void residue_let_go(const struct residue *left)
{
    pthread_mutex_lock(&lock);
    clean = !left->count && !gave_up;
    for (size_t i = 0; i < left->count; i++) {
        struct known *known = known_find(&left->nodes[i]);
        if (known)
            known->outlived = true;
    }
    pthread_mutex_unlock(&lock);
}
