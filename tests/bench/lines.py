#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Do threads that work on objects of their own meet on a cache line of the shim's? bench-lines follows
each access to the shim's memory, call by call. A line that both of two threads touch in every other
call at least, and one of them writes, is on the way; for the calls of a program's ordinary course
there must be none. Exit code 77 where that can't be looked at."""

import argparse
import json
import platform
import subprocess
import sys

from common import Sides, conditions, machine, print_table

SKIPPED = 77
# What makes objects counts them and puts them on lists: one lock for all, seldom and short.
MAKING = {"buffer create + release", "kernel create + release",
          "user event create + set + release"}


def follow(sides):
    run = sides.start("shim", "bench-lines", stdout=subprocess.PIPE)
    output, _ = run.communicate()
    if run.returncode != 0:
        raise SystemExit(f"lines: bench-lines failed ({run.returncode})")
    rows = []
    for line in output.splitlines():
        call, *numbers = line.split("\t")
        count, touched, written, shared, always = map(int, numbers)
        rows.append({"call": call, "calls": count, "touched": touched, "written": written,
                     "shared": shared, "on_the_way": always, "making": call in MAKING})
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build", help="the build's folder (default: build)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    if platform.machine() != "x86_64":
        print("lines: single accesses can be followed on x86_64 only")
        return SKIPPED
    with Sides(arguments.build) as sides:
        rows = follow(sides)
    missed = [row["call"] for row in rows if row["on_the_way"] and not row["making"]]
    if not rows:
        raise SystemExit("lines: nothing was followed")
    if arguments.json:
        print(json.dumps({**machine(arguments.build), "results": rows, "missed": missed}, indent=2))
        return 1 if missed else 0
    print(conditions(arguments.build))
    print_table(["cache lines of the shim's, two threads", "calls", "touched", "written",
                 "ever shared", "shared by every call", ""],
                [[r["call"], r["calls"], r["touched"], r["written"], r["shared"], r["on_the_way"],
                  "MISSED" if r["call"] in missed else ""] for r in rows])
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
