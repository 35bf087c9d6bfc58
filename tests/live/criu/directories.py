#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The directory of a copy: for its owner only whatever the umask, and opened without following a
link, also where somebody has prepared it; and which copy is taken out of several."""

import os
import shutil
import time

from cases import Cases, run_cases
from harness import PATIENCE, call, check, checkpoint, expect, lives, restore

LOGS = ("criu.out", "dump.log", "stats-dump")
SECRET = "what is nobody's business\n"


class Directories(Cases):
    def started(self):
        program = self.heat()
        program.wait_until(0.1)
        return program

    def secret(self, name="secret"):
        """A file of somebody else's, of which every byte and the mode are to stay."""
        file = self.setup.work / name
        file.write_text(SECRET)
        file.chmod(0o644)
        return file

    @staticmethod
    def expect_untouched(file):
        now = file.read_text(), file.stat().st_mode & 0o777
        expect(now == (SECRET, 0o644), f"{file} was touched: {now[0][:100]!r}, mode {now[1]:o}")

    @staticmethod
    def expect_private(directory):
        modes = {file.name: file.lstat().st_mode for file in directory.iterdir()}
        wrong = {name: f"{mode:o}" for name, mode in modes.items() if mode != 0o100600}
        expect(not wrong, f"not for the owner only, or no files: {wrong}")
        mode = directory.stat().st_mode & 0o7777
        expect(mode == 0o700, f"the directory's mode is {mode:o}")
        expect("shadowcl.json" in modes, f"there are only {sorted(modes)}")

    # Where a copy is put.

    def case_place_is_a_link(self):
        """With a slash behind it too: what it leads to stays empty, with its mode."""
        target, link = self.directory(made=True), self.directory()
        target.chmod(0o755)
        link.symlink_to(target)
        with self.started() as program:
            for name in (f"{link}/", link, f"{link}///"):
                self.refused(program, "it is a symbolic link, which is not followed",
                             directory=name)
            self.refused(program, "it is no directory", directory=self.secret())
            expect(not list(target.iterdir()), "something was put where the link leads to")
            expect(target.stat().st_mode & 0o777 == 0o755, "its mode was changed")
            self.expect_undisturbed(program)

    def case_place_of_others(self):
        """Whoever may write there has led the logs elsewhere; or it is his."""
        secret = self.secret()
        with self.started() as program:
            for mode in (0o777, 0o1777, 0o770):
                directory = self.directory(made=True)
                directory.chmod(mode)
                for name in LOGS:
                    (directory / name).symlink_to(secret)
                self.refused(program, f"others can write to it (mode {mode:o})", "chmod go-w",
                             directory=directory)
                self.expect_untouched(secret)
            directory = self.directory(made=True)
            os.chown(directory, 65534, 65534)
            self.refused(program, "it belongs to user 65534", directory=directory)
            self.expect_undisturbed(program)

    def case_prepared_place(self):
        """Links in the place of logs, and logs that others can read, from before it was private."""
        secret = self.secret()
        with self.started() as program:
            linked, left = self.directory(made=True), self.directory(made=True)
            for name in LOGS:
                (linked / name).symlink_to(secret)
                (left / name).write_text("of an earlier time")
                (left / name).chmod(0o644)
            for directory in (linked, left):
                checkpoint(self.setup, program, directory, "--leave-running")
                self.expect_private(directory)
            self.expect_untouched(secret)
            program.kill()
            program.forget_answer()
            check(self.expected(), restore(self.setup, program, linked, "--truncate"))
            self.expect_untouched(secret)

    def case_failed_into_prepared_place(self):
        """CRIU fails: what it says is for the owner only too."""
        broken = self.setup.work / "broken-criu"
        broken.write_text(f'#!/bin/sh\n[ "$1" = dump ] || exec {self.criu} "$@"\n'
                          'echo "Error (x.c:1): no luck"\nexit 1\n')
        broken.chmod(0o755)
        secret, directory = self.secret(), self.directory(made=True)
        (directory / "criu.out").symlink_to(secret)
        with self.started() as program:
            self.refused(program, "no luck", directory=directory,
                         environment={"SHADOWCL_CRIU": broken})
            self.expect_untouched(secret)
            mode = (directory / "criu.out").lstat().st_mode
            expect(mode == 0o100600, f"what CRIU says has mode {mode:o}")
            self.expect_undisturbed(program)

    def case_umask(self):
        """All that is in it, whatever the umask."""
        with self.started() as program:
            for mask in (0, 0o777):
                new, empty = self.directory(), self.directory(made=True)
                before = os.umask(mask)
                try:
                    checkpoint(self.setup, program, new, "--leave-running", "--with-files")
                    checkpoint(self.setup, program, empty, "--leave-running")
                finally:
                    os.umask(before)
                expect(list(new.glob("*.mapped")), "no file is kept: not all is tried")
                self.expect_private(new)
                self.expect_private(empty)
            program.kill()
            program.forget_answer()
            check(self.expected(), restore(self.setup, program, new, "--truncate"))
            self.expect_private(new)

    # Copies at intervals.

    def every(self, directory):
        return ["--checkpoint-every", "0.3s", "--checkpoint-dir", str(directory), "--keep", "2"]

    def wait_for_copy(self, top, program):
        end = time.monotonic() + PATIENCE
        while not list(top.glob("*/shadowcl.json")) and lives(program.pid):
            log = top / "checkpoint.log"
            expect(time.monotonic() < end,
                   f"no copy: {log.read_text() if log.exists() else 'nothing was tried'}")
            time.sleep(0.01)

    def case_periodic_place(self):
        """A link is refused, also one in the place of the log, before the program is started."""
        top, link, secret = self.directory(made=True), self.directory(), self.secret()
        link.symlink_to(top)
        for name in (link, f"{link}/"):
            said = call(self.setup, "run", *self.every(name), "--", "true", code=1)
            expect("it is a symbolic link, which is not followed" in said, said)
        log = top / "checkpoint.log"
        log.symlink_to(secret)
        said = call(self.setup, "run", *self.every(top), "--", "true", code=1)
        expect("checkpoint.log" in said and "no link is followed" in said, said)
        self.expect_untouched(secret)
        log.unlink()
        log.write_text("of an earlier time")
        log.chmod(0o644)
        for mask in (0, 0o777):
            before = os.umask(mask)
            try:
                program = self.heat(*self.every(top))
            finally:
                os.umask(before)
            with program:
                self.wait_for_copy(top, program)
                expect(log.stat().st_mode & 0o777 == 0o600,
                       f"the log's mode is {log.stat().st_mode:o}")
                copy = next(top.glob("*/shadowcl.json")).parent
                expect(copy.stat().st_mode & 0o777 == 0o700, f"{copy.stat().st_mode:o}")
                self.expect_undisturbed(program)
            for copy in top.glob("0*"):  # the last of them may still be dropped by who makes them
                if copy.is_dir():
                    shutil.rmtree(copy, ignore_errors=True)
                else:
                    copy.unlink(missing_ok=True)

    # Which copy is taken.

    def case_restore_follows_no_link(self):
        with self.started() as program:
            top, other = self.directory(made=True), self.directory()
            checkpoint(self.setup, program, top / "1", "--leave-running")
            checkpoint(self.setup, program, other, "--leave-running")
            program.kill()
            program.forget_answer()
            link = self.directory()
            link.symlink_to(other)
            for name in (link, f"{link}/"):
                said = call(self.setup, "restore", "--truncate", name, code=1)
                expect("it is a symbolic link, which is not followed" in said and
                       "state: not started" in said, said)
            (top / "2").symlink_to(other)  # another one's, or an old one
            top.chmod(0o777)
            said = call(self.setup, "restore", "--truncate", top, code=1)
            expect("others may write to it (mode 777)" in said, said)
            top.chmod(0o755)
            said = call(self.setup, "restore", "--truncate", f"{top}/")
            expect(f"restored from {top}/1 " in said, said)
            check(self.expected(), program.answer())

    def case_newest_by_number(self):
        """By their numbers, not by times, which a file loses when it is copied, nor as words."""
        with self.started() as program:
            top = self.directory(made=True)
            for name in ("1", "000002", "by-hand"):
                checkpoint(self.setup, program, top / name, "--leave-running")
            shutil.copytree(top / "000002", top / "10")
            now = time.time()
            for age, name in enumerate(("1", "000002", "10", "by-hand")):
                os.utime(top / name / "shadowcl.json", (now - 60 * age, now - 60 * age))
            program.kill()
            for expected in ("10", "000002", "1"):
                program.forget_answer()
                said = call(self.setup, "restore", "--truncate", top)
                expect(f"restored from {top}/{expected} " in said, said)
                check(self.expected(), program.answer())
                shutil.rmtree(top / expected)

    def case_damaged(self):
        """Cut short, or without one of its images: named, and refused, or passed by for an older
        one."""
        with self.started() as program:
            top = self.directory(made=True)
            for name in ("1", "2", "3"):
                checkpoint(self.setup, program, top / name, "--leave-running")
            program.kill()
            pages, = (top / "3").glob("pages-*.img")
            os.truncate(pages, pages.stat().st_size - 4096)
            (top / "2/files.img").unlink()
            program.forget_answer()
            for number, reason in ((3, f"its image `{pages.name}` has "),
                                   (2, "its image `files.img` is not there")):
                said = call(self.setup, "restore", "--truncate", top / str(number), code=1)
                expect(reason in said and "to do: it was damaged" in said and
                       "state: not started" in said, said)
            said = call(self.setup, "restore", "--truncate", top)
            for number, file in ((3, pages.name), (2, "files.img")):
                expect(f"note: copy `{number}`: its image `{file}`" in said, said)
            expect(f"restored from {top}/1 " in said, said)
            check(self.expected(), program.answer())


if __name__ == "__main__":
    run_cases(__doc__, Directories)
