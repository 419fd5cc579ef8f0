//go:build linux

package plan

import "golang.org/x/sys/unix"

// The tables are arrays, slices and pointers to constants, so the compiler lays them out. Maps
// would be filled at the start of every program that uses the package, even if it prints nothing.

// A form is how a system call is printed: its name, and the kinds of its arguments. An argument
// without a kind is not shown: the size of a struct, a buffer for the answer, or an argument that
// is always 0.
type form struct {
	number uint32
	name   string
	args   [6]*kind
}

type kinds = [6]*kind

// forms has every system call that calls.go adds, in the order of calls.go.
var forms = [...]form{
	{unix.SYS_OPENAT2, "openat2", kinds{fd, text, openHow}},
	{unix.SYS_CLOSE, "close", kinds{fd}},
	{unix.SYS_WRITE, "write", kinds{fd, counted, number}},
	{unix.SYS_MKDIRAT, "mkdirat", kinds{fd, text, mode}},
	{unix.SYS_MKNODAT, "mknodat", kinds{fd, text, typeAndMode}},
	{unix.SYS_SYMLINKAT, "symlinkat", kinds{text, fd, text}},
	{unix.SYS_CHDIR, "chdir", kinds{text}},
	{unix.SYS_FCHDIR, "fchdir", kinds{fd}},
	{unix.SYS_UMASK, "umask", kinds{mode}},
	{unix.SYS_FCHOWN, "fchown", kinds{fd, number, number}},
	{unix.SYS_DUP3, "dup3", kinds{fd, fd, openFlags}},
	{unix.SYS_FCNTL, "fcntl", kinds{fd, fcntlCommand, number}},
	{unix.SYS_CLOSE_RANGE, "close_range", kinds{number, last, closeRangeFlags}},

	{unix.SYS_MOUNT, "mount", kinds{source, text, text, mountFlags, text}},
	{unix.SYS_FSOPEN, "fsopen", kinds{text, fsopenFlags}},
	{unix.SYS_FSCONFIG, "fsconfig", kinds{fd, fsconfigCommand, text, text}},
	{unix.SYS_FSMOUNT, "fsmount", kinds{fd, fsmountFlags, mountAttributeFlags}},
	{unix.SYS_UMOUNT2, "umount2", kinds{text, umountFlags}},
	{unix.SYS_OPEN_TREE, "open_tree", kinds{fd, text, openTreeFlags}},
	{unix.SYS_MOVE_MOUNT, "move_mount", kinds{fd, text, fd, text, moveMountFlags}},
	{unix.SYS_MOUNT_SETATTR, "mount_setattr", kinds{fd, text, atFlags, mountAttr}},
	{unix.SYS_PIVOT_ROOT, "pivot_root", kinds{text, text}},
	{unix.SYS_FSTATFS, "fstatfs", kinds{fd}},
	{unix.SYS_READLINKAT, "readlinkat", kinds{fd, source}},
	{unix.SYS_STATX, "statx", kinds{fd, text, atFlags, statxMask}},

	{unix.SYS_UNSHARE, "unshare", kinds{namespaces}},
	{unix.SYS_SETHOSTNAME, "sethostname", kinds{counted, number}},
	{unix.SYS_SETSID, "setsid", kinds{}},
	{unix.SYS_SETGROUPS, "setgroups", kinds{number, groupIDs}},
	{unix.SYS_SETRESGID, "setresgid", kinds{number, number, number}},
	{unix.SYS_SETRESUID, "setresuid", kinds{number, number, number}},
	{unix.SYS_PRCTL, "prctl", kinds{prctlOption, prctlValue}},
	{unix.SYS_CAPSET, "capset", kinds{nil, userCaps}},
	{unix.SYS_PRLIMIT64, "prlimit64", kinds{number, resource, rlimit}},
	{unix.SYS_RT_SIGACTION, "rt_sigaction", kinds{signal, sigaction}},
	{unix.SYS_RT_SIGPROCMASK, "rt_sigprocmask", kinds{sigmaskHow, sigset}},
	{unix.SYS_SECCOMP, "seccomp", kinds{seccompOperation, nil, program}},
	{unix.SYS_SOCKET, "socket", kinds{socketDomain, socketType, number}},
	{unix.SYS_IOCTL, "ioctl", kinds{fd, ioctlRequest, ioctlValue}},
	{unix.SYS_PPOLL, "ppoll", kinds{pollFds, number, timeout}},
	{unix.SYS_SETNS, "setns", kinds{fd, namespaces}},
	{unix.SYS_EXECVE, "execve", kinds{text, texts, texts}},
	{unix.SYS_EXECVEAT, "execveat", kinds{fd, text, texts, texts, atFlags}},
}

