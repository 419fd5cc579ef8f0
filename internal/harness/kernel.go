//go:build linux

package harness

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"container.example/workshop/internal/inject"
	"container.example/workshop/internal/lazyregexp"
)

// A Refusal is a system call of the program that failed.
type Refusal struct {
	Call  string // pivot_root
	Text  string // pivot_root("rootfs", "rootfs/oldrootfs")
	Errno string // EINVAL
	Cause string // invalid argument
	// Looks tells that the call only looks for a file, which many programs do in several places.
	Looks bool
	// Inside tells that the process that made the call had another root than the host.
	Inside bool
	// Missing is the path in the call that was not there afterwards, if one of its paths was not.
	Missing string
	// By is the file that the process executes which made the call, or nothing if that is the
	// program under test.
	By string
	// Line is what execve(2) was given: its words, with a blank between two of them.
	Line string
	// Process is the number of the process that made the call.
	Process int
}

// A Conduct is what a program that failed asked of the kernel, when it was run once more under the
// eyes of ptrace(2). It needs no source and no words of the program, in whatever language it is.
type Conduct struct {
	Refused []Refusal
	// Excused are mounts that failed, and looks for the command in vain, that the program could do
	// without: something was executed after that.
	Excused []Refusal
	// Ran are the paths of the files that execve(2) executed after the program itself, and
	// RanInside those of them that were executed with another root than the host's.
	Ran, RanInside []string
	// Words are those that the files of Ran were given.
	Words [][]string
	// Steps are the calls of Refused and Made, and some more, in the order in which they were made.
	Steps []Step
	// Others are the last calls that failed, of those that say nothing about a container.
	Others []Refusal
	// Made are the system calls about containers that succeeded, with their arguments.
	Made []string
	// Status, Stdout and Stderr are what came of it this time, on a clean host.
	Status, Stdout, Stderr string
	// Splits tells that the program takes a word apart that has a blank in it.
	Splits bool
	// Wrote are the files whose processes wrote to standard output, each once. Nothing stands for
	// the program itself.
	Wrote []string
	// Falls are the ends of processes of the program by a signal that comes of what they do.
	Falls []Fall
	// CommandEnd is the signal that ended the command, SIGTERM, or nothing.
	CommandEnd string
	// Childless is the call because of which wait(2) did not find a child, if that was seen: the
	// call that made the child, the one by which the parent ignores it, wait(2) itself, or an
	// earlier wait(2), which had found the child already.
	Childless string
	// Unseen are the words that processes wrote to their standard error, and that did not arrive.
	Unseen []Unseen
	// written is what was written to descriptor 1, after the file of the process that wrote it.
	written [][2]string
}

// A Fall is the end of a process by a signal such as SIGSEGV.
type Fall struct {
	Signal string // SIGSEGV
	// Birth is the call that made the process, clone(CLONE_NEWUTS). Of the program itself it is
	// nothing.
	Birth string
	// HasStack tells that the call that made the process gave it another stack, and OfStack that
	// the signal came of an address near the end of that.
	HasStack, OfStack bool
	// Shares tells that it has the memory of its parent (CLONE_VM).
	Shares bool
	By     string // as in Refusal
	// Last is the last call that the process made, of those that say something of a program.
	Last string
}

// Unseen are words of a process that nobody saw.
type Unseen struct {
	By   string // as in Refusal
	Text string
}

// A Step is a system call of a program, in the order in which they were made.
type Step struct {
	Text    string // chroot("rootfs")
	Errno   string // ENOENT, or nothing
	Process int    // 0 is the program, and its children are counted as they are born
	Parent  int    // the process that started the one that made it
}

// Calls tells whether a call of this name succeeded.
func (c *Conduct) Calls(name string) bool {
	made := func(text string) bool { return strings.HasPrefix(text, name+"(") }
	return slices.ContainsFunc(c.Made, made)
}

// telling are the calls that say something about a container. How the runtime of a language begins,
// looks for its files and manages its memory does not.
var telling = []string{
	"capset", "chdir", "chroot", "clone", "clone3", "execve", "execveat", "fchdir", "fork",
	"fsmount", "mkdir",
	"mkdirat", "mknod", "mknodat", "mount", "mount_setattr", "move_mount", "pivot_root", "rmdir",
	"seccomp", "setgid", "setgroups", "sethostname", "setns", "setresgid", "setresuid", "setsid",
	"setuid", "umount2", "unlinkat", "unshare", "vfork",
}

