//go:build linux

package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"container.example/workshop/internal/harness"
	"container.example/workshop/internal/lazyregexp"
)

// This file has more of the clues from what a program did, where no call that failed is to blame.

// taken are flags that the program takes: otherwise the scripts that use them are skipped.
var taken = []string{"-ns", "-hostname", "-rootfs"}

// flagNotKnown is for a program that has not heard of a flag of the step. It may say so, or have
// ended well before the command could.
func flagNotKnown(e harness.Event) string {
	flag := firstWord(e)
	if text := knownWithTwoDashes(e, flag); text != "" {
		return text
	}
	if !strings.HasPrefix(flag, "-") || slices.Contains(taken, flag) {
		return ""
	}
	said, endedWell := e.Stdout+"\n"+e.Stderr, false
	for _, b := range e.Background {
		said += "\n" + b.Stdout + "\n" + b.Stderr
		isIt := strings.Contains(b.Command, " run "+flag+" ")
		endedWell = endedWell || isIt && b.State == "exit status 0"
	}
	m := optionRE.FindStringSubmatch(said)
	complains := m != nil && strings.Contains(flag, m[1])
	for line := range strings.SplitSeq(said, "\n") {
		complains = complains || strings.Contains(line, flag) && unknownRE.MatchString(line)
	}
	if e.Conduct != nil { // execve(2) of it, or a look for such a file
		isIt := func(r harness.Refusal) bool { return filepath.Base(firstPath(r.Text)) == flag }
		complains = complains || slices.ContainsFunc(e.Conduct.Refused, isIt)
	}
	if strings.Contains(said, "cgroup") || !complains && !endedWell {
		return ""
	}
	return fmt.Sprintf("%s is a flag of your own program, which comes with this step: the command "+
		"begins after the flags and what is given to them. Your program does not know it yet, or "+
		"takes it for the command.", flag)
}

// flagExecuted is for a program of which one process knows the flags, and another one takes the
// first of them for the command.
func flagExecuted(e harness.Event) string {
	flag := firstWord(e)
	if !slices.Contains(taken, flag) || executed(e) == "yes" || e.Conduct == nil {
		return ""
	}
	executes := func(r harness.Refusal) bool {
		return toolOf(r) == "" && filepath.Base(firstPath(r.Text)) == flag
	}
	if !slices.ContainsFunc(slices.Concat(e.Conduct.Refused, e.Conduct.Excused), executes) {
		return ""
	}
	return fmt.Sprintf("One of your processes takes %s for the command. It is a flag of your own "+
		"program: the command begins after the flags and what is given to them. If the first copy "+
		"hands its words on as they are, the second one has to read the flags, too.", flag)
}

var (
	// unknownRE matches what programs say of a flag, or of a command, that they do not know.
	unknownRE = lazyregexp.New(`(?i)not found|no such|unknown|not defined|unrecogni[sz]ed|` +
		`invalid option|no flag|\bENOENT\b`)
	// optionRE matches what a shell says that takes the flag for some of its own, letter by letter,
	// and the letter.
	optionRE = lazyregexp.New(`(?i)(?:illegal|invalid|bad|unrecogni[sz]ed|unknown) option` +
		`\W{1,6}([a-z])\b`)
)

// knownWithTwoDashes is for a program that says itself that it has this flag, with two dashes.
func knownWithTwoDashes(e harness.Event, flag string) string {
	if len(flag) < 3 || flag[0] != '-' || flag[1] == '-' || executed(e) == "yes" {
		return ""
	}
	said := e.Stdout + "\n" + e.Stderr
	known := regexp.MustCompile(`(?m)(^|[^\w-])-` + regexp.QuoteMeta(flag) + `([^\w-]|$)`)
	if !known.MatchString(said) || blame(e) != nil ||
		!usageRE.MatchString(said) && !unknownRE.MatchString(said) {
		return "" // it may have taken the flag, and only speaks of it
	}
	return fmt.Sprintf("Your program knows -%[1]s, and the scripts write %[1]s: have it take the "+
		"flag with one dash, too.", flag)
}

// notStartable is for a program that cannot be executed at all.
func notStartable(e harness.Event) string {
	const (
		text = "Your program itself cannot be executed, so none of it has run. "
		crlf = text + "Its lines end as on Windows, with a carriage return (CR LF), and that is " +
			"taken for a part of the name of its interpreter. Have them end with LF alone."
	)
	if strings.Contains(e.Stderr, `\r': No such file or directory`) { // of env(1)
		return crlf
	}
	m := cannotStartRE.FindStringSubmatch(e.Message)
	if m == nil {
		return ""
	}
	interpreter, isScript := interpreterOf(m[1])
	switch {
	case m[2] == unix.EAGAIN.Error(): // there are too many processes
		return ""
	case strings.HasSuffix(interpreter, "\r"):
		return crlf
	case isScript && m[2] == unix.ENOENT.Error():
		return text + fmt.Sprintf("Its first line asks for %s, which is not on this machine.",
			interpreter)
	case m[2] == unix.ENOEXEC.Error():
		return text + "The kernel does not know this format: a script has to begin with #! and " +
			"the path of its interpreter, as in #!/bin/sh, and a program has to be made for this " +
			"kind of processor."
	}
	return text + "Try it by hand."
}

