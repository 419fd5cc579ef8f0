//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/cgroup"
	"container.example/workshop/runtime/config"
	"container.example/workshop/runtime/files"
	"container.example/workshop/runtime/plan"
	"container.example/workshop/runtime/rights"
	"container.example/workshop/runtime/rootfs"
	"container.example/workshop/runtime/signals"
	"container.example/workshop/runtime/users"
)

// exitError is an error with the exit status that it asks for.
type exitError struct {
	status int
	error
}

func (e exitError) Unwrap() error { return e.error }

// run makes the container, waits for its end, and takes back what it made on the host. It returns
// the exit status.
func run(r *request) (status int, err error) {
	c := r.Container
	if err := rights.CheckCallers(c.Init); err != nil {
		return statusFailed, err
	}
	if err := checkProc(); err != nil {
		return statusFailed, err
	}
	if err := checkTime(c); err != nil {
		return statusFailed, err
	}
	h := &thisHost{c: c}
	if h.signals, err = signals.Catch(); err != nil {
		return statusFailed, err
	}
	var watch plan.Watch
	if r.verbose || r.step {
		w := &onlooker{step: r.step, signals: h.signals}
		watch, h.trace = w, w.say
	}
	if h.plan, err = plan.New(watch); err != nil {
		return statusFailed, err
	}
	defer func() {
		if takeBackErr := h.takeBack(); takeBackErr != nil {
			status, err = statusFailed, errors.Join(err, takeBackErr)
		}
	}()
	status, err = h.run()
	asked, interrupt := exitError{}, signals.Interrupt{}
	switch {
	case errors.As(err, &asked):
		status = asked.status
	case errors.As(err, &interrupt):
		status = 128 + int(interrupt.Signal)
	}
	return status, err
}

// thisHost is the host on which the runtime runs, and what it has made there for one container.
type thisHost struct {
	c     *config.Container
	plan  *plan.Plan
	trace func(what string) // hears of what is made, if not nil
	pid   int               // of the child, or 0

	takeBacks []func() error
	signals   *signals.Caught

	own      int    // a pidfd of the runtime
	isReady  [2]int // a pipe whose end the init closes: see ready
	oomScore string // what oom_score_adj of the runtime was, if it was changed
}

func (h *thisHost) run() (status int, err error) {
	p := h.plan
	if h.own, err = plan.OpenSelf(); err != nil {
		return statusFailed, err
	}
	p.InterruptBy(h.signals.Interrupted)
	made, err := writeList(p, h.c, h)
	if err == nil {
		err = h.signals.Interrupted()
	}
	if err == nil {
		err = p.Release()
	}
	if err == nil {
		err = p.Executed()
	}
	if err != nil {
		return statusFailed, h.abandon(err)
	}
	h.restoreOOMScore()
	if err := p.Failed(); err != nil {
		_, _ = wait(h.pid)
		h.pid = 0
		return h.failedToExecute(err, made.terminal != nil)
	}
	for _, note := range p.Notes() {
		fmt.Fprintln(files.Stderr, "container:", note)
	}
	if err := h.checkCommand(); err != nil {
		return statusFailed, h.abandon(err)
	}
	command := signals.To(h.pid)
	made.terminal.Connect(p, h.pid, command)
	p.CloseOpened(made.terminal.Opened()...)
	if err := h.attend(made, command); err != nil {
		return statusFailed, h.abandon(err)
	}
	status, err = wait(h.pid)
	status = command.Status(status)
	h.pid = 0
	if closeErr := made.terminal.Close(h.signals.Interrupted); closeErr != nil {
		status, err = statusFailed, errors.Join(err, closeErr)
	}
	return status, errors.Join(err, made.group.Explain(status), rights.Explain(status))
}

// abandon ends the child when something went wrong. An error of the list came first.
func (h *thisHost) abandon(err error) error {
	if h.pid == 0 {
		return err
	}
	_ = unix.Kill(h.pid, unix.SIGKILL) // an error: it is gone
	_, _ = wait(h.pid)
	h.pid = 0
	if listErr := h.plan.Failed(); listErr != nil {
		return listErr
	}
	return err
}

// failedToExecute returns what a list that failed means for the exit status. That the command could
// not be executed stands on its terminal, if it was to have one.
func (h *thisHost) failedToExecute(err error, onTerminal bool) (status int, _ error) {
	status, err = execStatus(err)
	if onTerminal && status != statusFailed {
		fmt.Fprintln(files.Stdout, "container:", err)
		return status, nil
	}
	return status, err
}

