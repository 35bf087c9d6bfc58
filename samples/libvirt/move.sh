#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Moves a libvirt domain with a passed-through device, and the OpenCL programs in it, to another
# host. A failure before the domain has left brings the device and the programs back here.
#
# It is a command and not one of libvirt's hooks: none of those is called at the source before a
# migration, and a hook must not call libvirt.
set -euo pipefail

usage() {
    cat <<END
usage: ADDRESS=PCI samples/libvirt/move.sh DOMAIN HOST HERE.xml THERE.xml

Moves DOMAIN to HOST (as ssh knows it; libvirt and shadowcl are on both).
  HERE.xml, THERE.xml  the device's <hostdev> on this host and on the other. Both have the same
                       <alias name='ua-gpu0'/> and, best, the same <address> in the guest

  ADDRESS=PCI    the device in the guest (0000:00:05.0): libvirt does not wait until the guest has
                 found what was attached, so the agent does
  ADDRESS_THERE=PCI  the same of the other host's, where it differs
  AGENT=PATH     the agent's channel on both hosts (/var/lib/libvirt/qemu/DOMAIN.shadowcl)
  ALIAS=ID       the device's alias (ua-gpu0)
  WAIT=SECONDS   how long the guest may take to let the device go (30)
END
}

case ${1-} in --help | -h) usage && exit 0 ;; esac
[[ $# == 4 && ${ADDRESS-} ]] || { usage >&2 && exit 2; }
domain=$1 host=$2 here=$3 there=$4
agent=${AGENT:-/var/lib/libvirt/qemu/$domain.shadowcl}
alias=${ALIAS:-ua-gpu0}
address_there=${ADDRESS_THERE:-$ADDRESS}
remote=qemu+ssh://$host/system

fail() {
    printf 'move: %s\n' "$@" >&2
    exit 1
}

# What QEMU has, whatever libvirt was told.
is_plugged() {
    virsh qemu-monitor-command "$domain" \
        '{"execute": "qom-list", "arguments": {"path": "/machine/peripheral"}}' |
        grep -q "\"$alias\""
}

resume_here() {
    shadowcl vm-resume --agent "$agent" --address "$ADDRESS" ||
        fail 'the programs are suspended; try again:' \
            "shadowcl vm-resume --agent $agent --address $ADDRESS"
}

bring_back() {
    trap - EXIT INT TERM
    echo 'move: bringing the programs back on this host' >&2
    is_plugged || virsh attach-device "$domain" "$here" --live ||
        fail 'the device could not be attached again; the programs are suspended' \
            "to do: attach it, then: shadowcl vm-resume --agent $agent --address $ADDRESS"
    resume_here
    exit 1
}

wait_unplugged() {
    local i
    for ((i = 0; i < ${WAIT:-30} * 5; i++)); do
        is_plugged || return 0
        sleep 0.2
    done
    return 1
}

shadowcl vm-suspend --agent "$agent" --address "$ADDRESS"
trap bring_back EXIT INT TERM
virsh detach-device "$domain" "$here" --live
wait_unplugged || fail "the guest does not let the device go; see its kernel's log"
virsh migrate --live "$domain" "$remote"
trap - EXIT INT TERM
echo "move: $domain is on $host"
virsh -c "$remote" attach-device "$domain" "$there" --live ||
    fail "the device could not be attached on $host; the programs are suspended there" \
        "to do: attach it, then on $host: shadowcl vm-resume --agent $agent \
--address $address_there"
# shellcheck disable=SC2029 # the words are this host's
ssh "$host" "shadowcl vm-resume --agent '$agent' --address '$address_there'"