// cannotStartRE matches what is said of a program that the kernel does not execute.
var cannotStartRE = lazyregexp.New(`(?m)^fork/exec (.+): ([^:\n]+)$`)

// interpreterOf is what the first line of a script asks for.
func interpreterOf(file string) (interpreter string, isScript bool) {
	text, err := os.ReadFile(file)
	line, _, _ := strings.Cut(string(text), "\n")
	line, isScript = strings.CutPrefix(line, "#!")
	line = strings.TrimLeft(line, " \t")
	if i := strings.IndexAny(line, " \t"); i >= 0 {
		line = line[:i]
	}
	return line, err == nil && isScript
}

// unshareKilled is for a program that takes its status from unshare(1), which does not manage to
// end as the command did.
func unshareKilled(e harness.Event) string {
	if !strings.Contains(e.Stderr, "unshare: sigprocmask unblock failed") {
		return ""
	}
	return "unshare(1) cannot end by KILL as its child did, and ends with status 1. Let a shell " +
		"between the two make 128+9 of it: unshare ... -- sh -c '\"$@\"; exit $?' sh CMD [ARG...]"
}

// mountsShared is for a program whose container and host see the mounts of one another.
func mountsShared(e harness.Event) string {
	line := parseCommand(e.Script.Line(e.Line))
	switch {
	case e.Script.Name != "mounts-out" && e.Script.Name != "mounts-in":
		return ""
	case e.Script.Name == "mounts-out" && line.name == "stdout":
		return "" // the host did not see it, and neither did the container
	case e.Conduct == nil && e.Script.Name == "mounts-in" &&
		strings.Contains(e.Stdout, "seen in"):
		return "A mount of the host came in. Either there is no mount namespace, which " +
			"CLONE_NEWNS of clone(2) or unshare(2) makes; or its mounts still follow the host's, " +
			"because they are shared, or slaves: by MS_SLAVE, or since the namespace came with " +
			"a user namespace. mount(2) on / with MS_PRIVATE and MS_REC cuts both. " +
			"Without MS_REC it changes one mount, and those below it stay as they are."
	case e.Conduct == nil:
		return ""
	}
	c := cause{event: e}
	switch asked := c.made("CLONE_NEWNS"); {
	case asked && c.cutsMounts():
		return ""
	case asked && c.privateRefused() != "":
		return "There is a mount namespace, and its mounts are still shared with the host. " +
			c.privateRefused()
	case asked:
		return "There is a mount namespace, and its mounts are still shared with the host: / is " +
			"a shared mount here, as on every machine with systemd, and a copy of the table " +
			"remains tied to it until mount(2) on / with MS_PRIVATE and MS_REC cuts it." +
			c.privateInVain()
	}
	return "Nobody asked for a mount namespace: CLONE_NEWNS of clone(2) or unshare(2) makes one. " +
		"Then mount(2) on / with MS_PRIVATE and MS_REC cuts what ties its mounts to the host."
}

// notCounted is for a program whose processes have the numbers of the host.
func notCounted(e harness.Event) string {
	c := cause{event: e}
	switch {
	case e.Script.Name == "pid-host-invisible" && strings.Contains(e.Stdout, "is in reach"):
		return "The command is not in a pid namespace of its own. CLONE_NEWPID of clone(2) makes " +
			"one for the child. With unshare(2) the process that calls it stays where it is: " +
			"fork(2) comes after it, and the child executes the command."
	case e.Script.Name != "pid-1" || executed(e) != "yes":
		return ""
	case !c.made("CLONE_NEWPID"):
		return "Nobody asked for a pid namespace: CLONE_NEWPID of clone(2), or of unshare(2) " +
			"before a fork(2), makes one."
	}
	if m := countedRE.FindStringSubmatch(e.Stdout); m != nil {
		return fmt.Sprintf("There is a pid namespace, and the command is process %s in it, "+
			"started by process %s: others come between it and process 1. The one that clone(2) "+
			"starts with CLONE_NEWPID, or the first one after unshare(2), is to execute the "+
			"command, or to start it.", m[1], m[2])
	}
	if made := c.unsharedItself(); made != "" {
		return fmt.Sprintf("The process that made %s executed the command itself. unshare(2) with "+
			"CLONE_NEWPID leaves the process that calls it where it is, and only those that it "+
			"starts later are in the new namespace: first unshare(2), then fork(2), and the child "+
			"executes the command.", made)
	}
	if made := c.unsharedForOthers(); made != "" {
		return fmt.Sprintf("The command is not in the pid namespace that %s asked for: that is "+
			"for what the same thread starts from then on. Either the child was started before "+
			"that, or another thread of the process started it. unshare(2) acts on the thread "+
			"that calls it, and not on the whole process.", made)
	}
	return ""
}

