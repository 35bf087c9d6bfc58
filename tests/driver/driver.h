/* SPDX-License-Identifier: Apache-2.0 */
/* What the test driver's files share: the front that every call passes, the devices, the records
 * of memory objects. Objects are pocl's own; only their first word is ours, so that every loader
 * calls us. */
#ifndef TESTS_DRIVER_DRIVER_H
#define TESTS_DRIVER_DRIVER_H

#include "tests/driver/calls.h"
#include "tests/driver/landing.h"

#include <CL/cl_icd.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAX_DEVICES 16
#define PAGE ((size_t)4096)
#define NODE_PATH 512

/* What a device lacks, and has beside, from SHADOWCL_TEST_CAPS. */
struct caps {
    size_t mem;         /* 0: all that the node has */
    size_t max_wg;      /* 0: as pocl */
    size_t max_image;   /* pixels along an edge; 0: as pocl */
    size_t variables;   /* bytes of program-scope variables in every program built */
    size_t align;       /* of sub-buffers, bytes, for commands; 0: as pocl */
    bool extras;        /* see extras.c */
    bool inline_native; /* native kernels run in the call that enqueues them */
    bool no_fp64, no_images, no_uint8, no_out_of_order;
    bool no_empty; /* ranges */
    bool uneven;   /* work-groups of other sizes at the edges */
    bool views;    /* see view.c */
};

/* Which file a path led to; a file made anew is another one even if it got the old number. */
struct identity {
    uint64_t device, inode, born;
};

struct block {
    size_t offset, size;
    struct block *next; /* by offset */
};

struct device {
    cl_device_id id;     /* pocl's */
    void *pocl_dispatch; /* the id's first word before it was ours */
    char *path;          /* owned; the node; NULL for a PCI device */
    char *bar;           /* owned; NULL, or VENDOR:DEVICE of a PCI device */
    char *line;          /* owned; NULL, or a pipe or terminal held open with the node */
    char *name;          /* owned */
    struct caps caps;
    pthread_mutex_t lock; /* guards all below */
    unsigned contexts;
    int fd, line_fd;             /* -1 while closed */
    int again_fd, again_line_fd; /* of node_open_again; 0: there is none */
    unsigned char *again_memory;
    char opened_path[NODE_PATH];
    unsigned char *memory;
    size_t mapped;
    struct identity opened;
    struct block *blocks;
    /* The nodelete variant's memory of its first start. */
    bool remembered, was_there;
    struct identity first;
    size_t first_size;
};

/* A memory object as the application knows it. */
struct mem {
    cl_mem id;
    struct mem *next;
    cl_mem_flags flags;
    unsigned char *host_ptr; /* the application's, with CL_MEM_USE_HOST_PTR only */
    struct device *device;   /* NULL when the contents are a parent's */
    size_t offset;           /* of the contents in the device's memory */
    size_t origin;           /* of a sub-buffer */
    struct landing *landing; /* not owned */
};

/* pocl.c: pocl's calls; NULL until pocl_load() succeeded. */
extern const cl_icd_dispatch *pocl;
extern cl_platform_id pocl_platform;
int pocl_load(unsigned num_devices);

/* platform.c */
extern cl_icd_dispatch dispatch;
extern struct _cl_platform_id platform;
struct _cl_platform_id {
    const cl_icd_dispatch *dispatch;
    void *reserved; /* cl_khr_icd 2.0 looks here */
};
/* Makes the loaders call us for this object; NULL is fine. Returns it. */
void *adopt(void *object);
cl_int adopt_event(cl_int err, cl_event *event);
/* Answers a query with these bytes, as clGet*Info does. */
cl_int answer(const void *data, size_t size, size_t space, void *value, size_t *size_ret);
/* Sets the error of a create call; returns NULL. */
void *failed(cl_int *errcode_ret, cl_int err);

/* front.c: counts the call, applies the faults, looks whether these devices (a bit each) are
 * there. Returns CL_SUCCESS or what the call has to answer. */
cl_int call_begin(enum call call, unsigned devices);
const char *call_name(enum call call);

