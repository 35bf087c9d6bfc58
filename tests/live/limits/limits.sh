#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Programs under storm where membarrier is refused, from the start or from some moment on, and where
# address space is short: the same answer as natively, and the log tells which way was taken. Mapped
# pointers are made in one way and in the other.
set -u
build=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export POCL_CACHE_DIR=$build/pocl-cache SHADOWCL_RUNTIME_DIR=$work SHADOWCL_DRIVERS=libpocl.so.2
export OCL_ICD_VENDORS=libpocl.so.2
mkdir -p "$POCL_CACHE_DIR"
failed=0

# native PROGRAM…: what is run by `check` from here on.
native() {
    program=("$@")
    expected=$("${program[@]}" 2>/dev/null)
}

# check NAME MAPPING LOG_PATTERN PREFIX…: run with the prefix before the program.
check() {
    local name="$1, $2" mapping=$2 pattern=$3 log=$work/log answer
    shift 3
    rm -f "$log"
    answer=$(SHADOWCL_MAPPING=$mapping SHADOWCL_STORM=7 SHADOWCL_LOG=debug:$log "$@" \
        "$build/bin/shadowcl" run -- "${program[@]}" 2>"$work/stderr")
    if [[ $answer == "$expected" ]] && grep -q "$pattern" "$log" &&
        grep -Eq 'storm: [1-9][0-9]* cycles, 0 refused' "$log"; then
        echo "ok     $name: $(grep -o "$pattern.*" "$log" | head -n 1), $(grep -o 'storm: .*' "$log")"
    else
        echo "FAILED $name: native <$expected>, here <$answer>"
        tail -n 5 "$work/stderr" "$log"
        failed=1
    fi
}

native "$build/bin/sample-graph" --size 512 --repeat 12 || exit 1
check 'no limits' shared 'membarrier$' env
check 'membarrier refused' shared 'fences (membarrier is not allowed)' "$build/bin/deny_membarrier"
check 'membarrier refused' copy 'fences (membarrier is not allowed)' "$build/bin/deny_membarrier"
if [[ ${LIMITS_SKIP:-} != space ]]; then
    check 'ulimit -v 8 GiB' shared 'room for 2097152 objects' prlimit --as=8589934592
    check 'ulimit -v 3 GiB' copy 'room for 524288 objects' prlimit --as=3221225472
fi

native "$build/bin/deny_membarrier_late"
case $? in
0)
    for mapping in shared copy; do
        check 'membarrier refused later' $mapping 'membarrier is not allowed any more' env
    done
    ;;
77) echo 'skipped: a filter can not be set here' ;;
*) failed=1 ;;
esac
exit $failed
