#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs scenarios in virtual machines. Exit code 0: all as it should be; 1: not; 2: wrong usage;
77: this machine has no QEMU, or not what a guest is made from, or nothing that the scenario needs."""
import argparse
import inspect
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
import traceback

import core
import demos
import faults
import hosts
import moves
import services
import walk
from lab import Lab, Skipped

HERE = os.path.dirname(os.path.abspath(__file__))
MODULES = (core, moves, faults, services, demos, walk, hosts)
SKIPPED = 77


def scenarios():
    """Every function of the modules with one parameter, `lab`, by its name."""
    found = {}
    for module in MODULES:
        for name, function in vars(module).items():
            if inspect.isfunction(function) and list(inspect.signature(function).parameters) == ["lab"]:
                found[name.replace("_", "-")] = function
    return found


def options(known):
    parser = argparse.ArgumentParser(description=__doc__.split(". Exit")[0] + ".")
    parser.add_argument("--build", default=os.path.join(HERE, "..", "..", "build"),
                        help="the build tree with the programs under test (default: build)")
    parser.add_argument("--list", action="store_true", help="lists the scenarios")
    parser.add_argument("--prepare", action="store_true",
                        help="builds the image and the warm guest first")
    parser.add_argument("scenario", nargs="*", help="default: all")
    given = parser.parse_args()
    for name in given.scenario:
        if name not in known:
            parser.error(f"no scenario `{name}`; there are {', '.join(known)}")
    return given


def what_is_missing():
    if platform.machine() != "x86_64":
        yield "the programs under test are not for the guest's processor, x86_64"
    for tool in ("qemu-system-x86_64", "setpriv"):
        if not shutil.which(tool):
            yield f"no {tool}: run scripts/install-deps.sh --vm"


def processor_time():
    """Seconds, of this process and of those that it has waited for: the machines among them."""
    return sum(os.times()[:4])


def run(name, scenario, lab):
    start, before = time.monotonic(), processor_time()
    try:
        scenario(lab)
    except Skipped as reason:
        print(f"== {name}: skipped: {reason}", flush=True)
        return SKIPPED
    except Exception:
        traceback.print_exc()
        print(f"== {name}: FAILED after {time.monotonic() - start:.0f} s", flush=True)
        return 1
    print(f"== {name}: passed, {time.monotonic() - start:.0f} s, of a processor "
          f"{processor_time() - before:.0f} s", flush=True)
    return 0


def main():
    known = scenarios()
    given = options(known)
    if given.list:
        for name, scenario in known.items():
            print(f"{name:24} {scenario.__doc__.split(chr(10))[0]}")
        return 0
    for missing in what_is_missing():
        print(f"vm.py: {missing}: skipped", file=sys.stderr)
        return SKIPPED
    # Ends what was started, and leaves nothing in /dev/shm.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    start = time.monotonic()
    try:
        lab = Lab(given.build, lambda text: print(f"{time.monotonic() - start:7.1f} s  {text}",
                                                  flush=True))
    except subprocess.CalledProcessError as problem:
        return SKIPPED if problem.returncode == SKIPPED else 1  # image.sh has said why
    if given.prepare:
        lab.warm_guest()
        if not given.scenario:
            return 0
    names = given.scenario or known
    codes = {run(name, known[name], lab) for name in names}
    return 1 if 1 in codes else min(codes)


sys.exit(main())
