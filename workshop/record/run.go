//go:build linux

package record

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"container.example/workshop/internal/ptrace"
	"container.example/workshop/runtime/plan"
)

// Options say what to record, and how much of it.
type Options struct {
	// Command is the program and its arguments. The program is looked for as a shell does.
	Command []string
	// Stdin, Stdout and Stderr are those of the command; nil is /dev/null.
	Stdin, Stdout, Stderr *os.File
	// Limit is how long the command may take before all of its processes are killed; 0 is forever.
	Limit time.Duration
	// MaxSteps is how many steps are recorded; what comes later only runs. 0 is DefaultSteps.
	MaxSteps int
	// Begin is called with the recording as it is before the first step.
	Begin func(*Recording)
	// Gate is called with each step, before the process that made it goes on. An error ends the
	// command: all of its processes are killed.
	Gate func(Step) error
}

// DefaultSteps is how many steps are recorded if Options do not say.
const DefaultSteps = 5000

// Run runs a command until its last process is gone, and records it. The end of the context kills
// all processes; what was recorded until then is returned without an error.
func Run(ctx context.Context, o Options) (*Recording, error) {
	if len(o.Command) == 0 {
		return nil, errors.New("no command")
	}
	path, err := exec.LookPath(o.Command[0])
	if err != nil {
		return nil, fmt.Errorf("exec %q: %w", o.Command[0], errors.Unwrap(err))
	}
	if o.MaxSteps == 0 {
		o.MaxSteps = DefaultSteps
	}
	type result struct {
		recording *Recording
		err       error
	}
	done := make(chan result, 1)
	go func() {
		// Only the thread that follows a process may wait for it and let it go on (ptrace(2)). It
		// is never unlocked: it ends with this goroutine, and nothing of it is left to others.
		runtime.LockOSThread()
		t := newTracer(o)
		recording, err := t.run(ctx, path)
		done <- result{recording: recording, err: err}
	}()
	r := <-done
	return r.recording, r.err
}

// run starts the child, follows it and all that it starts, and returns the recording. The path is
// that of the program of the command.
func (t *tracer) run(ctx context.Context, path string) (*Recording, error) {
	if err := procIsOurs(); err != nil {
		return nil, err
	}
	if err := silenceStops(); err != nil {
		return nil, err
	}
	t.readMachine()
	c, err := newChild(path, t.Command, [...]*os.File{t.Stdin, t.Stdout, t.Stderr})
	if err != nil {
		return nil, fmt.Errorf("start the command: %w", err)
	}
	defer c.close()
	if err := t.startChild(c); err != nil {
		return nil, fmt.Errorf("start the command: %w", err)
	}
	t.places.readAhead(path)
	t.readHostRights()
	// The child goes on to execve(2), where it waits until it is followed.
	if err := c.plan.Release(); err != nil {
		return nil, errors.Join(fmt.Errorf("start the command: %w", err), t.killAll(""))
	}
	t.begin()
	if t.Limit > 0 {
		timer := time.AfterFunc(t.Limit, func() {
			_ = t.killAll(fmt.Sprintf("time limit of %v", t.Limit)) // an error: all are gone
		})
		defer timer.Stop()
	}
	stop := context.AfterFunc(ctx, func() { _ = t.killAll("interrupted") })
	defer stop()
	err = t.follow()
	if refused := (*plan.Error)(nil); errors.As(c.plan.Failed(), &refused) && t.Stderr != nil {
		fmt.Fprintf(t.Stderr, "workshop: record %q: %v\n", path, refused.Cause)
	}
	t.finish()
	return t.recording, err
}

// procIsOurs requires that /proc has the processes of the pid namespace of this program: elsewhere
// the numbers are those of other processes (proc(5)).
func procIsOurs() error {
	if readLink("/proc/self") == strconv.Itoa(os.Getpid()) {
		return nil
	}
	return errors.New("/proc is not that of this process (mount -t proc proc /proc, or " +
		"unshare --mount-proc)")
}

// startChild starts the child, and begins to follow it.
func (t *tracer) startChild(c *child) error {
	syscall.ForkLock.Lock() // no descriptor is open at that moment that another program is to get
	pid, err := c.plan.Start(0, -1)
	syscall.ForkLock.Unlock()
	if err != nil {
		return fmt.Errorf("clone3: %w", err)
	}
	if err := ptrace.Seize(pid, traceOptions); err != nil {
		_ = unix.Kill(pid, unix.SIGKILL)
		_, _ = unix.Wait4(pid, nil, 0, nil)
		return fmt.Errorf("ptrace: %w (%s)", err, seizeHint)
	}
	t.root = pid
	t.addThread(pid, &process{pid: pid, view: pid})
	t.threads[pid].started = true
	return nil
}

const seizeHint = "another program follows this one, or kernel.yama.ptrace_scope forbids it"

// finish completes the recording when no process is left.
func (t *tracer) finish() {
	r := t.recording
	t.mutex.Lock()
	defer t.mutex.Unlock()
	switch {
	case t.cut != "":
		r.Cut = t.cut
	case t.leftOut > 0:
		r.Cut = fmt.Sprintf("more than %d steps: %d were left out", t.MaxSteps, t.leftOut)
	}
	alignKeys(r.Steps, t.roots)
	r.Source = t.places.source(r.Steps)
}