// looking are the calls that look for a file. That one of them finds none is mostly no news.
var looking = []string{
	"access", "faccessat", "faccessat2", "lstat", "newfstatat", "open", "openat", "openat2",
	"readlink", "readlinkat", "stat", "statx",
}

// ofLanguages matches the files that the runtimes of languages look for: libraries, modules,
// translations, time zones, and what the kernel says of the machine.
var ofLanguages = lazyregexp.New(`^/etc/(ld\.|localtime|selinux|ssl|nsswitch)|` +
	`^/(proc|sys)/|/(lib|lib64|share|locale|zoneinfo)/|/Modules/Setup|/pybuilddir\.txt|` +
	`\.(so|mo|py|pyc|_pth|rb|pm|pl|js|json|ini|cfg|conf)\b|pyvenv|__pycache__`)

// looksInVain tells whether a call looked for a file that is not there, and that is not of the
// runtime of a language. What the program itself has said that it misses is not.
func looksInVain(name string, call inject.Call, said string) bool {
	path := firstText(call.Text)
	// Where a runtime looks for its limits it opens the file at once.
	asksForCgroup := strings.HasPrefix(path, cgroupFS+"/") && !strings.HasPrefix(name, "open")
	return call.Errno == unix.ENOENT && path != "" && slices.Contains(looking, name) &&
		!writesKernelFile(name, call) && (asksForCgroup || !ofLanguages.MatchString(path) ||
		misses(said, path))
}

// misses tells whether a text names a path in a line about a file that is not there.
func misses(said, path string) bool {
	for line := range strings.SplitSeq(said, "\n") {
		if len(path) > 2 && noSuchFile.MatchString(line) && strings.Contains(line, path) {
			return true
		}
	}
	return false
}

// noSuchFile matches what programs say of a file that is not there (ENOENT).
var noSuchFile = lazyregexp.New(`(?i)no such file|not found|not exist|\bENOENT\b|missing|` +
	`cannot open`)

// isOurs tells whether a path is of the directories of the harness that come first and last in
// $PATH: what a program looks for there in vain says nothing.
func isOurs(path string) bool {
	dir := now().Dir
	return dir != "" && (strings.HasPrefix(path, filepath.Join(dir, "bin")+"/") ||
		strings.HasPrefix(path, filepath.Join(dir, "rootfs")+"/"))
}

// A rerun is what is done once more of a script.
type rerun struct {
	line    string      // that runs the program
	signal  unix.Signal // which the program gets when it waits, or 0
	running string      // the command line of a process that is there by then, or nothing
	copies  [][2]string // files that are copied before, from one path to another
	bare    bool        // there is no root file system, unless the program makes something like it
}

// again is what is worth a second look of a script whose line of this number failed. Where that
// looks at what a signal has left behind, it is the program that got the signal.
func (f Failure) again(script string, failed int) rerun {
	r := rerun{line: f.observed(script), bare: !madeForScript.MatchString(script)}
	if ProgramIn(r.line, nil) != nil {
		return r
	}
	started, begun := "", ""
	lines := strings.Split(script, "\n")
	for _, line := range lines[:min(max(0, failed-1), len(lines))] {
		foreground, _, background := cutLast(strings.TrimSpace(line), " &")
		words := strings.Fields(line)
		switch m := sends.FindStringSubmatch(line); {
		case background && runsContainer.MatchString(foreground):
			started, r.signal, begun = foreground, 0, ""
		case len(words) > 1 && words[0] == "running":
			begun = strings.Trim(strings.TrimSpace(line)[len("running "):], "' ")
		case m != nil && started != "":
			r.line, r.running, r.signal = started, begun, unix.SignalNum("SIG"+m[1])
		case len(words) == 3 && words[0] == "cp" && strings.HasPrefix(words[2], "rootfs/"):
			r.copies = append(r.copies, [2]string{words[1], words[2]})
		}
	}
	if r.signal == 0 {
		r.copies = nil
	}
	return r
}

// madeForScript matches what gives a script its root file system: a verb, or a file in its place.
var madeForScript = lazyregexp.New(`(?m)^(\[[^\]]*\] ?)*rootfs\b|^-- rootfs\b`)

// begun tells whether what a script waits for before it sends the signal is there.
func (r rerun) begun() bool { return r.running == "" || isRunning(r.running) }

// sends matches a line of a script that sends a signal to the program.
var sends = lazyregexp.New(`\bpkill -([A-Z]+) .*'container run `)

