//go:build linux

package main

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	"golang.org/x/tools/txtar"

	"container.example/workshop/internal/harness"
	"container.example/workshop/internal/lazyregexp"
)

// explanation is a failure in words.
type explanation struct {
	promise  string
	with     string // the environment that the script gives it
	ran      string // the command line
	expected string
	seen     string
	stdout   string // what the command wrote, where that says more than seen
	stderr   string
	diff     string
	ended    string // what was in the background and had ended by itself
	panicked string // the first line of it, and the place in the program
	unseen   string // the same of a panic whose words did not arrive
	calls    string // those of the program that bear on the promise
	refused  string // the system call of the program that failed
	kernel   string
	clue     string    // what all this means here
	helper   [2]string // a script in the archive that was run: its name and text
}

// command is a line of a script: [conditions] [!] name args...
type command struct {
	negated bool
	name    string
	args    []string
	text    string // all after the conditions and !
}

// environment are the variables that the script has set before the line that failed, as one would
// type them.
func environment(e harness.Event) string {
	var set []string
	for n := 1; n < e.Line; n++ {
		if c := parseCommand(e.Script.Line(n)); c.name == "env" {
			set = append(set, c.args...)
		}
	}
	return strings.Join(set, " ")
}

var condition = lazyregexp.New(`^\[[^]]+\]\s*`)

func parseCommand(line string) (c command) {
	line = strings.TrimSpace(line)
	for condition.MatchString(line) {
		line = condition.ReplaceAllString(line, "")
	}
	if rest, ok := strings.CutPrefix(line, "! "); ok {
		c.negated, line = true, strings.TrimSpace(rest)
	}
	c.text = line
	if words := harness.Words(line, nil); len(words) > 0 {
		c.name, c.args = words[0], words[1:]
	}
	return c
}

// commandLine is what the script ran, as one would type it: without exec, or exits and its number.
func commandLine(ran string) string {
	c := parseCommand(ran)
	text := strings.TrimPrefix(c.text, "exec ")
	if c.name == "exits" && len(c.args) > 0 {
		text = strings.TrimPrefix(c.text, "exits "+c.args[0]+" ")
	}
	if i := strings.LastIndex(text, " &"); i > 0 &&
		(strings.HasSuffix(text, "&") || strings.HasSuffix(text, " &")) {
		text = text[:i]
	}
	return strings.TrimSpace(text)
}

var (
	exitStatus = lazyregexp.New(`exit status (-?\d+), want (\d+)`)
	anyStatus  = lazyregexp.New(`exit status (\d+)`)
	matchCount = lazyregexp.New(`have (\d+) matches`)
	plainRE    = lazyregexp.New(`^\^?[\w ,.:/=-]*\$?$`)
)

// pattern is a regular expression in words.
func pattern(re string) string {
	re = strings.TrimPrefix(re, "(?m)")
	if rest, ok := strings.CutPrefix(re, "(?i)"); ok && plainRE.MatchString(rest) {
		return fmt.Sprintf("%q, in small or capital letters", rest)
	}
	if plainRE.MatchString(re) && !strings.ContainsAny(re, "*+?") {
		text := strings.TrimSuffix(strings.TrimPrefix(re, "^"), "$")
		if strings.HasPrefix(re, "^") && strings.HasSuffix(re, "$") {
			return fmt.Sprintf("a line that is %q", text)
		}
		return fmt.Sprintf("%q", text)
	}
	if re == "." {
		return "anything"
	}
	// ^ *WORD : a line of a table
	if word, ok := strings.CutPrefix(re, "^ *"); ok && plainRE.MatchString(word) &&
		!strings.ContainsAny(word, "*+?$") {
		return fmt.Sprintf("a line that begins with %q", word)
	}
	return "a match for the regular expression `" + re + "`"
}

var streamNames = map[string]string{"stdout": "standard output", "stderr": "standard error"}

