#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""OpenCV's T-API: the same calls as on the CPU, on cv2.UMat, which OpenCV gives to OpenCL. UMats
made at the start live until the end. Prints `stage` lines as markers, `digest` lines as the
result."""
import hashlib
import sys

import cv2
import numpy as np

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 10


def say(*words):
    print(*words, flush=True)


def digest(name, umat):
    array = np.ascontiguousarray(umat.get())
    say("digest", name, array.dtype, array.shape, hashlib.sha256(array.tobytes()).hexdigest()[:24])


def filters(colour, grey):
    digest("blur", cv2.blur(colour, (5, 5)))
    digest("gauss", cv2.GaussianBlur(grey, (7, 7), 1.5))
    digest("median", cv2.medianBlur(grey, 5))
    digest("bilateral", cv2.bilateralFilter(grey, 7, 30, 30))
    digest("erode", cv2.erode(grey, np.ones((3, 3), np.uint8)))
    digest("laplace", cv2.Laplacian(grey, cv2.CV_16S, ksize=3))


def drawing():
    """Canny's OpenCL form is racy on noise, natively too: it gets clean shapes instead."""
    y, x = np.mgrid[0:600, 0:800]
    picture = ((np.sin(x / 17) * np.cos(y / 23) + 1) * 100).astype(np.uint8)
    picture[(x - 400) ** 2 + (y - 300) ** 2 < 15000] = 220
    picture[100:200, 50:300] = 10
    return picture


def shapes(colour, grey):
    height, width = grey.get().shape
    digest("resize", cv2.resize(colour, (width * 3 // 2, height * 4 // 3)))
    digest("warp", cv2.warpAffine(colour, np.float32([[1, .1, 3], [.1, .9, 5]]), (width, height)))
    digest("pyramid", cv2.pyrDown(colour))
    digest("flip", cv2.flip(colour, 1))
    digest("hsv", cv2.cvtColor(colour, cv2.COLOR_BGR2HSV))
    digest("equalize", cv2.equalizeHist(grey))


def algebra(a, b):
    product = cv2.gemm(a, b, 1.0, None, 0.0)
    digest("gemm", product)
    digest("multiply", cv2.multiply(a, b))
    digest("dft", cv2.dft(a))
    digest("threshold", cv2.threshold(product, float(64), 255, cv2.THRESH_BINARY)[1])


def main():
    say("stage start")
    cv2.ocl.setUseOpenCL(True)
    if not cv2.ocl.useOpenCL():
        sys.exit("opencv_tapi.py: OpenCV does not use OpenCL here (OPENCV_OPENCL_DEVICE)")
    say("device", cv2.ocl.Device_getDefault().name())
    say("stage upload")
    numbers = np.random.RandomState(1)
    colour = cv2.UMat(numbers.randint(0, 256, (600, 800, 3), dtype=np.uint8))
    clean = cv2.UMat(drawing())
    a = cv2.UMat(numbers.rand(256, 256).astype(np.float32))
    b = cv2.UMat(numbers.rand(256, 256).astype(np.float32))
    say("stage build")
    grey = cv2.cvtColor(colour, cv2.COLOR_BGR2GRAY)
    sums = cv2.UMat(np.zeros((600, 800), np.float32))
    for step in range(1, ROUNDS + 1):
        say("stage compute", step)
        filters(colour, grey)
        digest("canny", cv2.Canny(clean, 90, 150))
        shapes(colour, grey)
        algebra(a, b)
        sums = cv2.add(sums, grey, dtype=cv2.CV_32F)
        grey = cv2.GaussianBlur(grey, (3, 3), 0.8)
    say("stage results")
    digest("grey", grey)
    digest("sums", sums)
    say("done")


main()
