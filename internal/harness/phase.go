//go:build linux

package harness

import (
	"encoding/json"
	"errors"
	"os"
	"sync"
	"time"
)

// phaseEnv holds, in JSON, what one stage of a process of the harness tells the next.
const phaseEnv = "WORKSHOP_PHASE"

// A phase is what a stage is told. All that the user says to the harness in environment variables
// is in it, too: it is read in the first stage, and nowhere else.
type phase struct {
	Stage stageName
	Dir   string // of the throw-away hosts
	Disk  string // a directory of this host alone, for mountWork
	// NoIDMaps tells that mountWork found no file system with idmapped mounts.
	NoIDMaps bool
	Cgroups  subtrees
	// NoCgroups says why there are none.
	NoCgroups string
	// Program is the program under test as somebody named it. It is empty for our own.
	Program  string
	Timeout  time.Duration // for each script
	Share    string        // of the scripts, as in shareEnv
	CI       bool          // what the machine does not lack must not be skipped
	Emulated bool          // the machine is, as in emulatedEnv
	Few      bool          // of many cases that are alike some will do
	Task     *task         `json:"-"` // what to do instead of running tests
	TaskFile string        // where it is: the environment has no room for it
}

// give adds a task.
func (p *phase) give(what task) error {
	text, err := json.Marshal(what)
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(p.Dir, "task-")
	if err != nil {
		return err
	}
	p.Task, p.TaskFile = &what, file.Name()
	_, err = file.Write(text)
	return errors.Join(err, file.Close())
}

// readTask reads the task, if there is one.
func (p *phase) readTask() error {
	if p.TaskFile == "" {
		return nil
	}
	text, err := os.ReadFile(p.TaskFile)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, &p.Task)
}

// A stageName says which of the three stages of the harness a process is (see Main).
type stageName string

const (
	first stageName = ""
	setup stageName = "setup"
	tests stageName = "tests"
)

// now is the phase of this process. It is decoded once, and the variable is gone then: the program
// under test gets a clean environment.
var now = sync.OnceValue(func() phase {
	var p phase
	text := os.Getenv(phaseEnv)
	if text == "" {
		return fromUser()
	}
	err := json.Unmarshal([]byte(text), &p)
	if err == nil {
		err = p.readTask()
	}
	if err != nil {
		panic(err) // this program wrote it
	}
	os.Unsetenv(phaseEnv)
	return p
})

// fromUser is what the environment of the user says.
func fromUser() phase {
	ci, emulated := os.Getenv("CI") == "true", os.Getenv(emulatedEnv) == "yes"
	return phase{
		Program:  os.Getenv(programEnv),
		CI:       ci,
		Share:    os.Getenv(shareEnv),
		Emulated: emulated,
		Few:      emulated || !ci && os.Getenv(sweepEnv) != "all",
		Timeout:  Timeout(),
	}
}

// Timeout is the time after which a script is ended, as TimeoutEnv says it.
func Timeout() time.Duration {
	if timeout, err := time.ParseDuration(os.Getenv(TimeoutEnv)); err == nil {
		return timeout
	}
	return time.Minute
}

// environ is an environment for the next stage.
func (p phase) environ() []string {
	text, err := json.Marshal(p)
	if err != nil {
		panic(err) // strings, numbers and bools
	}
	return append(os.Environ(), phaseEnv+"="+string(text))
}
