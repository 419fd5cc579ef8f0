//go:build linux

package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// This file reads what the runtimes of some languages write when a program of theirs has a bug.

var (
	panicRE = regexp.MustCompile(`(?m)^(panic: .*|fatal error: .*|` +
		`Traceback \(most recent call last\):|` +
		`thread '.*' .*panicked at .*|Segmentation fault.*)$`)
	frameRE  = regexp.MustCompile(`(?m)^\s+(/\S+\.go):(\d+)`)
	pythonRE = regexp.MustCompile(`(?m)^(\w+(?:Error|Exception|Interrupt)\b.*)$`)
	calledRE = regexp.MustCompile(`(?m)^  File "([^"]+)", line (\d+), in \S+\n    (.*)$`)
	rustRE   = regexp.MustCompile(`panicked at (?:'(.*)', )?(\S+:\d+)(?::\d+)?:?\n?(.*)`)
)

// panicked is the first line of a panic, and below it the place in the program and the source line
// there, if they are known.
func panicked(stderr string) string {
	first := panicRE.FindString(stderr)
	switch {
	case strings.HasPrefix(first, "Traceback"):
		return pythonTrace(stderr)
	case strings.HasPrefix(first, "thread "):
		if m := rustRE.FindStringSubmatch(stderr); m != nil {
			return strings.TrimSpace("panic: "+m[1]+m[3]) + "\nat " + m[2]
		}
	case first != "":
		if place := goPlace(stderr); place != "" {
			return first + "\n" + place
		}
	}
	return first
}

// pythonTrace is the error of a traceback, with the innermost line of the program itself.
func pythonTrace(stderr string) string {
	text := pythonRE.FindString(stderr)
	for _, m := range calledRE.FindAllStringSubmatch(stderr, -1) {
		if !strings.Contains(m[1], "/lib/python") && !strings.HasPrefix(m[1], "<") {
			text = pythonRE.FindString(stderr) + "\nat " + relative(m[1]) + ":" + m[2] + ": " + m[3]
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
		place := "at " + relative(file) + ":" + m[2]
		if lines := strings.Split(string(text), "\n"); line >= 1 && line <= len(lines) {
			place += ": " + strings.TrimSpace(lines[line-1])
		}
		return place
	}
	return ""
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
		case "panic", "print", "println", "string":
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
		case "Error", "Exit", "String", "Fatal", "Fatalf":
			return true
		}
	}
	return false
}
