#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The agent in numbers: a round trip, and the suspend and resume of 1, 4 and 16 programs at once.
Prints a table. The programs add vectors without a pause and keep their contents on the device (as
SHADOWCL_MAPPING=copy has it), so that a suspend has to wait for them and to copy."""

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


def measure(sides, count, size, rounds):
    """Milliseconds: suspend, the slowest program's own part of it, resume; and the bytes copied."""
    programs = start_programs(sides, count, size)
    agent = Agent(sides)
    rows = []
    for _ in range(rounds):
        done, suspend = agent.ask("suspend")
        slowest = max(each["ms"]["total"] for each in done["processes"])
        assert len(done["processes"]) == count, done
        copied = sum(each["captured_bytes"] for each in done["processes"])
        _, resume = agent.ask("resume")
        rows.append((suspend, slowest, resume, copied))
        time.sleep(0.3)
    agent.end()
    end_programs(programs)
    return [median(column) for column in zip(*rows)]


def round_trip(sides):
    agent = Agent(sides)
    times = sorted(agent.ask("ping")[1] for _ in range(PINGS))
    agent.end()
    return times[len(times) // 2], times[len(times) * 99 // 100]


def as_json(told, middle, late, rows):
    print(json.dumps({**machine(told.build), "ping_ms": middle, "ping_late_ms": late,
                      "results": [{"programs": count, "suspend_ms": suspend,
                                   "slowest_ms": slowest, "resume_ms": resume,
                                   "copied_bytes": copied}
                                  for count, (suspend, slowest, resume, copied) in rows]},
                     indent=2))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--size", type=int, default=1 << 20, help="numbers in each vector")
    parser.add_argument("--rounds", type=int, default=7)
    told = parser.parse_args()
    with Sides(told.build) as sides:
        sides.environment["SHADOWCL_MAPPING"] = "copy"
        if told.json:
            as_json(told, *round_trip(sides), [(count, measure(sides, count, told.size, told.rounds))
                                               for count in told.counts])
            return
        for name, value in machine(told.build).items():
            print(f"{name}: {value}")
        middle, late = round_trip(sides)
        print(f"\nRound trip over a Unix socket (`ping`, {PINGS} times): median {middle:.3f} ms, "
              f"99 % within {late:.3f} ms.\n")
        print("| programs | copied, MiB | suspend, ms | slowest program's own part, ms | resume, ms |")
        print("|---|---|---|---|---|")
        for count in told.counts:
            suspend, slowest, resume, copied = measure(sides, count, told.size, told.rounds)
            print(f"| {count} | {copied / 2 ** 20:.0f} | {suspend:.0f} | {slowest:.0f} | "
                  f"{resume:.0f} |", flush=True)


if __name__ == "__main__":
    main()
