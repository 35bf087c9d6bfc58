# SPDX-License-Identifier: Apache-2.0
"""samples/libvirt/move.sh with a virsh and an ssh that do to the model what libvirt would do to
QEMU: the order of things, and the way back from each of them."""
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading

import fake
from harness import SHADOWCL, Case, run_tests

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                      "../../../samples/libvirt/move.sh")
# Asks the test, which has the model, and says what it says.
STUB = """#!{python} -ISB
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
        self.looks = self.blind = 0  # how often QEMU is asked what it has, first in vain
        self.interrupted_at = self.leaves_at = None  # looks
        self.leaves_under_programs = False
        self.tools = self.folder + "/bin"
        os.mkdir(self.tools)
        os.symlink(SHADOWCL, self.tools + "/shadowcl")
        for name in ("virsh", "ssh"):
            with open(f"{self.tools}/{name}", "w") as file:
                file.write(STUB.format(python=sys.executable, path=self.folder + "/test",
                                       name=name))
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
                try:
                    code, text = self.obey(words)
                except fake.Refusal as refusal:
                    code, text = 1, refusal.error["desc"]
                client.sendall(f"{code}\n{text}".encode())

    def obey(self, words):
        world = self.world
        if "qemu-monitor-command" in words:
            return self.look()
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

    alias, wait, linger = "ua-gpu0", "1", "1"

    def look(self):
        self.looks += 1
        if self.looks <= self.blind:
            return 1, ""
        if self.looks == self.interrupted_at:
            self.process.send_signal(signal.SIGINT)
        is_too_late = self.leaves_under_programs and self.world.agent.on_device()
        if is_too_late or self.looks == self.leaves_at:
            self.leaves_under_programs = False
            self.world.source.leave()
        there = self.world.source.device and self.alias
        return 0, '{"return": [{"name": "%s"}]}' % there

    def environment(self):
        return {**os.environ, "PATH": self.tools + ":" + os.environ["PATH"], "WAIT": self.wait,
                "LINGER": self.linger, "AGENT": self.folder + "/source.agent",
                "ADDRESS": "0000:00:05.0"}

    def move(self, fails=None):
        self.fails = fails
        self.process = subprocess.Popen(
            [SCRIPT, "vm", "far", "here.xml", "there.xml"], stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True, env=self.environment())
        self.addCleanup(self.process.kill)
        self.said, _ = self.process.communicate(timeout=60)
        return self.process.returncode

    def patience(self, seconds):
        """Of each step of shadowcl's."""
        os.unlink(self.tools + "/shadowcl")
        with open(self.tools + "/shadowcl", "w") as file:
            file.write(f'#!/bin/sh\nexec {SHADOWCL} "$@" --timeout {seconds}\n')
        os.chmod(self.tools + "/shadowcl", 0o755)

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

    def test_guest_obeys_late_under_running_programs(self):
        """device_del can't be withdrawn."""
        self.world.unplug, self.wait = None, "0"
        self.leaves_under_programs = True
        self.ends(1, guest="source", device="plugged", programs="running")
        self.assertEqual([name for name, _ in self.world.agent.calls if name in (
            "suspend", "resume")], ["suspend", "resume", "suspend", "resume"])
        self.assertEqual(self.calls, ["virsh detach-device vm here.xml --live",
                                      "virsh attach-device vm here.xml --live"])
        self.assertIn("the guest has let the device go, late", self.said)

    def test_guest_obeys_late_while_programs_are_resumed(self):
        self.world.unplug, self.wait = None, "0"
        self.patience(1)
        resume = self.world.agent.do_resume

        def resume_too_late(**arguments):
            if len(self.calls) == 1:
                self.world.source.leave()
            return resume(**arguments)

        self.world.agent.do_resume = resume_too_late
        self.ends(1, guest="source", device="plugged", programs="running")
        self.assertFalse(self.world.agent.lost_device)
        self.assertEqual(self.calls[1:], ["virsh attach-device vm here.xml --live"])

    def test_virsh_fails_while_the_device_leaves(self):
        """That QEMU can't be asked does not say that it has no device."""
        self.world.unplug = None
        self.blind, self.linger = 7, "0"
        self.ends(1, guest="source", device="plugged", programs="running")
        self.assertEqual(self.calls, ["virsh detach-device vm here.xml --live"])
        self.assertIn("can't be asked", self.said)

    def test_interrupted_while_the_device_leaves(self):
        """The programs wait for a guest that is about to obey."""
        self.world.unplug = None
        self.interrupted_at, self.leaves_at = 2, 4
        self.ends(1, guest="source", device="plugged", programs="running")
        self.assertFalse(self.world.agent.lost_device)
        self.assertEqual(self.calls[1:], ["virsh attach-device vm here.xml --live"])

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
