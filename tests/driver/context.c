/* SPDX-License-Identifier: Apache-2.0 */
/* Contexts, which hold the devices' nodes open. */
#include "tests/driver/driver.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static void close_nodes(unsigned mask)
{
    for (unsigned i = 0; i < num_devices; i++)
        if (mask & 1u << i)
            node_close(&devices[i]);
}

static cl_int open_nodes(unsigned mask)
{
    for (unsigned i = 0; i < num_devices; i++) {
        if (!(mask & 1u << i))
            continue;
        cl_int err = node_open(&devices[i]);
        if (err != CL_SUCCESS) {
            close_nodes(mask & ((1u << i) - 1));
            return err;
        }
    }
    return CL_SUCCESS;
}

/* The contexts that want to be told of errors: a place each, whose number goes with the mask of the
 * devices through a pointer. */
#define MAX_LISTENERS 256
#define MASK_BITS 16

typedef void(CL_CALLBACK *notify_function)(const char *, const void *, size_t, void *);

static pthread_mutex_t listeners_lock = PTHREAD_MUTEX_INITIALIZER;
static struct listener {
    notify_function notify; /* NULL: free */
    void *user_data;
} listeners[MAX_LISTENERS]; /* guarded by the lock */

/* Returns the place's number, from 1; 0 for none. */
static unsigned listener_add(notify_function notify, void *user_data)
{
    unsigned place = 0;
    pthread_mutex_lock(&listeners_lock);
    while (notify && place < MAX_LISTENERS && listeners[place].notify)
        place++;
    bool found = notify && place < MAX_LISTENERS;
    if (found)
        listeners[place] = (struct listener){notify, user_data};
    pthread_mutex_unlock(&listeners_lock);
    return found ? place + 1 : 0;
}

static void listener_remove(unsigned number)
{
    pthread_mutex_lock(&listeners_lock);
    if (number)
        listeners[number - 1].notify = NULL;
    pthread_mutex_unlock(&listeners_lock);
}

void contexts_notify(const char *text)
{
    pthread_mutex_lock(&listeners_lock);
    for (unsigned i = 0; i < MAX_LISTENERS; i++)
        if (listeners[i].notify)
            listeners[i].notify(text, text, strlen(text) + 1, listeners[i].user_data);
    pthread_mutex_unlock(&listeners_lock);
}

/* pocl calls this with a lock of its own held: nothing of pocl may be called from here. */
#ifdef TESTDRIVER_NODELETE
/* At work on the device until the end. */
static void *linger(void *mask)
{
    struct timespec start, now;
    long ms = faults_linger();
    clock_gettime(CLOCK_MONOTONIC, &start);
    do {
        for (unsigned i = 0; i < num_devices; i++)
            if ((unsigned)(uintptr_t)mask & 1u << i)
                *(volatile unsigned char *)(devices[i].memory + PAGE) = (unsigned char)i;
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 < ms);
    close_nodes((unsigned)(uintptr_t)mask);
    return NULL;
}

static bool leave_to_thread(void *mask)
{
    pthread_t thread;
    if (!faults_linger() || pthread_create(&thread, NULL, linger, mask) != 0)
        return false;
    pthread_detach(thread);
    return true;
}
#else
static bool leave_to_thread(void *mask)
{
    return false;
}
#endif

static void on_destroyed(void *data)
{
    uintptr_t mask = (uintptr_t)data & ((1u << MASK_BITS) - 1);
    listener_remove((unsigned)((uintptr_t)data >> MASK_BITS));
    if (!leave_to_thread((void *)mask))
        close_nodes((unsigned)mask);
}

static void watch(cl_context context, unsigned mask, unsigned listener)
{
    void *data = (void *)((uintptr_t)listener << MASK_BITS | mask);
    struct landing *landing = landing_make(&dispatch, on_destroyed, data);
    if (landing)
        pocl->clSetContextDestructorCallback(context, landing_context, landing);
}

