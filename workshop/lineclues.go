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

// This file has the clues for programs that want something else than the scripts give them: on the
// command line, in the environment, or of the libraries of their language.

// calledAs says how the scripts call a program that is used to another command line.
const calledAs = "The scripts call your program as `container run CMD [ARG...]`, without an " +
	"image, a directory or an option. The root file system is the directory rootfs where the " +
	"program is run."

// wordAsFile is for a program that takes a word of the command line for the root file system, or an
// argument of the command for a file of its own.
func wordAsFile(c cause) string {
	words := harness.ProgramIn(c.event.Ran, nil)
	if !c.seen || c.errno != "ENOENT" && c.errno != "ENOTDIR" || len(words) < 3 ||
		strings.HasPrefix(words[2], "-") || executed(c.event) != "no" ||
		strings.HasPrefix(c.call, "exec") || c.changedRoot() || inShell(c.event) {
		return ""
	}
	path := c.path
	n := slices.Index(words, path)
	if interpreter, _ := interpreterOf(c.event.Program); n == 2 &&
		shellRE.MatchString(interpreter) {
		return "" // a variable that is not set loses a word, too
	}
	asRoot := c.call == "chroot" || c.call == "pivot_root" || c.call == "chdir" ||
		c.call == "mount" && strings.Contains(c.text, "MS_BIND")
	switch {
	case n < 1 || strings.Trim(path, "./") == "":
		return ""
	case asRoot && n == 1:
		return fmt.Sprintf("Your program takes the word %s for the directory of the root file "+
			"system. %s", path, calledAs)
	case asRoot:
		return fmt.Sprintf("Your program takes %q, which belongs to the command, for the "+
			"directory of the root file system. %s", path, calledAs)
	case n > 2:
		return fmt.Sprintf("Your program looks for a file %q, and that is an argument of the "+
			"command: the command is the word after run, here %s. %s", path, words[2], calledAs)
	}
	return ""
}

// liesBeside is for a program that looks for a file in the directory where it is run, and the file
// lies where the program does.
func liesBeside(c cause) string {
	path := filepath.Clean(strings.TrimPrefix(c.path, "$WORK/"))
	if !c.seen || c.errno != "ENOENT" || c.path == "" || filepath.IsAbs(path) ||
		c.event.Program == "" || c.changedRoot() || filepath.Base(path) == ranCommand(c.event) ||
		path == "rootfs" || strings.HasPrefix(path, "rootfs/") {
		return ""
	}
	file := filepath.Join(filepath.Dir(c.event.Program), path)
	if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	return fmt.Sprintf("%s lies beside your program, in %s, and a relative path begins at the "+
		"working directory, which is another one here. %s", path, relative(filepath.Dir(file)),
		linkToProgram)
}

// linkToProgram says how a program finds what lies beside it.
const linkToProgram = "Your program finds what lies beside it by the path with which it was " +
	"started: that is a link to it, so follow the link (realpath(1), realpath(3)), and take the " +
	"directory of what comes out."

// wantsMore is for a program that finds too little on its command line.
func wantsMore(e harness.Event) string {
	if e.Script.Name == "usage" || executed(e) != "no" || blame(e) != nil {
		return ""
	}
	for line := range strings.SplitSeq(e.Stderr+"\n"+e.Stdout, "\n") {
		line = strings.TrimSpace(escapeRE.ReplaceAllString(line, ""))
		if wantsRE.MatchString(line) && !noSuchRE.MatchString(line) &&
			!ofOtherRE.MatchString(line) && !ofTool(e, line) && len(line) < 200 {
			return fmt.Sprintf("Your program misses something on its command line, and says: "+
				"%q. %s", line, calledAs)
		}
	}
	return ""
}

// ofTool tells whether a line begins with the name of something else that the program has run: it
// is about the options and arguments of that. getopt(1) reads those of the program.
func ofTool(e harness.Event, line string) bool {
	name := filepath.Base(line[:strings.IndexAny(line+":", ": ")])
	if e.Conduct == nil || name == "getopt" || name == filepath.Base(e.Program) || ofItself(name) {
		return false
	}
	for i, file := range e.Conduct.Ran {
		if filepath.Base(file) == name {
			return true
		}
		// A file that an interpreter executes.
		if words := e.Conduct.Words; i < len(words) && len(words[i]) > 1 &&
			interpreterRE.MatchString(file) && filepath.Base(words[i][1]) == name {
			return true
		}
	}
	return false
}

