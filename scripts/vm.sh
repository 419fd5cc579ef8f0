#!/bin/sh
# go test in a throw-away virtual machine: vm.sh [-arch ARCH] [-kernel VERSION|FILE] [-with LIST] [-user] [-shell | -kvm] [GO TEST FLAGS] [PACKAGES]
#
#   -arch ARCH     amd64 or arm64: another processor than the one at hand is emulated
#   -kernel 6.1    Debian's newest kernel of that version; without it, the newest there is
#   -kernel FILE   a kernel, such as boot/vmlinuz-RELEASE of an unpacked package: its modules are looked for
#                  in lib/modules/RELEASE beside boot
#   -with LIST     more packages of Debian in the machine, such as 'containerd docker.io'; with btrfs-progs the kernel's part, too
#   -user          the tests run as an ordinary user to whom a cgroup is delegated, as systemd does for a login
#   -shell         a shell in the machine instead; its command `tests` runs the tests
#   -kvm           no tests: "yes" if the machine runs with KVM, and "no" if it is emulated
#
# What the machine has: a stock kernel of Debian, version 2 of cgroups, a few Debian packages, and this directory
# as /workshop. The tests are compiled here, so that there need be no Go in it; tests that compile programs are skipped
# there, and say so. Neither root nor KVM is needed; where KVM works it is used.
#
# Without KVM there are as many machines at once as there are processors here, four at most, with one processor each, and
# the scripts are shared out between them. The kernel of a machine with several fails now and then ("Oops: int3"): Linux
# changes its code while it runs, behind a breakpoint, and QEMU (7.2) may keep its translation of the breakpoint if another
# processor removes that while it is translated (docs/kernels.md).
#
# virtme-ng starts a kernel like this too, on the files of the machine at hand: by 9p, which the cloud kernel has not, or by
# virtiofs, which takes a daemon. Here the machine is the same everywhere, and its disk is one that can be idmapped.
#
# If no package is named, they are all steps and the runtime, with their scripts. Of packages that are named all tests run,
# or those that -run says.
set -eu

usage='usage: vm.sh [-arch amd64|arm64] [-kernel VERSION|FILE] [-with LIST] [-user] [-shell | -kvm] [GO TEST FLAGS] [PACKAGES]'
die() {
    echo "vm.sh: $*" >&2
    exit 125
}

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
case $(uname -m) in
x86_64) host=amd64 ;;
aarch64) host=arm64 ;;
*) host=$(uname -m) ;;
esac
arch=$host kernel='' with='' as=root shell='' kvm='' packages="./step... ./runtime" run='-run ^TestPromises$'
while [ $# -gt 0 ]; do
    case $1 in
    -arch | --arch | -kernel | --kernel | -with | --with)
        [ $# -gt 1 ] || die "$usage"
        case $1 in *arch) arch=$2 ;; *kernel) kernel=$2 ;; *with) with=$2 ;; esac
        shift
        ;;
    -user | --user) as=user ;;
    -shell | --shell) shell=yes ;;
    -kvm | --kvm) kvm=yes ;;
    -h | --help) echo "$usage"; exit 0 ;;
    *) break ;;
    esac
    shift
done
# Which of the arguments are packages only go test knows; those of a module at hand begin in one of these ways.
for arg; do
    case $arg in ./* | . | ... | container.example/*) packages='' run='' ;; esac
done

[ "$(uname -s)" = Linux ] || die 'runs on Linux (elsewhere: vagrant up)'
case $arch in
amd64) qemu=qemu-system-x86_64 machine=q35 console=ttyS0 cpu=Nehalem ;;
arm64) qemu=qemu-system-aarch64 machine=virt console=ttyAMA0 cpu=cortex-a76 ;;
*) die "-arch $arch: must be amd64 or arm64" ;;
esac
missing=
for tool in "$qemu:qemu-system-${qemu##*_}" go:golang mke2fs:e2fsprogs depmod:kmod cpio:cpio dpkg-deb:dpkg apt-get:apt; do
    PATH=$PATH:/usr/sbin:/sbin command -v "${tool%%:*}" >/dev/null || missing="$missing ${tool##*:}"
done
[ -z "$missing" ] || die "not installed:$missing (apt-get install qemu-system-x86 or qemu-system-arm, e2fsprogs, kmod, cpio)"
PATH=$PATH:/usr/sbin:/sbin

modules='virtio_pci virtio_blk virtio_console virtio_rng overlay veth bridge br_netfilter dummy tun nf_tables nft_masq
nft_nat nft_chain_nat nft_ct nf_nat nf_conntrack'
case $with in *btrfs-progs*) modules="$modules loop btrfs" ;; esac

work=$(mktemp -d)
pids=
# shellcheck disable=SC2317 # called by the trap
cleanup() {
    trap '' HUP INT TERM
    # shellcheck disable=SC2086 # a list of words
    [ -z "$pids" ] || kill $pids 2>/dev/null || :
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

disk=$("$root/scripts/vm-files.sh" disk "$arch" "$with")
case $kernel in
*/*) kernel=$(realpath -e -- "$kernel" 2>/dev/null) || die "-kernel $kernel: no such file" ;;
*[!0-9.]*) die "-kernel $kernel: must be a version, such as 6.1, or a file with its directory, such as ./vmlinuz-6.1.0" ;;
*) kernel=$("$root/scripts/vm-files.sh" kernel "$arch" "$kernel") ;;
esac

