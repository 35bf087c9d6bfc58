# SPDX-License-Identifier: Apache-2.0
"""The agent, asked by `shadowcl vm-suspend` and `vm-resume`: what takes its time is asked for again
and again, also from an agent that was started anew."""
import os
import subprocess
import time

from harness import BIN, Case, run_tests, wait_until


class HostSide(Case):
    def begin(self, verb):
        return subprocess.Popen([os.path.join(BIN, "shadowcl"), verb, "--agent", self.socket],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def end(self, process):
        out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, f"{out}{err}\n{self.messages()}")

    def test_suspend_of_15_s(self):
        """The command is sent some ten times meanwhile, and done once."""
        peer = self.peer()
        self.hook("10-slow", "say $1; test $1 = return || sleep 15")
        self.start()
        start = time.monotonic()
        self.end(self.begin("vm-suspend"))
        self.assertGreater(time.monotonic() - start, 15)
        self.assertTrue(os.path.lexists(self.mark))
        self.end(self.begin("vm-resume"))
        self.assertEqual(self.said(), ["10-slow release", "10-slow return"])
        self.peers.remove(peer)
        self.assertEqual([line.split(",")[0] for line in peer.stop()], ["suspend 10", "resume  0"])

    def test_agent_is_started_anew(self):
        """It first resumes what the one before has left suspended, and is busy with that."""
        peer = self.peer("resume=slow")
        self.hook("10-slow", "say $1; test $1 = return || test -e $0.seen || "
                             "{ touch $0.seen; sleep 3; }")
        self.start()
        process = self.begin("vm-suspend")
        wait_until(lambda: "10-slow release" in self.said(), "the hook runs")
        self.kill()
        self.start(wait=False)
        self.end(process)
        self.assertTrue(os.path.lexists(self.mark))
        self.assertIn("after an agent that died while suspending", self.messages())
        self.peers.remove(peer)
        self.assertEqual([line.split(",")[0] for line in peer.stop()], ["suspend 10", "resume  0", "suspend 10"])


run_tests()
