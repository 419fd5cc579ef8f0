//go:build linux

package main

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

var userFlag = flag.String("user", "0", "`UID[:GID]` of the command, or names in the container's passwd(5) and group(5)")

// user is who the command runs as.
type user struct {
	uid, gid int
	home     string
}

// becomeRoot makes the child root of its user namespace without the groups of the caller: a right that
// comes by a group of the host is none of the container's (CVE-2014-8989).
func becomeRoot(*job) error {
	if err := dropGroups(); err != nil || !has(unix.CLONE_NEWUSER) || os.Geteuid() == 0 && os.Getegid() == 0 {
		return err
	}
	if err := unix.Setresgid(0, 0, 0); err != nil {
		return fmt.Errorf("setresgid %d: %w", 0, err)
	}
	if err := unix.Setresuid(0, 0, 0); err != nil {
		return fmt.Errorf("setresuid %d: %w", 0, err)
	}
	return nil
}

// dropGroups forgets supplementary groups. With a map of one group the kernel does not allow it, because a group may take rights
// away as well (user_namespaces(7), setgroups); they are shown as nobody's then.
func dropGroups() error {
	if groups, err := unix.Getgroups(); err == nil && len(groups) == 0 {
		return nil
	}
	allowed, _ := os.ReadFile("/proc/self/setgroups")
	if strings.TrimSpace(string(allowed)) == "deny" || os.Geteuid() != 0 && !has(unix.CLONE_NEWUSER) {
		return nil
	}
	if err := unix.Setgroups(nil); err != nil {
		return fmt.Errorf("setgroups: %w", err)
	}
	return nil
}

// becomeUser changes the ids and the capabilities. Only root has any.
func becomeUser(u user) error {
	if u.uid == 0 && u.gid == 0 {
		return setCapabilities(capabilities)
	}
	if err := ownPipes(u.uid, u.gid); err != nil {
		return err
	}
	trace("setresgid %d, setresuid %d", u.gid, u.uid)
	if err := unix.Setresgid(u.gid, u.gid, u.gid); err != nil {
		return fmt.Errorf("setresgid %d: %w", u.gid, err)
	}
	if err := unix.Setresuid(u.uid, u.uid, u.uid); err != nil {
		return fmt.Errorf("setresuid %d: %w", u.uid, err)
	}
	mask := capabilities
	if u.uid != 0 {
		mask = 0
	}
	if err := dieWithParent(); err != nil {
		return err
	}
	return setCapabilities(mask)
}

// lookUpUser finds the user that the flag names, in the files of a root file system.
func lookUpUser(root string) (u user, err error) {
	if *userFlag == "0" {
		return user{0, 0, "/root"}, nil
	}
	name, group, hasGroup := strings.Cut(*userFlag, ":")
	u.home = "/"
	if fields := named(root, "etc/passwd", name); len(fields) > 5 {
		name, u.home = fields[2], fields[5]
		if !hasGroup {
			group, hasGroup = fields[3], true
		}
	}
	if u.uid, err = parseID(name); err != nil {
		return u, fmt.Errorf("user %q: not in the container's /etc/passwd", *userFlag)
	}
	if fields := named(root, "etc/group", group); fields != nil {
		group = fields[2]
	}
	if hasGroup {
		if u.gid, err = parseID(group); err != nil {
			return u, fmt.Errorf("group %q: not in the container's /etc/group", group)
		}
	}
	if root == "" && (!hasID("/proc/self/uid_map", u.uid) || !hasID("/proc/self/gid_map", u.gid)) {
		return u, fmt.Errorf("user %q: not mapped in the user namespace (see /etc/subuid and newuidmap)", *userFlag)
	}
	return u, nil
}

// parseID parses an id; the highest number means none (setresuid(2)).
func parseID(s string) (int, error) {
	id, err := strconv.ParseUint(s, 10, 31)
	return int(id), err
}
