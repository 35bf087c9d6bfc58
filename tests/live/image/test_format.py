# SPDX-License-Identifier: Apache-2.0
"""docs/image-format.md is enough to read images by: a reader that was written by it and has no code
of ours (read_image.py) finds in an image what was put there, what `shadowcl inspect` finds, and in
images of each version what their programs had. It finds changed bytes, too."""
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "cli"))
sys.path.insert(0, HERE)
from harness import Case, run_tests  # noqa: E402
from read_image import Image, Wrong  # noqa: E402
from test_verbs import APART, SIZE, contents  # noqa: E402

DATA = os.path.join(HERE, "..", "..", "data")


class Format(Case):
    def path(self, name):
        return os.path.join(self.dir, name)

    def make(self, name, *words):
        subprocess.run([os.environ["MAKE_IMAGE"], self.path(name), *words], check=True)
        return self.path(name)

    def inspect(self, *args):
        return subprocess.run([os.path.join(self.tree, "bin/shadowcl"), "inspect", *map(str, args)],
                              capture_output=True, timeout=60, check=True).stdout

    def compare(self, path):
        """Both readers find the same; returns ours."""
        image = Image(path)
        element, = json.loads(self.inspect(path, "--json"))
        self.equal(image.objects, {each["serial"]: each["kind"] for each in element["objects"]})
        self.equal(image.about.get(4, [b""])[0].decode(), element["about"]["command"])
        sizes = {each["serial"]: each["contents"]["size"] for each in element["objects"]
                 if each["contents"]}
        self.equal({serial: len(data) for serial, data in image.contents.items()}, sizes)
        for serial, data in image.contents.items():
            self.assertTrue(self.inspect(path, "--dump", serial) == data, f"object {serial}")
        return image

    def test_what_was_put_there(self):
        image = self.compare(self.make("a"))
        self.equal(sorted(set(image.objects.values())), sorted(
            ["platform", "device", "context", "queue", "mem", "sampler", "origin", "recipe",
             "program", "kernel", "command_buffer", "event", "svm"]))
        for serial, size in ((6, SIZE), (8, 8192), (APART + 2, 4096)):
            self.assertTrue(image.contents[serial] == contents(serial, size), f"object {serial}")

    def test_images_of_each_version(self):
        """As they were written; nobody writes them anew."""
        found = 0
        for folder, _, names in os.walk(DATA):
            for name in sorted(names):
                if name.endswith(".shcl"):
                    image = self.compare(os.path.join(folder, name))
                    self.assertTrue(image.contents, name)
                    found += 1
        self.assertGreaterEqual(found, 4)

    def test_vectors_of_a_program(self):
        """What `sample-vadd --size 4096` had when version 1.0 was current (README.md there)."""
        for name in ("vadd-raw", "vadd-zstd"):
            path = os.path.join(DATA, "image-1.0", name + ".shcl")
            image = Image(path)
            vectors = [memoryview(data).cast("I").tolist() for data in image.contents.values()]
            constant = [(i * i + 1) & 0xffffffff for i in range(4096)]
            self.assertIn(constant, vectors, name)
            vectors.remove(constant)
            self.equal([len(vector) for vector in vectors], [4096, 4096])
            for vector in vectors:
                self.assertTrue(vector == [(i * 2654435761 + vector[0] * constant[i]) & 0xffffffff
                                           for i in range(4096)], name)
            self.shadowcl("verify", path)
            self.expect(0)

    def test_changed_bytes(self):
        with open(self.make("small", "size=5000"), "rb") as file:
            data = file.read()
        Image(self.path("small"))
        for offset in (*range(0, 128), *range(128, len(data), len(data) // 150)):
            with open(self.path("changed"), "wb") as file:
                file.write(data[:offset] + bytes([data[offset] ^ 1 << offset % 8])
                           + data[offset + 1:])
            with self.assertRaises((Wrong, IndexError), msg=f"offset {offset}"):
                Image(self.path("changed"))


if __name__ == "__main__":
    run_tests()
