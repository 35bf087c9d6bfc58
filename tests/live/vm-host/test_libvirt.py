# SPDX-License-Identifier: Apache-2.0
"""samples/libvirt/move.sh with a virsh and an ssh that do to the model what libvirt would do to
QEMU: the order of things, and the way back from each of them."""
import os
import shutil
import socket
import subprocess
import tempfile
import threading

import fake
from harness import SHADOWCL, Case, run_tests

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                      "../../../samples/libvirt/move.sh")
# Asks the test, which has the model, and says what it says.
STUB = """#!/usr/bin/env python3
import socket, sys
with socket.socket(socket.AF_UNIX) as test:
    test.connect({path!r})
    test.sendall("\\0".join([{name!r}, *sys.argv[1:]]).encode() + b"\\n")
    code, _, text = test.makefile().read().partition("\\n")
sys.stdout.write(text)
sys.exit(int(code))
"""


class Libvirt(Case):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="vm-host-")
        self.world = fake.World(self.folder)
        self.addCleanup(shutil.rmtree, self.folder)
        self.addCleanup(self.world.close)
        self.fails = None
        self.calls = []
        self.tools = self.folder + "/bin"
        os.mkdir(self.tools)
        os.symlink(SHADOWCL, self.tools + "/shadowcl")
        for name in ("virsh", "ssh"):
            with open(f"{self.tools}/{name}", "w") as file:
                file.write(STUB.format(path=self.folder + "/test", name=name))
            os.chmod(f"{self.tools}/{name}", 0o755)
        self.listener = socket_at(self.folder + "/test")
        self.addCleanup(self.listener.close)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with client:
                words = client.makefile().readline().rstrip("\n").split("\0")
                code, text = self.obey(words)
                client.sendall(f"{code}\n{text}".encode())

    def obey(self, words):
        world = self.world
        if "qemu-monitor-command" in words:
            there = world.source.device and self.alias
            return 0, '{"return": [{"name": "%s"}]}' % there
        self.calls.append(" ".join(words))
        step = next(word for word in words[1:] if not word.startswith(("-", "qemu+")))
        if step == self.fails:
            return 1, ""
        if step == "detach-device":
            world.source.do_device_del(fake.GPU)
        elif step == "attach-device":
            machine = world.destination if "-c" in words else world.source
            machine.do_device_add(**fake.PCI)
        elif step == "migrate":
            world.destination.listening = True
            world.source.do_migrate("x")
            while world.source.migration["status"] == "active":
                threading.Event().wait(0.01)
        elif words[0] == "ssh":
            command = words[2].replace("source.agent", "destination.agent")
            ran = subprocess.run(["sh", "-c", command], env=self.environment(), timeout=30,
                                 capture_output=True, text=True)
            return ran.returncode, ran.stderr
        return 0, ""

    alias = "ua-gpu0"

    def environment(self):
        return {**os.environ, "PATH": self.tools + ":" + os.environ["PATH"], "WAIT": "1",
                "AGENT": self.folder + "/source.agent", "ADDRESS": "0000:00:05.0"}

    def move(self, fails=None):
        self.fails = fails
        ran = subprocess.run([SCRIPT, "vm", "far", "here.xml", "there.xml"], timeout=60,
                             capture_output=True, text=True, env=self.environment())
        self.said = ran.stderr + ran.stdout
        return ran.returncode

    def ends(self, code, *, guest, device, programs, fails=None):
        self.assertEqual(self.move(fails), code, self.said)
        self.assertEqual(self.world.truth(),
                         {"guest": guest, "device": device, "programs": programs}, self.said)

    def test_move(self):
        self.ends(0, guest="destination", device="plugged", programs="running")
        self.assertEqual([call.split(" --agent")[0] for call in self.calls], [
            "virsh detach-device vm here.xml --live",
            "virsh migrate --live vm qemu+ssh://far/system",
            "virsh -c qemu+ssh://far/system attach-device vm there.xml --live",
            "ssh far shadowcl vm-resume"])

    def test_device_is_awaited(self):
        """What was attached is not there at once, and not ready as soon as it is there."""
        self.world.ready_time = 3
        self.ends(0, guest="destination", device="plugged", programs="running")
        self.assertEqual([arguments["address"] for name, arguments in self.world.agent.calls
                          if name == "device-wait"], ["0000:00:05.0"])

    def test_programs_refuse(self):
        self.world.agent.residue = "it has a pipe"
        self.ends(1, guest="source", device="plugged", programs="running")
        self.assertEqual(self.calls, [])

    def test_detach_fails(self):
        self.ends(1, guest="source", device="plugged", programs="running", fails="detach-device")

    def test_guest_keeps_the_device(self):
        self.world.unplug = None
        self.ends(1, guest="source", device="plugged", programs="running")
        self.assertIn("does not let the device go", self.said)

    def test_migrate_fails(self):
        self.ends(1, guest="source", device="plugged", programs="running", fails="migrate")
        self.assertEqual(self.calls[-1], "virsh attach-device vm here.xml --live")

    def test_attach_fails_there(self):
        self.ends(1, guest="destination", device="nowhere", programs="suspended",
                  fails="attach-device")
        self.assertIn("on far: shadowcl vm-resume", self.said)


def socket_at(path):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(5)
    return listener


run_tests()
