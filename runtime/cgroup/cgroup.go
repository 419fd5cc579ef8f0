//go:build linux

// Package cgroup limits what a container uses (cgroups(7)). The container's cgroup is one directory
// on version 2, and one for each controller on version 1. There is none as long as nothing is
// limited.
package cgroup

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/config"
	"container.example/workshop/runtime/files"
	"container.example/workshop/runtime/plan"
)

// root is where the hierarchies are mounted.
const root = "/sys/fs/cgroup"

// A Cgroup is that of one container.
type Cgroup struct {
	dirs  []directory
	tasks []int // version 1: descriptors of the files by which the child joins
	trace func(what string)
}

// A directory is one that was made, with a lock on it: see makeLocked.
type directory struct {
	path string
	lock int // a descriptor
}

// limit is a number in a file of a cgroup. Version 2 keeps the files of all controllers in one
// directory; version 1 has a tree for each controller, and other file names.
type limit struct {
	flag       string // that asked for it, with its value
	controller string
	v2, v1     string // file names; empty where the version has no such file
	value      int64
	optional   bool   // the kernel may be built or started without it
	accepted   string // a hint
}

// limits are those that a container asks for.
func limits(c *config.Container) (all []limit) {
	if c.Memory > 0 {
		flag := fmt.Sprint("memory ", c.Memory)
		// Otherwise the pages would go to swap. Version 2 counts swap apart, version 1 memory and
		// swap together.
		memory := limit{
			flag:       flag,
			controller: "memory",
			v2:         "memory.max",
			v1:         "memory.limit_in_bytes",
			value:      c.Memory,
		}
		swap := limit{flag: flag, controller: "memory", v2: "memory.swap.max", optional: true}
		both := memory
		both.v2, both.v1, both.optional = "", "memory.memsw.limit_in_bytes", true
		all = append(all, memory, swap, both)
	}
	if c.Pids > 0 {
		all = append(all, limit{
			flag:       fmt.Sprint("pids ", c.Pids),
			controller: "pids",
			v2:         "pids.max",
			v1:         "pids.max",
			value:      c.Pids,
		})
	}
	if c.CPUs > 0 {
		all = append(all, limit{
			flag:       fmt.Sprint("cpus ", c.CPUs),
			controller: "cpu",
			v2:         "cpu.max",
			v1:         "cpu.cfs_quota_us",
			value:      Quota(c.CPUs),
			accepted:   "the kernel takes 0.01 and more, and no more than a cgroup above has",
		})
	}
	return all
}

// Period is that of a limit of processor time, in microseconds: cpu.max counts the time in each.
const Period = 100_000

// Quota is how much of each period a number of processors is, in microseconds. It is rounded: 0.29
// times the period is a bit less than 29000.
func Quota(cpus float64) int64 { return int64(math.Round(min(cpus, 1e6) * Period)) }

// controllers are those of limits.
func controllers(limits []limit) (names []string) {
	for _, l := range limits {
		if !slices.Contains(names, l.controller) {
			names = append(names, l.controller)
		}
	}
	return names
}

// IsLimited tells whether the container has a cgroup.
func IsLimited(c *config.Container) bool { return len(limits(c)) > 0 }

// JoinsLate tells whether the child joins its cgroup only after it is born: those of version 1.
// Then it unshares the cgroup namespace itself, because that takes the cgroup of its maker for its
// root (cgroup_namespaces(7)).
func (g *Cgroup) JoinsLate() bool { return len(g.tasks) > 0 }

// isV2 tells whether it is version 2 that is mounted. If that cannot be found out it is not version
// 1 either: a container would do without its limits.
func isV2() (bool, error) {
	var fs unix.Statfs_t
	err := unix.Statfs(root, &fs)
	for _, absent := range []error{unix.ENOENT, unix.ENOTDIR, unix.EACCES} {
		if errors.Is(err, absent) {
			return false, nil
		}
	}
	if err != nil {
		return false, fmt.Errorf("statfs %s: %w", root, err)
	}
	return fs.Type == unix.CGROUP2_SUPER_MAGIC, nil
}

