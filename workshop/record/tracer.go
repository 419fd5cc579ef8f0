//go:build linux

package record

import (
	"debug/elf"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"container.example/workshop/internal/ptrace"
)

// tracer follows all threads of a command. All of it belongs to one thread of the recorder, but for
// what the mutex guards.
type tracer struct {
	Options
	recording *Recording
	began     time.Time
	root      int // the process that Command is
	state     State
	changes   *Changes // what the step that is being made changed
	places    places
	host      host
	leftOut   int // how many steps were left out
	roots     []newRoot
	sockets   map[string]int // protocols of netlink(7), by the name of the socket
	killed    bool           // a process was killed, and may not have told of a birth

	mutex   sync.Mutex
	threads map[int]*thread
	early   map[int]bool // those that stopped before their birth was told
	killing bool
	cut     string
}

// process is one of the command.
type process struct {
	pid, view int // view is the thread whose namespaces and capabilities are shown
	// filtered tells that it has a filter of its own. Calls that such a filter refuses do not come
	// to ours, and so the process stops at all of its calls.
	filtered   bool
	noNewPrivs bool // it gave up privileges itself
	program    int  // how often it executed a program
	last       *Step
	lastAt     int // the index of the last step
	search     search
	isProbe    bool // a probe of a library, as in thread
}

// thread is one of a process.
type thread struct {
	tid     int
	process *process
	started bool  // its first stop was seen
	call    *call // that it is in, if it is of interest
	// probes tells that a library tries something out: neither its call nor the child is a step.
	probes bool
	// falls is how often it had a signal that ends a program for what it does, since its last call.
	falls int
}

// mostFalls is enough for any handler. The process 1 of a pid namespace dies of such a signal, but
// not while it is traced: it would do the same forever.
const mostFalls = 10

const traceOptions = unix.PTRACE_O_EXITKILL | unix.PTRACE_O_TRACESYSGOOD |
	unix.PTRACE_O_TRACEEXEC | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEFORK |
	unix.PTRACE_O_TRACEVFORK | unix.PTRACE_O_TRACESECCOMP

func newTracer(o Options) *tracer {
	return &tracer{
		Options: o,
		recording: &Recording{
			Version: Version,
			Command: o.Command,
			Mounts:  []Mount{},
			Steps:   []Step{},
		},
		began:   time.Now(),
		places:  newPlaces(),
		sockets: map[string]int{},
		threads: map[int]*thread{},
		early:   map[int]bool{},
	}
}

// follow goes on until no thread is left.
func (t *tracer) follow() error {
	for {
		var status unix.WaitStatus
		tid, err := unix.Wait4(-1, &status, unix.WALL|unix.WNOTHREAD, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ECHILD):
			return nil
		case err != nil:
			return errors.Join(fmt.Errorf("wait4: %w", err), t.killAll(""))
		case status.Stopped():
			t.stopped(tid, status)
		default:
			t.ended(tid, status)
		}
	}
}

// addThread takes on a thread, and tells whether it has stopped already.
func (t *tracer) addThread(tid int, p *process) (hasStopped bool) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	hasStopped = t.early[tid]
	delete(t.early, tid)
	t.threads[tid] = &thread{tid: tid, process: p, started: hasStopped}
	if t.killing {
		_ = unix.Kill(tid, unix.SIGKILL) // an error: it is gone
	}
	return hasStopped
}

func (t *tracer) removeThread(tid int) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	delete(t.threads, tid)
	delete(t.early, tid)
}

// killAll kills all that is left, and all that is born from now on.
func (t *tracer) killAll(why string) error {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if !t.killing {
		t.killing, t.cut = true, why
	}
	var err error
	for tid := range t.threads {
		err = errors.Join(err, unix.Kill(tid, unix.SIGKILL))
	}
	for tid := range t.early {
		err = errors.Join(err, unix.Kill(tid, unix.SIGKILL))
	}
	return err
}

