//go:build linux

package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"container.example/workshop/internal/harness"
	"container.example/workshop/internal/skip"
)

// mistakes are changes of one line of a step, and what the person who makes them is told first.
var mistakes = []struct {
	name     string
	lesson   string
	file     string
	old, new string
	about    string
	says     []string
	not      []string
}{
	{
		name:   "only the command goes to the second copy",
		lesson: "1",
		file:   "main.go",
		old:    `append([]string{"child"}, args...)`,
		new:    `append([]string{"child"}, args[:1]...)`,
		about:  "step1-skeleton/command-runs",
		says:   []string{"seen: an empty line", "echo was executed with no words after its name"},
		not:    []string{"did not arrive"},
	},
	{
		name:   "an unknown namespace is only a warning",
		lesson: "2",
		file:   "flags.go",
		old:    `fail(2, "-ns %q: unknown namespace %q (%s)", *ns, name, usage)`,
		new:    `println("-ns: unknown namespace", name)`,
		about:  "step2-namespaces/ns-unknown",
		says:   []string{"expected: exit status 2", "seen: exit status 0"},
		not:    []string{"is a flag of your own program"},
	},
	{
		name:   "the caller is not root of the user namespace",
		lesson: "2",
		file:   "main.go",
		old:    "{ContainerID: 0, HostID: os.Getuid(), Size: 1},",
		new:    "{ContainerID: 1, HostID: os.Getuid(), Size: 1},",
		about:  "step2-namespaces/user-map",
		says:   []string{`refused: sethostname("container"): EPERM`, "Begin the map with 0"},
	},
	{
		name:   "no bind mount",
		lesson: "3",
		file:   "main.go",
		old:    "unix.MS_BIND|unix.MS_REC",
		new:    "unix.MS_REC",
		about:  "step1-skeleton/command-runs",
		says:   []string{"ENODEV", "MS_BIND"},
	},
	{
		name:   "pivot_root in the directory of before",
		lesson: "3",
		file:   "main.go",
		old:    `must(unix.Chdir(dir), "rootfs %q", dir)`,
		about:  "step3-rootfs/root-is-rootfs",
		says:   []string{`pivot_root(".", "."): EINVAL`, "chdir(2) into the new root comes before"},
		not:    []string{"bind the directory on itself first"},
	},
	{
		name:   "another status for a root file system that is a file",
		lesson: "3",
		file:   "main.go",
		old:    `must(unix.Chdir(dir), "rootfs %q", dir)`,
		new:    "if unix.Chdir(dir) != nil {\nfail(1, \"rootfs %q\", dir)\n}",
		about:  "step3-rootfs/rootfs-a-file",
		says:   []string{`refused: chdir("rootfs"): ENOTDIR`},
		not:    []string{"ENOENT"},
	},
	{
		name:   "another status for a root file system that is read-only",
		lesson: "3",
		file:   "main.go",
		old:    `must(unix.PivotRoot(".", "."), "pivot_root %q", dir)`,
		new: "if err := os.WriteFile(\"mark\", nil, 0o644); err != nil {\n" +
			"fail(1, \"%v\", err)\n}\n" +
			`must(unix.PivotRoot(".", "."), "pivot_root %q", dir)`,
		about: "step3-rootfs/rootfs-read-only",
		says:  []string{"The root file system is read-only here, on purpose"},
		not:   []string{"All that belongs to the machine"},
	},
	{
		name:   "the old root stays",
		lesson: "3",
		file:   "main.go",
		old:    `must(unix.Unmount(".", unix.MNT_DETACH), "unmount the old root")`,
		about:  "step3-rootfs/host-chroot-breakout",
		says:   []string{"seen: broke out", "the old root is still mounted"},
	},
	{
		name:   "chroot instead of pivot_root",
		lesson: "3",
		file:   "main.go",
		old:    `must(unix.PivotRoot(".", "."), "pivot_root %q", dir)`,
		new:    `must(unix.Chroot("."), "chroot")`,
		about:  "step3-rootfs/ps-alone",
		says:   []string{`umount2(".", MNT_DETACH) after that took it away`},
		not:    []string{"One on /proc of the host remains outside"},
	},
	{
		name:   "nobody is in the cgroup",
		lesson: "4",
		file:   "cgroups.go",
		old:    `must(write(filepath.Join(dir, "cgroup.procs"), 0), "cgroup")`,
		about:  "step4-cgroups/memory-hog",
		says:   []string{"seen: exit status 0", "No process has joined the cgroup"},
	},
	{
		name:   "no standard error",
		lesson: "1",
		file:   "run.go",
		old:    "cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr",
		new:    "cmd.Stdin, cmd.Stdout = os.Stdin, os.Stdout",
		about:  "step1-skeleton/streams",
		says:   []string{"error is lost: its descriptor 2"},
	},
	{
		name:   "no mount namespace",
		lesson: "2",
		file:   "main.go",
		old:    "cloneFlags &^ later,",
		new:    "cloneFlags &^ later &^ unix.CLONE_NEWNS,",
		about:  "step2-namespaces/mounts-out",
		says:   []string{"Nobody asked for a mount namespace"},
	},
	{
		name:   "no pid namespace",
		lesson: "2",
		file:   "main.go",
		old:    "cloneFlags &^ later,",
		new:    "cloneFlags &^ later &^ unix.CLONE_NEWPID,",
		about:  "step2-namespaces/pid-1",
		says:   []string{"Nobody asked for a pid namespace"},
	},
	{
		name:   "no name",
		lesson: "2",
		file:   "main.go",
		old:    "err := unix.Sethostname([]byte(*hostname)); err != nil",
		new:    "err := error(nil); err != nil",
		about:  "step2-namespaces/hostname-flag",
		says:   []string{"none of your processes called sethostname(2)"},
	},
	{
		name:   "unmounted before pivot_root",
		lesson: "3",
		file:   "main.go",
		old:    `must(unix.PivotRoot(".", "."), "pivot_root %q", dir)`,
		new: "unix.Unmount(\".\", unix.MNT_DETACH)\n" +
			`must(unix.PivotRoot(".", "."), "pivot_root %q", dir)`,
		about: "step3-rootfs/root-is-rootfs",
		says:  []string{"The old root is unmounted after pivot_root(2)"},
	},
	{
		name:   "a cgroup that is deferred",
		lesson: "4",
		file:   "main.go",
		old:    "\tjoinCgroup(*name)\n",
		new:    "\tdefer joinCgroup(*name)\n",
		about:  "step4-cgroups/memory-file",
		says:   []string{"your program has made none"},
	},
	{
		name:   "a limit that is too low",
		lesson: "4",
		file:   "cgroups.go",
		old:    "err := write(filepath.Join(dir, file), l.value)",
		new:    "err := write(filepath.Join(dir, file), fmt.Sprint(l.value)[:1])",
		about:  "step4-cgroups/memory-file",
		says:   []string{"look at the number that your program writes"},
	},
	{
		name:   "one name for all cgroups",
		lesson: "4",
		file:   "main.go",
		old:    `"container-" + rand.Text()`,
		new:    `"container-mine" + rand.Text()[:0]`,
		about:  "step4-cgroups/two-at-once",
		says:   []string{"Both containers use the cgroup", "a name of its own"},
	},
	{
		name:   "the command's name twice",
		lesson: "1",
		file:   "main.go",
		old:    "exec.Command(command[0], command[1:]...)",
		new:    "exec.Command(command[0], command...)",
		about:  "step1-skeleton/command-runs",
		says:   []string{"echo printed its own name as well", "argv[0]"},
	},
	{
		name:   "errors to standard output",
		lesson: "1",
		file:   "run.go",
		old:    "cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr",
		new:    "cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stdout",
		about:  "step1-skeleton/streams",
		says:   []string{"came out on standard output"},
		not:    []string{"is lost"},
	},
	{
		name:   "users without groups",
		lesson: "2",
		file:   "main.go",
		old: "cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{\n\t\t\t" +
			"{ContainerID: 0, HostID: os.Getgid(), Size: 1},\n\t\t}",
		about: "step2-namespaces/user-map",
		says:  []string{"Only one of the two maps has a line", "wrote gid_map"},
	},
	{
		name:   "a name that nobody asked for",
		lesson: "2",
		file:   "main.go",
		old:    "unix.Sethostname([]byte(*hostname))",
		new:    `unix.Sethostname([]byte("container"))`,
		about:  "step2-namespaces/hostname-flag",
		says:   []string{`the name is "container"`, `here "workshop"`},
	},
	{
		name:   "a flag that is not passed on",
		lesson: "3",
		file:   "main.go",
		old:    "pivotRoot(*rootfs)",
		new:    `pivotRoot("rootfs")`,
		about:  "step3-rootfs/rootfs-anywhere",
		says:   []string{`"a rootfs", and your program looks for "rootfs"`},
		not:    []string{"has a root file system called rootfs in it"},
	},
	{
		name:   "a mount of the first copy",
		lesson: "3",
		file:   "main.go",
		old:    "\tcloneFlags, _ := parse(args)\n",
		new: "\tcloneFlags, _ := parse(args)\n" +
			`must(unix.Mount("proc", *rootfs+"/proc", "proc", 0, ""), "mount")` + "\n",
		about: "step3-rootfs/host-mounts-unchanged",
		says:  []string{"was made by a process that is not in the mount namespace"},
	},
	{
		name:   "mounts that stay behind",
		lesson: "3",
		file:   "main.go",
		old:    "unix.MS_BIND|unix.MS_REC",
		new:    "unix.MS_BIND",
		about:  "step3-rootfs/rootfs-mounts",
		says:   []string{"did not come along", "MS_REC"},
	},
	{
		name:   "a list of namespaces that nobody reads",
		lesson: "2",
		file:   "main.go",
		old:    "cloneFlags &^ later,",
		new:    "unix.CLONE_NEWUTS | unix.CLONE_NEWPID | unix.CLONE_NEWNS,",
		about:  "step2-namespaces/ns-alone",
		says:   []string{"Does your program go by the list?"},
	},
	{
		name:   "a cgroup that is removed at once",
		lesson: "4",
		file:   "main.go",
		old:    "status, err := run(cmd)\n\tremoveCgroup(name)",
		new: "status, err := start(cmd)\n\tremoveCgroup(name)\n" +
			"\tif err == nil {\n\t\tstatus, err = wait(cmd)\n\t}",
		about: "step4-cgroups/gone",
		says:  []string{"failed with E"},
		not:   []string{"None of your processes has called rmdir(2)"},
	},
	{
		name:   "megabytes of a million",
		lesson: "4",
		file:   "limits.go",
		old:    `"M": 1 << 20`,
		new:    `"M": 1e6`,
		about:  "step4-cgroups/memory-file",
		says:   []string{"says 64000000, where 67108864 was asked for"},
	},
	{
		name:   "a file whose name is mistyped",
		lesson: "4",
		file:   "limits.go",
		old:    `v2: "memory.max", v1: "memory.limit_in_bytes"`,
		new:    `v2: "memory.maxx", v1: "memory.limit_in_byte"`,
		about:  "step4-cgroups/memory-file",
		says:   []string{"No cgroup has a file memory.", "is memory."},
	},
	{
		name:   "a child that does not become the command",
		lesson: "5a",
		file:   "process.go",
		old:    "err = unix.Exec(path, command, os.Environ())",
		new: "cmd := exec.Command(path, command[1:]...)\n" +
			"status, _ := start(cmd)\nif status == 0 {\nstatus, _ = wait(cmd)\n}\nos.Exit(status)",
		about: "step5-complete/pid-1",
		says:  []string{"The command is a child of process 1, which is your program still"},
	},
	{
		name:   "no name for the command",
		lesson: "5a",
		file:   "process.go",
		old:    "unix.Exec(path, command, os.Environ())",
		new:    "unix.Exec(path, command[1:], os.Environ())",
		about:  "step1-skeleton/command-runs",
		says:   []string{"its list of arguments is empty"},
	},
	{
		name:   "lo is down",
		lesson: "5b",
		file:   "main.go",
		old:    "loopbackUp(cloneFlags) // b\n",
		about:  "step5-complete/network-none",
		says:   []string{"lo is down", "SIOCSIFFLAGS"},
	},
	{
		name:   "a layer that is not the root",
		lesson: "5c",
		file:   "layer.go",
		old:    `must(unix.Chdir("/tmp/root"), "layer")`,
		about:  "step5-complete/rootfs-written",
		says: []string{
			"The overlay was mounted on /tmp/root", "another directory became its root",
		},
	},
	{
		name:   "rights that come back",
		lesson: "5d",
		file:   "rights.go",
		old:    `must(unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS")`,
		about:  "step5-complete/user",
		says:   []string{"A set-user-ID program made the command root", "nobody has called it"},
	},
	{
		name:   "a filter that allows the rest",
		lesson: "5e",
		file:   "seccomp.go",
		old:    "\t\t\trefuse,\n\t\t},\n\t)",
		new:    "\t\t\tallow,\n\t\t},\n\t)",
		about:  "step5-complete/escape-io-uring",
		says:   []string{"and let this call through", "the last return"},
	},
	{
		name:   "a mount without a map",
		lesson: "5f",
		file:   "users.go",
		old:    "Attr_set:    unix.MOUNT_ATTR_IDMAP,",
		about:  "step5-complete/user-namespace",
		says:   []string{"attr_set of mount_setattr(2) is without MOUNT_ATTR_IDMAP"},
		not:    []string{"An idmapped mount was made"},
	},
}

