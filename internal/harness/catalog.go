package harness

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/txtar"
)

// A Script is one file of testdata, which says what a program promises in one respect.
type Script struct {
	Step string // step2-namespaces
	Name string // hostname-out
	File string // its path
}

// ID is the script's name in reports: step/name.
func (s Script) ID() string { return s.Step + "/" + s.Name }

// NotYet tells whether the script shows what its step does not isolate. The next step may.
func (s Script) NotYet() bool { return strings.HasPrefix(s.Name, notYet) }

// notYet starts the names of the scripts that show what a step does not isolate.
const notYet = "not-yet-"

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

// Runtime is the program that the steps grow into. It keeps their promises, and has its own scripts besides.
const Runtime = "runtime"

// Scripts lists what a program of the step, or the runtime, promises: its own scripts and those of the steps before it. One
// of an earlier step holds until a later one has a script of the same name, which takes its place, and not at
// all if it shows what is not isolated yet.
func Scripts(root, step string) (scripts []Script, err error) {
	steps, err := Steps(root)
	if err != nil {
		return nil, err
	}
	steps = append(steps, Runtime)
	if !slices.Contains(steps, step) {
		return nil, fmt.Errorf("step %q: there is none (%s)", step, strings.Join(steps, ", "))
	}
	steps = steps[:slices.Index(steps, step)+1]
	for i, name := range steps {
		files, err := filepath.Glob(filepath.Join(root, "testdata", name, "*.txtar"))
		if err != nil {
			return nil, err
		}
		if err := inOrder(files); err != nil {
			return nil, err
		}
		for _, file := range files {
			s := Script{name, strings.TrimSuffix(filepath.Base(file), ".txtar"), file}
			replaced := slices.ContainsFunc(steps[i+1:], func(later string) bool {
				_, err := os.Stat(filepath.Join(root, "testdata", later, filepath.Base(file)))
				return err == nil
			})
			if name == step || !s.NotYet() && !replaced {
				scripts = append(scripts, s)
			}
		}
	}
	return scripts, nil
}

// inOrder sorts the scripts of one step by the file order.txt beside them: in that order they are met by one
// who builds the step. Those that are not in the file come after, by name, and last what is not yet isolated.
func inOrder(files []string) error {
	if len(files) == 0 {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(filepath.Dir(files[0]), "order.txt"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	names := strings.Fields(string(text))
	rank := func(file string) int {
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		if i := slices.Index(names, name); i >= 0 {
			return i
		}
		if strings.HasPrefix(name, notYet) {
			return len(names) + 1
		}
		return len(names)
	}
	slices.SortStableFunc(files, func(a, b string) int { return rank(a) - rank(b) })
	return nil
}

// Promise is the sentence of the script's comments that begins before the given line, counted from 1, and
// goes on to the last comment before that line. Line 0 asks for the first sentence.
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
		case last < 0 || strings.HasSuffix(sentences[last], ".") || strings.HasSuffix(sentences[last], ":"):
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
	return sentences[len(sentences)-1], nil
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
