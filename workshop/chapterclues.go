//go:build linux

package main

import (
	"cmp"
	"fmt"
	"math/bits"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/moby/sys/capability"

	"container.example/workshop/internal/harness"
	"container.example/workshop/internal/lazyregexp"
)

// This file has the clues for what people build in the chapters of step 5.

// about tells whether one of the arguments of the call is this text.
func (c cause) about(text string) bool {
	return slices.ContainsFunc(quotedRE.FindAllStringSubmatch(c.text, -1), func(m []string) bool {
		return m[1] == text
	})
}

const (
	maskMissing = "Either /dev/null or the path is not there. /dev comes first, and then the " +
		"masks: before that there is no /dev/null in the root file system. And no kernel has " +
		"all of these paths: one that is not there needs no mask."
	overlayMissing = "One of the directories is not there: where overlay is to be mounted, and " +
		"those called lowerdir, upperdir and workdir. A relative path begins at the working " +
		"directory. If that is the root file system already, it is lowerdir=."
)

// notAlike is for a file that is to be mounted on a directory, or the reverse.
func notAlike(c cause) string {
	text := "A directory can only be mounted on a directory, and a file on a file (mount(2), " +
		"ENOTDIR)."
	if c.about("/dev/null") {
		text += " /dev/null covers a file. A directory is covered by one that is empty: a new " +
			"tmpfs that is read-only."
	}
	return text
}

// badOverlay is for the options of an overlay.
func badOverlay(c cause) string {
	if !c.about("overlay") {
		return ""
	}
	return "overlay takes lowerdir=, upperdir= and workdir=, with a comma between them. upperdir " +
		"and workdir are two directories of one file system, neither below the other, such as a " +
		"new tmpfs, and not in lowerdir."
}

// inUserNamespace tells whether the program made a user namespace. Where nothing was seen of it,
// the list of -ns tells.
func (c cause) inUserNamespace() bool {
	if c.event.Conduct == nil {
		return userListRE.MatchString(c.event.Ran)
	}
	return c.made("CLONE_NEWUSER")
}

// userListRE matches -ns with a list in which there is user.
var userListRE = lazyregexp.New(` -ns (\w+,)*user\b`)

// mountRefused is for a file system that shows a namespace, in a user namespace.
func mountRefused(c cause) string {
	if text := c.notOwner("CLONE_NEWNS", "mount", "The mounts here belong"); text != "" {
		return text
	}
	if !c.inUserNamespace() && rootOfMachine() {
		return notRoot(c)
	}
	if text := remountRefused(c); text != "" {
		return text
	}
	for _, fs := range []struct{ fstype, namespace string }{
		{"proc", "pid"}, {"sysfs", "net"}, {"mqueue", "ipc"},
	} {
		if !c.about(fs.fstype) {
			continue
		}
		made := "Root of a user namespace may mount " + fs.fstype + " only if it has made the " +
			fs.namespace + " namespace that is seen in it, too: "
		if strings.Contains(c.event.Ran, "-ns ") {
			made += "without " + fs.namespace + " in -ns leave it out."
		} else {
			made += "make both, or leave it out."
		}
		inSight := "Root of a user namespace may mount " + fs.fstype + " only while another " +
			fs.fstype + " is in sight: before the old root is unmounted."
		if fs.fstype != "mqueue" && c.seen && !strings.Contains(c.text, "MS_RDONLY") &&
			!c.made("umount2(") {
			inSight += " And if that one is read-only, the new one has to be, too: MS_RDONLY."
		}
		switch own := c.made("CLONE_NEW" + strings.ToUpper(fs.namespace)); {
		case !c.inUserNamespace() && (fs.fstype == "mqueue" || c.made("capset(")):
			return "" // no other mqueue has to be in sight
		case !c.inUserNamespace(): // but for that of the throw-away host, which owns them all
			return inSight
		case fs.fstype == "mqueue" || !own && c.seen:
			return made
		case own && (c.made("umount2(") || c.madeBoth("CLONE_NEWUSER", fs.namespace)):
			return inSight
		}
		return made + " " + inSight
	}
	m := ofMachineRE.FindStringSubmatch(c.text)
	if m != nil && c.inUserNamespace() && c.nobody() == "" {
		return fmt.Sprintf("Root of the machine may mount %s, and root of a user namespace may "+
			"not: of new file systems it may mount those that lead to nothing outside, such as "+
			"proc, tmpfs, devpts and overlay (user_namespaces(7)).", m[1])
	}
	return notRoot(c)
}

// ofMachineRE matches a mount of a file system that is not for root of a user namespace.
var ofMachineRE = lazyregexp.New(`^mount\((?:"[^"]*"|[^",]*), "[^"]*", ` +
	`"(devtmpfs|ext[234]|xfs|btrfs|squashfs|debugfs|tracefs)"`)

