//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"charm.land/bubbles/v2/help"
	"charm.land/bubbles/v2/key"
	"charm.land/bubbles/v2/viewport"
	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"container.example/workshop/internal/harness"
)

// A page is what the lower part of the screen shows.
type page int

const (
	verdictPage page = iota
	cardPage         // of the lesson that begins, below that of the lesson that was passed
	textPage         // a hint, a plan, a difference
	askPage          // whether the solution is to be shown
	listPage         // of the lessons
)

// screen is what watch shows on a terminal. It owns all that it shows: the check sends it messages,
// and what a key changes in the file of the progress comes back as one.
type screen struct {
	*app
	ctx     context.Context // of what a key begins
	compare sync.Mutex      // held while two programs are recorded
	c       *checker
	rerun   chan<- time.Time
	state   state // as of the last time that it was read
	program string
	width   int
	height  int
	now     begun
	events  map[string]harness.Event
	last    done
	running bool
	built   bool    // what is being checked compiles
	wall    wallMsg // what is to be said of the wall
	passed  []done  // by this save
	page    page
	text    string // of the page
	cursor  int    // in the list
	body    viewport.Model
	help    help.Model
	keys    keyMap
}

// keyMap are the keys of watch.
type keyMap struct {
	hint, diff, plan, card, verdict, list, skip, rerun, help, quit, suspend key.Binding
	up, down, choose, back, more, compare, scroll                           key.Binding
}

func newKeyMap() keyMap {
	bind := func(keys, name, does string) key.Binding {
		return key.NewBinding(key.WithKeys(strings.Fields(keys)...), key.WithHelp(name, does))
	}
	return keyMap{
		hint:    bind("h", "h", "hint"),
		diff:    bind("d", "d", "solution"),
		plan:    bind("p", "p", "plan"),
		card:    bind("c i", "c", "card"),
		compare: bind("c", "c", "compare"),
		verdict: bind("v b backspace esc", "v", "verdict"),
		list:    bind("l", "l", "list"),
		skip:    bind("s", "s", "skip"),
		rerun:   bind("r", "r", "rerun"),
		help:    bind("?", "?", "keys"),
		quit:    bind("q ctrl+c", "q", "quit"),
		suspend: bind("ctrl+z", "ctrl+z", "suspend"),
		up:      bind("up k", "↑", "up"),
		down:    bind("down j", "↓", "down"),
		choose:  bind("enter", "enter", "go there"),
		back:    bind("v b backspace esc", "esc", "back"),
		more:    bind("space pgdown", "space", "more"),
		scroll:  bind("up k down j pgup", "↑ ↓", "scroll"),
	}
}

// ShortHelp are the keys in the last line.
func (k keyMap) ShortHelp() []key.Binding {
	return []key.Binding{k.hint, k.compare, k.card, k.list, k.help, k.quit, k.plan, k.diff, k.rerun}
}

// FullHelp are all keys, in columns.
func (k keyMap) FullHelp() [][]key.Binding {
	return [][]key.Binding{
		{
			k.hint,
			k.plan,
			k.diff,
			k.card,
			k.compare,
		},
		{k.verdict, k.rerun, k.list, k.skip},
		{k.more, k.scroll, k.suspend, k.quit, k.help},
	}
}

// allKeys are all keys, in columns that a narrow screen has room for.
func (s *screen) allKeys() string {
	columns := s.keys.FullHelp()
	wide := s.help
	wide.SetWidth(0) // which leaves no column out
	if text := wide.FullHelpView(columns); ansi.StringWidth(text) <= s.width {
		return text
	}
	all := slices.Concat(columns...)
	half := (len(all) + 1) / 2
	return wide.FullHelpView([][]key.Binding{all[:half], all[half:]})
}

// offer lets c compare while a promise is broken; then i shows the card.
func (k *keyMap) offer(compare bool) {
	k.compare.SetEnabled(compare)
	if compare {
		k.card.SetKeys("i")
		k.card.SetHelp("i", "card")
	} else {
		k.card.SetKeys("c", "i")
		k.card.SetHelp("c", "card")
	}
}

