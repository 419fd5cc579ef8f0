//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/urfave/cli/v3"

	"container.example/workshop/internal/harness"
	"container.example/workshop/workshop/report"
)

// checker runs the scripts of lessons against the program of a place, any number of times.
type checker struct {
	*place
	course  *course
	host    *harness.Host
	timeout time.Duration // for a script; 0 for what suits the step
	all     bool          // a promise that is broken does not end a check
	// promises tells that nobody looks at the scripts that show what a step does not isolate yet:
	// they are no promises, and none is tried.
	promises bool
	early    *building // for the next check, or nil
	// choosing is held while a key chooses another lesson, until the check of it is asked for.
	choosing sync.Mutex
}

// verdict is the result of one check.
type verdict struct {
	lesson  lesson // up to which it was checked
	scripts []harness.Script
	events  map[string]harness.Event // what became of those that were reached
	failure *harness.Event           // the first, if any
	build   *harness.BuildError      // the program does not compile
	passed  []lesson                 // that were not passed before
}

// build makes an executable of the program, if it is not one.
func (c *checker) build(ctx context.Context, s state) (path string, err error) {
	path, err = c.executable(s)
	if source := c.program(s); err == nil && path != source {
		err = harness.Build(ctx, path, source)
	}
	return path, err
}

// A building is an executable that is being made.
type building struct {
	source string
	of     time.Time // when the source was changed, if the building was begun before the check
	cancel context.CancelFunc
	done   chan struct{} // closed at the end
	err    error         // then
}

// beginBuild begins to make an executable of the program, as it is now.
func (c *checker) beginBuild(ctx context.Context) *building {
	s, err := c.load()
	b := &building{source: c.program(s), done: make(chan struct{}), err: err}
	ctx, b.cancel = context.WithCancel(ctx)
	go func() {
		defer close(b.done)
		if b.err == nil {
			_, b.err = c.build(ctx, s)
		}
	}()
	return b
}

// wait waits for the executable, until ctx is done.
func (b *building) wait(ctx context.Context) error {
	defer b.cancel()
	defer context.AfterFunc(ctx, b.cancel)()
	<-b.done
	return b.err
}

// drop ends a building, if there is one that goes on, and returns nil.
func (b *building) drop() *building {
	if b != nil {
		b.cancel()
		<-b.done
	}
	return nil
}

// executable is where the executable of the program is, or will be when it is built.
func (c *checker) executable(s state) (path string, err error) {
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
	if err := makeDir(filepath.Dir(path)); err != nil {
		return "", withAdvice(err)
	}
	return path, nil
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
	return "not executable (name what your compiler makes of it, or begin a script with #! and " +
		"chmod +x)"
}

// check builds the program and runs the scripts up to a lesson, those with the lowest rank first,
// but not those that the same program is known to keep. It keeps the progress. Each is called for
// all that happens on the way.
func (c *checker) check(
	ctx context.Context,
	l lesson,
	known map[string]harness.Event,
	each func(harness.Event),
) (v verdict, err error) {
	v = verdict{lesson: l, events: map[string]harness.Event{}}
	before, err := c.load()
	if err != nil {
		return v, err
	}
	v.scripts = c.inOrder(l, before)
	program, err := c.executable(before)
	if err != nil {
		return v, err
	}
	b := c.early
	if c.early = nil; b == nil {
		b = c.beginBuild(ctx) // takes as long as to make the hosts
	}
	defer b.drop()
	if c.host == nil {
		if c.host, err = harness.NewHost(c.root); err != nil {
			return v, err
		}
	}
	var open []harness.Script
	for _, script := range v.scripts {
		if e, ok := known[script.ID()]; ok && e.Status == harness.Passed {
			v.events[script.ID()] = e
			each(e)
		} else {
			open = append(open, script)
		}
	}
	o := harness.Options{
		Program:  program,
		Timeout:  c.timeout,
		Patience: patience,
		All:      c.all,
		Hosts:    harness.MostHosts(),
		Built:    func() error { return b.wait(ctx) },
	}
	err = c.host.Check(ctx, o, open, func(e harness.Event) {
		v.events[e.Script.ID()] = e
		if e.Status == harness.Failed && !e.Script.NotYet() &&
			(v.failure == nil || earlier(open, e, *v.failure)) {
			v.failure = &e
		}
		each(e)
	})
	if errors.As(err, &v.build) {
		return v, nil
	}
	if err != nil {
		return v, err
	}
	if v.failure != nil && !c.all {
		// Some that come after it may have been tried.
		for i := len(open) - 1; open[i] != v.failure.Script; i-- {
			delete(v.events, open[i].ID())
		}
	}
	return v, c.keep(&v)
}

