#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How fast contents are copied at a suspend and at a resume, beside the driver's own plain reads into
memory that has been touched, and plain writes into buffers just made, by the same program in the same
run. A resume has to make the buffers as well, so that the rate is that of making and writing them; what
the writes alone give is told beside it. Also what two queues gain, by plain reads and writes. The driver
is one with memory of its own (the test driver, or pocl with SHADOWCL_MAPPING=copy); with
`--mapping shared` nothing is copied. Every byte is checked at the end."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from common import machine, print_table

LIMIT = 0.9  # of the driver's own rate
CASES = "1M/1,1M/10000,64M/1,64M/10000,1G/1,1G/10000"


def size_of(text):
    return int(text[:-1]) << {"K": 10, "M": 20, "G": 30}[text[-1]]


class Program:
    def __init__(self, options, work, size, count):
        node = work / "gpu"
        with open(node, "wb") as file:
            file.truncate(size * 5 // 2 + count * 8192 + (64 << 20))
        (options.build / "pocl-cache").mkdir(exist_ok=True)
        self.build = options.build
        self.environment = {
            **os.environ, "SHADOWCL_RUNTIME_DIR": str(work), "SHADOWCL_MAPPING": options.mapping,
            "SHADOWCL_DRIVERS": "libpocl.so.2", "POCL_CACHE_DIR": str(self.build / "pocl-cache")}
        if options.driver == "testdriver":
            self.environment |= {
                "SHADOWCL_DRIVERS": str(self.build / "lib/testdriver/libshadowcl-testdriver.so"),
                "SHADOWCL_DEVICE_NODES": str(node), "SHADOWCL_TEST_DEVICE": str(node)}
        self.process = subprocess.Popen(
            [self.build / "bin/shadowcl", "run", "--", self.build / "bin/bench-rates", str(size),
             str(count)], env=self.environment, text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE)
        self.line("ready")

    def line(self, wanted=None):
        said = self.process.stdout.readline().strip()
        if not said or (wanted and said != wanted):
            raise SystemExit(f"rates: the program said {said!r}, not {wanted!r}")
        return said

    def ask(self, word, wanted=None):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        return self.line(wanted)

    def shadowcl(self, verb):
        done = subprocess.run([self.build / "bin/shadowcl", verb, "--json", "--timeout", "900",
                               str(self.process.pid)], env=self.environment, text=True,
                              capture_output=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"rates: {verb} failed: {done.stderr}")
        return json.loads(done.stdout)[0]

    def end(self):
        self.ask("check", "right")
        self.process.stdin.close()
        self.process.wait()


def measure(options, work, size, count):
    program = Program(options, work, size, count)
    program.ask("read")  # the first one touches memory in the driver
    pairs = []
    for _ in range(options.cycles):
        read = float(program.ask("read"))
        read_two = float(program.ask("read 2"))
        make, write = map(float, program.ask("write").split())
        # (Where the driver had its memory for these writes it has it for the next ones.)
        write_again, write_two = (float(program.ask(word).split()[1])
                                  for word in ("write", "write 2"))
        suspended = program.shadowcl("suspend")
        rebuilt = program.shadowcl("resume")["ms"]["rebuild"]
        pairs.append({"read": read, "two_queues_read": read / read_two,
                      "two_queues_write": write_again / write_two, "capture": suspended["ms"]["capture"], "make": make,
                      "write": write, "rebuild": rebuilt,
                      "capture_rate": read / suspended["ms"]["capture"],
                      "rebuild_rate": (make + write) / rebuilt, "write_rate": write / rebuilt})
    copied = suspended["copied_bytes"]
    program.end()
    return {"bytes": size, "buffers": count, "copied": copied,
            **{key: statistics.median(pair[key] for pair in pairs) for key in pairs[0]}}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, default=Path("build"))
    parser.add_argument("--driver", choices=["testdriver", "pocl"], default="testdriver")
    parser.add_argument("--mapping", choices=["copy", "shared"], default="copy")
    parser.add_argument("--cases", default=CASES, help=f"bytes/buffers (default: {CASES})")
    parser.add_argument("--cycles", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.build = options.build.resolve()
    rows = []
    for case in options.cases.split(","):
        size, count = case.split("/")
        with tempfile.TemporaryDirectory(prefix="shadowcl-rates-", dir="/dev/shm") as work:
            rows.append(measure(options, Path(work), size_of(size), int(count)))
    met = all(row["copied"] == 0 or (row["capture_rate"] >= LIMIT and row["rebuild_rate"] >= LIMIT)
              for row in rows)
    if options.json:
        print(json.dumps({**machine(options.build), "driver": options.driver,
                          "mapping": options.mapping, "rows": rows, "met": met}, indent=2))
        return 0 if met else 1
    print(", ".join(f"{key}: {value}" for key, value in machine(options.build).items()))
    print(f"{options.driver}, mapping {options.mapping}; ms, medians of {options.cycles}; a rate is "
          "that of the capture or rebuild, or of two queues, over the driver's own, by pairs")
    print_table(["MiB", "buffers", "MiB copied", "plain reads", "two queues", "capture", "rate",
                 "making", "plain writes", "two queues", "rebuild", "rate", "of writes"],
                [[row["bytes"] >> 20, row["buffers"], f"{row['copied'] / (1 << 20):.0f}",
                  f"{row['read']:.1f}", f"{row['two_queues_read']:.2f}", f"{row['capture']:.1f}",
                  f"{row['capture_rate']:.2f}", f"{row['make']:.1f}", f"{row['write']:.1f}",
                  f"{row['two_queues_write']:.2f}", f"{row['rebuild']:.1f}",
                  f"{row['rebuild_rate']:.2f}", f"{row['write_rate']:.2f}"]
                 for row in rows])
    print(f"every rate at least {LIMIT}: {'met' if met else 'MISSED'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
