//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/urfave/cli/v3"

	"container.example/workshop/internal/lazyregexp"
)

func (a *app) diff() *cli.Command {
	mine := false
	return &cli.Command{
		Name:      "diff",
		Usage:     "Show what our step adds to the one before, or what yours lacks",
		ArgsUsage: "[STEP]",
		Description: `Show what the workshop's own STEP, or a chapter of step 5, adds to what was
before it, declaration by declaration, each with a word of explanation; by
default, for the first that you have not passed. Lines that were in another
place before say from where they moved. With -mine: what your program lacks
against that step.

  workshop diff 3
  workshop diff 5c
  workshop diff -mine`,
		Flags: []cli.Flag{
			&cli.BoolFlag{
				Name:        "mine",
				Destination: &mine,
				Usage:       "compare your program with the step",
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
			if mine {
				return a.diffMine(p, c, l)
			}
			s, err := p.load()
			if err != nil {
				return err
			}
			if program := p.program(s); !p.isGo(s) {
				text := fmt.Sprintf("This is our own program, in Go, and %s is not. What the step "+
					"asks for, in any language: %s", relative(program),
					a.out.note.Render(a.self()+" plan "+l.id()))
				a.out.printf("%s\n\n", a.out.wrap(text, 0))
			}
			return a.diffLesson(c, l)
		},
	}
}

// diffLesson shows what our own lesson adds to the one before.
func (a *app) diffLesson(c *course, l lesson) error {
	before, after, err := c.sources(l)
	if err != nil {
		return err
	}
	given, err := c.given(l)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		delete(after, name)
		a.out.printf("given: %s: a table to copy, not to type\n", name)
	}
	old := program{files: before}
	if i := slices.Index(c.lessons, c.parts(l)[0]); i > 0 {
		old.name, old.dir = c.lessons[i-1].name(), relative(
			filepath.Join(c.root, c.lessons[i-1].step),
		)
	}
	return a.diffPrograms(
		old,
		program{capital(l.name()), relative(filepath.Join(c.root, l.step)), after, l.chapter != ""},
	)
}

// hasGo tells whether a program is there as source text of Go.
func hasGo(path string) bool {
	info, err := os.Stat(path)
	return err == nil && (info.IsDir() || strings.HasSuffix(path, ".go"))
}

// diffMine shows what the program of the participant lacks against a lesson.
func (a *app) diffMine(p *place, c *course, l lesson) error {
	s, err := p.load()
	if err != nil {
		return err
	}
	if err := p.missing(s); err != nil {
		return err
	}
	path := p.program(s)
	if !hasGo(path) {
		return fmt.Errorf("%s: only Go programs can be compared with ours", relative(path))
	}
	mine := program{name: relative(path), dir: relative(path)}
	if !strings.HasSuffix(path, ".go") {
		mine.files, err = stepFiles(path)
	} else {
		mine.dir = filepath.Dir(mine.dir)
		text, readErr := os.ReadFile(path)
		mine.files, err = map[string][]byte{filepath.Base(path): text}, readErr
	}
	if err != nil {
		return err
	}
	_, ours, err := c.sources(l)
	if err != nil {
		return err
	}
	// What is copied and not typed is no difference.
	for _, other := range c.lessons {
		if other.step != l.step {
			continue
		}
		given, err := c.given(other)
		if err != nil {
			return err
		}
		for name := range given {
			delete(ours, name)
			delete(mine.files, name)
		}
	}
	return a.diffPrograms(
		mine,
		program{"our " + l.name(), relative(filepath.Join(c.root, l.step)), ours, l.chapter != ""},
	)
}

// program is a program in Go: its files by name.
type program struct {
	name  string // for the heading
	dir   string // where one finds the files
	files map[string][]byte
	whole bool // what is in dir has more lines: those of later chapters
}

// lines are those at which the declarations begin in the files themselves.
func (p program) lines() (map[string]int, error) {
	if !p.whole {
		return nil, nil
	}
	files, err := stepFiles(p.dir)
	if err != nil {
		return nil, err
	}
	all, err := program{dir: p.dir, files: files}.declarations()
	lines := map[string]int{}
	for _, d := range all {
		lines[d.file+" "+d.name] = d.line
	}
	return lines, err
}

// declaration is a top-level declaration of a package.
type declaration struct {
	name string // what it declares; Type.Method for a method
	file string
	line int
	text string // the source with its comment
	doc  string // the first sentence of the comment
}

// declarations reads those of the files for this system: main.go first, as one reads.
func (p program) declarations() (all []declaration, err error) {
	names := slices.Sorted(maps.Keys(p.files))
	slices.SortStableFunc(names, func(a, b string) int { return isMain(b) - isMain(a) })
	for _, name := range names {
		if name == "other.go" {
			continue
		}
		file, code := filepath.Join(p.dir, name), p.files[name]
		fset := token.NewFileSet()
		f, err := parser.ParseFile(
			fset,
			file,
			code,
			parser.ParseComments|parser.SkipObjectResolution,
		)
		if f == nil || err != nil {
			return nil, fmt.Errorf(
				"it does not compile: %w",
				errors.New(buildOutput(p.dir, err.Error())),
			)
		}
		for _, decl := range f.Decls {
			if d, ok := decl.(*ast.GenDecl); ok && d.Tok == token.IMPORT {
				continue
			}
			start, comment := decl.Pos(), (*ast.CommentGroup)(nil)
			d := declaration{file: file}
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				d.name, comment = decl.Name.Name, decl.Doc
				if decl.Recv != nil && len(decl.Recv.List) > 0 {
					of := decl.Recv.List[0].Type
					text := code[fset.Position(of.Pos()).Offset:fset.Position(of.End()).Offset]
					d.name = strings.Trim(string(text), "*") + "." + d.name
				}
			case *ast.GenDecl:
				d.name, comment = strings.Join(declared(decl), ", "), decl.Doc
			}
			if comment != nil {
				start = comment.Pos()
				d.doc = new(doc.Package).Synopsis(comment.Text())
			}
			d.line = fset.Position(start).Line
			d.text = string(
				code[fset.Position(start).Offset:fset.Position(decl.End()).Offset],
			) + "\n"
			all = append(all, d)
		}
	}
	return all, nil
}

