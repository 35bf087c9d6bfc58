# SPDX-License-Identifier: Apache-2.0
"""The test's own way into a guest: asks guest/server.py over a virtio-serial port."""
import base64
import io
import itertools
import json
import queue
import socket
import tarfile
import threading
import time

from qmp import Timeout, dial

CHUNK = 1 << 19


class GuestError(Exception):
    """What was asked of the guest failed there."""


class Result:
    def __init__(self, command, answer):
        self.command = command
        self.code = answer["code"]
        self.out = base64.b64decode(answer["out"]).decode(errors="replace")
        self.err = base64.b64decode(answer["err"]).decode(errors="replace")
        self.timeout = answer.get("timeout", False)

    def __str__(self):
        end = "ran too long" if self.timeout else f"exit {self.code}"
        return f"{' '.join(self.command)}: {end}\n{self.out}{self.err}"


class Guest:
    def __init__(self, path):
        self.ids = itertools.count(1)
        self.waiting = {}
        self.lock = threading.Lock()
        self.socket = dial(path)
        threading.Thread(target=self.receive, daemon=True).start()
        self.socket.sendall(b"\n")  # ends what another host may have left

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()

    def receive(self):
        rest = b""
        while True:
            try:
                data = self.socket.recv(1 << 16)
            except OSError:
                data = b""
            if not data:
                for answers in list(self.waiting.values()):
                    answers.put(None)
                return
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                try:
                    answer = json.loads(line)
                except ValueError:  # the rest of an answer to another host
                    continue
                answers = self.waiting.get(answer.get("id"))
                if answers:
                    answers.put(answer)

    def ask(self, do, timeout=60, **request):
        request.update(do=do, id=f"{id(self):x}-{next(self.ids)}")
        answers = self.waiting[request["id"]] = queue.Queue()
        try:
            with self.lock:
                self.socket.sendall(json.dumps(request).encode() + b"\n")
            answer = answers.get(timeout=timeout)
        except queue.Empty:
            raise Timeout(f"waited {timeout} s for the guest's answer to "
                          f"{do} {request.get('command') or request.get('path') or ''}") from None
        finally:
            del self.waiting[request["id"]]
        if answer is None:
            raise ConnectionError(f"the guest's port was closed during {do}")
        if "error" in answer:
            raise GuestError(answer["error"])
        return answer

    def wait_ready(self, timeout=120):
        """A booting guest may not yet read: asks until it answers."""
        end = time.monotonic() + timeout
        while True:
            try:
                return self.ask("ping", timeout=2)
            except Timeout:
                if time.monotonic() > end:
                    raise Timeout(f"waited {timeout} s for the guest to answer at all") from None

    def run(self, *command, timeout=120, check=True, env=None, data=b""):
        answer = self.ask("run", timeout=timeout + 30, command=list(command),
                          env=env or {}, limit=timeout, input=base64.b64encode(data).decode())
        result = Result(command, answer)
        if check and (result.code or result.timeout):
            raise GuestError(str(result))
        return result

    def shell(self, script, **options):
        return self.run("/bin/sh", "-c", script, **options)

    def start(self, name, *command, env=None):
        """In the background; its output goes to NAME.out and NAME.err. Returns its pid."""
        return self.ask("start", name=name, command=list(command), env=env or {})["pid"]

    def poll(self, pid):
        """The exit code; None while it runs."""
        return self.ask("poll", pid=pid)["code"]

    def wait(self, pid, what, timeout=300):
        end = time.monotonic() + timeout
        while (code := self.poll(pid)) is None:
            if time.monotonic() > end:
                raise Timeout(f"waited {timeout} s for the end of {what}")
            time.sleep(0.2)
        return code

    def put(self, path, data, mode=0o644):
        for offset in range(0, max(len(data), 1), CHUNK):
            piece = base64.b64encode(data[offset:offset + CHUNK]).decode()
            self.ask("put", path=path, data=piece, mode=mode, append=offset > 0)

    def get(self, path):
        whole = b""
        while True:
            piece = base64.b64decode(self.ask("get", path=path, offset=len(whole),
                                              size=CHUNK)["data"])
            whole += piece
            if len(piece) < CHUNK:
                return whole

    def put_tree(self, files, folder):
        """`files`: paths in the folder, and the bytes; all of them executable."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=3) as tar:
            for path, data in files.items():
                entry = tarfile.TarInfo(path)
                entry.size, entry.mode = len(data), 0o755
                tar.addfile(entry, io.BytesIO(data))
        self.unpack(packed.getvalue(), folder)

    def unpack(self, packed, folder):
        self.put("/tmp/tree.tar.gz", packed)
        self.run("mkdir", "-p", folder)
        self.run("tar", "-xzf", "/tmp/tree.tar.gz", "-C", folder)
