//go:build linux

package rights

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/config"
	"container.example/workshop/runtime/files"
	"container.example/workshop/runtime/nofile"
	"container.example/workshop/runtime/plan"
)

// resources are the limits of setrlimit(2), as Docker and ulimit(1) name them.
var resources = []struct {
	name   string
	number int
}{
	{"core", unix.RLIMIT_CORE},
	{"cpu", unix.RLIMIT_CPU},
	{"data", unix.RLIMIT_DATA},
	{"fsize", unix.RLIMIT_FSIZE},
	{"locks", unix.RLIMIT_LOCKS},
	{"memlock", unix.RLIMIT_MEMLOCK},
	{"msgqueue", unix.RLIMIT_MSGQUEUE},
	{"nice", unix.RLIMIT_NICE},
	{"nofile", unix.RLIMIT_NOFILE},
	{"nproc", unix.RLIMIT_NPROC},
	{"rss", unix.RLIMIT_RSS},
	{"rtprio", unix.RLIMIT_RTPRIO},
	{"rttime", unix.RLIMIT_RTTIME},
	{"sigpending", unix.RLIMIT_SIGPENDING},
	{"stack", unix.RLIMIT_STACK},
}

func resource(name string) (number int, known bool) {
	for _, r := range resources {
		if r.name == name {
			return r.number, true
		}
	}
	return 0, false
}

// ParseUlimit parses NAME=SOFT[:HARD].
func ParseUlimit(s string) (u config.Ulimit, err error) {
	name, values, _ := strings.Cut(s, "=")
	if _, known := resource(name); !known {
		var known []string
		for _, r := range resources {
			known = append(known, r.name)
		}
		return u, fmt.Errorf("unknown limit %q: must be of %s", name, strings.Join(known, ", "))
	}
	soft, hard, both := strings.Cut(values, ":")
	if !both {
		hard = soft
	}
	u.Name = name
	var softErr, hardErr error
	u.Soft, softErr = parseLimit(soft)
	u.Hard, hardErr = parseLimit(hard)
	if softErr != nil || hardErr != nil {
		return u, errors.New("must be NAME=SOFT[:HARD], with numbers or unlimited")
	}
	if u.Soft > u.Hard {
		return u, errors.New("the soft limit is above the hard one")
	}
	return u, nil
}

func parseLimit(s string) (uint64, error) {
	if s == "unlimited" || s == "-1" {
		return unix.RLIM_INFINITY, nil
	}
	return strconv.ParseUint(s, 10, 63)
}

// CheckCallers makes sure that the limits of the caller leave this process enough. The Go runtime
// takes all descriptors that the hard limit allows, and some threads; it ends in a stack trace when
// there are none. An init is a second such process.
func CheckCallers(init bool) error {
	processes := uint64(8)
	if init {
		processes = 16
	}
	open, errno := nofile.Callers()
	if errno != 0 {
		return fmt.Errorf("getrlimit nofile: %w", unix.Errno(errno))
	}
	var threads unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NPROC, &threads); err != nil {
		return fmt.Errorf("getrlimit nproc: %w", err)
	}
	const tooLow = "ulimit %s %d: too low for the runtime, which takes %d " +
		"(a container can have less: -ulimit)"
	switch {
	case open.Hard < 64:
		return fmt.Errorf(tooLow, "nofile", open.Hard, 64)
	case threads.Cur < processes && os.Getuid() != 0: // root has no such limit
		return fmt.Errorf(tooLow, "nproc", threads.Cur, processes)
	}
	return nil
}

// RaiseHardLimits raises those of the child. It is for the parent to do, because root of a user
// namespace may not. The child lowers them, when it has no more use for what they limit.
func RaiseHardLimits(pid int, ulimits []config.Ulimit) error {
	for _, u := range ulimits {
		number, _ := resource(u.Name)
		var now unix.Rlimit
		if err := unix.Prlimit(pid, number, nil, &now); err != nil {
			return fmt.Errorf("ulimit %q: %w", u, err)
		}
		if u.Hard > now.Max {
			raised := &unix.Rlimit{Cur: now.Cur, Max: u.Hard}
			if err := unix.Prlimit(pid, number, raised, nil); err != nil {
				return fmt.Errorf("ulimit %q: above %s: %w", u, bound(number, u, now), err)
			}
		}
	}
	return nil
}

// bound is the limit of a limit: for root that of open files has one too (proc_sys_fs(5)).
func bound(number int, u config.Ulimit, now unix.Rlimit) string {
	if number == unix.RLIMIT_NOFILE {
		text, _ := files.Read("/proc/sys/fs/nr_open") // none: then it is that of the caller
		text = strings.TrimSpace(text)
		if most, err := strconv.ParseUint(text, 10, 64); err == nil && u.Hard > most {
			return text + ", the most files of a process on this host (/proc/sys/fs/nr_open)"
		}
	}
	return config.Limit(now.Max) + ", the hard limit of the caller"
}

// KeepNofile adds the call that gives the command the caller's own limit of open files, where this
// program has a higher one and the flags say nothing about it. Programs that do something with each
// number that a file could have count on a low one.
func KeepNofile(p *plan.Plan, c *config.Container) {
	isNofile := func(u config.Ulimit) bool { return u.Name == "nofile" }
	callers, errno := nofile.Callers()
	if errno == 0 && callers.Soft < callers.Hard && !slices.ContainsFunc(c.Ulimits, isNofile) {
		own := config.Ulimit{Name: "nofile", Soft: callers.Soft, Hard: callers.Hard}
		setUlimits(p, []config.Ulimit{own})
	}
}

// setUlimits sets each limit once: of several with one name the last counts, as in Docker. Once
// lowered, a hard limit cannot be raised without rights on the host.
func setUlimits(p *plan.Plan, ulimits []config.Ulimit) {
	for i, u := range ulimits {
		later := func(other config.Ulimit) bool { return other.Name == u.Name }
		if slices.ContainsFunc(ulimits[i+1:], later) {
			continue
		}
		p.About("ulimit", u.String())
		number, _ := resource(u.Name)
		p.Setrlimit(number, unix.Rlimit{Cur: u.Soft, Max: u.Hard})
	}
}
