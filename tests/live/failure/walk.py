#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Walks through a suspend and resume: each call that the shim makes to the driver in it fails in
turn. After that the program must run with the right contents, or be suspended and come back with
them; the next call then fails in the same program, or in a fresh one (--fresh). With --gone the
device is pulled out at that call, and stays away: what is suspended must come back on another; what
runs on has its contents when the device is put back. With --hang calls don't come back. In a drain
or capture: the program must run on with that driver, be refused a suspend until the call has come
back after all, and then be suspended and resumed. In a release: the suspend is done with a warning.
In a resume: it must stay suspended. In both it is then resumed in a fresh instance of the driver.
With --image contents go to an image file.
Prints the table of steps and outcomes."""

import argparse
import queue
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from harness import Failure, Machine, Victim, expect

NAMES = ("first GPU", "second GPU")


class Walker:
    """A program on a machine with two devices, and on which of them it is."""

    def __init__(self, told):
        self.told = told
        self.stack = ExitStack()
        self.machine = self.stack.enter_context(
            Machine(told.build, devices=2, names=NAMES, mapping=told.mapping,
                    environment={"SHADOWCL_CALL_PATIENCE": "5"} if told.hang else ()))
        self.calls = self.machine.work / "calls"
        # Of contents: what the command is told.
        self.where_to = ("--image", self.machine.work / "image") if told.image else ()
        with ExitStack() as stack:
            stack.push(self.stack)
            self.victim = self.stack.enter_context(Victim(self.machine, "images", "outoforder", "links"))
            self.on = 0
            self.victim.do("step")
            if not told.fresh:  # a first suspend makes other calls than those after it
                self.suspend_and_resume()
            stack.pop_all()

    def close(self):
        self.stack.close()

    def node(self):
        return self.machine.nodes[self.on]

    def suspend_and_resume(self):
        self.victim.suspend(*self.where_to)
        self.machine.swap(self.node())
        self.victim.resume()
        expect(self.machine.canary_lives(self.node()), "the canary of the device is dead")
        self.victim.check("after another suspend and resume")

    def record(self):
        """The names of the driver calls in a suspend and a resume, and how many are the suspend's."""
        self.machine.set_faults(f"log {self.calls}\n")
        self.victim.suspend(*self.where_to)
        suspend = len(self.calls.read_text().splitlines())
        self.victim.resume()
        self.machine.set_faults("")
        self.victim.check("recording")
        return self.calls.read_text().splitlines(), suspend

    def fail_one(self, number):
        """Returns which call failed, in which step, and what came of it. (How often the shim polls
        for an event differs from run to run, so that the n-th call does too.)"""
        self.calls.unlink(missing_ok=True)
        away = self.node().with_name(f"{self.node().name}-away")
        fault = f"fail * {number} {self.told.error}"
        if self.told.gone:
            fault = f"unplug {number} {self.node()}"
        self.machine.set_faults(f"{fault}\nlog {self.calls}\n")
        code, answer = self.machine.shadowcl("suspend", self.victim.pid, *self.where_to)
        outcome = "suspend fails"
        expect(self.calls.exists(), f"the driver was not called: {answer}")
        in_suspend = len(self.calls.read_text().splitlines())
        if code == 0:
            code, answer = self.machine.shadowcl("resume", self.victim.pid)
            outcome = "resume fails" if code else "no matter"
        if code:
            expect(answer["error"] and answer["error"]["reason"], f"no reason is given: {answer}")
        self.machine.set_faults("")
        names = self.calls.read_text().splitlines()
        if not away.exists() if self.told.gone else code == 0 and len(names) < number:
            return "-", "-", "there were fewer calls this time"
        name, phase = names[number - 1], "suspend" if number <= in_suspend else "resume"
        try:
            live = self.live_without if self.told.gone else self.recover
            return name, phase, live(away, code, outcome)
        except Failure as failure:
            end = "it is there"
            if self.victim.process.poll() is not None:
                end = self.victim.fate()
            return name, phase, f"WRONG: {failure}; the program: {end}; before: {answer}"

    def hang_one(self, number, phase):
        """As fail_one; the number is the call's in that phase."""
        self.calls.unlink(missing_ok=True)
        if phase == "suspend":
            return self.hang_in_suspend(number)
        self.victim.suspend(*self.where_to)
        self.machine.set_faults(f"hang * {number}\nlog {self.calls}\n")
        code, answer = self.machine.shadowcl("resume", self.victim.pid)
        names = self.calls.read_text().splitlines()
        self.machine.set_faults("")
        if len(names) < number:
            return "-", "-", "there were fewer calls this time"
        name = names[number - 1]
        try:
            expect(code and "has not come back" in answer["error"]["reason"], answer)
            expect(not self.victim.held(self.node()), f"held: {self.victim.held(self.node())}")
            self.machine.swap(self.node())
            return name, "resume", self.recover(None, code, "resume fails")
        except Failure as failure:
            return name, "resume", f"WRONG: {failure}; before: {answer}"

    def hang_in_suspend(self, number):
        self.machine.set_faults(f"hang * {number}\nlog {self.calls}\n")
        code, answer = self.machine.shadowcl("suspend", self.victim.pid, *self.where_to)
        names = self.calls.read_text().splitlines()
        if len(names) < number:
            self.machine.set_faults("")
            return "-", "-", "there were fewer calls this time"
        name = names[number - 1]
        try:
            return name, "suspend", self.live_with_hang(code, answer)
        except Failure as failure:
            return name, "suspend", f"WRONG: {failure}; before: {answer}"

    def live_with_hang(self, code, answer):
        told = answer["error"]["reason"] if code else " ".join(answer["warnings"])
        expect("has not come back" in told, f"it is not told: {answer}")
        if code:
            expect(self.victim.state() == "running", f"the state is {self.victim.state()}")
            self.victim.check("while the call hangs")
            self.victim.refused("running", "suspend", *self.where_to, reason="is in it yet")
        self.machine.set_faults("")
        if code:
            self.suspend_at_last()
        expect(not self.victim.held(self.node()), f"held: {self.victim.held(self.node())}")
        self.machine.swap(self.node())
        self.victim.resume()
        return self.recover(None, 0, "suspend fails, runs on, suspended later" if code else
                            "suspend done, warning")

    def suspend_at_last(self):
        """The call is about to come back."""
        for _ in range(400):
            code, answer = self.machine.shadowcl("suspend", self.victim.pid, *self.where_to)
            if code == 0:
                return
            expect("is in it yet" in answer["error"]["reason"], answer)
            time.sleep(0.05)
        raise Failure("the call that was let go has not come back")

    def recover(self, _, code, outcome):
        """The program runs or can be resumed."""
        state = self.victim.state()
        expect(state in ("running", "suspended"), f"the state is {state}")
        if state == "suspended":
            expect(code, "suspended though the resume was done")
            self.victim.resume()
            outcome += ", suspended"
        elif code:
            outcome += ", runs on"
        self.victim.check("after the failure")
        return self.end(outcome)

    def live_without(self, away, _, outcome):
        state = self.victim.state()
        expect(state in ("running", "suspended"), f"the state is {state}")
        if state == "suspended":
            self.victim.refused("suspended", "resume", object=NAMES[self.on])
            gone, self.on = self.node(), 1 - self.on
            self.victim.resume("--device", NAMES[self.on])
            self.machine.plug(gone)
            outcome += ", suspended, resumed on another"
        else:
            self.victim.refused("running", "suspend")
            away.rename(self.node())
            outcome += ", runs on, right when it is put back"
        away.unlink(missing_ok=True)
        self.victim.check("after the device went")
        return self.end(outcome)

    def end(self, outcome):
        """A suspend and resume is then as good as any: in the same program the next one shows it."""
        if self.told.fresh:
            self.suspend_and_resume()
            self.victim.quit()
        return outcome


