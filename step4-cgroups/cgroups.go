//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// limit is a number in a file of a cgroup. Version 2 of cgroups(7) keeps the files of all controllers in
// one directory; version 1 has a tree for each controller, and other file names.
type limit struct {
	controller, v2, v1 string // file names; empty where the version has no such file
	value              int64
	optional           bool // the kernel may be built or started without it
}

// limits are the ones that the flags ask for.
var limits []limit

func init() {
	flag.Func("memory", "bytes, as in 64M", func(s string) error {
		n, err := parseSize(s)
		// Or else the pages would go to swap. Version 2 counts swap apart, version 1 memory and swap together.
		return add(n, err, limit{"memory", "memory.max", "memory.limit_in_bytes", n, false},
			limit{"memory", "memory.swap.max", "", 0, true}, limit{"memory", "", "memory.memsw.limit_in_bytes", n, true})
	})
	flag.Func("pids", "processes and threads", func(s string) error {
		n, err := strconv.ParseInt(s, 10, 64)
		if err == nil && n < 16 {
			return errors.New("less than the threads of the child need")
		}
		return add(n, err, limit{"pids", "pids.max", "pids.max", n, false})
	})
	flag.Func("cpus", "processors, as in 0.5", func(s string) error {
		cpus, err := strconv.ParseFloat(s, 64)
		quota := int64(min(cpus, 1e6) * 100_000) // µs of processor time in each period of 100 ms
		return add(quota, err, limit{"cpu", "cpu.max", "cpu.cfs_quota_us", quota, false})
	})
}

func add(n int64, err error, more ...limit) error {
	if err != nil || n <= 0 {
		return errors.New("not a limit")
	}
	limits = append(limits, more...)
	return nil
}

func parseSize(s string) (int64, error) {
	digits := strings.TrimRight(s, "KMG")
	unit := map[string]int64{"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}[s[len(digits):]]
	n, err := strconv.ParseInt(digits, 10, 64)
	if unit == 0 || n > math.MaxInt64/unit {
		return 0, strconv.ErrRange
	}
	return n * unit, err
}

// place returns the cgroup of the container whose first process is pid, and the file of the limit in it.
func (l limit) place(pid string) (cgroup, file string) {
	var fs unix.Statfs_t
	if unix.Statfs("/sys/fs/cgroup", &fs) == nil && fs.Type == unix.CGROUP2_SUPER_MAGIC {
		return filepath.Join("/sys/fs/cgroup/container-" + pid), l.v2
	}
	return filepath.Join("/sys/fs/cgroup", l.controller, "container-"+pid), l.v1
}

// joinCgroup makes the cgroup, limits it and moves this process there: all that it starts is born there.
func joinCgroup() {
	pid, err := os.Readlink("/proc/self") // as the host counts: its /proc is still mounted
	must(125, err, "cgroup")
	for _, l := range limits {
		cgroup, file := l.place(pid)
		if file == "" {
			continue
		}
		// In version 2 a controller works where the cgroup above passes it on.
		above := filepath.Join(filepath.Dir(cgroup), "cgroup.subtree_control")
		if _, err := os.Stat(above); err == nil {
			must(125, os.WriteFile(above, []byte("+"+l.controller), 0), "cgroup")
		}
		if err := os.Mkdir(cgroup, 0o755); !errors.Is(err, os.ErrExist) {
			must(125, err, "cgroup")
		}
		if _, err := os.Stat(filepath.Join(cgroup, file)); err == nil || !l.optional {
			must(125, os.WriteFile(filepath.Join(cgroup, file), fmt.Append(nil, l.value), 0), "limit %d", l.value)
		}
		must(125, os.WriteFile(filepath.Join(cgroup, "cgroup.procs"), []byte("0"), 0), "cgroup")
	}
}

// runLimited runs the child, and when it is gone, and all that was in its cgroup with it, removes that.
func runLimited(cmd *exec.Cmd) (status int, err error) {
	status, err = run(cmd)
	for _, l := range limits {
		if err == nil {
			cgroup, _ := l.place(strconv.Itoa(cmd.Process.Pid))
			if err := os.Remove(cgroup); !errors.Is(err, os.ErrNotExist) {
				must(125, err, "cgroup")
			}
		}
	}
	return status, err
}
