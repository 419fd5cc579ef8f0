//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/sys/capability"
	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"container.example/workshop/internal/lazyregexp"
)

// inspect reads all that /proc and /sys/fs/cgroup tell about a process.
func inspect(pid int) (*inspection, error) {
	status, err := readStatus(pid)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("inspect %d: %w", pid, errGone)
	} else if err != nil {
		return nil, err
	}
	r := &inspection{Pid: pid, Command: commandOf(pid)}
	r.NSPids = numbers(status["NSpid"])
	r.Parent, _ = strconv.Atoi(status["PPid"])
	r.Threads, _ = strconv.Atoi(status["Threads"])
	r.Uids, r.Gids, r.Groups = numbers(
		status["Uid"],
	), numbers(
		status["Gid"],
	), numbers(
		status["Groups"],
	)
	r.NoNewPrivs = status["NoNewPrivs"] == "1"
	r.Seccomp = map[string]string{"0": "none", "1": "strict", "2": "filter"}[status["Seccomp"]]
	if n := status["Seccomp_filters"]; n != "" && n != "0" {
		r.Seccomp += ", " + n + " of them"
	}
	label, _ := os.ReadFile(procFile(pid, "attr/current")) // there may be no security module
	r.Label = strings.TrimRight(string(label), "\x00\n")
	for _, part := range []struct {
		name string
		read func(int) error
	}{
		{"namespaces", r.readNamespaces},
		{"maps", r.readMaps},
		{"root", r.readFiles},
		{"mounts", r.readMounts},
		{"cgroups", r.readCgroups},
		{"capabilities", r.readCapabilities},
		{"limits", r.readLimits},
		{"processes", r.readFamily},
	} {
		if err := part.read(pid); err != nil {
			if _, gone := os.Stat(procFile(pid, "")); gone != nil {
				return nil, fmt.Errorf("inspect %d: %w: it has ended", pid, errGone)
			}
			r.Unknown = append(r.Unknown, part.name)
		}
	}
	return r, nil
}

// readStatus reads proc_pid_status(5).
func readStatus(pid int) (map[string]string, error) {
	text, err := os.ReadFile(procFile(pid, "status"))
	if err != nil {
		return nil, err
	}
	status := map[string]string{}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(line, ":")
		status[key] = strings.TrimSpace(value)
	}
	return status, nil
}

func numbers(text string) (result []int) {
	for word := range strings.FieldsSeq(text) {
		if n, err := strconv.Atoi(word); err == nil {
			result = append(result, n)
		}
	}
	return result
}

// commandOf is the command line of a process, or its name in brackets if it has none.
func commandOf(pid int) string {
	text, _ := os.ReadFile(procFile(pid, "cmdline"))
	line := verbatim(
		string(bytes.ReplaceAll(bytes.TrimRight(text, "\x00"), []byte{0}, []byte{' '})),
		1,
	)
	if line == "" {
		name, _ := os.ReadFile(procFile(pid, "comm"))
		line = "[" + strings.TrimSpace(string(name)) + "]"
	}
	return line
}

var namespaceNames = []string{"uts", "pid", "mnt", "net", "ipc", "user", "cgroup", "time"}

func (r *inspection) readNamespaces(pid int) (err error) {
	for _, name := range namespaceNames {
		ns := namespace{Name: name}
		var e error
		if ns.Inode, e = inode(procFile(pid, "ns/"+name)); e != nil &&
			!errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
		ns.Host, _ = inode("/proc/self/ns/" + name)
		ns.Shared = ns.Inode == ns.Host
		r.Namespaces = append(r.Namespaces, ns)
	}
	return err
}

// inode is the number that names a namespace.
func inode(path string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return st.Ino, nil
}

func (r *inspection) readMaps(pid int) (err error) {
	for file, target := range map[string]*[]mapping{"uid_map": &r.UidMap, "gid_map": &r.GidMap} {
		text, e := os.ReadFile(procFile(pid, file))
		err = errors.Join(err, e)
		for line := range strings.Lines(string(text)) {
			var m mapping
			if _, e := fmt.Sscan(line, &m.Inside, &m.Outside, &m.Size); e == nil {
				*target = append(*target, m)
			}
		}
	}
	return err
}

func (r *inspection) readFiles(pid int) (err error) {
	var cwdErr error
	r.Root, err = os.Readlink(procFile(pid, "root"))
	r.Cwd, cwdErr = os.Readlink(procFile(pid, "cwd"))
	return errors.Join(err, cwdErr)
}

func (r *inspection) readMounts(pid int) error {
	f, err := os.Open(procFile(pid, "mountinfo"))
	if err != nil {
		return err
	}
	defer f.Close()
	mounts, err := mountinfo.GetMountsFromReader(f, nil)
	for _, m := range mounts {
		r.Mounts = append(r.Mounts, mount{m.Mountpoint, m.FSType, m.Source, m.Root, m.Options})
		if m.Mountpoint == "/" && !r.sharesMounts() { // the last one is on top
			r.Root = fmt.Sprintf("%s of %s (%s)", m.Root, m.Source, m.FSType)
		}
	}
	return err
}

