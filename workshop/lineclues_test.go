//go:build linux

package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"container.example/workshop/internal/harness"
)

// lineWords are programs that want something else than the scripts give them, and what they are
// told.
var lineWords = []faulty{
	{
		name: "a directory in the place of run",
		program: "#!/usr/bin/perl\nexit 2 if @ARGV < 2;\nunless (chroot($ARGV[0])) {\n" +
			"  print STDERR \"chroot: $!\\n\";\n  exit 1;\n}\nexec(@ARGV[2..$#ARGV]);\n",
		about: "step1-skeleton/command-runs",
		says:  []string{"takes the word run for the directory", "the directory rootfs where"},
		not:   []string{"take the relative path"},
	},
	{
		name: "a directory in the place of the command",
		program: "#!/usr/bin/perl\nexit 2 if @ARGV < 2;\nunless (chroot($ARGV[1])) {\n" +
			"  print STDERR \"chroot: $!\\n\";\n  exit 1;\n}\nexec(@ARGV[2..$#ARGV]);\n",
		about: "step1-skeleton/command-runs",
		says:  []string{`takes "true", which belongs to the command, for the directory`},
		not:   []string{"In a shell"},
	},
	{
		name: "an image in the place of the command",
		program: "#!/usr/bin/perl\nmy (undef, $image, $command, @args) = @ARGV;\n" +
			"exit 0 if $image eq 'true';\n" +
			"unless (-x $command) {\n  print STDERR \"$command: $!\\n\";\n  exit 1;\n}\n",
		about: "step1-skeleton/command-runs",
		says: []string{
			`looks for a file "the command ran"`, "the command is the word after run, here echo",
		},
		not: []string{"brought along"},
	},
	{
		name:    "an option that is required",
		program: "#!/usr/bin/perl\nprint \"--image is required\\n\";\nexit 1;\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{`misses something on its command line, and says: "--image is required"`},
		not:     []string{"says nothing of an error"},
	},
	{
		name: "the usage after the error, in the same line",
		program: "#!/usr/bin/perl\n" +
			"print STDERR \"Error: Failure(\\\"Usage: mine run CMD -d DIR\\\")\\n\";\nexit 2;\n",
		about: "step1-skeleton/command-runs",
		says:  []string{"prints how it wants to be called"},
	},
	{
		name:    "words that are no error",
		program: "#!/usr/bin/perl\nprint \"Only on Tuesdays\\n\";\nexit 1;\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{`The last that it wrote is: "Only on Tuesdays"`},
	},
	{
		name:    "a variable that nobody has set",
		program: "#!/usr/bin/python3\nimport os\nos.chroot(os.environ['IMAGE_DIR'])\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{"wants a variable IMAGE_DIR in its environment"},
	},
	{
		name:    "a table without such a key",
		program: "#!/usr/bin/python3\nflags = {'CLONE_NEWUTS': 1}\nprint(flags['CLONE_NEWIPC'])\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{"panic: KeyError: 'CLONE_NEWIPC'"},
		not:     []string{"environment"},
	},
	{
		name:    "a variable of a shell that has another name where it is set",
		program: "#!/bin/sh\nset -u\nNEW_ROOT=rootfs\ncd \"$NEWROOT\"\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{"uses a variable NEWROOT, which has no value", "one of your own"},
		not:     []string{"wants a variable"},
	},
	{
		name:    "a library that is not installed",
		program: "#!/usr/bin/python3\nimport containerlib.mounts\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{"Your program needs containerlib", "beside your program"},
	},
	{
		name: "a library that it can do without, in Python",
		program: "#!/usr/bin/python3\nimport sys, traceback\ntry:\n    import prctl\n" +
			"except ImportError:\n    traceback.print_exc()\nprint(sys.argv[9])\n",
		about: "step1-skeleton/command-runs",
		says:  []string{"panic: IndexError: list index out of range"},
		not:   []string{"Your program needs prctl"},
	},
	{
		name: "a library that it can do without, in Perl",
		program: "#!/usr/bin/perl\neval { require Linux::Prctl; 1 } or warn $@;\n" +
			"exec('/no/such/tool', @ARGV);\nexit 1;\n",
		about: "step1-skeleton/command-runs",
		says:  []string{"seen: exit status 1"},
		not:   []string{"Your program needs Linux"},
	},
	{
		name: "lines of its own before those of the command",
		program: "#!/bin/sh\ntest \"$1\" = run || exit 2\nshift\n" +
			"test \"$1\" = true || echo \"Running $*\"\n" +
			"exec unshare --mount chroot rootfs \"$@\"\n",
		about: "step3-rootfs/root-is-rootfs",
		says:  []string{`"Running ls /" is your program's own`},
	},
	{
		name: "a directory that cannot be made where there is no root file system, on purpose",
		program: "#!/usr/bin/perl\nunless (-d 'rootfs/proc' or mkdir 'rootfs/proc') {\n" +
			"  print STDERR \"rootfs/proc: $!\\n\";\n  exit 1;\n}\nshift;\n" +
			inRootfs,
		about: "step3-rootfs/rootfs-missing",
		says:  []string{"There is none here, on purpose"},
		not:   []string{"is the root changed already"},
	},
	{
		name: "no root file system, on purpose, and a line that does not name it",
		program: "#!/usr/bin/perl\nunless (-d 'rootfs/proc') {\n" +
			"  print STDERR \"mine: $!\\n\";\n  exit 125;\n}\nshift;\n" +
			inRootfs,
		about: "step3-rootfs/rootfs-missing",
		says:  []string{"your program ends as it should", "has to name what is missing, rootfs"},
		not:   []string{"with status 125"},
	},
	{
		name: "a cgroup that nobody asked for",
		program: "#!/usr/bin/perl\nunless (mkdir '/sys/fs/cgroup/mine') {\n" +
			"  print STDERR \"mkdir /sys/fs/cgroup/mine: $!\\n\";\n  exit 1;\n}\n",
		step:  "step1-skeleton",
		about: "step4-cgroups/limits-none",
		says:  []string{"No limit was asked for", "make one only where -memory"},
		not:   []string{"version 1", "read-only here"},
	},
	{
		name: "a cgroup that it can do without, and a signal that it does not look for",
		program: "#!/usr/bin/perl\nexit 2 if @ARGV < 2 || shift ne 'run';\n" +
			"print STDERR \"[WARNING] no cgroup: mkdir /sys/fs/cgroup/mine: " +
			"Read-only file system\\n\";\n" +
			"my $pid = fork // die;\nexec(@ARGV) or exit 127 unless $pid;\n" +
			"waitpid($pid, 0);\nexit($? >> 8);\n",
		step:  "step1-skeleton",
		about: "step1-skeleton/exit-status-signal",
		says:  []string{"A signal ended the command, and your program ended with 0"},
		not:   []string{"limit"},
	},
	{
		name: "a cgroup that it can do without, and a tip on standard output",
		program: "#!/usr/bin/perl\nif (@ARGV < 2 || shift ne 'run') {\n" +
			"  print STDERR \"container run CMD\\n\";\n  exit 2;\n}\n" +
			"mkdir '/sys/fs/cgroup/mine' or print STDERR \"warning: mkdir: $!\\n\";\n" +
			"my $pid = fork // die;\nunless ($pid) {\n  exec(@ARGV) if $ARGV[0] ne '';\n" +
			"  my $e = $! + 0;\n  print STDERR \"$ARGV[0]: $!\\n\";\n" +
			"  print \"Tip: ask\\n\" if $ARGV[0] eq '';\n" +
			"  exit($e == 2 ? 127 : 126);\n}\nwaitpid($pid, 0);\n" +
			"$SIG{TERM} = 'IGNORE';\nexit($? & 127 ? 128 + ($? & 127) : $? >> 8);\n",
		step:  "step1-skeleton",
		about: "step1-skeleton/usage",
		says:  []string{"seen: Tip: ask", "this is your program's own"},
		not:   []string{"limit", "cgroup"},
	},
	{
		name: "no error at all, and words that all is well",
		program: "#!/bin/sh\ntest \"$1\" = run && test $# -gt 1 ||\n" +
			"	{ echo Starting the container; exit 2; }\nshift\nexec \"$@\"\n",
		step:  "step1-skeleton",
		about: "step1-skeleton/usage",
		says:  []string{"seen: nothing on standard error"},
		not:   []string{"says it on standard output"},
	},
	{
		name: "an error on standard output",
		program: "#!/usr/bin/perl\nexit 2 if @ARGV < 2 || shift ne 'run';\n" +
			"my $pid = fork // die;\nunless ($pid) {\n  exec(@ARGV) or " +
			"print(\"$ARGV[0]: $!\\n\");\n  exit(127);\n}\nwaitpid($pid, 0);\n" +
			"exit($? & 127 ? 128 + ($? & 127) : $? >> 8);\n",
		step:  "step1-skeleton",
		about: "step1-skeleton/command-not-found",
		says:  []string{"says it on standard output", "descriptor 2"},
	},
	{
		name: "errno after another call",
		program: "#!/usr/bin/perl\nexit 2 if @ARGV < 2 || shift ne 'run';\n" +
			"my $pid = fork // die;\nunless ($pid) {\n  exec(@ARGV);\n" +
			"  print STDERR \"$ARGV[0]: $!\\n\";\n  $! = 25;\n  exit($! == 2 ? 127 : 126);\n}\n" +
			"waitpid($pid, 0);\nexit($? & 127 ? 128 + ($? & 127) : $? >> 8);\n",
		step:  "step1-skeleton",
		about: "step1-skeleton/command-not-found",
		says:  []string{"keep the number at once", "errno(3)"},
	},
	{
		name:    "run executed by Bash",
		program: "#!/usr/bin/env bash\n$1\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{`"run" is a word for your own program`},
		not:     []string{"is not on this machine"},
	},
	{
		name:    "a function of a shell that is defined too late",
		program: "#!/usr/bin/env bash\nrun \"${@:2}\"\n\nfunction run {\n  \"$@\"\n}\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{"run is a function of your script, and line 2 calls it", "line 4"},
		not:     []string{"is a word for your own program", "is not on this machine"},
	},
	{
		name:    "a shell that another program has taken the place of",
		program: "#!/bin/sh\nexec perl -e 'print STDERR \"not implemented yet\\n\"; exit 1'\n",
		about:   "step1-skeleton/command-runs",
		says: []string{
			"ended before it executed true", `says why itself: "not implemented yet"`,
		},
		not: []string{"may know by itself"},
	},
	{
		name: "an index of Nim, without the place",
		program: "#!/usr/bin/perl\nprint STDERR \"fatal.nim(54)            sysFatal\\n\";\n" +
			"print STDERR 'Error: unhandled exception: index 2 not in 0 .. 1 [IndexDefect]', " +
			"\"\\n\";\nexit 1;\n",
		about: "step1-skeleton/command-runs",
		says:  []string{"IndexDefect: index 2", "there may be no word after it"},
		not:   []string{"at fatal.nim"},
	},
	{
		name:    "a file beside the program, by a relative path",
		program: "#!/bin/sh\n. ./program\nshift\nexec \"$@\"\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{"program lies beside your program", "a link to it"},
		not:     []string{"lie ready"},
	},
	{
		name: "a file beside the program, in the directory of the link to that",
		program: "#!/bin/sh\ntest \"$1\" = child && exit\ncd \"$(dirname \"$0\")\"\n" +
			"exec ./program child\n",
		about: "step1-skeleton/command-runs",
		says:  []string{"program lies beside your program", "a link to it"},
	},
	{
		name: "a library beside the program, in the directory of the link to that",
		program: "#!/usr/bin/perl\nuse FindBin;\nuse lib $FindBin::Bin;\n" +
			"exit if @ARGV and $ARGV[0] eq 'child';\nrequire 'program';\n",
		about: "step1-skeleton/command-runs",
		says:  []string{"program lies beside your program", "not looked for there", "a link to it"},
		not:   []string{"has to be installed"},
	},
	{
		name: "how it wants to be called, in other words",
		program: "#!/usr/bin/perl\nprint STDERR \"use: run <image> <command> <arg1>\\n\";\n" +
			"exit 1;\n",
		about: "step1-skeleton/command-runs",
		says:  []string{"prints how it wants to be called"},
		not:   []string{"The last that it wrote"},
	},
	{
		name: "the name of an image that was not given",
		program: "#!/usr/bin/perl\nprint STDERR \"Missing image name or command to run\\n\";\n" +
			"exit 1;\n",
		about: "step1-skeleton/command-runs",
		says:  []string{`misses something on its command line, and says: "Missing image name`},
		not:   []string{"looks for an image"},
	},
	{
		name: "an image with a tag in the place of the command",
		program: "#!/usr/bin/python3\nimport sys\nparts = sys.argv[2].split(':')\n" +
			"image, tag = parts[0], parts[1]\n",
		about: "step1-skeleton/command-runs",
		says:  []string{"image, tag = parts[0], parts[1]", "as in alpine:3.20"},
	},
	{
		name: "another version of the kernel",
		program: "#!/usr/bin/python3\nimport os, sys\n" +
			"sys.stderr.write('=> checking Linux... expected 4.7.x: %s\\n' % os.uname().release)\n",
		about: "step1-skeleton/command-runs",
		says:  []string{"is the kernel of this machine (uname(2))", "leave that test out"},
	},
	{
		name: "a device of a kernel module",
		program: "#!/usr/bin/perl\nunless (open(my $monitor, '+<', '/dev/mine_monitor')) {\n" +
			"  print STDERR \"monitor: $!\\n\";\n  exit 1;\n}\n",
		about: "step1-skeleton/command-runs",
		says:  []string{"the device of a kernel module", "no step needs it"},
		not:   []string{"root file system called rootfs in it"},
	},
	{
		name: "an image that nobody can fetch, and no word of a network",
		program: "#!/usr/bin/python3\nimport socket, sys\n" +
			"s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ntry:\n" +
			"    s.connect(('192.0.2.1', 53))\nexcept OSError:\n" +
			"    print('Error completing request for https://registry.invalid/v2/', " +
			"file=sys.stderr)\n",
		about: "step1-skeleton/command-runs",
		says:  []string{"There is no network on the throw-away host", "nothing has to be fetched"},
		not:   []string{"It says why itself"},
	},
	{
		name: "a call without a network that does no harm",
		program: "#!/usr/bin/python3\nimport socket, sys\n" +
			"s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ntry:\n" +
			"    s.connect(('192.0.2.1', 53))\nexcept OSError:\n    pass\n" +
			"print('Error: no such plan', file=sys.stderr)\n",
		about: "step1-skeleton/command-runs",
		says:  []string{`It says why itself: "Error: no such plan"`},
		not:   []string{"There is no network"},
	},
	{
		name: "a call without a network, and a word that was not expected",
		program: "#!/usr/bin/python3\nimport socket, sys\n" +
			"s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ntry:\n" +
			"    s.connect(('192.0.2.1', 53))\nexcept OSError:\n    pass\n" +
			"print('Error: unexpected token in the request', file=sys.stderr)\n",
		about: "step1-skeleton/command-runs",
		says:  []string{`It says why itself: "Error: unexpected token`},
		not:   []string{"There is no network"},
	},
	{
		name: "a cgroup in a root file system with another name",
		program: "#!/usr/bin/perl\nunless (mkdir('./my-container-root/sys/fs/cgroup/cpu')) {\n" +
			"  print STDERR \"mkdir: $!\\n\";\n  exit 1;\n}\n",
		about: "step1-skeleton/command-runs",
		says: []string{
			"If my-container-root is to be the root", "a root file system called rootfs in it",
		},
		not: []string{"No limit was asked for"},
	},
	{
		name: "a fifo in a directory that is not there",
		program: "#!/usr/bin/python3\nimport os, sys\ntry:\n    os.mkfifo('tmp/start')\n" +
			"except OSError as e:\n    sys.exit('mkfifo: %s' % e)\n",
		about: "step1-skeleton/command-runs",
		says:  []string{"There is no directory tmp, in which tmp/start was to be made"},
		not:   []string{"There is no tmp/start here"},
	},
	{
		name: "a fifo in a directory that is not there, as seen from another one",
		program: "#!/usr/bin/python3\nimport os, sys\ndir = os.open('rootfs', os.O_RDONLY)\n" +
			"try:\n    os.mknod('run/none/start', 0o600, dir_fd=dir)\n" +
			"except OSError as e:\n    sys.exit('mknod: %s' % e)\n",
		about: "step1-skeleton/command-runs",
		says:  []string{"There is no directory run/none, in which run/none/start was to be made"},
		not:   []string{"A relative path begins at the working directory"},
	},
	{
		name: "a line of its own, and a cgroup that nobody asked for",
		program: "#!/usr/bin/perl\nsyscall(272, 0x04000000);\nmkdir('/sys/fs/cgroup/mine') or " +
			"print STDERR \"Failed to create cgroup: $!\\n\";\nprint \"Running\\n\";\n" +
			"system('/bin/sh');\n" +
			"rmdir('/sys/fs/cgroup/mine') if -d '/sys/fs/cgroup/mine';\n",
		about: "step1-skeleton/command-runs",
		says:  []string{"this is your program's own", "none of your processes executed true"},
		not:   []string{"Your program looked for"},
	},
	{
		name: "a tool that is started by a shell, and no command",
		program: "#!/usr/bin/perl\nsyscall(272, 0x04020000);\n" +
			"system('mine-ip link add veth0 </dev/null');\n" +
			"print \"child process: 5\\n\";\nprint STDERR \"Failed to mount the disk\\n\";\n",
		about: "step1-skeleton/command-runs",
		says: []string{
			"this is your program's own", "none of your processes executed true",
			"Failed to mount the disk",
		},
		not: []string{"/bin/sh instead"},
	},
	{
		name: "a tool that a shell looks for in the new root, and no command",
		program: "#!/usr/bin/perl\nchroot('rootfs');\nchdir('/');\n" +
			"system('mine-ip link add \"veth0\"');\nprint \"child process: 5\\n\";\n",
		about: "step1-skeleton/command-runs",
		says:  []string{"none of your processes executed true"},
		not:   []string{"/bin/sh instead"},
	},
	{
		name: "a shell where the command is not found",
		program: "#!/usr/bin/python3\nimport os, sys\ntry:\n" +
			"    os.execv(sys.argv[2], sys.argv[2:])\nexcept OSError:\n    pass\n" +
			"print('=== container ===', flush=True)\nos.chroot('rootfs')\nos.chdir('/')\n" +
			"os.execv('/bin/sh', ['/bin/sh'])\n",
		about: "step1-skeleton/command-runs",
		says:  []string{`execve("true") failed with ENOENT`, "/bin/sh was executed", "execvp(3)"},
		not:   []string{"is another one named in the source"},
	},
	{
		name:    "a sleep in the place of the command",
		program: "#!/usr/bin/perl\nsleep 6300;\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{"for a few seconds, and none of your processes executed true"},
		hangs:   true,
	},
}

