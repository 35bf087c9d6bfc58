# SPDX-License-Identifier: Apache-2.0
"""Moves that fail, each in its own way: the programs go on where it is possible, their contents are
right, and the message says what is the matter."""
import re
import time

from lab import ENVIRONMENT, last_step, wait_step
from move import HEAT, LONG_HEAT, POCL, Move, devices
from qmp import Timeout
from relay import Relay

# So slow that there is time to disturb it.
SLOWLY = ("--bandwidth", "20M")


def begin(lab, steps=100, command=HEAT):
    lab.reference(*command)
    move = Move(lab)
    try:
        move.start("heat", command, steps=steps)
    except BaseException as problem:
        move.__exit__(None, problem)
        raise
    return move


def half_way(move):
    """A migration of which a part has been sent."""
    process = move.begin("--timeout", "120", *SLOWLY)
    wait_half_way(move, process)
    return process


def wait_half_way(move, process):
    move.wait_seen(move.here.relay, "migrate", process)
    end = time.monotonic() + 60
    while True:
        info = move.here.qmp.execute("query-migrate")
        if info.get("ram", {}).get("transferred", 0) > 10 << 20:
            return
        if process.poll() is not None or time.monotonic() > end:
            raise AssertionError(f"no part of it was sent: {info} {move.end(process)}")
        time.sleep(0.05)


def migration_cancelled(lab):
    """The migration is cancelled half way. The next one goes well."""
    with begin(lab, command=LONG_HEAT) as move:
        process = half_way(move)
        move.here.qmp.execute("migrate_cancel")
        move.stayed(move.end(process), "cancelled")
        move.destination()
        move.moved(move.migrate())
        move.finish()


def interrupted(lab):
    """Ctrl-C half way."""
    with begin(lab) as move:
        process = half_way(move)
        move.interrupt(process)
        move.stayed(move.end(process), "interrupt")
        move.finish()


def destination_killed(lab):
    """The destination's QEMU dies half way."""
    with begin(lab) as move:
        process = half_way(move)
        move.there.kill()
        move.stayed(move.end(process), "destination", "was closed")
        move.finish()


def device_never_comes(lab):
    """device_add at the destination has no effect. `vm-resume` ends it well."""
    with begin(lab) as move:
        move.there.relay.on_command = lambda message: (
            {"return": {}} if message.get("execute") == "device_add" else None)
        outcome = move.migrate("--timeout", "15").failed("vm-resume", "has no such device")
        assert outcome.state()["guest"] == "destination", str(outcome)
        assert outcome.state()["programs"] == "suspended", str(outcome)
        move.there.relay.on_command = lambda message: None
        move.here, move.there, move.bar = move.there, move.here, move.new_bar
        device = ",".join(f"{key}={value}" for key, value in move.bar.options.items())
        resumed = move.half("vm-resume", "--device-options", device)
        assert resumed.code == 0, str(resumed)
        move.alive()
        move.finish()


def device_del_unanswered(lab):
    """The guest never lets the device go."""
    with begin(lab, command=LONG_HEAT) as move:
        move.here.relay.on_command = lambda message: (
            {"return": {}} if message.get("execute") == "device_del" else None)
        outcome = move.migrate("--unplug-timeout", "5", "--linger", "5").failed(
            "DEVICE_DELETED", "can't be withdrawn")
        assert outcome.state() == {"guest": "source", "device": "leaving", "programs": "running"}, \
            str(outcome)
        move.alive()
        move.here.relay.on_command = lambda message: None
        move.destination()
        move.moved(move.migrate())
        move.finish()


def device_del_late(lab):
    """The guest lets the device go only after the host has given up: it is plugged in again."""
    with begin(lab) as move:
        relay = move.here.relay
        relay.on_command = lambda message: (
            {"return": {}} if message.get("execute") == "device_del" else None)
        process = move.begin("--timeout", "120", "--unplug-timeout", "60", "--linger", "60")
        move.wait_seen(relay, "device_del", process)
        move.interrupt(process)
        time.sleep(2)
        move.here.unplug()
        move.stayed(move.end(process), "interrupt")
        assert "device_add" in relay.seen, relay.seen
        move.finish()


def device_del_too_late(lab):
    """The guest lets the device go under programs that run on it again: they are told so by their
    driver, as on any machine whose device is pulled, and the device is there for the next ones."""
    with begin(lab) as move:
        relay, guest = move.here.relay, move.here.guest
        relay.on_command = lambda message: (
            {"return": {}} if message.get("execute") == "device_del" else None)
        process = move.begin("--timeout", "120", "--unplug-timeout", "3", "--linger", "60")
        move.wait_seen(relay, "device_del", process)
        _, pid, _ = move.programs.pop()
        wait_step(guest, "/tmp/heat", pid, last_step(guest, "/tmp/heat") + 20)
        move.here.unplug()
        outcome = move.end(process).failed("let the device go, late")
        assert outcome.state()["guest"] == "source", str(outcome)
        assert outcome.state()["device"] == "plugged", str(outcome)
        assert guest.wait(pid, "heat", 60) == 1
        assert b"CL_OUT_OF_RESOURCES" in guest.get("/tmp/heat.err")
        move.start("heat", HEAT)
        move.finish()


