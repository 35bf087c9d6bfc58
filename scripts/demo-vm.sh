#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Shows what shadowcl is for: a virtual machine with a device passed through to it moves to another
# QEMU while a solver runs in it. The solver goes on there, on another device, and ends with the
# same bytes as one that was left alone. No GPU and no KVM is needed: see tests/vm. The first time
# takes some minutes more, to make the guest from Debian's packages.
set -euo pipefail

usage() {
    cat <<END
usage: scripts/demo-vm.sh [--by-hand]

Installs what is missing, builds, and shows the move of a virtual machine.
  --by-hand  only prepares two machines and a program, and says what to type to move it
END
}

cd "$(dirname "$0")/.."
case $* in
'' | --by-hand) ;;
--help | -h) usage && exit 0 ;;
*) usage >&2 && exit 2 ;;
esac

scripts/install-deps.sh --vm
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { cmake --preset release && cmake --build --preset release; } >"$log" 2>&1; then
    cat "$log" >&2
    echo 'demo-vm: the build FAILED (see above)' >&2
    exit 1
fi
exec tests/vm/demo.py --build build "$@"
