//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"container.example/workshop/internal/harness"
)

// checker runs the scripts of steps against the program of a place, any number of times.
type checker struct {
	*place
	host    *harness.Host
	second  *harness.Host // for the many scripts of step 5
	timeout time.Duration // for a script; 0 for what suits the step
}

// verdict is the result of one check.
type verdict struct {
	step    string // up to which it was checked
	scripts []harness.Script
	events  map[string]harness.Event // what became of those that were reached
	failure *harness.Event           // the first, if any
	build   *harness.BuildError      // the program does not compile
}

// build makes an executable of the program.
func (c *checker) build(ctx context.Context, s state) (path string, err error) {
	source := c.program(s)
	info, err := os.Stat(source)
	switch missing := c.missing(s); {
	case missing != nil:
		return "", missing
	case err != nil:
		return "", fmt.Errorf("program %q: %w", relative(source), errors.Unwrap(err))
	case !info.IsDir() && !strings.HasSuffix(source, ".go"):
		if info.Mode()&0o111 == 0 {
			return "", fmt.Errorf("program %q: %s", relative(source), notExecutable(source))
		}
		return source, nil
	}
	path = c.file("container")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	return path, harness.Build(ctx, path, source)
}

// notExecutable says what to do about a file without the x bit.
func notExecutable(file string) string {
	start := make([]byte, 4)
	if f, err := os.Open(file); err == nil {
		_, _ = io.ReadFull(f, start) // what is shorter is no program
		f.Close()
	}
	if bytes.HasPrefix(start, []byte("#!")) || string(start) == "\x7fELF" {
		return "not executable (chmod +x)"
	}
	return "not executable (name what your compiler makes of it, or begin a script with #! and chmod +x)"
}

// check builds the program and runs the scripts up to the step, those with the lowest rank first. It keeps the
// progress. Each is called for all that happens on the way.
func (c *checker) check(ctx context.Context, step string, rank func(harness.Script) int, each func(harness.Event)) (v verdict, err error) {
	v = verdict{step: step, events: map[string]harness.Event{}}
	before, err := c.load()
	if err != nil {
		return v, err
	}
	if v.scripts, err = harness.Scripts(c.root, step); err != nil {
		return v, err
	}
	furnished := make(chan error, 1)
	go func() { // takes longer than to build
		var err error
		if c.host == nil {
			c.host, err = harness.NewHost(c.root)
		}
		furnished <- err
	}()
	program, err := c.build(ctx, before)
	hostErr := <-furnished
	if errors.As(err, &v.build) {
		return v, hostErr
	}
	if err := errors.Join(err, hostErr); err != nil {
		return v, err
	}
	slices.SortStableFunc(v.scripts, func(a, b harness.Script) int { return rank(a) - rank(b) })
	for _, scripts := range rounds(v.scripts) {
		o := harness.Options{Program: program, Timeout: c.timeout}
		if o.Timeout == 0 {
			o.Timeout = patience(scripts[0])
		}
		err := c.checkRound(ctx, o, scripts, func(e harness.Event) {
			v.events[e.Script.ID()] = e
			if e.Status == harness.Failed && !e.Script.NotYet() && (v.failure == nil || earlier(scripts, e, *v.failure)) {
				v.failure = &e
			}
			each(e)
		})
		if err != nil {
			return v, err
		}
		if v.failure != nil {
			break
		}
	}
	return v, c.keep(v)
}

// checkRound checks with several hosts at once where that is worth the while: the many scripts of step 5. Those
// of the other steps are few, and some measure how much of the processors a program gets.
func (c *checker) checkRound(ctx context.Context, o harness.Options, scripts []harness.Script, each func(harness.Event)) error {
	if scripts[0].Step < "step5" || len(scripts) < 20 || runtime.NumCPU() < 2 {
		return c.host.Check(ctx, o, scripts, each)
	}
	if c.second == nil {
		var err error
		if c.second, err = harness.NewHost(c.root); err != nil {
			return err
		}
	}
	var mutex sync.Mutex
	first := len(scripts) // the index of the first that failed so far
	errs := make(chan error, 2)
	for n, host := range []*harness.Host{c.host, c.second} {
		var part []harness.Script
		index := map[string]int{}
		for i := n; i < len(scripts); i += 2 {
			part = append(part, scripts[i])
			index[scripts[i].ID()] = i
		}
		go func() {
			over := false
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			err := host.Check(ctx, o, part, func(e harness.Event) {
				mutex.Lock()
				defer mutex.Unlock()
				i := index[e.Script.ID()]
				if i > first { // what comes after a failure is not reached
					over = true
					cancel()
					return
				}
				if e.Status == harness.Failed && !e.Script.NotYet() {
					first = i
				}
				each(e)
			})
			if over && errors.Is(err, context.Canceled) {
				err = nil
			}
			errs <- err
		}()
	}
	return errors.Join(<-errs, <-errs)
}