// remountRefused is for a mount that somebody in a user namespace wants to change.
func remountRefused(c cause) string {
	switch {
	case !strings.Contains(c.text, "MS_REMOUNT"), c.made("capset("):
		return ""
	case c.nobody() != "":
		return c.nobody()
	case !strings.Contains(c.text, "MS_BIND"):
		return "MS_REMOUNT without MS_BIND is about the whole file system, wherever it is " +
			"mounted, and this one does not belong to the user namespace. With MS_BIND it is " +
			"about this mount alone (mount(2))."
	}
	return "A mount that came from outside of the user namespace keeps what protects it " +
		"(mount_namespaces(7)): a remount has to name the flags that it has, MS_RDONLY, " +
		"MS_NOSUID, MS_NODEV, MS_NOEXEC and those about times, beside the new ones. statfs(2) " +
		"tells them, f_flags."
}

// groupsTooLate is for ids that are set in the wrong order, or where the kernel forbids it.
func groupsTooLate(c cause) string {
	switch {
	case c.seen && c.call == "setgroups" && c.ofCommandItself() && c.made("CLONE_NEWUSER"):
		return "It was the command that called setgroups(2). In a user namespace the kernel " +
			"forbids that where /proc/PID/setgroups says deny, which stays so " +
			"(user_namespaces(7)). Root of the machine, who writes gid_map from outside, need " +
			"not write deny there."
	case c.made("setresuid(") || c.made("setuid(") || c.made("setreuid("):
		return "The user was changed before. A process that is no longer root may not change its " +
			"groups: setgroups(2) first, then setresgid(2), and setresuid(2) last."
	case c.call == "setgroups" && c.inUserNamespace() && c.seen && !c.made("/gid_map>, "):
		return "In a user namespace nobody may call setgroups(2) before gid_map is written " +
			"(user_namespaces(7))."
	case c.made("capset(") && !c.inUserNamespace() && rootOfMachine():
		return "capset(2) came before, and took CAP_SETGID, which this needs: leave it until the " +
			"groups and the user are changed."
	case c.call == "setgroups" && (c.made(`/setgroups>, "deny`) || groupsDenied() ||
		c.inUserNamespace() && !c.seen):
		return "Where /proc/self/setgroups says deny, setgroups(2) is forbidden, as in most user " +
			"namespaces with one id (user_namespaces(7)). Read that file first, and leave the " +
			"call out then."
	}
	return ""
}

// groupsDenied tells whether the throw-away host is in a user namespace where nobody may set
// groups: that of an ordinary user, or of a container in which this is root.
var groupsDenied = sync.OnceValue(func() bool {
	text, _ := os.ReadFile("/proc/self/setgroups")
	return !isRoot() || strings.TrimSpace(string(text)) == "deny"
})

// madeBoth tells whether one call of the program made a namespace by this flag and another one.
func (c cause) madeBoth(flag, other string) bool {
	return c.event.Conduct != nil && slices.ContainsFunc(c.event.Conduct.Made,
		func(made string) bool {
			return strings.Contains(made, flag) &&
				strings.Contains(made, "CLONE_NEW"+strings.ToUpper(other))
		})
}

// noVariables is for env(1) that has nothing to print.
func noVariables(e harness.Event) string {
	line := parseCommand(e.Script.Line(e.Line))
	if e.Script.ID() != "step5-complete/environment" || ranCommand(e) != "env" ||
		line.name != "stdout" || line.negated || strings.TrimSpace(e.Stdout+e.Stderr) != "" {
		return ""
	}
	return "env prints its environment, and that is empty here, where it was executed. The third " +
		"argument of execve(2) is the list of the variables (environ(7))."
}

// rightsLeft names the capabilities that root of the container has, and is not to have.
func rightsLeft(e harness.Event) string {
	m := rightsRE.FindStringSubmatch(e.Diff)
	if e.Script.Name != "escape-capabilities" || m == nil {
		return ""
	}
	set, err := strconv.ParseUint(m[2], 10, 64)
	if err != nil || set == 0 || bits.OnesCount64(set) > 5 {
		return ""
	}
	var names []string
	for _, known := range capability.ListKnown() {
		if set&(1<<known) != 0 {
			names = append(names, "CAP_"+strings.ToUpper(known.String()))
		}
	}
	return fmt.Sprintf("In %s there is more than the fourteen: %s (capabilities(7)).", m[1],
		strings.Join(names, ", "))
}

// rightsRE matches a set of capabilities that has others, and their bits.
var rightsRE = lazyregexp.New(`(?m)^-(Cap\w+): (\d+) others$`)

// notFunction is for a filter that refuses a call as forbidden, which is to be as if it were not
// there.
func notFunction(e harness.Event) string {
	if e.Script.Name != "escape-clone3" ||
		!strings.Contains(e.Stderr, "clone3: operation not permitted") {
		return ""
	}
	return "The error is EPERM, and a C library takes that for the last word. Only after ENOSYS " +
		"does it fall back to clone(2), whose flags a filter can see: the verdict for this call " +
		"is SECCOMP_RET_ERRNO with ENOSYS (seccomp(2))."
}

