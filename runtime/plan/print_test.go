//go:build linux

package plan

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// everyCall adds each method of calls.go, and each kind of argument and outcome. After each it says
// which lines the list has more.
func everyCall(p *Plan, lines func(want ...string)) {
	root := p.Open(100, "root")
	p.Open(101, "user namespace")

	// Files.
	dev := p.Openat2(CWD, "/dev", unix.O_PATH, 0)
	lines(`openat2(AT_FDCWD, "/dev", O_PATH|O_CLOEXEC, 0)`)
	p.Openat2(root, "/proc", unix.O_PATH, unix.RESOLVE_NO_SYMLINKS)
	lines(`openat2(<root>, "/proc", O_PATH|O_CLOEXEC, RESOLVE_NO_SYMLINKS)`)
	p.Openat2(CWD, "..", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_NOCTTY, 0)
	lines(`openat2(AT_FDCWD, "..", O_RDONLY|O_DIRECTORY|O_NOFOLLOW|O_NOCTTY|O_CLOEXEC, 0)`)
	p.Create(dev, "a", unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600, unix.RESOLVE_IN_ROOT)
	lines(`openat2(</dev>, "a", O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, 0600, RESOLVE_IN_ROOT)`)
	p.Create(dev, ".", unix.O_RDWR|unix.O_TMPFILE, 0, unix.RESOLVE_BENEATH|unix.RESOLVE_NO_XDEV)
	lines(`openat2(</dev>, ".", O_RDWR|O_TMPFILE|O_CLOEXEC, 0, RESOLVE_BENEATH|RESOLVE_NO_XDEV)`)
	p.Openat2(dev, "b", unix.O_PATH|1<<40, 1<<20)
	lines(`openat2(</dev>, "b", O_PATH|O_CLOEXEC|0x10000000000, 0x100000)`)
	p.Name(p.Openat2(root, "/dev/ptmx", unix.O_RDWR, 0), "terminal")
	lines(`openat2(<root>, "/dev/ptmx", O_RDWR|O_CLOEXEC, 0) as <terminal>`)
	p.Close(dev)
	lines(`close(</dev>)`)
	p.Close(FD{number: 77})
	lines(`close(77)`)
	p.Write(dev, "a\x00\n")
	lines(`write(</dev>, "a\x00\n", 3)`)
	p.Write(dev, strings.Repeat("ä", 41))
	lines(`write(</dev>, "ääääääääääääääääääääääääääääääääääääääää"..., 82)`)
	p.Mkdirat(CWD, "a", 0o755)
	lines(`mkdirat(AT_FDCWD, "a", 0755)`)
	p.Mknodat(dev, "null", 0o666)
	lines(`mknodat(</dev>, "null", S_IFREG|0666)`)
	p.Symlinkat("pts/ptmx", dev, "ptmx")
	lines(`symlinkat("pts/ptmx", </dev>, "ptmx")`)
	p.Chdir("")
	lines(`chdir("")`)
	p.Fchdir(root)
	lines(`fchdir(<root>)`)
	p.Umask(0o22)
	lines(`umask(022)`)
	p.Umask(0)
	lines(`umask(0)`)
	p.Fchown(dev, 1000, -1)
	lines(`fchown(</dev>, 1000, -1)`)
	p.Dup3(dev, FD{number: 1}, 0)
	lines(`dup3(</dev>, 1, 0)`)
	p.Dup3(dev, root, unix.O_CLOEXEC)
	lines(`dup3(</dev>, <root>, O_CLOEXEC)`)
	p.KeepOnExec(root)
	lines(`fcntl(<root>, F_SETFD, 0)`)
	p.CloseRange(3)
	lines(`close_range(3, ~0, CLOSE_RANGE_CLOEXEC)`)
	p.add(unix.SYS_CLOSE_RANGE, num(3), num(9), num(0))
	lines(`close_range(3, 9, 0)`)

	// Mounts.
	p.Mount("proc", ".", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	lines(`mount("proc", ".", "proc", MS_NOSUID|MS_NODEV|MS_NOEXEC, NULL)`)
	p.Mount("tmpfs", "/dev", unix.MS_STRICTATIME, "mode=755,size=65536k")
	lines(`mount("tmpfs", "/dev", "tmpfs", MS_STRICTATIME, "mode=755,size=65536k")`)
	p.Bind("/a", "/b")
	lines(`mount("/a", "/b", NULL, MS_BIND, NULL)`)
	p.BindFD(root, "/b")
	lines(`mount(self/fd/<root>, "/b", NULL, MS_BIND, NULL)`)
	p.Bind("self/fd/x", "/b")
	lines(`mount("self/fd/x", "/b", NULL, MS_BIND, NULL)`)
	p.Umount2("/")
	lines(`umount2("/", MNT_DETACH)`)
	p.OpenTree(dev, "a", 0)
	lines(`open_tree(</dev>, "a", OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC) as <tree a>`)
	p.Name(p.OpenTree(dev, "", unix.AT_EMPTY_PATH), "t")
	lines(`open_tree(</dev>, "", OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC|AT_EMPTY_PATH) as <t>`)
	p.MoveMount(dev, root, "a")
	lines(`move_mount(</dev>, "", <root>, "a", MOVE_MOUNT_F_EMPTY_PATH)`)
	p.MoveMountTo(dev, root)
	lines(`move_mount(</dev>, "", <root>, "", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)`)
	p.MountSetattr(dev, 0, unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
	lines(`mount_setattr(</dev>, "", AT_EMPTY_PATH, {set: MOUNT_ATTR_RDONLY})`)
	p.MountSetattrAt(CWD, "/", unix.AT_RECURSIVE, unix.MountAttr{Propagation: unix.MS_PRIVATE})
	lines(`mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, {propagation: MS_PRIVATE})`)
	p.MountSetattr(dev, unix.AT_RECURSIVE, unix.MountAttr{
		Attr_set:  unix.MOUNT_ATTR_IDMAP | unix.MOUNT_ATTR_NOATIME,
		Attr_clr:  unix.MOUNT_ATTR__ATIME,
		Userns_fd: 101,
	})
	lines(`mount_setattr(</dev>, "", AT_EMPTY_PATH|AT_RECURSIVE, {set: MOUNT_ATTR_NOATIME|` +
		`MOUNT_ATTR_IDMAP, clear: MOUNT_ATTR__ATIME, userns: <user namespace>})`)
	p.PivotRoot(".", "old")
	lines(`pivot_root(".", "old")`)
	p.Statfs(dev)
	lines(`fstatfs(</dev>)`)
	p.Statx(dev)
	lines(`statx(</dev>, "", AT_EMPTY_PATH|AT_NO_AUTOMOUNT, STATX_BASIC_STATS|STATX_MNT_ID)`)

	// Rights.
	p.Unshare(unix.CLONE_NEWNET)
	lines(`unshare(CLONE_NEWNET)`)
	p.Setns(root, unix.CLONE_NEWUSER|unix.CLONE_NEWNS)
	lines(`setns(<root>, CLONE_NEWUSER|CLONE_NEWNS)`)
	p.Setns(root, 0)
	lines(`setns(<root>, 0)`)
	p.Sethostname("name")
	lines(`sethostname("name", 4)`)
	p.Setsid()
	lines(`setsid()`)
	p.Setgroups()
	lines(`setgroups(0, NULL)`)
	p.Setresgid(100)
	lines(`setresgid(100, 100, 100)`)
	p.Setresuid(1000)
	lines(`setresuid(1000, 1000, 1000)`)
	p.Prctl(unix.PR_CAPBSET_DROP, unix.CAP_SYS_ADMIN)
	lines(`prctl(PR_CAPBSET_DROP, CAP_SYS_ADMIN)`)
	p.Prctl(unix.PR_CAPBSET_DROP, 50)
	lines(`prctl(PR_CAPBSET_DROP, 0x32)`)
	p.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL))
	lines(`prctl(PR_SET_PDEATHSIG, SIGKILL)`)
	p.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL)
	lines(`prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)`)
	p.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1)
	lines(`prctl(PR_SET_NO_NEW_PRIVS, 1)`)
	p.Capset(1<<unix.CAP_CHOWN | 1<<unix.CAP_BPF | 1<<63)
	lines(`capset({permitted, effective: CAP_CHOWN|CAP_BPF|0x3f})`)
	p.Capset(0)
	lines(`capset({none})`)
	p.Capset(1<<(unix.CAP_LAST_CAP+1) - 1)
	lines(`capset({permitted, effective: all})`)
	p.add(unix.SYS_CAPSET, num(0), value(p, [2]unix.CapUserData{{}, {Inheritable: 2}}))
	lines(`capset({permitted: none, effective: none, inheritable: CAP_MAC_ADMIN})`)
	p.add(unix.SYS_CAPSET, num(0), value(p, [2]unix.CapUserData{{Permitted: 1}}))
	lines(`capset({permitted: CAP_CHOWN, effective: none, inheritable: none})`)
	p.Setrlimit(unix.RLIMIT_NOFILE, unix.Rlimit{Cur: 1024, Max: 4096})
	lines(`prlimit64(0, RLIMIT_NOFILE, {soft: 1024, hard: 4096})`)
	p.Setrlimit(unix.RLIMIT_CORE, unix.Rlimit{Max: unix.RLIM_INFINITY})
	lines(`prlimit64(0, RLIMIT_CORE, {soft: 0, hard: unlimited})`)
	p.DefaultAction(unix.SIGHUP)
	lines(`rt_sigaction(SIGHUP, SIG_DFL)`)
	p.DefaultAction(40)
	lines(`rt_sigaction(40, SIG_DFL)`)
	p.add(unix.SYS_RT_SIGACTION, num(1), value(p, [4]uint64{1}))
	lines(`rt_sigaction(SIGHUP, SIG_IGN)`)
	p.UnblockSignals()
	lines(`rt_sigprocmask(SIG_SETMASK, [])`)
	p.BlockSignals(1<<0 | 1<<14 | 1<<39)
	lines(`rt_sigprocmask(SIG_SETMASK, [SIGHUP SIGTERM 40])`)
	p.Seccomp(make([]unix.SockFilter, 156))
	lines(`seccomp(SECCOMP_SET_MODE_FILTER, 156 instructions)`)

	// Network and terminal.
	socket := p.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	lines(`socket(AF_INET, SOCK_DGRAM|SOCK_CLOEXEC, 0) as <socket>`)
	p.Socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER)
	lines(`socket(AF_NETLINK, SOCK_RAW|SOCK_CLOEXEC, 12) as <socket>`)
	p.SetInterfaceFlags(socket, "lo", unix.IFF_UP)
	lines(`ioctl(<socket>, SIOCSIFFLAGS, {lo IFF_UP})`)
	p.SetInterfaceAddress(socket, "eth0", [4]byte{10, 88, 0, 2})
	lines(`ioctl(<socket>, SIOCSIFADDR, {eth0 10.88.0.2})`)
	p.SetInterfaceNetmask(socket, "eth0", [4]byte{255, 255, 0, 0})
	lines(`ioctl(<socket>, SIOCSIFNETMASK, {eth0 255.255.0.0})`)
	p.AddDefaultRoute(socket, [4]byte{10, 88, 0, 1})
	lines(`ioctl(<socket>, SIOCADDRT, {default via 10.88.0.1})`)
	route := make([]byte, 120)
	copy(route[12:], []byte{10, 1, 0, 0})
	copy(route[28:], []byte{10, 88, 0, 1})
	copy(route[44:], []byte{255, 255, 0, 0})
	p.IoctlPointer(socket, unix.SIOCADDRT, route)
	lines(`ioctl(<socket>, SIOCADDRT, {10.1.0.0/255.255.0.0 via 10.88.0.1})`)
	p.Ioctl(dev, unix.TIOCSCTTY, 0)
	lines(`ioctl(</dev>, TIOCSCTTY, 0)`)
	p.Unlock(dev)
	lines(`ioctl(</dev>, TIOCSPTLCK, {0})`)
	p.SetWinsize(dev, unix.Winsize{Row: 24, Col: 80})
	lines(`ioctl(</dev>, TIOCSWINSZ, {24 rows, 80 columns})`)
	p.SetTermios(dev, unix.Termios{})
	lines(`ioctl(</dev>, TCSETS, {...})`)
	p.Ioctl(dev, 0x1234, 0x56)
	lines(`ioctl(</dev>, 0x1234, 0x56)`)
	p.IoctlPointer(dev, 0x1234, []byte{1})
	lines(`ioctl(</dev>, 0x1234, {...})`)
	p.Poll(root)
	lines(`ppoll([<root> POLLIN], 1, now)`)
	p.add(unix.SYS_PPOLL, value(p, unix.PollFd{Fd: 77}), num(1), value(p, unix.Timespec{Sec: 2}))
	lines(`ppoll([77 0], 1, 2s)`)

	// The command.
	p.Command()
	args, env := p.Array([]string{"sh", "-c", "\x1b[1m"}), p.Array([]string{"TERM=xterm"})
	p.Execve("/bin/sh", args, env)
	lines(`execve("/bin/sh", ["sh", "-c", "\x1b[1m"], ["TERM=xterm"])`)
	p.Execve("/usr/bin/sh", args, env)
	lines(`execve("/usr/bin/sh", the same, the same)`)
	p.Execve("/sbin/sh", p.Array(nil), env)
	lines(`execve("/sbin/sh", [], the same)`)
	p.Execveat(dev, args, p.Array([]string{"TERM=xterm"}))
	lines(`execveat(</dev>, "", the same, ["TERM=xterm"], AT_EMPTY_PATH)`)

	// Names that could harm a terminal or fill it.
	p.Fchdir(p.Name(p.Openat2(CWD, "a", 0, 0), "a\n>"))
	lines(`openat2(AT_FDCWD, "a", O_RDONLY|O_CLOEXEC, 0) as <a\n>>`, `fchdir(<a\n>>)`)
	p.Fchdir(p.Open(102, strings.Repeat("a", 81)))
	lines(`fchdir(<` + strings.Repeat("a", 80) + `...>)`)

	// What the list does with errors.
	p.Chdir("/a")
	p.Allow(unix.EEXIST, unix.ENOTDIR, unix.EROFS)
	lines(`chdir("/a") or EEXIST, ENOTDIR, EROFS`)
	p.Chdir("/a")
	lines(`chdir("/a")`)
	p.Chdir("/a")
	p.Unless(func() { p.Setsid(); p.Setgroups() }, unix.ENOENT)
	lines(`chdir("/a") or ENOENT: leaves out 2`, `setsid()`, `setgroups(0, NULL)`)
	p.Chdir("/a")
	p.Allow(ErrCheck)
	lines(`chdir("/a") or ECANCELED`)

	// And with results.
	all := ^uint64(0)
	p.Poll(root)
	p.MustReturn(0)
	lines(`ppoll([<root> POLLIN], 1, now) must: 0`)
	p.Poll(root)
	p.MustReturn(1)
	p.Allow(ErrCheck, unix.EINTR)
	lines(`ppoll([<root> POLLIN], 1, now) must: 1, or refused, EINTR`)
	p.MustNot(p.Statfs(dev), 0, all, unix.PROC_SUPER_MAGIC)
	lines(`fstatfs(</dev>) must not: proc`)
	p.Must(p.Statfs(dev), 0, all, 0x1234)
	p.Allow(unix.EIO)
	lines(`fstatfs(</dev>) must: 0x1234, or EIO`)
	p.Must(p.Statfs(dev), 80, 0xff, 0x1)
	lines(`fstatfs(</dev>) must: 0x1 of 0xff in word at 80`)
	const statx = `statx(</dev>, "", AT_EMPTY_PATH|AT_NO_AUTOMOUNT, STATX_BASIC_STATS|STATX_MNT_ID)`
	p.Must(p.Statx(dev), StatxDevice, all, Device(1, 3))
	lines(statx + ` must: device 1:3`)
	p.Must(p.Statx(dev), StatxMode, ModeMask, Mode(unix.S_IFCHR))
	lines(statx + ` must: character device`)
	p.MustNot(p.Statx(dev), StatxMode, ModeMask, Mode(unix.S_IFDIR))
	p.Unless(p.Setsid, ErrCheck)
	lines(statx+` must not: directory, or refused: leaves out 1`, `setsid()`)
	p.Must(p.Statx(dev), StatxMode, 0o7777<<32, 0o600<<32)
	lines(statx + ` must: 0x18000000000 of 0xfff00000000 in word at 24`)
	const mountRoot = unix.STATX_ATTR_MOUNT_ROOT
	p.Must(p.Statx(dev), StatxAttributes, mountRoot, mountRoot)
	lines(statx + ` must: mount root`)
	p.Must(p.Statx(dev), StatxAttributes, mountRoot, 0)
	lines(statx + ` must: no mount root`)
	p.Must(p.Statx(dev), StatxMount, all, 7)
	lines(statx + ` must: mount 7`)
	rootWords, devWords := p.Statx(root), p.Statx(dev)
	p.MustMatch(devWords, rootWords, StatxMount)
	lines(strings.Replace(statx, "/dev", "root", 1), statx+` must: same mount as <root>`)
	p.Setsid()
	p.MustMatch(devWords, rootWords, StatxDevice)
	lines(`setsid() must: same word at 128 as <root>`)
	p.Setgroups(1000, 5)
	lines(`setgroups(2, [1000, 5])`)
	fs := p.Fsopen("tmpfs")
	p.FsconfigString(fs, "mode", "755")
	p.FsconfigCreate(fs)
	p.Name(p.Fsmount(fs, unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_STRICTATIME), "new")
	lines(
		`fsopen("tmpfs", FSOPEN_CLOEXEC) as <new tmpfs>`,
		`fsconfig(<new tmpfs>, FSCONFIG_SET_STRING, "mode", "755")`,
		`fsconfig(<new tmpfs>, FSCONFIG_CMD_CREATE, NULL, NULL)`,
		`fsmount(<new tmpfs>, FSMOUNT_CLOEXEC, MOUNT_ATTR_NODEV|MOUNT_ATTR_STRICTATIME) as <new>`)
	to := p.PathOf(p.Open(78, "target"), p.Open(79, "proc"))
	p.MustNotBegin(to, "/proc/")
	p.MustNotBegin(to, "/sys\x00")
	p.MustNot(p.Readlinkat(CWD, "a"), 0, all, 0)
	lines(
		`readlinkat(<proc>, self/fd/<target>) must not: "/proc/", must not: "/sys\x00"`,
		`readlinkat(AT_FDCWD, "a") must not: "\x00\x00\x00\x00\x00\x00\x00\x00"`)
	p.Setsid()
	p.Must(p.Buffer(8), 0, all, 5)
	lines(`setsid() must: 0x5 of 0xffffffffffffffff in word at 0`)
}

