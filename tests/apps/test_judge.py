#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The judge of real programs (run.py) says no: to a program that is wrong, that fails, that is not
under shadowcl, that can't be suspended, that has too few cycles, and too little to carry at them."""
import contextlib
import os
import sys
import tempfile
import types
import unittest

from cycles import Moment, at_line
from programs import HashcatCached, Program
from run import Bench, exit_code, markdown_of, rows_of

BUILD = None
UNDER = '[ -n "$SHADOWCL_RUNTIME_DIR" ]'  # true under shadowcl alone
# Writes to its buffers, looks at all of them, and says `right`. Under shadowcl it does so until a
# file is there, or, where nobody makes one, for some seconds.
WAIT = "n=0; until [ -e stop ] || [ $n = 150 ]; do n=$((n + 1)); sleep 0.05; done"
WRITER = f"( {UNDER} && {{ {WAIT}; }} ) | $BIN/precopy-writer 8 64 10 20"


def asks(*words):
    """Has these done, one after the other, and waits after each to be told to go on."""
    return f"( echo list; for word in {' '.join(words)}; do echo $word; read go; done; echo quit ) | " \
           "$BIN/asker"


def after_words(*numbers):
    """Moments at which such a script waits."""
    return [Moment(f"word {k}", at_line("", "^ok$", k + 1).reached, waits=k) for k in numbers]


def at_once(name="at once"):
    return Moment(name, lambda run: run.seen)


def suspended_already():
    """Somebody else has suspended it just before."""
    def reached(run):
        if run.seen:
            run.shadowcl.ask("suspend", *[one["pid"] for one in run.ours()])
        return run.seen
    return Moment("suspended already", reached)


def ends(moment):
    """The same moment; the program is told to end when it is asked for."""
    end = the_end()
    return Moment(moment.name, lambda run: end.reached(run) or moment.reached(run))


def the_end():
    """No moment, but the end of all that came before it."""
    def reached(run):
        with open(os.path.join(run.cwd, "stop"), "w"):
            return False
    return Moment("the end", reached)


class Script(Program):
    """A shell script whose output is the result."""
    name = "script"

    def __init__(self, script, moments=None, carries=0):
        super().__init__(short=True, storming=False)
        self.script, self.carries = script, carries
        self.wanted = [*(moments or [at_once() for _ in range(4)]), the_end()]

    def installed(self):
        return True

    def environment(self):
        return {"BIN": os.path.join(BUILD, "bin")}

    def command(self, work):
        return ["/bin/sh", "-c", self.script]

    def moments(self, native):
        return self.wanted

    def result(self, run, work):
        if run.code:
            raise ValueError(f"exit code {run.code}")
        return run.out.splitlines()


