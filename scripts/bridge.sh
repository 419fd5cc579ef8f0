#!/bin/sh
# The bridge of the containers of step 5, for their chapter about a network.
#
#   bridge.sh up     a bridge workshop0, which is 10.201.0.1 in 10.201.0.0/16, and packets from there to
#                    elsewhere go out under the address of this machine (masquerading)
#   bridge.sh down   all of it is gone
#
# Needs root, ip(8) and nft(8).
set -eu

usage='usage: bridge.sh up|down'
name=workshop0
subnet=10.201.0

up() {
    ip link add "$name" type bridge
    ip addr add "$subnet.1/16" dev "$name"
    ip link set "$name" up
    nft -f - <<N
table ip $name {
    chain postrouting {
        type nat hook postrouting priority srcnat; policy accept;
        ip saddr $subnet.0/16 oifname != "$name" masquerade
    }
}
N
    # Whether this machine forwards packets at all is one switch for all programs. Where it is off, the
    # value 2 means "on" too, and says who has set it.
    [ "$(cat /proc/sys/net/ipv4/ip_forward)" != 0 ] || echo 2 >/proc/sys/net/ipv4/ip_forward
}

down() {
    [ "$(cat /proc/sys/net/ipv4/ip_forward)" != 2 ] || echo 0 >/proc/sys/net/ipv4/ip_forward
    nft delete table ip "$name" 2>/dev/null || :
    ip link delete "$name" 2>/dev/null || :
}

case ${1-} in
up)
    ! ip link show "$name" >/dev/null 2>&1 || exit 0 # it is there
    up || {
        down
        echo "bridge.sh: cannot make the bridge $name (needs root, ip and nft)" >&2
        exit 1
    }
    ;;
down) down ;;
*)
    echo "$usage" >&2
    exit 2
    ;;
esac
