//go:build linux

package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"container.example/workshop/internal/harness"
	"container.example/workshop/internal/lazyregexp"
)

// This file finds out what failed: which call, with which error, and whether the command was
// executed.

// A cause is why a program failed, as far as that can be told: a system call and its error.
type cause struct {
	event harness.Event
	call  string // pivot_root; none if only the error is known
	errno string // EINVAL
	text  string // the call in print, or the words in which it was found
	path  string // the first path that the call is about
	// missing is one of its paths that was not there, if that was seen.
	missing string
	seen    bool // the kernel saw it. Otherwise it is read from words of the program.
	// inside tells that the kernel saw it after the program had changed its root.
	inside bool
}

// made tells whether the program made a call whose print contains the text. Where nothing was seen
// of the program it is not known.
func (c cause) made(text string) bool {
	return c.event.Conduct != nil && slices.ContainsFunc(c.event.Conduct.Made,
		func(made string) bool {
			return strings.Contains(made, text)
		})
}

// earlier are the calls that succeeded before the one that failed.
func (c cause) earlier() (made []string) {
	if c.event.Conduct == nil || !c.seen {
		return nil
	}
	for _, step := range c.event.Conduct.Steps {
		switch {
		case step.Text == c.text && step.Errno == c.errno:
			return made
		case step.Errno == "":
			made = append(made, step.Text)
		}
	}
	return nil // it is not known
}

// changedRoot tells whether the program had changed its root before.
func (c cause) changedRoot() bool {
	if c.seen {
		return c.inside
	}
	return c.made("pivot_root(") || c.made("chroot(")
}

// findCause finds out what failed: from the eyes of the kernel, otherwise from the words of the
// program.
func findCause(e harness.Event) (c cause) {
	c.event = e
	if r := blame(e); r != nil {
		return refusedCause(e, r)
	}
	words := unseen(e) + e.Stderr + "\n" + e.Stdout
	words += backgroundWords(e)
	if !strings.HasPrefix(e.Message, "no cgroup has ") { // which lists those of others
		words += "\n" + e.Message
	}
	if e.Conduct == nil || endedOtherwise(e) {
		if status, _ := endedWith(e); status == "0" {
			words = withoutWarnings(words)
		}
		c.text = panicked(unseen(e)+e.Stderr) + "\n" + words
		c.errno, c.call = errnoIn(c.text), callIn(placeRE.ReplaceAllString(c.text, ""))
		if c.errno == "EEXIST" && c.call == "" { // the line that panicked may name the call
			_, line, _ := strings.Cut(withSource(panicked(e.Stderr), e.Program), "\nat ")
			_, line, _ = strings.Cut(line, ": ") // and not the name of the file
			c.call = callIn(line)
		}
		for _, path := range pathRE.FindAllString(c.text, -1) {
			if !sourceRE.MatchString(path) {
				c.path = path
				break
			}
		}
	}
	return c
}

// refusedCause is a call that was seen to fail.
func refusedCause(e harness.Event, r *harness.Refusal) cause {
	return cause{
		event: e, call: r.Call, errno: r.Errno, text: r.Text, path: firstPath(r.Text),
		missing: r.Missing, seen: true, inside: r.Inside,
	}
}

// backgroundWords are what the programs in the background said: those of the first that has ended
// and says why, otherwise of all. What one says of a call is not about the error of another.
func backgroundWords(e harness.Event) (words string) {
	for _, b := range e.Background {
		if b.State != "" && errnoIn(b.Stderr) != "" {
			return "\n" + b.Stderr
		}
		words += "\n" + b.Stderr
	}
	return words
}

var (
	quotedRE = lazyregexp.New(`"([^"]*)"`)
	pathRE   = lazyregexp.New(`(?m)(/[\w.-]+){2,}`)
	// placeRE matches a place in a source text, and sourceRE what a trace names.
	placeRE  = lazyregexp.New(`[^\s"'(]+\.(c|cc|cpp|go|js|kt|php|pl|py|rb|rs|sh)(:|", line )\d+`)
	sourceRE = lazyregexp.New(`^/rustc/|\.(c|cc|cpp|go|java|js|kt|nim|php|pl|py|rb|rs|sh)$`)
)

