# SPDX-License-Identifier: Apache-2.0
"""Whatever comes in on a channel, a socket or a character device: the agent stays, stays small, and
goes on answering others."""
import os
import random
import socket
import subprocess
import time

from harness import Case, Gone, needs_root, NOBODY, run_tests, SANITIZED, wait_until

MIB = 1 << 20
TAKEN_FOR_GONE = "a message could not be queued"


class Hostile:
    """The same on each sort of channel: talker() is a new conversation on it."""

    LONG = 100  # MiB of one line
    LEAVING = 50

    def setUp(self):
        super().setUp()
        self.good = self.started(*self.arguments())
        self.before = self.resident()

    def resident(self):
        with open(f"/proc/{self.agent.pid}/status", encoding="ascii") as file:
            return [int(line.split()[1]) << 10 for line in file if line.startswith("VmRSS")][0]

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.agent.pid}/fd"))

    def unharmed(self, growth=32 * MIB):
        self.assertIsNone(self.agent.poll(), "the agent has ended")
        self.assertEqual(self.good.done("ping"), {})
        grown = self.resident() - self.before
        # A sanitizer keeps what was freed.
        self.assertLess(grown, growth + SANITIZED * 1024 * MIB, f"grown by {grown} bytes")

    def test_random_bytes(self):
        chance = random.Random(1)
        for size in (1, 10, 1000, 100000):
            for _ in range(10):
                self.pour(chance.randbytes(size) + b"\n")
        self.unharmed()

    def test_endless_line(self):
        """What there is of it is read and forgotten; the next one is taken."""
        host = self.talker()
        for _ in range(self.LONG):
            host.raw(b"x" * MIB)
        host.raw(b"\n")
        self.assertEqual(host.answer()["error"]["class"], "BadLine")
        self.assertEqual(host.done("ping"), {})
        self.unharmed()

    def test_longest_line(self):
        host = self.talker()
        for blanks, class_ in ((MIB - 30, None), (MIB, "BadLine")):
            host.raw(b"{\"execute\":\"ping\"" + b" " * blanks + b"}\n")
            self.assertEqual(host.answer().get("error", {}).get("class"), class_)
        self.assertEqual(host.done("ping"), {})

    def test_deep(self):
        host = self.talker()
        for line in (b"[" * 500000, b"{\"a\":" * 100000, b"[" * 300000 + b"]" * 300000,
                     b"{\"execute\":\"ping\",\"id\":" + b"[" * 400 + b"]" * 400 + b"}"):
            host.raw(line + b"\n")
            self.assertIn(host.message()["error"]["class"], ("BadLine", "BadArgument"))
        self.assertEqual(host.done("ping"), {})
        self.unharmed()

    def test_numbers(self):
        host = self.talker()
        for number in (b"1" + b"0" * 400, b"-1e999", b"1e-999", b"9223372036854775808", b"0x10",
                       b"NaN", b"1.7976931348623157e308", b"-0"):
            host.raw(b"{\"execute\":\"suspend\",\"arguments\":{\"deadline\":" + number + b"}}\n")
            self.assertIn(host.answer()["error"]["class"], ("BadLine", "BadArgument"), number)
        self.unharmed()

    def test_bytes_that_are_no_text(self):
        host = self.talker()
        for text in (b"\xff", b"\xc3", b"\xed\xa0\x80", b"\\u0000", b"\\ud800", b"\xf8\x88\x80\x80"):
            host.raw(b"{\"execute\":\"" + text + b"\"}\n")
            self.assertIn(host.answer()["error"]["class"], ("BadLine", "UnknownCommand"), text)
        host.raw(b"\0\n")
        self.assertEqual(host.answer()["error"]["class"], "BadLine")
        self.unharmed()

    def test_names(self):
        """What is repeated in a message is cut and made safe."""
        host = self.talker()
        host.raw(("{\"execute\":\"" + "ä" * 5000 + "\"}\n").encode())
        self.assertLess(len(host.answer()["error"]["desc"]), 600)
        host.raw(b"{\"execute\":\"\\u001b[2J\"}\n")
        self.assertNotIn("\x1b", host.answer()["error"]["desc"])

    def test_many_members(self):
        members = ",".join(f"\"m{i}\":{i}" for i in range(60000))
        host = self.talker()
        host.raw(b"{\"execute\":\"ping\",\"arguments\":{" + members.encode() + b"}}\n")
        self.assertEqual(host.answer()["error"]["class"], "BadArgument")
        self.unharmed(64 * MIB)

    def test_byte_by_byte(self):
        host = self.talker()
        for byte in b"{\"execute\": \"ping\", \"id\": 5}\n":
            host.raw(bytes([byte]))
        self.assertEqual(host.answer(5)["return"], {})

    def test_never_reads(self):
        """What it does not read is kept up to a limit, then it is taken for gone."""
        self.good.done("suspend")
        lines = 100 if SANITIZED else 1000  # of which a sanitizer takes its time to tell
        line = b'{"execute":"log","arguments":{"lines":%d}}\n' % lines
        for _ in range(300):
            self.good.done("suspend")
        host = self.talker()
        # Under a sanitizer it does not come to that in good time.
        end = time.monotonic() + (10 if SANITIZED else 120)
        # A port is taken up again half a second after it was left, and reads on.
        while TAKEN_FOR_GONE not in self.messages() and time.monotonic() < end:
            try:
                self.push(host, line * 100, 2)
            except (BrokenPipeError, ConnectionResetError):
                break
            except (TimeoutError, Gone):  # it has enough to do as it is
                pass
        if not SANITIZED:
            wait_until(lambda: TAKEN_FOR_GONE in self.messages(), "it is taken for gone")
        self.unharmed(64 * MIB)
        host.close()
        self.assertEqual(self.talker().done("ping"), {})

    def test_flood_of_commands(self):
        """As many as may be: the rest is told so, and each has its answer."""
        host = self.talker()
        for i in range(500):
            host.raw(b"{\"execute\":\"status\",\"id\":%d}\n" % i)
            host.raw(b"{\"execute\":\"device-wait\",\"id\":\"w%d\",\"arguments\":{\"address\":"
                     b"\"0000:ff:1f.7\",\"timeout\":0.5}}\n" % i)
        answers = [host.message() for _ in range(1000)]
        classes = {}
        for answer in answers:
            class_ = answer["error"]["class"] if "error" in answer else "return"
            classes[class_] = classes.get(class_, 0) + 1
        self.assertEqual(sum(classes.values()), 1000)
        self.assertGreaterEqual(classes["return"], 6)
        self.assertGreaterEqual(classes["Timeout"], 64)
        self.assertEqual(set(classes), {"return", "Timeout", "Busy"})
        self.unharmed(64 * MIB)

    def test_leaves_in_the_middle(self):
        for _ in range(self.LEAVING):
            host = self.talker()
            host.raw(b"{\"execute\":\"status\"}\n{\"execute\":\"capabilities\"}\n{\"exe")
            host.close()
        self.assertEqual(self.talker().done("ping"), {})
        self.unharmed()


