# SPDX-License-Identifier: Apache-2.0
"""Moves that go well."""
import os

from lab import MIB, last_step
from machine import CANARY, load_uri
from move import FILTER, HEAT, LONG_HEAT, NBODY, POCL, Move, devices, wait_step_or_end

LONGEST_HEAT = ["sample-heat", "--steps", "24000"]  # for ten moves
ALL = ("heat", "nbody", "filter")


def one_move(lab):
    """One program, one move; the agent moves as it is."""
    lab.reference(*HEAT)
    with Move(lab) as move:
        move.start("heat", HEAT, steps=100)
        move.is_first_agent()
        move.moved(move.migrate())
        move.finish()
        move.is_first_agent()


def three_programs(lab):
    """Three programs at once, one of them pyopencl's."""
    for command in (HEAT, NBODY, FILTER):
        lab.reference(*command, warm=ALL)
    with Move(lab, warm=ALL) as move:
        for name, command in (("heat", HEAT), ("nbody", NBODY), ("filter", FILTER)):
            move.start(name, command)
        # One of them may be inside a call that takes long here.
        move.moved(move.migrate("--deadline", "90"))
        move.finish()


def two_users(lab):
    """Programs of root and of somebody else move together. A hook gives the other the right to open
    the device, as udev would: at the destination it is a new one."""
    rights = ("#!/bin/sh\nfor address in $SHADOWCL_DEVICES; do\n"
              "    chmod a+rw /sys/bus/pci/devices/$address/enable "
              "/sys/bus/pci/devices/$address/resource2\ndone\n")
    path = "/etc/shadowcl/hooks.d/50-rights"
    for command in (HEAT, FILTER):
        lab.reference(*command, warm=ALL)
    with Move(lab, warm=ALL) as move:
        guest = move.here.guest
        guest.put(path, rights.encode(), mode=0o755)
        guest.run(path, "return", env={"SHADOWCL_DEVICES": "0000:00:08.0"})
        guest.run("chmod", "-R", "a+rwX", "/var/cache/pocl")
        move.start("filter", FILTER)
        pid = move.start("heat", HEAT, steps=100, user=1000)
        assert guest.shell(f"stat -c %u /proc/{pid}").out.strip() == "1000"
        move.moved(move.migrate("--deadline", "90"))
        move.alive()
        assert move.here.guest.shell(f"stat -c %u /proc/{pid}").out.strip() == "1000"
        move.finish()


def there_and_back(lab):
    """To the other machine and back, five times, each time to a device of another size."""
    lab.reference(*LONGEST_HEAT)
    with Move(lab) as move:
        move.start("heat", LONGEST_HEAT, steps=100)
        for hop in range(10):
            move.destination((32 << hop % 4) * MIB)
            move.moved(move.migrate())
            move.alive()
        move.finish()
        move.is_first_agent()


def serial(lab):
    """The agent's channel is a serial port, which keeps nothing for who is not there, and repeats
    nothing: a machine is suspended and resumed, and moved."""
    lab.reference(*LONG_HEAT)
    with Move(lab, channel="serial") as move:
        move.start("heat", LONG_HEAT, steps=100)
        suspended = move.half("vm-suspend", "--timeout", "120", "--unplug-timeout", "60")
        assert suspended.code == 0 and suspended.state()["programs"] == "suspended", str(suspended)
        move.bar.fill(CANARY)  # what was not kept is lost
        move.here.qmp.execute("object-add", **move.bar.backend)
        resumed = move.half("vm-resume", "--timeout", "120")
        assert resumed.code == 0 and resumed.answer["ok"], str(resumed)
        move.alive()
        move.moved(move.migrate())
        move.finish()
        move.is_first_agent()


def meanwhile(lab):
    """While the machine's memory travels the program goes on, on pocl inside the guest."""
    lab.reference(*LONG_HEAT)
    with Move(lab) as move:
        guest = move.here.guest
        pid = move.start_beside_pocl("heat", LONG_HEAT)
        process = move.begin("--timeout", "120", "--meanwhile", POCL, "--bandwidth", "80M")
        move.wait_seen(move.here.relay, "migrate", process)
        assert POCL in devices(guest), devices(guest)
        before = last_step(guest, "/tmp/heat")
        wait_step_or_end(guest, "heat", pid, before + 20, 60)
        assert move.here.status() == "running", "the machine had moved before the program went on"
        move.moved(move.end(process))
        assert POCL not in devices(move.here.guest), devices(move.here.guest)
        move.finish()
        move.is_first_agent()


def saved_to_disk(lab):
    """A machine is saved to a file, ends, and is started from it; how its device was plugged in is
    remembered."""
    lab.reference(*HEAT)
    path = os.path.join(lab.cache, "saved")
    with Move(lab) as move:
        move.start("heat", HEAT, steps=100)
        suspended = move.half("vm-suspend", "--timeout", "120", "--unplug-timeout", "60")
        assert suspended.code == 0 and suspended.state() == {
            "guest": "virtual machine", "device": "nowhere", "programs": "suspended"}, str(suspended)
        machine, stopped = move.here, last_step(move.here.guest, "/tmp/heat")
        move.bar.fill(b"\xee")  # a GPU that somebody else has had
        try:
            machine.save(path)
            machine.incoming = load_uri(path)
            machine.restart()
            machine.wait_status("running")
            machine.guest.wait_ready()
        finally:
            os.unlink(path)
        assert last_step(machine.guest, "/tmp/heat") == stopped, "it went on without its device"
        assert not machine.guest_has_gpu()
        move.bar.fill(CANARY)
        machine.qmp.execute("object-add", **move.bar.backend)
        resumed = move.half("vm-resume", "--timeout", "120")
        assert resumed.code == 0 and resumed.answer["ok"], str(resumed)
        assert "is plugged in as it was: driver=ivshmem-plain" in resumed.err, str(resumed)
        move.alive()
        move.finish()
