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

// This file shows the calls of a program that bear on a promise, as they were seen: they say what
// happened where no clue does.

// A topic is what some promises have in common: they are about some calls, and need some of them.
type topic struct {
	scripts string   // a regular expression for their IDs
	about   string   // a regular expression for the calls
	needs   []string // texts in the calls; | is between alternatives
}

var topics = []topic{
	{
		scripts: `/hostname|left: host`,
		about:   `^(clone|clone3|unshare)\(.*NEWUTS|^sethostname`,
		needs:   []string{"CLONE_NEWUTS"},
	},
	{
		scripts: `/pid-`,
		about:   `^(clone|clone3|unshare)\(.*NEWPID|^v?fork\(`,
		needs:   []string{"CLONE_NEWPID"},
	},
	{
		scripts: `/ps-`,
		about: `^(clone|clone3|unshare)\(.*NEWPID|^mount\(.*"proc"|^umount2\(|` +
			`^(chroot|pivot_root)\(`,
		needs: []string{"CLONE_NEWPID", `"proc"`},
	},
	{
		scripts: `/(root|host-(dot|proc|old|chroot))`,
		about:   `^(chroot|pivot_root|chdir|fchdir|umount2|mount)\(`,
		needs:   []string{"chroot|pivot_root"},
	},
	{
		scripts: `/(host-)?mounts-|left: mount`,
		about: `^(clone|clone3|unshare)\(.*NEWNS|^(mount|umount2|mount_setattr|move_mount|` +
			`chroot|pivot_root|chdir|fchdir)\(`,
		needs: []string{"CLONE_NEWNS", "MS_PRIVATE|MS_SLAVE|mount_setattr"},
	},
	{
		scripts: `^step4`,
		about:   `/sys/fs/cgroup`,
		needs:   []string{"mkdir|mkdirat", "/cgroup.procs|/tasks"},
	},
	{
		scripts: `left: cgroup`,
		about:   `/sys/fs/cgroup`,
		needs:   []string{"rmdir|unlinkat"},
	},
}

// callsSeen are the calls of the program that bear on the promise, a line each, and what is missing
// among them. There are none if nothing was seen of it.
func callsSeen(e harness.Event) string {
	if e.Conduct == nil || notStartable(e) != "" || flagNotKnown(e) != "" {
		return ""
	}
	t := topicOf(e)
	if t == nil {
		return ""
	}
	return t.tell(e)
}

// topicOf is what the promise that is broken is about, or nil.
func topicOf(e harness.Event) *topic {
	id := e.Script.ID()
	left := ""
	if len(e.Left) > 0 { // new: mount proc /proc (rw)
		_, what, _ := strings.Cut(e.Left[0], ": ")
		id, left, _ = strings.Cut(what, " ")
		id = "left: " + id
	}
	i := slices.IndexFunc(topics, func(t topic) bool {
		return lazyregexp.New(t.scripts).MatchString(id)
	})
	if i < 0 {
		return nil
	}
	t := topics[i]
	if c := (cause{event: e}); id == "left: cgroup" && c.names(left) {
		t.about = regexp.QuoteMeta(left) + `\b` // and not one that is gone
	}
	return &t
}

// tell is the text about the calls of a topic.
func (t topic) tell(e harness.Event) string {
	const most = 9
	steps := bornFirst(e.Conduct.Steps)
	lines := inLines(withoutMoves(t.bearing(steps, filepath.Base(ranCommand(e)))))
	if len(lines) > most {
		lines = append(append(lines[:most/2:most/2], "..."), lines[len(lines)-most/2:]...)
	}
	var missing []string
	for _, need := range t.missing(e) {
		text := strings.ReplaceAll(need, "|", " or ")
		alternatives := strings.Split(need, "|")
		if slices.ContainsFunc(alternatives, cause{event: e}.made) { // in a call with MS_BIND
			text += " (a call with MS_BIND or MS_REMOUNT does not count)"
		}
		missing = append(missing, text)
	}
	if len(missing) > 0 {
		lines = append(lines, "no call succeeded with "+strings.Join(missing, ", none with "))
	}
	return strings.Join(lines, "\n")
}

// missing are the needs of a topic that no call has met.
func (t topic) missing(e harness.Event) (missing []string) {
	for _, need := range t.needs {
		meets := func(made string) bool { return meets(made, need) }
		if e.Conduct == nil || !slices.ContainsFunc(e.Conduct.Made, meets) {
			missing = append(missing, need)
		}
	}
	return missing
}

