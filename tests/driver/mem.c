/* SPDX-License-Identifier: Apache-2.0 */
/* Memory objects: their contents are in the device's memory, over which pocl's objects are made
 * with CL_MEM_USE_HOST_PTR. A record of each says what the application gave. */
#include "tests/driver/driver.h"

#include <stdlib.h>
#include <string.h>

#define ACCESS (CL_MEM_READ_WRITE | CL_MEM_READ_ONLY | CL_MEM_WRITE_ONLY)
#define HOST_ACCESS (CL_MEM_HOST_READ_ONLY | CL_MEM_HOST_WRITE_ONLY | CL_MEM_HOST_NO_ACCESS)
#define PLACE (CL_MEM_USE_HOST_PTR | CL_MEM_ALLOC_HOST_PTR | CL_MEM_COPY_HOST_PTR)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct mem *mems; /* guarded by lock */

struct mem *mem_find(cl_mem id)
{
    pthread_mutex_lock(&lock);
    struct mem *mem = mems;
    while (mem && mem->id != id)
        mem = mem->next;
    pthread_mutex_unlock(&lock);
    return mem;
}

static void forget(struct mem *mem)
{
    pthread_mutex_lock(&lock);
    struct mem **link = &mems;
    while (*link && *link != mem)
        link = &(*link)->next;
    if (*link)
        *link = mem->next;
    pthread_mutex_unlock(&lock);
    if (mem->device)
        heap_free(mem->device, mem->offset);
    maps_forget(mem->id);
    free(mem);
}

/* Registered first, so called last: the application's own callbacks still see the contents. */
static void on_destroyed(void *mem)
{
    forget(mem);
}

void mems_stop(void)
{
    maps_forget(NULL);
    pthread_mutex_lock(&lock);
    while (mems) {
        struct mem *next = mems->next;
        free(mems);
        mems = next;
    }
    pthread_mutex_unlock(&lock);
}

void mems_flip(size_t at)
{
    struct mem *oldest = NULL;
    pthread_mutex_lock(&lock);
    for (struct mem *mem = mems; mem; mem = mem->next)
        if (mem->device)
            oldest = mem;
    if (oldest)
        mem_contents(oldest)[at] ^= 0xff;
    pthread_mutex_unlock(&lock);
}

static void remember(struct mem *mem, cl_mem id)
{
    mem->id = id;
    pthread_mutex_lock(&lock);
    mem->next = mems;
    mems = mem;
    pthread_mutex_unlock(&lock);
    mem->landing = landing_make(&dispatch, on_destroyed, mem);
    if (mem->landing)
        pocl->clSetMemObjectDestructorCallback(id, landing_mem, mem->landing);
}

cl_int mem_check_flags(cl_mem_flags flags, const void *host_ptr)
{
    if (flags & CL_MEM_USE_HOST_PTR && flags & (CL_MEM_ALLOC_HOST_PTR | CL_MEM_COPY_HOST_PTR))
        return CL_INVALID_VALUE;
    bool wanted = flags & (CL_MEM_USE_HOST_PTR | CL_MEM_COPY_HOST_PTR);
    return wanted == (host_ptr != NULL) ? CL_SUCCESS : CL_INVALID_HOST_PTR;
}

cl_mem_flags mem_pocl_flags(cl_mem_flags flags)
{
    return (flags & ~(cl_mem_flags)PLACE) | CL_MEM_USE_HOST_PTR;
}

struct mem *mem_reserve(cl_context context, cl_mem_flags flags, size_t size, void *host_ptr,
                        cl_int *err)
{
    struct device *device = context_device(context);
    struct mem *mem = calloc(1, sizeof *mem);
    if (!device || !mem) {
        *err = mem ? CL_INVALID_CONTEXT : CL_OUT_OF_HOST_MEMORY;
        free(mem);
        return NULL;
    }
    mem->flags = flags & ACCESS ? flags : flags | CL_MEM_READ_WRITE;
    mem->host_ptr = flags & CL_MEM_USE_HOST_PTR ? host_ptr : NULL;
    mem->device = device;
    mem->offset = heap_allocate(device, size);
    if (mem->offset)
        return mem;
    *err = CL_MEM_OBJECT_ALLOCATION_FAILURE;
    free(mem);
    return NULL;
}

unsigned char *mem_contents(const struct mem *mem)
{
    return mem->device->memory + mem->offset;
}

cl_mem mem_adopt(struct mem *mem, cl_mem id)
{
    if (id) {
        remember(mem, id);
        return adopt(id);
    }
    heap_free(mem->device, mem->offset);
    free(mem);
    return NULL;
}

cl_mem mem_adopt_part(cl_mem id, cl_mem parent, cl_mem_flags flags, size_t origin)
{
    struct mem *whole = mem_find(parent);
    struct mem *mem = whole ? calloc(1, sizeof *mem) : NULL;
    if (!mem || !id) {
        free(mem);
        return adopt(id);
    }
    /* OpenCL 3.0 §5.2.2: what is not said is inherited; where the memory is always is. */
    mem->flags = flags | (whole->flags & PLACE);
    if (!(flags & ACCESS))
        mem->flags |= whole->flags & ACCESS;
    if (!(flags & HOST_ACCESS))
        mem->flags |= whole->flags & HOST_ACCESS;
    mem->host_ptr = whole->host_ptr ? whole->host_ptr + origin : NULL;
    mem->origin = origin;
    remember(mem, id);
    return adopt(id);
}

