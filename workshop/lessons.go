//go:build linux

package main

import (
	"embed"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"container.example/workshop/internal/harness"
	"container.example/workshop/internal/lessons"
)

// A lesson is what is built in one go: a step, or a chapter of a step that has chapters.
type lesson struct {
	step     string // step5-complete
	chapter  string // its letter; none for a whole step
	title    string
	minutes  int
	optional bool
}

// id is what one types for it: 4, 5c.
func (l lesson) id() string { return number(l.step) + l.chapter }

// key is its name in the state: step4-cgroups, step5-complete/c.
func (l lesson) key() string {
	if l.chapter == "" {
		return l.step
	}
	return l.step + "/" + l.chapter
}

// promises tells whether a script is one of its own promises.
func (l lesson) promises(s harness.Script) bool {
	return s.Step == l.step && !s.NotYet() && (l.chapter == "" || s.Chapter == l.chapter)
}

// name is what it is called: step 4, chapter 5c.
func (l lesson) name() string {
	if l.chapter == "" {
		return "step " + l.id()
	}
	return "chapter " + l.id()
}

// course is all that there is to build, in order.
type course struct {
	root    string
	lessons []lesson
	scripts map[string][]harness.Script // of each step, with those of the steps before it
}

func readCourse(root string) (*course, error) {
	steps, err := harness.Steps(root)
	if err != nil {
		return nil, err
	}
	c := &course{root: root, scripts: map[string][]harness.Script{}}
	for _, step := range steps {
		if c.scripts[step], err = harness.Scripts(root, step); err != nil {
			return nil, err
		}
		chapters, err := harness.Chapters(root, step)
		if err != nil {
			return nil, err
		}
		for _, ch := range chapters {
			c.lessons = append(
				c.lessons,
				lesson{step, ch.Letter, ch.Title, ch.Minutes, ch.Optional},
			)
		}
		if len(chapters) == 0 {
			c.lessons = append(c.lessons, lesson{step: step, title: title(root, step)})
		}
	}
	for i := range c.lessons {
		l := &c.lessons[i]
		card, err := readCard(*l)
		if err != nil {
			return nil, err
		}
		if l.minutes == 0 {
			l.minutes = card.minutes
		}
	}
	return c, nil
}

// find is the lesson that an argument means: 2, step2, step2-namespaces or 5c. A step with chapters
// is a lesson too: all of it.
func (c *course) find(arg string) (lesson, error) {
	var all []string
	for _, l := range c.lessons {
		if arg == l.id() || arg == "step"+l.id() || arg == l.key() {
			return l, nil
		}
		if arg == number(l.step) || arg == "step"+number(l.step) || arg == l.step {
			return lesson{step: l.step, title: title(c.root, l.step)}, nil
		}
		all = append(all, l.id())
	}
	return lesson{}, fmt.Errorf("step %q: there is none (%s)", arg, strings.Join(all, ", "))
}

// chapters are those of a step.
func (c *course) chapters(step string) (all []lesson) {
	for _, l := range c.lessons {
		if l.step == step && l.chapter != "" {
			all = append(all, l)
		}
	}
	return all
}

// parts is what a lesson consists of: the chapters of a whole step, or itself.
func (c *course) parts(l lesson) []lesson {
	if chapters := c.chapters(l.step); l.chapter == "" && len(chapters) > 0 {
		return chapters
	}
	return []lesson{l}
}

// own are the promises of a lesson itself.
func (c *course) own(l lesson) (own []harness.Script) {
	for _, s := range c.scripts[l.step] {
		if s.Step == l.step && !s.NotYet() && (l.chapter == "" || s.Chapter == l.chapter) {
			own = append(own, s)
		}
	}
	return own
}

// promised are the scripts for a program of a lesson: those of the steps before it, and of a step
// with chapters those of the first chapter, of the chapters that are passed or taken over, and of
// the lesson itself. What an earlier step promises and a chapter promises in other words is not
// asked for: the chapter may be built already.
func (c *course) promised(l lesson, s state) (scripts []harness.Script) {
	first := ""
	if chapters := c.chapters(l.step); len(chapters) > 0 {
		first = chapters[0].chapter
	}
	for _, script := range c.scripts[l.step] {
		chapter := lesson{step: script.Step, chapter: script.Chapter}
		_, passed := s.Passed[chapter.key()]
		if l.chapter == "" || script.Step != l.step || script.Chapter == l.chapter ||
			script.Chapter == first ||
			passed || slices.Contains(s.Taken, chapter.key()) {
			scripts = append(scripts, script)
		}
	}
	return scripts
}

// lessonOf is the lesson to which a script belongs.
func (c *course) lessonOf(s harness.Script) lesson {
	for _, l := range c.lessons {
		if l.step == s.Step && l.chapter == s.Chapter {
			return l
		}
	}
	return lesson{step: s.Step}
}