// execStatus returns the status, as in a shell, for a command that could not be executed, and 125
// for all other errors.
func execStatus(err error) (status int, _ error) {
	failure := (*plan.Error)(nil)
	switch {
	case !errors.As(err, &failure) || failure.What != "exec":
		return statusFailed, err
	case failure.Cause == unix.ENOENT || failure.Cause == unix.ENOTDIR:
		return statusNotFound, err
	}
	return statusNotExecutable, err
}

// takeBack takes back what was made on the host, the last first.
func (h *thisHost) takeBack() (err error) {
	for _, takeBack := range slices.Backward(h.takeBacks) {
		err = errors.Join(err, takeBack())
	}
	return err
}

func (h *thisHost) pidfd() plan.FD { return h.plan.Open(h.own, "runtime") }

func (h *thisHost) free(name string) (plan.FD, error) {
	fd, err := unix.FcntlInt(uintptr(h.own), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return plan.FD{}, fmt.Errorf("dup: %w", err)
	}
	return h.plan.Open(fd, name), nil
}

func (h *thisHost) start(cgroup int) (err error) {
	if err := h.plan.Release(); err != nil {
		return err
	}
	if err := h.clone(cgroup); err != nil {
		return err
	}
	if err := h.plan.Release(); err != nil { // if somebody watches
		return err
	}
	// From here on the child is busy with a network namespace.
	if err := h.setOOMScore(); err != nil {
		return err
	}
	if err := users.FindMaps(h.c); err != nil {
		return err
	}
	if err := users.WriteMaps(h.pid, h.c); err != nil {
		return err
	}
	if err := users.GivePipesToRoot(h.c); err != nil {
		return err
	}
	return rights.RaiseHardLimits(h.pid, h.c.Ulimits)
}

func (h *thisHost) ignored() []unix.Signal { return h.signals.Ignored }

func (h *thisHost) interrupted() error { return h.signals.Interrupted() }

// clone starts the child.
func (h *thisHost) clone(cgroupFD int) (err error) {
	namespaces := h.c.Namespaces &^ (unix.CLONE_NEWNET | unix.CLONE_NEWTIME) // see begin
	if joinsLate := cgroup.IsLimited(h.c) && cgroupFD == -1; joinsLate {
		namespaces &^= unix.CLONE_NEWCGROUP
	}
	if h.trace != nil {
		h.trace("clone3 " + namespaces.String())
	}
	h.pid, err = h.plan.Start(uintptr(namespaces), cgroupFD)
	if err != nil {
		return cloneError(err, h.c.Namespaces)
	}
	if err := h.plan.Keyring(); err != nil && h.trace != nil {
		h.trace("no session keyring: " + err.Error())
	}
	return nil
}

// setOOMScore changes oom_score_adj of the runtime, because to be spared takes rights on the host.
// It is that of the child as well: as long as the two share their memory, the kernel keeps it the
// same for both (proc_pid_oom_score_adj(5)).
func (h *thisHost) setOOMScore() error {
	want := 0
	if h.c.OOMScoreAdj != nil {
		want = *h.c.OOMScoreAdj
	}
	own, err := files.Read(oomScoreFile)
	if err != nil {
		return fmt.Errorf("read %s: %w", oomScoreFile, err)
	}
	if own = strings.TrimSpace(own); own == strconv.Itoa(want) {
		return nil
	}
	switch err := files.Write(oomScoreFile, strconv.Itoa(want)); {
	case err == nil:
		h.oomScore = own
	case h.c.OOMScoreAdj != nil:
		return fmt.Errorf("oom_score_adj %d: %w", want, err)
	}
	return nil
}

const oomScoreFile = "/proc/self/oom_score_adj"

func (h *thisHost) restoreOOMScore() {
	if h.oomScore != "" {
		// An error: the runtime has that of the command, which does no harm.
		_ = files.Write(oomScoreFile, h.oomScore)
	}
}

func (h *thisHost) trees() (rootfs.Trees, error) {
	if err := rootfs.TakeKept(h.c); err != nil {
		return nil, err
	}
	removeSnapshot, err := rootfs.TakeSnapshot(h.c, h.trace)
	h.takeBacks = append(h.takeBacks, removeSnapshot)
	if err != nil {
		return nil, err
	}
	return rootfs.Open(h.c, h.pid, h.plan, h.signals.Interrupted)
}

