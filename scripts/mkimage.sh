#!/bin/sh
# Makes the machine of the workshop, for people who have none: mkimage.sh [-a ARCH] [-s SUITE] [-o DIR] [KIND...]
#
#   disk         workshop-ARCH.qcow2, for QEMU, libvirt, UTM, Lima and clouds: BIOS and UEFI, with cloud-init
#   libvirt      workshop-libvirt-ARCH.box, for Vagrant with libvirt
#   virtualbox   workshop-virtualbox-ARCH.box, for Vagrant with VirtualBox
#   wsl          workshop-wsl-ARCH.tar.gz, for wsl --import
#
#   -a ARCH      amd64 or arm64; by default that of this machine
#   -s SUITE     of Debian, trixie by default; DEBIAN_MIRROR overrides the mirror
#   -o DIR       where they go, images by default, with a list of the packages and SHA256SUMS
#
# All four by default, from the same files: packages of Debian, what scripts/provision.sh adds, and the last commit of this
# directory in /workshop. Afterwards no machine needs a network. Root is not needed: everything happens in a user namespace
# with the ids of subuid(5). A machine of the other architecture runs in QEMU's user emulation, which is registered
# in that user namespace only (Linux 6.7).
#
# The same packages and the same commit make the same image, to the byte. SOURCE_DATE_EPOCH, the time of the commit by
# default, is the time of all files that are newer.
set -eu

usage='usage: mkimage.sh [-a ARCH] [-s SUITE] [-o DIR] [disk] [libvirt] [virtualbox] [wsl]'
say() { echo "mkimage.sh: $*" >&2; }
die() {
    say "$*"
    exit 1
}
misuse() {
    printf 'mkimage.sh: %s\n%s\n' "$1" "$usage" >&2
    exit 2
}

packages='bsdutils busybox-static ca-certificates cloud-guest-utils cloud-init curl dbus dbus-user-session fdisk git
initramfs-tools iproute2 iputils-ping jq kmod less libpam-systemd man-db manpages manpages-dev nano netbase nftables
openssh-server procps rsync runc strace sudo systemd systemd-resolved systemd-sysv systemd-timesyncd tmux udev uidmap unzip
util-linux vim-tiny'

# The layout of the disk, in sectors of 512 bytes: GRUB for a BIOS, the files of UEFI, and / at the end, where it can grow.
disk_size=20971520
bios_start=2048 bios_size=2048
efi_start=4096 efi_size=126976
root_start=131072 root_size=$((disk_size - 131072 - 2048))
# Names of partitions and file systems may be the same on every machine: no two of these disks are in one.
disk_uuid=c0a7a1e6-0000-4000-8000-000000000001
root_uuid=c0a7a1e6-0000-4000-8000-000000000002
hash_seed=c0a7a1e6-0000-4000-8000-000000000003

# The public key that each copy of Vagrant has the private key of, until it makes another.
vagrant_key='ssh-rsa AAAAB3NzaC1yc2EAAAABIwAAAQEA6NF8iallvQVp22WDkTkyrtvp9eWW6A8YVr+kz4TjGYe7gHzIw+niNltGEFHzD8+v1I2YJ6oXevct1YeS0o9HZyN1Q9qgCgzUFtdOKLv6IedplqoPkcmF0aYet2PkEDo3MlTBckFXPITAMzF8dJSIFo9D8HfdOV0IAdx4O7PtixWKn5y2hMNG0zQPyUecp4pzC6kivAIhyfHilFR61RGL+GPXQ2MWZWFYbAGjyiYJnAmCP3NOTd0jMZEnDkbUvxhMmBYSdETk1rRgm+R4LOzFUGaHqHDLKLX+FIPKcF96hrucXzcWyLbIbEgE98OHlnVYCzRdK8jlqm8tehUc9c9WhQ== vagrant'

native=$(dpkg --print-architecture 2>/dev/null || :)
arch=$native suite=trixie out=images
while getopts :a:s:o:h opt; do
    case $opt in
    a) arch=$OPTARG ;;
    s) suite=$OPTARG ;;
    o) out=$OPTARG ;;
    h) echo "$usage"; sed -n '2,/^set/s/^# \{0,1\}//p' "$0"; exit 0 ;;
    :) misuse "-$OPTARG: needs a value" ;;
    *) misuse "-$OPTARG: no such option" ;;
    esac
