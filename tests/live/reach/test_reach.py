#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Does a program get our library, whichever way it looks for OpenCL?

test_reach.py LIBRARIES PROGRAMS [FIRST...]
LIBRARIES holds libOpenCL.so.1 and alias/libOpenCL.so, PROGRAMS what is built here. FIRST are the
sanitizers' libraries, which must be preloaded before a sanitized library of ours.
"""
import os
import subprocess
import sys
import tempfile
import unittest

LIBRARIES = PROGRAMS = ""
FIRST = []
SANITIZER = os.environ.get("REACH_SANITIZER")
SETTINGS = ("LD_PRELOAD", "LD_LIBRARY_PATH", "OCL_ICD_VENDORS", "OCL_ICD_FILENAMES",
            "OPENCL_VENDOR_PATH", "SHADOWCL_DRIVERS")


def ours(name="libOpenCL.so.1"):
    return os.path.join(LIBRARIES, name)


def system_loader():
    """The machine's own libOpenCL.so.1, or None."""
    cache = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True)
    for line in cache.stdout.splitlines():
        if line.strip().startswith("libOpenCL.so.1 "):
            return line.split("=> ")[1].strip()
    return None


class Reach(unittest.TestCase):
    def run_program(self, *words, preload=(), env=None):
        """What the program prints, as a list of (what, where)."""
        full = {name: value for name, value in os.environ.items() if name not in SETTINGS}
        full.update(env or {})
        if FIRST or preload:
            full["LD_PRELOAD"] = ":".join([*FIRST, *preload])
        command = [os.path.join(PROGRAMS, words[0]), *words[1:]]
        done = subprocess.run(command, env=full, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("no version information", done.stderr)
        return [tuple(line.split(" ", 1)) for line in done.stdout.splitlines()]

    def assert_ours(self, *words, **settings):
        answers = self.run_program(*words, **settings)
        where = [os.path.realpath(path) for what, path in answers if what == "loader"]
        self.assertEqual(where, [os.path.realpath(ours())])

    def test_linked(self):
        self.assert_ours("reach-linked", preload=[ours()])

    def test_opened_by_name(self):
        for name in ("libOpenCL.so.1", "libOpenCL.so", "libOpenCL.so.1.0.0"):
            with self.subTest(name):
                self.assert_ours("reach-opener", name, preload=[ours()])

    def test_opened_by_path(self):
        paths = ["/nowhere/libOpenCL.so.1", "./libOpenCL.so"]
        if system_loader():
            paths.append(system_loader())
        for path in paths:
            with self.subTest(path):
                self.assert_ours("reach-opener", path, preload=[ours()])

    def test_other_names_pass(self):
        for name in ("/nowhere/libOpenCL.so_", "/nowhere/myOpenCL.so", "/nowhere/libOpenCL.so/x"):
            with self.subTest(name), self.assertRaisesRegex(AssertionError, name):
                self.run_program("reach-opener", name, preload=[ours()])

    def test_flags_and_counting(self):
        for way in ("noload", "twice", "null"):
            with self.subTest(way):
                self.assert_ours("reach-opener", way, "libOpenCL.so", preload=[ours()])

    def test_without_the_hook(self):
        """The SONAMEs alone: what a preloaded library and its alias give."""
        both = [ours(), ours("alias/libOpenCL.so")]
        for name in ("libOpenCL.so.1", "libOpenCL.so"):
            with self.subTest(name):
                self.assert_ours("reach-opener", "unhooked", name, preload=both)

    def test_library_path(self):
        env = {"LD_LIBRARY_PATH": LIBRARIES + ":" + ours("alias")}
        self.assert_ours("reach-linked", env=env)
        for name in ("libOpenCL.so.1", "libOpenCL.so"):
            with self.subTest(name):
                self.assert_ours("reach-opener", name, env=env)

    def test_alias_finds_its_neighbour(self):
        """Alone on the path, and with another loader before it."""
        self.assert_ours("reach-opener", "libOpenCL.so", env={"LD_LIBRARY_PATH": ours("alias")})
        if system_loader():
            path = os.path.dirname(system_loader())
            self.assert_ours("reach-opener", ours("alias/libOpenCL.so"),
                             env={"LD_LIBRARY_PATH": path})

    def assert_icd(self, env):
        answers = self.run_program("reach-linked", "platforms", env=env)
        where = [(what, os.path.realpath(path)) for what, path in answers]
        self.assertNotIn(("loader", os.path.realpath(ours())), where)
        self.assertIn(("platform", os.path.realpath(ours())), where)

    @unittest.skipUnless(os.path.isdir("/etc/OpenCL/vendors"), "no drivers installed")
    def test_as_icd(self):
        """Under another loader, named by OCL_ICD_VENDORS in each way that ocl-icd takes."""
        with tempfile.TemporaryDirectory() as folder:
            icd = os.path.join(folder, "shadowcl.icd")
            with open(icd, "w", encoding="utf-8") as file:
                print(ours(), file=file)
            for vendors in (ours(), icd, folder):
                with self.subTest(vendors):
                    self.assert_icd({"OCL_ICD_VENDORS": vendors})

    @unittest.skipUnless(os.path.isdir("/etc/OpenCL/vendors"), "no drivers installed")
    def test_preload_and_icd(self):
        """Both at once: we are the loader, and don't take ourselves for a driver."""
        env = {"OCL_ICD_VENDORS": ours()}
        answers = self.run_program("reach-linked", "platforms", preload=[ours()], env=env)
        where = {os.path.realpath(path) for _, path in answers}
        self.assertEqual(where, {os.path.realpath(ours())})
        self.assertGreater(len(answers), 1)

    def test_driver_that_asks_while_it_starts(self):
        """It calls clGetPlatformIDs in its constructor and when it is asked for platforms, at the
        first load and at each resume."""
        build = os.path.dirname(os.path.dirname(LIBRARIES))
        with tempfile.TemporaryDirectory() as folder:
            node, said, log = (os.path.join(folder, name) for name in ("gpu", "said", "log"))
            with open(node, "wb") as file:
                file.truncate(64 << 20)
            env = {"SHADOWCL_DRIVERS": os.path.join(
                       build, "lib", "testdriver", "libshadowcl-testdriver.so"),
                   "SHADOWCL_TEST_DEVICE": node, "SHADOWCL_DEVICE_NODES": node,
                   "SHADOWCL_TEST_EAGER": said, "SHADOWCL_LOG": f"debug:{log}",
                   "SHADOWCL_RUNTIME_DIR": folder}
            sample = ("reach-graph", "--size", "512", "--repeat", "6")
            plain = self.run_program(*sample, env={"OCL_ICD_VENDORS": "libpocl.so.2"})
            answers = self.run_program("reach-linked", "platforms", preload=[ours()], env=env)
            self.assertEqual([what for what, _ in answers], ["loader", "platform"])
            with open(said, encoding="utf-8") as file:
                self.assertEqual(file.read().splitlines()[:4], [
                    "constructor asks", "constructor: -1001, 0 platforms",
                    "clIcdGetPlatformIDsKHR asks", "clIcdGetPlatformIDsKHR: -1001, 0 platforms"])
            for mapping in ("shared", "copy"):
                os.unlink(said)
                os.unlink(log)
                stormy = self.run_program(*sample, preload=[ours()], env=env | {
                    "SHADOWCL_STORM": "20", "SHADOWCL_MAPPING": mapping})
                self.assertEqual(stormy, plain)
                with open(said, encoding="utf-8") as file:
                    lines = file.read().splitlines()
                with open(log, encoding="utf-8") as file:
                    self.assertRegex(file.read(), r"storm: [1-9]\d* cycles, 0 refused")
                # It has unloaded, and was started again in the middle of a resume.
                self.assertIn("constructor: 0, 1 platforms", lines)
                self.assertEqual(lines.count("constructor asks"),
                                 sum(line.startswith("constructor: ") for line in lines))

    def assert_inner(self, *words):
        inner = os.path.join(PROGRAMS, "inner", "libreach-inner.so")
        for preload in ([], [ours()]):
            with self.subTest(preload=preload):
                answers = dict(self.run_program(*words, "libreach-inner.so", preload=preload))
                self.assertEqual(answers["namespace"], "same")
                self.assertEqual(os.path.realpath(answers["inner"]), os.path.realpath(inner))

    def test_runpath_of_the_caller(self):
        if SANITIZER:
            self.skipTest("the sanitizers' own dlopen hides the caller")
        self.assert_inner("reach-opener", "through", os.path.join(PROGRAMS, "libreach-outer.so"))

    def test_namespace_of_the_caller(self):
        if SANITIZER:
            self.skipTest("the sanitizers don't work in a namespace")
        self.assert_inner("reach-opener", "namespace", os.path.join(PROGRAMS, "libreach-outer.so"))


if __name__ == "__main__":
    LIBRARIES, PROGRAMS, *FIRST = sys.argv[1:]
    unittest.main(argv=sys.argv[:1], verbosity=2)
