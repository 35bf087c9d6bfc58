#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds what the test's virtual machines boot: a kernel, an initrd, and a root file system as a
# squashfs, all from the Debian packages of this machine's own apt sources. What is there and was
# built from the same list is kept. Prints the folder.
set -euo pipefail

usage() {
    cat <<END
usage: tests/vm/image.sh DIR

Builds DIR/KEY/{vmlinux,initrd,root.squashfs}, where KEY tells what they are made from, and prints
that folder. Takes some two minutes the first time. The tools come with scripts/install-deps.sh --vm.
Exit code 77: it can't be built on this machine, since tools are missing or it is not Debian 12.
END
}

packages=(
    pocl-opencl-icd ocl-icd-libopencl1 libgcc-12-dev libc6-dev binutils # pocl links its kernels
    python3-minimal python3-pyopencl python3-numpy
    libjansson4 libuv1 libprotobuf-c1                                  # what shadowcl needs
    kmod procps tini
    systemd udev dbus                                                  # for a guest with services
)
kernel=linux-image-cloud-amd64
# What the initrd loads to reach the root; the guest has no other modules.
modules=(virtio_pci virtio_blk virtio_console squashfs overlay)

here=$(cd "$(dirname "$0")" && pwd)
[[ ${1:-} == --help || ${1:-} == -h ]] && usage && exit 0
(($# == 1)) || { usage >&2 && exit 2; }

fail() {
    printf 'image.sh: %s\n' "$@" >&2
    exit 1
}

skip() {
    printf 'image.sh: %s\n' "$@" >&2
    exit 77
}

for tool in mmdebstrap mksquashfs busybox cpio depmod dpkg-deb lz4 python3; do
    PATH=$PATH:/usr/sbin:/sbin command -v "$tool" >/dev/null ||
        skip "no \`$tool\`: run scripts/install-deps.sh --vm"
done
PATH=$PATH:/usr/sbin:/sbin
# shellcheck source=/dev/null
suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
[[ $suite == bookworm ]] ||
    skip "the guest is made from this machine's packages, and those are known for Debian 12 only"

mkdir -p "$1"
target=$(cd "$1" && pwd)
work=$(mktemp -d "$target/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
exec {lock}>"$target/lock"
flock "$lock"

# As one-line entries, with nothing of where they came from written down anywhere else.
sources() {
    apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' \
        'Created-By: Packages' 'Origin: Debian' | grep " $suite" | sort -u
}

build_root() {
    sources >"$work/sources"
    [[ -s $work/sources ]] || fail 'apt knows no Debian packages here: apt-get update?'
    apt-config dump --format '%F "%v";%n' Acquire::http Acquire::https >"$work/apt.conf"
    mmdebstrap --quiet --variant=minbase --format=tar --aptopt="$work/apt.conf" \
        --aptopt='APT::Install-Recommends "false"' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
        --include="$(IFS=, && echo "${packages[*]}")" \
        --customize-hook='rm -rf "$1"/etc/apt/sources.list* "$1"/etc/apt/apt.conf.d/99mmdebstrap' \
        --customize-hook='rm -rf "$1"/etc/resolv.conf "$1"/var/cache/apt "$1"/var/lib/apt/lists' \
        --customize-hook='echo shadowcl-test >"$1"/etc/hostname' \
        "$suite" - "$work/sources" >"$work/root.tar" || fail 'mmdebstrap failed (see above)'
    mksquashfs - "$work/root.squashfs" -tar -comp lz4 -quiet -no-progress <"$work/root.tar" ||
        fail 'mksquashfs failed (see above)'
    rm "$work/root.tar"
    mv "$work/root.squashfs" "$target/$root_key.squashfs"
}

# The kernel itself, out of its self-extracting wrapper: TCG is spared the extracting. Where it lies
# is in the header (Documentation/x86/boot.rst); its last four bytes are its size.
extract_kernel() {
    python3 - "$1" "$2" <<'END'
import struct, subprocess, sys
image = open(sys.argv[1], "rb").read()
offset, length = struct.unpack_from("<II", image, 0x248)
start = (image[0x1f1] + 1) * 512 + offset
packed = image[start:start + length - 4]
tools = {b"\x02\x21\x4c\x18": "lz4", b"\xfd7zX": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
if packed[:4] not in tools:
    sys.exit(f"image.sh: the kernel is compressed in a way not known here: {packed[:4].hex()}")
with open(sys.argv[2], "wb") as file:
    subprocess.run([tools[packed[:4]], "-dc"], input=packed, stdout=file, check=True)
END
}

build_kernel() {
    local package
    package=$(apt-cache depends "$kernel" | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p')
    [[ -n $package ]] || fail "apt knows no package $kernel: apt-get update?"
    (cd "$work" && apt-get -qq -o APT::Sandbox::User=root download "$package") ||
        fail "could not download $package (see above)"
    dpkg-deb -x "$work"/linux-image-*.deb "$work/kernel"
    rm "$work"/linux-image-*.deb
    mkdir "$work/$kernel_key.kernel"
    extract_kernel "$work"/kernel/boot/vmlinuz-* "$work/$kernel_key.kernel/vmlinux" ||
        fail 'could not extract the kernel'
    local version
    version=$(basename "$work"/kernel/lib/modules/*)
    depmod -b "$work/kernel" "$version"
    local paths
    mapfile -t paths < <(modprobe -d "$work/kernel" -S "$version" --show-depends -a "${modules[@]}" |
        sed -n 's/^insmod //p' | awk '!seen[$1]++ { print $1 }')
    mkdir "$work/$kernel_key.kernel/modules"
    local i name
    for i in "${!paths[@]}"; do
        printf -v name '%02d-%s' "$i" "$(basename "${paths[i]}")"
        cp "${paths[i]}" "$work/$kernel_key.kernel/modules/$name"
    done
    rm -rf "$work/kernel" "${target:?}/$kernel_key.kernel"
    mv "$work/$kernel_key.kernel" "$target/"
}

build_initrd() {
    local tree=$work/tree
    mkdir -p "$tree"/{bin,dev,proc,sys,new,guest,modules}
    cp "$(command -v busybox)" "$tree/bin/busybox"
    cp "$here/guest/init" "$tree/init"
    chmod +x "$tree/init"
    cp "$here/guest/server.py" "$here/guest/shadowcl-test.service" "$tree/guest/"
    cp "$target/$kernel_key.kernel/modules"/* "$tree/modules/"
    (cd "$tree" && find . | cpio --quiet -o -H newc -R 0:0) >"$work/initrd"
}

# What was made from other lists and scripts; a machine that has it open keeps it.
remove_old() {
    local path
    for path in "$target"/*.squashfs "$target"/*.kernel "$target"/????????????????; do
        case $path in
        "$target/$root_key.squashfs" | "$target/$kernel_key.kernel" | "$target/$whole_key") ;;
        *) rm -rf "$path" ;;
        esac
    done
}

# Each part has the hash of what it is made from: the root does not change with the guest's own
# scripts, which travel in the initrd.
key() { sha256sum | cut -c -16; }
root_key=$({ echo "$suite ${packages[*]}" && declare -f sources build_root; } | key)
kernel_key=$({ echo "$suite $kernel ${modules[*]}" && declare -f extract_kernel build_kernel; } | key)
whole_key=$({ echo "$root_key $kernel_key" && declare -f build_initrd &&
    cat "$here"/guest/{init,server.py,shadowcl-test.service}; } | key)

[[ -e $target/$root_key.squashfs ]] || build_root
[[ -e $target/$kernel_key.kernel ]] || build_kernel
if [[ ! -e $target/$whole_key ]]; then
    build_initrd
    mkdir "$work/whole"
    mv "$work/initrd" "$work/whole/"
    ln "$target/$kernel_key.kernel/vmlinux" "$work/whole/vmlinux"
    ln "$target/$root_key.squashfs" "$work/whole/root.squashfs"
    mv "$work/whole" "$target/$whole_key"
    remove_old
fi
echo "$target/$whole_key"
