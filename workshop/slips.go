//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"container.example/workshop/internal/harness"
	"container.example/workshop/internal/lazyregexp"
)

// This file has the clues for small slips, in a program that is right but for one line.

// slips are the clues of this file, from what a program did where no call failed.
var slips = []func(harness.Event) string{
	nameTwice, streamsMixed, oneMap, nameIgnored, notTheFirst, loopbackDown, layerAside,
	gainsRights, letThrough, limitAmiss, mountsBelow, procOfOther,
}

// slipped is what one of the slips tells.
func slipped(e harness.Event) string {
	for _, tell := range slips {
		if text := tell(e); text != "" {
			return text
		}
	}
	return ""
}

// nameTwice is for a program that gives the command its own name as the first argument.
func nameTwice(e harness.Event) string {
	name := ranCommand(e)
	line, want := parseCommand(e.Script.Line(e.Line)), "the command ran"
	if line.name != "stdout" || name == "" || strings.TrimSpace(e.Stdout) != name+" "+want {
		return ""
	}
	return fmt.Sprintf("%s printed its own name as well: it got that twice. The list of arguments "+
		"of execve(2) begins with the name of the program, argv[0]. Many functions that start a "+
		"program put it there themselves, and want only the words after it.", name)
}

// streamsMixed is for a command whose two outputs come out as one.
func streamsMixed(e harness.Event) string {
	line := parseCommand(e.Script.Line(e.Line))
	if e.Script.Name != "streams" || line.name != "stdout" || !line.negated ||
		!strings.Contains(e.Stdout, "to the output") {
		return ""
	}
	return "What the command wrote to standard error came out on standard output. Its descriptor " +
		"2 has to be descriptor 2 of your program, in both processes."
}

// otherID is for a command that is not root in its user namespace, because of the map.
func otherID(e harness.Event) string {
	if e.Script.Name != "user-map" || ranCommand(e) != "id" || executed(e) != "yes" ||
		strings.TrimSpace(e.Stdout) == "0" {
		return ""
	}
	return cause{event: e}.notMapped()
}

// oneMap is for a user namespace that has only one of its two maps.
func oneMap(e harness.Event) string {
	if e.Script.Name != "user-map" || len(strings.Fields(e.Stdout)) != 3 ||
		!strings.Contains(e.Ran, "uid_map /proc/self/gid_map") {
		return ""
	}
	text := "Only one of the two maps has a line: users and groups have a map each, uid_map and " +
		"gid_map (user_namespaces(7))."
	c := cause{event: e}
	switch {
	case e.Conduct == nil:
	case !c.made("/gid_map"):
		text += " None of your processes wrote gid_map."
	case !c.made("/uid_map"):
		text += " None of your processes wrote uid_map."
	}
	return text
}

// nameIgnored is for a container that has another name than the one that was asked for.
func nameIgnored(e harness.Event) string {
	m := hostnameFlagRE.FindStringSubmatch(e.Ran)
	name := strings.TrimSpace(e.Stdout)
	if e.Script.Name != "hostname-flag" || m == nil || e.Conduct == nil || name == "" ||
		name == m[1] || !e.Conduct.Calls("sethostname") {
		return ""
	}
	if text := nameCutOff(e, m[1]); text != "" || ranCommand(e) != "hostname" {
		return text
	}
	if (cause{event: e}).made(fmt.Sprintf("sethostname(%q", m[1])) {
		return fmt.Sprintf("Your program set the name %q, in another uts namespace than the one "+
			"of the command, where the name is %q. sethostname(2) comes after CLONE_NEWUTS, in "+
			"the process that is in the new namespace.", m[1], name)
	}
	return fmt.Sprintf("Your program called sethostname(2), and the name is %q. The name to set "+
		"is the one after -hostname, here %q.", name, m[1])
}

// nameCutOff is for a program that set only the beginning of a name.
func nameCutOff(e harness.Event, name string) string {
	if (cause{event: e}).made(fmt.Sprintf("sethostname(%q", name)) {
		return "" // the other one may be what a container is called without the flag
	}
	for _, made := range e.Conduct.Made {
		set := firstPath(made)
		if !strings.HasPrefix(made, "sethostname(") || set == "" || set == name ||
			!strings.HasPrefix(name, set) {
			continue
		}
		text := fmt.Sprintf("The name after -hostname has %d bytes, and your program set %q, "+
			"which is the first %d of them. If that is cut off and no name of your own: the "+
			"second argument of sethostname(2) says how many bytes the name has.", len(name), set,
			len(set))
		if len(name) > 64 {
			text += " Where these are more than 64, the call fails with EINVAL, and your program " +
				"ends with that error."
		}
		if len(set) == 8 {
			text += " In C, sizeof of a pointer is 8, whatever it points to: strlen(3) counts."
		}
		return text
	}
	return ""
}

