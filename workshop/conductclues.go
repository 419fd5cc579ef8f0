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

// This file has the clues that compare what was seen of a program with what a promise needs,
// whatever the program is. Where nothing explains a failure they tell what was seen.

// ignored is a refusal of a call to which a promise belongs that is not kept: the program
// went on as if the call had succeeded.
func ignored(e harness.Event) *harness.Refusal {
	if r := rootRefused(e); r != nil && e.Script.Step == "step3-rootfs" {
		return r
	}
	for _, r := range e.Conduct.Refused {
		switch r.Call {
		case "unshare", "sethostname", "clone":
			if strings.HasPrefix(e.Script.Name, "hostname") && r.Errno == "EPERM" {
				return &r
			}
		}
	}
	t := topicOf(e)
	if t == nil || executed(e) == "" {
		return nil
	}
	about := lazyregexp.New(t.about)
	for _, need := range t.missing(e) {
		for _, r := range slices.Concat(e.Conduct.Refused, e.Conduct.Excused) {
			if !r.Looks && about.MatchString(r.Text) && meets(r.Text, need) {
				return &r
			}
		}
	}
	return nil
}

// rootRefused is a refusal of a call that was to change the root, of a program that has not done
// so in another way.
func rootRefused(e harness.Event) *harness.Refusal {
	for _, r := range e.Conduct.Refused {
		other := "chroot"
		switch r.Call {
		case "chroot":
			other = "pivot_root"
		case "pivot_root":
		default:
			continue
		}
		if !e.Conduct.Calls(r.Call) &&
			(!e.Conduct.Calls(other) || strings.HasPrefix(e.Script.Name, "host-")) {
			return &r
		}
	}
	return nil
}

// wentOn is for a program that went on when a call was refused which the promise needs.
func wentOn(c cause) string {
	if !c.seen || executed(c.event) != "yes" {
		return ""
	}
	if r := ignored(c.event); r == nil || r.Text != c.text {
		return ""
	}
	return fmt.Sprintf("The promise needs this call. It failed with %s, and your program went on "+
		"as if it had succeeded. Check what each call returns, and end with its error.", c.errno)
}

// toolOf is the name of the tool that made a call, or nothing if that was the program itself,
// or the interpreter that executes it.
func toolOf(r harness.Refusal) string {
	if !binRE.MatchString(r.By) || interpreterRE.MatchString(r.By) {
		return ""
	}
	return filepath.Base(r.By)
}

// interpreterRE matches the path of a program that executes others, which are files of text.
var interpreterRE = lazyregexp.New(`/(env|(ba|da|a|z|k|fi)?sh|(python|pypy|ruby|perl|php|lua|` +
	`luajit|node|deno|bun|java|julia|Rscript|racket|tclsh|guile|[gm]?awk|busybox)[\d.-]*)$`)

// lookedUpOutside is for a program that looked for the command while it had the root of the host,
// which does not have it, and that changed its root. Then it did not look again.
func lookedUpOutside(e harness.Event) string {
	name := ranCommand(e)
	said := e.Stdout + e.Stderr
	for _, b := range e.Background {
		said += b.Stdout + b.Stderr
	}
	if executed(e) != "no" || name == "" || strings.ContainsAny(name, "/-") ||
		!notFoundRE.MatchString(said) {
		return ""
	}
	last := ""
	for _, r := range slices.Concat(e.Conduct.Refused, e.Conduct.Excused) {
		path := firstPath(r.Text)
		switch {
		case filepath.Base(path) != name || !binRE.MatchString(path):
		case r.Inside || toolOf(r) != "":
			return ""
		case r.Looks:
			last = path
		}
	}
	c := cause{event: e}
	if last == "" || !c.changedRoot() {
		return ""
	}
	return fmt.Sprintf("%s was looked for in the directories of $PATH, the last time as %s, "+
		"before the root was changed. The host has none there. Look it up after pivot_root or "+
		"chroot, in the root file system: in many languages that happens where the command is "+
		"prepared, and not where it is started.", name, last)
}

// notFoundRE matches what programs say of a command that they do not find.
var notFoundRE = lazyregexp.New(`(?i)not found|not exist|no such`)

