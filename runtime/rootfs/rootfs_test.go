//go:build linux

package rootfs

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/config"
	"container.example/workshop/runtime/plan"
	"container.example/workshop/runtime/users"
)

// The tests look at the list of calls, which is not made: they need neither root nor a root file
// system.

// ids are those of a container whose root is nobody on the host, and own those of one whose root is
// the caller.
var (
	ids = config.IDMap{{Inside: 0, Outside: 100000, Size: 65536}}
	own = config.IDMap{{Inside: 0, Outside: os.Geteuid(), Size: 1}}
)

// container is one with all defaults, but for what change changes, and without a cgroup namespace:
// what that has to show depends on the version of cgroups(7), for which there is a test of its own.
func container(change func(c *config.Container)) *config.Container {
	c := &config.Container{
		Command:    []string{"sh"},
		Namespaces: config.DefaultNamespaces &^ unix.CLONE_NEWCGROUP,
		Hostname:   "box",
		Rootfs:     "/srv/rootfs",
		Layers:     config.Overlay,
		UIDs:       ids,
		GIDs:       ids,
		Network:    config.NoNetwork,
	}
	if change != nil {
		change(c)
	}
	return c
}

// image is one of an image with n layers.
func image(n int, change func(c *config.Container)) *config.Container {
	return container(func(c *config.Container) {
		c.Rootfs, c.Image = "", "sha256:01"
		for i := range n {
			c.Lowers = append(c.Lowers, fmt.Sprint("/layers/", i))
		}
		if change != nil {
			change(c)
		}
	})
}

// without is a container without some of the namespaces.
func without(namespaces config.Namespaces) *config.Container {
	return container(func(c *config.Container) {
		c.Namespaces &^= namespaces
		if namespaces.Has(unix.CLONE_NEWUSER) {
			c.UIDs, c.GIDs = nil, nil
		}
	})
}

// list is what a whole root adds, in the order of the list of the runtime.
func list(t *testing.T, c *config.Container) []plan.Call {
	p, err := plan.New(nil)
	require.NoError(t, err)
	defer p.Free()
	root := Assemble(p, c, ExampleTrees(c, p))
	root.Enter()
	root.Furnish(p.Open(1<<16, "null"))
	require.NoError(t, root.WriteNames(c.Hostname, ""))
	require.NoError(t, root.MountCgroups())
	root.LeaveHost()
	require.NoError(t, root.Share(p.Open(1<<16+1, "target")))
	require.NoError(t, p.Err())
	return p.Calls()
}

func lines(calls []plan.Call) (lines []string) {
	for _, c := range calls {
		lines = append(lines, c.Line)
	}
	return lines
}

// find is the index of the only call whose line begins with the text.
func find(t *testing.T, calls []plan.Call, beginning string) int {
	t.Helper()
	found := -1
	for i, c := range calls {
		if strings.HasPrefix(c.Line, beginning) {
			require.Equal(t, -1, found, "twice in the list: %s", beginning)
			found = i
		}
	}
	require.NotEqual(t, -1, found, "not in the list: %s", beginning)
	return found
}

// containers are those for which the rules have to hold, by names.
func containers() map[string]*config.Container {
	volumes := []config.Volume{
		{Source: "/tmp", Target: "/data"},
		{Source: "/etc/passwd", Target: "/srv/a/b", ReadOnly: true},
	}
	return map[string]*config.Container{
		"default": container(nil),
		"bind":    container(func(c *config.Container) { c.Layers = config.Bind }),
		"copy":    container(func(c *config.Container) { c.Layers = config.Copy }),
		"keep":    container(func(c *config.Container) { c.Keep = "/srv/kept" }),
		"snapshot": container(func(c *config.Container) {
			c.Layers, c.Snapshot = config.Snapshot, "/srv/.snapshot"
		}),
		"a layer":       image(1, nil),
		"layers":        image(3, nil),
		"many layers":   image(config.MaxLowers, nil),
		"copied layers": image(3, func(c *config.Container) { c.Layers = config.Copy }),
		"layers of own ids": image(3, func(c *config.Container) {
			c.UIDs, c.GIDs, c.Keep, c.Volumes = own, own, "/srv/kept", volumes
		}),
		"copy and keep": container(func(c *config.Container) {
			c.Layers, c.Keep = config.Copy, "/srv/kept"
		}),
		"volumes":        container(func(c *config.Container) { c.Volumes = volumes }),
		"read-only":      container(func(c *config.Container) { c.ReadOnly = true }),
		"without user":   without(unix.CLONE_NEWUSER),
		"without pid":    without(unix.CLONE_NEWPID),
		"without net":    without(unix.CLONE_NEWNET),
		"without ipc":    without(unix.CLONE_NEWIPC),
		"without either": without(unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET),
		"own ids":        container(func(c *config.Container) { c.UIDs, c.GIDs = own, own }),
		"cgroups": container(func(c *config.Container) {
			c.Namespaces |= unix.CLONE_NEWCGROUP
			c.Memory, c.Pids = 1<<20, 5
		}),
		"all": container(func(c *config.Container) {
			c.Namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUSER
			c.UIDs, c.GIDs, c.Volumes, c.Keep, c.ReadOnly = own, own, volumes, "/srv/kept", true
			c.Memory, c.CPUs = 1<<20, 1
		}),
	}
}

// forEach tests a rule for all of them.
func forEach(t *testing.T, test func(t *testing.T, calls []plan.Call)) {
	for name, c := range containers() {
		t.Run(name, func(t *testing.T) { test(t, list(t, c)) })
	}
}

// A walker goes through a list, and knows where the descriptors lead and where the child is: a path
// of the container, or one of the host, which begins with "host:".
type walker struct {
	places  map[string]string
	cwd     string
	pivoted bool
}

func newWalker() *walker { return &walker{places: map[string]string{}, cwd: "host:/"} }

var givenName = regexp.MustCompile(`\) as (<[^>]*>)`)

// unquote is a path as it was before it was printed.
func unquote(quoted string) string {
	s, err := strconv.Unquote(quoted)
	if err != nil { // a source that is a descriptor
		return quoted
	}
	return s
}

// place is where a path leads from a directory: a descriptor, or AT_FDCWD.
func (w *walker) place(dir, name string) string {
	name = unquote(name)
	if strings.HasPrefix(name, "/") {
		if w.pivoted {
			return path.Clean(name)
		}
		return "host:" + path.Clean(name)
	}
	at, known := w.places[dir]
	if dir == "AT_FDCWD" {
		at, known = w.cwd, true
	}
	if !known {
		return dir + "/" + name
	}
	if host, isHost := strings.CutPrefix(at, "host:"); isHost {
		return "host:" + path.Join(host, name)
	}
	return path.Join(at, name)
}

