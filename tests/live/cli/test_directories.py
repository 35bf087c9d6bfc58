# SPDX-License-Identifier: Apache-2.0
"""Runtime directories and sockets that are missing, odd, full or somebody else's."""
import os
import re
import shlex
import socket
import subprocess
import tempfile
import threading
import time

from harness import as_user, Case, needs_root, NOBODY, PS, run_tests


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

    def full(self, count):
        """Sockets that nobody takes a connection from any more."""
        def close(sockets):
            for each in sockets:
                each.close()
        sockets = []
        self.addCleanup(close, sockets)
        for number in range(count):
            listener = socket.socket(socket.AF_UNIX)
            sockets.append(listener)
            listener.bind(f"{self.dir}/9-{number}.sock")
            listener.listen(0)
            while True:
                sockets.append(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM |
                                             socket.SOCK_NONBLOCK))
                try:
                    sockets[-1].connect(f"{self.dir}/9-{number}.sock")
                except BlockingIOError:
                    break
        return sockets

    def test_full_queues(self):
        """However many have a full queue, who looks does not wait longer, and finds the others."""
        self.full(200)
        peer = self.peer()
        begin = time.monotonic()
        self.shadowcl("suspend", "--all")
        took = time.monotonic() - begin
        self.expect(0, "9-.*no connection.*temporarily unavailable", "same of 192 more sockets",
                    out=[f"^{peer.pid} "])
        self.equal(self.ran.stderr.count("no connection"), 8)
        self.assertLess(took, 15, "0.2 s for each are 40 s")

    def test_queue_that_empties(self):
        """A process that is only busy is waited for."""
        sockets = self.full(1)

        def take_soon():
            time.sleep(0.1)
            try:
                while True:
                    sockets[0].accept()[0].close()
            except OSError:  # closed at the end
                pass
        threading.Thread(target=take_soon, daemon=True).start()
        self.shadowcl("ps", "--json")
        self.expect(0)
        self.assertNotIn("no connection", self.ran.stderr)
        self.assertIn(os.getpid(), [each["pid"] for each in self.answer(PS)])

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

    def without_run(self, script, user=None):
        """In a mount namespace with an empty /run, SHADOWCL_RUNTIME_DIR not set."""
        env = dict(os.environ, XDG_RUNTIME_DIR=self.dir, PATH=self.tree + "/bin:" +
                   os.environ["PATH"])
        env.pop("SHADOWCL_RUNTIME_DIR", None)
        inner = " ".join(as_user(user, ["sh", "-c", shlex.quote(script)]))
        self.ran = subprocess.run(["unshare", "-m", "sh", "-c",
                                   "mount -t tmpfs -o mode=0755 none /run || exit 77; " + inner],
                                  env=env, text=True, capture_output=True, timeout=60)
        if self.ran.returncode == 77 or "unshare failed" in self.ran.stderr:
            self.skipTest("needs to mount")

    @needs_root
    def test_user_directory(self):
        os.chown(self.dir, NOBODY, NOBODY)
        self.without_run("shadowcl run true && stat -c %a $XDG_RUNTIME_DIR/shadowcl", NOBODY)
        self.expect(0, out=["^700\n$"])
        peer = self.peer(dir=self.dir + "/shadowcl", user=NOBODY)
        self.without_run(f"shadowcl suspend {peer.pid}", NOBODY)
        self.expect(0)

    @needs_root
    def test_shared_directory(self):
        self.without_run("shadowcl run true && stat -c %a /run/shadowcl")
        self.expect(0, out=["^1777\n$"])
        self.without_run("ln -s /tmp /run/shadowcl; shadowcl ps")
        self.expect(0, "note: runtime directory `/run/shadowcl`: refused: it is a symbolic link")
        self.without_run("ln -s /tmp /run/shadowcl; shadowcl run true")
        self.expect_refusal("runtime directory `/run/shadowcl`", "symbolic link", "")

    @needs_root
    def test_root_looks_in_all(self):
        users = self.dir + "/users"
        os.mkdir(users)
        os.chown(users, NOBODY, NOBODY)
        os.chmod(self.dir, 0o755)
        peer = self.peer(dir=users, user=NOBODY)
        self.without_run(f"mkdir -p /run/user/{NOBODY}/shadowcl /run/user/1/shadowcl && "
                         f"mount --bind {users} /run/user/{NOBODY}/shadowcl && shadowcl ps && "
                         f"chown {NOBODY} /run/user/1/shadowcl && shadowcl ps")
        self.expect(0, "note: .*/run/user/1/shadowcl.*belongs to", out=[f"{peer.pid} +nobody"])

    @needs_root
    def test_no_directory(self):
        self.without_run("unset XDG_RUNTIME_DIR; shadowcl run true", NOBODY)
        self.expect_refusal("runtime directory", "XDG_RUNTIME_DIR is not set", "--runtime-dir")
        # Without a directory of his own a user's programs are found wherever they are, those of other
        # tests among them: one who has none.
        self.without_run("unset XDG_RUNTIME_DIR; shadowcl suspend --all", 64321)
        self.expect_refusal("suspend", "no process is under shadowcl", "shadowcl run")


if __name__ == "__main__":
    run_tests()
