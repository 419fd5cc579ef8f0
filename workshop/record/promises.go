package record

import (
	"slices"
	"strings"
)

// namespacePromises are the names of the promises that depend on a new namespace of a kind.
var namespacePromises = []struct {
	kind  string
	names []string
}{
	{"uts", []string{"hostname-in", "hostname-out"}},
	{"pid", []string{"pid-1", "pid-host-invisible", "two-pid-namespaces"}},
	{"mnt", []string{"mounts-in", "mounts-out", "host-mounts-unchanged"}},
	{"net", []string{"ns-net", "network-none", "escape-host-network", "escape-abstract-socket"}},
	{"ipc", []string{"escape-shared-memory"}},
	{"user", []string{"user-map", "user-root", "user-namespace", "escape-uid"}},
	{"cgroup", []string{"cgroup-namespace"}},
	{"time", []string{"ns-time-alone"}},
}

// keyPromises are the names of the promises that depend on a call, by the beginning of its key, or
// by all of it if it ends in $.
var keyPromises = []struct {
	key   string
	names []string
}{
	{"sethostname", []string{"hostname-in", "hostname-flag"}},
	{"mount private /$", []string{"mounts-out", "host-mounts-unchanged"}},
	{"mount slave /$", []string{"mounts-out", "host-mounts-unchanged"}},
	{"mount bind /proc/", []string{"escape-masked", "escape-read-only-proc"}},
	{"mount bind /dev/", []string{"dev"}},
	{"mount bind /$", []string{"root-is-rootfs", "rootfs-mounts"}},
	{"pivot_root", []string{
		"root-is-rootfs", "host-chroot-breakout", "host-dot-dot", "host-proc-root",
		"escape-pivot-root",
	}},
	{"chroot", []string{"root-is-rootfs"}},
	{"umount /", []string{"host-old-root", "host-mountinfo"}},
	{"mount proc /proc", []string{"ps-alone", "pid-host-invisible"}},
	{"fsopen proc", []string{"ps-alone", "pid-host-invisible"}},
	{"mount sysfs", []string{"mounts", "sys-read-only"}},
	{"fsopen sysfs", []string{"mounts", "sys-read-only"}},
	{"mount tmpfs /dev/shm", []string{"dev-shm", "escape-shared-memory"}},
	{"mount tmpfs /dev$", []string{"dev"}},
	{"mount devpts", []string{"terminal-devpts"}},
	{"mount mqueue", []string{"mounts"}},
	{"mount overlay", []string{"layers", "rootfs-written"}},
	{"mount tmpfs /proc/", []string{"escape-masked"}},
	{"mount tmpfs /sys/firmware", []string{"escape-masked"}},
	{"mount bind /sys/firmware", []string{"escape-masked"}},
	{"mount remount /proc/", []string{"escape-read-only-proc"}},
	{"mount_setattr /proc/", []string{"escape-read-only-proc"}},
	{"move_mount /dev/", []string{"dev"}},
	{"mknod ", []string{"dev", "escape-device-in-rootfs"}},
	{"symlink /dev/", []string{"dev"}},
	{"mkdir cgroup", []string{"two-at-once", "gone"}},
	{"rmdir cgroup", []string{"gone", "gone-after-signal"}},
	{"write cgroup memory.max", []string{"memory-file", "memory-hog"}},
	{"write cgroup memory.limit_in_bytes", []string{"memory-file", "memory-hog"}},
	{"write cgroup memory.swap.max", []string{"memory-hog"}},
	{"write cgroup memory.memsw.limit_in_bytes", []string{"memory-hog"}},
	{"write cgroup pids.max", []string{"pids-file", "pids-few", "pids-fork-loop"}},
	{"write cgroup cpu.", []string{"cpu-file", "cpu-share", "cpu-free"}},
	{"write cgroup cgroup.procs$", []string{"memory-hog", "pids-fork-loop", "cpu-share"}},
	{"write cgroup cgroup.procs memory$", []string{"memory-hog"}},
	{"write cgroup cgroup.procs pids$", []string{"pids-fork-loop"}},
	{"write cgroup cgroup.procs cpu$", []string{"cpu-share"}},
	{"write cgroup cgroup.procs cpu,cpuacct$", []string{"cpu-share"}},
	{"write cgroup tasks memory$", []string{"memory-hog"}},
	{"write cgroup tasks pids$", []string{"pids-fork-loop"}},
	{"write cgroup tasks cpu$", []string{"cpu-share"}},
	{"write cgroup tasks cpu,cpuacct$", []string{"cpu-share"}},
	{"write uid_map", []string{"user-map", "user-root", "user-namespace"}},
	{"write gid_map", []string{"user-map", "user-root", "user-namespace"}},
	{"write setgroups", []string{"escape-groups"}},
	{"netlink link up lo", []string{"ns-net", "network-none"}},
	{"netlink link add", []string{"network-eth0"}},
	{"netlink link netns", []string{"network-eth0"}},
	{"netlink link master", []string{"network-neighbours"}},
	{"netlink addr add", []string{"network-eth0", "network-neighbours"}},
	{"prctl PR_CAPBSET_DROP SYS_BOOT", []string{"root-rights", "escape-reboot"}},
	{"prctl PR_CAPBSET_DROP SYS_TIME", []string{"root-rights", "escape-clock"}},
	{"prctl PR_CAPBSET_DROP SYSLOG", []string{"root-rights", "escape-kernel-log"}},
	{"prctl PR_CAPBSET_DROP SYS_NICE", []string{"root-rights", "escape-priority"}},
	{"prctl PR_CAPBSET_DROP SYS_ADMIN", []string{"root-rights", "escape-setns", "escape-swap"}},
	{"prctl PR_CAPBSET_DROP DAC_READ_SEARCH", []string{"root-rights", "escape-file-handle"}},
	{"prctl PR_CAPBSET_DROP", []string{"root-rights", "escape-capabilities"}},
	{"capset", []string{"root-rights", "escape-capabilities"}},
	{"prctl PR_SET_NO_NEW_PRIVS", []string{"escape-setuid"}},
	{"prctl PR_SET_PDEATHSIG", []string{"runtime-killed"}},
	{"prctl PR_SET_SECCOMP", []string{"seccomp", "escape-keyring", "escape-user-namespace"}},
	{"seccomp", []string{"seccomp", "escape-keyring", "escape-user-namespace"}},
	{"set uid", []string{"user"}},
	{"set gid", []string{"user", "escape-groups"}},
	{"setgroups", []string{"escape-groups"}},
	{"close_range", []string{"descriptors", "escape-descriptor"}},
	{"keyctl", []string{"escape-keyring-session"}},
	{"open terminal", []string{"terminal"}},
	{"setsid", []string{"terminal"}},
	{"ioctl TIOCSCTTY", []string{"terminal", "shell"}},
	{"rlimit", []string{"ulimits"}},
}

// promisesOf are the names of the workshop's promises that depend on a step with this key.
func promisesOf(key string) (names []string) {
	call, rest, _ := strings.Cut(key, " ")
	if call == "clone" || call == "unshare" {
		for kind := range strings.FieldsSeq(rest) {
			for _, p := range namespacePromises {
				if p.kind == kind {
					names = append(names, p.names...)
				}
			}
		}
		return names
	}
	for _, p := range keyPromises {
		whole, isWhole := strings.CutSuffix(p.key, "$")
		if key == whole || !isWhole && strings.HasPrefix(key, p.key) {
			return slices.Clone(p.names)
		}
	}
	return nil
}
