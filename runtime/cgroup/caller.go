//go:build linux

package cgroup

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/files"
)

// The caller is in a cgroup too, whose limits hold for the container as for all that the caller
// starts: a container that is to have less memory must not get more by that. On version 1 its
// cgroup is one below that of the caller. On version 2 that cannot be: a cgroup with processes
// passes no controllers on (cgroups(7), "no internal processes"). There it is one beside it, as for
// runc, with the limits of the caller's where these are tighter.

// ownPaths are the cgroups of this process by controllers, below the root of the hierarchy, and
// that of version 2 by "".
func ownPaths() (map[string]string, error) {
	text, err := files.ReadIfThere("/proc/self/cgroup") // none: the kernel has no cgroups
	own := map[string]string{}
	for line := range strings.Lines(text) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(fields) != 3 || strings.HasPrefix(fields[2], "/..") { // outside what is seen here
			continue
		}
		for controller := range strings.SplitSeq(fields[1], ",") {
			own[controller] = fields[2]
		}
	}
	return own, err
}

// findBaseV1 finds the directory of a hierarchy of version 1 in which the container's cgroup is to
// be made: the own cgroup, if it is to be seen. In a container that shows only a part of the
// hierarchy the root is the own one.
func findBaseV1(controller string, own map[string]string) string {
	hierarchy := filepath.Join(root, controller)
	if base := filepath.Join(hierarchy, own[controller]); unix.Access(base, unix.F_OK) == nil {
		return base
	}
	return hierarchy
}

// findBase finds the directory of version 2 in which the container's cgroup is to be made, and the
// limits that it is to have. It is the nearest one above the own cgroup that passes on their
// controllers: for root the next one in most cases, for others one that was delegated to them
// (cgroups(7), cgroups delegation).
func findBase(asked []limit, own string) (base string, all []limit, err error) {
	var lost []string
	for dir := filepath.Join(root, own); ; dir = filepath.Dir(dir) {
		if dir != root && len(lost) == 0 { // the own one
			lost = append(lost, dir)
			continue
		}
		all = tighten(asked, lost)
		passErr := passOn(dir, controllers(all))
		if passErr == nil {
			return dir, all, nil
		}
		err = passErr
		if dir == root {
			break
		}
		lost = append(lost, dir)
	}
	return "", nil, fmt.Errorf("cgroup: %w (no cgroup with the controllers %s was delegated to "+
		"this user)", err, strings.Join(controllers(asked), ", "))
}

// inherited are the files of version 2 with limits that others have set for the caller.
var inherited = []struct{ controller, file string }{
	{"memory", "memory.max"},
	{"memory", "memory.high"},
	{"memory", "memory.swap.max"},
	{"pids", "pids.max"},
	{"cpu", "cpu.max"},
}

// tighten returns the limits that were asked for, and those of cgroups that the container will not
// be in, if they are tighter.
func tighten(asked []limit, lost []string) []limit {
	all := slices.Clone(asked)
	for _, in := range inherited {
		for _, dir := range lost {
			text, _ := files.Read(filepath.Join(dir, in.file)) // none: no limit
			value, limited := parseLimit(text)
			if !limited {
				continue
			}
			i := slices.IndexFunc(all, func(l limit) bool { return l.v2 == in.file })
			if i == -1 {
				all = append(all, limit{
					flag:       fmt.Sprintf("cgroup: limit of %s", dir),
					controller: in.controller,
					v2:         in.file,
					value:      value,
				})
			} else {
				all[i].value = min(all[i].value, value)
			}
		}
	}
	return all
}

// parseLimit parses the text of such a file: a number, or max; that of cpu.max has the length of a
// period behind it.
func parseLimit(text string) (value int64, limited bool) {
	fields := strings.Fields(text)
	if len(fields) == 0 {
		return 0, false
	}
	value, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return 0, false
	}
	if len(fields) == 2 {
		period, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil || period <= 0 {
			return 0, false
		}
		const least = 1000 // that the kernel takes
		value = max(int64(float64(value)/float64(period)*Period), least)
	}
	return value, true
}

// passOn makes sure that the cgroups in dir can have limits of these controllers, and that one can
// be made there. One with processes cannot pass on all controllers, and what it says to others
// makes its cgroups useless, as does threaded mode; but the root of a hierarchy, which has no type,
// can.
func passOn(dir string, controllers []string) error {
	kind, _ := files.Read(filepath.Join(dir, "cgroup.type")) // none: the root
	switch kind = strings.TrimSpace(kind); kind {
	case "":
	case "domain":
		if procs, _ := files.Read(filepath.Join(dir, "cgroup.procs")); procs != "" {
			return fmt.Errorf("%s: %w: it has processes", dir, unix.EBUSY)
		}
	default:
		return fmt.Errorf("%s: %w: it is %s", dir, unix.EOPNOTSUPP, kind)
	}
	file := filepath.Join(dir, "cgroup.subtree_control")
	for _, controller := range controllers {
		err := files.Write(file, "+"+controller)
		if err == nil {
			continue
		}
		if enabled, _ := files.Read(file); !slices.Contains(strings.Fields(enabled), controller) {
			return fmt.Errorf("write %s: %w", file, err)
		}
	}
	if err := unix.Access(dir, unix.W_OK); err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	return nil
}
