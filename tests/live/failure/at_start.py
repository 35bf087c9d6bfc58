#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Drivers that the user has named and that can't be had when the program starts: it runs with those
that can, and the log and `ps` say which, why, and what to do. Of drivers that nobody has named the
log has a warning; and where no log is asked for, nothing is said."""

import re
import shutil
import subprocess
import sys
import time

from harness import Failure, Machine, Victim, expect, main


def bad_drivers(machine):
    """{what SHADOWCL_DRIVERS names: (what the message names, why)}"""
    text = machine.work / "text.so"
    text.write_text("this is no driver\n")
    icd = machine.work / "gone.icd"
    icd.write_text("/nowhere/driver.so\n")
    stubborn = machine.work / "stubborn.so"
    shutil.copy(machine.driver, stubborn)
    return {"/nowhere/driver.so": ("/nowhere/driver.so", "No such file or directory"),
            str(machine.work / "none"): (f"{machine.work}/none", "No such file or directory"),
            "libno-such-driver.so.1": ("libno-such-driver.so.1", "it can't be loaded"),
            str(text): (str(text), "it can't be loaded"),
            str(icd): (str(icd), "driver `/nowhere/driver.so`: No such file or directory"),
            "libm.so.6": ("libm.so.6", "it is no OpenCL driver (no clIcdGetPlatformIDsKHR)"),
            str(stubborn): (str(stubborn), "it offers no platform (-6)")}


def expect_line(line, what, why):
    for part in (what, why, "; to do: "):
        expect(part in line, f"`{part}` is not in `{line}`")


def the_others_are_used(build):
    with Machine(build) as machine:
        for named, (what, why) in bad_drivers(machine).items():
            machine.log.unlink(missing_ok=True)
            machine.set_faults("fail load 1 -6\n" if "stubborn" in named else "")
            machine.environment |= {"SHADOWCL_DRIVERS": f"{named}:{machine.driver}",
                                    "SHADOWCL_LOG": f"error:{machine.log}"}
            with Victim(machine, run=False) as victim:
                machine.set_faults("")
                lines = machine.log.read_text().splitlines()
                expect(len(lines) == 1, f"{named}: not one line: {lines}")
                expect("error: " in lines[0], f"no error: {lines[0]}")
                expect_line(lines[0], what, why)
                code, answer = machine.shadowcl("ps")
                expect(code == 0 and len(answer["warnings"]) == 1, f"{named}: ps: {answer}")
                expect_line(answer["warnings"][0], what, why)
                victim.check(named)
                if "stubborn" in named:
                    victim.suspend()
                    victim.resume()
                    victim.check(f"{named}: resumed")
                victim.quit()
                said = victim.process.stderr.read()
                expect(said == "", f"on the program's own output: {said}")


def run_alone(machine, **settings):
    environment = {**machine.environment, **settings,
                   "LD_LIBRARY_PATH": f"{machine.build}/lib/shadowcl"}
    return subprocess.run([machine.build / "bin/victim"], env=environment, capture_output=True,
                          text=True, timeout=60)


def there_is_no_other(build):
    """The program is told so by OpenCL's own error; who asks for it is told why."""
    with Machine(build) as machine:
        for named, (what, why) in bad_drivers(machine).items():
            machine.set_faults("fail load 1 -6\n" if "stubborn" in named else "")
            for log in ("", "error"):
                machine.log.unlink(missing_ok=True)
                done = run_alone(machine, SHADOWCL_DRIVERS=named, SHADOWCL_LOG=log)
                expect("clGetPlatformIDs: -1001" in done.stdout, f"{named}: {done}")
                said = [line for line in done.stderr.splitlines()
                        if not re.search("AddressSanitizer|ThreadSanitizer", line)]
                expect(len(said) == (1 if log else 0), f"{named}, SHADOWCL_LOG={log}: {said}")
                if log:
                    expect_line(said[0], what, why)
                machine.set_faults("fail load 1 -6\n" if "stubborn" in named else "")


def nobody_has_named_it(build):
    with Machine(build) as machine:
        vendors = machine.work / "vendors"
        vendors.mkdir()
        (vendors / "bad.icd").write_text("libno-such-driver.so.1\n")
        (vendors / "good.icd").write_text(f"{machine.driver}\n")
        machine.environment |= {"OCL_ICD_VENDORS": str(vendors)}
        del machine.environment["SHADOWCL_DRIVERS"]
        for level in ("error", "warn"):
            machine.log.unlink(missing_ok=True)
            machine.environment["SHADOWCL_LOG"] = f"{level}:{machine.log}"
            with Victim(machine, run=False) as victim:
                text = machine.log.read_text() if machine.log.exists() else ""
                if level == "error":
                    expect(text == "", f"an error: {text}")
                else:
                    expect("warn: " in text, f"no warning: {text}")
                    expect_line(text, "libno-such-driver.so.1", "it can't be loaded")
                code, answer = machine.shadowcl("ps")
                expect(code == 0 and answer["warnings"] == [], f"ps: {answer}")
                victim.check(level)


def wait_for_loads(calls, count):
    for _ in range(1000):
        if calls.exists() and calls.read_text().split().count("load") == count:
            return
        time.sleep(0.01)
    raise Failure(f"{count} drivers have not begun to start")


def forked_while_they_start(build):
    """The child has no half of its parent's list: it begins anew."""
    with Machine(build) as machine:
        other, none, calls = (machine.work / name for name in ("other.so", "none.so", "calls"))
        shutil.copy(machine.driver, other)
        machine.environment |= {"SHADOWCL_DRIVERS": f"{none}:{machine.driver}:{other}",
                                "LD_LIBRARY_PATH": f"{build}/lib/shadowcl",
                                "SHADOWCL_LOG": f"error:{machine.log}"}
        machine.set_faults(f"hang load 2\nlog {calls}\n")
        with subprocess.Popen([machine.build / "bin/forker"], env=machine.environment, text=True,
                              bufsize=1, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
            try:
                wait_for_loads(calls, 2)
                machine.set_faults("hang load 9\n")  # the call goes on hanging, and no other
                program.stdin.write("fork\n")
                said = program.stdout.readline()
                expect(said == "child: 2\n", f"the child sees another number of platforms: {said!r}")
                machine.set_faults("")
                program.stdin.write("join\n")
                said = program.stdout.readline()
                expect(said == "parent: 2\n", f"the parent sees another number of platforms: {said!r}")
            finally:
                program.kill()


TESTS = (the_others_are_used, there_is_no_other, nobody_has_named_it, forked_while_they_start)


if __name__ == "__main__":
    sys.exit(main(TESTS))
