//go:build linux

package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"container.example/workshop/internal/harness"
)

// forked is a program in Python whose child does this before it executes the command.
func forked(before, inChild string) string {
	return `#!/usr/bin/env python3
import ctypes, os, signal, sys
if len(sys.argv) < 3:
    print("usage: container run CMD", file=sys.stderr)
    sys.exit(2)
` + before + `
pid = os.fork()
if pid == 0:
    ` + inChild + `
    try:
        os.execvp(sys.argv[2], sys.argv[2:])
    except OSError as e:
        print(e, file=sys.stderr)
        os._exit(127)
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
sys.exit(status if status >= 0 else 128 - status)
`
}

// onPage is a program in Python that gives clone(2) a stack of one page, below which there is none.
const onPage = `#!/usr/bin/env python3
import ctypes, os, sys
libc = ctypes.CDLL(None)
@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
def child(_):
    os.execvp(sys.argv[2], sys.argv[2:])
libc.mmap.restype = ctypes.c_void_p
two = libc.mmap(None, ctypes.c_size_t(8192), 3, 0x22, -1, ctypes.c_long(0))
libc.mprotect(ctypes.c_void_p(two), ctypes.c_size_t(4096), 0)
pid = libc.clone(child, ctypes.c_void_p(two + 4096 + 1024), 0x04000000 | 17, None)
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
sys.exit(status if status >= 0 else 128 - status)
`

// lostStderr is a program in Go that does not give its second copy a standard error.
const lostStderr = `package main

import (
	"fmt"
	"os"
	"os/exec"
)

func main() {
	if os.Args[1] == "child" {
		rest := os.Args[2:]
		fmt.Println(rest[7])
	}
	cmd := exec.Command("/proc/self/exe", append([]string{"child"}, os.Args[2:]...)...)
	cmd.Stdin, cmd.Stdout = os.Stdin, os.Stdout
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}
`

