#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every function that the OpenCL headers declare for an extension, as X(extension, function).

    extension_functions.py HEADERS OUTPUT           writes the list
    extension_functions.py --check HEADERS SOURCE   each extension that shim/extensions.c reports has
                                                    all its functions wrapped
"""
import pathlib
import re
import sys

# Headers of platforms that we don't run on need types that are not there: only their names count.
CORE = {"cl.h", "cl_platform.h", "cl_version.h", "cl_half.h", "cl_icd.h", "cl_layer.h", "opencl.h"}
EXTENSION = re.compile(r"^#\s*define\s+(cl_[a-z0-9_]+)\s+1\s*$"
                       r"|^#\s*define\s+CL_\w+_EXTENSION_NAME\s*(?:\\\s*)?\"(cl_\w+)\""
                       r"|^[\s/*]*(cl_(?:khr|ext|arm|intel|img|qcom|amd|nv|APPLE|pocl)_\w+)"
                       r"(?:\s+extension)?[\s*/]*$", re.M)
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
FUNCTION = re.compile(r"\b(cl[A-Z]\w*?)(?:_fn)?\s*\)?\s*\(")


# What has come to extensions that we report since these headers: in which version.
LATER = [("cl_khr_command_buffer", (0, 9, 4), "clCommandSVMMemcpyKHR"),
         ("cl_khr_command_buffer", (0, 9, 4), "clCommandSVMMemFillKHR")]


def functions_of(header):
    """(extension, function) in the header's order."""
    text = header.read_text()
    marks = [(m.start(), next(filter(None, m.groups())), None) for m in EXTENSION.finditer(text)]
    code = COMMENT.sub(lambda m: " " * len(m[0]), text)
    marks += [(m.start(), None, m[1]) for m in FUNCTION.finditer(code)]
    extension = "cl_khr_gl_sharing" if header.name == "cl_gl.h" else "?"
    for _, named, function in sorted(marks, key=lambda mark: mark[0]):
        if named:
            extension = named
        elif function.endswith("APPLE"):
            yield "cl_APPLE", function
        else:
            yield extension, function


def all_functions(folder):
    found = {}
    for header in sorted(pathlib.Path(folder).glob("cl_*.h")):
        if header.name not in CORE:
            for extension, function in functions_of(header):
                found.setdefault(function, extension)
    return sorted((extension, function) for function, extension in found.items())


def check(folder, source):
    shim = pathlib.Path(source) / "shim"
    known = set(re.findall(r'^    "(cl_\w+)",$', (shim / "extensions.c").read_text(), re.M))
    wrapped = set(re.findall(r"X\(\d_\d, (cl\w+)\)", (shim / "calls.h").read_text()))
    wrapped |= set(re.findall(r"^    X\((cl\w+), \w+\)", (shim / "dispatch.c").read_text(), re.M))
    wrapped |= set(re.findall(r"\bX\((cl\w+)\)", (shim / "dispatch.c").read_text()))
    calls = (pathlib.Path(source) / "state" / "command_buffer.h").read_text()
    wrapped |= set(re.findall(r"^    X\((cl\w+)\)", calls, re.M))
    wrapped |= set(re.findall(r'\{"(cl\w+)", ', (shim / "dispatch.c").read_text()))
    newest = re.search(r"COMMAND_BUFFER_NEWEST CL_MAKE_VERSION\((\d+), (\d+), (\d+)\)", calls)
    reported = {"cl_khr_command_buffer": tuple(map(int, newest.groups()))} if newest else {}
    functions = all_functions(folder)
    functions += [(extension, function) for extension, since, function in LATER
                  if reported.get(extension, since) >= since]
    assert known and wrapped and len(functions) > 80, "the sources are not as they were"
    missing = [pair for pair in functions if pair[0] in known and pair[1] not in wrapped]
    for extension, function in missing:
        print(f"{extension} is reported, and {function} is not wrapped")
    return 1 if missing else 0


def main(arguments):
    if arguments[0] == "--check":
        return check(*arguments[1:])
    folder, output = arguments
    functions = all_functions(folder)
    named = {function for _, function in functions}
    functions += [(f"{extension} {since}", function) for extension, since, function in LATER
                  if function not in named]
    lines = [f'X("{extension}", "{function}")\n' for extension, function in functions]
    pathlib.Path(output).write_text("".join(lines))
    return 0


sys.exit(main(sys.argv[1:]))
