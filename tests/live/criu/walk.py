#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What docs/checkpoint.md tells a new user to type, typed word for word into a shell at a terminal,
in a folder that has nothing but the build: by our command, and by CRIU with the plugin. The
program's answer and its output must be those of an undisturbed run."""

import argparse
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness import Failure, check, expect, need_criu, skip

SOURCE = Path(__file__).resolve().parent.parent.parent.parent
PAGE = SOURCE / "docs/checkpoint.md"
SHELL = ["bash", "--noprofile", "--norc", "--noediting", "-i"]
PROMPT = re.compile(rb"<(\d+)>@@ ")  # with the exit code of the command before
PYTHON = "/usr/bin/python3"
PATIENCE = 300
OUTPUTS = ("answer", "result")


def blocks():
    """The lines of each code block under `To type`."""
    section = PAGE.read_text().split("\n## To type\n")[1].split("\n## ")[0]
    found = re.findall(r"^```\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    expect(len(found) == 2, f"{len(found)} blocks are to be typed, two are expected")
    return [block.splitlines() for block in found]


def environment():
    """Nothing of the tests' own settings."""
    kept = {name: value for name, value in os.environ.items()
            if not name.startswith(("SHADOWCL_", "OCL_ICD", "POCL_", "XDG_"))}
    return {**kept, "PS1": "<$?>@@ ", "TERM": "dumb"}


class Terminal:
    def __init__(self, folder):
        self.said = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.closerange(3, 1024)  # CTest's own log, which grows, is nothing of a user's
            os.chdir(folder)
            os.execvpe(SHELL[0], SHELL, environment())
        self.until_prompt()

    def read(self, end):
        ready, _, _ = select.select([self.fd], [], [], max(end - time.monotonic(), 0))
        expect(ready, f"nothing more is said: {self.text()}")
        try:
            return os.read(self.fd, 65536)
        except OSError:  # how a terminal ends
            return b""

    def text(self):
        return self.said.decode(errors="replace")[-3000:]

    def until_prompt(self):
        """The exit code of what was typed."""
        fresh, end = b"", time.monotonic() + PATIENCE
        while not PROMPT.search(fresh):
            more = self.read(end)
            expect(more, f"the shell has ended: {self.text()}")
            fresh += more
            self.said += more
        return int(PROMPT.findall(fresh)[-1])

    def type(self, line):
        os.write(self.fd, line.encode() + b"\n")
        code = self.until_prompt()
        expect(code == 0, f"`{line}` ended with {code}:\n{self.text()}")

    def close(self):
        os.kill(self.pid, signal.SIGHUP)
        os.close(self.fd)
        os.waitpid(self.pid, 0)


def scratch(work, build, name):
    """A folder that looks like a clone that was built."""
    folder = work / name
    folder.mkdir()
    (folder / "build").symlink_to(build)
    for part in ("scripts", "criu", "tests"):
        (folder / part).symlink_to(SOURCE / part)
    return folder


def outputs(folder):
    return [(folder / name).read_bytes() for name in OUTPUTS]


def undisturbed(folder, block):
    """The command that both start, by itself."""
    command = next(line for line in block if line.startswith("shadowcl run"))
    expect(command.endswith("&"), f"`{command}` is not started behind the user's back")
    found = {**environment(), "PATH": f"{folder}/build/bin:{os.environ['PATH']}"}
    began = time.monotonic()
    subprocess.run(["bash", "-c", command.rstrip("& ")], cwd=folder, env=found, check=True,
                   timeout=PATIENCE, stdin=subprocess.DEVNULL)
    took = time.monotonic() - began
    expect(took > 4, f"it ends after {took:.1f} s, before it is copied")
    return outputs(folder)


def progress(folder):
    """Each round is told once, and in order: it has gone on where it was."""
    steps = [int(step) for step in re.findall(r"^round (\d+) of", (folder / "progress").read_text(),
                                              re.MULTILINE)]
    expect(steps == list(range(1, len(steps) + 1)) and steps,
           f"its rounds are not in order: {steps[:50]}")


def type_all(terminal, block, folder, wanted):
    """Each line that makes the program again gives the result again."""
    made = 0
    for line in block:
        terminal.type(line)
        if " restore " in line:
            check(wanted, outputs(folder))
            progress(folder)
            (folder / "result").unlink()
            made += 1
    expect(made, "nothing was made again")


def walk(work, build):
    ours, criu = blocks()
    expected = [undisturbed(scratch(work, build, name), block)
                for name, block in (("ours", ours), ("by-criu", criu))]
    folder = scratch(work, build, "typed")
    terminal = Terminal(folder)
    try:
        for block, wanted in zip((ours, criu), expected):
            type_all(terminal, block, folder, wanted)
            (folder / "answer").unlink()
        for name, mark in (("copy", "shadowcl.json"), ("copy-by-criu", "inventory.img")):
            expect((folder / name / mark).exists(), f"there is no copy in {folder / name}")
    finally:
        terminal.close()
    print(f"typed {len(ours) + len(criu)} lines of {PAGE.name}: equal, "
          f"{sum(map(len, expected[0]))} bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, required=True)
    told = parser.parse_args()
    need_criu(4)
    if not shutil.which("bash"):
        skip("there is no bash")
    if subprocess.run([PYTHON, "-c", "import pyopencl"], stderr=subprocess.DEVNULL).returncode:
        skip("pyopencl is not installed: apt-get install python3-pyopencl")
    work = Path(tempfile.mkdtemp(prefix="criu-walk-"))
    try:
        walk(work, told.build.resolve())
    except Failure as failure:
        sys.exit(f"FAILED: {failure}")
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
