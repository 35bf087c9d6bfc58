#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""CRIU called by its own name, with the plugin and with the action script; a dump that fails; what
is refused, and that nothing was touched then; copies at intervals; a tree of processes."""

import argparse
import contextlib
import ctypes
import fcntl
import glob
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness import (CRIU_PLACES, Failure, NEW_NAMESPACE, PATIENCE, Program, Setup, call, call_json,
                     check, checkpoint, expect, lives, need_criu, restore, run_command, skip,
                     undisturbed)

HERE = Path(__file__).resolve().parent
PYTHON = "/usr/bin/python3"
# Some that are on most machines, and that no driver here uses.
DEVICES = ("/dev/fuse", "/dev/kvm", "/dev/net/tun", "/dev/loop-control")
SYS_IO_URING_SETUP = 425
NOBODY = 65534
CAP_SYS_RESOURCE = 24
# How often the program that is copied at intervals is killed.
KILLS = int(os.environ.get("SHADOWCL_TEST_KILLS", "5"))
# Seconds between its copies; how much more may be lost where others are busy; and how late the
# next copy may be begun there.
INTERVAL = 0.3
SLACK = 0.7
BUSY = 4
# Of its steps there are more where the program ends too soon for its case. It takes its time from a
# fifth of them on, until it is told to hurry.
HEAT = ["--output", "RESULT", "--size", "128", "--slowly", "SLOWLY", "--steps"]
STEPS = 20000
# Reads nothing before the file is there, then all that is to come.
LATE = """import os, sys, time
while not os.path.exists(sys.argv[1]):
    time.sleep(0.05)
