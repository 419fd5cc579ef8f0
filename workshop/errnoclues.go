//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"container.example/workshop/internal/harness"
	"container.example/workshop/internal/lazyregexp"
)

// This file has the clues for errors that any call may have, and about files.

// noDevNull is for a language that starts the command with /dev/null for its input or output, where
// the root file system has none.
func noDevNull(c cause) string {
	if c.path != "/dev/null" {
		return ""
	}
	return "There is no /dev/null in the root file system yet. What starts the command opens it, " +
		"to give the command an empty input, or to throw away what it writes. The command is to " +
		"have the descriptors 0, 1 and 2 of your program: then nobody needs /dev/null."
}

// toolOfHost is for a tool of the host that is executed when the root is another one already.
func toolOfHost(c cause) string {
	base := filepath.Base(c.path)
	if !c.inside || !binRE.MatchString(c.path) || shellRE.MatchString(c.path) ||
		base == filepath.Base(ranCommand(c.event)) {
		return ""
	}
	if _, err := os.Stat(c.path); err != nil {
		return ""
	}
	return fmt.Sprintf("%s is where the host has %s. The root is another one now, and there it "+
		"would be a file of the root file system, which has its tools in /bin. A shell remembers "+
		"where it has found a tool before (hash -r forgets that), and so does a variable. Or do "+
		"it before the root is changed.", c.path, base)
}

// binRE matches the path of a program.
var binRE = lazyregexp.New(`^/(usr/)?(local/)?s?bin/[^/]+$`)

// noFile is for a file that the program looks for.
func noFile(c cause) string {
	if !c.seen || c.path == "" || strings.HasPrefix(c.event.Script.Name, "command-not-") {
		return ""
	}
	switch name := ranCommand(c.event); {
	case strings.HasPrefix(name, "no-such"):
		return ""
	case strings.HasPrefix(c.path, "$WORK") && c.made(`, "/tmp", `):
		return "Your program has mounted something on /tmp. The directory in which the scripts " +
			"run it is below that, and is covered now."
	case takesForDirectory(c.path, name):
		return commandNoDirectory(name)
	case !strings.Contains(name, "/") && filepath.Base(c.path) == name && !c.searched():
		return fmt.Sprintf("Your program takes the word %q for the path of a file. It is a "+
			"name, which has to be looked for in the directories of $PATH: execvp(3) does that. "+
			"And nobody has to open or copy it: there is one in the root file system.", name)
	case c.path == "run" || c.path == "child":
		return noProgram(c)
	case rootRE.MatchString(c.path) || c.changedRoot() && !strings.HasPrefix(c.call, "exec"):
		return noRootfs(c)
	case strings.HasPrefix(c.call, "exec"):
		return ""
	}
	if c.seen && !c.inside && deviceRE.MatchString(c.path) && !usualRE.MatchString(c.path) {
		return fmt.Sprintf("There is no %s here. If it is the device of a kernel module, that is "+
			"not loaded, or the throw-away host does not show it: no step needs it, so have your "+
			"program go on without.", c.path)
	}
	text := fmt.Sprintf("There is no %s here. The scripts run your program in a directory that "+
		"has a root file system called rootfs in it, and nothing else", c.path)
	if imageRE.MatchString(c.path) || imageNamed(c.event) != "" {
		text += ": no image has to be found or unpacked, and no other program brought along."
	} else {
		text += ". So your program cannot count on files that lie ready. What it makes itself " +
			"goes into the directory where it is run, or into the one that $TMPDIR names: all " +
			"that belongs to the machine is read-only here."
	}
	if executed(c.event) == "no" && anyStatus.FindString(c.event.Message) == "" {
		text += fmt.Sprintf(" And none of its processes executed %s.", ranCommand(c.event))
	}
	return text
}

var (
	// deviceRE matches the path of a device, and usualRE what is in every /dev.
	deviceRE = lazyregexp.New(`^/dev/[\w-]+$`)
	usualRE  = lazyregexp.New(`^/dev/(null|zero|full|u?random|tty|console|ptmx|pts|shm|mqueue|` +
		`log|fd|stdin|stdout|stderr)$`)
)