// stopped does what is to be done with a thread that has stopped, and lets it go on.
func (t *tracer) stopped(tid int, status unix.WaitStatus) {
	th := t.threads[tid]
	if th == nil {
		t.mutex.Lock()
		t.early[tid] = true // it stays until its birth is told
		t.mutex.Unlock()
		if t.killed {
			t.adopt()
		}
		return
	}
	th.started = true
	signal := status.StopSignal()
	switch event := int(status) >> 16; {
	case event == unix.PTRACE_EVENT_CLONE, event == unix.PTRACE_EVENT_FORK,
		event == unix.PTRACE_EVENT_VFORK:
		t.born(th)
	case event == unix.PTRACE_EVENT_EXEC:
		t.executed(th)
	case event == unix.PTRACE_EVENT_SECCOMP, signal == unix.SIGTRAP|0x80:
		th.falls = 0
		t.syscall(th)
	case event == unix.PTRACE_EVENT_STOP && signal != unix.SIGTRAP:
		// All of its process is stopped, until SIGCONT comes.
		_ = ptrace.Listen(tid)
		return
	case event == unix.PTRACE_EVENT_STOP:
	default:
		t.signalled(th, signal)
		return
	}
	t.resume(th, 0)
}

// signalled passes a signal on to a thread.
func (t *tracer) signalled(th *thread, signal unix.Signal) {
	switch signal {
	case unix.SIGSEGV, unix.SIGBUS, unix.SIGILL, unix.SIGFPE:
		th.falls++
	}
	if th.falls > mostFalls {
		signal = unix.SIGKILL
		_ = unix.Kill(th.tid, signal) // an error: it is gone
	}
	t.resume(th, signal)
}

// resume lets a thread go on to its next stop. An error says that it was killed.
func (t *tracer) resume(th *thread, signal unix.Signal) {
	if th.call != nil || th.process.filtered && !t.full() {
		_ = ptrace.Syscall(th.tid, signal)
		return
	}
	_ = ptrace.Cont(th.tid, signal)
}

// full tells whether no more steps are recorded.
func (t *tracer) full() bool { return len(t.recording.Steps) >= t.MaxSteps }

// born takes on the thread that a thread has made just now.
func (t *tracer) born(parent *thread) {
	message, err := unix.PtraceGetEventMsg(parent.tid)
	tid := int(message)
	pid := parent.process.pid
	switch {
	case parent.call != nil: // only those that make processes are of interest
		pid = tid
	case unix.Tgkill(pid, tid, 0) != nil: // it is no thread of that process
		pid = processOf(tid)
	}
	if err != nil || pid == 0 {
		return // they were killed
	}
	p := parent.process
	if pid == tid {
		p = &process{
			pid: pid, view: pid, program: p.program,
			filtered: p.filtered, noNewPrivs: p.noNewPrivs,
			isProbe: parent.probes,
		}
		t.places.inherit(parent.process, p)
	}
	hasStopped := t.addThread(tid, p)
	if c := parent.call; c != nil && pid == tid {
		parent.call = nil
		c.restore()
		c.result, c.other = fmt.Sprintf("pid %d", pid), p
		t.emit(c)
	}
	if hasStopped {
		t.resume(t.threads[tid], 0)
	}
}

// adopt takes on the children whose birth nobody tells, because their parent was killed meanwhile.
// A parent that is there tells of it, and so does the command of a child that it leaves to its own
// parent, this program (CLONE_PARENT of clone(2)).
func (t *tracer) adopt() {
	for tid := range maps.Clone(t.early) {
		s := readStatus(tid, tid)
		parent := s.number("PPid")
		if parent == os.Getpid() {
			parent = t.root
		}
		if s.number("Tgid") != tid || t.threads[parent] != nil {
			continue
		}
		// What the parent had done is not known: a process that stops at all calls misses none.
		p := &process{pid: tid, view: tid, program: 1, filtered: true}
		t.addThread(tid, p)
		t.resume(t.threads[tid], 0)
	}
}

// executed is called when a process has begun another program. All of its other threads are gone.
func (t *tracer) executed(th *thread) {
	if former, err := unix.PtraceGetEventMsg(th.tid); err == nil && int(former) != th.tid {
		// It was another thread that did it, and has the number of the first one now.
		if caller := t.threads[int(former)]; caller != nil {
			th.call = caller.call
		}
		t.removeThread(int(former))
	}
	p := th.process
	p.view = p.pid
	p.program++
	if isOf32Bits(p.pid) {
		exe := readLink("/proc/" + strconv.Itoa(p.pid) + "/exe")
		t.note(filepath.Base(exe) + " is a program of 32 bits: its calls are not recorded")
	}
	c := th.call
	th.call = nil
	if c != nil {
		c.thread = th
		t.emit(c)
	}
}