sys.stdout.write(sys.stdin.read())
"""
MOST_TIMES = 16


class Cases:
    without_criu = {"leave", "leave_closes_first"}

    def __init__(self, setup, criu, times):
        self.setup = setup
        self.criu = criu
        self.times = times
        self.count = 0
        self.programs = []
        self.plugins = setup.bin.parent / "lib/shadowcl/criu"

    def launch(self, name, command, options=()):
        """A program that has to live for as long as its case takes."""
        program = Program(self.setup, name, command, result=True, options=options)
        self.programs.append(program)
        return program

    def undisturbed(self, name, command):
        """The answer of one that nothing is done to."""
        def start():
            return Program(self.setup, f"{name}-undisturbed", command, result=True, slowly=False)
        return undisturbed(self.setup, command, start)[:2]

    def heat_command(self):
        return [self.setup.bin / "sample-heat", *HEAT, STEPS * self.times]

    def heat(self, *options):
        self.count += 1
        return self.launch(f"heat-{self.count}", self.heat_command(), options)

    def steps(self, *words):
        """steps.py's command."""
        return [PYTHON, HERE / "steps.py", "RESULT", 100 * self.times, *words]

    def ended_too_soon(self):
        """Whether a case may have failed because a program had come to its end, or was copied there."""
        return any(program.process.poll() == 0 or program.had_answered
                   for program in self.programs)

    def expected(self):
        return self.undisturbed("heat", self.heat_command())

    def directory(self, made=False):
        self.count += 1
        directory = self.setup.work / f"copy-{self.count}"
        if made:
            directory.mkdir()
        return directory

    def run_criu(self, verb, directory, *options, code=0, environment=(), before=()):
        words = [*before, self.criu, verb, "-D", directory, "-o", f"{verb}.log", "-v4", "--shell-job",
                 *map(str, options)]
        done = subprocess.run(words, env={**self.setup.environment, **dict(environment)}, text=True,
                              capture_output=True, stdin=subprocess.DEVNULL, timeout=PATIENCE)
        log = directory / f"{verb}.log"
        text = log.read_text(errors="replace") if log.exists() else ""
        expect((done.returncode == 0) == (code == 0),
               f"criu {verb}: exit code {done.returncode}\n{done.stderr}{text[-3000:]}")
        return text

    def wait_for_restored(self, pid):
        for program in self.programs:
            program.hurry()
        end = time.monotonic() + PATIENCE
        while lives(pid):
            expect(time.monotonic() < end, f"process {pid}, made again, does not end")
            time.sleep(0.05)

    def state(self, pid, environment=()):
        return [one["state"] for one in call_json(self.setup, "ps", "--json",
                                                  environment=environment) if one["pid"] == pid]

    def wait_for_state(self, program, state, environment=()):
        end = time.monotonic() + 30
        while (now := self.state(program.pid, environment)) != [state]:
            expect(time.monotonic() < end, f"it is {now}, not {state}")
            time.sleep(0.05)

    def expect_undisturbed(self, program):
        """It runs, works on, and comes to the same result."""
        self.wait_for_state(program, "running")
        check(self.expected(), program.finish())

    # Without CRIU.

    def case_leave(self):
        """What CRIU finds: no socket and no log of ours, and a program that comes back when told."""
        log = self.setup.work / "log"
        with self.heat("--log", f"debug:{log}") as program:
            program.wait_until(0.2)
            call(self.setup, "criu-hook", "pause", program.pid)
            expect(any(name.startswith("shadowcl-") for name in threads(program.pid)),
                   f"nobody could find who waits: {threads(program.pid)}")
            end = time.monotonic() + 10
            while any(target.startswith("socket:") for target in descriptors(program.pid)):
                expect(time.monotonic() < end, f"it has {descriptors(program.pid)}")
                time.sleep(0.01)
            expect(str(log) not in descriptors(program.pid), "its log is open")
            runtime = Path(self.setup.environment["SHADOWCL_RUNTIME_DIR"])
            expect(not list(runtime.glob("*.sock")), "its socket's name is still there")
            before = program.fraction()
            time.sleep(0.5)
            expect(program.fraction() == before, "it works on")
            call(self.setup, "criu-hook", "pause", program.pid, code=3)
            call(self.setup, "criu-hook", "resume", program.pid)
            self.expect_undisturbed(program)
            call(self.setup, "criu-hook", "resume", os.getpid(), code=3)

    def case_leave_closes_first(self):
        """Nor does it find a connection of ours that is about to be closed: it would copy that, and
        wait for ever for its other end when it makes it again."""
        slow = self.setup.bin.parent / "tests/live/criu/slow_close.so"
        self.count += 1
        words = ["sh", "-c", f'LD_PRELOAD="{slow}:$LD_PRELOAD" exec "$@"', "sh",
                 *self.heat_command()]
        with self.launch(f"slow-{self.count}", words) as program:
            program.wait_until(0.1)
            for _ in range(3):
                call(self.setup, "criu-hook", "pause", program.pid)
                left = [target for target in descriptors(program.pid)
                        if target.startswith("socket:")]
                expect(not left, f"it has left, and has {left}")
                call(self.setup, "criu-hook", "resume", program.pid)
                self.wait_for_state(program, "running")
            check(self.expected(), program.finish())

    # CRIU by its own name.

    def case_plugin(self):
        expected = self.expected()
        with self.heat() as program:
            program.wait_until(0.2)
            directory = self.directory(made=True)
            self.run_criu("dump", directory, "-t", program.pid, "-L", self.plugins)
            program.process.wait(timeout=PATIENCE)
            program.forget_answer()
            refused = self.run_criu("restore", directory, "-d", "-L", self.setup.work, code=1)
            expect("shadowcl_criu" in refused, "a restore without the plugin fails for another "
                                               f"reason:\n{refused[-1000:]}")
            self.run_criu("restore", directory, "-d", "-L", self.plugins)
            self.wait_for_restored(program.pid)
            check(expected, program.answer())

    def case_plugin_leave_running(self):
        with self.heat() as program:
            program.wait_until(0.2)
            directory = self.directory(made=True)
            self.run_criu("dump", directory, "-t", program.pid, "-L", self.plugins,
                          "--leave-running")
            self.expect_undisturbed(program)

    def case_plugin_suspended(self):
        """One that its user had suspended stays so: where it is left running, and where the dump
        fails."""
        ours, its = socket.socketpair()
        for start, options, code in ((self.heat, ["--leave-running"], 0),
                                     (lambda: self.start_with(its), [], 1)):
            with start() as program:
                program.wait_until(0.2)
                call(self.setup, "suspend", program.pid)
                self.run_criu("dump", self.directory(made=True), "-t", program.pid, "-L", self.plugins,
                              *options, code=code)
                self.wait_for_state(program, "suspended")
                time.sleep(0.5)
                expect(self.state(program.pid) == ["suspended"], f"{self.state(program.pid)}")
                call(self.setup, "resume", program.pid)
                self.expect_undisturbed(program)
        ours.close()

    def family_command(self):
        return [PYTHON, HERE / "family.py", "RESULT", 60 * self.times]

    def family(self):
        return self.launch("family", self.family_command())

    def copy_family(self, *options, join=None):
        """A parent and children that all use OpenCL, by the plugin; each lets go of its device."""
        expected = self.undisturbed("family", self.family_command())
        with self.family() as program:
            program.wait_until(0.3)
            members = tree(program.pid)
            if join:
                join(members)
            directory = self.directory(made=True)
            said = self.run_criu("dump", directory, "-t", program.pid, "-L", self.plugins,
                                 "--manage-cgroups=ignore", *options)
            count = said.count("has let go of its device")
            expect(count == 3, f"{count} processes have let go of their devices, of {members}")
            program.process.wait(timeout=PATIENCE)
            wait_until_free(members)
            program.forget_answer()
            self.run_criu("restore", directory, "-d", "-L", self.plugins,
                          "--manage-cgroups=ignore")
            self.wait_for_restored(program.pid)
            check(expected, program.answer())

    def case_plugin_tree(self):
        self.copy_family()

    def case_plugin_freeze_cgroup(self):
        """As container engines have it done: CRIU is told to freeze the cgroup that they are in."""
        folder, state, thawed = freezer()

        def join(members):
            for pid in members:
                (folder / "cgroup.procs").write_text(str(pid))
        try:
            self.copy_family("--freeze-cgroup", folder, join=join)
        finally:
            (folder / state).write_text(thawed)
            end = time.monotonic() + 30
            while (left := (folder / "cgroup.procs").read_text().split()) and \
                    time.monotonic() < end:
                for pid in left:  # where it has failed
                    os.kill(int(pid), signal.SIGKILL)
                time.sleep(0.05)
            folder.rmdir()

    def case_plugin_dump_fails(self):
        """A connection to another process, which CRIU finds when the program has let go already."""
        ours, its = socket.socketpair()
        with self.start_with(its) as program:
            program.wait_until(0.2)
            directory = self.directory(made=True)
            said = self.run_criu("dump", directory, "-t", program.pid, "-L", self.plugins, code=1)
            expect("has let go of its device" in said, "the plugin was not at work")
            self.expect_undisturbed(program)
        ours.close()

    def case_plugin_own_directory(self):
        """CRIU is not told where the program listens: its environment tells."""
        expected = self.expected()
        own = self.setup.work / "own"
        own.mkdir(mode=0o700)
        nowhere = {"SHADOWCL_RUNTIME_DIR": ""}
        with self.heat("--runtime-dir", str(own)) as program:
            program.wait_until(0.1)
            said = self.run_criu("dump", self.directory(made=True), "-t", program.pid, "-L",
                                 self.plugins, "--leave-running", environment=nowhere)
            expect("has let go of its device" in said, "the plugin was not at work")
            self.wait_for_state(program, "running", {"SHADOWCL_RUNTIME_DIR": str(own)})
            directory = self.directory(made=True)
            self.run_criu("dump", directory, "-t", program.pid, "-L", self.plugins,
                          environment=nowhere)
            program.process.wait(timeout=PATIENCE)
            program.forget_answer()
            self.run_criu("restore", directory, "-d", "-L", self.plugins, environment=nowhere)
            self.wait_for_state(program, "running", {"SHADOWCL_RUNTIME_DIR": str(own)})
            self.wait_for_restored(program.pid)
            check(expected, program.answer())

    def case_plugin_other_mounts(self):
        """A program that has a /run of its own, as in a container, in which it listens."""
        expected = self.expected()
        words = ["unshare", "--mount", "sh", "-c",
                 'mount -t tmpfs tmpfs /run && cd "$(dirname "$1")" && '
                 'exec env -u SHADOWCL_RUNTIME_DIR "$0" --output "$@" </dev/null >out 2>err',
                 self.setup.bin / "sample-heat", *HEAT[1:], STEPS * self.times]
        nowhere = {"SHADOWCL_RUNTIME_DIR": ""}
        external = ["--external", "mnt[]:m", "--manage-cgroups=ignore"]
        with self.launch("other-mounts", words) as program:
            program.wait_until(0.1)
            there = Path(f"/proc/{program.pid}/root/run/shadowcl")
            expect(list(there.glob("*.sock")) and not list(
                Path("/run/shadowcl").glob(f"{program.pid}-*")), "it does not listen there only")
            said = self.run_criu("dump", self.directory(made=True), "-t", program.pid, "-L",
                                 self.plugins, "--leave-running", *external, environment=nowhere)
            expect("has let go of its device" in said, "the plugin was not at work")
            self.wait_for_state(program, "running", {"SHADOWCL_RUNTIME_DIR": str(there)})
            directory = self.directory(made=True)
            self.run_criu("dump", directory, "-t", program.pid, "-L", self.plugins, *external,
                          environment=nowhere)
            program.process.wait(timeout=PATIENCE)
            program.forget_answer()
            # CRIU wants the root of a mount namespace to be a mount of its own.
            root = self.directory(made=True)
            mounted = f'mount --make-rprivate / && mount --rbind / {root} && exec "$@"'
            self.run_criu("restore", directory, "-d", "-L", self.plugins, *external, "--root", root,
                          environment=nowhere,
                          before=["unshare", "--mount", "sh", "-c", mounted, "sh"])
            there = Path(f"/proc/{program.pid}/root/run/shadowcl")
            self.wait_for_state(program, "running", {"SHADOWCL_RUNTIME_DIR": str(there)})
            self.wait_for_restored(program.pid)
            check(expected, program.answer())

    def start_as_nobody(self, *command, launcher=(), before="true"):
        """With `before` done by root, under its launcher; `command` sets its environment."""
        program = self.setup.bin / "sample-heat"
        if subprocess.run(["setpriv", f"--reuid={NOBODY}", "--clear-groups", "test", "-r",
                           program]).returncode:
            skip(f"user {NOBODY} may not read `{program}`")
        self.count += 1
        self.setup.work.chmod(0o755)
        script = (f'cd "$(dirname "$1")" && chown {NOBODY}:{NOBODY} . out err && {before} && exec '
                  f'{" ".join(command)} POCL_CACHE_DIR="$PWD" setpriv --reuid={NOBODY} '
                  f'--regid={NOBODY} --clear-groups "$0" --output "$@" </dev/null >out 2>err')
        return self.launch(f"nobody-{self.count}", [
            *launcher, "sh", "-c", script, self.setup.bin / "sample-heat", *HEAT[1:],
            STEPS * self.times])

    def pause_and_resume_as_root(self, program, directory):
        """What the plugin does; CRIU itself needs CAP_SYS_RESOURCE to copy another user's program."""
        nowhere = {"SHADOWCL_RUNTIME_DIR": ""}
        for _ in range(2):
            expect(list(directory.glob("*.sock")), f"it does not listen in {directory}")
            call(self.setup, "criu-hook", "pause", program.pid, environment=nowhere)
            expect(not list(directory.glob("*.sock")), "its socket's name is still there")
            call(self.setup, "criu-hook", "resume", program.pid, environment=nowhere)
            end = time.monotonic() + 30
            while not list(directory.glob("*.sock")):
                expect(time.monotonic() < end, f"it does not listen again in {directory}")
                time.sleep(0.01)
            before = program.fraction()
            while program.fraction() == before:
                expect(time.monotonic() < end, "it does not go on")
                time.sleep(0.01)

    def case_hook_other_user(self):
        """The directory is that of the program's user, whom root does not believe by itself."""
        own = self.setup.work / "own"
        own.mkdir(mode=0o700)
        os.chown(own, NOBODY, 0)
        with self.start_as_nobody("env", f"SHADOWCL_RUNTIME_DIR={own}") as program:
            program.wait_until(0.1)
            self.pause_and_resume_as_root(program, own)
            check(self.expected(), program.finish())

    def case_hook_other_user_and_mounts(self):
        """The same where it has a /run of its own."""
        own_run = ("mount -t tmpfs tmpfs /run && mkdir -m 700 /run/shadowcl && "
                   f"chown {NOBODY} /run/shadowcl")
        with self.start_as_nobody("env -u SHADOWCL_RUNTIME_DIR", before=own_run,
                                  launcher=["unshare", "--mount"]) as program:
            program.wait_until(0.1)
            self.pause_and_resume_as_root(program, Path(f"/proc/{program.pid}/root/run/shadowcl"))
            check(self.expected(), program.finish())

    def copy_and_restore(self, program, as_user=()):
        """By CRIU with the plugin, as this user; where the rights are missing it is skipped."""
        directory = self.directory(made=True)
        if as_user:
            os.chown(directory, NOBODY, NOBODY)
        more = ["--unprivileged"] if as_user else []
        how = {"before": as_user, "environment": {"SHADOWCL_RUNTIME_DIR": ""}}
        self.run_criu("dump", directory, "-t", program.pid, "-L", self.plugins, *more, **how)
        program.process.wait(timeout=PATIENCE)
        expect(not program.result.exists(), "it had written its result")
        self.run_criu("restore", directory, "-d", "-L", self.plugins, *more, **how)
        self.wait_for_restored(program.pid)
        check(self.expected(), program.answer())

    def start_ready(self):
        own = self.setup.work / "own"
        own.mkdir(mode=0o700, exist_ok=True)
        os.chown(own, NOBODY, NOBODY)
        return self.start_as_nobody("env", f"SHADOWCL_RUNTIME_DIR={own}")

    def case_other_user(self):
        """Another user's program, copied and made again by root: by CRIU, and by our command."""
        if not has_capability(CAP_SYS_RESOURCE):
            skip("CRIU needs CAP_SYS_RESOURCE to copy another user's program")
        with self.start_ready() as program:
            program.wait_until(0.1)
            self.copy_and_restore(program)
        with self.start_ready() as program:
            program.wait_until(0.1)
            directory = self.directory()
            checkpoint(self.setup, program, directory)
            program.process.wait(timeout=PATIENCE)
            check(self.expected(), restore(self.setup, program, directory))

    def case_after_a_hang(self):
        """A thread that was given up in a driver's call is frozen there for ever: it is copied as it
        is. Given up before the copy, in the copy's own suspend, and in a resume."""
        work = self.setup.work / "hang"
        work.mkdir()
        faults = work / "faults"
        faults.write_text("")
        self.setup = Setup(self.setup.bin.parent, "testdriver", "copy", work)
        self.setup.environment |= {"SHADOWCL_CALL_PATIENCE": "2", "SHADOWCL_TEST_FAULTS": str(faults)}
        for when, call_name in (("before", "clReleaseContext"), ("meanwhile", "clReleaseMemObject"),
                                ("resume", "clCreateContext")):
            with self.heat() as program:
                program.wait_until(0.2)
                if when == "resume":
                    call(self.setup, "suspend", program.pid)
                faults.write_text(f"hang {call_name} 1\n")
                if when == "before":
                    said = call(self.setup, "suspend", program.pid)
                    expect("has not come back from a call" in said, said)
                    faults.write_text("")
                    call(self.setup, "resume", program.pid)
                elif when == "resume":
                    said = call(self.setup, "resume", program.pid, code=1)
                    expect("has not come back from a call" in said, said)
                    faults.write_text("")
                directory = self.directory()
                checkpoint(self.setup, program, directory)
                faults.write_text("")
                program.process.wait(timeout=PATIENCE)
                expect(not program.result.exists(), "it had written its result")
                self.setup.replace_node()
                if when != "resume":
                    check(self.expected(), restore(self.setup, program, directory))
                    continue
                call(self.setup, "restore", "--detach", directory)
                expect(self.state(program.pid) == ["suspended"], f"{self.state(program.pid)}")
                call(self.setup, "resume", program.pid)
                self.wait_for_restored(program.pid)
                check(self.expected(), program.answer())

    def case_without_root(self):
        """By the program's own user, who has CAP_CHECKPOINT_RESTORE and no other of root's rights,
        but for CAP_SETPCAP where there are rights that nobody can have here: CRIU drops them."""
        self.criu = reachable(self.criu, self.setup.work)
        rights = "+checkpoint_restore"
        if not has_capability(CAP_SYS_RESOURCE, "CapBnd"):
            rights += ",+setpcap"
        own = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
               f"--inh-caps={rights}", f"--ambient-caps={rights}"]
        with self.start_ready() as program:
            program.wait_until(0.1)
            self.copy_and_restore(program, own)

    def case_action_script(self):
        expected = self.expected()
        script = self.setup.source / "criu/action-script"
        environment = {"SHADOWCL_COMMAND": self.setup.bin / "shadowcl"}
        with self.heat() as program:
            program.wait_until(0.2)
            directory = self.directory(made=True)
            self.run_criu("dump", directory, "-t", program.pid, "--action-script", script,
                          environment=environment)
            program.process.wait(timeout=PATIENCE)
            program.forget_answer()
            self.run_criu("restore", directory, "-d", "--action-script", script,
                          environment=environment)
            self.wait_for_restored(program.pid)
            check(expected, program.answer())

    def case_nobody_resumes(self):
        """Made again by CRIU alone: it is suspended, found by its name, and resumes when told."""
        expected = self.expected()
        with self.heat() as program:
            program.wait_until(0.2)
            directory = self.directory()
            checkpoint(self.setup, program, directory)
            program.process.wait(timeout=PATIENCE)
            program.forget_answer()
            self.run_criu("restore", directory, "-d")
            self.wait_for_state(program, "suspended")
            call(self.setup, "resume", program.pid)
            self.wait_for_restored(program.pid)
            check(expected, program.answer())

    def case_image(self):
        """Suspended with its contents in a file, then copied, by our command and by CRIU with the
        plugin: the copy is suspended as it was. The file is open in the copy too, and has the
        contents."""
        work = self.setup.work / "image"
        work.mkdir()
        self.setup = Setup(self.setup.bin.parent, "testdriver", "copy", work)
        expected, image = self.expected(), work / "a.image"
        for by_criu in (False, True):
            with self.heat() as program:
                program.wait_until(0.2)
                call(self.setup, "suspend", program.pid, "--image", image)
                directory = self.directory(made=by_criu)
                if by_criu:
                    self.run_criu("dump", directory, "-t", program.pid, "-L", self.plugins,
                                  "--file-locks")
                else:
                    checkpoint(self.setup, program, directory)
                program.process.wait(timeout=PATIENCE)
                self.setup.replace_node()
                if by_criu:
                    self.run_criu("restore", directory, "-d", "-L", self.plugins, "--file-locks")
                else:
                    call(self.setup, "restore", "--detach", directory)
                self.wait_for_state(program, "suspended")
                expect(str(image) in descriptors(program.pid),
                       f"it has not {image} open, but {descriptors(program.pid)}")
                call(self.setup, "resume", program.pid)
                self.wait_for_restored(program.pid)
                check(expected, program.answer())

    # What fails, and what is refused.

    def start_with(self, *files, start=None):
        """A program that has inherited open files, of which we keep none."""
        popen = subprocess.Popen
        numbers = [file.fileno() for file in files]

        def with_files(*words, **options):
            return popen(*words, pass_fds=numbers, **options)
        subprocess.Popen = with_files
        try:
            return start() if start else self.heat()
        finally:
            subprocess.Popen = popen
            for file in files:
                file.close()

    def refused(self, program, *words, directory=None, environment=(), options=()):
        """Exit code 1, and each of the words is said."""
        directory = directory or self.directory()
        said = call(self.setup, "checkpoint", program.pid, directory, *options, code=1,
                    environment=environment)
        for word in (*words, "to do:", "state: running"):
            expect(word in said, f"`{word}` is not said: {said}")
        return directory

    def case_dump_fails(self):
        """CRIU itself fails, after the program has let go."""
        broken = self.setup.work / "broken-criu"
        broken.write_text('#!/bin/sh\nif [ "$1" = dump ]; then\n'
                          'echo "Error (u.c:1): rlimit: as always"; echo "Error (x.c:1): no luck"\n'
                          f'exit 1\nfi\nexec {self.criu} "$@"\n')
        broken.chmod(0o755)
        with self.heat() as program:
            program.wait_until(0.2)
            directory = self.refused(program, "no luck", environment={"SHADOWCL_CRIU": broken})
            expect(not list(directory.glob("*.img")) and not (directory / "shadowcl.json").exists(),
                   "something was left behind")
            self.expect_undisturbed(program)

    def case_command_dies(self):
        """Killed in the middle of it, before the dump and after: the program is suspended, and then
        stopped too, and a resume finds it."""
        self.killed_while('exec sleep 1000')
        self.killed_while(f'{self.criu} "$@"; echo >{self.setup.work}/dumped; exec sleep 1000',
                          self.setup.work / "dumped")

    def killed_while(self, doing, mark=None):
        waits = self.setup.work / "waiting-criu"
        waits.write_text(f'#!/bin/sh\nif [ "$1" = dump ]; then {doing}; fi\n'
                         f'exec {self.criu} "$@"\n')
        waits.chmod(0o755)
        with self.heat() as program:
            program.wait_until(0.2)
            command = subprocess.Popen([self.setup.bin / "shadowcl", "checkpoint",
                                        str(program.pid), self.directory()],
                                       env={**self.setup.environment, "SHADOWCL_CRIU": str(waits)},
                                       start_new_session=True)
            end = time.monotonic() + 60
            while not any(name.startswith("shadowcl-") for name in threads(program.pid)):
                expect(time.monotonic() < end, "it does not suspend")
                time.sleep(0.01)
            while mark and not mark.exists():
                expect(time.monotonic() < end, "it is not dumped")
                time.sleep(0.01)
            time.sleep(0.5)
            os.killpg(command.pid, signal.SIGKILL)
            command.wait()
            call(self.setup, "resume", program.pid)
            self.expect_undisturbed(program)

    def case_interrupted(self):
        """Ctrl-C, which a terminal sends to all of its foreground, does not end CRIU in the middle."""
        slow, mark = self.setup.work / "slow-criu", self.setup.work / "not-ended"
        slow.write_text(f'#!/bin/sh\nif [ "$1" = dump ]; then\n  echo >{mark}.begun; sleep 1\n'
                        f'  echo >{mark}\nfi\nexec {self.criu} "$@"\n')
        slow.chmod(0o755)
        with self.heat() as program:
            program.wait_until(0.2)
            command = subprocess.Popen([self.setup.bin / "shadowcl", "checkpoint", "--leave-running",
                                        str(program.pid), self.directory()],
                                       env={**self.setup.environment, "SHADOWCL_CRIU": str(slow)},
                                       start_new_session=True)
            end = time.monotonic() + 60
            while not Path(f"{mark}.begun").exists():
                expect(time.monotonic() < end, "CRIU is not asked to dump")
                time.sleep(0.01)
            os.killpg(command.pid, signal.SIGINT)
            command.wait(timeout=PATIENCE)
            expect(mark.exists(), "CRIU was interrupted")
            self.expect_undisturbed(program)

    def case_interrupted_at_any_moment(self):
        """Whatever it was at: the program runs on, and the answer says so."""
        with self.heat() as program:
            program.wait_until(0.1)
            for number in range(8):
                command = subprocess.Popen([self.setup.bin / "shadowcl", "checkpoint",
                                            "--leave-running", "--json", str(program.pid),
                                            self.directory()], env=self.setup.environment,
                                           start_new_session=True, text=True,
                                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                time.sleep(0.06 * number)
                os.killpg(command.pid, signal.SIGINT)
                out, said = command.communicate(timeout=PATIENCE)
                if program.process.poll() is not None:
                    break  # it had too little to do
                state = self.state(program.pid)
                expect(state == ["running"], f"interrupted after {0.06 * number:.2f} s it is "
                                             f"{state}: {out}{said}")
                expect("suspended" not in said, f"it is said to be suspended: {out}{said}")
            self.expect_undisturbed(program)

    def refused_with(self, file, *words):
        """A program that has this open, which is said by number and name; it goes on."""
        number = file.fileno()
        with self.start_with(file) as program:
            program.wait_until(0.1)
            self.refused(program, f"process {program.pid}", f"descriptor {number} is ", *words)
            expect(program.process.poll() is None, "it ended too soon to tell")
            self.expect_undisturbed(program)

    def case_refusals(self):
        ours, its = socket.socketpair()
        self.refused_with(its, "a Unix socket that is connected to a process outside")
        ours.close()
        with self.heat() as program:
            program.wait_until(0.1)
            self.refused(program, "SHADOWCL_CRIU", environment={"SHADOWCL_CRIU": "/nonexistent"})
            self.refused(program, "it is not empty", directory=Path("/usr"))
            self.expect_undisturbed(program)
        said = call(self.setup, "checkpoint", os.getpid(), self.directory(), code=1)
        expect("not under shadowcl" in said or "child process" in said, said)
        said = call(self.setup, "restore", self.setup.work, code=1)
        expect("holds no whole copy" in said, said)

    def case_refuses_tcp(self):
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            with socket.create_server((host, 0), family=family) as server:
                its = socket.create_connection(server.getsockname()[:2])
                ours, _ = server.accept()
                self.refused_with(its, f"a TCP connection to port {server.getsockname()[1]}")
                ours.close()

    def case_refuses_io_uring(self):
        file = open_io_uring()
        if not file:
            skip("this kernel gives no io_uring")
        self.refused_with(file, "an io_uring, which CRIU can't copy")

    def case_refuses_device(self):
        """Found when it has let go of its own: it goes on then."""
        path = need_device()
        self.refused_with(open(path, "rb", buffering=0), f"the device {path}")

    # What is only asked.

    def explained(self, program, *options, code=0, environment=()):
        """What it prints, and the same by `--json`."""
        text = call(self.setup, "checkpoint", "--explain", program.pid, *options, code=code,
                    environment=environment)
        answer = call_json(self.setup, "checkpoint", "--explain", "--json", program.pid, *options,
                           code=code, environment=environment)
        expect(isinstance(answer, dict), f"nothing is explained: {answer}")
        for obstacle in answer["obstacles"]:
            for word in ("object", "reason", "todo"):
                expect(obstacle[word] in text, f"`{obstacle[word]}` is not in the text: {text}")
        for file in answer["files"] + answer["mapped"]:
            expect(file["path"] in text, f"{file['path']} is not in the text: {text}")
        return text, answer

    def expect_listed(self, program, answer):
        expect(str(program.err) in [file["path"] for file in answer["files"] if file["written"]],
               f"its output is not among the files: {answer['files']}")
        for name in ("sample-heat", "libOpenCL.so.1"):
            expect(any(name in file["path"] and file["build_id"] for file in answer["mapped"]),
                   f"{name} is not among those that are mapped: {answer['mapped']}")
        expect([(one["pid"], one["resumes"]) for one in answer["processes"]] ==
               [(program.pid, True)], f"{answer['processes']}")

    def case_explain(self):
        """All that stands against a copy, and what must be there in any case."""
        with self.heat() as program:
            program.wait_until(0.1)
            text, answer = self.explained(program)
            expect("nothing stands against it" in text and answer["obstacles"] == [], text)
            self.expect_listed(program, answer)
            self.expect_undisturbed(program)
        ours, its = socket.socketpair()
        other, its_too = socket.socketpair()
        numbers = [file.fileno() for file in (its, its_too)]
        with self.start_with(its, its_too) as program:
            program.wait_until(0.1)
            text, answer = self.explained(program, code=1,
                                          environment={"SHADOWCL_CRIU": "/nonexistent"})
            expect(f"{program.pid} can't be copied:" in text, text)
            reasons = [obstacle["reason"] for obstacle in answer["obstacles"]]
            for word in ("/nonexistent", *(f"descriptor {number} is a Unix socket"
                                           for number in numbers)):
                expect(any(word in reason for reason in reasons), f"`{word}` not in {reasons}")
            self.expect_listed(program, answer)
            text, answer = self.explained(program, "--", "--ext-unix-sk")
            expect("nothing stands against it" in text, text)
            self.expect_undisturbed(program)
        ours.close()
        other.close()
        said = call(self.setup, "checkpoint", "--explain", program.pid, code=1)
        expect("there is no such process" in said and "state: gone" in said, said)

    def case_explain_device(self):
        """One that no OpenCL driver opens, of a program that runs, and of one that is suspended."""
        path = need_device()
        file = open(path, "rb", buffering=0)
        wanted = f"descriptor {file.fileno()} is the device {path}"
        with self.start_with(file) as program:
            program.wait_until(0.1)
            for verb in ("suspend", "resume"):
                text, answer = self.explained(program, code=1)
                reasons = [obstacle["reason"] for obstacle in answer["obstacles"]]
                expect(len(reasons) == 1 and wanted in reasons[0], f"{reasons}")
                expect(f"{program.pid} can't be copied:" in text and answer["nodes"] == [], text)
                call(self.setup, verb, program.pid)
            self.expect_undisturbed(program)

    def case_explain_nodes(self):
        """Of the driver's own it is said that the suspend will show; one like them that it has not
        opened stands against a copy."""
        work = self.setup.work / "nodes"
        work.mkdir()
        self.setup = Setup(self.setup.bin.parent, "testdriver", "copy", work)
        self.setup.environment["SHADOWCL_DEVICE_NODES"] = f"{work}/gpu*"
        with self.heat() as program:
            program.wait_until(0.1)
            text, answer = self.explained(program)
            expect("nothing stands against it" in text and "shows at the suspend only" in text, text)
            held = [fd for fd, target in numbered(program.pid) if target == str(self.setup.node)]
            expect(held, "its driver has nothing open: nothing is tested")
            said = [f"fd {fd} -> {self.setup.node}" for fd in held]
            expect(sorted(node["what"] for node in answer["nodes"]) ==
                   sorted([*said, f"mapping of {self.setup.node}"]), f"{answer['nodes']}")
            expect(all(f"process {program.pid}: {what}\n" in text for what in said), text)
            call(self.setup, "suspend", program.pid)
            _, answer = self.explained(program)
            expect(answer["nodes"] == [] and answer["obstacles"] == [], f"{answer}")
            call(self.setup, "resume", program.pid)
            self.expect_undisturbed(program)
        other = open(work / "gpu-other", "w+b", buffering=0)
        number = other.fileno()
        with self.start_with(other) as program:
            program.wait_until(0.1)
            _, answer = self.explained(program, code=1)
            obstacle, = answer["obstacles"]
            expect(obstacle["object"] == f"process {program.pid}: fd {number} -> {work}/gpu-other" and
                   "no OpenCL driver opened it" in obstacle["reason"], f"{obstacle}")
            self.expect_undisturbed(program)

    def case_explain_wakes_nobody(self):
        """One that has left its socket stays so."""
        runtime = Path(self.setup.environment["SHADOWCL_RUNTIME_DIR"])
        with self.heat() as program:
            program.wait_until(0.1)
            call(self.setup, "criu-hook", "pause", program.pid)
            _, answer = self.explained(program)
            expect(answer["obstacles"] == [], f"{answer['obstacles']}")
            time.sleep(0.5)
            expect(any(name.startswith("shadowcl-") for name in threads(program.pid)) and
                   not list(runtime.glob("*.sock")), "it was woken")
            call(self.setup, "criu-hook", "resume", program.pid)
            self.expect_undisturbed(program)

    def case_explain_silent(self):
        """One that does not answer is one more thing that stands against a copy."""
        with self.heat() as program:
            program.wait_until(0.1)
            os.kill(program.pid, signal.SIGSTOP)
            text, answer = self.explained(program, code=1)
            # (It may have been stopped just as it had taken a connection of ours.)
            expect(f"process {program.pid}" in [one["object"] for one in answer["obstacles"]],
                   f"{answer['obstacles']}")
            expect("not answering" in text and "whether it is stopped" in text, text)
            self.expect_listed(program, answer)
            os.kill(program.pid, signal.SIGCONT)
            text, answer = self.explained(program)
            expect(answer["obstacles"] == [], f"{answer['obstacles']}")
            self.expect_undisturbed(program)

    def case_explain_tree(self):
        """Children that would have to come along are one more obstacle, and are described too."""
        with self.family() as program:
            program.wait_until(0.1)
            _, answer = self.explained(program, code=1)
            expect(["child process" in one["reason"] for one in answer["obstacles"]] == [True],
                   f"{answer['obstacles']}")
            _, answer = self.explained(program, "--tree")
            expect(len(answer["processes"]) >= 3 and answer["obstacles"] == [], f"{answer}")
            program.finish()

    def write_criu(self, name, version, check):
        """One that says it is of this version, and does that when asked whether it works here."""
        script = self.setup.work / name
        script.write_text(f'#!/bin/sh\ncase $1 in\n--version) echo "Version: {version}" ;;\n'
                          f'check) {check} ;;\n*) echo "Error (x.c:1): it was asked to $1"; exit 1 ;;'
                          '\nesac\n')
        script.chmod(0o755)
        return {"SHADOWCL_CRIU": script}

    def case_unfit_criu(self):
        """Missing, too old, unfit for the kernel, rights missing: said before anything is touched."""
        old = self.write_criu("old-criu", "3.16.1", "true")
        unfit = self.write_criu("unfit-criu", "4.0", 'echo "Error (criu/util.c:1): exited, status=1"; '
                                'echo "Error (criu/vdso.c:1): vdso: bad"; exit 1')
        broken = self.write_criu("broken-criu", "", "true")
        nowhere = {"HOME": self.setup.work, "XDG_DATA_HOME": "", "PATH": "/nonexistent",
                   "SHADOWCL_CRIU": "", "SUDO_USER": ""}
        said = [(old, "version 3.16.1; 3.17 is the oldest", "get-criu.sh"),
                (unfit, "does not work on this kernel: vdso: bad", "get-criu.sh"),
                (broken, "--version` failed", "get-criu.sh")]
        if not any(os.access(f"{folder}/criu", os.X_OK) for folder in CRIU_PLACES):
            said.append((nowhere, f"neither in {self.setup.work}/.local/share", "get-criu.sh"))
        with self.heat() as program:
            program.wait_until(0.1)
            for environment, *words in said:
                directory = self.refused(program, *words, environment=environment)
                expect(not directory.exists(), "it has made the directory")
            self.expect_undisturbed(program)
        for environment, *words in said:
            answer = call(self.setup, "restore", self.setup.work, code=1, environment=environment)
            expect(all(word in answer for word in (*words, "state: not started")), answer)

    def case_no_rights(self):
        """Not root: said before CRIU is called at all."""
        nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
        self.setup.work.chmod(0o755)
        command = shutil.copy2(self.setup.bin / "shadowcl", self.setup.work)
        unused = self.write_criu("unused-criu", "4.0", "true")
        for words in (["checkpoint", str(os.getpid()), "/tmp/x"], ["restore", "/tmp"]):
            done = subprocess.run([*nobody, command, *words], text=True, capture_output=True,
                                  env={**self.setup.environment, **unused}, timeout=PATIENCE)
            expect(done.returncode == 1 and "takes root's rights" in done.stderr and
                   "to do: run this as root" in done.stderr, done.stdout + done.stderr)

    def case_files_have_grown(self):
        with self.heat() as program:
            program.wait_until(0.2)
            directory = self.directory()
            checkpoint(self.setup, program, directory, "--leave-running")
            program.wait_until(program.fraction() + 0.1)
            program.kill()
            said = call(self.setup, "restore", directory, code=1)
            expect("--truncate" in said and str(program.err) in said, said)
            with open(program.err) as used:  # as an image file is by a suspended process
                size = os.fstat(used.fileno()).st_size
                fcntl.flock(used, fcntl.LOCK_SH)
                said = call(self.setup, "restore", directory, "--truncate", code=1)
                expect("somebody has it locked" in said, said)
                expect(os.fstat(used.fileno()).st_size == size, "it was cut")
            program.forget_answer()
            check(self.expected(), restore(self.setup, program, directory, "--truncate"))

    # Files that travel along.

    def case_with_files(self):
        """The driver's cached kernels are gone when it is made again."""
        cache = self.setup.work / "cache"
        self.setup.environment["POCL_CACHE_DIR"] = str(cache)
        expected = self.expected()
        with self.heat() as program:
            program.wait_until(0.1)
            without, directory = self.directory(), self.directory()
            checkpoint(self.setup, program, without, "--leave-running")
            checkpoint(self.setup, program, directory, "--leave-running", "--with-files")
            program.kill()
        kernels = mapped_in(directory, cache)
        expect(kernels, f"no kernel in {cache} is mapped: nothing is tested")
        for kept in directory.glob("*.mapped"):
            expect(kept.stat().st_mode & 0o777 == 0o600, f"{kept} can be read by others")
        was = {kernel: (kernel.read_bytes(), kernel.stat().st_mode) for kernel in kernels}
        shutil.rmtree(cache)
        said = call(self.setup, "restore", "--truncate", without, code=1)
        expect("it was mapped by the program" in said, said)
        program.forget_answer()
        check(expected, restore(self.setup, program, directory, "--truncate"))
        is_now = {kernel: (kernel.read_bytes(), kernel.stat().st_mode) for kernel in kernels}
        expect(is_now == was, "the kernels were put back as others")

    def case_other_files(self):
        """Nothing is put over a file that is another one, nor from a copy that is damaged."""
        cache = self.setup.work / "cache"
        self.setup.environment["POCL_CACHE_DIR"] = str(cache)
        with self.heat() as program:
            program.wait_until(0.1)
            directory = self.directory()
            checkpoint(self.setup, program, directory, "--with-files")
            program.process.wait(timeout=PATIENCE)
        kernel = mapped_in(directory, cache)[0]
        shutil.rmtree(cache)
        other = Path("/usr/bin/sh").read_bytes()
        kernel.parent.mkdir(parents=True)
        kernel.write_bytes(other)
        said = call(self.setup, "restore", directory, code=1)
        expect("it is another than the program had mapped: build-id" in said and
               "state: not started" in said, said)
        expect(kernel.read_bytes() == other, "it was overwritten")
        shutil.rmtree(cache)
        kept = directory / kept_in(directory, kernel)
        kept.write_bytes(bytes(byte ^ 255 for byte in kept.read_bytes()))
        said = call(self.setup, "restore", directory, code=1)
        expect("is damaged" in said and str(kernel)[:90] in said, said)
        expect(not cache.exists(), "something was put back by a restore that was refused")

    def case_newest(self):
        """Of several copies in a directory, the newest whole one is taken."""
        with self.heat() as program:
            program.wait_until(0.1)
            top = self.directory(made=True)
            for name in ("1", "2"):
                checkpoint(self.setup, program, top / name, "--leave-running")
            shutil.copytree(top / "1", top / "3")
            (top / "3" / "shadowcl.json").unlink()  # as if the machine had gone down
            program.kill()
            program.forget_answer()
            said = call(self.setup, "restore", "--truncate", top)
            expect(f"restored from {top}/2 " in said, said)
            check(self.expected(), program.answer())

    def case_periodic(self):
        """Everything is killed at random moments, also in the middle of a copy. The newest whole one
        is taken; more than the last interval, and what copies take, is never lost, and never a bit
        of the result."""
        self.times *= 4  # it has to live for several copies
        expected, killed = self.expected(), 0
        while killed < KILLS:
            made = self.kill_until_its_end(killed, expected)
            expect(made, "it came to its end before it could be killed")
            killed += made

    def case_periodic_among_others(self):
        """The directory was there before, with what only looks like copies: that is left alone."""
        top = self.directory()
        others = [top / "2024/results", top / "7/notes", top / "000900/more"]
        for other in others:
            other.parent.mkdir(parents=True)
            other.write_text("somebody's")
        top.chmod(0o755)
        every = ["--checkpoint-every", "0.3s", "--checkpoint-dir", str(top), "--keep", "1"]
        with self.heat(*every) as program:
            end = time.monotonic() + PATIENCE
            while not (top / "000902/shadowcl.json").exists() and lives(program.pid):
                expect(time.monotonic() < end, f"no second copy: {list(top.iterdir())}")
                time.sleep(0.01)
            self.expect_undisturbed(program)
        expect(all(other.read_text() == "somebody's" for other in others), "it is not left alone")
        expect(top.stat().st_mode & 0o777 == 0o755, f"its mode is {top.stat().st_mode:o}")
        expect(not (top / "000901").exists(), "the first copy was not removed")
        top.chmod(0o777)
        said = call(self.setup, "run", *every, "--", "true", code=1)
        expect("others can write to it" in said, said)
        copy = max(top.glob("*/shadowcl.json")).parent
        said = call(self.setup, "restore", *every, "--detach", "--truncate", copy, code=1)
        expect("others can write to it" in said and "state: not started" in said, said)

    def case_periodic_old_kernel(self):
        """Linux before 5.9 has no close_range: who makes the copies keeps nothing of the program's
        all the same, and so nobody waits for it who waits for the program."""
        top = self.directory()
        kept, passed = os.pipe()
        high = fcntl.fcntl(passed, fcntl.F_DUPFD, 300)
        every = ["--checkpoint-every", "30s", "--checkpoint-dir", str(top)]
        script = [PYTHON, HERE / "without.py", "close_range", self.setup.bin / "shadowcl", "run",
                  *every, "--", "sleep", "3"]
        with subprocess.Popen(list(map(str, script)), env=self.setup.environment,
                              stdin=subprocess.DEVNULL, pass_fds=[passed, high]) as process:
            os.close(passed)
            os.close(high)
            end = time.monotonic() + PATIENCE
            while not (watchers := watching(top, process.pid)):
                expect(time.monotonic() < end and process.poll() is None, "nobody watches it")
                time.sleep(0.01)
            names = descriptors(watchers[0])
            others = [name for name in names if name not in ("/dev/null", str(top))
                      and "pidfd" not in name]
            expect(len(names) == 5 and not others, f"it keeps {names}")
            expect(os.read(kept, 1) == b"", "somebody wrote to it")
            expect(process.wait(timeout=PATIENCE) == 0, "it failed")
        os.close(kept)
        while watching(top):
            expect(time.monotonic() < end, "the watcher does not end with the program")
            time.sleep(0.01)

    def case_periodic_in_namespace(self):
        """As in a container: in a pid namespace of its own, with its own /proc and /run."""
        expected, top = self.expected(), self.directory()
        every = ["--checkpoint-every", "0.3s", "--checkpoint-dir", str(top), "--keep", "2"]
        result, out = self.setup.work / "result", self.setup.work / "out"
        slowly = self.setup.work / "slowly"
        slowly.touch()
        meant = {"RESULT": str(result), "SLOWLY": str(slowly)}
        words = [meant.get(word, word) for word in HEAT]
        run = ["sh", "-c", "echo 1000 >/proc/sys/kernel/ns_last_pid; mount -t tmpfs tmpfs /run; "
               f'setsid env -u SHADOWCL_RUNTIME_DIR "$@" </dev/null >{out} 2>{out}.err & wait $!',
               "sh", self.setup.bin / "shadowcl", "run", *every, "--",
               self.setup.bin / "sample-heat", *words, str(STEPS * self.times)]
        with subprocess.Popen([*NEW_NAMESPACE, *run], env=self.setup.environment,
                              stdin=subprocess.DEVNULL, start_new_session=True) as process:
            end = time.monotonic() + PATIENCE
            log = top / "checkpoint.log"
            try:
                while len(list(top.glob("*/shadowcl.json"))) < 2:
                    expect(time.monotonic() < end and process.poll() is None,
                           f"no copies: {log.read_text() if log.exists() else 'nothing was tried'}")
                    time.sleep(0.01)
            finally:
                process.kill()  # and all that is in the namespace
        while watching(top):
            expect(time.monotonic() < end, "the watcher outlives the namespace")
            time.sleep(0.01)
        expect(not result.exists(), "it had come to its end")
        slowly.unlink()
        call(self.setup, "restore", "--truncate", top, before=[
            *NEW_NAMESPACE, "sh", "-c",
            "mount -t tmpfs tmpfs /run && exec env -u SHADOWCL_RUNTIME_DIR \"$@\"", "sh"])
        check(expected, (out.read_text(), result.read_bytes()))

    def kill_until_its_end(self, killed, expected):
        """How often it was killed: as often as is wanted, or until it had no more to do."""
        top, made, restored, least, notes = self.directory(), 0, 0, 0, {}
        every = ["--checkpoint-every", f"{INTERVAL}s", "--checkpoint-dir", str(top), "--keep", "2"]
        with self.heat(*every) as program:
            history = History(program, top, notes)
            while killed + made < KILLS and self.watch_until_copied(top, history, least):
                history.watch(time.monotonic() + random.uniform(0, 2))
                at_work = self.kill_all(top, program.pid)
                if "sample-heat" not in at_work:
                    break
                made += 1
                before = restored
                restored, loss = newest_after_kill(top, history)
                # Now and then it is killed at any moment, whether there is a newer copy by then or
                # not; but never twice with the same one.
                least = restored if restored == before or random.random() < 0.75 else before
                print(f"{killed + made}: killed {', '.join(at_work)}; {loss}", flush=True)
                program.process.wait(timeout=PATIENCE)
                done = call(self.setup, "restore", "--truncate", "--detach", *every, top)
                expect(f"restored from {top}/{restored:06} " in done, f"not {restored}: {done}")
                history = History(program, top, notes)
            self.wait_for_restored(program.pid)
            check(expected, program.answer())
            time.sleep(0.5)
            expect(len([copy for copy in top.iterdir() if copy.is_dir()]) <= 3,
                   f"more are kept than asked for: {list(top.iterdir())}")
        return made

    def watch_until_copied(self, top, history, least):
        """Until there is a newer one than this. False where the program has ended."""
        end = time.monotonic() + PATIENCE
        log = top / "checkpoint.log"
        while lives(history.program.pid):
            if max(whole_copies(top), default=0) > least:
                return True
            expect(time.monotonic() < end, f"no copy after {least}: "
                   f"{log.read_text() if log.exists() else 'nothing was tried'}")
            history.watch(time.monotonic() + 0.01)
        expect(history.was_copied() or history.age() < INTERVAL + BUSY,
               f"no copy after {least}, and it has run on for {history.age():.1f} s")
        return False

    def kill_all(self, top, pid):
        """The program, who watches it, and whoever is just copying it."""
        victims = [pid] if lives(pid) else []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes()
            except OSError:
                continue
            if str(top).encode() in words and int(process.name) != os.getpid():
                victims.append(int(process.name))
        names = []
        for victim in victims:
            try:
                names.append(Path(f"/proc/{victim}/comm").read_text().strip())
                os.kill(victim, signal.SIGKILL)
            except (OSError, ProcessLookupError):
                continue
        end = time.monotonic() + 30
        while any(lives(victim) for victim in victims):
            expect(time.monotonic() < end, "somebody survives SIGKILL")
            time.sleep(0.01)
        return names

    def case_other_device(self):
        """Copied on one driver's device, made again on another's: the same bytes."""
        rusticl = "libRusticlOpenCL.so.1"
        try:
            ctypes.CDLL(rusticl)
        except OSError:
            skip("Mesa's rusticl is not installed (mesa-opencl-icd)")
        (self.setup.work / "drivers/z-rusticl.icd").write_text(f"{rusticl}\n")
        self.setup.environment |= {"RUSTICL_ENABLE": "llvmpipe", "OCL_ICD_PLATFORM_SORT": "none"}
        words = [self.setup.bin / "sample-vadd", "--output", "RESULT", "--size", "65536",
                 "--repeat", 10000 * self.times]
        expected = self.undisturbed("vadd", words)
        with self.launch("vadd", words) as program:
            program.wait_until(0.1)
            expect("portable" in self.platform(program.pid), f"on {self.platform(program.pid)}")
            directory = self.directory()
            checkpoint(self.setup, program, directory)
            program.process.wait(timeout=PATIENCE)
            expect(not program.result.exists(), "it had written its result")
            call(self.setup, "restore", "--detach", "--device", "rusticl:0", directory)
            expect("rusticl" in self.platform(program.pid), f"on {self.platform(program.pid)}")
            self.wait_for_restored(program.pid)
            check(expected, program.answer())

    def platform(self, pid):
        """Whose device a program is on."""
        return str([one["devices"] for one in call_json(self.setup, "ps", "--json")
                    if one["pid"] == pid]).lower()

    # Trees.

    def case_newcomers(self):
        """Children that are started while the copy is made are in it, and end with the others."""
        expected = self.undisturbed("steps", self.steps())
        with self.launch("starts-others", self.steps("children")) as program:
            program.wait_until(0.3)
            directory = self.directory()
            answer = checkpoint(self.setup, program, directory, "--tree")
            expect(answer["state"] == "gone", f"answered {answer}")
            program.process.wait(timeout=PATIENCE)
            left = [pid for pid in (one["pid"] for one in answer["processes"]) if lives(pid)]
            expect(not left, f"{left} live on")
            expect(not stopped("sleep"), f"left stopped: {stopped('sleep')}")
            program.forget_answer()
            check(expected, restore(self.setup, program, directory))

    def case_left_running_late(self):
        """Left running, and meanwhile, when it was looked at already, a child opens a file to write
        to it and starts others: they are in the copy, and the file has grown when it is made again."""
        late, begin = self.setup.work / "late", self.setup.work / "begin"
        child = (f'(until [ -e {begin} ]; do kill -0 $$ || exit; sleep 0.05; done; exec >{late}; '
                 'while kill -0 $$; do echo line; sleep 0.02; done 2>/dev/null) & ')
        words = ["sh", "-c", child + 'exec "$@"', "sh", *self.steps()]
        slow = self.setup.work / "slow-criu"
        slow.write_text(f'#!/bin/sh\nif [ "$1" = dump ]; then\n  echo >{begin}\n'
                        f'  until [ -s {late} ]; do sleep 0.05; done\nfi\nexec {self.criu} "$@"\n')
        slow.chmod(0o755)
        expected = self.undisturbed("steps", self.steps())
        with self.launch("left-running", words) as program:
            program.wait_until(0.2)
            refused = self.refused(program, "child process", "--tree")
            expect(not refused.exists(), "it has made the directory")
            directory = self.directory()
            checkpoint(self.setup, program, directory, "--tree", "--leave-running",
                       environment={"SHADOWCL_CRIU": slow})
            program.wait_until(program.fraction() + 0.1)
            for pid in tree(program.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            program.process.wait(timeout=PATIENCE)
            told = json.loads((directory / "shadowcl.json").read_text())
            copied = {message[1] for message in messages(directory / "pstree.img")}
            expect(len(copied) >= 3, f"no process was started late: {copied}")
            expect({one["pid"] for one in told["processes"]} == copied,
                   f"{told['processes']}, and copied are {copied}")
            resumes = {one["pid"]: one["resumes"] for one in told["processes"]}
            expect(resumes[program.pid], f"{resumes}")
            sizes = {Path(file["path"]): file["size"] for file in told["files"] if file["written"]}
            expect(0 < sizes.get(late, 0) < late.stat().st_size, f"{late} is not among {sizes}")
            program.forget_answer()
            check(expected, restore(self.setup, program, directory, "--truncate"))

    def case_whose_copy(self):
        """Who can write a copy says what is run by whoever restores it."""
        with self.heat() as program:
            program.wait_until(0.2)
            directory = self.directory()
            checkpoint(self.setup, program, directory)
            program.process.wait(timeout=PATIENCE)
            program.forget_answer()
            os.chown(directory, 65534, 65534)
            said = call(self.setup, "restore", directory, code=1)
            expect("belongs to user 65534" in said and "chown -R 0" in said, said)
            os.chown(directory, 0, 0)
            directory.chmod(0o777)
            said = call(self.setup, "restore", directory, code=1)
            expect("others may write to it (mode 777)" in said, said)
            directory.chmod(0o700)
            check(self.expected(), restore(self.setup, program, directory))

    def case_tree_pipes(self):
        """From one process of the tree to another, as standard output and input: copied with what
        is in it."""
        words = ["sh", "-c", '"$0" "$1" "$2" "$3" aloud | "$0" -c "$4" "$2"', *self.steps(), LATE]
        expected = self.undisturbed("pipeline", words)
        expect(len(expected[0].splitlines()) == 100 * self.times + 1, f"it says {expected[0]}")
        with self.launch("pipeline", words) as program:
            program.wait_until(0.3)
            directory = self.directory()
            checkpoint(self.setup, program, directory, "--tree")
            program.process.wait(timeout=PATIENCE)
            expect(pipes(directory) == [], f"it says that others lead out: {pipes(directory)}")
            program.forget_answer()
            check(expected, restore(self.setup, program, directory))

    def case_pipes(self):
        """That lead to others: standard output becomes that of the restore; of one with another
        number it is said what becomes of it."""
        expected = self.expected()
        (ours, out), (its, ours_too) = os.pipe(), os.pipe()

        def start():
            return self.launch("piped", ["sh", "-c", f'exec "$0" "$@" >&{out} {out}>&-',
                                         *self.heat_command()])
        with self.start_with(Descriptor(out), Descriptor(its), start=start) as program:
            program.wait_until(0.1)
            text, answer = self.explained(program)
            wanted = f"descriptor {its} is a pipe to a process outside"
            expect("nothing stands against it" in text and text.count(wanted) == 1, text)
            expect(sorted(pipe["fd"] for pipe in answer["pipes"]) == [1, its], f"{answer['pipes']}")
            directory = self.directory()
            said = call(self.setup, "checkpoint", program.pid, directory)
            expect(f"process {program.pid}: {wanted}" in said and
                   f"--inherit-fd 'fd[{its}]:pipe:[" in said, said)
            program.process.wait(timeout=PATIENCE)
            expect(pipes(directory) == answer["pipes"], f"{pipes(directory)}")
            program.forget_answer()
            program.hurry()
            restored = run_command(self.setup, "restore", directory)
            check(expected, (restored.stdout, program.result.read_bytes()))
        os.close(ours)
        os.close(ours_too)

    def case_tree(self):
        """A parent and children that all use OpenCL, with pipes and shared memory between them."""
        expected = self.undisturbed("family", self.family_command())
        with self.family() as program:
            program.wait_until(0.3)
            self.refused(program, "child process", "--tree")
            directory = self.directory()
            answer = checkpoint(self.setup, program, directory, "--tree")
            expect(len(answer["processes"]) >= 3, f"copied {answer['processes']}")
            program.process.wait(timeout=PATIENCE)
            program.forget_answer()
            check(expected, restore(self.setup, program, directory))


class History:
    """How many steps a program had done, and when, since it was started or made again; and when
    its copies were begun."""

    def __init__(self, program, top, notes):
        self.program = program
        self.top = top
        self.notes = notes
        self.seen = []

    def look(self):
        self.seen.append((time.time(), last_step(tail(self.program.err))))
        for note in self.top.glob("*.making"):
            try:
                self.notes[int(note.stem)] = note.stat().st_mtime
            except FileNotFoundError:
                pass

    def watch(self, end):
        """Until then, by the monotonic clock."""
        while True:
            self.look()
            left = end - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, 0.01))

    def was_copied(self):
        """Or a copy was begun, at least."""
        return any(begun >= self.seen[0][0] for begun in self.notes.values())

    def age(self):
        return self.seen[-1][0] - self.seen[0][0] if self.seen else 0

    def at(self, moment):
        return max((done for when, done in self.seen if when <= moment), default=0)