// noSuchRE matches what is said of something that was given, and is not there, and the names of
// what the scripts give so.
var noSuchRE = lazyregexp.New(`(?i)\bno[ /-]such\b|not found|unknown`)

// wantsRE matches what programs say of a word or an option that was not given. Of an image, or a
// root file system, it has to say so: a store may have none, too.
var wantsRE = lazyregexp.New(`(?i)(\s|^)--?\w[\w-]*["'\x60]? (is|are) required|` +
	`\b(command|image|rootfs|arguments?|options?|flags?|parameters?)\b.{0,12}` +
	`\b(required|not (specified|given|provided))|` +
	`\b(no|missing|needs?|requires?|specify|provide|too few|not enough|expected)\b.{0,16}` +
	`\b((command|arguments?|options?|flags?|parameters?)( name)?` +
	`( to run| (was )?(specified|given|provided))?|` +
	`(image|rootfs)( name| (name )?(was )?(specified|given|provided)))[.!]?$|` +
	`\b(requires?|specify|provide)\b.{0,16}\b(image|rootfs)[.!]?$`)

// unasked is for a program that wants to make a cgroup where no limit was asked for. That it does
// so in another root is told first.
func unasked(c cause) string {
	if c.event.Ran == "" || c.changedRoot() ||
		c.errno != "EROFS" && !strings.HasPrefix(c.call, "mkdir") ||
		subject(c.event) != "step4-cgroups/limits-none" {
		return ""
	}
	return "No limit was asked for, so nobody needs a cgroup: make one only where -memory, -pids " +
		"or -cpus is given, which come with step 4."
}

// saidOnOutput is for a program that says what goes wrong, and not on standard error.
func saidOnOutput(e harness.Event) string {
	line := parseCommand(e.Script.Line(e.Line))
	if line.name != "stderr" || line.negated || len(line.args) != 1 || executed(e) == "yes" {
		return ""
	}
	wanted, err := regexp.Compile(line.args[0])
	if err != nil || strings.TrimSpace(e.Stderr) != "" {
		return ""
	}
	for said := range strings.SplitSeq(e.Stdout, "\n") {
		complains := errorRE.MatchString(said) || usageRE.MatchString(said) ||
			wantsRE.MatchString(said) && !noSuchRE.MatchString(said)
		if complains && wanted.MatchString(said) {
			return "Your program says it on standard output, which belongs to the command. What " +
				"goes wrong is said on standard error, descriptor 2."
		}
	}
	return ""
}

// withoutWarnings leaves out the lines in which a program says itself that it can go on.
func withoutWarnings(said string) string {
	return warningRE.ReplaceAllString(said, "")
}

// warningRE matches such a line.
var warningRE = lazyregexp.New(`(?im)^.*\bwarn(ing)?\b.*$`)

// optionTaken is for a program that takes an option of the command for its own.
func optionTaken(e harness.Event) string {
	words := harness.ProgramIn(e.Ran, nil)
	if len(words) < 4 || strings.HasPrefix(words[2], "-") || executed(e) != "no" {
		return ""
	}
	for line := range strings.SplitSeq(e.Stderr+"\n"+e.Stdout, "\n") {
		m := refusedOptionRE.FindStringSubmatch(line)
		if m == nil || ofTool(e, line) {
			continue
		}
		for _, word := range words[3:] {
			letter := "-" + m[2]
			if word == m[1] || m[2] != "" && strings.HasPrefix(word, letter) {
				return fmt.Sprintf("%s belongs to the command, and not to your program, whose "+
					"own options end at the first word that is none. Many libraries look for "+
					"options among all words: tell yours to stop there. With getopt(3) of the C "+
					"library a + at the beginning of the letters does that.", word)
			}
		}
	}
	return ""
}

// refusedOptionRE matches what programs, and libraries for options, say of an option that they do
// not know: the whole option, or the letter.
var refusedOptionRE = lazyregexp.New(`(?i)(?:no such|invalid|unknown|unrecogni[sz]ed|` +
	`unexpected|illegal) (?:option|argument|flag|parameter)s?\b[^-\n]{0,4}` +
	`(?:(--?\w[\w-]*)|-- ["'\x60]?(\w)\b)`)

