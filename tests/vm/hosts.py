# SPDX-License-Identifier: Apache-2.0
"""The recipes of docs/vm.md for libvirt, as they are typed there, and samples/libvirt/move.sh, between
two hosts that have libvirt: namespaces of this machine, each with a daemon and folders of its own.
`ssh` is a script that enters the other. The passthrough GPU is libvirt's <shmem>."""
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import time

from guest import Guest
from lab import (ENVIRONMENT, HOME, MIB, SOURCE, WARM_CACHE, WARM_UP_TIME, Skipped, last_step,
                 wait_step)
from machine import CANARY, KERNEL, MEMORY, PAGE, QEMU, Bar
from move import LONG_HEAT
from qmp import Timeout

DAEMON = "libvirtd"
NAME = "guest"
PLACE = "0000:00:08.0"
CHANNELS = "/var/lib/libvirt/qemu"
# What libvirt keeps, and where it finds the other host. QEMU runs as root, since there may be no
# user for it; its output goes to a file, so that no virtlogd is needed.
OWN_FOLDERS = ("/run", "/etc/libvirt", "/var/lib/libvirt", "/var/cache/libvirt", "/var/log/libvirt")
SETTINGS = {
    "etc/libvirt/libvirtd.conf": 'host_uuid = "{uuid}"\nauth_unix_rw = "none"\n',
    "etc/libvirt/qemu.conf": 'user = "root"\ngroup = "root"\ndynamic_ownership = 0\n'
                             'remember_owner = 0\nsecurity_driver = "none"\n'
                             'cgroup_controllers = [ ]\nnamespaces = [ ]\nstdio_handler = "file"\n',
    "hosts": "127.0.0.1 localhost\n127.0.0.2 here\n127.0.0.3 there\n",
}
# The first process of a pid namespace, with which everything ends; it takes in the QEMUs that the
# daemons leave.
WORLD = """cd "$1"
for name in here there; do
    unshare --mount --uts -- bash -c "$2" host $name "$1/$name" &
done
wait
"""
BOOT = """set -e
cd "$2"
hostname "$1"
for folder in {folders}; do mkdir -p $folder && mount --bind .$folder $folder; done
# The daemon looks for this user, also where QEMU is to run as root.
{{ cat /etc/passwd && echo libvirt-qemu:x:64055:64055::/:/bin/false; }} >passwd
{{ cat /etc/group && echo libvirt-qemu:x:64055:; }} >group
for file in hosts passwd group; do mount --bind $file /etc/$file; done
echo $$ >../"$1".pid
exec {daemon} >daemon.log 2>&1
""".format(folders=" ".join(OWN_FOLDERS), daemon=DAEMON)
# ssh [OPTIONS] HOST COMMAND...
SSH = """#!/bin/bash
while [[ $1 == -* ]]; do
    case $1 in -[elpoi]) shift ;; --) shift && break ;; esac
    shift
done
pid=$(cat {folder}/"$1".pid 2>/dev/null) || {{ echo "ssh: no host $1" >&2 && exit 255; }}
shift
exec nsenter --target "$pid" --mount --uts -- sh -c "$*"
"""
DOMAIN = """<domain type='qemu'>
  <name>{name}</name>
  <memory unit='MiB'>{memory}</memory>
  <vcpu>2</vcpu>
  <os>
    <type arch='x86_64' machine='pc'>hvm</type>
    <kernel>{image}/vmlinux</kernel>
    <initrd>{image}/initrd</initrd>
    <cmdline>{kernel} no_timer_check</cmdline>
  </os>
  <features><acpi/><apic/></features>
  <cpu mode='maximum'/>
  <devices>
    <emulator>{emulator}</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/>
      <source file='{image}/root.squashfs'/>
      <target dev='vda' bus='virtio'/>
      <readonly/>
    </disk>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
    <serial type='file'><source path='{channels}/console'/></serial>
    {agent}
    <channel type='unix'>
      <source mode='bind' path='{channels}/test'/>
      <target type='virtio' name='org.shadowcl.test'/>
    </channel>
    {device}
  </devices>
</domain>
"""
DEVICE = """<shmem name='{name}'>
  <model type='ivshmem-plain'/>
  <size unit='M'>{mib}</size>
  <alias name='ua-gpu0'/>
  <address type='pci' domain='0x0000' bus='0x00' slot='0x08' function='0x0'/>
</shmem>
"""


def recipe(kind, holds):
    """The block of this kind in docs/vm.md that holds these words, for our domain and device."""
    with open(f"{SOURCE}/docs/vm.md", encoding="utf-8") as file:
        blocks = re.findall(r"^```(\w*)\n(.*?)^```$", file.read(), re.MULTILINE | re.DOTALL)
    [block] = [block for what, block in blocks if what == kind and holds in block]
    assert "GUEST" in block, f"it names no domain: {block}"
    return block.replace("GUEST", NAME).replace("0000:05:00.0", PLACE)


