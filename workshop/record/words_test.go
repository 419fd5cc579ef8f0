//go:build linux

package record

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"container.example/workshop/internal/ptrace"
	"container.example/workshop/internal/skip"
)

// TestFilter requires of the filter that it stops at a call if the conditions hold, and only then.
func TestFilter(t *testing.T) {
	filter, err := newFilter(callNumbers())
	require.NoError(t, err)
	const mostInstructions = 4096 // BPF_MAXINSNS
	require.Less(t, len(filter), mostInstructions)
	var program []bpf.Instruction
	for _, f := range filter {
		raw := bpf.RawInstruction{Op: f.Code, Jt: f.Jt, Jf: f.Jf, K: f.K}
		program = append(program, raw.Disassemble())
	}
	vm, err := bpf.NewVM(program)
	require.NoError(t, err)
	stops := func(arch uint32, number int, args [6]uint64) bool {
		// The virtual machine reads words in the order of the network.
		data := binary.BigEndian.AppendUint32(nil, uint32(number))
		data = binary.BigEndian.AppendUint32(data, arch)
		data = append(data, make([]byte, 8)...)
		for _, arg := range args {
			data = binary.BigEndian.AppendUint32(data, uint32(arg))
			data = binary.BigEndian.AppendUint32(data, uint32(arg>>32))
		}
		action, err := vm.Run(data)
		require.NoError(t, err)
		return uint32(action) == unix.SECCOMP_RET_TRACE&0xffffffff
	}
	values := []uint64{
		0, 1, 2, 3, 4, 22, 47, 64, 128, ptrace.PageSize - 1, ptrace.PageSize, unix.CLONE_THREAD,
		unix.TIOCSCTTY, unix.SIOCSIFFLAGS, 1 << 32, 0x7fff00000000,
	}
	for _, number := range callNumbers() {
		for _, value := range values {
			args := [6]uint64{value, value, value, value, value, value}
			condition, _ := conditionOf(number)
			want := condition.holds(args)
			require.Equal(t, want, stops(auditArch, number, args), "call %d %#x", number, value)
			require.False(t, stops(unix.AUDIT_ARCH_I386, number, args))
		}
	}
	const mostNumber = 1000
	for number := range mostNumber {
		if kindOf(uint64(number)) == nil {
			require.False(t, stops(auditArch, number, [6]uint64{}), "call %d", number)
		}
	}
}

func TestFlagNames(t *testing.T) {
	require.Equal(t, "MS_BIND|MS_REC", flagNames(unix.MS_REC|unix.MS_BIND, mountFlags))
	require.Equal(t, "0", flagNames(0, mountFlags))
	require.Equal(t, "MS_NODEV|0x40000000", flagNames(unix.MS_NODEV|1<<30, mountFlags))
	require.Equal(t, "CLONE_NEWUTS|SIGCHLD",
		withSignal(unix.CLONE_NEWUTS, uint64(unix.SIGCHLD)))
}

func TestCapabilityNames(t *testing.T) {
	require.Equal(t, []string{"all"}, capabilityNames(allCapabilities()))
	require.Equal(t, []string{"CHOWN", "SYS_ADMIN"},
		capabilityNames(1<<unix.CAP_CHOWN|1<<unix.CAP_SYS_ADMIN))
	require.Equal(t, []string{}, capabilityNames(0))
}

func TestMapWords(t *testing.T) {
	require.Equal(t, "uid 0 inside is 1000 outside", mapWords("uid", 0, 1000, 1))
	require.Equal(t, "gids 0 to 65535 inside are 100000 to 165535 outside",
		mapWords("gid", 0, 100000, 65536))
}

