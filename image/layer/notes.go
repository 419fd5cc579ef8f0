//go:build linux

package layer

import (
	"fmt"
	"slices"
)

// notes count what could not be made as the archive says, without being an error.
type notes struct {
	order []string
	seen  map[string]note
}

type note struct {
	times   int
	example string
}

func (n *notes) add(what, example string) {
	if n.seen == nil {
		n.seen = map[string]note{}
	}
	known, ok := n.seen[what]
	if !ok {
		n.order = append(n.order, what)
		known.example = example
	}
	known.times++
	n.seen[what] = known
}

func (n *notes) lines() (lines []string) {
	for _, what := range slices.Clip(n.order) {
		known := n.seen[what]
		line := fmt.Sprintf("%s (%q)", what, known.example)
		if known.times > 1 {
			line = fmt.Sprintf("%s (%d times, first %q)", what, known.times, known.example)
		}
		lines = append(lines, line)
	}
	return lines
}