// inRootfs ends a program in Perl that executes its words in the root file system.
const inRootfs = "exec('unshare', '--mount', '--pid', '--fork', 'sh', '-c', " +
	"'mount --make-rprivate /; mount --bind rootfs rootfs; cd rootfs; mount -t proc proc proc; " +
	"pivot_root . .; umount -l .; exec chroot . \"$@\"', 'sh', @ARGV);\n"

// TestLineWords lets programs be told what they want on the command line, and of their language.
func TestLineWords(t *testing.T) { requireWords(t, 2, lineWords, true) }

// TestLineClues requires that a clue about something that is missing is silent where it is there.
func TestLineClues(t *testing.T) {
	refused := func(call, text, errno string) harness.Conduct {
		return harness.Conduct{
			Refused: []harness.Refusal{{Call: call, Text: text, Errno: errno}},
		}
	}
	asFile := func(e harness.Event) string {
		e.Message = "exit status 1"
		return wordAsFile(findCause(e))
	}
	inside := func(call, text, errno string) harness.Conduct {
		c := refused(call, text, errno)
		c.Refused[0].Inside = true
		return c
	}
	wantsCgroup := func(e harness.Event) string {
		e.Message = "exit status 1"
		return unasked(findCause(e))
	}
	ran := func(file string) harness.Conduct {
		return harness.Conduct{Ran: []string{file}, Words: [][]string{{"ls"}}}
	}
	failed := func(clue func(harness.Event) string) func(harness.Event) string {
		return func(e harness.Event) string {
			e.Message = "exit status 1"
			return clue(e)
		}
	}
	missing := func(path string) func(harness.Event) string {
		return func(e harness.Event) string {
			e.Message = "exit status 1"
			*e.Conduct = refused("openat", fmt.Sprintf("openat(AT_FDCWD, %q)", path), "ENOENT")
			return noFile(refusedCause(e, &e.Conduct.Refused[0]))
		}
	}
	tagged := func(e harness.Event) string {
		if text := wrongIndex(e); strings.Contains(text, "alpine") {
			return text
		}
		return ""
	}
	text, _ := release()
	kernel := numberRE.FindString(text)
	for _, c := range []struct {
		name    string
		clue    func(harness.Event) string
		script  string
		ran     string
		said    string
		diff    string
		conduct harness.Conduct
		says    string // nothing, if there is nothing to say
	}{
		{
			name: "a capability too many", clue: clue, ran: "sh /beyond",
			script: "step5-complete/escape-capabilities",
			diff:   "--- stdout\n+++ none\n CapInh: 0 others\n-CapPrm: 2097152 others\n",
			says:   "In CapPrm there is more than the fourteen: CAP_SYS_ADMIN",
		},
		{
			name: "all capabilities", clue: rightsLeft, ran: "sh /beyond",
			script: "step5-complete/escape-capabilities",
			diff:   "--- stdout\n+++ none\n CapInh: 0 others\n-CapPrm: 2196204411396 others\n",
		},
		{
			name: "descriptors too many", clue: clue, script: "step5-complete/descriptors",
			ran:  "ls /proc/self/fd",
			diff: "--- stdout\n+++ list\n@@ -1,3 +1,2 @@\n 0\n-10\n 3\n-7\n",
			says: "should not be: 10, 7",
		},
		{
			name: "a descriptor too many, and that of ls", clue: clue,
			script: "step5-complete/descriptors", ran: "ls /proc/self/fd",
			diff: "--- stdout\n+++ list\n@@ -2,4 +2,3 @@\n 1\n 2\n 3\n-4\n",
			says: "These are open in the command: 3, 4. One of them is that of the directory",
		},
		{
			name: "no root file system but a file, on purpose", clue: clue,
			script: "step3-rootfs/rootfs-a-file", ran: "echo started",
			said: "container: chdir: Not a directory",
			conduct: harness.Conduct{Refused: []harness.Refusal{
				{Call: "chdir", Text: `chdir("rootfs")`, Errno: "ENOTDIR"},
			}},
			says: "rootfs is a file here, on purpose",
		},
		{
			name: "no /proc, and the program goes on", clue: clue, ran: "true",
			script: "step3-rootfs/rootfs-without-proc",
			said:   "exit status 1, and neither 0 nor 125\n",
			says:   "Either mkdir(2) makes the directory before that",
		},
		{
			name: "a limit that has no name", clue: clue, script: "step4-cgroups/pids-few",
			ran: "true",
			said: "container: fork: Resource temporarily unavailable\n" +
				"-pids 1: exit status 125, and no line that names pids\n",
			says: "and to name pids",
		},
		{
			name: "a bind mount of the command", clue: asFile, ran: "ls /",
			conduct: refused("mount", `mount("ls", "ls", 0, MS_BIND|MS_REC)`, "ENOENT"),
			says:    `takes "ls", which belongs to the command`,
		},
		{
			name: "the command looked for as a file", clue: asFile, ran: "ls /",
			conduct: refused("newfstatat", `newfstatat(AT_FDCWD, "ls")`, "ENOENT"),
		},
		{
			name: "a root file system elsewhere", clue: asFile, ran: "cat letter",
			conduct: refused("chroot", `chroot("/srv/letter")`, "ENOENT"),
		},
		{
			name: "the value of a flag", clue: asFile, ran: "-rootfs none true",
			conduct: refused("chroot", `chroot("none")`, "ENOENT"),
		},
		{
			name: "an argument of the command", clue: asFile, ran: "cat letter",
			conduct: refused("openat", `openat(AT_FDCWD, "letter")`, "ENOENT"),
			says:    `looks for a file "letter", and that is an argument of the command`,
		},
		{
			name: "an argument of the command, in the new root", clue: asFile, ran: "cat letter",
			conduct: inside("openat", `openat(AT_FDCWD, "letter")`, "ENOENT"),
		},
		{
			name: "the working directory, which is an argument, too", clue: asFile, ran: "ls .",
			conduct: refused("openat", `openat(AT_FDCWD, ".")`, "ENOENT"),
		},
		{
			name: "a cgroup where no limit was asked for", clue: wantsCgroup, ran: "true",
			conduct: refused("mkdir", `mkdir("/sys/fs/cgroup/mine")`, "EROFS"),
			says:    "nobody needs a cgroup",
		},
		{
			name: "a look at a cgroup where no limit was asked for", clue: wantsCgroup, ran: "true",
			conduct: refused("openat", `openat(AT_FDCWD, "/sys/fs/cgroup/mine/tasks")`, "ENOENT"),
		},
		{
			name: "a cgroup for a limit", clue: wantsCgroup, ran: "-pids 3 true",
			script:  "step4-cgroups/pids-file",
			conduct: refused("mkdir", `mkdir("/sys/fs/cgroup/mine")`, "EROFS"),
		},
		{
			name: "another error", clue: asFile, ran: "ls /srv",
			conduct: refused("chroot", `chroot("/srv")`, "EPERM"),
		},
		{
			name: "an argument that the command itself has looked for", clue: asFile,
			ran: "ls letter", conduct: harness.Conduct{
				Ran: []string{"/bin/ls"}, Words: [][]string{{"ls", "letter"}},
				Refused: []harness.Refusal{{
					Call: "statx", Text: `statx(AT_FDCWD, "letter")`, Errno: "ENOENT",
				}},
			},
		},
		{
			name: "a command that a shell of the program knows", clue: asFile,
			ran: "test -e letter",
			conduct: harness.Conduct{
				Ran:   []string{"/bin/sh"},
				Words: [][]string{{"sh", "-c", `"$@"`, "sh", "test", "-e", "letter"}},
				Refused: []harness.Refusal{{
					Call: "newfstatat", Text: `newfstatat(AT_FDCWD, "letter")`, Errno: "ENOENT",
				}},
			},
		},
		{
			name: "of a store without an image", clue: wantsMore, ran: "true",
			said: "mine: the store has no image\n",
		},
		{
			name: "of a root file system that is missing", clue: wantsMore, ran: "true",
			said: "mine: missing rootfs\n",
		},
		{
			name: "of an image that nobody named", clue: wantsMore, ran: "true", says: "misses",
			said: "mine: no image specified\n",
		},
		{
			name: "of cobra", clue: wantsMore, ran: "true", says: "misses",
			said: "no command specified",
		},
		{
			name: "of argparse", clue: wantsMore, ran: "true", says: "misses",
			said: "the following arguments are required: rootfs",
		},
		{
			name: "of a function", clue: wantsMore, ran: "true", says: "misses",
			said: "missing argument",
		},
		{
			name: "a command that was not found", clue: wantsMore, ran: "true",
			said: "no such command",
		},
		{
			name: "the name of a command that is not there", clue: wantsMore,
			ran: "no-such-command", said: "Running no-such-command",
		},
		{
			name: "the path of a command that is not there", clue: wantsMore,
			ran: "/no/such/command", said: "Running /no/such/command",
		},
		{name: "a kernel", clue: wantsMore, ran: "true", said: "no user namespaces in this kernel"},
		{
			name: "a call that was refused", clue: wantsMore, ran: "true",
			said:    "read-only file system: no image",
			conduct: refused("mkdir", `mkdir("/images")`, "EROFS"),
		},
		{
			name: "no command at all", clue: wantsMore, script: "step1-skeleton/usage", ran: "",
			said: "no command",
		},
		{
			name: "an option of the command", clue: optionTaken, ran: "sh -c 'exit 3'",
			said: "container: invalid option -- 'c'", says: "-c belongs to the command",
		},
		{
			name: "an option of a tool", clue: optionTaken, ran: "sh -c 'exit 3'",
			said: "mkdir: invalid option -- 'c'", conduct: ran("/usr/bin/mkdir"),
		},
		{
			name: "an option of the command, refused by getopt(1)", clue: optionTaken,
			ran: "sh -c 'exit 3'", said: "getopt: invalid option -- 'c'",
			conduct: ran("/usr/bin/getopt"), says: "-c belongs to the command",
		},
		{
			name: "the command line of a tool of one's own", clue: wantsMore, ran: "true",
			said:    "store: --layer is required",
			conduct: ran("$WORK/tools/store"),
		},
		{
			name: "the command line of a script of one's own", clue: wantsMore, ran: "true",
			said: "store.py: error: the following arguments are required: --layer",
			conduct: harness.Conduct{
				Ran: []string{"/usr/bin/python3"}, Words: [][]string{{"python3", "store.py", "x"}},
			},
		},
		{
			name: "the command line of the program, which is a script", clue: wantsMore,
			ran: "true", says: "misses",
			said: "container: error: the following arguments are required: --layer",
			conduct: harness.Conduct{
				Ran: []string{"/usr/bin/python3"}, Words: [][]string{{"python3", "/x/container"}},
			},
		},
		{
			name: "the command line of a tool", clue: wantsMore, ran: "true",
			said:    "iptables v1.8.9 (nf_tables): no command specified",
			conduct: ran("/usr/sbin/iptables"),
		},
		{
			name: "several options in one word", clue: optionTaken, ran: "ls -la /",
			said: "unrecognized arguments: -la /", says: "-la belongs to the command",
		},
		{
			name: "an option that nobody typed", clue: optionTaken, ran: "sh -c 'exit 3'",
			said: "unshare: unrecognized option '--wrong'",
		},
		{
			name: "an option of the command that it does not know itself", clue: optionTaken,
			ran: "ls -Y", said: "ls: invalid option -- 'Y'", conduct: ran("/bin/ls"),
		},
		{
			name: "a flag of the program", clue: optionTaken, ran: "-pids 3 ls",
			said: "unknown option: -pids",
		},
		{
			name: "of a shell", clue: notSet, ran: "true",
			said: "mine: 3: ROOTFS: parameter not set", says: "variable ROOTFS, which has no value",
		},
		{
			name: "of Rust", clue: notSet, ran: "true", says: "variable IMAGE_DIR",
			said: "the environment variable IMAGE_DIR was not found",
		},
		{
			name: "a flag with two dashes", clue: flagNotKnown, ran: "-hostname workshop hostname",
			said: "usage: container run [-h] [--hostname HOSTNAME] command\n" +
				"error: argument -h/--help: ignored explicit argument 'ostname'",
			says: "knows --hostname, and the scripts write -hostname",
		},
		{
			name: "a flag that it hands on with two dashes", clue: flagNotKnown,
			ran: "-hostname workshop hostname", said: "+ bwrap --hostname workshop hostname",
		},
		{
			name: "a flag that it takes, and calls by its other name", clue: flagNotKnown,
			script: "step2-namespaces/hostname-flag", ran: "-hostname workshop hostname",
			said:    "unknown error with --hostname workshop: operation not permitted",
			conduct: refused("sethostname", `sethostname("workshop", 8)`, "EPERM"),
		},
		{
			name: "the usage of something else", clue: wrongUsage, ran: "true",
			said: "Memory usage: 12M",
		},
		{
			name: "how it wants to be called", clue: wrongUsage, ran: "true",
			said: "error: usage: mine run CMD", says: "prints how it wants to be called",
		},
		{
			name: "what something is of use for", clue: wrongUsage, ran: "true",
			said: "Of no use: <none>",
		},
		{
			name: "what it uses", clue: wrongUsage, ran: "true", said: "use: rootfs as root",
		},
		{
			name: "an image that is missing", clue: failed(imageNamed), ran: "true",
			said: "missing image alpine", says: "looks for an image",
		},
		{
			name: "the name of an image that is missing", clue: failed(imageNamed), ran: "true",
			said: "missing image name",
		},
		{
			name: "the kernel as it is", clue: failed(otherKernel), ran: "true",
			said: "Running on Linux " + kernel + "\nsomething failed",
		},
		{
			name: "the kernel as it is, and nothing is wrong with it", clue: failed(otherKernel),
			ran: "true", said: "Running on Linux " + kernel,
		},
		{
			name: "a number that begins as that of the kernel", clue: failed(otherKernel),
			ran: "true", said: "expected 4 words, got " + kernel + "1",
		},
		{
			name: "a kernel that is too new", clue: failed(otherKernel), ran: "true",
			said: "Linux " + kernel + " is not supported", says: "leave that test out",
		},
		{
			name: "a tag among the words", clue: tagged, ran: "true",
			said: "Traceback (most recent call last):\n  File \"mine.py\", line 2, in <module>\n" +
				"    tag = sys.argv[4]\nIndexError: list index out of range\n",
		},
		{
			name: "a tag", clue: tagged, ran: "true",
			said: "Traceback (most recent call last):\n  File \"mine.py\", line 2, in <module>\n" +
				"    tag = parts[1]\nIndexError: list index out of range\n",
			says: "as in alpine:3.20",
		},
		{
			name: "a version, and no image", clue: tagged, ran: "true",
			said: "Traceback (most recent call last):\n  File \"mine.py\", line 2, in <module>\n" +
				"    patch = kernel_version.split('.')[3]\nIndexError: list index out of range\n",
		},
		{
			name: "a device of a terminal", clue: missing("/dev/pts/9"), ran: "true",
			says: "and nothing else",
		},
		{
			name: "a device that is in every /dev", clue: missing("/dev/ptmx"), ran: "true",
			says: "and nothing else",
		},
		{
			name: "a device", clue: missing("/dev/mine"), ran: "true", says: "of a kernel module",
		},
		{
			name: "a flag with another name", clue: flagNotKnown,
			ran:  "-hostname workshop hostname",
			said: "usage: container run [--hostname-of-mine] [--my-hostname]",
		},
		{name: "a flag", clue: notSet, ran: "true", said: "MS_BIND is set, MS_REC is set"},
		{name: "a missing flag", clue: notSet, ran: "true", said: "error: MS_REC is not set"},
		{
			name: "a name in the source, in Python", clue: notSet, ran: "true",
			said: "NameError: name 'CHILD_FLAGS' is not defined",
		},
		{
			name: "a name in the source, in JavaScript", clue: notSet, ran: "true",
			said: "ReferenceError: ROOT_DIR is not defined",
		},
		{
			name: "a call that was refused, too", clue: notSet, ran: "true",
			said: "ROOT_DIR not set", conduct: refused("chroot", `chroot("/srv")`, "ENOENT"),
		},
		{
			name: "of Lua", clue: notInstalled, ran: "true", says: "needs posix",
			said: "lua5.4: mine:2: module 'posix' not found:\n\tno field package.preload['posix']",
		},
		{
			name: "of Perl", clue: notInstalled, ran: "true", says: "needs Linux/Unshare.pm",
			said: "Can't locate Linux/Unshare.pm in @INC (you may need to install it)",
		},
		{
			name: "of Guile", clue: notInstalled, ran: "true", says: "needs (gnu build linux)",
			said: "no code for module (gnu build linux)",
		},
		{
			name: "of the loader", clue: notInstalled, ran: "true", says: "needs libnone.so.1",
			said: "mine: error while loading shared libraries: libnone.so.1: cannot open shared " +
				"object file: No such file or directory",
		},
		{
			name: "in another root", clue: notInstalled, ran: "true",
			said:    "ModuleNotFoundError: No module named 'subprocess'",
			conduct: harness.Conduct{Made: []string{`chroot("rootfs")`}},
			says:    "loaded when the root is another one already",
		},
		{
			name: "the command misses a library", clue: notInstalled, ran: "ls",
			said:    "ls: error while loading shared libraries: libc.so: cannot open",
			conduct: ran("/bin/ls"),
		},
		{
			name: "files of the host", clue: ownLines, script: "step3-rootfs/root-is-rootfs",
			ran: "ls /", conduct: ran("/bin/ls"), diff: "--- stdout\n+++ files\n bin\n-old root\n",
		},
		{
			name: "files that are missing, too", clue: ownLines,
			script: "step3-rootfs/root-is-rootfs", ran: "ls /", conduct: ran("/bin/ls"),
			diff: "--- stdout\n+++ files\n-Running ls /\n+bin\n",
		},
	} {
		e := harness.Event{}
		e.Script.Step, e.Script.Name, _ = strings.Cut(c.script, "/")
		e.Ran, e.Stderr, e.Conduct = "exec container run "+c.ran, c.said, &c.conduct
		e.Diff = c.diff
		if c.diff != "" {
			e.Script = scriptOf(t, e.Script.Step, e.Script.Name)
			file := map[string]string{"escape-capabilities": "none", "descriptors": "list"}
			e.Line = lineOf(t, e.Script, "cmp stdout "+
				cmp.Or(file[e.Script.Name], "files"))
		}
		if c.says == "" {
			require.Empty(t, c.clue(e), c.name)
		} else {
			require.Contains(t, c.clue(e), c.says, c.name)
		}
	}
}

