#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A suspended program gives the memory back that its driver has freed: with pocl, tens of MB of its
compiler's. The program is tests/bench/objects.c."""

import argparse
import sys
import time

from growth import Program, Sides, look

LEAST_KB = 20 << 10  # of some 100 MB
PATIENCE = 20  # s: it is given back after the answer


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build", help="the build's folder (default: build)")
    arguments = parser.parse_args()
    with Sides(arguments.build) as sides:
        # The program compiles: what it needs is in no cache.
        sides.environment["POCL_CACHE_DIR"] = str(sides.work)
        program = Program(sides, "shim", 100)
        pid = program.process.pid
        before = look(pid)["memory"]
        if sides.shadowcl("suspend", pid).returncode != 0:
            raise SystemExit("trimmed: the suspend failed")
        end = time.monotonic() + PATIENCE
        while (now := look(pid)["memory"]) > before - LEAST_KB and time.monotonic() < end:
            time.sleep(0.05)
        resumed = sides.shadowcl("resume", pid).returncode == 0
        right = program.ask("check").strip()
        program.end()
    print(f"resident memory, kB: {before} running, {now} suspended; at least {LEAST_KB} less wanted")
    print(f"resumed: {resumed}, {right}")
    return 0 if now <= before - LEAST_KB and resumed and right == "ok" else 1


if __name__ == "__main__":
    sys.exit(main())
