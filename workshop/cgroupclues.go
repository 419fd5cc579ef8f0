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

// This file has the clues about control groups. Many programs are written for a hierarchy that
// this machine does not have.

const cgroupFS = "/sys/fs/cgroup"

const (
	hasVersion1 = "This machine has version 1 of cgroups, where /sys/fs/cgroup is no cgroup but " +
		"a tmpfs with a hierarchy for each controller: make the directory in " +
		"/sys/fs/cgroup/memory, pids or cpu. The files are memory.limit_in_bytes, pids.max and " +
		"cpu.cfs_quota_us there."
	hasVersion2 = "This machine has version 2 of cgroups, where /sys/fs/cgroup is one tree for " +
		"all controllers, without a hierarchy for each: make the directory of the container " +
		"right below it. The files are memory.max, pids.max and cpu.max there, and cgroup.procs " +
		"for the processes."
)

var (
	// hierarchyRE matches a path in a hierarchy of version 1, with its name.
	hierarchyRE = lazyregexp.New(`^/sys/fs/cgroup/(memory|pids|cpu(?:,cpuacct)?|cpuacct|cpuset|` +
		`devices|freezer|blkio|hugetlb|net_cls(?:,net_prio)?|perf_event|rdma|misc|systemd)(?:/|$)`)
	// file1RE and file2RE match files that only one of the versions has.
	file1RE = lazyregexp.New(`/(memory\.(\w+_in_bytes|memsw\.\w+|swappiness)` +
		`|cpu\.(cfs_\w+|shares)|notify_on_release|release_agent|tasks)$`)
	file2RE = lazyregexp.New(`/(memory\.(max|high|swap\.max)|cpu\.(max|weight)` +
		`|cgroup\.(controllers|subtree_control|type|kill|freeze))$`)
	// inDirectoryRE matches a path that leads to a cgroup in some other directory than the root.
	inDirectoryRE = lazyregexp.New(`^\.?/?[^/.][^/]*/(?:.*/)?sys/fs/cgroup\b`)
	// cgroupPathRE matches a path in the words of a program.
	cgroupPathRE = lazyregexp.New(`/sys/fs/cgroup[\w./@,-]*`)
)

// wrongVersion is for a path of the version of cgroups that this machine does not have.
func wrongVersion(path string, version2 bool) string {
	m := hierarchyRE.FindStringSubmatch(path)
	switch {
	case version2 && (m != nil || file1RE.MatchString(path)):
		return hasVersion2
	case version2:
		return ""
	case m == nil, file2RE.MatchString(path):
		return hasVersion1
	case !slices.Contains([]string{"memory", "pids", "cpu", "devices"}, m[1]):
		return fmt.Sprintf("The throw-away host has no hierarchy %s, but memory, pids and cpu.",
			m[1])
	}
	return ""
}

// cgroupPath is the path that a call, or an error in words, is about, if it is one of a cgroup.
func (c cause) cgroupPath() string {
	if c.seen && !c.changedRoot() && inDirectoryRE.MatchString(c.path) {
		return "" // it is meant to be in a root file system
	}
	return cgroupPathRE.FindString(c.path + "\n" + c.text)
}

