#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Moves to another device: to one that can do less, and is refused by name while everything still
stands where the program uses what is missing; between drivers; and there and back."""

import ctypes
import sys

from harness import Machine, Victim, expect, main

NAMES = ("first GPU", "second GPU")


def two(build, caps, **told):
    return Machine(build, devices=2, names=NAMES, caps=("", caps), **told)


def refuse(build, caps, wishes, object, reason=""):
    """By `move` before anything is let go, and by `resume`, after which it goes back."""
    with two(build, caps) as machine, Victim(machine, *wishes) as victim:
        calls = machine.work / "calls"
        machine.set_faults(f"log {calls}\n")
        victim.refused("running", "move", "--device", "second GPU", object=object, reason=reason)
        made = calls.read_text()
        # (A trial build makes, and releases, a program and a context of its own.)
        for call in ("clReleaseMemObject", "clReleaseCommandQueue", "clReleaseKernel"):
            expect(call not in made, f"torn down before the refusal: {call}")
        machine.set_faults("")
        victim.check("after the refusal")
        victim.suspend()
        victim.refused("suspended", "resume", "--device", "second GPU", object=object)
        victim.resume()
        victim.check("on the device it had")


def accept(build, caps, wishes, warned=()):
    with two(build, caps) as machine, Victim(machine, *wishes) as victim:
        for device in ("second GPU", "first GPU", "second GPU"):
            answer = victim.move(device)
            expect([d["name"] for d in answer["devices"]] == [device],
                   f"it is on {answer['devices']}")
            said = " ".join(answer["warnings"])
            for word in warned if device == "second GPU" else ():
                expect(said.count(word) == 1, f"`{word}` once in the warnings: {said}")
            victim.check(f"on the {device}")
            victim.suspend()
            victim.resume()
            victim.check(f"again on the {device}")


def less_memory(build):
    refuse(build, "mem=8M", ("ballast=0x1000000",), "buffer")
    accept(build, "mem=8M", ("images",))


def no_images(build):
    refuse(build, "noimages", ("images",), "image")
    accept(build, "noimages", ())


def small_images(build):
    refuse(build, "maximage=8", ("images",), "image", "is more than the 8 there")
    accept(build, "maximage=8", ())


def no_such_format(build):
    refuse(build, "nouint8", ("images",), "image")
    accept(build, "nouint8", ())


def no_doubles(build):
    refuse(build, "nofp64", ("double",), "program")
    accept(build, "nofp64", ("images",))


def small_work_groups(build):
    refuse(build, "maxwg=64", ("group=128",), "kernel", "128")
    accept(build, "maxwg=64", ("group=64",))


def in_order_only(build):
    refuse(build, "nooutoforder", ("outoforder",), "queue",
           "it is out of order, which the device does not have")
    accept(build, "nooutoforder", ())


def other_alignment(build):
    """The victim's sub-buffer begins at byte 8192."""
    refuse(build, "align=16K", (), "buffer", "it begins at byte 8192 of its buffer")
    accept(build, "align=8K", ())


def no_priorities(build):
    """A hint that the other device does not take is left out there, and is there again at home."""
    with Machine(build, devices=2, names=NAMES, caps=("extras", "")) as machine, \
            Victim(machine, "hints") as victim:
        for device in ("second GPU", "first GPU"):
            victim.move(device)
            victim.check(f"on the {device}")
        expect("no such priority" in machine.log.read_text(), "the log does not say so")


def all_is_named(build):
    """By `check`, of a process as of its image, while nothing is touched."""
    wanted = {("image", "no images"), ("queue", "out of order"), ("program", "can't be built"),
              ("kernel", "work-groups of 128")}
    with two(build, "nooutoforder,noimages,nofp64,maxwg=64") as machine, \
            Victim(machine, "outoforder", "images", "double", "group=128") as victim:
        image = machine.work / "image"
        code, answer = machine.shadowcl("save", victim.pid, image)
        expect(code == 0, f"save: {answer}")
        found = {}
        for what in (victim.pid, image):
            code, answer = machine.shadowcl("check", what, "--device", "second GPU")
            expect(code == 1 and not answer["resumes"] and not answer["error"], f"check: {answer}")
            found[what] = {(one["object"], one["reason"]) for one in answer["missing"]}
            for object, reason in wanted:
                expect(any(object in one and reason in why for one, why in found[what]),
                       f"no `{object}`: `{reason}` in {found[what]}")
        expect(found[victim.pid] == found[image], f"of the process and of its image: {found}")
        expect(victim.state() == "running", "it does not run")
        victim.check("after all those questions")