// observe runs the program once more as the line of the script did, in a directory like that of the
// script, and returns what it asked of the kernel. It returns nil for a line that runs something
// else, and for a program that does not end within the limit, or waits for so long, unless it is
// known to stay: what it did until then is told. Both are times by the clock, because a program
// without a processor has not done yet what it was about to do. A program that has ended is none of
// these, even if a child of it goes on, such as the command.
func observe(what rerun, dir string, limit, idle time.Duration, stays bool) *Conduct {
	words := ProgramIn(what.line, func(name string) string {
		if name == "WORK" {
			return dir
		}
		return os.Getenv(name)
	})
	if words == nil {
		return nil
	}
	again := filepath.Join(now().Dir, "work", "again") // visit.end removes it
	if err := os.MkdirAll(filepath.Join(again, tmp), 0o755); err != nil {
		return nil
	}
	rootfs := filepath.Join(again, "rootfs")
	switch info, err := os.Stat(filepath.Join(dir, "rootfs")); {
	case err != nil, what.bare:
	case info.IsDir(): // as it was before the program changed it
		if makeRootfs(rootfs) != nil {
			return nil
		}
	case os.WriteFile(rootfs, []byte("I am a file.\n"), 0o644) != nil:
		return nil
	}
	for _, names := range what.copies {
		text, err := os.ReadFile(filepath.Join(dir, names[0]))
		if err == nil {
			err = os.WriteFile(filepath.Join(again, names[1]), text, 0o755)
		}
		if err != nil {
			return nil
		}
	}
	over := make(chan struct{})
	program := inject.Program{
		Path: filepath.Join(now().Dir, "bin", "container"),
		Args: words,
		Dir:  again,
		// Later versions of mount(8) make a mount by several calls, such as fsopen(2). The clues
		// read mount(2), which says all of it in one, as in the earlier versions.
		Env: append(scriptEnv(again), "LIBMOUNT_FORCE_MOUNT2=always"),
	}
	if what.signal == 0 {
		program.Enough = enoughOf(limit, idle, over)
	} else {
		program.Signals, program.Enough = afterIdle(what.signal, what.begun, limit, idle, over)
	}
	r, err := program.Run(nil, longest*limit)
	close(over)
	program.Enough, program.Signals = nil, nil
	if err != nil || r.Hung != "" && !stays && !r.Ended {
		return nil
	}
	c := conduct(r.Calls, words, r.Stderr+"\n"+r.Stdout)
	c.arrived(r.Stdout)
	c.noteFalls(r, words)
	c.noteUnseen(r, words)
	c.noteChildless(r.Calls)
	c.Status, c.Stdout, c.Stderr = "", byName(r.Stdout), byName(r.Stderr)
	if r.Ended {
		c.Status = exitText(r.Status)
	}
	// The directory is another one each time, and so is the path of the program.
	named := func(text string) string {
		return byName(strings.ReplaceAll(text, again, "$WORK"))
	}
	for _, all := range [][]Refusal{c.Refused, c.Excused} {
		for i, refused := range all {
			all[i].Missing = strings.ReplaceAll(c.missing(refused, again), again, "$WORK")
			all[i].Text = named(refused.Text)
		}
	}
	for i, step := range c.Steps {
		c.Steps[i].Text = named(step.Text)
	}
	for i, made := range c.Made {
		c.Made[i] = named(made)
	}
	for i, unseen := range c.Unseen {
		c.Unseen[i].Text = named(unseen.Text)
	}
	for i, fall := range c.Falls {
		c.Falls[i].Last = named(fall.Last)
	}
	c.Splits = !stays && r.Hung == "" && splits(program, words)
	return c
}

// ProgramIn are the words with which a line of a script runs the program under test and waits for
// it, or nil. A shell may do that: then it is the first command that is the program, and its input
// and output go to files.
func ProgramIn(line string, variable func(string) string) []string {
	line = conditional.ReplaceAllString(strings.TrimSpace(line), "")
	words := Words(strings.TrimPrefix(line, "! "), variable)
	if len(words) > 2 && words[0] == "exits" {
		words = words[2:]
	} else if len(words) > 1 && words[0] == "exec" {
		words = words[1:]
	}
	if len(words) == 3 && words[0] == "sh" && words[1] == "-c" {
		words = nil
		if m := inShell.FindStringSubmatch(line); m != nil {
			words = strings.Fields(m[1])
		}
	}
	if len(words) == 0 || words[0] != "container" || strings.HasSuffix(words[len(words)-1], "&") {
		return nil
	}
	return words
}

