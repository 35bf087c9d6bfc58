# SPDX-License-Identifier: Apache-2.0
"""Against QEMU itself, without a guest: that the monitor's commands are what QEMU takes, and that
its answers and events are read as it means them. The agent is a model. A machine without a guest
never lets a device go by itself; a reset makes it. Ends with 77 where there is no QEMU."""
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

import fake
from harness import SHADOWCL, Case, run_tests

QEMU = shutil.which("qemu-system-x86_64")
if not QEMU:
    print("qemu-system-x86_64 is not installed")
    sys.exit(77)


class Monitor:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        for _ in range(200):  # QEMU binds it before it listens
            if self.socket.connect_ex(path) == 0:
                break
            time.sleep(0.05)
        self.file = self.socket.makefile("rwb")
        self.file.readline()
        self("qmp_capabilities")

    def __call__(self, command, **arguments):
        self.file.write(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        self.file.flush()
        while True:
            answer = json.loads(self.file.readline())
            if "event" not in answer:
                return answer["return"]


class Qemu:
    """`.control` is a monitor of the test's own, beside the one that the command uses."""

    def __init__(self, folder, name, *arguments):
        self.path = f"{folder}/{name}.qmp"
        control = f"{folder}/{name}.control"
        self.process = subprocess.Popen(
            [QEMU, "-accel", "tcg", "-machine", "pc", "-m", "64", "-nodefaults", "-display",
             "none", "-object", "memory-backend-ram,id=mem-gpu,size=1M,share=on",
             "-qmp", f"unix:{self.path},server=on,wait=off",
             "-qmp", f"unix:{control},server=on,wait=off", *arguments],
            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            self.control = Monitor(control)
        except BaseException:
            self.process.kill()
            raise

    def has_device(self):
        return any(item["name"] == fake.GPU
                   for item in self.control("qom-list", path="/machine/peripheral"))

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.control.socket.close()


class Refusing:
    """A monitor in front of QEMU's that refuses the commands that have one of these words. `quit`
    is answered a second before it is obeyed, as by a machine with much to end."""

    def __init__(self, path, behind, words):
        self.behind, self.words = behind, words
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        try:
            client, _ = self.listener.accept()
            self.stand_between(client)
        except OSError:  # one of the three has ended
            pass

    def stand_between(self, client):
        with client, socket.socket(socket.AF_UNIX) as qemu:
            qemu.connect(self.behind)
            threading.Thread(target=self.give_back, args=(qemu, client), daemon=True).start()
            for line in client.makefile("rb"):
                if any(word in line for word in self.words):
                    error = {"class": "GenericError", "desc": "told to refuse"}
                    self.answer(client, line, error=error)
                    continue
                if b'"quit"' in line:
                    self.answer(client, line, **{"return": {}})
                    time.sleep(1)
                qemu.sendall(line)

    def answer(self, client, line, **answer):
        client.sendall(json.dumps({**answer, "id": json.loads(line)["id"]}).encode() + b"\n")

    def give_back(self, qemu, client):
        """All that QEMU says, and its end."""
        try:
            while more := qemu.recv(65536):
                client.sendall(more)
            client.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Ports(fake.World):
    """The agent alone: it answers at the machine that runs."""

    def __init__(self, folder, source, destination):
        super().__init__(tempfile.mkdtemp(dir=folder))
        self.qemus = {"source": source, "destination": destination}
        for machine in (self.source, self.destination):
            machine.monitor.close()

    def follow(self):
        """The guest is where QEMU says that it runs."""
        for name, qemu in self.qemus.items():
            machine = getattr(self, name)
            try:
                machine.status = qemu.control("query-status")["status"]
            except (OSError, ValueError):
                machine.status = "dead"
            if machine.status == "running":
                self.holder = machine


class Real(Case):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="vm-host-")
        self.addCleanup(shutil.rmtree, self.folder)

    def start(self, incoming="defer", device="edu,id=gpu0,bus=pci.0,addr=05", also=(), both=()):
        self.source = Qemu(self.folder, "source", "-device", device, *both)
        self.addCleanup(self.source.stop)
        self.destination = Qemu(self.folder, "destination", "-incoming", incoming, *also, *both)
        self.addCleanup(self.destination.stop)
        self.world = Ports(self.folder, self.source, self.destination)
        self.addCleanup(self.world.close)
        self.world.source.device = {"addr": "05"}
        self.world.destination.device = {"addr": "06"}

    def move(self, *arguments, lets_go=True):
        """Runs the command; the machine is reset once it was asked to let the device go."""
        command = [SHADOWCL, "vm-migrate", "--json", "--source", self.source.path,
                   "--destination", self.destination.path, "--agent",
                   f"{self.world.folder}/source.agent", "--destination-agent",
                   f"{self.world.folder}/destination.agent", "--device", fake.GPU,
                   "--uri", f"unix:{self.folder}/migration", "--unplug-timeout", "5",
                   "--timeout", "10", "--linger", "0.3", *arguments]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        is_asked = False
        while process.poll() is None:
            time.sleep(0.05)
            self.world.follow()
            if lets_go and not is_asked and self.world.agent.state == "suspended":
                is_asked = True
                time.sleep(0.3)
                self.source.control("system_reset")
        self.stdout, self.stderr = process.communicate()
        return process.returncode, json.loads(self.stdout)

    def is_moved(self, code, answer):
        self.assertEqual(code, 0, self.stderr)
        self.assertEqual(answer["state"],
                         {"guest": "destination", "device": "plugged", "programs": "running"})
        self.assertEqual(self.source.control("query-status")["status"], "postmigrate")
        self.assertEqual(self.destination.control("query-status")["status"], "running")
        self.assertTrue(self.destination.has_device())

    def test_move(self):
        self.start()
        self.is_moved(*self.move())

    def test_move_to_a_destination_that_listens(self):
        self.start(incoming=f"unix:{self.folder}/migration")
        self.is_moved(*self.move())

    def test_options(self):
        """Other options there than here; limits and channels are set at the right side."""
        self.start()
        self.is_moved(*self.move("--destination-device", "driver=edu,bus=pci.0,addr=06,"
                                 "multifunction=on,dma_mask=255", "--bandwidth", "512M",
                                 "--downtime-limit", "200", "--multifd", "3"))
        path = "/machine/peripheral/gpu0"
        self.assertEqual([self.destination.control("qom-get", path=path, property=name)
                          for name in ("legacy-addr", "multifunction", "dma_mask")],
                         ["06.0", True, 255])
        limits = self.source.control("query-migrate-parameters")
        self.assertEqual([limits[name] for name in ("max-bandwidth", "downtime-limit",
                                                    "multifd-channels")], [512 << 20, 200, 3])
        there = self.destination.control("query-migrate-parameters")
        self.assertEqual(there["multifd-channels"], 3)

    def test_other_ways_to_travel(self):
        """By a command, whose two ends are not the same."""
        pipe = f"{self.folder}/pipe"
        os.mkfifo(pipe)
        self.start()
        self.is_moved(*self.move("--uri", f"exec:cat > {pipe}", "--incoming", f"exec:cat {pipe}"))

    def test_tcp(self):
        """The memory and a monitor, which is not at the first address that the name has."""
        port = free_port()
        self.start(also=["-qmp", f"tcp:127.0.0.1:{port},server=on,wait=off"])
        self.is_moved(*self.move("--uri", f"tcp:127.0.0.1:{free_port()}",
                                 "--destination", f"localhost:{port}"))

    def test_slot_is_taken(self):
        self.start()
        code, answer = self.move("--dry-run", "--destination-device", "driver=edu,addr=01.0")
        self.assertEqual(code, 1)
        self.assertIn("slot 01", answer["error"]["reason"])

    def test_options_that_are_found(self):
        """QEMU is asked how the device was made; what is the default is left out."""
        self.start(device="ivshmem-plain,id=gpu0,memdev=mem-gpu,bus=pci.0,addr=07.0,"
                          "acpi-index=12,x-pcie-lnksta-dllla=off")
        code, answer = self.move("--dry-run")
        self.assertEqual(code, 0, self.stderr)
        self.assertEqual(answer["device_options"],
                         {"driver": "ivshmem-plain", "id": "gpu0", "bus": "pci.0",
                          "addr": "07.0", "memdev": "mem-gpu", "acpi-index": 12,
                          "x-pcie-lnksta-dllla": False})

    def test_guest_keeps_the_device(self):
        self.start()
        code, answer = self.move("--unplug-timeout", "0.5", lets_go=False)
        self.assertEqual(code, 1, self.stderr)
        self.assertEqual(answer["state"],
                         {"guest": "source", "device": "leaving", "programs": "running"})
        self.assertEqual(self.source.control("query-status")["status"], "running")

    def test_destination_dies(self):
        """While the memory travels, slowly."""
        self.start()
        threading.Timer(2.5, self.destination.process.kill).start()
        code, answer = self.move("--bandwidth", "100K")
        self.assertEqual(code, 1, self.stderr)
        self.back_at_source(answer)

    def test_cancelled(self):
        self.start()
        limits = self.source.control("query-migrate-parameters")
        code, answer = self.move("--bandwidth", "100K", "--migrate-timeout", "1", "--multifd", "3")
        self.assertEqual(code, 1, self.stderr)
        self.back_at_source(answer)
        self.assertEqual(self.source.control("query-migrate")["status"], "cancelled")
        self.assertEqual(self.source.control("query-migrate-parameters"), limits)
        self.assertIn({"capability": "multifd", "state": False},
                      self.source.control("query-migrate-capabilities"))

    def start_with_disk(self):
        """That one QEMU at a time can have."""
        disk = self.folder + "/disk"
        with open(disk, "wb") as file:
            file.truncate(1 << 20)
        self.start(both=["-blockdev", f"driver=file,node-name=disk,filename={disk}",
                         "-device", "virtio-blk-pci,drive=disk,bus=pci.0,addr=04"])

    def test_move_with_a_disk(self):
        self.start_with_disk()
        self.is_moved(*self.move())

    def refuses_to_run(self, *words):
        """All is sent, and the disk is at the source again."""
        self.start_with_disk()
        path = self.folder + "/refusing"
        front = Refusing(path, self.destination.path, words)
        self.addCleanup(front.listener.close)
        code, answer = self.move("--destination", path)
        self.assertEqual(code, 1, self.stderr)
        self.back_at_source(answer, "start")
        self.assertIsNotNone(self.destination.process.wait(10))

    def test_destination_refuses_to_run(self):
        self.refuses_to_run(b'"cont"')

    def test_old_destination_refuses_to_run(self):
        self.refuses_to_run(b'"cont"', b"late-block-activate")

    def back_at_source(self, answer, failed="migrate"):
        self.assertEqual(answer["state"],
                         {"guest": "source", "device": "plugged", "programs": "running"},
                         self.stderr)
        self.assertEqual(answer["phases"][-2]["name"], failed, self.stderr)
        self.assertEqual(self.source.control("query-status")["status"], "running")
        self.assertTrue(self.source.has_device())


run_tests()
