//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// resources are the limits of setrlimit(2), as Docker and ulimit name them.
var resources = map[string]int{
	"core": unix.RLIMIT_CORE, "cpu": unix.RLIMIT_CPU, "data": unix.RLIMIT_DATA, "fsize": unix.RLIMIT_FSIZE,
	"locks": unix.RLIMIT_LOCKS, "memlock": unix.RLIMIT_MEMLOCK, "msgqueue": unix.RLIMIT_MSGQUEUE, "nice": unix.RLIMIT_NICE,
	"nofile": unix.RLIMIT_NOFILE, "nproc": unix.RLIMIT_NPROC, "rss": unix.RLIMIT_RSS, "rtprio": unix.RLIMIT_RTPRIO,
	"rttime": unix.RLIMIT_RTTIME, "sigpending": unix.RLIMIT_SIGPENDING, "stack": unix.RLIMIT_STACK,
}

// initNeeds is what -init takes, as a Go program, of those that it could not live with.
var initNeeds = map[string]uint64{"data": 64 << 20, "nofile": 16, "nproc": 16, "stack": 64 << 10}

// ulimit is what one flag -ulimit asks for.
type ulimit struct {
	name       string
	soft, hard uint64
}

var ulimits []ulimit

func init() {
	flag.Func("ulimit", "`NAME=SOFT[:HARD]`, a limit of setrlimit(2) as in nofile=1024, or unlimited", func(s string) error {
		name, values, _ := strings.Cut(s, "=")
		if _, known := resources[name]; !known {
			return fmt.Errorf("unknown limit %q", name)
		}
		soft, hard, both := strings.Cut(values, ":")
		if !both {
			hard = soft
		}
		u := ulimit{name: name}
		var softErr, hardErr error
		u.soft, softErr = parseUlimit(soft)
		u.hard, hardErr = parseUlimit(hard)
		if softErr != nil || hardErr != nil {
			return errors.New("not a limit")
		}
		if u.soft > u.hard {
			return errors.New("the soft limit is above the hard one")
		}
		ulimits = append(ulimits, u)
		return nil
	})
}

func parseUlimit(s string) (uint64, error) {
	if s == "unlimited" || s == "-1" {
		return unix.RLIM_INFINITY, nil
	}
	return strconv.ParseUint(s, 10, 63)
}

// checkDescriptors makes sure of enough descriptors. The Go runtime takes all that the hard limit allows, and
// does not survive it when there are none.
func checkDescriptors() error {
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return fmt.Errorf("getrlimit nofile: %w", err)
	}
	if files.Max < 64 {
		return fmt.Errorf("ulimit nofile %d: too low for the runtime, which takes 64 (a container can have less: -ulimit)", files.Max)
	}
	return nil
}

// raiseHardLimits is the parent's: root of a user namespace may not raise them. They are lowered by the
// child, when it has no more use for what they limit.
func raiseHardLimits(pid int) error {
	for _, u := range ulimits {
		var now unix.Rlimit
		if err := unix.Prlimit(pid, resources[u.name], nil, &now); err != nil {
			return fmt.Errorf("ulimit %q: %w", u.name, err)
		}
		if u.hard > now.Max {
			if err := unix.Prlimit(pid, resources[u.name], &unix.Rlimit{Cur: now.Cur, Max: u.hard}, nil); err != nil {
				return fmt.Errorf("ulimit %q: hard limit %d above %d: %w", u.name, u.hard, now.Max, err)
			}
		}
	}
	return nil
}

func setResourceLimits() error {
	for _, u := range ulimits {
		trace("setrlimit %s %d %d", u.name, u.soft, u.hard)
		if err := unix.Setrlimit(resources[u.name], &unix.Rlimit{Cur: u.soft, Max: u.hard}); err != nil {
			return fmt.Errorf("ulimit %q: %w", u.name, err)
		}
	}
	return nil
}
