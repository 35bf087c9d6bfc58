#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A parent and two children that all compute by OpenCL: family.py RESULT ROUNDS. Orders go through
pipes, numbers through shared memory; every round needs all three."""
import multiprocessing
import sys
import time
from multiprocessing import shared_memory

import numpy as np
import pyopencl as cl
import pyopencl.array as array

SIZE = 4096
CHILDREN = 2
SOURCE = """
kernel void stir(global uint *x, uint seed)
{
    size_t i = get_global_id(0);
    uint v = x[i] ^ seed;
    for (int n = 0; n < 64; n++)
        v = v * 1664525u + 1013904223u;
    x[i] = v ^ (v >> 7);
}
"""


class Worker:
    def __init__(self):
        context = cl.Context([cl.get_platforms()[0].get_devices()[0]])
        self.queue = cl.CommandQueue(context)
        self.program = cl.Program(context, SOURCE).build()
        self.stir = self.program.stir

    def work(self, numbers, seed):
        held = array.to_device(self.queue, numbers)
        self.stir(self.queue, (SIZE,), None, held.data, np.uint32(seed))
        numbers[:] = held.get()


def serve(name, place, orders):
    memory = shared_memory.SharedMemory(name=name)
    numbers = np.ndarray((SIZE,), np.uint32, memory.buf, offset=4 * SIZE * place)
    worker = Worker()
    while True:
        seed = orders.recv()
        if seed is None:
            break
        worker.work(numbers, seed)
        orders.send(int(numbers[0]))
    del numbers
    memory.close()


def main():
    result, rounds = sys.argv[1], int(sys.argv[2])
    make = multiprocessing.get_context("spawn")
    memory = shared_memory.SharedMemory(create=True, size=4 * SIZE * CHILDREN)
    numbers = np.ndarray((SIZE * CHILDREN,), np.uint32, memory.buf)
    numbers[:] = np.arange(SIZE * CHILDREN, dtype=np.uint32)
    pipes, children = [], []
    for place in range(CHILDREN):
        ours, theirs = make.Pipe()
        child = make.Process(target=serve, args=(memory.name, place, theirs))
        child.start()
        theirs.close()
        pipes.append(ours)
        children.append(child)
    worker, own, seed = Worker(), np.arange(SIZE, dtype=np.uint32), 1
    for number in range(rounds):
        for pipe in pipes:
            pipe.send(seed)
        worker.work(own, seed)
        for pipe in pipes:
            seed = (seed * 31 + pipe.recv() + int(own[0])) & 0xffffffff
        time.sleep(0.05)
        print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
    with open(result, "wb") as file:
        file.write(numbers.tobytes() + own.tobytes())
    for pipe, child in zip(pipes, children):
        pipe.send(None)
        child.join()
    del numbers
    memory.close()
    memory.unlink()
    print(f"ok {seed:08x}")


if __name__ == "__main__":
    main()
