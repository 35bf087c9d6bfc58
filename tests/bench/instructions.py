#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Instructions that our own library executes per OpenCL call, and in whole programs, counted by
callgrind: the same from run to run, where times are not. They are compared with instructions.json;
more than 5 % more (and more than two) is a failure. For whole programs it also tells what share of
all instructions they are. A count holds for one compiler and one set of flags only: for others there
is nothing to compare with, and the exit code is 77."""

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
PROGRAM = "program: "
# Those that the table has. The others' kernels compile for minutes under callgrind: --all.
STEADY = ["iterating solver", "100,000 small kernels", "small buffers"]


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
        """(benchmark, calls, instructions in our library, all instructions)."""
        what, total, everything, ours, skip = None, 0, 0, False, False
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
                spent = 0 if skip else int(line.split()[1])
                total += spent if ours else 0
                everything += spent
                skip = False
        return (what[0], int(what[1]), total, everything) if what else None


def count(sides, collect, program, *arguments):
    """[(benchmark, calls, instructions in our library, all instructions)]. `collect`: from the start
    on, and in all threads; else the program says where, and only its own thread's are counted."""
    out = f"{program}.out"
    library = str(sides.build / "lib/shadowcl/libOpenCL.so.1")
    sides.under = ["valgrind", "--tool=callgrind",
                   f"--collect-atstart={'yes' if collect else 'no'}",
                   f"--callgrind-out-file={sides.work / out}"]
    run = sides.start("shim", program, "--count", *arguments, stdout=subprocess.PIPE,
                      stderr=subprocess.PIPE)
    _, messages = run.communicate()
    if run.returncode != 0:
        raise SystemExit(f"instructions: {program} failed ({run.returncode}):\n{messages}")
    dump = Dump(library)
    parts = sorted(sides.work.glob(out + ".*"), key=lambda path: int(path.suffix[1:]))
    return list(filter(None, (dump.read(path) for path in parts)))


def count_all(build, also_slow):
    """What is compared, by name, and the programs' shares of all instructions."""
    with Sides(build) as sides:
        calls = count(sides, False, "bench-calls")
        names = STEADY
        if also_slow:
            names = subprocess.run([str(sides.bin / "bench-programs")], text=True, check=True,
                                   capture_output=True).stdout.splitlines()
        programs = count(sides, True, "bench-programs", *names)
    counts = {name: round(ours / number, 1) for name, number, ours, _ in calls}
    counts |= {PROGRAM + name: ours for name, _, ours, _ in programs}
    shares = {PROGRAM + name: ours / everything for name, _, ours, everything in programs}
    return counts, shares


def show(key, before, counts, shares, worse):
    print(key)
    print_table(["instructions per call", "before", "now", ""],
                [[name, before.get(name, "-"), now, "WORSE" if name in worse else ""]
                 for name, now in counts.items() if name not in shares])
    print_table(["instructions per run", "before", "now", "of all", ""],
                [[name.removeprefix(PROGRAM), before.get(name, "-"), counts[name], f"{share:.3%}",
                  "WORSE" if name in worse else ""] for name, share in shares.items()])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build", help="the build's folder (default: build)")
    parser.add_argument("--update", action="store_true", help="write the table")
    parser.add_argument("--all", action="store_true", help="also programs that take minutes")
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
    counts, shares = count_all(arguments.build, arguments.all)
    before = tables.get(key, {})
    if arguments.update:
        steady = {name: now for name, now in counts.items()
                  if not name.startswith(PROGRAM) or name.removeprefix(PROGRAM) in STEADY}
        TABLE.write_text(json.dumps({**tables, key: steady}, indent=2, sort_keys=True) + "\n")
    worse = [name for name, now in counts.items()
             if now > before.get(name, now) * ROOM and now > before.get(name, now) + 2]
    if arguments.json:
        print(json.dumps({"conditions": key, "before": before, "now": counts, "shares": shares,
                          "worse": worse}, indent=2))
    else:
        show(key, before, counts, shares, worse)
    if set(before) - set(counts):
        print(f"instructions: not counted: {', '.join(sorted(set(before) - set(counts)))}")
        return 0 if arguments.update else 1
    return 1 if worse and not arguments.update else 0


if __name__ == "__main__":
    sys.exit(main())
