#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What copies beforehand cost a program that writes all the time: how much of its speed it keeps
meanwhile, by rounds of writes, and for how long it stands still then, beside a suspend without them;
with the rate of the copies unlimited, and limited. The driver is one with memory of its own, but its
copies and its kernels are work of the same processors here: a GPU has its own."""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from common import machine, print_table
from pause import Writer, standing_still

WANTED = 0.9     # of its speed
WATCHED = 2.0    # s of undisturbed rounds before each suspend
HEADS = ["driver", "rate limit, MB/s", "it writes, MB/s", "rounds", "copied, MiB", "in, s",
         "speed kept", "standing still", "without", "right"]


def speed(writer, seconds):
    """Rounds a second."""
    first, start = int(writer.ask("rounds")), time.monotonic()
    time.sleep(seconds)
    return (int(writer.ask("rounds")) - first) / (time.monotonic() - start)


def measure(options, driver, rate, work):
    pieces = options.mib * 1024 // options.kib
    writer = Writer(options.build, driver, work, pieces, options.kib, options.share, 1)
    rows = {key: [] for key in ("plain", "prepared", "rounds", "copied", "prepare_s", "kept",
                                "writes")}
    arguments = ["--prepare", *(["--max-rate", f"{rate}M"] if rate else [])]
    for _ in range(options.cycles):
        time.sleep(WATCHED)
        rows["plain"].append(standing_still(writer.shadowcl("suspend")))
        writer.shadowcl("resume")
        time.sleep(WATCHED)
        undisturbed = speed(writer, WATCHED)
        before = int(writer.ask("rounds"))
        answer = writer.shadowcl("suspend", *arguments)
        took = (answer["ms"]["total"] - standing_still(answer)) / 1e3
        rows["kept"].append((int(writer.ask("rounds")) - before) / took / undisturbed)
        writer.shadowcl("resume")
        rows["prepared"].append(standing_still(answer))
        rows["rounds"].append(answer["prepare_rounds"])
        rows["copied"].append(answer["prepared_bytes"] / (1 << 20))
        rows["prepare_s"].append(took)
        rows["writes"].append(undisturbed * options.share / 100 * options.mib * 1.048576)
    right = writer.ask("check") == "right"
    writer.end()
    return {"driver": driver, "rate": rate, "right": right,
            **{key: statistics.median(values) for key, values in rows.items()}}


def cells(row):
    return ["pocl, copy mode" if row["driver"] == "pocl" else "test driver", row["rate"] or "none",
            f"{row['writes']:.0f}", f"{row['rounds']:g}", f"{row['copied']:.0f}",
            f"{row['prepare_s']:.2f}", f"{row['kept']:.2f}", f"{row['prepared']:.1f}",
            f"{row['plain']:.1f}", "yes" if row["right"] else "NO"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, default=Path("build"))
    parser.add_argument("--mib", type=int, default=256, help="of buffers (default: 256)")
    parser.add_argument("--kib", type=int, default=1024, help="of each (default: 1024)")
    parser.add_argument("--share", type=int, default=20, help="percent written in a round (20)")
    parser.add_argument("--rates", default="0,200,50", help="MB/s, 0: unlimited (0,200,50)")
    parser.add_argument("--cycles", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.build = options.build.resolve()
    rows = []
    for driver in ("testdriver", "pocl"):
        for rate in map(int, options.rates.split(",")):
            with tempfile.TemporaryDirectory(prefix="shadowcl-before-", dir="/dev/shm") as work:
                rows.append(measure(options, driver, rate, Path(work)))
    right = all(row["right"] for row in rows)
    if options.json:
        print(json.dumps({**machine(options.build), "mib": options.mib, "kib": options.kib,
                          "share": options.share, "wanted": WANTED, "rows": rows}, indent=2))
        return 0 if right else 1
    print(", ".join(f"{key}: {value}" for key, value in machine(options.build).items()))
    print(f"{options.mib} MiB in buffers of {options.kib} KiB, {options.share} % written in a round, "
          f"all the time; medians of {options.cycles}, standing still in ms")
    print_table(HEADS, [cells(row) for row in rows])
    print(f"speed kept: wanted are {WANTED}")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