// earlier tells whether the script of a comes before that of b.
func earlier(scripts []harness.Script, a, b harness.Event) bool {
	index := func(e harness.Event) int {
		return slices.IndexFunc(scripts, func(s harness.Script) bool { return s.ID() == e.Script.ID() })
	}
	return index(a) < index(b)
}

// focus ranks the scripts of the step that one is working on before those of the steps that are passed: a
// mistake in step 3 is explained by a promise of step 3, even if it breaks some of step 1 too.
func (s state) focus(step string) func(harness.Script) int {
	return func(script harness.Script) int {
		switch _, passed := s.Passed[script.Step]; {
		case !passed || script.Step == step:
			return 1
		default:
			return 2
		}
	}
}

// patience is how long a script may take before it counts as hanging: those of the first three steps are
// done in a fraction of a second. Of a slow machine one is told: then, and for the others, it is up to the harness.
func patience(s harness.Script) time.Duration {
	if s.Step < "step4" && os.Getenv(harness.TimeoutEnv) == "" {
		return 10 * time.Second
	}
	return 0
}

// rounds divides scripts where the patience changes.
func rounds(scripts []harness.Script) (all [][]harness.Script) {
	for i, s := range scripts {
		if i == 0 || patience(s) != patience(scripts[i-1]) || (s.Step == "step5-complete") != (scripts[i-1].Step == "step5-complete") {
			all = append(all, nil)
		}
		all[len(all)-1] = append(all[len(all)-1], s)
	}
	return all
}

// keep keeps what a check found out.
func (c *checker) keep(v verdict) error {
	_, err := c.change(func(s *state) error { return s.keep(c.root, v) })
	return err
}

// keep takes in what a check found out.
func (s *state) keep(root string, v verdict) error {
	s.Checks++
	s.Failing, s.Promise, s.Subject = "", "", ""
	if v.failure != nil {
		s.Failing, s.Subject = v.failure.Script.ID(), subject(*v.failure)
		var err error
		if s.Promise, err = v.failure.Script.Promise(v.failure.Line); err != nil {
			return err
		}
	} else {
		steps, err := harness.Steps(root)
		if err != nil {
			return err
		}
		for _, step := range steps {
			if _, ok := s.Passed[step]; ok || step > v.step {
				continue
			}
			if f := v.shortfall(step); f.most() {
				s.Unchecked[step] = strings.Join(f.why, "; ")
				continue
			}
			s.Passed[step] = time.Now().Truncate(time.Second)
			delete(s.Unchecked, step)
		}
	}
	for id, e := range v.events {
		if e.Status == harness.Passed && !e.Script.NotYet() {
			s.Kept[id] = time.Now().Truncate(time.Second)
		}
	}
	return nil
}

// shortfall is how many of the promises of a step itself were not checked, for what the machine or the user lacks.
type shortfall struct {
	own, lacking int
	why          []string // what is lacking
}

// most tells that the step cannot count as passed: the few that were checked may be such as the program of the step before
// keeps too.
func (s shortfall) most() bool { return 2*s.lacking > s.own }

func (v verdict) shortfall(step string) (f shortfall) {
	for _, s := range v.scripts {
		if s.Step != step || s.NotYet() {
			continue
		}
		f.own++
		if e := v.events[s.ID()]; e.Lacking {
			f.lacking++
			if !slices.Contains(f.why, e.Reason) {
				f.why = append(f.why, e.Reason)
			}
		}
	}
	return f
}