// blame is the system call that is to blame for a failure, or nil.
func blame(e harness.Event) *harness.Refusal {
	r := lastRefused(e)
	if r == nil {
		return nil
	}
	return origin(e.Conduct, r)
}

// origin is the refusal because of which a later one came: what should have been made, and was not,
// is not there to be used, or to be removed.
func origin(conduct *harness.Conduct, later *harness.Refusal) *harness.Refusal {
	if r := cleanedUp(conduct, later); r != nil {
		return r
	}
	refused := conduct.Refused
	path := strings.TrimSuffix(lastPath(later.Text), "/")
	for _, r := range refused {
		made := strings.TrimSuffix(lastPath(r.Text), "/")
		switch {
		case r == *later:
			return later
		case r.Call == "pivot_root" || r.Call == "chroot":
			// The command is a file of the new root, which the program did not get.
			if strings.HasPrefix(later.Call, "execve") && later.Errno == "ENOENT" && !later.Inside {
				return &r
			}
		case r.Errno == "EEXIST" || made == "":
		case r.Call == "mkdir" || r.Call == "mkdirat" || r.Call == "mount":
			if removes(later.Call) && made == path ||
				later.Errno == "ENOENT" && later.Inside == r.Inside &&
					(isBelow(path, made) || r.Call != "mount" && made == path) {
				return &r
			}
		}
	}
	return later
}

// cleanedUp is the refusal after which a process did nothing but clean up what it had not made, or
// nil. That a directory is there already is seldom a failure.
func cleanedUp(conduct *harness.Conduct, later *harness.Refusal) *harness.Refusal {
	path, steps := lastPath(later.Text), conduct.Steps
	isIt := func(s harness.Step) bool {
		return s.Text == later.Text && s.Errno == later.Errno && s.Process == later.Process
	}
	made := func(s harness.Step) bool { return s.Errno == "" && lastPath(s.Text) == path }
	i := slices.IndexFunc(steps, isIt)
	if i < 0 || later.Call != "umount2" || slices.ContainsFunc(steps, made) {
		return nil
	}
	for _, s := range slices.Backward(steps[:i]) {
		switch {
		case s.Process != later.Process, s.Errno != "" && removes(nameOf(s)), s.Errno == "EEXIST":
			continue
		case s.Errno == "":
			return nil
		}
		for _, r := range conduct.Refused {
			if !r.Looks && r.Text == s.Text && r.Errno == s.Errno && r.Process == s.Process {
				return &r
			}
		}
		return nil
	}
	return nil
}

// removes tells whether a call takes away what was made.
func removes(call string) bool {
	return call == "rmdir" || call == "unlinkat" || call == "umount2"
}

// tidies tells whether a call was to take away a directory that is not there. Some programs do that
// at their end whatever has come before, so it is seldom why one failed.
func tidies(r harness.Refusal) bool {
	return (r.Call == "rmdir" || r.Call == "unlinkat") && r.Errno == "ENOENT"
}

// isBelow tells whether a path leads through a directory, which may be relative to some other.
func isBelow(path, dir string) bool {
	return dir != "." && (strings.HasPrefix(path, dir+"/") ||
		!strings.HasPrefix(dir, "/") && strings.Contains(path, "/"+dir+"/"))
}