// takesForDirectory tells whether a path leads through a directory that has the name of the
// command: one where the program is run, or in a place for images.
func takesForDirectory(path, name string) bool {
	if name == "" || strings.Contains(name, "/") {
		return false
	}
	if strings.HasPrefix(path, name+"/") {
		return true
	}
	above, _, found := strings.Cut(path, "/"+name+"/")
	return found && imagesRE.MatchString(above)
}

// imagesRE matches a directory of images, or of root file systems.
var imagesRE = lazyregexp.New(`(?i)(^|/)[\w-]*(images?|rootfs(es)?|layers?)$`)

// commandNoDirectory is for a program that takes the command for a directory.
func commandNoDirectory(name string) string {
	return fmt.Sprintf("Your program takes %q for the name of an image or a directory. It is the "+
		"command: that is the word after run, and nothing comes between. The root file system is "+
		"the directory rootfs, where your program is run: no image has to be found or unpacked.",
		name)
}

// takenForDirectory is the same where the program looked for the file, and says in its own words
// that it is not there.
func takenForDirectory(e harness.Event) string {
	status, _ := endedWith(e)
	if executed(e) != "no" || status == "" || status == "0" {
		return ""
	}
	name := ranCommand(e)
	for _, r := range e.Conduct.Refused {
		if r.Errno == "ENOENT" && takesForDirectory(firstPath(r.Text), name) {
			return commandNoDirectory(name)
		}
	}
	return ""
}

// imageRE matches what people call images and the tools for them.
var imageRE = lazyregexp.New(`(?i)image|docker|\b(layers?|oci)\b|` +
	`\.(tar|tgz|t?gz|t?xz|zip|img|iso)\b|alpine|ubuntu|debian|busybox|^/dev/|/s?bin/`)

// readOnlyHost is for a program that writes to the machine.
func readOnlyHost(c cause) string {
	if path := c.cgroupPath(); path != "" {
		if text := wrongVersion(path, harness.HasCgroup2()); text != "" {
			return text
		}
	}
	if c.event.Script.Name == "rootfs-read-only" {
		return "The root file system is read-only here, on purpose, and nothing can be made in " +
			"it. Either the program does without (pivot_root(\".\", \".\") needs no directory " +
			"for the old root), or a line says what is wrong, with status 125."
	}
	if c.seen && c.inside && filepath.IsAbs(c.path) {
		return c.madeReadOnly()
	}
	const readOnly = "All that belongs to the machine is read-only here, so that a mistake does " +
		"no harm"
	path := c.fullPath()
	if strings.HasPrefix(path, "/tmp/") || strings.HasPrefix(path, "/var/tmp/") {
		return readOnly + ", /tmp too. Temporary files belong into the directory that $TMPDIR " +
			"names (mktemp(1) knows it). A root file system is in the directory where your " +
			"program is run: it is called rootfs."
	}
	makes := c.call == "mkdir" || c.call == "mkdirat"
	if ownPlaceRE.MatchString(path) || makes && strings.HasPrefix(path, "/etc/") {
		return readOnly + ". What your program keeps for itself, as images, state and logs, " +
			"goes into the directory where it is run, or into the one that $TMPDIR names. If " +
			"this path is meant to be in the container, it is below the directory rootfs, or " +
			"your root is not changed yet."
	}
	return readOnly + ". Is this path meant to be in the " +
		"container? Then it is below the directory rootfs, or your root is not changed yet."
}

// fullPath is the path that the call is about, from the root on, where the directory is known in
// which a relative one begins: mkdir -p goes down from one to the next.
func (c cause) fullPath() string {
	dir := c.workingDir()
	if c.path == "" || strings.HasPrefix(c.path, "/") || !strings.HasPrefix(dir, "/") {
		return c.path
	}
	return filepath.Join(dir, c.path)
}

// madeReadOnly is for a path in the container that is on a read-only mount.
func (c cause) madeReadOnly() string {
	text := "The root is another one already, so this path is in the container, and on a " +
		"read-only mount there."
	for _, made := range slices.Backward(c.earlier()) {
		point := strings.TrimSuffix(lastPath(made), "/")
		if strings.HasPrefix(made, "mount(") && strings.Contains(made, "MS_RDONLY") &&
			strings.HasPrefix(point, "/") && isBelow(c.path, point) {
			return text + fmt.Sprintf(" Your program has made it so, by %s. What is to be in "+
				"there comes first, and MS_RDONLY after that.", made)
		}
	}
	return text
}