// Make makes the cgroup and sets its limits; trace, if not nil, hears of each. What it made it
// returns even with an error.
func Make(c *config.Container, trace func(what string)) (*Cgroup, error) {
	g := &Cgroup{trace: trace}
	v2, err := isV2()
	if err != nil {
		return g, err
	}
	own, err := ownPaths()
	if err != nil {
		return g, err
	}
	all := limits(c)
	bases := map[string]string{} // of the controllers
	if v2 {
		base, tightened, err := findBase(all, own[""])
		if err != nil {
			return g, err
		}
		all = tightened
		for _, controller := range controllers(all) {
			bases[controller] = base
		}
	} else {
		for _, controller := range controllers(all) {
			bases[controller] = findBaseV1(controller, own)
		}
	}
	removeStale(slices.Compact(slices.Sorted(maps.Values(bases)))...)
	name := newName()
	for _, l := range all {
		file := l.v1
		if v2 {
			file = l.v2
		}
		if file == "" {
			continue
		}
		dir := filepath.Join(bases[l.controller], name)
		if err := g.makeDirectory(dir, v2); err != nil {
			return g, fmt.Errorf("cgroup: %w%s", err, hintOfMake(err, l.controller))
		}
		if err := g.set(l, filepath.Join(dir, file)); err != nil {
			return g, err
		}
	}
	return g, nil
}

// hintOfMake says what to do about a directory that cannot be made.
func hintOfMake(err error, controller string) string {
	switch {
	case errors.Is(err, unix.ENOENT):
		return fmt.Sprintf(" (no controller %s is mounted below %s)", controller, root)
	case errors.Is(err, unix.EROFS):
		return " (a container that is to make others has to have its cgroups mounted writable)"
	case errors.Is(err, unix.EACCES):
		return " (only root may make one on version 1, and on version 2 who has been delegated one)"
	case errors.Is(err, unix.EAGAIN):
		return " (see cgroup.max.descendants above)"
	}
	return ""
}

func (g *Cgroup) set(l limit, file string) error {
	if l.optional && errors.Is(unix.Access(file, unix.F_OK), unix.ENOENT) {
		return nil
	}
	if g.trace != nil {
		g.trace(fmt.Sprintf("write %s: %d", file, l.value))
	}
	if err := files.Write(file, strconv.FormatInt(l.value, 10)); err != nil {
		hint := ""
		if l.accepted != "" {
			hint = " (" + l.accepted + ")"
		}
		return fmt.Errorf("%s: write %s: %w%s", l.flag, filepath.Base(file), err, hint)
	}
	return nil
}

// makeDirectory makes one directory, if this container has not made it yet.
func (g *Cgroup) makeDirectory(path string, v2 bool) error {
	for _, d := range g.dirs {
		if d.path == path {
			return nil
		}
	}
	lock, err := makeLocked(path)
	if err != nil {
		return err
	}
	g.dirs = append(g.dirs, directory{path, lock})
	if v2 {
		return nil
	}
	// Writing to tasks moves the thread that writes, and costs less than moving another process
	// does.
	fd, err := unix.Open(filepath.Join(path, "tasks"), unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", filepath.Join(path, "tasks"), err)
	}
	g.tasks = append(g.tasks, fd)
	return nil
}

// FD is a descriptor of the cgroup, for the child to be born into (CLONE_INTO_CGROUP of clone(2)),
// on version 2; or -1.
func (g *Cgroup) FD() int {
	if len(g.dirs) == 0 || len(g.tasks) > 0 {
		return -1
	}
	return g.dirs[0].lock
}

// Join adds the calls by which the child joins its cgroups of version 1, and makes them the root of
// what the container sees.
func (g *Cgroup) Join(p *plan.Plan, c *config.Container) {
	p.About("join cgroup", "")
	p.Hint(unix.ENOSPC, "not the disk: see /proc/sys/user/max_cgroup_namespaces")
	for i, fd := range g.tasks {
		p.Write(p.Open(fd, g.dirs[i].path+"/tasks"), "0")
	}
	if c.Namespaces.Has(unix.CLONE_NEWCGROUP) {
		p.Unshare(unix.CLONE_NEWCGROUP)
	}
}