// noCgroup is for a directory of a cgroup, or a file in it, that is not there.
func noCgroup(c cause) string {
	path := c.cgroupPath()
	if path == "" {
		return ""
	}
	if c.changedRoot() {
		return "The root is another one already, and /sys/fs/cgroup of the host is out of reach. " +
			"Make the cgroup, and join it, before the root is changed."
	}
	if dir := filepath.Dir(filepath.Clean(path)); c.tookAway(dir) != "" {
		return fmt.Sprintf("Your program made the cgroup %s, and took it away again before this "+
			"call, by %s. rmdir(2) comes at the end, when the process that waits has seen the end "+
			"of the container (wait4(2)).", dir, c.tookAway(dir))
	}
	if text := wrongVersion(path, harness.HasCgroup2()); text != "" {
		return text
	}
	const ofSystemd = " user.slice and system.slice are those of systemd: make the directory " +
		"right below /sys/fs/cgroup, or below one that your program has made."
	dir, file := filepath.Split(path)
	dir = filepath.Clean(dir)
	if text := mistypedFile(file); text != "" {
		return text
	}
	text := ""
	switch {
	case strings.HasPrefix(c.call, "mkdir"):
		text = fmt.Sprintf("There is no cgroup %s in which to make another one.", dir)
	case c.madeDirectory(dir) && harness.HasCgroup2():
		return fmt.Sprintf("The cgroup %s has no file %s. The kernel makes the files of the "+
			"controllers that are in cgroup.subtree_control of the directory above, and no "+
			"others: write + and the name of the controller there before (cgroups(7)).", dir, file)
	case c.madeDirectory(dir):
		return fmt.Sprintf("The cgroup %s has no file %s: each hierarchy of version 1 has the "+
			"files of its own controller, and cgroup.procs (cgroups(7)).", dir, file)
	default:
		text = fmt.Sprintf("There is no cgroup %s, or no such file in it. A cgroup is a directory "+
			"that mkdir(2) makes, and the kernel makes its files", dir)
		if harness.HasCgroup2() {
			text += ": those of the controllers that are in cgroup.subtree_control of the " +
				"directory above (cgroups(7))"
		}
		text += "." + c.otherCgroup(dir)
	}
	if strings.Contains(path, ".slice") {
		text += ofSystemd
	}
	return text
}

// tookAway is the call that removed a directory which the program had made, before the call that
// failed, or nothing.
func (c cause) tookAway(dir string) (removed string) {
	made := false
	for _, call := range c.earlier() {
		switch name, _, _ := strings.Cut(call, "("); {
		case filepath.Clean(lastPath(call)) != dir:
		case name == "mkdir" || name == "mkdirat":
			made, removed = true, ""
		case made && (name == "rmdir" || name == "unlinkat"):
			removed = call
		}
	}
	return removed
}

// madeDirectory tells whether the program made this directory, or found that it was there.
func (c cause) madeDirectory(dir string) bool {
	if c.event.Conduct == nil {
		return false
	}
	isIt := func(call string) bool {
		return strings.HasPrefix(call, "mkdir") && filepath.Clean(lastPath(call)) == dir
	}
	return slices.ContainsFunc(c.event.Conduct.Made, isIt) ||
		slices.ContainsFunc(c.event.Conduct.Refused, func(r harness.Refusal) bool {
			return r.Errno == "EEXIST" && isIt(r.Text)
		})
}

// otherCgroup tells of a cgroup that the program made beside the one that is missing.
func (c cause) otherCgroup(missing string) string {
	if c.event.Conduct == nil {
		return ""
	}
	for _, made := range c.event.Conduct.Made {
		dir := filepath.Clean(lastPath(made))
		if strings.HasPrefix(made, "mkdir") && filepath.Dir(dir) == filepath.Dir(missing) {
			return fmt.Sprintf(" Your program made %s: is one of the names mistyped?", dir)
		}
	}
	return ""
}

// lookedForCgroup is for a program that looked for a directory of the other version, and gave up.
func lookedForCgroup(e harness.Event) string {
	m := anyStatus.FindStringSubmatch(e.Message)
	failed := m != nil && m[1] != "0" || strings.Contains(strings.ToLower(e.Stderr), "cgroup") &&
		!(wantsSilence(e) && e.Stdout != "")
	if executed(e) != "no" || !failed {
		return "" // it may only have looked whether there is something to remove
	}
	for _, r := range e.Conduct.Refused {
		if path := firstPath(r.Text); r.Looks && strings.HasPrefix(path, cgroupFS+"/") {
			if text := wrongVersion(path, harness.HasCgroup2()); text != "" {
				return fmt.Sprintf("Your program looked for %s, which is not there. %s", path, text)
			}
		}
	}
	return ""
}

