#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A move in numbers: how long each of its phases takes, and how long a program stands still, as the
host sees it, beside a plain migration of the same machine without a device and without shadowcl;
and a round trip to the agent over virtio-serial. Prints tables, or JSON. Exit code 0: everything
moved, and all contents were right at the end; 1: not."""
import argparse
import json
import os
import signal
import statistics
import sys
import threading
import time
import uuid

from lab import ENVIRONMENT, HOME, MIB, Lab, wait_step
from machine import MEMORY
from move import POCL, Move
from qmp import dial

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "bench"))
from common import first_line, machine as conditions  # noqa: E402

INSIDE = "/dev/shm/inside"  # the device's contents where the machine has none
PINGS = 300
PAUSE = 100  # ms without a step that count as standing still
SETTLE = 2  # s of undisturbed steps before and after each move


class Marks(threading.Thread):
    """When the steps of a guest's program arrived at the serial ports of these machines."""

    def __init__(self, *machines):
        super().__init__(daemon=True)
        self.paths = [machine.path("console") for machine in machines]
        self.times = []
        self.ended = threading.Event()
        self.start()

    def size(self):
        return sum(os.path.getsize(path) for path in self.paths if os.path.exists(path))

    def run(self):
        before = self.size()
        while not self.ended.wait(0.002):
            now = self.size()
            if now != before:
                self.times.append(time.monotonic())
            before = now

    def pauses(self):
        """The longest, and all that are longer than PAUSE; in ms."""
        self.ended.set()
        self.join()
        gaps = [(after - before) * 1e3 for before, after in zip(self.times, self.times[1:])]
        assert len(gaps) > 20, f"{len(gaps)} steps: nothing is shown by this"
        each = [gap for gap in gaps if gap > PAUSE]
        return {"longest": max(gaps), "together": sum(each), "each": each,
                "step": statistics.median(gaps)}


def steady(guest, mib, under, env):
    """Starts guest/steady.py; it has begun when this returns."""
    command = ["python3", f"{HOME}/guest/steady.py", "--mib", str(mib), "--marks", "/dev/ttyS0"]
    pid = guest.start("/tmp/steady", *(["shadowcl", "run", "--"] if under else []), *command,
                      env=env)
    wait_step(guest, "/tmp/steady", pid, 50)
    return pid


def end_steady(guest, pid):
    guest.run("kill", str(pid))
    code = guest.wait(pid, "the check of all contents", 300)
    said = guest.get("/tmp/steady.err").decode(errors="replace")
    assert code == 0 and "all right" in said, f"exit {code}\n{said[-2000:]}"


def qemu(machine):
    info = machine.qmp.execute("query-migrate")
    return {"total": info["total-time"], "downtime": info["downtime"],
            "sent_mib": info["ram"]["transferred"] / MIB}


def measure_moves(lab, mib, meanwhile, count):
    """Moves of one program, each to a new device."""
    room = 1 << (mib * MIB).bit_length()  # a power of two that has room for more
    env, options, rows = dict(ENVIRONMENT), [], []
    with Move(lab, room) as move:
        if meanwhile:
            env["SHADOWCL_DRIVERS"] = move.add_pocl()
            options = ["--meanwhile", POCL]
        pid = steady(move.here.guest, mib, True, env)
        for _ in range(count):
            move.destination(room)
            marks = Marks(move.here, move.there)
            time.sleep(SETTLE)
            outcome = move.migrate("--deadline", "90", *options)
            assert outcome.code == 0, str(outcome)
            time.sleep(SETTLE)
            row = {"seen": marks.pauses(), "qemu": qemu(move.here),
                   "downtime": outcome.answer["downtime_ms"], "load": os.getloadavg()[0],
                   "phases": [(phase["name"], phase["ms"]) for phase in outcome.answer["phases"]]}
            rows.append(row)
            move.moved(outcome)
        end_steady(move.here.guest, pid)
    return rows


def measure_plain(lab, mib, count):
    """Migrations of the same machine; the program has its contents in the guest's memory, and is not
    under shadowcl."""
    env, rows = dict(ENVIRONMENT, SHADOWCL_TEST_DEVICE=INSIDE), []
    del env["SHADOWCL_TEST_BAR"]
    here, there = lab.source(size=0), None
    try:
        here.guest.run("truncate", "-s", str(1 << (mib * MIB).bit_length()), INSIDE)
        pid = steady(here.guest, mib, False, env)
        for _ in range(count):
            there = lab.destination()
            marks = Marks(here, there)
            time.sleep(SETTLE)
            here.migrate(there)
            time.sleep(SETTLE)
            rows.append({"seen": marks.pauses(), "qemu": qemu(here), "load": os.getloadavg()[0]})
            here.close()
            here, there = there, None
            here.guest.wait_ready()
        end_steady(here.guest, pid)
    except BaseException as problem:
        here.__exit__(None, problem)
        raise
    finally:
        for machine in filter(None, (here, there)):
            machine.close()
    return rows


def measure_pings(lab):
    """Milliseconds of each round trip to the agent, in a guest that does nothing else."""
    with lab.source(size=0) as machine:
        machine.guest.start("/tmp/agent", "shadowcl-agent", env=ENVIRONMENT)
        with dial(machine.path("agent")) as port:
            port.settimeout(60)
            file = port.makefile("rwb")
            ask(file, "ping")
            return [ask(file, "ping") for _ in range(PINGS)]


