# SPDX-License-Identifier: Apache-2.0
"""The administrator's hooks: their order, their limits, going back, and whom they must belong to."""
import ctypes
import os
import subprocess
import time

from harness import Case, needs_root, NOBODY, run_tests, wait_until

PTRACE_SEIZE, WALL = 0x4206, 0x40000000


class Hooks(Case):
    def test_order(self):
        for name in ("20-b", "10-a", "30-c"):
            self.hook(name, "say $1")
        self.hook("15-off", "say $1", mode=0o644)
        self.hook(".hidden", "say $1")
        self.hook("16-backup~", "say $1")
        self.peer()
        host = self.started()
        done = host.done("suspend")
        self.assertEqual([[each["name"], each["exit"]] for each in done["hooks"]],
                         [["10-a", 0], ["20-b", 0], ["30-c", 0]])
        done = host.done("resume")
        self.assertEqual([each["name"] for each in done["hooks"]], ["30-c", "20-b", "10-a"])
        self.assertEqual(self.said(), ["10-a release", "20-b release", "30-c release",
                                       "30-c return", "20-b return", "10-a return"])

    def test_left_out(self):
        self.hook("10-a", "say $1")
        host = self.started()
        self.assertEqual(host.done("suspend", hooks=False)["hooks"], [])
        self.assertEqual(host.done("resume", hooks=False)["hooks"], [])
        self.assertEqual(self.said(), [])

    def test_only_when_something_changes(self):
        self.hook("10-a", "say $1")
        host = self.started()
        for name in ("resume", "suspend", "suspend", "resume", "resume"):
            host.done(name)
        self.assertEqual(self.said(), ["10-a release", "10-a return"])

    def test_environment(self):
        self.hook("10-a", "say $SHADOWCL_DEVICES; say $(env | cut -d= -f1 | sort | tr '\\n' ' ');"
                          "say $(ls -l /proc/self/fd | wc -l)")
        host = self.started(env={"SECRET": "x", **self.bus("0000:01:00.0")})
        host.done("suspend", devices=["0000:01:00.0"])
        said = self.said()
        self.assertEqual(said[0], "10-a 0000:01:00.0")
        self.assertEqual(said[1], "10-a PATH PWD SHADOWCL_DEVICES")
        self.assertEqual(said[2], "10-a 5")  # "total", 0 to 2, and the folder: nothing of the agent's


    def fails(self, body, word, code, *arguments):
        self.hook("10-a", "say $1")
        self.hook("20-b", body)
        self.hook("30-c", "say $1")
        self.peer()
        host = self.started(*arguments)
        error = host.fails("Failed", "suspend")
        self.assertIn("hook `20-b release`", error["object"])
        self.assertIn(word, error["reason"])
        self.assertEqual([each["exit"] for each in error["data"]["hooks"]], [0, code, 0, 0])
        self.assertEqual(error["data"]["processes"][0]["state"], "running")
        self.expect_running(host)
        self.assertEqual(self.said(), ["10-a release", "20-b release", "20-b return",
                                       "10-a return"])
        self.assertEqual(self.logs(), [["suspend 10", "resume  0"]])

    def test_fails(self):
        self.fails("say $1; test $1 = return || exit 7", "exit code 7", 7)

    def test_killed(self):
        self.fails("say $1; test $1 = return || kill -9 $$", "exit code 137", 137)

    def test_hangs(self):
        start = time.monotonic()
        self.fails("say $1; test $1 = return || sleep 60", "still running at its limit", 143,
                   "--hook-timeout", "0.5")
        self.assertLess(time.monotonic() - start, 10)

    def test_hangs_and_ignores(self):
        self.fails("say $1; test $1 = return && exit; trap '' TERM; while :; do sleep 1; done",
                   "still running at its limit", 137, "--hook-timeout", "0.5")

    @needs_root
    def test_can_not_be_ended(self):
        """As one that hangs in the kernel: SIGKILL does not give it back. It is traced, and the tracer
        does not look."""
        self.hook("10-a", "test $1 = return && exit; say $$; sleep 60")
        self.peer()
        host = self.started("--hook-timeout", "1")
        host.send("suspend", id="one")
        wait_until(self.said, "the hook runs")
        hook = int(self.said()[0].split()[1])
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.ptrace(PTRACE_SEIZE, hook, None, None) < 0:
            self.skipTest(f"ptrace: {os.strerror(ctypes.get_errno())}")
        host.stream.settimeout(20)
        try:
            error = host.answer("one")["error"]
        finally:
            os.waitpid(hook, WALL)
        self.assertIn("hook `10-a release`", error["object"])
        self.assertIn("it can't be ended", error["reason"])
        self.expect_running(host)
        host.fails("Failed", "suspend")
        self.assertFalse(os.path.exists(f"/proc/{hook}"), "it was not reaped")
        self.assertEqual(self.logs(), [["suspend 10", "resume  0"] * 2])

    def test_not_a_program(self):
        self.hook("10-a", "say $1")
        path = os.path.join(self.hooks, "20-b")
        with open(path, "wb") as file:
            file.write(b"\x7fELFnothing")
        os.chmod(path, 0o755)
        host = self.started()
        error = host.fails("Failed", "suspend")
        self.assertIn("can't be run", error["reason"])
        self.expect_running(host)

    def test_return_fails(self):
        """The device is not back: nobody is resumed, and it can be tried again."""
        self.hook("10-a", f"say $1; test $1 = release || test -e {self.top}/back")
        self.peer()
        host = self.started()
        host.done("suspend")
        error = host.fails("Failed", "resume")
        self.assertIn("hook `10-a return`", error["object"])
        self.expect_states(host, "suspended")
        self.assertEqual(host.done("status")["state"], "suspended")
        with open(os.path.join(self.top, "back"), "w", encoding="utf-8"):
            pass
        host.done("resume")
        self.expect_running(host)
        self.assertEqual(self.logs(), [["suspend 10", "resume  0"]])

    def test_freed_by_hand(self):
        """The programs run again, and the device is still away: a `resume` brings it back."""
        self.hook("10-a", "say $1")
        self.peer()
        host = self.started()
        host.done("suspend")
        self.assertEqual(self.shadowcl("resume", "--all").returncode, 0)
        host.event("state", lambda data: data["state"] == "running")
        done = host.done("resume")
        self.assertEqual([done["already"], len(done["hooks"])], [False, 1])
        self.assertEqual(self.said(), ["10-a release", "10-a return"])
        self.assertTrue(host.done("resume")["already"])
        self.assertEqual(self.logs(), [["suspend 10", "resume  0"]])

    def test_another_place(self):
        """Where programs are resumed the device may have another address."""
        self.hook("10-a", "say $1 $SHADOWCL_DEVICES")
        host = self.started(env=self.bus("0000:01:00.0"))
        host.done("suspend", devices=["0000:01:00.0"])
        host.done("resume", devices=["0000:07:00.0", "0000:08:00.0"])
        self.assertEqual(self.said(), ["10-a release 0000:01:00.0",
                                       "10-a return 0000:07:00.0 0000:08:00.0"])

    def test_what_it_leaves_behind(self):
        """A process that a hook left running in the background holds nobody up."""
        self.hook("10-a", "sleep 20 &")
        host = self.started()
        start = time.monotonic()
        host.done("suspend")
        self.assertLess(time.monotonic() - start, 10)

    def refused(self, word):
        self.peer()
        host = self.started()
        self.assertIn(word, host.fails("Refused", "suspend")["desc"])
        self.assertEqual(len(host.done("prepare")["refusals"]), 1)
        self.assertEqual(host.done("capabilities")["hooks"], [])
        self.expect_running(host)
        self.assertEqual([self.said(), self.logs()], [[], [[]]])

    @needs_root
    def test_wrong_owner(self):
        os.chown(self.hook("10-a", "say $1"), NOBODY, NOBODY)
        self.refused("belongs to user 65534")

    def test_writable_by_others(self):
        self.hook("10-a", "say $1", mode=0o777)
        self.refused("others may write to it")

    @needs_root
    def test_directory_of_another(self):
        self.hook("10-a", "say $1")
        os.chown(self.hooks, NOBODY, NOBODY)
        self.refused("belongs to user 65534")

    def test_directory_writable_by_others(self):
        self.hook("10-a", "say $1")
        os.chmod(self.hooks, 0o777)
        self.refused("others may write to it")

    @needs_root
    def test_link_to_another(self):
        """What counts is whose the program is."""
        self.hook("10-a", "say $1")
        target = os.path.join(self.top, "target")
        os.rename(os.path.join(self.hooks, "10-a"), target)
        os.chown(target, NOBODY, NOBODY)
        os.symlink(target, os.path.join(self.hooks, "10-a"))
        self.refused("belongs to user 65534")


