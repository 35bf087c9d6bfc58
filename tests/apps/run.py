#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs Debian's real OpenCL programs natively, under shadowcl, and under shadowcl with suspend and
resume cycles, and says whether the results are the same. Exit code 0: every row equal; 1: not;
2: wrong usage; 77: nothing is installed (with --allow-missing)."""
import argparse
import json
import os
import shutil
import sys
import tempfile

from cycles import Run, Shadowcl, at_fraction
from programs import all_programs

HERE = os.path.dirname(os.path.abspath(__file__))
FEWEST = 3  # cycles that a row must have seen


def options():
    parser = argparse.ArgumentParser(description=__doc__.split(". Exit")[0] + ".")
    parser.add_argument("--build", default=os.path.join(HERE, "..", "..", "build"),
                        help="the build tree that holds bin/shadowcl (default: build)")
    parser.add_argument("--only", metavar="NAME", action="append", help="only this program; repeatable")
    parser.add_argument("--cycles", type=int, metavar="N",
                        help="suspend and resume N times (default: 5, long form 10)")
    parser.add_argument("--mapping", choices=("shared", "copy"), help="sets SHADOWCL_MAPPING")
    parser.add_argument("--short", action="store_true", help="the short form, a few minutes")
    parser.add_argument("--native", action="store_true",
                        help="only natively, twice: is the result the same without us?")
    parser.add_argument("--json", metavar="FILE", help="writes the table to FILE (`-`: standard output)")
    parser.add_argument("--allow-missing", action="store_true",
                        help="a program that is not installed is no failure")
    given = parser.parse_args()
    given.build = os.path.abspath(given.build)
    if given.cycles is None:
        given.cycles = 5 if given.short else 10
    names = [program.name for program in all_programs(given.short)]
    for name in given.only or []:
        if name not in names:
            parser.error(f"no program `{name}`; there are {', '.join(names)}")
    if not given.native and not os.access(os.path.join(given.build, "bin", "shadowcl"), os.X_OK):
        parser.error(f"no `{given.build}/bin/shadowcl`: build first, or give --build or --native")
    return given


class Bench:
    """Where programs run: a folder in the build tree, with a driver cache that is kept."""

    def __init__(self, given, runtime_dir):
        self.given = given
        self.root = os.path.join(given.build, "apps")
        self.runtime_dir = runtime_dir
        self.shadowcl = Shadowcl(given.build, runtime_dir)

    def run(self, program, variant, moments=(), native_seconds=0.0):
        """Each variant has an empty home: what programs cache there they build again. The working
        folder's name does not tell the variants apart, since some programs print it."""
        work = os.path.join(self.root, program.name)
        home = os.path.join(work, "home")
        shutil.rmtree(work, ignore_errors=True)
        os.makedirs(os.path.join(home, "data"))
        os.makedirs(os.path.join(home, ".cache"))
        program.prepare(work)
        command = program.command(work)
        native = variant in ("warm-up", "native")
        if not native:
            command = [self.shadowcl.path, "run", "--", *command]
        timeout = max(program.timeout, 10 * native_seconds)
        run = Run(command, self.environment(program, home, native), work, timeout,
                  None if native else self.shadowcl, moments, native_seconds).finish()
        try:
            run.lines = program.result(run, work)
            if not run.lines:
                raise ValueError("no result in the output")
        except (ValueError, OSError) as problem:
            run.lines = []
            run.complaints.append(f"{variant}: {problem}")
        return run

    def environment(self, program, home, native):
        env = dict(os.environ, HOME=home, XDG_CACHE_HOME=os.path.join(home, ".cache"),
                   POCL_CACHE_DIR=os.path.join(self.root, "pocl-cache"), LC_ALL="C.UTF-8")
        for name, value in program.environment().items():
            env[name] = value.format(home=home)
        if not native:
            env["SHADOWCL_RUNTIME_DIR"] = self.runtime_dir
            if self.given.mapping:
                env["SHADOWCL_MAPPING"] = self.given.mapping
        os.makedirs(env["POCL_CACHE_DIR"], exist_ok=True)
        return env


def choose(named, wanted):
    """N moments: the named ones, then evenly spread ones up to the number. Markers and times are
    not comparable beforehand, so the spread ones stand between the last two named ones."""
    if wanted <= len(named):
        picks = {round(k * (len(named) - 1) / max(wanted - 1, 1)) for k in range(wanted)}
        return [named[k] for k in sorted(picks)]
    extra = wanted - len(named)
    spread = [at_fraction((k + 1) / (extra + 1) * 0.8) for k in range(extra)]
    return named[:-1] + spread + named[-1:]