func (h *thisHost) onHost(
	do func(pid int, trace func(string)) (takeBack func() error, err error),
) error {
	takeBack, err := do(h.pid, h.trace)
	h.takeBacks = append(h.takeBacks, takeBack)
	return err
}

func (h *thisHost) lookUpUser(passwd, group plan.FD) (user users.User, err error) {
	if err := errors.Join(h.plan.Release(), h.plan.Await()); err != nil {
		return user, err
	}
	passwdText, err := h.readOpened(passwd)
	groupText, groupErr := h.readOpened(group)
	err = errors.Join(err, groupErr)
	if err != nil && !errors.Is(err, unix.EFBIG) {
		return user, err
	}
	// What is too large has no names, as what is not there; and numbers need none.
	user, lookUpErr := users.LookUp(h.c, passwdText, groupText)
	if lookUpErr != nil {
		return user, errors.Join(lookUpErr, err)
	}
	return user, users.CheckMapped(h.c, user)
}

// readOpened returns the text of a file that the list has opened, if it was there.
func (h *thisHost) readOpened(file plan.FD) (string, error) {
	fd, err := h.plan.Result(file)
	if err != nil {
		return "", nil // an error that the list allows
	}
	text, err := files.ReadRegular(fd)
	if err != nil {
		return "", fmt.Errorf("user %q: read: %w", h.c.User, err)
	}
	return text, nil
}

// checkCommand makes sure that the command is not this program, before it can do anything. The file
// may be in the container, but not by a mount of the host: see checkLink. An interpreter in the
// first line of a script can lead there too.
func (h *thisHost) checkCommand() error {
	if !h.c.Namespaces.Has(unix.CLONE_NEWNS) || h.c.Init {
		return nil
	}
	child := "/proc/" + strconv.Itoa(h.pid)
	for shares := true; sameMount("/proc/self/exe", child+"/exe"); shares = sharesMemory(child) {
		if !shares {
			return exitError{
				statusNotExecutable,
				fmt.Errorf("exec %q: leads to the runtime's own program", h.c.Command[0]),
			}
		}
	}
	return nil
}

// sharesMemory tells whether a process in /proc has the memory of this one. execve(2) wakes this
// process a moment before it gives the child a memory of its own (exec_mmap in the kernel's
// fs/exec.c), and with it a program. Until then both read the same arguments.
func sharesMemory(process string) bool {
	own, _ := files.Read("/proc/self/cmdline") // an error: the beginning of many will do
	its, _ := files.Read(process + "/cmdline") // an error: it is gone
	return own != "" && own == its
}

// isLedTo tells whether this process is the command of a container that came to this program by
// such a link. On a busy machine it could do something before checkCommand sees it.
func isLedTo() bool {
	if os.Getpid() != 1 {
		return false
	}
	path, err := os.Readlink("/proc/self/exe")
	return err == nil && !sameMount("/proc/self/exe", path)
}

func sameMount(a, b string) bool {
	var one, other unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, a, 0, unix.STATX_MNT_ID, &one)
	otherErr := unix.Statx(unix.AT_FDCWD, b, 0, unix.STATX_MNT_ID, &other)
	return err == nil && otherErr == nil && one.Mnt_id == other.Mnt_id
}

// checkTime makes sure that the kernel has execve(2) enter a time namespace (time_namespaces(7)).
func checkTime(c *config.Container) error {
	var name unix.Utsname
	if !c.Namespaces.Has(unix.CLONE_NEWTIME) || unix.Uname(&name) != nil {
		return nil
	}
	release := unix.ByteSliceToString(name.Release[:])
	major, minor := 0, 0
	_, err := fmt.Sscanf(release, "%d.%d", &major, &minor)
	if err == nil && (major < 6 || major == 6 && minor < 2) {
		return fmt.Errorf("-ns time: on Linux %s execve does not enter a time namespace "+
			"(it does since 6.2)", release)
	}
	return nil
}

// wait waits for the child to end and returns its exit status.
func wait(pid int) (status int, err error) {
	var ws unix.WaitStatus
	for {
		if _, err = unix.Wait4(pid, &ws, 0, nil); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return statusFailed, fmt.Errorf("wait4 %d: %w", pid, err)
	}
	return exitStatus(ws), nil
}

// exitStatus is what a shell makes of a status of wait(2).
func exitStatus(ws unix.WaitStatus) int {
	if ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return ws.ExitStatus()
}
