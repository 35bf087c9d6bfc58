#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each case of a program runs natively, under the shim, under storm, and with suspends and resumes
from outside at random moments: it must print and return the same, in time, and leave no socket."""

import argparse
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

# Ends without a chance for us to remove the socket, or removes the file in the old program's name.
LEAVES_SOCKET = {"at-once", "exec", "exec-suspended"}


class Setup:
    def __init__(self, build, mapping, work, patience):
        self.build = build
        self.work = work
        self.patience = patience
        self.runtime = work / "run"
        self.runtime.mkdir()
        self.command = str(build / "bin/shadowcl")
        cache = build / "pocl-cache"
        cache.mkdir(exist_ok=True)
        self.env = {k: v for k, v in os.environ.items()
                    if not k.startswith(("SHADOWCL_", "OCL_ICD_", "LIVE_", "MOMENTS_"))}
        self.env |= {"POCL_CACHE_DIR": str(cache), "OCL_ICD_VENDORS": "libpocl.so.2",
                     "SHADOWCL_DRIVERS": "libpocl.so.2", "SHADOWCL_MAPPING": mapping,
                     "SHADOWCL_RUNTIME_DIR": str(self.runtime)}
        # What was copied beforehand and is taken for unwritten is compared, byte by byte.
        self.beforehand = mapping == "copy"
        if self.beforehand:
            self.env["SHADOWCL_CHECK_WRITES"] = "1"

    def shadowcl(self, *arguments):
        return subprocess.run([self.command, *map(str, arguments)], env=self.env, timeout=120,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def disturb(setup, pid, stop):
    """Suspends and resumes at random moments, until the program has ended."""
    while not stop.is_set():
        time.sleep(random.uniform(0, 0.05))
        prepare = ["--prepare"] if setup.beforehand and random.random() < 0.5 else []
        if setup.shadowcl("suspend", *prepare, pid).returncode == 0:
            time.sleep(random.uniform(0, 0.05))
            setup.shadowcl("resume", pid)


def run(setup, command, more, disturbed=False):
    """What was printed and the exit code, or the reason why there is none; and stderr."""
    process = subprocess.Popen(command, env={**setup.env, **more}, text=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, start_new_session=True)
    stop = threading.Event()
    disturber = threading.Thread(target=disturb, args=(setup, process.pid, stop))
    if disturbed:
        disturber.start()
    try:
        out, said = process.communicate(timeout=setup.patience)
        result = (sorted(out.splitlines()), process.returncode)
    except subprocess.TimeoutExpired:
        result, said = f"still running after {setup.patience} s", where(process.pid)
    stop.set()
    if disturbed:
        disturber.join()
    try:
        os.killpg(process.pid, 9)
    except ProcessLookupError:
        pass
    process.wait()
    return result, said


def session(pid):
    """It and its children, by /proc: the field of a process's session, behind its name."""
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            if stat.read_text().rpartition(")")[2].split()[3] == str(pid):
                yield stat.parent
        except OSError:  # it has just ended
            pass


def where(pid):
    """What the threads of it and of its children wait for, for the report."""
    told = []
    for process in session(pid):
        stacks = ""
        if shutil.which("gdb"):
            stacks = subprocess.run(["gdb", "-p", process.name, "-batch", "-ex",
                                     "thread apply all bt 9"], stdout=subprocess.PIPE,
                                    stderr=subprocess.DEVNULL, text=True).stdout
        told.append(f"process {process.name}")
        told += [line[:110] for line in stacks.splitlines() if line.startswith(("#", "Thread"))] \
            or [f"{task.name}: {(task / 'wchan').read_text()}"
                for task in (process / "task").iterdir()]
    return "\n".join(told)


def leftovers(setup, case):
    """Socket files that are still there. `ps` skips and removes those of ended processes."""
    left = [path.name for path in setup.runtime.iterdir()]
    if case in LEAVES_SOCKET:
        shown = setup.shadowcl("ps").stdout
        left = [name for name in left if re.search(rf"^\s*{name.split('-')[0]}\b", shown, re.M)]
    for path in setup.runtime.iterdir():
        path.unlink()
    return left