// hostnameFlagRE matches the flag with the name.
var hostnameFlagRE = lazyregexp.New(` -hostname (\w+)`)

// notTheFirst is for a command that is not process 1 though it should have become that.
func notTheFirst(e harness.Event) string {
	if e.Script.ID() != "step5-complete/pid-1" || !childOf1.MatchString(e.Stdout) {
		return ""
	}
	return "The command is a child of process 1, which is your program still. In this chapter " +
		"process 1 starts nothing: it becomes the command, by execve(2), which does not return."
}

// childOf1 matches the number of a process and that of its parent, process 1.
var childOf1 = lazyregexp.New(`^\d+ 1\n?$`)

// loopbackDown is for a container whose own interface lo does not carry anything.
func loopbackDown(e harness.Event) string {
	if e.Script.Name != "network-none" || !strings.Contains(e.Ran, "127.0.0.1") ||
		!strings.Contains(e.Stderr, "Network is unreachable") {
		return ""
	}
	return "lo is down, as in each new network namespace: the flag IFF_UP turns it on, by " +
		"ioctl(2) with SIOCSIFFLAGS (netdevice(7)), in a process of the container."
}

// layerAside is for a layer that the container does not write to.
func layerAside(e harness.Event) string {
	if e.Script.ID() != "step5-complete/rootfs-written" || e.Conduct == nil ||
		parseCommand(e.Script.Line(e.Line)).name != "exists" {
		return ""
	}
	place := ""
	for _, made := range e.Conduct.Made {
		if strings.HasPrefix(made, "mount(") && strings.Contains(made, `"overlay"`) {
			place = lastPath(made)
		}
	}
	if place == "" && (cause{event: e}).made("move_mount(") { // fsopen(2) has told its type
		return ""
	}
	if place == "" {
		return "The container wrote to rootfs itself: no overlay was mounted. The upper " +
			"directory of one takes what is written (mount(2), type overlay)."
	}
	return fmt.Sprintf("The overlay was mounted on %s, and the container wrote to rootfs itself: "+
		"another directory became its root. The directory on which the overlay is mounted is the "+
		"new root, also where that is given as \".\".", place)
}

// gainsRights is for a command that is not root, and becomes it by a set-user-ID program.
func gainsRights(e harness.Event) string {
	c := cause{event: e}
	if e.Script.ID() != "step5-complete/user" || !strings.Contains(e.Ran, " rooted ") ||
		e.Conduct == nil || c.made("PR_SET_NO_NEW_PRIVS") {
		return ""
	}
	return "A set-user-ID program made the command root. prctl(2) with PR_SET_NO_NEW_PRIVS keeps " +
		"that from happening, from then on and in all processes that follow: nobody has called it."
}

// letThrough is for a filter of system calls that allows one that is to be refused.
func letThrough(e harness.Event) string {
	c := cause{event: e}
	line := parseCommand(e.Script.Line(e.Line))
	if e.Script.Chapter != "e" || !line.negated || !strings.HasPrefix(e.Script.Name, "escape-") ||
		e.Conduct == nil {
		return ""
	}
	if !c.madeFilter() {
		return "No filter of system calls is in force: none of your processes installed one " +
			"(prctl(2) with PR_SET_SECCOMP, or seccomp(2))."
	}
	return "A filter of system calls was installed, and let this call through. Is it on the " +
		"list? What no line of the filter decides about reaches the last return, which refuses. " +
		"And a filter holds for the process that installs it, and for those that it starts later."
}

