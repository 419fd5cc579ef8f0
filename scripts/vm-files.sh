#!/bin/sh
# What the machines of vm.sh are made of, in the user's cache:
#
#   vm-files.sh disk ARCH [PACKAGES]    prints the path of a disk, DISK, with the machine's packages and those; DISK.busybox is
#                                       beside it
#   vm-files.sh kernel ARCH [VERSION]   prints the path of boot/vmlinuz-RELEASE of Debian's newest kernel, or of the newest
#                                       whose release begins with VERSION, such as 6.1; its modules are beside boot
#   vm-files.sh pack DIR FILE SIZE      makes a file system of a directory; in it all files belong to root
#
# The packages are downloaded and unpacked, never installed, and root is not needed. ARCH is amd64 or arm64. For one that
# is not the machine's own, apt has lists of its own in the cache, and nothing of the machine's is changed. What has not been
# used for 30 days is removed from the cache.
set -eu

userland='dash coreutils procps util-linux util-linux-extra bsdutils mount findutils grep sed mawk tar gzip diffutils
hostname iproute2 nftables runc busybox-static strace uidmap libc-bin'

die() {
    echo "vm.sh: $*" >&2
    exit 125
}

# pack DIR FILE SIZE: by anybody, without a mount.
pack() {
    as_root=
    [ "$(id -u)" -eq 0 ] || as_root='unshare -r'
    truncate -s "$3" "$2"
    $as_root mke2fs -q -F -t ext4 -O ^has_journal -m 0 -d "$1" "$2" || die "mke2fs: cannot make $2"
}

case $#,${1-} in
4,pack) pack "$2" "$3" "$4"; exit ;;
2,disk | 3,disk) what=$1 arch=$2 userland="$userland ${3-}" ;;
2,kernel | 3,kernel) what=$1 arch=$2 version=${3-} ;;
*) die 'usage: vm-files.sh disk ARCH [PACKAGES] | kernel ARCH [VERSION] | pack DIR FILE SIZE' ;;
esac
cache=${XDG_CACHE_HOME:-$HOME/.cache}/container-workshop/vm
native=$(dpkg --print-architecture)
mkdir -p "$cache"
# One at a time: two would download the same, and apt-get refuses to be the second. The lock ends with this process.
exec 9>"$cache/lock"
flock -n 9 || { echo "vm.sh: waiting for another vm.sh that makes something in $cache" >&2 && flock 9; }
# What is made is on the file system of the cache from the start, so that it gets its name by rename(2); /tmp may be another.
rm -rf "$cache"/new-* # of one that was killed
find "$cache" -mindepth 1 -maxdepth 1 ! -name lock -mtime +30 -exec rm -rf {} +
work=$(mktemp -d "$cache/new-XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# apt LISTS COMMAND ARGUMENTS... : apt-get or apt-cache, for a system on which nothing is installed. LISTS are ARCH, the
# packages of the machine's own release, or backports-ARCH, newer kernels.
apt() {
    of=$1 command=$2 dir=$cache/apt-$1
    shift 2
    [ "$of" = "$native" ] || set -- -o Dir::State="$dir" -o Dir::Cache="$dir/cache" "$@"
    [ ! -e "$dir/sources.list" ] || set -- -o Dir::Etc::SourceList="$dir/sources.list" -o Dir::Etc::SourceParts=/dev/null "$@"
    "$command" -q -o Dir::State::status=/dev/null -o APT::Architecture="${of#*-}" -o APT::Sandbox::User=root "$@"
}

# The lists of the machine's own packages are the administrator's to bring up to date. Others are, once a day.
update() {
    [ "$1" != "$native" ] || return 0
    dir=$cache/apt-$1
    mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
    touch "$dir"
    [ -z "$(find "$dir/updated" -mtime -1 2>/dev/null)" ] || return 0
    case $1 in
    backports-*)
        keys=/usr/share/keyrings/debian-archive-keyring.gpg
        for suite in trixie trixie-backports; do
            echo "deb [signed-by=$keys] http://deb.debian.org/debian $suite main"
        done >"$dir/sources.list"
        ;;
    esac
    echo "vm.sh: apt-get update, for $1" >&2
    apt "$1" apt-get update >"$work/log" 2>&1 || die "apt-get update for $1: $(grep '^E:' "$work/log" | head -n 1)"
    touch "$dir/updated"
}

# download LISTS DIR PACKAGE... : the packages and nothing else.
download() (
    mkdir -p "$2" && cd "$2" && from=$1 && shift 2
    apt "$from" apt-get download "$@" >"$work/log" 2>&1 ||
        die "apt-get download: $(grep '^E:' "$work/log" | head -n 1) (apt-get update may help)"
)