def ways(setup, long):
    live = {"LIVE_COMMAND": setup.command}
    yield "shim", live, False
    for every in (1, 7, 50) if long else (1, 7):
        prepare = {"SHADOWCL_PREPARE": "1"} if setup.beforehand and every == 7 else {}
        yield (f"storm {every}",
               {"SHADOWCL_STORM": f"{every},{random.randrange(1000)}", **prepare}, False)
    yield "from outside", {}, True


def cycles_of(log):
    """How often the program was suspended and resumed; its children write to the same file."""
    count = len(re.findall("info: (?:resume: running|move: done)", log.read_text())) \
        if log.exists() else 0
    log.unlink(missing_ok=True)
    return count


def lost_membarrier(log):
    """Whether a gate, or that of a child, could not be closed by membarrier(2) as it could before."""
    return log.exists() and "membarrier is not allowed any more" in log.read_text()


def run_case(setup, program, case, long, cycles):
    """The number of failures. Adds to `cycles` of each way how many there were."""
    path = [setup.build / f"bin/moments-{program}", case]
    amount = {"MOMENTS_LONG": "1"} if long else {}
    native, said = run(setup, path, amount)
    for _ in range(9):
        # The driver itself does not survive every exit with commands in flight: pocl 3.1 aborts.
        if isinstance(native, str) or native[1] >= 0:
            break
        print(f"{case}: natively {native}: the driver's own end; again", flush=True)
        native, said = run(setup, path, amount)
    bad = isinstance(native, str)
    print(f"{case}: natively {native} {said[-300:] if bad else ''}", flush=True)
    log = setup.work / "log"
    for name, more, disturbed in ways(setup, long):
        way, tries = name, 0
        # A short program may be gone before anybody from outside has come to it.
        while tries < (5 if long else 1) or (disturbed and not cycles[way] and tries < 5):
            tries += 1
            begin = time.monotonic()
            result, said = run(setup, [setup.command, "run", "--", *path],
                               {**amount, **more, "MOMENTS_SHADOWED": "1",
                                "SHADOWCL_LOG": f"info:{log}"}, disturbed)
            fenced = lost_membarrier(log)
            seen = cycles_of(log)
            cycles[way] = cycles.get(way, 0) + seen
            left = leftovers(setup, case)
            good = result == native and not left and not fenced and "ThreadSanitizer" not in said
            bad += not good
            print(f"{'ok    ' if good else 'FAILED'} {case} {name}: {result} "
                  f"{time.monotonic() - begin:.1f} s, {seen} cycles"
                  f"{', membarrier was lost' if fenced else ''}"
                  f"{'' if good else f' sockets {left}: {said[-30000:]}'}", flush=True)
    return bad


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--mapping", choices=["shared", "copy"], default="shared")
    parser.add_argument("--long", action="store_true", help="more of everything")
    parser.add_argument("--patience", type=int, default=120, help="seconds for each run")
    parser.add_argument("program")
    parser.add_argument("cases", nargs="*", help="default: all")
    options = parser.parse_args()
    build = options.build.resolve()
    work = pathlib.Path(tempfile.mkdtemp(prefix="moments-"))
    setup = Setup(build, options.mapping, work, options.patience)
    names = subprocess.run([build / f"bin/moments-{options.program}"], env=setup.env, check=True,
                           stdout=subprocess.PIPE, text=True).stdout.split()
    cycles = {}
    bad = sum(run_case(setup, options.program, case, options.long, cycles)
              for case in options.cases or names)
    print("cycles:", ", ".join(f"{way} {count}" for way, count in cycles.items()))
    for way, count in cycles.items():
        if way != "shim" and not count:
            print(f"FAILED: {way}: there was no cycle at all")
            bad += 1
    shutil.rmtree(work, ignore_errors=True)
    print(f"{bad} failures")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
