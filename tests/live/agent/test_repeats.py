# SPDX-License-Identifier: Apache-2.0
"""A host that lost an answer asks again with the same id: same answer, no second effect. And what the
host withdraws."""
import json
import os
import stat
import time

from harness import Case, run_tests, wait_until


class Repeats(Case):
    def test_same_answer(self):
        self.peer()
        host = self.started()
        first = host.ask("suspend", id="one")
        self.assertEqual(host.ask("suspend", id="one"), first)
        self.assertFalse(first["return"]["already"])
        done = host.ask("resume", id="two")
        self.assertEqual(host.ask("resume", id="two"), done)
        # Also now that it would be another one.
        self.assertEqual(host.ask("suspend", id="one"), first)
        self.expect_running(host)
        self.assertEqual(self.logs(), [["suspend 10", "resume  0"]])

    def test_answer_lost(self):
        """The host goes away while the command is at work, and comes back."""
        self.peer("suspend=slow")
        host = self.started()
        host.send("suspend", id="one")
        host.event("state")
        host.close()
        other, third = self.host(), self.host()
        for each in (other, third):
            each.send("suspend", id="one")
        answers = [each.answer("one", "suspend") for each in (other, third)]
        self.assertEqual(answers[0], answers[1])
        self.assertEqual(answers[0]["return"]["processes"][0]["state"], "suspended")
        self.assertEqual(self.logs(), [["suspend 10"]])

    def asks_often(self, name, **arguments):
        """Again and again while it is at work: one answer, and no other."""
        host = self.started()
        for _ in range(20):
            host.send(name, id="again", **arguments)
        answer = host.answer("again")
        host.send("ping", id="after")
        while (value := host.message()).get("id") != "after":
            self.assertIn("event", value)
        return answer

    def test_suspend_asked_often(self):
        self.peer("suspend=slow")
        self.assertIn("return", self.asks_often("suspend"))
        self.assertEqual(self.logs(), [["suspend 10"]])

    def test_device_wait_asked_often(self):
        answer = self.asks_often("device-wait", vendor="ffff", timeout=1)
        self.assertEqual(answer["error"]["class"], "Timeout")

    def test_failures_too(self):
        self.peer("suspend=refuse")
        host = self.started()
        first = host.ask("suspend", id="one")
        self.assertEqual(first["error"]["class"], "Failed")
        self.assertEqual(host.ask("suspend", id="one"), first)
        self.assertEqual(self.logs(), [["suspend 10"]])

    def test_other_command(self):
        host = self.started()
        host.ask("suspend", id="one")
        self.assertIn("another command", host.fails("BadArgument", "resume", id="one")["desc"])
        self.assertIn("another command",
                      host.fails("BadArgument", "suspend", id="one", deadline=5)["desc"])
        self.assertEqual(host.done("status")["state"], "suspended")

    def test_busy_is_not_remembered(self):
        self.peer("suspend=slow")
        host = self.started()
        host.send("suspend", id="one")
        host.event("state")
        host.fails("Busy", "prepare", id="two")
        host.answer("one")
        host.done("prepare", id="two")

    def test_64_answers(self):
        self.peer()
        host = self.started()
        for i in range(65):
            host.done("prepare", id=i)
        for i in range(200):
            host.done("ping", id=f"p{i}")
        host.fails("BadArgument", "suspend", id=1)  # known
        host.done("suspend", id=0)  # forgotten

    def test_through_a_restart(self):
        self.peer()
        host = self.started()
        first = host.ask("suspend", id={"a": [1, 2]})
        done = host.ask("resume", id="two")
        for end in (self.kill, self.stop):
            end()
            host = self.started()
            self.assertEqual(host.ask("suspend", id={"a": [1, 2]}), first)
            self.assertEqual(host.ask("resume", id="two"), done)
            self.expect_running(host)
        self.assertEqual(self.logs(), [["suspend 10", "resume  0"]])

    def test_hostile_journal(self):
        """Whatever lies in its place, the agent starts, and believes only what is its own."""
        path = os.path.join(self.run, f"agent.{os.geteuid()}.json")
        self.started().done("suspend", id="one")
        with open(path, encoding="utf-8") as file:
            good = file.read()
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        entry = json.loads(good)[0]
        for content in ("", "null", "[", "[1,2,3]", "[[1,2,3]]", "[[\"a\",\"b\"]]", "{}" * 9,
                        json.dumps([entry] * 500), "[" * 100000, "\x00\xff", good + good):
            self.kill()
            with open(path, "w", encoding="utf-8") as file:
                file.write(content)
            self.start()
            self.assertEqual(self.host().done("ping"), {}, content[:50])
        for place in (lambda: os.symlink("/dev/zero", path), lambda: os.mkfifo(path),
                      lambda: os.mkdir(path)):
            self.kill()
            if os.path.isdir(path):
                os.rmdir(path)
            else:
                os.unlink(path)
            place()
            self.start()
            self.assertEqual(self.host().done("ping"), {})

    def test_others_journal(self):
        if os.geteuid():
            self.skipTest("needs root")
        path = os.path.join(self.run, "agent.0.json")
        host = self.started()
        answer = host.ask("prepare", id="one")
        self.kill()
        os.chown(path, 65534, 65534)
        host = self.started()
        self.assertNotEqual(host.ask("prepare", id="one")["return"]["ms"], answer["return"]["ms"])


