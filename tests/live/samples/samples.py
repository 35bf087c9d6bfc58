#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a sample natively, under shadowcl, and under shadowcl with suspends and resumes at several
moments of its life; every run must give the same answer and the same bytes of output."""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from kept import kept

# The second pair is how often: more where that takes less than LEAST_SECONDS.
SAMPLES = {
    "vadd": ["--size", "65536", "--repeat", "10000"],
    "heat": ["--size", "128", "--steps", "20000"],
    "filter": ["--size", "128", "--repeat", "300"],
    "graph": ["--size", "1024", "--repeat", "8000"],
    "link": ["--size", "4096", "--repeat", "6000"],
    "mapped": ["--size", "4096", "--repeat", "5000"],
}
# What every device and driver must give, for the samples that compute in whole numbers.
DIGESTS = {
    "vadd": "2439766db414dcbf",
    "filter": "d1019f9696309dac",
    "graph": "9cb754423b73ee27",
    "link": "e1b19effd0133796",
    "mapped": "b4e6d91b1ee29ad6",
}
NODE_BYTES = 256 << 20
# Long enough to be caught in the middle, also on a machine that does other things.
LEAST_SECONDS = 1.0
MOST_TIMES = 40
MOST_SAID = 100
PATIENCE = 120


class Failure(Exception):
    pass


class TooShort(Failure):
    """The program had done its work before it was caught at it."""


def expect(truth, message):
    if not truth:
        raise Failure(message)


class Setup:
    """The environment of all runs: one driver, found the same way natively and by shadowcl."""

    def __init__(self, build, driver, mapping, work, icd=False):
        self.build, self.driver = build, driver
        self.bin = build / "bin"
        self.icd = build / "lib/shadowcl/libOpenCL.so.1" if icd else None
        self.work = work
        self.times = 1
        self.node = work / "gpu0" if driver == "testdriver" else None
        library = build / "lib/testdriver/libshadowcl-testdriver.so"
        if self.node:
            expect(library.exists(), f"no test driver: {library}")
            self.replace_node()
        drivers = work / "drivers"
        drivers.mkdir()
        (drivers / f"{driver}.icd").write_text(f"{library if self.node else 'libpocl.so.2'}\n")
        runtime = work / "run"
        runtime.mkdir()
        cache = build / "pocl-cache"
        cache.mkdir(exist_ok=True)
        self.environment = {
            **os.environ,
            "OCL_ICD_VENDORS": str(drivers),
            "SHADOWCL_DRIVERS": str(drivers),
            "SHADOWCL_RUNTIME_DIR": str(runtime),
            "POCL_CACHE_DIR": str(cache),
        }
        if mapping:
            self.environment["SHADOWCL_MAPPING"] = mapping
        if self.node:
            self.environment["SHADOWCL_TEST_DEVICE"] = str(self.node)

    def replace_node(self):
        """Unplugs the device and plugs in a fresh one, zeroed."""
        self.node.unlink(missing_ok=True)
        with open(self.node, "wb") as node:
            node.truncate(NODE_BYTES)

    def shadowcl(self, verb, *arguments):
        """Returns the exit code, the answer's first entry (or None) and what was said on stderr."""
        done = subprocess.run([self.bin / "shadowcl", verb, "--json", *map(str, arguments)],
                              env=self.environment, capture_output=True, text=True,
                              timeout=PATIENCE, stdin=subprocess.DEVNULL)
        try:
            answer = json.loads(done.stdout) if done.stdout.strip() else []
        except json.JSONDecodeError as error:
            raise Failure(f"shadowcl {verb} --json: {error}: {done.stdout!r}") from error
        expect(isinstance(answer, list), f"shadowcl {verb} --json gave no array: {done.stdout!r}")
        return done.returncode, answer[0] if answer else None, done.stderr.strip()


