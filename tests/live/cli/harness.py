# SPDX-License-Identifier: Apache-2.0
"""What the tests of the command share: a tree with the command and a library to preload, fake
processes, and checks that print both sides when they fail.
A test is called with: SHADOWCL FAKE_PEER FAKE_LIBRARY [CLASS.METHOD...]"""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

SHADOWCL, FAKE_PEER, FAKE_LIBRARY = (os.path.abspath(path) for path in sys.argv[1:4])
NOBODY = 65534
ROOT = os.geteuid() == 0
needs_root = unittest.skipUnless(ROOT, "needs root to become another user")

PS = {"pid", "inside", "uid", "command", "state", "devices", "objects", "device_bytes",
      "owed_bytes", "warnings"}
SUSPEND = {"pid", "state", "captured_bytes", "copied_bytes", "prepared_bytes", "prepare_rounds",
           "objects", "residue", "warnings", "ms", "image", "error"}
IMAGE = {"file", "bytes", "contents_bytes", "zero_bytes", "equal_bytes", "ms"}
RESUME = {"pid", "state", "devices", "objects", "device_bytes", "owed_bytes", "warnings", "ms",
          "error"}
SUSPEND_MS = {"prepare", "drain", "capture", "release", "total"}
MOVE = SUSPEND - {"image"} | RESUME
PREPARE = {"pid", "state", "devices", "programs_built", "programs_there", "warnings", "ms",
           "error"}
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


def run_tests():
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]])