// cgroupNamespaceEarly is for a cgroup namespace that was made before its maker was in the cgroup
// of the container.
func cgroupNamespaceEarly(e harness.Event) string {
	if e.Script.Name != "cgroup-namespace" || e.Conduct == nil ||
		!strings.Contains(e.Ran, "/proc/self/cgroup") {
		return ""
	}
	space := ""
	for _, step := range e.Conduct.Steps {
		name := nameOf(step)
		switch {
		case step.Errno != "":
		case strings.Contains(step.Text, "CLONE_NEWCGROUP") && name != "setns":
			space = step.Text
		case space == "" && strings.Contains(step.Text, "/cgroup.procs>, "):
			return "" // a later one may lead back out of the cgroup
		case space != "" && strings.Contains(step.Text, "/cgroup.procs>, "):
			return fmt.Sprintf("The root of a cgroup namespace is the cgroup in which its maker "+
				"is at that moment (cgroup_namespaces(7)). Your program made the namespace by "+
				"%s, and a process joined the cgroup only after that, by %s. First the cgroup, "+
				"then the namespace.", space, step.Text)
		}
	}
	return ""
}

// descriptorsLeft is for a command that has more descriptors than the standard streams.
func descriptorsLeft(e harness.Event) string {
	if e.Script.ID() != "step5-complete/descriptors" {
		return ""
	}
	var more []string
	for _, m := range moreRE.FindAllStringSubmatch(e.Diff, -1) {
		more = append(more, m[1])
	}
	if len(more) == 0 {
		return ""
	}
	text := "These are open in the command, and should not be: " + strings.Join(more, ", ") + "."
	if slices.Contains(more, "4") { // which ls opened if it is 3 that was left open
		text = "These are open in the command: 3, " + strings.Join(more, ", ") + ". One of them " +
			"is that of the directory, which ls(1) opens itself, and the rest should not be open."
	}
	return text + " What is open stays so after execve(2), unless it has FD_CLOEXEC (fcntl(2)): " +
		"close_range(2) closes all from 3 on, or sets that flag for all, right before execve(2)."
}

// moreRE matches the number of a descriptor that the command has, and was not to have.
var moreRE = lazyregexp.New(`(?m)^-(\d+)$`)

// ofCommandItself tells whether the call that failed is one of the command, or of what it has
// started.
func (c cause) ofCommandItself() bool {
	return slices.ContainsFunc(c.event.Conduct.Refused, func(r harness.Refusal) bool {
		return r.Text == c.text && r.Errno == c.errno && ofTheCommand(c.event, r)
	})
}

// rightsTooLate is for capabilities that are dropped after the right to do so.
func rightsTooLate(c cause) string {
	switch {
	case c.made("setresuid(") || c.made("setuid(") || c.made("setreuid("):
		return "The user was changed before, and the capabilities of root went with that " +
			"(capabilities(7)). Give up capabilities first, and change the user last."
	case c.made("capset(") && c.call == "capset":
		return "capset(2) came before: what it has taken from the permitted set no later call " +
			"gives back (capabilities(7))."
	case c.made("capset(") && strings.Contains(c.text, "PR_CAPBSET_DROP"):
		return "capset(2) came before, and took CAP_SETPCAP, which this needs. The bounding set " +
			"is first, then capset(2)."
	}
	return ""
}

// ioctlRefused is for lo in a network namespace that is the host's, and for a terminal that cannot
// become the controlling one.
func ioctlRefused(c cause) string {
	switch {
	case strings.Contains(c.text, "TIOCSCTTY") && c.leadsSession():
		return "The session has a controlling terminal already, or this one belongs to another " +
			"session."
	case strings.Contains(c.text, "TIOCSCTTY"):
		return "Only the leader of a session that has no terminal yet may do that " +
			"(ioctl_tty(2)): setsid(2) first, in the same process."
	case !strings.Contains(c.text, "SIOCSIF"):
		return ""
	case !c.made("CLONE_NEWNET"):
		return "This network namespace is not the container's own. Only with net in -ns is there " +
			"anything to set up."
	case c.made("capset(") && !c.inUserNamespace():
		return "capset(2) came before, and took CAP_NET_ADMIN, which this needs: leave it until " +
			"lo is set up."
	}
	return cmp.Or(c.notOwner("CLONE_NEWNET", "network", "The interfaces here belong"), c.nobody(),
		"This needs CAP_NET_ADMIN in the user namespace that owns the network namespace "+
			"(network_namespaces(7)).")
}

// leadsSession tells whether the process that made the call has called setsid(2) before.
func (c cause) leadsSession() bool {
	i := c.failedStep()
	return i < 0 && c.made("setsid(") || i >= 0 && slices.ContainsFunc(
		c.event.Conduct.Steps[:i], func(s harness.Step) bool {
			return nameOf(s) == "setsid" && s.Errno == "" &&
				s.Process == c.event.Conduct.Steps[i].Process
		})
}

// capsetAlone is for root whose capabilities come back with execve(2).
func capsetAlone(e harness.Event) string {
	c := cause{event: e}
	promised := strings.HasPrefix(e.Script.Name, "escape-") || e.Script.Name == "hostname-in"
	if !promised || !c.made("capset(") || c.made("PR_CAPBSET_DROP") {
		return ""
	}
	return "capset(2) alone does not last: with execve(2) root gets back all that is in the " +
		"bounding set (capabilities(7)). Take capabilities out of that set: prctl(2) with " +
		"PR_CAPBSET_DROP, for each of them."
}

