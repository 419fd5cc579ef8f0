//go:build linux

package harness

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Main runs the tests of a package on a throw-away host, and returns their exit status. It is
// called from TestMain.
//
// It runs three times in turn. The first stage, in the process that go test started, builds the
// program and starts the second as process 1 of new namespaces. The second makes a host of them and
// replaces itself by the third, because a thread that unshares a namespace leaves the other threads
// of a Go program behind, and execve(2) has no others. The third runs the tests, or the scripts for
// which they ask: those have hosts of their own.
func Main(m *testing.M) int {
	if IsStage() {
		return Stage()
	}
	flag.Parse()
	// the thread that dies is what Pdeathsig looks at, and unshare(2) works on
	runtime.LockOSThread()
	var err error
	status := 1
	switch {
	case testFlag("list") != "":
		return m.Run()
	case now().Stage == first:
		status, err = runHost()
	case now().Stage == setup:
		err = setupHost()
	default:
		for _, fd := range []int{reportFd, askFd, answerFd} {
			unix.CloseOnExec(fd)
		}
		stockThreads(spareThreads)
		// under nohup(1): caught and dropped it is not ignored by what the tests start
		if signal.Ignored(unix.SIGHUP) {
			signal.Notify(make(chan os.Signal, 1), unix.SIGHUP)
		}
		return m.Run()
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "harness: %v\n", err)
		status = max(status, 1)
	}
	return status
}

// Descriptors of the third stage.
const (
	reportFd = 3 // on which it tells the first one what ran
	queueFd  = 4 // from which it reads, on a host for scripts, which one comes next
	askFd    = 4 // on which the tests ask for scripts
	answerFd = 5 // from which they read what became of them
)

// runHost prepares the host, runs the other stages in it, and takes it away.
func runHost() (status int, err error) {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM, unix.SIGQUIT)
	defer stop()
	// The go command may be gone before its test, and then nobody reads what is written (SIGPIPE in
	// signal(7)): that is no reason to leave the host.
	signal.Notify(make(chan os.Signal, 1), unix.SIGPIPE)
	dir, err := makeDir()
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	err = prepare(ctx, dir)
	if ctx.Err() != nil { // why something could not be built is no news
		return 1, context.Cause(ctx)
	}
	if err != nil {
		return 1, err
	}
	report, err := os.Create(filepath.Join(dir, "report"))
	if err != nil {
		return 1, err
	}
	defer report.Close()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	p := now()
	p.Dir = dir
	c, err := hire(ctx, p)
	if err != nil {
		return 1, err
	}
	err = runStages(cmd, p, report, c.asking, c.answers)
	c.dismiss()
	if err != nil {
		return 1, err
	}
	if err := forbidCache(); err != nil {
		return 1, err
	}
	if err := printReport(filepath.Join(dir, "report")); err != nil {
		return 1, err
	}
	if !cmd.ProcessState.Exited() {
		return 1, fmt.Errorf("throw-away host: %s", cmd.ProcessState)
	}
	return cmd.ProcessState.ExitCode(), nil
}

// dirPrefix begins the names of the directories of throw-away hosts. It has a number of this kernel
// since it was started (random(4), boot_id), because machines may share a directory, and nobody can
// tell here which processes there are on another one: the first pid namespace has the same number
// on all.
var dirPrefix = sync.OnceValue(func() string {
	var boot uint32
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	_, _ = fmt.Sscanf(string(id), "%08x", &boot) // 0: the kernel does not say it
	return fmt.Sprintf("container-test-%d-", boot)
})

// makeDir makes the directory of a throw-away host, and removes those of processes that were killed
// before they could do it.
func makeDir() (dir string, err error) {
	base := baseDir()
	for _, stale := range staleIn(base, dirPrefix()) {
		_ = os.RemoveAll(stale) // it may be another user's
	}
	owner := fmt.Sprintf("%s%d-%d-", dirPrefix(), pidNamespace(), os.Getpid())
	if dir, err = os.MkdirTemp(base, owner); err != nil {
		return "", err
	}
	return dir, errors.Join(os.Chmod(dir, 0o755), os.Mkdir(filepath.Join(dir, "work"), 0o755))
}

