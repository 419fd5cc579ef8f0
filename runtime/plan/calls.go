//go:build linux

package plan

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The system calls of the list, each a method with the name and the arguments of its man page, and
// a few forms of ioctl(2) and prctl(2) with names of their own.

// Openat2 opens a path; how it is looked up is part of the call (RESOLVE_*).
func (p *Plan) Openat2(dir FD, path string, flags, resolve uint64) FD {
	return p.Create(dir, path, flags, 0, resolve)
}

// Create is Openat2 with the mode of a file that is made.
func (p *Plan) Create(dir FD, path string, flags, mode, resolve uint64) FD {
	how := unix.OpenHow{Flags: flags | unix.O_CLOEXEC, Mode: mode, Resolve: resolve}
	fd := p.add(unix.SYS_OPENAT2, dir.arg(), p.text(path), value(p, how), num(unsafe.Sizeof(how)))
	return p.Name(fd, path)
}

func (p *Plan) Close(fd FD) { p.add(unix.SYS_CLOSE, fd.arg()) }

func (p *Plan) Write(fd FD, text string) {
	p.add(unix.SYS_WRITE, fd.arg(), p.text(text), num(len(text)))
}

func (p *Plan) Mkdirat(dir FD, path string, mode uint32) {
	p.add(unix.SYS_MKDIRAT, dir.arg(), p.text(path), num(mode))
}

// Mknodat makes a regular file.
func (p *Plan) Mknodat(dir FD, path string, mode uint32) {
	p.add(unix.SYS_MKNODAT, dir.arg(), p.text(path), num(unix.S_IFREG|mode), num(0))
}

func (p *Plan) Symlinkat(target string, dir FD, path string) {
	p.add(unix.SYS_SYMLINKAT, p.text(target), dir.arg(), p.text(path))
}

func (p *Plan) Chdir(path string) { p.add(unix.SYS_CHDIR, p.text(path)) }
func (p *Plan) Fchdir(fd FD)      { p.add(unix.SYS_FCHDIR, fd.arg()) }
func (p *Plan) Umask(mask int)    { p.add(unix.SYS_UMASK, num(mask)) }

func (p *Plan) Fchown(fd FD, uid, gid int) {
	p.add(unix.SYS_FCHOWN, fd.arg(), num(uid), num(gid))
}

// Dup3 makes number another number of the open file fd. It is for descriptors 0 to 2 or those of
// Open.
func (p *Plan) Dup3(fd, number FD, flags int) {
	p.add(unix.SYS_DUP3, fd.arg(), number.arg(), num(flags))
}

// KeepOnExec takes FD_CLOEXEC from a descriptor.
func (p *Plan) KeepOnExec(fd FD) { p.add(unix.SYS_FCNTL, fd.arg(), num(unix.F_SETFD), num(0)) }

// CloseRange has descriptors from first on closed by execve(2).
func (p *Plan) CloseRange(first int) {
	p.add(unix.SYS_CLOSE_RANGE, num(first), num(^uint32(0)), num(unix.CLOSE_RANGE_CLOEXEC))
}

// Mount mounts a new file system; the source is called like its type.
func (p *Plan) Mount(fstype, target string, flags uintptr, options string) {
	data := num(0)
	if options != "" {
		data = p.text(options)
	}
	name := p.text(fstype)
	p.add(unix.SYS_MOUNT, name, p.text(target), name, num(flags), data)
}

// Fsopen begins a new file system, which Fsconfig configures and Fsmount mounts (fsopen(2)).
func (p *Plan) Fsopen(fstype string) FD {
	fd := p.add(unix.SYS_FSOPEN, p.text(fstype), num(unix.FSOPEN_CLOEXEC))
	return p.Name(fd, "new "+fstype)
}

// FsconfigString gives a new file system an option.
func (p *Plan) FsconfigString(fs FD, key, value string) {
	p.add(unix.SYS_FSCONFIG, fs.arg(), num(unix.FSCONFIG_SET_STRING), p.text(key), p.text(value))
}

// FsconfigCreate makes the new file system.
func (p *Plan) FsconfigCreate(fs FD) {
	p.add(unix.SYS_FSCONFIG, fs.arg(), num(unix.FSCONFIG_CMD_CREATE), num(0), num(0))
}

// Fsmount makes a detached mount of it, with attributes (MOUNT_ATTR_*).
func (p *Plan) Fsmount(fs FD, attributes uint64) FD {
	return p.add(unix.SYS_FSMOUNT, fs.arg(), num(unix.FSMOUNT_CLOEXEC), num(attributes))
}

// Bind mounts source, a file or directory without what is mounted below it, on target.
func (p *Plan) Bind(source, target string) {
	p.add(unix.SYS_MOUNT, p.text(source), p.text(target), num(0), num(unix.MS_BIND), num(0))
}