// lastRefused is the system call whose error the program ended with, or nil.
func lastRefused(e harness.Event) *harness.Refusal {
	if e.Conduct == nil {
		return nil
	}
	if outputOfUsage(e) || statusLost(e) != "" || len(e.Left) > 0 || fetches(e) {
		return nil // whatever came after the command, was in the way, or is a tool's
	}
	if r := commandRefused(e); r != nil {
		return r
	}
	if executed(e) == "yes" && knewStatus(e) != "" {
		return nil // what was refused before did not keep it from that
	}
	if r := rootRefused(e); r != nil && e.Script.Name == "root-is-rootfs" && executed(e) == "yes" {
		return r // the command did not find the files of the new root, whatever its status is
	}
	status, said := endedWith(e)
	content := !e.Panicked && (status == "" || status == "0") && panicked(e.Stderr) == ""
	switch {
	case content && executed(e) != "no":
		return ignored(e) // the program was content, and may be
	case content && otherCommand(e) != "" && otherRefused(e) == nil:
		return rootRefused(e) // otherwise it did what it wanted
	}
	if slices.Contains(faults, status) {
		return nil // it did not go on to end because of a refusal
	}
	if e.Waiting != "" {
		return refusedAsSaid(e, e.Conduct.Stderr, content)
	}
	meant := refusedAsSaid(e, said, content)
	if own := shellErrors(e); own != "" {
		return laterRefused(e, meant, refusedAsSaid(e, own, content))
	}
	return meant
}

// laterRefused is the later one of two calls, of which one or both may be nil.
func laterRefused(e harness.Event, a, b *harness.Refusal) *harness.Refusal {
	at := func(r *harness.Refusal) int {
		if r == nil {
			return -1
		}
		return slices.Index(e.Conduct.Refused, *r)
	}
	if a == nil || at(b) > at(a) {
		return b
	}
	return a
}

// refusedAsSaid is the system call that a program means by what it says at its end, or nil. A
// program may go on after a refusal, and fail later of something else: its own words tell. A
// program that is content ended with status 0.
func refusedAsSaid(e harness.Event, said string, content bool) *harness.Refusal {
	bug := panicked(said)
	if saysStatus(bug) {
		bug = "" // of the other process, which says why
	}
	if words := unseen(e); words != "" && bug == "" {
		said, bug = words+said, panicked(words)
	}
	if bug != "" {
		said = bug
	}
	errno := errnoIn(said)
	if errno == "" && notStartedRE.MatchString(bug) {
		return cmp.Or(childRefused(e), notExecuted(e))
	}
	if errno == "" && (bug != "" || e.Waiting != "") {
		return notExecuted(e) // otherwise it is about no call
	}
	if errno == "" && !content && notInPathRE.MatchString(said) {
		return notExecuted(e)
	}
	isIt := func(r harness.Refusal) bool { return r.Errno == errno }
	if errno == "EACCES" && !slices.ContainsFunc(e.Conduct.Refused, isIt) {
		errno = "EPERM" // mount(8) and some languages have the same words for both
	}
	if r := notConnected(e, said, errno); r != nil {
		return r
	}
	var last, lookedFor, nothingThere *harness.Refusal
	for _, r := range slices.Backward(e.Conduct.Refused) {
		made := (r.Call == "mkdir" || r.Call == "mkdirat") && r.Errno == "EEXIST"
		switch {
		case made && errno != "EEXIST", errno != "" && !isIt(r), content && removes(r.Call):
		case r.Looks && cause{event: e}.madeDirectory(firstPath(r.Text)): // to clean it up
		case namesPath(said, firstPath(r.Text)):
			return &r
		case tidies(r):
			if nothingThere == nil {
				nothingThere = &r
			}
		case namesCgroup(said, firstPath(r.Text)):
			return &r
		case r.Looks && lookedFor == nil:
			lookedFor = &r
		case !r.Looks && last == nil:
			last = &r
		}
	}
	// An address of nothing is never what a program wanted.
	ofNothing := errno == "" && !content && executed(e) == "no"
	if last == nil && (ofNothing || lookedFor == nil && errno != "") {
		for _, r := range slices.Backward(e.Conduct.Others) {
			if ofNothing && r.Errno == "EFAULT" || isIt(r) && r.Errno != "ENOENT" {
				return &r
			}
		}
	}
	if last == nil && lookedFor == nil && errno != "" {
		last = nothingThere
	}
	name := ranCommand(e)
	silent := strings.TrimSpace(said) == ""
	switch {
	case lookedFor == nil:
	case last == nil && (errno != "" || isInWork(firstPath(lookedFor.Text), name)),
		silent && isInWork(firstPath(lookedFor.Text), name):
		return lookedFor
	}
	return last
}