// wordMissing is for a program that ended as it should on a wrong command line, and does not say
// what is wrong there.
func wordMissing(e harness.Event) string {
	line, before := parseCommand(e.Script.Line(e.Line)), parseCommand(e.Script.Line(e.Line-1))
	if line.name != "stderr" || line.negated || len(line.args) != 1 || before.name != "exits" ||
		before.args[0] != "2" || !flagWordRE.MatchString(line.args[0]) {
		return ""
	}
	return fmt.Sprintf("Your program ended with status 2, and that is right: this command line is "+
		"wrong on purpose. Its line on standard error has to say what is wrong there, and to name "+
		"%s.", line.args[0])
}

// limitUnnamed is for a program whose limit leaves no room for the command, and that does not say
// which limit that is.
func limitUnnamed(e harness.Event) string {
	m := unnamedRE.FindStringSubmatch(e.Stderr)
	if e.Script.Name != "pids-few" || m == nil {
		return ""
	}
	return fmt.Sprintf("A limit of %s leaves no room for the command, and your program ended with "+
		"status %s: that is right. Its line on standard error has to say why, and to name pids: "+
		"the error of fork(2) or clone(2), EAGAIN, does not tell which limit it was.", m[1], m[2])
}

// unnamedRE matches what the script says of such a program.
var unnamedRE = lazyregexp.New(`(?m)^-pids (\d+): exit status (\d+), and no line that names pids$`)

// flagWordRE matches a pattern that is a word of a command line.
var flagWordRE = lazyregexp.New(`^\w[\w-]*$`)

// notSet is for a program that wants a variable in its environment.
func notSet(e harness.Event) string {
	said := e.Stderr + "\n" + e.Stdout
	if executed(e) != "no" || blame(e) != nil {
		return ""
	}
	const unasked = "the scripts set nothing for your program alone. The root file system is the " +
		"directory rootfs where the program is run."
	if m := unboundRE.FindStringSubmatch(said); m != nil {
		return fmt.Sprintf("Your program uses a variable %s, which has no value. If it is one of "+
			"your own, the line that sets it comes later, or has another name. If it is to come "+
			"from the environment: %s", m[1], unasked)
	}
	m := notSetRE.FindStringSubmatch(said)
	if m == nil {
		m = noKeyRE.FindStringSubmatch(said)
		if m == nil || !environRE.MatchString(withSource(panicked(e.Stderr), e.Program)) {
			return "" // it is the key of some other table
		}
	}
	name := m[slices.IndexFunc(m[1:], func(name string) bool { return name != "" })+1]
	if ofKernelNameRE.MatchString(name) {
		return ""
	}
	return fmt.Sprintf("Your program wants a variable %s in its environment, and there is none: "+
		"have it go on without, because %s", name, unasked)
}

var (
	// unboundRE matches what shells say of a variable that has no value, whoever was to set it.
	unboundRE = lazyregexp.New(`\$?\b([A-Za-z_]\w*): (?:unbound variable|parameter not set)`)
	// notSetRE matches what programs say of a variable of the environment, and its name. Of a name
	// in their source Python and JavaScript say that it "is not defined".
	notSetRE = lazyregexp.New(`\$?\b([A-Z][A-Z0-9]*_[A-Z0-9_]+|ROOTFS|IMAGE|ROOT)["'\x60]?:? ` +
		`(?:is |was |has )?(?:not (?:been )?set|unset|must be set)|` +
		`(?i:environment variable|env var)[^A-Z\n]{0,20}\b([A-Z][A-Z0-9_]{2,})\b`)
	// noKeyRE matches what languages say of a table that has no such key, and environRE a line that
	// looks into the environment.
	noKeyRE = lazyregexp.New(`KeyError: '([A-Z][A-Z0-9_]{2,})'|` +
		`key not found: "([A-Z][A-Z0-9_]{2,})"`)
	environRE = lazyregexp.New(`environ|\bENV\b`)
	// ofKernelNameRE matches the names of flags, calls and settings of the kernel.
	ofKernelNameRE = lazyregexp.New(`^(CLONE|MS|MNT|CAP|SIG|SYS|NR|PR|AT|CONFIG|CGROUP|SECCOMP|` +
		`RLIMIT|PTRACE)_`)
)

