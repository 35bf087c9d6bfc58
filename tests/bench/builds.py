#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Does a driver gain from several programs being built at once? The same programs are built, without
any cache and natively, in the ways in which a resume on another device could do it; see builds.c. The
ways take turns; a ratio is that of the way to one after the other, in the same round. And what a resume
under the shim gains: with one processor it builds one after the other (taskset), so the test driver is
told to be slow at builds, which costs no processor."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "live/prepare"))
from prepare import Builder, Place, built_by_resume  # noqa: E402

from common import load, machine, print_table  # noqa: E402

WAYS = ("turn", "threads", "contexts", "binaries", "objects")


def once(options, way):
    """Milliseconds until all are built, and until all have run."""
    with tempfile.TemporaryDirectory(prefix="shadowcl-builds-") as cache:
        environment = {**os.environ, "POCL_CACHE_DIR": cache, "POCL_KERNEL_CACHE": "0",
                       "OCL_ICD_VENDORS": options.driver}
        done = subprocess.run([options.build / "bin/bench-builds", way, str(options.programs),
                               str(options.threads)], env=environment, text=True,
                              capture_output=True)
    if done.returncode != 0:
        return None
    return tuple(map(float, done.stdout.split()))


def natively(options):
    rounds = [{way: once(options, way) for way in WAYS} for _ in range(options.rounds)]
    rows = []
    for way in WAYS:
        if any(each[way] is None for each in rounds):
            rows.append({"way": way, "failed": True})
            continue
        rows.append({"way": way, "failed": False,
                     **{key: statistics.median(each[way][i] for each in rounds)
                        for i, key in enumerate(("built", "run"))},
                     **{f"{key}_ratio": statistics.median(each[way][i] / each["turn"][i]
                                                          for each in rounds)
                        for i, key in enumerate(("built", "run"))}})
    return rows


def resumes(options, slow_ms):
    """Of a resume on another device: how long its rebuild took, and how it built."""
    with Place(options.build, environment={"POCL_KERNEL_CACHE": "0"}) as place:
        with Builder(place, count=options.programs) as program:
            times = []
            for number in range(options.rounds + 1):
                for i in range(options.programs - 1):
                    program.do(f"rebuild {i} {number * 100 + i + 3}")
                program.check()
                program.suspend()
                place.set_faults(f"slow clBuildProgram {slow_ms * 1000}\n" if slow_ms else "")
                answer = program.resume("--device", ("second GPU", "first GPU")[number % 2])
                place.set_faults("")
                program.do("told")
                program.check()
                times.append(answer["ms"]["rebuild"])
            _, at_once = built_by_resume(place) or (0, 1)
            program.quit()
    return {"slow_ms": slow_ms, "programs": options.programs, "at_once": at_once,
            "rebuild": statistics.median(times[1:])}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, default=Path("build"))
    parser.add_argument("--driver", default="libpocl.so.2", help="for the native ways")
    parser.add_argument("--programs", type=int, default=12)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.build = options.build.resolve()
    options.programs = min(options.programs, 16)
    rows = natively(options)
    under = [resumes(options, slow) for slow in (0, 300)]
    if options.json:
        print(json.dumps({**machine(options.build), "programs": options.programs,
                          "threads": options.threads, "driver": options.driver, "rows": rows,
                          "resumes": under}, indent=2))
        return
    print(", ".join(f"{key}: {value}" for key, value in machine(options.build).items()))
    print(f"{options.programs} programs, {options.threads} threads, {options.driver}, medians of "
          f"{options.rounds}, ms, load {load():.1f}")
    print_table(["way", "all built", "ratio", "all have run", "ratio"],
                [[row["way"], *(["failed", "", "", ""] if row["failed"] else
                                [f"{row['built']:.0f}", f"{row['built_ratio']:.2f}",
                                 f"{row['run']:.0f}", f"{row['run_ratio']:.2f}"])]
                 for row in rows])
    print_table(["a build takes longer by, ms", "programs", "at once", "rebuild, ms"],
                [[row["slow_ms"], row["programs"], row["at_once"], f"{row['rebuild']:.0f}"]
                 for row in under])


if __name__ == "__main__":
    main()
