//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/urfave/cli/v3"
	"golang.org/x/term"

	"container.example/workshop/internal/harness"
)

func (a *app) watch() *cli.Command {
	var program, wall, name string
	var timeout time.Duration
	return &cli.Command{
		Name:      "watch",
		Usage:     "Check at each save",
		ArgsUsage: "[STEP]",
		Description: `Check your program at each save, and show the first promise that is broken.
What failed the last time is tried first. When a step is passed, the next one
begins; with STEP, go to that step or chapter. Where the output is no
terminal, with -plain and where TERM is dumb, it is plain text.

With -wall your name is on the wall of the room, where all see how far you are.
What is sent is your name, the step, the steps that you have passed, the
promise that is broken, the verdict, and for how long it has been so: nothing
of your program.

  workshop watch
  workshop watch 3
  workshop watch 5d
  workshop watch -wall 192.168.1.5:8080/k7qm -name Anna
  workshop watch | tee log
  NO_COLOR=1 workshop watch`,
		Flags: append(checkFlags(&program, &timeout),
			&cli.StringFlag{
				Name: "wall", Destination: &wall,
				Usage: "the `ADDRESS` of the wall of the room, as workshop wall prints it",
			},
			&cli.StringFlag{
				Name: "name", Destination: &name,
				Usage: "the `NAME` to show on the wall",
			},
		),
		ShellComplete: completeLessons,
		Action: func(ctx context.Context, cmd *cli.Command) error {
			args, err := atMost(cmd, 1)
			if err != nil {
				return err
			}
			c, err := a.checker(program, timeout)
			if err != nil {
				return err
			}
			c.promises = true
			s, err := c.load()
			if err != nil {
				return err
			}
			if _, err := os.Stat(c.program(s)); err != nil {
				_, err := c.build(ctx, s) // which says what to do
				return err
			}
			if len(args) > 0 {
				l, err := c.course.find(args[0])
				if err != nil {
					return err
				}
				if err := c.goTo(l); err != nil {
					return err
				}
			}
			link, err := c.link(wall, name)
			if err != nil {
				return err
			}
			w, err := watchFiles(ctx, c.place, c.program(s))
			if err != nil {
				return err
			}
			if a.out.terminal && term.IsTerminal(int(os.Stdin.Fd())) {
				err = a.watchScreen(ctx, c, w, link)
			} else {
				err = a.watchPlain(ctx, c, c.program(s), w, link)
			}
			return errors.Join(err, c.close())
		},
	}
}

// goTo makes a lesson the one to work on, whatever is passed: of a whole step, its first chapter
// that is not.
func (c *checker) goTo(l lesson) error {
	_, err := c.change(func(s *state) error {
		for _, part := range c.course.parts(l) {
			if l = part; !c.course.passed(part, *s) {
				break
			}
		}
		s.At = l.id()
		return nil
	})
	return err
}

// skip leaves a lesson out for now, and goes on with the next one.
func (c *checker) skip(l lesson) error {
	_, err := c.change(func(s *state) error {
		if !slices.Contains(s.Skipped, l.key()) {
			s.Skipped = append(s.Skipped, l.key())
		}
		s.At = ""
		if next, ok := c.course.after(l); ok && !c.course.passed(next, *s) {
			s.At = next.id()
		}
		return nil
	})
	return err
}

// An editor saves in several steps. After soon without another one the program is compiled, which
// takes a while and can be begun again. After quiet without another one it is a save.
const (
	soon  = 5 * time.Millisecond
	quiet = 40 * time.Millisecond
)

// watcher tells of changes to files (inotify(7)).
type watcher struct {
	place   *place
	notify  *fsnotify.Watcher
	program string         // a directory or a file
	state   string         // the file of the progress
	begins  chan time.Time // the program is being saved, perhaps: it was changed then
	saves   chan time.Time // the program was saved: it was changed last then
	changes chan struct{}  // another command has changed the progress, perhaps
}

// watchFiles watches the program, the progress of the place, and the directories above both: one
// that is removed and made anew is another one to inotify(7).
func watchFiles(ctx context.Context, p *place, program string) (*watcher, error) {
	info, err := os.Stat(program)
	if err != nil {
		return nil, err
	}
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("inotify: %w", err)
	}
	w := &watcher{
		place:   p,
		notify:  notify,
		program: program,
		state:   p.file("progress.json"),
		begins:  make(chan time.Time),
		saves:   make(chan time.Time),
		changes: make(chan struct{}, 1),
	}
	// A directory is watched and not the file: editors replace files.
	dir := program
	if !info.IsDir() {
		dir = filepath.Dir(program)
	}
	for _, d := range []string{filepath.Dir(dir), filepath.Dir(p.dir)} {
		if err := notify.Add(d); err != nil {
			return nil, errors.Join(fmt.Errorf("inotify %s: %w", d, err), notify.Close())
		}
	}
	if err := errors.Join(w.add(dir), w.add(p.dir)); err != nil {
		return nil, errors.Join(err, notify.Close())
	}
	go w.run(ctx, dir)
	return w, nil
}

