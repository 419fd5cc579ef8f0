package lessons

import (
	"bytes"
	"go/scanner"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	maxLines   = 99  // of code in a file, without blank lines and comments
	maxColumns = 100 // of a line, where a tab counts as 4
)

// article are the steps that keep the shape of the article: parent starts child, and child the
// command.
var article = []string{"step1-skeleton", "step2-namespaces", "step3-rootfs", "step4-cgroups"}

// files lists the files of all steps with names of this form.
func files(t *testing.T, pattern string) []string {
	// The names are those in testdata: in the root of the module there is .git, which is another
	// after each command of Git, and then the result of the test would not be kept.
	steps, err := filepath.Glob("../../testdata/step[0-9]*")
	require.NoError(t, err)
	var found []string
	for _, step := range steps {
		own, err := filepath.Glob(filepath.Join("../..", filepath.Base(step), pattern))
		require.NoError(t, err)
		found = append(found, own...)
	}
	require.NotEmpty(t, found)
	return found
}

func read(t *testing.T, file string) string {
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(text)
}

// step is the name of the step that a file belongs to.
func step(file string) string { return filepath.Base(filepath.Dir(file)) }

// TestLines requires of each file that it is short.
func TestLines(t *testing.T) {
	for _, file := range files(t, "*.go") {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		lines := linesOfCode(t, file, read(t, file))
		t.Logf("%4d %s/%s", lines, step(file), filepath.Base(file))
		if lines > maxLines {
			t.Errorf("%s: %d lines of code, and there may be %d", file, lines, maxLines)
		}
	}
}

// linesOfCode counts the lines with a token that is no comment.
func linesOfCode(t *testing.T, file, text string) int {
	fset := token.NewFileSet()
	f := fset.AddFile(file, -1, len(text))
	var s scanner.Scanner
	s.Init(f, []byte(text), func(at token.Position, msg string) { t.Errorf("%s: %s", at, msg) }, 0)
	lines := map[int]bool{}
	for {
		pos, tok, literal := s.Scan()
		if tok == token.EOF {
			return len(lines)
		}
		if tok == token.SEMICOLON && literal == "\n" {
			continue // the end of a line, which the scanner takes for one
		}
		for i := range 1 + strings.Count(literal, "\n") { // of a raw string
			lines[f.Line(pos)+i] = true
		}
	}
}

// TestColumns requires of each line that it fits on a projector.
func TestColumns(t *testing.T) {
	for _, file := range files(t, "*.go") {
		for i, line := range strings.Split(read(t, file), "\n") {
			columns := len([]rune(strings.ReplaceAll(line, "\t", "    ")))
			if columns > maxColumns {
				t.Errorf("%s:%d: %d columns, and there may be %d", file, i+1, columns, maxColumns)
			}
		}
	}
}

// TestSame requires that what nobody has to read twice is the same to the byte in each step that
// has it.
func TestSame(t *testing.T) {
	for _, name := range []string{"run.go", "other.go"} {
		for _, step := range article {
			require.FileExists(t, filepath.Join("../..", step, name))
		}
		same := files(t, name)
		for _, file := range same {
			require.True(t, read(t, file) == read(t, same[0]), "diff -u %s %s", same[0], file)
		}
	}
}

var (
	excerpt  = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")
	function = regexp.MustCompile(`(?m)^func (?:\([^)]*\) )?(\w+)\(`)
)

// TestOrder requires that the functions of main.go are in the same order in each step.
func TestOrder(t *testing.T) {
	before := []string{}
	for _, step := range article {
		names := []string{}
		text := read(t, filepath.Join("../..", step, "main.go"))
		for _, match := range function.FindAllStringSubmatch(text, -1) {
			names = append(names, match[1])
		}
		both := func(a, b []string) []string {
			return slices.DeleteFunc(slices.Clone(a), func(name string) bool {
				return !slices.Contains(b, name)
			})
		}
		require.Equal(t, both(before, names), both(names, before), step)
		before = names
	}
}

// TestExcerpts requires that the lines of code in a README are in the sources beside it.
func TestExcerpts(t *testing.T) {
	for _, readme := range files(t, "README.md") {
		var sources bytes.Buffer
		for _, file := range files(t, "*.go") {
			if step(file) == step(readme) {
				sources.WriteString(read(t, file))
			}
		}
		for _, match := range excerpt.FindAllStringSubmatch(read(t, readme), -1) {
			if !strings.Contains(sources.String(), match[1]) {
				t.Errorf("%s: not in the sources of the step:\n%s", readme, match[1])
			}
		}
	}
}
