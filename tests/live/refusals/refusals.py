#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What can't be carried is refused by name while it is in use, and nothing changes; once it is
released, the suspend is done. The test driver claims to have what no other driver here has."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

# What is held: the object that the refusal names, and why.
REFUSALS = {
    "pipe": ("pipe", "what is in a pipe can't be read back"),
    "queue": ("queue", "it is a queue on the device, whose contents can't be read"),
    "context": ("context", "it shares objects with an OpenGL context"),
    "mips": ("image", "the mip levels of an image are not carried"),
    "format": ("image", "its image format is not one that we know"),
    "variables": ("program", "it has 4096 bytes of program-scope variables"),
}
PATIENCE = 60


def command(build, environment, verb, pid):
    done = subprocess.run([build / "bin/shadowcl", verb, "--json", str(pid)], env=environment,
                          capture_output=True, text=True, timeout=PATIENCE)
    return done.returncode, json.loads(done.stdout)[0]


def tell(holder, word, expected):
    holder.stdin.write(word + "\n")
    holder.stdin.flush()
    answer = holder.stdout.readline().strip()
    if answer != expected:
        raise AssertionError(f"`{word}`: {answer!r} instead of {expected!r}")


def try_one(build, work, kind, wanted):
    node = work / f"gpu-{kind}"
    with open(node, "wb") as file:
        file.truncate(64 << 20)
    environment = {
        **os.environ, "SHADOWCL_DRIVERS": str(build / "lib/testdriver/libshadowcl-testdriver.so"),
        "SHADOWCL_RUNTIME_DIR": str(work), "SHADOWCL_DEVICE_NODES": str(node),
        "SHADOWCL_TEST_DEVICE": str(node),
        "SHADOWCL_TEST_CAPS": "variables=4K" if kind == "variables" else "extras",
    }
    holder = subprocess.Popen([build / "bin/shadowcl", "run", "--", build / "bin/refusals-holder", kind],
                              env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True)
    try:
        first = holder.stdout.readline().strip()
        assert first == "ready", f"it said {first!r}"
        code, answer = command(build, environment, "suspend", holder.pid)
        assert code == 1 and answer["state"] == "running" and answer["error"], f"{code}: {answer}"
        error = answer["error"]
        assert wanted[0] in error["object"], error
        assert wanted[1] in error["reason"], error
        assert error["todo"], error
        tell(holder, "check", "right")
        tell(holder, "drop", "dropped")
        code, answer = command(build, environment, "suspend", holder.pid)
        assert code == 0 and answer["state"] == "suspended", f"{code}: {answer}"
        code, answer = command(build, environment, "resume", holder.pid)
        assert code == 0 and answer["state"] == "running", f"{code}: {answer}"
        tell(holder, "check", "right")
        holder.stdin.close()
        assert holder.wait(PATIENCE) == 0
    finally:
        holder.kill()
        holder.wait()
    return f"{error['object']}: {error['reason']}; to do: {error['todo']}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, required=True)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help="default: all")
    options = parser.parse_args()
    failures = 0
    with tempfile.TemporaryDirectory(prefix="shadowcl-refusals-") as work:
        for kind in options.kinds or REFUSALS:
            try:
                said = try_one(options.build.resolve(), Path(work), kind, REFUSALS[kind])
                print(f"ok     {kind}: {said}", flush=True)
            except AssertionError as problem:
                failures += 1
                print(f"FAILED {kind}: {problem}", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
