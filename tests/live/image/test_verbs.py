# SPDX-License-Identifier: Apache-2.0
"""inspect, diff, verify and check on images that are made for it: what they print and answer, and
that nothing of a file is believed that is not right."""
import json
import os
import pty
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli"))
from harness import Case, needs_root, NOBODY, read_file, run_tests  # noqa: E402

MAKE_IMAGE = os.environ["MAKE_IMAGE"]
APART = 1 << 62
SIZE = (3 << 20) + 100
MIB = 1 << 20

INSPECT = {"file", "image", "about", "objects", "error"}
DIFF = {"a", "b", "same", "came", "went", "changed", "error"}
VERIFY = {"file", "image", "whole", "resumes", "devices", "warnings", "missing", "contents", "ms",
          "error"}
CHECK = {"pid", "state", "file", "resumes", "devices", "warnings", "missing", "error"}
OBJECT = {"serial", "kind", "references", "refusal", "fields", "contents"}

# Plays `shadowcl-rebuild`: says what it is told, does what it is told.
REBUILD = """#!/bin/sh
echo "$@" > "$FAKE_LOG"
case $FAKE_HOW in
crash) kill -SEGV $$ ;;
hang) exec sleep 100 ;;
chatty) echo 'a driver says: {'; echo '{"half": '; printf 'and more\\n' ;;
garbage) echo nothing; exit 0 ;;
esac
cat "$FAKE_SAYS"
"""
DEVICE = {"platform": "Fake Platform", "name": "fake-gpu", "index": 0}
OUTCOME = {"devices": [DEVICE], "warnings": [], "missing": [], "error": None,
           "objects": {"mem": 3}, "bytes": SIZE + 8192 + 4096,
           "contents": [{"serial": 6, "size": SIZE, "same": True},
                        {"serial": 8, "size": 8192, "same": True},
                        {"serial": APART + 2, "size": 4096, "same": True}],
           "ms": {"load": 20.5, "rebuild": 35.25, "read_back": 3.0}}
MISSING = [{"object": "kernel 11", "reason": "the device has no fp64", "todo": "name another"},
           {"object": "buffer 6", "reason": "it is too large", "todo": ""}]


def contents(serial, size):
    """As make_image makes them."""
    first = bytes((i * 31 + (i >> 8) + serial) & 255 for i in range(min(size, MIB)))
    return (first + bytes(MIB) + 2 * first)[:size] if size > MIB else first


