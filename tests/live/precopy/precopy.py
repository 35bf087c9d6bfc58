#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`suspend --prepare`: contents are copied while the program runs and writes, and only what it wrote
last while it stands still. The library itself compares what it takes for unwritten with the device,
byte by byte (SHADOWCL_CHECK_WRITES); the program, at the end, everything."""

import argparse
import functools
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PATIENCE = 120


class Writer:
    """The program, under the shim on a driver with memory of its own."""

    def __init__(self, build, work, driver, pieces, kib, share, pause, **more):
        self.build = build
        node = work / "gpu"
        with open(node, "wb") as file:
            ballast = int(more.get("WRITER_BALLAST", 0)) << 20
            file.truncate(pieces * kib * 2048 + 4 * ballast + (64 << 20))
        self.environment = {
            **os.environ, "SHADOWCL_RUNTIME_DIR": str(work), "SHADOWCL_MAPPING": "copy",
            "SHADOWCL_CHECK_WRITES": "1", "SHADOWCL_LOG": f"debug:{work}/log",
            "SHADOWCL_DRIVERS": "libpocl.so.2", "POCL_CACHE_DIR": str(work / "cache")}
        self.environment |= more
        (work / "cache").mkdir(exist_ok=True)
        if driver == "testdriver":
            self.environment |= {
                "SHADOWCL_DRIVERS": str(build / "lib/testdriver/libshadowcl-testdriver.so"),
                "SHADOWCL_DEVICE_NODES": str(node), "SHADOWCL_TEST_DEVICE": str(node)}
        self.process = subprocess.Popen(
            [build / "bin/shadowcl", "run", "--", build / "bin/precopy-writer", str(pieces),
             str(kib), str(share), str(pause)], env=self.environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.expect("ready")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def answer(self):
        return self.process.stdout.readline().strip()

    def expect(self, wanted):
        said = self.answer()
        assert said == wanted, f"the program said {said!r} instead of {wanted!r}"

    def say(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def ask(self, verb, *arguments, pid=True):
        """The exit code, and what is answered of the program."""
        named = [str(self.process.pid)] if pid else []
        done = subprocess.run([self.build / "bin/shadowcl", verb, "--json", *arguments, *named],
                              env=self.environment, text=True, capture_output=True,
                              timeout=PATIENCE)
        answers = json.loads(done.stdout)
        return done.returncode, [each for each in answers if each["pid"] == self.process.pid][0]

    def shadowcl(self, verb, *arguments, pid=True):
        code, answer = self.ask(verb, *arguments, pid=pid)
        assert code == 0, f"{verb}: {answer.get('error')}"
        return answer

    def end(self):
        self.process.stdin.close()
        self.expect("right")
        assert self.process.wait(PATIENCE) == 0


def less_is_left(build, work, driver):
    """10 % are written in a round, with pauses in between: most is copied beforehand."""
    with Writer(build, work, driver, 200, 256, 10, 50) as writer:
        fractions = []
        for _ in range(6):
            time.sleep(0.2)
            said = writer.shadowcl("suspend", "--prepare", "--max-rounds", "4")
            assert 1 <= said["prepare_rounds"] <= 4, said
            assert said["prepared_bytes"] + said["copied_bytes"] >= said["captured_bytes"], said
            fractions.append(said["copied_bytes"] / said["captured_bytes"])
            writer.shadowcl("resume")
            writer.say("check")
            writer.expect("right")
        writer.end()
    fractions.sort()
    assert fractions[len(fractions) // 2] < 0.5, f"copied while standing still: {fractions}"
    return f"standing still, {fractions[len(fractions) // 2]:.0%} were copied (median of 6)"


def all_is_written_all_the_time(build, work, driver):
    """Nothing is gained, and nothing lost."""
    with Writer(build, work, driver, 64, 64, 100, 0) as writer:
        for _ in range(8):
            said = writer.shadowcl("suspend", "--prepare")
            assert said["copied_bytes"] <= said["captured_bytes"], said
            writer.shadowcl("resume")
        writer.end()
    return f"{said['prepare_rounds']} rounds at last"


def nothing_is_written(build, work, driver):
    """Then nothing is left to copy; in one round."""
    with Writer(build, work, driver, 64, 256, 0, 1000) as writer:
        said = writer.shadowcl("suspend", "--prepare")
        assert said["prepare_rounds"] == 1 and said["copied_bytes"] == 0, said
        assert said["captured_bytes"] >= 64 * 256 * 1024, said
        writer.shadowcl("resume")
        again = writer.shadowcl("suspend")
        assert again["prepare_rounds"] == 0, again
        assert again["copied_bytes"] == again["captured_bytes"], again
        writer.shadowcl("resume")
        writer.end()
    return f"{said['captured_bytes']} bytes copied beforehand"


def a_queue_is_never_empty(build, work, driver):
    """What comes after a round has begun is not waited for."""
    with Writer(build, work, driver, 64, 64, 0, 1000, WRITER_BUSY="1") as writer:
        said = writer.shadowcl("suspend", "--prepare", "--deadline", "60")
        assert said["copied_bytes"] < said["captured_bytes"] / 2, said
        assert not said["warnings"], said
        assert said["ms"]["prepare"] < 20000, said
        writer.shadowcl("resume")
        writer.end()
    return f"{said['ms']['prepare']:.0f} ms, {said['copied_bytes']} bytes left"


def nobody_waits(build, work, driver):
    """Who asked goes away in the middle: the program is not suspended behind everybody's back."""
    with Writer(build, work, driver, 64, 256, 0, 1000) as writer:
        command = [build / "bin/shadowcl", "suspend", "--max-rate", "2M", str(writer.process.pid)]
        asking = subprocess.Popen(command, env=writer.environment, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        time.sleep(1)
        asking.kill()
        asking.wait()
        time.sleep(1)
        state = writer.shadowcl("ps", pid=False)["state"]
        assert state == "running", state
        begin = time.monotonic()
        said = writer.shadowcl("suspend", "--prepare")
        assert time.monotonic() - begin < 20, "the first one still went on"
        assert said["captured_bytes"] >= 64 * 256 * 1024, said
        writer.shadowcl("resume")
        writer.end()
    return "the program runs on, and can be suspended again"


def the_rate_is_limited(build, work, driver):
    with Writer(build, work, driver, 64, 256, 0, 1000) as writer:
        said = writer.shadowcl("suspend", "--max-rate", "32M")
        bytes_copied, seconds = said["prepared_bytes"], said["ms"]["prepare"] / 1000
        assert bytes_copied / seconds < 40 << 20, f"{bytes_copied} bytes in {seconds} s"
        writer.shadowcl("resume")
        writer.end()
    return f"{bytes_copied / seconds / (1 << 20):.1f} MiB/s"


def the_rate_is_even(build, work, driver):
    """Also within one large buffer, to memory and to a file: it goes bit by bit, and there is no
    pause when all is copied."""
    if driver != "testdriver":
        return "needs the test driver"
    mib, rate, calls, faults = 48, 64, work / "calls", work / "faults"
    faults.write_text(f"log {calls}\n")
    with Writer(build, work, driver, 1, 64, 0, 60000, WRITER_BALLAST=str(mib),
                SHADOWCL_TEST_FAULTS=str(faults)) as writer:
        for options in ([], ["--image", str(work / "image")]):
            calls.write_text("")
            said = writer.shadowcl("suspend", "--max-rounds", "1", "--max-rate", f"{rate}M", *options)
            count = calls.read_text().split().count("clEnqueueReadBuffer")
            took = said["ms"]["prepare"] / 1000
            assert count > 10, f"{count} reads for {mib} MiB"
            assert 0.85 * mib / rate < took < 3 * mib / rate, f"{mib} MiB in {took} s"
            writer.shadowcl("resume")
            writer.say("ballast")
            writer.expect("right")
        writer.end()
    return f"{mib} MiB in {took:.2f} s"


def binaries_are_fetched_beforehand(build, work, driver):
    """For which a driver may have to compile."""
    if driver != "testdriver":
        return "needs the test driver"
    faults = work / "faults"
    faults.write_text("slow clGetProgramInfo 200000\n")
    capture = {}
    for option in ("--deadline=60", "--prepare"):
        with Writer(build, work, driver, 8, 64, 0, 60000, SHADOWCL_TEST_FAULTS=str(faults)) as writer:
            capture[option] = writer.shadowcl("suspend", option)["ms"]["capture"]
            writer.shadowcl("resume")
            writer.end()
    plain, prepared = capture.values()
    assert plain > 400 and prepared < plain / 4, f"{prepared} ms of capture, otherwise {plain}"
    return f"{prepared:.1f} ms of capture, otherwise {plain:.1f}"


def binaries_that_do_not_come(build, work, driver):
    """The driver does not come back with them: refused, and the next one waits for nobody."""
    if driver != "testdriver":
        return "needs the test driver"
    faults = work / "faults"
    faults.write_text("")
    with Writer(build, work, driver, 8, 64, 0, 60000, SHADOWCL_TEST_FAULTS=str(faults),
                SHADOWCL_CALL_PATIENCE="1") as writer:
        faults.write_text("hang clGetProgramInfo 1\n")
        code, said = writer.ask("suspend", "--prepare")
        assert code == 1 and said["state"] == "running", said
        assert "has not come back from a call" in said["error"]["reason"], said["error"]
        faults.write_text("")
        end = time.monotonic() + 30
        while writer.ask("suspend", "--prepare")[0] != 0:
            assert time.monotonic() < end, "it is never suspended"
            time.sleep(0.2)
        writer.shadowcl("resume")
        writer.end()
    return said["error"]["reason"]


def nothing_to_copy(build, work, driver):
    """The device shares the host's memory, where contents stay: on any driver, when it is forced."""
    with Writer(build, work, driver, 64, 64, 20, 5, SHADOWCL_MAPPING="shared") as writer:
        for _ in range(3):
            said = writer.shadowcl("suspend", "--prepare")
            # What the program has mapped at that moment is copied all the same.
            assert said["prepared_bytes"] == 0 and said["captured_bytes"] == said["copied_bytes"] \
                and said["captured_bytes"] in (0, 64 << 10), said
            writer.shadowcl("resume")
            writer.say("check")
            writer.expect("right")
        writer.end()
    return "nothing is copied, beforehand or later, but for one buffer while it is mapped"


def resident(pid, which):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith(which))


