//go:build linux

package users

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/config"
	"container.example/workshop/runtime/plan"
)

// A User is who the command runs as.
type User struct {
	UID, GID int
	Home     string
	Groups   []int // supplementary ones, with GID, or none
}

// NeedsFiles tells whether the user of the container is in its passwd(5), or to be looked for
// there.
func NeedsFiles(c *config.Container) bool { return c.User != "0" }

// OpenFiles adds the calls that open passwd(5) and group(5) of the container. They need not be
// there, and may be anything if a container brought them: a link that leads out of its root, a pipe
// that nobody writes to.
func OpenFiles(p *plan.Plan) (passwd, group plan.FD) {
	open := func(name string) plan.FD {
		p.About("look up user", name)
		fd := p.Openat2(plan.CWD, name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY,
			unix.RESOLVE_NO_MAGICLINKS)
		p.Allow(unix.ENOENT, unix.ENOTDIR, unix.ELOOP) // without the file there are no names
		return fd
	}
	return open("/etc/passwd"), open("/etc/group")
}

// LookUp finds the user of the container in the texts of its passwd(5) and group(5). One that is
// looked up without a group has those of group(5), as by login(1); with a group, that alone. As for
// Docker, `NAME:` is without a group, and `:GROUP` is root.
func LookUp(c *config.Container, passwd, group string) (u User, err error) {
	if !NeedsFiles(c) {
		return User{Home: "/root", Groups: c.Groups}, nil
	}
	name, groupName, hasGroup := strings.Cut(c.User, ":")
	if name == "" && groupName != "" {
		name = "0"
	}
	hasGroup = hasGroup && groupName != ""
	u.Home, u.Groups = "/", c.Groups
	login := ""
	if fields := named(passwd, name); len(fields) > 3 { // getpwnam(3) takes no less
		name = fields[2]
		if len(fields) > 5 && fields[5] != "" { // otherwise it is /, as for login(1)
			u.Home = fields[5]
		}
		if !hasGroup {
			login, groupName, hasGroup = fields[0], fields[3], true
		}
	}
	if u.UID, err = parseID(name); err != nil {
		return u, fmt.Errorf("user %q: %w", c.User, notFound(err, "/etc/passwd"))
	}
	if fields := named(group, groupName); fields != nil {
		groupName = fields[2]
	}
	if hasGroup {
		if u.GID, err = parseID(groupName); err != nil {
			return u, fmt.Errorf("group %q: %w", groupName, notFound(err, "/etc/group"))
		}
	}
	if login != "" && len(c.Groups) == 0 && mayDropGroups(c) {
		u.Groups = groupsOf(group, login, u.GID)
	}
	return u, nil
}

// groupsOf are the groups that a text in the form of group(5) has a user in, and the own one of the
// user with them, as by initgroups(3); none if there are no others.
func groupsOf(text, login string, own int) (groups []int) {
	for line := range strings.Lines(text) {
		fields := strings.Split(strings.TrimSpace(line), ":")
		if len(fields) < 4 || !slices.Contains(strings.Split(fields[3], ","), login) {
			continue
		}
		gid, err := parseID(fields[2])
		if err == nil && gid != own && !slices.Contains(groups, gid) {
			groups = append(groups, gid)
		}
	}
	if groups == nil {
		return nil
	}
	return append([]int{own}, groups...)
}

// JoinGroups adds the call that gives the child its supplementary groups.
func JoinGroups(p *plan.Plan, u User) {
	if len(u.Groups) > 0 {
		p.About("join groups", "")
		p.Setgroups(u.Groups...)
	}
}

// CheckMapped makes sure that the ids of a user are in the id maps of the container.
func CheckMapped(c *config.Container, u User) error {
	if !has(c.UIDs, "/proc/self/uid_map", u.UID) || !HasGroup(c, u.GID) {
		return fmt.Errorf("user %q: not mapped in the user namespace "+
			"(see /etc/subuid and newuidmap)", c.User)
	}
	for _, gid := range u.Groups {
		if !HasGroup(c, gid) {
			return fmt.Errorf("user %q: group %d is not mapped in the user namespace "+
				"(see /etc/subgid and newgidmap)", c.User, gid)
		}
	}
	if len(u.Groups) > 0 && !mayDropGroups(c) {
		return fmt.Errorf("user %q: no groups can be set in a user namespace with one group "+
			"(see /etc/subgid and newgidmap)", c.User)
	}
	return nil
}

// named finds the line of a user in passwd(5), or of a group in group(5). A number is an id and
// never a name: otherwise the file could give it the rights of another.
func named(text, name string) []string {
	if _, err := parseID(name); err == nil {
		return entry(text, 2, name)
	}
	return entry(text, 0, name)
}

// entry finds the line of a text in the form of passwd(5) whose field number i is value: nil if
// there is none.
func entry(text string, i int, value string) []string {
	for line := range strings.Lines(text) {
		fields := strings.Split(strings.TrimSpace(line), ":")
		if len(fields) > 2 && fields[i] == value {
			return fields
		}
	}
	return nil
}

// notFound says what an error of parseID means for something that is not in a file.
func notFound(err error, file string) error {
	if errors.Is(err, strconv.ErrRange) {
		return errors.New("ids are 0 to 2147483647")
	}
	return errors.New("not in the container's " + file)
}

// parseID parses an id; the highest number means none (setresuid(2)).
func parseID(s string) (int, error) {
	id, err := strconv.ParseUint(s, 10, 31)
	return int(id), err
}