class Cancel(Case):
    def test_nothing(self):
        host = self.started()
        self.assertEqual(host.done("cancel"), {"cancelled": False})

    def cancel(self, host, which=None):
        command = {"execute": "cancel", "id": "c"}
        if which:
            command["arguments"] = {"id": which}
        host.raw(json.dumps(command).encode() + b"\n")
        return host.answer("c", "cancel")["return"]["cancelled"]

    def test_at_once(self):
        """Whoever was not asked yet needs not be resumed."""
        self.peer()
        self.peer("status=silent")
        host = self.started()
        host.send("suspend", id="one", policy="force")
        self.assertTrue(self.cancel(host, "one"))
        self.assertEqual(host.answer("one")["error"]["class"], "Cancelled")
        self.assertEqual(host.done("status")["state"], "running")
        self.assertEqual(self.logs(), [[], []])

    def test_suspend(self):
        self.peer("suspend=slow")
        self.peer()
        host = self.started()
        host.send("suspend", id="one")
        host.event("progress")
        self.assertFalse(self.cancel(host, "other"))
        self.assertTrue(self.cancel(host, "one"))
        self.assertEqual(host.answer("one")["error"]["class"], "Cancelled")
        self.expect_running(host)
        self.assertEqual(self.logs(), [["suspend 10", "resume  0"]] * 2)

    def test_resume_is_not(self):
        self.peer("resume=slow")
        host = self.started()
        host.done("suspend")
        host.send("resume", id="one")
        host.event("state", lambda data: data["state"] == "resuming")
        self.assertFalse(self.cancel(host))
        self.assertIn("return", host.answer("one"))
        self.expect_running(host)

    def test_hook(self):
        self.peer()
        self.hook("10-first", "say $1")
        self.hook("20-slow", "say $1; test $1 = return || sleep 60; exit 0")
        host = self.started()
        host.send("suspend", id="one")
        wait_until(lambda: "20-slow release" in self.said(), "the hook runs")
        start = time.monotonic()
        self.assertTrue(self.cancel(host))
        self.assertEqual(host.answer("one")["error"]["class"], "Cancelled")
        self.assertLess(time.monotonic() - start, 10)
        self.assertEqual(self.said(), ["10-first release", "20-slow release", "20-slow return",
                                       "10-first return"])
        self.expect_running(host)

    def test_device_wait(self):
        host = self.started()
        host.send("device-wait", id="one", address="00ff:00:1f.7", timeout=600)
        self.assertEqual(host.done("ping"), {})
        self.assertTrue(self.cancel(host, "one"))
        self.assertEqual(host.answer("one")["error"]["class"], "Cancelled")

    def test_end_of_the_agent(self):
        """SIGTERM withdraws a suspend."""
        peer = self.peer("suspend=slow")
        host = self.started()
        host.send("suspend", id="one")
        host.event("progress")
        self.assertEqual(self.stop(), 0)
        self.assertFalse(os.path.lexists(self.mark))
        self.assertEqual(peer.stop(), ["suspend 10", "resume  0"])
        self.peers = []


if __name__ == "__main__":
    run_tests()
