//go:build linux

package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"container.example/workshop/internal/harness"
	"container.example/workshop/internal/lazyregexp"
)

// A cause is why a program failed, as far as that can be told: a system call and its error.
type cause struct {
	event harness.Event
	call  string // pivot_root; none if only the error is known
	errno string // EINVAL
	text  string // the call in print, or the words in which it was found
	path  string // the first path that the call is about
	// missing is one of its paths that was not there, if that was seen.
	missing string
	seen    bool // the kernel saw it. Otherwise it is read from words of the program.
	// inside tells that the kernel saw it after the program had changed its root.
	inside bool
}

// made tells whether the program made a call whose print contains the text. Where nothing was seen
// of the program it is not known.
func (c cause) made(text string) bool {
	return c.event.Conduct != nil && slices.ContainsFunc(c.event.Conduct.Made,
		func(made string) bool {
			return strings.Contains(made, text)
		})
}

// earlier are the calls that succeeded before the one that failed.
func (c cause) earlier() (made []string) {
	if c.event.Conduct == nil || !c.seen {
		return nil
	}
	for _, step := range c.event.Conduct.Steps {
		switch {
		case step.Text == c.text && step.Errno == c.errno:
			return made
		case step.Errno == "":
			made = append(made, step.Text)
		}
	}
	return nil // it is not known
}

// changedRoot tells whether the program had changed its root before.
func (c cause) changedRoot() bool {
	if c.seen {
		return c.inside
	}
	return c.made("pivot_root(") || c.made("chroot(")
}

// findCause finds out what failed: from the eyes of the kernel, otherwise from the words of the
// program.
func findCause(e harness.Event) (c cause) {
	c.event = e
	if r := blame(e); r != nil {
		c.call, c.errno, c.text, c.seen = r.Call, r.Errno, r.Text, true
		c.path, c.inside, c.missing = firstPath(r.Text), r.Inside, r.Missing
		return c
	}
	words := unseen(e) + e.Stderr + "\n" + e.Stdout
	for _, b := range e.Background {
		words += "\n" + b.Stderr
	}
	words += "\n" + e.Message // which may name paths of others
	if e.Conduct == nil || endedOtherwise(e) {
		if status, _ := endedWith(e); status == "0" {
			words = withoutWarnings(words)
		}
		c.text = panicked(unseen(e)+e.Stderr) + "\n" + words
		c.errno, c.call = errnoIn(c.text), callIn(c.text)
		for _, path := range pathRE.FindAllString(c.text, -1) {
			if !sourceRE.MatchString(path) {
				c.path = path
				break
			}
		}
	}
	return c
}

var (
	quotedRE = lazyregexp.New(`"([^"]*)"`)
	pathRE   = lazyregexp.New(`(?m)(/[\w.-]+){2,}`)
	// sourceRE matches what a trace names.
	sourceRE = lazyregexp.New(`^/rustc/|\.(c|cc|cpp|go|java|js|kt|nim|php|pl|py|rb|rs|sh)$`)
)

// blame is the system call that is to blame for a failure, or nil.
func blame(e harness.Event) *harness.Refusal {
	r := lastRefused(e)
	if r == nil {
		return nil
	}
	return origin(e.Conduct.Refused, r)
}

// origin is the refusal because of which a later one came: what should have been made, and was not,
// is not there to be used, or to be removed.
func origin(refused []harness.Refusal, later *harness.Refusal) *harness.Refusal {
	path := strings.TrimSuffix(lastPath(later.Text), "/")
	for _, r := range refused {
		made := strings.TrimSuffix(lastPath(r.Text), "/")
		switch {
		case r == *later:
			return later
		case r.Errno == "EEXIST" || made == "":
		case r.Call == "mkdir" || r.Call == "mkdirat" || r.Call == "mount":
			if removes(later.Call) && made == path ||
				later.Errno == "ENOENT" && later.Inside == r.Inside &&
					(isBelow(path, made) || r.Call != "mount" && made == path) {
				return &r
			}
		}
	}
	return later
}

// removes tells whether a call takes away what was made.
func removes(call string) bool {
	return call == "rmdir" || call == "unlinkat" || call == "umount2"
}

// isBelow tells whether a path leads through a directory, which may be relative to some other.
func isBelow(path, dir string) bool {
	return dir != "." && (strings.HasPrefix(path, dir+"/") ||
		!strings.HasPrefix(dir, "/") && strings.Contains(path, "/"+dir+"/"))
}

// lastRefused is the system call whose error the program ended with, or nil.
func lastRefused(e harness.Event) *harness.Refusal {
	if e.Conduct == nil {
		return nil
	}
	if outputOfUsage(e) || statusLost(e) != "" || len(e.Left) > 0 {
		return nil // whatever came after the command, or was in the way
	}
	if r := commandRefused(e); r != nil {
		return r
	}
	if executed(e) == "yes" && knewStatus(e) != "" {
		return nil // what was refused before did not keep it from that
	}
	if r := rootRefused(e); r != nil && e.Script.Name == "root-is-rootfs" && executed(e) == "yes" {
		return r // the command did not find the files of the new root, whatever its status is
	}
	status, said := endedWith(e)
	content := !e.Panicked && (status == "" || status == "0") && panicked(e.Stderr) == ""
	switch {
	case content && executed(e) != "no":
		return ignored(e) // the program was content, and may be
	case content && otherCommand(e) != "" && otherRefused(e) == nil:
		return nil // it did what it wanted
	}
	if slices.Contains(faults, status) {
		return nil // it did not go on to end because of a refusal
	}
	if e.Waiting != "" {
		return refusedAsSaid(e, e.Conduct.Stderr, content)
	}
	meant := refusedAsSaid(e, said, content)
	if own := shellErrors(e); own != "" {
		return laterRefused(e, meant, refusedAsSaid(e, own, content))
	}
	return meant
}

// laterRefused is the later one of two calls, of which one or both may be nil.
func laterRefused(e harness.Event, a, b *harness.Refusal) *harness.Refusal {
	at := func(r *harness.Refusal) int {
		if r == nil {
			return -1
		}
		return slices.Index(e.Conduct.Refused, *r)
	}
	if a == nil || at(b) > at(a) {
		return b
	}
	return a
}

// refusedAsSaid is the system call that a program means by what it says at its end, or nil. A
// program may go on after a refusal, and fail later of something else: its own words tell. A
// program that is content ended with status 0.
func refusedAsSaid(e harness.Event, said string, content bool) *harness.Refusal {
	bug := panicked(said)
	if saysStatus(bug) {
		bug = "" // of the other process, which says why
	}
	if words := unseen(e); words != "" && bug == "" {
		said, bug = words+said, panicked(words)
	}
	if bug != "" {
		said = bug
	}
	errno := errnoIn(said)
	if errno == "" && notStartedRE.MatchString(bug) {
		return cmp.Or(childRefused(e), notExecuted(e))
	}
	if errno == "" && (bug != "" || e.Waiting != "") {
		return notExecuted(e) // otherwise it is about no call
	}
	isIt := func(r harness.Refusal) bool { return r.Errno == errno }
	if errno == "EACCES" && !slices.ContainsFunc(e.Conduct.Refused, isIt) {
		errno = "EPERM" // mount(8) and some languages have the same words for both
	}
	var last, lookedFor *harness.Refusal
	for _, r := range slices.Backward(e.Conduct.Refused) {
		made := (r.Call == "mkdir" || r.Call == "mkdirat") && r.Errno == "EEXIST"
		switch {
		case made && errno != "EEXIST", errno != "" && !isIt(r), content && removes(r.Call):
		case r.Looks && cause{event: e}.madeDirectory(firstPath(r.Text)): // to clean it up
		case namesPath(said, firstPath(r.Text)):
			return &r
		case r.Looks && lookedFor == nil:
			lookedFor = &r
		case !r.Looks && last == nil:
			last = &r
		}
	}
	if last == nil && lookedFor == nil && errno != "" {
		for _, r := range slices.Backward(e.Conduct.Others) {
			if isIt(r) {
				return &r
			}
		}
	}
	name := ranCommand(e)
	silent := strings.TrimSpace(said) == ""
	switch {
	case lookedFor == nil:
	case last == nil && (errno != "" || isInWork(firstPath(lookedFor.Text), name)),
		silent && isInWork(firstPath(lookedFor.Text), name):
		return lookedFor
	}
	return last
}

// notStartedRE matches a panic of a program in Go that used the process of a command that there is
// not, with the line that did it.
var notStartedRE = lazyregexp.New(`nil pointer dereference\n.*\.Process(State)?\b`)

