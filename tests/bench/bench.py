#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Cost per OpenCL call: natively, under the shim, and under Intel's Intercept Layer where
SHADOWCL_BENCH_CLINTERCEPT names its library. One process of each, a round in turn; several sets of
processes, since addresses differ from one to the next. The minimum of all rounds, and the median of
what each pair of rounds differs by, with its 95 % interval. Calls that wait for the driver must lie
within its noise: how much that is says a second native process in each set. With several threads: the processor time
of each thread per call, so that who waits for a core does not count, and how it grows."""

import argparse
import json
import statistics
import sys

from common import Asked, Sides, conditions, in_turn, load, machine, print_table, spread

# What may be added, ns. The other calls are shown without a limit.
LIMITS = {
    "clSetKernelArg int": 10,
    "clSetKernelArg long": 10,
    "clSetKernelArg same mem": 10,
    "clSetKernelArg other mem": 10,
    "clGetEventInfo": 5,
    "clGetMemObjectInfo": 5,
    "clFlush": 5,
    "retain + release mem": 10,
    "retain + release kernel": 10,
    "retain + release event": 10,
}


# What waits for the driver's worker: whether that sleeps just then is chance, and decides more than
# any library between. No more may be added than two native processes differ by.
IN_NOISE = ("enqueue + finish", "enqueue with event, 64 in a row", "blocking write of 64 bytes")
AGAIN = "native again"


def read_round(process):
    """{call: (wall, cpu)}, ns."""
    times = {}
    line = process.ask()
    while line:
        name, wall, cpu = line.split("\t")
        times[name] = (float(wall), float(cpu))
        line = process.line()
    return times


def measure(sides, threads, sets, rounds):
    """[{side: {call: (wall, cpu)}}], one for each round, the rounds of a set after one another."""
    done = []
    names = [*sides.names, *([AGAIN] if threads == 1 else [])]
    for _ in range(sets):
        running = {name: Asked(sides, "native" if name == AGAIN else name, "bench-calls",
                               *([threads] if threads > 1 else [])) for name in names}
        for number in range(rounds):
            done.append({name: read_round(running[name]) for name in in_turn(names, number)})
        for process in running.values():
            process.end()
    return done


def ratios(rounds, sets, call, side):
    """What `side` takes beyond native, in parts of that: the median of each set of processes. Rounds
    of the same processes say the same thing many times, so it is sets that count."""
    size = len(rounds) // sets
    of_rounds = [each[side][call][0] / each["native"][call][0] - 1 for each in rounds]
    return [statistics.median(of_rounds[i * size:(i + 1) * size]) for i in range(sets)]


def judge_noise(rounds, sets):
    """Outside is what lies, by all of its interval, above the interval of native against native.
    Five sets are too few for an interval: then nothing is judged."""
    rows = []
    for call in IN_NOISE:
        ours = spread(ratios(rounds, sets, call, "shim"))
        noise = spread(ratios(rounds, sets, call, AGAIN))
        outside = None if ours["low"] is None else ours["low"] > max(noise["high"], 0)
        rows.append({"call": call, "shim": ours, "noise": noise, "outside": outside})
    return rows


def summarize(rounds, call, which):
    """`which`: 0 wall, 1 processor."""
    row = {"call": call, "limit_ns": LIMITS.get(call)}
    for side in (side for side in rounds[0] if side != AGAIN):
        row[f"{side}_ns"] = min(each[side][call][which] for each in rounds)
        row[f"{side}_median_ns"] = statistics.median(each[side][call][which] for each in rounds)
        if side != "native":
            row[f"{side}_added_ns"] = row[f"{side}_ns"] - row["native_ns"]
            row[f"{side}_pairs_ns"] = spread([each[side][call][which] - each["native"][call][which]
                                              for each in rounds])
    return row


def scaling(one, many):
    """How much more a call costs on many threads at once: 1 is perfect."""
    return [{"call": a["call"], **{f"{side}_ratio": b[f"{side}_ns"] / a[f"{side}_ns"]
                                   for side in Sides.names},
             **{f"{side}_{count}_ns": row[f"{side}_ns"] for side in Sides.names
                for count, row in (("one", a), ("many", b))}}
            for a, b in zip(one, many)]


def plus(value):
    return f"{value:+.1f}"


def show_calls(rows):
    others = [side for side in Sides.names if side != "native"]
    heads = ["ns per call", "native"]
    for side in others:
        heads += [side, "added", "median added", "95 %"]
    table = []
    for row in rows:
        cells = [row["call"], f"{row['native_ns']:.1f}"]
        for side in others:
            pairs = row[f"{side}_pairs_ns"]
            within = "-" if pairs["low"] is None else f"{plus(pairs['low'])} … {plus(pairs['high'])}"
            cells += [f"{row[f'{side}_ns']:.1f}", plus(row[f"{side}_added_ns"]),
                      plus(pairs["median"]), within]
        missed = row["limit_ns"] and row["shim_added_ns"] > row["limit_ns"]
        table.append([*cells, row["limit_ns"] or "-", "MISSED" if missed else ""])
    print_table([*heads, "limit", ""], table)


def percents(pairs):
    if pairs["low"] is None:
        return f"{100 * pairs['median']:+.1f} %"
    return (f"{100 * pairs['median']:+.1f} % ({100 * pairs['low']:+.1f} … "
            f"{100 * pairs['high']:+.1f})")


def show_noise(rows):
    verdicts = {None: "too few sets", False: "within", True: "OUTSIDE"}
    print_table(["beyond native, median of the sets", "shim", AGAIN, ""],
                [[row["call"], percents(row["shim"]), percents(row["noise"]),
                  verdicts[row["outside"]]] for row in rows])


def show_scaling(threads, rows):
    print_table([f"processor ns per call, 1 and {threads} threads",
                 *(f"{side} {what}" for side in Sides.names for what in ("1", threads, "ratio"))],
                [[r["call"], *(cell for side in Sides.names for cell in (
                    f"{r[f'{side}_one_ns']:.1f}", f"{r[f'{side}_many_ns']:.1f}",
                    f"{r[f'{side}_ratio']:.2f}"))] for r in rows])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build", help="the build's folder (default: build)")
    parser.add_argument("--pairs", type=int, default=7, help="sets of processes (default: 7)")
    parser.add_argument("--rounds", type=int, default=9, help="rounds per set (default: 9)")
    parser.add_argument("--threads", type=int, default=1,
                        help="also on so many threads at once (8 is usual)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    arguments = parser.parse_args()
    with Sides(arguments.build) as sides:
        one = measure(sides, 1, arguments.pairs, arguments.rounds)
        calls = list(one[0]["native"])
        results = [summarize(one, call, 0) for call in calls]
        noise = judge_noise(one, arguments.pairs)
        scaled = []
        if arguments.threads > 1:
            many = measure(sides, arguments.threads, arguments.pairs,
                           max(arguments.rounds // 4, 1))
            scaled = scaling([summarize(one, call, 1) for call in calls],
                             [summarize(many, call, 1) for call in calls])
    missed = [r["call"] for r in results if r["limit_ns"] and r["shim_added_ns"] > r["limit_ns"]]
    missed += [row["call"] for row in noise if row["outside"]]
    if arguments.json:
        print(json.dumps({**machine(arguments.build), "results": results, "missed": missed,
                          "noise": noise, "rounds": len(one), "threads": arguments.threads,
                          "scaling": scaled, "load_after": load()}, indent=2))
        return 1 if missed else 0
    print(conditions(arguments.build))
    show_calls(results)
    print()
    show_noise(noise)
    if scaled:
        print()
        show_scaling(arguments.threads, scaled)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