// Example is a cgroup that was not made, for a plan that will not be.
func Example(c *config.Container) (*Cgroup, error) {
	g := &Cgroup{}
	if !IsLimited(c) {
		return g, nil
	}
	v2, err := isV2()
	if v2 || err != nil {
		return g, err
	}
	for i, name := range controllers(limits(c)) {
		g.dirs = append(g.dirs, directory{path: filepath.Join(root, name, namePrefix+"...")})
		g.tasks = append(g.tasks, exampleFD+i)
	}
	return g, nil
}

const exampleFD = 1 << 16

// A Mount is a file system that shows the container its cgroup.
type Mount struct{ Type, Target, Options string }

// Mounts are those file systems; only a cgroup namespace makes the cgroup the root of what they
// show. On version 1 it is one for each hierarchy, those with limits.
func Mounts(c *config.Container) ([]Mount, error) {
	if !c.Namespaces.Has(unix.CLONE_NEWCGROUP) {
		return nil, nil
	}
	v2, err := isV2()
	switch {
	case err != nil:
		return nil, err
	case v2:
		return []Mount{{Type: "cgroup2", Target: root}}, nil
	}
	var mounts []Mount
	text, err := files.ReadIfThere("/proc/self/cgroup") // none: the kernel has no cgroups
	wanted := controllers(limits(c))
	for line := range strings.Lines(text) {
		fields := strings.Split(line, ":")
		for _, controller := range wanted {
			if strings.Contains(","+fields[1]+",", ","+controller+",") {
				mounts = append(mounts, Mount{
					Type:    "cgroup",
					Target:  filepath.Join(root, fields[1]),
					Options: fields[1],
				})
				break
			}
		}
	}
	return mounts, err
}

// Explain tells why a command was killed, if it was for the limit of memory: the kernel says
// nothing to it. The count of such kills is in memory.events, on version 1 in memory.oom_control.
func (g *Cgroup) Explain(status int) error {
	if status != 128+int(unix.SIGKILL) {
		return nil
	}
	for _, d := range g.dirs {
		for _, file := range []string{"memory.events", "memory.oom_control"} {
			// One of them is there, in one of the directories.
			text, _ := files.Read(filepath.Join(d.path, file))
			if kills := field(text, "oom_kill"); kills != "" && kills != "0" {
				return errors.New("memory: the kernel killed the command, or a process of it, " +
					"at the limit (-memory)")
			}
		}
	}
	return nil
}

// field is the value behind a name in a file with a line for each.
func field(text, name string) string {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// Remove removes the cgroup. A process is left in it only where there is no pid namespace to end
// with the command; it is killed. The last ones take a moment to go.
func (g *Cgroup) Remove() (err error) {
	for _, fd := range g.tasks {
		unix.Close(fd)
	}
	for _, d := range g.dirs {
		if removeErr := killAndRemove(d.path); removeErr != nil {
			err = errors.Join(err, fmt.Errorf("cgroup: remove %s: %w", d.path, removeErr))
		}
		unix.Close(d.lock)
	}
	return err
}

// killAndRemove removes a cgroup, and before that the processes in it. The last ones take a moment.
func killAndRemove(dir string) error {
	err := removeTree(dir)
	for tries := 0; errors.Is(err, unix.EBUSY) && tries < 500; tries++ {
		killTree(dir)
		time.Sleep(10 * time.Millisecond)
		err = removeTree(dir)
	}
	return err
}

// removeTree removes a cgroup, and before that those that somebody made below it.
func removeTree(dir string) error {
	err := unix.Rmdir(dir)
	if !errors.Is(err, unix.EBUSY) {
		return err
	}
	for _, below := range tree(dir) {
		err = unix.Rmdir(below)
	}
	return err // the last was dir itself
}

// killTree kills the processes in a cgroup and below it. It may have to be repeated: they fork.
func killTree(dir string) {
	for _, below := range tree(dir) {
		procs, _ := os.ReadFile(filepath.Join(below, "cgroup.procs"))
		for field := range bytes.FieldsSeq(procs) {
			if pid, err := strconv.Atoi(string(field)); err == nil && pid > 0 {
				_ = unix.Kill(pid, unix.SIGKILL)
			}
		}
	}
}

// tree lists a cgroup and those below it, each after those below itself.
func tree(dir string) (dirs []string) {
	_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			dirs = append([]string{path}, dirs...)
		}
		return nil
	})
	return dirs
}
