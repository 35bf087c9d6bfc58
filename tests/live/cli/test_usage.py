# SPDX-License-Identifier: Apache-2.0
"""What is wrong on the command line: exit code 2, and nobody is asked anything."""
import os
import re

from harness import Case, run_tests


class Usage(Case):
    def usage(self, pattern, *args):
        with self.subTest(args=args):
            self.shadowcl(*args)
            self.expect(2, pattern, r"--help")
            self.equal(self.ran.stdout, "")

    def test_verbs_and_options(self):
        self.usage("verb is missing")
        self.usage("unknown verb `susspend`", "susspend", 1)
        self.usage("unknown option `--jason`", "--jason")
        for verb in ("ps", "suspend", "resume", "prepare", "move", "run"):
            self.usage("unrecognized option.*--frobnicate", verb, "--frobnicate")
        self.usage("`12` is too much", "ps", 12)
        self.usage("requires an argument", "suspend", 1, "--deadline")

    def test_pids(self):
        for verb in ("suspend", "resume"):
            self.usage("--all is missing", verb)
            self.usage("not both", verb, "--all", 12)
            for pid in ("abc", "12x", "0", "", " 12", "99999999999999999999", "4.5", "+4"):
                self.usage("is not a process id", verb, pid)
            self.usage("invalid option", verb, "-5")
            self.usage("is not a process id", verb, "--", "-5")
        self.usage("process id is missing", "move", "--device", "0")
        self.usage("--all is missing", "prepare", "--device", "0")
        self.usage("not both", "prepare", "--all", 12, "--device", "0")
        self.usage("is not a process id", "prepare", "12x", "--device", "0")
        self.usage("one process id", "move", 1, 2, "--device", "0")
        self.usage("unrecognized option.*--all", "move", "--all", "--device", "0")

    def test_specs(self):
        self.usage("--device is missing", "move", 1)
        self.usage("--device is missing", "prepare", 1)
        self.usage("--device is missing", "prepare", "--all")
        for spec in ("", ",", "a,,b", " ", "a:", ":0", "a,", "a\nb", "\x1b[1m", "x" * 5000):
            self.usage("--device", "move", 1, "--device", spec)
            self.usage("--device", "resume", 1, "--device", spec)
            self.usage("--device", "prepare", 1, "--device", spec)

    def test_deadlines(self):
        for verb in (["suspend", 1], ["move", 1, "--device", "0"], ["prepare", 1, "--device", "0"]):
            for text in ("", "0", "-1", "nan", "inf", "1e3", "abc", "1s", "86401", "0x10", ".",
                         "1.2.3", "9" * 400):
                self.usage("--deadline", *verb, "--deadline", text)
        for verb in (["suspend", 1], ["move", 1, "--device", "0"]):
            for text in ("0", "-1", "1001", "2.5", "x", "nan", ""):
                self.usage("--max-rounds", *verb, "--max-rounds", text)
            for text in ("0", "-1", "1e3", "x", "inf", "", "5ms"):
                self.usage("--target-downtime", *verb, "--target-downtime", text)
            for text in ("0", "-1", "M", "5MB", "5 M", "x", ""):
                self.usage("--max-rate", *verb, "--max-rate", text)

    def test_run(self):
        self.usage("command to run is missing", "run")
        self.usage("command to run is missing", "run", "--")
        self.usage("--mapping", "run", "--mapping", "both", "true")
        for log in ("", "loud", "warn:", "debugger", ":x"):
            self.usage("--log", "run", "--log", log, "true")
        self.usage("--drivers is empty", "run", "--drivers", "", "true")
        self.usage("--runtime-dir is empty", "run", "--runtime-dir", "", "true")

    def test_help(self):
        self.shadowcl("--help")
        self.expect(0, out=["Exit codes"])
        verbs = re.findall(r"^  ([a-z-]+) ", self.ran.stdout, re.M)
        for verb in ("run", "ps", "suspend", "resume", "prepare", "move", "vm-migrate"):
            self.assertIn(verb, verbs)
        pages = os.path.join(os.path.dirname(__file__), "../../../docs/man")
        for verb in verbs:
            self.shadowcl(verb, "--help")
            self.expect(0, out=["Usage: shadowcl " + verb, "--json"])
            self.assertTrue(os.path.exists(f"{pages}/shadowcl-{verb}.1.scd"), verb)
        self.shadowcl("--version")
        self.expect(0, out=[r"^shadowcl \d+\.\d+"])


if __name__ == "__main__":
    run_tests()