// nobodyInside is for a command that may do nothing, because its user namespace has no maps.
func nobodyInside(e harness.Event) string {
	c := cause{event: e}
	if executed(e) != "yes" || !c.userNamespaceOfCommand() ||
		!deniedRE.MatchString(e.Stdout+e.Stderr) {
		return ""
	}
	if text := c.notMapped(); text != "" {
		return text
	}
	if c.made("/uid_map") { // later, perhaps
		return ""
	}
	return fmt.Sprintf("%s was executed in a user namespace without maps, where it is nobody, and "+
		"has no capabilities (user_namespaces(7)). %s", ranCommand(e), nobodyYet+c.notYet())
}

// nobody is for a process that may do nothing in its user namespace, if that is why.
func (c cause) nobody() string {
	switch {
	case !c.userNamespaceOfCommand(), c.rootInside():
		return ""
	case c.mappedInTime():
		return c.notMapped()
	}
	return cmp.Or(c.notMapped(), nobodyYet+c.notYet())
}

// notYet adds that a user namespace is the subject of a later step, for those who can do without.
func (c cause) notYet() string {
	if !beforeChapters(c.event.Script) || c.event.Upto >= "step5" || os.Geteuid() != 0 {
		return ""
	}
	return " Root can leave CLONE_NEWUSER out until step 5."
}

// executes tells whether a step executes the command.
func (c cause) executes(step harness.Step) bool {
	return step.Errno == "" && strings.HasPrefix(step.Text, "execve") &&
		filepath.Base(firstPath(step.Text)) == filepath.Base(ranCommand(c.event))
}

// userNamespaceOfCommand tells whether the command is in a user namespace of the program, as far as
// that is known: a program may have made one in another process, to see whether it can.
func (c cause) userNamespaceOfCommand() bool {
	if !c.made("CLONE_NEWUSER") {
		return false
	}
	parents, command := map[int]int{}, -1
	for _, step := range c.event.Conduct.Steps {
		parents[step.Process] = step.Parent
		if c.executes(step) {
			command = step.Process
		}
	}
	ofCommand := map[int]bool{} // the process of the command, and those that it descends from
	for p := command; !ofCommand[p]; p = parents[p] {
		if _, known := parents[p]; !known && p != 0 {
			return true
		}
		ofCommand[p] = true
	}
	return slices.ContainsFunc(c.event.Conduct.Steps, func(step harness.Step) bool {
		return step.Errno == "" && ofCommand[step.Process] &&
			strings.Contains(step.Text, "CLONE_NEWUSER")
	})
}

// mappedInTime tells whether a map of users was written before the command was executed.
func (c cause) mappedInTime() bool {
	mapped, inTime := false, false
	for _, step := range c.event.Conduct.Steps {
		switch {
		case c.executes(step):
			inTime = mapped
		case step.Errno == "" && mapRE.MatchString(step.Text):
			mapped = true
		}
	}
	return inTime
}

// rootInside tells whether the process whose call failed was root in its user namespace all the
// same: the id that runs the program was mapped to 0 before that, and before any execve(2).
func (c cause) rootInside() bool {
	failed := c.failedStep()
	if failed < 0 {
		return false
	}
	born := false
	for _, step := range c.event.Conduct.Steps[:failed] {
		m := mapRE.FindStringSubmatch(step.Text)
		switch {
		case step.Errno != "":
		case strings.Contains(step.Text, "CLONE_NEWUSER"):
			born = true
		case born && strings.HasPrefix(step.Text, "execve"):
			return false
		case born && m != nil:
			line := mapLineRE.FindStringSubmatch(m[1])
			return line != nil && line[1] == "0" && atoi(line[2]) == os.Geteuid()
		}
	}
	return false
}

