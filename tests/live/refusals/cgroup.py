#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A program whose cgroup leaves too little memory for its contents is not suspended: the refusal
says so, and a check before, the program goes on, and with more room it is suspended.

Needs root, and a memory controller that a group can be made in; otherwise it is skipped (77).
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

PATIENCE = 60
PIECES, KIB = 64, 1024  # in all 64 MiB
ROOM = 32 << 20
NAME = f"shadowcl-test-{os.getpid()}"


def skip(why):
    print(f"skipped: {why}")
    sys.exit(77)


class Group:
    """Of either version of the controller."""

    def __init__(self):
        v1 = re.search(r"^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(.*)$",
                       Path("/proc/self/cgroup").read_text(encoding="ascii"), re.M)
        if v1:
            self.folder = Path("/sys/fs/cgroup/memory" + v1.group(1).rstrip("/")) / NAME
            self.limit, self.used, self.none = ("memory.limit_in_bytes", "memory.usage_in_bytes",
                                                "-1")
        else:
            self.folder = Path("/sys/fs/cgroup") / NAME
            self.limit, self.used, self.none = "memory.max", "memory.current", "max"
        try:
            self.folder.mkdir()
        except OSError as problem:
            skip(f"no cgroup can be made: {problem}")
        if not (self.folder / self.limit).exists():
            self.folder.rmdir()
            skip("a new cgroup has no memory controller")

    def join(self):
        (self.folder / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")

    def leave_room(self, room):
        used = int((self.folder / self.used).read_text(encoding="ascii"))
        (self.folder / self.limit).write_text(str(used + room), encoding="ascii")

    def lift(self):
        (self.folder / self.limit).write_text(self.none, encoding="ascii")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.folder.rmdir()


def tell(program, word, expected):
    program.stdin.write(word + "\n")
    program.stdin.flush()
    answer = program.stdout.readline().strip()
    assert answer == expected, f"`{word}`: {answer!r} instead of {expected!r}"


def shadowcl(build, environment, verb, pid):
    done = subprocess.run([build / "bin/shadowcl", verb, "--json", str(pid)], env=environment,
                          capture_output=True, text=True, timeout=PATIENCE)
    return done.returncode, json.loads(done.stdout)[0]


def check(build, work, group, program, environment):
    pid = program.pid
    group.leave_room(ROOM)
    code, answer = shadowcl(build, environment, "suspend", pid)
    assert code == 1 and answer["state"] == "running", answer
    error = answer["error"]
    assert error["object"] == "staging memory", error
    found = re.fullmatch(r"(\d+) bytes of device contents have to be kept, and (\d+) bytes of "
                         r"memory are available under the cgroup's limit", error["reason"])
    assert found, error
    assert int(found[1]) >= PIECES * KIB * 1024 and int(found[2]) < PIECES * KIB * 1024, error
    assert "raise the limit" in error["todo"], error
    code, answer = shadowcl(build, environment, "check", pid)
    assert code == 1 and answer["resumes"] is False and answer["error"] is None, answer
    assert [(each["object"], each["todo"]) for each in answer["missing"]] == \
        [(error["object"], error["todo"])], answer
    assert answer["missing"][0]["reason"].startswith(f"{found[1]} bytes of device contents"), answer
    group.lift()  # before it looks at everything: a sanitizer takes more for that than there is
    tell(program, "check", "right")
    code, answer = shadowcl(build, environment, "check", pid)
    assert code == 0 and answer["missing"] == [], answer
    code, answer = shadowcl(build, environment, "suspend", pid)
    assert code == 0 and answer["state"] == "suspended", answer
    assert answer["captured_bytes"] >= PIECES * KIB * 1024, answer
    code, answer = shadowcl(build, environment, "resume", pid)
    assert code == 0 and answer["state"] == "running", answer
    tell(program, "check", "right")
    program.stdin.close()
    assert program.wait(PATIENCE) == 0
    return error["reason"]


def run(build, work, group):
    # Not on a disk, where its pages would be the page cache's, and count as free.
    node = (Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else work) / NAME
    with open(node, "wb") as file:
        file.truncate(128 << 20)
    environment = {**os.environ, "SHADOWCL_RUNTIME_DIR": str(work), "SHADOWCL_MAPPING": "copy",
                   "SHADOWCL_DRIVERS": str(build / "lib/testdriver/libshadowcl-testdriver.so"),
                   "SHADOWCL_DEVICE_NODES": str(node), "SHADOWCL_TEST_DEVICE": str(node)}
    program = subprocess.Popen(
        [build / "bin/shadowcl", "run", "--", build / "bin/precopy-writer", str(PIECES), str(KIB),
         "1", "10"], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        preexec_fn=group.join)
    try:
        assert program.stdout.readline().strip() == "ready"
        return check(build, work, group, program, environment)
    finally:
        program.kill()
        program.wait()
        node.unlink()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, required=True)
    build = parser.parse_args().build.resolve()
    if os.geteuid() != 0:
        skip("only root can make a cgroup")
    with Group() as group, tempfile.TemporaryDirectory(prefix="shadowcl-cgroup-") as work:
        try:
            print(f"ok     refused: {run(build, Path(work), group)}")
        except AssertionError as problem:
            print(f"FAILED {problem}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
