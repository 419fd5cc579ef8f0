#!/bin/sh
# Starts a disk of scripts/mkimage.sh in QEMU as docs/machines.md says, and runs a command in it:
# image-selftest.sh [-bios] DISK [COMMAND]
#
#   -bios      amd64 with a BIOS and not with UEFI
#   COMMAND    the README's test command by default
#
# The machine gets scripts/cloud-init.yaml as its user data with a key added to it, a copy of this directory as its folder,
# and no network but for SSH. It is emulated, so that a stock kernel starts everywhere. Root is not needed. Where the machine
# cannot go on, or does not answer by SSH within an hour, the end of its console is shown.
set -eu

usage='usage: image-selftest.sh [-bios] DISK [COMMAND]'
say() { printf '\n== %s\n' "$*"; }
die() {
    echo "image-selftest.sh: $*" >&2
    exit 1
}

bios=''
case ${1-} in -bios) bios=yes && shift ;; esac
case ${1--} in -*) echo "$usage" >&2; exit 2 ;; esac
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
disk=$(realpath -e -- "$1") || die "$1: no such disk"
command=${2-$(sed -n "s/.*vagrant ssh -c '\(.*\)'.*/\1/p" "$root/README.md" | head -n 1)}
[ -n "$command" ] || die 'the README has no command'
work=$(mktemp -d)
pids=''
# shellcheck disable=SC2086 # a list of words
trap '[ -z "$pids" ] || kill $pids 2>/dev/null || :; rm -rf "$work"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# As in the table of mkimage.sh: a disk has the name of its architecture.
case $disk in
*amd64*)
    set -- qemu-system-x86_64 -M q35 -cpu Nehalem # the fastest, see docs/kernels.md
    if [ -z "$bios" ]; then
        cp /usr/share/OVMF/OVMF_VARS*.fd "$work"
        set -- "$@" -drive if=pflash,format=raw,readonly=on,file="$(find /usr/share/OVMF -name 'OVMF_CODE*.fd' ! -name '*ms*' ! -name '*secboot*' | LC_ALL=C sort | head -n 1)" \
            -drive if=pflash,format=raw,file="$(find "$work" -name 'OVMF_VARS*.fd' ! -name '*ms*' | LC_ALL=C sort | head -n 1)"
    fi
    ;;
*arm64*) set -- qemu-system-aarch64 -M virt -cpu cortex-a72 -bios /usr/share/qemu-efi-aarch64/QEMU_EFI.fd ;;
*) die "$disk: the name says neither amd64 nor arm64" ;;
esac
for tool in "$1" cloud-localds genisoimage ssh; do
    command -v "$tool" >/dev/null || die "$tool: not installed (qemu-system-x86 or qemu-system-arm, ovmf or qemu-efi-aarch64, cloud-image-utils, genisoimage, openssh-client)"
done

git clone -q "$root" "$work/workshop"
# Root's files would not be those of the user in the machine, whose number is 1000.
[ "$(id -u)" -ne 0 ] || chown -R 1000:1000 "$work/workshop"
ssh-keygen -q -t ed25519 -N '' -f "$work/key"
cp "$root/scripts/cloud-init.yaml" "$work/user-data"
printf 'ssh_authorized_keys:\n  - %s\n' "$(cat "$work/key.pub")" >>"$work/user-data"
cloud-localds "$work/seed.img" "$work/user-data"
port=$((20000 + $$ % 20000))

say "$*"
"$@" -accel tcg,thread=multi,tb-size=512 -smp 1 -m 2048 -display none -serial "file:$work/console" -no-reboot \
    -drive "file=$disk,if=virtio,snapshot=on,cache=unsafe" -drive "file=$work/seed.img,if=virtio,format=raw" \
    -nic "user,model=virtio-net-pci,restrict=on,hostfwd=tcp:127.0.0.1:$port-:22" -device virtio-rng-pci \
    -virtfs "local,path=$work/workshop,mount_tag=workshop,security_model=none" </dev/null >"$work/log" 2>&1 &
pid=$! pids=$!
# What a machine says last that has no way to go on: Linux, its first stage, systemd, GRUB, and UEFI that finds no system on
# the disk. QEMU is ended then, and with it an SSH that waits for an answer.
last='Kernel panic - not syncing.*|^\(initramfs\)|You are in emergency mode|^grub( rescue)?>|Start PXE over IPv[46]'
watch() {
    until LC_ALL=C grep -a -o -E -m 1 "$last" "$work/console" >"$work/last" 2>/dev/null; do sleep 1; done
    kill "$pid"
}
watch &
pids="$pid $!"
# lost CAUSE: ends the test with what is known of the machine.
lost() {
    [ ! -s "$work/last" ] || set -- "the machine cannot go on: $(tr -d '\r' <"$work/last")"
    cat "$work/log" >&2
    tail -n 30 "$work/console" >&2 2>/dev/null || :
    echo >&2
    die "$1"
}
in_machine() {
    ssh -q -i "$work/key" -p "$port" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectTimeout=20 \
        workshop@127.0.0.1 "$@"
}
deadline=$(($(date +%s) + 3600))
until in_machine true; do
    kill -0 "$pid" 2>/dev/null || lost 'the machine has ended'
    [ "$(date +%s)" -lt "$deadline" ] || lost 'no answer by SSH within an hour'
    sleep 1
done
# step COMMAND: in the machine; it must succeed. A signal ends wait, and not a command in the foreground.
step() {
    in_machine "$1" &
    wait $! && return
    status=$?
    [ "$status" -ne 255 ] || lost 'the connection by SSH has ended'
    exit "$status"
}
say 'cloud-init'
# shellcheck disable=SC2016 # to be expanded in the machine
step 'cloud-init status --wait --long; uname -a; for dir in / /workshop /workshop/rootfs; do findmnt -n $dir; done; sudo tail -n 5 /var/log/cloud-init-output.log'
say "$command"
step "export WORKSHOP_TIMEOUT=10m; $command"
say 'the end'
in_machine sudo poweroff || :
wait "$pid" || lost 'QEMU has failed'
pids=${pids#* }
# watch ends QEMU, which succeeds then.
[ ! -s "$work/last" ] || lost 'the machine has failed'
