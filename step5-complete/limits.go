//go:build linux

package main

import (
	"errors"
	"flag"
	"math"
	"slices"
	"strconv"
	"strings"
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
	flag.Func("memory", "`BYTES`, as in 64M: memory and swap", func(s string) error {
		n, err := parseSize(s)
		// Or else the pages would go to swap. Version 2 counts swap apart, version 1 memory and swap together.
		return addLimits(n, err, limit{"memory", "memory.max", "memory.limit_in_bytes", n, false},
			limit{"memory", "memory.swap.max", "", 0, true}, limit{"memory", "", "memory.memsw.limit_in_bytes", n, true})
	})
	flag.Func("pids", "`N` processes and threads", func(s string) error {
		n, err := strconv.ParseInt(s, 10, 64)
		return addLimits(n, err, limit{"pids", "pids.max", "pids.max", n, false})
	})
	flag.Func("cpus", "`N` processors, as in 0.5", func(s string) error {
		cpus, err := strconv.ParseFloat(s, 64)
		quota := int64(min(cpus, 1e6) * 100_000) // µs of processor time in each period of 100 ms
		return addLimits(quota, err, limit{"cpu", "cpu.max", "cpu.cfs_quota_us", quota, false})
	})
}

// addLimits adds what a flag asks for, in place of what the same flag asked for before.
func addLimits(n int64, err error, more ...limit) error {
	if err != nil || n <= 0 {
		return errors.New("not a limit")
	}
	limits = slices.DeleteFunc(limits, func(l limit) bool { return l.controller == more[0].controller })
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
