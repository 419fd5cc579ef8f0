//go:build linux

package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/stretchr/testify/require"

	"container.example/workshop/internal/harness"
)

// watchedChecker is a checker as watch has it, of a program that does not compile.
func watchedChecker(t *testing.T) *checker {
	root, err := moduleRoot()
	require.NoError(t, err)
	course, err := readCourse(root)
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "mine")
	require.NoError(t, os.Mkdir(dir, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"),
		[]byte("package main\n\nthis is not Go\n"), 0o644))
	c := &checker{place: &place{root: root, dir: dir}, course: course, promises: true}
	t.Cleanup(func() { require.NoError(t, c.close()) })
	return c
}

// TestWatchTriesPromises requires that watch tries all promises of a step and of those before it,
// and nothing else, and that check tries the same before anything else.
func TestWatchTriesPromises(t *testing.T) {
	c := watchedChecker(t)
	s, err := c.load()
	require.NoError(t, err)
	s.Passed = map[string]time.Time{}
	for _, l := range c.course.lessons[:3] {
		s.Passed[l.key()] = time.Now()
	}
	l, err := c.course.find("4")
	require.NoError(t, err)
	tried := c.inOrder(l, s)
	c.promises = false
	all := c.inOrder(l, s)
	for _, script := range all {
		require.Equal(t, !script.NotYet(), slices.Contains(tried, script), script.ID())
	}
	require.Equal(t, tried, all[:len(tried)], "check tries what is not promised last of all")
}

// TestBegins requires that the beginning of a save is told before it, and none after it: watch
// would wait for its save.
func TestBegins(t *testing.T) {
	c := watchedChecker(t)
	w, err := watchFiles(t.Context(), c.place, c.dir)
	require.NoError(t, err)
	// save is one change: a new file takes the place of the old one.
	save := func() {
		file := filepath.Join(c.dir, "main.go")
		require.NoError(t, os.WriteFile(file+".new", []byte("package main\n"), 0o644))
		require.NoError(t, os.Rename(file+".new", file))
	}
	saved := func(begins <-chan time.Time) (began, at time.Time) {
		for {
			select {
			case began = <-begins:
			case at = <-w.saves:
				return began, at
			case <-time.After(patient):
				require.Fail(t, "no save was seen")
			}
		}
	}
	save()
	_, last := saved(nil) // nobody asks when it began
	select {
	case <-w.begins:
		require.Fail(t, "a save begins that was told already")
	case <-time.After(quiet): // for a mistake to show
	}
	for {
		save()
		began, at := saved(w.begins)
		require.True(t, at.After(last))
		if !began.IsZero() { // as it may be where this process had to wait for a processor
			require.Equal(t, at, began)
			return
		}
	}
}

// TestOtherFileInSave requires that what was compiled before another file was changed, of which no
// save is told, is not taken for the save that the change belongs to.
func TestOtherFileInSave(t *testing.T) {
	c := watchedChecker(t)
	w, err := watchFiles(t.Context(), c.place, c.dir)
	require.NoError(t, err)
	const tries = 100 // this process may have to wait for a processor until the save is over
	for range tries {
		require.NoError(t, os.WriteFile(filepath.Join(c.dir, "main.go"), nil, 0o644))
		began, at := time.Time{}, time.Time{}
		for at.IsZero() {
			select {
			case began = <-w.begins:
				require.NoError(t, os.WriteFile(filepath.Join(c.dir, "go.mod"), nil, 0o644))
			case at = <-w.saves:
			}
		}
		if !began.IsZero() && !began.Equal(at) {
			return
		}
	}
	require.Fail(t, "the change of go.mod is never a part of the save")
}

// TestTooManyChanges requires that watch goes on after the kernel had no room for all changes, and
// takes what it missed for a save.
func TestTooManyChanges(t *testing.T) {
	c := watchedChecker(t)
	w, err := watchFiles(t.Context(), c.place, c.dir)
	require.NoError(t, err)
	for range 2 {
		select {
		case w.notify.Errors <- fsnotify.ErrEventOverflow:
		case <-time.After(patient):
			require.Fail(t, "nobody hears of it")
		}
	}
	select {
	case <-w.saves:
	case <-time.After(patient):
		require.Fail(t, "no save was seen")
	}
}

// TestEarlyBuild requires that what was compiled for a save is taken for that one, and for no other
// one.
func TestEarlyBuild(t *testing.T) {
	harness.NeedsGo(t)
	c := watchedChecker(t)
	saved := time.Now()
	output := func(at time.Time) (text string) {
		s, err := c.load()
		require.NoError(t, err)
		ended := make(chan struct{})
		close(ended)
		c.early = &building{
			source: c.program(s),
			of:     at,
			cancel: func() {},
			done:   ended,
			err:    &harness.BuildError{Source: c.dir, Output: "compiled early"},
		}
		require.NoError(t, c.checkOn(t.Context(), saved, func(m any) {
			if d, ok := m.(done); ok {
				require.NotNil(t, d.build)
				text = d.build.Output
			}
		}))
		require.Nil(t, c.early)
		return text
	}
	require.Equal(t, "compiled early", output(saved))
	require.Contains(t, output(saved.Add(-time.Millisecond)), "syntax error")
}

// TestExpected requires that a check which passes its lesson, and finds a promise of another one
// broken, does not make watch go on: nobody else has chosen a lesson.
func TestExpected(t *testing.T) {
	c := watchedChecker(t)
	passed := map[string]time.Time{}
	for _, l := range c.course.lessons[:2] {
		passed[l.key()] = time.Now()
	}
	second, third := c.course.lessons[1], c.course.lessons[2]
	require.Equal(t, second, c.expected(lesson{}, begun{lesson: second}))
	require.Equal(t, second, c.expected(second, done{}))
	require.Equal(t, third, c.expected(second, done{state: state{Passed: passed}}))
	require.Equal(t, second, c.expected(second, done{err: errFailed, state: state{Passed: passed}}))
}

// TestChosenElsewhere requires that watch goes on with the lesson that a command in another
// terminal has chosen, without a key or a save.
func TestChosenElsewhere(t *testing.T) {
	c := watchedChecker(t)
	w, err := watchFiles(t.Context(), c.place, c.dir)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	told := make(chan any, 100)
	var background sync.WaitGroup
	background.Go(func() { c.checkAtSaves(ctx, w, nil, func(m any) { told <- m }) })
	defer background.Wait()
	defer cancel()
	verdict := func(id string) {
		for checked := ""; ; {
			select {
			case m := <-told:
				switch m := m.(type) {
				case begun:
					checked = m.lesson.id()
				case done:
					require.NoError(t, m.err)
					require.Equal(t, id, checked)
					return
				}
			case <-time.After(patient):
				require.Fail(t, "step "+id+" is not checked")
			}
		}
	}
	verdict("1")
	other := &checker{place: &place{root: c.root, dir: c.dir}, course: c.course}
	l, err := c.course.find("1")
	require.NoError(t, err)
	require.NoError(t, other.skip(l))
	verdict("2")
	l, err = c.course.find("5d")
	require.NoError(t, err)
	require.NoError(t, other.goTo(l))
	verdict("5d")
}