// endWords are programs of whose ends it is told something.
var endWords = []faulty{
	{
		name: "an end with an error, while the command goes on",
		step: "step4-cgroups",
		program: "#!/usr/bin/perl\nshift;\n" +
			"my $limit = @ARGV && $ARGV[0] =~ /^-/ && shift && shift;\n" +
			"my $child = fork() || exec(@ARGV);\n" +
			"if ($limit) {\n" +
			"  mkdir('/opt/mine') || print STDERR \"mkdir: $!\\n\" and exit(1);\n}\n" +
			"waitpid($child, 0);\nexit($? >> 8 || $? && 128 + $?);\n",
		passed: true,
		about:  "step4-cgroups/memory-file",
		says:   []string{`refused: mkdir("/opt/mine"): EROFS`},
	},
	{
		name:    "a stack that is too small",
		step:    "step1-skeleton",
		program: onPage,
		about:   "step1-skeleton/command-runs",
		says: []string{
			"The child that clone(CLONE_NEWUTS) made was ended by SIGSEGV", "by its upper end",
		},
		not: []string{"No system call explains that"},
	},
	{
		name: "a stack that is large enough, and a null pointer",
		step: "step1-skeleton",
		program: strings.NewReplacer("    os.execvp", "    ctypes.string_at(0)\n    os.execvp",
			"8192", "(1 << 20)", "4096 + 1024", "(1 << 20)",
			"libc.mprotect", "0 and libc.mprotect").Replace(onPage),
		about: "step1-skeleton/command-runs",
		says: []string{
			"The child that clone(CLONE_NEWUTS) made was ended by SIGSEGV", "null pointer",
		},
		not: []string{"stack"},
	},
	{
		name:    "a child that uses an invalid address",
		step:    "step1-skeleton",
		program: forked("", "os.chdir('/')\n    ctypes.string_at(0)"),
		about:   "step1-skeleton/command-runs",
		says: []string{
			"was ended by SIGSEGV, before it executed true", `Its last call was chdir("/")`,
		},
		not: []string{"stack"},
	},
	{
		name: "a child that is to wait for a signal, and has no handler yet",
		step: "step1-skeleton",
		program: forked("", "os.chdir('/')\n    os.kill(os.getpid(), signal.SIGUSR1)\n    "+
			"signal.signal(signal.SIGUSR1, print)"),
		about: "step1-skeleton/command-runs",
		says: []string{
			"seen: exit status 138 (ended by signal 10, USR1)", "was ended by SIGUSR1, before it",
			"set the handler before",
		},
		not: []string{"without a word"},
	},
	{
		// From execve(2) on its end sends SIGCHLD: it waits for the end of its parent before that.
		name: "a child whose end sends no signal",
		step: "step1-skeleton",
		program: strings.Replace(forked("up, down = os.pipe()",
			"os.close(down)\n    os.read(up, 1)"), "os.fork()", fmt.Sprintf("ctypes.CDLL(None)"+
			".syscall(%d, 0x04000000, 0, 0, 0, 0)", unix.SYS_CLONE), 1),
		about: "step1-skeleton/command-runs",
		says:  []string{"clone(CLONE_NEWUTS) did not name the signal of its end", "__WALL"},
	},
	{
		name: "a child that was waited for before",
		step: "step1-skeleton",
		program: strings.Replace(forked("", "pass"), "status = ",
			"os.waitpid(pid, 0)\nstatus = ", 1),
		about: "step1-skeleton/command-runs",
		says:  []string{"panic: ChildProcessError", "it had told of the end before"},
	},
	{
		name:    "a child that a wait for others does not find",
		step:    "step1-skeleton",
		program: strings.Replace(forked("", "pass"), "(pid, 0)", "(pid, -1 << 31)", 1),
		about:   "step1-skeleton/command-runs",
		says:    []string{"With the option __WCLONE it finds only those"},
	},
	{
		name: "a child of somebody else",
		step: "step1-skeleton",
		program: strings.Replace(forked("", "pass"), "pid = os.fork()",
			"pid = os.fork() and os.getppid()", 1),
		about: "step1-skeleton/command-runs",
		says:  []string{"the process that waits has no such child"},
	},
	{
		name:    "children that are ignored",
		step:    "step1-skeleton",
		program: forked("signal.signal(signal.SIGCHLD, signal.SIG_IGN)", "pass"),
		about:   "step1-skeleton/command-runs",
		says:    []string{"because your program ignores SIGCHLD"},
	},
	{
		name: "a part of a pipeline that is ended as usual",
		step: "step1-skeleton",
		program: "#!/bin/sh\nn=$(while :; do echo 7; done | head -n 1)\n" +
			"echo \"$n: the moon is wrong\" >&2\nexit 1\n",
		about: "step1-skeleton/command-runs",
		says:  []string{"the moon is wrong"},
		not:   []string{"SIGPIPE"},
	},
	{
		name: "a child that writes to a parent that failed",
		step: "step1-skeleton",
		program: "#!/usr/bin/python3\nimport os, signal, sys\n" +
			"signal.signal(signal.SIGPIPE, signal.SIG_DFL)\nr, w = os.pipe()\n" +
			"if os.fork() == 0:\n    os.close(r)\n" +
			"    while True:\n        os.write(w, b'x' * 4096)\n" +
			"os.close(w)\nos.read(r, 1)\nsys.exit('error: the moon is wrong')\n",
		about: "step1-skeleton/command-runs",
		says:  []string{"the moon is wrong"},
		not:   []string{"SIGPIPE"},
	},
	{
		name: "children that are not wanted",
		step: "step1-skeleton",
		program: forked("# struct sigaction: the handler, the mask, and SA_NOCLDWAIT\n"+
			"how = (ctypes.c_ulong * 19)(*[0] * 17, 2)\nctypes.CDLL(None).sigaction(17, how, None)",
			"pass"),
		about: "step1-skeleton/command-runs",
		says:  []string{"because your program has set SA_NOCLDWAIT for SIGCHLD"},
		not:   []string{"ignores SIGCHLD"},
	},
	{
		name:    "a panic of the second copy that nobody hears",
		step:    "step1-skeleton",
		program: lostStderr,
		about:   "step1-skeleton/command-runs",
		says: []string{
			"unseen: runtime error: index out of range [7] with length 1", "fmt.Println(rest[7])",
			"descriptor 2 has to reach yours",
		},
		not: []string{"No system call explains that"},
	},
	{
		name: "an error of the second copy that nobody hears",
		step: "step1-skeleton",
		program: `#!/usr/bin/env python3
import subprocess, sys
if sys.argv[1] == "child":
    sys.exit("no image is configured: cannot go on")
r = subprocess.run([sys.executable, sys.argv[0], "child"] + sys.argv[2:], capture_output=True)
sys.exit(r.returncode)
`,
		about: "step1-skeleton/command-runs",
		says: []string{
			`its words did not arrive: "no image is configured: cannot go on"`,
			"true was not executed",
		},
	},
	{
		name: "an errno that nobody hears",
		step: "step1-skeleton",
		program: `#!/usr/bin/env python3
import os, subprocess, sys
if sys.argv[1] == "child":
    os.chroot("/srv/image/root")
r = subprocess.run([sys.executable, sys.argv[0], "child"] + sys.argv[2:], capture_output=True)
sys.exit(r.returncode)
`,
		about: "step3-rootfs/root-is-rootfs",
		says: []string{
			"unseen: FileNotFoundError", `It looks for "/srv/image/root"`,
		},
	},
	{
		name:    "arguments without the name before them, and none",
		step:    "step1-skeleton",
		program: strings.Replace(forked("", "pass"), "sys.argv[2:])", "sys.argv[3:])", 1),
		about:   "step1-skeleton/command-runs",
		says:    []string{"with an empty list of arguments", "argv[0]"},
	},
	{
		name: "arguments without the name before them",
		step: "step1-skeleton",
		program: strings.Replace(forked("", "pass"), "sys.argv[2:])",
			"sys.argv[3:] or sys.argv[2:])", 1),
		about: "step1-skeleton/command-runs",
		says:  []string{`with "the command ran" in the place of its own name`},
		not:   []string{"with no words after its name"},
	},
	{
		name: "one status for all signals, of the one that comes first",
		step: "step1-skeleton",
		program: strings.Replace(forked("", "pass"), "else 128 - status", "else 137",
			1),
		about: "step1-skeleton/exit-status-signal",
		says: []string{
			"SIGTERM ended the command, signal 15, and your program ended with 137, which stands " +
				"for SIGKILL",
		},
	},
	{
		name: "one status for all signals, of another",
		step: "step1-skeleton",
		program: strings.Replace(forked("", "pass"), "else 128 - status", "else 130",
			1),
		about: "step1-skeleton/exit-status-signal",
		says:  []string{"SIGKILL ended the command", "which stands for SIGINT", "sleep was killed"},
	},
	{
		name:    "a signal that the command ignores, because the program did",
		step:    "step1-skeleton",
		program: forked("signal.signal(signal.SIGTERM, signal.SIG_IGN)", "pass"),
		about:   "step1-skeleton/exit-status-signal",
		says:    []string{"SIGTERM did not end the command", "SIG_DFL"},
		not:     []string{"wait(2)"},
	},
	{
		name: "a command that ends before it is killed",
		step: "step1-skeleton",
		program: strings.Replace(forked("", "pass"), "pid = ", "if sys.argv[2] == 'sleep': "+
			"sys.exit(5)\npid = ", 1),
		about: "step1-skeleton/exit-status-signal",
		says:  []string{"`sleep 6137`, was not seen"},
		not:   []string{"A signal ended the command"},
	},
}