// passed tells whether a lesson is passed: of a step with chapters, all but the optional ones.
func (c *course) passed(l lesson, s state) bool {
	for _, part := range c.parts(l) {
		if _, ok := s.Passed[part.key()]; !ok && (!part.optional || l.chapter != "") {
			return false
		}
	}
	return true
}

// next is the lesson to work on: the one that was chosen, otherwise the first that is neither
// passed nor left out, and that can be checked here. When there is none, all is done, and the
// lesson is the last one.
func (c *course) next(s state) (l lesson, all bool) {
	if l, err := c.find(s.At); err == nil && s.At != "" {
		return l, false
	}
	for _, l := range c.lessons {
		_, unchecked := s.Unchecked[l.key()]
		if !c.passed(l, s) && !unchecked && !slices.Contains(s.Skipped, l.key()) {
			return l, false
		}
	}
	return c.lessons[len(c.lessons)-1], true
}

// after is the lesson that comes after one, if there is one.
func (c *course) after(l lesson) (lesson, bool) {
	parts := c.parts(l)
	i := slices.IndexFunc(
		c.lessons,
		func(other lesson) bool { return other == parts[len(parts)-1] },
	)
	if i < 0 || i == len(c.lessons)-1 {
		return l, false
	}
	return c.lessons[i+1], true
}

// readme is the page to read, with the place in it.
func (c *course) readme(l lesson) string {
	file := filepath.Join(c.root, l.step, "README.md")
	text, _ := os.ReadFile(file)
	for line := range strings.Lines(string(text)) {
		heading := strings.TrimLeft(line, "#")
		if l.chapter != "" && heading != line &&
			strings.Contains(strings.ToLower(heading), "chapter "+l.chapter) {
			return relative(file) + ", \"" + strings.TrimSpace(heading) + "\""
		}
	}
	return relative(file)
}

// sources are our files after a lesson, and before it.
func (c *course) sources(l lesson) (before, after map[string][]byte, err error) {
	i := slices.IndexFunc(c.lessons, func(other lesson) bool { return other == c.parts(l)[0] })
	if i > 0 {
		if before, err = c.stageOf(c.lessons[i-1]); err != nil {
			return nil, nil, err
		}
	}
	if l.chapter == "" {
		after, err = stepFiles(filepath.Join(c.root, l.step))
	} else {
		after, err = c.stageOf(l)
	}
	return before, after, err
}

// stageOf are our files after a lesson.
func (c *course) stageOf(l lesson) (map[string][]byte, error) {
	dir := filepath.Join(c.root, l.step)
	if l.chapter == "" {
		return stepFiles(dir)
	}
	letters := ""
	for _, ch := range c.chapters(l.step) {
		letters += ch.chapter
		if ch == l {
			break
		}
	}
	return lessons.Stage(dir, letters)
}

// stepFiles are the Go files of a program, but for its tests and what other systems have instead.
func stepFiles(dir string) (map[string][]byte, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		if files[filepath.Base(path)], err = os.ReadFile(path); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// given are the files of a chapter that are copied and not typed.
func (c *course) given(l lesson) (map[string][]byte, error) {
	if l.chapter == "" {
		return nil, nil
	}
	files, err := lessons.Files(filepath.Join(c.root, l.step))
	if err != nil {
		return nil, err
	}
	given := map[string][]byte{}
	for _, f := range files {
		if f.Given && strings.Contains(f.Chapters, l.chapter) {
			given[f.Name] = []byte(f.Text)
		}
	}
	return given, nil
}

// give copies the given files of a lesson into the directory of a program in Go, unless they are
// there, and returns their names.
func (c *course) give(p *place, s state, l lesson) (names []string, err error) {
	mine, err := filepath.Glob(filepath.Join(p.dir, "*.go"))
	if err != nil || len(mine) == 0 || s.Program != "" {
		return nil, err
	}
	given, err := c.given(l)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		file := filepath.Join(p.dir, name)
		switch err := p.give(file, given[name]); {
		case err == nil:
			names = append(names, relative(file))
		case !errors.Is(err, os.ErrExist):
			return names, err
		}
	}
	return names, nil
}

//go:embed cards/*.txt
var cards embed.FS

// A card says what a lesson is about: when it begins, and when it is passed.
type card struct {
	goal    string // in three lines
	typed   string // what to type, in Go
	any     string // what to build, in any language
	later   string // what is not needed yet
	built   string // what one has, at the end
	try     string // a command for what was built
	demo    string // the demonstrations to look at
	minutes int
}

// demos are the names of the demonstrations of the lesson.
func (c card) demos() []string { return strings.Fields(c.demo) }

