//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// attempts are what a container may try against its host. Each says "done", or why it could not.
// None does harm where it succeeds: what is opened is not written to, and what is asked for is not
// used.
var attempts = map[string]func(args []string) error{
	"open-write": func(a []string) error {
		f, err := os.OpenFile(a[0], os.O_WRONLY, 0)
		if err == nil {
			f.Close()
		}
		return err
	},
	"mount": func(a []string) error {
		return unix.Mount(a[0], a[1], a[0], 0,
			strings.Join(a[2:], ","))
	},
	"bind":   func(a []string) error { return unix.Mount(a[0], a[1], "", unix.MS_BIND, "") },
	"umount": func(a []string) error { return unix.Unmount(a[0], unix.MNT_DETACH) },
	"remount": func(a []string) error {
		return unix.Mount("", a[0], "",
			unix.MS_REMOUNT|unix.MS_BIND, "")
	},
	"pivot-root": func(a []string) error { return unix.PivotRoot(a[0], a[0]) },
	"unshare":    func(a []string) error { runtime.LockOSThread(); return unix.Unshare(flags(a)) },
	"setns":      setns,
	"clone": func(a []string) error {
		return start(&syscall.SysProcAttr{Cloneflags: uintptr(flags(a))})
	},
	"clone3": clone3,
	"device": device,
	"fsopen": func(a []string) error { _, err := unix.Fsopen(a[0], 0); return err },
	"open-tree": func(a []string) error {
		_, err := unix.OpenTree(unix.AT_FDCWD, a[0], unix.OPEN_TREE_CLONE)
		return err
	},
	"mount-attr": func(a []string) error {
		return unix.MountSetattr(unix.AT_FDCWD, a[0], 0,
			&unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY})
	},
	"handle": handle,
	"keyring": func(a []string) error {
		_, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, false)
		return err
	},
	"add-key": func(a []string) error {
		_, err := unix.AddKey("user", "probe", []byte("x"), unix.KEY_SPEC_SESSION_KEYRING)
		return err
	},
	"with-key": withKey,
	"request-key": func(a []string) error {
		_, err := unix.RequestKey("user", a[0], "", 0)
		return err
	},
	"bpf": func(a []string) error {
		return call(unix.SYS_BPF, 0, uintptr(unsafe.Pointer(&bpfArrayOfOne)),
			unsafe.Sizeof(bpfArrayOfOne))
	},
	"perf":        perf,
	"userfaultfd": userfaultfd,
	"io-uring": func(a []string) error {
		return call(unix.SYS_IO_URING_SETUP, 1,
			uintptr(unsafe.Pointer(&[120]byte{})))
	},
	// SYSLOG_ACTION_READ_ALL
	"syslog": func(a []string) error {
		_, err := unix.Klogctl(3, make([]byte, 16))
		return err
	},
	"module": func(a []string) error {
		return expect(unix.ENOEXEC,
			unix.InitModule([]byte("no module"), ""))
	},
	"kexec": func(a []string) error {
		return expect(unix.EINVAL,
			call(unix.SYS_KEXEC_LOAD, 0, 17, 0, 0xffff))
	},
	"reboot": func(a []string) error {
		return expect(unix.EINVAL,
			call(unix.SYS_REBOOT, 0, 0, 0, 0))
	},
	"swapon": func(a []string) error {
		return expect(unix.ENOENT,
			call(unix.SYS_SWAPON, path("/no/such/file"), 0))
	},
	"acct": func(a []string) error {
		return expect(unix.ENOENT,
			unix.Acct("/no/such/file"))
	},
	// CLOCK_MONOTONIC cannot be set
	"set-time": func(a []string) error {
		return expect(unix.EINVAL,
			unix.ClockSettime(1, &unix.Timespec{}))
	},
	"set-tick": setTick,
	"io-ports": func(a []string) error { return ioPorts() },
	// READ_IMPLIES_EXEC
	"personality": func(a []string) error { return call(unix.SYS_PERSONALITY, 0x0400000) },
	"socket":      socket,
	"ping-socket": func(a []string) error {
		_, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_ICMP)
		return err
	},
	"priority": func(a []string) error { return lowerNice() },
	"realtime": func(a []string) error {
		return unix.SchedSetAttr(0, &unix.SchedAttr{
			Size:   unix.SizeofSchedAttr,
			Policy: unix.SCHED_FIFO, Priority: 1,
		}, 0)
	},
	"type":   func(a []string) error { return typeInto(a[0]) },
	"as":     as,
	"groups": func(a []string) error { g, err := os.Getgroups(); fmt.Println(g); return err },
	"shm": func(a []string) error {
		_, err := unix.SysvShmGet(int(number(a[0])), 16, 0)
		return err
	},
	"make-shm": func(a []string) error {
		_, err := unix.SysvShmGet(int(number(a[0])), 16, unix.IPC_CREAT|0o666)
		return err
	},
	"abstract": abstract,
	"ptrace": func(a []string) error {
		runtime.LockOSThread()
		return unix.PtraceSeize(int(number(a[0])))
	},
}