// ownPlaceRE matches where programs keep what is their own.
var ownPlaceRE = lazyregexp.New(`^/(var|run|home|root|opt|srv|usr/local)/`)

func noParent(c cause) string {
	above := filepath.Dir(filepath.Clean(c.path))
	first, _, _ := strings.Cut(filepath.Clean(c.path), "/")
	switch {
	case c.onPurpose():
		return noRootfs(c)
	case strings.HasPrefix(c.path, cgroupFS):
		return noCgroup(c)
	case strings.HasPrefix(c.path, "/") && rootRE.MatchString(above) && !c.changedRoot():
		return rootElsewhere(above)
	case c.seen && !c.changedRoot() && first != "rootfs" && otherRootRE.MatchString(c.path):
		return fmt.Sprintf("The directory above %s is not there. If %s is to be the root file "+
			"system: the scripts run your program in a directory that has a root file system "+
			"called rootfs in it, and nothing else.", c.path, first)
	case c.seen && strings.HasPrefix(c.path, "/") && !c.inside && !onHost(above):
		return fmt.Sprintf("There is no directory %s on this machine, and mkdir(2) makes only the "+
			"last part of a path. What your program keeps for itself goes into the directory "+
			"where it is run, or into the one that $TMPDIR names. If this path is meant to be in "+
			"the container, it is below the directory rootfs, or your root is not changed yet.",
			above)
	}
	return fmt.Sprintf("The directory above %s is not there. From where does this path begin, "+
		"and is the root changed already?",
		orName(c.path, "it"))
}

// otherRootRE matches a relative path to what root file systems have.
var otherRootRE = lazyregexp.New(`^(?:\./)?[^/.][^/]*/(?:sys|proc|dev|etc|bin|usr)/`)

// noPlace is for something that was to be made in a directory that is not there.
func noPlace(c cause) string {
	above := filepath.Dir(filepath.Clean(c.path))
	ofDirectory := strings.HasPrefix(c.text, "mknodat(") && !filepath.IsAbs(c.path) &&
		!strings.Contains(c.text, "AT_FDCWD")
	if !c.seen || strings.HasPrefix(above, "rootfs") || above == "." || above == "/" ||
		c.onPurpose() {
		return "" // the root file system may be missing, on purpose
	}
	text := fmt.Sprintf("There is no directory %s, in which %s was to be made: mkdir(2) makes it.",
		above, c.path)
	if !filepath.IsAbs(c.path) && !c.changedRoot() && !ofDirectory {
		text += " A relative path begins at the working directory, and the one where the scripts " +
			"run your program has a root file system called rootfs in it, and nothing else."
	}
	return text
}

// madeBefore is for a directory that is there already.
func madeBefore(c cause) string {
	if text := cgroupInTheWay(c); text != "" {
		return text
	}
	if c.event.Script.Name == "two-pid-namespaces" {
		return fmt.Sprintf("mkdir(2) fails because %s is there already: another container may "+
			"have made it. If its name comes from a process id, that is not unique on the "+
			"machine, because each pid namespace counts from 1. A random name is.",
			orName(c.path, "it"))
	}
	text := fmt.Sprintf("mkdir(2) fails because %s is there already. Either that is no error for "+
		"your program, or each container makes one with a name of its own and removes it at the "+
		"end: the scripts run your program again and again.", orName(c.path, "it"))
	if c.cgroupPath() != "" {
		text += " A cgroup is removed by rmdir(2) when no process is in it any longer."
	}
	return text
}

// ofRoot are calls that only root of a user namespace, or of the machine, can make.
var ofRoot = []string{"chroot(", "mount(", "pivot_root(", "sethostname("}

// noAddress is for a call that got an address of nothing.
func noAddress(c cause) string {
	if !c.seen {
		return ""
	}
	if strings.HasPrefix(c.call, "execve") {
		return "An argument of this call is an address that is none. Its second one is a list " +
			"that ends with a null pointer: without that it goes on with whatever lies behind it " +
			"in memory. The same holds for the third one, the environment."
	}
	return "An argument of this call is the address of nothing, such as a null pointer: were " +
		"there fewer words on the command line than your program takes for granted? The scripts " +
		"call it as `container run CMD [ARG...]`."
}