// readCard reads the card of a lesson: paragraphs that begin with a word and a colon.
func readCard(l lesson) (c card, err error) {
	text, err := cards.ReadFile("cards/" + l.id() + ".txt")
	if errors.Is(err, os.ErrNotExist) {
		return c, nil // a lesson that somebody has added
	} else if err != nil {
		return c, err
	}
	for p := range strings.SplitSeq(strings.TrimSpace(string(text)), "\n\n") {
		word, rest, _ := strings.Cut(p, ":")
		rest = join(rest)
		switch word {
		case "Goal":
			c.goal = rest
		case "Type":
			c.typed = rest
		case "Build":
			c.any = rest
		case "Later":
			c.later = rest
		case "Built":
			c.built = rest
		case "Try":
			c.try = rest
		case "Demo":
			c.demo = rest
		case "Minutes":
			_, err = fmt.Sscan(rest, &c.minutes)
		default:
			err = fmt.Errorf("no such paragraph: %q", word)
		}
		if err != nil {
			return c, fmt.Errorf("card %s: %w", l.id(), err)
		}
	}
	return c, nil
}

// showCard prints the card of a lesson that begins, for somebody whose program is in Go or not.
func (a *app) showCard(c *course, l lesson, inGo bool) error {
	card, err := readCard(l)
	if err != nil {
		return err
	}
	out := a.out
	head := fmt.Sprintf("%s: %s", capital(l.name()), l.title)
	about := fmt.Sprintf("about %d minutes, %s", l.minutes, c.count(l))
	if l.optional {
		about += ", optional"
	}
	out.printf(
		"%s\n%s\n\n",
		styled(out.bold, out.wrap(head, 0)),
		styled(out.faint, out.wrap(about, 0)),
	)
	row := func(label, text string) {
		if text != "" {
			out.printf("%s %s\n", out.note.Render(fmt.Sprintf("%-9s", label)), out.wrap(text, 10))
		}
	}
	row("Goal", card.goal)
	if !inGo {
		row("Build", card.any)
		row("Not yet", card.later)
		row("Read", c.readme(l))
		return nil
	}
	row("Type", card.typed)
	row("Not yet", card.later)
	row("Read", c.readme(l))
	given, err := c.given(l)
	if len(given) > 0 {
		names := strings.Join(slices.Sorted(maps.Keys(given)), ", ")
		row("Given", names+": tables to use, not to type. When the chapter is checked, they are "+
			"copied into your directory")
	}
	row("Plan", a.advice("plan "+l.id(), "p")+" for the plan in comments")
	return err
}

// count says how many promises a lesson has.
func (c *course) count(l lesson) string {
	ways, promises := 0, 0
	for _, s := range c.own(l) {
		switch {
		case s.WayOut():
			ways++
		case !s.Ours():
			promises++
		}
	}
	text := plural(promises, "promise")
	if ways > 0 {
		text += ", " + plural(ways, "way") + " out to close"
	}
	return text
}

// tried is a command of a card for the program that one has, and not for a package in ./mine.
func (p *place) tried(try string, s state) string {
	program := relative(p.program(s))
	if !filepath.IsAbs(program) && program != "." && !strings.HasPrefix(program, "../") {
		program = "./" + program // otherwise it is a package of Go, or a command in the PATH
	}
	program = shellWord(program)
	if info, err := os.Stat(p.program(s)); err == nil && !info.IsDir() &&
		!strings.HasSuffix(program, ".go") {
		try = strings.ReplaceAll(try, "go build -o container ./mine && ", "")
		return strings.ReplaceAll(try, "./container", program)
	}
	return strings.ReplaceAll(try, "container ./mine", "container "+program)
}

// showEnd prints the card of a lesson that is passed.
func (a *app) showEnd(c *checker, s state, l lesson) error {
	card, err := readCard(l)
	if err != nil {
		return err
	}
	out := a.out
	out.printf("%s %s\n", out.good.Render("✓"),
		styled(out.bold, out.wrap(fmt.Sprintf("%s is passed: %s.", capital(l.name()), l.title), 2)))
	row := func(label, text string) {
		if text != "" {
			out.printf("  %s %s\n", out.note.Render(fmt.Sprintf("%-8s", label)), out.wrap(text, 11))
		}
	}
	row("Built", card.built)
	row("Try", c.tried(card.try, s))
	if len(card.demos()) > 0 {
		row("Demo", a.self()+" demo "+l.id()+" ("+strings.Join(card.demos(), ", ")+")")
	}
	if hasGo(c.program(s)) {
		row("Compare", a.self()+" diff -mine "+l.id())
	}
	return nil
}

// capital makes the first letter one.
func capital(text string) string { return strings.ToUpper(text[:1]) + text[1:] }
