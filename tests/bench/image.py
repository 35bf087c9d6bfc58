#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How fast an image file is saved, verified and loaded, each beside `cp` of the same bytes in the
same round: random, half-zero and all-zero contents, to a tmpfs and to a disk. GB are 10^9 bytes of
contents. On a busy machine the processor's time says more than the clock's: both are compared."""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from common import machine, print_table

FILLS = ["random", "half", "zero"]
STEPS = ["cp", "save", "verify", "load"]
LIMITS = {"random": 0.9, "zero": 5}  # times cp, to the tmpfs, without compression


def measure(options, sources, targets, mib, fill, sync):
    done = subprocess.run(
        [options.build / "bin/bench-image_file", sources, targets, str(mib), fill,
         options.compression, str(options.rounds), "sync" if sync else "nosync"],
        text=True, capture_output=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"image: {done.stderr.strip()}")
    found = json.loads(done.stdout)
    # The first round touches what the others find in place.
    pairs = list(zip(found["cp"], found["save"]))[1:] or [(found["cp"][0], found["save"][0])]
    cpu = list(zip(found["cp_cpu"], found["save_cpu"]))[1:] or [(1, 1)]
    return {
        "to": "disk" if sync else "tmpfs", "mib": mib, "contents": fill,
        "gb_per_s": {step: mib * 2**20 / statistics.median(found[step]) / 1e9 for step in STEPS},
        "times_cp": statistics.median(a / b for a, b in pairs),
        "times_cp_cpu": statistics.median(a / b for a, b in cpu if b > 0),
        "over_bytes": found["file_bytes"] - (mib * 2**20 - found["zero_bytes"]),
        "peak_mib": found["peak_kib"] / 1024,
    }


def row(found):
    return [found["to"], f"{found['mib']} MiB", found["contents"],
            *(f"{found['gb_per_s'][step]:.2f}" for step in STEPS), f"{found['times_cp']:.2f}",
            f"{found['times_cp_cpu']:.2f}", found["over_bytes"], f"{found['peak_mib']:.1f}"]


def missed(found):
    limit = LIMITS.get(found["contents"])
    return found["to"] == "tmpfs" and limit and \
        max(found["times_cp"], found["times_cp_cpu"]) < limit


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, default=Path("build"))
    parser.add_argument("--tmpfs", default="/dev/shm")
    parser.add_argument("--disk", default="/var/tmp")
    parser.add_argument("--mib", type=int, nargs="+", default=[64, 1024],
                        help="sizes of the contents (64 1024); 4096 needs 16 GiB of tmpfs")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--compression", choices=["off", "auto", "zstd"], default="off")
    parser.add_argument("--no-disk", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.build = options.build.resolve()
    with tempfile.TemporaryDirectory(prefix="shadowcl-image-", dir=options.tmpfs) as sources, \
            tempfile.TemporaryDirectory(prefix="shadowcl-image-", dir=options.disk) as disk:
        found = [measure(options, sources, disk if sync else sources, mib, fill, sync)
                 for sync in ([False] if options.no_disk else [False, True])
                 for mib in options.mib for fill in FILLS]
    met = not any(missed(one) for one in found)
    if options.json:
        print(json.dumps({**machine(options.build), "rounds": options.rounds,
                          "compression": options.compression, "results": found, "met": met},
                         indent=2))
        return 0 if met else 1
    print(", ".join(f"{key}: {value}" for key, value in machine(options.build).items()))
    print(f"compression {options.compression}; medians of {options.rounds} rounds, GB/s; save in "
          "times of cp, by the clock and by the processor; bytes of the file above those that are "
          "not zero; MiB of memory at most above the contents")
    print_table(["to", "size", "contents", *STEPS, "times cp", "by cpu", "bytes more", "peak MiB"],
                [row(one) for one in found])
    print(f"{LIMITS['random']} of cp for random, {LIMITS['zero']} times cp for zero, to the tmpfs: "
          f"{'met' if met else 'MISSED'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