func TestPlainName(t *testing.T) {
	for symbol, want := range map[string]string{
		"main":                            "main",
		"_ZN2ru4main17h65261bbffe73fef2E": "ru::main",
		"_ZN9container5setupEv":           "container::setup",
		"_ZN1r4main28_$u7b$$u7b$closure$u7d$$u7d$17h65261bbffe73fef2E": "r::main::{{closure}}",
		"_ZN31_$LT$r..Box$u20$as$u20$Drop$GT$4dropE":                   "<r::Box as Drop>::drop",
		"_ZN99short":                   "_ZN99short",
		"_ZN99999999999999999999short": "_ZN99999999999999999999short",
		"_ZNK3box3runE":                "_ZNK3box3runE",
		"_ZN":                          "_ZN",
		"_ZNE":                         "_ZNE",
		"":                             "",
	} {
		require.Equal(t, want, plainName(symbol))
	}
}

func TestUnshared(t *testing.T) {
	require.Equal(t, "the process moves to a new namespace of its own: uts",
		unshared(unix.CLONE_NEWUTS))
	require.Equal(t, "the children that come are in a new namespace: pid",
		unshared(unix.CLONE_NEWPID))
	require.Equal(t, "the process moves to new namespaces of its own: uts and mnt; "+
		"only the children that come are in a new one of pid",
		unshared(unix.CLONE_NEWUTS|unix.CLONE_NEWNS|unix.CLONE_NEWPID))
}

func TestCloned(t *testing.T) {
	for flags, want := range map[uint64]string{
		0: "a copy of the process begins",
		// runc does this twice, so that its init becomes a child of the first process.
		unix.CLONE_PARENT: "a copy of the process begins; its parent is the parent of the process",
		unix.CLONE_VM | unix.CLONE_VFORK: "a child begins, in the memory of its parent until it " +
			"executes a program",
		unix.CLONE_NEWUTS: "a child begins in a new namespace of its own: uts",
	} {
		c := &call{}
		c.cloned(flags, uint64(unix.SIGCHLD))
		require.Equal(t, want, c.words)
	}
}

// TestUmount requires that a promise about the old root belongs to an umount(2) only where there is
// an old root: runc has a mount of its own program before, and takes that away, and crun has one
// each time that podman calls it.
func TestUmount(t *testing.T) {
	target := []byte("/mnt\x00")
	address := uint64(uintptr(unsafe.Pointer(&target[0])))
	tr := newTracer(Options{})
	tr.root = 1
	tr.state.Processes = map[int]*Process{
		1: {Namespaces: map[string]string{"mnt": "of the host"}},
		2: {Namespaces: map[string]string{"mnt": "of the container"}},
		3: {Namespaces: map[string]string{"mnt": "of a copy of those"}},
	}
	tr.recording.Start = tr.state
	by := func(pid int) *call {
		return &call{
			tracer: tr,
			thread: &thread{tid: os.Getpid(), process: &process{pid: pid}},
			raw:    [6]uint64{address},
		}
	}
	promises := func(pid int) []string {
		c := by(pid)
		require.True(t, decodeUmount(c))
		return promisesOf(c.key)
	}
	require.Empty(t, promises(2))
	by(2).becomesRoot("/rootfs")
	require.Contains(t, promises(2), "host-old-root")
	require.Contains(t, promises(3), "host-old-root", "it came along")
	require.Empty(t, promises(1), "where the root is the old one")
	by(1).becomesRoot("/rootfs")
	require.Contains(t, promises(1), "host-old-root")
	runtime.KeepAlive(target)
}

func TestShortIDs(t *testing.T) {
	id := strings.Repeat("0123456789abcdef", 4)
	for text, want := range map[string]string{
		id:                                "0123456789ab…",
		"libpod-" + id + " (pids)":        "libpod-0123456789ab… (pids)",
		"/a/" + id + "/b/" + id + " here": "/a/0123456789ab…/b/0123456789ab… here",
		id + "0":                          id + "0",
		id[1:]:                            id[1:],
		"":                                "",
	} {
		require.Equal(t, want, shortIDs(text))
	}
}