// nobodyListens is for a program that wants to talk to a daemon.
func nobodyListens(c cause) string {
	if !c.seen {
		return ""
	}
	return "Your program wants to talk to another process over a socket, and none listens there " +
		"(connect(2)). The scripts start your program alone, and no daemon: it has to make the " +
		"container itself, by system calls."
}

// noEnd is for a call that got a text which goes on with what lies behind it in memory.
func noEnd(c cause) string {
	ofPaths := []string{"mount", "umount2", "chdir", "chroot", "pivot_root", "mkdir"}
	if !c.seen || c.errno != "ENOENT" && c.errno != "ENODEV" ||
		!slices.Contains(ofPaths, c.call) {
		return ""
	}
	var texts []string
	for _, m := range printedRE.FindAllString(c.text, -1) {
		text, err := strconv.Unquote(m)
		if err == nil && len(text) > 24 && strings.ContainsAny(text, " \n") {
			texts = append(texts, text)
		}
	}
	for i, text := range texts {
		tail := text[len(text)-16:]
		for _, other := range texts[:i] {
			if other != text && strings.ContainsAny(tail, " \n") &&
				strings.HasSuffix(other, tail) && !endInPath(text, other) {
				return "Two texts of this call run on past what was meant, to the same end. " +
					zeroByte
			}
		}
		if strings.Contains(text, "\n") && len(text) > 64 {
			return "A text of this call runs on past what was meant. " + zeroByte
		}
	}
	return ""
}

// endInPath tells whether two texts end in the same names of files, as the paths of a directory and
// of the place for it do.
func endInPath(one, other string) bool {
	n := 0
	for n < len(one) && n < len(other) && one[len(one)-1-n] == other[len(other)-1-n] {
		n++
	}
	begin := func(text string) bool {
		i := len(text) - n
		return i == 0 || text[i] == '/' || text[i-1] == '/'
	}
	return n > 0 && begin(one) && begin(other)
}

// notAText is for a call that got something else where a path is meant: what is shown as ... is
// empty, or no text of letters, digits and the like up to a zero byte.
func notAText(c cause) string {
	if !c.seen || c.errno != "ENOENT" && c.errno != "ENAMETOOLONG" {
		return ""
	}
	args := strings.TrimSuffix(strings.TrimPrefix(c.text, c.call+"("), ")")
	paths := 1
	if c.call == "mount" {
		paths = 2
	} else if !slices.Contains([]string{
		"pivot_root", "chroot", "chdir", "umount2", "mkdir",
		"rmdir",
	}, c.call) {
		return ""
	}
	args = printedRE.ReplaceAllString(args, "text")
	if words := strings.Split(args, ", "); len(words) < paths || words[paths-1] != "..." {
		return ""
	}
	return "What this call got as a path is empty, or has bytes that cannot be shown: print it, " +
		"with its length. " + zeroByte
}

// zeroByte is what ends a text for the kernel.
const zeroByte = "The kernel takes the address of a text, and reads on to the first zero byte. " +
	"The string literals of C end with one, and those of some other languages do not, as in " +
	"Rust: there a CString has one, and c\"rootfs\" with a c before it (edition 2021)."

// printedRE matches a text in the print of a call.
var printedRE = lazyregexp.New(`"(?:[^"\\]|\\.)*"`)

// tooLong is for a call that got a path that is too long, or has too long a name in it.
func tooLong(c cause) string {
	if !c.seen {
		return ""
	}
	return "A path in this call is too long: a name in it may have 255 bytes, and all of it 4095 " +
		"(path_resolution(7)). Is something in it that you did not write? For the kernel a text " +
		"ends with a zero byte, and without one it goes on with whatever lies behind it in " +
		"memory. The strings of C have one, and those of many languages get one when they are " +
		"made into such a string (CString in Rust)."
}

// notOpen is for a call on a descriptor that is not open, or not for this.
func notOpen(c cause) string {
	m := descriptorRE.FindStringSubmatch(c.text)
	if !c.seen || m == nil {
		return ""
	}
	if m[1] == "-1" {
		return "-1 is no descriptor: it is what open(2) returns when it fails. Look at that " +
			"call, and print its error."
	}
	return fmt.Sprintf("Descriptor %s is not open, or not for this call. Is it the one that "+
		"open(2) has returned, and has there been such a call?", m[1])
}

