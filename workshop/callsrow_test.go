//go:build linux

package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"container.example/workshop/internal/harness"
)

// TestCallsSeen shows the calls that bear on a promise, and those only once.
func TestCallsSeen(t *testing.T) {
	t.Parallel()
	const cgroup = "/sys/fs/cgroup/pids/mine"
	at := func(call, path, errno string, process int) harness.Step {
		return harness.Step{Text: fmt.Sprintf("%s(%q)", call, path), Errno: errno, Process: process}
	}
	var many []harness.Step
	for i := range 12 {
		many = append(many, at("mkdir", fmt.Sprint(cgroup, i), "EROFS", i%2+1))
	}
	for _, c := range []struct {
		name, script, left string
		steps              []harness.Step
		made               []string
		lines              []string
	}{
		{
			name:   "a directory is removed as a file first, and once more",
			script: "pids-file",
			steps: []harness.Step{
				at("mkdir", cgroup, "", 1), at("unlinkat", cgroup, "EISDIR", 0),
				at("rmdir", cgroup, "", 0), at("unlinkat", cgroup, "ENOENT", 0),
				at("rmdir", cgroup, "ENOENT", 0),
			},
			lines: []string{
				`child: mkdir("` + cgroup + `")`, `rmdir("` + cgroup + `")`,
				"no call succeeded with mkdir or mkdirat, none with /cgroup.procs or /tasks",
			},
		},
		{
			name:   "removed in vain",
			script: "gone",
			left:   "new: cgroup " + cgroup,
			steps: []harness.Step{
				at("mkdir", cgroup+"2", "", 0), at("rmdir", cgroup, "ENOENT", 4),
				at("rmdir", cgroup+"2", "", 0),
			},
			lines: []string{
				`child: rmdir("` + cgroup + `"): ENOENT`,
				"no call succeeded with rmdir or unlinkat",
			},
		},
		{
			name:   "many in a row",
			script: "pids-file",
			steps:  append(many, at("execve", "/bin/true", "", 3), at("rmdir", cgroup, "", 0)),
			lines: []string{
				`child: mkdir("` + cgroup + `0"): EROFS`, "... and 11 more of mkdir",
				`child 2: execve("/bin/true")`,
				"no call succeeded with mkdir or mkdirat, none with /cgroup.procs or /tasks",
			},
		},
		{
			name:   "the call that made the child returned late",
			script: "root-is-rootfs",
			left:   "new: mount proc /work/rootfs/proc (rw)",
			made:   []string{"clone(CLONE_NEWNS)", `mount("none", "/", ..., MS_REC|MS_PRIVATE)`},
			steps: []harness.Step{
				at("chroot", "rootfs", "", 1), {Text: "clone(CLONE_NEWNS)"},
			},
			lines: []string{"clone(CLONE_NEWNS)", `child: chroot("rootfs")`},
		},
		{
			name:   "a mount in a directory that is called rootfs",
			script: "root-is-rootfs",
			left:   "new: mount proc /work/rootfs/proc (rw)",
			steps:  []harness.Step{{Text: "unshare(CLONE_NEWNS)"}, at("chdir", "/", "", 0)},
			lines: []string{
				"unshare(CLONE_NEWNS)", `chdir("/")`,
				"no call succeeded with CLONE_NEWNS, " +
					"none with MS_PRIVATE or MS_SLAVE or mount_setattr",
			},
		},
		{
			name:   "where other processes went, such as those that find an interpreter",
			script: "root-is-rootfs",
			steps: []harness.Step{
				{Text: `chdir("/opt/shims")`, Process: 1},
				{Text: `chdir("/work")`, Process: 2},
				{Text: `chroot("rootfs")`, Process: 4, Parent: 3},
				{Text: `chdir("/")`, Process: 3, Parent: 2},
				{Text: `execve("/bin/true")`, Process: 4, Parent: 3},
			},
			lines: []string{
				`child: chdir("/work")`, `child 2: chroot("rootfs")`, `child 3: chdir("/")`,
				`child 2: execve("/bin/true")`, "no call succeeded with chroot or pivot_root",
			},
		},
		{
			name:   "nothing but that",
			script: "root-is-rootfs",
			steps:  []harness.Step{{Text: `chdir("rootfs")`, Process: 1}},
			lines: []string{
				`child: chdir("rootfs")`, "no call succeeded with chroot or pivot_root",
			},
		},
		{
			name:   "flags that the kernel does not look at",
			script: "root-is-rootfs",
			left:   "new: mount proc /work/rootfs/proc (rw)",
			steps:  []harness.Step{at("chdir", "/", "", 0)},
			made:   []string{"unshare(CLONE_NEWNS)", `mount("r", "r", 0, MS_BIND|MS_PRIVATE)`},
			lines: []string{
				`chdir("/")`,
				"no call succeeded with MS_PRIVATE or MS_SLAVE or mount_setattr (a call with " +
					"MS_BIND or MS_REMOUNT does not count)",
			},
		},
		{
			name:   "mounts that nobody can bind are private",
			script: "root-is-rootfs",
			left:   "new: mount proc /work/rootfs/proc (rw)",
			steps:  []harness.Step{at("chdir", "/", "", 0)},
			made:   []string{"unshare(CLONE_NEWNS)", `mount(0, "/", 0, MS_REC|MS_UNBINDABLE)`},
			lines:  []string{`chdir("/")`},
		},
	} {
		e := harness.Event{Script: harness.Script{Step: "step4-cgroups", Name: c.script}}
		e.Ran = "exec container run true"
		e.Conduct = &harness.Conduct{Steps: c.steps, Made: c.made}
		if c.left != "" {
			e.Left = []string{c.left}
		}
		require.Equal(t, c.lines, strings.Split(callsSeen(e), "\n"), c.name)
	}
}
