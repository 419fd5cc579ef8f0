// Pictures draws the pictures of the workshop: one for each step and chapter, the runtime and the
// image tool, and one for the whole. They are SVG, for a light and for a dark page, with a text
// alternative.
//
//	go run ./docs/pictures
//
// writes them beside this file. With -screen it draws a terminal instead, from what tmux says is on
// it, to standard output: scripts/pictures.sh.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

const dir = "docs/pictures"

// drawings are all pictures, in the order of the lessons.
func drawings() []*drawing {
	return []*drawing{
		workshop(),
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
	columns := flag.Int("screen", 0, "draw a terminal with this number of columns")
	title := flag.String("title", "", "of the terminal")
	desc := flag.String("desc", "", "what the terminal says")
	flag.Parse()
	var err error
	if *columns > 0 {
		err = drawScreen(*columns, *title, *desc)
	} else {
		err = drawAll()
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "pictures: %v\n", err)
		os.Exit(1)
	}
}

func drawAll() error {
	for _, d := range drawings() {
		if err := os.WriteFile(filepath.Join(dir, d.name+".svg"), d.svg(), 0o644); err != nil {
			return fmt.Errorf("%w (start it at the root of the repository)", err)
		}
	}
	return nil
}

func drawScreen(columns int, title, desc string) error {
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	s := screen{columns: columns}
	picture, err := s.draw(string(text), title, desc)
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(picture)
	return err
}