// childRefused is the last call that failed in a child of the program that executed nothing: what
// starts a command makes it before execve(2). It is nil if there was none.
func childRefused(e harness.Event) *harness.Refusal {
	if executed(e) != "no" {
		return nil
	}
	for _, r := range slices.Backward(e.Conduct.Refused) {
		ofChild := slices.ContainsFunc(e.Conduct.Steps, func(s harness.Step) bool {
			return s.Process > 0 && s.Text == r.Text && s.Errno == r.Errno
		})
		if !r.Looks && (ofChild || strings.HasPrefix(r.Call, "clone")) {
			return &r
		}
	}
	return nil
}

// outputOfUsage tells whether a program failed as it should, on a command line that is wrong, and
// wrote to standard output.
func outputOfUsage(e harness.Event) bool {
	line := parseCommand(e.Script.Line(e.Line))
	return e.Script.Name == "usage" && line.name == "stdout" && line.negated
}

// shellErrors are the lines in which a shell names its errors, if they went to standard output:
// standard error may then have only what others say.
func shellErrors(e harness.Event) string {
	if executed(e) == "yes" || shellErrorRE.MatchString(e.Stderr) {
		return ""
	}
	return strings.Join(shellErrorRE.FindAllString(e.Stdout, -1), "\n")
}

// shellErrorRE matches what a shell says of an error: the file that it executes, and the line.
var shellErrorRE = lazyregexp.New(`(?m)^/\S+: (?:line )?\d+: .*$`)

// notExecuted is the last call that was to execute the command, where none did, or nil. A program
// that does not expect that may fail of something else later.
func notExecuted(e harness.Event) *harness.Refusal {
	name := ranCommand(e)
	if executed(e) != "no" || strings.HasPrefix(name, "no-such") {
		return nil
	}
	for _, r := range slices.Backward(e.Conduct.Refused) {
		if strings.HasPrefix(r.Call, "execve") && filepath.Base(firstPath(r.Text)) == name {
			return &r
		}
	}
	return nil
}

// isInWork tells whether a path is that of a file of this name in the directory of a script.
func isInWork(path, name string) bool { return path == name || path == "$WORK/"+name }

// endedWith is the exit status of the program, and what it wrote on standard error. Of a program in
// the background it is that of one that failed.
func endedWith(e harness.Event) (status, said string) {
	if m := anyStatus.FindStringSubmatch(e.Message); m != nil {
		return m[1], e.Stderr
	}
	said = e.Stderr
	for _, b := range e.Background {
		number, ok := strings.CutPrefix(b.State, "exit status ")
		if ok && number != "0" && strings.TrimSpace(said) == "" {
			return number, b.Stderr
		}
	}
	return "", said
}

// endedOtherwise tells whether the program, when it was run once more, did not end as it had ended
// in the script: what it failed of there was not seen then.
func endedOtherwise(e harness.Event) bool {
	status, _ := endedWith(e)
	again := e.Conduct.Status
	return status != "" && again != "" && again != "exit status "+status
}

// firstPath is the first path that a call is about, in print.
func firstPath(call string) string {
	if m := quotedRE.FindStringSubmatch(call); m != nil {
		return m[1]
	}
	return ""
}

// lastPath is the path at which a call makes or removes something, in print: of mount(2) it is the
// second one, the mount point.
func lastPath(call string) string {
	if m := mountPointRE.FindStringSubmatch(call); m != nil {
		return m[1]
	}
	paths := quotedRE.FindAllStringSubmatch(call, -1)
	if len(paths) == 0 {
		return ""
	}
	return paths[len(paths)-1][1]
}

// mountPointRE matches mount(2), whose first argument may be no text.
var mountPointRE = lazyregexp.New(`^mount\((?:"[^"]*"|[^",]*), "([^"]*)"`)

// namesPath tells whether a text names a path, and not one that contains it.
func namesPath(text, path string) bool {
	if len(strings.Trim(path, "./")) < 3 {
		return false
	}
	alone := regexp.MustCompile(`(^|[^\w./-])` + regexp.QuoteMeta(path) + `(\.?$|\.?[^\w./-])`)
	return alone.MatchString(text)
}

// faults are the exit statuses of what the kernel has ended: for a system call that a filter kills
// (SIGSYS), or a bug (SIGILL, SIGTRAP, SIGSEGV).
var faults = []string{"132", "133", "139", "159"}

// executed tells whether the command of the container was executed: yes, no, or nothing where that
// is not known.
func executed(e harness.Event) string {
	command := ranCommand(e)
	if e.Conduct == nil || command == "" {
		return ""
	}
	if strings.HasPrefix(firstWord(e), "-") &&
		(parseCommand(e.Ran).negated || !beforeChapters(e.Script)) {
		// A program that refuses a wrong flag is right to execute nothing. And what a flag of a
		// chapter makes, such as a network, may stand in its own way when we run it once more.
		return ""
	}
	for _, file := range e.Conduct.Ran {
		if filepath.Base(file) == filepath.Base(command) {
			return "yes"
		}
	}
	// A library may have followed the link of the command.
	if slices.ContainsFunc(e.Conduct.RanInside, func(file string) bool {
		return filepath.Base(file) == "busybox"
	}) {
		return ""
	}
	return "no"
}

// beforeChapters tells whether a script is one of steps 1 to 4, which the article has.
func beforeChapters(s harness.Script) bool { return s.Step >= "step1" && s.Step < "step5" }

// refused is the row of a failure that tells which call the kernel refused.
func refused(e harness.Event) string {
	r := blame(e)
	if r == nil || notInstalled(e) != "" ||
		flagNotKnown(e) != "" && filepath.Base(firstPath(r.Text)) != firstWord(e) {
		return ""
	}
	text := fmt.Sprintf("%s: %s (%s)", r.Text, r.Errno, r.Cause)
	if tool := toolOf(*r); tool != "" {
		text += ", in " + tool
	}
	if later := lastRefused(e); *later != *r {
		text += fmt.Sprintf("\nand therefore later %s: %s (%s)", later.Text, later.Errno,
			later.Cause)
	}
	return text
}

// errnos are the errors of the kernel in the words of Go and of strerror(3), the longest words
// first: some of them are the beginning of others.
var errnos = sync.OnceValue(func() (all []namedError) {
	const last = unix.EHWPOISON
	for e := unix.Errno(1); e <= last; e++ {
		// ENOTTY is what shells say where there is no terminal, and go on.
		if name := unix.ErrnoName(e); name != "" && e != unix.ENOTTY {
			all = append(all, namedError{strings.ToLower(e.Error()), name})
		}
	}
	slices.SortStableFunc(all, func(a, b namedError) int { return len(b.words) - len(a.words) })
	return all
})

type namedError struct{ words, name string }

// errnoRE matches an error by its name, as in ENOENT, or by its number, as in "os error 2".
var errnoRE = lazyregexp.New(`\b(E[A-Z0-9]{3,})\b|(?i:\b(?:errno|os error)[ :=]+(\d+))`)

func errnoIn(text string) string {
	lower := strings.ToLower(text)
	for _, e := range errnos() {
		if strings.Contains(lower, e.words) {
			return e.name
		}
	}
	for _, m := range errnoRE.FindAllStringSubmatch(text, -1) {
		name := m[1]
		if n, err := strconv.Atoi(m[2]); err == nil {
			name = unix.ErrnoName(unix.Errno(n))
		}
		isIt := func(e namedError) bool { return e.name == name }
		if slices.ContainsFunc(errnos(), isIt) {
			return name
		}
	}
	return ""
}

// callNames are the ways in which programs name system calls.
var callNames = []struct {
	words lazyregexp.Regexp
	call  string
}{
	{lazyregexp.New(`(?i)pivot_?root`), "pivot_root"},
	{lazyregexp.New(`\bwrite /sys/fs/cgroup`), "write"}, // in Go
	{lazyregexp.New(`(?i)\bchroot`), "chroot"},
	{lazyregexp.New(`(?i)\bu(n)?mount`), "umount2"},
	{lazyregexp.New(`(?i)\bmount`), "mount"},
	{lazyregexp.New(`(?i)\bmkdir`), "mkdirat"},
	{lazyregexp.New(`(?i)\bchdir`), "chdir"},
	{lazyregexp.New(`(?i)sethostname`), "sethostname"},
	{lazyregexp.New(`(?i)\bunshare`), "unshare"},
	{lazyregexp.New(`(?i)fork/exec|\bexecv|\bexec:`), "execve"},
	{lazyregexp.New(`(?i)\bclone\b`), "clone"},
	{lazyregexp.New(`(?i)/sys/fs/cgroup`), "openat"},
}

func callIn(text string) string {
	for _, c := range callNames {
		if c.words.MatchString(text) {
			return c.call
		}
	}
	return ""
}

