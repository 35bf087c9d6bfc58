#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A live test under SHADOWCL_STORM: the library suspends and resumes by itself at random calls. The
test must pass, no suspend may have been refused, and the storm must have struck: a short test that
comes to few calls is run again, with other random calls, until it has."""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

SEED = 7
TRIES = 60  # a hundred calls are struck at N = 1000 in all but one of 400 times


def run(options, seed):
    """Its exit code, how many cycles and refusals it had, and whether it said so."""
    with tempfile.TemporaryDirectory(prefix="shadowcl-storm-") as work:
        log = Path(work) / "log"
        environment = {**os.environ, "SHADOWCL_STORM": f"{options.every},{seed}",
                       "SHADOWCL_LOG": f"info:{log}"}
        code = subprocess.run([options.command, "run", "--", options.program],
                              env=environment).returncode
        text = log.read_text() if log.exists() else ""
    # What the program's children did is in there too.
    said = re.findall(r"storm: (\d+) cycles, (\d+) refused", text)
    cycles, refused = (sum(int(pair[i]) for pair in said) for i in (0, 1))
    print(f"N={options.every},{seed}: exit code {code}, {cycles} cycles, {refused} refused",
          flush=True)
    for reason in sorted(set(re.findall(r"storm: no .*", text))):
        print(reason)
    return code, cycles, refused, bool(said)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--command", required=True, help="shadowcl")
    parser.add_argument("--every", type=int, required=True, help="N of SHADOWCL_STORM")
    parser.add_argument("program")
    options = parser.parse_args()
    for seed in range(SEED, SEED + TRIES):
        code, cycles, refused, said = run(options, seed)
        if code or refused or not said:
            return 1
        if cycles:
            return 0
    print(f"the storm has not struck in {TRIES} runs")
    return 1


if __name__ == "__main__":
    sys.exit(main())
