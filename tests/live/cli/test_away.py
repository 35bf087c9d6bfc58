# SPDX-License-Identifier: Apache-2.0
"""What the command writes into a process that says it waits to be woken (agent/away.h): into the
pipe at which it waits, and into nothing else, whatever the process says of itself."""
import os
import shlex
import subprocess
import sys

from harness import NOBODY, Case, needs_root, read_file, run_tests

NUMBER = 7
TRIES = 60
NOT_OURS = 3  # of `criu-hook`: it has nothing to do with shadowcl
# Its first thread is called as the one that waits at the pipe is.
NAME = f"""import ctypes, os, sys, threading
ctypes.CDLL(None).prctl(15, b"shadowcl-{NUMBER}", 0, 0, 0)
"""
WAIT = """print("ready", flush=True)
sys.stdin.read()
"""


class Away(Case):
    def process(self, script, *words, files=()):
        process = subprocess.Popen([sys.executable, "-c", NAME + script, *map(str, words)],
                                   text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   pass_fds=files)
        self.addCleanup(process.communicate)
        self.equal(process.stdout.readline(), "ready\n")
        return process

    def resume(self, process, code):
        self.shadowcl("criu-hook", "resume", process.pid)
        self.expect(code)

    def test_pipe(self):
        """The one at which a process of ours waits, which it can write to itself."""
        process = self.process(f"""
ours, its = os.pipe()
os.dup2(its, {NUMBER})
print("ready", flush=True)
print(repr(os.read(ours, 4096)), flush=True)
sys.stdin.read()
""")
        self.resume(process, 0)
        lines = eval(process.stdout.readline()).decode().split("\n")
        self.equal(lines, ["resume ", os.path.realpath(self.dir), ""])

    def told_directory(self, owner):
        """What a program of another user is told, whose environment names a directory of `owner`."""
        its = os.path.join(self.dir, "its")
        os.mkdir(its)
        os.chown(its, owner, owner)
        os.chmod(self.dir, 0o755)
        program = NAME + f"""
os.setgroups([])
os.setresgid({NOBODY}, {NOBODY}, {NOBODY})
os.setresuid({NOBODY}, {NOBODY}, {NOBODY})
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # its files in /proc are its own, as if it had been started so
ours, its = os.pipe()
os.dup2(its, {NUMBER})
print("ready", flush=True)
print(os.read(ours, 4096).decode().split("\\n")[1])
"""
        python = ["env", f"SHADOWCL_RUNTIME_DIR={its}", sys.executable, "-c", program]
        script = f"""mount -t tmpfs -o mode=0755 none /run && mkfifo /run/out || exit 77
{shlex.join(python)} >/run/out &
exec </run/out
read ready
{self.tree}/bin/shadowcl criu-hook resume $! || exit 1
cat
"""
        env = {name: value for name, value in os.environ.items() if name != "SHADOWCL_RUNTIME_DIR"}
        self.ran = subprocess.run(["unshare", "-m", "sh", "-c", script], env=env, text=True,
                                  capture_output=True, timeout=60)
        if self.ran.returncode == 77 or "unshare failed" in self.ran.stderr:
            self.skipTest("needs to mount")
        self.expect(0)
        return self.ran.stdout.strip()

    @needs_root
    def test_directory_of_its_own(self):
        """It is told none: it listens where it did."""
        self.equal(self.told_directory(NOBODY), "")

    @needs_root
    def test_directory_that_it_may_not_write_to(self):
        """As a copy may find it on another machine: it is told the machine's."""
        self.equal(self.told_directory(0), "/run/shadowcl")

    def test_pipe_that_it_only_reads(self):
        """Somebody else's, who has not let it write there."""
        its, ours = os.pipe()
        os.set_blocking(its, False)
        self.addCleanup(os.close, its)
        self.addCleanup(os.close, ours)
        process = self.process(f"os.dup2(int(sys.argv[1]), {NUMBER})\n" + WAIT, its, files=[its])
        self.resume(process, NOT_OURS)
        with self.assertRaises(BlockingIOError, msg="something was written into it"):
            os.read(its, 4096)

    def test_no_pipe(self):
        """A file, a pipe with a name, a device."""
        named = os.path.join(self.dir, "fifo")
        os.mkfifo(named)
        path = os.path.join(self.dir, "file")
        with open(path, "w", encoding="ascii") as file:
            file.write("as it was")
        for target in (path, named, "/dev/full"):
            process = self.process(f"os.dup2(os.open(sys.argv[1], os.O_RDWR), {NUMBER})\n" + WAIT,
                                   target)
            self.resume(process, NOT_OURS)
        self.equal(read_file(path), b"as it was")

    def test_number_that_changes(self):
        """A pipe at one moment, at the next a file that its user may only read."""
        path = os.path.join(self.dir, "file")
        with open(path, "w", encoding="ascii") as file:
            file.write("as it was")
        process = self.process(f"""
pipe = os.pipe()
file = os.open(sys.argv[1], os.O_RDONLY)
dup2 = ctypes.CDLL(None).dup2
def change():
    while True:
        dup2(pipe[1], {NUMBER})
        dup2(file, {NUMBER})
threading.Thread(target=change, daemon=True).start()
""" + WAIT, path)
        for _ in range(TRIES):
            self.shadowcl("criu-hook", "resume", process.pid)
            self.equal(read_file(path), b"as it was")


if __name__ == "__main__":
    run_tests()
