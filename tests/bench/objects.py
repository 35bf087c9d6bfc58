#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a suspend and a resume of many small objects take, beside the driver's own release and
creation of the same objects (programs from binaries), by the same program, in turn."""

import argparse
import json
import statistics
import subprocess
import sys

from common import Sides, machine, print_table

LIMIT_MS = 50  # beyond the driver's own, for 1,000 objects


class Program:
    def __init__(self, sides, side, count):
        self.process = sides.start(side, "bench-objects", count, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE)
        self.made = int(self.read().split()[1])

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"objects: the program ended early ({self.process.wait()})")
        return line.strip()

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.read()

    def end(self):
        self.process.stdin.close()
        if self.process.wait() != 0:
            raise SystemExit(f"objects: the program failed ({self.process.returncode})")


def act(sides, verb, pid):
    done = sides.shadowcl(verb, "--json", pid)
    if done.returncode != 0:
        raise SystemExit(f"objects: {verb} failed: {done.stderr}{done.stdout}")
    return json.loads(done.stdout)[0]["ms"]


def measure(sides, count, cycles):
    native, shim = Program(sides, "native", count), Program(sides, "shim", count)
    times = []
    for _ in range(cycles):
        release, create = map(float, native.ask("cycle").split())
        suspend = act(sides, "suspend", shim.process.pid)
        resume = act(sides, "resume", shim.process.pid)
        if shim.ask("check") != "ok":
            raise SystemExit("objects: wrong results after a resume")
        times.append({"release": release, "create": create, "suspend": suspend["total"],
                      "drain": suspend["drain"], "capture": suspend["capture"],
                      "shim_release": suspend["release"], "resume": resume["total"],
                      "load": resume["load"], "rebuild": resume["rebuild"]})
    made = shim.made
    native.end()
    shim.end()
    return {"objects": made, "cycles": cycles,
            "ms": {key: statistics.median(t[key] for t in times) for key in times[0]}}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build", help="the build's folder (default: build)")
    parser.add_argument("--counts", default="1000,10000,100000",
                        help="numbers of objects (default: 1000,10000,100000)")
    parser.add_argument("--cycles", type=int, default=7, help="cycles of each (default: 7)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    with Sides(arguments.build) as sides:
        results = [measure(sides, int(count), arguments.cycles)
                   for count in arguments.counts.split(",")]
    small = results[0]["ms"]
    over = {"suspend": small["suspend"] - small["release"],
            "resume": small["resume"] - small["create"]}
    missed = [what for what, ms in over.items() if ms > LIMIT_MS]
    if arguments.json:
        print(json.dumps({**machine(arguments.build), "results": results, "over_ms": over,
                          "limit_ms": LIMIT_MS, "missed": missed}, indent=2))
        return 1 if missed else 0
    print(", ".join(f"{key}: {value}" for key, value in machine(arguments.build).items()))
    print("ms, medians; `driver` is the native program's own release and creation")
    print_table(["objects", "driver release", "suspend", "drain", "capture", "release",
                 "driver create", "resume", "load", "rebuild"],
                [[r["objects"], *(f"{r['ms'][key]:.1f}" for key in (
                    "release", "suspend", "drain", "capture", "shim_release", "create", "resume",
                    "load", "rebuild"))] for r in results])
    for what, ms in over.items():
        print(f"{what} of {results[0]['objects']} objects: {ms:+.1f} ms beyond the driver's own, "
              f"limit {LIMIT_MS}: {'MISSED' if what in missed else 'met'}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