// explain puts a failure into words.
func explain(e harness.Event) (x explanation, err error) {
	if x.promise, err = e.Script.Promise(e.Line); err != nil {
		return x, err
	}
	if h, err := findHints(e.Script); err == nil {
		x.kernel = h.Kernel
	}
	x.ran = commandLine(e.Ran)
	x.stdout, x.stderr, x.diff = e.Stdout, e.Stderr, e.Diff
	x.with = environment(e)
	x.background(e)
	c := parseCommand(e.Script.Line(e.Line))
	x.seen = e.Message
	switch put := verbs[c.name]; {
	case e.Waiting != "":
		x.hangs(e, c)
	case len(e.Left) > 0:
		x.leaves(e)
	case e.Panicked:
		x.expected, x.seen = "an answer and an exit status", "a panic"
	case put != nil:
		put(&x, e, c)
	case c.negated:
		x.expected = "this fails: " + c.text
	case c.text != "":
		x.expected = "this succeeds: " + c.text
	}
	if statusLost(e) == "" { // otherwise it is only a warning, after the command
		x.panicked = withSource(panicked(x.stderr), e.Program)
		if words := unseen(e); words != "" && (x.panicked == "" || saysStatus(x.panicked)) {
			x.unseen = withSource(panicked(words), e.Program)
		}
	}
	x.refused, x.calls = refused(e), callsSeen(e)
	x.clue = clue(e)
	if archive, err := txtar.ParseFile(e.Script.File); err == nil {
		for _, f := range archive.Files {
			if slices.Contains(strings.Fields(x.ran), f.Name) && strings.HasPrefix(x.ran, "sh ") {
				x.helper = [2]string{f.Name, string(f.Data)}
			}
		}
	}
	return x, nil
}

// verbs put what a line of a script wanted, and what came of it, into words: by the command at its
// beginning.
var verbs = map[string]func(*explanation, harness.Event, command){
	"cgroup":  (*explanation).cgroup,
	"cmp":     (*explanation).cmp,
	"exec":    (*explanation).exec,
	"exists":  (*explanation).exists,
	"exits":   (*explanation).exits,
	"grep":    (*explanation).grep,
	"running": (*explanation).running,
	"stderr":  (*explanation).stream,
	"stdout":  (*explanation).stream,
	"until":   (*explanation).until,
	"wait":    (*explanation).wait,
}

// hangs is for a script whose time was up.
func (x *explanation) hangs(e harness.Event, c command) {
	x.expected = "the program ends"
	x.seen = "it hangs: when the time was up, " + e.Waiting
	if c.name == "exec" || c.name == "exits" { // and not what ran to its end before
		x.ran = commandLine(c.text)
		x.stdout, x.stderr = "", ""
	}
	// What was ended in the midst of its work need not have written all. When it was run once more
	// it hung, too, and nobody took its last words from it.
	if s := e.Conduct; s != nil && s.Status == "" {
		x.stdout, x.stderr = s.Stdout, s.Stderr
	}
}

// leaves is for a script after which the host is not as it was.
func (x *explanation) leaves(e harness.Event) {
	x.expected = "the host is afterwards as it was before"
	x.seen = leftBehind(e.Left)
	x.kernel = kernelOfLeft(e.Left, x.kernel)
	x.ran = strings.Join(runsOf(e), "\n")
	if e.LeftBy != "" {
		x.ran = commandLine(e.LeftBy)
	}
	if !inTheWay(e) {
		x.stdout, x.stderr = "", ""
	}
}

func (x *explanation) exits(e harness.Event, _ command) {
	if m := exitStatus.FindStringSubmatch(e.Message); m != nil {
		x.expected = "exit status " + meaning(m[2])
		x.seen = "exit status " + meaningOf(m[1], e.Stderr)
		if m[1] == "255" && atoi(m[2]) > 128 && isGo(e.Program) {
			x.seen = "exit status 255 (-1 as a byte: Go's ExitCode says so of a command that a " +
				"signal ended)"
		}
	}
}

func (x *explanation) exec(e harness.Event, c command) {
	if c.negated {
		x.expected, x.seen = "it fails (an exit status other than 0)", "exit status 0"
		return
	}
	x.expected = "it succeeds (exit status 0)"
	if m := anyStatus.FindStringSubmatch(e.Message); m != nil {
		x.seen = "exit status " + meaningOf(m[1], e.Stderr)
	}
}

func (x *explanation) stream(e harness.Event, c command) {
	if len(c.args) == 0 {
		return
	}
	stream, text := streamNames[c.name], e.Stdout
	if c.name == "stderr" {
		text = e.Stderr
	}
	re := c.args[len(c.args)-1]
	want := pattern(re)
	count := strings.TrimPrefix(c.args[0], "-count=")
	switch m := matchCount.FindStringSubmatch(e.Message); {
	case c.negated && re == ".":
		x.expected = "nothing on " + stream
		x.seen = firstLine(text)
	case c.negated:
		x.expected = fmt.Sprintf("%s without %s", stream, want)
		x.seen = "there it is: " + matching(re, text)
	case m != nil && re == "(?m)^.+$":
		x.expected = plural(atoi(count), "line") + " on " + stream
		x.seen = plural(atoi(m[1]), "line")
	case m != nil:
		x.expected = fmt.Sprintf("%s on %s, %s", want, stream, plural(atoi(count), "time"))
		x.seen = plural(atoi(m[1]), "time")
	case text == "\n":
		x.expected, x.seen = fmt.Sprintf("%s on %s", want, stream), "an empty line"
	case strings.TrimSpace(text) == "":
		x.expected, x.seen = fmt.Sprintf("%s on %s", want, stream), "nothing on "+stream
	default:
		x.expected, x.seen = fmt.Sprintf("%s on %s", want, stream), firstLine(text)
	}
}