def tail(path, size=256):
    with open(path, "rb") as file:
        file.seek(max(file.seek(0, os.SEEK_END) - size, 0))
        return file.read()


def last_step(said):
    """0: none; of a line that is cut, the one before."""
    return int((re.findall(rb"^step (\d+) of \d+\n", said, re.MULTILINE) or [0])[-1])


def whole_copies(top):
    """The numbers of those that are; they may be removed while we look."""
    return [int(mark.parent.name) for mark in top.glob("[0-9]*/shadowcl.json")]


def newest_after_kill(top, history):
    """The number of the copy that must be taken, and in words what is lost: no more than was done in
    the interval before the kill, and while copies were made."""
    now, program, notes = time.time(), history.program, history.notes
    history.look()
    done = history.seen.pop()[1]
    whole = sorted(whole_copies(top))
    expect(whole, "no whole copy is left")
    newest = top / f"{whole[-1]:06}"
    mark = newest / "shadowcl.json"
    files = json.loads(mark.read_text())["files"]
    size, = [file["size"] for file in files if file["path"] == str(program.err)]
    kept = last_step(program.err.read_bytes()[:size])
    took = mark.stat().st_mtime - notes.get(whole[-1], now)
    unfinished = max((now - begun for number, begun in notes.items()
                      if number > whole[-1] and begun >= history.seen[0][0]), default=0)
    allowed = INTERVAL + max(took, 0) + unfinished + SLACK
    least = history.at(now - allowed)
    expect(kept >= least, f"copy {newest.name} has {kept} steps, and {least} had been done "
                          f"{allowed:.2f} s before the kill, {done} then; copies: {notes}")
    return whole[-1], (f"copy {whole[-1]}, {done - kept} of {done} steps lost, {done - least} in the "
                       f"last {allowed:.2f} s")


