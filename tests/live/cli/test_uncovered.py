# SPDX-License-Identifier: Apache-2.0
"""Programs that use OpenCL without the shim are seen."""
import os
import re
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

    def test_run_notes_what_a_launcher_lets_slip(self):
        """A child of a child; said once, on a file; nothing stays behind."""
        if os.stat("/proc/self/ns/pid").st_ino != 0xEFFFFFFC:
            self.skipTest("in a container nobody looks")
        library = os.path.join(self.dir, "libpocl.so.2")
        shutil.copy(FAKE_LIBRARY, library)
        program = ("import mmap, os, sys, time\n"
                   "held = mmap.mmap(os.open(sys.argv[1], os.O_RDONLY), 0, prot=mmap.PROT_READ)\n"
                   "time.sleep(2.5)")
        launcher = "env -u LD_PRELOAD -u LD_LIBRARY_PATH \"$@\"; exit 7"
        log = os.path.join(self.dir, "log")
        with open(log, "w", encoding="utf-8") as file:
            done = subprocess.run(
                [os.path.join(self.tree, "bin/shadowcl"), "run", "--", "sh", "-c", launcher, "sh",
                 sys.executable, "-c", program, library], stderr=file, stdout=subprocess.PIPE,
                env={**os.environ, "SHADOWCL_RUNTIME_DIR": self.dir}, timeout=60)
        self.equal(done.returncode, 7)
        with open(log, encoding="utf-8") as file:
            said = file.read()
        found = re.findall(r"uses OpenCL \(libpocl\.so\.2\) not under shadowcl", said)
        self.equal(len(found), 1)
        self.assertIn("to do: put `shadowcl run` behind", said)

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
