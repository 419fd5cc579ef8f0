//go:build linux

package main

import (
	"cmp"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"container.example/workshop/internal/harness"
	"container.example/workshop/internal/skip"
)

// A faulty program has one fault, and is told of it first: about which promise, and in which words.
type faulty struct {
	name    string
	step    string // of about, if not set
	program string // a script, or the source of a program in Go
	passed  bool   // all steps before it
	about   string
	says    []string
	not     []string
	hangs   bool // it has to, before anything is told
}

// firstWords are of the kinds that people write, in several languages.
var firstWords = []faulty{
	{
		name:    "own lines on standard output",
		step:    "step1-skeleton",
		program: "#!/bin/sh\nshift\necho \"Running [$*] as pid $$\"\nexec \"$@\"\n",
		about:   "step1-skeleton/command-runs",
		says: []string{
			"expected: nothing on standard output", "seen: Running [true] as pid",
			"Standard output belongs to the command",
		},
	},
	{
		name:    "words put together",
		step:    "step1-skeleton",
		program: "#!/bin/sh\nshift\nexec sh -c \"$*\"\n",
		about:   "step1-skeleton/arguments",
		says:    []string{"execve(2) takes them as a list"},
	},
	{
		name:    "run taken for the command",
		step:    "step1-skeleton",
		program: "#!/bin/sh\nexec env \"$@\"\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{`refused: execve("`, `"run" is a word for your own program`},
	},
	{
		name:    "a command that is not there",
		step:    "step1-skeleton",
		program: "#!/bin/sh\nexit 0\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{`seen: nothing on standard output`, "there was no execve(2) of it"},
	},
	{
		name:    "silence",
		step:    "step1-skeleton",
		program: "#!/bin/sh\nexit 1\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{"seen: exit status 1", "without a word"},
	},
	{
		name:    "a root file system elsewhere",
		step:    "step1-skeleton",
		program: "#!/bin/sh\nshift\nexec chroot /home/me/rootfs \"$@\"\n",
		about:   "step3-rootfs/root-is-rootfs",
		says: []string{`refused: chroot("/home/me/rootfs"): ENOENT`, "take the relative path " +
			"rootfs"},
	},
	{
		name:    "the calls that bear on a promise",
		step:    "step3-rootfs",
		passed:  true,
		program: "#!/usr/bin/perl\nshift;\nchroot('elsewhere');\nchdir('/');\nexec(@ARGV);\n",
		about:   "step3-rootfs/root-is-rootfs",
		says: []string{
			"calls: chroot(\"elsewhere\"): ENOENT\nchdir(\"/\")\nexecve(",
			"no call succeeded with chroot or pivot_root",
		},
	},
	{
		name: "what is to be mounted is missing, and the mount point is taken away again",
		step: "step1-skeleton",
		program: "#!/usr/bin/env python3\nimport ctypes, os, sys\n" +
			"mount = ctypes.CDLL(None, use_errno=True).mount\nos.mkdir('mine')\n" +
			"if mount(b'nosuch', b'mine', None, 4096, None):\n" +
			"    os.rmdir('mine')\n    sys.exit(os.strerror(ctypes.get_errno()))\n",
		about: "step1-skeleton/command-runs",
		says:  []string{`mount("nosuch", "mine", `, "What is to be mounted, nosuch, is not there"},
		not:   []string{"no directory mine"},
	},
	{
		name:    "a descriptor that is not open",
		step:    "step1-skeleton",
		program: "#!/bin/sh\nshift\necho 64M >&7 || exit 1\n\"$@\"\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{"refused: ", "(7, 1): EBADF", "Descriptor 7 is not open"},
	},
	{
		name: "a literal for a system call, in Perl",
		step: "step1-skeleton",
		program: "#!/usr/bin/perl\nshift;\n# the number of the call does not matter\n" +
			"syscall(170, 'mine', 4);\nexec(@ARGV);\n",
		about: "step1-skeleton/command-runs",
		says:  []string{"In line 4 syscall() got a string literal", "into a variable first"},
	},
	{
		name: "a literal that is changed, in Perl",
		step: "step1-skeleton",
		program: "#!/usr/bin/perl\nshift;\nfor my $word ('mine') {\n    $word = '';\n}\n" +
			"exec(@ARGV);\n",
		about: "step1-skeleton/command-runs",
		says:  []string{"Modification of a read-only value attempted"},
		not:   []string{"syscall()"},
	},
	{
		name: "a directory that is taken away whatever came before, and is not there",
		step: "step1-skeleton",
		program: "#!/usr/bin/perl\nshift;\nmy $there = chdir('elsewhere');\nmy $why = $!;\n" +
			"rmdir('nowhere');\ndie(\"cannot go there: $why\\n\") unless $there;\n" +
			"exec(@ARGV);\n",
		about: "step1-skeleton/command-runs",
		says:  []string{`refused: chdir("elsewhere"): ENOENT`, "It looks for"},
		not:   []string{"rmdir"},
	},
	{
		name:    "a cgroup by a relative path",
		step:    "step1-skeleton",
		program: "#!/bin/sh\ncd /sys/fs/cgroup\nmkdir mine || exit 1\n",
		about:   "step4-cgroups/limits-none",
		says:    []string{`mkdir("/sys/fs/cgroup/mine"): EROFS`},
	},
	{
		name: "a shell in the place of the command",
		step: "step1-skeleton",
		program: "#!/usr/bin/perl\nprint \"Starting a shell\\n\";\n" +
			"exec('/bin/sh', '-c', 'exit 0');\n",
		about: "step1-skeleton/command-runs",
		says:  []string{"seen: Starting a shell", "And none of your processes executed true"},
	},
	{
		name: "a limit for the whole host",
		step: "step1-skeleton",
		program: "#!/bin/sh\nshift\ncd /sys/fs/cgroup\ntest -d pids && cd pids\n" +
			"echo 300 >pids.max\ncd \"$OLDPWD\"\nexec \"$@\"\n",
		about: "step4-cgroups/gone",
		says:  []string{"pids.max 300", "is the limit of the whole machine"},
	},
	{
		name:    "words alone tell why it failed",
		step:    "step1-skeleton",
		program: "#!/bin/sh\nmkdir here\necho 'prefix not found' >&2\nexit 1\n",
		about:   "step1-skeleton/command-runs",
		says: []string{
			"no execve(2) of true", `said: "prefix not found"`,
			"The last call that succeeded was mkdir",
		},
	},
	{
		name: "what the run before has left",
		step: "step1-skeleton",
		program: "#!/bin/sh\nshift\ntest \"$(hostname)\" = host || exit 1\nhostname mine\n" +
			"exec \"$@\"\n",
		about: "step2-namespaces/hostname-out",
		says: []string{
			"seen: the host is now called mine",
			"was in the way of `container run echo 'the command ran'`",
			"none of your processes asked for a uts namespace",
		},
	},
	{
		name: "no null device, and a directory that is cleaned up in vain",
		step: "step1-skeleton",
		program: `package main

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

func main() {
	dir, _ := os.MkdirTemp("", "")
	syscall.Chroot("rootfs")
	err := exec.Command("/bin/busybox", os.Args[2:]...).Run()
	os.Stat(dir)
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
`,
		about: "step1-skeleton/command-runs",
		says:  []string{`openat(AT_FDCWD, "/dev/null"): ENOENT`, "the descriptors 0, 1 and 2"},
	},
	{
		name: "a tool of the host in the root file system",
		step: "step1-skeleton",
		program: "#!/bin/sh\nshift\nm=$(command -v mount)\n" +
			"exec chroot rootfs sh -c \"$m -t proc proc /proc; exit 7\"\n",
		about: "step1-skeleton/command-runs",
		says:  []string{"is where the host has mount", "has its tools in /bin"},
	},
	{
		name:    "words before it hangs",
		step:    "step1-skeleton",
		program: "#!/bin/sh\necho 'waiting for the moon' >&2\nsleep 6300\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{"seen: it hangs", "stderr: waiting for the moon"},
		hangs:   true,
	},
	{
		name: "the status of a command that is not found",
		step: "step1-skeleton",
		program: "#!/bin/sh\ntest \"$1\" = run && test -n \"$2\" || exit 2\nshift\n\"$@\"\ns=$?\n" +
			"command -v \"$1\" >/dev/null || exit 1\nexit $s\n",
		about: "step1-skeleton/command-not-found",
		says:  []string{"and that is right here", "exit(127)"},
	},
	{
		name:   "a flag that a program takes for the command, and does not name",
		step:   "step4-cgroups",
		passed: true,
		program: "#!/bin/sh\nshift\n\"$@\" 2>/dev/null || {\n" +
			"echo 'Os { code: 2, message: \"No such file or directory\" }' >&2\nexit 101\n}\n",
		about: "step4-cgroups/memory-file",
		says:  []string{"-memory is a flag of your own program"},
		not:   []string{"There is no cgroup"},
	},
	{
		name:    "an error that only the words of the program tell",
		step:    "step1-skeleton",
		program: "#!/bin/sh\nshift\nmkdir here\nmkdir here || exit 1\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{`refused: mkdir("here"): EEXIST`, "is there already"},
	},
	{
		name: "a mount that stays",
		step: "step1-skeleton",
		program: "#!/bin/sh\nshift\nmount -t tmpfs mine $WORK/rootfs/mnt 2>/dev/null || mount -t " +
			"tmpfs mine rootfs/mnt\nexec \"$@\"\n",
		about: "step3-rootfs/host-mounts-unchanged",
		says:  []string{"seen: left behind: mount tmpfs", "MS_PRIVATE and MS_REC"},
	},
	{
		name:   "a proc file system that the bind mount covers",
		step:   "step3-rootfs",
		passed: true,
		program: "#!/bin/sh\nshift\n" +
			"exec unshare -mp --fork --propagation private sh -c '" +
			"mount -t proc proc rootfs/proc\nmount --bind rootfs rootfs\ncd rootfs\n" +
			"pivot_root . .\numount -l .\nexec \"$@\"' " +
			"sh \"$@\"\n",
		about: "step3-rootfs/ps-alone",
		says:  []string{"a bind mount shows a directory without the mounts below it"},
		not:   []string{"has to be mounted below the new root"},
	},
	{
		name:   "a shell that stays where it was, and knows that",
		step:   "step3-rootfs",
		passed: true,
		program: "#!/bin/sh\nshift\nexec unshare -m --propagation private sh -c '" +
			"mount --bind rootfs rootfs\npivot_root rootfs rootfs\numount -l /\n\"$@\"' " +
			"sh \"$@\"\n",
		about: "step3-rootfs/root-is-rootfs",
		says:  []string{"seen: $WORK", "chdir(2) to / comes next"},
	},
	{
		name:   "pivot_root in a shell that goes on without a root file system",
		step:   "step3-rootfs",
		passed: true,
		program: "#!/bin/sh\nshift\nexec unshare -mp --fork --propagation private sh -c '" +
			"mount --rbind rootfs rootfs\nmount -t proc proc rootfs/proc\n" +
			"pivot_root rootfs rootfs\ncd /\numount -l /\nexec \"$@\"' sh \"$@\"\n",
		about: "step3-rootfs/rootfs-missing",
		says:  []string{"There is none here, on purpose", "with status 125"},
		not:   []string{"Both directories have to be there"},
	},
	{
		name:    "a command of the program's own, in one word",
		step:    "step1-skeleton",
		program: "#!/bin/sh\nexec env '/bin/sh -c \"echo hello\"'\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{"wants to execute a command of its own", "here true"},
		not:     []string{"words of the command line"},
	},
	{
		name:    "status always 0",
		step:    "step3-rootfs",
		program: "#!/bin/sh\ntest \"$1\" = run || exit 2\nshift\n\"$@\"\nexit 0\n",
		about:   "step1-skeleton/exit-status",
		says:    []string{"expected: exit status 1", "seen: exit status 0"},
	},
	{
		name: "a traceback",
		step: "step1-skeleton",
		program: "#!/usr/bin/env python3\nimport os, sys\ndef contain(command):\n    " +
			"os.chroot('/srv/rootfs')\n    os.execvp(command[0], command)\ncontain(sys.argv[2:])\n",
		about: "step3-rootfs/root-is-rootfs",
		says: []string{
			"panic: FileNotFoundError", "program:4: os.chroot('/srv/rootfs')",
			`looks for "/srv/rootfs"`,
		},
	},
	{
		name: "looked up before chroot",
		step: "step1-skeleton",
		program: `package main

import (
	"os"
	"os/exec"
	"syscall"
)

func main() {
	cmd := exec.Command(os.Args[2], os.Args[3:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	check(syscall.Chroot("rootfs"))
	check(os.Chdir("/"))
	check(cmd.Run())
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
`,
		about: "step3-rootfs/rootfs-without-command",
		says: []string{
			`/true"): ENOENT`, "main.go:14: check(cmd.Run())",
			"looked up in $PATH before the root was changed",
		},
	},
	{
		name: "an image before the command",
		step: "step1-skeleton",
		program: `package main

import (
	"os"
	"os/exec"
)

func main() {
	exec.Command(os.Args[3], os.Args[4:]...).Run()
}
`,
		about: "step1-skeleton/command-runs",
		says: []string{"panic: runtime error: ", "out of range", "main.go:9:", "the word after " +
			"run is the command"},
	},
	{
		name:    "the command taken for a file",
		step:    "step1-skeleton",
		program: "#!/bin/sh\nshift\nmkdir jail && cp \"$1\" jail && exec chroot jail \"$@\"\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{`, "true"): ENOENT`, `takes the word "true" for the path of a file`},
	},
	{
		name: "the command taken for a file, without a word",
		step: "step1-skeleton",
		program: "#!/bin/sh\nshift\nd=$(mktemp -d) || exit 1\n" +
			"cp \"$1\" \"$d\" 2>/dev/null || exit 1\nexec \"$@\"\n",
		about: "step1-skeleton/command-runs",
		says:  []string{`, "true"): ENOENT`, "nobody has to open or copy it"},
	},
	{
		name: "words of its own about a root file system elsewhere",
		step: "step1-skeleton",
		program: "#!/bin/sh\nr=/srv/rootfs\n" +
			"test -d $r || { echo \"no image in $r, pull one\" >&2; exit 1; }\n",
		about: "step1-skeleton/command-runs",
		says:  []string{`looks for "/srv/rootfs"`, "take the relative path rootfs"},
	},
	{
		name:    "an image that has to be brought along",
		step:    "step1-skeleton",
		program: "#!/bin/sh\nmkdir -p jail\ntar -C jail -xf images/small.tar || exit 1\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{"There is no images/small.tar here", "no image has to be found"},
	},
	{
		name:    "a directory below /tmp",
		step:    "step1-skeleton",
		program: "#!/bin/sh\nmkdir /tmp/jail || exit 1\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{`mkdir("/tmp/jail"): EROFS`, "$TMPDIR"},
	},
	{
		name: "a cgroup that nobody asked for",
		step: "step1-skeleton",
		program: "#!/bin/sh\nshift\nmkdir /sys/fs/cgroup/mine || exit 1\n" +
			"echo 20 >/sys/fs/cgroup/mine/pids.max && exec \"$@\"\n",
		about: "step4-cgroups/limits-none",
		says:  []string{`mkdir("/sys/fs/cgroup/mine"): EROFS`},
	},
	{
		name: "an error by its name",
		step: "step1-skeleton",
		program: "#!/bin/sh\nchroot /srv/small true 2>/dev/null || " +
			"{ echo \"thread 'main' panicked at src/main.rs:4:2:\nroot: ENOENT\" >&2; exit 1; }\n",
		about: "step3-rootfs/root-is-rootfs",
		says:  []string{`chroot("/srv/small"): ENOENT`},
	},
	{
		name: "an error by its number",
		step: "step1-skeleton",
		program: "#!/bin/sh\nchroot /srv/small true 2>/dev/null || " +
			"{ echo \"thread 'main' panicked at src/main.rs:4:2:\nos error 2\" >&2; exit 1; }\n",
		about: "step3-rootfs/root-is-rootfs",
		says:  []string{`chroot("/srv/small"): ENOENT`},
	},
	{
		name: "what runs into a second attempt is no news",
		step: "step1-skeleton",
		program: `package main

import (
	"fmt"
	"os"
)

func main() {
	if _, err := os.ReadDir("."); err != nil || os.Mkdir("here/below", 0o755) == nil {
		return
	}
	if os.MkdirAll("here/below", 0o755) != nil || os.Remove("here/below") != nil {
		return
	}
	_, err := os.ReadFile("letter.txt")
	fmt.Fprintln(os.Stderr, "no such file or directory:", err != nil)
	os.Exit(1)
}
`,
		about: "step1-skeleton/command-runs",
		says:  []string{`refused: openat(AT_FDCWD, "letter.txt"): ENOENT`},
	},
	{
		name: "an error that is reported some lines below",
		step: "step1-skeleton",
		program: `package main

import (
	"os"
	"os/exec"
)

func main() {
	err := os.Chdir("/srv/elsewhere")
	if err != nil {
		panic(err)
	}
	if err := exec.Command(os.Args[2]).Run(); err != nil {
		panic(err)
	}
}
`,
		about: "step1-skeleton/command-runs",
		says:  []string{`main.go:9: err := os.Chdir("/srv/elsewhere")`},
	},
	{
		name: "success taken for a failure",
		step: "step1-skeleton",
		program: `package main

import (
	"errors"
	"os"
)

func main() {
	err := os.Mkdir("here", 0o755)
	if !errors.Is(err, os.ErrExist) {
		panic(err)
	}
}
`,
		about: "step1-skeleton/command-runs",
		says:  []string{`main.go:9: err := os.Mkdir("here", 0o755)`, "nil is no error"},
	},
	{
		name: "another program that fails",
		step: "step1-skeleton",
		program: `package main

import "os/exec"

func main() {
	if err := exec.Command("tar", "-x", "-f", "/dev/null/small.tar").Run(); err != nil {
		panic(err)
	}
}
`,
		about: "step1-skeleton/command-runs",
		says:  []string{"Your program ran tar, which ended with exit status 2"},
	},
	{
		name: "a tool of networks that fails",
		step: "step1-skeleton",
		program: `package main

import "os/exec"

func main() {
	if err := exec.Command("ip", "link", "set", "nowhere", "up").Run(); err != nil {
		panic(err)
	}
}
`,
		about: "step1-skeleton/command-runs",
		says: []string{
			"Your program ran ip, which ended with exit status 1", "its standard error",
			"no step before step 5",
		},
		not: []string{"nothing has to be fetched"},
	},
	{
		name: "the state of a command that did not start",
		step: "step1-skeleton",
		program: `package main

import (
	"os"
	"os/exec"
	"syscall"
)

func main() {
	if len(os.Args) < 3 || os.Args[1] != "run" {
		os.Exit(2)
	}
	cmd := exec.Command(os.Args[2], os.Args[3:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Run()
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		os.Exit(128 + int(status.Signal()))
	}
	os.Exit(status.ExitStatus())
}
`,
		about: "step1-skeleton/command-not-found",
		says: []string{
			"no-such-command cannot be executed, and that is right here", "it panicked",
			"cmd.ProcessState is nil", "exit(127)",
		},
	},
	{
		name: "an image from the network",
		step: "step1-skeleton",
		program: `package main

import "net"

func main() {
	if _, err := net.Dial("tcp", "192.0.2.1:443"); err != nil {
		panic(err)
	}
}
`,
		about: "step1-skeleton/command-runs",
		says:  []string{"network is unreachable", "no network on the throw-away host"},
	},
	{
		name: "a disk that is not there",
		step: "step1-skeleton",
		program: `package main

import (
	"os"
	"syscall"
)

func main() {
	os.Mkdir("disk", 0o755)
	if err := syscall.Mount("/dev/no-such-disk", "disk", "ext4", 0, ""); err != nil {
		panic(err)
	}
}
`,
		about: "step1-skeleton/command-runs",
		says:  []string{"There is no /dev/no-such-disk here"},
	},
	{
		name: "a /proc that covers the one of the host",
		step: "step1-skeleton",
		program: `#!/bin/sh
test "$1" = run || exit 2
shift
exec unshare --pid --fork --mount --propagation unchanged -- \
	sh -c 'mount -t proc proc /proc; "$@"; exit $?' sh "$@"
`,
		about: "step3-rootfs/host-mounts-unchanged",
		says:  []string{"left behind: mount proc /proc", "MS_PRIVATE and MS_REC"},
	},
	{
		name:    "a host without /proc",
		step:    "step1-skeleton",
		program: "#!/bin/sh\ntest \"$1\" = run || exit 2\nshift\n\"$@\"\numount /proc\nsleep 1\n",
		about:   "step3-rootfs/host-mounts-unchanged",
		says:    []string{"taken away: mount proc /proc"},
	},
	// A flag that the program does not know yet is what is wrong, in whatever words it complains.
	{
		name:    "a flag taken for the command by chroot(1)",
		step:    "step4-cgroups",
		passed:  true,
		program: "#!/bin/sh\nshift\nexec chroot rootfs \"$@\"\n",
		about:   "step4-cgroups/memory-file",
		says:    []string{"-memory is a flag of your own program"},
	},
	{
		name:   "a flag taken for the command, in the words of a language",
		step:   "step4-cgroups",
		passed: true,
		program: "#!/bin/sh\nshift\n\"$@\" 2>/dev/null || {\n" +
			"echo 'exception Unix_error(Unix.ENOENT, \"create_process\", \"'$1'\")' >&2\n" +
			"exit 2\n}\n",
		about: "step4-cgroups/memory-file",
		says:  []string{"-memory is a flag of your own program"},
		not:   []string{"version 1 of cgroups", "The kernel makes these files"},
	},
	{
		name:    "a flag taken for an option of the shell",
		step:    "step4-cgroups",
		passed:  true,
		program: "#!/bin/sh\nshift\nexec chroot rootfs sh -c \"$*\"\n",
		about:   "step4-cgroups/memory-file",
		says:    []string{"-memory is a flag of your own program"},
	},
	{
		name: "a complaint of unshare(1) about something else",
		step: "step1-skeleton",
		program: "#!/bin/sh\ntest \"$1\" = run && test -n \"$2\" || exit 2\nshift\n" +
			"exec unshare --pid --fork -- \"$@\"\n",
		about: "step1-skeleton/exit-status-signal",
		says: []string{
			"seen: exit status 1", "sigprocmask unblock failed",
			unableToKill,
		},
		not: []string{"several threads"},
	},
	{
		name:    "no format that the kernel knows",
		step:    "step1-skeleton",
		program: "#! \nshift\nexec \"$@\"\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{"Your program itself cannot be executed", "#!/bin/sh"},
		not:     []string{"looked for in the root file system"},
	},
	{
		name:    "lines that end as on Windows",
		step:    "step1-skeleton",
		program: "#!/bin/sh\r\nshift\r\nexec \"$@\"\r\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{"Your program itself cannot be executed", "carriage return"},
	},
	{
		name:    "lines that end as on Windows, behind env(1)",
		step:    "step1-skeleton",
		program: "#!/usr/bin/env sh\r\nshift\r\nexec \"$@\"\r\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{"Your program itself cannot be executed", "carriage return"},
	},
	{
		name:    "an interpreter that is not there",
		step:    "step1-skeleton",
		program: "#!/usr/local/bin/no-such-language\nshift\nexec \"$@\"\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{"asks for /usr/local/bin/no-such-language, which is not on this machine"},
	},
	// What failed later because of an earlier failure is no news.
	{
		name: "a file in a directory that could not be made",
		step: "step1-skeleton",
		program: "#!/bin/sh\nmkdir /srv/mine/ 2>/dev/null\n" +
			"mkdir /srv/mine/1 || exit 1\n",
		about: "step1-skeleton/command-runs",
		says:  []string{`refused: mkdir("/srv/mine/"): EROFS`},
		not:   []string{"The directory above"},
	},
	{
		name:    "a directory of another machine",
		step:    "step1-skeleton",
		program: "#!/bin/sh\nmkdir /home/no-such-user/merged || exit 1\n",
		about:   "step1-skeleton/command-runs",
		says: []string{
			"There is no directory /home/no-such-user on this machine",
			"the directory where it is run",
		},
		not: []string{"From where does this path begin"},
	},
	{
		name: "a directory that mkdir -p could not make",
		step: "step1-skeleton",
		program: "#!/bin/sh\nmkdir -p /srv/mine 2>/dev/null\n" +
			"mkdir /srv/mine/1 || exit 1\n",
		about: "step1-skeleton/command-runs",
		says:  []string{`EROFS`, `and therefore later mkdir("/srv/mine/1")`},
	},
	{
		name: "what is cleaned up after a failure",
		step: "step1-skeleton",
		program: "#!/bin/sh\nmkdir /srv/mine 2>/dev/null && exit 0\n" +
			"rmdir /srv/mine\nexit 1\n",
		about: "step1-skeleton/command-runs",
		says:  []string{`refused: mkdir("/srv/mine"): EROFS`},
	},
	{
		name: "an unmount that is cleaned up after a failure",
		step: "step1-skeleton",
		program: `package main

import (
	"fmt"
	"os"
	"syscall"
)

func main() {
	err := syscall.Mount("small", "small", "", syscall.MS_BIND, "")
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot make the container")
		syscall.Unmount("small", 0)
		os.Exit(1)
	}
}
`,
		about: "step1-skeleton/command-runs",
		says:  []string{`refused: mount("small", "small", ..., MS_BIND): ENOENT`},
	},
	{
		name: "a directory that was there, and an unmount of what is not mounted",
		step: "step1-skeleton",
		program: `#!/usr/bin/env python3
import ctypes, os, sys

try:
    os.mkdir('rootfs/proc')
except FileExistsError:
    pass
libc = ctypes.CDLL(None, use_errno=True)
if libc.umount2(b'rootfs/proc', 2):
    print('umount rootfs/proc:', os.strerror(ctypes.get_errno()), file=sys.stderr)
    sys.exit(1)
`,
		about: "step3-rootfs/root-is-rootfs",
		says:  []string{`refused: umount2("rootfs/proc", MNT_DETACH): EINVAL`},
		not:   []string{"and therefore later", "mkdir(2) fails"},
	},
	{
		name: "a tool in new namespaces, and then no command",
		step: "step1-skeleton",
		program: `#!/usr/bin/perl
use POSIX;
my $unshare = (POSIX::uname())[4] eq 'x86_64' ? 272 : 97;
syscall($unshare, 0x20000);
system('sed', '-n', '1p', '/dev/null');
shift;
$ARGV[0] = '/no-such-place/' . $ARGV[0];
{ exec(@ARGV) };
exit(0);
`,
		about: "step1-skeleton/command-runs",
		says:  []string{`refused: execve("/no-such-place/echo"): ENOENT`},
		not:   []string{"sed instead"},
	},
	{
		name: "a log that nobody keeps, and a root that is not there",
		step: "step1-skeleton",
		program: `#!/usr/bin/env python3
import os, socket, sys

try:
    socket.socket(socket.AF_UNIX).connect('/dev/no-such-log')
except OSError:
    pass
try:
    os.chroot('no-such-root')
except OSError as error:
    print('no network connection yet, and no root:', error.strerror, file=sys.stderr)
    sys.exit(1)
`,
		about: "step3-rootfs/root-is-rootfs",
		says:  []string{`refused: chroot("no-such-root"): ENOENT`},
		not:   []string{"none listens there"},
	},
	{
		name: "a daemon that nobody started",
		step: "step1-skeleton",
		program: `#!/usr/bin/env python3
import os, socket, sys

os.path.exists('container')
try:
    socket.socket(socket.AF_UNIX).connect('/run/mine.sock')
except OSError as error:
    print('cannot connect to the daemon:', error, file=sys.stderr)
    sys.exit(1)
`,
		about: "step1-skeleton/command-runs",
		says:  []string{`"/run/mine.sock", `, "ENOENT", "none listens there", "no daemon"},
		not:   []string{"There is no container here"},
	},
	{
		name: "what is cleaned up after a panic that was recovered",
		step: "step1-skeleton",
		program: `package main

import "syscall"

func main() {
	defer func() {
		recover()
		must(syscall.Unmount("proc", 0))
	}()
	must(syscall.Chroot("/srv/no-such-root"))
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
`,
		about: "step3-rootfs/root-is-rootfs",
		says:  []string{`refused: chroot("/srv/no-such-root"): ENOENT`, "take the relative path"},
		not:   []string{"Nothing is mounted at this path"},
	},
	{
		name: "the command is taken for a root file system",
		step: "step1-skeleton",
		program: "#!/bin/sh\nshift\n" +
			"test -x \"$1/bin/sh\" || { echo \"mine: no shell inside $1\" >&2; exit 1; }\n",
		about: "step1-skeleton/command-runs",
		says:  []string{`takes "true" for the name of an image or a directory`},
		not:   []string{"says nothing of an error"},
	},
	{
		name:    "the command is taken for an image",
		step:    "step1-skeleton",
		program: "#!/usr/bin/env python3\nimport sys\nopen('images/' + sys.argv[2] + '/layers')\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{`takes "true" for the name of an image or a directory`},
	},
	{
		name:    "an image that is not there",
		step:    "step1-skeleton",
		program: "#!/usr/bin/env python3\nraise Exception('Image not found!')\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{"without the name of an image", "no image has to be found"},
	},
	{
		name: "no image is asked for, and another thing is wrong",
		step: "step1-skeleton",
		program: "#!/bin/sh\necho 'no image given, using ./rootfs' >&2\n" +
			"echo 'image rootfs: command true not found' >&2\nexit 127\n",
		about: "step1-skeleton/command-runs",
		says:  []string{"not found"},
		not:   []string{"looks for an image"},
	},
	{
		name:    "a word that is not there, in Ruby",
		step:    "step1-skeleton",
		program: "#!/usr/bin/env ruby\nFile.exist?(ARGV[2])\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{"Is it a word of the command line?", "the word after run"},
	},
	{
		name:    "a word that is not there, in Python",
		step:    "step1-skeleton",
		program: "#!/usr/bin/env python3\nimport sys\n\nname, *words = sys.argv[3:]\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{"there may be no word after it"},
	},
	{
		name: "a word that is not there, and a null pointer",
		step: "step1-skeleton",
		program: "#!/usr/bin/env python3\nimport ctypes, sys\n\n" +
			"if ctypes.CDLL(None).open(None, 0) < 0:\n" +
			"    sys.exit('Cannot open the source file')\n",
		about: "step1-skeleton/command-runs",
		says:  []string{"EFAULT", "fewer words on the command line"},
	},
	{
		name: "another command in new namespaces",
		step: "step1-skeleton",
		program: `package main

import (
	"os"
	"os/exec"
	"syscall"
)

func main() {
	cmd := exec.Command("/bin/uname", "-s")
	cmd.Stdout = os.Stdout
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUTS}
	_ = cmd.Run()
}
`,
		about: "step1-skeleton/command-runs",
		says:  []string{"They executed /bin/uname instead"},
	},
	{
		name:    "other words than those of an error",
		step:    "step1-skeleton",
		program: "#!/bin/sh\necho 'mine: nothing to do' >&2\nexit 1\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{`The last that it wrote is: "mine: nothing to do"`},
		not:     []string{"says nothing of an error"},
	},
	{
		name: "another command in new namespaces, after a refused change of the root",
		step: "step1-skeleton",
		program: `package main

import (
	"os/exec"
	"syscall"
)

func main() {
	_ = syscall.Chroot("/srv/alpine")
	cmd := exec.Command("/bin/uname", "-s")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUTS}
	_ = cmd.Run()
}
`,
		about: "step3-rootfs/root-is-rootfs",
		says:  []string{`chroot("/srv/alpine"): ENOENT`},
	},
	{
		name:    "a directory in /tmp, made step by step",
		step:    "step1-skeleton",
		program: "#!/bin/sh\nmkdir -p /tmp/no-such-state/a || exit 1\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{"Temporary files belong"},
	},
	{
		name:    "a directory for the state in /etc",
		step:    "step1-skeleton",
		program: "#!/bin/sh\nmkdir /etc/mine || exit 1\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{"What your program keeps for itself"},
	},
	{
		name: "an option of the command that a library takes",
		step: "step1-skeleton",
		program: "#!/usr/bin/env python3\nimport optparse, os\n\n" +
			"_, words = optparse.OptionParser().parse_args()\nos.execvp(words[1], words[1:])\n",
		about: "step1-skeleton/streams",
		says:  []string{"-c belongs to the command", "stop there"},
		not:   []string{"prints how it wants to be called"},
	},
	{
		name: "another command line than that of the scripts",
		step: "step1-skeleton",
		program: "#!/bin/sh\nshift\n" +
			"test $# = 1 || { echo 'Usage: mine COMMAND'; exit 0; }\nexec \"$@\"\n",
		about: "step1-skeleton/command-runs",
		says: []string{
			"seen: Usage: mine COMMAND", "container run CMD [ARG...]`, with any number",
		},
	},
	{
		name:    "a command of its own",
		step:    "step1-skeleton",
		program: "#!/bin/sh\nexec chroot rootfs /bin/cat </dev/null\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{"executed echo", "They executed /bin/cat instead"},
	},
	{
		name:    "shells for something else than the command",
		step:    "step1-skeleton",
		program: "#!/usr/bin/perl\nsystem(\"/bin/sh -c :\");\nsystem(\"/bin/sh -c :\");\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{"executed echo"},
		not:     []string{"instead"},
	},
	{
		name:   "no proc file system",
		step:   "step3-rootfs",
		passed: true,
		program: "#!/bin/sh\ntest \"$1\" = run || exit 2\nshift\n" +
			"exec unshare --mount --pid --fork --mount-proc chroot rootfs \"$@\"\n",
		about: "step3-rootfs/ps-alone",
		says:  []string{"/proc of the container is empty", "below the new root"},
	},
	{
		name:   "the working directory of before",
		step:   "step3-rootfs",
		passed: true,
		program: "#!/usr/bin/env python3\nimport os, sys, warnings\nos.chroot('rootfs')\n" +
			"os.execvp(sys.argv[2], sys.argv[2:])\n",
		about: "step3-rootfs/root-is-rootfs",
		says:  []string{"ran: container run pwd", "does not change the working directory"},
	},
	{
		name:    "no uts namespace",
		step:    "step2-namespaces",
		passed:  true,
		program: "#!/bin/sh\ntest \"$1\" = run || exit 2\nshift\nexec \"$@\"\n",
		about:   "step2-namespaces/hostname-out",
		says:    []string{"is the one of the host: none of your processes"},
	},
	{
		name:   "mounts of the host that come in by a slave",
		step:   "step2-namespaces",
		passed: true,
		program: "#!/bin/sh\ntest \"$1\" = run || exit 2\nshift\n" +
			"exec unshare --uts --pid --fork --mount --propagation slave -- \"$@\"\n",
		about: "step2-namespaces/mounts-in",
		says:  []string{"MS_SLAVE", "MS_PRIVATE and MS_REC"},
	},
	{
		name:   "an empty line of its own",
		step:   "step3-rootfs",
		passed: true,
		program: "#!/bin/sh\ntest \"$1\" = run || exit 2\nshift\n" +
			"chroot rootfs \"$@\" || exit\ntest \"$1\" = true || echo\n",
		about: "step3-rootfs/root-is-rootfs",
		says:  []string{"What the command wrote is all there", "program's own"},
	},
	{
		name: "a pointer to nothing",
		step: "step1-skeleton",
		program: `package main

import (
	"os"
	"syscall"
)

func main() {
	_, _, err := syscall.Syscall(syscall.SYS_CHROOT, 0, 0, 0)
	println("no root:", err.Error())
	os.Exit(255)
}
`,
		about: "step1-skeleton/command-runs",
		says: []string{
			"chroot(0): EFAULT", "a null pointer", "seen: exit status 255 (-1 as a byte)",
		},
		not: []string{"a signal ended"},
	},
	{
		name: "an identity that is not mapped",
		step: "step1-skeleton",
		program: `package main

import (
	"os"
	"os/exec"
	"syscall"
)

func main() {
	if os.Args[1] == "child" {
		if err := syscall.Chroot("rootfs"); err != nil {
			panic(err)
		}
	}
	cmd := exec.Command("/proc/self/exe", "child")
	other := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 1000, Size: 1}}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: other,
		GidMappings: other,
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		panic(err)
	}
}
`,
		about: "step1-skeleton/command-runs",
		says: []string{
			`chroot("rootfs"): EPERM`, "so it is nobody in there, and loses its capabilities",
		},
	},
	{
		name: "a proc file system after the old root was unmounted",
		step: "step1-skeleton",
		program: "#!/bin/sh\nexec unshare --user --map-root-user --pid --fork --mount sh -c " +
			"'mount --bind rootfs rootfs && cd rootfs && pivot_root . mnt && umount -l mnt && " +
			"exec mount -t proc proc proc'\n",
		about: "step3-rootfs/ps-alone",
		says:  []string{`mount("proc", "`, "EPERM", "before the old root is unmounted"},
		not:   []string{"leave it out"},
	},
	{
		name:    "the command taken for the root",
		step:    "step1-skeleton",
		program: "#!/bin/sh\nshift\nexec chroot $ROOTFS \"$@\"\n",
		about:   "step3-rootfs/root-is-rootfs",
		says:    []string{`takes the command for the directory of the root file system`},
	},
	{
		name: "a bind mount of another directory",
		step: "step1-skeleton",
		program: "#!/usr/bin/env python3\nimport ctypes, os\nlibc = ctypes.CDLL(None, " +
			"use_errno=True)\nif libc.mount(b'newroot', b'newroot', None, 4096, None):\n" +
			"    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))\n",
		about: "step3-rootfs/root-is-rootfs",
		says:  []string{`looks for "newroot": take the relative path rootfs`},
	},
	{
		name: "a traceback of an exception of a module",
		step: "step1-skeleton",
		program: "#!/usr/bin/env python3\nimport urllib.request\n" +
			"urllib.request.urlopen('http://192.0.2.1/rootfs.tar')\n",
		about: "step1-skeleton/command-runs",
		says: []string{
			"panic: urllib.error.URLError: <urlopen error [Errno 101] Network is unreachable>",
			"program:3: urllib", "no network on the throw-away host",
		},
	},
	{
		name: "the last words of a program in Perl",
		step: "step1-skeleton",
		program: "#!/usr/bin/perl\nmy $fs = '/srv/rootfs';\n" +
			"chroot($fs) or die \"chroot: $!\";\n",
		about: "step3-rootfs/root-is-rootfs",
		says: []string{
			"panic: chroot: No such file or directory",
			`program:3: chroot($fs) or die "chroot: $!";`,
		},
	},
	{
		name: "an error after output without a line break",
		step: "step1-skeleton",
		program: "#!/bin/sh\nprintf 'pid: 7'\n" +
			"printf 'panic: no luck today\\n' >&2\nexit 2\n",
		about: "step1-skeleton/command-runs",
		says:  []string{"panic: no luck today", "stdout: pid: 7"},
		not:   []string{"[stderr]"},
	},
	{
		name: "a second copy that is not known",
		step: "step1-skeleton",
		program: `package main

import (
	"os"
	"os/exec"
)

func main() {
	if os.Args[1] != "run" {
		panic("unrecognized command " + os.Args[1])
	}
	cmd := exec.Command("/proc/self/exe", "child")
	cmd.Stderr = os.Stderr
	if cmd.Run() != nil {
		os.Exit(1)
	}
}
`,
		about: "step1-skeleton/command-runs",
		says:  []string{`starts itself again with the word "child"`},
	},
	{
		name:    "own lines, and no command",
		step:    "step1-skeleton",
		program: "#!/usr/bin/perl\nprint \"starting\\n\";\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{"Standard output belongs to the command", "And none of your processes"},
	},
	{
		name:    "own lines, and a shell that knows the command",
		step:    "step1-skeleton",
		program: "#!/usr/bin/perl\nprint \"starting\\n\";\nexec '/bin/sh', '-c', 'true';\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{"Standard output belongs to the command"},
		not:     []string{"None of your processes", "none of your processes"},
	},
	{
		name:    "no input",
		step:    "step1-skeleton",
		program: "#!/bin/sh\nshift\nexec \"$@\" </dev/null\n",
		about:   "step1-skeleton/streams",
		says:    []string{"cat was executed, and got nothing to read"},
	},
	{
		name:    "a shell that is not in the root file system",
		step:    "step1-skeleton",
		program: "#!/bin/sh\nexec chroot rootfs /bin/bash -l\n",
		about:   "step1-skeleton/command-runs",
		says: []string{
			`refused: execve("/bin/bash"): ENOENT`,
			"none in the root file system, whose shell is /bin/sh",
		},
		not: []string{"looked up in $PATH"},
	},
	{
		name: "a shell that is not in the root file system, and tools after that",
		step: "step1-skeleton",
		program: "#!/bin/sh\nchroot rootfs /bin/bash 2>/dev/null\n" +
			"env true\nexit 0\n",
		about: "step1-skeleton/command-runs",
		says:  []string{"wants to execute /bin/bash, and there is none in the root file system"},
	},
	{
		name: "a shell in the place of the command",
		step: "step1-skeleton",
		program: "#!/usr/bin/env perl\nchroot('rootfs');\nchdir('/');\n" +
			"system('/bin/sleep', '0');\n",
		about: "step1-skeleton/command-runs",
		says:  []string{"They executed /bin/sleep instead"},
	},
	{
		name:    "a tool that is not there",
		step:    "step1-skeleton",
		program: "#!/bin/sh\nshift\nmy-own-tool \"$@\" || exit 127\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{"runs my-own-tool, which is not on this machine"},
	},
	{
		name: "a tool that a program of Go does not find",
		step: "step1-skeleton",
		program: `package main

import "os/exec"

func main() {
	if err := exec.Command("my-own-tool").Run(); err != nil {
		panic(err)
	}
}
`,
		about: "step1-skeleton/command-runs",
		says:  []string{"runs my-own-tool, which is not on this machine"},
	},
	{
		name: "a status that is lost, and a warning after that",
		step: "step1-skeleton",
		program: "#!/usr/bin/perl\nshift;\nsystem @ARGV;\nstat('/srv/none');\n" +
			"warn \"cannot clean up: No such file or directory\" if $?;\n",
		about: "step1-skeleton/exit-status",
		says:  []string{"The command ended with 1, and your program with 0"},
		not:   []string{"panic: ", "refused: "},
	},
	{
		name:    "a mount on a directory that is not there",
		step:    "step1-skeleton",
		program: goMount(`syscall.Mount("none", "/my-own-tmp", "tmpfs", 0, "")`),
		about:   "step1-skeleton/command-runs",
		says:    []string{"There is no directory /my-own-tmp on this machine"},
	},
	{
		name: "a mount on a directory that is not in the root file system",
		step: "step1-skeleton",
		program: goMount(`errors.Join(syscall.Chroot("rootfs"), os.Chdir("/"),
			syscall.Mount("none", "mytemp", "tmpfs", 0, ""))`),
		about: "step1-skeleton/command-runs",
		says:  []string{"There is no directory mytemp in the root file system", "mkdir(2)"},
	},
	{
		name: "a mount on a relative path after chroot",
		step: "step1-skeleton",
		program: goMount(`errors.Join(syscall.Chroot("rootfs"),
			syscall.Mount("proc", "proc", "proc", 0, ""))`),
		about: "step3-rootfs/ps-alone",
		says: []string{
			`"proc" begins at the working directory`, "chdir(2) to / comes right after",
		},
	},
	{
		name:    "a mount in a root file system elsewhere",
		step:    "step1-skeleton",
		program: goMount(`syscall.Mount("proc", "./newroot/proc", "proc", 0, "")`),
		about:   "step3-rootfs/ps-alone",
		says:    []string{`looks for "newroot": take the relative path rootfs`},
	},
	{
		name: "a relative new root after chdir",
		step: "step1-skeleton",
		program: "#!/bin/sh\nexec unshare --mount sh -c 'mount --bind rootfs rootfs && " +
			"cd rootfs && pivot_root rootfs rootfs/mnt'\n",
		about: "step3-rootfs/root-is-rootfs",
		says:  []string{"ENOENT", "rootfs/rootfs is meant now"},
	},
	{
		name:    "a directory in a root file system elsewhere",
		step:    "step1-skeleton",
		program: "#!/bin/sh\nmkdir /srv/my-rootfs/proc || exit 1\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{`looks for "/srv/my-rootfs": take the relative path rootfs`},
	},
	{
		name: "a cgroup whose name is mistyped",
		step: "step1-skeleton",
		program: "#!/bin/sh\nd=/sys/fs/cgroup/pids\ntest -d $d || d=/sys/fs/cgroup\n" +
			"mkdir $d/mine || exit 1\ntrap 'rmdir $d/mine' EXIT\n" +
			"echo 20 >$d/mien/pids.max || exit 1\n",
		about: "step4-cgroups/limits-none",
		says:  []string{"There is no cgroup ", "/mine: is one of the names mistyped?"},
		not:   []string{"This machine has version"},
	},
	{
		name: "a cgroup after the root was changed",
		step: "step1-skeleton",
		program: goMount(`errors.Join(syscall.Chroot("rootfs"), os.Chdir("/"),
			os.Mkdir("/sys/fs/cgroup/mine", 0o755))`),
		about: "step4-cgroups/limits-none",
		says:  []string{"/sys/fs/cgroup of the host is out of reach"},
		not:   []string{"This machine has version"},
	},
	{
		name:   "unshare of the pid namespace without a child",
		step:   "step2-namespaces",
		passed: true,
		program: "#!/bin/sh\ntest \"$1\" = run || exit 2\nshift\n" +
			"case \"$*\" in *kill*) exec unshare --uts --mount --pid -- \"$@\" ;; esac\n" +
			"exec unshare --uts --mount -- \"$@\"\n",
		about: "step2-namespaces/pid-host-invisible",
		says:  []string{"With unshare(2) the process that calls it stays where it is"},
	},
	{
		name:   "a pid namespace whose process 1 has ended",
		step:   "step2-namespaces",
		passed: true,
		program: "#!/bin/sh\ntest \"$1\" = run || exit 2\nshift\n" +
			"exec unshare --uts --mount --pid -- \"$@\"\n",
		about: "step2-namespaces/hostname-in",
		says:  []string{"ENOMEM", "Process 1 of the new pid namespace has ended"},
	},
	{
		name: "no number of a process",
		step: "step1-skeleton",
		program: "#!/bin/sh\nd=/sys/fs/cgroup/pids\ntest -d $d || d=/sys/fs/cgroup\n" +
			"mkdir $d/mine || exit 1\ntrap 'rmdir $d/mine' EXIT\n" +
			"echo pid >$d/mine/cgroup.procs || exit 1\n",
		about: "step4-cgroups/limits-none",
		says:  []string{"number of one process in a write(2), in digits"},
	},
	{
		name:    "a hierarchy that was looked for in vain",
		step:    "step1-skeleton",
		program: "#!/bin/sh\ntest -d /sys/fs/cgroup/cpuset/mine || exit 1\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{"Your program looked for /sys/fs/cgroup/cpuset/mine, which is not there"},
	},
	{
		name: "a mount of the host that is unmounted",
		step: "step1-skeleton",
		program: "#!/bin/sh\ntest \"$1\" = run || exit 2\nshift\nunshare --mount --propagation " +
			"unchanged umount /proc\nexec \"$@\"\n",
		about: "step3-rootfs/host-mounts-unchanged",
		says:  []string{"taken away: mount proc", "unmounted something of the host"},
	},
	{
		name: "a text of wide characters",
		step: "step1-skeleton",
		program: "#!/usr/bin/env python3\nimport ctypes, os\nlibc = ctypes.CDLL(None, " +
			"use_errno=True)\nif libc.mount('proc', 'rootfs/proc', 'proc', 0, None):\n" +
			"    raise OSError(ctypes.get_errno(), 'mount in container.py')\n",
		about: "step1-skeleton/command-runs",
		says:  []string{`mount("p", "r", "p"`, "give it bytes"},
	},
	{
		name: "no name before the arguments",
		step: "step1-skeleton",
		program: "#!/usr/bin/perl\nchroot('rootfs'); chdir('/');\n" +
			"exec {\"/bin/$ARGV[1]\"} @ARGV[2..$#ARGV] if @ARGV > 2;\nexec \"/bin/$ARGV[1]\";\n",
		about: "step1-skeleton/command-runs",
		says:  []string{`takes "the command ran" for its own name`, "argv[0]"},
		not:   []string{"did not arrive"},
	},
	{
		name:    "a new root without the command",
		step:    "step1-skeleton",
		program: "#!/bin/sh\nshift\nmkdir -p jail\nexec chroot jail \"$@\"\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{"was looked for in all directories of $PATH, in the new root"},
		not:     []string{"before the root was changed"},
	},
	{
		name:    "a signal that is lost",
		step:    "step1-skeleton",
		program: "#!/usr/bin/perl\nshift;\nsystem @ARGV;\nexit($? >> 8);\n",
		about:   "step1-skeleton/exit-status-signal",
		says:    []string{"seen: exit status 0", "WIFSIGNALED"},
	},
	{
		name: "a signal by the number of OCaml",
		step: "step1-skeleton",
		program: "#!/usr/bin/perl\nshift;\nsystem @ARGV;\n" +
			"exit(($? & 127) == 9 ? 128 - 7 : $? >> 8);\n",
		about: "step1-skeleton/exit-status-signal",
		says:  []string{"seen: exit status 121", "Sys.sigkill"},
	},
	// What only looks like a fault is none.
	{
		name: "a cgroup that only would be removed",
		step: "step1-skeleton",
		program: "#!/bin/sh\necho ready\n" +
			"test -d /sys/fs/cgroup/cpuset/mine && rmdir /sys/fs/cgroup/cpuset/mine\nexit 0\n",
		about: "step1-skeleton/command-runs",
		says:  []string{"Standard output belongs to the command"},
		not:   []string{"Your program looked for"},
	},
	{
		name: "what is cleaned up at the end is not why",
		step: "step1-skeleton",
		program: "#!/bin/sh\necho ready\nshift\nchroot rootfs sh -c \"$*\"\n" +
			"umount /mnt 2>/dev/null\nexit 0\n",
		about: "step1-skeleton/command-runs",
		says:  []string{"Standard output belongs to the command"},
		not:   []string{"refused"},
	},
	{
		name: "a library that follows the link of the command",
		step: "step1-skeleton",
		program: "#!/usr/bin/perl\nchroot('rootfs'); chdir('/');\n" +
			"open(STDOUT, '>', '/dev/null') || open(STDOUT, '>', '/out');\n" +
			"exec {'/bin/busybox'} @ARGV[1..$#ARGV];\n",
		about: "step1-skeleton/command-runs",
		says:  []string{"seen: nothing on standard output"},
		not:   []string{"none of your processes", "refused"},
	},
	{
		name:    "an error of syntax",
		step:    "step1-skeleton",
		program: "#!/usr/bin/perl\nmy $x = ;\nexec @ARGV;\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{"stderr: syntax error at"},
		not:     []string{"how it wants to be called"},
	},
	{
		name:    "the usage of a tool",
		step:    "step1-skeleton",
		program: "#!/bin/sh\nexec rootfs/bin/busybox chroot\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{"Usage: chroot"},
		not:     []string{"how it wants to be called"},
	},
	{
		name:    "an interpreter and a tool are not another command",
		step:    "step1-skeleton",
		program: "#!/usr/bin/env bash\nmktemp -d >/dev/null\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{"executed echo"},
		not:     []string{"instead"},
	},
	{
		name:    "an interpreter is not another command",
		step:    "step1-skeleton",
		program: "#!/usr/bin/env perl\nexit 0;\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{"executed echo"},
		not:     []string{"instead"},
	},
	{
		name: "the output is lost, and an empty line is the program's own",
		step: "step1-skeleton",
		program: "#!/bin/sh\ntest \"$1\" = run || exit 2\nshift\n" +
			"env \"$@\" >/dev/null || exit\ntest \"$1\" = true || echo\n",
		about: "step1-skeleton/command-runs",
		says:  []string{"seen: an empty line", "what echo wrote is lost"},
	},
	{
		name:   "a proc file system on the old root",
		step:   "step3-rootfs",
		passed: true,
		program: "#!/bin/sh\ntest \"$1\" = run || exit 2\nshift\n" +
			"exec unshare --mount --pid --fork sh -c 'mount -t proc proc /proc; " +
			"mount --bind rootfs rootfs; cd rootfs; pivot_root . mnt; umount -l /mnt; cd /; " +
			"exec \"$@\"' sh \"$@\"\n",
		about: "step3-rootfs/ps-alone",
		says:  []string{"One on /proc of the host remains outside"},
		not:   []string{"took it away"},
	},
	{
		name: "a device in a user namespace",
		step: "step1-skeleton",
		program: "#!/bin/sh\nexec unshare --user --map-root-user --mount sh -c " +
			"'mount --bind rootfs rootfs && mknod rootfs/dev/mine c 1 3'\n",
		about: "step1-skeleton/command-runs",
		says:  []string{"EPERM", "bind those of the host"},
		not:   []string{"nobody"},
	},
	{
		name: "what root of a user namespace may not mount",
		step: "step1-skeleton",
		program: "#!/bin/sh\nexec unshare --user --map-root-user --mount sh -c " +
			"'mount --bind rootfs rootfs && mount -t devtmpfs dev rootfs/dev'\n",
		about: "step5-complete/dev",
		says:  []string{`"devtmpfs", 0x0): EPERM`, "Root of the machine may mount devtmpfs"},
		not:   []string{"nobody"},
	},
}

// wordsAndCalls are more of the first words, of programs that stop before the command, and of calls
// of which one of several paths is missing.
var wordsAndCalls = []faulty{
	{
		name: "words of its own",
		program: "#!/usr/bin/perl\nprint STDERR \"warning: failed to be quick\\n\",\n" +
			"  \"Error: unknown user guest\\n\",\n" +
			"  \"parent: child failed: exit status 1\\n\";\nexit 1;\n",
		about: "step1-skeleton/command-runs",
		says: []string{
			"ended before it executed true", `It says why itself: "Error: unknown user guest"`,
		},
	},
	{
		name: "a failure after a look for the command",
		program: "#!/usr/bin/perl\n(undef, my @c) = @ARGV;\nexit 2 unless @c;\n" +
			"if (!-e \"/bin/$c[0]\") {\n  chdir('/nowhere') and exec(@c);\n" +
			"  print STDERR \"$c[0]: chdir: $!\\n\";\n  exit 1;\n}\nexec(@c);\n",
		about: "step1-skeleton/command-not-found",
		says:  []string{`refused: chdir("/nowhere"): ENOENT`},
		not:   []string{"that is right here"},
	},
	{
		name: "words that say that all is well",
		program: "#!/usr/bin/perl\nprint STDERR \"info: unknown yet\\n\",\n" +
			"  \"mine: no errors so far\\n\";\nexit 1;\n",
		about: "step1-skeleton/command-runs",
		says:  []string{"ended before it executed true", "says nothing of an error"},
		not:   []string{"It says why itself", "$PATH"},
	},
	{
		name: "words of its own, and success",
		program: "#!/usr/bin/perl\n" +
			"print STDERR \"\\e[1;31mERROR: Missing tool: mine\\e[0m\\n\";\nexit 0;\n",
		about: "step1-skeleton/command-runs",
		says:  []string{"executed echo", `It says why itself: "ERROR: Missing tool: mine"`},
	},
	{
		name: "words of a shell that knows the command",
		program: "#!/bin/sh\ntest \"$1\" = run || exit 2\nshift\n\"$@\"\n" +
			"echo \"Error: it failed\" >&2\nexit 3\n",
		about: "step1-skeleton/command-runs",
		says:  []string{"There was no execve(2) of true, which a shell may know by itself"},
		not:   []string{"It says why itself", "Your program ended"},
	},
	{
		name:    "the command looked for as a file",
		program: "#!/usr/bin/perl\n-e $ARGV[1] or print STDERR \"no command\\n\" and exit 1;\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{`takes the word "true" for the path of a file`},
	},
	{
		name: "a bind mount on a directory that is not there",
		program: goMount(`syscall.Mount("rootfs/etc", "rootfs/home/mine", "",
			syscall.MS_BIND, "")`),
		about: "step3-rootfs/root-is-rootfs",
		says:  []string{"There is no directory rootfs/home/mine", "mkdir(2)"},
		not:   []string{"Either what is to be mounted"},
	},
	{
		name: "a type that no kernel has, and no directory",
		program: goMount(`errors.Join(syscall.Chroot("rootfs"), os.Chdir("/"),
			syscall.Mount("some", "mytemp", "tempfs", 0, ""))`),
		about: "step1-skeleton/command-runs",
		says:  []string{"There is no directory mytemp in the root file system"},
	},
	{
		name: "a mount on what could not be made",
		program: "#!/bin/sh\nmkdir /tmp/mine-1 2>/dev/null\n" +
			"exec unshare --mount rootfs/bin/busybox mount -o bind rootfs /tmp/mine-1\n",
		about: "step1-skeleton/command-runs",
		says:  []string{`refused: mkdir("/tmp/mine-1"): EROFS`, "/tmp too"},
		not:   []string{"Either what is to be mounted"},
	},
	{
		name:    "a directory of the kernel without the first letter",
		program: goMount(`syscall.Mount("mine", "sys/fs/cgroup", "tmpfs", 0, "")`),
		about:   "step1-skeleton/command-runs",
		says:    []string{"a path without / in front begins at the working directory"},
		not:     []string{"take the relative path rootfs"},
	},
	{
		name: "an old root that is mistyped",
		program: "#!/bin/sh\nexec unshare --mount sh -c 'mount --bind rootfs rootfs && " +
			"mkdir roots roots/old && pivot_root rootfs rootfs/old'\n",
		about: "step3-rootfs/root-is-rootfs",
		says: []string{
			"rootfs/old, is not there", "made roots/old: is one of the two mistyped?",
		},
	},
	{
		name: "a function of a later Python",
		program: "#!/usr/bin/perl\n" +
			"print \"Error: module 'os' has no attribute 'CLONE_NEWPID'\\n\";\nexit 1;\n",
		about: "step1-skeleton/command-runs",
		says:  []string{"has no os.CLONE_NEWPID", "3.12"},
	},
	{
		name: "a warning before a command that is not found",
		program: "#!/bin/sh\ntest \"$1\" = run || exit 2\nshift\ncat /no-such-file\n" +
			"command -v \"$1\" >/dev/null || { echo not found; exit 1; }\nexec \"$@\"\n",
		about: "step1-skeleton/command-not-found",
		says:  []string{"no-such-command cannot be executed, and that is right here"},
		not:   []string{`refused: openat(AT_FDCWD, "/no-such-file")`},
	},
	{
		name: "two pid namespaces",
		program: "#!/bin/sh\ntest \"$1\" = run && test -n \"$2\" || exit 2\nshift\n" +
			"exec unshare --mount --pid --fork sh -c 'mount -t proc proc rootfs/proc && " +
			"unshare --pid --fork chroot rootfs \"$@\"' sh \"$@\"\n",
		about: "step3-rootfs/ps-alone",
		says:  []string{"asked for a pid namespace 2 times: once is enough"},
	},
	{
		name: "a limit that the program itself meets",
		program: "#!/bin/sh\nd=/sys/fs/cgroup/pids\ntest -d $d || d=/sys/fs/cgroup\n" +
			"mkdir $d/few && echo 1 >$d/few/pids.max && echo $$ >$d/few/cgroup.procs\n" +
			"shift\nenv \"$@\"\nexit $?\n",
		about: "step1-skeleton/command-runs",
		says:  []string{"wrote 1 to", "/few/pids.max", "fail with EAGAIN"},
		not:   []string{"start a copy again"},
	},
}

// TestWordsAndCalls lets programs stop before the command.
func TestWordsAndCalls(t *testing.T) { requireWords(t, 5, wordsAndCalls, true) }

// goMount is the source of a program in Go that does something that has an error.
func goMount(does string) string {
	return `package main

import (
	"errors"
	"os"
	"syscall"
)

var _ = errors.Join(nil)

func main() {
	if err := ` + does + `; err != nil {
		println(err.Error())
		os.Exit(1)
	}
}
`
}

// TestFirstWords lets programs with one fault be told of it. There are dozens of them: it tries one
// in five (see skip.OneIn).
func TestFirstWords(t *testing.T) { requireWords(t, 5, firstWords, false) }

// requireWords lets programs be told of their faults: one in so many of them (see skip.OneIn).
// passed says that all of them have passed the steps before.
func requireWords(t *testing.T, oneIn int, all []faulty, passed bool) {
	t.Parallel()
	course, hosts := checkHere(t, "asks for root: some of the programs change their root")
	some := skip.OneIn(t, oneIn, all)
	var texts []string
	for _, c := range some {
		texts = append(texts, c.program)
	}
	programs := writtenPrograms(t, texts)
	for n, c := range some {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			skip.Language(t, c.program)
			if slices.Contains(c.says, unableToKill) && endsAsItsChild() {
				skip.Lacking(t, "asks for an unshare(1) that cannot end as its child did")
			}
			ofAbout, _, _ := strings.Cut(c.about, "/")
			step := cmp.Or(c.step, ofAbout)
			scripts, err := harness.Scripts(course.root, step)
			require.NoError(t, err)
			if passed || c.passed {
				scripts = inOrderOf(t, course, step)
			}
			limit := enough()
			if c.hangs {
				limit = hanging()
			}
			failed := firstFailureIn(t, limit, hosts.take(t), programs.path(t, n), scripts)
			requireTold(t, failed, c.about, c.says, c.not)
		})
	}
}

// unableToKill is told of unshare(1) before util-linux 2.39.
const unableToKill = "unshare(1) cannot end by KILL as its child did"

// endsAsItsChild tells whether unshare(1) ends by KILL if its child did.
func endsAsItsChild() bool {
	var exit *exec.ExitError
	err := exec.Command("unshare", "--fork", "sh", "-c", "kill -KILL $$").Run()
	return errors.As(err, &exit) && !exit.Exited()
}

// checkHere returns what a test of programs needs, which run on throw-away hosts. It skips the test
// for an ordinary user.
func checkHere(t *testing.T, whyRoot string) (*course, *hosts) {
	t.Helper()
	harness.NeedsGo(t)
	if os.Geteuid() != 0 {
		skip.Lacking(t, whyRoot)
	}
	root, err := moduleRoot()
	require.NoError(t, err)
	course, err := readCourse(root)
	require.NoError(t, err)
	return course, newHosts(t, root)
}

// hosts are throw-away hosts for tests that run beside one another: each has one to itself.
type hosts struct {
	root  string
	mutex sync.Mutex
	free  []*harness.Host
}

// newHosts makes hosts for a test and those below it, as many as are in use at once.
func newHosts(t *testing.T, root string) *hosts {
	h := &hosts{root: root}
	t.Cleanup(func() {
		for _, host := range h.free {
			assert.NoError(t, host.Close()) // and then the others
		}
	})
	return h
}

// take lends a host to a test until that ends.
func (h *hosts) take(t *testing.T) (host *harness.Host) {
	t.Helper()
	h.mutex.Lock()
	defer h.mutex.Unlock()
	if n := len(h.free); n > 0 {
		host, h.free = h.free[n-1], h.free[:n-1]
	} else {
		var err error
		host, err = harness.NewHost(h.root)
		require.NoError(t, err)
	}
	t.Cleanup(func() {
		h.mutex.Lock()
		defer h.mutex.Unlock()
		h.free = append(h.free, host)
	})
	return host
}

// requireTold requires that a failure is told under the headline of a script, in words that have
// some texts in them, and some not.
func requireTold(t *testing.T, failed *harness.Event, about string, says, not []string) {
	t.Helper()
	require.NotNil(t, failed)
	root, err := moduleRoot()
	require.NoError(t, err)
	text := inRows(t, *failed)
	require.Equal(t, about, headline(root, *failed).ID(), text)
	for _, words := range says {
		require.Contains(t, text, words)
	}
	for _, words := range not {
		require.NotContains(t, text, words)
	}
}

// TestFlagOfTool requires that an option of a tool is not taken for a flag of the program.
func TestFlagOfTool(t *testing.T) {
	for said, isFlag := range map[string]bool{
		"sh: illegal option -y":                  true,
		"chroot: invalid option -- 'm'":          true,
		"chroot: unrecognized option: m":         true,
		"mount: wrong fs type, bad option, bad":  false,
		"mount: bad option; for several systems": false,
		"cp: invalid option -- 'z'":              false,
	} {
		e := harness.Event{}
		e.Ran, e.Stderr = "exec container run -memory 64M true", said
		require.Equal(t, isFlag, flagNotKnown(e) != "", said)
	}
}

// TestNotStartable requires that the path of a program may have blanks, and that more may be said.
func TestNotStartable(t *testing.T) {
	program := filepath.Join(t.TempDir(), "my program")
	require.NoError(t, os.WriteFile(program, []byte("#! /no/such -e\n"), 0o755))
	e := harness.Event{}
	e.Message = "fork/exec " + program + ": no such file or directory\nunexpected command failure"
	require.Contains(t, notStartable(e), "asks for /no/such, which is not")
}

// TestEndedOtherwise requires that the words of a program tell why it failed where it ended in
// another way when it was run once more, and that they do not where its calls were seen.
func TestEndedOtherwise(t *testing.T) {
	for again, errno := range map[string]string{
		"exit status 125": "", "exit status 0": "ENOENT", "signal: killed": "ENOENT", "": "",
	} {
		e := harness.Event{}
		e.Conduct = &harness.Conduct{Status: again}
		e.Background = []harness.Background{{
			State:  "exit status 125",
			Stderr: "container: open /sys/fs/cgroup/pids/mine/pids.maxx: no such file or directory",
		}}
		require.Equal(t, errno, findCause(e).errno, again)
	}
}

// TestSearched requires that a command which was looked for in $PATH is not said to be taken for
// the path of a file: it is in the root file system, and the root is still that of the host.
func TestSearched(t *testing.T) {
	e := harness.Event{Script: harness.Script{Step: "step3-rootfs", Name: "host-chroot-breakout"}}
	e.Ran, e.Message = "exec container run probe breakout", "[exit status 127]"
	e.Conduct = &harness.Conduct{
		Ran: []string{"container"}, Words: [][]string{{"container", "run", "probe", "breakout"}},
	}
	for _, dir := range []string{"/bin", "/usr/sbin"} {
		e.Conduct.Refused = append(e.Conduct.Refused, harness.Refusal{
			Call: "execve", Errno: "ENOENT", Text: `execve("` + dir + `/probe")`,
		})
	}
	text := clue(e)
	require.Contains(t, text, "with the root of the host, and is in none of them")
	require.NotContains(t, text, "for the path of a file")
}

// TestOrigin requires that only what was to be made at a path is why something is missing there.
func TestOrigin(t *testing.T) {
	for _, c := range []struct {
		earlier, later harness.Refusal
		isWhy          bool
	}{
		{
			harness.Refusal{Call: "mount", Errno: "EPERM", Text: `mount(0, "/mnt/a", "tmpfs", 0)`},
			harness.Refusal{Call: "umount2", Errno: "EINVAL", Text: `umount2("/mnt/a", 0x0)`},
			true,
		},
		{
			harness.Refusal{Call: "mkdir", Errno: "EROFS", Text: `mkdir("/srv/a")`},
			harness.Refusal{Call: "openat", Errno: "ENOENT", Text: `openat(AT_FDCWD, "/srv/a/b")`},
			true,
		},
		{ // the command is a file of the root that it did not get
			harness.Refusal{Call: "pivot_root", Errno: "EINVAL", Text: `pivot_root("new", "new")`},
			harness.Refusal{Call: "execve", Errno: "ENOENT", Text: `execve("/usr/sbin/probe")`},
			true,
		},
		{ // it has another root all the same
			harness.Refusal{Call: "pivot_root", Errno: "EINVAL", Text: `pivot_root("new", "new")`},
			harness.Refusal{
				Call: "execve", Errno: "ENOENT", Text: `execve("/bin/probe")`, Inside: true,
			},
			false,
		},
		{ // another directory
			harness.Refusal{Call: "mkdir", Errno: "EROFS", Text: `mkdir("/srv/a")`},
			harness.Refusal{Call: "rmdir", Errno: "EBUSY", Text: `rmdir("/srv/b")`},
			false,
		},
		{ // the working directory is there
			harness.Refusal{Call: "mount", Errno: "EPERM", Text: `mount(".", ".", 0, MS_BIND)`},
			harness.Refusal{Call: "openat", Errno: "ENOENT", Text: `openat(AT_FDCWD, "./old/b")`},
			false,
		},
		{ // another /sys
			harness.Refusal{
				Call: "mount", Errno: "EPERM", Text: `mount("sysfs", "/sys", "sysfs", 0x0)`,
				Inside: true,
			},
			harness.Refusal{
				Call: "openat", Errno: "ENOENT", Text: `openat(AT_FDCWD, "/sys/fs/cgroup/a")`,
			},
			false,
		},
	} {
		why := origin(&harness.Conduct{
			Refused: []harness.Refusal{c.earlier, c.later},
		}, &c.later)
		require.Equal(t, c.isWhy, *why == c.earlier, c.later.Text)
	}
}

// inOrderOf are the scripts of a step in the order of somebody who has passed all steps before it.
func inOrderOf(t *testing.T, course *course, step string) []harness.Script {
	s := state{Passed: map[string]time.Time{}}
	for _, l := range course.lessons {
		if l.step < step {
			s.Passed[l.key()] = time.Now()
		}
	}
	l, err := course.find(step)
	require.NoError(t, err)
	return (&checker{course: course}).inOrder(l, s)
}

// enough is how long a program may take for a script if it does not hang: half of what the user
// gives each script, who knows how slow the machine is.
func enough() time.Duration { return harness.Timeout() / 2 }

// hanging is how long a program may take that hangs, until it does.
func hanging() time.Duration { return harness.Timeout() / 4 }

// firstFailureOf is the first of the scripts that the program fails, or nil.
func firstFailureOf(t *testing.T, host *harness.Host, program string,
	scripts []harness.Script,
) (failed *harness.Event) {
	return firstFailureIn(t, enough(), host, program, scripts)
}

// firstFailureIn is firstFailureOf for scripts that may take this long.
func firstFailureIn(t *testing.T, timeout time.Duration, host *harness.Host, program string,
	scripts []harness.Script,
) (failed *harness.Event) {
	o := harness.Options{Program: program, Timeout: timeout}
	require.NoError(t, host.Check(context.Background(), o, scripts, func(e harness.Event) {
		if e.Status == harness.Failed && !e.Script.NotYet() {
			failed = &e
		}
	}))
	return failed
}

// inRows is what is said of a failure, one row a line.
func inRows(t *testing.T, e harness.Event) string {
	x, err := explain(e)
	require.NoError(t, err)
	var rows []string
	for _, row := range x.rows() {
		rows = append(rows, row[0]+": "+row[1])
	}
	return strings.Join(rows, "\n")
}
