package record

import (
	"encoding/json"
	"fmt"
	"io"
)

// Read reads a recording that Write wrote.
func Read(r io.Reader) (*Recording, error) {
	var recording Recording
	if err := json.NewDecoder(r).Decode(&recording); err != nil {
		return nil, fmt.Errorf("not a recording: %w", err)
	}
	switch {
	case recording.Version == 0:
		return nil, fmt.Errorf("not a recording: no version")
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
