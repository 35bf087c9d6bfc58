#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What goes wrong when the hard part is done: a resume that fails after a good dump."""

from cases import Cases, HEAT, STEPS, run_cases
from harness import Setup, call, check, checkpoint, expect, restore


class Mishaps(Cases):
    def on_test_driver(self):
        """The file that tells it what to fail."""
        work = self.setup.work / "gpu"
        work.mkdir()
        faults = work / "faults"
        faults.write_text("")
        self.setup = Setup(self.setup.bin.parent, "testdriver", "copy", work)
        self.setup.environment["SHADOWCL_TEST_FAULTS"] = str(faults)
        return faults

    def write_script(self, name, text):
        script = self.setup.work / name
        script.write_text(f"#!/bin/sh\n{text}\n")
        script.chmod(0o755)
        return script

    def case_left_suspended(self):
        """Copied, to be left running, and its device can't be had again: the copy is whole."""
        faults = self.on_test_driver()
        unlucky = self.write_script("unlucky-criu", f'{self.criu} "$@" || exit\n[ "$1" != dump ] || '
                                    f'echo "fail clCreateContext 1 -6" >{faults}')
        words = [self.setup.bin / "sample-heat", *HEAT, STEPS // 4 * self.times]
        expected = self.undisturbed("short", words)
        with self.launch("short", words) as program:
            program.wait_until(0.2)
            directory = self.directory()
            said = call(self.setup, "checkpoint", "--leave-running", program.pid, directory, code=1,
                        environment={"SHADOWCL_CRIU": unlucky})
            for word in ("can't make it again (-6)", "state: suspended",
                         f"the copy is whole; try `shadowcl resume {program.pid}`"):
                expect(word in said, f"`{word}` is not said: {said}")
            expect((directory / "shadowcl.json").exists(), "it is not marked as whole")
            faults.write_text("")
            call(self.setup, "resume", program.pid)
            self.wait_for_state(program, "running")
            program.kill()
            self.setup.replace_node()
            program.forget_answer()
            check(expected, restore(self.setup, program, directory, "--truncate"))


if __name__ == "__main__":
    run_cases(__doc__, Mishaps)
