/* SPDX-License-Identifier: Apache-2.0 */
/* OpenCL 3.0 §5.2 Buffers (creation), §5.5 Memory objects. */
#include "state/image.h"

#include <stdlib.h>
#include <string.h>

#include "shim/export.h"
#include "shim/gate.h"
#include "state/block.h"
#include "state/svm.h"

static cl_int check_host_pointer(cl_mem_flags flags, const void *host_ptr)
{
    bool wanted = flags & (CL_MEM_USE_HOST_PTR | CL_MEM_COPY_HOST_PTR);
    if ((flags & CL_MEM_USE_HOST_PTR) && (flags & (CL_MEM_ALLOC_HOST_PTR | CL_MEM_COPY_HOST_PTR)))
        return CL_INVALID_VALUE;
    return wanted == (host_ptr != NULL) ? CL_SUCCESS : CL_INVALID_HOST_PTR;
}

/* §5.2.1 table: at most one of each group. */
static cl_int check_flags(cl_mem_flags flags)
{
    cl_mem_flags access = flags & (CL_MEM_READ_WRITE | CL_MEM_WRITE_ONLY | CL_MEM_READ_ONLY);
    cl_mem_flags host =
        flags & (CL_MEM_HOST_WRITE_ONLY | CL_MEM_HOST_READ_ONLY | CL_MEM_HOST_NO_ACCESS);
    return (access & (access - 1)) || (host & (host - 1)) ? CL_INVALID_VALUE : CL_SUCCESS;
}

/* §5.2.1: for every device of the context. */
static bool is_too_large(const struct mem *mem)
{
    cl_ulong largest = 0;
    for (cl_uint i = 0; i < mem->context->num_devices; i++) {
        cl_ulong size = 0;
        device_info(mem->context->devices[i], CL_DEVICE_MAX_MEM_ALLOC_SIZE,
                    (struct answer){sizeof size, &size, NULL});
        largest = size > largest ? size : largest;
    }
    return mem->size > largest;
}

/* Where a buffer's bytes lie, by the context's way of mapping (design, decision 6). */
static cl_int place_bytes(struct mem *mem, void *host_ptr)
{
    if (mem->flags & CL_MEM_USE_HOST_PTR)
        mem->host_ptr = host_ptr;
    /* §5.2.1: over shared virtual memory it is that memory, whichever way others are mapped. */
    if (!mem->context->shared && !(mem->host_ptr && svm_contains(host_ptr)))
        return CL_SUCCESS;
    mem->host = mem->host_ptr ? host_ptr : block_alloc(mem->size);
    if (!mem->host)
        return is_too_large(mem) ? CL_INVALID_BUFFER_SIZE : CL_MEM_OBJECT_ALLOCATION_FAILURE;
    if (mem->flags & CL_MEM_COPY_HOST_PTR)
        memcpy(mem->host, host_ptr, mem->size);
    return CL_SUCCESS;
}

static cl_mem make_buffer(cl_context context, const cl_mem_properties *properties,
                          cl_mem_flags flags, size_t size, void *host_ptr, cl_int *status)
{
    struct context *owner = context_check(context);
    *status = owner ? check_flags(flags) : CL_INVALID_CONTEXT;
    if (*status == CL_SUCCESS)
        *status = size ? check_host_pointer(flags, host_ptr) : CL_INVALID_BUFFER_SIZE;
    if (*status != CL_SUCCESS)
        return NULL;
    /* §5.2.1: the default, which is told where nothing at all was given. */
    if (!flags)
        flags = CL_MEM_READ_WRITE;
    struct mem *mem = mem_create(owner, NULL, CL_MEM_OBJECT_BUFFER, flags, size);
    if (!mem) {
        *status = CL_OUT_OF_HOST_MEMORY;
        return NULL;
    }
    *status = mem_keep_properties(mem, properties);
    if (*status == CL_SUCCESS)
        *status = place_bytes(mem, host_ptr);
    if (*status == CL_SUCCESS)
        *status = mem_make_buffer(mem, host_ptr);
    if (*status != CL_SUCCESS) {
        mem_discard(mem);
        return NULL;
    }
    object_publish(mem);
    return (cl_mem)mem;
}

