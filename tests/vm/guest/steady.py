#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Keeps --mib of contents on the device and computes in small steps until SIGTERM. Each step leaves
a mark on --marks, such as the serial port, where the host sees it come: a stopped guest's own clock
stands still. At the end all contents are compared with what they should be. Exit code 0: they are
right."""
import argparse
import os
import signal
import sys
import time

import numpy
import pyopencl

SOURCE = "kernel void advance(global uint *piece) { piece[get_global_id(0)] += 1; }"
PIECE = 1 << 14  # words that a step changes
BUFFER = 16 << 20


def options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=64)
    parser.add_argument("--marks", required=True)
    return parser.parse_args()


def advance(queue, kernel, buffers, marks, ended):
    """Returns the number of steps."""
    steps, longest = 0, 0
    last = told = time.monotonic()
    while not ended:
        kernel(queue, (PIECE,), None, buffers[steps % len(buffers)])
        queue.finish()
        os.write(marks, b".")
        steps += 1
        now = time.monotonic()
        longest, last = max(longest, now - last), now
        if now - told > 0.1:
            told = now
            print(f"step {steps}: longest {longest * 1e3:.0f} ms", file=sys.stderr, flush=True)
        time.sleep(0.005)  # leaves the host's processors to those that are measured
    return steps


def main():
    given = options()
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    marks = os.open(given.marks, os.O_WRONLY | os.O_NOCTTY | os.O_CREAT)
    context = pyopencl.Context(pyopencl.get_platforms()[0].get_devices()[:1])
    queue = pyopencl.CommandQueue(context)
    kernel = pyopencl.Kernel(pyopencl.Program(context, SOURCE).build(), "advance")
    start = numpy.random.default_rng(7).integers(0, 1 << 30, BUFFER // 4, dtype=numpy.uint32)
    buffers = [pyopencl.Buffer(context, pyopencl.mem_flags.READ_WRITE, BUFFER)
               for _ in range((given.mib << 20) // BUFFER)]
    for number, buffer in enumerate(buffers):
        pyopencl.enqueue_copy(queue, buffer, start + numpy.uint32(number))

    steps = advance(queue, kernel, buffers, marks, ended)
    for number, buffer in enumerate(buffers):
        wanted = start + numpy.uint32(number)
        wanted[:PIECE] += numpy.uint32(steps // len(buffers) + (number < steps % len(buffers)))
        found = numpy.empty_like(start)
        pyopencl.enqueue_copy(queue, found, buffer)
        assert (found == wanted).all(), f"buffer {number}: {(found != wanted).sum()} words are wrong"
    print(f"all right after {steps} steps", file=sys.stderr)


main()
