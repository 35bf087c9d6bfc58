# SPDX-License-Identifier: Apache-2.0
"""A monitor that is lost while the guest runs on, agents that are busy, devices that leave or come
of themselves: what can go on does so, and what can't is said."""
import json
import shlex

from fake import LIMITS
from harness import AT_DESTINATION, AT_SOURCE, Case, run, run_tests

OLD_QEMU = ("late-block-activate",)


def sent(ran, command):
    return [machine for machine, name in ran.world.commands if name == command]


class Busy(Case):
    def test_with_the_same(self):
        """A command is sent again while it takes its time: the agent may call itself busy."""
        ran = run("--json", suspend_time=3, answers_busy=True)
        self.check(ran, 0, **AT_DESTINATION)

    def test_after_its_restart(self):
        """An agent that was started anew resumes what one before it has left."""
        ran = run("--json", "--timeout", "5", recovering=2)
        self.check(ran, 0, **AT_DESTINATION)

    def test_for_too_long(self):
        """That is an answer, too."""
        ran = run("--json", recovering=1000)
        self.check(ran, 1, **AT_SOURCE)
        self.says(ran, "`resume` is at work")


    def test_with_the_suspend_of_another_host(self):
        """It is not ours to withdraw, and nothing of ours is to be undone."""
        ran = run("--json", is_suspended_by_another=True)
        self.assertEqual((ran.code, ran.answer["state"]["programs"]), (1, "unknown"), ran.stderr)
        self.says(ran, "`suspend` is at work")
        self.assertFalse(ran.world.agent.cancelled.is_set())
        self.assertNotIn("undo", self.phases(ran))

    def test_refused_at_once(self):
        ran = run("--json", refuses_suspend=True)
        self.check(ran, 1, **AT_SOURCE)
        self.says(ran, "it is stuck")
        self.assertEqual([name for name, _ in ran.world.agent.calls][-1], "suspend")
        self.assertNotIn("undo", self.phases(ran))


