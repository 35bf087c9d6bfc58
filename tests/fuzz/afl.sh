#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Fuzzes the image reader by AFL++ (scripts/install-deps.sh --fuzz), from the same recipes as
# libFuzzer does. What it finds stays in FOLDER, and is tried by `build-afl/bin/fuzz_image FILE`.
set -euo pipefail
cd "$(dirname "$0")/../.."

usage() {
    echo 'usage: tests/fuzz/afl.sh [--seconds N] [--folder FOLDER]'
}

seconds=60
folder=build-afl/found
while (($#)); do
    case $1 in
    --seconds) seconds=$2 && shift 2 ;;
    --folder) folder=$2 && shift 2 ;;
    --help | -h) usage && exit 0 ;;
    *) usage >&2 && exit 2 ;;
    esac
done

command -v afl-clang-fast afl-fuzz >/dev/null || {
    echo 'afl.sh: AFL++ is not there: scripts/install-deps.sh --fuzz' >&2
    exit 1
}
export AFL_QUIET=1
cmake --preset clang -B build-afl -DCMAKE_C_COMPILER=afl-clang-fast >/dev/null
cmake --build build-afl --target fuzz_image image_corpus_files

# It is no machine of its own: no core pattern, no governor. 0: the sanitizers need address space.
export AFL_NO_UI=1 AFL_SKIP_CPUFREQ=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 AFL_NO_AFFINITY=1
export AFL_AUTORESUME=1
mkdir -p "$folder"
afl-fuzz -i build-afl/tests/fuzz/corpus/image -o "$folder" -V "$seconds" -m none -t 10000 \
    -G 8192 -- build-afl/bin/fuzz_image >"$folder/log" 2>&1 || {
    tail -n 30 "$folder/log" >&2
    exit 1
}
grep -E '^(execs_done|execs_per_sec|corpus_count|saved_crashes|saved_hangs|edges_found) ' \
    "$folder/default/fuzzer_stats"
grep -qE '^saved_crashes +: 0$' "$folder/default/fuzzer_stats"
