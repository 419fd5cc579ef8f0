//go:build linux

package record

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"container.example/workshop/internal/harness"
	"container.example/workshop/internal/skip"
)

// helperEnv has the test's own program do something to be recorded: see helpers.
const helperEnv = "RECORD_TEST"

func TestMain(m *testing.M) {
	if name := os.Getenv(helperEnv); name != "" {
		helpers[name]()
		os.Exit(0)
	}
	dir, err := os.MkdirTemp("", "record-")
	if err != nil {
		panic(err) // without a place for temporary files there are no tests
	}
	firstRootfs = filepath.Join(dir, "rootfs")
	status := m.Run()
	_ = os.RemoveAll(dir) // an error: it is one of the temporary files that stay
	os.Exit(status)
}

var helpers = map[string]func(){
	"many": func() {
		for range manyCalls {
			_ = unix.Chroot("/nonexistent")
		}
	},
	// A filter that refuses unshare(2), and then the call.
	"filter": func() {
		runtime.LockOSThread()
		program, err := bpf.Assemble([]bpf.Instruction{
			bpf.LoadAbsolute{Off: dataNumber, Size: 4},
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.SYS_UNSHARE, SkipTrue: 1},
			bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(unix.EXDEV)},
			bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW},
		})
		var filter []unix.SockFilter
		for _, r := range program {
			filter = append(filter, unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K})
		}
		if err != nil || unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != nil ||
			installFilter(filter) != nil {
			os.Exit(1)
		}
		_ = unix.Unshare(unix.CLONE_NEWUTS)
	},
	// A child that its maker does not want to be followed: without a tracer our filter would
	// refuse what it does.
	"untraced": func() {
		runtime.LockOSThread()
		if pid := cloneUntraced(); pid > 0 {
			var status unix.WaitStatus
			if _, err := unix.Wait4(pid, &status, 0, nil); err == nil {
				os.Exit(status.ExitStatus())
			}
		}
		os.Exit(1)
	},
	// A program that another thread executes than the first one.
	"thread": func() {
		go executeElsewhere()
		select {}
	},
	// The program itself, by a descriptor.
	"descriptor": func() {
		runtime.LockOSThread()
		fd, err := unix.Open("/proc/self/exe", unix.O_PATH|unix.O_CLOEXEC, 0)
		if err == nil {
			args := []*byte{&[]byte("again\x00")[0], nil}
			environ := []*byte{&[]byte(helperEnv + "=nothing\x00")[0], nil}
			_, _, _ = unix.RawSyscall6(unix.SYS_EXECVEAT, uintptr(fd),
				uintptr(unsafe.Pointer(&[]byte{0}[0])), uintptr(unsafe.Pointer(&args[0])),
				uintptr(unsafe.Pointer(&environ[0])), unix.AT_EMPTY_PATH, 0)
		}
		os.Exit(1)
	},
	"follower": func() {
		runtime.LockOSThread()
		_, _, _ = unix.RawSyscall(unix.SYS_PTRACE, unix.PTRACE_TRACEME, 0, 0)
	},
	"strict": func() {
		runtime.LockOSThread()
		_ = unix.Prctl(unix.PR_SET_SECCOMP, 1, 0, 0, 0) // SECCOMP_MODE_STRICT
	},
	"bind": func() {
		dir := os.Getenv("PWD")
		if err := os.Chdir(dir); err != nil || unix.Mount(".", dir, "", unix.MS_BIND, "") != nil {
			os.Exit(1)
		}
	},
	"bind descriptor": func() {
		dir := os.Getenv("PWD")
		fd, err := unix.Open(dir, unix.O_PATH, 0)
		if err != nil || os.Chdir("/proc") != nil ||
			unix.Mount("self/fd/"+strconv.Itoa(fd), dir, "", unix.MS_BIND, "") != nil {
			os.Exit(1)
		}
	},
	// Messages of a socket that was not bound: one for lo, and one for an interface that is not
	// there. The answer to that is not read before the next message, which is for lo again.
	"netlink": func() {
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE)
		if err != nil {
			os.Exit(1)
		}
		const lo, nowhere = 1, 4711
		for _, header := range [][]byte{
			linkHeader(lo, unix.IFF_UP, unix.IFF_UP),
			linkHeader(nowhere, unix.IFF_UP, unix.IFF_UP),
			linkHeader(lo, 0, unix.IFF_UP),
		} {
			m := netlink(unix.RTM_NEWLINK, header)
			binary.NativeEndian.PutUint16(m[6:], unix.NLM_F_REQUEST|unix.NLM_F_ACK)
			kernel := &unix.SockaddrNetlink{Family: unix.AF_NETLINK}
			if unix.Sendto(fd, m, 0, kernel) != nil {
				os.Exit(1)
			}
			if structure(header).u32(4) == nowhere {
				continue
			}
			answer := make([]byte, 1<<10)
			n, _, err := unix.Recvfrom(fd, answer, unix.MSG_DONTWAIT)
			if err != nil || len(splitMessages(answer[:n])) != 1 {
				os.Exit(1)
			}
		}
	},
	"nothing": func() {},
	"keyring": func() {
		fmt.Println(unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, false))
	},
}