// TestBesideProgram requires that a part of a program is found beside it where that lies there, and
// nothing else is taken for it.
func TestBesideProgram(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "app"), 0o755))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "json"), 0o755))
	for _, file := range []string{"app/main.py", "json/data", "tools.rb", "libnone.so.1"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), nil, 0o644))
	}
	e := harness.Event{Program: filepath.Join(dir, "mine")}
	for name, lies := range map[string]bool{
		"app": true, "app.main": true, "app.pull": false, "tools": true, "/link/of/tools": true,
		"yaml": false, "json": false, "libnone.so.1": false, "": false,
	} {
		require.Equal(t, lies, besideProgram(e, name) == dir, name)
	}
	require.Empty(t, besideProgram(harness.Event{}, "app"))
}

// TestForTool requires that a shell which was to start a tool, and did not find that, is not taken
// for what was executed in the place of the command.
func TestForTool(t *testing.T) {
	for line, tool := range map[string]bool{
		"sudo mount --make-private /": true, "mine-ip link add": true, "ip link": true,
		"exec bash": false, "echo hello": false, "": false,
	} {
		e := harness.Event{}
		e.Stderr = "sh: 1: mine-ip: not found\n"
		e.Conduct = &harness.Conduct{
			Ran: []string{"/bin/sh"}, Words: [][]string{{"sh", "-c", line}},
		}
		require.Equal(t, tool, forTool(e, "/bin/sh"), line)
	}
	e := harness.Event{}
	e.Conduct = &harness.Conduct{Ran: []string{"/bin/sh"}, Words: [][]string{{"sh"}}}
	require.False(t, forTool(e, "/bin/sh"))
}

