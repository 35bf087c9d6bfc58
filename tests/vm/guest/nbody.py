#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Bodies that attract each other, by pyopencl: a program like those that people write, which knows
nothing of shadowcl. Says how far it is, writes positions and speeds to --output."""
import argparse
import sys
import time

import numpy
import pyopencl

SOURCE = """
kernel void advance(global const float4 *now, global float4 *next, global float4 *speed, float dt)
{
    int i = get_global_id(0), count = get_global_size(0);
    float4 here = now[i];
    float3 pull = (float3)(0.0f);
    for (int j = 0; j < count; j++) {
        float3 way = now[j].xyz - here.xyz;
        float square = dot(way, way) + 0.01f;
        pull += way * (now[j].w / (square * sqrt(square)));
    }
    float4 v = speed[i];
    v.xyz += dt * pull;
    speed[i] = v;
    next[i] = (float4)(here.xyz + dt * v.xyz, here.w);
}
"""


def options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--bodies", type=int, default=256)
    parser.add_argument("--output")
    return parser.parse_args()


def main():
    given = options()
    context = pyopencl.create_some_context(interactive=False)
    queue = pyopencl.CommandQueue(context)
    kernel = pyopencl.Kernel(pyopencl.Program(context, SOURCE).build(), "advance")
    start = numpy.random.default_rng(7).random((given.bodies, 4), dtype=numpy.float32)
    flags = pyopencl.mem_flags
    places = [pyopencl.Buffer(context, flags.READ_WRITE | flags.COPY_HOST_PTR, hostbuf=start)
              for _ in range(2)]
    speed = pyopencl.Buffer(context, flags.READ_WRITE, start.nbytes)
    pyopencl.enqueue_copy(queue, speed, numpy.zeros_like(start))
    told = time.monotonic()
    for step in range(given.steps):
        kernel(queue, (given.bodies,), None, places[step % 2], places[(step + 1) % 2], speed,
               numpy.float32(0.001))
        queue.finish()
        if time.monotonic() - told > 0.1 or step + 1 == given.steps:
            told = time.monotonic()
            print(f"step {step + 1} of {given.steps}", file=sys.stderr, flush=True)
    for buffer in (places[given.steps % 2], speed):
        pyopencl.enqueue_copy(queue, start, buffer)
        if given.output:
            with open(given.output, "ab" if buffer is speed else "wb") as file:
                file.write(start.tobytes())
    assert numpy.isfinite(start).all()


main()
