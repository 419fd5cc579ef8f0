//go:build linux

package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"charm.land/bubbles/v2/help"
	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"container.example/workshop/internal/harness"
)

// pace is how fast a command is typed: readable from the last row.
const pace = 28 * time.Millisecond

// auditorium is the screen of a demonstration: the narration, two panes side by side, what was
// proven.
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
	begun         time.Time
	past          []moment // what was shown each time that the stage waited
	back          int      // how far in the past is what is shown: 0 for now
	sh            shell
	shellUsed     bool
	help          help.Model
}

// A moment is what was shown when the stage waited.
type moment struct {
	narration string
	lines     [2]int // how many of each pane
	proofs    []string
}

// The keys of the stage.
var (
	onKey = key.NewBinding(
		key.WithKeys("space", "enter", "right", "pgdown"),
		key.WithHelp("space", "goes on"),
	)
	backKey = key.NewBinding(
		key.WithKeys("left", "backspace", "pgup", "b"),
		key.WithHelp("←", "back"),
	)
	shellKey = key.NewBinding(key.WithKeys("!", "s"), key.WithHelp("!", "shell"))
	quitKey  = key.NewBinding(key.WithKeys("q", "ctrl+c", "esc"), key.WithHelp("q", "quit"))
)

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
	clockMsg struct{}
	backMsg  struct{ err error } // from the shell
)

func newAuditorium(a *app, d harness.Demo, sh shell) *auditorium {
	s := &auditorium{
		app:    a,
		demo:   d,
		width:  a.out.width,
		height: 24,
		begun:  time.Now(),
		sh:     sh,
		help:   help.New(),
	}
	s.help.ShortSeparator = "   "
	s.help.Styles = help.Styles{ShortKey: a.out.note, ShortDesc: a.out.faint}
	return s
}

// playScreen plays on a terminal.
func (a *app) playScreen(
	ctx context.Context,
	d harness.Demo,
	auto bool,
	play func(context.Context, stage) error,
	sh shell,
) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := newAuditorium(a, d, sh)
	s.auto = auto
	p := tea.NewProgram(s, tea.WithContext(ctx))
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

// Init starts the clock.
func (s *auditorium) Init() tea.Cmd { return clock() }

func clock() tea.Cmd { return tea.Tick(time.Second, func(time.Time) tea.Msg { return clockMsg{} }) }

// Update takes in keys and what the play says.
func (s *auditorium) Update(m tea.Msg) (tea.Model, tea.Cmd) {
	switch m := m.(type) {
	case tea.WindowSizeMsg:
		s.width, s.height = m.Width, m.Height
	case clockMsg:
		return s, clock()
	case tea.KeyPressMsg:
		switch {
		case key.Matches(m, quitKey):
			return s, tea.Quit
		case m.String() == "ctrl+z":
			return s, tea.Suspend
		case key.Matches(m, backKey):
			s.back = min(s.back+1, max(len(s.past)-1, 0))
		case key.Matches(m, onKey) && s.back > 0:
			s.back--
		case key.Matches(m, onKey):
			s.typeAll() // whoever is in a hurry need not wait
			if s.waiting != nil {
				close(s.waiting)
				s.waiting = nil
			}
		case key.Matches(m, shellKey) && s.waiting != nil && s.sh != nil && s.over == "":
			cmd, err := s.sh()
			if err != nil {
				s.proofs = append(s.proofs, err.Error())
				break
			}
			s.shellUsed = true
			return s, tea.ExecProcess(cmd, func(err error) tea.Msg { return backMsg{err} })
		}
	case backMsg: // how the shell ended is what was typed into it
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
		if s.waiting = m.goOn; m.goOn != nil {
			lines := [2]int{len(s.panes[0]), len(s.panes[1])}
			s.past = append(s.past, moment{s.narration, lines, s.proofs})
		}
	case showMsg:
		s.typeAll()
		if m.text != "" {
			s.panes[m.pane] = append(s.panes[m.pane], strings.Split(verbatim(m.text, 200), "\n")...)
		}
	case proofMsg:
		s.proofs = append(s.proofs, m.text)
	case overMsg:
		s.over = m.text
		if s.shellUsed && !strings.HasPrefix(ansi.Strip(m.text), "✓") {
			s.over += "\n(A shell was open on this host: what was done in it may be why.)"
		}
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
func (s *auditorium) View() tea.View {
	text := strings.Join(s.draw(), "\n")
	if s.out.ascii {
		text = signs.Replace(text)
	}
	v := tea.NewView(text)
	v.AltScreen = true
	v.WindowTitle = "workshop demo " + s.demo.Name
	return v
}

func (s *auditorium) draw() []string {
	out := s.out
	width := max(s.width, 20)
	narration, panes, proofs := s.narration, s.panes, s.proofs
	if s.back > 0 {
		m := s.past[len(s.past)-1-s.back]
		narration, proofs = m.narration, m.proofs
		for i := range panes {
			panes[i] = panes[i][:m.lines[i]]
		}
	}
	var head, foot []string
	title := out.bold.Render(fmt.Sprintf("%s: %s", s.demo.Name, s.demo.Title))
	elapsed := time.Since(s.begun)
	time := fmt.Sprintf("%d:%02d", int(elapsed.Minutes()), int(elapsed.Seconds())%60)
	if s.back > 0 {
		time = fmt.Sprintf("%d back", s.back)
	}
	title += strings.Repeat(
		" ",
		max(width-ansi.StringWidth(title)-len(time), 1),
	) + out.faint.Render(
		time,
	)
	head = append(head, title, "")
	for line := range strings.SplitSeq(fold(narration, min(width, 110)), "\n") {
		head = append(head, out.note.Render(line))
	}
	head = append(head, "")
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
	var keys []key.Binding
	if s.waiting != nil && !s.auto || s.back > 0 {
		keys = append(keys, onKey)
	}
	if len(s.past) > 1 {
		keys = append(keys, backKey)
	}
	if s.waiting != nil && s.sh != nil && s.over == "" {
		keys = append(keys, shellKey)
	}
	if s.over != "" {
		foot = append(foot, strings.Split(fold(s.over, width), "\n")...)
	}
	foot = append(foot, s.help.ShortHelpView(append(keys, quitKey)))
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
		drawn[i] = s.drawPane(name, panes[i], paneWidth, paneRoom)
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
	return lines
}

// drawPane draws a pane of exactly so many columns and lines: the last ones that fit.
func (s *auditorium) drawPane(name string, lines []string, width, height int) string {
	var wrapped []string
	for _, line := range lines {
		line = strings.ReplaceAll(line, "\t", "    ")
		command := strings.HasPrefix(line, "# ")
		for part := range strings.SplitSeq(fold(line, width), "\n") {
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
