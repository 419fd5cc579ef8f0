//go:build linux

package harness

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
	"golang.org/x/tools/txtar"

	"container.example/workshop/internal/lazyregexp"
)

// A trial is one script that runs on the throw-away host. Whoever wants it, go test or a tool, has
// it run here.
type trial struct {
	asker
	*visit
	verbose bool
	log     strings.Builder
	broke   bool // it has failed
	skipped string
	// panicked tells that it failed because the program ended in a panic, in the last line.
	panicked bool
	last     ranLine
}

// ranLine is the last line that ran the program under test, and what the program wrote.
type ranLine struct{ text, stdout, stderr string }

// tryScript runs one script of a task, which may take so long, with a moment before and after each
// line if it is played.
func tryScript(script Script, limit time.Duration, what task) (e Event, err error) {
	start := time.Now()
	e = Event{Script: script, Program: now().Program}
	text, err := os.ReadFile(script.File)
	if err != nil {
		return e, err
	}
	original := text
	text, lines := instrument(text, what.Play)
	file := filepath.Join(now().Dir, "work", script.Name+".txtar")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		return e, err
	}
	defer os.Remove(file)
	v, err := beginVisit(script.Name, limit)
	if err != nil {
		return e, err
	}
	t := &trial{visit: v, verbose: what.Verbose}
	testscript.RunT(t, t.params(file, script))
	e.Took = time.Since(start)
	var where int
	e.Log, where = readable(byName(t.log.String()), file, script.File, lines)
	complaints, err := v.look(t.broke)
	if err != nil {
		return e, err
	}
	f, dirty := readLog(e.Log), []string(nil)
	if t.broke && (t.panicked || f.Ran == "" && len(f.Background) == 0) {
		// A comment after the line may have taken it out of the log.
		f.Ran, f.Stdout, f.Stderr = t.last.text, byName(t.last.stdout), byName(t.last.stderr)
	}
	if t.broke {
		if dirty, err = changes(v.before); err != nil {
			return e, err
		}
	}
	asks := !what.Play && !what.All && v.tasks() < 200
	switch {
	case asks && t.broke:
		what := rerun{line: f.observed(string(original))}
		if !v.timedOut.Load() { // what hangs is seen where it hung
			what = f.again(string(original), where)
		}
		f.Conduct, err = v.lookAgain(what, e.Took)
	case asks && len(v.left) > 0:
		f.LeftBy, f.Conduct, err = v.whoLeft(linesRun(string(original)), e.Took)
	}
	if err != nil {
		return e, err
	}
	err = v.end(t.broke || len(complaints) > 0)
	e.Status = Passed
	switch {
	case t.broke || len(complaints) > 0:
		f.Line = where
		t.fill(&f, script, string(original), complaints, dirty)
		e.Status, e.Failure = Failed, f
		e.Log += strings.Join(complaints, "\n")
	case t.skipped != "":
		e.Status, e.Reason, e.Lacking = Skipped, t.skipped, !t.ofProgram
		e.NotBuilt, e.Baseless = t.notBuilt, len(t.missing) == 0
	}
	return e, err
}

// fill adds to a failure what is not in the log. text is that of the script, complaints are about
// the host after it, and dirty is what a script that broke has left.
func (t *trial) fill(f *Failure, script Script, text string, complaints, dirty []string) {
	v := t.visit
	f.Panicked, f.Tasks = t.panicked, v.tasks()
	if t.panicked {
		f.Line = int(v.line.Load())
	}
	switch {
	case v.timedOut.Load():
		f.Waiting, f.There, f.Line = v.waiting, v.there, v.hung
	case len(complaints) > 0:
		f.Left = v.left
	case f.Conduct != nil && f.Conduct.holds(script.Line(f.Line)) && leftByProgram(text, f.Line):
		f.Left = dirty // it was in the way
	}
}

// lookAgain has the program that failed run once more, on a clean host, and tells what the kernel
// saw of it. The time that the script took tells how slow the machine is now.
func (v *visit) lookAgain(what rerun, took time.Duration) (*Conduct, error) {
	// What the first run has left would be in the way of the second.
	if err := errors.Join(restore(v.before),
		os.RemoveAll(filepath.Join(now().Dir, "work", "again"))); err != nil {
		return nil, err
	}
	dir := filepath.Join(now().Dir, "work", "script-"+v.name)
	// Under ptrace(2) everything takes longer, but for waiting.
	limit, idle := 5*time.Second+10*took, time.Second+took
	hangs := v.timedOut.Load()
	if hangs {
		limit, idle = 5*time.Second+took/4, time.Second+took/4
	}
	return observe(what, dir, limit, idle, hangs || len(v.left) > 0), nil
}

