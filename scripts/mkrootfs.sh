#!/bin/sh
# Makes a root file system for a container: ./rootfs, or DIR.
#
#   busybox          a static BusyBox and its links, a few MB (the default)
#   alpine           Alpine's minirootfs; ALPINE_MIRROR overrides the mirror
#   debian [SUITE]   a minimal Debian, bookworm by default; DEBIAN_MIRROR overrides the mirror
#   TARBALL          any root file system as a tar archive, such as `docker export` writes
#
# Root is not needed: all files then belong to the user, who is root in the container's user namespace.
# GNU coreutils and tar are.
#
# The tree is built in a directory beside the target and renamed at the end. So a target that has the
# marker .mkrootfs is complete and made by this script; -f replaces such a target, and no other.
set -eu

# To update: https://dl-cdn.alpinelinux.org/alpine/ has a .sha256 file beside each tarball.
alpine_version=3.24.2
alpine_sha256_x86_64=c5ca053cfe1d85c5b96dff8b9bc57045f7f184a30ffb6b65776409ca90388677
alpine_sha256_aarch64=9bf70a7f18ea44094cbb5f70c58f9af129c8214745743db0e68e5502cc2ce773

usage='usage: mkrootfs.sh [-f] [-o DIR] [busybox | alpine | debian [SUITE] | TARBALL]'

# One line: where a tool says more, its first line has the cause (gzip's is the second, after an empty one).
die() {
    printf 'mkrootfs.sh: %s\n' "${1#mkrootfs.sh: }" | sed '/: $/{N;s/\n//;};q' >&2
    exit 1
}

misuse() {
    printf 'mkrootfs.sh: %s\n%s\n' "$1" "$usage" >&2
    exit 2
}

# A directory without write permission is one that its owner cannot empty.
unlock() {
    find "$1" -xdev -type d ! -perm -700 -exec chmod u+rwx {} \;
}

work='' part='' version=''
cleanup() {
    trap '' HUP INT TERM
    set +e
    [ -z "$part" ] || rm -f "$part"
    [ -n "$work" ] || return 0
    # Interrupted between the two renames of -f: the old one goes back, unless another run has put its own.
    [ ! -d "$work/old" ] || [ -e "$target" ] || mv -T "$work/old" "$target" 2>/dev/null
    unlock "$work"
    rm -rf --one-file-system "$work"
}

# Sets $tarball to Alpine's minirootfs in the user's cache.
fetch_alpine() {
    arch=$(uname -m)
    case $arch in
    x86_64) sha256=$alpine_sha256_x86_64 ;;
    aarch64) sha256=$alpine_sha256_aarch64 ;;
    *) die "alpine: no checksum for $arch in this script (unpack a TARBALL instead)" ;;
    esac
    cache=${XDG_CACHE_HOME:-${HOME:+$HOME/.cache}}
    [ -n "$cache" ] || die "alpine: no place to keep the download (set HOME or XDG_CACHE_HOME)"
    cache=$cache/container-workshop
    name=alpine-minirootfs-$alpine_version-$arch.tar.gz
    url=${ALPINE_MIRROR:-https://dl-cdn.alpinelinux.org/alpine}/v${alpine_version%.*}/releases/$arch/$name
    tarball=$cache/$name

    if [ -e "$tarball" ]; then
        if verified "$tarball"; then return; fi
        echo "mkrootfs.sh: $tarball: wrong checksum, downloading it again" >&2
    fi
    cause=$(mkdir -p "$cache" 2>&1) || die "alpine: $cause"
    part=$(mktemp "$tarball.XXXXXX" 2>/dev/null) || die "alpine: cannot write to $cache (set XDG_CACHE_HOME)"
    if command -v curl >/dev/null; then
        cause=$(curl -fsSL -o "$part" "$url" 2>&1) || die "$url: $cause (ALPINE_MIRROR sets another mirror)"
    elif command -v wget >/dev/null; then
        wget -q -O "$part" "$url" || die "$url: wget failed (ALPINE_MIRROR sets another mirror)"
    else
        die "alpine: nothing to download with (install curl or wget)"
    fi
    verified "$part" || die "$url: wrong checksum (is ALPINE_MIRROR right?)"
    mv -f "$part" "$tarball"
}

