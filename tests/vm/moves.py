# SPDX-License-Identifier: Apache-2.0
"""Moves that go well."""
from lab import MIB
from move import FILTER, HEAT, NBODY, Move


def one_move(lab):
    """One program, one move."""
    lab.reference(*HEAT)
    with Move(lab) as move:
        move.start("heat", HEAT, steps=100)
        move.moved(move.migrate())
        move.finish()


def three_programs(lab):
    """Three programs at once, one of them pyopencl's."""
    for command in (HEAT, NBODY, FILTER):
        lab.reference(*command)
    with Move(lab) as move:
        for name, command in (("heat", HEAT), ("nbody", NBODY), ("filter", FILTER)):
            move.start(name, command)
        # One of them may be inside a call that takes long here.
        move.moved(move.migrate("--deadline", "90"))
        move.finish()


def there_and_back(lab):
    """To the other machine and back, five times, each time to a device of another size."""
    heat = ["sample-heat", "--steps", "12000"]
    lab.reference(*heat)
    with Move(lab) as move:
        move.start("heat", heat, steps=100)
        for hop in range(10):
            move.destination((32 << hop % 4) * MIB)
            move.moved(move.migrate())
            move.alive()
        move.finish()