// mountsBelow is for a root file system that came without what is mounted below it.
func mountsBelow(e harness.Event) string {
	if e.Script.Name != "rootfs-mounts" || e.Conduct == nil {
		return ""
	}
	for _, made := range e.Conduct.Made {
		if strings.HasPrefix(made, "mount(") && isBind(made) &&
			!strings.Contains(made, "MS_REC") && firstPath(made) == lastPath(made) {
			status, said := endedWith(e)
			inVain := status != "" && status != "0" && errnoIn(said) == "EINVAL"
			if inVain && (cause{event: e}).made("CLONE_NEWUSER") {
				return "Something is mounted below rootfs here, and a bind mount of rootfs " +
					"without MS_REC fails with EINVAL in a user namespace then: it would show " +
					"what that mount covers (mount_namespaces(7)). MS_REC takes the mounts below " +
					"along."
			}
			return "Something is mounted below rootfs here, and did not come along: a bind mount " +
				"leaves the mounts below a directory behind, unless its flags have MS_REC, too " +
				"(mount(2))."
		}
	}
	return ""
}

// procOfOther is for a proc file system that shows another pid namespace than the command's.
func procOfOther(e harness.Event) string {
	m := otherNumberRE.FindStringSubmatch(e.Stdout)
	if e.Script.Name != "ps-alone" || m == nil {
		return ""
	}
	text := fmt.Sprintf("The command is process %s in its pid namespace, and in /proc it is %s: "+
		"that was mounted by a process of another one, further out.", m[1], m[2])
	asked := 0
	if e.Conduct != nil {
		for _, call := range e.Conduct.Made {
			if strings.Contains(call, "CLONE_NEWPID") && !strings.HasPrefix(call, "setns(") {
				asked++
			}
		}
	}
	if asked > 1 {
		text += fmt.Sprintf(" Your program asked for a pid namespace %d times: once is enough.",
			asked)
	}
	return text + " What mounts proc is in the namespace of the command."
}

// otherNumberRE matches the number of a shell, and the one that it has in /proc.
var otherNumberRE = lazyregexp.New(`^(\d+) is (\d+) there`)

// procLost is for a program that has changed what is on /proc of the host, where scripts and their
// tools look for processes, and wait in vain.
func procLost(e harness.Event) string {
	if e.Waiting != harness.ProcLost {
		return ""
	}
	return "/proc of the host is covered, or gone. What a program mounts on /proc, or unmounts " +
		"there, happens on the host as well as long as its mounts are shared with the host: a " +
		"mount namespace of its own (CLONE_NEWNS) comes first, and then mount(2) on / with " +
		"MS_PRIVATE and MS_REC."
}

// procOutside is for a proc file system that was mounted by a process outside of the pid namespace
// of the command, as far as that is known.
func (c cause) procOutside() string {
	if c.event.Conduct == nil {
		return ""
	}
	steps, outside := c.event.Conduct.Steps, ""
	for i, step := range steps {
		if step.Errno != "" || nameOf(step) != "mount" ||
			!strings.Contains(step.Text, `"proc", `) || strings.Contains(step.Text, "MS_BIND") {
			continue
		}
		if outside = step.Text; hasNamespace(steps, i, "CLONE_NEWPID", false) {
			return ""
		}
	}
	if outside == "" || c.made("move_mount(") {
		return "" // move_mount(2) may have put a new one there
	}
	if !c.made("CLONE_NEWPID") {
		return outside + " was made in the pid namespace of the host, and shows the processes " +
			"there: none of your processes asked for a pid namespace. CLONE_NEWPID of clone(2) " +
			"or unshare(2) makes one, and the child that is started with it, or after it, mounts " +
			"proc."
	}
	return fmt.Sprintf("%s was made by a process that is still in the pid namespace of the host, "+
		"and shows the processes of that namespace. CLONE_NEWPID of clone(2) is for the child, "+
		"and after unshare(2) only the processes that are started from then on are in the new "+
		"namespace: let the child mount proc.", outside)
}

// rootfsMade is for a program that makes a root file system where there is none.
func rootfsMade(e harness.Event) string {
	if e.Script.Name != "rootfs-missing" || e.Conduct == nil {
		return ""
	}
	for _, made := range e.Conduct.Made {
		path := strings.TrimPrefix(filepath.Clean(lastPath(made)), "$WORK/")
		dir, _, _ := strings.Cut(path, "/")
		if dir == "rootfs" && strings.HasPrefix(made, "mkdir") {
			return fmt.Sprintf("There is no root file system here, on purpose, and your program "+
				"made one: %s. It is empty, and no command is in it. Look first whether there is "+
				"one. If there is none, end with status 125 and a line that says so.", made)
		}
	}
	return ""
}

