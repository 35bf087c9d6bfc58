# SPDX-License-Identifier: Apache-2.0
"""Moves that go well, what they answer, and the arguments of the three verbs."""
import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import xml.etree.ElementTree as xml

import fake
from harness import AT_DESTINATION, AT_SOURCE, SHADOWCL, Case, Forward, Run, run, run_tests

STRAIGHT = ["connect", "check", "prepare", "suspend", "unplug", "migrate", "start", "find agent",
            "plug", "resume", "verify"]
MEANWHILE = ["connect", "check", "prepare", "suspend", "unplug", "meanwhile", "migrate", "start",
             "find agent", "plug", "suspend 2", "resume", "verify"]


def call(ran, command):
    return [arguments for name, arguments in ran.world.agent.calls if name == command]


def shown_in(ran):
    """The lines of progress: phase, its time, its bar."""
    return re.findall(r"\r\x1b\[K(\w[\w ]*?) +(\d+\.\d{3}) s  ([#.]*)", ran.stderr)


class Move(Case):
    def test_phases_and_states(self):
        ran = run("--json")
        self.check(ran, 0, **AT_DESTINATION)
        self.assertEqual(self.phases(ran), STRAIGHT)
        self.assertTrue(all(phase["ok"] for phase in ran.answer["phases"]))
        rows = {}
        for state in ran.answer["states"]:
            rows.setdefault(state["of"], []).append(state["state"])
        self.assertEqual(rows, {
            "programs": ["running", "suspending", "suspended", "resuming", "running"],
            "device": ["source", "leaving", "nowhere", "coming", "destination"],
            "vm": ["source", "copying", "stopped", "destination"]})
        self.assertEqual(ran.answer["downtime_ms"]["vm_by_qemu"], 31)
        self.assertIsNone(ran.answer["error"])

    def test_progress(self):
        """On a terminal, of the step that is taken: its time, and how much of the memory is over.
        The line is written over by the next, and gone when the step is done."""
        ran = run(migration_time=1.0, terminal=True)
        self.check(ran, 0, **AT_DESTINATION)
        shown = shown_in(ran)
        times = [float(time) for phase, time, _ in shown if phase == "migrate"]
        self.assertEqual(times, sorted(times))
        self.assertTrue(3 <= len(times) <= 9 and 0.5 < times[-1] < 10, f"{shown}")
        bars = [bar for phase, _, bar in shown if phase == "migrate" and bar]
        self.assertEqual(set(bars), {9 * "#" + 15 * "."}, f"40 of 100 are over: {shown}")
        self.assertRegex(ran.stderr, r"\r\x1b\[Kmigrate +done +\d+\.\d{3} s\r\n")
        self.assertNotIn("\x1b", run().stderr)

    def test_progress_of_programs(self):
        """Of all programs together, though one is told of at a time."""
        told = [(42, 0.5), (43, 0), (42, 1), (43, 0.5), (43, 1)]
        ran = run(suspend_time=2.7, resume_time=2.7, programs={42: 10 << 20, 43: 90 << 20},
                  told=told, terminal=True, has_limit=False)
        self.check(ran, 0, **AT_DESTINATION)
        for phase in ("suspend", "resume"):
            bars = [bar for name, _, bar in shown_in(ran) if name == phase and bar]
            full = [bar.count("#") for bar in bars]
            self.assertEqual(list(dict.fromkeys(full)), [1, 2, 13, 24],
                             f"{phase}: of 24, with 5, 10, 55 and 100 MiB of 100: {bars}")

    def test_progress_without_a_measure(self):
        """Nobody knows how far a QEMU is with a device that comes: its time is told."""
        ran = run(plug_time=1, terminal=True)
        self.check(ran, 0, **AT_DESTINATION)
        lines = [(float(time), bar) for name, time, bar in shown_in(ran) if name == "plug"]
        self.assertGreaterEqual(len(lines), 3, lines)
        self.assertEqual(lines, sorted(lines))
        self.assertEqual({bar for _, bar in lines}, {""}, lines)

    def test_over_tcp(self):
        """All four channels by HOST:PORT: numbers of both sorts, a name."""
        with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as open_ones:
            world = fake.World(folder)
            open_ones.callback(world.close)
            places = [open_ones.enter_context(Forward(f"{folder}/{name}", host)).place for name, host
                      in (("source.qmp", "127.0.0.1"), ("source.agent", "localhost"),
                          ("destination.qmp", "::1"), ("destination.agent", "127.0.0.1"))]
            options = ("--source", "--agent", "--destination", "--destination-agent")
            ran = Run(world, "--json", *[word for pair in zip(options, places) for word in pair])
        self.check(ran, 0, **AT_DESTINATION)
        self.assertEqual(self.phases(ran), STRAIGHT)

    def test_nobody_at_that_port(self):
        """Of a machine, of an agent: it is named, and nothing has been touched."""
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            place = f"127.0.0.1:{closed.getsockname()[1]}"
            for option in ("--source", "--destination", "--agent"):
                self.fails_at(option, place, f"can't connect to `{place}`: Connection refused")
        self.fails_at("--agent", "nowhere.invalid:1", "`nowhere.invalid:1` is no address: ")

    def fails_at(self, option, place, message):
        ran = run("--json", option, place)
        self.assertEqual((ran.code, ran.truth, ran.is_touched), (1, AT_SOURCE, False), ran.stderr)
        self.says(ran, re.escape(message))

    def test_times_add_up(self):
        """The programs stand still from their suspend to their resume, the copy in between."""
        ran = run("--json", migration_time=0.5)
        phases = {phase["name"]: phase for phase in ran.answer["phases"]}
        first, last = phases["suspend"], phases["resume"]
        expected = last["start_ms"] + last["ms"] - first["start_ms"]
        self.assertAlmostEqual(ran.answer["downtime_ms"]["programs"], expected, delta=5)
        self.assertGreater(expected, 500)

    def test_copied_beforehand(self):
        """While contents are copied ahead of a suspend the programs run: that is no pause."""
        ran = run("--json", suspend_time=1.0, ran_on=0.8)
        phases = {phase["name"]: phase for phase in ran.answer["phases"]}
        first, last = phases["suspend"], phases["resume"]
        expected = last["start_ms"] + last["ms"] - first["start_ms"] - 800
        self.assertAlmostEqual(ran.answer["downtime_ms"]["programs"], expected, delta=5)
        self.assertGreater(first["ms"], 900)

    def test_meanwhile(self):
        """With another device in the guest the copy is no part of the pause, and in the end each
        process is sent back to the device that it had."""
        ran = run("--json", "--meanwhile", "pocl:0", migration_time=0.5)
        self.check(ran, 0, **AT_DESTINATION)
        self.assertEqual(self.phases(ran), MEANWHILE)
        self.assertLess(ran.answer["downtime_ms"]["programs"], 400)
        self.assertEqual(call(ran, "resume"), [{"device": "pocl:0", "hooks": False},
                                               {"map": {"42": "gpu:0"}, "devices": ["0000:00:05.0"]}])
        self.assertEqual(call(ran, "suspend")[1]["hooks"], False)

    def test_contents_are_prepared(self):
        self.assertIs(call(run("--json"), "suspend")[0]["prepare"], True)

    def test_agent_is_asked_for_the_right_device(self):
        ran = run("--json", "--destination-device",
                  "driver=ivshmem-plain,memdev=mem-gpu,bus=pci.0,addr=09")
        self.check(ran, 0, **AT_DESTINATION)
        self.assertEqual(call(ran, "suspend")[0]["devices"], ["0000:00:05.0"])
        wait = call(ran, "device-wait")[0]
        self.assertEqual((wait["address"], wait["vendor"], wait["device"]),
                         ("0000:00:09.0", "1af4", "1110"))
        self.assertEqual(call(ran, "resume")[0]["devices"], ["0000:00:09.0"])
        self.assertEqual(ran.world.destination.device["id"], fake.GPU)

    def test_resume_device(self):
        ran = run("--json", "--resume-device", "gpu:0")
        self.assertEqual(call(ran, "resume"), [{"device": "gpu:0", "devices": ["0000:00:05.0"]}])

    def test_agent_that_does_not_greet(self):
        self.check(run("--json", greets=False), 0, **AT_DESTINATION)

    def test_memory_goes_as_fast_as_it_can(self):
        ran = run("--json")
        self.assertEqual(ran.world.parameters, [("source", {"max_bandwidth": 10 ** 12})])
        ran = run("--json", "--bandwidth", "2G", "--downtime-limit", "50", "--multifd", "4")
        self.assertEqual(ran.world.parameters, [
            ("destination", {"multifd_channels": 4}),
            ("source", {"multifd_channels": 4, "max_bandwidth": 2 << 30, "downtime_limit": 50})])

    def test_text(self):
        ran = run()
        self.check(ran, 0, **AT_DESTINATION)
        for phase in STRAIGHT:
            self.assertRegex(ran.stdout, rf"(?m)^{phase} .*\|.*=.*\|$")
            self.assertRegex(ran.stderr, rf"(?m)^{phase} +done +[0-9.]+ s$")
        self.says(ran, r"\nprograms +running [0-9.]+ s, suspending [0-9.]+ s, suspended ",
                  r"\ndevice +source [0-9.]+ s, leaving ", r"\nvm +source [0-9.]+ s, copying ",
                  r"moved in [0-9.]+ s; the programs stood still for [0-9.]+ s of it")

    def test_picture(self):
        folder = tempfile.mkdtemp(prefix="vm-host-")
        self.addCleanup(shutil.rmtree, folder)
        path = folder + "/line.svg"
        ran = run("--json", "--timeline", path, "--meanwhile", "pocl:0")
        tree = xml.parse(path)
        titles = [node.text for node in tree.iter("{http://www.w3.org/2000/svg}title")]
        told = ran.answer["phases"] + ran.answer["states"]
        self.assertEqual(len(titles), len(told))
        for item in told:
            self.assertTrue(any(title.startswith(item.get("name", item.get("state")) + ": ")
                                for title in titles), item)

    def test_picture_that_cant_be_written(self):
        ran = run("--json", "--timeline", "/nowhere/line.svg")
        self.assertEqual((ran.code, ran.truth), (1, AT_DESTINATION))
        self.says(ran, "the timeline can't be written to `/nowhere/line.svg`: No such file")


