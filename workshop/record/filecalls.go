//go:build linux

package record

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"container.example/workshop/internal/ptrace"
)

// fileCalls are those on files that make a container: of control groups, maps, devices, terminals.
var fileCalls = []callKind{
	{number: unix.SYS_OPENAT, name: "openat", man: "open(2)", decode: decodeOpenat},
	{number: unix.SYS_OPENAT2, name: "openat2", man: "openat2(2)", decode: decodeOpenat2},
	{
		number: unix.SYS_MKDIRAT, name: "mkdirat", man: "mkdir(2)", decode: decodeMkdirat,
		looks: lookCgroups,
	},
	{
		number: unix.SYS_UNLINKAT, name: "unlinkat", man: "unlink(2)", decode: decodeUnlinkat,
		looks: lookCgroups,
	},
	{number: unix.SYS_WRITE, name: "write", man: "write(2)", decode: decodeWrite},
	{number: unix.SYS_PWRITE64, name: "pwrite64", man: "pwrite(2)", decode: decodeWrite},
	{number: unix.SYS_WRITEV, name: "writev", man: "writev(2)", decode: decodeWritev},
	{number: unix.SYS_MKNODAT, name: "mknodat", man: "mknod(2)", decode: decodeMknodat},
	{number: unix.SYS_SYMLINKAT, name: "symlinkat", man: "symlink(2)", decode: decodeSymlinkat},
	{number: unix.SYS_IOCTL, name: "ioctl", man: "ioctl(2)", decode: decodeIoctl},
}

// What a file is that matters: see fileKind.
const (
	cgroupFile   = "cgroup"
	mapFile      = "map"
	sysctlFile   = "sysctl"
	terminalFile = "terminal"
	procFile     = "proc"
)

// procPath takes the path of a file of a process or of one of its threads apart: the process as the
// path names it, and the file. It uses no regular expression: the process would wait while that is
// compiled.
func procPath(path string) (process, file string, ok bool) {
	inside, inProc := strings.CutPrefix(path, "/proc/")
	process, file, below := strings.Cut(inside, "/")
	if !inProc || !below ||
		process != "self" && process != "thread-self" && !isNumber(process) {
		return "", "", false
	}
	if task, ok := strings.CutPrefix(file, "task/"); ok {
		if tid, ofThread, below := strings.Cut(task, "/"); below && isNumber(tid) {
			file = ofThread
		}
	}
	return process, file, true
}

// procFileKind says why a file of a process in /proc is of interest, or "".
func procFileKind(file string) string {
	switch file {
	case "uid_map", "gid_map", "setgroups":
		return mapFile
	case "oom_score_adj", "timens_offsets", "loginuid":
		return procFile
	}
	if strings.HasPrefix(file, "attr/") {
		return procFile
	}
	return ""
}

const cgroupRoot = "/sys/fs/cgroup/"

// fileKind says why a file is of interest, or "". in is a directory that it is in.
func (c *call) fileKind(path, in string) string {
	switch {
	case strings.HasPrefix(path, cgroupRoot):
		var fs unix.Statfs_t
		err := unix.Statfs(in, &fs)
		if err == nil && fs.Type != unix.CGROUP_SUPER_MAGIC && fs.Type != unix.CGROUP2_SUPER_MAGIC {
			return "" // only a directory in which they are mounted
		}
		return cgroupFile
	case strings.HasSuffix(path, "/pts/ptmx"), path == "/dev/ptmx":
		return terminalFile
	case !strings.HasPrefix(path, "/proc/"): // most are elsewhere
		return ""
	case strings.HasPrefix(path, "/proc/sys/"):
		return sysctlFile
	}
	_, file, _ := procPath(path)
	return procFileKind(file)
}

// fileWords are the words for a file, and its name in a key.
func (c *call) fileWords(kind, path string) (words, key string) {
	switch kind {
	case cgroupFile:
		name, dir := filepath.Base(path), filepath.Dir(path)
		key = "cgroup " + name
		if holdsProcesses(name) {
			key = strings.TrimSpace(key + " " + c.hierarchy(dir))
		}
		return name + " of the cgroup " + c.cgroupName(dir), key
	case mapFile:
		name := filepath.Base(path)
		return name + " of the user namespace", name
	case procFile:
		_, file, _ := procPath(path)
		return path, file
	case terminalFile:
		return "a new terminal pair", "terminal"
	}
	return path, path
}

// cgroupName is the name of the control group with this directory. With version 1 there is one of
// this name in each hierarchy: which one it is in stands behind it.
func (c *call) cgroupName(dir string) string {
	inside, ok := strings.CutPrefix(dir, cgroupRoot)
	switch hierarchy, group, below := strings.Cut(inside, "/"); {
	case !ok:
		return "at the root"
	case c.tracer.recording.Machine.Cgroups == "v2":
		return filepath.Base(inside)
	case below:
		return filepath.Base(group) + " (" + hierarchy + ")"
	default:
		return "at the root (" + hierarchy + ")"
	}
}