func newPlan(t *testing.T) *Plan {
	p, err := New(nil)
	require.NoError(t, err)
	return p
}

func TestLines(t *testing.T) {
	p := newPlan(t)
	var want []string
	everyCall(p, func(lines ...string) {
		want = append(want, lines...)
		require.Equal(t, lines, p.Lines()[p.Len()-len(lines):])
	})
	require.Equal(t, want, p.Lines())
	require.NoError(t, p.Err())
}

// everyCall must not forget a method or a system call of calls.go.
func TestEveryCall(t *testing.T) {
	source, err := os.ReadFile("calls.go")
	require.NoError(t, err)
	test, err := os.ReadFile("print_test.go")
	require.NoError(t, err)
	methods := regexp.MustCompile(`(?m)^func \(p \*Plan\) ([A-Z]\w*)`).FindAllSubmatch(source, -1)
	require.NotEmpty(t, methods)
	for _, m := range methods {
		require.True(t, strings.Contains(string(test), "p."+string(m[1])+"("), "no p.%s", m[1])
	}

	p := newPlan(t)
	everyCall(p, func(...string) {})
	printed := map[string]bool{}
	for _, c := range p.Calls() {
		printed[c.Name] = true
	}
	for _, m := range regexp.MustCompile(`unix\.SYS_(\w+)`).FindAllSubmatch(source, -1) {
		require.True(t, printed[strings.ToLower(string(m[1]))], "%s is not printed", m[1])
	}
}

