//go:build linux

package harness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
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
	// Baseless tells that it was skipped though nothing was found missing.
	Baseless bool
	Took     time.Duration
	Program  string // the executable under test, if it is none of the workshop's own
	Upto     string // the last step whose scripts are run, if that is known
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
	// There are the processes of the program that were still there then: the first one, and those
	// below it.
	There    []Process
	Panicked bool // the program ended in a panic, whatever the line expected of it
	// Conduct is what the kernel saw of the program that failed, or nil.
	Conduct *Conduct
	Left    []string
	// LeftBy is the line of the script that leaves such things behind, if that was seen when its
	// lines were run once more.
	LeftBy string
	Tasks  int // how many processes and threads there were, one after another or at once
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

// task is what a check, or the tests of a package, ask of the third stage.
type task struct {
	Scripts []Script
	Limits  []time.Duration // how long each of them may take; 0 for what phase.Timeout says
	Play    bool            // see Host.Play
	All     bool            // see Options
	Verbose bool            // the log has what succeeded, too
}

// Options of a check.
type Options struct {
	Program string        // the executable, an absolute path
	Ours    bool          // it is one of the workshop's own
	Timeout time.Duration // for each script; 0 means what Patience says
	// Patience says how long a script may take. If it says 0, or is nil, TimeoutEnv says it.
	Patience func(Script) time.Duration
	// All says that the check goes on after a script that failed, and that nobody asks why it did:
	// there is no Conduct.
	All bool
	// Hosts is on how many throw-away hosts the scripts run at once; 0 for one.
	Hosts int
	// Built returns when the program is there, or says why it is not. The hosts are made meanwhile.
	// If Built is nil the program is there already.
	Built func() error
}

// phase is what the stages of a host are told.
func (o Options) phase(h *Host, what task) (phase, error) {
	p := fromUser()
	p.Dir, p.CI, p.Program = h.dir, false, o.Program
	if o.Ours {
		p.Program = ""
	}
	if o.Timeout > 0 {
		p.Timeout = o.Timeout
	}
	return p, p.give(what)
}

// Check runs scripts until one of them fails, and calls each for all that happens, one call at a
// time. The scripts that show what a step does not isolate yet do not end the check. An error says
// that it could not be run, or that ctx was done.
//
// Each host runs the next script, in the order given, that no other host has taken. With several
// hosts the scripts end in another order. When one has failed, all scripts before it still run to
// their end, and some after it may have been tried.
func (h *Host) Check(ctx context.Context, o Options, scripts []Script, each func(Event)) error {
	what := task{Scripts: scripts, All: o.All}
	numbers := map[string]int{}
	upto := ""
	for n, script := range scripts {
		numbers[script.ID()] = n
		upto = max(upto, script.Step)
		limit := time.Duration(0)
		if o.Timeout == 0 && o.Patience != nil {
			limit = o.Patience(script)
		}
		what.Limits = append(what.Limits, limit)
	}
	p := newPool(ctx, min(max(1, o.Hosts), len(scripts)))
	return h.work(p, o, what, nil, func(w *worker, line []byte) error {
		var e Event
		if err := json.Unmarshal(line, &e); err != nil {
			return err
		}
		if !p.begin(w, numbers[e.Script.ID()]) {
			return nil
		}
		e.Upto = upto
		w.spent = e.spends()
		if e.Status == Failed && !e.Script.NotYet() && !o.All {
			p.end(w, nil)
		}
		each(e)
		return nil
	})
}

// equip puts the program under test, and the tools that scripts ask for, where the hosts find them.
func (h *Host) equip(program string, scripts []Script) error {
	if err := buildTools(h.dir, h.root, scripts); err != nil {
		return err
	}
	link := filepath.Join(h.dir, "bin", "container")
	if err := os.Remove(link); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.Symlink(program, link)
}

// IsStage tells whether this process is the second or the third stage of a host for scripts. A
// program that calls Check has to call Stage at its very beginning if so.
func IsStage() bool { return now().Stage != first && now().Task != nil }

// Stage is the second and the third stage of a host for scripts. It returns the exit status.
func Stage() int {
	runtime.LockOSThread() // unshare(2) works on it
	var err error
	if now().Stage == setup {
		err = setupHost()
	} else {
		unix.CloseOnExec(reportFd)
		unix.CloseOnExec(queueFd)
		stockThreads(spareThreads)
		err = spareRootfs().stock(copyRootfs)
		if err == nil {
			err = obey(*now().Task)
		}
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "harness: %v\n", err)
		return 1
	}
	return 0
}

// rootGone is what is told of a host whose root a program has changed.
const rootGone = "gone: root of the host"

// spends tells whether the script has brought its host down: those that follow need another one.
func (e Event) spends() bool { return slices.Contains(e.Left, rootGone) }

// obey runs scripts of a task, as long as there are some that no other host has taken, and this one
// is fit for them.
func obey(what task) error {
	root, err := os.Stat("/")
	if err != nil {
		return err
	}
	for {
		n, ok, err := nextNumber()
		if !ok {
			return err
		}
		script, limit := what.Scripts[n], now().Timeout
		if n < len(what.Limits) && what.Limits[n] > 0 {
			limit = what.Limits[n]
		}
		if err := tell(Event{Script: script, Status: Started}); err != nil {
			return err
		}
		e, err := tryScript(script, limit, what)
		if now, _ := os.Stat("/"); !os.SameFile(root, now) {
			e.Status, e.Failure = Failed, Failure{Left: []string{rootGone}}
			e.Log += notAsBefore(e.Left)
			return tell(e)
		}
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