def tree(pid):
    """It, and all that it has started and that have not ended."""
    found = [pid]
    for one in found:
        for children in glob.glob(f"/proc/{one}/task/*/children"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                found += map(int, Path(children).read_text().split())
    return found


def wait_until_free(pids):
    """The dead keep their numbers until init has seen to them."""
    end = time.monotonic() + 30
    while taken := [pid for pid in pids if Path(f"/proc/{pid}").exists()]:
        expect(time.monotonic() < end, f"{taken} are there yet")
        time.sleep(0.01)


def freezer():
    """A new cgroup that can be frozen, of either version: its folder, the file with its state, and
    what is written there to let it run."""
    name = f"shadowcl-test-{os.getpid()}"
    for top, state, thawed in (("/sys/fs/cgroup/freezer", "freezer.state", "THAWED"),
                               ("/sys/fs/cgroup", "cgroup.freeze", "0")):
        folder = Path(top) / name
        try:
            folder.mkdir()
        except OSError:
            continue
        if (folder / state).exists():
            return folder, state, thawed
        folder.rmdir()
    skip("no cgroup can be made that could be frozen")


def reachable(criu, work):
    """The same for other users: what scripts/get-criu.sh makes is in somebody's home."""
    prefix = Path(criu).parent.parent
    if prefix.name != "criu":
        return criu
    shutil.copytree(prefix, work / "criu", symlinks=True)
    return str(work / "criu/bin/criu")


def has_capability(number, which="CapEff"):
    status = Path("/proc/self/status").read_text()
    return int(re.search(rf"^{which}:\t(\w+)$", status, re.MULTILINE)[1], 16) >> number & 1


class Descriptor:
    """An open file that Python has no name for."""

    def __init__(self, number):
        self.number = number

    def fileno(self):
        return self.number

    def close(self):
        os.close(self.number)


def open_io_uring():
    number = ctypes.CDLL(None).syscall(SYS_IO_URING_SETUP, 4, ctypes.create_string_buffer(120))
    return Descriptor(number) if number >= 0 else None


def need_device():
    """A device's path, which can be opened."""
    path = next((path for path in DEVICES if can_open(path)), None)
    if not path:
        skip(f"none of {', '.join(DEVICES)} can be opened")
    return path


def can_open(path):
    try:
        open(path, "rb", buffering=0).close()
        return True
    except OSError:
        return False


def watching(top, other=None):
    """Processes that have the directory of copies open."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if int(folder.name) != other and str(top) in descriptors(int(folder.name)):
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def stopped(name):
    """Processes of that name which are stopped."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "stat").read_text().rsplit(")", 1)
        except (FileNotFoundError, ProcessLookupError):
            continue
        if words[0].endswith(f"({name}") and words[1].split()[0] == "T":
            found.append(int(folder.name))
    return found