def device_del_refused(lab):
    """The guest says that it does not let the device go."""
    def refuse(message):
        if message.get("execute") != "device_del":
            return None
        move.here.relay.tell({"return": {}, "id": message.get("id")})
        return {"event": "DEVICE_UNPLUG_GUEST_ERROR", "data": {"device": "gpu0", "path": ""},
                "timestamp": {"seconds": 0, "microseconds": 0}}

    with begin(lab) as move:
        move.here.relay.on_command = refuse
        start = time.monotonic()
        move.stayed(move.migrate("--unplug-timeout", "100"), "DEVICE_UNPLUG_GUEST_ERROR")
        assert time.monotonic() - start < 60, "it waited although the guest had refused"
        move.finish()


class Blows:
    """The agent dies, again and again, in one move: each time when a command of `vm-migrate` has come
    to the monitor or the agent of one side, before it goes on, or when the test says so. `at` has,
    for the side and the end of it, the command, the phase's name, and the state that the next agent
    is to find."""

    def __init__(self, move, at):
        self.move, self.fallen, self.problem = move, [], None
        self.agents = {"here": Relay(move.here, "agent"), "there": Relay(move.there, "agent")}
        self.machines = {"here": move.here, "there": move.there}
        for (side, channel), moments in at.items():
            relay = self.agents[side] if channel == "agent" else self.machines[side].relay
            relay.on_command = self.watch(relay, side, {moment[0]: moment for moment in moments})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for relay in self.agents.values():
            relay.close()

    def begin(self, *options):
        return self.move.begin("--timeout", "120", "--unplug-timeout", "60", *SLOWLY,
                               "--agent", self.agents["here"].path,
                               "--destination-agent", self.agents["there"].path, *options)

    def all_fell(self, guest, *phases):
        """In these phases, in this order; each agent found what the one before had left."""
        assert not self.problem, f"{self.problem} {self.fallen}"
        found = list(self.found(guest))
        assert found == ["running"] + [state for _, state in self.fallen], f"{found} {self.fallen}"
        assert [phase for phase, _ in self.fallen] == list(phases), self.fallen

    def watch(self, relay, side, moments):
        def look(message):
            moment = moments.pop(message.get("execute"), None)
            try:
                if moment and moment[0] == "device-wait":
                    # One that waits for what never comes is at work when the next is answered.
                    wait = {"execute": "device-wait", "arguments": {"device": "ffff"}}
                    relay.ask(dict(wait, id="never"), {"execute": "ping", "id": "after"})
                if moment and moment[0] == "cont":  # in a guest that stands still nobody can be killed
                    self.machines[side].qmp.execute("cont")
                if moment:
                    self.strike(side, *moment[1:])
            except Exception as problem:  # shown when the move has ended
                self.problem = problem
        return look

    def strike(self, side, phase, state):
        """At the one agent that has been started since the last."""
        started = len(self.fallen) + 1
        machine = self.machines[side]
        machine.guest.shell(f"until [ $(grep -c ': started, state' /tmp/agent.err) -eq {started} ]; "
                            "do sleep 0.05; done; pkill -KILL -x shadowcl-agent", timeout=200)
        self.fallen.append((phase, state))
        self.move.lab.say(f"killed: {phase}, {state}")

    def wait_log(self, side, words, timeout=200):
        """Until the agent has said this, since the move began."""
        self.machines[side].guest.shell(f"until grep -q '{words}' /tmp/agent.err; do sleep 0.05; done",
                                        timeout=timeout)

    def found(self, guest):
        """In which state each agent has found the programs, the first one too."""
        log = guest.get("/tmp/agent.err").decode()
        for life in re.split(r": started, state .*", log)[:-1]:
            before = re.findall(r"an agent before ended while (\w+)", life)
            yield before[-1] if before else "running"


def held_up(machine, *rules):
    """The test driver's faults, of a program that was started with this file."""
    machine.guest.put("/tmp/faults", "".join(f"{rule}\n" for rule in rules).encode())


