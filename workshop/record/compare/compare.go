// Package compare finds where two recordings part. Steps are aligned by what they do and where:
// in the container, or outside of it.
package compare

import (
	"fmt"
	"maps"
	"slices"

	"container.example/workshop/workshop/record"
)

// Comparison is two recordings beside each other. A is the participant's, and B is the workshop's.
type Comparison struct {
	A    *record.Recording `json:"a"`
	B    *record.Recording `json:"b"`
	Rows []Row             `json:"rows"`
	// Sentences say in words where they part, the first difference first.
	Sentences []string `json:"sentences"`

	inside []bool // which steps of A are made by a process in the container
}

// Row is a step of A and the step of B that does the same, by their numbers from 1; 0 stands for
// none.
type Row struct {
	A int `json:"a"`
	B int `json:"b"`
	// Apart tells that the two differ: one of them is missing, is refused otherwise, is the same
	// call about something else, or makes a mount with other restrictions.
	Apart bool `json:"apart,omitempty"`
}

// maxSteps is for a table of as many cells as there are pairs of steps.
const maxSteps = 10_000

// Compare aligns two recordings.
func Compare(a, b *record.Recording) (*Comparison, error) {
	for _, r := range []*record.Recording{a, b} {
		if len(r.Steps) > maxSteps {
			return nil, fmt.Errorf("%d steps: at most %d are compared (record -steps N)",
				len(r.Steps), maxSteps)
		}
	}
	actsOfA, containerOfA := acts(a)
	actsOfB, containerOfB := acts(b)
	if !containerOfA || !containerOfB { // then all is on the same side
		for _, all := range [][]act{actsOfA, actsOfB} {
			for i := range all {
				all[i].inside = false
			}
		}
	}
	c := &Comparison{A: a, B: b, Rows: align(actsOfA, actsOfB)}
	for _, one := range actsOfA {
		c.inside = append(c.inside, one.inside)
	}
	c.pair()
	c.Sentences = c.sentences()
	return c, nil
}

// pair marks the rows that are apart, and puts the first steps of what either has alone into one
// row if they are the same call: a clone(2) beside a clone(2) with other flags.
func (c *Comparison) pair() {
	var rows []Row
	for i, row := range c.Rows {
		if row.A > 0 && row.B > 0 {
			a, b := c.A.Steps[row.A-1], c.B.Steps[row.B-1]
			row.Apart = a.Errno != b.Errno || !slices.Equal(restrictions(a), restrictions(b))
			rows = append(rows, row)
			continue
		}
		row.Apart = true
		rows = append(rows, row)
		if i == 0 || row.B == 0 || c.Rows[i-1].B != 0 {
			continue // not where what A has alone ends and what B has alone begins
		}
		first := len(rows) - 2
		for first > 0 && rows[first-1].B == 0 {
			first--
		}
		if c.A.Steps[rows[first].A-1].Call == c.B.Steps[row.B-1].Call {
			rows = slices.Delete(rows, len(rows)-1, len(rows))
			rows[first].B = row.B
			// What A has alone after it comes later, as what B has alone does.
		}
	}
	c.Rows = rows
}

// act is what two steps are compared by.
type act struct {
	inside bool // the process has a namespace that the first one does not have
	key    string
}

// acts are those of the steps of a recording, which may make a container or not.
func acts(r *record.Recording) (all []act, container bool) {
	processes := maps.Clone(r.Start.Processes)
	if processes == nil {
		processes = map[int]*record.Process{}
	}
	var host map[string]string
	for _, pid := range slices.Sorted(maps.Keys(processes)) {
		if p := processes[pid]; p != nil && processes[p.Parent] == nil {
			host = p.Namespaces
			break
		}
	}
	inside := func(p *record.Process) bool {
		if p != nil {
			for kind, number := range p.Namespaces {
				if host[kind] != number {
					return true
				}
			}
		}
		return false
	}
	all = make([]act, len(r.Steps))
	for i, step := range r.Steps {
		all[i] = act{key: step.Key, inside: inside(processes[step.PID])}
		if i == 0 && step.Call == "execve" {
			all[i].key = step.Call // of the program itself, whatever it is called
		}
		for pid, p := range step.Changes.Processes {
			processes[pid] = p
			container = container || inside(p)
		}
	}
	return all, container
}

// align pairs as many equal acts as it can without changing their order: the longest common
// subsequence.
func align(a, b []act) []Row {
	begin := 0
	for begin < len(a) && begin < len(b) && a[begin] == b[begin] {
		begin++
	}
	end := 0
	for end < len(a)-begin && end < len(b)-begin && a[len(a)-1-end] == b[len(b)-1-end] {
		end++
	}
	var rows []Row
	for i := range begin {
		rows = append(rows, Row{A: i + 1, B: i + 1})
	}
	for _, row := range common(a[begin:len(a)-end], b[begin:len(b)-end]) {
		if row.A > 0 {
			row.A += begin
		}
		if row.B > 0 {
			row.B += begin
		}
		rows = append(rows, row)
	}
	for i := range end {
		rows = append(rows, Row{A: len(a) - end + i + 1, B: len(b) - end + i + 1})
	}
	return rows
}

// common is align for what neither begins nor ends alike.
func common(a, b []act) (rows []Row) {
	// length[i][j] is how many pairs a[i:] and b[j:] have.
	length := make([][]uint16, len(a)+1)
	for i := range length {
		length[i] = make([]uint16, len(b)+1)
	}
	for i, x := range slices.Backward(a) {
		for j, y := range slices.Backward(b) {
			if x == y {
				length[i][j] = length[i+1][j+1] + 1
			} else {
				length[i][j] = max(length[i+1][j], length[i][j+1])
			}
		}
	}
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			i, j = i+1, j+1
			rows = append(rows, Row{A: i, B: j})
		case j == len(b) || i < len(a) && length[i+1][j] >= length[i][j+1]:
			i++
			rows = append(rows, Row{A: i})
		default:
			j++
			rows = append(rows, Row{B: j})
		}
	}
	return rows
}
