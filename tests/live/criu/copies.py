#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Copies a program, or a tree of them, at three moments of its life, kills it with SIGKILL, and
makes it again in a new pid namespace under a new runtime directory; and here, twice from one copy.
Each time its answer and its output must be those of an undisturbed run."""

import argparse
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness import (Failure, NEW_NAMESPACE, PATIENCE, Program, Setup, TooShort, check, checkpoint,
                     expect, lives, need_criu, restore, undisturbed)

HERE = Path(__file__).resolve().parent
PYTHON = "/usr/bin/python3"
MOST_TIMES = 64

# The word behind these is how often; more where the program ends too soon.
PROGRAMS = {
    "heat": ["bin/sample-heat", "--output", "RESULT", "--size", "128", "--steps", "20000"],
    "mapped": ["bin/sample-mapped", "--output", "RESULT", "--size", "4096", "--repeat", "2000"],
    "graph": ["bin/sample-graph", "--output", "RESULT", "--size", "1024", "--repeat", "2000"],
    "vadd": ["bin/sample-vadd", "--output", "RESULT", "--size", "65536", "--repeat", "10000"],
    "filter": ["bin/sample-filter", "--output", "RESULT", "--size", "128", "--repeat", "300"],
    "link": ["bin/sample-link", "--output", "RESULT", "--size", "4096", "--repeat", "6000"],
    "pyopencl": [PYTHON, HERE / "steps.py", "RESULT", "100"],
    "family": [PYTHON, HERE / "family.py", "RESULT", "60"],
}


class Copies:
    options = ()

    def __init__(self, setup, name):
        self.setup = setup
        self.name = name
        self.times = 1
        self.count = 0

    def command(self):
        first, *words, often = PROGRAMS[self.name]
        if str(first).startswith("bin/"):
            first = self.setup.bin.parent / first
        return [first, *words, int(often) * self.times]

    def start(self):
        self.count += 1
        return Program(self.setup, f"{self.name}-{self.count}", self.command(), result=True)

    def undisturbed(self):
        return undisturbed(self.setup, self.command(), self.start)

    def native(self):
        """Undisturbed, under shadowcl like the others: the command line is part of no answer."""
        *answer, seconds = self.undisturbed()
        if seconds < 2 and self.times < MOST_TIMES:
            raise TooShort("ended within two seconds")
        return answer

    def directory(self):
        self.count += 1
        return self.setup.work / f"copy-{self.count}"

    def lose_device(self):
        if self.setup.node:
            self.setup.replace_node()

    def copy(self, program, *options):
        directory = self.directory()
        answer = checkpoint(self.setup, program, directory, *self.options, *options)
        return directory, answer

    def copy_and_end(self, program, fraction):
        program.wait_until(fraction)
        directory, _ = self.copy(program)
        code = program.process.wait(timeout=PATIENCE)
        expect(code == -signal.SIGKILL, f"it ended with {code} after it was copied")
        if program.result and program.result.exists():
            raise TooShort("it had written its result before it was copied")
        self.lose_device()
        program.forget_answer()
        return directory

    def leave_for_elsewhere(self):
        """The old runtime directory is gone, as on another machine."""
        shutil.rmtree(self.setup.environment["SHADOWCL_RUNTIME_DIR"])
        new = self.setup.work / f"run-{self.count}"
        new.mkdir()
        self.setup.environment["SHADOWCL_RUNTIME_DIR"] = str(new)

    def run_at(self, fraction):
        with self.start() as program:
            directory = self.copy_and_end(program, fraction)
            self.leave_for_elsewhere()
            return restore(self.setup, program, directory, before=NEW_NAMESPACE)

    def run_early(self):
        return self.run_at(0.05)

    def run_middle(self):
        return self.run_at(0.3)

    def run_late(self):
        return self.run_at(0.7)

    def run_twice(self):
        """Left running, then killed; made again twice from one copy."""
        with self.start() as program:
            program.wait_until(0.2)
            directory, answer = self.copy(program, "--leave-running")
            if answer["state"] == "gone" and program.ends_soon():
                raise TooShort("it ended right after it was copied")
            expect(answer["state"] == "running", f"left {answer['state']}")
            program.wait_until(min(program.fraction() + 0.1, 0.9))
            program.kill()
            self.lose_device()
            first = restore(self.setup, program, directory, "--truncate")
            program.forget_answer()
            second = restore(self.setup, program, directory, "--truncate")
            expect(first == second, "made again twice, it gave two results")
            return second

    def run_left_running(self):
        """The one that was left running is not disturbed either."""
        with self.start() as program:
            program.wait_until(0.2)
            self.copy(program, "--leave-running")
            return program.finish()

    def run_plugin(self):
        """By CRIU's own name, with the plugin."""
        criu = need_criu(4)
        plugin = ["-L", self.setup.bin.parent / "lib/shadowcl/criu"]
        with self.start() as program:
            program.wait_until(0.3)
            directory = self.directory()
            directory.mkdir()
            try:
                self.run_criu(criu, "dump", directory, "-t", program.pid, *plugin)
            except Failure as failure:
                if program.ends_soon():
                    raise TooShort(str(failure)) from None
                raise
            program.process.wait(timeout=PATIENCE)
            self.lose_device()
            program.forget_answer()
            self.run_criu(criu, "restore", directory, "-d", *plugin)
            end = time.monotonic() + PATIENCE
            while lives(program.pid):
                expect(time.monotonic() < end, "made again, it does not end")
                time.sleep(0.05)
            return program.answer()

    def run_criu(self, criu, verb, directory, *options):
        log = directory / f"{verb}.log"
        done = subprocess.run([criu, verb, "-D", directory, "-o", log.name, "--shell-job",
                               *map(str, options)], env=self.setup.environment, text=True,
                              capture_output=True, stdin=subprocess.DEVNULL, timeout=PATIENCE)
        expect(done.returncode == 0, f"criu {verb}: exit code {done.returncode}\n{done.stderr}"
                                     f"{log.read_text(errors='replace')[-3000:]}")

    MOMENTS = ("early", "middle", "late", "twice", "left-running")

    def run_moment(self, moment, native):
        """What the undisturbed run gives is another after there was too little to do."""
        while True:
            try:
                native = native or self.native()
                check(native, moment())
                return native
            except TooShort:
                if self.times >= MOST_TIMES:
                    raise
                self.times *= 2
                native = None

    def run_all(self, moments):
        native, failures = None, 0
        for what in moments:
            began = time.monotonic()
            try:
                moment = getattr(self, f"run_{what.replace('-', '_')}")
                native = self.run_moment(moment, native)
                print(f"{self.name}, {what}: equal, {len(native[1]) or len(native[0])} bytes, "
                      f"{time.monotonic() - began:.1f} s", flush=True)
            except (Failure, subprocess.TimeoutExpired, OSError) as failure:
                failures += 1
                print(f"{self.name}, {what}: FAILED: {failure}", flush=True)
        return failures


