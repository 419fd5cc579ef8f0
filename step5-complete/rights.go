//go:build linux

package main

// Chapter d: Rights. Root of the container has 14 of root's 41 capabilities(7), the same as in a
// Docker container, and no program that it executes brings one back. The command need not be root.

import (
	"errors"
	"flag"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// capabilities are those of root in the container.
var capabilities = []int{
	unix.CAP_AUDIT_WRITE,
	unix.CAP_CHOWN,
	unix.CAP_DAC_OVERRIDE,
	unix.CAP_FOWNER,
	unix.CAP_FSETID,
	unix.CAP_KILL,
	unix.CAP_MKNOD,
	unix.CAP_NET_BIND_SERVICE,
	unix.CAP_NET_RAW,
	unix.CAP_SETFCAP,
	unix.CAP_SETGID,
	unix.CAP_SETPCAP,
	unix.CAP_SETUID,
	unix.CAP_SYS_CHROOT,
}

// uid and gid are the ids of the command.
var uid, gid int

func init() {
	flag.Func("user", "UID[:GID] of the command", func(s string) (err error) {
		user, group, found := strings.Cut(s, ":")
		if uid, err = parseID(user); err == nil && found {
			gid, err = parseID(group)
		}
		return err
	})
}

// parseID parses an id. The highest 32-bit number stands for no id (setresuid(2)).
func parseID(s string) (id int, err error) {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0, errors.New("must be UID or UID:GID, in numbers")
	}
	return int(n), nil
}

// dropRights leaves this thread, which is to become the command, the rights of the command. Each
// line takes away what the lines before it needed.
func dropRights() {
	dropCapabilities()
	dropGroups()
	if err := unix.Setresgid(gid, gid, gid); err != nil {
		fail(125, "setresgid %d: %v (must be an id of the user namespace)", gid, err)
	}
	if err := unix.Setresuid(uid, uid, uid); err != nil {
		fail(125, "setresuid %d: %v (must be an id of the user namespace)", uid, err)
	}
	if uid != 0 {
		os.Setenv("HOME", "/")
	}
	// A change of ids makes the kernel forget the signal (PR_SET_PDEATHSIG(2const)).
	must(unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0), "PR_SET_PDEATHSIG")
	// From now on set-user-ID programs are programs like any other.
	must(unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS")
}

// dropCapabilities takes all but ours out of the bounding set: that is what root gets by execve(2),
// together with the inheritable set, which becomes empty.
func dropCapabilities() {
	for c := range unix.CAP_LAST_CAP + 1 {
		if slices.Contains(capabilities, c) {
			continue
		}
		err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0)
		if !errors.Is(err, unix.EINVAL) { // the kernel is older than this capability
			must(err, "drop capability %d", c)
		}
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	must(unix.Capget(&header, &sets[0]), "capget")
	sets[0].Inheritable, sets[1].Inheritable = 0, 0
	must(unix.Capset(&header, &sets[0]), "capset")
}

// dropGroups leaves the caller's supplementary groups. In a user namespace with one id setgroups(2)
// is forbidden, and each of these groups is "nobody" there (user_namespaces(7)).
func dropGroups() {
	if may, err := os.ReadFile("/proc/self/setgroups"); err == nil && string(may) == "deny\n" {
		return
	}
	must(unix.Setgroups(nil), "setgroups")
}
