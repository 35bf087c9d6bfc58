# SPDX-License-Identifier: Apache-2.0
"""QEMU's monitor: commands are answered in turn, events are kept until somebody asks for them."""
import json
import socket
import threading
import time


class QmpError(Exception):
    """The answer was an error."""


class Timeout(Exception):
    """Something did not happen in time; says what."""


def dial(path, timeout=20):
    """QEMU's socket may be there a moment before anybody listens."""
    end = time.monotonic() + timeout
    while True:
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            channel.connect(path)
            return channel
        except (ConnectionRefusedError, FileNotFoundError):
            channel.close()
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


class Qmp:
    def __init__(self, path, timeout=30):
        self.events = []
        self.rest = b""
        self.lock = threading.Lock()  # one command at a time
        self.socket = dial(path)
        self.read(time.monotonic() + timeout, "the monitor's greeting")
        self.execute("qmp_capabilities")

    def close(self):
        self.socket.close()

    def read(self, end, what):
        while b"\n" not in self.rest:
            left = end - time.monotonic()
            if left <= 0:
                raise Timeout(f"waited too long for {what}")
            self.socket.settimeout(left)
            try:
                data = self.socket.recv(1 << 16)
            except TimeoutError:
                continue
            if not data:
                raise ConnectionError(f"QEMU closed its monitor while waiting for {what}")
            self.rest += data
        line, self.rest = self.rest.split(b"\n", 1)
        return json.loads(line)

    def execute(self, command, timeout=60, **arguments):
        with self.lock:
            return self.ask(command, timeout, arguments)

    def ask(self, command, timeout, arguments):
        names = {name.replace("_", "-"): value for name, value in arguments.items()}
        message = {"execute": command, "arguments": names}
        self.socket.settimeout(timeout)
        self.socket.sendall(json.dumps(message).encode() + b"\n")
        end = time.monotonic() + timeout
        while True:
            answer = self.read(end, f"the answer to {command}")
            if "event" in answer:
                self.events.append(answer)
            elif "error" in answer:
                raise QmpError(f"{command}: {answer['error']['desc']}")
            else:
                return answer.get("return")

    def wait_event(self, name, timeout=60, **data):
        """The first event of this name, and with these data, that nobody waited for yet."""
        end = time.monotonic() + timeout
        with self.lock:
            while True:
                for event in self.events:
                    if event["event"] == name and all(event.get("data", {}).get(key) == value
                                                      for key, value in data.items()):
                        self.events.remove(event)
                        return event
                answer = self.read(end, f"the event {name} {data or ''}")
                if "event" in answer:
                    self.events.append(answer)
