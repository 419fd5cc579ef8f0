//go:build linux

package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"container.example/workshop/internal/lazyregexp"
)

// This file reads what the runtimes of some languages write when a program of theirs has a bug.

var (
	panicRE = lazyregexp.New(`(?m)^(panic: .*|fatal error: .*|` +
		`Traceback \(most recent call last\):|` +
		`thread '.*' .*panicked at .*|Segmentation fault.*)$`)
	frameRE = lazyregexp.New(`(?m)^\s+(/\S+\.go):(\d+)`)
	// raisedRE matches the first line that is neither indented nor the heading, and names an error.
	raisedRE = lazyregexp.New(`(?m)^[A-Za-z_][\w.]*(?::.*)?$`)
	// There is no text of the line where Python cannot read the file, as in another root, and no
	// function where the error is one of syntax.
	calledRE = lazyregexp.New(`(?m)^  File "([^"]+)", line (\d+)(?:, in \S+)?(?:\n    (.*))?$`)
	// the text, or the second line of it, is below the place
	rustRE = lazyregexp.New(`panicked at (?:'(.*)', )?(\S+:\d+)(?::\d+)?:?\n?(.*?)(: ?\n.+|\n|$)`)
	// main.rb:3:in `cp': no such file (Errno::ENOENT)
	rubyRE      = lazyregexp.New(`(?m)^(\S+:\d+):in [\x60'].*?': (.*) \((\w+(?:::\w+)*)\)$`)
	rubyFrameRE = lazyregexp.New(`(?m)^(?:\tfrom )?(\S+?):(\d+):in `)
	// main.nim(3) main, and below all of these the error
	nimRE      = lazyregexp.New(`(?m)^Error: unhandled exception: ((?:.*\n?)+?.*) \[(\w+)\]$`)
	nimFrameRE = lazyregexp.New(`(?m)^(\S+\.nim)\((\d+)\) `)
	// PHP Fatal error:  Uncaught Error: text in main.php:3
	phpRE = lazyregexp.New(`(?m)^PHP Fatal error:  (?:Uncaught )?(.*) in \S+?` +
		`(?::| on line )\d+$`)
	// an Error: text, and at main (file.js:3:4) below it
	nodeRE = lazyregexp.New(`(?m)^(?:Uncaught )?(\w*Error(?: \[\w+\])?: .*)\n` +
		`(?:.*\n)*?\s+at .*:\d+:\d+\)?$`)
	nodeFrameRE = lazyregexp.New(`(?m)^\s+at (?:.*\()?(?:file://)?(/\S+?):(\d+):\d+\)?$`)
	// Exception in thread "main" an.Error: text, and at Main.main(Main.java:3) below it
	javaRE      = lazyregexp.New(`(?m)^Exception in thread "\S+" (.*)$`)
	javaFrameRE = lazyregexp.New(`(?m)^\s+at (?:[\w.$/@]*?)\((\w+\.\w+):(\d+)\)$`)
	// text at ./container.pl line 3. If it is not the end it was only a warning.
	perlRE = lazyregexp.New(`(?:^|\n)([^\n]+) at \S+ line \d+\.\s*$`)
	// perlWarningRE matches some warnings, which may come last as well.
	perlWarningRE = lazyregexp.New(`^(Use of uninitialized value|Argument ".*" isn't |` +
		`Useless use of |Odd number of elements|Wide character in |Name ".*" used only once|` +
		`Statement unlikely to be reached|Scalar value @|` +
		`\w+\(\) on (closed|unopened) filehandle|Exiting \w+ via |Deep recursion on )`)
	perlFrameRE = lazyregexp.New(`(?m) at (/\S+) line (\d+)\.$`)
	// Fatal error: exception Failure("text"), or as a script Exception: Failure "text".
	ocamlRE = lazyregexp.New(`(?m)^(?:Fatal error: exception (.+)|` +
		`Exception: ([A-Z][\w.]*(?: ?\(.*\)| ".*"\.|\.)))$`)
	// Raised at Main.run in file "main.ml", line 3, characters 4-5. The library's are left out.
	ocamlFrameRE = lazyregexp.New(`(?m)^(?:Raised at|Raised by primitive operation at|` +
		`Re-raised at|Called from) (?:(?:[A-RT-Z]|S[^t\s]|St[^d\s])\S* in )?file "([^"]+)"` +
		`(?: \(inlined\))?, lines? (\d+)`)
	// raised CONSTRAINT_ERROR : main.adb:3 index check failed
	adaRE      = lazyregexp.New(`(?m)^raised ([A-Z][\w.]+) : (?:\S+\.ad[abs]:\d+ )?(.*)$`)
	adaFrameRE = lazyregexp.New(`(?m)^raised \S+ : (\S+\.ad[abs]):(\d+) `)
	// Unhandled exception: text (Its::Class), and from main.cr:3:5 in 'prepare' below it
	crystalRE      = lazyregexp.New(`(?m)^Unhandled exception: (.*) \(([A-Z][\w:]*)\)$`)
	crystalFrameRE = lazyregexp.New(`(?m)^  from (\S+\.cr):(\d+):\d+ in `)
	// object.Exception@main.d(3): text, a line of dashes, and main.d:3 below it
	dRE      = lazyregexp.New(`(?m)^([a-z][\w.]*)@\S+\(\d+\): (.*)\n-{16}$`)
	dFrameRE = lazyregexp.New(`(?m)^(?:[a-z][\w.]*@)?(\S+\.d)[:(](\d+)(?:\):)? `)
	// main: text, and error, called at main.hs:3:5 in main:Main below it
	haskellRE      = lazyregexp.New(`(?m)^\S+: (.*)\nCallStack \(from HasCallStack\):$`)
	haskellFrameRE = lazyregexp.New(`(?m)^  \w+, called at (\S+\.hs):(\d+):\d+ in `)
	// Unhandled AN-ERROR in thread #<its name> on one line or two, and the text below it
	lispRE = lazyregexp.New(`(?m)^Unhandled (\S+) in thread .*(?:\n +\{.*)?:\n((?:  .*\n)+)`)
	// lua5.4: main.lua:3: text, a heading, and main.lua:3: in main chunk below it
	luaRE      = lazyregexp.New(`(?m)^\S*lua\S*: (?:\S+:\d+: )?(.*)\nstack traceback:$`)
	luaFrameRE = lazyregexp.New(`(?m)^\t(\S+?):(\d+): in `)
	// the error with its text, and PREPARE, line 3 of main.pas below it
	pascalRE = lazyregexp.New(`(?m)^An unhandled exception occurred at \$[0-9A-F]+:\n(.*)$`)
)

