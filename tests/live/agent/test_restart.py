# SPDX-License-Identifier: Apache-2.0
"""The agent killed and started again in each state: nobody stays suspended by accident, nothing that
the host was told is forgotten."""
import json
import os
import signal
import subprocess
import time

from harness import Case, needs_root, run_tests, wait_until


class Restart(Case):
    def test_running(self):
        self.peer()
        self.started()
        self.kill()
        self.expect_running(self.started())
        self.assertEqual(self.logs(), [[]])

    def test_suspending(self):
        """Nobody was told: all go on."""
        peers = [self.peer(), self.peer("suspend=slow")]
        host = self.started()
        host.send("suspend")
        wait_until(lambda: self.states(self.host())[peers[0].pid] == "suspended", "one is suspended")
        self.kill()
        self.assertTrue(os.path.lexists(self.mark))
        host = self.started()
        host.fails("Busy", "suspend")
        wait_until(lambda: host.done("status")["state"] == "running", "the agent has recovered")
        self.expect_running(host)
        self.assertEqual(self.logs(), [["suspend 10", "resume  0"]] * 2)

    def test_suspending_and_one_is_late(self):
        """The others need not wait for it; it is resumed when it turns out to be suspended."""
        peers = [self.peer(), self.peer("suspend=slow")]
        host = self.started()
        host.send("suspend")
        wait_until(lambda: set(self.states(self.host()).values()) == {"suspended", "draining"},
                   "one is suspended, the other is at it")
        os.kill(peers[1].pid, signal.SIGSTOP)
        self.kill()
        host = self.started()
        wait_until(lambda: self.states(host)[peers[0].pid] == "running", "one runs")
        self.assertEqual(host.done("status")["state"], "suspending")
        os.kill(peers[1].pid, signal.SIGCONT)
        wait_until(lambda: host.done("status")["state"] == "running", "the agent has recovered")
        self.expect_running(host)
        self.assertEqual(self.logs(), [["suspend 10", "resume  0"]] * 2)

    def test_suspending_in_a_hook(self):
        self.peer()
        self.hook("10-slow", "say $1; test $1 = return || sleep 5")
        host = self.started()
        host.send("suspend")
        wait_until(lambda: "10-slow release" in self.said(), "the hook runs")
        self.kill()
        host = self.started()
        wait_until(lambda: host.done("status")["state"] == "running", "the agent has recovered")
        self.assertEqual(self.said(), ["10-slow release", "10-slow return"])
        self.expect_running(host)

    def test_suspended(self):
        self.peer()
        self.hook("10-a", "say $1 $SHADOWCL_DEVICES")
        host = self.started(env=self.bus("0000:00:05.0", "0001:00:00.1"))
        first = host.ask("suspend", id="one", devices=["0000:00:05.0", "0001:00:00.1"])
        for end in (self.kill, self.stop):
            end()
            self.assertTrue(os.path.lexists(self.mark), "the mark went with the agent")
            host = self.started(env=self.bus("0000:00:05.0", "0001:00:00.1"))
            self.assertEqual(host.greeting["shadowcl"]["state"], "suspended")
            self.assertEqual(host.ask("suspend", id="one",
                                      devices=["0000:00:05.0", "0001:00:00.1"]), first)
        host.done("resume")
        self.expect_running(host)
        self.assertEqual(self.said(), ["10-a release 0000:00:05.0 0001:00:00.1",
                                       "10-a return 0000:00:05.0 0001:00:00.1"])
        self.assertEqual(self.logs(), [["suspend 10", "resume  0"]])

    def test_resuming(self):
        peers = [self.peer("resume=slow"), self.peer()]
        host = self.started()
        host.done("suspend")
        host.send("resume")
        wait_until(lambda: self.states(self.host())[peers[1].pid] == "running", "one runs")
        self.kill()
        host = self.started()
        self.assertEqual(host.greeting["shadowcl"]["state"], "suspended")
        wait_until(lambda: self.states(host)[peers[0].pid] in ("running", "suspended"),
                   "the slow one is done")
        host.done("resume")
        self.expect_running(host)

    def test_one_that_can_not_resume(self):
        """It stays suspended, and so does the state, until it goes somewhere."""
        self.peer()
        self.peer("resume=refuse")
        host = self.started()
        host.done("suspend")
        error = host.fails("Failed", "resume")
        self.assertEqual([each["state"] for each in error["data"]["processes"]],
                         ["running", "suspended"])
        self.assertIn("did not end before the deadline", error["desc"])
        self.assertEqual(host.done("status")["state"], "suspended")
        self.assertTrue(os.path.lexists(self.mark))
        self.peers.pop().stop()
        host.done("resume")
        self.expect_running(host)

    def test_other_boot(self):
        """A mark that a machine left before it was started anew means nothing."""
        with open(self.mark, "w", encoding="utf-8") as file:
            json.dump({"state": "suspended", "boot": "another", "hooks": False, "devices": ""}, file)
        self.expect_running(self.started())

    def test_strange_marks(self):
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read().strip()
        for content in ("", "[]", "{", json.dumps({"state": 5, "boot": boot}),
                        json.dumps({"state": "elsewhere", "boot": boot}), "x" * 100000):
            with open(self.mark, "w", encoding="utf-8") as file:
                file.write(content)
            self.expect_running(self.started())
            self.kill()

    def test_freed_by_hand(self):
        """`shadowcl resume --all` works without the agent, which takes note when it is there."""
        self.peer()
        self.peer()
        host = self.started()
        host.done("suspend")
        done = self.shadowcl("resume", "--all")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(host.event("state", lambda data: data["state"] == "running"),
                         {"state": "running", "before": "suspended"})
        self.expect_running(host)
        host.done("suspend")
        self.kill()
        self.assertEqual(self.shadowcl("resume", "--all").returncode, 0)
        self.assertFalse(os.path.lexists(self.mark))
        self.expect_running(self.started())

    def test_mark_removed_by_hand(self):
        host = self.started()
        host.done("suspend")
        os.unlink(self.mark)
        start = time.monotonic()
        host.event("state", lambda data: data["state"] == "running")
        self.assertLess(time.monotonic() - start, 3)

    def test_mark_removed_and_nobody_resumed(self):
        """What is suspended is not said to be running."""
        self.peer()
        host = self.started()
        host.done("suspend")
        os.unlink(self.mark)
        time.sleep(2.5)
        self.assertEqual(host.done("status")["state"], "suspended")
        host.done("resume")
        self.expect_running(host)
        self.assertEqual(self.logs(), [["suspend 10", "resume  0"]])

    def read_only(self, wanted):
        """The runtime directory, as on a disk that has failed."""
        for command in self.to_read_only() if wanted else [["umount", self.run]]:
            subprocess.run(command, check=True)
        if wanted:
            self.addCleanup(subprocess.run, ["umount", "-q", self.run], check=False)

    def to_read_only(self):
        return [["mount", "--bind", self.run, self.run],
                ["mount", "-o", "remount,bind,ro", self.run]]

    @needs_root
    def test_no_place_for_the_end(self):
        """Who is told that all is suspended must find it so, also after this agent."""
        self.peer()
        shut = "; ".join(" ".join(command) for command in self.to_read_only())
        self.addCleanup(subprocess.run, ["umount", "-q", self.run], check=False)
        self.hook("10-a", f"say $1; if [ $1 = return ]; then umount {self.run}; else {shut}; fi")
        host = self.started()
        error = host.fails("Internal", "suspend")
        self.assertIn("suspended.", error["object"])
        self.expect_running(host)
        self.assertEqual(self.said(), ["10-a release", "10-a return"])
        self.assertEqual(self.logs(), [["suspend 10", "resume  0"]])

    @needs_root
    def test_mark_that_stays(self):
        """A resume does not fail for it; it is said, and tried again."""
        self.peer()
        host = self.started()
        host.done("suspend")
        self.read_only(True)
        host.done("resume")
        self.assertEqual(host.done("status")["state"], "running")
        self.assertIn("can't be removed", self.messages())
        self.read_only(False)
        wait_until(lambda: not os.path.lexists(self.mark), "the mark is removed", 5)
        self.assertEqual(self.logs(), [["suspend 10", "resume  0"]])

    @needs_root
    def test_no_place_for_the_state(self):
        """What can't be marked is not begun."""
        peer = self.peer()
        host = self.started()
        self.read_only(True)
        error = host.fails("Internal", "suspend")
        self.assertIn("suspended.", error["object"])
        self.assertEqual(host.done("status")["state"], "running")
        self.read_only(False)
        host.done("suspend")
        host.done("resume")
        self.assertEqual(peer.stop(), ["suspend 10", "resume  0"])
        self.peers = []


if __name__ == "__main__":
    run_tests()
