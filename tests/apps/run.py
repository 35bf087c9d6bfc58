#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs Debian's real OpenCL programs natively, under shadowcl, and under shadowcl with suspend and
resume cycles, or natively and under storm, and says whether the results are the same. Exit code 0:
every row equal; 1: not; 2: wrong usage; 77: every row equal but those of programs that are not
installed (with --allow-missing)."""
import argparse
import json
import os
import re
import shutil
import sys
import tempfile

from cycles import Run, Shadowcl, at_fraction
from programs import all_programs

HERE = os.path.dirname(os.path.abspath(__file__))
FEWEST = 3  # cycles that a row must have seen
STORM_PATIENCE = 1800.0  # seconds for one run under storm


def options():
    parser = argparse.ArgumentParser(description=__doc__.split(". Exit")[0] + ".")
    parser.add_argument("--build", default=os.path.join(HERE, "..", "..", "build"),
                        help="the build tree that holds bin/shadowcl (default: build)")
    parser.add_argument("--only", metavar="NAME", action="append", help="only this program; repeatable")
    parser.add_argument("--cycles", type=int, metavar="N",
                        help="suspend and resume N times (default: 5, long form 10)")
    parser.add_argument("--storm", type=int, metavar="N", nargs="?", const=200,
                        help="instead: under SHADOWCL_STORM, with at least N cycles (default: 200)")
    parser.add_argument("--mapping", choices=("shared", "copy", "either"), action="append",
                        help="sets SHADOWCL_MAPPING; twice: the programs run with each of them; "
                             "either: some with the one, the others with the other")
    parser.add_argument("--short", action="store_true", help="the short form, a few minutes")
    parser.add_argument("--native", action="store_true",
                        help="only natively, twice: is the result the same without us?")
    parser.add_argument("--json", metavar="FILE", help="writes the table to FILE (`-`: standard output)")
    parser.add_argument("--markdown", metavar="FILE",
                        help="also writes it to FILE for people, a line for each program")
    parser.add_argument("--allow-missing", action="store_true",
                        help="a program that is not installed is no failure")
    given = parser.parse_args()
    given.build = os.path.abspath(given.build)
    if given.cycles is None:
        given.cycles = 5 if given.short else 10
    names = [program.name for program in all_programs(given.short, bool(given.storm))]
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
        self.mapping = None  # of the row that is being made
        self.natives = {}  # the programs' native runs, by their names
        self.shadowcl = Shadowcl(given.build, runtime_dir)

    def run(self, program, variant, moments=(), native_seconds=0.0, storm=None):
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
        timeout = STORM_PATIENCE if storm else max(program.timeout, 10 * native_seconds)
        env = self.environment(program, home, native)
        if storm:
            env.update(SHADOWCL_STORM=f"{storm},7", SHADOWCL_LOG=f"info:{self.storm_log(program)}")
            if self.mapping == "copy":
                # Contents are copied beforehand, and what is taken for unwritten is compared.
                env.update(SHADOWCL_PREPARE="1", SHADOWCL_CHECK_WRITES="1")
        run = Run(command, env, work, timeout, None if native else self.shadowcl, moments,
                  native_seconds, program.deadline).finish()
        try:
            run.lines = program.result(run, work)
            if not run.lines:
                raise ValueError("no result in the output")
            run.left = program.leaves(work) if native else None
        except (ValueError, OSError) as problem:
            run.lines = []
            run.complaints.append(f"{variant}: {problem}")
        return run

    def storm_log(self, program):
        return os.path.join(self.root, f"{program.name}.storm.log")

    def environment(self, program, home, native):
        env = dict(os.environ, HOME=home, XDG_CACHE_HOME=os.path.join(home, ".cache"),
                   POCL_CACHE_DIR=os.path.join(self.root, "pocl-cache"), LC_ALL="C.UTF-8")
        for name, value in program.environment().items():
            env[name] = value.format(home=home)
        if not native:
            env["SHADOWCL_RUNTIME_DIR"] = self.runtime_dir
            if self.mapping:
                env["SHADOWCL_MAPPING"] = self.mapping
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


def native_of(bench, program, row):
    """The run that the others are compared with; None, and the verdict, when it is no good."""
    given = bench.given
    if native := bench.natives.get(program.like):
        row["native"] = native_cell(program, native)
        return native
    stamp = os.path.join(bench.root, f"{program.name}.{'short' if given.short else 'long'}.warm")
    warm = None
    if given.native or (program.warms_up() and not os.path.exists(stamp)):
        warm = bench.run(program, "warm-up")
        open(stamp, "w").close()
    native = bench.run(program, "native", native_seconds=warm.seconds if warm else 0.0)
    row["native"] = native_cell(program, native)
    failed = native.complaints + (warm.complaints if warm else [])
    if failed:
        bad(row, "native failed", failed)
    elif warm and program.compare(native.lines, warm.lines):
        bad(row, "native differs from native", program.compare(native.lines, warm.lines))
    else:
        bench.natives[program.name] = native
        return native
    return None


def native_cell(program, native):
    return {"result": program.summary(native.lines), "seconds": round(native.seconds, 2)}


def rows_of(bench, program):
    """One for each mapping that it runs with, all compared with one native run."""
    first = {"program": program.name, "verdict": "equal", "notes": [], "cycles": []}
    if not program.installed():
        return [first | {"verdict": "not installed", "notes": [f"apt-get install {program.packages}"]}]
    native = native_of(bench, program, first)
    if not native or bench.given.native:
        return [first]
    program.left = native.left
    return [row_of(bench, program, native, first, mapping)
            for mapping in mappings_of(bench.given, program)]


def mappings_of(given, program):
    asked = [program.mapping if one == "either" else one for one in given.mapping or [None]]
    alone = given.short and program.takes_long and program.mapping in asked
    return [program.mapping] if alone else asked


def row_of(bench, program, native, first, mapping):
    row = first | {"mapping": mapping or "auto", "notes": [], "cycles": []}
    bench.mapping = mapping
    if bench.given.storm:
        storm(bench, program, native, row)
    else:
        cycles(bench, program, native, row)
    return row


def plain_of(bench, program, native, row):
    """Without cycles. The short form does it to tell what is the matter, and where it costs nothing:
    all that it could show, the run with cycles shows too."""
    plain = bench.run(program, "plain", native_seconds=native.seconds)
    judge(row, "plain", program, native, plain)


def cycles(bench, program, native, row):
    given = bench.given
    if not given.short:
        plain_of(bench, program, native, row)
    moments = program.moments(native)
    if program.name != "clinfo":
        moments = choose(moments, given.cycles)
    cycled = bench.run(program, "cycles", moments, native.seconds)
    judge(row, "cycled", program, native, cycled)
    if given.short and (row["verdict"] != "equal" or not program.computes):
        plain_of(bench, program, native, row)
    row["cycles"] = cycled.cycles
    row["made"], row["carried"] = len(cycled.made()), len(cycled.carried())
    if row["verdict"] == "differs":
        again = bench.run(program, "native", native_seconds=native.seconds)
        if program.compare(native.lines, again.lines):
            row["verdict"] = "native differs from native"
    if cycled.refused():
        bad(row, "cycle failed", cycled.refused())
    elif row["made"] < min(FEWEST, given.cycles):
        bad(row, "too few cycles", [f"{row['made']} made, {FEWEST} wanted"])
    elif cycled.missed(moments):
        bad(row, "no cycle there", [f"none while {name}" for name in cycled.missed(moments)])
    elif program.computes and not any(one.get("objects") for one in cycled.cycles):
        bad(row, "OpenCL not used", ["no object was there at any suspend"])
    elif row["carried"] < min(program.carries, given.cycles - 1):
        bad(row, "too little there", [f"objects with contents at {row['carried']} suspends, "
                                      f"{program.carries} wanted"])


def storm(bench, program, native, row):
    """As many calls lie between two cycles as leave the program at least those that are wanted: how
    many calls it makes is not known beforehand, and differs from machine to machine."""
    every, wanted = program.storm, bench.given.storm
    for last in (False, False, True):
        run, made, refused = storm_run(bench, program, native, every)
        if made >= wanted or every == 1 or last or run.complaints:
            break
        every = max(1, every * made // (2 * wanted))
    row.update(every=every, made=made, refused=len(refused))
    judge(row, "cycled", program, native, run)
    if refused:
        bad(row, "suspend refused", refused)
    elif made < wanted:
        bad(row, "too few cycles", [f"{made} made, {wanted} wanted"])


def storm_run(bench, program, native, every):
    """The run, how many times it was resumed, and why it was not suspended or resumed."""
    log = bench.storm_log(program)
    if os.path.exists(log):
        os.unlink(log)
    run = bench.run(program, "storm", native_seconds=native.seconds, storm=every)
    text = ""
    if os.path.exists(log):
        with open(log, errors="replace") as file:
            text = file.read()
    return run, len(re.findall("info: resume: running", text)), re.findall("storm: (no .*)", text)


def bad(row, verdict, notes):
    if row["verdict"] == "equal":
        row["verdict"] = verdict
    row["notes"] += notes[:8] + ([f"and {len(notes) - 8} more"] if len(notes) > 8 else [])
    return row


def judge(row, key, program, native, run):
    row[key] = {"result": program.summary(run.lines) if run.lines else "none",
                "seconds": round(run.seconds, 2)}
    # A program that came to its end, before a moment or while suspended, has still to be right.
    harmless = [note for note in run.complaints if note.startswith(("ended ", "passed over "))]
    failed = [note for note in run.complaints if note not in harmless]
    row["notes"] += harmless
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


def name_of(row):
    return f"{row['program']}, {row['mapping']}" if "mapping" in row else row["program"]


def milliseconds(cycles):
    return " ".join(f"{one.get('suspend_ms', 0):.0f}/{one.get('resume_ms', 0):.0f}" for one in cycles)


def columns(given):
    """The heads of the table and what stands under each."""
    first = [("program", lambda row: row["program"]), ("native", lambda row: cell(row.get("native"))),
             ("mapping", lambda row: row.get("mapping", "-"))]
    made = [("cycles", lambda row: str(row.get("made", 0))), ("verdict", lambda row: row["verdict"])]
    if given.storm:
        return first + [("under storm", lambda row: cell(row.get("cycled"))),
                        ("N", lambda row: str(row.get("every", "-"))), *made,
                        ("refused", lambda row: str(row.get("refused", 0)))]
    return first + [("under shadowcl", lambda row: cell(row.get("plain"))),
                    ("with cycles", lambda row: cell(row.get("cycled"))), *made,
                    ("suspend/resume ms", lambda row: milliseconds(row["cycles"]))]


def print_table(rows, given, stream):
    chosen = columns(given)
    head = [name for name, _ in chosen]
    table = [head] + [[value(row) for _, value in chosen] for row in rows]
    widths = [max(len(line[k]) for line in table) for k in range(len(head))]
    for number, line in enumerate(table):
        print("  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip(), file=stream)
        if number == 0:
            print("  ".join("-" * width for width in widths), file=stream)
    for row in rows:
        for note in row["notes"]:
            print(f"{name_of(row)}: {note}", file=stream)


def markdown_of(name, does, rows):
    """One line for all mappings of a program: how many cycles, when, and what came of it."""
    when = dict.fromkeys(one["moment"] for row in rows for one in row["cycles"]
                         if not one.get("error") and not one.get("ended"))
    made = ", ".join(f"{row.get('made', 0)} ({row.get('mapping', 'not run')})" for row in rows)
    verdicts = sorted({row["verdict"] for row in rows})
    result = rows[0]["native"]["result"] if rows[0].get("native") else "-"
    return f"| {name} | {does} | {made} | {', '.join(when) or '-'} | {result} | {', '.join(verdicts)} |"


def print_markdown(rows, given, stream):
    print("| program | what it does | cycles (mapping) | when | result | against native |\n"
          "|---|---|---|---|---|---|", file=stream)
    for program in all_programs(given.short, bool(given.storm)):
        own = [row for row in rows if row["program"] == program.name]
        if own:
            print(markdown_of(program.name, program.does, own), file=stream)


def exit_code(rows, given):
    verdicts = {row["verdict"] for row in rows}
    if verdicts - {"equal", "not installed"} or not rows:
        return 1
    if "not installed" not in verdicts:
        return 0
    return 77 if given.allow_missing else 1


def main():
    given = options()
    os.makedirs(os.path.join(given.build, "apps"), exist_ok=True)
    rows = []
    with tempfile.TemporaryDirectory(prefix="shadowcl-apps-") as runtime_dir:
        bench = Bench(given, runtime_dir)
        for program in all_programs(given.short, bool(given.storm)):
            if given.only and program.name not in given.only:
                continue
            print(f"{program.name} …", file=sys.stderr, flush=True)
            for row in rows_of(bench, program):
                rows.append(row)
                print(f"{name_of(row)}: {row['verdict']}", file=sys.stderr, flush=True)
    print_table(rows, given, sys.stderr if given.json == "-" else sys.stdout)
    if given.markdown:
        with open(given.markdown, "w", encoding="utf-8") as file:
            print_markdown(rows, given, file)
    if given.json:
        with (sys.stdout if given.json == "-" else open(given.json, "w")) as file:
            json.dump(rows, file, indent=2)
            file.write("\n")
    return exit_code(rows, given)


if __name__ == "__main__":
    sys.exit(main())
