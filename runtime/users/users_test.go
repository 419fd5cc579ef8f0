//go:build linux

package users

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"container.example/workshop/internal/isolated"
	"container.example/workshop/internal/skip"
	"container.example/workshop/runtime/config"
	"container.example/workshop/runtime/plan"
)

// inUserNamespace is a container with these id maps.
func inUserNamespace(uids, gids config.IDMap) *config.Container {
	return &config.Container{Namespaces: unix.CLONE_NEWUSER, UIDs: uids, GIDs: gids}
}

// justOne is the map of a user namespace that has one id.
func justOne(outside int) config.IDMap { return config.IDMap{{Outside: outside, Size: 1}} }

var many = config.IDMap{{Outside: 100000, Size: 65536}}

func lines(t *testing.T, write func(p *plan.Plan)) []string {
	p, err := plan.New(nil)
	require.NoError(t, err)
	defer p.Free()
	write(p)
	require.NoError(t, p.Err())
	return p.Lines()
}

const passwd = `root:x:0:0:root:/root:/bin/sh
demo:x:1000:2000:Demo:/home/demo:/bin/sh
members:x:1002:2001::/:
2000:x:0:0:named like a number:/root:/bin/sh
odd:x:many:0::/:
short:x:7
homeless:x:9:9:::
`

const group = `root:x:0:
wheel:x:10:demo
1000:x:0:
odd:x:many:demo
audio:x:63:root,members,demo
again:x:10:demo
own:x:2001:members
none:x:7
demo:x:8:demo2,dem
`

// A name is looked up in the files of the container. A number is an id: a file that has it for a
// name could make somebody root.
func TestLookUp(t *testing.T) {
	for _, c := range []struct {
		user string
		want User
		err  string
	}{
		{user: "0", want: User{0, 0, "/root", nil}},
		{user: "root", want: User{0, 0, "/root", []int{0, 63}}},
		{user: "demo", want: User{1000, 2000, "/home/demo", []int{2000, 10, 63}}},
		{user: "1000", want: User{1000, 2000, "/home/demo", []int{2000, 10, 63}}},
		{user: "demo:", want: User{1000, 2000, "/home/demo", []int{2000, 10, 63}}},
		{user: "members", want: User{1002, 2001, "/", []int{2001, 63}}},
		{user: ":wheel", want: User{0, 10, "/root", nil}},
		{user: ":50", want: User{0, 50, "/root", nil}},
		{user: "1000:5", want: User{1000, 5, "/home/demo", nil}},
		{user: "demo:wheel", want: User{1000, 10, "/home/demo", nil}},
		{user: "demo:0", want: User{1000, 0, "/home/demo", nil}},
		{user: "0:1000", want: User{0, 1000, "/root", nil}},
		{user: "homeless", want: User{9, 9, "/", nil}},
		{user: "2000", want: User{2000, 0, "/", nil}},
		{user: "1001", want: User{1001, 0, "/", nil}},
		{user: "1001:wheel", want: User{1001, 10, "/", nil}},
		{user: "7", want: User{7, 0, "/", nil}},
		{user: "2147483647:2147483647", want: User{math.MaxInt32, math.MaxInt32, "/", nil}},
		{user: "nobody", err: `user "nobody": not in the container's /etc/passwd`},
		{user: "short", err: `user "short": not in the container's /etc/passwd`},
		{user: "odd", err: `user "odd": not in the container's /etc/passwd`},
		{user: "", err: `user "": not in the container's /etc/passwd`},
		{user: "-1", err: `user "-1": not in the container's /etc/passwd`},
		{user: "+1", err: `user "+1": not in the container's /etc/passwd`},
		{user: "1.5", err: `user "1.5": not in the container's /etc/passwd`},
		{user: "0x0", err: `user "0x0": not in the container's /etc/passwd`},
		// The highest number means that the id stays what it is (setresuid(2)).
		{user: "4294967295", err: `user "4294967295": ids are 0 to 2147483647`},
		{user: "4294967296", err: `user "4294967296": ids are 0 to 2147483647`},
		{user: "demo:nobody", err: `group "nobody": not in the container's /etc/group`},
		{user: "demo:odd", err: `group "many": not in the container's /etc/group`},
		{user: "demo:4294967295", err: `group "4294967295": ids are 0 to 2147483647`},
		{user: ":", err: `user ":": not in the container's /etc/passwd`},
		{user: ":nobody", err: `group "nobody": not in the container's /etc/group`},
		{user: "demo:5:6", err: `group "5:6": not in the container's /etc/group`},
	} {
		t.Run(c.user, func(t *testing.T) {
			k := inUserNamespace(many, many)
			k.User = c.user
			got, err := LookUp(k, passwd, group)
			if c.err != "" {
				require.EqualError(t, err, c.err)
				return
			}
			require.NoError(t, err)
			if hasDeny() {
				c.want.Groups = nil
			}
			require.Equal(t, c.want, got)
		})
	}
}