def only_told(build):
    """What the program asked for and does not use is a warning; with --strict a refusal. Where it uses
    it after all, it gets the specification's error, and has it again on a device that has it."""
    caps = "nofp64,noimages,nooutoforder,maxwg=64,mem=32M"
    words = ("double precision", "images", "largest work-group", "global memory")
    accept(build, caps, ("asks",), words)
    with two(build, caps) as machine, Victim(machine, "asks") as victim:
        answer = victim.refused("running", "move", "--device", "second GPU", "--strict",
                                object="second GPU")
        expect(len(answer["warnings"]) >= len(words), f"all are named: {answer['warnings']}")
        victim.check("after the refusal")
        victim.do("reach", "on the first GPU")
        victim.move("second GPU")
        victim.check("without --strict")
        victim.do("overreach", "on the second GPU")
        victim.check("after errors")
        victim.suspend()
        victim.resume()
        victim.do("overreach", "resumed there")
        victim.check("after errors, resumed")
        victim.move("first GPU")
        victim.do("reach", "on the first GPU again")
        victim.check("on the first GPU again")


def specs(build):
    with two(build, "") as machine, Victim(machine) as victim:
        for spec in ("no such thing", "7", "pocl:0", "shadowcl test platform:5"):
            victim.refused("running", "move", "--device", spec, reason="second GPU", object=spec)
        victim.refused("running", "move", "--device", "GPU", reason="second GPU")
        victim.refused("running", "move", "--device", "0,1", reason="2 devices")
        for spec in ("second GPU", "0", "SECOND", "SCLT:0", "0:1", "first",
                     "shadowcl test platform:1"):
            victim.move(spec)
            victim.check(spec)


def binaries_follow(build):
    """On the same device from binaries, on another from source; never from another's binaries."""
    with two(build, "") as machine, Victim(machine, "links") as victim:
        calls = machine.work / "calls"

        def made(act):
            calls.unlink(missing_ok=True)
            machine.set_faults(f"log {calls}\n")
            act()
            machine.set_faults("")
            names = calls.read_text().splitlines()
            victim.check()
            return {name for name in names if name.startswith("clCreateProgramWith")}
        binary, source = {"clCreateProgramWithBinary"}, {"clCreateProgramWithSource"}

        def stay():
            victim.suspend()
            victim.resume()

        def go(device):
            victim.suspend()
            victim.resume("--device", device)
        for what, act, expected in (
                ("stays", stay, binary), ("goes", lambda: go("second"), source),
                ("stays there", stay, binary), ("stays there again", stay, binary),
                ("goes back", lambda: go("first"), source), ("stays", stay, binary)):
            how = made(act)
            expect(how == expected, f"{what}: by {how}, not {expected}")


def loaded_binary(build):
    """A program that loads its own cached binary moves by what that came from; in a process that
    knows nothing of that it can't."""
    with two(build, "") as machine:
        wish = f"binary={machine.work}/cache"
        with Victim(machine, wish) as victim:
            victim.move("second GPU")
            victim.check("saved its binary")
        with Victim(machine, wish) as victim:
            victim.refused("running", "move", "--device", "second GPU", object="program",
                           reason="it was loaded from a binary whose source is not known")
            victim.check("after the refusal")
            victim.suspend()
            victim.resume()
            victim.check("where it was")


def comes_back_by_its_binary(build):
    """A resume elsewhere that fails leaves the way back as it was."""
    with two(build, "") as machine, Victim(machine, "links") as victim:
        calls = machine.work / "calls"
        for device, other in (NAMES, NAMES[::-1], NAMES):
            victim.suspend()
            victim.resume("--device", device)
            victim.suspend()
            for fault in ("fail clBuildProgram 1 -11", "fail clCreateKernel 2 -5"):
                machine.set_faults(f"{fault}\n")
                victim.refused("suspended", "resume", "--device", other)
            machine.set_faults(f"log {calls}\n")
            victim.resume()
            machine.set_faults("")
            made = {name for name in calls.read_text().splitlines()
                    if name.startswith("clCreateProgramWith")}
            expect(made == {"clCreateProgramWithBinary"}, f"back by {made}")
            victim.check(f"back on the {device}")
            calls.unlink()


def stranger_where_it_is(build):
    """A binary that nobody knows, loaded after a move: the device that counts is the one where the
    program is."""
    with two(build, "") as machine:
        cache = f"{machine.work}/cache"
        with Victim(machine, f"binary={cache}") as victim:
            victim.check("saved its binary")
        with Victim(machine, f"later={cache}") as victim:
            victim.move("second GPU")
            victim.do("load")
            calls = machine.work / "calls"
            machine.set_faults(f"log {calls}\n")
            victim.refused("running", "move", "--device", "first GPU", object="program",
                           reason="binary")
            code, answer = machine.shadowcl("check", victim.pid, "--device", "first GPU")
            expect(code == 1 and "binary" in answer["missing"][0]["reason"], f"check: {answer}")
            expect("clReleaseCommandQueue" not in calls.read_text(), "it was torn down")
            machine.set_faults("")
            victim.check("after the refusal")