class SuspendAndResume(Case):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="vm-host-")
        self.world = fake.World(self.folder)
        self.addCleanup(shutil.rmtree, self.folder)
        self.addCleanup(self.world.close)

    def test_there_and_back(self):
        """What vm-suspend prints is what brings it back."""
        ran = Run(self.world, verb="vm-suspend")
        self.check(ran, 0, guest="source", device="nowhere", programs="suspended")
        words = shlex.split(ran.stdout.split("go on with: ")[1])
        self.assertIn("driver=ivshmem-plain,id=gpu0,bus=pci.0,addr=05.0,memdev=mem-gpu", words)
        back = subprocess.run([SHADOWCL, *words[1:], "--json"], capture_output=True, text=True,
                              timeout=30)
        self.assertEqual(back.returncode, 0, back.stderr)
        self.assertEqual(self.world.truth(), AT_SOURCE)
        self.assertEqual(self.world.source.device, fake.PCI)

    def remembered(self):
        folder = os.environ["SHADOWCL_STATE_DIR"]
        return os.listdir(folder) if os.path.isdir(folder) else []

    def test_how_it_is_plugged_in_is_remembered(self):
        """vm-resume need not be told again; afterwards there is nothing to be remembered."""
        before = self.remembered()
        Run(self.world, verb="vm-suspend")
        self.assertEqual(len(self.remembered()), len(before) + 1)
        ran = Run(self.world, "--json", verb="vm-resume")
        self.check(ran, 0, **AT_SOURCE)
        self.assertEqual(self.world.source.device, fake.PCI)
        self.says(ran, "`gpu0` is plugged in as it was: driver=ivshmem-plain,id=gpu0,bus=pci.0,"
                  "addr=05.0,memdev=mem-gpu")
        self.assertEqual(self.remembered(), before)

    def test_it_is_remembered_when_the_command_is_killed(self):
        """The device leaves all the same, and nobody else knows how it was plugged in."""
        before = self.remembered()
        self.world.fault = (("source", "device_del"), "kill")
        self.assertEqual(Run(self.world, verb="vm-suspend").code, -signal.SIGKILL)
        until = time.monotonic() + 10
        while self.world.source.device:
            self.assertLess(time.monotonic(), until, "the device does not leave")
            time.sleep(0.01)
        ran = Run(self.world, "--json", verb="vm-resume")
        self.check(ran, 0, **AT_SOURCE)
        self.assertEqual(self.world.source.device, fake.PCI)
        self.assertEqual(self.remembered(), before)

    def test_a_device_that_stays_is_not_remembered(self):
        before = self.remembered()
        self.world.unplug = "refused"
        self.check(Run(self.world, "--json", verb="vm-suspend"), 1, **AT_SOURCE)
        self.assertEqual(self.remembered(), before)

    def test_other_options_go_first(self):
        Run(self.world, verb="vm-suspend")
        ran = Run(self.world, "--json", "--device-options",
                  "driver=ivshmem-plain,memdev=mem-gpu,bus=pci.0,addr=09", verb="vm-resume")
        self.check(ran, 0, **AT_SOURCE)
        self.assertEqual(self.world.source.device["addr"], "09")

    def test_what_is_remembered_is_of_one_machine_and_one_device(self):
        Run(self.world, verb="vm-suspend")
        ran = Run(self.world, "--json", "--device", "gpu1", verb="vm-resume")
        self.assertEqual((ran.code, ran.truth["programs"]), (1, "suspended"))
        self.says(ran, "no device with this id, and no vm-suspend here has taken one from it")
        other = tempfile.mkdtemp(prefix="vm-host-")
        self.addCleanup(shutil.rmtree, other)
        world = fake.World(other)
        self.addCleanup(world.close)
        world.source.device, world.agent.state = None, "suspended"
        ran = Run(world, "--json", verb="vm-resume")
        self.assertEqual((ran.code, ran.truth["device"]), (1, "nowhere"))

    def test_nothing_is_remembered_of_a_failure(self):
        """The device is plugged in again."""
        before = self.remembered()
        self.world.agent.residue = "it holds /dev/gpu"
        self.assertEqual(Run(self.world, verb="vm-suspend").code, 1)
        self.assertEqual(self.remembered(), before)

    def test_what_others_could_write_is_not_believed(self):
        folder, before = os.environ["SHADOWCL_STATE_DIR"], self.remembered()
        Run(self.world, verb="vm-suspend")
        own, = set(self.remembered()) - set(before)
        for mode, path in ((0o777, folder), (0o666, os.path.join(folder, own))):
            right = os.stat(path).st_mode & 0o777
            os.chmod(path, mode)
            ran = Run(self.world, "--json", verb="vm-resume")
            self.assertEqual((ran.code, ran.truth["device"]), (1, "nowhere"), ran.stderr)
            os.chmod(path, right)
        self.check(Run(self.world, "--json", verb="vm-resume"), 0, **AT_SOURCE)

    def test_not_remembered(self):
        """It has done what it should; what was to be kept is said, and has to be told later."""
        folder = os.environ["SHADOWCL_STATE_DIR"]
        os.environ["SHADOWCL_STATE_DIR"] = "/proc/nowhere"
        try:
            ran = Run(self.world, verb="vm-suspend")
            self.check(ran, 0, guest="source", device="nowhere", programs="suspended")
            self.says(ran, "vm-resume has to be told how the device is plugged in: directory "
                      "`/proc/nowhere`", "go on with: .*--device-options")
        finally:
            os.environ["SHADOWCL_STATE_DIR"] = folder

    def rows(self, ran):
        return {row: [state["state"] for state in ran.answer["states"] if state["of"] == row]
                for row in ("device", "vm")}

    def test_states(self):
        ran = Run(self.world, "--json", verb="vm-suspend")
        self.assertEqual(self.rows(ran), {"device": ["plugged", "leaving", "nowhere"],
                                          "vm": ["running"]})
        self.assertEqual(ran.answer["state"], {"guest": "virtual machine", "device": "nowhere",
                                               "programs": "suspended"})
        ran = Run(self.world, "--json", "--device-options",
                  "driver=ivshmem-plain,memdev=mem-gpu,bus=pci.0,addr=05.0", verb="vm-resume")
        self.assertEqual(self.rows(ran), {"device": ["coming", "plugged"], "vm": ["running"]})

    def test_states_of_a_way_back(self):
        self.world.unplug = "refused"
        ran = Run(self.world, "--json", verb="vm-suspend")
        self.assertEqual(self.rows(ran), {"device": ["plugged", "leaving", "plugged"],
                                          "vm": ["running"]})

    def agent_only(self, verb, *arguments):
        ran = subprocess.run([SHADOWCL, verb, "--agent", self.folder + "/source.agent", "--json",
                              "--timeout", "1", "--address", "0000:00:05.0", *arguments],
                             capture_output=True, text=True, timeout=30)
        return ran.returncode, json.loads(ran.stdout), ran.stderr

    def test_without_a_monitor(self):
        """The device is somebody else's to unplug and plug in."""
        code, answer, said = self.agent_only("vm-suspend")
        self.assertEqual((code, answer["state"]["programs"]), (0, "suspended"), said)
        self.assertEqual(self.world.agent.calls[-1][1]["devices"], ["0000:00:05.0"])
        self.world.source.device = None
        code, answer, said = self.agent_only("vm-resume")
        self.assertEqual((code, answer["state"]["programs"]), (1, "unknown"), said)
        self.assertEqual(self.world.agent.state, "suspended")
        self.world.source.device = dict(fake.PCI)
        code, answer, said = self.agent_only("vm-resume")
        self.assertEqual((code, answer["state"]["programs"]), (0, "running"), said)
        self.assertEqual(self.world.truth(), AT_SOURCE)
        self.assertEqual({channel for channel, _ in self.world.commands}, {"agent"})

    def test_without_a_monitor_the_device_is_awaited(self):
        """libvirt has plugged it in just now."""
        for address in ([], ["--address", "0000:00:05.0"]):
            Run(self.world, verb="vm-suspend")
            self.world.source.device = dict(fake.PCI)
            self.world.appeared, self.world.ready_time = time.monotonic() + 0.2, 0.3
            ran = subprocess.run([SHADOWCL, "vm-resume", "--agent", self.folder + "/source.agent",
                                  "--timeout", "2", *address], capture_output=True, text=True,
                                 timeout=30)
            self.assertEqual((ran.returncode, self.world.truth()), (0, AT_SOURCE), ran.stderr)

    def test_the_device_is_awaited(self):
        """Also where it was plugged in by somebody else."""
        Run(self.world, verb="vm-suspend")
        self.world.source.device = dict(fake.PCI)
        self.world.appeared, self.world.ready_time = time.monotonic(), 0.6
        self.check(Run(self.world, "--json", verb="vm-resume"), 0, **AT_SOURCE)

    def test_without_a_monitor_and_interrupted(self):
        self.world.suspend_time = 5
        code, answer, said = self.agent_only("vm-suspend", "--deadline", "0.2")
        self.assertEqual((code, answer["state"]["programs"]), (1, "running"), said)
        self.assertEqual(self.world.truth(), AT_SOURCE)

    def test_suspend_that_fails_leaves_all_running(self):
        self.world.unplug = "refused"
        self.check(Run(self.world, "--json", verb="vm-suspend"), 1, **AT_SOURCE)

    def test_resume_without_options(self):
        Run(self.world, verb="vm-suspend")
        shutil.rmtree(os.environ["SHADOWCL_STATE_DIR"])
        ran = Run(self.world, "--json", verb="vm-resume")
        self.assertEqual(ran.code, 1)
        self.says(ran, "has no device with this id", "--device-options")
        self.assertEqual(ran.truth["programs"], "suspended")

    def test_resume_of_what_runs(self):
        self.check(Run(self.world, "--json", verb="vm-resume"), 0, **AT_SOURCE)

    def test_resume_after_a_host_command_plugged_it_in(self):
        """As libvirt's attach-device does: nothing is to be plugged in any more."""
        Run(self.world, verb="vm-suspend")
        self.world.source.device = dict(fake.PCI)
        self.check(Run(self.world, "--json", verb="vm-resume"), 0, **AT_SOURCE)

    def test_resume_keeps_the_state_when_the_device_fails(self):
        Run(self.world, verb="vm-suspend")
        self.world.no_device = "source"
        ran = Run(self.world, "--json", "--device-options", "driver=vfio-pci,host=01:00.0",
                  verb="vm-resume")
        self.check(ran, 1, guest="source", device="nowhere", programs="suspended")

    def check(self, ran, code, **truth):
        if ran.answer:  # there is one machine, and it has no role
            self.assertEqual(ran.answer["state"].pop("guest"), "virtual machine")
            ran.answer["state"]["guest"] = truth["guest"]
        super().check(ran, code, **truth)


