//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
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
		{
			"rmdir", "EBUSY", `rmdir("/sys/fs/cgroup/mine")`,
			"could not be removed: a process was still in the cgroup",
		},
		{
			"write", "EINVAL",
			`write(</sys/fs/cgroup/memory/mine/memory.memsw.limit_in_bytes>, "67108864", 8)`,
			"memory.limit_in_bytes is without a limit until it is written",
		},
		{
			"write", "EINVAL",
			`write(</sys/fs/cgroup/memory/mine/memory.memsw.limit_in_bytes>, "64 M", 4)`,
			"does not take this value",
		},
		{
			"write", "EINVAL", `write(</sys/fs/cgroup/cpu/mine/cpu.cfs_quota_us>, "500", 3)`,
			"takes no less than 1000",
		},
		{
			"write", "EINVAL", `write(</sys/fs/cgroup/cpu/mine/cpu.cfs_quota_us>, "50000.0", 7)`,
			"does not take this value",
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
	// The limit of memory comes first, and is above.
	const swap = `write(</sys/fs/cgroup/memory/mine/memory.memsw.limit_in_bytes>, "1048576", 7)`
	const memory = `write(</sys/fs/cgroup/memory/mine/memory.limit_in_bytes>, "67108864", 8)`
	require.Contains(t, badLimit(cause{
		text: swap, errno: "EINVAL", seen: true,
		event: harness.Event{Failure: harness.Failure{Conduct: &harness.Conduct{
			Steps: []harness.Step{{Text: memory}, {Text: swap, Errno: "EINVAL"}},
		}}},
	}), "your program has set that by "+memory)
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
	ofOther := "/sys/fs/cgroup/mine"
	if harness.HasCgroup2() {
		ofOther = "/sys/fs/cgroup/memory/mine"
	}
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
		{
			"two-at-once", list + one, "exit status 125",
			"mkdir /sys/fs/cgroup/memory/mine: file exists",
			"Both containers use the cgroup",
		},
		{
			"two-at-once", list + one, "exit status 125",
			"mkdir /sys/fs/cgroup/memory/mine2: read-only file system",
			"",
		},
		{
			"two-at-once", list + one, "exit status 125", "mkdir failed: File exists",
			"found something that is there already",
		},
		{
			"two-at-once", list + one, "exit status 125",
			"mkdir /run/mine/state: file exists", "",
		},
		{
			"two-at-once", list + one, "exit status 2", "RTNETLINK answers: File exists", "",
		},
		{"two-at-once", list + one + "\n/sys/fs/cgroup/memory/other: max", "", "", ""},
		{"memory-file", list, "", "", "no cgroup with a file memory.max"},
		{"memory-file", list, "exit status 125", "", ""},
		{"memory-file", list, "exit status 137", "", "too low even to start"},
		{"memory-file", list + one, "", "", ""},
		{
			"memory-file", list, "", "mkdir: cannot create directory '" + ofOther +
				"': Read-only file system", "and went on",
		},
		{"memory-file", list, "", "mkdir: made " + ofOther, "no cgroup with a file memory.max"},
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

// TestCgroupInTheWay tells which container has left the cgroup behind that is there already, and
// says nothing of the kind where the limit in it is not that container's, or where another one may
// use it now.
func TestCgroupInTheWay(t *testing.T) {
	const (
		dir   = "/sys/fs/cgroup/memory/mine"
		first = "container run -memory 64M sleep 6100"
		ran   = "exec container run -memory 96M sleep 6100 &container&"
	)
	script := filepath.Join(t.TempDir(), "memory-file.txtar")
	require.NoError(t, os.WriteFile(script, []byte("! exec "+first+" &container&\n"+
		"[!cgroup2] cgroup memory.limit_in_bytes 67108864\nwait container\n"+
		ran+"\n[!cgroup2] cgroup memory.limit_in_bytes 100663296\n"), 0o644))
	for _, c := range []struct {
		name        string
		line        int
		value       string // in its file
		said, other string // how this container has ended, and another one
		says        string
	}{
		{
			"left behind", 5, "67108864", "file exists", "exit status 137",
			"`" + first + "` has left",
		},
		{
			"left behind, and no path is told", 5, "67108864", "mkdir failed: File exists",
			"exit status 137", dir + " is there already: `" + first + "` has left",
		},
		{
			"made again, and no path is told", 5, "9223372036854771712",
			"mkdir failed: File exists", "exit status 137", "",
		},
		{"the first one", 2, "67108864", "file exists", "exit status 137", ""},
		{"made again", 5, "9223372036854771712", "file exists", "exit status 137", ""},
		{"another error", 5, "67108864", "permission denied", "exit status 137", ""},
		{"another runs", 5, "67108864", "file exists", "", ""},
	} {
		e := harness.Event{Script: harness.Script{Step: "step4-cgroups", File: script}}
		e.Ran, e.Line = ran, c.line
		e.Message = "no cgroup has 100663296 in memory.limit_in_bytes; there are:\n" +
			"/sys/fs/cgroup/memory: 6319005696\n" + dir + ": " + c.value
		e.Background = []harness.Background{
			{State: "exit status 125", Stderr: "mkdir " + dir + ": " + c.said + "\n"},
			{State: c.other},
		}
		if strings.HasPrefix(c.said, "mkdir") {
			e.Background[0].Stderr = c.said + "\n"
		}
		require.NotContains(t, clue(e), "/sys/fs/cgroup/memory is there already", c.name)
		text := cgroupInTheWay(findCause(e))
		require.Contains(t, text, c.says, c.name)
		require.Equal(t, c.says == "", text == "", c.name)
		require.Contains(t, clue(e), text, c.name)
		require.Equal(t, c.says != "", subject(e) == "step4-cgroups/gone", c.name)
	}
}

// TestMadeInOtherNamespace tells why a process id is no name for a cgroup.
func TestMadeInOtherNamespace(t *testing.T) {
	t.Parallel()
	e := harness.Event{Script: harness.Script{Step: "step4-cgroups", Name: "two-pid-namespaces"}}
	e.Ran, e.Message = "exec sh others.sh", "exit status 1, want 0"
	e.Stderr = "mkdir failed: File exists\n"
	require.Contains(t, clue(e), "another container may have made it. If its name comes from a")
	require.Contains(t, clue(e), "each pid namespace counts from 1")
	e.Script.Name = "gone"
	require.Contains(t, clue(e), "the scripts run your program again")
}

// TestLimitOfEarlier tells of a cgroup that still has the limit of a container before, and of the
// one that runs now nothing. Where another container runs the cgroup may be that one's.
func TestLimitOfEarlier(t *testing.T) {
	t.Parallel()
	script := filepath.Join(t.TempDir(), "memory-file.txtar")
	file, list := "memory.limit_in_bytes", cgroupFS+"/memory: 6319005696\n"+cgroupFS+"/memory/mine"
	if harness.HasCgroup2() {
		file, list = "memory.max", cgroupFS+"/mine"
	}
	require.NoError(t, os.WriteFile(script, []byte(
		"! exec container run -memory 64M sleep 6100 &container&\n"+
			"cgroup "+file+" 67108864\nwait container\n"+
			"! exec container run -memory 96M sleep 6100 &container&\n"+
			"cgroup "+file+" 100663296\n"), 0o644))
	for _, c := range []struct {
		value   string
		running int
		ended   string
		told    bool
	}{
		{"67108864", 1, "", true},
		{"67108864", 2, "", false},
		{"9223372036854771712", 1, "", false},
		{"67108864", 0, "write: invalid argument", true},
		{"67108864", 0, "no such command", false},
		{"67108864", 1, "write: invalid argument", false},
	} {
		e := harness.Event{Script: harness.Script{Name: "memory-file", File: script}}
		e.Ran, e.Line = "! exec container run -memory 96M sleep 6100 &container&", 5
		e.Message = "no cgroup has 100663296 in " + file + "; there are:\n" + list + ": " + c.value
		e.Background = make([]harness.Background, c.running)
		if c.ended != "" {
			e.Background = append(e.Background, harness.Background{
				State: "exit status 125", Stderr: c.ended,
			})
		}
		text := cgroupAmiss(e)
		require.Equal(t, c.told, strings.Contains(text, "still has the limit of `container run "+
			"-memory 64M sleep 6100`"), text)
	}
}

// TestJoinedLate requires that it is told where a process was put into the cgroup that ran already,
// and not where it went there by itself, or before it started the command.
func TestJoinedLate(t *testing.T) {
	t.Parallel()
	const file = "</sys/fs/cgroup/pids/mine/cgroup.procs>"
	clone := harness.Step{Text: "clone(CLONE_NEWPID)"}
	for _, c := range []struct {
		steps []harness.Step
		told  bool
	}{
		{[]harness.Step{clone, {Text: `write(` + file + `, "1063", 4)`}}, true},
		{[]harness.Step{{Text: `write(` + file + `, "1063", 4)`}, clone}, false},
		{[]harness.Step{clone, {Text: `write(` + file + `, "0", 1)`, Process: 1}}, false},
		{[]harness.Step{clone, {Text: `write(` + file + `, "1", 1)`, Process: 1}}, false},
	} {
		e := harness.Event{Script: harness.Script{Step: "step4-cgroups", Name: "pids-fork-loop"}}
		e.Ran = "! exec container run -pids 24 sh /nest 30"
		e.Message = "unexpected command success"
		e.Conduct = &harness.Conduct{
			Steps: c.steps, Ran: []string{"/bin/sh"}, Words: [][]string{{"sh", "/nest", "30"}},
		}
		text := joinedLate(e)
		require.Equal(t, c.told, strings.Contains(text, "The two run at the same time"), text)
	}
}

// TestChildWentOn tells of a command that runs after its parent has ended with the error of a
// limit.
func TestChildWentOn(t *testing.T) {
	t.Parallel()
	script := filepath.Join(t.TempDir(), "limits-refused.txtar")
	require.NoError(t, os.WriteFile(script, []byte(
		"exits 125 container run -cpus 0.000011 echo unlimited\n! stdout unlimited\n"), 0o644))
	e := harness.Event{Script: harness.Script{
		Step: "step4-cgroups", Name: "limits-refused", File: script,
	}}
	e.Ran, e.Line = "exits 125 container run -cpus 0.000011 echo unlimited", 2
	e.Conduct = &harness.Conduct{
		Ran: []string{"/bin/echo"}, Words: [][]string{{"echo", "unlimited"}},
		Steps: []harness.Step{{
			Text:  `write(</sys/fs/cgroup/cpu/mine/cpu.cfs_quota_us>, "1", 1)`,
			Errno: "EINVAL",
		}},
	}
	require.Contains(t, limitRefused(e), "a child that it had started before went on, and executed")
	e.Conduct.Ran, e.Conduct.Words = nil, nil
	require.Empty(t, limitRefused(e))
}

// TestLimitOfHost tells of a limit that was written to the cgroup of all, where a container before
// had asked for it. On a machine with version 2 that cgroup has no limits.
func TestLimitOfHost(t *testing.T) {
	t.Parallel()
	script := filepath.Join(t.TempDir(), "memory-file.txtar")
	require.NoError(t, os.WriteFile(script, []byte("cgroup memory.limit_in_bytes 67108864\n"+
		"cgroup pids.max 32\ncgroup memory.limit_in_bytes 100663296\n"), 0o644))
	e := harness.Event{Script: harness.Script{Name: "memory-file", File: script}}
	e.Line = 3
	for value, told := range map[string]bool{"67108864": true, "6319005696": false, "32": false} {
		e.Message = "no cgroup has 100663296 in memory.limit_in_bytes; there are:\n" +
			"/sys/fs/cgroup/memory: " + value
		e.Background = []harness.Background{{State: "exit status 125"}}
		want := told && !harness.HasCgroup2()
		require.Equal(t, want, strings.Contains(clue(e), "the limit of the whole machine"), value)
	}
}

// TestLimitTaken tells of a value that is no limit only the program that has made one of it.
func TestLimitTaken(t *testing.T) {
	t.Parallel()
	const (
		memory = `write(</sys/fs/cgroup/memory/mine/memory.limit_in_bytes>, "0", 1)`
		quota  = `write(</sys/fs/cgroup/cpu/mine/cpu.cfs_quota_us>, "1", 1)`
	)
	for _, c := range []struct {
		script, ran, message string
		steps                []harness.Step
		says                 string
		executed             bool
	}{
		{
			"limits-bad", "-memory ''", "exit status 0, want 2", nil,
			"Your program made none, and ran the command as if the flag were not there", true,
		},
		{
			"limits-bad", "-memory 1Gi", "exit status 0, want 2",
			[]harness.Step{{Text: `write(</sys/fs/cgroup/mine/memory.high>, "1Gi", 3)`}},
			`wrote "1Gi" to memory.high`, true,
		},
		{
			"limits-bad", "-cpus ''", "exit status 0, want 2",
			[]harness.Step{{Text: `mkdir("/sys/fs/cgroup/mine")`}},
			"", true,
		},
		{"limits-bad", "-cpus ''", "exit status 0, want 2", nil, "", false},
		{"limits-bad", "-cpus ''", "exit status 1, want 2", nil, "", true},
		{
			"limits-bad", "-memory 0", "exit status 137, want 2",
			[]harness.Step{{Text: memory}},
			`it wrote "0" to memory.limit_in_bytes`, false,
		},
		{
			"limits-bad", "-memory 64X", "exit status 0, want 2",
			[]harness.Step{{Text: strings.Replace(memory, `"0"`, `"64X"`, 1), Errno: "EINVAL"}},
			"left it to the kernel, which refused it with EINVAL, and the command ran", true,
		},
		{
			"limits-bad", "-memory 64X", "exit status 125, want 2",
			[]harness.Step{{Text: strings.Replace(memory, `"0"`, `"64X"`, 1), Errno: "EINVAL"}},
			"which refused it with EINVAL. Look at the value", false,
		},
		{
			"limits-bad", "-memory 0", "exit status 137, want 2",
			[]harness.Step{{Text: `write(</sys/fs/cgroup/mine/memory.max>, "0\n", 2)`}},
			`it wrote "0\n" to memory.max`, false,
		},
		{
			"limits-bad", "-memory 0", "exit status 1, want 2",
			[]harness.Step{{Text: `write(</sys/fs/cgroup/mine/memory.swap.max>, "0", 1)`}},
			"", false,
		},
		{
			"limits-bad", "-memory 0", "no match for `memory` found in stderr",
			[]harness.Step{{Text: memory, Errno: "EINVAL"}},
			"", false,
		},
		{
			"limits-bad", "-cpus none", "exit status 0, want 2",
			[]harness.Step{{Text: memory}},
			"", false,
		},
		{
			"limits-refused", "-cpus 0.000011", "exit status 0, want 125",
			[]harness.Step{{Text: quota, Errno: "EINVAL"}},
			"went on as if it had succeeded", false,
		},
		{
			"limits-refused", "-cpus 0.000011", "exit status 0, want 125",
			[]harness.Step{
				{Text: quota, Errno: "EINVAL"},
				{Text: strings.Replace(quota, `"1"`, `"1000"`, 1)},
			},
			"", false,
		},
		{
			"limits-refused", "-cpus 0.000011", "exit status 1, want 125",
			[]harness.Step{
				{Text: quota, Errno: "EINVAL"},
				{Text: `rmdir("/sys/fs/cgroup/cpu/mine")`, Errno: "EBUSY"},
			},
			"is 125, and here it is 1", false,
		},
		{
			"limits-refused", "-cpus 0.000011", "exit status 1, want 125",
			[]harness.Step{
				{Text: quota, Errno: "EINVAL"}, {Text: `chroot("rootfs")`, Errno: "ENOENT"},
			},
			"", false,
		},
		{
			"limits-refused", "-cpus 0.000011", "exit status 0, want 125",
			[]harness.Step{{Text: quota}},
			"", false,
		},
	} {
		e := harness.Event{Script: harness.Script{Step: "step4-cgroups", Name: c.script}}
		e.Ran, e.Message = "exec container run "+c.ran+" echo unlimited", c.message
		e.Conduct = &harness.Conduct{Steps: c.steps}
		if c.executed {
			e.Conduct.Ran = []string{"/bin/echo"}
			e.Conduct.Words = [][]string{{"echo", "unlimited"}}
		}
		text := limitTaken(e) + limitRefused(e)
		require.Contains(t, text, c.says)
		require.Equal(t, c.says == "", text == "", text)
		if text != "" {
			require.Equal(t, text, clue(e))
		}
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

// TestLimitOfOthers requires that a program is told when the cgroup that it limits is none of its
// own.
func TestLimitOfOthers(t *testing.T) {
	for _, c := range []struct {
		made []string
		own  bool
	}{
		{[]string{`write(</sys/fs/cgroup/pids/pids.max>, "20", 2)`}, false},
		{[]string{
			`mkdirat(AT_FDCWD, "/sys/fs/cgroup/pids/mine")`,
			`write(</sys/fs/cgroup/pids/mine/pids.max>, "20", 2)`,
		}, true},
		{[]string{
			`mkdir("/sys/fs/cgroup/pids/mine/")`,
			`write(</sys/fs/cgroup/pids/mine/pids.max>, "20", 2)`,
		}, true},
	} {
		var e harness.Event
		e.Conduct = &harness.Conduct{Made: c.made}
		text := tooMany(cause{event: e})
		require.Contains(t, text, "fork(2) and clone(2) fail with EAGAIN")
		require.Equal(t, !c.own, strings.Contains(text, "has not made this cgroup"), text)
	}
}
