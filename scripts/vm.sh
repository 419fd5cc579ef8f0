#!/bin/sh
# go test in a throw-away virtual machine: vm.sh [-kernel FILE] [-with LIST] [-user] [-shell] [GO TEST FLAGS] [PACKAGES]
#
#   -kernel FILE   another kernel, such as boot/vmlinuz-VERSION of an unpacked package: its modules are looked for
#                  in lib/modules/VERSION beside boot
#   -with LIST     more packages of Debian in the machine, such as 'containerd docker.io' (and with btrfs-progs its module)
#   -user          the tests run as an ordinary user to whom a cgroup is delegated, as systemd does for a login
#   -shell         a shell in the machine instead; its command `tests` runs the tests
#
# What the machine has: a stock kernel of Debian, version 2 of cgroups, a few Debian packages, and this directory
# as /workshop. They are downloaded and unpacked, never installed, once, to the user's cache. The tests are compiled
# here, so that there need be no Go in it. Neither root nor KVM is needed; where KVM works it is used.
#
# virtme-ng starts a kernel like this too, on the files of the machine at hand: by 9p, which the cloud kernel has not, or by
# virtiofs, which takes a daemon. Here the machine is the same everywhere, and its disk is one that can be idmapped.
#
# The packages are all steps and the runtime if none is named. The harness's own test compiles what it tests, and is not for here.
set -eu

usage='usage: vm.sh [-kernel FILE] [-with LIST] [-user] [-shell] [GO TEST FLAGS] [PACKAGES]'
die() {
    echo "vm.sh: $*" >&2
    exit 125
}

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
kernel='' with='' as=root shell='' packages="./step... ./runtime"
while [ $# -gt 0 ]; do
    case $1 in
    -kernel | --kernel)
        [ $# -gt 1 ] || die "$usage"
        kernel=$(realpath -e -- "$2" 2>/dev/null) || die "$2: no such kernel"
        shift
        ;;
    -with | --with)
        [ $# -gt 1 ] || die "$usage"
        with=$2
        shift
        ;;
    -user | --user) as=user ;;
    -shell | --shell) shell=yes ;;
    -h | --help) echo "$usage"; exit 0 ;;
    *) break ;;
    esac
    shift
