//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"container.example/workshop/internal/harness"
)

// explainBuild says why there is no program, and what to do next.
func (a *app) explainBuild(b *harness.BuildError, next string) {
	out := a.out
	if b.Cause != "" {
		out.printf("\n%s %s\n", out.bad.Render("✗"),
			out.bold.Render(out.wrap(fmt.Sprintf("%s cannot be built: %s", relative(b.Source),
				b.Cause), 2)))
		if b.Output != "" {
			out.printf("\n  %s\n", out.wrap(verbatim(buildOutput(b.Source, b.Output), 8), 2))
		}
		out.printf("\nNext: %s, then %s\n", out.wrap(b.Advice, 6), out.note.Render(next))
		return
	}
	out.printf("\n%s it does not compile\n\n", out.bad.Render("✗"))
	shown := 0
	for line := range strings.SplitSeq(verbatim(buildOutput(b.Source, b.Output), 12), "\n") {
		out.printf("%s\n", out.wrap(line, 4))
		m := harness.Mistake.FindStringSubmatch(line)
		if m == nil || shown == mostSources {
			continue
		}
		if text := sourceLine(m[1], m[2]); text != "" {
			out.printf("    %s\n", out.faint.Render(out.cut(text)))
			shown++
		}
	}
	out.printf("\nNext: mend the first of these lines, then %s\n", out.note.Render(next))
}

// mostSources is for how many mistakes the source line is shown. The first is to be mended first.
const mostSources = 3

// sourceLine is a line of a file, with its number.
func sourceLine(file, number string) string {
	text, err := os.ReadFile(file)
	n, _ := strconv.Atoi(number) // as the pattern has it
	lines := strings.Split(string(text), "\n")
	if err != nil || n < 1 || n > len(lines) {
		return ""
	}
	return number + " | " + strings.ReplaceAll(strings.TrimRight(lines[n-1], " \t\r"), "\t", "    ")
}

// buildOutput makes the compiler's file names relative to the working directory.
func buildOutput(source, output string) string {
	dir := source
	if strings.HasSuffix(dir, ".go") {
		dir = filepath.Dir(dir)
	}
	var lines []string
	for line := range strings.SplitSeq(output, "\n") {
		name := strings.TrimPrefix(line, "./")
		if file, _, ok := strings.Cut(name, ":"); ok && strings.HasSuffix(file, ".go") {
			if _, err := os.Stat(filepath.Join(dir, file)); err == nil {
				line = filepath.Join(relative(dir), file) + strings.TrimPrefix(name, file)
			}
		}
		if !strings.HasPrefix(line, "# ") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}
