package harness

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/tools/txtar"
)

// A Script is one file of testdata, which says what a program promises in one respect.
type Script struct {
	Step    string // step2-namespaces
	Name    string // hostname-out
	File    string // its path
	Chapter string // the letter of its chapter; empty in a step that has none
}

// ID is the script's name in reports: step/name.
func (s Script) ID() string { return s.Step + "/" + s.Name }

// NotYet tells whether the script shows what its step does not isolate. The next step may.
func (s Script) NotYet() bool { return strings.HasPrefix(s.Name, notYet) }

// WayOut tells whether the script tries a way out of the container.
func (s Script) WayOut() bool { return strings.HasPrefix(s.Name, wayOut) }

// Ours tells whether the script asks nothing of programs other than the workshop's own: it skips
// them.
func (s Script) Ours() bool { return strings.HasPrefix(s.Line(1), "[!ours] skip ") }

const (
	// notYet starts the names of the scripts that show what a step does not isolate.
	notYet = "not-yet-"
	// wayOut starts the names of the scripts that try a way out of the container.
	wayOut = "escape-"
)

// A Chapter is a part of a step: one idea, with the promises that a program keeps when it is built.
type Chapter struct {
	Step     string
	Letter   string
	Title    string
	Minutes  int      // what the plan of the workshop gives to it
	Optional bool     // it may be left out
	Promises []Script // its own, in the order in which they are met
	WaysOut  []Script // that it closes
}

// Steps lists the steps of the workshop in the module at root, in order.
func Steps(root string) (steps []string, err error) {
	dirs, err := filepath.Glob(filepath.Join(root, "testdata", "step*"))
	for _, dir := range dirs {
		steps = append(steps, filepath.Base(dir))
	}
	if len(steps) == 0 {
		err = fmt.Errorf("%s: no steps there", filepath.Join(root, "testdata"))
	}
	return steps, err
}

// Runtime is the program that the steps grow into. It keeps their promises, and has its own scripts
// besides.
const Runtime = "runtime"

// Scripts lists what a program of the step, or the runtime, promises: its own scripts and those of
// the steps before it. A script of an earlier step holds until a later step has a script of the
// same name, which takes its place. What an earlier step shows as not isolated yet does not hold at
// all.
func Scripts(root, step string) (scripts []Script, err error) {
	steps, err := Steps(root)
	if err != nil {
		return nil, err
	}
	steps = append(steps, Runtime)
	if !slices.Contains(steps, step) {
		return nil, fmt.Errorf("step %q: there is none (%s)", step, strings.Join(steps, ", "))
	}
	replaced := map[string]bool{}
	for _, name := range slices.Backward(steps[:slices.Index(steps, step)+1]) {
		own, _, err := readStep(root, name)
		if err != nil {
			return nil, err
		}
		var hold []Script
		for _, s := range own {
			if name == step || !s.NotYet() && !replaced[s.Name] {
				hold = append(hold, s)
			}
			replaced[s.Name] = true
		}
		scripts = append(hold, scripts...)
	}
	return scripts, nil
}

// Chapters lists the chapters of a step in the order of its plan. Most steps have none.
func Chapters(root, step string) ([]Chapter, error) {
	scripts, chapters, err := readStep(root, step)
	for i := range chapters {
		c := &chapters[i]
		for _, s := range scripts {
			switch {
			case s.Chapter != c.Letter || s.NotYet():
			case s.WayOut():
				c.WaysOut = append(c.WaysOut, s)
			default:
				c.Promises = append(c.Promises, s)
			}
		}
	}
	return chapters, err
}

// readStep lists the scripts of one directory of testdata in the order in which they are met, and
// its chapters, which have no scripts yet.
func readStep(root, step string) (scripts []Script, chapters []Chapter, err error) {
	dir := filepath.Join(root, "testdata", step)
	files, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err != nil {
		return nil, nil, err
	}
	file := filepath.Join(dir, "order.txt")
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, nil, err
	}
	o, err := parseOrder(step, string(text))
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file, err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		scripts = append(scripts, Script{
			Step: step, Name: name, File: file, Chapter: o.chapterOf[name],
		})
	}
	slices.SortStableFunc(scripts, func(a, b Script) int { return o.rank(a) - o.rank(b) })
	return scripts, o.chapters, nil
}

