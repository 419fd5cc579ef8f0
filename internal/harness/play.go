//go:build linux

package harness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/tools/txtar"
)

// A Moment of a play is just before or just after a line of its script.
type Moment struct {
	Line   int // from 1
	After  bool
	Stdout string // of the last program, after a line
	Stderr string
}

// Play runs one script line by line: at calls for the moment before each line and goes on when at returns,
// and calls it again after the line. It returns what became of the script.
func (h *Host) Play(ctx context.Context, o Options, script Script, at func(Moment) error) (result Event, err error) {
	staged, err := h.stage(script)
	if err != nil {
		return result, err
	}
	goOn, goOnWriter, err := os.Pipe()
	if err != nil {
		return result, err
	}
	defer goOn.Close()
	defer goOnWriter.Close()
	o.Timeout = 24 * time.Hour // somebody may be talking
	err = h.run(ctx, o, task{Scripts: []Script{staged}, Play: true}, goOn, func(line []byte) error {
		var news struct {
			*Moment `json:"Moment"`
			Event
		}
		if err := json.Unmarshal(line, &news); err != nil {
			return err
		}
		if news.Moment == nil {
			result = news.Event
			return nil
		}
		if err := at(*news.Moment); err != nil || news.Moment.After {
			return err
		}
		_, err := goOnWriter.Write([]byte{'\n'})
		return err
	})
	result.Script = script
	return result, err
}

// conditional matches the conditions of a line: it is not a moment of the play if they do not hold.
var conditional = regexp.MustCompile(`^(\s*\[[^]]+\])*\s*`)

// stage writes a copy of the script with the command stage before and after each line.
func (h *Host) stage(script Script) (Script, error) {
	archive, err := txtar.ParseFile(script.File)
	if err != nil {
		return script, err
	}
	var lines []string
	for i, line := range strings.Split(string(archive.Comment), "\n") {
		if text := strings.TrimSpace(line); text == "" || strings.HasPrefix(text, "#") {
			lines = append(lines, line)
			continue
		}
		if only := conditional.FindString(line); strings.TrimSpace(only) == "" || !strings.HasPrefix(line[len(only):], "skip") {
			lines = append(lines, fmt.Sprintf("%sstage before %d", only, i+1), line, fmt.Sprintf("%sstage after %d", only, i+1))
		} else {
			lines = append(lines, line)
		}
	}
	archive.Comment = []byte(strings.Join(lines, "\n") + "\n")
	script.File = filepath.Join(h.dir, script.Name+".txtar")
	return script, os.WriteFile(script.File, txtar.Format(archive), 0o644)
}

// stage is the command `stage before|after LINE`, which Play puts into a script.
func stage(ts *testscript.TestScript, _ bool, args []string) {
	line, err := strconv.Atoi(args[1])
	ts.Check(err)
	m := Moment{Line: line, After: args[0] == "after"}
	if m.After {
		m.Stdout, m.Stderr = ts.ReadFile("stdout"), ts.ReadFile("stderr")
	}
	ts.Check(tell(struct{ Moment Moment }{m}))
	if !m.After {
		if _, err := io.ReadFull(os.Stdin, make([]byte, 1)); err != nil {
			ts.Fatalf("nobody is there any more: %v", errors.Unwrap(err))
		}
	}
}

// Demos lists the scripts for the stage, and for each the step whose program it shows: the first word of
// the file called demo in it. The rest of that line is the title.
func Demos(root string) (demos []Demo, err error) {
	scripts, _, err := readStep(root, "demos")
	if err != nil {
		return nil, err
	}
	for _, script := range scripts {
		archive, err := txtar.ParseFile(script.File)
		if err != nil {
			return nil, err
		}
		d := Demo{Script: script}
		for _, f := range archive.Files {
			if f.Name == "demo" {
				d.Program, d.Title, _ = strings.Cut(strings.TrimSpace(string(f.Data)), " ")
			}
		}
		if d.Title == "" {
			return nil, fmt.Errorf("%s: no file demo in it that says STEP TITLE", script.File)
		}
		demos = append(demos, d)
	}
	return demos, nil
}
