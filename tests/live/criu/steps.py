#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Whole numbers, stirred on the device by pyopencl round by round: steps.py RESULT ROUNDS. Every
round's start is read back, so that the host has a part in the result too. With the word
`children` behind these it starts one child process after the other meanwhile, with `aloud` it says
on standard output what it has read."""
import subprocess
import sys
import threading
import time

import numpy as np
import pyopencl as cl
import pyopencl.array as array

SIZE = 65536
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


def start_children(is_done):
    children = []
    while not is_done.is_set():
        children.append(subprocess.Popen(["sleep", "1"]))
        children = [child for child in children if child.poll() is None]
        time.sleep(0.02)
    for child in children:
        child.wait()


def main():
    result, rounds = sys.argv[1], int(sys.argv[2])
    is_done = threading.Event()
    starter = threading.Thread(target=start_children, args=(is_done,))
    if "children" in sys.argv[3:]:
        starter.start()
    context = cl.Context([cl.get_platforms()[0].get_devices()[0]])
    queue = cl.CommandQueue(context)
    program = cl.Program(context, SOURCE).build()
    stir = program.stir
    numbers = array.to_device(queue, np.arange(SIZE, dtype=np.uint32))
    seed = 1
    for number in range(rounds):
        stir(queue, (SIZE,), None, numbers.data, np.uint32(seed))
        seed = (seed * 31 + int(numbers[:1].get()[0])) & 0xffffffff
        if "aloud" in sys.argv[3:]:
            print(f"{seed:08x}", flush=True)
        time.sleep(0.01)
        print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
    is_done.set()
    if starter.is_alive():
        starter.join()
    with open(result, "wb") as file:
        file.write(numbers.get().tobytes())
    print(f"ok {seed:08x}")


if __name__ == "__main__":
    main()
