/* SPDX-License-Identifier: Apache-2.0 */
/* Many queues and threads, tied together by events. Each thread is a lane with a queue of its own:
 * in order, out of order, with and without profiling. A round of a lane is a small graph:
 *
 *     start (a user event) ──┬─> lower half ──┐
 *     all lanes' last round ─┴─> upper half ──┴─> join ──> callback
 *
 * Both halves mix in the neighbour's numbers of the round before, so that a command that runs too
 * early, or not at all, shows in the result. Whole numbers: every device gives the same bytes. */
#include "common.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#define LANES 4

static const char source[] =
    "kernel void blend(global const uint *mine, global const uint *other, global uint *next,\n"
    "                  uint round)\n"
    "{\n"
    "    size_t i = get_global_id(0);\n"
    "    uint x = mine[i] * 1664525u + 1013904223u + round;\n"
    "    next[i] = rotate(x, 7u) ^ other[i];\n"
    "}\n"
    "\n"
    "kernel void join(global uint *next, uint count)\n"
    "{\n"
    "    size_t i = get_global_id(0);\n"
    "    next[i] += next[count - 1 - i] >> 16;\n"
    "}\n";

static const cl_command_queue_properties lane_properties[LANES] = {
    0,
    CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE,
    CL_QUEUE_PROFILING_ENABLE,
    CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE | CL_QUEUE_PROFILING_ENABLE,
};

struct lane {
    struct graph *graph;
    unsigned index;
    pthread_t thread;
    cl_command_queue queue;
    bool profiling;
    cl_kernel blend, join;
    cl_mem buffers[2];  /* by the round's parity */
    cl_event events[2]; /* the join of the round, by its parity; read by all lanes */
};

struct graph {
    struct setup setup;
    unsigned count;
    unsigned rounds;
    cl_program program;
    struct lane lanes[LANES];
    cl_event start;
    /* All lanes and the conductor meet here twice a round: when `start` is new, and when every lane
     * has enqueued its commands. */
    pthread_barrier_t barrier;
    atomic_uint callbacks;
};

/* A device need not have queues out of order: an ordinary one then does. */
static cl_command_queue queue_create(const struct setup *setup, cl_command_queue_properties wanted)
{
    cl_command_queue_properties offered;
    cl_int err =
        clGetDeviceInfo(setup->device, CL_DEVICE_QUEUE_PROPERTIES, sizeof offered, &offered, NULL);
    check(err, "clGetDeviceInfo");
    cl_command_queue queue =
        clCreateCommandQueue(setup->context, setup->device, wanted & offered, &err);
    check(err, "clCreateCommandQueue");
    return queue;
}

static void lane_init(struct lane *lane, struct graph *graph, unsigned index)
{
    size_t size = graph->count * sizeof(cl_uint);
    cl_uint *numbers = allocate(size);
    for (unsigned i = 0; i < graph->count; i++)
        numbers[i] = (i + 1) * 2654435761u + index;
    lane->graph = graph;
    lane->index = index;
    lane->queue = queue_create(&graph->setup, lane_properties[index]);
    lane->profiling = lane_properties[index] & CL_QUEUE_PROFILING_ENABLE;
    lane->blend = kernel_create(graph->program, "blend");
    lane->join = kernel_create(graph->program, "join");
    for (unsigned i = 0; i < 2; i++)
        lane->buffers[i] =
            buffer_create(&graph->setup, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, size, numbers);
    free(numbers);
}

static void lane_finish(struct lane *lane)
{
    check(clReleaseKernel(lane->blend), "clReleaseKernel");
    check(clReleaseKernel(lane->join), "clReleaseKernel");
    check(clReleaseMemObject(lane->buffers[0]), "clReleaseMemObject");
    check(clReleaseMemObject(lane->buffers[1]), "clReleaseMemObject");
    check(clReleaseCommandQueue(lane->queue), "clReleaseCommandQueue");
}

static void CL_CALLBACK joined(cl_event event, cl_int status, void *user_data)
{
    struct graph *graph = user_data;
    if (status != CL_COMPLETE)
        fail("a callback was told of status %d, not of CL_COMPLETE", status);
    atomic_fetch_add(&graph->callbacks, 1);
}

