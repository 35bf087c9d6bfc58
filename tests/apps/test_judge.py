#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The judge of real programs (run.py) says no: to a program that is wrong, that fails, that is not
under shadowcl, that uses no OpenCL, that can't be suspended, and that has too few cycles."""
import os
import sys
import tempfile
import types
import unittest

from cycles import at_count
from programs import Program
from run import Bench, exit_code, row_of

BUILD = None
STEPS = 60000
HEAT = f"$BIN/sample-heat --size 128 --steps {STEPS}"  # says each step on standard error
BRIEF = "$BIN/sample-heat --size 128 --steps 5000"
UNDER = '[ -n "$SHADOWCL_RUNTIME_DIR" ]'  # true under shadowcl alone


def at_step(part):
    return at_count(f"{part:.0%} of the steps", r"step (\d+)", int(part * STEPS))


class Script(Program):
    """A shell script whose output is the result."""
    name = "script"

    def __init__(self, script, moments=None):
        super().__init__(short=True, storming=False)
        self.script = script
        self.wanted = moments or [at_step(k / 10) for k in (1, 2, 3, 4, 5)]

    def installed(self):
        return True

    def environment(self):
        return {"BIN": os.path.join(BUILD, "bin")}

    def command(self, work):
        return ["/bin/sh", "-c", self.script]

    def moments(self, native):
        return self.wanted

    def result(self, run, work):
        if run.code:
            raise ValueError(f"exit code {run.code}")
        return run.out.splitlines()


class Judge(unittest.TestCase):
    def verdict(self, script, moments=None):
        given = types.SimpleNamespace(build=BUILD, short=True, storm=None, native=False, cycles=5,
                                      mapping=None, allow_missing=True)
        with tempfile.TemporaryDirectory() as runtime_dir:
            bench = Bench(given, runtime_dir)
            bench.root = runtime_dir
            row = row_of(bench, Script(script, moments))
        self.assertEqual(exit_code([row], given), int(row["verdict"] != "equal"), row)
        return row["verdict"]

    def test_right(self):
        self.assertEqual(self.verdict(HEAT), "equal")

    def test_wrong(self):
        self.assertEqual(self.verdict(f"{BRIEF}; {UNDER} && echo more; true"), "differs")

    def test_wrong_natively_too(self):
        self.assertEqual(self.verdict(f"{BRIEF}; date +%N"), "native differs from native")

    def test_fails(self):
        self.assertEqual(self.verdict(f"{BRIEF}; {UNDER} && exit 3; true"), "failed")

    def test_not_under_shadowcl(self):
        self.assertEqual(self.verdict(f"unset LD_PRELOAD LD_LIBRARY_PATH; {BRIEF}"),
                         "not under shadowcl")

    def test_refuses(self):
        """Somebody else has suspended it just before."""
        moments = [at_step(k / 10) for k in (1, 2, 3)] + [suspended_at_step(k / 10) for k in (4, 5)]
        self.assertEqual(self.verdict(HEAT, moments), "cycle failed")

    def test_too_few_cycles(self):
        self.assertEqual(self.verdict(HEAT, [at_step(k / 10) for k in (1, 2, 11, 12, 13)]), "too few cycles")


def suspended_at_step(part):
    """It is suspended when the cycle begins."""
    moment = at_step(part)
    reached = moment.reached

    def suspend_first(run):
        if not reached(run):
            return False
        run.shadowcl.ask("suspend", *[one["pid"] for one in run.ours()])
        return True
    moment.reached = suspend_first
    return moment


if __name__ == "__main__":
    BUILD = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2, warnings="ignore")