// unsharedForOthers is the call of unshare(2) by which a process asked for a pid namespace, if a
// process below it executed the command, outside of that namespace.
func (c cause) unsharedForOthers() string {
	steps := c.event.Conduct.Steps
	i := slices.IndexFunc(steps, func(s harness.Step) bool {
		return s.Errno == "" && nameOf(s) == "unshare" && strings.Contains(s.Text, "CLONE_NEWPID")
	})
	begun := slices.IndexFunc(steps, c.executes)
	if i < 0 || begun < 0 || !ofHostRE.MatchString(c.event.Stdout) || c.made("setns(") {
		return ""
	}
	above := map[int]int{}
	for _, s := range steps {
		above[s.Process] = s.Parent
	}
	for process := steps[begun].Process; process > 0; {
		if process = above[process]; process == steps[i].Process {
			return steps[i].Text
		}
	}
	return ""
}

// ofHostRE matches what the command says of its number where that is one of the host's.
var ofHostRE = lazyregexp.New(`(?m)^process \d{3,}, child of \d{3,}\r?$`)

// unsharedItself is the call of unshare(2) by which a process asked for a pid namespace that then
// executed the command, and not a child of it, as far as that is known.
func (c cause) unsharedItself() (made string) {
	by := -1
	for _, step := range c.event.Conduct.Steps {
		switch name := nameOf(step); {
		case step.Errno != "":
		case name == "unshare" && strings.Contains(step.Text, "CLONE_NEWPID"):
			made, by = step.Text, step.Process
		case name == "execve" && step.Process == by &&
			filepath.Base(firstPath(step.Text)) == filepath.Base(ranCommand(c.event)):
			return made
		}
	}
	return ""
}

// countedRE matches what the command says of its number and its parent's, in a pid namespace in
// which few have been.
var countedRE = lazyregexp.New(`(?m)^process ([1-9]), child of ([2-9])$`)

// notNamed is for a program that does not give the container its name.
func notNamed(e harness.Event) string {
	ofHost := slices.Contains(strings.Split(e.Stdout, "\n"), "host")
	if e.Script.Name != "hostname-flag" || e.Conduct == nil || !ofHost ||
		e.Conduct.Calls("sethostname") {
		return ""
	}
	return "This is the name of the host: none of your processes called sethostname(2). The one " +
		"in the new uts namespace does it, before the command."
}

// rootNotChanged is for a program whose container sees the files of the host.
func rootNotChanged(e harness.Event) string {
	if e.Script.Name != "root-is-rootfs" || e.Conduct == nil || executed(e) != "yes" {
		return ""
	}
	c := cause{event: e}
	switch {
	case c.made(`chroot("/")`):
		return "The root is still the one of the host: chroot(2) was given \"/\"."
	case c.made("chroot(") || c.made("pivot_root("):
		return ""
	}
	return "None of your processes has changed its root: that is pivot_root(2), or chroot(2), " +
		"before the command is executed."
}

// newRootGone is for a program that unmounts the old root after a pivot_root(2) that failed: what
// it takes away is another mount then, in which the command finds itself.
func newRootGone(e harness.Event) string {
	c := cause{event: e}
	about := e.Script.Step == "step3-rootfs" || strings.HasPrefix(e.Script.Name, "mounts-")
	if !about || executed(e) != "yes" || c.made("pivot_root(") {
		return ""
	}
	var failed harness.Step
	for _, step := range e.Conduct.Steps {
		path := filepath.Clean(lastPath(step.Text))
		switch call := nameOf(step); {
		case c.executes(step):
			return ""
		case call == "pivot_root":
			failed = step
		case failed.Text == "" || call != "umount2" || step.Errno != "":
		case path == "." || path == "/" || path == filepath.Clean(firstPath(failed.Text)):
			why := cause{
				event: e, call: "pivot_root", errno: failed.Errno, text: failed.Text,
				path: firstPath(failed.Text), seen: true,
			}
			return strings.TrimSpace(fmt.Sprintf("%s failed with %s, and your program went on. So "+
				"%s after that did not take away the old root, but what was to be the new one, "+
				"or what the program still had: a mount that is in no mount namespace any "+
				"longer, where nothing can be mounted. %s", failed.Text, failed.Errno, step.Text,
				why.clue()))
		}
	}
	return ""
}

// notMoved is for a program that stays in the directory in which it was started.
func notMoved(e harness.Event) string {
	outside := strings.TrimSpace(e.Stdout) == "$WORK" || outsideRE.MatchString(e.Stdout+e.Stderr)
	if e.Script.Name != "root-is-rootfs" || e.Conduct == nil ||
		commandLine(e.Ran) != "container run pwd" || !outside {
		return ""
	}
	c := cause{event: e}
	if !c.changedRoot() || c.madeAfter("chroot", "chdir", "fchdir") &&
		c.madeAfter("pivot_root", "chdir", "fchdir") {
		return ""
	}
	return "chroot(2) does not change the working directory, and neither does pivot_root(2): it " +
		"is still where it was, which is outside of the new root. chdir(2) to / comes next."
}