// onDev matches a mount at /dev or below it: what is mounted may well be a file in there.
var onDev = lazyregexp.New(`^mount\([^,]*, "([^"]*/)?dev["/]`)

// chapterSubject names the script of step 5 that is about a call of the program that the kernel
// refused. Whatever is wrong in a chapter, the first script of step 1 meets it first.
func chapterSubject(c cause) string {
	script := c.event.Script
	if !c.seen || script.Step == "step5-complete" {
		return ""
	}
	name := ""
	switch {
	case c.call == "seccomp" || strings.Contains(c.text, "PR_SET_SECCOMP"):
		name = "seccomp"
	case c.call == "capset" || c.call == "prctl":
		name = "root-rights"
	case c.errno == "EOVERFLOW", c.errno == "EINVAL" && strings.HasPrefix(c.call, "set"),
		c.call == "sethostname" && c.made("CLONE_NEWUSER") && c.made("CLONE_NEWUTS"):
		name = "user-default"
	case c.call == "setgroups" || c.call == "setresgid" || c.call == "setresuid":
		name = "user"
	case c.aboutMaps(), c.unplaced():
		name = "user-namespace"
	case strings.Contains(c.text, "TIOCSCTTY"):
		name = "terminal"
	case strings.Contains(c.text, "SIOCSIF"):
		name = "network-none"
	case c.call != "mount":
	case c.about("overlay"):
		name = "rootfs-written"
	case c.about("devpts"):
		name = "terminal-devpts"
	case c.about("sysfs") && c.errno == "EPERM":
		name = "dev-user-namespace"
	case c.about("sysfs"):
		name = "sys-read-only"
	case strings.Contains(c.text, `"/sys/`),
		c.about("/dev/null") && strings.Contains(c.text, `"/proc/`):
		name = "escape-masked"
	case strings.Contains(c.text, `"/proc/`):
		name = "escape-read-only-proc"
	case onDev.MatchString(c.text):
		name = "dev"
	}
	if name == "" || strings.HasPrefix(name, "user") && strings.HasPrefix(script.Name, "user-") {
		return "" // or the script is about users itself
	}
	if upto := c.event.Upto; upto != "" && upto < "step5" &&
		(name == "user-default" || c.aboutMaps()) {
		return "step2-namespaces/user-map" // a chapter is far away
	}
	return "step5-complete/" + name
}

// madeFilter tells whether the program installed a filter of system calls.
func (c cause) madeFilter() bool { return c.made("PR_SET_SECCOMP") || c.made("seccomp(") }

// filtered is for a program that went wrong after it had installed a filter of system calls: by a
// call that the filter refuses, or by a filter that decides otherwise than was meant.
func filtered(c cause) string {
	m := anyStatus.FindStringSubmatch(c.event.Message)
	if !c.madeFilter() || m == nil || m[1] == "0" || c.event.Panicked ||
		nowhereToLook(c.event) != "" {
		return ""
	}
	first := c.event.Script.Step == "step1-skeleton"
	done := executed(c.event)
	switch {
	case m[1] == "159":
		return "The kernel ended the process at a system call, by SIGSYS: the verdict of the " +
			"filter was to kill. Only a call of another architecture is to be killed: compare " +
			"the one in the call with that of this machine, and look at which way the jump goes. " +
			"A call that is not on the list is refused."
	case c.errno == "EPERM" && strings.HasPrefix(c.call, "execve"):
		return "The filter is in force, and execve(2) is not on its list: it is the one call " +
			"that comes after the filter."
	case c.errno == "EPERM" && done == "no" && c.call != "":
		return "The filter is in force already, and does not allow this call, which sets up the " +
			"container. Install it last, in the process that becomes the command: right before " +
			"execve(2)."
	case done == "no" && c.call == "":
		return "The filter is in force, and the program did not get to execve(2) of the command. " +
			"The filter loads the architecture, and then the number of the call (offset 0 of " +
			"struct seccomp_data) before it compares that. Count what each jump skips."
	case done == "yes" && first && c.event.Script.Name == "command-runs":
		return "The command was executed, and the filter does not let it work: calls are missing " +
			"that each program makes. Besides the list for all architectures there is one for " +
			"this one."
	}
	return ""
}

// badFilter is for a filter of system calls that the kernel does not take.
func badFilter(c cause) string {
	if c.call == "prctl" && !strings.Contains(c.text, "PR_SET_SECCOMP") {
		return ""
	}
	switch c.errno {
	case "EACCES":
		return "Only root may install a filter, and a process that gains no rights by execve(2) " +
			"any longer: prctl(2) with PR_SET_NO_NEW_PRIVS comes before it."
	case "EFAULT":
		return "The address is that of a struct sock_fprog: a number of instructions, and the " +
			"address of the first."
	}
	return "The kernel does not take this program (seccomp(2), EINVAL): each way through it has " +
		"to end at a return, so the last instruction is one; no jump leads past the end; and the " +
		"length is the number of instructions."
}

