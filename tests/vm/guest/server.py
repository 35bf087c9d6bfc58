#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Inside the guest: does what the test on the host asks for over a virtio-serial port. One JSON
object per line, each with an `id` that the answer repeats; bytes are base64. Every request has a
thread of its own, so one that takes long holds nobody up."""
import base64
import json
import os
import signal
import subprocess
import threading
import time
import traceback

PORT_NAME = "org.shadowcl.test"
started = {}  # by pid: those that `start` started
write_lock = threading.Lock()


def find_port():
    """Without udev nobody makes /dev/virtio-ports; the agent wants that folder too."""
    found = None
    base = "/sys/class/virtio-ports"
    is_ours = not os.path.isdir("/run/udev")
    os.makedirs("/dev/virtio-ports", exist_ok=True)
    for port in os.listdir(base):
        with open(f"{base}/{port}/name", encoding="ascii") as file:
            name = file.read().strip()
        link = f"/dev/virtio-ports/{name}"
        if is_ours and not os.path.lexists(link):
            os.symlink(f"../{port}", link)
        if name == PORT_NAME:
            found = f"/dev/{port}"
    return found


def decode(text):
    return base64.b64decode(text or "")


def encode(data):
    return base64.b64encode(data).decode()


def environment(request):
    return dict(os.environ, **request.get("env", {}))


def do_run(request):
    child = subprocess.Popen(request["command"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, env=environment(request),
                             cwd=request.get("cwd", "/"), start_new_session=True)
    try:
        out, err = child.communicate(decode(request.get("input")), request.get("limit", 60))
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        out, err = child.communicate()
        return {"timeout": True, "code": -9, "out": encode(out), "err": encode(err)}
    return {"code": child.returncode, "out": encode(out), "err": encode(err)}


def do_start(request):
    """In the background; its output goes to files."""
    name = request["name"]
    with open(f"{name}.out", "wb") as out, open(f"{name}.err", "wb") as err:
        child = subprocess.Popen(request["command"], stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                 env=environment(request), cwd=request.get("cwd", "/"),
                                 start_new_session=True)
    started[child.pid] = child
    return {"pid": child.pid}


def do_poll(request):
    return {"code": started[request["pid"]].poll()}


def do_put(request):
    path = request["path"]
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "ab" if request.get("append") else "wb") as file:
        file.write(decode(request["data"]))
    os.chmod(path, request.get("mode", 0o644))
    return {}


def do_get(request):
    with open(request["path"], "rb") as file:
        file.seek(request.get("offset", 0))
        return {"data": encode(file.read(request.get("size", -1)))}


def do_ping(request):
    return {"time": time.time(), "uptime": time.monotonic()}


ACTIONS = {"run": do_run, "start": do_start, "poll": do_poll, "put": do_put, "get": do_get,
           "ping": do_ping}


def answer(port, request):
    try:
        result = ACTIONS[request["do"]](request)
    except Exception:  # the test shows it
        result = {"error": traceback.format_exc()}
    result["id"] = request.get("id")
    line = memoryview(json.dumps(result).encode() + b"\n")
    with write_lock:
        while line:
            line = line[os.write(port, line):]


def serve(port):
    rest = b""
    while True:
        data = os.read(port, 1 << 16)
        if not data:  # nobody on the other end
            time.sleep(0.02)
            continue
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            try:
                request = json.loads(line)
            except ValueError:  # what was left of a host that went away
                continue
            threading.Thread(target=answer, args=(port, request), daemon=True).start()


def main():
    path = find_port()
    while not path:
        time.sleep(0.1)
        path = find_port()
    # The programs are to be able to hand on descriptors of their own, and never get this one.
    serve(os.open(path, os.O_RDWR | os.O_CLOEXEC))


main()
