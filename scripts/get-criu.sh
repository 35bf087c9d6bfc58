#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Puts the CRIU of a newer Debian beside the machine's own, with the C library and all else that it
# needs, and touches nothing of the system: for machines whose own CRIU is missing, or too old for
# their kernel. Root is not needed. When it is there already, nothing is done.
set -euo pipefail

suite=trixie
target=${XDG_DATA_HOME:-$HOME/.local/share}/shadowcl/criu

usage() {
    cat <<END
usage: scripts/get-criu.sh [--force]

Puts Debian 13's CRIU into $target,
where \`shadowcl checkpoint\` and \`shadowcl restore\` find it. The packages come from the mirror
that the machine's own apt uses. To be called by path: $target/bin/criu
  --force  anew, also when it is there
END
}

fail() {
    printf 'get-criu: %s\n' "$@" >&2
    exit 1
}

force=
case ${1-} in
--help | -h) usage && exit 0 ;;
--force) force=1 ;;
'') ;;
*) usage >&2 && exit 2 ;;
esac

works() {
    [[ -x $1 ]] && "$1" --version >/dev/null 2>&1
}

if [[ -z $force ]] && works "$target/bin/criu"; then
    exit 0
fi

for tool in apt-get dpkg-deb; do
    command -v "$tool" >/dev/null ||
        fail "\`$tool\` is not here: this is not Debian or its like" \
            'install CRIU 4.0 or later yourself, and name it in SHADOWCL_CRIU if it is not in PATH'
done

# The first of the machine's own sources that is Debian's archive: by what its Release file says,
# or where no lists were ever fetched, by its path.
find_mirror() {
    local mirrors
    mirrors=$(apt-get indextargets --format '$(REPO_URI)' \
        'Identifier: Packages' 'Origin: Debian' 'Label: Debian')
    [[ $mirrors ]] || mirrors=$(apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' |
        grep -E '/debian/?$' || true)
    head -n 1 <<<"$mirrors"
}

mirror=$(find_mirror)
[[ $mirror ]] || fail "apt's sources on this machine name no archive of Debian" \
    'install CRIU 4.0 or later yourself, and name it in SHADOWCL_CRIU if it is not in PATH'
architecture=$(dpkg --print-architecture)

mkdir -p "$(dirname "$target")"
work=$(mktemp -d "$target.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/apt/{lists/partial,cache/archives/partial} "$work/root" "$work/bin"
: >"$work/apt/status"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
options=
[[ -r $keyring ]] && options="[signed-by=$keyring]"
printf 'deb %s %s %s main\n' "$options" "$mirror" "$suite" >"$work/apt/sources.list"
# What else the machine does at an update is not for this one.
printf '#clear APT::Update::%s;\n' Pre-Invoke Post-Invoke Post-Invoke-Success >"$work/apt/no-hooks"

# The machine's own settings (proxies, retries), with lists, cache and status of our own: to this
# apt nothing is installed, so it fetches all that CRIU needs, down to the C library.
own_apt() {
    apt-get -q -y -o Dir::Etc::sourcelist="$work/apt/sources.list" \
        -o Dir::Etc::sourceparts=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
        -o Dir::State::lists="$work/apt/lists" -o Dir::State::status="$work/apt/status" \
        -o Dir::State::extended_states="$work/apt/extended_states" \
        -o Dir::Cache="$work/apt/cache" -o Debug::NoLocking=1 -o APT::Sandbox::User= \
        -o Acquire::Retries=3 -c "$work/apt/no-hooks" "$@" </dev/null >"$work/log" 2>&1 || {
        cat "$work/log" >&2
        fail "apt-get $* failed, see above: is there a network, and does the mirror have $suite?"
    }
}

own_apt update
own_apt install --download-only --no-install-recommends "criu:$architecture"
packages=("$work"/apt/cache/archives/*.deb)
for package in "${packages[@]}"; do
    dpkg-deb -x "$package" "$work/root"
done
rm -rf "$work/apt" "$work/log" "$work/root"/usr/share/{doc,man,locale,lintian}

case $architecture in
amd64) loader=usr/lib64/ld-linux-x86-64.so.2 ;;
*) loader=$(cd "$work/root" && find usr/lib -name 'ld-linux-*.so.*' | head -n 1) ;;
esac
libraries=$(cd "$work/root/usr/lib" && echo *-linux-gnu)
[[ -e $work/root/$loader && -d $work/root/usr/lib/$libraries ]] ||
    fail "the packages hold no loader or no libraries where they should: $loader, $libraries"

cat >"$work/bin/criu" <<END
#!/bin/sh
# CRIU of Debian $suite, by its own loader and libraries. Made by get-criu.sh.
root=\$(dirname "\$(dirname "\$(readlink -f "\$0")")")/root
unset LD_PRELOAD LD_LIBRARY_PATH
# Without hardware breakpoints, which some hypervisors lack and this version waits for in vain.
export CRIU_FAULT=\${CRIU_FAULT-130}
exec "\$root/$loader" --library-path "\$root/usr/lib/$libraries" "\$root/usr/sbin/criu" "\$@"
END
chmod 0755 "$work" "$work/bin/criu"
works "$work/bin/criu" || fail "it does not start here:" "$("$work/bin/criu" --version 2>&1)"

rm -rf "$target"
mv -T "$work" "$target"
trap - EXIT
printf '%s: %s, %d packages\n' "$target" "$("$target/bin/criu" --version | head -n 1)" \
    "${#packages[@]}"