// inOrder are the scripts of a lesson in the order in which they are run.
func (c *checker) inOrder(l lesson, s state) []harness.Script {
	scripts := c.course.promised(l, s)
	if c.promises {
		scripts = slices.DeleteFunc(scripts, harness.Script.NotYet)
	}
	slices.SortStableFunc(scripts, func(a, b harness.Script) int {
		return c.rank(a, l, s) - c.rank(b, l, s)
	})
	return scripts
}

// earlier tells whether the script of a comes before that of b.
func earlier(scripts []harness.Script, a, b harness.Event) bool {
	index := func(e harness.Event) int {
		return slices.IndexFunc(
			scripts,
			func(s harness.Script) bool { return s.ID() == e.Script.ID() },
		)
	}
	return index(a) < index(b)
}

// rank puts the scripts into the order in which they are run. First of all, does a command run at
// all? Then what failed the last time, and the scripts of the lessons that one is working on before
// those of the lessons that are passed: a mistake in step 3 is explained by a promise of step 3,
// even if it breaks some of step 1 too. What is not promised yet comes last: no verdict waits for
// it.
func (c *checker) rank(script harness.Script, l lesson, s state) int {
	_, passed := s.Passed[c.course.lessonOf(script).key()]
	switch {
	case script.ID() == c.course.scripts[l.step][0].ID():
		return 0
	case script.ID() == s.Failing:
		return 1
	case script.NotYet():
		return 4
	case !passed || script.Step == l.step && (l.chapter == "" || script.Chapter == l.chapter):
		return 2
	default:
		return 3
	}
}

// patience is how long a script may take before it counts as hanging: those of the first three
// steps are done in a fraction of a second. Of a slow machine one is told: then, and for the
// others, it is up to the harness.
func patience(s harness.Script) time.Duration {
	if s.Step < "step4" && os.Getenv(harness.TimeoutEnv) == "" {
		return 10 * time.Second
	}
	return 0
}

// keep keeps what a check found out, and adds to it the lessons that are passed by it.
func (c *checker) keep(v *verdict) error {
	_, err := c.change(func(s *state) error { return s.keep(c.course, v) })
	return err
}

// keep takes in what a check found out.
func (s *state) keep(c *course, v *verdict) error {
	now := time.Now().Truncate(time.Second)
	s.Checks++
	s.Failing, s.Promise, s.Subject = "", "", ""
	if v.failure != nil {
		s.Failing, s.Subject = v.failure.Script.ID(), subject(*v.failure)
		var err error
		if s.Promise, err = v.failure.Script.Promise(v.failure.Line); err != nil {
			return err
		}
	}
	for id, e := range v.events {
		isThis := func(broken string) bool { return broken == id }
		switch {
		case e.Script.NotYet():
		case e.Status == harness.Passed:
			s.Kept[id] = now
			s.Broken = slices.DeleteFunc(s.Broken, isThis)
		case e.Status == harness.Failed:
			s.Broken = addNew(s.Broken, id)
		}
	}
	for _, l := range c.lessons {
		f := v.shortfall(c, l)
		switch _, ok := s.Passed[l.key()]; {
		case ok || f.own == 0 || f.open > 0 || len(f.unbuilt) > 0:
		case f.most():
			s.Unchecked[l.key()] = strings.Join(f.why, "; ")
		default:
			s.Passed[l.key()] = now
			delete(s.Unchecked, l.key())
			s.Skipped = slices.DeleteFunc(
				s.Skipped,
				func(key string) bool { return key == l.key() },
			)
			v.passed = append(v.passed, l)
		}
	}
	if l := v.lesson; v.failure == nil && s.At == l.id() && len(v.shortfall(c, l).unbuilt) == 0 {
		s.At = "" // on with the lesson after it
		if next, ok := c.after(l); ok && !c.passed(next, *s) && s.Unchecked[next.key()] == "" {
			s.At = next.id()
		}
	}
	return nil
}