// Messages to the screen, besides those of the check.
type (
	stateMsg struct{ state state } // the progress was changed, by this command or by another
	textMsg  struct{ text string } // is to be read
	errMsg   struct{ err error }
)

func newScreen(ctx context.Context, a *app, c *checker, s state,
	rerun chan<- time.Time,
) *screen {
	m := &screen{
		app: a, ctx: ctx, c: c, rerun: rerun, state: s, program: c.program(s),
		width: a.out.width, height: 24,
		events: map[string]harness.Event{},
		body:   viewport.New(),
		help:   help.New(),
		keys:   newKeyMap(),
	}
	m.body.KeyMap = viewport.KeyMap{
		PageDown: m.keys.more,
		PageUp:   key.NewBinding(key.WithKeys("pgup")),
		Up:       m.keys.up,
		Down:     m.keys.down,
	}
	m.keys.offer(false)
	inGo := isGo(m.program)
	m.keys.plan.SetEnabled(inGo)
	m.keys.diff.SetEnabled(inGo)
	if a.out.ascii { // no arrows
		m.keys.up.SetHelp("k", "up")
		m.keys.down.SetHelp("j", "down")
		m.keys.scroll.SetHelp("k j", "scroll")
	}
	m.help.ShortSeparator, m.help.Ellipsis = "  ", ""
	m.help.Styles = help.Styles{
		ShortKey:  a.out.note,
		ShortDesc: a.out.faint,
		FullKey:   a.out.note,
		FullDesc:  a.out.faint,
	}
	return m
}

// watchScreen is watch on a terminal.
func (a *app) watchScreen(ctx context.Context, c *checker, w *watcher, link *wallLink) error {
	s, err := c.load()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	rerun := make(chan time.Time, 1)
	m := newScreen(ctx, a, c, s, rerun)
	p := tea.NewProgram(m, tea.WithContext(ctx))
	var background sync.WaitGroup
	background.Go(func() {
		c.checkAtSaves(ctx, w, rerun, func(m any) {
			link.tell(m)
			p.Send(m)
		})
	})
	background.Go(func() { link.run(ctx, func(m any) { p.Send(m) }) })
	_, err = p.Run()
	cancel()
	background.Wait()
	m.compare.Lock() // a comparison removes its files first, and none begins any longer
	defer m.compare.Unlock()
	if err != nil && ctx.Err() != nil {
		err = nil // ended by a signal, or by us
	}
	if err == nil {
		// What was on the screen is gone with it.
		a.out.printf("%s\n%s\n", a.bar(c.course, m.state, min(20, a.out.width/3)), m.lastWords())
	}
	return err
}

// lastWords is the last verdict, for the terminal on which the screen was.
func (s *screen) lastWords() string {
	if s.last.err == nil && s.last.lesson == (lesson{}) {
		return "Nothing was checked yet."
	}
	var b bytes.Buffer
	out := *s.out
	out.Writer, out.width = &b, s.width // it may have been resized
	if err := (&app{dir: s.dir, out: &out}).printVerdict(s.c, s.last); err != nil {
		return fmt.Sprintf("workshop: %v", err)
	}
	return strings.Trim(b.String(), "\n")
}

// Init does nothing: the check begins by itself.
func (s *screen) Init() tea.Cmd { return nil }

