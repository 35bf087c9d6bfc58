#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Walks through a suspend and resume: each call that the shim makes to the driver in it fails in
turn, in a fresh program. After that the program must run with the right contents, or be suspended
and come back with them. With --gone the device is pulled out at that call, and stays away: what is
suspended must come back on another; what runs on has its contents when the device is put back.
With --image contents go to an image file. Prints the table of steps and outcomes."""

import argparse
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from harness import Failure, Machine, Victim, expect

WISHES = ("images", "outoforder")


def where_to(machine, image):
    """Of contents: what the command is told."""
    return ("--image", machine.work / "image") if image else ()


def record(build, mapping, image):
    """The names of the driver calls in a suspend and a resume, and how many are the suspend's."""
    with Machine(build, mapping=mapping) as machine, Victim(machine, *WISHES) as victim:
        victim.do("step")
        calls = machine.work / "calls"
        machine.set_faults(f"log {calls}\n")
        victim.suspend(*where_to(machine, image))
        suspend = len(calls.read_text().splitlines())
        victim.resume()
        machine.set_faults("")
        victim.check("recording")
        return calls.read_text().splitlines(), suspend


def fail_one(build, mapping, number, error, image):
    """Returns which call failed, in which step, and what came of it. (How often the shim polls for
    an event differs from run to run, so that the n-th call does too.)"""
    with Machine(build, mapping=mapping) as machine, Victim(machine, *WISHES) as victim:
        victim.do("step")
        calls = machine.work / "calls"
        machine.set_faults(f"fail * {number} {error}\nlog {calls}\n")
        code, answer = machine.shadowcl("suspend", victim.pid, *where_to(machine, image))
        outcome = "suspend fails, runs on"
        in_suspend = len(calls.read_text().splitlines())
        if code == 0:
            code, answer = machine.shadowcl("resume", victim.pid)
            outcome = "resume fails, suspended" if code else "no matter"
        if code:
            expect(answer["error"] and answer["error"]["reason"], f"no reason is given: {answer}")
        machine.set_faults("")
        names = calls.read_text().splitlines()
        if code == 0 and len(names) < number:
            return "-", "-", "there were fewer calls this time"
        name, phase = names[number - 1], "suspend" if number <= in_suspend else "resume"
        try:
            return name, phase, recover(machine, victim, code, outcome)
        except Failure as failure:
            end = victim.fate() if victim.process.poll() is not None else "it is there"
            return name, phase, f"WRONG: {failure}; the program: {end}; before: {answer}"


def recover(machine, victim, code, outcome):
    """The program runs or can be resumed; a suspend and resume is then as good as any."""
    state = victim.state()
    if state == "suspended":
        expect(code, "suspended though the resume was done")
        victim.resume()
        outcome = outcome.replace("runs on", "suspended")
    expect(state in ("running", "suspended"), f"the state is {state}")
    victim.check("after the failure")
    victim.suspend()
    machine.swap(machine.nodes[0])
    victim.resume()
    expect(machine.canary_lives(machine.nodes[0]), "the canary of the device is dead")
    victim.check("after another suspend and resume")
    victim.quit()
    return outcome


def lose_one(build, mapping, number, image):
    """As fail_one, but from that call on the device is not there."""
    with Machine(build, devices=2, names=("first GPU", "second GPU"), mapping=mapping) as machine, \
            Victim(machine, *WISHES) as victim:
        victim.do("step")
        calls, node = machine.work / "calls", machine.nodes[0]
        away = node.with_name(f"{node.name}-away")
        machine.set_faults(f"unplug {number} {node}\nlog {calls}\n")
        code, answer = machine.shadowcl("suspend", victim.pid, *where_to(machine, image))
        outcome = "suspend fails"
        in_suspend = len(calls.read_text().splitlines())
        if code == 0:
            code, answer = machine.shadowcl("resume", victim.pid)
            outcome = "resume fails" if code else "no matter"
        if code:
            expect(answer["error"] and answer["error"]["reason"], f"no reason is given: {answer}")
        machine.set_faults("")
        names = calls.read_text().splitlines()
        if not away.exists():
            return "-", "-", "there were fewer calls this time"
        name, phase = names[number - 1], "suspend" if number <= in_suspend else "resume"
        try:
            return name, phase, live_without(machine, victim, away, outcome)
        except Failure as failure:
            end = victim.fate() if victim.process.poll() is not None else "it is there"
            return name, phase, f"WRONG: {failure}; the program: {end}; before: {answer}"


def live_without(machine, victim, away, outcome):
    state = victim.state()
    expect(state in ("running", "suspended"), f"the state is {state}")
    if state == "suspended":
        victim.refused("suspended", "resume", object="first GPU")
        victim.resume("--device", "second GPU")
        outcome += ", suspended, resumed on another"
        node = machine.nodes[1]
    else:
        victim.refused("running", "suspend")
        away.rename(machine.nodes[0])
        outcome += ", runs on, right when it is put back"
        node = machine.nodes[0]
    victim.check("after the device went")
    victim.suspend()
    machine.swap(node)
    victim.resume()
    expect(machine.canary_lives(node), "the canary of the device is dead")
    victim.check("after another suspend and resume")
    victim.quit()
    return outcome


def choose(calls, every):
    """All calls, or of each name and phase the first, the second and the last."""
    places = {}
    for number, name, phase in calls:
        places.setdefault((name, phase), []).append((number, name, phase))
    if every:
        return calls
    return sorted({place for group in places.values() for place in (*group[:2], group[-1])})


def walk(told):
    build, mapping, error = told.build, told.mapping, told.error
    names, suspend = record(build, mapping, told.image)
    calls = [(i + 1, name, "suspend" if i < suspend else "resume") for i, name in enumerate(names)]
    chosen = choose(calls, told.every)
    how = "the device goes" if told.gone else f"error {error}"
    print(f"{len(calls)} calls, {suspend} of them in the suspend; mapping {mapping}, "
          f"{how}, {len(chosen)} walked", flush=True)

    def one(call):
        try:
            if told.gone:
                return call[0], *lose_one(build, mapping, call[0], told.image)
            return call[0], *fail_one(build, mapping, call[0], error, told.image)
        except Failure as failure:
            return *call, f"WRONG: {failure}"
    outcomes = Counter()
    with ThreadPoolExecutor(told.jobs) as pool:
        for number, name, phase, outcome in pool.map(one, chosen):
            print(f"{number:4} {phase:8} {name:36} {outcome}", flush=True)
            outcomes[outcome.split(":")[0]] += 1
    for outcome, count in outcomes.most_common():
        print(f"{count:4} {outcome}")
    # A walk in which no call's failure is felt has made none fail.
    felt = [any(o.startswith(step) for o in outcomes) for step in ("suspend fails", "resume fails")]
    return outcomes["WRONG"] + (not all(felt))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--every", action="store_true", help="each call, not one of each kind")
    parser.add_argument("--mapping", default="copy", choices=("copy", "shared"))
    parser.add_argument("--error", default="-5", help="what the driver answers")
    parser.add_argument("--gone", action="store_true", help="the device goes at that call")
    parser.add_argument("--image", action="store_true", help="contents go to an image file")
    parser.add_argument("--jobs", type=int, default=2)
    return 1 if walk(parser.parse_args()) else 0


if __name__ == "__main__":
    sys.exit(main())