class KernelDriver(Case):
    """samples/hooks.d/50-kernel-driver, with a made-up sysfs: a kernel that takes its time."""

    SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                          "../../../samples/hooks.d/50-kernel-driver")
    OLD, NEW = "0000:01:00.0", "0000:02:00.0"

    def path(self, *parts):
        return os.path.join(self.top, "root", *parts)

    def device(self, address):
        return self.path("sys/bus/pci/devices", address)

    def write(self, path, text=""):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)

    def bind(self, address):
        driver = self.path("sys/bus/pci/drivers/gpu")
        os.makedirs(driver, exist_ok=True)
        os.makedirs(self.device(address), exist_ok=True)
        os.symlink(driver, self.device(address) + "/driver")

    def probe(self, address, node):
        """What the driver makes once it has looked at the device."""
        self.write(self.device(address) + f"/drm/{node}/uevent", f"DEVNAME=dri/{node}\n")
        self.write(self.device(address) + f"/drm/{node}/dev", "226:128\n")
        self.write(self.path("dev/dri", node))

    def call(self, word, address):
        """What it writes into sysfs becomes a file there."""
        os.makedirs(self.path("run"), exist_ok=True)
        return subprocess.Popen([self.SCRIPT, word], text=True, stderr=subprocess.PIPE,
                                env={"PATH": os.environ["PATH"], "ROOT": self.path(""),
                                     "SHADOWCL_DEVICES": address})

    def waits(self, process):
        time.sleep(0.5)
        self.assertIsNone(process.poll(), "it did not wait")

    def ends(self, process):
        said = process.communicate(timeout=30)[1]
        self.assertEqual((process.returncode, said), (0, ""))

    def released(self):
        self.ends(self.call("release", self.OLD))
        with open(self.path("sys/bus/pci/drivers/gpu/unbind")) as file:
            self.assertEqual(file.read(), self.OLD + "\n")
        os.unlink(self.device(self.OLD) + "/driver")

    def test_device_node_is_awaited(self):
        self.bind(self.OLD)
        self.probe(self.OLD, "renderD128")
        self.released()
        os.makedirs(self.device(self.NEW))
        hook = self.call("return", self.NEW)
        self.waits(hook)
        self.bind(self.NEW)
        self.waits(hook)
        self.probe(self.NEW, "renderD129")
        self.ends(hook)

    def test_driver_without_nodes(self):
        """There were none: there is nothing but the driver to be awaited."""
        self.bind(self.OLD)
        self.released()
        hook = self.call("return", self.NEW)
        self.waits(hook)
        self.bind(self.NEW)
        self.ends(hook)

    def test_driver_that_stays(self):
        """A suspend that failed: what was only unbound is bound again, and nothing new is made."""
        self.bind(self.OLD)
        self.probe(self.OLD, "renderD128")
        self.released()
        hook = self.call("return", self.OLD)
        probe = self.path("sys/bus/pci/drivers_probe")
        wait_until(lambda: os.path.exists(probe), "it is bound again")
        self.bind(self.OLD)
        self.ends(hook)


if __name__ == "__main__":
    run_tests()
