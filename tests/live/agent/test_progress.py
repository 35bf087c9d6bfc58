# SPDX-License-Identifier: Apache-2.0
"""What is said of a suspend and a resume that take their time: how much of the contents of each
process has been copied. The processes are real ones on the test driver, which copies slowly."""
import os
import subprocess

from harness import BIN, BUILD, Case, run_tests

MIB = 1 << 20
SLOW_US = 50000  # for each buffer, to copy it or a part of it


class Progress(Case):
    def setUp(self):
        super().setUp()
        self.faults = os.path.join(self.top, "faults")
        self.set_faults("")

    def set_faults(self, rule):
        with open(self.faults + ".new", "w", encoding="ascii") as file:
            file.write(f"{rule}\n")
        os.rename(self.faults + ".new", self.faults)

    def slow(self, call):
        self.set_faults(f"slow {call} {SLOW_US}")

    def contents(self, mib, count):
        """A program with so much in so many buffers, which says at the end whether they are right."""
        node = os.path.join(self.top, f"gpu{len(self.programs)}")
        with open(node, "wb") as file:
            file.truncate(4 * mib * MIB)  # as a device allows for one buffer of so much
        library = os.path.join(BUILD, "lib/testdriver/libshadowcl-testdriver.so")
        program = subprocess.Popen(
            [os.path.join(BIN, "shadowcl"), "run", "--", os.path.join(BIN, "bench-rates"),
             str(mib * MIB), str(count)],
            env=self.environment(SHADOWCL_DRIVERS=library, SHADOWCL_MAPPING="copy",
                                 SHADOWCL_TEST_DEVICE=node, SHADOWCL_TEST_FAULTS=self.faults),
            text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.programs.append(program)
        self.assertEqual(program.stdout.readline(), "ready\n")
        return program

    def expect_right(self, program):
        self.set_faults("")
        said, _ = program.communicate("check\n", timeout=60)
        self.assertEqual(said, "right\n")

    def watched(self, host, name, **arguments):
        """The events of a command that goes well, by process."""
        host.events.clear()
        host.done(name, **arguments)
        told = {}
        for event in host.events:
            if event["event"] == "progress":
                self.assertEqual(event["data"]["command"], name)
                told.setdefault(event["data"]["pid"], []).append(event["data"])
        return told

    def expect_rise(self, events, total, phase, last):
        """Bytes rise in that phase, and are all of them in the state that it ends in."""
        shown = [(event["phase"], event["bytes"]) for event in events]
        self.assertEqual({event["of"] for event in events}, {total}, shown)
        between = {size for name, size in shown if name == phase and 0 < size < total}
        self.assertGreaterEqual(len(between), 3, shown)
        self.assertEqual([size for _, size in shown], sorted(size for _, size in shown))
        self.assertEqual(shown[-1], (last, total), shown)

    def test_bytes_rise(self):
        program = self.contents(20, 20)
        host = self.started()
        self.slow("clEnqueueReadBuffer")
        told = self.watched(host, "suspend")
        self.expect_rise(told[program.pid], 20 * MIB, "capturing", "suspended")
        self.slow("clEnqueueWriteBuffer")
        told = self.watched(host, "resume")
        self.expect_rise(told[program.pid], 20 * MIB, "rebuilding", "running")
        self.expect_right(program)

    def test_large_buffer_goes_by_in_parts(self):
        """Of 64 MiB, each of which counts when it has gone by."""
        program = self.contents(130, 1)
        host = self.started()
        calls = os.path.join(self.top, "calls")
        self.set_faults(f"log {calls}")
        host.done("suspend")
        host.done("resume")
        said = self.read(calls).split()
        self.assertEqual(said.count(b"clEnqueueReadBuffer"), 3)
        self.assertEqual(said.count(b"clEnqueueWriteBuffer"), 3)
        self.expect_right(program)

    def test_bytes_rise_while_it_runs(self):
        """With `prepare`; what is copied again afterwards is not much."""
        program = self.contents(20, 20)
        host = self.started()
        self.slow("clEnqueueReadBuffer")
        told = self.watched(host, "suspend", prepare=True)
        self.expect_rise(told[program.pid], 20 * MIB, "running", "suspended")
        host.done("resume")
        self.expect_right(program)

    def test_bytes_that_go_up_later(self):
        """A lazy resume does not wait for them, and does not say that they are up."""
        program = self.contents(20, 20)
        host = self.started()
        host.done("suspend")
        self.slow("clCreateBuffer")
        told = self.watched(host, "resume", lazy=True)[program.pid]
        self.assertEqual({(event["bytes"], event["of"]) for event in told}, {(0, 20 * MIB)}, told)
        self.expect_right(program)

    def test_each_has_an_end(self):
        """Also one that has long ended when another is asked for the last time."""
        programs = [self.contents(mib, 20) for mib in (20, 40)]
        host = self.started()
        self.slow("clEnqueueReadBuffer")
        told = self.watched(host, "suspend")
        for program, mib in zip(programs, (20, 40)):
            last = told[program.pid][-1]
            self.assertEqual((last["phase"], last["bytes"], last["of"]),
                             ("suspended", mib * MIB, mib * MIB))
        host.done("resume")
        for program in programs:
            self.expect_right(program)


if __name__ == "__main__":
    run_tests()
