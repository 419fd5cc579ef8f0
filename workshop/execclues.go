//go:build linux

package main

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"container.example/workshop/internal/harness"
	"container.example/workshop/internal/lazyregexp"
)

// This file has the clues for a command that could not be executed, and for what was executed in
// its place.

// searched tells whether a program looked for a file in several directories, as in those of $PATH.
func (c cause) searched() bool {
	if c.event.Conduct == nil {
		return false
	}
	dirs := map[string]bool{}
	for _, r := range c.event.Conduct.Refused {
		path := firstPath(r.Text)
		if strings.HasPrefix(r.Call, "execve") && filepath.Base(path) == filepath.Base(c.path) {
			dirs[filepath.Dir(path)] = true
		}
	}
	return len(dirs) > 1
}

// noProgram is for execve(2) that finds no file.
func noProgram(c cause) string {
	name := ranCommand(c.event)
	base := filepath.Base(c.path)
	switch {
	case c.path == "/proc/self/exe" && c.seen && c.inside:
		return "Either there is no /proc in the new root, or what your program needs is not in " +
			"there: the kernel says ENOENT as well where the loader of a program is missing " +
			"(execve(2)). Start the second copy before the root is changed."
	case c.path == "/proc/self/exe":
		return "There is no longer a /proc here, or not yet: start the second copy before the " +
			"root is changed."
	case base == "run" || base == "child":
		return fmt.Sprintf("%q is a word for your own program. The command begins one word later.",
			base)
	case c.argument() != "":
		return fmt.Sprintf("%q was to be executed, and is an argument of the command: the "+
			"command is the word after run, here %s. Somewhere on the way the first word of the "+
			"list was lost.", c.argument(), name)
	case strings.Contains(c.path, " ") && !strings.Contains(" "+c.path+" ", name):
		return fmt.Sprintf("Your program wants to execute a command of its own, and takes all of "+
			"it for the path of a file: execve(2) gets the words as a list. And the command is "+
			"named by the words after run, here %s.", name)
	case strings.Contains(c.path, " ") && !strings.Contains(name, " "):
		return "The words of the command line were put together into one. execve(2) gets them as " +
			"a list."
	case toolOfHost(c) != "":
		return toolOfHost(c)
	case c.seen && isOther(c.path, name) && (c.inside || shellRE.MatchString(c.path)):
		return otherMissing(c.event, c.path, c.inside)
	case c.seen && isOther(c.path, name):
		return toolMissing(base)
	case strings.HasPrefix(name, "no-such"), strings.HasPrefix(name, "-"): // there is none
		return ""
	case c.seen && !c.inside && base == name && c.searched() &&
		c.event.Script.Step >= "step3-rootfs":
		return fmt.Sprintf("%s was looked for in all directories of $PATH, with the root of the "+
			"host, and is in none of them. The root file system called rootfs has it in /bin: the "+
			"root is to be changed before the command is executed.", base)
	case c.inside && base == name && c.searched():
		return fmt.Sprintf("%s was looked for in all directories of $PATH, in the new root, and "+
			"is in none of them. The root file system called rootfs has it in /bin: is the new "+
			"root that directory?", base)
	case c.inside && base == name && strings.HasPrefix(c.path, "/") && !onHost(c.path):
		return fmt.Sprintf("Your program executes %s in the new root. Either there is no such "+
			"file, or it was copied from the host, and what it needs is not there: the kernel "+
			"says ENOENT as well where the loader of a program is missing (execve(2)). The root "+
			"file system called rootfs has %s in /bin, with all that it needs.", c.path, base)
	case strings.HasPrefix(c.path, "/") && !strings.Contains(name, "/") && base == name &&
		(c.changedRoot() || strings.Contains(c.text, "fork/exec /")):
		return fmt.Sprintf("%s is where the host has %s. The name was looked up in $PATH before "+
			"the root was changed, and in the "+
			"root file system it may be elsewhere, such as in /bin. Look it up after pivot_root "+
			"or chroot: in many languages "+
			"that happens where the command is prepared, and not where it is started.", c.path,
			base)
	case c.seen && c.path != "" && !strings.Contains(c.path, "/"):
		return "execve(2) takes a path, and does not look into $PATH: find the file first, or " +
			"use a function that does, such as " +
			"execvp(3)."
	}
	return ""
}

