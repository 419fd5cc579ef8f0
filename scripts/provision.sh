#!/bin/sh
# Makes a machine ready for the workshop, with root's rights: a virtual machine of the Vagrantfile, or any Debian or
# Ubuntu of yours (sudo scripts/provision.sh). What is there is left as it is, so a second run changes nothing.
# After it the workshop needs no network.
#
# With WORKSHOP_VM=yes, as the Vagrantfile says, go test and go run start programs as root. That is for a machine
# that can be thrown away, and for no other.
set -eu

# The Go toolchain as the module proxy has it; the checksums are those of the zip files.
go_version=1.26.8
go_sha256_amd64=30c2b1bf7dcc88d3eb0a1364e47ddd9128edb3110a30e8a0ef61cd5856b31de7
go_sha256_arm64=02b36b6787b3ac767668f630e2998df45a3b1f9ffee08d1bf3ef6487cd658d99
go_proxy=${WORKSHOP_GOPROXY:-https://proxy.golang.org}

packages='busybox-static bsdutils ca-certificates curl iproute2 jq kmod nftables procps runc strace sudo uidmap unzip util-linux'
modules='overlay veth bridge br_netfilter nf_tables nft_chain_nat nft_masq'

say() { echo "provision.sh: $*"; }
die() {
    echo "provision.sh: $*" >&2
    exit 1
}

case "$# ${1-}" in
'0 ') ;;
'1 -h' | '1 --help')
    echo 'usage: sudo scripts/provision.sh'
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
    exit 0
    ;;
*)
    echo "provision.sh: $*: it takes no arguments (-h tells what it does)" >&2
    exit 2
    ;;
esac
[ "$(id -u)" -eq 0 ] || die 'only root may (sudo scripts/provision.sh)'
command -v apt-get >/dev/null || die 'this is neither Debian nor Ubuntu'
workshop=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
# Vagrant runs a copy of this script.
[ -f "$workshop/go.mod" ] || workshop=/workshop
[ -f "$workshop/go.mod" ] || die 'the workshop is neither above this script nor at /workshop'
# Who works here: whoever called sudo.
user=${SUDO_USER:-root}

as_user() {
    if [ "$user" = root ]; then "$@"; else sudo -u "$user" -H "$@"; fi
}

missing=
for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed$' || missing="$missing $package"
done
if [ -n "$missing" ]; then
    say "installing$missing"
    apt-get update -q >/dev/null
    # A machine that has just been made may still be installing for itself.
    # shellcheck disable=SC2086 # a list of words
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -qy --no-install-recommends $missing >/dev/null
fi

case $(dpkg --print-architecture) in
amd64) go_arch=amd64 sha256=$go_sha256_amd64 ;;
arm64) go_arch=arm64 sha256=$go_sha256_arm64 ;;
*) die "$(dpkg --print-architecture): only for amd64 and arm64" ;;
esac
go_dir=/usr/local/lib/go-$go_version
if [ ! -x "$go_dir/bin/go" ]; then
    say "Go $go_version to $go_dir"
    tmp=$(mktemp -d /usr/local/lib/.go.XXXXXX)
    trap 'rm -rf "$tmp"' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    name=golang.org/toolchain@v0.0.1-go$go_version.linux-$go_arch
    curl -fsSL -o "$tmp/go.zip" "$go_proxy/golang.org/toolchain/@v/v0.0.1-go$go_version.linux-$go_arch.zip" ||
        die "$go_proxy has no Go (WORKSHOP_GOPROXY sets another proxy)"
    echo "$sha256  $tmp/go.zip" | sha256sum -c --quiet || die 'go.zip: wrong checksum'
    unzip -q "$tmp/go.zip" -d "$tmp"
    # A module has no modes.
    chmod -R u=rwX,go=rX "$tmp/$name"
    chmod 755 "$tmp/$name"/bin/* "$tmp/$name"/pkg/tool/*/*
    mv -T "$tmp/$name" "$go_dir"
    rm -rf "$tmp"
fi
for tool in go gofmt; do
    [ "$(readlink -f "/usr/local/bin/$tool")" = "$go_dir/bin/$tool" ] || ln -sfn "$go_dir/bin/$tool" "/usr/local/bin/$tool"
done

# write FILE MODE: standard input goes there, unless it is there already.
write() {
    text=$(cat)
    [ -f "$1" ] && [ "$(cat "$1")" = "$text" ] && return
    say "writing $1"
    mkdir -p "$(dirname "$1")"
    printf '%s\n' "$text" >"$1"
    chmod "$2" "$1"
}

# shellcheck disable=SC2086
printf '%s\n' $modules | write /etc/modules-load.d/workshop.conf 644
# In a tree that becomes an image the kernel is another machine's.
if ! ischroot; then
    for module in $modules; do
        [ -d "/sys/module/$module" ] || modprobe -q "$module" || say "no module $module here: what needs it will say so"
    done
    [ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ] ||
        say 'this machine has version 1 of cgroups: the workshop works there, the article speaks of version 2'
fi