# The first stage: loads the modules, in the order in which they need each other, and goes on to the disk.
i=$work/initramfs
mkdir -p "$i/bin" "$i/dev" "$i/proc" "$i/sys" "$i/m" "$i/new"
cp "$disk.busybox" "$i/bin/busybox"
version=${kernel##*/vmlinuz-}
base=$(dirname "$(dirname "$kernel")")
if [ -d "$base/lib/modules/$version" ]; then
    [ -e "$base/lib/modules/$version/modules.dep.bin" ] || depmod -b "$base" "$version"
    # shellcheck disable=SC2086
    modprobe -d "$base" -S "$version" --show-depends -a $modules 2>/dev/null |
        awk '$1 == "insmod" && !seen[$2]++ { print $2 }' >"$work/modules"
    while read -r file; do
        name=${file##*/}
        case $name in
        *.ko.xz) xz -dc "$file" >"$i/m/${name%.xz}" ;;
        *.ko.zst) zstd -qdc "$file" >"$i/m/${name%.zst}" ;;
        *) cp "$file" "$i/m/" ;;
        esac
        echo "${name%.ko*}.ko"
    done <"$work/modules" >"$i/m/order"
else
    : >"$i/m/order"
fi
cat >"$i/init" <<'I'
#!/bin/busybox sh
b=/bin/busybox
$b mount -t devtmpfs dev /dev
$b mount -t proc proc /proc
if $b grep -q vm=probe /proc/cmdline; then $b echo 'vm: it works'; $b poweroff -f; fi
while read -r m; do $b insmod /m/$m; done </m/order
n=0
until [ -b /dev/vda ] || [ $n = 200 ]; do $b sleep 0.05; n=$((n + 1)); done
$b mount -t ext4 -o noatime /dev/vda /new || { $b echo 'vm: no disk'; $b poweroff -f; }
$b mount -t ext4 -o noatime /dev/vdb /new/workshop
$b umount /proc
$b mount --move /dev /new/dev
exec $b switch_root /new /workshop/scripts/vm-init.sh
I
chmod 755 "$i/init"
(cd "$i" && find . >"$work/names" && cpio -o -H newc -R 0:0 --quiet -O "$work/cpio" <"$work/names")
gzip -1 <"$work/cpio" >"$work/initrd"

# Whether KVM works is known when a machine has started with it: a /dev/kvm may be there and start none.
# One that KVM cannot go on with is stopped, and QEMU waits: it says so. One that goes astray may use so many seconds of
# a processor, which a busy machine does not take from it.
accelerated=
if [ "$arch" = "$host" ] && [ -w /dev/kvm ]; then
    # shellcheck disable=SC3045 # the shells that have KVM around them know -t
    (ulimit -t 30 && exec timeout 120 "$qemu" -accel kvm -cpu host -M "$machine" -m 256 -nodefaults -no-user-config \
        -display none -no-reboot -nic none -serial "file:$work/probe" -kernel "$kernel" -initrd "$work/initrd" \
        -append "console=$console quiet panic=-1 vm=probe") >/dev/null 2>"$work/refusal" </dev/null &
    until grep -qs 'KVM internal error' "$work/refusal" || ! kill -0 $! 2>/dev/null; do
        sleep 0.1
    done
    kill $! 2>/dev/null || true
    if wait $! && grep -q 'vm: it works' "$work/probe"; then
        accelerated=yes
    fi
