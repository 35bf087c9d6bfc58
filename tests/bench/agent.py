#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The agent in numbers: a round trip, and the suspend and resume of 1, 4 and 16 programs at once.
Prints a table. The programs add vectors without a pause and keep their contents on the device (as
SHADOWCL_MAPPING=copy has it), so that a suspend has to wait for them and to copy. With --idle they
have the same contents and do nothing: what a suspend and a resume cost is then all that takes
processor time."""

import argparse
import json
import socket
import statistics
import subprocess
import time
import uuid

from common import Sides, machine

PINGS = 2000
PATIENCE = 120


class Agent:
    def __init__(self, sides):
        self.path = str(sides.work / "agent.sock")
        self.process = subprocess.Popen(
            [str(sides.bin / "shadowcl-agent"), "--socket", self.path, "--hooks",
             str(sides.work / "no-hooks"), "--log", str(sides.work / "agent.log")],
            env=sides.environment, stdin=subprocess.DEVNULL)
        end = time.monotonic() + PATIENCE
        self.peer = socket.socket(socket.AF_UNIX)
        while self.peer.connect_ex(self.path) != 0:
            assert time.monotonic() < end, "the agent does not start"
            time.sleep(0.01)
        self.file = self.peer.makefile("rwb")
        self.file.readline()

    def ask(self, command):
        """The answer and the milliseconds that it took."""
        start = time.monotonic()
        self.file.write(json.dumps({"execute": command, "id": str(uuid.uuid4())}).encode() + b"\n")
        self.file.flush()
        while True:
            message = json.loads(self.file.readline())
            if "event" not in message:
                break
        took = (time.monotonic() - start) * 1e3
        assert "return" in message, message
        return message["return"], took

    def end(self):
        self.process.terminate()
        self.process.wait(PATIENCE)


def cpu_ms(pid):
    """Processor time that a process has used, with all of its threads, also those that have ended:
    the kernel's clock of that number (clock_getcpuclockid(3))."""
    return time.clock_gettime((~pid << 3) | 2) * 1e3


def start_idle(sides, count, size):
    """As much in as many buffers as the others have."""
    programs = [sides.start("shadowcl", "bench-rates", 12 * size, 3, stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE) for _ in range(count)]
    for program in programs:
        assert program.stdout.readline() == "ready\n", "a program does not start"
    return programs


def start_programs(sides, count, size):
    programs = []
    for number in range(count):
        output = sides.work / f"output{number}"
        with open(output, "wb") as file:
            programs.append((sides.start("shadowcl", "sample-vadd", "--size", size, "--repeat",
                                         10 ** 9, stdout=file, stderr=file,
                                         stdin=subprocess.DEVNULL), output))
    end = time.monotonic() + PATIENCE
    for _, output in programs:
        while b"round" not in output.read_bytes():
            assert time.monotonic() < end, "a program does not start"
            time.sleep(0.1)
    return [program for program, _ in programs]


def end_programs(programs):
    for program in programs:
        program.kill()
        program.wait()


def median(values):
    return statistics.median(values)


NAMES = ("suspend_ms", "slowest_ms", "still_ms", "resume_ms", "copied_bytes", "suspend_cpu_ms",
         "suspend_agent_cpu_ms", "resume_cpu_ms", "resume_agent_cpu_ms")


def measure(sides, told, count):
    """Medians, by these names: a suspend, the slowest program's own part of it, how long they had
    stood still when it was answered, a resume; the bytes copied; and the processor time of each of
    the two, of all programs and of the agent."""
    programs = (start_idle if told.idle else start_programs)(sides, count, told.size)
    agent = Agent(sides)
    rows = []

    def timed(command):
        """The answer, and milliseconds: by the clock, of the programs, of the agent."""
        before = [sum(cpu_ms(each.pid) for each in programs), cpu_ms(agent.process.pid)]
        answer, took = agent.ask(command)
        after = [sum(cpu_ms(each.pid) for each in programs), cpu_ms(agent.process.pid)]
        return answer, took, after[0] - before[0], after[1] - before[1]

    for _ in range(told.rounds):
        done, suspend, *suspend_cpu = timed("suspend")
        slowest = max(each["ms"]["total"] for each in done["processes"])
        assert len(done["processes"]) == count, done
        copied = sum(each["captured_bytes"] for each in done["processes"])
        _, resume, *resume_cpu = timed("resume")
        rows.append((suspend, slowest, done["ms"]["still"], resume, copied, *suspend_cpu,
                     *resume_cpu))
        time.sleep(0.3)
    agent.end()
    end_programs(programs)
    return {name: median(column) for name, column in zip(NAMES, zip(*rows))}


def round_trip(sides):
    agent = Agent(sides)
    times = sorted(agent.ask("ping")[1] for _ in range(PINGS))
    agent.end()
    return times[len(times) // 2], times[len(times) * 99 // 100]


def as_json(told, middle, late, rows):
    print(json.dumps({**machine(told.build), "ping_ms": middle, "ping_late_ms": late,
                      "results": [{"programs": count, **row} for count, row in rows]}, indent=2))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--size", type=int, default=1 << 20, help="numbers in each vector")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--idle", action="store_true", help="programs that do nothing")
    told = parser.parse_args()
    with Sides(told.build) as sides:
        sides.environment["SHADOWCL_MAPPING"] = "copy"
        if told.json:
            as_json(told, *round_trip(sides), [(count, measure(sides, told, count))
                                               for count in told.counts])
            return
        for name, value in machine(told.build).items():
            print(f"{name}: {value}")
        middle, late = round_trip(sides)
        print(f"\nRound trip over a Unix socket (`ping`, {PINGS} times): median {middle:.3f} ms, "
              f"99 % within {late:.3f} ms.\n")
        print("| programs | copied, MiB | suspend, ms | slowest program's own part, ms | "
              "stood still, ms | programs' processor time, ms | agent's | resume, ms | "
              "programs' processor time, ms | agent's |")
        print("|---|---|---|---|---|---|---|---|---|---|")
        for count in told.counts:
            row = measure(sides, told, count)
            print(f"| {count} | {row['copied_bytes'] / 2 ** 20:.0f} | " + " | ".join(
                f"{row[name]:.0f}" for name in (
                    "suspend_ms", "slowest_ms", "still_ms", "suspend_cpu_ms",
                    "suspend_agent_cpu_ms", "resume_ms", "resume_cpu_ms",
                    "resume_agent_cpu_ms")) + " |", flush=True)


if __name__ == "__main__":
    main()
