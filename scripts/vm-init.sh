#!/bin/sh
# Process 1 of a virtual machine of vm.sh: makes a system of the kernel, runs the tests, and switches it off.
# shellcheck disable=SC2094 # a console is read and written
set -u
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
cgroups=/sys/fs/cgroup
delegated=$cgroups/user.slice/user-1000.slice/user@1000.service

# one PACKAGE [SHARE]: what go test does: runs a test binary in the directory of its package, and says how it went.
# SHARE, such as 2/4, are its scripts that this run is to take; the tests that are no scripts belong to the first share.
one() {
    name=$1 dir=/workshop/.vm/tests/$1 share=${2-}
    set --
    while IFS= read -r arg; do set -- "$@" "$arg"; done <"$dir/args"
    case $share,$* in
    ,* | 1/* | *,*-test.run=*) ;;
    *) set -- "$@" '-test.run=^TestPromises$' ;;
    esac
    start=$(cut -d. -f1 /proc/uptime)
    output=$(mktemp)
    word=ok
    (cd "/workshop/$name" && WORKSHOP_SHARE=$share "$dir/run.test" "$@") >"$output" 2>&1 || word=FAIL
    printf '%s\t%s\t%ss\n' "$word" "$name${share:+ $share}" "$(($(cut -d. -f1 /proc/uptime) - start))" >>"$output"
    cat "$output"
    [ "$word" = ok ]
}

# The scripts of a package run one by one, and often wait for something: so several packages run at a time.
tests() {
    xargs -P "$WORKERS" -L 1 "$0" one <"/workshop/.vm/parts-$MACHINE" || return 1
}

# as_user COMMAND: as user to whom root has delegated a cgroup, as a login under systemd.
as_user() {
    (
        # A shell of its own: what moves is the process that writes.
        exec sh -c 'echo $$ >"$0/session/cgroup.procs" && exec setpriv --reuid=1000 --regid=1000 --clear-groups env HOME=/home/user "$@"' "$delegated" "$@"
    )
}

case ${0##*/},${1-} in
*,one) one "$2" "${3-}"; exit ;; # of go test: 0 or 1
*,tests | tests,*) tests; exit ;;
esac

cd /
mount -t proc -o nosuid,nodev,noexec proc /proc
mount -t sysfs -o nosuid,nodev,noexec sysfs /sys
mount -t tmpfs -o nosuid,nodev,mode=755 tmpfs /run
# The root file systems of the tests are in /tmp, and a tmpfs has no idmapped mounts before Linux 6.3: the disk has.
if [ "$(printf '%s\n' 6.3 "$(uname -r)" | sort -V | head -n 1)" = 6.3 ]; then
    mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs /tmp
else
    chmod 1777 /tmp
fi
mount -o remount,nosuid /dev # as systemd has it
mkdir -p /dev/pts /dev/shm /dev/mqueue
mount -t devpts -o nosuid,noexec,gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs /dev/shm
mount -t mqueue -o nosuid,nodev,noexec mqueue /dev/mqueue
mount -t cgroup2 -o nosuid,nodev,noexec,nsdelegate,memory_recursiveprot cgroup2 $cgroups
mount --make-rshared /
ln -sfn /proc/self/fd /dev/fd
for fd in 0:stdin 1:stdout 2:stderr; do ln -sf "/proc/self/fd/${fd%:*}" "/dev/${fd#*:}"; done
hostname vm
ip link set lo up
chown 1000:1000 /home/user
# shellcheck source=/dev/null
. /workshop/.vm/env
export HOME=/root WORKSHOP_PREBUILT=/workshop/.vm/programs WORKSHOP_REPORT=/tmp/report
: >/tmp/report
chmod 666 /tmp/report

# cgroups as systemd lays them out.
mkdir -p $cgroups/init.scope $cgroups/system.slice/test.service $delegated/session
echo $$ >$cgroups/init.scope/cgroup.procs
for dir in $cgroups $cgroups/user.slice $cgroups/user.slice/user-1000.slice; do
    echo '+cpu +memory +pids' >"$dir/cgroup.subtree_control"
done
for dir in $delegated $delegated/session; do
    chown 1000:1000 "$dir" "$dir/cgroup.procs" "$dir/cgroup.threads" "$dir/cgroup.subtree_control"
done

for name in /sys/class/virtio-ports/*/name; do
    port=${name%/name}
    case $(cat "$name") in
    status) status_port=/dev/${port##*/} ;;
    report) report_port=/dev/${port##*/} ;;
    esac
done

read -r up _ </proc/uptime
{
    stty -onlcr
    echo "vm: Linux $(uname -r), $(stat -fc %T $cgroups), up after $up s, as $AS"
} <"$CONSOLE" >"$CONSOLE" 2>&1
set -- "$0" tests
[ "${MODE-}" != shell ] || set -- setsid cttyhack sh
[ "$AS" != user ] || set -- as_user "$@"
if [ "${MODE-}" = shell ]; then
    mkdir -p /usr/local/bin
    ln -s "$0" /usr/local/bin/tests
    stty sane <"$CONSOLE"
    cd /workshop || exit
    "$@" <"$CONSOLE" >"$CONSOLE" 2>&1
    echo $? >/run/status
else
    # The console can be the standard output of many, but not be opened by each: /dev/stdout leads to the pipe.
    { "$@"; echo $? >/run/status; } </dev/null 2>&1 | cat >"$CONSOLE"
fi
cat /tmp/report >"$report_port"
cat /run/status >"$status_port"
exec busybox poweroff -f # the disks are not kept