// outsideRE matches what pwd(1) says of a directory that is not below the root (getcwd(3)).
var outsideRE = lazyregexp.New(`\(unreachable\)|getcwd`)

// procEmpty is for a container in which ps(1) finds nobody, not even itself.
func procEmpty(e harness.Event) string {
	heading := strings.TrimSpace(e.Stdout)
	if e.Script.Name != "ps-alone" || !strings.HasPrefix(heading, "PID") ||
		strings.Contains(heading, "\n") {
		return ""
	}
	if e.Conduct != nil {
		mounted := false // on /proc of the root that is the last
		for _, made := range e.Conduct.Made {
			switch call, args, _ := strings.Cut(made, "("); {
			case call == "chroot" || call == "pivot_root":
				mounted = false
			case call == "mount" && strings.Contains(args, `"/proc", "proc"`):
				mounted = true
			case call == "umount2" && mounted:
				return fmt.Sprintf("Your program mounted a proc file system, and %s after that "+
					"took it away, together with the mount that it is on. Only the old root is to "+
					"be unmounted: after pivot_root(\".\", \".\") that is \".\", with another "+
					"second path it is below that, and after chroot(2) there is none.", made)
			}
		}
	}
	if proc, bind := (cause{event: e}).procCovered(); proc != "" {
		return fmt.Sprintf("/proc of the container is empty, so ps(1) finds nobody, not even "+
			"itself. Your program made %s, and %s after that: a bind mount shows a directory "+
			"without the mounts below it, unless its flags have MS_REC. Bind the directory first, "+
			"and mount /proc in it then.", proc, bind)
	}
	return "/proc of the container is empty, so ps(1) finds nobody, not even itself. A proc file " +
		"system has to be mounted below the new root: on its directory proc before the root is " +
		"changed, or on /proc after that. One on /proc of the host remains outside."
}

// procCovered are a mount of proc(5) and a later bind mount of the directory above it on itself, to
// which the first one did not come along.
func (c cause) procCovered() (proc, bind string) {
	for _, made := range c.mounts() {
		dir, covers := filepath.Clean(firstPath(made)), filepath.Clean(lastPath(made))
		switch {
		case strings.Contains(made, `", "proc", `):
			proc, bind = made, ""
		case isBind(made) && !strings.Contains(made, "MS_REC") &&
			proc != "" && dir == covers && filepath.Dir(filepath.Clean(lastPath(proc))) == covers:
			bind = made
		}
	}
	if bind == "" {
		return "", ""
	}
	return proc, bind
}

// oldRootSeen are scripts that find the files of the host where the old root is still mounted.
var oldRootSeen = []string{"host-mountinfo", "host-old-root", "host-dot-dot"}

// oldRootStays is for a container that can be left by the old root, or by chroot(2).
func oldRootStays(e harness.Event) string {
	c := cause{event: e}
	const stays = "pivot_root(2) succeeded, and the old root is still mounted: umount2(2) with " +
		"MNT_DETACH takes it away."
	switch {
	case e.Conduct == nil:
		return ""
	case slices.Contains(oldRootSeen, e.Script.Name) && c.made("pivot_root(") &&
		!c.unmountedOldRoot() && !c.event.Conduct.Calls("chroot"):
		return stays + c.unmountRefused()
	case e.Script.Name == "host-old-root" && thereRE.MatchString(e.Stdout) && c.made("umount2("):
		return fmt.Sprintf("The old root is unmounted, and the directory on which it was mounted "+
			"is still there: rmdir(2) of %s takes it away, after umount2(2).",
			thereRE.FindStringSubmatch(e.Stdout)[1])
	case e.Script.Name != "host-chroot-breakout" ||
		!strings.Contains(e.Stdout, "broke out"):
		return ""
	case c.made("pivot_root(") && !c.unmountedOldRoot():
		return stays + c.unmountRefused()
	case !c.made("pivot_root(") && c.made("chroot("):
		return "chroot(2) changes only where paths begin, and root can call it again. " +
			"pivot_root(2) puts another root into the mount namespace, and umount2(2) with " +
			"MNT_DETACH takes the old one away: then nothing is left to break out to."
	}
	return ""
}

// unmountRefused tells of the unmount that was to take away the old root, and failed.
func (c cause) unmountRefused() string {
	old := "/"
	for _, made := range c.event.Conduct.Made {
		if strings.HasPrefix(made, "pivot_root(") {
			old = filepath.Base(lastPath(made))
		}
	}
	for _, r := range slices.Backward(c.event.Conduct.Refused) {
		place := filepath.Base(firstPath(r.Text)) // "." if that cannot be shown
		if r.Call != "umount2" || !r.Inside || place != old && place != "." && place != "/" {
			continue
		}
		of := refusedCause(c.event, &r)
		why := cmp.Or(notAText(of), of.clue())
		return strings.TrimRight(fmt.Sprintf(" Your program tried to unmount it, and %s failed "+
			"with %s. %s", r.Text, r.Errno, why), " ")
	}
	return ""
}