// notOwner is for root of a user namespace who wants to change what belongs to another namespace,
// which is not of that user namespace.
func (c cause) notOwner(flag, name, what string) string {
	failed := c.failedStep()
	if failed < 0 || !hasNamespace(c.event.Conduct.Steps, failed, "CLONE_NEWUSER", true) {
		return ""
	}
	user, other := -1, -1 // the first user namespace, and the last one of the other kind
	for i, step := range c.event.Conduct.Steps[:failed] {
		if step.Errno != "" || strings.HasPrefix(step.Text, "setns(") {
			continue
		}
		if user < 0 && strings.Contains(step.Text, "CLONE_NEWUSER") {
			user = i
		}
		if strings.Contains(step.Text, flag) {
			other = i
		}
	}
	switch {
	case user < 0, other >= user, c.made("setns("):
		return ""
	case other < 0 && nsFlagRE.MatchString(c.event.Ran):
		return fmt.Sprintf("%s to the host, where root of a user namespace has no rights. No %s "+
			"namespace is in the list of -ns: leave this call out then.", what, name)
	case other < 0:
		return fmt.Sprintf("%s to the host, where root of a user namespace has no rights: none of "+
			"your processes asked for a %s namespace. %s of clone(2) or unshare(2) makes one.",
			what, name, flag)
	}
	return fmt.Sprintf("The %s namespace was made before the user namespace, and does not belong "+
		"to that. Root of a user namespace may change only what is in the namespaces that are "+
		"made in it (user_namespaces(7)): CLONE_NEWUSER comes first, or in the same call as %s.",
		name, flag)
}

// nsFlagRE matches a command line with a list of namespaces.
var nsFlagRE = lazyregexp.New(`\brun (?:\S+ )*?-ns `)

// notOwnMounts is for mounts that the program may not change.
func notOwnMounts(c cause) string {
	return cmp.Or(c.notOwner("CLONE_NEWNS", "mount", "The mounts here belong"), notRoot(c))
}

// notMapped is for a user namespace whose map does not have the id that runs the program, of a
// process that has not changed its id since then.
func (c cause) notMapped() string {
	if c.event.Conduct == nil || c.changedUser() {
		return ""
	}
	var lines, others []string
	root, id := false, os.Geteuid()
	for _, made := range c.event.Conduct.Made {
		m := mapRE.FindStringSubmatch(made)
		if m == nil {
			continue
		}
		for _, line := range mapLineRE.FindAllStringSubmatch(m[1], -1) {
			first := atoi(line[2])
			root = root || line[1] == "0"
			switch {
			case line[3] != "1":
				return "" // a range has other ids on purpose
			case first == id:
				others = append(others, line[1])
			}
			lines = append(lines, line[0])
		}
	}
	switch {
	case len(others) > 0 && !root:
		return fmt.Sprintf("The map of the user namespace is %q: the first id inside, the first "+
			"id outside, and how many. So your program, which runs as id %d, is %s in there. Only "+
			"0 is root: any other id loses its capabilities by execve(2). Begin the map with 0.",
			strings.Join(lines, ", "), id, others[0])
	case len(lines) == 0 || len(others) > 0:
		return ""
	}
	return fmt.Sprintf("The map of the user namespace is %q: the first id inside, the first id "+
		"outside, and how many. Your program runs as id %d, which is not among those outside: so "+
		"it is nobody in there, and loses its capabilities by execve(2). Map the id that "+
		"getuid(2) returns, or have the child set its ids to 0 (setresuid(2)) once the map is "+
		"written.",
		strings.Join(lines, ", "), id)
}

// changedUser tells whether the program has called setresuid(2) or setuid(2), and not only the
// command.
func (c cause) changedUser() bool {
	for _, step := range c.event.Conduct.Steps {
		if c.executes(step) {
			return false
		}
		if strings.HasPrefix(step.Text, "setresuid(") || strings.HasPrefix(step.Text, "setuid(") {
			return true
		}
	}
	return c.made("setresuid(") || c.made("setuid(")
}

var (
	// mapRE matches a call that writes the map of the users of a user namespace, in print.
	mapRE = lazyregexp.New(`^p?write(?:v|64)?\(<[^>]*/uid_map>(?:, "([^"]*)")?`)
	// mapLineRE matches a line of a map.
	mapLineRE = lazyregexp.New(`(\d+) +(\d+) +(\d+)`)
)