// installFilter gives this thread a filter.
func installFilter(filter []unix.SockFilter) error {
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0,
		uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return errno
	}
	return nil
}

const manyCalls = 20000

// executeElsewhere executes a program by a thread that is not the first one.
func executeElsewhere() {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		go executeElsewhere()
		select {}
	}
	_ = unix.Exec("/proc/self/exe", []string{"again"}, []string{helperEnv + "=nothing"})
	os.Exit(1)
}

// cloneUntraced makes a child that makes a session, and ends with 7 if it may.
//
//go:nosplit
//go:norace
func cloneUntraced() int {
	pid, _, errno := unix.RawSyscall6(unix.SYS_CLONE, unix.CLONE_UNTRACED|uintptr(unix.SIGCHLD),
		0, 0, 0, 0, 0)
	if errno != 0 {
		return -1
	}
	if pid != 0 {
		return int(pid)
	}
	status := uintptr(7)
	if _, _, errno := unix.RawSyscall(unix.SYS_SETSID, 0, 0, 0); errno != 0 {
		status = uintptr(errno)
	}
	for {
		unix.RawSyscall(unix.SYS_EXIT_GROUP, status, 0, 0)
	}
}

// run records a command, and returns with the recording what the command printed.
func run(t *testing.T, o Options, command ...string) (*Recording, string) {
	t.Helper()
	reader, writer, err := os.Pipe()
	require.NoError(t, err)
	var out bytes.Buffer
	read := make(chan error, 1)
	go func() {
		_, err := io.Copy(&out, reader)
		read <- err
	}()
	o.Command, o.Stdout, o.Stderr = command, writer, writer
	if o.Limit == 0 {
		o.Limit = 3 * time.Minute
	}
	keepsStreams := streamsOfTest(t)
	r, err := Run(context.Background(), o)
	keepsStreams()
	require.NoError(t, writer.Close())
	require.NoError(t, reader.SetReadDeadline(time.Now().Add(time.Minute)))
	require.NoError(t, <-read, "somebody still has the pipe of the command")
	require.NoError(t, reader.Close())
	require.NoError(t, err)
	return r, out.String()
}

// streamsOfTest returns a function that fails the test, in words that are still to be seen, if the
// standard streams of this process are others by then: the child would have taken its own for both.
func streamsOfTest(t *testing.T) (keeps func()) {
	t.Helper()
	identify := func(fd int) (st unix.Stat_t) {
		require.NoError(t, unix.Fstat(fd, &st))
		return unix.Stat_t{Dev: st.Dev, Ino: st.Ino}
	}
	var copies [3]int
	for fd := range copies {
		var err error
		copies[fd], err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
		require.NoError(t, err)
	}
	return func() {
		t.Helper()
		var changed []int
		for fd, before := range copies {
			if identify(fd) != identify(before) {
				changed = append(changed, fd)
				require.NoError(t, unix.Dup3(before, fd, 0))
			}
			require.NoError(t, unix.Close(before))
		}
		require.Empty(t, changed, "streams of the recorder that the child has changed")
	}
}

// runHelper records the test's own program.
func runHelper(t *testing.T, o Options, name string) *Recording {
	t.Helper()
	t.Setenv(helperEnv, name)
	r, out := run(t, o, os.Args[0])
	require.Empty(t, out)
	return r
}

// copyOfTest is a copy of this program that belongs to the user of the test. The program may belong
// to somebody else whose directories are closed, where root runs the test of a user: root of a user
// namespace that knows no such user does not get in.
func copyOfTest(t *testing.T) string {
	t.Helper()
	program, err := os.ReadFile("/proc/self/exe")
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "program")
	require.NoError(t, os.WriteFile(path, program, 0o755))
	return path
}

// find is the only step with a key, and its index.
func find(t *testing.T, r *Recording, key string) (int, Step) {
	t.Helper()
	found := -1
	for i, s := range r.Steps {
		if s.Key == key {
			require.Equal(t, -1, found, "%q is there twice", key)
			found = i
		}
	}
	require.NotEqual(t, -1, found, "%q is not in\n%s", key, strings.Join(keys(r), "\n"))
	return found, r.Steps[found]
}

func keys(r *Recording) (keys []string) {
	for _, s := range r.Steps {
		keys = append(keys, s.Key)
	}
	return keys
}

