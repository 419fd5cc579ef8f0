//go:build linux

package harness

import (
	"errors"
	"maps"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A spare is a root file system that one script has left as it got it, and that the next one gets:
// 400 links are looked at in a fraction of the time in which they are made, and of the 4 MB of
// programs nothing is copied. Nearly all scripts begin with a root file system. Some add files to
// it, and few change what is there.
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

// give puts the tree that is kept at a path, if it still has all as it was made, and removes what
// it has besides. Otherwise make makes one there.
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

// stock makes a tree for the first script, while nobody waits for it.
func (s *spare) stock(make func(to string) error) error {
	if err := s.give(s.path, make); err != nil {
		return err
	}
	s.kept, s.given = &s.given[0], nil
	return nil
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
	for name := range entries {
		if _, made := t.entries[name]; !made {
			delete(entries, name)
			err = errors.Join(err, os.RemoveAll(t.path+name))
		}
	}
	if err == nil && maps.Equal(entries, t.entries) &&
		unix.Renameat2(unix.AT_FDCWD, t.path, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE) == nil {
		s.given = append(s.given, tree{path: to, entries: t.entries})
		return true
	}
	_ = os.RemoveAll(t.path) // an error: no tree is kept then
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
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	r := treeReader{entries: make(map[string]entry, 512), buffer: make([]byte, 1<<15)}
	return r.entries, r.read(fd, "")
}

// A treeReader reads a tree, looking for each entry in its directory and not at its whole path.
type treeReader struct {
	entries map[string]entry
	buffer  []byte // for getdents64(2)
}

// read reads the entries of an open directory, of which name is the path below the tree, and closes
// it.
func (r *treeReader) read(dir int, name string) error {
	defer unix.Close(dir)
	e, err := readEntry(dir, "")
	if err != nil {
		return err
	}
	e.xattrs, err = attributeNames(dir)
	if err != nil {
		return err
	}
	r.entries[name] = e
	var names []string
	for {
		n, err := unix.ReadDirent(dir, r.buffer)
		if err != nil {
			return err
		}
		if n <= 0 {
			break
		}
		_, _, names = unix.ParseDirent(r.buffer[:n], -1, names)
	}
	for _, n := range names {
		e, err := readEntry(dir, n)
		if err != nil {
			return err
		}
		if e.mode&unix.S_IFMT != unix.S_IFDIR {
			r.entries[name+"/"+n] = e
			continue
		}
		below, err := unix.Openat(dir, n, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|
			unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		if err := r.read(below, name+"/"+n); err != nil {
			return err
		}
	}
	return nil
}

// readEntry reads the entry of a name in a directory, or with an empty name the directory itself.
func readEntry(dir int, name string) (e entry, err error) {
	var s unix.Statx_t
	const flags = unix.AT_SYMLINK_NOFOLLOW | unix.AT_EMPTY_PATH
	if err := unix.Statx(dir, name, flags, unix.STATX_BASIC_STATS, &s); err != nil {
		return e, err
	}
	e = entry{ino: s.Ino, mode: s.Mode, uid: s.Uid, gid: s.Gid, attributes: s.Attributes}
	if s.Mode&unix.S_IFMT != unix.S_IFDIR {
		e.size, e.mtime, e.ctime = s.Size, s.Mtime, s.Ctime
	}
	return e, nil
}

// attributeNames are the names of the extended attributes of an open directory.
func attributeNames(dir int) (string, error) {
	names := make([]byte, 1<<10)
	n, err := unix.Flistxattr(dir, names)
	if err == unix.EOPNOTSUPP {
		return "", nil
	}
	return string(names[:max(n, 0)]), err
}
