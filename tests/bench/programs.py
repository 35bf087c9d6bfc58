#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whole programs: natively, under the shim, and under Intel's Intercept Layer where
SHADOWCL_BENCH_CLINTERCEPT names its library. A process of each is started, and they run in turn; then
they are started anew. The median of the ratios of the starts with its 95 % interval, for the time
that passed and for the processor time of all threads together. All results must be the same. What
the interval can't tell, instructions.py tells: how many of all instructions of a run are the
shim's."""

import argparse
import json
import statistics
import subprocess
import sys

from common import Asked, Sides, conditions, in_turn, load, machine, print_table, spread

LIMIT_MEDIAN = 0.003
LIMIT_WORST = 0.01


def names(sides):
    return subprocess.run([str(sides.bin / "bench-programs")], text=True, check=False,
                          env=sides.environment, capture_output=True).stdout.splitlines()


def measure(sides, name, starts, pairs, percent):
    """[{side: (wall, cpu)}], one for each start of the program on every side: the medians of its
    runs. Where a process has its buffers stays the same for all of its runs, and makes some of them
    several percent faster or slower: more runs of one process don't tell more."""
    digests = set()
    found = [measure_start(sides, name, pairs, percent, digests) for _ in range(starts)]
    if len(digests) != 1:
        raise SystemExit(f"programs: {name}: not all results are the same: {digests}")
    return found


def measure_start(sides, name, pairs, percent, digests):
    running = {side: Asked(sides, side, "bench-programs", name, percent) for side in sides.names}
    done = {side: [] for side in sides.names}
    for number in range(pairs + 1):
        for side in in_turn(sides.names, number):
            wall, cpu, digest = running[side].ask().split()
            done[side].append((float(wall), float(cpu)))
            digests.add(digest)
    for process in running.values():
        process.end()
    return {side: tuple(statistics.median(runs[which] for runs in done[side][1:])
                        for which in (0, 1)) for side in done}


def summarize(name, pairs):
    row = {"program": name, "load": load()}
    for which, what in enumerate(("wall", "cpu")):
        for side in pairs[0]:
            row[f"{side}_{what}_ms"] = spread([pair[side][which] * 1e3 for pair in pairs])
            if side != "native":
                row[f"{side}_{what}"] = spread([pair[side][which] / pair["native"][which] - 1
                                                for pair in pairs])
    return row


def verdict(ratio):
    """Is it at most LIMIT_WORST? Only the interval can say so."""
    if ratio["low"] is None:
        return "too few pairs"
    if ratio["high"] <= LIMIT_WORST:
        return "met"
    return "MISSED" if ratio["low"] > LIMIT_WORST else "can't tell"


def percents(ratio):
    if ratio["low"] is None:
        return f"{ratio['median']:+.2%}"
    return f"{ratio['median']:+.2%} ({ratio['low']:+.2%} … {ratio['high']:+.2%})"


def show(rows):
    others = [side for side in Sides.names if side != "native"]
    print_table(["", "native ms", "starts",
                 *(f"{side}: {what}" for side in others for what in ("time", "processor")),
                 "at most 1 % of processor time", "load"],
                [[r["program"], f"{r['native_wall_ms']['median']:.1f}",
                  r["native_wall_ms"]["count"],
                  *(percents(r[f"{side}_{what}"]) for side in others for what in ("wall", "cpu")),
                  verdict(r["shim_cpu"]), f"{r['load']:.1f}"] for r in rows])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build", help="the build's folder (default: build)")
    parser.add_argument("--starts", type=int, default=20, help="of each program (default: 20)")
    parser.add_argument("--pairs", type=int, default=5, help="of runs, in each start (default: 5)")
    parser.add_argument("--percent", type=int, default=100, help="of the usual work (default: 100)")
    parser.add_argument("--only", help="one program")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    with Sides(arguments.build) as sides:
        wanted = [arguments.only] if arguments.only else names(sides)
        rows = [summarize(name, measure(sides, name, arguments.starts, arguments.pairs,
                                        arguments.percent))
                for name in wanted]
    if arguments.json:
        print(json.dumps({**machine(arguments.build), "results": rows,
                          "limit_median": LIMIT_MEDIAN, "limit_worst": LIMIT_WORST}, indent=2))
    else:
        print(conditions(arguments.build))
        show(rows)
    return 1 if any(verdict(row["shim_cpu"]) == "MISSED" for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
