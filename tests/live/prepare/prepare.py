#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`shadowcl prepare`: after it a move makes programs from binaries, and builds none; what the program
has built again since is not used. A build that fails, a suspend, a fork and the program's end in the
middle. The driver's calls are counted by its log; every buffer is compared."""

import os
import re
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "failure"))
from harness import PATIENCE, Machine, Victim, expect, main  # noqa: E402

NAMES = ("first GPU", "second GPU")
PROGRAMS = 4
STEPS = ("clCreateProgramWithSource", "clCompileProgram", "clLinkProgram")
FIELDS = {"pid", "state", "devices", "programs_built", "programs_there", "warnings", "ms", "error"}


class Place(Machine):
    def __init__(self, build, caps="", **more):
        super().__init__(build, devices=2, names=NAMES, caps=("", caps), **more)
        self.calls = self.work / "calls"

    def set_logged(self, text):
        """These faults until others are set, and the names of the driver's calls from now on."""
        self.calls.unlink(missing_ok=True)
        self.set_faults(f"{text}log {self.calls}\n")

    def wait_for(self, call="clBuildProgram"):
        """After set_logged: until the driver is in one."""
        end = time.monotonic() + PATIENCE
        while not self.calls.exists() or call not in self.calls.read_text():
            expect(time.monotonic() < end, f"no {call} has begun")
            time.sleep(0.01)

    def count(self, act, *faults):
        """What the act returns, and the names of the driver's calls meanwhile."""
        self.set_logged("".join(f"{line}\n" for line in faults))
        result = act()
        self.set_faults("")
        return result, self.calls.read_text().splitlines() if self.calls.exists() else []


class Builder(Victim):
    def __init__(self, machine, *wishes, count=PROGRAMS):
        super().__init__(machine, *wishes, str(count), program="builder")

    def prepare(self, device="second GPU", code=0):
        got, answer = self.machine.shadowcl("prepare", self.pid, "--device", device)
        expect(got == code, f"prepare: exit code {got}, not {code}: {answer}")
        expect(set(answer) == FIELDS, f"the fields are {set(answer)}")
        expect(bool(answer["error"]) == bool(code), f"the error: {answer}")
        return answer

    def in_background(self, device="second GPU", verb="prepare"):
        """A prepare that is in its first build; its answer is in the list in the end."""
        answers = []
        thread = threading.Thread(target=lambda: answers.append(
            self.machine.shadowcl(verb, self.pid, "--device", device)))
        thread.start()
        self.machine.wait_for()
        return thread, answers


def built(answer, count, there=0):
    told = (answer["programs_built"], answer["programs_there"])
    expect(told == (count, there), f"programs built, and there already: {told}, "
                                   f"not {(count, there)}: {answer}")


def from_binaries(names, count, source=0):
    calls = Counter(names)
    how = (calls["clCreateProgramWithBinary"], sum(calls[step] for step in STEPS))
    expect(how == (count, source), f"made from binary and from source: {how}, not {(count, source)}")


def move_builds_nothing(build):
    for mapping in ("copy", "shared"):
        with Place(build, mapping=mapping) as place, Builder(place) as program:
            program.do("check")
            answer, names = place.count(program.prepare)
            built(answer, PROGRAMS)
            expect([d["name"] for d in answer["devices"]] == ["first GPU"], f"it is on {answer}")
            expect(answer["ms"]["total"] > 0 and answer["ms"]["build"] > 0, f"no times: {answer}")
            for call in ("clReleaseMemObject", "clReleaseCommandQueue"):
                expect(call not in names, f"torn down: {call}")
            program.check("after prepare")
            built(program.prepare(), 0, PROGRAMS)
            _, names = place.count(lambda: program.move("second GPU"))
            from_binaries(names, PROGRAMS)
            program.check("on the second")
            _, names = place.count(lambda: (program.suspend(), program.resume()))
            from_binaries(names, PROGRAMS)
            program.check("again on the second")
            built(program.prepare("first GPU"), PROGRAMS)
            program.suspend("--prepare")
            _, names = place.count(lambda: program.resume("--device", "first GPU"))
            from_binaries(names, PROGRAMS)
            program.check("back on the first")
            program.quit()


