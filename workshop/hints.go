//go:build linux

package main

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v3"

	"container.example/workshop/internal/harness"
)

// hints are what is kept beside a script for those who are stuck, in NAME.hints: paragraphs, of
// which the first names the kernel's part and the last the lines of our own step, as FILE
// [DECLARATION [TEXT]], and where the runtime differs. What is only for programs of Go is in the
// paragraph before, which begins with Go:.
type hints struct {
	File   string
	Kernel string   // with its man page: CLONE_NEWUTS, uts_namespaces(7)
	Hints  []string // a question, and the system call with what it is given, for every language
	Go     string   // what else there is to know in Go; may be empty
	Source []string // references
	Real   []string // where the runtime differs and why: "runtime/users: names are looked up."
}

// findHints reads the hints of a script. Those of escape-proc-sysrq are in escape-proc-sysrq.hints,
// escape-proc.hints, escape.hints or any.hints, in this order.
func findHints(s harness.Script) (h hints, err error) {
	names := []string{s.Name}
	for name := s.Name; ; {
		i := strings.LastIndex(name, "-")
		if i < 0 {
			break
		}
		name = name[:i]
		names = append(names, name)
	}
	for _, name := range append(names, "any") {
		file := filepath.Join(filepath.Dir(s.File), name+".hints")
		text, err := os.ReadFile(file)
		if err == nil {
			return parseHints(file, string(text))
		}
		if !errors.Is(err, os.ErrNotExist) {
			return h, err
		}
	}
	return h, fmt.Errorf("%s: no hints", s.ID())
}

func parseHints(file, text string) (h hints, err error) {
	h.File = file
	var paragraphs []string
	for p := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		paragraphs = append(paragraphs, strings.TrimSpace(p))
	}
	kernel, ok := strings.CutPrefix(paragraphs[0], "Kernel: ")
	if len(paragraphs) == 5 {
		var isGo bool
		h.Go, isGo = strings.CutPrefix(join(paragraphs[3]), "Go: ")
		ok = ok && isGo
		paragraphs = slices.Delete(paragraphs, 3, 4)
	}
	if !ok || len(paragraphs) != 4 {
		return h, fmt.Errorf(
			"%s: want four paragraphs: the first begins with Kernel:, and before the last "+
				"there may be one more that begins with Go",
			file,
		)
	}
	h.Kernel = join(kernel)
	for _, p := range paragraphs[1:3] {
		h.Hints = append(h.Hints, join(p))
	}
	for line := range strings.SplitSeq(paragraphs[3], "\n") {
		if strings.HasPrefix(line, harness.Runtime+"/") {
			h.Real = append(h.Real, line)
		} else {
			h.Source = append(h.Source, line)
		}
	}
	return h, nil
}

// join makes one line of a paragraph.
func join(paragraph string) string { return strings.Join(strings.Fields(paragraph), " ") }

// source resolves a reference to lines of Go: FILE for all of it but the imports, FILE DECLARATION,
// or FILE DECLARATION TEXT for only the statement of that function that contains the text.
func source(root, reference string) (text string, line int, err error) {
	fields := strings.SplitN(reference, " ", 3)
	code, err := os.ReadFile(filepath.Join(root, fields[0]))
	if err != nil {
		return "", 0, err
	}
	if len(fields) == 1 {
		_, body, ok := strings.Cut(string(code), "\n)\n") // after the imports
		if !ok {
			_, body, _ = strings.Cut(string(code), "package main\n")
		}
		return strings.TrimSpace(
				body,
			), 1 + strings.Count(
				strings.TrimSuffix(string(code), strings.TrimLeft(body, "\n")),
				"\n",
			), nil
	}
	fset := token.NewFileSet()
	f, err := parser.ParseFile(
		fset,
		fields[0],
		code,
		parser.ParseComments|parser.SkipObjectResolution,
	)
	if err != nil {
		return "", 0, err
	}
	// From the beginning of the line, and with the comments above.
	slice := func(from, to token.Pos) (string, int) {
		start, end := fset.Position(from), fset.Position(to)
		for _, c := range f.Comments {
			if fset.Position(c.End()).Line == start.Line-1 {
				start = fset.Position(c.Pos())
			}
		}
		return string(code[start.Offset-(start.Column-1) : end.Offset]), start.Line
	}
	for _, decl := range f.Decls {
		if !slices.Contains(declared(decl), fields[1]) {
			continue
		}
		if len(fields) == 2 {
			text, line := slice(decl.Pos(), decl.End()) // with its doc comment
			return text, line, nil
		}
		function, ok := decl.(*ast.FuncDecl)
		if !ok {
			break
		}
		for _, statement := range function.Body.List {
			if text, line := slice(statement.Pos(), statement.End()); strings.Contains(
				text,
				fields[2],
			) {
				return text, line, nil
			}
		}
	}
	return "", 0, fmt.Errorf("%q: nothing there", reference)
}

// declared are the names that a declaration declares.
func declared(decl ast.Decl) (names []string) {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		names = append(names, d.Name.Name)
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.ValueSpec:
				for _, name := range s.Names {
					names = append(names, name.Name)
				}
			case *ast.TypeSpec:
				names = append(names, s.Name.Name)
			}
		}
	}
	return names
}

