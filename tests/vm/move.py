# SPDX-License-Identifier: Apache-2.0
"""A move by `shadowcl vm-migrate`, between the agent in a guest and two machines, and what is looked
at after it."""
import json
import os
import signal
import subprocess
import time

from core import HEAT
from lab import ENVIRONMENT, HOME, MIB, MOST, TEST_DRIVER, last_step, wait_step
from machine import GPU_PLACE, OTHER_PLACE, PAGE
from qmp import QmpError, Timeout
from relay import Relay

LONG_HEAT = ["sample-heat", "--steps", "12000"]
NBODY = ["python3", f"{HOME}/guest/nbody.py", "--steps", "600"]
FILTER = ["sample-filter", "--repeat", "30"]
POCL = "Portable Computing Language:0"
# In place of systemd: an agent that dies is started again. The pids of all that were started are kept.
KEEPER = "while :; do shadowcl-agent {} & echo $! >>/tmp/agents; wait $!; sleep 0.2; done"
# The agent's options, by the name of the host's end of its channel.
CHANNELS = {"agent": "", "serial": "--port /dev/ttyS1"}


def devices(guest):
    """What the programs run on."""
    return guest.run("shadowcl", "ps", env=ENVIRONMENT).out


class Outcome:
    """How `shadowcl vm-migrate` ended."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err
        self.answer = json.loads(out) if out.strip() else {}

    def __str__(self):
        return f"exit {self.code}\n{self.err}\n{self.out[-3000:]}"

    def state(self):
        return self.answer.get("state")

    def failed(self, *words):
        """Ended with a message that has these words in it, and that says what and why, and where
        all is now."""
        assert self.code == 1, f"this was to fail: {self}"
        error = self.answer["error"]
        assert error["object"] and error["reason"], f"it does not say what, or why: {self}"
        assert "  now: " in self.err, f"it does not say where all is: {self}"
        for word in words:
            assert word in self.err + self.out, f"no `{word}` in the message: {self}"
        return self


class Move:
    """Two machines with everything around them. `here` has the guest, `there` is to get it. One that
    is given as `here` has its agent already, and its device."""

    def __init__(self, lab, size=64 * MIB, here=None, warm=MOST, channel="agent"):
        self.lab = lab
        self.channel = channel
        self.programs = []  # (name, pid, command) of those under shadowcl
        self.here = here or lab.source(size, warm)
        self.bar = self.here.bars[0]
        self.here.relay = Relay(self.here)
        self.there = None
        try:
            if not here:
                self.here.guest.start("/tmp/agent", "/bin/sh", "-c",
                                      KEEPER.format(CHANNELS[channel]), env=ENVIRONMENT)
            self.destination()
        except BaseException as problem:
            self.__exit__(None, problem)
            raise

    def __enter__(self):
        return self

    def __exit__(self, _, problem=None, *rest):
        if problem and self.here and self.here.guest and self.here.process.poll() is None:
            try:
                said = self.here.guest.get("/tmp/agent.err").decode(errors="replace")
                problem.add_note(f"the agent said: {said[-3000:]}")
            except Exception as other:  # what there is to see is shown by the first problem
                problem.add_note(f"the agent can't be asked: {other}")
        for machine in (self.there, self.here):
            if machine:
                machine.relay.close()
                machine.__exit__(None, problem)

    def destination(self, size=128 * MIB):
        """Another machine that waits for the guest, with the memory of its own device."""
        if self.there:
            self.there.relay.close()
            self.there.close()
        self.there = self.lab.destination()
        self.there.relay = Relay(self.there)
        place = OTHER_PLACE if self.bar.options["addr"] == GPU_PLACE else GPU_PLACE
        self.new_bar = self.there.add_memory(size, place=place)

    def start(self, name, command, env=None, steps=1, user=None):
        """Under shadowcl; `user` is a uid."""
        become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []
        pid = self.here.guest.start(f"/tmp/{name}", *become, "shadowcl", "run", "--", *command,
                                    "--output", f"/tmp/{name}.result",
                                    env=dict(ENVIRONMENT, **(env or {})))
        wait_step(self.here.guest, f"/tmp/{name}", pid, steps)
        self.programs.append((name, pid, command))
        return pid

    def add_pocl(self):
        """What a program's SHADOWCL_DRIVERS has to be to have pocl too, after the device."""
        guest, folder = self.here.guest, "/tmp/vendors"
        guest.put(f"{folder}/a-testdriver.icd", f"{TEST_DRIVER}\n".encode())  # the first of two
        guest.run("cp", "/etc/OpenCL/vendors/pocl.icd", folder)
        return folder

    def start_beside_pocl(self, name, command):
        """On the device, in a guest that has pocl too."""
        pid = self.start(name, command, steps=100, env={"SHADOWCL_DRIVERS": self.add_pocl()})
        found = devices(self.here.guest)
        assert POCL not in found, found
        return pid

    def command(self, *options):
        a, b = self.here, self.there
        device = ",".join(f"{key}={value}" for key, value in self.new_bar.options.items())
        return [os.path.join(self.lab.build, "bin", "shadowcl"), "vm-migrate",
                "--source", a.relay.path, "--agent", a.path(self.channel),
                "--destination", b.relay.path, "--destination-agent", b.path(self.channel),
                "--device", "gpu0", "--destination-device", device,
                "--uri", f"unix:{b.path('migration')}", "--json", *options]

    def half(self, verb, *options, limit=300):
        """`vm-suspend` or `vm-resume` of the machine that has the guest."""
        done = subprocess.run(
            [os.path.join(self.lab.build, "bin", "shadowcl"), verb, "--qmp", self.here.relay.path,
             "--agent", self.here.path(self.channel), "--device", "gpu0", "--json", *options],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit, check=False)
        return Outcome(done.returncode, done.stdout, done.stderr)

    def begin(self, *options):
        return subprocess.Popen(self.command(*options), stdin=subprocess.DEVNULL, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def end(self, process, limit=400):
        try:
            out, err = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            migration = self.migration()
            process.kill()
            out, err = process.communicate()
            raise Timeout(f"waited {limit} s for vm-migrate to end; {migration}\n{err}{out}") from None
        return Outcome(process.returncode, out, err)

    def migration(self):
        """How far it is, in QEMU's words, and what has passed at both monitors."""
        try:
            return (f"the source says {self.here.qmp.execute('query-migrate')}, seen there: "
                    f"{self.here.relay.seen[-8:]}, at the destination: {self.there.relay.seen[-8:]}")
        except (OSError, QmpError, Timeout) as problem:
            return f"the source can't be asked: {problem}"

    def migrate(self, *options, limit=400):
        return self.end(self.begin("--timeout", "120", "--unplug-timeout", "60", *options), limit)

    def moved(self, outcome):
        """It went well: from now on the guest is on the other machine, and a program at work there."""
        assert outcome.code == 0, str(outcome)
        assert outcome.answer["ok"] and outcome.state() == {
            "guest": "destination", "device": "plugged", "programs": "running"}, str(outcome)
        self.arrived()
        assert self.bar.touched() > 0, "nothing was resumed on the new device"
        assert not self.programs or any(self.here.guest.poll(pid) is None
                                        for _, pid, _ in self.programs), \
            "all programs had ended before they were moved: nothing is shown"
        took = outcome.answer["downtime_ms"]
        self.lab.say(f"moved: the programs stood still for {took['programs']:.0f} ms, "
                     f"the machine for {took['vm_by_qemu']} ms")

    def arrived(self):
        """The guest is on the other machine."""
        self.bar.fill(b"\xee")  # a GPU that is away
        old, self.here, self.there = self.here, self.there, None
        old.relay.close()
        old.close()
        self.bar = self.new_bar
        self.here.guest.wait_ready()
        self.canaries()

    def stayed(self, outcome, *words):
        """It failed with these words, and everything is as it was."""
        outcome.failed(*words)
        assert outcome.state() == {"guest": "source", "device": "plugged", "programs": "running"}, \
            str(outcome)
        assert self.here.status() == "running", self.here.status()
        assert self.here.guest_has_gpu(), "the device is not in the guest"
        self.alive()

    def alive(self, timeout=60):
        """Every program gets further, or has ended well."""
        before = {name: last_step(self.here.guest, f"/tmp/{name}") for name, _, _ in self.programs}
        for name, pid, _ in self.programs:
            if self.here.guest.poll(pid) is None:
                wait_step_or_end(self.here.guest, name, pid, before[name] + 1, timeout)

    def canaries(self):
        bar = self.bar
        assert bar.intact() and bar.intact(bar.size - PAGE, bar.size), "the canaries are gone"

    def is_first_agent(self):
        """The agent that was started first is still there, and no other one ever was."""
        guest = self.here.guest
        started = guest.get("/tmp/agents").split()
        lives = guest.run("pgrep", "-x", "shadowcl-agent", check=False).out.split()
        assert len(started) == 1 and [started[0].decode()] == lives, \
            f"agents were started as {started}, and {lives} is there"

    def finish(self):
        """All programs end well, with the bytes of undisturbed runs."""
        guest = self.here.guest
        for name, pid, command in self.programs:
            code = guest.wait(pid, name, 600)
            said = guest.get(f"/tmp/{name}.err").decode(errors="replace")
            assert code == 0, f"{name}: exit {code}\n{said[-2000:]}"
            result, wanted = guest.get(f"/tmp/{name}.result"), self.lab.reference(*command)
            assert wanted and result == wanted, \
                f"{name}: {sum(a != b for a, b in zip(result, wanted))} of {len(wanted)} bytes differ"
        self.canaries()

    def wait_seen(self, relay, name, process, timeout=200):
        """Until this command or event has passed there."""
        end = time.monotonic() + timeout
        while name not in relay.seen:
            if process.poll() is not None:
                raise AssertionError(f"vm-migrate ended before {name}: {self.end(process)}")
            if time.monotonic() > end:
                raise Timeout(f"waited {timeout} s for {name}; seen: {relay.seen}")
            time.sleep(0.01)

    def interrupt(self, process):
        process.send_signal(signal.SIGINT)


def wait_step_or_end(guest, name, pid, step, timeout):
    end = time.monotonic() + timeout
    while last_step(guest, f"/tmp/{name}") < step and guest.poll(pid) is None:
        if time.monotonic() > end:
            raise Timeout(f"waited {timeout} s for {name} to get to step {step}")
        time.sleep(0.2)