done
shift $((OPTIND - 1))
kinds=${*:-disk libvirt virtualbox wsl}
for kind in $kinds; do
    case $kind in disk | libvirt | virtualbox | wsl) ;; *) misuse "$kind: no such kind" ;; esac
done
case $arch in
amd64) efi=x64 qemu=x86_64 elf=3e cpu=Nehalem ;;
arm64) efi=aa64 qemu=aarch64 elf=b7 cpu=cortex-a72 ;;
*) misuse "-a $arch: must be amd64 or arm64" ;;
esac

PATH=$PATH:/usr/sbin:/sbin
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)

# Outside of the namespace: what is missing, and where the results go.
if [ "${MKIMAGE_INSIDE-}" != yes ]; then
    [ "$(uname -s)" = Linux ] || die 'runs on Linux'
    missing=
    for tool in mmdebstrap:mmdebstrap sfdisk:fdisk mke2fs:e2fsprogs mkfs.vfat:dosfstools mcopy:mtools qemu-img:qemu-utils \
        git:git newuidmap:uidmap pkill:procps; do
        command -v "${tool%%:*}" >/dev/null || missing="$missing ${tool##*:}"
    done
    [ -z "$missing" ] || die "not installed: apt-get install --no-install-recommends$missing"
    if [ -z "${SOURCE_DATE_EPOCH-}" ]; then
        SOURCE_DATE_EPOCH=$(git -C "$root" log -1 --format=%ct) || die "$root: has no commit"
    fi
    export SOURCE_DATE_EPOCH
    mkdir -p "$out" || die "$out: cannot be made"
    out=$(CDPATH='' cd -- "$out" && pwd)
    work=$(mktemp -d)
    chmod 755 "$work"

    # inside COMMAND...: in new namespaces, with all ids that there are. For root those are the machine's, otherwise those
    # of subuid(5).
    inside() {
        if [ "$(id -u)" -ne 0 ]; then
            unshare --user --map-auto --map-root-user --mount --uts --pid --fork --kill-child "$@" &
            builder=$!
        else
            rm -f "$work/ready" "$work/go"
            mkfifo "$work/ready" "$work/go"
            # shellcheck disable=SC2016 # to be expanded in the namespace
            unshare --user sh -c 'echo >"$0/ready"; read -r _ <"$0/go"; exec unshare --mount --uts --pid --fork --kill-child "$@"' \
                "$work" "$@" &
            builder=$!
            read -r _ <"$work/ready"
            echo '0 0 4294967295' >"/proc/$builder/uid_map"
            echo '0 0 4294967295' >"/proc/$builder/gid_map"
            echo >"$work/go"
        fi
        status=0
        wait "$builder" || status=$?
        builder=''
        return "$status"
    }
    # A build that is interrupted ends before its tree goes: with the first process of the namespace all others do. Before
    # there is one, the builder itself waits for its ids.
    # shellcheck disable=SC2317 # the trap calls it
    clean() {
        [ -z "$builder" ] || ! { pkill -KILL -P "$builder" || kill -KILL "$builder"; } || wait "$builder" || :
        inside rm -rf --one-file-system "$work/tree"
        rm -rf "$work"
    }
    builder=''
    trap clean EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM

    git -C "$root" archive --format=tar -o "$work/workshop.tar" HEAD
    if [ "$arch" != "$native" ]; then
        # Unpacked and not installed: the package would register itself with the machine.
        INTERPRETER=$(command -v "qemu-$qemu-static") || {
            (cd "$work" && apt-get -q -o APT::Sandbox::User=root download qemu-user-static >log 2>&1 &&
                dpkg-deb -x qemu-user-static_*.deb emulator) || die 'qemu-user-static: neither installed nor to be downloaded'
            INTERPRETER=$work/emulator/usr/bin/qemu-$qemu-static
        }
        # The processor that QEMU takes by itself signs each return address (pointer authentication), at a price: a program
        # of Perl takes five times as long.
        export INTERPRETER QEMU_CPU="$cpu"
    fi
    mkdir "$work/out"
    # shellcheck disable=SC2086 # a list of words
    inside env MKIMAGE_INSIDE=yes "WORK=$work" "TMPDIR=$work" sh "$0" -a "$arch" -s "$suite" $kinds
    mv "$work"/out/* "$out"
    (cd "$out" && sha256sum -- workshop-* >SHA256SUMS)
    ls -l "$out"
    exit
fi

# From here on as root of the namespace.
work=${WORK:?} tree=${WORK:?}/tree
mount --make-rprivate /
mount -t proc proc /proc
hostname workshop # sudo asks for its address
if [ "$arch" != "$native" ]; then
    mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc 2>"$work/log" ||
        die "$arch: no emulator in a user namespace before Linux 6.7 ($(cat "$work/log"))"
    # Programs and libraries of ELF for that machine. F: the emulator is opened now, and need not be in the tree.
    printf '%s' ":qemu-$qemu:M::"'\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x'"$elf"'\x00' \
        ':\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:' "$INTERPRETER:F" \
        >/proc/sys/fs/binfmt_misc/register
fi

say "packages of $suite for $arch"
case $arch in
amd64) packages="$packages linux-image-amd64 grub-pc-bin" ;;
arm64) packages="$packages linux-image-arm64" ;;
esac
set -- "deb http://deb.debian.org/debian $suite main" "deb http://deb.debian.org/debian $suite-updates main" \
    "deb http://deb.debian.org/debian-security $suite-security main"
[ -z "${DEBIAN_MIRROR-}" ] || set -- "$DEBIAN_MIRROR"
mmdebstrap --mode=root --format=directory --arch="$arch" --variant=minbase --include="$(echo "$packages" | xargs | tr ' ' ,)" \
    --skip=check/qemu,cleanup/apt/lists --dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/locale/*' \
    --aptopt='Acquire::Check-Valid-Until "false"' "$suite" "$tree" "$@" >"$work/log" 2>&1 || {
    tail -n 20 "$work/log" >&2
    die "mmdebstrap: no packages of $suite for $arch (DEBIAN_MIRROR sets another mirror)"
}
rm -f "$tree/etc/apt/apt.conf.d/99mmdebstrap" "$tree/etc/dpkg/dpkg.cfg.d/99mmdebstrap"
for dir in proc sys dev; do mount --rbind "/$dir" "$tree/$dir"; done
rm -f "$tree/etc/resolv.conf"
cat /etc/resolv.conf >"$tree/etc/resolv.conf"
mkdir -p "$work/boot"

say 'the machine'
echo workshop >"$tree/etc/hostname"
printf '%s\n' '127.0.0.1 localhost workshop' '::1 localhost' >"$tree/etc/hosts"
echo "UUID=$root_uuid / ext4 defaults,errors=remount-ro 0 1" >"$tree/etc/fstab"
chroot "$tree" useradd --create-home --shell /bin/bash workshop
echo 'workshop ALL=(ALL) NOPASSWD: ALL' >"$tree/etc/sudoers.d/workshop"
# The user of cloud-init is the one for whom everything is compiled.
cat >"$tree/etc/cloud/cloud.cfg.d/90-workshop.cfg" <<'C'
system_info:
  default_user:
    name: workshop
    lock_passwd: true
    sudo: ["ALL=(ALL) NOPASSWD: ALL"]
    shell: /bin/bash
C
# Where cloud-init has nothing to read: an address from whoever gives one, and keys of the machine's own.
printf '%s\n' '[Match]' 'Type=ether' '' '[Network]' 'DHCP=yes' '' '[DHCPv4]' 'ClientIdentifier=mac' \
    >"$tree/etc/systemd/network/90-workshop.network"
cat >"$tree/etc/systemd/system/workshop-keys.service" <<'S'
[Unit]
Description=Keys of this machine for SSH
Before=ssh.service
After=cloud-init.service cloud-init-network.service
ConditionPathExists=!/etc/ssh/ssh_host_ed25519_key

[Service]
Type=oneshot
ExecStart=/usr/bin/ssh-keygen -A

[Install]
WantedBy=multi-user.target
S
# In WSL, Windows sets up the network and the clock, and puts the socket of its display into /tmp. Nobody logs in by SSH.
printf '%s\n' '[boot]' 'systemd=true' '' '[user]' 'default=workshop' >"$tree/etc/wsl.conf"
for unit in systemd-networkd.service systemd-networkd.socket systemd-networkd-wait-online.service systemd-resolved.service \
    systemd-timesyncd.service ssh.service workshop-keys.service tmp.mount; do
    mkdir -p "$tree/etc/systemd/system/$unit.d"
    printf '%s\n' '[Unit]' 'ConditionVirtualization=!wsl' >"$tree/etc/systemd/system/$unit.d/wsl.conf"
done
chroot "$tree" systemctl -q enable systemd-networkd systemd-resolved ssh workshop-keys
# Nothing of its own accord while somebody teaches.
chroot "$tree" systemctl -q mask apt-daily.timer apt-daily-upgrade.timer man-db.timer e2scrub_all.timer fstrim.timer

say 'the workshop'
chroot "$tree" install -d -o workshop -g workshop /workshop
chroot "$tree" sudo -u workshop tar -x -C /workshop <"$work/workshop.tar"
# With the proxy of this machine and the authorities that it trusts; both are forgotten afterwards.
cat "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" >"$tree/tmp/ca.crt"
echo 'Defaults env_keep += "GOARCH GOPROXY QEMU_CPU SSL_CERT_FILE"' >"$tree/etc/sudoers.d/build"
proxy=$(go env GOPROXY 2>/dev/null || echo https://proxy.golang.org,direct)
# in_tree [VARIABLE=VALUE...] COMMAND...: in the tree, with nothing else of the environment.
in_tree() {
    chroot "$tree" env -i PATH="$PATH" HOME=/root SUDO_USER=workshop GOPROXY="$proxy" SSL_CERT_FILE=/tmp/ca.crt \
        CURL_CA_BUNDLE=/tmp/ca.crt ${QEMU_CPU:+"QEMU_CPU=$QEMU_CPU"} \
        ${WORKSHOP_GOPROXY:+"WORKSHOP_GOPROXY=$WORKSHOP_GOPROXY"} "$@"
}
if [ "$arch" = "$native" ]; then
    in_tree /workshop/scripts/provision.sh
else
    # An emulated compiler takes hours. That of this machine, at the same place, leaves the same in the cache.
    in_tree WORKSHOP_COMPILE=no /workshop/scripts/provision.sh
    go=$(dirname "$(dirname "$(readlink "$tree/usr/local/bin/go")")")
    toolchain=golang.org/toolchain@v0.0.1-go${go##*-}.linux-$native
    say "$toolchain"
    in_tree sudo -u workshop -H GOMODCACHE=/tmp/native GOFLAGS=-modcacherw go mod download "$toolchain"
    chmod 755 "$tree/tmp/native/$toolchain"/bin/* "$tree/tmp/native/$toolchain"/pkg/tool/*/*
    mount --bind "$tree/tmp/native/$toolchain" "$tree$go"
    in_tree GOARCH="$arch" /workshop/scripts/provision.sh
    umount "$tree$go"
