#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Many suspends and resumes must leave descriptors and threads exactly where they were after the
tenth, and memory and mappings no further than the same driver calls made natively in a loop, plus
1 MB. Both sides are printed."""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))
from common import machine, Sides, print_table  # noqa: E402

FIRST = 10  # cycles before the first look
ROOM_KB = 1024  # more than native
# Memory that one mapping more stands for at least: mappings are held to the same 1 MB.
ROOM_MAPPINGS = 16


def look(pid):
    """Descriptors, threads, mappings, and resident memory in kB."""
    proc = Path(f"/proc/{pid}")
    rss = next(int(line.split()[1]) for line in (proc / "smaps_rollup").read_text().splitlines()
               if line.startswith("Rss:"))
    return {"descriptors": len(os.listdir(proc / "fd")), "threads": len(os.listdir(proc / "task")),
            "mappings": len((proc / "maps").read_text().splitlines()), "memory": rss}


def look_steadily(pid):
    """The connection of the last request, or a thread that ends, may still be on its way out."""
    before = look(pid)
    for _ in range(50):
        time.sleep(0.02)
        now = look(pid)
        if all(now[key] == before[key] for key in ("descriptors", "threads", "mappings")):
            return now
        before = now
    return before


class Program:
    def __init__(self, sides, side, count):
        self.sides = sides
        self.side = side
        self.process = sides.start(side, "bench-objects", count, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE)
        self.read()
        self.looks = {}

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"growth: the {self.side} program ended ({self.process.wait()})")
        return line

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.read()

    def cycle(self):
        if self.side == "native":
            self.ask("cycle")
            self.ask("check")
            return
        for verb in ("suspend", "resume"):
            done = self.sides.shadowcl(verb, self.process.pid)
            if done.returncode != 0:
                raise SystemExit(f"growth: {verb} failed: {done.stderr}")
        self.ask("check")

    def look(self, cycle):
        self.looks[cycle] = look_steadily(self.process.pid)

    def growth(self):
        first, last = self.looks[FIRST], self.looks[max(self.looks)]
        return {key: last[key] - first[key] for key in first}

    def end(self):
        self.process.stdin.close()
        if self.process.wait() != 0:
            raise SystemExit(f"growth: the {self.side} program failed")


def judge(native, shim):
    """What grew too far, in words."""
    bad = [f"{what}: {shim[what]:+d}, must stay" for what in ("descriptors", "threads")
           if shim[what] != 0]
    for what, room, unit in (("memory", ROOM_KB, " kB"), ("mappings", ROOM_MAPPINGS, "")):
        if shim[what] > max(native[what], 0) + room:
            bad.append(f"{what}: {shim[what]:+d}{unit}, natively {native[what]:+d}{unit}, "
                       f"allowed {room}{unit} more")
    return bad


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build", help="the build's folder (default: build)")
    parser.add_argument("--cycles", type=int, default=100, help="cycles (default: 100)")
    parser.add_argument("--objects", type=int, default=100, help="objects (default: 100)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    arguments = parser.parse_args()
    steps = sorted({FIRST, arguments.cycles,
                    *range(arguments.cycles // 4, arguments.cycles, arguments.cycles // 4)})
    with Sides(arguments.build) as sides:
        programs = [Program(sides, side, arguments.objects) for side in ("native", "shim")]
        for cycle in range(1, arguments.cycles + 1):
            for program in programs:
                program.cycle()
                if cycle in steps:
                    program.look(cycle)
        for program in programs:
            program.end()
    keys = ["descriptors", "threads", "mappings", "memory"]
    native, shim = (program.growth() for program in programs)
    bad = judge(native, shim)
    if arguments.json:
        print(json.dumps({**machine(arguments.build), "cycles": arguments.cycles,
                          "objects": arguments.objects, "native": native, "shim": shim,
                          "mapping": os.environ.get("SHADOWCL_MAPPING", "auto"),
                          "room": {"memory": ROOM_KB, "mappings": ROOM_MAPPINGS},
                          "missed": bad}, indent=2))
        return 1 if bad else 0
    print_table(["after cycle", *(f"{p.side} {key}" for key in keys for p in programs)],
                [[step, *(p.looks[step][key] for key in keys for p in programs)]
                 for step in steps])
    print_table(["growth", *(f"{p.side} {key}" for key in keys for p in programs)],
                [[f"{FIRST} to {arguments.cycles}",
                  *(f"{growth[key]:+d}" for key in keys for growth in (native, shim))]])
    for line in bad:
        print(f"FAILED: {line}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
