//go:build linux

package rootfs

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"container.example/workshop/internal/skip"
	"container.example/workshop/runtime/plan"
)

// renameFiles renames a file again and again until the test ends, as somebody does on every busy
// machine.
func renameFiles(t *testing.T) {
	dir := t.TempDir()
	one, other := filepath.Join(dir, "one"), filepath.Join(dir, "other")
	writeFile(t, one, "")
	stop, stopped := make(chan bool), make(chan bool)
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				_ = os.Rename(one, other)
				_ = os.Rename(other, one)
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-stopped
	})
}

// With RESOLVE_IN_ROOT the kernel does not go up by ".." when a file is renamed meanwhile, anywhere
// on the machine: EAGAIN of openat2(2). /etc/resolv.conf is such a link in many root file systems.
func TestRenamesElsewhereDoNotMatter(t *testing.T) {
	root := t.TempDir()
	writeFile(t, filepath.Join(root, "run/resolv.conf"), "text")
	require.NoError(t, os.Mkdir(filepath.Join(root, "etc"), 0o755))
	require.NoError(t, os.Symlink("../run/resolv.conf", filepath.Join(root, "etc/resolv.conf")))
	renameFiles(t)
	const opens = 2000 // in one list
	untilItHappened(t, root, 1, func() {
		text, err := ReadInside(root, "etc/resolv.conf")
		require.NoError(t, err)
		require.Equal(t, "text", text)
	})
	untilItHappened(t, root, opens, func() {
		p, err := plan.New(nil)
		require.NoError(t, err)
		defer p.Free()
		dir := p.Openat2(plan.CWD, root, unix.O_PATH, 0)
		for range opens {
			p.Close(p.Openat2(dir, "etc/resolv.conf", unix.O_PATH, unix.RESOLVE_IN_ROOT))
		}
		p.Command()
		p.Execve("/nowhere", p.Array(nil), p.Array(nil))
		require.NoError(t, p.Err())
		require.NoError(t, p.Release())
		pid, err := p.Start(0, -1)
		require.NoError(t, err)
		p.Executed()
		_, err = unix.Wait4(pid, nil, 0, nil)
		require.NoError(t, err)
		require.EqualError(t, p.Failed(), "execve: no such file or directory", "the rest was made")
	})
}

// untilItHappened repeats a test, and makes as many calls itself, until openat2(2) was seen to give
// up so often that the test must have met it too.
func untilItHappened(t *testing.T, root string, opens int, test func()) {
	dir, err := unix.Open(root, unix.O_PATH|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(dir)
	how := &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT}
	const enough = 20
	start := time.Now()
	for seen := 0; seen < enough; {
		test()
		for range opens {
			fd, err := unix.Openat2(dir, "etc/resolv.conf", how)
			if errors.Is(err, unix.EAGAIN) {
				seen++
				continue
			}
			require.NoError(t, err)
			require.NoError(t, unix.Close(fd))
		}
		if time.Since(start) > time.Minute {
			skip.Lacking(t, "nothing is renamed while a file is opened, on this machine")
		}
	}
}
