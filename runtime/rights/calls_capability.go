//go:build linux

package rights

import "golang.org/x/sys/unix"

// capabilityCalls are the system calls that Docker's profile allows to those who have a capability.
var capabilityCalls = []struct {
	capability int
	calls      []uint32
}{
	{unix.CAP_DAC_READ_SEARCH, []uint32{unix.SYS_OPEN_BY_HANDLE_AT}},
	{unix.CAP_SYS_ADMIN, []uint32{
		unix.SYS_BPF, unix.SYS_CLONE, unix.SYS_CLONE3, unix.SYS_FANOTIFY_INIT, unix.SYS_FSCONFIG,
		unix.SYS_FSMOUNT, unix.SYS_FSOPEN, unix.SYS_FSPICK, unix.SYS_LOOKUP_DCOOKIE,
		unix.SYS_LSM_GET_SELF_ATTR, unix.SYS_LSM_LIST_MODULES, unix.SYS_LSM_SET_SELF_ATTR,
		unix.SYS_MOUNT, unix.SYS_MOUNT_SETATTR, unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE,
		unix.SYS_PERF_EVENT_OPEN, unix.SYS_QUOTACTL, unix.SYS_QUOTACTL_FD, unix.SYS_SETDOMAINNAME,
		unix.SYS_SETHOSTNAME, unix.SYS_SETNS, unix.SYS_SYSLOG, unix.SYS_UMOUNT2, unix.SYS_UNSHARE,
	}},
	{unix.CAP_SYS_BOOT, []uint32{unix.SYS_REBOOT}},
	{unix.CAP_SYS_CHROOT, []uint32{unix.SYS_CHROOT}},
	{
		unix.CAP_SYS_MODULE,
		[]uint32{unix.SYS_DELETE_MODULE, unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE},
	},
	{unix.CAP_SYS_PACCT, []uint32{unix.SYS_ACCT}},
	{unix.CAP_SYS_PTRACE, []uint32{unix.SYS_KCMP, unix.SYS_PIDFD_GETFD, unix.SYS_PROCESS_MADVISE}},
	{unix.CAP_SYS_RAWIO, rawIOCalls},
	{unix.CAP_SYS_TIME, []uint32{unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME}},
	{unix.CAP_SYS_TTY_CONFIG, []uint32{unix.SYS_VHANGUP}},
	{unix.CAP_SYS_NICE, []uint32{
		unix.SYS_GET_MEMPOLICY, unix.SYS_MBIND, unix.SYS_SET_MEMPOLICY,
		unix.SYS_SET_MEMPOLICY_HOME_NODE,
	}},
	{unix.CAP_SYSLOG, []uint32{unix.SYS_SYSLOG}},
	{unix.CAP_BPF, []uint32{unix.SYS_BPF}},
	{unix.CAP_PERFMON, []uint32{unix.SYS_PERF_EVENT_OPEN}},
}
