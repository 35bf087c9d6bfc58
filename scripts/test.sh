#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Installs what is missing, builds, and runs every short test and check. Every stage is run even
# when one before it failed; the tests of the ordinary build come last, so that their summary ends
# the output.
set -uo pipefail

usage() {
    cat <<END
usage: scripts/test.sh [STAGE...]

Stages, all of them by default:
  format  the layout of the source files (clang-format)
  clang   builds with clang; warnings are errors; fuzzes what reads foreign input, for a short while
  tidy    clang-tidy over the sources
  asan    builds with the address and undefined-behaviour sanitizers and tests
  tsan    builds with the thread sanitizer and tests
  apps    real programs from Debian's packages, in their short form, with the tests of \`gcc\`
  vm      a virtual machine moves to another QEMU, with the tests of \`gcc\` (x86_64)
  gcc     builds with gcc and runs every short test

The output of each stage is kept in build/logs.
END
}

all=(format clang tidy asan tsan apps vm gcc)
# A short selection where everything is several times slower: every matter once, under one sanitizer
# or the other.
sanitized='driver|check-calls|unit/.*|agent/commands|live-(query|reach|control).*'
for_addresses='cli/(run|answers|directories|all_or_none)|agent/(repeats|restart|hostile)'
for_addresses+='|live-sample-graph-pocl-copy|live-suspend-.*-pocl-copy'
for_addresses+='|live-suspend-events-testdriver-storm-7-auto'
for_threads='agent/(hooks|residue|port)|live-sample-mapped-testdriver-shared'
# (The other programs start no thread, and are looked at under the other sanitizer.)
for_threads+='|live-suspend-(buffers|chains|command_buffers|events|handles|kernels|launches|maps|partial'
for_threads+='|printf|process|programs|svm|threads|uses)-pocl-shared|live-suspend-threads-testdriver-storm-7-auto'
for_threads+='|live/moments-threads-shared'
# Everywhere a test that fails is run once more, and both runs are shown: pocl aborts now and then
# under what the tests do. A test that needs it is worth a look.
logs=build/logs

cd "$(dirname "$0")/.." || exit 1
# Half of the time tests wait for what hangs, or takes long, on purpose.
export CTEST_OUTPUT_ON_FAILURE=1 CTEST_PARALLEL_LEVEL=${CTEST_PARALLEL_LEVEL:-$(($(nproc) + 4))}

declare -A chosen=()
for argument; do
    case $argument in
    --help | -h) usage && exit 0 ;;
    format | clang | tidy | asan | tsan | apps | vm | gcc) chosen[$argument]=1 ;;
    *)
        echo "test.sh: no stage \`$argument\`" >&2
        usage >&2
        exit 2
        ;;
    esac
done
if ((${#chosen[@]} == 0)); then
    for stage in "${all[@]}"; do chosen[$stage]=1; done
fi

# The output of configuring and building is of interest only when it fails.
build() {
    local preset=$1 log
    log=$(mktemp) || return
    if ! { cmake --preset "$preset" && cmake --build --preset "$preset"; } >"$log" 2>&1; then
        cat "$log"
        rm -f "$log"
        return 1
    fi
    rm -f "$log"
}

# A clone that belongs to somebody else is read all the same.
stage_format() {
    local files
    mapfile -d '' files < <(git -c safe.directory='*' ls-files -z -- '*.c' '*.h')
    if ((${#files[@]} == 0)); then
        echo 'git lists no source file here'
        return 1
    fi
    clang-format --dry-run -Werror "${files[@]}"
}

stage_clang() {
    build clang && ctest --test-dir build-clang -L fuzz --no-tests=error
}

# Only what the clang build compiles, none of what it generates, and each file once: the fuzzers
# compile much of it a second time.
stage_tidy() {
    build clang && mkdir -p build-clang/tidy || return
    python3 - build-clang/compile_commands.json build-clang/tidy/compile_commands.json <<'END' |
import json, os, sys
once = {}
for command in json.load(open(sys.argv[1])):
    path = os.path.relpath(os.path.realpath(os.path.join(command["directory"], command["file"])))
    if path.endswith(".c") and not path.startswith(("..", "build")):
        once.setdefault(path, command)
json.dump(list(once.values()), open(sys.argv[2], "w"))
for path in sorted(once):
    print(path, end="\0")
END
        xargs -0 -r -n 1 -P "$(nproc)" clang-tidy --quiet -p build-clang/tidy \
            2> >(grep -v 'warnings\? generated\.$' >&2)
}

# What pocl compiles it keeps in these folders of a build. Its compiler is several times slower in a
# program that is under a sanitizer: it compiles natively, for the tests of `gcc`, which need it as well.
kernels=(pocl-cache tests/live/suspend/work/pocl-cache)
compile_kernels() {
    [[ -v chosen[gcc] ]] || return 0
    local folder
    build dev || return
    [[ -e $logs/kernels.log ]] || # once; what fails there is shown by its own stage
        ctest --test-dir build -R '^live-(suspend|sample)-.*-pocl-native$' -LE long \
            >"$logs/kernels.log" 2>&1
    for folder in "${kernels[@]}"; do
        mkdir -p "build-$1/$folder" && cp -a "build/$folder/." "build-$1/$folder" || return
    done
}

# Its preset, and what is run beside that which every sanitizer runs.
sanitize() {
    build "$1" && compile_kernels "$1" &&
        ctest --repeat until-pass:2 --test-dir "build-$1" -R "^($sanitized|$2)\$" -LE 'long|apps' \
            --no-tests=error
}

stage_asan() {
    sanitize asan "$for_addresses"
}

stage_tsan() {
    sanitize tsan "$for_threads"
}

stage_gcc() {
    local without='long'
    [[ -v chosen[apps] ]] || without+='|apps'
    [[ -v chosen[vm] ]] || without+='|vm'
    if ! build dev; then
        echo '== gcc: the build FAILED'
        return 1
    fi
    ctest --repeat until-pass:2 --test-dir build -LE "$without" --no-tests=error
}

# Those that failed at first, and are worth a look.
second_tries() {
    local stage
    for stage in "${order[@]}"; do
        [[ -r $logs/$stage.log ]] && grep -oE '#[0-9]+: [^ ]+ \.+\*\*\*(Failed|Timeout|Exception).*' \
            "$logs/$stage.log" | sed "s|^|$stage, failed at first: |"
    done
}

stage_apps() {
    build dev && ctest --repeat until-pass:2 --test-dir build -L apps -LE long --no-tests=error
}

stage_vm() {
    build dev && ctest --repeat until-pass:2 --test-dir build -L '^vm$' -LE long --no-tests=error
}

install=(scripts/install-deps.sh)
[[ -v chosen[apps] ]] && install+=(--apps)
[[ -v chosen[vm] ]] && install+=(--vm)
# Where the programs, or the machines' tools, can't be had, their tests say that they are skipped.
if ! "${install[@]}"; then
    ((${#install[@]} > 1)) && scripts/install-deps.sh || exit 1
fi

# Only root can copy processes. Nothing is fetched where the machine's own CRIU works; where none can
# be had, its tests say that they are skipped.
if [[ -v chosen[gcc] ]] && ((EUID == 0)) && ! criu check >/dev/null 2>&1; then
    echo 'looking for CRIU'
    timeout 300 scripts/get-criu.sh || echo 'no CRIU here: its tests are skipped'
fi

# The gcc stage runs the programs and the machines too: once is enough.
order=()
for stage in "${all[@]}"; do
    [[ -v chosen[$stage] ]] || continue
    [[ $stage =~ ^(apps|vm)$ && -v chosen[gcc] ]] || order+=("$stage")
done

mkdir -p "$logs" || exit 1
for stage in kernels "${order[@]}"; do rm -f "$logs/$stage.log"; done
failed=()
times=()

# What became of a stage: its exit code, and the seconds that it took.
note() {
    local stage=$1 code=$2 seconds=$3
    ((code == 0)) || failed+=("$stage")
    times+=("$stage $seconds")
    # Nothing may follow the summary of the last stage.
    [[ $stage == gcc ]] && return
    printf '== %s: %s, %d s\n' "$stage" "$( ((code == 0)) && echo passed || echo FAILED)" "$seconds"
}

# clang-tidy takes what the sanitizers' tests leave of the processors: they mostly wait.
tidy=
tidy_in_background() {
    (
        renice -n 19 "$BASHPID" >/dev/null
        start=$SECONDS
        stage_tidy >"$logs/tidy.log" 2>&1
        code=$?
        echo $((SECONDS - start)) >"$logs/tidy.seconds"
        exit "$code"
    ) &
    tidy=$!
}
finish_tidy() {
    local code=0
    [[ -n $tidy ]] || return 0
    printf '\n== tidy\n'
    wait "$tidy" || code=$?
    tidy=
    cat "$logs/tidy.log"
    note tidy "$code" "$(<"$logs/tidy.seconds")"
}
trap '[[ -z $tidy ]] || kill "$tidy" 2>/dev/null' EXIT

for stage in "${order[@]}"; do
    if [[ $stage == tidy && (-v chosen[asan] || -v chosen[tsan]) ]]; then
        tidy_in_background
        continue
    fi
    [[ $stage =~ ^(asan|tsan)$ ]] || finish_tidy
    if ((${#failed[@]})) && [[ $stage == "${order[-1]}" ]]; then
        printf '\nFAILED before the last stage: %s (see %s)\n' "${failed[*]}" "$logs"
    fi
    if ((${#times[@]})) && [[ $stage == "${order[-1]}" ]]; then
        printf '\nseconds so far: %s\n' "${times[*]}"
        second_tries
    fi
    printf '\n== %s\n' "$stage"
    start=$SECONDS code=0
    "stage_$stage" 2>&1 | tee "$logs/$stage.log" || code=$?
    note "$stage" "$code" $((SECONDS - start))
done
finish_tidy
((${#failed[@]} == 0))