// requireOrder requires that the keys come in this order, whatever is between them.
func requireOrder(t *testing.T, r *Recording, want ...string) {
	t.Helper()
	rest := keys(r)
	for _, key := range want {
		i := slices.Index(rest, key)
		require.NotEqual(t, -1, i, "no %q, or not there, in\n%s", key, strings.Join(keys(r), "\n"))
		rest = rest[i+1:]
	}
}

// build builds a program of the module.
func build(t *testing.T, name string) string {
	t.Helper()
	harness.NeedsGo(t)
	file := filepath.Join(t.TempDir(), "container")
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", file, "../../"+name)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return file
}

// firstRootfs is where makeRootfs makes the root file system that tests get copies of.
var firstRootfs string

// makeRootfs makes a root file system with a BusyBox, once: the script starts a process for each of
// its 400 links.
var makeRootfs = sync.OnceValues(func() ([]byte, error) {
	return exec.Command("../../scripts/mkrootfs.sh", "-o", firstRootfs).CombinedOutput()
})

// rootfs is a root file system of this test alone.
func rootfs(t *testing.T) string {
	t.Helper()
	out, err := makeRootfs()
	require.NoError(t, err, "%s", out)
	dir := filepath.Join(t.TempDir(), "rootfs")
	out, err = exec.Command("cp", "-a", firstRootfs, dir).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return dir
}

// user is what has to be added to -ns so that an ordinary user may make the others.
func user() string {
	if os.Getuid() == 0 {
		return ""
	}
	return "user,"
}

func TestStep1(t *testing.T) {
	r, out := run(t, Options{}, build(t, "step1-skeleton"), "run", "sh", "-c", "echo hello")
	require.Equal(t, "hello\n", out)
	require.Equal(t, "status 0", r.Ended)
	require.Empty(t, r.Cut)
	requireOrder(t, r, "execve container", "fork", "execve itself", "fork", "execve sh",
		"exit status 0", "exit status 0", "exit status 0")
	require.Len(t, r.Start.Processes, 1)
	require.Empty(t, r.After(len(r.Steps)).Processes)
	_, step := find(t, r, "execve sh")
	require.Equal(t, "main.start", step.Place.Function)
	require.Contains(t, r.Source[step.Place.File][step.Place.Line], "Start")
}

func TestStep2(t *testing.T) {
	r, _ := run(t, Options{}, build(t, "step2-namespaces"), "run",
		"-ns", user()+"uts,pid,mnt", "-hostname", "inside", "true")
	require.Equal(t, "status 0", r.Ended)
	clone := "clone mnt pid uts"
	if user() != "" {
		clone = "clone mnt pid user uts"
	}
	requireOrder(t, r, "execve container", clone, "execve itself", "sethostname", "execve true")
	i, step := find(t, r, clone)
	require.NotEmpty(t, step.Promises)
	child, err := strconv.Atoi(strings.TrimPrefix(step.Result, "pid "))
	require.NoError(t, err)
	before, after := r.After(i), r.After(i+1)
	require.NotContains(t, before.Processes, child)
	pids := after.Processes[child].PIDs
	require.Equal(t, 1, pids[len(pids)-1])
	require.Equal(t, child, pids[len(pids)-2])
	outside := after.Processes[step.PID].Namespaces
	inside := after.Processes[child].Namespaces
	for _, kind := range []string{"uts", "pid", "mnt"} {
		require.NotEqual(t, outside[kind], inside[kind], kind)
	}
	require.Equal(t, outside["net"], inside["net"])
	require.Len(t, after.Mounts[inside["mnt"]], len(after.Mounts[outside["mnt"]]))

	i, step = find(t, r, "sethostname")
	require.Equal(t, []Arg{{Name: "name", Value: "inside"}}, step.Args)
	host := r.After(i).Hostnames[outside["uts"]]
	require.Equal(t, host, r.After(i).Hostnames[inside["uts"]])
	require.Equal(t, "inside", r.After(i + 1).Hostnames[inside["uts"]])
	require.Equal(t, host, r.After(i + 1).Hostnames[outside["uts"]])
}