class Walkers:
    """Those that wait for the next call to fail in their program."""

    def __init__(self, told):
        self.told = told
        self.idle = queue.SimpleQueue()

    def one(self, call):
        try:
            try:
                walker = self.idle.get_nowait()
            except queue.Empty:
                walker = Walker(self.told)
            if self.told.hang:
                outcome = walker.hang_one(call[0], call[2])
            else:
                outcome = walker.fail_one(call[0])
        except Failure as failure:
            return *call, f"WRONG: {failure}"
        if self.told.fresh or outcome[2].startswith("WRONG"):
            walker.close()
        else:
            self.idle.put(walker)
        return call[0], *outcome

    def quit(self):
        """Each is suspended and resumed once more, and ends by itself; how often that went wrong."""
        wrong = 0
        while not self.idle.empty():
            walker = self.idle.get()
            try:
                walker.suspend_and_resume()
                walker.victim.quit()
            except Failure as failure:
                wrong += 1
                print(f"WRONG: in the end: {failure}")
            walker.close()
        return wrong


def choose(calls, told):
    """All calls, or of each name and phase the first, the second and the last, without the second
    where the device goes, which takes its time. Of those that hang, which take more of it, of each
    name in the suspend the first, and every tenth of the resume."""
    if told.every:
        return calls
    places = {}
    for number, name, phase in calls:
        places.setdefault((name, phase), []).append((number, name, phase))
    if told.hang:
        resume = [call for call in calls if call[2] == "resume"]
        return [group[0] for (_, phase), group in places.items()
                if phase == "suspend"] + resume[:-1:10] + resume[-1:]
    first = 1 if told.gone else 2
    return sorted({place for group in places.values() for place in (*group[:first], group[-1])})


