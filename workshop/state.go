//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"container.example/workshop/internal/wholefile"
)

// place is where a participant works: a directory with the program, and .workshop in it with the
// progress. It holds no progress itself: that is in the file, which commands in other terminals
// change as well.
type place struct {
	root string // of the module
	dir  string // of the participant
	self string // how to call this command, for advice

	mu sync.Mutex
	// gave are the files of the program that this command has written, and when they were changed.
	gave map[string]time.Time
}

// give writes a new file of the program, which is not a save of the participant.
func (p *place) give(file string, text []byte) error {
	p.mu.Lock() // until it is known when the file was changed
	defer p.mu.Unlock()
	if err := writeNew(file, text); err != nil {
		return err
	}
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	if p.gave == nil {
		p.gave = map[string]time.Time{}
	}
	p.gave[file] = info.ModTime()
	return nil
}

// given tells whether a file is as this command has written it.
func (p *place) given(file string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	when, ok := p.gave[file]
	info, err := os.Stat(file)
	return ok && err == nil && info.ModTime().Equal(when)
}

// state is what is kept from one command to the next, in .workshop/progress.json. A lesson is named
// by its key, a script by its ID.
type state struct {
	Program string               `json:"program,omitempty"` // if not the package in the directory
	Passed  map[string]time.Time `json:"passed"`            // lesson: when first
	// Unchecked are the lessons of which most promises could not be checked on this machine, or by
	// this user, with the reason.
	Unchecked map[string]string    `json:"unchecked,omitempty"`
	At        string               `json:"at,omitempty"`      // the lesson that was chosen
	Skipped   []string             `json:"skipped,omitempty"` // the lessons that were left out
	Taken     []string             `json:"taken,omitempty"`   // the lessons that were taken over
	Entered   []string             `json:"entered,omitempty"` // the lessons whose card was shown
	Kept      map[string]time.Time `json:"kept,omitempty"`    // script: when it passed last
	Broken    []string             `json:"broken,omitempty"`  // scripts that failed when tried last
	Failing   string               `json:"failing,omitempty"` // the script that failed last
	Promise   string               `json:"promise,omitempty"` // the sentence that was broken
	Subject   string               `json:"subject,omitempty"` // whose hints help: see subject
	Hints     map[string]int       `json:"hints"`             // script: how many were given
	Checks    int                  `json:"checks"`
}

// open finds the place: -dir, or the working directory if it is one, or mine at the root of the
// module.
func (a *app) open() (*place, error) {
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(root, "mine")
	wd, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(wd, ".workshop")); err == nil {
		dir = wd
	}
	if a.dir != "" {
		if dir, err = filepath.Abs(a.dir); err != nil {
			return nil, err
		}
	}
	return &place{root: root, dir: dir, self: a.self()}, nil
}

// file is the path of a file of the workshop's own.
func (p *place) file(name string) string { return filepath.Join(p.dir, ".workshop", name) }

// load reads the state. Without a file it is that of the beginning.
func (p *place) load() (state, error) {
	s := state{}
	text, err := os.ReadFile(p.file("progress.json"))
	if err == nil {
		if err := json.Unmarshal(text, &s); err != nil {
			return s, fmt.Errorf("%s: %w (remove it to begin anew)", p.file("progress.json"), err)
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return s, err
	}
	if s.Passed == nil {
		s.Passed = map[string]time.Time{}
	}
	if s.Unchecked == nil {
		s.Unchecked = map[string]string{}
	}
	if s.Kept == nil {
		s.Kept = map[string]time.Time{}
	}
	if s.Hints == nil {
		s.Hints = map[string]int{}
	}
	return s, nil
}

// change reads the state, has it changed, and writes it, while it keeps all other commands from
// doing the same: nothing that they wrote is lost. It returns the new state.
func (p *place) change(how func(*state) error) (s state, err error) {
	unlock, err := p.lock()
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if s, err = p.load(); err != nil {
		return s, err
	}
	if err := how(&s); err != nil {
		return s, err
	}
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return s, err
	}
	// A write that is interrupted leaves the old file.
	next := p.file("progress.json.new")
	if err := os.WriteFile(next, append(text, '\n'), 0o644); err != nil {
		return s, errors.Join(withAdvice(err), os.Remove(next))
	}
	return s, withAdvice(errors.Join(handOver(next), os.Rename(next, p.file("progress.json"))))
}