var typeAndMode = &kind{fileMode, names{
	{unix.S_IFREG, "S_IFREG"},
}}

// openFlags are those of open(2) without the access mode. O_TMPFILE has the bit of O_DIRECTORY.
var openFlags = &kind{flagged, names{
	{unix.O_PATH, "O_PATH"},
	{unix.O_CREAT, "O_CREAT"},
	{unix.O_EXCL, "O_EXCL"},
	{unix.O_TRUNC, "O_TRUNC"},
	{unix.O_APPEND, "O_APPEND"},
	{unix.O_TMPFILE, "O_TMPFILE"},
	{unix.O_DIRECTORY, "O_DIRECTORY"},
	{unix.O_NOFOLLOW, "O_NOFOLLOW"},
	{unix.O_NOCTTY, "O_NOCTTY"},
	{unix.O_NONBLOCK, "O_NONBLOCK"},
	{unix.O_CLOEXEC, "O_CLOEXEC"},
}}

// accessModes are numbers, not flags (open(2), "File access mode").
var accessModes = names{
	{unix.O_RDONLY, "O_RDONLY"},
	{unix.O_WRONLY, "O_WRONLY"},
	{unix.O_RDWR, "O_RDWR"},
}

var resolveFlags = names{
	{unix.RESOLVE_BENEATH, "RESOLVE_BENEATH"},
	{unix.RESOLVE_IN_ROOT, "RESOLVE_IN_ROOT"},
	{unix.RESOLVE_NO_MAGICLINKS, "RESOLVE_NO_MAGICLINKS"},
	{unix.RESOLVE_NO_SYMLINKS, "RESOLVE_NO_SYMLINKS"},
	{unix.RESOLVE_NO_XDEV, "RESOLVE_NO_XDEV"},
}

var fcntlCommand = &kind{chosen, names{
	{unix.F_SETFD, "F_SETFD"},
}}

var closeRangeFlags = &kind{flagged, names{
	{unix.CLOSE_RANGE_UNSHARE, "CLOSE_RANGE_UNSHARE"},
	{unix.CLOSE_RANGE_CLOEXEC, "CLOSE_RANGE_CLOEXEC"},
}}

var mountFlags = &kind{flagged, names{
	{unix.MS_BIND, "MS_BIND"},
	{unix.MS_MOVE, "MS_MOVE"},
	{unix.MS_REMOUNT, "MS_REMOUNT"},
	{unix.MS_REC, "MS_REC"},
	{unix.MS_SHARED, "MS_SHARED"},
	{unix.MS_SLAVE, "MS_SLAVE"},
	{unix.MS_PRIVATE, "MS_PRIVATE"},
	{unix.MS_UNBINDABLE, "MS_UNBINDABLE"},
	{unix.MS_RDONLY, "MS_RDONLY"},
	{unix.MS_NOSUID, "MS_NOSUID"},
	{unix.MS_NODEV, "MS_NODEV"},
	{unix.MS_NOEXEC, "MS_NOEXEC"},
	{unix.MS_NOSYMFOLLOW, "MS_NOSYMFOLLOW"},
	{unix.MS_NOATIME, "MS_NOATIME"},
	{unix.MS_NODIRATIME, "MS_NODIRATIME"},
	{unix.MS_RELATIME, "MS_RELATIME"},
	{unix.MS_STRICTATIME, "MS_STRICTATIME"},
	{unix.MS_LAZYTIME, "MS_LAZYTIME"},
	{unix.MS_SYNCHRONOUS, "MS_SYNCHRONOUS"},
	{unix.MS_DIRSYNC, "MS_DIRSYNC"},
	{unix.MS_SILENT, "MS_SILENT"},
}}