// meets tells whether a call is what is needed. The kernel looks at MS_PRIVATE and its like only
// where there is nothing else to do.
func meets(call, need string) bool {
	return slices.ContainsFunc(strings.Split(need, "|"), func(alternative string) bool {
		if slices.Contains(cutting, alternative) {
			return cuts(call)
		}
		return strings.Contains(call, alternative)
	})
}

// bearing are the calls of a topic, up to the one that executes the command.
func (t topic) bearing(steps []harness.Step, command string) (bear []harness.Step) {
	about, removed := lazyregexp.New(t.about), map[string]bool{}
	for _, step := range steps {
		ok, call := step.Errno == "", nameOf(step)
		if strings.HasPrefix(call, "execve") && ok &&
			filepath.Base(firstPath(step.Text)) == command {
			return append(bear, step)
		}
		opens := strings.HasPrefix(call, "open") && ok // what is written comes next
		if opens || !about.MatchString(step.Text) {
			continue
		}
		if path := lastPath(step.Text); call == "rmdir" || call == "unlinkat" {
			// Many try to remove a directory as a file first, and what is gone once more.
			if step.Errno == "EISDIR" || step.Errno == "ENOENT" && removed[path] {
				continue
			}
			removed[path] = removed[path] || ok
		}
		bear = append(bear, step)
	}
	return bear
}

// bornFirst puts the call by which a process makes its only child before the calls of that child.
// It may return after them, which says nothing.
func bornFirst(steps []harness.Step) []harness.Step {
	births := map[int]int{} // how many, by the process
	makes := func(s harness.Step) bool {
		return s.Errno == "" && !strings.Contains(s.Text, "CLONE_THREAD") &&
			slices.Contains([]string{"clone", "clone3", "fork", "vfork"}, nameOf(s))
	}
	for _, s := range steps {
		if makes(s) {
			births[s.Process]++
		}
	}
	steps = slices.Clone(steps)
	for process, n := range births {
		birth := slices.IndexFunc(steps, func(s harness.Step) bool {
			return s.Process == process && makes(s)
		})
		first := slices.IndexFunc(steps, func(s harness.Step) bool {
			return s.Parent == process && s.Process > process
		})
		if n == 1 && first >= 0 && first < birth {
			s := steps[birth]
			steps = slices.Insert(slices.Delete(steps, birth, birth+1), first, s)
		}
	}
	return steps
}

// withoutMoves leaves out where processes went from which none descends that did something else.
func withoutMoves(steps []harness.Step) []harness.Step {
	isMove := func(s harness.Step) bool { return nameOf(s) == "chdir" || nameOf(s) == "fchdir" }
	parents, does := map[int]int{}, map[int]bool{}
	for _, step := range steps {
		parents[step.Process] = step.Parent
	}
	for _, step := range steps {
		for p := step.Process; !isMove(step) && !does[p]; p = parents[p] {
			does[p] = true
		}
	}
	if len(does) == 0 {
		return steps
	}
	return slices.DeleteFunc(slices.Clone(steps), func(s harness.Step) bool {
		return isMove(s) && !does[s.Process]
	})
}

// nameOf is the name of the system call of a step.
func nameOf(step harness.Step) string {
	name, _, _ := strings.Cut(step.Text, "(")
	return name
}

// inLines are calls in print, with the process that made each. What is repeated is there once, and
// of many directories that are made or removed in a row there is the first.
func inLines(steps []harness.Step) (lines []string) {
	children := []int{0} // in the order in which they are shown
	for len(steps) > 0 {
		step := steps[0]
		if !slices.Contains(children, step.Process) {
			children = append(children, step.Process)
		}
		process := ""
		switch n := slices.Index(children, step.Process); n {
		case 0:
		case 1:
			process = "child: "
		default:
			process = fmt.Sprintf("child %d: ", n)
		}
		line := process + step.Text
		if step.Errno != "" {
			line += ": " + step.Errno
		}
		lines = append(lines, line)
		same := inARow(steps, func(s harness.Step) bool { return s == step })
		name := nameOf(step)
		tidies := name == "mkdir" || name == "mkdirat" || name == "rmdir" || name == "unlinkat"
		alike := inARow(steps, func(s harness.Step) bool {
			return nameOf(s) == name && s.Errno == step.Errno // a shell starts a tool for each
		})
		if tidies && alike > same+1 {
			lines = append(lines, fmt.Sprintf("... and %d more of %s", alike-1, name))
			same = alike
		}
		steps = steps[same:]
	}
	return lines
}

// inARow is how many of the first steps are alike.
func inARow(steps []harness.Step, isLike func(harness.Step) bool) int {
	n := slices.IndexFunc(steps, func(s harness.Step) bool { return !isLike(s) })
	if n < 0 {
		return len(steps)
	}
	return n
}
