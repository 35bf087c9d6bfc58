#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An image of a program with a thousand objects is as long as what is not zero in them, and 1 KB
for each of them."""

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "samples"))
from samples import Failure, PATIENCE, Setup, expect  # noqa: E402

COUNT = 1000
NUM_KINDS = 5


def shadowcl(setup, *words):
    done = subprocess.run([setup.bin / "shadowcl", *map(str, words), "--json"],
                          env=setup.environment, capture_output=True, text=True,
                          timeout=PATIENCE, stdin=subprocess.DEVNULL)
    expect(done.returncode == 0,
           f"{words}: exit code {done.returncode}: {done.stdout}{done.stderr}")
    return json.loads(done.stdout)[0]


def check_length(setup, image, said, bytes_made):
    """The program's own count of bytes, not what shadowcl says of them."""
    objects = shadowcl(setup, "inspect", image)["objects"]
    expect(len(objects) >= COUNT, f"only {len(objects)} objects are in {image}")
    kinds = Counter(one["kind"] for one in objects)
    expect(len(kinds) >= NUM_KINDS, f"not of all kinds: {kinds}")
    length = image.stat().st_size
    allowed = bytes_made + 1024 * len(objects)
    expect(bytes_made < length <= allowed,
           f"{length} bytes for {len(objects)} objects with {bytes_made} bytes: {allowed} are "
           f"allowed; {said['image']}")
    print(f"{image.name}: {len(objects)} objects, {bytes_made} bytes that are not zero, and "
          f"{(length - bytes_made) / len(objects):.0f} for each object", flush=True)


def run(setup):
    with subprocess.Popen([setup.bin / "shadowcl", "run", "--", setup.bin / "image-many",
                           str(COUNT)], env=setup.environment, text=True, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as program:
        try:
            word, objects, bytes_made = program.stdout.readline().split()
            expect(word == "ready" and int(objects) >= COUNT, f"it said {word}")
            for name, words in (("saved", ("save", "--compress", "off")),
                                ("suspended", ("suspend", "--compress", "off")),
                                ("prepared", ("suspend", "--compress", "off", "--prepare"))):
                image = setup.work / name
                target = ["--image", image] if words[0] == "suspend" else [image]
                said = shadowcl(setup, *words, program.pid, *target)
                check_length(setup, image, said, int(bytes_made))
                if words[0] == "suspend":
                    shadowcl(setup, "resume", program.pid)
            program.stdin.close()
            expect(program.wait(PATIENCE) == 0, f"it ended with {program.returncode}")
        finally:
            program.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, required=True)
    parser.add_argument("--driver", choices=("pocl", "testdriver"), required=True)
    parser.add_argument("--mapping", choices=("shared", "copy"), required=True)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="shadowcl-size-") as work:
        try:
            run(Setup(told.build.resolve(), told.driver, told.mapping, Path(work)))
        except Failure as failure:
            sys.exit(f"FAILED: {failure}")


if __name__ == "__main__":
    main()