func (c *checker) close() error {
	var err error
	for _, host := range []*harness.Host{c.host, c.second} {
		if host != nil {
			err = errors.Join(err, host.Close())
		}
	}
	return err
}

// checkFlags adds the flags of check and watch.
func checkFlags(cmd *cobra.Command, program *string, timeout *time.Duration) {
	cmd.Flags().StringVar(program, "program", "", "an executable in any language, a .go file or a Go package (remembered)")
	cmd.Flags().DurationVar(timeout, "timeout", 0, "how long a script may take (default 10s, from step 4 on 1m)")
}

// checker opens the place, with the program of the flag if there is one.
func (a *app) checker(program string, timeout time.Duration) (*checker, error) {
	p, err := a.open()
	if err != nil {
		return nil, err
	}
	if program != "" {
		if program, err = filepath.Abs(program); err != nil {
			return nil, err
		}
		if program == p.dir {
			program = ""
		}
		_, err := p.change(func(s *state) error {
			if s.Program != program {
				s.Kept = map[string]time.Time{} // by another
			}
			s.Program = program
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return &checker{place: p, timeout: timeout}, nil
}

func (a *app) check() *cobra.Command {
	var program string
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "check [STEP]",
		Short: "Try the promises of the steps on your program",
		Long: `Build your program and run the scripts of the steps up to STEP on a throw-away host: by default up to the first
step that is not passed yet. A line tells what became of each promise; the first that is broken is explained.
The exit status is 0 if all are kept, and 1 if not or if most of those of the step could not be checked here.`,
		Example: `  workshop check
  workshop check 3
  workshop check -program ./my-container.sh 1`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeSteps,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.checker(program, timeout)
			if err != nil {
				return err
			}
			s, err := c.load()
			if err != nil {
				return err
			}
			step, _, err := c.nextStep(s)
			if len(args) > 0 {
				step, err = findStep(c.root, args[0])
			}
			if err != nil {
				return err
			}
			err = a.runCheck(cmd.Context(), c, step)
			return errors.Join(err, c.close())
		},
	}
	checkFlags(cmd, &program, &timeout)
	return cmd
}

// runCheck checks once and prints all of it.
func (a *app) runCheck(ctx context.Context, c *checker, step string) error {
	out := a.out
	s, err := c.load()
	if err != nil {
		return err
	}
	out.printf("Checking %s, step %s: %s\n", out.bold.Render(relative(c.program(s))), number(step), title(c.root, step))
	start := time.Now()
	current := ""
	line := func(e harness.Event) {
		if e.Script.Step != current {
			current = e.Script.Step
			out.printf("\n%s\n", out.faint.Render(current))
		}
		out.printf("%s\n", a.promiseLine(e))
	}
	v, err := c.check(ctx, step, s.focus(step), func(e harness.Event) {
		if e.Status != harness.Started {
			line(e)
		}
	})
	if err != nil {
		return err
	}
	if v.build != nil {
		a.explainBuild(v.build, self()+" check")
		return errFailed
	}
	if s, err = c.load(); err != nil {
		return err
	}
	before := map[string]int{} // those of steps that are passed: how many were not reached is all there is to say
	for _, script := range v.scripts {
		_, passed := s.Passed[script.Step]
		switch _, reached := v.events[script.ID()]; {
		case reached:
		case passed && script.Step != step:
			before[script.Step]++
		default:
			line(harness.Event{Script: script})
		}
	}
	for _, s := range slices.Sorted(maps.Keys(before)) {
		out.printf("\n%s\n  %s not reached %d, of a step that was passed before\n", out.faint.Render(s), out.faint.Render("·"), before[s])
	}
	out.printf("\n%s\n", a.tally(v, time.Since(start)))
	if v.failure != nil {
		if err := a.explainFailure(c.place, *v.failure); err != nil {
			return err
		}
		return errFailed
	}
	if err := a.congratulate(c, v); err != nil {
		return err
	}
	if v.shortfall(step).most() {
		return errFailed
	}
	return nil
}

// promiseLine tells in one line what became of a promise.
func (a *app) promiseLine(e harness.Event) string {
	promise, err := e.Script.Promise(0)
	if err != nil {
		promise = err.Error()
	}
	mark, word := a.mark(e)
	text := fmt.Sprintf("%-24s %s", e.Script.Name, promise)
	if e.Status == harness.Skipped {
		text = fmt.Sprintf("%-24s %s", e.Script.Name, e.Reason)
	}
	return a.out.cut(fmt.Sprintf("  %s %-11s %s", mark, word, text))
}

// mark is a sign for the status, and a word for those who cannot see its colour.
func (a *app) mark(e harness.Event) (sign, word string) {
	out := a.out
	switch {
	case e.Status == harness.Failed && e.Script.NotYet():
		return out.note.Render("»"), "ahead"
	case e.Status == harness.Passed && e.Script.NotYet():
		return out.faint.Render("~"), "not yet"
	case e.Status == harness.Passed:
		return out.good.Render("✓"), "passed"
	case e.Status == harness.Failed:
		return out.bad.Render("✗"), "failed"
	case e.Status == harness.Skipped:
		return out.faint.Render("-"), "skipped"
	}
	return out.faint.Render("·"), "not reached"
}

// tally counts the promises.
func (a *app) tally(v verdict, took time.Duration) string {
	counts := map[string]int{}
	for _, s := range v.scripts {
		e := v.events[s.ID()]
		e.Script = s
		_, word := a.mark(e)
		counts[word]++
	}
	var parts []string
	for _, word := range []string{"passed", "failed", "not reached", "skipped", "not yet", "ahead"} {
		if counts[word] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[word], word))
		}
	}
	return fmt.Sprintf("%s (%.1fs)", strings.Join(parts, ", "), took.Seconds())
}