done
# Which of the arguments are packages only go test knows; those of a module at hand begin in one of these ways.
for arg; do
    case $arg in ./* | . | ... | container.example/*) packages='' ;; esac
done

[ "$(uname -s)" = Linux ] || die 'runs on Linux (elsewhere: vagrant up)'
case $(uname -m) in
x86_64) arch=amd64 qemu=qemu-system-x86_64 machine=q35 console=ttyS0 ;;
aarch64) arch=arm64 qemu=qemu-system-aarch64 machine=virt console=ttyAMA0 ;;
*) die "$(uname -m): only for x86_64 and aarch64" ;;
esac
missing=
for tool in "$qemu:qemu-system-${qemu##*_}" go:golang mke2fs:e2fsprogs depmod:kmod cpio:cpio dpkg-deb:dpkg apt-get:apt; do
    PATH=$PATH:/usr/sbin:/sbin command -v "${tool%%:*}" >/dev/null || missing="$missing ${tool##*:}"
done
[ -z "$missing" ] || die "not installed:$missing (apt-get install qemu-system-x86 or qemu-system-arm, e2fsprogs, kmod, cpio)"
PATH=$PATH:/usr/sbin:/sbin

modules='virtio_pci virtio_blk virtio_console virtio_rng overlay veth bridge br_netfilter dummy tun nf_tables nft_masq
nft_nat nft_chain_nat nft_ct nf_nat nf_conntrack'
userland='dash coreutils procps util-linux util-linux-extra bsdutils mount findutils grep sed mawk tar gzip diffutils
hostname iproute2 nftables runc busybox-static strace uidmap libc-bin'
userland="$userland $with"
case $with in *btrfs-progs*) modules="$modules loop btrfs" ;; esac

work=$(mktemp -d)
pid=
# shellcheck disable=SC2317 # called by the trap
cleanup() {
    trap '' HUP INT TERM
    [ -z "$pid" ] || kill "$pid" 2>/dev/null || :
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# A disk whose files belong to root, made by anybody.
mkdisk() {
    as_root=
    [ "$(id -u)" -eq 0 ] || as_root='unshare -r'
    truncate -s "$3" "$2"
    $as_root mke2fs -q -F -t ext4 -O ^has_journal -m 0 -d "$1" "$2" || die "mke2fs: cannot make $2"
}

# download DIR PACKAGE... : the packages and nothing else.
download() (
    mkdir -p "$1" && cd "$1" && shift
    apt-get -q -o APT::Sandbox::User=root download "$@" >"$work/log" 2>&1 || {
        cat "$work/log" >&2
        die "apt-get download failed (apt-get update may help)"
    }
)

# The cache is built in a directory beside it and renamed at the end: it is there as a whole or not at all.
cache=${XDG_CACHE_HOME:-$HOME/.cache}/container-workshop/vm
mkdir -p "$cache"

make_userland() {
    echo "vm.sh: unpacking the machine's packages into $cache" >&2
    # What the packages need in turn, apt-get tells for a system on which nothing is installed.
    # shellcheck disable=SC2086 # a list of words
    list=$(apt-get -qq -o Dir::State::status=/dev/null -o APT::Install-Recommends=0 -o APT::Architecture="$arch" \
        --print-uris install $userland | awk '{ sub(/_.*/, "", $2); print $2 }') ||
        die 'apt-get knows no such packages (apt-get update may help)'
    # shellcheck disable=SC2086
    download "$work/debs" $list
    # One /usr, as every Debian has it.
    r=$work/root
    mkdir -p "$r/usr/bin" "$r/usr/sbin" "$r/usr/lib" "$r/usr/lib64" "$r/dev" "$r/proc" "$r/sys" "$r/run" "$r/tmp" "$r/root" \
        "$r/home/user" "$r/etc" "$r/workshop" "$r/var/tmp" "$r/mnt"
    for dir in bin sbin lib lib64; do ln -s "usr/$dir" "$r/$dir"; done
    for deb in "$work"/debs/*.deb; do
        dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$r" --keep-directory-symlink --no-same-owner --no-same-permissions \
            --exclude='./usr/share/doc/*' --exclude='./usr/share/man/*' --exclude='./usr/share/locale/*'
    done
    rm -rf "$work/debs"
    # Maintainer scripts would make these.
    printf '%s\n' root:x:0:0:root:/root:/bin/sh user:x:1000:1000::/home/user:/bin/sh nobody:x:65534:65534:nobody:/:/bin/false >"$r/etc/passwd"
    printf '%s\n' root:x:0: user:x:1000: nogroup:x:65534: >"$r/etc/group"
    printf '%s\n' '127.0.0.1 localhost vm' '::1 localhost' >"$r/etc/hosts"
    : >"$r/etc/subuid"
    : >"$r/etc/subgid"
    chmod u+s "$r/usr/bin/newuidmap" "$r/usr/bin/newgidmap"
    [ -e "$r/usr/bin/awk" ] || ln -s mawk "$r/usr/bin/awk"
    for applet in $("$r/bin/busybox" --list); do
        [ -e "$r/usr/bin/$applet" ] || [ -e "$r/usr/sbin/$applet" ] || ln -s busybox "$r/usr/bin/$applet"
    done
    install -m 755 "$root/scripts/vm-init.sh" "$r/usr/sbin/vm-init"
    printf '#!/bin/sh\nexec vm-init tests\n' >"$r/usr/bin/tests"
    chmod 755 "$r/usr/bin/tests"
    mkdisk "$r" "$work/disk" 2G
    cp "$r/bin/busybox" "$work/busybox"
    rm -rf "$r"
}

key=$({ cat "$0" "$root/scripts/vm-init.sh" && printf %s "$with"; } | sha256sum | cut -c 1-12)
if [ ! -e "$cache/disk-$key" ]; then
    make_userland
    mv "$work/busybox" "$cache/busybox-$key"
    mv "$work/disk" "$cache/disk-$key"
    find "$cache" -maxdepth 1 -name '*-????????????' ! -name "*-$key" -mtime +7 -exec rm -f {} +
fi
if [ -z "$kernel" ]; then
    # The newest there is: on bookworm 6.12 rather than 6.1, which has no time namespace to exec into and no idmapped tmpfs.
    package=$(apt-cache search --names-only "^linux-image-[0-9].*-cloud-$arch\$" | cut -d ' ' -f 1 | sort -V | tail -n 1)
    [ -n "$package" ] || die "no package linux-image-VERSION-cloud-$arch (apt-get update may help; -kernel FILE takes another kernel)"
    kernel=$cache/$package/boot/vmlinuz-${package#linux-image-}
    if [ ! -e "$kernel" ]; then
        download "$work/kernel" "$package"
        mkdir "$work/unpacked"
        dpkg-deb -x "$work"/kernel/*.deb "$work/unpacked"
        mv -T "$work/unpacked" "$cache/$package"
    fi
fi

# The first stage: loads the modules, in the order in which they need each other, and goes on to the disk.
i=$work/initramfs
mkdir -p "$i/bin" "$i/dev" "$i/proc" "$i/sys" "$i/m" "$i/new"
cp "$cache/busybox-$key" "$i/bin/busybox"
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
$b umount /proc
$b mount --move /dev /new/dev
exec $b switch_root /new /usr/sbin/vm-init
I
chmod 755 "$i/init"
(cd "$i" && find . | cpio -o -H newc -R 0:0 --quiet | gzip -1) >"$work/initrd"

# The tests are compiled by go test itself, which hands each to a program that keeps it for later. So all its flags
# mean what they always do. What is not about the machine is not for here, unless a flag -run says so.
cat >"$work/keep" <<'K'
#!/bin/sh
set -eu
dir=$KEEP/tests/$(basename "$PWD")
mkdir -p "$dir"
cp "$1" "$dir/test"
pwd >"$dir/pwd"
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
export KEEP="$payload/.vm"
mkdir -p "$KEEP/tests"
cd "$root"
export CGO_ENABLED=0
# shellcheck disable=SC2086
go test -count=1 -timeout 30m -run '^TestPromises$' -exec "$work/keep" "$@" $packages >"$work/log" 2>&1 || {
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
PATH=$PATH:$root/rootfs/bin scripts/mkrootfs.sh -o "$KEEP/programs/rootfs" >/dev/null
chmod -R a+rX "$KEEP/programs/rootfs" # for any user to copy
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
tar -c --exclude=./.git --exclude=./rootfs . | tar -x -C "$payload" --no-same-owner

# What emulation makes dear: protections of the kernel that a machine of a few minutes does not need, and addresses
# that differ from one process to the next, so that the same code is translated again.
fast='mitigations=off norandmaps nokaslr init_on_alloc=0 audit=0'

# Whether KVM works is known when a machine has started with it.
accel='-accel tcg,thread=multi,tb-size=512 -cpu max,la57=off,smap=off,smep=off,pku=off' accelerated=''
if [ -w /dev/kvm ] && timeout 10 "$qemu" -accel kvm -cpu host -M "$machine" -m 256 -nodefaults -no-user-config -display none \
    -no-reboot -nic none -serial "file:$work/probe" -kernel "$kernel" -initrd "$work/initrd" \
    -append "console=$console quiet panic=-1 vm=probe" >/dev/null 2>&1 </dev/null && grep -q 'vm: it works' "$work/probe"; then
    accel='-accel kvm -cpu host' accelerated=yes
fi

{
    echo "export AS=$as CONSOLE=/dev/$console"
    [ -z "${CONTAINER-}" ] || echo 'export CONTAINER=/workshop/.vm/container'
    [ -z "${CI-}" ] || echo "export CI=$CI"
    timeout=${WORKSHOP_TIMEOUT-}
    [ -n "$timeout$accelerated" ] || timeout=5m # emulation is slow
    [ -z "$timeout" ] || echo "export WORKSHOP_TIMEOUT=$timeout"
    if [ -n "$shell" ]; then
        echo 'export MODE=shell'
        echo "export TERM=${TERM:-dumb}"
    fi
} >"$KEEP/env"
mkfifo "$work/out"
set -- -M "$machine" -smp 2 -m 2048 -nodefaults -no-user-config -display none -no-reboot -nic none -device virtio-rng-pci \
    -drive "file=$cache/disk-$key,format=raw,if=none,id=root,snapshot=on,cache=unsafe" -device virtio-blk-pci,drive=root \
    -drive "file=$work/workshop,format=raw,if=none,id=workshop,cache=unsafe" -device virtio-blk-pci,drive=workshop \
    -device virtio-serial-pci \
    -chardev "file,id=status,path=$work/status" -device virtserialport,chardev=status,name=status \
    -chardev "file,id=report,path=$work/report" -device virtserialport,chardev=report,name=report \
    -kernel "$kernel" -initrd "$work/initrd" -append "console=$console quiet loglevel=3 panic=-1 $fast"
# boot starts the machine with these arguments and shows what it prints, until it ends.
boot() {
    rm -f "$work/workshop"
    mkdisk "$payload" "$work/workshop" "$(($(du -sm "$payload" | cut -f 1) * 5 / 4 + 64))M"
    : >"$work/status"
    : >"$work/report"
    # shellcheck disable=SC2086
    if [ -n "$shell" ]; then
        # The terminal is the machine's, Ctrl-C too; Ctrl-A X ends it.
        TMPDIR=$work "$qemu" $accel "$@" -serial mon:stdio
        return
    fi
    # With the standard output itself as its file, qemu would truncate that.
    # shellcheck disable=SC2086
    TMPDIR=$work "$qemu" $accel "$@" -chardev "file,id=out,path=$work/out" -serial chardev:out </dev/null >"$work/log" 2>&1 &
    pid=$!
    # One that never opens the pipe must not leave tee waiting.
    { while kill -0 "$pid" 2>/dev/null; do sleep 0.2; done; : >"$work/out"; } 2>/dev/null &
    opener=$!
    tee "$work/console" <"$work/out"
    kill "$opener" 2>/dev/null || :
    wait "$pid" || cat "$work/log" >&2
    pid=
}

: >"$work/console"
boot "$@"
# While one emulated processor patches the kernel's code, another sometimes runs into the breakpoint of a patch that is done,
# and the kernel gives up. No program in the machine is at fault: there is a second machine, and no third.
if [ ! -s "$work/status" ] && [ -z "$accelerated" ] && grep -q 'Oops: int3' "$work/console"; then
    echo 'vm.sh: the emulated kernel met a breakpoint of its own (Oops: int3): once more, in a new machine'
    boot "$@"
fi
[ -z "${WORKSHOP_REPORT-}" ] || cat "$work/report" >>"$WORKSHOP_REPORT"
status=$(tr -dc 0-9 <"$work/status")
[ -n "$status" ] || die 'the machine ended without a result'
exit "$status"
