//go:build linux

package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"container.example/workshop/internal/harness"
)

// lookedUpFirst is a program that looks for the command in /bin of the host, and executes that path
// in the root file system.
const lookedUpFirst = `#!/bin/sh
test "$1" = run && test -n "$2" || exit 2
shift
c=$(PATH=/bin; command -v "$1")
shift
unshare --mount --pid --fork sh -c 'mount -t proc proc rootfs/proc
exec chroot rootfs sh -c "$0" "$@"' 'test "$0" != sh && exec "$0" "$@"
echo "executable file not found" >&2
exit 127' "${c:-sh}" "$@"
`

// inNamespaces is a program in Python that makes namespaces, and does this in the child.
func inNamespaces(flags, does string) string {
	return `#!/usr/bin/env python3
import ctypes, os, sys, warnings
libc = ctypes.CDLL(None, use_errno=True)
if len(sys.argv) < 3:
    sys.exit(2)
libc.unshare(` + flags + `)
if os.fork() == 0:
    ` + strings.ReplaceAll(does, "\n", "\n    ") + `
    try:
        os.execvp(sys.argv[2], sys.argv[2:])
    except OSError as e:
        print(e, file=sys.stderr)
        os._exit(127)
sys.exit(os.waitstatus_to_exitcode(os.wait()[1]) % 256)
`
}