// atoi is the number in digits that a regular expression has found.
func atoi(digits string) int {
	n, _ := strconv.Atoi(digits)
	return n
}

// matching is the line of the text in which the regular expression matches.
func matching(re, text string) string {
	compiled, err := regexp.Compile("(?m)" + re)
	if err != nil {
		return firstLine(text)
	}
	for line := range strings.SplitSeq(text, "\n") {
		if compiled.MatchString(line) {
			return firstLine(line)
		}
	}
	return firstLine(text)
}

// firstLine is the first line that says something, and whether there are more.
func firstLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	first := verbatim(lines[0], 1)
	switch n := len(lines) - 1; n {
	case 0:
		return first
	case 1:
		return first + " (and one more line)"
	default:
		return fmt.Sprintf("%s (and %d more lines)", first, n)
	}
}

func (x *explanation) cmp(_ harness.Event, c command) {
	if len(c.args) != 2 {
		return
	}
	x.stdout = "" // the difference shows it
	a, b := streamOr(c.args[0]), streamOr(c.args[1])
	x.expected, x.seen = fmt.Sprintf("%s and %s are the same", a, b), "they differ"
	if streamNames[c.args[0]] != "" {
		x.seen += " (- is what was seen, + what was expected)"
	}
	if c.negated {
		x.expected, x.seen = fmt.Sprintf("%s and %s differ", a, b), "they are the same"
	}
}

func (x *explanation) grep(e harness.Event, c command) {
	if len(c.args) < 2 {
		return
	}
	file, want := c.args[len(c.args)-1], pattern(c.args[len(c.args)-2])
	x.expected, x.seen = fmt.Sprintf("%s in %s", want, file), "it is not there"
	if c.negated {
		x.expected, x.seen = fmt.Sprintf("%s without %s", file, want), "there it is"
		_, found, ok := strings.Cut(e.Message, " found in "+file+": ")
		if ok && found != "" {
			x.seen += ": " + found
		}
	}
}

func (x *explanation) wait(e harness.Event, c command) {
	x.expected = "the program in the background ends with an exit status other than 0"
	line := startOf(e, c.args)
	if line.name == "" {
		return
	}
	x.ran = commandLine(line.text)
	if !line.negated {
		x.expected = "the program in the background succeeds (exit status 0)"
	}
	for _, b := range e.Background {
		if b.State != "" && b.Command == strings.Join(line.args[:len(line.args)-1], " ") {
			x.seen = b.State
		}
	}
	x.ended = ""
}

func (x *explanation) running(_ harness.Event, c command) {
	if len(c.args) == 0 {
		return
	}
	x.expected, x.seen = fmt.Sprintf("a process that runs `%s`", c.args[0]), "there is none"
	if c.negated {
		x.expected = fmt.Sprintf("no process that runs `%s`", c.args[0])
		x.seen = "it is still there"
	}
}

func (x *explanation) cgroup(_ harness.Event, c command) {
	if len(c.args) == 2 {
		x.expected = fmt.Sprintf("a cgroup whose file %s says %s", c.args[0], c.args[1])
	}
}

func (x *explanation) until(_ harness.Event, c command) {
	x.expected = "this succeeds sooner or later: " + strings.TrimPrefix(c.text, "until ")
}

func (x *explanation) exists(_ harness.Event, c command) {
	x.expected = "there is " + strings.Join(c.args, " ")
	if c.negated {
		x.expected = "there is no " + strings.Join(c.args, " ")
		x.seen = "it is there"
	}
}

// background tells of the programs in the background that had ended by themselves: one that failed
// is why the line that waited for it, or for what it was to do, has failed.
func (x *explanation) background(e harness.Event) {
	if e.Waiting != "" {
		return // they were ended with all others
	}
	var lines []string
	said := "" // by one that goes on
	for _, b := range e.Background {
		what := "`" + b.Command + "`"
		if b.Command == x.ran {
			what = "it"
		}
		if status, ok := strings.CutPrefix(b.State, "exit status "); ok {
			lines = append(lines, what+" had ended: exit status "+meaningOf(status, b.Stderr))
		} else if b.State != "" {
			lines = append(lines, what+" had ended: "+b.State)
		}
		if b.State == "" {
			said = cmp.Or(said, b.Stderr)
			continue
		}
		x.stderr = cmp.Or(x.stderr, b.Stderr)
	}
	x.stderr = cmp.Or(x.stderr, said)
	x.ended = strings.Join(lines, "\n")
}

