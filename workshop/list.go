//go:build linux

package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/charmbracelet/x/ansi"
	"github.com/urfave/cli/v3"
)

func (a *app) list() *cli.Command {
	return &cli.Command{
		Name:  "list",
		Usage: "List the steps and chapters, and where you are",
		Description: `List all that there is to build, with its minutes, and what of it you have
passed.

  workshop list
  workshop watch 5d    go to one of them`,
		Action: func(_ context.Context, cmd *cli.Command) error {
			if _, err := atMost(cmd, 0); err != nil {
				return err
			}
			_, c, s, err := a.openCourse()
			if err != nil {
				return err
			}
			if err := a.showList(c, s, -1); err != nil {
				return err
			}
			if l, all := c.next(s); !all {
				a.out.printf("\nYou are at %s: %s\n", l.name(),
					a.out.note.Render(a.self()+" watch"))
			}
			a.out.printf("To go to another: %s\n", a.out.note.Render(a.self()+" watch 3"))
			return nil
		},
	}
}

// openCourse opens the place, and reads the course and the state.
func (a *app) openCourse() (*place, *course, state, error) {
	p, err := a.open()
	if err != nil {
		return nil, nil, state{}, err
	}
	c, err := readCourse(p.root)
	if err != nil {
		return nil, nil, state{}, err
	}
	s, err := p.load()
	return p, c, s, err
}

// openLesson opens all of that, and finds the lesson that the arguments name, or otherwise the
// first that is not passed.
func (a *app) openLesson(args []string) (*place, *course, lesson, error) {
	p, c, s, err := a.openCourse()
	if err != nil {
		return nil, nil, lesson{}, err
	}
	if len(args) > 0 {
		l, err := c.find(args[0])
		return p, c, l, err
	}
	l, _ := c.next(s)
	return p, c, l, nil
}

// showList prints the lessons, a line each, with the cursor at one of them.
func (a *app) showList(c *course, s state, cursor int) error {
	out := a.out
	at, all := c.next(s)
	for i, l := range c.lessons {
		mark, word := out.faint.Render("·"), ""
		_, unchecked := s.Unchecked[l.key()]
		switch {
		case c.passed(l, s):
			mark, word = out.good.Render("✓"), "passed"
		case l == at && !all:
			mark, word = out.note.Render("▸"), "you are here"
		case slices.Contains(s.Skipped, l.key()):
			word = "left out"
		case unchecked:
			mark, word = out.faint.Render("-"), "not checked here"
		case slices.Contains(s.Taken, l.key()):
			word = "taken over"
		case l.optional:
			word = "optional"
		}
		point := " "
		if i == cursor {
			point = out.note.Render("▸")
		}
		line := fmt.Sprintf(
			"%s%s %-3s %-38s %3d min  %s",
			point,
			mark,
			l.id(),
			l.title,
			l.minutes,
			out.faint.Render(word),
		)
		if out.width < 66 {
			title := ansi.Truncate(l.title, max(out.width-15, 8), "…")
			line = fmt.Sprintf(
				"%s%s %-3s %-*s %3d",
				point,
				mark,
				l.id(),
				max(out.width-14, 8),
				title,
				l.minutes,
			)
		}
		if i == cursor {
			line = out.bold.Render(line)
		}
		out.printf("%s\n", line)
	}
	return nil
}

func (a *app) skip() *cli.Command {
	return &cli.Command{
		Name:  "skip",
		Usage: "Leave a step or a chapter out for now",
		Description: `Leave the step or chapter that you are at out for now, and go on with the
next one. What is left out can be gone back to at any time, with watch and
its name.

  workshop skip
  workshop skip 5c`,
		ArgsUsage:     "[STEP]",
		ShellComplete: completeLessons,
		Action: func(_ context.Context, cmd *cli.Command) error {
			args, err := atMost(cmd, 1)
			if err != nil {
				return err
			}
			p, c, s, err := a.openCourse()
			if err != nil {
				return err
			}
			l, all := c.next(s)
			if len(args) > 0 {
				l, err = c.find(args[0])
			} else if all {
				err = fmt.Errorf("skip: all is passed")
			}
			if err != nil {
				return err
			}
			if err := (&checker{place: p, course: c}).skip(l); err != nil {
				return err
			}
			if s, err = p.load(); err != nil {
				return err
			}
			next, _ := c.next(s)
			a.out.printf(
				"%s is left out for now (back to it: %s watch %s). On with %s: %s.\n",
				capital(l.name()),
				a.self(),
				l.id(),
				next.name(),
				next.title,
			)
			return nil
		},
	}
}
