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
  LINGER=SECONDS how long, once the programs run again here, is looked for a guest that lets it go
                 after all (30): the device is then attached again, and the programs get it; what
                 they had on it is lost
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

# What QEMU has, whatever libvirt was told: plugged, unplugged, or unknown where it can't be asked.
device() {
    local answer
    answer=$(virsh qemu-monitor-command "$domain" \
        '{"execute": "qom-list", "arguments": {"path": "/machine/peripheral"}}' 2>/dev/null) ||
        answer=
    case $answer in
    *"\"$alias\""*) echo plugged ;;
    *'"return"'*) echo unplugged ;;
    *) echo unknown ;;
    esac
}

# The same, where it may be asked in a moment.
device_soon() {
    local now
    for _ in {1..10}; do
        now=$(device)
        [[ $now == unknown ]] || break
        sleep 0.5
    done
    echo "$now"
}

# What is left of the time counts where this was interrupted.
looks=$((${WAIT:-30} * 5))
wait_unplugged() {
    while ((looks-- > 0)); do
        [[ $(device) != unplugged ]] || return 0
        sleep 0.2
    done
    return 1
}

# libvirt may yet have to hear that the device has gone.
attach_here() {
    is_leaving=
    for _ in {1..5}; do
        ! virsh attach-device "$domain" "$here" --live || return 0
        sleep 1
    done
    fail 'the device could not be attached again; the programs are suspended' \
        "to do: attach it, then: shadowcl vm-resume --agent $agent --address $ADDRESS"
}

# It may leave at that moment, too.
resume_here() {
    for _ in 1 2; do
        [[ $(device_soon) != unplugged ]] || attach_here
        ! shadowcl vm-resume --agent "$agent" --address "$ADDRESS" || return 0
        [[ $(device_soon) == unplugged ]] || break
    done
    fail 'the programs are suspended; try again, when the device is attached:' \
        "shadowcl vm-resume --agent $agent --address $ADDRESS"
}

linger() {
    echo "move: that the device is to leave can't be withdrawn: looking ${LINGER:-30} s more" >&2
    for ((looks = ${LINGER:-30} * 5; looks > 0; looks--)); do
        if [[ $(device) == unplugged ]]; then
            echo 'move: the guest has let the device go, late: it is attached again' >&2
            # Not by its address, which nothing has in the guest now; and who holds what else does
            # not matter.
            shadowcl vm-suspend --agent "$agent" --force ||
                echo 'move: the programs were not suspended before' >&2
            resume_here
            return
        fi
        sleep 0.2
    done
}

bring_back() {
    trap - EXIT INT TERM
    echo 'move: bringing the programs back on this host' >&2
    # On a device that is about to leave they would lose what they have there.
    [[ ! $is_leaving ]] || wait_unplugged || true
    resume_here
    [[ ! $is_leaving ]] || linger
    exit 1
}

shadowcl vm-suspend --agent "$agent" --address "$ADDRESS"
is_leaving=
trap bring_back EXIT INT TERM
is_leaving=1
if ! virsh detach-device "$domain" "$here" --live; then
    is_leaving=
    exit 1
fi
if ! wait_unplugged; then
    [[ $(device) != unknown ]] || fail "QEMU can't be asked whether the guest has let the device go"
    fail "the guest does not let the device go; see its kernel's log"
fi
is_leaving=
virsh migrate --live "$domain" "$remote"
trap - EXIT INT TERM
echo "move: $domain is on $host"
virsh -c "$remote" attach-device "$domain" "$there" --live ||
    fail "the device could not be attached on $host; the programs are suspended there" \
        "to do: attach it, then on $host: shadowcl vm-resume --agent $agent \
--address $address_there"
# shellcheck disable=SC2029 # the words are this host's
ssh "$host" "shadowcl vm-resume --agent '$agent' --address '$address_there'"
