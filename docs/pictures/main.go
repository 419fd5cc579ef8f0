// Pictures draws the pictures of the lessons: one for each step and chapter, the runtime and the
// image tool. They are SVG, for a light and for a dark page, with a text alternative.
//
//	go run ./docs/pictures
//
// writes them beside this file.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

const dir = "docs/pictures"

// drawings are all pictures, in the order of the lessons.
func drawings() []*drawing {
	return []*drawing{
		skeleton(),
		namespaces(),
		rootfs(),
		cgroups(),
		process(),
		devices(),
		layers(),
		rights(),
		calls(),
		nobody(),
		terminal(),
		network(),
		list(),
		images(),
	}
}

func main() {
	for _, d := range drawings() {
		file := filepath.Join(dir, d.name+".svg")
		if err := os.WriteFile(file, d.svg(), 0o644); err != nil {
			fmt.Fprintf(os.Stderr, "pictures: %v (start it at the root of the repository)\n", err)
			os.Exit(1)
		}
	}
}
