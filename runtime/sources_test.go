//go:build linux

package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// writtenVariables are the package variables that seem to be written after the start, and why that
// is right. None is: what a container is to be is a value, which is handed on.
var writtenVariables = map[string]string{
	"plan.forms":      "the address of an element, to be read",
	"signals.handled": "a handler of signals has nothing else to look at",
}

// No package variable is written after the start: neither assigned to, also in a part of it, nor
// handed to somebody by its address.
func TestNoPackageVariableIsWritten(t *testing.T) {
	packages := parsePackages(t, ".")
	require.Greater(t, len(packages), 8)
	found := map[string]bool{}
	for dir, files := range packages {
		for _, w := range writes(dir, files.set, files.parsed) {
			found[w.name] = true
			require.Contains(t, writtenVariables, w.name, "%s writes to it", w.at)
		}
	}
	for name, why := range writtenVariables {
		require.NotEmpty(t, why, name)
		require.True(t, found[name], "nothing writes to %s", name)
	}
}

// The test has to see what it looks for.
func TestWritesAreSeen(t *testing.T) {
	const source = `package p
import "flag"
var a, b, c, d, e, f, g, h, i, k, l, m, n = 1, []int{1}, map[int]int{}, struct{ x int }{}, 1, 1, 1,
	new(int), 1, map[int]int{}, [1]int{}, 1, []func(){}
var read = a
func init() { a = 2 }
func write() {
	a = 2
	b[0] = 3
	c[1] = 2
	d.x = 1
	e++
	f += 1
	take(&g)
	*h = 1
	for i = range 3 {}
	delete(k, 1)
	copy(l[:], b)
	_, m = 1, 2
	func() { n = append(n, nil) }()
	flag.Usage = nil
}
func shadow() {
	a := 1
	a = read
	var b []int
	b[0] = a
	for c := range 3 { _ = c }
	_ = c[1]
	x := d
	x.x = 1
	_ = &x
}
func (t *T) method() { t.x = 1 }
type T struct{ x int }
func take(p *int) { *p = 1 }
`
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, "p.go", source, parser.SkipObjectResolution)
	require.NoError(t, err)
	var names []string
	for _, w := range writes("p", set, []*ast.File{file}) {
		names = append(names, w.name)
	}
	require.ElementsMatch(t, []string{
		"p.a", "p.a", "p.b", "p.c", "p.d", "p.e", "p.f", "p.g", "p.h", "p.i", "p.k", "p.l", "p.m",
		"p.n", "flag.Usage",
	}, names)
}

// opening are the functions of package unix that open a descriptor, which a program that is
// executed would have too.
var opening = []string{
	"Open", "Openat", "Openat2", "OpenTree", "Fsopen", "Fsmount", "Pipe2", "Socket", "Socketpair",
	"Accept4", "Eventfd", "MemfdCreate", "SignalfdCreate", "TimerfdCreate", "InotifyInit1",
	"EpollCreate1",
}

// What the runtime opens it keeps to itself: newuidmap(1), and this program in the container, are
// executed while files of the host are open (O_CLOEXEC of open(2)).
func TestExecveClosesWhatIsOpened(t *testing.T) {
	seen := 0
	for _, files := range parsePackages(t, ".") {
		values := valuesByName(files.parsed)
		for _, file := range files.parsed {
			ast.Inspect(file, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				f, ok := call.Fun.(*ast.SelectorExpr)
				if !ok || fmt.Sprint(f.X) != "unix" || !slices.Contains(opening, f.Sel.Name) {
					return true
				}
				seen++
				require.True(t, saysCloseOnExec(call, values), "%s", files.set.Position(call.Pos()))
				return true
			})
		}
	}
	require.Greater(t, seen, 20)
}

// valuesByName are what constants and variables are defined as.
func valuesByName(files []*ast.File) map[string][]ast.Expr {
	values := map[string][]ast.Expr{}
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ValueSpec:
				for _, name := range n.Names {
					values[name.Name] = append(values[name.Name], n.Values...)
				}
			case *ast.AssignStmt:
				for _, to := range n.Lhs {
					if name, ok := to.(*ast.Ident); ok && n.Tok == token.DEFINE {
						values[name.Name] = append(values[name.Name], n.Rhs...)
					}
				}
			}
			return true
		})
	}
	return values
}

