//go:build linux

package rootfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"container.example/workshop/internal/isolated"
	"container.example/workshop/internal/skip"
	"container.example/workshop/runtime/config"
	"container.example/workshop/runtime/users"
)

// cover puts an empty file system over a directory.
func cover(t *testing.T, dir string) {
	require.NoError(t, unix.Mount("tmpfs", dir, "tmpfs", 0, ""), dir)
}

func writeFile(t *testing.T, name, text string) {
	require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
}

// cgroupStory is what is mounted in /sys/fs/cgroup, and after what.
func cgroupStory(t *testing.T, change func(c *config.Container)) []string {
	story := mounts(list(t, container(func(c *config.Container) {
		c.Namespaces |= unix.CLONE_NEWCGROUP
		change(c)
	})))
	end := slices.Index(story, "leave host:/")
	first := slices.IndexFunc(story,
		func(s string) bool { return strings.HasPrefix(s, "/sys/fs/") })
	if first == -1 {
		return nil
	}
	require.Contains(t, story[first-1], "size=0", "the last mask comes before")
	return story[first:end]
}

const (
	tmpfsCover = "/sys/fs/cgroup: tmpfs " + secure + " mode=755,size=64k"
	cgroup2    = "/sys/fs/cgroup: cgroup2 MS_RDONLY|" + secure
)

func limited(c *config.Container) { c.Memory, c.CPUs = 1<<20, 1 }

// On version 2 it is one file system, and nobody's but the container's: with the network of the
// host /sys is the host's, with all its cgroups, so they are covered first.
func TestCgroupVersion2(t *testing.T) {
	if !isolated.In(t, unix.CLONE_NEWNS|unix.CLONE_NEWCGROUP) {
		return
	}
	cover(t, "/sys/fs/cgroup") // where version 2 is mounted already it cannot be again (EBUSY)
	if err := unix.Mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, ""); err != nil {
		skip.Lacking(t, fmt.Sprint("mount cgroup2: ", err))
	}
	withoutNet := func(c *config.Container) { c.Namespaces &^= unix.CLONE_NEWNET }
	require.Equal(t, []string{cgroup2}, cgroupStory(t, func(*config.Container) {}))
	require.Equal(t, []string{cgroup2}, cgroupStory(t, limited))
	require.Equal(t, []string{tmpfsCover, cgroup2}, cgroupStory(t, withoutNet))
	require.Empty(t,
		cgroupStory(t, func(c *config.Container) { c.Namespaces &^= unix.CLONE_NEWCGROUP }))

	// The descriptor that the second mount is put on is one of the cover.
	calls := list(t, container(func(c *config.Container) {
		c.Namespaces |= unix.CLONE_NEWCGROUP
		withoutNet(c)
	}))
	const open = `openat2(</sys>, "fs/cgroup", O_PATH|O_DIRECTORY|O_CLOEXEC, RESOLVE_NO_SYMLINKS)`
	first := find(t, calls,
		`mount("tmpfs", ".", "tmpfs", MS_NOSUID|MS_NODEV|MS_NOEXEC, "mode=755,size=64k")`)
	second := find(t, calls, `mount("cgroup2"`)
	require.Contains(t, lines(calls)[first:second], open)
}

// On version 1 each controller with a limit has a file system, in a directory for which there has
// to be room.
func TestCgroupVersion1(t *testing.T) {
	if !isolated.In(t, unix.CLONE_NEWNS|unix.CLONE_NEWCGROUP) {
		return
	}
	cover(t, "/sys/fs/cgroup")
	text := filepath.Join(t.TempDir(), "cgroup")
	writeFile(t, text, `12:pids:/
4:memory:/a
3:cpu,cpuacct:/a
2:cpuset:/
1:name=systemd:/
0::/
`)
	if err := unix.Mount(text, "/proc/self/cgroup", "", unix.MS_BIND, ""); err != nil {
		skip.Lacking(t, fmt.Sprint("mount over /proc/self/cgroup: ", err))
	}
	hierarchy := func(name string) string {
		return "/sys/fs/cgroup/" + name + ": cgroup MS_RDONLY|" + secure + " " + name
	}
	want := []string{tmpfsCover, hierarchy("memory"), hierarchy("cpu,cpuacct")}
	withoutNet := func(c *config.Container) { c.Namespaces &^= unix.CLONE_NEWNET }
	require.Equal(t, want, cgroupStory(t, limited))
	require.Equal(t, want, cgroupStory(t, func(c *config.Container) {
		limited(c)
		withoutNet(c)
	}))
	require.Empty(t, cgroupStory(t, func(*config.Container) {}))
	require.Equal(t, []string{tmpfsCover}, cgroupStory(t, withoutNet))
	require.Empty(t, cgroupStory(t, func(c *config.Container) {
		limited(c)
		c.Namespaces &^= unix.CLONE_NEWCGROUP
	}))
}

