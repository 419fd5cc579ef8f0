#!/bin/sh
# The picture of the README, made from the real thing: docs/screens/watch.svg is the screen of workshop watch
# with a promise that is broken. What is shown is what is committed. It needs tmux.
set -eu
cd "$(dirname "$0")/.."

tmp=$(mktemp -d)
screen() { tmux -S "$tmp/tmux" -f /dev/null "$@"; }
trap 'screen kill-server 2>/dev/null || :; chmod -R u+w "$tmp"; rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM

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

# A copy of the module, and in it step 3 as somebody may type it, who forgets the last line of pivotRoot.
git clone -q . "$tmp/workshop"
go build -o "$tmp/bin/workshop" ./workshop
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
mkdir -p docs/screens
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
