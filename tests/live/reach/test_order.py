#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Several drivers at once stand in the order that the machine's own loader gives them, and the same
one is the default: programs take platform 0, or none at all.

test_order.py LIBRARIES PROGRAMS DRIVER...
"""
import os
import subprocess
import sys
import tempfile
import unittest

LIBRARIES = PROGRAMS = ""
DRIVERS = []
SETTINGS = ("LD_PRELOAD", "LD_LIBRARY_PATH", "OCL_ICD_VENDORS", "OCL_ICD_FILENAMES",
            "OPENCL_VENDOR_PATH", "OCL_ICD_PLATFORM_SORT", "OCL_ICD_DEFAULT_PLATFORM",
            "OCL_ICD_ASSUME_ICD_EXTENSION", "SHADOWCL_DRIVERS")


class Order(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        vendors = os.path.join(self.folder.name, "vendors")
        os.mkdir(vendors)
        for number, driver in enumerate(DRIVERS):
            with open(os.path.join(vendors, f"{number}.icd"), "w", encoding="utf-8") as file:
                print(driver, file=file)
        self.environment = {name: value for name, value in os.environ.items()
                            if name not in SETTINGS}
        self.environment |= {"RUSTICL_ENABLE": "llvmpipe", "SHADOWCL_RUNTIME_DIR": self.folder.name,
                             "OCL_ICD_VENDORS": vendors + "/"}

    def names(self, settings, shadowed):
        environment = self.environment | settings
        if shadowed:
            environment["LD_PRELOAD"] = os.path.join(LIBRARIES, "libOpenCL.so.1")
        done = subprocess.run([os.path.join(PROGRAMS, "reach-names")], env=environment,
                              capture_output=True, text=True, timeout=120)
        if done.returncode < 0 and not shadowed:
            return None  # ocl-icd 2.3 does not survive a default platform that there is not
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.splitlines()

    def compare(self, settings):
        native, shadowed = self.names(settings, False), self.names(settings, True)
        if native is None:
            self.assertEqual(shadowed[-2:], ["default no device: -32", "context none: -32"])
        else:
            self.assertEqual(shadowed, native, settings)
        return shadowed

    def test_as_the_loader_has_them(self):
        found = self.compare({})
        self.assertEqual(found[0], f"platforms 0: {len(DRIVERS)}")

    def test_sorted(self):
        for sort in ("none", "devices"):
            self.compare({"OCL_ICD_PLATFORM_SORT": sort})

    def test_default(self):
        first = self.compare({"OCL_ICD_DEFAULT_PLATFORM": "0"})
        second = self.compare({"OCL_ICD_DEFAULT_PLATFORM": "1", "OCL_ICD_PLATFORM_SORT": "none"})
        self.assertNotEqual(first[-2:], second[-2:])
        for value in (str(len(DRIVERS) - 1), str(len(DRIVERS)), "first"):
            self.compare({"OCL_ICD_DEFAULT_PLATFORM": value})

    def test_assumed_extension(self):
        """A platform that does not say that it is made for loaders is taken where that is assumed."""
        build = os.path.dirname(os.path.dirname(LIBRARIES))
        node = os.path.join(self.folder.name, "gpu")
        with open(node, "wb") as file:
            file.truncate(16 << 20)
        driver = {"OCL_ICD_VENDORS": os.path.join(build, "lib", "testdriver",
                                                  "libshadowcl-testdriver.so"),
                  "SHADOWCL_TEST_DEVICE": node, "SHADOWCL_DEVICE_NODES": node}
        with_it = self.compare(driver)
        self.assertEqual(with_it[:2], ["platforms 0: 1", "platform shadowcl test platform"])
        driver["SHADOWCL_TEST_NO_ICD"] = "1"
        for value, expected in ((None, "platforms -1001: 0"), ("", "platforms -1001: 0"),
                                ("1", "platforms 0: 1"), ("debug", "platforms 0: 1")):
            found = self.compare(driver if value is None else
                                 driver | {"OCL_ICD_ASSUME_ICD_EXTENSION": value})
            self.assertEqual(found[0], expected, value)
            if expected == "platforms 0: 1":
                self.assertEqual(found, with_it)


if __name__ == "__main__":
    LIBRARIES, PROGRAMS, *DRIVERS = sys.argv[1:]
    if len(DRIVERS) < 3:
        print("skipped: there are only", *DRIVERS)
        sys.exit(77)
    unittest.main(argv=sys.argv[:1], verbosity=2)
