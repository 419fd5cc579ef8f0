//go:build linux

// Package users says who the users of a container are on the host: the id maps of its user
// namespace, and the user that the command runs as.
package users

import (
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/config"
	"container.example/workshop/runtime/files"
	"container.example/workshop/runtime/plan"
)

// The ids that root takes for a container when nobody gave it any in subuid(5): 65536 from here on.
const defaultIDs, idCount = 100000, 65536

// FindMaps fills in the id maps of a container that asks for none. Root in it is nobody on the host
// if the caller is root, or has been given ids in subuid(5) and subgid(5). Otherwise root in it is
// the caller, and there are no other ids.
func FindMaps(c *config.Container) (err error) {
	if !c.Namespaces.Has(unix.CLONE_NEWUSER) || c.UIDs != nil {
		return nil
	}
	names, err := names(os.Getuid())
	if err != nil {
		return err
	}
	if c.UIDs, err = findMap(os.Geteuid(), "/etc/subuid", names); err != nil {
		return err
	}
	c.GIDs, err = findMap(os.Getegid(), "/etc/subgid", names)
	return err
}

func findMap(id int, file string, names []string) (config.IDMap, error) {
	text, err := files.ReadIfThere(file)
	if err != nil {
		return nil, err
	}
	given, found := choose(subordinates(text, names), id)
	own := config.IDRange{Inside: 0, Outside: id, Size: 1}
	if os.Geteuid() == 0 {
		if !found {
			given, found = choose(config.IDMap{{Outside: defaultIDs, Size: idCount}}, id)
		}
		if found {
			return config.IDMap{given}, nil
		}
		return config.IDMap{own}, nil
	}
	if !found {
		return config.IDMap{own}, nil
	}
	if _, err := lookPath("newuidmap"); err != nil { // only that may give an ordinary user more
		return config.IDMap{own}, nil
	}
	given.Inside = 1
	return config.IDMap{own, given}, nil
}

// fewIDs are enough for the accounts of a system (login.defs(5), SYS_UID_MAX), though not for
// nobody, which is 65534.
const fewIDs = 1000

// choose returns the first range that can hold a container, or one that nearly can. A file may have
// others too: LXD asks for ranges of one id. The caller's own id is no range for a container: root
// in it would be the caller.
func choose(ranges config.IDMap, own int) (chosen config.IDRange, found bool) {
	for _, enough := range []int{idCount, fewIDs} {
		for _, r := range ranges {
			hasOwn := r.Outside <= own && own-r.Outside < r.Size
			if r.Size >= enough && !hasOwn && hasIDs("/proc/self/uid_map", r.Outside, r.Size) {
				return r, true
			}
		}
	}
	return chosen, false
}

// names are those by which subuid(5) may call a user: the number, and the name in passwd(5). One
// that is elsewhere, as in LDAP, the login has put into the environment (login(1)); newuidmap(1)
// makes sure of it.
func names(uid int) ([]string, error) {
	number := strconv.Itoa(uid)
	passwd, err := files.ReadIfThere("/etc/passwd")
	if fields := entry(passwd, 2, number); fields != nil {
		return []string{number, fields[0]}, err
	}
	if name := os.Getenv("USER"); name != "" {
		return []string{number, name}, err
	}
	return []string{number}, err
}

// subordinates returns the ranges of ids that the user may use besides its own, by a text in the
// form of subuid(5).
func subordinates(text string, names []string) (ranges config.IDMap) {
	for line := range strings.Lines(text) {
		fields := strings.Split(strings.TrimSpace(line), ":")
		if len(fields) < 3 || !slices.Contains(names, fields[0]) {
			continue
		}
		start, startErr := strconv.Atoi(fields[1])
		count, countErr := strconv.Atoi(fields[2])
		if startErr == nil && countErr == nil {
			ranges = append(ranges, config.IDRange{Outside: start, Size: count})
		}
	}
	return ranges
}