// notConnected is the call by which a program did not reach another process, where it says that, or
// nil. Where a call about containers failed with the same error, the words may be about that one.
func notConnected(e harness.Event, said, errno string) *harness.Refusal {
	if !connectRE.MatchString(said) || slices.ContainsFunc(e.Conduct.Refused,
		func(r harness.Refusal) bool { return r.Errno == errno && !r.Looks }) {
		return nil
	}
	for _, r := range slices.Backward(e.Conduct.Others) {
		if r.Call == "connect" && r.Errno == errno && !strings.Contains(r.Text, "/nscd/") {
			return &r
		}
	}
	return nil
}

// connectRE matches what programs say of a process that they did not reach.
var connectRE = lazyregexp.New(`(?i)\bconnect(ing|ion)?\b|\bdial\b|\bdaemon\b|\.sock\b`)

// notInPath is what Go says of a command that is in no directory of $PATH, behind its name.
const notInPath = `: executable file not found in \$PATH`

var notInPathRE = lazyregexp.New(notInPath)

// notStartedRE matches a panic of a program in Go that used the process of a command that there is
// not, with the line that did it.
var notStartedRE = lazyregexp.New(`nil pointer dereference\n.*\.Process(State)?\b`)

// childRefused is the last call that failed in a child of the program that executed nothing: what
// starts a command makes it before execve(2). It is nil if there was none.
func childRefused(e harness.Event) *harness.Refusal {
	if executed(e) != "no" {
		return nil
	}
	for _, r := range slices.Backward(e.Conduct.Refused) {
		ofChild := slices.ContainsFunc(e.Conduct.Steps, func(s harness.Step) bool {
			return s.Process > 0 && s.Text == r.Text && s.Errno == r.Errno
		})
		if !r.Looks && (ofChild || strings.HasPrefix(r.Call, "clone")) {
			return &r
		}
	}
	return nil
}

// outputOfUsage tells whether a program failed as it should, on a command line that is wrong, and
// wrote to standard output.
func outputOfUsage(e harness.Event) bool {
	line := parseCommand(e.Script.Line(e.Line))
	return e.Script.Name == "usage" && line.name == "stdout" && line.negated
}

// shellErrors are the lines in which a shell names its errors, if they went to standard output:
// standard error may then have only what others say.
func shellErrors(e harness.Event) string {
	if executed(e) == "yes" || shellErrorRE.MatchString(e.Stderr) {
		return ""
	}
	return strings.Join(shellErrorRE.FindAllString(e.Stdout, -1), "\n")
}

// shellErrorRE matches what a shell says of an error: the file that it executes, and the line.
var shellErrorRE = lazyregexp.New(`(?m)^/\S+: (?:line )?\d+: .*$`)

// notExecuted is the last call that was to execute the command, where none did, or nil. A program
// that does not expect that may fail of something else later.
func notExecuted(e harness.Event) *harness.Refusal {
	name := ranCommand(e)
	if executed(e) != "no" || strings.HasPrefix(name, "no-such") {
		return nil
	}
	for _, r := range slices.Backward(e.Conduct.Refused) {
		if strings.HasPrefix(r.Call, "execve") && filepath.Base(firstPath(r.Text)) == name {
			return &r
		}
	}
	return nil
}

// isInWork tells whether a path is that of a file of this name in the directory of a script.
func isInWork(path, name string) bool { return path == name || path == "$WORK/"+name }

// endedWith is the exit status of the program, and what it wrote on standard error. Of a program in
// the background it is that of one that failed.
func endedWith(e harness.Event) (status, said string) {
	if m := anyStatus.FindStringSubmatch(e.Message); m != nil {
		return m[1], e.Stderr
	}
	said = e.Stderr
	for _, b := range e.Background {
		number, ok := strings.CutPrefix(b.State, "exit status ")
		if ok && number != "0" && strings.TrimSpace(said) == "" {
			return number, b.Stderr
		}
	}
	return "", said
}