def beyond(pid, act, before_or_after=max):
    """What it answers, and the most memory that the process had meanwhile beyond what it has while
    it runs: what its device has is mapped then, and not while it is suspended."""
    with open(f"/proc/{pid}/clear_refs", "w") as refs:
        refs.write("5")
    before = resident(pid, "VmRSS")
    answer = act()
    return answer, resident(pid, "VmHWM") - before_or_after(before, resident(pid, "VmRSS"))


def expect_length(image, pieces, bytes_kept):
    """Contents, and 1 KB for each object."""
    allowed = bytes_kept + (pieces + 16) * 1024
    assert image["bytes"] <= allowed, f"{image}: {allowed} bytes are allowed"


def memory_for_a_file(build, work, driver):
    """Half a GiB on the device, and at most 64 MiB more in memory, beforehand or not; in the end
    every byte is there."""
    if os.environ.get("TEST_SANITIZED"):
        return "skipped: a sanitizer has memory of its own"
    limit, most = 64 << 20, 0
    for share, words in ((0, ()), (0, ("--prepare",)), (5, ("--prepare", "--max-rounds", "3"))):
        with Writer(build, work, driver, 512, 1024, share, 100) as writer:
            pid = writer.process.pid
            for number in range(2):
                image = work / f"{number}.image"
                said, more = beyond(pid, lambda: writer.shadowcl("suspend", "--image", str(image),
                                                                 *words))
                assert said["captured_bytes"] >= 512 << 20, said
                assert (said["prepare_rounds"] > 0) == bool(words), said
                assert more <= limit, f"{words}, {share} % written: {more} bytes more: {said}"
                assert said["image"]["contents_bytes"] >= 512 << 20, said
                if share == 0:
                    expect_length(said["image"], 512, said["image"]["contents_bytes"])
                most = max(most, more)
                _, more = beyond(pid, lambda: writer.shadowcl("resume"))
                assert more <= limit, f"resume: {more} bytes more"
                most = max(most, more)
                image.unlink()
                writer.say("check")
                writer.expect("right")
            # (pocl may let go of its buffers a little later.)
            said, more = beyond(pid, lambda: writer.shadowcl("suspend", *words), min)
            assert more > limit, f"to memory: {more} bytes more, so that nothing is measured"
            writer.shadowcl("resume")
            writer.end()
    return f"{most / (1 << 20):.1f} MiB more"