def move_builds_once(build):
    """Without it too, a move builds before it stops the program."""
    with Place(build) as place, Builder(place) as program:
        for device in ("second GPU", "first GPU"):
            _, names = place.count(lambda: program.move(device))
            # (A linked program has a source, a step that compiles it, and one that links it.)
            from_binaries(names, PROGRAMS, PROGRAMS + 2)
            last = max(i for i, name in enumerate(names) if name in STEPS)
            expect(last < names.index("clReleaseCommandQueue"), "built with the program stopped")
            program.check(f"on the {device}")


def same_device(build):
    with Place(build) as place, Builder(place) as program:
        for _ in range(2):
            answer, names = place.count(lambda: program.prepare("first GPU"))
            built(answer, 0)
            from_binaries(names, 0)
            program.check()
            program.suspend()
            program.resume()


def stale(build):
    """Built again in between, also with other options: by the source, and by nothing else."""
    with Place(build) as place, Builder(place) as program:
        built(program.prepare(), PROGRAMS)
        program.do("rebuild 0 77")
        program.suspend()
        _, names = place.count(lambda: program.resume("--device", "second GPU"))
        from_binaries(names, PROGRAMS - 1, 1)
        program.check("with another factor")
        program.do("rebuild 1 5")
        built(program.prepare("first GPU"), PROGRAMS)
        program.do("rebuild 1 6")
        program.do("rebuild 2 8")
        program.do("rebuild 2 9")
        built(program.prepare("first GPU"), 2, PROGRAMS - 2)
        program.do("rebuild 2 10")
        _, names = place.count(lambda: program.move("first GPU"))
        from_binaries(names, PROGRAMS, 1)
        program.check("on the first")


def goes_meanwhile(build):
    """Programs are built again and released while they are being built for the other device."""
    with Place(build) as place, Builder(place) as program:
        place.set_logged("slow clBuildProgram 400000\n")
        thread, answers = program.in_background()
        program.do("rebuild 0 31")
        program.do("drop 1")
        program.do("fork")
        thread.join()
        place.set_faults("")
        expect(answers[0][0] == 0, f"{answers}")
        program.check()
        program.suspend()
        _, names = place.count(lambda: program.resume("--device", "second GPU"))
        from_binaries(names, PROGRAMS - 2, 1)
        program.check("on the second")
        program.quit()


def failing_build(build):
    with Place(build, caps="nofp64") as place, Builder(place, "doubles") as program:
        answer = program.prepare(code=1)
        built(answer, PROGRAMS - 1)
        error = answer["error"]
        expect(error["object"].startswith("program ") and "second GPU" in error["reason"]
               and error["todo"], f"the error: {error}")
        expect(answer["state"] == "running", f"{answer}")
        program.check("after the failure")
        _, names = place.count(lambda: program.refused(
            "running", "move", "--device", "second GPU", object=error["object"]))
        from_binaries(names, 0, 1)
        program.do("drop 1")
        _, names = place.count(lambda: program.move("second GPU"))
        from_binaries(names, PROGRAMS - 1)
        program.check("without it")


def refusals(build):
    with Place(build, caps="mem=1M") as place, Builder(place) as program:
        for spec in ("no such thing", "7", "0,1"):
            program.refused("running", "prepare", "--device", spec)
        program.suspend()
        program.refused("suspended", "prepare", "--device", "second GPU", reason="not running")
        program.resume()
        place.nodes[1].unlink()
        answer = program.refused("running", "prepare", "--device", "second GPU")
        expect(answer["error"]["todo"], f"{answer}")
        program.check()


def two_at_once(build):
    with Place(build) as place, Builder(place) as program:
        place.set_logged("slow clBuildProgram 700000\n")
        thread, answers = program.in_background()
        for verb in ("prepare", "check"):
            answer = program.refused("running", verb, "--device", "second GPU", reason="already")
            expect(answer["error"]["todo"], f"{answer}")
        thread.join()
        expect(answers[0][0] == 0, f"the first: {answers}")
        built(answers[0][1], PROGRAMS)
        place.set_faults("")
        program.move("second GPU")
        program.check()


