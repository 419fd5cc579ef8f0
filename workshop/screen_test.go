//go:build linux

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/require"

	"container.example/workshop/internal/harness"
)

// screenTest is a screen, and what one does with it.
type screenTest struct {
	*testing.T
	*screen
	p     *place
	rerun chan time.Time
}

func testScreen(t *testing.T) *screenTest {
	root, err := moduleRoot()
	require.NoError(t, err)
	c, err := readCourse(root)
	require.NoError(t, err)
	p := &place{root: root, dir: t.TempDir()}
	s, err := p.load()
	require.NoError(t, err)
	a := &app{dir: p.dir, out: newOutput(&bytes.Buffer{}, false, nil)}
	rerun := make(chan time.Time, 1)
	m := newScreen(t.Context(), a, &checker{place: p, course: c}, s, rerun)
	return &screenTest{t, m, p, rerun}
}

// keyPress is the message of a key: those of letters have a text.
func keyPress(key rune) tea.KeyPressMsg {
	if key < ' ' || key > '~' {
		return tea.KeyPressMsg{Code: key}
	}
	return tea.KeyPressMsg{Code: key, Text: string(key)}
}

// press presses a key, and has the screen take in what comes of it.
func (s *screenTest) press(key rune) {
	s.Helper()
	if _, cmd := s.Update(keyPress(key)); cmd != nil {
		s.Update(cmd())
	}
}

func (s *screenTest) view() string { return ansi.Strip(s.View().Content) }