// runNotKnown is for a program that does not know the word run. One that does something before it
// complains knows it.
func runNotKnown(e harness.Event) string {
	other := func(file string) bool { return !interpreterRE.MatchString(file) }
	c := cause{event: e}
	if e.Script.Name == "usage" || executed(e) != "no" || c.made("CLONE_NEW") ||
		slices.ContainsFunc(e.Conduct.Ran, other) {
		return ""
	}
	name := regexp.MustCompile(`(^|\W)` + regexp.QuoteMeta(ranCommand(e)) + `(\W|$)`)
	for line := range strings.SplitSeq(e.Stdout+"\n"+e.Stderr, "\n") {
		if notKnownRE.MatchString(line) && !name.MatchString(line) {
			return fmt.Sprintf("Your program did not execute %s, and says: %q. The scripts call "+
				"it as `container run CMD [ARG...]`: the first word is run, and the command comes "+
				"after that. Does it know the word run?", ranCommand(e), strings.TrimSpace(line))
		}
	}
	return ""
}

// notKnownRE matches what programs say of a word that is none of theirs.
var notKnownRE = lazyregexp.New(`(?i)\b(?:unknown|unrecogni[sz]ed|invalid|bad|unsupported|` +
	`not a valid) (?:sub-?)?(?:command|verb|action)\b(?: line)?(?:$|\W*\brun\b|[^\w ])|` +
	`\bcommand (?:\W*run\W+)?(?:is )?(?:not (?:known|recogni[sz]ed|supported)|unknown)\b`)

// deniedRE matches what a command says that may not do something.
var deniedRE = lazyregexp.New(`(?i)not permitted|permission denied|must be root`)

// wrongWords is for a program that gives the command other words than those of the command line.
func wrongWords(e harness.Event) string {
	given := commandWords(e)
	if executed(e) != "yes" || len(given) < 3 || strings.Contains(e.Ran, "$") || inShell(e) {
		return "" // a shell may know the command by itself
	}
	line := strings.Join(given[1:], " ")
	own := func(word string) bool { return !strings.Contains(line, word) }
	var got []string
	joined := ""
	for i, file := range e.Conduct.Ran {
		switch words := e.Conduct.Words[i]; {
		case filepath.Base(file) != filepath.Base(given[2]) || len(words) == 0:
		case slices.Equal(words[1:], given[3:]):
			return ""
		case joins(words[1:], given[3:]):
			got = words[1:]
			joined = " Here are several words in one: hand them on as a list."
		case slices.ContainsFunc(words[1:], own): // the program runs it for itself, too
		default:
			got, joined = words[1:], ""
		}
	}
	if got == nil {
		return ""
	}
	return fmt.Sprintf("%s was executed with %s after its name, and the command line has %s "+
		"there. All words after the command belong to it, unchanged, in both processes.%s",
		given[2], inWords(got), inWords(given[3:]), joined)
}

// joins tells whether a list has the letters and digits of another one in the same order, in fewer
// words, whatever is between them.
func joins(words, given []string) bool {
	letters := func(words []string) (all string, n int) {
		for _, word := range words {
			if own := notLetterRE.ReplaceAllString(word, ""); own != "" {
				all, n = all+own, n+1
			}
		}
		return all, n
	}
	got, n := letters(words)
	wanted, most := letters(given)
	return got == wanted && 0 < n && n < most
}

// notLetterRE matches what is no letter and no digit.
var notLetterRE = lazyregexp.New(`[^\pL\pN]+`)

// calledTooLate is for a script that calls a function of its own in a line before the one that
// defines it.
func calledTooLate(e harness.Event) string {
	m := notFoundAtRE.FindStringSubmatch(e.Stderr)
	if m == nil || executed(e) == "yes" || m[1] != e.Program {
		return ""
	}
	text, err := os.ReadFile(e.Program)
	if err != nil {
		return ""
	}
	name := regexp.QuoteMeta(m[3])
	defines := regexp.MustCompile(`^\s*(function\s+` + name + `\b|` + name + `\s*\(\s*\))`)
	for i, line := range strings.Split(string(text), "\n") {
		switch at := i + 1; {
		case !defines.MatchString(line):
		case at < atoi(m[2]):
			return ""
		default:
			return fmt.Sprintf("%s is a function of your script, and line %s calls it before "+
				"line %d defines it. A shell knows a function only when it has come to its "+
				"definition: put that first.", m[3], m[2], at)
		}
	}
	return ""
}

