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

// This file has the clues about words: those that a program was given and passes on, and those that
// it says itself. What it says of a failure is seen, and not guessed: it leads on where no call
// does.

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
		isError := errorRE.MatchString(line) || errnoIn(line) != ""
		if isError && !ofOtherRE.MatchString(line) && len(line) < 300 {
			found = line
		}
	}
	return found
}

var (
	// errorRE matches what programs say of what went wrong.
	errorRE = lazyregexp.New(`(?i)error|fail|fatal|cannot|can't|could not|unable|missing|invalid|` +
		`not found|no such|not a |does not|denied|refused|unknown|unexpected|has no |` +
		`not (yet )?(implemented|supported)|unsupported|wrong (usage|argument|number|command)`)
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
	known := inShell(e) || shellRE.MatchString(interpreter) && !replaced(e)
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
		if blame(e) == nil {
			text += " No system call explains that."
		}
		said := e.Stdout + "\n" + e.Stderr
		if known {
			said = e.Stderr // the command may have written the rest
		}
		if last := lastWords(said); last != "" {
			text += fmt.Sprintf(" The last that it wrote is: %q.", last)
		} else {
			text += " Your program says nothing of an error."
		}
	case known:
		text += fmt.Sprintf(" What was said: %q.", line)
	default:
		text += fmt.Sprintf(" It says why itself: %q.", line)
	}
	return text + lastCalls(e)
}

// otherKernel is for a program that looks whether the kernel is of a version that it knows.
func otherKernel(e harness.Event) string {
	if executed(e) != "no" || blame(e) != nil || inShell(e) {
		return ""
	}
	kernel, _ := release()
	number := numberRE.FindString(kernel)
	last := lastWords(e.Stdout + "\n" + e.Stderr)
	names := regexp.MustCompile(`(^|[^\d.])` + regexp.QuoteMeta(number) + `(\D|$)`)
	if number == "" || !names.MatchString(last) || !otherKernelRE.MatchString(last) {
		return ""
	}
	return fmt.Sprintf("The last that your program wrote before it ended is %q, and %s is the "+
		"kernel of this machine (uname(2)). If your program ended because it knows only another "+
		"version: what it needs may be there all the same, so leave that test out. A call or a "+
		"flag that a kernel does not have fails, with ENOSYS or EINVAL.",
		last, kernel)
}

var (
	numberRE = lazyregexp.New(`^\d+\.\d+(\.\d+)?`)
	// otherKernelRE matches what is said of a version that is not as it should be.
	otherKernelRE = lazyregexp.New(`(?i)\b(expect(s|ed)?|unsupported|not (yet )?supported|` +
		`too (old|new)|requires?|needs?|at least|wrong|mismatch)\b`)
)

// replaced tells whether the program itself became another one, which is no shell.
func replaced(e harness.Event) bool {
	for _, step := range slices.Backward(e.Conduct.Steps) {
		if step.Process == 0 && step.Errno == "" && strings.HasPrefix(step.Text, "execve") {
			return !shellRE.MatchString(firstPath(step.Text))
		}
	}
	return false
}

// lastWords is the last line of what a program wrote, as far as it does not say that all is well.
func lastWords(said string) (last string) {
	for line := range strings.SplitSeq(said, "\n") {
		line = strings.TrimSpace(escapeRE.ReplaceAllString(line, ""))
		if line != "" && !ofOtherRE.MatchString(line) && len(line) < 300 {
			last = line
		}
	}
	return last
}

// literalRefused is for a program in Perl that gives syscall() a literal.
func literalRefused(e harness.Event) string {
	m := readOnlyValueRE.FindStringSubmatch(e.Stderr + unseen(e))
	if m == nil || m[1] != e.Program {
		return ""
	}
	text, err := os.ReadFile(e.Program)
	lines := strings.Split(string(text), "\n")
	if n := atoi(m[2]); err != nil || n < 1 || n > len(lines) ||
		!strings.Contains(lines[n-1], "syscall") {
		return ""
	}
	return fmt.Sprintf("In line %s syscall() got a string literal. Perl assumes that the kernel "+
		"may write to each string, and a literal cannot be written to: put the string into a "+
		"variable first, and give it that (perldoc -f syscall).", m[2])
}

// readOnlyValueRE matches what Perl says of that, and where.
var readOnlyValueRE = lazyregexp.New(`Modification of a read-only value attempted at ` +
	`(\S+) line (\d+)`)

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

