# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks share: one driver for all sides, what can be said of pairs of numbers, the
machine in words, tables."""

import math
import os
import platform
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path

# Intel's Intercept Layer, where somebody has built it: its libOpenCL.so.1.
INTERCEPT = os.environ.get("SHADOWCL_BENCH_CLINTERCEPT")
# The machine's own loader, for that layer.
LOADER = os.environ.get("SHADOWCL_BENCH_LOADER", "/usr/lib/x86_64-linux-gnu/libOpenCL.so.1")


class Sides:
    """Runs programs natively, under the shim, and under Intel's layer where there is one, with the
    same single driver."""

    names = ["native", "shim"] + (["intercept"] if INTERCEPT else [])

    def __init__(self, build, driver="libpocl.so.2", under=()):
        self.build = Path(build).resolve()
        self.bin = self.build / "bin"
        self.under = list(under)
        self.work = Path(tempfile.mkdtemp(prefix="shadowcl-bench-"))
        vendors, runtime = self.work / "vendors", self.work / "run"
        vendors.mkdir()
        runtime.mkdir()
        (vendors / "driver.icd").write_text(f"{driver}\n")
        cache = self.build / "pocl-cache"
        cache.mkdir(exist_ok=True)
        self.environment = {
            **os.environ,
            "OCL_ICD_VENDORS": str(vendors),
            "SHADOWCL_RUNTIME_DIR": str(runtime),
            "POCL_CACHE_DIR": str(cache),
        }

    def command(self, side, program, *arguments):
        own = [str(self.bin / program), *map(str, arguments)]
        if side in ("native", "intercept"):
            return [*self.under, *own]
        return [str(self.bin / "shadowcl"), "run", "--", *self.under, *own]

    def environment_of(self, side):
        # Processes that fill one cache at the same time are sometimes ended by pocl.
        cache = Path(self.environment["POCL_CACHE_DIR"]) / side
        cache.mkdir(exist_ok=True)
        own = {**self.environment, "POCL_CACHE_DIR": str(cache)}
        if side != "intercept":
            return own
        return {**own, "LD_PRELOAD": INTERCEPT, "CLI_OpenCLFileName": LOADER,
                "CLI_SuppressLogging": "1"}

    def start(self, side, program, *arguments, **options):
        return subprocess.Popen(self.command(side, program, *arguments), text=True,
                                env=self.environment_of(side), **options)

    def shadowcl(self, *arguments):
        return subprocess.run([str(self.bin / "shadowcl"), *map(str, arguments)], text=True,
                              env=self.environment, capture_output=True, check=False)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        shutil.rmtree(self.work, ignore_errors=True)


class Asked:
    """A program that answers each line on its input. Several run at the same time, one of each side,
    and only the one that is asked does anything: what disturbs the machine meets all of them."""

    def __init__(self, sides, side, program, *arguments):
        self.program = f"{program} ({side})"
        self.process = sides.start(side, program, *arguments, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def ask(self):
        """One line."""
        try:
            self.process.stdin.write("round\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended: line() says how
        return self.line()

    def line(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"bench: {self.program} ended early ({self.process.wait()})")
        return line.rstrip("\n")

    def end(self):
        self.process.stdin.close()
        if self.process.wait() != 0:
            raise SystemExit(f"bench: {self.program} failed ({self.process.returncode})")


def interval(values, level=0.95):
    """A confidence interval for the median, from the order of the values alone (the sign test's):
    nothing is supposed of how they are spread. None where there are too few of them."""
    count, ordered = len(values), sorted(values)
    outside, below = -1, 0.0
    while True:
        below += math.comb(count, outside + 1) / 2 ** count
        if 2 * below > 1 - level:
            break
        outside += 1
    return (ordered[outside], ordered[count - 1 - outside]) if outside >= 0 else None


def spread(values):
    """Median, interval of the median, quartiles."""
    low, high = interval(values) or (None, None)
    quartiles = statistics.quantiles(values, n=4) if len(values) > 1 else values * 3
    return {"median": statistics.median(values), "low": low, "high": high, "count": len(values),
            "quartiles": [quartiles[0], quartiles[2]]}


def in_turn(names, number):
    """Each round begins with another side."""
    start = number % len(names)
    return names[start:] + names[:start]


def first_line(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False,
                              ).stdout.splitlines()[0]
    except (OSError, IndexError):
        return "unknown"


def cache_value(build, name):
    for line in (Path(build) / "CMakeCache.txt").read_text().splitlines():
        if line.startswith(name + ":"):
            return line.split("=", 1)[1]
    return ""


def machine(build):
    """The conditions that a number stands under."""
    return {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "kernel": platform.release(),
        "compiler": first_line(cache_value(build, "CMAKE_C_COMPILER"), "--version"),
        "build": cache_value(build, "CMAKE_BUILD_TYPE"),
        "pocl": first_line("dpkg-query", "-W", "-f=${Version}\n", "libpocl2"),
        "loader": first_line("dpkg-query", "-W", "-f=${Version}\n", "ocl-icd-libopencl1"),
        "commit": first_line("git", "-c", "safe.directory=*", "-C", str(Path(__file__).parent),
                             "describe", "--always", "--dirty"),
        "load": load(),
    }


def load():
    """Of the last minute: every time stands beside it."""
    return float(Path("/proc/loadavg").read_text().split()[0])


def conditions(build):
    """machine() in a line."""
    return ", ".join(f"{key}: {value}" for key, value in machine(build).items())


def print_table(heads, rows):
    widths = [max(len(str(row[i])) for row in [heads, *rows]) for i in range(len(heads))]
    for row in [heads, *rows]:
        print("  ".join(str(cell).ljust(width) if i == 0 else str(cell).rjust(width)
                        for i, (cell, width) in enumerate(zip(row, widths))))
