//go:build linux

package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/lipgloss"
	"github.com/charmbracelet/x/ansi"

	"container.example/workshop/internal/harness"
)

// pace is how fast a command is typed: readable from the last row.
const pace = 28 * time.Millisecond

// auditorium is the screen of a demonstration: the narration, two panes side by side, what was proven.
type auditorium struct {
	*app
	demo          harness.Demo
	width, height int
	narration     string
	panes         [2][]string // host, container: the lines that were shown
	typing        []rune      // what is still to be typed
	pane          int         // on which it is typed
	proofs        []string    // of this section
	waiting       chan struct{}
	auto          bool
	over          string // the curtain
}

// Messages from the play to the screen.
type (
	tellMsg struct{ narration string }
	typeMsg struct{ cue }
	waitMsg struct{ goOn chan struct{} }
	showMsg struct {
		pane int
		text string
	}
	proofMsg struct{ text string }
	overMsg  struct{ text string }
	tickMsg  struct{}
)

// playScreen plays on a terminal.
func (a *app) playScreen(ctx context.Context, d harness.Demo, auto bool, play func(context.Context, stage) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &auditorium{app: a, demo: d, auto: auto, width: a.out.width, height: 24}
	p := tea.NewProgram(s, tea.WithAltScreen(), tea.WithContext(ctx))
	result := make(chan error, 1)
	go func() {
		err := play(ctx, &screenStage{program: p, app: a, demo: d, auto: auto})
		p.Quit()
		result <- err
	}()
	_, runErr := p.Run()
	cancel()
	err := <-result
	if s.over == "" && (err != nil || runErr != nil) {
		if ctx.Err() != nil && err != errFailed {
			return errQuit
		}
		return err
	}
	a.out.printf("%s\n", s.over)
	return err
}

// screenStage speaks to the screen for the play.
type screenStage struct {
	*app
	program *tea.Program
	demo    harness.Demo
	auto    bool
	proofs  int
	shown   bool // the output of a command, since the last narration
}

// wait waits for the space key, or with -auto for as long as it takes to read.
func (s *screenStage) wait(ctx context.Context, reading time.Duration) error {
	goOn := make(chan struct{})
	s.program.Send(waitMsg{goOn})
	var enough <-chan time.Time
	if s.auto {
		enough = time.After(reading)
	}
	select {
	case <-goOn:
	case <-enough:
		s.program.Send(waitMsg{})
	case <-ctx.Done():
		return errQuit
	}
	return nil
}

func (s *screenStage) before(ctx context.Context, c cue) error {
	if c.narration != "" {
		if s.shown { // let it sink in
			if err := s.wait(ctx, 2*time.Second); err != nil {
				return err
			}
		}
		s.shown = false
		s.program.Send(tellMsg{c.narration})
	}
	if c.command == "" {
		return nil
	}
	s.program.Send(typeMsg{c})
	typed := time.Duration(len([]rune(c.command))) * pace
	return s.wait(ctx, typed+time.Second+time.Duration(len(c.narration))*20*time.Millisecond)
}

func (s *screenStage) after(_ context.Context, c cue, stdout, stderr string) error {
	if c.command != "" && !c.silent {
		pane := 0
		if c.inside {
			pane = 1
		}
		s.shown = true
		s.program.Send(showMsg{pane, strings.TrimRight(stdout+stderr, "\n")})
	}
	if c.proof != "" {
		s.proofs++
		s.program.Send(proofMsg{c.proof})
	}
	return nil
}

func (s *screenStage) end(ctx context.Context, e harness.Event) error {
	s.program.Send(overMsg{s.curtain(s.demo, e, s.proofs)})
	return s.wait(ctx, 2*time.Second)
}

func (s *auditorium) Init() tea.Cmd { return nil }

