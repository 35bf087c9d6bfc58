# SPDX-License-Identifier: Apache-2.0
"""What all scenarios need: the image, guests that are booted and warm (saved once, loaded for each
scenario), the programs under test, and the results of undisturbed runs to compare with."""
import fcntl
import glob
import hashlib
import inspect
import os
import subprocess
import tempfile
import time

from machine import KERNEL, Machine, load_uri
from qmp import Timeout

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
HOME = "/opt/shadowcl"  # in the guest
TEST_DRIVER = f"{HOME}/lib/testdriver/libshadowcl-testdriver.so"
MIB = 1 << 20
WARM_CACHE = "/var/cache/pocl"  # the kernels that are built
# Everybody in the guest sees the device by way of the test driver and nothing else.
ENVIRONMENT = {
    "PATH": f"{HOME}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "SHADOWCL_TEST_BAR": "1af4:1110",
    "SHADOWCL_DRIVERS": f"{HOME}/vendors",
    "OCL_ICD_VENDORS": f"{HOME}/vendors/testdriver.icd",
    "POCL_CACHE_DIR": WARM_CACHE,
}
WARM_UP_TIME = 1200  # s, at most; a tenth of it where nothing else runs
IMAGE_TIME = 2700  # the same
# Run before the guest is saved, until all have been suspended once: then their kernels are built,
# and the binaries of them that a suspend asks for.
WARM_UP = {
    "heat": ["sample-heat", "--steps", "1000000"],
    "nbody": ["python3", f"{HOME}/guest/nbody.py", "--steps", "1000000"],
    "filter": ["sample-filter", "--repeat", "1000000"],
}
MOST = ("heat",)  # all that most scenarios run


def digest(*parts):
    whole = hashlib.sha256()
    for part in parts:
        whole.update(part if isinstance(part, bytes) else str(part).encode())
    return whole.hexdigest()[:16]


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


class Skipped(Exception):
    """What a scenario needs is not on this machine."""