// notFoundAtRE matches what a shell says of a command that it does not find: the script, the
// line, and the name.
var notFoundAtRE = lazyregexp.New(
	`(?m)^(\S+): (?:line )?(\d+): ([\w.+-]+): (?:command )?not found$`)

// shellLine is for a program that hands the command to sh -c, and loses words of it on the way.
func shellLine(e harness.Event) string {
	given := commandWords(e)
	if executed(e) != "no" || len(given) < 3 || strings.Contains(e.Ran, "$") {
		return ""
	}
	command := given[2:]
	for i, file := range e.Conduct.Ran {
		words := e.Conduct.Words[i]
		option := slices.IndexFunc(words, lineOptionRE.MatchString)
		if !shellRE.MatchString(file) || option < 0 || option+1 == len(words) {
			continue
		}
		sh, line, after := filepath.Base(file), words[option+1], words[option+2:]
		asked := allWordsRE.FindString(line)
		if asked != "" && otherWordsRE.MatchString(line) {
			continue
		}
		handOn := fmt.Sprintf("Hand on a name, and then all words of the command: %s -c LINE %s "+
			"CMD ARG..., where the line ends with exec \"$@\".", sh, sh)
		switch {
		case asked != "" && len(after) == 0 && strings.Contains(line, command[0]):
			// The command is in the line, and $@ stands for something else there.
		case asked != "" && len(after) == 0:
			return fmt.Sprintf("%s -c got a line with %s in it, and no words after the line: the "+
				"command did not come with it. %s", sh, asked, handOn)
		case asked != "" && !firstWordRE.MatchString(line) && slices.Equal(after, command):
			return fmt.Sprintf("The first word after the line of %s -c is its $0, and %s begins "+
				"with the second one: %s was left out. %s", sh, asked, command[0], handOn)
		case asked == "" && len(after) > 0 && slices.Equal(after, command[1:]) &&
			strings.HasSuffix(line, command[0]):
			return fmt.Sprintf("The line of %s -c ends with %s, and the other words of the "+
				"command came after the line, where they are its $0 and so on. %s", sh, command[0],
				handOn)
		}
	}
	return ""
}

var (
	// allWordsRE matches what stands for all words after the line of a shell, but for the first.
	allWordsRE = lazyregexp.New(`\$(?:[@*]|\{[@*]\})`)
	// firstWordRE matches what stands for the first.
	firstWordRE = lazyregexp.New(`\$(?:0|\{0)`)
	// otherWordsRE matches a function, and set: $@ may be its words then, or those that it sets.
	otherWordsRE = lazyregexp.New(`\w *\( *\)|\bset -- `)
)

// bareShell is for a program that runs a tool which starts a shell where it gets no command.
func bareShell(e harness.Event) string {
	if e.Conduct == nil {
		return ""
	}
	tool := ""
	for i, file := range e.Conduct.Ran {
		words := e.Conduct.Words[i]
		bare := len(words) > 1
		for j, word := range words {
			of := j == 0 || j == 1 && filepath.Base(file) == "chroot" // a directory
			bare = bare && (of || strings.HasPrefix(word, "-")) && !asksToolRE.MatchString(word)
		}
		switch filepath.Base(file) {
		case "chroot", "unshare":
			if tool = ""; bare {
				tool = filepath.Base(file)
			}
			continue
		}
		interactive := len(words) == 2 && words[1] == "-i" ||
			len(words) == 1 && strings.HasPrefix(words[0], "-")
		if tool == "" || !interactive || !shellRE.MatchString(file) ||
			executed(e) == "yes" && !slices.Contains(e.Conduct.Wrote, file) {
			continue
		}
		if ranCommand(e) == "" {
			return fmt.Sprintf("No command was given, and %s(1) starts an interactive shell then: "+
				"here it was %s. Count the words before anything is started, and end with "+
				"status 2.", tool, file)
		}
		return fmt.Sprintf("%s(1) starts an interactive shell where no command comes after its "+
			"own words: here it was %s. When that shell has ended, the next line of your program "+
			"is outside again. The command belongs to %[1]s: %[3]s \"$@\".", tool, file,
			map[string]string{"chroot": "chroot rootfs", "unshare": "unshare ..."}[tool])
	}
	return ""
}