// cgroupAmiss is for a cgroup of the container that is not as the limit asks for, while the command
// is there.
func cgroupAmiss(e harness.Event) string {
	list, ok := strings.CutPrefix(e.Message, "no cgroup has ")
	if !ok {
		return ""
	}
	own := ownCgroups(list)
	ended, running, met, exists, refused := "", 0, true, false, false
	for _, b := range e.Background {
		if b.State == "" {
			running++
			continue
		}
		ended = b.State
		refused = errnoIn(b.Stderr) == "EINVAL" || errnoIn(b.Stderr) == "EBUSY"
		exists = errnoIn(b.Stderr) == "EEXIST" && pathRE.FindString(b.Stderr) == "" &&
			!ofNetworkRE.MatchString(b.Stderr)
		// One that ended may have met the other one there.
		met = met && len(own) == 1 &&
			(strings.Contains(b.Stderr, own[0]+"/") || namesPath(b.Stderr, own[0]))
	}
	switch {
	case limitOfHost(e, list) != "":
		return limitLeft(cause{event: e}, limitOfHost(e, list))
	case e.Script.Name == "two-at-once" && len(own) == 1 && running > 0 && met:
		return fmt.Sprintf("Both containers use the cgroup %s. Each needs a directory with a name "+
			"of its own, for instance a random one.", own[0])
	case e.Script.Name == "two-at-once" && len(own) == 1 && running > 0 && exists:
		return fmt.Sprintf("One of the two containers ended because it found something that is "+
			"there already, and the other one uses the cgroup %s. Each needs a directory with a "+
			"name of its own, for instance a random one.", own[0])
	case e.Script.Name != "two-at-once" && len(own) == 1 && (ended == "" && running == 1 ||
		refused && running == 0) && leftBy(e, list, own[0]) != "":
		return fmt.Sprintf("The cgroup %s still has the limit of `%s`, which has left it behind, "+
			"and the write of the new one has failed, or there was none. rmdir(2) removes a "+
			"cgroup when no process is in it any longer: your program does that when the "+
			"command has ended. The process that does it cannot be in the cgroup itself; and if "+
			"it is in the mount namespace of the container, pivot_root(2) there changes its "+
			"root, too. And a mkdir(2) that fails with EEXIST has made none.", own[0],
			leftBy(e, list, own[0]))
	case strings.HasPrefix(e.Script.Name, "memory") && ended == "exit status 137":
		return "The command was killed, as the OOM killer does when the limit is too low even to " +
			"start. 64M is 64*1024*1024 bytes: look at the number that your program writes."
	case ended == "" && len(own) == 0 && ofOtherVersion(e) != "":
		return ofOtherVersion(e)
	case ended == "" && len(own) == 0:
		what, _, _ := strings.Cut(list, ";")
		_, file, _ := strings.Cut(what, " in ")
		return fmt.Sprintf("The command runs, and beside the host's own there is no cgroup with "+
			"a file %s: your program has made none. It makes the directory, and joins it, before "+
			"the command is started. What is deferred until the end comes too late, and exit(2) "+
			"leaves it out.", file)
	}
	return ""
}

// ofOtherVersion is for a program that goes on after it could not make a cgroup where the other
// version of cgroups has its own, and says so.
func ofOtherVersion(e harness.Event) string {
	for _, b := range e.Background {
		for line := range strings.SplitSeq(b.Stderr, "\n") {
			path := saidPathRE.FindString(line)
			if path == "" || errnoIn(line) == "" {
				continue
			}
			if text := wrongVersion(path, harness.HasCgroup2()); text != "" {
				return fmt.Sprintf("Your program says %q, and went on. %s",
					strings.TrimSpace(line), text)
			}
		}
	}
	return ""
}

