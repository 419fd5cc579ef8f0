//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/urfave/cli/v3"

	"container.example/workshop/internal/harness"
)

func (a *app) attack() *cli.Command {
	program := ""
	return &cli.Command{
		Name:  "attack",
		Usage: "Try all ways out of a container, and count those that are closed",
		Description: `Try the ways out of a container that step 5 closes on a program, each on a
throw-away host, and say which are closed, which are open, and which chapter
closes them. The program is yours, or with -program another one in any
language, one of our steps (4, 5c, runtime), or an engine that is installed
here: bwrap, runc or crun, each started as its users start it, without what
Docker or Flatpak add. The exit status is 0 if no way is open, and 1
otherwise.

  workshop attack
  workshop attack -program 4
  workshop attack -program runc`,
		Flags: []cli.Flag{&cli.StringFlag{
			Name: "program", Destination: &program, TakesFile: true,
			Usage: "what to attack: a `FILE`, a step, runtime, bwrap, runc or crun",
		}},
		Action: func(ctx context.Context, cmd *cli.Command) error {
			if _, err := atMost(cmd, 0); err != nil {
				return err
			}
			p, c, s, err := a.openCourse()
			if err != nil {
				return err
			}
			dir, err := os.MkdirTemp("", "container-attack-")
			if err != nil {
				return err
			}
			t, err := findTarget(ctx, p, c, s, dir, program)
			if err == nil {
				err = a.attackTarget(ctx, c, t, dir)
			}
			return errors.Join(err, os.RemoveAll(dir))
		},
	}
}

// target is what is attacked.
type target struct {
	name string
	file string // the executable
	ours bool
	note string
}

// findTarget finds or builds what is to be attacked, in dir.
func findTarget(
	ctx context.Context,
	p *place,
	c *course,
	s state,
	dir, what string,
) (t target, err error) {
	build := func(source string) error {
		t.file = filepath.Join(dir, "container")
		return harness.Build(ctx, t.file, source)
	}
	if what == "" {
		t.name = relative(p.program(s))
		t.file, err = (&checker{place: p, course: c}).build(ctx, s)
		return t, err
	}
	if engine, ok := engines[what]; ok {
		t = target{name: what, note: engine.note}
		t.file, err = writeAdapter(dir, what)
		return t, err
	}
	if what == harness.Runtime {
		t = target{name: "our runtime", ours: true}
		return t, build(filepath.Join(c.root, harness.Runtime))
	}
	if l, err := c.find(what); err == nil {
		t = target{name: "our " + l.name(), ours: true}
		if l.chapter == "" {
			return t, build(filepath.Join(c.root, l.step))
		}
		files, err := c.stageOf(l)
		if err != nil {
			return t, err
		}
		t.file = filepath.Join(dir, "container")
		return t, withAdvice(harness.BuildFiles(ctx, t.file, filepath.Join(c.root, l.step), files))
	}
	path, err := filepath.Abs(what)
	if err != nil {
		return t, err
	}
	t.name, s.Program = relative(path), path
	if _, err := os.Stat(path); err != nil {
		return t, fmt.Errorf("program %q: %w", what, errors.Unwrap(err))
	}
	if info, _ := os.Stat(path); info.IsDir() || strings.HasSuffix(path, ".go") {
		return t, build(path)
	}
	t.file, err = (&checker{place: p, course: c}).build(ctx, s)
	return t, err
}

// An attempt is what became of a way out.
type attempt struct {
	script  harness.Script
	outcome string // closed, open or untried
	seen    string // the evidence
}

