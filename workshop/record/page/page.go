// Package page makes one HTML file of a recording, which needs nothing else: no network, no
// server, no framework. The recording lies in it as JSON and can be read out of it again.
package page

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"container.example/workshop/workshop/record"
	"container.example/workshop/workshop/record/compare"
	"container.example/workshop/workshop/style"
)

// The files of a page. They are not copied: a page is written while somebody waits.
var (
	//go:embed page.html
	skeleton string
	//go:embed page.css
	pageCSS []byte
	//go:embed recording.js
	recordingJS []byte
	//go:embed differences.js
	differencesJS []byte
	//go:embed elements.js
	elementsJS []byte
	//go:embed frame.js
	frameJS []byte
	//go:embed state.js
	stateJS []byte
	//go:embed timeline.js
	timelineJS []byte
	//go:embed player.js
	playerJS []byte

	//go:embed recorded.js
	recordedJS []byte
	//go:embed comparison.js
	comparisonJS []byte
	//go:embed live.js
	liveJS []byte
)

// commonJS are the parts of the script of each page, in order.
var commonJS = texts{
	recordingJS, differencesJS, elementsJS, frameJS, stateJS, timelineJS, playerJS,
}

// Write writes the page of a recording.
func Write(w io.Writer, r *record.Recording) error { return Prepare(r.Command).Write(w, r) }

// Prepare makes the page of a command but for the recording, which need not be there yet.
func Prepare(command []string) *Page {
	p := newPage(&document{
		Title: strings.Join(command, " "),
		Kind:  "recording",
		Begin: recordedJS,
	})
	_ = p.write(io.Discard, &record.Recording{}) // never fails: package json learns the types
	return p
}

// Write writes the page with its recording.
func (p *Page) Write(w io.Writer, r *record.Recording) error { return p.write(w, r) }

// WriteCompare writes the page of a comparison.
func WriteCompare(w io.Writer, c *compare.Comparison) error {
	return newPage(&document{
		Title: "yours and ours: " + strings.Join(c.A.Command, " "),
		Kind:  "comparison",
		Begin: comparisonJS,
	}).write(w, c)
}

// WriteLive writes the page of a program that runs. It has no recording in it, and gets the steps
// from the server that it is from.
func WriteLive(w io.Writer) error {
	return newPage(&document{
		Title:   "live",
		Kind:    "live",
		Begin:   liveJS,
		Connect: true,
	}).write(w, nil)
}

// document is what pages differ in.
type document struct {
	Title   string
	Kind    string // of the data: "recording", "comparison" or "live"
	Begin   []byte // the last part of the script
	Connect bool   // the page talks to the server that it is from
}

// Page is a page but for the data in it.
type Page struct {
	before, after texts // the data
}

// newPage puts a page together, of page.html and of what belongs at its marks. What comes from a
// recording is never markup: the title is escaped, and package json writes <, > and & as \u003c,
// \u003e and \u0026, and U+2028 as \u2028.
func newPage(d *document) *Page {
	sheet := texts{[]byte(style.CSS), pageCSS}
	script := append(slices.Clone(commonJS), d.Begin)
	marks := map[string]texts{
		"title":  {[]byte(html.EscapeString(d.Title))},
		"kind":   {[]byte(d.Kind)},
		"policy": {[]byte(policy(sheet, script, d.Connect))},
		"style":  sheet,
		"script": script,
	}
	fill := func(text string) (filled texts) {
		for found := true; found; {
			var before, mark string
			before, text, found = strings.Cut(text, "{{")
			filled = append(filled, []byte(before))
			if found {
				mark, text, _ = strings.Cut(text, "}}")
				filled = append(filled, marks[mark]...)
			}
		}
		return filled
	}
	before, after, _ := strings.Cut(skeleton, "{{data}}")
	return &Page{before: fill(before), after: fill(after)}
}

// write writes the page with its data.
func (p *Page) write(w io.Writer, data any) error {
	if err := p.before.put(w); err != nil {
		return err
	}
	if err := json.NewEncoder(parted{w}).Encode(data); err != nil {
		return err
	}
	return p.after.put(w)
}

// parted writes a long text in parts; it gets all of it at once. WebKit takes minutes to read one
// element of some ten megabytes, and no time for as much in many elements.
type parted struct{ w io.Writer }

func (p parted) Write(text []byte) (written int, err error) {
	for rest := text; len(rest) > 0; {
		n := min(len(rest), longestPart)
		for n < len(rest) && !utf8.RuneStart(rest[n]) {
			n--
		}
		if written > 0 {
			_, err = io.WriteString(p.w, dataGoesOn)
		}
		if err == nil {
			_, err = p.w.Write(rest[:n])
		}
		if err != nil {
			return written, err
		}
		written, rest = written+n, rest[n:]
	}
	return written, nil
}

// policy is a Content-Security-Policy under which the page may do what its own style and script
// do: if something of a recording became markup after all, it would still not be executed.
func policy(sheet, script texts, connect bool) string {
	connectTo := "'none'"
	if connect {
		connectTo = "'self'"
	}
	return fmt.Sprintf("default-src 'none'; style-src %s; script-src %s; connect-src %s; "+
		"img-src data:; base-uri 'none'; form-action 'none'",
		style.Hash(sheet...), style.Hash(script...), connectTo)
}

// texts are parts of one, not copied together.
type texts [][]byte

func (t texts) put(w io.Writer) error {
	for _, text := range t {
		if _, err := w.Write(text); err != nil {
			return err
		}
	}
	return nil
}