// whoLeft has the lines that ran the program run once more, each on a clean host, until one leaves
// behind what the script has left. It returns that line, and what the kernel saw of it. If none
// does, that is what was seen of the last one.
func (v *visit) whoLeft(lines []string, took time.Duration) (by string, c *Conduct, err error) {
	const most = 6
	if n := len(lines); n > most {
		lines = append(lines[:most-1:most-1], lines[n-1])
	}
	for _, line := range lines {
		if c, err = v.lookAgain(rerun{line: line}, took); err != nil {
			return "", nil, err
		}
		if len(lines) == 1 || c == nil || c.Status == "" {
			continue // what was ended in the midst of its work leaves more
		}
		left, err := changes(v.before)
		if err != nil {
			return "", nil, err
		}
		work := filepath.Join(now().Dir, "work")
		if slices.ContainsFunc(left, func(line string) bool {
			return isLike(strings.ReplaceAll(line, filepath.Join(work, "again"),
				filepath.Join(work, "script-"+v.name)), v.left)
		}) {
			return line, c, nil
		}
	}
	return "", c, nil
}

// isLike tells whether something that was left is among others. The names of cgroups may be random.
func isLike(line string, others []string) bool {
	const cgroup = "new: cgroup "
	return slices.ContainsFunc(others, func(other string) bool {
		return line == other || strings.HasPrefix(line, cgroup) &&
			strings.HasPrefix(other, cgroup) && filepath.Dir(line) == filepath.Dir(other)
	})
}

// linesRun are the lines of a script that run the program under test, and whose conditions hold.
func linesRun(script string) (lines []string) {
	for line := range strings.Lines(script) {
		line = strings.TrimSpace(line)
		if !runsContainer.MatchString(line) {
			continue
		}
		holds := true
		for _, m := range oneCondition.FindAllStringSubmatch(conditional.FindString(line), -1) {
			met, err := new(asker).condition(m[2])
			holds = holds && (err != nil || met == (m[1] == ""))
		}
		if holds {
			lines = append(lines, line)
		}
	}
	return lines
}

// oneCondition matches a condition at the beginning of a line.
var oneCondition = lazyregexp.New(`\[(!?)([^]]+)\]`)

// byName names the program in a text as somebody named it: a traceback has the path of its link
// here.
func byName(text string) string {
	if name := now().Program; name != "" {
		text = strings.ReplaceAll(text, filepath.Join(now().Dir, "bin", "container"), name)
	}
	return text
}

// conditional matches the conditions of a line.
var conditional = lazyregexp.New(`^(\s*\[[^]]+\])*\s*`)

// instrument puts the command at before each line of a script, and at 0 at the end. If the script
// is played, the command stage is before and after each line. It returns the numbers that the lines
// had.
func instrument(text []byte, play bool) (instrumented []byte, lines []int) {
	archive := txtar.Parse(text)
	var all []string
	add := func(number int, line string) {
		all, lines = append(all, line), append(lines, number)
	}
	for i, line := range strings.Split(strings.TrimRight(string(archive.Comment), "\n"), "\n") {
		n := i + 1
		if text := strings.TrimSpace(line); text == "" || strings.HasPrefix(text, "#") {
			add(n, line)
			continue
		}
		add(n, fmt.Sprintf("at %d", n))
		only := conditional.FindString(line)
		if play && !strings.HasPrefix(line[len(only):], "skip") {
			add(n, fmt.Sprintf("%sstage before %d", only, n))
			add(n, line)
			add(n, fmt.Sprintf("%sstage after %d", only, n))
			continue
		}
		add(n, line)
	}
	add(0, "at 0")
	archive.Comment = []byte(strings.Join(all, "\n") + "\n")
	return txtar.Format(archive), lines
}

