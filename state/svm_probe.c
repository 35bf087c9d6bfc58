/* SPDX-License-Identifier: Apache-2.0 */
/* Does a device take, as SVM, memory that its driver has not given? Some do in every call, without
 * saying so. Only processors that share fine-grained buffers with the host are asked: there a wrong
 * pointer is at worst an error, elsewhere it could be a fault of the device. */
#include "state/svm.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define PROBE_SIZE 4096

/* What was found out of a root device (and so of its parts). */
struct finding {
    struct finding *next;
    const struct device *device; /* lives as long as the process */
    bool takes;
};

static struct finding *_Atomic findings;

static cl_bitfield device_bits(const struct driver *driver, cl_device_id device,
                               cl_device_info param)
{
    cl_bitfield bits = 0;
    if (driver->clGetDeviceInfo(device, param, sizeof bits, &bits, NULL) != CL_SUCCESS)
        return 0;
    return bits;
}

bool svm_may_be_asked(const struct driver *driver, cl_device_id device)
{
    cl_bool unified = CL_FALSE;
    driver->clGetDeviceInfo(device, CL_DEVICE_HOST_UNIFIED_MEMORY, sizeof unified, &unified, NULL);
    return driver->clEnqueueSVMMemFill && driver->clEnqueueSVMMap && unified &&
           (device_bits(driver, device, CL_DEVICE_TYPE) & CL_DEVICE_TYPE_CPU) &&
           (device_bits(driver, device, CL_DEVICE_SVM_CAPABILITIES) &
            CL_DEVICE_SVM_FINE_GRAIN_BUFFER);
}

/* Maps, unmaps, fills and copies within memory of ours, and looks at what came of it. */
static bool works_on(const struct driver *driver, cl_command_queue queue, unsigned char *memory)
{
    const cl_uint pattern = 0x5d0a5d0a;
    unsigned char *half = memory + PROBE_SIZE / 2;
    if (driver->clEnqueueSVMMap(queue, CL_TRUE, CL_MAP_WRITE, memory, PROBE_SIZE, 0, NULL, NULL) !=
            CL_SUCCESS ||
        driver->clEnqueueSVMUnmap(queue, memory, 0, NULL, NULL) != CL_SUCCESS ||
        driver->clEnqueueSVMMemFill(queue, memory, &pattern, sizeof pattern, PROBE_SIZE / 2, 0,
                                    NULL, NULL) != CL_SUCCESS ||
        driver->clFinish(queue) != CL_SUCCESS ||
        driver->clEnqueueSVMMemcpy(queue, CL_TRUE, half, memory, PROBE_SIZE / 2, 0, NULL, NULL) !=
            CL_SUCCESS)
        return false;
    for (size_t i = 0; i < PROBE_SIZE; i += sizeof pattern)
        if (memcmp(memory + i, &pattern, sizeof pattern) != 0)
            return false;
    return true;
}

static bool probe(const struct driver *driver, cl_context context, cl_device_id device)
{
    void *memory = NULL;
    if (!svm_may_be_asked(driver, device) || posix_memalign(&memory, 4096, PROBE_SIZE) != 0)
        return false;
    memset(memory, 0, PROBE_SIZE);
    cl_command_queue queue = driver->clCreateCommandQueue(context, device, 0, NULL);
    bool takes = queue && works_on(driver, queue, memory);
    if (queue) {
        driver->clFinish(queue);
        RELEASE(driver, clReleaseCommandQueue, queue);
    }
    free(memory);
    return takes;
}

static bool device_takes(const struct context *context, const struct device *device)
{
    const struct device *root = device;
    while (root->parent)
        root = root->parent;
    for (struct finding *f = atomic_load(&findings); f; f = f->next)
        if (f->device == root)
            return f->takes;
    bool takes = probe(context->object.driver, context_real(context), device_real(device));
    struct finding *finding = malloc(sizeof *finding);
    if (!finding)
        return takes;
    *finding = (struct finding){atomic_load(&findings), root, takes};
    while (!atomic_compare_exchange_weak(&findings, &finding->next, finding))
        ;
    return takes;
}

void svm_forget_findings(void)
{
    struct finding *finding = atomic_exchange(&findings, NULL);
    while (finding) {
        struct finding *next = finding->next;
        free(finding);
        finding = next;
    }
}

bool svm_foreign(const struct context *context)
{
    for (cl_uint i = 0; i < context->num_devices; i++)
        if (!device_takes(context, context->devices[i]))
            return false;
    return context->num_devices > 0;
}
