#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The command's side of every bad input, and its answers, against processes that answer as told.
Usage: test_cli.py SHADOWCL FAKE_PEER FAKE_LIBRARY [TEST...]"""
import json
import os
import pty
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import unittest

SHADOWCL, FAKE_PEER, FAKE_LIBRARY = (os.path.abspath(path) for path in sys.argv[1:4])
NOBODY = 65534
ROOT = os.geteuid() == 0
needs_root = unittest.skipUnless(ROOT, "needs root to become another user")

PS = {"pid", "uid", "command", "state", "devices", "objects", "device_bytes"}
SUSPEND = {"pid", "state", "captured_bytes", "objects", "residue", "warnings", "ms", "error"}
RESUME = {"pid", "state", "devices", "warnings", "ms", "error"}
SUSPEND_MS = {"drain", "capture", "release", "total"}
RESUME_MS = {"load", "rebuild", "total"}


class Peer:
    """A fake process; its log is what it was asked."""

    def __init__(self, path, *behaviour, user=None):
        command = [os.path.join(Case.tree, "bin/fake_peer"), path, *behaviour]
        self.process = subprocess.Popen(as_user(user, command), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.pid = self.process.pid
        line = self.process.stdout.readline()
        assert line == "ready\n", f"fake peer at {path}: {line!r}"

    def stop(self):
        """Ends it; returns its log but for status requests."""
        self.process.send_signal(signal.SIGCONT)
        out, _ = self.process.communicate()
        return [line for line in out.splitlines() if line != "status"]


def as_user(user, command):
    if user is None:
        return command
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *command]


def read_file(path):
    with open(path, "rb") as file:
        return file.read()


class Case(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.top = tempfile.mkdtemp(prefix="shadowcl-cli-")
        os.chmod(cls.top, 0o755)
        Case.tree = os.path.join(cls.top, "tree")
        os.makedirs(os.path.join(cls.tree, "bin"))
        os.makedirs(os.path.join(cls.tree, "lib/shadowcl/alias"))
        shutil.copy(SHADOWCL, os.path.join(cls.tree, "bin/shadowcl"))
        shutil.copy(FAKE_PEER, os.path.join(cls.tree, "bin/fake_peer"))
        shutil.copy(FAKE_LIBRARY, os.path.join(cls.tree, "lib/shadowcl/libOpenCL.so.1"))
        shutil.copy(FAKE_LIBRARY, os.path.join(cls.tree, "lib/shadowcl/alias/libOpenCL.so"))

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.top)

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="run-", dir=self.top)
        self.peers = []
        self.num_peers = 0

    def tearDown(self):
        for peer in self.peers:
            peer.stop()

    def peer(self, *behaviour, dir=None, name=None, user=None):
        path = os.path.join(dir or self.dir, name or f"1-{self.num_peers}.sock")
        self.num_peers += 1
        peer = Peer(path, *behaviour, user=user)
        self.peers.append(peer)
        return peer

    def shadowcl(self, *args, user=None, dir=None, env=None, unset=(), binary=None, timeout=60):
        full = dict(os.environ, SHADOWCL_RUNTIME_DIR=dir or self.dir)
        for name in ("LD_PRELOAD", "LD_LIBRARY_PATH", "GLIBC_TUNABLES"):
            if not os.environ.get("ASAN_OPTIONS"):
                full.pop(name, None)
        full.update(env or {})
        for name in unset:
            full.pop(name, None)
        command = [binary or os.path.join(self.tree, "bin/shadowcl"), *map(str, args)]
        self.ran = subprocess.run(as_user(user, command), env=full, text=True, timeout=timeout,
                                  stdin=subprocess.DEVNULL, capture_output=True,
                                  errors="replace")
        return self.ran

    def sides(self):
        """Both sides of the last exchange, for a failure's message."""
        log = [f"peer {peer.pid}: {peer.stop()}" for peer in self.peers]
        self.peers = []
        return (f"\nran: {self.ran.args}\ncode: {self.ran.returncode}\nstdout: {self.ran.stdout}"
                f"\nstderr: {self.ran.stderr}\n" + "\n".join(log))

    def expect(self, code, *patterns, out=()):
        """The exit code, and every pattern in stderr (`out`: in stdout)."""
        if self.ran.returncode != code:
            self.fail(f"exit code {code} expected" + self.sides())
        for text, list_ in ((self.ran.stderr, patterns), (self.ran.stdout, out)):
            for pattern in list_:
                if not re.search(pattern, text):
                    self.fail(f"`{pattern}` not found" + self.sides())

    def expect_refusal(self, what, why, todo, state=None):
        """Exit 1, and what, why, what to do (and the state) on stderr."""
        self.expect(1, what, why, r"to do: .*" + todo)
        if state:
            self.expect(1, "state: " + state)

    def answer(self, fields=None):
        try:
            value = json.loads(self.ran.stdout)
        except ValueError:
            self.fail("no JSON" + self.sides())
        if not isinstance(value, list):
            self.fail("no array" + self.sides())
        for element in value:
            if fields and set(element) != fields:
                self.fail(f"fields {sorted(fields)} expected" + self.sides())
            if element.get("error"):
                self.equal(set(element["error"]), {"object", "reason", "todo"})
        return value

    def equal(self, one, other):
        if one != other:
            self.fail(f"{one!r} is not {other!r}" + self.sides())


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
        for verb in ("ps", "suspend", "resume", "move", "run"):
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
        self.usage("one process id", "move", 1, 2, "--device", "0")
        self.usage("unrecognized option.*--all", "move", "--all", "--device", "0")

    def test_specs(self):
        self.usage("--device is missing", "move", 1)
        for spec in ("", ",", "a,,b", " ", "a:", ":0", "a,", "a\nb", "\x1b[1m", "x" * 5000):
            self.usage("--device", "move", 1, "--device", spec)
            self.usage("--device", "resume", 1, "--device", spec)

    def test_deadlines(self):
        for verb in (["suspend", 1], ["move", 1, "--device", "0"]):
            for text in ("", "0", "-1", "nan", "inf", "1e3", "abc", "1s", "86401", "0x10", ".",
                         "1.2.3", "9" * 400):
                self.usage("--deadline", *verb, "--deadline", text)

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
        self.expect(0, out=["run", "ps", "suspend", "resume", "move", "Exit codes"])
        self.shadowcl("--version")
        self.expect(0, out=[r"^shadowcl \d+\.\d+"])
        for verb in ("run", "ps", "suspend", "resume", "move"):
            self.shadowcl(verb, "--help")
            self.expect(0, out=["Usage: shadowcl " + verb, "--json", "Exit codes"])