// notInstalled is for a program whose language does not find a library, or a part of the program.
func notInstalled(e harness.Event) string {
	said := e.Stderr + "\n" + e.Stdout
	all := noLibraryRE.FindAllStringSubmatch(said, -1)
	if all == nil || executed(e) != "no" {
		return ""
	}
	m := all[len(all)-1]
	after := said[strings.LastIndex(said, m[0]):]
	if strings.Contains(after, "Traceback (most recent call last):") ||
		slices.ContainsFunc(e.Conduct.Refused, func(r harness.Refusal) bool {
			return strings.HasPrefix(r.Call, "execve") && toolOf(r) == ""
		}) {
		return "" // it went on without
	}
	name := m[slices.IndexFunc(m[1:], func(name string) bool { return name != "" })+1]
	if (cause{event: e}).changedRoot() {
		return fmt.Sprintf("%s is loaded when the root is another one already, and is not in "+
			"there. Load all that your program needs before it changes its root.",
			filepath.Base(name))
	}
	if dir := besideProgram(e, name); dir != "" {
		return fmt.Sprintf("%s lies beside your program, in %s, and was not looked for there. %s",
			name, relative(dir), linkToProgram)
	}
	return fmt.Sprintf("Your program needs %s, which its language did not find. If that is a "+
		"library, it has to be installed on this machine, for the user who starts the check. If "+
		"it is a file of yours, have it looked for beside your program: the scripts run that in "+
		"another directory.", name)
}

// besideProgram is the directory of the program, if a part of that lies there which its language
// did not find, by its name in the language or by the path of its file.
func besideProgram(e harness.Event, name string) (dir string) {
	if e.Program == "" || name == "" || sharedRE.MatchString(name) {
		return "" // its loader follows links
	}
	dir = filepath.Dir(e.Program)
	if filepath.IsAbs(name) {
		name = filepath.Base(name)
	}
	for _, path := range []string{name, strings.ReplaceAll(name, ".", "/")} {
		for _, ending := range []string{"", ".py", ".rb", ".pl"} {
			file := filepath.Join(dir, path+ending)
			info, err := os.Stat(file)
			if err == nil && (info.Mode().IsRegular() || ofPython(file)) {
				return dir
			}
		}
	}
	return ""
}

// ofPython tells whether a directory is a package of Python, and not one of data with that name.
func ofPython(dir string) bool {
	files, err := filepath.Glob(filepath.Join(dir, "*.py"))
	return err == nil && len(files) > 0
}

// sharedRE matches the name of a library that the loader of programs looks for.
var sharedRE = lazyregexp.New(`\.so\b`)

// noLibraryRE matches what languages, and the loader of programs, say of a library that they do not
// find, and its name.
var noLibraryRE = lazyregexp.New(`(?m)module '([\w.]+)' not found:$|` +
	`(?:ModuleNotFound|Import)Error: No module named '?([\w.]+)|` +
	`Can't locate (\S+) in @INC|cannot load such file -- (\S+)|` +
	`Cannot find module '([^']+)'|no code for module (\([\w. -]+\))|` +
	`error while loading shared libraries: ([^\s:]+)|Error loading shared library ([^\s:]+)|` +
	`Don't know how to REQUIRE ([\w-]+)|can't find package (\S+)|Failed opening required '([^']+)'`)

// ownLines is for a program that writes lines of its own in front of those of the command.
func ownLines(e harness.Event) string {
	line, name := parseCommand(e.Script.Line(e.Line)), ranCommand(e)
	if line.name != "cmp" || line.args[0] != "stdout" || executed(e) != "yes" || name == "" {
		return ""
	}
	own := ""
	for line := range strings.SplitSeq(e.Diff, "\n") {
		text, more := strings.CutPrefix(line, "-")
		switch {
		case strings.HasPrefix(line, "---"), strings.HasPrefix(line, "+++"):
		case strings.HasPrefix(line, "+"):
			return ""
		case more && !(strings.Contains(text, " ") &&
			slices.Contains(strings.FieldsFunc(text, notOfName), name)):
			return ""
		case more && own == "":
			own = text
		}
	}
	if own == "" {
		return ""
	}
	return fmt.Sprintf("What the command wrote is all there. %q is your program's own: standard "+
		"output belongs to the command. Write such lines to standard error, descriptor 2, or "+
		"leave them out.", own)
}

// notOfName tells whether a letter is not one of the name of a command.
func notOfName(r rune) bool { return strings.ContainsRune(" \t[](){}:;,\"'`", r) }