// endedOtherwise tells whether the program, when it was run once more, did not end as it had ended
// in the script: what it failed of there was not seen then.
func endedOtherwise(e harness.Event) bool {
	status, _ := endedWith(e)
	again := e.Conduct.Status
	return status != "" && again != "" && again != "exit status "+status
}

// firstPath is the first path that a call is about, in print.
func firstPath(call string) string {
	if m := quotedRE.FindStringSubmatch(call); m != nil {
		return m[1]
	}
	return ""
}

// lastPath is the path at which a call makes or removes something, in print: of mount(2) it is the
// second one, the mount point.
func lastPath(call string) string {
	if m := mountPointRE.FindStringSubmatch(call); m != nil {
		return m[1]
	}
	paths := quotedRE.FindAllStringSubmatch(call, -1)
	if len(paths) == 0 {
		return ""
	}
	return paths[len(paths)-1][1]
}

// mountPointRE matches mount(2), whose first argument may be no text.
var mountPointRE = lazyregexp.New(`^mount\((?:"[^"]*"|[^",]*), "([^"]*)"`)

// namesPath tells whether a text names a path, and not one that contains it.
func namesPath(text, path string) bool {
	if len(strings.Trim(path, "./")) < 3 {
		return false
	}
	alone := regexp.MustCompile(`(^|[^\w./-])` + regexp.QuoteMeta(path) + `(\.?$|\.?[^\w./-])`)
	return alone.MatchString(text)
}

// namesCgroup tells whether a text names the same file of a cgroup, or its directory, where the
// cgroup has another name in each run.
func namesCgroup(text, path string) bool {
	own := func(path string) string {
		parts := strings.Split(path, "/")
		for i, part := range parts {
			if !ofHierarchyRE.MatchString(part) {
				parts[i] = "*"
			}
		}
		return strings.Join(parts, "/")
	}
	return strings.HasPrefix(path, cgroupFS+"/") &&
		slices.ContainsFunc(cgroupPathRE.FindAllString(text, -1), func(said string) bool {
			return own(strings.TrimRight(said, "/.")) == own(strings.TrimSuffix(path, "/"))
		})
}

// ofHierarchyRE matches a part of a path that the kernel has named, or whoever has mounted cgroups.
var ofHierarchyRE = lazyregexp.New(`^(sys|fs|cgroup|memory|pids|cpu|cpuacct|cpu,cpuacct|cpuset|` +
	`devices|freezer|[a-z]+\.[a-z_.]+|tasks)$`)

// faults are the exit statuses of what the kernel has ended: for a system call that a filter kills
// (SIGSYS), or a bug (SIGILL, SIGTRAP, SIGSEGV).
var faults = []string{"132", "133", "139", "159"}

// executed tells whether the command of the container was executed: yes, no, or nothing where that
// is not known.
func executed(e harness.Event) string {
	command := ranCommand(e)
	if e.Conduct == nil || command == "" {
		return ""
	}
	if strings.HasPrefix(firstWord(e), "-") &&
		(parseCommand(e.Ran).negated || !beforeChapters(e.Script)) {
		// A program that refuses a wrong flag is right to execute nothing. And what a flag of a
		// chapter makes, such as a network, may stand in its own way when we run it once more.
		return ""
	}
	for _, file := range e.Conduct.Ran {
		if filepath.Base(file) == filepath.Base(command) {
			return "yes"
		}
	}
	if slices.Contains(e.Conduct.Ran, "") {
		return "" // by a descriptor, as fexecve(3) does: it may have been the command
	}
	// A library may have followed the link of the command.
	if slices.ContainsFunc(e.Conduct.RanInside, func(file string) bool {
		return filepath.Base(file) == "busybox"
	}) {
		return ""
	}
	return "no"
}