unpack_packages() {
    # What the packages need in turn, apt-get tells.
    # shellcheck disable=SC2086 # a list of words
    list=$(apt "$arch" apt-get -qq -o APT::Install-Recommends=0 --print-uris install $userland |
        awk '{ sub(/_.*/, "", $2); print $2 }')
    [ -n "$list" ] || die 'apt-get knows no such packages (apt-get update may help)'
    # shellcheck disable=SC2086
    download "$arch" "$work/debs" $list
    # One /usr, as every Debian has it.
    mkdir -p "$1"
    (cd "$1" && mkdir -p usr/bin usr/sbin usr/lib usr/lib64 dev proc sys run tmp root home/user etc workshop var/tmp mnt)
    for dir in bin sbin lib lib64; do ln -s "usr/$dir" "$1/$dir"; done
    for deb in "$work"/debs/*.deb; do
        dpkg-deb --fsys-tarfile "$deb" >"$work/tar"
        tar -x -C "$1" --keep-directory-symlink --no-same-owner --no-same-permissions --exclude='./usr/share/doc/*' \
            --exclude='./usr/share/man/*' --exclude='./usr/share/locale/*' -f "$work/tar"
    done
    rm -rf "$work/debs"
}

# Maintainer scripts would make these.
configure() {
    printf '%s\n' root:x:0:0:root:/root:/bin/sh user:x:1000:1000::/home/user:/bin/sh \
        nobody:x:65534:65534:nobody:/:/bin/false >"$1/etc/passwd"
    printf '%s\n' root:x:0: user:x:1000: nogroup:x:65534: >"$1/etc/group"
    printf '%s\n' '127.0.0.1 localhost vm' '::1 localhost' >"$1/etc/hosts"
    : >"$1/etc/subuid"
    : >"$1/etc/subgid"
    chmod u+s "$1/usr/bin/newuidmap" "$1/usr/bin/newgidmap"
    [ -e "$1/usr/bin/awk" ] || ln -s mawk "$1/usr/bin/awk"
}

# link_applets ROOT BUSYBOX: the links of BusyBox, where no package has the command. BUSYBOX runs here.
link_applets() {
    for applet in $("$2" --list); do
        [ -e "$1/usr/bin/$applet" ] || [ -e "$1/usr/sbin/$applet" ] || ln -s busybox "$1/usr/bin/$applet"
    done
}

# The disk is built beside the cache and renamed at the end: it is there as a whole or not at all.
disk() {
    key=$({ cat "$0" && echo "$userland"; } | sha256sum | cut -c 1-12)
    disk=$cache/disk-$arch-$key
    if [ ! -e "$disk" ]; then
        echo "vm.sh: unpacking the machine's packages into $cache" >&2
        update "$arch"
        unpack_packages "$work/root"
        configure "$work/root"
        busybox=$work/root/bin/busybox
        if [ "$arch" != "$native" ]; then
            download "$native" "$work/native" busybox-static
            dpkg-deb -x "$work"/native/*.deb "$work/native"
            busybox=$work/native/bin/busybox
        fi
        link_applets "$work/root" "$busybox"
        pack "$work/root" "$work/disk" 2G
        cp "$work/root/bin/busybox" "$disk.busybox"
        mv "$work/disk" "$disk"
    fi
    touch "$disk" "$disk.busybox" # the time of the last use
    echo "$disk"
}

# newest LISTS: the newest kernel for clouds; it has few drivers, and all that these machines have.
newest() {
    apt "$1" apt-cache search --names-only "^linux-image-[0-9].*-cloud-$arch\$" | cut -d ' ' -f 1 |
        awk -v begin="linux-image-$version" '
            !/-[0-9]+\.[0-9]+\.[0-9]/ { next } # metapackages have no third number
            index($0, begin) == 1 && (begin ~ /-$/ || substr($0, length(begin) + 1) !~ /^[0-9]/) # 6.1 is not 6.12
        ' | sort -V | tail -n 1
}

# packages_of LISTS RELEASE: the packages of a kernel. Since 6.19 the package linux-image has no files: it depends on
# linux-binary, the kernel, on linux-modules and on linux-base, which lists the modules.
packages_of() {
    for part in image binary modules base; do
        apt "$1" apt-cache pkgnames "linux-$part-$2" | grep -Fx "linux-$part-$2" || :
    done
}

kernel() {
    package=
    for lists in "$arch" "backports-$arch"; do
        [ -z "$package" ] || break
        update "$lists"
        package=$(newest "$lists") from=$lists
    done
    [ -n "$package" ] || die "no package linux-image-${version:-VERSION}...-cloud-$arch" \
        '(apt-get update may help; -kernel FILE takes another kernel)'
    kernel=$cache/$package/boot/vmlinuz-${package#linux-image-}
    if [ ! -e "$kernel" ]; then
        # shellcheck disable=SC2046 # a list of words
        download "$from" "$work/kernel" $(packages_of "$from" "${package#linux-image-}")
        mkdir "$work/unpacked"
        for deb in "$work"/kernel/*.deb; do dpkg-deb -x "$deb" "$work/unpacked"; done
        [ -e "$work/unpacked/lib" ] || ln -s usr/lib "$work/unpacked/lib" # as every Debian has it
        modules=lib/modules/${package#linux-image-}
        if [ ! -e "$work/unpacked/boot" ]; then # since 7.2 the kernel is beside its modules
            mkdir "$work/unpacked/boot"
            ln -s "../$modules/vmlinuz" "$work/unpacked/boot/${kernel##*/}"
        fi
        for file in "boot/${kernel##*/}" "$modules/kernel"; do
            [ -e "$work/unpacked/$file" ] || die "$package: no package has its $file (take another VERSION)"
        done
        mv -T "$work/unpacked" "$cache/$package"
    fi
    touch "$cache/$package"
    echo "$kernel"
}

"$what"