// opened is the name of the descriptor that a call opens, or "".
func opened(c plan.Call) string {
	if match := givenName.FindStringSubmatch(c.Line); match != nil {
		return match[1]
	}
	if c.Name == "openat2" {
		return "<" + unquote(c.Args[1]) + ">"
	}
	return ""
}

// walk goes on to behind a call.
func (w *walker) walk(c plan.Call) {
	if name := opened(c); name != "" {
		w.places[name] = w.place(c.Args[0], c.Args[1])
	}
	switch c.Name {
	case "chdir":
		w.cwd = w.place("AT_FDCWD", c.Args[0])
	case "fchdir":
		w.cwd = w.places[c.Args[0]]
	case "pivot_root":
		w.cwd, w.pivoted = "/", true
	case "move_mount": // a detached mount leads nowhere else, not even up
		w.places[c.Args[0]] = w.place(c.Args[2], c.Args[3])
	}
}

// mounts tells the story of a list: what is mounted where, in the order in which it is, and when
// the host is left.
func mounts(calls []plan.Call) (story []string) {
	w := newWalker()
	made := map[string]string{} // new file systems, and mounts of them, by descriptors
	for _, c := range calls {
		switch c.Name {
		case "fsopen":
			made[opened(c)] = unquote(c.Args[0])
		case "fsconfig":
			if key := unquote(c.Args[2]); c.Args[1] == "FSCONFIG_SET_STRING" && key != "source" {
				made[c.Args[0]] += " " + key + "=" + unquote(c.Args[3])
			}
		case "fsmount":
			made[opened(c)] = made[c.Args[0]] + " " + c.Args[2]
		case "mount":
			source, target, options := c.Args[0], w.place("AT_FDCWD", c.Args[1]), ""
			if c.Args[4] != "NULL" {
				options = " " + unquote(c.Args[4])
			}
			story = append(story, target+": "+unquote(source)+" "+c.Args[3]+options)
		case "move_mount":
			what := c.Args[0]
			if fs, ok := made[what]; ok {
				what = fs
			}
			story = append(story, w.place(c.Args[2], c.Args[3])+": "+what)
		case "umount2":
			story = append(story, "leave "+w.cwd)
		}
		w.walk(c)
	}
	return story
}

const (
	secure           = "MS_NOSUID|MS_NODEV|MS_NOEXEC"
	secureAttributes = "MOUNT_ATTR_NOSUID|MOUNT_ATTR_NODEV|MOUNT_ATTR_NOEXEC"
)

// What a container has besides its root file system, as Docker does it.
var (
	stageMounts = []string{"host:/tmp: tmpfs MS_NOSUID|MS_NODEV mode=0755"}

	overlayMounts = []string{
		"host:/tmp/lower: <rootfs /srv/rootfs>",
		"host:/tmp/root: overlay MS_NODEV " +
			"lowerdir=lower,upperdir=layer/upper,workdir=layer/work,userxattr",
	}
	newProc = []string{"/proc: proc " + secureAttributes}
	newSys  = []string{"/sys: sysfs MOUNT_ATTR_RDONLY|" + secureAttributes}
	dev     = []string{
		"/dev: tmpfs mode=755 size=65536k " +
			"MOUNT_ATTR_NOSUID|MOUNT_ATTR_NODEV|MOUNT_ATTR_STRICTATIME",
		"/dev/pts: devpts MS_NOSUID|MS_NOEXEC newinstance,ptmxmode=0666,mode=0620,gid=5",
		"/dev/shm: tmpfs " + secure + " mode=1777,size=65536k",
	}
	mqueue      = []string{"/dev/mqueue: mqueue " + secure}
	deviceFiles = []string{
		"/dev/null: <tree dev/null>",
		"/dev/zero: <tree dev/zero>",
		"/dev/full: <tree dev/full>",
		"/dev/random: <tree dev/random>",
		"/dev/urandom: <tree dev/urandom>",
		"/dev/tty: <tree dev/tty>",
	}
	leave = []string{"leave host:/"}
	names = []string{
		"/etc/hosts: <tree etc/hosts>",
		"/etc/hostname: <tree etc/hostname>",
		"/etc/resolv.conf: <tree etc/resolv.conf>",
	}
)

// masks are what is hidden of the kernel, and what can only be read: all that isolation-standard.md
// and the OCI runtimes have.
func masks(t *testing.T) []string {
	const nothing = ": tmpfs MS_RDONLY|" + secure + " size=0,nr_inodes=1"
	const null = ": self/fd/<null> MS_BIND"
	all := []string{
		"/proc/acpi" + nothing,
		"/proc/asound" + nothing,
		"/proc/interrupts" + null,
		"/proc/kcore" + null,
		"/proc/keys" + null,
		"/proc/latency_stats" + null,
		"/proc/timer_list" + null,
		"/proc/timer_stats" + null,
		"/proc/sched_debug" + null,
		"/proc/scsi" + nothing,
		"/proc/bus: <tree bus>",
		"/proc/fs: <tree fs>",
		"/proc/irq: <tree irq>",
		"/proc/sys: <tree sys>",
		"/proc/sysrq-trigger: <tree sysrq-trigger>",
		"/sys/firmware" + nothing,
		"/sys/devices/virtual/powercap" + nothing,
	}
	// One for each processor, of which virtual ones have none.
	throttles, err := filepath.Glob("/sys/devices/system/cpu/cpu[0-9]*/thermal_throttle")
	require.NoError(t, err)
	for _, dir := range throttles {
		all = append(all, dir+nothing)
	}
	return all
}