// missWords are programs that miss what is not on the throw-away host.
var missWords = []faulty{
	{
		name: "a file of its own, beside those that Python looks for",
		step: "step1-skeleton",
		program: "#!/usr/bin/env python3\nimport json, os, sys\n" +
			"conf = json.load(open('settings.json'))\nos.execvp(sys.argv[2], sys.argv[2:])\n",
		about: "step1-skeleton/command-runs",
		says: []string{
			`refused: openat(AT_FDCWD, "settings.json"): ENOENT`,
			"cannot count on files that lie ready",
		},
		not: []string{"python3.", "no image has to be found"},
	},
	{
		name: "a file of its own, whose name only sounds like that of an image",
		step: "step1-skeleton",
		program: "#!/usr/bin/python3\nimport os, sys\nopen('/srv/players/associations.txt')\n" +
			"os.execvp(sys.argv[2], sys.argv[2:])\n",
		about: "step1-skeleton/command-runs",
		says:  []string{"cannot count on files that lie ready"},
		not:   []string{"no image has to be found"},
	},
	{
		name: "a file of its own, in a directory that is not there",
		step: "step1-skeleton",
		program: "#!/usr/bin/env python3\nimport os, sys\n" +
			"open('/var/lib/my-box/state.json', 'w')\nos.execvp(sys.argv[2], sys.argv[2:])\n",
		about: "step1-skeleton/command-runs",
		says: []string{
			`refused: openat(AT_FDCWD, "/var/lib/my-box/state.json"): ENOENT`, "$TMPDIR",
		},
	},
	{
		name: "a directory of its own on the machine",
		step: "step1-skeleton",
		program: "#!/usr/bin/env python3\nimport os, sys\n" +
			"os.makedirs('/var/lib/my-box/all')\nos.execvp(sys.argv[2], sys.argv[2:])\n",
		about: "step1-skeleton/command-runs",
		says:  []string{`"/var/lib/my-box"`, "EROFS", "What your program keeps for itself"},
	},
	{
		name: "a directory that the root file system does not have",
		step: "step1-skeleton",
		program: "#!/usr/bin/perl\nchdir('rootfs/home/mine') or exit 1;\nshift;\n" +
			"exec @ARGV;\n",
		about: "step1-skeleton/command-runs",
		says:  []string{"there is no /home/mine in it"},
		not:   []string{"take the relative path"},
	},
	{
		name: "a list of arguments without an end",
		step: "step1-skeleton",
		program: "#!/usr/bin/env python3\nimport ctypes, os, sys\n" +
			"libc = ctypes.CDLL(None, use_errno=True)\n" +
			"words = (ctypes.c_void_p * 3)(*[8] * 3)\n" +
			"libc.execv(b'/bin/true', words)\nsys.exit(os.strerror(ctypes.get_errno()))\n",
		about: "step1-skeleton/command-runs",
		says:  []string{"EFAULT", "ends with a null pointer"},
	},
	{
		name:    "a shell that is not there, for the command",
		step:    "step1-skeleton",
		program: "#!/usr/bin/perl\nshift;\nexec '/opt/my/bash', '-c', \"@ARGV\" or exit 1;\n",
		about:   "step1-skeleton/command-runs",
		says: []string{
			"wants to execute /opt/my/bash", "It was to execute true in turn",
			"No shell has to come between",
		},
		not: []string{"is another one named in the source"},
	},
	{
		name:    "a shell that is not there, in the place of the command",
		step:    "step1-skeleton",
		program: "#!/usr/bin/perl\nexec '/opt/my/bash', '-i' or exit 1;\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{"is another one named in the source"},
	},
	{
		name: "where Python was in another root",
		step: "step1-skeleton",
		program: "#!/usr/bin/env python3\nimport os, sys\nos.chroot('rootfs')\nos.chdir('/')\n" +
			"os.execv('/opt/my/bash', ['bash', '-c', sys.argv[2]])\n",
		about: "step1-skeleton/command-runs",
		says: []string{
			"panic: FileNotFoundError",
			"program:5: os.execv('/opt/my/bash', ['bash', '-c', sys.argv[2]])",
		},
	},
	{
		name: "a tool that nobody has, in no directory of $PATH",
		step: "step1-skeleton",
		program: "#!/usr/bin/perl\nsystem('no-tool-of-mine') == 0 or exit 1;\nshift;\n" +
			"exec @ARGV;\n",
		about: "step1-skeleton/command-runs",
		says:  []string{"no-tool-of-mine, which is not on this machine"},
		not:   []string{"container-test-"},
	},
	{
		name: "a command that did not start, and whose number is asked for",
		step: "step1-skeleton",
		program: `package main

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

func main() {
	cmd := exec.Command(os.Args[2], os.Args[3:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: "jail"}
	cmd.Start()
	fmt.Fprintln(os.Stderr, "started", cmd.Process.Pid)
}
`,
		about: "step3-rootfs/root-is-rootfs",
		says: []string{
			`refused: chroot("jail"): ENOENT`, "take the relative path rootfs",
			"So the command did not start", "cmd.Process is nil",
		},
	},
	{
		name: "nil that is no process",
		step: "step1-skeleton",
		program: `package main

import (
	"os"
	"os/exec"
	"syscall"
)

type config struct{ root string }

func main() {
	cmd := exec.Command(os.Args[2], os.Args[3:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: "jail"}
	cmd.Start()
	var c *config
	os.Chdir(c.root)
}
`,
		about: "step1-skeleton/command-runs",
		says:  []string{"nil pointer dereference"},
		not:   []string{"cmd.Process is nil", "jail"},
	},
}