class Answers(Case):
    def test_ps(self):
        peer = self.peer()
        self.shadowcl("ps", "--json")
        self.expect(0)
        element = [each for each in self.answer(PS) if each["pid"] == peer.pid][0]
        self.equal(element, {
            "pid": peer.pid, "uid": os.geteuid(), "command": "hashcat", "state": "running",
            "devices": [{"platform": "Fake Platform", "name": "fake-gpu", "index": 0}],
            "objects": {"buffer": 40, "queue": 2}, "device_bytes": 13002342})
        self.shadowcl("ps")
        self.expect(0, out=[r"PID +USER +COMMAND +STATE +DEVICES +OBJECTS +BYTES",
                            rf"{peer.pid} +\S+ +hashcat +running +Fake Platform:0 +42 +12.4 MiB"])

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
            "objects": {"buffer": 40, "queue": 2}, "residue": [], "warnings": [],
            "ms": {"drain": 3.125, "capture": 20.0, "release": 8.1, "total": 31.225},
            "error": None}])
        self.shadowcl("resume", peer.pid, "--device", "pocl:0, gpu", "--strict", "--json")
        self.expect(0)
        self.equal(self.answer(RESUME), [{
            "pid": peer.pid, "state": "running",
            "devices": [{"platform": "Fake Platform", "name": "fake-gpu", "index": 0}],
            "warnings": [], "ms": {"load": 20.5, "rebuild": 35.1, "total": 55.6}, "error": None}])
        self.peers = []
        self.equal(peer.stop(), ["suspend 0.5", "resume pocl:0, gpu 1"])

    def test_text(self):
        peer = self.peer()
        self.shadowcl("suspend", peer.pid, peer.pid)
        self.expect(0, out=[rf"^{peer.pid} hashcat: suspended in 31\.2 ms \(drain 3\.1, capture "
                            r"20\.0, release 8\.1\), 12\.4 MiB of 42 objects held in memory\n$"])
        self.shadowcl("resume", "--all")
        self.expect(0, out=[rf"^{peer.pid} hashcat: resumed in 55\.6 ms \(load 20\.5, rebuild "
                            r"35\.1\) on Fake Platform:0 \(fake-gpu\)\n$"])
        self.peers = []
        self.equal(peer.stop(), ["suspend 10", "resume  0"])

    def test_move(self):
        peer = self.peer()
        self.shadowcl("move", peer.pid, "--device", "1", "--json")
        self.expect(0)
        element, = self.answer(SUSPEND | RESUME)
        self.equal((set(element["ms"]), set(element["ms"]["suspend"]),
                    set(element["ms"]["resume"])), ({"suspend", "resume"}, SUSPEND_MS, RESUME_MS))
        self.shadowcl("move", peer.pid, "--device", "1", "--deadline", "3", "--strict")
        self.expect(0, out=["moved in 86.8 ms: suspended in .* resumed in .* on Fake Platform:0"])
        self.peers = []
        self.equal(peer.stop(), ["move 10 1 0", "move 3 1 1"])

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