func TestStep3(t *testing.T) {
	dir := rootfs(t)
	r, _ := run(t, Options{}, build(t, "step3-rootfs"), "run",
		"-ns", user()+"uts,pid,mnt", "-rootfs", dir, "true")
	require.Equal(t, "status 0", r.Ended)
	requireOrder(t, r, "mount private /", "mount bind /", "chdir /", "pivot_root",
		"mount proc /proc", "umount /", "execve true")
	i, step := find(t, r, "pivot_root")
	require.Contains(t, step.Words, dir)
	require.Equal(t, "pivot_root(2)", step.Man)
	require.Equal(t, "main.pivotRoot", step.Place.Function)
	require.Contains(t, r.Source[step.Place.File][step.Place.Line], "PivotRoot(")
	require.Contains(t, step.Promises, "root-is-rootfs")
	ns := r.After(i).Processes[step.PID].Namespaces["mnt"]
	require.Equal(t, "/", r.After(i + 1).Processes[step.PID].Dir)

	for i, m := range r.Mounts {
		require.NotContains(t, r.Mounts[:i], m, "a mount is listed once")
	}
	i, _ = find(t, r, "umount /")
	before, after := r.Table(r.After(i).Mounts[ns]), r.Table(r.After(i + 1).Mounts[ns])
	require.Less(t, len(after), len(before))
	require.Equal(t, []string{"/", "/proc"}, points(after))
	require.NotContains(t, r.After(len(r.Steps)).Mounts, ns)
}

func points(mounts []Mount) (points []string) {
	for _, m := range mounts {
		points = append(points, m.Point)
	}
	return points
}

func TestStep4(t *testing.T) {
	if os.Getuid() != 0 {
		skip.Lacking(t, "asks for root: only root may make cgroups")
	}
	r, _ := run(t, Options{}, build(t, "step4-cgroups"), "run",
		"-rootfs", rootfs(t), "-memory", "64M", "true")
	require.Equal(t, "status 0", r.Ended)
	limit := "memory.max"
	if r.Machine.Cgroups != "v2" {
		limit = "memory.limit_in_bytes"
	}
	i, step := find(t, r, "write cgroup "+limit)
	require.Contains(t, step.Promises, "memory-file")
	require.Len(t, step.Changes.Cgroups, 1)
	for name, group := range step.Changes.Cgroups {
		require.Equal(t, strconv.Itoa(64<<20), group.Files[limit])
		members := 0
		for _, s := range r.Steps[i:] {
			for _, p := range s.Changes.Processes {
				if p != nil && slices.Contains(p.Cgroups, name) {
					members++
				}
			}
		}
		require.Positive(t, members)
		require.NotContains(t, r.After(len(r.Steps)).Cgroups, name)
	}
	requireOrder(t, r, "mkdir cgroup", "write cgroup "+limit, "execve true", "rmdir cgroup")
}

func TestStep5(t *testing.T) {
	r, out := run(t, Options{}, build(t, "step5-complete"), "run", "-rootfs", rootfs(t),
		"sh", "-c", "unshare -m true")
	require.Contains(t, out, "not permitted")
	requireOrder(t, r, "write uid_map", "sethostname", "netlink link up lo", "mount overlay /",
		"pivot_root", "umount /", "prctl PR_CAPBSET_DROP SYS_ADMIN", "prctl PR_SET_NO_NEW_PRIVS",
		"prctl PR_SET_SECCOMP", "execve sh", "unshare mnt")
	i, step := find(t, r, "execve sh")
	before, after := r.After(0).Processes[r.Steps[0].PID], r.After(i + 1).Processes[step.PID]
	require.Equal(t, before.Filters+1, after.Filters)
	require.True(t, after.NoNewPrivs)
	require.Len(t, after.Capabilities["bounding"], 14)
	require.NotEqual(t, before.UIDMap, after.UIDMap)
	require.NotEqual(t, before.UIDMap, "")
	lo := r.After(i + 1).Interfaces[after.Namespaces["net"]]
	require.Len(t, lo, 1)
	require.True(t, lo[0].Up)
	require.Contains(t, lo[0].Addresses, "127.0.0.1/8")
	// The program's own filter refuses the call before ours sees it.
	_, step = find(t, r, "unshare mnt")
	require.Equal(t, "EPERM", step.Errno)
}

// TestRuntime records a plan: a child without a runtime of its language, in the memory of its
// parent.
func TestRuntime(t *testing.T) {
	r, out := run(t, Options{}, build(t, "runtime"), "run", "-rootfs", rootfs(t), "hostname")
	require.Equal(t, "container\n", out)
	requireOrder(t, r, "keyctl KEYCTL_JOIN_SESSION_KEYRING", "write uid_map")
	requireOrder(t, r, "sethostname", "pivot_root", "move_mount /proc", "umount /",
		"seccomp", "execve hostname")
}

func TestRefused(t *testing.T) {
	skip.Tool(t, "unshare", "util-linux")
	command := []string{"unshare", "--mount", "true"}
	if os.Getuid() == 0 {
		skip.Tool(t, "setpriv", "util-linux")
		command = append([]string{
			"setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
		}, command...)
	}
	r, _ := run(t, Options{}, command...)
	require.Equal(t, "status 1", r.Ended)
	_, step := find(t, r, "unshare mnt")
	require.Equal(t, "EPERM", step.Errno)
	require.True(t, step.Changes.isEmpty())
	require.Equal(t, os.Getuid() != 0, len(r.Notes) > 0)
}

