#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the shim adds to the start of a program: to the first answer of clGetPlatformIDs, and to a
program that links OpenCL and never calls it. Runs of each side in turn: the minimum, and the median
of what the two runs of a pair differ by, with its 95 % interval. And the same by instructions, which
no other program disturbs. A program that never calls must have no thread but its own. With --threads
only that is looked at."""

import argparse
import json
import re
import shutil
import subprocess
import sys
import time

from common import Sides, conditions, in_turn, machine, print_table, spread

LIMITS_MS = {"first clGetPlatformIDs": 3, "a program that never calls": 1}
NAMES = ["native", "shim"]
MILLION = 1e6


def environments(sides):
    """The shim's is what `shadowcl run` sets: that command's own start is not the program's."""
    words = subprocess.run([str(sides.bin / "shadowcl"), "run", "--", "env", "-0"], check=True,
                           env=sides.environment, capture_output=True, text=True).stdout
    shim = dict(word.split("=", 1) for word in words.split("\0") if "=" in word)
    return {"native": sides.environment, "shim": shim}


def time_runs(sides, runs):
    program = str(sides.bin / "bench-start")
    times = {what: {"native": [], "shim": []} for what in LIMITS_MS}
    environment = environments(sides)
    for number in range(runs):
        for side in in_turn(NAMES, number):
            done = subprocess.run([program, "--ask"], env=environment[side], capture_output=True,
                                  text=True, check=True)
            times["first clGetPlatformIDs"][side].append(float(done.stdout) / 1000)
            start = time.perf_counter()
            subprocess.run([program], env=environment[side], check=True)
            times["a program that never calls"][side].append((time.perf_counter() - start) * 1000)
    return times


def instructions(sides, environment, *arguments):
    """Of the whole process, the loader's included."""
    out = sides.work / "start.out"
    run = subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}",
                          str(sides.bin / "bench-start"), *arguments], env=environment, check=False,
                         capture_output=True, text=True)
    found = re.search(r"Collected : (\d+)", run.stderr)
    if run.returncode != 0 or not found:
        raise SystemExit(f"start: valgrind failed ({run.returncode}):\n{run.stderr}")
    return int(found.group(1))


def count_instructions(sides):
    if not shutil.which("valgrind"):
        return {}
    environment = environments(sides)
    return {what: {side: instructions(sides, environment[side], *arguments) for side in NAMES}
            for what, arguments in (("first clGetPlatformIDs", ["--ask"]),
                                    ("a program that never calls", []))}


def count_threads(sides):
    """How many a program has that never calls."""
    done = subprocess.run([str(sides.bin / "bench-start"), "--threads"], check=True, text=True,
                          env=environments(sides)["shim"], capture_output=True)
    return int(done.stdout)


def summarize(times, counts):
    results = []
    for what, of in times.items():
        row = {"what": what, "limit_ms": LIMITS_MS[what],
               "native_min_ms": min(of["native"]), "shim_min_ms": min(of["shim"]),
               "pairs_ms": spread([shim - native
                                   for native, shim in zip(of["native"], of["shim"])]),
               "instructions": counts.get(what)}
        row["added_ms"] = row["shim_min_ms"] - row["native_min_ms"]
        results.append(row)
    return results


def show(results):
    table = []
    for r in results:
        pairs, count = r["pairs_ms"], r["instructions"]
        within = "-" if pairs["low"] is None else f"{pairs['low']:+.2f} … {pairs['high']:+.2f}"
        added = count["shim"] - count["native"] if count else None
        table.append([r["what"], f"{r['native_min_ms']:.2f}", f"{r['shim_min_ms']:.2f}",
                      f"{r['added_ms']:+.2f}", f"{pairs['median']:+.2f}", within, r["limit_ms"],
                      f"{added / MILLION:+.2f} million" if count else "-",
                      "MISSED" if r["added_ms"] > r["limit_ms"] else ""])
    print_table(["ms", "native min", "shim min", "added", "median added", "95 %", "limit",
                 "instructions added", ""], table)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build", help="the build's folder (default: build)")
    parser.add_argument("--runs", type=int, default=15, help="runs of each (default: 15)")
    parser.add_argument("--threads", action="store_true", help="only count threads")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    with Sides(arguments.build) as sides:
        threads = count_threads(sides)
        if arguments.threads:
            print(f"threads of a program that never calls: {threads}, wanted 1")
            return 1 if threads != 1 else 0
        results = summarize(time_runs(sides, arguments.runs), count_instructions(sides))
    missed = [r["what"] for r in results if r["added_ms"] > r["limit_ms"]]
    missed += ["threads"] if threads != 1 else []
    if arguments.json:
        print(json.dumps({**machine(arguments.build), "results": results, "threads": threads,
                          "missed": missed}, indent=2))
        return 1 if missed else 0
    print(conditions(arguments.build))
    show(results)
    print(f"threads of a program that never calls: {threads}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