func (a *app) hint() *cli.Command {
	return &cli.Command{
		Name:      "hint",
		Usage:     "Give a hint for the promise that failed, one more at each call",
		ArgsUsage: "[STEP/SCRIPT]",
		Description: `Give a hint for the promise that failed at the last check, or for the named
one. There are three, from vague to exact: the last one shows the lines of
the workshop's own step.

  workshop hint
  workshop hint step2-namespaces/hostname-out`,
		ShellComplete: func(_ context.Context, cmd *cli.Command) {
			if root, err := moduleRoot(); err == nil {
				scripts, _ := allScripts(root)
				for _, s := range scripts {
					fmt.Fprintln(cmd.Root().Writer, s.ID())
				}
			}
		},
		Action: func(_ context.Context, cmd *cli.Command) error {
			args, err := atMost(cmd, 1)
			if err != nil {
				return err
			}
			p, err := a.open()
			if err != nil {
				return err
			}
			s, err := p.load()
			if err != nil {
				return err
			}
			id := s.Failing
			if len(args) > 0 {
				id = args[0]
			}
			if err := p.missing(s); id == "" && err != nil {
				return err
			}
			if id == "" && s.Checks == 0 {
				a.out.printf("Nothing was checked yet: %s check\n", a.self())
				return nil
			}
			if id == "" {
				a.out.printf("Nothing failed at the last check. To check again: %s check\n",
					a.self())
				return nil
			}
			script, err := findScript(p.root, id)
			if err != nil {
				return err
			}
			return a.giveHint(p, script)
		},
	}
}

// isGo tells whether a program is source text of Go, or was compiled from it.
func isGo(program string) bool {
	info, err := os.Stat(program)
	switch {
	case program == "", strings.HasSuffix(program, ".go"):
		return true
	case err != nil: // it is being built, perhaps, and from what is not known
		return false
	case info.IsDir():
		return true
	}
	_, err = buildinfo.ReadFile(program)
	return err == nil
}

// giveHint prints the hints that were given for the script before, and one more.
func (a *app) giveHint(p *place, s harness.Script) error {
	most := 3
	state, err := p.change(func(state *state) error {
		if !p.isGo(*state) {
			most = 2 // our own step would be of no use
		}
		state.Hints[s.ID()] = min(state.Hints[s.ID()]+1, most)
		return nil
	})
	if err != nil {
		return err
	}
	about := s
	if s.ID() == state.Failing && state.Subject != "" {
		if about, err = findScript(p.root, state.Subject); err != nil {
			return err
		}
	}
	h, err := findHints(about)
	if err != nil {
		return err
	}
	promise, err := about.Promise(0)
	if err != nil {
		return err
	}
	if s.ID() == state.Failing && state.Promise != "" && about.ID() == s.ID() {
		promise = state.Promise
	}
	given := state.Hints[s.ID()]
	out := a.out
	out.printf("%s\n  %s\n\n", out.bold.Render(about.ID()), out.wrap(promise, 2))
	if when, kept := state.Kept[s.ID()]; kept && about.ID() == s.ID() {
		kept := "Your program kept this on " + when.Format("2 January at 15:04") +
			": what you changed since then is the cause. The hints are about how it was built."
		out.printf("%s\n\n", out.wrap(kept, 0))
	}
	for i := range given {
		head := fmt.Sprintf("Hint %d of %d", i+1, most)
		if i < len(h.Hints) {
			out.printf("%s\n  %s\n\n", out.note.Render(head), out.wrap(h.Hints[i], 2))
			continue
		}
		out.printf("%s: how our own step does it.\n", out.note.Render(head))
		if h.Go != "" {
			goWords := strings.ReplaceAll(h.Go, "`workshop ", "`"+a.self()+" ")
			out.printf("  %s\n", out.wrap(goWords, 2))
		}
		for _, reference := range h.Source {
			text, line, err := source(p.root, reference)
			if err != nil {
				return err
			}
			file, _, _ := strings.Cut(reference, " ")
			out.printf(
				"  %s\n%s\n\n",
				out.faint.Render(fmt.Sprintf("%s:%d", relative(filepath.Join(p.root, file)), line)),
				text,
			)
		}
		for _, line := range h.Real {
			out.printf("%s\n\n", out.wrap("In the runtime: "+line, 2))
		}
	}
	out.printf("%s\n", out.wrap(out.faint.Render("The kernel's part:")+" "+h.Kernel, 2))
	command := "hint"
	if s.ID() != state.Failing {
		command += " " + s.ID() // which was asked for
	}
	if given < most {
		out.printf("%s %s\n", out.faint.Render("Still stuck:"), a.advice(command, "h"))
	} else {
		out.printf("%s %s\n", out.faint.Render("When you have it:"), a.advice("check", "r"))
	}
	return nil
}

// allScripts lists the scripts of all steps.
func allScripts(root string) (all []harness.Script, err error) {
	steps, err := harness.Steps(root)
	if err != nil {
		return nil, err
	}
	for _, step := range steps {
		scripts, err := harness.Scripts(root, step)
		if err != nil {
			return nil, err
		}
		for _, s := range scripts {
			if s.Step == step {
				all = append(all, s)
			}
		}
	}
	return all, nil
}

// findScript finds a script by step/name, or by its name alone if only one has it.
func findScript(root, id string) (harness.Script, error) {
	scripts, err := allScripts(root)
	if err != nil {
		return harness.Script{}, err
	}
	var found []harness.Script
	for _, s := range scripts {
		if s.ID() == id {
			return s, nil
		}
		if s.Name == id {
			found = append(found, s)
		}
	}
	if len(found) != 1 {
		return harness.Script{}, fmt.Errorf(
			"script %q: there are %d of that name (want STEP/SCRIPT)",
			id,
			len(found),
		)
	}
	return found[0], nil
}
