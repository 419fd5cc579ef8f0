//go:build linux

package harness

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"container.example/workshop/internal/lazyregexp"
)

// This file reads the log that testscript writes of a script: commands after "> ", what they wrote
// after [stdout] and [stderr], and FAIL with the place and the message.

var (
	failLine = lazyregexp.New(`(?s)(?:^|\n)FAIL: [^\n]*?:(\d+): (.*)$`)
	// ended matches the line that tells how a program ended, or why it did not start.
	ended = lazyregexp.New(`^\[(exit status |signal: |fork/exec |exec: ).*\]$`)
	// endedInLine matches that after output that has no line break at its end.
	endedInLine = lazyregexp.New(`^(.+)\[((?:exit status |signal: )[^\[\]]*)\]$`)
	// stderrInLine matches the heading after output that has no line break at its end.
	stderrInLine = lazyregexp.New(`^(.+)\[stderr\]$`)
	// runs matches the commands of a script that run a program.
	runs = lazyregexp.New(`^(\[\S+\] )*(! )?(exec|exits) `)
	// backgroundLine is how the log names a program in the background.
	backgroundLine = lazyregexp.New(`^\[background\] (.*): ((?:exit status|signal:) .*)$`)
	// ourLine matches the commands that instrument puts into a script.
	ourLine = lazyregexp.New(`(?m)^> (\[\S+\]\s*)*(at \d+|stage (before|after) \d+)\n`)
)

// readable is the log of an instrumented script in file, as if the script had run from the file
// original. It also returns the number of the line there that failed, or 0.
func readable(log, file, original string, lines []int) (text string, failed int) {
	text = ourLine.ReplaceAllString(log, "")
	place := regexp.MustCompile(`(?m)^FAIL: ` + regexp.QuoteMeta(file) + `:(\d+): `)
	text = place.ReplaceAllStringFunc(text, func(match string) string {
		n, _ := strconv.Atoi(place.FindStringSubmatch(match)[1])
		if n >= 1 && n <= len(lines) {
			failed = lines[n-1]
		}
		return fmt.Sprintf("FAIL: %s:%d: ", original, failed)
	})
	return text, failed
}

// readLog reads the log of a script that failed.
func readLog(log string) (f Failure) {
	log = strings.TrimSpace(log)
	match := failLine.FindStringSubmatchIndex(log)
	if match == nil {
		f.Message = log
		return f
	}
	f.Line, _ = strconv.Atoi(log[match[2]:match[3]])
	message, background, _ := strings.Cut(log[match[4]:match[5]]+"\n", "\n[background] ")
	f.Message, f.Background = strings.TrimSpace(message), inBackground(background)
	into := (*string)(nil)
	for line := range strings.Lines(log[:match[0]]) {
		switch text := strings.TrimSuffix(line, "\n"); {
		case strings.HasPrefix(line, "> "):
			into, f.Diff = nil, ""
			if command := strings.TrimPrefix(text, "> "); runs.MatchString(command) {
				f.Ran, f.Stdout, f.Stderr = command, "", ""
			}
		case strings.HasPrefix(text, "[background] "):
			into = nil
		case strings.HasPrefix(text, "diff "):
			into = &f.Diff
			f.Diff = ""
		case text == "[stdout]":
			into = &f.Stdout
			f.Stdout = ""
		case text == "[stderr]":
			into = &f.Stderr
			f.Stderr = ""
		case into == &f.Stdout && stderrInLine.MatchString(text):
			f.Stdout += stderrInLine.FindStringSubmatch(text)[1]
			into = &f.Stderr
			f.Stderr = ""
		case ended.MatchString(text):
			into = nil
			f.Message = strings.Trim(text, "[]")
		case into != nil && endedInLine.MatchString(text):
			m := endedInLine.FindStringSubmatch(text)
			*into += m[1]
			into, f.Message = nil, m[2]
		case into != nil:
			*into += line
		}
	}
	if strings.Contains(f.Ran, "exits ") { // testscript.Exec logs a line break more
		f.Stdout, f.Stderr = lessOneBreak(f.Stdout), lessOneBreak(f.Stderr)
	}
	return f
}

func lessOneBreak(text string) string { return strings.TrimSuffix(text, "\n") }

// inBackground reads what the log has, after the failure, of the programs in the background: a line
// with the command and how it ended, and what it wrote.
func inBackground(log string) (all []Background) {
	into := (*string)(nil)
	for line := range strings.Lines("[background] " + log) {
		text := strings.TrimSuffix(line, "\n")
		if m := backgroundLine.FindStringSubmatch(text); m != nil {
			b := Background{Command: m[1], State: m[2]}
			if b.State == "signal: killed" { // by visit.fail
				b.State = ""
			}
			all, into = append(all, b), nil
			continue
		}
		switch {
		case len(all) == 0:
		case text == "[stdout]":
			into = &all[len(all)-1].Stdout
		case text == "[stderr]":
			into = &all[len(all)-1].Stderr
		case into == &all[len(all)-1].Stdout && stderrInLine.MatchString(text):
			*into += stderrInLine.FindStringSubmatch(text)[1]
			into = &all[len(all)-1].Stderr
		case into != nil:
			*into += line
		}
	}
	return all
}