var fsopenFlags = &kind{flagged, names{
	{unix.FSOPEN_CLOEXEC, "FSOPEN_CLOEXEC"},
}}

var fsconfigCommand = &kind{chosen, names{
	{unix.FSCONFIG_SET_FLAG, "FSCONFIG_SET_FLAG"},
	{unix.FSCONFIG_SET_STRING, "FSCONFIG_SET_STRING"},
	{unix.FSCONFIG_CMD_CREATE, "FSCONFIG_CMD_CREATE"},
}}

var fsmountFlags = &kind{flagged, names{
	{unix.FSMOUNT_CLOEXEC, "FSMOUNT_CLOEXEC"},
}}

var mountAttributeFlags = &kind{flagged, mountAttributes}

var umountFlags = &kind{flagged, names{
	{unix.MNT_FORCE, "MNT_FORCE"},
	{unix.MNT_DETACH, "MNT_DETACH"},
	{unix.UMOUNT_NOFOLLOW, "UMOUNT_NOFOLLOW"},
}}

var openTreeFlags = &kind{flagged, names{
	{unix.OPEN_TREE_CLONE, "OPEN_TREE_CLONE"},
	{unix.OPEN_TREE_CLOEXEC, "OPEN_TREE_CLOEXEC"},
	{unix.AT_RECURSIVE, "AT_RECURSIVE"},
	{unix.AT_SYMLINK_NOFOLLOW, "AT_SYMLINK_NOFOLLOW"},
	{unix.AT_EMPTY_PATH, "AT_EMPTY_PATH"},
}}

var moveMountFlags = &kind{flagged, names{
	{unix.MOVE_MOUNT_F_SYMLINKS, "MOVE_MOUNT_F_SYMLINKS"},
	{unix.MOVE_MOUNT_F_EMPTY_PATH, "MOVE_MOUNT_F_EMPTY_PATH"},
	{unix.MOVE_MOUNT_T_SYMLINKS, "MOVE_MOUNT_T_SYMLINKS"},
	{unix.MOVE_MOUNT_T_EMPTY_PATH, "MOVE_MOUNT_T_EMPTY_PATH"},
}}

var atFlags = &kind{flagged, names{
	{unix.AT_EMPTY_PATH, "AT_EMPTY_PATH"},
	{unix.AT_RECURSIVE, "AT_RECURSIVE"},
	{unix.AT_SYMLINK_NOFOLLOW, "AT_SYMLINK_NOFOLLOW"},
	{unix.AT_NO_AUTOMOUNT, "AT_NO_AUTOMOUNT"},
}}

// mountAttributes are those of mount_setattr(2). MOUNT_ATTR__ATIME is all bits of the number that
// says how times of access are kept: it is cleared as a whole before another number is set.
var mountAttributes = names{
	{unix.MOUNT_ATTR_RDONLY, "MOUNT_ATTR_RDONLY"},
	{unix.MOUNT_ATTR_NOSUID, "MOUNT_ATTR_NOSUID"},
	{unix.MOUNT_ATTR_NODEV, "MOUNT_ATTR_NODEV"},
	{unix.MOUNT_ATTR_NOEXEC, "MOUNT_ATTR_NOEXEC"},
	{unix.MOUNT_ATTR__ATIME, "MOUNT_ATTR__ATIME"},
	{unix.MOUNT_ATTR_NOATIME, "MOUNT_ATTR_NOATIME"},
	{unix.MOUNT_ATTR_STRICTATIME, "MOUNT_ATTR_STRICTATIME"},
	{unix.MOUNT_ATTR_NODIRATIME, "MOUNT_ATTR_NODIRATIME"},
	{unix.MOUNT_ATTR_IDMAP, "MOUNT_ATTR_IDMAP"},
	{unix.MOUNT_ATTR_NOSYMFOLLOW, "MOUNT_ATTR_NOSYMFOLLOW"},
}

