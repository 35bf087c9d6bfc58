#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long programs are in being made again on another device, with and without `shadowcl prepare`:
by a suspend and a resume there, and by a move, which builds before it stops the program. The driver
is the test driver, which builds with pocl, whose cache is off. Before each, every program is built
again with other options, so that nothing is known of it; the two sides alternate, and every buffer
is compared."""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "live/prepare"))
from prepare import Builder, Place  # noqa: E402

from common import load, machine, print_table  # noqa: E402

DEVICES = ("second GPU", "first GPU")


def rebuilt(answer):
    return (answer["ms"].get("resume") or answer["ms"])["rebuild"]


def go(program, way, device):
    """Milliseconds: of the rebuild, and of the whole request that ends on the device."""
    if way == "resume":
        program.suspend()
    start = time.monotonic()
    if way == "resume":
        answer = program.resume("--device", device)
    else:
        answer = program.move(device)
    return {"rebuild": rebuilt(answer), "request": (time.monotonic() - start) * 1e3}


def one(program, way, prepare, number):
    for i in range(program.count - 1):
        program.do(f"rebuild {i} {number * 100 + i + 3}")
    program.check()
    device = DEVICES[number % 2]
    before = program.prepare(device)["ms"]["total"] if prepare else 0
    times = go(program, way, device)
    program.check(f"{way} to {device}")
    return {**times, "before": before}


def measure(options, way):
    """[{side: times}], one for each pair."""
    pairs = []
    with Place(options.build, environment={"POCL_KERNEL_CACHE": "0"}) as place:
        with Builder(place, count=options.programs) as program:
            program.count = options.programs
            for number in range(0, 2 * (options.pairs + 1), 2):
                # The first of a pair is by turns the one and the other.
                turns = ("plain", "prepared") if number % 4 else ("prepared", "plain")
                pairs.append({side: one(program, way, side == "prepared", number + i)
                              for i, side in enumerate(turns)})
    return pairs[1:]


def summarize(way, pairs):
    row = {"way": way, "pairs": len(pairs), "load": load()}
    for side in ("plain", "prepared"):
        row[side] = {key: statistics.median(pair[side][key] for pair in pairs)
                     for key in ("rebuild", "request", "before")}
    for key in ("rebuild", "request"):
        row[f"{key}_ratio"] = statistics.median(pair["prepared"][key] / pair["plain"][key]
                                                for pair in pairs)
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, default=Path("build"))
    parser.add_argument("--programs", type=int, default=8, help="of the process (default: 8)")
    parser.add_argument("--pairs", type=int, default=10, help="of each way (default: 10)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = [summarize(way, measure(options, way)) for way in ("resume", "move")]
    if options.json:
        print(json.dumps({**machine(options.build), "programs": options.programs, "results": rows},
                         indent=2))
        return
    print(", ".join(f"{key}: {value}" for key, value in machine(options.build).items()))
    print(f"{options.programs} programs, medians, ms; the ratios are those of the pairs")
    print_table(["way", "", "before", "rebuild", "whole request", "rebuild, of plain",
                 "request, of plain", "pairs", "load"],
                [[row["way"], side, *(f"{row[side][key]:.1f}"
                                      for key in ("before", "rebuild", "request")),
                  *(f"{row[f'{key}_ratio']:.3f}" if side == "prepared" else ""
                    for key in ("rebuild", "request")), row["pairs"], f"{row['load']:.1f}"]
                 for row in rows for side in ("plain", "prepared")])


if __name__ == "__main__":
    main()
