//go:build linux

package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"container.example/workshop/internal/harness"
	"container.example/workshop/internal/lazyregexp"
)

// This file has the clues that quote a program. What it says of a failure is seen, and not guessed:
// it leads on where no call does.

// ownError is the line in which a program that has not executed the command says what went wrong,
// or nothing. What one process says of the end of another comes of that.
func ownError(e harness.Event) string {
	if executed(e) != "no" {
		return "" // the command may have said it
	}
	said := e.Stdout + "\n" + e.Stderr
	for _, b := range e.Background {
		said += "\n" + b.Stdout + "\n" + b.Stderr
	}
	return errorLine(said)
}

// errorLine is the last line of a text that says what went wrong, or nothing.
func errorLine(said string) (found string) {
	for line := range strings.SplitSeq(said, "\n") {
		line = strings.TrimSpace(escapeRE.ReplaceAllString(line, ""))
		if errorRE.MatchString(line) && !ofOtherRE.MatchString(line) && len(line) < 300 {
			found = line
		}
	}
	return found
}

var (
	// errorRE matches what programs say of what went wrong.
	errorRE = lazyregexp.New(`(?i)error|fail|fatal|cannot|can't|could not|unable|missing|invalid|` +
		`not found|no such|not a |does not|denied|refused|unknown|unexpected|has no `)
	// ofOtherRE matches a warning, a word that all is well, and what a process says that has only
	// waited for another one.
	ofOtherRE = lazyregexp.New(`(?i)\bwarn|` +
		`\b(no|0|without( any)?) (error|fail)|not a problem|^\W*(debug|info)\b|` +
		`\b(exit status|exit code|error code|exited with|status:?) ?\d+`)
	// escapeRE matches the colours of a terminal.
	escapeRE = lazyregexp.New("\x1b\\[[0-9;]*m")
)

// ownWords are the words in which a program says why it did not execute the command, as a sentence.
func ownWords(e harness.Event) string {
	if line := ownError(e); line != "" {
		return fmt.Sprintf(" It says why itself: %q.", line)
	}
	return ""
}

// lastSeen is for a program that failed before it executed the command, where nothing else explains
// that: it says what was seen, and what the program says itself.
func lastSeen(e harness.Event) string {
	m, name := anyStatus.FindStringSubmatch(e.Message), ranCommand(e)
	if m == nil || m[1] == "0" || executed(e) != "no" || strings.HasPrefix(name, "no-such") ||
		strings.Contains(name, "/") || panicked(e.Stderr) != "" {
		return ""
	}
	interpreter, _ := interpreterOf(e.Program)
	known := inShell(e) || shellRE.MatchString(interpreter)
	line := ownError(e)
	var text string
	switch {
	case known:
		text = fmt.Sprintf("There was no execve(2) of %s, which a shell may know by itself.", name)
	default:
		text = fmt.Sprintf("Your program ended before it executed %s: there was no execve(2) of "+
			"it.", name)
	}
	warning := perlWarning(e.Stderr)
	switch {
	case line == "" && warning != "":
		text += fmt.Sprintf(" The last that it wrote is a warning of Perl, %q, which ends a "+
			"program only with `use warnings FATAL`.", warning)
	case line == "":
		text += " No system call explains that, and your program says nothing of an error."
		if last := lastWords(e); last != "" && !known {
			text += fmt.Sprintf(" The last that it wrote is: %q.", last)
		}
	case known:
		text += fmt.Sprintf(" What was said: %q.", line)
	default:
		text += fmt.Sprintf(" It says why itself: %q.", line)
	}
	return text + lastCalls(e)
}

// lastWords is the last line that a program wrote, as far as it does not say that all is well.
func lastWords(e harness.Event) (last string) {
	for line := range strings.SplitSeq(e.Stdout+"\n"+e.Stderr, "\n") {
		line = strings.TrimSpace(escapeRE.ReplaceAllString(line, ""))
		if line != "" && !ofOtherRE.MatchString(line) && len(line) < 300 {
			last = line
		}
	}
	return last
}

// notInModule is for a program in Python that asks for a function of a later version.
func notInModule(e harness.Event) string {
	m := moduleOSRE.FindStringSubmatch(e.Stdout + "\n" + e.Stderr)
	if m == nil || executed(e) != "no" {
		return ""
	}
	return fmt.Sprintf("This version of Python has no os.%s: unshare, setns and the flags of "+
		"namespaces are in the module os since Python 3.12. Before that, ctypes calls unshare(2): "+
		"ctypes.CDLL(None, use_errno=True).unshare(flags).", m[1])
}

// moduleOSRE matches what Python says of a name that its module os does not have yet.
var moduleOSRE = lazyregexp.New(`module 'os' has no attribute '(CLONE_\w+|unshare|setns)'`)

// oldRootMissing is for pivot_root(2) that finds one of its two directories, and not the other.
func (c cause) oldRootMissing() string {
	missing := filepath.Clean(c.missing)
	if c.missing == "" || missing == filepath.Clean(c.path) {
		return ""
	}
	text := fmt.Sprintf("The directory on which the old root is put, %s, is not there: mkdir(2) "+
		"makes it.", missing)
	for _, made := range c.event.Conduct.Made {
		dir := filepath.Clean(lastPath(made))
		if strings.HasPrefix(made, "mkdir") && filepath.Base(dir) == filepath.Base(missing) &&
			dir != missing {
			text += fmt.Sprintf(" Your program made %s: is one of the two mistyped?", dir)
		}
	}
	return text + " pivot_root(\".\", \".\") needs no such directory, see the notes of " +
		"pivot_root(2)."
}