// withoutValue are the flags of our programs that are followed by no value.
var withoutValue = []string{"-init", "-read-only", "-step", "-tty", "-v"}

// WithoutFlags leaves out the flags of our programs, and their values, of the words with which the
// program is run: container, run, the command and its arguments are left.
func WithoutFlags(words []string) []string {
	if len(words) < 3 {
		return words
	}
	rest := words[2:]
	for len(rest) > 0 && strings.HasPrefix(rest[0], "-") {
		n := 2
		if slices.Contains(withoutValue, rest[0]) || strings.Contains(rest[0], "=") {
			n = 1
		}
		rest = rest[min(n, len(rest)):]
	}
	return slices.Concat(words[:2], rest)
}

// isCommand tells whether a file is that of the command with which the program is run.
func isCommand(file string, words []string) bool {
	words = WithoutFlags(words)
	return len(words) > 2 && filepath.Base(file) == filepath.Base(words[2])
}

// inShell matches what a shell runs that is started with sh -c: words without anything special in
// them, no pipe after them, and nothing in the background.
var inShell = lazyregexp.New(`sh -c '(?:[^';]*; *)*?(container run [\w./ -]*[\w./-])` +
	` *(?:[<>][^|&;']*)?[;']`)

// missing is the first of the paths of a call that was not there, of a program that was run in dir
// and had the root of the host. It is asked when the program has ended, and has tidied up.
func (c *Conduct) missing(r Refusal, dir string) string {
	if r.Errno != "ENOENT" || r.Inside {
		return ""
	}
	paths := quoted.FindAllString(r.Text, -1)
	if _, args, ok := strings.Cut(r.Text, "mount("); ok && r.Call == "mount" {
		paths = strings.Split(args, ", ")[:2] // the others are a type, and options
		slices.Reverse(paths)                 // the kernel looks at the mount point first
		if !strings.Contains(r.Text, "MS_BIND") {
			paths = paths[:1]
		}
	}
	for _, text := range paths {
		path, err := strconv.Unquote(text)
		if err != nil || path == "" {
			continue
		}
		file := path
		if !filepath.IsAbs(file) {
			file = filepath.Join(dir, file)
		}
		if _, err := os.Lstat(file); os.IsNotExist(err) && !c.madeDirectory(path) {
			return path
		}
	}
	return ""
}

// madeDirectory tells whether the program made a directory at a path.
func (c *Conduct) madeDirectory(path string) bool {
	isIt := func(text string) bool {
		return strings.HasPrefix(text, "mkdir") &&
			filepath.Clean(firstText(text)) == filepath.Clean(path)
	}
	return slices.ContainsFunc(c.Made, isIt)
}

// quoted matches a text in a call in print.
var quoted = lazyregexp.New(`"([^"\\]|\\.)*"`)

// exitText is how a program ended, in the words of package os.
func exitText(status unix.WaitStatus) string {
	if status.Signaled() {
		return "signal: " + status.Signal().String()
	}
	return fmt.Sprintf("exit status %d", status.ExitStatus())
}

// holds tells whether a line of the script that failed holds for what came of the program this
// time. Of most lines that is not known.
func (c *Conduct) holds(line string) bool {
	line = conditional.ReplaceAllString(strings.TrimSpace(line), "")
	line, negated := strings.CutPrefix(line, "! ")
	words := Words(line, nil)
	if c.Status == "" || len(words) < 2 || panics.MatchString(c.Stderr) {
		return false
	}
	text := c.Stdout
	switch words[0] {
	case "exec":
		return words[1] == "container" && (c.Status == "exit status 0") != negated
	case "exits":
		return c.Status == "exit status "+words[1]
	case "stderr":
		text = c.Stderr
	case "stdout":
	default:
		return false
	}
	pattern, err := regexp.Compile("(?m)" + words[len(words)-1])
	return err == nil && len(words) == 2 && pattern.MatchString(text) != negated
}

// observed is the line of the script that is worth a second look: what has ended in the background
// by itself, otherwise what was run last.
func (f Failure) observed(script string) string {
	last := ""
	if lines := linesRun(script); len(lines) > 0 {
		last = lines[len(lines)-1]
	}
	for line := range strings.Lines(script) {
		line = strings.TrimSpace(line)
		for _, b := range f.Background {
			foreground, _, _ := cutLast(line, " &")
			words := Words(runs.ReplaceAllString(foreground, ""), nil)
			if b.State != "" && foreground != "" && strings.Join(words, " ") == b.Command &&
				strings.Contains(f.Ran, conditional.ReplaceAllString(foreground, "")) {
				return foreground
			}
		}
	}
	if f.Ran == "" {
		return last
	}
	return f.Ran
}