fi
rm "$tree/etc/sudoers.d/build"

# The programs for UEFI are Debian's, as they are: they are signed. The one for a BIOS is put together here.
# shellcheck disable=SC2016 # to be expanded there
chroot "$tree" sh -euc 'mkdir /tmp/boot; cd /tmp/boot; apt-get -qq -o APT::Sandbox::User=root download "$@"
    for deb in *.deb; do dpkg-deb -x "$deb" .; done' sh shim-signed "grub-efi-$arch-signed"
cp "$tree/tmp/boot/usr/lib/shim/shim$efi.efi.signed" "$work/boot/BOOT$efi.EFI"
cp "$tree"/tmp/boot/usr/lib/grub/*-efi-signed/grub$efi.efi.signed "$work/boot/grub$efi.efi"
printf '%s\n' "search.fs_uuid $root_uuid root" "configfile (\$root)/boot/grub/grub.cfg" >"$work/boot/grub.cfg"
if [ "$arch" = amd64 ]; then
    cp "$work/boot/grub.cfg" "$tree/tmp/early.cfg"
    chroot "$tree" grub-mkimage -O i386-pc -p /boot/grub -c /tmp/early.cfg -o /tmp/core.img \
        biosdisk part_gpt ext2 gzio linux normal configfile search search_fs_uuid all_video test echo
    cp "$tree/tmp/core.img" "$tree/usr/lib/grub/i386-pc/boot.img" "$work/boot"
fi
serial=ttyS0
[ "$arch" = amd64 ] || serial=ttyAMA0
mkdir -p "$tree/boot/grub"
# The two links follow when the package of the kernel is updated.
cat >"$tree/boot/grub/grub.cfg" <<G
set timeout=1
menuentry workshop {
    linux /vmlinuz root=UUID=$root_uuid ro net.ifnames=0 console=tty0 console=$serial
    initrd /initrd.img
}
G

say 'one time for all files'
chroot "$tree" dpkg-query -W >"$work/out/workshop-$arch.packages"
for dir in proc sys dev; do umount -l "$tree/$dir"; done
for dir in proc sys dev; do
    ! mountpoint -q "$tree/$dir" || die "$tree/$dir: still mounted"
done
# What is of today, of this machine, or made again when it is needed.
# shellcheck disable=SC2115 # there is a tree
(cd "$tree" && rm -rf tmp/* dev/* run/* etc/ssh/ssh_host_* var/lib/apt/lists/* var/cache/apt/*.bin var/cache/debconf/*-old \
    var/cache/ldconfig/aux-cache var/cache/man/* var/lib/dbus/machine-id \
    home/workshop/.config/go/telemetry home/workshop/go/pkg/sumdb home/workshop/go/pkg/mod/cache/download/sumdb)
find "$tree/var/log" -type f -delete
: >"$tree/etc/machine-id"
ln -sf ../run/systemd/resolve/stub-resolv.conf "$tree/etc/resolv.conf"
# The entries of the compiler's cache end in the time at which they were made, in nanoseconds.
cache=$tree/home/workshop/.cache/go-build
if [ -d "$cache" ]; then
    find "$cache" -name '*-a' -exec sed -i -E "s/ +[0-9]+\$/$(printf '%21s' "${SOURCE_DATE_EPOCH}000000000")/" {} +
    rm -f "$cache/trim.txt"
fi

# settle: one time for what is newer, in the tree as it is now.
settle() { find "$tree" -xdev -newermt "@$SOURCE_DATE_EPOCH" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +; }

# number N: as GRUB reads it, in eight bytes, the lowest first.
number() {
    n=$1
    for _ in 1 2 3 4 5 6 7 8; do
        printf '\\0%03o' $((n & 255))
        n=$((n >> 8))
    done
}

# patch FILE OFFSET BYTES: writes bytes into a file.
patch() { printf %b "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none; }

# mkdisk RAW: the tree as a disk.
mkdisk() {
    settle
    rm -f "$1"
    truncate -s $((disk_size * 512)) "$1"
    # What mke2fs makes itself has the time of its clock.
    export E2FSPROGS_FAKE_TIME="$SOURCE_DATE_EPOCH"
    mke2fs -q -F -t ext4 -L workshop -U $root_uuid -d "$tree" \
        -E "offset=$((root_start * 512)),hash_seed=$hash_seed,lazy_itable_init=1,lazy_journal_init=1" "$1" $((root_size / 2))k
    # It also takes over when a file was last read, and when its inode was changed: that nobody can set but here.
    fs="$1?offset=$((root_start * 512))"
    inodes=$(dumpe2fs -h "$fs" 2>/dev/null | awk -F: '/^Inode count/ { all = $2 } /^Free inodes/ { print all - $2 }')
    [ -n "$inodes" ] || die 'dumpe2fs: no number of inodes'
    { echo 2; seq 11 "$inodes"; } | sed "s/.*/set_inode_field <&> atime @$SOURCE_DATE_EPOCH\nset_inode_field <&> ctime @$SOURCE_DATE_EPOCH/" \
        >"$work/times"
    debugfs -w -f "$work/times" "$fs" >/dev/null 2>"$work/log" || die "debugfs: $(head -n 3 "$work/log")"
    sfdisk -q --no-reread --no-tell-kernel --wipe-partitions never "$1" 2>"$work/log" <<P || die "sfdisk: $(cat "$work/log")"