// TestMistakes makes mistakes on purpose in the steps, and looks at what is told of them. It
// makes one in four (see skip.OneIn).
func TestMistakes(t *testing.T) {
	t.Parallel()
	course, hosts := checkHere(t, "asks for root: the scripts of some of the steps do")
	some := skip.OneIn(t, 4, mistakes)
	var changes []change
	for _, m := range some {
		changes = append(changes, change{m.file, m.old, m.new})
	}
	programs := changedPrograms(t, course.root, changes, func(n int) (map[string][]byte, error) {
		return filesAfter(course, some[n].lesson)
	})
	for n, m := range some {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			l, err := course.find(m.lesson)
			require.NoError(t, err)
			scripts := inOrderBefore(course, l)
			failed := firstFailureOf(t, hosts.take(t), programs.path(t, n), scripts)
			requireTold(t, failed, m.about, m.says, m.not)
		})
	}
}

// inOrderBefore are the scripts of a lesson in the order of somebody who has passed all lessons
// before it.
func inOrderBefore(course *course, l lesson) []harness.Script {
	s := state{Passed: map[string]time.Time{}}
	for _, before := range course.lessons {
		if before == l {
			break
		}
		s.Passed[before.key()] = time.Now()
	}
	return (&checker{course: course}).inOrder(l, s)
}