// explainBuild shows what the compiler says, and what to do next.
func (a *app) explainBuild(b *harness.BuildError, next string) {
	out := a.out
	out.printf("\n%s it does not compile\n\n%s\n", out.bad.Render("✗"), verbatim(buildOutput(b.Source, b.Output), 12))
	out.printf("\nNext: mend the first of these lines, then %s\n", out.note.Render(next))
}

// tellLacking says which promises of a step were not checked, and what to do about it.
func (a *app) tellLacking(v verdict, step string) {
	out := a.out
	f := v.shortfall(step)
	if f.lacking == 0 {
		return
	}
	if f.most() {
		out.printf("\n%s %s\n", out.bad.Render("-"), out.bold.Render(fmt.Sprintf("Step %s does not count as passed by this check: %d of its %d promises could not be checked here.",
			number(step), f.lacking, f.own)))
	} else {
		out.printf("%d of its %d promises could not be checked here.\n", f.lacking, f.own)
	}
	for _, reason := range f.why {
		out.printf("  %s\n", out.wrap(reason, 2))
	}
	if os.Geteuid() != 0 {
		out.printf("As root there is more: %s\n", out.note.Render(`sudo env "PATH=$PATH" `+self()+" check "+number(step)))
	} else {
		out.printf("What this machine lacks: %s\n", out.note.Render(self()+" doctor"))
	}
}

// congratulate says what comes next.
func (a *app) congratulate(c *checker, v verdict) error {
	out := a.out
	s, err := c.load()
	if err != nil {
		return err
	}
	next, all, err := c.nextStep(s)
	if err != nil {
		return err
	}
	steps, err := harness.Steps(c.root)
	if err != nil {
		return err
	}
	for _, step := range steps {
		if step < v.step && s.Unchecked[step] != "" {
			a.tellLacking(v, step)
		}
	}
	if !v.shortfall(v.step).most() {
		out.printf("\n%s %s\n", out.good.Render("✓"), out.bold.Render(fmt.Sprintf("Step %s is passed: %s.", number(v.step), title(c.root, v.step))))
	}
	a.tellLacking(v, v.step)
	if all {
		out.printf("\nThat was the last step: you have built a container runtime. Look at what it makes:\n  %s\n",
			out.note.Render(self()+" inspect -- CONTAINER run CMD"))
		return nil
	}
	out.printf("\nNext, step %s: %s. Read %s, see what it adds, and check at each save:\n  %s\n  %s\n", number(next), title(c.root, next),
		relative(filepath.Join(c.root, next, "README.md")), out.note.Render(self()+" diff "+number(next)), out.note.Render(self()+" watch"))
	return nil
}