func number(s string) uint64 {
	n, err := strconv.ParseUint(s, 0, 64)
	fail(err)
	return n
}

// flags are those of clone(2) for namespaces.
func flags(names []string) (all int) {
	for _, name := range names {
		all |= map[string]int{
			"uts": unix.CLONE_NEWUTS, "pid": unix.CLONE_NEWPID, "mnt": unix.CLONE_NEWNS,
			"ipc": unix.CLONE_NEWIPC,
			"net": unix.CLONE_NEWNET, "user": unix.CLONE_NEWUSER, "cgroup": unix.CLONE_NEWCGROUP,
		}[name]
	}
	return all
}

func call(number uintptr, args ...uintptr) error {
	args = append(args, make([]uintptr, 6)...)
	if _, _, errno := unix.Syscall6(number, args[0], args[1], args[2], args[3], args[4],
		args[5]); errno != 0 {
		return errno
	}
	return nil
}

func path(s string) uintptr {
	p, err := unix.BytePtrFromString(s)
	fail(err)
	return uintptr(unsafe.Pointer(p))
}

// expect turns the error of a request that makes no sense into success: the kernel would have
// listened.
func expect(want unix.Errno, err error) error {
	if err == want {
		return nil
	}
	return err
}

func start(attr *syscall.SysProcAttr) error {
	cmd := exec.Command("/bin/probe", "true")
	// not /dev/null, which not every step has
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = attr
	return cmd.Run()
}

// clone3 makes a process in a user namespace of its own by clone3(2), which the standard library
// does not use for that. The child ends at once.
func clone3([]string) error {
	args := struct{ flags, pidfd, childTid, parentTid, exitSignal, stack, stackSize, tls uint64 }{
		flags: unix.CLONE_NEWUSER, exitSignal: uint64(unix.SIGCHLD),
	}
	pid, _, errno := unix.RawSyscall(unix.SYS_CLONE3, uintptr(unsafe.Pointer(&args)),
		unsafe.Sizeof(args), 0)
	if errno != 0 {
		return errno
	}
	if pid == 0 {
		unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
	}
	_, err := unix.Wait4(int(pid), nil, 0, nil)
	return err
}

// userfaultfd asks for the page faults of the kernel as well, and if only root may have those, for
// the faults of this process alone (UFFD_USER_MODE_ONLY).
func userfaultfd([]string) error {
	err := call(unix.SYS_USERFAULTFD, 0)
	if err == unix.EPERM {
		err = call(unix.SYS_USERFAULTFD, 1)
	}
	return err
}

// setTick sets the length of a tick of the clock to what it is (adjtimex(2)): it takes the right to
// set the time, and changes nothing.
func setTick([]string) error {
	var now unix.Timex
	if _, err := unix.Adjtimex(&now); err != nil {
		return err
	}
	_, err := unix.Adjtimex(&unix.Timex{Modes: unix.ADJ_TICK, Tick: now.Tick})
	return err
}

// setns joins the namespace that a path leads to.
func setns(args []string) error {
	fd, err := unix.Open(args[0], unix.O_RDONLY, 0)
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	return unix.Setns(fd, 0)
}

