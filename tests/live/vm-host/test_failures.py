# SPDX-License-Identifier: Apache-2.0
"""What goes wrong for good: the programs go on where that is possible, else they are suspended
with all their state, and what is said to go on with them does so."""
import shlex
import shutil
import subprocess
import tempfile

import fake
from harness import AT_DESTINATION, AT_SOURCE, SHADOWCL, Case, Run, run, run_tests

MEANWHILE = ["--meanwhile", "pocl:0"]


def call(ran, command):
    """What the agent was asked with `command`, each time."""
    return [arguments for name, arguments in ran.world.agent.calls if name == command]


class Unplug(Case):
    def test_guest_refuses(self):
        ran = run("--json", "--unplug-timeout", "5", unplug="refused")
        self.check(ran, 1, **AT_SOURCE)
        self.says(ran, "DEVICE_UNPLUG_GUEST_ERROR", "to do: see the guest's kernel log")
        self.assertLess(ran.answer["phases"][4]["ms"], 2000, "a refusal is a failure at once")
        self.assertEqual(ran.world.events, [])

    def test_timeline(self):
        """A person sees where the time went, also where it failed."""
        ran = run("--unplug-timeout", "5", unplug="refused")
        self.assertEqual(ran.code, 1)
        self.assertRegex(ran.stdout, r"(?m)^phase +begins +takes$")
        self.assertRegex(ran.stdout, r"(?m)^suspend .*\|.*=.*\|$")
        self.assertRegex(ran.stdout, r"(?m)^unplug .*\|.*x.*\|$")

    def test_guest_never_answers(self):
        ran = run("--json", unplug=None)
        self.check(ran, 1, guest="source", device="leaving", programs="running")
        self.says(ran, "DEVICE_DELETED.*did not come within 0.6 s", "can't be withdrawn")

    def check(self, ran, code, **truth):
        if truth["device"] == "leaving":  # a model's device is there, or not
            ran.truth["device"] = "leaving"
        super().check(ran, code, **truth)

    def test_guest_obeys_late_while_programs_wait(self):
        """Interrupted just after device_del: nobody runs on a device that is about to go."""
        ran = run("--json", unplug=0.3, fault=(("source", "device_del"), "interrupt"))
        self.check(ran, 1, **AT_SOURCE)
        self.assertEqual(ran.world.events, [])

    def test_guest_obeys_late_under_running_programs(self):
        """What was on the device is gone; device and programs are put together again all the
        same, and it is said."""
        ran = run("--json", unplug=0.8)
        self.check(ran, 1, **AT_SOURCE)
        self.assertEqual(ran.world.events, ["the device left under running programs"])
        self.says(ran, "let the device go, late", "not suspended before.*its device is gone")
        # What others hold of other devices does not matter.
        self.assertEqual([each.get("devices") == [] for each in call(ran, "suspend")], [False, True])

    def test_unplugged_already(self):
        """An event that was lost with the connection is made up for by looking."""
        ran = run("--json", fault=(("source", "device_del"), "lost"))
        self.check(ran, 1, **AT_SOURCE)


