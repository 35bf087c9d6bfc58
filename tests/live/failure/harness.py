# SPDX-License-Identifier: Apache-2.0
"""What the tests here share: a machine with test devices in a folder of its own, and the victim,
a program that says whether all it holds is right."""

import argparse
import json
import os
import selectors
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

NODE_BYTES = 64 << 20
PAGE = 4096
PATIENCE = 120


class Failure(Exception):
    pass


def expect(truth, message):
    if not truth:
        raise Failure(message)


class Machine:
    """Device nodes, drivers, the runtime directory and the environment that names them."""

    def __init__(self, build, devices=1, variant="", caps=(), names=(), mapping=None,
                 drivers=None, environment=()):
        self.build = Path(build).resolve()
        self.work = Path(tempfile.mkdtemp(prefix="shadowcl-failure-"))
        self.nodes = [self.work / f"gpu{i}" for i in range(devices)]
        for node in self.nodes:
            self.plug(node)
        self.faults = self.work / "faults"
        self.log = self.work / "log"
        (self.work / "run").mkdir()
        suffix = f"-{variant}" if variant else ""
        library = self.build / f"lib/testdriver/libshadowcl-testdriver{suffix}.so"
        # A copy, so that a test can take it away; what it needs lies beside it.
        self.driver = self.work / library.name
        shutil.copy(library, self.driver)
        shutil.copy(library.with_name("libshadowcl-testdriver-landing.so"), self.work)
        # pocl's own: what several processes unpack there at once, they may see half of.
        cache = self.work / "pocl-cache"
        self.warm = self.build / "pocl-cache-victim"
        if self.warm.exists():
            shutil.copytree(self.warm, cache)
        self.environment = {
            **os.environ,
            "SHADOWCL_DRIVERS": drivers or str(self.driver),
            "SHADOWCL_RUNTIME_DIR": str(self.work / "run"),
            "SHADOWCL_DEVICE_NODES": f"{self.work}/gpu*",
            "SHADOWCL_TEST_FAULTS": str(self.faults),
            "SHADOWCL_LOG": f"debug:{self.log}",
            "POCL_CACHE_DIR": str(cache),
            **dict(environment),
        }
        if not drivers:
            self.environment["SHADOWCL_TEST_DEVICE"] = ":".join(map(str, self.nodes))
            self.environment["SHADOWCL_TEST_CAPS"] = ":".join(caps)
            self.environment["SHADOWCL_TEST_NAME"] = ":".join(names)
        if mapping:
            self.environment["SHADOWCL_MAPPING"] = mapping

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if (self.work / "pocl-cache").exists() and not self.warm.exists():
            self.keep_cache()
        shutil.rmtree(self.work)

    def keep_cache(self):
        """At once and whole: other tests may be copying it."""
        fresh = self.warm.with_name(f"{self.warm.name}.{self.work.name}")
        shutil.copytree(self.work / "pocl-cache", fresh)
        try:
            fresh.rename(self.warm)
        except OSError:  # another was first
            shutil.rmtree(fresh)

    @staticmethod
    def plug(node):
        """A device of zeroes, another than was there before."""
        node.unlink(missing_ok=True)
        with open(node, "wb") as file:
            file.truncate(NODE_BYTES)

    def swap(self, node):
        """Unplugs the device and plugs in a fresh one with canary words in its first page."""
        node.unlink()
        with open(node, "wb") as file:
            file.write(b"CANARY42" * (PAGE // 8))
            file.truncate(NODE_BYTES)

    @staticmethod
    def canary_lives(node):
        with open(node, "rb") as file:
            return file.read(PAGE) == b"CANARY42" * (PAGE // 8)

    def set_faults(self, text):
        # A file of another inode: counts start anew.
        fresh = self.faults.with_suffix(".new")
        fresh.write_text(text)
        fresh.rename(self.faults)

    def shadowcl(self, verb, *arguments, timeout=PATIENCE):
        """Returns the exit code and the answer's first entry."""
        done = subprocess.run([self.build / "bin/shadowcl", verb, "--json", *map(str, arguments)],
                              env=self.environment, capture_output=True, text=True,
                              timeout=timeout, stdin=subprocess.DEVNULL)
        try:
            answer = json.loads(done.stdout) if done.stdout.strip() else []
        except json.JSONDecodeError as error:
            raise Failure(f"{verb} --json: {error}: {done.stdout!r}") from error
        expect(answer, f"{verb}: exit code {done.returncode}, no answer: {done.stderr}")
        return done.returncode, answer[0]


class Victim:
    def __init__(self, machine, *wishes, wrapper=(), run=True, program="victim"):
        """`run` false: it finds our library by itself, and nobody looks at its settings before."""
        self.machine = machine
        command = [*wrapper, machine.build / "bin" / program, *wishes]
        environment = machine.environment
        if run:
            command[len(wrapper):0] = [machine.build / "bin/shadowcl", "run", "--"]
        else:
            environment = {**environment, "LD_LIBRARY_PATH": f"{machine.build}/lib/shadowcl"}
        self.process = subprocess.Popen(command, env=environment, text=True, bufsize=1,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)
        self.pid = self.process.pid
        expect((said := self.line()) == "ready", f"the program does not start: {said}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def fate(self):
        try:
            code = self.process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            return f"no answer in {PATIENCE} s"
        return f"exit code {code}: {self.process.stderr.read().strip()}"

    def line(self):
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            if not selector.select(PATIENCE):
                return self.fate()
        return self.process.stdout.readline().strip() or self.fate()

    def say(self, word):
        try:
            self.process.stdin.write(word + "\n")
        except BrokenPipeError as error:
            raise Failure(f"{word}: {self.fate()}") from error

    def do(self, word, when=""):
        self.say(word)
        expect((said := self.line()) == "ok", f"{when}{': ' if when else ''}{word}: {said}")

    def check(self, when=""):
        self.do("check", when)

    def quit(self):
        self.say("quit")
        expect(self.process.wait(PATIENCE) == 0, f"its end: {self.fate()}")

    def state(self):
        return self.machine.shadowcl("ps")[1]["state"]

    def suspend(self, *arguments):
        code, answer = self.machine.shadowcl("suspend", self.pid, *arguments)
        expect(code == 0 and answer["state"] == "suspended" and not answer["error"],
               f"suspend: {code} {answer}")
        return answer

    def resume(self, *arguments):
        code, answer = self.machine.shadowcl("resume", self.pid, *arguments)
        expect(code == 0 and answer["state"] == "running" and not answer["error"],
               f"resume: {code} {answer}")
        return answer

    def move(self, device, *arguments):
        code, answer = self.machine.shadowcl("move", self.pid, "--device", device, *arguments)
        expect(code == 0 and answer["state"] == "running" and not answer["error"],
               f"move: {code} {answer}")
        return answer

    def refused(self, state, verb, *arguments, reason="", object=""):
        """The verb fails, says why, and leaves that state."""
        code, answer = self.machine.shadowcl(verb, self.pid, *arguments)
        expect(code == 1, f"{verb}: exit code {code}, 1 expected: {answer}")
        error = answer["error"]
        expect(error and error["reason"], f"{verb}: no reason: {answer}")
        expect(error["todo"], f"{verb}: it does not say what to do: {answer}")
        expect(answer["state"] == state, f"{verb}: state {answer['state']}, not {state}: {error}")
        expect(reason in error["reason"], f"{verb}: `{reason}` is not in {error}")
        expect(object in error["object"], f"{verb}: `{object}` is not in {error}")
        return answer

    def held(self, node):
        found = []
        for descriptor in Path(f"/proc/{self.pid}/fd").iterdir():
            try:
                target = os.readlink(descriptor)
            except FileNotFoundError:
                continue
            if target.startswith(str(node)):
                found.append(f"descriptor {descriptor.name}: {target}")
        with open(f"/proc/{self.pid}/maps") as maps:
            return found + [line.strip() for line in maps if str(node) in line]


def run_all(tests, build, only):
    """Runs each function of the list; returns the number that failed."""
    failed = 0
    names = [test.__name__ for test in tests]
    for name in only:
        if name not in names:
            sys.exit(f"no test `{name}`; there are {', '.join(names)}")
    for test in tests:
        if only and test.__name__ not in only:
            continue
        start = time.monotonic()
        try:
            test(build)
            outcome = "ok"
        except Failure as error:
            failed += 1
            outcome = f"FAILED: {error}"
        print(f"{test.__name__:40} {time.monotonic() - start:5.1f} s  {outcome}", flush=True)
    return failed


def main(tests):
    """What a file of tests does when it is run: all of them, or those that are named."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--names", action="store_true", help="lists them, and does nothing else")
    parser.add_argument("tests", nargs="*")
    told = parser.parse_args()
    if told.names:
        print(";".join(test.__name__ for test in tests))
        return 0
    return 1 if run_all(tests, told.build, told.tests) else 0