def commands(block):
    """One by one, as they would be typed."""
    lines = [line for line in block.splitlines() if not line.startswith("#")]
    return "\n".join(lines).replace("\\\n", " ").splitlines()


class Host:
    """`folder` has its files, as `folder/NAME/run` and so on, and the devices' files."""

    def __init__(self, lab, folder, name, number):
        self.lab, self.folder, self.name = lab, folder, name
        self.own = os.path.join(folder, name)
        for path in OWN_FOLDERS:
            os.makedirs(self.own + path)
        for path, text in SETTINGS.items():
            with open(os.path.join(self.own, path), "w", encoding="ascii") as file:
                file.write(text.format(uuid=f"5ead0c15-0000-4000-8000-00000000000{number}"))

    def wait_daemon(self, world, timeout=60):
        """`world` is the process in whose namespaces the host is."""
        end = time.monotonic() + timeout
        self.world = world
        while not (os.path.exists(f"{self.folder}/{self.name}.pid") and
                   self.run("virsh version", check=False).returncode == 0):
            if time.monotonic() > end:
                raise Timeout(f"no libvirt on {self.name}: {self.log()}")
            time.sleep(0.2)

    def log(self):
        try:
            with open(f"{self.own}/daemon.log", encoding="utf-8", errors="replace") as file:
                return file.read()[-2000:]
        except OSError:
            return "nothing"

    def path(self, name):
        """Where its QEMU's channels and console are, seen from here."""
        return f"{self.own}{CHANNELS}/{name}"

    def run(self, command, check=True, timeout=300):
        """Typed by root in a folder that has here.xml and there.xml."""
        path = f"{self.folder}/bin:{self.lab.build}/bin:{os.environ['PATH']}"
        done = subprocess.run(
            ["nsenter", "--target", self.world, "--mount", "--pid", "--", f"{self.folder}/bin/ssh",
             self.name, f"cd {shlex.quote(self.folder)} && {command}"],
            env=dict(os.environ, PATH=path), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=timeout, check=False)
        assert not check or done.returncode == 0, \
            f"{self.name}: {command}: exit {done.returncode}\n{done.stderr}{done.stdout}{self.log()}"
        return done


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return file.read().strip()


class Hosts:
    """`here` and `there`, the devices' memories, and the guest."""

    def __init__(self, lab):
        self.lab = lab
        self.folder = tempfile.mkdtemp(prefix="shadowcl-hosts-", dir="/dev/shm")
        self.list, self.bars, self.guest, self.process = [], {}, None, None
        try:
            os.mkdir(f"{self.folder}/bin")
            write(f"{self.folder}/bin/ssh", SSH.format(folder=self.folder), mode=0o755)
            for number, (name, mib) in enumerate((("here", 64), ("there", 128))):
                memory = f"{os.path.basename(self.folder)}-{name}"
                self.bars[name] = Bar("/dev/shm", memory, mib * MIB)
                write(f"{self.folder}/{name}.xml", DEVICE.format(name=memory, mib=mib))
                self.list.append(Host(lab, self.folder, name, number))
            self.start()
        except BaseException:
            self.close()
            raise
        self.here, self.there = self.list

    def start(self):
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", "unshare", "--mount", "--pid", "--fork",
             "--kill-child=KILL", "--mount-proc", "--", "bash", "-c", WORLD, "world", self.folder, BOOT],
            stdin=subprocess.DEVNULL, start_new_session=True)
        while not (first := children(self.process.pid)):
            assert self.process.poll() is None, "no namespaces can be made"
            time.sleep(0.02)
        for host in self.list:
            host.wait_daemon(first)

    def define(self):
        write(f"{self.folder}/domain.xml", DOMAIN.format(
            name=NAME, memory=MEMORY, image=self.lab.image, kernel=KERNEL, channels=CHANNELS,
            emulator=shutil.which(QEMU), agent=recipe("xml", "<channel"),
            device=DEVICE.format(name=f"{os.path.basename(self.folder)}-here", mib=64)))
        self.here.run("virsh define domain.xml")
        self.here.run(f"virsh start {NAME}")
        self.guest_on(self.here)

    def guest_on(self, host):
        if self.guest:
            self.guest.close()
        self.guest = Guest(host.path("test"))
        self.guest.wait_ready()

    def close(self):
        if self.guest:
            self.guest.close()
        if self.process:
            self.process.kill()
            self.process.wait()
        for bar in self.bars.values():
            bar.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, _, problem=None, *rest):
        if problem:
            for host in self.list:
                problem.add_note(f"{host.name}'s daemon said: {host.log() or 'nothing'}")
        self.close()


def write(path, text, mode=0o644):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)