label: gpt
label-id: $disk_uuid
start=$bios_start, size=$bios_size, type=21686148-6449-6E6F-744E-656564454649, uuid=c0a7a1e6-0000-4000-8000-000000000004
start=$efi_start, size=$efi_size, type=U, uuid=c0a7a1e6-0000-4000-8000-000000000005
start=$root_start, size=$root_size, type=L, uuid=c0a7a1e6-0000-4000-8000-000000000006
P
    if [ "$arch" = amd64 ]; then
        # boot.img is the code of the first sector: it loads one sector, which knows where the rest is.
        cp "$work/boot/boot.img" "$work/boot/mbr"
        patch "$work/boot/mbr" 102 '\0220\0220' # the BIOS may name the wrong drive
        patch "$work/boot/mbr" 92 "$(number $bios_start)"
        cp "$work/boot/core.img" "$work/boot/core"
        patch "$work/boot/core" 500 "$(number $((bios_start + 1)))"
        dd if="$work/boot/mbr" of="$1" bs=440 count=1 conv=notrunc status=none
        dd if="$work/boot/core" of="$1" bs=512 seek=$bios_start conv=notrunc status=none
    fi
    find "$work/boot" -exec touch -d "@$SOURCE_DATE_EPOCH" {} +
    rm -f "$work/efi"
    truncate -s $((efi_size * 512)) "$work/efi"
    mkfs.vfat --invariant -i c0a7a1e6 -F 32 -n EFI "$work/efi" >/dev/null
    mmd -i "$work/efi" ::EFI ::EFI/BOOT ::EFI/debian
    mcopy -m -i "$work/efi" "$work/boot/BOOT$efi.EFI" "$work/boot/grub$efi.efi" ::EFI/BOOT
    mcopy -m -i "$work/efi" "$work/boot/grub.cfg" ::EFI/debian
    dd if="$work/efi" of="$1" bs=1M seek=$((efi_start / 2048)) conv=notrunc,sparse status=none
}