class Judge(unittest.TestCase):
    def rows(self, script, moments=None, mapping=None, storm=None, carries=0):
        given = self.given(moments, mapping, storm)
        with self.bench(given) as bench:
            return given, rows_of(bench, Script(script, moments, carries))

    def given(self, moments=None, mapping=None, storm=None):
        return types.SimpleNamespace(build=BUILD, short=True, storm=storm, native=False,
                                     cycles=len(moments) + 1 if moments else 5, mapping=mapping,
                                     allow_missing=True)

    @contextlib.contextmanager
    def bench(self, given):
        with tempfile.TemporaryDirectory() as runtime_dir:
            bench = Bench(given, runtime_dir)
            bench.root = runtime_dir
            yield bench

    def verdict(self, script, moments=None, carries=0):
        given, [row] = self.rows(script, moments, carries=carries)
        self.assertEqual(exit_code([row], given), int(row["verdict"] != "equal"), row)
        return row["verdict"]

    def test_right(self):
        self.assertEqual(self.verdict(WRITER), "equal")

    def test_wrong(self):
        self.assertEqual(self.verdict(f"{WRITER}; {UNDER} && echo more; true"), "differs")

    def test_wrong_natively_too(self):
        self.assertEqual(self.verdict(f"{WRITER}; date +%N"), "native differs from native")

    def test_wrong_in_one_mapping(self):
        script = f'{WRITER}; [ "$SHADOWCL_MAPPING" = copy ] && echo more; true'
        given, rows = self.rows(script, mapping=["shared", "copy"])
        self.assertEqual([(row["mapping"], row["verdict"]) for row in rows],
                         [("shared", "equal"), ("copy", "differs")])
        self.assertEqual(exit_code(rows, given), 1)
        self.assertRegex(markdown_of("script", "writes", rows),
                         r"^\| script \| writes \| 4 \(shared\), 4 \(copy\) \| at once \| \d+ lines \w+ \| "
                         r"differs, equal \|$")

    def test_either_mapping(self):
        [row] = self.rows(WRITER, mapping=["either"])[1]
        self.assertEqual((row["mapping"], row["verdict"]), (Script.mapping, "equal"))

    def test_storm_compares_what_was_copied_beforehand(self):
        """Where contents are copied, and nowhere else."""
        script = f'{WRITER}; [ -n "$SHADOWCL_CHECK_WRITES" ] && echo more; true'
        rows = self.rows(script, mapping=["shared", "copy"], storm=1)[1]
        self.assertEqual([(row["mapping"], row["verdict"]) for row in rows],
                         [("shared", "equal"), ("copy", "differs")])

    def test_fails(self):
        self.assertEqual(self.verdict(f"{WRITER}; {UNDER} && exit 3; true"), "failed")

    def test_not_under_shadowcl(self):
        self.assertEqual(self.verdict(f"unset SHADOWCL_RUNTIME_DIR LD_PRELOAD LD_LIBRARY_PATH; {WRITER}"),
                         "not under shadowcl")

    def test_refuses(self):
        self.assertEqual(self.verdict(WRITER, [at_once(), at_once(), suspended_already()]),
                         "cycle failed")

    def test_too_few_cycles(self):
        self.assertEqual(self.verdict(WRITER, [at_once(), at_once()]), "too few cycles")

    def test_a_part_of_its_life_is_missed(self):
        """Nothing comes at the moment that has to be met, and three cycles elsewhere don't make up."""
        never = Moment("reading results", lambda run: False)
        self.assertEqual(self.verdict(WRITER, [at_once(), at_once(), at_once(), ends(never)]),
                         "no cycle there")

    def test_a_time_gives_way(self):
        never = Moment("half of the time", lambda run: False, gives_way=True)
        self.assertEqual(self.verdict(WRITER, [at_once(), at_once(), never, at_once("computing")]),
                         "equal")

    def test_waits_for_its_cycles(self):
        """At each place but the second, where none is wanted."""
        [row] = self.rows(asks("open", "step", "step", "step"), after_words(1, 3, 4), carries=3)[1]
        self.assertEqual((row["verdict"], row["made"], row["carried"]), ("equal", 3, 3), row)

    def test_too_little_there(self):
        """At the last of the cycles, nothing; it is wanted at all."""
        script, moments = asks("open", "step", "close"), after_words(1, 2, 3)
        self.assertEqual(self.verdict(script, moments, carries=3), "too little there")

    def test_nothing_there(self):
        self.assertEqual(self.verdict(asks("list", "list", "list"), after_words(1, 2, 3)),
                         "OpenCL not used")

    def test_one_native_run_serves_two(self):
        """The second would fail natively; it gets what the first left, and is compared with it."""
        script, moments = asks("open", "step", "step"), after_words(1, 2, 3)
        first, second = (Script(one, moments) for one in (script, f"{UNDER} || exit 3; {script}"))
        first.leaves, second.like = os.listdir, first.name
        with self.bench(self.given(moments)) as bench:
            [row] = rows_of(bench, first) and rows_of(bench, second)
        self.assertEqual(row["verdict"], "equal", row)
        self.assertIn("home", second.left)


class Cache(unittest.TestCase):
    """hashcat's run with cached kernels is one only if it built none."""
    def setUp(self):
        self.program = HashcatCached(short=True, storming=False)
        self.program.left = {"one.kernel": b"123", "two.kernel": b"12345"}
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.work = folder.name
        self.program.prepare(self.work)

    def path(self, name):
        return os.path.join(self.work, self.program.cache, name)

    def write(self, name, contents):
        with open(self.path(name), "wb") as file:
            file.write(contents)

    def result(self, *origins):
        out = "0123456789abcdef0123456789abcdef:word\n"
        run = types.SimpleNamespace(code=0, out=out, cycles=[{}, {"origins": list(origins)}])
        return self.program.result(run, self.work)

    def refuses(self, words, *origins):
        with self.assertRaisesRegex(ValueError, words):
            self.result(*(origins or (["BINARY", 5], ["BINARY", 3])))

    def test_used(self):
        self.assertEqual(len(self.result(["BINARY", 5], ["BINARY", 3])), 1)

    def test_built_the_same(self):
        self.write("one.kernel", b"123")
        self.refuses("not used: 2 binaries before, 2 after, of which new: .'one.kernel'.")

    def test_built_another(self):
        self.write("three.kernel", b"1")
        self.refuses("not used: 2 binaries before, 3 after, of which new: .'three.kernel'.")

    def test_one_is_gone(self):
        os.unlink(self.path("one.kernel"))
        self.refuses("not used: 2 binaries before, 1 after")

    def test_made_from_source(self):
        self.refuses("its programs are from", ["BINARY", 5], ["SOURCE"])
        self.refuses("its programs are from", ["BINARY", 5])


if __name__ == "__main__":
    BUILD = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2, warnings="ignore")