static cl_mem create_buffer(cl_context context, const cl_mem_properties *properties,
                            cl_mem_flags flags, size_t size, void *host_ptr, cl_int *errcode_ret)
{
    struct device *device = context_device(context);
    cl_int err = mem_check_flags(flags, host_ptr);
    if (device && (size == 0 || size > device_size(device) / 2))
        err = CL_INVALID_BUFFER_SIZE;
    struct mem *mem = err == CL_SUCCESS ? mem_reserve(context, flags, size, host_ptr, &err) : NULL;
    if (!mem)
        return failed(errcode_ret, context ? err : CL_INVALID_CONTEXT);
    if (host_ptr)
        memcpy(mem_contents(mem), host_ptr, size);
    flags = mem_pocl_flags(flags);
    cl_mem id = properties
                    ? pocl->clCreateBufferWithProperties(context, properties, flags, size,
                                                         mem_contents(mem), errcode_ret)
                    : pocl->clCreateBuffer(context, flags, size, mem_contents(mem), errcode_ret);
    return mem_adopt(mem, id);
}

cl_mem CL_API_CALL clCreateBuffer(cl_context context, cl_mem_flags flags, size_t size,
                                  void *host_ptr, cl_int *errcode_ret)
{
    cl_int err = call_begin(CALL_clCreateBuffer, devices_of(context));
    if (err != CL_SUCCESS)
        return failed(errcode_ret, err);
    return create_buffer(context, NULL, flags, size, host_ptr, errcode_ret);
}

cl_mem CL_API_CALL clCreateBufferWithProperties(cl_context context,
                                                const cl_mem_properties *properties,
                                                cl_mem_flags flags, size_t size, void *host_ptr,
                                                cl_int *errcode_ret)
{
    cl_int err = call_begin(CALL_clCreateBufferWithProperties, devices_of(context));
    if (err != CL_SUCCESS)
        return failed(errcode_ret, err);
    return create_buffer(context, properties, flags, size, host_ptr, errcode_ret);
}

cl_mem CL_API_CALL clCreateSubBuffer(cl_mem buffer, cl_mem_flags flags, cl_buffer_create_type type,
                                     const void *info, cl_int *errcode_ret)
{
    cl_int err = call_begin(CALL_clCreateSubBuffer, devices_of(buffer));
    if (err != CL_SUCCESS)
        return failed(errcode_ret, err);
    cl_mem id = pocl->clCreateSubBuffer(buffer, flags, type, info, errcode_ret);
    return mem_adopt_part(id, buffer, flags, id ? ((const cl_buffer_region *)info)->origin : 0);
}

RETAIN(clRetainMemObject, cl_mem)

/* pocl 3.1 forgets two things when the last reference to an image made from a buffer goes: the
 * callbacks, and its reference to the context, which would never be destroyed. */
cl_int CL_API_CALL clReleaseMemObject(cl_mem id)
{
    cl_int err = call_begin(CALL_clReleaseMemObject, 0);
    if (err != CL_SUCCESS)
        return err;
    cl_mem_object_type type = 0;
    cl_uint references = 0;
    cl_context context = NULL;
    if (id) {
        pocl->clGetMemObjectInfo(id, CL_MEM_TYPE, sizeof type, &type, NULL);
        pocl->clGetMemObjectInfo(id, CL_MEM_REFERENCE_COUNT, sizeof references, &references, NULL);
        pocl->clGetMemObjectInfo(id, CL_MEM_CONTEXT, sizeof context, &context, NULL);
    }
    bool last = type == CL_MEM_OBJECT_IMAGE1D_BUFFER && references == 1;
    struct mem *mem = last ? mem_find(id) : NULL;
    if (mem) {
        landing_cancel(mem->landing);
        forget(mem);
    }
    err = pocl->clReleaseMemObject(id);
    if (last && err == CL_SUCCESS)
        pocl->clReleaseContext(context);
    return err;
}

PASS(clSetMemObjectDestructorCallback,
     (cl_mem object, void(CL_CALLBACK *notify)(cl_mem, void *), void *user_data),
     (object, notify, user_data), object)

cl_int CL_API_CALL clGetMemObjectInfo(cl_mem id, cl_mem_info param, size_t space, void *value,
                                      size_t *size_ret)
{
    cl_int err = call_begin(CALL_clGetMemObjectInfo, devices_of(id));
    if (err != CL_SUCCESS)
        return err;
    struct mem *mem = mem_find(id);
    if (mem && param == CL_MEM_FLAGS)
        return answer(&mem->flags, sizeof mem->flags, space, value, size_ret);
    if (mem && param == CL_MEM_HOST_PTR)
        return answer(&mem->host_ptr, sizeof mem->host_ptr, space, value, size_ret);
    return pocl->clGetMemObjectInfo(id, param, space, value, size_ret);
}