// descriptorRE matches a call whose first argument is a descriptor.
var descriptorRE = lazyregexp.New(`^(?:write|read|close|pwrite64|dup2|dup3|setns|fchdir|writev)` +
	`\((-?\d+)`)

// nameRefused is for EPERM of sethostname(2).
func nameRefused(c cause) string {
	notOwner, nobody := c.notOwner("CLONE_NEWUTS", "uts", "This name belongs"), c.nobody()
	switch {
	case notOwner != "":
		return notOwner
	case nobody != "":
		return nobody
	case c.made("PR_CAPBSET_DROP"):
		return "sethostname(2) needs CAP_SYS_ADMIN, and your program drops capabilities before " +
			"it executes the command (prctl(2), capabilities(7))."
	}
	return "The name belongs to the uts namespace: a process may change it if it is root in the " +
		"user namespace that owns it. Make both in the same call, or neither."
}

// notRoot is for EPERM of a process that may lack the rights of root.
func notRoot(c cause) string {
	switch {
	case c.inside && c.made("chroot(") && strings.Contains(c.text, "CLONE_NEWUSER"):
		return "After chroot(2) the kernel makes no user namespace (clone(2), EPERM): make it " +
			"before that."
	case (c.made("CLONE_NEWUSER") || !rootOfMachine()) &&
		(c.call == "mknod" || c.call == "mknodat"):
		return "Root of the machine may make devices, and root of a user namespace may not " +
			"(mknod(2)): bind those of the host, mount(2) with MS_BIND."
	case slices.Contains(ofOthers, c.call):
		return ""
	case c.made("CLONE_NEWUSER") && slices.ContainsFunc(ofRoot, c.made):
		return "" // it was somebody who may, and asked for what root of it may not
	case c.made("CLONE_NEWUSER"):
		return c.nobody()
	case rootOfMachine():
		return ""
	}
	return c.ofMachine()
}

// ofOthers are the calls that are refused because of the process that they are about.
var ofOthers = []string{
	"kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_send_signal",
	"pidfd_getfd", "ptrace", "process_vm_readv", "process_vm_writev", "setpriority",
	"sched_setscheduler", "sched_setaffinity", "prlimit64",
}

// rootOfMachine tells whether this is root, and not only of a user namespace.
var rootOfMachine = sync.OnceValue(func() bool {
	ids, _ := os.ReadFile("/proc/self/uid_map")
	return isRoot() && strings.Join(strings.Fields(string(ids)), " ") == "0 0 4294967295"
})

// ofMachine is for what only root of the machine may do. The throw-away host of everybody else is
// in a user namespace, with all kinds of namespaces that this owns: so a program has all
// capabilities there, and another user namespace would not help.
func (c cause) ofMachine() string {
	lacks := c.made("capset(") || c.made("PR_CAPBSET_DROP")
	if lacks || !slices.Contains([]string{"mount", "fsopen", "fsconfig", "fsmount"}, c.call) {
		return ""
	}
	if isRoot() {
		return "Your program is root here, and not root of the machine: this is a container " +
			"itself, whose root is root of a user namespace (user_namespaces(7)). Check on the " +
			"machine itself or on a virtual one, or do without this."
	}
	return "Your program is root here, and not root of the machine: for a user who is not, the " +
		"throw-away host is made in a user namespace (user_namespaces(7)). Check as root, or do " +
		"without this."
}

// isRoot tells whether this is root, if only of a user namespace, as root of some containers is.
var isRoot = func() bool { return os.Geteuid() == 0 }

// unshareRefused is for EINVAL of unshare(2).
func unshareRefused(c cause) string {
	switch {
	case c.pidTwice():
		return secondPID
	case strings.Contains(c.text, "|0x"):
		return "unshare(2) does not take all flags of clone(2): SIGCHLD, for instance, is for " +
			"clone(2) alone."
	case c.seen && !strings.Contains(c.text, "CLONE_NEWUSER"):
		return ""
	}
	return "unshare(2) refuses a user namespace to a process of several threads. Have the second " +
		"copy born in its namespaces: clone(2)."
}