// Groups that were asked for are in place of those of the files. Where none can be set the files
// count for nothing, and what was asked for is an error.
func TestGroups(t *testing.T) {
	c := inUserNamespace(many, many)
	c.User, c.Groups = "demo", []int{5}
	got, err := LookUp(c, passwd, group)
	require.NoError(t, err)
	require.Equal(t, User{1000, 2000, "/home/demo", []int{5}}, got)
	c.User = "0"
	got, err = LookUp(c, "", "")
	require.NoError(t, err)
	require.Equal(t, User{0, 0, "/root", []int{5}}, got)

	own := inUserNamespace(justOne(os.Geteuid()), justOne(os.Getegid()))
	own.User = "root"
	got, err = LookUp(own, passwd, group)
	require.NoError(t, err)
	require.Empty(t, got.Groups)
	require.EqualError(t, CheckMapped(own, User{Groups: []int{0}}), `user "root": no groups can `+
		`be set in a user namespace with one group (see /etc/subgid and newgidmap)`)

	require.Empty(t, lines(t, func(p *plan.Plan) { JoinGroups(p, User{GID: 5}) }))
	require.Equal(t, []string{`setgroups(2, [5, 7])`},
		lines(t, func(p *plan.Plan) { JoinGroups(p, User{GID: 5, Groups: []int{5, 7}}) }))
}

// Root needs no files: whatever they say it is root, and a container without them has it.
func TestLookUpWithoutFiles(t *testing.T) {
	require.False(t, NeedsFiles(&config.Container{User: "0"}))
	for _, user := range []string{"root", "0:0", "1", "1:1", "demo", ""} {
		require.True(t, NeedsFiles(&config.Container{User: user}), user)
	}
	got, err := LookUp(&config.Container{User: "0"}, "demo:x:0:1000::/home/demo:\n", "")
	require.NoError(t, err)
	require.Equal(t, User{0, 0, "/root", nil}, got)
	got, err = LookUp(&config.Container{User: "5:6"}, "", "")
	require.NoError(t, err)
	require.Equal(t, User{5, 6, "/", nil}, got)
	_, err = LookUp(&config.Container{User: "root"}, "", "")
	require.EqualError(t, err, `user "root": not in the container's /etc/passwd`)
}

// The files are those of the container, and may be anything: a magic link, a pipe that nobody
// writes to, a terminal that would become the one of the child.
func TestFilesAreOpenedWithCare(t *testing.T) {
	const how = `O_RDONLY|O_NOCTTY|O_NONBLOCK|O_CLOEXEC, RESOLVE_NO_MAGICLINKS) ` +
		`or ENOENT, ENOTDIR, ELOOP`
	require.Equal(t, []string{
		`openat2(AT_FDCWD, "/etc/passwd", ` + how,
		`openat2(AT_FDCWD, "/etc/group", ` + how,
	}, lines(t, func(p *plan.Plan) { OpenFiles(p) }))
}

// hasDeny tells whether setgroups(2) is forbidden to this process, as in a user namespace that an
// ordinary user made (user_namespaces(7)).
func hasDeny() bool {
	text, _ := os.ReadFile("/proc/self/setgroups")
	return strings.TrimSpace(string(text)) == "deny"
}

