# SPDX-License-Identifier: Apache-2.0
"""A program that starts while the machine is suspended waits at its first OpenCL call."""
import os
import subprocess
import time

from harness import BIN, Case, needs_root, NOBODY, run_tests, wait_until

FEW = ("--repeat", "3", "--size", "64")


class Start(Case):
    def waiting(self, program, seconds=1.0):
        """It has come so far that it listens, and no further."""
        wait_until(lambda: [name for name in os.listdir(self.run)
                            if name.startswith(f"{program.pid}-")], "it listens")
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.assertIsNone(program.poll(), self.read(program.output))
            self.assertNotIn(b"round", self.read(program.output))
            time.sleep(0.05)
        with open(f"/proc/{program.pid}/maps", encoding="utf-8") as maps:
            self.assertNotIn("libpocl", maps.read())

    def goes_on(self, program):
        self.assertEqual(program.wait(60), 0, self.read(program.output))
        self.assertIn(b"round", self.read(program.output))

    def test_waits(self):
        before = self.program()
        host = self.started()
        host.done("suspend")
        program = self.program(*FEW, wait=False)
        self.waiting(program, 6)
        self.assertIn(b"its first OpenCL call waits", self.read(program.log))
        self.assertEqual(self.read(program.log).count(b"its first OpenCL call waits"), 1)
        # It has nothing, so it needs no suspend; a second one finds all as it was.
        self.assertTrue(before.pid in self.states(host))
        host.done("resume")
        self.goes_on(program)
        self.assertIsNone(before.poll())

    def test_suspended_twice_meanwhile(self):
        """The one that waits is a process like any other: it is suspended and resumed too."""
        host = self.started()
        host.done("suspend")
        program = self.program(*FEW, wait=False)
        self.waiting(program)
        host.done("suspend")
        self.assertEqual(self.states(host), {program.pid: "suspended"})
        self.waiting(program)
        host.done("resume")
        self.goes_on(program)

    def test_says_nothing_when_short(self):
        host = self.started()
        host.done("suspend")
        program = self.program(*FEW, wait=False)
        self.waiting(program)
        host.done("resume")
        self.goes_on(program)
        self.assertNotIn(b"waits", self.read(program.log))

    def test_freed_without_the_agent(self):
        self.started().done("suspend")
        self.kill()
        program = self.program(*FEW, wait=False)
        self.waiting(program)
        done = self.shadowcl("resume", "--all")
        self.assertIn("running already", done.stderr)
        self.goes_on(program)

    def test_freed_by_the_next_agent(self):
        self.started().done("suspend")
        self.kill()
        program = self.program(*FEW, wait=False)
        self.waiting(program)
        self.started().done("resume")
        self.goes_on(program)

    def test_comes_and_goes(self):
        """The mark may go at any moment."""
        programs = []
        for i in range(12):
            with open(self.mark, "w", encoding="ascii"):
                pass
            programs.append(self.program(*FEW, wait=False))
            time.sleep(0.02 * i)
            os.unlink(self.mark)
        for program in programs:
            self.goes_on(program)

    def test_not_a_mark(self):
        for make in (os.mkdir, lambda path: os.symlink("/etc/passwd", path), os.mkfifo):
            make(self.mark)
            self.goes_on(self.program(*FEW, wait=False))
            if os.path.isdir(self.mark) and not os.path.islink(self.mark):
                os.rmdir(self.mark)
            else:
                os.unlink(self.mark)

    @needs_root
    def test_whose_mark(self):
        """Root's counts for all, a user's for that user only."""
        os.chmod(self.top, 0o777)
        for owner, name, user, waits in (
                (NOBODY, "suspended.0", None, False), (NOBODY, "suspended.0", NOBODY, False),
                (0, f"suspended.{NOBODY}", NOBODY, False), (1, f"suspended.{NOBODY}", NOBODY, False),
                (NOBODY, f"suspended.{NOBODY}", None, False),
                (NOBODY, f"suspended.{NOBODY}", NOBODY, True), (0, "suspended.0", NOBODY, True)):
            path = os.path.join(self.run, name)
            with open(path, "w", encoding="ascii"):
                pass
            os.chown(path, owner, owner)
            cache = os.path.join(self.top, f"cache{user}")
            env = {"POCL_CACHE_DIR": cache, "HOME": cache}
            program = self.program(*FEW, wait=False, user=user, env=env)
            if waits:
                wait_until(lambda: [name for name in os.listdir(self.run)
                                    if name.startswith(f"{program.pid}-")], "it listens")
                time.sleep(0.5)
                self.assertIsNone(program.poll(), f"{owner} {name} {user}")
                os.unlink(path)
            self.goes_on(program)
            if not waits:
                os.unlink(path)

    @needs_root
    def test_agent_of_a_user(self):
        """A user's own agent suspends that user's programs, and marks them only."""
        os.chmod(self.top, 0o777)
        self.hooks = "/nothing"
        user = self.peer(user=NOBODY)
        other = self.peer()
        agent = os.path.join(self.top, "start")
        with open(agent, "w", encoding="ascii") as file:
            file.write("#!/bin/sh\nexec setpriv --reuid=65534 --regid=65534 --clear-groups \"$@\"\n")
        os.chmod(agent, 0o755)
        self.agent = subprocess.Popen([agent, os.path.join(BIN, "shadowcl-agent"), "--socket",
                                       self.socket, "--log", self.log],
                                      env=self.environment(), stdin=subprocess.DEVNULL)
        wait_until(self.listens, "the agent listens")
        host = self.host()
        done = host.done("suspend")
        self.assertEqual([each["pid"] for each in done["processes"]], [user.pid])
        self.assertTrue(os.path.exists(os.path.join(self.run, f"suspended.{NOBODY}")))
        self.goes_on(self.program(*FEW, wait=False))
        host.done("resume")
        self.assertEqual(other.stop(), [])
        self.peers.remove(other)


if __name__ == "__main__":
    run_tests()