unsigned device_mask(cl_device_id id);
unsigned context_mask(cl_context context);
unsigned queue_mask(cl_command_queue queue);
unsigned mem_mask(cl_mem mem);
unsigned sampler_mask(cl_sampler sampler);
unsigned program_mask(cl_program program);
unsigned kernel_mask(cl_kernel kernel);
unsigned event_mask(cl_event event);
#define devices_of(object)                                                                         \
    _Generic((object), cl_device_id                                                                \
             : device_mask, cl_context                                                             \
             : context_mask, cl_command_queue                                                      \
             : queue_mask, cl_mem                                                                  \
             : mem_mask, cl_sampler                                                                \
             : sampler_mask, cl_program                                                            \
             : program_mask, cl_kernel                                                             \
             : kernel_mask, cl_event                                                               \
             : event_mask)(object)
cl_context queue_context(cl_command_queue queue);
struct device *queue_device(cl_command_queue queue);

/* device.c */
extern struct device devices[MAX_DEVICES];
extern unsigned num_devices;
int devices_start(void);
void devices_stop(void);
/* The device that this one is or is a part of; NULL for one that is not ours. */
struct device *device_find(cl_device_id id);
bool device_listed(struct device *device);
size_t device_size(struct device *device);
struct device *context_device(cl_context context);

/* node.c: a device is open while it has contexts. Is it there, and the same one as when it was
 * opened? node_present() is for callers that hold the device's lock. */
bool device_present(struct device *device);
bool node_present(struct device *device);
cl_int node_open(struct device *device);
void node_close(struct device *device);
/* While it is open: its node once more, which goes with the first. Once only. */
void node_open_again(struct device *device);
/* What the node is now, whatever is open. */
bool node_look(struct device *device, struct identity *identity, size_t *size);
bool same_identity(const struct identity *a, const struct identity *b);
/* Waits until every node is closed, or a while. */
void nodes_settle(void);

/* bar.c: the memory of the first PCI device with these ids, VENDOR:DEVICE. */
bool bar_find(const char *ids, char *path, size_t space);
bool bar_enable(const char *path);

/* eager.c: asks the program's loader for platforms, where it is told to. */
void eager_ask(const char *when);
/* sticky.c: a thread that sleeps in poll() on this descriptor for good. */
void sticky_watch(int fd);

/* heap.c: the device's memory, first fit. Returns the offset, 0 when there is no room: the first
 * page is never given away. */
size_t heap_allocate(struct device *device, size_t size);
void heap_free(struct device *device, size_t offset);
void heap_clear(struct device *device);

/* context.c: calls the notify function of every context that has one, in this thread; the text is
 * the private information too. */
void contexts_notify(const char *text);

/* map.c */
/* Forgets what is mapped of an object that goes, or of all (NULL). */
void maps_forget(cl_mem mem);

/* mem.c */
/* Forgets what pocl has not dropped yet: nobody tells us of it any more. */
void mems_stop(void);
/* Changes this byte of the oldest buffer or image, as no command has. */
void mems_flip(size_t at);
struct mem *mem_find(cl_mem id);
cl_int mem_check_flags(cl_mem_flags flags, const void *host_ptr);
cl_mem_flags mem_pocl_flags(cl_mem_flags flags);
/* Reserves device memory for an object; `err` says why not. */
struct mem *mem_reserve(cl_context context, cl_mem_flags flags, size_t size, void *host_ptr,
                        cl_int *err);
unsigned char *mem_contents(const struct mem *mem);
/* Ties the record to pocl's object, or undoes the reservation if that is NULL. */
cl_mem mem_adopt(struct mem *mem, cl_mem id);
/* A record for an object whose contents are a parent's. */
cl_mem mem_adopt_part(cl_mem id, cl_mem parent, cl_mem_flags flags, size_t origin);

/* view.c: a plane over `desc->mem_object`, of pixels of so many bytes. */
enum { VIEW_ALIGNMENT = 16 }; /* of its rows, in pixels */
cl_mem view_create(cl_context context, cl_mem_flags flags, const cl_image_format *format,
                   const cl_image_desc *desc, size_t element, cl_int *errcode_ret);