// unmountedOldRoot tells whether a program that called pivot_root(2) has unmounted something that
// may be the old root. An unmount of another place, as /proc at the end, is none of that.
func (c cause) unmountedOldRoot() bool {
	old := ""
	for _, made := range c.event.Conduct.Made {
		switch path := filepath.Base(firstPath(made)); {
		case strings.HasPrefix(made, "pivot_root("):
			old = filepath.Base(lastPath(made))
		case strings.HasPrefix(made, "umount2("):
			if strings.Contains(made, "MNT_DETACH") || path == old || path == "." || path == "/" {
				return true
			}
		}
	}
	return false
}

// thereRE matches what the script says of the directory of the old root.
var thereRE = lazyregexp.New(`(?m)^there is (/\S+)$`)

// joinedLate is for a command that a limit did not act on, and whose process another one has put
// into the cgroup when it was running already.
func joinedLate(e harness.Event) string {
	m := exitStatus.FindStringSubmatch(e.Message)
	succeeded := m != nil && m[1] == "0" ||
		strings.Contains(e.Message, "unexpected command success")
	if e.Script.Name != "memory-hog" && e.Script.Name != "pids-fork-loop" || e.Conduct == nil ||
		!succeeded || executed(e) == "no" {
		return ""
	}
	born := map[int]bool{} // processes that have started another one
	for _, step := range e.Conduct.Steps {
		name := nameOf(step)
		if step.Errno != "" {
			continue
		}
		if strings.HasPrefix(name, "clone") || strings.HasSuffix(name, "fork") {
			born[step.Process] = true
		}
		if w := joinedRE.FindStringSubmatch(step.Text); w != nil && born[step.Process] {
			return fmt.Sprintf("The limit did not act on the command. A process that had started "+
				"another one wrote %s to %s after that. Is it the number of that other one? The "+
				"two run at the same time, and what the command starts before is not in the "+
				"cgroup. Have the child wait until its parent has written all, as in a read(2) "+
				"from a pipe(7), or write \"0\" in the child itself.", w[2], w[1])
		}
	}
	return ""
}

// joinedRE matches a call that puts a process into a cgroup, by its number.
var joinedRE = lazyregexp.New(`^write\(<[^>]*/(cgroup\.procs|tasks)>, "([1-9]\d*)`)

// notLimited is for a command that used more than its limit, and nobody minded.
func notLimited(e harness.Event) string {
	m := exitStatus.FindStringSubmatch(e.Message)
	if e.Script.Name != "memory-hog" || e.Conduct == nil || m == nil || m[1] != "0" {
		return ""
	}
	c := cause{event: e}
	// clone3(2) can start a process in a cgroup.
	if !c.made("/cgroup.procs") && !c.made("/tasks") && !c.made("clone3(") {
		return "No process has joined the cgroup: its limits are for the processes whose number " +
			"is written to its file cgroup.procs, and for what they start from then on. The " +
			"process that becomes the command, or its parent, joins before that starts."
	}
	return "The limit did not act on the command. Is it a child of the process that joined the " +
		"cgroup, and was it started after that? And does the limit count swap, too?"
}

// nothingRead is for a command that gets no input, or whose errors are lost.
func nothingRead(e harness.Event) string {
	line := parseCommand(e.Script.Line(e.Line))
	if e.Script.Name == "streams" && line.name == "stderr" && !line.negated &&
		strings.TrimSpace(e.Stderr) == "" && strings.TrimSpace(e.Stdout) != "" {
		return "What the command wrote to standard output is there, and what it wrote to " +
			"standard error is lost: its descriptor 2 has to be that of your program, in both " +
			"processes."
	}
	if e.Script.Name != "streams" || commandLine(e.Ran) != "container run cat" ||
		strings.TrimSpace(e.Stdout) != "" || executed(e) != "yes" {
		return ""
	}
	if text := wrongWords(e); text != "" {
		return text
	}
	return "cat was executed, and got nothing to read: its descriptor 0 has to be that of your " +
		"program, in both processes. What starts a command and collects what it writes often " +
		"gives it an empty input." + inputOfBackground(e)
}

// ownEmptyLine is for a program that ends what the command wrote with an empty line.
func ownEmptyLine(e harness.Event) string {
	own := false
	for line := range strings.SplitSeq(e.Diff, "\n") {
		switch {
		case strings.HasPrefix(line, "---"), strings.HasPrefix(line, "+++"):
		case strings.HasPrefix(line, "+"), strings.TrimSpace(strings.TrimPrefix(line, "-")) != "" &&
			strings.HasPrefix(line, "-"):
			return ""
		case strings.HasPrefix(line, "-"):
			own = true
		}
	}
	line := parseCommand(e.Script.Line(e.Line))
	if !own || line.name != "cmp" || line.args[0] != "stdout" {
		return ""
	}
	return "What the command wrote is all there. The empty line is your program's own: let the " +
		"command write to descriptor 1 itself, or print what it wrote without a line break."
}

