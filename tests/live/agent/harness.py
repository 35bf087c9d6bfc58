# SPDX-License-Identifier: Apache-2.0
"""What the tests of the agent share: an agent with a folder of its own, hosts that check each message
against the schema, processes that answer as they are told and real ones.
A test is called with: BUILD SCHEMA [CLASS.METHOD...]"""
import json
import os
import pty
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import tty
import unittest
import uuid

import jsonschema

BUILD, SCHEMA_FILE = (os.path.abspath(path) for path in sys.argv[1:3])
BIN = os.path.join(BUILD, "bin")
ROOT = os.geteuid() == 0
NOBODY = 65534
PATIENCE = 60
with open(os.path.join(BUILD, "CMakeCache.txt"), encoding="utf-8") as file:
    SANITIZED = any(line.startswith("SHADOWCL_SANITIZE:") and not line.endswith("=\n")
                    for line in file)
needs_root = unittest.skipUnless(ROOT, "needs root")

with open(SCHEMA_FILE, encoding="utf-8") as file:
    SCHEMA = json.load(file)


def validator(path):
    return jsonschema.Draft202012Validator({**SCHEMA, "oneOf": [{"$ref": path}]})


MESSAGE = validator("#/$defs/answer"), validator("#/$defs/event"), validator("#/$defs/greeting")
COMMAND = validator("#/$defs/command")
RETURNS = {name: validator(f"#/$defs/returns/{name}") for name in SCHEMA["$defs"]["returns"]}


class Gone(Exception):
    """The agent closed the conversation."""


def wait_until(truth, what, patience=PATIENCE):
    end = time.monotonic() + patience
    while not truth():
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {patience} s")
        time.sleep(0.02)


class Host:
    """One end of a conversation; every line that comes is checked against the schema."""

    def __init__(self, stream, write):
        self.stream, self.write = stream, write
        self.rest = b""
        self.events = []
        self.greeting = None
        self.names = {}

    @classmethod
    def connect(cls, path):
        peer = socket.socket(socket.AF_UNIX)
        peer.connect(path)
        peer.settimeout(PATIENCE)
        host = cls(peer, peer.sendall)
        host.greeting = host.message()
        assert "shadowcl" in host.greeting, host.greeting
        return host

    def close(self):
        self.stream.close()

    def line(self):
        while b"\n" not in self.rest:
            piece = self.stream.recv(65536)
            if not piece:
                raise Gone
            self.rest += piece
        line, self.rest = self.rest.split(b"\n", 1)
        return line

    def message(self):
        value = json.loads(self.line())
        kind = 1 if "event" in value else 2 if "shadowcl" in value else 0
        MESSAGE[kind].validate(value)
        return value

    def send(self, name, /, id=None, **arguments):
        """Arguments have their own names, with a line for a blank: device_ is `device`."""
        command = {"execute": name}
        if arguments:
            command["arguments"] = arguments
        if id is not None:
            command["id"] = id
        COMMAND.validate(command)
        self.names[json.dumps(id)] = name
        self.write(json.dumps(command).encode() + b"\n")

    def answer(self, id=None, name=None):
        """The answer with that id; what comes before it is kept if it is an event."""
        while True:
            value = self.message()
            if "event" in value:
                self.events.append(value)
            elif "shadowcl" not in value and (value.get("id") == id):
                name = name or self.names.get(json.dumps(id))
                data = value.get("return", value.get("error", {}).get("data"))
                if name and data is not None:
                    RETURNS[name].validate(data)
                return value

    def ask(self, name, /, id=None, **arguments):
        id = id or str(uuid.uuid4())
        self.send(name, id=id, **arguments)
        return self.answer(id)

    def done(self, name, /, **arguments):
        value = self.ask(name, **arguments)
        assert "return" in value, f"{name}: {value}"
        return value["return"]

    def fails(self, class_, name, /, **arguments):
        value = self.ask(name, **arguments)
        assert value.get("error", {}).get("class") == class_, f"{name}: {class_} expected: {value}"
        return value["error"]

    def raw(self, data):
        self.write(data)

    def event(self, name, fits=lambda data: True):
        """Takes the first such event, waiting for it where it has not come."""
        while True:
            for index, event in enumerate(self.events):
                if event["event"] == name and fits(event["data"]):
                    return self.events.pop(index)["data"]
            value = self.message()
            if "event" in value:
                self.events.append(value)