// TestNetlinkCalls requires that the first message of a socket is told, too, with what the kernel
// says to it.
func TestNetlinkCalls(t *testing.T) {
	skip.Tool(t, "unshare", "util-linux")
	t.Setenv(helperEnv, "netlink")
	r, _ := run(t, Options{}, "unshare", "--net", "--map-root-user", copyOfTest(t))
	require.Equal(t, "status 0", r.Ended)
	_, step := find(t, r, "netlink link up lo")
	require.Equal(t, "the interface lo goes up", step.Words)
	require.Empty(t, step.Errno)
	_, step = find(t, r, "netlink link up")
	require.Equal(t, "the interface number 4711 goes up", step.Words)
	require.Equal(t, "ENODEV", step.Errno)
	_, step = find(t, r, "netlink link down lo")
	require.Empty(t, step.Errno, "what was read was the answer to another message")
}

func TestKilled(t *testing.T) {
	r, _ := run(t, Options{}, "sh", "-c", "kill -KILL $$")
	require.Equal(t, "signal 9 (killed)", r.Ended)
	last := r.Steps[len(r.Steps)-1]
	require.Equal(t, "signal", last.Kind)
	require.Equal(t, "SIGKILL", last.Call)
	require.Contains(t, last.Changes.Processes, last.PID)
	require.Nil(t, last.Changes.Processes[last.PID])
}

// TestLimit ends a command that would not end, with all that it has started.
func TestLimit(t *testing.T) {
	r, _ := run(t, Options{Limit: time.Second}, "sh", "-c", "sleep 1000 & sleep 1000")
	require.Equal(t, "time limit of 1s", r.Cut)
	require.Equal(t, "signal 9 (killed)", r.Ended)
	require.Empty(t, r.After(len(r.Steps)).Processes)
}

func TestContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	r, err := Run(ctx, Options{
		Command: []string{"sleep", "1000"},
		Gate: func(Step) error {
			cancel()
			return nil
		},
	})
	require.NoError(t, err)
	require.Equal(t, "interrupted", r.Cut)
}

func TestGate(t *testing.T) {
	started, steps := false, 0
	r, err := Run(context.Background(), Options{
		Command: []string{"sleep", "1000"},
		Begin:   func(r *Recording) { started = len(r.Start.Processes) == 1 },
		Gate: func(s Step) error {
			steps++
			require.True(t, started)
			return io.EOF // the person has seen enough
		},
	})
	require.NoError(t, err)
	require.Equal(t, "EOF", r.Cut)
	require.Len(t, r.Steps, steps)
}

func TestManySteps(t *testing.T) {
	r := runHelper(t, Options{MaxSteps: 100}, "many")
	require.Len(t, r.Steps, 100)
	require.Equal(t, "status 0", r.Ended)
	require.Contains(t, r.Cut, "more than 100 steps: ")
	_, after, _ := strings.Cut(r.Cut, ": ")
	number, _, _ := strings.Cut(after, " ")
	left, err := strconv.Atoi(number)
	require.NoError(t, err)
	require.GreaterOrEqual(t, left, manyCalls-100)
}

func TestOwnFilter(t *testing.T) {
	r := runHelper(t, Options{}, "filter")
	require.Equal(t, "status 0", r.Ended)
	i, step := find(t, r, "unshare uts")
	require.Equal(t, "EXDEV", step.Errno)
	now, first := r.After(i).Processes[step.PID], r.After(1).Processes[step.PID]
	require.Equal(t, first.Filters+1, now.Filters)
	require.True(t, now.NoNewPrivs)
}

func TestUntraced(t *testing.T) {
	r := runHelper(t, Options{}, "untraced")
	require.Equal(t, "status 7", r.Ended)
	requireOrder(t, r, "fork", "setsid", "exit status 7", "exit status 7")
}

func TestOtherThreadExecutes(t *testing.T) {
	r := runHelper(t, Options{}, "thread")
	require.Equal(t, "status 0", r.Ended)
	_, step := find(t, r, "execve itself")
	require.Equal(t, r.Steps[0].PID, step.PID)
	require.Empty(t, step.Errno)
}

func TestExecutesItself(t *testing.T) {
	r := runHelper(t, Options{}, "descriptor")
	require.Equal(t, "status 0", r.Ended)
	_, step := find(t, r, "execve itself")
	require.Equal(t, "execveat", step.Call)
}