// add watches a directory and, if that is the program, those below it; and the one of the progress.
func (w *watcher) add(dir string) error {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // gone again
			return nil
		case err != nil || !d.IsDir():
			return err
		case path != dir && strings.HasPrefix(d.Name(), ".") && path != filepath.Dir(w.state):
			return fs.SkipDir
		}
		return w.notify.Add(path)
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// matters tells whether a change may be a save: it may change the program, and was not made by this
// command.
func (w *watcher) matters(e fsnotify.Event, dir string) bool {
	if dir != w.program && !strings.HasSuffix(w.program, ".go") {
		return e.Name == w.program // its x bit matters too
	}
	name := filepath.Base(e.Name)
	return strings.HasPrefix(e.Name, dir+"/") && strings.HasSuffix(name, ".go") &&
		!strings.HasPrefix(name, ".") && e.Op != fsnotify.Chmod && !w.place.given(e.Name)
}

// belongs tells whether a change may be a part of a save that has begun: one of another file that
// the program is compiled from, such as go.mod. It makes no save by itself.
func (w *watcher) belongs(e fsnotify.Event, dir string) bool {
	inside, ok := strings.CutPrefix(e.Name, dir+"/")
	return ok && e.Op != fsnotify.Chmod && !strings.HasSuffix(inside, "~") &&
		!strings.Contains("/"+inside, "/.")
}

func (w *watcher) run(ctx context.Context, dir string) {
	defer w.notify.Close()
	var last time.Time
	var stirred, settled <-chan time.Time
	var begins, saves chan<- time.Time // none while there is nothing to tell
	changed := func() {
		last, stirred, settled = time.Now(), time.After(soon), time.After(quiet)
		begins, saves = nil, nil
	}
	for {
		select {
		case <-w.notify.Errors: // there are too many changes to be told each, mostly
			_ = w.add(dir) // gone, perhaps
			changed()
		case e := <-w.notify.Events:
			made := false
			if e.Op.Has(fsnotify.Create) &&
				(strings.HasPrefix(e.Name, dir) || e.Name == filepath.Dir(w.state)) {
				d, err := os.Stat(e.Name)
				if made = err == nil && d.IsDir(); made {
					_ = w.add(e.Name) // gone again, perhaps
				}
			}
			// What was in a new directory before it was watched makes no event.
			if e.Name == w.state || made {
				select {
				case w.changes <- struct{}{}:
				default: // it is known already
				}
			}
			switch {
			case w.matters(e, dir) || made && e.Name == dir:
				changed()
			case settled != nil && w.belongs(e, dir):
				last = time.Now() // what was compiled since the save began is without it
			}
		case <-stirred:
			stirred, begins = nil, w.begins
		case begins <- last:
			begins = nil
		case <-settled:
			// What begins now would wait for a save that was told already.
			stirred, settled, begins, saves = nil, nil, nil, w.saves
		case saves <- last:
			saves = nil
		case <-ctx.Done():
			return
		}
	}
}

// What happens under watch, in this order: begun, any number of event, and done.
type (
	begun struct {
		lesson  lesson
		scripts []harness.Script
		saved   time.Time
		state   state
		given   []string // files that were copied
		enter   bool     // for the first time
	}
	event struct{ harness.Event }
	done  struct {
		verdict
		took  time.Duration // from the save
		err   error
		state state // after it
	}
)

// checkAtSaves checks now, at each save, when rerun says so, and when another command has chosen
// another lesson, until ctx is done. A save ends the check that is going on. When one begins, the
// program is compiled for it.
func (c *checker) checkAtSaves(ctx context.Context, w *watcher, rerun <-chan time.Time,
	tell func(any),
) {
	defer func() { c.early.drop() }()
	saved := time.Now()
	for {
		round, cancel := context.WithCancel(ctx)
		finished := make(chan struct{})
		last := lesson{} // to work on, as far as this check knows; none if that failed
		go func() {
			defer close(finished)
			err := c.checkOn(round, saved, func(m any) {
				last = c.expected(last, m)
				tell(m)
			})
			if err != nil {
				last = lesson{}
			}
			if err != nil && round.Err() == nil {
				tell(done{err: err})
			}
		}()
		going, saving := finished, false
		for waiting := true; waiting; {
			select {
			case changed := <-w.begins: // its save follows, or that of a later change
				cancel()
				<-finished
				c.early.drop()
				c.early = c.beginBuild(ctx)
				c.early.of = changed
				saving = true
				continue
			case <-w.changes:
				if s, err := c.load(); err == nil { // or it is being removed
					tell(stateMsg{s})
				}
			case <-going:
				going = nil
			case saved = <-w.saves:
				waiting = false
			case saved = <-rerun:
				waiting = false
			case <-ctx.Done():
				waiting = false
			}
			if waiting && going == nil && !saving && c.elsewhere(last) {
				saved, waiting = time.Now(), false
			}
			select {
			case saved = <-rerun: // what a key has chosen is checked once
				waiting = false
			default:
			}
		}
		cancel()
		<-finished
		if ctx.Err() != nil {
			return
		}
	}
}

