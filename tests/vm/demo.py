#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Shows the move of a virtual machine to somebody who watches; see scripts/demo-vm.sh. Exit code 0:
all as it should be; 1: not."""
import argparse
import os
import signal
import subprocess
import sys
import time

from core import USERS_OF_GPU, take_place, users_of_gpu
from downtime import end_steady, steady
from guest import GuestError
from lab import ENVIRONMENT, MIB, Lab, last_step, wait_step
from move import Move
from qmp import QmpError, Timeout

# For as long as somebody wants to watch.
HEAT = ["sample-heat", "--steps", "8000"]
HERE = os.path.dirname(os.path.abspath(__file__))
STEPS = int(HEAT[-1])
WIDTH = 40
# A hook of the agent's: it runs when the programs are suspended and the device is still there.
LOOK = f"""#!/bin/sh
[ "$1" != release ] || {{ {USERS_OF_GPU}; }} >/tmp/users
exit 0
"""


def say(text):
    print(f"\n\033[1m{text}\033[0m", flush=True)


def bar_of(step):
    done = step * WIDTH // STEPS
    return f"[{'#' * done}{'.' * (WIDTH - done)}] step {step} of {STEPS}"


class Watch:
    """Prints how far the solver is, twice a second, while somebody waits."""

    def __init__(self, guest, where):
        self.guest, self.where = guest, where

    def until(self, step, pid):
        while (now := last_step(self.guest, "/tmp/heat")) < step and self.guest.poll(pid) is None:
            print(f"\r  {self.where:12} {bar_of(now)}", end="", flush=True)
            time.sleep(0.5)
        print(f"\r  {self.where:12} {bar_of(last_step(self.guest, '/tmp/heat'))}", flush=True)


def show_device(machine):
    look = ("for d in /sys/bus/pci/devices/*; do grep -q 0x1110 $d/device && "
            "echo \"  $(basename $d): memory at $(sed -n 3p $d/resource | cut -d' ' -f1), "
            "$(($(stat -Lc %s $d/resource2) >> 20)) MiB\"; done")
    print(machine.guest.shell(look, check=False).out.rstrip() or "  none")


def show_refusal(move):
    say("The machine can't be migrated while it has its device")
    try:
        move.here.qmp.execute("migrate", uri=f"unix:{move.there.path('migration')}")
    except QmpError as refusal:
        print(f"  QEMU: {refusal}")
        return
    raise AssertionError("QEMU migrates a machine with its device: nothing is shown by this")


def migrate(move):
    say("shadowcl vm-migrate")
    command = [word for word in move.command("--timeout", "120", "--unplug-timeout", "60",
                                             "--timeline", f"{move.lab.build}/vm/demo.svg")
               if word != "--json"]
    folders = {move.here.folder: "A", move.there.folder: "B"}
    shown = " ".join(command[1:]).replace(" --", " \\\n      --")
    for folder, short in folders.items():
        shown = shown.replace(folder, short)
    print(f"  $ shadowcl {shown}\n", flush=True)
    # Both go to the terminal: the progress and the timeline.
    code = subprocess.run(command, stdin=subprocess.DEVNULL, timeout=600, check=False).returncode
    assert code == 0, f"vm-migrate: exit {code}"
    print(f"  drawn in {move.lab.build}/vm/demo.svg")


def show_residue(guest):
    say("Once the programs were suspended, and before the device was unplugged")
    held = guest.get("/tmp/users").decode()
    assert not held, f"the device is still held: {held}"
    print("  nobody in the guest held it: no process had it open or mapped")


def show(lab):
    say("The solver, undisturbed")
    wanted = lab.reference(*HEAT)
    print(f"  {' '.join(HEAT)}: {len(wanted)} bytes to compare with")

    say("Machine A, with a device; machine B, with another one; an agent in the guest")
    with Move(lab) as move:
        show_device(move.here)
        say("The solver, under shadowcl")
        pid = move.start("heat", HEAT, steps=1)
        Watch(move.here.guest, "machine A").until(STEPS // 4, pid)
        held = users_of_gpu(move.here.guest)
        assert held, "nobody holds the device: nothing is shown by this"
        print(f"  it holds the device: {' '.join(held.split())}")
        print("  " + move.here.guest.run("shadowcl", "ps", env=ENVIRONMENT).out.replace("\n", "\n  "))
        show_refusal(move)
        move.here.guest.put("/etc/shadowcl/hooks.d/50-look", LOOK.encode(), mode=0o755)
        move.destination(128 * MIB)
        place, address = move.bar.size, move.here.gpu_address()

        def before(message):
            if message.get("execute") == "device_add":
                move.there.relay.on_command = lambda _: None
                take_place(move.there, place)

        move.there.relay.on_command = before
        migrate(move)
        stopped_at = last_step(move.there.guest, "/tmp/heat")
        old = move.here
        move.here, move.there, move.bar = move.there, None, move.new_bar
        old.relay.close()
        old.close()
        show_residue(move.here.guest)
        say("Machine A has ended. In machine B")
        show_device(move.here)
        assert move.here.gpu_address() != address, f"the new device's memory is at {address}, too"
        Watch(move.here.guest, "machine B").until(STEPS, pid)
        assert stopped_at < STEPS, "the solver had ended before it was moved: nothing is shown"

        say("Every byte of the result, and what is beside the buffers in the new device's memory")
        move.finish()
        print(f"  all {len(wanted)} bytes are equal; the canaries are intact")
    say("As it should be.")


def wait_for_hand(move, pid):
    """Until somebody has moved the guest, and its program goes on there."""
    there = move.there
    while there.status() != "running":
        time.sleep(0.5)
    say("The guest is in machine B")
    there.guest.wait_ready()
    wait_step(there.guest, "/tmp/steady", pid, last_step(there.guest, "/tmp/steady") + 1, 300)
    time.sleep(5)  # vm-migrate looks at how everything is before it ends


def by_hand(lab):
    say("Machine A, with a device and a program that computes on it; machine B waits for the guest")
    with Move(lab) as move:
        pid = steady(move.here.guest, 32, True, ENVIRONMENT)
        print("  " + move.here.guest.run("shadowcl", "ps", env=ENVIRONMENT).out.replace("\n", "\n  "))
        say("Move it from another terminal (first with --dry-run, to see what would be done)")
        command = move.command("--timeout", "120", "--unplug-timeout", "60")
        command.remove("--json")
        print("  " + " ".join(command).replace(" --", " \\\n      --") + "\n", flush=True)
        wait_for_hand(move, pid)
        end_steady(move.there.guest, pid)
        move.bar = move.new_bar
        move.canaries()
        print("  all of the program's contents are right; the canaries are intact")
    say("As it should be.")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split(". Exit")[0] + ".")
    parser.add_argument("--build", default=os.path.join(HERE, "..", "..", "build"))
    parser.add_argument("--by-hand", action="store_true",
                        help="only prepares everything: you type the move")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    start = time.monotonic()
    try:
        play = by_hand if given.by_hand else show
        play(Lab(given.build, lambda text: print(f"  ... {text}", flush=True)))
    except KeyboardInterrupt:
        return 1
    except (AssertionError, GuestError, OSError, QmpError, Timeout,
            subprocess.SubprocessError) as problem:
        notes = "\n".join(getattr(problem, "__notes__", []))
        print(f"\ndemo-vm: FAILED: {problem}\n{notes}", file=sys.stderr)
        return 1
    print(f"{time.monotonic() - start:.0f} s")
    return 0


sys.exit(main())