// startOf is the line before the one that failed that started what `wait NAME` waits for.
func startOf(e harness.Event, wait []string) (start command) {
	for n := 1; n < e.Line && len(wait) == 1; n++ {
		if c := parseCommand(e.Script.Line(n)); strings.HasSuffix(c.text, " &"+wait[0]+"&") {
			start = c
		}
	}
	return start
}

// runsOf are the command lines of the script that run the program.
func runsOf(e harness.Event) (lines []string) {
	archive, err := txtar.ParseFile(e.Script.File)
	if err != nil {
		return nil
	}
	for line := range strings.SplitSeq(string(archive.Comment), "\n") {
		notRun := strings.HasPrefix(line, "#") ||
			strings.HasPrefix(line, "[ours]") && e.Program != ""
		if strings.Contains(line, " container ") && !notRun {
			lines = append(lines, commandLine(line))
		}
	}
	if len(lines) > 4 {
		lines = append(lines[:4], "...")
	}
	return lines
}

func streamOr(name string) string {
	if stream := streamNames[name]; stream != "" {
		return stream
	}
	return "the file " + name
}

// shellError is a line of a shell about one of the lines that it reads: "./mine: 3: Cannot fork".
var shellError = lazyregexp.New(`(?m)^[^:\n]+: (?:line )?[0-9]+: `)

// meaningOf adds to the exit status of a program that wrote this on its standard error what it
// stands for.
func meaningOf(status, stderr string) string {
	n, err := strconv.Atoi(status)
	switch {
	case status == "2" && panicked(stderr) != "":
		return "2 (a panic)"
	case status == "2" && (strings.TrimSpace(stderr) == "" || errnoIn(stderr) != ""):
		return "2" // die of Perl ends with errno, which is ENOENT then
	case status == "2" && shellError.MatchString(stderr):
		return "2" // of the shell, whose own errors are 2
	case status == "255":
		return "255 (-1 as a byte)"
	case err == nil && n > 256-32:
		return fmt.Sprintf("%s (%d as a byte: in many languages that stands for signal %d)", status,
			n-256, 256-n)
	}
	return meaning(status)
}

// meaning adds to an exit status what it stands for.
func meaning(status string) string {
	what := map[string]string{
		"2": "wrong usage", "125": "the runtime failed", "126": "cannot be executed",
		"127": "not found",
	}[status]
	if signal := atoi(status) - 128; what == "" && signal > 0 {
		if name := unix.SignalName(unix.Signal(signal)); name != "" {
			what = fmt.Sprintf("ended by signal %d, %s", signal, strings.TrimPrefix(name, "SIG"))
		}
	}
	if what == "" {
		return status
	}
	return status + " (" + what + ")"
}

// kernelOfLeft is the part of the kernel that keeps such a thing from the host, or takes it away.
func kernelOfLeft(left []string, otherwise string) string {
	for _, k := range []struct{ kind, kernel string }{
		{": host name ", "CLONE_NEWUTS of clone(2), uts_namespaces(7)"},
		{": root of the host", "CLONE_NEWNS of clone(2), pivot_root(2), mount_namespaces(7)"},
		{": mount ", "CLONE_NEWNS of clone(2), and mounts made private: mount_namespaces(7), " +
			"SHARED SUBTREES"},
		{": limit ", "each directory in /sys/fs/cgroup has limits of its own: cgroups(7)"},
		{": cgroup ", "rmdir(2) on a cgroup succeeds when no process is left in it: cgroups(7)"},
		{": process ", "wait(2); the end of process 1 is the end of all in its pid namespace: " +
			"pid_namespaces(7)"},
		{": interface ", "CLONE_NEWNET of clone(2), network_namespaces(7)"},
	} {
		isKind := func(line string) bool { return strings.Contains(line, k.kind) }
		if slices.ContainsFunc(left, isKind) {
			return k.kernel
		}
	}
	return otherwise
}

// workRE matches the directory in which a script runs, which is another one each time.
var workRE = lazyregexp.New(`/\S*/container-test-[\d-]+/work/[^/\s]+`)