// isOf32Bits tells whether a process has executed a program of 32 bits (elf(5)).
func isOf32Bits(pid int) bool {
	fd, err := unix.Open("/proc/"+strconv.Itoa(pid)+"/exe", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	var head [elf.EI_NIDENT]byte
	n, err := unix.Read(fd, head[:])
	return err == nil && n == len(head) && elf.Class(head[elf.EI_CLASS]) == elf.ELFCLASS32
}

// note adds a sentence to the notes of the recording, once.
func (t *tracer) note(sentence string) {
	if !slices.Contains(t.recording.Notes, sentence) {
		t.recording.Notes = append(t.recording.Notes, sentence)
	}
}

// syscall looks at a system call, before it is made or after.
func (t *tracer) syscall(th *thread) {
	info, err := ptrace.GetSyscallInfo(th.tid)
	if err != nil {
		return // it was killed
	}
	switch {
	case info.Op == ptrace.SyscallInfoExit && th.call != nil:
		c := th.call
		th.call = nil
		c.restore()
		t.returned(c, int64(info.Data[0]))
	case info.Op != ptrace.SyscallInfoExit && th.call == nil && info.Arch == auditArch:
		t.entered(th, &info)
	}
}

// entered looks at a call that is about to be made.
func (t *tracer) entered(th *thread, info *ptrace.SyscallInfo) {
	kind := kindOf(info.Data[0])
	if kind == nil {
		return
	}
	c := &call{
		kind: kind, thread: th, tracer: t,
		raw: [6]uint64(info.Data[1:7]), args: []Arg{},
	}
	if t.full() {
		if !kind.onFile { // most are of no interest, and a look at each takes long
			t.leftOut++
		}
		c.follow()
		return
	}
	if isThis, _ := conditionOf(kind.number); !isThis.holds(c.raw) || !kind.decode(c) {
		return
	}
	th.probes = false
	// The child, which is no part of the command, executes it. The place of a call that another
	// thread has just made alike is looked for only if that of the other one is not known.
	if th.process.program > 0 && (!isRepeated(c) || th.process.last.Place == nil) {
		c.place, th.probes = t.places.find(th, info)
	}
	if !th.probes {
		th.call = c
	}
	c.follow()
}

// returned ends a call.
func (t *tracer) returned(c *call, result int64) {
	const firstRestart, lastRestart = 512, 516 // the kernel makes the call again
	if -lastRestart <= result && result <= -firstRestart {
		return
	}
	errno := unix.Errno(0)
	switch {
	case result < 0 && result > -ptrace.PageSize:
		errno = unix.Errno(-result)
	case c.answer != nil:
		errno = c.answer()
	}
	if errno != 0 {
		c.errno = unix.ErrnoName(errno)
		if c.errno == "" {
			c.errno = fmt.Sprintf("error %d", int(errno))
		}
		if c.ifRefused != "" {
			t.note(c.ifRefused)
		}
	}
	t.emit(c)
}

// emit makes a step of a call, and looks at what it has changed.
func (t *tracer) emit(c *call) {
	step := Step{
		Time:  time.Since(t.began),
		PID:   c.thread.process.pid,
		Kind:  "call",
		Call:  c.kind.name,
		Args:  c.args,
		Words: shortIDs(c.words), Man: c.kind.man,
		Result: c.result, Errno: c.errno,
		Place: c.place,
		Key:   c.key,
	}
	if c.thread.tid != step.PID {
		step.TID = c.thread.tid
	}
	if step.Key == "" {
		step.Key = c.kind.name
	}
	if t.full() {
		t.leftOut++
		return
	}
	if isRepeated(c) {
		t.placeLast(c)
		return
	}
	if t.isSearch(c, &step) {
		return
	}
	t.changes = &step.Changes
	if c.errno == "" {
		t.lookAfter(c)
	}
	step.Promises = promisesOf(step.Key)
	c.thread.process.last, c.thread.process.lastAt = &step, len(t.recording.Steps)
	t.append(step)
}

// isRepeated tells whether a call is one that each thread of a process makes alike: rights are of a
// thread, and libraries make them those of all (nptl(7)).
func isRepeated(c *call) bool {
	last := c.thread.process.last
	if c.kind.looks&lookRights == 0 || c.about != "" && c.kind.man != "prctl(2)" || last == nil {
		return false
	}
	return last.thread() != c.thread.tid && last.Call == c.kind.name && last.Errno == c.errno &&
		slices.Equal(last.Args, c.args)
}

// placeLast gives the last step of a process the place of a call that repeats it. The library of C
// has all other threads make a call first, and the one that was asked for it last (nptl(7)).
func (t *tracer) placeLast(c *call) {
	p := c.thread.process
	if c.place == nil || p.last.Place != nil || p.lastAt >= len(t.recording.Steps) {
		return
	}
	p.last.Place = c.place
	t.recording.Steps[p.lastAt].Place = c.place
}

// thread is the number of the thread that made a step.
func (s *Step) thread() int {
	if s.TID == 0 {
		return s.PID
	}
	return s.TID
}

// search is a program that a process looks for in the directories of PATH, by trying to execute it
// in each (execvp(3)). That is told as one step: the one that ends the search.
type search struct {
	failed *Step // the attempt whose error the search has in the end, if none succeeds
	// missing and forbidden count the directories in which it was not there, and those in which it
	// may not be executed.
	missing, forbidden int
}

// isSearch tells whether a step is an attempt to execute a program that may be elsewhere. It
// becomes a step if the process does something else next.
func (t *tracer) isSearch(c *call, step *Step) bool {
	s := &c.thread.process.search
	isExecve := c.kind.number == unix.SYS_EXECVE || c.kind.number == unix.SYS_EXECVEAT
	goesOn := s.failed != nil && isExecve && s.failed.Key == step.Key
	if !goesOn {
		t.endSearch(c.thread.process)
	}
	switch {
	case isExecve && step.Errno == "ENOENT":
		s.missing++
	case isExecve && step.Errno == "EACCES":
		s.forbidden++
	default:
		if goesOn {
			step.Words += ", " + s.words() + " before"
			*s = search{}
		}
		return false
	}
	if s.failed == nil || s.failed.Errno != "EACCES" {
		s.failed = step
	}
	return true
}

// words say where a search was in vain.
func (s *search) words() string {
	var words []string
	if s.missing > 0 {
		words = append(words, "not found in "+plural(s.missing, "directory", "directories"))
	}
	if s.forbidden > 0 {
		words = append(words,
			"not to be executed in "+plural(s.forbidden, "directory", "directories"))
	}
	return strings.Join(words, " and ")
}

// endSearch makes a step of a search that has found nothing.
func (t *tracer) endSearch(p *process) {
	s := p.search
	if s.failed == nil {
		return
	}
	if s.missing+s.forbidden > 1 {
		s.failed.Words += ", " + s.words()
	}
	s.failed.Time = time.Since(t.began)
	p.search = search{}
	t.append(*s.failed)
}

// append adds a step, and waits until the gate is open.
func (t *tracer) append(step Step) {
	if t.full() {
		t.leftOut++
		return
	}
	t.recording.Steps = append(t.recording.Steps, step)
	if t.Gate == nil {
		return
	}
	if err := t.Gate(step); err != nil {
		_ = t.killAll(err.Error()) // an error: all are gone
	}
}

// ended takes leave of a thread, and makes a step of the end of a process.
func (t *tracer) ended(tid int, status unix.WaitStatus) {
	th := t.threads[tid]
	t.killed = t.killed || status.Signaled()
	t.removeThread(tid)
	t.places.forget(tid)
	t.adopt()
	if th == nil || tid != th.process.pid || th.process.isProbe {
		return
	}
	t.endSearch(th.process)
	step := Step{Time: time.Since(t.began), PID: tid}
	if status.Signaled() {
		signal := status.Signal()
		step.Kind, step.Call = "signal", unix.SignalName(signal)
		step.Words = fmt.Sprintf("signal %d (%v) ends the process", int(signal), signal)
		step.Man, step.Key = "signal(7)", "signal "+step.Call
	} else {
		step.Kind, step.Call = "exit", "exit"
		step.Result = fmt.Sprintf("status %d", status.ExitStatus())
		step.Words = "the process ends with " + step.Result
		step.Man, step.Key = "exit_group(2)", "exit "+step.Result
	}
	if tid == t.root {
		t.recording.Ended = step.Result
		if status.Signaled() {
			t.recording.Ended = fmt.Sprintf("signal %d (%v)", int(status.Signal()), status.Signal())
		}
	}
	if !t.full() {
		t.changes = &step.Changes
		t.lookAfterEnd(tid)
	}
	t.append(step)
}