// TestLimits has the limit of open files as a step only where it is that of another process, as
// runc sets that of its init: each program of Go sets its own.
func TestLimits(t *testing.T) {
	limit := []uint64{1000, 2000}
	address := uint64(uintptr(unsafe.Pointer(&limit[0])))
	c := &call{
		tracer: newTracer(Options{}), thread: &thread{tid: os.Getpid(), process: &process{}},
		raw: [6]uint64{0, unix.RLIMIT_NOFILE, address},
	}
	require.False(t, decodePrlimit(c))
	c.raw[0] = 7
	require.True(t, decodePrlimit(c))
	require.Equal(t, "the limit RLIMIT_NOFILE of process 7 becomes 1000, at most 2000", c.words)
	runtime.KeepAlive(limit)
}

// TestAsksForFilters has no step where a program asks whether the kernel has filters.
func TestAsksForFilters(t *testing.T) {
	c := &call{raw: [6]uint64{unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER}}
	require.False(t, decodePrctl(c))
}

// TestPromisesOfMove requires of a move to a control group of version 1 the promises of its
// hierarchy alone.
func TestPromisesOfMove(t *testing.T) {
	tr := newTracer(Options{})
	c := &call{tracer: tr}
	for _, test := range []struct {
		cgroups, file string
		want          []string
	}{
		{
			"v2", "/sys/fs/cgroup/a/cgroup.procs",
			[]string{"memory-hog", "pids-fork-loop", "cpu-share"},
		},
		{"v1", "/sys/fs/cgroup/memory/a/cgroup.procs", []string{"memory-hog"}},
		{"v1", "/sys/fs/cgroup/cpu,cpuacct/a/tasks", []string{"cpu-share"}},
		{"v1", "/sys/fs/cgroup/cpuset/a/tasks", nil},
		{"hybrid", "/sys/fs/cgroup/unified/a/cgroup.procs", nil},
	} {
		tr.recording.Machine.Cgroups = test.cgroups
		_, key := c.fileWords(cgroupFile, test.file)
		require.Equal(t, test.want, promisesOf("write "+key), test.file)
	}
}

// TestCgroupName tells the control groups of one name apart that version 1 has in its hierarchies.
func TestCgroupName(t *testing.T) {
	tr := newTracer(Options{})
	c := &call{tracer: tr}
	for _, test := range []struct{ cgroups, dir, want string }{
		{"v2", "/sys/fs/cgroup", "at the root"},
		{"v2", "/sys/fs/cgroup/a", "a"},
		{"v2", "/sys/fs/cgroup/a/b", "b"},
		{"v1", "/sys/fs/cgroup/pids", "at the root (pids)"},
		{"v1", "/sys/fs/cgroup/pids/a/b", "b (pids)"},
		{"hybrid", "/sys/fs/cgroup/unified/a", "a (unified)"},
	} {
		tr.recording.Machine.Cgroups = test.cgroups
		require.Equal(t, test.want, c.cgroupName(test.dir))
	}
}

// TestOlderGo finds the lines of a program that a distribution has built with a release of Go of
// its own, without symbols, and beside C: Debian 12 has 1.19.
func TestOlderGo(t *testing.T) {
	file := skip.Tool(t, "runc", "runc")
	p := readProgram(file)
	require.NotNil(t, p)
	require.NotNil(t, p.golang)
	f, err := elf.Open(file)
	require.NoError(t, err)
	defer f.Close()
	require.Greater(t, p.golang.text, f.Section(".text").Addr, "functions of C come first")
	const owner = "github.com/opencontainers/runc/libcontainer"
	found := false
	for i := range p.golang.count() {
		f := p.golang.functionAt(i)
		if p.golang.name(f) != owner+".pivotRoot" {
			continue
		}
		found = true
		place := p.golang.place(0, f.entry, 0)
		require.NotNil(t, place)
		require.Equal(t, owner+".pivotRoot", place.Function)
		require.Contains(t, place.File, owner+"/rootfs_linux.go")
		require.Positive(t, place.Line)
	}
	require.True(t, found)
}

