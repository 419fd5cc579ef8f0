#!/bin/sh
# Sets the workshop up from this directory, which scripts/offline.sh has made, for a user and without a network:
# setup.sh WORKSHOP
#
# WORKSHOP is a new directory for the clone. Go and BusyBox go to ~/.local, the modules to where Go keeps them. A Go that is
# there and new enough is left alone, as is everything else of the machine.
set -eu

die() {
    echo "setup.sh: $*" >&2
    exit 1
}

case "$# ${1-}" in
'1 -'* | [!1]*) echo 'usage: setup.sh WORKSHOP' >&2; exit 2 ;;
esac
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
case $(uname -sm) in
'Linux x86_64') arch=amd64 ;;
'Linux aarch64') arch=arm64 ;;
*) die "$(uname -sm): only for Linux on amd64 and arm64 (elsewhere: a virtual machine, pages/docs/machines.html)" ;;
esac
missing=
for tool in git unzip tar; do command -v "$tool" >/dev/null || missing="$missing $tool"; done
[ -z "$missing" ] || die "not installed:$missing"
[ ! -e "$1" ] || die "$1: exists"

git clone -q "$here/workshop.bundle" "$1"
cd "$1"
export GOTOOLCHAIN=local
bin=$HOME/.local/bin
mkdir -p "$bin"
if ! go list -m >/dev/null 2>&1; then
    zip=$(find "$here/modules/golang.org/toolchain/@v" -name "*.linux-$arch.zip")
    name=$(basename "$zip" .zip)
    go=$HOME/.local/lib/${name#v0.0.1-}
    if [ ! -x "$go/bin/go" ]; then
        mkdir -p "$HOME/.local/lib"
        tmp=$(mktemp -d "$HOME/.local/lib/.go.XXXXXX")
        trap 'rm -rf "$tmp"' EXIT
        trap 'exit 129' HUP
        trap 'exit 130' INT
        trap 'exit 143' TERM
        unzip -q "$zip" -d "$tmp"
        # A module has no modes.
        chmod 755 "$tmp/golang.org/toolchain@$name"/bin/* "$tmp/golang.org/toolchain@$name"/pkg/tool/*/*
        mv -T "$tmp/golang.org/toolchain@$name" "$go"
    fi
    ln -sfn "$go/bin/go" "$bin/go"
    ln -sfn "$go/bin/gofmt" "$bin/gofmt"
    PATH=$bin:$PATH
fi
command -v busybox >/dev/null || install -m 755 "$here/bin-$arch/busybox" "$bin/busybox"
# go.sum has the checksum of each.
GOPROXY="file://$here/modules" GOFLAGS=-modcacherw go mod download
# The next clone of a network finds what it knows; until there is one, nothing waits for it.
git remote remove origin
echo "setup.sh: $1 is ready, with $(go version | cut -d ' ' -f 3)"
