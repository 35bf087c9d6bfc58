# SPDX-License-Identifier: Apache-2.0
"""docs/vm.md from nothing to a moved machine, as it is typed there, in order: the agent in the
foreground, both QEMUs (q35, the device on a root port), --dry-run, the configuration file, the move;
vm-suspend, save, start again, and the vm-resume that was printed. Where other words stand for what is
not here, what they replace must be in the page: see `instead()`. The page's lines for a guest with
systemd are typed by services.py."""
import json
import os
import shlex
import socket
import subprocess
import tempfile

from lab import MIB, last_step
from machine import CANARY, KERNEL, MEMORY, Bar, Machine
from move import LONG_HEAT, Move
from page import block, lines, quoted
from relay import Relay
from services import INSTALLED, answers, install

BACKEND = "gpu0-memory"
# A GPU, and how the page gives it to the source.
GPU = "-device vfio-pci,id=gpu0,host=0000:65:00.0,bus=port1"
STAND_IN = f"driver=ivshmem-plain,memdev={BACKEND}"
SUBSTITUTES = {
    "accel=kvm": "accel=tcg",
    "-cpu host": "-cpu max",
    "-m 64G": f"-m {MEMORY}",
}
# The page's time limits are those of a machine that has little else to do.
PATIENCE = "--timeout 120"
UNPLUG_PATIENCE = f"{PATIENCE} --unplug-timeout 60"


def instead(text, substitutes):
    for old, new in substitutes.items():
        assert old in text, f"docs/vm.md does not have `{old}` here:\n{text}"
        text = text.replace(old, new)
    return text


class PageMachine(Machine):
    """As the page has it; the source with the device. Beside it what our guest is made of."""

    def __init__(self, lab, name, incoming=None):
        self.has_device = incoming is None
        super().__init__(lab.image, name, incoming)

    def start(self):
        if self.has_device and not self.bars:
            self.bars.append(make_bar(self, 64 * MIB))
        super().start()

    def command(self):
        own = ["-name", self.name, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
               "-smp", "2", "-kernel", f"{self.image}/vmlinux", "-initrd", f"{self.image}/initrd",
               "-append", KERNEL,
               "-chardev", f"file,id=console,path={self.path('console')}", "-serial", "chardev:console",
               "-drive", f"file={self.image}/root.squashfs,format=raw,if=none,id=root,readonly=on,"
                         "file.locking=off",
               "-device", "virtio-blk-pci,id=disk,drive=root",
               "-qmp", f"unix:{self.path('monitor')},server=on,wait=off"]
        device = ""
        if self.has_device:
            bar = self.bars[0]
            own += ["-object", f"memory-backend-file,id={BACKEND},size={bar.size},mem-path={bar.path},"
                               "share=on"]
            device = f"-device {STAND_IN.removeprefix('driver=')},id=gpu0,bus=port1"
        directory, line = lines(block("qemu-system-x86_64"))
        subprocess.run(shlex.split(instead(directory, {"/run/vm": self.folder})), check=True, timeout=10)
        line = instead(line, SUBSTITUTES | {"/run/vm": self.folder, GPU: device,
                                            " ... ": f" {shlex.join(own)} "})
        return ["setpriv", "--pdeathsig", "KILL", "--", *shlex.split(line),
                "-chardev", f"socket,id=test,path={self.path('test')},server=on,wait=off",
                "-device", "virtserialport,bus=ports.0,nr=2,chardev=test,name=org.shadowcl.test"]


def make_bar(machine, size):
    """The memory of a device in the root port, which QEMU is told of by somebody else."""
    bar = Bar(machine.folder, "gpu0", size)
    bar.backend = {"qom-type": "memory-backend-file", "id": BACKEND, "size": size,
                   "mem-path": bar.path, "share": True}
    bar.options = {"driver": "ivshmem-plain", "id": "gpu0", "memdev": BACKEND, "bus": "port1"}
    return bar


class PageMove(Move):
    # Not larger than the source's: the guest gave the root port a window that has room for that.
    def destination(self, size=64 * MIB):
        incoming = quoted("-incoming defer").split()[1]
        self.there = PageMachine(self.lab, "destination", incoming)
        self.there.relay = Relay(self.there)
        self.new_bar = make_bar(self.there, size)
        self.there.bars.append(self.new_bar)
        self.there.qmp.execute("object-add", **self.new_bar.backend)


