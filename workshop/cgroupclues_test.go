//go:build linux

package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"container.example/workshop/internal/harness"
)

// TestWrongVersion tells of a hierarchy that the machine does not have, and of no other.
func TestWrongVersion(t *testing.T) {
	const one, two = "has version 1", "has version 2"
	for _, c := range []struct {
		path, on1, on2 string
	}{
		{"/sys/fs/cgroup/mine", one, ""},
		{"/sys/fs/cgroup/mine/memory.max", one, ""},
		{"/sys/fs/cgroup/cgroup.subtree_control", one, ""},
		{"/sys/fs/cgroup/mine/tasks", one, two},
		{"/sys/fs/cgroup/memory/mine/memory.max", one, two},
		{"/sys/fs/cgroup/memory/mine/memory.limit_in_bytes", "", two},
		{"/sys/fs/cgroup/pids/mine/pids.max", "", two},
		{"/sys/fs/cgroup/cpu,cpuacct/mine", "no hierarchy cpu,cpuacct", two},
		{"/sys/fs/cgroup/freezer/mine", "no hierarchy freezer", two},
		{"/sys/fs/cgroup/memory-of-mine", one, ""},
	} {
		for version2, want := range map[bool]string{false: c.on1, true: c.on2} {
			text := wrongVersion(c.path, version2)
			require.Contains(t, text, want, c.path)
			require.Equal(t, want == "", text == "", c.path)
		}
	}
}

// TestCgroupWords tells what the kernel's errors about cgroups mean, as they were seen on a machine
// with version 2.
func TestCgroupWords(t *testing.T) {
	for _, c := range []struct {
		call, errno, text, says string
	}{
		{
			"write", "EBUSY", `write(</sys/fs/cgroup/cgroup.procs>, "0", 1)`,
			"cannot have processes itself",
		},
		{
			"write", "EBUSY", `write(</sys/fs/cgroup/mine/cgroup.subtree_control>, "+pids", 5)`,
			"cannot pass controllers on",
		},
		{
			"mkdir", "ENOENT", `mkdir("/sys/fs/cgroup/user.slice/mine")`,
			"",
		},
	} {
		var e harness.Event
		e.Conduct = &harness.Conduct{Refused: []harness.Refusal{{
			Call: c.call, Errno: c.errno, Text: c.text,
		}}}
		e.Message, e.Ran = "exit status 125", "exec container run true"
		require.Contains(t, clue(e), c.says)
		require.NotContains(t, clue(e), "From where does this path begin")
		require.Equal(t, "step4-cgroups/limits-none", subject(e))
	}
	// Of a program that was in the background there are only words.
	var e harness.Event
	e.Message = "no cgroup has 1 in pids.max; there are:\n/sys/fs/cgroup/harness: max"
	e.Background = []harness.Background{{
		State: "exit status 125",
		Stderr: "container: open /sys/fs/cgroup/pids/mine/memory.limit_in_bytes: no such file " +
			"or directory\n",
	}}
	require.Contains(t, findCause(e).cgroupPath(), "/pids/mine/memory.limit_in_bytes")
	e.Background[0].Stderr = "cgroup: write /sys/fs/cgroup/cgroup.procs: device or resource busy\n"
	require.Contains(t, clue(e), "cannot have processes itself")
}

// TestCgroupAmiss tells what is wrong with a cgroup only where that is the one thing it can be.
func TestCgroupAmiss(t *testing.T) {
	const list = "no cgroup has 134217728 in memory.max; there are:\n" +
		"/sys/fs/cgroup/harness: max\n"
	one := "/sys/fs/cgroup/memory/mine: 67108864"
	for _, c := range []struct {
		script, message string
		ended, stderr   string // how the second of two containers had ended
		says            string
	}{
		{"two-at-once", list + one, "", "", "Both containers use the cgroup"},
		{"two-at-once", list + one, "exit status 125", "bad limit", ""},
		{
			"two-at-once", list + one, "exit status 125",
			"write /sys/fs/cgroup/memory/mine/memory.max: invalid argument",
			"Both containers use the cgroup",
		},
		{"two-at-once", list + one + "\n/sys/fs/cgroup/memory/other: max", "", "", ""},
		{"memory-file", list, "", "", "no cgroup with a file memory.max"},
		{"memory-file", list, "exit status 125", "", ""},
		{"memory-file", list, "exit status 137", "", "too low even to start"},
		{"memory-file", list + one, "", "", ""},
	} {
		e := harness.Event{Script: harness.Script{Name: c.script}}
		e.Message = c.message
		e.Background = []harness.Background{{}, {State: c.ended, Stderr: c.stderr}}
		text := cgroupAmiss(e)
		if text != "" {
			require.Equal(t, text, clue(e))
		}
		require.Contains(t, text, c.says)
		require.Equal(t, c.says == "", text == "", "%s: %s", c.script, text)
	}
}

// TestNotNamed requires that the name of the host was seen before a program is told of it.
func TestNotNamed(t *testing.T) {
	e := harness.Event{Script: harness.Script{Name: "hostname-flag"}}
	e.Conduct = &harness.Conduct{}
	for stdout, told := range map[string]bool{
		"host\n": true, "pid 7\nhost\n": true, "I run hostname\n": false, "": false,
	} {
		e.Stdout = stdout
		require.Equal(t, told, notNamed(e) != "", "%q", stdout)
	}
}