const (
	nobodyYet = "A new user namespace does not change who a process is, and one that is nobody " +
		"in it loses its capabilities by execve(2). First the maps have to be written, by a " +
		"process outside; then the child sets its ids to 0 (setresgid(2), setresuid(2)); and " +
		"then it may go on."
	mapsWrong = "A line of a map has the first id inside, the first id outside, and how many " +
		"ids. They end below 4294967295, and no two lines overlap. A map is written once, in one " +
		"write(2) (user_namespaces(7))."
)

// unplaced tells whether the call is about a mount that has no place yet, and that is not a device:
// the one of the root file system.
func (c cause) unplaced() bool { return aboutUnplaced(c.text) }

// madeUnplaced tells whether a call of this name about such a mount succeeded.
func (c cause) madeUnplaced(call string) bool {
	return c.event.Conduct != nil &&
		slices.ContainsFunc(c.event.Conduct.Made, func(made string) bool {
			return strings.HasPrefix(made, call+"(") && aboutUnplaced(made)
		})
}

// aboutUnplaced tells that of a call in print. A mount that has a place is named by its path.
func aboutUnplaced(call string) bool {
	return strings.HasPrefix(call, "mount_setattr(") && !strings.Contains(call, `"`) ||
		strings.HasPrefix(call, "move_mount(") && !strings.Contains(call, "dev/")
}

// noIDMap is for a mount that cannot be idmapped.
func noIDMap(c cause) string {
	if !c.unplaced() {
		return ""
	}
	if c.errno == "EPERM" {
		return "Only root of the host may give a mount other ids: the child, in its user " +
			"namespace, may not, so the parent does it and sends the mount. And the ids are " +
			"those of the child's namespace, /proc/PID/ns/user: never those of the host's own."
	}
	return "The kernel makes an idmapped mount only of a new one that has no place yet: " +
		"open_tree(2) with OPEN_TREE_CLONE. And only with a user namespace whose maps have been " +
		"written: the ids of the child come first. A file system may also not know idmapped " +
		"mounts."
}

// noEmptyPath is for a mount that is named by its descriptor.
func noEmptyPath(c cause) string {
	if !c.unplaced() {
		return ""
	}
	if c.errno == "EBADF" {
		return "The descriptor is not open: keep it open until the call, and in the other " +
			"process until the message with it is sent."
	}
	return "An empty path stands for the descriptor itself only with a flag: AT_EMPTY_PATH of " +
		"mount_setattr(2), MOVE_MOUNT_F_EMPTY_PATH of move_mount(2)."
}

// notMovable is for a mount that does not fit its place.
func notMovable(c cause) string {
	if !c.unplaced() {
		return ""
	}
	return "A mount is put on a directory if it is one, on a file if it is a file, and not on a " +
		"symbolic link (move_mount(2)). It has no place yet: it comes from open_tree(2) with " +
		"OPEN_TREE_CLONE."
}

// aboutMaps tells whether the call is about the ids of a user namespace.
func (c cause) aboutMaps() bool {
	return strings.Contains(c.text, "id_map>") || strings.Contains(c.text, "/setgroups>")
}

// badMap is for the maps of a user namespace.
func badMap(c cause) string {
	if !c.aboutMaps() {
		return ""
	}
	if made := c.wroteMap(); made != "" {
		return fmt.Sprintf("Your program has written this map before: %s. The kernel takes a map "+
			"once, in one write(2), and refuses it from then on (user_namespaces(7)).", made)
	}
	makes := func(step harness.Step) bool { return strings.Contains(step.Text, "CLONE_NEWUSER") }
	if i := c.failedStep(); i >= 0 && strings.Contains(c.text, "</proc/self/") &&
		slices.ContainsFunc(c.event.Conduct.Steps, makes) &&
		!hasNamespace(c.event.Conduct.Steps, i, "CLONE_NEWUSER", true) {
		return "/proc/self is the process that writes, and this one is not in the new user " +
			"namespace: so this is the map of the host, which is there already. The path of the " +
			"map that is to be written has the number of the child, which clone(2) or fork(2) " +
			"has returned."
	}
	return "Only root of the host may map other ids than its own, and only for another process: " +
		"its child. Everybody else may map one id, their own, and must write gid_map after " +
		"\"deny\" in /proc/PID/setgroups (user_namespaces(7))."
}

// wroteMap is the call that wrote the map which is to be written once more, or nothing: where the
// program has made one user namespace there is one of each kind.
func (c cause) wroteMap() string {
	file, _, found := strings.Cut(c.text, "_map>")
	kind := file[max(0, len(file)-len("uid")):]
	earlier := c.earlier()
	i := slices.IndexFunc(earlier, func(call string) bool {
		return strings.Contains(call, "/"+kind+"_map>, ")
	})
	if !found || i < 0 {
		return ""
	}
	namespaces := 0
	for _, call := range c.event.Conduct.Made {
		if strings.Contains(call, "CLONE_NEWUSER") {
			namespaces++
		}
	}
	if namespaces != 1 {
		return ""
	}
	return earlier[i]
}

