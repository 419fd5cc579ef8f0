//go:build linux

package harness

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// A Status is what became of a script.
type Status string

// What becomes of a script.
const (
	Started Status = "started"
	Passed  Status = "passed"
	Failed  Status = "failed"
	Skipped Status = "skipped"
)

// An Event tells that a script was started, or what became of it.
type Event struct {
	Script Script
	Status Status
	Reason string // why it was skipped
	// Lacking tells that it was skipped for what the machine or the user lacks, and not for what
	// the program does not offer.
	Lacking bool
	// NotBuilt is the flag for lack of which it was skipped: the program has not come that far. The
	// script has not failed, nor is there anything that could not be checked here.
	NotBuilt string
	Log      string // what testscript says of it
	// baseless tells that it was skipped though nothing was found missing.
	baseless bool
	Took     time.Duration
	Failure
}

// A Failure tells why a script failed.
type Failure struct {
	Line    int    // of the script, from 1; 0 if it is no line of it that failed
	Message string // what the command at that line, or the look at the host, had to say
	Ran     string // the last program that the script ran, as it is written there
	Stdout  string // what that program wrote
	Stderr  string
	Diff    string // if the command compared two texts
	// Background are the programs in the background, in the order of the script.
	Background []Background
	Waiting    string // the time was up: what was still running, and what it was waiting for
	Panicked   bool   // the program ended in a panic, whatever the line expected of it
	// Conduct is what the kernel saw of the program that failed, or nil.
	Conduct *Conduct
	Left    []string
	Tasks   int // how many processes and threads there were, one after another or at once
}

// Background is a program that a script that failed had in the background.
type Background struct {
	Command string // the words of its command line, with a blank between them
	// how it had ended, as in "exit status 1"; empty if it still ran, and was killed then
	State  string
	Stdout string
	Stderr string
}

// A Host is a throw-away host, prepared once for any number of checks.
type Host struct {
	root, dir string
}

// NewHost prepares a throw-away host for the scripts of the module at root: that takes a moment.
func NewHost(root string) (*Host, error) {
	dir, err := makeDir()
	if err != nil {
		return nil, err
	}
	h := &Host{root, dir}
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "bin"), 0o755),
		furnish(dir, root)); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// Close removes the files of the host.
func (h *Host) Close() error { return os.RemoveAll(h.dir) }

// task is what a check asks of the third stage.
type task struct {
	Scripts []Script
	Play    bool // see Host.Play
	All     bool // see Options
}

// Options of a check.
type Options struct {
	Program string        // the executable, an absolute path
	Ours    bool          // it is one of the workshop's own
	Timeout time.Duration // for each script; 0 for what TimeoutEnv says
	// All says that the check goes on after a script that failed, and that nobody asks why it did:
	// there is no Conduct.
	All bool
}

// Check runs scripts, one after another, until one of them fails, and calls each for all that
// happens. The scripts that show what a step does not isolate yet do not end the check. An error
// says that it could not be run, or that ctx was done.
func (h *Host) Check(ctx context.Context, o Options, scripts []Script, each func(Event)) error {
	return h.run(ctx, o, task{Scripts: scripts, All: o.All}, nil, func(line []byte) error {
		var e Event
		if err := json.Unmarshal(line, &e); err != nil {
			return err
		}
		each(e)
		return nil
	})
}

// run has the third stage carry out a task, and calls each for every line that it writes.
func (h *Host) run(ctx context.Context, o Options, what task, stdin *os.File,
	each func([]byte) error,
) error {
	if err := buildTools(h.dir, h.root, what.Scripts); err != nil {
		return err
	}
	link := filepath.Join(h.dir, "bin", "container")
	if err := os.Remove(link); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Symlink(o.Program, link); err != nil {
		return err
	}
	report, reportWriter, err := os.Pipe()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lines := make(chan error, 1)
	go func() {
		scanner := bufio.NewScanner(report)
		scanner.Buffer(nil, 64<<20)
		var err error
		for err == nil && scanner.Scan() {
			err = each(scanner.Bytes())
		}
		if err != nil {
			cancel()
		}
		lines <- errors.Join(err, scanner.Err())
		report.Close()
	}()

	runtime.LockOSThread() // the thread that dies is what Pdeathsig looks at
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	var output bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &output, &output
	p := fromUser()
	p.Dir, p.Task, p.CI, p.Program = h.dir, &what, false, o.Program
	if o.Ours {
		p.Program = ""
	}
	if o.Timeout > 0 {
		p.Timeout = o.Timeout
	}
	err = runStages(cmd, p, reportWriter)
	reportWriter.Close()
	err = errors.Join(err, <-lines)
	switch {
	case err != nil || ctx.Err() != nil:
		return errors.Join(err, ctx.Err())
	case !cmd.ProcessState.Success():
		return fmt.Errorf("throw-away host: %s\n%s", cmd.ProcessState,
			bytes.TrimSpace(output.Bytes()))
	}
	return nil
}

// IsStage tells whether this process is the second or the third stage of a check. A program that
// calls Check has to call Stage at its very beginning if so.
func IsStage() bool { return now().Stage != first && now().Task != nil }

// Stage is the second and the third stage of a check. It returns the exit status.
func Stage() int {
	runtime.LockOSThread() // unshare(2) works on it
	var err error
	if now().Stage == setup {
		err = setupHost()
	} else {
		unix.CloseOnExec(reportFd)
		err = obey(*now().Task)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "harness: %v\n", err)
		return 1
	}
	return 0
}

// obey runs the scripts of a task.
func obey(what task) error {
	for _, script := range what.Scripts {
		if err := tell(Event{Script: script, Status: Started}); err != nil {
			return err
		}
		e, err := tryScript(script, what.Play, false)
		if err != nil {
			return fmt.Errorf("%s: %w", script.ID(), err)
		}
		if err := tell(e); err != nil {
			return err
		}
		if e.Status == Failed && !script.NotYet() && !what.All {
			return nil
		}
	}
	return nil
}

// tell writes an event as one line to the report. It does so without an os.File, which would close
// the descriptor when it is collected.
func tell(e any) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	for line = append(line, '\n'); len(line) > 0; {
		n, err := unix.Write(reportFd, line)
		if err != nil {
			return fmt.Errorf("report: %w", err)
		}
		line = line[n:]
	}
	return nil
}