def row_of(bench, program):
    row = {"program": program.name, "verdict": "equal", "notes": [], "cycles": []}
    given = bench.given
    if not program.installed():
        row.update(verdict="not installed", notes=[f"apt-get install {program.packages}"])
        return row
    stamp = os.path.join(bench.root, f"{program.name}.{'short' if given.short else 'long'}.warm")
    warm = None
    if given.native or (program.warm_up and not os.path.exists(stamp)):
        warm = bench.run(program, "warm-up")
        open(stamp, "w").close()
    native = bench.run(program, "native", native_seconds=warm.seconds if warm else 0.0)
    row["native"] = {"result": program.summary(native.lines), "seconds": round(native.seconds, 2)}
    if native.complaints:
        return bad(row, "native failed", native.complaints)
    if warm and program.compare(native.lines, warm.lines):
        return bad(row, "native differs from native", program.compare(native.lines, warm.lines))
    if given.native:
        return row
    plain = bench.run(program, "plain", native_seconds=native.seconds)
    judge(row, "plain", program, native, plain)
    moments = program.moments(native) if hasattr(native, "out") else []
    if program.name != "clinfo":
        moments = choose(moments, given.cycles)
    cycled = bench.run(program, "cycles", moments, native.seconds)
    judge(row, "cycled", program, native, cycled)
    row["cycles"] = cycled.cycles
    if row["verdict"] == "differs":
        again = bench.run(program, "native", native_seconds=native.seconds)
        if program.compare(native.lines, again.lines):
            row["verdict"] = "native differs from native"
    good = [one for one in cycled.cycles if not one.get("error")]
    if cycled.refused():
        bad(row, "cycle failed", cycled.refused())
    elif len(good) < min(FEWEST, given.cycles):
        bad(row, "too few cycles", [f"{len(good)} made, {FEWEST} wanted"])
    return row


def bad(row, verdict, notes):
    if row["verdict"] == "equal":
        row["verdict"] = verdict
    row["notes"] += notes[:8] + ([f"and {len(notes) - 8} more"] if len(notes) > 8 else [])
    return row


def judge(row, key, program, native, run):
    row[key] = {"result": program.summary(run.lines) if run.lines else "none",
                "seconds": round(run.seconds, 2)}
    failed = [note for note in run.complaints if not note.startswith("ended before")]
    row["notes"] += [note for note in run.complaints if note.startswith("ended before")]
    if failed:
        bad(row, "failed", failed)
    elif program.compare(native.lines, run.lines):
        bad(row, "differs", [f"{key}:"] + program.compare(native.lines, run.lines))
    elif not run.seen:
        bad(row, "not under shadowcl", [f"{key}: never seen in `shadowcl ps`"])
    elif key == "plain" and hasattr(program, "notes"):
        row["notes"] += program.notes(native.lines, run.lines)


def cell(part):
    return f"{part['result']}, {part['seconds']:.1f} s" if part else "-"


def milliseconds(cycles):
    return " ".join(f"{one.get('suspend_ms', 0):.0f}/{one.get('resume_ms', 0):.0f}" for one in cycles)


def print_table(rows, stream):
    head = ("program", "native", "under shadowcl", "with cycles", "cycles", "verdict",
            "suspend/resume ms")
    table = [head] + [(row["program"], cell(row.get("native")), cell(row.get("plain")),
                       cell(row.get("cycled")),
                       str(sum(not one.get("error") for one in row["cycles"])), row["verdict"],
                       milliseconds(row["cycles"])) for row in rows]
    widths = [max(len(line[k]) for line in table) for k in range(len(head))]
    for number, line in enumerate(table):
        print("  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip(), file=stream)
        if number == 0:
            print("  ".join("-" * width for width in widths), file=stream)
    for row in rows:
        for note in row["notes"]:
            print(f"{row['program']}: {note}", file=stream)


def exit_code(rows, given):
    missing = [row for row in rows if row["verdict"] == "not installed"]
    if len(missing) == len(rows) and given.allow_missing:
        return 77
    others = [row for row in rows if row["verdict"] not in ("equal", "not installed")]
    return 1 if others or (missing and not given.allow_missing) else 0


def main():
    given = options()
    os.makedirs(os.path.join(given.build, "apps"), exist_ok=True)
    rows = []
    with tempfile.TemporaryDirectory(prefix="shadowcl-apps-") as runtime_dir:
        bench = Bench(given, runtime_dir)
        for program in all_programs(given.short):
            if given.only and program.name not in given.only:
                continue
            print(f"{program.name} …", file=sys.stderr, flush=True)
            rows.append(row_of(bench, program))
    print_table(rows, sys.stderr if given.json == "-" else sys.stdout)
    if given.json:
        with (sys.stdout if given.json == "-" else open(given.json, "w")) as file:
            json.dump(rows, file, indent=2)
            file.write("\n")
    return exit_code(rows, given)


if __name__ == "__main__":
    sys.exit(main())