class Refusals(Case):
    def test_refused(self):
        peer = self.peer("suspend=refuse", "move=refuse")
        for verb in (["suspend", peer.pid], ["move", peer.pid, "--device", "0"]):
            self.shadowcl(*verb, "--json")
            self.expect_refusal(f"{peer.pid} hashcat: kernel `solve`", "did not end", "give it longer",
                                "running")
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
                             (["move", "--device", "0"], SUSPEND | RESUME)):
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
        self.assertRegex(err, "interrupted before its answer; it goes on")
        self.assertRegex(err, "state: draining\n  to do: .*shadowcl ps")


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


class Directories(Case):
    def refused(self, dir, why, todo, **how):
        for verb in (["ps", "--json"], ["suspend", "--all", "--json"], ["resume", 1, "--json"],
                     ["run", "true"]):
            with self.subTest(verb=verb):
                self.shadowcl(*verb, dir=dir, **how)
                self.expect_refusal(re.escape(f"runtime directory `{dir}"), why, todo)
                if verb[0] != "run":
                    self.equal(self.answer(), [])

    def test_missing(self):
        self.refused(self.dir + "/none", "No such file", "mkdir")

    def test_file(self):
        path = self.dir + "/file"
        open(path, "w").close()
        self.refused(path, "Not a directory", "make it a directory")

    def test_link(self):
        os.symlink(self.dir, self.dir + "/link")
        self.refused(self.dir + "/link", "refused: it is a symbolic link", "put a directory there")
        self.shadowcl("ps", dir=self.dir + "/link/")
        self.expect_refusal("runtime directory", "symbolic link", "")

    def test_open_to_all(self):
        os.chmod(self.dir, 0o777)
        self.refused(self.dir, "everybody may replace files", "chmod 0700")
        os.chmod(self.dir, 0o1777)
        self.shadowcl("ps")
        self.expect(0)

    @needs_root
    def test_foreign(self):
        os.chown(self.dir, 1, 1)
        os.chmod(self.dir, 0o755)
        self.refused(self.dir, "it belongs to", "SHADOWCL_RUNTIME_DIR")
        self.refused(self.dir, "it belongs to", "SHADOWCL_RUNTIME_DIR", user=NOBODY)

    @needs_root
    def test_unreadable(self):
        self.refused(self.dir, "Permission denied", "may read", user=NOBODY)

    @needs_root
    def test_unwritable(self):
        os.chmod(self.dir, 0o755)
        self.shadowcl("run", "true", user=NOBODY)
        self.expect_refusal(f"runtime directory `{self.dir}`", "no socket can be made in it",
                            "--runtime-dir")
        self.shadowcl("run", "--force", "true", user=NOBODY)
        self.expect(0, "note: .*no socket can be made")

    @needs_root
    def test_full(self):
        full = self.dir + "/full"
        os.mkdir(full, 0o700)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "nr_inodes=1,mode=0700", "none", full],
                          capture_output=True).returncode:
            self.skipTest("needs to mount")
        try:
            self.shadowcl("run", "true", dir=full)
            self.expect_refusal(f"runtime directory `{full}`", "No space left", "make room")
        finally:
            subprocess.run(["umount", full], check=True)

    def test_odd_entries(self):
        other = tempfile.mkdtemp(dir=self.top)
        self.peer(dir=other)
        os.symlink(other + "/1-0.sock", self.dir + "/2-link.sock")
        open(self.dir + "/3-file.sock", "w").close()
        open(self.dir + "/notes.txt", "w").close()
        self.shadowcl("ps", "--json")
        self.expect(0, r"2-link\.sock`: refused: it is a symbolic link",
                    r"3-file\.sock`: refused: it is no socket", "to do: find out who")
        self.equal([each for each in self.answer(PS) if each["state"] == "running"], [])
        self.assertNotIn("notes.txt", self.ran.stderr)

    def test_stale(self):
        peer = self.peer()
        self.peers = []
        peer.stop()
        path = self.dir + "/1-0.sock"
        self.shadowcl("ps")
        self.expect(0)
        self.assertTrue(os.path.exists(path), "a socket just bound is not stale")
        os.utime(path, (1, 1))
        self.shadowcl("ps")
        self.expect(0)
        self.assertFalse(os.path.exists(path), "stale socket still there")

    def test_long_path(self):
        deep = self.dir
        while len(deep) < 300:
            deep += "/" + "d" * 60
        os.makedirs(deep)
        os.chmod(deep, 0o700)
        peer = self.peer(dir=deep)
        self.shadowcl("suspend", peer.pid, dir=deep)
        self.expect(0, out=[f"^{peer.pid} "])

    def test_name_means_nothing(self):
        peer = self.peer(name=f"{os.getpid()}-x.sock")
        self.shadowcl("suspend", os.getpid())
        self.expect_refusal(str(os.getpid()), "not under shadowcl", "shadowcl run")
        self.shadowcl("suspend", peer.pid)
        self.expect(0)

    def test_user_directory(self):
        if os.path.lexists("/run/shadowcl"):
            self.skipTest("/run/shadowcl is there")
        env = {"XDG_RUNTIME_DIR": self.dir}
        self.shadowcl("run", "true", env=env, unset=["SHADOWCL_RUNTIME_DIR"])
        self.expect(0)
        self.equal(stat.S_IMODE(os.stat(self.dir + "/shadowcl").st_mode), 0o700)
        peer = self.peer(dir=self.dir + "/shadowcl")
        self.shadowcl("suspend", peer.pid, env=env, unset=["SHADOWCL_RUNTIME_DIR"])
        self.expect(0)

    @needs_root
    def test_no_directory(self):
        if os.path.lexists("/run/shadowcl"):
            self.skipTest("/run/shadowcl is there")
        unset = ["SHADOWCL_RUNTIME_DIR", "XDG_RUNTIME_DIR"]
        self.shadowcl("run", "true", user=NOBODY, unset=unset)
        self.expect_refusal("runtime directory", "XDG_RUNTIME_DIR is not set", "--runtime-dir")
        self.shadowcl("suspend", "--all", user=NOBODY, unset=unset)
        self.expect_refusal("suspend", "no process is under shadowcl", "shadowcl run")


