#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long a copy to a directory, and a process made again from it, take: `shadowcl checkpoint` and
`restore`, beside `criu dump` and `criu restore` of the same program run natively, in pairs, one
after the other. The program has so much in buffers, on pocl, and stands still; made again, it must
hold the right contents."""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

from common import Sides, machine, print_table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "live" / "criu"))
from harness import find_criu, lives, need_criu  # noqa: E402

PATIENCE = 300
STANDS_STILL = 10 ** 9  # ms between its rounds
PARTS = ("suspend", "dump", "restore", "resume")


class Holder:
    """Asked by a pipe with a name, it answers to a file: both are there when it is made again."""

    def __init__(self, sides, side, mib):
        self.sides, self.side = sides, side
        self.work = sides.work / side
        self.work.mkdir(exist_ok=True)
        self.out, fifo = self.work / "out", self.work / "in"
        if not fifo.exists():
            os.mkfifo(fifo)
        self.ask_at = os.open(fifo, os.O_RDWR)
        self.copy = self.work / "copy"
        with open(self.out, "wb") as out:
            self.process = sides.start(side, "precopy-writer", mib, 1024, 1, STANDS_STILL,
                                       stdin=self.ask_at, stdout=out, start_new_session=True)
        self.pid = self.process.pid
        self.wait_for("ready")

    def wait_for(self, word):
        end = time.monotonic() + PATIENCE
        while word not in self.out.read_text().split():
            if time.monotonic() > end or not lives(self.pid):
                raise SystemExit(f"criu: {self.side}: it does not say `{word}`")
            time.sleep(0.01)

    def run(self, words):
        """Milliseconds, and what was said."""
        start = time.monotonic()
        done = subprocess.run([*map(str, words)], env=self.sides.environment, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE)
        ms = (time.monotonic() - start) * 1000
        if done.returncode != 0:
            raise SystemExit(f"criu: {words} failed: {done.stdout}{done.stderr}")
        return ms, done.stdout

    def copy_and_end(self, criu):
        if self.side == "native":
            self.copy.mkdir()
            ms, _ = self.run([criu, "dump", "-t", self.pid, "-D", self.copy, "-o", "dump.log",
                              "-v2", "--shell-job", "--file-locks"])
            self.process.wait()
            return ms, {}
        ms, said = self.run([self.sides.bin / "shadowcl", "checkpoint", "--json", self.pid,
                             self.copy])
        self.process.wait()
        return ms, json.loads(said)[0]["ms"]

    def make_again(self, criu):
        if self.side == "native":
            return self.run([criu, "restore", "-D", self.copy, "-o", "restore.log", "-v2",
                             "--shell-job", "--file-locks", "-d"])[0], {}
        ms, said = self.run([self.sides.bin / "shadowcl", "restore", "--json", "--detach",
                             self.copy])
        return ms, json.loads(said)[0]["ms"]

    def end(self):
        os.write(self.ask_at, b"check\n")
        self.wait_for("right")
        os.kill(self.pid, signal.SIGKILL)
        os.close(self.ask_at)
        subprocess.run(["rm", "-rf", self.copy], check=True)


def measure(sides, criu, mib, pairs):
    rows = {side: {"dump": [], "restore": []} for side in ("native", "shadowcl")}
    parts = {part: [] for part in PARTS}
    for _ in range(pairs):
        for side, row in rows.items():
            holder = Holder(sides, side, mib)
            ms, dumped = holder.copy_and_end(criu)
            row["dump"].append(ms)
            ms, restored = holder.make_again(criu)
            row["restore"].append(ms)
            holder.end()
            for part in PARTS:
                if part in dumped or part in restored:
                    parts[part].append({**dumped, **restored}[part])
    return rows, {part: statistics.median(values) for part, values in parts.items()}


def row_of(mib, what, rows):
    alone, ours = rows["native"][what], rows["shadowcl"][what]
    ratios = [one / other for one, other in zip(ours, alone)]
    return [f"{mib} MiB, {what}", f"{statistics.median(alone):.0f}", f"{statistics.median(ours):.0f}",
            f"{statistics.median(ratios):.2f}", f"{min(ratios):.2f} to {max(ratios):.2f}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, default=Path("build"))
    parser.add_argument("--mib", type=int, nargs="+", default=[64, 1024], help="(default: 64 1024)")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    need_criu()
    # Unless another place is asked for: a disk would be what is measured.
    if os.access("/dev/shm", os.W_OK):
        os.environ.setdefault("TMPDIR", "/dev/shm")
    table, found = [], {**machine(options.build), "criu": find_criu()}
    with Sides(options.build) as sides:
        for mib in options.mib:
            rows, parts = measure(sides, found["criu"], mib, options.pairs)
            found[str(mib)] = {**rows, "parts": parts}
            table += [row_of(mib, what, rows) for what in ("dump", "restore")]
            table[-2].append(" + ".join(f"{part} {parts[part]:.0f}" for part in PARTS[:2]))
            table[-1].append(" + ".join(f"{part} {parts[part]:.0f}" for part in PARTS[2:]))
    if options.json:
        print(json.dumps(found, indent=2))
        return
    print(", ".join(f"{key}: {value}" for key, value in machine(options.build).items()))
    print(f"medians of {options.pairs} pairs, ms; the ratio is that of each pair")
    print_table(["", "criu alone", "shadowcl", "ratio", "from, to", "of it"], table)


if __name__ == "__main__":
    main()
