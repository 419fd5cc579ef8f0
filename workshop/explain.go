//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/tools/txtar"

	"container.example/workshop/internal/harness"
)

// explanation is a failure in words.
type explanation struct {
	promise  string
	ran      string // the command line
	expected string
	seen     string
	stdout   string // what the command wrote, where that says more than seen
	stderr   string
	diff     string
	ended    string // what was in the background and had ended by itself
	panicked string // the first line of it, and the place in the program
	kernel   string
	clue     string    // what the words of the kernel mean here
	helper   [2]string // a script in the archive that was run: its name and text
}

// command is a line of a script: [conditions] [!] name args...
type command struct {
	negated bool
	name    string
	args    []string
	text    string // all after the conditions and !
}

var condition = regexp.MustCompile(`^\[[^]]+\]\s*`)

func parseCommand(line string) (c command) {
	line = strings.TrimSpace(line)
	for condition.MatchString(line) {
		line = condition.ReplaceAllString(line, "")
	}
	if rest, ok := strings.CutPrefix(line, "! "); ok {
		c.negated, line = true, strings.TrimSpace(rest)
	}
	c.text = line
	var words []string
	var word strings.Builder
	quoted, inWord := false, false
	for i := 0; i < len(line); i++ {
		switch ch := line[i]; {
		case ch == '\'' && quoted && i+1 < len(line) && line[i+1] == '\'':
			word.WriteByte(ch)
			i++
		case ch == '\'':
			quoted, inWord = !quoted, true
		case ch == ' ' && !quoted:
			if inWord {
				words = append(words, word.String())
			}
			word.Reset()
			inWord = false
		default:
			word.WriteByte(ch)
			inWord = true
		}
	}
	if inWord {
		words = append(words, word.String())
	}
	if len(words) > 0 {
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
	if i := strings.LastIndex(text, " &"); i > 0 && (strings.HasSuffix(text, "&") || strings.HasSuffix(text, " &")) {
		text = text[:i]
	}
	return strings.TrimSpace(text)
}

var (
	exitStatus = regexp.MustCompile(`exit status (-?\d+), want (\d+)`)
	matchCount = regexp.MustCompile(`have (\d+) matches`)
	plainRE    = regexp.MustCompile(`^\^?[\w ,.:/=-]*\$?$`)
	panicRE    = regexp.MustCompile(`(?m)^(panic: .*|fatal error: .*|Traceback \(most recent call last\):|Segmentation fault.*)$`)
	placeRE    = regexp.MustCompile(`(?m)^\s+(/\S+\.go:\d+)`)
	pythonRE   = regexp.MustCompile(`(?m)^(\w+(?:Error|Exception|Interrupt)\b.*)$`)
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
	x.background(e)
	if rest, ok := strings.CutSuffix(x.promise, ","); ok { // it goes on in a part that was not reached
		x.promise = rest + " ..."
	}
	c := parseCommand(e.Script.Line(e.Line))
	x.seen = e.Message
	switch {
	case e.Waiting != "":
		x.expected = "that it comes to an end"
		x.seen = "it hangs: when the time was up, " + e.Waiting
		// What was ended in the midst of its work need not have written all.
	case len(e.Left) > 0:
		x.expected = "that the host is afterwards as it was before"
		x.seen = leftBehind(e.Left)
		x.kernel = kernelOfLeft(e.Left, x.kernel)
		x.ran = strings.Join(runsOf(e.Script), "\n")
		x.stdout, x.stderr = "", ""
	case c.name == "exits":
		if m := exitStatus.FindStringSubmatch(e.Message); m != nil {
			x.expected, x.seen = "exit status "+meaning(m[2]), "exit status "+meaningOf(m[1], e.Stderr)
		}
	case c.name == "exec" && c.negated:
		x.expected, x.seen = "that it fails (an exit status other than 0)", "exit status 0"
	case c.name == "exec":
		x.expected = "that it succeeds (exit status 0)"
		if m := regexp.MustCompile(`exit status (\d+)`).FindStringSubmatch(e.Message); m != nil {
			x.seen = "exit status " + meaningOf(m[1], e.Stderr)
		}
	case (c.name == "stdout" || c.name == "stderr") && len(c.args) > 0:
		stream := streamNames[c.name]
		re := c.args[len(c.args)-1]
		text := e.Stdout
		if c.name == "stderr" {
			text = e.Stderr
		}
		switch m := matchCount.FindStringSubmatch(e.Message); {
		case c.negated:
			x.expected = fmt.Sprintf("%s without %s", stream, pattern(re))
			x.seen = "there is one on " + stream
		case m != nil && re == "(?m)^.+$":
			x.expected = fmt.Sprintf("%s line(s) on %s", strings.TrimPrefix(c.args[0], "-count="), stream)
			x.seen = m[1] + " lines"
		case m != nil:
			x.expected = fmt.Sprintf("%s on %s, %s times", pattern(re), stream, strings.TrimPrefix(c.args[0], "-count="))
			x.seen = m[1] + " times"
		case strings.TrimSpace(text) == "":
			x.expected, x.seen = fmt.Sprintf("%s on %s", pattern(re), stream), "nothing on "+stream
		default:
			x.expected, x.seen = fmt.Sprintf("%s on %s", pattern(re), stream), "another text there"
		}
	case c.name == "cmp" && len(c.args) == 2:
		x.stdout = "" // the difference shows it
		x.expected = fmt.Sprintf("that %s and %s are the same", streamOr(c.args[0]), streamOr(c.args[1]))
		x.seen = "they differ"
		if c.negated {
			x.expected = fmt.Sprintf("that %s and %s differ", streamOr(c.args[0]), streamOr(c.args[1]))
			x.seen = "they are the same"
		}
	case c.name == "grep" && len(c.args) > 1:
		file := c.args[len(c.args)-1]
		x.expected, x.seen = fmt.Sprintf("%s in %s", pattern(c.args[len(c.args)-2]), file), "it is not there"
		if c.negated {
			x.expected = fmt.Sprintf("%s without %s", file, pattern(c.args[len(c.args)-2]))
			x.seen = "there is one"
			if _, found, ok := strings.Cut(e.Message, " found in "+file+": "); ok && found != "" {
				x.seen = "it is there: " + found
			}
		}
	case c.name == "wait":
		x.expected = "that the program in the background ends with an exit status other than 0"
		if line := startOf(e, c.args); line.name != "" {
			x.ran = commandLine(line.text)
			if !line.negated {
				x.expected = "that the program in the background succeeds (exit status 0)"
			}
			for _, b := range e.Background {
				if b.State != "" && b.Command == strings.Join(line.args[:len(line.args)-1], " ") {
					x.seen = b.State
				}
			}
			x.ended = ""
		}
	case c.name == "running" && len(c.args) > 0:
		x.expected = fmt.Sprintf("a process that runs `%s`", c.args[0])
		x.seen = "there is none"
	case c.name == "cgroup" && len(c.args) == 2:
		x.expected = fmt.Sprintf("a cgroup whose file %s says %s", c.args[0], c.args[1])
	case c.name == "exists" && c.negated:
		x.expected = "that there is no " + strings.Join(c.args, " ")
	case c.negated:
		x.expected = "that this fails: " + c.text
	case c.text != "":
		x.expected = "that this succeeds: " + c.text
	}
	x.panicked = panicked(x.stderr)
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

// background tells of the programs in the background that had ended by themselves: one that failed is why the line that
// waited for it, or for what it was to do, has failed.
func (x *explanation) background(e harness.Event) {
	if e.Waiting != "" {
		return // they were ended with all others
	}
	var lines []string
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
		if x.stderr == "" {
			x.stderr = b.Stderr
		}
	}
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
func runsOf(s harness.Script) (lines []string) {
	archive, err := txtar.ParseFile(s.File)
	if err != nil {
		return nil
	}
	for line := range strings.SplitSeq(string(archive.Comment), "\n") {
		if strings.Contains(line, " container ") && !strings.HasPrefix(line, "#") {
			lines = append(lines, commandLine(line))
		}
	}
	if len(lines) > 4 {
		lines = append(lines[:4], "...")
	}
	return lines
}

// clue says what an error that does not explain itself means for a container program.
func clue(e harness.Event) string {
	text := e.Stdout + e.Stderr + e.Message
	for _, b := range e.Background {
		text += b.Stderr
	}
	all := strings.ToLower(text)
	if e.Tasks >= harness.MaxTasks() && !strings.Contains(e.Script.Name, "pids") {
		return fmt.Sprintf("The throw-away host allows %d processes and threads at once, and there were %d in all: does the second "+
			"copy of the program start a copy again, instead of the command?", harness.MaxTasks(), e.Tasks)
	}
	if regexp.MustCompile(pivotRootEINVAL).MatchString(e.Stderr) {
		return "pivot_root(2) says so if the new root is no mount point (bind it on itself first), or if mounts are still shared with the " +
			"host (make / private, with MS_REC, before all else)."
	}
	if regexp.MustCompile(cgroupEROFS).MatchString(all) && !harness.HasCgroup2() {
		return "This machine has version 1 of cgroups, where /sys/fs/cgroup is no cgroup but a tmpfs with a hierarchy for each controller: " +
			"make the directory in /sys/fs/cgroup/memory, pids or cpu. The files are memory.limit_in_bytes, pids.max and cpu.cfs_quota_us there."
	}
	for _, c := range []struct{ words, meaning string }{
		{"exec format error", "The kernel does not know this format: a script has to begin with #!, as in #!/bin/sh."},
		{"too many levels", "Namespaces are nested 32 deep at most: does the second copy start a copy again?"},
		{"no space left on device", "clone(2) says so when namespaces are nested too deep or there are too many: does the second " +
			"copy start a copy again, instead of the command?"},
		{"read-only file system", "All that belongs to the machine is read-only here, lest a mistake harm it. Is this path meant to be in the container?"},
	} {
		if strings.Contains(all, c.words) && !strings.Contains(e.Script.Name, "pids") {
			return c.meaning
		}
	}
	if strings.Contains(all, "operation not permitted") && os.Geteuid() != 0 {
		return "You are not root: without a user namespace the kernel refuses this (user_namespaces(7)). Be root, or add CLONE_NEWUSER."
	}
	return ""
}

func streamOr(name string) string {
	if stream := streamNames[name]; stream != "" {
		return stream
	}
	return "the file " + name
}

// meaningOf adds to the exit status of a program that wrote this on its standard error what it stands for.
func meaningOf(status, stderr string) string {
	n, err := strconv.Atoi(status)
	switch {
	case status == "2" && panicked(stderr) != "":
		return "2 (a panic)"
	case status == "255":
		return "255 (-1 as a byte: Go's ExitCode says so of a command that a signal ended)"
	case err == nil && n > 256-32:
		return fmt.Sprintf("%s (%d as a byte: in many languages that stands for signal %d)", status, n-256, 256-n)
	}
	return meaning(status)
}

// meaning adds to an exit status what it stands for.
func meaning(status string) string {
	what := map[string]string{
		"2": "wrong usage", "125": "the runtime failed", "126": "cannot be executed", "127": "not found",
		"137": "ended by signal 9, KILL", "143": "ended by signal 15, TERM", "130": "ended by signal 2, INT",
		"134": "ended by signal 6, ABRT", "139": "ended by signal 11, SEGV",
	}[status]
	if what == "" {
		return status
	}
	return status + " (" + what + ")"
}

// kernelOfLeft is the part of the kernel that keeps such a thing from the host, or takes it away.
func kernelOfLeft(left []string, otherwise string) string {
	for _, k := range []struct{ kind, kernel string }{
		{": host name ", "CLONE_NEWUTS of clone(2), uts_namespaces(7)"},
		{": mount ", "CLONE_NEWNS of clone(2), and mounts made private: mount_namespaces(7), SHARED SUBTREES"},
		{": cgroup ", "rmdir(2) on a cgroup succeeds when no process is left in it: cgroups(7)"},
		{": process ", "wait(2); the end of process 1 is the end of all in its pid namespace: pid_namespaces(7)"},
		{": interface ", "CLONE_NEWNET of clone(2), network_namespaces(7)"},
	} {
		if slices.ContainsFunc(left, func(line string) bool { return strings.Contains(line, k.kind) }) {
			return k.kernel
		}
	}
	return otherwise
}

// subjects are faults that break whatever script comes first, each with the script that is about it: what the host has that
// it had not, or what the program says.
var subjects = []struct {
	left, says string
	script     string
}{
	{left: ": host name ", script: "step2-namespaces/hostname-out"},
	{left: ": mount ", script: "step3-rootfs/host-mounts-unchanged"},
	{left: ": cgroup ", script: "step4-cgroups/gone"},
	{says: pivotRootEINVAL, script: "step3-rootfs/root-is-rootfs"},
	{says: cgroupEROFS, script: "step4-cgroups/memory-file"},
}

// cgroupEROFS is what the kernel says to one who makes a directory, or a file in it, beside the hierarchies of version 1.
const cgroupEROFS = `(?i)/sys/fs/cgroup/.*read-only file system|read-only file system.*/sys/fs/cgroup/`

const pivotRootEINVAL = `(?i)pivot_root.*invalid argument`

// subject names the script whose hints help, if it is not the one that failed.
func subject(e harness.Event) string {
	for _, s := range subjects {
		if s.left != "" && slices.ContainsFunc(e.Left, func(line string) bool { return strings.Contains(line, s.left) }) ||
			s.says != "" && regexp.MustCompile(s.says).MatchString(e.Stderr) {
			return s.script
		}
	}
	return ""
}

// leftBehind puts the differences of the host into words.
func leftBehind(left []string) string {
	var lines []string
	for _, line := range left {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "new: host name "):
			lines = append(lines, "the host is now called "+strings.TrimPrefix(line, "new: host name "))
		case strings.HasPrefix(line, "gone: host name "):
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

// panicked is the first line of a panic, with the innermost line of the program itself.
func panicked(stderr string) string {
	first := panicRE.FindString(stderr)
	if strings.HasPrefix(first, "Traceback") {
		if m := pythonRE.FindString(stderr); m != "" {
			return m
		}
	}
	if first == "" || !strings.Contains(stderr, ".go:") {
		return first
	}
	for _, m := range placeRE.FindAllStringSubmatch(stderr, -1) {
		if strings.Contains(m[1], "/src/runtime/") || strings.Contains(m[1], "/go/src/") || strings.Contains(m[1], "/pkg/mod/") {
			continue
		}
		return first + "\nat " + relative(m[1])
	}
	return first
}

// lines are the rows of the explanation: a label and what it says.
func (x explanation) rows() (rows [][2]string) {
	add := func(label, text string) {
		if strings.TrimSpace(text) != "" {
			rows = append(rows, [2]string{label, text})
		}
	}
	add("ran", x.ran)
	if x.helper[0] != "" {
		add(x.helper[0], verbatim(x.helper[1], 18))
	}
	add("expected", x.expected)
	add("seen", x.seen)
	add("before", x.ended)
	if x.panicked != "" {
		add("panic", x.panicked)
		add("stdout", verbatim(x.stdout, 8))
	} else {
		add("stdout", verbatim(x.stdout, 8))
		add("stderr", verbatim(x.stderr, 8))
	}
	add("differs", verbatim(x.diff, 12))
	add("clue", x.clue)
	return rows
}

// explainFailure prints a failure, and what to do next.
func (a *app) explainFailure(p *place, e harness.Event) error {
	x, err := explain(e)
	if about, err := findScript(p.root, subject(e)); err == nil {
		if h, err := findHints(about); err == nil {
			x.kernel = h.Kernel
		}
	}
	if err != nil {
		return err
	}
	out := a.out
	out.printf("\n%s %s\n\n  %s\n\n", out.bad.Render("✗"), out.bold.Render(e.Script.ID()), out.wrap(x.promise, 2))
	for _, row := range x.rows() {
		out.printf("  %s%s\n", out.faint.Render(fmt.Sprintf("%-10s", row[0])), out.wrap(row[1], 12))
	}
	s, err := p.load()
	if err != nil {
		return err
	}
	_, passed := s.Passed[e.Script.Step]
	when, kept := s.Kept[e.Script.ID()] // one that was skipped is not broken by a change
	if passed && kept {
		out.printf("  %s%s\n", out.faint.Render(fmt.Sprintf("%-10s", "note")),
			out.wrap(fmt.Sprintf("this was kept on %s: look at what you changed since then.", when.Format("2 January at 15:04")), 12))
	}
	place := relative(e.Script.File)
	if e.Line > 0 {
		place = fmt.Sprintf("%s:%d", place, e.Line)
	}
	if x.kernel != "" {
		out.printf("  %s%s\n", out.faint.Render(fmt.Sprintf("%-10s", "kernel")), out.wrap(x.kernel, 12))
		if page := manPage(x.kernel); page != "" {
			out.printf("  %s%s\n", out.faint.Render(fmt.Sprintf("%-10s", "to read")), out.wrap(page, 12))
		}
	}
	out.printf("  %s%s\n", out.faint.Render(fmt.Sprintf("%-10s", "script")), place)
	out.printf("\nNext: %s\n", out.note.Render(a.advice("hint", "h")))
	return nil
}

var manRE = regexp.MustCompile(`([a-z_0-9A-Z]+)\(([1-8])\)`)

// manPage is the command that shows the man pages that the text names, and where the web has one of them:
// the overview in section 7, if it is among them.
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
	return fmt.Sprintf("%s\nhttps://man7.org/linux/man-pages/man%s/%s.%s.html", strings.Join(commands, ", "), best[2], best[1], best[2])
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