// procOfHost is for a container on whose /proc the one of the host is mounted once more.
func procOfHost(e harness.Event) string {
	c := cause{event: e}
	if e.Script.Name != "ps-alone" && e.Script.Name != "host-proc-root" {
		return ""
	}
	if text := c.procOutside(); text != "" {
		return text
	}
	bound := ""
	for _, made := range c.mounts() {
		switch {
		case filepath.Base(lastPath(made)) != "proc": // it is elsewhere
		case strings.Contains(made, `"proc", `) && !strings.Contains(made, "MS_BIND"):
			return "" // a new one
		case strings.Contains(made, "MS_BIND") && filepath.Clean(firstPath(made)) == "/proc":
			bound = made
		}
	}
	if bound == "" || c.made("move_mount(") {
		return ""
	}
	return fmt.Sprintf("%s puts the /proc of the host there once more, and that shows the "+
		"processes of the host. A proc file system belongs to the pid namespace of the process "+
		"that mounts it: mount(2) with the type proc, in the container, makes a new one.", bound)
}

// namespaceAmiss is for a container whose namespaces are others than those that -ns names.
func namespaceAmiss(e harness.Event) string {
	also, still := alsoNewRE.FindStringSubmatch(e.Stderr), stillHostRE.FindStringSubmatch(e.Stderr)
	if m := nothingInRE.FindStringSubmatch(e.Stderr); m != nil {
		return fmt.Sprintf("With -ns %s the command found nothing in /proc/self/ns. On /proc of "+
			"the container there is no proc file system, or one of another pid namespace, in "+
			"which the command is not: mount(2) with the type proc makes one, on /proc of the "+
			"new root, in the pid namespace of the command.", m[1])
	}
	switch {
	case also == nil && still == nil:
		return ""
	case also != nil && still != nil:
		return fmt.Sprintf("With -ns %s there is a new %s namespace, too, and with -ns %s the "+
			"command is in the %[3]s namespace of the host. Does your program go by the list? "+
			"Each name in it stands for a flag of clone(2) or unshare(2), and no other flags go "+
			"there.", also[1], also[2], still[1])
	case still != nil:
		text := fmt.Sprintf("-ns %s asks for a new %[1]s namespace, and the command is in that of "+
			"the host.", still[1])
		switch still[1] {
		case "time":
			text += " clone(2) cannot make one: the bit of CLONE_NEWTIME belongs to the signal " +
				"of the child's end there. unshare(2) makes it, and leaves the process that " +
				"calls it where it is: only those that it starts later are in the new one."
		case "cgroup":
			text += " CLONE_NEWCGROUP of clone(2), or of unshare(2) in the thread that starts " +
				"the command, makes one."
		case "pid":
			text += " unshare(2) with CLONE_NEWPID leaves the process that calls it where it is: " +
				"only those that it starts later are in the new one."
		}
		return text + " Each name in the list stands for a flag of its own."
	}
	return fmt.Sprintf("-ns %s asks for one namespace, and your program makes a new %s namespace, "+
		"too: only the flags of those that are in the list go to clone(2) and unshare(2). The "+
		"default list counts only where there is no -ns.", also[1], also[2])
}

var (
	stillHostRE = lazyregexp.New(`(?m)^-ns (\w+): the \w+ namespace is still the host's$`)
	alsoNewRE   = lazyregexp.New(`(?m)^-ns (\w+): the (\w+) namespace is new too$`)

	// nothingInRE matches what ls(1) says if /proc/self/ns is not there. Otherwise the command may
	// not have run at all.
	nothingInRE = lazyregexp.New(`(?m)^ls: .*/proc/self/ns.*\n(?:.*\n)*?` +
		`-ns (\w+): nothing in /proc/self/ns of the container`)
)

// otherThread is for a program whose command is not in the new namespace in each of its starts.
// Where it was not in the first one nobody knows whether it ever would be.
func otherThread(e harness.Event) string {
	m := startRE.FindStringSubmatch(e.Stderr)
	if e.Script.Name != "ns-thread" || m == nil || m[2] != m[3] {
		return ""
	}
	text := fmt.Sprintf("In start %s the command was in the cgroup namespace of the host. ", m[1])
	if m[1] == "1" {
		text += "CLONE_NEWCGROUP of clone(2) or unshare(2) makes a new one. If your program " +
			"calls unshare(2): it acts on the thread that calls it, and not on the process, and " +
			"another thread may have started the command."
	} else {
		text += "unshare(2) acts on the thread that calls it, and not on the process: another " +
			"thread of your program started the command."
	}
	if text += " The same thread has to do both"; isGo(e.Program) {
		return text + ", and in Go runtime.LockOSThread() before unshare(2) sees to that."
	}
	return text + "."
}