// lock takes a lock that one command has at a time (flock(2)). It is on a file of its own, because
// the file of the state is replaced at each change. The directory of the lock may be removed and
// made anew while this command waits, and then the lock is on a file that nobody else sees.
func (p *place) lock() (unlock func() error, err error) {
	for {
		if err := makeDir(p.file("")); err != nil {
			return nil, withAdvice(err)
		}
		f, err := os.OpenFile(p.file("lock"), os.O_RDONLY|os.O_CREATE, 0o644)
		if err != nil {
			return nil, withAdvice(err)
		}
		if err := handOver(f.Name()); err != nil {
			return nil, errors.Join(err, f.Close())
		}
		for err = unix.EINTR; errors.Is(err, unix.EINTR); {
			err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("flock %s: %w", f.Name(), err), f.Close())
		}
		have, haveErr := f.Stat()
		now, nowErr := os.Stat(f.Name())
		if haveErr == nil && nowErr == nil && os.SameFile(have, now) {
			return f.Close, nil // which gives the lock back
		}
		f.Close()
	}
}

// makeDir makes a directory and those above it. What sudo makes belongs to the user who typed it.
func makeDir(dir string) error {
	missing := []string{}
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(d); !errors.Is(err, os.ErrNotExist) {
			break
		}
		missing = append(missing, d)
	}
	err := os.MkdirAll(dir, 0o755)
	for _, d := range missing {
		err = errors.Join(err, handOver(d))
	}
	return err
}

// handOver gives a file that was made under sudo to the user who typed it, who would not be able to
// change it otherwise (sudo(8), SUDO_UID).
func handOver(file string) error {
	uid, uidErr := strconv.Atoi(os.Getenv("SUDO_UID"))
	gid, gidErr := strconv.Atoi(os.Getenv("SUDO_GID"))
	if os.Geteuid() != 0 || uidErr != nil || gidErr != nil {
		return nil
	}
	return os.Lchown(file, uid, gid)
}

// mayWrite returns the error that a write would end with, before there is anything to write.
func mayWrite(file string) error {
	if target, err := filepath.EvalSymlinks(file); err == nil {
		file = target
	}
	where, mode := filepath.Dir(file), uint32(unix.W_OK|unix.X_OK)
	switch info, err := os.Stat(file); {
	case err == nil && info.IsDir():
		return &os.PathError{Op: "write", Path: file, Err: unix.EISDIR}
	case err == nil && !info.Mode().IsRegular(): // it is written to; any other is replaced
		where, mode = file, unix.W_OK
	}
	if err := unix.Faccessat(unix.AT_FDCWD, where, mode, unix.AT_EACCESS); err != nil {
		return &os.PathError{Op: "write", Path: file, Err: err}
	}
	return nil
}

// writeWhole writes a file whole, or not at all, and hands it over. What is no regular file, such
// as /dev/null, was not made here, and stays with its owner.
func writeWhole(file string, mode os.FileMode, write func(io.Writer) error) error {
	return wholefile.Write(file, mode, andHandOver(write))
}

// writePage is writeWhole for what can be made again: it does not wait for the disk.
func writePage(file string, write func(io.Writer) error) error {
	return wholefile.WriteSoon(file, 0o644, andHandOver(write))
}

func andHandOver(write func(io.Writer) error) func(*os.File) error {
	return func(f *os.File) error {
		info, err := f.Stat()
		if err = errors.Join(err, write(f)); err != nil || !info.Mode().IsRegular() {
			return err
		}
		return handOver(f.Name())
	}
}

// writeNew writes a file that must not be there yet. One that cannot be written whole is removed
// again.
func writeNew(file string, text []byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return withAdvice(err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(withAdvice(err), os.Remove(file))
	}
	return handOver(file)
}

// withAdvice adds to an error what to do about it.
func withAdvice(err error) error {
	path := (*os.PathError)(nil)
	if !errors.As(err, &path) {
		return err
	}
	switch {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return fmt.Errorf("%w (make room: df %s)", err, relative(filepath.Dir(path.Path)))
	case errors.Is(err, unix.EROFS):
		return fmt.Errorf("%w (work in a directory that can be written to)", err)
	case errors.Is(err, os.ErrPermission):
		dir := filepath.Dir(path.Path)
		return fmt.Errorf("%w (made by root? sudo chown -R %d %s)", err, os.Getuid(), relative(dir))
	}
	return err
}

// program is the path of the program under test: a directory, a Go file or an executable.
func (p *place) program(s state) string {
	if s.Program != "" {
		return s.Program
	}
	return p.dir
}

// isGo tells whether the program is in Go. One that is not there yet will be (workshop start).
func (p *place) isGo(s state) bool { return s.Program == "" || isGo(s.Program) }

// missing is an error if there is no program yet.
func (p *place) missing(s state) error {
	if _, err := os.Stat(p.program(s)); errors.Is(err, os.ErrNotExist) && s.Program == "" {
		return fmt.Errorf(
			"%s: there is no program yet (make one: %s start)",
			relative(p.dir),
			p.self,
		)
	}
	return nil
}

// relative shortens a path for reading.
func relative(path string) string {
	wd, err := os.Getwd()
	if err != nil {
		return path
	}
	rel, err := filepath.Rel(wd, path)
	if err != nil || len(rel) > len(path) {
		return path
	}
	return rel
}