// clues say what an error of a system call means for a container program, in words for every
// language. An empty clue leaves it to those that know only the error.
var clues = map[string]map[string]func(cause) string{
	"pivot_root": {
		"EINVAL": notPrivate, "EBUSY": noMountPoint, "ENOENT": noOldRoot,
		"EPERM": notRoot,
	},
	"chroot": {"ENOENT": noRootfs, "EPERM": notRoot},
	"chdir":  {"ENOENT": noRootfs},
	"mount": {
		"ENOENT": noMountTarget, "EPERM": mountRefused, "EBUSY": mountedAlready,
		"ENOTDIR": notAlike, "EINVAL": badMountData, "ENODEV": noSuchType,
	},
	"mount_setattr": {
		"EINVAL": noIDMap, "EPERM": noIDMap, "ENOENT": noEmptyPath, "EBADF": noEmptyPath,
	},
	"move_mount": {"EINVAL": notMovable, "ENOENT": noEmptyPath, "EBADF": noEmptyPath},
	"umount2":    {"EBUSY": busyMount, "EINVAL": notMounted, "ENOENT": notMounted},
	"rmdir":      {"EBUSY": busyCgroup},
	"unlinkat":   {"EBUSY": busyCgroup},
	"mkdir":      {"EROFS": readOnlyHost, "ENOENT": noParent, "EEXIST": madeBefore},
	"mkdirat":    {"EROFS": readOnlyHost, "ENOENT": noParent, "EEXIST": madeBefore},
	"openat":     {"EROFS": readOnlyHost, "ENOENT": noCgroup, "EACCES": noCgroup},
	"write": {
		"EPERM": badMap, "EINVAL": badMapOrLimit, "ENOENT": noController, "EBUSY": noController,
		"EOPNOTSUPP": noController,
	},
	"unshare": {"EPERM": notRoot, "EINVAL": manyThreads},
	"clone": {
		"EPERM": notRoot, "EINVAL": badFlags, "ENOSPC": nested, "EAGAIN": tooMany,
		"ENOMEM": noInit,
	},
	"fork":   {"ENOMEM": noInit, "EAGAIN": tooMany},
	"vfork":  {"ENOMEM": noInit, "EAGAIN": tooMany},
	"clone3": {"EPERM": notRoot, "EINVAL": badFlags, "ENOSPC": nested, "EAGAIN": tooMany},
	"execve": {
		"ENOENT": noProgram, "EACCES": notExecutableThere, "ENOEXEC": noFormat,
		"ENOTDIR": noProgram,
	},
	"setgroups": {"EPERM": groupsTooLate},
	"setresgid": {"EPERM": groupsTooLate, "EINVAL": noSuchID},
	"setgid":    {"EPERM": groupsTooLate, "EINVAL": noSuchID},
	"setresuid": {"EINVAL": noSuchID},
	"setuid":    {"EINVAL": noSuchID},
	"capset":    {"EPERM": rightsTooLate},
	"prctl": {
		"EPERM": rightsTooLate, "EINVAL": badFilter, "EACCES": badFilter, "EFAULT": badFilter,
	},
	"seccomp":  {"EINVAL": badFilter, "EACCES": badFilter, "EFAULT": badFilter},
	"ioctl":    {"EPERM": ioctlRefused},
	"execveat": {"ENOENT": noProgram, "EACCES": notExecutableThere, "ENOEXEC": noFormat},
	"sethostname": {
		"EPERM": func(c cause) string {
			switch {
			case c.seen && c.made("CLONE_NEWUSER") && !c.made("CLONE_NEWUTS"):
				return "The name is still the one of the host, and root of a user namespace may " +
					"not change that: none of your processes asked for a uts namespace. " +
					"CLONE_NEWUTS of clone(2) or unshare(2) makes one."
			case c.nobody() != "":
				return c.nobody()
			case os.Geteuid() != 0:
				return notRoot(c)
			case c.made("PR_CAPBSET_DROP"):
				return "sethostname(2) needs CAP_SYS_ADMIN, and your program drops capabilities " +
					"before it executes the command (prctl(2), capabilities(7))."
			}
			return "The name belongs to the uts namespace: a process may change it if it is root " +
				"in the user " +
				"namespace that owns it. Make both in the same call, or neither."
		},
	},
	"": {
		"ENOENT":  noFile,
		"EROFS":   readOnlyHost,
		"EPERM":   notRoot,
		"ENOEXEC": noFormat,
		"ENOSPC":  nested,
		"ELOOP":   nested,
		"EFAULT":  noAddress,
		"EBADF":   notOpen,

		"ENAMETOOLONG": tooLong,
		"EOVERFLOW": func(cause) string {
			return "What this process makes would belong to an id that has none on the host: the " +
				"maps of both, users and groups, have to be there (user_namespaces(7))."
		},
	},
}

// clue says what an error that does not explain itself means for a container program.
func clue(e harness.Event) string {
	for _, tell := range []func(harness.Event) string{
		notStartable, procLost, notInstalled, flagNotKnown, takenForRun, unshareKilled,
		cgroupAmiss, limitTaken, limitRefused, errorStatus, childless, starterGone, leavesBehind,
		shellLine,
	} {
		if text := tell(e); text != "" {
			return text
		}
	}
	aboutPids := strings.Contains(e.Script.Name, "pids")
	if e.Tasks >= harness.MaxTasks() && !aboutPids {
		return fmt.Sprintf("The throw-away host allows %d processes and threads at once, and "+
			"there were %d in all: does "+
			"the second copy of the program start a copy again, instead of the command?",
			harness.MaxTasks(), e.Tasks)
	}
	c := findCause(e)
	for _, tell := range []func(cause) string{filtered, wideText, wordAsFile, unasked} {
		if text := tell(c); text != "" {
			return text
		}
	}
	if c.errno != "" && !(aboutPids && c.errno == "EAGAIN") {
		if text := c.clue(); text != "" {
			return strings.TrimSpace(text + " " + notLookedAt(e))
		}
	}
	if text := wentOn(c); text != "" {
		return text
	}
	if text := notLookedAt(e); text != "" && c.seen {
		return text
	}
	for _, tell := range habits {
		if text := tell(e); text != "" {
			return text
		}
	}
	return cmp.Or(lastSeen(e), facts(e))
}

// notLookedAt is for a program in Go that goes on when a command did not start.
func notLookedAt(e harness.Event) string {
	if !notStartedRE.MatchString(panicked(e.Stderr)) || executed(e) != "no" {
		return ""
	}
	return "So the command did not start. Nobody looked at that error: cmd.Process is nil then, " +
		"and cmd.ProcessState is nil."
}

// clue says what the error of the call means, otherwise what the error means.
func (c cause) clue() string {
	for _, call := range []string{c.call, ""} {
		if tell := clues[call][c.errno]; tell != nil {
			if text := tell(c); text != "" {
				return text
			}
		}
	}
	return ""
}

func notPrivate(c cause) string {
	private := "Mounts are still shared with the host: / is a shared mount here, as on every " +
		"machine with systemd, and " +
		"pivot_root(2) refuses that. Make all mounts private before the second copy does " +
		"anything else: mount(2) on / " +
		"with MS_PRIVATE and MS_REC."
	point := "The new root has to be a mount point: bind the directory on itself first, mount(2) " +
		"with MS_BIND. And the " +
		"place for the old root has to be in or below the new one."
	switch {
	case c.madeUnplaced("move_mount") && c.madeUnplaced("mount_setattr"):
		return "The mount that came from the parent is a copy of a shared one, and is shared " +
			"too: pivot_root(2) refuses that. Give it MS_PRIVATE as its propagation in " +
			"mount_setattr(2), or make it private when it has its place."
	case c.path == "." && c.made("MS_BIND") && !c.made("chdir("):
		return "The new root is \".\" here, the working directory, and that is still the one in " +
			"which the program was started: chdir(2) into the new root comes before."
	case c.seen && !c.made("CLONE_NEWNS") && !c.made("setns("):
		return "None of your processes asked for a mount namespace: pivot_root(2) would change " +
			"the root of the host itself, and is refused here. CLONE_NEWNS of clone(2) or " +
			"unshare(2) makes a namespace. Make its mounts private before anything else, " +
			"mount(2) on / with MS_PRIVATE and MS_REC: its copy of / is still shared with the host."
	case c.swapped():
		return "The first path is the new root, and the second one, in or below that, the place " +
			"for the old root. Here they are the other way round."
	case c.privateAlone() != "" && c.made("MS_BIND") && !c.outsideNewRoot():
		return "The new root lies on a mount that is still shared with the host, and " +
			"pivot_root(2) refuses that. " + c.privateAlone()
	case c.made("MS_PRIVATE") || c.made("MS_SLAVE"):
		return point
	case c.seen && c.made("MS_BIND"):
		return private
	}
	return private + " " + point
}