class End:
    """The host's end of a terminal, with the reading and writing of a socket."""

    def __init__(self, link):
        self.master, slave = pty.openpty()
        self.path = os.ttyname(slave)
        tty.setraw(slave)  # until the agent does: what we write early must not come back
        os.close(slave)
        os.set_blocking(self.master, False)
        if os.path.lexists(link):
            os.unlink(link)
        os.symlink(self.path, link)

    def recv(self, size, patience=PATIENCE):
        end = time.monotonic() + patience
        while True:
            try:
                return os.read(self.master, size)
            except BlockingIOError:
                select.select([self.master], [], [], 0.2)
            except OSError:  # nobody has the other end open yet
                time.sleep(0.05)
            if time.monotonic() > end:
                raise Gone

    def sendall(self, data, patience=PATIENCE):
        end = time.monotonic() + patience
        while data:
            try:
                data = data[os.write(self.master, data):]
            except BlockingIOError:
                if time.monotonic() > end:
                    raise Gone from None
                select.select([], [self.master], [], 0.2)

    def close(self):
        if self.master >= 0:
            os.close(self.master)
        self.master = -1


def as_user(user, command):
    if user is None:
        return command
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *command]


class Peer:
    """A process that listens as one under shadowcl, and answers as told (tests/live/cli)."""

    def __init__(self, path, *behaviour, user=None, fds=()):
        self.path = path
        self.process = subprocess.Popen(
            as_user(user, [os.path.join(BIN, "fake_peer"), path, *behaviour]),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, pass_fds=fds)
        self.pid = self.process.pid
        line = self.process.stdout.readline()
        assert line == "ready\n", f"fake peer at {path}: {line!r}"

    def stop(self):
        """Ends it; returns what it was asked but for its status."""
        self.process.send_signal(signal.SIGCONT)
        out, _ = self.process.communicate()
        return [line for line in out.splitlines() if line != "status"]