// The groups of the caller are gone before the ids change, which takes the right to drop them. Then
// the child is no longer killed with its parent, and that is mended at once.
func TestBecomeRoot(t *testing.T) {
	setgroups := []string{`setgroups(0, NULL)`}
	ids := []string{
		`setresgid(0, 0, 0)`,
		`setresuid(0, 0, 0)`,
		`prctl(PR_SET_PDEATHSIG, SIGKILL)`,
		`ppoll([<runtime> POLLIN], 1, now) must: 0`,
	}
	own := inUserNamespace(justOne(os.Geteuid()), justOne(os.Getegid()))
	host := &config.Container{Namespaces: unix.CLONE_NEWNS}
	want := map[*config.Container][]string{
		inUserNamespace(many, many): append(setgroups, ids...),
		// The only group is the caller's, and to drop groups is forbidden.
		own: ids,
		// Only root has groups that it could drop.
		host: nil,
	}
	if os.Geteuid() == 0 {
		want[host] = setgroups
	}
	for c, want := range want {
		got := lines(t, func(p *plan.Plan) { BecomeRoot(p, c, p.Open(100, "runtime")) })
		if hasDeny() && len(want) > 0 && want[0] == setgroups[0] {
			want = want[1:]
		}
		require.Equal(t, append([]string(nil), want...), append([]string(nil), got...),
			c.Namespaces)
	}
	isolated.AsNobody(t)
}

// Nobody can be between the change of ids and the call that has the child killed with its parent,
// not even who looks at each call and takes his time (-step): if the runtime were killed there, the
// child would wait forever.
func TestNobodyWatchesBetweenIDsAndDeath(t *testing.T) {
	if !isolated.AsNobody(t) {
		return
	}
	var seen []string
	w := &watch{before: func(call string) { seen = append(seen, call) }}
	p, err := plan.New(w)
	require.NoError(t, err)
	self, err := plan.OpenSelf()
	require.NoError(t, err)
	defer unix.Close(self)
	c := inUserNamespace(justOne(os.Geteuid()), justOne(os.Getegid()))
	p.Umask(0)
	BecomeRoot(p, c, p.Open(self, "runtime"))
	p.Command()
	p.Execve("/nowhere", p.Array([]string{"nowhere"}), p.Array(nil))
	pid, err := p.Start(unix.CLONE_NEWUSER, -1)
	if err != nil {
		skip.Lacking(t, fmt.Sprint("no user namespace for this user here: ", err))
	}
	require.NoError(t, WriteMaps(pid, c))
	require.NoError(t, p.Release())
	p.Executed()
	_, err = unix.Wait4(pid, nil, 0, nil)
	require.NoError(t, err)
	require.ErrorContains(t, p.Failed(), "no such file or directory", "all else was made")
	require.Equal(t, []string{
		`umask(0)`,
		`setresgid(0, 0, 0)`, // and what is made with it
		`execve("/nowhere", ["nowhere"], [])`,
	}, seen)
	p.Free()
}

// watch sees the calls before they are made.
type watch struct{ before func(call string) }

func (w *watch) Before(call string, _ bool) error {
	w.before(call)
	return nil
}

func (w *watch) After(string) {}

// The maps of root and of an ordinary user, by what subuid(5) gives them.
func TestFindMap(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "subuid")
	program := filepath.Join(dir, "newuidmap")
	t.Setenv("PATH", "/nowhere::"+dir)
	text, err := os.ReadFile("/proc/self/uid_map")
	require.NoError(t, err)
	all := len(strings.Fields(string(text))) == 3 && strings.Fields(string(text))[2] == "4294967295"
	if !all {
		skip.Lacking(t, "not all ids are there, in the user namespace of this test")
	}
	root := os.Geteuid() == 0
	for _, c := range []struct {
		name, subuid string
		program      bool
		root, user   config.IDMap
	}{
		{"nothing is given", "", true, many, justOne(77)},
		{
			"by name", "other:1:2\ndemo:200000:1000\n", true,
			config.IDMap{{Outside: 200000, Size: 1000}},
			config.IDMap{{Outside: 77, Size: 1}, {Inside: 1, Outside: 200000, Size: 1000}},
		},
		{
			"by number", "1000:200000:1000", true,
			config.IDMap{{Outside: 200000, Size: 1000}},
			config.IDMap{{Outside: 77, Size: 1}, {Inside: 1, Outside: 200000, Size: 1000}},
		},
		{
			"nobody is there to map them", "demo:200000:1000\n", false,
			config.IDMap{{Outside: 200000, Size: 1000}},
			justOne(77),
		},
		{"of somebody else", "other:200000:1000\ndem:3:4\n", true, many, justOne(77)},
		{"ids that do not exist", "demo:4294967290:1000\n", true, many, justOne(77)},
		// LXD asks for a line of one id, for the user who shares files with its containers.
		{"too few for a container", "demo:1000:1\n1000:2000:999", true, many, justOne(77)},
		{
			"the first that is large enough",
			"demo:1000:1\n1000:300000:65536\ndemo:400000:65536", true,
			config.IDMap{{Outside: 300000, Size: 65536}},
			config.IDMap{{Outside: 77, Size: 1}, {Inside: 1, Outside: 300000, Size: 65536}},
		},
		{
			"nobody is in the larger one", "demo:200000:2000\ndemo:300000:65536", true,
			config.IDMap{{Outside: 300000, Size: 65536}},
			config.IDMap{{Outside: 77, Size: 1}, {Inside: 1, Outside: 300000, Size: 65536}},
		},
		{"with the caller's own id", "demo:0:65536\ndemo:77:65536", true, many, justOne(77)},
		{"less than nothing", "demo:-5:65536\ndemo:5:-65536", true, many, justOne(77)},
		{"not a number", "demo:a:1000\ndemo:200000:b\n", true, many, justOne(77)},
		{"none", "demo:200000:0\n", true, many, justOne(77)},
		{"incomplete", "demo:200000\n", true, many, justOne(77)},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.NoError(t, os.WriteFile(file, []byte(c.subuid), 0o600))
			mode := os.FileMode(0o600)
			if c.program {
				mode = 0o700
			}
			require.NoError(t, os.WriteFile(program, nil, mode))
			require.NoError(t, os.Chmod(program, mode))
			want := c.user
			if root {
				want = c.root
			}
			got, err := findMap(77, file, []string{"1000", "demo"})
			require.NoError(t, err)
			require.Equal(t, want, got)
		})
	}
	got, err := findMap(77, filepath.Join(dir, "nowhere"), []string{"0"})
	require.NoError(t, err)
	require.Equal(t, map[bool]config.IDMap{true: many, false: justOne(77)}[root], got)
	isolated.AsNobody(t)
}

