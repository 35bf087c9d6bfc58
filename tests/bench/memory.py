#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the shim adds to the memory of each object that lives, and to what commands and events leave
that are gone: the same program natively and under the shim, by the heap's own count and the pages of
the band that handles lie in. Whether a program grows that makes and drops --events of events."""

import argparse
import json
import subprocess
import sys

from common import Sides, conditions, machine, print_table

LIMIT = 300     # bytes per object
LEFT = 0.5      # bytes per command or event that is gone: pages are coarse
# Those that don't keep it: what they have now, so that they don't get more, and why.
MORE = {
    "program": (800, "its source, and how it was made"),
    "built program": (1700, "its source, how it was made, what may be asked of the build"),
}


def grown(sides, side, objects, commands):
    run = sides.start(side, "bench-memory", objects, commands, stdout=subprocess.PIPE)
    output, _ = run.communicate()
    if run.returncode != 0:
        raise SystemExit(f"memory: bench-memory failed ({run.returncode})")
    rows = {}
    for line in output.splitlines():
        name, kind, count, heap, band = line.split("\t")
        rows[name] = (kind == "command", int(count), int(heap) + int(band))
    return rows


def compare(native, shim):
    results = []
    for name, (command, count, native_bytes) in native.items():
        added = (shim[name][2] - native_bytes) / count
        limit = LEFT if command else LIMIT
        allowed, why = MORE.get(name, (limit, ""))
        results.append({"what": name, "count": count, "command": command, "added_bytes": added,
                        "native_bytes": native_bytes / count, "limit": limit,
                        "met": added <= limit, "allowed": allowed, "why": why})
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build", help="the build's folder (default: build)")
    parser.add_argument("--objects", type=int, default=20000, help="of each kind (default: 20000)")
    parser.add_argument("--events", type=int, default=10000000,
                        help="and other things that go again (default: 10000000)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    with Sides(arguments.build) as sides:
        native, shim = (grown(sides, side, arguments.objects, arguments.events)
                        for side in ("native", "shim"))
    results = compare(native, shim)
    missed = [r["what"] for r in results if r["added_bytes"] > r["allowed"]]
    if arguments.json:
        print(json.dumps({**machine(arguments.build), "results": results, "missed": missed},
                         indent=2))
        return 1 if missed else 0
    print(conditions(arguments.build))
    print_table(["bytes of each", "how many", "native", "added", "limit", ""],
                [[r["what"], r["count"], f"{r['native_bytes']:.1f}", f"{r['added_bytes']:+.2f}",
                  r["limit"],
                  "MORE" if r["what"] in missed else "" if r["met"] else f"missed: {r['why']}"]
                 for r in results])
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