// rootOfBoth is for a process that does not find its cgroup any longer, because another one, in the
// same mount namespace, has changed the root.
func rootOfBoth(c cause) string {
	i := c.failedStep()
	if i < 0 || !c.inside || c.cgroupPath() == "" {
		return ""
	}
	own, unshared, pivoted := c.event.Conduct.Steps[i].Process, "", false
	for _, s := range c.event.Conduct.Steps[:i] {
		name := nameOf(s)
		switch {
		case s.Errno != "":
		case s.Process == own && (name == "pivot_root" || name == "chroot"),
			strings.Contains(s.Text, "CLONE_NEWNS") && (s.Process != own || name != "unshare"),
			removes(name) && firstPath(s.Text) == c.path: // it may not be there any longer
			return ""
		case s.Process == own && name == "unshare" && strings.Contains(s.Text, "CLONE_NEWNS"):
			unshared = s.Text
		case name == "pivot_root":
			pivoted = true
		}
	}
	if unshared == "" || !pivoted {
		return ""
	}
	return fmt.Sprintf("The process that removes the cgroup made %s. So it is in the mount "+
		"namespace of the container, and pivot_root(2) has changed its root together with that "+
		"of its child: paths begin in the container now. Only the child is to be in that "+
		"namespace: let it call unshare(2) with CLONE_NEWNS itself, or start it by clone(2) with "+
		"that flag.", unshared)
}

// saidPathRE matches the path of a cgroup, or of a file in it.
var saidPathRE = lazyregexp.New(`/sys/fs/cgroup/[\w./-]+`)

// ofNetworkRE matches what is said of an interface or a route: their names are no directories.
var ofNetworkRE = lazyregexp.New(`(?i)\b(rtnetlink|netlink|veth|link|bridge|interface|route)`)

// ownCgroups are the cgroups in a list that are of the program, and not of the host.
func ownCgroups(list string) (own []string) {
	for _, m := range listedRE.FindAllStringSubmatch(list, -1) {
		above := filepath.Dir(m[1])
		if m[1] != cgroupFS+"/harness" && (above != cgroupFS || harness.HasCgroup2()) {
			own = append(own, m[1])
		}
	}
	return own
}

// cgroupInTheWay is for a cgroup that is there already when a container is made, because an earlier
// container of the script has left it behind: it still has the limit that was asked for then.
func cgroupInTheWay(c cause) string {
	e, dir := c.event, c.cgroupPath()
	list, ok := strings.CutPrefix(e.Message, "no cgroup has ")
	running := func(b harness.Background) bool { return b.State == "" }
	if !ok || c.errno != "EEXIST" || slices.ContainsFunc(e.Background, running) {
		return "" // another container may use it now
	}
	dirs := []string{dir}
	if dir == "" { // the program does not say it
		dirs = ownCgroups(list)
	}
	i := slices.IndexFunc(dirs, func(dir string) bool { return leftBy(e, list, dir) != "" })
	if i < 0 {
		return ""
	}
	dir, left := dirs[i], leftBy(e, list, dirs[i])
	return fmt.Sprintf("mkdir(2) fails where %s is there already: `%s` has left it behind. "+
		"rmdir(2) removes a cgroup when no process is in it any longer. Is there a way out of "+
		"your program without that? exit(2) ends it at once, and what it had deferred to its end "+
		"is left out.", dir, left)
}

// leftBy is the earlier command line of a script whose limit a cgroup has now that is listed with
// its value, or nothing.
func leftBy(e harness.Event, list, dir string) (left string) {
	file, run := valueRE.FindStringSubmatch(list), ""
	for n := 1; n < e.Line && file != nil; n++ {
		line := e.Script.Line(n)
		if text := commandLine(line); strings.HasPrefix(text, "container run ") {
			run = text
		}
		asked := parseCommand(line)
		if asked.name == "cgroup" && len(asked.args) == 2 && asked.args[0] == file[2] &&
			run != commandLine(e.Ran) && slices.Contains(strings.Split(list, "\n"),
			dir+": "+asked.args[1]) {
			left = run
		}
	}
	return left
}

// limitOfHost is the file of the limit of a whole hierarchy of the host, if that has now what an
// earlier container of the script was to have.
func limitOfHost(e harness.Event, list string) string {
	file := valueRE.FindStringSubmatch(list)
	for n := 1; n < e.Line && file != nil && !harness.HasCgroup2(); n++ {
		asked := parseCommand(e.Script.Line(n))
		if asked.name != "cgroup" || len(asked.args) != 2 || asked.args[0] != file[2] {
			continue
		}
		for _, m := range listedRE.FindAllStringSubmatch(list, -1) {
			if filepath.Dir(m[1]) == cgroupFS && m[2] == asked.args[1] {
				return filepath.Join(m[1], asked.args[0])
			}
		}
	}
	return ""
}

