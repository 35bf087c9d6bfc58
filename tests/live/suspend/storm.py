#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A live test under SHADOWCL_STORM: the library suspends and resumes by itself at random calls. The
test must pass, the storm must have struck (a short test need not come to so many calls, where it
seldom does), and no suspend may have been refused."""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--command", required=True, help="shadowcl")
    parser.add_argument("--every", type=int, required=True, help="N of SHADOWCL_STORM")
    parser.add_argument("program")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="shadowcl-storm-") as work:
        log = Path(work) / "log"
        environment = {**os.environ, "SHADOWCL_STORM": f"{options.every},7",
                       "SHADOWCL_LOG": f"info:{log}"}
        code = subprocess.run([options.command, "run", "--", options.program],
                              env=environment).returncode
        text = log.read_text() if log.exists() else ""
    # What the program's children did is in there too.
    said = re.findall(r"storm: (\d+) cycles, (\d+) refused", text)
    cycles, refused = (sum(int(pair[i]) for pair in said) for i in (0, 1))
    print(f"N={options.every}: exit code {code}, {cycles} cycles, {refused} refused")
    for reason in sorted(set(re.findall(r"storm: no .*", text))):
        print(reason)
    struck = cycles > 0 or options.every > 7
    return 0 if code == 0 and said and struck and not refused else 1


if __name__ == "__main__":
    sys.exit(main())
