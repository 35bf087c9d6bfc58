# SPDX-License-Identifier: Apache-2.0
"""The file of an image, made by `save` and `suspend --image`: it is there as a whole or not at all,
for its owner only, and is not replaced while somebody needs it. What can't be had is refused before
the process is asked."""
import fcntl
import os
import pty
import signal
import stat
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli"))
from harness import (Case, IMAGE, needs_root, NOBODY, read_file, run_tests,  # noqa: E402
                     SUSPEND, SUSPEND_MS)

SAVE = SUSPEND
BYTES = b"what a process writes into the file that it is given\0"


class Files(Case):
    def setUp(self):
        super().setUp()
        self.folder = os.path.join(self.dir, "images")
        os.mkdir(self.folder)

    def path(self, name="a.image"):
        return os.path.join(self.folder, name)

    def save(self, peer, *args, file=None, **more):
        return self.shadowcl("save", peer.pid, file or self.path(), *args, **more)

    def suspend(self, peer, *args, file=None, **more):
        return self.shadowcl("suspend", peer.pid, "--image", file or self.path(), *args, **more)

    def expect_folder(self, *names):
        self.equal(sorted(os.listdir(self.folder)), sorted(names))

    def asked(self, peer):
        self.peers.remove(peer)
        return peer.stop()

    # --- Usage ---

    def test_usage(self):
        for args, pattern in (
                (["save"], "process id is missing"),
                (["save", "1"], "file is missing"),
                (["save", "x", "y"], "`x` is not a process id"),
                (["save", "1", "a", "b"], "`b` is too much"),
                (["save", "1", "a", "--compress", "lz4"], "--compress: `lz4`"),
                (["save", "1", "a", "--all"], "unrecognized option"),
                (["save", "1", "a", "--deadline", "0"], "--deadline"),
                (["suspend", "1", "2", "--image", "a"], "each process needs a file of its own"),
                (["suspend", "--all", "--image", "a"], "each process needs a file of its own"),
                (["suspend", "--image", "a"], "each process needs a file of its own"),
                (["suspend", "1", "--image", ""], "name is empty"),
                (["suspend", "1", "--image", "-"], "name a file"),
                (["suspend", "1", "--compress", "off"], "--compress is for --image"),
                (["suspend", "1", "--image", "a", "--compress", "on"], "--compress: `on`")):
            with self.subTest(args=args):
                self.shadowcl(*args)
                self.expect(2, pattern, "--help")
                self.equal(self.ran.stdout, "")
        self.shadowcl("save", "--help")
        self.expect(0, out=["Usage: shadowcl save", "--json", "--compress", "Exit codes"])

    # --- What goes well ---

    def test_save(self):
        peer = self.peer()
        self.save(peer, "--json", "--deadline", "0.5", "--compress", "zstd")
        self.expect(0)
        element, = self.answer(SAVE)
        self.equal((set(element["ms"]), element["state"]), (SUSPEND_MS, "running"))
        self.equal(element["image"], {
            "file": self.path(), "bytes": len(BYTES), "contents_bytes": 13002342,
            "zero_bytes": 4096, "equal_bytes": 8192, "ms": 1.5})
        self.equal(set(element["image"]), IMAGE)
        self.equal(read_file(self.path()), BYTES)
        self.expect_folder("a.image")
        self.save(peer)  # another in its place
        self.expect(0, out=[rf"^{peer.pid} hashcat: saved in 31.2 ms \(drain 3.1, capture 20.0\), "
                            rf"42 objects, 12.4 MiB in `{self.path()}` \(53 B, written in 1.5 "
                            r"ms\)\n$"])
        self.expect_folder("a.image")
        self.equal(self.asked(peer), ["save 0.5, image 2", "save 10, image 0"])

    def test_suspend(self):
        peer = self.peer()
        self.suspend(peer, "--json", "--compress", "off", "--max-rounds", "2")
        self.expect(0)
        element, = self.answer(SUSPEND)
        self.equal((element["state"], element["image"]["file"]), ("suspended", self.path()))
        self.equal(read_file(self.path()), BYTES)
        self.expect_folder("a.image")
        # In its eyes the file has this name too: CRIU finds it by that.
        self.expect_kept(peer)
        self.shadowcl("resume", peer.pid)
        self.suspend(peer, file=self.path("b.image"))
        self.expect(0, out=[r"suspended in 31.2 ms .*, 42 objects, 12.4 MiB in `.*b.image` \(53 B"])
        self.equal(self.asked(peer), ["suspend 10, prepare 2 0 0, image 1", "resume  0",
                                      "suspend 10, image 0"])

    def expect_kept(self, peer):
        """One descriptor of it, once the one that came with the request is closed, which may be
        after the answer; others come and go while we look."""
        end = time.monotonic() + 30
        while (count := self.count_descriptors(peer)) != 1 and time.monotonic() < end:
            time.sleep(0.01)
        self.equal(count, 1)

    def count_descriptors(self, peer):
        count = 0
        for fd in os.listdir(f"/proc/{peer.pid}/fd"):
            try:
                count += os.readlink(f"/proc/{peer.pid}/fd/{fd}") == self.path()
            except FileNotFoundError:
                continue
        return count

    def test_no_image_is_null(self):
        peer = self.peer()
        self.shadowcl("suspend", peer.pid, "--json")
        self.equal(self.answer(SUSPEND)[0]["image"], None)

    def test_mode_whatever_the_umask(self):
        peer = self.peer()
        for mask in (0, 0o022, 0o777):
            before = os.umask(mask)
            try:
                for verb in (self.save, self.suspend):
                    verb(peer)
                    self.expect(0)
                    self.equal(stat.S_IMODE(os.stat(self.path()).st_mode), 0o600)
                    self.shadowcl("resume", peer.pid)
                    os.unlink(self.path())
            finally:
                os.umask(before)

    def test_relative_names(self):
        peer = self.peer()
        here = os.getcwd()
        os.chdir(self.folder)
        try:
            for name in ("a", "./b", "../images/c", "-d"):
                self.shadowcl("save", "--", peer.pid, name)
                self.expect(0)
            self.expect_folder("-d", "a", "b", "c")
        finally:
            os.chdir(here)

    # --- What can't be had: the process is not asked ---

    def refuse(self, peer, file, why, *args, **more):
        for verb in (self.save, self.suspend):
            with self.subTest(file=file, verb=verb.__name__):
                verb(peer, *args, file=file, **more)
                self.expect_refusal("file `", why, ".", state="running")
                verb(peer, "--json", *args, file=file, **more)
                element, = self.answer(SUSPEND)
                self.equal((element["state"], element["image"]), ("running", None))
                self.assertIn("file `", element["error"]["object"])

    def test_no_such_file(self):
        peer = self.peer()
        os.symlink("target", self.path("link"))
        os.symlink(self.folder, os.path.join(self.dir, "way"))
        os.mkfifo(self.path("pipe"))
        os.mkdir(self.path("folder"))
        self.refuse(peer, self.path("link"), "symbolic link")
        self.refuse(peer, self.folder, "is a directory")
        self.refuse(peer, self.folder + "/", "is a directory")
        self.refuse(peer, self.path("folder/.."), "is a directory")
        self.refuse(peer, self.path("pipe"), "no ordinary file")
        self.refuse(peer, "/dev/null", "no ordinary file")
        self.refuse(peer, self.path("none/a"), "its folder can't be opened: No such file")
        self.refuse(peer, self.path("pipe/a"), "its folder can't be opened: Not a directory")
        self.refuse(peer, self.path("x" * 256), "File name too long")
        self.refuse(peer, "/proc/a", "no file can be made")
        self.expect_folder("link", "pipe", "folder")
        self.save(peer, file=os.path.join(self.dir, "way/a.image"))  # the folder may be a link
        self.expect(0)
        self.equal(self.asked(peer), ["save 10, image 0"])

    @needs_root
    def test_not_writable(self):
        os.chmod(self.dir, 0o755)
        run = os.path.join(self.dir, "run")
        os.mkdir(run)
        os.chmod(run, 0o1777)
        peer = self.peer(user=NOBODY, dir=run, name="1-1.sock")
        self.refuse(peer, self.path(), "no file can be made in its folder: Permission denied",
                    user=NOBODY, dir=run)
        os.chmod(self.folder, 0o1777)
        with open(self.path("root's"), "w"):
            pass
        self.refuse(peer, self.path("root's"), "another user's", user=NOBODY, dir=run)
        self.save(peer, user=NOBODY, dir=run)
        self.expect(0)
        self.equal(os.stat(self.path()).st_uid, NOBODY)
        # Root's command: the file is root's, and the process writes it all the same.
        self.save(peer, file=self.path("b"), dir=run)
        self.expect(0)
        self.equal((os.stat(self.path("b")).st_uid, read_file(self.path("b"))), (0, BYTES))
        self.expect_folder("a.image", "b", "root's")

    def test_in_use(self):
        peer, other = self.peer(), self.peer()
        self.suspend(peer)
        self.expect(0)
        before = os.stat(self.path()).st_ino
        self.refuse(other, self.path(), rf"in use by process {peer.pid} fake_peer")
        self.expect_folder("a.image")
        self.equal(os.stat(self.path()).st_ino, before)
        self.shadowcl("resume", peer.pid)
        self.save(other)
        self.expect(0)

    def test_in_use_by_another_command(self):
        slow, other = self.peer("save=slow"), self.peer()
        with open(self.path(), "w"):
            pass
        command = [os.path.join(self.tree, "bin/shadowcl"), "save", str(slow.pid), self.path()]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True,
                              env=dict(os.environ, SHADOWCL_RUNTIME_DIR=self.dir)) as first:
            time.sleep(1)
            self.save(other)
            self.expect_refusal("file `", rf"in use by process {first.pid} shadowcl", "wait")
            out, _ = first.communicate()
        self.assertEqual((first.returncode, read_file(self.path())), (0, BYTES), out)

    def test_came_meanwhile(self):
        slow, other = self.peer("save=slow"), self.peer()
        command = [os.path.join(self.tree, "bin/shadowcl"), "save", str(slow.pid), self.path()]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True,
                              env=dict(os.environ, SHADOWCL_RUNTIME_DIR=self.dir)) as first:
            time.sleep(1)
            with open(self.path(), "w") as file:
                file.write("mine")
            _, said = first.communicate()
        self.assertIn("made a file of that name meanwhile", said)
        self.equal((first.returncode, read_file(self.path())), (1, b"mine"))
        self.expect_folder("a.image")

    # --- What goes wrong: nothing is left, the program runs ---

    def test_process_refuses(self):
        peer = self.peer("save=full", "suspend=full")
        with open(self.path(), "w") as file:
            file.write("before")
        for verb in (self.save, self.suspend):
            verb(peer)
            self.expect_refusal("image", "offset 4096: No space left", "make room", "running")
        self.expect_folder("a.image")
        self.equal(read_file(self.path()), b"before")

    def test_process_ends(self):
        for how in ("die", "die-half", "close", "garbage"):
            peer = self.peer(f"save={how}", f"suspend={how}")
            self.save(peer)
            self.expect(1)
            self.expect_folder()

    def test_old_library(self):
        peer = self.peer("save=old", "suspend=old")
        self.save(peer)
        self.expect_refusal(str(peer.pid), "knows no images", "start it anew", "running")
        self.suspend(peer)
        self.expect_refusal(str(peer.pid), "knows no images", "start it anew", "running")
        self.expect_folder()
        self.equal(self.asked(peer), ["save 10, image 0", "suspend 10, image 0", "resume  0"])

    def test_another_size(self):
        peer = self.peer("save=lie", "suspend=lie", "resume=refuse")
        self.save(peer)
        self.expect_refusal("file `", "its size is not the 54 bytes", "try again", "running")
        self.suspend(peer)
        self.expect_refusal("file `", "its size is not the 54 bytes.*; and resuming the process "
                            "failed: did not end", "shadowcl resume", "suspended")
        self.expect_folder()

    def test_suspended_by_somebody_else(self):
        """A file that can't be kept is no reason to resume whom another has suspended."""
        peer = self.peer("save=lie")
        self.shadowcl("suspend", peer.pid)
        self.expect(0)
        self.save(peer)
        self.expect_refusal("file `", "its size is not the 54 bytes", "try again", "suspended")
        self.assertNotIn("resume", " ".join(self.asked(peer)))

    def test_interrupted(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            for verb in ("save", "suspend"):
                peer = self.peer(f"{verb}=slow")
                words = [self.path()] if verb == "save" else ["--image", self.path()]
                command = [os.path.join(self.tree, "bin/shadowcl"), verb, str(peer.pid), *words]
                with subprocess.Popen(command, stderr=subprocess.PIPE, text=True,
                                      env=dict(os.environ, SHADOWCL_RUNTIME_DIR=self.dir)) as ran:
                    time.sleep(0.7)
                    ran.send_signal(number)
                    _, said = ran.communicate()
                self.assertEqual(ran.returncode, 1, said)
                self.assertRegex(said, "interrupted before its answer")
                self.expect_folder()

    def test_killed(self):
        """A save has no name before it is whole."""
        peer = self.peer("save=slow")
        command = [os.path.join(self.tree, "bin/shadowcl"), "save", str(peer.pid), self.path()]
        with subprocess.Popen(command,
                              env=dict(os.environ, SHADOWCL_RUNTIME_DIR=self.dir)) as ran:
            time.sleep(0.7)
            ran.kill()
        self.expect_folder()

    @needs_root
    def test_no_room(self):
        """The file is on a filesystem of its own, which is full."""
        peer = self.peer()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,nr_inodes=2", "none", self.folder],
                       check=True)
        try:
            with open(self.path("b"), "w"):
                pass
            self.refuse(peer, self.path(), "no file can be made in its folder: No space left")
        finally:
            subprocess.run(["umount", self.folder], check=True)
        self.equal(self.asked(peer), [])

    # --- Standard output ---

    def to_output(self, peer, output, *args):
        command = [os.path.join(self.tree, "bin/shadowcl"), "save", str(peer.pid), "-", *args]
        return subprocess.run(command, stdout=output, stderr=subprocess.PIPE,
                              env=dict(os.environ, SHADOWCL_RUNTIME_DIR=self.dir))

    def test_output(self):
        peer = self.peer()
        ran = self.to_output(peer, subprocess.PIPE)
        self.assertEqual((ran.returncode, ran.stdout), (0, BYTES))
        self.assertRegex(ran.stderr, b"saved in .* in `standard output`")
        ran = self.to_output(peer, subprocess.PIPE, "--json")
        self.assertEqual((ran.returncode, ran.stdout, ran.stderr[:1]), (0, BYTES, b"["))
        with open(self.path(), "wb") as file:
            self.assertEqual(self.to_output(peer, file).returncode, 0)
        self.equal(read_file(self.path()), BYTES)

    def test_output_that_does_not_wait(self):
        peer = self.peer()
        end, output = os.pipe()
        flags = fcntl.fcntl(output, fcntl.F_GETFL)
        fcntl.fcntl(output, fcntl.F_SETFL, flags | os.O_NONBLOCK)
        self.assertEqual(self.to_output(peer, output).returncode, 0)
        self.assertEqual(os.read(end, 4096), BYTES)
        self.equal(os.get_blocking(output), False)  # as it was: others may have it open too
        os.close(end), os.close(output)

    def test_output_refused(self):
        peer = self.peer()
        ours, terminal = pty.openpty()
        ran = self.to_output(peer, terminal)
        self.assertEqual(ran.returncode, 1)
        self.assertRegex(ran.stderr, b"standard output: it is a terminal(.|\n)*state: running")
        os.close(ours), os.close(terminal)
        ran = subprocess.run(f"{self.tree}/bin/shadowcl save {peer.pid} - >&-", shell=True,
                             stderr=subprocess.PIPE,
                             env=dict(os.environ, SHADOWCL_RUNTIME_DIR=self.dir))
        self.assertEqual(ran.returncode, 1)
        self.assertRegex(ran.stderr, b"standard output: it can't be written to")
        # What is not about the process goes to standard error too.
        ran = subprocess.run([os.path.join(self.tree, "bin/shadowcl"), "save", "--json", "1", "-"],
                             capture_output=True, env=dict(os.environ,
                                                           SHADOWCL_RUNTIME_DIR="/nowhere"))
        self.assertEqual((ran.returncode, ran.stdout), (1, b""))
        self.equal(self.asked(peer), [])


if __name__ == "__main__":
    run_tests()
