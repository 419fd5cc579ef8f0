//go:build linux

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"container.example/workshop/internal/harness"
)

func testCourse(t *testing.T) *course {
	root, err := moduleRoot()
	require.NoError(t, err)
	c, err := readCourse(root)
	require.NoError(t, err)
	return c
}

// lessonNamed is the lesson with an id.
func lessonNamed(t *testing.T, c *course, id string) lesson {
	l, err := c.find(id)
	require.NoError(t, err)
	return l
}

// TestCards requires a card of each lesson, with a goal of three lines, and demonstrations that
// there are.
func TestCards(t *testing.T) {
	c := testCourse(t)
	demos, err := harness.Demos(c.root)
	require.NoError(t, err)
	names := map[string]bool{}
	for _, d := range demos {
		names[d.Name] = true
	}
	out := &output{width: 80}
	shown := map[string]bool{}
	for _, l := range c.lessons {
		card, err := readCard(l)
		require.NoError(t, err)
		for what, text := range map[string]string{
			"goal":  card.goal,
			"type":  card.typed,
			"build": card.any,
			"later": card.later,
			"built": card.built,
			"try":   card.try,
		} {
			require.NotEmpty(t, text, "%s of %s", what, l.id())
		}
		lines := strings.Split(out.wrap(card.goal, 10), "\n")
		require.LessOrEqual(t, len(lines), 4, "goal of %s", l.id())
		require.Positive(t, l.minutes, l.id())
		require.NotRegexp(t, wordsOfGo, card.goal+card.any+card.later+card.built, l.id())
		for _, name := range card.demos() {
			require.True(t, names[name], "demo %s of %s: there is none", name, l.id())
			shown[name] = true
		}
		if l.chapter != "" {
			require.NotEmpty(t, card.demos(), l.id())
		}
	}
	for _, d := range demos {
		require.True(
			t,
			shown[d.Name] || d.Program == "step2-namespaces",
			"demo %s: on no card",
			d.Name,
		)
	}
}

// wordsOfGo matches what is said of programs in Go alone.
const wordsOfGo = `\bGo\b|\.go\b|\bcmd\.|SysProcAttr|Cloneflags|goroutine|\bGo:`

// TestCardsOfOthers requires that the card and the plan for a program that is not in Go have no Go.
func TestCardsOfOthers(t *testing.T) {
	c := testCourse(t)
	for _, l := range append(c.lessons, lessonNamed(t, c, "5")) {
		for _, inGo := range []bool{false, true} {
			var text strings.Builder
			a := &app{out: newOutput(&text, false, nil)}
			require.NoError(t, a.showPlan(c, l, inGo))
			plan := strings.ReplaceAll(text.String(), "which is in Go, and yours", "")
			require.Equal(t, inGo, regexp.MustCompile(wordsOfGo).MatchString(plan), plan)
			if l.minutes == 0 {
				continue // no card
			}
			text.Reset()
			require.NoError(t, a.showCard(c, l, inGo))
			require.Equal(t, inGo, strings.Contains(text.String(), "Plan "), text.String())
			if !inGo {
				require.NotRegexp(t, wordsOfGo, text.String())
				require.Contains(t, text.String(), "Build ")
			}
		}
	}
}

// TestHintsForAll requires that the hints before the last one speak no Go.
func TestHintsForAll(t *testing.T) {
	scripts, err := allScripts(rootOf(t))
	require.NoError(t, err)
	for _, s := range scripts {
		h, err := findHints(s)
		if err == nil {
			require.NotRegexp(t, wordsOfGo, strings.Join(append(h.Hints, h.Kernel), "\n"), s.ID())
		}
		promise, err := s.Promise(0)
		require.NoError(t, err)
		require.NotRegexp(t, wordsOfGo, promise, s.ID())
	}
}

// TestCourse finds lessons by all their names.
func TestCourse(t *testing.T) {
	c := testCourse(t)
	for _, name := range []string{"3", "step3", "step3-rootfs"} {
		require.Equal(t, "step3-rootfs", lessonNamed(t, c, name).key())
	}
	for _, name := range []string{"5c", "step5c", "step5-complete/c"} {
		require.Equal(t, "step5-complete/c", lessonNamed(t, c, name).key())
	}
	require.Len(t, c.parts(lessonNamed(t, c, "5")), 8)
	require.Equal(t, "9 promises", c.count(lessonNamed(t, c, "1")), "and one of our own program")
	require.Equal(t, "1 promise, 7 ways out to close", c.count(lessonNamed(t, c, "5e")))
	require.Equal(t, "6 promises, 1 way out to close", c.count(lessonNamed(t, c, "5g")))
	for _, name := range []string{"", "0", "5x", "c5", "../1"} {
		_, err := c.find(name)
		require.ErrorContains(t, err, "there is none (1, 2, 3, 4, 5a, 5b")
	}
}

