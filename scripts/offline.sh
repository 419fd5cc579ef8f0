#!/bin/sh
# Collects what a machine without a network needs for the workshop: offline.sh DIR
#
# DIR then has the last commit of this directory as something to clone, the Go modules and the Go toolchains, BusyBox, the pages
# as HTML, the images that scripts/mkimage.sh has made in images/, and a README.md that says how to begin. It is for Linux
# on amd64 and arm64, and does for any number of people. Root is not needed; Go and apt-get are, and a network.
set -eu

usage='usage: offline.sh DIR'
die() {
    echo "offline.sh: $*" >&2
    exit 1
}

case "$# ${1-}" in
'1 -h' | '1 --help') echo "$usage"; sed -n '2,/^set/s/^# \{0,1\}//p' "$0"; exit 0 ;;
'1 -'* | [!1]*) echo "$usage" >&2; exit 2 ;;
esac
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
git -C "$root" rev-parse -q --verify HEAD >/dev/null || die "$root: has no commit"
[ ! -e "$1" ] || [ -z "$(ls -A "$1")" ] || die "$1: not empty"
mkdir -p "$1" || die "$1: cannot be made"
dir=$(CDPATH='' cd -- "$1" && pwd)
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

git clone -q "$root" "$work/workshop"
cd "$work/workshop"
git checkout -q -B main # also where no branch is checked out
git bundle create -q "$dir/workshop.bundle" HEAD main
cp scripts/offline-setup.sh "$dir/setup.sh"

echo 'offline.sh: Go modules, and Go' >&2
# What the go command keeps of a download is laid out as a module proxy is: no program need serve it.
version=$(sed -n 's/^go_version=//p' scripts/provision.sh)
export GOMODCACHE="$work/mod" GOFLAGS=-modcacherw
go mod download
for arch in amd64 arm64; do
    go mod download "golang.org/toolchain@v0.0.1-go$version.linux-$arch" || die "no Go $version for $arch to be had"
done
cp -r "$work/mod/cache/download" "$dir/modules"
rm -rf "$dir/modules/sumdb"
find "$dir/modules" '(' -name '*.lock' -o -name '*.partial' ')' -delete

# For both architectures, in a state of apt's own: the machine's knows only one.
for arch in amd64 arm64; do
    echo "offline.sh: BusyBox for $arch" >&2
    state=$work/apt-$arch
    mkdir -p "$state/lists/partial" "$state/archives/partial"
    : >"$state/status"
    set -- -q -o "APT::Architecture=$arch" -o "APT::Architectures=$arch" -o "Dir::State=$state" -o "Dir::State::status=$state/status" \
        -o "Dir::Cache=$state" -o APT::Sandbox::User=root -o Acquire::Languages=none
    (cd "$state" && apt-get "$@" update && apt-get "$@" download busybox-static) >"$work/log" 2>&1 || {
        cat "$work/log" >&2
        die "busybox-static for $arch: not to be downloaded"
    }
    dpkg-deb -x "$state"/busybox-static_*.deb "$state/root"
    mkdir -p "$dir/bin-$arch"
    cp "$state"/root/usr/bin/busybox "$dir/bin-$arch" 2>/dev/null || cp "$state"/root/bin/busybox "$dir/bin-$arch"
done

if [ -d "$root/images" ]; then
    echo 'offline.sh: images' >&2
    cp -r "$root/images" "$dir/images"
fi

cat >"$dir/README.md" <<'R'
# The container workshop, without a network

What is here is enough to do the whole workshop on a Linux machine that reaches nothing, or in a virtual machine.

| here | what it is |
| --- | --- |
| `setup.sh` | copies all that is needed into your home directory; afterwards this directory is no longer needed |
| `workshop.bundle` | the workshop with its history: `git clone` takes it like an address |
| `modules` | the Go modules and Go itself, laid out like a module proxy: `GOPROXY=file://...` |
| `bin-amd64`, `bin-arm64` | BusyBox, for the root file system of the containers |
| `pages` | the workshop's files with each page as HTML: begin with `pages/README.html` |
| `images` | virtual machines, if there are any; `pages/docs/machines.html` says how to start them |

In this directory, as the user who takes part:

```sh
./setup.sh ~/workshop
export PATH="$HOME/.local/bin:$PATH"
cd ~/workshop
scripts/mkrootfs.sh
go tool workshop doctor
```

Then `go tool workshop start` begins with step 1. `git` has to be there, and GNU coreutils, tar and unzip. Put the second line into
your `~/.profile` to have it in each shell.

Where the machine itself is missing something, `scripts/provision.sh` makes a Debian or Ubuntu ready that reaches a mirror of packages;
`WORKSHOP_GOPROXY=file://DIR/modules` says where Go is.
R
echo 'offline.sh: pages' >&2
mkdir "$dir/pages"
git archive -o "$work/pages.tar" HEAD
tar -x -C "$dir/pages" -f "$work/pages.tar"
go run ./internal/pages "$dir"
(cd "$dir" && find . -type f ! -name SHA256SUMS -print0 | LC_ALL=C sort -z | xargs -0 sha256sum >"$work/sums" && mv "$work/sums" SHA256SUMS)
du -sh "$dir"