// swapped tells whether the call got its two paths in the wrong order: the first is below the
// other.
func (c cause) swapped() bool {
	paths := quotedRE.FindAllStringSubmatch(c.text, -1)
	if len(paths) != 2 || paths[1][1] == "/" {
		return false
	}
	below, err := filepath.Rel(paths[1][1], paths[0][1])
	return err == nil && below != "." && !strings.HasPrefix(below, "..")
}

// outsideNewRoot tells whether the place for the old root is not below the new root, as far as the
// two paths tell.
func (c cause) outsideNewRoot() bool {
	paths := quotedRE.FindAllStringSubmatch(c.text, -1)
	if len(paths) != 2 {
		return false
	}
	below, err := filepath.Rel(paths[0][1], paths[1][1])
	return err == nil && strings.HasPrefix(below, "..")
}

// privateAlone is for a program that made / private, and never the mounts below it.
func (c cause) privateAlone() string {
	now := ""
	for _, made := range c.mounts() {
		private, slave := strings.Contains(made, "MS_PRIVATE"), strings.Contains(made, "MS_SLAVE")
		switch {
		case !private && !slave:
			continue
		case strings.Contains(made, "MS_REC"), lastPath(made) != "/", c.made("mount_setattr("):
			return ""
		case private:
			now = "private"
		default:
			now = "a slave"
		}
	}
	if now == "" {
		return ""
	}
	return fmt.Sprintf("Your program made / %s without MS_REC: that changes one mount, and those "+
		"below it stay as they are. mount(2) on / takes MS_PRIVATE and MS_REC together.", now)
}

// mounts are the calls of mount(2) that succeeded.
func (c cause) mounts() (made []string) {
	if c.event.Conduct == nil {
		return nil
	}
	for _, call := range c.event.Conduct.Made {
		if strings.HasPrefix(call, "mount(") {
			made = append(made, call)
		}
	}
	return made
}

func noMountPoint(cause) string {
	return "The new root is on the same mount as the present root: bind the directory on itself " +
		"first, mount(2) with " +
		"MS_BIND, and give pivot_root(2) that path."
}

// movedTo tells whether the process that made the call is in a directory, given by a relative path.
func (c cause) movedTo(dir string) bool {
	return strings.HasSuffix("/"+filepath.Clean(c.workingDir()), "/"+dir)
}

// workingDir is the directory to which the process that made the call went last, or nothing. A
// child begins in the directory of its parent, so the last chdir(2) of either counts.
func (c cause) workingDir() string {
	if c.event.Conduct == nil {
		return ""
	}
	steps, process := c.event.Conduct.Steps, 0
	failed := slices.IndexFunc(steps, func(step harness.Step) bool {
		return step.Text == c.text && step.Errno == c.errno
	})
	look := slices.IndexFunc(c.event.Conduct.Refused, func(r harness.Refusal) bool {
		return r.Looks && r.Text == c.text && r.Errno == c.errno
	})
	switch {
	case failed >= 0:
		process = steps[failed].Process
	case look >= 0: // which is no step
		failed, process = len(steps), c.event.Conduct.Refused[look].Process
	default:
		return ""
	}
	parents := map[int]int{}
	for _, step := range steps {
		parents[step.Process] = step.Parent
	}
	line := map[int]bool{} // that process, and those from which it descends
	for p := process; !line[p]; p = parents[p] {
		line[p] = true
	}
	for _, step := range slices.Backward(steps[:failed]) {
		if call := nameOf(step); step.Errno == "" && line[step.Process] &&
			(call == "chdir" || call == "fchdir") {
			return firstPath(step.Text)
		}
	}
	return ""
}

// elsewhere is for a relative path that a process used after it had left the directory where the
// program is run.
func (c cause) elsewhere(path string) string {
	dir := c.workingDir()
	if dir == "" || dir == "$WORK" || strings.Trim(dir, "./") == "" && dir != "/" ||
		path == "" || filepath.IsAbs(path) {
		return ""
	}
	return fmt.Sprintf("The path %q begins at the working directory, which chdir(%q) has changed "+
		"before: there is no such path in there. Go there later, or take an absolute path.", path,
		dir)
}

func noOldRoot(c cause) string {
	dir := filepath.Clean(c.path)
	if c.path != "" && c.made(`umount2("`+c.path+`"`) && c.made("MS_BIND") {
		return "Your program unmounted something before, and the mount of the new root went with " +
			"that. The old root is unmounted after pivot_root(2)."
	}
	if !filepath.IsAbs(dir) && dir != "." && c.movedTo(dir) {
		return fmt.Sprintf("The working directory is %s already, because of chdir(2), and a "+
			"relative path begins there: %s/%s is meant now, and is not there. Take absolute "+
			"paths, or give pivot_root(2) the new root as \".\".", dir, dir, dir)
	}
	if text := c.oldRootMissing(); text != "" {
		return text
	}
	return "Both directories have to be there: the new root, and in or below it a directory on " +
		"which the old root is put. " +
		"pivot_root(\".\", \".\") needs no such directory, see the notes of pivot_root(2)."
}

// onPurpose tells whether there is no root file system, and that is the point of the script.
func (c cause) onPurpose() bool {
	about := c.event.Script.Name
	return about == "rootfs-missing" || about == "rootfs-a-file"
}

// noRootfs is for a root file system that the program looks for in another place.
func noRootfs(c cause) string {
	line := parseCommand(c.event.Script.Line(c.event.Line))
	if c.onPurpose() && line.name == "stderr" {
		return "There is none here, on purpose, and your program ends as it should. The line " +
			"with which it does so has to name what is missing, rootfs."
	}
	if c.onPurpose() {
		return "There is none here, on purpose. So the error is right, and it has to be told in " +
			"a line on standard error, with status 125."
	}
	if c.changedRoot() {
		return cmp.Or(noPtmx(c.event), noDevNull(c), toolOfHost(c), rootTwice(c), nowhere(c),
			"The root is another one already: paths begin in the container now.")
	}
	if dir := filepath.Clean(c.path); c.call == "chroot" && !filepath.IsAbs(dir) && dir != "." &&
		c.movedTo(dir) {
		return fmt.Sprintf("The working directory is %s already, because of chdir(2), and a "+
			"relative path begins there: %s/%s is meant now, and is not there. Take an absolute "+
			"path, or give it to chroot(2) as \".\".", dir, dir, dir)
	}
	if c.call == "chroot" && c.path != "" && c.path == ranCommand(c.event) {
		return fmt.Sprintf("Your program takes the command for the directory of the root file "+
			"system, which is called rootfs. In a shell, a variable before %q that nobody has set "+
			"does that.", c.path)
	}
	if text := c.elsewhere(c.path); text != "" {
		return text
	}
	if ofKernelRE.MatchString(c.path) {
		return "" // that is no root file system
	}
	if inside, ok := strings.CutPrefix(filepath.Clean(c.path), "rootfs/"); ok {
		return fmt.Sprintf("There is a root file system called rootfs in the directory where the "+
			"program is, and there is no /%s in it.", inside)
	}
	if c.path != "rootfs" && filepath.Clean(c.path) != "rootfs" && c.path != "" && c.path != "/" {
		return rootElsewhere(c.path)
	}
	return fmt.Sprintf("There is no %s in the directory where the program is.",
		orName(c.path, "such directory"))
}

// rootTwice is for a program that changes its root to a directory, and later once more.
func rootTwice(c cause) string {
	if !c.seen || c.call != "chroot" || !c.made(fmt.Sprintf("chroot(%q", c.path)) {
		return ""
	}
	text := fmt.Sprintf("%s is the root already: chroot(2) succeeded before, and there is no "+
		"directory of that name in it.", c.path)
	itself := 0
	for _, file := range c.event.Conduct.Ran {
		if ofItself(file) {
			itself++
		}
	}
	if itself > 1 {
		text += fmt.Sprintf(" Your program started itself %d times: does the second copy start a "+
			"copy again, instead of the command?", itself)
	}
	return text
}

// nowhere is for a file that the program looks for in the new root, and that is not on the host.
func nowhere(c cause) string {
	name := ranCommand(c.event)
	if c.path == "" || filepath.IsAbs(c.path) && onHost(c.path) || executed(c.event) != "no" {
		return ""
	}
	return fmt.Sprintf("There is no %s, neither in the root file system, where paths begin since "+
		"the root was changed, nor outside of it: the scripts run your program in a directory "+
		"that has a root file system called rootfs in it, and nothing else. And none of its "+
		"processes executed %s.", c.path, name)
}

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

