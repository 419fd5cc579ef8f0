//go:build linux

package harness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
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

// Play runs one script line by line: at calls for the moment before each line and goes on when at
// returns, and calls it again after the line. It returns what became of the script.
func (h *Host) Play(ctx context.Context, o Options, script Script,
	at func(Moment) error,
) (result Event, err error) {
	goOn, goOnWriter, err := os.Pipe()
	if err != nil {
		return result, err
	}
	defer goOn.Close()
	defer goOnWriter.Close()
	o.Timeout = 24 * time.Hour // somebody may be talking
	what := task{Scripts: []Script{script}, Play: true}
	err = h.work(newPool(ctx, 1), o, what, goOn, func(_ *worker, line []byte) error {
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

// stage is the command `stage before|after LINE` of a script that is played.
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
			ts.Fatalf("there is nobody left: %v", errors.Unwrap(err))
		}
	}
}

// Demos lists the scripts for the stage, and for each the step whose program it shows: the first
// word of the file called demo in it. The rest of that line is the title.
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
