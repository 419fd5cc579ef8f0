//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"container.example/workshop/internal/harness"
)

// place is where a participant works: a directory with the program, and .workshop in it with the progress.
// It holds no progress itself: that is in the file, which commands in other terminals change as well.
type place struct {
	root string // of the module
	dir  string // of the participant
}

// state is what is kept from one command to the next, in .workshop/progress.json.
type state struct {
	Program string               `json:"program,omitempty"` // if it is not the Go package in the directory itself
	Passed  map[string]time.Time `json:"passed"`            // step: when first
	// Unchecked are the steps of which most promises could not be checked on this machine, or by this user,
	// with the reason.
	Unchecked map[string]string    `json:"unchecked,omitempty"`
	Kept      map[string]time.Time `json:"kept,omitempty"`    // script: when it passed last
	Failing   string               `json:"failing,omitempty"` // the script that failed at the last check: step/name
	Promise   string               `json:"promise,omitempty"` // the sentence that was broken
	Subject   string               `json:"subject,omitempty"` // the script whose hints help, if another: see subject
	Hints     map[string]int       `json:"hints"`             // script: how many were given
	Checks    int                  `json:"checks"`
}

// open finds the place: -dir, or the working directory if it is one, or mine at the root of the module.
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
	return &place{root: root, dir: dir}, nil
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

// change reads the state, has it changed, and writes it, while it keeps all other commands from doing the
// same: nothing that they wrote is lost. It returns the new state.
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
		return s, err
	}
	return s, os.Rename(next, p.file("progress.json"))
}

// lock takes a lock that one command has at a time (flock(2)). It is on a file of its own, because the file of
// the state is replaced at each change. The directory of the lock may be removed and made anew while this
// command waits, and then the lock is on a file that nobody else sees.
func (p *place) lock() (unlock func() error, err error) {
	for {
		if err := os.MkdirAll(p.file(""), 0o755); err != nil {
			return nil, err
		}
		f, err := os.OpenFile(p.file("lock"), os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			return nil, err
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

// program is the path of the program under test: a directory, a Go file or an executable.
func (p *place) program(s state) string {
	if s.Program != "" {
		return s.Program
	}
	return p.dir
}

// nextStep is the first step that is not passed and can be checked here; the last one if there is none.
func (p *place) nextStep(s state) (step string, all bool, err error) {
	steps, err := harness.Steps(p.root)
	if err != nil {
		return "", false, err
	}
	for _, step := range steps {
		_, passed := s.Passed[step]
		if _, unchecked := s.Unchecked[step]; !passed && !unchecked {
			return step, false, nil
		}
	}
	return steps[len(steps)-1], true, nil
}

// missing is an error if there is no program yet.
func (p *place) missing(s state) error {
	if _, err := os.Stat(p.program(s)); errors.Is(err, os.ErrNotExist) && s.Program == "" {
		return fmt.Errorf("%s: there is no program yet (make one: %s start)", relative(p.dir), self())
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
