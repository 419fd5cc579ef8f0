//go:build linux

package main

import (
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"container.example/workshop/internal/harness"
	"container.example/workshop/internal/lazyregexp"
)

// This file has the clues for a program after which the host is not as it was.

// leavesBehind is for a program after which the host is not as it was.
func leavesBehind(e harness.Event) string {
	c := cause{event: e}
	for _, left := range []struct {
		kind string
		tell func(c cause, what string) string
	}{
		{"gone: root of the host", rootGone},
		{"new: mount ", mountLeft},
		{"gone: mount ", mountGone},
		{"new: host name ", nameLeft},
		{"new: limit ", limitLeft},
		{"new: cgroup ", cgroupLeft},
		{"new: process ", processLeft},
	} {
		for _, line := range e.Left {
			what, ok := strings.CutPrefix(strings.TrimSpace(line), left.kind)
			if !ok {
				continue
			}
			text := left.tell(c, what)
			if runs := runsOf(e); inTheWay(e) && len(runs) > 0 {
				text = fmt.Sprintf("`%s` has left this behind, and it was in the way of `%s`, "+
					"which does not fail so on a clean host. %s", runs[0], commandLine(e.Ran), text)
			}
			return text
		}
	}
	return ""
}

// inTheWay tells whether a script failed because of what an earlier run of the program had left on
// the host.
func inTheWay(e harness.Event) bool { return len(e.Left) > 0 && e.Line > 0 && e.Waiting == "" }

// asked tells whether the program asked for a namespace, as far as that is known.
func (c cause) asked(flag string) (asked, known bool) {
	return c.made(flag), c.event.Conduct != nil
}

func mountLeft(c cause, what string) string {
	const (
		appeared = "A mount of the container appeared on the host"
		shared   = "/ is a shared mount here, as on every machine with systemd, and a copy of " +
			"the table remains tied to it until mount(2) on / with MS_PRIVATE and MS_REC cuts " +
			"it, before any other mount."
	)
	asked, known := c.asked("CLONE_NEWNS")
	first := c.mountOf(what)
	switch call := cmp.Or(first, "it"); {
	case known && !asked:
		return fmt.Sprintf("%s: none of your processes asked for a mount namespace, so %s was "+
			"made on the host. CLONE_NEWNS of clone(2) or unshare(2) makes a namespace. It begins "+
			"with a copy of the host's mounts, and %s", appeared, call, shared)
	case known && c.madeOutside(first):
		return fmt.Sprintf("%s: %s was made by a process that is not in the mount namespace. The "+
			"one that clone(2) starts is in it, and not the one that calls clone(2); and after "+
			"unshare(2) the one that called it.", appeared, first)
	case known && c.cutLate(first):
		return fmt.Sprintf("%s. There is a mount namespace, and its mounts are made private, but "+
			"too late: %s was before. The call with MS_PRIVATE comes first.", appeared, first)
	case known && asked && c.privateAlone() != "":
		return appeared + ". " + c.privateAlone()
	case known && c.privateRefused() != "":
		return fmt.Sprintf("%s. There is a mount namespace, and its mounts are still shared with "+
			"the host. %s", appeared, c.privateRefused())
	case known && !c.cutsMounts():
		return fmt.Sprintf("%s. There is a mount namespace, and its mounts were still shared with "+
			"the host when your program made %s: %s%s", appeared, call, shared,
			c.privateInVain())
	}
	return appeared + ". Either it has no mount namespace, or the process that mounted is not " +
		"the one in it, or its mounts are still shared with the host: " + shared
}

// cutsMounts tells whether the program made mounts private, or slaves: mount(2) does that, and so
// does mount_setattr(2), which mount(8) calls in later versions.
func (c cause) cutsMounts() bool {
	return slices.ContainsFunc(c.mounts(), cuts) || c.made("mount_setattr(")
}