# pack DIR FILE: a directory as a compressed archive, the same for the same content. tar starts gzip itself: the status of a
# pipe would be gzip's alone.
pack() {
    tar -C "$1" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --clamp-mtime --owner=0 --group=0 --numeric-owner \
        --format=gnu -I 'gzip -n' -cf "$2" .
}

# wanted KIND...: whether one of these is.
wanted() {
    for kind; do case " $kinds " in *" $kind "*) return ;; esac; done
    return 1
}

if wanted wsl; then
    say wsl
    settle
    # Windows brings the kernel, the disk, and who answers for names.
    tar -C "$tree" --sort=name --numeric-owner --xattrs --xattrs-include='*' --format=pax \
        --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime \
        --exclude='./boot/*' --exclude='./usr/lib/modules/*' --exclude=./vmlinuz'*' --exclude=./initrd.img'*' \
        --exclude=./etc/fstab --exclude=./etc/resolv.conf -I 'gzip -n' -cf "$work/out/workshop-wsl-$arch.tar.gz" .
fi

if wanted disk; then
    say disk
    mkdisk "$work/raw"
    qemu-img convert -c -O qcow2 "$work/raw" "$work/out/workshop-$arch.qcow2"
fi

wanted libvirt virtualbox || exit 0
# A seed of its own for cloud-init: the disk above has no key, and lets nobody in whom its seed does not name.
seed=$tree/var/lib/cloud/seed/nocloud
mkdir -p "$seed"
printf '%s\n' 'instance-id: vagrant' 'local-hostname: workshop' >"$seed/meta-data"
printf '%s\n' '#cloud-config' 'ssh_authorized_keys:' "  - $vagrant_key" >"$seed/user-data"
mkdisk "$work/raw"

