#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Has the table of wrong handles a row for each handle of each call that we wrap?

wrong_table.py SOURCES HEADERS
The calls are those of the lists in SOURCES (shim/calls.h, shim/dispatch.c,
state/command_buffer.h), their handles the parameters of such a type in HEADERS/CL/*.h that go in.
"""
import glob
import os
import re
import sys

LISTS = ("shim/calls.h", "shim/dispatch.c", "state/command_buffer.h")
TABLE = "tests/live/suspend/wrong_cases.h"
HANDLE = (r"cl_(?:platform_id|device_id|context|command_queue|mem|sampler|program|kernel|event"
          r"|command_buffer_khr)")
# Handles that go in through something else than a parameter of their type.
HIDDEN = {
    ("clCreateContext", "properties"), ("clCreateContextFromType", "properties"),
    ("clCreateImage", "image_desc"), ("clCreateImageWithProperties", "image_desc"),
    ("clSetKernelArg", "arg_value"), ("clSetKernelArg", "arg_value_of_sampler"),
}
# Not a const array, though nothing comes back in it.
INPUT = {("clEnqueueCommandBufferKHR", "queues")}
# Handles that nothing is done with, and why.
EXEMPT = {}


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def wrapped(sources):
    text = "".join(read(os.path.join(sources, name)) for name in LISTS)
    return set(re.findall(r"\bX\((?:\d_\d, )?(cl[A-Z]\w+)", text))


def handles(headers):
    """{call: names of the parameters that are handles}"""
    found = {}
    text = "".join(read(path) for path in sorted(glob.glob(os.path.join(headers, "CL", "*.h"))))
    for call, rest in re.findall(r"CL_API_CALL\s+(cl[A-Z]\w+)\(([^;]*);", text):
        rest = re.sub(r"\(CL_CALLBACK.*?\)\s*\([^)]*\)", " callback", rest, flags=re.S)
        parameters = rest.split(")")[0].split(",")
        single = re.compile(rf"\s*(?:{HANDLE}|const\s+{HANDLE}\s*\*)\s*(\w+)\s*$")
        found[call] = [match.group(1) for match in map(single.match, parameters) if match]
    return found


def main(sources, headers):
    known = handles(headers)
    rows = set(re.findall(r"^(?:CASE|EXTENSION)\((\w+),\s*(\w+),", read(os.path.join(sources, TABLE)), re.M))
    calls = wrapped(sources)
    wanted = {(call, name) for call in calls for name in known.get(call, ())}
    wanted |= HIDDEN | INPUT
    faults = [f"not in the headers: {call}" for call in sorted(calls - set(known))]
    faults += ["no row: {} {}".format(*pair) for pair in sorted(wanted - rows - set(EXEMPT))]
    faults += ["no such handle: {} {}".format(*pair) for pair in sorted(rows - wanted)]
    faults += ["exempt, but there: {} {}".format(*pair) for pair in sorted(rows & set(EXEMPT))]
    if len(calls) < 140 or len(wanted) < 250:
        faults.append(f"only {len(calls)} calls and {len(wanted)} handles were found")
    print("\n".join(faults) or f"{len(rows)} handles of {len(calls)} calls")
    return 1 if faults else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
