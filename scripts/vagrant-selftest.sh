#!/bin/sh
# Runs the Vagrantfile for real, as it is, on any Debian with root's rights and without KVM: has scripts/mkimage.sh make the box of
# libvirt, starts a libvirtd in namespaces of its own, and has Vagrant start the machine, run the tests in it, provision it
# once more, and destroy it.
#
#   vagrant-selftest.sh [COMMAND]     the README's test command, or another one, in the machine
#
# Neither Vagrant nor the machine has a network, so HashiCorp's registry cannot be reached. Where there is no virtualization by
# hardware it takes about half an hour; the box alone, which is kept in the user's cache, five minutes.
set -eu

say() { printf '\n== %s\n' "$*"; }
die() {
    echo "vagrant-selftest.sh: $*" >&2
    exit 1
}

case ${1-} in -*) die 'usage: vagrant-selftest.sh [COMMAND]' ;; esac
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
command=${1-$(sed -n "s/.*vagrant ssh -c '\(.*\)'.*/\1/p" "$root/README.md" | head -n 1)}
[ -n "$command" ] || die 'the README has no command'
[ "$(id -u)" -eq 0 ] || die 'only root may make devices and namespaces'

missing=
for file in mmdebstrap:mmdebstrap vagrant:vagrant /usr/sbin/libvirtd:libvirt-daemon-system /usr/sbin/dnsmasq:dnsmasq-base \
    rsync:rsync ssh:openssh-client qemu-img:qemu-utils qemu-system-x86_64:qemu-system-x86 iptables:iptables \
    /usr/share/doc/vagrant-libvirt:vagrant-libvirt; do
    command -v "${file%:*}" >/dev/null || [ -d "${file%:*}" ] || missing="$missing ${file##*:}"
done
[ -z "$missing" ] || die "not installed: apt-get install --no-install-recommends$missing"

work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
chmod 755 "$work"
git clone -q "$root" "$work/workshop"
rm -rf "$work/workshop/.git"

# The box that mkimage.sh makes, in the directory, as an instructor hands it out: neither a registry nor a variable says where
# it is.
cache=${XDG_CACHE_HOME:-$HOME/.cache}/container-workshop
key=$(cat "$root/scripts/mkimage.sh" "$root/scripts/provision.sh" "$root/go.sum" | sha256sum | cut -c 1-12)
images=$cache/images-$key
if [ ! -e "$images/SHA256SUMS" ]; then
    say 'making a box'
    rm -rf "$cache"/images-*
    "$root/scripts/mkimage.sh" -o "$images" libvirt
fi
ln "$images"/workshop-libvirt-*.box "$work/workshop" 2>/dev/null || cp "$images"/workshop-libvirt-*.box "$work/workshop"

# Vagrant reads this besides the Vagrantfile of the workshop. The machine is emulated: a /dev/kvm may be there and yet start no
# stock kernel.
mkdir "$work/vagrant"
cat >"$work/vagrant/Vagrantfile" <<'V'
Vagrant.configure("2") do |config|
  config.vm.boot_timeout = 1800
  config.vm.provider :libvirt do |v|
    v.driver, v.cpu_mode, v.cpu_model = "qemu", "custom", "qemu64"
  end
end
V

# What libvirtd writes, it writes here.
for dir in etc var run log cache; do mkdir -p "$work/libvirt/$dir"; done
cp -r /etc/libvirt/. "$work/libvirt/etc"
rm -rf "$work"/libvirt/etc/qemu/networks/*
printf '%s\n' 'user = "root"' 'group = "root"' 'security_driver = "none"' 'cgroup_controllers = []' 'namespaces = []' >"$work/libvirt/etc/qemu.conf"
printf '%s\n' 'auth_unix_rw = "none"' >"$work/libvirt/etc/libvirtd.conf"

cat >"$work/inside" <<'I'
set -eu
work=$1 command=$2
mount --make-rprivate /
umount -R /sys/fs/cgroup 2>/dev/null || :
mount -t sysfs sysfs /sys
mount -t proc proc /proc
for dir in etc:/etc/libvirt var:/var/lib/libvirt run:/run/libvirt log:/var/log/libvirt cache:/var/cache/libvirt; do
    mkdir -p "${dir#*:}"
    mount --bind "$work/libvirt/${dir%%:*}" "${dir#*:}"
done
ip link set lo up
virtlogd -d -p /run/libvirt/virtlogd.pid
libvirtd -d -p /run/libvirt/libvirtd.pid
n=0
until virsh -q -c qemu:///system list >/dev/null 2>&1 || [ $n = 100 ]; do sleep 0.1; n=$((n + 1)); done

export VAGRANT_HOME="$work/vagrant" VAGRANT_DEFAULT_PROVIDER=libvirt VAGRANT_CHECKPOINT_DISABLE=1
unset WORKSHOP_BOX WORKSHOP_BOX_URL
cd "$work/workshop"
step() {
    printf '\n== vagrant %s\n' "$*"
    start=$(date +%s)
    vagrant --no-tty "$@"
    printf '== %d s\n' "$(($(date +%s) - start))"
}
step validate
mv workshop-libvirt-*.box "$work"
if vagrant up >"$work/log" 2>&1 || ! grep 'put a workshop-\*.box of scripts/mkimage.sh' "$work/log"; then
    cat "$work/log"
    echo 'without a box, vagrant up does not say what to do' >&2
    exit 1
fi
mv "$work"/workshop-libvirt-*.box .
trap 'vagrant destroy -f >/dev/null 2>&1 || :' EXIT
step up --no-color
# An emulated machine is slow; and what ran and what did not is wanted.
step ssh -c "export WORKSHOP_TIMEOUT=5m WORKSHOP_REPORT=/tmp/report; $command"
printf '\n== what ran in the machine\n'
vagrant ssh -c 'if grep " skipped " /tmp/report; then exit 1; fi; echo "$(grep -c " ran$" /tmp/report) scripts, none skipped"; touch /tmp/before; sleep 1'
step provision --no-color
changed=$(vagrant ssh -c 'sudo find /etc /usr /workshop /var/lib/dpkg -xdev -newer /tmp/before ! -type d')
[ -z "$changed" ] || { printf 'provisioning it again changed:\n%s\n' "$changed" >&2; exit 1; }
echo 'provisioning it again changed nothing'
step destroy -f
[ -z "$(virsh -q -c qemu:///system list --all)" ]
trap - EXIT
I
unshare -mnpf --kill-child sh "$work/inside" "$work" "$command"
say 'done'