// BindFD is Bind of an open file, for the working directory on a proc file system: only there is a
// path to it. fd is one of Open, whose number is known.
func (p *Plan) BindFD(fd FD, target string) { p.Bind(selfFD(fd), target) }

// selfFD is the path of an open file below a proc file system.
func selfFD(fd FD) string { return fmt.Sprintf("self/fd/%d", fd.number) }

// PathOf is Readlinkat of the path that an open file has (proc_pid_fd(5)). fd is one of Open, and
// proc the root of a proc file system.
func (p *Plan) PathOf(fd, proc FD) Buffer { return p.Readlinkat(proc, selfFD(fd)) }

// Umount2 detaches what is mounted on target, and below.
func (p *Plan) Umount2(target string) {
	p.add(unix.SYS_UMOUNT2, p.text(target), num(unix.MNT_DETACH))
}

// OpenTree makes a detached mount that shows what is at path. flags may have AT_RECURSIVE.
func (p *Plan) OpenTree(dir FD, path string, flags uint) FD {
	fd := p.add(unix.SYS_OPEN_TREE, dir.arg(), p.text(path),
		num(unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|uintptr(flags)))
	return p.Name(fd, "tree "+path)
}

// MoveMount attaches a detached mount at a path below dir, the last part of which is no symbolic
// link.
func (p *Plan) MoveMount(tree, dir FD, path string) {
	p.add(unix.SYS_MOVE_MOUNT, tree.arg(), p.text(""), dir.arg(), p.text(path),
		num(unix.MOVE_MOUNT_F_EMPTY_PATH))
}

// MoveMountTo attaches a detached mount on an open file or directory.
func (p *Plan) MoveMountTo(tree, target FD) {
	p.add(unix.SYS_MOVE_MOUNT, tree.arg(), p.text(""), target.arg(), p.text(""),
		num(unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH))
}

// MountSetattr changes attributes (MOUNT_ATTR_*) of the mount that fd is open on, and with
// AT_RECURSIVE of those below it.
func (p *Plan) MountSetattr(fd FD, flags int, attr unix.MountAttr) {
	p.add(unix.SYS_MOUNT_SETATTR, fd.arg(), p.text(""), num(unix.AT_EMPTY_PATH|flags),
		value(p, attr), num(unsafe.Sizeof(attr)))
}

// MountSetattrAt is MountSetattr for the mount at a path.
func (p *Plan) MountSetattrAt(dir FD, path string, flags int, attr unix.MountAttr) {
	p.add(unix.SYS_MOUNT_SETATTR, dir.arg(), p.text(path), num(flags), value(p, attr),
		num(unsafe.Sizeof(attr)))
}

func (p *Plan) PivotRoot(newRoot, putOld string) {
	p.add(unix.SYS_PIVOT_ROOT, p.text(newRoot), p.text(putOld))
}

// Statfs asks for the file system of an open file. The first word of the buffer is its type, as in
// [unix.PROC_SUPER_MAGIC].
func (p *Plan) Statfs(fd FD) Buffer {
	b := p.Buffer(int(unsafe.Sizeof(unix.Statfs_t{})))
	p.add(unix.SYS_FSTATFS, fd.arg(), b.arg())
	return b
}

// Readlinkat asks where a symbolic link leads. The first word of the buffer is the beginning of
// the text: see MustNotBegin.
func (p *Plan) Readlinkat(dir FD, path string) Buffer {
	b := p.Buffer(wordSize)
	p.add(unix.SYS_READLINKAT, dir.arg(), p.text(path), b.arg(), num(wordSize))
	return b
}

const wordSize = 8

// MustNotBegin makes the last call fail with ErrCheck if the text in the buffer begins with another
// one, of at most 8 bytes. Behind the end of the text are zeroes.
func (p *Plan) MustNotBegin(b Buffer, text string) {
	var word, mask [wordSize]byte
	copy(mask[:], bytes.Repeat([]byte{0xff}, copy(word[:], text)))
	p.MustNot(b, 0, binary.NativeEndian.Uint64(mask[:]), binary.NativeEndian.Uint64(word[:]))
}

// textOf is the text that MustNotBegin compares.
func textOf(word, mask uint64) string {
	bytes := binary.NativeEndian.AppendUint64(nil, word&mask)
	return string(bytes[:bits.OnesCount64(mask)/8])
}

// Statx asks for the attributes of an open file: a struct statx, in which the fields are where
// Statx* say.
func (p *Plan) Statx(fd FD) Buffer {
	b := p.Buffer(int(unsafe.Sizeof(unix.Statx_t{})))
	p.statx(fd, b)
	return b
}