// attackTarget tries all ways out, and prints the score.
func (a *app) attackTarget(ctx context.Context, c *course, t target, dir string) error {
	var ways []harness.Script
	last := c.lessons[len(c.lessons)-1].step
	for _, s := range c.scripts[last] {
		if s.Step == last && s.WayOut() {
			ways = append(ways, s)
		}
	}
	if len(ways) == 0 {
		return fmt.Errorf("attack: %s has no ways out to try", last)
	}
	out := a.out
	out.printf("Attacking %s\n", out.bold.Render(t.name))
	if t.note != "" {
		out.printf("%s\n", styled(out.faint, out.wrap(t.note, 0)))
	}
	if err := runsAtAll(ctx, c, t, dir); err != nil {
		return err
	}
	tries, err := tryAll(ctx, c, t, ways)
	if err != nil {
		return err
	}
	counts := map[string]int{}
	for _, l := range c.lessons {
		var own []attempt
		closed := 0
		for _, way := range ways {
			if c.lessonOf(way) != l {
				continue
			}
			own = append(own, tries[way.ID()])
			counts[tries[way.ID()].outcome]++
			if tries[way.ID()].outcome == "closed" {
				closed++
			}
		}
		if len(own) == 0 {
			continue
		}
		out.printf("\n%s %s\n", out.note.Render(fmt.Sprintf("%s: %s", capital(l.name()), l.title)),
			out.faint.Render(fmt.Sprintf("%d of %d closed", closed, len(own))))
		for _, t := range own {
			if err := a.showTry(t); err != nil {
				return err
			}
		}
	}
	out.printf(
		"\n%s\n",
		out.bold.Render(
			fmt.Sprintf("%d of %d ways out are closed, %d are open, %d could not be tried.",
				counts["closed"], len(ways), counts["open"], counts["untried"]),
		),
	)
	if counts["open"] > 0 {
		return errFailed
	}
	return nil
}

func (a *app) showTry(t attempt) error {
	out := a.out
	promise, err := t.script.Promise(0)
	if err != nil {
		return err
	}
	if rest, ok := strings.CutSuffix(promise, ":"); ok { // and then the script tries it
		promise = rest + "."
	}
	name := strings.TrimPrefix(t.script.Name, "escape-")
	switch t.outcome {
	case "closed":
		out.printf(
			"  %s %-8s %s\n",
			out.good.Render("✓"),
			"closed",
			out.cut(fmt.Sprintf("%-18s %s", name, promise)),
		)
	case "open":
		out.printf("  %s %-8s %-18s %s\n",
			out.bad.Render("✗"), "open", name, out.wrap(promise, 32))
		if t.seen != "" {
			out.printf("%s%s\n", strings.Repeat(" ", 32), styled(out.faint, out.wrap(t.seen, 32)))
		}
	default:
		out.printf("  - %-8s %-18s %s\n", "untried", name, out.wrap(t.seen, 32))
	}
	return nil
}

// control is a script that only runs a command: a program that cannot do this closes no way out.
const control = `rootfs
# A command runs in the container, and what it prints comes out.
exec container run sh -c 'echo here it is'
stdout '^here it is$'
`

// runsAtAll is an error if the program does not run a command.
func runsAtAll(ctx context.Context, c *course, t target, dir string) (err error) {
	script := harness.Script{
		Step: c.lessons[0].step,
		Name: "control",
		File: filepath.Join(dir, "control.txtar"),
	}
	if err := os.WriteFile(script.File, []byte(control), 0o644); err != nil {
		return err
	}
	host, err := harness.NewHost(c.root)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, host.Close()) }()
	var last harness.Event
	o := harness.Options{Program: t.file, Ours: t.ours}
	err = host.Check(ctx, o, []harness.Script{script}, func(e harness.Event) { last = e })
	if err != nil {
		return err
	}
	if last.Status != harness.Passed {
		return fmt.Errorf(
			"%s: it does not run a command, and so there is nothing to attack: %s",
			t.name,
			strings.TrimSpace(verbatim(last.Message+"\n"+last.Stderr, 6)),
		)
	}
	return nil
}

// attackTime is how long a way out may take: the programs of others are of all kinds, and some
// hang.
const attackTime = 20 * time.Second