// What a container asks for is what it gets, and without a user namespace there is no map.
// A range next to the caller's own id is as good as any, and one that begins or ends with it is
// none.
func TestChooseWithoutTheOwnID(t *testing.T) {
	const own = 70000
	if !hasIDs("/proc/self/uid_map", 0, own+idCount+1) {
		skip.Lacking(t, "not all ids are there, in the user namespace of this test")
	}
	for first, want := range map[int]bool{
		own - idCount:     true,
		own - idCount + 1: false,
		own:               false,
		own + 1:           true,
	} {
		_, found := choose(config.IDMap{{Outside: first, Size: idCount}}, own)
		require.Equal(t, want, found, first)
	}
}

func TestFindMaps(t *testing.T) {
	given := inUserNamespace(justOne(5), justOne(6))
	require.NoError(t, FindMaps(given))
	require.Equal(t, inUserNamespace(justOne(5), justOne(6)), given)
	none := &config.Container{Namespaces: unix.CLONE_NEWNS}
	require.NoError(t, FindMaps(none))
	require.Equal(t, &config.Container{Namespaces: unix.CLONE_NEWNS}, none)
	found := inUserNamespace(nil, nil)
	require.NoError(t, FindMaps(found))
	require.NotEmpty(t, found.UIDs)
	require.NotEmpty(t, found.GIDs)
	require.Zero(t, found.UIDs[0].Inside, "root is there")
	require.Zero(t, found.GIDs[0].Inside)
	isolated.AsNobody(t)
}