// baseDir is where the directory of a host is made: that of temporary files, which many machines
// have on a tmpfs. Before Linux 6.3 root's chapter f needs one on a disk (see mountWork), which
// /var/tmp is.
func baseDir() string {
	base := os.TempDir()
	var fs unix.Statfs_t
	err := unix.Statfs(base, &fs)
	if err != nil || fs.Type != unix.TMPFS_MAGIC || os.Geteuid() != 0 {
		return base
	}
	const disk = "/var/tmp"
	if errors.Is(TryIDMap(base), unix.EINVAL) && TryIDMap(disk) == nil {
		return disk
	}
	return base
}

// runStages runs the second and the third stage, which is cmd, on a throw-away host in p.Dir, and
// waits until they are gone. The third stage has files as its descriptors from reportFd on.
func runStages(cmd *exec.Cmd, p phase, files ...*os.File) (err error) {
	if p.Disk, err = os.MkdirTemp(p.Dir, "disk-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(p.Disk)) }()
	if err := os.Chmod(p.Disk, 0o755); err != nil {
		return err
	}
	p.Stage = setup
	cmd.ExtraFiles = files
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWUTS | unix.CLONE_NEWPID | unix.CLONE_NEWNS |
			unix.CLONE_NEWIPC | unix.CLONE_NEWNET,
		Pdeathsig: unix.SIGKILL,
	}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{
			ContainerID: 0, HostID: os.Getuid(),
			Size: 1,
		}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{
			ContainerID: 0, HostID: os.Getgid(),
			Size: 1,
		}}
	}
	trees, missing := makeCgroups(cgroupName())
	defer func() { err = errors.Join(err, trees.remove()) }()
	if p.Cgroups = trees; missing != nil {
		p.Cgroups, p.NoCgroups = nil, missing.Error()
	}
	cmd.Env = p.environ()

	if err := cmd.Start(); err != nil {
		return fmt.Errorf("throw-away host: %w (run the tests as root, or see the README on user "+
			"namespaces)", err)
	}
	_ = cmd.Wait() // its status says it all
	return nil
}

// forbidCache keeps go test from remembering the result of somebody's program: it would not notice
// when the program changes. In the log of what the tests looked at, go test takes a line that it
// does not understand for a reason to remember nothing.
func forbidCache() error {
	name := testFlag("testlogfile")
	if now().Program == "" || name == "" {
		return nil
	}
	log, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = log.WriteString("not-to-be-cached\n")
	return errors.Join(err, log.Close())
}

// setupHost makes a host of the namespaces in which it runs, and starts the tests there.
func setupHost() error {
	p := now()
	p.Stage = tests
	work := filepath.Join(p.Dir, "work")
	steps := []struct {
		what string
		do   func() error
	}{
		{"sethostname", func() error { return unix.Sethostname([]byte(hostname)) }},
		{"loopback up", loopbackUp},
		{"make / private", func() error {
			return unix.Mount("", "/", "",
				unix.MS_PRIVATE|unix.MS_REC, "")
		}},
		{"join cgroups", joinCgroups},
		{"make / read-only", makeReadOnly},
		{"mount /proc", func() error { return unix.Mount("proc", "/proc", "proc", 0, "") }},
		{"write ns_last_pid", leaveRoomForPids},
		{"forwarding off", forwardingOff},
		{"mount cgroups", mountCgroups},
		{"mount " + work, func() error {
			noIDMaps, err := mountWork(work, p.Disk)
			p.NoIDMaps = p.NoIDMaps || noIDMaps
			return err
		}},
		// As systemd does: a program that forgets to make it private is found out.
		{"make / shared", func() error {
			return unix.Mount("", "/", "", unix.MS_SHARED|unix.MS_REC,
				"")
		}},
		{"setrlimit", limitProcesses},
		{"prctl", smallPages},
		{"exec", func() error { return execSelf(p.environ()) }},
	}
	for _, step := range steps {
		if err := step.do(); err != nil {
			return fmt.Errorf("throw-away host: %s: %w", step.what, err)
		}
	}
	return nil
}

// mountWork mounts a tmpfs for the files of the scripts. Chapter f makes an idmapped mount of them,
// which a tmpfs allows since Linux 6.3. Before that the scripts get a directory on the disk, if its
// file system allows one, and otherwise the tmpfs: noIDMaps.
func mountWork(work, disk string) (noIDMaps bool, err error) {
	mount := func() error { return unix.Mount("tmpfs", work, "tmpfs", 0, "mode=0755") }
	if err := mount(); err != nil || TryIDMap(work) == nil {
		return false, err
	}
	if err := unix.Unmount(work, 0); err != nil {
		return false, err
	}
	if TryIDMap(disk) != nil {
		return true, mount()
	}
	if err := unix.Mount(disk, work, "", unix.MS_BIND, ""); err != nil {
		return false, err
	}
	return false, unix.MountSetattr(unix.AT_FDCWD, work, 0, &unix.MountAttr{
		Attr_clr: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV |
			unix.MOUNT_ATTR_NOEXEC,
	})
}

