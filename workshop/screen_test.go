//go:build linux

package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/require"

	"container.example/workshop/internal/harness"
)

// TestScreen sends keys and news to the screen of watch, and reads it.
func TestScreen(t *testing.T) {
	root, err := moduleRoot()
	require.NoError(t, err)
	scripts, err := harness.Scripts(root, "step1-skeleton")
	require.NoError(t, err)
	dir := t.TempDir()
	a := &app{dir: dir, out: newOutput(&bytes.Buffer{})}
	p := &place{root: root, dir: dir}
	rerun := make(chan time.Time, 1)
	s := &screen{app: a, c: &checker{place: p}, rerun: rerun, events: map[string]harness.Event{}}
	press := func(key string) { s.Update(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(key)}) }
	row := func(text string) string {
		for line := range strings.SplitSeq(ansi.Strip(s.View()), "\n") {
			if strings.Contains(line, text) {
				return strings.TrimSpace(line)
			}
		}
		return ""
	}

	s.Update(tea.WindowSizeMsg{Width: 80, Height: 24})
	saved := time.Now()
	s.Update(begun{step: "step1-skeleton", scripts: scripts, saved: saved})
	require.Equal(t, "step1-skeleton     ··········", row("step1-skeleton"))
	require.Contains(t, s.View(), "checking step 1")
	s.Update(event{harness.Event{Script: scripts[0], Status: harness.Passed}})
	s.Update(event{harness.Event{Script: scripts[1], Status: harness.Started}})
	require.Equal(t, "step1-skeleton     ✓▸········", row("step1-skeleton"))

	failure := harness.Event{Script: scripts[1], Status: harness.Failed, Failure: harness.Failure{
		Line: 5, Message: "no match", Ran: "exec container run printf x", Stdout: "a\tb\n" + strings.Repeat("long ", 100),
	}}
	s.Update(event{failure})
	v := verdict{step: "step1-skeleton", scripts: scripts, events: s.events, failure: &failure}
	s.Update(done{verdict: v, took: 300 * time.Millisecond})
	require.Contains(t, s.View(), "verdict 0.30 s after the save")
	require.Contains(t, s.View(), "✗ step1-skeleton/arguments")
	require.Equal(t, "step1-skeleton     ✓✗········", row("step1-skeleton "))

	for range 3 {
		press("h")
	}
	require.Contains(t, s.View(), "Hint 1 of 3")
	after, err := p.load()
	require.NoError(t, err)
	require.Equal(t, 3, after.Hints["step1-skeleton/arguments"])
	require.Contains(t, s.View(), "more lines: space")
	press(" ")
	require.NotContains(t, s.View(), "Hint 1 of 3")
	press("b")
	require.Contains(t, s.View(), "✗ step1-skeleton/arguments")
	press("r")
	require.Len(t, rerun, 1)
	press("r") // one is enough

	for _, size := range []tea.WindowSizeMsg{{Width: 40, Height: 12}, {Width: 80, Height: 24}, {Width: 200, Height: 60}} {
		s.Update(size)
		lines := strings.Split(s.View(), "\n")
		require.LessOrEqual(t, len(lines), size.Height)
		for _, line := range lines {
			require.LessOrEqual(t, ansi.StringWidth(line), size.Width, line)
		}
		require.Contains(t, lines[len(lines)-1], "h hint")
	}

	// The same save goes on with the next step, and what was passed stays in sight.
	more, err := harness.Scripts(root, "step2-namespaces")
	require.NoError(t, err)
	s.Update(tea.WindowSizeMsg{Width: 80, Height: 24})
	s.Update(begun{step: "step2-namespaces", scripts: more, saved: saved})
	require.Contains(t, s.View(), "Step 1 is passed")
	require.Equal(t, "step1-skeleton     ✓✗·······", row("step1-skeleton "))
	s.Update(begun{step: "step2-namespaces", scripts: more, saved: saved.Add(time.Second)})
	require.NotContains(t, s.View(), "Step 1 is passed")

	_, quit := s.Update(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("q")})
	require.Equal(t, tea.QuitMsg{}, quit())
}
