#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the shim adds to the start of a program: to the first answer of clGetPlatformIDs, and to a
program that links OpenCL and never calls it. Runs of each side in turn; minimum and median."""

import argparse
import json
import statistics
import subprocess
import sys
import time

from common import Sides, machine, print_table

LIMITS_MS = {"first clGetPlatformIDs": 3, "a program that never calls": 1}


def environments(sides):
    """The shim's is what `shadowcl run` sets: that command's own start is not the program's."""
    words = subprocess.run([str(sides.bin / "shadowcl"), "run", "--", "env", "-0"], check=True,
                           env=sides.environment, capture_output=True, text=True).stdout
    shim = dict(word.split("=", 1) for word in words.split("\0") if "=" in word)
    return {"native": sides.environment, "shim": shim}


def time_runs(sides, runs):
    program = str(sides.bin / "bench-start")
    times = {what: {"native": [], "shim": []} for what in LIMITS_MS}
    for _ in range(runs):
        for side, environment in environments(sides).items():
            done = subprocess.run([program, "--ask"], env=environment, capture_output=True,
                                  text=True, check=True)
            times["first clGetPlatformIDs"][side].append(float(done.stdout) / 1000)
            start = time.perf_counter()
            subprocess.run([program], env=environment, check=True)
            times["a program that never calls"][side].append((time.perf_counter() - start) * 1000)
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build", help="the build's folder (default: build)")
    parser.add_argument("--runs", type=int, default=15, help="runs of each (default: 15)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    with Sides(arguments.build) as sides:
        times = time_runs(sides, arguments.runs)
    results = [{"what": what, "limit_ms": LIMITS_MS[what],
                **{f"{side}_{name}_ms": function(values)
                   for side, values in sides_of.items()
                   for name, function in (("min", min), ("median", statistics.median))}}
               for what, sides_of in times.items()]
    for result in results:
        result["added_ms"] = result["shim_min_ms"] - result["native_min_ms"]
    missed = [r["what"] for r in results if r["added_ms"] > r["limit_ms"]]
    if arguments.json:
        print(json.dumps({**machine(arguments.build), "results": results, "missed": missed},
                         indent=2))
        return 1 if missed else 0
    print(", ".join(f"{key}: {value}" for key, value in machine(arguments.build).items()))
    print_table(["ms", "native min", "median", "shim min", "median", "added", "limit", ""],
                [[r["what"], *(f"{r[key]:.2f}" for key in (
                    "native_min_ms", "native_median_ms", "shim_min_ms", "shim_median_ms")),
                  f"{r['added_ms']:+.2f}", r["limit_ms"], "MISSED" if r["what"] in missed else ""]
                 for r in results])
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