def agent_killed(lab):
    """The agent is killed in each phase, and started again: the move goes on."""
    at = {
        ("here", "agent"): [("ping", "connect", "running"), ("status", "check", "running"),
                            ("prepare", "prepare", "running"), ("suspend", "suspend", "running")],
        ("here", "qmp"): [("device_del", "unplug", "suspended")],
        ("there", "agent"): [("ping", "find agent", "suspended"), ("device-wait", "plug", "suspended"),
                             ("status", "verify", "running")],
        ("there", "qmp"): [("cont", "start", "suspended"), ("device_add", "plug", "suspended")],
    }
    lab.reference(*HEAT)
    with Move(lab) as move:
        held_up(move.here)
        move.start("heat", HEAT, steps=100, env={"SHADOWCL_TEST_FAULTS": "/tmp/faults"})
        with Blows(move, at) as blows:
            outcome = strike_throughout(move, blows)
        move.moved(outcome)
        move.alive()
        blows.all_fell(move.here.guest, "connect", "check", "prepare", "suspend", "suspend", "unplug",
                       "migrate", "start", "find agent", "plug", "plug", "resume", "verify")
        move.finish()


def strike_throughout(move, blows):
    """A move; what is not a command's moment is struck at here."""
    here, there = move.here, move.there
    held_up(here, "hang clReleaseContext 1")
    process = blows.begin()
    blows.wait_log("here", "state: suspending")
    blows.strike("here", "suspend", "suspending")
    held_up(here)
    wait_half_way(move, process)
    blows.strike("here", "migrate", "suspended")
    held_up(here, "hang clCreateContext 1")
    go_on_fast(here)
    move.wait_seen(blows.agents["there"], "resume", process)
    blows.wait_log("there", "state: resuming")
    blows.strike("there", "resume", "resuming")
    held_up(there)
    return move.end(process)


def go_on_fast(machine):
    """What is left of a migration that can't have ended yet."""
    info = machine.qmp.execute("query-migrate")
    assert info["status"] == "active" and machine.status() == "running", f"it had moved: {info}"
    machine.qmp.execute("migrate-set-parameters", max_bandwidth=1 << 33)


def agent_killed_meanwhile(lab):
    """The agent is killed in each of the phases that a move by --meanwhile has more, or in which the
    programs run where they else stand still."""
    at = {
        ("here", "agent"): [("resume", "meanwhile", "suspended")],
        ("there", "agent"): [("suspend", "suspend 2", "running"), ("resume", "resume", "suspended")],
        ("there", "qmp"): [("cont", "start", "running"), ("device_add", "plug", "running")],
    }
    lab.reference(*LONG_HEAT)
    with Move(lab) as move:
        move.start_beside_pocl("heat", LONG_HEAT)
        with Blows(move, at) as blows:
            process = blows.begin("--meanwhile", POCL)
            wait_half_way(move, process)
            blows.strike("here", "migrate", "running")
            assert POCL in devices(move.here.guest), devices(move.here.guest)
            go_on_fast(move.here)
            outcome = move.end(process)
        move.moved(outcome)
        assert POCL not in devices(move.here.guest), devices(move.here.guest)
        blows.all_fell(move.here.guest, "meanwhile", "migrate", "start", "plug", "suspend 2", "resume")
        move.finish()


def agent_killed_on_the_way_back(lab):
    """A migration is cancelled half way; the agent is killed in each step of what follows, also while
    an executable of hooks.d is at work."""
    at = {
        ("here", "agent"): [("device-wait", "device-wait", "suspended"),
                            ("resume", "resume", "suspended")],
        ("here", "qmp"): [("device_add", "device_add", "suspended")],
    }
    hook = ("#!/bin/sh\necho $1 >>/tmp/hooks\n"
            "while [ $1 = return ] && [ -e /tmp/hook-holds ]; do sleep 0.1; done\n")
    lab.reference(*LONG_HEAT)
    with Move(lab) as move:
        guest = move.here.guest
        guest.put("/etc/shadowcl/hooks.d/50-hold", hook.encode(), mode=0o755)
        guest.put("/tmp/hook-holds", b"")
        held_up(move.here)
        move.start("heat", LONG_HEAT, steps=100, env={"SHADOWCL_TEST_FAULTS": "/tmp/faults"})
        with Blows(move, at) as blows:
            process = blows.begin()
            wait_half_way(move, process)
            held_up(move.here, "hang clCreateContext 1")
            move.here.qmp.execute("migrate_cancel")
            guest.shell("until grep -q return /tmp/hooks; do sleep 0.05; done", timeout=200)
            blows.strike("here", "hook", "resuming")
            guest.run("rm", "/tmp/hook-holds")
            guest.shell("until shadowcl ps | grep -q rebuilding; do sleep 0.1; done", timeout=200,
                        env=ENVIRONMENT)
            blows.strike("here", "programs", "resuming")
            held_up(move.here)
            outcome = move.end(process)
        move.stayed(outcome, "cancelled")
        blows.all_fell(guest, "device_add", "device-wait", "resume", "hook", "programs")
        move.destination()
        move.moved(move.migrate())
        move.finish()