def between(build, *ways, wishes=()):
    drivers = ":".join(library for library, _ in ways)
    for library, _ in ways:
        try:
            ctypes.CDLL(library)
        except OSError as error:
            print(f"skipped: {error}")
            return
    settings = {"RUSTICL_ENABLE": "llvmpipe", "OCL_ICD_PLATFORM_SORT": "none"}
    for mapping in ("copy", "shared"):
        with Machine(build, mapping=mapping, drivers=drivers, environment=settings) as machine:
            with Victim(machine, "onechain", *wishes) as victim:
                for _, platform in (*ways[1:], ways[0]) * 2:
                    answer = victim.move(f"{platform}:0")
                    name = answer["devices"][0]["platform"].lower()
                    expect(platform in name or platform == "pocl" and "portable" in name,
                           f"it is on {name}")
                    victim.check(f"{mapping}: on {platform}")
                    victim.suspend()
                    victim.resume()
                    victim.check(f"{mapping}: again on {platform}")


POCL = ("libpocl.so.2", "pocl")


def pocl_and_rusticl(build):
    between(build, POCL, ("libRusticlOpenCL.so.1", "rusticl"), wishes=("links",))


def linked_from_binaries(build):
    """Where the other driver does not take them, from what they came from."""
    between(build, POCL, ("libRusticlOpenCL.so.1", "rusticl"), wishes=("reload",))


def pocl_and_oclgrind(build):
    """Whose queues are made without a list of properties: it has OpenCL 1.2."""
    between(build, POCL, ("/usr/lib/oclgrind/liboclgrind-rt-icd.so", "oclgrind"),
            wishes=("listed",))


def some_of_a_platform(build):
    """One of a platform's two devices lives with another driver: a context by type, which would have
    both, has those that one driver can use, and both can't be named for one. One that is gone is refused by name while it runs."""
    settings = {"RUSTICL_ENABLE": "llvmpipe", "OCL_ICD_PLATFORM_SORT": "none",
                "POCL_DEVICES": "pthread basic"}
    drivers = ":".join(library for library, _ in (POCL, ("libRusticlOpenCL.so.1", "rusticl")))
    with Machine(build, mapping="copy", drivers=drivers, environment=settings) as machine:
        with Victim(machine, "onechain") as victim:
            victim.do("fromtype", "before the move")
            victim.do("together", "before the move")
            victim.move("rusticl:0")
            victim.do("fromtype", "after the move")
            victim.do("apart", "after the move")
            victim.check("after the move")
            victim.move("0:0")
            victim.do("fromtype", "back again")
            victim.do("together", "back again")
            victim.check("back again")


def back_to_one_that_is_gone(build):
    with two(build, "") as machine, Victim(machine) as victim:
        victim.move("second GPU")
        machine.nodes[0].unlink()
        victim.suspend()
        victim.resume()
        victim.refused("running", "move", "--device", "first GPU", object="first GPU")
        victim.check("after the refusal")
        machine.plug(machine.nodes[0])
        victim.suspend()
        victim.resume("--device", "first GPU")
        victim.check("where it was first")


def rusticl_beside_pocl(build):
    """Both have LLVM in them: pocl, which nobody uses, must not be loaded a second time."""
    for mapping in ("copy", "shared"):
        settings = {"RUSTICL_ENABLE": "llvmpipe", "OCL_ICD_PLATFORM_SORT": "none"}
        with Machine(build, mapping=mapping, drivers="libRusticlOpenCL.so.1:libpocl.so.2",
                     environment=settings) as machine:
            with Victim(machine, "onechain") as victim:
                for _ in range(3):
                    victim.suspend()
                    victim.resume()
                    victim.check(mapping)


def nothing_in_use(build):
    """It has released its contexts: wherever it is sent, there is nothing to place."""
    with Machine(build, devices=2, names=("first GPU", "second GPU")) as machine, \
            Victim(machine, program="releaser") as victim:
        victim.do("all")
        victim.suspend()
        victim.refused("suspended", "resume", "--device", "third GPU", object="third GPU", reason="no such device")
        victim.resume("--device", "second GPU")
        victim.move("first GPU")
        victim.check("nothing is in use")