// asksToolRE matches an option with which a tool only tells something of itself.
var asksToolRE = lazyregexp.New(`^(-h|-V|--help|--version)$`)

// inWords is a list of words in print.
func inWords(words []string) string {
	if len(words) == 0 {
		return "no words"
	}
	return strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%q", words), "["), "]")
}

// writtenByOther tells who else than the program wrote to standard output, which was to be empty:
// a tool that it runs, or the command, which has nothing to say.
func writtenByOther(e harness.Event) string {
	if e.Conduct == nil || len(e.Conduct.Wrote) == 0 {
		return ""
	}
	var tools []string
	for _, file := range e.Conduct.Wrote {
		tool := toolOf(harness.Refusal{By: file})
		if tool == "" {
			return ""
		}
		tools = append(tools, tool)
	}
	switch name := ranCommand(e); {
	case !slices.Contains(tools, name):
	case name != "true" && name != "false":
		return "" // it may have something to say
	case slices.Contains(e.Conduct.RanInside, e.Conduct.Wrote[0]):
		return fmt.Sprintf("%s was executed as the command, and wrote this. %s itself writes "+
			"nothing: is that file another program now? Many names in the root file system are "+
			"links to one file, busybox: copying something to one of them changes them all.",
			e.Conduct.Wrote[0], name)
	}
	return fmt.Sprintf("Your program runs %s, which wrote this. Standard output belongs to the "+
		"command, because others read it from there: send this to standard error (>&2), or do "+
		"without.",
		strings.Join(tools, " and "))
}

// lastCalls are the last call of the program that failed, and the last one that it made for the
// container.
func lastCalls(e harness.Event) (text string) {
	for _, r := range slices.Backward(e.Conduct.Refused) {
		path := firstPath(r.Text)
		ofLanguage := r.By != "" && strings.HasPrefix(path, filepath.Dir(filepath.Dir(r.By))+"/")
		if r.Looks && (r.Inside || path == "" || ofLanguage || modulesRE.MatchString(path)) ||
			tidies(r) || r.Errno == "EEXIST" && (toolOf(r) != "" || executed(e) == "yes") {
			continue
		}
		in := ""
		if tool := toolOf(r); tool != "" {
			in = ", in " + tool
		}
		text = fmt.Sprintf(" The last call that failed was %s: %s%s.", r.Text, r.Errno, in)
		break
	}
	for _, step := range slices.Backward(e.Conduct.Steps) {
		if step.Errno == "" {
			return text + " The last call that succeeded was " + step.Text + "."
		}
	}
	return text
}

// modulesRE matches where languages look for their modules, besides their own directories.
var modulesRE = lazyregexp.New(`^/etc/(perl|python|ruby|php|lua)|\.(pmc?|pyc?|rb)$`)

// faultRE matches how a program ended that has used an address that is none.
var faultRE = lazyregexp.New(`signal: (segmentation fault|bus error)`)

// rootReadOnly is for a command that cannot write to its root file system, because the program has
// made that read-only.
func rootReadOnly(e harness.Event) string {
	if e.Script.Name != "rootfs-written" || executed(e) != "yes" ||
		!strings.Contains(strings.ToLower(e.Stderr), "read-only file system") {
		return ""
	}
	for _, made := range slices.Backward(e.Conduct.Made) {
		point := lastPath(made)
		if strings.HasPrefix(made, "mount(") && strings.Contains(made, "MS_RDONLY") &&
			(point == "/" || point == "." || filepath.Base(point) == "rootfs") {
			return fmt.Sprintf("The root of the container is read-only, and your program has made "+
				"it so: %s. Leave MS_RDONLY out: the command may write to its files.", made)
		}
	}
	return ""
}

