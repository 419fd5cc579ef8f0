//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/urfave/cli/v3"
	"golang.org/x/sys/unix"

	"container.example/workshop/workshop/record"
	pages "container.example/workshop/workshop/record/page"
)

const recordName = "record"

// isRecorder tells whether these are the arguments of a recorder. While it starts, the program that
// it is to record waits.
func isRecorder(args []string) bool { return len(args) > 0 && args[0] == recordName }

func (a *app) record() *cli.Command {
	file, limit, steps, comparing := "", time.Duration(0), 0, false
	return &cli.Command{
		Name:      recordName,
		Usage:     "Record how a program makes a container",
		ArgsUsage: "-- CMD [ARG...] | -compare YOURS OURS",
		Description: `Run a command and record each system call that makes a container, and what
host and process look like after it. The command is any program in any
language, without a change to it; all processes that it starts are followed.
FILE.html is one page that plays it, which needs no network. FILE.json is the
recording for programs.

  workshop record -o run.html -- ./container run sh -c 'echo hello'
  workshop record -o compare.html -compare mine.html ours.html

The second puts two recordings beside each other, aligned by what they do, and
says where they part.

The command has this terminal. Its exit status is told, and is not that of
this program, which ends with 0 if the recording was written.`,
		Flags: []cli.Flag{
			&cli.StringFlag{
				Name: "o", Destination: &file, Value: "record.html",
				Usage: "`FILE` to write",
			},
			&cli.BoolFlag{
				Name: "compare", Destination: &comparing,
				Usage: "compare two recordings, which record wrote",
			},
			&cli.DurationFlag{
				Name: "limit", Destination: &limit, Value: time.Minute,
				Usage: "`TIME` after which all that the command started is killed; 0 is forever",
			},
			&cli.IntFlag{
				Name: "steps", Destination: &steps, Value: record.DefaultSteps,
				Usage: "the `NUMBER` of steps that are recorded; what comes later only runs",
			},
		},
		Action: func(ctx context.Context, cmd *cli.Command) error {
			command := cmd.Args().Slice()
			if comparing {
				return a.compareRecordings(file, command)
			}
			write, err := recordingWriter(file, command)
			switch {
			case err != nil:
				return fmt.Errorf("record %w", err)
			case len(command) == 0:
				return errors.New("record: which command? (record [-o FILE] -- CMD [ARG...])")
			case steps < 1:
				return fmt.Errorf("record -steps %d: must be at least 1", steps)
			case limit < 0:
				return fmt.Errorf("record -limit %v: must not be negative", limit)
			}
			if err := mayWrite(file); err != nil { // what the command does is not undone
				return fmt.Errorf("record: %w", err)
			}
			recording, err := recordCommand(ctx, record.Options{
				Command: command,
				Stdin:   os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
				Limit:    limit,
				MaxSteps: steps,
			})
			if err != nil {
				return fmt.Errorf("record: %w", err)
			}
			err = writePage(file, func(w io.Writer) error { return write(recording, w) })
			if err != nil {
				return fmt.Errorf("record: %w", err)
			}
			a.tellRecording(file, recording)
			return nil
		},
	}
}

// recordCommand runs a command until it ends. The interrupt key is for the command, which shares
// the terminal: what it makes of it is recorded.
func recordCommand(ctx context.Context, o record.Options) (*record.Recording, error) {
	// The command waits at each call while it is looked at. A recording is small, and what is read
	// for it is thrown away at once. It stays so until this program ends: to set it back would
	// collect all that while the recording is written.
	const percent = 400
	debug.SetGCPercent(percent)
	ctx, stop := signal.NotifyContext(context.WithoutCancel(ctx), unix.SIGTERM, unix.SIGHUP)
	defer stop()
	return record.Run(ctx, o)
}

// recordingWriter is what writes a recording in the form that the name of the file says. A page is
// prepared beside the command.
func recordingWriter(name string, command []string) (
	func(*record.Recording, io.Writer) error, error,
) {
	switch filepath.Ext(name) {
	case ".json":
		return (*record.Recording).Write, nil
	case ".html":
		page := sync.OnceValue(func() *pages.Page { return pages.Prepare(command) })
		go page()
		return func(r *record.Recording, w io.Writer) error { return page().Write(w, r) }, nil
	}
	return nil, fmt.Errorf("-o %q: must end in .html or .json", name)
}

// tellRecording says in two lines what was recorded.
func (a *app) tellRecording(file string, r *record.Recording) {
	refused := 0
	for _, step := range r.Steps {
		if step.Errno != "" {
			refused++
		}
	}
	fmt.Fprintf(os.Stderr, "%s: %d steps, %d refused; the command ended with %s\n",
		file, len(r.Steps), refused, r.Ended)
	for _, line := range slices.Concat([]string{r.Cut}, r.Notes) {
		if line != "" {
			fmt.Fprintf(os.Stderr, "%s\n", line)
		}
	}
}