// conductWords are programs of which it is told what they did, and what they are told.
var conductWords = []faulty{
	{
		name:    "looked up on a host that has none",
		step:    "step3-rootfs",
		program: lookedUpFirst,
		about:   "step3-rootfs/rootfs-without-command",
		says:    []string{"probe was looked for", "the last time as /bin/probe, before the root"},
	},
	{
		name:    "looked up on the host, by a line with a shell",
		step:    "step1-skeleton",
		program: lookedUpFirst,
		about:   "step3-rootfs/rootfs-without-command",
		says:    []string{`refused: execve("/bin/wc"): ENOENT`, "/bin/wc is where the host has wc"},
	},
	{
		name:    "a shell that is given the command without a name before it",
		step:    "step1-skeleton",
		program: "#!/bin/sh\nshift\nexec sh -c 'exec \"$@\"' \"$@\"\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{"echo was left out", `sh -c LINE sh CMD ARG`},
		not:     []string{"put together"},
	},
	{
		name:    "an argument in the place of the command",
		step:    "step1-skeleton",
		program: "#!/bin/sh\nshift 2\nexec \"$@\"\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{`"the command ran" was to be executed`, "the word after run, here echo"},
		not:     []string{"put together"},
	},
	{
		name: "looked up in vain before, and found in the end",
		step: "step3-rootfs",
		program: "#!/bin/sh\ntest \"$1\" = run || exit 2\nshift\n" +
			"command -v \"$1\" >/dev/null || echo not found, so far >&2\n" +
			"exec unshare --mount --pid --fork sh -c 'mount -t proc proc rootfs/proc; " +
			"exec chroot rootfs \"$@\"' sh \"$@\"\n",
		about: "step3-rootfs/host-chroot-breakout",
		says:  []string{"chroot(2) changes only where paths begin"},
		not:   []string{"was looked for"},
	},
	{
		name:    "another program in its place, which looks for its files",
		step:    "step1-skeleton",
		program: "#!/bin/sh\nexec chroot rootfs sh -c 'test -e /letter-of-sh; exit 0'\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{"none of your processes", "They executed /bin/sh instead"},
		not:     []string{"letter-of-sh"},
	},
	{
		name:    "the command taken for a file in the directory, without a word",
		step:    "step1-skeleton",
		program: "#!/bin/sh\ntest -e \"$PWD/$2\" || exit 1\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{`"$WORK/true"): ENOENT`, `takes the word "true" for the path of a file`},
	},
	{
		name:    "silence after something that was looked for",
		step:    "step1-skeleton",
		program: "#!/bin/sh\nmkdir here\ntest -e /srv/letter || exit 1\n",
		about:   "step1-skeleton/command-runs",
		says: []string{
			"without a word", `call that failed was newfstatat(AT_FDCWD, "/srv/letter"): ENOENT`,
			`The last call that succeeded was mkdir("here"`,
		},
	},
	{
		name: "a call that the promise needs is refused, and nobody minds",
		step: "step3-rootfs",
		program: inNamespaces("0x20020000", "libc.mount(None, b'/', None, 0x44000, None)\n"+
			"os.chroot('rootfs')\nos.chdir('/')\n"+
			"libc.mount(b'proc', b'/nowhere', b'proc', 0, None)"),
		about: "step3-rootfs/ps-alone",
		says: []string{
			`refused: mount("proc", "/nowhere", "proc", 0x0): ENOENT`,
			"There is no directory /nowhere in the root file system",
		},
		not: []string{"/proc of the container is empty"},
	},
	{
		name: "the new root is unmounted, because pivot_root(2) was refused",
		step: "step3-rootfs",
		program: inNamespaces("0x20020000", "libc.mount(None, b'/', None, 0x44000, None)\n"+
			"libc.mount(b'rootfs', b'rootfs', None, 0x1000, None)\n"+
			"libc.mount(b'proc', b'rootfs/proc', b'proc', 0, None)\n"+
			"os.makedirs('old', exist_ok=True)\nos.chdir('rootfs')\n"+
			"libc.pivot_root(b'.', b'../old')\nlibc.umount2(b'.', 2)\nos.chroot('.')"),
		about: "step3-rootfs/ps-alone",
		says: []string{
			`pivot_root(".", "../old") failed with EINVAL, and your program went on`,
			`So umount2(".", MNT_DETACH) after that did not take away the old root`,
			"has to be in or below the new one",
		},
		not: []string{"/proc of the container is empty"},
	},
	{
		name:    "a tool that writes to standard output",
		step:    "step1-skeleton",
		program: "#!/bin/sh\nshift\nls\nexec \"$@\"\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{"Your program runs ls, which wrote this", "(>&2)"},
		not:     []string{"The command printed nothing"},
	},
	{
		name: "a command that is another one now",
		step: "step1-skeleton",
		program: "#!/bin/sh\nshift\nrm rootfs/bin/true\n" +
			"printf '#!/bin/sh\\necho gone\\n' >rootfs/bin/true\nchmod +x rootfs/bin/true\n" +
			"exec chroot rootfs \"$@\"\n",
		about: "step1-skeleton/command-runs",
		says:  []string{"/bin/true was executed as the command, and wrote this"},
		not:   []string{"your program's own"},
	},
	{
		name: "a command that is nobody",
		step: "step3-rootfs",
		program: inNamespaces("0x30020000", "libc.mount(None, b'/', None, 0x44000, None)\n"+
			"os.chroot('rootfs')\nos.chdir('/')\n"+
			"libc.mount(b'proc', b'/proc', b'proc', 0, None)"),
		about: "step3-rootfs/host-chroot-breakout",
		says: []string{
			"probe was executed in a user namespace without maps, where it is nobody",
			"Root can leave CLONE_NEWUSER out until step 5",
		},
	},
	{
		name: "a map that is written with writev(2), and capabilities that are dropped",
		step: "step2-namespaces",
		program: inNamespaces("0x34020000)\n"+
			"os.writev(os.open('/proc/self/uid_map', os.O_WRONLY), [b'0 0 1']",
			"for cap in range(41):\n    libc.prctl(24, cap, 0, 0, 0)"),
		about: "step2-namespaces/user-map",
		says:  []string{"needs CAP_SYS_ADMIN, and your program drops capabilities"},
		not:   []string{"First the maps"},
	},
	{
		name: "a name that somebody else than root sets, before the chapters",
		step: "step2-namespaces",
		program: `package main

import (
	"os"
	"os/exec"
	"syscall"
)

func main() {
	if os.Args[1] == "child" {
		if err := syscall.Sethostname([]byte("mine")); err != nil {
			panic(err)
		}
	}
	cmd := exec.Command("/proc/self/exe", "child")
	mine := []syscall.SysProcIDMap{{ContainerID: 1000, HostID: 0, Size: 1}}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWUTS,
		UidMappings: mine,
		GidMappings: mine,
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		panic(err)
	}
}
`,
		about: "step2-namespaces/user-map",
		says:  []string{"sethostname(", `"1000 0 1"`, "Only 0 is root"},
		not:   []string{"First the maps"},
	},
	{
		name: "a text without an end",
		step: "step1-skeleton",
		program: inNamespaces("0x20000", "if libc.mount(b'proc', b'/proc' + b'x' * 300, b'proc', "+
			"0, None):\n    print(os.strerror(ctypes.get_errno()), file=sys.stderr)\n    "+
			"os._exit(1)"),
		about: "step3-rootfs/ps-alone",
		says:  []string{"ENAMETOOLONG", "a text ends with a zero byte"},
	},
	{
		name: "a failure that nothing explains",
		step: "step1-skeleton",
		program: "#!/bin/sh\ntest \"$1\" = run || exit 2\nshift\ncd /proc/mine 2>/dev/null\n" +
			"head -n 1 | \"$@\"\n",
		about: "step1-skeleton/streams",
		says: []string{
			"cat was executed. A call of your program",
			`failed, and it went on: chdir("/proc/mine"): ENOENT`,
		},
	},
	{
		name:    "a program that does not know the word run",
		step:    "step1-skeleton",
		program: "#!/usr/bin/perl\ndie \"Unknown command\\n\" if $ARGV[0] ne 'start';\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{`says: "Unknown command"`, "Does it know the word run?"},
	},
	{
		name:    "a program that executes the word run",
		step:    "step1-skeleton",
		program: "#!/bin/bash\nexec \"$@\"\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{`"run" is a word for your own program`},
		not:     []string{"There is no run here"},
	},
	{
		name: "a tool that writes into a pipe, and one that does not",
		step: "step1-skeleton",
		program: "#!/bin/sh\nshift\ntest -n \"$(cat /etc/passwd)\" && ls -d .\n" +
			"exec \"$@\"\n",
		about: "step1-skeleton/command-runs",
		says:  []string{"Your program runs ls, which wrote this"},
		not:   []string{"cat"},
	},
	{
		name: "lines of its own, and a tool that a shell starts",
		step: "step1-skeleton",
		program: "#!/usr/bin/perl\n$| = 1;\nprint \"Image not found\\n\";\n" +
			"system('bash', '/dev/null', @ARGV);\n",
		about: "step1-skeleton/command-runs",
		says:  []string{"And none of your processes executed true"},
	},
	{
		name: "a file that the program wants in the new root, and that is nowhere",
		step: "step1-skeleton",
		program: inNamespaces("0x20000", "os.chroot('rootfs')\nos.chdir('/')\n"+
			"open('app/Dockerfile')"),
		about: "step1-skeleton/command-runs",
		says:  []string{"There is no app/Dockerfile, neither in the root", "executed true"},
	},
	{
		name: "a program that was copied from the host without its loader",
		step: "step1-skeleton",
		program: "#!/bin/sh\nshift\nmkdir jail && cp \"/usr/bin/$1\" jail/ && " +
			"exec chroot jail \"/$1\"\n",
		about: "step1-skeleton/command-runs",
		says:  []string{`refused: execve("/true"): ENOENT`, "where the loader of a program"},
		not:   []string{"is where the host has"},
	},
	{
		name: "a process too many in the pid namespace",
		step: "step2-namespaces",
		program: "#!/bin/sh\ntest \"$1\" = run || exit 2\nshift\n" +
			"exec unshare --uts --mount --pid --fork sh -c " +
			"'sh -c '\\''\"$@\"; exit $?'\\'' sh \"$@\"; exit $?' sh \"$@\"\n",
		about: "step2-namespaces/pid-1",
		says:  []string{"the command is process 3 in it, started by process 2"},
	},
	{
		name: "a pid namespace without a fork",
		step: "step2-namespaces",
		program: "#!/bin/sh\ntest \"$1\" = run && test -n \"$2\" || exit 2\nshift\n" +
			"unshare --uts --mount --pid chroot rootfs \"$@\"\nexit $?\n",
		about: "step2-namespaces/pid-1",
		says:  []string{"The process that made unshare(CLONE_NEW", "then fork(2)"},
	},
	{
		name: "mounts that were to be private",
		step: "step1-skeleton",
		program: inNamespaces("0x20020000", "os.chroot('rootfs')\nos.chdir('/')\n"+
			"libc.mount(None, b'/', None, 0x44000, None)\n"+
			"libc.mount(b'proc', b'/proc', b'proc', 0, None)"),
		about: "step3-rootfs/host-mounts-unchanged",
		says: []string{
			"was to change that, and failed with EINVAL", "after chroot(2) / is none",
		},
		not: []string{"until mount(2) on /"},
	},
	{
		name:    "a program that a signal ends",
		step:    "step1-skeleton",
		program: "#!/bin/sh\nmkdir here\nkill -SEGV $$\n",
		about:   "step1-skeleton/command-runs",
		says: []string{
			"A signal ended your program itself", `last call that succeeded was mkdir("here"`,
		},
	},
	{
		name: "status 1 for a signal",
		step: "step1-skeleton",
		program: "#!/usr/bin/perl\nexit 2 if @ARGV < 2;\nshift;\n" +
			"my $s = system(@ARGV);\nexit 127 if $s < 0;\nexit($s & 127 ? 1 : $s >> 8);\n",
		about: "step1-skeleton/exit-status-signal",
		says:  []string{"A signal ended the command, and your program ended with 1"},
	},
	{
		name: "a mount point that begins in another directory",
		program: "#!/bin/sh\nshift\ncd /tmp\n" +
			"exec unshare -m sh -c 'mount -t proc proc rootfs/proc && exec chroot rootfs \"$@\"' " +
			"sh \"$@\"\n",
		about: "step1-skeleton/command-runs",
		says:  []string{`begins at the working directory, which chdir("/tmp") has changed`},
		not:   []string{"has none"},
	},
	{
		name: "a file that is looked for in another directory",
		program: "#!/usr/bin/python3\nimport os\nos.chdir('/tmp')\n" +
			"open('rootfs/etc/passwd')\n",
		about: "step1-skeleton/command-runs",
		says:  []string{`begins at the working directory, which chdir("/tmp") has changed`},
		not:   []string{"there is no /etc/passwd in it"},
	},
	{
		name:    "a look of a tool",
		step:    "step1-skeleton",
		program: "#!/bin/sh\ncp /srv/letter . || exit 1\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{`"/srv/letter"): ENOENT (no such file or directory), in cp`},
	},
	{
		name: "another word than run is taken for run",
		program: "#!/bin/sh\n[ $# -gt 1 ] || { echo 'usage: container run CMD' >&2; exit 2; }\n" +
			"shift\nexec unshare --mount \"$@\"\n",
		step:  "step1-skeleton",
		about: "step1-skeleton/usage",
		says:  []string{`tried to execute "to", although the first word is "fly"`, "exit(2)"},
		not:   []string{"not on this machine"},
	},
	{
		name: "another word than run is told, and the program goes on",
		program: "#!/bin/sh\n[ $# -gt 1 ] || { echo 'usage: container run CMD' >&2; exit 2; }\n" +
			"[ \"$1\" = run ] || echo 'usage: container run CMD' >&2\n" +
			"shift\nexec unshare --mount \"$@\"\n",
		step:  "step1-skeleton",
		about: "step1-skeleton/usage",
		says:  []string{"execute nothing: exit(2)"},
		not:   []string{"for run"}, // it knows that it is not
	},
	{
		name: "a shell goes on when the root was not changed",
		program: "#!/bin/sh\nshift\nexec unshare -fpmu sh -c " +
			"'cd rootfs; mkdir -p old; pivot_root . old; exec \"$@\"' sh \"$@\"\n",
		about: "step3-rootfs/root-is-rootfs",
		says: []string{
			`refused: pivot_root(".", "old"): EINVAL`, "The new root has to be a mount point",
		},
		not: []string{"None of your processes has changed its root"},
	},
	{
		name: "chroot without a command",
		program: "#!/bin/sh\nshift\n" +
			"exec unshare -fpmu sh -c 'chroot rootfs; \"$@\"' sh \"$@\"\n",
		step:  "step1-skeleton",
		about: "step1-skeleton/command-runs",
		says:  []string{"chroot(1) starts an interactive shell where no command comes after"},
		not:   []string{"this is your program's own"},
	},
	{
		name:    "an argument that nobody typed",
		program: "#!/bin/sh\nshift\ncmd=$1; shift\nexec \"$cmd\" \"$*\"\n",
		step:    "step1-skeleton",
		about:   "step1-skeleton/streams",
		says:    []string{`cat was executed with "" after its name`},
		not:     []string{"its descriptor 0"},
	},
	{
		name: "arguments in one word",
		program: "#!/usr/bin/perl\nshift; my $cmd = shift;\n" +
			"exec $cmd, @ARGV ? join(',', @ARGV) : ();\n",
		about: "step2-namespaces/hostname-in",
		says:  []string{`sh was executed with "-c,hostname workshop`, "several words in one"},
	},
	{
		name: "a warning that ends the program",
		program: "#!/usr/bin/perl\nuse warnings FATAL => 'all';\nshift;\nmy $name;\n" +
			"my $line = \"name $name\";\nexec @ARGV;\n",
		step:  "step1-skeleton",
		about: "step1-skeleton/command-runs",
		says:  []string{`"Use of uninitialized value $name in`, "use warnings FATAL"},
		not:   []string{"says nothing of an error"},
	},
	{
		name: "the directory is the root file system already",
		program: "#!/usr/bin/perl\nshift;\nchdir('rootfs') or die;\n" +
			"chroot('rootfs') or die \"chroot: $!\";\nchdir('/');\nexec(@ARGV);\n",
		step:  "step1-skeleton",
		about: "step3-rootfs/root-is-rootfs",
		says:  []string{"The working directory is rootfs already", `give it to chroot(2) as "."`},
		not:   []string{"There is no rootfs"},
	},
	{
		name: "no root file system in the directory to which the program went",
		program: "#!/usr/bin/perl\nshift;\nif (!(my $p = fork)) { chdir('rootfs'); exit }\n" +
			"else { waitpid $p, 0 }\nchdir('/srv') or die;\n" +
			"chroot('rootfs') or die \"chroot: $!\";\nchdir('/');\nexec(@ARGV);\n",
		step:  "step1-skeleton",
		about: "step3-rootfs/root-is-rootfs",
		says:  []string{`refused: chroot("rootfs"): ENOENT`},
		not:   []string{"The working directory is rootfs already"},
	},
	{
		name: "a user namespace without one for the name",
		program: "#!/bin/sh\nshift\nexec unshare --user --map-root-user --mount --pid --fork " +
			"\"$@\"\n",
		about: "step2-namespaces/hostname-in",
		says:  []string{"none of your processes asked for a uts namespace"},
		not:   []string{"Make both in the same call"},
	},
	{
		name: "a tool in the background that failed before",
		program: "#!/bin/bash\nset -e\nmkfifo $TMPDIR/failed\n" +
			"exec > >(tee /no/such/log </dev/null || echo >$TMPDIR/failed; cat) 2>&1\n" +
			"read -r <$TMPDIR/failed\necho +cpu >/sys/fs/cgroup/no.such_control\n",
		step:  "step1-skeleton",
		about: "step4-cgroups/limits-none",
		says:  []string{"/sys/fs/cgroup/no.such_control"},
		not:   []string{"refused: openat(AT_FDCWD, \"/no/such/log"},
	},
	{
		name: "a shell that failed before, and of which nothing depends",
		program: "#!/bin/bash\ncat 2>&1 </srv/optional || true\n" +
			"pivot_root rootfs rootfs || exit 125\n",
		step:  "step1-skeleton",
		about: "step3-rootfs/root-is-rootfs",
		says:  []string{"refused: pivot_root("},
		not:   []string{"/srv/optional\"): ENOENT"},
	},
	{
		name: "a proc of the container that covers the one of the host",
		program: "#!/bin/sh\n[ $# -gt 1 ] || exit 2\nshift\n" +
			"unshare --mount --pid --fork --propagation unchanged sh -c " +
			"'mount -t proc proc /proc; \"$@\"; exit $?' sh \"$@\"\n" +
			"s=$?\numount /proc\nexit $s\n",
		step:  "step1-skeleton",
		about: "step2-namespaces/mounts-out",
		says:  []string{"/proc of the host is covered, or gone", "MS_PRIVATE"},
		hangs: true,
	},
	{
		name: "the root of the host is changed",
		step: "step3-rootfs",
		program: inNamespaces("0", "libc.mount(None, b'/', None, 0x44000, None)\n"+
			"libc.mount(b'rootfs', b'rootfs', None, 0x5000, None)\nos.chdir('rootfs')\n"+
			"os.system('pivot_root . .')\nlibc.umount2(b'.', 2)"),
		about: "step3-rootfs/host-mounts-unchanged",
		says: []string{
			"seen: the root of the host is another directory", "CLONE_NEWNS of clone(2)",
		},
	},
	{
		name: "a proc where nobody asked for a pid namespace",
		program: "#!/bin/sh\nshift\nexec unshare --mount --uts sh -c " +
			"'mount -t proc proc rootfs/proc; exec chroot rootfs \"$@\"' sh \"$@\"\n",
		about: "step3-rootfs/ps-alone",
		says:  []string{"none of your processes asked for a pid namespace"},
	},
	{
		name: "a signal's status where the root was not changed either",
		program: "#!/bin/sh\n[ $# -gt 1 ] || { echo 'usage: container run CMD' >&2; exit 2; }\n" +
			"shift\nexec unshare -fpmu sh -c " +
			"'cd rootfs; mkdir -p old; pivot_root . old; exec \"$@\"' sh \"$@\"\n",
		step:  "step1-skeleton",
		about: "step1-skeleton/exit-status-signal",
		says:  []string{unableToKill},
	},
	{
		name: "a signal that is lost, after words that are like an error",
		step: "step1-skeleton",
		program: "#!/bin/sh\n[ $# -gt 1 ] || { echo 'usage: container run CMD' >&2; exit 2; }\n" +
			"shift\necho 'old_root does not exist, and is made' >&2\n" +
			"\"$@\"\ns=$?\ntest $s != 137 || exit 0\nexit $s\n",
		about: "step1-skeleton/exit-status-signal",
		says:  []string{"A signal ended the command, and your program ended with 0"},
	},
	{
		name: "a shell that the new root does not have, which is not rootfs",
		step: "step1-skeleton",
		program: "#!/usr/bin/perl\nmkdir('jail');\nchroot('jail') && chdir('/') && " +
			"exec('/bin/sh');\nprint STDERR \"$!\\n\";\nexit 1;\n",
		about: "step1-skeleton/command-runs",
		says: []string{
			"wants to execute /bin/sh", "the new root, jail,", "called rootfs has /bin/sh",
		},
		not: []string{"whose shell is"},
	},
}

