//go:build linux

package inject

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"container.example/workshop/internal/ptrace"
)

// A Point is a system call that a program makes, or a process that it started. It is found again
// when the program runs once more, even if the threads of a process are in another order then.
type Point struct {
	Process int    // in the order of birth; 0 is that of the program
	Image   int    // how many programs the process had executed before (execve(2))
	Number  int    // of the system call
	About   string // the path that it is about, without numbers in it, or what it asks for
	Nth     int    // how many such calls the image had made before
}

// first is the first call of this kind.
func (p Point) first() Point {
	p.Nth = 0
	return p
}

// A Call is a system call that was made.
type Call struct {
	Point
	Parent int // the process that started the one that made it
	Args   [6]uint64
	Text   string // in print
	// Words are those that execve(2) was given, what was written to descriptor 2, or the handler
	// and the flags that rt_sigaction(2) was given.
	Words []string
	Errno unix.Errno // what it returned, or 0
	// Result is what it returned if that is no error.
	Result int64

	path string // About, if that is a path, as it is
}

// A Fault is what happens at a point.
type Fault struct {
	Point
	// Errno is the error that the call returns. It is not made, but for close(2), which closes the
	// descriptor whatever it returns.
	Errno unix.Errno
	// Kill says that the program is killed before the call is made. If it does not come to the call
	// it is killed at the point Latest, of the same image, if there is one.
	Kill   bool
	Latest Point
}

// A Program is one to run, with its arguments.
type Program struct {
	Path string
	Args []string // the first is the name
	Dir  string
	Env  []string
	// Filter has the program take a filter of seccomp(2), so that it stops only at the calls that a
	// fault is about. Without a fault it stops at each call and takes a filter all the same: so it
	// sees the same in all runs. If the kernel refuses the filter the program has none in any run,
	// and stops at each call.
	Filter bool
	// Enough may be closed to kill the program as if the time were up.
	Enough <-chan struct{}
	// Signals are sent to the program when they come.
	Signals <-chan unix.Signal
}

// A Result is what came of a program.
type Result struct {
	Status         unix.WaitStatus
	Stdout, Stderr string
	Reached        bool // the point of the fault
	// Calls are all that the program and its processes made, if there was no fault. If the program
	// was killed they are those that the process of the point made when the program was gone: not
	// all of those before them were seen, and so About and Nth of their points may be others.
	Calls []Call
	// Ends are those of the processes that a signal ended.
	Ends []End
	// Hung says what was still there when the time was up, and was killed then.
	Hung string
	// Ended tells that the program itself had ended before that, with the status.
	Ended bool

	stops int // at system calls
}

// An End is the end of a process by a signal.
type End struct {
	Process int
	Signal  unix.Signal
	// OfStack tells that the signal came of an address that is near the end of the stack.
	OfStack bool
	// Birth is the call that made the process. It is empty for the program itself, and where the
	// birth was not seen.
	Birth Call
}

// Run runs the program until its last process is gone. fault may be nil. The program has no input,
// and pipes for its output.
func (p Program) Run(fault *Fault, timeout time.Duration) (r Result, err error) {
	runtime.LockOSThread() // the thread that traces, and whose child the program is
	defer runtime.UnlockOSThread()
	if unix.Gettid() == os.Getpid() {
		// Orphans become children of the main thread of process 1, or of a subreaper. It would wait
		// for those that another thread traces, too, and take their stops (wait(2), __WNOTHREAD).
		done := make(chan struct{})
		go func() { // on another thread: this one is taken
			defer close(done)
			r, err = p.Run(fault, timeout)
		}()
		<-done
		return r, err
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return r, err
	}
	defer null.Close()
	stdout, err := newOutput()
	if err != nil {
		return r, err
	}
	stderr, err := newOutput()
	if err != nil {
		return r, errors.Join(err, stdout.writer.Close())
	}
	pid, err := syscall.ForkExec(p.Path, p.Args, &syscall.ProcAttr{
		Dir:   p.Dir,
		Env:   p.Env,
		Files: []uintptr{null.Fd(), stdout.writer.Fd(), stderr.writer.Fd()},
		Sys:   &syscall.SysProcAttr{Ptrace: true},
	})
	err = errors.Join(err, stdout.writer.Close(), stderr.writer.Close())
	if err == nil {
		t := &tracer{
			fault:   fault,
			program: pid,
			threads: map[int]*thread{},
			early:   map[int]bool{},
		}
		if p.Filter {
			t.filter = newFilter(fault.numbers())
		}
		timer, over := time.AfterFunc(timeout, t.giveUp), make(chan struct{})
		go func() {
			for {
				select {
				case signal := <-p.Signals:
					t.send(signal)
					continue
				case <-p.Enough:
					t.giveUp()
				case <-over:
				}
				return
			}
		}()
		err = t.trace(&r)
		timer.Stop()
		close(over)
		r.Hung = t.whatHung()
	}
	r.Stdout, r.Stderr = stdout.read(timeout), stderr.read(timeout)
	return r, err
}