// cgroupFiles are those that say what a cgroup may use, and uses; of version 2 and 1.
var cgroupFiles = []string{
	"memory.max", "memory.swap.max", "memory.current", "memory.peak", "pids.max", "pids.current",
	"cpu.max", "cpu.weight", "cpuset.cpus.effective",
	"memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.usage_in_bytes",
	"cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.shares", "cpuset.cpus",
}

func (r *inspection) readCgroups(pid int) error {
	text, err := os.ReadFile(procFile(pid, "cgroup"))
	if err != nil {
		return err
	}
	hierarchies, err := mountinfo.GetMounts(mountinfo.FSTypeFilter("cgroup", "cgroup2"))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 {
			continue
		}
		c := cgroup{Controllers: fields[1], Path: fields[2]}
		for _, m := range hierarchies {
			if c.Controllers == "" && m.FSType == "cgroup2" ||
				m.FSType == "cgroup" && sameControllers(c.Controllers, m.VFSOptions) {
				inside, err := filepath.Rel(m.Root, c.Path)
				if err == nil && inside != ".." && !strings.HasPrefix(inside, "../") {
					c.Dir = filepath.Join(m.Mountpoint, inside)
				}
			}
		}
		for _, file := range cgroupFiles {
			if text, err := os.ReadFile(filepath.Join(c.Dir, file)); err == nil && c.Dir != "" {
				c.Values = append(c.Values, value{file, strings.TrimSpace(string(text))})
			}
		}
		r.Cgroups = append(r.Cgroups, c)
	}
	return nil
}

// sameControllers tells whether a hierarchy of version 1 is mounted with these options.
func sameControllers(controllers, options string) bool {
	all := strings.Split(options, ",")
	for name := range strings.SplitSeq(controllers, ",") {
		if !slices.Contains(all, name) {
			return false
		}
	}
	return controllers != ""
}

func (r *inspection) readCapabilities(pid int) error {
	caps, err := capability.NewPid2(pid)
	if err != nil {
		return err
	}
	if err := caps.Load(); err != nil {
		return err
	}
	known, err := capability.ListSupported()
	if err != nil {
		return err
	}
	r.AllCapabilities = len(known)
	for _, which := range []struct {
		name string
		set  capability.CapType
	}{
		{"effective", capability.EFFECTIVE},
		{"permitted", capability.PERMITTED},
		{"inheritable", capability.INHERITABLE},
		{"bounding", capability.BOUNDING},
		{"ambient", capability.AMBIENT},
	} {
		s := capabilitySet{Name: which.name, Names: []string{}, Without: []string{}}
		for _, c := range known {
			if caps.Get(which.set, c) {
				s.Names = append(s.Names, c.String())
			} else {
				s.Without = append(s.Without, c.String())
			}
		}
		r.Capabilities = append(r.Capabilities, s)
	}
	return nil
}

var limitLine = lazyregexp.New(`(?m)^Max (.+?)  +(\S+)  +(\S+) *(\S*) *$`)

func (r *inspection) readLimits(pid int) error {
	own, err := os.ReadFile(procFile(pid, "limits"))
	if err != nil {
		return err
	}
	host, err := os.ReadFile(
		procFile(os.Getppid(), "limits"),
	) // a Go program has raised its own limit of files
	if err != nil {
		return err
	}
	hosts := map[string][]string{}
	for _, m := range limitLine.FindAllStringSubmatch(string(host), -1) {
		hosts[m[1]] = m
	}
	for _, m := range limitLine.FindAllStringSubmatch(string(own), -1) {
		l := rlimit{Name: m[1], Soft: m[2], Hard: m[3], Unit: m[4]}
		if h := hosts[m[1]]; h != nil {
			l.HostSoft, l.HostHard = h[2], h[3]
		}
		r.Limits = append(r.Limits, l)
	}
	return nil
}

// readFamily lists the processes in the same pid namespace, if that is not the host's.
func (r *inspection) readFamily(pid int) error {
	mine, err := inode(procFile(pid, "ns/pid"))
	if err != nil {
		return err
	}
	if host, err := inode("/proc/self/ns/pid"); err != nil || host == mine {
		return err
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return err
	}
	for _, entry := range entries {
		other, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if ns, err := inode(procFile(other, "ns/pid")); err != nil || ns != mine {
			continue
		}
		status, err := readStatus(other)
		if err != nil {
			continue // gone in the meantime
		}
		if pids := numbers(status["NSpid"]); len(pids) > 0 {
			r.Family = append(r.Family, member{other, pids[len(pids)-1], commandOf(other)})
		}
	}
	slices.SortFunc(r.Family, func(a, b member) int { return a.Inside - b.Inside })
	return nil
}
