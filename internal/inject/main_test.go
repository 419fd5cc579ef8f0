//go:build linux

package inject

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// orphansEnv makes the test binary the process of TestOrphans.
const orphansEnv = "INJECT_TEST_ORPHANS"

func init() {
	if os.Getenv(orphansEnv) != "" {
		runtime.LockOSThread() // the main goroutine stays on the main thread
	}
}

// TestMain keeps from the programs what this process has open without having asked for it: a shell
// may have left descriptors open. The programs would use other numbers then.
func TestMain(m *testing.M) {
	entries, _ := os.ReadDir("/proc/self/fd") // without /proc nothing works here anyway
	for _, entry := range entries {
		if fd, err := strconv.Atoi(entry.Name()); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
	if dir := os.Getenv(orphansEnv); dir != "" {
		if err := traceBesideOrphan(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// traceBesideOrphan traces a program on the main thread, which gets an orphan that another thread
// traces. The program ends when the orphan is there, and before it.
func traceBesideOrphan(dir string) error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return err
	}
	trace := func(script string) error {
		r, err := Program{Path: "/bin/sh", Args: []string{"sh", "-c", script}, Dir: dir}.Run(nil,
			time.Minute)
		if r.Hung != "" {
			err = errors.Join(err, errors.New("hung: "+r.Hung))
		}
		return err
	}
	other := make(chan error)
	go func() { other <- trace("{ echo >begun; exec sleep 0.5; } & exit 0") }()
	err := trace("until test -s begun; do sleep 0.01; done")
	return errors.Join(err, <-other)
}