// beforeChapters tells whether a script is one of steps 1 to 4, which the article has.
func beforeChapters(s harness.Script) bool { return s.Step >= "step1" && s.Step < "step5" }

// refused is the row of a failure that tells which call the kernel refused.
func refused(e harness.Event) string {
	r := blame(e)
	if r == nil || notInstalled(e) != "" ||
		flagNotKnown(e) != "" && filepath.Base(firstPath(r.Text)) != firstWord(e) {
		return ""
	}
	text := fmt.Sprintf("%s: %s (%s)", r.Text, r.Errno, r.Cause)
	if tool := toolOf(*r); tool != "" {
		text += ", in " + tool
	}
	if later := lastRefused(e); *later != *r {
		text += fmt.Sprintf("\nand therefore later %s: %s (%s)", later.Text, later.Errno,
			later.Cause)
	}
	return text
}

// mounts are the calls of mount(2) that succeeded.
func (c cause) mounts() (made []string) {
	if c.event.Conduct == nil {
		return nil
	}
	for _, call := range c.event.Conduct.Made {
		if strings.HasPrefix(call, "mount(") {
			made = append(made, call)
		}
	}
	return made
}

// workingDir is the directory to which the process that made the call went last, or nothing. A
// child begins in the directory of its parent, so the last chdir(2) of either counts.
func (c cause) workingDir() string {
	if c.event.Conduct == nil {
		return ""
	}
	steps, process := c.event.Conduct.Steps, 0
	failed := slices.IndexFunc(steps, func(step harness.Step) bool {
		return step.Text == c.text && step.Errno == c.errno
	})
	look := slices.IndexFunc(c.event.Conduct.Refused, func(r harness.Refusal) bool {
		return r.Looks && r.Text == c.text && r.Errno == c.errno
	})
	switch {
	case failed >= 0:
		process = steps[failed].Process
	case look >= 0: // which is no step
		failed, process = len(steps), c.event.Conduct.Refused[look].Process
	default:
		return ""
	}
	parents := map[int]int{}
	for _, step := range steps {
		parents[step.Process] = step.Parent
	}
	line := map[int]bool{} // that process, and those from which it descends
	for p := process; !line[p]; p = parents[p] {
		line[p] = true
	}
	for _, step := range slices.Backward(steps[:failed]) {
		if call := nameOf(step); step.Errno == "" && line[step.Process] &&
			(call == "chdir" || call == "fchdir") {
			return firstPath(step.Text)
		}
	}
	return ""
}

// ranCommand is the command of the container that a script has run, or nothing.
func ranCommand(e harness.Event) string {
	if words := harness.WithoutFlags(runWords(e)); len(words) > 2 {
		return words[2]
	}
	return ""
}

// firstWord is the word after run: the command, or a flag before it.
func firstWord(e harness.Event) string {
	if words := runWords(e); len(words) > 2 {
		return words[2]
	}
	return ""
}

// runWords are the words with which a script has run the program, with run as the second.
func runWords(e harness.Event) []string {
	words := harness.ProgramIn(e.Ran, nil)
	if words == nil {
		words = parseCommand(e.Ran).args
	}
	if i := slices.Index(words, "run"); i > 0 {
		return words[i-1:]
	}
	return nil
}

// commandWords are the words with which a script has run the program, without the flags: container,
// run, the command and its arguments. Where a shell runs it, there are none.
func commandWords(e harness.Event) []string {
	return harness.WithoutFlags(harness.ProgramIn(e.Ran, nil))
}

func orName(name, otherwise string) string {
	if name == "" {
		return otherwise
	}
	return name
}

// madeAfter tells whether one of some calls was made after the last one of another.
func (c cause) madeAfter(first string, then ...string) bool {
	changed, moved := -1, -2 // the number of the last call
	for i, made := range c.event.Conduct.Made {
		switch call, _, _ := strings.Cut(made, "("); {
		case call == first:
			changed = i
		case slices.Contains(then, call):
			moved = i
		}
	}
	return moved > changed
}

// onHost tells whether a file is there on the host.
func onHost(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