# ovf: what VirtualBox reads of a machine.
ovf() {
    os=Debian_64
    [ "$arch" = amd64 ] || os=Debian_arm64
    cat <<X
<?xml version="1.0"?>
<Envelope ovf:version="1.0" xml:lang="en-US" xmlns="http://schemas.dmtf.org/ovf/envelope/1"
    xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:vbox="http://www.virtualbox.org/ovf/machine"
    xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
    xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData">
  <References>
    <File ovf:id="file1" ovf:href="box.vmdk"/>
  </References>
  <DiskSection>
    <Info>The disk</Info>
    <Disk ovf:diskId="disk1" ovf:fileRef="file1" ovf:capacity="$((disk_size * 512))"
      ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>
  </DiskSection>
  <NetworkSection>
    <Info>The network</Info>
    <Network ovf:name="NAT"/>
  </NetworkSection>
  <VirtualSystem ovf:id="workshop">
    <Info>The machine of the container workshop</Info>
    <OperatingSystemSection ovf:id="96">
      <Info>Its system</Info>
      <Description>$os</Description>
      <vbox:OSType ovf:required="false">$os</vbox:OSType>
    </OperatingSystemSection>
    <VirtualHardwareSection>
      <Info>What it has</Info>
      <System>
        <vssd:ElementName>Virtual Hardware Family</vssd:ElementName>
        <vssd:InstanceID>0</vssd:InstanceID>
        <vssd:VirtualSystemIdentifier>workshop</vssd:VirtualSystemIdentifier>
        <vssd:VirtualSystemType>virtualbox-2.2</vssd:VirtualSystemType>
      </System>
      <Item>
        <rasd:Caption>2 processors</rasd:Caption>
        <rasd:ElementName>2 processors</rasd:ElementName>
        <rasd:InstanceID>1</rasd:InstanceID>
        <rasd:ResourceType>3</rasd:ResourceType>
        <rasd:VirtualQuantity>2</rasd:VirtualQuantity>
      </Item>
      <Item>
        <rasd:AllocationUnits>MegaBytes</rasd:AllocationUnits>
        <rasd:Caption>2048 MB of memory</rasd:Caption>
        <rasd:ElementName>2048 MB of memory</rasd:ElementName>
        <rasd:InstanceID>2</rasd:InstanceID>
        <rasd:ResourceType>4</rasd:ResourceType>
        <rasd:VirtualQuantity>2048</rasd:VirtualQuantity>
      </Item>
      <Item>
        <rasd:Address>0</rasd:Address>
        <rasd:Caption>sataController0</rasd:Caption>
        <rasd:ElementName>sataController0</rasd:ElementName>
        <rasd:InstanceID>3</rasd:InstanceID>
        <rasd:ResourceSubType>AHCI</rasd:ResourceSubType>
        <rasd:ResourceType>20</rasd:ResourceType>
      </Item>
      <Item>
        <rasd:AddressOnParent>0</rasd:AddressOnParent>
        <rasd:Caption>disk1</rasd:Caption>
        <rasd:ElementName>disk1</rasd:ElementName>
        <rasd:HostResource>/disk/disk1</rasd:HostResource>
        <rasd:InstanceID>4</rasd:InstanceID>
        <rasd:Parent>3</rasd:Parent>
        <rasd:ResourceType>17</rasd:ResourceType>
      </Item>
      <Item>
        <rasd:AutomaticAllocation>true</rasd:AutomaticAllocation>
        <rasd:Caption>Ethernet adapter on NAT</rasd:Caption>
        <rasd:Connection>NAT</rasd:Connection>
        <rasd:ElementName>Ethernet adapter on NAT</rasd:ElementName>
        <rasd:InstanceID>5</rasd:InstanceID>
        <rasd:ResourceSubType>E1000</rasd:ResourceSubType>
        <rasd:ResourceType>10</rasd:ResourceType>
      </Item>
    </VirtualHardwareSection>
  </VirtualSystem>
</Envelope>
X
}