// rootElsewhere is for a root file system in another place than that of the scripts.
func rootElsewhere(path string) string {
	return fmt.Sprintf("The scripts run your program in a directory that has a root file system "+
		"called rootfs in it. It looks for %q: take the relative path rootfs.", path)
}

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
	case !strings.Contains(name, "/") && filepath.Base(c.path) == name:
		return fmt.Sprintf("Your program takes the word %q for the path of a file. It is a "+
			"name, which has to be looked for in the directories of $PATH: execvp(3) does that. "+
			"And nobody has to copy it: there is one in the root file system.", name)
	case c.path == "run" || c.path == "child":
		return noProgram(c)
	case rootRE.MatchString(c.path) || c.changedRoot() && !strings.HasPrefix(c.call, "exec"):
		return noRootfs(c)
	case strings.HasPrefix(c.call, "exec"):
		return ""
	}
	text := fmt.Sprintf("There is no %s here. The scripts run your program in a directory that "+
		"has a root file system called rootfs in it, and nothing else", c.path)
	if imageRE.MatchString(c.path) {
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

// imageRE matches what people call images and the tools for them.
var imageRE = lazyregexp.New(`(?i)image|docker|\b(layers?|oci)\b|` +
	`\.(tar|tgz|t?gz|t?xz|zip|img|iso)\b|alpine|ubuntu|debian|busybox|^/dev/|/s?bin/`)

// rootRE matches what people call a root file system, and ofKernelRE the directories of the file
// systems of the kernel, some of which end so.
var (
	rootRE     = lazyregexp.New(`(?i)root|fs/?$`)
	ofKernelRE = lazyregexp.New(`^/?(sys|proc|dev)(/|$)`)
)

// ranCommand is the command of the container that a script has run, or nothing.
func ranCommand(e harness.Event) string {
	if words := harness.WithoutFlags(runWords(e)); len(words) > 2 {
		return words[2]
	}
	return ""
}

// firstWord is the word after run: the command, or a flag before it.
func firstWord(e harness.Event) string {
	if words := runWords(e); len(words) > 2 {
		return words[2]
	}
	return ""
}

// runWords are the words with which a script has run the program, with run as the second.
func runWords(e harness.Event) []string {
	words := harness.ProgramIn(e.Ran, nil)
	if words == nil {
		words = parseCommand(e.Ran).args
	}
	if i := slices.Index(words, "run"); i > 0 {
		return words[i-1:]
	}
	return nil
}

// commandWords are the words with which a script has run the program, without the flags: container,
// run, the command and its arguments. Where a shell runs it, there are none.
func commandWords(e harness.Event) []string {
	return harness.WithoutFlags(harness.ProgramIn(e.Ran, nil))
}

func orName(name, otherwise string) string {
	if name == "" {
		return otherwise
	}
	return name
}

func noMountTarget(c cause) string {
	if text := rootfsIgnored(c); text != "" {
		return text
	}
	switch {
	case strings.HasPrefix(c.event.Script.Name, "rootfs-missing"):
		return noRootfs(c)
	case c.about("/dev/null"):
		return maskMissing
	case c.about("overlay"):
		return overlayMissing
	case ofNoDevice.MatchString(c.text), nameAsSource.MatchString(c.text) &&
		!strings.Contains(c.text, "MS_BIND"):
		return noMountPointThere(c, lastPath(c.text))
	case c.missing != "" && c.missing == lastPath(c.text) && c.missing != c.path:
		return noMountPointThere(c, c.missing)
	case c.missing != "" && c.missing == c.path && !rootRE.MatchString(c.path) &&
		!strings.HasPrefix(c.path, "/"):
		return fmt.Sprintf("What is to be mounted, %s, is not there. The path begins at the "+
			"directory in which the scripts run your program: a root file system called rootfs "+
			"is in it, and nothing else.", c.path)
	case c.changedRoot():
		return "Either what is to be mounted or the mount point is not there. After pivot_root " +
			"or chroot paths begin in the root " +
			"file system: is there such a directory in it?"
	case strings.HasPrefix(c.path, "/dev/"):
		return noFile(c)
	case strings.HasPrefix(c.path, "/") && c.path != "/proc",
		strings.Contains(c.text, "MS_BIND") && rootRE.MatchString(c.path) &&
			!strings.HasPrefix(filepath.Clean(c.path), "rootfs"):
		return noRootfs(c)
	}
	return "Either what is to be mounted or the mount point is not there. The scripts run your " +
		"program in a directory that has a " +
		"root file system called rootfs in it, and the path rootfs is relative to that."
}

// ofNoDevice matches a mount of a file system for which the source is only a name: what is missing
// is the mount point.
var ofNoDevice = lazyregexp.New(`^mount\(.*"(proc|sysfs|tmpfs|devtmpfs|devpts|mqueue|cgroup2?)"`)

// nameAsSource matches a mount whose source is no path: it is a new file system of some type, and
// the kernel looks for the mount point before it looks at the type.
var nameAsSource = lazyregexp.New(`^mount\("[^"/]*", "`)

// noMountPointThere is for a mount point that is missing.
func noMountPointThere(c cause, point string) string {
	relative := !strings.HasPrefix(point, "/")
	switch above := filepath.Dir(filepath.Clean(point)); {
	case relative && c.made("chroot(") && !c.madeAfter("chroot", "chdir", "fchdir"):
		return fmt.Sprintf("The path %q begins at the working directory, and chroot(2) does not "+
			"change that: it is still outside of the new root. chdir(2) to / comes right after "+
			"chroot(2).", point)
	case c.changedRoot():
		return fmt.Sprintf("There is no directory %s in the root file system, where paths begin "+
			"since the root was changed. A mount point has to be there: mkdir(2) makes it, or "+
			"take one that is there.", point)
	case c.elsewhere(point) != "":
		return c.elsewhere(point)
	case relative && strings.HasPrefix(filepath.Clean(point), "rootfs/"):
		return fmt.Sprintf("There is no directory %s: the root file system called rootfs has "+
			"none. A mount point has to be there: mkdir(2) makes it, or take one that is there.",
			point)
	case relative && ofKernelRE.MatchString(point):
		return fmt.Sprintf("There is no directory %s here: a path without / in front begins at "+
			"the working directory. /%[1]s is the one of the machine, or of the container when "+
			"the root is changed.", filepath.Clean(point))
	case rootRE.MatchString(above) && above != "rootfs" && above != "/":
		return rootElsewhere(above)
	case relative:
		return fmt.Sprintf("There is no directory %s here. A mount point has to be there: the "+
			"scripts run your program in a directory that has a root file system called rootfs "+
			"in it, and nothing else.", point)
	}
	return fmt.Sprintf("There is no directory %s on this machine. Is it meant to be in the "+
		"container? Then it is below the directory rootfs, or your root is not changed yet.",
		point)
}

// madeAfter tells whether one of some calls was made after the last one of another.
func (c cause) madeAfter(first string, then ...string) bool {
	changed, moved := -1, -2 // the number of the last call
	for i, made := range c.event.Conduct.Made {
		switch call, _, _ := strings.Cut(made, "("); {
		case call == first:
			changed = i
		case slices.Contains(then, call):
			moved = i
		}
	}
	return moved > changed
}

// noSuchType is for a type of file system that the kernel does not know.
func noSuchType(c cause) string {
	if strings.Contains(c.text, "MS_BIND") {
		return ""
	}
	return "The kernel takes this call for a mount of a new file system, of a type that it does " +
		"not know. For a directory that is there already the flags have MS_BIND, and then the " +
		"type does not matter (mount(2))."
}

func mountedAlready(cause) string {
	return "The same is mounted there already: was it mounted by the container before, on the host?"
}

func busyMount(cause) string {
	return "Something still uses this mount, this program at least: MNT_DETACH of umount2(2) " +
		"unmounts it all the same, as soon " +
		"as nobody uses it."
}

func notMounted(c cause) string {
	if c.path == "." && c.errno == "EINVAL" && c.made("pivot_root(") && !c.made("chdir(") {
		return "\".\" is the working directory, and that is still the one in which the program " +
			"was started: none of your processes has called chdir(2). After chdir(2) into the " +
			"new root and pivot_root(\".\", \".\") the old root lies there."
	}
	return "Nothing is mounted at this path. After pivot_root paths begin in the new root."
}

// readOnlyHost is for a program that writes to the machine.
func readOnlyHost(c cause) string {
	if path := c.cgroupPath(); path != "" {
		if text := wrongVersion(path, harness.HasCgroup2()); text != "" {
			return text
		}
	}
	const readOnly = "All that belongs to the machine is read-only here, so that a mistake does " +
		"no harm"
	if strings.HasPrefix(c.path, "/tmp/") || strings.HasPrefix(c.path, "/var/tmp/") {
		return readOnly + ", /tmp too. Temporary files belong into the directory that $TMPDIR " +
			"names (mktemp(1) knows it). A root file system is in the directory where your " +
			"program is run: it is called rootfs."
	}
	if ownPlaceRE.MatchString(c.path) {
		return readOnly + ". What your program keeps for itself, as images, state and logs, " +
			"goes into the directory where it is run, or into the one that $TMPDIR names. If " +
			"this path is meant to be in the container, it is below the directory rootfs, or " +
			"your root is not changed yet."
	}
	return readOnly + ". Is this path meant to be in the " +
		"container? Then it is below the directory rootfs, or your root is not changed yet."
}

// ownPlaceRE matches where programs keep what is their own.
var ownPlaceRE = lazyregexp.New(`^/(var|run|home|root|opt|srv|usr/local)/`)

func noParent(c cause) string {
	above := filepath.Dir(filepath.Clean(c.path))
	switch {
	case c.onPurpose():
		return noRootfs(c)
	case strings.HasPrefix(c.path, cgroupFS):
		return noCgroup(c)
	case strings.HasPrefix(c.path, "/") && rootRE.MatchString(above) && !c.changedRoot():
		return rootElsewhere(above)
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

// madeBefore is for a directory that is there already.
func madeBefore(c cause) string {
	if text := cgroupInTheWay(c); text != "" {
		return text
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

func notRoot(c cause) string {
	switch {
	case c.made("CLONE_NEWUSER") && (c.call == "mknod" || c.call == "mknodat"):
		return "Root of the machine may make devices, and root of a user namespace may not " +
			"(mknod(2)): bind those of the host, mount(2) with MS_BIND."
	case c.made("CLONE_NEWUSER") && slices.ContainsFunc(ofRoot, c.made):
		return "" // it was somebody who may, and asked for what root of it may not
	case c.made("CLONE_NEWUSER"):
		return c.nobody()
	case os.Geteuid() == 0:
		return ""
	}
	return "You are not root: without a user namespace the kernel refuses this " +
		"(user_namespaces(7)). Be root, or add CLONE_NEWUSER."
}

func manyThreads(cause) string {
	return "unshare(2) refuses a user namespace or a time namespace to a process of several " +
		"threads, and does not know all flags of " +
		"clone(2). Have the second copy born in its namespaces: clone(2)."
}

func badFlags(cause) string {
	return "clone(2) refuses these flags together. CLONE_NEWTIME belongs to unshare(2), and " +
		"CLONE_NEWUSER excludes CLONE_FS."
}

func nested(c cause) string {
	if c.errno == "ELOOP" && c.call != "" {
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
		"1, whatever it does. So fork(2) comes next, and that child executes the command."
}

var wrotePidsRE = lazyregexp.New(`^write\(<([^>]*/pids\.max)>, "([0-9]+)`)

func tooMany(c cause) string {
	if c.event.Conduct != nil {
		for _, made := range c.event.Conduct.Made {
			if m := wrotePidsRE.FindStringSubmatch(made); m != nil {
				return fmt.Sprintf("Your program wrote %s to %s. Where a cgroup has so many "+
					"processes and threads, fork(2) and clone(2) fail with EAGAIN.", m[2], m[1])
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

// searched tells whether a program looked for a file in several directories, as in those of $PATH.
func (c cause) searched() bool {
	if c.event.Conduct == nil {
		return false
	}
	dirs := map[string]bool{}
	for _, r := range c.event.Conduct.Refused {
		path := firstPath(r.Text)
		if strings.HasPrefix(r.Call, "execve") && filepath.Base(path) == filepath.Base(c.path) {
			dirs[filepath.Dir(path)] = true
		}
	}
	return len(dirs) > 1
}

// noProgram is for execve(2) that finds no file.
func noProgram(c cause) string {
	name := ranCommand(c.event)
	base := filepath.Base(c.path)
	switch {
	case c.path == "/proc/self/exe":
		return "There is no longer a /proc here, or not yet: start the second copy before the " +
			"root is changed."
	case base == "run" || base == "child":
		return fmt.Sprintf("%q is a word for your own program. The command begins one word later.",
			base)
	case c.argument() != "":
		return fmt.Sprintf("%q was to be executed, and is an argument of the command: the "+
			"command is the word after run, here %s. Somewhere on the way the first word of the "+
			"list was lost.", c.argument(), name)
	case strings.Contains(c.path, " ") && !strings.Contains(name, " "):
		return "The words of the command line were put together into one. execve(2) gets them as " +
			"a list."
	case toolOfHost(c) != "":
		return toolOfHost(c)
	case c.seen && isOther(c.path, name) && (c.inside || shellRE.MatchString(c.path)):
		return otherMissing(c.event, c.path, c.inside)
	case c.seen && isOther(c.path, name):
		return toolMissing(base)
	case strings.HasPrefix(name, "no-such"), strings.HasPrefix(name, "-"): // there is none
		return ""
	case c.inside && base == name && c.searched():
		return fmt.Sprintf("%s was looked for in all directories of $PATH, in the new root, and "+
			"is in none of them. The root file system called rootfs has it in /bin: is the new "+
			"root that directory?", base)
	case c.inside && base == name && strings.HasPrefix(c.path, "/") && !onHost(c.path):
		return fmt.Sprintf("Your program executes %s in the new root. Either there is no such "+
			"file, or it was copied from the host, and what it needs is not there: the kernel "+
			"says ENOENT as well where the loader of a program is missing (execve(2)). The root "+
			"file system called rootfs has %s in /bin, with all that it needs.", c.path, base)
	case strings.HasPrefix(c.path, "/") && !strings.Contains(name, "/") && base == name &&
		(c.changedRoot() || strings.Contains(c.text, "fork/exec /")):
		return fmt.Sprintf("%s is where the host has %s. The name was looked up in $PATH before "+
			"the root was changed, and in the "+
			"root file system it may be elsewhere, such as in /bin. Look it up after pivot_root "+
			"or chroot: in many languages "+
			"that happens where the command is prepared, and not where it is started.", c.path,
			base)
	case c.seen && c.path != "" && !strings.Contains(c.path, "/"):
		return "execve(2) takes a path, and does not look into $PATH: find the file first, or " +
			"use a function that does, such as " +
			"execvp(3)."
	}
	return ""
}

// argument is the argument of the command that was to be executed in its place, or nothing. A tool
// of that name may be one that the program runs for itself.
func (c cause) argument() string {
	words := commandWords(c.event)
	base := filepath.Base(c.path)
	if !c.seen || c.path == "" || executed(c.event) != "no" || len(words) < 4 ||
		base == filepath.Base(words[2]) || setupRE.MatchString("/"+base) ||
		shellRE.MatchString("/"+base) {
		return ""
	}
	for _, word := range words[3:] {
		if word == c.path || word == base {
			return word
		}
	}
	return ""
}

// onHost tells whether a file is there on the host.
func onHost(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func notExecutableThere(c cause) string {
	if c.event.Script.Name == "command-not-executable" {
		return ""
	}
	return "The file is there, and cannot be executed: it is a directory, its mode has no x, or " +
		"it is on a mount with MS_NOEXEC."
}

func noFormat(cause) string {
	return "The kernel does not know this format: a script has to begin with #!, as in " +
		"#!/bin/sh, and a program has to be made for this " +
		"kind of processor."
}

var (
	indexRE   = lazyregexp.New(`(?i)out of (range|bounds)|IndexError`)
	ownWordRE = lazyregexp.New(`(?i)["\x60'](run|child)["\x60']: (executable file )?not found` +
		`|\b(run|child): not found`)
	noFlagRE = lazyregexp.New(`(?i)flag provided but not defined|unrecognized option|` +
		`unknown (option|flag|shorthand)`)
)

// habits are clues from what a program did where no call failed.
var habits = []func(harness.Event) string{
	childFell, wordsUnseen, lookedUpOutside, nobodyInside, nothingRead, lookedForCgroup,
	mountsShared, rootNotChanged,
	notMoved, notCounted,
	notNamed, procEmpty,
	oldRootStays, notLimited, slipped,
	bareShell, wordsSplit, wrongName, nameLost, wrongWords, wrongIndex, wrongWord, unknownChild,
	runNotKnown,
	nilPanic, helperFailed, noNetwork,
	ownOutput, ownEmptyLine, ownLines, saidOnOutput,
	optionTaken, wrongUsage, wantsMore, notSet, capsetAlone, nobodysFiles, callersPipe, oneIDOnly,
	noPtmx, noControlling,
	notCopied, noSize, terminalLines, networkAmiss, signalStatus, knewStatus, statusLost,
	statusOther, namespaceAmiss, otherThread, procOfHost, rootfsMade,
	notAFlag, notInModule, notStarted, noTool, silent,
}

// wordsSplit is for a program that puts the command line together and takes it apart again.
func wordsSplit(e harness.Event) string {
	if e.Conduct == nil || !e.Conduct.Splits {
		return ""
	}
	return "Your program takes words apart: what is one word here, with a blank in it, becomes " +
		"several. It puts the words together into one line " +
		"somewhere, such as the argument of sh -c or of system(3). execve(2) takes them as a list."
}

// wrongIndex is for a program that looks for the command in another place.
func wrongIndex(e harness.Event) string {
	if e.Script.Name == "usage" || !indexRE.MatchString(e.Stderr) {
		return ""
	}
	return "The scripts call your program as `container run CMD [ARG...]`: the word after run is " +
		"the command, and there may be no word after it."
}

// wrongWord is for a program that takes one of its own words for the command.
func wrongWord(e harness.Event) string {
	m := ownWordRE.FindStringSubmatch(e.Stderr + e.Stdout)
	if m == nil {
		return ""
	}
	return fmt.Sprintf("%q is a word for your own program. The command begins one word later.",
		m[1]+m[3])
}

// unknownChild is for a program that does not know the word with which it starts itself again.
func unknownChild(e harness.Event) string {
	m := unknownChildRE.FindStringSubmatch(e.Stderr + "\n" + e.Stdout)
	if m == nil || e.Conduct == nil || executed(e) != "no" ||
		!slices.ContainsFunc(e.Conduct.Ran, ofItself) {
		return ""
	}
	return fmt.Sprintf("Your program starts itself again with the word %q, and does not know that "+
		"word: it needs a branch for it, beside the one for run.", m[1])
}

// unknownChildRE matches what programs say of a command that they do not know.
var unknownChildRE = lazyregexp.New(`(?i)(?:unknown|unrecogni[sz]ed|bad|invalid|unsupported)` +
	`[^\n]{0,30}?\b(child|init|container)\b`)

// ofItself tells whether a file is the program itself.
func ofItself(file string) bool {
	return file == "/proc/self/exe" || filepath.Base(file) == "container"
}

// ownOutput is for a program that writes to the command's standard output.
func ownOutput(e harness.Event) string {
	line := parseCommand(e.Script.Line(e.Line))
	silent := line.name == "stdout" && line.negated && len(line.args) == 1 && line.args[0] == "."
	if !silent || strings.TrimSpace(e.Stdout) == "" {
		return ""
	}
	if text := writtenByOther(e); text != "" {
		return text
	}
	own := "The command printed nothing: this is your program's own. Standard output belongs to " +
		"the command, because others read it from there. " +
		"Write your own lines to standard error, descriptor 2, or leave them out."
	if executed(e) == "no" && !inShell(e) {
		return own + " And " + firstSmall(neverExecuted(e))
	}
	return own
}

// inShell tells whether a shell has got the command, which it may know by itself, as true is known:
// it executes nothing then. It gets a line, or it is the interpreter of the program. A shell that
// executes a tool of the program only passes words on, and so does one that is there to find the
// interpreter, as that of pyenv. The name of the shell is none of its words.
func inShell(e harness.Event) bool {
	name := ranCommand(e)
	interpreter := -1
	for i, file := range e.Conduct.Ran {
		words := e.Conduct.Words[i]
		if interpreterRE.MatchString(file) && filepath.Base(file) != "env" && len(words) > 0 &&
			slices.ContainsFunc(words[1:], ofItself) {
			interpreter = i
		}
	}
	for i, file := range e.Conduct.Ran {
		words := e.Conduct.Words[i]
		if !shellRE.MatchString(file) || len(words) == 0 {
			continue
		}
		words = words[1:]
		if strings.Contains(strings.Join(words, " "), name) &&
			(takesLine(words) || i == interpreter) {
			return true
		}
	}
	return false
}

// takesLine tells whether the words after the name of a shell have its option that makes the next
// word its line. The options end before the first word that is none: a file to execute, for which
// the words after it are.
func takesLine(words []string) bool {
	for n := 0; n < len(words) && strings.HasPrefix(words[n], "-"); n++ {
		switch {
		case lineOptionRE.MatchString(words[n]):
			return true
		case strings.HasSuffix(words[n], "o"): // -o pipefail
			n++
		}
	}
	return false
}

// lineOptionRE matches that option, alone or with others before it.
var lineOptionRE = lazyregexp.New(`^-\w*c$`)

// firstSmall makes the first letter a small one, in the middle of a sentence.
func firstSmall(text string) string { return strings.ToLower(text[:1]) + text[1:] }

// knewStatus is for a program that prints the status of the command and returns another.
func knewStatus(e harness.Event) string {
	wanted := ""
	if m := exitStatus.FindStringSubmatch(e.Message); m != nil {
		wanted = m[2]
	} else if line := parseCommand(e.Script.Line(e.Line)); e.Panicked && line.name == "exits" &&
		len(line.args) > 0 {
		wanted = line.args[0]
	}
	if wanted == "" || wanted == "0" {
		return ""
	}
	says := regexp.MustCompile(`exit (status|code)[: ]*` + wanted + `\b`)
	if !says.MatchString(e.Stdout + e.Stderr) {
		return ""
	}
	return fmt.Sprintf("One of your two processes knows the status of the command, and says so. "+
		"It has to end with it, too: exit(%s). So has the "+
		"other.", wanted)
}

// notAFlag is for a program that takes the options of the command for its own.
func notAFlag(e harness.Event) string {
	if noFlagRE.MatchString(e.Stderr) &&
		!strings.Contains(e.Ran, "run -") {
		return "The option belongs to the command: your program's own end at the first word that " +
			"is none."
	}
	return ""
}

// notStarted is for a program that ended well, and never executed the command.
func notStarted(e harness.Event) string {
	line := parseCommand(e.Script.Line(e.Line))
	if e.Conduct == nil || line.name != "stdout" || line.negated ||
		strings.TrimSpace(e.Stdout) != "" {
		return ""
	}
	switch executed(e) {
	case "":
		return ""
	case "yes":
		name := ranCommand(e)
		if name != "echo" && name != "printf" {
			return "" // it may have had nothing to say
		}
		if e.Stdout != "" {
			return fmt.Sprintf("%s was executed, and there is only an empty line. Either it got "+
				"no arguments: all words after the command belong to it, in both processes. Or "+
				"the line is your program's own, and what %s wrote is lost: its descriptors 1 and "+
				"2 have to be those of your program.", name, name)
		}
		return fmt.Sprintf("%s was executed, and what it wrote did not arrive: its descriptors 1 "+
			"and 2 have to be those of your program, in both "+
			"processes.", name)
	}
	return "Your program ended, and " + firstSmall(neverExecuted(e))
}

// wrongName is for a program that gives the command its arguments without its name.
func wrongName(e harness.Event) string {
	m, name := appletRE.FindStringSubmatch(e.Stderr), ranCommand(e)
	switch {
	case m == nil || executed(e) != "yes" || m[1] == name:
		return ""
	case m[1] == "":
		return fmt.Sprintf("%s was executed, and got no name: its list of arguments is empty. The "+
			"first of the arguments of execve(2) is the name of the program, argv[0].", name)
	}
	return fmt.Sprintf("%s was executed, and takes %q for its own name. The first of the "+
		"arguments of execve(2) is the name of the program, argv[0], and those that are typed "+
		"come after it.", name, m[1])
}

// appletRE matches what BusyBox says of a name that it does not have.
var appletRE = lazyregexp.New(`(?m)^(.*): applet not found$`)

// neverExecuted says that the command was not executed, and what else was, as far as it was seen.
func neverExecuted(e harness.Event) string {
	text := fmt.Sprintf("None of your processes executed %s: there was no execve(2) of it.",
		ranCommand(e))
	if other := otherCommand(e); other != "" {
		return text + fmt.Sprintf(" They executed %s instead. The command is the word after run: "+
			"is another one named in the source?", other)
	}
	if r := otherRefused(e); r != nil {
		return text + " " + otherMissing(e, firstPath(r.Text), r.Inside)
	}
	return text + ownWords(e)
}

// takenForRun is for a program that executes something, though its first word is not run.
func takenForRun(e harness.Event) string {
	words := harness.ProgramIn(e.Ran, nil)
	if e.Script.Name != "usage" || e.Conduct == nil || len(words) < 3 || words[1] == "run" {
		return ""
	}
	wanted := func(r harness.Refusal) bool {
		return strings.HasPrefix(r.Call, "execve") && filepath.Base(firstPath(r.Text)) == words[2]
	}
	if !slices.ContainsFunc(slices.Concat(e.Conduct.Refused, e.Conduct.Excused), wanted) {
		return ""
	}
	return fmt.Sprintf("Your program tried to execute %q, although the first word is %q and not "+
		"run. Another word than run is wrong usage: say on standard error what is right, and "+
		"execute nothing: exit(2).", words[2], words[1])
}

// otherRefused is the call that was to execute another file in the place of the command, which is
// not there, or nil. It is a shell, or something in the root file system.
func otherRefused(e harness.Event) *harness.Refusal {
	for _, r := range slices.Backward(e.Conduct.Refused) {
		path := firstPath(r.Text)
		if strings.HasPrefix(r.Call, "execve") && r.Errno == "ENOENT" &&
			isOther(path, ranCommand(e)) && (r.Inside || shellRE.MatchString(path)) {
			return &r
		}
	}
	return nil
}

// isOther tells whether a file is another one than the command, and none of the program's own.
func isOther(path, command string) bool {
	switch base := filepath.Base(path); base {
	case "run", "child", "exe", filepath.Base(command):
		return false
	}
	return strings.HasPrefix(path, "/") && !strings.HasPrefix(command, "-")
}

// shellRE matches the path of a shell.
var shellRE = lazyregexp.New(`/(ba|da|a|z|k)?sh$`)

// otherMissing is for a program that executes something else than the command, which is not there.
func otherMissing(e harness.Event, path string, inside bool) string {
	where := "here"
	if inside {
		where = "in the root file system, whose shell is /bin/sh"
	}
	text := fmt.Sprintf("Your program wants to execute %s, and there is none %s.", path, where)
	if hasCommand(e, path) {
		return text + fmt.Sprintf(" It was to execute %s in turn. No shell has to come between: "+
			"the file and the arguments that execve(2) takes are the words after run.",
			ranCommand(e))
	}
	return text + " The command is the word after run: is another one named in the source?"
}

// hasCommand tells whether a file that is not there was to get the command among its arguments.
func hasCommand(e harness.Event, path string) bool {
	name := ranCommand(e)
	if e.Conduct == nil || name == "" {
		return false
	}
	return slices.ContainsFunc(e.Conduct.Refused, func(r harness.Refusal) bool {
		return strings.HasPrefix(r.Call, "execve") && firstPath(r.Text) == path &&
			strings.Contains(" "+r.Line+" ", " "+name+" ")
	})
}

// toolMissing is for another program that is not on this machine.
func toolMissing(name string) string {
	if name == "sudo" {
		return "Your program runs sudo, which is not on this machine. The scripts run your " +
			"program as the one who started the check: be root yourself, and leave it out."
	}
	if toolRE.MatchString("/" + name) {
		return fmt.Sprintf("Your program runs %s, which is not on this machine, and need not be. "+
			"%s", name, nothingToFetch)
	}
	return fmt.Sprintf("Your program runs %s, which is not on this machine. Install it, or do "+
		"what it does by system calls.", name)
}

// noTool is for a program that says that it did not find another one.
func noTool(e harness.Event) string {
	m := noToolRE.FindStringSubmatch(e.Stderr)
	if m == nil || executed(e) == "yes" {
		return ""
	}
	if name := m[1] + m[2]; name != ranCommand(e) && !strings.HasPrefix(name, "no-such") {
		return toolMissing(name)
	}
	return ""
}

// noToolRE matches what shells, and programs of Go, say of a command that is not found.
var noToolRE = lazyregexp.New(`(?m): (?:line )?\d+: ([\w.+-]+): (?:command )?not found$|` +
	`exec: "([\w.+-]+)": executable file not found`)

// otherCommand is the file that a program executed in the place of the command, or nothing. The
// first file may be an interpreter, which env(1) has found; and a script runs tools. So it has to
// be the only file, the last one, and executed after the program started its second copy or changed
// its root.
func otherCommand(e harness.Event) string {
	ofSetup := func(file string) bool {
		return setupRE.MatchString(file) || filepath.Base(file) == "container" // the program itself
	}
	if inside := e.Conduct.RanInside; len(inside) > 0 && !ofSetup(inside[len(inside)-1]) {
		return inside[len(inside)-1]
	}
	ran, c := e.Conduct.Ran, cause{event: e}
	others := slices.DeleteFunc(slices.Clone(ran), ofSetup)
	if len(others) != 1 || others[0] == ran[0] || others[0] != ran[len(ran)-1] ||
		!slices.Contains(ran, "/proc/self/exe") && !c.changedRoot() {
		return ""
	}
	return others[0]
}

// silent is for a program that failed without a word.
func silent(e harness.Event) string {
	m := anyStatus.FindStringSubmatch(e.Message)
	if m == nil || m[1] == "0" || e.Conduct == nil || strings.TrimSpace(e.Stdout+e.Stderr) != "" ||
		strings.Contains(e.Ran, "exit ") || strings.Contains(e.Ran, "test ") ||
		slices.Contains(faults, m[1]) {
		return ""
	}
	return "It failed without a word. Print what goes wrong to standard error, so that somebody " +
		"can know." + lastCalls(e)
}

// subjects are faults that break whatever script comes first, each with the script that is about
// it: what the host has that it had not, or the call that failed.
var subjects = []struct {
	left        string
	call, errno string
	script      string
}{
	{left: ": host name ", script: "step2-namespaces/hostname-out"},
	{left: ": root of the host", script: "step3-rootfs/host-mounts-unchanged"},
	{left: ": mount ", script: "step3-rootfs/host-mounts-unchanged"},
	{left: ": cgroup ", script: "step4-cgroups/gone"},
	{left: ": limit ", script: "step4-cgroups/gone"},
	{call: "pivot_root", errno: "EINVAL", script: "step3-rootfs/root-is-rootfs"},
	{call: "pivot_root", errno: "EBUSY", script: "step3-rootfs/root-is-rootfs"},
	{call: "chroot", errno: "ENOENT", script: "step3-rootfs/root-is-rootfs"},
}

// cgroupSubject is the script about what a program wanted of cgroups: a limit that was asked for,
// or nothing.
func cgroupSubject(e harness.Event, c cause) string {
	switch {
	case !asksLimit(e):
		return "step4-cgroups/limits-none"
	case strings.Contains(c.path, "pids"):
		return "step4-cgroups/pids-file"
	case strings.Contains(c.path, "/cpu"):
		return "step4-cgroups/cpu-file"
	}
	return "step4-cgroups/memory-file"
}

// asksLimit tells whether the program was to set a limit.
func asksLimit(e harness.Event) bool {
	asked := func(flag string) bool { return strings.Contains(e.Ran, flag) }
	return slices.ContainsFunc([]string{" -memory ", " -pids ", " -cpus "}, asked)
}

// subject names the script whose hints help, if it is not the one that failed.
func subject(e harness.Event) string {
	c := findCause(e)
	cgroupRefused := c.cgroupPath() != "" && (c.errno == "EROFS" || c.seen && !asksLimit(e))
	split := e.Conduct != nil && e.Conduct.Splits && blame(e) == nil
	lookedUpOnHost := c.call == "execve" && strings.Contains(noProgram(c), "before the root was "+
		"changed") || c.errno == "" && lookedUpOutside(e) != ""
	switch about := strings.Split(e.Script.Name, "-")[0]; {
	case about == "rootfs": // it is about what may be missing
		return ""
	// nothing else of it matters
	case notStartable(e) != "", notInstalled(e) != "", flagNotKnown(e) != "",
		unshareKilled(e) != "", wordAsFile(c) != "":
		return ""
	case procLost(e) != "":
		return "step2-namespaces/mounts-out"
	case filtered(c) != "" && e.Script.Step != "step5-complete":
		return "step5-complete/seccomp"
	case c.errno == "EEXIST" && cgroupInTheWay(c) != "":
		return "step4-cgroups/gone"
	case cgroupRefused:
		return cgroupSubject(e, c)
	case split && about != "arguments":
		return "step1-skeleton/arguments"
	case lookedUpOnHost:
		return "step3-rootfs/rootfs-without-command"
	}
	for _, s := range subjects {
		left := func(line string) bool { return strings.Contains(line, s.left) }
		if s.left != "" && slices.ContainsFunc(e.Left, left) || s.call != "" && s.call == c.call &&
			s.errno == c.errno {
			return s.script
		}
	}
	return chapterSubject(c)
}
