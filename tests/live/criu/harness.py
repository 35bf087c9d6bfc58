# SPDX-License-Identifier: Apache-2.0
"""What the tests with CRIU share: a program under shadowcl whose outputs are files, which is
copied, killed and made again; and the way to skip where CRIU or the rights for it are missing."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "samples"))
from kept import kept  # noqa: E402
from samples import (Failure, Setup, TooShort, check, expect, run_long_enough,  # noqa: F401,E402
                     run_native)

SKIPPED = 77
# Seconds that one run of a program may take; more where the machine does other things.
PATIENCE = int(os.environ.get("SHADOWCL_TEST_PATIENCE", "240"))
CRIU_PLACES = ("/usr/local/sbin", "/usr/sbin", "/sbin")
NEW_NAMESPACE = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]


def find_criu():
    """As the command does."""
    named = os.environ.get("SHADOWCL_CRIU")
    if named:
        return named
    data = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    folders = [data]
    if caller := os.environ.get("SUDO_USER"):
        folders.append(os.path.expanduser(f"~{caller}/.local/share"))
    for folder in folders:
        own = f"{folder}/shadowcl/criu/bin/criu"
        if os.access(own, os.X_OK):
            return own
    path = ":".join((os.environ.get("PATH", ""),) + CRIU_PLACES)
    return shutil.which("criu", path=path)


def skip(why):
    print(f"SKIPPED: {why}", flush=True)
    sys.exit(SKIPPED)


def need_criu(oldest=3):
    if os.geteuid() != 0:
        skip("copying processes takes root's rights")
    criu = find_criu()
    if not criu:
        skip("CRIU is not installed (scripts/get-criu.sh)")
    said = subprocess.run([criu, "--version"], capture_output=True, text=True)
    version = re.search(r"Version: (\d+)", said.stdout)
    if not version or int(version[1]) < oldest:
        skip(f"CRIU {oldest}.0 or later is needed, {criu} says: {said.stdout.strip()}")
    checked = subprocess.run([criu, "check"], capture_output=True, text=True)
    if checked.returncode != 0:
        skip(f"`{criu} check` fails: {checked.stderr.strip()[-300:]}")
    return criu


def lives(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Program:
    """One that prints `round N of M` or `step N of M` on standard error. As long as there is the file
    that it has for the word SLOWLY, it may take its time."""

    def __init__(self, setup, name, command, result, options=(), slowly=True):
        self.setup = setup
        self.work = setup.work / name
        self.work.mkdir()
        self.result = self.work / "result" if result else None
        self.out, self.err = self.work / "out", self.work / "err"
        self.slowly = self.work / "slowly"
        if slowly:
            self.slowly.touch()
        meant = {"RESULT": self.result, "SLOWLY": self.slowly}
        words = [str(meant.get(word, word)) for word in command]
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            self.process = subprocess.Popen([setup.bin / "shadowcl", "run", *options, "--",
                                             *words],
                                            env=setup.environment, stdin=subprocess.DEVNULL,
                                            stdout=out, stderr=err, start_new_session=True)
        self.pid = self.process.pid
        self.had_answered = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def said(self):
        return self.err.read_text(errors="replace")

    def fraction(self):
        found = re.findall(r"^(?:round|step) (\d+) of (\d+)$", self.said(), re.MULTILINE)
        return int(found[-1][0]) / int(found[-1][1]) if found else 0.0

    def wait_until(self, fraction):
        end = time.monotonic() + PATIENCE
        while self.fraction() < fraction:
            if self.process.poll() is not None:
                kind = TooShort if self.process.returncode == 0 else Failure
                raise kind(f"ended with {self.process.returncode} before {fraction:.0%} of its "
                           f"work\n{self.said()[-2000:]}")
            expect(time.monotonic() < end, f"stuck at {self.fraction():.0%} of its work")
            time.sleep(0.005)

    def ends_soon(self):
        """By itself: one that has closed its socket may be at its end for a while."""
        try:
            return self.process.wait(timeout=5) == 0
        except subprocess.TimeoutExpired:
            return False

    def kill(self):
        self.hurry()
        if lives(self.pid):
            os.kill(self.pid, signal.SIGKILL)
        self.process.wait()

    def answer(self):
        return self.out.read_text(), self.result.read_bytes() if self.result else b""

    def hurry(self):
        """It, and whatever is a copy of it, has nothing to wait for any more."""
        self.slowly.unlink(missing_ok=True)

    def finish(self):
        """Of the program as it was started."""
        self.hurry()
        try:
            code = self.process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            raise Failure(f"stuck at {self.fraction():.0%} of its work") from None
        expect(code == 0, f"exit code {code}\n{self.said()[-2000:]}")
        return self.answer()

    def forget_answer(self):
        """Of a program that was copied: it is to write it anew."""
        if self.result:
            self.had_answered |= self.result.exists()
            self.result.unlink(missing_ok=True)


def undisturbed_now(start):
    """What a program under shadowcl gives that nothing is done to, and the seconds that it takes."""
    began = time.monotonic()
    with start() as program:
        return *program.finish(), time.monotonic() - began


def undisturbed(setup, command, start):
    """The same, of one that `start` starts by this command."""
    return kept(setup.build, [setup.driver, *command], setup.environment,
                lambda: undisturbed_now(start))


def run_command(setup, *words, environment=(), before=(), code=0):
    """Runs shadowcl, which ends as expected."""
    done = subprocess.run([*before, setup.bin / "shadowcl", *map(str, words)],
                          env={**setup.environment, **dict(environment)}, text=True,
                          capture_output=True, stdin=subprocess.DEVNULL, timeout=PATIENCE)
    expect(done.returncode == code, f"shadowcl {words}: exit code {done.returncode}, expected "
                                    f"{code}\n{done.stdout}{done.stderr}{logs(words)}")
    return done


def call(setup, *words, **how):
    """What it said."""
    done = run_command(setup, *words, **how)
    return done.stdout + done.stderr


def call_json(setup, *words, **how):
    """Its answer: beside it may be told of others on this machine."""
    return json.loads(run_command(setup, *words, **how).stdout)


def logs(words):
    """The end of CRIU's logs, in whichever of the words is a directory."""
    text = ""
    for word in words:
        for name in ("dump.log", "criu.out"):
            file = Path(str(word)) / name
            if file.is_file():
                text += f"{file}:\n{file.read_text(errors='replace')[-1500:]}\n"
    return text


def checkpoint(setup, program, directory, *options, environment=()):
    """A program that came to its end meanwhile had too little to do."""
    try:
        answers = call_json(setup, "checkpoint", "--json", program.pid, directory, *options,
                            environment=environment)
    except Failure as failure:
        if program.ends_soon():
            raise TooShort(str(failure)) from None
        if program.process.poll() is not None:
            raise Failure(f"the program ended with {program.process.returncode}: "
                          f"{program.said()[-2000:]}\n{failure}") from None
        raise
    answer = answers[0]
    expect(answer["error"] is None and answer["pid"] == program.pid, f"answered {answer}")
    mode = directory.stat().st_mode & 0o777
    expect(mode == 0o700, f"the directory's mode is {mode:o}")
    return answer


def restore(setup, program, directory, *options, environment=(), before=()):
    """Until the program made again has ended; its answer and output."""
    program.hurry()
    call(setup, "restore", *options, directory, environment=environment, before=before)
    return program.answer()
