package main

import (
	"fmt"
	"strconv"
	"strings"
)

// The cells of a terminal in a picture.
const (
	cellWidth  = 9
	cellHeight = 21
	cellSize   = 15 // of the type
)

// inks are the colours of a terminal that our programs use, by their number in console_codes(4).
var inks = map[int]string{31: "red", 32: "green", 36: "cyan"}

// A pen is how a terminal writes.
type pen struct {
	bold, faint bool
	ink         int
}

// class is the attribute of text that the pen writes.
func (p pen) class() string {
	var names []string
	if p.bold {
		names = append(names, "bold")
	}
	if p.faint {
		names = append(names, "faint")
	}
	if p.ink != 0 {
		names = append(names, inks[p.ink])
	}
	if names == nil {
		return ""
	}
	return fmt.Sprintf("class=%q ", strings.Join(names, " "))
}

// turn changes the pen as the numbers of a sequence say.
func (p *pen) turn(sequence string) error {
	for number := range strings.SplitSeq(sequence, ";") {
		n, err := strconv.Atoi(number)
		switch {
		case number == "" || n == 0 && err == nil:
			*p = pen{}
		case n == 1:
			p.bold = true
		case n == 2:
			p.faint = true
		case n == 22:
			p.bold, p.faint = false, false
		case n == 39:
			p.ink = 0
		case n == 49: // the background, which nobody changes
		case inks[n] != "":
			p.ink = n
		default:
			return fmt.Errorf("sequence %q: no picture of it", sequence)
		}
	}
	return nil
}

// A screen is a terminal in a picture.
type screen struct {
	columns int
	pen     pen
	body    strings.Builder
}

// draw draws what tmux(1) says is on it: capture-pane -p -e.
func (s *screen) draw(text, title, desc string) ([]byte, error) {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for row, line := range lines {
		if err := s.line(row, line); err != nil {
			return nil, fmt.Errorf("line %d: %w", row+1, err)
		}
	}
	return file(s.columns*cellWidth+2*margin, len(lines)*cellHeight+2*margin,
		title, desc, typed, s.body.String()), nil
}

func (s *screen) line(row int, line string) error {
	column := 0
	for i, part := range strings.Split(line, "\x1b[") {
		if i > 0 {
			sequence, rest, _ := strings.Cut(part, "m")
			if err := s.pen.turn(sequence); err != nil {
				return err
			}
			part = rest
		}
		s.write(row, column, part)
		column += len([]rune(part))
	}
	if column > s.columns {
		return fmt.Errorf("%d columns, and there are %d", column, s.columns)
	}
	return nil
}

// write writes into cells, which have their width whatever type the browser has.
func (s *screen) write(row, column int, text string) {
	words := strings.TrimLeft(text, " ")
	column += len(text) - len(words)
	words = strings.TrimRight(words, " ")
	if words == "" {
		return
	}
	fmt.Fprintf(&s.body, `<text %sx="%d" y="%d" textLength="%d" `+
		`lengthAdjust="spacingAndGlyphs">%s</text>`+"\n",
		s.pen.class(), margin+column*cellWidth, margin+row*cellHeight+cellSize,
		len([]rune(words))*cellWidth, escape(words))
}