// Servers on the loopback interface of the host are out of reach in a network namespace.
func TestResolvers(t *testing.T) {
	if !isolated.In(t, unix.CLONE_NEWNS|unix.CLONE_NEWCGROUP) {
		return
	}
	cover(t, "/etc")
	cover(t, "/run")
	const stub, behind = "/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"
	resolvers := func(r *Root) string {
		text, err := r.resolvers()
		require.NoError(t, err)
		return text
	}
	own, host := &Root{c: container(nil)}, &Root{c: without(unix.CLONE_NEWNET)}
	require.Empty(t, resolvers(own), "there need not be one")
	require.Empty(t, resolvers(host))

	writeFile(
		t,
		stub,
		"search a.example\nnameserver 127.0.0.1\nnameserver\t::1\n nameserver 10.0.0.1\n"+
			"# nameserver 127.0.0.1\nnameserver\nnameserver 8.8.8.8",
	)
	require.Equal(t, "search a.example\n nameserver 10.0.0.1\n# nameserver 127.0.0.1\nnameserver\n"+
		"nameserver 8.8.8.8", resolvers(own))
	require.Contains(t, resolvers(host), "nameserver 127.0.0.1\n")

	// systemd-resolved keeps the servers behind its own in a file (systemd-resolved.service(8)).
	writeFile(t, behind, "nameserver 9.9.9.9\n")
	require.Contains(t, resolvers(own), "10.0.0.1", "only where it is the server")
	writeFile(t, stub, "nameserver 127.0.0.53\noptions edns0\n")
	require.Equal(t, "nameserver 9.9.9.9\n", resolvers(own))
	require.Equal(t, "nameserver 127.0.0.53\noptions edns0\n", resolvers(host))
	writeFile(t, behind, "")
	require.Equal(t, "options edns0\n", resolvers(own))

	// What cannot be read is an error for a container with a network.
	require.NoError(t, os.Chmod(stub, 0))
	bridged := &Root{c: container(func(c *config.Container) { c.Network = config.Bridge })}
	if _, err := os.ReadFile(stub); err != nil {
		require.Empty(t, resolvers(own))
		_, err := bridged.resolvers()
		require.EqualError(t, err, "read /etc/resolv.conf: permission denied")
	}

	require.NoError(t, os.Truncate(stub, 1<<30))
	require.Empty(t, resolvers(own))
	if _, err := bridged.resolvers(); !errors.Is(err, unix.EACCES) {
		require.EqualError(t, err, "read /etc/resolv.conf: file too large")
	}
	require.NoError(t, os.Remove(stub))
	require.NoError(t, os.Symlink("resolv.conf", stub))
	text, err := bridged.resolvers()
	require.NoError(t, err)
	require.Empty(t, text, "a link to itself is no file")

	// A pipe may be waited for forever.
	require.NoError(t, os.Remove(stub))
	require.NoError(t, unix.Mkfifo(stub, 0o600))
	require.Empty(t, inTime(t, func() string { return resolvers(own) }))
}

// A server that another network namespace cannot reach is left out, in whatever form.
func TestIsOfHost(t *testing.T) {
	for _, address := range []string{
		"127.0.0.1", "127.9.8.7", "127.1", "0x7f.1", "2130706433", "0177.0.0.1", "0.0.0.0", "0",
		"::1", "::", "0:0:0:0:0:0:0:1", "0::0.0.0.1", "::ffff:127.0.0.1", "::ffff:7f00:1",
		"::FFFF:0:0",
		"fe80::1%eth0", "fe80::1%2", "10.0.0.1%eth0",
	} {
		require.True(t, isOfHost(address), address)
	}
	for _, address := range []string{
		"", "10.0.0.1", "192.0.2.53", "128.0.0.1", "1.127", "12.7", "127", "0.0.0.1", "name",
		"127.0.0.1.1", "127.0.0.256",
		"2001:db8::1", "1::", "::2", "::1:0", "1::1", "::ffff:10.0.0.1", "::ffff:8.8.8.8",
		"fe80::1", "1:2:3:4:5:6:7:8", "0:0:0:0:0:0:0:0:1", ":::1", "::1::", "0:0:1", "::g",
	} {
		require.False(t, isOfHost(address), address)
	}
}

