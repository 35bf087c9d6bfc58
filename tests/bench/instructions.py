#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Instructions that our own library executes per OpenCL call, counted by callgrind: the same from run
to run, where times are not. They are compared with instructions.json; more than 5 % more (and
more than two) is a failure. A count holds for one compiler and one set of flags only: for others
there is nothing to compare with, and the exit code is 77."""

import argparse
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from common import Sides, cache_value, first_line, print_table

TABLE = Path(__file__).with_name("instructions.json")
ROOM = 1.05
SKIPPED = 77


def conditions(build):
    """Compiler, version and flags, in a line."""
    compiler = cache_value(build, "CMAKE_C_COMPILER")
    kind = cache_value(build, "CMAKE_BUILD_TYPE")
    name = "clang" if "clang" in first_line(compiler, "--version") else "gcc"
    flags = " ".join(f"{cache_value(build, 'CMAKE_C_FLAGS')} "
                     f"{cache_value(build, 'CMAKE_C_FLAGS_' + kind.upper())}".split())
    arch = first_line(compiler, "-dumpmachine").split("-")[0]
    return f"{name} {first_line(compiler, '-dumpversion')} {arch} {flags}"


class Dump:
    """callgrind's format: names are given once and then by number, in all parts together."""

    def __init__(self, library):
        self.library = library
        self.names = {}

    def name_of(self, text):
        number, _, name = text.partition(" ")
        if name:
            self.names[number] = name
        return self.names.get(number, "")

    def read(self, path):
        """(benchmark, calls, instructions in our library)."""
        what, total, ours, skip = None, 0, False, False
        for line in path.read_text().splitlines():
            if line.startswith("desc: Trigger: Client Request: "):
                what = line.split(": ", 3)[3].split("\t")
            elif line.startswith("ob="):
                ours = self.name_of(line[3:]) == self.library
            elif line.startswith("cob="):
                self.name_of(line[4:])
            elif line.startswith("calls="):
                skip = True  # the next line is what the callee cost
            elif re.match(r"[0-9+*-]", line):
                if ours and not skip:
                    total += int(line.split()[1])
                skip = False
        return (what[0], int(what[1]), total) if what else None


def count(build):
    out = "callgrind.out"
    with Sides(build) as sides:
        library = str(sides.build / "lib/shadowcl/libOpenCL.so.1")
        sides.under = ["valgrind", "--tool=callgrind", "--collect-atstart=no",
                       f"--callgrind-out-file={sides.work / out}"]
        run = sides.start("shim", "bench-calls", "--count", stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)
        _, messages = run.communicate()
        if run.returncode != 0:
            raise SystemExit(f"instructions: bench-calls failed ({run.returncode}):\n{messages}")
        dump = Dump(library)
        parts = sorted(sides.work.glob(out + ".*"), key=lambda path: int(path.suffix[1:]))
        counts = [dump.read(path) for path in parts]
    return {name: round(total / calls, 1) for name, calls, total in filter(None, counts)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build", help="the build's folder (default: build)")
    parser.add_argument("--update", action="store_true", help="write the table")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    if not shutil.which("valgrind"):
        print("instructions: no valgrind here, nothing is counted")
        return SKIPPED
    key = conditions(arguments.build)
    tables = json.loads(TABLE.read_text()) if TABLE.exists() else {}
    if key not in tables and not arguments.update:
        print(f"instructions: nothing to compare with for `{key}`; --update adds it")
        return SKIPPED
    counts = count(arguments.build)
    before = tables.get(key, {})
    if arguments.update:
        TABLE.write_text(json.dumps({**tables, key: counts}, indent=2, sort_keys=True) + "\n")
    worse = [name for name, now in counts.items()
             if now > before.get(name, now) * ROOM and now > before.get(name, now) + 2]
    if arguments.json:
        print(json.dumps({"conditions": key, "before": before, "now": counts, "worse": worse},
                         indent=2))
    else:
        print(key)
        print_table(["instructions per call", "before", "now", ""],
                    [[name, before.get(name, "-"), now, "WORSE" if name in worse else ""]
                     for name, now in counts.items()])
    if set(before) - set(counts):
        print(f"instructions: not counted: {', '.join(sorted(set(before) - set(counts)))}")
        return 0 if arguments.update else 1
    return 1 if worse and not arguments.update else 0


if __name__ == "__main__":
    sys.exit(main())