// output is a pipe that is read in the background.
type output struct {
	reader, writer *os.File
	text           chan string
}

func newOutput() (o output, err error) {
	if o.reader, o.writer, err = os.Pipe(); err != nil {
		return o, err
	}
	o.text = make(chan string, 1)
	go func() {
		text, _ := io.ReadAll(io.LimitReader(o.reader, 1<<20)) // an error: read gave up
		o.text <- string(text)
	}()
	return o, nil
}

// read returns what was written when nobody has the pipe open any longer.
func (o output) read(timeout time.Duration) string {
	defer o.reader.Close()
	if err := o.reader.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return ""
	}
	return <-o.text
}

// process is one of the program.
type process struct {
	number, image int
	parent        int               // its number
	birth         Call              // by which it was made, if that was seen
	hasEnded      bool              // by a signal
	made          map[Point]int     // how many system calls; Nth is 0
	files         map[uint64]string // the paths of open files, as in Point.About
	paths         map[uint64]string // the same as they are
}

// thread is one of a process.
type thread struct {
	*process
	isNew bool  // it has not stopped yet
	call  *Call // that it is in, if it is of interest
	fails bool  // the call is to return the error of the fault
	// hasWaited tells that its last call was a wait whose time was up. Calls of other threads are
	// not counted: a filter does not show most of them, and Go has threads that often wait.
	hasWaited bool
	// falls is how often it had a signal that ends a program for what it does, since its last call,
	// fell is the last of them, and ofStack as in End.
	falls   int
	fell    unix.Signal
	ofStack bool
}

// mostFalls is enough for any handler. The process 1 of a pid namespace dies of such a signal, but
// not while it is traced: it would do the same forever.
const mostFalls = 10

// tracer follows all threads of a program.
type tracer struct {
	fault     *Fault
	program   int // its pid
	processes int
	done      bool // the fault has happened
	held      int  // the thread that waits for the end of the program, or 0
	killed    bool // a process was killed, and may not have told of a birth
	// filter is that of seccomp(2) which chooses the calls to stop at, or nil.
	filter []unix.SockFilter

	mutex   sync.Mutex // for what giveUp looks at
	threads map[int]*thread
	early   map[int]bool // those that stopped before their birth was told
	over    bool         // the time is up
	hung    []string     // what was there then
}

const options = unix.PTRACE_O_EXITKILL | unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACEEXEC |
	unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK |
	unix.PTRACE_O_TRACESECCOMP

// trace goes on until no thread is left.
func (t *tracer) trace(r *Result) error {
	var status unix.WaitStatus
	if _, err := unix.Wait4(t.program, &status, unix.WALL, nil); err != nil {
		return fmt.Errorf("wait4: %w", err)
	}
	if err := unix.PtraceSetOptions(t.program, options); err != nil {
		return errors.Join(fmt.Errorf("ptrace: %w", err), unix.Kill(t.program, unix.SIGKILL))
	}
	if t.filter != nil && !installFilter(t.program, t.filter) {
		t.filter = nil
	}
	t.add(t.program, t.newProcess(0))
	_ = t.resume(t.program, 0)
	for {
		tid, err := unix.Wait4(-1, &status, unix.WALL|unix.WNOTHREAD, nil)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.ECHILD):
			return nil
		case err != nil:
			return fmt.Errorf("wait4: %w", err)
		}
		if status.Stopped() {
			t.stopped(tid, status, r)
			continue
		}
		t.noteEnd(tid, status, r)
		t.remove(tid)
		if t.killed = t.killed || status.Signaled(); t.killed {
			t.adopt()
		}
		if tid == t.program {
			r.Status, r.Ended = status, !t.isOver()
			t.letGo(r)
		}
	}
}