// The names of the host are those of its network, and each container has its own.
func TestHosts(t *testing.T) {
	if !isolated.In(t, unix.CLONE_NEWNS|unix.CLONE_NEWCGROUP) {
		return
	}
	cover(t, "/etc")
	hosts := func(r *Root, name, address string) string {
		text, err := r.hosts(name, address)
		require.NoError(t, err)
		return text
	}
	own, host := &Root{c: container(nil)}, &Root{c: without(unix.CLONE_NEWNET)}
	const none = localhost + "127.0.1.1 box\n"
	require.Equal(t, none, hosts(own, "box", ""))
	require.Equal(t, none, hosts(host, "box", ""), "there need not be one")

	// Names have a full form first, and then aliases (hosts(5)).
	require.Equal(t, localhost+"10.0.0.2 box.corp.example box\n",
		hosts(own, "box.corp.example", "10.0.0.2"))
	require.Equal(t, localhost+"127.0.1.1 box. box\n", hosts(own, "box.", ""))
	require.Equal(t, localhost+"127.0.1.1 .box\n", hosts(own, ".box", ""))

	writeFile(t, "/etc/hosts", "192.0.2.7\tdb.corp db # box\n10.1.2.3 other")
	require.Equal(t, none, hosts(own, "box", ""))
	require.Equal(t, "192.0.2.7\tdb.corp db # box\n10.1.2.3 other\n127.0.1.1 box\n",
		hosts(host, "box", ""))
	for _, name := range []string{"db.corp", "db", "other"} {
		require.Equal(t, "192.0.2.7\tdb.corp db # box\n10.1.2.3 other", hosts(host, name, ""),
			"it has an address")
	}
	require.Contains(t, hosts(host, "10.1.2.3", ""), "\n127.0.1.1 10.1.2.3 10\n", "not as a name")
}

// inTime fails the test if a function waits.
func inTime(t *testing.T, f func() string) (text string) {
	done := make(chan string, 1)
	go func() { done <- f() }()
	select {
	case text = <-done:
	case <-time.After(time.Minute):
		require.Fail(t, "it waits for a pipe")
	}
	return text
}

// Each processor that can come has its own; a virtual one has none.
func TestThrottles(t *testing.T) {
	if !isolated.In(t, unix.CLONE_NEWNS|unix.CLONE_NEWCGROUP) {
		return
	}
	const cpu = "/sys/devices/system/cpu"
	cover(t, cpu)
	require.Equal(
		t,
		[]string{"devices/system/cpu/cpu0/thermal_throttle"},
		throttles(),
		"a kernel that does not say how many there are has one",
	)
	for _, n := range []string{"0", "2", "11"} {
		require.NoError(t, os.MkdirAll(cpu+"/cpu"+n+"/thermal_throttle", 0o755))
	}
	for possible, want := range map[string][]string{
		"0\n":     {"0"},
		"0-1\n":   {"0"},
		"0-2\n":   {"0", "2"},
		"0-10\n":  {"0", "2"},
		"0-11\n":  {"0", "2", "11"},
		"0,2-3\n": {"0", "2"},
	} {
		writeFile(t, cpu+"/possible", possible)
		var names []string
		for _, n := range want {
			names = append(names, "devices/system/cpu/cpu"+n+"/thermal_throttle")
		}
		require.Equal(t, names, throttles(), possible)
	}
	writeFile(t, cpu+"/possible", "0-2\n")
	story := mounts(list(t, container(nil)))
	require.Contains(t, story, "/sys/devices/system/cpu/cpu2/thermal_throttle: "+
		"tmpfs MS_RDONLY|"+secure+" size=0,nr_inodes=1")
	require.Contains(t, MaskedPaths(), "/sys/devices/system/cpu/cpu2/thermal_throttle")
}

// The files of a container are read as the container would: its links lead to a place inside.
func TestReadInside(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(dir, "outside")
	root := filepath.Join(dir, "rootfs")
	writeFile(t, outside, "the host's")
	writeFile(t, filepath.Join(root, "etc/passwd"), "the container's")
	for link, target := range map[string]string{
		"absolute": "/etc/passwd",
		"relative": "etc/passwd",
		"out":      outside,
		"loop":     "loop",
		"magic":    "/proc/self/exe",
	} {
		require.NoError(t, os.Symlink(target, filepath.Join(root, link)))
	}
	require.NoError(t, unix.Mkfifo(filepath.Join(root, "pipe"), 0o600))
	for name, want := range map[string]string{
		"etc/passwd": "the container's",
		"absolute":   "the container's",
		"relative":   "the container's",
		"out":        "",
		"magic":      "",
		"pipe":       "",
		"etc":        "",
		"nowhere":    "",
	} {
		got := inTime(t, func() string { return inside(t, root, name) })
		require.Equal(t, want, got, name)
	}
	_, err := ReadInside(root, "loop")
	require.ErrorIs(t, err, unix.ELOOP)
	_, err = ReadInside(filepath.Join(dir, "nowhere"), "etc/passwd")
	require.ErrorIs(t, err, unix.ENOENT)
	here, err := os.ReadFile("/etc/passwd")
	require.NoError(t, err)
	require.Equal(t, string(here), inside(t, "", "etc/passwd"),
		"without a root file system: the host's")
}