var statxMask = &kind{flagged, names{
	{unix.STATX_BASIC_STATS, "STATX_BASIC_STATS"},
	{unix.STATX_MNT_ID, "STATX_MNT_ID"},
}}

var namespaces = &kind{flagged, names{
	{unix.CLONE_NEWUSER, "CLONE_NEWUSER"},
	{unix.CLONE_NEWNS, "CLONE_NEWNS"},
	{unix.CLONE_NEWPID, "CLONE_NEWPID"},
	{unix.CLONE_FILES, "CLONE_FILES"},
	{unix.CLONE_NEWNET, "CLONE_NEWNET"},
	{unix.CLONE_NEWIPC, "CLONE_NEWIPC"},
	{unix.CLONE_NEWUTS, "CLONE_NEWUTS"},
	{unix.CLONE_NEWCGROUP, "CLONE_NEWCGROUP"},
	{unix.CLONE_NEWTIME, "CLONE_NEWTIME"},
}}

var prctlOption = &kind{chosen, names{
	{unix.PR_SET_PDEATHSIG, "PR_SET_PDEATHSIG"},
	{unix.PR_SET_DUMPABLE, "PR_SET_DUMPABLE"},
	{unix.PR_SET_KEEPCAPS, "PR_SET_KEEPCAPS"},
	{unix.PR_CAPBSET_READ, "PR_CAPBSET_READ"},
	{unix.PR_CAPBSET_DROP, "PR_CAPBSET_DROP"},
	{unix.PR_SET_SECUREBITS, "PR_SET_SECUREBITS"},
	{unix.PR_SET_CHILD_SUBREAPER, "PR_SET_CHILD_SUBREAPER"},
	{unix.PR_SET_NO_NEW_PRIVS, "PR_SET_NO_NEW_PRIVS"},
	{unix.PR_CAP_AMBIENT, "PR_CAP_AMBIENT"},
}}

var ambientOptions = names{
	{unix.PR_CAP_AMBIENT_RAISE, "PR_CAP_AMBIENT_RAISE"},
	{unix.PR_CAP_AMBIENT_LOWER, "PR_CAP_AMBIENT_LOWER"},
	{unix.PR_CAP_AMBIENT_CLEAR_ALL, "PR_CAP_AMBIENT_CLEAR_ALL"},
}