// What is mounted, with which flags, in which order: the root file system, the kernel's own, the
// devices, the masks; then the host is left; and only then comes what the root file system and the
// user have a say in, because a link of theirs could lead a mask elsewhere.
func TestMounts(t *testing.T) {
	all := func(parts ...[]string) []string { return slices.Concat(parts...) }
	rootfsOf := func(target string) []string { return []string{target + ": <rootfs /srv/rootfs>"} }
	kept := []string{"host:/tmp/layer: <keep /srv/kept>"}
	layers := []string{
		"host:/tmp/0: <layer /layers/0>",
		"host:/tmp/1: <layer /layers/1>",
		"host:/tmp/2: <layer /layers/2>",
	}
	copied := []string{"host:/tmp/root: layer/copy MS_BIND"}
	withoutTTY := slices.Clone(dev)
	withoutTTY[1] = strings.TrimSuffix(withoutTTY[1], ",gid=5")
	// Without a user namespace the ids are those of whoever runs the test.
	callers, trusted := dev, slices.Clone(overlayMounts)
	if !users.HasGroup(without(unix.CLONE_NEWUSER), 5) {
		callers = withoutTTY
	}
	trusted[1] = strings.TrimSuffix(trusted[1], ",userxattr")
	behindDev := all(mqueue, deviceFiles, masks(t), leave, names)
	rest := func() []string { return all(newProc, newSys, dev, behindDev) }

	for _, c := range []struct {
		name string
		c    *config.Container
		want []string
	}{
		{"overlay", container(nil), all(stageMounts, overlayMounts, rest())},
		{
			"bind", container(func(c *config.Container) { c.Layers = config.Bind }),
			all(stageMounts, rootfsOf("host:/tmp/root"), rest()),
		},
		{
			"copy", container(func(c *config.Container) { c.Layers = config.Copy }),
			all(stageMounts, rootfsOf("host:/tmp/lower"), copied, rest()),
		},
		{
			"keep", container(func(c *config.Container) { c.Keep = "/srv/kept" }),
			all(stageMounts, rootfsOf("host:/tmp/lower"), kept, overlayMounts[1:], rest()),
		},
		{
			"copy and keep",
			container(func(c *config.Container) { c.Layers, c.Keep = config.Copy, "/srv/kept" }),
			all(stageMounts, rootfsOf("host:/tmp/lower"), kept, copied, rest()),
		},
		{
			"snapshot", container(func(c *config.Container) { c.Layers = config.Snapshot }),
			all(stageMounts, []string{"host:/tmp/root: <rootfs snapshot of /srv/rootfs>"}, rest()),
		},
		{
			// It is in the directory, which is of no other use.
			"snapshot and keep", container(func(c *config.Container) {
				c.Layers, c.Keep, c.Snapshot = config.Snapshot, "/srv/kept", "/srv/kept/snapshot"
			}),
			all(stageMounts, []string{"host:/tmp/root: <rootfs /srv/kept/snapshot>"}, rest()),
		},
		{
			"a layer", image(1, nil),
			all(stageMounts, []string{"host:/tmp/lower: <layer /layers/0>"}, overlayMounts[1:],
				rest()),
		},
		{
			"layers", image(3, func(c *config.Container) { c.Keep = "/srv/kept" }),
			all(stageMounts, layers, kept, []string{"host:/tmp/root: overlay MS_NODEV " +
				"lowerdir=2:1:0,upperdir=layer/upper,workdir=layer/work,userxattr"}, rest()),
		},
		{
			// What is copied is all layers together.
			"copied layers", image(3, func(c *config.Container) { c.Layers = config.Copy }),
			all(stageMounts, layers, []string{
				"host:/tmp/lower: overlay MS_RDONLY|MS_NODEV lowerdir=2:1:0,userxattr",
			}, copied, rest()),
		},
		{
			"copied layer", image(1, func(c *config.Container) { c.Layers = config.Copy }),
			all(stageMounts, []string{"host:/tmp/lower: <layer /layers/0>"}, copied, rest()),
		},
		{
			// What is kept has no attributes that say where the content of a directory is.
			"keep without user", container(func(c *config.Container) {
				c.Namespaces &^= unix.CLONE_NEWUSER
				c.UIDs, c.GIDs, c.Keep = nil, nil, "/srv/kept"
			}),
			all(stageMounts, trusted[:1], kept, []string{trusted[1] + ",redirect_dir=off"},
				newProc, newSys, callers, behindDev),
		},
		{
			// Extended attributes of the name trusted are for root of the host (overlayfs.rst).
			"without user", without(unix.CLONE_NEWUSER),
			all(stageMounts, trusted, newProc, newSys, callers, behindDev),
		},
		{
			// A user namespace may not mount what would show another one's processes.
			"without pid", without(unix.CLONE_NEWPID),
			all(stageMounts, overlayMounts, []string{"/proc: </proc>"}, newSys, dev, behindDev),
		},
		{
			"without net", without(unix.CLONE_NEWNET),
			all(stageMounts, overlayMounts, newProc, []string{"/sys: </sys>"}, dev, behindDev),
		},
		{
			"without user and pid", without(unix.CLONE_NEWUSER | unix.CLONE_NEWPID),
			all(stageMounts, trusted, newProc, newSys, callers, behindDev),
		},
		{
			"without user and net", without(unix.CLONE_NEWUSER | unix.CLONE_NEWNET),
			all(stageMounts, trusted, newProc, newSys, callers, behindDev),
		},
		{
			// The queues are those of an ipc namespace (mq_overview(7)).
			"without ipc", without(unix.CLONE_NEWIPC),
			all(stageMounts, overlayMounts, newProc, newSys, dev, behindDev[1:]),
		},
		{
			// There is no group 5 to give the terminals to.
			"own ids", container(func(c *config.Container) { c.UIDs, c.GIDs = own, own }),
			all(stageMounts, overlayMounts, newProc, newSys, withoutTTY, behindDev),
		},
		{
			"volumes", container(func(c *config.Container) {
				c.Volumes = []config.Volume{
					{Source: "/tmp", Target: "/data"},
					{Source: "/etc/passwd", Target: "/etc/a/b", ReadOnly: true},
				}
			}),
			all(stageMounts, overlayMounts, rest(),
				[]string{"/data: <volume /tmp>", "/etc/a/b: <volume /etc/passwd>"}),
		},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.want, mounts(list(t, c.c))) })
	}
}

// What others say about the container, as container spec, is what is mounted.
func TestPathsAreThoseThatAreMounted(t *testing.T) {
	var masked, readOnly []string
	for _, mount := range masks(t) {
		name, what, _ := strings.Cut(mount, ": ")
		if strings.HasPrefix(what, "<tree ") {
			readOnly = append(readOnly, name)
		} else {
			masked = append(masked, name)
		}
	}
	require.Equal(t, masked, MaskedPaths())
	require.Equal(t, readOnly, ReadOnlyPaths())
}

// alwaysInProc is in each proc: its directories are made by the code of proc itself, interrupts
// likewise, and irq for all machines with interrupts.
var alwaysInProc = []string{"interrupts", "bus", "fs", "irq", "sys"}

// A kernel need not have all that is hidden. Whatever else goes wrong there is an error; so is it
// if something is not there that always is, unless the proc is that of the host, which may be a
// part.
func TestOnlyWhatIsNotThereGoesWithoutAMask(t *testing.T) {
	for _, c := range []struct {
		c      *config.Container
		always []string
	}{
		{container(nil), alwaysInProc},
		{without(unix.CLONE_NEWUSER | unix.CLONE_NEWPID), alwaysInProc},
		{without(unix.CLONE_NEWPID), nil},
	} {
		calls := list(t, c.c)
		first := find(t, calls, "dup3(<null>")
		require.Equal(t, "readlinkat", calls[first+2].Name, "the source of masks is there")
		last := find(t, calls, `openat2(<stage>, "etc/hosts"`)
		var always []string
		for _, call := range calls[first:last] {
			isMask := call.Name == "mount" || call.Name == "open_tree"
			switch {
			case isMask && len(call.Allowed) == 0:
				always = append(always, strings.Split(call.Line, `"`)[1])
			case isMask:
				require.Equal(t, []unix.Errno{unix.ENOENT}, call.Allowed, call.Line)
			default:
				require.Empty(t, call.Allowed, call.Line)
			}
		}
		require.Equal(t, c.always, always)
	}
}