// A constant must not have the name of another one, and no name may be missing in the middle.
func TestTables(t *testing.T) {
	tables, err := os.ReadFile("tables.go")
	require.NoError(t, err)
	rows := regexp.MustCompile(`\{unix\.(\w+), "(.*?)"`).FindAllSubmatch(tables, -1)
	require.Greater(t, len(rows), 200)
	for _, row := range rows {
		constant, name := string(row[1]), string(row[2])
		if call, ok := strings.CutPrefix(constant, "SYS_"); ok {
			require.Equal(t, strings.ToLower(call), name)
		} else if name == strings.ToUpper(name) {
			require.Equal(t, constant, name)
		}
	}
	for i, c := range capabilities.names {
		require.EqualValues(t, i, c.value)
	}
	require.Len(t, capabilities.names, unix.CAP_LAST_CAP+1)
	for i := range unix.RLIMIT_RTTIME + 1 {
		require.Contains(t, resource.names.one(uint64(i)), "RLIMIT_")
	}
}

// Another call in a list must not change the lines of the others: diff(1) of two lists shows that
// call only.
func TestLinesDoNotMove(t *testing.T) {
	p, other := newPlan(t), newPlan(t)
	other.Umask(0)
	everyCall(p, func(...string) {})
	everyCall(other, func(...string) {})
	require.Equal(t, p.Lines(), other.Lines()[1:])
}

