#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How fast the commands are that write and read images: `save` of a running program, `verify`,
`suspend --image` and `resume` from it, each timed as a whole, beside `cp` of as many bytes of the same
sort in the same round. Without compression, to a tmpfs unless told otherwise."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import machine, print_table

PIECE = 16  # MiB in a buffer
STEPS = ["cp", "save", "verify", "suspend", "resume"]
LIMITS = {"random": 0.9, "zero": 5}  # times cp, for `save`


class Program:
    def __init__(self, options, work, driver, mib, fill):
        self.build, self.work = options.build, work
        node = work / "gpu"
        with open(node, "wb") as file:
            file.truncate((mib + 64) << 20)
        (self.build / "pocl-cache").mkdir(exist_ok=True)
        self.environment = {
            **os.environ, "SHADOWCL_RUNTIME_DIR": str(work), "SHADOWCL_DRIVERS": "libpocl.so.2",
            "POCL_CACHE_DIR": str(self.build / "pocl-cache")}
        if driver == "testdriver":
            self.environment |= {
                "SHADOWCL_DRIVERS": str(self.build / "lib/testdriver/libshadowcl-testdriver.so"),
                "SHADOWCL_MAPPING": "copy",
                "SHADOWCL_DEVICE_NODES": str(node), "SHADOWCL_TEST_DEVICE": str(node)}
        self.process = subprocess.Popen(
            [self.build / "bin/shadowcl", "run", "--", self.build / "bin/bench-rates",
             str(mib << 20), str(max(1, mib // PIECE)), fill], env=self.environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.expect("ready")

    def expect(self, wanted):
        said = self.process.stdout.readline().strip()
        if said != wanted:
            raise SystemExit(f"save: the program said {said!r}, not {wanted!r}")

    def timed(self, verb, *arguments):
        before = time.monotonic()
        done = subprocess.run([self.build / "bin/shadowcl", verb, *map(str, arguments)],
                              env=self.environment, text=True, capture_output=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"save: {verb} failed: {done.stderr}")
        return time.monotonic() - before

    def end(self):
        self.process.stdin.write("check\n")
        self.process.stdin.flush()
        self.expect("right")
        self.process.stdin.close()
        self.process.wait()


def write_source(path, mib, fill):
    with open(path, "wb") as file:
        for number in range(mib):
            empty = fill == "zero" or (fill == "half" and number % 2)
            file.write(bytes(1 << 20) if empty else os.urandom(1 << 20))


def time_copy(source, to, sync):
    to.unlink(missing_ok=True)
    before = time.monotonic()
    subprocess.run(["cp", "--sparse=never", source, to], check=True)
    if sync:
        subprocess.run(["sync", to], check=True)
    took = time.monotonic() - before
    to.unlink()
    return took


def measure(options, folder, driver, mib, fill):
    seconds = {step: [] for step in STEPS}
    with tempfile.TemporaryDirectory(prefix="shadowcl-save-", dir="/dev/shm") as work, \
            tempfile.TemporaryDirectory(prefix="shadowcl-save-", dir=folder) as target:
        source, image = Path(work) / "source", Path(target) / "image"
        write_source(source, mib, fill)
        program = Program(options, Path(work), driver, mib, fill)
        pid = program.process.pid
        for _ in range(options.rounds + 1):  # the first one touches memory
            seconds["cp"].append(time_copy(source, Path(target) / "copy", options.sync))
            seconds["save"].append(program.timed("save", "--compress", "off", pid, image))
            seconds["verify"].append(program.timed("verify", image))
            image.unlink()
            seconds["suspend"].append(
                program.timed("suspend", "--compress", "off", "--image", image, pid))
            seconds["resume"].append(program.timed("resume", pid))
            image.unlink(missing_ok=True)
        program.end()
    times = [cp / save for cp, save in list(zip(seconds["cp"], seconds["save"]))[1:]]
    rate = {step: mib * 2**20 / statistics.median(seconds[step][1:]) / 1e9 for step in STEPS}
    return {"driver": driver, "mib": mib, "contents": fill, "gb_per_s": rate,
            "times_cp": statistics.median(times)}


def missed(found):
    limit = LIMITS.get(found["contents"])
    return limit and found["times_cp"] < limit


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, default=Path("build"))
    parser.add_argument("--to", default="/dev/shm", help="where the files lie (default: /dev/shm)")
    parser.add_argument("--sync", action="store_true", help="`cp` is waited for until it is on disk")
    parser.add_argument("--mib", type=int, nargs="+", default=[64, 1024],
                        help="sizes of the contents (64 1024)")
    parser.add_argument("--drivers", nargs="+", default=["pocl", "testdriver"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.build = options.build.resolve()
    found = [measure(options, options.to, driver, mib, fill) for driver in options.drivers
             for mib in options.mib for fill in ("random", "half", "zero")]
    met = not any(missed(one) for one in found)
    if options.json:
        print(json.dumps({**machine(options.build), "to": options.to, "rounds": options.rounds,
                          "results": found, "met": met}, indent=2))
        return 0 if met else 1
    print(", ".join(f"{key}: {value}" for key, value in machine(options.build).items()))
    print(f"GB/s of contents, medians of {options.rounds} rounds; save in times of cp")
    print_table(["driver", "MiB", "contents", *STEPS, "times cp"],
                [[one["driver"], one["mib"], one["contents"],
                  *(f"{one['gb_per_s'][step]:.2f}" for step in STEPS), f"{one['times_cp']:.2f}"]
                 for one in found])
    print(f"{LIMITS['random']} of cp for random, {LIMITS['zero']} times cp for zero: "
          f"{'met' if met else 'MISSED'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
