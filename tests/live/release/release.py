#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A driver that does not let go is made to: sample-heat on the test driver's variants, suspended and
resumed again and again while the device is really taken away and replaced in between. The last close
is observed from outside, at the other end of a pipe that the driver opens and keeps with its node."""

import argparse
import json
import os
import pathlib
import re
import select
import subprocess
import sys
import tempfile
import time

MEMORY = 64 << 20
STEPS = 100000


class Failed(Exception):
    pass


def expect(condition, text):
    if not condition:
        raise Failed(text)


class Scene:
    """One program on one variant of the driver, with a device node and a line in a directory."""

    def __init__(self, build, variant, line=False):
        self.bin = build / "bin"
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="shadowcl-release-"))
        self.node, self.line = self.dir / "node", self.dir / "line"
        self.faults = self.dir / "faults"
        self.new_node()
        self.env = dict(os.environ)
        for name in [n for n in self.env if n.startswith(("SHADOWCL_", "OCL_ICD_"))]:
            del self.env[name]
        library = build / "lib/testdriver" / f"libshadowcl-testdriver{variant}.so"
        self.env.update(SHADOWCL_RUNTIME_DIR=str(self.dir), SHADOWCL_TEST_DEVICE=str(self.node),
                        SHADOWCL_DEVICE_NODES=f"{self.node}:{self.line}",
                        SHADOWCL_TEST_FAULTS=str(self.faults),
                        POCL_CACHE_DIR=str(build / "pocl-cache"))
        self.native_env = dict(self.env, OCL_ICD_VENDORS=str(library))
        self.env["SHADOWCL_DRIVERS"] = str(library)
        self.reader = None
        if line:
            os.mkfifo(self.line)
            self.env["SHADOWCL_TEST_LINE"] = str(self.line)
            self.reader = os.open(self.line, os.O_RDONLY | os.O_NONBLOCK)
        self.process = None

    def new_node(self):
        if self.node.exists():
            self.node.unlink()
        with open(self.node, "wb") as file:
            file.truncate(MEMORY)

    def command(self, *words):
        done = subprocess.run([self.bin / "shadowcl", *words, "--json"], env=self.env, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
        return done.returncode, json.loads(done.stdout)[0], done.stderr

    def start(self, *prefix):
        self.output = self.dir / "field"
        arguments = [self.bin / "sample-heat", "--steps", str(STEPS), "--output", self.output]
        self.log = open(self.dir / "progress", "w+b")
        self.process = subprocess.Popen([self.bin / "shadowcl", "run", "--", *prefix, *arguments],
                                        env=self.env, stdout=subprocess.PIPE, stderr=self.log)
        deadline = time.monotonic() + 60
        while b"step" not in pathlib.Path(self.log.name).read_bytes():
            expect(self.process.poll() is None and time.monotonic() < deadline,
                   "the program does not begin: " +
                   pathlib.Path(self.log.name).read_text(errors="replace")[-500:])
            time.sleep(0.02)
        return str(self.process.pid)

    def finish(self):
        out, _ = self.process.communicate(timeout=240)
        expect(self.process.returncode == 0, f"the program ended with {self.process.returncode}")
        return out.strip(), self.output.read_bytes()

    def held(self):
        """What the process has open or mapped of node and line, as /proc says."""
        found = []
        names = (str(self.node), str(self.line))
        for fd in pathlib.Path(f"/proc/{self.process.pid}/fd").iterdir():
            try:
                target = os.readlink(fd)
            except OSError:
                continue
            if target.startswith(names):
                found.append(target)
        maps = pathlib.Path(f"/proc/{self.process.pid}/maps").read_text()
        return found + [line for line in maps.splitlines() if line.split()[5:6] and
                        line.split()[5].startswith(names)]

    def last_close_seen(self):
        """The pipe's read end hangs up when the last writer is gone, whoever hid it."""
        poll = select.poll()
        poll.register(self.reader, 0)
        seen = bool(poll.poll(3000))
        os.close(self.reader)
        self.reader = os.open(self.line, os.O_RDONLY | os.O_NONBLOCK)
        return seen

    def open_again(self, call):
        """The driver opens its node, and the line, once more in the middle of its work."""
        before = len(self.held())
        self.set_faults(f"again {call} 3\n")
        deadline = time.monotonic() + 20
        while len(self.held()) < before + 3:
            expect(time.monotonic() < deadline and self.process.poll() is None,
                   f"{call}: the node is not opened again: {self.held()}")
            time.sleep(0.01)
        self.set_faults("")

    def set_faults(self, text):
        fresh = self.faults.with_suffix(".new")
        fresh.write_text(text)
        fresh.rename(self.faults)

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.reader is not None:
            os.close(self.reader)
        subprocess.run(["rm", "-rf", self.dir], check=True)


def native_result(build):
    scene = Scene(build, "")
    try:
        output = scene.dir / "native"
        subprocess.run([build / "bin/sample-heat", "--steps", str(STEPS), "--output", output],
                       env=scene.native_env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       check=True, timeout=240)
        return output.read_bytes()
    finally:
        scene.close()