// A user has the name for subuid(5) that passwd(5) says, or, if that says none, the login.
func TestNames(t *testing.T) {
	t.Setenv("USER", "somebody")
	const elsewhere = 3999999999
	got, err := names(elsewhere)
	require.NoError(t, err)
	require.Equal(t, []string{"3999999999", "somebody"}, got)
	t.Setenv("USER", "")
	for uid, want := range map[int][]string{0: {"0", "root"}, elsewhere: {"3999999999"}} {
		got, err := names(uid)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

func TestHasIDs(t *testing.T) {
	file := filepath.Join(t.TempDir(), "uid_map")
	require.True(t, hasIDs(file, 5, 7), "without user namespaces no id is missing")
	text := "         0     100000      10\n        10          1       2\n" +
		"        20          5       1\n"
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	for _, c := range []struct {
		first, count int
		want         bool
	}{
		{0, 1, true},
		{9, 1, true},
		{0, 10, true},
		{3, 7, true},
		{3, 8, false}, // in two lines
		{10, 2, true},
		{11, 2, false},
		{19, 1, false},
		{20, 1, true},
		{20, 2, false},
		{21, 1, false},
		{-1, 3, false},
		{100000, 1, false},
		{math.MaxInt, 1, false},
		{0, math.MaxInt, false},
		{5, math.MaxInt, false},
	} {
		require.Equal(t, c.want, hasIDs(file, c.first, c.count), c)
	}
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.False(t, hasIDs(file, 0, 1), "nothing is mapped yet")
	require.NoError(t, os.WriteFile(file, []byte("0 0 4294967295\n"), 0o600))
	require.True(t, hasIDs(file, 4294967294, 1))
	require.False(t, hasIDs(file, 4294967295, 1))
	require.False(t, hasIDs(file, 4294967290, 6))
}

// An id that the container does not have becomes nobody's; and if it has no nobody, that of the
// host, which the container sees as nobody too (user_namespaces(7), "Unmapped user and group IDs").
func TestOnHost(t *testing.T) {
	two := config.IDMap{{Outside: 1000, Size: 1}, {Inside: 1, Outside: 200000, Size: 65535}}
	gap := config.IDMap{{Inside: 0, Outside: 500, Size: 2}, {Inside: 10, Outside: 600, Size: 2}}
	for _, c := range []struct {
		m        config.IDMap
		id, want int
	}{
		{nil, 0, 0},
		{nil, 1000, 1000},
		{many, 0, 100000},
		{many, 1000, 101000},
		{many, 65535, 165535},
		{many, 65536, 100000 + 65534},
		{many, 4294967295, 100000 + 65534},
		{two, 0, 1000},
		{two, 1, 200000},
		{two, 65535, 265534},
		{two, 65536, 200000 + 65533},
		{gap, 1, 501},
		{gap, 2, nobody},
		{gap, 10, 600},
		{gap, 12, nobody},
		{justOne(1000), 0, 1000},
		{justOne(1000), 1, nobody},
		{justOne(1000), nobody, nobody},
	} {
		require.Equal(t, c.want, OnHost(c.m, c.id), "%v of %v", c.id, c.m)
	}
}

func TestRootOnHost(t *testing.T) {
	for _, c := range []struct {
		c        *config.Container
		uid, gid int
	}{
		{&config.Container{}, os.Geteuid(), os.Getegid()},
		{inUserNamespace(many, justOne(7)), 100000, 7},
		{inUserNamespace(justOne(os.Geteuid()), many), os.Geteuid(), 100000},
	} {
		uid, gid := RootOnHost(c.c)
		require.Equal(t, []int{c.uid, c.gid}, []int{uid, gid})
		require.Equal(t, c.uid != os.Geteuid(), IsOther(c.c))
	}
	isolated.AsNobody(t)
}

func TestHasGroup(t *testing.T) {
	require.True(t, HasGroup(inUserNamespace(nil, many), 5))
	require.True(t, HasGroup(inUserNamespace(nil, many), 65535))
	require.False(t, HasGroup(inUserNamespace(nil, many), 65536))
	require.False(t, HasGroup(inUserNamespace(many, justOne(0)), 5))
	require.True(t, HasGroup(inUserNamespace(nil, justOne(0)), 0))
	// Without a map the container has the groups of the caller: in any case his own.
	require.True(t, HasGroup(&config.Container{}, os.Getegid()))
}

func TestCheckMapped(t *testing.T) {
	c := inUserNamespace(many, justOne(7))
	c.User = "demo"
	require.NoError(t, CheckMapped(c, User{UID: 1000}))
	for _, u := range []User{{UID: 65536}, {UID: 1000, GID: 1}, {UID: 65536, GID: 1}} {
		require.EqualError(t, CheckMapped(c, u),
			`user "demo": not mapped in the user namespace (see /etc/subuid and newuidmap)`)
	}
	require.EqualError(t, CheckMapped(c, User{UID: 1000, Groups: []int{0, 5}}), `user "demo": `+
		`group 5 is not mapped in the user namespace (see /etc/subgid and newgidmap)`)
}

// A map of one id, and that the caller's, is what anybody may write; and whoever writes it may not
// drop groups.
func TestOwnMap(t *testing.T) {
	require.True(t, isOwn(justOne(7), 7))
	require.False(t, isOwn(justOne(7), 8))
	require.False(t, isOwn(config.IDMap{{Outside: 7, Size: 2}}, 7))
	require.False(t, isOwn(append(justOne(7), justOne(8)...), 7))
	require.False(t, isOwn(nil, 0))

	require.False(t, maySetGroups(inUserNamespace(many, justOne(os.Getegid()))))
	require.True(t, maySetGroups(inUserNamespace(justOne(os.Getegid()), many)))
}

// sleeping starts a process in a new user namespace without maps.
func sleeping(t *testing.T) (pid int) {
	cmd := exec.Command("sleep", "60")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWUSER}
	if err := cmd.Start(); err != nil {
		skip.Lacking(t, fmt.Sprint("no user namespace for this user here: ", err))
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd.Process.Pid
}

func read(t *testing.T, pid int, name string) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
	require.NoError(t, err)
	return strings.Join(strings.Fields(string(text)), " ")
}

// An ordinary user may map the own id, if groups cannot be dropped.
func TestWriteMaps(t *testing.T) {
	pid := sleeping(t)
	uid, gid := os.Geteuid(), os.Getegid()
	require.NoError(t, WriteMaps(pid, &config.Container{}), "no user namespace")
	require.Empty(t, read(t, pid, "uid_map"))
	require.NoError(t, WriteMaps(pid, inUserNamespace(justOne(uid), justOne(gid))))
	require.Equal(t, fmt.Sprintf("0 %d 1", uid), read(t, pid, "uid_map"))
	require.Equal(t, fmt.Sprintf("0 %d 1", gid), read(t, pid, "gid_map"))
	require.Equal(t, "deny", read(t, pid, "setgroups"))

	err := WriteMaps(pid, inUserNamespace(justOne(uid), justOne(gid)))
	require.ErrorContains(t, err, "operation not permitted", "a map is written once")
	isolated.AsNobody(t)
}

// Root may map any, and then groups can be dropped.
func TestWriteMapsOfRoot(t *testing.T) {
	if os.Geteuid() != 0 || hasDeny() {
		skip.Lacking(t, "asks for root, who may map any ids")
	}
	pid := sleeping(t)
	other := config.IDMap{{Outside: 200000, Size: 10}}
	require.NoError(t, WriteMaps(pid, inUserNamespace(many, other)))
	require.Equal(t, "0 100000 65536", read(t, pid, "uid_map"))
	require.Equal(t, "0 200000 10", read(t, pid, "gid_map"))
	require.Equal(t, "allow", read(t, pid, "setgroups"))
	err := WriteMaps(sleeping(t), inUserNamespace(append(many, many...), other))
	require.EqualError(t, err, "map uids 0 100000 65536\n0 100000 65536: invalid argument")
	err = WriteMaps(sleeping(t), inUserNamespace(many, append(other, other...)))
	require.EqualError(t, err, "map gids 0 200000 10\n0 200000 10: invalid argument")
}

// Others are up to newuidmap(1) and newgidmap(1), and what these say is what the user reads.
func TestHelp(t *testing.T) {
	if !isolated.AsNobody(t) {
		return
	}
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	t.Setenv("SAID", filepath.Join(dir, "said"))
	program := func(name, script string) {
		name = filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(name, []byte("#!/bin/sh\n"+script+"\n"), 0o700))
	}
	c := inUserNamespace(
		config.IDMap{{Outside: 1000, Size: 1}, {Inside: 1, Outside: 100000, Size: 9}},
		config.IDMap{{Outside: 2000, Size: 1}, {Inside: 1, Outside: 200000, Size: 8}})

	require.EqualError(t, WriteMaps(77, c),
		`newuidmap 0 1000 1 1 100000 9: exec: "newuidmap": executable file not found in $PATH`)
	program("newuidmap", `echo "uid $*" >>"$SAID"`)
	program("newgidmap", `echo "gid $*" >>"$SAID"`)
	require.NoError(t, WriteMaps(77, c))
	said, err := os.ReadFile(os.Getenv("SAID"))
	require.NoError(t, err)
	require.Equal(t, "uid 77 0 1000 1 1 100000 9\ngid 77 0 2000 1 1 200000 8\n", string(said))

	// One map that is not the own is enough.
	require.NoError(t, WriteMaps(78, inUserNamespace(justOne(os.Geteuid()), c.GIDs)))
	require.NoError(t, WriteMaps(79, inUserNamespace(c.UIDs, justOne(os.Getegid()))))

	program("newuidmap", "exit 3")
	require.EqualError(t, WriteMaps(77, c), "newuidmap 0 1000 1 1 100000 9: exit status 3")
	program("newuidmap", "echo; echo not allowed >&2; exit 1")
	require.EqualError(t, WriteMaps(77, c), "newuidmap 0 1000 1 1 100000 9: not allowed")
	program("newuidmap", "echo warning >&2")
	program("newgidmap", "exit 4")
	require.EqualError(t, WriteMaps(77, c), "newgidmap 0 2000 1 1 200000 8: exit status 4")
}

