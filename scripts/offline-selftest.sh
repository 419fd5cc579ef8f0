#!/bin/sh
# Has a new user do the workshop without a network: offline-selftest.sh [DIR]
#
# DIR is a directory of scripts/offline.sh; otherwise one is made. The user has a number and nothing else: no home, no
# cache, no Go, no BusyBox, and no network interface but the loopback one. He types what the README in DIR says, and then checks
# steps 1 to 3 with the workshop's own programs; root checks steps 4 and 5. Needs root, for the namespaces too.
set -eu

die() {
    echo "offline-selftest.sh: $*" >&2
    exit 1
}
[ "$(id -u)" -eq 0 ] || die 'only root may become another user'
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
work=$(mktemp -d)
chmod 755 "$work"
trap 'chmod -R u+w "$work"; rm -rf --one-file-system "$work"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
if [ $# -eq 0 ]; then
    "$root/scripts/offline.sh" "$work/dir"
    dir=$work/dir
else
    dir=$(CDPATH='' cd -- "$1" && pwd)
fi
(cd "$dir" && sha256sum -c --quiet SHA256SUMS)
mkdir -m 700 "$work/home"
chown 65534:65534 "$work/home"

# The commands of the README, as somebody types them. The doctor says what the machine does not allow to an ordinary user.
{
    echo 'set -eux'
    awk '/^```/ { n++; next } n == 1' "$dir/README.md" | sed 's/doctor$/& || :/'
    # shellcheck disable=SC2016 # to be expanded by that shell
    echo 'for step in 1-skeleton 2-namespaces 3-rootfs; do go tool workshop check -program "./step$step" "${step%%-*}"; done'
} >"$work/typed"
# Only root may set limits, which is step 4, and step 5 keeps its promises.
{
    sed '/go tool/d; /setup.sh/d; /mkrootfs.sh/d' "$work/typed"
    echo 'go tool workshop check -program ./step4-cgroups 4'
    echo 'go tool workshop check -program ./step5-complete 5'
} >"$work/typed-by-root"

cat >"$work/inside" <<'I'
set -eu
work=$1 dir=$2
mount --make-rprivate /
mount -t proc proc /proc
ip link set lo up 2>/dev/null || :
# What this machine has and a new one has not.
: >"$work/none"
for program in busybox go; do
    for place in /usr/local/bin /usr/bin /bin; do
        file=$(realpath -q "$place/$program") && [ -e "$file" ] && mount --bind "$work/none" "$file"
    done
done
cd "$dir"
set -- env -i HOME="$work/home" PATH=/usr/local/bin:/usr/bin:/bin TERM=dumb LANG=C.UTF-8
"$@" setpriv --reuid=65534 --regid=65534 --clear-groups sh "$work/typed"
"$@" sh "$work/typed-by-root"
I
unshare -mnpf --kill-child sh "$work/inside" "$work" "$dir"
echo 'offline-selftest.sh: all steps checked, without a network'
