//go:build linux

package main

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"container.example/workshop/internal/harness"
)

// kernelClues are calls that the kernel refused to programs, as they were seen, and what is said of
// that. An error has several reasons, and the calls that were made before tell which one it is.
var kernelClues = []struct {
	name string
	made []string // what the program did before; the number of another process stands before it
	// refused is the call that failed, and errno its error.
	refused, errno string
	inside         bool   // the root was another one then
	ordinary       bool   // the user is not root of the machine
	inContainer    bool   // the user is root of a container, and not of the machine
	said           string // on standard error
	ran            string // what comes after run, if it is not true
	says, not      []string
}{
	{
		name: "the mounts of a user namespace are not shared, and the old root goes outside",
		made: []string{
			"unshare(CLONE_NEWPID|CLONE_NEWNS|CLONE_NEWUSER)",
			`mount("rootfs", "rootfs", 0, MS_BIND|MS_REC)`,
		},
		refused: `pivot_root("rootfs", "old")`, errno: "EINVAL",
		says: []string{`"old", has to be in or below the new one, "rootfs"`},
		not:  []string{"shared"},
	},
	{
		name: "mount_setattr(2) made the mounts private, and the old root goes outside",
		made: []string{
			"unshare(CLONE_NEWNS)", `mount_setattr(-100, "/", 0x8000, 0x7ffe, 0x20)`,
			`mount("rootfs", "rootfs", 0, MS_BIND|MS_REC)`,
		},
		refused: `pivot_root("rootfs", "old")`, errno: "EINVAL",
		says: []string{`"old", has to be in or below the new one`},
		not:  []string{"shared"},
	},
	{
		name: "private, and then shared again",
		made: []string{
			"unshare(CLONE_NEWNS)", `mount(0, "/", 0, MS_REC|MS_PRIVATE)`,
			`mount(0, "/", 0, MS_REC|MS_SHARED)`, `mount("rootfs", "rootfs", 0, MS_BIND)`,
			`chdir("rootfs")`,
		},
		refused: `pivot_root(".", ".")`, errno: "EINVAL",
		says: []string{`mount(0, "/", 0, MS_REC|MS_SHARED) made the mounts shared`},
		not:  []string{"has to be a mount point"},
	},
	{
		name: "shared, and then private",
		made: []string{
			"unshare(CLONE_NEWNS)", `mount(0, "/", 0, MS_REC|MS_SHARED)`,
			`mount(0, "/", 0, MS_REC|MS_PRIVATE)`, `chdir("rootfs")`,
		},
		refused: `pivot_root(".", ".")`, errno: "EINVAL",
		says: []string{"has to be a mount point"},
		not:  []string{"made the mounts shared"},
	},
	{
		name: "the old root below the working directory, which is the new one",
		made: []string{
			"unshare(CLONE_NEWNS)", `chdir("rootfs")`, `pivot_root(".", ".old")`,
		},
		refused: `umount2("rootfs/.old", MNT_DETACH)`, errno: "ENOENT", inside: true,
		says: []string{"on .old of the new root, which is /.old now"},
	},
	{
		name:    "a path in the place of the type",
		made:    []string{"unshare(CLONE_NEWNS)"},
		refused: `mount("proc", "proc", "/proc", 0x0)`, errno: "ENODEV",
		says: []string{`Here the type is "/proc", which is a path`},
		not:  []string{"MS_BIND"},
	},
	{
		name:    "a type that the kernel does not have",
		made:    []string{"unshare(CLONE_NEWNS)"},
		refused: `mount("rootfs", "rootfs", "none", 0x0)`, errno: "ENODEV",
		says: []string{"MS_BIND"},
		not:  []string{"which is a path"},
	},
	{
		name:    "MS_PRIVATE on a directory",
		made:    []string{"unshare(CLONE_NEWNS)"},
		refused: `mount(..., "rootfs", ..., MS_REC|MS_PRIVATE)`, errno: "EINVAL",
		says: []string{"MS_PRIVATE is a property of a mount, and rootfs is no mount point"},
	},
	{
		name: "MS_PRIVATE on a mount, with a flag that does not belong to it",
		made: []string{
			"unshare(CLONE_NEWNS)", `mount("rootfs", "rootfs", 0, MS_REC|MS_BIND)`,
		},
		refused: `mount(..., "rootfs", 0, MS_NOSUID|MS_PRIVATE)`, errno: "EINVAL",
		says: []string{"MS_PRIVATE takes no other flags than MS_REC and MS_SILENT"},
		not:  []string{"no mount point"},
	},
	{
		name:    "two kinds of propagation at once",
		made:    []string{"unshare(CLONE_NEWNS)"},
		refused: `mount(..., "rootfs", ..., MS_PRIVATE|MS_SLAVE)`, errno: "EINVAL",
		not: []string{"no mount point"},
	},
	{
		name:    "a directory bound on itself from within",
		made:    []string{"unshare(CLONE_NEWNS)", `chdir("rootfs")`},
		refused: `mount("rootfs", "rootfs", ..., MS_BIND|MS_REC)`, errno: "ENOENT",
		says: []string{`which chdir("rootfs") has changed before`},
		not:  []string{"the path rootfs is relative to that"},
	},
	{
		name: "a file in a mount that the program itself has made read-only",
		made: []string{
			"unshare(CLONE_NEWNS)", `pivot_root(".", ".")`,
			`mount("tmpfs", "/dev", "tmpfs", MS_RDONLY|MS_NOSUID)`,
		},
		refused: `mkdirat(AT_FDCWD, "/dev/shm")`, errno: "EROFS", inside: true,
		says: []string{`by mount("tmpfs", "/dev", "tmpfs", MS_RDONLY|MS_NOSUID)`},
		not:  []string{"belongs to the machine", "your root is not changed yet"},
	},
	{
		name:    "a file of the host",
		made:    []string{"unshare(CLONE_NEWNS)"},
		refused: `mkdirat(AT_FDCWD, "/dev/shm")`, errno: "EROFS",
		says: []string{"your root is not changed yet"},
	},
	{
		name:    "sysfs that can be written to, where the one in sight cannot",
		made:    []string{"clone(CLONE_NEWNS|CLONE_NEWNET|CLONE_NEWUSER)", ownMap},
		refused: `mount("sysfs", "/sys", "sysfs", MS_NOSUID)`, errno: "EPERM",
		says: []string{"the new one has to be, too: MS_RDONLY"},
		not:  []string{"make both, or leave it out"},
	},
	{
		name:    "the map of the parent",
		made:    []string{"clone(CLONE_NEWUSER)"},
		refused: `write(</proc/self/uid_map>, "0 0 1", 5)`, errno: "EPERM",
		says: []string{"this one is not in the new user namespace", "the number of the child"},
	},
	{
		name: "a cgroup that was taken away again",
		made: []string{
			`mkdir("/sys/fs/cgroup/pids/mine")`, `rmdir("/sys/fs/cgroup/pids/mine")`,
		},
		refused: `openat(AT_FDCWD, "/sys/fs/cgroup/pids/mine/pids.max")`, errno: "ENOENT",
		ran:  "-pids 24 true",
		says: []string{`took it away again before this call, by rmdir("/sys/fs/cgroup/pids/mine")`},
	},
	{
		name: "texts that end where another one does",
		made: []string{"unshare(CLONE_NEWNS)"},
		refused: `mount("noneusage: container run CMD\ncalled a value", "/usage: container run ` +
			`CMD\ncalled a value", ..., MS_REC|MS_PRIVATE)`, errno: "ENOENT",
		says: []string{"to the same end", "reads on to the first zero byte"},
	},
	{
		name:    "a long path with blanks",
		made:    []string{"unshare(CLONE_NEWNS)"},
		refused: `mount("my files/rootfs of a container", "new files/rootfs", ..., MS_BIND)`,
		errno:   "ENOENT",
		not:     []string{"zero byte"},
	},
	{
		name: "a directory with blanks, and one of the same name in the container",
		made: []string{"unshare(CLONE_NEWNS)"},
		refused: `mount("/srv/shared files of the house", ` +
			`"rootfs/mnt/shared files of the house", ..., MS_BIND)`,
		errno: "ENOENT",
		not:   []string{"zero byte"},
	},
	{
		name: "such a directory by a relative path",
		made: []string{"unshare(CLONE_NEWNS)"},
		refused: `mount("shared files of all users", "rootfs/shared files of all users", ..., ` +
			`MS_BIND)`,
		errno: "ENOENT",
		not:   []string{"zero byte"},
	},
	{
		name: "the old root goes to a directory of the host",
		made: []string{
			"unshare(CLONE_NEWNS)", `mount("none", "/", 0, MS_REC|MS_PRIVATE)`,
			`mount("rootfs", "rootfs", 0, MS_BIND|MS_REC)`,
		},
		refused: `pivot_root("rootfs", "/mnt")`, errno: "EBUSY",
		says: []string{`"/mnt", has to be in or below the new one`},
		not:  []string{"bind the directory on itself"},
	},
	{
		name: "no bind mount, on the file system of the host's root",
		made: []string{
			"unshare(CLONE_NEWNS)", `mount("none", "/", 0, MS_REC|MS_PRIVATE)`,
		},
		refused: `pivot_root("rootfs", "rootfs/old")`, errno: "EBUSY",
		says: []string{"bind the directory on itself first"},
	},
	{
		name: "chroot(2) and then pivot_root(2)",
		made: []string{
			"unshare(CLONE_NEWNS)", `mount("none", "/", 0, MS_REC|MS_PRIVATE)`,
			`mount("rootfs", "rootfs", 0, MS_BIND|MS_REC)`, `chdir("rootfs")`, `chroot(".")`,
		},
		refused: `pivot_root(".", ".")`, errno: "EBUSY", inside: true,
		says: []string{"has called chroot(2) before", "leave that out"},
		not:  []string{"bind the directory on itself"},
	},
	{
		name: "MS_PRIVATE in a call with MS_BIND",
		made: []string{
			"unshare(CLONE_NEWNS)",
			`mount("rootfs", "rootfs", 0, MS_BIND|MS_REC|MS_PRIVATE)`, `chdir("rootfs")`,
		},
		refused: `pivot_root(".", ".")`, errno: "EINVAL",
		says: []string{"Mounts are still shared", "With MS_BIND in the same call"},
		not:  []string{"bind the directory on itself first"},
	},
	{
		name: "MS_PRIVATE in a call with MS_BIND, of all mounts, again and again",
		made: []string{
			"unshare(CLONE_NEWNS)",
			`mount("/", "/", 0, MS_BIND|MS_REC|MS_PRIVATE)`,
		},
		refused: `mount("/mnt", "/mnt", 0, MS_BIND|MS_REC)`, errno: "ENOSPC",
		says: []string{"too many mounts", "With MS_BIND in the same call"},
		not:  []string{"namespaces are nested"},
	},
	{
		name: "into the directory, and then the mount",
		made: []string{
			"unshare(CLONE_NEWNS)", `mount("none", "/", 0, MS_REC|MS_PRIVATE)`,
			`chdir("rootfs")`, `mount(".", ".", 0, MS_BIND|MS_REC)`,
		},
		refused: `pivot_root(".", ".")`, errno: "EINVAL",
		says: []string{"chdir(2) comes after mount(2) with MS_BIND"},
		not:  []string{"bind the directory on itself first"},
	},
	{
		name: "into the directory, the mount, and into it again",
		made: []string{
			"unshare(CLONE_NEWNS)", `mount("none", "/", 0, MS_REC|MS_PRIVATE)`,
			`chdir("rootfs")`, `mount(".", ".", 0, MS_BIND|MS_REC)`, `chdir("../rootfs")`,
		},
		refused: `pivot_root(".", ".")`, errno: "EINVAL",
		not: []string{"comes after mount(2) with MS_BIND"},
	},
	{
		name:    "read-only, with a file that is open for writing",
		made:    []string{"unshare(CLONE_NEWNS)", `mount("rootfs", "rootfs", 0, MS_BIND|MS_REC)`},
		refused: `mount(0, "rootfs", 0, MS_RDONLY|MS_REMOUNT)`, errno: "EBUSY",
		says: []string{"open for writing", "Without MS_BIND"},
		not:  []string{"mounted there already"},
	},
	{
		name:    "proc twice at the same place",
		made:    []string{"unshare(CLONE_NEWNS)", `mount("proc", "/proc", "proc", 0x0)`},
		refused: `mount("proc", "/proc", "proc", 0x0)`, errno: "EBUSY",
		says: []string{"The same is mounted there already"},
	},
	{
		name: "a mount of the host in a user namespace",
		made: []string{
			"unshare(CLONE_NEWPID|CLONE_NEWNS|CLONE_NEWUSER)",
			ownMap,
		},
		refused: `umount2("/proc", MNT_DETACH)`, errno: "EINVAL",
		says: []string{"came with the copy of the host's"},
	},
	{
		name:    "no mount",
		made:    []string{"unshare(CLONE_NEWNS)"},
		refused: `umount2("/old", MNT_DETACH)`, errno: "EINVAL",
		says: []string{"Nothing is mounted at this path"},
	},
	{
		name: "a mount with another one below it",
		made: []string{
			"unshare(CLONE_NEWNS)", `mount("rootfs", "rootfs", 0, MS_BIND|MS_REC)`,
			`mount("proc", "rootfs/proc", "proc", 0x0)`,
		},
		refused: `umount2("rootfs", 0x0)`, errno: "EBUSY",
		says: []string{"another mount below it", "at once"},
		not:  []string{"this program at least"},
	},
	{
		name:    "a pid namespace for the second time, by unshare(2)",
		made:    []string{"unshare(CLONE_NEWPID)"},
		refused: "unshare(CLONE_NEWPID|CLONE_NEWNS)", errno: "EINVAL",
		says: []string{"Once is enough"},
		not:  []string{"threads"},
	},
	{
		name:    "a pid namespace for the second time, by clone(2)",
		made:    []string{"unshare(CLONE_NEWPID)"},
		refused: "clone(CLONE_NEWPID|CLONE_NEWNS)", errno: "EINVAL",
		says: []string{"Once is enough"},
		not:  []string{"CLONE_FS"},
	},
	{
		name:    "a user namespace for a process of several threads",
		made:    []string{"unshare(CLONE_NEWTIME)"},
		refused: "unshare(CLONE_NEWUSER)", errno: "EINVAL",
		says: []string{"refuses a user namespace to a process of several threads"},
		not:  []string{"time namespace"},
	},
	{
		name:    "a signal among the flags of unshare(2)",
		refused: "unshare(CLONE_NEWNS|0x11)", errno: "EINVAL",
		says: []string{"SIGCHLD, for instance, is for clone(2) alone"},
		not:  []string{"threads"},
	},
	{
		name:    "namespaces that are nested too deep",
		refused: "unshare(CLONE_NEWPID)", errno: "ENOSPC",
		says: []string{"nested too deep"},
	},
	{
		name:    "a file system that is full",
		refused: `write(</dev/full>, "state\n", 6)`, errno: "ENOSPC",
		said: "state: No space left on device",
		says: []string{`It says why itself: "state: No space left on device"`},
		not:  []string{"namespaces", "says nothing of an error"},
	},
	{
		name:    "a file system that is full, and not a word of that",
		refused: `write(</dev/full>, "state\n", 6)`, errno: "ENOSPC",
		said: "starting",
		says: []string{`The last that it wrote is: "starting".`},
		not:  []string{"No system call explains that"},
	},
	{
		name: "root of a user namespace, with the mounts of the host",
		made: []string{
			"unshare(CLONE_NEWUSER)", ownMap, `write(</proc/self/gid_map>, "0 0 1", 5)`,
		},
		refused: `mount("rootfs", "rootfs", 0, MS_BIND|MS_REC)`, errno: "EPERM",
		says: []string{"The mounts here belong to the host", "CLONE_NEWNS of clone(2)"},
		not:  []string{"First the maps have to be written"},
	},
	{
		name:    "root of a user namespace, where -ns asks for no more",
		ran:     "-ns user true",
		made:    []string{"unshare(CLONE_NEWUSER)", ownMap},
		refused: `mount("none", "/", 0, MS_REC|MS_PRIVATE)`, errno: "EPERM",
		says: []string{"No mount namespace is in the list of -ns: leave this call out"},
		not:  []string{"makes one"},
	},
	{
		name:    "root of a user namespace, with mounts that were copied before",
		made:    []string{"unshare(CLONE_NEWNS)", "unshare(CLONE_NEWUSER)", ownMap},
		refused: `mount("none", "/", 0, MS_REC|MS_PRIVATE)`, errno: "EPERM",
		says: []string{"mount namespace was made before the user namespace"},
		not:  []string{"First the maps have to be written"},
	},
	{
		name:    "root of a user namespace, with a uts namespace that was made before",
		made:    []string{"unshare(CLONE_NEWUTS)", "unshare(CLONE_NEWUSER)", ownMap},
		refused: `sethostname("box")`, errno: "EPERM",
		says: []string{"uts namespace was made before the user namespace"},
		not:  []string{"First the maps have to be written"},
	},
	{
		name:    "a user namespace without a map",
		made:    []string{"unshare(CLONE_NEWUTS|CLONE_NEWUSER)", `execve("/proc/self/exe")`},
		refused: `sethostname("box")`, errno: "EPERM",
		says: []string{"First the maps have to be written"},
	},
	{
		name:    "a map after execve(2)",
		made:    []string{"unshare(CLONE_NEWUTS|CLONE_NEWUSER)", `execve("/bin/true")`, ownMap},
		refused: `sethostname("box")`, errno: "EPERM",
		says: []string{"First the maps have to be written"},
	},
	{
		name:    "a user namespace after chroot(2)",
		made:    []string{`chroot("rootfs")`},
		refused: "unshare(CLONE_NEWUSER)", errno: "EPERM", inside: true,
		says: []string{"After chroot(2) the kernel makes no user namespace"},
	},
	{
		name:    "a file system that is not for a user namespace",
		made:    []string{"unshare(CLONE_NEWNS|CLONE_NEWUSER)", ownMap},
		refused: `mount("dev", "/dev", "devtmpfs", 0x0)`, errno: "EPERM",
		says: []string{"Root of the machine may mount devtmpfs"},
	},
	{
		name:    "a remount of a mount from outside, with too few flags",
		made:    []string{"unshare(CLONE_NEWNS|CLONE_NEWUSER)", ownMap},
		refused: `mount(0, "/mnt", 0, MS_RDONLY|MS_REMOUNT|MS_BIND)`, errno: "EPERM",
		says: []string{"has to name the flags that it has"},
	},
	{
		name:    "a remount of a file system of the host",
		made:    []string{"unshare(CLONE_NEWNS|CLONE_NEWUSER)", ownMap},
		refused: `mount(0, "/mnt", 0, MS_RDONLY|MS_REMOUNT)`, errno: "EPERM",
		says: []string{"MS_REMOUNT without MS_BIND is about the whole file system"},
	},
	{
		name:    "a signal to a process that is somebody else's",
		made:    []string{"unshare(CLONE_NEWUSER)"},
		refused: "kill(7, 15)", errno: "EPERM",
		not: []string{"maps"},
	},
	{
		name:    "a signal, of an ordinary user",
		refused: "kill(7, 15)", errno: "EPERM", ordinary: true,
		not: []string{"root", "CLONE_NEWUSER"},
	},
	{
		name:    "a limit, of an ordinary user",
		refused: "setrlimit(6)", errno: "EPERM", ordinary: true,
		not: []string{"root", "CLONE_NEWUSER"},
	},
	{
		name:    "a mount, of an ordinary user",
		refused: `mount("dev", "/mnt", "ext4", 0x0)`, errno: "EPERM", ordinary: true,
		says: []string{"not root of the machine", "Check as root"},
		not:  []string{"CLONE_NEWUSER"},
	},
	{
		name:    "a mount, of root of a container",
		refused: `mount("dev", "/mnt", "ext4", 0x0)`, errno: "EPERM", inContainer: true,
		says: []string{"not root of the machine", "this is a container itself"},
		not:  []string{"Check as root", "for a user who is not"},
	},
	{
		name:    "a new proc, of an ordinary user",
		made:    []string{`umount2("/proc", 0x0)`},
		refused: `mount("proc", "/proc", "proc", 0x0)`, errno: "EPERM", ordinary: true,
		says: []string{"before the old root is unmounted"},
		not:  []string{"make both"},
	},
	{
		name:    "a device, of an ordinary user",
		refused: `mknodat(AT_FDCWD, "null", 8630, 259)`, errno: "EPERM", ordinary: true,
		says: []string{"bind those of the host"},
	},
	{
		name:    "groups, of an ordinary user",
		refused: "setgroups(0)", errno: "EPERM", ordinary: true,
		says: []string{"says deny"},
	},
	{
		name:    "an overlay of directories that are in use",
		refused: `mount("overlay", "m", "overlay", 0x0)`, errno: "EBUSY",
		says: []string{"upperdir, or the one that is workdir, is in use in another overlay"},
		not:  []string{"mounted there already"},
	},
	{
		name:    "a controller that is in another hierarchy",
		refused: `mount("cgroup", "m", "cgroup", 0x0)`, errno: "EBUSY",
		says: []string{"in use in another", "below /sys/fs/cgroup"},
	},
	{
		name:    "a hierarchy that is mounted once more",
		made:    []string{`mount("cgroup", "m", "cgroup", 0x0)`},
		refused: `mount("cgroup", "m", "cgroup", 0x0)`, errno: "EBUSY",
		says: []string{"The same is mounted there already"},
	},
	{
		name:    "a bind mount in a user namespace that lays bare",
		made:    []string{"unshare(CLONE_NEWNS|CLONE_NEWUSER)", ownMap},
		refused: `mount("/", "new", 0, MS_BIND)`, errno: "EINVAL",
		says: []string{"has to take along what is mounted below", "MS_REC"},
	},
	{
		name:    "a bind mount of an ordinary user that lays bare",
		refused: `mount("/sys", "rootfs/sys", 0, MS_BIND)`, errno: "EINVAL", ordinary: true,
		says: []string{"has to take along what is mounted below"},
	},
	{
		name: "a bind mount in a user namespace of what is unbindable",
		made: []string{
			"unshare(CLONE_NEWNS|CLONE_NEWUSER)", ownMap,
			`mount(0, "/", 0, MS_REC|MS_UNBINDABLE)`,
		},
		refused: `mount("rootfs", "rootfs", 0, MS_BIND)`, errno: "EINVAL",
		says: []string{"What is unbindable cannot be bound"},
		not:  []string{"take along"},
	},
	{
		name:    "an mqueue of an ordinary user, for which no other has to be in sight",
		refused: `mount("mqueue", "rootfs/dev/mqueue", "mqueue", 0x0)`, errno: "EPERM",
		ordinary: true,
		not:      []string{"in sight"},
	},
	{
		name:    "a proc of an ordinary user, after capset(2)",
		made:    []string{"capset(...)"},
		refused: `mount("proc", "rootfs/proc", "proc", 0x0)`, errno: "EPERM",
		ordinary: true,
		not:      []string{"in sight"},
	},
	{
		name:    "a bind mount that takes all along",
		made:    []string{"unshare(CLONE_NEWNS|CLONE_NEWUSER)", ownMap},
		refused: `mount("/", "new", 0, MS_BIND|MS_REC)`, errno: "EINVAL",
		not: []string{"take along"},
	},
	{
		name: "the place for the old root above the new one",
		made: []string{
			"unshare(CLONE_NEWNS)", `mount(0, "/", 0, MS_REC|MS_PRIVATE)`,
			`mount("rootfs", "rootfs", 0, MS_BIND)`,
		},
		refused: `pivot_root("rootfs", ".")`, errno: "EINVAL",
		says: []string{`The place for the old root, ".", has to be in or below the new one`},
		not:  []string{"the other way round"},
	},
	{
		name: "the place for the old root before the new one, which is the working directory",
		made: []string{
			"unshare(CLONE_NEWNS)", `mount(0, "/", 0, MS_REC|MS_PRIVATE)`,
			`mount("rootfs", "rootfs", 0, MS_BIND)`, `chdir("rootfs")`,
		},
		refused: `pivot_root("old", ".")`, errno: "EINVAL",
		says: []string{"the other way round"},
	},
	{
		name: "the second copy in a new root, whose loader is outside",
		made: []string{
			"unshare(CLONE_NEWNS)", `chroot("rootfs")`, `mount("proc", "/proc", "proc", 0x0)`,
		},
		refused: `execve("/proc/self/exe")`, errno: "ENOENT", inside: true,
		says: []string{"where the loader of a program is missing"},
		not:  []string{"There is no longer a /proc here"},
	},
	{
		name: "a remount is no bind mount",
		made: []string{
			"unshare(CLONE_NEWNS)", `mount(0, "/", 0, MS_REC|MS_PRIVATE)`,
			`mount(0, "rootfs", 0, MS_RDONLY|MS_REMOUNT|MS_BIND)`,
		},
		refused: `pivot_root(".", "old")`, errno: "EINVAL",
		says: []string{"bind the directory on itself first"},
		not:  []string{"still the one in which the program was started"},
	},
	{
		name:    "no group may be set before there is a map",
		made:    []string{"unshare(CLONE_NEWUSER)"},
		refused: "setgroups(0)", errno: "EPERM",
		says: []string{"before gid_map is written"},
		not:  []string{"says deny"},
	},
	{
		name: "groups, in a user namespace that denies them",
		made: []string{
			"unshare(CLONE_NEWUSER)", `write(</proc/self/setgroups>, "deny", 4)`, ownMap,
			`write(</proc/self/gid_map>, "0 0 1", 5)`, "capset(...)",
		},
		refused: "setgroups(0)", errno: "EPERM",
		says: []string{"says deny"},
	},
	{
		name: "groups, in a user namespace that does not deny them",
		made: []string{
			"unshare(CLONE_NEWUSER)", ownMap, `write(</proc/N/gid_map>, "0 100000 65536", 15)`,
			"capset(...)",
		},
		refused: "setgroups(0)", errno: "EPERM",
		not: []string{"says deny"},
	},
	{
		name: "no group may be set before there is a map, even if it is open",
		made: []string{
			"unshare(CLONE_NEWUSER)", ownMap, `openat(AT_FDCWD, "/proc/7/gid_map")`,
		},
		refused: "setgroups(0)", errno: "EPERM",
		says: []string{"before gid_map is written"},
		not:  []string{"says deny"},
	},
	{
		name:    "lo, in a network namespace of the container's own",
		made:    []string{"unshare(CLONE_NEWNET)", "capset(...)"},
		refused: "ioctl(SIOCSIFFLAGS)", errno: "EPERM",
		says: []string{"took CAP_NET_ADMIN"},
		not:  []string{"not the container's own"},
	},
	{
		name:    "lo, in a network namespace that was made before the user namespace",
		made:    []string{"unshare(CLONE_NEWNET)", "unshare(CLONE_NEWUSER)", ownMap},
		refused: "ioctl(SIOCSIFFLAGS)", errno: "EPERM",
		says: []string{"network namespace was made before the user namespace"},
		not:  []string{"not the container's own"},
	},
	{
		name:    "lo of the host",
		made:    []string{"unshare(CLONE_NEWUTS)", "capset(...)"},
		refused: "ioctl(SIOCSIFFLAGS)", errno: "EPERM",
		says: []string{"not the container's own"},
	},
	{
		name:    "what capset(2) took",
		made:    []string{"capset(...)"},
		refused: "capset(...)", errno: "EPERM",
		says: []string{"no later call gives back"},
		not:  []string{"CAP_SETPCAP"},
	},
	{
		name:    "a command in a directory that is closed to the user",
		made:    []string{"setuid(65534)"},
		refused: `execve("closed/sh")`, errno: "EACCES",
		says: []string{"a directory on the way to it is closed"},
		not:  []string{"The file is there"},
	},
	{
		name:    "a terminal, in a process that leads no session",
		made:    []string{"1: setsid()"},
		refused: "ioctl(TIOCSCTTY)", errno: "EPERM",
		says: []string{"in the same process"},
		not:  []string{"has a controlling terminal already"},
	},
	{
		name:    "a terminal, in a session that has one",
		made:    []string{"setsid()", "ioctl(TIOCSCTTY)"},
		refused: "ioctl(TIOCSCTTY)", errno: "EPERM",
		says: []string{"has a controlling terminal already"},
	},
	{
		name:    "the old root by its path before",
		made:    []string{`pivot_root("rootfs", "rootfs/old")`, `chdir("/")`},
		refused: `umount2("rootfs/old", MNT_DETACH)`, errno: "ENOENT", inside: true,
		says: []string{"put the old root on rootfs/old, which is /old now"},
	},
	{
		name:    "the old root, on top of the new one",
		made:    []string{`pivot_root("./rootfs/", "rootfs")`, `chdir("/")`},
		refused: `umount2("rootfs", MNT_DETACH)`, errno: "ENOENT", inside: true,
		says: []string{"put the old root on rootfs, which is / now"},
	},
	{
		name:    "the old root, nobody knows where",
		made:    []string{`chdir("rootfs")`, `pivot_root(".", ".")`},
		refused: `umount2("old", MNT_DETACH)`, errno: "ENOENT", inside: true,
		says: []string{"paths begin in the new root"},
		not:  []string{"put the old root"},
	},
}