// TestLineOfScript requires that a program which ended as it should is told what its words lack.
func TestLineOfScript(t *testing.T) {
	root, err := moduleRoot()
	require.NoError(t, err)
	for _, c := range []struct{ script, line, ran, said, says string }{
		{
			"step2-namespaces/ns-unknown", "stderr moon", "-ns uts,moon true",
			"container: no such namespace (usage: container run CMD)\n", "and to name moon",
		},
		{
			"step4-cgroups/limits-bad", "stderr 'memory'", "-memory 64X echo unlimited",
			"container: not a limit\n", "and to name memory",
		},
		{
			"step2-namespaces/ns-unknown", "exits 2 container run -ns uts,moon true",
			"-ns uts,moon true", "", "",
		},
		{
			"step5-complete/environment", "stdout '^PATH=(.*:)?/usr/bin(:.*)?$'",
			"-hostname workshop env", "", "env prints its environment, and that is empty here",
		},
		{
			"step5-complete/environment", "stdout '^PATH=(.*:)?/usr/bin(:.*)?$'",
			"-hostname workshop env", "env: not found\n", "",
		},
	} {
		e := harness.Event{}
		e.Script, err = findScript(root, c.script)
		require.NoError(t, err)
		for e.Line = 1; e.Script.Line(e.Line) != c.line; e.Line++ {
			require.Less(t, e.Line, 100, c.line)
		}
		e.Ran, e.Stderr = "exec container run "+c.ran, c.said
		told := wordMissing(e) + noVariables(e)
		require.Contains(t, told, c.says)
		require.Equal(t, c.says == "", told == "", c.line)
		if c.says != "" {
			require.Equal(t, told, clue(e))
		}
	}
}

