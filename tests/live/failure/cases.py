#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Ways in which a suspend or a resume fails from outside: devices that go, drivers that hang, are
missing or don't let go, memory that is short. The program must run on, or be resumed, with the
right contents."""

import argparse
import os
import signal
import struct
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness import Failure, Machine, Victim, expect, run_all

WISHES = ("images", "outoforder")
BALLAST = 256 << 20
BEYOND_1_2 = {"clCreateCommandQueueWithProperties", "clCreateSamplerWithProperties",
              "clGetDeviceAndHostTimer", "clCreateProgramWithIL", "clCreateBufferWithProperties",
              "clCreateImageWithProperties", "clSetKernelExecInfo"}
TWO = {"devices": 2, "names": ("first GPU", "second GPU")}


def cycle(machine, victim, node=0):
    """A suspend with nothing left behind, another device in its place, a resume."""
    victim.suspend()
    expect(not victim.held(machine.nodes[node]), f"held: {victim.held(machine.nodes[node])}")
    machine.swap(machine.nodes[node])
    victim.resume()
    expect(machine.canary_lives(machine.nodes[node]), "the canary of the device is dead")
    victim.check("after a suspend and resume")


def many_replugs(build):
    with Machine(build) as machine, Victim(machine, *WISHES) as victim:
        for _ in range(10):
            cycle(machine, victim)
        victim.quit()


def gone_for_good(build):
    with Machine(build) as machine, Victim(machine, *WISHES) as victim:
        victim.suspend()
        machine.nodes[0].unlink()
        for _ in range(2):
            victim.refused("suspended", "resume", object="shadowcl test GPU")
        machine.plug(machine.nodes[0])
        victim.resume()
        victim.check("the device was put back")
        cycle(machine, victim)


def gone_so_elsewhere(build):
    with Machine(build, **TWO) as machine, Victim(machine, *WISHES) as victim:
        victim.suspend()
        machine.nodes[0].unlink()
        victim.refused("suspended", "resume", object="first GPU")
        victim.resume("--device", "second GPU")
        victim.check("on the second device")
        cycle(machine, victim, node=1)


def other_device_gone(build):
    """The first device is not used, and its going changes the numbers of those that stay."""
    with Machine(build, **TWO) as machine, Victim(machine, *WISHES) as victim:
        victim.move("second GPU")
        victim.check("on the second device")
        victim.suspend()
        machine.nodes[0].unlink()
        machine.swap(machine.nodes[1])
        victim.resume()
        expect(machine.canary_lives(machine.nodes[1]), "the canary of the device is dead")
        victim.check("with the first device gone")


def gone_while_released(build):
    """The device goes when the driver is just to let go, which then keeps what is mapped, and the
    node under another name: it is known by that it is the same file, and taken."""
    with Machine(build, mapping="shared", **TWO) as machine, Victim(machine, *WISHES) as victim:
        cycle(machine, victim)
        node, calls = machine.nodes[0], machine.work / "calls"
        away = node.with_name("gpu0-away")
        machine.set_faults(f"hang clReleaseKernel 1\nlog {calls}\n")
        with ThreadPoolExecutor(1) as pool:
            suspended = pool.submit(victim.suspend)
            text = wait_for_calls(calls, lambda text: text.endswith("clReleaseKernel\n"))
            node.rename(away)
            away.unlink()
            machine.set_faults("")
            suspended.result()
        expect("clReleaseKernel" in text, f"nothing is released: {text}")
        expect(not victim.held(node), f"held: {victim.held(node)}")
        victim.refused("suspended", "resume", object="first GPU")
        victim.resume("--device", "second GPU")
        victim.check("on the second device")
        cycle(machine, victim, node=1)
        victim.quit()


def gone_while_running(build):
    """What was on it can't be had: the suspend is refused. It comes back with its contents."""
    with Machine(build) as machine, Victim(machine, *WISHES) as victim:
        away = machine.nodes[0].with_name("away")
        machine.nodes[0].rename(away)
        victim.refused("running", "suspend")
        away.rename(machine.nodes[0])
        victim.check("the device is back")
        cycle(machine, victim)


def kernel_past_deadline(build):
    with Machine(build) as machine, Victim(machine, *WISHES) as victim:
        victim.do("step")
        machine.set_faults("stall 1\n")
        victim.do("start")
        start = time.monotonic()
        victim.refused("running", "suspend", "--deadline", "0.5", object="queue",
                       reason="its commands are still running at the deadline")
        expect(time.monotonic() - start < 5, "the deadline was not kept")
        machine.set_faults("")
        victim.do("join")
        victim.check("after the deadline")
        cycle(machine, victim)


def call_past_deadline(build):
    with Machine(build) as machine, Victim(machine, *WISHES) as victim:
        machine.set_faults("hang clFinish 1\n")
        victim.say("join")
        time.sleep(0.2)
        victim.refused("running", "suspend", "--deadline", "0.5", object="thread",
                       reason="it is still inside `clFinish` at the deadline")
        machine.set_faults("")
        expect((said := victim.line()) == "ok", f"join: {said}")
        victim.check("after the deadline")
        cycle(machine, victim)


def flush_past_deadline(build):
    """A driver may flush only once somebody's wait for that queue has ended."""
    with Machine(build) as machine, Victim(machine, *WISHES) as victim:
        machine.set_faults("hang clFinish 1\nhang clFlush 1\n")
        victim.say("join")
        time.sleep(0.2)
        start = time.monotonic()
        victim.refused("running", "suspend", "--deadline", "0.5", object="thread",
                       reason="at the deadline")
        expect(time.monotonic() - start < 5, "the flush was waited for")
        machine.set_faults("")
        expect((said := victim.line()) == "ok", f"join: {said}")
        victim.check("after the deadline")
        cycle(machine, victim)


