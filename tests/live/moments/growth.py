#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Many storm cycles over a program that does a bit of everything: descriptors, threads and the band
of handles stay as they are, memory and mappings grow no further than those of a native program that
makes everything anew as often, plus 1 MB. Both sides are printed."""

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

from moments import Setup

FIRST = 50  # cycles before the first look
ROOM = {"descriptors": 0, "threads": 0, "mappings": 16, "memory": 1024, "band": 64 << 10}


class Program:
    def __init__(self, setup, command, more):
        self.process = subprocess.Popen(command, env={**setup.env, **more}, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def rounds(self, count):
        """Does so many more, and says what it has then."""
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"growth: the program ended ({self.process.wait()})")
        return {key: int(value) for key, value in re.findall(r"(\w+) (\d+)", line)}

    def end(self):
        self.process.stdin.close()
        if self.process.wait() != 0:
            raise SystemExit(f"growth: the program failed ({self.process.returncode})")


def growth(first, last):
    return {key: last[key] - first[key] for key in first}


def cycles_of(log):
    return len(re.findall(r"info: resume: running", log.read_text()))


def under_storm(setup, cycles):
    """The growth from the first look on, and the number of cycles in between."""
    log = setup.work / "log"
    program = Program(setup, [setup.command, "run", "--", setup.build / "bin/moments-mixed"],
                      {"SHADOWCL_STORM": "1,3", "SHADOWCL_LOG": f"info:{log}"})
    first = program.rounds(FIRST // 10)
    begin = last = cycles_of(log)
    while begin < FIRST:
        first = program.rounds(5)
        begin = cycles_of(log)
    while (last := cycles_of(log)) - begin < cycles:
        now = program.rounds(20)
    program.end()
    return growth(first, now), last - begin


def natively(setup, cycles):
    program = Program(setup, [setup.build / "bin/moments-mixed", "anew"], {})
    first = program.rounds(FIRST)
    last = program.rounds(cycles)
    program.end()
    return growth(first, last)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--mapping", choices=["shared", "copy"], default="shared")
    parser.add_argument("--cycles", type=int, default=300)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="moments-") as work:
        setup = Setup(options.build.resolve(), options.mapping, pathlib.Path(work), 0)
        shim, cycles = under_storm(setup, options.cycles)
        native = natively(setup, cycles)
    bad = 0
    for key, room in ROOM.items():
        allowed = room + (max(native[key], 0) if key in ("memory", "mappings") else 0)
        bad += shim[key] > allowed
        print(f"{key:12} {shim[key]:+8d} in {cycles} cycles, natively {native[key]:+8d}, at most "
              f"{allowed:+d}{'' if shim[key] <= allowed else '  FAILED'}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
