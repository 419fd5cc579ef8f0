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

// TestLeftBehind tells from the calls of a program why something is left on the host.
func TestLeftBehind(t *testing.T) {
	t.Parallel()
	const (
		dir     = "/sys/fs/cgroup/pids/mine"
		cgroup  = "new: cgroup " + dir
		mount   = "new: mount proc /proc (rw)"
		clone   = "clone(CLONE_NEWPID|CLONE_NEWNS)"
		unshare = "unshare(CLONE_NEWNS)"
		proc    = `mount("proc", "/proc", "proc", 0x0)`
		shared  = `mount("", "/", "", MS_REC|MS_PRIVATE)`
	)
	refused := func(call, text, errno string) *harness.Conduct {
		return &harness.Conduct{
			Refused: []harness.Refusal{{Call: call, Text: text, Errno: errno}},
		}
	}
	for _, c := range []struct {
		name, left string
		seen       *harness.Conduct
		says       string
	}{
		{"not known", cgroup, nil, "can do it."},
		{"not removed", cgroup, &harness.Conduct{}, "has called rmdir(2)"},
		{"busy", cgroup, refused("rmdir", `rmdir("`+dir+`")`, "EBUSY"), "still in the cgroup"},
		{
			"file by file", cgroup,
			refused("unlinkat", `unlinkat(AT_FDCWD, "`+dir+`/tasks")`, "EPERM"),
			"files in a cgroup are the kernel's",
		},
		{
			"from inside", cgroup,
			&harness.Conduct{
				Steps: []harness.Step{{Text: `rmdir("` + dir + `")`, Errno: "ENOENT"}},
			},
			"outside removes the cgroup",
		},
		{
			"by the kernel", cgroup,
			&harness.Conduct{Made: []string{"write(<" + dir + "/notify_on_release>, \"1\", 1)"}},
			"alone removes nothing",
		},
		{
			"busy, with a name that is another one each time", cgroup,
			&harness.Conduct{
				Refused: []harness.Refusal{
					{
						Call:  "unlinkat",
						Text:  `unlinkat(AT_FDCWD, "` + dir + `2", AT_REMOVEDIR)`,
						Errno: "EBUSY",
					},
				},
				Steps: []harness.Step{
					{Text: `mkdir("` + dir + `2")`},
					{Text: `unlinkat(AT_FDCWD, "` + dir + `2", AT_REMOVEDIR)`, Errno: "EBUSY"},
				},
			},
			"still in the cgroup",
		},
		{
			"busy because of the one that removes it", cgroup,
			&harness.Conduct{
				Refused: []harness.Refusal{
					{Call: "rmdir", Text: `rmdir("` + dir + `2")`, Errno: "EBUSY"},
				},
				Steps: []harness.Step{
					{Text: `mkdir("` + dir + `2")`},
					{Text: "write(<" + dir + `2/cgroup.procs>, "0", 1)`},
					{Text: `rmdir("` + dir + `2")`, Errno: "EBUSY"},
				},
			},
			"the process that removes the cgroup is in it itself",
		},
		{
			"busy because of its child", cgroup,
			&harness.Conduct{
				Refused: []harness.Refusal{
					{Call: "rmdir", Text: `rmdir("` + dir + `2")`, Errno: "EBUSY"},
				},
				Steps: []harness.Step{
					{Text: `mkdir("` + dir + `2")`},
					{Text: "write(<" + dir + `2/cgroup.procs>, "0", 1)`, Process: 1},
					{Text: `rmdir("` + dir + `2")`, Errno: "EBUSY"},
				},
			},
			"a process was still in the cgroup",
		},
		{
			"busy because of its child, when the one that removes it has left it", cgroup,
			&harness.Conduct{
				Refused: []harness.Refusal{
					{Call: "rmdir", Text: `rmdir("` + dir + `2")`, Errno: "EBUSY"},
				},
				Steps: []harness.Step{
					{Text: `mkdir("` + dir + `2")`},
					{Text: "write(<" + dir + `2/cgroup.procs>, "0\n", 2)`},
					{Text: `write(</sys/fs/cgroup/pids/cgroup.procs>, "0\n", 2)`},
					{Text: `rmdir("` + dir + `2")`, Errno: "EBUSY"},
				},
			},
			"a process was still in the cgroup",
		},
		{
			"busy because of another cgroup", cgroup,
			&harness.Conduct{
				Refused: []harness.Refusal{
					{Call: "rmdir", Text: `rmdir("` + dir + `")`, Errno: "EBUSY"},
				},
				Steps: []harness.Step{
					{Text: `mkdir("` + dir + `")`},
					{Text: `mkdir("` + dir + `/below")`},
					{Text: `rmdir("` + dir + `")`, Errno: "EBUSY"},
				},
			},
			"the cgroup " + dir + "/below was still in it",
		},
		{
			"what an earlier run has left behind is removed first", cgroup,
			&harness.Conduct{
				Made: []string{`mkdir("` + dir + `")`, `rmdir("` + dir + `")`},
				Steps: []harness.Step{
					{Text: `rmdir("` + dir + `")`, Errno: "ENOENT"},
					{Text: `mkdir("` + dir + `")`},
					{Text: `rmdir("` + dir + `")`},
				},
			},
			"is there a way to end that leaves it out?",
		},
		{
			"removed twice", cgroup,
			&harness.Conduct{
				Made: []string{`mkdir("` + dir + `")`, `rmdir("` + dir + `")`},
				Steps: []harness.Step{
					{Text: `mkdir("` + dir + `")`},
					{Text: `rmdir("` + dir + `")`},
					{Text: `rmdir("` + dir + `")`, Errno: "ENOENT"},
				},
			},
			"is there a way to end that leaves it out?",
		},
		{
			"one of two removed", cgroup,
			&harness.Conduct{
				Made: []string{`mkdir("` + dir + `2")`, `mkdir("` + dir + `3")`},
				Steps: []harness.Step{
					{Text: `mkdir("` + dir + `2")`},
					{Text: `mkdir("` + dir + `3")`},
					{Text: `rmdir("` + dir + `2")`},
				},
			},
			"has called rmdir(2)",
		},
		{
			"too early", cgroup,
			&harness.Conduct{
				Made: []string{`mkdir("` + dir + `2")`},
				Steps: []harness.Step{
					{Text: `rmdir("` + dir + `2")`, Errno: "ENOENT"},
					{Text: `mkdir("` + dir + `2")`, Process: 1},
				},
			},
			"it was too early",
		},
		{
			"removed in another run", cgroup,
			&harness.Conduct{
				Made: []string{`mkdir("` + dir + `2")`, `rmdir("` + dir + `2")`},
				Steps: []harness.Step{
					{Text: `mkdir("` + dir + `2")`}, {Text: `rmdir("` + dir + `2")`},
				},
			},
			"is there a way to end that leaves it out?",
		},
		{
			"private, and not what is below", mount,
			&harness.Conduct{
				Made: []string{clone, `mount("", "/", "", MS_PRIVATE)`, proc},
			},
			"made / private without MS_REC",
		},
		{"mounts, not known", mount, nil, "Either it has no mount namespace"},
		{
			"no namespace", mount, &harness.Conduct{Made: []string{shared, proc}},
			"asked for a mount namespace, so " + proc + " was made on the host",
		},
		{
			"shared", mount, &harness.Conduct{Made: []string{clone, proc}},
			"still shared with the host when your program made " + proc,
		},
		{
			"by the parent", mount,
			&harness.Conduct{
				Made:  []string{proc, clone},
				Steps: []harness.Step{{Text: proc}, {Text: clone}},
			},
			"by a process that is not in the mount namespace",
		},
		{
			"by the child", mount,
			&harness.Conduct{
				Made:  []string{clone, proc},
				Steps: []harness.Step{{Text: clone}, {Text: proc, Process: 1}},
			},
			"still shared with the host",
		},
		{
			"the calls of the child come first", mount,
			&harness.Conduct{
				Made:  []string{proc, clone},
				Steps: []harness.Step{{Text: proc, Process: 1}, {Text: clone}},
			},
			"still shared with the host",
		},
		{
			"by the parent, before the child makes its own private", mount,
			&harness.Conduct{
				Made: []string{"clone()", unshare, proc, shared},
				Steps: []harness.Step{
					{Text: "clone()"},
					{Text: unshare, Process: 1},
					{Text: proc},
					{Text: shared, Process: 1},
				},
			},
			"by a process that is not in the mount namespace",
		},
		{
			"private by another call", mount,
			&harness.Conduct{Made: []string{unshare, "mount_setattr(-100, \"/\")", proc}},
			"Either it has no mount namespace",
		},
		{
			"not the first mount", mount,
			&harness.Conduct{Made: []string{`mount("x", "/x", "tmpfs", 0x0)`, shared, proc}},
			"so " + proc + " was made on the host",
		},
		{
			"private too late", mount, &harness.Conduct{Made: []string{clone, proc, shared}},
			"too late: " + proc + " was before",
		},
		{
			"private in vain, and later", mount,
			&harness.Conduct{
				Made: []string{clone, proc, `mount("x", "y", 0, MS_BIND|MS_PRIVATE)`},
			},
			"With MS_BIND in the same call the kernel does not look at MS_PRIVATE",
		},
		{
			"a bind mount that was refused, with MS_PRIVATE", mount,
			&harness.Conduct{
				Made: []string{clone, proc},
				Refused: []harness.Refusal{{
					Call: "mount", Text: `mount("x", "y", 0, MS_BIND|MS_PRIVATE)`, Errno: "ENOENT",
				}},
			},
			"still shared with the host when your program made " + proc,
		},
	} {
		text := leavesBehind(harness.Event{Failure: harness.Failure{
			Left:    []string{c.left},
			Conduct: c.seen,
		}})
		require.Contains(t, text, c.says, c.name)
	}
}