/* checks.c: what devices with the caps `align` and `noempty` refuse. The buffers may be NULL. */
cl_int check_range(cl_command_queue queue, size_t size, cl_mem buffer, cl_mem other);
cl_int check_launch(cl_command_queue queue, cl_kernel kernel, cl_uint dimensions,
                    const size_t *global);
void checks_stop(void);

/* faults.c */
void faults_start(void);
void faults_stop(void);
cl_int faults_apply(const char *name);
/* As told to hang, where nothing is called: in the library's constructors and destructors. */
void faults_stand(const char *name);
enum held_back { STALL_KERNELS = 1, STALL_COPIES };
bool faults_stalled(enum held_back what);
bool faults_unflushed(void);
long faults_linger(void); /* ms */
long faults_late(void);   /* ms */
bool faults_version(char *to, size_t size);
/* With what the command that this thread's call enqueues is to end; CL_SUCCESS: as it should. */
cl_int faults_spoiled(void);

/* event.c: a command that ends with this error, after its waits, and does nothing. */
cl_int spoil_command(cl_command_queue queue, cl_int error, cl_uint num_waits, const cl_event *waits,
                     cl_event *event);

/* stall.c: an event that a kernel has to wait for while `stall` is told, or, with `unflushed`,
 * until its queue is flushed; NULL otherwise. The caller's reference. */
cl_event stall_event(cl_command_queue queue, enum held_back what);
void stall_flush(cl_command_queue queue);
void stall_stop(void);

/* A format with this channel type is four bytes wide. */
#define EXTRA_CHANNEL_TYPE 0x7777

/* il.c: the options of a build, with the program's constants. The caller frees it; NULL: it has
 * none, and the options are as they were (to pocl, none at all are others than an empty string). */
char *il_options(cl_program program, const char *options);

/* extras.c: the device of this object claims what pocl has not. */
bool extras_of(cl_context context);
/* What the device says of its extras; false where that is pocl's matter. */
bool extras_info(const struct device *device, cl_device_info param, cl_ulong *value);
/* Extensions that the device claims, each after a space; "" for none. */
const char *extras_extensions(const struct device *device);
/* Adds its second argument to each number of its first. */
#define BUILT_IN_KERNEL "testdriver_add"
/* A function of one of them, which does nothing; NULL: it has none of that name. */
void *extras_function(const char *name);
/* Without the properties that pocl does not know, in place. */
void extras_strip_context(cl_context_properties *properties);

/* queue.c: false for one whose profiling pocl was told of only for `extras`. */
bool queue_tells_times(cl_command_queue queue, cl_ulong queued);

/* What the device's clock says when pocl's says `time`: see SHADOWCL_TEST_CLOCK. */
cl_ulong device_time_of(cl_ulong time);
cl_ulong device_time_now(void);
cl_ulong event_time_now(void); /* as pocl has it */
/* Is it `none`, a device that has no clock? */
bool device_has_no_clock(void);

#define PASS(name, parameters, arguments, object)                                                  \
    cl_int CL_API_CALL name parameters                                                             \
    {                                                                                              \
        cl_int err = call_begin(CALL_##name, devices_of(object));                                  \
        return err == CL_SUCCESS ? pocl->name arguments : err;                                     \
    }
/* Released objects are let go whether the device is there or not. */
#define RELEASE(name, type)                                                                        \
    cl_int CL_API_CALL name(type object)                                                           \
    {                                                                                              \
        cl_int err = call_begin(CALL_##name, 0);                                                   \
        return err == CL_SUCCESS ? pocl->name(object) : err;                                       \
    }
#define RETAIN(name, type) PASS(name, (type object), (object), object)
#define QUERY(name, type, info)                                                                    \
    PASS(name, (type object, info param, size_t space, void *value, size_t *size_ret),             \
         (object, param, space, value, size_ret), object)
#define CREATE(type, name, parameters, arguments, object)                                          \
    type CL_API_CALL name parameters                                                               \
    {                                                                                              \
        cl_int err = call_begin(CALL_##name, devices_of(object));                                  \
        return err == CL_SUCCESS ? adopt(pocl->name arguments) : failed(errcode_ret, err);         \
    }

#endif