class Programs(Case):
    def test_refused_before_anything(self):
        refusal = {"object": "process 42", "reason": "it has a pipe", "todo": "end it"}
        ran = run("--json", refusals=[refusal])
        self.check(ran, 1, **AT_SOURCE)
        self.says(ran, "process 42: it has a pipe", "to do: end it")
        self.assertEqual(call(ran, "suspend"), [])

    def test_all_refusals_are_named(self):
        refusals = [{"object": f"process {pid}", "reason": "no", "todo": "-"} for pid in (1, 2, 3)]
        self.says(run(refusals=refusals), "process 1: no", "also: process 2: no", "process 3: no")

    def test_force_goes_on(self):
        refusal = {"object": "process 42", "reason": "it has a pipe", "todo": "end it"}
        ran = run("--json", "--force", refusals=[refusal])
        self.check(ran, 0, **AT_DESTINATION)
        self.assertEqual(call(ran, "suspend")[0]["policy"], "force")

    def test_force_leaves_room_for_what_is_said_later(self):
        refusals = [{"object": f"process {pid}", "reason": "it has a pipe", "todo": "end it"}
                    for pid in range(1, 31)]
        ran = run("--json", "--force", "--resume-device", "gpu:7", refusals=refusals)
        self.check(ran, 1, **AT_DESTINATION)
        late = [note for note in ran.answer["notes"] if "so on the one they had" in note]
        self.assertEqual(len(late), 1, ran.answer["notes"])
        self.assertIn(f"note: {late[0]}", ran.stderr)
        self.says(ran, "by --force: process 1: it has a pipe", "in spite of 26 more, by --force")

    def test_answers_too_long(self):
        """They are no answers; the agent is asked again when it is time, not at once."""
        ran = run("--json", "--timeout", "3", fault=(("agent", "prepare"), "long"))
        self.check(ran, 1, **AT_SOURCE)
        self.assertGreater(ran.world.num_long, 1)
        self.assertLess(ran.world.num_long, 10)

    def test_residue(self):
        ran = run("--json", residue="it holds /dev/gpu")
        self.check(ran, 1, **AT_SOURCE)
        self.says(ran, "process 42: it holds /dev/gpu", "to do: end it")
        self.assertNotIn(("source", "device_del"), ran.world.commands)

    def test_suspend_that_takes_too_long_is_withdrawn(self):
        ran = run("--json", "--deadline", "0.2", suspend_time=5)
        self.check(ran, 1, **AT_SOURCE)
        self.assertEqual(len(call(ran, "cancel")), 1)
        self.assertIn(call(ran, "cancel")[0]["id"], ran.world.agent.answers)

    def test_unknown_device_at_the_end(self):
        """The device of --resume-device is not there: they have the one that they had."""
        ran = run("--json", "--resume-device", "gpu:7")
        self.check(ran, 1, **AT_DESTINATION)
        self.says(ran, "no device gpu:7", "so on the one they had")

    def test_unknown_device_at_the_end_of_meanwhile(self):
        ran = run("--json", "--resume-device", "gpu:7", *MEANWHILE)
        self.check(ran, 1, **AT_DESTINATION)

    def test_unknown_device_meanwhile(self):
        ran = run("--json", "--meanwhile", "pocl:7")
        self.check(ran, 1, **AT_SOURCE)
        self.says(ran, "no device pocl:7")

    def test_other_protocol(self):
        ran = run("--json", protocol=2)
        self.assertEqual((ran.code, ran.truth), (1, AT_SOURCE))
        self.says(ran, "speaks version 2 of the protocol, not 1")

    def test_another_guest_at_the_destination(self):
        """Its agent says by its boot id that it is not the one that was left."""
        ran = run("--json", other_boot=True)
        self.assertEqual(ran.code, 1)
        self.says(ran, "it is another guest, or was started anew")
        self.assertEqual(call(ran, "resume"), [], "it was asked to do nothing")
        self.says(ran, "own port for PORT, .*/destination.qmp`.*: shadowcl vm-resume --agent PORT "
                  "--qmp '[^']*/destination.qmp' --device 'gpu0' --device-options 'driver=[^']*'\n",
                  "shadowcl resume --all")

    def test_another_guests_port_at_the_destination(self):
        """An agent that answers before the guest has come is another machine's."""
        ran = run("--json", speaks_early=True)
        self.check(ran, 1, **AT_SOURCE)
        self.says(ran, "an agent speaks on .* before the guest has come")
        self.assertEqual(call(ran, "suspend"), [])