// TestMissWords lets programs be told what is not there.
func TestMissWords(t *testing.T) { requireWords(t, 2, missWords, true) }

// TestToolsThatFail tells what comes of a tool that fails.
func TestToolsThatFail(t *testing.T) {
	for _, c := range []struct {
		name, script, ran, message, said string
		says, not                        string
	}{
		{
			name: "of networks", script: "step2-namespaces/pid-1", ran: "/usr/sbin/ip",
			said: "panic: exit status 2\n", says: "no step before step 5 asks for interfaces",
		},
		{
			name: "of networks, in step 5", script: "step5-complete/network-bridge",
			ran: "/usr/sbin/ip", said: "panic: exit status 2\n",
			says: "Your program ran ip, which ended with exit status 2",
			not:  "no step before",
		},
		{
			name: "of images", script: "step1-skeleton/command-runs", ran: "/usr/bin/docker",
			message: "exit status 1", said: "Cannot connect to the Docker daemon\n",
			says: `is docker, and then it failed. This was said: "Cannot connect`,
		},
		{
			name: "of images, and the program was content", script: "step1-skeleton/command-runs",
			ran: "/usr/bin/docker", message: "exit status 0, want 1",
		},
		{
			name: "of mounts", script: "step1-skeleton/command-runs", ran: "/usr/bin/mount",
			message: "exit status 1", said: "mount failed\n",
		},
	} {
		e := harness.Event{}
		e.Script.Step, e.Script.Name, _ = strings.Cut(c.script, "/")
		e.Ran, e.Message, e.Stderr = "exec container run true", c.message, c.said
		e.Conduct = &harness.Conduct{Ran: []string{c.ran}, Words: [][]string{{c.ran}}}
		text := helperFailed(e)
		if c.says == "" {
			require.Empty(t, text, c.name)
			continue
		}
		require.Contains(t, text, c.says, c.name)
		if c.not != "" {
			require.NotContains(t, text, c.not, c.name)
		}
	}
	require.Contains(t, toolMissing("skopeo"), "need not be")
	require.Contains(t, toolMissing("brctl"), "Install it")
}