// In layers the uppermost file counts, unless a layer above it hides it: by a whiteout or an opaque
// directory (overlayfs.rst), or something else in place of a directory.
func TestReadBelow(t *testing.T) {
	layers := func(t *testing.T) (c *config.Container, lower, upper string) {
		c = &config.Container{Lowers: []string{t.TempDir(), t.TempDir(), t.TempDir()}}
		writeFile(t, c.Lowers[0]+"/etc/passwd", "lower")
		return c, c.Lowers[0], c.Lowers[1]
	}
	read := func(t *testing.T, c *config.Container) string {
		text, err := ReadBelow(c, "etc/passwd")
		require.NoError(t, err)
		return text
	}
	for name, hide := range map[string]func(t *testing.T, upper string){
		"file":      func(t *testing.T, upper string) { writeFile(t, upper+"/etc/passwd", "") },
		"directory": func(t *testing.T, upper string) { writeFile(t, upper+"/etc/passwd/a", "") },
		"no directory": func(t *testing.T, upper string) {
			writeFile(t, upper+"/etc", "")
		},
		"link out": func(t *testing.T, upper string) {
			require.NoError(t, os.Symlink("/tmp", upper+"/etc"))
		},
		"opaque": func(t *testing.T, upper string) {
			require.NoError(t, os.Mkdir(upper+"/etc", 0o755))
			setOpaque(t, upper+"/etc")
		},
		"opaque root": setOpaque,
		"whiteout": func(t *testing.T, upper string) {
			require.NoError(t, os.Mkdir(upper+"/etc", 0o755))
			makeWhiteout(t, upper+"/etc/passwd")
		},
		"whiteout above": func(t *testing.T, upper string) { makeWhiteout(t, upper+"/etc") },
	} {
		t.Run(name, func(t *testing.T) {
			c, lower, upper := layers(t)
			require.Equal(t, "lower", read(t, c), "nothing is in the way")
			hide(t, upper)
			require.Empty(t, read(t, c))
			c.Lowers = []string{upper, lower}
			require.Equal(t, "lower", read(t, c), "what is below hides nothing")
		})
	}
	c, _, upper := layers(t)
	writeFile(t, upper+"/etc/group", "")
	require.Equal(t, "lower", read(t, c), "another file")
	writeFile(t, upper+"/etc/passwd", "upper")
	require.Equal(t, "upper", read(t, c))

	c = &config.Container{Rootfs: upper}
	require.Equal(t, "upper", read(t, c), "a rootfs")
	c.Lowers = []string{upper + "/nowhere"}
	_, err := ReadBelow(c, "etc/passwd")
	require.ErrorIs(t, err, unix.ENOENT)
}

func setOpaque(t *testing.T, dir string) {
	if err := unix.Setxattr(dir, opaque, []byte("y"), 0); err != nil {
		skip.Lacking(t, fmt.Sprintf("no user attributes on this file system: %v", err))
	}
}

func makeWhiteout(t *testing.T, name string) {
	if err := unix.Mknod(name, unix.S_IFCHR, 0); err != nil {
		skip.Lacking(t, fmt.Sprintf("no whiteouts on this file system: %v", err))
	}
}

// What a copy has is what the tree has, but for devices, sockets and pipes; a link is copied and
// not followed, and a file with two names stays one file.
func TestCopyOnce(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	writeFile(t, filepath.Join(from, "a/file"), "text")
	require.NoError(t, os.Chmod(filepath.Join(from, "a/file"), 0o4751|os.ModeSetuid))
	require.NoError(t, os.Mkdir(filepath.Join(from, "sticky"), 0o700))
	require.NoError(t, os.Chmod(filepath.Join(from, "sticky"), 0o777|os.ModeSticky))
	require.NoError(t, os.Link(filepath.Join(from, "a/file"), filepath.Join(from, "b")))
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(from, "link")))
	require.NoError(t, os.Symlink("/nowhere", filepath.Join(from, "dangling")))
	require.NoError(t, unix.Mkfifo(filepath.Join(from, "pipe"), 0o600))
	require.NoError(t, os.MkdirAll(to+".part/left/over", 0o755)) // of a container that was killed

	before := unix.Umask(0o77)
	err := CopyOnce(from, to)
	require.Equal(t, 0o77, unix.Umask(before), "the mask is what it was")
	require.NoError(t, err)

	text, err := os.ReadFile(filepath.Join(to, "a/file"))
	require.NoError(t, err)
	require.Equal(t, "text", string(text))
	stat := func(name string) (s unix.Stat_t) {
		require.NoError(t, unix.Lstat(filepath.Join(to, name), &s), name)
		return s
	}
	require.EqualValues(t, unix.S_IFREG|0o4751, stat("a/file").Mode)
	require.EqualValues(t, unix.S_IFDIR|0o1777, stat("sticky").Mode)
	require.EqualValues(t, unix.S_IFDIR|0o755, stat("a").Mode)
	require.Equal(t, stat("a/file").Ino, stat("b").Ino)
	for link, want := range map[string]string{"link": "/etc/passwd", "dangling": "/nowhere"} {
		target, err := os.Readlink(filepath.Join(to, link))
		require.NoError(t, err)
		require.Equal(t, want, target)
	}
	require.EqualValues(t, unix.S_IFIFO|0o600, stat("pipe").Mode)
	require.NoDirExists(t, to+".part")

	// What was kept is left as the container left it.
	require.NoError(t, os.Remove(filepath.Join(to, "b")))
	require.NoError(t, CopyOnce(from, to))
	require.NoFileExists(t, filepath.Join(to, "b"))
}

