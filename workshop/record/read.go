package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
)

// Read reads a recording that Write wrote.
func Read(r io.Reader) (*Recording, error) {
	var recording Recording
	err := json.NewDecoder(r).Decode(&recording)
	switch {
	case recording.Version > Version:
		return nil, fmt.Errorf(
			"version %d: this program reads version %d (use a newer workshop)",
			recording.Version,
			Version,
		)
	case 0 < recording.Version && recording.Version < Version: // and err says what is otherwise
		return nil, fmt.Errorf("version %d: this program reads version %d (record it again)",
			recording.Version, Version)
	case err != nil:
		return nil, fmt.Errorf("not a recording: %w", err)
	case recording.Version == 0:
		return nil, errors.New("not a recording: no version")
	case !recording.hasMounts():
		return nil, errors.New("not a recording: a table has mounts that are not listed")
	}
	return &recording, nil
}

// hasMounts tells whether all tables of mounts are in the list of mounts.
func (r *Recording) hasMounts() bool {
	isMissing := func(number int) bool { return number < 0 || number >= len(r.Mounts) }
	for _, table := range r.Start.Mounts {
		if slices.ContainsFunc(table, isMissing) {
			return false
		}
	}
	for i := range r.Steps {
		for _, table := range r.Steps[i].Changes.Mounts {
			if slices.ContainsFunc(table, isMissing) {
				return false
			}
		}
	}
	return true
}

// Write writes a recording as JSON.
func (r *Recording) Write(w io.Writer) error {
	return json.NewEncoder(w).Encode(r)
}

// After is the state after so many steps.
func (r *Recording) After(steps int) State {
	s := State{
		Processes:  maps.Clone(r.Start.Processes),
		Mounts:     maps.Clone(r.Start.Mounts),
		Hostnames:  maps.Clone(r.Start.Hostnames),
		Interfaces: maps.Clone(r.Start.Interfaces),
		Cgroups:    maps.Clone(r.Start.Cgroups),
	}
	for i := range r.Steps[:steps] {
		c := &r.Steps[i].Changes
		merge(s.Processes, c.Processes, func(p *Process) bool { return p == nil })
		merge(s.Mounts, c.Mounts, func(m []int) bool { return m == nil })
		merge(s.Hostnames, c.Hostnames, func(string) bool { return false })
		merge(s.Interfaces, c.Interfaces, func(i []Interface) bool { return i == nil })
		merge(s.Cgroups, c.Cgroups, func(g *Cgroup) bool { return g == nil })
	}
	return s
}

// Table is a table of mounts of one of its states.
func (r *Recording) Table(numbers []int) []Mount {
	var mounts []Mount
	for _, n := range numbers {
		mounts = append(mounts, r.Mounts[n])
	}
	return mounts
}

// merge takes changes over. An entry that is gone is taken out.
func merge[K comparable, V any](state, changes map[K]V, isGone func(V) bool) {
	for key, value := range changes {
		if isGone(value) {
			delete(state, key)
		} else {
			state[key] = value
		}
	}
}
