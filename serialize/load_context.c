/* SPDX-License-Identifier: Apache-2.0 */
/* Contexts, and what they have by themselves: queues, samplers, events. */
#include <inttypes.h>
#include <stdlib.h>

#include "serialize/load_kinds.h"

struct device **load_devices(const struct load *load, const uint64_t *serials, size_t count,
                             const struct context *context, struct error *err)
{
    if (!count || count > UINT16_MAX) {
        refuse(err, "it has %zu devices", count);
        return NULL;
    }
    struct device **devices = calloc(count, sizeof(struct device *));
    if (!devices) {
        load_no_memory(err);
        return NULL;
    }
    bool ok = true;
    for (size_t i = 0; i < count && ok; i++) {
        struct device *device = load_object_of(load, serials[i], KIND_DEVICE, "device", err);
        ok = device;
        if (ok && context && !context_has_device(context, device))
            ok = refuse(err, "its context does not have device %" PRIu64, serials[i]) == 0;
        for (size_t j = 0; j < i && ok; j++)
            if (devices[j] == device)
                ok = refuse(err, "it has device %" PRIu64 " twice", serials[i]) == 0;
        if (ok)
            devices[i] = device;
    }
    if (ok)
        return devices;
    free(devices);
    return NULL;
}

/* The image has the platform's serial in the place of our handle. */
static int translate(const struct load *load, uint64_t *words, struct error *err)
{
    for (; *words; words += 2) {
        if (*words != CL_CONTEXT_PLATFORM || !words[1])
            continue;
        struct platform *platform = load_object_of(load, words[1], KIND_PLATFORM, "platform", err);
        if (!platform)
            return -1;
        words[1] = (uint64_t)(uintptr_t)platform;
    }
    return 0;
}

static int make_context(const struct load *load, const Shadowcl__Image__Context *message,
                        struct device *const *devices, void **it, struct error *err)
{
    uint64_t *words = NULL;
    for (size_t i = 1; i < message->n_devices; i++)
        if (devices[i]->platform != devices[0]->platform)
            return refuse(err, "its devices are of two platforms");
    if (load_properties(message->properties, &words, err) != 0)
        return -1;
    int result = words ? translate(load, words, err) : 0;
    if (result == 0) {
        struct context *context =
            context_load(devices, (cl_uint)message->n_devices, (const cl_context_properties *)words,
                         message->shared);
        if (context)
            context->from_type = message->from_type;
        result = context ? 0 : load_no_memory(err);
        *it = context;
    }
    free(words);
    return result;
}

int load_context(struct load *load, const Shadowcl__Image__Context *message, void **it,
                 struct error *err)
{
    struct device **devices = load_devices(load, message->devices, message->n_devices, NULL, err);
    int result = devices ? make_context(load, message, devices, it, err) : -1;
    free(devices);
    return result;
}

int load_queue(struct load *load, const Shadowcl__Image__Queue *message, void **it,
               struct error *err)
{
    uint64_t *words;
    struct context *context = load_object_of(load, message->context, KIND_CONTEXT, "context", err);
    struct device *device =
        context ? load_object_of(load, message->device, KIND_DEVICE, "device", err) : NULL;
    if (!device)
        return -1;
    if (!context_has_device(context, device))
        return refuse(err, "its device %" PRIu64 " is not one of its context's", message->device);
    if (load_properties(message->properties, &words, err) != 0)
        return -1;
    struct queue *queue = queue_create(context, device, words, message->flags);
    free(words);
    if (!queue)
        return load_no_memory(err);
    /* clSetCommandQueueProperty may have changed them since. */
    queue->flags = message->flags;
    queue->size = message->size;
    *it = queue;
    return 0;
}

int load_sampler(struct load *load, const Shadowcl__Image__Sampler *message, void **it,
                 struct error *err)
{
    uint64_t *words;
    struct context *context = load_object_of(load, message->context, KIND_CONTEXT, "context", err);
    if (!context)
        return -1;
    if (message->addressing < CL_ADDRESS_NONE || message->addressing > CL_ADDRESS_MIRRORED_REPEAT)
        return refuse(err, "its addressing mode 0x%x is none that we know", message->addressing);
    if (message->filter != CL_FILTER_NEAREST && message->filter != CL_FILTER_LINEAR)
        return refuse(err, "its filter mode 0x%x is none that we know", message->filter);
    if (load_properties(message->properties, &words, err) != 0)
        return -1;
    struct sampler *sampler = sampler_create(context, words);
    free(words);
    if (!sampler)
        return load_no_memory(err);
    sampler->normalized = message->normalized;
    sampler->addressing = message->addressing;
    sampler->filter = message->filter;
    *it = sampler;
    return 0;
}

/* Of its place only what is possible for an event that no driver has. */
static int check_event(const Shadowcl__Image__Event *message, struct error *err)
{
    bool ended = message->place == SHADOWCL__IMAGE__EVENT__PLACE__ENDED;
    if (!ended && message->place != SHADOWCL__IMAGE__EVENT__PLACE__UNSET &&
        message->place != SHADOWCL__IMAGE__EVENT__PLACE__HELD)
        return refuse(err, "its place %d is none that we know", (int)message->place);
    if (message->place == SHADOWCL__IMAGE__EVENT__PLACE__UNSET && message->queue)
        return refuse(err, "it is a user event, and of a queue");
    if (message->place == SHADOWCL__IMAGE__EVENT__PLACE__HELD && !message->queue)
        return refuse(err, "its command is held back, and it has no queue");
    if (ended && message->status > CL_COMPLETE)
        return refuse(err, "it has ended with status %d", message->status);
    if (message->n_times && message->n_times != 5)
        return refuse(err, "it has %zu times, not 5", message->n_times);
    return 0;
}

int load_event(struct load *load, const Shadowcl__Image__Event *message, void **it,
               struct error *err)
{
    struct queue *queue = NULL;
    struct context *context = load_object_of(load, message->context, KIND_CONTEXT, "context", err);
    if (!context || check_event(message, err) != 0)
        return -1;
    if (message->queue && !(queue = load_object_of(load, message->queue, KIND_QUEUE, "queue", err)))
        return -1;
    if (queue && queue->context != context)
        return refuse(err, "its queue %" PRIu64 " is of another context", message->queue);
    struct event *event =
        event_create(context, queue, message->type, (enum event_place)message->place);
    if (!event)
        return load_no_memory(err);
    atomic_store(&event->status, message->status);
    for (size_t i = 0; i < message->n_times; i++)
        event->times[i] = message->times[i];
    event->profiled = message->n_times;
    *it = event;
    return 0;
}