// Only what is complete has its name, and what has failed takes no room.
func TestCopyThatFails(t *testing.T) {
	dir := t.TempDir()
	to := filepath.Join(dir, "to")
	require.Error(t, CopyOnce(filepath.Join(dir, "nowhere"), to))
	require.NoDirExists(t, to)
	require.NoDirExists(t, to+".part")
}

// A copy that was begun is taken back: a full disk gets no fuller.
func TestCopyToFullDisk(t *testing.T) {
	if !isolated.In(t, unix.CLONE_NEWNS|unix.CLONE_NEWCGROUP) {
		return
	}
	from, disk := t.TempDir(), t.TempDir()
	writeFile(t, filepath.Join(from, "a/first"), "text")
	writeFile(t, filepath.Join(from, "b"), strings.Repeat("a", 1<<20))
	require.NoError(t, unix.Mount("tmpfs", disk, "tmpfs", 0, "size=64k"))
	require.ErrorIs(t, CopyOnce(from, filepath.Join(disk, "to")), unix.ENOSPC)
	left, err := os.ReadDir(disk)
	require.NoError(t, err)
	require.Empty(t, left)
	require.NoError(t, unix.Unmount(disk, 0))
}

// canGiveAway tells whether who runs the tests may give files to the ids of a container.
func canGiveAway() bool {
	return os.Geteuid() == 0 && users.HasGroup(&config.Container{}, 165535)
}

// Owners are shifted to those that the user namespace has for them.
func TestCopyShiftsOwners(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	writeFile(t, filepath.Join(from, "file"), "")
	require.NoError(t, os.Symlink("file", filepath.Join(from, "link")))
	require.NoError(t, os.Mkdir(to, 0o755))
	uid, gid := os.Geteuid(), os.Getegid()
	if canGiveAway() {
		uid, gid = 100007, 100008
	}
	var shifted []uint32
	all := func(id int) func(uint32) uint32 {
		return func(was uint32) uint32 {
			shifted = append(shifted, was)
			return uint32(id)
		}
	}
	source, target := openedDir(t, from), openedDir(t, to)
	require.NoError(t, copyTree(source, target, owners{uid: all(uid), gid: all(gid)}, never))
	require.Len(t, shifted, 6)
	for _, name := range []string{".", "file", "link"} {
		var s unix.Stat_t
		require.NoError(t, unix.Lstat(filepath.Join(to, name), &s))
		require.EqualValues(t, uid, s.Uid, name)
		require.EqualValues(t, gid, s.Gid, name)
	}
}

