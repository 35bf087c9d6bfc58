#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A storm whose resume fails is heard of within seconds: it is tried again, and counts as refused;
if nothing helps, the program ends, with the reason on its standard error.

test_no_resume.py BUILD
"""
import os
import re
import subprocess
import sys
import tempfile
import unittest

BUILD = ""
PATIENCE = 60  # seconds; the run itself takes one or two
FIRST_RESUME = 2  # the program's own context is the first


class NoResume(unittest.TestCase):
    def storm(self, failing):
        """vadd under a storm in which the contexts of these numbers can't be made: its exit code,
        its standard error and its log."""
        with tempfile.TemporaryDirectory(prefix="shadowcl-storm-") as work:
            node, faults, log = (os.path.join(work, name) for name in ("node", "faults", "log"))
            with open(node, "wb") as file:
                file.truncate(64 << 20)
            with open(faults, "w", encoding="utf-8") as file:
                file.writelines(f"fail clCreateContext {number} -5\n" for number in failing)
            environment = {name: value for name, value in os.environ.items()
                           if not name.startswith(("SHADOWCL_", "OCL_ICD_"))} | {
                "SHADOWCL_RUNTIME_DIR": work, "POCL_CACHE_DIR": work, "SHADOWCL_STORM": "1,7",
                "SHADOWCL_LOG": f"info:{log}", "SHADOWCL_DRIVERS":
                    os.path.join(BUILD, "lib/testdriver/libshadowcl-testdriver.so"),
                "SHADOWCL_TEST_DEVICE": node, "SHADOWCL_DEVICE_NODES": node,
                "SHADOWCL_TEST_FAULTS": faults}
            done = subprocess.run(
                [os.path.join(BUILD, "bin/shadowcl"), "run", "--",
                 os.path.join(BUILD, "bin/sample-vadd"), "--size", "4096", "--repeat", "2"],
                env=environment, cwd=work, capture_output=True, text=True, timeout=PATIENCE)
            with open(log, encoding="utf-8") as file:
                return done.returncode, done.stderr, file.read()

    def test_that_fails_once(self):
        code, errors, log = self.storm([FIRST_RESUME])
        self.assertEqual(code, 0, errors)
        self.assertRegex(log, "error: storm: no resume: context [0-9]+: .*-5")
        self.assertRegex(log, r"storm: [1-9]\d* cycles, 1 refused")

    def test_that_always_fails(self):
        code, errors, log = self.storm(range(FIRST_RESUME, 100))
        self.assertNotEqual(code, 0)
        said = "storm: the program stays suspended, and is ended: context [0-9]+: .*-5"
        self.assertRegex(errors, said)
        self.assertRegex(log, said)
        self.assertGreater(len(re.findall("error: storm: no resume", log)), 1)


if __name__ == "__main__":
    BUILD = sys.argv.pop()
    unittest.main()