// noteEnd takes note of a process that a signal ended: of its first thread that is gone.
func (t *tracer) noteEnd(tid int, status unix.WaitStatus, r *Result) {
	th := t.threads[tid]
	if th == nil || !status.Signaled() || th.hasEnded {
		return
	}
	th.hasEnded = true
	end := End{Process: th.number, Signal: status.Signal(), Birth: th.birth}
	if th.falls > mostFalls {
		end.Signal = th.fell // it was killed because of that
	}
	end.OfStack = th.ofStack && end.Signal == th.fell
	r.Ends = append(r.Ends, end)
}

func (t *tracer) newProcess(parent int) *process {
	t.processes++
	return &process{
		number: t.processes - 1,
		parent: parent,
		made:   map[Point]int{},
		files:  map[uint64]string{},
		paths:  map[uint64]string{},
	}
}

// add adds a thread, and tells whether it has stopped already.
func (t *tracer) add(tid int, p *process) (hasStopped bool) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	isEarly := t.early[tid]
	hasStopped = tid == t.program || isEarly
	delete(t.early, tid)
	t.threads[tid] = &thread{process: p, isNew: !hasStopped}
	if t.over && !isEarly {
		t.kill(tid)
	}
	return hasStopped
}

// hold keeps a thread where it is until its birth is told.
func (t *tracer) hold(tid int) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.early[tid] = true
	if t.over {
		t.kill(tid)
	}
}

// adopt takes on the processes whose birth nobody tells, because their parent was killed meanwhile:
// it is none of the threads. This process is the parent of the program, and of a child that the
// program leaves to it (CLONE_PARENT of clone(2)).
func (t *tracer) adopt() {
	for tid := range maps.Clone(t.early) {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", tid)) // none: it is gone
		_, ids, _ := strings.Cut(string(text), "\nTgid:")
		_, parents, _ := strings.Cut(ids, "\nPPid:")
		leader, parent := 0, 0
		_, err := fmt.Sscan(ids, &leader)
		_, parentErr := fmt.Sscan(parents, &parent)
		if parent == os.Getpid() {
			parent = t.program
		}
		if err != nil || parentErr != nil || leader != tid || t.threads[parent] != nil {
			continue
		}
		t.add(tid, t.newProcess(0))
		_ = t.resume(tid, 0)
	}
}

func (t *tracer) remove(tid int) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	delete(t.threads, tid)
	delete(t.early, tid)
}

// rename takes note that a thread which called execve(2) has the number of its process since then,
// whichever thread had that before: all others are gone (ptrace(2), execve(2) under ptrace).
func (t *tracer) rename(tid int) {
	former, err := unix.PtraceGetEventMsg(tid)
	if err != nil || int(former) == tid {
		return // an error: it was killed
	}
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if th := t.threads[int(former)]; th != nil {
		t.threads[tid] = th
		delete(t.threads, int(former))
	}
}

// stopped does what is to be done with a thread that has stopped, and lets it go on.
func (t *tracer) stopped(tid int, status unix.WaitStatus, r *Result) {
	event := int(status) >> 16
	if event == unix.PTRACE_EVENT_EXEC {
		t.rename(tid)
	}
	th := t.threads[tid]
	if th == nil {
		t.hold(tid)
		if t.killed {
			t.adopt()
		}
		return
	}
	s := status.StopSignal()
	switch {
	case event == unix.PTRACE_EVENT_CLONE && !t.makesProcess(th):
		t.born(tid, th.process)
	case event == unix.PTRACE_EVENT_CLONE, event == unix.PTRACE_EVENT_FORK,
		event == unix.PTRACE_EVENT_VFORK:
		p := t.newProcess(th.number)
		if th.call != nil {
			p.birth = *th.call
		}
		t.born(tid, p)
	case event == unix.PTRACE_EVENT_EXEC:
		if t.fault == nil && th.call != nil {
			r.Calls = append(r.Calls, *th.call)
		}
		th.image++
		th.made = map[Point]int{}
		th.call = nil
	case event == unix.PTRACE_EVENT_SECCOMP && (!t.follows(th) || t.stopsAlways()):
	case event == unix.PTRACE_EVENT_SECCOMP, s == unix.SIGTRAP|0x80: // PTRACE_O_TRACESYSGOOD
		th.falls = 0
		if t.syscall(tid, th, r) {
			return
		}
	case th.isNew && s == unix.SIGSTOP:
		th.isNew = false
	default:
		if s == unix.SIGSEGV || s == unix.SIGBUS || s == unix.SIGILL || s == unix.SIGFPE {
			th.falls++
			th.fell, th.ofStack = s, isOfStack(tid)
		}
		if th.falls > mostFalls {
			_ = unix.Kill(tid, unix.SIGKILL) // an error: it is gone
		}
		_ = t.resume(tid, s)
		return
	}
	_ = t.resume(tid, 0)
}

