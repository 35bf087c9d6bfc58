#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`resume --lazy`: the program runs before its contents are up, and finds all of them; also when it
is suspended again in the middle, forks, ends, or an upload fails. The program is that of the tests
of `--prepare`, and compares every byte; on the test driver uploads can be slowed down, so that what
comes in the middle surely does."""

import argparse
import os
import re
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "precopy"))
from precopy import Writer  # noqa: E402

UPLOAD_US = 20000  # that a slow write takes
PIECES, KIB = 200, 64
FEW, BALLAST = 3, 20 << 20


class Lazy(Writer):
    """`slow`: each write of the driver's takes long (test driver only)."""

    def __init__(self, build, work, driver, share, pause, slow=True, pieces=PIECES, **more):
        self.faults, self.calls = work / "faults", work / "calls"
        self.faults.write_text("")
        self.slow = slow and driver == "testdriver"
        super().__init__(build, work, driver, pieces, KIB, share, pause,
                         SHADOWCL_TEST_FAULTS=str(self.faults), **more)

    def fault(self, *lines):
        self.faults.write_text("".join(f"{line}\n" for line in lines))

    def resume(self, *lines):
        """Lazily; what then happens to the driver's writes: nothing, slowness, or `lines`."""
        if self.slow or lines:
            self.fault(*(lines or [f"slow clEnqueueWriteBuffer {UPLOAD_US}"]))
        return self.shadowcl("resume", "--lazy")

    def owed(self):
        return self.shadowcl("ps", pid=False)["owed_bytes"]

    def wait_until_all_is_up(self):
        self.fault()
        for _ in range(600):
            if self.owed() == 0:
                return
            time.sleep(0.1)
        raise AssertionError(f"{self.owed()} bytes are still owed after a minute")

    def resident(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024

    def check(self):
        self.say("check")
        self.expect("right")

    def check_ballast(self):
        self.say("ballast")
        self.expect("right")

    def writes(self):
        """That the driver was asked for since the log was begun."""
        return self.calls.read_text().split().count("clEnqueueWriteBuffer")


def everything_is_there(build, work, driver):
    with Lazy(build, work, driver, 10, 20) as program:
        for _ in range(3):
            program.shadowcl("suspend")
            said = program.resume()
            assert said["owed_bytes"] >= PIECES * KIB * 1024, said
            program.check()
            program.wait_until_all_is_up()
            program.check()
        program.end()
    return f"{said['owed_bytes']} bytes went up while it ran"


def suspends_come_in_the_middle(build, work, driver):
    """What is not up yet is not copied down; what the program wrote meanwhile is."""
    with Lazy(build, work, driver, 5, 5) as program:
        program.shadowcl("suspend")
        least = 1 << 60
        for again in range(6):
            said = program.resume()
            time.sleep(0.1 * (again % 3))
            program.fault()
            suspended = program.shadowcl("suspend")
            assert suspended["captured_bytes"] >= PIECES * KIB * 1024, suspended
            least = min(least, suspended["copied_bytes"])
        if driver == "testdriver":
            assert least < said["owed_bytes"] / 2, f"{least} of {said['owed_bytes']} bytes copied"
        program.shadowcl("resume")
        program.check()
        program.end()
    return f"of {said['owed_bytes']} bytes {least} were copied again, at least"


def a_suspend_prepares_in_the_middle(build, work, driver):
    with Lazy(build, work, driver, 5, 5) as program:
        program.shadowcl("suspend")
        for _ in range(4):
            program.resume()
            said = program.shadowcl("suspend", "--prepare")
        program.resume()
        program.check()
        program.wait_until_all_is_up()
        program.end()
    return f"{said['prepared_bytes']} bytes beforehand at last"


def a_refused_suspend_goes_on_with_it(build, work, driver):
    """The uploads go on where they were left."""
    if driver != "testdriver":
        return "needs the test driver"
    with Lazy(build, work, driver, 0, 60000) as program:
        program.shadowcl("suspend")
        program.resume()
        program.fault("fail clEnqueueMarkerWithWaitList 1 -5")
        try:
            said = program.shadowcl("suspend")
            raise AssertionError(f"it was suspended: {said}")
        except AssertionError as refused:
            assert "clEnqueueMarkerWithWaitList failed" in str(refused), refused
        program.wait_until_all_is_up()
        program.check()
        program.end()
    return "all is up"


def staging_memory_is_freed(build, work, driver):
    """Then the program is as large as after a resume that waits for contents. (Where pocl's buffers
    lie depends on the allocator's arenas.)"""
    if driver != "testdriver":
        return "needs the test driver"
    with Lazy(build, work, driver, 0, 60000, slow=False, SHADOWCL_CHECK_WRITES="0") as program:
        for _ in range(2):
            program.shadowcl("suspend")
            program.shadowcl("resume")
        eager = program.resident()
        program.shadowcl("suspend")
        program.resume()
        program.wait_until_all_is_up()
        for _ in range(50):
            more = program.resident() - eager
            if more < PIECES * KIB * 1024 / 2:
                break
            time.sleep(0.1)
        assert more < PIECES * KIB * 1024 / 2, f"{more} bytes more than after an eager one"
        program.end()
    return f"{more} bytes more than after an eager one"


def an_upload_fails(build, work, driver):
    """What the thread of ours could not bring up comes when it is needed, or when it tries again."""
    if driver != "testdriver":
        return "needs the test driver"
    with Lazy(build, work, driver, 0, 60000) as program:
        for fault in ("fail clEnqueueWriteBuffer 3 -5", "spoil clEnqueueWriteBuffer 70 -36"):
            program.shadowcl("suspend")
            program.resume(fault)
            time.sleep(0.2)
            program.check()
            program.shadowcl("suspend")
            said = program.resume(fault)
            end = time.monotonic() + 60
            while program.owed():
                assert time.monotonic() < end, f"{program.owed()} bytes are owed for good"
                time.sleep(0.1)
            program.check()
            program.fault()
        program.shadowcl("suspend")
        program.resume("fail clEnqueueWriteBuffer 3 -5")
        time.sleep(0.5)
        program.fault()
        program.shadowcl("suspend")
        program.shadowcl("resume")
        program.check()
        program.end()
    return f"{said['owed_bytes']} bytes came, some later"


def the_program_gets_the_error(build, work, driver):
    """Of an upload that fails for a command; and nothing is lost."""
    if driver != "testdriver":
        return "needs the test driver"
    with Lazy(build, work, driver, 0, 60000, SHADOWCL_LAZY="needed") as program:
        program.shadowcl("suspend")
        program.resume("fail clEnqueueWriteBuffer 1 -5")
        program.say("check")
        program.expect("read: -5")
    return "CL_OUT_OF_RESOURCES"


def small_ones_do_not_wait_for_a_large_one(build, work, driver):
    """Whose write never ends; a suspend keeps its contents all the same."""
    if driver != "testdriver":
        return "needs the test driver"
    with Lazy(build, work, driver, 0, 60000, pieces=FEW, WRITER_BALLAST="20",
              SHADOWCL_COPY_PATIENCE="5") as program:
        program.shadowcl("suspend")
        program.resume(f"spoil clEnqueueWriteBuffer {FEW + 2} 2")  # beside the pieces it has one more
        time.sleep(0.3)
        start = time.monotonic()
        program.check()
        took = time.monotonic() - start
        assert took < 2, f"they waited for {took:.1f} s"
        assert program.owed() == BALLAST, f"{program.owed()} bytes are owed"
        program.fault()
        time.sleep(6)
        program.shadowcl("suspend")
        program.resume()
        program.check_ballast()
        program.check()
        program.wait_until_all_is_up()
        program.end()
    return f"they waited for {took * 1e3:.0f} ms"


def what_comes_late_is_up(build, work, driver):
    """The driver begins with the writes only when nobody waits for them any more."""
    if driver != "testdriver":
        return "needs the test driver"
    with Lazy(build, work, driver, 0, 60000, pieces=FEW, WRITER_BALLAST="20",
              SHADOWCL_COPY_PATIENCE="1") as program:
        program.shadowcl("suspend")
        program.resume("stall 2", f"log {program.calls}")
        time.sleep(4)
        before = program.writes()
        assert program.owed() > BALLAST, f"{program.owed()} bytes are owed"
        program.wait_until_all_is_up()
        assert before <= FEW + 2, f"{before} writes of {FEW + 2} buffers"
        program.check()
        program.check_ballast()
        program.shadowcl("suspend", "--prepare")
        program.resume()
        program.check_ballast()
        program.end()
    return f"{before} writes, none of them twice"


def a_large_one_goes_up_in_parts(build, work, driver):
    """A suspend, and a fork, wait for one of them only."""
    if driver != "testdriver":
        return "needs the test driver"
    slowly = "slow clEnqueueWriteBuffer 400000"
    with Lazy(build, work, driver, 0, 60000, pieces=FEW, WRITER_BALLAST="250") as program:
        program.shadowcl("suspend")
        log = f"log {program.calls}"
        program.resume(log)
        while program.owed():
            time.sleep(0.1)
        whole = program.writes()
        assert whole == FEW + 1 + 4, f"{whole} writes of {FEW + 1} buffers and four parts of one"
        program.shadowcl("suspend")
        program.calls.unlink()
        program.resume(log, slowly)
        while program.writes() < FEW + 2:  # at the first part of the large one
            time.sleep(0.01)
        program.say("fork")
        took = float(program.answer())
        limit = 5000 if os.environ.get("TEST_SANITIZED") else 1000
        assert took < limit, f"a fork took {took} ms"
        program.shadowcl("suspend")
        begun = program.writes()
        assert begun < whole, f"{begun} writes before the suspend"
        program.resume()
        program.check_ballast()
        program.check()
        program.fault()
        program.wait_until_all_is_up()
        program.end()
    return f"{begun} of {whole} writes before a suspend; a fork took {took:.0f} ms"


def it_ends_in_the_middle(build, work, driver):
    with Lazy(build, work, driver, 5, 5) as program:
        program.shadowcl("suspend")
        program.resume()
        program.fault()
        program.end()
    return "in peace"


def nothing_is_owed(build, work, driver):
    """Where contents stay in the host's memory."""
    with Lazy(build, work, driver, 20, 5, slow=False, SHADOWCL_MAPPING="shared") as program:
        for _ in range(3):
            program.shadowcl("suspend")
            said = program.resume()
            assert said["owed_bytes"] == 0 and said["device_bytes"] >= PIECES * KIB * 1024, said
            program.check()
        program.end()
    return f"of {said['device_bytes']} bytes none"


TESTS = [everything_is_there, suspends_come_in_the_middle, a_suspend_prepares_in_the_middle,
         a_refused_suspend_goes_on_with_it, staging_memory_is_freed, an_upload_fails,
         the_program_gets_the_error, small_ones_do_not_wait_for_a_large_one, what_comes_late_is_up,
         a_large_one_goes_up_in_parts, it_ends_in_the_middle, nothing_is_owed]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, required=True)
    parser.add_argument("--driver", choices=["pocl", "testdriver"], default="testdriver")
    parser.add_argument("tests", nargs="*", help="default: all")
    options = parser.parse_args()
    failures = 0
    for test in TESTS:
        if options.tests and test.__name__ not in options.tests:
            continue
        with tempfile.TemporaryDirectory(prefix="shadowcl-lazy-") as work:
            try:
                said = test(options.build.resolve(), Path(work), options.driver)
                print(f"ok     {test.__name__}: {said}", flush=True)
            except AssertionError as problem:
                failures += 1
                print(f"FAILED {test.__name__}: {problem}", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
