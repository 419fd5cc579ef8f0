//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"
	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// output is where a command writes: in colours on a terminal (but see NO_COLOR), as plain text
// elsewhere.
type output struct {
	io.Writer
	width    int  // in columns; a line of plain text may be longer
	columns  bool // it is a terminal, which breaks what is longer than its width
	terminal bool // it is one on which one may draw
	ascii    bool // of the characters it has only these
	good     lipgloss.Style
	bad      lipgloss.Style
	note     lipgloss.Style
	faint    lipgloss.Style
	bold     lipgloss.Style
}

// pipe is a file that may be a pipe whose reader goes away.
type pipe struct {
	file   *os.File
	unread func()
}

func (p pipe) Write(b []byte) (int, error) {
	n, err := p.file.Write(b)
	if errors.Is(err, unix.EPIPE) {
		p.unread()
	}
	return n, err
}

// newOutput makes an output of a file or a buffer; plain if somebody asks for it, and on a terminal
// that cannot draw.
func newOutput(w io.Writer, plain bool, unread func()) *output {
	o := &output{width: 100, ascii: onlyASCII()}
	profile := colorprofile.NoTTY
	if f, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil {
			if o.width = max(width, 20); width == 0 { // one that does not say
				o.width = 80
			}
			o.columns = true
			o.terminal = !plain && os.Getenv("TERM") != "" && os.Getenv("TERM") != "dumb"
		}
		if o.terminal {
			profile = colorprofile.Detect(f, os.Environ())
		}
		w = pipe{f, unread}
	}
	colours := &colorprofile.Writer{Forward: w, Profile: profile} // takes away those that w has not
	if o.Writer = colours; o.ascii {
		o.Writer = &asciiWriter{colours}
	}
	style := lipgloss.NewStyle().TabWidth(lipgloss.NoTabConversion)
	o.good = style.Foreground(lipgloss.Green)
	o.bad = style.Foreground(lipgloss.Red).Bold(true)
	o.note = style.Foreground(lipgloss.Cyan)
	o.faint = style.Faint(true)
	o.bold = style.Bold(true)
	return o
}

// onlyASCII tells whether the locale has other characters than those of ASCII (locale(7)). Where
// nothing is said of it, it has.
func onlyASCII() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if value := strings.ToLower(os.Getenv(name)); value != "" {
			return !strings.Contains(value, "utf-8") && !strings.Contains(value, "utf8")
		}
	}
	return false
}

// signs are the characters of ours that are not ASCII, and what stands for them.
var signs = strings.NewReplacer(
	"✓",
	"+",
	"✗",
	"x",
	"·",
	".",
	"»",
	">",
	"▸",
	">",
	"→",
	">",
	"←",
	"<",
	"…",
	"~",
	"│",
	"|",
	"─",
	"-",
	"•",
	"|",
	"↑",
	"up",
	"↓",
	"down",
)

// asciiWriter writes signs as ASCII.
type asciiWriter struct{ io.Writer }

func (w *asciiWriter) Write(b []byte) (int, error) {
	_, err := signs.WriteString(w.Writer, string(b))
	return len(b), err
}

func (o *output) printf(format string, args ...any) { fmt.Fprintf(o, format, args...) }

// fold breaks a line into lines of so many columns: at blanks, and only a word that is longer in
// its midst. The library takes each hyphen for a place to break at, but -memory is one word.
func fold(line string, width int) string {
	const unbroken = "\u2011"
	return strings.ReplaceAll(
		ansi.Wrap(strings.ReplaceAll(line, "-", unbroken), width, ""),
		unbroken,
		"-",
	)
}

// wrap breaks text into lines of the output's width, at blanks where there are any, all but the
// first indented.
func (o *output) wrap(text string, indent int) string {
	width := max(min(o.width, 100)-indent, 16)
	var lines []string
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		lines = append(lines, fold(line, width))
	}
	return strings.ReplaceAll(strings.Join(lines, "\n"), "\n", "\n"+strings.Repeat(" ", indent))
}

// row prints a text beside its label, which has ten columns. A label that fills them, as the name
// of a file may, has a line of its own.
func (o *output) row(label, text string) {
	between := strings.Repeat(" ", max(10-len(label), 0))
	if between == "" {
		between = "\n" + strings.Repeat(" ", 12)
	}
	o.printf("  %s%s%s\n", o.faint.Render(label), between, o.wrap(text, 12))
}

// styled gives each line of a text a style: all at once, they would be filled up to the same width.
func styled(style lipgloss.Style, text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = style.Render(line)
	}
	return strings.Join(lines, "\n")
}

// cut shortens a line to the terminal's width.
func (o *output) cut(line string) string {
	if !o.terminal {
		return line
	}
	return ansi.Truncate(line, o.width-1, "…")
}

// verbatim prepares what a program wrote for display: without control characters, in no more than
// so many lines.
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
		lines = append(lines[:most:most], "… ("+plural(len(lines)-most, "more line")+")")
	}
	return strings.Join(lines, "\n")
}

// bothEnds is a text as a terminal can show it. Where it has more lines than so many, some of those
// in the middle are left out: an error is often in the last one.
func bothEnds(text string, most int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	tail := most / 3
	if len(lines) <= most+1 {
		return verbatim(text, most+1)
	}
	head := verbatim(strings.Join(lines[:len(lines)-tail], "\n"), most-tail)
	return head + "\n" + verbatim(strings.Join(lines[len(lines)-tail:], "\n"), tail)
}

// plural is a number of things, of which the word is for one.
func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