verified() {
    [ "$(sha256sum 2>/dev/null <"$1")" = "$sha256  -" ]
}

# Sets $busybox to the first of the files that is a static executable. The root file system has no
# libraries, and a dynamic executable names its loader (PT_INTERP) in its first page.
static_busybox() {
    for busybox; do
        [ -x "$busybox" ] || continue
        head -c 4096 "$busybox" | LC_ALL=C grep -q '/ld[^/]*\.so' || return 0
    done
    return 1
}

# Unpacked and not installed, which would need root. Silent: with its own user apt cannot write here, so
# as root it warns and goes on without.
download_busybox() {
    cd "$work" && apt-get download busybox-static && dpkg-deb -x busybox-static_*.deb deb
} >/dev/null 2>&1

make_busybox() {
    static_busybox "$(command -v busybox)" "$(command -v busybox.static)" ||
        { download_busybox && static_busybox "$work/deb/bin/busybox" "$work/deb/usr/bin/busybox"; } ||
        die "busybox: no static one here (install busybox-static, on some distributions called busybox)"

    cd "$work/root"
    mkdir -p bin dev/pts dev/shm etc home mnt proc root run sbin sys tmp usr/bin usr/sbin var/log var/tmp
    chmod 700 root
    chmod 1777 dev/shm tmp var/tmp
    install -m 755 "$busybox" bin/busybox
    version=$(bin/busybox | head -n 1 | cut -d ' ' -f 1-2)
    applets=$(bin/busybox --list-full)
    for applet in $applets; do
        # Relative links lead to the same file from inside and from outside.
        [ -e "$applet" ] || ln -sr bin/busybox "$applet"
    done

    printf '%s\n' root:x:0:0:root:/root:/bin/sh nobody:x:65534:65534:nobody:/:/bin/false >etc/passwd
    printf '%s\n' root:x:0: nobody:x:65534: >etc/group
    printf '%s\n' '127.0.0.1 localhost' '::1 localhost' >etc/hosts
    echo container >etc/hostname
    # Names then resolve in a container that shares the host's network; without one it does no harm.
    cat /etc/resolv.conf >etc/resolv.conf 2>/dev/null || :
}