class Hand:
    """Types on the host, in a folder of its own."""

    def __init__(self, move, folder):
        self.move, self.folder = move, folder
        a, b = move.here, move.there
        with socket.create_server(("", 0)) as free:
            port = free.getsockname()[1]
        self.places = {"/run/vm/there.qmp": b.relay.path, "/run/vm/there.agent": b.path("agent"),
                       "/run/vm/qmp": a.relay.path, "/run/vm/agent": a.path("agent"),
                       "driver=vfio-pci,host=0000:17:00.0": STAND_IN,
                       "tcp:there:4444": f"tcp:127.0.0.1:{port}",
                       "tcp:[::]:4444": f"tcp:0.0.0.0:{port}"}

    def type(self, command, places=None):
        """Returns what it said."""
        command = instead(command, places or {})
        path = f"{self.move.lab.build}/bin:{os.environ['PATH']}"
        done = subprocess.run(["bash", "-c", command], cwd=self.folder, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600,
                              env=dict(os.environ, PATH=path), check=False)
        self.move.lab.say(f"$ {command}\n{done.stdout}")
        assert done.returncode == 0, f"`{command}`: exit {done.returncode}\n{done.stdout}"
        return done.stdout


def in_guest(lab, machine):
    """As after the page's `cmake --install`; for the agent as a service there is another scenario."""
    guest = machine.guest
    guest.wait_ready()
    install(lab, guest)
    guest.start("/tmp/agent", quoted("shadowcl-agent"), env=INSTALLED)
    answers(machine)


def move_by_page(hand, move):
    """First without changing anything, then by a file."""
    [dry] = lines(block("vm-migrate --dry-run"))
    hand.type(f"{dry.removeprefix('$ ')} {UNPLUG_PATIENCE}", hand.places)
    assert move.here.guest_has_gpu() and move.there.status() != "running", "--dry-run has done something"
    config = block('"source"')
    options = {f"--{name}": value for name, value in json.loads(config).items()}
    words = shlex.split(dry)[4:]
    assert options == dict(zip(words[::2], words[1::2])), f"not the same: {options} {words}"
    with open(f"{hand.folder}/move.json", "w", encoding="utf-8") as file:
        file.write(instead(config, hand.places))
    how = quoted("--config move.json")
    hand.type(f"shadowcl vm-migrate {how} {UNPLUG_PATIENCE} --dry-run")
    said = hand.type(f"shadowcl vm-migrate {how} {UNPLUG_PATIENCE} --timeline move.svg")
    assert "verify" in said, f"it does not end with a timeline: {said}"
    assert os.path.getsize(f"{hand.folder}/move.svg") > 1000
    move.here.qmp.execute(quoted("quit"))
    move.here.process.wait(60)
    move.arrived()
    move.alive()


def save_by_page(hand, move):
    """vm-suspend, save, start again, and what vm-suspend has printed."""
    typed, dots, promised = block("$ shadowcl vm-suspend").splitlines()
    places = {"/run/vm/qmp": move.here.relay.path, "/run/vm/agent": move.here.path("agent")}
    said = hand.type(f"{typed.removeprefix('$ ')} {UNPLUG_PATIENCE}", places)
    before, promised = promised.split(": ", 1)
    [printed] = [line.split(": ", 1)[1] for line in said.splitlines() if line.startswith(f"{before}: ")]
    assert dots == "..." and shape(printed) == shape(promised), f"{printed}\n{promised}"
    stopped = last_step(move.here.guest, "/tmp/heat")
    saved = os.path.join(hand.folder, "machine.zst")
    command = json.loads(instead(quoted(r'\{"execute": "migrate"[^`]*\}\}'), {"machine.zst": saved}))
    move.here.qmp.execute(command["execute"], **command["arguments"])
    move.here.wait_migrated(400)
    move.here.qmp.execute(quoted("quit"))
    move.here.process.wait(60)
    incoming = shlex.split(quoted(r'-incoming "exec:zstd[^`]*"'))[1]
    move.here.incoming = instead(incoming, {"machine.zst": saved})
    move.bar.fill(CANARY)  # somebody else has had the device
    move.here.restart()
    move.here.wait_status("running")
    move.here.guest.wait_ready()
    assert last_step(move.here.guest, "/tmp/heat") == stopped, "it went on without its device"
    move.here.qmp.execute("object-add", **move.bar.backend)
    hand.type(f"{printed} {PATIENCE}")
    move.alive()


def shape(command):
    """The options of a command, and of the device in it; the device's own are another kind's."""
    words = shlex.split(command)
    names = [word.split("=")[0] for word in words[-1].split(",")]
    return [word for word in words if word.startswith("--")] + names[:names.index("addr")]


def walk(lab):
    """docs/vm.md, typed: a move between two q35 machines, then to disk and back."""
    lab.reference(*LONG_HEAT)
    source = PageMachine(lab, "source")
    try:
        in_guest(lab, source)
    except BaseException as problem:
        source.__exit__(None, problem)
        raise
    with PageMove(lab, here=source) as move, tempfile.TemporaryDirectory(dir=lab.cache) as folder:
        move.start("heat", LONG_HEAT, env=INSTALLED)
        shown = move.here.guest.run("shadowcl", "ps", env=INSTALLED).out
        assert "sample-heat" in shown, f"`shadowcl ps` does not list it: {shown}"
        hand = Hand(move, folder)
        move_by_page(hand, move)
        save_by_page(hand, move)
        move.finish()