def suspend_meanwhile(build):
    """It comes between two programs, and what was built counts."""
    for verb in (("suspend",), ("move", "--device", "second GPU")):
        with Place(build) as place, Builder(place, count=8) as program:
            place.set_logged("slow clBuildProgram 300000\n")
            thread, answers = program.in_background()
            code, answer = place.shadowcl(verb[0], program.pid, *verb[1:])
            expect(code == 0, f"{verb}: {answer}")
            thread.join()
            place.set_faults("")
            code, answer = answers[0]
            expect(code == 1 and "suspend" in answer["error"]["reason"], f"prepare: {answer}")
            expect(0 < answer["programs_built"] < 8, f"prepare: {answer}")
            if verb[0] == "suspend":
                program.resume()
            program.check("after it")
            if verb[0] == "suspend":
                built(program.prepare(), 8 - answer["programs_built"], answer["programs_built"])
                program.move("second GPU")
                program.check("on the second")


def deadline_meanwhile(build):
    """A build that takes too long: no suspend, and nobody has stood still for it."""
    with Place(build) as place, Builder(place) as program:
        place.set_logged("hang clBuildProgram 1\n")
        thread, answers = program.in_background()
        program.refused("running", "suspend", "--deadline", "0.5", reason="being built")
        program.check("while it is built")
        place.set_faults("")
        thread.join()
        # The other threads may have built all others before they were told to stop.
        code, answer = answers[0]
        expect(code == (answer["programs_built"] < PROGRAMS), f"prepare: {answers}")
        program.suspend()
        program.resume("--device", "second GPU")
        program.check("on the second")


def fork_meanwhile(build):
    """It waits for the builds that are going on, and not for those that come after."""
    for verb in ("prepare", "check"):
        with Place(build) as place, Builder(place, count=12) as program:
            place.set_logged("slow clBuildProgram 500000\n")
            thread, answers = program.in_background(verb=verb)
            begin = time.monotonic()
            program.do("fork")
            seconds = time.monotonic() - begin
            expect(thread.is_alive() and not answers, f"{verb} has ended: {answers}")
            thread.join()
            place.set_faults("")
            expect(answers[0][0] == 0, f"{verb}: {answers}")
            expect(seconds < 2.5, f"{verb}: a fork took {seconds} s")
            program.check("after it")
            program.quit()


def check_meanwhile(build):
    """A check whether it can be suspended closes the gate: it does not wait for a build with that
    closed, and does not stop the builds either."""
    with Place(build) as place, Builder(place) as program:
        place.set_logged("slow clBuildProgram 1500000\n")
        thread, answers = program.in_background()
        program.refused("running", "check", reason="already")
        thread.join()
        place.set_faults("")
        expect(answers[0][0] == 0, f"the first: {answers}")
        built(answers[0][1], PROGRAMS)


def end_meanwhile(build):
    with Place(build) as place, Builder(place, count=12) as program:
        place.set_logged("slow clBuildProgram 300000\n")
        thread, _ = program.in_background()
        program.quit()
        thread.join()


# So many builds take two threads a second each: who waited for all of them would wait for more than
# seven. Those that are going on take no more than five, on a busy machine too.
MANY, FEW = 16, 5


def fork_in_a_move(build):
    """It waits for the builds that are going on, and not for those that come after; the move goes
    on."""
    with Place(build) as place, Builder(place, count=MANY) as program:
        place.set_logged("slow clBuildProgram 1000000\n")
        thread, answers = program.in_background(verb="move")
        for _ in range(2):
            begin = time.monotonic()
            program.do("fork")
            seconds = time.monotonic() - begin
            expect(thread.is_alive() and not answers, f"the move has ended: {answers}")
            expect(seconds < FEW, f"a fork took {seconds} s")
        program.refused("running", "suspend", reason="in progress")
        thread.join()
        place.set_faults("")
        expect(answers[0][0] == 0, f"move: {answers}")
        program.check("on the second")
        program.quit()


def end_in_a_move(build):
    """The builds that are going on are the last."""
    with Place(build) as place, Builder(place, count=MANY) as program:
        place.set_logged("slow clBuildProgram 1000000\n")
        thread, _ = program.in_background(verb="move")
        begin = time.monotonic()
        program.quit()
        seconds = time.monotonic() - begin
        expect(seconds < FEW, f"the end took {seconds} s")
        thread.join()


def end_on_any_thread(build):
    """In builds in which the compiler registers what is to be done at the end: that must not be done
    before they have ended, whichever thread ends the program."""
    for word in ("leave", "quit"):
        with Place(build) as place, Builder(place, count=12) as program:
            place.set_logged("handler clBuildProgram 1\nslow clBuildProgram 400000\n")
            thread, _ = program.in_background()
            program.say(word)
            code = program.process.wait(30)
            expect(code == 0, f"{word}: its end is {code}")
            thread.join()