var (
	indexRE = lazyregexp.New(`(?i)out of (range|bounds)|Index(Error|Defect)`)
	// unpackRE matches what Python says of a list that has too few elements.
	unpackRE  = lazyregexp.New(`ValueError: not enough values to unpack`)
	ownWordRE = lazyregexp.New(`(?im)["\x60'](run|child)["\x60']: (executable file )?not found` +
		`|\b(run|child): (?:command )?not found|command not found: (run|child)$`)
	noFlagRE = lazyregexp.New(`(?i)flag provided but not defined|unrecognized option|` +
		`unknown (option|flag|shorthand)`)
)

// wordsSplit is for a program that puts the command line together and takes it apart again.
func wordsSplit(e harness.Event) string {
	if e.Conduct == nil || !e.Conduct.Splits {
		return ""
	}
	const apart = "Your program takes words apart: what is one word here, with a blank in it, " +
		"becomes several. "
	if isShell(e) {
		return apart + "In a shell $@ and $* without quotes do that, and so does a line that is " +
			"put together for sh -c or eval: \"$@\" hands on each word as it is. execve(2) takes " +
			"them as a list."
	}
	return apart + "It puts the words together into one line " +
		"somewhere, such as the argument of sh -c or of system(3). execve(2) takes them as a list."
}

// wrongIndex is for a program that looks for the command in another place.
func wrongIndex(e harness.Event) string {
	argv := unpackRE.MatchString(e.Stderr) && strings.Contains(panicked(e.Stderr), "argv")
	if e.Script.Name == "usage" || !indexRE.MatchString(e.Stderr) && !argv {
		return ""
	}
	const called = "The scripts call your program as `container run CMD [ARG...]`: the word " +
		"after run is the command, and there may be no word after it."
	_, line, _ := strings.Cut(withSource(panicked(e.Stderr), e.Program), "\nat ")
	_, line, _ = strings.Cut(line, ": ")
	if tagRE.MatchString(line) && !wordsRE.MatchString(line) {
		return called + " Does your program take that word for an image with a tag, as in " +
			"alpine:3.20? No image is named, and the root file system is the directory rootfs " +
			"where the program is run."
	}
	return called
}

var (
	// tagRE matches a line that is about the tag of an image, and wordsRE one about the words of
	// the command line.
	tagRE   = lazyregexp.New(`(?i)\b(\w*_)?tag\b|\bimage\b.*version|version.*\bimage\b`)
	wordsRE = lazyregexp.New(`(?i)args?\b|argv`)
)

// nothingTaken is for a program that takes nothing for a text, in a language that goes on when
// there is no such word on the command line.
func nothingTaken(e harness.Event) string {
	m := nothingRE.FindString(e.Stderr)
	if e.Script.Name == "usage" || executed(e) != "no" || m == "" {
		return ""
	}
	return fmt.Sprintf("Something is not there, and your program takes it for a text (%s). Is it "+
		"a word of the command line? The scripts call your program as `container run CMD "+
		"[ARG...]`: the word after run is the command, and there may be no word after it.", m)
}

// nothingRE matches what languages say of nothing that was taken for a text.
var nothingRE = lazyregexp.New(`no implicit conversion of nil into String|` +
	`must be of type string\. Received (undefined|null)|construction from null|` +
	`Undefined (array key|offset:?) \d+|uninitialized value \$ARGV\[\d+\]|` +
	`got (nil|NoneType)\b|not NoneType\b`)

// imageNamed is for a program that looks for an image, and says that there is none.
func imageNamed(e harness.Event) string {
	status, _ := endedWith(e)
	failed := status != "" && status != "0" || e.Panicked
	said := e.Stdout + "\n" + e.Stderr
	at := noImageRE.FindStringIndex(said)
	if executed(e) != "no" || !failed || at == nil || moreOfLineRE.MatchString(said[at[1]:]) {
		return ""
	}
	return "Your program looks for an image, and says that there is none. The scripts call it as " +
		"`container run CMD [ARG...]`, without the name of an image, in a directory that has a " +
		"root file system called rootfs in it: no image has to be found or unpacked."
}

// noImageRE matches what programs say of an image that they did not find.
var noImageRE = lazyregexp.New(`(?im)\bimage\b:?( \S+)?( is| was| could| can)? ?` +
	`\b((can)?not (be )?(found|exist)|(does not|doesn't) exist|unknown|missing)|` +
	`\b(no such|unknown|missing|not find|not locate|cannot find|can't find|` +
	`(unable|failed) to (find|locate))( the| an| any)? image\b|` +
	`\bno image( found| named| called|[.!]?$)`)

// moreOfLineRE matches what comes after that where it is about the words of the command line.
var moreOfLineRE = lazyregexp.New(`(?i)\A (name|argument|parameter|or|and)\b`)

