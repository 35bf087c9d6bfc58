# SPDX-License-Identifier: Apache-2.0
"""Virtual machines under QEMU, without KVM. Every device has a fixed place, so that two machines
made here are the same to a migration. The stand-in for a passthrough GPU is ivshmem-plain: while it
is plugged the machine can't be migrated, and its memory does not travel."""
import mmap
import os
import shlex
import shutil
import subprocess
import tempfile
import time

from guest import Guest
from qmp import Qmp, Timeout

QEMU = "qemu-system-x86_64"
MEMORY = 1536  # MiB
KERNEL = "console=ttyS0 quiet panic=-1 mitigations=off random.trust_cpu=on"
GPU_PLACE, OTHER_PLACE = "0x8", "0x9"
CANARY = b"shadowcl canary\n"
PAGE = 4096


class Bar:
    """The host's side of the GPU's memory: a file that QEMU maps. It is full of canaries when it is
    plugged in; the test driver never touches its first page."""

    def __init__(self, folder, name, size):
        self.path = os.path.join(folder, name)
        self.size = size
        with open(self.path, "wb") as file:
            file.truncate(size)
        with open(self.path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), size)
        self.fill(CANARY)

    def fill(self, pattern):
        self.memory[:] = pattern * (self.size // len(pattern))

    def intact(self, start=0, end=PAGE):
        return self.memory[start:end] == CANARY * ((end - start) // len(CANARY))

    def touched(self):
        """How many of its pages don't hold canaries alone."""
        page = CANARY * (PAGE // len(CANARY))
        return sum(self.memory[at:at + PAGE] != page for at in range(0, self.size, PAGE))

    def close(self):
        self.memory.close()
        os.unlink(self.path)


class Machine:
    """One QEMU process. `incoming` is where its state comes from: `defer`, or an exec: URI. `append`
    is for the kernel's command line."""

    def __init__(self, image, name, incoming=None, append=""):
        self.image, self.name, self.incoming, self.append = image, name, incoming, append
        self.folder = tempfile.mkdtemp(prefix=f"shadowcl-vm-{name}-", dir="/dev/shm")
        self.process = self.qmp = self.guest = None
        self.bars = []
        try:
            self.start()
        except BaseException as problem:
            self.__exit__(None, problem)
            raise

    def path(self, name):
        return os.path.join(self.folder, name)

    def command(self):
        return [
            # No machine outlives the test, however that ends.
            "setpriv", "--pdeathsig", "KILL", "--",
            QEMU, "-name", self.name, "-nodefaults", "-no-user-config", "-no-reboot",
            "-display", "none", "-accel", "tcg,thread=multi", "-cpu", "max", "-machine", "pc",
            "-smp", "2", "-m", str(MEMORY),
            "-kernel", f"{self.image}/vmlinux", "-initrd", f"{self.image}/initrd",
            "-append", f"{KERNEL} {self.append}",
            "-chardev", f"file,id=console,path={self.path('console')}", "-serial", "chardev:console",
            "-chardev", f"socket,id=serial,path={self.path('serial')},server=on,wait=off",
            "-serial", "chardev:serial",
            "-drive", f"file={self.image}/root.squashfs,format=raw,if=none,id=root,readonly=on,"
                      "file.locking=off",
            "-device", "virtio-blk-pci,id=disk,drive=root,addr=0x3",
            "-device", "virtio-serial-pci,id=ports,addr=0x4",
            "-chardev", f"socket,id=agent,path={self.path('agent')},server=on,wait=off",
            "-device", "virtserialport,bus=ports.0,nr=1,chardev=agent,name=org.shadowcl.agent.0",
            "-chardev", f"socket,id=test,path={self.path('test')},server=on,wait=off",
            "-device", "virtserialport,bus=ports.0,nr=2,chardev=test,name=org.shadowcl.test",
            "-qmp", f"unix:{self.path('qmp')},server=on,wait=off",
            "-qmp", f"unix:{self.path('monitor')},server=on,wait=off",
        ]

    def restart(self):
        """As at first: with a state to come, or booting."""
        self.stop()
        self.start()

    def start(self):
        with open(self.path("stderr"), "wb") as errors:
            command = self.command()
            if self.incoming:
                command += ["-incoming", self.incoming]
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=errors,
                                            stderr=errors)
        self.qmp = Qmp(self.wait_file("monitor"))
        self.guest = Guest(self.wait_file("test"))

    def wait_file(self, name, timeout=20):
        end = time.monotonic() + timeout
        while not os.path.exists(self.path(name)):
            if self.process.poll() is not None:
                raise ConnectionError(f"QEMU ended: {self.errors()}")
            if time.monotonic() > end:
                raise Timeout(f"waited {timeout} s for QEMU's socket `{name}`")
            time.sleep(0.02)
        return self.path(name)

    def errors(self):
        with open(self.path("stderr"), encoding="utf-8", errors="replace") as file:
            return file.read().strip()

    def console(self):
        try:
            with open(self.path("console"), encoding="utf-8", errors="replace") as file:
                return file.read()
        except OSError:
            return ""

    def status(self):
        return self.qmp.execute("query-status")["status"]

    def wait_status(self, wanted, timeout=60):
        end = time.monotonic() + timeout
        while (status := self.status()) != wanted:
            if time.monotonic() > end:
                raise Timeout(f"waited {timeout} s for {self.name} to be {wanted}: it is {status}")
            time.sleep(0.05)

    def add_memory(self, size, name="gpu0", place=GPU_PLACE):
        """The memory of a GPU that is not plugged in yet."""
        bar = Bar(self.folder, f"{name}-{len(self.bars)}", size)
        self.bars.append(bar)
        backend = f"{name}-memory-{len(self.bars)}"
        bar.backend = {"qom-type": "memory-backend-file", "id": backend, "size": size,
                       "mem-path": bar.path, "share": True}
        self.qmp.execute("object-add", **bar.backend)
        bar.options = {"driver": "ivshmem-plain", "id": name, "memdev": backend, "addr": place}
        return bar

    def remove_memory(self, bar):
        """To be done after the device is gone and before a migration: QEMU goes on counting this
        memory as the machine's, and the destination would miss it."""
        self.qmp.execute("object-del", id=bar.backend["id"])
        self.wait_until_forgotten(bar)

    def wait_until_forgotten(self, bar, timeout=30):
        """QEMU drops the address space that the device was in a while after it has said that the
        device is gone: until then a migration would count its memory."""
        end = time.monotonic() + timeout
        while bar.backend["id"] in self.qmp.execute("human-monitor-command",
                                                    command_line="info ramblock"):
            if time.monotonic() > end:
                raise Timeout(f"waited {timeout} s for {self.name} to forget {bar.backend['id']}")
            time.sleep(0.02)

    def plug(self, bar, timeout=30):
        """Plugs the GPU in, and waits until the guest has seen it."""
        self.qmp.execute("device_add", **bar.options)
        end = time.monotonic() + timeout
        while not self.guest_has_gpu():
            if time.monotonic() > end:
                raise Timeout(f"waited {timeout} s for the guest of {self.name} to see its GPU")
            time.sleep(0.1)

    def gpu_address(self):
        """Where the guest's kernel has put the GPU's memory."""
        look = ("for d in /sys/bus/pci/devices/*; do "
                "grep -q 0x1110 $d/device && sed -n 3p $d/resource; done")
        return self.guest.shell(look, check=False).out.split()[0]

    def guest_has_gpu(self):
        look = "grep -l 0x1110 $(grep -l 0x1af4 /sys/bus/pci/devices/*/vendor | sed s/vendor$/device/)"
        return self.guest.shell(look, check=False).code == 0

    def unplug(self, name="gpu0", timeout=30):
        self.qmp.execute("device_del", id=name)
        self.qmp.wait_event("DEVICE_DELETED", timeout, device=name)

    def wait_migrated(self, timeout=120):
        end = time.monotonic() + timeout
        while (info := self.qmp.execute("query-migrate")).get("status") != "completed":
            if info.get("status") in ("failed", "cancelled"):
                raise ConnectionError(f"migration {info['status']}: {info.get('error-desc')}")
            if time.monotonic() > end:
                raise Timeout(f"waited {timeout} s for the migration: {info.get('status')}")
            time.sleep(0.02)
        return info

    def migrate(self, destination, timeout=120):
        """All of it to another machine, started with `incoming="defer"`. Returns query-migrate's
        answer."""
        uri = f"unix:{destination.path('migration')}"
        destination.qmp.execute("migrate-incoming", uri=uri)
        self.qmp.execute("migrate-set-parameters", max_bandwidth=1 << 33)
        self.qmp.execute("migrate", uri=uri)
        info = self.wait_migrated(timeout)
        destination.wait_status("running")
        return info

    def save(self, path, timeout=120):
        """To a file, for load_uri(); the machine is stopped after it."""
        self.qmp.execute("migrate-set-parameters", max_bandwidth=1 << 33)
        self.qmp.execute("migrate", uri=f"exec:cat >{shlex.quote(path)}")
        self.wait_migrated(timeout)

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stop(self):
        for end in (self.guest, self.qmp):
            if end:
                end.close()
        self.guest = self.qmp = None
        self.kill()
        for name in ("agent", "test", "qmp", "monitor", "migration"):
            if os.path.exists(self.path(name)):
                os.unlink(self.path(name))

    def close(self):
        self.stop()
        for bar in self.bars:
            bar.close()
        self.bars = []
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, _, problem=None, *rest):
        if problem and self.process:
            said = "\n".join(filter(None, (self.errors(), self.console()[-2000:].strip())))
            problem.add_note(f"{self.name} said: {said or 'nothing'}")
        self.close()


def load_uri(path):
    return f"exec:cat {shlex.quote(path)}"