func badMapOrLimit(c cause) string {
	if c.aboutMaps() {
		return mapsWrong
	}
	return badLimit(c)
}

// noSuchID is for an id that has none outside.
func noSuchID(cause) string {
	return "This id is not in the map of the user namespace: the first number of a line in " +
		"uid_map and gid_map is the first id inside (user_namespaces(7))."
}

// badMountData is for the options of a file system.
func badMountData(c cause) string {
	if c.about("devpts") {
		return "devpts takes newinstance, ptmxmode=0666 and mode=0620. An id, as in gid=5, has " +
			"to be in the map of the user namespace."
	}
	return cmp.Or(badOverlay(c), c.noMountThere(), c.laysBare())
}

// flagRE matches a flag of mount(2).
var flagRE = lazyregexp.New(`\bMS_[A-Z]+`)

// noMountThere is for a change of propagation at a path where nothing is mounted.
func (c cause) noMountThere() string {
	var asked []string
	for _, flag := range append([]string{"MS_SHARED"}, cutting...) {
		if strings.Contains(c.text, flag) {
			asked = append(asked, flag)
		}
	}
	if !c.seen || len(asked) != 1 || lastPath(c.text) == "/" ||
		strings.Contains(c.text, "MS_BIND") || strings.Contains(c.text, "MS_REMOUNT") {
		return ""
	}
	for _, flag := range flagRE.FindAllString(c.text, -1) {
		if !slices.Contains([]string{asked[0], "MS_REC", "MS_SILENT"}, flag) {
			return fmt.Sprintf("%s takes no other flags than MS_REC and MS_SILENT (mount(2)), and "+
				"here is %s, too. Make that a call of its own.", asked[0], flag)
		}
	}
	return fmt.Sprintf("%s is a property of a mount, and %s is no mount point: a directory "+
		"becomes one when something is mounted on it, or when it is bound on itself. On / it is "+
		"for the mount that has the root, and with MS_REC for all that are below.", asked[0],
		lastPath(c.text))
}

// laysBare is for a bind mount in a user namespace that would leave something out.
func (c cause) laysBare() string {
	if !isBind(c.text) || strings.Contains(c.text, "MS_REC") ||
		!c.inUserNamespace() && rootOfMachine() {
		return ""
	}
	if c.made("MS_UNBINDABLE") {
		return "What is unbindable cannot be bound (mount(2), MS_UNBINDABLE)."
	}
	return "In a user namespace a bind mount of a directory with mounts below it has to take " +
		"along what is mounted below, by MS_REC: what is under a mount that came from outside of " +
		"the namespace is not to be seen (mount_namespaces(7))."
}

// nobodysFiles is for a root file system whose owners have no id in the container.
func nobodysFiles(e harness.Event) string {
	if e.Script.Name != "user-namespace" || !strings.Contains(e.Stdout, "65534:65534") {
		return ""
	}
	c := cause{event: e}
	switch {
	case e.Conduct == nil:
		return "65534 is nobody: the owner has no id in the container."
	case !c.madeUnplaced("mount_setattr"):
		return "65534 is nobody: files of the host's root have no owner in this user namespace, " +
			"until an idmapped mount translates. None was made (mount_setattr(2), " +
			"MOUNT_ATTR_IDMAP)."
	case !c.madeUnplaced("move_mount"):
		return "65534 is nobody. The idmapped mount was made, and has no place: the child gives " +
			"it one by move_mount(2), and has pivot_root(2) use it."
	case strings.HasSuffix(strings.TrimSpace(e.Stdout), "0:0\n65534:65534"):
		return "65534 is nobody: the map has too few ids. Files belong to many, up to 65535."
	}
	return "65534 is nobody. A mount was given attributes and a place, and the owners are not " +
		"translated. Either attr_set of mount_setattr(2) is without MOUNT_ATTR_IDMAP, or another " +
		"one became the root: bind the place where this mount was put, after move_mount(2), and " +
		"not the directory of the host."
}

// callersPipe is for /dev/stdout of a container whose root is nobody.
func callersPipe(e harness.Event) string {
	c := cause{event: e}
	if !strings.Contains(e.Stderr, "/dev/std") ||
		!strings.Contains(e.Stderr, "Permission denied") || !c.inUserNamespace() {
		return ""
	}
	return "/dev/stdout opens the pipe once more (proc_pid_fd(5)), and it belongs to the caller, " +
		"who is nobody in the container. The parent gives pipes among the standard streams to " +
		"root of the container: fchown(2)."
}

// oneIDOnly is for an ordinary user who maps a range of ids.
func oneIDOnly(e harness.Event) string {
	if e.Script.Name != "user-ordinary" || errnoIn(e.Stderr) != "EPERM" {
		return ""
	}
	return "Only root of the host may map other ids than its own. A program that is not root " +
		"maps one id, the own one, and makes no idmapped mount."
}

// terminalLines is for lines that a terminal has made of the command's.
func terminalLines(e harness.Event) string {
	if !strings.Contains(e.Stdout, "\r\n") || strings.Contains(e.Ran, "-tty") ||
		parseCommand(e.Ran).name != "exec" || parseCommand(e.Ran).args[0] != "container" {
		return ""
	}
	return "Lines end in a carriage return and a newline: a terminal has done that. The command " +
		"gets one if it is asked for with -tty, or if all three standard streams of the caller " +
		"are terminals."
}

