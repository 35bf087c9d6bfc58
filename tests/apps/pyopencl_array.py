#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""pyopencl as its users use it: arrays, element-wise kernels, reductions, scans, sorting, random
numbers, sub-buffers, images and raw kernels. Objects made at the start are used until the end, so
that a suspend at any moment has something to carry. Prints `stage` lines as markers and `digest`
lines as the result; every digest that NumPy can say too is checked against it."""
import hashlib
import sys

import numpy as np
import pyopencl as cl
import pyopencl.algorithm
import pyopencl.array as cla
import pyopencl.bitonic_sort
import pyopencl.clmath as clmath
import pyopencl.clrandom as clrandom
from pyopencl.elementwise import ElementwiseKernel
from pyopencl.reduction import ReductionKernel
from pyopencl.scan import GenericScanKernel

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 12
SORT = "--sort" in sys.argv  # many builds
SIZE = 200_003

SOURCE = """
__kernel void mix_rows(__global const float *a, __global float *b, __local float *row, int width)
{
    int x = get_local_id(0), y = get_group_id(0);
    row[x] = a[y * width + x];
    barrier(CLK_LOCAL_MEM_FENCE);
    b[y * width + x] = row[(x + 1) % width] * 0.5f + row[x] * 0.25f;
}
__kernel void invert(read_only image2d_t in, write_only image2d_t out, sampler_t sampler)
{
    int2 at = (int2)(get_global_id(0), get_global_id(1));
    write_imageui(out, at, 255u - read_imageui(in, sampler, at));
}
"""


def say(*words):
    print(*words, flush=True)


def digest(name, array):
    array = np.ascontiguousarray(array.get() if isinstance(array, cla.Array) else array)
    say("digest", name, array.dtype, array.shape, hashlib.sha256(array.tobytes()).hexdigest()[:24])
    return array


def pick_device():
    """The first platform that has a device: some report none."""
    for platform in cl.get_platforms():
        devices = platform.get_devices()
        if devices:
            return devices[0]
    sys.exit("pyopencl_array.py: no OpenCL device")


def check(name, got, wanted, tolerance=0):
    same = np.array_equal(got, wanted) if tolerance == 0 else np.allclose(got, wanted, tolerance)
    if not same:
        say("wrong", name, "got", got, "wanted", wanted)
        sys.exit(1)


class Work:
    def __init__(self):
        say("stage context")
        self.context = cl.Context([pick_device()])
        self.queue = cl.CommandQueue(
            self.context, properties=cl.command_queue_properties.PROFILING_ENABLE)
        say("stage buffers")
        numbers = np.random.RandomState(7)
        self.host_a = numbers.rand(SIZE).astype(np.float32)
        self.host_i = numbers.randint(-1000, 1000, SIZE).astype(np.int32)
        self.a = cla.to_device(self.queue, self.host_a)
        self.i = cla.to_device(self.queue, self.host_i)
        self.total = cla.zeros(self.queue, SIZE, np.float32)
        self.build()

    def build(self):
        say("stage build")
        self.program = cl.Program(self.context, SOURCE).build(["-cl-std=CL1.2"])
        self.axpb = ElementwiseKernel(self.context, "float *z, const float *x, float k",
                                      "z[i] = z[i] + k * x[i]", "axpb")
        say("stage build reduction")
        self.dot = ReductionKernel(self.context, np.int64, neutral="0", reduce_expr="a+b",
                                   map_expr="(long)x[i]*x[i]", arguments="__global int *x")
        say("stage build scan")
        self.running = GenericScanKernel(
            self.context, np.int32, arguments="__global int *x, __global int *out",
            input_expr="x[i]", scan_expr="a+b", neutral="0", output_statement="out[i] = item;")
        self.random = clrandom.PhiloxGenerator(self.context, seed=42)

    def arrays(self, step):
        self.axpb(self.total, self.a, np.float32(1.0 / step))
        views = self.total[10:SIZE - 7] * 2 + 1
        digest("total", self.total)
        digest("views", views)
        digest("clmath", clmath.sqrt(clmath.fabs(self.total)))
        digest("where", cla.if_positive(self.i, self.a.astype(np.int32), self.i))
        check("sum", int(cla.sum(self.i, dtype=np.int64).get()), int(self.host_i.sum(dtype=np.int64)))
        check("max", int(cla.max(self.i).get()), int(self.host_i.max()))

    def algorithms(self):
        squares = int(self.dot(self.i, queue=self.queue).get())
        check("dot", squares, int((self.host_i.astype(np.int64) ** 2).sum()))
        out = cla.empty_like(self.i)
        self.running(self.i, out, queue=self.queue)
        check("scan", digest("scan", out), np.cumsum(self.host_i, dtype=np.int32))
        kept, count, _ = cl.algorithm.copy_if(self.i, "ary[i] > 500")
        check("copy_if", digest("copy_if", kept.get()[:int(count.get())]),
              self.host_i[self.host_i > 500])
        if SORT:
            self.sort()

    def sort(self):
        power = cla.to_device(self.queue, self.host_i[:65536])
        ordered, _ = cl.bitonic_sort.BitonicSort(self.context)(power)
        check("sort", digest("sort", ordered), np.sort(self.host_i[:65536]))

    def randoms(self):
        digest("random", self.random.uniform(self.queue, 100_000, np.float32))
        digest("normal", self.random.normal(self.queue, 50_000, np.float32))

    def raw(self):
        flags = cl.mem_flags
        width, rows = 128, 512
        a = cl.Buffer(self.context, flags.READ_ONLY | flags.COPY_HOST_PTR,
                      hostbuf=self.host_a[:width * rows])
        b = cl.Buffer(self.context, flags.READ_WRITE | flags.ALLOC_HOST_PTR, 4 * width * rows)
        done = self.program.mix_rows(self.queue, (width * rows,), (width,), a, b,
                                     cl.LocalMemory(4 * width), np.int32(width))
        mapped, _ = cl.enqueue_map_buffer(self.queue, b, cl.map_flags.READ, 0, (rows, width),
                                          np.float32, wait_for=[done], is_blocking=True)
        digest("mapped", np.array(mapped))
        mapped.base.release(self.queue)
        part = b.get_sub_region(4096, 8192)
        piece = np.empty(2048, np.float32)
        cl.enqueue_copy(self.queue, piece, part, wait_for=[done]).wait()
        digest("sub-buffer", piece)
        self.images()

    def images(self):
        pixels = self.host_i[:128 * 96 * 4].astype(np.uint8).reshape(96, 128, 4)
        rgba = cl.ImageFormat(cl.channel_order.RGBA, cl.channel_type.UNSIGNED_INT8)
        source = cl.Image(self.context, cl.mem_flags.READ_ONLY | cl.mem_flags.COPY_HOST_PTR, rgba,
                          shape=(128, 96), hostbuf=pixels)
        target = cl.Image(self.context, cl.mem_flags.WRITE_ONLY, rgba, shape=(128, 96))
        sampler = cl.Sampler(self.context, False, cl.addressing_mode.CLAMP,
                             cl.filter_mode.NEAREST)
        self.program.invert(self.queue, (128, 96), None, source, target, sampler)
        out = np.empty_like(pixels)
        cl.enqueue_copy(self.queue, out, target, origin=(0, 0), region=(128, 96))
        check("image", digest("image", out), 255 - pixels)


def main():
    work = Work()
    for step in range(1, ROUNDS + 1):
        say("stage compute", step)
        work.arrays(step)
        work.algorithms()
        work.randoms()
        work.raw()
    for step in range(1, 8 * ROUNDS + 1):
        say("stage read", step)
        digest("a", work.a)
        digest("final", work.total)
    say("done")


main()