def into_a_file(build, work, driver):
    """Copied into it while the program writes, some of it again and again."""
    written = []
    for share, pause in ((10, 50), (100, 0)):
        with Writer(build, work, driver, 100, 1024, share, pause) as writer:
            for number in range(4):
                image = work / f"{share}-{number}.image"
                said = writer.shadowcl("suspend", "--image", str(image), "--prepare",
                                       "--max-rounds", "4", "--compress", "off")
                assert 1 <= said["prepare_rounds"] <= 4, said
                assert said["prepared_bytes"] >= 100 << 20, said
                written.append(said["image"]["bytes"] / said["image"]["contents_bytes"])
                expect_length(said["image"], 100, said["prepared_bytes"] + said["copied_bytes"])
                done = subprocess.run([build / "bin/shadowcl", "verify", image],
                                      env=writer.environment, text=True, capture_output=True)
                assert done.returncode == 0, f"verify: {done.stdout}{done.stderr}"
                writer.shadowcl("resume")
                writer.say("check")
                writer.expect("right")
            saved = work / "saved.image"
            said = subprocess.run([build / "bin/shadowcl", "save", "--prepare",
                                   str(writer.process.pid), saved], env=writer.environment,
                                  text=True, capture_output=True, timeout=PATIENCE)
            assert said.returncode == 0, f"save: {said.stderr}"
            writer.shadowcl("suspend", "--prepare")
            writer.shadowcl("resume")
            writer.end()
    return f"the longest file has {max(written):.0%} of the contents"


