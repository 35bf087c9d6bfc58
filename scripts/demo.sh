#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Shows the main job: a solver that is suspended in the middle, loses its GPU, gets a fresh one, and
# ends with the same bytes as one that was left alone. Without a real GPU, the test driver plays one:
# its device memory is a file, the "device node", which is pulled out while the solver is suspended.
# Ends with an error when anything is not as it says.
set -euo pipefail
export LC_ALL=C.UTF-8 # times have a decimal point, whatever the language of the user

cd "$(dirname "$0")/.."
if (($#)); then
    echo 'usage: scripts/demo.sh   (no arguments; installs what is missing, builds, shows)'
    [[ $1 == --help || $1 == -h ]] && exit 0 || exit 2
fi

work=$(mktemp -d)
pid=
start=$EPOCHREALTIME
timeline=()

cleanup() {
    [[ -z $pid ]] || kill -KILL "$pid" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

seconds() { # since the demonstration began
    awk -v now="$EPOCHREALTIME" -v start="$start" 'BEGIN { printf "%.2f", now - start }'
}

fail() {
    {
        printf '\ndemo: FAILED: %s\n' "$1"
        [[ ! -s $work/progress ]] || { echo 'the last the solver said:' && tail -n 3 "$work/progress"; }
    } >&2
    exit 1
}

say() { printf '\n\e[1m%s\e[0m\n' "$1"; }

show() { # what is typed, then what it prints
    printf '$ %s\n' "$*" && "$@"
}

# event BAR WHAT SOLVER: a line of the timeline. The bar is how the solver fares.
event() { timeline+=("$(printf '%8.2f s  %s  %-42s %s' "$(seconds)" "$1" "$2" "$3")"); }

step() { # the last step that the solver told of
    { grep -o '^step [0-9]*' "$work/progress" || true; } | tail -n 1 | cut -c 6- | grep . || echo 0
}

# wait_for SECONDS WHAT COMMAND...: until the command succeeds.
wait_for() {
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@"; do
        alive || fail "the solver ended while waiting for $what"
        ((SECONDS < end)) || fail "waited too long for $what"
        sleep 0.05
    done
}

alive() { [[ -d /proc/$pid && $(ps -o stat= -p "$pid") != Z* ]]; }
past() { (($(step) >= $1)); }

# What the process holds of the device: descriptors, then mappings.
held() {
    find "/proc/$pid/fd" -type l -printf 'fd %f -> %l\n' | grep -E -- "$nodes" || true
    awk '{ print "map " $1, $2, $6 }' "/proc/$pid/maps" | grep -E -- "$nodes" || true
}

build() {
    say 'Installing what is missing, and building'
    scripts/install-deps.sh
    if ! { cmake --preset release && cmake --build --preset release; } >"$work/build" 2>&1; then
        cat "$work/build" >&2
        fail 'the build (see above)'
    fi
    echo "built: $(build/bin/shadowcl --version 2>/dev/null || echo build/bin/shadowcl)"
}

# A real GPU is taken when there is one with an OpenCL driver; else the test driver, natively by way
# of the system's loader and under shadowcl by our own, so that both compute with the same code.
choose_device() {
    node=$work/gpu0
    local gpu
    gpu=$(gpu_index)
    if [[ -n $gpu ]]; then
        stand_in=
        nodes='/dev/(nvidia|dri/|kfd)'
        solver+=(--device "$gpu")
        echo 'device: a GPU of this machine (it stays plugged: only its driver is let go)'
        return
    fi
    stand_in=1
    nodes=$node
    mkdir "$work/drivers"
    echo "$PWD/build/lib/testdriver/libshadowcl-testdriver.so" >"$work/drivers/testdriver.icd"
    [[ -e $(<"$work/drivers/testdriver.icd") ]] || fail "no test driver: $(<"$work/drivers/testdriver.icd")"
    plug
    export SHADOWCL_TEST_DEVICE=$node SHADOWCL_DRIVERS=$work/drivers OCL_ICD_VENDORS=$work/drivers
    echo 'device: the test driver, as a stand-in for a GPU'
}

gpu_index() { # its place among the devices of all platforms; nothing without one
    { clinfo --raw 2>/dev/null || true; } |
        awk '$2 == "CL_DEVICE_TYPE" { if (/CL_DEVICE_TYPE_GPU/ && !found++) print n + 0; n++ }'
}

plug() { truncate -s 256M "$node"; }

run_natively() {
    say 'The solver, without shadowcl'
    # Its speed here tells how many steps make a run of some eight seconds.
    build/bin/sample-heat "${solver[@]}" --seconds 2 2>"$work/progress" >/dev/null ||
        fail 'the solver does not run here'
    steps=$(awk '/ steps: / { n = int($1 / 2) * 8; print n < 2000 ? 2000 : n }' "$work/progress")
    event ' ' "sample-heat, $steps steps" 'natively'
    show build/bin/sample-heat "${solver[@]}" --steps "$steps" --output "$work/native" \
        2>"$work/progress" || fail 'the solver'
    event ' ' '' 'done'
}

run_under_shadowcl() {
    say 'The same under shadowcl'
    : >"$work/progress"
    echo "\$ shadowcl run -- sample-heat --steps $steps --output shadowcl &"
    build/bin/shadowcl run -- build/bin/sample-heat "${solver[@]}" --steps "$steps" \
        --output "$work/shadowcl" >"$work/answer" 2>"$work/progress" &
    pid=$!
    event '│' 'shadowcl run -- sample-heat' "starts: process $pid"
    wait_for 120 'the middle of its run' past $((steps * 2 / 5))
    event '│' '' "at step $(step) of $steps"
    show build/bin/shadowcl ps
    say 'What it holds of the device'
    held | tee "$work/held"
    [[ -s $work/held ]] || fail 'the solver does not hold the device: nothing is shown by this'
}

suspend() {
    say 'Suspend'
    event '│' "shadowcl suspend $pid" ''
    show build/bin/shadowcl suspend "$pid" || fail 'suspend'
    sleep 0.2 # a line about the last step may still be on its way
    stopped=$(step)
    event '┊' '' "suspended after step $stopped"
    say 'What it holds of the device now'
    held | tee "$work/held"
    [[ ! -s $work/held ]] || fail 'the driver has not let go of the device'
    echo 'nothing'
    event '┊' 'no descriptor, no mapping of the device' ''
}

# The old memory is gone for good, and the new is zeroed.
replace_device() {
    [[ -n $stand_in ]] || return 0
    say 'Another GPU'
    show rm "$node"
    event '┊' 'the GPU is unplugged' ''
    plug
    echo "$ truncate -s 256M $node"
    event '┊' 'a fresh one is plugged in, zeroed' ''
}

wait_suspended() {
    say 'Two seconds later'
    sleep 2
    alive || fail 'the solver has ended'
    [[ $(step) == "$stopped" ]] || fail "it was at step $stopped and is at $(step) now"
    echo "the solver lives, and is still at step $stopped"
    event '┊' 'two seconds' "still at step $stopped"
}

resume() {
    say 'Resume'
    event '┊' "shadowcl resume $pid" ''
    show build/bin/shadowcl resume "$pid" || fail 'resume'
    event '│' '' 'runs again'
    held >"$work/held"
    [[ -s $work/held ]] || fail 'it runs, but not on the device'
    if wait "$pid"; then pid=; else pid= && fail "the solver: exit $?"; fi
    event '│' '' "done: $(tail -n 1 "$work/answer")"
    cat "$work/answer"
}

compare() {
    say 'Every byte of the two results'
    show cmp "$work/native" "$work/shadowcl" || fail 'the results differ'
    [[ -s $work/native ]] || fail 'the results are empty'
    event ' ' "cmp: all $(stat -c %s "$work/native") bytes are equal" ''
    echo "all $(stat -c %s "$work/native") bytes are equal"
}

print_timeline() {
    say 'The whole, in time'
    printf '%10s     %-42s %s\n' '' 'what we did' 'the solver (│ runs, ┊ is suspended)'
    printf '%s\n' "${timeline[@]}"
}

solver=(--size 256)
export POCL_CACHE_DIR=$work/pocl SHADOWCL_RUNTIME_DIR=$work/run
mkdir "$POCL_CACHE_DIR" "$SHADOWCL_RUNTIME_DIR"

build
choose_device
run_natively
run_under_shadowcl
suspend
replace_device
wait_suspended
resume
compare
print_timeline
say 'As it should be.'
