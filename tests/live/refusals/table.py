#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Has each row of the README's table of what is carried and what is refused a test, and does the shim
say what it says?

table.py SOURCES BUILD
Of a row of what is carried, each kind of object and each thing that is said of it is listed below,
with a test that must be among those that ctest runs by default, and the function that does it.
Every message of a row of what is refused (what stands in backquotes there) must be one that is
listed below, with the test that wants to read it, and must be found in the shim's sources.
"""
import json
import os
import re
import subprocess
import sys

REFUSALS = "tests/live/refusals/refusals.py"
CASES, MOVES = "tests/live/failure/cases.py", "tests/live/failure/moves.py"
RELEASE = "tests/live/release/release.py"
COMPATIBLE = "tests/unit/test_compatible.c"

# How a row begins: {what is said in it: (ctest's name of the test, the function)}.
CARRIED = {
    "platforms, devices, sub-devices": {
        "platforms": ("live-suspend-platforms-two-copy", "test_both_come_back"),
        "devices": ("live-suspend-devices-pocl-copy", "test_context_on_two_devices"),
        "sub-devices": ("live-suspend-devices-pocl-copy", "test_sub_devices_keep_their_place"),
        "What the program was told of a device does not change": ("live-failure-moves/only_told", "only_told"),
        "a new context can't have it": ("live-failure-moves/some_of_a_platform", "some_of_a_platform")},
    "contexts, queues": {
        "contexts": ("live-suspend-answers-pocl-copy", "test_contexts_and_their_formats"),
        "queues": ("live-suspend-events-pocl-copy", "test_queues_keep_their_properties"),
        "With all properties": ("live-suspend-queues-testdriver-copy", "test_hints"),
        "In order": ("live-suspend-chains-pocl-copy", "test_in_order_without_events"),
        "out of order": ("live-suspend-chains-pocl-copy", "test_commands_of_every_sort")},
    "buffers, sub-buffers": {
        "buffers": ("live-suspend-buffers-pocl-copy", "test_every_combination_of_flags_comes_back"),
        "sub-buffers": ("live-suspend-buffers-pocl-copy",
                        "test_overlapping_sub_buffers_share_their_parents_bytes"),
        "CL_MEM_USE_HOST_PTR": ("live-suspend-buffers-pocl-copy",
                                "test_use_host_ptr_stays_the_programs_memory"),
        "over memory that can't be written": ("live-suspend-buffers-pocl-copy",
                                              "test_memory_that_the_program_cannot_write")},
    "images, samplers": {
        "images": ("live-suspend-images-pocl-copy", "test_every_type_and_format_comes_back"),
        "samplers": ("live-suspend-images-pocl-copy", "test_samplers_keep_what_they_do_and_say"),
        "made from buffers": ("live-suspend-images-pocl-copy",
                              "test_every_type_and_format_comes_back"),
        "or other images": ("live-suspend-images-testdriver-auto",
                            "test_image_from_an_image_shares_its_pixels"),
        "In two dimensions": ("live-suspend-images-testdriver-auto",
                              "test_image_from_a_buffer_shares_its_bytes")},
    "mapped regions": {
        "mapped regions": ("live-suspend-maps-pocl-copy", "test_reads_keep_their_bytes"),
        "stays usable while suspended": ("live-suspend-maps-pocl-copy",
                                         "test_writes_reach_the_device_at_unmap")},
    "programs": {
        "programs": ("live-suspend-programs-pocl-copy", "test_source_with_options"),
        "IL": ("live-suspend-il-testdriver-shared", "test_built_program"),
        "binaries": ("live-suspend-programs-pocl-copy", "test_binary"),
        "built-in kernels": ("live-suspend-builtin-testdriver-copy", "test_built_in_kernels"),
        "by compile and link": ("live-suspend-programs-pocl-copy", "test_compile_with_header_and_link"),
        "constants": ("live-suspend-il-testdriver-shared", "test_constants_set_before_the_first_build"),
        "From the driver's binary where": ("live-failure-moves/binaries_follow", "binaries_follow")},
    "kernels": {
        "kernels": ("live-suspend-kernels-pocl-copy", "test_kernel_answers_stay"),
        "With their arguments": ("live-suspend-kernels-pocl-copy", "test_arguments_of_every_kind"),
        "clSetKernelExecInfo": ("live-suspend-devices-pocl-copy", "test_svm_stays_at_its_address")},
    "command buffers": {
        "command buffers": ("live-suspend-command_buffers-pocl-copy",
                            "test_finalized_ones_come_back"),
        "arguments as they were": ("live-suspend-command_buffers-pocl-copy",
                                   "test_arguments_are_those_of_the_recording")},
    "events": {
        "events": ("live-suspend-events-pocl-copy", "test_completed_events_answer_as_before"),
        "user events that are not set": ("live-suspend-events-pocl-copy",
                                         "test_user_events_keep_their_status"),
        "the commands that wait": ("live-suspend-chains-pocl-copy",
                                   "test_everything_released_behind_the_chain")},
    "callbacks": {
        "callbacks": ("live-suspend-events-pocl-copy",
                      "test_callbacks_of_a_held_command_come_once"),
        "was due when the suspend came": ("live-suspend-events-pocl-copy",
                                          "test_callback_that_was_due_at_the_suspend")},
    "shared virtual memory": {
        "shared virtual memory": ("live-suspend-svm-pocl-copy", "test_held_commands_of_every_sort"),
        "pointers stay": ("live-suspend-devices-pocl-copy", "test_svm_stays_at_its_address")},
}
# How a row begins: {a part of each message: (the test, what stands there)}. The key "" is for what
# is no message.
REFUSED = {
    "shared virtual memory of other drivers": {
        "can't give the same address again": (REFUSALS, "its driver can't give the same address")},
    "program-scope variables": {
        "bytes of program-scope variables": (REFUSALS, "it has 4096 bytes of program-scope"),
        "does not tell whether": (REFUSALS, "its driver does not tell whether it has program-scope")},
    "programs linked from parts": {
        "its driver gives no binary": ("tests/unit/test_program.c", "its driver gives no binary; its parts")},
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
        "keep on enqueuing": (REFUSALS, "its native kernels keep on enqueuing commands")},
    "a device that something else in the program": {
        "no OpenCL driver opened it": (RELEASE, "no OpenCL driver opened it"),
        "opened while OpenCL was in use": (CASES, 'reason="libEGL_fake.so"'),
        "": (CASES, '"SHADOWCL_NODE_OWNER": "program"')},
    "a driver, or something that came to share": {
        "still held": (CASES, "still held after the driver was unloaded")},
    "a device that fails": {
        "copying its contents failed": (CASES, "copying its contents failed"),
        "has not come to an end": (CASES, "not come to an end with copying its contents in 2 s")},
    "a driver of which a call does not come back when": {
        "has not come back from a call": (CASES, "has not come back from a call")},
    "a driver of which a call does not come back before": {
        "has not come back from a call": (CASES, "has not come back from a call")},
    "a driver that does not come back from": {
        "its constructors, in": (CASES, "its constructors, in `dlopen`, in 4 s"),
        "its destructors, in": (CASES, "its destructors, in `dlclose`, in 4 s"),
        "is in it yet": (CASES, 'reason="is in it yet"'),
        "its list of devices": (CASES, "its list of devices")},
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
        "it can't be made for": (REFUSALS, "it can't be made for"),
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
    """(first cell, second cell) of the rows, those of what is carried and the others."""
    lines = text[text.index("| **carried**"):].split("\n\n")[0].splitlines()
    cells = [re.split(r"(?<!\\)\|", line)[1:3] for line in lines]
    cells = [(first.strip(), second.strip()) for first, second in cells]
    end = [first for first, _ in cells].index("**refused while in use**")
    return cells[1:end], [cell for cell in cells[end + 1:] if cell[1]]


def by_default(build):
    """{a test that ctest runs by default: its command}"""
    shown = subprocess.run(["ctest", "--test-dir", build, "--show-only=json-v1", "-LE", "long"],
                           capture_output=True, text=True, check=True)
    found = {}
    for test in json.loads(shown.stdout)["tests"]:
        properties = {each["name"]: each["value"] for each in test.get("properties", ())}
        if "command" in test and not properties.get("DISABLED"):
            found[test["name"]] = test["command"]
    return found


def source_of(command):
    """The one that has the functions: a script, or what the suspended program is made from."""
    for word in reversed(command):
        name = os.path.basename(word)
        if name.endswith(".py"):
            return word
        if name.startswith("suspend-"):
            return os.path.join("tests", "live", "suspend", name[len("suspend-"):] + ".c")
    return None


def check_carried(root, cells, tests, runs):
    """Each kind has a test, and each test is there."""
    kinds = cells[0].split(", ")
    yield from (f"no test is listed for `{kind}`" for kind in kinds if kind not in tests)
    for what, (name, function) in tests.items():
        if what not in kinds and what not in cells[1]:
            yield f"`{what}` is not in the row `{cells[0]}`"
        if name not in runs:
            yield f"ctest does not run `{name}` by default"
            continue
        source = source_of(runs[name])
        text = read(os.path.join(root, source)) if source else ""
        listed = rf"cmocka_unit_test\w*\({function}\b|TESTS = \([^)]*\b{function}\b"
        if not re.search(listed, text):
            yield f"`{name}` does not run `{function}` ({source})"


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


def rows_of(cells, rows, faults):
    """(cells, what is listed for them), and what there is too many or too few of."""
    found = []
    for row in cells:
        starts = [start for start in rows if row[0].startswith(start)]
        if len(starts) == 1:
            found.append((row, starts[0]))
        else:
            faults.append(f"{len(starts)} entries for the row `{row[0]}`")
    faults += [f"no such row: `{start}`" for start in rows if start not in [one for _, one in found]]
    return [(row, rows[start]) for row, start in found]


def main(root, build):
    sources = "".join(read(os.path.join(root, folder, name)) for folder in ("shim", "state")
                      for name in sorted(os.listdir(os.path.join(root, folder)))
                      if name.endswith(".c"))
    sources = re.sub(r"%[-.\w]*|\\", "", re.sub(r'"\s*\n\s*"', "", sources))
    faults, refused, runs = [], True, by_default(build)
    carried, others = table(read(os.path.join(root, "README.md")))
    for cells, tests in rows_of(carried, CARRIED, faults):
        faults += check_carried(root, cells, tests, runs)
    for cells, tests in rows_of(others, REFUSED, faults):
        refused = refused and "Left out of" not in cells[1] and "calls answer" not in cells[1]
        faults += check_row(root, cells, tests, refused and sources)
    print("\n".join(faults) or f"{len(carried)} and {len(others)} rows, "
          f"{sum(map(len, (*CARRIED.values(), *REFUSED.values())))} tests")
    return 1 if faults else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
