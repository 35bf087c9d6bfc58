#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Images of samples that run: what is in them is what the program has on its device at that moment,
byte by byte, and the program gives the answer that it gives undisturbed, whether it was saved, had
its contents in a file, or found the disk full."""

import argparse
import array
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "samples"))
from read_image import HEAD, HEADER, Image, checksum  # noqa: E402
from samples import (Failure, MOST_TIMES, PATIENCE, Run, Setup, TooShort, check,  # noqa: E402
                     expect, run_long_enough, run_native)


def command(setup, *words, code=0):
    """What it gave on standard output, in bytes, and said on standard error."""
    done = subprocess.run([setup.bin / "shadowcl", *map(str, words)], env=setup.environment,
                          capture_output=True, timeout=PATIENCE, stdin=subprocess.DEVNULL)
    said = done.stderr.decode(errors="replace")
    expect(done.returncode == code, f"shadowcl {words}: exit code {done.returncode}: {said}")
    return done.stdout, said


def ask(run, *words, code=0):
    """The answer's element; a program that came to its end meanwhile had too little to do."""
    done = subprocess.run([run.setup.bin / "shadowcl", *map(str, words), "--json"],
                          env=run.setup.environment, capture_output=True, text=True,
                          timeout=PATIENCE, stdin=subprocess.DEVNULL)
    run.expect_at_work(done.returncode == code, f"{words}: exit code {done.returncode}: "
                                                f"{done.stdout}{done.stderr}")
    return json.loads(done.stdout)[0]


def check_file(path, image):
    """As the answer says, for its owner only, and alone in its folder."""
    status = path.stat()
    expect(stat.S_IMODE(status.st_mode) == 0o600, f"its mode is {status.st_mode:o}")
    expect(status.st_size == image["bytes"], f"{status.st_size} bytes, answered {image}")
    expect(not [each for each in path.parent.iterdir() if each.name.startswith(".")],
           f"left behind: {list(path.parent.iterdir())}")


def mems(setup, path):
    """Those with contents: {serial: bytes}."""
    element = json.loads(command(setup, "inspect", path, "--json")[0])[0]
    with_contents = [each for each in element["objects"] if each["contents"]]
    expect(with_contents, f"no contents in {path}")
    found = {}
    for each in with_contents:
        found[each["serial"]], _ = command(setup, "inspect", path, "--dump", each["serial"])
        expect(len(found[each["serial"]]) == each["contents"]["size"], f"dumped {each}")
    expect(Image(path).contents == found, f"another reader finds other contents in {path}")
    return found


def check_vadd(contents):
    """Three vectors of as many numbers: i^2 + 1, and two sums of one round and the next."""
    vectors = [array.array("I", each) for each in contents.values()]
    count = len(vectors[0])
    expect(len(vectors) == 3, f"{len(vectors)} buffers")
    constant = array.array("I", ((i * i + 1) & 0xffffffff for i in range(count)))
    expect(constant in vectors, "the vector that does not change is in none of them")
    vectors.remove(constant)
    rounds = [vector[0] for vector in vectors]  # the first starts at 0, and 1 is added each time
    for vector, at in zip(vectors, rounds):
        expected = array.array("I", ((i * 2654435761 + at * constant[i]) & 0xffffffff
                                     for i in range(count)))
        wrong = sum(one != other for one, other in zip(vector, expected))
        expect(not wrong, f"{wrong} of {count} numbers are not those of round {at}")
    expect(abs(rounds[0] - rounds[1]) == 1, f"of rounds {rounds}")
    return max(rounds)


def check_whole(setup, path):
    answer = json.loads(command(setup, "verify", path, "--json")[0])[0]
    expect(answer["whole"] and not answer["error"], f"verify: {answer}")
    same = json.loads(command(setup, "diff", path, path, "--json")[0])[0]
    expect(same["same"], f"diff with itself: {same}")


def check_device(run, path):
    """The device it is on would do, for the process and for the image; none does by that name."""
    for what in (run.pid, path):
        answer = ask(run, "check", what, "--device", "0")
        expect(answer["resumes"] and not answer["missing"], f"check {what}: {answer}")
        answer = ask(run, "check", what, "--device", "no such device", code=1)
        expect("no such device" in answer["error"]["reason"], f"check {what}: {answer}")
    answer = ask(run, "verify", path, "--device", "0")
    expect(answer["resumes"] and all(each["same"] for each in answer["contents"]) and
           answer["contents"] and answer["ms"]["rebuild"] > 0, f"verify: {answer}")