// shortfall is what keeps a lesson from being passed by a check.
type shortfall struct {
	own     int      // its promises, as far as they were to be checked
	open    int      // were broken, or not reached
	lacking int      // could not be checked, for what the machine or the user lacks
	why     []string // what is lacking
	unbuilt []string // flags of a chapter that the program does not take yet
	asked   int      // are about flags that the program need not take
	flags   []string // these flags
}

// most tells that the lesson cannot count as passed: the few promises that were checked may be such
// as the program of the lesson before keeps too.
func (s shortfall) most() bool { return 2*s.lacking > s.own }

func (v *verdict) shortfall(c *course, l lesson) (f shortfall) {
	for _, s := range v.scripts {
		if !l.promises(s) {
			continue
		}
		f.own++
		switch e := v.events[s.ID()]; {
		case e.Status == harness.Passed:
		case e.Status != harness.Skipped:
			f.open++
		case e.NotBuilt != "" && l.chapter == "":
			// The article's program does without it.
			f.asked++
			f.flags = addNew(f.flags, "-"+e.NotBuilt)
		case e.NotBuilt != "":
			f.unbuilt = addNew(f.unbuilt, "-"+e.NotBuilt)
		case e.Lacking:
			f.lacking++
			f.why = addNew(f.why, e.Reason)
		}
	}
	return f
}

// addNew adds a text to a list that does not have it yet.
func addNew(list []string, text string) []string {
	if slices.Contains(list, text) {
		return list
	}
	return append(list, text)
}

func (c *checker) close() error {
	if c.host == nil {
		return nil
	}
	return c.host.Close()
}

// checkFlags are the flags of check and watch.
func checkFlags(program *string, timeout *time.Duration) []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{
			Name: "program", Destination: program, TakesFile: true,
			Usage: "an executable in any language, a .go file or a Go package, as `FILE` " +
				"(remembered)",
		},
		&cli.DurationFlag{
			Name: "timeout", Destination: timeout, HideDefault: true,
			Usage: "the `TIME` that a script may take (default 10s, from step 4 on 1m)",
		},
	}
}