CHUNK_MS = 50    # that the driver takes for a MiB on its way into the file
PART_MS = 1000   # that it takes for 64 MiB on their way to memory
BOUND_MS = 4000  # that a fork, or the end, may take while copies of more than that go on


@contextlib.contextmanager
def slowly(build, work, pieces, mib, call_ms, before, *arguments, ends=False):
    """While a suspend of some seconds copies beforehand: the program, and who asked."""
    faults = work / "faults"
    faults.write_text("")
    with Writer(build, work, "testdriver", pieces, mib * 1024, 0, 1000,
                SHADOWCL_TEST_FAULTS=str(faults)) as writer:
        faults.write_text(f"slow clEnqueueReadBuffer {call_ms * 1000}\nlog {work / 'calls'}\n")
        asking = subprocess.Popen(
            [build / "bin/shadowcl", "suspend", "--json", "--prepare", *arguments,
             str(writer.process.pid)], env=writer.environment, stdout=subprocess.PIPE, text=True)
        try:
            wait_until(lambda: calls(work).count("clEnqueueReadBuffer") >= before,
                       "a copy beforehand")
            yield writer, asking
        finally:
            asking.kill()
            asking.wait()
        if not ends:
            writer.end()


def slowly_into_a_file(build, work, pieces, mib, **more):
    return slowly(build, work, pieces, mib, CHUNK_MS, 11, "--image", work / "image", **more)


def slowly_to_memory(build, work, pieces, mib, **more):
    return slowly(build, work, pieces, mib, PART_MS, 1, **more)


def calls(work):
    return (work / "calls").read_text() if (work / "calls").exists() else ""


def wait_until(happened, what, patience=PATIENCE):
    end = time.monotonic() + patience
    while not happened():
        assert time.monotonic() < end, f"{what} did not come in {patience} s"
        time.sleep(0.02)


