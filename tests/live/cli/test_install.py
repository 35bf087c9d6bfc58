# SPDX-License-Identifier: Apache-2.0
"""What is installed finds its parts there, and does the whole job: run, save, verify on a device,
suspend, resume, with the bytes of a native run.

    test_install.py CMAKE BUILD"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

STEPS = "60000"
PATIENCE = 100


def expect(condition, text):
    if not condition:
        raise AssertionError(text)


class Place:
    def __init__(self, top, build):
        self.top = top
        self.prefix = top / "prefix"
        self.sample = build / "bin/sample-heat"
        (top / "run").mkdir()
        self.environment = {**os.environ, "SHADOWCL_RUNTIME_DIR": str(top / "run"),
                            "SHADOWCL_DRIVERS": "libpocl.so.2", "POCL_CACHE_DIR": str(top)}

    def command(self, *arguments):
        done = subprocess.run([self.prefix / "bin/shadowcl", *map(str, arguments), "--json"],
                              env=self.environment, capture_output=True, text=True,
                              timeout=PATIENCE)
        expect(done.returncode == 0, f"{arguments}: {done.returncode}: {done.stderr}")
        return json.loads(done.stdout)

    def solve(self, *wrapper, output):
        return subprocess.Popen([*wrapper, self.sample, "--size", "128", "--steps", STEPS,
                                 "--output", self.top / output], env=self.environment,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def wait_for_buffers(self, pid):
        """Until the solver has begun; where its library and its memory come from."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            found = [one for one in self.command("ps") if one["pid"] == pid]
            if found and found[0]["objects"].get("kernel"):
                maps = pathlib.Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")
                expect(f"{self.prefix}/lib/shadowcl/libOpenCL.so.1" in maps, "another library")
                return
            time.sleep(0.05)
        raise AssertionError("the solver does not begin")


def main(cmake, build):
    with tempfile.TemporaryDirectory(prefix="shadowcl-install-") as folder:
        place = Place(pathlib.Path(folder).resolve(), build)
        subprocess.run([cmake, "--install", build, "--prefix", place.prefix], check=True,
                       stdout=subprocess.DEVNULL)
        native = place.solve(output="wanted")
        solver = place.solve(place.prefix / "bin/shadowcl", "run", "--", output="result")
        try:
            place.wait_for_buffers(solver.pid)
            image = place.top / "image"
            place.command("save", solver.pid, image)
            place.command("verify", image, "--device", "0:0")
            place.command("suspend", solver.pid)
            place.command("resume", solver.pid)
            expect(solver.wait(PATIENCE) == 0, solver.stderr.read())
            expect(native.wait(PATIENCE) == 0, native.stderr.read())
        finally:
            solver.kill()
            native.kill()
        expect((place.top / "result").read_bytes() == (place.top / "wanted").read_bytes(),
               "the result differs from the native one")


if __name__ == "__main__":
    main(sys.argv[1], pathlib.Path(sys.argv[2]).resolve())