// wrongUsage is for a program that wants to be called in another way.
func wrongUsage(e harness.Event) string {
	m := usageRE.FindStringSubmatch(e.Stdout + "\n" + e.Stderr)
	if e.Script.Name == "usage" || executed(e) != "no" || m == nil {
		return ""
	}
	for _, file := range e.Conduct.Ran {
		// A tool was called in a wrong way. BusyBox is one of all names.
		if name := filepath.Base(file); name == m[2] || name == "busybox" {
			return ""
		}
	}
	return "Your program does not take this command line, and prints how it wants to be called. " +
		"The scripts call it as `container run CMD [ARG...]`, with any number of arguments."
}

var (
	// usageRE matches how a program wants to be called, and the name that it has there. An error of
	// syntax is something else, and so is the usage of memory.
	usageRE = lazyregexp.New(`(?im)(?:^\W*(usage\b|syntax:|use: [^\n]*?[<[])|` +
		`[^\w\s] ?usage:)\W*(\w*)`)
	// setupRE matches what a program may run before the command: itself, and tools.
	setupRE = lazyregexp.New(`^/proc/self/exe$|/(unshare|chroot|nsenter|u?mount|ip|` +
		`ifconfig|brctl|iptables|sudo|hostname|mkdir|cp|rm|env|id|newuidmap|newgidmap)$`)
)

// waitsBefore is for a program that hangs before it executes the command, as far as the second look
// tells: that is shorter than the first one.
func waitsBefore(e harness.Event) string {
	if e.Waiting == "" || executed(e) != "no" || inShell(e) {
		return ""
	}
	text := fmt.Sprintf("Your program was run once more, for a few seconds, and none of your "+
		"processes executed %s in that time: there was no execve(2) of it.", ranCommand(e))
	if strings.HasPrefix(e.Waiting, "`") && waitsOnPipeRE.MatchString(e.Waiting) {
		text += " A read(2) from a pipe ends when somebody writes into it, or when no process " +
			"has its other end open any longer, the one that reads included (pipe(7))."
	}
	return text
}

// waitsOnPipeRE matches a process that waits for what comes out of a pipe, which is not one of the
// standard streams.
var waitsOnPipeRE = lazyregexp.New(`waiting for input from descriptor (?:[3-9]|\d\d+) \(pipe\)`)

// statusLost is for a program that ran a command that failed, and ends as if it had not.
func statusLost(e harness.Event) string {
	m := exitStatus.FindStringSubmatch(e.Message)
	if m == nil || m[1] != "0" || executed(e) != "yes" || !ofCommand(e, m[2]) {
		return ""
	}
	where := "the status is the second byte: WEXITSTATUS, or what your language calls it, takes " +
		"it out"
	if atoi(m[2]) > 128 {
		where += ". That is 0 where a signal ended the command (WIFSIGNALED): then the status is " +
			"128 and its number (WTERMSIG)"
	}
	return fmt.Sprintf("The command ended with %s, and your program with 0. wait(2) tells the "+
		"status to the process that waits. Each of yours that waits for another has to ask for "+
		"it, and to end with the same. In the number that wait(2) gives, %s.", meaning(m[2]), where)
}

// ofCommand tells whether a status that a script expects is the command's own. Some are what the
// program itself has to end with, instead of executing the command.
func ofCommand(e harness.Event, status string) bool {
	return !slices.Contains([]string{"2", "125", "126", "127"}, status) ||
		strings.Contains(e.Ran, "exit "+status)
}

// starterGone is for a program whose first process ends, while the container goes on.
func starterGone(e harness.Event) string {
	m := sentRE.FindStringSubmatch(e.Ran)
	// The signal came to somebody, and nobody is there any longer to whom it could come.
	ended := m != nil && len(e.There) == 0 && strings.HasPrefix(e.Waiting, "`")
	if !ended && !strings.HasSuffix(e.Waiting, harness.StarterGone) {
		return ""
	}
	if m != nil {
		return fmt.Sprintf("When SIG%s came, the first process of your program ended, and the "+
			"container goes on: nobody waits for it any longer, and nobody takes away what was "+
			"made for it. A handler for the signal (sigaction(2)) passes it on with kill(2), and "+
			"the process goes on in wait4(2). Where the signal arrives there has to be a handler, "+
			"too: process 1 of a pid namespace gets no signal for which it has none.", m[1])
	}
	return "The first process of your program ended, and what it had started went on. It has to " +
		"wait for the container, wait4(2), before it ends."
}

// sentRE matches a line of a script that sends a signal to the program.
var sentRE = lazyregexp.New(`\bpkill -([A-Z]+) .*'container run `)

