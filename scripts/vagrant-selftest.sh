#!/bin/sh
# Runs the Vagrantfile for real, as it is, on any Debian with root's rights and without KVM: makes a box of libvirt's
# kind out of Debian's packages, starts a libvirtd in namespaces of its own, and has Vagrant start the machine, run
# the tests in it, provision it once more, and destroy it.
#
#   vagrant-selftest.sh [COMMAND]     the README's test command, or another one, in the machine
#
# The machine has no network: what provision.sh would download is in the box. Where there is no virtualization by
# hardware it takes about a quarter of an hour; the box alone, which is kept in the user's cache, one to five minutes.
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
chmod 755 "$work"
git clone -q "$root" "$work/workshop"
rm -rf "$work/workshop/.git"

# A Debian as other boxes have it: the user vagrant with the key that all know, who may do all; systemd; and what
# the workshop downloads.
make_box() {
    say 'making a box'
    tree=$work/tree
    kernel=$(apt-cache search --names-only '^linux-image-[0-9].*[0-9]-cloud-amd64$' | cut -d ' ' -f 1 | sort -V | tail -n 1)
    # shellcheck disable=SC2016 # $1 is for the hook
    mmdebstrap --quiet --variant=minbase --include=systemd,systemd-sysv,libpam-systemd,dbus,udev,openssh-server,sudo,rsync,"$kernel" \
        --essential-hook='mkdir -p "$1/etc/initramfs-tools/conf.d" "$1/usr/share/initramfs-tools/modules.d"
            echo MODULES=list >"$1/etc/initramfs-tools/conf.d/box"
            printf "virtio_pci\nvirtio_blk\n" >"$1/usr/share/initramfs-tools/modules.d/box"' \
        bookworm "$tree"
    echo box >"$tree/etc/hostname"
    echo '127.0.0.1 localhost box' >"$tree/etc/hosts"
    printf '[Match]\nType=ether\n[Network]\nDHCP=yes\nLinkLocalAddressing=no\n[DHCPv4]\nClientIdentifier=mac\n' >"$tree/etc/systemd/network/box.network"
    printf 'UseDNS no\n' >"$tree/etc/ssh/sshd_config.d/box.conf"
    # It is slow without KVM; and what ran and what did not is wanted.
    printf 'WORKSHOP_TIMEOUT=5m\nWORKSHOP_REPORT=/tmp/report\n' >"$tree/etc/environment"
    printf '%s\n' 'vagrant ALL=(ALL) NOPASSWD: ALL' 'Defaults env_keep += "GOPROXY SSL_CERT_FILE"' >"$tree/etc/sudoers.d/vagrant"
    chroot "$tree" useradd -m -s /bin/bash vagrant
    install -d -m 700 "$tree/home/vagrant/.ssh"
    key=$(find /usr/share /opt -name vagrant.pub -path '*keys*' | head -n 1)
    install -m 600 "$key" "$tree/home/vagrant/.ssh/authorized_keys"
    chroot "$tree" chown -R vagrant: /home/vagrant/.ssh
    chroot "$tree" systemctl -q enable systemd-networkd ssh
    chroot "$tree" systemctl -q mask systemd-networkd-wait-online apt-daily.timer apt-daily-upgrade.timer
    cp -r "$work/workshop" "$tree/workshop"
    chroot "$tree" chown -R vagrant: /workshop
    "$root/.ci/inside" "$tree" env SUDO_USER=vagrant /workshop/scripts/provision.sh
    rm -rf "$tree/workshop" "$tree/tmp/ca.crt" "$tree"/var/cache/apt/archives/*.deb
    sed -i '/env_keep/d' "$tree/etc/sudoers.d/vagrant"
    : >"$tree/etc/machine-id"
    mkdir "$work/box"
    cp "$tree"/boot/vmlinuz-* "$work/box/vmlinuz"
    cp "$tree"/boot/initrd.img-* "$work/box/initrd"
    truncate -s 8G "$work/raw"
    mke2fs -q -F -t ext4 -d "$tree" "$work/raw"
    qemu-img convert -O qcow2 "$work/raw" "$work/box/box.img"
    rm -rf "$work/raw" "$tree"
    echo '{"provider": "libvirt", "format": "qcow2", "virtual_size": 8}' >"$work/box/metadata.json"
    cat >"$work/box/Vagrantfile" <<'V'
Vagrant.configure("2") do |config|
  config.vm.boot_timeout = 900
  config.vm.provider :libvirt do |v|
    v.driver, v.cpu_mode, v.cpu_model, v.graphics_type = "qemu", "custom", "qemu64", "none"
    v.kernel, v.initrd = File.expand_path("vmlinuz", __dir__), File.expand_path("initrd", __dir__)
    v.cmd_line = "root=/dev/vda rw console=ttyS0 net.ifnames=0 quiet mitigations=off"
  end
end
V
    tar -C "$work/box" -cf "$1.part" .
    mv "$1.part" "$1"
    rm -rf "$work/box"
}

cache=${XDG_CACHE_HOME:-$HOME/.cache}/container-workshop
mkdir -p "$cache"
key=$(cat "$0" "$root/scripts/provision.sh" "$root/go.sum" | sha256sum | cut -c 1-12)
box=$cache/selftest-$key.box
if [ ! -e "$box" ]; then
    rm -f "$cache"/selftest-*.box
    make_box "$box"
fi

# What libvirtd writes, it writes here.
for dir in etc var run log cache; do mkdir -p "$work/libvirt/$dir"; done
cp -r /etc/libvirt/. "$work/libvirt/etc"
rm -rf "$work"/libvirt/etc/qemu/networks/*
printf '%s\n' 'user = "root"' 'group = "root"' 'security_driver = "none"' 'cgroup_controllers = []' 'namespaces = []' >"$work/libvirt/etc/qemu.conf"
printf '%s\n' 'auth_unix_rw = "none"' >"$work/libvirt/etc/libvirtd.conf"

cat >"$work/inside" <<'I'
set -eu
work=$1 command=$2 box=$3
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

export VAGRANT_HOME="$work/vagrant" VAGRANT_DEFAULT_PROVIDER=libvirt VAGRANT_CHECKPOINT_DISABLE=1 \
    WORKSHOP_BOX=selftest WORKSHOP_BOX_URL="file://$box"
cd "$work/workshop"
step() {
    printf '\n== vagrant %s\n' "$*"
    start=$(date +%s)
    vagrant --no-tty "$@"
    printf '== %d s\n' "$(($(date +%s) - start))"
}
step validate
trap 'vagrant destroy -f >/dev/null 2>&1 || :' EXIT
step up --no-color
step ssh -c "$command"
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
unshare -mnpf --kill-child sh "$work/inside" "$work" "$command" "$box"
say 'done'