// A program is a regular file that may be executed, and never one of the working directory.
func TestLookPath(t *testing.T) {
	dir := t.TempDir()
	first, second := filepath.Join(dir, "first"), filepath.Join(dir, "second")
	for _, d := range []string{first + "/directory", second} {
		require.NoError(t, os.MkdirAll(d, 0o755))
	}
	for name, mode := range map[string]os.FileMode{
		first + "/text": 0o600, first + "/one": 0o700,
		second + "/text": 0o700, second + "/one": 0o700, second + "/directory": 0o700,
	} {
		require.NoError(t, os.WriteFile(name, nil, mode))
	}
	t.Chdir(first)
	t.Setenv("PATH", ":/nowhere:"+first+":"+second)
	for program, want := range map[string]string{
		"one": first + "/one", "text": second + "/text", "directory": second + "/directory",
	} {
		path, err := lookPath(program)
		require.NoError(t, err, program)
		require.Equal(t, want, path)
	}
	t.Setenv("PATH", ":")
	_, err := lookPath("one")
	require.EqualError(t, err, `exec: "one": executable file not found in $PATH`)
}

// Only the pipes among the standard streams are given away: what has a name stays its owner's. To
// root they belong already.
func TestPipes(t *testing.T) {
	const env = "TEST_PIPES"
	if os.Getenv(env) == "" { // with other streams than those of this test
		cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), env+"=1")
		said, err := cmd.CombinedOutput() // stdin is /dev/null, and the others are a pipe
		require.NoError(t, err, string(said))
		isolated.AsNobody(t)
		return
	}
	give := func(uid, gid int) []string {
		return lines(t, func(p *plan.Plan) { GivePipes(p, User{UID: uid, GID: gid}) })
	}
	require.Empty(t, give(0, 0))
	for _, ids := range [][2]int{{1000, 2000}, {0, 2000}, {1000, 0}} {
		require.Equal(t, []string{
			fmt.Sprintf(`fchown(<stdout>, %d, %d) or EPERM`, ids[0], ids[1]),
			fmt.Sprintf(`fchown(<stderr>, %d, %d) or EPERM`, ids[0], ids[1]),
		}, give(ids[0], ids[1]))
	}

	owner, isPipe := pipeOwner(1)
	require.True(t, isPipe)
	require.Equal(t, os.Geteuid(), owner)
	_, isPipe = pipeOwner(0)
	require.False(t, isPipe)
	_, isPipe = pipeOwner(1 << 20)
	require.False(t, isPipe, "closed")
	// The one who asks is root of the container: nothing changes.
	require.NoError(t, GivePipesToRoot(&config.Container{}))
	owner, _ = pipeOwner(1)
	require.Equal(t, os.Geteuid(), owner)
	err := GivePipesToRoot(inUserNamespace(many, many))
	owner, _ = pipeOwner(2)
	switch {
	case os.Geteuid() != 0: // an ordinary user cannot give anything away: no reason to stop
		require.NoError(t, err)
		require.Equal(t, os.Geteuid(), owner)
	case HasGroup(&config.Container{}, 100000):
		require.NoError(t, err)
		require.Equal(t, 100000, owner)
	default: // there is no such id
		require.EqualError(t, err, "chown standard stream 1: invalid argument")
	}
}

// A range of groups is one on the host, too, and so it ends where that goes on behind group 0.
func TestLastGroup(t *testing.T) {
	for _, c := range []struct {
		gids config.IDMap
		want int
	}{
		{config.IDMap{{Outside: 100000, Size: 65536}}, 65535},
		{config.IDMap{{Outside: 1000, Size: 1}}, 0},
		{config.IDMap{{Outside: 1000, Size: 1}, {Inside: 1, Outside: 100000, Size: 65536}}, 65536},
		{config.IDMap{{Outside: 900000, Size: 1}, {Inside: 1, Outside: 100000, Size: 65536}}, 0},
		{config.IDMap{{Outside: 1, Size: 1 << 32}}, math.MaxInt32},
	} {
		require.Equal(t, c.want, LastGroup(&config.Container{GIDs: c.gids}), "%v", c.gids)
	}
}