// hasIDs tells whether ids from first on are those of the user namespace whose map is in the file:
// all of them in one line, because the kernel maps no range that is in two (user_namespaces(7)).
func hasIDs(file string, first, count int) bool {
	text, err := files.Read(file)
	if err != nil {
		return true // without user namespaces no id is missing
	}
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			continue
		}
		inside, _ := strconv.Atoi(fields[0]) // the kernel writes numbers
		size, _ := strconv.Atoi(fields[2])
		if inside <= first && first-inside <= size-count {
			return true
		}
	}
	return false
}

// WriteMaps makes the child, which is in a new user namespace, root of it. An ordinary user may map
// no id but its own: the others are up to newuidmap(1).
func WriteMaps(pid int, c *config.Container) error {
	if !c.Namespaces.Has(unix.CLONE_NEWUSER) {
		return nil
	}
	if os.Geteuid() != 0 && (!isOwn(c.UIDs, os.Geteuid()) || !isOwn(c.GIDs, os.Getegid())) {
		if err := help("newuidmap", pid, c.UIDs); err != nil {
			return err
		}
		return help("newgidmap", pid, c.GIDs)
	}
	dir := "/proc/" + strconv.Itoa(pid)
	if !maySetGroups(c) {
		// A group may take rights away as well, so the kernel asks for that (user_namespaces(7),
		// setgroups).
		if err := files.Write(dir+"/setgroups", "deny"); err != nil {
			return fmt.Errorf("write %s: %w", dir+"/setgroups", err)
		}
	}
	if err := files.Write(dir+"/uid_map", c.UIDs.String()); err != nil {
		return fmt.Errorf("map uids %s: %w%s", c.UIDs, err, hintOfMap(err, "CAP_SETUID"))
	}
	if err := files.Write(dir+"/gid_map", c.GIDs.String()); err != nil {
		return fmt.Errorf("map gids %s: %w%s", c.GIDs, err, hintOfMap(err, "CAP_SETGID"))
	}
	return nil
}

// hintOfMap says what root may lack: ids of others take a right.
func hintOfMap(err error, right string) string {
	if errors.Is(err, unix.EPERM) {
		return fmt.Sprintf(" (it takes %s, which root of a container need not have)", right)
	}
	return ""
}

// isOwn tells whether a map has one id of the host, and that is this one: anybody may write such a
// map.
func isOwn(m config.IDMap, id int) bool {
	return len(m) == 1 && m[0].Size == 1 && m[0].Outside == id
}

// maySetGroups tells whether root of the user namespace may drop groups: not where it has one
// group, the caller's.
func maySetGroups(c *config.Container) bool { return !isOwn(c.GIDs, os.Getegid()) }

// help has newuidmap(1) or newgidmap(1) write a map.
func help(program string, pid int, ids config.IDMap) error {
	text := strings.ReplaceAll(ids.String(), "\n", " ")
	path, err := lookPath(program)
	if err != nil {
		return fmt.Errorf("%s %s: %w", program, text, err)
	}
	args := append([]string{program, strconv.Itoa(pid)}, strings.Fields(text)...)
	var output [2]int
	if err := unix.Pipe2(output[:], unix.O_CLOEXEC); err != nil {
		return fmt.Errorf("pipe: %w", err)
	}
	defer unix.Close(output[0])
	child, err := syscall.ForkExec(path, args, &syscall.ProcAttr{
		Env:   os.Environ(),
		Files: []uintptr{0, uintptr(output[1]), uintptr(output[1])},
	})
	unix.Close(output[1])
	if err != nil {
		return fmt.Errorf("%s %s: %w", program, text, err)
	}
	said, _ := files.ReadFD(output[0]) // what it said before it ended
	var ws unix.WaitStatus
	for {
		if _, err = unix.Wait4(child, &ws, 0, nil); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	switch {
	case err != nil:
		return fmt.Errorf("wait for %s: %w", program, err)
	case ws.ExitStatus() == 0:
		return nil
	case strings.TrimSpace(said) == "":
		said = fmt.Sprintf("exit status %d", ws.ExitStatus())
	}
	hint := ""
	if set, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); err == nil && set == 1 {
		hint = " (no_new_privs is set for this process, as by systemd's NoNewPrivileges: " +
			"no setuid program works)"
	}
	return fmt.Errorf("%s %s: %s%s", program, text, strings.TrimSpace(said), hint)
}