class Socket(Hostile, Case):
    def arguments(self):
        return ()

    def connect(self):
        peer = socket.socket(socket.AF_UNIX)
        peer.connect(self.socket)
        peer.settimeout(20)
        return peer

    def talker(self):
        return self.host()

    @staticmethod
    def push(host, data, patience):
        host.stream.settimeout(patience)
        host.raw(data)

    def pour(self, data):
        """Writes it, whatever becomes of it, and reads what comes for a moment."""
        with self.connect() as peer:
            peer.settimeout(0.2)
            try:
                for at in range(0, len(data), MIB):
                    peer.sendall(data[at:at + MIB])
                    try:
                        peer.recv(MIB)
                    except TimeoutError:
                        pass
            except (BrokenPipeError, ConnectionResetError, TimeoutError):
                pass

    def test_folders_in_place_of_its_files(self):
        """As any user can make them in a runtime directory that all share."""
        for inside in (None, "something"):
            for name in (self.mark, os.path.join(self.run, f"agent.{os.geteuid()}.json")):
                if os.path.isfile(name):
                    os.unlink(name)
                os.mkdir(name)
                if inside:
                    os.mkdir(os.path.join(name, inside))
            peer = self.peer()
            self.good.done("suspend")
            self.assertTrue(os.path.isfile(self.mark), "no mark")
            self.good.done("resume")
            self.assertEqual(peer.stop(), ["suspend 10", "resume  0"])
            self.peers.remove(peer)
            self.assertFalse(os.path.lexists(self.mark), "a mark was left behind")
        self.unharmed()

    def test_many_connections(self):
        before = self.descriptors()
        peers = [self.connect() for _ in range(200)]
        time.sleep(0.5)
        self.unharmed()
        self.assertLess(self.descriptors(), before + 40)
        refused = [peer for peer in peers[40:] if b"Busy" in peer.recv(4096)]
        self.assertEqual(len(refused), 160)
        for peer in peers:
            peer.close()
        wait_until(lambda: self.descriptors() <= before, "the connections are closed")
        self.assertEqual(self.host().done("ping"), {})

    def test_strange_processes(self):
        """What lies in the runtime directory is not the host's, and not trusted either."""
        os.symlink("/dev/zero", os.path.join(self.run, "2-1.sock"))
        os.mkfifo(os.path.join(self.run, "2-2.sock"))
        with open(os.path.join(self.run, "2-3.sock"), "wb") as file:
            file.write(b"x" * 100)
        os.mkdir(os.path.join(self.run, "2-4.sock"))
        for how in ("garbage", "oversized", "empty", "half", "close"):
            self.peer(f"status={how}", f"suspend={how}")
        status = self.good.done("status")
        self.assertEqual(len(status["processes"]), 5)
        self.good.fails("Refused", "suspend")
        self.unharmed()

    @needs_root
    def test_another_user(self):
        """Even where the modes would let it in."""
        os.chmod(self.socket, 0o666)
        code = (f"import socket; s = socket.socket(socket.AF_UNIX); s.connect({self.socket!r});"
                "print(s.makefile().read())")
        done = subprocess.run(["setpriv", f"--reuid={NOBODY}", "--clear-groups", "/usr/bin/python3",
                               "-c", code], capture_output=True, text=True, timeout=30)
        self.assertIn("Denied", done.stdout + done.stderr)
        self.assertEqual(self.good.done("status")["state"], "running")


class Device(Hostile, Case):
    """What a terminal takes at a time is little, so that there is less of what is much."""

    LONG = 20
    LEAVING = 5

    def arguments(self):
        return "--port", self.link

    def talker(self):
        """The agent looks for another device twice a second."""
        host = self.plug()
        assert "shadowcl" in host.message()
        return host

    @staticmethod
    def push(host, data, patience):
        host.stream.sendall(data, patience)

    def pour(self, data):
        """On one and the same: nobody closes a port because of a line that is none."""
        if not self.poured:
            self.poured = self.talker()
        host = self.poured
        host.raw(data)
        # What was told of it is told before the answer to this.
        host.raw(b"\n{\"execute\":\"ping\",\"id\":\"after\"}\n")
        self.assertEqual(host.answer("after")["return"], {})

    poured = None


if __name__ == "__main__":
    run_tests()