def mapped(directory):
    """What a copy says of the files that the program has mapped."""
    return json.loads((directory / "shadowcl.json").read_text())["mapped"]


def pipes(directory):
    """The same of the pipes that lead to others."""
    return json.loads((directory / "shadowcl.json").read_text())["pipes"]


def messages(image):
    """Those of one of CRIU's images, as far as they begin with numbers: each a dictionary."""
    data, at, found = image.read_bytes(), 8, []
    while at < len(data):
        size = int.from_bytes(data[at:at + 4], "little")
        found.append(numbers(data[at + 4:at + 4 + size]))
        at += 4 + size
    return found


def numbers(message):
    """The fields of a message in protobuf's form, up to the first that is no number."""
    found, at = {}, 0
    while at < len(message) and message[at] & 7 == 0:
        field, value, shift = message[at] >> 3, 0, 0
        at += 1
        while message[at] & 0x80:
            value |= (message[at] & 0x7f) << shift
            at, shift = at + 1, shift + 7
        found[field] = value | message[at] << shift
        at += 1
    return found


def mapped_in(directory, folder):
    return [Path(file["path"]) for file in mapped(directory) if file["path"].startswith(f"{folder}/")]


def kept_in(directory, path):
    return next(file["kept"]["name"] for file in mapped(directory) if file["path"] == str(path))