func (p *Plan) statx(fd FD, b Buffer) {
	p.add(unix.SYS_STATX, fd.arg(), p.text(""), num(unix.AT_EMPTY_PATH|unix.AT_NO_AUTOMOUNT),
		num(unix.STATX_BASIC_STATS|unix.STATX_MNT_ID), b.arg())
}

// Offsets of words in struct statx, in bytes.
const (
	StatxAttributes = 8
	StatxMode       = 24 // the type and the mode of the file are its upper half
	StatxDevice     = 128
	StatxMount      = 144
)

// ModeMask is what of the word at StatxMode is the type of the file, and Mode the word with such a
// type (S_IF*).
const ModeMask = unix.S_IFMT << 32

func Mode(fileType uint64) uint64 { return fileType << 32 }

// Device is the word at StatxDevice of a device file: the major number is its lower half.
func Device(major, minor uint32) uint64 { return uint64(minor)<<32 | uint64(major) }

func (p *Plan) Unshare(flags uintptr) { p.add(unix.SYS_UNSHARE, num(flags)) }

func (p *Plan) Sethostname(name string) {
	p.add(unix.SYS_SETHOSTNAME, p.text(name), num(len(name)))
}

func (p *Plan) Setsid() { p.add(unix.SYS_SETSID) }

// Setgroups makes these the supplementary groups, in place of all others.
func (p *Plan) Setgroups(groups ...int) {
	list := num(0)
	if len(groups) > 0 {
		var ids []byte
		for _, gid := range groups {
			ids = binary.NativeEndian.AppendUint32(ids, uint32(gid))
		}
		list = num(p.put(ids))
	}
	p.add(unix.SYS_SETGROUPS, num(len(groups)), list)
}

func (p *Plan) Setresgid(gid int) { p.add(unix.SYS_SETRESGID, num(gid), num(gid), num(gid)) }
func (p *Plan) Setresuid(uid int) { p.add(unix.SYS_SETRESUID, num(uid), num(uid), num(uid)) }

func (p *Plan) Prctl(option int, argument uintptr) {
	p.add(unix.SYS_PRCTL, num(option), num(argument), num(0), num(0), num(0))
}

// Capset sets the permitted and the effective capabilities to mask, and the inheritable to none:
// ambient ones go with them.
func (p *Plan) Capset(mask uint64) {
	low, high := uint32(mask), uint32(mask>>32)
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{
		{Effective: low, Permitted: low},
		{Effective: high, Permitted: high},
	}
	p.add(unix.SYS_CAPSET, value(p, header), value(p, data))
}

func (p *Plan) Setrlimit(resource int, limit unix.Rlimit) {
	p.add(unix.SYS_PRLIMIT64, num(0), num(resource), value(p, limit), num(0))
}

// DefaultAction gives a signal its default action (rt_sigaction(2)).
func (p *Plan) DefaultAction(s unix.Signal) {
	p.add(unix.SYS_RT_SIGACTION, num(int(s)), value(p, [4]uint64{}), num(0), num(8))
}

// UnblockSignals unblocks all signals.
func (p *Plan) UnblockSignals() { p.BlockSignals(0) }

// BlockSignals blocks these signals, bit by bit from SIGHUP on, and unblocks all others.
func (p *Plan) BlockSignals(mask uint64) {
	p.add(unix.SYS_RT_SIGPROCMASK, num(unix.SIG_SETMASK), value(p, mask), num(0), num(8))
}

// Seccomp makes a filter that of the child and of what it executes, for good.
func (p *Plan) Seccomp(filter []unix.SockFilter) {
	code := p.put(
		unsafe.Slice((*byte)(unsafe.Pointer(&filter[0])),
			len(filter)*int(unsafe.Sizeof(filter[0]))),
	)
	program := struct{ length, filter uint64 }{
		uint64(len(filter)),
		uint64(code),
	} // struct sock_fprog
	p.add(unix.SYS_SECCOMP, num(unix.SECCOMP_SET_MODE_FILTER), num(0), value(p, program))
}

func (p *Plan) Socket(domain, kind, protocol int) FD {
	return p.Name(p.add(unix.SYS_SOCKET, num(domain), num(kind|unix.SOCK_CLOEXEC), num(protocol)),
		"socket")
}

// Ioctl is ioctl(2) with a number as its argument.
func (p *Plan) Ioctl(fd FD, request uint, argument int) {
	p.add(unix.SYS_IOCTL, fd.arg(), num(uintptr(request)), num(argument))
}

// IoctlPointer is ioctl(2) with a pointer to the bytes of a struct.
func (p *Plan) IoctlPointer(fd FD, request uint, argument []byte) {
	p.add(unix.SYS_IOCTL, fd.arg(), num(uintptr(request)), num(p.put(argument)))
}