// hierarchy is the one of version 1 that the directory of a control group is in, such as
// "cpu,cpuacct", or empty with version 2.
func (c *call) hierarchy(dir string) string {
	inside, ok := strings.CutPrefix(dir, cgroupRoot)
	if !ok || c.tracer.recording.Machine.Cgroups == "v2" {
		return ""
	}
	hierarchy, _, _ := strings.Cut(inside, "/")
	return hierarchy
}

// holdsProcesses tells whether a process that is written to a file of a control group moves there
// (cgroups(7)). The names are those of all hierarchies alike.
func holdsProcesses(name string) bool {
	return name == "cgroup.procs" || name == "tasks" || name == "cgroup.threads"
}

// directoryOf is where the recorder sees the directory of a file of the thread.
func (c *call) directoryOf(path string) string { return c.proc("root") + filepath.Dir(path) }

func decodeOpenat(c *call) bool { return c.opens(c.number(0), c.text(1), c.raw[2]) }

func decodeOpenat2(c *call) bool {
	flags := ptrace.ReadWord(c.thread.tid, c.raw[2]) // of struct open_how
	if flags&(unix.O_WRONLY|unix.O_RDWR) == 0 {
		return false
	}
	return c.opens(c.number(0), c.text(1), flags)
}

var openFlags = []flag{
	{unix.O_RDWR, "O_RDWR"},
	{unix.O_WRONLY, "O_WRONLY"},
	{unix.O_CREAT, "O_CREAT"},
	{unix.O_TRUNC, "O_TRUNC"},
	{unix.O_APPEND, "O_APPEND"},
	{unix.O_CLOEXEC, "O_CLOEXEC"},
}

func (c *call) opens(dir int, name string, flags uint64) bool {
	path := c.absolute(dir, name)
	kind := c.fileKind(path, c.directoryOf(path))
	if kind == "" {
		return false
	}
	words, key := c.fileWords(kind, path)
	c.arg("path", c.shown(dir, name))
	known := uint64(0)
	for _, f := range openFlags {
		known |= f.bits
	}
	c.arg("flags", flagNames(flags&known, openFlags))
	c.words = words + " is opened"
	c.key = "open " + key
	return true
}

func decodeMkdirat(c *call) bool { return c.makesDir(c.number(0), c.text(1)) }

func (c *call) makesDir(dir int, name string) bool {
	path := c.absolute(dir, name)
	if c.fileKind(path, c.directoryOf(path)) != cgroupFile {
		return false
	}
	c.arg("path", c.shown(dir, name))
	c.words = "a new control group: " + c.cgroupName(path)
	c.key = "mkdir cgroup"
	c.about = path
	return true
}

func decodeUnlinkat(c *call) bool {
	return c.raw[2]&unix.AT_REMOVEDIR != 0 && c.removesDir(c.number(0), c.text(1))
}

func (c *call) removesDir(dir int, name string) bool {
	path := c.absolute(dir, name)
	if c.fileKind(path, c.directoryOf(path)) != cgroupFile {
		return false
	}
	c.arg("path", c.shown(dir, name))
	c.words = "the control group " + c.cgroupName(path) + " is removed"
	c.key = "rmdir cgroup"
	c.about = path
	return true
}

func decodeWrite(c *call) bool {
	return c.writes(c.number(0), func() []byte {
		return c.memory(c.raw[1], int(min(c.raw[2], ptrace.PageSize)))
	})
}

// decodeWritev reads struct iovec one after the other.
func decodeWritev(c *call) bool {
	const mostParts = 16
	return c.writes(c.number(0), func() (data []byte) {
		for i := range min(c.raw[2], mostParts) {
			part := structure(c.memory(c.raw[1]+16*i, 16))
			data = append(data, c.memory(part.u64(0), int(min(part.u64(8), ptrace.PageSize)))...)
		}
		return data
	})
}

// writes decodes a write to a file that matters, or to a socket.
func (c *call) writes(fd int, read func() []byte) bool {
	path := c.file(fd)
	if strings.HasPrefix(path, "socket:") {
		return c.sends(fd, path, read)
	}
	kind := c.fileKind(path, c.proc("fd/"+strconv.Itoa(fd)))
	if kind == "" || kind == terminalFile {
		return false
	}
	value := strings.TrimSpace(string(read()))
	words, key := c.fileWords(kind, path)
	c.arg("file", path)
	c.arg("value", value)
	c.words = words + " becomes " + quoted(value)
	c.key = "write " + key
	c.about = filepath.Base(path)
	switch kind {
	case cgroupFile:
		c.writesCgroup(path, value)
	case mapFile:
		c.writesMap(path, value)
	}
	return true
}

