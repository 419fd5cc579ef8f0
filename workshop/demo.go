//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v3"
	"golang.org/x/term"
	"golang.org/x/tools/txtar"

	"container.example/workshop/internal/harness"
)

func (a *app) demo() *cli.Command {
	auto, list, rehearse := false, false, false
	return &cli.Command{
		Name:      "demo",
		Usage:     "Play a demonstration on stage: one namespace or limit at a time",
		ArgsUsage: "[NAME | STEP]",
		Description: `Play a demonstration for an audience: what is to be seen is told, each
command is typed and waits for the space key, its output is real, and what it
proves is said after it. Commands on the host are on the left, containers on
the right. The left arrow goes back to what was shown before, and ! opens a
shell on the throw-away host, for questions. Each demonstration is a script
in testdata/demos, which go test runs too: one that is broken is red before
it is on stage. With -rehearse all are played at once, or those of a step, and
a line tells what became of each.

  workshop demo -list
  workshop demo -rehearse
  workshop demo -rehearse 2
  workshop demo uts
  workshop demo 5c           those of a step or a chapter
  workshop demo -auto memory`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "auto", Destination: &auto, Usage: "play through without keys"},
			&cli.BoolFlag{Name: "list", Destination: &list, Usage: "list the demonstrations"},
			&cli.BoolFlag{
				Name:        "rehearse",
				Destination: &rehearse,
				Usage:       "play all of them, or those of a step, one after another",
			},
		},
		ShellComplete: func(_ context.Context, cmd *cli.Command) {
			if root, err := moduleRoot(); err == nil {
				demos, _ := harness.Demos(root)
				for _, d := range demos {
					fmt.Fprintln(cmd.Root().Writer, d.Name)
				}
			}
		},
		Action: func(ctx context.Context, cmd *cli.Command) error {
			args, err := atMost(cmd, 1)
			if err != nil {
				return err
			}
			root, err := moduleRoot()
			if err != nil {
				return err
			}
			demos, err := harness.Demos(root)
			if err != nil {
				return err
			}
			if list || len(args) == 0 && !rehearse {
				return a.listDemos(root, demos)
			}
			chosen, err := a.chooseDemos(root, demos, args)
			if err != nil {
				return err
			}
			h, err := openHouse(root)
			if err != nil {
				return err
			}
			if rehearse {
				return errors.Join(a.rehearse(ctx, h, chosen), h.close())
			}
			for _, d := range chosen {
				if err := a.playDemo(ctx, h, d, auto); err != nil {
					return errors.Join(err, h.close())
				}
			}
			return h.close()
		},
	}
}

// listDemos prints the demonstrations, each with the step or the chapter that it belongs to.
func (a *app) listDemos(root string, demos []harness.Demo) error {
	c, err := readCourse(root)
	if err != nil {
		return err
	}
	for _, d := range demos {
		place := d.Program
		for _, l := range c.lessons {
			card, err := readCard(l)
			if err != nil {
				return err
			}
			if l.step == d.Program && l.chapter != "" && slices.Contains(card.demos(), d.Name) {
				place += " " + l.chapter
			}
		}
		a.out.printf("%-8s %-36s %s\n", d.Name, d.Title, a.out.faint.Render(place))
	}
	return nil
}