// TestConductWords lets programs be told what they did.
func TestConductWords(t *testing.T) { requireWords(t, 2, conductWords, true) }

// rowOfRefused is the row about a call that was refused, of a program that failed.
func rowOfRefused(e harness.Event) string {
	e.Message = "exit status 1"
	return refused(e)
}

// TestConductClues requires that a clue about what a program did is silent about a program that
// did it rightly.
func TestConductClues(t *testing.T) {
	asRootOfMachine(t, true)
	const (
		ownMap   = `write(</proc/self/uid_map>, "0 0 1", 5)`
		itsMap   = `write(</proc/N/uid_map>, "0 0 1", 5)`
		groupMap = `write(</proc/N/gid_map>, "0 0 1", 5)`
	)
	refused := func(call, text, errno, by string) harness.Refusal {
		return harness.Refusal{Call: call, Text: text, Errno: errno, By: by}
	}
	look := func(path, by string, inside bool) harness.Refusal {
		r := refused("newfstatat", `newfstatat(AT_FDCWD, "`+path+`")`, "ENOENT", by)
		r.Looks, r.Inside = true, inside
		return r
	}
	shellOf := func(line ...string) harness.Conduct {
		return harness.Conduct{
			Ran: []string{"/bin/sh"}, Words: [][]string{append([]string{"sh", "-c"}, line...)},
		}
	}
	hostnameRefused := func(e harness.Event) string {
		return clues["sethostname"]["EPERM"](cause{event: e, call: "sethostname", errno: "EPERM"})
	}
	mapRefused := func(e harness.Event) string {
		return badMap(cause{event: e, call: "write", text: itsMap, errno: "EPERM", seen: true})
	}
	rootCall := func(e harness.Event) string {
		if r := rootRefused(e); r != nil {
			return r.Text
		}
		return ""
	}
	const noSuchFile = "env: No such file or directory"
	failing := func(tell func(harness.Event) string) func(harness.Event) string {
		return func(e harness.Event) string {
			e.Message = "exit status 1"
			return tell(e)
		}
	}
	blamed := func(e harness.Event) string {
		if r := blame(e); r != nil {
			return r.Text
		}
		return ""
	}
	for _, c := range []struct {
		name    string
		clue    func(harness.Event) string
		script  string // pid-1, say
		ran     string
		said    string
		waiting string
		conduct harness.Conduct
		says    string // nothing, if there is nothing to say
		not     string // what is not said, if anything
	}{
		{
			name: "a directory that is not there is taken away at the end", clue: rowOfRefused,
			ran: "true", said: "cannot go on: No such file or directory",
			conduct: harness.Conduct{
				Refused: []harness.Refusal{
					refused("pivot_root", `pivot_root(".", "old")`, "ENOENT", ""),
					refused("rmdir", `rmdir("/sys/fs/cgroup/cpu/mine")`, "ENOENT", ""),
				},
			},
			says: `pivot_root(".", "old")`,
		},
		{
			name: "a directory that is not there is taken away, and nothing else failed",
			clue: rowOfRefused, ran: "true", said: "cannot go on: No such file or directory",
			conduct: harness.Conduct{
				Refused: []harness.Refusal{
					refused("rmdir", `rmdir("/sys/fs/cgroup/cpu/mine")`, "ENOENT", ""),
				},
			},
			says: `rmdir("/sys/fs/cgroup/cpu/mine")`,
		},
		{
			name: "another failure, without a word of a directory that is not there",
			clue: rowOfRefused, ran: "true", said: ": applet not found",
			conduct: harness.Conduct{
				Refused: []harness.Refusal{
					refused("rmdir", `rmdir("/sys/fs/cgroup/cpu/mine")`, "ENOENT", ""),
				},
			},
		},
		{
			name: "the cgroup of another run", clue: rowOfRefused, ran: "-memory 64M sleep 6100",
			said: "/sys/fs/cgroup/memory/mine-A2: No such file or directory",
			conduct: harness.Conduct{
				Refused: []harness.Refusal{
					refused("mkdir", `mkdir("/sys/fs/cgroup/memory/mine-B7")`, "ENOENT", ""),
					refused("execve", `execve("/usr/bin/sleep")`, "ENOENT", ""),
				},
			},
			says: `mkdir("/sys/fs/cgroup/memory/mine-B7")`,
		},
		{
			name: "a flag that the second copy takes for the command", clue: clue,
			script: "step2-namespaces/hostname-flag", ran: "-hostname workshop hostname",
			said: `container: exec "-hostname": executable file not found in $PATH`,
			conduct: harness.Conduct{
				Refused: []harness.Refusal{look("/bin/-hostname", "", false)},
			},
			says: "One of your processes takes -hostname for the command",
		},
		{
			name: "no $PATH", clue: clue, script: "step5-complete/seccomp", ran: "true",
			said: `container: exec "true": executable file not found in $PATH`,
			conduct: harness.Conduct{
				Made: []string{"prctl(PR_SET_SECCOMP, 2)"},
				Refused: []harness.Refusal{
					refused("mount", `mount("tmpfs", "/proc/keys", "tmpfs", 0x0)`, "ENOTDIR", ""),
				},
			},
			says: "What is PATH in the environment of this process",
		},
		{
			name: "$PATH, and no such file", clue: nowhereToLook, ran: "true",
			said: `container: exec "true": executable file not found in $PATH`,
			conduct: harness.Conduct{
				Refused: []harness.Refusal{look("/usr/bin/true", "", false)},
			},
		},
		{
			name: "no thread after unshare(2)", clue: clue, ran: "true",
			said: "runtime: failed to create new OS thread (have 2 already; errno=22)\n" +
				"fatal error: newosproc\n",
			conduct: harness.Conduct{Made: []string{"unshare(CLONE_NEWUTS|CLONE_NEWPID)"}},
			says:    "it can have no more threads",
		},
		{
			name: "no thread, for another reason", clue: noThread, ran: "true",
			said: "runtime: failed to create new OS thread (have 2 already; errno=11)\n",
			conduct: harness.Conduct{
				Made: []string{"unshare(CLONE_NEWUTS|CLONE_NEWPID)"},
			},
		},
		{
			name: "a map that does not begin with 0, and the command sets its user", clue: otherID,
			script: "step2-namespaces/user-map", ran: "-ns user,uts id -u",
			conduct: harness.Conduct{
				Ran: []string{"/bin/id"}, Words: [][]string{{"id", "-u"}},
				Made: []string{
					fmt.Sprintf(`write(</proc/N/uid_map>, "1000 %d 1\n", 9)`, os.Geteuid()),
					"setuid(1000)",
				},
				Steps: []harness.Step{
					{Text: fmt.Sprintf(`write(</proc/N/uid_map>, "1000 %d 1\n", 9)`, os.Geteuid())},
					{Text: `execve("/bin/id")`, Process: 1},
					{Text: "setuid(1000)", Process: 1},
				},
			},
			says: "Begin the map with 0",
		},
		{
			name: "a root that the program has made read-only", clue: clue,
			script: "step3-rootfs/rootfs-written", ran: "sh -c 'echo hello >/written'",
			said: "sh: can't create /written: Read-only file system",
			conduct: harness.Conduct{
				Status: "exit status 1",
				Ran:    []string{"/bin/sh"}, Words: [][]string{{"sh", "-c", "echo hello " +
					">/written"}},
				RanInside: []string{"/bin/sh"},
				Made: []string{
					`mount("rootfs", "rootfs", 0, MS_BIND)`,
					`mount(..., "rootfs", ..., MS_RDONLY|MS_REMOUNT|MS_BIND)`,
				},
			},
			says: "your program has made it so: mount(..., \"rootfs\"",
		},
		{
			name: "a file system that is read-only, and not by the program", clue: rootReadOnly,
			script: "step3-rootfs/rootfs-written", ran: "sh -c 'echo hello >/written'",
			said: "sh: can't create /written: Read-only file system",
			conduct: harness.Conduct{
				Ran: []string{"/bin/sh"}, Words: [][]string{{"sh", "-c"}},
				Made: []string{`mount("sysfs", "/sys", "sysfs", MS_RDONLY)`},
			},
		},
		{
			name: "a filter that forbids what is to be unknown", clue: clue,
			script: "step5-complete/escape-clone3", ran: "probe clone3",
			said: "probe: clone3: operation not permitted", says: "Only after ENOSYS",
		},
		{
			name: "a cgroup namespace before the cgroup", clue: cgroupNamespaceEarly,
			script: "step5-complete/cgroup-namespace", ran: "-pids 24 cat /proc/self/cgroup",
			conduct: harness.Conduct{Steps: []harness.Step{
				{Text: "unshare(CLONE_NEWCGROUP)", Process: 1},
				{Text: `write(</sys/fs/cgroup/pids/mine/cgroup.procs>, "7", 1)`},
			}},
			says: "First the cgroup, then the namespace",
		},
		{
			name: "a cgroup namespace after the cgroup", clue: cgroupNamespaceEarly,
			script: "step5-complete/cgroup-namespace", ran: "-pids 24 cat /proc/self/cgroup",
			conduct: harness.Conduct{Steps: []harness.Step{
				{Text: `write(</sys/fs/cgroup/pids/mine/cgroup.procs>, "7", 1)`},
				{Text: "unshare(CLONE_NEWCGROUP)", Process: 1},
				{Text: `write(</sys/fs/cgroup/pids/cgroup.procs>, "7", 1)`}, // and back, at the end
			}},
		},
		{
			name: "nothing is amiss with the root of a command of a chapter", clue: facts,
			script: "step5-complete/dev-shm", ran: "sh -c 'stat -c %a /dev/shm'",
			conduct: harness.Conduct{
				Ran: []string{"/bin/sh"}, Words: [][]string{{"sh", "-c"}},
				RanInside: []string{"/bin/sh"},
			},
		},
		{
			name: "setgroups(2) of the command", clue: failing(clue),
			script: "step5-complete/root-rights", ran: "probe as 1000 id -u",
			said: "probe: as: fork/exec /usr/bin/id: operation not permitted",
			conduct: harness.Conduct{
				Ran: []string{"/bin/probe"}, Words: [][]string{{"probe", "as", "1000", "id", "-u"}},
				RanInside: []string{"/bin/probe"},
				Made: []string{
					"clone(CLONE_NEWUSER)", itsMap, groupMap, "setresuid(0, 0, 0)",
				},
				Refused: []harness.Refusal{{
					Call: "setgroups", Text: "setgroups(0)", Errno: "EPERM", By: "/bin/probe",
					Process: 2,
				}},
				Steps: []harness.Step{
					{Text: "clone(CLONE_NEWUSER)"},
					{Text: `execve("/bin/probe")`, Process: 1},
					{Text: "setgroups(0)", Errno: "EPERM", Process: 2, Parent: 1},
				},
			},
			says: "It was the command that called setgroups(2)", not: "The user was changed before",
		},
		{
			name: "a pipe that is waited for", clue: clue, ran: "true",
			waiting: "`container run true` was in read(2), waiting for input from descriptor 3 " +
				"(pipe)",
			says: "when no process has its other end open any longer",
		},
		{
			name: "an input that is waited for", clue: clue, ran: "true",
			waiting: "`container run true` was in read(2), waiting for input from descriptor 0 " +
				"(pipe)",
			says: "there was no execve(2) of it", not: "(pipe(7))",
		},
		{
			name: "looked up outside",
			clue: lookedUpOutside, ran: "probe breakout", said: "probe: not found",
			conduct: harness.Conduct{
				Refused: []harness.Refusal{look("/usr/bin/probe", "", false)},
				Made:    []string{`chroot("rootfs")`},
			},
			says: "as /usr/bin/probe, before the root was changed",
		},
		{
			name: "looked up inside, too",
			clue: lookedUpOutside, ran: "probe breakout", said: "probe: not found",
			conduct: harness.Conduct{
				Refused: []harness.Refusal{
					look("/usr/bin/probe", "", false), look("/bin/probe", "", true),
				},
				Made: []string{`chroot("rootfs")`},
			},
		},
		{
			name: "looked up where the root is not to be changed",
			clue: lookedUpOutside, ran: "probe groups", said: "probe: not found",
			conduct: harness.Conduct{
				Refused: []harness.Refusal{look("/usr/bin/probe", "", false)},
			},
		},
		{
			name: "found, and another thing is missing",
			clue: lookedUpOutside, ran: "cat letter", said: "proc: not found",
			conduct: harness.Conduct{
				Ran:     []string{"/bin/cat"},
				Words:   [][]string{{"cat", "letter"}},
				Refused: []harness.Refusal{look("/usr/local/bin/cat", "", false)},
				Made:    []string{`chroot("rootfs")`},
			},
		},
		{
			name: "the look of a tool, in vain",
			clue: lookedUpOutside, ran: "probe groups", said: "no such group",
			conduct: harness.Conduct{
				Refused: []harness.Refusal{look("/usr/bin/probe", "/usr/bin/which", false)},
				Made:    []string{`chroot("rootfs")`},
			},
		},
		{
			name: "nobody in a user namespace",
			clue: nobodyInside, ran: "mount a b", said: "Operation not permitted",
			conduct: harness.Conduct{
				Ran: []string{"/bin/mount"}, Words: [][]string{{"mount"}},
				Made: []string{"clone(CLONE_NEWNS|CLONE_NEWUSER)"},
			},
			says: "without maps",
		},
		{
			name: "somebody in a user namespace, who may not",
			clue: nobodyInside, ran: "mount a b", said: "Operation not permitted",
			conduct: harness.Conduct{
				Ran: []string{"/bin/mount"}, Words: [][]string{{"mount"}},
				Made: []string{
					"clone(CLONE_NEWNS|CLONE_NEWUSER)",
					fmt.Sprintf(`write(</proc/7/uid_map>, "0 %d 1", 5)`, os.Geteuid()),
				},
			},
		},
		{
			name: "a map without the id of root",
			clue: nobodyInside, ran: "mount a b", said: "Operation not permitted",
			conduct: harness.Conduct{
				Ran: []string{"/bin/mount"}, Words: [][]string{{"mount"}},
				Made: []string{
					"clone(CLONE_NEWNS|CLONE_NEWUSER)", `write(</proc/7/uid_map>, "0 77777 1", 9)`,
				},
			},
			says: `The map of the user namespace is "0 77777 1"`,
		},
		{
			name: "a range without the id of root",
			clue: func(e harness.Event) string { return cause{event: e}.notMapped() },
			ran:  "mount a b",
			conduct: harness.Conduct{
				Made: []string{`write(</proc/7/uid_map>, "0 100000 65536", 14)`},
			},
		},
		{
			name: "a map that is written twice", clue: mapRefused, ran: "true",
			conduct: harness.Conduct{
				Made: []string{"unshare(CLONE_NEWUSER)"},
				Steps: []harness.Step{
					{Text: "unshare(CLONE_NEWUSER)"},
					{Text: itsMap},
					{Text: itsMap, Errno: "EPERM"},
				},
			},
			says: "Your program has written this map before: " + itsMap,
		},
		{
			name: "a map of each of two user namespaces", clue: mapRefused, ran: "true",
			conduct: harness.Conduct{
				Made: []string{"unshare(CLONE_NEWUSER)", "clone(CLONE_NEWUSER)"},
				Steps: []harness.Step{
					{Text: "unshare(CLONE_NEWUSER)"},
					{Text: itsMap},
					{Text: "clone(CLONE_NEWUSER)"},
					{Text: itsMap, Errno: "EPERM"},
				},
			},
			says: "Only root of the host may map other ids",
		},
		{
			name: "a map of the caller to another id than 0",
			clue: func(e harness.Event) string { return cause{event: e}.notMapped() },
			ran:  "mount a b",
			conduct: harness.Conduct{
				Made: []string{fmt.Sprintf(`write(</proc/7/uid_map>, "1000 %d 1", 9)`,
					os.Geteuid())},
			},
			says: "is 1000 in there. Only 0 is root",
		},
		{
			name: "a map of the caller to 0",
			clue: func(e harness.Event) string { return cause{event: e}.notMapped() },
			ran:  "mount a b",
			conduct: harness.Conduct{
				Made: []string{fmt.Sprintf(`write(</proc/7/uid_map>, "0 %d 1", 9)`, os.Geteuid())},
			},
		},
		{
			name: "a map without the id of root, and another id",
			clue: nobodyInside, ran: "mount a b", said: "Operation not permitted",
			conduct: harness.Conduct{
				Ran: []string{"/bin/mount"}, Words: [][]string{{"mount"}},
				Made: []string{
					"clone(CLONE_NEWNS|CLONE_NEWUSER)", `write(</proc/7/uid_map>, "0 77777 1", 9)`,
					"setresuid(0, 0, 0)",
				},
			},
		},
		{
			name: "a user namespace of another process, to see whether there can be one",
			clue: nobodyInside, ran: "mount a b", said: "Operation not permitted",
			conduct: harness.Conduct{
				Ran: []string{"/bin/mount"}, Words: [][]string{{"mount"}},
				Made: []string{"unshare(CLONE_NEWUSER)"},
				Steps: []harness.Step{
					{Text: "unshare(CLONE_NEWUSER)", Process: 1},
					{Text: `execve("/bin/mount")`, Process: 2},
				},
			},
		},
		{
			name:   "a name that is not changed, though the map came in time",
			clue:   hostnameRefused,
			script: "step2-namespaces/hostname-in", ran: "hostname x",
			conduct: harness.Conduct{
				Ran: []string{"/bin/hostname"}, Words: [][]string{{"hostname", "x"}},
				Made: []string{"unshare(CLONE_NEWUTS|CLONE_NEWUSER)", "prctl(PR_CAPBSET_DROP, 21)"},
				Steps: []harness.Step{
					{Text: "unshare(CLONE_NEWUTS|CLONE_NEWUSER)"},
					{Text: fmt.Sprintf(`writev(</proc/self/uid_map>, "0 %d 1")`, os.Geteuid())},
					{Text: `execve("/bin/hostname")`},
				},
			},
			says: "needs CAP_SYS_ADMIN, and your program drops capabilities",
		},
		{
			name:   "a name that is not changed, because the map came too late",
			clue:   hostnameRefused,
			script: "step2-namespaces/hostname-in", ran: "hostname x",
			conduct: harness.Conduct{
				Ran: []string{"/bin/hostname"}, Words: [][]string{{"hostname", "x"}},
				Made: []string{"clone(CLONE_NEWUTS|CLONE_NEWUSER)"},
				Steps: []harness.Step{
					{Text: "clone(CLONE_NEWUTS|CLONE_NEWUSER)"},
					{Text: `execve("/bin/hostname")`, Process: 1},
					{Text: fmt.Sprintf(`write(</proc/7/uid_map>, "0 %d 1")`, os.Geteuid())},
				},
			},
			says: "First the maps have to be written",
		},
		{
			name: "a command that is not known to a program that knows run",
			clue: runNotKnown, ran: "true", said: "invalid command: true",
		},
		{
			name: "a word that is not known to the second copy",
			clue: runNotKnown, ran: "true", said: "unknown command",
			conduct: harness.Conduct{
				Ran: []string{"/proc/self/exe"}, Words: [][]string{{"container", "child", "true"}},
			},
		},
		{
			name: "the command failed, and why is not known",
			clue: runNotKnown, ran: "true", said: "command failed: unknown error",
		},
		{
			name: "another thing that is bad, and a command that comes later",
			clue: runNotKnown, ran: "true", said: "bad rootfs, command not started",
		},
		{
			name: "a tool that does not know its command",
			clue: runNotKnown, ran: "true", said: "unknown command",
			conduct: harness.Conduct{
				Ran: []string{"/usr/bin/nft"}, Words: [][]string{{"nft", "make", "it"}},
			},
		},
		{
			name: "the word run that is not known, by its name",
			clue: runNotKnown, ran: "true", said: "error: unrecognized subcommand 'run'",
			says: "Does it know the word run?",
		},
		{
			name: "nobody, and nothing refused",
			clue: nobodyInside, ran: "cat letter", said: "letter: No such file or directory",
			conduct: harness.Conduct{
				Ran: []string{"/bin/cat"}, Words: [][]string{{"cat", "letter"}},
				Made: []string{"unshare(CLONE_NEWUSER)"},
			},
		},
		{
			name: "other words",
			clue: wrongWords, ran: "echo 'one two'",
			conduct: harness.Conduct{
				Ran: []string{"/bin/echo"}, Words: [][]string{{"echo", "one", "two"}},
			},
			says: `with "one" "two" after its name, and the command line has "one two" there`,
		},
		{
			name: "a tool without a command",
			clue: bareShell, ran: "true",
			conduct: harness.Conduct{
				Ran:   []string{"/usr/bin/unshare", "/bin/bash"},
				Words: [][]string{{"unshare", "--uts"}, {"-bash"}},
			},
			says: "unshare(1) starts an interactive shell",
		},
		{
			name: "a tool without a command, where none was given",
			clue: bareShell, ran: "",
			conduct: harness.Conduct{
				Ran:   []string{"/usr/sbin/chroot", "/bin/sh"},
				Words: [][]string{{"chroot", "rootfs"}, {"sh", "-i"}},
			},
			says: "No command was given, and chroot(1) starts an interactive shell then",
		},
		{
			name: "a tool without a command, and after that one with a command",
			clue: bareShell, ran: "sh -i",
			conduct: harness.Conduct{
				Ran: []string{"/usr/bin/unshare", "/usr/sbin/chroot", "/bin/sh"},
				Words: [][]string{
					{"unshare", "--uts"}, {"chroot", "rootfs", "sh", "-i"}, {"sh", "-i"},
				},
				Wrote: []string{"/bin/sh"},
			},
		},
		{
			name: "a tool that tells what it can do, and a shell of its own",
			clue: bareShell, ran: "sh -i",
			conduct: harness.Conduct{
				Ran:   []string{"/usr/bin/unshare", "/bin/sh"},
				Words: [][]string{{"unshare", "--help"}, {"sh", "-i"}},
				Wrote: []string{"/bin/sh"},
			},
		},
		{
			name: "a tool without a command, and a shell with a line",
			clue: bareShell, ran: "sh -c pwd",
			conduct: harness.Conduct{
				Ran:   []string{"/usr/bin/unshare", "/bin/sh"},
				Words: [][]string{{"unshare", "--uts"}, {"sh", "-c", "pwd"}},
				Wrote: []string{"/bin/sh"},
			},
		},
		{
			name: "pivot_root that was refused, and chroot, which is enough",
			clue: rootCall, script: "step3-rootfs/root-is-rootfs", ran: "pwd",
			conduct: harness.Conduct{
				Refused: []harness.Refusal{
					refused("pivot_root", `pivot_root(".", ".")`, "EINVAL", ""),
				},
				Made: []string{`chroot("rootfs")`},
			},
		},
		{
			name: "pivot_root that was refused, and chroot, which is not enough",
			clue: rootCall, script: "step3-rootfs/host-dot-dot", ran: "pwd",
			conduct: harness.Conduct{
				Refused: []harness.Refusal{
					refused("pivot_root", `pivot_root(".", ".")`, "EINVAL", ""),
				},
				Made: []string{`chroot("rootfs")`},
			},
			says: "pivot_root(",
		},
		{
			name: "words in one",
			clue: wrongWords, ran: "echo one two three",
			conduct: harness.Conduct{
				Ran: []string{"/bin/echo"}, Words: [][]string{{"echo", "one two, three"}},
			},
			says: "Here are several words in one",
		},
		{
			name: "a network that step 1 does not need",
			clue: noNetwork, script: "step1-skeleton/command-runs", ran: "true",
			said: "mine: network is unreachable",
			says: "Networks of containers are the business of step 5",
		},
		{
			name: "a network that a tool waits for",
			clue: noNetwork, script: "step1-skeleton/command-runs", ran: "true",
			waiting: "`container run true` was waiting for `/usr/lib/apt/methods/http`, which " +
				"was in pselect(2), waiting for a descriptor to be ready",
			says: "no network on the throw-away host",
		},
		{
			name: "another tool that is waited for",
			clue: noNetwork, script: "step1-skeleton/command-runs", ran: "true",
			waiting: "`container run true` was waiting for `sh -c 'sleep 9' curl`, which was in " +
				"wait4(2), waiting for the end of a child process",
		},
		{
			name: "a file that a tool looked for before it waited for a network",
			clue: blamed, script: "step1-skeleton/command-runs", ran: "true",
			waiting: "`container run true` was waiting for `curl -O https://example.com/a.tar`, " +
				"which was in ppoll(2), waiting for a descriptor to be ready",
			conduct: harness.Conduct{Stderr: noSuchFile, Refused: []harness.Refusal{{
				Call: "openat", Errno: "ENOENT", By: "/usr/bin/curl",
				Text: `openat(AT_FDCWD, "/root/.curlrc")`, Looks: true,
			}}},
		},
		{
			name: "a network that a chapter needs",
			clue: noNetwork, script: "step5-complete/net-bridge", ran: "true",
			said: "mine: network is unreachable",
		},
		{
			name: "words that are lost, of a command behind flags",
			clue: wrongWords, script: "step4-cgroups/limits-small",
			ran: "-memory 64M -pids 24 echo one two",
			conduct: harness.Conduct{
				Ran: []string{"/bin/echo"}, Words: [][]string{{"echo", "one"}},
			},
			says: `with "one" after its name, and the command line has "one" "two" there`,
		},
		{
			name: "a command behind flags",
			clue: wrongWords, script: "step4-cgroups/limits-small",
			ran: "-memory 64M -pids 24 echo one two",
			conduct: harness.Conduct{
				Ran: []string{"/bin/echo"}, Words: [][]string{{"echo", "one", "two"}},
			},
		},
		{
			name: "a word that is left out, and has no letter",
			clue: wrongWords, ran: "echo one -- two",
			conduct: harness.Conduct{
				Ran: []string{"/bin/echo"}, Words: [][]string{{"echo", "one", "two"}},
			},
			says: `the command line has "one" "--" "two" there`,
			not:  "several words in one",
		},
		{
			name: "a shell as the command, and its line is left out",
			clue: wrongWords, ran: "sh -c pwd",
			conduct: harness.Conduct{
				Ran: []string{"/bin/sh"}, Words: [][]string{{"sh", "-c"}},
			},
			says: `sh was executed with "-c" after its name`,
		},
		{
			name: "a shell as the command, with its words",
			clue: wrongWords, ran: "sh -c pwd",
			conduct: harness.Conduct{
				Ran: []string{"/bin/sh"}, Words: [][]string{{"sh", "-c", "pwd"}},
			},
		},
		{
			name: "a word that is left out by a program whose interpreter a shell finds",
			clue: wrongWords, ran: "echo one two",
			conduct: harness.Conduct{
				Ran: []string{"/usr/bin/bash", "/usr/bin/python3", "/bin/echo"},
				Words: [][]string{
					{"bash", "/srv/shims/python3", "/srv/container", "run", "echo", "one", "two"},
					{"python3", "/srv/container", "run", "echo", "one", "two"},
					{"echo", "two"},
				},
			},
			says: `echo was executed with "two" after its name`,
		},
		{
			name: "a shell that finds the interpreter, and gets the option of the command",
			clue: wrongWords, ran: "sh -c pwd",
			conduct: harness.Conduct{
				Ran: []string{"/usr/bin/bash", "/usr/bin/python3", "/bin/sh"},
				Words: [][]string{
					{"bash", "/home/me/shims/python3", "/srv/container", "run", "sh", "-c", "pwd"},
					{"python3", "/srv/container", "run", "sh", "-c", "pwd"},
					{"sh", "-c"},
				},
			},
			says: `sh was executed with "-c" after its name`,
		},
		{
			name: "a shell that gets the command in its line, after an option with a word",
			clue: wrongWords, ran: "sh -c pwd",
			conduct: harness.Conduct{
				Ran: []string{"/usr/bin/bash", "/bin/sh"},
				Words: [][]string{
					{"bash", "-e", "-o", "pipefail", "-c", "sh -c pwd"},
					{"sh", "-c"},
				},
			},
		},
		{
			name: "a program that is a script for a shell, which knows the command",
			clue: wrongWords, ran: "echo one two",
			conduct: harness.Conduct{
				Ran: []string{"/usr/bin/env", "/usr/bin/bash", "/usr/bin/cp", "/bin/echo"},
				Words: [][]string{
					{"/usr/bin/env", "bash", "/srv/container", "run", "echo", "one", "two"},
					{"bash", "/srv/container", "run", "echo", "one", "two"},
					{"cp", "/srv/container", "rootfs/container"},
					{"echo", "two"},
				},
			},
		},
		{
			name: "other words of an own use of the same program",
			clue: wrongWords, ran: "cat letter",
			conduct: harness.Conduct{
				Ran:   []string{"/usr/bin/cat", "/bin/cat"},
				Words: [][]string{{"cat", "/etc/hostname"}, {"/bin/cat", "letter"}},
			},
		},
		{
			name: "a tool of the program that has the name of the command",
			clue: wrongWords, ran: "hostname",
			conduct: harness.Conduct{
				Ran: []string{"/usr/bin/hostname"}, Words: [][]string{{"hostname", "inside"}},
			},
		},
		{
			name: "executed, and nothing else is known",
			clue: facts, script: "step1-skeleton/streams", ran: "cat",
			conduct: harness.Conduct{
				Ran: []string{"/usr/bin/cat"}, Words: [][]string{{"cat"}},
			},
		},
		{
			name: "words by way of a shell that knows the command",
			clue: wrongWords, ran: "echo one",
			conduct: harness.Conduct{
				Ran:   []string{"/bin/echo", "/bin/sh"},
				Words: [][]string{{"echo", "hello"}, {"sh", "-c", `"$@"`, "sh", "echo", "one"}},
			},
		},
		{
			name: "no words after the line of a shell",
			clue: shellLine, ran: "echo one",
			conduct: shellOf("hostname c; exec \"$@\""),
			says:    `got a line with $@ in it, and no words after the line`,
		},
		{
			name: "no name after the line of a shell",
			clue: shellLine, ran: "echo one",
			conduct: shellOf(`"$@"`, "echo", "one"),
			says:    "$@ begins with the second one: echo was left out",
		},
		{
			name: "words that a line of a shell ends with",
			clue: shellLine, ran: "echo one",
			conduct: shellOf("hostname c; echo", "one"),
			says:    "ends with echo, and the other words of the command came after the line",
		},
		{
			name: "a name, and all words after the line of a shell",
			clue: shellLine, ran: "echo one",
			conduct: shellOf(`exec "$@"`, "sh", "echo", "one"),
		},
		{
			name: "a line of a shell that takes the name for the command",
			clue: shellLine, ran: "echo one",
			conduct: shellOf(`exec "$0" "$@"`, "echo", "one"),
		},
		{
			name: "a line of a shell that sets something up",
			clue: shellLine, ran: "echo one",
			conduct: shellOf("hostname container"),
		},
		{
			name: "a line of a shell with a function that has words of its own",
			clue: shellLine, ran: "echo one",
			conduct: shellOf("must() { \"$@\" || exit 1; }; must hostname c; exec echo one"),
		},
		{
			name: "a line of a shell that sets its words",
			clue: shellLine, ran: "echo one",
			conduct: shellOf(`set -- echo one; hostname c && exec "$@"`),
		},
		{
			name: "a line of a shell that has the command, and a function of bash",
			clue: shellLine, ran: "echo one",
			conduct: shellOf("function must { \"$@\" || exit 1; }; must hostname c; exec echo one"),
		},
		{
			name: "a line of a shell that has the command, for another shell",
			clue: shellLine, ran: "echo one",
			conduct: shellOf(`unshare -u sh -c 'hostname c && exec "$@"' sh echo one`),
		},
		{
			name: "a line of a shell that takes the name for the command, in braces",
			clue: shellLine, ran: "echo one",
			conduct: shellOf(`exec "${0}" "${@}"`, "echo", "one"),
		},
		{
			name: "no name after a line of a shell with braces",
			clue: shellLine, ran: "echo one",
			conduct: shellOf(`exec "${@}"`, "echo", "one"),
			says:    "begins with the second one: echo was left out",
		},
		{
			name: "a line of a shell that has the command, and takes its word from $0",
			clue: shellLine, ran: "echo one",
			conduct: shellOf(`hostname c; exec echo "$0"`, "one"),
		},
		{
			name: "a line of a shell that ends with the command, and other words after it",
			clue: shellLine, ran: "echo one",
			conduct: shellOf("hostname c; echo", "sh"),
		},
		{
			name: "a tool of the program that is also an argument of the command",
			clue: clue, ran: "probe mount tmpfs /tmp",
			conduct: harness.Conduct{
				Refused: []harness.Refusal{{
					Call: "execve", Text: `execve("/usr/bin/mount")`, Errno: "ENOENT", Inside: true,
				}},
				Made: []string{`chroot("rootfs")`},
			},
			says: "/usr/bin/mount is where the host has mount",
		},
		{
			name: "a tool that is nowhere, and also an argument of the command",
			clue: clue, ran: "probe unshare mnt",
			conduct: harness.Conduct{
				Refused: []harness.Refusal{
					refused("execve", `execve("/opt/unshare")`, "ENOENT", ""),
				},
			},
			says: "Your program runs unshare, which is not on this machine",
		},
		{
			name: "a shell of the program that is also an argument of the command",
			clue: clue, ran: "su nobody -s /bin/sh -c id",
			conduct: harness.Conduct{
				Refused: []harness.Refusal{{
					Call: "execve", Text: `execve("/bin/sh")`, Errno: "ENOENT", Inside: true,
				}},
			},
			says: "Your program wants to execute /bin/sh",
		},
		{
			name: "an argument that is looked for in directories",
			clue: clue, ran: "echo one",
			conduct: harness.Conduct{
				Refused: []harness.Refusal{
					refused("execve", `execve("/usr/bin/one")`, "ENOENT", ""),
				},
			},
			says: `"one" was to be executed`,
		},
		{
			name: "words that the script does not spell out",
			clue: wrongWords, ran: "cat $WORK/letter",
			conduct: harness.Conduct{
				Ran: []string{"/bin/cat"}, Words: [][]string{{"cat", "/tmp/1/letter"}},
			},
		},
		{
			name: "a tool wrote",
			clue: writtenByOther, ran: "true",
			conduct: harness.Conduct{Wrote: []string{"/usr/sbin/ip"}},
			says:    "Your program runs ip, which wrote this",
		},
		{
			name: "a tool wrote, and the program itself",
			clue: writtenByOther, ran: "true",
			conduct: harness.Conduct{Wrote: []string{"/usr/sbin/ip", "/proc/self/exe"}},
		},
		{
			name: "another interpreter wrote, which is the program",
			clue: writtenByOther, ran: "true",
			conduct: harness.Conduct{Wrote: []string{"/usr/bin/mawk"}},
		},
		{
			name: "an interpreter wrote, which is the program",
			clue: writtenByOther, ran: "true",
			conduct: harness.Conduct{Wrote: []string{"/usr/bin/python3.11"}},
		},
		{
			name: "the command wrote what it had to say",
			clue: writtenByOther, ran: "cat letter",
			conduct: harness.Conduct{
				Wrote: []string{"/bin/cat"}, RanInside: []string{"/bin/cat"},
			},
		},
		{
			name:   "a mount that was refused first, and made in another way",
			clue:   func(e harness.Event) string { return wentOn(findCause(e)) },
			script: "step3-rootfs/ps-alone", ran: "ps",
			conduct: harness.Conduct{
				Status: "exit status 0",
				Ran:    []string{"/bin/ps"}, Words: [][]string{{"ps"}},
				Refused: []harness.Refusal{
					refused("mount", `mount("proc", "/proc", "proc", MS_RDONLY)`, "EPERM", ""),
				},
				Made: []string{
					"clone(CLONE_NEWPID|CLONE_NEWNS)", `mount("proc", "/proc", "proc", 0x0)`,
				},
			},
		},
		{
			name:   "a mount that was refused",
			clue:   func(e harness.Event) string { return wentOn(findCause(e)) },
			script: "step3-rootfs/ps-alone", ran: "ps",
			conduct: harness.Conduct{
				Status: "exit status 0",
				Ran:    []string{"/bin/ps"}, Words: [][]string{{"ps"}},
				Refused: []harness.Refusal{
					refused("mount", `mount("proc", "/proc", "proc", MS_RDONLY)`, "EPERM", ""),
				},
				Made: []string{"clone(CLONE_NEWPID|CLONE_NEWNS)", `chroot("rootfs")`},
			},
			says: "The promise needs this call. It failed with EPERM",
		},
		{
			name: "chroot(2) in the place of pivot_root(2), and another thing is missing",
			clue: func(e harness.Event) string {
				if r := ignored(e); r != nil {
					return r.Text
				}
				return ""
			},
			script: "step3-rootfs/ps-alone", ran: "ps",
			conduct: harness.Conduct{
				Ran: []string{"/bin/ps"}, Words: [][]string{{"ps"}},
				Refused: []harness.Refusal{
					refused("pivot_root", `pivot_root("rootfs", "rootfs/tmp")`, "EINVAL", ""),
				},
				Made: []string{"unshare(CLONE_NEWPID|CLONE_NEWNS)", `chroot("rootfs")`},
			},
		},
		{
			name: "groups of another user, without a user namespace",
			clue: func(e harness.Event) string {
				c := findCause(e)
				c.call = "setgroups"
				return groupsTooLate(c)
			},
			ran: "-user 1000 id",
			conduct: harness.Conduct{
				Refused: []harness.Refusal{refused("setgroups", "setgroups(0)", "EPERM", "")},
				Made:    []string{"clone(CLONE_NEWUTS)"},
			},
		},
		{
			name: "root that has too few rights", clue: capsetAlone,
			script: "step5-complete/root-rights", ran: "probe as 1000 id -u",
			conduct: harness.Conduct{
				Made: []string{"capset(...)", "prctl(PR_SET_NO_NEW_PRIVS, 1)"},
			},
		},
		{
			name: "two paths in the wrong order", clue: clue, ran: "true",
			conduct: harness.Conduct{
				Refused: []harness.Refusal{
					refused("pivot_root", `pivot_root("rootfs/old", "rootfs")`, "EINVAL", ""),
				},
				Made: []string{"unshare(CLONE_NEWNS)", `mount("", "/", "", MS_REC|MS_PRIVATE)`},
			},
			says: "they are the other way round",
		},
		{
			name: "two paths in the right order", clue: clue, ran: "true",
			conduct: harness.Conduct{
				Refused: []harness.Refusal{
					refused("pivot_root", `pivot_root(".", "old")`, "EINVAL", ""),
				},
				Made: []string{"unshare(CLONE_NEWNS)", `mount("", "/", "", MS_REC|MS_PRIVATE)`},
			},
			says: "has to be a mount point",
		},
		{
			name: "pivot_root without a mount namespace", clue: clue, ran: "true",
			conduct: harness.Conduct{
				Refused: []harness.Refusal{
					refused("pivot_root", `pivot_root("rootfs", "rootfs/old")`, "EINVAL", ""),
				},
				Made: []string{
					"clone(CLONE_NEWUTS|CLONE_NEWPID)", `mount("rootfs", "rootfs", "", MS_BIND)`,
				},
			},
			says: "None of your processes asked for a mount namespace",
			not:  "Make all mounts private",
		},
		{
			name: "only / is private", clue: clue, ran: "true",
			conduct: harness.Conduct{
				Refused: []harness.Refusal{
					refused("pivot_root", `pivot_root(".", ".")`, "EINVAL", ""),
				},
				Made: []string{
					"unshare(CLONE_NEWNS)",
					`mount("", "/", "", MS_PRIVATE)`, `mount("rootfs", "rootfs", "", MS_BIND)`,
					`chdir("rootfs")`,
				},
			},
			says: "made / private without MS_REC",
		},
		{
			name: "only / is private, and the place for the old root is elsewhere", clue: clue,
			ran: "true",
			conduct: harness.Conduct{
				Refused: []harness.Refusal{
					refused("pivot_root", `pivot_root("rootfs", "old")`, "EINVAL", ""),
				},
				Made: []string{
					"unshare(CLONE_NEWNS)",
					`mount("", "/", "", MS_PRIVATE)`, `mount("rootfs", "rootfs", "", MS_BIND)`,
				},
			},
			says: "has to be in or below the new one",
		},
		{
			name: "only / is a slave", clue: clue, ran: "true",
			conduct: harness.Conduct{
				Refused: []harness.Refusal{
					refused("pivot_root", `pivot_root("rootfs", "rootfs/old")`, "EINVAL", ""),
				},
				Made: []string{
					"unshare(CLONE_NEWNS)",
					`mount("", "/", "", MS_SLAVE)`, `mount("rootfs", "rootfs", "", MS_BIND)`,
				},
			},
			says: "made / a slave without MS_REC",
		},
		{
			name: "the old root is not in the working directory",
			clue: func(e harness.Event) string {
				e.Message = "exit status 125"
				return clue(e)
			},
			ran: "true",
			conduct: harness.Conduct{
				Refused: []harness.Refusal{
					refused("umount2", `umount2(".", MNT_DETACH)`, "EINVAL", ""),
				},
				Made: []string{`pivot_root("rootfs", "rootfs")`},
			},
			says: "none of your processes has called chdir(2)",
		},
		{
			name: "a root that is the root already",
			clue: func(e harness.Event) string {
				e.Message = "exit status 125"
				return clue(e)
			},
			ran: "true",
			conduct: harness.Conduct{
				Refused: []harness.Refusal{
					{Call: "chroot", Text: `chroot("rootfs")`, Errno: "ENOENT", Inside: true},
				},
				Made:  []string{`chroot("rootfs")`},
				Ran:   []string{"/proc/self/exe", "/proc/self/exe"},
				Words: [][]string{{"exe", "child", "true"}, {"exe", "child", "true"}},
			},
			says: "rootfs is the root already: chroot(2) succeeded before, and there is no " +
				"directory of that name in it. Your program started itself 2 times",
		},
		{
			name: "a panic after a command that cannot be executed",
			clue: func(e harness.Event) string {
				e.Message = "exit status 2"
				return clue(e)
			},
			ran: "true", said: "panic: interface conversion: error is *fs.PathError, not " +
				"*exec.ExitError\n",
			conduct: harness.Conduct{
				Refused: []harness.Refusal{
					{
						Call: "execve", Text: `execve("/usr/bin/true")`, Errno: "ENOENT",
						Inside: true,
					},
				},
				Made: []string{`chroot("rootfs")`},
			},
			says: "/usr/bin/true is where the host has true",
		},
		{
			name: "a status that is known, and a call that was refused before",
			clue: func(e harness.Event) string {
				e.Message = "exit status 1, want 42"
				return clue(e) + fmt.Sprint(lastRefused(e))
			},
			ran: "sh -c 'exit 42'", said: "Error: exit status 42\n",
			conduct: harness.Conduct{
				Refused: []harness.Refusal{
					refused("mkdir", `mkdir("/sys/fs/cgroup/mine")`, "EROFS", ""),
				},
				Ran:   []string{"/bin/sh"},
				Words: [][]string{{"sh", "-c", "exit 42"}},
			},
			says: "It has to end with it, too: exit(42). So has the other.<nil>",
		},
		{
			name: "another status",
			clue: func(e harness.Event) string {
				e.Message = "exit status 1, want 42"
				return clue(e)
			},
			script: "step1-skeleton/exit-status", ran: "sh -c 'exit 42'",
			conduct: harness.Conduct{
				Ran: []string{"/bin/sh"}, Words: [][]string{{"sh", "-c", "exit 42"}},
			},
			says: "The command ended with 42, and your program with 1.",
		},
		{
			name: "a status that is lost, of a command that a signal ended",
			clue: func(e harness.Event) string {
				e.Message = "exit status 0, want 137"
				return statusLost(e)
			},
			script: "step4-cgroups/memory-hog", ran: "probe hog 64",
			conduct: harness.Conduct{
				Ran: []string{"/bin/probe"}, Words: [][]string{{"probe", "hog", "64"}},
			},
			says: "That is 0 where a signal ended the command (WIFSIGNALED)",
		},
		{
			name: "a command that runs where the program was to end with its own status",
			clue: func(e harness.Event) string {
				e.Message = "exit status 0, want 2"
				return statusLost(e)
			},
			script: "step2-namespaces/ns-unknown", ran: "-ns uts,moon true",
			conduct: harness.Conduct{Ran: []string{"/bin/true"}, Words: [][]string{{"true"}}},
		},
		{
			name: "a program that a signal ends",
			clue: func(e harness.Event) string {
				e.Message = "exit status 139, want 42"
				return statusOther(e)
			},
			script: "step1-skeleton/exit-status", ran: "sh -c 'exit 42'",
			conduct: harness.Conduct{
				Ran: []string{"/bin/sh"}, Words: [][]string{{"sh", "-c", "exit 42"}},
			},
		},
		{
			name: "a signal that the program names",
			clue: func(e harness.Event) string {
				e.Message, e.Stdout = "exit status 255, want 137", "sleep was killed\n"
				return clue(e)
			},
			script: "step1-skeleton/exit-status-signal", said: "signal: killed\n",
			says: "add 128 to its number",
		},
		{
			name: "a signal, and lines of the program's own",
			clue: func(e harness.Event) string {
				e.Message, e.Stdout = "exit status 0, want 137", "sleep was killed\n"
				return clue(e)
			},
			script: "step1-skeleton/exit-status-signal",
			said:   "Parent running sleep 6137 as 1040\nError: exit status 255\n",
			says:   "A signal ended the command, and your program ended with 0",
		},
		{
			name: "no signal, but an error",
			clue: func(e harness.Event) string {
				e.Message, e.Stdout = "exit status 1, want 137", "sleep was killed\n"
				return clue(e)
			},
			script: "step1-skeleton/exit-status-signal",
			said:   "Parent running sleep 6137 as 1040\nError: mount failed\n",
		},
		{
			name: "a map that was written before", clue: clue, ran: "true",
			conduct: harness.Conduct{
				Refused: []harness.Refusal{refused("write", ownMap, "EPERM", "")},
				Made:    []string{"clone(CLONE_NEWUSER)", itsMap},
				Steps: []harness.Step{
					{Text: "clone(CLONE_NEWUSER)"},
					{Text: itsMap},
					{Text: ownMap, Errno: "EPERM", Process: 1},
				},
			},
			says: "written this map before: " + itsMap,
		},
		{
			name: "a map that was written later", clue: clue, ran: "true",
			conduct: harness.Conduct{
				Refused: []harness.Refusal{refused("write", ownMap, "EPERM", "")},
				Made:    []string{"clone(CLONE_NEWUSER)", itsMap},
				Steps: []harness.Step{
					{Text: "clone(CLONE_NEWUSER)"},
					{Text: ownMap, Errno: "EPERM", Process: 1},
					{Text: itsMap},
				},
			},
			says: "Only root of the host may map",
		},
		{
			name: "a root file system of its own", clue: rootfsMade,
			script: "step3-rootfs/rootfs-missing", ran: "echo started",
			conduct: harness.Conduct{Made: []string{`mkdirat(AT_FDCWD, "rootfs")`}},
			says:    "your program made one",
		},
		{
			name: "a root file system of its own, by its whole path", clue: rootfsMade,
			script: "step3-rootfs/rootfs-missing", ran: "echo started",
			conduct: harness.Conduct{Made: []string{`mkdir("$WORK/rootfs/proc")`}},
			says:    "your program made one",
		},
		{
			name: "a place of its own for a root file system", clue: rootfsMade,
			script: "step3-rootfs/rootfs-missing", ran: "echo started",
			conduct: harness.Conduct{Made: []string{`mkdir("$WORK/.tmp/c-1/rootfs")`}},
		},
		{
			name: "a directory of its own", clue: rootfsMade,
			script: "step3-rootfs/rootfs-missing", ran: "echo started",
			conduct: harness.Conduct{Made: []string{`mkdirat(AT_FDCWD, "roots")`}},
		},
		{
			name: "another map that was written before", clue: clue, ran: "true",
			conduct: harness.Conduct{
				Refused: []harness.Refusal{refused("write", ownMap, "EPERM", "")},
				Made:    []string{"clone(CLONE_NEWUSER)", groupMap},
				Steps: []harness.Step{
					{Text: groupMap},
					{Text: ownMap, Errno: "EPERM", Process: 1},
				},
			},
			says: "Only root of the host may map",
		},
		{
			name: "a proc file system of the process that called unshare(2)", clue: procOfHost,
			script: "step3-rootfs/ps-alone", ran: "ps",
			conduct: harness.Conduct{
				Made: []string{"unshare(CLONE_NEWPID)", `mount("proc", "/proc", "proc", 0x0)`},
				Steps: []harness.Step{
					{Text: "unshare(CLONE_NEWPID)", Process: 1},
					{Text: `mount("proc", "/proc", "proc", 0x0)`, Process: 1},
				},
			},
			says: "is still in the pid namespace of the host",
		},
		{
			name: "a proc file system of the child", clue: procOfHost,
			script: "step3-rootfs/ps-alone", ran: "ps",
			conduct: harness.Conduct{
				Made: []string{"unshare(CLONE_NEWPID)", `mount("proc", "/proc", "proc", 0x0)`},
				Steps: []harness.Step{
					{Text: "unshare(CLONE_NEWPID)"},
					{Text: `mount("proc", "/proc", "proc", 0x0)`, Process: 1},
				},
			},
		},
		{
			name: "a proc file system of the child, by another call", clue: procOfHost,
			script: "step3-rootfs/ps-alone", ran: "ps",
			conduct: harness.Conduct{
				Made: []string{
					`mount("proc", "/proc", "proc", 0x0)`, "unshare(CLONE_NEWPID)",
					`move_mount(5, "", AT_FDCWD, "/proc")`,
				},
				Steps: []harness.Step{
					{Text: `mount("proc", "/proc", "proc", 0x0)`},
					{Text: "unshare(CLONE_NEWPID)"},
					{Text: `move_mount(5, "", AT_FDCWD, "/proc")`, Process: 1},
				},
			},
		},
		{
			name: "an old root in the table of mounts", clue: oldRootStays,
			script: "step3-rootfs/host-mountinfo", ran: "cat /proc/self/mountinfo",
			conduct: harness.Conduct{Made: []string{`pivot_root("rootfs", "rootfs/old")`}},
			says:    "the old root is still mounted",
		},
		{
			name: "an old root in the table of mounts, and another mount that is gone",
			clue: oldRootStays, script: "step3-rootfs/host-mountinfo",
			ran: "cat /proc/self/mountinfo",
			conduct: harness.Conduct{
				Made: []string{`pivot_root("rootfs", "rootfs/old")`, `umount2("/proc", 0x0)`},
			},
			says: "the old root is still mounted",
		},
		{
			name: "the directory of the old root",
			clue: func(e harness.Event) string {
				e.Stdout = "there is /oldrootfs\nlooked everywhere\n"
				return clue(e)
			},
			script: "step3-rootfs/host-old-root", ran: "sh /look secret-of-the-host",
			conduct: harness.Conduct{
				Ran: []string{"/bin/sh"}, Words: [][]string{{"sh", "/look", "secret-of-the-host"}},
				Made: []string{`pivot_root("rootfs", "rootfs/old")`, `umount2("/old", MNT_DETACH)`},
			},
			says: "rmdir(2) of /oldrootfs takes it away",
		},
		{
			name: "another mount in the table", clue: oldRootStays,
			script: "step3-rootfs/host-mountinfo", ran: "cat /proc/self/mountinfo",
			conduct: harness.Conduct{
				Made: []string{`pivot_root("rootfs", "rootfs/old")`, `umount2("/old", MNT_DETACH)`},
			},
		},
		{
			name: "a flag that is not known, and a call that was refused before",
			clue: rowOfRefused, ran: "-memory 64M true", said: "-memory: not found\n",
			conduct: harness.Conduct{
				Refused: []harness.Refusal{
					refused("mkdir", `mkdir("/sys/fs/cgroup/mine")`, "EROFS", ""),
				},
			},
		},
		{
			name: "the /proc of the host once more", clue: procOfHost,
			script: "step3-rootfs/ps-alone", ran: "ps",
			conduct: harness.Conduct{
				Made: []string{`mount("/proc", "rootfs/proc", ..., MS_BIND|MS_REC)`},
			},
			says: "puts the /proc of the host there once more",
		},
		{
			name: "the /proc of the host at another place", clue: procOfHost,
			script: "step3-rootfs/host-proc-root", ran: "sh /look",
			conduct: harness.Conduct{
				Made: []string{`mount("/proc", "rootfs/proc-of-host", ..., MS_BIND|MS_REC)`},
			},
		},
		{
			name: "the /proc of the host once more, and a new one by a path with / at the end",
			clue: procOfHost, script: "step3-rootfs/ps-alone", ran: "ps",
			conduct: harness.Conduct{
				Made: []string{
					`mount("/proc", "rootfs/proc", ..., MS_BIND|MS_REC)`,
					`mount("proc", "rootfs/proc/", "proc", 0x0)`,
				},
			},
		},
		{
			name: "the /proc of the host once more, and a new one", clue: procOfHost,
			script: "step3-rootfs/ps-alone", ran: "ps",
			conduct: harness.Conduct{
				Made: []string{
					`mount("/proc", "rootfs/old", ..., MS_BIND|MS_REC)`,
					`mount("proc", "rootfs/proc", "proc", 0x0)`,
				},
			},
		},
		{
			name:   "another call that was refused",
			clue:   func(e harness.Event) string { return wentOn(findCause(e)) },
			script: "step3-rootfs/ps-alone", ran: "ps",
			conduct: harness.Conduct{
				Status: "exit status 0",
				Ran:    []string{"/bin/ps"}, Words: [][]string{{"ps"}},
				Refused: []harness.Refusal{
					refused("mount", `mount("sysfs", "/sys", "sysfs", 0x0)`, "EPERM", ""),
				},
				Made: []string{"clone(CLONE_NEWPID|CLONE_NEWNS)"},
			},
		},
	} {
		e := harness.Event{}
		e.Script.Step, e.Script.Name, _ = strings.Cut(c.script, "/")
		e.Ran, e.Stderr, e.Conduct = "exec container run "+c.ran, c.said, &c.conduct
		e.Waiting = c.waiting
		if c.says == "" {
			require.Empty(t, c.clue(e), c.name)
		} else {
			require.Contains(t, c.clue(e), c.says, c.name)
		}
		if c.not != "" {
			require.NotContains(t, c.clue(e), c.not, c.name)
		}
	}
}

