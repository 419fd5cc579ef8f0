//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"container.example/workshop/internal/skip"
)

// changer has this test binary add to the progress in a directory, as a command in another terminal
// does.
const changer = "WORKSHOP_TEST_CHANGE"

// patient is how long a test waits for what has to come. Nothing passes because of it.
const patient = 2 * time.Minute

// TestChange changes the progress from several processes and goroutines at once: nothing is lost.
func TestChange(t *testing.T) {
	const many, times = 4, 25
	p := &place{dir: t.TempDir()}
	if dir := os.Getenv(changer); dir != "" {
		p.dir = dir
	}
	count := func(who string) {
		for range times {
			_, err := p.change(func(s *state) error {
				s.Checks++
				s.Hints[who]++
				return nil
			})
			require.NoError(t, err)
		}
	}
	if os.Getenv(changer) != "" {
		count(fmt.Sprint(os.Getpid()))
		return
	}
	var all sync.WaitGroup
	for i := range many {
		all.Go(func() {
			cmd := exec.Command("/proc/self/exe", "-test.run=^TestChange$")
			cmd.Env = append(os.Environ(), changer+"="+p.dir)
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, string(out))
		})
		all.Go(func() { count(fmt.Sprint("here ", i)) })
	}
	all.Wait()
	s, err := p.load()
	require.NoError(t, err)
	require.Equal(t, 2*many*times, s.Checks)
	require.Len(t, s.Hints, 2*many)
}

// TestChangeRemoved removes the directory of the lock while somebody waits for it.
func TestChangeRemoved(t *testing.T) {
	p := &place{dir: filepath.Join(t.TempDir(), "mine")}
	unlock, err := p.lock()
	require.NoError(t, err)
	changed := make(chan error)
	go func() {
		_, err := p.change(func(s *state) error {
			s.Checks = 7
			return nil
		})
		changed <- err
	}()
	select {
	case <-changed:
		require.Fail(t, "changed in spite of the lock")
	case <-time.After(50 * time.Millisecond):
	}
	require.NoError(t, os.RemoveAll(p.dir))
	require.NoError(t, unlock())
	require.NoError(t, <-changed)
	s, err := p.load()
	require.NoError(t, err)
	require.Equal(t, 7, s.Checks)
}

// TestWatchFiles saves, and removes the directory and makes it anew.
func TestWatchFiles(t *testing.T) {
	p := &place{dir: filepath.Join(t.TempDir(), "mine")}
	write := func() {
		require.NoError(t, os.MkdirAll(p.dir, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(p.dir, "main.go"), nil, 0o644))
	}
	change := func() {
		_, err := p.change(func(*state) error { return nil })
		require.NoError(t, err)
	}
	write()
	w, err := watchFiles(t.Context(), p, p.dir)
	require.NoError(t, err)
	saved := func() {
		select {
		case <-w.saves:
		case <-time.After(patient):
			require.Fail(t, "no save was seen")
		}
	}
	changed := func() {
		select {
		case <-w.changes:
		case <-time.After(patient):
			require.Fail(t, "no change of the progress was seen")
		}
	}
	write()
	saved()
	change()
	changed()
	for range 3 {
		require.NoError(t, os.RemoveAll(p.dir))
		saved()
		write()
		saved()
		change()
		changed()
	}
}

// TestGivenIsNoSave requires that a file that is copied into the program is a save only when
// somebody changes it.
func TestGivenIsNoSave(t *testing.T) {
	p := &place{dir: t.TempDir()}
	w := &watcher{place: p, program: p.dir}
	file := filepath.Join(p.dir, "masks.go")
	e := fsnotify.Event{Name: file, Op: fsnotify.Write}
	require.NoError(t, p.give(file, []byte("package main\n")))
	require.False(t, w.matters(e, p.dir))
	require.ErrorIs(t, p.give(file, nil), os.ErrExist)
	later := time.Now().Add(time.Minute)
	require.NoError(t, os.Chtimes(file, later, later))
	require.True(t, w.matters(e, p.dir))
	require.NoError(t, os.Remove(file))
	require.True(t, w.matters(e, p.dir))
}

// TestWriteWhole gives a new file to the user behind sudo, and leaves what was there to its owner.
func TestWriteWhole(t *testing.T) {
	if os.Geteuid() != 0 {
		skip.Lacking(t, "needs root: the file is given to another user")
	}
	t.Setenv("SUDO_UID", "1234")
	t.Setenv("SUDO_GID", "1234")
	dir := t.TempDir()
	owner := func(file string) uint32 {
		var st unix.Stat_t
		require.NoError(t, unix.Lstat(file, &st))
		return st.Uid
	}
	nothing := func(io.Writer) error { return nil }

	file := filepath.Join(dir, "record.html")
	require.NoError(t, writeWhole(file, 0o644, nothing))
	require.EqualValues(t, 1234, owner(file))

	fifo := filepath.Join(dir, "fifo")
	require.NoError(t, unix.Mkfifo(fifo, 0o600))
	reader, err := os.OpenFile(fifo, os.O_RDWR, 0) // the other end
	require.NoError(t, err)
	defer reader.Close()
	require.NoError(t, writeWhole(fifo, 0o644, nothing))
	require.Zero(t, owner(fifo))
}