func openedDir(t *testing.T, name string) (fd int) {
	fd, err := unix.Open(name, openDir, 0)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// anACL lets user 7 and group 8 read and write, besides the owner (acl(5)).
func anACL(user, group byte) []byte {
	const none = 0xff
	return []byte{
		2, 0, 0, 0,
		1, 0, 6, 0, none, none, none, none,
		2, 0, 6, 0, user, 0, 0, 0,
		4, 0, 0, 0, none, none, none, none,
		8, 0, 6, 0, group, 0, 0, 0,
		16, 0, 6, 0, none, none, none, none,
		32, 0, 0, 0, none, none, none, none,
	}
}

// A copy is as the original, whatever kind of file it is.
func TestCopyIsAsTheOriginal(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	in := func(name string) string { return filepath.Join(from, name) }
	require.NoError(t, os.Mkdir(from, 0o700))

	// Holes at the beginning, between, and at the end; and nothing but one.
	const block, size = 1 << 16, 8 << 20
	sparse, err := os.Create(in("sparse"))
	require.NoError(t, err)
	_, err = sparse.WriteAt([]byte(strings.Repeat("a", block)), size/4)
	require.NoError(t, err)
	_, err = sparse.WriteAt([]byte(strings.Repeat("b", 1)), size/2)
	require.NoError(t, err)
	require.NoError(t, sparse.Truncate(size))
	require.NoError(t, sparse.Close())
	writeFile(t, in("hole"), "")
	require.NoError(t, os.Truncate(in("hole"), 64<<30))
	writeFile(t, in("odd size"), strings.Repeat("text", 12345)+"x")
	writeFile(t, in("empty"), "")

	// Names are bytes.
	for _, name := range []string{"\xff\xfe", "new\nline", "\x01", "-rf", "a b", "ä", "..."} {
		writeFile(t, in("names \x80/"+name), name)
	}
	require.NoError(t, os.Symlink("\xff\n", in("link \xff")))
	require.NoError(t, os.Symlink(strings.Repeat("a", unix.PathMax-1), in("long link")))
	require.NoError(t, os.Link(in("link \xff"), in("link of a link")))

	require.NoError(t, unix.Mkfifo(in("pipe"), 0o640))
	require.NoError(t, os.Link(in("pipe"), in("second pipe")))
	socket, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(socket)
	t.Chdir(from)
	require.NoError(t, unix.Bind(socket, &unix.SockaddrUnix{Name: "socket"}))
	isRoot := unix.Mknod(in("device"), unix.S_IFCHR|0o620, int(unix.Mkdev(1, 3))) == nil

	var attributes []struct{ file, name string }
	set := func(file, name string, value []byte) {
		if err := unix.Setxattr(in(file), name, value, 0); err != nil {
			t.Logf("without %s: %v", name, err)
			return
		}
		attributes = append(attributes, struct{ file, name string }{file, name})
	}
	set("empty", "user.text", []byte("a\x00b"))
	set("empty", "user.long", []byte(strings.Repeat("a", 2000)))
	set("names \x80", "user.empty", nil)
	set("odd size", accessACL, anACL(7, 8))
	set("names \x80", defaultACL, anACL(7, 8))
	set("empty", fileCapability, []byte{0, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})

	require.NoError(t, os.Chmod(in("names \x80/a b"), 0o000))
	require.NoError(t, os.Chmod(in("names \x80"), 0o555))
	t.Cleanup(func() { _ = os.Chmod(in("names \x80"), 0o755) })
	require.NoError(t, os.Chmod(from, 0o750))
	old := []unix.Timespec{{Sec: 100, Nsec: 5}, {Sec: -7, Nsec: 999}}
	var files []string
	require.NoError(t, filepath.WalkDir(from, func(name string, _ os.DirEntry, _ error) error {
		name, _ = filepath.Rel(from, name)
		files = append(files, name)
		return unix.UtimesNanoAt(unix.AT_FDCWD, in(name), old, unix.AT_SYMLINK_NOFOLLOW)
	}))
	var before []unix.Stat_t
	for _, name := range files {
		var s unix.Stat_t
		require.NoError(t, unix.Lstat(in(name), &s))
		before = append(before, s)
	}

	if os.Geteuid() != 0 { // a file that nobody may read cannot be copied by an ordinary user
		require.NoError(t, os.Chmod(in("names \x80/a b"), 0o400))
		before[slices.Index(files, "names \x80/a b")].Mode |= 0o400
	}
	require.NoError(t, CopyOnce(from, to))
	t.Cleanup(func() { _ = os.Chmod(filepath.Join(to, "names \x80"), 0o755) })

	for i, name := range files {
		want, got := before[i], unix.Stat_t{}
		require.NoError(t, unix.Lstat(filepath.Join(to, name), &got), name)
		require.Equal(t, want.Mode, got.Mode, name)
		require.Equal(t, want.Mtim, got.Mtim, name)
		require.Equal(t, want.Atim, got.Atim, name)
		require.Equal(t, want.Rdev, got.Rdev, name)
		require.Equal(t, [2]uint32{want.Uid, want.Gid}, [2]uint32{got.Uid, got.Gid}, name)
		if want.Mode&unix.S_IFMT == unix.S_IFDIR {
			continue
		}
		require.Equal(t, want.Nlink, got.Nlink, name)
		require.Equal(t, want.Size, got.Size, name)
		require.LessOrEqual(t, got.Blocks, want.Blocks+2*block/512, "%s has no holes", name)
	}
	for _, name := range []string{
		"sparse", "odd size", "names \x80/\xff\xfe", "names \x80/new\nline",
	} {
		want, err := os.ReadFile(in(name))
		require.NoError(t, err)
		got, err := os.ReadFile(filepath.Join(to, name))
		require.NoError(t, err)
		require.True(t, string(want) == string(got), name)
	}
	for _, name := range []string{"link \xff", "long link", "link of a link"} {
		want, err := os.Readlink(in(name))
		require.NoError(t, err)
		got, err := os.Readlink(filepath.Join(to, name))
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, a := range attributes {
		get := func(path string) []byte {
			value, err := grow(func(b []byte) (int, error) {
				return unix.Lgetxattr(path, a.name, b)
			})
			require.NoError(t, err, a)
			return value
		}
		require.Equal(t, get(in(a.file)), get(filepath.Join(to, a.file)), a)
	}
	require.Equal(t, isRoot, slices.Contains(files, "device"))
}

// Where the ids of the copy are others, those in attributes are too.
func TestAttributesShift(t *testing.T) {
	shifted := owners{
		uid: func(id uint32) uint32 { return id + 100 },
		gid: func(id uint32) uint32 { return id + 200 },
	}
	require.Equal(t, anACL(107, 208), shifted.inAttribute(accessACL, anACL(7, 8)))
	require.Equal(t, anACL(107, 208), shifted.inAttribute(defaultACL, anACL(7, 8)))
	require.Equal(t, anACL(7, 8), sameOwners.inAttribute(accessACL, anACL(7, 8)))
	require.Equal(t, anACL(7, 8), shifted.inAttribute("user.acl", anACL(7, 8)))

	// The kernel's struct vfs_ns_cap_data: cap_net_bind_service, permitted and effective.
	version2 := []byte{1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	version3 := []byte{1, 0, 0, 3, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100, 0, 0, 0}
	require.Equal(t, version3, shifted.inAttribute(fileCapability, slices.Clone(version2)))
	require.EqualValues(t, 200, shifted.inAttribute(fileCapability, slices.Clone(version3))[20])
	require.Equal(t, version2, sameOwners.inAttribute(fileCapability, slices.Clone(version2)))
	require.Equal(t, version3, sameOwners.inAttribute(fileCapability, slices.Clone(version3)))
	require.Equal(t, []byte{1}, shifted.inAttribute(fileCapability, []byte{1}))
	require.Equal(t, []byte{1}, shifted.inAttribute(accessACL, []byte{1}))
}

// What says who may do what is not left out of a copy, nor what a layer hides, and the rest may be.
func TestDispensable(t *testing.T) {
	for _, name := range []string{accessACL, defaultACL, fileCapability, opaque} {
		require.False(t, isDispensable(name, unix.EOPNOTSUPP), name)
		require.False(t, isDispensable(name, unix.EPERM), name)
	}
	for _, name := range []string{"user.a", "trusted.a", "security.selinux"} {
		require.True(t, isDispensable(name, unix.EOPNOTSUPP), name)
		require.True(t, isDispensable(name, unix.EPERM), name)
		require.False(t, isDispensable(name, unix.ENOSPC), name)
	}
}

// keeping is a container of the caller's that keeps what it writes in a directory.
func keeping(dir string) *config.Container {
	return container(func(c *config.Container) {
		c.Namespaces &^= unix.CLONE_NEWUSER
		c.UIDs, c.GIDs, c.Keep = nil, nil, dir
	})
}

// release drops the locks that TakeKept holds as long as the runtime lives, as its end does.
func release(t *testing.T, dir string) {
	fds, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	for _, fd := range fds {
		if target, _ := os.Readlink("/proc/self/fd/" + fd.Name()); target == dir {
			number, err := strconv.Atoi(fd.Name())
			require.NoError(t, err)
			require.NoError(t, unix.Close(number))
		}
	}
}

// The directory is made or taken, and nobody else has a way into it: a setuid file of the container
// is none for the users of the host. One container at a time has it.
func TestKeep(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "kept")
	require.NoError(t, TakeKept(&config.Container{}), "nothing to keep")

	// The modes are those of a root directory, whatever the caller has for a mask.
	before := unix.Umask(0o77)
	err := TakeKept(keeping(dir))
	require.Equal(t, 0o77, unix.Umask(before), "the mask is what it was")
	require.NoError(t, err)
	for name, mode := range map[string]uint32{"": 0o700, "upper": 0o755, "work": 0o755} {
		var s unix.Stat_t
		require.NoError(t, unix.Stat(filepath.Join(dir, name), &s))
		require.Equal(t, mode|unix.S_IFDIR, s.Mode, name)
		require.EqualValues(t, os.Geteuid(), s.Uid)
	}
	require.EqualError(t, TakeKept(keeping(dir)), `keep "`+dir+`": in use by another container`)
	release(t, dir)

	// The next container finds what the first one wrote.
	writeFile(t, filepath.Join(dir, "upper/file"), "text")
	require.NoError(t, TakeKept(keeping(dir)))
	require.FileExists(t, filepath.Join(dir, "upper/file"))
	release(t, dir)

	// An empty directory is taken, and closed to all others.
	empty := t.TempDir()
	require.NoError(t, os.Chmod(empty, 0o755))
	require.NoError(t, TakeKept(keeping(empty)))
	require.DirExists(t, filepath.Join(empty, "upper"))
	var s unix.Stat_t
	require.NoError(t, unix.Stat(empty, &s))
	require.EqualValues(t, unix.S_IFDIR|0o700, s.Mode)
	release(t, empty)

	// So is one that a container was killed over.
	begun := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(begun, "work"), 0o755))
	require.NoError(t, os.Chmod(begun, 0o700))
	require.NoError(t, TakeKept(keeping(begun)))
	release(t, begun)
}