// TestNotHere requires a note of what a program may do elsewhere.
func TestNotHere(t *testing.T) {
	r := runHelper(t, Options{}, "follower")
	_, step := find(t, r, "ptrace")
	require.Equal(t, "EPERM", step.Errno)
	require.Contains(t, strings.Join(r.Notes, "\n"), "ptrace(2)")

	r = runHelper(t, Options{}, "strict")
	_, step = find(t, r, "prctl PR_SET_SECCOMP")
	require.Equal(t, "EINVAL", step.Errno)
	require.Contains(t, step.Words, "only read, write and exit")
	require.Contains(t, strings.Join(r.Notes, "\n"), "strict mode")
}

// Test32Bits says of a program of 32 bits that its calls are not seen.
func Test32Bits(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		skip.Lacking(t, "asks for a processor that has programs of 32 bits")
	}
	dir := t.TempDir()
	file, program := filepath.Join(dir, "main.go"), filepath.Join(dir, "small")
	require.NoError(t, os.WriteFile(file, []byte("package main\n\nfunc main() {}\n"), 0o644))
	cmd := exec.Command("go", "build", "-o", program, file)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH=386")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	if err := exec.Command(program).Run(); errors.Is(err, unix.ENOEXEC) {
		skip.Lacking(t, "asks for a kernel that executes programs of 32 bits")
	}
	r, _ := run(t, Options{}, program)
	require.Equal(t, "status 0", r.Ended)
	require.Contains(t, r.Notes, "small is a program of 32 bits: its calls are not recorded")
}

// TestStopped records a process that is stopped, and goes on when it is told to.
func TestStopped(t *testing.T) {
	r, out := run(t, Options{}, "sh", "-c", `
(until [ -e "$1" ]; do kill -CONT $$; done) &
kill -STOP $$
: >"$1"
echo goes on
wait`, "sh", filepath.Join(t.TempDir(), "on"))
	require.Equal(t, "goes on\n", out)
	require.Equal(t, "status 0", r.Ended)
}

// TestLineOfC finds the line in a program of C, whose library calls the kernel.
func TestLineOfC(t *testing.T) {
	skip.Tool(t, "cc", "gcc")
	dir := t.TempDir()
	file, program := filepath.Join(dir, "own.c"), filepath.Join(dir, "own")
	require.NoError(t, os.WriteFile(file, []byte(`
#define _GNU_SOURCE
#include <unistd.h>
static int own(const char *name) {
	return sethostname(name, 3);
}
int main(void) { return own("own") == 2; }
`), 0o644))
	out, err := exec.Command("cc", "-g", "-o", program, file).CombinedOutput()
	require.NoError(t, err, "%s", out)
	skip.Tool(t, "unshare", "util-linux")
	r, _ := run(t, Options{}, "unshare", "--user", "--map-root-user", "--uts", program)
	require.Equal(t, "status 0", r.Ended)
	_, step := find(t, r, "sethostname")
	require.Equal(t, &Place{File: file, Line: 5, Function: "own"}, step.Place)
	require.Equal(t, "\treturn sethostname(name, 3);", r.Source[file][5])
}

// TestLineOfInlinedCall finds the line that calls a function of a library which the compiler has
// put in place of the call, as that of Rust does with most of them.
func TestLineOfInlinedCall(t *testing.T) {
	skip.Tool(t, "cc", "gcc")
	skip.Tool(t, "unshare", "util-linux")
	dir := t.TempDir()
	library := filepath.Join(dir, ".cargo", "registry")
	require.NoError(t, os.MkdirAll(library, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(library, "library.h"), []byte(`
#define _GNU_SOURCE
#include <unistd.h>
static inline __attribute__((always_inline)) int inner(const char *name) {
	return sethostname(name, 3);
}
static inline __attribute__((always_inline)) int outer(const char *name) { return inner(name); }
`), 0o644))
	own, program := filepath.Join(dir, "own.c"), filepath.Join(dir, "own")
	require.NoError(t, os.WriteFile(own, []byte(`
#include "library.h"
static inline __attribute__((always_inline)) int between(const char *name) {
	return outer(name);
}
int main(void) {
	int status = between("own");
	return status == 2;
}
`), 0o644))
	out, err := exec.Command("cc", "-g", "-O1", "-I", library, "-o", program, own).CombinedOutput()
	require.NoError(t, err, "%s", out)
	r, _ := run(t, Options{}, "unshare", "--user", "--map-root-user", "--uts", program)
	require.Equal(t, "status 0", r.Ended)
	_, step := find(t, r, "sethostname")
	require.Equal(t, &Place{File: own, Line: 4, Function: "main"}, step.Place)
}

