#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Images rebuilt without their program: on the same device, on another, on one that lacks what is
needed, on one that breaks. The images are make-image's, with an object of every kind."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PATIENCE = 120
NODE_BYTES = 64 << 20
KINDS = {"context": 2, "queue": 2, "mem": 7, "sampler": 1, "program": 2, "kernel": 2,
         "command buffer": 1, "event": 1, "svm": 1}
# Without sub-devices, SVM and command buffers.
PLAIN = {"context": 1, "queue": 1, "mem": 6, "sampler": 1, "program": 2, "kernel": 2, "event": 1}

VADD = {"context": 1, "queue": 1, "mem": 3, "program": 1, "kernel": 1}


class Place:
    """A folder with drivers and images of its own."""

    def __init__(self, build, work, drivers):
        self.build, self.work = build, work
        self.node, self.faults = work / "gpu", work / "faults"
        vendors = work / "vendors"
        vendors.mkdir()
        for name in drivers:
            library = {"pocl": "libpocl.so.2", "rusticl": "libRusticlOpenCL.so.1",
                       "testdriver": build / "lib/testdriver/libshadowcl-testdriver.so"}[name]
            (vendors / f"{name}.icd").write_text(f"{library}\n")
        with open(self.node, "wb") as node:
            node.truncate(NODE_BYTES)
        self.faults.write_text("")
        self.environment = {
            **os.environ, "OCL_ICD_VENDORS": str(vendors), "SHADOWCL_DRIVERS": str(vendors),
            "SHADOWCL_RUNTIME_DIR": str(work), "RUSTICL_ENABLE": "llvmpipe",
            "SHADOWCL_TEST_DEVICE": str(self.node), "SHADOWCL_TEST_FAULTS": str(self.faults),
        }

    def image(self, *words):
        path = self.work / "image"
        subprocess.run([self.build / "bin/make-image", path, *words], env=self.environment,
                       check=True, timeout=PATIENCE)
        return path

    def start(self, verb, path, device, *more, **settings):
        return subprocess.Popen(
            [self.build / "lib/shadowcl/shadowcl-rebuild", verb, path, device, *more],
            env={**self.environment, **settings}, stdout=subprocess.PIPE, text=True)

    def rebuild(self, verb, path, device="", *more, code=0, **settings):
        return finish(self.start(verb, path, device, *more, **settings), code)


def finish(process, code=0):
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, f"exit status {process.returncode}: {output}"
    return json.loads(output)


def expect_same(answer, kinds):
    assert not answer["error"] and not answer["missing"], answer
    assert answer["objects"] == kinds, answer["objects"]
    assert answer["contents"] and all(one["same"] for one in answer["contents"]), answer
    assert sum(one["size"] for one in answer["contents"]) == answer["bytes"], answer
    assert answer["devices"], answer


def expect_missing(answer, *wanted):
    """Each is named, and nothing else is, and no object was made."""
    assert not answer["error"] and not answer["contents"], answer
    found = answer["missing"]
    assert len(found) == len(wanted), found
    for object, reason in wanted:
        assert any(object in one["object"] and reason in one["reason"] and one["todo"]
                   for one in found), f"no `{object}`: `{reason}` in {found}"


def test_every_kind_on_pocl(start):
    place = start("pocl")
    for words in (), ("shared",):
        answer = place.rebuild("verify", place.image(*words))
        expect_same(answer, KINDS)
        # It was told more memory than anybody has.
        assert [w for w in answer["warnings"] if w.startswith("global memory")], answer["warnings"]


def test_on_a_device_with_memory_of_its_own(start):
    place = start("testdriver")
    expect_same(place.rebuild("verify", place.image("plain")), PLAIN)


def test_on_another_driver(start):
    place = start("pocl", "rusticl")
    image = place.image("plain", "elsewhere")
    answer = place.rebuild("verify", image, "rusticl")
    expect_same(answer, PLAIN)
    assert answer["devices"][0]["platform"] == "rusticl", answer["devices"]


def test_images_of_version_1_0(start):
    """Of a program, on devices that are not the one it was on."""
    place = start("pocl", "testdriver")
    data = Path(__file__).resolve().parents[2] / "data/image-1.0"
    for name in "vadd-raw", "vadd-zstd":
        for device in "0:0", "1:0":
            expect_same(place.rebuild("verify", data / f"{name}.shcl", device), VADD)


def test_all_that_is_missing_is_named(start):
    """rusticl has no sub-devices, SVM or command buffers."""
    place = start("pocl", "rusticl")
    image = place.image("large", "wide", "double", "elsewhere")
    wanted = [("sub-device 1", "can't be divided"), ("SVM allocation", "does not take memory"),
              ("buffer 15", "bytes are more than"), ("kernel `scale`", "work-groups of 1000000"),
              ("command buffer", "no cl_khr_command_buffer"), ("program", "can't be built")]
    for verb in "check", "verify":
        expect_missing(place.rebuild(verb, image, "rusticl"), *wanted)


def test_what_the_test_driver_lacks(start):
    place = start("testdriver")
    image = place.image("plain", "format", "wrong", "elsewhere")
    answer = place.rebuild("check", image, "0:0", SHADOWCL_TEST_CAPS="mem=8M")
    expect_missing(answer, ("image 11", "is not there for images of its sort"),
                   ("image 12", "the program's objects need"), ("program", "can't be built"))
    answer = place.rebuild("check", place.image("plain"), "0:0", SHADOWCL_TEST_CAPS="noimages")
    expect_missing(answer, *[(f"image {serial}", "the device has no images")
                             for serial in (11, 12, 13, 14)])


