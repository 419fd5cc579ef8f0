//go:build linux

package main

import (
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v3"

	"container.example/workshop/internal/lazyregexp"
	"container.example/workshop/internal/lessons"
)

func (a *app) plan() *cli.Command {
	write := false
	return &cli.Command{
		Name:      "plan",
		Usage:     "Print the plan of a step or a chapter, as comments to fill in",
		ArgsUsage: "[STEP]",
		Description: `Print what our own STEP or chapter adds, as comments: what each function is
for, how it begins, and what its comments say. The code is left out: that is
what you type. With -write the plan of a new file goes into your directory,
unless there is such a file.

  workshop plan 3
  workshop plan 5c
  workshop plan -write 5c`,
		Flags: []cli.Flag{
			&cli.BoolFlag{
				Name:        "write",
				Destination: &write,
				Usage:       "write the plans of new files into your directory",
			},
		},
		ShellComplete: completeLessons,
		Action: func(_ context.Context, cmd *cli.Command) error {
			args, err := atMost(cmd, 1)
			if err != nil {
				return err
			}
			p, c, l, err := a.openLesson(args)
			if err != nil {
				return err
			}
			s, err := p.load()
			if err != nil {
				return err
			}
			if !write {
				return a.showPlan(c, l, p.isGo(s))
			}
			return a.writePlan(p, c, l)
		},
	}
}

// filePlan is the plan of a file: text in comments.
type filePlan struct {
	name  string
	isNew bool
	text  string
}

// plans makes the plans of the files of a lesson that are typed.
func (c *course) plans(l lesson) (all []filePlan, err error) {
	before, after, err := c.sources(l)
	if err != nil {
		return nil, err
	}
	given := map[string][]byte{} // with any chapter: nobody types them
	for _, chapter := range c.chapters(l.step) {
		files, err := c.given(chapter)
		if err != nil {
			return nil, err
		}
		maps.Copy(given, files)
	}
	old, err := program{files: before}.declarations()
	if err != nil {
		return nil, err
	}
	had := map[string]declaration{} // by name
	for _, d := range old {
		had[d.name] = d
	}
	names := slices.Sorted(maps.Keys(after))
	slices.SortStableFunc(names, func(a, b string) int { return isMain(b) - isMain(a) })
	for _, name := range names {
		if _, ok := given[name]; ok || name == "other.go" {
			continue
		}
		now, err := program{files: map[string][]byte{name: after[name]}}.declarations()
		if err != nil {
			return nil, err
		}
		var text strings.Builder
		for _, d := range now {
			was, ok := had[d.name]
			if !ok || d.name == "init" && was.file != d.file { // there may be many
				fmt.Fprintf(&text, "//\n%s", outline(d.text))
				continue
			}
			if says := happens(d.name, was.file, d.file, was.text != d.text); says != "" {
				fmt.Fprintf(&text, "//\n// %s\n%s", says, comments(added(was.text, d.text)))
			}
		}
		_, isOld := before[name]
		if text.Len() == 0 {
			continue
		}
		plan := text.String()
		if !isOld {
			plan = heading(after[name]) + plan
		}
		all = append(all, filePlan{name, !isOld, strings.TrimPrefix(plan, "//\n")})
	}
	return all, nil
}

// happens is what is to be done with a declaration that is there already, or nothing.
func happens(name, from, to string, changed bool) string {
	does, moves := "changes", "moves"
	there := "which is there already"
	if strings.Contains(name, ", ") {
		does, moves, there = "change", "move", "which are there already"
	}
	switch {
	case from != to && changed:
		return fmt.Sprintf("%s %s here from %s, and %s:", name, moves, from, does)
	case from != to:
		return fmt.Sprintf("%s %s here from %s.", name, moves, from)
	case changed:
		return fmt.Sprintf("%s, %s, %s:", name, there, does)
	}
	return ""
}

// heading is the comment with which a file begins, around its package clause.
func heading(code []byte) string {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "", code, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		return ""
	}
	text := ""
	for _, group := range f.Comments {
		for line := range strings.Lines(group.Text()) {
			text += strings.TrimRight("// "+strings.TrimSpace(line), " ") + "\n"
		}
	}
	return text
}

// outline is a declaration in comments: its own comment, its first line, and the comments in it.
func outline(text string) string {
	var b strings.Builder
	fset := token.NewFileSet()
	f, err := parser.ParseFile(
		fset,
		"",
		"package p\n"+text,
		parser.ParseComments|parser.SkipObjectResolution,
	)
	if err != nil || len(f.Decls) == 0 {
		return comments(text)
	}
	function, ok := f.Decls[0].(*ast.FuncDecl)
	if !ok { // a type or variables: their names are what the functions use
		for line := range strings.Lines(text) {
			b.WriteString(commented(line))
		}
		return b.String()
	}
	first := fset.Position(function.Pos()).Line - 1 // without the package clause
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		trimmed := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(trimmed, "//"), i+1 == first:
			b.WriteString(commented(line + "\n"))
		}
	}
	b.WriteString("// }\n")
	return b.String()
}

