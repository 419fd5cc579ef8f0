//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"

	"container.example/workshop/internal/harness"
)

// screen is what watch shows on a terminal.
type screen struct {
	*app
	c       *checker
	state   state // as of the last time that it was read
	program string
	rerun   chan<- time.Time
	width   int
	height  int
	now     begun
	events  map[string]harness.Event
	last    done
	running bool
	praise  string // the step that was done just now
	text    string // what is shown below the marks
	top     int    // the first line of the text that is shown
}

// stateMsg tells that the progress was changed, by this command or by another.
type stateMsg struct{ state state }

// watchScreen is watch on a terminal.
func (a *app) watchScreen(ctx context.Context, c *checker, w *watcher) error {
	state, err := c.load()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	rerun := make(chan time.Time, 1)
	s := &screen{app: a, c: c, state: state, program: c.program(state), rerun: rerun, width: a.out.width, height: 24, events: map[string]harness.Event{}}
	p := tea.NewProgram(s, tea.WithAltScreen(), tea.WithContext(ctx))
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		c.checkAtSaves(ctx, either(ctx, w.saves, rerun), func(m any) { p.Send(m) })
	}()
	go func() {
		for {
			select {
			case <-w.changes:
				if s, err := c.load(); err == nil { // or it is being removed
					p.Send(stateMsg{s})
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	_, err = p.Run()
	cancel()
	<-finished
	if err != nil && ctx.Err() != nil {
		err = nil // ended by a signal, or by us
	}
	if err == nil {
		a.out.printf("%s\n", a.bar(s.state, stepsOf(c.root), 40))
	}
	return err
}

// either merges two channels.
func either(ctx context.Context, a, b <-chan time.Time) <-chan time.Time {
	both := make(chan time.Time)
	go func() {
		for {
			var t time.Time
			select {
			case t = <-a:
			case t = <-b:
			case <-ctx.Done():
				return
			}
			select {
			case both <- t:
			case <-ctx.Done():
				return
			}
		}
	}()
	return both
}

func stepsOf(root string) []string {
	steps, _ := harness.Steps(root) // read before without an error
	return steps
}

func (s *screen) Init() tea.Cmd { return nil }

// Update takes in what happened: a key, a change of size, or news from the check.
func (s *screen) Update(m tea.Msg) (tea.Model, tea.Cmd) {
	switch m := m.(type) {
	case tea.WindowSizeMsg:
		s.width, s.height = m.Width, m.Height
		s.show()
	case tea.KeyMsg:
		return s, s.key(m.String())
	case stateMsg:
		s.state = m.state
	case begun:
		if s.now.step != m.step && s.now.step != "" && m.step > s.now.step {
			s.praise = s.now.step
		} else if s.now.saved != m.saved {
			s.praise = ""
		}
		if s.now.saved != m.saved { // else the steps before were passed just now
			s.events = map[string]harness.Event{}
		}
		s.now, s.state, s.running = m, m.state, true
	case event:
		s.events[m.Script.ID()] = m.Event
	case done:
		if m.err == nil && m.build == nil {
			s.state = m.state
		}
		s.last, s.running, s.top = m, false, 0
		s.show()
	}
	return s, nil
}

func (s *screen) key(key string) tea.Cmd {
	page := max(s.height-12, 3)
	switch key {
	case "q", "ctrl+c", "esc":
		return tea.Quit
	case "r", "enter":
		select {
		case s.rerun <- time.Now():
		default:
		}
	case "h":
		if s.running || s.last.failure == nil {
			s.text = "Nothing to hint at: no promise is broken."
			break
		}
		s.top = 0
		s.text = s.print(func(a *app) error { return a.giveHint(s.c.place, s.last.failure.Script) })
	case "d":
		s.top = 0
		s.text = s.print(func(a *app) error { return a.diffMine(s.c.place, s.now.step) })
	case "b", "backspace":
		s.top = 0
		s.show()
	case "down", "j":
		s.top++
	case "up", "k":
		s.top--
	case "pgdown", " ":
		s.top += page
	case "pgup":
		s.top -= page
	}
	s.top = max(0, min(s.top, strings.Count(s.text, "\n")-3))
	return nil
}

// print has a command print into a string.
func (s *screen) print(f func(*app) error) string {
	var b bytes.Buffer
	out := *s.out
	out.Writer, out.width = &b, s.width
	if err := f(&app{dir: s.dir, out: &out, keys: true}); err != nil {
		fmt.Fprintf(&b, "workshop: %v\n", err)
	}
	return strings.Trim(b.String(), "\n")
}

// show puts the verdict on the screen.
func (s *screen) show() {
	if s.last.step == "" && s.last.err == nil {
		return
	}
	s.text = s.print(func(a *app) error { return a.printVerdict(s.c, s.last) })
}

// View draws: the bar, a row of marks for each step, the text, the keys.
func (s *screen) View() string {
	out := s.out
	var b strings.Builder
	fmt.Fprintf(&b, "%s   %s\n\n", s.bar(s.state, stepsOf(s.c.root), min(40, max(s.width-40, 10))), out.faint.Render(relative(s.program)))
	row, rows := "", []string{}
	for i, script := range s.now.scripts {
		switch {
		case i == 0 || script.Step != s.now.scripts[i-1].Step:
			rows = append(rows, row)
			row = fmt.Sprintf("  %-18s ", script.Step)
		case ansi.StringWidth(row) >= s.width-1:
			rows = append(rows, row)
			row = strings.Repeat(" ", 21)
		}
		e := s.events[script.ID()]
		e.Script = script
		mark, _ := s.mark(e)
		if e.Status == harness.Started {
			mark = out.note.Render("▸")
		}
		row += mark
	}
	for _, row := range append(rows, row) {
		if row != "" {
			b.WriteString(row + "\n")
		}
	}
	status := fmt.Sprintf("verdict %.2f s after the save at %s", s.last.took.Seconds(), s.now.saved.Format("15:04:05"))
	if s.running {
		status = fmt.Sprintf("checking step %s: %s ...", number(s.now.step), title(s.c.root, s.now.step))
	}
	fmt.Fprintf(&b, "  %s\n", out.faint.Render(status))
	if s.praise != "" {
		mark, what := "✓", "is passed"
		if s.state.Unchecked[s.praise] != "" {
			mark, what = "-", "cannot be checked here"
		}
		fmt.Fprintf(&b, "  %s\n", out.good.Bold(true).Render(fmt.Sprintf("%s Step %s %s. On with step %s.", mark, number(s.praise), what, number(s.now.step))))
	}
	b.WriteString("\n")
	head := strings.Split(b.String(), "\n")
	room := max(s.height-len(head)-1, 1)
	body := strings.Split(s.text, "\n")
	body = body[min(s.top, len(body)):]
	more := ""
	if len(body) > room {
		more = fmt.Sprintf("  (%d more lines: space)", len(body)-room)
		body = body[:room]
	}
	for len(body) < room {
		body = append(body, "")
	}
	keys := out.faint.Render("h hint  d diff  b back  r rerun  q quit" + more)
	lines := append(head, append(body, keys)...)
	for i, line := range lines {
		lines[i] = ansi.Truncate(strings.ReplaceAll(line, "\t", "    "), s.width, "…")
	}
	return strings.Join(lines, "\n")
}