// Update takes in keys and what the play says.
func (s *auditorium) Update(m tea.Msg) (tea.Model, tea.Cmd) {
	switch m := m.(type) {
	case tea.WindowSizeMsg:
		s.width, s.height = m.Width, m.Height
	case tea.KeyMsg:
		switch m.String() {
		case "q", "ctrl+c", "esc":
			return s, tea.Quit
		case " ", "enter", "right", "pgdown":
			s.typeAll() // whoever is in a hurry need not wait
			if s.waiting != nil {
				close(s.waiting)
				s.waiting = nil
			}
		}
	case tellMsg:
		s.narration, s.proofs = m.narration, nil
	case typeMsg:
		s.pane = 0
		if m.inside {
			s.pane = 1
		}
		s.typing = []rune(m.command)
		s.panes[s.pane] = append(s.panes[s.pane], "# ")
		return s, tick()
	case tickMsg:
		if len(s.typing) > 0 {
			s.put(string(s.typing[:1]))
			s.typing = s.typing[1:]
			return s, tick()
		}
	case waitMsg:
		s.waiting = m.goOn
	case showMsg:
		s.typeAll()
		if m.text != "" {
			s.panes[m.pane] = append(s.panes[m.pane], strings.Split(verbatim(m.text, 200), "\n")...)
		}
	case proofMsg:
		s.proofs = append(s.proofs, m.text)
	case overMsg:
		s.over = m.text
	}
	return s, nil
}

func tick() tea.Cmd { return tea.Tick(pace, func(time.Time) tea.Msg { return tickMsg{} }) }

// put adds to the last line of the pane in which is typed.
func (s *auditorium) put(text string) {
	lines := s.panes[s.pane]
	lines[len(lines)-1] += text
}

func (s *auditorium) typeAll() {
	if len(s.typing) > 0 {
		s.put(string(s.typing))
		s.typing = nil
	}
}

// View draws the stage: in two columns from 80 on, in one below the other if it is narrower.
func (s *auditorium) View() string {
	out := s.out
	width := max(s.width, 20)
	var head, foot []string
	head = append(head, out.bold.Render(fmt.Sprintf("%s: %s", s.demo.Name, s.demo.Title)), "")
	for line := range strings.SplitSeq(ansi.Wrap(s.narration, min(width, 110), ""), "\n") {
		head = append(head, out.note.Render(line))
	}
	head = append(head, "")
	proofs := s.proofs
	if len(proofs) > 4 {
		proofs = proofs[len(proofs)-4:]
	}
	foot = append(foot, "")
	for _, text := range proofs {
		foot = append(foot, out.good.Render("✓ ")+text)
	}
	for len(foot) < 5 {
		foot = append(foot, "")
	}
	keys := "q quit"
	if s.waiting != nil && !s.auto {
		keys = "space goes on   q quit"
	}
	if s.over != "" {
		foot = append(foot, strings.Split(s.over, "\n")...)
	}
	foot = append(foot, out.faint.Render(keys))
	room := max(s.height-len(head)-len(foot), 2)

	columns := 2
	if width < 80 {
		columns = 1
	}
	paneWidth := (width - 3*(columns-1)) / columns
	paneRoom := room
	if columns == 1 {
		paneRoom = room / 2
	}
	var drawn [2]string
	for i, name := range []string{"host", "container"} {
		drawn[i] = s.drawPane(name, s.panes[i], paneWidth, paneRoom)
	}
	body := drawn[0] + "\n" + drawn[1]
	if columns == 2 {
		bar := strings.TrimSuffix(strings.Repeat(out.faint.Render(" │ ")+"\n", paneRoom), "\n")
		body = lipgloss.JoinHorizontal(lipgloss.Top, drawn[0], bar, drawn[1])
	}
	lines := append(head, strings.Split(body, "\n")...)
	lines = append(lines, foot...)
	for i, line := range lines {
		lines[i] = ansi.Truncate(line, width, "…")
	}
	return strings.Join(lines, "\n")
}

// drawPane draws a pane of exactly so many columns and lines: the last ones that fit.
func (s *auditorium) drawPane(name string, lines []string, width, height int) string {
	var wrapped []string
	for _, line := range lines {
		line = strings.ReplaceAll(line, "\t", "    ")
		command := strings.HasPrefix(line, "# ")
		for part := range strings.SplitSeq(ansi.Hardwrap(line, width, true), "\n") {
			if command {
				part = s.out.bold.Render(part)
			}
			wrapped = append(wrapped, part)
		}
	}
	room := max(height-1, 1)
	if len(wrapped) > room {
		wrapped = wrapped[len(wrapped)-room:]
	}
	for len(wrapped) < room {
		wrapped = append(wrapped, "")
	}
	title := s.out.faint.Render(name + " " + strings.Repeat("─", max(width-len(name)-1, 0)))
	all := append([]string{title}, wrapped...)
	for i, line := range all {
		all[i] = line + strings.Repeat(" ", max(width-ansi.StringWidth(line), 0))
	}
	return strings.Join(all, "\n")
}