// procNotMounted is for a container without a proc file system, because its root file system has no
// directory for that.
func procNotMounted(e harness.Event) string {
	if e.Script.Name != "rootfs-without-proc" {
		return ""
	}
	if m := noProcSaidRE.FindStringSubmatch(e.Stderr); m != nil {
		return fmt.Sprintf("This root file system has no directory proc, on purpose, and "+
			"something says so: %q. Either mkdir(2) makes the directory before that, or your "+
			"program ends, with status 125 and a line that names proc. It does not go on.",
			strings.TrimSpace(m[1]))
	}
	if !noProcRE.MatchString(e.Stderr) {
		return ""
	}
	return "This root file system has no directory proc, on purpose, and there mount(2) of proc " +
		"fails with ENOENT. If your program ignores that, the command has no /proc. " +
		"Either mkdir(2) makes the directory before that, or your program ends, with status 125 " +
		"and a line that names proc."
}

// noProcSaidRE matches a line that names proc as what is missing, where the script says that the
// status was another one than 0 and 125.
var noProcSaidRE = lazyregexp.New(`(?is)(?:\A|\n)([^\n]*\bproc\b[^\n]*(?:not exist|no such|not ` +
	`found)[^\n]*)\n.*exit status \d+, and (?:neither 0 nor 125|/proc/self leads nowhere)\n\z`)

// noProcRE matches what the script says where readlink(1) of /proc/self has failed, which ends with
// 1, and nobody has said anything else.
var noProcRE = lazyregexp.New(`\A(?:exit status 0, and /proc/self leads nowhere|` +
	`exit status 1, and neither 0 nor 125)\n\z`)

// facts are what was seen of a program where nothing else explains why a promise is broken.
func facts(e harness.Event) string {
	if e.Conduct == nil || len(e.Left) > 0 || e.Waiting != "" || endedOtherwise(e) ||
		panicked(e.Stderr) != "" { // which says it
		return ""
	}
	name := ranCommand(e)
	switch executed(e) {
	case "no":
		if faultRE.MatchString(e.Message) {
			return fmt.Sprintf("A signal ended your program itself, before it executed %s. It "+
				"used an address that is none: a null pointer, perhaps, or a stack for clone(2) "+
				"that is too small or given by its lower end (it grows down).%s", name,
				lastCalls(e))
		}
		if strings.HasPrefix(name, "no-such") || inShell(e) {
			return ""
		}
		return neverExecuted(e) + lastCalls(e)
	case "yes":
	default:
		return ""
	}
	text := fmt.Sprintf("%s was executed, with the root of the host.", name)
	isIt := func(file string) bool { return filepath.Base(file) == filepath.Base(name) }
	early := e.Script.Step == "step1-skeleton" || e.Script.Step == "step2-namespaces"
	switch {
	case slices.ContainsFunc(e.Conduct.RanInside, isIt):
		text = fmt.Sprintf("%s was executed, with another root than the one of the host.", name)
	case early: // the root is as it should be
		text = fmt.Sprintf("%s was executed.", name)
	}
	for _, r := range slices.Backward(e.Conduct.Refused) {
		if !r.Looks && !tidies(r) && toolOf(r) == "" && !ofTheCommand(e, r) && r.Errno != "EEXIST" {
			return text + fmt.Sprintf(" A call of your program failed, and it went on: %s: %s "+
				"(%s).", r.Text, r.Errno, r.Cause)
		}
	}
	inside := slices.ContainsFunc(e.Conduct.RanInside, isIt)
	if early || inside && e.Script.Step > "step3-rootfs" { // its root is as it should be
		return ""
	}
	return text
}

// ofTheCommand tells whether a call was made by the command itself, or below it.
func ofTheCommand(e harness.Event, r harness.Refusal) bool {
	steps := e.Conduct.Steps
	begun := slices.IndexFunc(steps, cause{event: e}.executes)
	return begun >= 0 && r.Process >= steps[begun].Process &&
		slices.ContainsFunc(steps[begun:], func(step harness.Step) bool {
			return step.Text == r.Text && step.Errno == r.Errno && step.Process == r.Process
		})
}
