# SPDX-License-Identifier: Apache-2.0
"""Runs one program and, when asked to, suspends and resumes it at chosen moments of its life."""
import contextlib
import fcntl
import json
import os
import re
import signal
import subprocess
import threading
import time

HOLD = 0.1  # seconds that a program stays suspended
# Seconds. On a machine that others use, single calls of clpeak take longer than the default: to copy
# a gigabyte, say. That such a suspend is refused is tested elsewhere.
DEADLINE = 100
F_SETPIPE_SZ = 1031


# The parts of a program's life. A moment named so has to be met.
PHASES = ("start-up", "building programs", "computing", "reading results")


class Moment:
    """When to make a cycle. `reached` is asked again and again; `run` is the Run below. One that is
    only a time gives way when what comes after it is reached first. Where the program waits to be
    told to go on, `waits` is how many times it has waited, with this one. `saves`: while suspended,
    what its programs were made from is looked up in an image."""

    def __init__(self, name, reached, hold_output_at=None, gives_way=False, waits=None):
        self.name = name
        self.reached = reached
        self.hold_output_at = hold_output_at
        self.gives_way = gives_way
        self.waits = waits
        self.saves = False


def after_start(name, delay=0.0):
    return Moment(name, lambda run: run.seen and run.age() >= delay)


def at_line(name, pattern, nth=1):
    """At the nth line of the program's output that matches."""
    regex = re.compile(pattern)
    return Moment(name, lambda run: run.matches(regex) >= nth)


def at_wait(name, pattern, nth):
    """At the nth line that matches; the program then waits for a line on its standard input. Without
    such a moment that is at its end: nothing keeps it."""
    return Moment(name, at_line(name, pattern, nth).reached, waits=nth)


def at_count(name, pattern, value):
    """When a counter in the output, the pattern's first group, has reached the value."""
    regex = re.compile(pattern)
    return Moment(name, lambda run: run.counter(regex) >= value)


def at_fraction(fraction):
    """At a fraction of the native run's time."""
    return Moment(f"{fraction:.0%} of the time",
                  lambda run: run.seen and run.active() >= fraction * run.native_seconds,
                  gives_way=True)


def at_file(name, path):
    """When a file in the program's folder has contents."""
    def reached(run):
        try:
            return os.path.getsize(os.path.join(run.cwd, path)) > 0
        except FileNotFoundError:
            return False
    return Moment(name, reached)


def at_byte(name, offset):
    """With the output stopped at that byte: the program waits in its write when it comes."""
    return Moment(name, lambda run: run.seen and run.held_for() > 0.3, hold_output_at=offset)


class Output(threading.Thread):
    """Reads a pipe to its end; can stop at a byte until it is let go on."""

    def __init__(self, pipe, limit=None):
        super().__init__(daemon=True)
        self.pipe, self.limit, self.data = pipe, limit, bytearray()
        self.held_since = None
        self.change = threading.Condition()
        self.start()

    def run(self):
        while True:
            with self.change:
                while self.limit is not None and len(self.data) >= self.limit:
                    self.held_since = self.held_since or time.monotonic()
                    self.change.wait()
                self.held_since = None
                room = 65536 if self.limit is None else self.limit - len(self.data)
            piece = os.read(self.pipe.fileno(), room)
            if not piece:
                return
            self.data += piece

    def let_go_until(self, limit):
        with self.change:
            self.limit, self.held_since = limit, None
            self.change.notify()

    def text(self):
        return bytes(self.data).decode(errors="replace")


class Shadowcl:
    """The command under test, as a script sees it."""

    def __init__(self, build, runtime_dir):
        self.path = os.path.join(build, "bin", "shadowcl")
        self.env = dict(os.environ, SHADOWCL_RUNTIME_DIR=runtime_dir)

    def ask(self, *words, timeout=900):
        """The answer's array, or one object with `error` when there is none."""
        try:
            done = subprocess.run([self.path, *map(str, words), "--json"], env=self.env,
                                  capture_output=True, text=True, timeout=timeout)
        except subprocess.TimeoutExpired:
            return [{"error": {"reason": f"no answer to `{words[0]}` in {timeout} s"}}]
        try:
            answer = json.loads(done.stdout)
        except ValueError:
            reason = (done.stderr or done.stdout).strip() or "no output"
            return [{"error": {"reason": f"`{words[0]}`: {reason}, exit code {done.returncode}"}}]
        answer = answer if isinstance(answer, list) else [answer]
        if done.returncode and not any(one.get("error") for one in answer):
            answer.append({"error": {"reason": f"exit code {done.returncode}: {done.stderr.strip()}"}})
        return answer


