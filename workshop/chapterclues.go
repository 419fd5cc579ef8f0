//go:build linux

package main

import (
	"regexp"
	"slices"
	"strings"

	"container.example/workshop/internal/harness"
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
		"new tmpfs, and not in lowerdir. In a user namespace userxattr is needed, too."
}

// inUserNamespace tells whether the program was to make a user namespace, or made one.
func (c cause) inUserNamespace() bool {
	return strings.Contains(c.event.Ran, "user") || c.made("CLONE_NEWUSER")
}

// mountRefused is for a file system that shows a namespace, in a user namespace.
func mountRefused(c cause) string {
	if !c.inUserNamespace() {
		return notRoot(c)
	}
	for _, fs := range []struct{ fstype, namespace string }{
		{"proc", "pid"}, {"sysfs", "net"}, {"mqueue", "ipc"},
	} {
		if !c.about(fs.fstype) {
			continue
		}
		text := "Root of a user namespace may mount " + fs.fstype + " only if it has made the " +
			fs.namespace + " namespace that is seen in it, too: without " + fs.namespace +
			" in -ns leave it out."
		if fs.fstype != "mqueue" {
			text += " And only while another " + fs.fstype + " is in sight: before the old root " +
				"is unmounted."
		}
		return text
	}
	return notRoot(c)
}

// groupsTooLate is for ids that are set in the wrong order, or where the kernel forbids it.
func groupsTooLate(c cause) string {
	switch {
	case c.made("setresuid(") || c.made("setuid(") || c.made("setreuid("):
		return "The user was changed before. A process that is no longer root may not change its " +
			"groups: setgroups(2) first, then setresgid(2), and setresuid(2) last."
	case c.call == "setgroups" && c.inUserNamespace():
		return "In a user namespace with one id setgroups(2) is forbidden: /proc/self/setgroups " +
			"says deny (user_namespaces(7)). Read that file first, and leave the call out then."
	}
	return ""
}

// rightsTooLate is for capabilities that are dropped after the right to do so.
func rightsTooLate(c cause) string {
	switch {
	case c.made("setresuid(") || c.made("setuid(") || c.made("setreuid("):
		return "The user was changed before, and the capabilities of root went with that " +
			"(capabilities(7)). Give up capabilities first, and change the user last."
	case c.made("capset("):
		return "capset(2) came before, and took CAP_SETPCAP, which this needs. The bounding set " +
			"is first, then capset(2)."
	}
	return ""
}

// notOurNetwork is for lo in a network namespace that is the host's.
func notOurNetwork(c cause) string {
	if !strings.Contains(c.text, "SIOCSIF") {
		return ""
	}
	return "This network namespace is not the container's own. Only with net in -ns is there " +
		"anything to set up."
}

// capsetAlone is for root whose capabilities come back with execve(2).
func capsetAlone(e harness.Event) string {
	c := cause{event: e}
	promised := strings.HasPrefix(e.Script.Name, "escape-") || e.Script.Name == "hostname-in" ||
		strings.HasPrefix(e.Script.Name, "root-")
	if !promised || !c.made("capset(") || c.made("PR_CAPBSET_DROP") {
		return ""
	}
	return "capset(2) alone does not last: with execve(2) root gets back all that is in the " +
		"bounding set (capabilities(7)). Take capabilities out of that set: prctl(2) with " +
		"PR_CAPBSET_DROP, for each of them."
}

// onDev matches a mount at /dev or below it: what is mounted may well be a file in there.
var onDev = regexp.MustCompile(`^mount\([^,]*, "([^"]*/)?dev["/]`)

// chapterSubject names the script of step 5 that is about a call of the program that the kernel
// refused. Whatever is wrong in a chapter, the first script of step 1 meets it first.
func chapterSubject(c cause) string {
	if !c.seen || c.event.Script.Step == "step5-complete" {
		return ""
	}
	name := ""
	switch {
	case c.call == "capset" || c.call == "prctl":
		name = "root-rights"
	case c.call == "setgroups" || c.call == "setresgid" || c.call == "setresuid":
		name = "user"
	case strings.Contains(c.text, "SIOCSIF"):
		name = "network-none"
	case c.call != "mount":
	case c.about("overlay"):
		name = "rootfs-written"
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
	if name == "" {
		return ""
	}
	return "step5-complete/" + name
}
