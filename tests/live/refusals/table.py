#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Has each row of the README's table of what is refused a test, and does the shim say what it says?

table.py SOURCES
Every message of a row (what stands in backquotes there) must be one that is listed below, with the
test that wants to read it, and must be found in the shim's sources.
"""
import os
import re
import sys

REFUSALS = "tests/live/refusals/refusals.py"
CASES, MOVES = "tests/live/failure/cases.py", "tests/live/failure/moves.py"
RELEASE = "tests/live/release/release.py"
COMPATIBLE = "tests/unit/test_compatible.c"

# How a row begins: {a part of each message: (the test, what stands there)}. The key "" is for what
# is no message.
ROWS = {
    "shared virtual memory of other drivers": {
        "can't give the same address again": (REFUSALS, "its driver can't give the same address")},
    "program-scope variables": {
        "bytes of program-scope variables": (REFUSALS, "it has 4096 bytes of program-scope")},
    "pipes": {"what is in a pipe": (REFUSALS, "what is in a pipe can't be read back")},
    "queues on the device": {
        "it is a queue on the device": (REFUSALS, "it is a queue on the device, whose contents")},
    "images with mip levels": {
        "the mip levels": (REFUSALS, "the mip levels of an image are not carried"),
        "its image format": (REFUSALS, "its image format is not one that we know")},
    "contexts that share": {
        "shares objects with": (REFUSALS, "it shares objects with an OpenGL context"),
        "": (REFUSALS, "it shares surfaces with VA-API")},
    "work that takes longer": {
        "still running at the deadline": (CASES, "its commands are still running at the deadline"),
        "still inside": (CASES, "it is still inside `clFinish` at the deadline"),
        "a native kernel or SVM": (REFUSALS, "a native kernel or SVM free function of the program"),
        "keep on enqueuing": (REFUSALS, '"relay"')},
    "a device that something else in the program": {
        "no OpenCL driver opened it": (RELEASE, "no OpenCL driver opened it"),
        "opened while OpenCL was in use": (CASES, 'reason="libEGL_fake.so"')},
    "a driver, or something that came to share": {
        "still held": (CASES, "still held after the driver was unloaded")},
    "a device that fails": {
        "copying its contents failed": (CASES, "copying its contents failed"),
        "has not come to an end": (CASES, "not come to an end with copying its contents in 2 s")},
    "a driver of which a call does not come back when": {
        "has not come back from a call": (CASES, "has not come back from a call")},
    "a driver of which a call does not come back before": {
        "has not come back from a call": (CASES, "has not come back from a call")},
    "a driver that stays loaded": {
        "no further instance": (RELEASE, "no further instance of it can be had")},
    "too little memory": {
        "bytes of device contents": ("tests/live/refusals/cgroup.py", "bytes of device contents")},
    "a device without what the objects use": {
        "it is out of order": (MOVES, "it is out of order, which the device does not have"),
        "": (REFUSALS, "can't be divided in this way")},
    "a device without command buffers": {
        "no cl_khr_command_buffer": ("tests/live/image-load/image_load.py",
                                     "no cl_khr_command_buffer")},
    "SVM on a device": {
        "does not take memory": (REFUSALS, "does not take memory that is not its driver's")},
    "a program that can't be built": {
        "it can't be built for": (MOVES, "can't be built"),
        "when it is made again": (REFUSALS, "the driver answers -46 when it is made again")},
    "sub-buffers that the other": {
        "it begins at byte": (MOVES, "it begins at byte 8192 of its buffer")},
    "command buffers that are in use": {
        "in use twice": (COMPATIBLE, "it may be in use twice at a time, which the device"),
        "other sorts of queues": (COMPATIBLE, "command buffers for other sorts of queues only")},
    "the devices of one context": {
        "can't be on two platforms": (REFUSALS, "its devices can't be on two platforms"),
        "the same one": (MOVES, "two of the program's devices can't become the same one"),
        "no such device": (MOVES, "no such device")},
    "a program from a binary": {
        "a binary whose source": (MOVES, "it was loaded from a binary whose source is not known")},
    "sharing with OpenGL and EGL": {"": (REFUSALS, "clCreateFromGLBuffer: 0 -59")},
    "semaphores, external memory": {
        "CL_DEVICE_EXTENSIONS": ("tests/live/refusals/holder.c", "CL_DEVICE_EXTENSIONS"),
        "CL_PLATFORM_EXTENSIONS": ("tests/live/query/extensions.c", "CL_PLATFORM_EXTENSIONS"),
        "clGetExtensionFunctionAddress": ("tests/live/query/extensions.c",
                                          "clGetExtensionFunctionAddress")},
    "drivers older than OpenCL 1.2": {
        "SHADOWCL_LOG": (REFUSALS, "it has OpenCL 1.1 only, shadowcl needs 1.2; skipped")},
}


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def table(text):
    """(first cell, second cell) of the rows from `refused while in use` on."""
    lines = text[text.index("| **refused while in use**"):].split("\n\n")[0].splitlines()
    cells = [re.split(r"(?<!\\)\|", line)[1:3] for line in lines]
    return [(first.strip(), second.strip()) for first, second in cells[1:] if second.strip()]


def said_by_shim(message, sources):
    """Numbers and names stand for others: what is between them is there."""
    parts = re.split(r"`[^`]*`|\bN\b|…|\b\d+ s\b|^[a-z ]+ \d+: |-\d+|nodes are|out of order", message)
    return all(part.strip() in sources for part in parts if len(part.strip()) > 3)


def check_row(root, cells, tests, sources):
    messages = [one or other for one, other in re.findall(r"``(.+?)``|`([^`]+)`", cells[1])]
    for message in messages:
        if not any(part and part in message for part in tests):
            yield f"no test is listed for `{message}`"
        elif sources and not said_by_shim(message, sources):
            yield f"the shim does not say `{message}`"
    for part, (path, wanted) in tests.items():
        if part not in cells[1]:
            yield f"`{part}` is not in the row `{cells[0]}`"
        # A string may go on in the next line.
        if wanted not in re.sub(r'"\s*\n\s*f?"', "", read(os.path.join(root, path))):
            yield f"`{wanted}` is not in {path}"


def main(root):
    sources = "".join(read(os.path.join(root, folder, name)) for folder in ("shim", "state")
                      for name in sorted(os.listdir(os.path.join(root, folder)))
                      if name.endswith(".c"))
    sources = re.sub(r"%[-.\w]*|\\", "", re.sub(r'"\s*\n\s*"', "", sources))
    faults, found, refused = [], set(), True
    for cells in table(read(os.path.join(root, "README.md"))):
        refused = refused and "Left out of" not in cells[1] and "calls answer" not in cells[1]
        rows = [row for row in ROWS if cells[0].startswith(row)]
        if len(rows) != 1:
            faults.append(f"{len(rows)} entries for the row `{cells[0]}`")
            continue
        found.add(rows[0])
        faults += check_row(root, cells, ROWS[rows[0]], refused and sources)
    faults += [f"no such row: `{row}`" for row in ROWS if row not in found]
    print("\n".join(faults) or f"{len(found)} rows, {sum(map(len, ROWS.values()))} tests")
    return 1 if faults else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
