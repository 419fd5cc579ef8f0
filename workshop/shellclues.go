//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"container.example/workshop/internal/harness"
	"container.example/workshop/internal/lazyregexp"
)

// This file has the clues about what shells, and the tools that they run, do in a way of their own.

// isShell tells whether the program is a script of a shell.
func isShell(e harness.Event) bool {
	interpreter, _ := interpreterOf(e.Program)
	return shellRE.MatchString(interpreter)
}

// wordsJoined is for a program that hands on all words of the command as one.
func wordsJoined(e harness.Event) string {
	given := commandWords(e)
	if executed(e) == "yes" || len(given) < 4 {
		return ""
	}
	joined := strings.Join(given[2:], " ")
	notFound := regexp.MustCompile(`(?m)^([^:\n]+: (line )?\d+|(\S*/)?(ba|da|a|k)?sh): ` +
		regexp.QuoteMeta(joined) + `: (command )?not found$`) // of a shell
	tried := func(r harness.Refusal) bool {
		return strings.HasPrefix(r.Call, "execve") && r.Errno == "ENOENT" &&
			(firstPath(r.Text) == joined || strings.HasSuffix(firstPath(r.Text), "/"+joined))
	}
	if !notFound.MatchString(e.Stderr) &&
		(e.Conduct == nil || !slices.ContainsFunc(e.Conduct.Refused, tried)) {
		return ""
	}
	text := fmt.Sprintf("All words of the command became one, %q, and that is looked for as the "+
		"name of a program. They are to stay a list.", joined)
	if isShell(e) {
		text += " In a shell \"$*\" makes one word of all, and \"$@\" hands on each as it is."
	}
	return text
}

// inputOfBackground is what a shell does with the input of a command in the background.
func inputOfBackground(e harness.Event) string {
	text, err := os.ReadFile(e.Program)
	if err != nil || !isShell(e) || !backgroundRE.Match(text) {
		return ""
	}
	return " A shell gives a command in the background (&) an empty input, and in many shells " +
		"<&0 in that command comes too late: exec 3<&0 before keeps the input of the shell, and " +
		"CMD <&3 3<&- & hands it on."
}

// backgroundRE matches a line of a shell that starts something in the background.
var backgroundRE = lazyregexp.New(`(?m)^[^#\n]*[^&<>\n]&([ \t]*($|#|;;)|[ \t]+[A-Za-z_({])`)

// statusOfLast is for a script of a shell that ends with the status of another command.
func statusOfLast(e harness.Event) string {
	m := exitStatus.FindStringSubmatch(e.Message)
	if e.Script.Name != "exit-status" || m == nil || m[1] != "0" || !isShell(e) {
		return ""
	}
	return fmt.Sprintf("The command ends with %s, and your program with 0. A script ends with the "+
		"status of the last command in it, whatever that is, and $? is that of the last one "+
		"before: keep it at once, status=$?, and end with exit $status.", m[2])
}

// wholeNumbers is for a script of a shell that calculates with parts of numbers.
func wholeNumbers(e harness.Event) string {
	said := e.Stderr
	for _, b := range e.Background {
		said += "\n" + b.Stderr
	}
	m := arithmeticRE.FindStringSubmatch(said)
	if m == nil || !isShell(e) {
		return ""
	}
	return fmt.Sprintf("A shell said %q: the numbers of its $((...)) are whole ones. awk(1) "+
		"calculates with others, as in awk \"BEGIN { print int($cpus * 100000) }\".",
		strings.TrimSpace(m[0]))
}

// arithmeticRE matches what shells say of a number with a point in arithmetic.
var arithmeticRE = lazyregexp.New(`(?m)arithmetic expression: expecting \w+: "[^"\n]*\d*\.\d.*$|` +
	`[^:\n]*\d*\.\d[^:\n]*: (arithmetic )?syntax error: invalid arithmetic operator.*$|` +
	`arithmetic syntax error: [^\n]*\d*\.\d.*$`)

// forkOfTool says with which option unshare(1) starts a child, if the program runs it without that.
func (c cause) forkOfTool() string {
	if c.event.Conduct == nil {
		return ""
	}
	for i, file := range c.event.Conduct.Ran {
		if filepath.Base(file) != "unshare" {
			continue
		}
		pid, fork := false, false
		for n, word := range c.event.Conduct.Words[i] {
			if n > 0 && !strings.HasPrefix(word, "-") {
				break // its command
			}
			pid = pid || pidOptionRE.MatchString(word)
			fork = fork || forkOptionRE.MatchString(word)
		}
		if pid && !fork {
			return " unshare(1) does that with --fork."
		}
	}
	return ""
}

var (
	// pidOptionRE matches the option of unshare(1) for a pid namespace, and forkOptionRE the one
	// for a child.
	pidOptionRE  = lazyregexp.New(`^(--pid|-[a-zA-Z]*p)`)
	forkOptionRE = lazyregexp.New(`^(--fork$|--kill-child|-[a-zA-Z]*f)`)
)