def ask(file, command, **arguments):
    """Milliseconds until the answer, which is not to be an error."""
    start = time.monotonic()
    message = {"execute": command, "id": str(uuid.uuid4()), "arguments": arguments}
    file.write(b"\n" + json.dumps(message).encode() + b"\n")
    file.flush()
    while (answer := json.loads(file.readline())).get("id") != message["id"]:
        pass
    assert "return" in answer, answer
    return (time.monotonic() - start) * 1e3


def median(values):
    return statistics.median(values)


def total(row, name):
    """A phase may be there more than once."""
    return sum(ms for phase, ms in row["phases"] if phase == name)


def spread(values):
    return f"{median(values):.0f} ({min(values):.0f} to {max(values):.0f})"


def print_phases(results):
    names = dict.fromkeys(name for result in results for name, _ in result["rows"][0]["phases"])
    print(f"| phase, ms | {' | '.join(result['name'] for result in results)} |")
    print(f"|---|{'---|' * len(results)}")
    for name in names:
        cells = [spread([total(row, name) for row in result["rows"]])
                 if any(phase == name for phase, _ in result["rows"][0]["phases"]) else ""
                 for result in results]
        print(f"| {name} | {' | '.join(cells)} |")


def print_pauses(results):
    print("\n| | the program's longest pause, ms | all its pauses, ms | the same as `vm-migrate` has it "
          "| QEMU's downtime, ms | QEMU's migration, ms | sent, MiB | load |"
          "\n|---|---|---|---|---|---|---|---|")
    for result in results:
        rows = result["rows"]
        cells = [spread([row["seen"][key] for row in rows]) for key in ("longest", "together")]
        said = [row["downtime"]["programs"] for row in rows if "downtime" in row]
        cells.append(spread(said) if said else "")
        cells += [spread([row["qemu"][key] for row in rows]) for key in ("downtime", "total")]
        cells.append(f"{median([row['qemu']['sent_mib'] for row in rows]):.0f}")
        cells.append(f"{median([row['load'] for row in rows]):.1f}")
        print(f"| {result['name']} | {' | '.join(cells)} |")
    print(f"\nEach pause longer than {PAUSE} ms, in order, of each move:\n")
    for result in results:
        moves = [" + ".join(f"{ms:.0f}" for ms in row["seen"]["each"]) for row in result["rows"]]
        print(f"- {result['name']}: {'; '.join(moves)}")


def print_all(answer):
    for name, value in answer["machine"].items():
        print(f"{name}: {value}")
    print()
    moves = [result for result in answer["results"] if "phases" in result["rows"][0]]
    if moves:
        print_phases(moves)
    print_pauses(answer["results"])
    if not answer["pings"]:
        return
    pings = sorted(answer["pings"])
    print(f"\nRound trip to the agent (`ping`, {len(pings)} times): median {median(pings):.1f} ms, "
          f"99 % within {pings[len(pings) * 99 // 100]:.1f} ms.")


def options():
    parser = argparse.ArgumentParser(description=__doc__.split(" Exit")[0])
    parser.add_argument("--build", default=os.path.join(HERE, "..", "..", "build"))
    parser.add_argument("--repeat", type=int, default=3, help="moves of each kind (default 3)")
    parser.add_argument("--mib", type=int, nargs="+", default=[64, 512],
                        help="MiB on the device (default 64 512)")
    parser.add_argument("--meanwhile-mib", type=int, nargs="*", default=[64, 512],
                        help="the same for --meanwhile, on pocl (default 64 512)")
    parser.add_argument("--json", action="store_true", help="everything that was measured")
    return parser.parse_args()


def measure(lab, given, answer):
    lab.say("round trips")
    answer["pings"] = measure_pings(lab)
    kinds = [(f"{mib} MiB", lambda mib=mib: measure_moves(lab, mib, False, given.repeat))
             for mib in given.mib]
    kinds += [(f"{mib} MiB, plain", lambda mib=mib: measure_plain(lab, mib, given.repeat))
              for mib in given.mib]
    kinds += [(f"{mib} MiB, `--meanwhile`",
               lambda mib=mib: measure_moves(lab, mib, True, given.repeat))
              for mib in given.meanwhile_mib]
    for name, kind in kinds:
        lab.say(name)
        answer["results"].append({"name": name, "rows": kind()})


def main():
    given = options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    start = time.monotonic()
    lab = Lab(given.build, lambda text: print(f"{time.monotonic() - start:7.1f} s  {text}",
                                              file=sys.stderr, flush=True))
    answer = {"machine": {**conditions(lab.build), "guest": f"QEMU's TCG, {MEMORY} MiB",
                          "qemu": first_line("qemu-system-x86_64", "--version")},
              "pings": [], "results": []}
    try:
        measure(lab, given, answer)
    finally:  # where it was ended or failed: what had been measured until then
        if given.json:
            json.dump(answer, sys.stdout, indent=1)
            print()
        else:
            print_all(answer)


if __name__ == "__main__":
    main()