// Update takes in what happened: a key, a change of size, or news from the check.
func (s *screen) Update(m tea.Msg) (tea.Model, tea.Cmd) {
	switch m := m.(type) {
	case tea.WindowSizeMsg:
		s.width, s.height = m.Width, m.Height
		s.show(s.page)
	case tea.KeyPressMsg:
		return s, s.press(m)
	case stateMsg:
		s.state = m.state
		s.show(s.page)
	case textMsg:
		s.text = m.text
		s.show(textPage)
		s.body.GotoTop()
		s.showLastHint()
	case errMsg:
		s.text = fmt.Sprintf("workshop: %v", m.err)
		s.show(textPage)
	case wallMsg:
		s.wall = m
	case begun:
		if s.now.saved != m.saved {
			if !s.wall.Bad { // it was said
				s.wall = wallMsg{}
			}
			s.passed, s.events = nil, map[string]harness.Event{}
			if s.page != listPage {
				s.page = verdictPage
			}
		}
		s.now, s.state, s.running, s.built = m, m.state, true, false
		s.keys.offer(false)
		if m.enter || len(s.passed) > 0 || len(m.given) > 0 {
			s.show(cardPage)
			s.body.GotoTop()
		}
	case event:
		s.events[m.Script.ID()] = m.Event
		if s.built = true; s.page == verdictPage && s.last.build != nil && s.running {
			s.show(verdictPage)
		}
	case done:
		s.running = false
		if m.err == nil {
			s.state = m.state
		}
		s.keys.offer(m.failure != nil)
		if s.last = m; m.err == nil && m.build == nil && m.failure == nil {
			s.passed = append(s.passed, m)
		}
		if s.page == verdictPage {
			s.show(verdictPage)
			s.body.GotoTop()
		}
	default:
		return s, nil
	}
	return s, nil
}

func (s *screen) press(m tea.KeyPressMsg) tea.Cmd {
	k := s.keys
	asked := s.page == askPage
	switch {
	case key.Matches(m, k.quit):
		return tea.Quit
	case key.Matches(m, k.suspend):
		return tea.Suspend
	case s.page == listPage && key.Matches(m, k.up):
		s.cursor = max(s.cursor-1, 0)
		s.show(listPage)
	case s.page == listPage && key.Matches(m, k.down):
		s.cursor = min(s.cursor+1, len(s.c.course.lessons)-1)
		s.show(listPage)
	case s.page == listPage && key.Matches(m, k.choose):
		l := s.c.course.lessons[s.cursor]
		s.page = verdictPage
		return s.then(func() error { return s.c.goTo(l) })
	case key.Matches(m, k.verdict):
		s.show(verdictPage)
		s.body.GotoTop()
	case key.Matches(m, k.rerun), key.Matches(m, k.choose):
		if s.page != verdictPage && key.Matches(m, k.choose) {
			s.show(verdictPage)
			s.body.GotoTop()
			break
		}
		s.again()
	case key.Matches(m, k.hint):
		if s.running || s.last.failure == nil {
			s.text = "Nothing to hint at: no promise is broken."
			switch {
			case s.running:
				s.text = "The check is going on: press h again when there is a verdict."
			case s.last.build != nil:
				s.text = "It does not compile: the verdict (v) says where."
			}
			s.show(textPage)
			break
		}
		script := s.last.failure.Script
		return s.read(func(a *app) error { return a.giveHint(s.c.place, script) })
	case key.Matches(m, k.compare):
		s.text = "Recording your program and ours ..."
		s.show(textPage)
		failure, state := *s.last.failure, s.state
		return s.read(func(a *app) error {
			s.compare.Lock()
			defer s.compare.Unlock()
			if err := s.ctx.Err(); err != nil {
				return err
			}
			return a.comparePromise(s.ctx, s.c, state, failure)
		})
	case key.Matches(m, k.diff) && !asked:
		s.show(askPage)
		s.body.GotoTop()
	case key.Matches(m, k.diff):
		l := s.now.lesson
		return s.read(func(a *app) error { return a.diffMine(s.c.place, s.c.course, l) })
	case key.Matches(m, k.plan):
		l := s.now.lesson
		return s.read(func(a *app) error { return a.showPlan(s.c.course, l, true) })
	case key.Matches(m, k.card):
		s.show(cardPage)
		s.body.GotoTop()
	case key.Matches(m, k.list):
		s.cursor = max(slices.Index(s.c.course.lessons, s.now.lesson), 0)
		s.show(listPage)
	case key.Matches(m, k.skip):
		l := s.now.lesson
		s.page = verdictPage
		return s.then(func() error { return s.c.skip(l) })
	case key.Matches(m, k.help):
		s.help.ShowAll = !s.help.ShowAll
		s.show(s.page)
	default:
		var cmd tea.Cmd
		s.body, cmd = s.body.Update(m)
		return cmd
	}
	return nil
}

// again has the program checked once more.
func (s *screen) again() {
	select {
	case s.rerun <- time.Now():
	default: // it is going to be
	}
}