static void check_times(cl_event event)
{
    cl_ulong start, end;
    check(clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_START, sizeof start, &start, NULL),
          "clGetEventProfilingInfo");
    check(clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_END, sizeof end, &end, NULL),
          "clGetEventProfilingInfo");
    if (end < start)
        fail("a command ended at %llu, before it began at %llu", (unsigned long long)end,
             (unsigned long long)start);
}

/* Enqueues one half of the lane's numbers; both halves may run at once. */
static cl_event enqueue_half(struct lane *lane, unsigned half, cl_uint num_waits,
                             const cl_event *waits)
{
    size_t lower = lane->graph->count / 2, offset = half ? lower : 0;
    size_t size = half ? lane->graph->count - lower : lower;
    cl_event event;
    check(clEnqueueNDRangeKernel(lane->queue, lane->blend, 1, &offset, &size, NULL, num_waits,
                                 waits, &event),
          "clEnqueueNDRangeKernel");
    return event;
}

static cl_event enqueue_join(struct lane *lane, const cl_event halves[2])
{
    size_t size = lane->graph->count / 2;
    cl_event event;
    check(clEnqueueNDRangeKernel(lane->queue, lane->join, 1, NULL, &size, NULL, 2, halves, &event),
          "clEnqueueNDRangeKernel");
    check(clSetEventCallback(event, CL_COMPLETE, joined, lane->graph), "clSetEventCallback");
    check(clFlush(lane->queue), "clFlush");
    return event;
}

static void enqueue_round(struct lane *lane, unsigned round)
{
    struct graph *graph = lane->graph;
    unsigned old = round % 2, new = 1 - old;
    cl_event waits[1 + LANES] = {graph->start};
    cl_uint num_waits = 1;
    if (round > 0)
        for (unsigned i = 0; i < LANES; i++)
            waits[num_waits++] = graph->lanes[i].events[old];

    const cl_mem *other = graph->lanes[(lane->index + 1) % LANES].buffers;
    set_arg(lane->blend, 0, sizeof(cl_mem), &lane->buffers[old]);
    set_arg(lane->blend, 1, sizeof(cl_mem), &other[old]);
    set_arg(lane->blend, 2, sizeof(cl_mem), &lane->buffers[new]);
    set_arg(lane->blend, 3, sizeof(cl_uint), &(cl_uint){round});
    set_arg(lane->join, 0, sizeof(cl_mem), &lane->buffers[new]);
    set_arg(lane->join, 1, sizeof(cl_uint), &(cl_uint){graph->count});

    cl_event halves[2];
    halves[0] = enqueue_half(lane, 0, num_waits, waits);
    halves[1] = enqueue_half(lane, 1, num_waits, waits);
    lane->events[new] = enqueue_join(lane, halves);
    check(clReleaseEvent(halves[0]), "clReleaseEvent");
    check(clReleaseEvent(halves[1]), "clReleaseEvent");
}

/* The join of the round before: no lane needs it any more once all have enqueued the next. */
static void finish_round(struct lane *lane, unsigned round)
{
    cl_event event = lane->events[(round + 1) % 2];
    check(clWaitForEvents(1, &event), "clWaitForEvents");
    if (lane->profiling)
        check_times(event);
    check(clReleaseEvent(event), "clReleaseEvent");
}

static void *lane_run(void *argument)
{
    struct lane *lane = argument;
    struct graph *graph = lane->graph;
    for (unsigned round = 0; round < graph->rounds; round++) {
        pthread_barrier_wait(&graph->barrier);
        enqueue_round(lane, round);
        pthread_barrier_wait(&graph->barrier);
        if (round > 0)
            finish_round(lane, round - 1);
    }
    finish_round(lane, graph->rounds - 1);
    return NULL;
}

