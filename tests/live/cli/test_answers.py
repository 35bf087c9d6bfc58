# SPDX-License-Identifier: Apache-2.0
"""What is printed when all goes well: the exact fields of --json, and the lines for people."""
import os
import pty
import subprocess

from harness import (Case, MOVE, PREPARE, PS, RESUME, RESUME_MS, run_tests, SUSPEND,
                     SUSPEND_MS)


class Answers(Case):
    def test_ps(self):
        peer = self.peer()
        self.shadowcl("ps", "--json")
        self.expect(0)
        element = [each for each in self.answer(PS) if each["pid"] == peer.pid][0]
        self.equal(element, {
            "pid": peer.pid, "inside": None, "uid": os.geteuid(),
            "command": "/usr/bin/hashcat -m 0 hashes", "state": "running",
            "devices": [{"platform": "Fake Platform", "name": "fake-gpu", "index": 0}],
            "objects": {"buffer": 40, "queue": 2}, "device_bytes": 13002342,
            "owed_bytes": 0, "warnings": []})
        self.shadowcl("ps")
        self.expect(0, out=[r"PID +USER +COMMAND +STATE +DEVICES +OBJECTS +BYTES",
                            rf"{peer.pid} +\S+ +hashcat -m 0 hashes +running +Fake Platform:0 +42 "
                            r"+12.4 MiB"])

    def test_ps_warnings(self):
        peer = self.peer("status=warn")
        for options in ((), ("--json",)):
            self.shadowcl("ps", *options)
            self.expect(0, rf"^shadowcl: {peer.pid} hashcat: warning: device has no fp16, the program")
        element = [each for each in self.answer(PS) if each["pid"] == peer.pid][0]
        self.equal(element["warnings"], ["device has no fp16, the program was told it has"])

    def test_ps_nobody(self):
        self.shadowcl("ps", "--json")
        self.expect(0)
        self.equal([each for each in self.answer(PS) if each["state"] == "running"], [])

    def test_suspend_and_resume(self):
        peer = self.peer()
        self.shadowcl("suspend", peer.pid, "--deadline", "0.5", "--json")
        self.expect(0)
        self.equal(self.answer(SUSPEND), [{
            "pid": peer.pid, "state": "suspended", "captured_bytes": 13002342,
            "copied_bytes": 0, "prepared_bytes": 0, "prepare_rounds": 0,
            "objects": {"buffer": 40, "queue": 2}, "residue": [], "warnings": [],
            "ms": {"prepare": 0, "drain": 3.125, "capture": 20.0, "release": 8.1, "total": 31.225},
            "image": None, "error": None}])
        self.shadowcl("resume", peer.pid, "--device", "pocl:0, gpu", "--strict", "--json")
        self.expect(0)
        self.equal(self.answer(RESUME), [{
            "pid": peer.pid, "state": "running",
            "devices": [{"platform": "Fake Platform", "name": "fake-gpu", "index": 0}],
            "objects": {"buffer": 40, "queue": 2}, "device_bytes": 13002342, "owed_bytes": 0,
            "warnings": [], "ms": {"load": 20.5, "rebuild": 35.1, "total": 55.6},
            "error": None}])
        self.peers = []
        self.equal(peer.stop(), ["suspend 0.5", "resume pocl:0, gpu 1"])

    def test_copies_beforehand(self):
        peer = self.peer()
        self.shadowcl("suspend", peer.pid, "--prepare")
        self.shadowcl("resume", peer.pid)
        self.shadowcl("suspend", peer.pid, "--max-rounds", 3, "--target-downtime", 2.5)
        self.shadowcl("resume", peer.pid)
        self.shadowcl("move", peer.pid, "--device", "1", "--max-rate", "1.5K")
        self.expect(0)
        self.peers = []
        self.equal(peer.stop(), ["suspend 10, prepare 0 0 0", "resume  0",
                                 "suspend 10, prepare 3 2.5 0", "resume  0",
                                 "move 10 1 0, prepare 0 0 1536"])

    def test_lazy(self):
        peer = self.peer()
        self.shadowcl("suspend", peer.pid)
        self.shadowcl("resume", peer.pid, "--lazy")
        self.expect(0, out=[r"\(load 20\.5, rebuild 35\.1\), 42 objects, 12\.4 MiB, "
                            r"12\.4 MiB to be copied while it runs"
                            r" on Fake Platform:0"])
        self.peers = []
        self.equal(peer.stop(), ["suspend 10", "resume  0, lazy"])

    def test_text(self):
        peer = self.peer()
        self.shadowcl("suspend", peer.pid, peer.pid)
        self.expect(0, out=[rf"^{peer.pid} hashcat: suspended in 31\.2 ms \(drain 3\.1, capture "
                            r"20\.0, release 8\.1\), 42 objects, 12\.4 MiB copied to memory\n$"])
        self.shadowcl("resume", "--all")
        self.expect(0, out=[rf"^{peer.pid} hashcat: resumed in 55\.6 ms \(load 20\.5, rebuild "
                            r"35\.1\), 42 objects, 12\.4 MiB on Fake Platform:0 \(fake-gpu\)\n$"])
        self.peers = []
        self.equal(peer.stop(), ["suspend 10", "resume  0"])

    def test_move(self):
        peer = self.peer()
        self.shadowcl("move", peer.pid, "--device", "1", "--json")
        self.expect(0)
        element, = self.answer(MOVE)
        self.equal((set(element["ms"]), set(element["ms"]["suspend"]),
                    set(element["ms"]["resume"])), ({"suspend", "resume"}, SUSPEND_MS, RESUME_MS))
        self.shadowcl("move", peer.pid, "--device", "1", "--deadline", "3", "--strict")
        self.expect(0, out=["moved in 86.8 ms: suspended in .* resumed in .*, 42 objects, "
                            r"12\.4 MiB on Fake Platform:0"])
        self.peers = []
        self.equal(peer.stop(), ["move 10 1 0", "move 3 1 1"])

    def test_prepare(self):
        peer, other = self.peer(), self.peer()
        self.shadowcl("prepare", peer.pid, "--device", "pocl:0, gpu", "--deadline", "0.5", "--json")
        self.expect(0)
        self.equal(self.answer(PREPARE), [{
            "pid": peer.pid, "state": "running",
            "devices": [{"platform": "Fake Platform", "name": "fake-gpu", "index": 0}],
            "programs_built": 3, "programs_there": 1, "warnings": [],
            "ms": {"compare": 1.5, "build": 40.25, "total": 41.75}, "error": None}])
        self.shadowcl("suspend", other.pid)
        self.shadowcl("prepare", "--all", "--device", "1")
        self.expect(0, out=[rf"^{peer.pid} hashcat: prepared in 41\.8 ms \(it stood still for 1\.5 "
                            r"at most\): 3 programs built, 1 had been\n$"])
        self.peers = []
        self.equal((peer.stop(), other.stop()),
                   (["build 0.5 pocl:0, gpu", "build 10 1"], ["suspend 10"]))

    def test_warnings(self):
        peer = self.peer("suspend=warn")
        self.shadowcl("suspend", peer.pid, "--json")
        self.expect(0, "warning: device has no fp16", "still holds the device: fd 7")
        element, = self.answer(SUSPEND)
        self.equal((element["residue"], len(element["warnings"])), (["fd 7 -> /dev/dri/card0"], 1))

    def test_odd_strings(self):
        peer = self.peer("status=odd", "suspend=odd")
        self.shadowcl("ps", "--json")
        self.expect(0)
        element = [each for each in self.answer(PS) if each["pid"] == peer.pid][0]
        self.equal((element["command"], element["devices"][0]),
                   ("?[2Jcmd?", {"platform": "?[31mred?", "name": "line?break?", "index": 7}))
        self.shadowcl("ps")
        self.assertNotIn("\x1b", self.ran.stdout + self.ran.stderr)
        self.shadowcl("suspend", peer.pid, "--json")
        self.expect(0)
        self.equal(self.answer(SUSPEND)[0]["ms"]["total"], 0)

    def test_stdout_full(self):
        self.peer()
        with open("/dev/full", "w") as full:
            ran = subprocess.run([os.path.join(self.tree, "bin/shadowcl"), "ps", "--json"],
                                 stdout=full, stderr=subprocess.PIPE, text=True,
                                 env=dict(os.environ, SHADOWCL_RUNTIME_DIR=self.dir))
        self.assertEqual(ran.returncode, 1, ran.stderr)
        self.assertIn("could not be written", ran.stderr)

    def test_progress(self):
        peer = self.peer("suspend=slow")
        pid, terminal = pty.fork()
        if pid == 0:
            os.environ["SHADOWCL_RUNTIME_DIR"] = self.dir
            os.execv(os.path.join(self.tree, "bin/shadowcl"),
                     ["shadowcl", "suspend", str(peer.pid)])
        seen = b""
        try:
            while chunk := os.read(terminal, 4096):
                seen += chunk
        except OSError:
            pass
        _, status = os.waitpid(pid, 0)
        self.assertEqual(status, 0, seen)
        self.assertRegex(seen, rb"suspending %d fake_peer: draining, [12]\.\d s" % peer.pid)


if __name__ == "__main__":
    run_tests()
