#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Programs in containers, that is in user, mount and pid namespaces of their own: found from outside
by root and by their own user, suspended, resumed and copied, and nobody else there is spoken to. All
of it in a pid namespace with a /run of its own, so that `--all` means nobody else on this machine."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from cases import Cases, HEAT, NOBODY, PYTHON, STEPS, run_cases
from harness import NEW_NAMESPACE, PATIENCE, call, call_json, check, expect, run_command, skip

NOWHERE = {"SHADOWCL_RUNTIME_DIR": ""}
INSIDE = ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--mount-proc",
          "--kill-child"]
MAPPED = ["unshare", "--user", "--keep-caps", "--mount", "--pid", "--fork", "--mount-proc",
          "--kill-child"]
MORE = ["--tree", "--", "--external", "mnt[]:m", "--manage-cgroups=ignore"]
FIRST, ITS_USER, ANOTHER = 100000, 1000, 77  # root outside; users inside
# Takes connections under the name of another, and says how many bytes came by each.
PLANTED = """
import os, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o600)
listener.listen()
print('ready', flush=True)
while True:
    connection, _ = listener.accept()
    print(len(connection.recv(1)), flush=True)
    connection.close()
"""


class Containers(Cases):
    without_criu = {"found", "of_its_user", "users_inside", "way_by_a_link"}

    def start(self, launcher, inside, user, run="mount -t tmpfs tmpfs /run"):
        """`inside` runs what it is given, as the last thing in the container; its first process is
        the shell."""
        self.count += 1
        self.setup.work.chmod(0o755)
        script = (f'{run} && cd "$(dirname "$1")" && exec </dev/null >out 2>err && {inside} env -u '
                  'SHADOWCL_RUNTIME_DIR $MORE POCL_CACHE_DIR="$PWD" "$0" --output "$@"; exit $?')
        folder = self.setup.work / f"contained-{self.count}"
        launcher = ["sh", "-c", 'cd / && chown -R "$0" "$1" && shift && exec "$@"',
                    f"{user}:{user}", folder, *launcher]
        return self.launch(folder.name, [
            *launcher, "sh", "-c", script, self.setup.bin / "sample-heat", *HEAT[1:],
            STEPS * self.times])

    def contained(self):
        """Of an ordinary user, who is root there."""
        as_nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        if subprocess.run([*as_nobody, *INSIDE, "test", "-r",
                           self.setup.bin / "sample-heat"]).returncode:
            skip(f"user {NOBODY} may make no user namespace, or not read what was built")
        return self.start([*as_nobody, *INSIDE], "", NOBODY)

    def mapped(self, **how):
        """Of a user there who is not root there; `map_users` lets it begin."""
        begin = self.setup.work / f"begin-{self.count}"
        wait = f'until [ -e {begin} ]; do sleep 0.05; done; exec setpriv --reuid=0 --regid=0 ' \
               '--clear-groups "$@"'
        run = ("mount -t tmpfs -o mode=755 tmpfs /run && mkdir -m 1777 /run/shadowcl" if not how
               else how["run"])
        program = self.start([*MAPPED, "sh", "-c", wait, "sh"],
                             f"setpriv --reuid={ITS_USER} --regid={ITS_USER} --clear-groups",
                             FIRST + ITS_USER, run)
        end = time.monotonic() + 30
        while os.readlink(f"/proc/{program.pid}/ns/user") == os.readlink("/proc/self/ns/user"):
            expect(time.monotonic() < end, "it has no user namespace")
            time.sleep(0.01)
        for name in ("uid_map", "gid_map"):
            Path(f"/proc/{program.pid}/{name}").write_text(f"0 {FIRST} 65536\n")
        begin.touch()
        return program

    def pid_of(self, program):
        """Of the sample, as it is called here, once it computes."""
        program.wait_until(0.05)
        tree = [program.pid]
        for pid in tree:
            tree += [int(child) for child in
                     Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        found = [pid for pid in tree if Path(f"/proc/{pid}/comm").read_text() == "sample-heat\n"]
        expect(len(found) == 1, f"{found} of {tree} are it")
        return found[0]

    def listed(self, pid, environment=NOWHERE, before=()):
        found = [one for one in call_json(self.setup, "ps", "--json", environment=environment,
                                          before=before) if one["pid"] == pid]
        expect(len(found) == 1, f"listed: {found}")
        return found[0]

    def expect_there(self, program, pid, user):
        """Listed, with what it is called there."""
        status = Path(f"/proc/{pid}/status").read_text()
        inner = int(re.search(r"^NSpid:.*\t(\d+)$", status, re.MULTILINE)[1])
        number = int(re.search(r"\d+", os.readlink(f"/proc/{pid}/ns/pid"))[0])
        expect(inner not in (pid, 1), f"{pid} is {inner} inside: nothing can be told apart")
        one = self.listed(pid)
        expect((one["uid"], one["state"], one["inside"]) ==
               (user, "running", {"pid": inner, "pid_namespace": number}), f"{one}")
        table = run_command(self.setup, "ps", environment=NOWHERE).stdout
        expect(re.search(rf"^ *{pid} .* running .* {inner} in pid:\[{number}\]$", table,
                         re.MULTILINE) and table.splitlines()[0].endswith("  PID INSIDE"), table)
        expect(not list(Path("/run/shadowcl").glob("*.sock")), "it listens here too")

    def stands_still(self, program):
        before = program.fraction()
        time.sleep(0.3)
        return program.fraction() == before

    def there_and_back(self, program, pid, how, environment=NOWHERE, before=()):
        call(self.setup, "suspend", how, environment=environment, before=before)
        expect(self.listed(pid)["state"] == "suspended" and self.stands_still(program),
               f"it is {self.listed(pid)}")
        call(self.setup, "resume", how, environment=environment, before=before)
        expect(self.listed(pid)["state"] == "running", f"it is {self.listed(pid)}")

    def case_found(self):
        """By root, whom nobody knows in there."""
        with self.contained() as program:
            pid = self.pid_of(program)
            self.expect_there(program, pid, NOBODY)
            self.there_and_back(program, pid, pid)
            self.there_and_back(program, pid, "--all")
            # A directory that is named is the only one for those that are not.
            with_name = {"SHADOWCL_RUNTIME_DIR": self.setup.environment["SHADOWCL_RUNTIME_DIR"]}
            expect(self.listed(pid, with_name)["state"] == "unreachable", "listed all the same")
            said = call(self.setup, "suspend", "--all", environment=with_name, code=1)
            expect("no process is under shadowcl" in said, said)
            self.there_and_back(program, pid, pid, with_name)
            check(self.expected(), program.finish())
        with self.heat() as program:  # in none, though the command is in one
            program.wait_until(0.05)
            state = self.listed(program.pid, before=["unshare", "--mount"])["state"]
            expect(state == "unreachable", f"it listens in a directory of its own, and is {state}")

    def case_of_its_user(self):
        """By who has made the container, without root's rights, and by nobody else."""
        with self.contained() as program:
            pid = self.pid_of(program)
            own = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
            expect(self.listed(pid, before=own)["inside"], "not listed as one in a container")
            self.there_and_back(program, pid, pid, before=own)
            other = ["setpriv", "--reuid=4242", "--regid=4242", "--clear-groups"]
            said = call(self.setup, "suspend", pid, environment=NOWHERE, before=other, code=1)
            expect("belongs to nobody, not to you" in said, said)
            expect(self.listed(pid)["state"] == "running", "somebody else has suspended it")
            check(self.expected(), program.finish())

    def plant(self, pid):
        """Another process of the container's, at a socket that is called as if it were `pid`'s."""
        inner = re.search(r"^NSpid:.*\t(\d+)$", Path(f"/proc/{pid}/status").read_text(),
                          re.MULTILINE)[1]
        planted = subprocess.Popen(
            ["nsenter", "-t", str(pid), "-U", "-m", "-p", "-S", "0", "-G", "0", PYTHON, "-c",
             PLANTED, f"/run/shadowcl/{inner}-0000000000000000.sock"], stdout=subprocess.PIPE,
            text=True)
        line = planted.stdout.readline()
        expect(line == "ready\n", f"nothing is planted: {line!r}")
        return planted

    def case_users_inside(self):
        """The directory is that of root there, who could put what he likes into it: nobody but the
        process itself is spoken to. Another owner's is refused by name."""
        with self.mapped() as program:
            pid = self.pid_of(program)
            folder = Path(f"/proc/{pid}/root/run/shadowcl")
            expect(folder.stat().st_uid == FIRST, f"it is {folder.stat().st_uid}'s")
            self.expect_there(program, pid, FIRST + ITS_USER)
            planted = self.plant(pid)
            try:
                self.there_and_back(program, pid, pid)
                self.there_and_back(program, pid, "--all")
            finally:
                for child in subprocess.run(["pgrep", "-P", str(planted.pid)], text=True,
                                            capture_output=True).stdout.split():
                    os.kill(int(child), signal.SIGKILL)
                planted.kill()
            counts = planted.stdout.read().split()
            planted.wait()
            expect(counts and set(counts) == {"0"}, f"it was sent so many bytes: {counts}")
            os.chown(folder, FIRST + ANOTHER, -1)
            said = call(self.setup, "suspend", pid, environment=NOWHERE, code=1)
            expect(re.search(rf"/proc/{pid}/root/run/shadowcl` of process {pid}: refused: it belongs "
                             f"to {FIRST + ANOTHER}, who could put other sockets", said) and
                   "no socket" in said, said)
            expect(self.listed(pid)["state"] == "unreachable", "it is spoken to all the same")
            os.chown(folder, FIRST, -1)
            self.there_and_back(program, pid, pid)
            check(self.expected(), program.finish())

    def case_way_by_a_link(self):
        """A link on the way is one of the container's, and leads nowhere outside."""
        self.setup.environment["MORE"] = "SHADOWCL_RUNTIME_DIR=/run/way/place"
        outside = Path("/run/real/place")
        outside.mkdir(parents=True)
        run = ("mount -t tmpfs -o mode=755 tmpfs /run && mkdir -p /run/real && "
               "ln -s /run/real /run/way && mkdir -m 1777 /run/real/place")
        with self.mapped(run=run) as program:
            pid = self.pid_of(program)
            self.there_and_back(program, pid, pid)
            self.there_and_back(program, pid, "--all")
            expect(not list(outside.iterdir()), "the way leads out of it")
            check(self.expected(), program.finish())

    def case_copied(self):
        """The whole of it, from outside, by its first process: left running, then ended and made
        again."""
        with self.start(["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child",
                         "setsid"], "", 0) as program:
            pid = self.pid_of(program)
            self.copy_and_restore(program, pid, first_of(program))

    def case_copied_with_users(self):
        """In a user namespace: left running. (CRIU 4.1.1 can't mount its mounts again.)"""
        with self.start([*INSIDE, "setsid"], "", 0) as program:
            pid = self.pid_of(program)
            call(self.setup, "checkpoint", "--leave-running", first_of(program), self.directory(),
                 *MORE, environment=NOWHERE)
            expect(self.listed(pid)["state"] == "running", f"it is {self.listed(pid)}")
            check(self.expected(), program.finish())

    def copy_and_restore(self, program, pid, first):
        said = call(self.setup, "checkpoint", first, self.directory(), code=1, environment=NOWHERE)
        expect("child process" in said, said)
        said = call(self.setup, "checkpoint", first, self.directory(), "--tree", "--with-files",
                    code=1, environment=NOWHERE)
        expect("it sees other files" in said and "state: running" in said, said)
        call(self.setup, "checkpoint", "--leave-running", first, self.directory(), *MORE,
             environment=NOWHERE)
        expect(self.listed(pid)["state"] == "running", f"it is {self.listed(pid)}")
        directory = self.directory()
        call(self.setup, "checkpoint", first, directory, *MORE, environment=NOWHERE)
        program.process.wait(timeout=PATIENCE)
        program.forget_answer()
        # CRIU wants the root of a mount namespace to be a mount of its own.
        root = self.directory(made=True)
        mounted = f'mount --make-rprivate / && mount --rbind / {root} && exec "$@"'
        program.hurry()
        run_command(self.setup, "restore", directory, "--", *MORE[2:], "--root", root,
                    environment=NOWHERE, before=["unshare", "--mount", "sh", "-c", mounted, "sh"])
        check(self.expected(), program.answer())


def first_of(program):
    """The container's first process, as it is called here."""
    return int(Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text())


def alone():
    """In namespaces of its own; in vain where that is not allowed."""
    if os.geteuid() != 0:
        skip("a /run of one's own takes root's rights")
    if subprocess.run([*NEW_NAMESPACE, "true"]).returncode:
        skip("no namespaces can be made here")
    os.environ["SHADOWCL_TEST_ALONE"] = "yes"
    os.execvp(NEW_NAMESPACE[0], [*NEW_NAMESPACE, "sh", "-c",
                                 'mount -t tmpfs -o mode=755 tmpfs /run && mkdir -m 1777 '
                                 '/run/shadowcl && "$@"; exit $?', "sh", sys.executable, "-B",
                                 *sys.argv])


if __name__ == "__main__":
    if not os.environ.get("SHADOWCL_TEST_ALONE"):
        alone()
    run_cases(__doc__, Containers)