// capabilities are all of capabilities(7), in the order of their numbers.
var capabilities = &kind{chosen, names{
	{unix.CAP_CHOWN, "CAP_CHOWN"},
	{unix.CAP_DAC_OVERRIDE, "CAP_DAC_OVERRIDE"},
	{unix.CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH"},
	{unix.CAP_FOWNER, "CAP_FOWNER"},
	{unix.CAP_FSETID, "CAP_FSETID"},
	{unix.CAP_KILL, "CAP_KILL"},
	{unix.CAP_SETGID, "CAP_SETGID"},
	{unix.CAP_SETUID, "CAP_SETUID"},
	{unix.CAP_SETPCAP, "CAP_SETPCAP"},
	{unix.CAP_LINUX_IMMUTABLE, "CAP_LINUX_IMMUTABLE"},
	{unix.CAP_NET_BIND_SERVICE, "CAP_NET_BIND_SERVICE"},
	{unix.CAP_NET_BROADCAST, "CAP_NET_BROADCAST"},
	{unix.CAP_NET_ADMIN, "CAP_NET_ADMIN"},
	{unix.CAP_NET_RAW, "CAP_NET_RAW"},
	{unix.CAP_IPC_LOCK, "CAP_IPC_LOCK"},
	{unix.CAP_IPC_OWNER, "CAP_IPC_OWNER"},
	{unix.CAP_SYS_MODULE, "CAP_SYS_MODULE"},
	{unix.CAP_SYS_RAWIO, "CAP_SYS_RAWIO"},
	{unix.CAP_SYS_CHROOT, "CAP_SYS_CHROOT"},
	{unix.CAP_SYS_PTRACE, "CAP_SYS_PTRACE"},
	{unix.CAP_SYS_PACCT, "CAP_SYS_PACCT"},
	{unix.CAP_SYS_ADMIN, "CAP_SYS_ADMIN"},
	{unix.CAP_SYS_BOOT, "CAP_SYS_BOOT"},
	{unix.CAP_SYS_NICE, "CAP_SYS_NICE"},
	{unix.CAP_SYS_RESOURCE, "CAP_SYS_RESOURCE"},
	{unix.CAP_SYS_TIME, "CAP_SYS_TIME"},
	{unix.CAP_SYS_TTY_CONFIG, "CAP_SYS_TTY_CONFIG"},
	{unix.CAP_MKNOD, "CAP_MKNOD"},
	{unix.CAP_LEASE, "CAP_LEASE"},
	{unix.CAP_AUDIT_WRITE, "CAP_AUDIT_WRITE"},
	{unix.CAP_AUDIT_CONTROL, "CAP_AUDIT_CONTROL"},
	{unix.CAP_SETFCAP, "CAP_SETFCAP"},
	{unix.CAP_MAC_OVERRIDE, "CAP_MAC_OVERRIDE"},
	{unix.CAP_MAC_ADMIN, "CAP_MAC_ADMIN"},
	{unix.CAP_SYSLOG, "CAP_SYSLOG"},
	{unix.CAP_WAKE_ALARM, "CAP_WAKE_ALARM"},
	{unix.CAP_BLOCK_SUSPEND, "CAP_BLOCK_SUSPEND"},
	{unix.CAP_AUDIT_READ, "CAP_AUDIT_READ"},
	{unix.CAP_PERFMON, "CAP_PERFMON"},
	{unix.CAP_BPF, "CAP_BPF"},
	{unix.CAP_CHECKPOINT_RESTORE, "CAP_CHECKPOINT_RESTORE"},
}}

var resource = &kind{chosen, names{
	{unix.RLIMIT_CPU, "RLIMIT_CPU"},
	{unix.RLIMIT_FSIZE, "RLIMIT_FSIZE"},
	{unix.RLIMIT_DATA, "RLIMIT_DATA"},
	{unix.RLIMIT_STACK, "RLIMIT_STACK"},
	{unix.RLIMIT_CORE, "RLIMIT_CORE"},
	{unix.RLIMIT_RSS, "RLIMIT_RSS"},
	{unix.RLIMIT_NPROC, "RLIMIT_NPROC"},
	{unix.RLIMIT_NOFILE, "RLIMIT_NOFILE"},
	{unix.RLIMIT_MEMLOCK, "RLIMIT_MEMLOCK"},
	{unix.RLIMIT_AS, "RLIMIT_AS"},
	{unix.RLIMIT_LOCKS, "RLIMIT_LOCKS"},
	{unix.RLIMIT_SIGPENDING, "RLIMIT_SIGPENDING"},
	{unix.RLIMIT_MSGQUEUE, "RLIMIT_MSGQUEUE"},
	{unix.RLIMIT_NICE, "RLIMIT_NICE"},
	{unix.RLIMIT_RTPRIO, "RLIMIT_RTPRIO"},
	{unix.RLIMIT_RTTIME, "RLIMIT_RTTIME"},
}}

var sigmaskHow = &kind{chosen, names{
	{unix.SIG_SETMASK, "SIG_SETMASK"},
}}

// handlers are the numbers that are not addresses of a function (signal(2)).
var handlers = names{
	{0, "SIG_DFL"},
	{1, "SIG_IGN"},
}

var seccompOperation = &kind{chosen, names{
	{unix.SECCOMP_SET_MODE_FILTER, "SECCOMP_SET_MODE_FILTER"},
}}

var socketDomain = &kind{chosen, names{
	{unix.AF_UNIX, "AF_UNIX"},
	{unix.AF_INET, "AF_INET"},
	{unix.AF_INET6, "AF_INET6"},
	{unix.AF_NETLINK, "AF_NETLINK"},
	{unix.AF_PACKET, "AF_PACKET"},
}}

// socketType is a number and flags. Two of the numbers have the bits of smaller ones, so they come
// first.
var socketType = &kind{flagged, names{
	{unix.SOCK_SEQPACKET, "SOCK_SEQPACKET"},
	{unix.SOCK_RAW, "SOCK_RAW"},
	{unix.SOCK_STREAM, "SOCK_STREAM"},
	{unix.SOCK_DGRAM, "SOCK_DGRAM"},
	{unix.SOCK_NONBLOCK, "SOCK_NONBLOCK"},
	{unix.SOCK_CLOEXEC, "SOCK_CLOEXEC"},
}}

// ioctlRequest has the requests whose argument printIoctlValue knows.
var ioctlRequest = &kind{chosen, names{
	{unix.SIOCADDRT, "SIOCADDRT"},
	{unix.SIOCSIFFLAGS, "SIOCSIFFLAGS"},
	{unix.SIOCSIFADDR, "SIOCSIFADDR"},
	{unix.SIOCSIFNETMASK, "SIOCSIFNETMASK"},
	{unix.TCSETS, "TCSETS"},
	{unix.TIOCSCTTY, "TIOCSCTTY"},
	{unix.TIOCSPTLCK, "TIOCSPTLCK"},
	{unix.TIOCSWINSZ, "TIOCSWINSZ"},
}}

var interfaceFlags = names{
	{unix.IFF_UP, "IFF_UP"},
	{unix.IFF_LOOPBACK, "IFF_LOOPBACK"},
	{unix.IFF_RUNNING, "IFF_RUNNING"},
}

var pollEvents = names{
	{unix.POLLIN, "POLLIN"},
}

// fileTypes are those of inode(7), in words.
var fileTypes = names{
	{unix.S_IFREG, "regular file"},
	{unix.S_IFDIR, "directory"},
	{unix.S_IFLNK, "symbolic link"},
	{unix.S_IFCHR, "character device"},
	{unix.S_IFBLK, "block device"},
	{unix.S_IFIFO, "pipe"},
	{unix.S_IFSOCK, "socket"},
}

// fileSystems are the numbers of statfs(2), by the names that mount(8) has for their file systems.
var fileSystems = names{
	{unix.PROC_SUPER_MAGIC, "proc"},
	{unix.SYSFS_MAGIC, "sysfs"},
	{unix.TMPFS_MAGIC, "tmpfs"},
	{unix.DEVPTS_SUPER_MAGIC, "devpts"},
	{unix.CGROUP_SUPER_MAGIC, "cgroup"},
	{unix.CGROUP2_SUPER_MAGIC, "cgroup2"},
	{unix.OVERLAYFS_SUPER_MAGIC, "overlay"},
	{unix.NSFS_MAGIC, "nsfs"},
	{unix.PIPEFS_MAGIC, "pipefs"},
	{unix.SECURITYFS_MAGIC, "securityfs"},
	{unix.DEBUGFS_MAGIC, "debugfs"},
	{unix.TRACEFS_MAGIC, "tracefs"},
	{unix.BPF_FS_MAGIC, "bpf"},
	{unix.RAMFS_MAGIC, "ramfs"},
	{unix.EXT4_SUPER_MAGIC, "ext4"},
	{unix.BTRFS_SUPER_MAGIC, "btrfs"},
	{unix.XFS_SUPER_MAGIC, "xfs"},
	{unix.FUSE_SUPER_MAGIC, "fuse"},
	{unix.NFS_SUPER_MAGIC, "nfs"},
}

// statxAttributes are those of statx(2), in words.
var statxAttributes = names{
	{unix.STATX_ATTR_MOUNT_ROOT, "mount root"},
	{unix.STATX_ATTR_IMMUTABLE, "immutable"},
	{unix.STATX_ATTR_APPEND, "append only"},
}