def end_of_suspend(writer, asking):
    said = json.loads(asking.communicate(timeout=PATIENCE)[0])[0]
    assert asking.returncode == 0, said
    writer.shadowcl("resume")
    writer.say("check")
    writer.expect("right")
    return said


def on_the_test_driver(test):
    """For the one that does what the control file says."""
    @functools.wraps(test)
    def on_that_one(build, work, driver):
        if driver != "testdriver":
            return "skipped: no other driver does what it is told"
        return test(build, work, driver)
    return on_that_one


@on_the_test_driver
def nobody_waits_for_a_file(build, work, driver):
    """Who asked goes away in the middle of an object that takes seconds: that is noticed in it."""
    with slowly_into_a_file(build, work, 1, 120) as (writer, asking):
        asking.kill()
        asking.wait()
        time.sleep(1)
        read = calls(work).count("clEnqueueReadBuffer")
        assert read < 60, f"{read} MiB of 120 were read"
        said = writer.shadowcl("check")
        assert said["state"] == "running", said
    return f"{read} MiB of 120 were read"


@on_the_test_driver
def a_release_into_a_file(build, work, driver):
    """A buffer that the program releases while it is copied is given back to the driver then."""
    with slowly_into_a_file(build, work, 1, 120) as (writer, asking):
        writer.say("drop")
        writer.expect("dropped")
        wait_until(lambda: "clReleaseMemObject" in calls(work), "the driver's release")
        read = calls(work).count("clEnqueueReadBuffer")
        assert read < 60, f"{read} MiB of 120 were read"
        said = end_of_suspend(writer, asking)
        assert said["captured_bytes"] < 1 << 20, said
    return f"{read} MiB of 120 were read"


def forks_meanwhile(slow, build, work, pieces, mib, count):
    """They come between two parts of whatever is being copied; the copies go on."""
    with slow(build, work, pieces, mib) as (writer, asking):
        took = []
        for _ in range(count):
            writer.say("fork")
            took.append(float(writer.answer()))
        assert asking.poll() is None, "the copies had ended before the last fork"
        assert max(took) < BOUND_MS, f"forks took {took} ms"
        said = end_of_suspend(writer, asking)
    assert said["prepared_bytes"] >= pieces * mib << 20, said
    assert said["copied_bytes"] < 1 << 20, said
    return f"{max(took):.0f} ms at most, of {said['ms']['prepare']:.0f}"


def end_meanwhile(slow, build, work, pieces, mib):
    """It does not wait for the copies, and nobody is told that the program is suspended."""
    with slow(build, work, pieces, mib, ends=True) as (writer, asking):
        start = time.monotonic()
        writer.say("leave")
        assert writer.process.wait(PATIENCE) == 0, writer.process.returncode
        took = (time.monotonic() - start) * 1e3
        said = json.loads(asking.communicate(timeout=PATIENCE)[0])[0]
        assert took < BOUND_MS, f"the end took {took:.0f} ms"
        assert said["state"] == "gone", said
    return f"{took:.0f} ms"


@on_the_test_driver
def a_fork_while_one_is_copied(build, work, driver):
    return forks_meanwhile(slowly_into_a_file, build, work, 1, 120, 4)


@on_the_test_driver
def a_fork_while_many_are_copied(build, work, driver):
    return forks_meanwhile(slowly_into_a_file, build, work, 100, 1, 4)


@on_the_test_driver
def a_fork_while_memory_is_filled(build, work, driver):
    return forks_meanwhile(slowly_to_memory, build, work, 1, 448, 2)


@on_the_test_driver
def the_end_while_one_is_copied(build, work, driver):
    return end_meanwhile(slowly_into_a_file, build, work, 1, 120)


@on_the_test_driver
def the_end_while_memory_is_filled(build, work, driver):
    return end_meanwhile(slowly_to_memory, build, work, 1, 448)


