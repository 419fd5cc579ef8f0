// Package page makes one HTML file of a recording, which needs nothing else: no network, no
// server, no framework. The recording lies in it as JSON and can be read out of it again.
package page

import (
	"embed"
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

//go:embed page.html *.css *.js
var files embed.FS

// scripts are the files that the script of each page consists of, in order.
var scripts = []string{
	"recording.js", "differences.js", "elements.js", "frame.js", "state.js", "timeline.js",
	"player.js",
}

// Write writes the page of a recording.
func Write(w io.Writer, r *record.Recording) error {
	return write(w, &document{
		Title:   strings.Join(r.Command, " "),
		Kind:    "recording",
		Data:    r,
		Scripts: append(slices.Clone(scripts), "recorded.js"),
	})
}

// Prepare does the part of Write that is done only once, as long as there is no recording yet.
func Prepare() { _ = Write(io.Discard, &record.Recording{}) } // never fails

// WriteCompare writes the page of a comparison.
func WriteCompare(w io.Writer, c *compare.Comparison) error {
	return write(w, &document{
		Title:   "yours and ours: " + strings.Join(c.A.Command, " "),
		Kind:    "comparison",
		Data:    c,
		Scripts: append(slices.Clone(scripts), "comparison.js"),
	})
}

// WriteLive writes the page of a program that runs. It has no recording in it, and gets the steps
// from the server that it is from.
func WriteLive(w io.Writer) error {
	return write(w, &document{
		Title:   "live",
		Kind:    "live",
		Scripts: append(slices.Clone(scripts), "live.js"),
		Connect: true,
	})
}

// document is what a page is made of.
type document struct {
	Title   string
	Kind    string // of the data: "recording", "comparison" or "live"
	Data    any
	Scripts []string
	Connect bool // the page talks to the server that it is from
}

// write puts a page together, of page.html and of what belongs at its marks. What comes from a
// recording is never markup: the title is escaped, and package json writes <, > and & as \u003c,
// \u003e and \u0026, and U+2028 as \u2028.
func write(w io.Writer, d *document) error {
	sheet, err := read("page.css")
	if err != nil {
		return err
	}
	sheet = append(texts{[]byte(style.CSS)}, sheet...)
	script, err := read(d.Scripts...)
	if err != nil {
		return err
	}
	skeleton, err := files.ReadFile("page.html")
	if err != nil {
		return err
	}
	marks := map[string]func() error{
		"title":  func() error { return put(w, html.EscapeString(d.Title)) },
		"kind":   func() error { return put(w, d.Kind) },
		"policy": func() error { return put(w, policy(sheet, script, d.Connect)) },
		"style":  func() error { return sheet.put(w) },
		"script": func() error { return script.put(w) },
		"data":   func() error { return json.NewEncoder(parted{w}).Encode(d.Data) },
	}
	for rest, found := string(skeleton), true; found; {
		var before, mark string
		before, rest, found = strings.Cut(rest, "{{")
		err = put(w, before)
		if found && err == nil {
			mark, rest, _ = strings.Cut(rest, "}}")
			err = marks[mark]()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func put(w io.Writer, text string) error {
	_, err := io.WriteString(w, text)
	return err
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
			err = put(p.w, dataGoesOn)
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

// texts are those of files of the page, one after the other.
type texts [][]byte

func read(names ...string) (all texts, err error) {
	for _, name := range names {
		data, err := files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

func (t texts) put(w io.Writer) error {
	for _, text := range t {
		if _, err := w.Write(text); err != nil {
			return err
		}
	}
	return nil
}
