#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Walks through a suspend and resume: each allocation that our library makes in it fails in turn;
with --image contents go to an image file, and each read and write of it fails too. After that the
program must run with the right contents, or be suspended and come back with them. One program goes
through many failures, one after another. Prints the table of steps and outcomes.
"""

import argparse
import mmap
import os
import struct
import subprocess
import sys
from collections import Counter

from harness import Failure, Machine, Victim, expect

WISHES = ("images", "outoforder", "links")
HEAD = struct.Struct("=QQqQ")  # armed, place, left, count: as short_memory.c has it
CALL = struct.Struct("=16sQ")
MOST_CALLS = 4000
FRESH = 4  # instances that a driver which stays loaded has for one program, with some to spare


class Memory:
    """The page that is shared with the program."""

    def __init__(self, machine, library):
        path = machine.work / "memory"
        with open(path, "w+b") as file:
            file.truncate(HEAD.size + MOST_CALLS * CALL.size)
            self.page = mmap.mmap(file.fileno(), 0)
        machine.environment["SHADOWCL_TEST_MEMORY"] = str(path)
        before = os.environ.get("LD_PRELOAD")
        machine.environment["LD_PRELOAD"] = f"{library}:{before}" if before else str(library)

    def arm(self, place=0, number=0):
        HEAD.pack_into(self.page, 0, 1, place, number, 0)

    def disarm(self):
        struct.pack_into("=Q", self.page, 0, 0)

    def has_failed(self):
        return HEAD.unpack_from(self.page)[2] <= 0

    def calls(self):
        """Of each its name, and the place in the library that it returns to."""
        count = HEAD.unpack_from(self.page)[3]
        expect(0 < count <= MOST_CALLS, f"{count} calls")
        for name, place in CALL.iter_unpack(self.page[HEAD.size:HEAD.size + count * CALL.size]):
            yield name.rstrip(b"\0").decode(), place


class Places:
    """Which function and line an address in our library belongs to."""

    def __init__(self, build):
        self.library = f"{build}/lib/shadowcl/libOpenCL.so.1"
        self.known = {}

    def name(self, place):
        if place not in self.known:
            # The address is that of the instruction after the call.
            done = subprocess.run(["addr2line", "-f", "-e", self.library, hex(place - 1)],
                                  capture_output=True, text=True, check=True)
            function, line = done.stdout.splitlines()[:2]
            self.known[place] = f"{function} {line.split('/')[-1].split(' ')[0]}"
        return self.known[place]


class Walk:
    def __init__(self, told):
        self.told = told
        self.places = Places(told.build)
        self.outcomes = Counter()
        self.victim = self.machine = None
        self.cycles = 0

    def begin(self, plain=False):
        """A program of its own for the first, and after so many cycles as it can have."""
        variant = "plain" if plain else self.told.variant
        variant = "" if variant == "plain" else variant
        if self.victim and (not variant or self.cycles < FRESH):
            return
        self.end()
        self.machine = Machine(self.told.build, mapping=self.told.mapping, variant=variant)
        self.memory = Memory(self.machine, self.told.library)
        self.victim = Victim(self.machine, *WISHES)
        self.victim.do("step")
        image = self.told.image and not plain
        self.where_to = ("--image", self.machine.work / "image") if image else ()
        self.cycles = 0

    def end(self):
        if self.victim:
            self.victim.__exit__()
            self.machine.__exit__()
        self.victim = None

    def record(self, plain=False):
        """The calls of a program's first suspend and resume, and of its next, which has less to
        ask: step, name, place, which of those of that place, and whether only the first has it."""
        calls = {}
        self.begin(plain)
        for cycle in range(2):
            for step in ("suspend", "resume"):
                self.memory.arm()
                expect(self.ask(step) == 0, f"{step} fails")
                self.memory.disarm()
                numbers = Counter()
                for call in self.memory.calls():
                    numbers[call] += 1
                    calls[(step, *call, numbers[call])] = cycle
            self.cycles += 1
            self.victim.check("recording")
        return [(*call, cycle == 0) for call, cycle in calls.items()]

    def ask(self, verb):
        """The verb's answer; None when it was not even answered."""
        try:
            code, answer = self.machine.shadowcl(
                verb, self.victim.pid, *(self.where_to if verb == "suspend" else ()))
        except Failure:
            return None
        if code:
            expect(answer["error"] and answer["error"]["reason"], f"no reason is given: {answer}")
        return code

    def fail_one(self, step, place, number, first):
        """What came of the failure of that call."""
        if first:
            self.end()
        self.begin()
        if step == "resume":
            self.victim.suspend(*self.where_to)
        self.memory.arm(place, number)
        code = self.ask(step)
        self.memory.disarm()
        self.cycles += 1
        outcome = "no matter"
        if code != 0:
            outcome = f"{step} {'fails' if code else 'is not answered'}"
        if not self.memory.has_failed():
            expect(code == 0, f"nothing has failed, and it is: {outcome}")
            outcome = "there was no such call this time"
        return self.recover(step, code, outcome)

    def recover(self, step, code, outcome):
        """The program runs or can be resumed; a suspend and resume is then as good as any."""
        state = self.victim.state()
        expect(state in ("running", "suspended"), f"the state is {state}")
        if code == 0:
            expect(state == ("suspended" if step == "suspend" else "running"),
                   f"{step} was done, and it is {state}")
        else:
            outcome += ", runs" if state == "running" else ", suspended"
        if state == "suspended":
            self.victim.resume()
        self.victim.check("after the failure")
        self.victim.suspend(*self.where_to)
        held = self.victim.held(self.machine.nodes[0])
        expect(not held, f"held: {held}")
        self.machine.swap(self.machine.nodes[0])
        self.victim.resume()
        self.cycles += 1
        expect(self.machine.canary_lives(self.machine.nodes[0]), "the canary is dead")
        self.victim.check("after another suspend and resume")
        return outcome

    def walk(self):
        calls = self.record()
        chosen = calls
        if not self.told.every:  # the first of each place and step
            chosen = [call for call in calls if call[3] == 1]
        if self.told.beyond_plain:
            self.end()
            plain = {call[:3] for call in self.record(plain=True)}
            self.end()
            chosen = [call for call in chosen if call[:3] not in plain]
        suspends = sum(call[0] == "suspend" for call in calls)
        print(f"{len(calls)} calls, {suspends} of them in the suspend; driver "
              f"{self.told.variant}, mapping {self.told.mapping}, {len(chosen)} walked", flush=True)
        for step, name, place, number, first in chosen:
            try:
                outcome = self.fail_one(step, place, number, first)
            except Failure as failure:
                outcome = f"WRONG: {failure}; the program: {self.fate()}"
                self.end()
            print(f"{step:8} {name:14} {self.places.name(place):42} {number:2}  {outcome}",
                  flush=True)
            self.outcomes[outcome.split(":")[0]] += 1
        self.end()
        for outcome, count in self.outcomes.most_common():
            print(f"{count:4} {outcome}")
        # A walk in which no failure is felt has made none fail.
        felt = [any(o.startswith(f"{step} fails") for o in self.outcomes)
                for step in ("suspend", "resume")]
        is_felt = any(felt) if self.told.beyond_plain else all(felt)
        return 1 if self.outcomes["WRONG"] or not is_felt else 0

    def fate(self):
        return self.victim.fate() if self.victim.process.poll() is not None else "it is there"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--library", required=True, help="the one to preload")
    parser.add_argument("--every", action="store_true", help="each call, not one of each place")
    parser.add_argument("--beyond-plain", action="store_true",
                        help="not what the driver of variant plain has too, without an image")
    parser.add_argument("--image", action="store_true", help="contents go to an image file")
    parser.add_argument("--mapping", default="copy", choices=("copy", "shared"))
    parser.add_argument("--variant", default="plain", choices=("plain", "nodelete", "sticky"))
    return Walk(parser.parse_args()).walk()


if __name__ == "__main__":
    sys.exit(main())
