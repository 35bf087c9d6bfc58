#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""For how long a program stands still at a suspend, with and without --prepare, while it writes a
share of its buffers in each round; beside what plain reads of that share take, by the same program,
into memory that has been touched. And for how long from gate to gate, with the resume right behind
the suspend: without any option, and with --prepare and --lazy. With a pause between rounds that is
longer than all copies nothing is left to copy when the gate closes; with a short one the program
always writes, and about its share is left. The driver is one with memory of its own: the test
driver, or pocl with SHADOWCL_MAPPING=copy."""

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

LIMIT = 1.3      # times the plain reads of one round's share …
LIMIT_MS = 50    # … and so much


class Writer:
    def __init__(self, build, driver, work, pieces, kib, share, pause):
        self.build = build
        node = work / "gpu"
        with open(node, "wb") as file:
            file.truncate(pieces * kib * 1024 * 2 + (64 << 20))
        self.environment = {
            **os.environ, "SHADOWCL_RUNTIME_DIR": str(work), "SHADOWCL_MAPPING": "copy",
            "SHADOWCL_DRIVERS": "libpocl.so.2", "POCL_CACHE_DIR": str(build / "pocl-cache")}
        (build / "pocl-cache").mkdir(exist_ok=True)
        if driver == "testdriver":
            self.environment |= {
                "SHADOWCL_DRIVERS": str(build / "lib/testdriver/libshadowcl-testdriver.so"),
                "SHADOWCL_DEVICE_NODES": str(node), "SHADOWCL_TEST_DEVICE": str(node)}
        self.process = subprocess.Popen(
            [build / "bin/shadowcl", "run", "--", build / "bin/precopy-writer",
             *map(str, (pieces, kib, share, pause))], env=self.environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.line("ready")

    def line(self, wanted=None):
        said = self.process.stdout.readline().strip()
        if not said or (wanted and said != wanted):
            raise SystemExit(f"pause: the program said {said!r}, not {wanted!r}")
        return said

    def ask(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        return self.line()

    def shadowcl(self, verb, *arguments):
        done = subprocess.run([self.build / "bin/shadowcl", verb, "--json", *arguments,
                               str(self.process.pid)], env=self.environment, text=True,
                              capture_output=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"pause: {verb} failed: {done.stderr}")
        return json.loads(done.stdout)[0]

    def end(self):
        self.process.stdin.close()
        self.line("right")
        self.process.wait()


def standing_still(answer):
    return sum(answer["ms"][part] for part in ("drain", "capture", "release"))


def measure(options, work):
    pieces = options.mib * 1024 // options.kib
    writer = Writer(options.build, options.driver, work, pieces, options.kib, options.share,
                    options.pause)
    writer.ask("read")  # the first one touches memory in the driver
    rows = {"plain": [], "prepared": [], "plain_release": [], "prepared_release": [], "read": [],
            "rounds": [], "left": [], "plain_gates": [], "prepared_gates": []}
    for _ in range(options.cycles):
        rows["read"].append(float(writer.ask("read")))
        for kind, before, after in (("plain", (), ()), ("prepared", ("--prepare",), ("--lazy",))):
            time.sleep(1)
            answer = writer.shadowcl("suspend", *before)
            rows[kind].append(standing_still(answer))
            rows[f"{kind}_release"].append(answer["ms"]["release"])
            if kind == "prepared":
                rows["rounds"].append(answer["prepare_rounds"])
                rows["left"].append(answer["copied_bytes"] / answer["captured_bytes"])
            resumed = writer.shadowcl("resume", *after)["ms"]["total"]
            rows[f"{kind}_gates"].append(standing_still(answer) + resumed)
    if writer.ask("check") != "right":
        raise SystemExit("pause: wrong contents")
    writer.end()
    return {key: statistics.median(values) for key, values in rows.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, default=Path("build"))
    parser.add_argument("--driver", choices=["testdriver", "pocl"], default="testdriver")
    parser.add_argument("--mib", type=int, default=1024, help="of buffers (default: 1024)")
    parser.add_argument("--kib", type=int, default=1024, help="of each (default: 1024)")
    parser.add_argument("--share", type=int, default=10, help="percent written in a round (10)")
    parser.add_argument("--pause", type=int, default=500, help="ms between rounds (500)")
    parser.add_argument("--cycles", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.build = options.build.resolve()
    with tempfile.TemporaryDirectory(prefix="shadowcl-pause-", dir="/dev/shm") as work:
        ms = measure(options, Path(work))
    limit = LIMIT * ms["read"] + LIMIT_MS
    met = ms["prepared"] <= limit
    if options.json:
        print(json.dumps({**machine(options.build), "driver": options.driver, "mib": options.mib,
                          "kib": options.kib, "share": options.share, "pause": options.pause,
                          "medians": ms,
                          "limit_ms": limit, "met": met}, indent=2))
        return 0 if met else 1
    print(", ".join(f"{key}: {value}" for key, value in machine(options.build).items()))
    print(f"{options.mib} MiB in buffers of {options.kib} KiB on {options.driver}, {options.share} % "
          f"written in a round, {options.pause} ms between rounds; medians of {options.cycles}, ms")
    print_table(["standing still", "of it release", "with --prepare", "of it release", "rounds",
                 "left to copy",
                 f"plain reads of {options.share} %", "limit", "gate to gate",
                 "with --prepare and --lazy"],
                [[*(f"{ms[key]:.1f}" for key in ("plain", "plain_release", "prepared",
                                                 "prepared_release")), f"{ms['rounds']:g}",
                  f"{ms['left']:.1%}", f"{ms['read']:.1f}", f"{limit:.1f}",
                  f"{ms['plain_gates']:.1f}", f"{ms['prepared_gates']:.1f}"]])
    print(f"{LIMIT} times the plain reads and {LIMIT_MS} ms: {'met' if met else 'MISSED'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
