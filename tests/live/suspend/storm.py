#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A live test under SHADOWCL_STORM: the library suspends and resumes by itself at random calls. The
test must pass, no suspend may have been refused, and the storm must have struck: a short test that
comes to few calls is run again, with other random calls, until it has. When its time is up it is
ended, and the end of its log is shown."""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SEED = 7
TRIES = 60  # a hundred calls are struck at N = 1000 in all but one of 400 times
TAIL = 30  # lines of a log


def end_of(command, environment, deadline):
    """Its exit code; none: it was ended."""
    try:
        return subprocess.run(command, env=environment,
                              timeout=max(deadline - time.monotonic(), 1)).returncode
    except subprocess.TimeoutExpired:
        return None


def run(options, seed, deadline):
    """Its exit code, how many cycles and refusals it had, and whether it said so."""
    with tempfile.TemporaryDirectory(prefix="shadowcl-storm-") as work:
        log = Path(work) / "log"
        environment = {**os.environ, "SHADOWCL_STORM": f"{options.every},{seed}",
                       "SHADOWCL_LOG": f"info:{log}"}
        code = end_of([options.command, "run", "--", options.program], environment, deadline)
        text = log.read_text() if log.exists() else ""
    # What the program's children did is in there too.
    said = re.findall(r"storm: (\d+) cycles, (\d+) refused", text)
    cycles, refused = (sum(int(pair[i]) for pair in said) for i in (0, 1))
    print(f"N={options.every},{seed}: exit code {code}, {cycles} cycles, {refused} refused",
          flush=True)
    for reason in sorted(set(re.findall(r"storm: no .*", text))):
        print(reason)
    if code != 0:
        print("its log ends:" if code is not None else "it was still running; its log ends:",
              *text.splitlines()[-TAIL:], sep="\n", flush=True)
    return code, cycles, refused, bool(said)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--command", required=True, help="shadowcl")
    parser.add_argument("--every", type=int, required=True, help="N of SHADOWCL_STORM")
    parser.add_argument("--patience", type=float, required=True, help="seconds, for all runs")
    parser.add_argument("program")
    options = parser.parse_args()
    deadline = time.monotonic() + options.patience
    for seed in range(SEED, SEED + TRIES):
        code, cycles, refused, said = run(options, seed, deadline)
        if code != 0 or refused or not said:
            return 1
        if cycles:
            return 0
    print(f"the storm has not struck in {TRIES} runs")
    return 1


if __name__ == "__main__":
    sys.exit(main())