// TestPromised requires of a chapter what it stands on, and nothing of the others.
func TestPromised(t *testing.T) {
	c := testCourse(t)
	chapters := func(id string, s state) (letters string) {
		for _, script := range c.promised(lessonNamed(t, c, id), s) {
			if script.Step == "step5-complete" && !strings.Contains(letters, script.Chapter) {
				letters += script.Chapter
			}
		}
		return letters
	}
	none := state{Passed: map[string]time.Time{}}
	require.Equal(t, "a", chapters("5a", none))
	require.Equal(t, "ae", chapters("5e", none))
	require.Equal(
		t,
		"ade",
		chapters("5e", state{Passed: map[string]time.Time{"step5-complete/d": time.Now()}}),
	)
	taken := state{Taken: []string{"step4-cgroups", "step5-complete/b"}}
	require.Equal(t, "abe", chapters("5e", taken))
	require.Equal(t, "abcdefgh", chapters("5", none))
	require.Empty(t, chapters("4", none))
	for _, script := range c.promised(lessonNamed(t, c, "5c"), none) {
		require.False(t, script.NotYet(), script.ID())
	}
}

// TestNext goes through the course: what is passed, left out, chosen, and not to be checked here.
func TestNext(t *testing.T) {
	c := testCourse(t)
	next := func(s state) string {
		l, all := c.next(s)
		if all {
			return "all"
		}
		return l.id()
	}
	passed := func(ids ...string) map[string]time.Time {
		all := map[string]time.Time{}
		for _, id := range ids {
			all[lessonNamed(t, c, id).key()] = time.Now()
		}
		return all
	}
	require.Equal(t, "1", next(state{}))
	require.Equal(t, "2", next(state{Passed: passed("1", "3")}))
	require.Equal(t, "3", next(state{Passed: passed("1"), Skipped: []string{"step2-namespaces"}}))
	require.Equal(
		t,
		"5a",
		next(
			state{
				Passed:    passed("1", "2", "3"),
				Unchecked: map[string]string{"step4-cgroups": "cgroups"},
			},
		),
	)
	require.Equal(t, "5d", next(state{Passed: passed("1"), At: "5d"}))
	required := []string{"1", "2", "3", "4", "5a", "5b", "5c", "5d", "5e", "5f", "5g"}
	require.Equal(t, "5h", next(state{Passed: passed(required...)}))
	require.True(t, c.passed(lessonNamed(t, c, "5"), state{Passed: passed(required...)}))
	require.False(t, c.passed(lessonNamed(t, c, "5"), state{Passed: passed(required[:10]...)}))
	require.Equal(t, "all", next(state{Passed: passed(append(required, "5h")...)}))
	require.Equal(
		t,
		"all",
		next(state{Passed: passed(required...), Skipped: []string{"step5-complete/h"}}),
	)
}

