// Package page makes one HTML file of a recording, which needs nothing else: no network, no
// server, no framework. The recording lies in it as JSON and can be read out of it again.
package page

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"container.example/workshop/workshop/record"
	"container.example/workshop/workshop/record/compare"
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

// write puts a page together. What comes from a recording is never markup: the title is escaped,
// and json.Marshal writes <, > and & as \u003c, \u003e and \u0026, and U+2028 as \u2028.
func write(w io.Writer, d *document) error {
	data, err := json.Marshal(d.Data)
	if err != nil {
		return err
	}
	style, err := text("page.css")
	if err != nil {
		return err
	}
	script, err := text(d.Scripts...)
	if err != nil {
		return err
	}
	skeleton, err := text("page.html")
	if err != nil {
		return err
	}
	replace := strings.NewReplacer(
		"{{title}}", template.HTMLEscapeString(d.Title),
		"{{kind}}", d.Kind,
		"{{policy}}", policy(style, script, d.Connect),
		"{{style}}", style,
		"{{script}}", script,
		"{{data}}", string(data),
	)
	_, err = replace.WriteString(w, skeleton)
	return err
}

// policy is a Content-Security-Policy under which the page may do what its own style and script
// do: if something of a recording became markup after all, it would still not be executed.
func policy(style, script string, connect bool) string {
	sum := func(text string) string {
		hash := sha256.Sum256([]byte(text))
		return "'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'"
	}
	connectTo := "'none'"
	if connect {
		connectTo = "'self'"
	}
	return fmt.Sprintf("default-src 'none'; style-src %s; script-src %s; connect-src %s; "+
		"img-src data:; base-uri 'none'; form-action 'none'", sum(style), sum(script), connectTo)
}

// text is that of files of the page, one after the other.
func text(names ...string) (string, error) {
	var all strings.Builder
	for _, name := range names {
		data, err := files.ReadFile(name)
		if err != nil {
			return "", err
		}
		all.Write(data)
	}
	return all.String(), nil
}