class Case(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.top = tempfile.mkdtemp(prefix="shadowcl-agent-")
        os.chmod(self.top, 0o755)
        self.run = os.path.join(self.top, "run")
        self.hooks = os.path.join(self.top, "hooks")
        self.socket = os.path.join(self.top, "agent.sock")
        self.link = os.path.join(self.top, "port")
        self.mark = os.path.join(self.run, f"suspended.{os.geteuid()}")
        self.log = os.path.join(self.top, "agent.log")
        os.mkdir(self.run)
        os.chmod(self.run, 0o1777)
        self.peers, self.hosts, self.programs = [], [], []
        self.agent = None
        self.num_peers = 0

    def tearDown(self):
        for host in self.hosts:
            host.close()
        for peer in self.peers:
            peer.stop()
        for program in self.programs:
            if program.poll() is None:
                program.kill()
            program.wait()
        code = self.stop() if self.agent and self.agent.poll() is None else 0
        said = self.messages() if os.path.exists(self.log) else ""
        shutil.rmtree(self.top)
        self.assertEqual(code, 0, f"the agent's end: {said}")  # with sanitizers: also of leaks

    def __str__(self):
        return f"{type(self).__name__}.{self._testMethodName}"

    # The agent.

    def environment(self, **more):
        return {**os.environ, "SHADOWCL_RUNTIME_DIR": self.run, **more}

    def start(self, *arguments, env=None, wait=True):
        self.agent = subprocess.Popen(
            [os.path.join(BIN, "shadowcl-agent"), "--socket", self.socket, "--hooks", self.hooks,
             "--log", self.log, *arguments],
            env=self.environment(**(env or {})), stdin=subprocess.DEVNULL)
        if wait:
            wait_until(self.listens, "the agent listens")
        return self.agent

    def bus(self, *addresses):
        """A made-up sysfs with nothing but devices at these addresses."""
        sysfs = os.path.join(self.top, "sys")
        for address in addresses:
            os.makedirs(os.path.join(sysfs, "bus/pci/devices", address), exist_ok=True)
        return {"SHADOWCL_SYSFS": sysfs}

    def listens(self):
        if self.agent.poll() is not None:
            raise AssertionError(f"the agent ended: {self.agent.returncode}: {self.messages()}")
        try:
            with socket.socket(socket.AF_UNIX) as peer:
                peer.connect(self.socket)
                return True
        except OSError:
            return False

    def stop(self):
        """Orderly; returns its exit code."""
        self.agent.terminate()
        return self.agent.wait(PATIENCE)

    def kill(self):
        self.agent.kill()
        self.agent.wait(PATIENCE)

    def messages(self):
        with open(self.log, encoding="utf-8") as file:
            return file.read()

    def host(self):
        host = Host.connect(self.socket)
        self.hosts.append(host)
        return host

    def plug(self):
        """The host's end of a new terminal, to which `link` leads from now on."""
        end = End(self.link)
        host = Host(end, end.sendall)
        self.hosts.append(host)
        return host

    def started(self, *arguments, **more):
        self.start(*arguments, **more)
        return self.host()

    # Processes.

    def peer(self, *behaviour, dir=None, user=None, fds=()):
        self.num_peers += 1
        path = os.path.join(dir or self.run, f"1-{self.num_peers}.sock")
        peer = Peer(path, *behaviour, user=user, fds=fds)
        self.peers.append(peer)
        return peer

    def logs(self):
        """What each peer was asked; they end."""
        logs, self.peers = [peer.stop() for peer in self.peers], []
        return logs

    def program(self, *arguments, sample="vadd", env=None, user=None, wrapper=(), wait=True):
        """A sample under shadowcl; by default it runs until it is killed."""
        number = len(self.programs)
        output = os.path.join(self.top, f"program{number}")
        arguments = arguments or ("--repeat", "1000000", "--size", "1024")
        environment = self.environment(SHADOWCL_LOG=f"debug:{output}.log", **(env or {}))
        with open(output, "wb") as file:
            program = subprocess.Popen(
                [*wrapper, *as_user(user, [os.path.join(BIN, "shadowcl"), "run", "--",
                                           os.path.join(BIN, f"sample-{sample}"), *arguments])],
                env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        program.output, program.log = output, f"{output}.log"
        self.programs.append(program)
        if wait:
            wait_until(lambda: b"round" in self.read(output), f"program {number} is at work")
        return program

    @staticmethod
    def read(path):
        try:
            with open(path, "rb") as file:
                return file.read()
        except FileNotFoundError:
            return b""

    def shadowcl(self, *arguments):
        return subprocess.run([os.path.join(BIN, "shadowcl"), *map(str, arguments)],
                              env=self.environment(), capture_output=True, text=True,
                              timeout=PATIENCE, stdin=subprocess.DEVNULL)

    # What is said of them.

    def states(self, host):
        status = host.done("status")
        return {process["pid"]: process["state"] for process in status["processes"]}

    def expect_states(self, host, *states):
        self.assertEqual(list(self.states(host).values()), list(states))

    def expect_running(self, host):
        """As if nothing had happened: no mark, and everybody runs."""
        self.assertEqual(host.done("status")["state"], "running")
        self.assertEqual(set(self.states(host).values()) - {"running"}, set())
        self.assertFalse(os.path.lexists(self.mark), "a mark was left behind")

    def hook(self, name, body, mode=0o755):
        """A hook in sh; what all of them write with `say` is in the file `said`."""
        os.makedirs(self.hooks, exist_ok=True)
        path = os.path.join(self.hooks, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\nsay() {{ echo \"{name} $*\" >>{self.top}/said; }}\n{body}\n")
        os.chmod(path, mode)
        return path

    def said(self):
        return self.read(os.path.join(self.top, "said")).decode().splitlines()


def run_tests():
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