fi
if [ -n "$kvm" ]; then
    echo "${accelerated:-no}"
    exit
fi

# The tests are compiled by go test itself, which hands each to a program that keeps it for later. So all its flags
# mean what they always do.
cat >"$work/keep" <<'K'
#!/bin/sh
set -eu
dir=$KEEP/tests/${PWD#"$ROOT"/}
mkdir -p "$dir"
cp "$1" "$dir/run.test"
shift
for arg; do
    case $arg in
    -test.testlogfile=*) ;; # for go test's memory of results
    -test.*profile=*) echo "vm.sh: ${arg%%=*}: the file would stay in the machine" >&2; exit 1 ;;
    *) printf '%s\n' "$arg" ;;
    esac
done >"$dir/args"
K
chmod 755 "$work/keep"
payload=$work/payload
export ROOT="$root" KEEP="$payload/.vm"
mkdir -p "$KEEP/tests"
cd "$root"
export GOARCH="$arch" CGO_ENABLED=0
# shellcheck disable=SC2086
go test -count=1 -timeout 2h $run -exec "$work/keep" "$@" $packages >"$work/log" 2>&1 || {
    cat "$work/log" >&2
    exit 1
}
[ -n "$(ls "$KEEP/tests")" ] || {
    cat "$work/log" >&2
    die 'no tests'
}
for dir in step*/ runtime/ image/ internal/harness/probe/; do
    mkdir -p "$KEEP/programs/$dir"
    go build -o "$KEEP/programs/$dir/program" "./$dir"
done
# The names of the system calls, for the tests of the filter.
mkdir -p "$KEEP/sys/unix"
cp "$(go list -m -f '{{.Dir}}' golang.org/x/sys)"/unix/zsysnum_linux_"$arch".go "$KEEP/sys/unix"
# For another processor, the root file system is made there: making it runs its BusyBox.
if [ "$arch" = "$host" ]; then
    PATH=$PATH:$root/rootfs/bin scripts/mkrootfs.sh -o "$KEEP/programs/rootfs" >/dev/null
    chmod -R a+rX "$KEEP/programs/rootfs" # for any user to copy
