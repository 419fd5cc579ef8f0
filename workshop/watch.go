//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"container.example/workshop/internal/harness"
)

func (a *app) watch() *cobra.Command {
	var program string
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Check at each save",
		Long: `Check your program at each save, and show the first promise that is broken. What failed the last time is tried
first. When a step is passed, the next one begins. Where the output is no terminal it is plain text.`,
		Example: `  workshop watch
  workshop watch | tee log
  NO_COLOR=1 workshop watch`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.checker(program, timeout)
			if err != nil {
				return err
			}
			if _, err := os.Stat(c.program()); err != nil {
				_, err := c.build(cmd.Context()) // which says what to do
				return err
			}
			saves, err := watchFiles(cmd.Context(), c.program())
			if err != nil {
				return err
			}
			if a.out.terminal && term.IsTerminal(int(os.Stdin.Fd())) {
				err = a.watchScreen(cmd.Context(), c, saves)
			} else {
				err = a.watchPlain(cmd.Context(), c, saves)
			}
			return errors.Join(err, c.close())
		},
	}
	checkFlags(cmd, &program, &timeout)
	return cmd
}

// quiet is how long nothing must happen to the files after a change: an editor saves in several steps.
const quiet = 40 * time.Millisecond

// watchFiles sends the time of each change to the program, which is a directory or a file.
func watchFiles(ctx context.Context, program string) (<-chan time.Time, error) {
	info, err := os.Stat(program)
	if err != nil {
		return nil, err
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("inotify: %w", err)
	}
	// A directory is watched and not the file: editors replace files.
	add := func(dir string) error {
		return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.IsDir() {
				return err
			}
			if path != dir && strings.HasPrefix(d.Name(), ".") {
				return fs.SkipDir
			}
			return watcher.Add(path)
		})
	}
	if info.IsDir() {
		err = add(program)
	} else {
		err = watcher.Add(filepath.Dir(program))
	}
	if err != nil {
		return nil, errors.Join(err, watcher.Close())
	}
	matters := func(e fsnotify.Event) bool {
		if !info.IsDir() && !strings.HasSuffix(program, ".go") {
			return e.Name == program // its x bit matters too
		}
		return strings.HasSuffix(e.Name, ".go") && !strings.HasPrefix(filepath.Base(e.Name), ".") && e.Op != fsnotify.Chmod
	}
	saves := make(chan time.Time)
	go func() {
		defer watcher.Close()
		var last time.Time
		var settled <-chan time.Time
		for {
			select {
			case e := <-watcher.Events:
				if e.Op.Has(fsnotify.Create) {
					if d, err := os.Stat(e.Name); err == nil && d.IsDir() && info.IsDir() {
						_ = add(e.Name) // gone again, perhaps
					}
				}
				if matters(e) {
					last, settled = time.Now(), time.After(quiet)
				}
			case <-settled:
				settled = nil
				select {
				case saves <- last:
				case <-ctx.Done():
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return saves, nil
}

// watched is what happens under watch, in this order: begun, any number of event, and done or gone.
type (
	begun struct {
		step    string
		scripts []harness.Script
		saved   time.Time
	}
	event struct{ harness.Event }
	done  struct {
		verdict
		took time.Duration // from the save
		err  error
	}
)

// checkAtSaves checks now and at each save, until ctx is done. A save ends the check that is going on.
func (c *checker) checkAtSaves(ctx context.Context, saves <-chan time.Time, tell func(any)) {
	saved := time.Now()
	for {
		round, cancel := context.WithCancel(ctx)
		finished := make(chan struct{})
		go func() {
			defer close(finished)
			c.checkOn(round, saved, tell)
		}()
		select {
		case saved = <-saves:
		case <-ctx.Done():
		}
		cancel()
		<-finished
		if ctx.Err() != nil {
			return
		}
	}
}

// checkOn checks the first step that is not passed, and when it is, the next one.
func (c *checker) checkOn(ctx context.Context, saved time.Time, tell func(any)) {
	for {
		step, all, err := c.nextStep()
		if err != nil {
			tell(done{err: err})
			return
		}
		scripts, err := harness.Scripts(c.root, step)
		if err != nil {
			tell(done{err: err})
			return
		}
		tell(begun{step, scripts, saved})
		failing := c.state.Failing
		focus := c.focus(step)
		v, err := c.check(ctx, step, func(s harness.Script) int {
			if s.ID() == failing {
				return 0
			}
			return focus(s)
		}, func(e harness.Event) { tell(event{e}) })
		if ctx.Err() != nil {
			return
		}
		tell(done{v, time.Since(saved), err})
		if err != nil || v.failure != nil || v.build != nil || all {
			return
		}
	}
}

// watchPlain prints the verdicts as text.
func (a *app) watchPlain(ctx context.Context, c *checker, saves <-chan time.Time) error {
	a.out.printf("Watching %s: save it to have it checked, or press Ctrl-C to end.\n", relative(c.program()))
	c.checkAtSaves(ctx, saves, func(m any) {
		switch m := m.(type) {
		case begun:
			a.out.printf("\n%s Checking step %s: %s\n", m.saved.Format("15:04:05"), number(m.step), title(c.root, m.step))
		case done:
			if err := a.printVerdict(c, m); err != nil {
				a.out.printf("workshop: %v\n", err)
			}
		}
	})
	return nil
}

// printVerdict prints what a check found out, without a line for each promise.
func (a *app) printVerdict(c *checker, d done) error {
	switch {
	case d.err != nil:
		return d.err
	case d.build != nil:
		a.explainBuild(d.build, "save it")
		return nil
	}
	a.out.printf("%s\n", a.tally(d.verdict, d.took))
	if d.failure != nil {
		return a.explainFailure(c.place, *d.failure)
	}
	return a.congratulate(c, d.verdict)
}
