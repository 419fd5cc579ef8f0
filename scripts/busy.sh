#!/bin/sh
# Run a command on a machine that is busy: beside so many loops that never end.
#
# usage: busy.sh LOOPS COMMAND [ARG...]
set -eu
[ $# -ge 2 ] || { echo "usage: busy.sh LOOPS COMMAND [ARG...]" >&2; exit 2; }
loops=$1
shift
pids=
trap 'kill $pids 2>/dev/null || :' EXIT
trap 'exit 130' INT TERM
while [ "$loops" -gt 0 ]; do
	while :; do :; done &
	pids="$pids $!"
	loops=$((loops - 1))
done
"$@"
