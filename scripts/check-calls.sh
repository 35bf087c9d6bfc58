#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Do the OpenCL headers, shim/calls.h, shim/shim.map, the dispatch table and the built library name
# the same calls, with the same versions? Lists are lines of "NAME VERSION", sorted.
set -uo pipefail
shopt -s lastpipe # `none` counts in this shell
export LC_ALL=C

usage() {
    cat <<END_USAGE
usage: scripts/check-calls.sh LIBRARY [HEADERS]

LIBRARY  the library that was built, libOpenCL.so.1
HEADERS  the folder of CL/cl.h, /usr/include by default
END_USAGE
}

case ${1-} in
--help | -h) usage && exit 0 ;;
'') usage >&2 && exit 2 ;;
esac
library=$1
headers=${2:-/usr/include}/CL
cd "$(dirname "$0")/.." || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

for file in "$library" "$headers/cl.h" "$headers/cl_icd.h"; do
    [[ -r $file ]] && continue
    echo "check-calls: can't read $file" >&2
    exit 1
done

# Where the headers only have a call as deprecated, they give the version that made it so. The
# version here is the one that brought it: 1.0 if cl.h does not say another.
in_headers() {
    cat "$headers/cl.h" | awk '
        /CL_API_ENTRY/ { name = ""; inside = 1 }
        inside && !name && match($0, /^cl[A-Z][A-Za-z0-9]*\(|[ *]cl[A-Z][A-Za-z0-9]*\(/) {
            name = substr($0, RSTART, RLENGTH - 1); sub(/^[ *]/, "", name)
        }
        inside && match($0, /CL_API_SUFFIX__VERSION_[0-9]_[0-9](_DEPRECATED)?/) {
            text = substr($0, RSTART + 23, RLENGTH - 23)
            print name, (text ~ /DEPRECATED/ ? "deprecated" : text); inside = 0
        }' | tr _ . | sort
}

in_list() {
    sed -n 's/^ *X(\([0-9]\)_\([0-9]\), *\(cl[A-Za-z0-9]*\)).*/\3 \1.\2/p' shim/calls.h | sort
}

in_map() {
    awk '/^OPENCL_/ { version = substr($1, 8) } /^ *cl[A-Za-z0-9]*;/ {
        sub(/;/, "", $1); print $1, version }' shim/shim.map | sort
}

# What a library defines for others: NAME and the version, or `Base`.
exported_by() {
    objdump -T "$1" | awk '$1 ~ /^[0-9a-f]+$/ && !/\*UND\*/ && !/\*ABS\*/ {
        gsub(/[()]|OPENCL_/, "", $(NF - 1)); print $NF, $(NF - 1) }' | sort
}

undefined_in() {
    objdump -T "$1" | awk '/\*UND\*/ && $NF ~ /^cl[A-Z]/ { print $NF }' | sort
}

names() {
    cut -d ' ' -f 1 "$1" | sort
}

failures=0
# Fails with the lines on stdin, if there are any.
none() {
    local found
    found=$(cat)
    [[ -z $found ]] && return
    printf '%s:\n%s\n' "$1" "$(sed 's/^/    /' <<<"$found")"
    failures=$((failures + 1))
}

in_headers >"$work/headers"
in_list >"$work/list"
in_map >"$work/map"
exported_by "$library" >"$work/exported"
# Functions that are not calls: our part as an ICD, and the hooks.
grep -v -e '^clIcdGetPlatformIDsKHR ' -e '^dlopen ' -e '^exit ' "$work/exported" >"$work/calls"
grep -v '^clIcdGetPlatformIDsKHR ' "$work/map" >"$work/map-calls"

(($(wc -l <"$work/headers") > 100)) || echo cl.h | none 'too few calls were found in'
uniq -d <(names "$work/list") | none 'twice in shim/calls.h'
comm -23 <(names "$work/headers") <(names "$work/list") |
    none "in the headers' core, but not in shim/calls.h"
grep -v deprecated "$work/headers" | sort | comm -23 - "$work/list" |
    none 'with another version in shim/calls.h than in the headers (theirs)'
comm -23 "$work/list" "$work/map-calls" | none 'in shim/calls.h, but not so in shim/shim.map'
comm -13 "$work/list" "$work/map-calls" | none 'in shim/shim.map, but not so in shim/calls.h'
comm -23 "$work/list" "$work/calls" | none 'in shim/calls.h, but not so exported by the library'
comm -13 "$work/list" "$work/calls" | none 'exported by the library, but not so in shim/calls.h'
for extra in 'clIcdGetPlatformIDsKHR 1.0' 'dlopen Base' 'exit Base'; do
    grep -qx "$extra" "$work/exported" || echo "$extra"
done | none 'not exported by the library'
undefined_in "$library" | none 'undefined in the library'
names "$work/list" | while read -r call; do
    grep -q "cl_api_$call\|\<$call\>" "$headers/cl_icd.h" || echo "$call"
done | grep -v -E '(KHR|EXT)$' | none "not an entry of the headers' dispatch table"

# The loader of the system, if it is there: the list is the floor, for names and for versions.
compared=
loader=$(ldconfig -p 2>/dev/null | sed -n 's/.*libOpenCL\.so\.1 .*=> //p' | head -n 1)
if [[ -r $loader ]] && exported_by "$loader" >"$work/loader" && grep -q ' 3.0$' "$work/loader"; then
    comm -23 <(grep -E '^cl[A-Z].* [0-9]\.[0-9]$' "$work/loader" | sort) "$work/exported" |
        none "exported by $loader, but not so by ours"
    compared=", and all of $(grep -c -E '^cl[A-Z].* [0-9]\.[0-9]$' "$work/loader") of $loader"
fi

((failures)) && exit 1
echo "$(wc -l <"$work/list") calls, $(wc -l <"$work/headers") of cl.h$compared"