// cutLast cuts a text at the last place where another one is.
func cutLast(text, at string) (before, after string, found bool) {
	if i := strings.LastIndex(text, at); i >= 0 {
		return text[:i], text[i+len(at):], true
	}
	return "", "", false
}

// leftByProgram tells whether what is left on the host when a line of the script fails is of
// earlier runs of the program: it was run before, and the script did nothing of the kind itself.
func leftByProgram(script string, line int) bool {
	lines := strings.Split(script, "\n")
	lines = lines[:min(max(0, line-1), len(lines))]
	return slices.ContainsFunc(lines, runsContainer.MatchString) &&
		!slices.ContainsFunc(lines, changesHost.MatchString)
}

// changesHost matches a line of a script that may change the host, or that leaves something there
// for as long as it runs.
var changesHost = lazyregexp.New(`^(\[\S+\] )*(! )?exec (sh|mount|umount|mkdir|hostname|ip) |&$`)

// splits tells whether the program takes a word apart, if the command line has one with a blank.
func splits(program inject.Program, words []string) bool {
	blank := func(word string) bool { return strings.Contains(word, " ") }
	if !slices.ContainsFunc(words, blank) {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, program.Path, "run", "printf", "[%s]", "one  word")
	cmd.Dir, cmd.Env, cmd.WaitDelay = program.Dir, program.Env, time.Second
	out, _ := cmd.Output() // its output says it all
	return strings.Contains(string(out), "[one]") || strings.Contains(string(out), "[one word]")
}

// conduct sums up the calls of a program that was run with these words and said this. The files for
// which the command of the container looks are none of the program's business.
func conduct(calls []inject.Call, words []string, said string) *Conduct {
	c := &Conduct{}
	command := -1 // the number of the first process that is of the command
	roots := roots{inside: map[int]bool{}, unshared: map[int]bool{}, parents: map[int]int{}}
	files := map[int]string{} // which the processes execute
	for _, call := range calls {
		name := inject.Name(call.Number)
		inside := roots.look(name, call)
		if _, known := files[call.Process]; !known {
			files[call.Process] = files[call.Parent]
		}
		c.noteWrite(name, call, files[call.Process])
		ofCommand := command >= 0 && call.Process >= command
		looks := !ofCommand && looksInVain(name, call, said)
		if !slices.Contains(telling, name) && !writesKernelFile(name, call) &&
			!asks(name, call) && !looks {
			c.noteOther(name, call, ofCommand)
			continue
		}
		if !looks {
			c.noteStep(name, call)
		}
		switch {
		case call.Errno == 0 && strings.HasPrefix(name, "execve"):
			files[call.Process] = firstText(call.Text)
			if command < 0 && isCommand(firstText(call.Text), words) {
				command = call.Process
			}
			c.noteExecution(call, inside)
			c.excuse(name, call, words, roots)
		case call.Errno == 0 && len(c.Made) < mostCalls:
			text := withFlags(name, call)
			c.Made = append(c.Made, text)
			// It was made in the end, after what was missing had been made.
			c.Refused = slices.DeleteFunc(c.Refused, func(r Refusal) bool {
				return r.Text == text
			})
		case call.Errno == 0 || len(c.Refused) == mostCalls:
		case isNoNews(name, call):
		default:
			if looks {
				c.forgetLook(call.Process)
			}
			c.Refused = append(c.Refused, Refusal{
				Call:  name,
				Text:  withFlags(name, call),
				Errno: unix.ErrnoName(call.Errno),
				Cause: call.Errno.Error(),
				Looks: looks, Inside: inside,
				By:      files[call.Process],
				Line:    strings.Join(call.Words, " "),
				Process: call.Process,
			})
		}
	}
	return c
}

// noteExecution notes that a process executed a file.
func (c *Conduct) noteExecution(call inject.Call, inside bool) {
	c.Ran = append(c.Ran, firstText(call.Text))
	c.Words = append(c.Words, call.Words)
	if inside {
		c.RanInside = append(c.RanInside, firstText(call.Text))
	}
}