// expected is the lesson to work on after a check has told something, and last the one before: that
// which is checked. One that is passed though a promise of another lesson is broken stays on the
// screen, with what is told of that, until the next save.
func (c *checker) expected(last lesson, told any) lesson {
	switch m := told.(type) {
	case begun:
		return m.lesson
	case done:
		if m.err == nil && c.course.passed(last, m.state) {
			last, _ = c.course.next(m.state)
		}
	}
	return last
}

// elsewhere tells whether another lesson than the one that was checked last is to be worked on.
func (c *checker) elsewhere(last lesson) bool {
	c.choosing.Lock() // a key that chooses one asks for the check of it as well
	defer c.choosing.Unlock()
	s, err := c.load()
	if err != nil || last == (lesson{}) {
		return false
	}
	l, _ := c.course.next(s)
	return l != last
}

// checkOn checks the lesson that one is working on, and when it is passed, the next one.
func (c *checker) checkOn(ctx context.Context, saved time.Time, tell func(any)) error {
	known := map[string]harness.Event{} // by the lessons before, with the same program
	for {
		s, err := c.load()
		if err != nil {
			return err
		}
		l, all := c.course.next(s)
		enter := !slices.Contains(s.Entered, l.key()) && !all
		if enter {
			if s, err = c.change(func(s *state) error {
				s.Entered = append(s.Entered, l.key())
				return nil
			}); err != nil {
				return err
			}
		}
		given, err := c.course.give(c.place, s, l)
		if err != nil {
			return err
		}
		if b := c.early; b != nil &&
			(!b.of.Equal(saved) || len(given) > 0 || b.source != c.program(s)) {
			c.early = b.drop() // the program is another one now
		}
		tell(begun{l, c.course.promised(l, s), saved, s, given, enter})
		v, err := c.check(ctx, l, known, func(e harness.Event) { tell(event{e}) })
		took := time.Since(saved)
		if err != nil || ctx.Err() != nil {
			return err
		}
		if s, err = c.load(); err != nil {
			return err
		}
		tell(done{v, took, nil, s})
		maps.Copy(known, v.events)
		if v.failure != nil || v.build != nil || all ||
			!c.course.passed(l, s) && s.Unchecked[l.key()] == "" {
			return nil
		}
	}
}

// watchPlain prints the cards and the verdicts as text.
func (a *app) watchPlain(ctx context.Context, c *checker, program string, w *watcher,
	link *wallLink,
) error {
	a.out.printf(
		"Watching %s: save it to have it checked, or press Ctrl-C to end.\n",
		relative(program),
	)
	var mu sync.Mutex // one message at a time
	tell := func(m any) {
		mu.Lock()
		defer mu.Unlock()
		var err error
		switch m := m.(type) {
		case wallMsg:
			a.out.printf("%s\n", m.Text)
		case begun:
			if m.enter {
				a.out.printf("\n")
				err = a.showCard(c.course, m.lesson, isGo(program))
			}
			if len(m.given) > 0 {
				a.out.printf("Copied into your program: %s\n", strings.Join(m.given, ", "))
			}
			at := m.saved.Format("15:04:05")
			a.out.printf("\n%s Checking %s: %s\n", at, m.lesson.name(), m.lesson.title)
		case done:
			err = a.printVerdict(c, m)
		}
		if err != nil {
			a.out.printf("workshop: %v\n", err)
		}
	}
	var background sync.WaitGroup
	background.Go(func() { link.run(ctx, tell) })
	c.checkAtSaves(ctx, w, nil, func(m any) {
		link.tell(m)
		tell(m)
	})
	background.Wait()
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
	if !a.keys { // the head of the screen says so already
		kept, own, _ := a.count(c.course, &d.verdict)
		a.out.printf(
			"%s: %d of %d kept%s (%.1fs)\n",
			capital(d.lesson.name()),
			kept,
			own,
			before(d.keptBefore(d.state)),
			d.took.Seconds(),
		)
	}
	if d.failure != nil {
		return a.explainFailure(c.place, *d.failure)
	}
	return a.congratulate(c, &d.verdict, false)
}