// TestLineOfLiveCall is not misled by what calls that have returned left on the stack: a function
// without debug information has room there that it does not use.
func TestLineOfLiveCall(t *testing.T) {
	skip.Tool(t, "cc", "gcc")
	skip.Tool(t, "unshare", "util-linux")
	dir := t.TempDir()
	own, library := filepath.Join(dir, "own.c"), filepath.Join(dir, "library.c")
	program := filepath.Join(dir, "own")
	require.NoError(t, os.WriteFile(library, []byte(`
#define _GNU_SOURCE
#include <unistd.h>
int through(const char *name) {
	volatile char room[2048];
	room[0] = 0;
	return sethostname(name, 3) + room[0];
}
`), 0o644))
	require.NoError(t, os.WriteFile(own, []byte(`
#include <unistd.h>
int through(const char *name);
static int leave(int n) { return n ? leave(n - 1) + 1 : getppid(); }
int main(void) {
	leave(20);
	return through("own");
}
`), 0o644))
	for _, args := range [][]string{
		{"-c", "-o", library + ".o", library}, {"-g", "-o", program, own, library + ".o"},
	} {
		out, err := exec.Command("cc", args...).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	r, _ := run(t, Options{}, "unshare", "--user", "--map-root-user", "--uts", program)
	require.Equal(t, "status 0", r.Ended)
	_, step := find(t, r, "sethostname")
	require.Equal(t, &Place{File: own, Line: 7, Function: "main"}, step.Place)
}

// recordGo records step 1, built with or without cgo and with some flags, and returns where it
// starts the command.
func recordGo(t *testing.T, cgo string, flags ...string) (*Recording, *Place) {
	harness.NeedsGo(t)
	file := filepath.Join(t.TempDir(), "container")
	args := append([]string{"build", "-buildvcs=false", "-o", file}, flags...)
	cmd := exec.Command("go", append(args, "../../step1-skeleton")...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	r, _ := run(t, Options{}, file, "run", "true")
	_, step := find(t, r, "execve true")
	require.NotNil(t, step.Place)
	return r, step.Place
}

// TestStrippedGo finds the line in a program without symbols or debug information.
func TestStrippedGo(t *testing.T) {
	r, place := recordGo(t, "0", "-trimpath", "-ldflags=-s -w")
	require.Equal(t, "main.start", place.Function)
	require.Contains(t, r.Source[place.File][place.Line], "Start")
}

// TestGoBesideC finds the line in a program that the linker of C has put together: before what Go
// compiled it has other code.
func TestGoBesideC(t *testing.T) {
	skip.Tool(t, "cc", "gcc")
	_, place := recordGo(t, "1", "-ldflags=-linkmode=external")
	require.Equal(t, "main.start", place.Function)
}

// TestLineThatCallsC finds the line of a program with cgo that sets ids: the library of C has each
// thread make the call, and the one that was asked for it last.
func TestLineThatCallsC(t *testing.T) {
	skip.Tool(t, "cc", "gcc")
	harness.NeedsGo(t)
	if runtime.GOARCH != "amd64" {
		t.Skip("only amd64 has a place where the stack of the goroutine is to be found")
	}
	const source = `package main

import "C"

import "syscall"

func become(uid int) {
	syscall.Setuid(uid)
}

func main() {
	become(syscall.Getuid())
}
`
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(source), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module ids\n"), 0o644))
	for _, flags := range []string{"", "-s -w", "-s -w -extldflags=-static"} {
		cmd := exec.Command("go", "build", "-buildvcs=false", "-ldflags="+flags, "-o", "ids", ".")
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		r, _ := run(t, Options{}, filepath.Join(dir, "ids"))
		_, step := find(t, r, "set uid")
		require.NotNil(t, step.Place, flags)
		require.Equal(t, "main.become", step.Place.Function)
		require.Equal(t, 8, step.Place.Line)
	}
}

// TestNothingOfOurs requires that a program sees and is shown nothing of the recorder's.
func TestNothingOfOurs(t *testing.T) {
	r, out := run(t, Options{}, "env")
	require.Equal(t, strings.Join(os.Environ(), "\n")+"\n", out)
	pid := r.Steps[0].PID
	before, after := r.Start.Processes[pid], r.After(1).Processes[pid]
	require.Equal(t, before.Filters, after.Filters)
	require.Equal(t, before.NoNewPrivs, after.NoNewPrivs)
	require.Equal(t, []string{"env"}, after.Command)
}

// TestBeginsAlike requires that a program begins as it does without a recorder: with the same limit
// of open files, descriptors, signals, process group, session and keys.
func TestBeginsAlike(t *testing.T) {
	signal.Ignore(unix.SIGUSR1)
	defer signal.Reset(unix.SIGUSR1)
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, unix.SIGUSR2)
	defer signal.Stop(caught)
	t.Setenv(helperEnv, "keyring")
	for _, command := range [][]string{
		{"sh", "-c", "ulimit -n; ls /proc/self/fd; cut -d ' ' -f 5-8 /proc/$$/stat"},
		{"grep", "-E", "^(SigBlk|SigIgn):", "/proc/self/status"},
		{os.Args[0]},
	} {
		want, err := exec.Command(command[0], command[1:]...).CombinedOutput()
		require.NoError(t, err)
		_, out := run(t, Options{}, command...)
		require.Equal(t, string(want), out)
	}
}

// TestStopsSilently requires signals only of what ends, and none of what stops.
func TestStopsSilently(t *testing.T) {
	caught := make(chan os.Signal, 1000)
	signal.Notify(caught, unix.SIGCHLD)
	runHelper(t, Options{MaxSteps: 1}, "many")
	signal.Stop(caught)
	require.Less(t, len(caught), 10)
}

// TestNotExecuted tells of a file that is no program, and records the attempt.
func TestNotExecuted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "program")
	require.NoError(t, os.WriteFile(file, []byte("\x7fELF is all that it has"), 0o755))
	r, out := run(t, Options{}, file)
	require.Equal(t, fmt.Sprintf("workshop: record %q: exec format error\n", file), out)
	require.Equal(t, []string{"execve program", "exit status 126"}, keys(r))
	require.Equal(t, "ENOEXEC", r.Steps[0].Errno)
	require.Equal(t, "status 126", r.Ended)
}