// TestEndWords lets programs be told how their processes ended.
func TestEndWords(t *testing.T) { requireWords(t, 2, endWords, true) }

// TestEndClues requires that a clue about the end of a process is silent about a program that did
// it rightly.
func TestEndClues(t *testing.T) {
	executed := harness.Conduct{Ran: []string{"/bin/true"}, Words: [][]string{{"true"}}}
	falls := func(f harness.Fall) harness.Conduct {
		return harness.Conduct{Falls: []harness.Fall{f}}
	}
	born := "clone(CLONE_NEWPID)"
	for _, c := range []struct {
		name    string
		clue    func(harness.Event) string
		message string
		said    string
		left    []string
		conduct harness.Conduct
		says    string // nothing, if there is nothing to say
	}{
		{
			name: "a child that fell, with a stack", clue: childFell,
			conduct: falls(harness.Fall{
				Signal: "SIGBUS", Birth: born, HasStack: true, OfStack: true,
			}),
			says: "is to blame: it is too small, or given by its lower end",
		},
		{
			name: "a child that fell later, because of its stack", clue: childFell,
			conduct: falls(harness.Fall{
				Signal: "SIGSEGV", Birth: born, HasStack: true, OfStack: true, Last: `chdir("/")`,
			}),
			says: `Its last call was chdir("/"). The stack that it was given is too small`,
		},
		{
			name: "a child that fell, and not because of the stack that it has", clue: childFell,
			conduct: falls(harness.Fall{Signal: "SIGSEGV", Birth: born, HasStack: true}),
			says:    "true was not executed. It used an invalid address, such as a null pointer",
		},
		{
			name: "a child that fell later", clue: childFell,
			conduct: falls(harness.Fall{Signal: "SIGSEGV", Birth: born, Last: `chdir("/")`}),
			says:    `Its last call was chdir("/"). After that`,
		},
		{
			name: "a child that fell in the memory of its parent", clue: childFell,
			conduct: falls(harness.Fall{
				Signal: "SIGSEGV", Birth: born, HasStack: true, Shares: true,
			}),
			says: "Leave CLONE_VM out",
		},
		{
			name: "a child that a filter killed", clue: childFell,
			conduct: falls(harness.Fall{Signal: "SIGSYS", Birth: born, Last: "seccomp(1)"}),
			says:    "A filter of system calls forbids",
		},
		{
			name: "a program whose alarm goes off", clue: childFell,
			conduct: falls(harness.Fall{Signal: "SIGALRM"}),
			says:    "Your program itself was ended by SIGALRM, before it executed true. alarm(2)",
		},
		{
			name: "a program that fell, which is told by its status", clue: childFell,
			conduct: falls(harness.Fall{Signal: "SIGSEGV"}),
		},
		{
			name: "a panic that ends in abort(3)", clue: childFell, said: "panic: no\n",
			conduct: falls(harness.Fall{Signal: "SIGABRT", Birth: born}),
		},
		{
			name: "a tool that gave up", clue: childFell,
			conduct: falls(harness.Fall{Signal: "SIGPIPE", Birth: born, By: "/usr/bin/yes"}),
		},
		{
			name: "a tool that fell", clue: childFell,
			conduct: falls(harness.Fall{Signal: "SIGSEGV", Birth: born, By: "/usr/sbin/ip"}),
		},
		{
			name: "a part of the pipeline of a shell", clue: childFell,
			conduct: falls(harness.Fall{Signal: "SIGPIPE", Birth: born, By: "/bin/bash"}),
		},
		{
			name: "a child that wrote to a program which failed", clue: childFell,
			said:    "cannot mount: Operation not permitted\n",
			conduct: falls(harness.Fall{Signal: "SIGPIPE", Birth: born}),
		},
		{
			name: "a child that wrote to nobody", clue: childFell,
			conduct: falls(harness.Fall{Signal: "SIGPIPE", Birth: born}),
			says:    "was ended by SIGPIPE, before it executed true.",
		},
		{
			name: "a child that fell, and another that executed the command", clue: childFell,
			conduct: harness.Conduct{
				Ran: executed.Ran, Words: executed.Words,
				Falls: []harness.Fall{{Signal: "SIGSEGV", Birth: born}},
			},
		},
		{
			name: "a status that is lost", clue: childless, message: "exit status 0, want 1",
			conduct: harness.Conduct{Childless: born}, says: "did not name the signal of its end",
		},
		{
			name: "a process that nobody waited for", clue: childless,
			left:    []string{"new: process 12 sleep"},
			conduct: harness.Conduct{Childless: born}, says: "did not name the signal of its end",
		},
		{
			name: "another failure", clue: childless, message: "exit status 3, want 0",
			said: "cannot mount", conduct: harness.Conduct{Childless: born},
		},
		{
			name: "nothing of the kind", clue: childless, message: "exit status 0, want 1",
		},
		{
			name: "a wait until there is no child", clue: childless,
			message: "exit status 0, want 1", conduct: harness.Conduct{Childless: "wait4(2)"},
		},
		{
			name: "words alone", clue: childless, message: "exit status 1",
			said: "waitpid: No child processes\n", says: "has no such child",
		},
		{
			name: "words of a child", clue: wordsUnseen,
			conduct: harness.Conduct{Unseen: []harness.Unseen{{Text: "cannot open it\n"}}},
			says:    `"cannot open it"`,
		},
		{
			name: "words of a tool, and of a shell", clue: wordsUnseen,
			conduct: harness.Conduct{Unseen: []harness.Unseen{
				{By: "/usr/bin/mkdir", Text: "cannot make it\n"},
				{By: "/bin/dash", Text: "cannot open it\n"},
			}},
		},
		{
			name: "words that tell of no error", clue: wordsUnseen,
			conduct: harness.Conduct{Unseen: []harness.Unseen{{Text: "starting\n"}}},
		},
		{
			name: "a panic that was seen", clue: wordsUnseen, said: "panic: it\n",
			conduct: harness.Conduct{Unseen: []harness.Unseen{{Text: "cannot open it\n"}}},
		},
		{
			name: "a panic of the parent, because of the child", clue: wordsUnseen,
			said:    "panic: exit status 2\n",
			conduct: harness.Conduct{Unseen: []harness.Unseen{{Text: "panic: it\n"}}},
			says:    "ended in a panic",
		},
		{
			name: "the command was executed", clue: wordsUnseen,
			conduct: harness.Conduct{
				Ran: executed.Ran, Words: executed.Words,
				Unseen: []harness.Unseen{{Text: "cannot open it\n"}},
			},
		},
		{name: "the name and no words", clue: nameLost, conduct: executed},
		{
			name: "no name and no words", clue: nameLost,
			conduct: harness.Conduct{Ran: []string{"/bin/true"}, Words: [][]string{nil}},
			says:    "its list of arguments was empty",
		},
		{
			name: "another name", clue: nameLost,
			conduct: harness.Conduct{Ran: []string{"/bin/true"}, Words: [][]string{{"-true"}}},
		},
		{
			name: "no name for another program", clue: nameLost,
			conduct: harness.Conduct{
				Ran:   []string{"/usr/bin/mine", "/bin/true"},
				Words: [][]string{nil, {"-true"}},
			},
		},
		{
			name: "an empty list of Python", clue: nameLost,
			said: "execv() arg 2 must not be empty", says: "with an empty list of arguments",
		},
	} {
		e := harness.Event{}
		e.Script.Step, e.Script.Name = "step1-skeleton", "command-runs"
		e.Ran, e.Message, e.Stderr, e.Left = "exec container run true", c.message, c.said, c.left
		e.Conduct = &c.conduct
		if c.says == "" {
			require.Empty(t, c.clue(e), c.name)
		} else {
			require.Contains(t, c.clue(e), c.says, c.name)
		}
	}
}