/* Starts each round when all its commands wait for it. */
static void conduct(struct graph *graph)
{
    for (unsigned round = 0; round < graph->rounds; round++) {
        cl_int err;
        graph->start = clCreateUserEvent(graph->setup.context, &err);
        check(err, "clCreateUserEvent");
        pthread_barrier_wait(&graph->barrier);
        pthread_barrier_wait(&graph->barrier);
        check(clSetUserEventStatus(graph->start, CL_COMPLETE), "clSetUserEventStatus");
        check(clReleaseEvent(graph->start), "clReleaseEvent");
        progress("round", round + 1, graph->rounds);
    }
}

static void play(struct graph *graph)
{
    pthread_barrier_init(&graph->barrier, NULL, LANES + 1);
    for (unsigned i = 0; i < LANES; i++)
        if (pthread_create(&graph->lanes[i].thread, NULL, lane_run, &graph->lanes[i]) != 0)
            fail("can't start a thread");
    conduct(graph);
    for (unsigned i = 0; i < LANES; i++)
        pthread_join(graph->lanes[i].thread, NULL);
    pthread_barrier_destroy(&graph->barrier);

    /* OpenCL 3.0 §5.9: a callback may come later than the wait for its event returns. */
    double patience = seconds_now() + 60;
    while (atomic_load(&graph->callbacks) < LANES * graph->rounds && seconds_now() < patience)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    if (atomic_load(&graph->callbacks) != LANES * graph->rounds)
        fail("%u callbacks came, not %u", atomic_load(&graph->callbacks), LANES * graph->rounds);
}

static void read_lanes(struct graph *graph, cl_uint *result)
{
    for (unsigned i = 0; i < LANES; i++) {
        struct lane *lane = &graph->lanes[i];
        check(clEnqueueReadBuffer(lane->queue, lane->buffers[graph->rounds % 2], CL_TRUE, 0,
                                  graph->count * sizeof *result, result + i * graph->count, 0, NULL,
                                  NULL),
              "clEnqueueReadBuffer");
    }
}

/* The same on the host, one number after the other. */
static void reference(cl_uint *result, unsigned count, unsigned rounds)
{
    cl_uint *old = allocate(sizeof *old * LANES * count);
    for (unsigned lane = 0; lane < LANES; lane++)
        for (unsigned i = 0; i < count; i++)
            result[lane * count + i] = (i + 1) * 2654435761u + lane;
    for (unsigned round = 0; round < rounds; round++) {
        for (unsigned i = 0; i < LANES * count; i++)
            old[i] = result[i];
        for (unsigned i = 0; i < LANES * count; i++) {
            cl_uint x = old[i] * 1664525u + 1013904223u + round;
            result[i] = (x << 7 | x >> 25) ^ old[(i + count) % (LANES * count)];
        }
        for (unsigned lane = 0; lane < LANES; lane++)
            for (unsigned i = 0; i < count / 2; i++)
                result[lane * count + i] += result[lane * count + count - 1 - i] >> 16;
    }
    free(old);
}

int main(int argc, char **argv)
{
    struct options options = {.repeat = 500, .size = 4096};
    struct graph graph = {0};
    options_parse(&options, "Runs a graph of events over many queues and threads.", argc, argv);
    if (options.size < 2)
        fail("--size must be at least 2: it is cut in halves");
    setup_init(&graph.setup, &options);
    graph.count = options.size;
    graph.rounds = options.repeat;
    graph.program = program_build(&graph.setup, source);
    for (unsigned i = 0; i < LANES; i++)
        lane_init(&graph.lanes[i], &graph, i);
    play(&graph);

    size_t size = sizeof(cl_uint) * LANES * graph.count;
    cl_uint *result = allocate(size), *expected = allocate(size);
    read_lanes(&graph, result);
    reference(expected, graph.count, graph.rounds);
    for (unsigned i = 0; i < LANES * graph.count; i++)
        if (result[i] != expected[i])
            fail("lane %u, number %u is %u, not %u", i / graph.count, i % graph.count, result[i],
                 expected[i]);
    report(&options, result, size);

    free(result);
    free(expected);
    for (unsigned i = 0; i < LANES; i++)
        lane_finish(&graph.lanes[i]);
    check(clReleaseProgram(graph.program), "clReleaseProgram");
    setup_finish(&graph.setup);
    return 0;
}