class Destination(Case):
    def test_device_never_comes(self):
        ran = run("--json", no_device="destination")
        self.check(ran, 1, guest="destination", device="nowhere", programs="suspended")
        self.says(ran, "vfio 0000:05:00.0", "to do: when the device can be had: shadowcl vm-resume")

    def test_device_add_has_no_effect(self):
        ran = run("--json", no_effect="destination")
        self.check(ran, 1, guest="destination", device="nowhere", programs="suspended")
        self.says(ran, "has no such device", "shadowcl vm-resume .*--device-options")

    def test_device_never_comes_meanwhile(self):
        ran = run("--json", *MEANWHILE, no_device="destination")
        self.check(ran, 1, guest="destination", device="nowhere", programs="meanwhile")
        self.says(ran, "to do: when the device can be had: shadowcl vm-resume")

    def test_guest_never_sees_device(self):
        ran = run("--json", invisible="destination")
        self.assertEqual(ran.code, 1)
        self.says(ran, "it did not come")
        self.assertEqual(ran.answer["state"]["guest"], "destination")

    def test_slot_is_taken(self):
        ran = run("--json", "--destination-device",
                  "driver=ivshmem-plain,memdev=mem-gpu,bus=pci.0,addr=01")
        self.check(ran, 1, **AT_SOURCE)
        self.says(ran, "another device sits in slot 01")

    def test_what_is_said_goes_on(self):
        """The command printed after a failure is run as it stands."""
        self.goes_on()

    def test_what_is_said_goes_on_meanwhile(self):
        """Programs that run elsewhere are sent back to the device that they had."""
        self.goes_on(*MEANWHILE)

    def goes_on(self, *options):
        folder = tempfile.mkdtemp(prefix="vm-host-")
        world = fake.World(folder)
        world.no_device = "destination"
        try:
            ran = Run(world, *options)
            self.assertEqual(ran.code, 1)
            said = ran.stderr.split("can be had: ")[1].splitlines()[0]
            world.no_device = None
            words = shlex.split(said)
            self.assertEqual(words[:2], ["shadowcl", "vm-resume"])
            again = subprocess.run([SHADOWCL, *words[1:], "--json"], capture_output=True,
                                   text=True, timeout=30)
            self.assertEqual(again.returncode, 0, again.stderr)
            self.assertEqual(world.truth(), AT_DESTINATION)
        finally:
            world.close()
            shutil.rmtree(folder)

    def test_dies_half_way(self):
        ran = run("--json", destination_dies=0.2, migration_time=0.5)
        self.check(ran, 1, **AT_SOURCE)
        self.says(ran, "destination: its monitor .* was closed")
        self.assertEqual(self.phases(ran)[-2:], ["migrate", "undo"])

    def test_dies_when_it_has_all(self):
        """It was never told to run: the source may go on."""
        ran = run("--json", fault=(("destination", "query-status", 1), "die"))
        self.check(ran, 1, **AT_SOURCE)
        self.assertEqual(self.phases(ran)[-2:], ["start", "undo"])

    def test_migration_hangs(self):
        ran = run("--json", "--migrate-timeout", "0.5", migration_time=30)
        self.check(ran, 1, **AT_SOURCE)
        self.says(ran, "migration: its end did not come within 0.5 s", "--migrate-timeout")

    def test_no_device_anywhere(self):
        """Neither there nor back at the source."""
        ran = run("--json", "--migrate-timeout", "0.3", migration_time=30, no_device="source")
        self.check(ran, 1, guest="source", device="nowhere", programs="suspended")
        self.says(ran, "the device was not plugged in", "shadowcl vm-resume")

    def test_no_device_anywhere_meanwhile(self):
        ran = run("--json", *MEANWHILE, "--migrate-timeout", "0.3", migration_time=30,
                  no_device="source")
        self.check(ran, 1, guest="source", device="nowhere", programs="meanwhile")


class Again(Case):
    """A move from where another has ended: the programs are suspended, the device is away."""

    DEVICE = ["--destination-device", "driver=ivshmem-plain,memdev=mem-gpu,bus=pci.0,addr=05"]

    def move(self, *options, **settings):
        folder = tempfile.mkdtemp(prefix="vm-host-")
        world = fake.World(folder)
        world.source.device, world.agent.state = None, "suspended"
        for name, value in settings.items():
            setattr(world, name, value)
        try:
            return Run(world, "--json", *options)
        finally:
            world.close()
            shutil.rmtree(folder)

    def test_goes_on(self):
        ran = self.move(*self.DEVICE)
        self.check(ran, 0, **AT_DESTINATION)
        self.assertNotIn(("source", "device_del"), ran.world.commands)

    def test_fails_again(self):
        ran = self.move(*self.DEVICE, "--migrate-timeout", "0.3", migration_time=30)
        self.check(ran, 1, guest="source", device="nowhere", programs="suspended")

    def test_is_brought_back_where_it_can_be(self):
        ran = self.move(*self.DEVICE, "--source-device",
                        "driver=ivshmem-plain,memdev=mem-gpu,bus=pci.0,addr=05.0",
                        "--migrate-timeout", "0.3", migration_time=30)
        self.check(ran, 1, **AT_SOURCE)

    def test_not_without_a_device_to_come(self):
        ran = self.move()
        self.check(ran, 1, guest="source", device="nowhere", programs="suspended")
        self.says(ran, "the source has no device with this id")


class Interrupted(Case):
    def test_twice(self):
        """The second one leaves what is not undone yet, at once, and says so."""
        ran = run("--json", "--timeout", "20", suspend_time=2,
                  fault=(("agent", "suspend"), "interrupt twice"))
        self.assertEqual(ran.code, 1)
        self.says(ran, "once more leaves that undone", "interrupted again",
                  "the programs could not be asked",
                  "to do: if the programs do not run, once the agent answers: shadowcl vm-resume",
                  "shadowcl resume --all")
        self.assertEqual(ran.answer["state"]["programs"], "unknown")
        self.assertLess(sum(phase["ms"] for phase in ran.answer["phases"]), 2500)

    def test_terminal_is_closed(self):
        """Its kernel sends SIGHUP, and so does the shell in it: that is one interruption."""
        ran = run("--json", suspend_time=0.5, fault=(("agent", "suspend"), "hang up"))
        self.check(ran, 1, **AT_SOURCE)
        self.assertIn("undo", self.phases(ran))
        self.assertNotIn("interrupted again", ran.stderr)

    def test_nothing_is_begun_after_the_second(self):
        ran = run("--json", "--timeout", "20", suspend_time=2,
                  fault=(("agent", "suspend"), "interrupt twice"))
        self.assertNotIn("resume", [name for name, _ in ran.world.agent.calls])
        self.assertNotIn("device_add", [name for _, name in ran.world.commands])


