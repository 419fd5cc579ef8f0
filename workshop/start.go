//go:build linux

package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v3"
)

// template is the program that start makes. Its name does not end in .go, or it would be a part of
// this command.
//
//go:embed main.go.template
var template []byte

func (a *app) start() *cli.Command {
	return &cli.Command{
		Name:      "start",
		Usage:     "Make ./mine, with a main.go that compiles and does nothing yet",
		ArgsUsage: "[DIR]",
		Description: `Make a directory for your program, ./mine or DIR below the workshop's own,
with a main.go that compiles and does nothing yet. The plan of step 1 is in
its comments. Nothing that is there already is overwritten.

  workshop start
  workshop start another && cd another`,
		Action: func(_ context.Context, cmd *cli.Command) error {
			args, err := atMost(cmd, 1)
			if err != nil {
				return err
			}
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
			a.out.printf(
				"Made %s: it compiles, and does nothing yet. The plan of step 1 is in its "+
					"comments.\n\n",
				main,
			)
			a.out.printf("Next: open it in an editor, and in a second terminal say\n")
			next := a.self()
			if len(args) > 0 && p.dir != filepath.Join(p.root, "mine") {
				a.out.printf("  %s\n", a.out.note.Render("cd "+shellWord(relative(p.dir))))
				next = (&app{}).self() // in there it is found
			}
			a.out.printf("  %s\n", a.out.note.Render(next+" watch"))
			return nil
		},
	}
}

// make writes the program of the beginning, unless there is one.
func (p *place) make() error {
	if inside, err := filepath.Rel(p.root, p.dir); err != nil || strings.HasPrefix(inside, "..") {
		return fmt.Errorf(
			"%s: must be below %s, whose go.mod has the packages that the program needs",
			p.dir,
			p.root,
		)
	}
	if files, err := filepath.Glob(filepath.Join(p.dir, "*.go")); err == nil && len(files) > 0 {
		return fmt.Errorf(
			"%s is there already, and stays as it is (to begin anew: %s reset)",
			relative(files[0]),
			p.self,
		)
	}
	if err := makeDir(p.dir); err != nil {
		return withAdvice(err)
	}
	return writeNew(filepath.Join(p.dir, "main.go"), template)
}

func (a *app) progress() *cli.Command {
	return &cli.Command{
		Name:  "progress",
		Usage: "Show how far you are",
		Description: `Show what is passed, what is next, and how many minutes the plan of the
workshop has for the rest.

  workshop progress`,
		Action: func(_ context.Context, cmd *cli.Command) error {
			if _, err := atMost(cmd, 0); err != nil {
				return err
			}
			p, c, s, err := a.openCourse()
			if err != nil {
				return err
			}
			return a.showProgress(p, c, s)
		},
	}
}

func (a *app) showProgress(p *place, c *course, s state) error {
	out := a.out
	out.printf("%s\n\n", a.bar(c, s, 40))
	left := 0
	for _, l := range c.lessons {
		when, ok := s.Passed[l.key()]
		mark, note := out.faint.Render("·"), ""
		switch why := s.Unchecked[l.key()]; {
		case ok:
			mark, note = out.good.Render("✓"), "passed "+when.Format("2 January 15:04")
		case why != "":
			mark, note = out.faint.Render("-"), "not checked here, "+why
		case slices.Contains(s.Skipped, l.key()):
			note = "left out"
		case slices.Contains(s.Taken, l.key()):
			note = "taken over, not checked yet"
		case l.optional:
			note = "optional"
		}
		if !ok && !l.optional {
			left += l.minutes
		}
		out.printf("  %s %-18s %-40s %s\n", mark, l.key(), l.title, out.faint.Render(note))
	}
	hints := 0
	for _, n := range s.Hints {
		hints += n
	}
	out.printf("\n%s, %s. Program: %s\n", plural(s.Checks, "check"), plural(hints, "hint"),
		relative(p.program(s)))
	if s.Failing != "" {
		out.printf("Broken at the last check: %s\n  %s\n", s.Failing, out.wrap(s.Promise, 2))
	}
	if l, all := c.next(s); !all {
		out.printf(
			"The plan has %d minutes for %s, and %s for all that is left.\n",
			l.minutes,
			l.name(),
			hours(left),
		)
		out.printf("Next, %s: %s\n", l.name(), out.note.Render(a.self()+" check"))
	}
	return nil
}

// hours is a time in words.
func hours(minutes int) string {
	if minutes < 60 {
		return fmt.Sprintf("%d minutes", minutes)
	}
	return fmt.Sprintf("%d h %02d min", minutes/60, minutes%60)
}

// bar shows how many of the steps are passed, and of the chapters.
func (a *app) bar(c *course, s state, width int) string {
	steps, passedSteps, chapters, passedChapters, passed := 0, 0, 0, 0, 0
	before := ""
	for _, l := range c.lessons {
		if l.step != before {
			steps++
			if c.passed(lesson{step: l.step}, s) {
				passedSteps++
			}
		}
		before = l.step
		ok := c.passed(l, s)
		if ok {
			passed++
		}
		if l.chapter != "" {
			chapters++
			if ok {
				passedChapters++
			}
		}
	}
	full := width * passed / len(c.lessons)
	text := fmt.Sprintf("%d of %d steps", passedSteps, steps)
	if passedChapters > 0 {
		text += fmt.Sprintf(", %d of %d chapters", passedChapters, chapters)
	}
	return fmt.Sprintf("[%s%s] %s", a.out.good.Render(strings.Repeat("#", full)),
		a.out.faint.Render(strings.Repeat("-", width-full)), text)
}