// excuse forgets what a process that executes a file could do without. What it looked for in other
// directories before is no news, and neither is a mount that it could do without or in another way:
// of the paths in /proc that are covered no kernel has all, and some of them are files. The command
// itself may not have been executed, and something else in its place. That one process goes on says
// nothing about a mount of another, which is not above it.
func (c *Conduct) excuse(name string, call inject.Call, words []string, roots roots) {
	c.Refused = slices.DeleteFunc(c.Refused, func(r Refusal) bool {
		optional := r.Call == "mount" && (r.Errno == "ENOENT" || r.Errno == "ENOTDIR") &&
			(r.By != "" || roots.below(call.Process, r.Process))
		inPlace := r.Call == name && r.Process == call.Process &&
			!isCommand(firstText(call.Text), words)
		if optional || (r.Looks || inPlace) && isCommand(firstText(r.Text), words) {
			c.Excused = append(c.Excused, r)
		}
		return r.Call == name && r.Process == call.Process || r.Looks || optional
	})
}

// isNoNews tells whether a call that failed says nothing of a program.
func isNoNews(name string, call inject.Call) bool {
	switch {
	case call.Errno == unix.ENOENT && isOurs(firstText(call.Text)):
	case call.Errno == unix.ENOSYS: // an old kernel, or a filter: it tries another call then
	case name == "unlinkat" && call.Errno == unix.EISDIR: // rmdir(2) comes next
	case call.Errno == unix.ENOENT && name == "unlinkat": // there was nothing to remove
	case strings.HasSuffix(firstText(call.Text), "/__pycache__"): // Python does without
	case firstText(call.Text) == "/run/mount": // mount(8) notes its options there, if it can
	default:
		return false
	}
	return true
}

// noteWrite notes who wrote to standard output, and what: a process that executes this file. The
// descriptor may stand for something else that has no path, such as a pipe(7).
func (c *Conduct) noteWrite(name string, call inject.Call, file string) {
	if writing(name) && call.Errno == 0 && call.Args[0] == 1 &&
		(call.About == "" || call.About == "1") {
		c.written = append(c.written, [2]string{file, firstText(call.Text)})
	}
}

// arrived sets Wrote to the files whose processes wrote something that arrived on standard output.
func (c *Conduct) arrived(stdout string) {
	for _, w := range c.written {
		if strings.Contains(stdout, w[1]) && !slices.Contains(c.Wrote, w[0]) {
			c.Wrote = append(c.Wrote, w[0])
		}
	}
}

// writing tells whether a call writes to an open file: C++ and musl do it with writev(2).
func writing(name string) bool { return name == "write" || name == "writev" || name == "pwrite64" }

// noteStep adds a call to those in their order.
func (c *Conduct) noteStep(name string, call inject.Call) {
	s := Step{Text: withFlags(name, call), Process: call.Process, Parent: call.Parent}
	if call.Errno == unix.ENOENT && strings.HasPrefix(name, "execve") {
		return // it is looked for in other directories
	}
	if call.Errno != 0 {
		s.Errno = unix.ErrnoName(call.Errno)
	}
	if len(c.Steps) == mostCalls {
		c.Steps = c.Steps[1:]
	}
	c.Steps = append(c.Steps, s)
}

// usual are errors with which nothing is wrong: one asks again, or there is nothing to ask for.
var usual = []unix.Errno{
	unix.EAGAIN, unix.EINTR, unix.ENOSYS, unix.ENOTTY, unix.ECHILD, unix.ENOENT, unix.ESPIPE,
	unix.ETIMEDOUT,
}

// isAnswer tells whether an error is the answer to a question: a path is no link, or a file cannot
// be waited for.
func isAnswer(name string, errno unix.Errno) bool {
	return strings.HasPrefix(name, "readlink") && errno == unix.EINVAL ||
		name == "epoll_ctl" && errno == unix.EPERM
}

// noteOther adds a call that failed to those that say nothing about a container. A socket that is
// not there says that nobody listens.
func (c *Conduct) noteOther(name string, call inject.Call, ofCommand bool) {
	const most = 20
	nobodyThere := name == "connect" && call.Errno == unix.ENOENT
	if call.Errno == 0 || ofCommand || slices.Contains(usual, call.Errno) && !nobodyThere ||
		isAnswer(name, call.Errno) {
		return
	}
	if len(c.Others) == most {
		c.Others = c.Others[1:]
	}
	c.Others = append(c.Others, Refusal{
		Call:    name,
		Text:    withFlags(name, call),
		Errno:   unix.ErrnoName(call.Errno),
		Cause:   call.Errno.Error(),
		Process: call.Process,
	})
}

// roots tells which processes of a program have another root than the host.
type roots struct {
	inside, unshared map[int]bool // by the numbers of the processes
	parents          map[int]int
}

