//go:build linux

package record

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// stageEnv tells a process that it is the stage between the recorder and the command. Its value is
// the program to execute.
const stageEnv = "WORKSHOP_RECORD"

// stageFile is the pipe on which the stage waits until it is followed.
const stageFile = 3

// The recorder follows the first thread of the stage, and that one executes the command.
func init() {
	if IsStage() {
		runtime.LockOSThread()
	}
}

// IsStage tells whether this process is the stage of a recorder, and has to call Stage.
func IsStage() bool { return os.Getenv(stageEnv) != "" }

// Stage takes the filter that makes the calls of interest stop, and executes the command. It
// returns a status only if it does not become the command.
func Stage() int {
	path := os.Getenv(stageEnv)
	err := prepareStage()
	if err == nil {
		args := os.Args[len(stageArgs):]
		err = unix.Exec(path, args, withoutStage(os.Environ()))
	}
	fmt.Fprintf(os.Stderr, "workshop: record %q: %v\n", path, err)
	if errors.Is(err, unix.ENOENT) {
		return 127
	}
	return 126
}

// stageArgs are what the stage is called before the command, as ps(1) shows it.
var stageArgs = []string{"workshop", "record", "--"}

func prepareStage() error {
	if n, err := unix.Read(stageFile, make([]byte, 1)); n != 1 {
		return fmt.Errorf("the recorder is gone (%w)", errors.Join(err, unix.EPIPE))
	}
	if err := unix.Close(stageFile); err != nil {
		return err
	}
	filter, err := newFilter(callNumbers(), conditions)
	if err != nil {
		return err
	}
	if err := installFilter(filter); !errors.Is(err, unix.EACCES) {
		return err
	}
	// An ordinary user may have a filter only by giving up what set-user-ID programs would give.
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	return installFilter(filter)
}

func withoutStage(environ []string) (clean []string) {
	for _, variable := range environ {
		if !strings.HasPrefix(variable, stageEnv+"=") {
			clean = append(clean, variable)
		}
	}
	return clean
}
