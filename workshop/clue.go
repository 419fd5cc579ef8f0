//go:build linux

package main

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"container.example/workshop/internal/harness"
)

// This file chooses the clue to a failure, and the script whose hints help. The clues themselves
// are in the files whose names end in "clues", and in habits.go and slips.go.

// clues say what an error of a system call means for a container program, in words for every
// language. An empty clue leaves it to those that know only the error.
var clues = map[string]map[string]func(cause) string{
	"pivot_root": {
		"EINVAL": notPrivate, "EBUSY": noMountPoint, "ENOENT": noOldRoot,
		"EPERM": notOwnMounts, "ENOTDIR": noDirectory,
	},
	"chroot": {"ENOENT": noRootfs, "EPERM": notRoot, "ENOTDIR": noDirectory},
	"chdir":  {"ENOENT": noRootfs, "ENOTDIR": noDirectory},
	"mount": {
		"ENOENT": noMountTarget, "EPERM": mountRefused, "EBUSY": mountedAlready,
		"ENOTDIR": notAlike, "EINVAL": badMountData, "ENODEV": noSuchType,
		"ENOSPC": tooManyMounts,
	},
	"mount_setattr": {
		"EINVAL": noIDMap, "EPERM": noIDMap, "ENOENT": noEmptyPath, "EBADF": noEmptyPath,
	},
	"move_mount": {"EINVAL": notMovable, "ENOENT": noEmptyPath, "EBADF": noEmptyPath},
	"umount2": {
		"EBUSY": busyMount, "EINVAL": notMounted, "ENOENT": notMounted, "EPERM": notOwnMounts,
	},
	"rmdir":    {"EBUSY": busyCgroup, "ENOENT": rootOfBoth},
	"unlinkat": {"EBUSY": busyCgroup, "ENOENT": rootOfBoth},
	"mkdir":    {"EROFS": readOnlyHost, "ENOENT": noParent, "EEXIST": madeBefore},
	"mkdirat":  {"EROFS": readOnlyHost, "ENOENT": noParent, "EEXIST": madeBefore},
	"mknod":    {"ENOENT": noPlace},
	"mknodat":  {"ENOENT": noPlace},
	"openat":   {"EROFS": readOnlyHost, "ENOENT": noCgroup, "EACCES": noCgroup},
	"write": {
		"EPERM": badMap, "EINVAL": badMapOrLimit, "ENOENT": noController, "EBUSY": noController,
		"EOPNOTSUPP": noController,
	},
	"unshare": {"EPERM": notRoot, "EINVAL": unshareRefused},
	"clone": {
		"EPERM": notRoot, "EINVAL": cloneRefused, "ENOSPC": nested, "EAGAIN": tooMany,
		"ENOMEM": noInit,
	},
	"fork":   {"ENOMEM": noInit, "EAGAIN": tooMany},
	"vfork":  {"ENOMEM": noInit, "EAGAIN": tooMany},
	"clone3": {"EPERM": notRoot, "EINVAL": cloneRefused, "ENOSPC": nested, "EAGAIN": tooMany},
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
	"seccomp":     {"EINVAL": badFilter, "EACCES": badFilter, "EFAULT": badFilter},
	"ioctl":       {"EPERM": ioctlRefused},
	"execveat":    {"ENOENT": noProgram, "EACCES": notExecutableThere, "ENOEXEC": noFormat},
	"sethostname": {"EPERM": nameRefused},
	"connect":     {"ENOENT": nobodyListens, "ECONNREFUSED": nobodyListens},
	"": {
		"ENOENT":  noFile,
		"EROFS":   readOnlyHost,
		"EPERM":   notRoot,
		"ENOEXEC": noFormat,
		"ENOSPC":  nested,
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
		notStartable, procLost, notInstalled, flagNotKnown, flagExecuted, takenForRun,
		unshareKilled, cgroupAmiss, limitTaken, rightNotToRun,
		limitRefused, wordMissing, limitUnnamed,
		literalRefused, nowhereToLook, noThread,
		errorStatus, wordsJoined, wholeNumbers, childless, starterGone, signalHeld,
		leavesBehind, calledTooLate, shellLine,
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
	for _, tell := range []func(cause) string{
		filtered, wideText, noEnd, madeInstead, notAText, liesBeside, wordAsFile, unasked,
	} {
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

// habits are clues from what a program did where no call failed.
var habits = []func(harness.Event) string{
	notRemoved, childFell, wordsUnseen, lookedUpOutside, nobodyInside, streamClosed, nothingRead,
	lookedForCgroup,
	newRootGone, mountsShared, rootNotChanged,
	notMoved, notCounted,
	notNamed, procEmpty,
	oldRootStays, joinedLate, notLimited, slipped,
	bareShell, wordsSplit, wrongName, nameLost, wrongWords, wrongIndex, wrongWord, unknownChild,
	otherKernel, runNotKnown, takenForDirectory, imageNamed, nothingTaken,
	otherID, rootReadOnly, procNotMounted, noVariables, rightsLeft, notFunction,
	cgroupNamespaceEarly, descriptorsLeft,
	nilPanic, helperFailed, noNetwork,
	ownOutput, ownEmptyLine, ownLines, saidOnOutput,
	optionTaken, wrongUsage, wantsMore, notSet, capsetAlone, nobodysFiles, callersPipe, oneIDOnly,
	noPtmx, noControlling,
	notCopied, terminalAmiss, linksMissing, attributesRefused, noSize,
	terminalLines, networkAmiss, signalStatus, knewStatus, statusLost,
	statusOfLast,
	statusOther, namespaceAmiss, otherThread, procOfHost, rootfsMade,
	notAFlag, notInModule, notStarted, noTool, silent, waitsBefore,
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
	return cmp.Or(chapterSubject(c), rootSubject(c))
}

// rootSubject is the script about a call that changes mounts or the root, and was refused. Whatever
// is wrong there, the first script of step 1 meets it first.
func rootSubject(c cause) string {
	if c.event.Script.ID() != "step1-skeleton/command-runs" || !c.seen {
		return ""
	}
	switch {
	case c.call == "pivot_root", c.call == "umount2",
		c.call == "mount" && isBind(c.text) && rootRE.MatchString(lastPath(c.text)),
		c.call == "chdir" && filepath.Base(c.path) == "rootfs":
		return "step3-rootfs/root-is-rootfs"
	case c.call == "mount" && cuts(c.text):
		return "step2-namespaces/mounts-out"
	case c.call == "mount" && c.about("proc"):
		return "step3-rootfs/ps-alone"
	}
	return ""
}