class Monitor(Case):
    def test_lost_before_unplug(self):
        """The device is in the guest: nobody waits for a monitor."""
        ran = run("--json", suspend_time=0.5,
                  fault=(("agent", "suspend"), "source's monitor lost"))
        self.check(ran, 1, **AT_SOURCE)
        self.says(ran, "source: its monitor .* was closed", "its guest's agent does")

    def test_hangs_before_unplug(self):
        """The programs are suspended, and neither the agent says so nor the monitor anything."""
        ran = run("--json", "--deadline", "0.3", fault=(("agent", "suspend"), "source deaf"))
        self.check(ran, 1, **AT_SOURCE)
        self.assertIn("resume", [name for name, _ in ran.world.agent.calls])

    def test_lost_before_unplug_of_vm_suspend(self):
        ran = run("--json", suspend_time=0.5, verb="vm-suspend",
                  fault=(("agent", "suspend"), "source's monitor lost"))
        self.assertEqual((ran.code, ran.truth), (1, AT_SOURCE))
        self.assertEqual(ran.answer["state"]["programs"], "running")

    def test_lost_at_unplug(self):
        """The device may go at any moment: the programs wait, and it is said how they go on."""
        ran = run("--json", fault=(("source", "device_del"), "monitor lost"))
        self.assertEqual((ran.code, ran.truth["programs"]), (1, "suspended"))
        self.assertEqual(ran.answer["state"], {"guest": "source", "device": "leaving",
                                               "programs": "suspended"})
        self.says(ran, "to do: when the device can be had: shadowcl vm-resume .*--device-options")

    def test_lost_while_waiting_for_a_late_guest(self):
        """Nobody is resumed on a device that may go at any moment."""
        ran = run("--json", unplug=None, monitor_lost_after=0.4,
                  fault=(("source", "device_del"), "interrupt"))
        self.assertEqual((ran.code, ran.truth["programs"]), (1, "suspended"), ran.stderr)
        self.assertEqual(ran.answer["state"], {"guest": "source", "device": "leaving",
                                               "programs": "suspended"})

    def test_ends_while_waiting_for_a_late_guest(self):
        ran = run("--json", unplug=None, ends_after=0.4,
                  fault=(("source", "device_del"), "interrupt"))
        self.assertEqual((ran.code, ran.answer["state"]["guest"]), (1, "unknown"), ran.stderr)
        self.says(ran, "the guest was at the source, whose monitor does not answer any more")

    def test_lost_just_before_unplug(self):
        """Nobody has asked the device to leave: the programs go on with it."""
        ran = run("--json", fault=(("agent", "suspend"), "with the monitor's loss"))
        self.check(ran, 1, **AT_SOURCE)

    def test_interrupted_just_before_unplug(self):
        """Nor is it waited for, or listened for."""
        ran = run("--json", fault=(("agent", "suspend"), "with an interruption"))
        self.check(ran, 1, **AT_SOURCE)
        self.assertEqual(sent(ran, "device_del"), [])
        self.assertNotIn("linger", self.phases(ran))

    def test_source_ends(self):
        ran = run("--json", fault=(("source", "device_del"), "die"))
        self.assertEqual(ran.code, 1)
        self.says(ran, "the guest was at the source", "`gpu0` was asked to leave",
                  "programs may be suspended", "shadowcl resume --all", "shadowcl vm-resume")

    def test_lost_after_the_copy(self):
        """A destination that has all of the guest holds its disks: it is reached again and ended."""
        ran = run("--json", fault=(("destination", "query-status", 1), "drop"))
        self.check(ran, 1, **AT_SOURCE)
        self.assertEqual(sent(ran, "quit"), ["destination"])

    def test_gone_after_the_copy(self):
        ran = run("--json", fault=(("destination", "query-status", 1), "monitor lost"))
        self.check(ran, 1, **AT_SOURCE)
        self.says(ran, "has a copy of the guest, stopped: end it")

    def test_disks_of_a_destination_that_ends(self):
        """One that takes them when the guest has come lets them go as it ends, and later."""
        for quit_time, disks_time in ((0.5, 0), (0, 0.5)):
            ran = run("--json", unknown_capabilities=OLD_QEMU, quit_time=quit_time,
                      disks_time=disks_time, fault=(("destination", "cont"), "fail"))
            self.check(ran, 1, **AT_SOURCE)

    def test_disks_are_left_until_it_runs(self):
        ran = run("--json", fault=(("destination", "cont"), "fail"))
        self.assertEqual(ran.world.destination.capabilities["late-block-activate"], True)
        self.assertNotIn("late-block-activate", ran.world.source.capabilities)

    def test_disks_are_never_let_go(self):
        """What is to be typed is said, in its order."""
        ran = run("--json", unknown_capabilities=OLD_QEMU,
                  fault=(("destination", "query-status", 1), "monitor lost"))
        self.check(ran, 1, guest="source", device="nowhere", programs="suspended")
        self.assertEqual(ran.status, "postmigrate")
        self.says(ran, "the guest does not run: source: .*write. lock",
                  'stands still at the source: .*source.qmp`: .*"cont".*shadowcl vm-resume')

    def test_lost_while_listening_for_a_late_guest(self):
        ran = run("--json", "--linger", "2", unplug=None,
                  fault=(("agent", "resume"), "source's monitor lost"))
        self.assertEqual((ran.code, ran.truth["programs"]), (1, "running"))
        self.assertEqual(ran.answer["state"]["programs"], "running")
        self.says(ran, "not seen whether the guest lets the device go")

    def test_source_ends_when_it_has_sent_all(self):
        """The destination has not taken all in yet, and is asked until it has."""
        ran = run("--json", ends_with_all=True, arrival_time=0.5)
        self.check(ran, 0, **AT_DESTINATION)

    def test_source_ends_half_way(self):
        """The destination ends then too."""
        ran = run("--json", migration_time=5, ends_half_way=0.5, destination_dies=1)
        self.assertEqual((ran.code, ran.answer["state"]["guest"]), (1, "unknown"), ran.stderr)
        self.says(ran, "source: its monitor .* was closed")

    def test_source_ends_half_way_unheard(self):
        """Its host has lost its power: the destination goes on waiting, and nobody else does."""
        ran = run("--json", migration_time=5, ends_half_way=0.5)
        self.assertEqual((ran.code, ran.answer["state"]["guest"]), (1, "unknown"), ran.stderr)

    def test_refuses_to_tell_of_the_migration(self):
        ran = run("--json", migration_time=0.5, fault=(("source", "query-migrate"), "fail"))
        self.check(ran, 1, **AT_SOURCE)
        self.says(ran, "source: QEMU refused `query-migrate`: told to fail")


