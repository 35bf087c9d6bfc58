#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Programs under storm must do what they do natively: every sample, with a suspend and resume on
average at every N-th call, gives the digest of its native run. Prints cycles and refusals."""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

# Sample, its arguments in the short form, and how many times more work in the long one.
SAMPLES = [
    ("vadd", ["--size", "4096", "--repeat", "12"], 20),
    ("filter", ["--size", "64", "--repeat", "12"], 20),
    ("graph", ["--size", "512", "--repeat", "12"], 20),
    ("link", ["--size", "1024", "--repeat", "12"], 20),
    ("mapped", ["--size", "1024", "--repeat", "12"], 20),
    ("heat", ["--size", "32", "--steps", "150"], 20),
]
SEEDS = range(7, 47)
# What a driver can't run natively either.
LACKS = {"rusticl": {"filter", "graph", "link", "mapped"}}


def environment(build, driver, work):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("SHADOWCL_", "OCL_ICD_"))}
    env["POCL_CACHE_DIR"] = str(build / "pocl-cache")
    env["SHADOWCL_RUNTIME_DIR"] = str(work)
    libraries = {"pocl": "libpocl.so.2", "rusticl": "libRusticlOpenCL.so.1",
                 "testdriver": str(build / "lib/testdriver/libshadowcl-testdriver.so")}
    env["SHADOWCL_DRIVERS"] = libraries[driver]
    env["OCL_ICD_VENDORS"] = libraries[driver]
    if driver == "testdriver":
        node = work / "node"
        with open(node, "wb") as file:
            file.truncate(64 << 20)
        env["SHADOWCL_TEST_DEVICE"] = env["SHADOWCL_DEVICE_NODES"] = str(node)
    if driver == "rusticl":
        env["RUSTICL_ENABLE"] = "llvmpipe"
    return env


def run(command, env, patience):
    try:
        done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=patience)
    except subprocess.TimeoutExpired:
        return None, f"still running after {patience} s"
    digest = re.search(r"^ok ([0-9a-f]{16})$", done.stdout, re.M)
    if done.returncode != 0 or not digest:
        return None, f"exit {done.returncode}: {done.stderr[-300:]}"
    return digest.group(1), done.stderr


def storm_of(log):
    """How many cycles and how many of them were refused, as the log's last line says."""
    found = re.findall(r"storm: (\d+) cycles, (\d+) refused", log.read_text()) \
        if log.exists() else []
    return (int(found[-1][0]), int(found[-1][1])) if found else (0, 0)


def one(build, env, work, sample, mapping, every, seed, patience):
    log = work / f"{sample}-{mapping}-{every}-{seed}.log"
    storm_env = dict(env, SHADOWCL_STORM=f"{every},{seed}", SHADOWCL_MAPPING=mapping,
                     SHADOWCL_LOG=f"info:{log}")
    if mapping != "shared" and every == 7:
        # Contents are copied beforehand, and what is taken for unwritten is compared.
        storm_env |= {"SHADOWCL_PREPARE": "1", "SHADOWCL_CHECK_WRITES": "1"}
    digest, text = run([build / "bin/shadowcl", "run", "--", *sample_command(build, sample)],
                       storm_env, patience)
    reasons = re.findall(r"storm: no .*", log.read_text()) if log.exists() else []
    return (digest, " ".join(reasons) or text) + storm_of(log)


def struck(*arguments):
    """A sample that comes to few calls is run again, with other random ones, until it is struck."""
    for seed in SEEDS:
        digest, text, cycles, refused = one(*arguments[:-1], seed, arguments[-1])
        if digest is None or cycles > 0:
            break
    return digest, text, cycles, refused


def sample_command(build, sample):
    name, arguments = sample.split(" ", 1)
    return [build / f"bin/sample-{name}", *arguments.split()]


def scaled(arguments, factor):
    return arguments[:-1] + [str(int(arguments[-1]) * factor)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--driver", choices=["pocl", "testdriver", "rusticl"], required=True)
    parser.add_argument("--long", action="store_true", help="more work, and N = 1000 too")
    options = parser.parse_args()
    build = options.build.resolve()
    (build / "pocl-cache").mkdir(exist_ok=True)
    work = pathlib.Path(tempfile.mkdtemp(prefix="shadowcl-storm-"))
    env = environment(build, options.driver, work)
    passed = failed = 0
    for name, arguments, factor in SAMPLES:
        if name in LACKS.get(options.driver, ()):
            continue
        sample = " ".join([name, *(scaled(arguments, factor) if options.long else arguments)])
        native, why = run(sample_command(build, sample), env, 300)
        if native is None and options.driver == "rusticl" and "no device" in why.lower():
            print(f"skipped: {why}")
            return 77
        for mapping in ("shared", "copy") if options.driver == "pocl" else ("auto",):
            for every in (1, 7, 50, 1000) if options.long else (1, 7):
                digest, text, cycles, refused = struck(build, env, work, sample, mapping,
                                                       every, 900 if options.long else 240)
                good = native is not None and digest == native and refused == 0
                good = good and cycles > 0
                passed, failed = passed + good, failed + (not good)
                print(f"{'ok    ' if good else 'FAILED'} {name:7} {mapping:6} N={every:<4} "
                      f"{cycles:6} cycles {refused} refused  {digest} / {native}"
                      f"{'' if good else '  ' + (text or why)[-300:]}", flush=True)
    shutil.rmtree(work)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