// then changes the progress, and has the program checked after it.
func (s *screen) then(change func() error) tea.Cmd {
	return func() tea.Msg {
		s.c.choosing.Lock()
		defer s.c.choosing.Unlock()
		if err := change(); err != nil {
			return errMsg{err}
		}
		s.again()
		return nil
	}
}

// read has something printed that takes a while or changes the progress, to be read on a page of
// its own.
func (s *screen) read(print func(*app) error) tea.Cmd {
	out := *s.out
	out.width = s.width
	return func() tea.Msg { return textMsg{s.printOn(&out, print)} }
}

// printOn has a command print into a string.
func (s *screen) printOn(out *output, f func(*app) error) string {
	var b bytes.Buffer
	out.Writer = &b
	if err := f(&app{dir: s.dir, out: out, keys: true}); err != nil {
		fmt.Fprintf(&b, "workshop: %v\n", err)
	}
	return strings.Trim(b.String(), "\n")
}

// print has a command print into a string of the screen's width.
func (s *screen) print(f func(*app) error) string {
	out := *s.out
	out.width = s.width
	return s.printOn(&out, f)
}

// show puts a page on the screen.
func (s *screen) show(p page) {
	s.page = p
	text := s.text
	switch p {
	case verdictPage:
		text = "Checking: the verdict is not there yet."
		switch {
		case s.running && s.built && s.last.build != nil:
			text = "It compiles. " + text
		case s.last.err != nil || s.last.lesson != (lesson{}):
			text = s.print(func(a *app) error { return a.printVerdict(s.c, s.last) })
		}
	case cardPage:
		text = s.print(func(a *app) error {
			for _, d := range s.passed {
				if err := a.congratulate(s.c, &d.verdict, false); err != nil {
					return err
				}
				a.out.printf("\n")
			}
			if len(s.now.given) > 0 {
				a.out.printf(
					"%s\n\n",
					a.out.wrap("Copied into your program: "+strings.Join(s.now.given, ", "), 0),
				)
			}
			return a.showCard(s.c.course, s.now.lesson, isGo(s.program))
		}) + "\n\n" + s.out.faint.Render("enter: the verdict")
	case askPage:
		text = s.print(func(a *app) error {
			a.out.printf("%s\n", a.out.wrap("This shows our whole solution of "+s.now.lesson.name()+
				", as far as yours differs. A hint (h) shows less. Press d again to see it, or "+
				"v to go back.", 0))
			return nil
		})
	case listPage:
		text = s.print(func(a *app) error { return a.showList(s.c.course, s.state, s.cursor) })
	}
	s.body.SetContent(fit(text, s.width))
	s.layout()
	if p == listPage {
		s.body.EnsureVisible(s.cursor, 0, 0)
	}
}

// showLastHint scrolls to the last hint, if it is not in sight.
func (s *screen) showLastHint() {
	for i, line := range slices.Backward(strings.Split(s.body.GetContent(), "\n")) {
		if strings.HasPrefix(ansi.Strip(line), "Hint ") {
			if i+2 >= s.body.Height() { // nor what follows the heading
				s.body.SetYOffset(i)
			}
			return
		}
	}
}

// fit breaks lines that are longer than the screen is wide. What comes of a line is indented as the
// line is.
func fit(text string, width int) string {
	lines := strings.Split(strings.ReplaceAll(text, "\t", "    "), "\n")
	for i, line := range lines {
		if ansi.StringWidth(line) <= width {
			continue
		}
		plain := ansi.Strip(line)
		indent := len(plain) - len(strings.TrimLeft(plain, " +-/"))
		if indent > 0 { // code, and not a sentence
			indent = min(indent+2, width/2)
		}
		lines[i] = strings.ReplaceAll(
			fold(line, max(width-indent, 8)),
			"\n",
			"\n"+strings.Repeat(" ", indent),
		)
	}
	return strings.Join(lines, "\n")
}

// layout gives the body the room that the head and the keys leave.
func (s *screen) layout() {
	s.help.SetWidth(s.width)
	s.body.SetWidth(s.width)
	s.body.SetHeight(max(s.height-len(s.head())-len(s.foot()), 1))
}