// nowhereToLook is for a program that says that it does not find the command, and that was not seen
// to look for it anywhere.
func nowhereToLook(e harness.Event) string {
	name := ranCommand(e)
	if executed(e) != "no" || name == "" || strings.ContainsAny(name, "/-") ||
		!regexp.MustCompile(`(?m)(?:^|[" ])`+regexp.QuoteMeta(name)+`"?`+notInPath).
			MatchString(e.Stderr) {
		return ""
	}
	for _, r := range slices.Concat(e.Conduct.Refused, e.Conduct.Excused) {
		if filepath.Base(firstPath(r.Text)) == name {
			return ""
		}
	}
	return fmt.Sprintf("Your program says that it does not find %s in $PATH, and was not seen to "+
		"look for it in any directory. What is PATH in the environment of this process, at that "+
		"moment?", name)
}

// argument is the argument of the command that was to be executed in its place, or nothing. A tool
// of that name may be one that the program runs for itself.
func (c cause) argument() string {
	words := commandWords(c.event)
	base := filepath.Base(c.path)
	if !c.seen || c.path == "" || executed(c.event) != "no" || len(words) < 4 ||
		base == filepath.Base(words[2]) || setupRE.MatchString("/"+base) ||
		shellRE.MatchString("/"+base) {
		return ""
	}
	for _, word := range words[3:] {
		if word == c.path || word == base {
			return word
		}
	}
	return ""
}

func notExecutableThere(c cause) string {
	if c.event.Script.Name == "command-not-executable" {
		return ""
	}
	return "The file cannot be executed: it is a directory, its mode has no x for the user who " +
		"executes it, it is on a mount with MS_NOEXEC, or a directory on the way to it is closed " +
		"to this user (execve(2), EACCES)."
}

func noFormat(cause) string {
	return "The kernel does not know this format: a script has to begin with #!, as in " +
		"#!/bin/sh, and a program has to be made for this " +
		"kind of processor."
}

// inShell tells whether a shell has got the command, which it may know by itself, as true is known:
// it executes nothing then. It gets a line, or it is the interpreter of the program. A shell that
// executes a tool of the program only passes words on, and so does one that is there to find the
// interpreter, as that of pyenv. The name of the shell is none of its words.
func inShell(e harness.Event) bool {
	name := ranCommand(e)
	interpreter := -1
	for i, file := range e.Conduct.Ran {
		words := e.Conduct.Words[i]
		if interpreterRE.MatchString(file) && filepath.Base(file) != "env" && len(words) > 0 &&
			slices.ContainsFunc(words[1:], ofItself) {
			interpreter = i
		}
	}
	for i, file := range e.Conduct.Ran {
		words := e.Conduct.Words[i]
		if !shellRE.MatchString(file) || len(words) == 0 {
			continue
		}
		words = words[1:]
		if strings.Contains(strings.Join(words, " "), name) &&
			(takesLine(words) || i == interpreter) {
			return true
		}
	}
	return false
}

// takesLine tells whether the words after the name of a shell have its option that makes the next
// word its line. The options end before the first word that is none: a file to execute, for which
// the words after it are.
func takesLine(words []string) bool {
	for n := 0; n < len(words) && strings.HasPrefix(words[n], "-"); n++ {
		switch {
		case lineOptionRE.MatchString(words[n]):
			return true
		case strings.HasSuffix(words[n], "o"): // -o pipefail
			n++
		}
	}
	return false
}

// lineOptionRE matches that option, alone or with others before it.
var lineOptionRE = lazyregexp.New(`^-\w*c$`)

// neverExecuted says that the command was not executed, and what else was, as far as it was seen.
func neverExecuted(e harness.Event) string {
	text := fmt.Sprintf("None of your processes executed %s: there was no execve(2) of it.",
		ranCommand(e))
	if other := otherCommand(e); other != "" {
		if r := triedCommand(e); r != nil {
			place := ""
			if inItsPlace(e, r, other) {
				place = fmt.Sprintf(", and %s was executed in its place", other)
			}
			return strings.TrimSpace(fmt.Sprintf("None of your processes executed %s: %s failed "+
				"with %s%s. %s", ranCommand(e), r.Text, r.Errno, place, refusedCause(e, r).clue()))
		}
		return text + fmt.Sprintf(" They executed %s instead. The command is the word after run: "+
			"is another one named in the source?", other)
	}
	if r := otherRefused(e); r != nil {
		return text + " " + otherMissing(e, firstPath(r.Text), r.Inside)
	}
	return text + ownWords(e)
}

