package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
)

// Read reads a recording that Write wrote.
func Read(r io.Reader) (*Recording, error) {
	var recording Recording
	if err := json.NewDecoder(r).Decode(&recording); err != nil {
		return nil, fmt.Errorf("not a recording: %w", err)
	}
	switch {
	case recording.Version == 0:
		return nil, errors.New("not a recording: no version")
	case recording.Version > Version:
		return nil, fmt.Errorf(
			"version %d: this program reads up to %d (use a newer workshop)",
			recording.Version,
			Version,
		)
	}
	return &recording, nil
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
		merge(s.Mounts, c.Mounts, func(m []Mount) bool { return m == nil })
		merge(s.Hostnames, c.Hostnames, func(string) bool { return false })
		merge(s.Interfaces, c.Interfaces, func(i []Interface) bool { return i == nil })
		merge(s.Cgroups, c.Cgroups, func(g *Cgroup) bool { return g == nil })
	}
	return s
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