// checker opens the place, with the program of the flag if there is one.
func (a *app) checker(program string, timeout time.Duration) (*checker, error) {
	p, err := a.open()
	if err != nil {
		return nil, err
	}
	course, err := readCourse(p.root)
	if err != nil {
		return nil, err
	}
	if program != "" {
		if program, err = filepath.Abs(program); err != nil {
			return nil, err
		}
		if program == p.dir {
			program = ""
		} else if _, err := os.Stat(program); err != nil { // not to be remembered
			return nil, fmt.Errorf("program %q: %w", relative(program), errors.Unwrap(err))
		}
		_, err := p.change(func(s *state) error {
			if s.Program != program {
				s.Kept, s.Broken = map[string]time.Time{}, nil // by another
			}
			s.Program = program
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return &checker{place: p, course: course, timeout: timeout}, nil
}

func (a *app) check() *cli.Command {
	var program string
	var timeout time.Duration
	var to destination
	return &cli.Command{
		Name:      "check",
		Usage:     "Try the promises of the steps on your program",
		ArgsUsage: "[STEP]",
		Description: `Build your program and run the scripts of the steps up to STEP on a
throw-away host: by default up to the first step, or chapter of step 5, that
is not passed yet. A line tells what became of each promise; the first that
is broken is explained. The exit status is 0 if all are kept, and 1 if not or
if most of those of the step could not be checked here.

With -report the results go to a file as well, for a test server or a grader:
JUnit's XML (NAME.xml), TAP (NAME.tap), JSON of our own (NAME.json, see
workshop report), results.json of Gradescope, or result.json of Classroom 50.
All promises are tried then: one that is broken does not keep others from being
counted. A file that cannot be written is an error, with exit status 2, after
the verdict. For Classroom 50 the exit status is 0 even if promises are broken:
its runner reads the score from the file.

  workshop check
  workshop check 3
  workshop check 5c
  workshop check -program ./my-container.sh 1
  workshop check -report anna.json -name Anna 3
  workshop check -report - -format tap 3`,
		Flags:         append(checkFlags(&program, &timeout), to.flags()...),
		ShellComplete: completeLessons,
		Action: func(ctx context.Context, cmd *cli.Command) error {
			args, err := atMost(cmd, 1)
			if err != nil {
				return err
			}
			if err := to.check(); err != nil {
				return err
			}
			if to.file == "-" { // the verdict is for a person
				a.out = newOutput(os.Stderr, true, func() {})
			}
			c, err := a.checker(program, timeout)
			if err != nil {
				return err
			}
			s, err := c.load()
			if err != nil {
				return err
			}
			c.all = to.file != ""
			l, _ := c.course.next(s)
			if len(args) > 0 {
				if l, err = c.course.find(args[0]); err != nil {
					return err
				}
			}
			start := time.Now()
			v, verdict := a.runCheck(ctx, c, l)
			err = c.close()
			if to.file != "" && (verdict == nil || errors.Is(verdict, errFailed)) {
				written := a.write(to, c, &v, start)
				if written != nil || to.format == report.Classroom50 {
					verdict = written
				}
			}
			return errors.Join(verdict, err)
		},
	}
}

// completeLessons completes the name of a step or a chapter.
func completeLessons(_ context.Context, cmd *cli.Command) {
	root, err := moduleRoot()
	if err != nil {
		return
	}
	if c, err := readCourse(root); err == nil {
		for _, l := range c.lessons {
			fmt.Fprintln(cmd.Root().Writer, l.id())
		}
	}
}

// runCheck checks once and prints all of it.
func (a *app) runCheck(ctx context.Context, c *checker, l lesson) (v verdict, err error) {
	out := a.out
	s, err := c.load()
	if err != nil {
		return v, err
	}
	out.printf("Checking %s, %s: %s\n", out.bold.Render(relative(c.program(s))), l.name(), l.title)
	if err := a.tellGiven(c, s, l); err != nil {
		return v, err
	}
	start := time.Now()
	current := ""
	line := func(e harness.Event) {
		if group := c.group(e.Script); group != current {
			current = group
			out.printf("\n%s\n", out.faint.Render(current))
		}
		out.printf("%s\n", a.promiseLine(e))
	}
	// With several hosts they end in another order.
	waiting := c.inOrder(l, s)
	ended := map[string]harness.Event{}
	over := false
	v, err = c.check(ctx, l, nil, func(e harness.Event) {
		if e.Status != harness.Started {
			ended[e.Script.ID()] = e
		}
		for len(waiting) > 0 && !over {
			e, ok := ended[waiting[0].ID()]
			if !ok {
				return
			}
			line(e)
			over = e.Status == harness.Failed && !e.Script.NotYet() && !c.all
			waiting = waiting[1:]
		}
	})
	if err != nil {
		return v, err
	}
	if v.build != nil {
		a.explainBuild(v.build, a.self()+" check")
		return v, errFailed
	}
	if s, err = c.load(); err != nil {
		return v, err
	}
	// Of lessons that are passed it is enough to say how many promises were not reached.
	var earlier []string
	unreached := map[string]int{}
	for _, script := range v.scripts {
		of := c.course.lessonOf(script)
		_, passed := s.Passed[of.key()]
		switch _, reached := v.events[script.ID()]; {
		case reached:
		case passed && of != l && script.Step != l.step:
			if unreached[of.key()]++; unreached[of.key()] == 1 {
				earlier = append(earlier, of.key())
			}
		default:
			line(harness.Event{Script: script})
		}
	}
	for _, key := range earlier {
		out.printf(
			"\n%s\n  %s not reached %d, of a step that was passed before\n",
			out.faint.Render(key),
			out.faint.Render("·"),
			unreached[key],
		)
	}
	out.printf("\n%s\n", a.tally(c.course, &v, s, time.Since(start)))
	if v.failure != nil {
		if err := a.explainFailure(c.place, *v.failure); err != nil {
			return v, err
		}
		return v, errFailed
	}
	if err := a.congratulate(c, &v, true); err != nil {
		return v, err
	}
	for _, part := range c.course.parts(l) {
		if f := v.shortfall(c.course, part); f.most() || len(f.unbuilt) > 0 && !part.optional {
			return v, errFailed
		}
	}
	return v, nil
}

// group is the heading over a script: its step, or its chapter.
func (c *checker) group(s harness.Script) string {
	l := c.course.lessonOf(s)
	if l.chapter == "" {
		return s.Step
	}
	return fmt.Sprintf("%s %s: %s", s.Step, l.chapter, l.title)
}

// tellGiven copies the given files of a chapter, and of the chapters of a step, and says so.
func (a *app) tellGiven(c *checker, s state, l lesson) error {
	for _, part := range c.course.parts(l) {
		names, err := c.course.give(c.place, s, part)
		if err != nil {
			return err
		}
		if len(names) > 0 {
			a.out.printf("%s\n", a.out.wrap("Copied into your program: "+strings.Join(names, ", ")+
				". These are tables that "+part.name()+" uses, and nobody types.", 0))
		}
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
	line := fmt.Sprintf("  %s %-11s %s", mark, word, text)
	if a.out.columns && !a.out.terminal {
		return a.out.wrap(line, 4)
	}
	return a.out.cut(line)
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
	case e.Status == harness.Skipped && e.NotBuilt != "":
		return out.faint.Render("·"), "not built"
	case e.Status == harness.Skipped:
		return out.faint.Render("-"), "skipped"
	}
	return out.faint.Render("·"), "not reached"
}

// keptBefore counts the promises of the lesson that were not reached, and were kept when they were
// tried last. The program was another one then.
func (v *verdict) keptBefore(s state) (n int) {
	for _, script := range v.scripts {
		_, reached := v.events[script.ID()]
		if !reached && v.lesson.promises(script) && s.kept(script) {
			n++
		}
	}
	return n
}

// kept tells whether the program kept a promise when it was tried last.
func (s *state) kept(script harness.Script) bool {
	_, kept := s.Kept[script.ID()]
	return kept && !slices.Contains(s.Broken, script.ID())
}

// before says how many promises were not reached that were kept before, if there are any.
func before(n int) string {
	switch n {
	case 0:
		return ""
	case 1:
		return ", and 1 not reached that was kept before"
	}
	return fmt.Sprintf(", and %d not reached that were kept before", n)
}

// tally counts the promises: those of the lesson first, and then of what was checked besides.
func (a *app) tally(c *course, v *verdict, s state, took time.Duration) string {
	kept, own, counts := a.count(c, v)
	var parts []string
	words := []string{"passed", "failed", "not reached", "skipped", "not built", "not yet", "ahead"}
	for _, word := range words {
		if counts[word] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[word], word))
		}
	}
	return fmt.Sprintf("%s: %d of %d kept%s. In all %s (%.1fs)", capital(v.lesson.name()), kept,
		own, before(v.keptBefore(s)), strings.Join(parts, ", "), took.Seconds())
}

