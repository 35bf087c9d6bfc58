#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""From the request of a resume to the end of the first kernel, with and without --lazy, by a program
that needs a small share of what it has on the device. The driver is one with memory of its own: the
test driver, or pocl with SHADOWCL_MAPPING=copy. Every byte is checked at the end."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from common import machine, print_table

LIMIT = 0.1  # of the eager time


class Program:
    """Its lines are the times at which its kernels have ended."""

    def __init__(self, options, work):
        node = work / "gpu"
        with open(node, "wb") as file:
            file.truncate((options.mib << 20) + (256 << 20))
        (options.build / "pocl-cache").mkdir(exist_ok=True)
        self.build = options.build
        self.environment = {
            **os.environ, "SHADOWCL_RUNTIME_DIR": str(work), "SHADOWCL_MAPPING": "copy",
            "SHADOWCL_DRIVERS": "libpocl.so.2", "POCL_CACHE_DIR": str(self.build / "pocl-cache")}
        if options.driver == "testdriver":
            self.environment |= {
                "SHADOWCL_DRIVERS": str(self.build / "lib/testdriver/libshadowcl-testdriver.so"),
                "SHADOWCL_DEVICE_NODES": str(node), "SHADOWCL_TEST_DEVICE": str(node)}
        self.process = subprocess.Popen(
            [self.build / "bin/shadowcl", "run", "--", self.build / "bin/bench-lazy",
             *map(str, (options.mib, options.kib, options.share))], env=self.environment,
            text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.lines = []
        self.more = threading.Condition()
        threading.Thread(target=self.read, daemon=True).start()
        self.next_end(0)

    def read(self):
        for line in self.process.stdout:
            with self.more:
                self.lines.append(line.strip())
                self.more.notify()

    def next_end(self, after):
        """When the first kernel ended that did so after that time."""
        with self.more:
            while True:
                for line in self.lines:
                    if float(line) > after:
                        return float(line)
                if not self.more.wait(600):
                    raise SystemExit("lazy: the program does not go on")

    def shadowcl(self, verb, *arguments):
        named = [] if verb == "ps" else ["--timeout", "900", str(self.process.pid)]
        done = subprocess.run([self.build / "bin/shadowcl", verb, "--json", *arguments, *named],
                              env=self.environment, text=True, capture_output=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"lazy: {verb} failed: {done.stderr}")
        return json.loads(done.stdout)[0]

    def end(self):
        self.process.stdin.close()
        if self.process.wait() != 0 or self.lines[-1] != "right":
            raise SystemExit(f"lazy: wrong contents: {self.lines[-1]}")


def first_kernel(program, *how):
    """Milliseconds to the first kernel's end, and until all contents were up."""
    program.shadowcl("suspend")
    time.sleep(0.5)
    start = time.monotonic() * 1e3
    resumed = program.shadowcl("resume", *how)["ms"]["total"]
    kernel = program.next_end(start) - start
    while program.shadowcl("ps")["owed_bytes"]:
        time.sleep(0.05)
    return {"resume": resumed, "kernel": kernel, "all": time.monotonic() * 1e3 - start}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, default=Path("build"))
    parser.add_argument("--driver", choices=["testdriver", "pocl"], default="testdriver")
    parser.add_argument("--mib", type=int, default=4096, help="of buffers (default: 4096)")
    parser.add_argument("--kib", type=int, default=4096, help="of each (default: 4096)")
    parser.add_argument("--share", type=int, default=1, help="percent that kernels need (1)")
    parser.add_argument("--cycles", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.build = options.build.resolve()
    rows = {"eager": [], "lazy": []}
    with tempfile.TemporaryDirectory(prefix="shadowcl-lazy-", dir="/dev/shm") as work:
        program = Program(options, Path(work))
        for _ in range(options.cycles):
            rows["eager"].append(first_kernel(program))
            rows["lazy"].append(first_kernel(program, "--lazy"))
        program.end()
    ms = {how: {key: statistics.median(row[key] for row in times) for key in times[0]}
          for how, times in rows.items()}
    ratio = statistics.median(lazy["kernel"] / eager["kernel"]
                              for eager, lazy in zip(rows["eager"], rows["lazy"]))
    met = ratio <= LIMIT
    if options.json:
        print(json.dumps({**machine(options.build), "driver": options.driver, "mib": options.mib,
                          "kib": options.kib, "share": options.share, "medians": ms, "ratio": ratio,
                          "met": met}, indent=2))
        return 0 if met else 1
    print(", ".join(f"{key}: {value}" for key, value in machine(options.build).items()))
    print(f"{options.mib} MiB in buffers of {options.kib} KiB on {options.driver}, of which kernels "
          f"need {options.share} %; medians of {options.cycles}, ms from the request")
    print_table(["resume", "answered", "first kernel", "all is up"],
                [[how, *(f"{ms[how][key]:.1f}" for key in ("resume", "kernel", "all"))]
                 for how in rows])
    print(f"first kernel: {ratio:.3f} of the eager one (median of pairs), limit {LIMIT}: "
          f"{'met' if met else 'MISSED'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