// sameAddress is for a container that looks for another one at an address which is its own, and
// where nobody listens.
func sameAddress(e harness.Event) string {
	m := refusedThereRE.FindStringSubmatch(e.Stderr)
	if e.Script.Name != "network-neighbours" || m == nil ||
		!strings.Contains(e.Stdout, "from the first") ||
		strings.Contains(e.Stdout, "another address") {
		return ""
	}
	return fmt.Sprintf("The host reached the first container at %s. In the second one nobody "+
		"listens at that address, and it is not known to have another one: do both have the same? "+
		"Each needs a number of its own, from whoever counts them on the host.", m[1])
}

// refusedThereRE matches what wget of the command says where nobody listens.
var refusedThereRE = lazyregexp.New(`can't connect to remote host \((10\.201\.[\d.]+)\): ` +
	`Connection refused`)

// terminalAmiss is for a terminal of the container that is not as it should be, in scripts that say
// no more than that something is missing.
func terminalAmiss(e harness.Event) string {
	line := parseCommand(e.Script.Line(e.Line))
	ran := commandLine(e.Ran)
	switch {
	case executed(e) == "no":
	case e.Script.Name == "terminal-default" && strings.Contains(e.Stdout, "session 0") &&
		strings.Contains(e.Ran, "session"):
		return "The command is in a session whose leader it does not see, as that of the caller. " +
			"Where all three standard streams of your program are terminals (isatty(3)), the " +
			"command gets one of the container without being asked, as by -tty, in a session of " +
			"its own (setsid(2))."
	case e.Script.Name == "terminal" && strings.Contains(ran, "test -t 2 && echo three") &&
		line.name == "stdout" && strings.Contains(e.Stdout, "controlling"):
		return "The session has a controlling terminal, and not all of the descriptors 0, 1 and " +
			"2 are terminals: dup2(2) puts the terminal of the container on each of the three."
	case e.Script.Name == "terminal-type" && ran == "container run -tty cat" &&
		strings.Contains(e.Waiting, "`cat`") && strings.Contains(e.Waiting, "/dev/pts/"):
		return "The input of your program has ended, and cat waits for more. A terminal has no " +
			"end of its own: what Ctrl-D sends, the byte 4 (VEOF, termios(3)), is written to the " +
			"terminal of the container when the input has ended."
	case e.Script.Name == "terminal-type" && ran == "container run -tty cat" &&
		strings.TrimSpace(e.Stdout+e.Stderr) == "" && e.Waiting == "":
		return "The standard input of your program has a line, a terminal shows what is typed " +
			"(ECHO, termios(3)), and cat repeats it: nothing of that came out. Either the input " +
			"is not copied to the other end of the terminal, or not all that comes from there to " +
			"the standard output."
	case e.Script.Name == "terminal" && strings.Contains(e.Ran, "printf %066536d") &&
		atoi(strings.TrimSpace(e.Stdout)) > 0 && atoi(strings.TrimSpace(e.Stdout)) < 66536:
		return fmt.Sprintf("Of 66536 bytes %s arrived. Does your program end as soon as the "+
			"command has ended? The rest may still be in the terminal then: copy on after "+
			"wait4(2), until read(2) of the terminal fails (EIO) or returns "+
			"nothing.", strings.TrimSpace(e.Stdout))
	case e.Script.Name == "terminal-devpts" && strings.Contains(e.Ran, "-user ") &&
		strings.Contains(e.Stderr, "/dev/ptmx: Permission denied"):
		return "Another user than root could not open /dev/ptmx. If that leads to pts/ptmx of a " +
			"new devpts: this file has the mode 0, unless the data of mount(2) say ptmxmode=0666."
	}
	return ""
}

// linksMissing is for a /dev of the container without the usual links to the standard streams.
func linksMissing(e harness.Event) string {
	if e.Script.ID() != "step5-complete/dev" || !strings.Contains(e.Ran, "cat /dev/fd/0") {
		return ""
	}
	var missing []string
	for _, link := range []struct{ name, leads string }{
		{"/dev/stdin", "/proc/self/fd/0"}, {"/dev/fd", "/proc/self/fd"},
	} {
		said := regexp.MustCompile(`(?m)^\S+: can't open '?` + link.name + `(/0)?'?: No such file`)
		if said.MatchString(e.Stderr) {
			missing = append(missing, link.name+" to "+link.leads)
		}
	}
	inside := e.Script.File != "" && parseCommand(e.Script.Line(e.Line)).name == "stdout"
	if len(missing) == 0 && inside && !hasLine(e.Stdout, "out") && hasLine(e.Stdout, "in") {
		return "What was written to /dev/stdout did not arrive. It is to be a link to " +
			"/proc/self/fd/1: if there is none, > makes a file of that name (symlink(2))."
	}
	if len(missing) == 0 {
		return ""
	}
	return fmt.Sprintf("Links in the /dev of the container are missing, or lead nowhere: "+
		"symlink(2) makes the one from %s. Where /dev/stdout and /dev/stderr are missing, > makes "+
		"files of these names, and says nothing.", strings.Join(missing, ", and the one from "))
}