// at is the command `at LINE`: it looks at what came of the line before, and keeps the number of
// the one that comes.
func (t *trial) at(text []string) verb {
	return func(ts *testscript.TestScript, _ bool, args []string) {
		if t.timedOut.Load() {
			ts.Fatalf("the time is up") // a line that expects a failure took the end for one
		}
		n := int(t.line.Load())
		if n > 0 && len(linesRun(text[n-1])) > 0 {
			t.last = ranLine{text[n-1], ts.ReadFile("stdout"), ts.ReadFile("stderr")}
			if panics.MatchString(t.last.stderr) {
				t.panicked = true
				ts.Fatalf("the program ended in a panic")
			}
		}
		if n, err := strconv.Atoi(args[0]); err == nil && n > 0 {
			t.line.Store(int64(n))
			if sends.MatchString(text[n-1]) {
				t.first.Store(findFirst())
			}
		}
	}
}

var (
	// runsContainer matches a line that runs the program under test and waits for it.
	runsContainer = lazyregexp.New(`^(\[\S+\] )*(! )?(exec|exits \d+) container(?: .*[^&])?$`)
	// panics matches what the runtimes of some languages write at the end of a program that has a
	// bug.
	panics = lazyregexp.New(`(?m)^(goroutine \d+ .*\[running|` +
		`Traceback \(most recent call last\):|` +
		`thread '.*' .*panicked at |` +
		`\S+:\d+:in [\x60'].*': .* \(\w+(::\w+)*\)$|` + // Ruby
		`Error: unhandled exception: |` + // Nim
		`PHP Fatal error: |` +
		`Exception in thread "\S+" )`) // Java, Kotlin
)

// params are those of a script on the throw-away host.
func (t *trial) params(file string, script Script) testscript.Params {
	text, _ := os.ReadFile(script.File) // it was read a moment ago
	cmds := map[string]verb{
		"at":     t.at(strings.Split(string(text), "\n")),
		"rootfs": t.rootfs,
		"stage":  stage,
	}
	for name, verb := range verbs {
		cmds[name] = verb
	}
	dir := now().Dir
	return testscript.Params{
		Files:       []string{file},
		WorkdirRoot: filepath.Join(dir, "work"),
		Setup: func(env *testscript.Env) error {
			for _, variable := range scriptEnv(env.WorkDir) {
				name, value, _ := strings.Cut(variable, "=")
				env.Setenv(name, value)
			}
			return nil
		},
		Condition:           t.condition,
		Cmds:                cmds,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	}
}

// tmp is the directory for temporary files in that of a script, which testscript makes.
const tmp = ".tmp"

// scriptEnv is what scripts find in their environment.
func scriptEnv(home string) []string {
	// The applets of the rootfs serve a host that lacks, say, hostname.
	dir := now().Dir
	path := []string{
		filepath.Join(dir, "bin"), os.Getenv("PATH"),
		filepath.Join(dir, "rootfs", "bin"),
	}
	return []string{
		"PATH=" + strings.Join(path, ":"),
		"HOME=" + home,
		"TMPDIR=" + filepath.Join(home, tmp),
		// testscript wants to see all threads of a Go program that panics. One is enough.
		"GOTRACEBACK=single",
	}
}

// A trial is what testscript takes for a test.

// Parallel does nothing: the scripts share the host.
func (t *trial) Parallel() {}

// Verbose tells whether the log is to have what succeeded, too.
func (t *trial) Verbose() bool { return t.verbose }

// Log adds to the log.
func (t *trial) Log(args ...any) { fmt.Fprintln(&t.log, args...) }

// FailNow is called when a line has failed, before what is in the background is awaited.
func (t *trial) FailNow() {
	t.broke = true
	t.fail()
	runtime.Goexit()
}

// Fatal logs, and fails.
func (t *trial) Fatal(args ...any) {
	t.Log(args...)
	t.FailNow()
}

// Skip skips the script.
func (t *trial) Skip(args ...any) {
	t.skipped = fmt.Sprint(args...)
	if len(t.missing) > 0 {
		t.skipped += ": " + strings.Join(t.missing, ", ")
	}
	runtime.Goexit()
}

// Run runs f in a goroutine of its own, which FailNow and Skip end, and on a thread of its own, so
// that the clock sees whether that goroutine has work to do.
func (t *trial) Run(_ string, f func(testscript.T)) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		t.worker.Store(int64(unix.Gettid()))
		f(t)
	}()
	<-done
}
