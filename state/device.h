/* SPDX-License-Identifier: Apache-2.0 */
/* Platforms and devices. Root devices live as long as the process; sub-devices are counted. What
 * the application was told of one is frozen: see info.h. */
#ifndef SHADOWCL_STATE_DEVICE_H
#define SHADOWCL_STATE_DEVICE_H

#include "shim/error.h"
#include "state/info.h"
#include "state/object.h"

/* A device's or host's clock, as the application sees it: never runs backwards, whatever the
 * machine under it is. */
struct timer {
    _Atomic int64_t offset; /* ns, added to what the driver says */
    _Atomic cl_ulong last;  /* the latest time that was told */
    atomic_bool moved;      /* the device was let go since: the clock may be another */
    atomic_bool unread;     /* since a rebuild it could not be looked at: see queue_read_clock */
    _Atomic cl_ulong floor; /* what was told before the last rebuild: no event is earlier */
};

struct platform {
    struct object object;
    struct info_cache info;
    char *name;              /* owned */
    char *suffix;            /* owned: of cl_khr_icd, "POCL"; a short name for users */
    struct device **devices; /* owned array of the root devices, filled once; the driver's order */
    cl_uint num_devices;
    atomic_bool enumerated;
    unsigned index; /* its place in what clGetPlatformIDs answers */
};

/* One clCreateSubDevices: its parts are made by one call, and so made again by one call. */
struct partition {
    _Atomic cl_uint refs; /* parts that have it */
    bool ext;             /* clCreateSubDevicesEXT */
    cl_uint num_parts;
    cl_device_partition_property *properties; /* owned, 0-terminated; of EXT: in its own words */
    size_t num_words;                         /* of these, the 0 included */
    struct device *parts[];                   /* NULL: released */
};

/* What the program has had of a root device. */
enum device_known {
    DEVICE_UNKNOWN,
    DEVICE_TOLD,        /* its handle */
    DEVICE_HAD_CONTEXT, /* a context on it, or on a part of it */
};

struct device {
    struct object object;
    struct platform *platform;
    struct device *parent; /* held; NULL for a root device */
    struct info_cache info;
    cl_device_type type;
    cl_uint index;         /* among the platform's root devices, or the partition's parts */
    _Atomic uint8_t known; /* enum device_known */
    bool is_default;       /* the driver's CL_DEVICE_TYPE_DEFAULT */
    bool same;             /* since the last rebuild: on a device like the one it was captured on */
    struct partition *partition; /* shared by its parts; NULL for a root device */
    char *name;                  /* owned */
    char
        *identity; /* owned: platform, name, version and driver version; binaries are bound to it */
    /* Owned: the identity of the device that it was on when it was captured; NULL: its own. */
    char *captured_on;
    /* Owned: the identity of the device that the last rebuild was on; NULL: there was none. */
    char *rebuilt_on;
    /* Of a root device: what it is in its own driver (own is NULL while not loaded), and the root
     * device whose place in a driver it has been moved to; NULL: its own. See shim/loader.c. */
    const struct driver *own_driver;
    cl_device_id own;
    struct device *_Atomic place; /* asked for at any time, also while it is changed */
    struct device *before;        /* what place was, should the move fail (shim/placement.c) */
    struct timer device_timer;
    struct timer host_timer;
    bool no_times; /* it had none for a command that it completed; until a report has said so */
    bool no_clock; /* after a rebuild there was no way to look at its clock; likewise */
};

static inline struct platform *platform_check(cl_platform_id handle)
{
    return object_check(handle, KIND_PLATFORM);
}

static inline struct device *device_check(cl_device_id handle)
{
    return object_check(handle, KIND_DEVICE);
}

static inline cl_device_id device_real(const struct device *device)
{
    return device->object.real;
}

/* Where a root device lives. */
static inline struct device *device_place(const struct device *device)
{
    struct device *place = atomic_load(&device->place);
    return place ? place : (struct device *)device;
}

/* What calls the driver here does not pass the gate itself: the caller is inside, or has closed it
 * and knows that the driver is loaded. */

/* A new shadow of a driver's platform; never destroyed. NULL without memory. */
struct platform *platform_create(const struct driver *driver);
/* One that an image tells of, not yet published: `driver` is an empty table, and it lists no
 * devices. NULL without memory. */
struct platform *platform_load(const struct driver *driver, const char *name, const char *suffix);
/* Makes the shadows of its root devices, once; thread-safe. A driver without devices is no error,
 * and a platform that is not there has none until it is back. */