// count counts the promises of the lesson, those of them that are kept, and what became of all.
func (a *app) count(c *course, v *verdict) (kept, own int, counts map[string]int) {
	counts = map[string]int{}
	for _, s := range v.scripts {
		e := v.events[s.ID()]
		e.Script = s
		_, word := a.mark(e)
		counts[word]++
		if v.lesson.promises(s) && !s.Ours() {
			own++
			if word == "passed" {
				kept++
			}
		}
	}
	return kept, own, counts
}

// tellLacking says which promises of a lesson were not checked, and what to do about it.
func (a *app) tellLacking(c *course, v *verdict, l lesson) {
	out := a.out
	f := v.shortfall(c, l)
	if f.asked > 0 {
		out.printf(
			"%s\n",
			out.wrap(
				fmt.Sprintf(
					"There is more to try: %d of its promises are for a program that takes %s, "+
						"as ours "+
						"does. See them: %s check %s",
					f.asked,
					strings.Join(f.flags, " and "),
					a.self(),
					l.id(),
				),
				0,
			),
		)
	}
	if len(f.unbuilt) > 0 {
		out.printf(
			"\n%s %s\n",
			out.bad.Render("-"),
			styled(out.bold, out.wrap(fmt.Sprintf("%s is not built yet: your program does not "+
				"take %s.", capital(l.name()), strings.Join(f.unbuilt, ", ")), 2)),
		)
	}
	if f.lacking == 0 {
		return
	}
	if f.most() {
		out.printf(
			"\n%s %s\n",
			out.bad.Render("-"),
			styled(out.bold, out.wrap(fmt.Sprintf("%s does not count as passed by this "+
				"check: %d of its %d promises could not be checked here.",
				capital(l.name()), f.lacking, f.own), 2)),
		)
	} else {
		out.printf("%d of its %d promises could not be checked here.\n", f.lacking, f.own)
	}
	for _, reason := range f.why {
		out.printf("  %s\n", out.wrap(reason, 2))
	}
	if os.Geteuid() != 0 {
		out.printf(
			"As root there is more: %s\n",
			out.note.Render(`sudo env "PATH=$PATH" `+a.self()+" check "+l.id()),
		)
	} else {
		out.printf("What this machine lacks: %s\n", out.note.Render(a.self()+" doctor"))
	}
}