// What can only be read is a mount of itself, with all that is mounted below it.
func TestReadOnlyPaths(t *testing.T) {
	all := lines(list(t, container(nil)))
	for _, name := range []string{"bus", "fs", "irq", "sys", "sysrq-trigger"} {
		orNot := " or ENOENT: leaves out 3"
		if slices.Contains(alwaysInProc, name) {
			orNot = ""
		}
		want := []string{
			`open_tree(</proc>, "NAME", OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC|AT_RECURSIVE) ` +
				`as <tree NAME>` + orNot,
			`mount_setattr(<tree NAME>, "", AT_EMPTY_PATH|AT_RECURSIVE, {set: MOUNT_ATTR_RDONLY})`,
			`move_mount(<tree NAME>, "", </proc>, "NAME", MOVE_MOUNT_F_EMPTY_PATH)`,
			`close(<tree NAME>)`,
		}
		for i := range want {
			want[i] = strings.ReplaceAll(want[i], "NAME", name)
		}
		i := slices.Index(all, want[0])
		require.NotEqual(t, -1, i, want[0])
		require.Equal(t, want, all[i:i+len(want)])
	}
}

// What is hidden is hidden by the descriptor of the mount that was made, and the path has to lead
// to that very mount: otherwise somebody changed the root file system meanwhile.
func TestMountsAreVerified(t *testing.T) {
	forEach(t, func(t *testing.T, calls []plan.Call) {
		all := lines(calls)
		for _, name := range []string{"proc", "sys", "dev"} {
			open := fmt.Sprintf(`openat2(<root>, %q, O_PATH|O_DIRECTORY|O_CLOEXEC, `+
				`RESOLVE_NO_SYMLINKS)`, name)
			const statx = `, "", AT_EMPTY_PATH|AT_NO_AUTOMOUNT, STATX_BASIC_STATS|STATX_MNT_ID)`
			first := find(t, calls, fmt.Sprintf(`mkdirat(<root>, %q, 0755) or EEXIST`, name))
			require.Equal(t, []string{
				open,
				`move_mount(</` + name + `>, "", <` + name + `>, "", ` +
					`MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)`,
				`statx(</` + name + `>` + statx,
				open,
				`statx(<` + name + `>` + statx + ` must: same mount as </` + name + `>`,
				`close(<` + name + `>)`,
			}, all[first+1:first+7])
			made := slices.IndexFunc(all, func(line string) bool {
				return strings.HasSuffix(line, ` as </`+name+`>`)
			})
			require.Regexp(t, `^(fsmount|open_tree)\(`, all[made])
			for _, c := range calls[made:first] { // it is nowhere else before
				require.Contains(t, []string{
					"fsmount", "open_tree", "close", "fstatfs", "mount_setattr",
				}, c.Name)
			}
			for i, line := range all[:made] {
				require.NotContains(t, line, `</`+name+`>`, "call %d uses it before it is there", i)
			}
		}
	})
}

func TestNewMount(t *testing.T) {
	calls := list(t, container(nil))
	first := find(t, calls, `fsopen("tmpfs"`)
	require.Equal(t, []string{
		`fsopen("tmpfs", FSOPEN_CLOEXEC) as <new tmpfs>`,
		`fsconfig(<new tmpfs>, FSCONFIG_SET_STRING, "source", "tmpfs")`,
		`fsconfig(<new tmpfs>, FSCONFIG_SET_STRING, "mode", "755")`,
		`fsconfig(<new tmpfs>, FSCONFIG_SET_STRING, "size", "65536k")`,
		`fsconfig(<new tmpfs>, FSCONFIG_CMD_CREATE, NULL, NULL)`,
		`fsmount(<new tmpfs>, FSMOUNT_CLOEXEC, ` +
			`MOUNT_ATTR_NOSUID|MOUNT_ATTR_NODEV|MOUNT_ATTR_STRICTATIME) as </dev>`,
		`close(<new tmpfs>)`,
	}, lines(calls)[first:first+7])
}

// A directory of the host keeps no flag that would be the host's, and gets those of the new mount.
// All of the host is read-only by then, and proc is not to be; but what is mounted below it stays
// so.
func TestBindFromHost(t *testing.T) {
	for name, want := range map[string]struct{ fstype, attributes, then string }{
		"proc": {
			"proc", "{set: " + secureAttributes + "}",
			`mount_setattr(</proc>, "", AT_EMPTY_PATH, {clear: MOUNT_ATTR_RDONLY})`,
		},
		"sys": {
			"sysfs", "{set: MOUNT_ATTR_RDONLY|" + secureAttributes + "}",
			`mkdirat(<root>, "sys", 0755) or EEXIST`,
		},
	} {
		calls := list(t, without(unix.CLONE_NEWPID|unix.CLONE_NEWNET))
		first := find(t, calls, `open_tree(<host>, "`+name+`"`)
		require.Equal(t, []string{
			`open_tree(<host>, "` + name + `", OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC|AT_RECURSIVE) ` +
				`as </` + name + `>`,
			`fstatfs(</` + name + `>) must: ` + want.fstype,
			`mount_setattr(</` + name + `>, "", AT_EMPTY_PATH|AT_RECURSIVE, ` +
				want.attributes + `)`,
			want.then,
		}, lines(calls)[first:first+4])
	}
}

// Before anything else the host is out of reach: no mount appears there (mount_namespaces(7)), and
// nothing of it can be written to.
func TestHostIsPrivateAndReadOnly(t *testing.T) {
	forEach(t, func(t *testing.T, calls []plan.Call) {
		private := find(t, calls, `mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, `+
			`{set: MOUNT_ATTR_RDONLY, propagation: MS_PRIVATE})`)
		for _, c := range calls[:private] {
			require.Contains(t, []string{"open_tree", "statx", "mount_setattr"}, c.Name)
			if c.Name == "mount_setattr" { // of a tree, which is mounted nowhere yet
				require.Equal(t, `""`, c.Args[1])
			}
		}
		require.Equal(t, `openat2(AT_FDCWD, "/", O_PATH|O_DIRECTORY|O_CLOEXEC, 0) as <host>`,
			calls[private+1].Line)
	})
}