// leftBehind puts the differences of the host into words.
func leftBehind(left []string) string {
	var lines []string
	for _, line := range left {
		line = workRE.ReplaceAllString(strings.TrimSpace(line), "$$WORK")
		switch {
		case strings.HasPrefix(line, "new: host name "):
			lines = append(lines, "the host is now called "+strings.TrimPrefix(line, "new: host "+
				"name "))
		case line == "gone: root of the host":
			lines = append(lines, "the root of the host is another directory")
		case strings.HasPrefix(line, "gone: host name "), strings.HasPrefix(line, "gone: limit "):
		case strings.HasPrefix(line, "new: "):
			lines = append(lines, "left behind: "+strings.TrimPrefix(line, "new: "))
		default:
			lines = append(lines, strings.Replace(line, "gone: ", "taken away: ", 1))
		}
	}
	if len(lines) > 5 {
		lines = append(lines[:5], fmt.Sprintf("and %d more", len(lines)-5))
	}
	return strings.Join(lines, "\n")
}

// lines are the rows of the explanation: a label and what it says.
func (x explanation) rows() (rows [][2]string) {
	add := func(label, text string) {
		if strings.TrimSpace(text) != "" {
			rows = append(rows, [2]string{label, text})
		}
	}
	add("with", x.with)
	add("ran", x.ran)
	if x.helper[0] != "" {
		add(x.helper[0], verbatim(x.helper[1], 18))
	}
	add("expected", x.expected)
	add("seen", x.seen)
	add("before", x.ended)
	add("calls", x.calls)
	add("refused", x.refused)
	add("panic", strings.TrimPrefix(x.panicked, "panic: "))
	add("unseen", strings.TrimPrefix(x.unseen, "panic: "))
	add("clue", x.clue)
	add("stdout", verbatim(x.stdout, 8))
	if x.panicked != "" {
		x.stderr = beforePanic(x.stderr)
	}
	add("stderr", bothEnds(x.stderr, 8))
	add("differs", verbatim(x.diff, 12))
	return rows
}

// headline is the script whose promise is the subject of a failure: the one that failed, or the one
// that is about what the program did.
func headline(root string, e harness.Event) harness.Script {
	if about, err := findScript(root, subject(e)); err == nil {
		return about
	}
	return e.Script
}

// explainFailure prints a failure, and what to do next.
func (a *app) explainFailure(p *place, e harness.Event) error {
	if err := a.describeFailure(p, e); err != nil {
		return err
	}
	a.out.printf("\nNext: %s\n", a.out.note.Render(a.advice("hint", "h")))
	return nil
}

// describeFailure prints a failure.
func (a *app) describeFailure(p *place, e harness.Event) error {
	x, err := explain(e)
	if err != nil {
		return err
	}
	about := headline(p.root, e)
	if about.ID() != e.Script.ID() {
		if x.promise, err = about.Promise(0); err != nil {
			return err
		}
		if h, err := findHints(about); err == nil {
			x.kernel = h.Kernel
		}
	}
	out := a.out
	out.printf("\n%s %s\n\n  %s\n\n", out.bad.Render("✗"), out.bold.Render(about.ID()),
		out.wrap(x.promise, 2))
	for _, row := range x.rows() {
		out.row(row[0], row[1])
	}
	s, err := p.load()
	if err != nil {
		return err
	}
	if when, kept := s.Kept[e.Script.ID()]; kept {
		what := "this"
		if about.ID() != e.Script.ID() {
			what = e.Script.ID()
		}
		out.row("note", fmt.Sprintf("%s was kept on %s: look at what you changed since then.", what,
			when.Format("2 January at 15:04")))
	}
	place := relative(e.Script.File)
	if e.Line > 0 {
		place = fmt.Sprintf("%s:%d", place, e.Line)
	}
	if x.kernel != "" {
		out.row("kernel", x.kernel)
		if page := manPage(x.kernel); page != "" {
			out.row("to read", page)
		}
	}
	if about.ID() != e.Script.ID() {
		place += ", which met it first"
	}
	out.row("script", place)
	return nil
}

var manRE = lazyregexp.New(`([a-z_0-9A-Z][a-z_0-9A-Z.]*)\(([1-8])\)`)

// manPage is the command that shows the man pages that the text names, and where the web has one of
// them: the overview in section 7, if it is among them.
func manPage(text string) string {
	var commands []string
	var best []string
	for _, m := range manRE.FindAllStringSubmatch(text, -1) {
		if command := "man " + m[2] + " " + m[1]; !slices.Contains(commands, command) {
			commands = append(commands, command)
		}
		if best == nil || best[2] != "7" && m[2] == "7" {
			best = m
		}
	}
	if best == nil {
		return ""
	}
	return fmt.Sprintf("%s\nhttps://man7.org/linux/man-pages/man%s/%s.%s.html",
		strings.Join(commands, ", "), best[2], best[1], best[2])
}