// TestKeep takes in verdicts: what counts as passed.
func TestKeep(t *testing.T) {
	c := testCourse(t)
	// verdictOf is a verdict in which each script of the lesson ended as how says.
	verdictOf := func(id string, s state, how func(harness.Script) harness.Event) *verdict {
		v := &verdict{lesson: lessonNamed(t, c, id), events: map[string]harness.Event{}}
		v.scripts = c.promised(v.lesson, s)
		for _, script := range v.scripts {
			e := how(script)
			e.Script = script
			v.events[script.ID()] = e
			if e.Status == harness.Failed && !script.NotYet() && v.failure == nil {
				v.failure = &e
			}
		}
		return v
	}
	fresh := func() *state {
		s, err := (&place{dir: t.TempDir()}).load()
		require.NoError(t, err)
		return &s
	}
	kept := func(harness.Script) harness.Event { return harness.Event{Status: harness.Passed} }

	// All of a step is kept: it is passed, and those before it.
	s := fresh()
	v := verdictOf("2", *s, kept)
	require.NoError(t, s.keep(c, v))
	require.Len(t, v.passed, 2)
	require.Equal(t, "3", func() string { l, _ := c.next(*s); return l.id() }())

	// All of step 5 is kept: each of its chapters is passed, and all steps.
	s = fresh()
	v = verdictOf("5", *s, kept)
	require.NoError(t, s.keep(c, v))
	require.Len(t, v.passed, len(c.lessons))

	// One is broken: the step before it is passed all the same.
	s = fresh()
	broken := c.own(lessonNamed(t, c, "2"))[1]
	v = verdictOf("2", *s, func(script harness.Script) harness.Event {
		if script == broken {
			return harness.Event{Status: harness.Failed}
		}
		return kept(script)
	})
	require.NoError(t, s.keep(c, v))
	require.Equal(t, broken.ID(), s.Failing)
	require.Len(t, s.Passed, 1)

	// A flag that is not there is a chapter that is not built.
	s = fresh()
	v = verdictOf("5d", *s, func(script harness.Script) harness.Event {
		if script.Chapter == "d" && strings.HasPrefix(script.Name, "user") {
			return harness.Event{Status: harness.Skipped, NotBuilt: "user"}
		}
		return kept(script)
	})
	s.At = "5d"
	require.NoError(t, s.keep(c, v))
	require.NotContains(t, s.Passed, "step5-complete/d")
	require.NotContains(t, s.Unchecked, "step5-complete/d")
	require.Contains(t, s.Passed, "step5-complete/a")
	require.Equal(t, []string{"-user"}, v.shortfall(c, v.lesson).unbuilt)
	require.Equal(t, "5d", s.At)

	// Most could not be checked here: neither passed nor in the way.
	s = fresh()
	s.At = "5e"
	v = verdictOf("5e", *s, func(script harness.Script) harness.Event {
		if script.Chapter == "e" {
			return harness.Event{Status: harness.Skipped, Lacking: true, Reason: "asks for root"}
		}
		return kept(script)
	})
	require.NoError(t, s.keep(c, v))
	require.Equal(t, "asks for root", s.Unchecked["step5-complete/e"])
	require.Equal(t, "5f", s.At)

	// Chapters that were taken over are passed with the next one, if they are kept.
	s = fresh()
	s.Taken = []string{"step5-complete/a", "step5-complete/b", "step5-complete/c"}
	v = verdictOf("5d", *s, kept)
	require.NoError(t, s.keep(c, v))
	for _, letter := range "abcd" {
		require.Contains(t, s.Passed, "step5-complete/"+string(letter))
	}
	require.NotContains(t, s.Passed, "step5-complete/e")

	// The chosen one is passed: on with the one after it, and not back to the first.
	s = fresh()
	s.At = "5c"
	v = verdictOf("5c", *s, kept)
	require.NoError(t, s.keep(c, v))
	require.Equal(t, "5d", s.At)
}

// TestKeptBefore counts what a check did not reach and an earlier one found kept.
func TestKeptBefore(t *testing.T) {
	c := testCourse(t)
	s, err := (&place{dir: t.TempDir()}).load()
	require.NoError(t, err)
	l := lessonNamed(t, c, "2")
	own := c.own(l)
	// check takes in a verdict in which scripts ended like this, and the others were not reached.
	check := func(ended map[string]harness.Status) *verdict {
		v := &verdict{lesson: l, scripts: c.promised(l, s), events: map[string]harness.Event{}}
		for _, script := range v.scripts {
			if status, ok := ended[script.ID()]; ok {
				v.events[script.ID()] = harness.Event{Script: script, Status: status}
			}
		}
		require.NoError(t, s.keep(c, v))
		return v
	}
	passed, failed := harness.Passed, harness.Failed
	first, second, third := own[0].ID(), own[1].ID(), own[2].ID()
	v := check(map[string]harness.Status{first: passed, second: passed, third: passed})
	require.Zero(t, v.keptBefore(s), "they were kept by this one")
	v = check(map[string]harness.Status{third: failed})
	require.Equal(t, 2, v.keptBefore(s))
	v = check(map[string]harness.Status{second: failed})
	require.Equal(t, 1, v.keptBefore(s), "the third was broken when it was tried last")
	v = check(map[string]harness.Status{third: passed, second: failed})
	require.Equal(t, 1, v.keptBefore(s))
	v = check(nil)
	require.Equal(t, 2, v.keptBefore(s))
}

// TestTried puts the program that one has into the command of a card.
func TestTried(t *testing.T) {
	root := t.TempDir()
	t.Chdir(root)
	p := &place{root: root, dir: filepath.Join(root, "mine")}
	const run = " && sudo ./container run sh; ./container run true"
	const try = "go build -o container ./mine" + run
	for program, want := range map[string]string{
		"":        try,
		"c/x.go":  "go build -o container ./c/x.go" + run,
		"run.sh":  "sudo ./run.sh run sh; ./run.sh run true",
		"/x/a b":  "go build -o container '/x/a b'" + run,
		".hidden": "go build -o container ./.hidden" + run,
	} {
		if program == "run.sh" {
			require.NoError(t, os.WriteFile(program, nil, 0o755))
		}
		s := state{Program: program}
		if program != "" && !filepath.IsAbs(program) {
			s.Program = filepath.Join(root, program)
		}
		require.Equal(t, want, p.tried(try, s))
	}
	p.dir = filepath.Join(root, "other", "place")
	require.Contains(t, p.tried(try, state{}), "-o container ./other/place && ")
	require.NoError(t, os.MkdirAll(p.dir, 0o755))
	t.Chdir(filepath.Dir(p.dir))
	require.Contains(t, p.tried(try, state{}), "-o container ./place && ")
	t.Chdir(p.dir)
	require.Contains(t, p.tried(try, state{}), "-o container . && ")
}