func TestUnnamedDescriptor(t *testing.T) {
	p := newPlan(t)
	p.Setsid()
	p.Dup3(FD{number: 77}, p.add(unix.SYS_SOCKET), 0)
	require.Equal(t, `dup3(77, <result of call 2>, 0)`, p.Line(2))
}

func TestUnknownCall(t *testing.T) {
	p := newPlan(t)
	p.add(9999, num(1))
	require.Equal(t, `syscall_9999(...)`, p.Line(0))
	require.Equal(t, "syscall_9999", p.callName(0))
}

// A list that outgrew its memory has addresses that are 0. It is never made, but printing it must
// not crash.
func TestTooLong(t *testing.T) {
	p := newPlan(t)
	args := p.Array([]string{strings.Repeat("a", memorySize)})
	require.ErrorIs(t, p.Err(), unix.E2BIG)
	p.Execve("/bin/true", args, args)
	require.Equal(t, `execve("/bin/true", [], [])`, p.Line(0))
	p.Write(FD{number: 1}, strings.Repeat("a", memorySize))
	require.Equal(t, `write(1, "", 16777216)`, p.Line(1))
	p.Chdir(strings.Repeat("a", memorySize))
	require.Equal(t, `chdir(NULL)`, p.Line(2))
}

func TestResults(t *testing.T) {
	p := newPlan(t)
	var want []string
	result := func(w string) { want = append(want, w) }

	p.Chdir(t.TempDir())
	result(" = 0")
	p.Umask(0o27)
	result("") // see below
	p.Umask(0o22)
	result(" = 027")
	p.Mkdirat(CWD, "a", 0o755)
	result(" = 0")
	p.Mkdirat(CWD, "a", 0o755)
	p.Allow(unix.EEXIST)
	result(" = EEXIST")
	p.Openat2(CWD, "b", unix.O_PATH, 0)
	p.Unless(func() { p.Mkdirat(CWD, "c", 0o755) }, unix.ENOENT)
	result(" = ENOENT")
	result("") // left out
	null := p.Openat2(CWD, "/dev/null", unix.O_RDWR, 0)
	result("") // see below
	p.Write(null, "text")
	result(" = 4")
	p.Must(p.Statx(null), StatxDevice, ^uint64(0), Device(1, 3))
	result(" = 0")
	p.Must(p.Statx(null), StatxDevice, ^uint64(0), Device(1, 5))
	p.Allow(ErrCheck)
	result(" = refused: device 1:3")
	p.MustNot(p.Statx(null), StatxMode, ModeMask, Mode(unix.S_IFCHR))
	p.Allow(ErrCheck)
	result(" = refused: character device")
	to := p.Readlinkat(CWD, "/proc/self/fd/0")
	p.MustNotBegin(to, "nowhere")
	p.MustNotBegin(to, "/")
	p.MustNotBegin(to, "elsewher")
	p.Allow(ErrCheck)
	result(` = refused: "/"`)
	p.Close(null)
	p.MustReturn(7)
	p.Allow(ErrCheck)
	result(" = refused: 0")
	p.Close(null)
	p.MustReturn(7)
	p.Allow(unix.EBADF)
	result(" = EBADF")
	for errno, w := range map[unix.Errno]string{524: " = errno 524", ErrCheck: " = ECANCELED"} {
		p.Chdir("/")
		p.MustReturn(0)
		p.Allow(errno)
		p.Fault(p.Len()-1, errno)
		result(w)
	}
	p.Chdir("/nowhere")
	result(" = ENOENT")
	p.Chdir("/")
	result("") // not made

	require.Equal(t, 125, start(t, p))
	number, err := p.Result(null)
	require.NoError(t, err)
	want[null.number] = fmt.Sprintf(" = %d", number)
	want[1] = p.result(1) // the mask of whoever runs the test
	require.Regexp(t, `^ = 0[0-7]*$`, want[1])
	var got []string
	for i := range p.Len() {
		got = append(got, p.result(i))
	}
	require.Equal(t, want, got)
}

func TestPrint(t *testing.T) {
	p := newPlan(t)
	p.Setsid()
	p.Chdir("/")
	p.Unless(p.Setsid, unix.ENOENT, unix.EACCES)
	p.Chdir("/a")
	p.Allow(unix.EIO)
	var text strings.Builder
	require.NoError(t, p.Print(&text))
	require.Equal(t, `setsid()
chdir("/") or ENOENT, EACCES: leaves out 1
setsid()
chdir("/a") or EIO
`, text.String())
	require.ErrorIs(t, p.Print(full{}), errFull)

	require.Equal(t, []Call{
		{Name: "setsid", Line: "setsid()"},
		{
			Name:    "chdir",
			Args:    []string{`"/"`},
			Line:    `chdir("/") or ENOENT, EACCES: leaves out 1`,
			Allowed: []unix.Errno{unix.ENOENT, unix.EACCES},
			Skip:    1,
		},
		{Name: "setsid", Line: "setsid()"},
		{
			Name:    "chdir",
			Args:    []string{`"/a"`},
			Line:    `chdir("/a") or EIO`,
			Allowed: []unix.Errno{unix.EIO},
		},
	}, p.Calls())
}

var errFull = errors.New("full")

// full is a disk that is full.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }
