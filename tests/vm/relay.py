# SPDX-License-Identifier: Apache-2.0
"""Stands between `shadowcl vm-migrate` and a machine's monitor, or the port of the agent in its guest.
It does what the owner of an ivshmem device has to do (its memory goes and comes with it: QEMU 7.2
would send it on even when the device is gone, and the destination would refuse it), and makes faults
when it is told to."""
import json
import os
import socket
import threading
import time

from machine import CANARY
from qmp import QmpError, Timeout


class Relay:
    """`on_command(message)` may return an answer (`{"return": {}}`): then QEMU never hears of the
    command. `on_event(event)` may return False: then nobody hears of the event."""

    def __init__(self, machine, channel="qmp"):
        self.machine, self.channel = machine, channel
        self.path = machine.path(f"relay-{channel}")
        self.seen = []  # names of commands and events, in order
        self.answered = []  # ids of commands
        self.on_command = lambda message: None
        self.on_event = lambda event: True
        self.client = self.monitor = None
        self.away = []  # memory that was taken from the machine
        self.lock = threading.Lock()
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        self.listener.listen(4)
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        for end in filter(None, (self.listener, self.client)):
            hang_up(end)
            end.close()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            monitor = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                monitor.connect(self.machine.path(self.channel))
            except OSError:
                client.close()
                continue
            self.client, self.monitor = client, monitor
            for source, target, look in ((client, monitor, self.command), (monitor, client, self.answer)):
                threading.Thread(target=self.carry, args=(source, target, look), daemon=True).start()

    def carry(self, source, target, look):
        try:
            self.carry_all(source, target, look)
        finally:  # where a test's own look at it fails, nobody waits for more
            hang_up(source)
            hang_up(target)

    def carry_all(self, source, target, look):
        rest = b""
        while True:
            try:
                data = source.recv(1 << 16)
            except OSError:
                data = b""
            if not data:
                break
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                if goes_on(look, line):
                    self.send(target, line + b"\n")

    def send(self, target, data):
        try:
            with self.lock:
                target.sendall(data)
        except OSError:
            pass

    def tell(self, message):
        """An event or answer of our own to whoever is connected."""
        if self.client:
            self.send(self.client, json.dumps(message).encode() + b"\n")

    def ask(self, *messages, timeout=60):
        """Commands of our own, with ids; the last of them is answered when this returns."""
        for message in messages:
            self.send(self.monitor, json.dumps(message).encode() + b"\n")
        end = time.monotonic() + timeout
        while messages[-1]["id"] not in self.answered:
            if time.monotonic() > end:
                raise Timeout(f"waited {timeout} s for the answer to {messages[-1]}")
            time.sleep(0.01)

    def command(self, message):
        name = message.get("execute", "")
        self.seen.append(name)
        answer = self.on_command(message)
        if answer is not None:
            if "id" in message:
                answer = dict(answer, id=message["id"])
            self.tell(answer)
            return False
        if name == "device_add":
            self.memory("object-add", lambda bar: bar.options["memdev"] ==
                        message.get("arguments", {}).get("memdev"))
        return True

    def answer(self, message):
        if "id" in message:
            self.answered.append(message["id"])
        if "event" not in message:
            return True
        self.seen.append(message["event"])
        if message["event"] == "DEVICE_DELETED":
            self.memory("object-del", lambda bar: bar.options["id"] ==
                        message.get("data", {}).get("device"))
        return self.on_event(message)

    def memory(self, command, is_meant):
        for bar in filter(is_meant, self.machine.bars):
            arguments = bar.backend if command == "object-add" else {"id": bar.backend["id"]}
            if bar in self.away:  # what was not captured is lost, also where the device comes back
                bar.fill(CANARY)
                self.away.remove(bar)
            try:
                self.machine.qmp.execute(command, **arguments)
            except QmpError:  # it is there already, or gone
                pass
            if command == "object-del":
                self.machine.wait_until_forgotten(bar)
                self.away.append(bar)


def hang_up(end):
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:  # the other side was first
        pass


def goes_on(look, line):
    """A line that an agent could not end is nothing to look at."""
    try:
        message = json.loads(line)
    except ValueError:
        return True
    return look(message)