def saved(setup, sample, folder):
    """Twice while it runs: it goes on meanwhile, and the images differ in what it has done."""
    with Run(setup, sample, "saved") as run:
        images = [folder / "a.image", folder / "b.image"]
        contents = []
        for image, fraction, more in zip(images, (0.2, 0.4), ((), ("--prepare",))):
            run.wait_until(fraction)
            answer = ask(run, "save", run.pid, image, *more)
            expect(answer["state"] == "running" and answer["image"], f"save: {answer}")
            check_file(image, answer["image"])
        for image in images:
            check_whole(setup, image)
            contents.append(mems(setup, image))
        if sample == "vadd":
            one, other = map(check_vadd, contents)
            expect(one < other, f"of round {one}, and then of {other}")
        differences = json.loads(command(setup, "diff", *images, "--json", code=1)[0])[0]
        expect(differences["same"] is False and not differences["error"], f"diff: {differences}")
        return run.finish()


def suspended(setup, sample, folder):
    """Its contents are in the file, which stays as it is, in use, until the resume."""
    image, other, piped = (folder / name for name in ("a.image", "b.image", "c.image"))
    with Run(setup, sample, "suspended") as run:
        run.wait_until(0.3)
        answer = ask(run, "suspend", run.pid, "--image", image, "--compress", "zstd")
        run.check_suspended(answer)
        check_file(image, answer["image"])
        refused = ask(run, "save", run.pid, image, code=1)
        expect(f"in use by process {run.pid}" in refused["error"]["reason"], f"{refused}")
        # What it has is in the file; that again is an image, also through a pipe.
        expect(ask(run, "save", run.pid, other)["state"] == "suspended", "saved, it is not")
        piped.write_bytes(command(setup, "save", run.pid, "-")[0])
        for each in (image, other, piped):
            check_whole(setup, each)
        for each in (other, piped):
            command(setup, "diff", image, each)
        if sample == "vadd":
            check_vadd(mems(setup, image))
        if setup.device:
            check_device(run, image)
        image.unlink()
        run.resume()
        return run.finish()


