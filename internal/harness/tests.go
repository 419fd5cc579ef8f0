//go:build linux

package harness

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// A Place is the throw-away host, for a test that is no script.
type Place struct {
	Program string // the program under test
	Probe   string // internal/harness/probe
	Rootfs  string // a root file system, not to be changed
	Work    string // a directory for the files of the test
}

// Visit lets a test have the throw-away host to itself. What it leaves behind fails it.
func Visit(t *testing.T) *Place {
	t.Helper()
	before, err := hostState()
	must(t, err)
	dir := now().Dir
	h := &Place{
		Program: filepath.Join(dir, "bin", "container"),
		Probe:   filepath.Join(dir, "bin", "probe"),
		Rootfs:  filepath.Join(dir, "rootfs"),
	}
	h.Work, err = os.MkdirTemp(filepath.Join(dir, "work"), "test-")
	must(t, err)
	must(t, os.Chmod(h.Work, 0o755))
	t.Cleanup(func() {
		left, err := leftovers(before)
		if len(left) > 0 {
			t.Errorf("the host is not as it was before: %v", left)
		}
		if err := errors.Join(err, restore(before), os.RemoveAll(h.Work)); err != nil {
			t.Error(err)
		}
		if !t.Skipped() {
			record(t.Name(), "ran")
		}
	})
	return h
}

// Missing says what a condition of the scripts, such as cgroups, finds missing here; "" for
// nothing.
func Missing(condition string) string { return conditions[condition]() }

// Skip skips a test, and says so in the report.
func Skip(t *testing.T, why string) {
	t.Helper()
	record(t.Name(), "skipped "+why)
	t.Skip(why)
}

// NeedsGo is called by a test that runs the go command. It skips the test in a virtual machine of
// scripts/vm.sh, which has none, and says so where everybody sees it, and not only with -v.
//
// go test keeps a result until something changes that the test looked at, and it does not see what
// the go command looks at for the test: NeedsGo looks at the sources of the module.
func NeedsGo(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil && os.Getenv(prebuiltEnv) != "" {
		fmt.Printf("%s skipped: runs the go command, and this machine has none\n", t.Name())
		t.Skip("runs the go command")
	}
	must(t, lookAtSources())
}

// lookAtSources opens all directories of which the programs of the workshop and their tests are
// made: go test takes note of their files, of their sizes and times. It does not open the root of
// the module, where a file of Git changes with each commit.
func lookAtSources() error {
	root, err := ModuleRoot()
	if err != nil {
		return err
	}
	dirs, err := Steps(root)
	dirs = append(dirs, "bench", "image", "internal", Runtime, "scripts", "testdata", "workshop")
	for _, dir := range dirs {
		err = errors.Join(err, filepath.WalkDir(filepath.Join(root, dir),
			func(_ string, _ fs.DirEntry, err error) error { return err }))
	}
	for _, file := range []string{"go.mod", "go.sum"} {
		_, statErr := os.Stat(filepath.Join(root, file))
		err = errors.Join(err, statErr)
	}
	return err
}

// Tried adds to the report that a test has tried so many faults.
func Tried(t *testing.T, n int) {
	t.Helper()
	record(t.Name(), fmt.Sprintf("tried %d", n))
	t.Logf("%d faults tried", n)
}
