//go:build linux

package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"container.example/workshop/internal/harness"
	"container.example/workshop/internal/skip"
)

// A chapterWord is a program with a fault, and what it is told.
type chapterWord struct {
	name, lesson    string
	file, text, new string
	taken           []string // chapters that are checked as well
	about           string
	says, not       []string
}

// chapterWords are what programs with one fault in a chapter of step 5 are told first. Each is our
// own program as it is after that chapter, with one text replaced by another.
var chapterWords = []chapterWord{
	{
		name:   "masks before /dev",
		lesson: "5b",
		file:   "rootfs.go",
		text:   "\tmountKernel(cloneFlags)",
		new: "\tmust(unix.Mount(\"/dev/null\", \"/proc/keys\", \"\", unix.MS_BIND, \"\")," +
			"\"mask\")",
		about: "step5-complete/escape-masked",
		says:  []string{`refused: mount("/dev/null", "/proc/keys"`, "/dev comes first"},
	},
	{
		name:   "a directory is masked as a file is",
		lesson: "5b",
		file:   "mounts.go",
		text:   "err := unix.Mount(\"tmpfs\", path, \"tmpfs\", flags, \"size=0,nr_inodes=1\")",
		new:    "err := unix.Mount(\"/dev/null\", path, \"\", flags|unix.MS_BIND, \"\")",
		about:  "step5-complete/escape-masked",
		says:   []string{"ENOTDIR", "a file on a file", "a new tmpfs"},
	},
	{
		name:   "a mask that is missing is not why the command fails",
		lesson: "5b",
		file:   "loopback.go",
		text:   "cloneFlags&unix.CLONE_NEWNET == 0",
		new:    "unix.Mount(\"/dev/null\", \"/proc/no-such\", \"\", unix.MS_BIND, \"\") != nil",
		about:  "step5-complete/network-none",
		says:   []string{"seen: exit status 1"},
		not:    []string{"/proc/no-such", "refused", "mask"},
	},
	{
		name:   "a panic after a mask that is missing",
		lesson: "5b",
		file:   "mounts.go",
		text:   "\tfor _, path := range slices.DeleteFunc(masked, isMissing) {",
		new: "\tunix.Mount(\"/dev/null\", \"/proc/no-such\", \"\", unix.MS_BIND, \"\")\n" +
			"\tvar m map[string]int\n\tm[\"x\"] = 1\n" +
			"\tfor _, path := range slices.DeleteFunc(masked, isMissing) {",
		about: "step1-skeleton/command-runs",
		says:  []string{"assignment to entry in nil map"},
		not:   []string{"refused", "clue"},
	},
	{
		name:   "sysfs of a network namespace that is the host's",
		lesson: "5b",
		file:   "mounts.go",
		text:   "\t\tshows:  unix.CLONE_NEWNET,\n",
		new:    "",
		about:  "step5-complete/dev-user-namespace",
		says:   []string{`"sysfs"`, "EPERM", "without net in -ns leave it out"},
	},
	{
		name:   "lo of a network namespace that is the host's",
		lesson: "5b",
		file:   "loopback.go",
		text:   "cloneFlags&unix.CLONE_NEWNET == 0",
		new:    "cloneFlags == 0",
		about:  "step5-complete/network-none",
		says:   []string{"refused: ioctl(SIOCSIFFLAGS): EPERM", "network namespace is not the"},
	},
	{
		name:   "an overlay of a directory that is not there",
		lesson: "5c",
		file:   "layer.go",
		text:   "lowerdir=.,",
		new:    "lowerdir=rootfs,",
		about:  "step5-complete/rootfs-written",
		says:   []string{"A relative path begins at the working directory"},
	},
	{
		name:   "the user before the groups",
		lesson: "5d",
		file:   "rights.go",
		text:   "\tdropGroups()\n",
		new:    "\tunix.Setresuid(uid, uid, uid)\n\tdropGroups()\n",
		about:  "step5-complete/user",
		says:   []string{"refused: setgroups(0): EPERM", "setresuid(2) last"},
	},
	{
		name:   "groups in a user namespace",
		lesson: "5d",
		file:   "rights.go",
		text:   `string(may) == "deny\n"`,
		new:    `string(may) == "never"`,
		about:  "step5-complete/user-root",
		says:   []string{"refused: setgroups(0): EPERM", "/proc/self/setgroups says deny"},
	},
	{
		name:   "the user before the capabilities",
		lesson: "5d",
		file:   "rights.go",
		text:   "\tdropCapabilities()\n",
		new:    "\tunix.Setresuid(uid, uid, uid)\n\tdropCapabilities()\n",
		about:  "step5-complete/user",
		says:   []string{"refused: prctl(PR_CAPBSET_DROP", "change the user last"},
	},
	{
		name:   "capset alone",
		lesson: "5d",
		file:   "rights.go",
		text:   "if slices.Contains(capabilities, c) {",
		new:    "if c >= 0 || slices.Contains(capabilities, c) {",
		about:  "step5-complete/hostname-in",
		says:   []string{"capset(2) alone does not last"},
	},
	{
		name:   "a filter before all is set up",
		lesson: "5e",
		file:   "main.go",
		text:   "\tloopbackUp(cloneFlags)",
		new:    "\tfilterCalls()\n\tloopbackUp(cloneFlags)",
		about:  "step5-complete/seccomp",
		says:   []string{"refused: unshare(CLONE_NEWCGROUP): EPERM", "Install it last"},
	},
	{
		name:   "a filter for another architecture",
		lesson: "5e",
		file:   "seccomp.go",
		text:   "Val: auditArch,",
		new:    "Val: auditArch + 1,",
		about:  "step5-complete/seccomp",
		says: []string{
			"159 (ended by signal 31, SYS)",
			"the verdict of the filter was to kill",
		},
		not: []string{"timer_list"},
	},
	{
		name:   "a filter without execve",
		lesson: "5e",
		file:   "seccomp.go",
		text:   "program = append(program, onCall(number, allow)...)",
		new: "if number != unix.SYS_EXECVE {\n" +
			"program = append(program, onCall(number, allow)...)\n}",
		about: "step5-complete/seccomp",
		says: []string{
			"refused: execve(\"/bin/true\"): EPERM",
			"execve(2) is not on its list",
		},
	},
	{
		name:   "a filter that ends without a return",
		lesson: "5e",
		file:   "seccomp.go",
		text:   "uint16(len(program))",
		new:    "1",
		about:  "step5-complete/seccomp",
		says: []string{
			"refused: prctl(PR_SET_SECCOMP, 2): EINVAL",
			"the last instruction is one",
		},
	},
	{
		name:   "a child that is nobody",
		lesson: "5f",
		file:   "users.go",
		text:   "\tattr.Credential = &syscall.Credential{Uid: 0, Gid: 0}",
		new:    "\t_ = &syscall.Credential{Uid: 0, Gid: 0}",
		about:  "step5-complete/user-default",
		says: []string{
			"refused: sethostname(\"container\"): EPERM",
			"does not change who a process is",
		},
	},
	{
		name:   "an idmapped mount of a place",
		lesson: "5f",
		file:   "users.go",
		text:   "unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC",
		new:    "unix.OPEN_TREE_CLOEXEC",
		about:  "step5-complete/user-namespace",
		says:   []string{"refused: mount_setattr(", "with OPEN_TREE_CLONE"},
	},
	{
		name:   "an idmapped mount with the host's ids",
		lesson: "5f",
		file:   "users.go",
		text:   "fmt.Sprintf(\"/proc/%d/ns/user\", cmd.Process.Pid)",
		new:    "fmt.Sprint(\"/proc/self/ns/user\")",
		about:  "step5-complete/user-namespace",
		says:   []string{"never those of the host's own"},
	},
	{
		name:   "an idmapped mount that is shared",
		lesson: "5f",
		file:   "users.go",
		text:   "Propagation: unix.MS_PRIVATE,",
		new:    "Propagation: 0,",
		about:  "step3-rootfs/root-is-rootfs",
		says:   []string{"refused: pivot_root(", "a copy of a shared one"},
	},
	{
		name:   "an idmapped mount that is not used",
		lesson: "5f",
		file:   "users.go",
		text:   "\treturn \"/tmp\"",
		new:    "\treturn dir",
		about:  "step5-complete/user-namespace",
		says:   []string{"another one became the root"},
	},
	{
		name:   "no idmapped mount",
		lesson: "5f",
		file:   "users.go",
		text:   "if !hasRange() || cmd.SysProcAttr",
		new:    "if true || cmd.SysProcAttr",
		about:  "step5-complete/user-namespace",
		says:   []string{"None was made"},
	},
	{
		name:   "too few ids",
		lesson: "5f",
		file:   "users.go",
		text:   "100000, 65536",
		new:    "100000, 1000",
		about:  "step5-complete/user-namespace",
		says:   []string{"the map has too few ids"},
	},
	{
		name:   "a map without 0",
		lesson: "5f",
		file:   "users.go",
		text:   "{ContainerID: 0, HostID",
		new:    "{ContainerID: 1, HostID",
		about:  "step5-complete/user-default",
		says:   []string{"refused: setgid(0): EINVAL", "not in the map"},
	},
	{
		name:   "a map that is too long",
		lesson: "5f",
		file:   "users.go",
		text:   "HostID: firstID, Size: countIDs",
		new:    "HostID: firstID, Size: countIDs<<16 - 1",
		about:  "step5-complete/user-namespace",
		says:   []string{"refused: write(</proc/N/uid_map>", "no two lines overlap"},
	},
	{
		name:   "a range of ids for everybody",
		lesson: "5f",
		file:   "users.go",
		text:   "return os.Getuid() == 0 &&",
		new:    "return true ||",
		about:  "step5-complete/user-ordinary",
		says:   []string{"maps one id, the own one"},
	},
	{
		name:   "a terminal before the session",
		lesson: "5g",
		file:   "terminal.go",
		text:   "\t_, err = unix.Setsid()\n",
		new:    "",
		about:  "step5-complete/terminal",
		says:   []string{"refused: ioctl(TIOCSCTTY): EPERM", "setsid(2) first"},
	},
	{
		name:   "no controlling terminal",
		lesson: "5g",
		file:   "terminal.go",
		text:   "must(unix.IoctlSetInt(int(terminal.Fd()), unix.TIOCSCTTY, 0), \"TIOCSCTTY\")",
		new:    "",
		about:  "step5-complete/terminal",
		says:   []string{"has no controlling terminal"},
		not:    []string{"refused"},
	},
	{
		name:   "a group of the terminal that has no id",
		lesson: "5g",
		file:   "terminal.go",
		text:   "mode=0620",
		new:    "mode=0620,gid=99999",
		about:  "step5-complete/terminal-devpts",
		says:   []string{"refused: mount(\"devpts\"", "map of the user namespace"},
	},
	{
		name:   "a terminal for everybody",
		lesson: "5g",
		file:   "terminal.go",
		text:   "term.IsTerminal(0) && term.IsTerminal(1)",
		new:    "!term.IsTerminal(0) || term.IsTerminal(1)",
		about:  "step1-skeleton/command-runs",
		says:   []string{"carriage return"},
	},
	{
		name:   "a terminal without a size",
		lesson: "5g",
		file:   "terminal.go",
		text:   "pty.InheritSize(os.Stdin, terminal)",
		new:    "pty.Setsize(terminal, &pty.Winsize{})",
		about:  "step5-complete/terminal-size",
		says:   []string{"0 rows and 0 columns"},
		not:    []string{"carriage return"},
	},
	{
		name:   "a terminal that nobody reads",
		lesson: "5g",
		file:   "terminal.go",
		text:   "io.Copy(os.Stdout, control)",
		new:    "io.Copy(io.Discard, control)",
		about:  "step5-complete/terminal",
		says:   []string{"Nothing of what the command wrote has arrived"},
		not:    []string{"clue: It failed"},
	},
	{
		name:   "no ptmx",
		lesson: "5g",
		file:   "terminal.go",
		text:   "\tmust(os.Symlink(\"pts/ptmx\", \"/dev/ptmx\"), \"make\")\n",
		new:    "",
		about:  "step5-complete/terminal",
		says:   []string{"made a link to pts/ptmx"},
	},
	{
		name:   "no pair of interfaces",
		lesson: "5h",
		file:   "process.go",
		text:   "if err := connectNetwork(cmd); err",
		new:    "if err := error(nil); err",
		about:  "step5-complete/network-eth0",
		says:   []string{"An interface is missing"},
	},
	{
		name:   "a route before the interface is up",
		lesson: "5h",
		file:   "network.go",
		text:   "must(netlink.LinkSetUp(eth0), \"interface eth0\")",
		new:    "",
		about:  "step5-complete/network-eth0",
		says:   []string{"has to be in reach"},
	},
	{
		name:   "no route",
		lesson: "5h",
		file:   "network.go",
		text:   "must(netlink.RouteAdd(&netlink.Route{Gw: address(1).IP}), \"default route\")",
		new:    "",
		about:  "step5-complete/network-eth0",
		says:   []string{"shows no default route"},
		not:    []string{"refused"},
	},
	{
		name:   "no flag -net",
		lesson: "5h",
		file:   "network.go",
		text:   "flag.Func(\"net\"",
		new:    "flag.Func(\"network\"",
		about:  "step5-complete/network-eth0",
		says: []string{
			"flag provided but not defined: -net", "-net is a flag of your own program",
		},
	},
	{
		name:   "one name for all interfaces",
		lesson: "5h",
		file:   "network.go",
		text:   "fmt.Sprint(\"workshop\", number)",
		new:    "\"workshop\"",
		about:  "step5-complete/network-neighbours",
		says:   []string{"can have the same name"},
	},
	{
		name:   "pipes of the caller",
		lesson: "5f",
		file:   "users.go",
		text:   "stream.Chown(firstID, firstID)",
		new:    "error(nil)",
		taken:  []string{"step5-complete/b"},
		about:  "step5-complete/dev",
		says:   []string{"The parent gives pipes"},
	},
}