class Verbs(Case):
    def setUp(self):
        super().setUp()
        self.ran = None
        self.a = self.image("a")

    def path(self, name):
        return os.path.join(self.dir, name)

    def image(self, name, *words):
        subprocess.run([MAKE_IMAGE, self.path(name), *words], check=True)
        return self.path(name)

    def sides(self):
        return super().sides()[:20000] if self.ran else ""

    def one(self, fields, *args, code=0):
        """The only element of the answer."""
        self.shadowcl(*args, "--json")
        self.expect(code)
        element, = self.answer(fields)
        return element

    def dump(self, file, serial):
        ran = subprocess.run([os.path.join(self.tree, "bin/shadowcl"), "inspect", file, "--dump",
                              str(serial)], capture_output=True, timeout=60)
        return ran.returncode, ran.stdout, ran.stderr.decode()

    # --- Usage ---

    def test_usage(self):
        for args, pattern in (
                (["inspect"], "a file is missing"),
                (["inspect", "a", "b"], "`b` is too much"),
                (["inspect", "a", "--object", "x"], "`x` is not an object's number"),
                (["inspect", "a", "--object", "-1"], "`-1` is not an object's number"),
                (["inspect", "a", "--dump", "99999999999999999999999"], "not an object's number"),
                (["inspect", "a", "--dump", "1", "--object", "1"], "one --object or --dump"),
                (["inspect", "a", "--dump", "1", "--json"], "either --dump or --json"),
                (["diff"], "files are missing"),
                (["diff", "a"], "a file is missing"),
                (["diff", "a", "b", "c"], "`c` is too much"),
                (["verify"], "a file is missing"),
                (["verify", "a", "--device", ""], "--device"),
                (["verify", "a", "--timeout", "0"], "--timeout"),
                (["check"], "a process id or an image file is missing"),
                (["check", "a"], "--device is missing"),
                (["check", "1", "2", "--device", "0"], "one process id or file"),
                (["check", "a", "b", "--device", "0"], "one process id or file"),
                (["check", "0", "--device", "0"], "`0` is not a process id")):
            with self.subTest(args=args):
                self.shadowcl(*args)
                self.expect(2, pattern, "--help")
                self.equal(self.ran.stdout, "")
        for verb in ("inspect", "diff", "verify", "check"):
            self.shadowcl(verb, "--help")
            self.expect(0, out=["Usage: shadowcl " + verb, "--json", "Exit codes"])

    # --- Files that are no images ---

    def each_verb(self, file):
        return (["inspect", file], ["diff", file, self.a], ["diff", self.a, file],
                ["verify", file], ["check", file, "--device", "0"], ["inspect", file, "--dump", 6])

    def refused(self, file, why):
        for args in self.each_verb(file):
            with self.subTest(args=args):
                self.shadowcl(*args)
                self.expect(1, rf"shadowcl {args[0]}: file `[^`]*`.*: .*{why}", r"to do: .")
                self.equal(self.ran.stdout, "")
                if "--dump" not in args:
                    element = self.one(None, *args, code=1)
                    self.assertRegex(element["error"]["reason"], why)

    def test_no_image(self):
        for name, words in (("empty", b""), ("text", b"hello\n" * 100), ("short", b"SHADOWCL")):
            with open(self.path(name), "wb") as file:
                file.write(words)
        os.symlink(self.a, self.path("link"))
        os.mkfifo(self.path("pipe"))
        self.refused(self.path("none"), "No such file")
        self.refused(self.path("link"), "symbolic link")
        self.refused(self.dir, "is a directory")
        self.refused(self.path("pipe"), "is no file")
        self.refused("/dev/null", "is no file")
        self.refused(self.path("empty"), "too short")
        self.refused(self.path("short"), "too short")
        self.refused(self.path("text"), "not an image")

    @needs_root
    def test_not_readable(self):
        os.chmod(self.dir, 0o755)
        self.shadowcl("inspect", self.a, user=NOBODY)
        self.expect(1, "can't be opened: Permission denied")

    def damage(self, change):
        """The path of an image with other bytes; a small one."""
        data = bytearray(read_file(self.small))
        change(data)
        with open(self.path("damaged"), "wb") as file:
            file.write(data)
        return self.path("damaged")

    def test_truncated(self):
        self.small = self.image("small", "size=5000")
        size = os.path.getsize(self.small)
        for length in (*range(0, 200, 61), *range(200, size, size // 5), size - 1):
            def cut(data, length=length):
                del data[length:]
            for args in self.each_verb(self.damage(cut)):
                self.shadowcl(*args)
                self.expect(1, rf"shadowcl {args[0]}: file `[^`]*`, offset \d+: ", r"to do: .")

    def test_flipped(self):
        """verify finds each; the others fail or have not read it, and never crash."""
        self.small = self.image("small", "size=5000")
        size = os.path.getsize(self.small)
        for offset in (*range(0, 64, 7), *range(64, size, size // 16), *range(size - 64, size, 7)):
            def flip(data, offset=offset):
                data[offset] ^= 1 << offset % 8
            file = self.damage(flip)
            for args in self.each_verb(file):
                if args[0] == "check":
                    continue
                self.shadowcl(*args)
                with self.subTest(offset=offset, args=args):
                    self.assertIn(self.ran.returncode, (0, 1), self.ran.stderr)
                    if self.ran.returncode == 1 and args[0] != "diff":
                        self.expect(1, r"`, offset \d+: ")
                    if args[0] == "verify":
                        self.expect(1)

    def test_odd(self):
        """What is printed has no control characters, and ends whatever refers to what."""
        odd = self.image("odd", "odd")
        self.shadowcl("-c", f"ulimit -s 128; exec {self.tree}/bin/shadowcl inspect {odd}",
                      binary="/bin/sh")
        self.expect(0, out=[r"`\?\[31mred\?`", r"platform 1 `line\?break`", "in none of these:",
                            "\n  sub-buffer 20,", "\n  sub-buffer 22,", "\n    sub-buffer 21,",
                            "\n  sub-buffer 23,"])
        self.assertNotIn("\x1b", self.ran.stdout)
        self.equal(self.ran.stdout.count("sub-buffer "), 1 + 4 + 5000)
        element = self.one(INSPECT, "inspect", odd)
        self.equal((element["about"]["command"], element["objects"][0]["fields"]["name"]),
                   ("\x1b[31mred?", "line\nbreak"))
        for serial in (20, 23, 1005):
            self.shadowcl("inspect", odd, "--object", serial)
            self.expect(0, out=[f"^sub-buffer {serial}, 0 B at 0\n", f"serial: {serial}"])
        self.one(DIFF, "diff", odd, self.a, code=1)

    # --- inspect ---

    def test_inspect(self):
        self.shadowcl("inspect", self.a)
        self.expect(0)
        self.equal(self.ran.stderr, "")
        lines = self.ran.stdout.splitlines()
        self.assertRegex(lines[0], rf"^{self.a}: 1\.0 MiB, 17 objects, 3\.0 MiB of contents; "
                         r"format 1\.\d+$")
        self.assertRegex(lines[1], r"^of process 119 `sample-heat --size 256` on a-host, "
                         r"2023-11-1\d \d\d:\d3:20, by shadowcl 0\.1\.0$")
        self.equal([line.split(", digest")[0] for line in lines[2:]], [
            "platform 1 `Fake Platform`",
            "  device 2 `fake-gpu`, CL_DEVICE_TYPE_GPU, index 0",
            "    sub-device 3 `fake-gpu`, CL_DEVICE_TYPE_GPU, part 0 of 2",
            "context 4 on device 2, buffers in memory of the host",
            "  queue 5 on device 2, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE | "
            "CL_QUEUE_PROFILING_ENABLE",
            "    command buffer 14, 1 command, being recorded",
            "  buffer 6, 3.0 MiB, CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR, mapped 1 time, of which "
            "zero: 1.0 MiB",
            "    sub-buffer 7, 8.0 KiB at 4096, CL_MEM_READ_ONLY",
            "  image 8, 8.0 KiB, CL_MEM_OBJECT_IMAGE2D, 64 x 32, CL_RGBA CL_UNORM_INT8, "
            "CL_MEM_WRITE_ONLY",
            "  sampler 9, plain coordinates, CL_ADDRESS_REPEAT, CL_FILTER_LINEAR",
            "  program 10 from source of 52 B, built for device 2 `-DSIZE=64`",
            "    kernel 11 `solve`",
            "      argument 0: buffer 6",
            "      argument 1: 4 B: 1000003f",
            "      argument 2: 1.0 KiB of local memory",
            "      argument 3: pointer to shared virtual memory, 8 B: 00100000007f0000",
            "      argument 4: not set",
            "  event 12 of queue 5, CL_COMMAND_NDRANGE_KERNEL, -5",
            "  event 13, CL_COMMAND_USER, not set",
            f"  shared virtual memory {APART + 2}, 4.0 KiB at 0x7f0000001000, CL_MEM_READ_WRITE | "
            "CL_MEM_SVM_FINE_GRAIN_BUFFER"])

    def test_inspect_json(self):
        element = self.one(INSPECT, "inspect", self.a)
        self.equal((element["file"], element["error"], set(element["image"])),
                   (self.a, None, {"format", "id", "bytes", "objects"}))
        self.equal((element["image"]["bytes"], element["image"]["objects"]),
                   (os.path.getsize(self.a), 17))
        self.equal(element["about"], {
            "version": "0.1.0", "pid": 119, "uid": 0, "command": "sample-heat --size 256",
            "host": "a-host", "boot": "", "time": 1700000000.5, "bytes": SIZE + 8192 + 4096})
        objects = {each["serial"]: each for each in element["objects"]}
        self.equal([set(each) for each in objects.values()], [OBJECT] * 17)
        self.equal({each["kind"] for each in objects.values()},
                   {"platform", "device", "context", "queue", "mem", "sampler", "origin", "recipe",
                    "program", "kernel", "command_buffer", "event", "svm"})
        buffer = objects[6]
        self.equal((buffer["references"], buffer["fields"]["flags"], buffer["fields"]["type"]),
                   (2, "CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR", "CL_MEM_OBJECT_BUFFER"))
        self.equal((buffer["contents"]["size"], buffer["contents"]["chunks"],
                    buffer["contents"]["zero_chunks"]), (SIZE, 4, 1))
        self.assertRegex(buffer["contents"]["digest"], "^[0-9a-f]{32}$")
        self.equal(objects[7]["contents"], None)
        self.equal(objects[4]["fields"]["properties"],
                   [{"name": "CL_CONTEXT_PLATFORM", "value": 1}])
        self.equal(objects[2]["fields"]["info"][0]["param"], "CL_DEVICE_MAX_COMPUTE_UNITS")
        self.equal(objects[2]["fields"]["info"][0]["bytes"]["hex"], "08000000")
        self.equal(objects[11]["fields"]["args"][0]["object"], 6)

    def test_object(self):
        element = self.one(INSPECT, "inspect", self.a, "--object", APART)
        origin, = element["objects"]
        self.equal(origin["fields"]["text"]["text"],
                   "kernel void solve(global int *out)\n{\n\tout[0] = 1;\n}\n")
        self.shadowcl("inspect", self.a, "--object", APART)
        self.expect(0, out=[r"kernel void solve\(global int \*out\)\n", "kind: SOURCE"])
        self.shadowcl("inspect", self.a, "--object", 11)
        self.expect(0, out=["^kernel 11 `solve`\n", "name: solve", "kind: OBJECT", "object: 6"])
        self.shadowcl("inspect", self.a, "--object", 99)
        self.expect(1, r"file `.*`, object 99: it is not there", "to do: see `shadowcl inspect")
        self.equal(self.one(INSPECT, "inspect", self.a, "--object", 99, code=1)["objects"], [])

    def test_dump(self):
        for serial, size in ((6, SIZE), (8, 8192), (APART + 2, 4096)):
            self.assertTrue(self.dump(self.a, serial) == (0, contents(serial, size), ""), serial)
        for serial in (7, 5, 99):
            code, out, said = self.dump(self.a, serial)
            self.equal((code, out), (1, b""))
            self.assertRegex(said, rf"object {serial}: it has no contents of its own")

    def test_dump_refused(self):
        command = [os.path.join(self.tree, "bin/shadowcl"), "inspect", self.a, "--dump", "8"]
        ours, terminal = pty.openpty()
        ran = subprocess.run(command, stdout=terminal, stderr=subprocess.PIPE, text=True)
        os.close(ours), os.close(terminal)
        self.assertEqual(ran.returncode, 1)
        self.assertIn("it is a terminal", ran.stderr)
        with open("/dev/full", "w") as full:
            ran = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
        self.assertEqual(ran.returncode, 1)
        self.assertIn("could not be written: No space left", ran.stderr)

    def test_unread_damage_does_not_matter(self):
        """Contents are checked when they are dumped, and not before."""
        data = bytearray(read_file(self.a))
        data[len(data) // 2] ^= 1
        with open(self.a, "wb") as file:
            file.write(data)
        self.shadowcl("inspect", self.a)
        self.expect(0)
        self.equal(self.dump(self.a, 8), (0, contents(8, 8192), ""))
        code, _, said = self.dump(self.a, 6)
        self.equal(code, 1)
        self.assertRegex(said, r"`, offset \d+: ")

    # --- diff ---

    def test_same(self):
        self.shadowcl("diff", self.a, self.image("b"))
        self.expect(0, out=["hold the same: 17 objects"])
        element = self.one(DIFF, "diff", self.a, self.path("b"))
        self.equal(element, {"a": self.a, "b": self.path("b"), "same": True, "came": [],
                             "went": [], "changed": [], "error": None})

    def test_different(self):
        b = self.image("b", "flip=6,5", "flip=6,6", f"flip=6,{MIB - 1}", f"flip=6,{MIB}",
                       f"flip=6,{SIZE - 1}", "without=13", "options=-O0")
        self.shadowcl("diff", self.a, b)
        self.expect(1, out=[
            "differ: 0 came, 1 went, 2 changed", "\n- event 13, CL_COMMAND_USER, not set\n",
            rf"\n~ buffer 6\n    contents: 5 bytes differ, in 3 ranges: 5-6, {MIB - 1}-{MIB}, "
            rf"{SIZE - 1}\n",
            rf'\n~ recipe {APART + 1}\n    fields.options: "-DSIZE=64" -> "-O0"\n'])
        self.equal(self.ran.stderr, "")
        element = self.one(DIFF, "diff", b, self.a, code=1)
        self.equal(element, {
            "a": b, "b": self.a, "same": False, "came": [{"serial": 13, "kind": "event"}],
            "went": [], "error": None, "changed": [
                {"serial": 6, "kind": "mem", "fields": [],
                 "contents": {"size_a": SIZE, "size_b": SIZE, "bytes": 5, "num_ranges": 3,
                              "ranges": [[5, 2], [MIB - 1, 2], [SIZE - 1, 1]]}},
                {"serial": APART + 1, "kind": "recipe", "contents": None,
                 "fields": [{"field": "fields.options", "a": "-O0", "b": "-DSIZE=64"}]}]})

    def test_other_sizes(self):
        b = self.image("b", "size=5000", "flip=6,4999")
        element = self.one(DIFF, "diff", self.a, b, code=1)
        buffer, = element["changed"]
        self.equal((buffer["fields"], buffer["contents"]),
                   ([{"field": "fields.size", "a": SIZE, "b": 5000}],
                    {"size_a": SIZE, "size_b": 5000, "bytes": 1, "num_ranges": 1,
                     "ranges": [[4999, 1]]}))
        self.shadowcl("diff", self.a, b)
        self.expect(1, out=[rf"contents: {SIZE} -> 5000 bytes; 1 byte differs, in 1 range: 4999"])

    def test_diff_fails(self):
        element = self.one(DIFF, "diff", self.a, self.path("none"), code=1)
        self.equal((element["same"], element["came"]), (None, []))

    # --- verify ---

    def test_verify(self):
        self.shadowcl("verify", self.a)
        self.expect(0, out=[r"a: whole: 1\.0 MiB checked in \d+\.\d ms"])
        element = self.one(VERIFY, "verify", self.a)
        self.equal((element["whole"], element["resumes"], element["error"]), (True, None, None))
        self.equal(set(element["ms"]), {"verify", "load", "rebuild", "read_back"})
        with open(self.a, "ab") as file:
            file.write(b"x")
        element = self.one(VERIFY, "verify", self.a, code=1)
        self.equal((element["whole"], element["resumes"]), (False, None))

    # --- A device: shadowcl-rebuild ---

    def rebuild(self, *args, how="", says=None, code=0, fields=None, more=()):
        """With one that answers so; returns the only element of the answer."""
        program = os.path.join(self.tree, "lib/shadowcl/shadowcl-rebuild")
        with open(program, "w") as file:
            file.write(REBUILD)
        os.chmod(program, 0o755)
        with open(self.path("says"), "w") as file:
            json.dump({**OUTCOME, **(says or {})}, file, indent=2)
            file.write("\n")
        env = {"FAKE_LOG": self.path("log"), "FAKE_HOW": how, "FAKE_SAYS": self.path("says")}
        self.shadowcl(*args, "--device", "fake", "--json", *more, env=env)
        self.expect(code)
        element, = self.answer(fields)
        asked = read_file(self.path("log")).decode().split()
        self.shadowcl(*args, "--device", "fake", *more, env=env)
        self.expect(code)
        os.unlink(program)
        return element, asked

    def test_verify_device(self):
        element, asked = self.rebuild("verify", self.a, fields=VERIFY, more=["--strict"])
        self.equal(asked, ["verify", self.a, "fake", "--strict"])
        self.equal((element["whole"], element["resumes"], element["devices"], len(element["contents"]),
                    element["ms"]["rebuild"]), (True, True, [DEVICE], 3, 35.25))
        self.expect(0, out=["a: whole: ", r"a: resumes on Fake Platform:0 \(fake-gpu\) in 55\.8 ms "
                            r"\(load 20\.5, rebuild 35\.2\); 3\.0 MiB of contents read back in "
                            r"3\.0 ms are the same"])

    def test_check_file(self):
        element, asked = self.rebuild("check", self.a, fields=CHECK)
        self.equal(asked, ["check", self.a, "fake"])
        self.equal(element, {"pid": None, "state": None, "file": self.a, "resumes": True,
                             "devices": [DEVICE], "warnings": [], "missing": [], "error": None})
        self.expect(0, out=[r"a: nothing is missing on Fake Platform:0 \(fake-gpu\)$"])

    def test_missing(self):
        for verb, fields in (("check", CHECK), ("verify", VERIFY)):
            element, _ = self.rebuild(verb, self.a, fields=fields, code=1, how="chatty",
                                      says={"missing": MISSING, "warnings": ["no fp16"],
                                            "contents": []})
            self.equal((element["resumes"], element["missing"], element["error"]),
                       (False, MISSING, None))
            self.expect(1, "a: warning: no fp16", "a: kernel 11: the device has no fp64\n"
                        "  to do: name another", "a: buffer 6: it is too large\n")

    def test_read_back_another(self):
        for changed, why in (([{**OUTCOME["contents"][0], "same": False}, *OUTCOME["contents"][1:]],
                              "contents of 1 of 3 objects are not the same"),
                             (OUTCOME["contents"][:2], "contents of 2 of 3 objects were read")):
            element, _ = self.rebuild("verify", self.a, code=1, says={"contents": changed})
            self.equal((element["resumes"], element["whole"]), (False, True))
            self.assertIn(why, element["error"]["reason"])

    def test_rebuild_fails(self):
        for how, says, why in (("crash", {}, "signal 11"), ("garbage", {"devices": 1}, "understood"),
                               ("", {"missing": None}, "understood"),
                               ("", {"error": {"object": "device `fake`", "todo": "name one",
                                               "reason": "no such device"}}, "no such device")):
            for verb, fields in (("check", CHECK), ("verify", VERIFY)):
                element, _ = self.rebuild(verb, self.a, how=how, says=says, code=1, fields=fields)
                self.assertIn(why, element["error"]["reason"])
                self.equal((element["devices"], element["resumes"]),
                           ([], None if verb == "check" else False))

    def test_rebuild_hangs(self):
        start = time.monotonic()
        element, _ = self.rebuild("check", self.a, how="hang", code=1, more=["--timeout", "0.5"])
        self.assertIn("longer than 0.5 s", element["error"]["reason"])
        self.assertLess(time.monotonic() - start, 20)

    def test_rebuild_is_not_there(self):
        self.shadowcl("check", self.a, "--device", "0")
        self.expect(1, "program `.*shadowcl-rebuild`: it can't be run: No such file", "install")

    # --- check of a process ---

    def test_check_process(self):
        peer = self.peer()
        element = self.one(CHECK, "check", peer.pid, "--device", "gpu, 1", "--strict")
        self.equal(element, {"pid": peer.pid, "state": "running", "file": None, "resumes": True,
                             "devices": [DEVICE], "warnings": [], "missing": [], "error": None})
        self.shadowcl("check", peer.pid, "--device", "0")
        self.expect(0, out=[rf"^{peer.pid} hashcat: nothing is missing on Fake Platform:0 "])
        self.peers = []
        self.equal(peer.stop(), ["check gpu, 1 1", "check 0 0"])

    def test_check_process_without_a_device(self):
        """Then it is asked whether it could be suspended."""
        peer = self.peer("check=missing")
        free = self.peer()
        self.shadowcl("check", free.pid)
        self.expect(0, out=[rf"^{free.pid} hashcat: nothing stands against a suspend\n$"])
        self.shadowcl("check", peer.pid)
        self.expect(1, rf"check: {peer.pid} hashcat: kernel `solve`: the device has no fp64\n  to "
                    "do: name another", "hashcat: buffer 12: its 12.4 MiB are more")
        element = self.one(CHECK, "check", peer.pid, code=1)
        self.equal((element["resumes"], len(element["missing"])), (False, 2))
        self.peers = []
        self.equal(peer.stop(), ["check  0, suspend"] * 2)
        self.equal(free.stop(), ["check  0, suspend"])

    def test_check_process_misses(self):
        peer = self.peer("check=missing")
        element = self.one(CHECK, "check", peer.pid, "--device", "0", code=1)
        self.equal((element["resumes"], element["error"], [each["object"] for each
                                                        in element["missing"]]),
                   (False, None, ["kernel `solve`", "buffer 12"]))
        self.shadowcl("check", peer.pid, "--device", "0")
        self.expect(1, rf"check: {peer.pid} hashcat: kernel `solve`: the device has no fp64\n  to "
                    "do: name another", "hashcat: buffer 12: its 12.4 MiB are more")

    def test_check_process_fails(self):
        peer = self.peer("check=refuse")
        self.shadowcl("check", peer.pid, "--device", "0")
        self.expect_refusal("kernel `solve`", "did not end", "longer", state="running")
        self.equal(self.one(CHECK, "check", peer.pid, "--device", "0", code=1)["resumes"], None)
        self.shadowcl("check", os.getpid(), "--device", "0")
        self.expect_refusal(str(os.getpid()), "not under shadowcl", "start it", state="unknown")


if __name__ == "__main__":
    run_tests()
