# SPDX-License-Identifier: Apache-2.0
"""The agent as a service of a guest whose first program is systemd."""
import time

from downtime import ask
from lab import ENVIRONMENT, HOME, MIB, WARM_CACHE, last_step
from machine import CANARY, Machine
from move import HEAT, Move
from page import block, lines, quoted
from qmp import Timeout, dial

UNIT = "shadowcl-agent.service"
SYSTEMD = "shadowcl.init=systemd no_timer_check"
# shadowcl as it is installed; of what the tests put into the guest the samples alone.
INSTALLED = dict(ENVIRONMENT, PATH=f"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:{HOME}/bin")
BOOT_TIME = 300  # s, at most
ANSWER_TIME = 120
# Lets all users open the device, which only root may enable; and does what the hook of samples/ does
# for a device that has a kernel's driver.
HOOK = """#!/bin/sh
set -e
echo $1 >>/tmp/hooks
for address in $SHADOWCL_DEVICES; do
    device=/sys/bus/pci/devices/$address
    [ "$1" = return ] || continue
    echo "$address" >/sys/bus/pci/drivers_probe
    echo 1 >$device/enable
    chmod a+rw $device/enable $device/resource2
done
"""
HOOK_PATH = "/etc/shadowcl/hooks.d/50-rights"


def boot(lab, machine):
    """Until a guest with systemd is up; with shadowcl as it is installed, and programs."""
    guest = machine.guest
    guest.wait_ready(BOOT_TIME)
    state = guest.run("systemctl", "is-system-running", "--wait", check=False,
                      timeout=BOOT_TIME).out.strip()
    lab.say(f"systemd: {state} {guest.run('systemctl', '--failed', '--plain', '-q').out.strip()}")
    assert guest.shell("cat /proc/1/comm").out == "systemd\n"
    install(lab, guest)


def install(lab, guest):
    """As `cmake --install` does; and programs of which the kernels are built."""
    guest.unpack(lab.installed(), "/")
    guest.put_tree(lab.programs(), HOME)
    guest.unpack(lab.kernels(), WARM_CACHE)
    guest.run("chmod", "-R", "a+rwX", WARM_CACHE)


def with_device(lab, size=64 * MIB):
    """Such a guest, and a device that a hook opens to all."""
    machine = Machine(lab.image, "source", append=SYSTEMD)
    try:
        boot(lab, machine)
        machine.plug(machine.add_memory(size))
        machine.guest.put(HOOK_PATH, HOOK.encode(), mode=0o755)
    except BaseException as problem:
        machine.__exit__(None, problem)
        raise
    return machine


def service(guest):
    shown = guest.run("systemctl", "show", "-p", "ActiveState,MainPID,NRestarts", UNIT).out
    return dict(line.split("=", 1) for line in shown.splitlines())


def journal(guest):
    return guest.run("journalctl", "--no-pager", "-o", "cat", "-u", UNIT).out


def answers(machine):
    """The agent has the machine's port, and says something there. Asked more than once, as a host
    does whose question may be lost."""
    end = time.monotonic() + ANSWER_TIME
    with dial(machine.path("agent")) as port:
        port.settimeout(10)
        while time.monotonic() < end:
            try:
                ask(port.makefile("rwb"), "ping")
                return
            except TimeoutError:
                pass
    raise Timeout(f"waited {ANSWER_TIME} s for the agent's answer at its port; it says:\n"
                  + journal(machine.guest))


def kill(machine, timeout=ANSWER_TIME):
    """It is started again, and has the port again."""
    before = service(machine.guest)
    machine.guest.run("kill", "-KILL", before["MainPID"])
    end = time.monotonic() + timeout
    while True:
        now = service(machine.guest)
        if now["ActiveState"] == "active" and now["MainPID"] not in ("0", before["MainPID"]):
            break
        if time.monotonic() > end:
            raise Timeout(f"waited {timeout} s for the agent to be started again: {now}")
        time.sleep(0.2)
    assert int(now["NRestarts"]) == int(before["NRestarts"]) + 1, f"{before} {now}"
    answers(machine)