def test_strict_asks_for_what_was_told(start):
    place = start("pocl")
    answer = place.rebuild("check", place.image(), "pocl", "--strict")
    expect_missing(answer, ("device", "global memory"))


def test_what_cannot_be_carried(start):
    place = start("pocl")
    expect_missing(place.rebuild("check", place.image("refused")), ("buffer 8", "it is of no use"))


def test_no_device_like_it(start):
    place = start("pocl")
    answer = place.rebuild("verify", place.image("elsewhere"), code=1)
    assert "no device here that is just like" in answer["error"]["reason"], answer
    assert answer["error"]["object"] == "device `the image's device`", answer
    answer = place.rebuild("verify", place.image(), "nothing", code=1)
    assert "no such device" in answer["error"]["reason"], answer


def test_memory_whose_address_is_taken(start):
    """The rest is verified nevertheless."""
    place = start("pocl")
    answer = place.rebuild("verify", place.image("taken"))
    assert not answer["error"] and all(one["same"] for one in answer["contents"]), answer
    assert sum(one["size"] for one in answer["contents"]) == answer["bytes"] - 100000, answer
    assert [w for w in answer["warnings"] if "its address is not free" in w], answer["warnings"]
    assert [w for w in answer["warnings"] if "an argument points to" in w], answer["warnings"]
    assert [w for w in answer["warnings"] if "made without commands" in w], answer["warnings"]


def test_contents_that_do_not_fit(start):
    place = start("pocl")
    answer = place.rebuild("check", place.image("short"), code=1)
    assert answer["error"]["object"] == "object 8", answer
    assert "not that of its contents" in answer["error"]["reason"], answer


def test_a_damaged_file(start):
    place = start("pocl")
    image = place.image()
    damaged = bytearray(image.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    image.write_bytes(damaged)
    answer = place.rebuild("verify", image, code=1)
    assert "offset" in answer["error"]["object"] + answer["error"]["reason"], answer
    answer = place.rebuild("verify", place.work / "nothing", code=1)
    assert "No such file" in answer["error"]["reason"], answer


def wait_for_hang(place, process):
    """Until the driver has written something: the call that hangs comes soon after."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        bytes = place.node.read_bytes()
        if bytes.find(buffer_sample()) >= 0:
            return bytes
        time.sleep(0.1)
    raise AssertionError("the buffer did not come to the device")


def buffer_sample():
    """The first bytes of buffer 8, as make-image mixes them."""
    sample = bytearray()
    for at in range(64):
        mixed = ((8 << 40) | at) * 0x9e3779b97f4a7c15 % 2**64
        mixed = (mixed ^ mixed >> 29) * 0xbf58476d1ce4e5b9 % 2**64
        sample.append(mixed >> 56)
    return bytes(sample)


def test_a_device_that_forgets(start):
    """One byte of its memory changes before it is read back."""
    place = start("testdriver")
    image = place.image("plain")
    place.faults.write_text("hang clEnqueueReadBuffer 1\n")
    process = place.start("verify", image, "")
    node = wait_for_hang(place, process)
    at = node.find(buffer_sample())
    time.sleep(5)
    with open(place.node, "r+b") as file:
        file.seek(at + 1000)
        file.write(bytes([node[at + 1000] ^ 0x80]))
    place.faults.write_text("")
    answer = finish(process)
    assert not answer["error"], answer
    different = [one["serial"] for one in answer["contents"] if not one["same"]]
    assert different == [8], answer


def test_a_driver_that_fails(start):
    place = start("testdriver")
    image = place.image("plain")
    for call, object in (("clCreateImage 2", "image 12"), ("clEnqueueWriteImage 3", "image"),
                         ("clEnqueueReadBuffer 2", "buffer 8"), ("clCreateKernel 1", "kernel")):
        place.faults.write_text(f"fail {call} -5\n")
        answer = place.rebuild("verify", image, code=1)
        assert object in answer["error"]["object"], answer
        assert "-5" in answer["error"]["reason"], answer


def test_a_program_that_does_not_compile(start):
    place = start("pocl")
    answer = place.rebuild("verify", place.image("plain", "wrong"), code=1)
    assert answer["error"]["object"] == "program 23", answer
    assert "-11 when it is built again" in answer["error"]["reason"], answer


def test_no_link_is_followed(start):
    """The command has looked at the file; by then something else may have its name."""
    place = start("pocl")
    image, link, pipe = place.image("plain"), place.work / "link", place.work / "pipe"
    link.symlink_to(image)
    answer = place.rebuild("check", link, code=1)
    assert f"open `{link}`" in answer["error"]["reason"], answer
    os.mkfifo(pipe)
    answer = place.rebuild("check", pipe, code=1)
    assert "it is not a file" in answer["error"]["reason"], answer


def test_wrong_usage(start):
    place = start("pocl")
    for arguments in [], ["verify"], ["save", "a", "b"], ["check", "a", "b", "--exact"]:
        done = subprocess.run([place.build / "lib/shadowcl/shadowcl-rebuild", *arguments],
                              capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 2 and not done.stdout and "usage" in done.stderr, done


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, required=True)
    parser.add_argument("tests", nargs="*", metavar="TEST", help="default: all")
    options = parser.parse_args()
    tests = {name[5:]: test for name, test in globals().items() if name.startswith("test_")}
    failed = []
    for name in options.tests or tests:
        with tempfile.TemporaryDirectory(prefix="shadowcl-image-load-") as work:
            try:
                tests[name](lambda *drivers: Place(options.build.resolve(), Path(work), drivers))
                print(f"ok    {name}", flush=True)
            except Exception as error:
                print(f"FAILED {name}: {error!r}", flush=True)
                failed.append(name)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