def cycles(scene, pid, count, again=None):
    for i in range(count):
        if again:
            scene.open_again(again)
        code, answer, text = scene.command("suspend", pid)
        expect(code == 0, f"cycle {i + 1}: suspend: {answer['error']} {text}")
        expect(not answer["residue"] and not scene.held(),
               f"cycle {i + 1}: still held: {answer['residue']} {scene.held()}")
        if scene.reader is not None:
            expect(scene.last_close_seen(), f"cycle {i + 1}: the pipe is still open somewhere")
        scene.new_node()
        code, answer, text = scene.command("resume", pid)
        expect(code == 0, f"cycle {i + 1}: resume: {answer['error']} {text}")
        canary = scene.node.read_bytes()[:4096]
        expect(canary == bytes(4096), f"cycle {i + 1}: the new device's canary page was written")


def foretold(scene, pid):
    """The one reason why a suspend would be refused, before it is asked for."""
    code, answer, text = scene.command("check", pid)
    expect(code == 1 and answer["state"] == "running" and len(answer["missing"]) == 1,
           f"check: exit {code}: {answer} {text}")
    return answer["missing"][0]["reason"]


def through_ten_cycles(build, native, variant, line):
    """In the last of them the driver has opened its node once more, in a call that nobody watches."""
    scene = Scene(build, variant, line)
    try:
        pid = scene.start()
        cycles(scene, pid, 7)
        cycles(scene, pid, 3, again="clEnqueueNDRangeKernel")
        _, field = scene.finish()
        expect(field == native, "the field differs from the native one")
    finally:
        scene.close()


def test_plain_unloads(build, native):
    through_ten_cycles(build, native, "", True)


def test_nodelete_gets_fresh_instances(build, native):
    through_ten_cycles(build, native, "-nodelete", True)


def test_sticky_is_made_to_let_go(build, native):
    through_ten_cycles(build, native, "-sticky", True)


def test_thread_that_cannot_be_interrupted_is_named(build, native):
    """Nothing in /proc tells that its file is open still: so the answer does."""
    scene = Scene(build, "-sticky", True)
    try:
        scene.env["SHADOWCL_TEST_DEAF"] = "1"
        pid = scene.start()
        code, answer, text = scene.command("suspend", pid)
        expect(code == 0 and not scene.held(), f"suspend: exit {code}: {answer} {text}")
        said = [line for line in answer["warnings"] if "can't be interrupted" in line]
        expect(len(said) == 1 and re.match(r"thread \d+ of the driver", said[0]),
               f"warnings: {answer['warnings']}")
        expect(not scene.last_close_seen(), "the file was closed all the same")
        scene.new_node()
        code, answer, text = scene.command("resume", pid)
        expect(code == 0 and not answer["warnings"], f"resume: exit {code}: {answer} {text}")
        _, field = scene.finish()
        expect(field == native, "the field differs from the native one")
    finally:
        scene.close()


def test_limit_of_instances_is_refused_beforehand(build, native):
    """When no further instance can be had, the suspend is refused and the program runs on."""
    scene = Scene(build, "-nodelete")
    try:
        pid = scene.start()
        for done in range(40):
            code, answer, _ = scene.command("suspend", pid)
            if code != 0:
                break
            scene.new_node()
            code, answer, text = scene.command("resume", pid)
            expect(code == 0, f"cycle {done + 1}: resume: {answer['error']} {text}")
        else:
            raise Failed("40 instances of a driver that is never unloaded: the limit is not met")
        expect(done >= 10, f"only {done} cycles")
        expect(answer["state"] == "running", f"state {answer['state']} after the refusal")
        expect("no further instance of it can be had" in answer["error"]["reason"],
               f"reason: {answer['error']}")
        expect(foretold(scene, pid) == answer["error"]["reason"], "`check` does not foretell it")
        _, field = scene.finish()
        expect(field == native, "the field differs from the native one")
        print(f"  refused after {done} cycles: {answer['error']['reason']}")
    finally:
        scene.close()


def test_what_no_driver_opened_is_refused(build, native):
    """A descriptor that the program had before OpenCL started is named, and nothing torn down."""
    scene = Scene(build, "")
    try:
        pid = scene.start("/bin/bash", "-c", f'exec 9<"{scene.node}"; exec "$@"', "bash")
        reason = foretold(scene, pid)
        code, answer, _ = scene.command("suspend", pid)
        expect(code == 1 and answer["state"] == "running", f"exit {code}, {answer['state']}")
        expect(reason == answer["error"]["reason"], f"`check` foretells {reason}: {answer['error']}")
        expect("fd 9" in answer["error"]["object"] and
               "no OpenCL driver opened it" in reason, f"object and reason: {answer['error']}")
        _, field = scene.finish()
        expect(field == native, "the field differs from the native one")
    finally:
        scene.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("only", nargs="*", help="names of tests, all by default")
    options = parser.parse_args()
    build = options.build.resolve()
    tests = [(name, test) for name, test in globals().items()
             if name.startswith("test_") and (not options.only or name in options.only)]
    native = native_result(build)
    failed = 0
    for name, test in tests:
        start = time.monotonic()
        try:
            test(build, native)
            print(f"ok     {name} ({time.monotonic() - start:.1f} s)", flush=True)
        except (Failed, subprocess.TimeoutExpired) as error:
            failed += 1
            print(f"FAILED {name}: {error}", flush=True)
    print(f"{len(tests) - failed} passed, {failed} failed")
    return 1 if failed or not tests else 0


if __name__ == "__main__":
    sys.exit(main())