func (a *app) reset() *cli.Command {
	return &cli.Command{
		Name:  "reset",
		Usage: "Begin anew, and keep a copy of what there was",
		Description: `Begin anew with the main.go of the start and no progress. All files that were
there are kept, in a directory .workshop/copies/DATE beside the new main.go.

  workshop reset`,
		Action: func(_ context.Context, cmd *cli.Command) error {
			if _, err := atMost(cmd, 0); err != nil {
				return err
			}
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
			a.out.printf(
				"%s is as at the start. What was there is in %s\n",
				relative(filepath.Join(p.dir, "main.go")),
				relative(kept),
			)
			return nil
		},
	}
}

func (a *app) catchup() *cli.Command {
	return &cli.Command{
		Name:      "catchup",
		Usage:     "Take over our program as it is after a step, and keep a copy of yours",
		ArgsUsage: "STEP",
		Description: `Copy the workshop's own program, as it is after STEP or after a chapter of
step 5, into your directory, and go on with what comes after it. All files
that were there are kept, in a directory .workshop/copies/DATE.

  workshop catchup 2
  workshop catchup 5b`,
		ShellComplete: completeLessons,
		Action: func(_ context.Context, cmd *cli.Command) error {
			args, err := atMost(cmd, 1)
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return fmt.Errorf("catchup: up to which step? (%s list)", a.self())
			}
			p, c, s, err := a.openCourse()
			if err != nil {
				return err
			}
			l, err := c.find(args[0])
			if err != nil {
				return err
			}
			parts := c.parts(l)
			l = parts[len(parts)-1]
			files, err := c.stageOf(l)
			if err != nil {
				return err
			}
			if s.Program != "" {
				return fmt.Errorf(
					"catchup: your program is %s, and ours is a Go package (%s check -program %s)",
					relative(s.Program),
					a.self(),
					relative(p.dir),
				)
			}
			kept, err := p.keepFiles(time.Now())
			if err != nil {
				return err
			}
			if err := makeDir(p.dir); err != nil {
				return withAdvice(err)
			}
			for _, name := range slices.Sorted(maps.Keys(files)) {
				if err := writeNew(filepath.Join(p.dir, name), files[name]); err != nil {
					return err
				}
			}
			next, more := c.after(l)
			if _, err := p.change(func(s *state) error {
				s.At = ""
				if more {
					s.At = next.id()
				}
				// What yours kept says nothing about ours, which has all lessons up to this one.
				s.Kept, s.Broken, s.Taken = nil, nil, nil
				for _, taken := range c.lessons[:slices.Index(c.lessons, l)+1] {
					s.Taken = append(s.Taken, taken.key())
				}
				return nil
			}); err != nil {
				return err
			}
			a.out.printf(
				"%s has our program as it is after %s, in %d files.\n",
				relative(p.dir),
				l.name(),
				len(files),
			)
			if kept != "" {
				a.out.printf("What was there is in %s\n", relative(kept))
			}
			if more {
				a.out.printf("Next, %s: %s\n", next.name(), a.out.note.Render(a.self()+" watch"))
			}
			return nil
		},
	}
}

// keepCopy moves all that is in the directory, and the progress, to a directory of its own.
func (p *place) keepCopy(now time.Time) (dir string, err error) {
	entries, err := os.ReadDir(p.dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return "", fmt.Errorf(
			"%s: there is nothing to reset (make it: %s start)",
			relative(p.dir),
			p.self,
		)
	} else if err != nil {
		return "", err
	}
	dir, err = p.moveAway(entries, now)
	if e := os.Rename(p.file("progress.json"), filepath.Join(dir, "progress.json")); !errors.Is(
		e,
		fs.ErrNotExist,
	) {
		err = errors.Join(err, e)
	}
	return dir, err
}

// keepFiles moves all that is in the directory, but not the progress, to a directory of its own, if
// there is anything.
func (p *place) keepFiles(now time.Time) (dir string, err error) {
	entries, err := os.ReadDir(p.dir)
	visible := func(entry os.DirEntry) bool { return !strings.HasPrefix(entry.Name(), ".") }
	if errors.Is(err, fs.ErrNotExist) || err == nil && !slices.ContainsFunc(entries, visible) {
		return "", nil
	} else if err != nil {
		return "", err
	}
	return p.moveAway(entries, now)
}

// moveAway moves entries to a new directory. What begins with a dot is an editor's or git's, and
// stays.
func (p *place) moveAway(entries []os.DirEntry, now time.Time) (dir string, err error) {
	if err := makeDir(p.file("copies")); err != nil {
		return "", withAdvice(err)
	}
	name := p.file("copies/" + now.Format("2006-01-02T15.04.05"))
	dir = name
	for n := 2; ; n++ {
		err := os.Mkdir(dir, 0o755)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrExist) {
			return "", withAdvice(err)
		}
		dir = fmt.Sprint(name, ".", n)
	}
	err = handOver(dir)
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), ".") {
			err = errors.Join(
				err,
				os.Rename(filepath.Join(p.dir, entry.Name()), filepath.Join(dir, entry.Name())),
			)
		}
	}
	return dir, err
}