class Settings(Case):
    """What QEMU keeps from one try to the next."""

    def test_multifd_of_an_earlier_try(self):
        ran = run("--json", source_capabilities={"multifd": True})
        self.check(ran, 0, **AT_DESTINATION)

    def test_qemu_without_multifd(self):
        self.check(run("--json", unknown_capabilities=("multifd",)), 0, **AT_DESTINATION)
        ran = run("--json", "--multifd", "4", unknown_capabilities=("multifd",))
        self.check(ran, 1, **AT_SOURCE)
        self.says(ran, "does not accept 'multifd'")

    def test_are_as_before_after_a_failure(self):
        ran = run("--json", "--bandwidth", "1M", "--downtime-limit", "5", "--multifd", "4",
                  "--migrate-timeout", "0.3", migration_time=30)
        self.check(ran, 1, **AT_SOURCE)
        self.assertEqual(ran.world.source.limits, LIMITS)
        self.assertFalse(ran.world.source.capabilities["multifd"])


class Device(Case):
    NO_SLOT = ["--destination-device", "driver=ivshmem-plain,memdev=mem-gpu"]

    def test_plugged_and_not_seen(self):
        """The agent does not find it; the programs do."""
        ran = run("--json", fault=(("agent", "device-wait"), "fail", "always"))
        self.check(ran, 1, **AT_DESTINATION)

    def test_plugged_and_not_located(self):
        ran = run("--json", *self.NO_SLOT, fault=(("destination", "query-pci"), "fail", "always"))
        self.check(ran, 1, **AT_DESTINATION)

    def test_asked_to_leave_before(self):
        ran = run("--json", unplug=0.3, is_leaving=True)
        self.check(ran, 0, **AT_DESTINATION)

    def test_asked_to_leave_before_and_stays(self):
        """What is refused as asked already is still awaited, and may still be done."""
        ran = run("--json", unplug=0.8, is_leaving=True)
        self.check(ran, 1, **AT_SOURCE)
        self.says(ran, "let the device go, late")

    def test_gone_before(self):
        ran = run("--json", vanishes=True)
        self.check(ran, 0, **AT_DESTINATION)

    def test_takes_long_to_be_plugged_in(self):
        """All of a guest's memory is pinned for it: longer than any other command may take."""
        ran = run("--json", plug_time=32, has_limit=False)
        self.check(ran, 0, **AT_DESTINATION)

    def test_takes_long_to_be_plugged_in_and_is_interrupted(self):
        """QEMU answers nothing before that has ended; then it is seen that the device is there."""
        ran = run("--json", plug_time=32, has_limit=False,
                  fault=(("destination", "device_add"), "interrupt at once"))
        self.check(ran, 1, **AT_DESTINATION)

    def test_refused_for_a_moment_on_the_way_back(self):
        ran = run("--json", "--migrate-timeout", "0.3", migration_time=30, device_refusals=3)
        self.check(ran, 1, **AT_SOURCE)


def resumes(ran):
    return [name for name, _ in ran.world.agent.calls].count("resume")