// congratulate shows the card of what was passed, and with next the one of what comes next.
func (a *app) congratulate(c *checker, v *verdict, next bool) error {
	out := a.out
	s, err := c.load()
	if err != nil {
		return err
	}
	for _, l := range c.course.lessons {
		if s.Unchecked[l.key()] != "" && l.step <= v.lesson.step && l.step != v.lesson.step {
			a.tellLacking(c.course, v, l)
		}
	}
	for _, l := range c.course.parts(v.lesson) {
		if f := v.shortfall(c.course, l); f.own > 0 && f.open == 0 && !f.most() &&
			len(f.unbuilt) == 0 {
			out.printf("\n")
			if err := a.showEnd(c, s, l); err != nil {
				return err
			}
		}
		a.tellLacking(c.course, v, l)
	}
	l, all := c.course.next(s)
	if all {
		out.printf(
			"\n%s\n  %s\n",
			out.wrap(
				"That was the last one: you have built a container runtime. Look at what it makes:",
				0,
			),
			out.note.Render(a.self()+" inspect -- CONTAINER run CMD"),
		)
		if len(s.Skipped) > 0 {
			out.printf(
				"Left out on the way: %s. %s\n",
				strings.Join(s.Skipped, ", "),
				out.note.Render(a.self()+" list"),
			)
		}
		return nil
	}
	if !next {
		return nil
	}
	out.printf("\n")
	inGo := c.isGo(s)
	if err := a.showCard(c.course, l, inGo); err != nil {
		return err
	}
	if !inGo {
		out.printf("\nNext, %s: check at each save:\n  %s\n", l.name(),
			out.note.Render(a.self()+" watch"))
		return nil
	}
	out.printf("\nNext, %s: see what it adds, and check at each save:\n  %s\n  %s\n", l.name(),
		out.note.Render(a.self()+" diff "+l.id()), out.note.Render(a.self()+" watch"))
	return nil
}
