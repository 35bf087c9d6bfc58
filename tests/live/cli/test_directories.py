# SPDX-License-Identifier: Apache-2.0
"""Runtime directories and sockets that are missing, odd, full or somebody else's."""
import os
import re
import stat
import subprocess
import tempfile

from harness import Case, needs_root, NOBODY, PS, run_tests


class Directories(Case):
    def refused(self, dir, why, todo, **how):
        for verb in (["ps", "--json"], ["suspend", "--all", "--json"], ["resume", 1, "--json"],
                     ["run", "true"]):
            with self.subTest(verb=verb):
                self.shadowcl(*verb, dir=dir, **how)
                self.expect_refusal(re.escape(f"runtime directory `{dir}"), why, todo)
                if verb[0] != "run":
                    self.equal(self.answer(), [])

    def test_missing(self):
        self.refused(self.dir + "/none", "No such file", "mkdir")

    def test_file(self):
        path = self.dir + "/file"
        open(path, "w").close()
        self.refused(path, "Not a directory", "make it a directory")

    def test_link(self):
        os.symlink(self.dir, self.dir + "/link")
        self.refused(self.dir + "/link", "refused: it is a symbolic link", "put a directory there")
        self.shadowcl("ps", dir=self.dir + "/link/")
        self.expect_refusal("runtime directory", "symbolic link", "")

    def test_open_to_all(self):
        os.chmod(self.dir, 0o777)
        self.refused(self.dir, "everybody may replace files", "chmod 0700")
        os.chmod(self.dir, 0o1777)
        self.shadowcl("ps")
        self.expect(0)

    @needs_root
    def test_foreign(self):
        os.chown(self.dir, 1, 1)
        os.chmod(self.dir, 0o755)
        self.refused(self.dir, "it belongs to", "SHADOWCL_RUNTIME_DIR")
        self.refused(self.dir, "it belongs to", "SHADOWCL_RUNTIME_DIR", user=NOBODY)

    @needs_root
    def test_unreadable(self):
        self.refused(self.dir, "Permission denied", "may read", user=NOBODY)

    @needs_root
    def test_unwritable(self):
        os.chmod(self.dir, 0o755)
        self.shadowcl("run", "true", user=NOBODY)
        self.expect_refusal(f"runtime directory `{self.dir}`", "no socket can be made in it",
                            "--runtime-dir")
        self.shadowcl("run", "--force", "true", user=NOBODY)
        self.expect(0, "note: .*no socket can be made")

    @needs_root
    def test_full(self):
        full = self.dir + "/full"
        os.mkdir(full, 0o700)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "nr_inodes=1,mode=0700", "none", full],
                          capture_output=True).returncode:
            self.skipTest("needs to mount")
        try:
            self.shadowcl("run", "true", dir=full)
            self.expect_refusal(f"runtime directory `{full}`", "No space left", "make room")
        finally:
            subprocess.run(["umount", full], check=True)

    def test_odd_entries(self):
        other = tempfile.mkdtemp(dir=self.top)
        self.peer(dir=other)
        os.symlink(other + "/1-0.sock", self.dir + "/2-link.sock")
        open(self.dir + "/3-file.sock", "w").close()
        open(self.dir + "/notes.txt", "w").close()
        self.shadowcl("ps", "--json")
        self.expect(0, r"2-link\.sock`: refused: it is a symbolic link",
                    r"3-file\.sock`: refused: it is no socket", "to do: find out who")
        self.equal([each for each in self.answer(PS) if each["state"] == "running"], [])
        self.assertNotIn("notes.txt", self.ran.stderr)

    def test_stale(self):
        peer = self.peer()
        self.peers = []
        peer.stop()
        path = self.dir + "/1-0.sock"
        self.shadowcl("ps")
        self.expect(0)
        self.assertTrue(os.path.exists(path), "a socket just bound is not stale")
        os.utime(path, (1, 1))
        self.shadowcl("ps")
        self.expect(0)
        self.assertFalse(os.path.exists(path), "stale socket still there")

    def test_long_path(self):
        deep = self.dir
        while len(deep) < 300:
            deep += "/" + "d" * 60
        os.makedirs(deep)
        os.chmod(deep, 0o700)
        peer = self.peer(dir=deep)
        self.shadowcl("suspend", peer.pid, dir=deep)
        self.expect(0, out=[f"^{peer.pid} "])

    def test_name_means_nothing(self):
        peer = self.peer(name=f"{os.getpid()}-x.sock")
        self.shadowcl("suspend", os.getpid())
        self.expect_refusal(str(os.getpid()), "not under shadowcl", "shadowcl run")
        self.shadowcl("suspend", peer.pid)
        self.expect(0)

    def test_user_directory(self):
        if os.path.lexists("/run/shadowcl"):
            self.skipTest("/run/shadowcl is there")
        env = {"XDG_RUNTIME_DIR": self.dir}
        self.shadowcl("run", "true", env=env, unset=["SHADOWCL_RUNTIME_DIR"])
        self.expect(0)
        self.equal(stat.S_IMODE(os.stat(self.dir + "/shadowcl").st_mode), 0o700)
        peer = self.peer(dir=self.dir + "/shadowcl")
        self.shadowcl("suspend", peer.pid, env=env, unset=["SHADOWCL_RUNTIME_DIR"])
        self.expect(0)

    @needs_root
    def test_no_directory(self):
        if os.path.lexists("/run/shadowcl"):
            self.skipTest("/run/shadowcl is there")
        unset = ["SHADOWCL_RUNTIME_DIR", "XDG_RUNTIME_DIR"]
        self.shadowcl("run", "true", user=NOBODY, unset=unset)
        self.expect_refusal("runtime directory", "XDG_RUNTIME_DIR is not set", "--runtime-dir")
        self.shadowcl("suspend", "--all", user=NOBODY, unset=unset)
        self.expect_refusal("suspend", "no process is under shadowcl", "shadowcl run")


if __name__ == "__main__":
    run_tests()
