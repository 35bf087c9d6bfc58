# SPDX-License-Identifier: Apache-2.0
"""The environment that `run` makes, and the programs that it refuses."""
import os
import shutil
import subprocess

from harness import Case, FAKE_LIBRARY, needs_root, NOBODY, read_file, run_tests, SHADOWCL


class Run(Case):
    def run_env(self, *options, env=None, program="env"):
        self.shadowcl("run", *options, "--", program, env=env)
        self.expect(0)
        return dict(line.split("=", 1) for line in self.ran.stdout.splitlines() if "=" in line)

    def test_environment(self):
        folder = self.tree + "/lib/shadowcl"
        ours = f"{folder}/libOpenCL.so.1:{folder}/alias/libOpenCL.so"
        seen = self.run_env()
        self.equal((seen["LD_PRELOAD"], seen["LD_LIBRARY_PATH"], seen["GLIBC_TUNABLES"]),
                   (ours, folder, "glibc.rtld.optional_static_tls=4096"))
        other = shutil.copy(FAKE_LIBRARY, self.dir + "/other.so")
        seen = self.run_env(env={"LD_PRELOAD": other, "LD_LIBRARY_PATH": "/x",
                                 "GLIBC_TUNABLES": "glibc.malloc.check=1"})
        self.equal((seen["LD_PRELOAD"], seen["LD_LIBRARY_PATH"]),
                   (f"{ours}:{other}", f"{folder}:/x"))
        self.assertIn("glibc.malloc.check=1", seen["GLIBC_TUNABLES"].split(":"))
        self.assertIn("glibc.rtld.optional_static_tls=4096", seen["GLIBC_TUNABLES"].split(":"))
        seen = self.run_env(env={"GLIBC_TUNABLES": "glibc.rtld.optional_static_tls=9000"})
        self.equal(seen["GLIBC_TUNABLES"], "glibc.rtld.optional_static_tls=9000")
        self.shadowcl("run", self.tree + "/bin/shadowcl", "run", "env")
        self.expect(0, out=[f"(?m)^LD_PRELOAD={ours}$"])

    def test_sanitizer_stays_first(self):
        folder = self.tree + "/lib/shadowcl"
        ours = f"{folder}/libOpenCL.so.1:{folder}/alias/libOpenCL.so"
        first, second = self.dir + "/libtsan.so.2", self.dir + "/other.so"
        shutil.copy(FAKE_LIBRARY, first)
        shutil.copy(FAKE_LIBRARY, second)
        for before, after in ((first, f"{first}:{ours}"),
                              (f"{first}:{second}", f"{first}:{ours}:{second}"),
                              (f"{first} {second}", f"{first} {ours}:{second}")):
            self.equal(self.run_env(env={"LD_PRELOAD": before})["LD_PRELOAD"], after)

    def test_options(self):
        seen = self.run_env("--mapping", "copy", "--log=debug:/x/y", "--drivers", FAKE_LIBRARY,
                            "--runtime-dir", os.path.relpath(self.dir))
        self.equal((seen["SHADOWCL_MAPPING"], seen["SHADOWCL_LOG"], seen["SHADOWCL_DRIVERS"],
                    os.path.normpath(seen["SHADOWCL_RUNTIME_DIR"])),
                   ("copy", "debug:/x/y", FAKE_LIBRARY, self.dir))
        self.assertTrue(os.path.isabs(seen["SHADOWCL_RUNTIME_DIR"]))

    def test_drivers(self):
        text = os.path.join(self.dir, "text.so")
        empty = os.path.join(self.dir, "empty")
        icd = os.path.join(self.dir, "one.icd")
        bad = os.path.join(self.dir, "bad")
        bad_icd = os.path.join(bad, "bad.icd")
        nameless = os.path.join(os.path.dirname(FAKE_LIBRARY), "fake_nameless.so")
        broken = self.program("broken.so", read_file(FAKE_LIBRARY)[:2000])
        os.mkdir(empty)
        os.mkdir(bad)
        for path, words in ((text, "no driver is here"), (icd, f" {FAKE_LIBRARY} \r"),
                            (bad_icd, "libno-such-driver.so.1")):
            with open(path, "w", encoding="utf-8") as file:
                file.write(words + "\n")
        for wrong, reason in (("/nowhere/driver.so", "No such file"), (text, "neither a library"),
                              ("nowhere.icd", "No such file"), (empty, "no .icd file"),
                              (f"{empty}:/nowhere/x.so", "no .icd file"),
                              ("libno-such-driver.so.1", "can't be loaded: libno.*No such file"),
                              ("libm.so.6", r"it is no OpenCL driver \(no clIcdGetPlatformIDsKHR"),
                              (nameless, r"it is no OpenCL driver \(no clIcdGetPlatformIDsKHR"),
                              (broken, "whoever loads it is ended by it|can't be loaded: .*broken.so"),
                              (bad_icd, "of the library that it names: it can't be loaded: libno"),
                              (bad, "`bad.icd`: of the library that it names: it can't be loaded")):
            self.shadowcl("run", "--drivers", wrong, "true")
            self.expect_refusal(f"driver `{wrong.split(':')[0]}`", reason, "--force")
            self.shadowcl("run", "true", env={"SHADOWCL_DRIVERS": wrong})
            self.expect_refusal(f"driver `{wrong.split(':')[0]}`", reason, "--force")
            self.shadowcl("run", "--force", "--drivers", wrong, "true")
            self.expect(0, reason)
        self.shadowcl("run", "--drivers", f"/nowhere/x.so:{icd}:{empty}", "true")
        self.expect(0, "note: driver `/nowhere/x.so`", f"note: driver `{empty}`")
        mixed = os.path.join(self.dir, "mixed")
        os.mkdir(mixed)
        for name, from_ in (("a", bad_icd), ("b", icd), ("c", bad_icd)):
            shutil.copy(from_, f"{mixed}/{name}.icd")
        self.shadowcl("run", "--drivers", mixed, "true")
        self.expect(0, *(f"note: driver `{mixed}/{name}.icd`: of the library that it names"
                         for name in "ac"))
        for right in (icd, f"{FAKE_LIBRARY}:{icd}:", "$ORIGIN/x/y.so", self.dir):
            self.shadowcl("run", "--drivers", right, "true")
            self.expect(0)

    def test_arguments(self):
        self.shadowcl("run", "sh", "-c", "echo $0-$1; exit 7", "--json", "--help")
        self.expect(7, out=["^--json---help\n$"])

    def test_no_library(self):
        lone = os.path.join(self.dir, "bin")
        os.mkdir(lone)
        binary = shutil.copy(SHADOWCL, lone)
        self.shadowcl("run", "true", binary=binary)
        self.expect_refusal("library `libOpenCL.so.1`",
                            "neither in .*lib/shadowcl nor in .*lib.*/shadowcl", "install")

    def test_odd_place(self):
        place = os.path.join(self.dir, "a b")
        shutil.copytree(self.tree, place)
        self.shadowcl("run", "true", binary=place + "/bin/shadowcl")
        self.expect_refusal("a b/lib/shadowcl", "LD_PRELOAD can't hold", "folder without")

    def test_command(self):
        self.shadowcl("run", "no-such-command-here", "--json")
        self.expect(127, "`no-such-command-here`: not found in PATH", "to do:")
        self.shadowcl("run", "--json", "./none")
        self.expect(127, "no such file", "to do:")
        element, = self.answer()
        self.equal((element["pid"], element["state"]), (None, "not started"))
        self.shadowcl("run", "")
        self.expect(127)
        for path in (self.dir, "/etc/passwd"):
            self.shadowcl("run", path)
            self.expect(126, "not an executable file", "to do: .*chmod")

    def program(self, name, content, mode=0o755):
        path = os.path.join(self.dir, name)
        with open(path, "wb") as file:
            file.write(content)
        os.chmod(path, mode)
        return path

    def refused(self, path, why, user=None):
        os.chmod(self.dir, 0o1777)
        self.shadowcl("run", path, user=user)
        self.expect_refusal("program `", why, ".")

    def test_static(self):
        elf = bytearray(read_file(FAKE_LIBRARY))
        self.refused(self.program("static", bytes(elf)), "linked statically")
        elf[18:20] = (0xf3).to_bytes(2, "little")
        self.refused(self.program("riscv", bytes(elf)), "another architecture")
        self.refused(self.program("short", b"\x7fELF"), "another architecture")
        script = self.program("script", f"#!{self.dir}/static -x\n".encode())
        self.refused(script, "linked statically")
        self.refused(self.program("by_env", f"#! /usr/bin/env -S A=b {script}".encode()),
                     "linked statically")

    def test_force(self):
        path = self.program("short", b"\x7fELF")
        self.shadowcl("run", "--force", path)
        self.expect(126, "note: .*another architecture", "can't be started")

    def test_script(self):
        path = self.program("plain", b"echo plain $1\n")
        self.shadowcl("run", path, "x")
        self.expect(0, out=["^plain x\n$"])

    @needs_root
    def test_setuid(self):
        content = read_file("/usr/bin/env")
        self.refused(self.program("suid", content, 0o4755), "it is setuid .owner root", NOBODY)
        self.refused(self.program("sgid", content, 0o2755), "it is setgid", NOBODY)
        self.shadowcl("run", "--force", self.dir + "/suid", user=NOBODY)
        self.expect(0, "note: .*setuid")
        if not shutil.which("setcap"):
            return
        path = self.program("caps", content)
        if subprocess.run(["setcap", "cap_net_raw+ep", path]).returncode == 0:
            self.refused(path, "file capabilities", NOBODY)


if __name__ == "__main__":
    run_tests()
