//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"container.example/workshop/internal/harness"
)

// atOnce is how many programs of a long list are compiled together, when the first of them is
// needed: the start of the go command takes as long as the compilation of one.
const atOnce = 8

// programs are executables of a test, by their number in a list.
type programs struct {
	paths []string
	build []func() error // of each atOnce programs
}

// newPrograms are programs at these paths. Those from number first up to last, without it, are
// compiled by build.
func newPrograms(paths []string, build func(first, last int) error) *programs {
	p := &programs{paths: paths}
	for first := 0; first < len(paths); first += atOnce {
		p.build = append(p.build, sync.OnceValue(func() error {
			return build(first, min(first+atOnce, len(paths)))
		}))
	}
	return p
}

// path is where a program is, which is compiled if need be.
func (p *programs) path(t *testing.T, n int) string {
	t.Helper()
	require.NoError(t, p.build[n/atOnce]())
	return p.paths[n]
}

// A change is one text that takes the place of another in a file of a program.
type change struct{ file, old, new string }

// changedPrograms are programs of ours with one change each. It is made in the files that filesOf
// says.
func changedPrograms(t *testing.T, root string, changes []change,
	filesOf func(n int) (map[string][]byte, error),
) *programs {
	dir := t.TempDir()
	var paths []string
	for n := range changes {
		paths = append(paths, filepath.Join(dir, fmt.Sprint("program", n)))
	}
	return newPrograms(paths, func(first, last int) error {
		sources := map[string]map[string][]byte{}
		for n := first; n < last; n++ {
			files, err := filesOf(n)
			if err != nil {
				return err
			}
			c := changes[n]
			before := string(files[c.file])
			if times := strings.Count(before, c.old); times != 1 {
				return fmt.Errorf("%q is %d times in %s", c.old, times, c.file)
			}
			files[c.file] = []byte(strings.Replace(before, c.old, c.new, 1))
			sources[filepath.Base(paths[n])] = files
		}
		return harness.BuildAll(context.Background(), dir, root, sources)
	})
}

// filesAfter are our files after a lesson that somebody names.
func filesAfter(course *course, name string) (map[string][]byte, error) {
	l, err := course.find(name)
	if err != nil {
		return nil, err
	}
	return course.stageOf(l)
}

// writtenPrograms are scripts, and programs in Go of one file each, which is on the disk: a line of
// it may be told.
func writtenPrograms(t *testing.T, texts []string) *programs {
	dir := t.TempDir()
	var paths []string
	for n, text := range texts {
		path := filepath.Join(dir, fmt.Sprint("program", n))
		if isScript(text) {
			path = filepath.Join(dir, "scripts", fmt.Sprint(n), "program")
		}
		paths = append(paths, path)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module m\n"), 0o644))
	return newPrograms(paths, func(first, last int) error {
		var sources []string
		for n := first; n < last; n++ {
			file := paths[n]
			if !isScript(texts[n]) {
				source := filepath.Join(dir, "sources", filepath.Base(file))
				sources, file = append(sources, source), filepath.Join(source, "main.go")
			}
			err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755),
				os.WriteFile(file, []byte(texts[n]), 0o755))
			if err != nil {
				return err
			}
		}
		if len(sources) == 0 {
			return nil
		}
		args := []string{"build", "-buildvcs=false", "-ldflags=-s", "-o", dir + "/"}
		cmd := exec.Command("go", append(args, sources...)...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("go build: %w\n%s", err, out)
		}
		return nil
	})
}

// isScript tells whether a program is a script, and not in Go.
func isScript(text string) bool { return strings.HasPrefix(text, "#!") }
