#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds for aarch64 on another machine, and runs there what QEMU's user mode can run: unit tests, and
# a solver that is suspended and resumed and must end with the bytes that it has without us.
set -euo pipefail
export LC_ALL=C.UTF-8

usage() {
    cat <<END
usage: scripts/aarch64.sh [--build-only]

Installs a compiler for aarch64 and QEMU, makes a root of Debian's arm64 packages in
build-aarch64/root (they are unpacked, not installed: this machine's own packages and architectures
stay as they are), builds into build-aarch64, and tests there (Linux 6.7 or later: QEMU is made known
to the kernel in a user namespace alone).
  --build-only  runs nothing of it
The compiler is gcc, or what CC names: CC=clang.
END
}

build_only=
case ${1-} in
'') ;;
--build-only) build_only=1 ;;
--inside) ;; # by itself alone
--help | -h) usage && exit 0 ;;
*) usage >&2 && exit 2 ;;
esac

cd "$(dirname "$0")/.."
build=$PWD/build-aarch64
root=$build/root
# What is linked, and what the solver computes with.
packages=(libc6-dev libgcc-12-dev libprotobuf-c-dev libjansson-dev libuv1-dev libzstd-dev
    libxxhash-dev libcmocka-dev opencl-headers ocl-icd-opencl-dev pocl-opencl-icd binutils)

fail() {
    printf 'aarch64.sh: %s\n' "$@" >&2
    exit 1
}

# This machine's own, as one-line entries.
sources() {
    apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' \
        'Created-By: Packages' 'Origin: Debian' | grep ' bookworm' | sort -u
}

make_root() {
    local wanted="${packages[*]}"
    [[ ! -e $root.packages || $(<"$root.packages") != "$wanted" ]] || return 0
    rm -rf "$root" "$root.packages"
    mkdir -p "$build"
    sources >"$build/sources"
    [[ -s $build/sources ]] || fail 'apt knows no packages of Debian 12 here: apt-get update?'
    apt-config dump --format '%F "%v";%n' Acquire::http Acquire::https >"$build/apt.conf"
    mmdebstrap --quiet --variant=extract --architectures=arm64 --aptopt="$build/apt.conf" \
        --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        --include="$(IFS=, && echo "${packages[*]}")" bookworm "$root" "$build/sources" ||
        fail 'mmdebstrap failed (see above)'
    mkdir -p "$root"/{proc,sys,dev,tmp} "$root$build"
    echo "$wanted" >"$root.packages"
}

# In namespaces of its own: programs for aarch64 run by QEMU, also those that others start.
enter() {
    local name=/proc/sys/fs/binfmt_misc
    mount -t binfmt_misc none $name || fail 'this kernel has no binfmt_misc for a user namespace'
    # The head of an ELF file of 64 bits for the machine 183, program or library.
    printf '%s' ':aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00' \
        ':\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff' \
        ":$(command -v qemu-aarch64-static):OCF" >$name/register
    mount --rbind /proc "$root/proc"
    mount --rbind /sys "$root/sys"
    mount --rbind /dev "$root/dev"
    mount --rbind "$build" "$root$build"
}

on_aarch64() { chroot "$root" "$@"; }
shadowcl() { on_aarch64 "$build/bin/shadowcl" "$@"; }

step() { # the last step that the solver told of
    { grep -o '^step [0-9]*' "$work/progress" || true; } | tail -n 1 | cut -c 6- | grep . || echo 0
}

wait_for_step() {
    local end=$((SECONDS + 300))
    until (($(step) >= $1)); do
        kill -0 "$pid" 2>/dev/null || fail "the solver ended: $(tail -n 3 "$work/progress")"
        ((SECONDS < end)) || fail "the solver is at step $(step) after 300 s"
        sleep 0.1
    done
}

# run_suspended DRIVER MAPPING: as it is without us, in spite of three suspends.
run_suspended() {
    local part solver=("$build/bin/sample-heat" --size 64 --steps 10000 --output "$work/result")
    export OCL_ICD_VENDORS=$1 SHADOWCL_DRIVERS=$1 SHADOWCL_MAPPING=$2
    echo "sample-heat on $(basename "$1"), mapping $2"
    on_aarch64 "${solver[@]}" 2>"$work/progress" || fail "the solver: $(tail -n 3 "$work/progress")"
    mv "$work/result" "$work/native"
    : >"$work/progress"
    chroot "$root" "$build/bin/shadowcl" run -- "${solver[@]}" 2>"$work/progress" &
    pid=$!
    for part in 200 1200 2400; do
        wait_for_step $part
        shadowcl suspend "$pid"
        truncate -s 0 "$node" && truncate -s 64M "$node" # another device
        shadowcl resume "$pid"
    done
    wait "$pid"
    cmp "$work/native" "$work/result"
}

run_inside() {
    enter
    work=$(mktemp -d "$build/work.XXXXXX")
    trap 'kill "${pid:-}" 2>/dev/null || true; rm -rf "$work"' EXIT
    node=$work/gpu
    truncate -s 64M "$node"
    mkdir "$work/run" "$work/pocl"
    echo "$build/lib/testdriver/libshadowcl-testdriver.so" >"$work/testdriver.icd"
    echo libpocl.so.2 >"$work/pocl.icd"
    export SHADOWCL_RUNTIME_DIR=$work/run POCL_CACHE_DIR=$work/pocl SHADOWCL_TEST_DEVICE=$node
    run_suspended "$work/pocl.icd" shared
    run_suspended "$work/pocl.icd" copy
    run_suspended "$work/testdriver.icd" copy
    echo 'every byte is as without us'
}

if [[ ${1-} == --inside ]]; then
    run_inside
    exit
fi

scripts/install-deps.sh --aarch64
make_root
cmake --preset aarch64 ${CC:+-DCMAKE_C_COMPILER="$CC"}
cmake --build --preset aarch64
[[ -z $build_only ]] || exit 0
ctest --test-dir "$build" -R '^unit/' --output-on-failure --no-tests=error
unshare --user --map-root-user --mount scripts/aarch64.sh --inside
