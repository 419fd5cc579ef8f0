#!/bin/sh
# The pictures of the README, made from the real thing: pictures.sh [watch] [record], or both.
#   watch   docs/screens/watch.svg, the screen of workshop watch with a promise that is broken
#   record  docs/screens/record.png, the page of a recording of step 3 at pivot_root(2)
# What is shown is what is committed. watch needs tmux, and record needs root, chromium and pngquant.
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- watch record

tmp=$(mktemp -d)
screen() { tmux -S "$tmp/tmux" -f /dev/null "$@"; }
trap 'screen kill-server 2>/dev/null || :; chmod -R u+w "$tmp"; rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
mkdir -p docs/screens
CGO_ENABLED=0 go build -o "$tmp/bin/workshop" ./workshop

# await waits until the screen has a line.
await() {
    end=$(($(date +%s) + 600))
    until screen capture-pane -p | grep -q "$1"; do
        if [ "$(date +%s)" -gt "$end" ]; then
            echo "pictures.sh: nothing like '$1' on the screen of workshop watch" >&2
            exit 1
        fi
        sleep 0.2
    done
}

watch() {
    # A copy of the module, and in it step 3 by somebody who has forgotten the last line of pivotRoot.
    git clone -q . "$tmp/workshop"
    mkdir "$tmp/workshop/mine"
    for file in main.go flags.go run.go; do
        grep -v 'unmount the old root' "step3-rootfs/$file" >"$tmp/workshop/mine/$file"
    done
    columns=84
    screen new-session -d -x "$columns" -y 23 -c "$tmp/workshop" "env -u NO_COLOR $tmp/bin/workshop watch"
    await '✗'
    await 'after the save at'
    screen send-keys v
    await '^✗ step3-rootfs'
    # All but the time, which is another one each time.
    screen capture-pane -p -e | sed 's/verdict [0-9.]* *m*s after the save at [0-9:]*//' |
        go run ./docs/pictures -screen "$columns" -title 'The screen of workshop watch' -desc "$(
            xargs -d '\n' <<-'DESC'
	The screen of workshop watch. Two of five steps are passed. Of the 16 promises of step 3, a root file system,
	three are kept, and the fourth is broken: host-chroot-breakout. Below it says what is promised, that the classic
	way out of chroot(2) ends at the root of the mount namespace; what ran, container run probe breakout; what was
	expected, a line that is "still inside"; what was seen, broke out; which part of the kernel it is about, what to
	read, and which script it is. The last line has the keys: h for a hint, p for the plan, d for the solution.
	DESC
        )" >"$tmp/watch.svg"
    cp "$tmp/watch.svg" docs/screens/watch.svg
}

# record makes the recording on a host with nothing of this machine in it: its root is a tmpfs.
record() {
    tmp="$tmp" unshare --mount --pid --uts --fork --propagation private setsid sh -eu <<'HOST'
	hostname host
	mount -t tmpfs -o mode=755 tmpfs /srv
	git clone -q . /srv/workshop
	cd /srv/workshop
	CGO_ENABLED=0 go build -gcflags='-trimpath=/srv/workshop=>/workshop' -o container ./step3-rootfs
	scripts/mkrootfs.sh >/dev/null
	mkdir /srv/bin /srv/dev /srv/old /srv/proc
	mknod -m 666 /srv/dev/null c 1 3
	cp "$tmp/bin/workshop" /srv/bin
	mount -t proc proc /srv/proc
	exec 9>"$tmp/record.html"
	cd /srv
	pivot_root . old
	exec /workshop/rootfs/bin/sh -eu -c '
	    PATH=/bin:/workshop/rootfs/bin
	    umount -l /old
	    cd /workshop
	    workshop record -o run.html -- ./container run sh -c "echo hello" </dev/null 9>&-
	    # Of the kernel the version alone.
	    sed "s/\"kernel\":\"\([0-9]*\.[0-9]*\)[^\"]*\"/\"kernel\":\"\1\"/" run.html >&9'
HOST
    step=$(grep 'id="data"' "$tmp/record.html" | grep -o '"call":"[a-z0-9_]*"' | grep -n pivot_root)
    HOME="$tmp" TMPDIR="$tmp" chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size=1280,720 \
        --screenshot="$tmp/record.png" "file://$tmp/record.html#${step%%:*}" >/dev/null 2>&1
    pngquant --output "$tmp/small.png" 64 "$tmp/record.png"
    cp "$tmp/small.png" docs/screens/record.png
}

for picture; do
    case $picture in
    watch | record) "$picture" ;;
    *)
        echo "pictures.sh: $picture: must be watch or record" >&2
        exit 2
        ;;
    esac
done
