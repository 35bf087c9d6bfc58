#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A setuid program takes no setting of ours from the environment of whoever runs it.

test_setuid.py LIBRARY DRIVER COMPILER SOURCE
The program is built here, since its library must be found by an absolute path: nothing else counts
in such a process. To be run as root; otherwise it is skipped (77).
"""
import os
import shutil
import subprocess
import sys
import tempfile

NOBODY = 65534
SETTINGS = ("LD_PRELOAD", "LD_LIBRARY_PATH", "OCL_ICD_VENDORS", "OCL_ICD_FILENAMES",
            "OPENCL_VENDOR_PATH")


def skip(why):
    print(f"skipped: {why}")
    sys.exit(77)


def build(folder, library, compiler, source):
    shutil.copy(library, os.path.join(folder, "libOpenCL.so.1"))
    program = os.path.join(folder, "plain")
    subprocess.run([compiler, source, "-o", program, "-DCL_TARGET_OPENCL_VERSION=120", os.path.join(folder, "libOpenCL.so.1"),
                    f"-Wl,-rpath,{folder}"], check=True)
    setuid = os.path.join(folder, "setuid")
    shutil.copy(program, setuid)
    os.chmod(setuid, 0o4755)
    return program, setuid


def run(program, environment, *folders):
    """As another user: {what: [values]}"""
    done = subprocess.run([program, *folders], env=environment, capture_output=True, text=True,
                          user=NOBODY, group=NOBODY, extra_groups=[], cwd="/", timeout=120)
    if done.returncode != 0:
        raise SystemExit(f"FAILED: {program}: {done.returncode}: {done.stderr}")
    found = {}
    for line in done.stdout.splitlines():
        what, value = line.split(" ", 1)
        found.setdefault(what, []).append(value)
    return found


def main(library, driver, compiler, source):
    if os.geteuid() != 0:
        skip("only root can make a program setuid for another user")
    folder = tempfile.mkdtemp(prefix="shadowcl-setuid-", dir="/tmp")
    try:
        if os.statvfs(folder).f_flag & os.ST_NOSUID:
            skip("/tmp is mounted nosuid")
        os.chmod(folder, 0o755)
        return compare(folder, driver, *build(folder, library, compiler, source))
    finally:
        shutil.rmtree(folder)


def compare(folder, driver, plain, setuid):
    logs, sockets, cache = (os.path.join(folder, name) for name in ("logs", "sockets", "cache"))
    for name in (logs, sockets, cache):
        os.mkdir(name)
        os.chown(name, NOBODY, NOBODY)
    shutil.copytree(os.path.dirname(driver), os.path.join(folder, "driver"))
    driver = os.path.join(folder, "driver", os.path.basename(driver))
    without = {name: value for name, value in os.environ.items()
               if name not in SETTINGS and not name.startswith("SHADOWCL_")}
    without |= {"HOME": cache, "POCL_CACHE_DIR": cache}
    ours = ["shadowcl test platform"]
    failed = False
    for name in ("SHADOWCL_DRIVERS", "OCL_ICD_VENDORS", "OCL_ICD_FILENAMES"):
        settings = without | {name: driver, "SHADOWCL_LOG": f"debug:{logs}/log",
                              "SHADOWCL_RUNTIME_DIR": sockets}
        # Their user's own settings count where the program is not setuid: the test can fail.
        heard = run(plain, settings, logs, sockets)
        wanted = {"secure": ["0"], logs: ["1"], sockets: ["1"]}
        told = heard.get("platform")
        right = (ours[0] in told if name == "OCL_ICD_FILENAMES" else told == ours) and \
            all(heard[key] == value for key, value in wanted.items())
        for left in os.listdir(logs):
            os.unlink(os.path.join(logs, left))
        deaf, usual = run(setuid, settings, logs, sockets), run(setuid, without, logs, sockets)
        right = right and deaf == usual and deaf["secure"] == ["1"] and \
            ours[0] not in deaf["platform"] and deaf[logs] == deaf[sockets] == ["0"]
        print(f"{'ok    ' if right else 'FAILED'} {name}: {heard}, setuid {deaf}, without it {usual}")
        failed = failed or not right
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