// The trees that the child opens itself: where root of the container is the caller, only the child
// has the rights of its user namespace. No device works in them, nothing that the host mounts later
// appears, and what is not to be written to is not.
func TestTreesOfTheChild(t *testing.T) {
	volumes := []config.Volume{
		{Source: "/a", Target: "/data"},
		{Source: "/b", Target: "/b", ReadOnly: true},
	}
	const directory = `statx(<rootfs /srv/rootfs>, "", AT_EMPTY_PATH|AT_NO_AUTOMOUNT, ` +
		`STATX_BASIC_STATS|STATX_MNT_ID) must: directory`
	tree := func(what, path, recursive, readOnly string) []string {
		name := what + " " + path
		return []string{
			fmt.Sprintf(`open_tree(AT_FDCWD, %q, OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC%s) as <%s>`,
				path, recursive, name),
			fmt.Sprintf(`mount_setattr(<%s>, "", AT_EMPTY_PATH%s, `+
				`{set: %sMOUNT_ATTR_NODEV, propagation: MS_PRIVATE})`, name, recursive, readOnly),
		}
	}
	const recursive, readOnly = "|AT_RECURSIVE", "MOUNT_ATTR_RDONLY|"
	for _, c := range []struct {
		layers config.Layers
		keep   string
		rootfs []string
	}{
		{config.Overlay, "", tree("rootfs", "/srv/rootfs", "", "")},
		{config.Overlay, "/srv/kept", tree("rootfs", "/srv/rootfs", "", "")},
		// Only there does what is mounted below the directory belong to it.
		{config.Bind, "", tree("rootfs", "/srv/rootfs", recursive, "")},
		{config.Copy, "", tree("rootfs", "/srv/rootfs", "", "")},
	} {
		t.Run(fmt.Sprint(c.layers, c.keep), func(t *testing.T) {
			want := slices.Insert(slices.Clone(c.rootfs), 1, directory)
			if c.keep != "" {
				want = append(want, tree("keep", c.keep, "", "")...)
			}
			want = append(want, tree("volume", "/a", recursive, "")...)
			want = append(want, tree("volume", "/b", recursive, readOnly)...)
			for name, ids := range map[string]config.IDMap{"own": own, "no user namespace": nil} {
				calls := list(t, container(func(k *config.Container) {
					k.Layers, k.Keep, k.Volumes = c.layers, c.keep, volumes
					k.UIDs, k.GIDs = ids, ids
					if ids == nil {
						k.Namespaces &^= unix.CLONE_NEWUSER
					}
				}))
				require.Equal(t, want, lines(calls)[:len(want)], name)
				for _, call := range calls[:len(want)] {
					require.Empty(t, call.Allowed, call.Line)
				}
			}
		})
	}
}

// Where root of the container is somebody else on the host the trees are the parent's to open: it
// gives them their attributes, and the list has none of it.
func TestTreesOfTheParent(t *testing.T) {
	c := container(func(c *config.Container) {
		c.Keep, c.Volumes = "/srv/kept", []config.Volume{{Source: "/a", Target: "/a"}}
	})
	require.Contains(t, lines(list(t, c))[0], `mount_setattr(AT_FDCWD, "/"`)
	p, err := plan.New(nil)
	require.NoError(t, err)
	defer p.Free()
	require.Len(t, ExampleTrees(c, p), 3)
	c.UIDs = own
	require.Empty(t, ExampleTrees(c, p))
	c.Namespaces = unix.CLONE_NEWUSER
	c.UIDs = ids
	require.Empty(t, ExampleTrees(c, p), "no mount namespace")
}

// A layer of an image is a tree as a rootfs is. Of several, each is closed when it is on the stage:
// the runtime need not keep them all open as long as the container runs.
func TestTreesOfLayers(t *testing.T) {
	tree := func(n string) []string {
		return []string{
			`open_tree(AT_FDCWD, "/layers/` + n + `", OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC) ` +
				`as <layer /layers/` + n + `>`,
			`statx(<layer /layers/` + n + `>, "", AT_EMPTY_PATH|AT_NO_AUTOMOUNT, ` +
				`STATX_BASIC_STATS|STATX_MNT_ID) must: directory`,
			`mount_setattr(<layer /layers/` + n + `>, "", AT_EMPTY_PATH, ` +
				`{set: MOUNT_ATTR_NODEV, propagation: MS_PRIVATE})`,
		}
	}
	attach := func(n string) []string {
		return []string{
			`mkdirat(<stage>, "` + n + `", 0700)`,
			`move_mount(<layer /layers/` + n + `>, "", <stage>, "` + n + `", ` +
				`MOVE_MOUNT_F_EMPTY_PATH)`,
			`close(<layer /layers/` + n + `>)`,
		}
	}
	attached := slices.Concat(attach("0"), attach("1"))
	calls := list(t, image(2, func(c *config.Container) { c.UIDs, c.GIDs = own, own }))
	require.Equal(t, slices.Concat(tree("0"), tree("1")), lines(calls)[:6])
	first := find(t, calls, `mkdirat(<stage>, "0"`)
	require.Equal(t, attached, lines(calls)[first:first+6])

	// Where root of the container is somebody else, the parent opens them.
	c := image(2, func(c *config.Container) { c.Keep = "/srv/kept" })
	calls = list(t, c)
	first = find(t, calls, `mkdirat(<stage>, "0"`)
	require.Equal(t, attached, lines(calls)[first:first+6])
	p, err := plan.New(nil)
	require.NoError(t, err)
	defer p.Free()
	require.Len(t, ExampleTrees(c, p), 3)
}

// As many layers as the kernel puts together fit in the page that mount(2) takes, with all else.
func TestLayersFitInAPage(t *testing.T) {
	calls := list(t, image(config.MaxLowers, func(c *config.Container) { c.Keep = "/srv/kept" }))
	names := lowerNames(image(config.MaxLowers, nil))
	require.Len(t, names, config.MaxLowers)
	require.Less(t, len(strings.Join(names, ":")), os.Getpagesize()/2)
	require.Contains(t, calls[find(t, calls, `mount("overlay"`)].Line, `"lowerdir=499:498:497:`)
}

func TestAttributesOfSources(t *testing.T) {
	c := container(func(c *config.Container) {
		c.Layers, c.Keep = config.Copy, "/srv/kept"
		c.Volumes = []config.Volume{
			{Source: "/a", Target: "/a"},
			{Source: "/b", Target: "/b", ReadOnly: true},
		}
	})
	rootfs := source{what: "rootfs", path: "/srv/rootfs", idmapped: true}
	keep := source{what: "keep", path: "/srv/kept"} // its files have the container's owners
	a := source{what: "volume", path: "/a", recursive: true, idmapped: true}
	b := source{what: "volume", path: "/b", recursive: true, idmapped: true, readOnly: true}
	require.Equal(t, []source{rootfs, keep, a, b}, sources(c))
	c.Layers, c.Keep, rootfs.recursive = config.Bind, "", true
	require.Equal(t, []source{rootfs, a, b}, sources(c))

	const private = unix.MS_PRIVATE
	require.Equal(t, unix.MountAttr{Attr_set: unix.MOUNT_ATTR_NODEV, Propagation: private},
		a.attributes())
	require.Equal(t, unix.MountAttr{
		Attr_set:    unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_RDONLY,
		Propagation: private,
	}, b.attributes())
}