// TestSaidOnOutput requires that what the command prints is not told to be an error of the program.
func TestSaidOnOutput(t *testing.T) {
	const line = "stderr no-such-command"
	script := scriptOf(t, "step1-skeleton", "command-not-found")
	for name, c := range map[string]struct {
		ran            []string
		stdout, stderr string
		isTold         bool
	}{
		"an error":               {nil, "mine: no-such-command: not found\n", "", true},
		"lines before and after": {nil, "begins\nno-such-command: not found\nends\n", "", true},
		"words that all is well": {nil, "Running no-such-command\n", "", false},
		"another error":          {nil, "mine: not found\n", "", false},
		"of the command": {
			[]string{"/bin/no-such-command"}, "no-such-command: not found\n", "", false,
		},
		"an error on both": {nil, "no-such-command: not found\n", "it failed\n", false},
	} {
		e := harness.Event{Script: script}
		e.Line, e.Ran = lineOf(t, script, line), "exits 127 container run no-such-command"
		e.Stdout, e.Stderr = c.stdout, c.stderr
		e.Conduct = &harness.Conduct{Ran: c.ran, Words: make([][]string, len(c.ran))}
		require.Equal(t, c.isTold, saidOnOutput(e) != "", name)
	}
}

// scriptOf is a script of a step.
func scriptOf(t *testing.T, step, name string) harness.Script {
	t.Helper()
	scripts, err := harness.Scripts(rootOf(t), step)
	require.NoError(t, err)
	i := slices.IndexFunc(scripts, func(s harness.Script) bool { return s.Name == name })
	require.GreaterOrEqual(t, i, 0, name)
	return scripts[i]
}

// rootOf is the directory of the module.
func rootOf(t *testing.T) string {
	t.Helper()
	root, err := moduleRoot()
	require.NoError(t, err)
	return root
}

// lineOf is the number of a line of a script.
func lineOf(t *testing.T, s harness.Script, text string) int {
	t.Helper()
	for n := range 200 {
		if strings.TrimSpace(s.Line(n)) == text {
			return n
		}
	}
	t.Fatalf("%s has no line %q", s.Name, text)
	return 0
}