class Tree(Copies):
    """With children. What they share lies in a file, which goes on as the program does, and is gone
    at its end: it is part of what must be there as it was."""
    options = ("--tree",)

    def run_twice(self):
        with self.start() as program:
            directory = self.copy_and_end(program, 0.2)
            shared = {path: path.read_bytes() for path in shared_by(directory)}
            expect(shared, "they share no memory: nothing is tested")
            first = restore(self.setup, program, directory, "--truncate")
            program.forget_answer()
            for path, contents in shared.items():
                expect(not path.exists(), f"{path} was left behind")
                path.touch(mode=0o600)  # as it was: CRIU compares that
                path.write_bytes(contents)
            second = restore(self.setup, program, directory, "--truncate")
            expect(first == second, "made again twice, it gave two results")
            return second


def shared_by(directory):
    mapped = json.loads((directory / "shadowcl.json").read_text())["mapped"]
    return [Path(file["path"]) for file in mapped if file.get("written")]


def run_copies(what, kind, programs):
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--build", type=Path, required=True, help="the build folder")
    parser.add_argument("--driver", choices=["pocl", "testdriver"], default="pocl")
    parser.add_argument("--mapping", choices=["shared", "copy"])
    parser.add_argument("--moment", action="append", choices=[*Copies.MOMENTS, "plugin"],
                        help="only this one")
    parser.add_argument("program", choices=programs)
    arguments = parser.parse_args()
    need_criu()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    work = Path(tempfile.mkdtemp(prefix="criu-"))
    try:
        setup = Setup(arguments.build.resolve(), arguments.driver, arguments.mapping, work)
        copies = kind(setup, arguments.program)
        sys.exit(1 if copies.run_all(arguments.moment or Copies.MOMENTS) else 0)
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    run_copies(__doc__, lambda setup, name: (Tree if name == "family" else Copies)(setup, name),
               PROGRAMS)