// Each device is one of the host's, and is made sure to be that device before it is mounted: the
// host may be a container too, with anything in its /dev.
func TestDevices(t *testing.T) {
	const check = `statx(<tree dev/NAME>, "", AT_EMPTY_PATH|AT_NO_AUTOMOUNT, ` +
		`STATX_BASIC_STATS|STATX_MNT_ID) must: `
	var want []string
	for _, d := range []struct{ name, number string }{
		{"null", "1:3"},
		{"zero", "1:5"},
		{"full", "1:7"},
		{"random", "1:8"},
		{"urandom", "1:9"},
		{"tty", "5:0"},
	} {
		for _, line := range []string{
			`open_tree(<host>, "dev/NAME", OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC|AT_RECURSIVE) ` +
				`as <tree dev/NAME>`,
			check + `character device`,
			check + `device ` + d.number,
			`mknodat(</dev>, "NAME", S_IFREG|0666)`,
			`move_mount(<tree dev/NAME>, "", </dev>, "NAME", MOVE_MOUNT_F_EMPTY_PATH)`,
			`close(<tree dev/NAME>)`,
		} {
			want = append(want, strings.ReplaceAll(line, "NAME", d.name))
		}
	}
	want = append(want,
		`symlinkat("pts/ptmx", </dev>, "ptmx")`,
		`symlinkat("/proc/self/fd", </dev>, "fd")`,
		`symlinkat("/proc/self/fd/0", </dev>, "stdin")`,
		`symlinkat("/proc/self/fd/1", </dev>, "stdout")`,
		`symlinkat("/proc/self/fd/2", </dev>, "stderr")`,
		// What masks files is this one, under a number that is known when the list is written.
		`openat2(</dev>, "null", O_PATH|O_CLOEXEC, RESOLVE_NO_SYMLINKS)`,
		`dup3(<null>, <null>, O_CLOEXEC)`,
	)
	forEach(t, func(t *testing.T, calls []plan.Call) {
		first := find(t, calls, `open_tree(<host>, "dev/null"`)
		require.Equal(t, want, lines(calls)[first:first+len(want)])
	})
}

// After the host is left nothing is open that leads there: no working directory, no descriptor, but
// for the trees that the container is to get.
func TestHostIsClosed(t *testing.T) {
	forEach(t, func(t *testing.T, calls []plan.Call) {
		i := find(t, calls, "umount2(")
		require.Equal(t, []string{
			`fchdir(<host>)`,
			`umount2(".", MNT_DETACH)`,
			`chdir("/")`,
			`close(<host>)`,
			`close(<stage>)`,
		}, lines(calls)[i-1:i+4])
		end := i + 4
		for _, c := range calls[end:] {
			require.NotContains(t, c.Line, "<host>")
			require.NotContains(t, c.Line, "<stage>")
		}

		w := newWalker()
		open := map[string]int{} // how often a name is open
		for _, c := range calls[:end] {
			w.walk(c)
			if name := opened(c); name != "" {
				open[name]++
			}
			if c.Name == "close" {
				open[c.Args[0]]--
			}
		}
		// Texts of the runtime's own, on a tmpfs that the container gets; and what it was asked
		// for.
		given := regexp.MustCompile(
			`^<(tree etc/(hosts|hostname|resolv.conf)|(rootfs|layer|keep|volume) .*)>$`,
		)
		for name, times := range open {
			if times > 0 && strings.HasPrefix(w.places[name], "host:") {
				require.Regexp(t, given, name, "open, and leads to %s", w.places[name])
			}
		}
	})
}

// After pivot_root(2) no path is looked up in which the root file system could have a say: what
// lies in it is opened below it, without following links before the host is left, and as the
// container sees it after that; and all else is relative to a mount of the container's own, which
// was made sure to be that.
func TestNoPathLeadsThroughTheRootFileSystem(t *testing.T) {
	forEach(t, func(t *testing.T, calls []plan.Call) {
		pivot := find(t, calls, "pivot_root(")
		umount := find(t, calls, "umount2(")
		require.Equal(t, `pivot_root(".", ".")`, calls[pivot].Line)
		require.Equal(t, `openat2(AT_FDCWD, "/", O_PATH|O_DIRECTORY|O_CLOEXEC, 0) as <root>`,
			calls[pivot+1].Line)

		trusted := map[string]bool{"<host>": true, "<stage>": true}
		beneath := map[string]bool{} // opened without following links, but not verified yet
		cwd := ""                    // a descriptor, or none
		single := func(name string) bool {
			name = unquote(name)
			return name != "" && name != "." && name != ".." && !strings.Contains(name, "/")
		}
		for i, c := range calls[pivot+2:] {
			i += pivot + 2
			hostIsLeft := i > umount
			switch c.Name {
			case "openat2":
				dir, resolve := c.Args[0], c.Args[2]
				switch {
				case dir == "<stage>": // the runtime's own, and new
					require.False(t, hostIsLeft, c.Line)
					require.Contains(t, resolve, "O_CREAT|O_EXCL", c.Line)
				case trusted[dir]:
					require.Contains(t, resolve, "RESOLVE_NO_SYMLINKS", c.Line)
					trusted[opened(c)] = true
				case dir == "<etc>": // a file that is covered, whatever it is
					require.True(t, hostIsLeft && single(c.Args[1]), c.Line)
					require.Contains(t, resolve, "O_PATH|O_NOFOLLOW", c.Line)
					require.Contains(t, resolve, "RESOLVE_NO_SYMLINKS", c.Line)
				case hostIsLeft:
					require.Equal(t, "<root>", dir, c.Line)
					require.Contains(t, resolve, "RESOLVE_IN_ROOT", c.Line)
				default:
					require.Equal(t, "<root>", dir, c.Line)
					require.Contains(t, resolve, "RESOLVE_NO_SYMLINKS", c.Line)
					beneath[opened(c)] = true
				}
			case "fsmount": // nobody else has it
				trusted[opened(c)] = true
			case "fsopen", "fsconfig", "fstatfs":
			case "mkdirat", "mknodat": // they do not follow a link in the last part
				require.True(t, single(c.Args[1]), c.Line)
				require.NotEqual(t, "AT_FDCWD", c.Args[0], c.Line)
				require.NotEqual(t, "<host>", c.Args[0], c.Line)
			case "symlinkat":
				require.True(t, single(c.Args[2]) && c.Args[1] == "</dev>", c.Line)
			case "open_tree":
				require.True(t, trusted[c.Args[0]], c.Line)
				if name := opened(c); name == "</proc>" || name == "</sys>" {
					trusted[name] = true // that of the host
				}
			case "move_mount":
				require.Equal(t, `""`, c.Args[1], c.Line)
				if c.Args[3] != `""` {
					require.True(t, trusted[c.Args[2]] && single(c.Args[3]), c.Line)
				}
			case "mount_setattr":
				require.Equal(t, `""`, c.Args[1], c.Line)
			case "fchdir":
				require.True(t, trusted[c.Args[0]] || beneath[c.Args[0]], c.Line)
				cwd = c.Args[0]
			case "chdir":
				require.Equal(t, `chdir("/")`, c.Line)
				cwd = ""
			case "mount":
				require.False(t, hostIsLeft, c.Line)
				require.NotEqual(t, "<host>", cwd, c.Line)
				if !trusted[cwd] { // on the directory itself: it was opened for that
					require.True(t, beneath[cwd] && c.Args[1] == `"."`, c.Line)
				}
				if c.Args[0] == "self/fd/<null>" {
					require.Equal(t, "</proc>", cwd)
				} else {
					require.NotContains(t, c.Args[3], "MS_BIND", c.Line)
				}
			case "umount2":
				require.Equal(t, "<host>", cwd)
			case "close", "dup3", "write":
			case "statx":
				require.Equal(t, `""`, c.Args[1], c.Line)
			case "readlinkat":
				require.Regexp(t, `^readlinkat\(</proc>, self/fd/<(target|null)>\)`, c.Line)
			default:
				require.Fail(t, "a call that this test does not know", c.Line)
			}
		}
		require.Equal(t, []bool{true, true, true},
			[]bool{trusted["</proc>"], trusted["</sys>"], trusted["</dev>"]})
	})
}

