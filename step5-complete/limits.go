//go:build linux

package main

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
)

// A limit is a number in a file of a cgroup. Version 2 of cgroups(7) keeps the files of all
// controllers in one directory. Version 1 has a tree of directories for each controller, and other
// file names.
type limit struct {
	flag       string // the flag that asks for it, as in -memory 64M
	controller string
	v2, v1     string // names of the file; empty where the version has no such file
	value      int64
	optional   bool // the kernel may be built or started without the file
}

// limits are all that the flags ask for.
var limits []limit

// setMemory limits memory, and swap too: otherwise the pages would go there. Version 2 counts swap
// alone, version 1 memory and swap together.
func setMemory(s string) error {
	n, err := parseSize(s)
	if err != nil {
		return err
	}
	add("-memory "+s,
		limit{controller: "memory", v2: "memory.max", v1: "memory.limit_in_bytes", value: n},
		limit{controller: "memory", v2: "memory.swap.max", value: 0, optional: true},
		limit{controller: "memory", v1: "memory.memsw.limit_in_bytes", value: n, optional: true})
	return nil
}

func parseSize(s string) (bytes int64, err error) {
	number, unit := s, int64(1)
	for suffix, size := range map[string]int64{"K": 1 << 10, "M": 1 << 20, "G": 1 << 30} {
		if before, found := strings.CutSuffix(s, suffix); found {
			number, unit = before, size
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n <= 0 || n > math.MaxInt64/unit {
		return 0, errors.New("must be a number of bytes, or of K, M or G, as in 64M")
	}
	return n * unit, nil
}

// setPids limits processes and threads.
func setPids(s string) error {
	n, err := strconv.ParseInt(s, 10, 64)
	// The threads of child count too, and a Go program that cannot start a thread ends in a panic.
	if err != nil || n < 16 {
		return errors.New("must be a number, and at least 16")
	}
	add("-pids "+s, limit{controller: "pids", v2: "pids.max", v1: "pids.max", value: n})
	return nil
}

// setCPUs limits the processor time in µs in each period of 100 ms.
func setCPUs(s string) error {
	cpus, err := strconv.ParseFloat(s, 64)
	// No machine has a million processors. A number that does not fit into an int64 would become
	// some other number, and version 1 takes a negative one for no limit.
	quota := int64(min(cpus, 1e6) * 100_000)
	if err != nil || quota <= 0 {
		return errors.New("must be a positive number, as in 0.5")
	}
	add("-cpus "+s, limit{controller: "cpu", v2: "cpu.max", v1: "cpu.cfs_quota_us", value: quota})
	return nil
}

// add adds the limits that a flag asks for. If the flag is there twice, the last one counts.
func add(flag string, more ...limit) {
	limits = slices.DeleteFunc(limits, func(l limit) bool {
		return l.controller == more[0].controller
	})
	for _, l := range more {
		l.flag = flag
		limits = append(limits, l)
	}
}