// chooseDemos are the demonstration of that name, or those of a lesson; without an argument, all.
func (a *app) chooseDemos(
	root string,
	demos []harness.Demo,
	args []string,
) (chosen []harness.Demo, err error) {
	if len(args) == 0 {
		return demos, nil
	}
	what := args[0]
	names := []string{what}
	c, err := readCourse(root)
	if err != nil {
		return nil, err
	}
	if l, err := c.find(what); err == nil {
		for _, part := range c.parts(l) {
			card, err := readCard(part)
			if err != nil {
				return nil, err
			}
			names = append(names, card.demos()...)
		}
	}
	for _, d := range demos {
		if slices.Contains(names, d.Name) {
			chosen = append(chosen, d)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("demo %q: there is none (%s demo -list)", what, a.self())
	}
	return chosen, nil
}

// rehearse plays demonstrations, whatever becomes of each, and tells it in a line.
func (a *app) rehearse(ctx context.Context, h *house, demos []harness.Demo) error {
	var err error
	for _, d := range demos {
		start := time.Now()
		s := &silentStage{}
		play, playErr := h.prepare(ctx, d)
		if playErr == nil {
			playErr = play(ctx, s)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		out, took := a.out, time.Since(start).Seconds()
		switch e := s.event; {
		case playErr != nil && !errors.Is(playErr, errFailed):
			out.printf("%s %-8s %s\n", out.bad.Render("✗"), d.Name, out.wrap(playErr.Error(), 11))
			err = errFailed
		case e.Status == harness.Passed:
			out.printf(
				"%s %-8s %-36s %d proofs, %.1f s\n",
				out.good.Render("✓"),
				d.Name,
				d.Title,
				s.proofs,
				took,
			)
		case e.Status == harness.Skipped:
			out.printf("- %-8s cannot be shown here: %s\n", d.Name, out.wrap(e.Reason, 11))
		default:
			out.printf("%s\n", a.curtain(d, e, s.proofs))
			err = errFailed
		}
	}
	return err
}

// silentStage shows nothing, and remembers how it ended.
type silentStage struct {
	proofs int
	event  harness.Event
}

func (s *silentStage) before(context.Context, cue) error { return nil }

func (s *silentStage) after(_ context.Context, c cue, _, _ string) error {
	if c.proof != "" {
		s.proofs++
	}
	return nil
}

func (s *silentStage) end(_ context.Context, e harness.Event) error {
	s.event = e
	return nil
}

// A cue is what the stage does for a line of the script.
type cue struct {
	narration string // to be told before it, if it is the first after a comment
	command   string // to be typed
	inside    bool   // it starts a container
	silent    bool   // its output is not shown: it runs in the background
	proof     string // what is proven if the line succeeds
}

// cues reads those of a script, by the numbers of its lines.
func cues(s harness.Script) (map[int]cue, error) {
	archive, err := txtar.ParseFile(s.File)
	if err != nil {
		return nil, err
	}
	all := map[int]cue{}
	var comment []string
	for i, line := range strings.Split(string(archive.Comment), "\n") {
		if text, ok := strings.CutPrefix(line, "#"); ok {
			comment = append(comment, strings.TrimSpace(text))
			continue
		}
		command := parseCommand(line)
		if command.name == "" {
			continue
		}
		c := cue{narration: strings.Join(comment, " ")}
		comment = nil
		switch command.name {
		case "exec", "exits":
			c.command = stageCommand(line)
			c.inside = strings.HasPrefix(c.command, "container run")
			c.silent = strings.HasSuffix(strings.TrimSpace(line), "&")
			if c.silent {
				c.command += " &"
			}
			switch {
			case command.name == "exits" && len(command.args) > 0:
				c.proof = "exit status " + meaning(command.args[0])
			case command.negated && !c.silent:
				c.proof = "it fails, as it should"
			}
		default:
			c.proof = proof(command)
		}
		all[i+1] = c
	}
	return all, nil
}

// stageCommand is a command line as one would type it: a shell takes it apart already.
func stageCommand(line string) string {
	text := commandLine(line)
	if inner, ok := strings.CutPrefix(text, "sh -c '"); ok && strings.HasSuffix(inner, "'") {
		text = strings.ReplaceAll(strings.TrimSuffix(inner, "'"), "''", "'")
		text = strings.TrimPrefix(text, "exec ")
	}
	return strings.ReplaceAll(text, "$WORK/", "")
}

// proof is what an assertion of a script proves, in words; none for what only prepares.
func proof(c command) string {
	last := ""
	if len(c.args) > 0 {
		last = c.args[len(c.args)-1]
	}
	switch {
	case c.name == "stderr" && len(c.args) == 2: // that it is one line
		return ""
	case (c.name == "stdout" || c.name == "stderr") && c.negated && last == ".":
		return "nothing at all"
	case (c.name == "stdout" || c.name == "stderr") && c.negated:
		return "nowhere in it: " + plain(last)
	case c.name == "stdout" || c.name == "stderr":
		if text := plain(last); !strings.ContainsAny(text, `[](|\*+`) {
			return "there it is: " + text
		}
		return "as it should be"
	case c.name == "cmp" && c.negated:
		return "the two differ"
	case c.name == "cmp":
		return "the same as before"
	case c.name == "cgroup" && len(c.args) == 2:
		return fmt.Sprintf("a cgroup has %s in its file %s", c.args[1], c.args[0])
	}
	return ""
}

// plain makes a regular expression readable from the last row.
func plain(re string) string {
	re = strings.NewReplacer("(?m)", "", "(?i)", "", "^", "", "$", "",
		`\s+`, " ", " +", " ", " *", " ", "[0-9]+", "N",
		"[a-z0-9]+", "NAME", "(?:", "(", `\.`, ".").
		Replace(re)
	return strings.TrimSpace(re)
}

// errQuit says that somebody has left the demonstration.
var errQuit = errors.New("the demonstration was left")

// stage is where a demonstration is shown. Both functions return when it is time to go on.
type stage interface {
	before(ctx context.Context, c cue) error // tell and type
	after(ctx context.Context, c cue, stdout, stderr string) error
	end(ctx context.Context, e harness.Event) error
}

// shell makes a command that is a shell on the throw-away host of a demonstration.
type shell func() (*exec.Cmd, error)

// house is where demonstrations are played: a throw-away host, and our steps.
type house struct {
	root     string
	host     *harness.Host
	dir      string
	programs map[string]string // the executable of each step that was built
}

func openHouse(root string) (*house, error) {
	host, err := harness.NewHost(root)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "container-demo-")
	if err != nil {
		return nil, errors.Join(err, host.Close())
	}
	return &house{
		root:     root,
		host:     host,
		dir:      dir,
		programs: map[string]string{},
	}, nil
}

func (h *house) close() error { return errors.Join(h.host.Close(), os.RemoveAll(h.dir)) }

// build makes an executable of a step, unless there is one.
func (h *house) build(ctx context.Context, step string) (program string, err error) {
	if program, ok := h.programs[step]; ok {
		return program, nil
	}
	program = filepath.Join(h.dir, step)
	if err := harness.Build(ctx, program, filepath.Join(h.root, step)); err != nil {
		return "", err
	}
	h.programs[step] = program
	return program, nil
}

// prepare returns a function that plays a demonstration with our own step.
func (h *house) prepare(
	ctx context.Context,
	d harness.Demo,
) (play func(context.Context, stage) error, err error) {
	all, err := cues(d.Script)
	if err != nil {
		return nil, err
	}
	program, err := h.build(ctx, d.Program)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, s stage) error {
		e, err := h.host.Play(
			ctx,
			harness.Options{Program: program, Ours: true},
			d.Script,
			func(m harness.Moment) error {
				c := all[m.Line]
				if m.After {
					return s.after(ctx, c, m.Stdout, m.Stderr)
				}
				return s.before(ctx, c)
			},
		)
		if err != nil {
			return err
		}
		if err := s.end(ctx, e); err != nil {
			return err
		}
		if e.Status == harness.Failed {
			return errFailed
		}
		return nil
	}, nil
}