// What may be of use to somebody else is left alone.
func TestKeepTakesNothingFromAnybody(t *testing.T) {
	home, shared, file := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "file")
	writeFile(t, filepath.Join(home, "letter"), "")
	half := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(half, "upper"), 0o755))
	require.NoError(t, os.Chmod(shared, 0o777))
	open := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(open, "work"), 0o755))
	require.NoError(t, os.Chmod(open, 0o755))
	writeFile(t, file, "")
	const refused = "neither an empty directory"
	for dir, want := range map[string]string{
		home:           refused,
		half:           refused,
		open:           refused,
		shared:         refused,
		file:           "not a directory",
		file + "/a":    "not a directory",
		home + "/a/b":  "no such file or directory",
		"/proc/self/a": "no such file or directory",
	} {
		err := TakeKept(keeping(dir))
		require.ErrorContains(t, err, want, dir)
		require.ErrorContains(t, err, `keep "`+dir+`": `)
	}
	var s unix.Stat_t
	require.NoError(t, unix.Stat(shared, &s))
	require.EqualValues(t, unix.S_IFDIR|0o777, s.Mode)
	require.NoDirExists(t, filepath.Join(shared, "upper"))
	require.NoDirExists(t, filepath.Join(home, "upper"))
}

// What is kept is the difference to an image, and says to which. With another one below, or a
// rootfs, it would mean something else.
func TestKeepIsForTheSameImage(t *testing.T) {
	const first, second = "sha256:01", "sha256:02"
	of := func(dir, image string) *config.Container {
		c := keeping(dir)
		c.Image = image
		return c
	}
	dir := filepath.Join(t.TempDir(), "kept")
	for range 2 {
		require.NoError(t, TakeKept(of(dir, first)))
		release(t, dir)
		text, err := os.ReadFile(filepath.Join(dir, KeptFrom))
		require.NoError(t, err)
		require.Equal(t, first, string(text))
	}
	require.EqualError(t, TakeKept(of(dir, second)), `keep "`+dir+
		`": is the difference to another image: sha256:01, and not sha256:02`)
	release(t, dir)
	require.EqualError(t, TakeKept(of(dir, "")), `keep "`+dir+
		`": is the difference to the image sha256:01, and not to a rootfs`)
	release(t, dir)

	plain := filepath.Join(t.TempDir(), "kept")
	require.NoError(t, TakeKept(of(plain, "")))
	release(t, plain)
	require.NoFileExists(t, filepath.Join(plain, KeptFrom))
	require.EqualError(t, TakeKept(of(plain, first)), `keep "`+plain+
		`": is the difference to a rootfs, and not to an image`)
	release(t, plain)

	// One whose preparation was interrupted has nothing yet that would be of another image.
	for _, image := range []string{second, ""} {
		begun := filepath.Join(t.TempDir(), "kept")
		require.NoError(t, os.Mkdir(begun, 0o700))
		writeFile(t, filepath.Join(begun, KeptFrom), first)
		writeFile(t, filepath.Join(begun, KeptFrom+".part"), "sha")
		require.NoError(t, os.Mkdir(filepath.Join(begun, "work"), 0o755))
		require.NoError(t, TakeKept(of(begun, image)))
		release(t, begun)
		text, _ := os.ReadFile(filepath.Join(begun, KeptFrom))
		require.Equal(t, image, string(text))
	}
}