@on_the_test_driver
def a_missed_write_is_told(build, work, driver):
    """A byte changes that no command has written, between its copy and the end: the suspend is
    refused by name, to memory and into a file, and the program has all that it had."""
    faults, image, pieces = work / "faults", work / "image", 16
    faults.write_text("")
    told = []
    with Writer(build, work, driver, pieces, 64, 0, 1000,
                SHADOWCL_TEST_FAULTS=str(faults)) as writer:
        for words, what in (((), "but byte 100 of 65536 has changed"),
                            (("--image", str(image)), "but it has changed")):
            # The oldest buffer is the one of constants. It and the pieces are read once each
            # beforehand; the next read is already to compare.
            faults.write_text(f"flip clEnqueueReadBuffer {pieces + 2} 100\n")
            code, said = writer.ask("suspend", "--prepare", *words)
            assert code == 1 and said["state"] == "running", said
            error = said["error"]
            assert error["object"].startswith("buffer "), error
            assert error["reason"] == f"it was taken for unwritten, {what}", error
            assert "a fault of shadowcl" in error["todo"], error
            assert not image.exists(), "there is an image of it"
            writer.say("check")
            writer.expect("right")
            said = writer.shadowcl("suspend", "--prepare", *words)
            assert said["copied_bytes"] == 0, said
            writer.shadowcl("resume")
            writer.say("check")
            writer.expect("right")
            told.append(error["object"])
        writer.end()
    return f"refused for {told[0]} and {told[1]}"


@contextlib.contextmanager
def a_slow_device(build, work):
    """Copies take 10 ms each, all of them twice as long as the program waits before it writes again."""
    faults = work / "faults"
    faults.write_text("slow clEnqueueReadBuffer 10000\n")
    with Writer(build, work, "testdriver", 64, 16, 10, 300,
                SHADOWCL_TEST_FAULTS=str(faults)) as writer:
        yield writer


def rounds_of(writer, *words):
    """After the first round something is left."""
    said = writer.shadowcl("suspend", *words)
    writer.shadowcl("resume")
    writer.say("check")
    writer.expect("right")
    assert said["prepare_rounds"] > 1 or said["copied_bytes"] > 0, f"nothing was left: {said}"
    return said["prepare_rounds"]


@on_the_test_driver
def the_target_says_when_it_is_enough(build, work, driver):
    """What is left would take some 100 ms: with more allowed one round is enough, with next to
    nothing there are as many as help."""
    with a_slow_device(build, work) as writer:
        generous = rounds_of(writer, "--target-downtime", "60000")
        strict = rounds_of(writer, "--target-downtime", "0.01")
        assert generous == 1 and strict > 1, f"{generous} and {strict} rounds"
        writer.end()
    return f"one round, and {strict}"


@on_the_test_driver
def there_are_no_more_rounds_than_allowed(build, work, driver):
    with a_slow_device(build, work) as writer:
        for most in (1, 2):
            rounds = rounds_of(writer, "--target-downtime", "0.01", "--max-rounds", str(most))
            assert rounds == most, f"{rounds} rounds of {most}"
        writer.end()
    return "one, and two"


TESTS = [a_missed_write_is_told, the_target_says_when_it_is_enough,
         there_are_no_more_rounds_than_allowed, nobody_waits_for_a_file, a_release_into_a_file,
         a_fork_while_one_is_copied, a_fork_while_many_are_copied, a_fork_while_memory_is_filled,
         the_end_while_one_is_copied, the_end_while_memory_is_filled, memory_for_a_file, into_a_file, a_queue_is_never_empty,
         nobody_waits, less_is_left, all_is_written_all_the_time, nothing_is_written,
         the_rate_is_limited, the_rate_is_even, binaries_are_fetched_beforehand,
         binaries_that_do_not_come, nothing_to_copy]


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
        with tempfile.TemporaryDirectory(prefix="shadowcl-precopy-") as work:
            try:
                said = test(options.build.resolve(), Path(work), options.driver)
                print(f"ok     {test.__name__}: {said}", flush=True)
            except AssertionError as problem:
                failures += 1
                print(f"FAILED {test.__name__}: {problem}", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