class Uncovered(Case):
    def holder(self, *libraries):
        """A process that has files of these names mapped."""
        paths = []
        for name in libraries:
            paths.append(os.path.join(self.dir, name))
            os.makedirs(os.path.dirname(paths[-1]), exist_ok=True)
            shutil.copy(FAKE_LIBRARY, paths[-1])
        script = ("import mmap, os, sys\n"
                  "maps = [mmap.mmap(os.open(path, os.O_RDONLY), 0, prot=mmap.PROT_READ)"
                  " for path in sys.argv[1:]]\n"
                  "print('ready', flush=True)\nsys.stdin.read()")
        process = subprocess.Popen([sys.executable, "-c", script, *paths], text=True,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        process.stdout.readline()
        self.addCleanup(process.communicate)
        return process

    def state(self, pid):
        self.shadowcl("ps", "--json")
        self.expect(0)
        states = [each for each in self.answer(PS) if each["pid"] == pid]
        return states[0]["state"] if states else None

    def test_names(self):
        for name in ("libOpenCL.so.1.0.0", "libpocl.so.2", "libnvidia-opencl.so.1",
                     "libRusticlOpenCL.so.1", "libMesaOpenCL.so.1", "libamdocl64.so",
                     "libigdrcl.so", "liboclgrind-rt-icd.so"):
            process = self.holder(name)
            self.equal(self.state(process.pid), "uncovered")
        self.equal(self.state(self.holder("libpoclonium.txt").pid), None)
        self.equal(self.state(self.holder("shadowcl/libOpenCL.so.1").pid), None)
        self.equal(self.state(self.holder("shadowcl/libOpenCL.so.1", "libpocl.so.2").pid),
                   "unreachable")

    def test_messages(self):
        process = self.holder("libpocl.so.2")
        self.shadowcl("ps")
        self.expect(0, "not through shadowcl", "to do: .*shadowcl run.*LD_PRELOAD",
                    out=[rf"{process.pid} .*not under shadowcl +- +- +-"])
        self.shadowcl("ps", "--json")
        element = [each for each in self.answer(PS) if each["pid"] == process.pid][0]
        self.equal((element["devices"], element["objects"], element["device_bytes"]), ([], {}, 0))
        self.shadowcl("suspend", process.pid)
        self.expect_refusal(str(process.pid), r"loaded libpocl\.so\.2 without shadowcl",
                            "shadowcl run", "unknown")
        self.peer()
        self.shadowcl("suspend", "--all")
        self.expect(0, rf"note: process {process.pid} .*keeps the device")


class Run(Case):
    def run_env(self, *options, env=None, program="env"):
        self.shadowcl("run", *options, "--", program, env=env)
        self.expect(0)
        return dict(line.split("=", 1) for line in self.ran.stdout.splitlines() if "=" in line)

    def test_environment(self):
        folder = self.tree + "/lib/shadowcl"
        ours = f"{folder}/libOpenCL.so.1:{folder}/alias/libOpenCL.so"
        seen = self.run_env()
        self.equal((seen["LD_PRELOAD"], seen["LD_LIBRARY_PATH"], seen["GLIBC_TUNABLES"]),
                   (ours, folder, "glibc.rtld.optional_static_tls=4096"))
        other = shutil.copy(FAKE_LIBRARY, self.dir + "/other.so")
        seen = self.run_env(env={"LD_PRELOAD": other, "LD_LIBRARY_PATH": "/x",
                                 "GLIBC_TUNABLES": "glibc.malloc.check=1"})
        self.equal((seen["LD_PRELOAD"], seen["LD_LIBRARY_PATH"]),
                   (f"{ours}:{other}", f"{folder}:/x"))
        self.assertIn("glibc.malloc.check=1", seen["GLIBC_TUNABLES"].split(":"))
        self.assertIn("glibc.rtld.optional_static_tls=4096", seen["GLIBC_TUNABLES"].split(":"))
        seen = self.run_env(env={"GLIBC_TUNABLES": "glibc.rtld.optional_static_tls=9000"})
        self.equal(seen["GLIBC_TUNABLES"], "glibc.rtld.optional_static_tls=9000")
        self.shadowcl("run", self.tree + "/bin/shadowcl", "run", "env")
        self.expect(0, out=[f"(?m)^LD_PRELOAD={ours}$"])

    def test_options(self):
        seen = self.run_env("--mapping", "copy", "--log=debug:/x/y", "--drivers", "/d",
                            "--runtime-dir", os.path.relpath(self.dir))
        self.equal((seen["SHADOWCL_MAPPING"], seen["SHADOWCL_LOG"], seen["SHADOWCL_DRIVERS"],
                    os.path.normpath(seen["SHADOWCL_RUNTIME_DIR"])),
                   ("copy", "debug:/x/y", "/d", self.dir))
        self.assertTrue(os.path.isabs(seen["SHADOWCL_RUNTIME_DIR"]))

    def test_arguments(self):
        self.shadowcl("run", "sh", "-c", "echo $0-$1; exit 7", "--json", "--help")
        self.expect(7, out=["^--json---help\n$"])

    def test_no_library(self):
        lone = os.path.join(self.dir, "bin")
        os.mkdir(lone)
        binary = shutil.copy(SHADOWCL, lone)
        self.shadowcl("run", "true", binary=binary)
        self.expect_refusal("library `libOpenCL.so.1`",
                            "neither in .*lib/shadowcl nor in .*lib.*/shadowcl", "install")

    def test_odd_place(self):
        place = os.path.join(self.dir, "a b")
        shutil.copytree(self.tree, place)
        self.shadowcl("run", "true", binary=place + "/bin/shadowcl")
        self.expect_refusal("a b/lib/shadowcl", "LD_PRELOAD can't hold", "folder without")

    def test_command(self):
        self.shadowcl("run", "no-such-command-here", "--json")
        self.expect(127, "`no-such-command-here`: not found in PATH", "to do:")
        self.shadowcl("run", "--json", "./none")
        self.expect(127, "no such file", "to do:")
        element, = self.answer()
        self.equal((element["pid"], element["state"]), (None, "not started"))
        self.shadowcl("run", "")
        self.expect(127)
        for path in (self.dir, "/etc/passwd"):
            self.shadowcl("run", path)
            self.expect(126, "not an executable file", "to do: .*chmod")

    def program(self, name, content, mode=0o755):
        path = os.path.join(self.dir, name)
        with open(path, "wb") as file:
            file.write(content)
        os.chmod(path, mode)
        return path

    def refused(self, path, why, user=None):
        os.chmod(self.dir, 0o1777)
        self.shadowcl("run", path, user=user)
        self.expect_refusal("program `", why, ".")

    def test_static(self):
        elf = bytearray(read_file(FAKE_LIBRARY))
        self.refused(self.program("static", bytes(elf)), "linked statically")
        elf[18:20] = (0xf3).to_bytes(2, "little")
        self.refused(self.program("riscv", bytes(elf)), "another architecture")
        self.refused(self.program("short", b"\x7fELF"), "another architecture")
        script = self.program("script", f"#!{self.dir}/static -x\n".encode())
        self.refused(script, "linked statically")
        self.refused(self.program("by_env", f"#! /usr/bin/env -S A=b {script}".encode()),
                     "linked statically")

    def test_force(self):
        path = self.program("short", b"\x7fELF")
        self.shadowcl("run", "--force", path)
        self.expect(126, "note: .*another architecture", "can't be started")

    def test_script(self):
        path = self.program("plain", b"echo plain $1\n")
        self.shadowcl("run", path, "x")
        self.expect(0, out=["^plain x\n$"])

    @needs_root
    def test_setuid(self):
        content = read_file("/usr/bin/env")
        self.refused(self.program("suid", content, 0o4755), "it is setuid .owner root", NOBODY)
        self.refused(self.program("sgid", content, 0o2755), "it is setgid", NOBODY)
        self.shadowcl("run", "--force", self.dir + "/suid", user=NOBODY)
        self.expect(0, "note: .*setuid")
        if not shutil.which("setcap"):
            return
        path = self.program("caps", content)
        if subprocess.run(["setcap", "cap_net_raw+ep", path]).returncode == 0:
            self.refused(path, "file capabilities", NOBODY)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]], verbosity=1)