def start(hosts):
    """A solver under shadowcl, whose kernels are built."""
    guest = hosts.guest
    guest.put_tree(hosts.lab.programs(), HOME)
    guest.unpack(hosts.lab.kernels(), WARM_CACHE)
    guest.start("/tmp/agent", "shadowcl-agent", env=ENVIRONMENT)
    pid = guest.start("/tmp/heat", "shadowcl", "run", "--", *LONG_HEAT, "--output",
                      "/tmp/heat.result", env=ENVIRONMENT)
    wait_step(guest, "/tmp/heat", pid, 1, timeout=WARM_UP_TIME)
    guest.run("shadowcl", "suspend", "--all", "--deadline", str(WARM_UP_TIME // 2), env=ENVIRONMENT,
              timeout=WARM_UP_TIME)
    guest.run("shadowcl", "resume", "--all", env=ENVIRONMENT, timeout=WARM_UP_TIME)
    return pid


def goes_on(hosts, pid):
    wait_step(hosts.guest, "/tmp/heat", pid, last_step(hosts.guest, "/tmp/heat") + 20, 60)


def arrived(hosts, host, pid):
    hosts.guest_on(host)
    bar = hosts.bars[host.name]
    assert bar.touched() > 0, f"it was not resumed on the device of {host.name}"
    assert bar.intact() and bar.intact(bar.size - PAGE, bar.size), "the canaries are gone"
    goes_on(hosts, pid)
    assert states(hosts) == {host.name: "running"}, states(hosts)


def states(hosts):
    """On which hosts the domain is, and what it does there."""
    found = {}
    for host in hosts.list:
        said = host.run(f"virsh domstate {NAME}", check=False)
        if said.returncode == 0 and said.stdout.strip() != "shut off":
            found[host.name] = said.stdout.strip()
    return found


def type_all(host, typed):
    for command in typed:
        said = host.run(command)
        if "qom-list" in command:  # looked at until it is gone
            end = time.monotonic() + 60
            while "ua-gpu0" in said.stdout:
                assert time.monotonic() < end, f"the guest does not let the device go: {said.stdout}"
                said = host.run(command)
        host.lab.say(f"{host.name}: {command}\n{said.stdout.strip()}{said.stderr.strip()}")


def save_and_restore(hosts, leave, restore):
    """On `here`: the domain is saved, ends, and is there again."""
    type_all(hosts.here, leave + restore[:1])
    assert not states(hosts), states(hosts)
    hosts.bars["here"].fill(CANARY)  # somebody else has had the device
    type_all(hosts.here, restore[1:])


def what_is_missing():
    if os.geteuid() != 0:
        return "only root can make two hosts of one"
    for tool in (DAEMON, "virsh", "nsenter"):
        if not shutil.which(tool):
            return f"no {tool}: run scripts/install-deps.sh --libvirt"
    if subprocess.run(["unshare", "--mount", "--uts", "--pid", "--fork", "--mount-proc", "true"],
                      capture_output=True, check=False).returncode:
        return "no namespaces can be made here"
    return None


def libvirt(lab):
    """docs/vm.md's recipes as they are typed, and back by move.sh, between two hosts' libvirt; a
    move.sh whose migration fails brings device and program back."""
    if missing := what_is_missing():
        raise Skipped(missing)
    wanted = lab.reference(*LONG_HEAT)
    lab.kernels()
    script = f"ADDRESS={PLACE} {shlex.quote(SOURCE)}/samples/libvirt/move.sh {NAME}"
    with Hosts(lab) as hosts:
        hosts.define()
        pid = start(hosts)
        refused = hosts.here.run(f"virsh migrate --live {NAME} qemu+ssh://there/system", check=False)
        assert refused.returncode and "shmem" in refused.stderr, f"no refusal: {refused}"
        lab.say(f"refused as it should be: {refused.stderr.strip()}")
        typed = commands(recipe("", "virsh migrate"))
        assert len(typed) == 6, typed
        type_all(hosts.here, typed)
        arrived(hosts, hosts.there, pid)

        failed = hosts.there.run(f"{script} nowhere there.xml here.xml", check=False)
        lab.say(f"to a host that is not there: {failed.stderr.strip()}")
        assert failed.returncode == 1 and "bringing the programs back" in failed.stderr, str(failed)
        arrived(hosts, hosts.there, pid)

        lab.say(hosts.there.run(f"{script} here there.xml here.xml").stdout.strip())
        arrived(hosts, hosts.here, pid)

        save_and_restore(hosts, typed[:3], commands(recipe("", "virsh save")))
        arrived(hosts, hosts.here, pid)
        assert hosts.guest.wait(pid, "heat", 600) == 0, hosts.guest.get("/tmp/heat.err").decode()
        assert hosts.guest.get("/tmp/heat.result") == wanted, "its result is another"
