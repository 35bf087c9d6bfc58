#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What goes wrong when the hard part is done, or beside it: a resume that fails after a good dump or
restore, what a kill leaves between copies, names that are told from here, two restores at once, and
CRIU in the home of who calls sudo."""

import os
import subprocess
import time
from pathlib import Path

from cases import Cases, NOBODY, run_cases, watching
from harness import (NEW_NAMESPACE, PATIENCE, Setup, call, check, checkpoint, expect, lives,
                     restore)

NOTHING = ["--device", "nothing"]
ANOTHER = 4242


class Mishaps(Cases):
    def on_test_driver(self):
        """The file that tells it what to fail."""
        work = self.setup.work / "gpu"
        work.mkdir()
        faults = work / "faults"
        faults.write_text("")
        self.setup = Setup(self.setup.bin.parent, "testdriver", "copy", work)
        self.setup.environment["SHADOWCL_TEST_FAULTS"] = str(faults)
        return faults

    def copied(self):
        """A program that was copied, and has ended; and where to."""
        program = self.heat()
        program.wait_until(0.2)
        directory = self.directory()
        checkpoint(self.setup, program, directory)
        program.process.wait(timeout=PATIENCE)
        program.forget_answer()
        return program, directory

    def write_script(self, name, text):
        script = self.setup.work / name
        script.write_text(f"#!/bin/sh\n{text}\n")
        script.chmod(0o755)
        return script

    def case_left_suspended(self):
        """Copied, to be left running, and its device can't be had again: the copy is whole."""
        faults = self.on_test_driver()
        unlucky = self.write_script("unlucky-criu", f'{self.criu} "$@" || exit\n[ "$1" != dump ] || '
                                    f'echo "fail clCreateContext 1 -6" >{faults}')
        expected = self.expected()
        with self.heat() as program:
            program.wait_until(0.2)
            directory = self.directory()
            said = call(self.setup, "checkpoint", "--leave-running", program.pid, directory, code=1,
                        environment={"SHADOWCL_CRIU": unlucky})
            for word in ("can't make it again (-6)", "state: suspended",
                         f"the copy is whole; try `shadowcl resume {program.pid}`"):
                expect(word in said, f"`{word}` is not said: {said}")
            expect((directory / "shadowcl.json").exists(), "it is not marked as whole")
            faults.write_text("")
            call(self.setup, "resume", program.pid)
            self.wait_for_state(program, "running")
            program.kill()
            self.setup.replace_node()
            program.forget_answer()
            check(expected, restore(self.setup, program, directory, "--truncate"))

    def case_refused_leaves_nothing(self):
        """The directory goes with a copy that was not begun."""
        faults = self.on_test_driver()
        with self.heat() as program:
            program.wait_until(0.2)
            faults.write_text("fail clEnqueueReadBuffer 1 -36\n")
            directory = self.refused(program, "clEnqueueReadBuffer failed (-36)")
            expect(not directory.exists(), "an empty directory was left behind")
            self.expect_undisturbed(program)

    # Copies at intervals.

    def case_periodic_leftovers(self):
        """Killed between the note of a copy and its directory, or before the note of a whole one was
        removed: the notes go before the first copy is begun, which could not have that number."""
        top = self.directory(made=True)
        (top / "000003").mkdir()
        (top / "000003/shadowcl.json").write_text("{}")
        notes = [top / f"00000{number}.making" for number in (3, 4)]
        for note in notes:
            note.touch()
        every = ["--checkpoint-every", "30s", "--checkpoint-dir", str(top), "--keep", "1"]
        with subprocess.Popen([self.setup.bin / "shadowcl", "run", *every, "--", "sleep", "20"],
                              env=self.setup.environment, stdin=subprocess.DEVNULL) as process:
            try:
                end = time.monotonic() + 15
                while left := [note.name for note in notes if note.exists()]:
                    expect(time.monotonic() < end and process.poll() is None, f"{left} stay there")
                    time.sleep(0.01)
                expect((top / "000003/shadowcl.json").exists(), "a whole copy was removed")
            finally:
                process.kill()
        end = time.monotonic() + PATIENCE
        while watching(top):
            expect(time.monotonic() < end, "the watcher does not end with the program")
            time.sleep(0.01)

    def wait_for_copy(self, top, program, after=0):
        """The number of the first that is whole, and newer than this one."""
        log, end = top / "checkpoint.log", time.monotonic() + PATIENCE
        while not (found := [int(mark.parent.name) for mark in top.glob("0*/shadowcl.json")
                             if int(mark.parent.name) > after]):
            expect(lives(program.pid) and time.monotonic() < end,
                   f"no copy: {log.read_text() if log.exists() else 'nothing was tried'}")
            time.sleep(0.01)
        return min(found)

    def case_relative_names(self):
        """Who makes the copies is in another folder than who was told where CRIU is, and where to
        listen."""
        os.chdir(self.setup.work)
        Path("criu").symlink_to(self.criu)
        self.setup.environment |= {"SHADOWCL_CRIU": "./criu", "SHADOWCL_RUNTIME_DIR": "run",
                                   "TMPDIR": "."}
        top = self.directory()
        every = ["--checkpoint-every", "0.3s", "--checkpoint-dir", top.name]
        with self.heat(*every) as program:
            self.wait_for_copy(top, program)
            program.kill()
            program.slowly.touch()  # its copy is to live on
            while watching(top):
                time.sleep(0.01)
            newest = max(int(mark.parent.name) for mark in top.glob("0*/shadowcl.json"))
            call(self.setup, "restore", "--detach", "--truncate", *every, top.name)
            self.wait_for_copy(top, program, after=newest)
            self.wait_for_state(program, "running")

    # Restores.

    def case_restore_fails(self):
        """Made again, and there is no such device: the command ends, and leaves the program to be
        resumed. As the first of a pid namespace it can't leave it: then it is to be made again. Where
        CRIU fails, its log stays."""
        program, directory = self.copied()
        logs = self.setup.work / "logs"
        logs.mkdir()
        self.setup.environment["TMPDIR"] = str(logs)
        with program:
            said = call(self.setup, "restore", *NOTHING, directory, before=NEW_NAMESPACE, code=1)
            expect("state: gone" in said and "restore it again" in said, said)
            expect(not list(logs.iterdir()), f"left behind: {list(logs.iterdir())}")
            said = call(self.setup, "restore", directory, "--", "--no-such-option", code=1)
            log, = logs.iterdir()
            expect(f"see {log}/restore.log" in said and "state: not started" in said, said)
            expect(log.stat().st_mode & 0o7777 == 0o700, f"the log's mode is {log.stat().st_mode:o}")
            said = call(self.setup, "restore", *NOTHING, directory, code=1)
            expect("state: suspended" in said and f"`shadowcl resume {program.pid}`" in said, said)
            self.wait_for_state(program, "suspended")
            call(self.setup, "resume", program.pid)
            self.wait_for_restored(program.pid)
            check(self.expected(), program.answer())

    def case_read_only(self):
        """A copy that nothing can be written beside."""
        program, directory = self.copied()
        mounted = f'mount --bind {directory} {directory} && mount -o remount,bind,ro {directory} && ' \
                  '! touch $0/x 2>/dev/null && exec "$@"'
        with program:
            program.hurry()
            call(self.setup, "restore", directory,
                 before=["unshare", "--mount", "sh", "-c", mounted, directory])
            check(self.expected(), program.answer())

    def case_two_at_once(self):
        """From one copy, each as the first of a pid namespace: one is made, and ends, while the other
        has made its program and not read yet which it is."""
        program, directory = self.copied()
        made, go = self.setup.work / "made", self.setup.work / "go"
        slow = self.write_script("slow-criu", f'{self.criu} "$@" || exit\n[ "$1" = restore ] || exit 0'
                                 f'\necho >{made}\nuntil [ -e {go} ]; do sleep 0.05; done')
        with program, subprocess.Popen(
                [*NEW_NAMESPACE, self.setup.bin / "shadowcl", "restore", directory],
                env={**self.setup.environment, "SHADOWCL_CRIU": str(slow)}, text=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as first:
            try:
                end = time.monotonic() + PATIENCE
                while not made.exists():
                    expect(time.monotonic() < end and first.poll() is None, "it is not made")
                    time.sleep(0.01)
                call(self.setup, "restore", "--truncate", "--detach", directory, before=NEW_NAMESPACE)
                program.hurry()
                go.touch()
                said, _ = first.communicate(timeout=PATIENCE)
                expect(first.returncode == 0, f"exit code {first.returncode}: {said}")
            finally:
                first.kill()
            check(self.expected(), program.answer())

    def case_found_by_sudo(self):
        """What scripts/get-criu.sh has put into the home of who calls sudo, if it is his or root's."""
        home, passwd = self.setup.work / "home", self.setup.work / "passwd"
        own = home / ".local/share/shadowcl/criu/bin"
        own.mkdir(parents=True)
        self.setup.work.chmod(0o755)
        criu = self.write_criu("criu", "3.16.1", "true")["SHADOWCL_CRIU"].rename(own / "criu")
        passwd.write_text(f"root:x:0:0::/root:/bin/sh\nann:x:{NOBODY}:{NOBODY}::{home}:/bin/sh\n")
        environment = {"HOME": self.setup.work, "XDG_DATA_HOME": "", "SHADOWCL_CRIU": "",
                       "PATH": "/nonexistent"}
        before = ["/usr/bin/unshare", "--mount", "/bin/sh", "-c",
                  f'/bin/mount --bind {passwd} /etc/passwd && exec "$@"', "sh"]
        for user, owner, mode, found in (("ann", NOBODY, 0o755, True), ("ann", 0, 0o755, True),
                                         ("ann", ANOTHER, 0o755, False),
                                         ("ann", NOBODY, 0o777, False), ("bob", 0, 0o755, False)):
            os.chown(criu, owner, owner)
            criu.chmod(mode)
            said = call(self.setup, "restore", self.setup.work, code=1, before=before,
                        environment={**environment, "SUDO_USER": user})
            expect(("is version 3.16.1" in said) == found,
                   f"of user {owner}, mode {mode:o}, for {user}: {said}")


if __name__ == "__main__":
    run_cases(__doc__, Mishaps)
