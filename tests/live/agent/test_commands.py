# SPDX-License-Identifier: Apache-2.0
"""Each command and each error of the protocol; every message is checked against its schema."""
import json
import os
import subprocess
import time

from harness import BIN, Case, Host, run_tests, SCHEMA


class Commands(Case):
    def test_greeting(self):
        self.start()
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read().strip()
        self.assertEqual(self.host().greeting["shadowcl"],
                         {"version": "0.1.0", "protocol": {"major": 1, "minor": 0}, "boot": boot,
                          "state": "running"})

    def test_ping(self):
        host = self.started()
        for id in (None, 7, "a", [1, {"b": None}], 1.5, False):
            host.send("ping", id=id)
            answer = host.answer(id)
            self.assertEqual(answer["return"], {})
            self.assertEqual("id" in answer, id is not None)

    def test_capabilities(self):
        self.hook("20-b", "exit 0")
        self.hook("10-a", "exit 0")
        host = self.started()
        can = host.done("capabilities")
        self.assertEqual(can["commands"], SCHEMA["$defs"]["name"]["enum"])
        self.assertEqual(can["events"], list(SCHEMA["$defs"]["events"]))
        self.assertEqual(can["hooks"], ["10-a", "20-b"])

    def test_status(self):
        peers = [self.peer(), self.peer("state=3")]
        status = self.started().done("status")
        self.assertEqual([status["state"], status["command"]], ["running", None])
        self.assertEqual({each["pid"]: each["state"] for each in status["processes"]},
                         {peers[0].pid: "running", peers[1].pid: "suspended"})
        self.assertEqual(status["processes"][0]["command"], "/usr/bin/hashcat -m 0 hashes")
        self.assertEqual(status["processes"][0]["objects"], {"buffer": 40, "queue": 2})
        self.assertEqual(status["bytes"], 2 * 13002342)

    def test_suspend_and_resume(self):
        for _ in range(3):
            self.peer()
        host = self.started()
        done = host.done("suspend", deadline=3)
        self.assertEqual([each["state"] for each in done["processes"]], ["suspended"] * 3)
        self.assertEqual([done["already"], done["residue"], done["hooks"]], [False, [], []])
        self.assertTrue(os.path.lexists(self.mark), "no mark stands")
        self.assertEqual(host.event("state"), {"state": "suspending", "before": "running"})
        self.assertEqual(host.event("state"), {"state": "suspended", "before": "suspending"})
        self.expect_states(host, *["suspended"] * 3)
        self.assertEqual(self.host().greeting["shadowcl"]["state"], "suspended")
        self.assertTrue(host.done("suspend")["already"])
        done = host.done("resume", device="fake", strict=True)
        self.assertEqual([each["state"] for each in done["processes"]], ["running"] * 3)
        self.assertFalse(done["already"])
        self.assertEqual(host.event("state"), {"state": "resuming", "before": "suspended"})
        self.assertEqual(host.event("state"), {"state": "running", "before": "resuming"})
        self.assertTrue(host.done("resume")["already"])
        self.expect_running(host)
        self.assertEqual(self.logs(), [["suspend 3", "resume fake 1"]] * 3)

    def test_each_goes_elsewhere(self):
        peers = [self.peer() for _ in range(3)]
        host = self.started()
        host.done("suspend")
        host.done("resume", device="a", map={str(peers[1].pid): "b:1", "4000000": "c"})
        self.assertEqual([log[1] for log in self.logs()],
                         ["resume a 0", "resume b:1 0", "resume a 0"])

    def test_nobody_there(self):
        """A machine without programs can be suspended: those that start then wait."""
        host = self.started()
        self.assertEqual(host.done("suspend")["processes"], [])
        self.assertTrue(os.path.lexists(self.mark))
        host.done("resume")
        self.expect_running(host)

    def test_prepare(self):
        self.peer()
        self.peer("status=silent")
        host = self.started()
        done = host.done("prepare")
        self.assertEqual(done["bytes"], 13002342)
        self.assertEqual(len(done["refusals"]), 1, done["refusals"])
        self.assertIn("does not say its state", done["refusals"][0]["reason"])
        self.assertGreater(done["memory_available"], 1 << 20)

    def test_prepare_asks_each(self):
        """What has anything against it is named with its process; who is suspended is not asked."""
        peers = [self.peer(), self.peer("check=missing"), self.peer("check=refuse"),
                 self.peer("check=nowhere"), self.peer("state=3")]
        host = self.started()
        done = host.done("prepare")
        self.assertEqual([done["refusals"], done["missing"], done["unknown"]], [[], [], []])
        done = host.done("prepare", check=True, device="far", deadline=3)
        self.assertEqual([each["state"] for each in done["processes"]],
                         [host.done("status")["processes"][i]["state"] for i in range(5)])
        solve = {"object": f"process {peers[1].pid} hashcat: kernel `solve`",
                 "reason": "the device has no fp64", "todo": "name another device"}
        room = {"object": f"process {peers[1].pid} hashcat: buffer 12",
                "reason": "its 12.4 MiB are more than the 8.0 MiB there", "todo": ""}
        busy = {"object": f"process {peers[2].pid} hashcat: kernel `solve`",
                "reason": "did not end before the deadline", "todo": "give it longer with --deadline"}
        order = lambda found: sorted(found, key=lambda each: (each["object"], each["reason"]))
        self.assertEqual(order(done["refusals"]), order([solve, room, busy]))
        self.assertEqual(order(done["missing"]), order([solve, room]))
        self.assertEqual(done["unknown"], [{
            "object": f"process {peers[3].pid} hashcat: device `far`", "reason": "no such device",
            "todo": "name another"}])
        self.assertEqual(host.done("status")["state"], "running")
        suspend, there = "check  0, suspend", "check far 0"
        self.assertEqual(self.logs(), [[suspend, there], [suspend, there], [suspend],
                                       [suspend, there], []])

    def test_prepare_asks_one_that_does_not_answer(self):
        """It is named, and holds up nobody for longer than it may take."""
        peer = self.peer("check=silent")
        dying = self.peer("check=die")
        host = self.started("--process-timeout", "1.5")
        done = host.done("prepare", check=True, deadline=0.5)
        # On a busy machine the other one may not be seen to be dead in time.
        named = [one for one in done["refusals"] if f"process {dying.pid}" not in one["object"]]
        self.assertEqual(len(named), 1, done["refusals"])
        self.assertIn(f"process {peer.pid}", named[0]["object"])
        self.assertIn("no answer within 2 s", named[0]["reason"])

    def test_log(self):
        host = self.started()
        host.done("suspend")
        lines = host.done("log")["lines"]
        self.assertIn("started, state running", lines[0])
        self.assertTrue(any("state: suspended" in line for line in lines), lines)
        self.assertEqual(host.done("log", lines=1)["lines"], lines[-1:])

    def test_errors(self):
        host = self.started()
        for line, class_, word in (
                (b"[1]", "BadLine", "not an object"), (b"nonsense", "BadLine", "not JSON"),
                (b"{\"execute\": \"ping\", \"execute\": \"ping\"}", "BadLine", "duplicate"),
                (b"{\"execute\": \"ping\"", "BadLine", "not JSON"),
                (b"{\"id\": 3}", "BadArgument", "`execute`"),
                (b"{\"execute\": 5, \"id\": 3}", "BadArgument", "`execute`"),
                (b"{\"execute\": \"reboot\", \"id\": 3}", "UnknownCommand", "`reboot`"),
                (b"{\"execute\": \"ping\", \"id\": 3, \"x\": 1}", "BadArgument", "`x`"),
                (b"{\"execute\": \"ping\", \"id\": 3, \"arguments\": []}", "BadArgument",
                 "`arguments`"),
                (b"{\"execute\": \"ping\", \"id\": 3, \"arguments\": {\"y\": 1}}", "BadArgument",
                 "`y`"),
                (b"{\"execute\": \"ping\", \"id\": \"" + b"x" * 300 + b"\"}", "BadArgument", "`id`"),
                (b"\xff\xfe", "BadLine", "not JSON")):
            host.raw(line + b"\n")
            answer = host.message()
            self.assertEqual(answer["error"]["class"], class_, line)
            self.assertIn(word, answer["error"]["desc"])
            if b"\"id\": 3" in line:
                self.assertEqual(answer["id"], 3)
        self.assertEqual(host.done("ping"), {})

    def test_bad_arguments(self):
        host = self.started()
        for name, arguments in (
                ("suspend", {"deadline": 0}), ("suspend", {"deadline": -1}),
                ("suspend", {"deadline": "10"}), ("suspend", {"deadline": 1e300}),
                ("suspend", {"policy": "maybe"}), ("suspend", {"devices": "0000:00:01.0"}),
                ("suspend", {"devices": ["../../etc"]}), ("suspend", {"devices": [1]}),
                ("suspend", {"devices": ["0000:00:01.0"] * 65}), ("suspend", {"hooks": 1}),
                ("resume", {"device": 5}), ("resume", {"device": "a\nb"}),
                ("resume", {"device": "x" * 5000}), ("resume", {"map": {"x": "a"}}),
                ("resume", {"map": {"0": "a"}}), ("resume", {"map": {"1": 2}}),
                ("resume", {"map": {"99999999999999999999": "a"}}),
                ("resume", {"map": []}), ("resume", {"strict": None}),
                ("prepare", {"devices": [None]}), ("log", {"lines": 0}), ("log", {"lines": 1001}),
                ("log", {"lines": 1.5}), ("device-wait", {"address": "0000:00:1.0"}),
                ("device-wait", {"vendor": "10d"}), ("device-wait", {"device": "xxxx"}),
                ("device-wait", {"present": "no"}), ("device-wait", {"timeout": -1})):
            host.raw(json.dumps({"execute": name, "arguments": arguments, "id": 1}).encode() + b"\n")
            error = host.answer(1)["error"]
            self.assertEqual(error["class"], "BadArgument", arguments)
            self.assertIn(f"`{list(arguments)[0]}`", error["desc"])
        self.expect_running(host)

    def test_overlap(self):
        """A suspend takes its time: the rest is answered, what would disturb it is refused."""
        self.peer("suspend=slow")
        host, other = self.started(), self.host()
        host.send("suspend", id="a")
        other.event("state")
        start = time.monotonic()
        self.assertEqual(other.done("ping"), {})
        status = other.done("status")
        self.assertEqual([status["state"], status["command"]], ["suspending", "suspend"])
        for name in ("suspend", "resume", "prepare"):
            self.assertIn("`suspend` is at work", other.fails("Busy", name)["desc"])
        self.assertLess(time.monotonic() - start, 2)
        progress = host.event("progress")
        self.assertEqual([progress["id"], progress["command"], progress["phase"]],
                         ["a", "suspend", "draining"])
        self.assertIn("return", host.answer("a"))

    def test_two_channels(self):
        """Answers go to who asked, events to both."""
        self.peer()
        one, other = self.started(), self.host()
        one.send("suspend", id="same")
        self.assertEqual(other.event("state")["state"], "suspending")
        self.assertIn("return", one.answer("same"))
        self.assertEqual(other.event("state")["state"], "suspended")
        self.assertEqual(other.done("ping"), {})
        self.assertFalse([event for event in other.events if "return" in event])

    def test_programs_come_and_go(self):
        host = self.started()
        host.done("status")
        peer = self.peer()
        self.assertEqual(host.event("process"),
                         {"pid": peer.pid, "command": "hashcat", "state": "running"})
        self.logs()
        self.assertEqual(host.event("process"),
                         {"pid": peer.pid, "command": "hashcat", "state": "gone"})

    def test_socket(self):
        self.start()
        self.assertEqual(os.stat(self.socket).st_mode & 0o777, 0o600)
        second = subprocess.run([os.path.join(BIN, "shadowcl-agent"), "--socket", self.socket],
                                env=self.environment(), capture_output=True, text=True, timeout=20)
        self.assertEqual(second.returncode, 1)
        self.assertIn("another program listens on it", second.stderr)
        self.assertEqual(self.host().done("ping"), {})
        self.assertEqual(self.stop(), 0)
        self.assertFalse(os.path.lexists(self.socket))

    def test_usage(self):
        agent = os.path.join(BIN, "shadowcl-agent")
        for arguments, code, word in ((["--version"], 0, "shadowcl-agent 0.1.0"),
                                      (["--help"], 0, "--hook-timeout"), (["x"], 2, "too much"),
                                      (["--hook-timeout", "0"], 2, "seconds"),
                                      (["--nothing"], 2, "unrecognized"),
                                      (["--socket", ""], 2, "missing"),
                                      (["--socket", "/not/there/x"], 1, "can't be made"),
                                      (["--socket", "/x" * 100], 1, "longer than"),
                                      (["--log", "/not/there/x"], 1, "can't be opened"),
                                      (["--runtime-dir", "/not/there"], 1, "runtime directory")):
            done = subprocess.run([agent, *arguments], env=self.environment(), text=True,
                                  capture_output=True, timeout=20, stdin=subprocess.DEVNULL)
            self.assertEqual(done.returncode, code, f"{arguments}: {done.stderr}")
            self.assertIn(word, done.stdout + done.stderr)


if __name__ == "__main__":
    run_tests()