// chapterMark is how a line says to which chapter it belongs.
var chapterMark = lazyregexp.New(`\s*// [a-z]( [a-z])*$`)

// commented makes a comment of a line.
func commented(line string) string {
	text := chapterMark.ReplaceAllString(strings.TrimRight(line, "\n"), "")
	if strings.HasPrefix(text, "//") {
		return text + "\n"
	}
	return strings.TrimRight("// "+strings.ReplaceAll(text, "\t// ", "\t"), " ") + "\n"
}

// added are the lines of a text that another has not. Of a comment that changes all lines are
// there: one of them alone makes no sense.
func added(before, after string) string {
	bare := func(line string) string {
		return strings.TrimSpace(chapterMark.ReplaceAllString(strings.TrimSpace(line), ""))
	}
	have := map[string]bool{}
	for line := range strings.Lines(before) {
		have[bare(line)] = true
	}
	var b strings.Builder
	comment, isNew := "", false
	flush := func() {
		if isNew {
			b.WriteString(comment)
		}
		comment, isNew = "", false
	}
	for line := range strings.Lines(after) {
		if strings.HasPrefix(bare(line), "//") {
			comment += line
			isNew = isNew || !have[bare(line)]
			continue
		}
		flush()
		if !have[bare(line)] {
			b.WriteString(line)
		}
	}
	flush()
	return b.String()
}

// comments are the comments in lines of code; where there are none, the lines themselves.
func comments(code string) string {
	var only, all strings.Builder
	for line := range strings.Lines(code) {
		all.WriteString(commented(line))
		if strings.HasPrefix(strings.TrimSpace(line), "//") {
			only.WriteString(commented(line))
		}
	}
	if only.Len() > 0 {
		return only.String()
	}
	return all.String()
}

// showPlan prints the plan of a lesson. It is for somebody whose program is in Go: others are told
// what to build, and no more.
func (a *app) showPlan(c *course, l lesson, inGo bool) error {
	if !inGo {
		a.out.printf("%s\n", a.out.bold.Render(fmt.Sprintf("What %s adds: %s", l.name(), l.title)))
		for _, part := range c.parts(l) {
			card, err := readCard(part)
			if err != nil {
				return err
			}
			a.out.printf("\n%s\n", a.out.wrap(card.any, 0))
		}
		a.out.printf("\n%s\n", a.out.wrap("The plan in comments is that of our own program, "+
			"which is in Go, and yours is not.", 0))
		return nil
	}
	plans, err := c.plans(l)
	if err != nil {
		return err
	}
	out := a.out
	out.printf("%s\n", out.bold.Render(fmt.Sprintf("The plan of %s: %s", l.name(), l.title)))
	for _, f := range plans {
		what := "in " + f.name
		if f.isNew {
			what = f.name + ", a new file"
		}
		out.printf("\n%s\n%s", out.note.Render(what), f.text)
	}
	return a.tellShared(c, l)
}

// tellShared names the files that a chapter shares with an earlier one, which may have been left
// out.
func (a *app) tellShared(c *course, l lesson) error {
	if l.chapter == "" {
		return nil
	}
	files, err := lessons.Files(filepath.Join(c.root, l.step))
	if err != nil {
		return err
	}
	for _, f := range files {
		if f.Given || !strings.Contains(f.Chapters, l.chapter) || f.Chapters[:1] == l.chapter {
			continue
		}
		earlier := lesson{step: l.step, chapter: f.Chapters[:1]}
		a.out.printf("\n%s\n%s\n", a.out.note.Render(f.Name+", from "+earlier.name()),
			a.out.wrap("If you have left that chapter out, type this file of it now: "+
				a.self()+" plan "+earlier.id(), 0))
	}
	return nil
}

// writePlan writes the plans of new files into the directory of the participant, and prints the
// others.
func (a *app) writePlan(p *place, c *course, l lesson) error {
	s, err := p.load()
	if err != nil {
		return err
	}
	if err := p.missing(s); err != nil {
		return err
	}
	if program := p.program(s); !p.isGo(s) {
		return fmt.Errorf("plan -write: the plan is that of our own program, in Go, and %s is not",
			relative(program))
	}
	plans, err := c.plans(l)
	if err != nil {
		return err
	}
	for _, f := range plans {
		if !f.isNew {
			a.out.printf("\n%s\n%s", a.out.note.Render("in "+f.name), f.text)
			continue
		}
		file := filepath.Join(p.dir, f.name)
		if err := writeNew(file, []byte(f.text+"package main\n")); err != nil {
			return err
		}
		a.out.printf("Wrote %s: comments to fill in\n", relative(file))
	}
	return a.tellShared(c, l)
}