// privateRefused is for a program that wanted to make mounts private, and could not.
func (c cause) privateRefused() string {
	if c.event.Conduct == nil || c.cutsMounts() {
		return ""
	}
	for _, r := range c.event.Conduct.Refused {
		if r.Call != "mount" || !cuts(r.Text) {
			continue
		}
		text := fmt.Sprintf("%s was to change that, and failed with %s, and your program went on.",
			r.Text, r.Errno)
		if r.Errno == "EINVAL" && r.Inside {
			text += " The path has to be a mount point, and after chroot(2) / is none: the call " +
				"comes before that."
		}
		return text
	}
	return ""
}

// madeOutside tells whether a mount was made by a process that is not in any mount namespace that
// the program made.
func (c cause) madeOutside(mount string) bool {
	steps := c.event.Conduct.Steps
	i := slices.IndexFunc(steps, func(s harness.Step) bool {
		return s.Text == mount && s.Errno == ""
	})
	return i >= 0 && !hasNamespace(steps, i, "CLONE_NEWNS", true)
}

// hasNamespace tells whether the process that made a call may be in a namespace that the program
// asked for: it descends from a process that asked for one, or, where unshare(2) moves the caller
// itself, it has called that before. The calls of two processes may be in another order than they
// were made.
func hasNamespace(steps []harness.Step, call int, flag string, moves bool) bool {
	parents := map[int]int{}
	for _, s := range steps {
		parents[s.Process] = s.Parent
	}
	of := steps[call].Process
	above := []int{}
	for p := of; p != 0; {
		parent, known := parents[p]
		if !known {
			return true // the first calls are left out where there are many
		}
		above, p = append(above, parent), parent
	}
	for i, s := range steps {
		asks := strings.Contains(s.Text, flag) && s.Errno == ""
		itself := moves && s.Process == of && i < call && !strings.HasPrefix(s.Text, "clone")
		if asks && (itself || slices.Contains(above, s.Process)) {
			return true
		}
	}
	return false
}

// mountOf is the call that made a mount which the host has now, otherwise the first one that mounts
// something new, or nothing.
func (c cause) mountOf(what string) (call string) {
	if c.event.Conduct == nil {
		return ""
	}
	fields := strings.Fields(what)
	for _, made := range c.event.Conduct.Made {
		if !strings.HasPrefix(made, "mount(") || cuts(made) {
			continue
		}
		point := filepath.Join("/", lastPath(made)) // where it is seen from the directory
		if len(fields) > 1 && point != "/" && strings.HasSuffix(fields[1], point) {
			return made
		}
		call = cmp.Or(call, made)
	}
	return call
}

// cutLate tells whether the program made a mount before it made the mounts private.
func (c cause) cutLate(mount string) bool {
	isIt := func(made string) bool { return strings.Contains(made, mount) }
	cut := slices.IndexFunc(c.event.Conduct.Made, func(made string) bool {
		return strings.HasPrefix(made, "mount(") && cuts(made)
	})
	return mount != "" && cut >= 0 && slices.IndexFunc(c.event.Conduct.Made, isIt) < cut
}

func rootGone(cause, string) string {
	return "pivot_root(2) has changed the root of the host itself: it is for all processes in a " +
		"mount namespace, and the one that called it was in that of the host. A mount namespace " +
		"of its own (CLONE_NEWNS of clone(2) or unshare(2)) comes before all mounts."
}

func mountGone(cause, string) string {
	return "Your program has unmounted something of the host. Either it has no mount " +
		"namespace, or its mounts are still shared with the host: / is a shared mount here, " +
		"and what is unmounted in a copy of the table goes on the host, too, until mount(2) " +
		"on / with MS_PRIVATE and MS_REC cuts the two. That comes before all other mounts, in " +
		"the process that unmounts."
}