// interfaceRequest is the kernel's struct ifreq (netdevice(7)): the name of an interface, and
// something about it.
type interfaceRequest struct {
	name  [unix.IFNAMSIZ]byte
	value [24]byte
}

func newInterfaceRequest(name string) (r interfaceRequest) {
	copy(r.name[:], name)
	return r
}

// SetInterfaceFlags sets flags of an interface (SIOCSIFFLAGS), by a socket in its network
// namespace.
func (p *Plan) SetInterfaceFlags(socket FD, name string, flags uint16) {
	r := newInterfaceRequest(name)
	binary.NativeEndian.PutUint16(r.value[:], flags)
	p.add(unix.SYS_IOCTL, socket.arg(), num(unix.SIOCSIFFLAGS), value(p, r))
}

// SetInterfaceAddress gives an interface an address (SIOCSIFADDR).
func (p *Plan) SetInterfaceAddress(socket FD, name string, ip [4]byte) {
	r := newInterfaceRequest(name)
	copy(r.value[:], sockaddr(ip))
	p.add(unix.SYS_IOCTL, socket.arg(), num(unix.SIOCSIFADDR), value(p, r))
}

// SetInterfaceNetmask says which bits of the address are those of the network (SIOCSIFNETMASK).
func (p *Plan) SetInterfaceNetmask(socket FD, name string, mask [4]byte) {
	r := newInterfaceRequest(name)
	copy(r.value[:], sockaddr(mask))
	p.add(unix.SYS_IOCTL, socket.arg(), num(unix.SIOCSIFNETMASK), value(p, r))
}

// AddDefaultRoute sends what is for elsewhere to the gateway (SIOCADDRT, route(8)).
func (p *Plan) AddDefaultRoute(socket FD, gateway [4]byte) {
	var route struct { // the kernel's struct rtentry
		_                             uint64
		destination, gateway, netmask [16]byte
		flags                         uint16
		_                             [6]byte
		_, _                          uint64
		metric                        int16
		_                             [6]byte
		device                        uintptr
		_, _                          uint64
		_                             uint16
		_                             [6]byte
	}
	copy(route.destination[:], sockaddr([4]byte{}))
	copy(route.gateway[:], sockaddr(gateway))
	copy(route.netmask[:], sockaddr([4]byte{}))
	const up, viaGateway = 1, 2 // RTF_UP, RTF_GATEWAY
	route.flags = up | viaGateway
	p.add(unix.SYS_IOCTL, socket.arg(), num(unix.SIOCADDRT), value(p, route))
}

// sockaddr is the beginning of a struct sockaddr_in.
func sockaddr(ip [4]byte) []byte {
	a := binary.NativeEndian.AppendUint16(nil, unix.AF_INET)
	return append(append(a, 0, 0), ip[:]...)
}

// Unlock lets the other end of a terminal be opened, given its master (ioctl_tty(2)).
func (p *Plan) Unlock(master FD) { p.IoctlPointer(master, unix.TIOCSPTLCK, make([]byte, 4)) }

// SetWinsize tells a terminal how large it is.
func (p *Plan) SetWinsize(terminal FD, size unix.Winsize) {
	p.add(unix.SYS_IOCTL, terminal.arg(), num(uintptr(unix.TIOCSWINSZ)), value(p, size))
}

// SetTermios gives a terminal settings as in termios(3).
func (p *Plan) SetTermios(terminal FD, settings unix.Termios) {
	p.add(unix.SYS_IOCTL, terminal.arg(), num(uintptr(unix.TCSETS)), value(p, settings))
}

// Poll asks whether a descriptor is readable now. It returns how many are: 0 or 1.
func (p *Plan) Poll(fd FD) {
	pollFd := value(p, unix.PollFd{Fd: int32(fd.number), Events: unix.POLLIN})
	p.add(unix.SYS_PPOLL, pollFd, num(1), value(p, unix.Timespec{}), num(0), num(8))
}

func (p *Plan) Setns(fd FD, flags uintptr) { p.add(unix.SYS_SETNS, fd.arg(), num(flags)) }

// Execve executes a program. What comes from here on in the list is about executing the command.
func (p *Plan) Execve(path string, args, env Array) {
	p.add(unix.SYS_EXECVE, p.text(path), args.arg, env.arg)
}

// Execveat executes an open file.
func (p *Plan) Execveat(fd FD, args, env Array) {
	p.add(unix.SYS_EXECVEAT, fd.arg(), p.text(""), args.arg, env.arg, num(unix.AT_EMPTY_PATH))
}

// An Array is a list of texts in the form of execve(2).
type Array struct{ arg }

// Array copies a list of texts to the memory of the list.
func (p *Plan) Array(texts []string) Array { return Array{p.array(texts)} }

// Command begins the part of the list that executes the command. All before it makes the container.
func (p *Plan) Command() { p.command = p.n }