class Check(Case):
    def test_nothing_listens(self):
        ran = run("--json", "--source", "/nowhere/qmp")
        self.assertEqual((ran.code, ran.truth), (1, AT_SOURCE))
        self.says(ran, "source: can't connect to `/nowhere/qmp`: No such file")

    def test_destination_has_its_own_guest(self):
        folder = tempfile.mkdtemp(prefix="vm-host-")
        world = fake.World(folder)
        world.destination.status = "running"
        world.other = lambda machine: machine
        try:
            ran = Run(world, "--json")
            self.assertEqual((ran.code, ran.truth), (1, AT_SOURCE))
            self.says(ran, "destination: its state is `running`, not `inmigrate`")
        finally:
            world.close()
            shutil.rmtree(folder)

    def test_unknown_device(self):
        ran = run("--json", "--device", "gpu7")
        self.assertEqual((ran.code, ran.truth), (1, AT_SOURCE))
        self.says(ran, "device `gpu7`: the source has no device with this id", "it has: gpu0")

    def test_unknown_kind(self):
        ran = run("--json", "--destination-device", "driver=voodoo2,addr=07")
        self.check(ran, 1, **AT_SOURCE)
        self.says(ran, "no device of the kind `voodoo2`")

    def test_missing_object(self):
        ran = run("--json", "--destination-device", "driver=ivshmem-plain,memdev=nomem")
        self.check(ran, 1, **AT_SOURCE)
        self.says(ran, "no object `nomem`, which the device's `memdev` names")

    def test_host_address_is_not_guessed(self):
        ran = run("--json", source_device={"driver": "vfio-pci", "id": fake.GPU,
                                           "host": "0000:01:00.0", "addr": "05.0"})
        self.check(ran, 1, **AT_SOURCE)
        self.says(ran, "host=0000:01:00.0", "--destination-device")
        self.assertEqual(call(ran, "suspend"), [])

    def test_missing_bus(self):
        ran = run("--json", "--destination-device",
                  "driver=ivshmem-plain,memdev=mem-gpu,bus=port7")
        self.check(ran, 1, **AT_SOURCE)
        self.says(ran, "no port or bridge `port7` for the device's `bus`")
        self.assertEqual(call(ran, "suspend"), [])

    def test_setting_that_qemu_refuses(self):
        ran = run("--json", "--multifd", "300")
        self.check(ran, 1, **AT_SOURCE)
        self.says(ran, "expects a value between 1 and 255")
        self.assertEqual(call(ran, "suspend"), [])
        self.assertNotIn(("source", "device_del"), ran.world.commands)

    def test_dry_run_says_what_it_cannot_know(self):
        ran = run("--dry-run", "--destination-device", "driver=vfio-pci,host=0000:17:00.0")
        self.check(ran, 0, **AT_SOURCE)
        self.says(ran, "not known before it is plugged in: .* `host=0000:17:00.0`")

    def test_dry_run(self):
        ran = run("--dry-run")
        self.check(ran, 0, **AT_SOURCE)
        self.says(ran, "nothing stands against it", "unplug gpu0 .0000:00:05.0.",
                  "driver=ivshmem-plain,id=gpu0,bus=pci.0,addr=05.0,memdev=mem-gpu")
        self.assertNotRegex(ran.stdout, "moved in|stood still")
        for name in ("suspend", "resume"):
            self.assertEqual(call(ran, name), [])
        self.assertFalse({"device_del", "stop", "migrate"} & {c for _, c in ran.world.commands})

    def test_dry_run_as_json(self):
        ran = run("--dry-run", "--json", "--meanwhile", "pocl:0")
        self.check(ran, 0, **AT_SOURCE)
        there = "driver=ivshmem-plain,id=gpu0,bus=pci.0,addr=05.0,memdev=mem-gpu"
        self.assertEqual(ran.answer["plan"], [
            "suspend the programs, at most 10 s for what runs on the device",
            f"unplug gpu0 (0000:00:05.0) at the source; on a failure it comes back as {there}",
            "let the programs go on with pocl:0", "migrate to unix:x, start the guest there",
            f"plug in {there}", "resume the programs"])
        ran = run("--dry-run", "--json", protocol=3)
        self.assertIsNone(ran.answer["plan"])
        self.assertNotIn("plan", run("--json").answer)

    def refusal(self, what, reason):
        return {"object": f"process 42 heat: {what}", "reason": reason, "todo": "release it"}

    def test_dry_run_asks_the_programs(self):
        """Each is asked what it has that can't be carried; nothing else is asked of it."""
        pipe = self.refusal("pipe 3", "what is in a pipe can't be read back")
        shared = self.refusal("context 9", "it shares objects with an OpenGL context")
        ran = run("--dry-run", "--json", "--deadline", "3", obstacles=[pipe, shared])
        self.check(ran, 1, **AT_SOURCE)
        self.assertEqual(call(ran, "prepare"),
                         [{"devices": ["0000:00:05.0"], "check": True, "deadline": 3.0}])
        self.assertEqual(ran.answer["problems"], [pipe, shared])
        self.assertEqual(ran.answer["error"], pipe)
        self.assertIsNone(ran.answer["plan"])
        self.assertFalse({"suspend", "resume", "device_del"} & {c for _, c in ran.world.commands})
        self.says(run("--dry-run", obstacles=[pipe, shared]),
                  "process 42 heat: pipe 3: what is in a pipe can't be read back",
                  "also: process 42 heat: context 9: it shares objects with an OpenGL context",
                  "to do: release it")

    def test_a_move_does_not_stop_programs_to_ask_them(self):
        self.assertEqual(call(run("--json"), "prepare"), [{"devices": ["0000:00:05.0"]}])

    def test_dry_run_asks_for_the_device_of_meanwhile(self):
        fp64 = self.refusal("kernel `solve`", "the device has no fp64")
        ran = run("--dry-run", "--json", *MEANWHILE, lacks={"pocl:0": [fp64]})
        self.check(ran, 1, **AT_SOURCE)
        self.assertEqual(ran.answer["problems"], [fp64])
        self.check(run("--dry-run", "--json", *MEANWHILE), 0, **AT_SOURCE)
        ran = run("--dry-run", "--json", "--meanwhile", "pocl:7")
        self.check(ran, 1, **AT_SOURCE)
        self.says(ran, "process 42 heat: no such device; not pocl:7")

    def test_dry_run_asks_for_the_device_at_the_end(self):
        """One that is not in the guest yet can't be asked for, and prevents nothing."""
        fp64 = self.refusal("kernel `solve`", "the device has no fp64")
        ran = run("--dry-run", "--json", *MEANWHILE, "--resume-device", "gpu:0",
                  lacks={"gpu:0": [fp64]})
        self.check(ran, 1, **AT_SOURCE)
        self.assertEqual(ran.answer["problems"], [fp64])
        ran = run("--dry-run", "--json", "--resume-device", "gpu:7")
        self.check(ran, 0, **AT_SOURCE)
        self.says(ran, "not known before the device is there: .*`gpu:7` .no such device; not gpu:7")

    def test_dry_run_names_what_all_have_against_it(self):
        """The machines' problems don't hide the programs'."""
        pipe = self.refusal("pipe 3", "what is in a pipe can't be read back")
        ran = run("--dry-run", "--json", "--destination-device", "driver=voodoo2", obstacles=[pipe])
        self.check(ran, 1, **AT_SOURCE)
        self.assertEqual(len(ran.answer["problems"]), 2, ran.answer["problems"])
        self.says(ran, "no device of the kind `voodoo2`", "can't be read back")

    def test_dry_run_with_force(self):
        """What can't be carried prevents nothing, and is said."""
        pipe = self.refusal("pipe 3", "what is in a pipe can't be read back")
        ran = run("--dry-run", "--json", "--force", obstacles=[pipe])
        self.check(ran, 0, **AT_SOURCE)
        self.assertEqual(ran.answer["problems"], [])
        self.says(ran, "in spite of it, by --force: process 42 heat: pipe 3: what is in a pipe")

    def test_dry_run_without_an_answer(self):
        ran = run("--dry-run", "--json", fault=(("agent", "prepare"), "fail"))
        self.check(ran, 1, **AT_SOURCE)
        self.says(ran, "told to fail")
        self.assertEqual(len(ran.answer["problems"]), 1)

    def test_dry_run_names_all(self):
        ran = run("--dry-run", "--destination-device", "driver=voodoo2", protocol=3)
        self.assertEqual((ran.code, ran.truth), (1, AT_SOURCE))
        self.says(ran, "voodoo2", "version 3 of the protocol")


run_tests()
