# SPDX-License-Identifier: Apache-2.0
"""The move by hand: suspend, unplug, migrate, plug in another device, resume, with nothing but the
`shadowcl` command in the guest and QEMU's own monitor."""
import time

from lab import ENVIRONMENT, MIB, last_step, wait_step
from machine import PAGE
from qmp import QmpError

HEAT = ["sample-heat", "--steps", "4000"]


def start_heat(machine, name="/tmp/heat"):
    """Under shadowcl; returns once it is under way."""
    command = ["shadowcl", "run", "--", *HEAT, "--output", f"{name}.result"]
    pid = machine.guest.start(name, *command, env=ENVIRONMENT)
    wait_step(machine.guest, name, pid, 100)
    return pid


def finish(lab, guest, name, pid, command):
    """The program has ended well, and its result is that of an undisturbed run."""
    code = guest.wait(pid, name)
    said = guest.get(f"{name}.err").decode(errors="replace")
    assert code == 0, f"{name}: exit {code}\n{said[-2000:]}"
    result, wanted = guest.get(f"{name}.result"), lab.reference(*command)
    assert len(wanted) > 0 and result == wanted, \
        f"{name}: {sum(a != b for a, b in zip(result, wanted))} of {len(wanted)} bytes differ"


# Processes that have the device's memory open or mapped, by their files in /proc.
USERS_OF_GPU = ("grep -l /resource2 /proc/[0-9]*/maps 2>/dev/null; "
                "find /proc/[0-9]*/fd -lname '*/resource2' 2>/dev/null")


def users_of_gpu(guest):
    return guest.shell(USERS_OF_GPU, check=False).out


def take_place(machine, size):
    """By a neighbour, of a device that was there: the next one's memory is elsewhere."""
    machine.qmp.execute("device_add", driver="pci-testdev", id="neighbour", addr="0xa", membar=size)
    machine.guest.shell("until grep -q 0x0005 /sys/bus/pci/devices/*:0a.0/device; do sleep 0.1; done")


def by_hand(lab):
    """A solver moves to another machine and another device, and goes on as if nothing had been."""
    lab.reference(*HEAT)
    with lab.source(64 * MIB) as a, lab.destination() as b:
        bar = a.bars[0]
        pid = start_heat(a)
        assert bar.touched() > 0, "the solver's buffers are not in the device's memory"
        assert users_of_gpu(a.guest), "nobody holds the device: nothing is shown by this"

        try:
            a.migrate(b, timeout=5)
            raise AssertionError("a machine was migrated with its device plugged in")
        except QmpError as refusal:
            lab.say(f"refused as it should be: {refusal}")
        # That made the destination listen; another one takes its place.
        b.restart()

        lab.say(a.guest.run("shadowcl", "suspend", "--all", env=ENVIRONMENT).out.strip())
        stopped = last_step(a.guest, "/tmp/heat")
        assert not users_of_gpu(a.guest), f"still held by {users_of_gpu(a.guest)}"
        assert bar.intact(), "the driver wrote outside of its buffers"
        address = a.gpu_address()
        a.unplug()
        a.remove_memory(bar)
        bar.fill(b"\xee")  # a GPU that is away

        info = a.migrate(b)
        lab.say(f"migrated in {info['total-time']} ms, the machine stood still for "
                f"{info['downtime']} ms")
        a.kill()
        b.guest.wait_ready()
        assert not b.guest_has_gpu()
        take_place(b, bar.size)
        new = b.add_memory(128 * MIB)
        b.plug(new)
        assert b.gpu_address() != address, f"the new device's memory is at {address} too"
        assert new.touched() == 0, "somebody wrote into the new device before it was anybody's"

        lab.say(b.guest.run("shadowcl", "resume", "--all", env=ENVIRONMENT).out.strip())
        assert new.touched() > 0, "resumed, but not on the new device"
        lab.say(f"stopped after step {stopped}; now at {last_step(b.guest, '/tmp/heat')}")
        finish(lab, b.guest, "/tmp/heat", pid, HEAT)
        assert new.intact() and new.intact(new.size - PAGE, new.size), \
            "the new device's canaries are gone"


def dirty_unplug(lab):
    """What the canaries are for: a process that keeps its mapping over an unplug writes into the
    device that comes after, and they tell."""
    holder = ("import glob, mmap, time; "
              "f = open(glob.glob('/sys/bus/pci/devices/*:08.0/resource2')[0], 'r+b'); "
              "m = mmap.mmap(f.fileno(), 4096); print('ready', flush=True)\n"
              "while True: m[:16] = b'from before me!!'; time.sleep(0.05)")
    with lab.source() as a:
        enable = "echo 1 >/sys/bus/pci/devices/0000:00:08.0/enable"
        a.guest.shell(enable)
        a.guest.start("/tmp/holder", "python3", "-c", holder)
        wait_changed(a.bars[0], "the holder did not write")
        a.unplug()
        a.remove_memory(a.bars[0])
        new = a.add_memory(64 * MIB)
        a.plug(new)
        a.guest.shell(enable)
        wait_changed(new, "the canaries don't tell of a dirty unplug")


def wait_changed(bar, problem, timeout=30):
    end = time.monotonic() + timeout
    while bar.intact():
        assert time.monotonic() < end, problem
        time.sleep(0.1)