fi
case ${CONTAINER-} in '') ;; /*) mine=$CONTAINER ;; *) mine=$root/$CONTAINER ;; esac
if [ -n "${CONTAINER-}" ]; then
    if [ -d "$mine" ]; then
        (cd "$mine" && go build -o "$KEEP/container" .)
    elif [ "${mine%.go}" != "$mine" ]; then
        go build -o "$KEEP/container" "$mine"
    else
        cp "$mine" "$KEEP/container"
    fi || die "CONTAINER $CONTAINER: not a program"
fi
# 1: a file changed meanwhile, such as a program that somebody compiles.
tar -c --exclude=./.git --exclude=./rootfs -f "$work/sources.tar" . || [ $? -eq 1 ] || die 'tar: not all could be read'
tar -x -C "$payload" --no-same-owner -f "$work/sources.tar"
rm "$work/sources.tar"

# What emulation makes dear: protections of the kernel that a machine of a few minutes does not need, and addresses
# that differ from one process to the next, so that the same code is translated again. And a test of the timer that an
# emulated processor fails when the host is busy: the kernel then takes another timer, and minutes to start.
fast='mitigations=off norandmaps nokaslr init_on_alloc=0 audit=0'
[ "$arch" != amd64 ] || fast="$fast no_timer_check"

processors=$(nproc)
[ "$processors" -le 4 ] || processors=4
if [ -n "$accelerated" ]; then
    machines=1 workers=$processors
    set -- -accel kvm -cpu host -smp "$processors"
else
    machines=$processors workers=2
    [ -z "$shell" ] || machines=1
    set -- -accel tcg,tb-size=512 -cpu "$cpu" -smp 1
    # The counter of an emulated amd64 is that of the processor here, whose frequency is half its "bogomips". A kernel that
    # measures it while the host is busy may be wrong: 200 seconds passed in one that ran for 65.
    if [ "$arch $host" = 'amd64 amd64' ]; then
        fast="$fast tsc_early_khz=$(awk -F : '/^bogomips/ { printf "%d", $2 * 500; exit }' /proc/cpuinfo)"
    fi
fi

# share_out writes which parts of the tests each machine runs: parts-1, parts-2 and so on. Step 5 and the runtime have more
# scripts than all others, so that each machine takes some of theirs; the other packages are dealt out whole.
share_out() {
    shares=$((machines * workers)) next=0
    find "$KEEP/tests" -name run.test -printf '%P\n' | sort -r >"$work/packages"
    while read -r package; do
        package=${package%/run.test} flag=$(grep '^-test.run=' "$KEEP/tests/${package%/run.test}/args" || :)
        case $package,${flag#*=} in
        step5-*,'^TestPromises$'* | step5-*, | runtime,'^TestPromises$'* | runtime,)
            for share in $(seq "$shares"); do
                echo "$package $share/$shares" >>"$KEEP/parts-$((share % machines + 1))"
            done
            ;;
        *)
            echo "$package" >>"$KEEP/parts-$((next % machines + 1))"
            next=$((next + 1))
            ;;
        esac
    done <"$work/packages"
}
share_out
{
    echo "export AS=$as CONSOLE=/dev/$console WORKERS=$workers SYS=/workshop/.vm/sys"
    [ -z "${CONTAINER-}" ] || echo 'export CONTAINER=/workshop/.vm/container'
    [ -z "${CI-}" ] || echo "export CI=$CI"
    [ -z "${SWEEP-}" ] || echo "export SWEEP=$SWEEP"
    timeout=${WORKSHOP_TIMEOUT-}
    # Emulation is slow, and the time that a busy host takes from an emulated processor counts as the program's.
    [ -n "$timeout$accelerated" ] || timeout=15m
    [ -z "$timeout" ] || echo "export WORKSHOP_TIMEOUT=$timeout"
    [ "$accelerated${SWEEP-}" ] || echo 'export WORKSHOP_EMULATED=yes'
    if [ -n "$shell" ]; then
        echo 'export MODE=shell'
        echo "export TERM=${TERM:-dumb}"
    fi
} >"$KEEP/env"
scripts/vm-files.sh pack "$payload" "$work/workshop" "$(($(du -sm "$payload" | cut -f 1) * 5 / 4 + 64))M"

# boot N ARGUMENTS... : the Nth machine, in place of this shell.
boot() {
    n=$1
    shift
    export TMPDIR="$work"
    exec "$qemu" "$@" -M "$machine" -m 2048 -nodefaults -no-user-config -display none -no-reboot -nic none \
        -device virtio-rng-pci \
        -drive "file=$disk,format=raw,if=none,id=root,snapshot=on,cache=unsafe" -device virtio-blk-pci,drive=root \
        -drive "file=$work/workshop,format=raw,if=none,id=workshop,snapshot=on,cache=unsafe" \
        -device virtio-blk-pci,drive=workshop \
        -device virtio-serial-pci \
        -chardev "file,id=status,path=$work/status-$n" -device virtserialport,chardev=status,name=status \
        -chardev "file,id=report,path=$work/report-$n" -device virtserialport,chardev=report,name=report \
        -kernel "$kernel" -initrd "$work/initrd" -append "console=$console quiet loglevel=3 panic=-1 $fast MACHINE=$n"
}
if [ -n "$shell" ]; then
    # The terminal is the machine's, Ctrl-C too; Ctrl-A X ends it.
    (boot 1 "$@" -serial mon:stdio)
else
    for n in $(seq "$machines"); do
        [ -e "$KEEP/parts-$n" ] || break
        : >"$work/out-$n"
        boot "$n" "$@" -serial "file:$work/out-$n" </dev/null >"$work/log-$n" 2>&1 &
        pids="$pids $!"
    done
    # The first is seen at work, the others when they are done.
    n=1
    for pid in $pids; do
        tail -q -n +1 -f -s 0.2 --pid="$pid" "$work/out-$n" &
        wait $! || : # which a signal ends, and a command in the foreground would not
        wait "$pid" || cat "$work/log-$n" >&2
        pids=${pids# "$pid"} n=$((n + 1))
    done
fi
status=0
for n in $(seq "$machines"); do
    [ -e "$KEEP/parts-$n" ] || break
    [ -z "${WORKSHOP_REPORT-}" ] || cat "$work/report-$n" >>"$WORKSHOP_REPORT"
    [ -s "$work/status-$n" ] || die 'a machine ended without a result'
    [ "$(tr -dc 0-9 <"$work/status-$n")" = 0 ] || status=$(tr -dc 0-9 <"$work/status-$n")
done
exit "$status"
