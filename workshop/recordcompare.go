//go:build linux

package main

import (
	"fmt"
	"io"
	"path/filepath"

	"container.example/workshop/workshop/record"
	"container.example/workshop/workshop/record/compare"
	pages "container.example/workshop/workshop/record/page"
)

// compareRecordings compares two files that record wrote, writes a page, and says in a line where
// they part.
func (a *app) compareRecordings(file string, names []string) error {
	if filepath.Ext(file) != ".html" {
		return fmt.Errorf("record -o %q: must end in .html", file)
	}
	if len(names) != 2 {
		return fmt.Errorf("record -compare: want two recordings, yours and ours: have %d",
			len(names))
	}
	var both [2]*record.Recording
	for i, name := range names {
		var err error
		if both[i], err = pages.ReadFile(name); err != nil {
			return fmt.Errorf("record -compare: %w", err)
		}
	}
	c, err := compare.Compare(both[0], both[1])
	if err != nil {
		return fmt.Errorf("record -compare: %w", err)
	}
	err = writePage(file, func(w io.Writer) error { return pages.WriteCompare(w, c) })
	if err != nil {
		return fmt.Errorf("record -compare: %w", err)
	}
	a.out.printf("%s\n", c.Sentences[0])
	if more := len(c.Sentences) - 1; more > 0 {
		a.out.printf("%d more: %s\n", more, file)
	} else {
		a.out.printf("side by side: %s\n", file)
	}
	return nil
}