def walk(told):
    walker = Walker(told)
    names, suspend = walker.record()
    walker.close()
    calls = [(i + 1, name, "suspend" if i < suspend else "resume") for i, name in enumerate(names)]
    if told.hang:  # the resume is its own count, since a suspend comes before it
        calls[suspend:] = [(i + 1, name, "resume") for i, name in enumerate(names[suspend:])]
    chosen = choose(calls, told)
    how = "the device goes" if told.gone else "it hangs" if told.hang else f"error {told.error}"
    print(f"{len(calls)} calls, {suspend} of them in the suspend; mapping {told.mapping}, "
          f"{how}, {len(chosen)} walked", flush=True)

    outcomes = Counter()
    walkers = Walkers(told)
    with ThreadPoolExecutor(told.jobs) as pool:
        for number, name, phase, outcome in pool.map(walkers.one, chosen):
            print(f"{number:4} {phase:8} {name:36} {outcome}", flush=True)
            outcomes[outcome.split(":")[0]] += 1
    wrong = walkers.quit()
    for outcome, count in outcomes.most_common():
        print(f"{count:4} {outcome}")
    # A walk in which no call's failure is felt has made none fail.
    steps = ("suspend fails", "resume fails")
    felt = [any(o.startswith(step) for o in outcomes) for step in steps]
    return wrong + outcomes["WRONG"] + (not all(felt))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--every", action="store_true", help="each call, not one of each kind")
    parser.add_argument("--fresh", action="store_true", help="each in a program of its own")
    parser.add_argument("--mapping", default="copy", choices=("copy", "shared"))
    parser.add_argument("--error", default="-5", help="what the driver answers")
    parser.add_argument("--gone", action="store_true", help="the device goes at that call")
    parser.add_argument("--hang", action="store_true", help="calls don't come back; implies --fresh")
    parser.add_argument("--image", action="store_true", help="contents go to an image file")
    parser.add_argument("--jobs", type=int, default=2)
    told = parser.parse_args()
    told.fresh = told.fresh or told.hang  # there are only so many instances in one program
    return 1 if walk(told) else 0


if __name__ == "__main__":
    sys.exit(main())
