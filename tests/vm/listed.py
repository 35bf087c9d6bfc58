#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Each scenario is run by CTest, and has its row in README.md; those that docs/vm.md names for a fault
are there, and all of faults.py are named. Called with the build tree."""
import json
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
NOT_SCENARIOS = {"prepare"}
VERBS = {"migrate", "suspend", "resume"}  # `vm-migrate`, and so on


def read(*path):
    with open(os.path.join(HERE, *path), encoding="utf-8") as file:
        return file.read()


def run(*command):
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=True, timeout=60).stdout


def registered(build):
    """Names and labels of CTest's tests of virtual machines."""
    tests = json.loads(run("ctest", "--test-dir", build, "--show-only=json-v1"))["tests"]
    found = {}
    for test in tests:
        labels = [each["value"] for each in test["properties"] if each["name"] == "LABELS"]
        if test["name"].startswith("vm-") and "vm" in sum(labels, []):
            found[test["name"].removeprefix("vm-")] = labels[0]
    return found


def differences(build):
    scenarios = {line.split()[0] for line in run(sys.executable, "-B", f"{HERE}/vm.py",
                                                 "--list").splitlines()}
    faults = {name.replace("_", "-") for name in re.findall(r"^def (\w+)\(lab\):",
                                                            read("faults.py"), re.MULTILINE)}
    tests = registered(build)
    rows = set(re.findall(r"^\| `([a-z-]+)` \|", read("README.md"), re.MULTILINE))
    named = set(re.findall(r"`vm-([a-z-]+)`", "\n".join(
        line for line in read("..", "..", "docs", "vm.md").splitlines() if line.startswith("| ")))) - VERBS
    assert len(scenarios) > 15 and len(faults) > 10 and len(named) > 10, "nothing is compared"
    yield "in vm.py and not in CTest", scenarios - set(tests)
    yield "in CTest and not in vm.py", set(tests) - scenarios - NOT_SCENARIOS
    yield "without the label `long`", {name for name in faults if "long" not in tests.get(name, [])}
    yield "not in README.md", scenarios - rows
    yield "in README.md and no scenario", rows - scenarios
    yield "of faults.py and not in docs/vm.md", faults - named
    yield "in docs/vm.md and no scenario", named - scenarios


def main():
    wrong = [f"{what}: {', '.join(sorted(names))}" for what, names in differences(sys.argv[1]) if names]
    print("\n".join(wrong) or "all are listed")
    return 1 if wrong else 0


sys.exit(main())
