# SPDX-License-Identifier: Apache-2.0
"""A character device as the channel: a terminal, whose other end comes and goes."""
import os
import time
import uuid

from harness import Case, End, Host, run_tests, wait_until


class Port(Case):
    def greeting(self, host):
        value = host.message()
        self.assertIn("shadowcl", value)
        return value["shadowcl"]

    def with_port(self):
        self.start("--port", self.link)

    def cpu(self):
        """Seconds of processor time that the agent has used."""
        with open(f"/proc/{self.agent.pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def test_speaks(self):
        self.peer()
        host = self.plug()
        self.with_port()
        self.assertEqual(self.greeting(host)["state"], "running")
        host.raw(b"\n")  # what was half written before is ended, and is nothing
        self.assertEqual(host.done("ping"), {})
        host.done("suspend")
        self.assertEqual(host.event("state")["state"], "suspending")
        host.done("resume")
        # Control characters are bytes like others: no echo, no signals, no end.
        host.raw(b"\x03\x04\x1a\x11\n")
        self.assertEqual(host.answer()["error"]["class"], "BadLine")
        self.assertEqual(host.done("ping"), {})

    def test_host_goes_and_comes(self):
        self.with_port()
        for _ in range(3):
            host = self.plug()
            self.greeting(host)
            self.assertEqual(host.done("ping"), {})
            host.close()

    def test_answer_through_a_new_port(self):
        """The host has gone before the answer came; the port is another one afterwards."""
        self.peer("suspend=slow")
        self.with_port()
        host = self.plug()
        self.greeting(host)
        id = str(uuid.uuid4())
        host.send("suspend", id=id)
        host.event("state")
        host.close()
        time.sleep(0.5)
        host = self.plug()
        host.raw(b"\n")
        host.send("suspend", id=id)
        self.assertEqual(host.answer(id)["return"]["processes"][0]["state"], "suspended")
        self.assertEqual(self.logs(), [["suspend 10"]])

    def test_half_a_line_left(self):
        self.with_port()
        host = self.plug()
        self.greeting(host)
        host.raw(b"{\"execute\": \"sus")
        host.raw(b"\n")
        self.assertEqual(host.answer()["error"]["class"], "BadLine")
        self.assertEqual(host.done("ping"), {})

    def test_no_spinning(self):
        """Without a node, and with one that nobody speaks on, nothing is done."""
        self.with_port()
        before = self.cpu()
        time.sleep(2)
        end = End(self.link)
        time.sleep(1.2)
        end.close()
        time.sleep(2)
        used = self.cpu() - before
        self.assertLess(used, 0.3, f"{used} s of processor time in 5 s")

    def test_says_it_once(self):
        self.with_port()
        time.sleep(2)
        said = self.messages().count("can't be opened")
        self.assertEqual(said, 1, self.messages())

    def test_not_a_device(self):
        with open(self.link, "w", encoding="ascii"):
            pass
        self.with_port()
        wait_until(lambda: "no character device" in self.messages(), "it is said")
        os.unlink(self.link)
        self.greeting(self.plug())

    def test_two_ports_and_a_socket(self):
        other = os.path.join(self.top, "port2")
        host = self.plug()
        end = End(other)
        second = Host(end, end.sendall)
        self.hosts.append(second)
        self.start("--port", self.link, "--port", other)
        third = self.host()
        for each in (host, second):
            self.greeting(each)
        third.done("suspend")
        for each in (host, second):
            self.assertEqual(each.event("state")["state"], "suspending")
            self.assertEqual(each.done("status")["state"], "suspended")


if __name__ == "__main__":
    run_tests()