func nameLeft(c cause, _ string) string {
	if asked, known := c.asked("CLONE_NEWUTS"); known && !asked {
		return "The name that the container changes is the one of the host: none of your " +
			"processes asked for a uts namespace. CLONE_NEWUTS of clone(2) or unshare(2) makes " +
			"one. sethostname(2) comes after that, in the process that is in it."
	}
	return "The name that the container changes is the one of the host. With CLONE_NEWUTS of " +
		"clone(2) or unshare(2) it has one of its own; sethostname(2) comes after that, and in " +
		"the process that is in the new namespace."
}

func cgroupLeft(c cause, dir string) string {
	const rule = "A cgroup is a directory: rmdir(2) removes it when no process is in it any " +
		"longer. The process that has waited for the container can do it."
	if c.event.Conduct == nil {
		return rule
	}
	dirs := c.alike(dir)
	if text := c.removalRefused(dirs); text != "" {
		return text
	}
	switch removed, missed := c.removals(dir, dirs); {
	case !removed && missed != "":
		return missed
	case c.made("/notify_on_release"):
		return "notify_on_release alone removes nothing: the kernel then starts the program that " +
			"release_agent names, and there is none. " + rule
	case removed:
		return rule + " Your program did that in another run: is there a way to end that leaves " +
			"it out?"
	}
	return rule + " None of your processes has called rmdir(2) on this one."
}

// notRemoved is for a cgroup that is still there when a script looks at them all.
func notRemoved(e harness.Event) string {
	m := seenDirRE.FindStringSubmatch(e.Diff)
	if m == nil || e.Script.Step != "step4-cgroups" {
		return ""
	}
	c := cause{event: e}
	return fmt.Sprintf("The cgroup %s is still there. %s", m[1], cgroupLeft(c, m[1]))
}

// seenDirRE matches a cgroup that was seen and not expected, in a difference.
var seenDirRE = lazyregexp.New(`(?m)^-(/sys/fs/cgroup/\S+)$`)

// removalRefused tells why one of some cgroups could not be removed, where that was tried.
func (c cause) removalRefused(dirs []string) string {
	isIt := func(path string) bool {
		return slices.Contains(dirs, path) || slices.Contains(dirs, filepath.Dir(path))
	}
	for _, r := range slices.Backward(c.event.Conduct.Refused) {
		if !removes(r.Call) || !isIt(filepath.Clean(lastPath(r.Text))) {
			continue
		}
		switch r.Errno {
		case "EBUSY":
			return fmt.Sprintf("%s failed with EBUSY: %s", r.Text, c.whyBusy(r.Text))
		case "EPERM", "ENOTEMPTY", "EACCES":
			return fmt.Sprintf("%s failed with %s: the files in a cgroup are the kernel's, and "+
				"nobody removes them. rmdir(2) of the directory itself removes them all.", r.Text,
				r.Errno)
		}
	}
	return ""
}

// removals tells whether the program has removed the cgroups that it made, of those that may be the
// one that is left behind, and otherwise why a removal did not find one. Some programs begin by
// removing what an earlier run may have left behind, and some remove a cgroup twice.
func (c cause) removals(dir string, dirs []string) (removed bool, missed string) {
	isThere, gone := map[string]bool{}, map[string]bool{}
	for _, step := range c.event.Conduct.Steps {
		path := filepath.Clean(lastPath(step.Text))
		if !slices.Contains(dirs, path) || path != dir && !c.madeDirectory(path) {
			continue
		}
		switch call := nameOf(step); {
		case strings.HasPrefix(call, "mkdir"):
			isThere[path] = isThere[path] || step.Errno == "" || step.Errno == "EEXIST"
		case removes(call) && step.Errno == "":
			isThere[path], gone[path] = false, true
		case !removes(call), step.Errno != "ENOENT", gone[path], missed != "":
		case !isThere[path] && c.madeDirectory(path):
			missed = fmt.Sprintf("%s failed with ENOENT: it was too early, before the cgroup was "+
				"made, and no other call came later. Remove the cgroup when the container has "+
				"ended, after wait(2).", step.Text)
		default:
			missed = fmt.Sprintf("%s failed with ENOENT: the root was another one already, where "+
				"there is no such directory. The process that stays outside removes the cgroup, "+
				"by rmdir(2), when it has waited for the container.", step.Text)
		}
	}
	return len(gone) > 0 && !slices.Contains(slices.Collect(maps.Values(isThere)), true), missed
}