// hasLine tells whether a text has a line.
func hasLine(text, line string) bool {
	return slices.Contains(strings.Split(strings.ReplaceAll(text, "\r", ""), "\n"), line)
}

// attributesRefused is for an overlay in a user namespace that cannot mark what was removed.
func attributesRefused(e harness.Event) string {
	c := cause{event: e}
	if e.Script.ID() != "step5-complete/layers" || !removeRefusedRE.MatchString(e.Stderr) ||
		!c.made("CLONE_NEWUSER") {
		return ""
	}
	for _, made := range e.Conduct.Made {
		if strings.HasPrefix(made, "mount(") && strings.Contains(made, `"overlay"`) &&
			strings.Contains(made, "upperdir=") && !strings.Contains(made, "userxattr") {
			return "Where a directory hides one of the same name in a layer below, overlay gives " +
				"it the attribute trusted.overlay.opaque, which root of a user namespace may not " +
				"set. With the option userxattr that is user.overlay.opaque, which root there " +
				"may set (overlayfs.rst)."
		}
	}
	return ""
}

// removeRefusedRE matches what rm of the command says where overlay cannot mark a directory.
var removeRefusedRE = lazyregexp.New(`(?m)^(rm|mkdir): can't (remove|create directory) .*: ` +
	`(Input/output error|Operation not permitted)$`)

// noSize is for a terminal without rows and columns, of which stty(1) says no more than this.
func noSize(e harness.Event) string {
	if e.Script.Name != "terminal-size" || !strings.Contains(e.Stdout, "stty: standard input") {
		return ""
	}
	return "The terminal of the container has no size, 0 rows and 0 columns: nobody has set it " +
		"(TIOCSWINSZ)."
}

// noPtmx is for a terminal that is opened where there is none.
func noPtmx(e harness.Event) string {
	if !strings.Contains(e.Stderr, "/dev/ptmx") || errnoIn(e.Stderr) != "ENOENT" {
		return ""
	}
	return "There is no /dev/ptmx in the root file system: after a new devpts is mounted on " +
		"/dev/pts, /dev/ptmx is made a link to pts/ptmx. It has to be there before it is opened."
}

// noControlling is for a terminal of the command that is not the one of its session.
func noControlling(e harness.Event) string {
	c := cause{event: e}
	if e.Script.Name != "terminal" || !strings.Contains(e.Stdout, "three") || !c.made("setsid(") ||
		c.made("TIOCSCTTY") {
		return ""
	}
	return "The session has no controlling terminal: its leader makes the open terminal that, by " +
		"ioctl(2) with TIOCSCTTY."
}

// notCopied is for a terminal of which nothing arrives.
func notCopied(e harness.Event) string {
	if e.Script.Name != "terminal" || !strings.Contains(e.Ran, "-tty") ||
		strings.TrimSpace(e.Stdout+e.Stderr) != "" {
		return ""
	}
	return "Nothing of what the command wrote has arrived. The child sends /dev/ptmx to the " +
		"parent, and the parent copies what it reads there to its standard output, until read(2) " +
		"fails: that is after the command has ended."
}

// networkAmiss is for a container that is not connected to the bridge.
func networkAmiss(e harness.Event) string {
	if e.Script.Name != "network-eth0" && e.Script.Name != "network-neighbours" {
		return ""
	}
	said := strings.ToLower(e.Stderr)
	switch {
	case strings.Contains(said, "link not found"), strings.Contains(said, "no such device"),
		strings.Contains(said, "no such network interface"):
		return "An interface is missing in the namespace where it is looked for. The bridge is " +
			"on the host, so the parent makes the pair, before it lets the child go on: one end " +
			"is a port of the bridge, and the other is eth0 in the network namespace of the " +
			"child."
	case strings.Contains(said, "network is unreachable"):
		return "The gateway of a route has to be in reach: first eth0 has an address whose " +
			"prefix covers 10.201.0.1, /16, and is up, and then comes the route."
	case strings.Contains(said, "file exists"):
		return "No two interfaces of a namespace can have the same name: take another number for " +
			"the name if there is one already (EEXIST)."
	case sameAddress(e) != "":
		return sameAddress(e)
	case strings.Contains(e.Stdout, "NO-CARRIER"):
		return "NO-CARRIER: the other end of the cable is down. The end on the host has to be " +
			"up, too."
	case strings.Contains(e.Stdout, "100% packet loss"):
		return "The gateway does not answer. It is 10.201.0.1, the address of the bridge " +
			"workshop0; eth0 is in that network; and the end on the host is a port of the bridge " +
			"(IFLA_MASTER)."
	case strings.Contains(e.Ran, "ip route") && e.Message == "exit status 1" && // of ping
		!strings.Contains(e.Stdout, "default via"):
		return "ip route shows no default route, so ping has no address: RTM_NEWROUTE, with the " +
			"bridge as the gateway."
	}
	return ""
}