// TestBindsItself knows that two names are of one directory.
func TestBindsItself(t *testing.T) {
	t.Run("by its path", func(t *testing.T) { testBindsItself(t, "bind") })
	t.Run("by a descriptor", func(t *testing.T) { testBindsItself(t, "bind descriptor") })
}

func testBindsItself(t *testing.T, helper string) {
	t.Helper()
	skip.Tool(t, "unshare", "util-linux")
	dir := t.TempDir()
	t.Setenv(helperEnv, helper)
	t.Setenv("PWD", dir)
	r, _ := run(t, Options{}, "unshare", "--user", "--map-root-user", "--mount", copyOfTest(t))
	require.Equal(t, "status 0", r.Ended)
	for _, step := range r.Steps {
		if step.Call == "mount" && strings.HasPrefix(step.Key, "mount bind") {
			require.Equal(t, dir+" becomes a mount of its own", step.Words)
			return
		}
	}
	require.Fail(t, "no bind mount", strings.Join(keys(r), "\n"))
}

func TestNotThere(t *testing.T) {
	_, err := Run(context.Background(), Options{Command: []string{"/no/such/program"}})
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = Run(context.Background(), Options{})
	require.Error(t, err)
}

// TestSearch tells a search in the directories of PATH as one step.
func TestSearch(t *testing.T) {
	skip.Tool(t, "unshare", "util-linux")
	t.Setenv("PATH", "/no/such:/nor/such:"+os.Getenv("PATH"))
	command := []string{"unshare", "--user", "true"}
	r, _ := run(t, Options{}, command...)
	_, step := find(t, r, "execve true")
	require.Empty(t, step.Errno)
	require.Contains(t, step.Words, "not found in ")
	command[2] = "no-such-program"
	r, _ = run(t, Options{}, command...)
	_, step = find(t, r, "execve no-such-program")
	require.Equal(t, "ENOENT", step.Errno)
	require.Regexp(t, `, not found in \d+ directories$`, step.Words)

	// A file that is no program is there, and the search goes on all the same.
	dir := t.TempDir()
	for _, name := range []string{"true", "no-such-program"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o644))
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	r, _ = run(t, Options{}, command...)
	_, step = find(t, r, "execve no-such-program")
	require.Equal(t, "EACCES", step.Errno)
	require.Regexp(t, `, not found in \d+ directories and not to be executed in 1 directory$`,
		step.Words)
	command[2] = "true"
	r, _ = run(t, Options{}, command...)
	_, step = find(t, r, "execve true")
	require.Empty(t, step.Errno)
	require.Contains(t, step.Words, " and not to be executed in 1 directory before")
}

func TestRead(t *testing.T) {
	r, _ := run(t, Options{}, "true")
	var text bytes.Buffer
	require.NoError(t, r.Write(&text))
	again, err := Read(bytes.NewReader(text.Bytes()))
	require.NoError(t, err)
	require.Equal(t, keys(r), keys(again))
	require.Equal(t, r.After(1).Processes, again.After(1).Processes)

	later, err := json.Marshal(Recording{Version: Version + 1})
	require.NoError(t, err)
	_, err = Read(bytes.NewReader(later))
	require.ErrorContains(t, err, "use a newer workshop")
	_, err = Read(strings.NewReader("{}"))
	require.ErrorContains(t, err, "not a recording")
	_, err = Read(strings.NewReader("<html>"))
	require.ErrorContains(t, err, "not a recording")
}