// head are the lines above the body: how far one is, and a mark for each promise of the lesson.
func (s *screen) head() (lines []string) {
	out := s.out
	bar := s.bar(s.c.course, s.state, min(20, max(s.width/4, 8)))
	if name := relative(s.program); ansi.StringWidth(bar)+len(name)+3 <= s.width {
		bar += strings.Repeat(" ", s.width-ansi.StringWidth(bar)-len(name)) + out.faint.Render(name)
	}
	lines = append(lines, bar)
	if s.now.lesson == (lesson{}) {
		return append(lines, "")
	}
	own, kept, earlier, marks, trying := 0, 0, 0, []string{}, []string{}
	for _, script := range s.now.scripts {
		l := s.c.course.lessonOf(script)
		e := s.events[script.ID()]
		e.Script = script
		switch {
		case l == s.now.lesson && script.NotYet():
		case l == s.now.lesson:
			if !script.Ours() {
				own++
			}
			mark, word := s.mark(e)
			if e.Status == harness.Started {
				mark = out.note.Render("▸")
				if trying = append(trying, script.Name); !s.running { // it was ended with the check
					mark = out.faint.Render("·")
				}
			}
			if word == "passed" {
				kept++
			} else if e.Status == "" && !s.running && s.state.kept(script) {
				earlier++
			}
			marks = append(marks, mark)
		}
	}
	heading := fmt.Sprintf("%s: %d of %d", capital(s.now.lesson.name()), kept, own)
	if earlier > 0 { // the rest of the sentence would not fit
		heading += fmt.Sprintf(", %d kept before", earlier)
	}
	lines = append(
		lines,
		ansi.Truncate(out.bold.Render(heading)+"  "+s.now.lesson.title, s.width, "…"),
	)
	for part := range slices.Chunk(marks, max(s.width-2, 1)) {
		lines = append(lines, "  "+strings.Join(part, ""))
	}
	took, at := s.last.took.Seconds(), s.now.saved.Format("15:04:05")
	status := fmt.Sprintf("verdict %.2f s after the save at %s", took, at)
	if s.width < 52 {
		status = fmt.Sprintf("%.2f s, saved at %s", took, at)
	}
	if s.running {
		status = "checking ..."
		if len(trying) > 0 {
			status = "checking ... " + trying[0]
		}
		if s.page == verdictPage && s.last.failure != nil {
			status += "; below: the last verdict"
		}
	} else if s.page != verdictPage {
		status += ": v"
	}
	status = out.faint.Render(status)
	if s.wall.Text != "" {
		status += "  " + out.note.Render(s.wall.Text)
	}
	lines = append(lines, ansi.Truncate("  "+status, s.width, "…"))
	if s.height > 15 {
		lines = append(lines, "")
	}
	return lines
}

// foot are the keys, and how much more there is to read.
func (s *screen) foot() []string {
	if s.page == listPage {
		k := s.keys
		return []string{s.help.ShortHelpView([]key.Binding{k.up, k.down, k.choose, k.back, k.quit})}
	}
	keys := s.help.View(s.keys)
	if s.help.ShowAll {
		keys = s.allKeys()
	}
	if below := s.body.TotalLineCount() - s.body.YOffset() - s.body.Height(); below > 0 &&
		!s.help.ShowAll {
		more := s.out.note.Render("space: " + plural(below, "more line"))
		return []string{ansi.Truncate(more+"  "+keys, s.width, "")}
	}
	return strings.Split(keys, "\n")
}

// View draws: the head, the page, the keys.
func (s *screen) View() tea.View {
	lines := append(s.head(), strings.Split(s.body.View(), "\n")...)
	lines = append(lines, s.foot()...)
	for i, line := range lines {
		lines[i] = ansi.Truncate(line, s.width, "…")
	}
	text := strings.Join(lines, "\n")
	if s.out.ascii {
		text = signs.Replace(text)
	}
	v := tea.NewView(text)
	v.AltScreen = true
	v.WindowTitle = "workshop watch"
	return v
}