// TestRanOfLeft requires that a message about what was left behind shows the run that left it, and
// otherwise those that there were: no line is run that is only for the workshop's own programs.
func TestRanOfLeft(t *testing.T) {
	t.Parallel()
	script := filepath.Join(t.TempDir(), "own.txtar")
	require.NoError(t, os.WriteFile(script, []byte("exits 125 container run a\n"+
		"exec container run b\n[ours] exec container run c\n"), 0o644))
	e := harness.Event{Script: harness.Script{Step: "step4-cgroups", Name: "own", File: script}}
	e.Status, e.Left = harness.Failed, []string{"new: cgroup /sys/fs/cgroup/pids/mine"}
	for _, c := range []struct{ program, by, ran string }{
		{"./mine", "", "container run a\ncontainer run b"},
		{"", "", "container run a\ncontainer run b\ncontainer run c"},
		{"./mine", "exits 125 container run a", "container run a"},
	} {
		var x explanation
		e.Program, e.LeftBy = c.program, c.by
		x.leaves(e)
		require.Equal(t, c.ran, x.ran)
	}
}

// TestNotRemoved tells of a cgroup that is still there when a script looks, and of nothing else.
func TestNotRemoved(t *testing.T) {
	const dir = "/sys/fs/cgroup/pids/mine"
	e := harness.Event{Script: harness.Script{Step: "step4-cgroups", Name: "gone-after-signal"}}
	e.Ran, e.Message = "exec find /sys/fs/cgroup -type d", "stdout and before differ"
	e.Diff = "--- stdout\n+++ before\n@@ -1,2 +1,1 @@\n /sys/fs/cgroup\n-" + dir + "7\n"
	require.Contains(t, clue(e), dir+"7 is still there. A cgroup is a directory")
	e.Conduct = &harness.Conduct{
		Made: []string{`mkdir("` + dir + `8")`},
		Refused: []harness.Refusal{
			{Call: "rmdir", Text: `rmdir("` + dir + `8")`, Errno: "EBUSY", Cause: "busy"},
		},
		Steps: []harness.Step{
			{Text: `mkdir("` + dir + `8")`},
			{Text: `rmdir("` + dir + `8")`, Errno: "EBUSY"},
		},
	}
	require.Contains(t, clue(e), dir+`8") failed with EBUSY: a process was still in the cgroup`)
	e.Conduct.Refused, e.Conduct.Steps = nil, e.Conduct.Steps[:1]
	require.Contains(t, clue(e), "None of your processes has called rmdir(2) on this one")
	e.Diff = strings.Replace(e.Diff, "\n-", "\n+", 1)
	require.Empty(t, notRemoved(e))
}