EXPORT cl_mem CL_API_CALL clCreateBuffer(cl_context context, cl_mem_flags flags, size_t size,
                                         void *host_ptr, cl_int *errcode_ret)
{
    GATE(clCreateBuffer);
    cl_int status;
    cl_mem mem = make_buffer(context, NULL, flags, size, host_ptr, &status);
    if (errcode_ret)
        *errcode_ret = status;
    return mem;
}

EXPORT cl_mem CL_API_CALL clCreateBufferWithProperties(cl_context context,
                                                       const cl_mem_properties *properties,
                                                       cl_mem_flags flags, size_t size,
                                                       void *host_ptr, cl_int *errcode_ret)
{
    GATE(clCreateBufferWithProperties);
    cl_int status = CL_INVALID_PROPERTY;
    cl_mem mem = NULL;
    /* No property that a buffer can have is carried (external memory): only the empty list. */
    if (!properties || !properties[0])
        mem = make_buffer(context, properties, flags, size, host_ptr, &status);
    if (errcode_ret)
        *errcode_ret = status;
    return mem;
}

/* §5.2.3: what a sub-buffer is not told it takes from its parent. */
static cl_int sub_buffer_flags(const struct mem *parent, cl_mem_flags *flags)
{
    const cl_mem_flags access = CL_MEM_READ_WRITE | CL_MEM_WRITE_ONLY | CL_MEM_READ_ONLY;
    const cl_mem_flags host =
        CL_MEM_HOST_WRITE_ONLY | CL_MEM_HOST_READ_ONLY | CL_MEM_HOST_NO_ACCESS;
    const cl_mem_flags pointer = CL_MEM_USE_HOST_PTR | CL_MEM_ALLOC_HOST_PTR | CL_MEM_COPY_HOST_PTR;
    cl_mem_flags own = *flags, of = parent->flags;
    if ((own & pointer) || check_flags(own) != CL_SUCCESS ||
        ((of & CL_MEM_WRITE_ONLY) && (own & (CL_MEM_READ_WRITE | CL_MEM_READ_ONLY))) ||
        ((of & CL_MEM_READ_ONLY) && (own & (CL_MEM_READ_WRITE | CL_MEM_WRITE_ONLY))) ||
        ((of & CL_MEM_HOST_WRITE_ONLY) && (own & CL_MEM_HOST_READ_ONLY)) ||
        ((of & CL_MEM_HOST_READ_ONLY) && (own & CL_MEM_HOST_WRITE_ONLY)) ||
        ((of & CL_MEM_HOST_NO_ACCESS) && (own & (CL_MEM_HOST_READ_ONLY | CL_MEM_HOST_WRITE_ONLY))))
        return CL_INVALID_VALUE;
    if (!(own & access))
        own |= of & access;
    if (!(own & host))
        own |= of & host;
    *flags = own | (of & pointer);
    return CL_SUCCESS;
}

static cl_mem make_sub_buffer(struct mem *parent, cl_mem_flags flags,
                              const cl_buffer_region *region, cl_int *status)
{
    struct mem *mem =
        mem_create(parent->context, parent, CL_MEM_OBJECT_BUFFER, flags, region->size);
    *status = mem ? CL_SUCCESS : CL_OUT_OF_HOST_MEMORY;
    if (!mem)
        return NULL;
    mem->origin = region->origin;
    mem->host = parent->host ? parent->host + region->origin : NULL;
    mem->host_ptr = parent->host_ptr ? (char *)parent->host_ptr + region->origin : NULL;
    *status = mem_make_sub_buffer(mem);
    if (*status != CL_SUCCESS) {
        mem_discard(mem);
        return NULL;
    }
    object_publish(mem);
    return (cl_mem)mem;
}

