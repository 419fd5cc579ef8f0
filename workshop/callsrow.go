//go:build linux

package main

import (
	"fmt"
	"path/filepath"
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
		scripts: `/hostname|left: host name`,
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
		about: `^(clone|clone3|unshare)\(.*NEWNS|^(mount|umount2|move_mount|chroot|pivot_root|` +
			`chdir|fchdir)\(`,
		needs: []string{"CLONE_NEWNS", "MS_PRIVATE|MS_SLAVE"},
	},
	{
		scripts: `^step4|left: cgroup`,
		about:   `/sys/fs/cgroup`,
		needs:   []string{"mkdir|mkdirat", "/cgroup.procs|/tasks"},
	},
}

// callsSeen are the calls of the program that bear on the promise, a line each, and what is missing
// among them. There are none if nothing was seen of it.
func callsSeen(e harness.Event) string {
	if e.Conduct == nil || notStartable(e) != "" || flagNotKnown(e) != "" {
		return ""
	}
	id := e.Script.ID()
	if len(e.Left) > 0 {
		id = "left" + strings.TrimLeft(strings.TrimSpace(e.Left[0]), "newgo")
	}
	i := slices.IndexFunc(topics, func(t topic) bool {
		return lazyregexp.New(t.scripts).MatchString(id)
	})
	if i < 0 {
		return ""
	}
	return topics[i].tell(e)
}

// tell is the text about the calls of a topic.
func (t topic) tell(e harness.Event) string {
	const most = 9
	about, command := lazyregexp.New(t.about), filepath.Base(ranCommand(e))
	var lines []string
	children := []int{0} // in the order in which they are shown
	for _, step := range e.Conduct.Steps {
		ok := step.Errno == ""
		isCommand := strings.HasPrefix(step.Text, "execve") && ok &&
			filepath.Base(firstPath(step.Text)) == command
		opens := strings.HasPrefix(step.Text, "open") && ok // what is written comes next
		if opens || !about.MatchString(step.Text) && !isCommand {
			continue
		}
		line := step.Text
		if !ok {
			line += ": " + step.Errno
		}
		if !slices.Contains(children, step.Process) {
			children = append(children, step.Process)
		}
		switch n := slices.Index(children, step.Process); n {
		case 0:
		case 1:
			line = "child: " + line
		default:
			line = fmt.Sprintf("child %d: %s", n, line)
		}
		if len(lines) == 0 || lines[len(lines)-1] != line {
			lines = append(lines, line)
		}
		if isCommand {
			break
		}
	}
	if len(lines) > most {
		lines = append(append(lines[:most/2:most/2], "..."), lines[len(lines)-most/2:]...)
	}
	c := cause{event: e}
	var missing []string
	for _, need := range t.needs {
		if !slices.ContainsFunc(strings.Split(need, "|"), c.made) {
			missing = append(missing, strings.ReplaceAll(need, "|", " or "))
		}
	}
	if len(missing) > 0 {
		lines = append(lines, "and none with "+strings.Join(missing, ", none with "))
	}
	return strings.Join(lines, "\n")
}
