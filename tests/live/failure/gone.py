#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A resume without a driver, or a device, that nothing of the program's uses: each call that would
reach it ends with an error that the specification names, and all is answered again once it is
back."""

import sys

from harness import Machine, Victim, main

NAMES = ("first GPU", "second GPU")
NOT_FOUND, NOT_AVAILABLE = -1, -2  # CL_DEVICE_NOT_FOUND, CL_DEVICE_NOT_AVAILABLE


class Removable(Machine):
    """Its driver can be taken away."""

    def take_away(self):
        self.kept = self.work / "kept"
        self.driver.rename(self.kept)

    def put_back(self):
        self.kept.rename(self.driver)


def cycle(victim, between, *arguments):
    victim.suspend()
    between()
    victim.resume(*arguments)


def platform_is_gone(build):
    """Known devices."""
    with Removable(build, devices=2, names=NAMES) as machine, \
            Victim(machine, program="asker") as victim:
        victim.do("list")
        cycle(victim, machine.take_away)
        victim.do("gone")
        victim.do(f"type {NOT_AVAILABLE}")
        cycle(victim, lambda: None)
        victim.do("gone", "at a second resume")
        cycle(victim, machine.put_back)
        for word in ("there", "type 0", "open", "step"):
            victim.do(word, "back again")
        cycle(victim, lambda: None)
        victim.do("step")


def platform_is_gone_before_its_devices_were_asked_for(build):
    with Removable(build, devices=2, names=NAMES) as machine, \
            Victim(machine, program="asker") as victim:
        cycle(victim, machine.take_away)
        for word in ("platform", "unlisted", f"type {NOT_FOUND}", "unlisted"):
            victim.do(word)
        cycle(victim, machine.put_back)
        for word in ("list", "there", "type 0", "open", "step"):
            victim.do(word, "back again")


def device_is_gone(build):
    """Its driver is there."""
    with Removable(build, devices=2, names=NAMES) as machine, \
            Victim(machine, program="asker") as victim:
        victim.do("list")
        cycle(victim, machine.nodes[1].unlink)
        victim.do("unplugged")
        victim.do("open")
        victim.do("step")
        cycle(victim, lambda: machine.plug(machine.nodes[1]))
        victim.do("there")
        victim.do("step")


def program_has_moved_away(build):
    """The main use: what it computes goes on elsewhere, and the GPU is taken out."""
    settings = {"RUSTICL_ENABLE": "llvmpipe", "OCL_ICD_PLATFORM_SORT": "none"}
    with Removable(build, devices=2, names=NAMES, environment=settings) as machine:
        machine.environment["SHADOWCL_DRIVERS"] += ":libRusticlOpenCL.so.1"
        with Victim(machine, program="asker") as victim:
            for word in ("list", "open", "step"):
                victim.do(word)
            victim.move("rusticl:0")
            victim.do("step", "moved")
            cycle(victim, machine.take_away)
            for word in ("step", "gone", "type 0", "step"):
                victim.do(word, "its driver is gone")
            cycle(victim, machine.put_back, "--device", "first GPU")
            for word in ("step", "there", "type 0"):
                victim.do(word, "back again")


TESTS = (platform_is_gone, platform_is_gone_before_its_devices_were_asked_for, device_is_gone,
         program_has_moved_away)


if __name__ == "__main__":
    sys.exit(main(TESTS))