// saysCloseOnExec tells whether the arguments of a call name such a flag, also by another name.
func saysCloseOnExec(call *ast.CallExpr, values map[string][]ast.Expr) bool {
	says := func(n ast.Node, more func(name string) bool) (found bool) {
		ast.Inspect(n, func(n ast.Node) bool {
			if name, ok := n.(*ast.Ident); ok {
				found = found || strings.HasSuffix(name.Name, "_CLOEXEC") || more(name.Name)
			}
			return true
		})
		return found
	}
	no := func(string) bool { return false }
	isFlag := func(name string) bool {
		says := func(value ast.Expr) bool { return says(value, no) }
		return len(values[name]) > 0 && slices.ContainsFunc(values[name], says)
	}
	return slices.ContainsFunc(call.Args, func(arg ast.Expr) bool { return says(arg, isFlag) })
}

type sources struct {
	set    *token.FileSet
	parsed []*ast.File
}

// parsePackages parses the packages in a directory and below, without their tests.
func parsePackages(t *testing.T, dir string) map[string]*sources {
	packages := map[string]*sources{}
	require.NoError(t, filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return err
		}
		in, file := filepath.Split(name)
		if ours, err := build.Default.MatchFile(in, file); !ours || err != nil {
			return err // for another system, or another processor
		}
		if packages[in] == nil {
			packages[in] = &sources{set: token.NewFileSet()}
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(packages[in].set, name, text, parser.SkipObjectResolution)
		packages[in].parsed = append(packages[in].parsed, parsed)
		return err
	}))
	return packages
}

// A write is a place where a variable of a package is written.
type write struct{ name, at string }

// A reader goes through the sources of a package.
type reader struct {
	*types.Info
	pkg   *types.Package
	set   *token.FileSet
	found []write
}

// writes finds those of a package. Packages that it imports are not needed to tell whose a name is.
func writes(name string, set *token.FileSet, files []*ast.File) []write {
	r := &reader{
		Info: &types.Info{
			Uses: map[*ast.Ident]types.Object{},
			Defs: map[*ast.Ident]types.Object{},
		},
		set: set,
	}
	conf := types.Config{Importer: nothing{}, Error: func(error) {}}
	r.pkg, _ = conf.Check(name, set, files, r.Info) // what is imported is missing
	for _, file := range files {
		ast.Inspect(file, r.visit)
	}
	return r.found
}

// nothing imports empty packages.
type nothing struct{}

func (nothing) Import(path string) (*types.Package, error) {
	if path == "C" || path == "unsafe" {
		return nil, errors.New("not needed")
	}
	p := types.NewPackage(path, filepath.Base(path))
	p.MarkComplete()
	return p, nil
}

// changing are the built-in functions that change what they are given first.
var changing = map[string]bool{"delete": true, "copy": true, "clear": true}

func (r *reader) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			for _, to := range n.Lhs {
				r.written(to)
			}
		}
	case *ast.IncDecStmt:
		r.written(n.X)
	case *ast.RangeStmt:
		if n.Tok == token.ASSIGN {
			r.written(n.Key)
			r.written(n.Value)
		}
	case *ast.UnaryExpr:
		if n.Op == token.AND {
			r.written(n.X)
		}
	case *ast.CallExpr:
		if f, ok := n.Fun.(*ast.Ident); ok && changing[f.Name] && len(n.Args) > 0 {
			r.written(n.Args[0])
		}
	case *ast.GenDecl:
		return n.Tok != token.VAR || r.isLocal(n) // a declaration is at the start
	}
	return true
}

func (r *reader) isLocal(n *ast.GenDecl) bool {
	for _, spec := range n.Specs {
		for _, name := range spec.(*ast.ValueSpec).Names {
			if o := r.Defs[name]; o != nil && o.Parent() == r.pkg.Scope() {
				return false
			}
		}
	}
	return true
}

// written notes a write to an expression, if it is a package variable, or a part of one.
func (r *reader) written(to ast.Expr) {
	for {
		switch e := to.(type) {
		case *ast.IndexExpr:
			to = e.X
		case *ast.SliceExpr:
			to = e.X
		case *ast.StarExpr:
			to = e.X
		case *ast.ParenExpr:
			to = e.X
		case *ast.SelectorExpr:
			if x, ok := e.X.(*ast.Ident); ok {
				if p, ok := r.Uses[x].(*types.PkgName); ok {
					r.note(p.Imported().Path()+"."+e.Sel.Name, e.Pos())
					return
				}
			}
			to = e.X
		case *ast.Ident:
			if v, ok := r.Uses[e].(*types.Var); ok && v.Parent() == r.pkg.Scope() {
				r.note(r.pkg.Name()+"."+e.Name, e.Pos())
			}
			return
		default:
			return
		}
	}
}

func (r *reader) note(name string, at token.Pos) {
	r.found = append(r.found, write{name, fmt.Sprint(r.set.Position(at))})
}