// TestStarterGone tells of a first process that ended early only where that was seen.
func TestStarterGone(t *testing.T) {
	t.Parallel()
	const waits = "`/proc/self/exe child cat` was in read(2), waiting for input"
	there := []harness.Process{{Command: "`container run -memory 64M cat`"}}
	for _, c := range []struct {
		ran, waiting string
		there        []harness.Process
		says         string
	}{
		{
			"exec pkill -INT -o -f 'container run -memory 64M'",
			waits + "; " + harness.StarterGone, there, "When SIGINT came, the first process",
		},
		{"exec container run cat", waits + "; " + harness.StarterGone, nil, "It has to wait for"},
		{"exec pkill -INT -o -f 'container run -memory 64M'", waits, there, ""},
		{
			"exec pkill -INT -o -f 'container run -memory 64M'", waits, nil,
			"When SIGINT came, the first process",
		},
		{"exec container run cat", waits, nil, ""},
	} {
		e := harness.Event{Script: harness.Script{Step: "step4-cgroups", Name: "own"}}
		e.Ran, e.Waiting, e.There = c.ran, c.waiting, c.there
		text := starterGone(e)
		require.Contains(t, text, c.says)
		require.Equal(t, c.says == "", text == "", text)
		require.Contains(t, clue(e), text)
	}
}

