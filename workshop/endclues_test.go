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
pid = libc.clone(child, ctypes.c_void_p(two + 8192), 0x04000000 | 17, None)
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
		name:    "a child that uses an address that is none",
		step:    "step1-skeleton",
		program: forked("", "os.chdir('/')\n    ctypes.string_at(0)"),
		about:   "step1-skeleton/command-runs",
		says: []string{
			"was ended by SIGSEGV, before it executed true", `Its last call was chdir("/")`,
		},
		not: []string{"stack"},
	},
	{
		name: "a child whose end sends no signal",
		step: "step1-skeleton",
		program: strings.Replace(forked("", "pass"), "os.fork()", fmt.Sprintf("ctypes.CDLL(None)"+
			".syscall(%d, 0x04000000, 0, 0, 0, 0)", unix.SYS_CLONE), 1),
		about: "step1-skeleton/command-runs",
		says:  []string{"clone(CLONE_NEWUTS) did not name the signal of its end", "__WALL"},
	},
	{
		name:    "children that are ignored",
		step:    "step1-skeleton",
		program: forked("signal.signal(signal.SIGCHLD, signal.SIG_IGN)", "pass"),
		about:   "step1-skeleton/command-runs",
		says:    []string{"because your program ignores SIGCHLD"},
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
		name: "a command that ends before it is killed",
		step: "step1-skeleton",
		program: strings.Replace(forked("", "pass"), "pid = ", "if sys.argv[2] == 'sleep': "+
			"sys.exit(5)\npid = ", 1),
		about: "step1-skeleton/exit-status-signal",
		says:  []string{"`sleep 6137`, was not seen"},
		not:   []string{"A signal ended the command"},
	},
}

// TestEndWords lets programs be told how their processes ended.
func TestEndWords(t *testing.T) { requireWords(t, 2, endWords, true) }

// TestEndClues requires that a clue about the end of a process is silent about a program that did
// it rightly.
func TestEndClues(t *testing.T) {
	executed := harness.Conduct{Ran: []string{"/bin/true"}, Words: [][]string{{"true"}}}
	falls := func(f harness.Fall) harness.Conduct { return harness.Conduct{Falls: []harness.Fall{f}} }
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
			conduct: falls(harness.Fall{Signal: "SIGBUS", Birth: born, HasStack: true}),
			says:    "Most likely the stack",
		},
		{
			name: "a child that fell later", clue: childFell,
			conduct: falls(harness.Fall{Signal: "SIGSEGV", Birth: born, Last: `chdir("/")`}),
			says:    `Its last call was chdir("/"). After that`,
		},
		{
			name: "a child that a filter killed", clue: childFell,
			conduct: falls(harness.Fall{Signal: "SIGSYS", Birth: born, Last: "seccomp(1)"}),
			says:    "a filter of system calls forbids",
		},
		{
			name: "a tool that fell", clue: childFell,
			conduct: falls(harness.Fall{Signal: "SIGSEGV", Birth: born, By: "/usr/sbin/ip"}),
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
			name: "nothing of the kind", clue: childless, said: "no child processes",
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