// An order is what a file order.txt says: the names of scripts, each in a line, in the order in
// which they are met by who builds the step. A line
//
//	chapter LETTER MINUTES [optional] TITLE
//
// begins a chapter.
type order struct {
	names     []string
	chapters  []Chapter
	chapterOf map[string]string // the letter, by the name of the script
}

func parseOrder(step, text string) (o order, err error) {
	o.chapterOf = map[string]string{}
	for i, line := range strings.Split(text, "\n") {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0:
		case fields[0] == "chapter" && len(fields) > 3:
			c := Chapter{Step: step, Letter: fields[1]}
			if c.Minutes, err = strconv.Atoi(fields[2]); err != nil || c.Minutes <= 0 {
				return o, fmt.Errorf("line %d: minutes %q: must be a positive number", i+1,
					fields[2])
			}
			again := func(d Chapter) bool { return d.Letter == c.Letter }
			if slices.ContainsFunc(o.chapters, again) {
				return o, fmt.Errorf("line %d: chapter %s: a second time", i+1, c.Letter)
			}
			title := fields[3:]
			if c.Optional = title[0] == "optional" && len(title) > 1; c.Optional {
				title = title[1:]
			}
			c.Title = strings.Join(title, " ")
			o.chapters = append(o.chapters, c)
		case len(fields) > 1:
			return o, fmt.Errorf("line %d: want a name, or chapter LETTER MINUTES [optional] TITLE",
				i+1)
		case slices.Contains(o.names, fields[0]):
			return o, fmt.Errorf("line %d: %s: a second time", i+1, fields[0])
		default:
			o.names = append(o.names, fields[0])
			if len(o.chapters) > 0 {
				o.chapterOf[fields[0]] = o.chapters[len(o.chapters)-1].Letter
			}
		}
	}
	return o, nil
}

// rank is the place of a script in its step. Those that the file does not name come after the
// others, and last what is not yet isolated.
func (o order) rank(s Script) int {
	if i := slices.Index(o.names, s.Name); i >= 0 {
		return i
	}
	if s.NotYet() {
		return len(o.names) + 1
	}
	return len(o.names)
}

// Promise is the sentence of the script's comments that begins before the given line, counted from
// 1, and goes on to the last comment before that line. If it goes on after that, it ends with an
// ellipsis. Line 0 asks for the first sentence.
func (s Script) Promise(line int) (string, error) {
	archive, err := txtar.ParseFile(s.File)
	if err != nil {
		return "", err
	}
	var sentences []string // the last one may go on in the next comment
	for i, text := range strings.Split(string(archive.Comment), "\n") {
		if line > 0 && i >= line {
			break
		}
		comment, ok := strings.CutPrefix(text, "#")
		if comment = strings.TrimSpace(comment); !ok || comment == "" {
			continue
		}
		last := len(sentences) - 1
		switch {
		case last < 0 || strings.HasSuffix(sentences[last], ".") ||
			strings.HasSuffix(sentences[last], ":"):
			if line == 0 && last >= 0 {
				return sentences[0], nil
			}
			sentences = append(sentences, comment)
		default:
			sentences[last] += " " + comment
		}
	}
	if len(sentences) == 0 {
		return strings.ReplaceAll(s.Name, "-", " "), nil
	}
	if line == 0 {
		return sentences[0], nil
	}
	promise := sentences[len(sentences)-1]
	if rest, goesOn := strings.CutSuffix(promise, ","); goesOn {
		promise = rest + " ..."
	}
	return promise, nil
}

// Line is the line of the script with that number, counted from 1.
func (s Script) Line(n int) string {
	text, _ := os.ReadFile(s.File)
	lines := strings.Split(string(text), "\n")
	if n < 1 || n > len(lines) {
		return ""
	}
	return lines[n-1]
}

// A Demo is a script that is played on a stage.
type Demo struct {
	Script
	Program string // the step whose program it shows
	Title   string
}