def hook_fails(lab):
    """An executable of hooks.d fails once the device is free: all run on at the source. Mended, it
    runs at the source when nobody has the device, and at the destination with the new one's place."""
    hook = ("#!/bin/sh\n"
            "users=$(grep -l /resource2 /proc/[0-9]*/maps 2>/dev/null | wc -l)\n"
            "echo $1 $SHADOWCL_DEVICES $users >>/tmp/hooks\n"
            "[ $1 = return ] || [ ! -e /tmp/hook-fails ]\n")
    with begin(lab, command=LONG_HEAT) as move:
        guest = move.here.guest
        guest.put("/etc/shadowcl/hooks.d/50-note", hook.encode(), mode=0o755)
        guest.put("/tmp/hook-fails", b"")
        move.stayed(move.migrate(), "50-note")
        assert hooks_ran(guest) == ["release 0000:00:08.0 0", "return 0000:00:08.0 0"], hooks_ran(guest)
        guest.run("rm", "/tmp/hook-fails", "/tmp/hooks")
        move.destination()
        move.moved(move.migrate())
        ran = hooks_ran(move.here.guest)
        assert ran == ["release 0000:00:08.0 0", "return 0000:00:09.0 0"], ran
        move.finish()


def hooks_ran(guest):
    return guest.get("/tmp/hooks").decode().splitlines()


def program_refuses(lab):
    """A program has a pipe, then another a context that shares with OpenGL: neither can be carried,
    which --dry-run foretells. Once it is released the move goes well."""
    with begin(lab, command=LONG_HEAT) as move:
        for kind, reason in (("pipe", "pipe"), ("context", "shares objects with an OpenGL context")):
            name = f"/tmp/{kind}"
            pid = hold(move.here.guest, kind)
            move.stayed(move.migrate("--dry-run"), reason, f"process {pid} refusals-holder: {kind}")
            move.stayed(move.migrate(), reason, str(pid))
            move.here.guest.shell(f"echo drop >{name}.orders")
            wait_said(move.here.guest, "dropped", name)
            move.destination()
        foretold = move.migrate("--dry-run")
        assert foretold.code == 0 and foretold.answer["plan"], str(foretold)
        move.moved(move.migrate())
        for kind in ("pipe", "context"):
            move.here.guest.shell(f"echo check >/tmp/{kind}.orders")
            wait_said(move.here.guest, "right", f"/tmp/{kind}")
        move.finish()


def hold(guest, kind):
    """A program that holds one object of this kind, which only the test driver claims to have."""
    guest.run("mkfifo", f"/tmp/{kind}.orders")
    command = f"exec shadowcl run -- refusals-holder {kind} <>/tmp/{kind}.orders"
    pid = guest.start(f"/tmp/{kind}", "/bin/sh", "-c", command,
                      env=dict(ENVIRONMENT, SHADOWCL_TEST_CAPS="extras"))
    wait_said(guest, "ready", f"/tmp/{kind}")
    return pid


def wait_said(guest, word, name="/tmp/holder", timeout=120):
    end = time.monotonic() + timeout
    while word not in guest.get(f"{name}.out").decode():
        if time.monotonic() > end:
            said = guest.get(f"{name}.out") + guest.get(f"{name}.err")
            raise Timeout(f"waited {timeout} s for `{word}`: {said}")
        time.sleep(0.2)


def program_hangs(lab):
    """A program's kernel does not end within the deadline; later it does."""
    with begin(lab) as move:
        guest = move.here.guest
        guest.put("/tmp/faults", b"")
        pid = guest.start("/tmp/stuck", "shadowcl", "run", "--", *HEAT, "--output",
                          "/tmp/stuck.result", env=dict(ENVIRONMENT, SHADOWCL_TEST_FAULTS="/tmp/faults"))
        move.programs.append(("stuck", pid, HEAT))
        move.alive(180)
        guest.put("/tmp/faults", b"stall 1\n")
        time.sleep(2)
        outcome = move.migrate("--deadline", "3").failed(str(pid), "deadline")
        assert outcome.state() == {"guest": "source", "device": "plugged", "programs": "running"}, \
            str(outcome)
        guest.put("/tmp/faults", b"")
        move.alive()
        move.finish()


def device_held_by_another(lab):
    """A program that is not under shadowcl has the device's memory mapped."""
    holder = ("import glob, mmap, time; f = open(glob.glob('/sys/bus/pci/devices/*:08.0/resource2')[0], 'r+b'); "
              "m = mmap.mmap(f.fileno(), 4096); print('ready', flush=True); time.sleep(1000)")
    with begin(lab, command=LONG_HEAT) as move:
        pid = move.here.guest.start("/tmp/holder", "python3", "-c", holder)
        wait_said(move.here.guest, "ready")
        move.stayed(move.migrate(), str(pid), "python3", "not under shadowcl")
        move.here.guest.run("kill", str(pid))
        move.destination()
        move.moved(move.migrate())
        move.finish()