// wrongWord is for a program that takes one of its own words for the command.
func wrongWord(e harness.Event) string {
	m := ownWordRE.FindStringSubmatch(e.Stderr + e.Stdout)
	if m == nil {
		return ""
	}
	return fmt.Sprintf("%q is a word for your own program. The command begins one word later.",
		m[1]+m[3]+m[4])
}

// unknownChild is for a program that does not know the word with which it starts itself again.
func unknownChild(e harness.Event) string {
	m := unknownChildRE.FindStringSubmatch(e.Stderr + "\n" + e.Stdout)
	if m == nil {
		m = unnamedChild(e)
	}
	if m == nil || e.Conduct == nil || executed(e) != "no" ||
		!slices.ContainsFunc(e.Conduct.Ran, ofItself) {
		return ""
	}
	return fmt.Sprintf("Your program starts itself again with the word %q, and does not know that "+
		"word: it needs a branch for it, beside the one for run.", m[1])
}

// unnamedChild is the word with which a program started itself again, after nothing, if it says
// that it does not know a word, and not which.
func unnamedChild(e harness.Event) []string {
	if e.Conduct == nil || len(e.Conduct.Ran) == 0 {
		return nil
	}
	last := len(e.Conduct.Ran) - 1
	words := e.Conduct.Words[last]
	if !ofItself(e.Conduct.Ran[last]) || len(words) < 3 || words[1] == "run" ||
		words[1] == ranCommand(e) || !childWordRE.MatchString(words[1]) {
		return nil
	}
	for line := range strings.SplitSeq(e.Stderr+"\n"+e.Stdout, "\n") {
		at := notKnownRE.FindStringIndex(line)
		if at != nil && !hasWordRE.MatchString(line[at[1]:]) {
			return []string{"", words[1]}
		}
	}
	return nil
}

var (
	// childWordRE matches a word that a program may have for its second copy, and hasWordRE any.
	childWordRE = lazyregexp.New(`^[a-z][\w-]*$`)
	hasWordRE   = lazyregexp.New(`\w`)
)

// unknownChildRE matches what programs say of a command that they do not know.
var unknownChildRE = lazyregexp.New(`(?i)(?:unknown|unrecogni[sz]ed|bad|invalid|unsupported)` +
	`[^\n]{0,30}?\b(child|init|container)\b`)

// ofItself tells whether a file is the program itself.
func ofItself(file string) bool {
	return file == "/proc/self/exe" || filepath.Base(file) == "container"
}

// ownOutput is for a program that writes to the command's standard output.
func ownOutput(e harness.Event) string {
	if !wantsSilence(e) || strings.TrimSpace(e.Stdout) == "" {
		return ""
	}
	none := executed(e) == "no" && !inShell(e)
	if text := writtenByOther(e); text != "" {
		if none && otherCommand(e) != "" {
			text += " And " + firstSmall(neverExecuted(e))
		}
		return text
	}
	own := "The command printed nothing: this is your program's own. Standard output belongs to " +
		"the command, because others read it from there. " +
		"Write your own lines to standard error, descriptor 2, or leave them out."
	if none {
		return own + " And " + firstSmall(neverExecuted(e))
	}
	return own
}

// wantsSilence tells whether nothing is to be on standard output.
func wantsSilence(e harness.Event) bool {
	line := parseCommand(e.Script.Line(e.Line))
	return line.name == "stdout" && line.negated && len(line.args) == 1 && line.args[0] == "."
}

// firstSmall makes the first letter a small one, in the middle of a sentence.
func firstSmall(text string) string { return strings.ToLower(text[:1]) + text[1:] }

// knewStatus is for a program that prints the status of the command and returns another.
func knewStatus(e harness.Event) string {
	wanted := ""
	if m := exitStatus.FindStringSubmatch(e.Message); m != nil {
		wanted = m[2]
	} else if line := parseCommand(e.Script.Line(e.Line)); e.Panicked && line.name == "exits" &&
		len(line.args) > 0 {
		wanted = line.args[0]
	}
	if wanted == "" || wanted == "0" {
		return ""
	}
	says := regexp.MustCompile(`exit (status|code)[: ]*` + wanted + `\b`)
	if !says.MatchString(e.Stdout + e.Stderr) {
		return ""
	}
	return fmt.Sprintf("One of your two processes knows the status of the command, and says so. "+
		"It has to end with it, too: exit(%s). So has the "+
		"other.", wanted)
}

// notAFlag is for a program that takes the options of the command for its own.
func notAFlag(e harness.Event) string {
	if noFlagRE.MatchString(e.Stderr) &&
		!strings.Contains(e.Ran, "run -") {
		return "The option belongs to the command: your program's own end at the first word that " +
			"is none."
	}
	return ""
}