func TestRepository(t *testing.T) {
	for path, want := range map[string]string{
		"github.com/containers/podman/cmd/podman": "github.com/containers/podman",
		"github.com/opencontainers/runc":          "github.com/opencontainers/runc",
		"example.com/x":                           "",
		"command-line-arguments":                  "",
		"a/b/c/d":                                 "",
	} {
		require.Equal(t, want, repository(path))
	}
}

// netlink makes a message with a header of its kind and attributes behind it.
func netlink(kind uint16, header []byte, attributes ...[]byte) []byte {
	var body []byte
	body = append(body, header...)
	for _, a := range attributes {
		body = append(body, a...)
	}
	message := binary.NativeEndian.AppendUint32(nil, uint32(16+len(body)))
	message = binary.NativeEndian.AppendUint16(message, kind)
	message = append(message, make([]byte, 10)...)
	return append(message, body...)
}

func attribute(kind uint16, value []byte) []byte {
	a := binary.NativeEndian.AppendUint16(nil, uint16(4+len(value)))
	a = binary.NativeEndian.AppendUint16(a, kind)
	a = append(a, value...)
	return append(a, make([]byte, align4(len(value))-len(value))...)
}

// linkHeader is struct ifinfomsg.
func linkHeader(index, flags, change uint32) []byte {
	h := binary.NativeEndian.AppendUint32(make([]byte, 4), index)
	h = binary.NativeEndian.AppendUint32(h, flags)
	return binary.NativeEndian.AppendUint32(h, change)
}

// TestSocket requires that a refusal belongs to one of the messages, and that a descriptor is
// copied only if it is that of the socket.
func TestSocket(t *testing.T) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE)
	require.NoError(t, err)
	defer unix.Close(fd)
	const nowhere, sequence = 4711, 7
	m := netlink(unix.RTM_NEWLINK, linkHeader(nowhere, unix.IFF_UP, unix.IFF_UP))
	binary.NativeEndian.PutUint16(m[6:], unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	binary.NativeEndian.PutUint32(m[8:], sequence)
	require.NoError(t, unix.Sendto(fd, m, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}))

	c := &call{thread: &thread{process: &process{pid: os.Getpid()}}}
	require.Equal(t, -1, c.copySocket(fd, "socket:[1]").fd, "another socket")
	s := c.copySocket(fd, readLink(fmt.Sprint("/proc/self/fd/", fd)))
	require.NotEqual(t, -1, s.fd)
	defer s.close()
	for _, test := range []struct {
		kind     int
		sequence uint32
		refused  bool
	}{
		{unix.RTM_NEWLINK, sequence, true},
		{unix.RTM_NEWLINK, sequence + 1, false},
		{unix.RTM_DELLINK, sequence, false},
	} {
		errno := s.refusal([]message{{kind: test.kind, sequence: test.sequence}})
		require.Equal(t, test.refused, errno != 0, "%+v", test)
	}
}