def end_in_a_request(build):
    """In a suspend that asks for binaries, and in a resume that builds: it waits for the driver's call,
    and its exit handlers have not run before."""
    for verb, call in (("suspend", "clGetProgramInfo"), ("resume", "clBuildProgram")):
        for word, *wishes in (("leave",), ("quit",), ("quit", "aside")):
            with Place(build) as place, Builder(place, *wishes, count=6) as program:
                if verb == "resume":
                    program.suspend()
                place.set_logged(f"handler {call} 1\nslow {call} 100000\n")
                thread = threading.Thread(target=place.shadowcl, args=(verb, program.pid))
                thread.start()
                place.wait_for(call)
                program.say(word)
                code = program.process.wait(30)
                expect(code == 0, f"{word} {wishes} in a {verb}: its end is {code}")
                thread.join()


def driver_ends_the_program(build):
    """By `exit`, in a call of ours: then nothing is waited for. (Not in one of several builds at
    once: the others are at work while its exit handlers run, as they would be in the program's own.)"""
    for verb, call in (("suspend", "clGetProgramInfo"), ("resume", "clCreateContext"),
                       ("prepare", "clGetDeviceInfo"), ("move", "clGetDeviceInfo")):
        with Place(build) as place, Builder(place) as program:
            if verb == "resume":
                program.suspend()
            place.set_logged(f"exit {call} 1\n")
            begin = time.monotonic()
            device = ["--device", "second GPU"] if verb in ("prepare", "move") else []
            code, answer = place.shadowcl(verb, program.pid, *device)
            seconds = time.monotonic() - begin
            expect(code == 1 and answer["state"] == "gone", f"{verb}: exit code {code}: {answer}")
            expect(program.process.wait(30) == 1, f"{verb}: its end is {program.process.returncode}")
            expect(seconds < 30, f"{verb}: it took {seconds} s")  # a call is given up after 60


def builds_in_a_fresh_instance(build):
    """Of a driver that stays loaded: in a namespace of its own, with a C library of its own, where
    the program's threads are not known."""
    with Place(build, variant="sticky") as place, Builder(place) as program:
        for factor in (77, 78):
            program.suspend()
            program.resume()
            program.do(f"rebuild 0 {factor}")
            program.check("built by the program's own thread")
        program.quit()


def at_once():
    """How many programs a resume builds at a time."""
    return min(os.sysconf("SC_NPROCESSORS_ONLN"), 8)


def built_by_resume(place):
    """What the log says of the last one: how many programs, and how many at a time."""
    found = re.findall(r"builds: (\d+) programs, (\d+) at once", place.log.read_text())
    return tuple(map(int, found[-1])) if found else None


def resume_builds_at_once(build):
    """Compiled and linked ones among them: all are what they were, and tell what they told."""
    count, slow = 8, 1500  # ms, beside which a busy machine's own time is little
    times = []
    for mapping in ("copy", "shared"):
        with Place(build, mapping=mapping) as place, Builder(place, count=count) as program:
            for number in range(2):
                device = NAMES[1 - number]
                for i in range(count - 1):
                    program.do(f"rebuild {i} {number * 20 + i + 2}")
                program.check()
                program.suspend()
                answer, names = place.count(lambda: program.resume("--device", device),
                                            f"slow clBuildProgram {slow * 1000}")
                # (A linked program has a source, a step that compiles it, and one that links it.)
                from_binaries(names, 0, count + 2)
                told = built_by_resume(place)
                expect(told == (count, at_once()) or at_once() == 1, f"{told} were built at once")
                times.append(answer["ms"]["rebuild"])
                program.do("told")
                program.check(f"on the {device}")
            program.quit()
    if at_once() > 1:
        expect(min(times) < (count - 1) * slow, f"no two were built at once: {times}")


