//go:build linux

package harness

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A spare is a root file system that one script has left as it got it, and that the next one gets:
// 400 links are looked at in a fraction of the time in which they are made, and of the 4 MB of
// programs nothing is copied. Nearly all scripts begin with a root file system, and few change it.
type spare struct {
	path  string // where it lies while no script has it
	given []tree // those of the script that runs
	kept  *tree  // the one that lies there, if there is one
}

// A tree is a root file system as it was made.
type tree struct {
	path    string
	entries map[string]entry // by the path below
}

// An entry says all of a file, link or directory that a script can change.
type entry struct {
	ino        uint64
	mode       uint16
	uid, gid   uint32
	attributes uint64
	// Of a file or a link the kernel counts each change in ctime.
	size         uint64
	mtime, ctime unix.StatxTimestamp
	// A directory has other times after a file in it came and went. What else such a time may stand
	// for is an extended attribute: these are the names. A new directory has none whose value could
	// be another.
	xattrs string
}

// give puts the tree that is kept at a path, if it is still as it was made. Otherwise make makes
// one there.
func (s *spare) give(to string, make func(to string) error) error {
	if s.take(to) {
		return nil
	}
	if err := make(to); err != nil {
		return err
	}
	entries, err := readTree(to)
	if err == nil {
		s.given = append(s.given, tree{path: to, entries: entries})
		err = waitForTick()
	}
	return err
}

// waitForTick waits for less than 10 ms, until the clock of the kernel, from which the times of
// files are, has gone on. Before Linux 6.13 a file that is changed within the same tick has the
// same times as before.
func waitForTick() error {
	var begin, now unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_REALTIME_COARSE, &begin)
	for now = begin; err == nil && now == begin; {
		time.Sleep(time.Millisecond)
		err = unix.ClockGettime(unix.CLOCK_REALTIME_COARSE, &now)
	}
	return err
}

func (s *spare) take(to string) bool {
	if s.kept == nil {
		return false
	}
	t := *s.kept
	s.kept = nil
	entries, err := readTree(t.path)
	if err == nil && maps.Equal(entries, t.entries) &&
		unix.Renameat2(unix.AT_FDCWD, t.path, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE) == nil {
		s.given = append(s.given, tree{path: to, entries: t.entries})
		return true
	}
	_ = os.RemoveAll(t.path) // an error: no tree is kept any more
	return false
}

// keep keeps a tree of the script that ends. Whether it has changed it, take finds out.
func (s *spare) keep() {
	for _, t := range s.given {
		if s.kept == nil && os.Rename(t.path, s.path) == nil {
			s.kept = &tree{path: s.path, entries: t.entries}
		}
	}
	s.given = nil
}

// readTree reads all entries below a directory, and its own.
func readTree(dir string) (map[string]entry, error) {
	entries := map[string]entry{}
	return entries, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		e, err := readEntry(path, d.IsDir())
		entries[strings.TrimPrefix(path, dir)] = e
		return err
	})
}

func readEntry(path string, isDir bool) (e entry, err error) {
	var s unix.Statx_t
	err = unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS, &s)
	if err != nil {
		return e, err
	}
	e = entry{ino: s.Ino, mode: s.Mode, uid: s.Uid, gid: s.Gid, attributes: s.Attributes}
	if !isDir {
		e.size, e.mtime, e.ctime = s.Size, s.Mtime, s.Ctime
		return e, nil
	}
	names := make([]byte, 1<<10)
	n, err := unix.Llistxattr(path, names)
	if err == unix.EOPNOTSUPP {
		return e, nil
	}
	e.xattrs = string(names[:max(n, 0)])
	return e, err
}