// inItsPlace tells whether the process that tried to execute the command executed a file after
// that: then the call is excused.
func inItsPlace(e harness.Event, r *harness.Refusal, file string) bool {
	return slices.Contains(e.Conduct.Excused, *r) &&
		slices.ContainsFunc(e.Conduct.Steps, func(s harness.Step) bool {
			return s.Process == r.Process && s.Errno == "" &&
				strings.HasPrefix(s.Text, "execve") && firstPath(s.Text) == file
		})
}

// triedCommand is the last call that was to execute the command, and was refused, or nil.
func triedCommand(e harness.Event) *harness.Refusal {
	for _, r := range slices.Backward(slices.Concat(e.Conduct.Excused, e.Conduct.Refused)) {
		if strings.HasPrefix(r.Call, "execve") &&
			filepath.Base(firstPath(r.Text)) == filepath.Base(ranCommand(e)) {
			return &r
		}
	}
	return nil
}

// otherRefused is the call that was to execute another file in the place of the command, which is
// not there, or nil. It is a shell, or something in the root file system.
func otherRefused(e harness.Event) *harness.Refusal {
	for _, r := range slices.Backward(e.Conduct.Refused) {
		path := firstPath(r.Text)
		if strings.HasPrefix(r.Call, "execve") && r.Errno == "ENOENT" &&
			isOther(path, ranCommand(e)) && (r.Inside || shellRE.MatchString(path)) {
			return &r
		}
	}
	return nil
}

// isOther tells whether a file is another one than the command, and none of the program's own.
func isOther(path, command string) bool {
	switch base := filepath.Base(path); base {
	case "run", "child", "exe", filepath.Base(command):
		return false
	}
	return strings.HasPrefix(path, "/") && !strings.HasPrefix(command, "-")
}

// shellRE matches the path of a shell.
var shellRE = lazyregexp.New(`/(ba|da|a|z|k)?sh$`)

// otherMissing is for a program that executes something else than the command, which is not there.
func otherMissing(e harness.Event, path string, inside bool) string {
	where := "here"
	if inside {
		where = "in the root file system, whose shell is /bin/sh"
	}
	text := fmt.Sprintf("Your program wants to execute %s, and there is none %s.", path, where)
	if root := otherRoot(e); inside && root != "" {
		text = fmt.Sprintf("Your program wants to execute %s in the new root, %s, and either it "+
			"is not there, or what it needs is not, such as its loader (execve(2), ENOENT). The "+
			"root file system called rootfs has /bin/sh, with all that it needs.", path, root)
	}
	if hasCommand(e, path) {
		return text + fmt.Sprintf(" It was to execute %s in turn. No shell has to come between: "+
			"the file and the arguments that execve(2) takes are the words after run.",
			ranCommand(e))
	}
	return text + " The command is the word after run: is another one named in the source?"
}

// otherRoot is the directory to which a program changed its root, if it is not the one called
// rootfs, or nothing.
func otherRoot(e harness.Event) string {
	for _, step := range slices.Backward(e.Conduct.Steps) {
		name := nameOf(step)
		if step.Errno != "" || name != "chroot" && name != "pivot_root" {
			continue
		}
		if dir := filepath.Clean(firstPath(step.Text)); strings.Trim(dir, "./") != "" &&
			filepath.Base(dir) != "rootfs" {
			return dir
		}
		return ""
	}
	return ""
}

// hasCommand tells whether a file that is not there was to get the command among its arguments.
func hasCommand(e harness.Event, path string) bool {
	name := ranCommand(e)
	if e.Conduct == nil || name == "" {
		return false
	}
	return slices.ContainsFunc(e.Conduct.Refused, func(r harness.Refusal) bool {
		return strings.HasPrefix(r.Call, "execve") && firstPath(r.Text) == path &&
			strings.Contains(" "+r.Line+" ", " "+name+" ")
	})
}

