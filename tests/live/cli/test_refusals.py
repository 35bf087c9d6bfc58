# SPDX-License-Identifier: Apache-2.0
"""Processes that refuse, are absent, foreign, silent, or die half way."""
import os
import signal
import subprocess
import time

from harness import Case, MOVE, needs_root, NOBODY, PS, RESUME, run_tests, SUSPEND


class Refusals(Case):
    def test_refused(self):
        peer = self.peer("suspend=refuse", "move=refuse")
        for verb in (["suspend", peer.pid], ["move", peer.pid, "--device", "0"]):
            self.shadowcl(*verb, "--json")
            self.expect_refusal(f"{peer.pid} hashcat: kernel `solve`", "did not end",
                                "give it longer", "running")
            element, = self.answer()
            self.equal((element["state"], element["error"]["object"]),
                       ("running", "kernel `solve`"))

    def test_wrong_state(self):
        peer = self.peer()
        self.shadowcl("resume", peer.pid)
        self.expect_refusal(str(peer.pid), "not suspended", "", "running")
        self.shadowcl("resume", "--all")
        self.expect_refusal("resume", "is running already", "")
        self.shadowcl("suspend", peer.pid)
        self.expect(0)
        self.shadowcl("suspend", peer.pid, "--json")
        self.expect_refusal(str(peer.pid), "not running", "", "suspended")
        self.equal(self.answer(SUSPEND)[0]["state"], "suspended")
        self.shadowcl("suspend", "--all", "--json")
        self.expect_refusal("suspend", "suspended already", "")
        self.equal(self.answer(), [])
        self.shadowcl("resume", peer.pid)
        self.expect(0)

    def test_nobody(self):
        for verb in ("suspend", "resume"):
            self.shadowcl(verb, "--all", "--json")
            self.expect_refusal(verb, "no process is under shadowcl", "shadowcl run")
            self.equal(self.answer(), [])

    def test_no_such_process(self):
        gone = subprocess.Popen(["true"])
        gone.wait()
        for verb, fields in ((["suspend"], SUSPEND), (["resume"], RESUME),
                             (["move", "--device", "0"], MOVE)):
            self.shadowcl(*verb, gone.pid, "--json")
            self.expect_refusal(str(gone.pid), "no such process", "shadowcl ps", "gone")
            element, = self.answer(fields)
            self.equal((element["state"], element["pid"], element["error"]["object"]),
                       ("gone", gone.pid, f"process {gone.pid}"))

    def test_not_under_shim(self):
        with subprocess.Popen(["sleep", "60"]) as other:
            self.shadowcl("suspend", other.pid, "--json")
            other.kill()
        self.expect_refusal(f"{other.pid} sleep", "not under shadowcl", "shadowcl run", "unknown")
        self.equal(self.answer(SUSPEND)[0]["state"], "unknown")

    @needs_root
    def test_not_ours(self):
        os.chmod(self.dir, 0o1777)
        peer = self.peer()
        self.shadowcl("suspend", peer.pid, "--json", user=NOBODY)
        self.expect_refusal(str(peer.pid), "belongs to root, not to you", "as root", "unknown")
        self.expect(1, "note: .*left alone 1 socket of other users")
        self.answer(SUSPEND)
        self.shadowcl("ps", user=NOBODY)
        self.expect(0, "note: .*left alone 1 socket")
        self.peers = []
        self.equal(peer.stop(), [])

    @needs_root
    def test_root_sees_all(self):
        os.chmod(self.dir, 0o1777)
        peer = self.peer(user=NOBODY)
        self.shadowcl("ps", "--json")
        self.expect(0)
        self.equal([each["uid"] for each in self.answer() if each["pid"] == peer.pid], [NOBODY])

    @needs_root
    def test_owner_differs(self):
        os.chmod(self.dir, 0o1777)
        peer = self.peer(user=NOBODY)
        os.chown(os.path.join(self.dir, "1-0.sock"), 1, 1)
        self.shadowcl("ps", "--json")
        self.expect(0, r"note: socket .*1-0.sock.*another user listens", "to do:")
        self.equal([each for each in self.answer() if each["pid"] == peer.pid], [])

    def test_bad_answers(self):
        for how, why in (("close", "before it answered"), ("half", r"in the middle.*of \d+ bytes"),
                         ("garbage", "not one that shadowcl understands"),
                         ("oversized", "claims 1073741824 bytes"), ("empty", "no version")):
            with self.subTest(how=how):
                peer = self.peer("suspend=" + how, "resume=" + how, "move=" + how)
                state = "suspended" if how == "half" else "running"
                self.shadowcl("resume", peer.pid)
                self.expect_refusal(str(peer.pid), why, "shadowcl ps", "running")
                self.shadowcl("suspend", peer.pid, "--json")
                self.expect_refusal(str(peer.pid), why if state == "running" else "", "",
                                    "running|suspended")
                self.answer(SUSPEND)

    def test_bad_status(self):
        for how, state in (("close", "unknown"), ("garbage", "unknown"), ("oversized", "unknown"),
                           ("half", "unknown"), ("silent", "not answering")):
            with self.subTest(how=how):
                peer = self.peer("status=" + how)
                self.shadowcl("ps", "--json")
                self.expect(0)
                element = [each for each in self.answer(PS) if each["pid"] == peer.pid][0]
                self.equal((element["state"], element["devices"]), (state, []))
                self.shadowcl("suspend", "--all")
                self.expect_refusal(str(peer.pid), "does not say its state", "--all", state)
                self.peers.remove(peer)
                self.equal(peer.stop(), [])

    def test_dies(self):
        for how in ("die", "die-half"):
            with self.subTest(how=how):
                peer = self.peer("suspend=" + how)
                self.shadowcl("suspend", peer.pid, "--json")
                self.expect_refusal(str(peer.pid), "ended before it answered", "exit code", "gone")
                self.equal(self.answer(SUSPEND)[0]["state"], "gone")

    def test_timeout(self):
        peer = self.peer("suspend=slow")
        self.shadowcl("suspend", peer.pid, "--timeout", "0.4", "--json")
        self.expect_refusal(str(peer.pid), "no answer within 0.4 s", "shadowcl ps", "draining")
        self.equal(self.answer(SUSPEND)[0]["state"], "draining")

    def test_stopped(self):
        peer = self.peer()
        os.kill(peer.pid, signal.SIGSTOP)
        self.shadowcl("ps")
        self.expect(0, out=[rf"{peer.pid} .*not answering"])
        self.shadowcl("resume", peer.pid, "--timeout", "0.3")
        self.expect_refusal(str(peer.pid), "no answer", "shadowcl ps", "not answering")
        os.kill(peer.pid, signal.SIGCONT)

    def test_lost_answer(self):
        """It suspended, but could not say so: taken back, so that exit 1 means running."""
        peer = self.peer("suspend=lost")
        self.shadowcl("suspend", peer.pid)
        self.expect_refusal(str(peer.pid), "before it answered", "", "running")
        self.peers = []
        self.equal(peer.stop(), ["suspend 10", "resume  0"])

    def test_interrupt(self):
        peer = self.peer("suspend=slow")
        process = subprocess.Popen([os.path.join(self.tree, "bin/shadowcl"), "suspend",
                                    str(peer.pid)], stderr=subprocess.PIPE, text=True,
                                   env=dict(os.environ, SHADOWCL_RUNTIME_DIR=self.dir))
        time.sleep(0.7)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
        self.assertEqual(process.returncode, 1, err)
        self.assertRegex(err, "interrupted before its answer; it may go on")
        self.assertRegex(err, "state: draining\n  to do: .*shadowcl ps")


if __name__ == "__main__":
    run_tests()