class Lab:
    def __init__(self, build, say=lambda text: None):
        self.build = os.path.abspath(build)
        self.cache = os.path.join(self.build, "vm")
        self.say = say
        os.environ["SHADOWCL_STATE_DIR"] = os.path.join(self.cache, "state")  # of vm-resume
        self.image = self.make_image()
        samples = [read(path) for path in sorted(glob.glob(f"{SOURCE}/samples/*.[ch]"))]
        self.key = digest(os.path.basename(self.image), inspect.getsource(Machine.command), KERNEL,
                          WARM_UP, ENVIRONMENT, read(f"{HERE}/guest/nbody.py"), *samples)
        self.tree = None

    def make_image(self):
        self.say("the image (some two minutes the first time)")
        made = subprocess.run([f"{HERE}/image.sh", self.cache], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, check=True, text=True, timeout=IMAGE_TIME)
        return made.stdout.split()[-1]

    def programs(self):
        """What goes into the guest, by path in its /opt/shadowcl; without debug information."""
        if self.tree is None:
            self.tree = {"vendors/testdriver.icd": f"{TEST_DRIVER}\n".encode()}
            paths = [f"{self.build}/bin/{name}" for name in
                     ("shadowcl", "shadowcl-agent", "refusals-holder")]
            paths += glob.glob(f"{self.build}/bin/sample-*") + glob.glob(f"{self.build}/lib/**/*.so*", recursive=True)
            for path in filter(os.path.exists, paths):
                self.tree[os.path.relpath(path, self.build)] = stripped(path)
            for path in glob.glob(f"{HERE}/guest/*.py"):
                self.tree[f"guest/{os.path.basename(path)}"] = read(path)
        return self.tree

    def installed(self):
        """What `cmake --install` puts into the guest's root, as a tar file."""
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["cmake", "--install", self.build, "--strip"], check=True, timeout=120,
                           env=dict(os.environ, DESTDIR=folder), stdout=subprocess.DEVNULL)
            return subprocess.run(["tar", "-cz", "--owner=0", "--group=0", "-C", folder,
                                   *os.listdir(folder)], check=True, timeout=120, stdout=subprocess.PIPE).stdout

    def kept(self, name, make):
        """Path of a file that is kept with the image. When it is not there `make` is called with a
        path to write to; of several scenarios that need it at a time, by one."""
        path = os.path.join(self.cache, name)
        if not os.path.exists(path):
            with open(path + ".lock", "wb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not os.path.exists(path):
                    make(path + ".part")
                    os.rename(path + ".part", path)
        return path

    def warm_guest(self, programs=MOST):
        """Path of a saved guest in which these have run. One for MOST is made from a booted machine,
        the others are made from that."""
        first = programs == MOST

        def make(path):
            origin = None if first else load_uri(self.warm_guest())
            self.say(f"a guest that {'is booted and ' if first else ''}has built the kernels of "
                     f"{', '.join(programs)} (a minute)")
            with Machine(self.image, "warm", origin) as machine:
                if origin:
                    machine.wait_status("running")
                machine.guest.wait_ready()
                machine.guest.put_tree(self.programs(), HOME)
                bar = machine.add_memory(64 * MIB)
                machine.plug(bar)
                warm_up(machine.guest, [name for name in programs if first or name not in MOST])
                machine.unplug()
                machine.remove_memory(bar)
                machine.guest.run("rm", "-r", HOME)
                self.remove_old()
                machine.save(path)

        return self.kept(f"warm-{self.key}-{'-'.join(programs)}", make)

    def remove_old(self):
        for kind in ("warm", "kernels"):
            for path in glob.glob(f"{self.cache}/{kind}-*"):
                if self.key not in path:
                    os.unlink(path)

    def kernels(self):
        """The warm guest's built kernels as a tar file, for a guest that is not made from it."""
        def make(path):
            with Machine(self.image, "kernels", load_uri(self.warm_guest())) as machine:
                machine.wait_status("running")
                machine.guest.wait_ready()
                machine.guest.run("tar", "-czf", "/tmp/kernels", "-C", WARM_CACHE, ".")
                write(path, machine.guest.get("/tmp/kernels"))

        return read(self.kept(f"kernels-{self.key}", make))

    def source(self, size=64 * MIB, warm=MOST):
        """A warm guest with its programs and a GPU, as `machine.bars[0]`. Without one: size=0. The
        kernels of those in `warm` are built."""
        machine = Machine(self.image, "source", load_uri(self.warm_guest(warm)))
        try:
            machine.wait_status("running")
            machine.guest.wait_ready()
            machine.guest.put_tree(self.programs(), HOME)
            if size:
                machine.plug(machine.add_memory(size))
        except BaseException as problem:
            machine.__exit__(None, problem)
            raise
        return machine

    def destination(self, name="destination"):
        return Machine(self.image, name, "defer")

    def reference(self, *command, warm=MOST):
        """The bytes that this command's `--output FILE` has when nobody disturbs it, and it is not
        under shadowcl. Kept with the image."""
        def make(path):
            self.say(f"an undisturbed run of {' '.join(command)}")
            with self.source(warm=warm) as machine:
                machine.guest.run(*command, "--output", "/tmp/reference", env=ENVIRONMENT, timeout=600)
                write(path, machine.guest.get("/tmp/reference"))

        return read(self.kept(f"reference-{digest(self.key, command)}", make))


def stripped(path):
    with tempfile.NamedTemporaryFile() as file:
        subprocess.run(["strip", "--strip-debug", "-o", file.name, path], check=True)
        return read(file.name)


def warm_up(guest, programs):
    pids = [guest.start(f"/tmp/{name}", "shadowcl", "run", "--", *WARM_UP[name], env=ENVIRONMENT)
            for name in programs]
    for name, pid in zip(programs, pids):
        wait_step(guest, f"/tmp/{name}", pid, 1, timeout=WARM_UP_TIME)
    guest.run("shadowcl", "suspend", "--all", "--deadline", str(WARM_UP_TIME // 2), env=ENVIRONMENT,
              timeout=WARM_UP_TIME)
    guest.run("shadowcl", "resume", "--all", env=ENVIRONMENT, timeout=WARM_UP_TIME)
    guest.run("kill", *map(str, pids))


def last_step(guest, name):
    """How far a program that was started as `name` says it is."""
    find = f"tail -c 300 {name}.err | grep -oE '^(step|round) [0-9]+' | tail -n 1"
    out = guest.shell(find).out
    return int(out.split()[1]) if out.strip() else 0


def wait_step(guest, name, pid, step, timeout=180):
    end = time.monotonic() + timeout
    while (now := last_step(guest, name)) < step:
        code = guest.poll(pid)
        if code is not None:
            raise AssertionError(f"{name} ended with {code}: {guest.get(name + '.err').decode()}")
        if time.monotonic() > end:
            raise Timeout(f"waited {timeout} s for step {step} of {name}: it is at {now}")
        time.sleep(0.2)