// toolMissing is for another program that is not on this machine.
func toolMissing(name string) string {
	if name == "sudo" {
		return "Your program runs sudo, which is not on this machine. The scripts run your " +
			"program as the one who started the check: be root yourself, and leave it out."
	}
	if toolRE.MatchString("/" + name) {
		return fmt.Sprintf("Your program runs %s, which is not on this machine, and need not be. "+
			"%s", name, nothingToFetch)
	}
	return fmt.Sprintf("Your program runs %s, which is not on this machine. Install it, or do "+
		"what it does by system calls.", name)
}

// noTool is for a program that says that it did not find another one.
func noTool(e harness.Event) string {
	m := noToolRE.FindStringSubmatch(e.Stderr)
	if m == nil || executed(e) == "yes" {
		return ""
	}
	if name := m[1] + m[2]; name != ranCommand(e) && !strings.HasPrefix(name, "no-such") {
		return toolMissing(name)
	}
	return ""
}

// noToolRE matches what shells, and programs of Go, say of a command that is not found.
var noToolRE = lazyregexp.New(`(?m): (?:line )?\d+: ([\w.+-]+): (?:command )?not found$|` +
	`exec: "([\w.+-]+)": executable file not found`)

// otherCommand is the file that a program executed in the place of the command, or nothing. The
// first file may be an interpreter, which env(1) has found; and a script runs tools. So it has to
// be the only file, the last one, and executed after the program started its second copy or changed
// its root.
func otherCommand(e harness.Event) string {
	ofSetup := func(file string) bool {
		return setupRE.MatchString(file) || filepath.Base(file) == "container" // the program itself
	}
	if inside := e.Conduct.RanInside; len(inside) > 0 && !ofSetup(inside[len(inside)-1]) &&
		!forTool(e, inside[len(inside)-1]) {
		return inside[len(inside)-1]
	}
	ran, c := e.Conduct.Ran, cause{event: e}
	if file := behindNamespaces(e, ofSetup); file != "" {
		return file
	}
	others := slices.DeleteFunc(slices.Clone(ran), ofSetup)
	if len(others) != 1 || others[0] == ran[0] || others[0] != ran[len(ran)-1] ||
		!slices.Contains(ran, "/proc/self/exe") && !c.changedRoot() {
		return ""
	}
	return others[0]
}

// forTool tells whether a file is a shell that got the line of a tool, as system(3) starts one, and
// could not execute that.
func forTool(e harness.Event, file string) bool {
	for i, ran := range slices.Backward(e.Conduct.Ran) {
		words := e.Conduct.Words[i]
		if ran != file {
			continue
		}
		if !shellRE.MatchString(file) || len(words) < 3 || !lineOptionRE.MatchString(words[1]) {
			return false
		}
		tool := append(strings.Fields(words[2]), "")[0]
		return setupRE.MatchString("/"+tool) ||
			strings.Contains(e.Stderr, ": "+tool+": not found") ||
			strings.Contains(e.Stderr, ": "+tool+": command not found")
	}
	return false
}

// behindNamespaces is the file that a program executed in new namespaces, perhaps by a shell or by
// tools that set them up, or nothing. It has to be content with that, and not to have tried the
// command itself: otherwise the file may be a tool of its own.
func behindNamespaces(e harness.Event, ofSetup func(string) bool) string {
	ran, steps := e.Conduct.Ran, e.Conduct.Steps
	if status, _ := endedWith(e); len(ran) == 0 || status != "" && status != "0" {
		return ""
	}
	if triedCommand(e) != nil {
		return ""
	}
	last := ran[len(ran)-1]
	other := func(file string) bool { return !shellRE.MatchString(file) && !ofSetup(file) }
	if ofSetup(last) || forTool(e, last) || slices.ContainsFunc(ran[:len(ran)-1], other) {
		return ""
	}
	// The call that makes the process may return after those of that process.
	namespaces := func(s harness.Step) bool {
		return s.Errno == "" && strings.Contains(s.Text, "CLONE_NEW")
	}
	executes := func(s harness.Step) bool {
		return s.Process > 0 && s.Errno == "" && strings.HasPrefix(s.Text, "execve") &&
			firstPath(s.Text) == last
	}
	if !slices.ContainsFunc(steps, namespaces) || !slices.ContainsFunc(steps, executes) {
		return ""
	}
	return last
}