// What is left out after an allowed error is all that would use what is not there, and nothing
// else.
func TestOnlyWhatDependsIsLeftOut(t *testing.T) {
	forEach(t, func(t *testing.T, calls []plan.Call) {
		uses := func(c plan.Call, name string) bool { return slices.Contains(c.Args, name) }
		for i, c := range calls {
			name := opened(c)
			if name == "" || len(c.Allowed) == 0 {
				continue
			}
			require.NotZero(t, c.Skip, c.Line)
			for _, later := range calls[i+1+c.Skip:] {
				require.False(t, uses(later, name), "%s: not left out without %s", later.Line, name)
			}
			require.True(t, uses(calls[i+c.Skip], name) || name == "<etc>", calls[i+c.Skip].Line)
		}
	})
}

// A volume is mounted where the container's own links lead, but on no file of the kernel's and not
// on /dev (CVE-2021-30465, CVE-2025-52881).
func TestVolumes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	const statx = `AT_EMPTY_PATH|AT_NO_AUTOMOUNT, STATX_BASIC_STATS|STATX_MNT_ID)`
	mounted := func(source, target string) []string {
		kind := ` must not: directory`
		if source == "/tmp" {
			kind = ` must: directory`
		}
		return []string{
			`statx(<` + target + `>, "", ` + statx +
				` must: same mount as </dev>, or refused: leaves out 1`,
			`statx(<` + target + `>, "", ` + statx + ` must not: mount root`,
			`fstatfs(<` + target + `>) must not: proc, must not: sysfs`,
			`dup3(<` + target + `>, <target>, O_CLOEXEC)`,
			`readlinkat(</proc>, self/fd/<target>) must not: "/\x00", must not: "/proc\x00", ` +
				`must not: "/proc/", must not: "/sys\x00", must not: "/sys/"`,
			`statx(<` + target + `>, "", ` + statx + kind,
			`move_mount(<volume ` + source + `>, "", <` + target + `>, "", ` +
				`MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)`,
			`close(<` + target + `>)`,
		}
	}
	open := func(name string) string {
		return fmt.Sprintf(`openat2(<root>, %q, O_PATH|O_CLOEXEC, RESOLVE_IN_ROOT)`, name)
	}
	for _, c := range []struct {
		name, source, target string
		want                 []string
	}{
		{"directory", "/tmp", "/data", append([]string{
			`mkdirat(<root>, "data", 0755) or EEXIST`,
			open("data"),
		}, mounted("/tmp", "data")...)},
		{"file", file, "/data", append([]string{
			`mknodat(<root>, "data", S_IFREG|0644) or EEXIST`,
			open("data"),
		}, mounted(file, "data")...)},
		{"directory below others", "/tmp", "/a/b/c", append([]string{
			`mkdirat(<root>, "a", 0755) or EEXIST`,
			open("a"),
			`mkdirat(<a>, "b", 0755) or EEXIST`,
			open("a/b"),
			`close(<a>)`,
			`mkdirat(<a/b>, "c", 0755) or EEXIST`,
			open("a/b/c"),
			`close(<a/b>)`,
		}, mounted("/tmp", "a/b/c")...)},
		{"file below others", file, "/a/b", append([]string{
			`mkdirat(<root>, "a", 0755) or EEXIST`,
			open("a"),
			`mknodat(<a>, "b", S_IFREG|0644) or EEXIST`,
			open("a/b"),
			`close(<a>)`,
		}, mounted(file, "a/b")...)},
		{"what is not there", "/nowhere/at/all", "/data", append([]string{
			`mknodat(<root>, "data", S_IFREG|0644) or EEXIST`,
			open("data"),
		}, mounted("/nowhere/at/all", "data")...)},
	} {
		t.Run(c.name, func(t *testing.T) {
			calls := list(t, container(func(k *config.Container) {
				k.Volumes = []config.Volume{{Source: c.source, Target: c.target}}
			}))
			want := append([]string{`statx(</dev>, "", ` + statx}, c.want...)
			require.Equal(t, want, lines(calls)[len(calls)-len(want):])
		})
	}
}

// Each volume gets its own tree, whatever comes before it in the list of sources.
func TestVolumesKeepTheirOrder(t *testing.T) {
	for _, keep := range []string{"", "/srv/kept"} {
		for _, ids := range []config.IDMap{ids, own} {
			calls := list(t, container(func(c *config.Container) {
				c.Keep, c.UIDs, c.GIDs = keep, ids, ids
				c.Volumes = []config.Volume{
					{Source: "/1", Target: "/one"},
					{Source: "/2", Target: "/two"},
				}
			}))
			story := mounts(calls)
			require.Equal(t, []string{"/one: <volume /1>", "/two: <volume /2>"},
				story[len(story)-2:])
			require.Contains(t, story, "host:/tmp/lower: <rootfs /srv/rootfs>")
			require.Equal(t, keep != "",
				slices.Contains(story, "host:/tmp/layer: <keep /srv/kept>"))
		}
	}
}

// The last that happens to the root, which volumes and names were still mounted in. It is for the
// root alone: /dev/shm and volumes are what the flags say of them.
func TestReadOnlyIsLast(t *testing.T) {
	const readOnly = `mount_setattr(<root>, "", AT_EMPTY_PATH, {set: MOUNT_ATTR_RDONLY})`
	for _, c := range containers() {
		all := lines(list(t, c))
		require.Equal(t, c.ReadOnly, all[len(all)-1] == readOnly)
		require.NotContains(t, all[:len(all)-1], readOnly)
	}
}