// ofLibraries matches files that are not of the program. Those of Nim are without a directory.
var ofLibraries = lazyregexp.New(`^/usr/lib/|/lib/(python|ruby|nim)|/gems/|^fatal\.nim$|` +
	`/node_modules/|^node:`)

// traces are those of other languages: how they name the error and the places, innermost first.
var traces = []struct {
	bug   lazyregexp.Regexp // with the error as its first group
	text  string            // what is told of the error
	frame lazyregexp.Regexp // with the file and the line; none if the trace has no such place
	// last tells that the innermost place is the last.
	last bool
}{
	{bug: rubyRE, text: "$3: $2", frame: rubyFrameRE},
	{bug: nimRE, text: "$2: $1", frame: nimFrameRE, last: true},
	{bug: phpRE, text: "$1", frame: lazyregexp.New(`(?m) in (\S+?)(?::| on line )(\d+)$`)},
	{bug: nodeRE, text: "$1", frame: nodeFrameRE},
	{bug: javaRE, text: "$1", frame: javaFrameRE},
	{bug: ocamlRE, text: "exception $1$2", frame: ocamlFrameRE},
	{bug: adaRE, text: "$1: $2", frame: adaFrameRE},
	{bug: crystalRE, text: "$2: $1", frame: crystalFrameRE},
	{bug: dRE, text: "$1: $2", frame: dFrameRE},
	{bug: haskellRE, text: "panic: $1", frame: haskellFrameRE},
	{bug: lispRE, text: "$1: $2"},
	{bug: luaRE, text: "panic: $1", frame: luaFrameRE},
	{bug: pascalRE, text: "$1"},
	{bug: perlRE, text: "panic: $1", frame: perlFrameRE, last: true},
}