# box PROVIDER: packs the directory with the disk as a box of Vagrant.
box() {
    printf '%s\n' 'Vagrant.configure("2") { |config| config.ssh.username = "workshop" }' >"$work/box/Vagrantfile"
    pack "$work/box" "$work/out/workshop-$1-$arch.box"
    rm -r "$work/box"
}

if wanted libvirt; then
    say libvirt
    mkdir "$work/box"
    qemu-img convert -O qcow2 "$work/raw" "$work/box/box.img"
    echo "{\"provider\": \"libvirt\", \"architecture\": \"$arch\", \"format\": \"qcow2\", \"virtual_size\": 10}" \
        >"$work/box/metadata.json"
    box libvirt
fi
if wanted virtualbox; then
    say virtualbox
    mkdir "$work/box"
    qemu-img convert -O vmdk -o subformat=streamOptimized "$work/raw" "$work/box/box.vmdk"
    # The description, in the first sectors, has a number made by chance.
    head -c 2048 "$work/box/box.vmdk" | LC_ALL=C sed 's/^CID=[0-9a-f]\{8\}$/CID=c0a7a1e6/' >"$work/head"
    dd if="$work/head" of="$work/box/box.vmdk" conv=notrunc status=none
    echo "{\"provider\": \"virtualbox\", \"architecture\": \"$arch\"}" >"$work/box/metadata.json"
    ovf >"$work/box/box.ovf"
    box virtualbox
fi