// TestNameOfBirth requires that a call which asked for no namespace is told without arguments:
// those of fork(2) are whatever was in the registers.
func TestNameOfBirth(t *testing.T) {
	for birth, name := range map[string]string{
		"fork(3, ...)":       "fork(2)",
		"vfork(1)":           "vfork(2)",
		"clone3()":           "clone(2)",
		"clone()":            "clone(2)",
		"clone(CLONE_NEWNS)": "clone(CLONE_NEWNS)",
	} {
		require.Equal(t, name, nameOfBirth(birth))
	}
}

// TestWordsOfOne requires that a call which one container names is not taken for that of another.
func TestWordsOfOne(t *testing.T) {
	const file = "/sys/fs/cgroup/memory/mine/memory.limit_in_bytes"
	e := harness.Event{Failure: harness.Failure{
		Message: "no cgroup has 67108864 in memory.limit_in_bytes; there are:\n",
		Background: []harness.Background{
			{State: "exit status 125", Stderr: "begun\n" + file + ": No such file or directory"},
			{State: "exit status 125", Stderr: "mkdir failed: File exists\n"},
		},
	}}
	c := findCause(e)
	require.Equal(t, []string{"openat", "ENOENT", file}, []string{c.call, c.errno, c.path})
	e.Background[0].Stderr = "it begins\n"
	c = findCause(e)
	require.Equal(t, []string{"mkdirat", "EEXIST", ""}, []string{c.call, c.errno, c.path})
}

