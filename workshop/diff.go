//go:build linux

package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	"container.example/workshop/internal/harness"
)

func (a *app) diff() *cobra.Command {
	mine := false
	cmd := &cobra.Command{
		Use:   "diff [STEP]",
		Short: "Show what our step adds to the one before, or what yours lacks",
		Long: `Show what the workshop's own STEP adds to the one before, declaration by declaration, each with a word of
explanation; by default, for the first step that you have not passed. With -mine: what your program lacks against that step.`,
		Example: `  workshop diff 3
  workshop diff -mine`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeSteps,
		RunE: func(_ *cobra.Command, args []string) error {
			p, err := a.open()
			if err != nil {
				return err
			}
			s, err := p.load()
			if err != nil {
				return err
			}
			step, _, err := p.nextStep(s)
			if len(args) > 0 {
				step, err = findStep(p.root, args[0])
			}
			if err != nil {
				return err
			}
			if mine {
				return a.diffMine(p, step)
			}
			steps, err := harness.Steps(p.root)
			if err != nil {
				return err
			}
			before := ""
			if i := slices.Index(steps, step); i > 0 {
				before = filepath.Join(p.root, steps[i-1])
			}
			return a.diffDecls(before, filepath.Join(p.root, step))
		},
	}
	cmd.Flags().BoolVar(&mine, "mine", false, "compare your program with the step")
	return cmd
}

// diffMine shows what the program of the participant lacks against a step.
func (a *app) diffMine(p *place, step string) error {
	s, err := p.load()
	if err != nil {
		return err
	}
	if err := p.missing(s); err != nil {
		return err
	}
	program := p.program(s)
	if info, err := os.Stat(program); err != nil || !info.IsDir() && !strings.HasSuffix(program, ".go") {
		return fmt.Errorf("%s: only Go programs can be compared with ours", relative(program))
	}
	return a.diffDecls(program, filepath.Join(p.root, step))
}

// declaration is a top-level declaration of a package.
type declaration struct {
	name string // what it declares; Type.Method for a method
	file string
	line int
	text string // the source with its comment
	doc  string // the first sentence of the comment
}

// declarations reads those of the Go files for this system in a directory, or of one file.
func declarations(path string) (all []declaration, err error) {
	files := []string{path}
	if !strings.HasSuffix(path, ".go") {
		if files, err = filepath.Glob(filepath.Join(path, "*.go")); err != nil {
			return nil, err
		}
	}
	// main.go first, as one reads.
	slices.SortStableFunc(files, func(a, b string) int { return isMain(b) - isMain(a) })
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") || filepath.Base(file) == "other.go" {
			continue
		}
		code, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, file, code, parser.ParseComments|parser.SkipObjectResolution)
		if f == nil || err != nil {
			return nil, fmt.Errorf("it does not compile: %w", errors.New(buildOutput(filepath.Dir(file), err.Error())))
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
					d.name = strings.Trim(string(code[fset.Position(decl.Recv.List[0].Type.Pos()).Offset:fset.Position(decl.Recv.List[0].Type.End()).Offset]), "*") + "." + d.name
				}
			case *ast.GenDecl:
				d.name, comment = strings.Join(declared(decl), ", "), decl.Doc
			}
			if comment != nil {
				start = comment.Pos()
				d.doc = new(doc.Package).Synopsis(comment.Text())
			}
			d.line = fset.Position(start).Line
			d.text = string(code[fset.Position(start).Offset:fset.Position(decl.End()).Offset]) + "\n"
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

// diffDecls shows how the declarations of one program differ from those of another: which file they are in
// does not matter.
func (a *app) diffDecls(before, after string) error {
	var old []declaration
	var err error
	if before != "" {
		if old, err = declarations(before); err != nil {
			return err
		}
	}
	now, err := declarations(after)
	if err != nil {
		return err
	}
	out := a.out
	if before != "" {
		out.printf("- %s\n+ %s\n\n", relative(before), relative(after))
	}
	same := 0
	for _, d := range now {
		first, _, _ := strings.Cut(d.name, ", ") // a group of variables may have grown
		i := slices.IndexFunc(old, func(o declaration) bool { return o.name == d.name || strings.HasPrefix(o.name, first+", ") })
		word := "new: "
		var o declaration
		if i >= 0 {
			o, word = old[i], "changed: "
			old = slices.Delete(old, i, i+1)
		}
		if o.text == d.text {
			same++
			continue
		}
		out.printf("%s %s\n", out.bold.Render(word+d.name), out.faint.Render(fmt.Sprintf("%s:%d", relative(d.file), d.line)))
		if d.doc != "" {
			for line := range strings.SplitSeq(out.wrap(d.doc, 2), "\n") {
				out.printf("  %s\n", out.note.Render(strings.TrimSpace(line)))
			}
		}
		a.printDiff(o.text, d.text)
		out.printf("\n")
	}
	for _, o := range old {
		out.printf("%s %s\n", out.bold.Render("only in "+relative(before)+": "+o.name), out.faint.Render(o.doc))
	}
	out.printf("%d declarations are the same.\n", same)
	return nil
}

var hunk = regexp.MustCompile(`^@@ .* @@$`)

// printDiff prints the lines of a diff in the colours that one is used to.
func (a *app) printDiff(before, after string) {
	if before == "" {
		for line := range strings.Lines(after) {
			a.out.printf("%s\n", a.out.good.Render("+"+strings.TrimSuffix(line, "\n")))
		}
		return
	}
	lines := strings.Split(strings.TrimSuffix(string(diff.Diff("a", []byte(before), "b", []byte(after))), "\n"), "\n")
	for i, line := range lines {
		switch {
		case i < 3 || hunk.MatchString(line):
		case strings.HasPrefix(line, "+"):
			a.out.printf("%s\n", a.out.good.Render(line))
		case strings.HasPrefix(line, "-"):
			a.out.printf("%s\n", a.out.bad.UnsetBold().Render(line))
		default:
			a.out.printf("%s\n", line)
		}
	}
}
