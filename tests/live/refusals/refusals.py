#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What can't be carried is refused by name while it is in use, and nothing changes; once it is
released, the suspend is done. The test driver claims to have what no other driver here has. What
another device lacks is refused there, before anything is let go; and what we don't wrap is not
offered at all."""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# What is held: the object that the refusal names, and why.
REFUSALS = {
    "pipe": ("pipe", "what is in a pipe can't be read back"),
    "queue": ("queue", "it is a queue on the device, whose contents can't be read"),
    "context": ("context", "it shares objects with an OpenGL context"),
    "egl": ("context", "it shares objects with an EGL display"),
    "d3d": ("context", "it shares objects with Direct3D"),
    "va": ("context", "it shares surfaces with VA-API"),
    "svm": ("SVM allocation", "its driver can't give the same address again"),
    "mips": ("image", "the mip levels of an image are not carried"),
    "format": ("image", "its image format is not one that we know"),
    "native": ("queue", "a native kernel or SVM free function of the program still runs"),
    "svmfree": ("queue", "a native kernel or SVM free function of the program still runs"),
    "endless": ("a native kernel", "its native kernels keep on enqueuing commands"),
    "variables": ("program", "it has 4096 bytes of program-scope variables"),
    "untold": ("program", "its driver does not tell whether it has program-scope variables"),
}
CAPS = {"variables": "variables=4K", "untold": "variables=untold", "older": "variables=untold"}
# What shows only when it is waited for.
UNFORESEEN = {"native", "svmfree", "endless"}
# Where the thread is named that runs the program's code in the driver.
IN_THREAD = {"native", "svmfree"}
# What is held while a native kernel enqueues the next, again and again.
RELAY = ("a native kernel", "its native kernels keep on enqueuing commands")
# What is held on pocl, where it is asked to go, and why it can't.
MOVES = {
    "svm": ("rusticl", "SVM allocation", "does not take memory that is not its driver's"),
    "part": ("rusticl", "sub-device", "can't be divided in this way"),
    "kernel": ("rusticl", "kernel `precise`", "it can't be made for"),
    "both": ("0:1,1:0", "context", "its devices can't be on two platforms"),
}
# What is said otherwise of what is suspended.
RESUMES = {"kernel": ("kernel `precise`", "the driver answers -46 when it is made again")}
TWO = {"SHADOWCL_DRIVERS": "libpocl.so.2:libRusticlOpenCL.so.1",
       "OCL_ICD_PLATFORM_SORT": "none", "RUSTICL_ENABLE": "llvmpipe",
       "POCL_DEVICES": "pthread pthread", "POCL_MAX_PTHREAD_COUNT": "4"}
PATIENCE = 60
DEADLINE = 1  # s

def command(build, environment, verb, *arguments):
    done = subprocess.run([build / "bin/shadowcl", verb, "--json", *map(str, arguments)],
                          env=environment, capture_output=True, text=True, timeout=PATIENCE)
    return done.returncode, json.loads(done.stdout)[0]


def tell(holder, word, expected):
    holder.stdin.write(word + "\n")
    holder.stdin.flush()
    answer = holder.stdout.readline().strip()
    if answer != expected:
        raise AssertionError(f"`{word}`: {answer!r} instead of {expected!r}")


def write_faults(faults, text):
    """Another file, so that counts start anew."""
    fresh = faults.with_suffix(".new")
    fresh.write_text(text)
    fresh.rename(faults)


def on_testdriver(build, work, kind):
    node = work / f"gpu-{kind}"
    with open(node, "wb") as file:
        file.truncate(64 << 20)
    return {"SHADOWCL_DRIVERS": str(build / "lib/testdriver/libshadowcl-testdriver.so"),
            "SHADOWCL_DEVICE_NODES": str(node), "SHADOWCL_TEST_DEVICE": str(node),
            "SHADOWCL_TEST_CAPS": CAPS.get(kind, "extras")}


def on_pocl(work):
    (work / "cache").mkdir(exist_ok=True)
    return {"SHADOWCL_DRIVERS": "libpocl.so.2", "POCL_CACHE_DIR": str(work / "cache")}


def where_it_is_had(build, work, kind):
    """The test driver has no SVM that can be suspended, and says that it has all else."""
    return on_pocl(work) if kind == "svmfree" else on_testdriver(build, work, kind)


class Holder:
    def __init__(self, build, work, kind, settings):
        self.build = build
        self.environment = {**os.environ, "SHADOWCL_RUNTIME_DIR": str(work),
                            "SHADOWCL_LOG": f"warn:{work}/log", **settings}
        self.process = subprocess.Popen(
            [build / "bin/shadowcl", "run", "--", build / "bin/refusals-holder", kind],
            env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.first = self.process.stdout.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def tell(self, word, expected):
        tell(self.process, word, expected)

    def state(self):
        return command(self.build, self.environment, "ps")[1]["state"]

    def does(self, state, verb, *arguments):
        code, answer = command(self.build, self.environment, verb, self.process.pid, *arguments)
        assert code == 0 and answer["state"] == state, f"{verb}: {code}: {answer}"

    def refuses(self, wanted, state, verb, *arguments, final=None):
        code, answer = command(self.build, self.environment, verb, self.process.pid, *arguments)
        assert code == 1 and answer["state"] == state and answer["error"], f"{verb}: {code}: {answer}"
        error = answer["error"]
        assert wanted[0] in error["object"] and wanted[1] in error["reason"], error
        assert error["todo"] and error.get("final") in (final, True), error
        return f"{error['object']}: {error['reason']}; to do: {error['todo']}"

    def foretells(self, wanted):
        """Whether `check` names it; nothing else may be named."""
        code, answer = command(self.build, self.environment, "check", self.process.pid,
                               "--deadline", "5")
        assert answer["state"] == "running" and not answer["error"], f"check: {code}: {answer}"
        assert code == (1 if answer["missing"] else 0), f"check: {code}: {answer}"
        for thing in answer["missing"]:
            assert wanted[0] in thing["object"] and wanted[1] in thing["reason"], thing
            assert thing["todo"], thing
        return len(answer["missing"]) == 1

    def foretells_move(self, wanted, device):
        """The driver is not let go to find out."""
        code, answer = command(self.build, self.environment, "check", self.process.pid,
                               "--device", device)
        assert code == 1 and answer["state"] == "running", f"check: {code}: {answer}"
        assert any(wanted[0] in thing["object"] and wanted[1] in thing["reason"] and thing["todo"]
                   for thing in answer["missing"]), answer["missing"]

    def has_thread(self, said):
        """Whether it names a thread, beside the first, that is there."""
        named = re.search(r"still runs, in thread (\d+), at the deadline", said)
        return named and named[1] != str(self.process.pid) and \
            Path(f"/proc/{self.process.pid}/task/{named[1]}").exists()

    def end(self):
        self.process.stdin.close()
        assert self.process.wait(PATIENCE) == 0


def try_one(build, work, kind):
    with Holder(build, work, kind, where_it_is_had(build, work, kind)) as holder:
        assert holder.first == "ready", f"it said {holder.first!r}"
        foretold = holder.foretells(REFUSALS[kind])
        assert foretold == (kind not in UNFORESEEN), f"`check`: {foretold}"
        said = holder.refuses(REFUSALS[kind], "running", "suspend", "--deadline", "1")
        assert kind not in IN_THREAD or holder.has_thread(said), said
        holder.tell("check", "right")
        holder.tell("drop", "dropped")
        assert not holder.foretells(REFUSALS[kind])
        holder.does("suspended", "suspend")
        holder.does("running", "resume")
        holder.tell("check", "right")
        holder.end()
    return said


def older(build, work):
    """OpenCL C before 2.0 has no program-scope variables: the driver need not tell."""
    with Holder(build, work, "older", on_testdriver(build, work, "older")) as holder:
        assert holder.first == "ready", f"it said {holder.first!r}"
        holder.does("suspended", "suspend")
        holder.does("running", "resume")
        holder.tell("check", "right")
        holder.end()
    return "carried"


def try_move(build, work, kind, mapping):
    """Refused while it runs; when it is suspended it stays so, and comes back where it was."""
    to, *wanted = MOVES[kind]
    (work / "cache").mkdir(exist_ok=True)
    settings = TWO | {"POCL_CACHE_DIR": str(work / "cache"), "SHADOWCL_MAPPING": mapping}
    with Holder(build, work, kind, settings) as holder:
        assert holder.first == "ready", f"it said {holder.first!r}"
        said = holder.refuses(wanted, "running", "move", "--device", to)
        holder.tell("check", "right")
        if kind == "kernel":
            holder.foretells_move(wanted, to)
        holder.does("suspended", "suspend")
        # (Of SVM and parts a failed query can't be told from a lack.)
        holder.refuses(RESUMES.get(kind, wanted), "suspended", "resume", "--device", to,
                       final=True if kind == "both" else None)
        holder.does("running", "resume")
        holder.tell("check", "right")
        holder.tell("drop", "dropped")
        holder.end()
    return said


def relay(build, work):
    """Everything that was there has ended at the deadline, but a native kernel has enqueued another
    meanwhile. So that it is neither late nor early, the driver comes back from the first question
    whether a command has ended only when the deadline is over; the next native kernel does not start
    before it is told to."""
    faults = work / "faults"
    settings = on_testdriver(build, work, "relay") | {"SHADOWCL_TEST_FAULTS": str(faults)}
    with Holder(build, work, "relay", settings) as holder:
        assert holder.first == "ready", f"it said {holder.first!r}"
        assert not holder.foretells(RELAY)
        holder.tell("check", "right")
        write_faults(faults, "stall 1\nhang clGetEventInfo 1\n")
        with ThreadPoolExecutor() as pool:
            end = time.monotonic() + DEADLINE
            asked = pool.submit(holder.refuses, RELAY, "running", "suspend", "--deadline",
                                str(DEADLINE))
            while holder.state() != "draining":
                assert not asked.done(), f"it did not hang: {asked.result()}"
            holder.tell("pass", "passed")
            time.sleep(max(0, end + 1 - time.monotonic()))
            # (Slow enough that what has ended is known to have ended.)
            write_faults(faults, "stall 1\nslow clGetEventInfo 200000\n")
            said = asked.result()
        write_faults(faults, "")
        holder.tell("check", "right")
        holder.tell("drop", "dropped")
        holder.does("suspended", "suspend")
        holder.does("running", "resume")
        holder.tell("check", "right")
        holder.end()
    return said


def late_kernel(build, work):
    """Made after the program was built for the other device, where it is not."""
    (work / "cache").mkdir(exist_ok=True)
    with Holder(build, work, "parted", TWO | {"POCL_CACHE_DIR": str(work / "cache")}) as holder:
        assert holder.first == "ready", f"it said {holder.first!r}"
        holder.does("running", "prepare", "--device", "rusticl")
        holder.tell("late", "made")
        said = holder.refuses(MOVES["kernel"][1:], "running", "move", "--device", "rusticl")
        holder.tell("check", "right")
        holder.end()
    return said


def many_devices(build, work, mapping):
    """Each of them has a place of its own, and all are counted."""
    settings = on_pocl(work) | {"POCL_DEVICES": " ".join(["basic"] * 70),
                                "SHADOWCL_MAPPING": mapping}
    with Holder(build, work, "all", settings) as holder:
        assert holder.first == "ready", f"it said {holder.first!r}"
        said = holder.refuses(("", "names 1 device, and the program uses 70"), "running", "move",
                              "--device", "0:1", final=True)
        holder.does("running", "move", "--device", ",".join(f"0:{i}" for i in range(69, -1, -1)))
        holder.tell("check", "right")
        holder.does("suspended", "suspend")
        holder.does("running", "resume")
        holder.tell("check", "right")
        holder.end()
    return said


def hidden(build, work):
    """The test driver claims all of them, and has functions: natively they are seen."""
    settings = on_testdriver(build, work, "hidden")
    native = subprocess.run([build / "bin/refusals-holder", "hidden"], text=True,
                            stdout=subprocess.PIPE, timeout=PATIENCE, env={
                                **os.environ, **settings,
                                "OCL_ICD_VENDORS": settings["SHADOWCL_DRIVERS"]}).stdout.strip()
    assert native.startswith("seen: 13,"), f"natively it said {native!r}"
    with Holder(build, work, "hidden", settings) as holder:
        wanted = "seen: 0, clCreateFromGLBuffer: 0 -59"
        assert holder.first == wanted, f"it said {holder.first!r} instead of {wanted!r}"
    return f"natively {native}; under the shim {wanted}"


def too_old(build, work):
    settings = on_testdriver(build, work, "old") | {"SHADOWCL_TEST_VERSION": "OpenCL 1.1 old"}
    with Holder(build, work, "pipe", settings) as holder:
        assert holder.first == "clGetPlatformIDs: -1001", f"it said {holder.first!r}"
    log = (work / "log").read_text()
    assert "it has OpenCL 1.1 only, shadowcl needs 1.2; skipped" in log, log
    return log.strip().splitlines()[-1]


def all_tests():
    yield from ((kind, lambda *where, kind=kind: try_one(*where, kind)) for kind in REFUSALS)
    for mapping in ("shared", "copy"):
        yield from ((f"{kind}-moved-{mapping}",
                     lambda *where, kind=kind, mapping=mapping: try_move(*where, kind, mapping))
                    for kind in MOVES)
        yield (f"many-devices-{mapping}",
               lambda *where, mapping=mapping: many_devices(*where, mapping))
    yield "late-kernel", late_kernel
    yield "relay", relay
    yield "older", older
    yield "hidden", hidden
    yield "too-old", too_old


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, required=True)
    parser.add_argument("tests", nargs="*", metavar="TEST", help="default: all")
    options = parser.parse_args()
    failures = 0
    for name, test in all_tests():
        if options.tests and name not in options.tests:
            continue
        with tempfile.TemporaryDirectory(prefix="shadowcl-refusals-") as work:
            try:
                print(f"ok     {name}: {test(options.build.resolve(), Path(work))}", flush=True)
            except AssertionError as problem:
                failures += 1
                print(f"FAILED {name}: {problem}", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