// TestExecuted tells whether the command was executed, also if there are flags before it. One that
// has to be refused because of a flag need not be.
func TestExecuted(t *testing.T) {
	for ran, want := range map[string]string{
		"exec container run echo one":                           "yes",
		"exec container run -memory 64M -pids 24 echo one":      "yes",
		"exits 3 container run -hostname true echo one":         "yes",
		"exec container run true":                               "no",
		"exec container run -memory 64M true":                   "no",
		"! exec container run true":                             "no",
		"! exec container run -memory nonsense true":            "",
		"exec container run -memory":                            "",
		"exec sh -c 'container run true | container run false'": "",
	} {
		var e harness.Event
		e.Script.Step = "step4-cgroups"
		e.Ran, e.Conduct = ran, &harness.Conduct{Ran: []string{"/bin/echo"}}
		require.Equal(t, want, executed(e), ran)
	}
	// What fexecve(3) executed has no path.
	var e harness.Event
	e.Ran = "exec container run true"
	e.Conduct = &harness.Conduct{Ran: []string{"/usr/bin/unshare", ""}}
	require.Empty(t, executed(e))
	e.Conduct.Ran = append(e.Conduct.Ran, "/bin/true")
	require.Equal(t, "yes", executed(e))
}

// TestMountOfCommand requires that a mount which the command itself could not make is not told as a
// call of the program, and no reason to make mounts private.
func TestMountOfCommand(t *testing.T) {
	root, err := moduleRoot()
	require.NoError(t, err)
	script, err := findScript(root, "step2-namespaces/mounts-out")
	require.NoError(t, err)
	const tmpfs = `mount("from-the-container", "/mnt", "tmpfs", 0x0)`
	e := harness.Event{Script: script}
	e.Line = lineOf(t, script, `stdout '^mounted$|ermission denied|not permitted|superuser'`)
	e.Message = "no match for `^mounted$` found in stdout"
	e.Ran, e.Stdout = "exec container run sh -c 'mount || true'", "mount: no such file\n"
	e.Conduct = &harness.Conduct{
		Made: []string{"unshare(CLONE_NEWNS)", "clone()"},
		Ran:  []string{"/bin/sh"}, Words: [][]string{{"sh", "-c", "mount || true"}},
		Status: "exit status 0",
		Refused: []harness.Refusal{
			{Call: "chroot", Text: `chroot("new")`, Errno: "EACCES", Process: 1},
			{Call: "mount", Text: tmpfs, Errno: "ENOENT", Process: 2},
		},
		Steps: []harness.Step{
			{Text: "unshare(CLONE_NEWNS)"},
			{Text: `chroot("new")`, Errno: "EACCES", Process: 1},
			{Text: `execve("/bin/sh")`, Process: 1},
			{Text: tmpfs, Errno: "ENOENT", Process: 2, Parent: 1},
		},
	}
	text := clue(e)
	require.Contains(t, text, `it went on: chroot("new")`)
	require.NotContains(t, text, "shared")
	require.NotContains(t, text, tmpfs)
}