def between_two_jobs(build):
    """It has released all that it had, and goes on where it was sent when it begins anew: its old
    device has gone by then."""
    with Machine(build, devices=3, names=(*NAMES, "third GPU")) as machine, \
            Victim(machine, program="asker") as victim:
        for word in ("list", "open", "step", "close"):
            victim.do(word)
        victim.move("second GPU")
        machine.nodes[0].unlink()
        for word in ("open", "step"):
            victim.do(word, "moved")
        victim.suspend()
        victim.resume()
        for word in ("step", "close"):
            victim.do(word, "suspended there")
        victim.suspend()
        machine.plug(machine.nodes[0])
        machine.nodes[1].unlink()
        victim.refused("suspended", "resume", "--device", "second GPU", object="second GPU")
        victim.resume("--device", "first GPU")
        for word in ("open", "step", "close"):
            victim.do(word, "resumed on the first")
        code, answer = machine.shadowcl("move", victim.pid, "--device", "first GPU,third GPU")
        expect(code == 0 and "device `first GPU` stays where it was" in str(answer["warnings"]),
               f"move to two: {answer}")
        for word in ("open", "step"):
            victim.do(word, "stayed")


def before_its_first_job(build):
    """It knows three devices, and has had none: whichever it takes is where it was sent."""
    with Machine(build, devices=3, names=(*NAMES, "third GPU")) as machine, \
            Victim(machine, program="asker") as victim:
        victim.do("list")
        victim.suspend()
        machine.nodes[0].unlink()
        machine.nodes[2].unlink()
        victim.resume("--device", "second GPU")
        for word in ("open", "step", "last", "type 0", "two", "step"):
            victim.do(word)
        victim.suspend()
        victim.resume()
        victim.do("step")


def idle_stays_where_less_is_there(build):
    """With --strict: it was told of more. That is a warning, since nothing is on it."""
    with two(build, "nooutoforder") as machine, Victim(machine, program="asker") as victim:
        for word in ("list", "order", "open", "step", "close"):
            victim.do(word)
        answer = victim.move("second GPU", "--strict")
        expect("device `first GPU` stays where it was" in str(answer["warnings"]), f"{answer}")
        machine.nodes[1].unlink()
        for word in ("open", "step"):
            victim.do(word, "where it was")


def two_of_its_devices_in_one_place(build):
    """Moved to a device that the program then uses itself."""
    with Machine(build, devices=2, names=("first GPU", "second GPU")) as machine, \
            Victim(machine, program="releaser") as victim:
        victim.move("second GPU")
        victim.do("second")
        victim.suspend()
        victim.resume()
        victim.check("both on the second GPU")
        victim.refused("running", "move", "--device", "first GPU,first GPU",
                       reason="two of the program's devices can't become the same one")
        victim.move("first GPU,second GPU")
        victim.check("each on its own")


def final(answer):
    return answer["error"].get("final", False)


def what_is_lacking_is_lacking_for_good(build):
    with two(build, "nooutoforder,noimages") as machine, \
            Victim(machine, "outoforder", "images") as victim:
        victim.suspend()
        answer = victim.refused("suspended", "resume", "--device", "second GPU")
        expect(final(answer), f"it may be tried again: {answer['error']}")
        victim.resume()
        victim.check("on the device it had")


def what_was_not_answered_may_be_there(build):
    """A device that is just coming may fail to say what it has: that is no refusal for good."""
    with two(build, "") as machine, Victim(machine, "outoforder", "images", "group=128") as victim:
        calls = machine.work / "calls"
        machine.set_faults(f"log {calls}\n")
        victim.suspend()
        victim.resume("--device", "second GPU")
        names = calls.read_text().splitlines()
        # What images it can have is asked of a context, after all that matters here.
        number = names[:names.index("clCreateContext")].count("clGetDeviceInfo")
        here, other, lacks = *NAMES[::-1], 0
        machine.set_faults("")
        victim.suspend()
        while lacks < 4:
            expect(number, f"only {lacks} of the answers were of account")
            machine.set_faults(f"fail clGetDeviceInfo {number} -5\n")
            code, answer = machine.shadowcl("resume", victim.pid, "--device", other)
            machine.set_faults("")
            if code:
                lacks += "choose another device than" in answer["error"]["todo"]
                expect(not final(answer), f"call {number}: {answer['error']}")
                expect(answer["state"] == "suspended", f"it is {answer['state']}")
            else:
                here, other = other, here
                victim.suspend()
            number -= 1
        victim.resume("--device", other)
        victim.check("in the end")


TESTS = (what_is_lacking_is_lacking_for_good, what_was_not_answered_may_be_there, nothing_in_use,
         between_two_jobs, before_its_first_job, idle_stays_where_less_is_there,
         two_of_its_devices_in_one_place, less_memory, no_images, small_images, no_such_format,
         no_doubles, small_work_groups, in_order_only, other_alignment, no_priorities,
         all_is_named, only_told, specs, binaries_follow, comes_back_by_its_binary, loaded_binary,
         stranger_where_it_is, pocl_and_rusticl, linked_from_binaries, pocl_and_oclgrind,
         some_of_a_platform, back_to_one_that_is_gone, rusticl_beside_pocl)


if __name__ == "__main__":
    sys.exit(main(TESTS))