// perlWarning is a warning of Perl at the end of what a program wrote, or nothing.
func perlWarning(stderr string) string {
	m := perlRE.FindStringSubmatch(stderr)
	if m == nil || !perlWarningRE.MatchString(m[1]) {
		return ""
	}
	return m[1]
}

// traceOf is what panicked tells of a trace of one of these languages, or nothing.
func traceOf(stderr string) string {
	for _, l := range traces {
		m := l.bug.FindStringSubmatchIndex(stderr)
		if m == nil {
			continue
		}
		if l.bug == perlRE && perlWarning(stderr) != "" {
			continue
		}
		text := string(l.bug.ExpandString(nil, l.text, stderr, m))
		text = strings.Join(strings.Fields(text), " ")
		if l.frame == (lazyregexp.Regexp{}) {
			return text
		}
		frames := l.frame.FindAllStringSubmatch(stderr, -1)
		if l.last {
			slices.Reverse(frames)
		}
		for _, f := range frames {
			if !ofLibraries.MatchString(f[1]) {
				return text + "\nat " + sourceAt(f[1], f[2])
			}
		}
		return text
	}
	return ""
}

// withSource adds the source line to the place of a panic that is a relative path, as those of Rust
// are: it begins at a directory above the program.
func withSource(panicked, program string) string {
	m := relativeRE.FindStringSubmatchIndex(panicked)
	if m == nil || program == "" {
		return panicked
	}
	for dir := filepath.Dir(program); dir != "/"; dir = filepath.Dir(dir) {
		file := filepath.Join(dir, panicked[m[2]:m[3]])
		if _, err := os.Stat(file); err == nil {
			return panicked[:m[0]] + "\nat " + sourceAt(file, panicked[m[4]:m[5]])
		}
	}
	return panicked
}

// relativeRE matches a place at the end of what panicked tells.
var relativeRE = lazyregexp.New(`\nat ([^/\s:][^\s:]*):(\d+)(?::\d+)?$`)

// sourceAt is a place in a file, with the text of the line if the file is here.
func sourceAt(file, line string) string {
	place := relative(file) + ":" + line
	n, err := strconv.Atoi(line)
	text, readErr := os.ReadFile(file)
	if err != nil || readErr != nil {
		return place
	}
	if lines := strings.Split(string(text), "\n"); n >= 1 && n <= len(lines) {
		place += ": " + strings.TrimSpace(lines[n-1])
	}
	return place
}

// panicked is the first line of a panic, and below it the place in the program and the source line
// there, if they are known.
func panicked(stderr string) string {
	first := panicRE.FindString(stderr)
	switch {
	case strings.HasPrefix(first, "Traceback"):
		return pythonTrace(stderr)
	case strings.HasPrefix(first, "thread "):
		if m := rustRE.FindStringSubmatch(stderr); m != nil {
			text := strings.Join(strings.Fields("panic: "+m[1]+m[3]+m[4]), " ")
			return text + "\nat " + m[2]
		}
	case first != "":
		if place := goPlace(stderr); place != "" {
			return first + "\n" + place
		}
	case first == "":
		return traceOf(stderr)
	}
	return first
}

// beforePanic is what was written on standard error before a panic, by the command for instance. It
// is all if there was no panic.
func beforePanic(stderr string) string {
	if panicked(stderr) == "" {
		return stderr
	}
	if i := panicRE.FindStringIndex(stderr); i != nil {
		return stderr[:i[0]]
	}
	return "" // its trace begins somewhere
}

// pythonTrace is the error of a traceback, with the innermost line of the program itself. Of
// several, where one error led to another, it is the last.
func pythonTrace(stderr string) string {
	last := stderr[strings.LastIndex(stderr, "Traceback (most recent call last):"):]
	raised := raisedRE.FindString(last)
	text := raised
	for _, m := range calledRE.FindAllStringSubmatch(last, -1) {
		if !strings.Contains(m[1], "/lib/python") && !strings.HasPrefix(m[1], "<") {
			place := relative(m[1]) + ":" + m[2] + ": " + m[3]
			if m[3] == "" {
				place = sourceAt(m[1], m[2])
			}
			text = raised + "\nat " + place
		}
	}
	return text
}