// TestLaterRefused requires that of two calls which a program means the later one is told.
func TestLaterRefused(t *testing.T) {
	calls := []harness.Refusal{{Text: `chroot("rootfs")`}, {Text: `mount("proc")`}}
	e := harness.Event{}
	e.Conduct = &harness.Conduct{Refused: calls}
	first, second := &calls[0], &calls[1]
	require.Equal(t, second, laterRefused(e, first, second))
	require.Equal(t, second, laterRefused(e, second, first))
	require.Equal(t, first, laterRefused(e, nil, first))
	require.Equal(t, first, laterRefused(e, first, nil))
	require.Nil(t, laterRefused(e, nil, nil))
}

// TestChildRefused requires that only a call of a child is told to be why a command did not start.
func TestChildRefused(t *testing.T) {
	unshare := harness.Refusal{Call: "unshare", Text: "unshare(CLONE_NEWNS)", Errno: "EPERM"}
	clone := harness.Refusal{Call: "clone3", Text: "clone3(CLONE_NEWNS)", Errno: "EPERM"}
	look := harness.Refusal{Call: "openat", Text: `openat("/etc/x")`, Errno: "ENOENT", Looks: true}
	step := func(r harness.Refusal, process int) harness.Step {
		return harness.Step{Text: r.Text, Errno: r.Errno, Process: process}
	}
	for name, c := range map[string]struct {
		conduct harness.Conduct
		call    string
	}{
		"of a child": {
			harness.Conduct{
				Refused: []harness.Refusal{unshare, look},
				Steps:   []harness.Step{step(unshare, 1), step(look, 1)},
			}, "unshare",
		},
		"of the program": {
			harness.Conduct{
				Refused: []harness.Refusal{unshare},
				Steps:   []harness.Step{step(unshare, 0)},
			}, "",
		},
		"the birth of the child": {
			harness.Conduct{
				Refused: []harness.Refusal{clone},
				Steps:   []harness.Step{step(clone, 0)},
			}, "clone3",
		},
		"where the command was executed": {
			harness.Conduct{
				Refused: []harness.Refusal{unshare},
				Steps:   []harness.Step{step(unshare, 1)},
				Ran:     []string{"/bin/true"}, Words: [][]string{{"true"}},
			}, "",
		},
	} {
		e := harness.Event{}
		e.Script.Step, e.Ran, e.Conduct = "step1-skeleton", "exec container run true", &c.conduct
		call := ""
		if r := childRefused(e); r != nil {
			call = r.Call
		}
		require.Equal(t, c.call, call, name)
	}
}
