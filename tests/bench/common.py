# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks share: one driver for both sides, the machine in words, tables."""

import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path


class Sides:
    """Runs programs natively and under the shim, with the same single driver."""

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
        if side == "native":
            return [*self.under, *own]
        return [str(self.bin / "shadowcl"), "run", "--", *self.under, *own]

    def start(self, side, program, *arguments, **options):
        return subprocess.Popen(self.command(side, program, *arguments), text=True,
                                env=self.environment, **options)

    def shadowcl(self, *arguments):
        return subprocess.run([str(self.bin / "shadowcl"), *map(str, arguments)], text=True,
                              env=self.environment, capture_output=True, check=False)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        shutil.rmtree(self.work, ignore_errors=True)


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
        "load": os.getloadavg()[0],
    }


def print_table(heads, rows):
    widths = [max(len(str(row[i])) for row in [heads, *rows]) for i in range(len(heads))]
    for row in [heads, *rows]:
        print("  ".join(str(cell).ljust(width) if i == 0 else str(cell).rjust(width)
                        for i, (cell, width) in enumerate(zip(row, widths))))