// TryIDMap makes an idmapped mount of a directory (mount_setattr(2)), without attaching it
// anywhere.
func TryIDMap(dir string) error {
	tree, err := unix.OpenTree(unix.AT_FDCWD, dir, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return fmt.Errorf("open_tree: %w", err)
	}
	defer unix.Close(tree)
	return idmap(tree)
}

// idmap makes an idmapped mount of a mount that is not attached.
func idmap(tree int) error {
	cmd := exec.Command("sleep", "10")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		Pdeathsig:   unix.SIGKILL,
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return errors.New("no user namespace")
	}
	defer func() {
		_ = cmd.Process.Kill() // has not ended: it sleeps
		_ = cmd.Wait()
	}()
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/user", cmd.Process.Pid))
	if err != nil {
		return err
	}
	defer ns.Close()
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(ns.Fd())}
	err = unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH, &attr)
	if err != nil {
		return fmt.Errorf("mount_setattr: %w", err)
	}
	return nil
}

// limitProcesses does for an ordinary user, who has no cgroups, what protect does for root: in a
// user namespace the limit counts what is in there (since Linux 5.14).
func limitProcesses() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NPROC, &limit); err != nil {
		return err
	}
	limit.Cur = min(limit.Cur, uint64(MaxTasks()+ownTasks))
	return unix.Setrlimit(unix.RLIMIT_NPROC, &limit)
}

// spareThreads is more than the third stage has had at once in any script.
const spareThreads = 16

// stockThreads has Go make so many threads, which it keeps and takes again. A program that starts
// itself forever reaches the limit of processes of the host, and this process is on the host, too:
// Go ends a process in which it cannot make another thread.
func stockThreads(n int) {
	var made, used sync.WaitGroup
	made.Add(n)
	for range n {
		used.Go(func() {
			runtime.LockOSThread() // for itself
			defer runtime.UnlockOSThread()
			made.Done()
			made.Wait()
		})
	}
	used.Wait()
}

// smallPages keeps transparent huge pages from the tests and all that they start
// (PR_SET_THP_DISABLE of prctl(2)). With them, which many distributions give without being asked,
// the smallest program of Go takes 2 or 4 MiB.
func smallPages() error { return unix.Prctl(unix.PR_SET_THP_DISABLE, 1, 0, 0, 0) }

// leaveRoomForPids has the pids of the host begin above those in a container, so that the one
// cannot be mistaken for the other. A kernel without checkpoint and restore has no such file.
func leaveRoomForPids() error {
	err := os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte("1000"), 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// hostname is the name of the throw-away host.
const hostname = "host"

// forwardingOff makes the host no router, as most are none; a network namespace begins with what
// the machine does.
func forwardingOff() error {
	return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("0"), 0)
}

// testFlag is the value of a flag of go test; none in a process that is no test.
func testFlag(name string) string {
	if f := flag.Lookup("test." + name); f != nil {
		return f.Value.String()
	}
	return ""
}

// loopbackUp does what `ip link set lo up` does (netdevice(7)).
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo)
}

// makeReadOnly makes all mounts read-only (mount_setattr(2)), except where go test wants its files.
func makeReadOnly() error {
	var writable []string
	for _, name := range []string{
		"testlogfile", "coverprofile", "cpuprofile", "memprofile",
		"blockprofile", "mutexprofile", "trace",
	} {
		if file := testFlag(name); file != "" {
			if !filepath.IsAbs(file) {
				file = filepath.Join(testFlag("outputdir"), file)
			}
			writable = append(writable, filepath.Dir(file))
		}
	}
	if dir := testFlag("gocoverdir"); dir != "" {
		writable = append(writable, dir)
	}
	for _, dir := range writable {
		if err := unix.Mount(dir, dir, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
	}
	err := unix.MountSetattr(unix.AT_FDCWD, "/", unix.AT_RECURSIVE,
		&unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
	if errors.Is(err, unix.ENOSYS) { // before Linux 5.12
		return nil
	}
	for _, dir := range writable {
		err = errors.Join(err, unix.MountSetattr(unix.AT_FDCWD, dir, unix.AT_RECURSIVE,
			&unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY}))
	}
	return err
}