// goPlace is the innermost line of a Go program that did something when it ended in a panic: not
// that of a function that only looks at an error and panics.
func goPlace(stderr string) string {
	for _, m := range frameRE.FindAllStringSubmatch(stderr, -1) {
		file := m[1]
		if strings.Contains(file, "/src/runtime/") || strings.Contains(file, "/go/src/") ||
			strings.Contains(file, "/pkg/mod/") {
			continue
		}
		line, err := strconv.Atoi(m[2])
		text, readErr := os.ReadFile(file)
		if err != nil || readErr != nil {
			return "at " + relative(file) + ":" + m[2] // the source is elsewhere
		}
		if onlyPanics(file, text, line) {
			continue
		}
		return "at " + sourceAt(file, strconv.Itoa(failedAt(file, text, line)))
	}
	return ""
}

// failedAt is the line where the error came from that this line of a file reports, as in
// panic(err), or the line itself.
func failedAt(file string, text []byte, line int) int {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, file, text, parser.SkipObjectResolution)
	if err != nil {
		return line
	}
	at := func(n ast.Node) int { return fset.Position(n.Pos()).Line }
	reported := ""
	ast.Inspect(f, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok && at(call) == line && len(call.Args) > 0 {
			last, ok := call.Args[len(call.Args)-1].(*ast.Ident)
			if ok && (last.Name == "e" || strings.Contains(strings.ToLower(last.Name), "err")) {
				reported = last.Name
			}
		}
		return true
	})
	if reported == "" {
		return line
	}
	around := func(n ast.Node) bool {
		return at(n) <= line && line <= fset.Position(n.End()).Line
	}
	from, candidates := line, 0 // the last assignment that was made for sure, and those since then
	var look func(n ast.Node, sure bool)
	look = func(n ast.Node, sure bool) {
		ast.Inspect(n, func(inner ast.Node) bool {
			switch inner := inner.(type) {
			case *ast.FuncDecl: // the error is of the same function
				return around(inner)
			case *ast.BlockStmt, *ast.CaseClause, *ast.CommClause:
				if inner != n && sure && !around(inner) {
					look(inner, false)
					return false
				}
			case *ast.AssignStmt:
				other := !sure && inner.Tok == token.DEFINE // a variable of the branch
				if at(inner) > line || other || !sets(inner, reported) {
					return true
				}
				if from = at(inner); sure {
					candidates = 0
				}
				candidates++
			}
			return true
		})
	}
	look(f, true)
	if candidates > 1 { // and nobody knows which
		return line
	}
	return from
}

// sets tells whether an assignment is one to a variable of this name.
func sets(set *ast.AssignStmt, variable string) bool {
	return slices.ContainsFunc(set.Lhs, func(to ast.Expr) bool {
		name, ok := to.(*ast.Ident)
		return ok && name.Name == variable
	})
}

// onlyPanics tells whether the function at this line of a file does nothing but report an error,
// and end the program.
func onlyPanics(file string, text []byte, line int) bool {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, file, text, parser.SkipObjectResolution)
	if err != nil {
		return false
	}
	for _, decl := range f.Decls {
		function, ok := decl.(*ast.FuncDecl)
		if !ok || function.Body == nil || function.Name.Name == "main" {
			continue
		}
		if fset.Position(function.Pos()).Line > line || fset.Position(function.End()).Line < line {
			continue
		}
		only := true
		ast.Inspect(function.Body, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok && !reports(call.Fun) {
				only = false
			}
			return only
		})
		return only
	}
	return false
}

// reports tells whether a function that is called by this name says what an error is, or ends the
// program.
func reports(function ast.Expr) bool {
	switch f := function.(type) {
	case *ast.Ident:
		switch f.Name {
		case "panic", "print", "println", "string", "int":
			return true
		}
	case *ast.SelectorExpr:
		if of, ok := f.X.(*ast.Ident); ok {
			switch of.Name {
			case "fmt", "log", "errors", "slog", "debug", "strings":
				return true
			}
		}
		switch f.Sel.Name {
		case "Error", "Exit", "String", "Fatal", "Fatalf",
			"ExitCode", "ExitStatus", "Sys", "Exited", "Signal", "Signaled":
			return true
		}
	}
	return false
}