/* The property list with one platform put in another's place. Owned; NULL for none. */
static cl_context_properties *translate(const cl_context_properties *properties,
                                        cl_platform_id from, cl_platform_id to)
{
    size_t count = 0;
    while (properties && properties[count])
        count += 2;
    cl_context_properties *copy = properties ? calloc(count + 1, sizeof *copy) : NULL;
    for (size_t i = 0; copy && i < count; i++)
        copy[i] = properties[i];
    for (size_t i = 0; copy && i < count; i += 2)
        if (copy[i] == CL_CONTEXT_PLATFORM && copy[i + 1] == (cl_context_properties)from)
            copy[i + 1] = (cl_context_properties)to;
    return copy;
}

static cl_context create(const cl_context_properties *properties, cl_uint num_ids,
                         const cl_device_id *ids,
                         void(CL_CALLBACK *notify)(const char *, const void *, size_t, void *),
                         void *user_data, cl_int *errcode_ret)
{
    unsigned mask = 0;
    for (cl_uint i = 0; ids && i < num_ids; i++) {
        if (!device_find(ids[i]))
            return failed(errcode_ret, CL_INVALID_DEVICE);
        mask |= device_mask(ids[i]);
    }
    cl_int err = open_nodes(mask);
    if (err != CL_SUCCESS)
        return failed(errcode_ret, err);
    cl_context_properties *translated = translate(properties, &platform, pocl_platform);
    if (ids && num_ids && device_find(ids[0])->caps.extras)
        extras_strip_context(translated);
    cl_context context =
        pocl->clCreateContext(translated, num_ids, ids, notify, user_data, errcode_ret);
    free(translated);
    if (!context)
        close_nodes(mask);
    else
        watch(context, mask, listener_add(notify, user_data));
    return adopt(context);
}

cl_context CL_API_CALL clCreateContext(const cl_context_properties *properties, cl_uint num_ids,
                                       const cl_device_id *ids,
                                       void(CL_CALLBACK *notify)(const char *, const void *, size_t,
                                                                 void *),
                                       void *user_data, cl_int *errcode_ret)
{
    cl_int err = call_begin(CALL_clCreateContext, 0);
    if (err != CL_SUCCESS)
        return failed(errcode_ret, err);
    return create(properties, num_ids, ids, notify, user_data, errcode_ret);
}

cl_context CL_API_CALL clCreateContextFromType(const cl_context_properties *properties,
                                               cl_device_type type,
                                               void(CL_CALLBACK *notify)(const char *, const void *,
                                                                         size_t, void *),
                                               void *user_data, cl_int *errcode_ret)
{
    cl_int err = call_begin(CALL_clCreateContextFromType, 0);
    cl_device_id ids[MAX_DEVICES];
    cl_uint num_ids = 0;
    for (unsigned i = 0; type & (CL_DEVICE_TYPE_GPU | CL_DEVICE_TYPE_DEFAULT) && i < num_devices;
         i++)
        if (device_listed(&devices[i]))
            ids[num_ids++] = devices[i].id;
    if (err == CL_SUCCESS && num_ids == 0)
        err = CL_DEVICE_NOT_FOUND;
    if (err != CL_SUCCESS)
        return failed(errcode_ret, err);
    return create(properties, num_ids, ids, notify, user_data, errcode_ret);
}

RETAIN(clRetainContext, cl_context)
RELEASE(clReleaseContext, cl_context)

cl_int CL_API_CALL clGetContextInfo(cl_context context, cl_context_info param, size_t space,
                                    void *value, size_t *size_ret)
{
    cl_int err = call_begin(CALL_clGetContextInfo, devices_of(context));
    size_t size = 0;
    if (err == CL_SUCCESS)
        err = pocl->clGetContextInfo(context, param, space, value, &size);
    if (err != CL_SUCCESS)
        return err;
    char *properties = value; /* which need not be aligned */
    const cl_context_properties ours = (cl_context_properties)&platform;
    for (size_t at = 0; param == CL_CONTEXT_PROPERTIES && value && at + 2 * sizeof ours <= size;
         at += 2 * sizeof ours) {
        cl_context_properties name;
        memcpy(&name, properties + at, sizeof name);
        if (name == CL_CONTEXT_PLATFORM)
            memcpy(properties + at + sizeof name, &ours, sizeof ours);
    }
    if (size_ret)
        *size_ret = size;
    return CL_SUCCESS;
}

PASS(clSetContextDestructorCallback,
     (cl_context context, void(CL_CALLBACK *notify)(cl_context, void *), void *user_data),
     (context, notify, user_data), context)