def add_user(guest, uid):
    """With the runtime directory that a login gives to a user, a file system of its own, and in it
    the one that a program of his makes. Returns that."""
    guest.run("useradd", "--uid", str(uid), f"user{uid}")
    made = f"user-runtime-dir@{uid}.service"  # it goes when nobody needs it any more
    guest.run("systemd-run", "-p", f"Requires={made}", "-p", f"After={made}", "sleep", "infinity")
    guest.run("mountpoint", f"/run/user/{uid}")
    path = f"/run/user/{uid}/shadowcl"
    guest.run("install", "-d", "-m", "700", "-o", str(uid), path)
    return path


def enable(lab, machine):
    """As docs/vm.md has it, after `cmake --install`."""
    guest = machine.guest
    found = guest.run("systemd-analyze", "verify", "--man=no", UNIT)
    assert not found.out and not found.err, str(found)
    *built, installed, reload, enabled = lines(block("cmake --install"))
    assert len(built) == 2 and installed == "sudo cmake --install build", built
    for command in (reload, enabled):
        guest.shell(command.removeprefix("sudo "))
    assert guest.run("systemctl", "is-enabled", UNIT).out == "enabled\n"
    answers(machine)
    status = guest.shell(quoted("systemctl status shadowcl-agent")).out
    lab.say(status)
    assert quoted(r"active \(running\)") in status, status
    said = guest.shell(quoted("journalctl -u shadowcl-agent")).out
    assert quoted("started, state running") in said, said


def marked(guest, folders):
    return [each for each in folders
            if guest.run("test", "-s", f"{each}/suspended.0", check=False).code == 0]


def start_two(move, user):
    """One program of root's, one of this user's, whose runtime directory is that of his login."""
    move.here.guest.run(HOOK_PATH, "return", env={"SHADOWCL_DEVICES": "0000:00:08.0"})
    move.here.guest.run("rm", "/tmp/hooks")
    move.start("heat", HEAT, env=INSTALLED)
    move.start("of-user", HEAT, env=dict(INSTALLED, XDG_RUNTIME_DIR=f"/run/user/{user}"), user=user)
    shown = move.here.guest.run("shadowcl", "ps", env=INSTALLED).out
    assert shown.count("sample-heat") == 2 and f"user{user}" in shown, shown


def stand_still(move):
    return [last_step(move.here.guest, f"/tmp/{name}") for name, _, _ in move.programs]


def systemd(lab):
    """The agent is a service: it gets its port, comes back when it is killed, also while the machine
    is suspended, and its restrictions keep it from no program, whosesoever, from no mark, and its
    hooks from no device."""
    lab.reference(*HEAT)
    with Move(lab, here=with_device(lab)) as move:
        guest = move.here.guest
        before = add_user(guest, 1000)
        enable(lab, move.here)
        folders = [before, add_user(guest, 1001), "/run/shadowcl"]
        kill(move.here)
        start_two(move, 1000)
        suspended = move.half("vm-suspend", "--timeout", "120", "--unplug-timeout", "60",
                              "--deadline", "90")
        assert suspended.code == 0 and suspended.state() == {
            "guest": "virtual machine", "device": "nowhere", "programs": "suspended"}, str(suspended)
        assert marked(guest, folders) == folders, f"{marked(guest, folders)}\n{journal(guest)}"
        stopped = stand_still(move)
        kill(move.here)
        assert marked(guest, folders) == folders, f"{marked(guest, folders)}\n{journal(guest)}"
        assert stand_still(move) == stopped, "they go on without their device"
        move.bar.fill(CANARY)  # what was not kept is lost
        move.here.qmp.execute("object-add", **move.bar.backend)
        resumed = move.half("vm-resume", "--timeout", "120")
        assert resumed.code == 0 and resumed.answer["ok"], str(resumed)
        assert marked(guest, folders) == [], f"{marked(guest, folders)}\n{journal(guest)}"
        ran = guest.get("/tmp/hooks").decode().split()
        assert ran == ["release", "return"], f"{ran}\n{journal(guest)}"
        move.alive()
        move.finish()
        lab.say(f"the journal has:\n{journal(guest)}")