// tryAll tries the ways out, on two hosts at once.
func tryAll(
	ctx context.Context,
	c *course,
	t target,
	ways []harness.Script,
) (map[string]attempt, error) {
	tries := map[string]attempt{}
	var mutex sync.Mutex
	errs := make(chan error, 2)
	for n := range 2 {
		var part []harness.Script
		for i := n; i < len(ways); i += 2 {
			part = append(part, ways[i])
		}
		go func() {
			host, err := harness.NewHost(c.root)
			if err != nil {
				errs <- err
				return
			}
			// A check ends when the host is broken, which is no end here.
			for len(part) > 0 && err == nil {
				reached := 0
				var current harness.Script
				o := harness.Options{
					Program: t.file,
					Ours:    t.ours,
					Timeout: attackTime,
					All:     true,
				}
				err = host.Check(ctx, o, part, func(e harness.Event) {
					if current = e.Script; e.Status == harness.Started {
						return
					}
					reached++
					mutex.Lock()
					tries[e.Script.ID()] = judge(e)
					mutex.Unlock()
				})
				if err != nil && ctx.Err() == nil && current.Name != "" && reached < len(part) {
					// The attempt has broken the throw-away host: that is out of the container.
					way := part[reached]
					mutex.Lock()
					tries[way.ID()] = attempt{way, "open", "it broke the throw-away host itself"}
					mutex.Unlock()
					reached, err = reached+1, nil
				}
				if reached == 0 && err == nil {
					err = errors.New("throw-away host: no script ran")
				}
				part = part[reached:]
			}
			errs <- errors.Join(err, host.Close())
		}()
	}
	return tries, errors.Join(<-errs, <-errs)
}

// judge tells what a script says about the way out that it tries. A way is closed if the attempt
// failed in the way in which it has to, and open if it did what it should not. A program that did
// not come so far as to try has closed nothing.
func judge(e harness.Event) attempt {
	t := attempt{script: e.Script}
	switch e.Status {
	case harness.Passed:
		t.outcome = "closed"
		return t
	case harness.Skipped:
		t.outcome, t.seen = "untried", e.Reason
		return t
	}
	x, err := explain(e)
	if err != nil {
		t.outcome, t.seen = "untried", err.Error()
		return t
	}
	c := parseCommand(e.Script.Line(e.Line))
	said := strings.TrimSpace(e.Stderr)
	refused := strings.HasPrefix(said, "container: ") || strings.HasPrefix(said, "usage:") ||
		strings.Contains(e.Message, "exit status 125")
	switch {
	case e.Waiting != "":
		t.outcome, t.seen = "untried", x.seen
	case slices.ContainsFunc(e.Left, ofHost):
		t.outcome, t.seen = "open", x.seen
	case len(e.Left) > 0: // by the program, perhaps, and not by the attempt
		t.outcome, t.seen = "untried", x.seen
	case refused, c.name == "exec" && !c.negated, c.name == "exits":
		t.outcome, t.seen = "untried", "the program did not run the attempt: "+verbatim(
			lastLine(said+"\n"+e.Message),
			1,
		)
	case c.name == "stderr" && !c.negated && said != "":
		t.outcome, t.seen = "untried", "the attempt failed, but in another way: "+verbatim(
			lastLine(said),
			1,
		)
	default:
		t.outcome = "open"
		t.seen = verbatim(strings.TrimSpace(e.Ran), 1)
		if line := commandLine(e.Ran); line != "" {
			t.seen = line
		}
		if text := strings.TrimSpace(e.Stdout); text != "" &&
			!slices.Contains([]string{"done"}, text) {
			t.seen += "\n" + verbatim(text, 3)
		}
	}
	return t
}

// ofHost tells whether what is not as it was before belongs to the host, and was not only left
// there.
func ofHost(line string) bool {
	return strings.HasPrefix(line, "gone: ") && !strings.HasPrefix(line, "gone: process ") ||
		strings.HasPrefix(line, "new: mount ")
}

// lastLine is the last line of a text that is not empty.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}