def hang(machine, victim, call, verb, state, *arguments):
    """A driver's call that hangs in our own hands can't be interrupted: the verb is late, meanwhile
    the state can be seen and other requests are refused, and nothing is lost."""
    machine.set_faults(f"hang {call} 1\n")
    command = [machine.build / "bin/shadowcl", verb, *arguments, str(victim.pid)]
    with subprocess.Popen(command, env=machine.environment, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as late:
        time.sleep(2)
        start = time.monotonic()
        seen = victim.state()
        expect(seen == state, f"{call} hangs: the state is {seen}, not {state}")
        for second in ("suspend", "resume"):
            victim.refused(state, second, reason="in progress")
        expect(time.monotonic() - start < 5, f"{call} hangs, and so do other requests")
        expect(late.poll() is None, f"{verb} has ended though {call} hangs")
        machine.set_faults("")
        late.wait(30)


def capture_hangs(build):
    with Machine(build, mapping="copy") as machine, Victim(machine, *WISHES) as victim:
        for call in ("clGetProgramInfo", "clEnqueueReadBuffer", "clEnqueueReadImage",
                     "clReleaseMemObject", "clEnqueueMarkerWithWaitList"):
            state = "draining" if "Marker" in call else "capturing"
            hang(machine, victim, call, "suspend", state, "--deadline", "1")
            if victim.state() == "suspended":
                victim.resume()
            victim.check(f"after {call} has hung")
        cycle(machine, victim)


def suspend_to_image(machine, victim, *arguments):
    victim.suspend("--image", machine.work / "image", *arguments)


def wait_until_up(machine, victim):
    """Of a resume with --lazy."""
    end = time.monotonic() + 30
    while machine.shadowcl("ps")[1]["owed_bytes"]:
        expect(time.monotonic() < end, "contents are still owed")
        time.sleep(0.05)


def copy_up_fails_later(build):
    """A copy is taken by the driver, and fails when it is carried out: only its event tells."""
    with Machine(build, mapping="copy") as machine, Victim(machine, *WISHES) as victim:
        for call, number in (("clEnqueueWriteBuffer", 1), ("clEnqueueWriteBuffer", 5),
                             ("clEnqueueWriteImage", 1)):
            victim.suspend()
            machine.set_faults(f"spoil {call} {number} -5\n")
            victim.refused("suspended", "resume", reason="copying its contents failed (-5)")
            victim.resume()
            victim.check(f"resumed again, {call} had failed")
        for number in (1, 3):
            suspend_to_image(machine, victim)
            machine.set_faults(f"spoil clEnqueueWriteBuffer {number} -5\n")
            victim.refused("suspended", "resume", reason="copying its contents failed (-5)")
            victim.resume()
            victim.check("resumed again from a file")
        cycle(machine, victim)


def copy_up_fails_behind_the_program(build):
    """The shim's thread tries again, and frees what it had contents in."""
    with Machine(build, mapping="copy") as machine, Victim(machine, "ballast=0x2000000") as victim:
        victim.check("before")
        before = 0
        for spoiled in (0, 1, 2):
            victim.suspend()
            resume_spoiled(machine, victim, spoiled)
            wait_until_up(machine, victim)
            victim.check("all is up")
            before = before or resident(victim.pid)
        end = time.monotonic() + 10
        while resident(victim.pid) > before + (8 << 20):
            expect(time.monotonic() < end, f"staging memory is kept: {resident(victim.pid)} bytes "
                                           f"resident, {before} before")
            time.sleep(0.05)


def resume_spoiled(machine, victim, number):
    """The so-manyth copy fails of those that can wait; before them come those that can't, whose
    failure is the resume's. 0: none."""
    for put_off in range(number, number + 20):
        machine.set_faults(f"spoil clEnqueueWriteBuffer {put_off} -5\n" if number else "")
        code, answer = machine.shadowcl("resume", victim.pid, "--lazy")
        if code == 0:
            return
        expect(answer["state"] == "suspended" and "(-5)" in answer["error"]["reason"], answer)
    expect(False, "no resume is done")


def resident(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("RssAnon"))


def copy_down_fails_later(build):
    with Machine(build, mapping="copy") as machine, Victim(machine, *WISHES) as victim:
        for call in ("clEnqueueReadBuffer", "clEnqueueReadImage"):
            victim.do("step")
            machine.set_faults(f"spoil {call} 1 -5\n")
            victim.refused("running", "suspend", reason="failed (-5)")
            victim.check(f"after {call} had failed")
        machine.set_faults("spoil clEnqueueReadBuffer 1 -5\n")
        victim.refused("running", "suspend", "--image", machine.work / "image",
                       reason="failed (-5)")
        victim.check("not suspended to a file")
        victim.do("step")
        machine.set_faults("spoil clEnqueueReadBuffer 1 -5\n")
        answer = victim.suspend("--prepare")
        expect("copied beforehand" in " ".join(answer["warnings"]), f"no warning: {answer}")
        victim.resume()
        victim.check("a copy beforehand had failed")
        cycle(machine, victim)


def copy_never_ends(build):
    """After a while the program runs on, or stays suspended, and all can be tried again."""
    late = "not come to an end with copying its contents in 2 s"
    with Machine(build, mapping="copy", environment={"SHADOWCL_COPY_PATIENCE": "2"}) as machine, \
            Victim(machine, *WISHES) as victim:
        for words in ((), ("--image", machine.work / "image"), ("--prepare",)):
            victim.do("step")
            machine.set_faults("spoil clEnqueueReadBuffer 1 2\nspoil clEnqueueReadBuffer 2 2\n")
            start = time.monotonic()
            victim.refused("running", "suspend", *words,
                           reason="the driver hangs" if "--prepare" in words else late)
            expect(time.monotonic() - start < 15, "it waits for one after the other")
            machine.set_faults("")
            victim.check("the driver did not copy")
            cycle(machine, victim)
        victim.suspend()
        machine.set_faults("spoil clEnqueueWriteBuffer 2 2\n")
        victim.refused("suspended", "resume", reason=late)
        machine.set_faults("")
        victim.resume()
        victim.check("the driver did not copy up")
        cycle(machine, victim)


def wait_for_calls(calls, truth):
    """Until it is true of the text of the log of calls, which is the answer."""
    for _ in range(1000):
        text = calls.read_text() if calls.exists() else ""
        if truth(text):
            break
        time.sleep(0.01)
    return text


def copies_are_waited_for(text):
    return "clEnqueueRead" in text and text.endswith("clGetEventInfo\n" * 3)


def copy_down_outlives_the_device(build):
    """The device is gone before copies have ended: that can't be asked for any more, and they come
    late, when the suspend has failed and what it had set aside is given back."""
    with Machine(build, mapping="copy") as machine, Victim(machine, *WISHES) as victim:
        for words in ((), ("--image", machine.work / "image"), ("--prepare",)):
            victim.do("step")
            calls, node = machine.work / "calls", machine.nodes[0]
            calls.unlink(missing_ok=True)
            machine.set_faults(f"stall 2\nlog {calls}\n")
            with ThreadPoolExecutor(1) as pool:
                refused = pool.submit(victim.refused, "running", "suspend", *words)
                text = wait_for_calls(calls, copies_are_waited_for)
                expect(copies_are_waited_for(text), f"no copy is waited for: {text.split()[-40:]}")
                node.rename(node.with_name("away"))
                refused.result()
            machine.set_faults("")
            time.sleep(0.3)
            node.with_name("away").rename(node)
            victim.check("the copies came late")
            cycle(machine, victim)


def contents_go_up_while_programs_are_built(build):
    """The driver copies nothing until a build has come: who waited for copies first would hang."""
    with Machine(build, mapping="copy", **TWO) as machine, Victim(machine, *WISHES) as victim:
        victim.do("step")
        victim.suspend()
        calls = machine.work / "calls"
        machine.set_faults(f"stall 2\nlog {calls}\n")
        with ThreadPoolExecutor(1) as pool:
            resumed = pool.submit(victim.resume, "--device", "second GPU")
            done = wait_for_calls(calls, lambda text: "clBuildProgram" in text).split()
            machine.set_faults("")
            resumed.result()
        expect("clBuildProgram" in done, f"nothing is built: {done}")
        expect("clEnqueueWriteBuffer" in done[:done.index("clBuildProgram")],
               f"it is built before contents go up: {done}")
        victim.check("built while contents went up")


def prepared_for_a_file(build):
    """What was copied beforehand is in the file in the end, and in memory no more."""
    with Machine(build, mapping="copy") as machine, \
            Victim(machine, "ballast=0x2000000", *WISHES) as victim:
        victim.do("step")
        before = resident(victim.pid)
        suspend_to_image(machine, victim, "--prepare")
        if not os.environ.get("TEST_SANITIZED"):  # which keeps freed memory back
            expect(resident(victim.pid) < before + (8 << 20),
                   f"{resident(victim.pid)} bytes resident, {before} before")
        victim.resume()
        victim.check("resumed from a file")
        cycle(machine, victim)


def first_data(image):
    """Where the first chunk of contents ends in the file (docs/image-format.md)."""
    data = image.read_bytes()
    at = struct.unpack_from("<I", data, 12)[0]
    while True:
        mark, kind, _, length = struct.unpack_from("<4sHHQ", data, at)
        expect(mark == b"RCRD", f"no record at {at}")
        if kind == 3:
            return at, at + 32 + length
        at += 32 + length


def write_over(image, data, at=0):
    """In place: the process has the file open."""
    with open(image, "r+b") as file:
        file.seek(at)
        file.write(data)
        if not at:
            file.truncate()


def damaged_while_suspended(build):
    """A byte of the file is another one: it says where, is still suspended, and resumes once that
    is put right."""
    with Machine(build, mapping="copy") as machine, Victim(machine, *WISHES) as victim:
        victim.do("step")
        image = machine.work / "image"
        suspend_to_image(machine, victim, "--compress", "off")
        start, end = first_data(image)
        whole = image.read_bytes()
        for at, offset in ((end - 1, start), (start + 8, start)):
            write_over(image, bytes([whole[at] ^ 0x20]), at)
            for words in ((), ("--lazy",)):
                victim.refused("suspended", "resume", *words, object=f"offset {offset}")
            write_over(image, whole[at:at + 1], at)
        with open(image, "r+b") as file:
            file.truncate(start + 40)
        victim.refused("suspended", "resume", object="offset")
        write_over(image, whole)
        victim.resume()
        victim.check("the file was repaired")
        cycle(machine, victim)


def other_image_while_suspended(build):
    """Somebody has saved another process into the file: it says whose that is."""
    with Machine(build, mapping="copy") as machine, Victim(machine, *WISHES) as other:
        image, others = machine.work / "image", machine.work / "others"
        code, answer = machine.shadowcl("save", other.pid, others)
        expect(code == 0, f"save: {answer}")
        other.quit()
        with Victim(machine, *WISHES) as victim:
            victim.do("step")
            suspend_to_image(machine, victim)
            whole = image.read_bytes()
            write_over(image, others.read_bytes())
            answer = victim.refused("suspended", "resume", reason="another image")
            expect(f"of process {other.pid} `" in answer["error"]["reason"] and
                   "victim" in answer["error"]["reason"], answer)
            write_over(image, whole)
            victim.resume()
            victim.check("its own file was put back")
            cycle(machine, victim)


def reuse_numbers(victim):
    """The program closes all descriptors, our socket among them: there is another soon."""
    victim.do("reuse")
    deadline = time.monotonic() + 20
    while True:
        try:
            if victim.state() == "suspended":
                return
        except Failure:
            pass
        expect(time.monotonic() < deadline, "it can't be spoken to any more")
        time.sleep(0.1)


def image_closed_while_suspended(build):
    """By the program, whose file has the number then: that one is left alone, and the resume says why
    it can't be."""
    with Machine(build, mapping="copy") as machine:
        (machine.work / "data").touch()
        with Victim(machine, *WISHES, f"other={machine.work / 'data'}") as victim:
            suspend_to_image(machine, victim)
            reuse_numbers(victim)
            for _ in range(2):
                victim.refused("suspended", "resume", reason="has closed the image file")
                victim.do("files")


def child_of_a_suspended_one(build):
    """Forked while suspended: with contents in a file it can't be resumed, and says why; the file is
    its parent's."""
    with Machine(build, mapping="copy") as machine, Victim(machine, *WISHES) as victim:
        victim.do("step")
        suspend_to_image(machine, victim)
        victim.do("fork")
        children = Path(f"/proc/{victim.pid}/task/{victim.pid}/children")
        child = int(children.read_text().split()[0])
        try:
            deadline = time.monotonic() + 20
            while not any((machine.work / "run").glob(f"{child}-*.sock")):
                expect(time.monotonic() < deadline, "the child has no socket")
                time.sleep(0.05)
            code, answer = machine.shadowcl("resume", child)
            error = answer["error"]
            expect(code == 1 and answer["state"] == "suspended", f"resume of the child: {answer}")
            expect("forked from" in error["reason"] and "that process" in error["todo"], error)
        finally:
            os.kill(child, signal.SIGKILL)
        victim.resume()
        victim.check("the parent, after its child has tried")
        cycle(machine, victim)


def peak(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM"))


def peak_of(victim, *arguments):
    """How much more than before it has had, at the most, in a suspend and a resume."""
    with open(f"/proc/{victim.pid}/clear_refs", "w") as refs:
        refs.write("5")  # the peak is what it has now
    before = peak(victim.pid)
    victim.suspend(*arguments)
    victim.resume()
    return peak(victim.pid) - before


def little_memory_for_a_file(build):
    """Contents of 256 MiB go to a file and come back by way of little memory, where a suspend to
    memory needs it all."""
    with Machine(build, mapping="copy", drivers="libpocl.so.2") as machine, \
            Victim(machine, f"ballast={BALLAST:#x}") as victim:
        victim.do("step")
        cycle_of_driver(victim)  # what it needs once
        image = machine.work / "image"
        for words in (("--image", image), ("--image", image, "--compress", "zstd")):
            more = peak_of(victim, *words)
            expect(more <= 64 << 20, f"{words[2:]}: {more >> 20} MiB more than before")
        more = peak_of(victim)
        expect(more > BALLAST // 2, f"to memory it takes only {more >> 20} MiB more: what is "
                                    "measured tells nothing")
        victim.check("after suspends and resumes")


def cycle_of_driver(victim):
    victim.suspend()
    victim.resume()
    victim.check("after a suspend and resume")


def released_while_written(build):
    """Buffers that the program lets go while their contents are on the way to a file: what is in the
    file belongs together."""
    for mapping in ("copy", "shared"):
        with Machine(build, mapping=mapping) as machine:
            image = machine.work / "image"
            for verb, words in (("save", [image]), ("suspend", ["--image", image])):
                with Victim(machine, program="releaser") as victim:
                    machine.set_faults("slow clEnqueueReadBuffer 3000\n")
                    victim.do("go")
                    code, answer = machine.shadowcl(verb, victim.pid, *words)
                    expect(code == 0 and not answer["error"], f"{verb}: {code} {answer}")
                    machine.set_faults("")
                    code, answer = machine.shadowcl("verify", image)
                    expect(code == 0 and answer["whole"], f"{mapping}, {verb}: {answer}")
                    if verb == "suspend":
                        victim.resume()
                    victim.check(f"{mapping}, {verb}")


def rebuild_hangs(build):
    with Machine(build, mapping="copy") as machine, Victim(machine, *WISHES) as victim:
        for call in ("load", "clCreateContext", "clCreateBuffer", "clBuildProgram",
                     "clEnqueueWriteBuffer", "clGetEventInfo"):
            victim.suspend()
            hang(machine, victim, call, "resume", "rebuilding")
            expect(victim.state() == "running", "not running after the hang")
            victim.check(f"after {call} has hung")
        cycle(machine, victim)


# With less a busy machine's calls are given up.
IMPATIENT = {"SHADOWCL_CALL_PATIENCE": "4"}
RELEASES = ("clReleaseContext", "clReleaseCommandQueue", "clReleaseMemObject", "clReleaseProgram",
            "clReleaseKernel")
REBUILDS = ("load", "clGetDeviceIDs", "clCreateContext", "clCreateBuffer", "clBuildProgram",
            "clEnqueueWriteBuffer", "clGetEventInfo", "clReleaseCommandQueue")


def suspend_stuck(machine, victim, fault, what="a call in 4 s", stays=False):
    """A call never comes back when the driver is let go: the suspend is done all the same, and the
    device can be unplugged."""
    machine.set_faults(fault)
    start = time.monotonic()
    answer = victim.suspend()
    expect(time.monotonic() - start < 50, f"{fault}: the call was waited for")
    expect(f"has not come back from {what}" in " ".join(answer["warnings"]),
           f"{fault}: no warning: {answer}")
    expect(not victim.held(machine.nodes[0]), f"{fault}: held: {victim.held(machine.nodes[0])}")
    if not stays:
        machine.set_faults("")


def resume_stuck(machine, victim, fault, what="a call", stays=False):
    """A call never comes back when all is made again: it stays suspended, and holds nothing."""
    machine.set_faults(fault)
    start = time.monotonic()
    victim.refused("suspended", "resume", reason=f"has not come back from {what}")
    expect(time.monotonic() - start < 50, f"{fault}: the call was waited for")
    expect(not victim.held(machine.nodes[0]), f"{fault}: held: {victim.held(machine.nodes[0])}")
    if not stays:
        machine.set_faults("")


def come_back(machine, victim, when):
    """On a device that was swapped meanwhile."""
    machine.swap(machine.nodes[0])
    victim.resume()
    expect(machine.canary_lives(machine.nodes[0]), "the canary of the device is dead")
    victim.check(when)


def left_alone(machine, victim, fault, *words, verb="suspend"):
    """A call never comes back while the device is still to be used: the program runs on with it, and
    is not suspended until the call has come back after all."""
    machine.set_faults(fault)
    start = time.monotonic()
    victim.refused("running", verb, *words, reason="has not come back from a call in 4 s")
    expect(time.monotonic() - start < 50, f"{fault}: the call was waited for")
    victim.check(f"{fault}: while the call has not come back")
    start = time.monotonic()
    victim.refused("running", "suspend", reason="is in it yet")
    expect(time.monotonic() - start < 2, f"{fault}: the second suspend is not refused at once")
    machine.set_faults("")
    suspend_at_last(victim)
    expect(not victim.held(machine.nodes[0]), f"{fault}: held: {victim.held(machine.nodes[0])}")
    come_back(machine, victim, f"{fault}: after the call has come back")


def suspend_at_last(victim):
    """The call is about to come back."""
    end = time.monotonic() + 20
    while True:
        code, answer = victim.machine.shadowcl("suspend", victim.pid)
        if code == 0:
            return
        expect("is in it yet" in answer["error"]["reason"], answer)
        expect(time.monotonic() < end, "the call that was let go has not come back")
        time.sleep(0.05)


def drain_never_returns(build):
    with Machine(build, mapping="copy", environment=IMPATIENT) as machine, \
            Victim(machine, *WISHES) as victim:
        for call in ("clEnqueueMarkerWithWaitList 2", "clFlush 1", "clGetEventInfo 1",
                     "clReleaseEvent 1"):
            left_alone(machine, victim, f"hang {call}\n")
        victim.quit()


def capture_never_returns(build):
    for mapping, calls in (("copy", ("clGetProgramInfo 2", "clGetDeviceInfo 1",
                                     "clCreateCommandQueueWithProperties 1",
                                     "clEnqueueReadBuffer 2", "clEnqueueReadImage 1")),
                           ("shared", ("clEnqueueMapBuffer 1", "clEnqueueUnmapMemObject 2"))):
        with Machine(build, mapping=mapping, environment=IMPATIENT) as machine, \
                Victim(machine, *WISHES) as victim:
            for call in calls:
                left_alone(machine, victim, f"hang {call}\n")
            victim.quit()


def copy_to_a_file_never_returns(build):
    with Machine(build, mapping="copy", environment=IMPATIENT) as machine, \
            Victim(machine, *WISHES) as victim:
        image = machine.work / "image"
        left_alone(machine, victim, "hang clEnqueueReadBuffer 2\n", "--image", image)
        left_alone(machine, victim, "hang clEnqueueReadImage 1\n", image, verb="save")
        victim.quit()


def copy_beforehand_never_returns(build):
    """The program runs meanwhile."""
    with Machine(build, mapping="copy", environment=IMPATIENT) as machine, \
            Victim(machine, *WISHES) as victim:
        for call in ("clEnqueueMarkerWithWaitList 1", "clCreateCommandQueueWithProperties 1",
                     "clEnqueueReadBuffer 1"):
            left_alone(machine, victim, f"hang {call}\n", "--prepare")
        left_alone(machine, victim, "hang clEnqueueReadBuffer 1\n", "--prepare", "--image",
                   machine.work / "image")
        victim.quit()


def copy_behind_the_program_never_returns(build):
    """A suspend meanwhile waits no longer than it is told to."""
    with Machine(build, mapping="copy", environment=IMPATIENT) as machine, \
            Victim(machine, "ballast=0x2000000") as victim:
        victim.check("before")
        victim.suspend()
        calls = machine.work / "calls"
        machine.set_faults("slow clEnqueueWriteBuffer 500000\n")
        victim.resume("--lazy")
        machine.set_faults(f"hang clEnqueueWriteBuffer 1\nlog {calls}\n")
        text = wait_for_calls(calls, lambda text: "clEnqueueWriteBuffer" in text)
        expect("clEnqueueWriteBuffer" in text, f"nothing goes up: {text}")
        start = time.monotonic()
        victim.refused("running", "suspend", "--deadline", "1", object="behind the program",
                       reason="at the deadline")
        expect(time.monotonic() - start < 5, "the deadline was not kept")
        machine.set_faults("")
        victim.check("while contents go up")
        wait_until_up(machine, victim)
        cycle(machine, victim)
        victim.quit()


def release_never_returns(build):
    for mapping, calls in (("copy", RELEASES), ("shared", RELEASES[:3])):
        for call in calls:
            with Machine(build, mapping=mapping, environment=IMPATIENT) as machine, \
                    Victim(machine, *WISHES) as victim:
                cycle(machine, victim)  # a first capture makes and releases kernels of its own
                suspend_stuck(machine, victim, f"hang {call} 1\n")
                come_back(machine, victim, f"{mapping}: {call} had not come back")
                cycle(machine, victim)
                victim.quit()


def rebuild_never_returns(build):
    for call in REBUILDS:
        with Machine(build, mapping="copy", environment=IMPATIENT) as machine, \
                Victim(machine, *WISHES) as victim:
            victim.do("step")
            victim.suspend()
            resume_stuck(machine, victim, f"hang {call} 1\n")
            come_back(machine, victim, f"{call} had not come back")
            cycle(machine, victim)
            victim.quit()


def is_in_it_yet(machine, victim, state, verb, *words):
    """At once: nothing can be loaded now."""
    start = time.monotonic()
    victim.refused(state, verb, *words, object=str(machine.driver.name), reason="is in it yet")
    expect(time.monotonic() - start < 2, f"{verb}: it is not refused at once")


def come_back_at_last(machine, victim, when):
    """The load or unload is about to come back."""
    end = time.monotonic() + 20
    machine.set_faults("")
    while True:
        code, answer = machine.shadowcl("resume", victim.pid)
        if code == 0:
            break
        expect("is in it yet" in answer["error"]["reason"], answer)
        expect(time.monotonic() < end, "what was let go has not come back")
        time.sleep(0.05)
    expect(machine.canary_lives(machine.nodes[0]), "the canary of the device is dead")
    victim.check(when)


def constructors_never_return(build):
    """They have the dynamic loader's lock: the resume is given up, and can be tried again once they
    have come back."""
    with Machine(build, mapping="copy", environment=IMPATIENT) as machine, \
            Victim(machine, *WISHES) as victim:
        victim.suspend()
        resume_stuck(machine, victim, "hang constructor 1\n",
                     "its constructors, in `dlopen`, in 4 s", stays=True)
        for verb, words in (("resume", ()), ("check", ("--device", "0"))):
            is_in_it_yet(machine, victim, "suspended", verb, *words)
        machine.swap(machine.nodes[0])
        come_back_at_last(machine, victim, "the constructors have come back")
        cycle(machine, victim)
        victim.quit()


def constructors_of_the_next_never_return(build):
    """Of the instance for the resume, which is had before anything is let go: the program runs on."""
    with Machine(build, variant="nodelete", mapping="copy", environment=IMPATIENT) as machine, \
            Victim(machine, *WISHES) as victim:
        machine.set_faults("hang constructor 1\n")
        start = time.monotonic()
        victim.refused("running", "suspend", reason="its constructors, in `dlopen`, in 4 s")
        expect(time.monotonic() - start < 50, "the constructors were waited for")
        # (Its driver would load kernels for a check, and wait.)
        for verb, words in (("suspend", ()), ("save", (machine.work / "image",))):
            is_in_it_yet(machine, victim, "running", verb, *words)
        machine.set_faults("")
        suspend_at_last(victim)
        expect(not victim.held(machine.nodes[0]), f"held: {victim.held(machine.nodes[0])}")
        come_back(machine, victim, "the constructors have come back")
        cycle(machine, victim)
        victim.quit()


def destructors_never_return(build):
    """All had been let go by then: the suspend is done, and nothing is held. A driver can be loaded
    once they have come back."""
    with Machine(build, mapping="copy", environment=IMPATIENT) as machine, \
            Victim(machine, *WISHES) as victim:
        suspend_stuck(machine, victim, "hang destructor 1\n",
                      "its destructors, in `dlclose`, in 4 s", stays=True)
        is_in_it_yet(machine, victim, "suspended", "resume")
        machine.swap(machine.nodes[0])
        come_back_at_last(machine, victim, "the destructors have come back")
        cycle(machine, victim)
        victim.quit()


def dropped_and_never_released(build):
    """The program drops a buffer, and a queue that has a command yet, while the gate is closed: the
    driver gets them back with all the others, and is given up there."""
    for call in ("clReleaseMemObject", "clReleaseCommandQueue"):
        with Machine(build, mapping="copy", environment=IMPATIENT) as machine, \
                Victim(machine, *WISHES) as victim:
            cycle(machine, victim)
            machine.set_faults("stall 1\n")
            victim.do("spare")
            with ThreadPoolExecutor(1) as pool:
                suspended = pool.submit(suspend_stuck, machine, victim, f"stall 1\nhang {call} 1\n")
                wait_for_state(victim, "draining")
                victim.do("drop")
                machine.set_faults(f"hang {call} 1\n")
                suspended.result()
            come_back(machine, victim, f"{call} had not come back")
            cycle(machine, victim)
            victim.quit()


def wait_for_state(victim, state):
    end = time.monotonic() + 20
    while (seen := victim.state()) != state:
        expect(time.monotonic() < end, f"the state is {seen}, not {state}")


def first_list_never_returns(build):
    """Of a driver's devices, of which the program has never asked: it runs on, and is suspended once
    the call has come back."""
    with Machine(build, drivers="libpocl.so.2", environment=IMPATIENT) as machine:
        machine.environment["SHADOWCL_DRIVERS"] += f":{machine.driver}"
        machine.environment["OCL_ICD_PLATFORM_SORT"] = "none"  # else each is asked for its devices
        machine.environment["SHADOWCL_TEST_DEVICE"] = str(machine.nodes[0])
        with Victim(machine, *WISHES) as victim:
            for verb in ("check", "prepare", "move"):
                machine.set_faults("hang clGetDeviceIDs 1\n")
                start = time.monotonic()
                victim.refused("running", verb, "--device", "1:0",
                               object=str(machine.driver.name), reason="its list of devices")
                expect(time.monotonic() - start < 50, f"{verb}: the call was waited for")
                victim.check(f"{verb}: while the list is not there")
            victim.refused("running", "suspend", "--deadline", "1", reason="clGetDeviceIDs")
            machine.set_faults("")
            victim.check("the list has come")
            cycle_of_driver(victim)
            victim.quit()


def never_returns_and_never_sleeps(build):
    """It is in the allocator most of the time, whose lock must not be frozen with it."""
    for call, verb in (("clReleaseMemObject", "suspend"), ("clCreateBuffer", "resume")):
        with Machine(build, mapping="copy", environment=IMPATIENT) as machine, \
                Victim(machine, *WISHES) as victim:
            if verb == "suspend":
                suspend_stuck(machine, victim, f"spin {call} 1\n")
            else:
                victim.suspend()
                resume_stuck(machine, victim, f"spin {call} 1\n")
            come_back(machine, victim, f"{call} had not come back")
            cycle(machine, victim)
            victim.quit()


def never_returns_again_and_again(build):
    """Each time in another instance, of drivers that unload, that stay, and that never let go."""
    for variant in ("", "nodelete", "sticky"):
        with Machine(build, variant=variant, mapping="copy", environment=IMPATIENT) as machine, \
                Victim(machine, *WISHES) as victim:
            suspend_stuck(machine, victim, "hang clReleaseMemObject 2\n")
            resume_stuck(machine, victim, "hang clCreateContext 1\n")
            come_back(machine, victim, f"{variant}: after two hangs")
            victim.suspend()
            resume_stuck(machine, victim, "hang clCreateBuffer 2\n")
            come_back(machine, victim, f"{variant}: after three hangs")
            victim.quit()


def many_cycles_after_a_hang(build):
    """A driver that unloads needs no new instance for each of them."""
    with Machine(build, mapping="copy", environment=IMPATIENT) as machine, \
            Victim(machine, *WISHES) as victim:
        suspend_stuck(machine, victim, "hang clReleaseContext 1\n")
        come_back(machine, victim, "after the hang")
        for _ in range(20):
            cycle(machine, victim)
        victim.quit()


def move_never_returns(build):
    """The second driver hangs when the program is to be made there: it goes on where it was."""
    with Machine(build, environment=IMPATIENT, mapping="copy", **TWO) as machine, \
            Victim(machine, *WISHES) as victim:
        machine.set_faults("hang clCreateBuffer 2\n")
        victim.refused("running", "move", "--device", "second GPU", reason="has not come back")
        machine.set_faults("")
        victim.check("after the move that failed")
        victim.move("second GPU")
        victim.check("on the second device")
        victim.quit()


def trial_build_never_returns(build):
    """Of a program for another device: the request fails, and the program is suspended and resumed
    while the call is in the driver yet, and when it has come back."""
    # A build has ten times this patience.
    with Machine(build, environment=IMPATIENT, mapping="copy", **TWO) as machine, \
            Victim(machine, *WISHES) as victim:
        for verb, call in (("prepare", "clBuildProgram"), ("move", "clCreateProgramWithSource")):
            victim.do("step")
            machine.set_faults(f"hang {call} 1\n")
            start = time.monotonic()
            victim.refused("running", verb, "--device", "second GPU",
                           reason="has not come back from a call in 40 s")
            expect(time.monotonic() - start < 70, f"{verb}: the call was waited for")
            victim.check(f"{verb}: while the call has not come back")
            victim.suspend()
            for node in machine.nodes:
                expect(not victim.held(node), f"{verb}: held: {victim.held(node)}")
            come_back(machine, victim, f"{verb}: resumed while the call has not come back")
            machine.set_faults("")
            victim.check(f"{verb}: after the call has come back")
            cycle(machine, victim)
        victim.quit()


def comparison_never_returns(build):
    """Of what another device can do, which is asked with the gate closed."""
    with Machine(build, environment=IMPATIENT, mapping="copy", **TWO) as machine, \
            Victim(machine, *WISHES) as victim:
        for verb, call in (("check", "clGetDeviceInfo 3"), ("move", "clGetSupportedImageFormats 1")):
            left_alone(machine, victim, f"hang {call}\n", "--device", "second GPU", verb=verb)
        victim.move("second GPU")
        victim.check("on the second device")
        victim.quit()


def log_disk_full(build):
    """The log can't be written: that is all that is lost."""
    with Machine(build, environment={"SHADOWCL_LOG": "debug:/dev/full"}) as machine:
        with Victim(machine, *WISHES, run=False) as victim:
            for _ in range(3):
                cycle(machine, victim)
            victim.quit()


def full_disk(machine, name):
    """A file system of its own on that folder, full to the last byte; None without the right to
    mount. (The folder is empty.)"""
    folder = machine.work / name
    folder.mkdir(exist_ok=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16M", "full", folder],
                      stderr=subprocess.DEVNULL).returncode:
        print(f"{name}: skipped, no right to mount")
        return None
    return folder


def fill(folder):
    """Returns the file that fills it."""
    ballast = folder / "ballast"
    with open(ballast, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    return ballast


def disks_full(build):
    """Those that we write to: the log's, and at the program's start the runtime directory's. (The
    driver's own is another matter: pocl ends the process when its cache has no room.)"""
    for name in ("run", "logs"):
        with Machine(build) as machine:
            folder = full_disk(machine, name)
            if not folder:
                return
            try:
                full_disk_cycles(machine, folder)
            finally:
                subprocess.run(["umount", "-l", folder], check=True)


def full_disk_cycles(machine, folder):
    if folder.name == "logs":
        machine.environment["SHADOWCL_LOG"] = f"debug:{folder}/log"
    with Victim(machine, *WISHES) as victim:
        victim.do("step")
        ballast = fill(folder)
        for _ in range(3):
            cycle(machine, victim)
        ballast.unlink()
        victim.check(f"there is room in {folder.name} again")
        cycle(machine, victim)
        victim.quit()


def driver_missing(build):
    with Machine(build) as machine, Victim(machine, *WISHES) as victim:
        victim.suspend()
        away = machine.driver.with_name("away")
        machine.driver.rename(away)
        for _ in range(2):
            victim.refused("suspended", "resume", reason=str(machine.driver.name))
        machine.driver.write_text("this is no driver")
        victim.refused("suspended", "resume", reason=str(machine.driver.name))
        away.rename(machine.driver)
        victim.resume()
        victim.check("the driver is back")
        cycle(machine, victim)


def driver_replaced_by_an_older_one(build):
    """What is beyond its version is not looked at; one that is too old is refused by name."""
    with Machine(build, mapping="copy") as machine, Victim(machine, *WISHES) as victim:
        calls = machine.work / "calls"
        victim.suspend()
        machine.set_faults("version OpenCL 1.1 old\n")
        victim.refused("suspended", "resume", object="shadowcl test GPU",
                       reason="it has OpenCL 1.1 only")
        machine.set_faults(f"version OpenCL 1.2 old\nlog {calls}\n")
        victim.resume()
        victim.check("on an older driver")
        victim.suspend()
        done = set(calls.read_text().split())
        expect("clCreateCommandQueue" in done, f"no queue is made: {done}")
        expect(not done & BEYOND_1_2, f"of an older driver: {done & BEYOND_1_2}")
        machine.set_faults(f"log {calls}\n")
        calls.unlink()
        victim.resume()
        victim.check("the newer one is back")
        expect("clCreateCommandQueueWithProperties" in calls.read_text(),
               "what the newer one has is not used again")
        cycle(machine, victim)


def driver_does_not_start(build):
    with Machine(build) as machine, Victim(machine, *WISHES) as victim:
        victim.suspend()
        machine.set_faults("fail load 1 -6\n")
        victim.refused("suspended", "resume", reason="-6")
        victim.resume()
        victim.check("the driver starts again")
        cycle(machine, victim)


def driver_keeps_device(build):
    """Either nothing is held when the suspend is done, or it is refused by name."""
    for variant in ("nodelete", "sticky"):
        with Machine(build, variant=variant) as machine, Victim(machine, *WISHES) as victim:
            for _ in range(3):
                code, answer = machine.shadowcl("suspend", victim.pid)
                if code == 0:
                    held = victim.held(machine.nodes[0])
                    expect(not held, f"{variant}: done, and held: {held}")
                    victim.resume()
                else:
                    held = " ".join(answer["residue"])
                    expect(answer["state"] == "running", f"{variant}: {answer}")
                    expect("fd " in held and "mapping " in held, f"{variant}: not named: {answer}")
                victim.check(variant)


def retry_on_fresh_instance(build):
    """The resume fails in an instance of its own, before or after it opened the device; so does the
    next, and the third is right, on a device that was swapped in between."""
    for variant in ("nodelete", "sticky"):
        with Machine(build, variant=variant, mapping="copy") as machine, \
                Victim(machine, *WISHES) as victim:
            cycle(machine, victim)
            for call in ("load", "clCreateContext", "clCreateBuffer", "clGetEventInfo"):
                victim.suspend()
                for _ in range(2):
                    # A first look at how far a copy is, which nothing hangs on, may take one.
                    machine.set_faults("".join(f"fail {call} {n} -6\n" for n in range(1, 9)))
                    victim.refused("suspended", "resume", reason="-6")
                machine.set_faults("")
                held = victim.held(machine.nodes[0])
                expect(not held, f"{variant}: {call} failed, the program is suspended, and it "
                       f"holds {held}")
                machine.swap(machine.nodes[0])
                victim.resume()
                expect(machine.canary_lives(machine.nodes[0]), "the canary of the device is dead")
                victim.check(f"{variant}: after {call} failed twice")
            victim.quit()


def looks_cost_no_instance(build):
    """A driver that stays loaded: however often a suspended program is compared with a device, it can
    be resumed."""
    with Machine(build, variant="nodelete") as machine, Victim(machine, *WISHES) as victim:
        victim.suspend()
        for number in range(20):
            code, answer = machine.shadowcl("check", victim.pid, "--device", "0")
            if code != 0:
                expect("no further instance" in answer["error"]["reason"], answer)
        victim.resume()
        victim.check(f"after {number + 1} looks")


def driver_lets_go_late(build):
    """It is still at work on the device in a thread of its own when all is released: nothing must
    be taken from under it."""
    with Machine(build, variant="nodelete") as machine, Victim(machine, *WISHES) as victim:
        machine.set_faults("linger 100\n")
        for _ in range(3):
            cycle(machine, victim)
        expect("taken from" not in machine.log.read_text(), "it was taken")
        victim.quit()


def expect_still_standing(calls):
    made = calls.read_text() if calls.exists() else ""
    expect("clRelease" not in made, f"torn down before the refusal: {made}")


def foreign_holder(build):
    """The program itself has the node open since before OpenCL: nothing is torn down."""
    with Machine(build) as machine:
        with Victim(machine, *WISHES, f"open={machine.nodes[0]}") as victim:
            calls = machine.work / "calls"
            machine.set_faults(f"log {calls}\n")
            victim.refused("running", "suspend", object=str(machine.nodes[0]))
            expect_still_standing(calls)
            victim.check("after the refusal")


def plug_another_sort(machine):
    """A device node that no OpenCL driver here opens."""
    other = machine.work / "render0"
    machine.plug(other)
    machine.environment["SHADOWCL_DEVICE_NODES"] += f":{machine.work}/render*"
    return other


def other_sort_of_node(build):
    """The program opens or maps another sort of device while OpenCL runs: nothing is torn down."""
    with Machine(build) as machine:
        other = plug_another_sort(machine)
        calls = machine.work / "calls"
        with Victim(machine, *WISHES, f"other={other}") as victim:
            for way in ("hold", "map"):
                victim.do(way)
                machine.set_faults(f"log {calls}\n")
                answer = victim.refused("running", "suspend", object=str(other))
                expect(("mapping" in answer["error"]["object"]) == (way == "map"), f"{answer}")
                expect_still_standing(calls)
                machine.set_faults("")
                victim.check("after the refusal")
                victim.do("letgo")
                cycle(machine, victim)


def other_sort_after_many_queues(build):
    """However much the program has made of what is watched, and as fast as it can."""
    with Machine(build) as machine:
        other = plug_another_sort(machine)
        calls = machine.work / "calls"
        with Victim(machine, *WISHES, f"other={other}") as victim:
            victim.do("queues")
            victim.do("hold")
            machine.set_faults(f"log {calls}\n")
            victim.refused("running", "suspend", object=str(other), reason="no OpenCL driver")
            expect_still_standing(calls)
            machine.set_faults("")
            victim.check("after the refusal")
            victim.do("letgo")
            cycle(machine, victim)


def fake_gl(build):
    return f"gl={Path(build).resolve() / 'lib/fake/libEGL_fake.so'}"


def refused_by_name_of_gl(machine, victim):
    """Nothing is torn down, and what GL has is as it was."""
    calls = machine.work / "calls"
    for _ in range(2):
        machine.set_faults(f"log {calls}\n")
        answer = victim.refused("running", "suspend", object=str(machine.nodes[0]),
                                reason="libEGL_fake.so")
        expect_still_standing(calls)
        expect("SHADOWCL_NODE_OWNER" in answer["error"]["todo"], answer)
        machine.set_faults("")
        calls.unlink(missing_ok=True)
        victim.do("peek")
        victim.check("after the refusal")


def gl_while_the_driver_starts(build):
    """Another thread comes to use the same device in the middle of the driver's start."""
    for variant in ("", "sticky"):
        with Machine(build, variant=variant) as machine:
            machine.set_faults("slow load 700000\n")
            with Victim(machine, *WISHES, f"other={machine.nodes[0]}", fake_gl(build),
                        "atstart") as victim:
                refused_by_name_of_gl(machine, victim)
                victim.do("letgo")
                cycle(machine, victim)


def gl_later(build):
    """Or later: a driver that keeps its nodes is not taken for it."""
    for variant in ("", "sticky"):
        with Machine(build, variant=variant) as machine, \
                Victim(machine, *WISHES, f"other={machine.nodes[0]}", fake_gl(build)) as victim:
            victim.do("hold")
            refused_by_name_of_gl(machine, victim)
            victim.do("letgo")
            cycle(machine, victim)


def driver_opens_late(build):
    """In a call that nobody watches: it is the driver's own, and is taken from one that keeps it. With
    GL in the program it could be GL's, unless the user says otherwise."""
    for variant in ("", "nodelete", "sticky"):
        with Machine(build, variant=variant) as machine, Victim(machine, *WISHES) as victim:
            for _ in range(2):
                open_again(machine, victim)
                cycle(machine, victim)
            victim.quit()


def open_again(machine, victim):
    before = len(victim.held(machine.nodes[0]))
    machine.set_faults("again clEnqueueNDRangeKernel 1\n")
    victim.do("step")
    machine.set_faults("")
    expect(len(victim.held(machine.nodes[0])) == before + 2, "it was not opened again")


def driver_opens_late_beside_gl(build):
    reasons = {None: "libEGL_fake.so", "program": "no OpenCL driver opened it"}
    for owner in (None, "driver", "program"):
        with Machine(build, variant="sticky") as machine:
            other = machine.work / "other"
            other.touch()
            if owner:
                machine.environment["SHADOWCL_NODE_OWNER"] = owner
            with Victim(machine, *WISHES, f"other={other}", fake_gl(build)) as victim:
                victim.do("hold")
                open_again(machine, victim)
                if owner == "driver":
                    cycle(machine, victim)
                else:
                    victim.refused("running", "suspend", object=str(machine.nodes[0]),
                                   reason=reasons[owner])
                    victim.check("after the refusal")
                victim.quit()


def same_node_of_the_programs_own(build):
    """The program opens it by itself, without a library that uses GPUs, and the driver keeps its
    nodes: only the user knows that it is not the driver's."""
    with Machine(build, variant="sticky", environment={"SHADOWCL_NODE_OWNER": "program"}) as machine, \
            Victim(machine, *WISHES, f"other={machine.nodes[0]}") as victim:
        calls = machine.work / "calls"
        before = len(victim.held(machine.nodes[0]))
        victim.do("hold")
        for _ in range(2):
            machine.set_faults(f"log {calls}\n")
            victim.refused("running", "suspend", object=str(machine.nodes[0]),
                           reason="no OpenCL driver opened it")
            expect_still_standing(calls)
            machine.set_faults("")
            calls.unlink(missing_ok=True)
            expect(len(victim.held(machine.nodes[0])) == before + 1, "it was taken from the program")
            victim.check("after the refusal")
        victim.do("letgo")
        cycle(machine, victim)
        victim.quit()


def patterns_outlive_the_environment(build):
    """What the user has named as device nodes holds, whatever the program makes of its environment."""
    with Machine(build, variant="sticky") as machine, Victim(machine, *WISHES, "clean") as victim:
        for _ in range(2):
            cycle(machine, victim)


def same_node_later(build):
    """Only the release can show whose it is; from then on it is known."""
    with Machine(build) as machine:
        calls = machine.work / "calls"
        with Victim(machine, *WISHES, f"other={machine.nodes[0]}") as victim:
            victim.do("hold")
            victim.refused("running", "suspend", object=str(machine.nodes[0]), reason="still held after the driver was unloaded")
            victim.check("after going back")
            machine.set_faults(f"log {calls}\n")
            victim.refused("running", "suspend", object=str(machine.nodes[0]))
            expect_still_standing(calls)
            machine.set_faults("")
            victim.check("after the refusal")
            victim.do("letgo")
            cycle(machine, victim)


def limit(pid, size):
    subprocess.run(["prlimit", f"--pid={pid}", f"--as={size}:unlimited"], check=True)


def address_space_short(build):
    """Room for the program, but not for what its device holds."""
    with Machine(build) as machine, Victim(machine, "ballast=0x2000000") as victim:
        with open(f"/proc/{victim.pid}/statm") as statm:
            size = int(statm.read().split()[0]) * 4096
        limit(victim.pid, size + (24 << 20))
        victim.refused("running", "suspend", object="staging memory")
        limit(victim.pid, "unlimited")
        victim.check("after the refusal")
        cycle(machine, victim)


def memory_short(build):
    """MemAvailable, as the program sees it, is less than what its device holds."""
    with Machine(build) as machine:
        meminfo = machine.work / "meminfo"
        meminfo.write_text("MemTotal: 65536 kB\nMemFree: 9000 kB\nMemAvailable: 9000 kB\n")
        # Not for the whole machine: in a mount namespace of the program's own.
        wrapper = ["unshare", "--mount", "--", "sh", "-c",
                   f"mount --bind {meminfo} /proc/meminfo && exec \"$0\" \"$@\""]
        if subprocess.run([*wrapper, "true"], stderr=subprocess.DEVNULL).returncode:
            print("memory_short: skipped, no right to mount")
            return
        with Victim(machine, "ballast=0x2000000", wrapper=wrapper) as victim:
            victim.refused("running", "suspend", object="staging memory", reason="available")
            meminfo.write_text("MemTotal: 4000000 kB\nMemAvailable: 3000000 kB\n")
            victim.check("after the refusal")
            cycle(machine, victim)


def device_too_small_now(build):
    """The device that comes back has less memory: suspended until a larger one is there."""
    with Machine(build) as machine, Victim(machine, "ballast=0x2000000") as victim:
        victim.suspend()
        machine.nodes[0].unlink()
        with open(machine.nodes[0], "wb") as file:
            file.truncate(1 << 20)
        victim.refused("suspended", "resume")
        machine.plug(machine.nodes[0])
        victim.resume()
        victim.check("on the larger one")
        cycle(machine, victim)


# Each is a test of its own for ctest.
GROUPS = {
    "gone": (many_replugs, gone_for_good, gone_so_elsewhere, other_device_gone,
             gone_while_released, gone_while_running, device_too_small_now),
    "late": (kernel_past_deadline, call_past_deadline, flush_past_deadline, capture_hangs,
             rebuild_hangs),
    "copies": (copy_up_fails_later, copy_up_fails_behind_the_program, copy_down_fails_later,
               copy_never_ends, copy_down_outlives_the_device,
               contents_go_up_while_programs_are_built),
    "files": (prepared_for_a_file, damaged_while_suspended, other_image_while_suspended,
              image_closed_while_suspended, child_of_a_suspended_one, little_memory_for_a_file,
              released_while_written),
    "release-stuck": (release_never_returns,),
    "rebuild-stuck": (rebuild_never_returns,),
    "capture-stuck": (drain_never_returns, capture_never_returns, copy_to_a_file_never_returns),
    "copies-stuck": (copy_beforehand_never_returns, copy_behind_the_program_never_returns),
    "builds-stuck": (trial_build_never_returns, comparison_never_returns),
    "loads-stuck": (constructors_never_return, constructors_of_the_next_never_return,
                    destructors_never_return),
    "drops-stuck": (dropped_and_never_released, first_list_never_returns),
    "stuck": (never_returns_and_never_sleeps, never_returns_again_and_again,
              many_cycles_after_a_hang, move_never_returns),
    "drivers": (driver_missing, driver_replaced_by_an_older_one, driver_does_not_start,
                driver_keeps_device, retry_on_fresh_instance, looks_cost_no_instance,
                driver_lets_go_late),
    "holders": (foreign_holder, other_sort_of_node, other_sort_after_many_queues,
                gl_while_the_driver_starts, gl_later, driver_opens_late,
                driver_opens_late_beside_gl, same_node_of_the_programs_own,
                patterns_outlive_the_environment, same_node_later),
    "shortage": (log_disk_full, disks_full, address_space_short, memory_short),
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build")
    parser.add_argument("--groups", action="store_true", help="lists them, and does nothing else")
    parser.add_argument("--group", choices=GROUPS)
    parser.add_argument("tests", nargs="*")
    told = parser.parse_args()
    if told.groups:
        print(";".join(GROUPS))
        return 0
    if not told.build:
        parser.error("--build is needed")
    chosen = [told.group] if told.group else GROUPS
    tests = [test for group in chosen for test in GROUPS[group]]
    return 1 if run_all(tests, told.build, told.tests) else 0


if __name__ == "__main__":
    sys.exit(main())