class Ready(Case):
    """A device that the guest lists has no driver yet, and then no nodes."""

    def test_is_awaited(self):
        ran = run("--json", ready_time=0.6)
        self.check(ran, 0, **AT_DESTINATION)
        self.assertGreater(resumes(ran), 1)

    def test_is_awaited_on_the_way_back(self):
        ran = run("--json", "--migrate-timeout", "0.3", migration_time=30, ready_time=0.6)
        self.check(ran, 1, **AT_SOURCE)

    def test_is_awaited_up_to_the_limit(self):
        """The last try is when the time is over, not when the next pause would be too long."""
        ran = run("--json", "--timeout", "4", ready_time=2.5)
        self.check(ran, 0, **AT_DESTINATION)

    def test_refused_for_good(self):
        """A device that lacks something will lack it later: it is said at once, and not asked again."""
        ran = run("--json", "--timeout", "20", never=["gpu:0"])
        self.check(ran, 1, guest="destination", device="plugged", programs="suspended")
        self.says(ran, "process 42: kernel `solve`: gpu:0 has no fp64", "to do: name another",
                  "shadowcl vm-resume")
        self.assertEqual(resumes(ran), 1)
        self.assertLess(sum(phase["ms"] for phase in ran.answer["phases"]), 5000)

    def test_refused_for_good_on_the_device_that_was_named(self):
        """They have the one that they had, at once."""
        ran = run("--json", "--timeout", "20", "--resume-device", "pocl:0", never=["pocl:0"])
        self.check(ran, 1, **AT_DESTINATION)
        self.says(ran, "pocl:0 has no fp64", "so on the one they had")
        self.assertEqual(resumes(ran), 2)
        self.assertLess(sum(phase["ms"] for phase in ran.answer["phases"]), 5000)

    def test_refused_for_good_by_vm_resume(self):
        ran = run("--json", "--timeout", "20", verb="vm-resume", state="suspended", never=["gpu:0"])
        self.assertEqual((ran.code, ran.truth["programs"]), (1, "suspended"), ran.stderr)
        self.assertEqual(resumes(ran), 1)
        self.assertLess(sum(phase["ms"] for phase in ran.answer["phases"]), 5000)

    def test_never(self):
        """What was refused last is said, and the programs keep their state."""
        ran = run("--json", ready_time=100)
        self.check(ran, 1, guest="destination", device="plugged", programs="suspended")
        self.says(ran, "process 42: no device gpu:0")
        self.assertLess(resumes(ran), 6)

    def test_driver_is_awaited(self):
        """Each resume that fails costs a program something: none is tried too early."""
        ran = run("--json", ready_time=0.7, kernel_has_driver=True, driver_time=0.7)
        self.check(ran, 0, **AT_DESTINATION)
        self.assertEqual(resumes(ran), 1)

    def test_driver_that_hooks_may_bring(self):
        ran = run("--json", kernel_has_driver=True, driver_time=None, hooks=["50-kernel-driver"])
        self.check(ran, 0, **AT_DESTINATION)
        self.assertNotIn("no driver for", ran.stderr)

    def test_driver_never_comes(self):
        """The programs are resumed all the same."""
        ran = run("--json", kernel_has_driver=True, driver_time=None)
        self.check(ran, 0, **AT_DESTINATION)
        self.says(ran, "the guest's kernel has no driver for 0000:00:05.0")


class Said(Case):
    def test_what_comes_from_the_guest_is_quoted(self):
        """A name with a quote in it ends no word of the command that is printed."""
        ran = run("--json", "--meanwhile", "pocl:0", no_device="destination",
                  place="o'gpu; date #:0")
        self.assertEqual(ran.code, 1)
        words = shlex.split(ran.stderr.split("can be had: ")[1].splitlines()[0])
        self.assertEqual(json.loads(words[words.index("--resume-map") + 1]),
                         {"42": "o'gpu; date #:0"})

    def test_what_comes_from_the_guest_is_safe_for_a_terminal(self):
        for nth in range(2):
            ran = run("--json", fault=(("agent", "status", nth), ({"state": "\x1b[31mred"},)))
            self.assertEqual(ran.code, 1)
            self.says(ran, "programs are `.*red`")
            self.assertNotIn("\x1b", ran.stderr)


run_tests()
