//go:build linux

package record

import (
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// mountCalls change what a process sees of the file systems.
var mountCalls = []callKind{
	{
		number: unix.SYS_MOUNT, name: "mount", man: "mount(2)", decode: decodeMount,
		looks: lookMounts,
	},
	{
		number: unix.SYS_UMOUNT2, name: "umount2", man: "umount(2)", decode: decodeUmount,
		looks: lookMounts | lookPaths,
	},
	{
		number: unix.SYS_PIVOT_ROOT, name: "pivot_root", man: "pivot_root(2)",
		decode: decodePivotRoot, looks: lookMounts | lookPaths,
	},
	{
		number: unix.SYS_CHROOT, name: "chroot", man: "chroot(2)", decode: decodeChroot,
		looks: lookPaths,
	},
	{
		number: unix.SYS_CHDIR, name: "chdir", man: "chdir(2)", decode: decodeChdir,
		looks: lookPaths,
	},
	{
		number: unix.SYS_FCHDIR, name: "fchdir", man: "chdir(2)", decode: decodeFchdir,
		looks: lookPaths,
	},
	{number: unix.SYS_FSOPEN, name: "fsopen", man: "fsopen(2)", decode: decodeFsopen},
	{number: unix.SYS_FSPICK, name: "fspick", man: "fspick(2)", decode: decodeFspick},
	{
		number: unix.SYS_FSCONFIG, name: "fsconfig", man: "fsconfig(2)", decode: decodeFsconfig,
	},
	{number: unix.SYS_FSMOUNT, name: "fsmount", man: "fsmount(2)", decode: decodeFsmount},
	{
		number: unix.SYS_MOVE_MOUNT, name: "move_mount", man: "move_mount(2)",
		decode: decodeMoveMount, looks: lookMounts | lookPaths,
	},
	{number: unix.SYS_OPEN_TREE, name: "open_tree", man: "open_tree(2)", decode: decodeOpenTree},
	{number: unix.SYS_OPEN_TREE_ATTR, name: "open_tree_attr", decode: decodeOpenTreeAttr},
	{
		number: unix.SYS_MOUNT_SETATTR, name: "mount_setattr", man: "mount_setattr(2)",
		decode: decodeMountSetattr, looks: lookMounts,
	},
}

var mountFlags = []flag{
	{unix.MS_RDONLY, "MS_RDONLY"},
	{unix.MS_NOSUID, "MS_NOSUID"},
	{unix.MS_NODEV, "MS_NODEV"},
	{unix.MS_NOEXEC, "MS_NOEXEC"},
	{unix.MS_SYNCHRONOUS, "MS_SYNCHRONOUS"},
	{unix.MS_REMOUNT, "MS_REMOUNT"},
	{unix.MS_MANDLOCK, "MS_MANDLOCK"},
	{unix.MS_DIRSYNC, "MS_DIRSYNC"},
	{unix.MS_NOSYMFOLLOW, "MS_NOSYMFOLLOW"},
	{unix.MS_NOATIME, "MS_NOATIME"},
	{unix.MS_NODIRATIME, "MS_NODIRATIME"},
	{unix.MS_BIND, "MS_BIND"},
	{unix.MS_MOVE, "MS_MOVE"},
	{unix.MS_REC, "MS_REC"},
	{unix.MS_SILENT, "MS_SILENT"},
	{unix.MS_UNBINDABLE, "MS_UNBINDABLE"},
	{unix.MS_PRIVATE, "MS_PRIVATE"},
	{unix.MS_SLAVE, "MS_SLAVE"},
	{unix.MS_SHARED, "MS_SHARED"},
	{unix.MS_RELATIME, "MS_RELATIME"},
	{unix.MS_STRICTATIME, "MS_STRICTATIME"},
	{unix.MS_LAZYTIME, "MS_LAZYTIME"},
}

// propagations are what mount(2) and mount_setattr(2) make of a mount.
var propagations = []struct {
	bit         uint64
	name, words string
}{
	{unix.MS_PRIVATE, "private", "passes no mounts on, and receives none"},
	{unix.MS_SLAVE, "slave", "receives mounts, and passes none on"},
	{unix.MS_SHARED, "shared", "passes mounts on to its peers, and receives theirs"},
	{unix.MS_UNBINDABLE, "unbindable", "can no longer be bound elsewhere"},
}

// below are the words for a call that includes the mounts below.
func below(recursive bool) string {
	if recursive {
		return " with all mounts below it"
	}
	return ""
}

func decodeMount(c *call) bool {
	const oldMagic, magicMask = 0xc0ed0000, 0xffff0000
	source, target, kind := c.text(0), c.text(1), c.text(2)
	where := c.named(unix.AT_FDCWD, target)
	flags, data := c.raw[3], ""
	if flags&magicMask == oldMagic {
		flags &^= magicMask
	}
	at := keyPath(where)
	recursive := below(flags&unix.MS_REC != 0)
	changes := flags & (unix.MS_SHARED | unix.MS_PRIVATE | unix.MS_SLAVE | unix.MS_UNBINDABLE)
	switch {
	case flags&unix.MS_REMOUNT != 0:
		c.words = "the mount on " + where + " changes its options: " + optionWords(flags)
		c.key, c.about = "mount remount "+at, "remount"
		data = c.text(4)
	case flags&unix.MS_BIND != 0:
		from := c.named(unix.AT_FDCWD, source)
		c.words = from + recursive + " is also to be seen at " + where
		if from == where {
			c.words = where + recursive + " becomes a mount of its own"
		}
		c.key, c.about = "mount bind "+at, "bind"
		kind = ""
	case changes != 0:
		for _, p := range propagations {
			if changes&p.bit != 0 {
				c.words = "the mount on " + where + recursive + " " + p.words
				c.key, c.about = "mount "+p.name+" "+at, p.name
			}
		}
		kind, source = "", ""
	case flags&unix.MS_MOVE != 0:
		c.words = "the mount on " + source + " moves to " + where
		c.key, c.about = "mount move "+at, "move"
		kind = ""
	default:
		data = c.text(4)
		c.words = "a file system of type " + kind + " is mounted on " + where
		c.key, c.about = "mount "+kind+" "+at, kind
	}
	c.argUnlessEmpty("source", source)
	c.arg("target", target)
	c.argUnlessEmpty("type", kind)
	if flags != 0 {
		c.arg("flags", flagNames(flags, mountFlags))
	}
	c.argUnlessEmpty("data", data)
	return true
}

func (c *call) argUnlessEmpty(name, value string) {
	if value != "" {
		c.arg(name, value)
	}
}

// optionWords are the options of a mount in words.
func optionWords(flags uint64) string {
	var words []string
	for _, o := range []struct {
		bit  uint64
		word string
	}{
		{unix.MS_RDONLY, "read-only"},
		{unix.MS_NOSUID, "no set-user-ID programs"},
		{unix.MS_NODEV, "no devices"},
		{unix.MS_NOEXEC, "no programs"},
	} {
		if flags&o.bit != 0 {
			words = append(words, o.word)
		}
	}
	if len(words) == 0 {
		return "writable, with devices and programs"
	}
	return list(words)
}

func decodeUmount(c *call) bool {
	target := c.text(0)
	c.arg("target", target)
	where := c.named(unix.AT_FDCWD, target)
	c.words = "the mount on " + where + " is taken away"
	if flags := c.raw[1]; flags != 0 {
		c.arg("flags", flagNames(flags, []flag{
			{unix.MNT_FORCE, "MNT_FORCE"},
			{unix.MNT_DETACH, "MNT_DETACH"},
			{unix.MNT_EXPIRE, "MNT_EXPIRE"},
			{unix.UMOUNT_NOFOLLOW, "UMOUNT_NOFOLLOW"},
		}))
		if flags&unix.MNT_DETACH != 0 {
			c.words += " with all mounts below it"
		}
	}
	c.key = "umount " + keyPath(where)
	if !c.hasOldRoot() {
		c.key = "umount of the host " + keyPath(where)
	}
	return true
}

// hasOldRoot tells whether the root was changed before, and there is an old one. Among the mounts
// of the host there is none unless it was changed there.
func (c *call) hasOldRoot() bool {
	namespace := c.tracer.state.mountNamespace(c.thread.process.pid)
	host := c.tracer.recording.Start.mountNamespace(c.tracer.root)
	return slices.ContainsFunc(c.tracer.roots, func(root newRoot) bool {
		return root.namespace == namespace || namespace != host
	})
}

// mountNamespace is that of a process, as far as it is known.
func (s *State) mountNamespace(pid int) string {
	if p := s.Processes[pid]; p != nil {
		return p.Namespaces["mnt"]
	}
	return ""
}

func decodePivotRoot(c *call) bool {
	root, old := c.text(0), c.text(1)
	c.arg("new_root", root)
	c.arg("put_old", old)
	at := c.absolute(unix.AT_FDCWD, root)
	c.words = "the directory " + at + " becomes the root, and the old root "
	if root == old {
		c.words += "lies on top of it"
	} else {
		c.words += "is at " + c.named(unix.AT_FDCWD, old)
	}
	c.becomesRoot(at)
	return true
}

func (c *call) becomesRoot(path string) {
	t := c.tracer
	t.roots = append(t.roots, newRoot{
		path:      path,
		step:      len(t.recording.Steps),
		namespace: t.state.mountNamespace(c.thread.process.pid),
	})
}

func decodeChroot(c *call) bool {
	dir := c.text(0)
	at := c.absolute(unix.AT_FDCWD, dir)
	c.arg("path", dir)
	c.words = at + " becomes the root of the process, and its mounts stay"
	c.becomesRoot(at)
	return true
}

func decodeChdir(c *call) bool {
	dir := c.text(0)
	c.arg("path", dir)
	at := c.named(unix.AT_FDCWD, dir)
	c.words = "the working directory becomes " + at
	c.key = "chdir " + keyPath(at)
	return c.makesContainer()
}

func decodeFchdir(c *call) bool {
	dir := c.file(c.number(0))
	c.arg("fd", dir)
	c.words = "the working directory becomes " + dir
	c.key = "chdir " + keyPath(dir)
	return c.makesContainer()
}

// makesContainer tells whether the process is on the way into a container: its mounts are not those
// that the command began with.
func (c *call) makesContainer() bool {
	host := c.tracer.recording.Start.mountNamespace(c.tracer.root)
	here := namespaceLink(c.proc("ns/mnt"))
	return host != "" && here != "" && here != host
}

func decodeFsopen(c *call) bool {
	kind := c.text(0)
	c.arg("type", kind)
	c.words = "a file system of type " + kind + " begins to be made"
	c.key, c.about = "fsopen "+kind, kind
	return true
}

func decodeFspick(c *call) bool {
	path := c.shown(c.number(0), c.text(1))
	c.arg("path", path)
	c.words = "the file system at " + path + " is taken, to be changed"
	c.key = "fspick " + keyPath(c.absolute(c.number(0), c.text(1)))
	return true
}

// The commands of fsconfig(2), which golang.org/x/sys has not.
const (
	fsconfigSetFlag        = 0
	fsconfigSetString      = 1
	fsconfigSetBinary      = 2
	fsconfigSetPath        = 3
	fsconfigSetPathEmpty   = 4
	fsconfigSetFD          = 5
	fsconfigCmdCreate      = 6
	fsconfigCmdReconfigure = 7
	fsconfigCmdCreateExcl  = 8
)

func decodeFsconfig(c *call) bool {
	name := c.text(2)
	switch command := c.raw[1]; command {
	case fsconfigCmdCreate, fsconfigCmdCreateExcl:
		c.arg("cmd", "FSCONFIG_CMD_CREATE")
		c.words, c.key = "the file system is made", "fsconfig create"
	case fsconfigCmdReconfigure:
		c.arg("cmd", "FSCONFIG_CMD_RECONFIGURE")
		c.words, c.key = "the file system takes its new options", "fsconfig reconfigure"
		c.looks |= lookMounts // of the mounts of this file system
	case fsconfigSetFlag:
		c.arg("key", name)
		c.words, c.key = "the file system has the option "+name, "fsconfig "+name
	default:
		value := "descriptor"
		switch command {
		case fsconfigSetString, fsconfigSetPath, fsconfigSetPathEmpty:
			value = c.text(3)
		case fsconfigSetFD:
			value = c.file(c.number(4))
		case fsconfigSetBinary:
			value = "data"
		}
		c.arg("key", name)
		c.arg("value", value)
		c.words = "the file system has the option " + name + " = " + short(value)
		c.key = "fsconfig " + name
	}
	return true
}

var attributeFlags = []flag{
	{unix.MOUNT_ATTR_RDONLY, "MOUNT_ATTR_RDONLY"},
	{unix.MOUNT_ATTR_NOSUID, "MOUNT_ATTR_NOSUID"},
	{unix.MOUNT_ATTR_NODEV, "MOUNT_ATTR_NODEV"},
	{unix.MOUNT_ATTR_NOEXEC, "MOUNT_ATTR_NOEXEC"},
	{unix.MOUNT_ATTR_NOATIME, "MOUNT_ATTR_NOATIME"},
	{unix.MOUNT_ATTR_STRICTATIME, "MOUNT_ATTR_STRICTATIME"},
	{unix.MOUNT_ATTR_NODIRATIME, "MOUNT_ATTR_NODIRATIME"},
	{unix.MOUNT_ATTR_IDMAP, "MOUNT_ATTR_IDMAP"},
	{unix.MOUNT_ATTR_NOSYMFOLLOW, "MOUNT_ATTR_NOSYMFOLLOW"},
}

func decodeFsmount(c *call) bool {
	c.words = "the file system becomes a mount, which has no place yet"
	if c.raw[2] != 0 {
		c.arg("attributes", flagNames(c.raw[2], attributeFlags))
	}
	return true
}

func decodeMoveMount(c *call) bool {
	from, to := c.text(1), c.text(3)
	source, target := c.shown(c.number(0), from), c.shown(c.number(2), to)
	c.arg("from", source)
	c.arg("to", target)
	at := keyPath(c.absolute(c.number(2), to))
	where := c.named(c.number(2), to)
	c.words = "the mount on " + source + " moves to " + where
	if from == "" {
		c.words = "the mount that has no place yet gets the place " + where
	}
	c.key = "move_mount " + at
	c.about = filepath.Base(at)
	return true
}

func decodeOpenTree(c *call) bool {
	const clone = 1 // OPEN_TREE_CLONE
	if c.raw[2]&clone == 0 {
		return false // as open(2) with O_PATH
	}
	recursive := c.raw[2]&unix.AT_RECURSIVE != 0
	c.arg("path", c.shown(c.number(0), c.text(1)))
	flags := "OPEN_TREE_CLONE"
	if recursive {
		flags += "|AT_RECURSIVE"
	}
	c.arg("flags", flags)
	c.words = "a copy of the mount at " + c.named(c.number(0), c.text(1)) + below(recursive) +
		", which has no place yet"
	c.key = "open_tree " + keyPath(c.absolute(c.number(0), c.text(1)))
	return true
}

func decodeOpenTreeAttr(c *call) bool {
	if !decodeOpenTree(c) {
		return false
	}
	c.attributes(c.raw[3])
	c.key = strings.Replace(c.key, "open_tree", "open_tree_attr", 1)
	return true
}

func decodeMountSetattr(c *call) bool {
	path := c.shown(c.number(0), c.text(1))
	c.arg("path", path)
	recursive := c.raw[2]&unix.AT_RECURSIVE != 0
	if recursive {
		c.arg("flags", "AT_RECURSIVE")
	}
	what := "the mount at " + c.named(c.number(0), c.text(1))
	c.key = "mount_setattr " + keyPath(c.absolute(c.number(0), c.text(1)))
	if path == "/" && c.text(1) == "" { // so /proc/PID/fd shows it
		what = "the mount that has no place yet"
		c.key = "mount_setattr"
	}
	c.words = what + below(recursive) + " changes its options"
	c.attributes(c.raw[3])
	return true
}

// attributes tells of struct mount_attr.
func (c *call) attributes(address uint64) {
	const setAt, clearAt, propagationAt, userAt, size = 0, 8, 16, 24, 32
	attr := structure(c.memory(address, size))
	if set := attr.u64(setAt); set != 0 {
		c.arg("set", flagNames(set, attributeFlags))
		if set&unix.MOUNT_ATTR_IDMAP != 0 {
			user := c.file(int(attr.u64(userAt)))
			c.arg("userns", user)
			c.words += ": owners are those that " + user + " has for them"
			c.about = "idmap"
		}
		if set&unix.MOUNT_ATTR_RDONLY != 0 {
			c.words += ": read-only"
			c.about = "read-only"
		}
	}
	if clear := attr.u64(clearAt); clear != 0 {
		c.arg("clear", flagNames(clear, attributeFlags))
	}
	for _, p := range propagations {
		if attr.u64(propagationAt)&p.bit != 0 {
			c.arg("propagation", p.name)
			c.words += ", and " + p.words
		}
	}
}