// look looks at a call, and tells whether the process that made it had another root before.
func (r roots) look(name string, call inject.Call) (inside bool) {
	p := call.Process
	if _, known := r.parents[p]; !known {
		r.parents[p], r.inside[p] = call.Parent, r.inside[call.Parent]
	}
	inside = r.inside[p]
	switch {
	case call.Errno != 0:
	case name == "unshare" && call.Args[0]&unix.CLONE_NEWNS != 0:
		r.unshared[p] = true
	case name == "chroot":
		r.inside[p] = true
	case name == "pivot_root":
		// It is for all processes in the mount namespace: up to the one that was the first there.
		r.inside[p] = true
		for !r.unshared[p] && (r.parents[p] > 0 || r.unshared[0]) {
			p = r.parents[p]
			r.inside[p] = true
		}
	}
	return inside
}

// below tells whether a process is the one above, or was started by it or by one below it.
func (r roots) below(process, above int) bool {
	for process > above { // which was born before
		process = r.parents[process]
	}
	return process == above
}

// forgetLook forgets the first look for a file of a process where there are many: the last ones are
// before its end.
func (c *Conduct) forgetLook(process int) {
	const most = 20
	first, looks := -1, 0
	for i, r := range c.Refused {
		if r.Looks && r.Process == process {
			looks++
			if first < 0 {
				first = i
			}
		}
	}
	if looks >= most {
		c.Refused = slices.Delete(c.Refused, first, first+1)
	}
}

// requests are the operations of two calls that say something about a container: prctl(2) about the
// rights of a process and its parent, and ioctl(2) about a network interface (netdevice(7)) and the
// controlling terminal (ioctl_tty(2)).
var requests = map[string]struct {
	argument int
	names    map[uint64]string
}{
	"prctl": {0, map[uint64]string{
		unix.PR_SET_PDEATHSIG:    "PR_SET_PDEATHSIG",
		unix.PR_SET_KEEPCAPS:     "PR_SET_KEEPCAPS",
		unix.PR_SET_SECCOMP:      "PR_SET_SECCOMP",
		unix.PR_CAPBSET_DROP:     "PR_CAPBSET_DROP",
		unix.PR_SET_SECUREBITS:   "PR_SET_SECUREBITS",
		unix.PR_SET_NO_NEW_PRIVS: "PR_SET_NO_NEW_PRIVS",
		unix.PR_CAP_AMBIENT:      "PR_CAP_AMBIENT",
	}},
	"ioctl": {1, map[uint64]string{
		unix.SIOCSIFFLAGS: "SIOCSIFFLAGS",
		unix.SIOCSIFADDR:  "SIOCSIFADDR",
		unix.TIOCSCTTY:    "TIOCSCTTY",
	}},
}

// asks tells whether a call is one of the requests. The end of the capabilities that a kernel knows
// is found by an error.
func asks(name string, call inject.Call) bool {
	r := requests[name]
	request := r.names[call.Args[r.argument]]
	return request != "" && !(request == "PR_CAPBSET_DROP" && call.Errno == unix.EINVAL)
}

// mostCalls are as many as help somebody.
const mostCalls = 300

// writesKernelFile tells whether a call is about to change a file of cgroups(7) or of a user
// namespace.
func writesKernelFile(name string, call inject.Call) bool {
	if !strings.Contains(call.About, "/cgroup") && !strings.HasSuffix(call.About, "_map") &&
		!strings.HasSuffix(call.About, "/setgroups") {
		return false
	}
	const writes = unix.O_WRONLY | unix.O_RDWR | unix.O_CREAT
	return writing(name) || name == "openat" && call.Args[2]&writes != 0
}

// firstText is the first text among the arguments of a call in print.
func firstText(call string) string {
	if i := strings.IndexByte(call, '"'); i >= 0 {
		if quoted, err := strconv.QuotedPrefix(call[i:]); err == nil {
			text, _ := strconv.Unquote(quoted) // it was quoted
			return text
		}
	}
	return ""
}

// numberOf are the numbers of arguments that are shown of some calls.
var numberOf = map[string]int{
	"access": 1, "chdir": 1, "chroot": 1, "close": 1, "dup2": 2,
	"dup3": 2, "execve": 1, "faccessat": 2, "faccessat2": 2,
	"fchdir": 1, "lstat": 1, "newfstatat": 2, "open": 1, "openat": 2, "openat2": 2, "readlink": 1,
	"readlinkat": 2, "stat": 1, "statx": 2, "mkdir": 1, "mkdirat": 2, "mount": 4,
	"pivot_root": 2, "rmdir": 1,
	"sethostname": 1, "setns": 2, "umount2": 2, "unshare": 1, "write": 3, "writev": 3,
	"pwrite64": 4,
}

