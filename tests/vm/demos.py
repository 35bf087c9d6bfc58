# SPDX-License-Identifier: Apache-2.0
"""What scripts/demo-vm.sh shows, when all is built: as it is watched, and by hand, where somebody types
what it prints."""
import os
import re
import shlex
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
LIMIT = 800  # s
AS_IT_SHOULD_BE = re.compile(r"As it should be\.\x1b\[0m\n\d+ s\n$")


class Shown:
    """The demonstration as a process; what it says is read while it runs."""

    def __init__(self, lab, *options):
        self.text, self.lock = "", threading.Condition()
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", "--", sys.executable, "-B", f"{HERE}/demo.py", "--build",
             lab.build, *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            with self.lock:
                self.text += line
                self.lock.notify_all()

    def wait_said(self, pattern):
        with self.lock:
            found = self.lock.wait_for(lambda: re.search(pattern, self.text) or
                                       self.process.poll() is not None, LIMIT)
        match = re.search(pattern, self.text)
        assert found and match, f"it does not say `{pattern}`:\n{self.text}"
        return match

    def end(self):
        """All that it has said."""
        code = self.process.wait(LIMIT)
        self.reader.join(10)
        assert code == 0 and AS_IT_SHOULD_BE.search(self.text), f"exit {code}\n{self.text}"
        return self.text

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)


def demo(lab):
    """What scripts/demo-vm.sh shows."""
    with Shown(lab) as shown:
        said = shown.end()
    lab.say(said)
    for each in ("  QEMU: ", "$ shadowcl vm-migrate", "no process had it open or mapped", "machine B",
                 "the canaries are intact"):
        assert each in said, f"it does not show `{each}`:\n{said}"
    equal = re.search(r"^  all (\d+) bytes are equal", said, re.MULTILINE)
    assert equal and int(equal[1]) > 0, said


def typed(command, limit=LIMIT):
    return subprocess.run(["bash", "-c", command], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=limit, check=False)


def demo_by_hand(lab):
    """scripts/demo-vm.sh --by-hand, and what it prints, typed: first with --dry-run."""
    with Shown(lab, "--by-hand") as shown:
        printed = shown.wait_said(r"\n((?:  .*\\\n)+  .*\n)\n")[1]
        picture = os.path.join(lab.cache, "by-hand.svg")
        dry = typed(f"{printed.strip()} --dry-run")
        lab.say(f"{printed} --dry-run\n{dry.stdout}{dry.stderr}")
        assert dry.returncode == 0, f"{dry}"
        moved = typed(f"{printed.strip()} --timeline {shlex.quote(picture)}")
        lab.say(f"{moved.stdout}{moved.stderr}")
        assert moved.returncode == 0, f"{moved}"
        said = shown.end()
    assert "all of the program's contents are right; the canaries are intact" in said, said
    assert os.path.getsize(picture) > 1000, "no picture was drawn"