// Names are mounted over those of the root file system, whatever these are. No link among them is
// followed, and the directory in which they are may not be one of the kernel's.
func TestNames(t *testing.T) {
	calls := list(t, container(func(c *config.Container) { c.Namespaces |= unix.CLONE_NEWUSER }))
	want := []string{
		`mkdirat(<root>, "etc", 0755) or EEXIST, EROFS, EACCES`,
		`openat2(<root>, "etc", O_PATH|O_DIRECTORY|O_CLOEXEC, RESOLVE_IN_ROOT) ` +
			`or ENOENT, ENOTDIR, ELOOP: leaves out 13`,
		`fstatfs(<etc>) must not: proc, must not: sysfs`,
	}
	for _, name := range []string{"hosts", "hostname", "resolv.conf"} {
		for _, line := range []string{
			`mknodat(<etc>, "NAME", S_IFREG|0644) or EEXIST, EROFS, EACCES`,
			`openat2(<etc>, "NAME", O_PATH|O_NOFOLLOW|O_CLOEXEC, RESOLVE_NO_SYMLINKS) ` +
				`or ENOENT: leaves out 2`,
			`statx(<NAME>, "", AT_EMPTY_PATH|AT_NO_AUTOMOUNT, ` +
				`STATX_BASIC_STATS|STATX_MNT_ID) must not: directory, or refused: leaves out 1`,
			`move_mount(<tree etc/NAME>, "", <NAME>, "", ` +
				`MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)`,
		} {
			want = append(want, strings.ReplaceAll(line, "NAME", name))
		}
	}
	require.Equal(t, want, lines(calls)[len(calls)-len(want):])
}

// The texts are written to the stage before the host is left, each in a new file and as a whole.
func TestTextsOfNames(t *testing.T) {
	for _, c := range []struct{ address, hosts string }{
		{"", `write(<etc/hosts>, "127.0.0.1 localhost\n` +
			`::1 localhost ip6-localhost ip6-loopback\n127.0.1.1 b\n", 73) must: 73`},
		{"10.0.0.2", `write(<etc/hosts>, "127.0.0.1 localhost\n` +
			`::1 localhost ip6-localhost ip6-loopback\n10.0.0.2 b\n", 72) must: 72`},
	} {
		p, err := plan.New(nil)
		require.NoError(t, err)
		defer p.Free()
		k := container(nil)
		root := Assemble(p, k, ExampleTrees(k, p))
		before := p.Len()
		require.NoError(t, root.WriteNames("b", c.address))
		want := []string{c.hosts, `write(<etc/hostname>, "b\n", 2) must: 2`}
		calls := p.Calls()[before:]
		for i, name := range []string{"hosts", "hostname", "resolv.conf"} {
			file := calls[4*i : 4*i+4]
			require.Equal(t, `openat2(<stage>, "etc/`+name+
				`", O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, 0644, 0)`, file[0].Line)
			if i < len(want) {
				require.Equal(t, want[i], file[1].Line)
			}
			require.Regexp(t, `^write\(<etc/`+name+`>, .*, (\d+)\) must: (\d+)$`, file[1].Line)
			require.Equal(t, `close(<etc/`+name+`>)`, file[2].Line)
			require.Equal(t, `open_tree(<stage>, "etc/`+name+
				`", OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC) as <tree etc/`+name+`>`, file[3].Line)
		}
		require.Len(t, calls, 12)
	}
}

// No directory of the host is handed to the copier, and the copy is entered where it was made.
func TestCopyIsMadeOnTheStage(t *testing.T) {
	root := &Root{dir: "/stage"}
	require.Equal(t, "/stage/lower", root.CopyFrom())
	require.Equal(t, "/stage/layer/copy", root.CopyTo())
	calls := list(t, container(func(c *config.Container) { c.Layers = config.Copy }))
	i := find(t, calls, `mount("layer/copy"`)
	require.Equal(t, []string{
		`mount("layer/copy", "root", NULL, MS_BIND, NULL)`,
		`chdir("root")`,
		`pivot_root(".", ".")`,
	}, lines(calls)[i:i+3])
}

// With an overlay the mode of / is that of the upper layer: it is the mode of the rootfs.
func TestRootMode(t *testing.T) {
	dir := t.TempDir()
	for _, mode := range []uint32{0o700, 0o755, 0o1777, 0o500} {
		require.NoError(t, unix.Chmod(dir, mode))
		calls := list(t, container(func(c *config.Container) { c.Rootfs = dir }))
		find(t, calls, fmt.Sprintf(`mkdirat(<stage>, "layer/upper", %#o)`, mode))
	}
}

// The stage is the same for all: without it a root file system would have to have all directories.
func TestStage(t *testing.T) {
	forEach(t, func(t *testing.T, calls []plan.Call) {
		i := find(t, calls, `mount("tmpfs", "/tmp"`)
		require.Equal(t, []string{
			`mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID|MS_NODEV, "mode=0755")`,
			`chdir("/tmp")`,
			`openat2(AT_FDCWD, ".", O_PATH|O_DIRECTORY|O_CLOEXEC, 0) as <stage>`,
			`mkdirat(<stage>, "root", 0755)`,
			`mkdirat(<stage>, "lower", 0755)`,
			`mkdirat(<stage>, "layer", 0755)`,
			`mkdirat(<stage>, "layer/work", 0755)`,
			`mkdirat(<stage>, "etc", 0755)`,
			`mkdirat(<stage>, "layer/upper", 0755)`,
		}, lines(calls)[i:i+9])
	})
}

// Programs look for cpu, and not for cpu,cpuacct.
func TestControllersOf(t *testing.T) {
	require.Equal(t, []string{"cpu", "cpuacct"}, controllersOf("cpu,cpuacct"))
	require.Empty(t, controllersOf("memory"))
}

// TestNoOverlay says of an old kernel what it lacks, if that is what it lacks: layers are idmapped
// only when root of the container is nobody on the host.
func TestNoOverlay(t *testing.T) {
	rootIsCaller := func(c *config.Container) { c.UIDs, c.GIDs = own, own }
	const old = "5.15.0-91-generic"
	for _, kernel := range []struct {
		release string
		c       *config.Container
		want    string
	}{
		{old, image(2, nil), "on Linux 5.15.0-91-generic it takes -ns without user: an idmapped "},
		{"4.19.0", image(1, nil), "on Linux 4.19.0 it takes -ns without user: "},
		{old, container(nil), "on Linux 5.15.0-91-generic it takes -layers copy, or -ns without "},
		{"5.19.0", image(2, nil), "the file system of the image store or of -keep cannot "},
		{"6.1.0-50-cloud-amd64", image(2, nil), "the file system of the image store "},
		{old, image(2, rootIsCaller), "the file system of the image store or of -keep cannot "},
		{old, container(rootIsCaller), "the file system of it or of -keep cannot be a layer, "},
		{"unknown", container(nil), "the file system of it or of -keep cannot be a layer, "},
	} {
		require.Contains(t, noOverlay(kernel.c, kernel.release), kernel.want, kernel.release)
	}
}
