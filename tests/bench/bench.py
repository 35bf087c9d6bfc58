#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Cost per OpenCL call, natively and under the shim: two processes, a round of each in turn, the
minimum of all rounds; several pairs of processes, since addresses differ from one to the next."""

import argparse
import json
import subprocess
import sys

from common import Sides, machine, print_table

# What may be added, ns. The other calls are shown without a limit.
LIMITS = {
    "clSetKernelArg int": 10,
    "clSetKernelArg long": 10,
    "clSetKernelArg same mem": 10,
    "clSetKernelArg other mem": 10,
    "clGetEventInfo": 5,
    "clGetMemObjectInfo": 5,
    "clFlush": 5,
    "retain + release mem": 10,
    "retain + release kernel": 10,
    "retain + release event": 10,
}


def read_round(process):
    process.stdin.write("round\n")
    process.stdin.flush()
    times = {}
    while (line := process.stdout.readline().rstrip("\n")):
        name, ns = line.split("\t")
        times[name] = float(ns)
    if not times:
        raise SystemExit(f"bench: a program ended early ({process.wait()})")
    return times


def measure(sides, pairs, rounds):
    best = {"native": {}, "shim": {}}
    for _ in range(pairs):
        running = {side: sides.start(side, "bench-calls", stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE) for side in best}
        for _ in range(rounds):
            for side, process in running.items():
                for name, ns in read_round(process).items():
                    best[side][name] = min(ns, best[side].get(name, ns))
        for process in running.values():
            process.stdin.close()
            process.wait()
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build", help="the build's folder (default: build)")
    parser.add_argument("--pairs", type=int, default=3, help="pairs of processes (default: 3)")
    parser.add_argument("--rounds", type=int, default=20, help="rounds per pair (default: 20)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    with Sides(arguments.build) as sides:
        best = measure(sides, arguments.pairs, arguments.rounds)
    results = [{"call": name, "native_ns": native, "shim_ns": best["shim"][name],
                "added_ns": best["shim"][name] - native, "limit_ns": LIMITS.get(name)}
               for name, native in best["native"].items()]
    missed = [r["call"] for r in results if r["limit_ns"] and r["added_ns"] > r["limit_ns"]]
    if arguments.json:
        print(json.dumps({**machine(arguments.build), "results": results, "missed": missed},
                         indent=2))
        return 1 if missed else 0
    print(", ".join(f"{key}: {value}" for key, value in machine(arguments.build).items()))
    print_table(["ns per call", "native", "shim", "added", "limit", ""],
                [[r["call"], f"{r['native_ns']:.1f}", f"{r['shim_ns']:.1f}",
                  f"{r['added_ns']:+.1f}", f"{r['limit_ns']}" if r["limit_ns"] else "-",
                  "MISSED" if r["call"] in missed else ""] for r in results])
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