// startRE matches in which start a namespace was another than it should be, what it was, and that
// of the host.
var startRE = lazyregexp.New(`(?m)^start (\d+): the cgroup namespace is '([^']*)', and that of ` +
	`the host is '([^']*)'$`)

// rootfsIgnored is for a program that looks for another root file system than the one of the flag.
func rootfsIgnored(c cause) string {
	args := parseCommand(c.event.Ran).args
	flag := slices.Index(args, "-rootfs")
	if flag < 0 || flag+1 == len(args) {
		return ""
	}
	wanted, path := args[flag+1], filepath.Clean(c.path)
	if !strings.Contains(c.text, "MS_BIND") { // a new file system, from no path
		path = filepath.Clean(lastPath(c.text))
	}
	usual := slices.Contains(strings.Split(path, "/"), "rootfs")
	if !usual || c.changedRoot() || strings.Contains(path, filepath.Clean(wanted)) {
		return ""
	}
	return fmt.Sprintf("-rootfs names the root file system here, %q, and your program looks for "+
		"%q: what the flag says has to reach the process that changes the root.", wanted, path)
}

// kernelFiles are the files of cgroups that limits are written to.
var kernelFiles = []string{
	"cgroup.procs", "cgroup.subtree_control", "memory.limit_in_bytes",
	"memory.memsw.limit_in_bytes", "memory.max", "memory.swap.max", "pids.max", "cpu.max",
	"cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.shares", "cpu.weight", "tasks",
}

// mistypedFile is for a file of a cgroup that no kernel has, and that is nearly one.
func mistypedFile(file string) string {
	if slices.Contains(kernelFiles, file) {
		return ""
	}
	for _, right := range kernelFiles {
		if oneApart(file, right) {
			return fmt.Sprintf("No cgroup has a file %s: is %s meant?", file, right)
		}
	}
	return ""
}

// oneApart tells whether a name becomes another one by one letter that is added, left out, or
// another.
func oneApart(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	start, end := 0, 0
	for start < len(a) && a[start] == b[start] {
		start++
	}
	for end < len(a)-start && a[len(a)-1-end] == b[len(b)-1-end] {
		end++
	}
	return len(b)-start-end <= 1 && a != b
}

// limitAmiss is for a cgroup of the container whose file does not hold what was asked for.
func limitAmiss(e harness.Event) string {
	list, ok := strings.CutPrefix(e.Message, "no cgroup has ")
	m := valueRE.FindStringSubmatch(list)
	if !ok || m == nil {
		return ""
	}
	for _, cgroup := range listedRE.FindAllStringSubmatch(list, -1) {
		path, value := cgroup[1], cgroup[2]
		ofHost := filepath.Dir(path) == cgroupFS && !harness.HasCgroup2()
		switch {
		case ofHost, path == cgroupFS+"/harness":
		case m[2] == "memory.memsw.limit_in_bytes", m[2] == "memory.swap.max":
			return fmt.Sprintf("The container has a cgroup, %s, and its %s says %s, where %s was "+
				"asked for: what does not fit into memory goes to swap then. Version 1 counts "+
				"memory and swap together, version 2 swap alone.", path, m[2], value, m[1])
		default:
			text := fmt.Sprintf("The container has a cgroup, %s, and its %s says %s, where %s was "+
				"asked for.", path, m[2], value, m[1])
			if thousand := decimal(m[1]); thousand != "" && thousand == value {
				text += " K, M and G stand for 1024, 1024*1024 and 1024*1024*1024 here."
			}
			return text
		}
	}
	return ""
}

// decimal is a number of bytes that is some K, M or G, with the same units by thousands, as the
// kernel takes it: in whole pages.
func decimal(bytes string) string {
	n, err := strconv.ParseUint(bytes, 10, 64)
	if err != nil {
		return ""
	}
	for unit, thousand := uint64(1<<30), uint64(1e9); unit > 1; unit, thousand = unit>>10,
		thousand/1000 {
		if n%unit == 0 && n > 0 {
			size := uint64(os.Getpagesize())
			return strconv.FormatUint(n/unit*thousand/size*size, 10)
		}
	}
	return ""
}

// valueRE matches a value, and the file that should have it.
var valueRE = lazyregexp.New(`^(\S+) in ([\w.]+)`)
