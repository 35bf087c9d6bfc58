# SPDX-License-Identifier: Apache-2.0
"""Many processes at once: a suspend that fails for one is taken back for all."""
import subprocess
import time

from harness import Case, RESUME, run_tests, SUSPEND


class AllOrNone(Case):
    def three(self, *last):
        return [self.peer(), self.peer(), self.peer(*last)]

    def logs(self):
        logs, self.peers = [peer.stop() for peer in self.peers], []
        return logs

    def test_all(self):
        peers = self.three()
        self.shadowcl("suspend", "--all", "--json")
        self.expect(0)
        self.equal(sorted(each["pid"] for each in self.answer(SUSPEND)),
                   sorted(peer.pid for peer in peers))
        self.shadowcl("resume", peers[1].pid)
        self.shadowcl("suspend", "--all", "--json")
        self.expect(0)
        self.equal([each["pid"] for each in self.answer(SUSPEND)], [peers[1].pid])

    def test_at_once(self):
        for _ in range(3):
            self.peer("suspend=slow")
        start = time.monotonic()
        self.shadowcl("suspend", "--all")
        self.expect(0)
        self.assertLess(time.monotonic() - start, 5)

    def test_one_refuses(self):
        peers = self.three("suspend=refuse")
        self.shadowcl("suspend", *(peer.pid for peer in peers), "--json")
        self.expect_refusal(f"{peers[0].pid} hashcat",
                            f"resumed again, because process {peers[2].pid}", "leave it out",
                            "running")
        self.equal([each["state"] for each in self.answer(SUSPEND)], ["running"] * 3)
        self.equal([bool(each["error"]) for each in self.answer()], [True] * 3)
        self.equal(self.logs(), [["suspend 10", "resume  0"]] * 2 + [["suspend 10"]])

    def test_one_dies(self):
        self.three("suspend=die")
        self.shadowcl("suspend", "--all", "--json")
        self.expect(1, "ended before it answered", "resumed again")
        self.equal(sorted(each["state"] for each in self.answer(SUSPEND)),
                   ["gone", "running", "running"])
        self.equal(self.logs()[:2], [["suspend 10", "resume  0"]] * 2)

    def test_one_was_suspended(self):
        """It is not ours to resume."""
        peers = self.three("state=3")
        self.shadowcl("suspend", *(peer.pid for peer in peers), "--json")
        self.expect(1, "not running")
        self.equal([each["state"] for each in self.answer(SUSPEND)],
                   ["running", "running", "suspended"])
        self.equal(self.logs(), [["suspend 10", "resume  0"]] * 2 + [["suspend 10"]])

    def test_one_is_absent(self):
        """Nobody is asked."""
        peers = self.three()
        gone = subprocess.Popen(["true"])
        gone.wait()
        self.shadowcl("suspend", *(peer.pid for peer in peers), gone.pid, "--json")
        self.expect_refusal("not suspended, because", f"process {gone.pid} can't be", "leave out",
                            "running")
        self.equal([each["state"] for each in self.answer(SUSPEND)], ["running"] * 3 + ["gone"])
        self.equal(self.logs(), [[]] * 3)

    def test_undo_fails(self):
        peers = [self.peer("resume=refuse"), self.peer("suspend=refuse")]
        self.shadowcl("suspend", *(peer.pid for peer in peers), "--json")
        self.expect_refusal(str(peers[0].pid), "resuming it again .* failed: kernel `solve`",
                            f"shadowcl resume {peers[0].pid}", "suspended")
        self.equal([each["state"] for each in self.answer(SUSPEND)], ["suspended", "running"])

    def test_resume_each_for_itself(self):
        peers = [self.peer("state=3"), self.peer("state=3", "resume=refuse")]
        self.shadowcl("resume", "--all", "--json")
        self.expect_refusal(str(peers[1].pid), "kernel `solve`", "", "suspended")
        self.equal(sorted(each["state"] for each in self.answer(RESUME)), ["running", "suspended"])


if __name__ == "__main__":
    run_tests()
