#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The command, for programs that suspend themselves through LIVE_COMMAND: at each suspend an image is
saved as well, and rebuilt without the program. Fails where that does not give the same bytes."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

PATIENCE = 120


def rebuild(build, image):
    done = subprocess.run([build / "lib/shadowcl/shadowcl-rebuild", "verify", image, ""],
                          stdout=subprocess.PIPE, text=True, timeout=PATIENCE)
    answer = json.loads(done.stdout)
    right = done.returncode == 0 and not answer["error"] and not answer["missing"]
    if right and all(one["same"] for one in answer["contents"]):
        return 0
    print(f"the image is not what it should be: {answer}", file=sys.stderr)
    return 1


def main():
    build = Path(os.environ["IMAGE_LOAD_BUILD"])
    command = build / "bin/shadowcl"
    code = subprocess.run([command, *sys.argv[1:]], timeout=PATIENCE).returncode
    if code != 0 or sys.argv[1] != "suspend":
        return code
    with tempfile.TemporaryDirectory(prefix="shadowcl-image-load-") as work:
        image = Path(work) / "image"
        code = subprocess.run([command, "save", sys.argv[2], image], timeout=PATIENCE).returncode
        return code or rebuild(build, image)


if __name__ == "__main__":
    sys.exit(main())