// cloneRefused is for EINVAL of clone(2).
func cloneRefused(c cause) string {
	if c.pidTwice() {
		return secondPID
	}
	return "clone(2) refuses these flags together. CLONE_NEWTIME belongs to unshare(2), and " +
		"CLONE_FS goes with neither CLONE_NEWNS nor CLONE_NEWUSER."
}

// secondPID is for a process that wants to make a second pid namespace for its children.
const secondPID = "This process has asked for a pid namespace before, by unshare(2) or setns(2). " +
	"From then on its children are in that one, while it stays where it is itself, and it cannot " +
	"ask for another one. Once is enough (pid_namespaces(7))."

// pidTwice tells whether the process that wants to make a pid namespace had asked for one before.
func (c cause) pidTwice() bool {
	i := c.failedStep()
	if i < 0 || !strings.Contains(c.text, "CLONE_NEWPID") {
		return false
	}
	steps := c.event.Conduct.Steps
	return slices.ContainsFunc(steps[:i], func(s harness.Step) bool {
		name := nameOf(s)
		return s.Errno == "" && s.Process == steps[i].Process &&
			(name == "unshare" || name == "setns") && strings.Contains(s.Text, "CLONE_NEWPID")
	})
}

// failedStep is the number of the step that failed, or -1.
func (c cause) failedStep() int {
	if c.event.Conduct == nil || !c.seen {
		return -1
	}
	return slices.IndexFunc(c.event.Conduct.Steps, func(s harness.Step) bool {
		return s.Text == c.text && s.Errno == c.errno
	})
}

// nested is for ENOSPC, which means the limits of namespaces only where one is made.
func nested(c cause) string {
	makes := []string{"unshare", "clone", "clone3"}
	if !slices.Contains(makes, c.call) && (c.seen || c.call != "execve") { // fork/exec in Go
		return ""
	}
	return "The kernel says so when namespaces are nested too deep, 32 levels, or there are too " +
		"many: does the second copy start a copy " +
		"again, instead of the command?"
}

// noInit is for a process that can start no other, because its pid namespace has ended.
func noInit(c cause) string {
	if !c.made("CLONE_NEWPID") {
		return ""
	}
	return "Process 1 of the new pid namespace has ended, and with that the namespace: no other " +
		"can be started there (pid_namespaces(7)). After unshare(2) the first child is process " +
		"1, whatever it does. So fork(2) comes next, and that child executes the command." +
		c.forkOfTool()
}

var wrotePidsRE = lazyregexp.New(`^write\(<([^>]*/pids\.max)>, "([0-9]+)`)

func tooMany(c cause) string {
	if c.event.Conduct != nil {
		for _, made := range c.event.Conduct.Made {
			if m := wrotePidsRE.FindStringSubmatch(made); m != nil {
				text := fmt.Sprintf("Your program wrote %s to %s. Where a cgroup has so many "+
					"processes and threads, fork(2) and clone(2) fail with EAGAIN.", m[2], m[1])
				if !slices.ContainsFunc(c.event.Conduct.Made, func(made string) bool {
					return strings.HasPrefix(made, "mkdir") &&
						filepath.Clean(lastPath(made)) == filepath.Dir(m[1])
				}) {
					text += " Your program has not made this cgroup, and others may be in it, " +
						"too: make one for the container, mkdir(2), and limit that."
				}
				return text
			}
		}
	}
	return "There are too many processes: does the second copy start a copy again, instead of " +
		"the command?"
}

// wideText is for a program that gives a call texts of wide characters: the kernel sees the first.
func wideText(c cause) string {
	texts := quotedRE.FindAllStringSubmatch(c.text, -1)
	isOne := func(m []string) bool { return len(m[1]) == 1 && m[1] != "." && m[1] != "/" }
	if !c.seen || len(texts) == 0 || !slices.ContainsFunc(texts, isOne) ||
		slices.ContainsFunc(texts, func(m []string) bool { return len(m[1]) > 1 }) ||
		!strings.Contains(c.event.Stderr, ".py") {
		return ""
	}
	return "Only the first letter of each text came to the kernel. ctypes passes a str of Python " +
		"as wide characters, with zeros in between: give it bytes, as in b\"proc\", or " +
		"path.encode()."
}