// notStarted is for a program that ended well, and never executed the command.
func notStarted(e harness.Event) string {
	line := parseCommand(e.Script.Line(e.Line))
	if e.Conduct == nil || line.name != "stdout" || line.negated ||
		strings.TrimSpace(e.Stdout) != "" {
		return ""
	}
	switch executed(e) {
	case "":
		return ""
	case "yes":
		name := ranCommand(e)
		if name != "echo" && name != "printf" {
			return "" // it may have had nothing to say
		}
		if e.Stdout != "" {
			return fmt.Sprintf("%s was executed, and there is only an empty line. Either it got "+
				"no arguments: all words after the command belong to it, in both processes. Or "+
				"the line is your program's own, and what %s wrote is lost: its descriptors 1 and "+
				"2 have to be those of your program.", name, name)
		}
		return fmt.Sprintf("%s was executed, and what it wrote did not arrive: its descriptors 1 "+
			"and 2 have to be those of your program, in both "+
			"processes.", name)
	}
	return "Your program ended, and " + firstSmall(neverExecuted(e))
}

// wrongName is for a program that gives the command its arguments without its name.
func wrongName(e harness.Event) string {
	m, name := appletRE.FindStringSubmatch(e.Stderr), ranCommand(e)
	switch {
	case m == nil || executed(e) != "yes" || m[1] == name:
		return ""
	case m[1] == "":
		return fmt.Sprintf("%s was executed, and got no name: its list of arguments is empty. The "+
			"first of the arguments of execve(2) is the name of the program, argv[0].", name)
	}
	return fmt.Sprintf("%s was executed, and takes %q for its own name. The first of the "+
		"arguments of execve(2) is the name of the program, argv[0], and those that are typed "+
		"come after it.", name, m[1])
}

// appletRE matches what BusyBox says of a name that it does not have.
var appletRE = lazyregexp.New(`(?m)^(.*): applet not found$`)

// takenForRun is for a program that executes something, though its first word is not run.
func takenForRun(e harness.Event) string {
	words := harness.ProgramIn(e.Ran, nil)
	if e.Script.Name != "usage" || e.Conduct == nil || len(words) < 3 || words[1] == "run" {
		return ""
	}
	wanted := func(r harness.Refusal) bool {
		return strings.HasPrefix(r.Call, "execve") && filepath.Base(firstPath(r.Text)) == words[2]
	}
	if !slices.ContainsFunc(slices.Concat(e.Conduct.Refused, e.Conduct.Excused), wanted) {
		return ""
	}
	return fmt.Sprintf("Your program tried to execute %q, although the first word is %q and not "+
		"run. Another word than run is wrong usage: say on standard error what is right, and "+
		"execute nothing: exit(2).", words[2], words[1])
}

// streamClosed is for a command that found one of its standard streams closed.
func streamClosed(e harness.Event) string {
	m := streamClosedRE.FindStringSubmatch(e.Stderr)
	if m == nil || executed(e) != "yes" {
		return ""
	}
	was := "Descriptor 0 was closed, or not open for reading,"
	if m[1] != "" {
		was = fmt.Sprintf("Descriptor %s was closed", m[1])
	}
	return fmt.Sprintf("%s when %s was executed. The command is to have the descriptors 0, 1 and "+
		"2 of your program, open, in both processes.", was, ranCommand(e))
}

// streamClosedRE matches what a program in Go says of a standard stream that is closed where there
// is no /dev/null, and cat(1) of its input.
var streamClosedRE = lazyregexp.New(`(?m)^runtime: standard file descriptor (\d) closed|` +
	`^cat: (?:read error|-|standard input): Bad file descriptor$`)

// silent is for a program that failed without a word.
func silent(e harness.Event) string {
	m := anyStatus.FindStringSubmatch(e.Message)
	if m == nil || m[1] == "0" || e.Conduct == nil || strings.TrimSpace(e.Stdout+e.Stderr) != "" ||
		strings.Contains(e.Ran, "exit ") || strings.Contains(e.Ran, "test ") ||
		slices.Contains(faults, m[1]) || executed(e) == "yes" && ranCommand(e) == "grep" {
		return ""
	}
	if executed(e) == "yes" {
		return fmt.Sprintf("%s was executed, your program ended with %s, and no word of either "+
			"arrived. Are the descriptors 1 and 2 of the command open, and those of your program?",
			ranCommand(e), m[1]) + lastCalls(e)
	}
	return "It failed without a word. Print what goes wrong to standard error, so that somebody " +
		"can know." + lastCalls(e)
}