class Usage(Case):
    def usage(self, pattern, *arguments):
        with self.subTest(arguments=arguments):
            ran = subprocess.run([SHADOWCL, *arguments], capture_output=True, text=True,
                                 stdin=subprocess.DEVNULL, timeout=10)
            self.assertEqual(ran.returncode, 2, ran.stderr)
            self.assertRegex(ran.stderr, pattern)
            self.assertEqual(ran.stdout, "")

    ALL = ["--source", "a", "--destination", "b", "--agent", "c", "--destination-agent", "d",
           "--device", "e", "--uri", "f"]

    def test_missing_and_wrong(self):
        for i in range(0, len(self.ALL), 2):
            rest = self.ALL[:i] + self.ALL[i + 2:]
            self.usage(f"{self.ALL[i]} is missing", "vm-migrate", *rest)
        self.usage("--agent is missing", "vm-suspend")
        self.usage("--device is missing", "vm-suspend", "--qmp", "a", "--agent", "b")
        self.usage("no --qmp", "vm-resume", "--qmp", "a", "--agent", "b", "--device", "c",
                   "--address", "0000:00:05.0")
        self.usage("unrecognized option", "vm-suspend", "--destination", "x")
        self.usage("`more` is too much", "vm-migrate", "more")
        for value in ("0", "-1", "x", "1x", "", "inf", "nan", "1K", "86401", "1e300"):
            self.usage("--timeout: .* is not a number", "vm-migrate", "--timeout", value)
        self.usage("--bandwidth: `1X` is not a number", "vm-migrate", "--bandwidth", "1X")
        self.usage("--source: the value is empty", "vm-migrate", "--source", "")

    def config(self, text):
        file = tempfile.NamedTemporaryFile("w", suffix=".json", delete=False)
        self.addCleanup(os.unlink, file.name)
        with file:
            file.write(text if isinstance(text, str) else json.dumps(text))
        return file.name

    def test_config(self):
        folder = tempfile.mkdtemp(prefix="vm-host-")
        world = fake.World(folder)
        try:
            path = self.config({
                "source": folder + "/source.qmp", "agent": folder + "/source.agent",
                "destination": folder + "/destination.qmp", "uri": "unix:x", "device": "wrong",
                "destination-agent": folder + "/destination.agent", "bandwidth": 5000,
                "downtime-limit": "70", "qmp": "of another verb", "json": True})
            ran = subprocess.run([SHADOWCL, "vm-migrate", "--config", path, "--device", "gpu0"],
                                 capture_output=True, text=True, timeout=30)
            self.assertEqual(ran.returncode, 0, ran.stderr)
            self.assertTrue(json.loads(ran.stdout)["ok"])
            self.assertEqual(world.parameters,
                             [("source", {"max_bandwidth": 5000, "downtime_limit": 70})])
        finally:
            world.close()
            shutil.rmtree(folder)

    def test_config_that_is_wrong(self):
        for text, pattern in (("{", "line 1"), ("[]", "not a JSON object"),
                              ({"sourse": "x"}, "`sourse` is no option"),
                              ({"source": 5}, "`source` has a value of another kind"),
                              ({"json": "yes"}, "`json` has a value of another kind"),
                              ({"timeout": -1}, "`timeout` is not a number above 0"),
                              ({"timeout": 86401}, "above 0, and at most 86400"),
                              ({"timeout": "86401"}, "above 0, and at most 86400"),
                              ({"bandwidth": 1e16}, "above 0, and at most 1e.15")):
            self.usage(pattern, "vm-migrate", "--config", self.config(text))
        self.usage("No such file|unable to open", "vm-migrate", "--config", "/nowhere.json")


run_tests()
