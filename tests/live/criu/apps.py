#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Debian's real programs, those of tests/apps, copied, killed and made again as the samples are in
copies.py. What each one's result is, and how two are compared, is told there too."""

import re
import sys
from pathlib import Path

from copies import Copies, run_copies
from harness import Program, find_criu, skip, undisturbed_now

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "apps"))
from programs import Clpeak, Hashcat, HashcatSlow, Opencv, PyopenclArray  # noqa: E402


def of_rounds(kind, rounds):
    """A script with less to do: it is not the number of its rounds that matters here."""
    class Shorter(kind):
        def command(self, work):
            return [*super().command(work)[:2], str(rounds)]
    return Shorter


# How far each is, from its output: the pattern's first group, and what that is at the end: phpass is
# cracked when 19 % of all words have been tried.
APPS = {
    "hashcat": (Hashcat, r"Progress\.+: \d+/\d+ \((\d+)", 100),
    "hashcat-phpass": (HashcatSlow, r"Progress\.+: \d+/\d+ \((\d+)", 19),
    "opencv": (of_rounds(Opencv, 15), r"^stage compute (\d+)$", 15),
    "pyopencl-array": (of_rounds(PyopenclArray, 12), r"^stage compute (\d+)$", 12),
    "clpeak": (Clpeak, None, 15),
}


class App(Program):
    def __init__(self, setup, name, app, far, end):
        self.app, self.far, self.whole = app, far and re.compile(far, re.MULTILINE), end
        super().__init__(setup, name, app.command(str(setup.work)), result=False)

    def fraction(self):
        said = self.out.read_text(errors="replace")
        if not self.far:  # each number that it prints is a step
            return min(len(re.findall(r":\s*[\d.]+", said)) / self.whole, 1)
        return int((self.far.findall(said) or [0])[-1]) / self.whole

    def answer(self):
        """The lines that must be the same, as tests/apps picks them out of `out`, `err` and `code`."""
        streams = Streams(self.out.read_text(errors="replace"), self.said())
        return "\n".join(self.app.result(streams, str(self.work))), b""

    def forget_answer(self):
        pass


class Streams:
    code = 0  # others are noticed where it ends

    def __init__(self, out, err):
        self.out, self.err = out, err


class Apps(Copies):
    def __init__(self, setup, name):
        super().__init__(setup, name)
        kind, self.far, self.end = APPS[name]
        self.app = kind(True, False)
        if not self.app.installed():
            skip(f"{name} is not installed: apt-get install {self.app.packages}")
        home = setup.work / "home"
        (home / "data").mkdir(parents=True)
        setup.environment |= {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"),
                              "LC_ALL": "C.UTF-8", "SHADOWCL_CRIU": find_criu()}
        for variable, value in self.app.environment().items():
            setup.environment[variable] = value.format(home=home)

    def start(self):
        self.count += 1
        return App(self.setup, f"{self.name}-{self.count}", self.app, self.far, self.end)

    def undisturbed(self):
        return undisturbed_now(self.start)


if __name__ == "__main__":
    run_copies(__doc__, Apps, APPS)