func isMain(file string) int {
	if filepath.Base(file) == "main.go" {
		return 1
	}
	return 0
}

// diffPrograms shows how the declarations of one program differ from those of another: which file
// they are in does not matter.
func (a *app) diffPrograms(before, after program) error {
	old, err := before.declarations()
	if err != nil {
		return err
	}
	now, err := after.declarations()
	if err != nil {
		return err
	}
	lines, err := after.lines()
	if err != nil {
		return err
	}
	out := a.out
	if len(before.files) > 0 {
		out.printf("- %s\n+ %s\n\n", before.name, after.name)
	}
	find := func(d declaration) int {
		first, _, _ := strings.Cut(d.name, ", ") // a group of variables may have grown
		return slices.IndexFunc(old, func(o declaration) bool {
			return o.name == d.name || strings.HasPrefix(o.name, first+", ")
		})
	}
	m := moved{}
	for _, d := range now {
		if i := find(d); i >= 0 {
			m.gone(old[i], d.text)
		}
	}
	for _, o := range old {
		if !slices.ContainsFunc(now, func(d declaration) bool { return d.name == o.name }) {
			m.gone(o, "")
		}
	}
	same := 0
	for _, d := range now {
		i := find(d)
		word := "new: "
		var o declaration
		if i >= 0 {
			o, word = old[i], "changed: "
			old = slices.Delete(old, i, i+1)
		}
		if o.text == d.text {
			if filepath.Base(o.file) != filepath.Base(d.file) {
				out.printf(
					"%s %s\n\n",
					out.bold.Render("moved: "+d.name),
					out.faint.Render(
						fmt.Sprintf("from %s to %s", filepath.Base(o.file), filepath.Base(d.file)),
					),
				)
			}
			same++
			continue
		}
		if line := lines[d.file+" "+d.name]; line > 0 {
			d.line = line
		}
		out.printf(
			"%s %s\n",
			out.bold.Render(word+d.name),
			out.faint.Render(fmt.Sprintf("%s:%d", d.file, d.line)),
		)
		if d.doc != "" {
			for line := range strings.SplitSeq(out.wrap(d.doc, 2), "\n") {
				out.printf("  %s\n", out.note.Render(strings.TrimSpace(line)))
			}
		}
		a.printDiff(o.text, d, m)
		out.printf("\n")
	}
	for _, o := range old {
		out.printf(
			"%s %s\n",
			out.bold.Render("only in "+before.name+": "+o.name),
			out.faint.Render(o.doc),
		)
	}
	out.printf("%d declarations are the same.\n", same)
	return nil
}

// moved says for lines that are gone from a declaration which that was: they may be found in
// another.
type moved map[string]declaration

// gone takes in the lines that a declaration had and has no more.
func (m moved) gone(before declaration, after string) {
	have := map[string]bool{}
	for line := range strings.Lines(after) {
		have[strings.TrimSpace(line)] = true
	}
	for line := range strings.Lines(before.text) {
		// A line such as "}" or "return err" is from nowhere.
		if text := strings.TrimSpace(line); !have[text] && len(text) > 20 {
			m[text] = before
		}
	}
}

var hunk = lazyregexp.New(`^@@ .* @@$`)

// printDiff prints the lines of a diff in the colours that one is used to. A line that was
// somewhere else before is not new, and says so.
func (a *app) printDiff(before string, d declaration, m moved) {
	out := a.out
	added := func(line string) {
		if from, ok := m[strings.TrimSpace(strings.TrimPrefix(line, "+"))]; ok &&
			from.name != d.name {
			place := filepath.Base(from.file)
			if place == filepath.Base(d.file) {
				place = from.name
			}
			out.printf("%s %s\n", line, out.note.Render("(moved from "+place+")"))
			return
		}
		out.printf("%s\n", out.good.Render(line))
	}
	if before == "" {
		for line := range strings.Lines(d.text) {
			added("+" + strings.TrimSuffix(line, "\n"))
		}
		return
	}
	lines := strings.Split(
		strings.TrimSuffix(string(diff.Diff("a", []byte(before), "b", []byte(d.text))), "\n"),
		"\n",
	)
	for i, line := range lines {
		switch {
		case i < 3 || hunk.MatchString(line):
		case strings.HasPrefix(line, "+"):
			added(line)
		case strings.HasPrefix(line, "-"):
			out.printf("%s\n", out.bad.UnsetBold().Render(line))
		default:
			out.printf("%s\n", line)
		}
	}
}