if [ "${WORKSHOP_VM-}" = yes ]; then
    # Ubuntu forbids user namespaces to ordinary users.
    if [ -e /proc/sys/kernel/apparmor_restrict_unprivileged_userns ]; then
        echo 'kernel.apparmor_restrict_unprivileged_userns = 0' | write /etc/sysctl.d/60-workshop.conf 644
        sysctl -q -p /etc/sysctl.d/60-workshop.conf
    fi
    # What go test and go run start gets root's rights. Root builds in a cache of its own: a file of root in the
    # user's would be in the way of the next build.
    write /usr/local/bin/workshop-as-root 755 <<'ROOT'
#!/bin/sh
echo "go: as root, by sudo, in this virtual machine: $(basename "$1")" >&2
# QEMU without KVM: a script for which a minute is plenty elsewhere may take several.
if [ -z "${WORKSHOP_TIMEOUT-}" ] && [ "$(systemd-detect-virt 2>/dev/null)" = qemu ]; then
    export WORKSHOP_TIMEOUT=15m
fi
modules=$(go env GOMODCACHE)
exec sudo --preserve-env=CI,CONTAINER,SWEEP,TERM,WORKSHOP_REPORT,WORKSHOP_TIMEOUT env HOME=/root "GOMODCACHE=$modules" \
    GOFLAGS="-mod=readonly -buildvcs=false" GOPROXY=off "PATH=$PATH:/usr/sbin:/sbin" "$@"
ROOT
    # In a machine that is emulated the tests of a package may take more than an hour; go test allows ten minutes. And Git reads
    # no directory of somebody else, as a folder of the host may be: go build, which notes the commit in a program, fails there.
    flags='-exec=workshop-as-root -timeout=6h -buildvcs=false'
    [ "$(as_user go env GOFLAGS)" = "$flags" ] || as_user go env -w "GOFLAGS=$flags"
fi

cd "$workshop"
# A directory of the host that is shared may know neither symbolic links nor owners: the root file system then lies
# on the machine's own disk, and is seen in the directory. The mount table is asked, because statfs(2) on 9p answers for the
# host's file system. In a chroot there may be no entry for /.
case $(findmnt -no FSTYPE -T . || :) in
'' | ext[234] | btrfs | xfs | tmpfs | overlay) ;;
*)
    mkdir -p rootfs /var/lib/workshop
    chown "$user:" /var/lib/workshop
    as_user scripts/mkrootfs.sh -o /var/lib/workshop/rootfs
    mountpoint -q rootfs || mount --bind /var/lib/workshop/rootfs rootfs
    ;;
esac
[ -e rootfs/.mkrootfs ] || as_user scripts/mkrootfs.sh

# In a machine of mkimage.sh all is downloaded and compiled already, for its user workshop.
modules=$(as_user go env GOMODCACHE)
if [ ! -d "$modules" ] && [ -d /home/workshop/go/pkg/mod ]; then
    as_user mkdir -p "$(dirname "$modules")" "$(dirname "$(as_user go env GOCACHE)")"
    cp -r /home/workshop/go/pkg/mod "$modules"
    cp -r /home/workshop/.cache/go-build "$(as_user go env GOCACHE)"
    chown -R "$user:" "$modules" "$(as_user go env GOCACHE)"
fi

# What go has compiled and not used for five days it removes when it is next used.
cache=$(as_user go env GOCACHE)
[ ! -d "$cache" ] || find "$cache" -type f -exec touch -c {} +

# The modules, and then all that the tests compile, in a cache of the user's and in one of root's. A test that runs
# nothing is compiled all the same. WORKSHOP_COMPILE=no leaves that to the first test: where a processor is emulated it takes
# an hour.
as_user ${WORKSHOP_GOPROXY:+env "GOPROXY=$WORKSHOP_GOPROXY"} go mod download ||
    die 'not all Go modules are there (WORKSHOP_GOPROXY sets another proxy)'
if [ "${WORKSHOP_COMPILE-}" = no ]; then
    say "ready, and nothing is compiled: cd $workshop && go test ./..."
    exit
fi
# What a participant writes in ./mine may have mistakes. What was compiled from the same sources before is not linked again
# for nothing: on an emulated processor that alone takes half an hour.
sources=$({
    pwd
    go env GOVERSION
    find . \( -path ./mine -o -path ./rootfs \) -prune -o -type f \( -name '*.go' -o -name 'go.*' \) -print0 | LC_ALL=C sort -z |
        xargs -0 sha256sum
} | sha256sum | cut -d ' ' -f 1)
if [ "$(cat "$cache/workshop-sources" 2>/dev/null)" != "$sources" ]; then
    # shellcheck disable=SC2046 # a list of words
    set -- $(as_user go list -e ./... | grep -v '/mine$')
    as_user go vet "$@"
    as_user env GOFLAGS=-buildvcs=false CGO_ENABLED=0 go build "$@"
    # As the tests build the programs that they keep, and chapters: to the compiler that is another standard library.
    as_user env GOFLAGS=-buildvcs=false CGO_ENABLED=0 go build -trimpath ./internal/harness/probe ./image ./step5-complete
    as_user env GOFLAGS= go test -run '^$' -exec true "$@" >/dev/null
    echo "$sources" | as_user tee "$cache/workshop-sources" >/dev/null
fi
if [ "${WORKSHOP_VM-}" = yes ] && [ "$user" != root ] && [ ! -d /root/.cache/go-build ]; then
    mkdir -p /root/.cache
    cp -r "$cache" /root/.cache/go-build
fi
say "ready: cd $workshop && go test ./..."
