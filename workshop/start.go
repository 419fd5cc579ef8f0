//go:build linux

package main

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"container.example/workshop/internal/harness"
)

// template is the program that start makes. Its name does not end in .go, or it would be a part of this command.
//
//go:embed main.go.template
var template []byte

func (a *app) start() *cobra.Command {
	return &cobra.Command{
		Use:   "start [DIR]",
		Short: "Make ./mine, with a main.go that compiles and does nothing yet",
		Long: `Make a directory for your program, ./mine or DIR below the workshop's own, with a main.go that compiles and does
nothing yet. The plan of step 1 is in its comments. Nothing that is there already is overwritten.`,
		Example: `  workshop start
  workshop start another && cd another`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				a.dir = args[0]
			}
			p, err := a.open()
			if err != nil {
				return err
			}
			if err := p.make(); err != nil {
				return err
			}
			if _, err := p.change(func(*state) error { return nil }); err != nil {
				return err
			}
			main := relative(filepath.Join(p.dir, "main.go"))
			a.out.printf("Made %s: it compiles, and does nothing yet. The plan of step 1 is in its comments.\n\n", main)
			a.out.printf("Next: open it in an editor, and in a second terminal say\n")
			if len(args) > 0 && p.dir != filepath.Join(p.root, "mine") {
				a.out.printf("  %s\n", a.out.note.Render("cd "+relative(p.dir)))
			}
			a.out.printf("  %s\n", a.out.note.Render(self()+" watch"))
			return nil
		},
	}
}

// make writes the program of the beginning, unless there is one.
func (p *place) make() error {
	if inside, err := filepath.Rel(p.root, p.dir); err != nil || strings.HasPrefix(inside, "..") {
		return fmt.Errorf("%s: must be below %s, whose go.mod has the packages that the program needs", p.dir, p.root)
	}
	if files, err := filepath.Glob(filepath.Join(p.dir, "*.go")); err == nil && len(files) > 0 {
		return fmt.Errorf("%s is there already, and stays as it is (to begin anew: %s reset)", relative(files[0]), self())
	}
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(p.dir, "main.go"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(template)
	return errors.Join(err, f.Close())
}

func (a *app) progress() *cobra.Command {
	return &cobra.Command{
		Use:     "progress",
		Short:   "Show how far you are",
		Example: `  workshop progress`,
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			p, err := a.open()
			if err != nil {
				return err
			}
			return a.showProgress(p)
		},
	}
}

func (a *app) showProgress(p *place) error {
	steps, err := harness.Steps(p.root)
	if err != nil {
		return err
	}
	s, err := p.load()
	if err != nil {
		return err
	}
	out := a.out
	out.printf("%s\n\n", a.bar(s, steps, 40))
	for _, step := range steps {
		when, ok := s.Passed[step]
		mark, note := out.faint.Render("·"), ""
		if ok {
			mark, note = out.good.Render("✓"), "passed "+when.Format("2 January 15:04")
		} else if why := s.Unchecked[step]; why != "" {
			mark, note = out.faint.Render("-"), "not checked here, "+why
		}
		out.printf("  %s %-18s %-28s %s\n", mark, step, title(p.root, step), out.faint.Render(note))
	}
	hints := 0
	for _, n := range s.Hints {
		hints += n
	}
	out.printf("\n%d checks, %d hints. Program: %s\n", s.Checks, hints, relative(p.program(s)))
	if s.Failing != "" {
		out.printf("Broken at the last check: %s\n  %s\n", s.Failing, out.wrap(s.Promise, 2))
	}
	next, all, err := p.nextStep(s)
	if err == nil && !all {
		out.printf("Next, step %s: %s\n", number(next), out.note.Render(self()+" check"))
	}
	return err
}

// bar shows how many of the steps are passed.
func (a *app) bar(s state, steps []string, width int) string {
	passed := 0
	for _, step := range steps {
		if _, ok := s.Passed[step]; ok {
			passed++
		}
	}
	full := width * passed / len(steps)
	return fmt.Sprintf("[%s%s] %d of %d steps", a.out.good.Render(strings.Repeat("#", full)), a.out.faint.Render(strings.Repeat("-", width-full)), passed, len(steps))
}

func (a *app) reset() *cobra.Command {
	return &cobra.Command{
		Use:   "reset",
		Short: "Begin anew, and keep a copy of what there was",
		Long: `Begin anew with the main.go of the start and no progress. All files that were there are kept, in a directory
.workshop/copies/DATE beside the new main.go.`,
		Example: `  workshop reset`,
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			p, err := a.open()
			if err != nil {
				return err
			}
			kept, err := p.keepCopy(time.Now())
			if err != nil {
				return err
			}
			if err := p.make(); err != nil {
				return err
			}
			_, err = p.change(func(s *state) error {
				*s = state{}
				return nil
			})
			if err != nil {
				return err
			}
			a.out.printf("%s is as at the start. What was there is in %s\n", relative(filepath.Join(p.dir, "main.go")), relative(kept))
			return nil
		},
	}
}

// keepCopy moves all that is in the directory, and the progress, to a directory of its own.
func (p *place) keepCopy(now time.Time) (dir string, err error) {
	entries, err := os.ReadDir(p.dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return "", fmt.Errorf("%s: there is nothing to reset (make it: %s start)", relative(p.dir), self())
	} else if err != nil {
		return "", err
	}
	if err := os.MkdirAll(p.file("copies"), 0o755); err != nil {
		return "", err
	}
	name := p.file("copies/" + now.Format("2006-01-02T15.04.05"))
	dir = name
	for n := 2; ; n++ {
		err := os.Mkdir(dir, 0o755)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrExist) {
			return "", err
		}
		dir = fmt.Sprint(name, ".", n)
	}
	for _, entry := range entries {
		// What begins with a dot is an editor's or git's, and stays.
		if !strings.HasPrefix(entry.Name(), ".") {
			err = errors.Join(err, os.Rename(filepath.Join(p.dir, entry.Name()), filepath.Join(dir, entry.Name())))
		}
	}
	if e := os.Rename(p.file("progress.json"), filepath.Join(dir, "progress.json")); !errors.Is(e, fs.ErrNotExist) {
		err = errors.Join(err, e)
	}
	return dir, err
}