def numbered(pid):
    """The numbers and what they are; one may be closed while we look."""
    found = []
    for file in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.append((int(file.name), os.readlink(file)))
        except FileNotFoundError:
            pass
    return found


def descriptors(pid):
    return [target for _, target in numbered(pid)]


def threads(pid):
    """Their names; one may end while we look."""
    names = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            names.append((task / "comm").read_text().strip())
        except (FileNotFoundError, ProcessLookupError):
            pass
    return names


def run_case(kind, build, criu, case, times):
    """Whether it was; false where a program ended before its case was through with it."""
    work = Path(tempfile.mkdtemp(prefix="criu-"))
    cases = None
    try:
        setup = Setup(build, "pocl", None, work)
        setup.source = HERE.parent.parent.parent
        cases = kind(setup, criu, times)
        getattr(cases, f"case_{case}")()
        return True
    except Failure as failure:
        if times >= MOST_TIMES or not cases or not cases.ended_too_soon():
            raise
        print(f"{case}: a program has ended, once more with {times * 4} times as much to do: "
              f"{failure}", flush=True)
        return False
    finally:
        shutil.rmtree(work, ignore_errors=True)


def run_cases(what, kind):
    names = [name[len("case_"):] for name in dir(kind) if name.startswith("case_")]
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--build", type=Path, required=True, help="the build folder")
    parser.add_argument("case", choices=names)
    arguments = parser.parse_args()
    criu = None
    if arguments.case not in kind.without_criu:
        criu = need_criu(4 if arguments.case.startswith("plugin") else 3)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    times = 1
    try:
        while not run_case(kind, arguments.build.resolve(), criu, arguments.case, times):
            times *= 4
        print(f"{arguments.case}: ok")
    except Failure as failure:
        sys.exit(f"{arguments.case}: FAILED: {failure}")


if __name__ == "__main__":
    run_cases(__doc__, Cases)
