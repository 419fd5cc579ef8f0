//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// runtimeProcesses are a process and those below it, but for the command.
func runtimeProcesses(pid int) (pids []int) {
	program, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if name := filepath.Base(program); program != "" && name != "busybox" && name != sleep[0] {
		pids = append(pids, pid)
	}
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, task := range tasks {
		children, _ := os.ReadFile(task)
		for child := range strings.FieldsSeq(string(children)) {
			if child, err := strconv.Atoi(child); err == nil {
				pids = append(pids, runtimeProcesses(child)...)
			}
		}
	}
	return pids
}

// rollup is the sum of a field of /proc/PID/smaps_rollup of processes, in kB.
func rollup(pids []int, field string) (sum int) {
	for _, pid := range pids {
		sum += value(fmt.Sprintf("/proc/%d/smaps_rollup", pid), field, 1)
	}
	return sum
}

// stock is what containers could leave behind on the machine.
type stock struct {
	cgroups int // with those that are removed and still in the kernel's memory
	memory  int // kB of the kernel's, and of tmpfs: what no process has
}

// takeStock waits for the kernel to have cleaned up what goes on when a container has ended.
func takeStock() (s stock) {
	time.Sleep(2 * time.Second)
	for _, field := range []string{"SUnreclaim:", "Percpu:", "KernelStack:", "Shmem:"} {
		s.memory += value("/proc/meminfo", field, 1)
	}
	for _, controller := range []string{"memory", "pids", "cpu"} {
		s.cgroups += value("/proc/cgroups", controller, 2)
	}
	return s
}

// value is a number in a file whose lines begin with the name of a field.
func value(file, field string, column int) int {
	text, _ := os.ReadFile(file)
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > column && fields[0] == field {
			n, _ := strconv.Atoi(fields[column])
			return n
		}
	}
	return 0
}