// TestChapterWords lets programs with one fault in a chapter be told of it. There are dozens of
// them: it tries one in five (see skip.OneIn).
func TestChapterWords(t *testing.T) {
	t.Parallel()
	course, hosts := checkHere(t, "asks for root: the scripts of these chapters do")
	words := skip.OneIn(t, 5, chapterWords)
	var changes []change
	for _, c := range words {
		changes = append(changes, change{c.file, c.text, c.new})
	}
	programs := changedPrograms(t, course.root, changes, func(n int) (map[string][]byte, error) {
		return filesAfter(course, words[n].lesson)
	})
	for n, c := range words {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l, err := course.find(c.lesson)
			require.NoError(t, err)
			// In the order of somebody who has passed all before it.
			s := state{Taken: c.taken, Passed: map[string]time.Time{"step5-complete/a": time.Now()}}
			for _, before := range course.lessons {
				if before.chapter == "" {
					s.Passed[before.key()] = time.Now()
				}
			}
			scripts := (&checker{course: course}).inOrder(l, s)
			failed := firstFailureOf(t, hosts.take(t), programs.path(t, n), scripts)
			requireTold(t, failed, c.about, c.says, c.not)
		})
	}
}

// TestOrdinaryWords tells what goes wrong with the ids of an ordinary user, as it was seen there.
func TestOrdinaryWords(t *testing.T) {
	root, err := moduleRoot()
	require.NoError(t, err)
	script, err := findScript(root, "step1-skeleton/command-runs")
	require.NoError(t, err)
	for _, c := range []struct {
		refusal     harness.Refusal
		about, says string
	}{
		{
			harness.Refusal{
				Call: "mkdirat", Errno: "EOVERFLOW", Text: `mkdirat(-100, "/tmp/upper")`,
			},
			"step5-complete/user-default",
			"the maps of both, users and groups",
		},
		{
			harness.Refusal{
				Call: "write", Errno: "EPERM", Text: `write(</proc/N/setgroups>, "allow", 5)`,
			},
			"step5-complete/user-namespace",
			`must write gid_map after "deny" in /proc/PID/setgroups`,
		},
	} {
		e := harness.Event{Script: script}
		e.Conduct = &harness.Conduct{Refused: []harness.Refusal{c.refusal}}
		e.Message, e.Ran = "exit status 125", "exec container run true"
		require.Equal(t, c.about, subject(e))
		require.Contains(t, clue(e), c.says)
	}
	// A limit below what is used already is not about controllers.
	e := harness.Event{Script: script}
	e.Conduct = &harness.Conduct{Refused: []harness.Refusal{{
		Call: "write", Errno: "EBUSY",
		Text: `write(</sys/fs/cgroup/memory/mine/memory.memsw.limit_in_bytes>, "0", 1)`,
	}}}
	e.Message, e.Ran = "exit status 125", "exec container run true"
	require.NotContains(t, clue(e), "cannot pass controllers on")
}