// isOfStack tells whether a thread gets a signal for an address near its stack pointer, where a
// function has its variables.
func isOfStack(tid int) bool {
	const near = 1 << 16
	address, err := ptrace.FaultAddress(tid)
	info, infoErr := ptrace.GetSyscallInfo(tid)
	return err == nil && infoErr == nil && address+near > info.SP && address < info.SP+near
}

// makesProcess tells whether the call that a thread is in makes a process, and no thread. The event
// is that of a thread also where the end of the child sends another signal than SIGCHLD, or none.
func (t *tracer) makesProcess(th *thread) bool {
	return t.fault == nil && th.call != nil && th.call.Args[0]&unix.CLONE_THREAD == 0
}

// born takes on a thread of process p, which the thread parent has made.
func (t *tracer) born(parent int, p *process) {
	child, err := unix.PtraceGetEventMsg(parent)
	if err != nil {
		return // the parent was killed
	}
	if hasStopped := t.add(int(child), p); hasStopped {
		_ = t.resume(int(child), 0)
	}
}

// resume lets a thread go on, with a signal that it is to get or 0. An error says that it was
// killed.
func (t *tracer) resume(tid int, s unix.Signal) error {
	if th := t.threads[tid]; t.follows(th) && (t.stopsAlways() || th.call != nil) {
		return ptrace.Syscall(tid, s)
	}
	return ptrace.Cont(tid, s)
}

// stopsAlways tells whether a thread that is followed is to stop at all of its calls: if no filter
// chooses, or when the fault was to kill the program, to see what comes after it.
func (t *tracer) stopsAlways() bool {
	return t.filter == nil || t.fault == nil || t.done && t.fault.Kill
}

// follows tells whether a thread is to stop at system calls.
func (t *tracer) follows(th *thread) bool {
	if t.fault == nil {
		return true
	}
	isPlace := th.number == t.fault.Process && th.image == t.fault.Image
	return isPlace && (!t.done || t.fault.Kill || th.fails)
}

// syscall looks at a system call, before it is made or after. It tells whether the thread is to
// stay where it is.
func (t *tracer) syscall(tid int, th *thread, r *Result) (stays bool) {
	r.stops++
	info, err := ptrace.GetSyscallInfo(tid)
	if err != nil {
		return false // it was killed
	}
	if info.Op == ptrace.SyscallInfoExit && th.call != nil {
		t.returned(tid, th, int64(info.Data[0]), r)
	}
	if info.Op == ptrace.SyscallInfoExit {
		return false
	}
	c := &Call{Args: [6]uint64(info.Data[1:7])}
	c.Process, c.Image, c.Number = th.number, th.image, int(info.Data[0])
	c.Parent = th.parent
	c.path = th.path(tid, c)
	c.About = th.about(tid, c)
	c.inherit(tid)
	c.Nth = th.made[c.Point]
	th.made[c.first()]++
	th.call, th.hasWaited = c, false
	switch {
	case t.fault == nil:
		switch c.Number {
		case unix.SYS_CLONE3: // the flags are the first of its arguments in memory
			c.Args[0] = ptrace.ReadWord(tid, c.Args[0])
		case unix.SYS_EXECVE:
			c.Words = ptrace.ReadTexts(tid, c.Args[1])
		case unix.SYS_WRITE, unix.SYS_WRITEV:
			if c.Args[0] == 2 {
				c.Words = []string{c.written(tid)}
			}
		case unix.SYS_RT_SIGACTION: // what is to be done comes first in memory, and then the flags
			for i := uint64(0); c.Args[1] != 0 && i < 2; i++ {
				c.Words = append(c.Words, fmt.Sprint(ptrace.ReadWord(tid, c.Args[1]+8*i)))
			}
		}
		c.Text = c.print(tid)
		c.place(tid)
		if c.Number == unix.SYS_EXIT_GROUP { // it does not return
			r.Calls = append(r.Calls, *c)
		}
	case t.done && t.fault.Kill:
		r.Calls = append(r.Calls, *c)
	case !t.done && (c.Point == t.fault.Point || t.fault.Kill && c.Point == t.fault.Latest):
		t.done = true
		r.Reached = c.Point == t.fault.Point
		return t.happen(tid, th)
	}
	return false
}