class Run:
    """A sample that runs. Its progress is read as it comes."""

    def __init__(self, setup, sample, name, shadowcl=True, environment=()):
        self.setup = setup
        self.output = setup.work / f"{name}.out"
        self.fraction = 0.0
        self.began = None
        self.seconds = 0.0
        self.said = []
        command = [*sample_command(setup, sample), "--output", self.output]
        if shadowcl and setup.icd:
            environment = {**dict(environment), "OCL_ICD_VENDORS": str(setup.icd)}
        elif shadowcl:
            command = [setup.bin / "shadowcl", "run", "--", *command]
        self.process = subprocess.Popen(command, env={**setup.environment, **dict(environment)},
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        self.pid = self.process.pid
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def read(self):
        for line in self.process.stderr:
            progress = re.match(r"(?:round|step) (\d+) of (\d+)$", line)
            if not progress:
                self.said = self.said[-MOST_SAID:] + [line]
            else:
                self.fraction = int(progress[1]) / int(progress[2])
                self.began = self.began or time.monotonic()
                self.seconds = time.monotonic() - self.began

    def fate(self):
        """How the program ended, if it did, and the last that it said."""
        try:
            code = self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return f"the program is still there\n{''.join(self.said)}"
        self.reader.join()
        return f"the program's exit code is {code}\n{''.join(self.said)}"

    def expect_at_work(self, truth, message):
        if not truth:
            fate = self.fate()
            raise (TooShort if self.process.poll() == 0 else Failure)(f"{message}\n{fate}")

    def wait_until(self, fraction):
        end = time.monotonic() + PATIENCE
        while self.fraction < fraction:
            self.expect_at_work(self.process.poll() is None,
                                f"ended before {fraction:.0%} of its work")
            expect(time.monotonic() < end, f"stuck at {self.fraction:.0%} of its work")
            time.sleep(0.002)

    def finish(self):
        """Waits for the end; returns the answer and the bytes of the output."""
        try:
            self.process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            raise Failure(f"stuck at {self.fraction:.0%} of its work") from None
        self.reader.join()
        answer = self.process.stdout.read()
        expect(self.process.returncode == 0,
               f"exit code {self.process.returncode}\n{''.join(self.said)}")
        # The log is off unless it is asked for (SHADOWCL_LOG).
        ours = [line for line in self.said if "shadowcl" in line]
        expect(not ours, f"the shim has said something:\n{''.join(ours)}")
        return answer, self.output.read_bytes()

    def held(self):
        """The descriptors and mappings of the device node."""
        node = str(self.setup.node)
        found = []
        for descriptor in Path(f"/proc/{self.pid}/fd").iterdir():
            try:
                target = os.readlink(descriptor)
            except FileNotFoundError:
                continue  # closed meanwhile
            if target.startswith(node):
                found.append(f"descriptor {descriptor.name}: {target}")
        with open(f"/proc/{self.pid}/maps") as maps:
            found += [line.strip() for line in maps if node in line]
        return found

    def suspend(self, *options):
        # On a busy machine a program is in the middle of a build for longer than ten seconds.
        code, answer, said = self.setup.shadowcl("suspend", "--deadline", 60, *options, self.pid)
        self.expect_at_work(code == 0, f"suspend: exit code {code}: {said} {answer}")
        expect(answer and answer["pid"] == self.pid, f"suspend: answered for another: {answer}")
        self.check_suspended(answer)

    def check_suspended(self, answer):
        expect(answer["state"] == "suspended", f"suspend: the state is `{answer['state']}`")
        expect(answer["residue"] == [], f"suspend: residue: {answer['residue']}")
        expect(answer["error"] is None, f"suspend: error: {answer['error']}")
        if self.setup.node:
            expect(not self.held(), f"the device is held while suspended: {self.held()}")
            self.setup.replace_node()

    def resume(self):
        code, answer, said = self.setup.shadowcl("resume", self.pid)
        self.expect_at_work(code == 0, f"resume: exit code {code}: {said} {answer}")
        expect(answer["state"] == "running", f"resume: the state is `{answer['state']}`")

    def cycle(self, *options):
        self.suspend(*options)
        self.resume()

    def cycle_if_at_work(self, *options):
        """One more, unless the program has come to its end meanwhile."""
        try:
            self.cycle(*options)
        except TooShort:
            pass

    def suspend_soon(self):
        """Suspends as soon as the process can be: it can't before its first OpenCL call."""
        end = time.monotonic() + PATIENCE
        while True:
            code, answer, said = self.setup.shadowcl("suspend", self.pid)
            if code == 0:
                self.check_suspended(answer)
                return
            self.expect_at_work(self.process.poll() is None,
                                f"ended before it could be suspended: {said}")
            expect(time.monotonic() < end, f"can't be suspended: {said} {answer}")


def sample_command(setup, sample):
    *options, often = SAMPLES[sample]
    return [setup.bin / f"sample-{sample}", *options, str(int(often) * setup.times)]


def run_now(setup, sample):
    """Its answer, its output, and the seconds that its work took."""
    with Run(setup, sample, "native", shadowcl=False) as run:
        return *run.finish(), run.seconds


def check_digest(sample, answer):
    """Of one that computes in whole numbers, with as much to do as by default."""
    digest = answer.split()[-1]
    expect(digest == DIGESTS.get(sample, digest), f"digest {digest}, expected {DIGESTS.get(sample)}")


def run_kept(setup, sample):
    def compute():
        answer, *rest = run_now(setup, sample)
        if setup.times == 1:
            check_digest(sample, answer)
        return answer, *rest

    environment = {name: value for name, value in setup.environment.items()
                   if name != "SHADOWCL_MAPPING"}
    return kept(setup.build, [setup.driver, *sample_command(setup, sample)], environment, compute)


def run_native(setup, sample):
    return run_kept(setup, sample)[:2]


def run_long_enough(setup, sample):
    """Natively, with as much to do as it takes to be caught at work."""
    *result, seconds = run_kept(setup, sample)
    if seconds >= LEAST_SECONDS:
        return result
    setup.times = min(MOST_TIMES, int(LEAST_SECONDS / max(seconds, 0.01)) + 1)
    return run_native(setup, sample)


def run_untouched(setup, sample):
    with Run(setup, sample, "untouched") as run:
        return run.finish()


def run_startup(setup, sample):
    """From the first moment on, while the driver has nothing in its cache and must build."""
    cache = setup.work / "cold-cache"
    shutil.rmtree(cache, ignore_errors=True)  # of a run that was too short
    cache.mkdir()
    with Run(setup, sample, "startup", environment={"POCL_CACHE_DIR": str(cache)}) as run:
        run.suspend_soon()
        run.resume()
        for pause in (0.1, 0.2):
            time.sleep(pause)
            run.cycle_if_at_work()
        return run.finish()


def pause_at(run, fraction):
    run.wait_until(fraction)
    run.suspend()
    # A line may still be on its way; after that, nothing moves.
    time.sleep(0.1)
    before = run.fraction
    time.sleep(0.4)
    expect(run.fraction == before, "it works on although it is suspended")
    run.resume()


def run_middle(setup, sample):
    with Run(setup, sample, "middle") as run:
        pause_at(run, 0.1)
        pause_at(run, 0.4)
        try:
            pause_at(run, 0.8)
        except TooShort:
            pass  # it came to its end meanwhile
        return run.finish()


def run_in_a_row(setup, sample):
    with Run(setup, sample, "in-a-row") as run:
        run.wait_until(0.3)
        run.cycle()
        for options in ((), ("--prepare",), ("--prepare",)):
            run.cycle_if_at_work(*options)
        return run.finish()


MOMENTS = (run_untouched, run_startup, run_middle, run_in_a_row)


def difference(native, other):
    if len(native) != len(other):
        return f"{len(other)} bytes of output, natively {len(native)}"
    places = [i for i, (a, b) in enumerate(zip(native, other)) if a != b]
    first = places[0]
    return (f"{len(places)} of {len(native)} bytes differ; the first at {first}: "
            f"{other[first]:#04x}, natively {native[first]:#04x}")


def check(native, other):
    if native[1] != other[1]:
        raise Failure(difference(native[1], other[1]))
    expect(native[0] == other[0], f"answered {other[0]!r}, natively {native[0]!r}")


def run_moment(setup, sample, moment, native):
    """Returns what the native run gives, which is another when there was too little to do."""
    while True:
        try:
            check(native, moment(setup, sample))
            return native
        except TooShort:
            if setup.times >= MOST_TIMES:
                raise
            setup.times = min(MOST_TIMES, 2 * setup.times)
            native = run_native(setup, sample)


def run_all(setup, sample):
    """Runs everything, also after a failure; returns the number of failures."""
    native = run_long_enough(setup, sample)
    failures = 0
    for moment in MOMENTS:
        name = moment.__name__[len("run_"):].replace("_", " ")
        begin = time.monotonic()
        try:
            native = run_moment(setup, sample, moment, native)
            print(f"{sample}, {name}: equal, {len(native[1])} bytes, "
                  f"{time.monotonic() - begin:.1f} s", flush=True)
        except (Failure, subprocess.TimeoutExpired) as failure:
            failures += 1
            print(f"{sample}, {name}: FAILED: {failure}", flush=True)
    return failures


def run_native_only(setup, sample):
    answer, output, _ = run_now(setup, sample)
    expect(re.fullmatch(r"ok [0-9a-f]{16}\n", answer), f"answered {answer!r}")
    expect(output, "no output")
    check_digest(sample, answer)
    expect(run_now(setup, sample)[:2] == (answer, output), "two native runs differ")
    print(f"{sample}, native: {answer.strip()}, {len(output)} bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, required=True, help="the build folder")
    parser.add_argument("--driver", choices=["pocl", "testdriver"], default="pocl")
    parser.add_argument("--mapping", choices=["shared", "copy"])
    parser.add_argument("--native", action="store_true", help="only without shadowcl, twice")
    parser.add_argument("--icd", action="store_true",
                        help="shadowcl as a driver of the machine's own loader, not preloaded")
    parser.add_argument("sample", choices=SAMPLES)
    arguments = parser.parse_args()
    # ctest ends a test that takes too long by SIGTERM: let no sample survive it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    # Short: a socket's path has little room.
    work = Path(tempfile.mkdtemp(prefix="samples-"))
    try:
        setup = Setup(arguments.build.resolve(), arguments.driver, arguments.mapping, work,
                      arguments.icd)
        if arguments.native:
            run_native_only(setup, arguments.sample)
        elif run_all(setup, arguments.sample):
            sys.exit(1)
    except Failure as failure:
        sys.exit(f"{arguments.sample}: {failure}")
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