def from_elsewhere(image):
    """An image's bytes, as if another machine, or this one before it was booted, had written it:
    the first record's text is another, and its two checksums are made right again."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_bytes().strip()
    size = int.from_bytes(image[HEADER + 8:HEADER + 16], "little")
    payload = image[HEADER + HEAD:HEADER + HEAD + size]
    expect(payload.count(boot) == 1, "it does not say when its machine was booted")
    payload = payload.replace(boot, bytes(48 + (byte == 48) if byte != 45 else 45 for byte in boot))
    head = image[HEADER:HEADER + 16] + checksum(payload).to_bytes(8, "little")
    own = checksum(head + HEADER.to_bytes(8, "little") + image[16:32]).to_bytes(8, "little")
    return image[:HEADER] + head + own + payload + image[HEADER + HEAD + size:]


def write_over(path, image):
    """The same file: another one of that name is not the one that the process has open."""
    with open(path, "r+b") as file:
        file.write(image)
        file.truncate()


def written_over(setup, sample, folder):
    """The file holds another image than the process's own: whose that is is said, and the process
    stays suspended, with nothing lost once its own is back."""
    image, other = folder / "a.image", folder / "b.image"
    elsewhere = "of another machine or boot"
    with Run(setup, sample, "written-over") as run:
        run.wait_until(0.2)
        ask(run, "save", run.pid, other)
        run.wait_until(0.3)
        run.check_suspended(ask(run, "suspend", run.pid, "--image", image, "--compress", "off"))
        own = image.read_bytes()
        for bytes_, far in ((other.read_bytes(), False), (from_elsewhere(other.read_bytes()), True)):
            write_over(image, bytes_)
            check_whole(setup, image)
            answer = ask(run, "resume", run.pid, code=1)
            reason = answer["error"]["reason"]
            expect(answer["state"] == "suspended" and "another image has been written over it" in
                   reason and f"of process {run.pid} `" in reason, f"resume: {answer}")
            expect((elsewhere in reason) == far, f"it is {'' if far else 'not '}{elsewhere}: {reason}")
            expect("own image back" in answer["error"]["todo"], f"resume: {answer}")
        write_over(image, own)
        run.resume()
        return run.finish()


def full_disk(setup, sample, folder):
    """There is room for a file, and not for what is to be in it."""
    if os.geteuid() != 0:
        raise Failure("a disk of its own takes root's rights")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "none", folder], check=True)
    try:
        with Run(setup, sample, "full-disk") as run:
            for fraction, words in ((0.2, ["save", run.pid, folder / "a"]),
                                    (0.3, ["suspend", run.pid, "--image", folder / "a"])):
                run.wait_until(fraction)
                answer = ask(run, *words, "--compress", "off", code=1)
                expect(answer["state"] == "running" and "No space left" in
                       answer["error"]["reason"], f"{words}: {answer}")
                expect(not list(folder.iterdir()), f"left behind: {list(folder.iterdir())}")
            before = run.fraction
            time.sleep(0.3)
            run.expect_at_work(run.fraction > before, "it does not go on")
            return run.finish()
    finally:
        subprocess.run(["umount", folder], check=True)


def stalled(setup, sample, folder):
    """Nobody reads the pipe that the image goes to: the program goes on once the command gives up,
    and can be suspended again."""
    with Run(setup, sample, "stalled") as run:
        run.wait_until(0.3)
        with subprocess.Popen([setup.bin / "shadowcl", "save", "--timeout", "1", "--compress", "off",
                               str(run.pid), "-"], env=setup.environment, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as save:
            said = save.stderr.read()  # of its standard output nothing is read
            run.expect_at_work(save.wait(PATIENCE) == 1, f"save to nobody: {said}")
            expect("suspended" not in said, f"save to nobody: {said}")
            end = time.monotonic() + 10
            while "another" in str((answer := try_suspend(run))["error"]):
                expect(time.monotonic() < end, f"the save does not give up: {answer}")
                time.sleep(0.1)
            run.check_suspended(answer)
        run.resume()
        return run.finish()


def try_suspend(run):
    done = subprocess.run([run.setup.bin / "shadowcl", "suspend", str(run.pid), "--json"],
                          env=run.setup.environment, capture_output=True, text=True,
                          timeout=PATIENCE, stdin=subprocess.DEVNULL)
    return json.loads(done.stdout)[0]


def run_case(setup, sample, case, native):
    """Returns what the native run gives, which is another when there was too little to do."""
    while True:
        folder = setup.work / case.__name__
        folder.mkdir()
        try:
            check(native, case(setup, sample, folder))
            return native
        except TooShort:
            if setup.times >= MOST_TIMES:
                raise
            setup.times = min(MOST_TIMES, 2 * setup.times)
            native = run_native(setup, sample)
        finally:
            shutil.rmtree(folder)


def run_all(setup, sample, mapping):
    """Runs everything, also after a failure; returns the number of failures."""
    native = run_long_enough(setup, sample)
    failures = 0
    cases = [saved, suspended, full_disk, stalled]
    if mapping == "copy":  # else contents stay where the driver had them, also with a file
        cases.append(written_over)
    for case in cases:
        begin = time.monotonic()
        try:
            native = run_case(setup, sample, case, native)
            print(f"{sample}, {case.__name__}: equal, {time.monotonic() - begin:.1f} s", flush=True)
        except (Failure, subprocess.TimeoutExpired) as failure:
            failures += 1
            print(f"{sample}, {case.__name__}: FAILED: {failure}", flush=True)
    return failures


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, required=True, help="the build folder")
    parser.add_argument("--driver", choices=["pocl", "testdriver"], default="pocl")
    parser.add_argument("--mapping", choices=["shared", "copy"])
    parser.add_argument("--device", action="store_true", help="try images on the device too")
    parser.add_argument("sample")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    work = Path(tempfile.mkdtemp(prefix="images-"))
    try:
        setup = Setup(arguments.build.resolve(), arguments.driver, arguments.mapping, work)
        setup.device = arguments.device
        if run_all(setup, arguments.sample, arguments.mapping):
            sys.exit(1)
    except Failure as failure:
        sys.exit(f"{arguments.sample}: {failure}")
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
