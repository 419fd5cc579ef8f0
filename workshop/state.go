//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"container.example/workshop/internal/harness"
)

// place is where a participant works: a directory with the program, and .workshop in it with the progress.
type place struct {
	root  string     // of the module
	dir   string     // of the participant
	mutex sync.Mutex // of the state: under watch, one may ask for a hint while a check ends
	state state
}

// state is what is kept from one command to the next, in .workshop/progress.json.
type state struct {
	Program string               `json:"program,omitempty"` // if it is not the Go package in the directory itself
	Passed  map[string]time.Time `json:"passed"`            // step: when first
	// Unchecked are the steps of which most promises could not be checked on this machine, or by this user, with the reason.
	Unchecked map[string]string    `json:"unchecked,omitempty"`
	Kept      map[string]time.Time `json:"kept,omitempty"`    // script: when it passed last
	Failing   string               `json:"failing,omitempty"` // the script that failed at the last check: step/name
	Promise   string               `json:"promise,omitempty"` // the sentence that was broken
	Subject   string               `json:"subject,omitempty"` // the script whose hints help, if it is another: see subject
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
	p := &place{root: root, dir: dir}
	text, err := os.ReadFile(p.file("progress.json"))
	if err == nil {
		if err := json.Unmarshal(text, &p.state); err != nil {
			return nil, fmt.Errorf("%s: %w (remove it to begin anew)", p.file("progress.json"), err)
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if p.state.Passed == nil {
		p.state.Passed = map[string]time.Time{}
	}
	if p.state.Unchecked == nil {
		p.state.Unchecked = map[string]string{}
	}
	if p.state.Kept == nil {
		p.state.Kept = map[string]time.Time{}
	}
	if p.state.Hints == nil {
		p.state.Hints = map[string]int{}
	}
	return p, nil
}

// file is the path of a file of the workshop's own.
func (p *place) file(name string) string { return filepath.Join(p.dir, ".workshop", name) }

// save keeps the state. A write that is interrupted leaves the old one.
func (p *place) save() error {
	text, err := json.MarshalIndent(p.state, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(p.dir, ".workshop"), 0o755); err != nil {
		return err
	}
	next := p.file(fmt.Sprint("progress.json.", os.Getpid()))
	return errors.Join(os.WriteFile(next, append(text, '\n'), 0o644), os.Rename(next, p.file("progress.json")))
}

// program is the path of the program under test: a directory, a Go file or an executable.
func (p *place) program() string {
	if p.state.Program != "" {
		return p.state.Program
	}
	return p.dir
}

// nextStep is the first step that is not passed and can be checked here; the last one if there is none.
func (p *place) nextStep() (step string, all bool, err error) {
	steps, err := harness.Steps(p.root)
	if err != nil {
		return "", false, err
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for _, step := range steps {
		_, passed := p.state.Passed[step]
		if _, unchecked := p.state.Unchecked[step]; !passed && !unchecked {
			return step, false, nil
		}
	}
	return steps[len(steps)-1], true, nil
}

// unchecked says why a step could not be checked here, if that is so.
func (p *place) unchecked(step string) (why string) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.state.Unchecked[step]
}

// missing is an error if there is no program yet.
func (p *place) missing() error {
	if _, err := os.Stat(p.program()); errors.Is(err, os.ErrNotExist) && p.program() == p.dir {
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