// With other ids what was kept would be somebody else's: it is not for this container.
func TestKeepIsForTheSameIDs(t *testing.T) {
	if !canGiveAway() {
		skip.Lacking(t, "asks for root, who has more than its own ids")
	}
	dir := filepath.Join(t.TempDir(), "kept")
	require.NoError(t, TakeKept(keeping(dir)))
	release(t, dir)
	other := keeping(dir)
	other.Namespaces |= unix.CLONE_NEWUSER
	other.UIDs, other.GIDs = ids, ids
	require.ErrorContains(t, TakeKept(other), "neither an empty directory")
	release(t, dir)

	dir += "2"
	other.Keep = dir
	require.NoError(t, TakeKept(other))
	release(t, dir)
	for _, name := range []string{"", "upper", "work"} {
		var s unix.Stat_t
		require.NoError(t, unix.Stat(filepath.Join(dir, name), &s))
		require.EqualValues(t, 100000, s.Uid, name)
		require.EqualValues(t, 100000, s.Gid, name)
	}

	// A link that the user with these ids has put there gives nothing away.
	file := filepath.Join(t.TempDir(), "file")
	writeFile(t, file, "")
	linked := t.TempDir()
	require.NoError(t, os.Symlink(file, filepath.Join(linked, "work.part")))
	require.NoError(t, os.Chown(linked, 100000, 100000))
	require.NoError(t, os.Chmod(linked, 0o700))
	other.Keep = linked
	require.NoError(t, TakeKept(other))
	release(t, linked)
	var s unix.Stat_t
	require.NoError(t, unix.Stat(file, &s))
	require.EqualValues(t, os.Geteuid(), s.Uid)
}

// inside is ReadInside of a file that can be read or is not there.
func inside(t *testing.T, root, name string) string {
	text, err := ReadInside(root, name)
	require.NoError(t, err)
	return text
}
