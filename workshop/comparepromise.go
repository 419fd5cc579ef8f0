//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/txtar"

	"container.example/workshop/internal/harness"
	"container.example/workshop/workshop/record"
	"container.example/workshop/workshop/record/compare"
	pages "container.example/workshop/workshop/record/page"
)

// comparePromise records the command of a broken promise, once with the program and once with our
// own, writes a page of both, and says where they part. Both run on a throw-away host.
func (a *app) comparePromise(
	ctx context.Context,
	c *checker,
	s state,
	e harness.Event,
) (err error) {
	command := commandLine(e.Ran)
	if !strings.Contains(command, "container") {
		return errors.New("nothing to compare: the script had not run your program yet")
	}
	dir, err := os.MkdirTemp("", "container-compare-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	program := c.program(s)
	if info, err := os.Stat(program); err != nil {
		return err
	} else if info.IsDir() || strings.HasSuffix(program, ".go") {
		// Not where the check builds it, which a save may begin meanwhile.
		source := program
		program = filepath.Join(dir, "yours")
		if err := harness.Build(ctx, program, source); err != nil {
			return err
		}
	}
	ours := filepath.Join(dir, "ours")
	if err := harness.Build(ctx, ours, filepath.Join(c.root, e.Script.Step)); err != nil {
		return err
	}
	script, err := recordingScript(dir, e, command)
	if err != nil {
		return err
	}
	host, err := harness.NewHost(c.root)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, host.Close()) }()
	var both [2]*record.Recording
	for i, o := range []harness.Options{{Program: program}, {Program: ours, Ours: true}} {
		if both[i], err = recordPromise(ctx, host, o, script); err != nil {
			return err
		}
	}
	compared, err := compare.Compare(both[0], both[1])
	if err != nil {
		return err
	}
	file := c.file("compare.html")
	err = writePage(file, func(w io.Writer) error {
		return pages.WriteCompare(w, compared)
	})
	if err != nil {
		return err
	}
	a.out.printf("%s\n\n", a.out.wrap("Your program and ours, with the command of the promise: "+
		command, 0))
	for _, sentence := range compared.Sentences {
		a.out.printf("  %s\n", a.out.wrap(sentence, 2))
	}
	a.out.printf("\n%s\n", a.out.wrap("Side by side, in a browser: "+relative(file), 0))
	return nil
}

// preparations are the commands of a script that prepare what its programs find.
var preparations = []string{"rootfs", "env", "mkdir", "cp", "cd", "symlink", "chmod"}

// recordingScript is a script that prepares what that of the promise does, and records a command
// line instead of running it. The last line prints the recording.
func recordingScript(dir string, e harness.Event, command string) (s harness.Script, err error) {
	archive, err := txtar.ParseFile(e.Script.File)
	if err != nil {
		return s, err
	}
	lines := []string{"tool workshop"}
	for n := 1; n < e.Line; n++ {
		if slices.Contains(preparations, parseCommand(e.Script.Line(n)).name) {
			lines = append(lines, e.Script.Line(n))
		}
	}
	lines = append(lines, "exec workshop record -limit 30s -o $WORK/record.json -- "+command,
		"exec cat $WORK/record.json", "")
	archive.Comment = []byte(strings.Join(lines, "\n"))
	s = harness.Script{
		Step: e.Script.Step, Name: "record", File: filepath.Join(dir, "record.txtar"),
	}
	return s, os.WriteFile(s.File, txtar.Format(archive), 0o644)
}

// recordPromise plays such a script with a program, and returns what it recorded.
func recordPromise(ctx context.Context, host *harness.Host, o harness.Options,
	script harness.Script,
) (*record.Recording, error) {
	printed := ""
	e, err := host.Play(ctx, o, script, func(m harness.Moment) error {
		if m.After {
			printed = m.Stdout // at last the recording
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	// A program that breaks a promise may leave the host otherwise than it was, and still be
	// recorded.
	r, err := record.Read(strings.NewReader(printed))
	if err != nil {
		why := strings.TrimSpace(e.Reason + "\n" + e.Stderr + "\n" + e.Message)
		return nil, fmt.Errorf("record %s: %s", filepath.Base(o.Program), verbatim(why, 4))
	}
	return r, nil
}