// row is the line with the text.
func (s *screenTest) row(text string) string {
	for line := range strings.SplitSeq(s.view(), "\n") {
		if strings.Contains(line, text) {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

// begin begins the check of a lesson.
func (s *screenTest) begin(id string, saved time.Time, enter bool) begun {
	l, err := s.c.course.find(id)
	require.NoError(s, err)
	b := begun{
		lesson:  l,
		scripts: s.c.course.promised(l, s.state),
		saved:   saved,
		state:   s.state,
		enter:   enter,
	}
	s.Update(b)
	return b
}

// fail breaks a promise of the lesson.
func (s *screenTest) fail(b begun, script harness.Script) {
	failure := harness.Event{Script: script, Status: harness.Failed, Failure: harness.Failure{
		Line: 5, Message: "no match", Ran: "exec container run printf x",
		Stdout: "a\tb\n" + strings.Repeat("long ", 100),
	}}
	s.Update(event{failure})
	v := verdict{lesson: b.lesson, scripts: b.scripts, events: s.events, failure: &failure}
	s.Update(done{verdict: v, took: 300 * time.Millisecond, state: s.state})
}

// TestScreen sends keys and news to the screen of watch, and reads it.
func TestScreen(t *testing.T) {
	s := testScreen(t)
	s.Update(tea.WindowSizeMsg{Width: 80, Height: 24})
	saved := time.Now()
	b := s.begin("1", saved, false)
	own := s.c.course.own(b.lesson)
	require.Equal(t, strings.Repeat("·", len(own)), s.row("··"))
	require.Contains(t, s.view(), "checking ...")
	s.Update(event{harness.Event{Script: own[0], Status: harness.Passed}})
	s.Update(event{harness.Event{Script: own[1], Status: harness.Started}})
	require.Equal(t, "✓▸"+strings.Repeat("·", len(own)-2), s.row("▸"))
	require.Contains(t, s.view(), "Step 1: 1 of ")

	s.fail(b, own[1])
	require.Contains(t, s.view(), "verdict 0.30 s after the save")
	require.Contains(t, s.view(), "✗ "+own[1].ID())
	require.Equal(t, "✓✗"+strings.Repeat("·", len(own)-2), s.row("✓✗"))

	require.NotContains(t, s.view(), "kept before")
	s.state.Kept[own[2].ID()], s.state.Kept[own[3].ID()] = saved, saved
	s.state.Broken = []string{own[3].ID()}
	require.Contains(t, s.view(), ", 1 kept before  ")
	s.state.Kept, s.state.Broken = map[string]time.Time{}, nil

	// Hints are counted in the file.
	for range 3 {
		s.press('h')
	}
	require.Contains(t, s.view(), "Hint 1 of 3")
	after, err := s.p.load()
	require.NoError(t, err)
	require.Equal(t, 3, after.Hints[own[1].ID()])
	require.Contains(t, s.view(), "more lines")
	s.press(tea.KeySpace)
	require.NotContains(t, s.view(), "Hint 1 of 3")
	s.press('b')
	require.Contains(t, s.view(), "✗ "+own[1].ID())
	s.press('r')
	require.Len(t, s.rerun, 1)
	s.press('r') // one is enough

	// The solution is asked for twice.
	s.press('d')
	require.Contains(t, s.view(), "Press d again")
	s.press('v')
	require.Contains(t, s.view(), "✗ "+own[1].ID())

	// All keys, on a narrow screen too.
	for _, width := range []int{30, 40, 80} {
		s.Update(tea.WindowSizeMsg{Width: width, Height: 24})
		s.press('?')
		for _, keys := range s.keys.FullHelp() {
			for _, k := range keys {
				require.NotEmpty(t, s.row(k.Help().Key+" "), k.Help().Desc)
				require.Contains(t, s.view(), k.Help().Desc)
			}
		}
		require.NotEmpty(t, s.row("↑ ↓"))
		s.press('?')
	}

	for _, size := range []tea.WindowSizeMsg{
		{Width: 40, Height: 12},
		{Width: 40, Height: 20},
		{Width: 80, Height: 24},
		{Width: 200, Height: 60},
	} {
		s.Update(size)
		lines := strings.Split(s.View().Content, "\n")
		require.LessOrEqual(t, len(lines), size.Height)
		for _, line := range lines {
			require.LessOrEqual(t, ansi.StringWidth(line), size.Width, line)
		}
		require.Contains(t, lines[len(lines)-1], "h")
	}
}

// TestScreenCards shows the card of a lesson when it begins and when it is passed.
func TestScreenCards(t *testing.T) {
	s := testScreen(t)
	s.Update(tea.WindowSizeMsg{Width: 80, Height: 40})
	saved := time.Now()
	b := s.begin("1", saved, true)
	require.Contains(t, s.view(), "Goal")
	require.Contains(t, s.view(), "step1-skeleton/README.md")
	s.press(tea.KeyEnter)
	require.NotContains(t, s.view(), "Goal")

	events := map[string]harness.Event{}
	for _, script := range b.scripts {
		events[script.ID()] = harness.Event{Script: script, Status: harness.Passed}
	}
	s.Update(
		done{
			verdict: verdict{lesson: b.lesson, scripts: b.scripts, events: events},
			state:   s.state,
		},
	)
	b = s.begin("2", saved, true)
	require.Contains(t, s.view(), "Step 1 is passed")
	require.Contains(t, s.view(), "Step 2: ")
	require.Contains(t, s.view(), "Type")

	// The verdict of the next one comes behind the card, and the next save shows it.
	s.fail(b, s.c.course.own(b.lesson)[0])
	require.Contains(t, s.view(), "Step 1 is passed")
	s.press('v')
	require.Contains(t, s.view(), "✗ step2")
	s.press('i')
	require.Contains(t, s.view(), "Step 1 is passed")
	b = s.begin("2", saved.Add(time.Second), false)
	s.fail(b, s.c.course.own(b.lesson)[0])
	require.Contains(t, s.view(), "✗ step2")
	require.NotContains(t, s.view(), "is passed")
}

// TestScreenOfOthers requires that a program which is not in Go is shown no Go, and no key for it.
func TestScreenOfOthers(t *testing.T) {
	program := filepath.Join(t.TempDir(), "mine")
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755))
	for of, inGo := range map[string]bool{"": true, program: false} {
		s := testScreen(t)
		s.screen = newScreen(t.Context(), s.app, s.c, state{Program: of}, s.rerun)
		s.Update(tea.WindowSizeMsg{Width: 80, Height: 40})
		s.begin("2", time.Now(), true)
		require.Equal(t, inGo, strings.Contains(s.view(), "Cloneflags"), s.view())
		s.press('?')
		require.Equal(t, inGo, strings.Contains(s.view(), "p plan"), s.view())
		s.press('p')
		require.Equal(t, inGo, strings.Contains(s.view(), "The plan of step 2"), s.view())
	}
}

// TestScreenList goes to another lesson, and leaves one out.
func TestScreenList(t *testing.T) {
	s := testScreen(t)
	s.Update(tea.WindowSizeMsg{Width: 80, Height: 24})
	s.begin("1", time.Now(), false)
	s.press('l')
	require.Contains(t, s.row("you are here"), "▸▸ 1 ")
	s.press(tea.KeyDown)
	s.press(tea.KeyDown)
	s.press(tea.KeyUp)
	require.Regexp(t, "^▸· 2 ", s.row(" 2 "))
	s.press(tea.KeyEnter)
	require.Len(t, s.rerun, 1)
	after, err := s.p.load()
	require.NoError(t, err)
	require.Equal(t, "2", after.At)
	<-s.rerun

	s.begin("2", time.Now(), false)
	s.press('s')
	require.Len(t, s.rerun, 1)
	after, err = s.p.load()
	require.NoError(t, err)
	require.Equal(t, "3", after.At)
	require.Equal(t, []string{"step2-namespaces"}, after.Skipped)

	// What another command changes is seen.
	s.Update(stateMsg{after})
	s.press('l')
	require.Contains(t, s.row(" 2 "), "left out")
}

// TestScreenASCII draws with nothing but ASCII where the locale has no more.
func TestScreenASCII(t *testing.T) {
	t.Setenv("LC_ALL", "C")
	s := testScreen(t)
	b := s.begin("1", time.Now(), true)
	s.fail(b, s.c.course.own(b.lesson)[0])
	for _, key := range "vlc?" {
		s.press(key)
		require.NotRegexp(t, `[^\x00-\x7f]`, s.view())
	}
}

// TestLastWords requires that what is left on the terminal fits into it as it is at the end.
func TestLastWords(t *testing.T) {
	s := testScreen(t)
	b := s.begin("1", time.Now(), true)
	s.fail(b, s.c.course.own(b.lesson)[1])
	for _, width := range []int{80, 46} {
		s.Update(tea.WindowSizeMsg{Width: width, Height: 20})
		for line := range strings.SplitSeq(ansi.Strip(s.lastWords()), "\n") {
			if strings.Contains(line, " ") && !strings.HasPrefix(line, "Next: ") {
				require.LessOrEqual(t, ansi.StringWidth(line), width, line)
			}
		}
	}
}

// TestDumbTerminal requires that a promise is a line of its own where nothing can be drawn, and
// broken at blanks where the terminal has columns.
func TestDumbTerminal(t *testing.T) {
	s := testScreen(t)
	script := s.c.course.own(s.begin("1", time.Now(), true).lesson)[1]
	a := &app{out: newOutput(&bytes.Buffer{}, false, nil)}
	require.NotContains(t, a.promiseLine(harness.Event{Script: script}), "\n")
	a.out.columns, a.out.width = true, 40
	for line := range strings.SplitSeq(a.promiseLine(harness.Event{Script: script}), "\n") {
		require.LessOrEqual(t, ansi.StringWidth(line), 40, line)
	}
}

// TestScreenWhileChecking requires that the screen does not say of a program what was true of the
// one before.
func TestScreenWhileChecking(t *testing.T) {
	s := testScreen(t)
	s.Update(tea.WindowSizeMsg{Width: 40, Height: 20})
	saved := time.Now()
	b := s.begin("1", saved, false)
	own := s.c.course.own(b.lesson)
	s.press('h')
	require.Contains(t, s.view(), "The check is going on")
	failed := &harness.BuildError{Output: "x.go:1:1: no"}
	s.Update(done{verdict: verdict{lesson: b.lesson, build: failed}, state: s.state})
	s.press('h')
	require.Contains(t, s.view(), "It does not compile")
	s.press(tea.KeyEnter)
	require.Contains(t, s.view(), "✗ it does not compile")

	b = s.begin("1", saved.Add(time.Second), false)
	require.Contains(t, s.view(), "✗ it does not compile")
	s.Update(event{harness.Event{Script: own[0], Status: harness.Started}})
	require.NotContains(t, s.view(), "✗ it does not compile")
	require.Contains(t, s.view(), "checking ... "+own[0].Name)
	s.Update(event{harness.Event{Script: own[1], Status: harness.Started}})
	s.fail(b, own[1])
	// The first was ended with the check.
	require.Equal(t, "·✗"+strings.Repeat("·", len(own)-2), s.row("·✗"))

	// The last hint is in sight, in a small window too.
	for _, n := range []string{"1", "2", "3"} {
		s.press('h')
		require.Contains(t, s.view(), "Hint "+n+" of 3")
	}
	s.press(tea.KeyEnter)
	s.begin("1", saved.Add(2*time.Second), false)
	require.Contains(t, s.view(), "checking ...; below: the last verdict")
}
