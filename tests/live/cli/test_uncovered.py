# SPDX-License-Identifier: Apache-2.0
"""Programs that use OpenCL without the shim are seen."""
import os
import shutil
import subprocess
import sys

from harness import Case, FAKE_LIBRARY, PS, run_tests


class Uncovered(Case):
    def holder(self, *libraries):
        """A process that has files of these names mapped."""
        paths = []
        for name in libraries:
            paths.append(os.path.join(self.dir, name))
            os.makedirs(os.path.dirname(paths[-1]), exist_ok=True)
            shutil.copy(FAKE_LIBRARY, paths[-1])
        script = ("import mmap, os, sys\n"
                  "maps = [mmap.mmap(os.open(path, os.O_RDONLY), 0, prot=mmap.PROT_READ)"
                  " for path in sys.argv[1:]]\n"
                  "print('ready', flush=True)\nsys.stdin.read()")
        process = subprocess.Popen([sys.executable, "-c", script, *paths], text=True,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        process.stdout.readline()
        self.addCleanup(process.communicate)
        return process

    def state(self, pid):
        self.shadowcl("ps", "--json")
        self.expect(0)
        states = [each for each in self.answer(PS) if each["pid"] == pid]
        return states[0]["state"] if states else None

    def test_names(self):
        for name in ("libOpenCL.so.1.0.0", "libpocl.so.2", "libnvidia-opencl.so.1",
                     "libRusticlOpenCL.so.1", "libMesaOpenCL.so.1", "libamdocl64.so",
                     "libigdrcl.so", "liboclgrind-rt-icd.so"):
            process = self.holder(name)
            self.equal(self.state(process.pid), "uncovered")
        self.equal(self.state(self.holder("libpoclonium.txt").pid), None)
        self.equal(self.state(self.holder("shadowcl/libOpenCL.so.1").pid), None)
        self.equal(self.state(self.holder("shadowcl/libOpenCL.so.1", "libpocl.so.2").pid),
                   "unreachable")

    def test_messages(self):
        process = self.holder("libpocl.so.2")
        self.shadowcl("ps")
        self.expect(0, "not through shadowcl", "to do: .*shadowcl run.*LD_PRELOAD",
                    out=[rf"{process.pid} .*not under shadowcl +- +- +-"])
        self.shadowcl("ps", "--json")
        element = [each for each in self.answer(PS) if each["pid"] == process.pid][0]
        self.equal((element["devices"], element["objects"], element["device_bytes"]), ([], {}, 0))
        self.shadowcl("suspend", process.pid)
        self.expect_refusal(str(process.pid), r"loaded libpocl\.so\.2 without shadowcl",
                            "shadowcl run", "unknown")
        self.peer()
        self.shadowcl("suspend", "--all")
        self.expect(0, rf"note: process {process.pid} .*keeps the device")


if __name__ == "__main__":
    run_tests()