// ownMap is the call by which a process makes itself root in its user namespace.
var ownMap = fmt.Sprintf(`write(</proc/self/uid_map>, "0 %d 1", 5)`, os.Geteuid())

// asRootOfMachine is for a test that runs alone: it says whether root of the machine does.
func asRootOfMachine(t *testing.T, is bool) {
	found, root, denied := rootOfMachine, isRoot, groupsDenied
	rootOfMachine = func() bool { return is }
	t.Cleanup(func() { rootOfMachine, isRoot, groupsDenied = found, root, denied })
}

// TestKernelClues requires that what is said of a call that the kernel refused is true of it.
func TestKernelClues(t *testing.T) {
	root, err := moduleRoot()
	require.NoError(t, err)
	script, err := findScript(root, "step1-skeleton/command-runs")
	require.NoError(t, err)
	for _, c := range kernelClues {
		t.Run(c.name, func(t *testing.T) {
			asRootOfMachine(t, !c.ordinary && !c.inContainer)
			isRoot = func() bool { return !c.ordinary }
			groupsDenied = func() bool { return c.ordinary }
			call, _, _ := strings.Cut(c.refused, "(")
			e := harness.Event{Script: script}
			e.Message, e.Stderr = "exit status 125", c.said
			e.Ran = "exec container run " + cmp.Or(c.ran, "true")
			e.Conduct = &harness.Conduct{Made: slices.Clone(c.made), Refused: []harness.Refusal{{
				Call: call, Text: c.refused, Errno: c.errno, Inside: c.inside,
			}}}
			for n, made := range c.made {
				step := harness.Step{Text: made}
				if number, text, ok := strings.Cut(made, ": "); ok {
					step = harness.Step{Text: text, Process: atoi(number)}
				}
				e.Conduct.Made[n] = step.Text
				e.Conduct.Steps = append(e.Conduct.Steps, step)
			}
			e.Conduct.Steps = append(e.Conduct.Steps,
				harness.Step{Text: c.refused, Errno: c.errno})
			told := clue(e)
			for _, text := range c.says {
				require.Contains(t, told, text)
			}
			for _, text := range c.not {
				require.NotContains(t, told, text)
			}
		})
	}
}