make_debian() {
    if command -v mmdebstrap >/dev/null; then
        # As a tarball: a directory that it makes for a user is full of files of subordinate uids, which
        # the user cannot remove, and which have no owner in a namespace with one uid.
        # The status is tar's, and enough: where mmdebstrap fails, tar does not get a whole archive.
        mmdebstrap --variant=minbase "$suite" - ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} 2>&3 |
            unpack - "$label (mmdebstrap's messages are above)"
    elif command -v debootstrap >/dev/null && [ "$(id -u)" -eq 0 ]; then
        debootstrap --variant=minbase "$suite" "$work/root" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} >&3 2>&3 ||
            die "$label: debootstrap failed (its messages are above)"
        rm -rf "$work"/root/var/cache/apt/archives/*.deb "$work"/root/var/lib/apt/lists/*
    else
        die "$label: nothing to make it with (install mmdebstrap, or debootstrap and be root)"
    fi
}

# unpack FILE NAME: the name is for messages. What is in /dev is left out: only root can make device
# nodes, and a container gets a /dev of its own.
unpack() {
    cause=$(tar -xpf "$1" -C "$work/root" --force-local --numeric-owner \
        --anchored --exclude='./dev/*' --exclude='dev/*' --exclude='/dev/*' 2>&1) ||
        case $cause in
        # Of a full disk tar's first line only says how much it wrote.
        *'No space left'*) die "$2: No space left on device" ;;
        *) die "$2: $cause" ;;
        esac
    cd "$work/root"
    if [ -f manifest.json ] || [ -f oci-layout ]; then
        die "$2: an image in layers, as docker save writes (use docker export)"
    elif [ ! -d bin ] && [ ! -d usr ]; then
        die "$2: not a root file system: has neither /bin nor /usr"
    fi
}

finish() {
    cd "$work/root"
    unlock .
    for dir in dev proc sys tmp; do
        # A link out of an archive may lead to a directory of this machine: mkdir and chmod would follow.
        [ ! -L "$dir" ] || rm "$dir"
        mkdir -p "$dir"
    done
    chmod 755 .
    chmod 1777 tmp
    rm -rf .mkrootfs
    echo "$label" >.mkrootfs
    echo "${version:-$label}, $(du -sh . | cut -f 1)" >"$work/summary"
}

# Two renames, and no removal before both: rename(2) itself refuses a target that has files.
place() {
    if [ -n "$force" ] && [ -f "$target/.mkrootfs" ]; then
        # The --one-file-system of cleanup's rm does not notice a bind mount from the same file system.
        mounts=$(findmnt -lno TARGET)
        printf '%s\n' "$mounts" | while IFS= read -r mount; do
            case $mount in "$target"/*) die "$out: $mount is a mount point (unmount it first)" ;; esac
        done
        mv -T "$target" "$work/old"
    fi
    mv -T "$work/root" "$target"
}

build() {
    mkdir "$work/root"
    case $kind in
    busybox) make_busybox ;;
    debian) make_debian ;;
    *) unpack "$tarball" "$tarball" ;;
    esac
    finish
    place
}

is_there() {
    [ "$(cat "$target/.mkrootfs" 2>/dev/null)" = "$label" ]
}

force='' out=rootfs
while getopts :fho: opt; do
    case $opt in
    f) force=yes ;;
    h) echo "$usage"; sed -n '2,/^set/s/^# \{0,1\}//p' "$0"; exit 0 ;;
    o) out=$OPTARG ;;
    :) misuse "-$OPTARG: needs a directory" ;;
    *) misuse "-$OPTARG: no such option" ;;
    esac
done
shift $((OPTIND - 1))
kind=${1-busybox} suite=${2:-bookworm}
[ $# -le 1 ] || [ "$kind $#" = 'debian 2' ] || misuse "$*: too many arguments"
[ "${suite#-}" = "$suite" ] || misuse "$suite: options come first"

# The label is what the marker says: the same label is the same content.
case $kind in
busybox) label=BusyBox ;;
alpine) label="Alpine $alpine_version" ;;
debian) label="Debian $suite" ;;
*)
    case $kind in */* | *.*) ;; *) [ -e "$kind" ] || misuse "$kind: no such kind, and no such file" ;; esac
    tarball=$kind kind=tarball
    sum=$(sha256sum -- "$tarball" 2>&1) || die "${sum#sha256sum: }"
    [ -s "$tarball" ] || die "$tarball: empty file"
    label="${tarball##*/} $(printf %.12s "$sum")"
    ;;
esac

target=$(realpath -- "$out" 2>&1) || die "${target#realpath: } (its parent directory must exist)"
if [ -f "$target/.mkrootfs" ]; then
    if [ -z "$force" ]; then
        is_there || die "$out: already holds $(cat "$target/.mkrootfs") (-f replaces it, -o makes another)"
        echo "$out: $label, already there"
        exit 0
    fi
elif [ -e "$target" ] && { [ ! -d "$target" ] || [ -n "$(ls -A "$target" 2>&1)" ]; }; then
    die "$out: exists, and this script did not make it (remove it yourself, or make another with -o)"
fi

umask 022
exec 3>&2
trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
work=$(mktemp -d "$target.XXXXXX" 2>/dev/null) ||
    die "$out: cannot make a directory beside it (is its parent writable, and the disk not full?)"
[ "$kind" != alpine ] || fetch_alpine

# What the tools say is kept for die's one line. Not `cause=$(build) || die`: || would turn off build's -e.
# The subshell's trap lets a tool that cleans up behind itself end before the script does.
set +e
cause=$(set -e; trap 'exit 1' HUP INT TERM; build 2>&1)
status=$?
set -e
if [ "$status" -eq 0 ]; then
    echo "$out: $(cat "$work/summary")"
elif [ -z "$force" ] && is_there; then
    echo "$out: $label, already there" # another run at the same time was first
else
    die "${cause:-$out: failed}"
fi