// What a call returns inside the kernel, and to ptrace(2), if it is to be made again: for a signal
// without a handler, or because a lock could not be had. ERESTARTSYS is the first of these errors,
// and ERESTART_RESTARTBLOCK the last (include/linux/errno.h).
const firstRestart, lastRestart = 512, 516

// returned takes note of what a call returned.
func (t *tracer) returned(tid int, th *thread, result int64, r *Result) {
	c := th.call
	th.call = nil
	switch {
	case th.fails:
		th.fails = false
		_ = setResult(tid, t.fault.Errno) // an error: it was killed
		return
	case -lastRestart <= result && result <= -firstRestart:
		th.made[c.first()]--
		return
	case result >= 0:
		c.Result = result
	}
	switch {
	case result < 0:
		c.Errno = unix.Errno(-result)
		th.hasWaited = c.Number == unix.SYS_FUTEX && c.Errno == unix.ETIMEDOUT
	case c.Number == unix.SYS_OPENAT:
		th.files[uint64(result)], th.paths[uint64(result)] = c.About, c.path
	case isDup(c.Number): // as a shell does for a redirection
		th.files[c.Args[1]], th.paths[c.Args[1]] = th.files[c.Args[0]], th.paths[c.Args[0]]
	}
	if t.fault == nil {
		r.Calls = append(r.Calls, *c)
	}
}

// happen makes the fault happen to a thread, and tells whether that is to stay where it is.
func (t *tracer) happen(tid int, th *thread) (stays bool) {
	if t.fault.Kill {
		_ = unix.Kill(t.program, unix.SIGKILL)
		if th.number == 0 {
			return false
		}
		t.held = tid
		return true
	}
	th.fails = true
	if t.fault.Number != unix.SYS_CLOSE {
		_ = ptrace.SetSyscall(tid, -1) // an error: it was killed
	}
	return false
}

// letGo lets the thread go on that was held until the program is gone. The call that it is in is
// the first that it makes then.
func (t *tracer) letGo(r *Result) {
	th := t.threads[t.held]
	if th == nil {
		return
	}
	if err := t.resume(t.held, 0); err == nil {
		r.Calls = append(r.Calls, *th.call)
	}
}

// giveUp kills all that is left, and all that comes later. Nobody tells the birth of a process
// whose parent is killed at that moment.
func (t *tracer) giveUp() {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.over = true
	t.kill(slices.AppendSeq(slices.Collect(maps.Keys(t.threads)), maps.Keys(t.early))...)
}

// isOver tells whether the time is up.
func (t *tracer) isOver() bool {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return t.over
}

// send sends a signal to the program, if it is still there.
func (t *tracer) send(signal unix.Signal) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if t.threads[t.program] != nil {
		_ = unix.Kill(t.program, signal) // an error: it is gone
	}
}

// kill kills the processes of threads, and notes what each was doing before. The mutex is held.
func (t *tracer) kill(tids ...int) {
	for _, tid := range tids {
		t.hung = append(t.hung, describe(tid))
	}
	for _, tid := range tids {
		_ = unix.Kill(tid, unix.SIGKILL) // an error: it is gone
	}
}

func (t *tracer) whatHung() string {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if t.hung == nil {
		return ""
	}
	return strings.Join(t.hung, ", ") + "."
}

// describe says what a thread is doing: its name, its state and its system call (proc(5)).
func describe(tid int) string {
	name, state := "", ""
	if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", tid)); err == nil {
		before, after, _ := strings.Cut(string(stat), ") ")
		_, name, _ = strings.Cut(before, " (")
		state, _, _ = strings.Cut(after, " ")
	}
	number := -1
	call, _ := os.ReadFile(fmt.Sprintf("/proc/%d/syscall", tid)) // none: it is gone
	if _, err := fmt.Sscan(string(call), &number); err != nil || number == -1 {
		return fmt.Sprintf("%d %s (%s)", tid, name, state)
	}
	return fmt.Sprintf("%d %s (%s) in %s", tid, name, state, Name(number))
}
