// Package report writes what a check found out for programs to read: test servers, graders, and the
// page of a whole course.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"
)

// Version is the version of the form of a Report as JSON. A reader refuses a later one.
const Version = 1

// Schema is how a reader knows a Report among other files of JSON.
const Schema = "container-workshop/report"

// A Report is what became of each promise in one check of one program.
type Report struct {
	Schema  string `json:"schema"`
	Version int    `json:"version"`
	// Name is whose program it is, if that was said.
	Name string `json:"name,omitempty"`
	// Program is the program as it was named, without the directories above it.
	Program string `json:"program"`
	// Lesson is up to where it was checked: "3", "5c".
	Lesson string `json:"lesson"`
	// Time is when the check began.
	Time    time.Time `json:"time"`
	Seconds float64   `json:"seconds"`
	Machine Machine   `json:"machine"`
	// Build says why there is no program to try. Then no promise was reached.
	Build   string   `json:"build,omitempty"`
	Totals  Totals   `json:"totals"`
	Results []Result `json:"results"`
	// Submission is what Classroom 50 says of the program.
	Submission *Submission `json:"-"`
}

// Machine is where the check was made. Nothing in it tells one machine of a kind from another.
type Machine struct {
	Kernel  string `json:"kernel"` // release, as of uname(2)
	Arch    string `json:"arch"`   // GOARCH
	Cgroups string `json:"cgroups"`
	Root    bool   `json:"root"` // the check was run by root
}

// A Result is what became of one promise.
type Result struct {
	Step    string `json:"step"` // step2-namespaces
	Chapter string `json:"chapter,omitempty"`
	Name    string `json:"name"`  // hostname-in
	Title   string `json:"title"` // the promise in one sentence
	Status  Status `json:"status"`
	// Reason is why it was skipped or not reached.
	Reason string `json:"reason,omitempty"`
	// Message is the explanation of a failure that a person gets to read.
	Message string  `json:"message,omitempty"`
	Seconds float64 `json:"seconds"`
}

// ID is the name of the promise among those of all steps.
func (r Result) ID() string { return r.Step + "/" + r.Name }

// Status is what became of a promise.
type Status string

// What becomes of a promise.
const (
	Passed  Status = "passed"
	Failed  Status = "failed"
	Skipped Status = "skipped" // the machine, the user or an option lacks something
	// NotBuilt tells that the program does not take the flag of a chapter yet.
	NotBuilt   Status = "not built"
	NotReached Status = "not reached"
)

// counts tells whether a promise is part of the score: what was skipped is not.
func (s Status) counts() bool { return s != Skipped }

// point is what a promise adds to the score.
func (s Status) point() int {
	if s == Passed {
		return 1
	}
	return 0
}

// Totals counts the results.
type Totals struct {
	Promises   int `json:"promises"`
	Passed     int `json:"passed"`
	Failed     int `json:"failed"`
	Skipped    int `json:"skipped"`
	NotBuilt   int `json:"not_built"`
	NotReached int `json:"not_reached"`
}

// Score is how many promises were kept, of those that could be checked.
func (t Totals) Score() (score, of int) { return t.Passed, t.Promises - t.Skipped }

func total(results []Result) (t Totals) {
	for _, r := range results {
		t.Promises++
		switch r.Status {
		case Passed:
			t.Passed++
		case Failed:
			t.Failed++
		case Skipped:
			t.Skipped++
		case NotBuilt:
			t.NotBuilt++
		case NotReached:
			t.NotReached++
		}
	}
	return t
}

// A Format is a form in which a Report can be written.
type Format string

// The formats.
const (
	JUnit       Format = "junit"
	TAP         Format = "tap"
	JSON        Format = "json"
	Gradescope  Format = "gradescope"
	Classroom50 Format = "classroom50"
)

var writers = map[Format]func(*Report, io.Writer) error{
	JUnit:       (*Report).writeJUnit,
	TAP:         (*Report).writeTAP,
	JSON:        (*Report).writeJSON,
	Gradescope:  (*Report).writeGradescope,
	Classroom50: (*Report).writeClassroom50,
}

// FormatOf is the format with that name, or without a name the one that a file of that name has.
func FormatOf(name, file string) (Format, error) {
	if f := Format(name); name != "" {
		if writers[f] == nil {
			all := slices.Sorted(maps.Keys(writers))
			return "", fmt.Errorf("-format %q: must be one of %s", name,
				strings.Trim(fmt.Sprint(all), "[]"))
		}
		return f, nil
	}
	base := filepath.Base(file)
	switch {
	case base == "results.json":
		return Gradescope, nil
	case base == "result.json":
		return Classroom50, nil
	}
	switch filepath.Ext(base) {
	case ".xml":
		return JUnit, nil
	case ".tap":
		return TAP, nil
	case ".json":
		return JSON, nil
	}
	return "", fmt.Errorf("-report %q: the name says no format (add -format junit, tap, json, "+
		"gradescope or classroom50)", file)
}

// Write writes the report. Escape sequences of a terminal are taken out, and characters that are
// none in XML are replaced.
func (r *Report) Write(w io.Writer, f Format) error {
	whole := *r
	whole.Schema, whole.Version, whole.Totals = Schema, Version, total(r.Results)
	for _, text := range []*string{&whole.Name, &whole.Program, &whole.Build} {
		*text = clean(*text)
	}
	whole.Results = slices.Clone(r.Results)
	for i := range whole.Results {
		p := &whole.Results[i]
		for _, text := range []*string{&p.Title, &p.Reason, &p.Message} {
			*text = clean(*text)
		}
	}
	return writers[f](&whole, w)
}

// clean takes the escape sequences of a terminal out of a text, and puts a sign in place of each
// character that XML 1.0 does not have (section 2.2).
func clean(text string) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\ufffd"), "\r\n", "\n")
	return strings.Map(func(c rune) rune {
		switch {
		case c == '\t', c == '\n', c >= ' ' && c < 0x7f, c >= 0xa0 && c <= 0xd7ff,
			c >= 0xe000 && c <= 0xfffd, c >= 0x10000:
			return c
		}
		return '\ufffd'
	}, ansi.Strip(text))
}

// oneLine makes one line of a text.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

func (r *Report) writeJSON(w io.Writer) error { return indented(w, r) }

// indented writes a value as JSON for people, too.
func indented(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// largest is how many bytes of a report are read: one of all steps has a fiftieth of that.
const largest = 16 << 20

// Read reads a report that was written as JSON of ours.
func Read(from io.Reader) (*Report, error) {
	text, err := io.ReadAll(io.LimitReader(from, largest+1))
	if err != nil {
		return nil, err
	}
	if len(text) > largest {
		return nil, fmt.Errorf("more than %d MB: this is no report", largest>>20)
	}
	// The version first: of a later one the rest may be anything.
	var head struct {
		Schema  string
		Version int
	}
	if err := json.Unmarshal(text, &head); err != nil || head.Schema != Schema {
		return nil, fmt.Errorf("no report of the workshop in JSON (make one: workshop check " +
			"-report NAME.json)")
	}
	if head.Version > Version {
		return nil, fmt.Errorf("version %d: this workshop reads reports up to version %d "+
			"(take a later workshop)", head.Version, Version)
	}
	r := &Report{}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, err
	}
	r.Totals = total(r.Results)
	return r, nil
}