// ofDirectory are the calls whose first argument is the directory where a path begins.
var ofDirectory = []string{
	"faccessat", "faccessat2", "mkdirat", "mknodat", "newfstatat", "openat", "openat2",
	"readlinkat", "statx", "unlinkat",
}

// flagNames are the bits in an argument of some calls: which argument, and how they are called.
var flagNames = map[string]struct {
	argument int
	names    []flagName
}{
	"mount": {3, []flagName{
		{unix.MS_RDONLY, "MS_RDONLY"},
		{unix.MS_NOSUID, "MS_NOSUID"},
		{unix.MS_NODEV, "MS_NODEV"},
		{unix.MS_NOEXEC, "MS_NOEXEC"},
		{unix.MS_REMOUNT, "MS_REMOUNT"},
		{unix.MS_BIND, "MS_BIND"},
		{unix.MS_MOVE, "MS_MOVE"},
		{unix.MS_REC, "MS_REC"},
		{unix.MS_UNBINDABLE, "MS_UNBINDABLE"},
		{unix.MS_PRIVATE, "MS_PRIVATE"},
		{unix.MS_SLAVE, "MS_SLAVE"},
		{unix.MS_SHARED, "MS_SHARED"},
	}},
	"umount2":  {1, []flagName{{unix.MNT_FORCE, "MNT_FORCE"}, {unix.MNT_DETACH, "MNT_DETACH"}}},
	"unshare":  {0, namespaceFlags},
	"clone":    {0, namespaceFlags},
	"clone3":   {0, namespaceFlags},
	"setns":    {1, namespaceFlags},
	"unlinkat": {2, []flagName{{unix.AT_REMOVEDIR, "AT_REMOVEDIR"}}},
}

type flagName struct {
	bit  uint64
	name string
}

var namespaceFlags = []flagName{
	{unix.CLONE_NEWUTS, "CLONE_NEWUTS"},
	{unix.CLONE_NEWPID, "CLONE_NEWPID"},
	{unix.CLONE_NEWNS, "CLONE_NEWNS"},
	{unix.CLONE_NEWIPC, "CLONE_NEWIPC"},
	{unix.CLONE_NEWNET, "CLONE_NEWNET"},
	{unix.CLONE_NEWUSER, "CLONE_NEWUSER"},
	{unix.CLONE_NEWCGROUP, "CLONE_NEWCGROUP"},
	{unix.CLONE_NEWTIME, "CLONE_NEWTIME"},
}

// withFlags is a call in print, with names for the bits of its flags.
func withFlags(name string, call inject.Call) string {
	if asks(name, call) {
		r := requests[name]
		text := name + "(" + r.names[call.Args[r.argument]]
		if name == "prctl" {
			text += fmt.Sprintf(", %d", call.Args[1])
		}
		return text + ")"
	}
	text := call.Text
	before, _, _ := strings.Cut(text, "(")
	args := strings.Split(strings.TrimSuffix(strings.TrimPrefix(text, before+"("), ")"), ", ")
	if int32(call.Args[0]) == unix.AT_FDCWD && slices.Contains(ofDirectory, name) {
		args[0] = "AT_FDCWD"
		text = before + "(" + strings.Join(args, ", ") + ")"
	}
	if n, known := numberOf[name]; known && len(args) > n {
		args = args[:n] // what is in the other registers is by chance
		text = before + "(" + strings.Join(args, ", ") + ")"
	}
	f, known := flagNames[name]
	if !known || name == "unlinkat" && call.Args[f.argument] == 0 {
		return text
	}
	var names []string
	rest := call.Args[f.argument]
	for _, flag := range f.names {
		if rest&flag.bit != 0 {
			names = append(names, flag.name)
			rest &^= flag.bit
		}
	}
	if name == "clone" || name == "clone3" {
		// The low byte may be a signal, and others are of no interest.
		return name + "(" + strings.Join(names, "|") + ")"
	}
	if rest != 0 || len(names) == 0 {
		names = append(names, fmt.Sprintf("%#x", rest))
	}
	for len(args) <= f.argument {
		if int64(call.Args[len(args)]) < 1<<16 { // as in inject: a number
			args = append(args, "0")
		} else {
			args = append(args, "...")
		}
	}
	args[f.argument] = strings.Join(names, "|")
	return before + "(" + strings.Join(args, ", ") + ")"
}
