//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/charmbracelet/lipgloss"
	"github.com/charmbracelet/x/ansi"
	"golang.org/x/term"
)

// output is where a command writes: in colours on a terminal (but see NO_COLOR), as plain text elsewhere.
type output struct {
	io.Writer
	width    int  // in columns; a line of plain text may be longer
	terminal bool // it is one
	good     lipgloss.Style
	bad      lipgloss.Style
	note     lipgloss.Style
	faint    lipgloss.Style
	bold     lipgloss.Style
}

func newOutput(w io.Writer) *output {
	o := &output{Writer: w, width: 100}
	if f, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil {
			o.width, o.terminal = max(width, 40), true
		}
	}
	r := lipgloss.NewRenderer(w)
	style := r.NewStyle().TabWidth(lipgloss.NoTabConversion)
	o.good = style.Foreground(lipgloss.Color("2"))
	o.bad = style.Foreground(lipgloss.Color("1")).Bold(true)
	o.note = style.Foreground(lipgloss.Color("6"))
	o.faint = style.Faint(true)
	o.bold = style.Bold(true)
	return o
}

func (o *output) printf(format string, args ...any) { fmt.Fprintf(o, format, args...) }

// wrap breaks text into lines of the output's width, all but the first indented.
func (o *output) wrap(text string, indent int) string {
	width := max(min(o.width, 100)-indent, 20)
	var lines []string
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		lines = append(lines, ansi.Wrap(line, width, ""))
	}
	return strings.ReplaceAll(strings.Join(lines, "\n"), "\n", "\n"+strings.Repeat(" ", indent))
}

// cut shortens a line to the terminal's width.
func (o *output) cut(line string) string {
	if !o.terminal {
		return line
	}
	return ansi.Truncate(line, o.width-1, "…")
}

// verbatim prepares what a program wrote for display: without control characters, in no more than so many lines.
func verbatim(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && (r < ' ' || r == 0x7f) {
			return '·'
		}
		return r
	}, strings.TrimRight(text, "\n"))
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if runes := []rune(line); len(runes) > 300 {
			lines[i] = string(runes[:300]) + fmt.Sprintf(" … (%d more)", len(runes)-300)
		}
	}
	if len(lines) > most {
		lines = append(lines[:most:most], fmt.Sprintf("… (%d more lines)", len(lines)-most))
	}
	return strings.Join(lines, "\n")
}