// listedRE matches the cgroups that the harness has listed, with the value in the file.
var listedRE = lazyregexp.New(`(?m)^(/sys/fs/cgroup/\S+): (.*)$`)

// badLimit is for a value that a file of a cgroup does not take.
func badLimit(c cause) string {
	switch path := c.cgroupPath(); {
	case path == "" && !strings.Contains(c.text, "cgroup"):
		return ""
	case strings.HasSuffix(path, "/memory.memsw.limit_in_bytes") &&
		(!c.seen || bytesRE.MatchString(c.text)):
		const rule = "This is the limit of memory and swap together, which cannot be below that " +
			"of memory alone: "
		for _, made := range c.earlier() {
			if strings.Contains(made, filepath.Dir(path)+"/memory.limit_in_bytes>, ") {
				return rule + "your program has set that by " + made + "."
			}
		}
		return rule + "memory.limit_in_bytes is without a limit until it is written, and comes " +
			"first."
	case quotaRE.MatchString(c.text):
		return "The time is in microseconds for each period, which is 100000 microseconds by " +
			"default, and the kernel takes no less than 1000: half a processor is 50000."
	case strings.HasSuffix(path, "/cgroup.procs"), strings.HasSuffix(path, "/tasks"):
		return "This file takes the number of one process in a write(2), in digits, or 0 for the " +
			"process that writes (cgroups(7))."
	}
	return "The kernel does not take this value for the file of a cgroup: look at the form that " +
		"cgroups(7) gives for it."
}

var (
	// quotaRE matches a call that asks for less time of a processor than a millisecond in a period.
	quotaRE = lazyregexp.New(`/cpu\.(?:max|cfs_quota_us)>, "\d{1,3}\b`)
	// bytesRE matches a call that writes a number of bytes, in digits.
	bytesRE = lazyregexp.New(`>, "\d+[KMGkmg]?(?:\\n)?"`)
)

// limitTaken is for a value that is none, of which a program makes a limit all the same.
func limitTaken(e harness.Event) string {
	m := exitStatus.FindStringSubmatch(e.Message)
	if e.Script.Name != "limits-bad" || e.Conduct == nil || m == nil {
		return ""
	}
	for _, step := range e.Conduct.Steps {
		w := wroteLimitRE.FindStringSubmatch(step.Text)
		switch {
		case !ofFlag(w, e):
		case step.Errno != "":
			all := ""
			if executed(e) == "yes" {
				all = ", and the command ran all the same"
			}
			return fmt.Sprintf("What the flag asks for cannot be a limit. Your program wrote "+
				"\"%s\" to %s and left it to the kernel, which refused it with %s%s. Look at the "+
				"value before anything is made, and end with status 2.", w[3], w[1], step.Errno,
				all)
		default:
			return fmt.Sprintf("What the flag asks for cannot be a limit, and your program made "+
				"one of it: it wrote \"%s\" to %s. Look at the value before anything is made, and "+
				"end with status 2.", w[3], w[1])
		}
	}
	ofCgroup := func(step harness.Step) bool { return strings.Contains(step.Text, cgroupFS+"/") }
	if m[1] == "0" && executed(e) == "yes" && !slices.ContainsFunc(e.Conduct.Steps, ofCgroup) {
		return "What the flag asks for cannot be a limit. Your program made none, and ran the " +
			"command as if the flag were not there. A flag that is given, even with an empty " +
			"value or 0, is something else than none: look at the value, and end with status 2."
	}
	return ""
}