// device makes a device, c or b MAJOR MINOR, and opens it.
func device(args []string) error {
	mode := map[string]uint32{"c": unix.S_IFCHR, "b": unix.S_IFBLK}[args[0]]
	if err := unix.Mknod("/tmp/device", mode|0o600,
		int(unix.Mkdev(uint32(number(args[1])), uint32(number(args[2]))))); err != nil {
		return err
	}
	defer os.Remove("/tmp/device")
	_, err := unix.Open("/tmp/device", unix.O_RDONLY|unix.O_NONBLOCK, 0)
	return err
}

// handle opens the root of the file system that lies below: inode 2 on ext4 (open_by_handle_at(2)).
func handle([]string) error {
	mount, err := unix.Open("/etc", unix.O_RDONLY, 0)
	if err != nil {
		return err
	}
	h, _, err := unix.NameToHandleAt(unix.AT_FDCWD, "/", 0)
	if err != nil {
		return err
	}
	_, err = unix.OpenByHandleAt(mount, h, unix.O_RDONLY)
	return err
}

// bpfArrayOfOne is a union bpf_attr for BPF_MAP_CREATE: type array, key and value of 4 bytes, one
// entry.
var bpfArrayOfOne = [18]uint32{2, 4, 4, 1}

// perf counts the cycles of all processes on processor 0.
func perf([]string) error {
	_, err := unix.PerfEventOpen(&unix.PerfEventAttr{
		Type: unix.PERF_TYPE_SOFTWARE,
		Size: unix.PERF_ATTR_SIZE_VER0,
	}, -1, 0, -1, 0)
	return err
}

func socket(args []string) error {
	family := map[string]int{"alg": unix.AF_ALG, "vsock": unix.AF_VSOCK}[args[0]]
	_, err := unix.Socket(family, unix.SOCK_SEQPACKET, 0)
	return expect(unix.ESOCKTNOSUPPORT, err) // it knows the family
}

// lowerNice sets a nice value below the one that the command was started with, whatever that was:
// raising it needs no privilege (setpriority(2)). The lowest is -20, and is given up first.
func lowerNice() error {
	runtime.LockOSThread() // it is the thread's
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		return err
	}
	nice := 20 - raw
	if nice == -20 {
		nice++
		if err := unix.Setpriority(unix.PRIO_PROCESS, 0, nice); err != nil {
			return err
		}
	}
	return unix.Setpriority(unix.PRIO_PROCESS, 0, nice-1)
}

// typeInto types into the terminal of the caller (ioctl_tty(2), TIOCSTI).
func typeInto(s string) error {
	for _, c := range []byte(s) {
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, 0, unix.TIOCSTI,
			uintptr(unsafe.Pointer(&c))); errno != 0 {
			return errno
		}
	}
	return nil
}

// as runs a command as another user: UID COMMAND [ARG...].
func as(args []string) error {
	cmd := exec.Command(args[1], args[2:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	id := uint32(number(args[0]))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: id, Gid: id}}
	return cmd.Run()
}

// withKey runs a command that has a session keyring (session-keyring(7)) with a key of a name in
// it. Only who possesses the key may see it.
func withKey(args []string) error {
	runtime.LockOSThread() // a keyring is the thread's
	if _, err := unix.KeyctlInt(unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0); err != nil {
		return err
	}
	key, err := unix.AddKey("user", args[0], []byte("x"), unix.KEY_SPEC_SESSION_KEYRING)
	if err != nil {
		return err
	}
	const possessor = 0x3f << 24 // all rights, for nobody else
	if err := unix.KeyctlSetperm(key, possessor); err != nil {
		return err
	}
	cmd := exec.Command(args[1], args[2:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd.Run()
}

// abstract speaks to the abstract socket (unix(7)) of a name, or is it: listen NAME.
func abstract(args []string) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	fail(err)
	if args[0] == "listen" {
		fail(unix.Bind(fd, &unix.SockaddrUnix{Name: "@" + args[1]}))
		fmt.Println("ready")
		time.Sleep(time.Hour)
	}
	return unix.Connect(fd, &unix.SockaddrUnix{Name: "@" + args[0]})
}