def process_tree(root):
    """The pids of a process and all that descend from it."""
    parents = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as stat:
                parents[int(pid)] = int(stat.read().rpartition(")")[2].split()[1])
        except (OSError, IndexError, ValueError):
            continue
    tree, grown = {root}, True
    while grown:
        children = {pid for pid, parent in parents.items() if parent in tree} - tree
        tree |= children
        grown = bool(children)
    return tree


def reason(answer):
    """Every error of an answer in one line, or None."""
    errors = []
    for one in answer:
        error = one.get("error")
        if isinstance(error, dict):
            errors.append(": ".join(str(error[key]) for key in ("object", "reason") if error.get(key)))
        elif error:
            errors.append(str(error))
    return "; ".join(errors) or None


class Run:
    """One run of a program. After `finish`: out, err, code, seconds, cycles, complaints."""

    def __init__(self, command, env, cwd, timeout, shadowcl=None, moments=(), native_seconds=0.0,
                 deadline=DEADLINE):
        self.deadline = deadline
        self.shadowcl, self.moments, self.native_seconds = shadowcl, list(moments), native_seconds
        self.cycles, self.complaints = [], []
        self.seen = self.seen_at = None
        self.in_cycles = 0.0
        self.timeout, self.cwd = timeout, cwd
        self.started = time.monotonic()
        waits = any(moment.waits for moment in self.moments)
        self.process = subprocess.Popen(
            command, env=env, cwd=cwd, stdin=subprocess.PIPE if waits else subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        holds = [moment.hold_output_at for moment in self.moments
                 if moment.hold_output_at is not None]
        if holds:
            fcntl.fcntl(self.process.stdout, F_SETPIPE_SZ, 4096)
        self.stdout = Output(self.process.stdout, holds[0] if holds else None)
        self.stderr = Output(self.process.stderr)
        self.told = 0  # so many times to go on
        self.let_wait()

    # What moments ask.
    def age(self):
        return time.monotonic() - self.seen_at

    def active(self):
        return time.monotonic() - self.started - self.in_cycles

    def held_for(self):
        since = self.stdout.held_since
        return time.monotonic() - since if since else 0.0

    def output(self):
        return self.stdout.text() + "\n" + self.stderr.text()

    def matches(self, regex):
        return sum(1 for line in re.split(r"[\r\n]+", self.output()) if regex.search(line))

    def counter(self, regex):
        values = [int(match.group(1)) for match in regex.finditer(self.output())]
        return max(values, default=0)

    def let_wait(self):
        """Until the next moment that it waits for; where no cycle is wanted it is told beforehand."""
        if not self.process.stdin or self.process.stdin.closed:
            return
        nth = next((moment.waits for moment in self.moments if moment.waits), None)
        with contextlib.suppress(BrokenPipeError):
            if nth is None:
                self.process.stdin.close()
                return
            os.write(self.process.stdin.fileno(), b"\n" * (nth - 1 - self.told))
            self.told = nth - 1

    # The program's life.
    def finish(self):
        while self.process.poll() is None:
            if time.monotonic() - self.started - self.in_cycles > self.timeout:
                self.give_up()
                break
            self.look()
            time.sleep(0.01)
        self.seconds = time.monotonic() - self.started - self.in_cycles
        self.stdout.let_go_until(None)
        self.stdout.join(10)
        self.stderr.join(10)
        self.code = self.process.wait()
        self.out, self.err = self.stdout.text(), self.stderr.text()
        for moment in self.moments:
            self.complaints.append(f"ended before `{moment.name}`")
        return self

    def look(self):
        if self.shadowcl and not self.seen:
            self.seen = bool(self.ours())
            self.seen_at = time.monotonic()
        if moment := self.reached():
            self.cycle(moment)
            holds = [moment.hold_output_at for moment in self.moments]
            self.stdout.let_go_until(next((at for at in holds if at is not None), None))
            self.let_wait()

    def reached(self):
        """The next moment if it has come, taken off the list with those that gave way to it."""
        for k, moment in enumerate(self.moments):
            if moment.reached(self):
                self.complaints += [f"passed over `{one.name}`" for one in self.moments[:k]]
                del self.moments[:k + 1]
                return moment
            if not moment.gives_way:
                return None
        return None

    def ours(self):
        tree = process_tree(self.process.pid)
        return [one for one in self.shadowcl.ask("ps")
                if one.get("pid") in tree and one.get("state") != "uncovered"]

    def give_up(self):
        states = self.ours() if self.shadowcl else []
        self.complaints.append(f"no end after {self.timeout:.0f} s, killed; ps says "
                               f"{[(one.get('pid'), one.get('state')) for one in states]}")
        os.killpg(self.process.pid, signal.SIGKILL)

    def cycle(self, moment):
        begin = time.monotonic()
        one = {"moment": moment.name, "at_s": round(begin - self.started, 3)}
        pids = [entry["pid"] for entry in self.ours()]
        if self.suspend(one, pids):
            if moment.saves:
                one["origins"] = self.origins(pids)
            time.sleep(HOLD)
            self.resume(one, pids)
        if self.process.poll() is not None and one.get("error") and "state" not in one:
            self.complaints.append(f"ended before `{moment.name}`")
        else:
            self.cycles.append(one)
        self.in_cycles += time.monotonic() - begin
        time.sleep(0.05)

    def suspend(self, one, pids):
        if not pids:
            time.sleep(0.1)  # let a process that is ending be seen as ended
            one["error"] = "not in `shadowcl ps`"
            return False
        answer = self.shadowcl.ask("suspend", "--deadline", self.deadline, *pids)
        one["error"] = reason(answer)
        one["suspend_ms"] = max((part.get("ms", {}).get("total", 0) for part in answer), default=0)
        one["objects"] = sum(sum((part.get("objects") or {}).values()) for part in answer)
        one["captured_bytes"] = sum(part.get("captured_bytes") or 0 for part in answer)
        one["residue"] = [item for part in answer for item in part.get("residue") or []]
        states = {part.get("state") for part in answer}
        if one["error"]:
            time.sleep(0.1)
            return "suspended" in states
        one["state"] = "suspended"
        if states != {"suspended"}:
            one["error"] = f"state after suspend is {sorted(map(str, states))}"
        elif one["residue"]:
            one["error"] = f"residue {one['residue']}"
        return True

    def origins(self, pids):
        """What the programs in its image were made from: kind, and the size of each binary."""
        image, found = os.path.join(self.cwd, "image"), []
        for pid in pids:
            if error := reason(self.shadowcl.ask("save", "--compress", "off", pid, image)):
                return [[f"save: {error}"]]
            for one in self.shadowcl.ask("inspect", image):
                found += [item["fields"] for item in one.get("objects") or []
                          if item["kind"] == "origin"]
            with contextlib.suppress(FileNotFoundError):
                os.unlink(image)
        return [[fields["kind"], *(binary["size"] for binary in fields.get("binaries") or [])]
                for fields in found]

    def resume(self, one, pids):
        answer = self.shadowcl.ask("resume", *pids)
        one["resume_ms"] = max((part.get("ms", {}).get("total", 0) for part in answer), default=0)
        one["device_bytes"] = sum(part.get("device_bytes") or 0 for part in answer)
        error = reason(answer)
        if error and self.ended_well():
            # Releases don't wait while suspended, and when it had nothing else left to do it ended.
            # Whether its result is whole is looked at as ever; as a cycle this does not count.
            one["ended"] = True
            self.complaints.append(f"ended while suspended at `{one['moment']}`")
        elif error:
            one["error"] = f"resume: {error}"

    def ended_well(self):
        time.sleep(0.5)
        return self.process.poll() == 0

    def made(self):
        """The cycles that were whole."""
        return [one for one in self.cycles if not one.get("error") and not one.get("ended")]

    def carried(self):
        """Those of them that had objects, and contents on the device, to carry."""
        return [one for one in self.made() if one.get("objects") and one.get("device_bytes")]

    def missed(self, moments):
        """The parts of its life among the moments in which no cycle was whole."""
        met = {one["moment"] for one in self.made()}
        return [moment.name for moment in moments if moment.name in PHASES and moment.name not in met]

    def refused(self):
        return [f"`{one['moment']}`: {one['error']}" for one in self.cycles if one.get("error")]