cl_int platform_enumerate(struct platform *platform);
/* The driver's root devices in the order of platform->devices: an array for the caller to free. */
cl_int platform_list(const struct driver *driver, cl_device_id **list, cl_uint *count);
/* After the driver was loaded again: sets `own` of every root device, by what each one is. Those
 * that are alike are told apart by their order alone. */
void platform_find_own(struct platform *platform, const struct driver *driver);
/* §4.2: the root devices of a type; at most `room` of them into found (may be NULL). Returns how
 * many there are. The platform is enumerated. */
cl_uint platform_select(const struct platform *platform, cl_device_type type, struct device **found,
                        cl_uint room);
/* After fork, in the child; and where a thread will never come back from a driver that it asked for
 * devices, with the gate closed. */
void platform_reset(void);

/* The frozen answer to a query: asks the driver the first time, remembers it. The handles in it are
 * ours, extensions that we don't carry are left out. Where *_info_known the driver is not asked. */
cl_int platform_info(struct platform *platform, cl_platform_info param, struct answer to);
bool platform_info_known(struct platform *platform, cl_platform_info param);
cl_int device_info(struct device *device, cl_device_info param, struct answer to);
bool device_info_known(struct device *device, cl_device_info param);

/* A new device, not yet published; holds the parent. NULL without memory. */
struct device *device_create(struct platform *platform, struct device *parent, cl_device_id real);
/* One that an image tells of, not yet published, nowhere until it is placed: holds the parent.
 * `captured_on` may be NULL. NULL without memory. */
struct device *device_load(struct platform *platform, struct device *parent, const char *name,
                           const char *identity, const char *captured_on);
void device_discard(struct device *device);
/* The program has had this of it, or of its root device. */
void device_note(struct device *device, enum device_known known);
/* Gives a root device the real handle and the driver of the device where it lives. */
void device_settle(struct device *device);
/* What a real device is, in the form of device->identity; owned by the caller, NULL without memory.
 */
char *device_identify(const struct driver *driver, cl_device_id real);
/* The time to tell for what the driver says. */
cl_ulong timer_told(struct timer *timer, cl_ulong raw);
/* The same for a time in an event, which may be of any moment since the last rebuild. */
cl_ulong timer_event(struct timer *timer, cl_ulong raw);
/* The clock of a device is that of its root device. */
struct timer *device_clock(struct device *device);
/* It says `now` after a rebuild: it goes on where the old one was. */
void timer_go_on(struct timer *timer, cl_ulong now);

/* §4.3: `parts` gets *num_parts new devices, unpublished; with parts NULL only counts. */
cl_int device_partition(struct device *device, const cl_device_partition_property *properties,
                        bool ext, struct device **parts, cl_uint *num_parts);
/* A partition that an image tells of; NULL where its properties are no list of any, or without
 * memory. It has no parts, and has to get one: the last part to go frees it. */
struct partition *partition_load(const int64_t *properties, size_t count, bool ext,
                                 cl_uint num_parts);
/* A loaded device becomes the part of that place; false where there is one, or no such place. */
bool partition_join(struct partition *partition, struct device *part, cl_uint index);
/* A part goes; the last one frees the partition. */
void partition_leave(struct device *part);
/* Can the parts of a root device be made on another device too? */
int partition_check(const struct device *part, const struct driver *driver, cl_device_id other,
                    struct error *err);
/* Makes the parts of the partition again that are still there. */
int partition_rebuild(struct partition *partition, struct error *err);

/* The root device a SPEC names: `PLATFORM:INDEX`, or part of a platform's or device's name, or
 * `P:D` by numbers. Looks only at what is loaded. NULL: err says what there is instead. */
struct device *device_find(const char *spec, struct error *err);

/* Goes over what the application was told that `told` can do, and reports each point in which
 * another device can do less, with both values. Returns how many there are. */
int device_compare(struct device *told, const struct driver *driver, cl_device_id other,
                   void (*differs)(const char *what, void *data), void *data);

/* §4.3 over again: makes the sub-devices of one partition call new; root devices get their real
 * handle from the loader's mapping (shim/loader.c) before. */
/* Remembers what the device is that it lives on now: binaries are bound to that one. */
int device_capture(struct device *device, struct error *err);
const char *device_captured_on(const struct device *device);
/* Of a program that runs, or has just been rebuilt: what the device is that it is on. */
const char *device_lives_on(const struct device *device);
int device_rebuild(struct device *device, struct error *err);
/* Instead of that, where it is not there: its clock will be another one. */
void device_lose(struct device *device);
void device_release(struct device *device);

#endif