// signalStatus is for a program that does not tell of a signal as a shell does.
func signalStatus(e harness.Event) string {
	m := exitStatus.FindStringSubmatch(e.Message)
	said := withoutWarnings(killedRE.ReplaceAllString(e.Stderr, ""))
	if e.Script.Name != "exit-status-signal" || m == nil || e.Panicked ||
		m[1] != "0" && (errnoIn(said) != "" || errorRE.MatchString(said)) {
		return "" // that may be why
	}
	got, number := atoi(m[1]), atoi(m[2])-128
	name := unix.SignalName(unix.Signal(number))
	switch killed := strings.Contains(e.Stdout, "sleep was killed"); {
	case killed:
	case executed(e) != "yes" && !strings.HasSuffix(commandLine(e.Ran), " killed.sh"):
		return ""
	case executed(e) != "yes":
		return fmt.Sprintf("Your program ended with %d before anybody could send the signal: the "+
			"command, `sleep 6137`, was not seen. Your program has to execute it under that "+
			"name, and wait for its end.", got)
	case e.Conduct.CommandEnd == "":
		return fmt.Sprintf("%s did not end the command that sent it to itself. What a process "+
			"ignores or blocks when it calls execve(2) stays so (signal(7)): set the signal to "+
			"SIG_DFL, and unblock it (sigprocmask(2)), in the child before it executes the "+
			"command.", name)
	}
	switch {
	case got == 247 && number == 9: // -9 as a byte
		return "-9 is what some languages say of a command that signal 9 ended. If the status is " +
			"negative, end with 128 and the number of the signal: 128+9."
	case got == 255:
		return "What your program asked for had no exit status to tell, because a signal ended " +
			"the command, and -1 stands for that. Ask which signal it was (WTERMSIG, or what " +
			"your language calls it), and add 128 to its number."
	case got == 0:
		return "A signal ended the command, and your program ended with 0. wait(2) tells that in " +
			"another way than an exit status: look first whether there was a signal " +
			"(WIFSIGNALED), and add 128 to its number (WTERMSIG)."
	case got == number:
		return fmt.Sprintf("%d is the number of the signal. Add 128 to it.", number)
	case (got == 121 || got == 249) && number == 9: // 128-7, and -7 as a byte
		return "OCaml's own numbers for signals are negative, and KILL is -7 there " +
			"(Sys.sigkill). The status is 128 and the number that the kernel has, 9 for KILL " +
			"(signal(7)): a table makes one of the other."
	case got > 128 && unix.SignalName(unix.Signal(got-128)) != "":
		return fmt.Sprintf("%s ended the command, signal %d, and your program ended with %d, "+
			"which stands for %s. Is this number fixed in the source? wait(2) tells which signal "+
			"it was (WTERMSIG, or what your language calls it): the status is 128 and its number.",
			name, number, got, unix.SignalName(unix.Signal(got-128)))
	}
	return fmt.Sprintf("A signal ended the command, and your program ended with %d. wait(2) tells "+
		"which signal it was (WIFSIGNALED, WTERMSIG): the status is 128 and its number.", got)
}

// killedRE matches what languages and shells say of a command that KILL has ended, and a program of
// another one that ended because of that.
var killedRE = lazyregexp.New(`(?im)^.*\b(signal: killed|signal:? 9|killed|exit status \d+)\b.*$`)

// statusOther is for a program that has another status for a command that failed.
func statusOther(e harness.Event) string {
	m := exitStatus.FindStringSubmatch(e.Message)
	if e.Script.Name != "exit-status" || m == nil || m[1] == "0" || executed(e) != "yes" ||
		e.Panicked || strings.TrimSpace(e.Stderr) != "" || slices.Contains(faults, m[1]) {
		return ""
	}
	return fmt.Sprintf("The command ended with %s, and your program with %s. wait(2) tells the "+
		"status (WEXITSTATUS, or what your language calls it): each of your processes that waits "+
		"for another has to end with that very number.", m[2], m[1])
}

// errorStatus is for a program that failed to execute the command, as it has to, and does not tell
// that by its status.
func errorStatus(e harness.Event) string {
	r := commandRefused(e)
	if r == nil {
		return ""
	}
	m := exitStatus.FindStringSubmatch(e.Message)
	ends := "ends with " + m[1] + " then"
	if strings.Contains(panicked(e.Stderr), "nil pointer dereference") {
		ends = "then used something that is nil, and it panicked. A command that did not start " +
			"has no process: cmd.Process is nil, and cmd.ProcessState is nil. Look at the error " +
			"first"
	}
	text := fmt.Sprintf("%s cannot be executed, and that is right here: %s failed with %s. "+
		"Your program %s. A shell says 127 where there is no such file, "+
		"ENOENT, and 126 where it is there and cannot be executed: exit(%s).", ranCommand(e),
		r.Call, r.Errno, ends, m[2])
	if m[1] == "126" {
		text += " If your program looks at errno for that, it has to keep the number at once: " +
			"what is called in between, such as perror(3), may change it (errno(3))."
	}
	return text
}

// commandRefused is the call that found out that the command cannot be executed, where it is to be
// like that, or nil.
func commandRefused(e harness.Event) *harness.Refusal {
	m := exitStatus.FindStringSubmatch(e.Message)
	if m == nil || m[2] != "126" && m[2] != "127" || e.Conduct == nil || executed(e) != "no" {
		return nil
	}
	for _, r := range slices.Backward(e.Conduct.Refused) {
		switch {
		case filepath.Base(firstPath(r.Text)) == filepath.Base(ranCommand(e)):
			return &r
		case !r.Looks && !removes(r.Call): // that came later, and is why the program failed
			return nil
		}
	}
	return nil
}