// alike are a cgroup that is left behind, and those that the program made in its place when it was
// run once more: many have random names.
func (c cause) alike(dir string) (dirs []string) {
	if c.names(dir) {
		return []string{dir}
	}
	dirs = []string{dir}
	for _, step := range c.event.Conduct.Steps {
		path := filepath.Clean(lastPath(step.Text))
		if (strings.HasPrefix(step.Text, "mkdir") || removes(nameOf(step))) &&
			filepath.Dir(path) == filepath.Dir(dir) {
			dirs = append(dirs, path)
		}
	}
	return dirs
}

// names tells whether the last path of some call is that of a directory, also of one that failed.
func (c cause) names(dir string) bool {
	return c.event.Conduct != nil &&
		slices.ContainsFunc(c.event.Conduct.Steps, func(step harness.Step) bool {
			return filepath.Clean(lastPath(step.Text)) == dir
		})
}

// whyBusy tells why a cgroup could not be removed.
func (c cause) whyBusy(removal string) string {
	type place struct {
		process   int
		hierarchy string
	}
	dir := filepath.Clean(lastPath(removal))
	joined, below := map[place]string{}, []string{}
	for _, step := range c.event.Conduct.Steps {
		path, ok := filepath.Clean(lastPath(step.Text)), step.Errno == ""
		join := ownNumberRE.FindStringSubmatch(step.Text)
		at := place{step.Process, hierarchyOf(dir)}
		switch call := nameOf(step); {
		case ok && join != nil:
			joined[place{step.Process, hierarchyOf(join[1])}] = join[1]
		case ok && strings.HasPrefix(call, "mkdir") && filepath.Dir(path) == dir:
			below = append(below, path)
		case ok && removes(call):
			below = slices.DeleteFunc(below, func(is string) bool { return is == path })
		case ok || step.Text != removal:
		case len(below) > 0:
			return fmt.Sprintf("the cgroup %s was still in it. A cgroup that is in another one is "+
				"removed first.", below[0])
		case filepath.Clean(joined[at]) == dir:
			return "the process that removes the cgroup is in it itself. It has written 0 to " +
				"cgroup.procs, which stands for the process that writes. The one that becomes " +
				"the command joins, and the one that waits for it stays outside."
		}
	}
	return "a process was still in the cgroup. Wait until it has ended (wait(2)). And the " +
		"process that removes the directory cannot be in it itself."
}

// hierarchyOf is the hierarchy of version 1 that a cgroup is in, or nothing.
func hierarchyOf(dir string) string {
	if m := hierarchyRE.FindStringSubmatch(dir); m != nil && !harness.HasCgroup2() {
		return m[1]
	}
	return ""
}

// ownNumberRE matches a call by which a process joins a cgroup itself, with that cgroup.
var ownNumberRE = lazyregexp.New(`^p?write(?:v|64)?\(<([^>]*)/(?:cgroup\.procs|tasks)>, ` +
	`"0(?:\\n)?"`)

// busyCgroup is for a program that ends with the error of removing its cgroup.
func busyCgroup(c cause) string {
	if c.cgroupPath() == "" || !c.seen {
		return ""
	}
	return "The cgroup could not be removed: " + c.whyBusy(c.text)
}

func limitLeft(_ cause, what string) string {
	file, _, _ := strings.Cut(what, " ")
	return fmt.Sprintf("Your program wrote to %s, which is the limit of the whole machine here, "+
		"and not of the container: all other processes meet it, too. mkdir(2) in that directory "+
		"makes a cgroup of the container's own, with such a file in it.", file)
}

func processLeft(cause, string) string {
	return "Your program ended before all that it had started. Wait for the command, and have it " +
		"in a pid namespace, whose process 1 takes all others with it."
}