func TestNetlink(t *testing.T) {
	nameOf := func(n int) string { return fmt.Sprintf("if%d", n) }
	for _, test := range []struct {
		message    []byte
		words, key string
	}{
		{
			netlink(unix.RTM_NEWLINK, linkHeader(1, unix.IFF_UP, unix.IFF_UP)),
			"the interface if1 goes up", "link up",
		},
		{
			netlink(unix.RTM_NEWLINK, linkHeader(0, 0, 0),
				attribute(unix.IFLA_IFNAME, []byte("v0\x00")),
				attribute(unix.IFLA_LINKINFO, attribute(unix.IFLA_INFO_KIND, []byte("veth")))),
			"a new interface v0 of type veth", "link add veth",
		},
		{
			netlink(unix.RTM_NEWADDR, []byte{unix.AF_INET, 24, 0, 0, 2, 0, 0, 0},
				attribute(unix.IFA_LOCAL, []byte{10, 0, 0, 2})),
			"the interface if2 gets the address 10.0.0.2/24", "addr add",
		},
		{
			netlink(unix.RTM_NEWROUTE, make([]byte, 12),
				attribute(unix.RTA_GATEWAY, []byte{10, 0, 0, 1})),
			"a route to everywhere else by 10.0.0.1", "route add default",
		},
		{
			netlink(unix.RTM_NEWROUTE, make([]byte, 12),
				attribute(unix.RTA_GATEWAY, []byte{10, 0, 0, 1}),
				attribute(unix.RTA_OIF, make([]byte, 4))),
			"a route to everywhere else by 10.0.0.1", "route add default",
		},
		{
			netlink(unix.RTM_NEWLINK, linkHeader(3, 0, 0),
				attribute(unix.IFLA_MASTER, make([]byte, 4))),
			"the interface if3 is unplugged", "link nomaster",
		},
		{netlink(unix.RTM_GETLINK, linkHeader(0, 0, 0)), "", ""},
		{netlink(unix.RTM_NEWLINK, linkHeader(0, 0, 0)), "", ""},
	} {
		messages := splitMessages(test.message)
		require.Len(t, messages, 1)
		words, key := messages[0].describe(unix.NETLINK_ROUTE, nameOf)
		require.Equal(t, test.words, words)
		require.Equal(t, test.key, key)
	}
	require.Empty(t, splitMessages([]byte("no message at all")))
	require.Empty(t, splitMessages(nil))
}

func TestPropagation(t *testing.T) {
	for optional, want := range map[string]string{
		"":                    "private",
		"shared:1":            "shared",
		"master:2":            "slave",
		"shared:1 master:2":   "shared,slave",
		"unbindable":          "unbindable",
		"propagate_from:3 x:": "private",
	} {
		require.Equal(t, want, propagation(optional))
	}
}

// A file that is shorter than it says, or becomes so, is no program, and ends nobody.
func TestShortProgram(t *testing.T) {
	text, err := os.ReadFile("/proc/self/exe")
	require.NoError(t, err)
	f, err := elf.NewFile(bytes.NewReader(text))
	require.NoError(t, err)
	tables := f.Section(".gopclntab")
	require.NotNil(t, tables)

	// The header says that the tables go on behind the end of the file.
	const sizeAt = 32 // in a header of a section (elf(5))
	headers, size := structure(text).u64(40), uint64(structure(text).u16(58))
	at := headers + size*uint64(slices.Index(f.Sections, tables)) + sizeAt
	short := slices.Clone(text)
	binary.NativeEndian.PutUint64(short[at:], uint64(len(text)))
	name := filepath.Join(t.TempDir(), "program")
	require.NoError(t, os.WriteFile(name, short, 0o755))
	if p := readProgram(name); p != nil {
		require.Nil(t, p.golang)
	}

	// The tables have more functions than they have room for.
	many := slices.Clone(text)
	binary.NativeEndian.PutUint64(many[tables.Offset+countAt:], 1<<60)
	require.NoError(t, os.WriteFile(name, many, 0o755))
	require.NotPanics(t, func() { readProgram(name) })

	// They are gone when somebody looks for a place.
	require.NoError(t, os.WriteFile(name, text, 0o755))
	l := &loaded{program: readProgram(name)}
	require.NotNil(t, l.golang)
	require.NoError(t, os.Truncate(name, 0))
	require.Equal(t, knownPlace{}, l.at(os.Getpid(), l.golang.text))
	l.start, l.end = l.golang.text, l.golang.text+1<<20
	calls := []uint64{l.start + 1, 1, 1}
	address := uint64(uintptr(unsafe.Pointer(&calls[0])))
	for _, ip := range []uint64{l.start + 1, l.end + 1} { // Go, and C
		info := &ptrace.SyscallInfo{IP: ip, SP: address}
		for range l.returns(os.Getpid(), info) {
			continue
		}
	}
	runtime.KeepAlive(calls)
}