// nilPanic is for a program that takes success for a failure.
func nilPanic(e harness.Event) string {
	bug, _, _ := strings.Cut(panicked(e.Stderr), "\n")
	if bug != "panic: nil" && !strings.Contains(bug, "panic called with nil argument") {
		return ""
	}
	return "nil is no error: the call had succeeded. The condition that is to find a failure " +
		"lets success through, too."
}

// helperFailed is for a program that runs another one than the command, which fails.
func helperFailed(e harness.Event) string {
	if e.Conduct == nil || executed(e) == "yes" || len(e.Conduct.Ran) == 0 {
		return ""
	}
	last := e.Conduct.Ran[len(e.Conduct.Ran)-1]
	m := anyStatus.FindStringSubmatch(panicked(e.Stderr))
	if m == nil {
		return fetchFailed(e, last)
	}
	advice := ""
	switch {
	case toolRE.MatchString(last):
		advice = nothingToFetch
	case networkToolRE.MatchString(last):
		if strings.TrimSpace(beforePanic(e.Stderr)) == "" {
			advice = "Why is what it writes to its standard error: let your program show that. "
		}
		if beforeChapters(e.Script) {
			advice += "A container gets a network of its own without any tool, by CLONE_NEWNET, " +
				"and no step before step 5 asks for interfaces in it."
		}
	default:
		return ""
	}
	return strings.TrimSpace(fmt.Sprintf("Your program ran %s, which ended with %s. %s",
		filepath.Base(last), m[0], advice))
}

// nothingToFetch is for a program that fetches a root file system.
const nothingToFetch = "There is no network on the throw-away host, and nothing has to be " +
	"fetched: the scripts run your program in a directory that has a root file system called " +
	"rootfs in it."

// fetchFailed is for a program that failed after it ran a tool that fetches root file systems, if
// that was the last file that it executed.
func fetchFailed(e harness.Event, last string) string {
	m := anyStatus.FindStringSubmatch(e.Message)
	if !toolRE.MatchString(last) || executed(e) != "no" || m == nil || m[1] == "0" ||
		panicked(e.Stderr) != "" {
		return ""
	}
	text := fmt.Sprintf("The last program that yours ran is %s, and then it failed.",
		filepath.Base(last))
	if line := ownError(e); line != "" {
		text += fmt.Sprintf(" This was said: %q.", line)
	}
	return text + " " + nothingToFetch
}

// toolRE matches what fetches and unpacks root file systems.
var toolRE = lazyregexp.New(`/(curl|wget|tar|unzip|docker|podman|skopeo|git|debootstrap)$`)

// networkToolRE matches what sets up interfaces and rules.
var networkToolRE = lazyregexp.New(`/(ip|ifconfig|brctl|tc|nft|ip6?tables)(-\w+)?$`)

// noNetwork is for a program that fails because it finds no network.
func noNetwork(e harness.Event) string {
	if !beforeChapters(e.Script) || executed(e) != "no" ||
		!networkRE.MatchString(e.Stdout+e.Stderr) && !fetches(e) && !requestFailed(e) {
		return "" // a chapter, or the command, wants one
	}
	return "There is no network on the throw-away host, and none is needed: nothing has to be " +
		"fetched, because the scripts run your program in a directory that has a root file " +
		"system called rootfs in it. Networks of containers are the business of step 5."
}

// fetches tells whether a program hangs because it waits for a tool that fetches something. What
// that has looked for before, and not found, is its own affair.
func fetches(e harness.Event) bool { return fetchesRE.MatchString(e.Waiting) }

// requestFailed tells whether a program that found no network says that it could not fetch
// something.
func requestFailed(e harness.Event) bool {
	return requestRE.MatchString(ownError(e)) && e.Conduct != nil &&
		slices.ContainsFunc(e.Conduct.Others, func(r harness.Refusal) bool {
			return r.Call == "connect" && r.Errno == "ENETUNREACH"
		})
}

// requestRE matches what is said of something that was to be fetched.
var requestRE = lazyregexp.New(`(?i)https?:|\b(requests? (to|for|failed)|registry|download\w*|` +
	`fetch\w*|pull(s|ed|ing)?|manifests?)\b`)

// fetchesRE matches such a tool in what is told of the waiting.
var fetchesRE = lazyregexp.New("was waiting for `(?:/[^ `]*/)?(?:apt/methods/\\w+|curl|wget|" +
	"apt-get|apt|apk|dnf|pip3?|npm|skopeo|git-remote-https?)[ `]")

// networkRE matches what programs say where there is no network.
var networkRE = lazyregexp.New(`(?i)network is unreachable|default route|no such host|` +
	`resolve host|name resolution|name or service not known|getaddrinfo|ENETUNREACH`)