EXPORT cl_mem CL_API_CALL clCreateSubBuffer(cl_mem buffer, cl_mem_flags flags,
                                            cl_buffer_create_type buffer_create_type,
                                            const void *buffer_create_info, cl_int *errcode_ret)
{
    GATE(clCreateSubBuffer);
    struct mem *parent = buffer_check(buffer);
    const cl_buffer_region *region = buffer_create_info;
    cl_mem mem = NULL;
    cl_int status = CL_SUCCESS;
    if (!parent || parent->parent)
        status = CL_INVALID_MEM_OBJECT;
    else if (buffer_create_type != CL_BUFFER_CREATE_TYPE_REGION || !region)
        status = CL_INVALID_VALUE;
    else if (region->size == 0)
        status = CL_INVALID_BUFFER_SIZE;
    else if (region->origin > parent->size || region->size > parent->size - region->origin)
        status = CL_INVALID_VALUE;
    else
        status = sub_buffer_flags(parent, &flags);
    if (status == CL_SUCCESS)
        mem = make_sub_buffer(parent, flags, region, &status);
    if (errcode_ret)
        *errcode_ret = status;
    return mem;
}

EXPORT cl_int CL_API_CALL clRetainMemObject(cl_mem memobj)
{
    struct mem *mem = mem_check(memobj);
    return mem && object_retain(mem) ? CL_SUCCESS : CL_INVALID_MEM_OBJECT;
}

/* Does it lie over the application's memory, by itself or as a view of another? Once the last is
 * released the memory may be the application's alone (§5.2.1), and a suspend or resume that is on
 * its way copies from or to it. */
static bool is_over_host_memory(const struct mem *mem)
{
    while (mem && !mem->host_ptr)
        mem = mem->parent;
    return mem != NULL;
}

static __attribute__((noinline)) cl_int release_slowly(struct mem *mem)
{
    if (!is_over_host_memory(mem))
        return object_release(mem) ? CL_SUCCESS : CL_INVALID_MEM_OBJECT;
    GATE(clReleaseMemObject);
    return object_release(mem) ? CL_SUCCESS : CL_INVALID_MEM_OBJECT;
}

EXPORT cl_int CL_API_CALL clReleaseMemObject(cl_mem memobj)
{
    struct mem *mem = mem_check(memobj);
    if (mem && (mem->host_ptr || mem->parent))
        return release_slowly(mem);
    return mem && object_release(mem) ? CL_SUCCESS : CL_INVALID_MEM_OBJECT;
}

EXPORT cl_int CL_API_CALL clSetMemObjectDestructorCallback(cl_mem memobj, mem_destructor pfn_notify,
                                                           void *user_data)
{
    struct mem *mem = mem_check(memobj);
    if (!mem)
        return CL_INVALID_MEM_OBJECT;
    if (!pfn_notify)
        return CL_INVALID_VALUE;
    return mem_add_callback(mem, pfn_notify, user_data);
}

EXPORT cl_int CL_API_CALL clGetMemObjectInfo(cl_mem memobj, cl_mem_info param_name,
                                             size_t param_value_size, void *param_value,
                                             size_t *param_value_size_ret)
{
    struct answer to = {param_value_size, param_value, param_value_size_ret};
    struct mem *mem = mem_check(memobj);
    if (!mem)
        return CL_INVALID_MEM_OBJECT;
    switch (param_name) {
    case CL_MEM_TYPE:
        return info_value(to, mem->type);
    case CL_MEM_FLAGS:
        return info_value(to, mem->flags);
    case CL_MEM_SIZE:
        return info_value(to, mem->image ? image_told(mem).size : mem->size);
    case CL_MEM_HOST_PTR:
        return info_value(to, mem->host_ptr);
    case CL_MEM_MAP_COUNT:
        return info_value(to, mem_map_count(mem));
    case CL_MEM_REFERENCE_COUNT:
        return info_value(to, (cl_uint)atomic_load(&mem->object.refs));
    case CL_MEM_CONTEXT:
        return info_value(to, (cl_context)mem->context);
    case CL_MEM_ASSOCIATED_MEMOBJECT:
        return info_value(to, (cl_mem)mem->parent);
    case CL_MEM_OFFSET:
        return info_value(to, mem->origin);
    case CL_MEM_USES_SVM_POINTER:
        return info_value(to, (cl_bool)svm_contains(mem->host_ptr));
    case CL_MEM_PROPERTIES:
        return info_bytes(to, mem_properties(mem),
                          mem_num_properties(mem) * sizeof(cl_mem_properties));
    default:
        return CL_INVALID_VALUE;
    }
}