// TestJudge tells a way out that is open from one that was not tried.
func TestJudge(t *testing.T) {
	c := testCourse(t)
	script := func(name string) harness.Script {
		s, err := findScript(c.root, "step5-complete/"+name)
		require.NoError(t, err)
		return s
	}
	// at is the outcome if the first line of the script that begins so has failed.
	at := func(name, line string, f harness.Failure) string {
		s := script(name)
		for f.Line = 1; !strings.HasPrefix(s.Line(f.Line), line); f.Line++ {
			require.Less(t, f.Line, 100, "no such line")
		}
		return judge(harness.Event{Script: s, Status: harness.Failed, Failure: f}).outcome
	}
	require.Equal(
		t,
		"closed",
		judge(harness.Event{Script: script("escape-bpf"), Status: harness.Passed}).outcome,
	)
	require.Equal(
		t,
		"untried",
		judge(harness.Event{Script: script("escape-bpf"), Status: harness.Skipped}).outcome,
	)
	require.Equal(
		t,
		"open",
		at(
			"escape-bpf",
			"! exec",
			harness.Failure{Message: "unexpected command success", Stdout: "done"},
		),
	)
	require.Equal(
		t,
		"untried",
		at("escape-bpf", "stderr", harness.Failure{Message: "no match", Stderr: "container: no"}),
	)
	require.Equal(
		t,
		"untried",
		at(
			"escape-bpf",
			"stderr",
			harness.Failure{Message: "no match", Stderr: "probe: bpf: no such call"},
		),
	)
	require.Equal(
		t,
		"open",
		at(
			"escape-environment",
			"! stdout",
			harness.Failure{Message: "unexpected match", Stdout: "SECRET=of-the-host"},
		),
	)
	require.Equal(
		t,
		"untried",
		at(
			"escape-environment",
			"exec",
			harness.Failure{Message: "exit status 125", Stderr: "container: no"},
		),
	)
	require.Equal(t, "untried", at("escape-bpf", "! exec", harness.Failure{Waiting: "sleep"}))
	for left, outcome := range map[string]string{
		"gone: root of the host":                              "open",
		"new: mount tmpfs /mnt (rw)":                          "open",
		"gone: limit /a/pids.max 9\nnew: limit /a/pids.max 1": "open",
		"new: cgroup /sys/fs/cgroup/harness/c-17":             "untried",
		"new: process 7 sleep 6100":                           "untried",
		"gone: process 7 sleep 6100":                          "untried",
		"new: interface veth0":                                "untried",
	} {
		e := harness.Event{Script: script("escape-bpf"), Status: harness.Failed}
		e.Left = strings.Split(left, "\n")
		tried := judge(e)
		require.Equal(t, outcome, tried.outcome, left)
		require.NotEmpty(t, tried.seen, left)
	}
}

// TestCluesOfOthers requires that a program which is not in Go is told nothing of Go.
func TestCluesOfOthers(t *testing.T) {
	script := filepath.Join(t.TempDir(), "program")
	require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\n"), 0o755))
	e := harness.Event{Script: harness.Script{Step: "step2-namespaces", Name: "ns-thread"}}
	e.Ran, e.Message = "exec container run sh", "exit status 255, want 137"
	e.Stderr = "start 2: the cgroup namespace is 'cgroup:[1]', and that of the host is 'cgroup:[1]'"
	e.Conduct = &harness.Conduct{Unseen: []harness.Unseen{{Text: "cannot open it\n"}}}
	gone := filepath.Join(t.TempDir(), "program")
	for program, inGo := range map[string]bool{
		"": true, script: false, gone: false, gone + ".go": true,
	} {
		e.Program = program
		var x explanation
		x.exits(e, command{})
		for _, text := range []string{x.seen, otherThread(e), wordsUnseen(e)} {
			require.NotEmpty(t, text)
			require.Equal(t, inGo, regexp.MustCompile(wordsOfGo).MatchString(text), text)
		}
	}
}
