#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A sample under storm where membarrier is refused, and where address space is short: the same digest
# as natively, and the log tells which way was taken.
set -u
build=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export POCL_CACHE_DIR=$build/pocl-cache SHADOWCL_RUNTIME_DIR=$work SHADOWCL_DRIVERS=libpocl.so.2
export OCL_ICD_VENDORS=libpocl.so.2
mkdir -p "$POCL_CACHE_DIR"
sample=("$build/bin/sample-graph" --size 512 --repeat 12)
native=$("${sample[@]}" 2>/dev/null) || exit 1
failed=0

# check NAME LOG_PATTERN PREFIX…: run with the prefix before the sample.
check() {
    local name=$1 pattern=$2 log=$work/log answer
    shift 2
    rm -f "$log"
    answer=$(SHADOWCL_STORM=7 SHADOWCL_LOG=debug:$log "$@" "$build/bin/shadowcl" run -- \
        "${sample[@]}" 2>"$work/stderr")
    if [[ $answer == "$native" ]] && grep -q "$pattern" "$log" &&
        grep -Eq 'storm: [1-9][0-9]* cycles, 0 refused' "$log"; then
        echo "ok     $name: $(grep -o "$pattern.*" "$log" | head -n 1), $(grep -o 'storm: .*' "$log")"
    else
        echo "FAILED $name: native <$native>, here <$answer>"
        tail -n 5 "$work/stderr" "$log"
        failed=1
    fi
}

check 'no limits' 'membarrier$' env
check 'membarrier refused' 'fences (membarrier is not allowed)' "$build/bin/deny_membarrier"
if [[ ${LIMITS_SKIP:-} != space ]]; then
    check 'ulimit -v 8 GiB' 'room for 2097152 objects' prlimit --as=8589934592
    check 'ulimit -v 3 GiB' 'room for 524288 objects' prlimit --as=3221225472
fi
exit $failed