// lookPath finds a program as execvp(3) does, also without a PATH. Package os/exec does too, and
// takes longer to be there.
func lookPath(program string) (path string, err error) {
	list, isSet := os.LookupEnv("PATH")
	if !isSet {
		list = "/bin:/usr/bin"
	}
	for dir := range strings.SplitSeq(list, ":") {
		path := dir + "/" + program
		var stat unix.Stat_t
		if dir == "" || unix.Stat(path, &stat) != nil || stat.Mode&unix.S_IFMT != unix.S_IFREG {
			continue
		}
		if unix.Access(path, unix.X_OK) == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("exec: %q: executable file not found in $PATH", program)
}

// OnHost is what an id of the container is on the host. One that it does not have becomes nobody's.
func OnHost(m config.IDMap, id int) int {
	if m == nil {
		return id
	}
	for _, r := range m {
		if r.Inside <= id && id-r.Inside < r.Size {
			return r.Outside + id - r.Inside
		}
	}
	if id == nobody { // not even that
		return nobody
	}
	return OnHost(m, nobody)
}

const nobody = 65534

// has tells whether the container has an id. Without a map it has those of this process, whose map
// is in the file.
func has(m config.IDMap, file string, id int) bool {
	if m == nil {
		return hasIDs(file, id, 1)
	}
	for _, r := range m {
		if r.Inside <= id && id-r.Inside < r.Size {
			return true
		}
	}
	return false
}

// RootOnHost returns the ids on the host of root in the container.
func RootOnHost(c *config.Container) (uid, gid int) {
	if !c.Namespaces.Has(unix.CLONE_NEWUSER) {
		return os.Geteuid(), os.Getegid()
	}
	return OnHost(c.UIDs, 0), OnHost(c.GIDs, 0)
}

// IsOther tells whether root of the container is somebody else on the host: then the child is not
// at home there.
func IsOther(c *config.Container) bool {
	uid, _ := RootOnHost(c)
	return uid != os.Geteuid()
}

// HasGroup tells whether the container has a group id.
func HasGroup(c *config.Container, gid int) bool { return has(c.GIDs, "/proc/self/gid_map", gid) }

// LastGroup is the last of the groups of the container, from 0 on, for a setting of the kernel that
// goes by the groups of the host: there it must not be before group 0.
func LastGroup(c *config.Container) (last int) {
	const most = math.MaxInt32 // see parseID
	if c.GIDs == nil {
		for _, last := range []int{most, idCount - 1} {
			if HasGroup(c, last) {
				return last
			}
		}
		return 0
	}
	for _, r := range c.GIDs {
		if r.Inside <= most && r.Outside >= OnHost(c.GIDs, 0) {
			last = max(last, min(r.Inside+r.Size-1, most))
		}
	}
	return last
}

// BecomeRoot adds the calls that make the child root of its user namespace, without the groups of
// the caller: a right that comes by a group of the host is none of the container's (CVE-2014-8989).
// parent is a pidfd of the runtime.
func BecomeRoot(p *plan.Plan, c *config.Container, parent plan.FD) {
	p.About("become root", "")
	if mayDropGroups(c) {
		p.Setgroups()
	}
	if c.Namespaces.Has(unix.CLONE_NEWUSER) {
		p.Together(func() {
			p.Setresgid(0)
			p.Setresuid(0)
			p.DieWithParent(parent)
		})
	}
}

// mayDropGroups tells whether setgroups(2) works in the child. What is forbidden in a user
// namespace is so in those below.
func mayDropGroups(c *config.Container) bool {
	own, _ := files.Read("/proc/self/setgroups") // none: the kernel does not ask for it
	if strings.TrimSpace(own) == "deny" {
		return false
	}
	if c.Namespaces.Has(unix.CLONE_NEWUSER) {
		return maySetGroups(c)
	}
	return os.Geteuid() == 0
}
