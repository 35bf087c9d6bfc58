# SPDX-License-Identifier: Apache-2.0
"""What the tests of the host's side share: a run of the command against the model of fake.py.
A test is called with: SHADOWCL [CLASS.METHOD...]"""
import contextlib
import json
import os
import pty
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

import fake

SHADOWCL = os.path.abspath(sys.argv[1])
LIMIT = 60  # seconds for a run of the command: no test waits for more than a few


# What vm-resume remembers from one command to the next.
STATE = tempfile.TemporaryDirectory(prefix="vm-host-state-")
os.environ["SHADOWCL_STATE_DIR"] = os.path.join(STATE.name, "of", "the", "host")
AGENTS = ("residue", "refusals", "obstacles", "lacks", "never", "state", "place")  # its attributes


class Run:
    """One run; `truth` is what the model says in the end, `answer` what the command says."""

    def __init__(self, world, *arguments, verb="vm-migrate", has_limit=True, terminal=False):
        folder = world.folder
        machine = (["--source", folder + "/source.qmp", "--agent", folder + "/source.agent",
                    "--destination", folder + "/destination.qmp",
                    "--destination-agent", folder + "/destination.agent", "--uri", "unix:x"]
                   if verb == "vm-migrate" else
                   ["--qmp", folder + "/source.qmp", "--agent", folder + "/source.agent"])
        limits = ["--timeout", "2"] if has_limit else []
        if verb != "vm-resume":
            limits += ["--linger", "0.4", "--unplug-timeout", "0.6"]
        command = [SHADOWCL, verb, "--device", fake.GPU, *limits, *machine, *arguments]
        ours, its = pty.openpty() if terminal else (None, subprocess.PIPE)
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=its, text=True)
        world.process = process
        try:
            self.stdout, self.stderr = process.communicate(timeout=LIMIT)
            if terminal:
                self.stderr = read_terminal(ours, its)
        except subprocess.TimeoutExpired:
            process.kill()
            self.stdout, self.stderr = process.communicate()
            raise AssertionError(f"no end after {LIMIT} s\n{self.stderr}") from None
        self.code = process.returncode
        self.truth, self.status = world.truth(), world.holder.status
        self.is_lost = world.holder_died
        self.is_touched = any(command in ("suspend", "device_del") for _, command in world.commands)
        self.world = world
        self.answer = json.loads(self.stdout) if self.stdout.startswith("{") else None


def read_terminal(ours, its):
    """What was written to it, by one who has ended: less than it keeps."""
    os.close(its)
    said = b""
    try:
        while part := os.read(ours, 65536):
            said += part
    except OSError:  # nobody has its other end any more
        pass
    os.close(ours)
    return said.decode()


def run(*arguments, verb="vm-migrate", has_limit=True, terminal=False, **settings):
    """In a world of its own; `settings` are attributes of the world, or of its `agent`."""
    folder = tempfile.mkdtemp(prefix="vm-host-")
    world = fake.World(folder)
    try:
        for name, value in settings.items():
            if name.startswith("source_"):
                setattr(world.source, name.removeprefix("source_"), value)
            else:
                setattr(world.agent if name in AGENTS else world, name, value)
        return Run(world, *arguments, verb=verb, has_limit=has_limit, terminal=terminal)
    finally:
        world.close()
        shutil.rmtree(folder, ignore_errors=True)  # a machine may be ending


class Forward:
    """A port of this machine behind which a Unix socket is: `place` is its HOST:PORT."""

    def __init__(self, path, host):
        self.path = path
        family, _, _, _, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
        self.listener = socket.create_server(address[:2], family=family)
        shown = f"[{host}]" if ":" in host else host
        self.place = f"{shown}:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self.serve, args=self.listener.accept()[:1], daemon=True).start()

    def serve(self, outside):
        with outside, socket.socket(socket.AF_UNIX) as inside:
            inside.connect(self.path)
            back = threading.Thread(target=hand_on, args=(inside, outside))
            back.start()
            hand_on(outside, inside)
            back.join()


def hand_on(one, other):
    """Until either has been closed."""
    with contextlib.suppress(OSError):
        while data := one.recv(65536):
            other.sendall(data)
    for each in (one, other):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


class Case(unittest.TestCase):
    maxDiff = None

    def check(self, ran, code, **truth):
        """The exit code; no guest and no data destroyed; programs and device where they should be,
        and said to be there."""
        context = f"{ran.stderr}{ran.stdout}\n{ran.world.events}"
        self.assertEqual(ran.code, code, context)
        self.assertEqual(ran.world.wrong, [], context)
        self.assertEqual(ran.truth, truth, context)
        if ran.answer:
            self.assertEqual(ran.answer["state"], truth, context)
            self.assertEqual(ran.answer["ok"], code == 0, context)

    def says(self, ran, *patterns):
        for pattern in patterns:
            self.assertRegex(ran.stderr + ran.stdout, re.compile(pattern, re.DOTALL))

    def phases(self, ran):
        return [phase["name"] for phase in ran.answer["phases"]]


AT_SOURCE = {"guest": "source", "device": "plugged", "programs": "running"}
AT_DESTINATION = {"guest": "destination", "device": "plugged", "programs": "running"}


def run_tests():
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=2)