def resume_build_fails(build):
    """Any of them, while others are being built: it stays suspended, and can be resumed."""
    with Place(build) as place, Builder(place, count=6) as program:
        for call, number in (("clBuildProgram", 1), ("clBuildProgram", 4), ("clCompileProgram", 1),
                             ("clLinkProgram", 1), ("clCreateProgramWithSource", 3)):
            program.suspend()
            place.set_faults(f"fail {call} {number} -5\n")
            answer = program.refused("suspended", "resume", "--device", "second GPU",
                                     object="program ")
            expect("-5" in answer["error"]["reason"], f"{answer}")
            place.set_faults("")
            program.resume()
            program.do("told")
            program.check(f"after a failed {call}")
        program.move("second GPU")
        program.check("on the second")
        program.quit()


def resume_build_hangs(build):
    """One, or two at once: all end, the instance is given up, and the next one builds them."""
    def hang(count):
        with Place(build, environment={"SHADOWCL_CALL_PATIENCE": "1"}) as place:
            with Builder(place, count=6) as program:
                program.suspend()
                place.set_faults("".join(f"hang clBuildProgram {i + 1}\n" for i in range(count)))
                program.refused("suspended", "resume", "--device", "second GPU", object="program ",
                                reason="has not come back")
                place.set_faults("")
                program.resume("--device", "second GPU")
                program.do("told")
                program.check(f"after {count} that hung")
                program.suspend()
                program.resume("--device", "first GPU")
                program.check("back on the first")
                program.quit()
    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(hang, count) for count in (1, 2)]:
            done.result()


def chosen(names):
    """Of each name the first, the second and the last."""
    places = {}
    for number, name in enumerate(names, 1):
        places.setdefault(name, []).append(number)
    return sorted({number for group in places.values() for number in (*group[:2], group[-1])})


def each_call_fails(build):
    """In turn, in a prepare: the program runs on, and moves."""
    with Place(build) as place, Builder(place, count=2) as program:
        _, names = place.count(program.prepare)
        outcomes = Counter()
        for number in chosen(names):
            on, other = NAMES if number % 2 else NAMES[::-1]
            program.do(f"rebuild 0 {number + 2}")
            place.set_faults(f"fail * {number} -5\n")
            code, answer = place.shadowcl("prepare", program.pid, "--device", other)
            place.set_faults("")
            expect(answer["state"] == "running", f"{names[number - 1]}: {answer}")
            expect(code == 0 or answer["error"]["reason"] and answer["error"]["todo"],
                   f"{names[number - 1]}: {answer}")
            outcomes[code] += 1
            program.check(f"call {number} failed, on the {on}")
            program.suspend()
            program.resume("--device", other)
            program.check(f"call {number} failed, moved to the {other}")
        expect(outcomes[0] and outcomes[1], f"some are felt, others not: {outcomes}")
        program.quit()


def resident(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmRSS"))


def released(build):
    """With the program goes what was made for it, also after it was built again."""
    if os.environ.get("TEST_SANITIZED"):
        print("skipped: a sanitizer keeps what was freed")
        return
    count, size = 8, 3 << 20  # each binary has a constant of 4 MiB
    # What is freed then goes back at once.
    settings = {"MALLOC_MMAP_THRESHOLD_": "1000000"}
    with Place(build, environment=settings) as place, Builder(place, "large", count=count) as program:
        def rebuild(factor):
            for i in range(count - 1):  # (the last one is linked)
                program.do(f"rebuild {i} {factor + i}")
        program.prepare()  # what the compiler takes for itself, it has now
        rebuild(20)
        before = resident(program.pid)
        built(program.prepare(), count - 1, 1)
        kept = resident(program.pid) - before
        expect(kept > (count - 1) * size, f"only {kept} bytes are kept")
        rebuild(40)
        left = resident(program.pid) - before
        expect(left < kept // 2, f"of {kept} bytes {left} are left after builds")
        program.check()
        program.prepare()
        for i in range(count):
            program.do(f"drop {i}")
        left = resident(program.pid) - before
        expect(left < kept // 2, f"of {kept} bytes {left} are left after the releases")
        program.check()


TESTS = (move_builds_nothing, move_builds_once, same_device, stale, goes_meanwhile, failing_build,
         refusals, two_at_once, suspend_meanwhile, deadline_meanwhile, fork_meanwhile,
         check_meanwhile, end_meanwhile, fork_in_a_move, end_in_a_move, end_on_any_thread,
         end_in_a_request, driver_ends_the_program,
         builds_in_a_fresh_instance, resume_builds_at_once, resume_build_fails, resume_build_hangs,
         each_call_fails, released)


if __name__ == "__main__":
    sys.exit(main(TESTS))
