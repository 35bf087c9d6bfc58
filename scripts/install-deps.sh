#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Installs by apt what building and testing needs and is not there yet. Nothing is asked, and when
# everything is there apt is not called at all.
set -euo pipefail

usage() {
    cat <<END
usage: scripts/install-deps.sh [--apps] [--vm] [--libvirt] [--bench] [--fuzz] [--aarch64]

Installs what building, testing and the demonstration need (Debian 12; as root or with sudo).
  --apps  also the programs that tests/apps runs: hashcat, OpenCV, ffmpeg and others
  --vm    also what tests/vm needs: QEMU, and the tools that make a guest
  --libvirt  also libvirt, for one of the long tests of tests/vm
  --bench also what scripts/bench.sh draws its plots with: gnuplot
  --fuzz  also what tests/fuzz/afl.sh needs: AFL++
  --aarch64  also what scripts/aarch64.sh needs: a compiler for that, and QEMU's user mode
END
}

build=(build-essential cmake ninja-build pkg-config libprotobuf-c-dev protobuf-c-compiler
    libjansson-dev libuv1-dev libzstd-dev libxxhash-dev libcmocka-dev scdoc
    opencl-headers ocl-icd-opencl-dev)
drivers=(ocl-icd-libopencl1 pocl-opencl-icd mesa-opencl-icd oclgrind clinfo)
checks=(clang clang-format clang-tidy libclang-rt-14-dev valgrind)
tools=(python3 python3-jsonschema python3-pyopencl util-linux libcap2-bin procps git ca-certificates)
apps=(hashcat python-pyopencl-doc python3-mako python3-opencv python3-pytest
    python3-numpy ffmpeg gegl clpeak)
vm=(qemu-system-x86 mmdebstrap uidmap squashfs-tools busybox-static cpio kmod lz4 xz-utils zstd)
libvirt=(libvirt-daemon libvirt-daemon-driver-qemu libvirt-clients)
bench=(gnuplot-nox)
fuzz=(afl++)
aarch64=(gcc-aarch64-linux-gnu mmdebstrap qemu-user-static)

wanted=("${build[@]}" "${drivers[@]}" "${checks[@]}" "${tools[@]}")
for argument; do
    case $argument in
    --apps) wanted+=("${apps[@]}") ;;
    --vm) wanted+=("${vm[@]}") ;;
    --libvirt) wanted+=("${libvirt[@]}") ;;
    --bench) wanted+=("${bench[@]}") ;;
    --fuzz) wanted+=("${fuzz[@]}") ;;
    --aarch64) wanted+=("${aarch64[@]}") ;;
    --help | -h) usage && exit 0 ;;
    *) usage >&2 && exit 2 ;;
    esac
done

installed() {
    [[ $(dpkg-query -W -f '${Status}' "$1" 2>/dev/null) == 'install ok installed' ]]
}

fail() {
    printf 'install-deps: %s\n' "$@" >&2
    exit 1
}

command -v dpkg-query >/dev/null ||
    fail "this is not Debian or its like; please install yourself: ${wanted[*]}"

missing=()
for package in "${wanted[@]}"; do
    installed "$package" || missing+=("$package")
done
((${#missing[@]})) || exit 0

as_root=()
if ((EUID != 0)); then
    command -v sudo >/dev/null ||
        fail "missing packages: ${missing[*]}" 'run this as root, or install sudo'
    as_root=(sudo)
fi

apt() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 \
        -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 "$@" </dev/null
}

echo "installing: ${missing[*]}"
apt update ||
    fail 'apt-get update failed (see above): is there a network and a package mirror?'
apt install --no-install-recommends "${missing[@]}" ||
    fail "apt-get could not install (see above): ${missing[*]}"