// playDemo plays a demonstration on the screen, or as text.
func (a *app) playDemo(ctx context.Context, h *house, d harness.Demo, auto bool) error {
	if a.out.terminal {
		a.out.printf("%s: %s ...\r", d.Name, d.Title)
	}
	play, err := h.prepare(ctx, d)
	switch {
	case err != nil:
		return err
	case a.out.terminal && term.IsTerminal(int(os.Stdin.Fd())):
		a.out.printf("%s\r", strings.Repeat(" ", a.out.width-1))
		sh := func() (*exec.Cmd, error) { return h.host.Shell(d.Script) }
		err = a.playScreen(ctx, d, auto, play, sh)
	default:
		err = play(ctx, &textStage{a, d, 0})
	}
	if errors.Is(err, errQuit) {
		err = nil
	}
	return err
}

// textStage shows a demonstration as plain text, without waiting.
type textStage struct {
	*app
	demo   harness.Demo
	proofs int
}

func (s *textStage) before(_ context.Context, c cue) error {
	if c.narration != "" {
		s.out.printf("\n")
		for line := range strings.SplitSeq(s.out.wrap(c.narration, 0), "\n") {
			s.out.printf("%s\n", s.out.note.Render(line))
		}
	}
	if c.command != "" {
		s.out.printf("%s# %s\n", where(c), s.out.bold.Render(c.command))
	}
	return nil
}

func (s *textStage) after(_ context.Context, c cue, stdout, stderr string) error {
	if c.command != "" && !c.silent {
		if text := strings.TrimRight(stdout+stderr, "\n"); text != "" {
			s.out.printf("%s\n", verbatim(text, 20))
		}
	}
	if c.proof != "" {
		s.proofs++
		s.out.printf("%s %s\n", s.out.good.Render("✓"), c.proof)
	}
	return nil
}

func (s *textStage) end(_ context.Context, e harness.Event) error {
	s.out.printf("\n%s\n", s.curtain(s.demo, e, s.proofs))
	return nil
}

// curtain is the last line of a demonstration.
func (a *app) curtain(d harness.Demo, e harness.Event, proofs int) string {
	switch e.Status {
	case harness.Passed:
		return fmt.Sprintf(
			"%s %s: %s. %d times proven.",
			a.out.good.Render("✓"),
			d.Name,
			d.Title,
			proofs,
		)
	case harness.Skipped:
		return fmt.Sprintf("- %s was not shown: %s", d.Name, e.Reason)
	}
	return fmt.Sprintf(
		"%s %s is broken: %s\nTo see why: go test ./%s -run 'TestPromises/demos/^%s$'",
		a.out.bad.Render("✗"),
		d.Name,
		strings.TrimSpace(e.Message+" "+e.Stderr),
		d.Program,
		d.Name,
	)
}

// where is the side on which a command is shown.
func where(c cue) string {
	if c.inside {
		return "container "
	}
	return "host "
}