// TestOrphan takes on a process that stops for the first time when its parent was killed, and kills
// it if all are; but not one whose parent is there to tell of it.
func TestOrphan(t *testing.T) {
	child := exec.Command("sleep", "3600")
	require.NoError(t, child.Start())
	defer func() { _ = child.Process.Kill() }()
	pid := child.Process.Pid
	const stopped = 0x7f | unix.WaitStatus(unix.SIGTRAP)<<8 | unix.PTRACE_EVENT_STOP<<16
	for _, root := range []int{os.Getppid(), 0} {
		tr := newTracer(Options{})
		if tr.root = root; root != 0 {
			tr.addThread(root, &process{pid: root})
		}
		const nobody = 1 << 30
		tr.ended(nobody, unix.WaitStatus(unix.SIGKILL))
		tr.killing = root == 0
		tr.stopped(pid, stopped)
		require.Equal(t, root == 0, tr.threads[pid] != nil)
	}
	require.ErrorContains(t, child.Wait(), "killed")
}

// TestFilesOfCgroup sees the files that a control group gets later, with controllers that are
// passed on to it, and those of another one with the same name.
func TestFilesOfCgroup(t *testing.T) {
	dir := t.TempDir()
	group := filepath.Join(dir, "a")
	tr := newTracer(Options{})
	tr.host = host{cgroups: []hierarchy{{point: dir, root: "/"}}, files: map[string][]string{}}
	tr.state.Cgroups = map[string]*Cgroup{}
	tr.changes = &Changes{}
	after := func(about string, files ...string) {
		for _, name := range files {
			require.NoError(t, os.WriteFile(filepath.Join(group, name), []byte("1\n"), 0o644))
		}
		tr.lookAfter(&call{
			kind: &callKind{looks: lookCgroups}, about: about,
			thread: &thread{process: &process{}},
		})
	}
	require.NoError(t, os.Mkdir(group, 0o755))
	after(group, "cgroup.procs")
	require.Empty(t, tr.state.Cgroups[":/a"].Files)
	after("cgroup.subtree_control", "pids.max")
	require.Equal(t, map[string]string{"pids.max": "1"}, tr.state.Cgroups[":/a"].Files)

	require.NoError(t, os.RemoveAll(group))
	after(group)
	require.Empty(t, tr.state.Cgroups)
	require.NoError(t, os.Mkdir(group, 0o755))
	after(group, "cgroup.procs", "memory.max")
	require.Equal(t, map[string]string{"memory.max": "1"}, tr.state.Cgroups[":/a"].Files)
}

// TestProcPath requires the files of processes and threads in /proc to be told from others.
func TestProcPath(t *testing.T) {
	for path, want := range map[string]string{
		"/proc/7/uid_map":                 "7 uid_map map",
		"/proc/self/task/8/gid_map":       "self gid_map map",
		"/proc/thread-self/setgroups":     "thread-self setgroups map",
		"/proc/self/attr/apparmor/exec":   "self attr/apparmor/exec proc",
		"/proc/7/task/8/oom_score_adj":    "7 oom_score_adj proc",
		"/proc/7/task/x/oom_score_adj":    "7 task/x/oom_score_adj ",
		"/proc/self/uid_map/x":            "self uid_map/x ",
		"/proc/sys/uid_map":               "  ",
		"/proc/uid_map":                   "  ",
		"/proc//uid_map":                  "  ",
		"/srv/proc/7/uid_map":             "  ",
		"/proc/self/fd/12":                "self fd/12 ",
		"/proc/thread-self/task/7/attr/x": "thread-self attr/x proc",
	} {
		process, file, _ := procPath(path)
		got := process + " " + file + " " + procFileKind(file)
		require.Equal(t, want, got, "%s", path)
	}
	for path, want := range map[string]int{
		"/proc/self/fd/12": 12, "/proc/thread-self/fd/0": 0,
		"/proc/self/fd/-1": -1, "/proc/self/fd/": -1, "/proc/7/fd/3": -1, "/proc/self/fd/3/x": -1,
	} {
		fd, ok := descriptorOf(path)
		require.Equal(t, want >= 0, ok, "%s", path)
		require.Equal(t, max(want, 0), fd, "%s", path)
	}
}