func (c *call) writesCgroup(path, value string) {
	c.looks |= lookCgroups
	group := c.cgroupName(filepath.Dir(path))
	switch name := filepath.Base(path); {
	case holdsProcesses(name):
		pid, _ := strconv.Atoi(value)
		if pid == 0 {
			pid = c.thread.process.pid
		} else {
			pid = c.pidOf(pid)
		}
		c.other = c.tracer.processByPID(pid)
		c.words = fmt.Sprintf("process %d moves to the cgroup %s", pid, group)
	case name == "cgroup.subtree_control":
		c.words = "the cgroup " + group + " changes the controllers of those below: " + value
	case name == "cgroup.kill":
		c.words = "all processes of the cgroup " + group + " are killed"
	}
}

func (c *call) writesMap(path, value string) {
	process, _, _ := procPath(path)
	if pid, err := strconv.Atoi(process); err == nil {
		c.other = c.tracer.processByPID(c.pidOf(pid))
	}
	switch name := filepath.Base(path); name {
	case "setgroups":
		c.words = "setgroups(2) is forbidden in the user namespace"
		if value != "deny" {
			c.words = "setgroups(2) is allowed in the user namespace"
		}
	default:
		var lines []string
		for line := range strings.Lines(value) {
			var inside, outside, count uint32
			if _, err := fmt.Sscan(line, &inside, &outside, &count); err == nil {
				lines = append(lines, mapWords(name[:3], inside, outside, count))
			}
		}
		c.words = list(lines)
	}
}

// mapWords are the words for a line of a map.
func mapWords(what string, inside, outside, count uint32) string {
	if count == 1 {
		return fmt.Sprintf("%s %d inside is %d outside", what, inside, outside)
	}
	return fmt.Sprintf("%ss %d to %d inside are %d to %d outside",
		what, inside, inside+count-1, outside, outside+count-1)
}

// pidOf is a process by its number in the namespace of the caller.
func (c *call) pidOf(number int) int {
	caller := c.tracer.state.Processes[c.thread.process.pid]
	if caller == nil || len(caller.PIDs) < 2 {
		return number
	}
	depth := len(caller.PIDs) - 1
	for pid, p := range c.tracer.state.Processes {
		if len(p.PIDs) > depth && p.PIDs[depth] == number {
			return pid
		}
	}
	return number
}

func decodeMknodat(c *call) bool {
	return c.makesNode(c.number(0), c.text(1), c.raw[2], c.raw[3])
}

func (c *call) makesNode(dir int, name string, mode, device uint64) bool {
	path := c.absolute(dir, name)
	kind := ""
	switch mode & unix.S_IFMT {
	case unix.S_IFCHR:
		kind = "character"
	case unix.S_IFBLK:
		kind = "block"
	default:
		return false
	}
	major, minor := unix.Major(device), unix.Minor(device)
	c.arg("path", c.shown(dir, name))
	c.arg("mode", fmt.Sprintf("%s device, %#o", kind, mode&^uint64(unix.S_IFMT)))
	c.arg("device", fmt.Sprintf("%d:%d", major, minor))
	c.words = fmt.Sprintf("%s becomes the %s device %d:%d", c.shown(dir, name), kind, major, minor)
	c.key = "mknod " + keyPath(path)
	return true
}

func decodeSymlinkat(c *call) bool { return c.makesLink(c.text(0), c.number(1), c.text(2)) }

func (c *call) makesLink(target string, dir int, name string) bool {
	path := c.absolute(dir, name)
	if filepath.Base(filepath.Dir(path)) != "dev" {
		return false
	}
	c.arg("target", target)
	c.arg("path", c.shown(dir, name))
	c.words = c.shown(dir, name) + " becomes a link to " + target
	c.key = "symlink " + keyPath(path)
	return true
}

func decodeIoctl(c *call) bool {
	file := c.file(c.number(0))
	c.arg("fd", file)
	requests := map[uint32]string{
		unix.SIOCSIFFLAGS: "SIOCSIFFLAGS",
		unix.SIOCSIFADDR:  "SIOCSIFADDR",
		unix.SIOCBRADDBR:  "SIOCBRADDBR",
		unix.SIOCBRADDIF:  "SIOCBRADDIF",
		unix.TUNSETIFF:    "TUNSETIFF",
	}
	if uint32(c.raw[1]) == unix.TIOCSCTTY {
		c.arg("request", "TIOCSCTTY")
		c.words = file + " becomes the terminal of the session"
		c.key = "ioctl TIOCSCTTY"
		c.kind = &callKind{
			number: c.kind.number, name: c.kind.name, man: "TIOCSCTTY(2const)",
			decode: c.kind.decode,
		}
		return true
	}
	request := requests[uint32(c.raw[1])]
	c.arg("request", request)
	return c.configures(request)
}