// rightNotToRun is for a program that refuses a value that cannot be a limit, with a word and with
// another status than that of wrong usage.
func rightNotToRun(e harness.Event) string {
	m := exitStatus.FindStringSubmatch(e.Message)
	if e.Script.Name != "limits-bad" || m == nil || m[1] == "0" || m[2] != "2" ||
		executed(e) != "no" || panicked(e.Stderr) != "" || slices.Contains(faults, m[1]) {
		return ""
	}
	text := fmt.Sprintf("%s was not executed, and that is right here: what the flag asks for "+
		"cannot be a limit. The status for that is 2, as for every wrong usage, and here it is %s.",
		ranCommand(e), m[1])
	if interpreter, _ := interpreterOf(e.Program); ofPerlRE.MatchString(interpreter) &&
		m[1] == "255" {
		text += " die of Perl ends with 255, if nothing else gives it a number."
	}
	return text
}

// ofPerlRE matches the path of Perl.
var ofPerlRE = lazyregexp.New(`/perl[\d.]*$`)

// limitRefused is for a program that does not end as it should when the kernel refuses a limit.
func limitRefused(e harness.Event) string {
	m := exitStatus.FindStringSubmatch(e.Message)
	line := parseCommand(e.Script.Line(e.Line))
	wentOn := line.name == "stdout" && line.negated && executed(e) == "yes"
	if e.Script.Name != "limits-refused" || e.Conduct == nil ||
		!wentOn && (m == nil || m[2] != "125") {
		return ""
	}
	var refused *harness.Step
	failed := false // something else, after that
	for _, step := range e.Conduct.Steps {
		w := wroteLimitRE.FindStringSubmatch(step.Text)
		switch {
		case ofFlag(w, e) && step.Errno == "":
			refused = nil // it has found a value that the kernel takes
		case ofFlag(w, e):
			refused, failed = &step, false
		case step.Errno != "" && !removes(nameOf(step)):
			failed = true
		}
	}
	switch {
	case refused == nil:
	case wentOn:
		return fmt.Sprintf("The kernel refused this limit, which is on purpose here, and your "+
			"program is right to end with 125. But a child that it had started before went on, "+
			"and executed %s. Make the cgroup before the child, or have the child wait for a word "+
			"of its parent, as in a pipe(7), and end where that ends without one.", ranCommand(e))
	case m[1] == "0":
		return fmt.Sprintf("The kernel refused this limit, which is on purpose here: %s failed "+
			"with %s. Your program went on as if it had succeeded. Look at what write(2) returns, "+
			"and end with status 125 before the command starts. What is buffered first, as by "+
			"fprintf(3), fails only at fflush(3) or fclose(3).", refused.Text, refused.Errno)
	case !failed:
		return fmt.Sprintf("The kernel refused this limit, which is on purpose here, and your "+
			"program is right to end. The status for that is 125, and here it is %s.", m[1])
	}
	return ""
}

// ofFlag tells whether what was written to a cgroup is the limit of a flag that the program got.
func ofFlag(wrote []string, e harness.Event) bool {
	return wrote != nil && strings.Contains(e.Ran, " -"+wrote[2])
}

// wroteLimitRE matches a call that writes a limit to a file of a cgroup, with the file and the
// value.
var wroteLimitRE = lazyregexp.New(`^p?write(?:v|64)?\(<[^>]*/` +
	`((memory|pids|cpu)\.(?:max|high|limit_in_bytes|memsw\.limit_in_bytes|cfs_quota_us))>, ` +
	`"([^"]*)"`)

// noController is for the rules of version 2 about which cgroups may have processes.
func noController(c cause) string {
	const rule = " (cgroups(7), \"no internal processes\")."
	switch path := c.cgroupPath(); {
	case strings.HasSuffix(path, "/cgroup.procs") && c.errno == "EBUSY":
		return "A cgroup that passes controllers on, by its cgroup.subtree_control, cannot have " +
			"processes itself: write the number of the process to cgroup.procs of a directory " +
			"below, which your program makes" + rule
	case path == "" && !strings.Contains(c.text, "cgroup"),
		c.errno == "EBUSY" && !strings.Contains(path, "subtree_control"):
		return ""
	}
	return "A cgroup that has processes cannot pass controllers on, and a controller has to be " +
		"in cgroup.subtree_control of all directories above" + rule
}
